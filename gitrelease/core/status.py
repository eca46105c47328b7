"""Where a package stands on its way to production, and the summary that lists and views show of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from gitrelease.core.archive import Settlement
from gitrelease.core.fields import Fields
from gitrelease.core.item import Change
from gitrelease.core.ledger import Event, ItemResult
from gitrelease.core.names import CommitId, ItemKey, Kind, PackageName, item_key, package_name
from gitrelease.core.package import Purpose, Reason
from gitrelease.core.people import Person
from gitrelease.core.plan import Outcome, OutcomeStatus
from gitrelease.core.review import Opinion, Review, Say, Verdict
from gitrelease.core.values import frozen


class Status(StrEnum):
    """The status of a package (design 9)."""

    DRAFT = "draft"
    PENDING_REVIEW = "pending-review"
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes-requested"
    MERGED = "merged"
    RELEASING = "releasing"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    REFUSED = "refused"
    REVOKED = "revoked"
    REJECTED = "rejected"


class StartupStatus(StrEnum):
    """How starting a job after its release went (`startup.status`, design 9)."""

    NOT_REQUESTED = "not-requested"
    STARTING = "starting"
    STARTED = "started"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


class Stance(StrEnum):
    """What one opinion says of a package, as views show it."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes-requested"
    WITHDRAWN = "withdrawn"
    UNREADABLE = "unreadable"


def conclusion(outcomes: Iterable[OutcomeStatus]) -> Status:
    """Say how a release ended, from what became of its items."""
    return Status.SUCCESSFUL if all(outcome.is_fine for outcome in outcomes) else Status.FAILED


def closed_as(review: Review | None) -> Settlement | None:
    """Say as what a package is to be settled whose review somebody closed on the forge itself (design 4).

    Whatever is wrong with a pull request as the review of its package keeps it from closing the package, too.
    """
    if review is None or review.closing is None or review.fault is not None:
        return None
    return Settlement.REVOKED if review.closing.is_author else Settlement.REJECTED


def ended_as(review: Review) -> Settlement | None:
    """Say as what a package is to be settled that the main branch does not hold, and whose review is over.

    One that was merged there, and put back since, was let in by somebody and rejected by whoever approved that.
    """
    return closed_as(review) or (Settlement.REJECTED if review.was_merged else None)


def status_of(
    *,
    event: Event | None,
    outcomes: Iterable[OutcomeStatus],
    settlement: Settlement | None,
    is_merged: bool,
    review: Review | None,
    verdict: Verdict | None,
) -> Status:
    """Say where a package stands, from what the ledger, the archive, git and the forge hold."""
    match event:
        case Event.FINISHED:
            return conclusion(outcomes)
        case Event.REFUSED:
            return Status.REFUSED
        case Event.STARTED | Event.ALIVE:
            return Status.RELEASING
    match settlement:
        case Settlement.REJECTED:
            return Status.REJECTED
        case Settlement.REVOKED:
            return Status.REVOKED
    if is_merged:
        return Status.MERGED
    if review is None or review.is_draft:
        return Status.DRAFT
    if verdict is None:
        return Status.PENDING_REVIEW
    if verdict.vetoes:
        return Status.CHANGES_REQUESTED
    return Status.APPROVED if verdict.is_approved else Status.PENDING_REVIEW


@frozen
class SummaryItem:
    """One item of a package, as views show it: two statuses, release and startup."""

    item: ItemKey
    change: Change
    version: int
    previous_version: int | None
    submitter: Person
    submitted_at: datetime | None
    task: CommitId
    release: OutcomeStatus = OutcomeStatus.PENDING
    error: str | None = None
    startup: StartupStatus = StartupStatus.NOT_REQUESTED


@frozen
class ApprovalView:
    """One opinion, as views show it."""

    person: Person
    verdict: Stance
    at: datetime
    commit: str
    message: str = ""
    why: str | None = None
    """Why it does not count, where it is one that does not."""


@frozen
class Summary:
    """A package as lists and views show it (the JSON of design 9)."""

    name: PackageName
    description: str
    applicant: Person
    applied_at: datetime
    reviewers: tuple[Person, ...]
    approvals: tuple[ApprovalView, ...]
    missing: tuple[str, ...]
    status: Status
    execute: bool
    released_by: Person | None
    released_at: datetime | None
    url: str | None
    items: tuple[SummaryItem, ...]
    purpose: str = "release"
    reasons: tuple[str, ...] = ()
    uncounted: tuple[ApprovalView, ...] = ()
    """What was said and does not count; `approvals` has what does."""


