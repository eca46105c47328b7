"""What every command of the command line is made of: its options, its session, its words on the screen."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cached_property, wraps
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import click

from gitrelease.cli.times import parse_time
from gitrelease.errors import Exit, NotYetBuilt

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gitrelease.commands import Desk, Prose
    from gitrelease.commands.describing import PackageStory
    from gitrelease.core.ledger import Evidence
    from gitrelease.core.status import Status, Summary
    from gitrelease.forges import Announcement, Standing, Words
    from gitrelease.reading.judging import Judged
    from gitrelease.render.text import Paper
    from gitrelease.settings import Settings

P = ParamSpec("P")
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


class OutputClosed(Exception):
    """Nobody reads what is written any more, as when it is piped into `head`."""


# Writing.


def write(text: str, *, err: bool = False) -> None:
    """Write to the screen, all at once."""
    stream: IO[str] | None = sys.stderr if err else sys.stdout
    if stream is None:
        raise OutputClosed
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        raise OutputClosed from None


def paper_for(*, colour: bool, err: bool = False) -> Paper:
    """Say what is written on: as wide as the terminal, or without end where there is none."""
    from shutil import get_terminal_size

    from gitrelease.render.text import Paper

    is_terminal = _is_terminal(sys.stderr if err else sys.stdout)
    columns = get_terminal_size().columns if is_terminal else None
    return Paper(now=datetime.now().astimezone(), width=columns, colour=colour)


# Commands: their options and their help.


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> object:
    """Remember a global option wherever it stands; the one nearer to the command wins."""
    if value is not None and value is not False and param.name is not None:
        ctx.find_root().meta.setdefault("gitrelease", {})[param.name] = value
    return value


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """Give the options that every command takes, before its name or after it."""
    return [
        click.Option(
            ["-C", "directory"],
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            metavar="DIR",
            help="Work in this folder instead of the current one.",
            expose_value=False,
            is_eager=True,
            callback=_keep,
            hidden=hidden,
        ),
        click.Option(
            ["--remote"],
            metavar="NAME",
            help="The git remote that is the shared repository.  [origin]",
            expose_value=False,
            is_eager=True,
            callback=_keep,
            hidden=hidden,
        ),
        click.Option(
            ["--no-color", "--no-colour", "no_color"],
            is_flag=True,
            help="Write without colours.",
            expose_value=False,
            callback=_keep,
            hidden=hidden,
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            help="Say more: what is being done, and where an error comes from.",
            expose_value=False,
            callback=_keep,
            hidden=hidden,
        ),
    ]


class Verb(click.Command):
    """A command: it takes the global options as well, and its help ends in an example."""

    def __init__(self, name: str | None, *, example: str = "", **more: Any) -> None:
        more.setdefault("context_settings", HELP_NAMES)
        super().__init__(name, **more)
        self.example = textwrap.dedent(example).strip("\n")
        taken = {option for param in self.params for option in param.opts}
        self.params += [one for one in global_options(hidden=True) if not taken & set(one.opts)]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is typed."""
        super().format_epilog(ctx, formatter)
        write_example(self.example, formatter)


