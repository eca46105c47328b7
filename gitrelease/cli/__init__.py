"""The command line: read the words, call one verb, print the result, end with a code for scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from gitrelease import __version__
from gitrelease.cli.frame import Noun, OutputClosed, paper_for, write
from gitrelease.core.values import expect_many
from gitrelease.errors import Exit, GitReleaseError

INTERRUPTED = 130
OUTPUT_CLOSED = 141
"""What a shell says of a program that wrote into a pipe nobody reads: 128 and SIGPIPE."""

_COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Begin": {"init": "begin", "demo": "begin", "import": "begin"},
    "Change": {"check": "change", "submit": "change", "task": "change", "pull": "change"},
    "Release": {"release": "review", "package": "review", "rollback": "review", "gate": "review"},
    "Production": {"sync": "production", "status": "production", "verify": "production"},
    "Look": {"compare": "look", "version": "look", "workspace": "look"},
    "Shell": {"completion": "begin"},
    "Not in this version": {"export": "begin", "run": "production", "doctor": "begin"},
}
"""Every command, in the order it is told in, and the module it is loaded from when it is called."""


class Root(Noun):
    """The whole command line; a command's module is loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Name every command."""
        return [name for group in _COMMANDS.values() for name in group]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command."""
        for group in _COMMANDS.values():
            if cmd_name in group:
                module = import_module(f"gitrelease.cli.{group[cmd_name]}")
                found: click.Command = module.COMMANDS[cmd_name]
                return found
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or say which one may have been meant."""
        if (
            not args[0].startswith("-")
            and args[0] not in self.list_commands(ctx)
            and not ctx.resilient_parsing
        ):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            meant = f", did you mean {near[0]}?" if near else ""
            ctx.fail(f"there is no command {args[0]!r}{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for."""
        for title, group in _COMMANDS.items():
            rows = []
            for name in group:
                command = self.get_command(ctx, name)
                if command is not None:
                    rows.append((f"{name:<10}", command.get_short_help_str(limit=200)))
            with formatter.section(title):
                formatter.write_dl(rows)


@click.group(
    "gitrelease",
    cls=Root,
    example="""
        gitrelease init shop                  make a release repository
        gitrelease submit orders -m "why"     freeze a version of a job
        gitrelease release orders             put it up for review
        gitrelease package list               see where everything is
    """,
)
@click.version_option(__version__, prog_name="gitrelease", message="%(prog)s %(version)s")
def root() -> None:
    """The release desk of a data platform, on git.

    A job version is a committed file, a release is a reviewed package, and production
    follows what was merged. The options below may also stand after a command.
    """


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process."""
    words = list(sys.argv[1:] if args is None else args)
    expect_many()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what a terminal cannot write is spelled out, not a crash
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(words)
    except OutputClosed:
        code = _nobody_reads()
    sys.exit(code)


def _run(words: Sequence[str]) -> int:
    as_json = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    verbose = any(word in {"-v", "--verbose"} for word in words)
    no_color = "--no-color" in words or "--no-colour" in words
    try:
        ended = root.main(list(words), prog_name="gitrelease", standalone_mode=False)
    except GitReleaseError as refusal:
        _report(refusal, as_json=as_json, no_color=no_color)
        if verbose:
            write(_trace(), err=True)
        return refusal.exit
    except click.ClickException as misunderstood:
        problem = GitReleaseError(
            misunderstood.format_message().rstrip("."), hint=_help_for(misunderstood), code="usage"
        )
        _report(problem, as_json=as_json, no_color=no_color)
        return misunderstood.exit_code
    except (click.Abort, KeyboardInterrupt):
        write("interrupted\n", err=True)
        return INTERRUPTED
    except OutputClosed:
        raise
    except OSError as failure:
        _report(_of_the_system(failure), as_json=as_json, no_color=no_color)
        if verbose:
            write(_trace(), err=True)
        return Exit.REFUSED
    except Exception:  # noqa: BLE001 - whatever else comes up is a defect of ours, and is shown as one
        return _defect(as_json=as_json)
    return int(ended or 0)


def _of_the_system(failure: OSError) -> GitReleaseError:
    """Say what the operating system refused, and to what as far as it tells."""
    try:
        Path.cwd()
    except OSError:
        return GitReleaseError(
            "the folder this was started in is not there any more",
            hint="change to one that is, or name one with -C",
            code="system",
        )
    where = f"{failure.filename}: " if failure.filename else "reading or writing failed: "
    return GitReleaseError(
        f"{where}{failure.strerror or failure}",
        hint="see what is full, missing or not allowed there, and run the command again: what was done stays done",
        code="system",
    )


def _help_for(problem: click.ClickException) -> str | None:
    ctx = problem.ctx if isinstance(problem, click.UsageError) else None
    return f"`{ctx.command_path if ctx else 'gitrelease'} --help` shows how it is used"


def _report(problem: GitReleaseError, *, as_json: bool, no_color: bool = False) -> None:
    """Say what went wrong, the one way it looks everywhere."""
    if as_json:
        from gitrelease.render.json import dumped, error

        write(dumped(error(problem)), err=True)
        return
    from gitrelease.render.text import error_text

    plain = no_color or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    paper = paper_for(colour=sys.stderr is not None and sys.stderr.isatty() and not plain, err=True)
    findings = getattr(problem, "findings", ())
    if len(findings) > 1:
        from gitrelease.render.tasks import findings_text

        write(findings_text(findings, paper), err=True)
    write(error_text(problem.message, problem.hint, paper), err=True)


def _defect(*, as_json: bool) -> int:
    """Show a defect whole: its traceback is what whoever mends it needs."""
    trace = _trace()
    problem = GitReleaseError(
        f"this is a defect in gitrelease {__version__}, not a mistake of yours",
        hint="report it with the lines above; look through them first for what is not for everyone",
        code="defect",
    )
    if as_json:
        problem.hint = trace
    else:
        write(trace, err=True)
    _report(problem, as_json=as_json)
    return Exit.DEFECT


def _trace() -> str:
    from traceback import format_exc

    from gitrelease.render.text import clean_lines

    return clean_lines(format_exc())


def _nobody_reads() -> int:
    """Keep Python from complaining, on its way out, about the pipe that was closed."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    return OUTPUT_CLOSED


__all__ = ["main", "root"]
