"""Production: bringing it in line, seeing how it stands, and checking the whole past."""

from __future__ import annotations

import click

from gitrelease.cli.frame import Session, Verb, interval_option, later_command, later_option, session
from gitrelease.errors import Exit, GitReleaseError, UsageError


@click.command(
    "sync",
    cls=Verb,
    example="""
        gitrelease sync                       all that is outstanding
        gitrelease sync --watch
        gitrelease sync --repair job/orders   bring back what the ledger says
    """,
)
@click.argument("items", nargs=-1, metavar="[ITEM]…")
@click.option("--watch", is_flag=True, help="Stay, and look again and again.")
@interval_option(10.0)
@click.option("--retry", is_flag=True, help="Deploy the newest approved version of what failed.")
@click.option("--repair", is_flag=True, help="Bring the items named back to what the ledger says.")
@later_option("--wait", hint="look with `gitrelease status`, or stay with --watch")
@click.option("--dry-run", is_flag=True, help="Say what would be done, change nothing.")
@session
def sync(
    session: Session,
    *,
    items: tuple[str, ...],
    watch: bool,
    interval: float,
    retry: bool,
    repair: bool,
    dry_run: bool,
) -> Exit:
    """Bring production in line with what was approved and merged (for CI and runners)."""
    from gitrelease.commands.server import wait_for_push, woken
    from gitrelease.commands.sync import SyncRequest, sync
    from gitrelease.render import json, production

    if repair != bool(items):
        raise UsageError(
            "--repair names items, and only --repair does", hint="gitrelease sync --repair job/orders"
        )
    if watch and dry_run:
        raise UsageError("--watch and --dry-run do not go together")
    request = SyncRequest(retry=retry, repair=items, dry_run=dry_run)
    last = ""
    while True:
        seen = woken(session.desk.repo)
        try:
            result = sync(session.desk, request)
        except GitReleaseError as failure:
            if not watch or failure.exit is Exit.CREDENTIALS:
                raise
            session.say(f"{failure.message}; trying again in {interval:g} seconds")
        else:
            shown = str(result)
            if shown != last:
                session.show(result, production.synced, json.synced)
                session.write_job_summary("sync", result, production.synced)
            last = shown
            if not watch:
                return result.exit
            request = SyncRequest()
        wait_for_push(session.desk.repo, seen, interval)


@click.command("status", cls=Verb, example="gitrelease status")
@session
def status(session: Session) -> Exit:
    """Show what is not submitted, and production against the main branch.

    Ends with 0 when production is in line, 3 when something is outstanding, 1 when it drifted or holds what
    nobody approved.
    """
    from gitrelease.commands.status import status
    from gitrelease.render import json, production

    result = status(session.desk)
    session.show(result, production.status, json.status)
    return result.exit


@click.command("verify", cls=Verb, example="gitrelease verify\ngitrelease verify --since-last")
@click.option(
    "--since-last",
    is_flag=True,
    help="Begin where this clone was last found in order so, and note how far it is now.",
)
@session
def verify(session: Session, *, since_last: bool) -> Exit:
    """Check the whole chain of releases, offline, from a clone.

    All that was ever released is looked at, which takes as long as there is much of it. With --since-last what
    this clone was found to be in order for before is believed, and only what came since is looked at.

    Ends with 0 when everything holds, 1 when something is broken, and 3 when a package that waits for sync can be
    checked only with GitHub, which could not be asked.
    """
    from gitrelease.commands.verify import verify
    from gitrelease.render import json, production

    result = verify(session.desk, since_last=since_last)
    session.show(result, production.verified, json.verified)
    return result.exit


run = later_command(
    "run",
    "Start, watch and cancel jobs in production by hand.",
    example="gitrelease run start orders",
    hint="run the job in the system that `workspace.yaml` names as production",
)

COMMANDS = {"sync": sync, "status": status, "verify": verify, "run": run}
