"""What people see of checking, submitting and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from gitrelease.core.finding import Finding, Severity, has_errors
from gitrelease.core.item import Change
from gitrelease.core.names import TaskId
from gitrelease.core.task import TaskStanding, TaskState
from gitrelease.render.tables import Cell, table
from gitrelease.render.text import Paper, Tone, clean, count, fit, listed, next_step, page

if TYPE_CHECKING:  # render shows what commands give, and calls none of them
    from gitrelease.commands.check import CheckResult
    from gitrelease.commands.receiving import Received
    from gitrelease.commands.revoke import Revoked
    from gitrelease.commands.submit import SubmitResult, Submitted
    from gitrelease.commands.views import Listed
    from gitrelease.reading.standing import Standings

Shown = TypeVar("Shown")

CHANGE_TONES = {Change.ADD: Tone.GOOD, Change.MODIFY: Tone.CHANGED, Change.DELETE: Tone.BAD}
_STATE_TONES = {
    TaskState.PENDING: Tone.WAITING,
    TaskState.IN_REVIEW: Tone.WAITING,
    TaskState.RELEASED: Tone.GOOD,
}


def change_cell(change: Change) -> Cell:
    """Show what happens to an item."""
    return Cell(change, CHANGE_TONES[change])


def versions_text(before: int | None, after: int | None) -> str:
    """Show from which version to which an item goes."""
    if before is None or after is None or before == after:
        return str(after or before or "-")
    return f"{before} → {after}"


# Checking.


def finding_text(finding: Finding, paper: Paper) -> str:
    """Write a finding as compilers do, so that editors and terminals can jump to its place."""
    place = ":".join(
        str(part) for part in (clean(finding.file), finding.line, finding.column) if part is not None
    )
    tone = Tone.BAD if finding.severity is Severity.ERROR else Tone.WAITING
    key = f"{clean(finding.key)}: " if finding.key else ""
    words = f"{key}{clean(finding.message)} [{clean(finding.code)}]"
    first = f"{place}: {paper.paint(f'{finding.severity}:', tone)} {words}"
    return first + (f"\n    hint: {clean(finding.hint)}" if finding.hint else "")


def findings_text(findings: Sequence[Finding], paper: Paper) -> str:
    """Write findings, one after the other."""
    return "".join(f"{finding_text(finding, paper)}\n" for finding in findings)


def checked(result: CheckResult, paper: Paper) -> str:
    """Show what a check found."""
    errors = sum(has_errors([finding]) for finding in result.findings)
    warnings = len(result.findings) - errors
    found = [count(errors, "error")] if errors else []
    found += [count(warnings, "warning")] if warnings else []
    what = " and ".join(found) or "nothing wrong"
    tone = Tone.BAD if errors else Tone.WAITING if warnings else Tone.GOOD
    summary = f"checked {count(result.checked, 'item')}: {paper.paint(what, tone)}"
    return page(findings_text(result.findings, paper), summary)


# What a server says to whoever pushes.

_MOST_REFS = 20
_MOST_FINDINGS = 10


def received(result: Received, paper: Paper) -> str:
    """Write what is wrong with a push, ref by ref; what is accepted without a word is not mentioned."""
    parts = []
    for one in result.refs[:_MOST_REFS]:
        lines = [paper.paint(f"{_cut(one.name)}:", Tone.STRONG)]
        lines += [_refusal(found, one.name, paper) for found in one.findings[:_MOST_FINDINGS]]
        if len(one.findings) > _MOST_FINDINGS:
            lines.append(f"  and {len(one.findings) - _MOST_FINDINGS} more")
        parts.append("\n".join(lines))
    if len(result.refs) > _MOST_REFS:
        parts.append(f"and {len(result.refs) - _MOST_REFS} more refs")
    if not result.is_accepted:
        parts.append("the push is refused, and nothing was changed")
    return page(*parts) if parts else ""


def _refusal(found: Finding, name: str, paper: Paper) -> str:
    tone = Tone.BAD if found.severity is Severity.ERROR else Tone.WAITING
    place = "" if found.file == name else f"{_cut(found.file)}:{found.line or 1}: "
    key = f"{_cut(found.key)}: " if found.key else ""
    words = f"  {paper.paint(f'{found.severity}:', tone)} {place}{key}{_cut(found.message)}"
    return words + (f"\n  hint: {_cut(found.hint)}" if found.hint else "")


def _cut(text: str) -> str:
    """Make a text of whoever pushes short and safe."""
    return fit(clean(text), 600)


# Submitting.


def submitted(result: SubmitResult, paper: Paper) -> str:
    """Show which versions a submit made, or would make."""
    made = [one for one in result.items if one.change is not None]
    rows = [_submitted_row(one, dry=result.is_dry_run) for one in result.items]
    lines = table(("", "", "", ""), rows, paper)
    ready = [one.task for one in result.items if one.task is not None]
    step = ""
    if result.is_dry_run:
        step = "nothing was changed: this was a dry run" if made else ""
    elif ready:
        names = " ".join(str(task) for task in ready) if len(ready) <= 5 else "--all"
        step = next_step(
            paper,
            f"gitrelease release {names}",
            "puts it up for review" if len(ready) == 1 else "puts them up for review",
        )
    return page(findings_text(result.findings, paper), lines, step)


def _submitted_row(one: Submitted, *, dry: bool) -> Sequence[object]:
    if one.change is None:
        return Cell("unchanged", Tone.DIM), one.item, "", one.note
    over = f"supersedes {listed(one.supersedes)}" if one.supersedes else ""
    return Cell("would submit" if dry else "submitted", Tone.GOOD), one.task, change_cell(one.change), over


# Tasks.


def task_list(shown: tuple[Listed[TaskStanding], Standings], paper: Paper) -> str:
    """Show a list of tasks."""
    listed_, standings = shown
    rows = [
        (
            one.task.id,
            Cell(f"{one.state}{', stale' if one.is_stale else ''}", _STATE_TONES.get(one.state)),
            change_cell(one.task.change),
            one.task.submitter.person,
            paper.short_time(one.task.submitted_at),
            one.package or "",
            one.task.description,
        )
        for one in listed_.items
    ]
    titles = ("TASK", "STATE", "CHANGE", "SUBMITTER", "SUBMITTED", "PACKAGE", "DESCRIPTION")
    broken = "".join(
        f"{paper.paint('not a task:', Tone.BAD)} {clean(one.ref)}: {clean(one.reason.message)}\n"
        for one in standings.malformed
    )
    pending = any(one.state is TaskState.PENDING and not one.is_stale for one in listed_.items)
    step = next_step(paper, "gitrelease release TASK…", "puts tasks up for review") if pending else ""
    return page(table(titles, rows, paper) or "no tasks", rest(listed_, paper), broken, step)


def rest(listed_: Listed[Shown], paper: Paper) -> str:
    """Say how much of a list is not shown."""
    shown = len(listed_.items)
    if shown == listed_.total:
        return ""
    more = listed_.offset + shown
    where = f"; --offset {more} shows more" if more < listed_.total else ""
    return paper.paint(f"{shown} of {listed_.total}{where}", Tone.DIM)


def task_head(one: TaskStanding, paper: Paper) -> str:
    """Show what a task is, above what it changes."""
    task = one.task
    state = f"{one.state}{', stale' if one.is_stale else ''}"
    lines = [
        f"{paper.paint(str(task.id), Tone.STRONG)}  {paper.paint(state, _STATE_TONES.get(one.state))}",
        f"{task.change} by {listed([task.submitter.person, *(also.person for also in task.also_by)])},"
        f" {paper.time(task.submitted_at)}",
        clean(task.description),
    ]
    if one.package:
        lines.append(f"in the package {clean(one.package)}")
    if task.submitter.member is None:
        lines.append(paper.paint(f"cannot be released: it {clean(task.submitter.doubt)}", Tone.BAD))
    return "\n".join(lines)


def task_next(one: TaskStanding, paper: Paper) -> str:
    """Say what to do with a task."""
    task = one.task
    if one.is_stale:
        return next_step(
            paper, f"gitrelease pull && gitrelease submit {task.item}", f"{task.item} changed since"
        )
    match one.state:
        case TaskState.PENDING if task.submitter.member is None:
            return next_step(paper, f"gitrelease check --ref submit/{task.id}", "says what is wrong with it")
        case TaskState.PENDING:
            return next_step(paper, f"gitrelease release {task.id}", "puts it up for review")
        case TaskState.IN_REVIEW:
            return next_step(paper, f"gitrelease package view {one.package}")
        case _:
            return ""


def revoked(result: Revoked, paper: Paper) -> str:
    """Show which tasks were taken back."""

    def lines(word: str, tasks: Sequence[TaskId]) -> list[Sequence[object]]:
        return [(Cell(word, Tone.DIM), task) for task in tasks]

    rows = lines("revoked", result.tasks) + lines("superseded, gone too", result.with_them)
    rows += lines("was revoked before", result.before)
    step = next_step(paper, "gitrelease submit ITEM…", "makes a new version; the numbers are not used again")
    return page(table(("", ""), rows, paper), step)
