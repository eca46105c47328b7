"""The parts of README.md that come from the program and from the examples; `python -m tests.kit.readme` writes them.

A test compares, so that the page never says what the program does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from gitrelease.cli import root
from gitrelease.errors import Exit

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
DATA = ROOT / "tests" / "data"

EXAMPLES = {
    "a workspace": ("workspace.yaml", "yaml"),
    "a job": ("orders_daily.job.yaml", "yaml"),
    "a script": ("clean-orders.script.yaml", "yaml"),
    "a manifest": ("manifest.yaml", "yaml"),
    "a receipt": ("receipt.json", "json"),
}

MEANINGS = {
    Exit.DONE: "done, or nothing to do",
    Exit.REFUSED: "refused, failed, drifted or unapproved",
    Exit.USAGE: "the command line was not understood",
    Exit.WAITING: "waiting for people, or outstanding",
    Exit.CREDENTIALS: "credentials missing or refused",
    Exit.HALF_DONE: "production half-changed, sync again",
    Exit.DEFECT: "a defect",
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that can be called, with its full name."""
    context = click.Context(root, info_name="gitrelease")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if isinstance(command, click.Group):
            inner = click.Context(command, info_name=name, parent=context)
            for below in command.list_commands(inner):
                found = command.get_command(inner, below)
                assert found is not None
                yield f"{name} {below}", found
        elif command is not None:
            yield name, command


def usage(name: str, command: click.Command) -> str:
    """Write how a command is called, on one line."""
    words = [f"gitrelease {name}"]
    context = click.Context(command, info_name=name)
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            words.append(parameter.make_metavar(context))
        elif isinstance(parameter, click.Option) and not parameter.hidden:
            short = max(parameter.opts, key=len)
            if parameter.secondary_opts:
                short += f"/{parameter.secondary_opts[0]}"
            value = "" if parameter.is_flag else f" {_metavar(parameter, context)}"
            words.append(f"[{short}{value}]")
    return " ".join(words)


def _metavar(option: click.Option, context: click.Context) -> str:
    if isinstance(option.type, click.Choice):
        return option.opts[-1].lstrip("-").upper()
    return option.make_metavar(context)


def reference() -> str:
    """Write every command with what it is for."""
    lines = []
    for name, command in commands():
        says = (command.help or "").strip().split("\n\n")[0].replace("\n", " ")
        lines.append(f"- `{usage(name, command)}`<br>{re.sub(r' +', ' ', says)}")
    return "\n".join(lines)


def exit_codes() -> str:
    """Write what the exit codes mean."""
    rows = [f"| {code.value} | {MEANINGS[code]} |" for code in Exit]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def examples() -> str:
    """Write a complete example of each document."""
    parts = []
    for title, (name, language) in EXAMPLES.items():
        text = (DATA / name).read_text(encoding="utf-8").rstrip("\n")
        parts.append(
            f"<details><summary>{title}, with every field</summary>\n\n```{language}\n{text}\n```\n\n</details>"
        )
    return "\n".join(parts)


def written(page: str) -> str:
    """Put the parts into the page, each between its marks."""
    for mark, text in {"commands": reference(), "exit codes": exit_codes(), "examples": examples()}.items():
        pattern = re.compile(rf"(<!-- {mark}: python -m tests.kit.readme -->\n).*?(<!-- end -->)", re.DOTALL)
        found = pattern.search(page)
        assert found, f"README.md has no place for the {mark}"
        page = page[: found.end(1)] + text + "\n" + page[found.start(2) :]
    return page


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
