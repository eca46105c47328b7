"""What lists and views show: tasks and packages, wherever they are on their way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Generic, TypeVar

from gitrelease.archiving import Kept
from gitrelease.commands import Desk
from gitrelease.commands.refusals import NoSuchPackage
from gitrelease.core.archive import Settlement
from gitrelease.core.item import Change
from gitrelease.core.names import CommitId, Kind, MemberId, PackageName, TaskId
from gitrelease.core.people import Person
from gitrelease.core.plan import OutcomeStatus
from gitrelease.core.search import rank
from gitrelease.core.status import (
    PACKAGE_SORTS,
    Packaged,
    Status,
    Summary,
    SummaryItem,
    approval_views,
    closed_as,
    reasons_text,
    startup_of,
    status_of,
)
from gitrelease.core.task import TASK_SORTS, Task, TaskStanding, TaskState
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Workspace, authorize
from gitrelease.errors import GitReleaseError, UsageError
from gitrelease.reading.judging import Judged, judge_branch
from gitrelease.reading.situation import Merged, Situation
from gitrelease.reading.standing import Standings, read_standings
from gitrelease.reading.tasks import Makers, read_tasks

Shown = TypeVar("Shown")
Sorted = TypeVar("Sorted")


def person_of(workspace: Workspace, who: MemberId) -> Person:
    """Show a member."""
    member = workspace.member(who)
    email = member.emails[0] if member and member.emails else None
    return Person(id=who, email=email, github_id=member.github if member else None)


def _claimed(who: MemberId) -> Person:
    """Show whom somebody names, where nothing proves it."""
    return Person(id=None, name=who)


def summarize(desk: Desk, now: Situation, judged: Judged, *, is_merged: bool = False) -> Summary:
    """Show a package that the ledger does not know yet."""
    review, verdict, manifest = judged.review, judged.verdict, judged.package.manifest
    is_merged = is_merged or (review is not None and review.was_merged)
    settlement = None if is_merged else closed_as(review)
    status = status_of(
        event=None,
        outcomes=(),
        settlement=settlement,
        is_merged=is_merged,
        review=review,
        verdict=verdict,
    )
    by_item = {task.item: task for task in judged.tasks}
    # Where the record does not bear out what the manifest says of somebody, that is shown as a claim.
    makers = {actor.member for actor in review.authors} if review else set()
    applicant = manifest.applicant
    asked = dict.fromkeys((*manifest.reviewers, *(review.asked if review else ())))
    counted, uncounted = approval_views(verdict)
    items = []
    for planned in manifest.items:
        task = by_item.get(planned.item)
        who = task.submitter.person if task else _claimed(planned.submitters[0])
        items.append(
            SummaryItem(
                item=planned.item,
                change=planned.change,
                version=planned.after.version,
                previous_version=planned.before.version if planned.before else None,
                submitter=who,
                submitted_at=task.submitted_at if task else None,
                task=planned.task,
                release=OutcomeStatus.PENDING,
                startup=startup_of(planned.item, planned.change),
            )
        )
    return Summary(
        name=manifest.name,
        description=manifest.description,
        applicant=person_of(now.workspace, applicant) if applicant in makers else _claimed(applicant),
        applied_at=desk.repo.commit(judged.package.head).committed_at,
        reviewers=tuple(person_of(now.workspace, who) for who in asked),
        approvals=counted,
        uncounted=uncounted,
        missing=() if settlement else reasons_text(verdict.missing),
        reasons=reasons_text(verdict.reasons),
        status=status,
        purpose=str(manifest.purpose),
        execute=manifest.execute,
        released_by=None,
        released_at=None,
        url=review.url if review else None,
        items=tuple(items),
    )


@frozen
class Listed(Generic[Shown]):
    """One page of a list, and how long the whole list is."""

    items: tuple[Shown, ...]
    total: int
    limit: int
    offset: int


@frozen
class Paging:
    """Which part of a list is wanted, and in which order."""

    limit: int = 30
    offset: int = 0
    sort: str | None = None
    """A column; with a leading `-` from the largest down."""


@frozen
class Span:
    """A time span, open where it is None."""

    since: datetime | None = None
    until: datetime | None = None

    def has(self, at: datetime | None) -> bool:
        """Say whether a time lies in the span; no time lies only in an open one."""
        if self.since is None and self.until is None:
            return True
        if at is None:
            return False
        return (self.since is None or at >= self.since) and (self.until is None or at <= self.until)


@frozen
class TaskFilter:
    """Which tasks a list is to show."""

    name: str | None = None
    submitter: str | None = None
    kind: Kind | None = None
    change: Change | None = None
    state: TaskState | None = None
    submitted: Span = Span()


_SETTLED = {
    TaskState.RELEASED: Settlement.RELEASED,
    TaskState.REVOKED: Settlement.REVOKED,
    TaskState.SUPERSEDED: Settlement.SUPERSEDED,
}


def list_tasks(desk: Desk, wanted: TaskFilter, paging: Paging) -> tuple[Listed[TaskStanding], Standings]:
    """List tasks: those that have a branch, or those that were settled in the way that is asked for."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    standings = read_standings(desk.repo, desk.forge, now)
    found = list(standings.tasks)
    if wanted.state in _SETTLED:
        found += _settled_tasks(desk, now, _SETTLED[wanted.state])
    found = [
        one
        for one in found
        if (wanted.state is None or one.state is wanted.state)
        and (wanted.kind is None or one.task.item.kind is wanted.kind)
        and (wanted.change is None or one.task.change is wanted.change)
        and (wanted.submitter is None or is_person(one.task.submitter.person, wanted.submitter))
        and wanted.submitted.has(one.task.submitted_at)
    ]
    found = _fuzzy(found, wanted.name, lambda one: one.task.item.name)
    order = _order(paging, TASK_SORTS, None if wanted.name else "-submitted")
    shown = found if order is None else _sorted(found, order, order.column)
    return _page(shown, paging), standings