class Packaged(Protocol):
    """A package as far as lists look at it, to choose and to sort."""

    @property
    def name(self) -> PackageName:
        """Its name."""

    @property
    def status(self) -> str:
        """Where it stands."""

    @property
    def applicant(self) -> Person:
        """Who put it up for review."""

    @property
    def applied_at(self) -> datetime:
        """When that was."""

    @property
    def reviewers(self) -> Sequence[Person]:
        """Who is asked to review it."""

    @property
    def released_by(self) -> Person | None:
        """Who brought it to production."""

    @property
    def released_at(self) -> datetime | None:
        """When that was."""


PACKAGE_SORTS: Mapping[str, Callable[[Packaged], object]] = {
    "name": lambda one: one.name,
    "applicant": lambda one: str(one.applicant),
    "applied": lambda one: one.applied_at,
    "released": lambda one: (one.released_at is not None, one.released_at or one.applied_at),
    "released-by": lambda one: str(one.released_by or ""),
    "status": lambda one: str(one.status),
}
"""The columns that packages are sorted by."""


_SAID = {
    Say.APPROVE: Stance.APPROVED,
    Say.REJECT: Stance.CHANGES_REQUESTED,
    Say.WITHDRAW: Stance.WITHDRAWN,
    Say.UNREADABLE: Stance.UNREADABLE,
}


def approval_views(verdict: Verdict) -> tuple[tuple[ApprovalView, ...], tuple[ApprovalView, ...]]:
    """Show what people said of a package: what counts, yes before no, and apart from it what does not."""
    counted = tuple(_view(opinion) for opinion in (*verdict.approvals, *verdict.vetoes))
    return counted, tuple(_view(one.opinion, why=one.why) for one in verdict.uncounted)


def _view(opinion: Opinion, *, why: str | None = None) -> ApprovalView:
    return ApprovalView(
        person=opinion.actor.person,
        verdict=_SAID[opinion.say],
        at=opinion.at,
        commit=opinion.head,
        message=opinion.message,
        why=why,
    )


def item_status(outcomes: Sequence[OutcomeStatus]) -> OutcomeStatus:
    """Fold what became of an item on several targets into one status: the worst of them."""
    order = [
        OutcomeStatus.FAILED,
        OutcomeStatus.DRIFTED,
        OutcomeStatus.SKIPPED,
        OutcomeStatus.RELEASING,
        OutcomeStatus.PENDING,
        OutcomeStatus.SUPERSEDED,
        OutcomeStatus.SUCCESSFUL,
    ]
    return min(outcomes, key=order.index, default=OutcomeStatus.SUCCESSFUL)


def concluded(begun: Summary, results: Sequence[ItemResult], *, at: datetime | None) -> Summary:
    """Show a package as its release left it.

    Args:
        begun: the package as it was shown when its release began.
        results: what became of its items, on all targets.
        at: when the release ended.
    """
    outcomes: dict[ItemKey, list[Outcome]] = {}
    for result in results:
        outcomes.setdefault(result.item, []).append(result.outcome)
    items = tuple(
        replace(
            one,
            release=item_status([outcome.status for outcome in outcomes.get(one.item, [])]),
            error=next((outcome.error for outcome in outcomes.get(one.item, []) if outcome.error), None),
        )
        for one in begun.items
    )
    approvals = [view.person for view in begun.approvals if view.verdict is Stance.APPROVED]
    return replace(
        begun,
        status=conclusion(result.outcome.status for result in results),
        missing=(),
        reasons=(),
        items=items,
        released_by=approvals[-1] if approvals else None,
        released_at=at,
    )


def restated(summary: Summary, mended: Mapping[ItemKey, OutcomeStatus]) -> Summary:
    """Show a package anew of which some items are well by now."""
    items = tuple(
        replace(one, release=mended[one.item], error=None) if one.item in mended else one
        for one in summary.items
    )
    return replace(summary, items=items, status=conclusion(one.release for one in items))


def person_document(person: Person | None) -> dict[str, object] | None:
    """Write a person (design 9)."""
    if person is None:
        return None
    return {"id": person.id, "name": person.name, "email": person.email, "githubId": person.github_id}


def summary_document(summary: Summary) -> dict[str, object]:
    """Write a package as design 9 has it; `purpose`, `reasons` and `uncounted` are ours beside it."""
    return {
        "name": summary.name,
        "description": summary.description,
        "applicant": person_document(summary.applicant),
        "appliedAt": time_text(summary.applied_at),
        "reviewers": [person_document(person) for person in summary.reviewers],
        "approvals": [_view_document(view) for view in summary.approvals],
        "uncounted": [{**_view_document(view), "why": view.why} for view in summary.uncounted],
        "missing": list(summary.missing),
        "reasons": list(summary.reasons),
        "status": summary.status,
        "purpose": summary.purpose,
        "execute": summary.execute,
        "releasedBy": person_document(summary.released_by),
        "releasedAt": time_text(summary.released_at),
        "url": summary.url,
        "items": [_item_document(item) for item in summary.items],
    }