class Noun(click.Group):
    """A group of commands on one thing; alone it shows its help."""

    def __init__(self, name: str | None = None, *, example: str = "", **more: Any) -> None:
        more.setdefault("context_settings", HELP_NAMES)
        more.setdefault("no_args_is_help", False)
        super().__init__(name, **more)
        self.example = textwrap.dedent(example).strip("\n")
        self.params += global_options(hidden=name is not None and name != "gitrelease")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Show the help when nothing is asked for."""
        if not args and not ctx.resilient_parsing:
            write(ctx.get_help() + "\n")
            ctx.exit()
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Give the commands in the order they are told in."""
        return list(self.commands)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example as it is typed."""
        super().format_epilog(ctx, formatter)
        write_example(self.example, formatter)


def write_example(example: str, formatter: click.HelpFormatter) -> None:
    """Write an example below a help."""
    if example:
        with formatter.section("Example" if "\n" not in example else "Examples"):
            formatter.write("".join(f"  {line}\n" for line in example.splitlines()))


json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, errors as well.")


def patch_options(function: Function) -> Function:
    """Add --stat and --patch."""
    stat = click.option("--stat", is_flag=True, help="Count the lines of each item.")
    patch = click.option("--patch", "-p", is_flag=True, help="Show the lines, as git diff does.")
    return stat(patch(function))


def interval_option(default: float) -> Callable[[Function], Function]:
    """Add --interval, for whatever looks again and again."""
    return click.option(
        "--interval",
        type=click.FloatRange(min=0.1),
        default=default,
        show_default=True,
        metavar="S",
        help="Seconds between.",
    )


def paging_options(sorts: Iterable[str]) -> Callable[[Function], Function]:
    """Add -L, --offset and --sort."""

    def add(function: Function) -> Function:
        limit = click.option(
            "-L",
            "--limit",
            metavar="N",
            type=click.IntRange(min=1),
            default=30,
            show_default=True,
            help="How many.",
        )
        offset = click.option(
            "--offset",
            metavar="N",
            type=click.IntRange(min=0),
            default=0,
            help="How many to pass over first.",
        )
        sort = click.option(
            "--sort", metavar="COLUMN", help=f"One of {', '.join(sorts)}; -COLUMN is the other way round."
        )
        return limit(offset(sort(function)))

    return add


def _moment(*, is_end: bool) -> Callable[[click.Context, click.Parameter, str | None], datetime | None]:
    def convert(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
        if value is None:
            return None
        try:
            return parse_time(value, datetime.now().astimezone(), is_end=is_end)
        except ValueError:
            message = f"{value!r} is no time; write 2026-11-22, 2026-11-22T08:00:00Z or 7d"
            raise click.BadParameter(message, ctx, param) from None

    return convert


def span_options(name: str, what: str) -> Callable[[Function], Function]:
    """Add --…since and --…until."""
    prefix = f"{name}-" if name else ""

    def add(function: Function) -> Function:
        since = click.option(
            f"--{prefix}since", callback=_moment(is_end=False), metavar="T", help=f"{what} then or later."
        )
        until = click.option(
            f"--{prefix}until", callback=_moment(is_end=True), metavar="T", help=f"{what} then or earlier."
        )
        return since(until(function))

    return add


# What is not in this version: refused by name, so that nobody takes it for a typing mistake.


def _refuse(what: str, hint: str | None) -> NotYetBuilt:
    return NotYetBuilt(f"{what} is not in this version of gitrelease", hint=hint)


def later_command(name: str, help_: str, *, example: str, hint: str) -> Verb:
    """Make a command that is still to come."""

    def run(arguments: Sequence[str], as_json: bool) -> None:  # noqa: ARG001, FBT001 - whatever was typed
        raise _refuse(f"`gitrelease {name}`", hint)

    return Verb(
        name,
        callback=run,
        params=[
            click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED),
            click.Option(["--json", "as_json"], is_flag=True, hidden=True),
        ],
        help=f"{help_}\n\nNot in this version.",
        example=example,
        context_settings={**HELP_NAMES, "ignore_unknown_options": True},
    )


def later_option(*names: str, hint: str, metavar: str | None = None) -> Callable[[Function], Function]:
    """Add an option that is still to come."""

    def refuse(ctx: click.Context, param: click.Parameter, value: object) -> None:  # noqa: ARG001
        if value:
            raise _refuse(names[0], hint)

    shown: Mapping[str, Any] = {"is_flag": True} if metavar is None else {"metavar": metavar}
    return click.option(
        *names, help="Not in this version.", expose_value=False, callback=refuse, is_eager=False, **shown
    )


# A session: one command, from its settings to its output.


def _prose(url: str | None) -> Prose:
    """Give what writes the words of a forge, loaded when there is something to write; `url` is this run's page."""
    from gitrelease.commands import Prose

    def words(story: PackageStory) -> Words:
        from gitrelease.render import pull_request

        return pull_request.words(story)

    def standing(judged: Judged, status: Status) -> Standing:
        from gitrelease.render import standing

        return standing.standing(judged, status, url=url)

    def announcement(summary: Summary, evidence: Evidence) -> Announcement:
        from gitrelease.render import standing

        return standing.announcement(summary, evidence, url=url)

    return Prose(words=words, standing=standing, announcement=announcement)


