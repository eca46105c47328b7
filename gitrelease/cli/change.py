"""Changing things: check, submit, tasks, and keeping a clone up to date."""

from __future__ import annotations

import sys
from datetime import datetime

import click

from gitrelease.cli.frame import (
    Noun,
    Session,
    Verb,
    complete_task,
    paging_options,
    patch_options,
    session,
    span_options,
)
from gitrelease.core.item import Change
from gitrelease.core.names import Kind
from gitrelease.core.task import TASK_SORTS, TaskState
from gitrelease.errors import Exit, UsageError


@click.command(
    "check",
    cls=Verb,
    example="""
        gitrelease check                            everything that changed
        gitrelease check jobs/sales                 one folder
        gitrelease check --ref submit/job/orders/v3 a pushed branch
    """,
)
@click.argument("paths", nargs=-1, metavar="[PATH]…")
@click.option("--ref", metavar="REF", help="A pushed branch: is it a proper task or package?")
@click.option("--pre-receive", is_flag=True, help="The refs of a push, as git hands them to a server's hook.")
@session
def check(session: Session, *, paths: tuple[str, ...], ref: str | None, pre_receive: bool) -> Exit:
    """Say what is wrong with files, or with a pushed branch.

    Schema, names, the graph of nodes, what they refer to, the schedule, and secrets in clear text.
    """
    from gitrelease.commands.check import check_ref, check_working
    from gitrelease.core.finding import has_errors
    from gitrelease.render import json, tasks

    if ref is not None and paths:
        raise UsageError("give paths or --ref, not both")
    if pre_receive:
        if ref is not None or paths:
            raise UsageError("--pre-receive checks a push, and nothing else is named beside it")
        return _receive(session)
    result = (
        check_ref(session.desk, ref) if ref is not None else check_working(session.desk, session.paths(paths))
    )
    session.show(result, tasks.checked, json.checked)
    return Exit.REFUSED if has_errors(result.findings) else Exit.DONE


def _receive(session: Session) -> Exit:
    """Check a push for the hook of a server."""
    from gitrelease.commands.receiving import certificate_in, receive
    from gitrelease.render import json, tasks
    from gitrelease.wiring import open_server

    repo, pen = open_server(session.settings)
    with repo:
        lines = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        result = receive(repo, pen, lines, certificate_in(session.settings.environ))
    session.show(result, tasks.received, json.received)
    return Exit.DONE if result.is_accepted else Exit.REFUSED


@click.command(
    "submit",
    cls=Verb,
    example="""
        gitrelease submit orders -m "leave out test customers"
        gitrelease submit jobs/sales/* --dry-run
        gitrelease submit job/orders --delete
    """,
)
@click.argument("items", nargs=-1, metavar="[ITEM]…")
@click.option("--all", "everything", is_flag=True, help="Everything that changed.")
@click.option("-m", "--message", metavar="TEXT", help="Why; one line of at most 128 characters.")
@click.option("--delete", is_flag=True, help="Take the items out of production.")
@click.option("--supersede", is_flag=True, help="Take over versions of others that await release.")
@click.option("--ref", metavar="REV", help="Read the files of this commit, not the working tree.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@session
def submit(
    session: Session,
    *,
    items: tuple[str, ...],
    everything: bool,
    message: str | None,
    delete: bool,
    supersede: bool,
    ref: str | None,
    dry_run: bool,
) -> None:
    """Freeze items as their next versions, which then await release.

    ITEM is a path, a glob, kind/name, or a name where that is clear.
    """
    from gitrelease.commands.submit import SubmitRequest, submit
    from gitrelease.render import json, tasks

    request = SubmitRequest(
        items=session.paths(items) if ref is None else items,
        everything=everything,
        description=message,
        delete=delete,
        supersede=supersede,
        ref=ref,
    )
    session.show(submit(session.desk, request, dry_run=dry_run), tasks.submitted, json.submitted)


@click.group("task", cls=Noun, example="gitrelease task list --state pending")
def task() -> None:
    """Look at submitted versions, and take them back."""


@task.command(
    "list",
    cls=Verb,
    example="""
        gitrelease task list
        gitrelease task list --name ordr --submitter dev-1 --since 7d
    """,
)
@click.option("--name", metavar="FUZZY", help="Part of the name, or something like it.")
@click.option(
    "--submitter",
    metavar="P",
    help="Who submitted it: id, name or e-mail address; an unproven claim is nobody's.",
)
@click.option("--kind", type=click.Choice([str(one) for one in Kind]))
@click.option("--change", type=click.Choice([str(one) for one in Change]))
@click.option("--state", type=click.Choice([str(one) for one in TaskState]))
@span_options("", "Submitted")
@paging_options(TASK_SORTS)
@session
def list_(
    session: Session,
    name: str | None,
    submitter: str | None,
    kind: str | None,
    change: str | None,
    state: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    offset: int,
    sort: str | None,
) -> None:
    """List submitted versions that have a branch; settled ones with --state."""
    from gitrelease.commands.views import Paging, Span, TaskFilter, list_tasks
    from gitrelease.render import json, tasks

    wanted = TaskFilter(
        name=name,
        submitter=submitter,
        kind=Kind(kind) if kind else None,
        change=Change(change) if change else None,
        state=TaskState(state) if state else None,
        submitted=Span(since=since, until=until),
    )
    found = list_tasks(session.desk, wanted, Paging(limit=limit, offset=offset, sort=sort))
    session.show(found, tasks.task_list, lambda one: json.page(one[0], json.task))


@task.command("view", cls=Verb, example="gitrelease task view job/orders/v3 --patch")
@click.argument("task", metavar="TASK", shell_complete=complete_task)
@patch_options
@session
def view(session: Session, *, task: str, stat: bool, patch: bool) -> None:
    """Show a task: what it is, and its difference to the version before.

    TASK is job/orders/v3, or orders where that is clear.
    """
    from gitrelease.cli.look import style_of
    from gitrelease.commands.compare import task_diff
    from gitrelease.commands.views import view_task
    from gitrelease.render import diffs, json, tasks
    from gitrelease.render.text import page

    style = style_of(stat=stat, patch=patch)
    one = view_task(session.desk, task)
    found = task_diff(session.desk, one.task.id)
    session.show(
        one,
        lambda one, paper: page(
            tasks.task_head(one, paper), diffs.comparison(found, style, paper), tasks.task_next(one, paper)
        ),
        lambda one: {**json.task(one), "comparison": json.comparison(found)},
    )


@task.command("revoke", cls=Verb, example="gitrelease task revoke job/orders/v3")
@click.argument("tasks", nargs=-1, required=True, metavar="TASK…", shell_complete=complete_task)
@session
def revoke(session: Session, tasks: tuple[str, ...]) -> None:
    """Take submitted versions back; their numbers are not used again."""
    from gitrelease.commands.revoke import revoke_tasks
    from gitrelease.render import json
    from gitrelease.render import tasks as text

    session.show(revoke_tasks(session.desk, tasks), text.revoked, json.revoked)


@click.command("pull", cls=Verb, example="gitrelease pull")
@session
def pull(session: Session) -> None:
    """Fetch, move the main branch forward, drop working changes that it now holds."""
    from gitrelease.commands.pull import pull
    from gitrelease.render import json, setup

    session.show(pull(session.desk), setup.pulled, json.pulled)


COMMANDS = {"check": check, "submit": submit, "task": task, "pull": pull}