def _settled_tasks(desk: Desk, now: Situation, settlement: Settlement) -> list[TaskStanding]:
    settled = [
        entry
        for _, commit_entry in now.archive.entries()
        for entry in commit_entry.tasks
        if entry.settlement is settlement
    ]
    wanted: dict[TaskId, CommitId] = {entry.id: entry.commit for entry in settled}
    packages = {entry.id: entry.package for entry in settled}
    tasks, _ = read_tasks(desk.repo, Makers(forge=desk.forge), wanted, now.workspace)
    if settlement is Settlement.RELEASED:
        tasks = _proven(now, tasks)
    state = TaskState(str(settlement))
    return [TaskStanding(task=task, state=state, package=packages[task.id]) for task in tasks]


def _proven(now: Situation, tasks: Sequence[Task]) -> list[Task]:
    """Show who submitted what was released as the ledger has it: keys and members may be others by now."""
    known = {
        shown.task: shown.submitter for one in now.ledger.holdings.summaries() for shown in one.read().items
    }
    return [
        replace(task, submitter=replace(task.submitter, person=known[task.commit]))
        if task.submitter.member is None and task.commit in known
        else task
        for task in tasks
    ]


def is_person(person: Person, text: str) -> bool:
    """Say whether a filter means somebody: their id, name or e-mail address, in any case.

    It never means a claim: whoever counts what somebody did is not to count what others did in their name.
    """
    if person.is_claim:
        return False
    wanted = text.casefold()
    return any(wanted == known.casefold() for known in (person.id, person.name, person.email) if known)


@frozen
class PackageFilter:
    """Which packages a list is to show."""

    name: str | None = None
    applicant: str | None = None
    reviewer: str | None = None
    """`@me` is whoever asks."""
    released_by: str | None = None
    status: Status | None = None
    applied: Span = Span()
    released: Span = Span()


