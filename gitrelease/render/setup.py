"""What people see of beginnings and of their clone: init, import, pull, and the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitrelease.render.tables import Cell, table
from gitrelease.render.tasks import findings_text
from gitrelease.render.text import Paper, Tone, clean, clean_lines, count, listed, next_step, page

if TYPE_CHECKING:
    from gitrelease.commands.importing import ImportResult
    from gitrelease.commands.init import InitResult
    from gitrelease.commands.pull import Pulled
    from gitrelease.commands.server import ServerMade
    from gitrelease.commands.workspace import ReviewersResult, RuleLine, WorkspaceView


def notes_text(notes: tuple[str, ...], paper: Paper) -> str:
    """Write what else there is to say."""
    return "".join(f"{paper.paint('note:', Tone.WAITING)} {clean_lines(note)}\n" for note in notes)


def begun(result: InitResult, paper: Paper) -> str:
    """Show the release repository that was made."""
    name = paper.paint(clean(result.workspace.name), Tone.STRONG)
    how = "was there already" if result.is_old else "is ready"
    head = f"the workspace {name} {how} in {clean(result.folder)}"
    if result.taken_over:
        head += f"\n{count(result.taken_over, 'item')} taken over, not reviewed"
    root = (
        f"trust root: {result.root}\n"
        "Keep it outside the repository too: runners get it as GITRELEASE_ROOT, and refuse any other ledger."
    )
    step = next_step(paper, "gitrelease submit --all", "once there are jobs below jobs/")
    findings = findings_text(result.findings, paper)
    return page(findings, head, root, notes_text(result.notes, paper), step)


def server(result: ServerMade, paper: Paper) -> str:
    """Show a server that was made, or was given its hooks anew."""
    where = clean(result.folder)
    step = next_step(
        paper, f"gitrelease init --server {where}", "in a folder of jobs, or `gitrelease init` in a clone"
    )
    return page(_server(result, paper), "" if result.root else step)


def begun_with_server(both: tuple[ServerMade | None, InitResult], paper: Paper) -> str:
    """Show the release repository that was made, below the server that was made for it, if one was."""
    made, result = both
    return page("" if made is None else _server(made, paper), begun(result, paper))


def _server(result: ServerMade, paper: Paper) -> str:
    how = "is ready" if result.is_new else "has its hooks"
    head = f"the server {paper.paint(clean(result.folder), Tone.STRONG)} {how}: it checks every push"
    root = f"it takes no other trust root than {result.root}" if result.root else ""
    return page(head + (f"\n{root}" if root else ""), notes_text(result.notes, paper)).rstrip("\n")


def imported(result: ImportResult, paper: Paper) -> str:
    """Show what an import wrote, and what it left alone."""
    rows = [(Cell("wrote", Tone.GOOD), item) for item in result.written]
    rows += [(Cell("skipped", Tone.DIM), item) for item in result.skipped]
    total = f"{count(len(result.written), 'item')} written, {len(result.skipped)} skipped"
    step = next_step(paper, "gitrelease submit --all", "makes tasks of them") if result.written else ""
    return page(
        findings_text(result.findings, paper),
        table(("", ""), rows, paper),
        notes_text(result.notes, paper),
        total,
        step,
    )


def pulled(result: Pulled, paper: Paper) -> str:
    """Show how the clone was brought up to date."""
    if result.before == result.after:
        moved = "the main branch has nothing new"
    else:
        before = f"{result.before:.7}" if result.before else "nothing"
        moved = f"the main branch went from {before} to {result.after:.7}"
    rows = [("dropped, as the main branch holds it now", path) for path in result.dropped]
    rows += [("kept", path) for path in result.kept]
    step = next_step(paper, "gitrelease status", "shows what is not submitted") if result.kept else ""
    return page(moved, table(("", ""), rows, paper), notes_text(result.notes, paper), step)


# The workspace.


def workspace(result: WorkspaceView, paper: Paper) -> str:
    """Show the effective workspace, and the line to change each part of it."""
    shown = result.workspace
    review = shown.review
    head = f"{paper.paint(clean(shown.name), Tone.STRONG)}, version {shown.version}"
    rows = [
        (
            one.id,
            listed(sorted(one.roles)),
            "" if one.is_team else "yes" if one.can_sign else Cell("no key", Tone.WAITING),
            one.place,
        )
        for one in result.members
    ]
    facts = [
        f"approvals: {review.approvals}, of a rollback: {review.rollback_approvals}",
        f"signatures: {review.signatures}",
        f"merged by the last approval that was missing: {'yes' if review.auto_merge else 'no'}",
        f"jobs are executed after release: {'yes' if review.execute else 'no'}",
    ]
    targets = [(one.name, one.type) for one in shown.targets]
    return page(
        head,
        table(("MEMBER", "ROLES", "SIGNS", "LINE"), rows, paper),
        "\n".join(facts),
        _rules(result.rules, paper),
        table(("TARGET", "TYPE"), targets, paper) or "no targets",
        _how_to_change(result.commands, paper),
    )


def reviewers(result: ReviewersResult, paper: Paper) -> str:
    """Show who may review, and the file, line and command to change it."""
    rows = [
        (
            one.id,
            listed(sorted(one.roles)),
            "yes" if one.may_approve_workspace else "no",
            listed(path for rule in one.rules for path in rule.paths) or "-",
            one.place,
        )
        for one in result.reviewers
    ]
    facts = [
        f"approvals needed: {result.approvals}, for a rollback: {result.rollback_approvals}"
        f" ({result.review})",
        f"to add somebody: give them the role deployer or admin ({result.members})",
    ]
    titles = ("REVIEWER", "BY ROLE", "WORKSPACE CHANGES", "REQUIRED FOR", "LINE")
    return page(
        table(titles, rows, paper) or "nobody may review",
        _rules(result.rules, paper),
        "\n".join(facts),
        _how_to_change(result.commands, paper),
    )


def _rules(rules: tuple[RuleLine, ...], paper: Paper) -> str:
    rows = [(listed(one.rule.paths), one.rule.approvals, listed(one.rule.people), one.place) for one in rules]
    return table(("PATHS", "APPROVALS", "FROM", "LINE"), rows, paper)


def _how_to_change(commands: tuple[str, ...], paper: Paper) -> str:
    return "\n".join(
        next_step(paper, command, "after editing workspace.yaml" if n == 0 else "an admin approves it")
        for n, command in enumerate(commands)
    )
