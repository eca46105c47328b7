"""Looking: differences between releases and versions, and the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gitrelease.cli.frame import Noun, Session, Verb, complete_release, later_option, patch_options, session
from gitrelease.core.names import package_name
from gitrelease.errors import UsageError

if TYPE_CHECKING:
    from gitrelease.core.compare import Comparison
    from gitrelease.render.diffs import Style


def style_of(*, stat: bool, patch: bool) -> Style:
    """Say how a difference is to be shown."""
    from gitrelease.render.diffs import Style

    if stat and patch:
        raise UsageError("give --stat or --patch, not both")
    return Style.STAT if stat else Style.PATCH if patch else Style.MEANING


def show_comparison(session: Session, found: Comparison, style: Style) -> None:
    """Show what is different."""
    from gitrelease.render import diffs, json

    session.show(found, lambda one, paper: diffs.comparison(one, style, paper), json.comparison)


@click.command(
    "compare",
    cls=Verb,
    example="""
        gitrelease compare orders_20261122101500                          with the release before it
        gitrelease compare orders_20261115090000 orders_20261122101500 --stat
    """,
)
@click.argument(
    "releases", nargs=-1, required=True, metavar="RELEASE [RELEASE]", shell_complete=complete_release
)
@click.option("--item", metavar="I", help="Only this item, or those like it.")
@patch_options
@later_option("--html", metavar="FILE", hint="--patch shows the lines, --json gives everything")
@session
def compare(
    session: Session, *, releases: tuple[str, ...], item: str | None, stat: bool, patch: bool
) -> None:
    """Show how two releases differ; one alone is compared with the one before it."""
    from gitrelease.commands.compare import compare

    if len(releases) > 2:
        raise UsageError("two releases can be compared, not more")
    style = style_of(stat=stat, patch=patch)
    *before, after = [package_name(name) for name in releases]
    found = compare(
        session.desk,
        before=before[0] if before else None,
        after=after,
        item=item,
        only_counts=stat and not session.settings.json,
    )
    show_comparison(session, found, style)


@click.group("version", cls=Noun, example="gitrelease version list orders")
def version() -> None:
    """Look at every version of an item, and bring one back."""


@version.command("list", cls=Verb, example="gitrelease version list job/orders")
@click.argument("item", metavar="ITEM")
@session
def list_(session: Session, item: str) -> None:
    """List every version of an item: number, who, when, why, where it is now."""
    from gitrelease.commands.version import versions
    from gitrelease.render import diffs, json

    session.show(versions(session.desk, session.path(item)), diffs.version_list, json.versions)


@version.command(
    "diff",
    cls=Verb,
    example="""
        gitrelease version diff orders            working files against the main branch
        gitrelease version diff orders 3          working files against version 3
        gitrelease version diff orders 3 5
    """,
)
@click.argument("item", metavar="ITEM")
@click.argument("numbers", nargs=-1, type=click.IntRange(min=1), metavar="[N [N]]")
@patch_options
@session
def diff(session: Session, *, item: str, numbers: tuple[int, ...], stat: bool, patch: bool) -> None:
    """Show how two versions of an item differ, or its working files from one."""
    from gitrelease.commands.version import version_diff

    style = style_of(stat=stat, patch=patch)
    show_comparison(session, version_diff(session.desk, session.path(item), numbers), style)


@version.command("restore", cls=Verb, example="gitrelease version restore orders 3")
@click.argument("item", metavar="ITEM")
@click.argument("number", type=click.IntRange(min=1), metavar="N")
@click.option("--force", is_flag=True, help="Give up working changes that were never submitted.")
@session
def restore(session: Session, *, item: str, number: int, force: bool) -> None:
    """Make the working files of an item those of one of its versions."""
    from gitrelease.commands.version import restore
    from gitrelease.render import diffs, json

    found = restore(session.desk, session.path(item), number, force=force)
    session.show(found, diffs.restored, json.restored)


@click.group("workspace", cls=Noun, example="gitrelease workspace reviewers")
def workspace() -> None:
    """Look at people, roles, review rules and production."""


@workspace.command("view", cls=Verb, example="gitrelease workspace view")
@session
def view(session: Session) -> None:
    """Show the workspace as it was last approved, and the line of each part."""
    from gitrelease.commands.workspace import view
    from gitrelease.render import json, setup

    session.show(view(session.desk), setup.workspace, json.workspace)


@workspace.command("reviewers", cls=Verb, example="gitrelease workspace reviewers")
@session
def reviewers(session: Session) -> None:
    """Show who may review, and the file, line and command to change it."""
    from gitrelease.commands.workspace import reviewers
    from gitrelease.render import json, setup

    session.show(reviewers(session.desk), setup.reviewers, json.reviewers)


COMMANDS = {"compare": compare, "version": version, "workspace": workspace}
