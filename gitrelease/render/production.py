"""What people see of production: sync, status and verify."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gitrelease.core.ledger import ItemResult
from gitrelease.core.names import PackageName
from gitrelease.core.status import Status
from gitrelease.render.packages import OUTCOME_TONES, STATUS_TONES
from gitrelease.render.tables import Cell, table
from gitrelease.render.tasks import findings_text
from gitrelease.render.text import Paper, Tone, clean, clean_lines, count, next_step, page

if TYPE_CHECKING:
    from gitrelease.commands.status import StatusResult, TargetStatus
    from gitrelease.commands.sync import PackageSync, SyncResult
    from gitrelease.commands.verify import VerifyResult


# Sync.


def synced(result: SyncResult, paper: Paper) -> str:
    """Show what a sync did, or would do, and what it leaves alone."""
    parts = []
    if result.is_dry_run:
        lines = "".join(f"would do the {one.work}\n" for one in result.other)
        lines += "".join(f"would release {clean(one.name)}\n" for one in result.packages)
        parts.append(lines or "nothing outstanding")
    else:
        parts += [_package(one, paper) for one in result.packages]
        parts += [_results(f"{one.work}", one.status, one.results, one.note, paper) for one in result.other]
        if not parts:
            parts.append("nothing outstanding")
    parts.append(_left_alone(result, paper))
    parts.append("".join(f"note: {clean_lines(note)}\n" for note in result.notes))
    parts.append(_sync_next(result, paper))
    return page(*parts)


def _package(one: PackageSync, paper: Paper) -> str:
    reasons = "".join(f"  {clean(reason)}\n" for reason in one.reasons)
    return _results(clean(one.name), one.status, one.results, one.note, paper) + reasons


def _results(name: str, status: Status, results: Sequence[ItemResult], note: str, paper: Paper) -> str:
    head = f"{paper.paint(clean(name), Tone.STRONG)}  {paper.paint(status, STATUS_TONES[status])}\n"
    rows = [
        (
            one.item,
            one.version,
            one.target,
            Cell(one.outcome.status, OUTCOME_TONES[one.outcome.status]),
        )
        for one in results
    ]
    body = table(("ITEM", "VERSION", "TARGET", "RELEASE"), rows, paper, indent=2)
    body += "".join(
        paper.paint(f"  {clean(one.item)} on {clean(one.target)}: {clean_lines(one.outcome.error)}", Tone.BAD)
        + "\n"
        for one in results
        if one.outcome.error
    )
    return head + body + (f"  {clean(note)}\n" if note else "")


def _left_alone(result: SyncResult, paper: Paper) -> str:
    lines = [
        f"{paper.paint('not approved:', Tone.BAD)} {clean(one.name)}: {clean('; '.join(one.reasons))}"
        for one in result.waiting
    ]
    lines += [
        f"{paper.paint('unapproved:', Tone.BAD)} {clean(path)} is on the main branch as nobody approved it"
        for path in result.unapproved
    ]
    lines += [
        f"{paper.paint('drifted:', Tone.BAD)} {item} on {clean(target)} is not what the ledger says"
        for target, item in result.drifted
    ]
    lines += [
        f"{paper.paint('foreign:', Tone.BAD)} {clean(path)} on {clean(target)} was released by nobody; remove it there"
        for target, path in result.foreign
    ]
    lines += [
        f"{paper.paint('unreachable:', Tone.BAD)} {clean(target)}: {clean(why)}"
        for target, why in result.unreachable
    ]
    lines += [
        f"{paper.paint('behind:', Tone.WAITING)} {item} on {clean(target)} is not what was released last"
        for target, item in result.behind
    ]
    return "\n".join(lines)


def _sync_next(result: SyncResult, paper: Paper) -> str:
    steps = []
    if result.is_dry_run and (result.packages or result.other):
        steps.append(next_step(paper, "gitrelease sync"))
    elif any(one.status is Status.FAILED for one in result.packages) or result.behind:
        steps.append(next_step(paper, "gitrelease sync --retry", "once the cause is mended"))
    if result.drifted:
        items = " ".join(dict.fromkeys(str(item) for _, item in result.drifted))
        steps.append(
            next_step(paper, f"gitrelease sync --repair {items}", "brings back what the ledger says")
        )
    if result.waiting:
        steps.append(_view(result.waiting[0].name, paper))
    elif result.unapproved:
        steps.append(next_step(paper, "gitrelease rollback --unapproved", "puts back what was approved"))
    return "\n".join(steps)


# Status.


def status(result: StatusResult, paper: Paper) -> str:
    """Show what is not submitted, and production against the main branch."""
    here = [f"not submitted: {clean(item)}" for item in result.unsubmitted]
    here += [f"{paper.paint('no item:', Tone.BAD)} {clean(path)}" for path in result.strays]
    working = "working files\n" + ("".join(f"  {line}\n" for line in here) or "  nothing to submit\n")
    merged = "".join(
        f"  {clean(name)}  {paper.paint(where, STATUS_TONES[where])}"
        + (f", {paper.paint('not approved', Tone.BAD)}\n" if name in result.not_approved else "\n")
        for name, where in result.packages
    )
    packages = f"packages on the main branch that production does not have\n{merged}" if merged else ""
    targets = "production\n" + "".join(_target(one, paper) for one in result.targets)
    if not result.targets:
        targets += "  no targets; workspace.yaml names them under production.targets\n"
    busy = f"a runner is at work: {clean(result.syncing)}" if result.syncing else ""
    findings = findings_text(result.findings, paper)
    return page(working, packages, targets, busy, findings, _status_next(result, paper))


def _target(one: TargetStatus, paper: Paper) -> str:
    groups: Iterable[tuple[str, Sequence[object], Tone]] = (
        ("outstanding", one.outstanding, Tone.WAITING),
        ("drifted", one.drifted, Tone.BAD),
        ("unapproved", one.unapproved, Tone.BAD),
        ("foreign", one.foreign, Tone.BAD),
    )
    found = [(word, items, tone) for word, items, tone in groups if items]
    if one.unreachable is not None:
        words = [paper.paint("cannot be looked at from here", Tone.BAD)]
        lines = [f"    {clean(one.unreachable)}"]
    else:
        words, lines = [], []
    if not found and not words:
        return f"  {clean(one.name)}: {paper.paint('in line', Tone.GOOD)}\n"
    words += [paper.paint(f"{len(items)} {word}", tone) for word, items, tone in found]
    lines += [f"    {word}: {clean(item)}" for word, items, _ in found for item in items]
    return f"  {clean(one.name)}: {', '.join(words)}\n" + "".join(f"{line}\n" for line in lines)


def _status_next(result: StatusResult, paper: Paper) -> str:
    steps = []
    if result.unsubmitted:
        steps.append(next_step(paper, f"gitrelease submit {_some(result.unsubmitted)}"))
    waits = any(set(one.outstanding) - set(one.behind) for one in result.targets)
    if waits or len(result.packages) > len(result.not_approved):
        steps.append(next_step(paper, "gitrelease sync", "by a runner, brings production in line"))
    if any(one.behind for one in result.targets):
        steps.append(next_step(paper, "gitrelease sync --retry", "by a runner, once the cause is mended"))
    if result.not_approved:
        steps.append(_view(result.not_approved[0], paper))
    drifted = dict.fromkeys(item for one in result.targets for item in one.drifted)
    if drifted:
        steps.append(next_step(paper, f"gitrelease sync --repair {' '.join(map(str, drifted))}"))
    if any(one.unapproved for one in result.targets):
        steps.append(next_step(paper, "gitrelease rollback --unapproved", "puts back what was approved"))
    return "\n".join(steps)


def _view(package: PackageName, paper: Paper) -> str:
    return next_step(paper, f"gitrelease package view {clean(package)}", "says what it lacks, and what to do")


def _some(items: Sequence[object]) -> str:
    return " ".join(str(item) for item in items) if len(items) <= 5 else "--all"


# Verify.


def verified(result: VerifyResult, paper: Paper) -> str:
    """Show whether the whole chain of releases holds."""
    broken = "".join(
        f"{paper.paint('broken:', Tone.BAD)} promise {one.promise}: {clean(one.ref)}: {clean(one.why)}\n"
        for one in result.broken
    )
    unchecked = "".join(
        f"{paper.paint('not yet checked:', Tone.WAITING)} {clean(one.package)} ({one.merge:.7}) is merged and waits"
        f" for sync; GitHub could not be asked: {clean(one.why)}\n"
        for one in result.unchecked
    )
    if result.ok:
        verdict = paper.paint("the chain of releases holds", Tone.GOOD)
    else:
        verdict = paper.paint("the chain of releases is broken", Tone.BAD)
        verdict += f" in {count(len(result.broken), 'place')}"
    seen = result.checked
    checked = (
        f"checked {count(seen.receipts, 'receipt')}, {count(seen.packages, 'package')},"
        f" {count(seen.items, 'version')}, {count(seen.signatures, 'signature')}"
    )
    taken = len(result.taken_over)
    if taken:
        checked += f"\n{count(taken, 'item')} taken over at the beginning, not reviewed"
    if result.since is not None:
        checked += (
            f"\nas this clone found it before, up to {result.since:.7}; `gitrelease verify` looks at all"
        )
    root = ""
    if not result.is_root_known:
        root = (
            f"{paper.paint('note:', Tone.WAITING)} that {clean(result.root)} is the trust root is only what"
            " this clone says;\nset GITRELEASE_ROOT to what `gitrelease init` printed to have it checked too"
        )
    return page(broken + unchecked, f"{verdict}\n{checked}", root)