def _view_document(view: ApprovalView) -> dict[str, object]:
    return {
        "person": person_document(view.person),
        "verdict": view.verdict,
        "at": time_text(view.at),
        "commit": view.commit,
        "message": view.message,
    }


def _item_document(item: SummaryItem) -> dict[str, object]:
    return {
        "kind": item.item.kind,
        "name": item.item.name,
        "change": item.change,
        "version": item.version,
        "previousVersion": item.previous_version,
        "submitter": person_document(item.submitter),
        "submittedAt": time_text(item.submitted_at),
        "task": item.task,
        "release": {"status": item.release, "error": item.error},
        "startup": {"status": item.startup, "run": None, "error": None},
    }


def parse_summary(value: Mapping[str, object]) -> Summary:
    """Read a summary that sync or a settlement wrote."""
    top = Fields(value).whole(
        "approvals", "execute", "items", "missing", "reasons", "releasedAt", "releasedBy", "reviewers", "url"
    )
    released_by = top.fields("releasedBy")
    return Summary(
        name=package_name(top.text("name")),
        description=top.text("description"),
        applicant=_person(top.inside("applicant")),
        applied_at=top.time("appliedAt"),
        reviewers=tuple(_person(one) for one in top.each("reviewers")),
        approvals=tuple(_parse_view(one) for one in top.each("approvals")),
        # What was written before the two were told apart has no such list.
        uncounted=tuple(_parse_view(one) for one in top.each("uncounted")),
        missing=top.texts("missing"),
        reasons=top.texts("reasons"),
        status=top.choice("status", Status),
        purpose=str(top.choice("purpose", Purpose)),
        execute=top.truth("execute"),
        released_by=None if released_by is None else _person(released_by),
        released_at=top.optional_time("releasedAt"),
        url=top.optional("url"),
        items=tuple(_parse_item(one) for one in top.each("items")),
    )


class Glance:
    """A summary of which only that is read which is asked for: a list shows few of the many it looks at."""

    def __init__(self, value: object) -> None:
        self._fields = Fields(value)

    @property
    def name(self) -> PackageName:
        """Its name, as it is written there."""
        return PackageName(self._fields.text("name"))

    @property
    def status(self) -> str:
        """Where it stands."""
        return self._fields.text("status")

    @property
    def applicant(self) -> Person:
        """Who put it up for review."""
        return _person(self._fields.inside("applicant"))

    @property
    def applied_at(self) -> datetime:
        """When that was."""
        return self._fields.time("appliedAt")

    @property
    def reviewers(self) -> Sequence[Person]:
        """Who is asked to review it."""
        return [_person(one) for one in self._fields.each("reviewers")]

    @property
    def released_by(self) -> Person | None:
        """Who brought it to production."""
        found = self._fields.fields("releasedBy")
        return None if found is None else _person(found)

    @property
    def released_at(self) -> datetime | None:
        """When that was."""
        return self._fields.optional_time("releasedAt")


def _parse_view(view: Fields) -> ApprovalView:
    return ApprovalView(
        person=_person(view.inside("person")),
        verdict=view.choice("verdict", Stance),
        at=view.time("at"),
        commit=view.text("commit"),
        message=view.text("message"),
        why=view.optional("why"),
    )


def _parse_item(item: Fields) -> SummaryItem:
    item.whole("previousVersion", "submittedAt")
    release, startup = item.inside("release").whole("error"), item.inside("startup")
    return SummaryItem(
        item=item_key(f"{item.text('kind')}/{item.text('name')}"),
        change=item.choice("change", Change),
        version=item.number("version"),
        previous_version=item.integer("previousVersion"),
        submitter=_person(item.inside("submitter")),
        submitted_at=item.optional_time("submittedAt"),
        task=CommitId(item.text("task")),
        release=release.choice("status", OutcomeStatus),
        error=release.optional("error"),
        startup=startup.choice("status", StartupStatus),
    )


def time_text(at: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC."""
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _person(person: Fields) -> Person:
    person.whole("id", "name", "email", "githubId")
    return Person(
        id=person.optional("id"),
        name=person.optional("name"),
        email=person.optional("email"),
        github_id=person.integer("githubId"),
    )


def reasons_text(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Give the sentences of reasons."""
    return tuple(reason.message for reason in reasons)


def startup_of(item: ItemKey, change: Change) -> StartupStatus:
    """Say what to expect of starting an item: this version starts nothing, and only jobs that are there could be."""
    if item.kind is not Kind.JOB or change is Change.DELETE:
        return StartupStatus.NOT_APPLICABLE
    return StartupStatus.NOT_REQUESTED
