"""Putting things up for review: releases, packages, rollbacks and the gate."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import click

from gitrelease.cli.frame import (
    Noun,
    Session,
    Verb,
    complete_package,
    complete_release,
    complete_task,
    interval_option,
    paging_options,
    patch_options,
    session,
    span_options,
)
from gitrelease.core.names import PackageName, package_name
from gitrelease.core.status import PACKAGE_SORTS, Status
from gitrelease.errors import Exit, UsageError

if TYPE_CHECKING:
    from gitrelease.commands.merge import MergeResult
    from gitrelease.commands.release import Released
    from gitrelease.commands.review import Said

FINAL = {Status.SUCCESSFUL, Status.FAILED, Status.REFUSED, Status.REVOKED, Status.REJECTED}
"""Where a package that is watched has arrived."""


package_argument = click.argument(
    "package", metavar="PACKAGE", type=package_name, shell_complete=complete_package
)
message_option = click.option("-m", "--message", metavar="TEXT", default="", help="Why.")


@click.command(
    "release",
    cls=Verb,
    example="""
        gitrelease release orders clean-orders
        gitrelease release --all --reviewer dep-1 -m "the winter prices"
    """,
)
@click.argument("tasks", nargs=-1, metavar="[TASK]…", shell_complete=complete_task)
@click.option("--all", "everything", is_flag=True, help="Every task that awaits release.")
@click.option(
    "--reviewer", "reviewers", metavar="P", multiple=True, help="Ask this person as well; repeatable."
)
@click.option("--name", metavar="N", help="The package's name.  [<first item>_<time>]")
@click.option("--execute/--no-execute", default=None, help="Run the jobs once: not in this version.")
@message_option
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@session
def release(
    session: Session,
    *,
    tasks: tuple[str, ...],
    everything: bool,
    reviewers: tuple[str, ...],
    name: str | None,
    execute: bool | None,
    message: str,
    dry_run: bool,
) -> None:
    """Bundle tasks into one package and put it up for review.

    TASK is job/orders/v3, or orders where that is clear.
    """
    from gitrelease.commands.release import Bundle, release

    bundle = Bundle(
        tasks=tasks, everything=everything, reviewers=reviewers, name=name, execute=execute, message=message
    )
    _show_released(session, release(session.desk, bundle, dry_run=dry_run))


def _show_released(session: Session, result: Released) -> None:
    from gitrelease.render import json, packages

    session.show(result, packages.released, json.released)


@click.group("package", cls=Noun, example="gitrelease package list --status pending-review")
def package() -> None:
    """Look at packages, and say yes or no to them."""


@package.command(
    "list",
    cls=Verb,
    example="""
        gitrelease package list --reviewer @me --status pending-review
        gitrelease package list --released-since 7d --sort -released
    """,
)
@click.option("--name", metavar="FUZZY", help="Part of the name, or something like it.")
@click.option("--applicant", metavar="P", help="Who put it up for review; an unproven claim is nobody's.")
@click.option("--reviewer", metavar="P", help="Who is asked to review; @me is you.")
@click.option("--released-by", metavar="P", help="Who brought it to production.")
@click.option("--status", type=click.Choice([str(one) for one in Status]))
@span_options("applied", "Put up for review")
@span_options("released", "Released")
@paging_options(PACKAGE_SORTS)
@session
def list_(
    session: Session,
    name: str | None,
    applicant: str | None,
    reviewer: str | None,
    released_by: str | None,
    status: str | None,
    applied_since: datetime | None,
    applied_until: datetime | None,
    released_since: datetime | None,
    released_until: datetime | None,
    limit: int,
    offset: int,
    sort: str | None,
) -> None:
    """List packages wherever they are: in review, merged, released, rejected or revoked."""
    from gitrelease.commands.views import PackageFilter, Paging, Span, list_packages
    from gitrelease.render import json, packages

    wanted = PackageFilter(
        name=name,
        applicant=applicant,
        reviewer=reviewer,
        released_by=released_by,
        status=Status(status) if status else None,
        applied=Span(since=applied_since, until=applied_until),
        released=Span(since=released_since, until=released_until),
    )
    found = list_packages(session.desk, wanted, Paging(limit=limit, offset=offset, sort=sort))
    session.show(found, packages.package_list, lambda one: json.page(one, json.package))


@package.command("view", cls=Verb, example="gitrelease package view orders_20261122101500 --watch")
@package_argument
@click.option("--watch", is_flag=True, help="Look again until it is released, failed or taken back.")
@interval_option(5.0)
@session
def view(session: Session, *, package: PackageName, watch: bool, interval: float) -> None:
    """Show a package: items, release and startup status, approvals, what is missing."""
    from gitrelease.commands.views import view_package
    from gitrelease.render import json, packages

    summary = view_package(session.desk, package)
    while watch and summary.status not in FINAL:
        before = summary.status
        session.say(f"{package}: {before}")
        while summary.status is before:
            time.sleep(interval)
            summary = view_package(session.desk, package)
    session.show(summary, packages.package_view, json.package)


@package.command("diff", cls=Verb, example="gitrelease package diff orders_20261122101500 --patch")
@package_argument
@click.option("--item", metavar="I", help="Only this item, or those like it.")
@patch_options
@session
def diff(session: Session, *, package: PackageName, item: str | None, stat: bool, patch: bool) -> None:
    """Show what a package changes: exactly the bytes that its reviewers approve."""
    from gitrelease.cli.look import show_comparison, style_of
    from gitrelease.commands.compare import package_diff

    style = style_of(stat=stat, patch=patch)
    show_comparison(session, package_diff(session.desk, package, item), style)


def _show_said(session: Session, result: Said) -> None:
    from gitrelease.render import json, packages

    session.show(result, packages.said, json.said)


@package.command(
    "approve",
    cls=Verb,
    example="""
        gitrelease package approve orders_20261122101500 -m "checked against last week"
        gitrelease package approve orders_20261122101500 --withdraw
    """,
)
@package_argument
@message_option
@click.option("--withdraw", is_flag=True, help="Take back what you said of it, a yes or a no.")
@session
def approve(session: Session, *, package: PackageName, message: str, withdraw: bool) -> None:
    """Say yes to exactly what the package holds now; the last yes that was missing merges it."""
    from gitrelease.commands import review

    said = review.withdraw if withdraw else review.approve
    _show_said(session, said(session.desk, package, message=message))


@package.command(
    "reject", cls=Verb, example='gitrelease package reject orders_20261122101500 -m "wrong currency"'
)
@package_argument
@click.option("-m", "--message", metavar="TEXT", required=True, help="Why.")
@session
def reject(session: Session, package: PackageName, message: str) -> None:
    """Say no, and close the package; its tasks are pending again."""
    from gitrelease.commands import review

    if not message.strip():
        raise UsageError("a rejection says why", hint='write -m "what has to change"')
    _show_said(session, review.reject(session.desk, package, message=message))


@package.command("revoke", cls=Verb, example="gitrelease package revoke orders_20261122101500")
@package_argument
@message_option
@session
def revoke(session: Session, package: PackageName, message: str) -> None:
    """Take an unreleased package back; its tasks are pending again."""
    from gitrelease.commands import review

    _show_said(session, review.revoke(session.desk, package, message=message))


@package.command("merge", cls=Verb, example="gitrelease package merge orders_20261122101500")
@package_argument
@session
def merge(session: Session, package: PackageName) -> None:
    """Merge exactly what was approved, or refuse with what is missing."""
    from gitrelease.commands.merge import merge

    _show_merged(session, merge(session.desk, package))


@package.command(
    "edit", cls=Verb, example="gitrelease package edit orders_20261122101500 --add-reviewer dep-2"
)
@package_argument
@click.option(
    "--add-reviewer", "reviewers", metavar="P", multiple=True, required=True, help="Ask them as well."
)
@session
def edit(session: Session, package: PackageName, reviewers: tuple[str, ...]) -> None:
    """Ask more people to review; approvals stay."""
    from gitrelease.commands import review

    _show_said(session, review.add_reviewers(session.desk, package, reviewers))


@click.command(
    "rollback",
    cls=Verb,
    example="""
        gitrelease rollback orders_20261122101500
        gitrelease rollback orders_20261122101500 --item job/orders
        gitrelease rollback --unapproved
    """,
)
@click.argument(
    "package", metavar="[PACKAGE]", type=package_name, required=False, shell_complete=complete_release
)
@click.option("--item", "items", metavar="ITEM", multiple=True, help="Only this item; repeatable.")
@click.option("--unapproved", is_flag=True, help="Put approved bytes back where main holds others.")
@click.option(
    "--reviewer", "reviewers", metavar="P", multiple=True, help="Ask this person as well; repeatable."
)
@click.option("--name", metavar="N", help="The new package's name.")
@message_option
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@session
def rollback(
    session: Session,
    *,
    package: PackageName | None,
    items: tuple[str, ...],
    unapproved: bool,
    reviewers: tuple[str, ...],
    name: str | None,
    message: str,
    dry_run: bool,
) -> None:
    """Put up a package that brings back what was there before another."""
    from gitrelease.commands.rollback import RollbackRequest, rollback

    request = RollbackRequest(
        package=package, items=items, unapproved=unapproved, reviewers=reviewers, message=message, name=name
    )
    _show_released(session, rollback(session.desk, request, dry_run=dry_run))


@click.command("gate", cls=Verb, example="gitrelease gate orders_20261122101500")
@package_argument
@session
def gate(session: Session, package: PackageName) -> Exit:
    """Give the verdict on a package, and merge it if the workspace has autoMerge (for CI).

    Ends with 0 when it is approved, 3 when it waits for people, 1 when it is refused.
    """
    from gitrelease.commands.merge import gate
    from gitrelease.render import packages

    result = gate(session.desk, package)
    _show_merged(session, result)
    session.write_job_summary("gate", result, packages.merged)
    return verdict_exit(result)


def verdict_exit(result: MergeResult) -> Exit:
    """Say what a verdict means to a script."""
    verdict = result.verdict
    if verdict is None:
        # Known to the ledger, so sync decided long ago; merged but not even readable is nobody's approval.
        return Exit.DONE if result.merge is None else Exit.REFUSED
    if verdict.is_approved:
        return Exit.DONE
    return Exit.REFUSED if verdict.reasons else Exit.WAITING


def _show_merged(session: Session, result: MergeResult) -> None:
    from gitrelease.render import json, packages

    session.show(result, packages.merged, json.merged)


COMMANDS = {"release": release, "package": package, "rollback": rollback, "gate": gate}
