"""What GitHub recorded of the pull request of a package, as the value that `core/pull_request.py` judges by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from gitrelease.core.names import HEADS, BlobId, CommitId, MemberId, PackageName, branch, package_ref
from gitrelease.core.people import Account
from gitrelease.core.pull_request import Dismissal, PullRequest, Push, Remark, actor
from gitrelease.core.review import Opinion, Say
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace
from gitrelease.forges.github import questions
from gitrelease.forges.github.activity import Activity
from gitrelease.forges.github.client import Client, Value
from gitrelease.forges.github.refusals import Unreadable
from gitrelease.forges.github.values import at, commit, flag, graph_account, moment, number, rows, text
from gitrelease.repo import plain

_DECISIVE = {"APPROVED": Say.APPROVE, "CHANGES_REQUESTED": Say.REJECT}
_STATES = frozenset({"OPEN", "CLOSED", "MERGED"})
_RETARGETED = ("BaseRefChangedEvent", "AutomaticBaseChangeSucceededEvent")
"""GitHub changes a base by itself when that was merged and deleted, and tells of it otherwise."""
_MOST_PAGES = 50
_MOST_LISTED = 20
"""So many pages are read of what everybody can make longer."""

_MOST_OF_BRANCH = 100
"""So many pull requests of one branch are read; each takes a question."""


@frozen
class ReviewRequest:
    """Somebody asked somebody to review."""

    by: Account
    of: int
    """The number of the account that was asked."""
    at: datetime


@frozen
class Seen:
    """A pull request as GitHub has it now, with what `PullRequest` has no place for."""

    pull: PullRequest
    requests: tuple[ReviewRequest, ...] = ()
    merged_at: datetime | None = None
    refused_in: tuple[int, ...] = ()
    """In which other pull requests of its branch somebody asked for changes last."""


@frozen
class _Page:
    """One page of pull requests."""

    nodes: tuple[Value, ...]
    total: int | None
    """How many there are on all pages."""
    after: str | None
    """Where the next page begins; None on the last one."""


class Asking:
    """Asks GitHub about pull requests."""

    def __init__(self, client: Client, activity: Activity) -> None:
        self._client = client
        self._activity = activity

    # One package.

    def find(self, package: PackageName, *, main: str, is_merged: bool) -> Seen | None:
        """Find the pull request that is the review of a package; None where there is none.

        Args:
            package: the package.
            main: the name of the main branch.
            is_merged: whether the main branch holds it: the pull request that was merged is then the one, and no
                other that somebody opened from the same branch later.
        """
        name = package_ref(package).removeprefix(HEADS)
        doing = f"read the pull request of {package}"
        page = self._page(questions.OF_BRANCH, {"branch": name}, doing=doing)
        if page.after is None:
            _check_count(len(page.nodes), page.total, what="pull requests")
            ours = [node for node in page.nodes if not flag(node, "isCrossRepository")]
        else:
            # Anybody can open as many as they like from forks; GitHub leaves those out where it is asked in REST.
            found = list(islice(self._ours(name, doing=doing), _MOST_OF_BRANCH + 1))
            if len(found) > _MOST_OF_BRANCH:
                raise Unreadable(f"there are more than {_MOST_OF_BRANCH} pull requests of {package}")
            ours = [self._one(number_, doing=doing) for number_ in found]
        chosen = _chosen(ours, main=main, is_merged=is_merged)
        if chosen is None:
            return None
        seen = self.read(package, chosen, main=main)
        others = [node for node in ours if node is not chosen]
        refused = list(self._refused_elsewhere(others, main=main, merged_at=seen.merged_at))
        remarks = sorted((*seen.pull.remarks, *(remark for _, remark in refused)), key=lambda one: one.at)
        return replace(
            seen,
            pull=replace(seen.pull, remarks=tuple(remarks)),
            refused_in=tuple(dict.fromkeys(number_ for number_, _ in refused)),
        )

    def _refused_elsewhere(
        self, others: Iterable[Value], *, main: str, merged_at: datetime | None
    ) -> Iterator[tuple[int, Remark]]:
        """Give where people asked for changes last in other pull requests of the same branch.

        A pull request can be closed, or sent elsewhere, and another one opened; whoever asked for changes still does.
        That it may go elsewhere takes back no word of the main branch.
        """
        for node in others:
            number_, opened_at = number(node, "number"), moment(node, "createdAt")
            if number_ is None or opened_at is None:
                raise Unreadable(
                    "GitHub tells of a pull request without its number, or since when there is one"
                )
            if merged_at is not None and opened_at > merged_at:
                continue
            events = self._events(node, number_)
            is_to_main, moved = text(node, "baseRefName") == main, _retargeted(events)
            last = {
                remark.by.id: remark
                for remark in sorted(self._remarks(node, number_, events, ()), key=lambda one: one.at)
                if remark.say is Say.REJECT or (is_to_main and not any(when >= remark.at for when in moved))
            }
            yield from ((number_, remark) for remark in last.values() if remark.say is Say.REJECT)

    def _ours(self, name: str, *, doing: str) -> Iterator[int]:
        """Number the pull requests from a branch of the repository itself, the newest first."""
        asked = {
            "head": f"{self._client.owner}:{name}",
            "state": "all",
            "sort": "created",
            "direction": "desc",
        }
        for page in self._client.pages(self._client.repo("pulls"), asked, doing=doing):
            for pull in page:
                is_fork = number(pull, "head", "repo", "id") != number(pull, "base", "repo", "id")
                if is_fork or text(pull, "head", "ref") != name:
                    continue
                found = number(pull, "number")
                if found is None:
                    raise Unreadable("GitHub tells of a pull request without its number")
                yield found

    def _one(self, number_: int, *, doing: str) -> Value:
        asked = {"owner": self._client.owner, "name": self._client.name, "number": number_}
        told = self._client.graphql(questions.ONE, asked, doing=doing).whole()
        self._client.check_name(text(told, "repository", "nameWithOwner"))
        return at(told, "repository", "pullRequest")

    def read(
        self, package: PackageName, node: Value, *, main: str, moves: Sequence[Push] | None = None
    ) -> Seen:
        """Read a pull request in full.

        Args:
            package: the package it is of.
            node: the pull request, as GraphQL gave it.
            main: the name of the main branch.
            moves: the moves of its branch where they are known; else the server is asked for them.
        """
        head, opened_at, number_ = (
            commit(node, "headRefOid"),
            moment(node, "createdAt"),
            number(node, "number"),
        )
        if head is None or opened_at is None or number_ is None:
            raise Unreadable(f"GitHub does not say where the pull request of {package} is, or since when")
        state = text(node, "state")
        if state not in _STATES:  # it may come back from there: it is neither open nor over
            raise Unreadable(
                f"the pull request of {package} is {plain(state) or 'nothing'}, which nobody knows here"
            )
        merged_at = moment(node, "mergedAt")
        closed_at = moment(node, "closedAt")
        if moves is None:
            moves = self._activity.moves(package_ref(package))
        ended = merged_at or closed_at
        # What becomes of the branch afterwards is no part of what was reviewed and merged.
        pushes = tuple(push for push in moves if ended is None or push.at <= ended)
        if merged_at is not None:
            pushes = tuple(push for push in pushes if push.after is not None or push.at < merged_at)
        events = self._events(node, number_)
        is_open = state == "OPEN"
        pull = PullRequest(
            package=package,
            number=number_,
            url=plain(text(node, "url")),
            base=text(node, "baseRefName"),
            head=head,
            is_same_repository=at(node, "isCrossRepository") is False,
            is_open=is_open,
            opened_by=graph_account(node, "author"),
            opened_at=opened_at,
            pushes=pushes,
            remarks=_doubted_before(list(self._remarks(node, number_, events, pushes))),
            retargeted=_retargeted(events),
            closed_by=_closer(events) if state == "CLOSED" and merged_at is None else None,
            merged_as=self._merged_as(node, merged_at, main=main),
        )
        return Seen(
            pull=pull,
            requests=tuple(_requests(events)),
            merged_at=merged_at,
        )

    # All that are open, or closed.

    def open(self) -> Iterator[Value]:
        """Give the open pull requests of the repository, fifty in one answer, the newest first.

        Strangers can open as many as they like, so what is beyond the first few pages is not given; whoever misses
        one asks for it by itself.
        """
        return self._pulls(questions.OPEN, doing="list the open pull requests")

    def open_and_closed(self) -> tuple[Sequence[Value], Iterator[Value]]:
        """Name the open pull requests, and those that were closed without being merged, what changed last first.

        One answer has how both begin.
        """
        told = self._repository(questions.OPEN_AND_CLOSED, {}, doing="list the pull requests")
        open_, closed = _page_of(told, "open"), _page_of(told, "closed")
        return (
            list(self._pulls(questions.MORE_OPEN, open_, doing="list the open pull requests")),
            self._pulls(questions.MORE_CLOSED, closed, doing="list the closed pull requests"),
        )

    def _pulls(self, query: str, first: _Page | None = None, *, doing: str) -> Iterator[Value]:
        after: str | None = None
        count, totals = 0, []
        for number_ in range(_MOST_LISTED):
            page = first if number_ == 0 and first is not None else self._page(query, {}, after, doing=doing)
            count += len(page.nodes)
            totals += [] if page.total is None else [page.total]
            yield from page.nodes
            if page.after is None:
                # One that is opened meanwhile stands before all that were read.
                _check_count(count, min(totals, default=None), what="pull requests")
                return
            after = page.after

    def _page(self, query: str, more: Mapping[str, str], after: str | None = None, *, doing: str) -> _Page:
        return _page_of(self._repository(query, {**more, "after": after}, doing=doing), "pullRequests")

    def _repository(self, query: str, more: Mapping[str, str | None], *, doing: str) -> Value:
        asked = {"owner": self._client.owner, "name": self._client.name, **more}
        told = self._client.graphql(query, asked, doing=doing).whole()
        self._client.check_name(text(told, "repository", "nameWithOwner"))
        return at(told, "repository")

    def _all(self, node: Value, what: str, query: str, number_: int) -> list[Value]:
        """Read a list of a pull request to its end; one that stays shorter than it says is an error (P30)."""
        page = at(node, what)
        found = list(rows(page, "nodes"))
        # What is filtered counts, where GitHub says both; the smaller is never more than there is to read.
        totals = [
            total for name in ("totalCount", "filteredCount") if (total := number(page, name)) is not None
        ]
        for _ in range(_MOST_PAGES):
            if not flag(page, "pageInfo", "hasNextPage"):
                _check_count(len(found), min(totals, default=None), what=f"{what} of pull request {number_}")
                return [entry for entry in found if entry is not None]
            asked = {
                "owner": self._client.owner,
                "name": self._client.name,
                "number": number_,
                "after": text(page, "pageInfo", "endCursor"),
            }
            told = self._client.graphql(query, asked, doing=f"read the pull request {number_}").whole()
            page = at(told, "repository", "pullRequest", what)
            found += rows(page, "nodes")
        raise Unreadable(f"there are more than {_MOST_PAGES} pages of {what} of pull request {number_}")

    def _events(self, node: Value, number_: int) -> list[Value]:
        return self._all(node, "timelineItems", questions.MORE_TIMELINE, number_)

    # What was said.

    def _remarks(
        self, node: Value, number_: int, events: Sequence[Value], pushes: Sequence[Push]
    ) -> Iterator[Remark]:
        """Read the reviews that say yes or no, also those that were dismissed; all others are nothing."""
        dismissals = _dismissals(events)
        closures = _closures(events)
        for review in self._all(node, "reviews", questions.MORE_REVIEWS, number_):
            given_at = moment(review, "submittedAt")
            state = text(review, "state")
            if given_at is None or state not in {*_DECISIVE, "DISMISSED"}:
                continue
            id_ = _id(review)
            say, dismissal = _DECISIVE.get(state), None
            if say is None:
                # Nobody can tell what a review was that was dismissed without a trace: a no, to be safe.
                was, dismissal = dismissals.get(id_, ("CHANGES_REQUESTED", None))
                say = _DECISIVE.get(was)
                if say is None:
                    say, dismissal = Say.REJECT, None
            by = graph_account(review, "author")
            if say is Say.APPROVE and (doubt := _misplaced(review, given_at, pushes, closures)):
                by = replace(by, doubt=doubt)
            yield Remark(
                id=id_, by=by, say=say, at=given_at, message=text(review, "body"), dismissal=dismissal
            )

    def _merged_as(self, node: Value, merged_at: datetime | None, *, main: str) -> CommitId | None:
        """Give the commit of the main branch that merging made; None unless the server recorded such a merge (P8)."""
        made = commit(node, "mergeCommit", "oid")
        is_told = flag(node, "merged") and at(node, "mergedBy") is not None
        if made is None or merged_at is None or not is_told or text(node, "baseRefName") != main:
            return None
        return made if self._activity.is_merge(branch(main), made, merged_at) else None


def _chosen(nodes: Sequence[Value], *, main: str, is_merged: bool) -> Value | None:
    """Choose among pull requests, the newest first."""
    to_main = [node for node in nodes if text(node, "baseRefName") == main]
    is_open: Callable[[Value], bool] = lambda node: text(node, "state") == "OPEN"  # noqa: E731
    was_merged: Callable[[Value], bool] = lambda node: text(node, "state") == "MERGED"  # noqa: E731
    wanted = [(to_main, is_open), (nodes, is_open), (to_main, was_merged), (nodes, was_merged)]
    if is_merged:
        wanted = [(to_main, was_merged), *wanted]
    for group, fits in wanted:
        if found := [node for node in group if fits(node)]:
            return found[0]
    return (to_main or nodes or [None])[0]


def asked_later(
    seen: Seen, workspace: Workspace, *, named: Collection[MemberId], held: BlobId | None
) -> Iterator[Opinion]:
    """Give whom people asked to review after the package was made, as far as they are members.

    Args:
        seen: the pull request.
        workspace: says who is who.
        named: whom the package itself names as reviewers.
        held: the manifest that its head holds.
    """
    pull = seen.pull
    asked: dict[tuple[datetime, Account], list[MemberId]] = {}
    for request in seen.requests:
        member = workspace.member_on_github(request.of)
        if member is not None and member.id not in named:
            asked.setdefault((request.at, request.by), []).append(member.id)
    for place, ((when, by), members) in enumerate(asked.items()):
        yield Opinion(
            id=f"github:{pull.number}:asked:{place}",
            actor=actor(by, workspace),
            say=Say.ASK,
            at=when,
            head=pull.head,
            manifest=held,
            asks=tuple(dict.fromkeys(members)),
        )


def is_quiet(node: Value) -> bool:
    """Say whether a branch was never rewritten while its pull request was open, nor that closed and opened again."""
    events = at(node, "timelineItems")
    kinds = {text(event, "__typename") for event in rows(events, "nodes")}
    has_all = at(events, "pageInfo", "hasNextPage") is False
    return has_all and not kinds & {"HeadRefForcePushedEvent", "ReopenedEvent"}


def _check_count(read: int, total: int | None, *, what: str) -> None:
    if total is None or read < total:
        raise Unreadable(f"GitHub gave {read} of {total} {what}, and nothing can be decided by half of them")


def _id(review: Value, *path: str) -> int:
    found = at(review, *path, "fullDatabaseId")
    if isinstance(found, str) and found.isdigit():
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _of_kind(events: Iterable[Value], kind: str) -> Iterator[Value]:
    return (event for event in events if text(event, "__typename") == kind)


def _times(events: Iterable[Value], kind: str) -> Iterator[datetime]:
    for event in _of_kind(events, kind):
        happened = moment(event, "createdAt")
        if happened is None:
            raise Unreadable(f"GitHub tells of a {kind} without saying when")
        yield happened


def _retargeted(events: Sequence[Value]) -> tuple[datetime, ...]:
    return tuple(sorted(when for kind in _RETARGETED for when in _times(events, kind)))


def _dismissals(events: Iterable[Value]) -> dict[int, tuple[str, Dismissal]]:
    """Say what each review was that somebody dismissed, and who did it when."""
    found = {}
    for event in _of_kind(events, "ReviewDismissedEvent"):
        happened = moment(event, "createdAt")
        if happened is not None and (id_ := _id(event, "review")):
            by = Dismissal(by=graph_account(event, "actor"), at=happened)
            found[id_] = (text(event, "previousReviewState"), by)
    return found


def _page_of(repository: Value, name: str) -> _Page:
    page = at(repository, name)
    return _Page(
        nodes=tuple(node for node in rows(page, "nodes") if node is not None),
        total=number(page, "totalCount"),
        after=text(page, "pageInfo", "endCursor") if flag(page, "pageInfo", "hasNextPage") else None,
    )


def _closer(events: Iterable[Value]) -> Account:
    """Say who closed a pull request last: nobody who is known, where there is no word of it."""
    closed = list(_of_kind(events, "ClosedEvent"))
    return graph_account(closed[-1] if closed else None, "actor")


def _closures(events: Iterable[Value]) -> list[tuple[datetime, datetime]]:
    """Say from when until when a pull request was closed that was opened again."""
    closed, opened = _times(events, "ClosedEvent"), _times(events, "ReopenedEvent")
    return list(zip(sorted(closed), sorted(opened), strict=False))


def _requests(events: Iterable[Value]) -> Iterator[ReviewRequest]:
    for event in _of_kind(events, "ReviewRequestedEvent"):
        happened, who = moment(event, "createdAt"), number(event, "requestedReviewer", "databaseId")
        if happened is not None and who is not None:
            yield ReviewRequest(by=graph_account(event, "actor"), of=who, at=happened)


def _doubted_before(remarks: Sequence[Remark]) -> tuple[Remark, ...]:
    """Doubt what somebody approved before they approved what is doubted: that is not their last word any more."""
    doubted: set[int | None] = set()
    found = []
    for remark in sorted(remarks, key=lambda one: one.at)[::-1]:
        by = remark.by
        if remark.say is Say.APPROVE and by.doubt is not None:
            doubted.add(by.id)
        elif remark.say is Say.APPROVE and by.id in doubted:
            by = replace(by, doubt="approved once more, and nobody can tell what")
        found.append(replace(remark, by=by))
    return tuple(reversed(found))


def _misplaced(
    review: Value,
    given_at: datetime,
    pushes: Sequence[Push],
    closures: Iterable[tuple[datetime, datetime]],
) -> str | None:
    """Say why an approval may be of something else than the branch held when it arrived, as the end of a sentence.

    Somebody who looks at a page while others push approves what the page shows. GitHub notes the commit of that
    page, and may move its note to a later head (P1): so a note of something older or unknown is a doubt, one of
    what the branch held then or of a later push is none, and what counts is always what the branch held then.
    What was there before and comes back later is older: that page was looked at, and not what came in between.
    While a pull request is closed its page shows what the branch held before, whatever is noted later.
    """
    for closed, opened in closures:
        if closed <= given_at <= opened and any(closed <= push.at <= given_at for push in pushes):
            return "said so while the pull request was closed, which did not show what the branch held"
    noted = commit(review, "commit", "oid")
    if noted is None:
        return "said so of a commit that is gone"
    before = [push for push in pushes if push.at < given_at]
    later = {push.after for push in pushes if push.at >= given_at} - {push.after for push in before}
    if not before or noted == before[-1].after or noted in later:
        return None
    return f"said so of {noted:.7}, which the branch did not hold any more"
