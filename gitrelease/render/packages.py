"""What people see of packages: released, listed, viewed, spoken of and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitrelease.core.package import PlannedItem, Purpose
from gitrelease.core.plan import OutcomeStatus
from gitrelease.core.review import Say
from gitrelease.core.status import ApprovalView, Stance, StartupStatus, Status, Summary
from gitrelease.render.tables import Cell, table
from gitrelease.render.tasks import change_cell, findings_text, rest, versions_text
from gitrelease.render.text import Paper, Tone, clean, clean_lines, listed, next_step, page

if TYPE_CHECKING:
    from gitrelease.commands.merge import MergeResult
    from gitrelease.commands.release import Released
    from gitrelease.commands.review import Said
    from gitrelease.commands.views import Listed

EXECUTE = "Execute jobs in the package immediately after it is released"
"""The words of the DataArts console (design 4)."""

STATUS_TONES = {
    Status.SUCCESSFUL: Tone.GOOD,
    Status.APPROVED: Tone.GOOD,
    Status.MERGED: Tone.WAITING,
    Status.RELEASING: Tone.WAITING,
    Status.PENDING_REVIEW: Tone.WAITING,
    Status.DRAFT: Tone.WAITING,
    Status.CHANGES_REQUESTED: Tone.BAD,
    Status.FAILED: Tone.BAD,
    Status.REFUSED: Tone.BAD,
    Status.REJECTED: Tone.BAD,
    Status.REVOKED: Tone.DIM,
}
OUTCOME_TONES = {
    OutcomeStatus.SUCCESSFUL: Tone.GOOD,
    OutcomeStatus.FAILED: Tone.BAD,
    OutcomeStatus.DRIFTED: Tone.BAD,
    OutcomeStatus.SKIPPED: Tone.BAD,
    OutcomeStatus.RELEASING: Tone.WAITING,
    OutcomeStatus.PENDING: Tone.WAITING,
    OutcomeStatus.SUPERSEDED: Tone.DIM,
}
_STARTUP_TONES = {
    StartupStatus.STARTED: Tone.GOOD,
    StartupStatus.STARTING: Tone.WAITING,
    StartupStatus.FAILED: Tone.BAD,
    StartupStatus.UNKNOWN: Tone.BAD,
}
_PURPOSES = {
    Purpose.RELEASE: "release",
    Purpose.ROLLBACK: "rollback",
    Purpose.IMPORT: "import",
    Purpose.RESTORE: "restore of what was approved",
}


_UNCOUNTED = {
    "approved": "approved",
    "changes-requested": "asked for changes",
    "withdrawn": "took back what they said",
    "unreadable": "added a commit",
}


def released(result: Released, paper: Paper) -> str:
    """Show the package that a release made, or would make."""
    manifest = result.manifest
    if result.is_dry_run:
        how = "would be put up for review"
    elif result.is_old:
        how = "is up for review already"
    else:
        how = "is up for review"
    purpose = "" if manifest.purpose is Purpose.RELEASE else f" ({_PURPOSES[manifest.purpose]})"
    head = f"package {paper.paint(clean(manifest.name), Tone.STRONG)} {how}{purpose}"
    rows = [_planned_row(planned) for planned in manifest.items]
    items = table(("ITEM", "CHANGE", "VERSION", "SUBMITTER", "NOTE"), rows, paper)
    if manifest.restores:
        titles = ("PATH", "GOES BACK TO")
        items += table(titles, [(one.path, "what was approved") for one in manifest.restores], paper)
    facts = [f"{EXECUTE}: {'yes' if manifest.execute else 'no'}", f"Reviewers asked: {listed(result.asked)}"]
    if result.is_dry_run:
        step = "nothing was changed: this was a dry run"
    else:
        step = next_step(paper, f"gitrelease package approve {clean(manifest.name)}", "by a reviewer")
    return page(findings_text(result.findings, paper), head, items, "\n".join(facts), step)


def _planned_row(planned: PlannedItem) -> tuple[object, ...]:
    before = planned.before.version if planned.before and planned.before.exists else None
    note = "formatting only" if planned.formatting_only else ""
    return (
        planned.item,
        change_cell(planned.change),
        versions_text(before, planned.after.version),
        listed(planned.submitters),
        note,
    )


def package_list(found: Listed[Summary], paper: Paper) -> str:
    """Show a list of packages."""
    rows = [
        (
            one.name,
            status_cell(one.status),
            len(one.items),
            f"{one.applicant}, {paper.short_time(one.applied_at)}",
            f"{one.released_by or '-'}, {paper.short_time(one.released_at)}" if one.released_at else "",
            listed(one.reviewers),
        )
        for one in found.items
    ]
    titles = ("PACKAGE", "STATUS", "ITEMS", "APPLIED", "RELEASED", "REVIEWERS")
    return page(table(titles, rows, paper, firm=5) or "no packages", rest(found, paper))


def status_cell(status: Status) -> Cell:
    """Show where a package stands."""
    return Cell(status, STATUS_TONES[status])


def package_view(summary: Summary, paper: Paper) -> str:
    """Show one package: items, release status, startup status, approvals, what is missing."""
    status = paper.paint(summary.status, STATUS_TONES[summary.status])
    head = [f"{paper.paint(clean(summary.name), Tone.STRONG)}  {status}"]
    purpose = _PURPOSES.get(Purpose(summary.purpose), summary.purpose)
    head.append(f"{purpose}, applied for by {clean(summary.applicant)}, {paper.time(summary.applied_at)}")
    if summary.released_at is not None:
        by = f" by {clean(summary.released_by)}" if summary.released_by else ""
        head.append(f"released{by}, {paper.time(summary.released_at)}")
    head.append(f"{EXECUTE}: {'yes' if summary.execute else 'no'}")
    if summary.url:
        head.append(clean(summary.url))
    words = "".join(f"  {line}\n" for line in clean_lines(summary.description).splitlines())
    return page(
        "\n".join(head), words, _items(summary, paper), _review(summary, paper), _package_next(summary, paper)
    )


def _items(summary: Summary, paper: Paper) -> str:
    rows = [
        (
            one.item,
            change_cell(one.change),
            versions_text(one.previous_version, one.version),
            one.submitter,
            Cell(one.release, OUTCOME_TONES[one.release]),
            Cell(one.startup, _STARTUP_TONES.get(one.startup)),
        )
        for one in summary.items
    ]
    titles = ("ITEM", "CHANGE", "VERSION", "SUBMITTER", "RELEASE", "STARTUP")
    errors = [f"{one.item}: {clean_lines(one.error)}" for one in summary.items if one.error]
    return table(titles, rows, paper) + "".join(f"{paper.paint(line, Tone.BAD)}\n" for line in errors)


def _review(summary: Summary, paper: Paper) -> str:
    lines = [f"Reviewers: {listed(summary.reviewers) or '-'}"]
    for one in summary.approvals:
        tone = Tone.GOOD if one.verdict is Stance.APPROVED else Tone.BAD
        lines.append(f"  {paper.paint(clean(one.verdict), tone)} by {clean(one.person)}, {_said(one, paper)}")
    for one in summary.uncounted:
        word = _UNCOUNTED.get(one.verdict) or clean(one.verdict)
        why = f", {paper.paint('does not count:', Tone.DIM)} {clean(one.why)};" if one.why else ","
        lines.append(f"  {clean(one.person)} {word}{why} {_said(one, paper)}")
    lines += [f"  {paper.paint('missing:', Tone.WAITING)} {clean(reason)}" for reason in summary.missing]
    lines += [f"  {paper.paint('refused:', Tone.BAD)} {clean(reason)}" for reason in summary.reasons]
    return "\n".join(lines)


def _said(one: ApprovalView, paper: Paper) -> str:
    return f"{paper.time(one.at)}: {clean(one.message)}" if one.message else paper.time(one.at)


def _package_next(summary: Summary, paper: Paper) -> str:
    name = clean(summary.name)
    vetoes = [one for one in summary.approvals if one.verdict is Stance.CHANGES_REQUESTED]
    match summary.status:
        case Status.DRAFT:
            return next_step(paper, "gitrelease release", "again with the same tasks, opens the review")
        case Status.PENDING_REVIEW if summary.reasons:
            return next_step(
                paper, f"gitrelease package revoke {name}", "by its applicant, then release again"
            )
        case Status.PENDING_REVIEW:
            return next_step(paper, f"gitrelease package approve {name}", "by a reviewer")
        case Status.CHANGES_REQUESTED:
            return next_step(
                paper, f"gitrelease package revoke {name}", "by its applicant; or who objected approves"
            )
        case Status.APPROVED:
            return next_step(paper, f"gitrelease package merge {name}")
        case Status.MERGED if len(summary.reasons) > len(vetoes):
            return next_step(paper, "gitrelease rollback --unapproved", "puts back what was approved")
        case Status.MERGED if summary.reasons:
            return next_step(
                paper, f"gitrelease package approve {name}", "by who objected: a late yes counts"
            )
        case Status.MERGED if summary.missing:
            return next_step(paper, f"gitrelease package approve {name}", "by a reviewer: a late yes counts")
        case Status.MERGED | Status.RELEASING:
            return next_step(paper, "gitrelease sync", "by a runner, brings it to production")
        case Status.FAILED:
            return next_step(paper, "gitrelease sync --retry", "by a runner, once the cause is mended")
        case Status.REFUSED | Status.REVOKED | Status.REJECTED:
            return next_step(paper, "gitrelease release TASK…", "makes a new package")
        case Status.SUCCESSFUL:
            return next_step(paper, f"gitrelease compare {name}", "shows what it changed")


# What people say.

_VERBS = {
    Say.APPROVE: ("approved", "had approved"),
    Say.REJECT: ("rejected", "had rejected"),
    Say.WITHDRAW: ("took back what they said of", "had taken back what they said of"),
    Say.REVOKE: ("revoked", "had revoked"),
    Say.ASK: ("asked reviewers for", "had asked these reviewers for"),
}


def said(result: Said, paper: Paper) -> str:
    """Show what somebody said of a package, and what follows."""
    now, before = _VERBS[result.say]
    verb = before if result.was_said else now
    name = paper.paint(clean(result.package), Tone.STRONG)
    line = f"{clean(result.by)} {verb} {name}{' already' if result.was_said else ''}"
    package = clean(result.package)
    match result.say:
        case Say.APPROVE if result.merged is not None:
            return f"{line} ({result.head:.7})\n" + merged(result.merged, paper)
        case Say.REJECT if result.is_too_late:
            line += "; that came too late: sync is applying it, or has"
            step = next_step(paper, f"gitrelease rollback {package}", "goes back to what was there before")
        case Say.REJECT if result.is_late:
            line += "; it is merged, and sync does not apply it"
            step = next_step(paper, "gitrelease rollback --unapproved", "puts back what was approved")
        case Say.REJECT | Say.REVOKE:
            line += "; its tasks are pending again"
            step = next_step(paper, "gitrelease task list", "shows them")
        case Say.ASK:
            line += f": {', '.join(clean(who) for who in result.asked)}"
            step = next_step(paper, f"gitrelease package approve {package}", "by a reviewer")
        case _:
            step = next_step(paper, f"gitrelease package view {package}")
    return page(line, step)


def merged(result: MergeResult, paper: Paper) -> str:
    """Show the verdict on a package, and whether it is merged."""
    name = clean(result.package)
    verdict = result.verdict
    if result.was_merged:
        where = f" as {result.merge:.7}" if result.merge else ""
        lines = [f"{name} was merged before{where}"]
    elif result.merge is not None:
        lines = [f"{name} is {paper.paint('approved', Tone.GOOD)} and merged as {result.merge:.7}"]
    elif verdict is not None and verdict.is_approved:
        lines = [f"{name} is {paper.paint('approved', Tone.GOOD)} and not merged yet"]
    elif verdict is not None and verdict.reasons:
        lines = [f"{name} is {paper.paint('refused', Tone.BAD)}"]
    else:
        lines = [f"{name} is {paper.paint('waiting for approval', Tone.WAITING)}"]
    if verdict is not None:
        lines += [f"  approved by {clean(one.actor.member)}" for one in verdict.approvals]
        lines += [f"  refused: {clean(reason.message)}" for reason in verdict.reasons]
        lines += [f"  missing: {clean(reason.message)}" for reason in verdict.missing]
    if result.merge is not None and (verdict is None or verdict.is_approved):
        step = next_step(paper, "gitrelease sync", "by a runner, brings it to production")
    elif verdict is not None and verdict.is_approved:
        step = next_step(paper, f"gitrelease package merge {name}")
    else:
        step = next_step(paper, f"gitrelease package view {name}")
    return page("\n".join(lines), step)