def list_packages(desk: Desk, wanted: PackageFilter, paging: Paging) -> Listed[Summary]:
    """List packages wherever they are: in review, merged, released, refused, rejected or revoked."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    reviewer = wanted.reviewer
    if reviewer == "@me":
        reviewer = str(desk.forge.whoami(now.workspace).person)

    def is_wanted(one: Packaged) -> bool:
        return (
            (wanted.status is None or one.status == wanted.status)
            and (wanted.applicant is None or is_person(one.applicant, wanted.applicant))
            and (reviewer is None or any(is_person(person, reviewer) for person in one.reviewers))
            and (
                wanted.released_by is None
                or (one.released_by is not None and is_person(one.released_by, wanted.released_by))
            )
            and wanted.applied.has(one.applied_at)
            and wanted.released.has(one.released_at)
        )

    order = _order(paging, PACKAGE_SORTS, None if wanted.name else "-applied")

    def look(one: Packaged) -> _Look:
        return _Look(
            name=one.name, is_wanted=is_wanted(one), rank=None if order is None else order.column(one)
        )

    found = _fuzzy(_wanted_packages(desk, now, look), wanted.name, lambda one: one[0].name)
    page = _page(_sorted(found, order, lambda one: one[0].rank), paging)
    shown = tuple(one.read() if isinstance(one, Kept) else one for _, one in page.items)
    return Listed(items=shown, total=page.total, limit=page.limit, offset=page.offset)


@frozen
class _Look:
    """What a list has to know of a package, whether or not it is shown."""

    name: PackageName
    is_wanted: bool
    rank: object
    """What it is sorted by."""


def _wanted_packages(
    desk: Desk, now: Situation, look: Callable[[Packaged], _Look]
) -> list[tuple[_Look, Kept | Summary]]:
    """Find the packages that are wanted among all there are or were, each once.

    The settled ones are many: each is looked at and let go, and only those on the page are read in full.
    """
    found: dict[PackageName, tuple[_Look, Kept | Summary] | None] = {}

    def add(one: Kept | Summary) -> None:
        seen = one.seen(look) if isinstance(one, Kept) else look(one)
        found[seen.name] = (seen, one) if seen.is_wanted else None

    for kept in chain(now.archive.outcomes(), now.ledger.holdings.summaries()):
        add(kept)
    for merged in now.merged:
        if shown := _merged_summary(desk, now, merged):
            add(shown)
    known = set(found)
    # Who made the tasks is read off their commits: to ask the forge takes a request for each package, and whoever
    # decides by a package, or views this one, asks.
    makers = Makers(forge=desk.forge)
    for review in desk.forge.reviews(now.workspace):
        if review.package in known:
            continue
        try:
            add(summarize(desk, now, judge_branch(desk.repo, makers, now.ground, review)))
        except GitReleaseError:
            continue  # a branch that holds no manifest is no package; `gitrelease check` says what is wrong
    return [one for one in found.values() if one is not None]


def _merged_summary(desk: Desk, now: Situation, merged: Merged) -> Summary | None:
    if merged.judged is None:
        return None
    return summarize(desk, now, merged.judged, is_merged=True)


def view_package(desk: Desk, package: PackageName) -> Summary:
    """Show one package, wherever it is."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    return find_package(desk, now, package)


def find_package(desk: Desk, now: Situation, package: PackageName) -> Summary:
    """Find a package in the ledger, on the main branch, in review or in the archive."""
    if known := now.ledger.holdings.summary(package):
        return known
    for merged in now.merged:
        if merged.name == package and (shown := _merged_summary(desk, now, merged)):
            return shown
    if review := desk.forge.find(package, now.workspace):
        return summarize(desk, now, judge_branch(desk.repo, desk.forge, now.ground, review))
    if became := now.archive.outcome(package):
        return became
    gone = desk.forge.find(package, now.workspace, also_gone=True)
    if gone is not None and closed_as(gone) is not None:
        return summarize(desk, now, judge_branch(desk.repo, desk.forge, now.ground, gone))
    raise NoSuchPackage(package)


def view_task(desk: Desk, text: str) -> TaskStanding:
    """Show one task that has a branch."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    return read_standings(desk.repo, desk.forge, now).task(text)


def _fuzzy(found: Sequence[Shown], query: str | None, name: Callable[[Shown], str]) -> list[Shown]:
    """Keep what a fuzzy search finds, best match first."""
    if query is None:
        return list(found)
    by_name: dict[str, list[Shown]] = {}
    for one in found:
        by_name.setdefault(name(one), []).append(one)
    return [one for best in rank(query, by_name) for one in by_name[best]]


@frozen
class _Order(Generic[Sorted]):
    """By what a list is sorted."""

    column: Callable[[Sorted], object]
    is_reverse: bool


def _order(
    paging: Paging, columns: Mapping[str, Callable[[Sorted], object]], default: str | None
) -> _Order[Sorted] | None:
    """Say by what a list is to be sorted; None leaves it as it was found."""
    wanted = paging.sort or default
    if wanted is None:
        return None
    column = wanted.removeprefix("-")
    if column not in columns:
        raise UsageError(f"there is no column {column!r} to sort by", hint=f"one of {', '.join(columns)}")
    return _Order(column=columns[column], is_reverse=wanted.startswith("-"))


def _sorted(
    found: Sequence[Shown], order: _Order[Sorted] | None, rank: Callable[[Shown], object]
) -> Sequence[Shown]:
    if order is None:
        return found
    return sorted(found, key=rank, reverse=order.is_reverse)  # type: ignore[arg-type]


def _page(found: Sequence[Shown], paging: Paging) -> Listed[Shown]:
    part = found[paging.offset : paging.offset + paging.limit]
    return Listed(items=tuple(part), total=len(found), limit=paging.limit, offset=paging.offset)