class Session:
    """What a command function works with: the desk it asks, and the screen it answers on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._desk: Desk | None = None

    @property
    def desk(self) -> Desk:
        """Open the repository when it is first needed."""
        if self._desk is None:
            from gitrelease.wiring import open_desk

            prose = _prose(self.settings.run_url)
            self._desk = open_desk(self.settings, say=self.say, prose=prose)
        return self._desk

    @cached_property
    def paper(self) -> Paper:
        """What answers are written on."""
        return paper_for(colour=self.settings.colour)

    def say(self, text: str) -> None:
        """Tell people how far long work is: on a terminal, or when they asked to hear more."""
        if not self.settings.json and (self.settings.verbose or sys.stderr.isatty()):
            from gitrelease.render.text import clean

            write(f"{clean(text)}\n", err=True)

    def show(
        self, result: Result, text: Callable[[Result, Paper], str], document: Callable[[Result], object]
    ) -> None:
        """Answer in text, or in JSON if that was asked for."""
        if self.settings.json:
            from gitrelease.render.json import dumped

            write(dumped(document(result)))
        else:
            write(text(result, self.paper))

    def write_job_summary(self, command: str, result: Result, text: Callable[[Result, Paper], str]) -> None:
        """Write an answer where a CI shows it beside the run, if this is one that does."""
        if not self.settings.summary:
            return
        from gitrelease.render.markdown import MOST_CHARACTERS, block
        from gitrelease.render.text import Paper

        shown = text(result, Paper(now=self.paper.now, width=None, colour=False))
        with suppress(OSError), self.settings.summary.open("a", encoding="utf-8") as file:
            file.write(f"### gitrelease {command}\n\n{block(shown[:MOST_CHARACTERS])}\n")

    def paths(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Write paths as the repository has them, wherever in it somebody stands; names stay."""
        worktree = self.desk.repo.worktree
        if worktree is None:
            return tuple(texts)
        top, here = worktree.resolve(), self.settings.directory.resolve()
        return tuple(path_in(top, here, text) for text in texts)

    def path(self, text: str) -> str:
        """Write one path as the repository has it."""
        return self.paths([text])[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._desk is not None:
            self._desk.close()


def path_in(top: Path, here: Path, text: str) -> str:
    """Write a path that was typed in one folder as seen from another; what is no path there stays."""
    typed = text.replace("\\", "/") if os.sep == "\\" else text
    place = Path(os.path.normpath(here / typed))
    is_glob = any(character in typed for character in "*?[")
    could_be = "/" in typed or "." in typed
    there = (here != top and is_glob and not typed.startswith(("jobs/", "scripts/"))) or (
        could_be and not is_glob and place.exists()
    )
    if not there or not place.is_relative_to(top) or place == top:
        return text
    return place.relative_to(top).as_posix()


def _is_terminal(stream: IO[str] | None) -> bool:
    """Say whether somebody looks at a stream; one that was closed before we began is none."""
    return stream is not None and stream.isatty()


def settings_of(ctx: click.Context | None, *, as_json: bool = False) -> Settings:
    """Gather the settings: global options from wherever they stand, and the environment."""
    from gitrelease.settings import gather

    given: Mapping[str, Any] = {} if ctx is None else ctx.find_root().meta.get("gitrelease", {})
    return gather(
        os.environ,
        json=as_json,
        is_terminal=_is_terminal(sys.stdout),
        has_person=_is_terminal(sys.stdin) and _is_terminal(sys.stderr),
        **given,
    )


def session(function: Callable[Concatenate[Session, P], Exit | None]) -> Callable[P, Exit | None]:
    """Give a command function its session, and the command its --json."""

    @json_option
    @click.pass_context
    @wraps(function)
    def run(ctx: click.Context, /, *args: P.args, **kwargs: P.kwargs) -> Exit | None:
        as_json = bool(kwargs.pop("as_json", False))
        with Session(settings_of(ctx, as_json=as_json)) as opened:
            return function(opened, *args, **kwargs)

    return run


# Completion: names from the refs that are here, without the network.


def _names(ctx: click.Context, prefix: str) -> Iterator[str]:
    with suppress(Exception):  # whoever presses Tab is not to see an error
        from gitrelease.wiring import open_repo

        with open_repo(settings_of(ctx)) as repo:
            for ref in repo.refs(prefix):
                yield ref.removeprefix(prefix)


def _completer(*prefixes: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
        from click.shell_completion import CompletionItem

        found = dict.fromkeys(name for prefix in prefixes for name in _names(ctx, prefix))
        return [CompletionItem(name) for name in found if name.startswith(incomplete)]

    return complete


complete_task = _completer("refs/heads/submit/")
complete_package = _completer("refs/heads/package/", "refs/tags/release/")
complete_release = _completer("refs/tags/release/")
