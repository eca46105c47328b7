"""Pull requests: what a forge with accounts of its own recorded about a package, and the review that follows.

The forge is asked while a package is open. What it said is kept in receipts, so that `verify` draws the same
conclusions from the same words, offline. Nothing here believes what whoever pushed could have written: not the
dates of commits, and not the commit that a review is said to be of, which a forge may move to a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from gitrelease.core.archive import Settlement
from gitrelease.core.fields import Fields, Malformed
from gitrelease.core.names import BlobId, CommitId, PackageName, RefName, package_name
from gitrelease.core.people import Account, Actor, Person
from gitrelease.core.review import Closing, Opinion, Review, Say
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace

Content = Callable[[PackageName, CommitId], BlobId | None]
"""Gives the manifest that a commit holds of a package; None where it holds not exactly what that manifest pins."""


@frozen
class Push:
    """One move of a branch, as the server itself recorded it."""

    by: Account
    at: datetime
    after: CommitId | None
    """Where the branch was then; None where it was deleted."""


@frozen
class Dismissal:
    """Somebody set a review aside."""

    by: Account
    at: datetime


@frozen
class Remark:
    """One decisive review of a pull request: it approved, or asked for changes."""

    id: int
    by: Account
    say: Say
    at: datetime
    message: str = ""
    dismissal: Dismissal | None = None


@frozen
class PullRequest:
    """Everything a forge recorded about the pull request of one package."""

    package: PackageName
    number: int
    url: str
    base: str
    """The name of the branch that it is to be merged into."""
    head: CommitId
    """Where the branch of the package is, or was when it was merged or closed."""
    is_same_repository: bool
    is_open: bool
    opened_by: Account
    opened_at: datetime
    pushes: tuple[Push, ...]
    """Every move of the branch, the older first."""
    remarks: tuple[Remark, ...] = ()
    """In the order in which they were given."""
    retargeted: tuple[datetime, ...] = ()
    """When its base was changed."""
    closed_by: Account | None = None
    """Who closed it without merging it; None while it is open, and when it was merged."""
    merged_as: CommitId | None = None
    """The commit of the main branch that merging it made, as far as the server recorded such a merge."""
    tasks: Mapping[RefName, tuple[Push, ...]] = field(default_factory=dict)
    """Every move of the branches of its tasks, the older first."""
    teams: Mapping[str, tuple[Account, ...]] = field(default_factory=dict)
    """Who was in the teams that the workspace names."""


def review_of(pull: PullRequest, workspace: Workspace, *, main: str, content: Content) -> Review:
    """Say what a pull request amounts to as the review of a package.

    Args:
        pull: what the forge recorded.
        workspace: says who is who, its teams resolved.
        main: the name of the main branch.
        content: gives what a commit holds of the package.
    """
    authors = _authors(pull, workspace, content)
    return Review(
        package=pull.package,
        head=pull.head,
        authors=authors,
        opinions=tuple(sorted(_opinions(pull, workspace, content), key=lambda one: one.at)),
        is_open=pull.is_open,
        url=pull.url,
        fault=_fault(pull, main),
        records_merges=True,
        merged_as=pull.merged_as,
        closing=_closing(pull, authors, workspace),
    )


def _closing(pull: PullRequest, authors: Iterable[Actor], workspace: Workspace) -> Closing | None:
    """Say who closed a pull request; by their number, so also who is no member is known as its author."""
    by = pull.closed_by
    if pull.is_open or by is None:
        return None
    known = {author.person.github_id for author in authors}
    return Closing(by=actor(by, workspace), is_author=not by.is_bot and by.id is not None and by.id in known)


def closing_fault(pull: PullRequest, settlement: Settlement) -> str | None:
    """Say why what was recorded of a pull request does not bear out that its package was closed so.

    What each push brought is not asked here, as only a clone that has them all could tell.
    """
    by = pull.closed_by
    if pull.is_open or by is None or pull.merged_as is not None:
        return f"the pull request {pull.number} was not closed"
    pushed = {push.by.id for push in pull.pushes}
    is_known = by.id is not None and not by.is_bot
    if settlement is Settlement.REVOKED and not (is_known and by.id in {pull.opened_by.id, *pushed}):
        return f"the pull request {pull.number} was closed by {by.login}, who made none of it"
    if settlement is Settlement.REJECTED and is_known and by.id == pull.opened_by.id:
        return f"the pull request {pull.number} was closed by {by.login}, who opened it"
    return None


@frozen
class Recorded:
    """Says who made the tasks of a package, from what the forge recorded of its pull request."""

    pull: PullRequest

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who pushed each of these branches."""
        return {
            ref: actors_of(self.pull.tasks.get(ref, ()), commit, workspace)
            for ref, commit in branches.items()
        }


def actors_of(pushes: Iterable[Push], commit: CommitId, workspace: Workspace) -> tuple[Actor, ...]:
    """Say who pushed a commit to a branch that is made once: everybody who moved the branch to it."""
    found = [push.by for push in pushes if push.after == commit]
    if not found:
        return (Actor(person=Person(id=None), doubt="was pushed by nobody the forge has a record of"),)
    return tuple(dict.fromkeys(actor(account, workspace) for account in found))


def actor(account: Account, workspace: Workspace) -> Actor:
    """Say which member an account is; by its number, never by its name."""
    member = None if account.id is None else workspace.member_on_github(account.id)
    doubt = None
    if account.is_bot:
        doubt = f"is by {account.login}, which is a bot"
    elif account.id is None:
        doubt = "is by an account that is gone"
    elif member is None:
        doubt = f"is by {account.login}, who is no member"
    elif account.doubt is not None:
        doubt = f"is by {member.id}, who {account.doubt}"
    believed = member if doubt is None else None
    person = Person(id=believed.id if believed else None, name=account.login, github_id=account.id)
    return Actor(person=person, member=believed.id if believed else None, doubt=doubt)


def _fault(pull: PullRequest, main: str) -> str | None:
    """Say why a pull request cannot be the review of its package, whatever people said there."""
    if not pull.is_same_repository:
        return f"the pull request {pull.number} comes from another repository"
    if pull.base != main:
        return f"the pull request {pull.number} is to be merged into {pull.base}, not {main}"
    return None


def _authors(pull: PullRequest, workspace: Workspace, content: Content) -> tuple[Actor, ...]:
    """Say who opened a pull request, or pushed something new to its branch.

    A push that leaves manifest and pinned bytes as they were, as "update branch" does, makes nobody an author.
    """
    # A bot may open it for somebody; who that was shows in who pushed.
    found = [] if pull.opened_by.is_bot else [pull.opened_by]
    held: BlobId | None = None
    for push in pull.pushes:
        if push.after is None:
            held = None
            continue
        now = content(pull.package, push.after)
        if now is None or now != held:
            found.append(push.by)
        held = now
    authors = tuple(dict.fromkeys(actor(account, workspace) for account in found))
    if any(push.after == pull.head for push in pull.pushes):
        return authors
    return (*authors, Actor(person=Person(id=None), doubt="was pushed by nobody the forge has a record of"))


def _opinions(pull: PullRequest, workspace: Workspace, content: Content) -> Iterable[Opinion]:
    last = {remark.by.id: remark for remark in sorted(pull.remarks, key=lambda one: one.at)}
    for remark in pull.remarks:
        reviewed = _reviewed(pull, remark.at)
        by = actor(remark.by, workspace)
        if remark.say is Say.APPROVE and any(moved >= remark.at for moved in pull.retargeted):
            by = Actor(person=by.person, doubt="was given while the pull request had another base")
        dismissed = remark.dismissal
        opinion = Opinion(
            id=f"github:{remark.id}",
            actor=by,
            say=remark.say,
            at=remark.at,
            head=reviewed or pull.head,
            manifest=None if reviewed is None else content(pull.package, reviewed),
            message=remark.message,
            dismissed_by=None if dismissed is None else actor(dismissed.by, workspace),
        )
        yield opinion
        # Who sets their own last word aside takes it back; one that they said something else after stands for nothing.
        is_own = dismissed is not None and dismissed.by.id is not None and dismissed.by.id == remark.by.id
        if dismissed is not None and is_own and by.doubt is None and last[remark.by.id] is remark:
            yield Opinion(
                id=f"{opinion.id}:dismissed",
                actor=actor(dismissed.by, workspace),
                say=Say.WITHDRAW,
                at=dismissed.at,
                head=opinion.head,
                manifest=opinion.manifest,
            )


def _reviewed(pull: PullRequest, at: datetime) -> CommitId | None:
    """Say what the branch held when a review was given; None where the server cannot tell.

    The server's times have whole seconds: what was pushed in the same second may have come after.
    """
    before = [push for push in pull.pushes if push.at < at]
    is_tied = any(push.at == at for push in pull.pushes)
    return before[-1].after if before and not is_tied else None


def pull_request_document(pull: PullRequest) -> dict[str, object]:
    """Write what a forge recorded, as a receipt keeps it."""
    return {
        "forge": "github",
        "package": pull.package,
        "number": pull.number,
        "url": pull.url,
        "base": pull.base,
        "head": pull.head,
        "sameRepository": pull.is_same_repository,
        "open": pull.is_open,
        "openedBy": _account_document(pull.opened_by),
        "openedAt": pull.opened_at.isoformat(),
        "pushes": [_push_document(push) for push in pull.pushes],
        "remarks": [_remark_document(remark) for remark in pull.remarks],
        "retargeted": [at.isoformat() for at in pull.retargeted],
        "closedBy": None if pull.closed_by is None else _account_document(pull.closed_by),
        "mergedAs": pull.merged_as,
        "tasks": {ref: [_push_document(push) for push in pushes] for ref, pushes in pull.tasks.items()},
        "teams": {team: [_account_document(one) for one in who] for team, who in pull.teams.items()},
    }


def parse_pull_request(value: Mapping[str, object]) -> PullRequest:
    """Read what a receipt kept of a pull request.

    Raises:
        Malformed: it is none, or lacks something.
    """
    top = Fields(value).whole(
        "closedBy", "mergedAs", "open", "pushes", "remarks", "retargeted", "sameRepository", "tasks", "teams"
    )
    if (forge := top.text("forge")) != "github":
        raise Malformed(("forge",), f"is {forge!r}, no forge that is known here")
    tasks, teams = top.inside("tasks"), top.inside("teams")
    merged_as, closed_by = top.optional("mergedAs"), top.fields("closedBy")
    return PullRequest(
        package=package_name(top.text("package")),
        number=top.number("number"),
        url=top.text("url"),
        base=top.text("base"),
        head=CommitId(top.text("head")),
        is_same_repository=top.truth("sameRepository"),
        is_open=top.truth("open"),
        opened_by=_account(top.inside("openedBy")),
        opened_at=top.time("openedAt"),
        pushes=tuple(_push(one) for one in top.each("pushes")),
        remarks=tuple(_remark(one) for one in top.each("remarks")),
        retargeted=top.times("retargeted"),
        closed_by=None if closed_by is None else _account(closed_by),
        merged_as=None if merged_as is None else CommitId(merged_as),
        tasks={RefName(ref): tuple(_push(one) for one in tasks.each(ref)) for ref, _, _ in tasks.entries()},
        teams={team: tuple(_account(one) for one in teams.each(team)) for team, _, _ in teams.entries()},
    )


def _account_document(account: Account) -> dict[str, object]:
    return {"id": account.id, "login": account.login, "bot": account.is_bot, "doubt": account.doubt}


def _account(account: Fields) -> Account:
    account.whole("id", "bot", "doubt")
    return Account(
        id=account.integer("id"),
        login=account.text("login"),
        is_bot=account.truth("bot", default=True),
        doubt=account.optional("doubt"),
    )


def _push_document(push: Push) -> dict[str, object]:
    return {"by": _account_document(push.by), "at": push.at.isoformat(), "after": push.after}


def _push(push: Fields) -> Push:
    after = push.whole("after").optional("after")
    return Push(
        by=_account(push.inside("by")),
        at=push.time("at"),
        after=None if after is None else CommitId(after),
    )


def _remark_document(remark: Remark) -> dict[str, object]:
    dismissed = remark.dismissal
    return {
        "id": remark.id,
        "by": _account_document(remark.by),
        "say": remark.say,
        "at": remark.at.isoformat(),
        "message": remark.message,
        "dismissal": None
        if dismissed is None
        else {"by": _account_document(dismissed.by), "at": dismissed.at.isoformat()},
    }


def _remark(remark: Fields) -> Remark:
    dismissed = remark.whole("dismissal").fields("dismissal")
    return Remark(
        id=remark.number("id"),
        by=_account(remark.inside("by")),
        say=remark.choice("say", Say),
        at=remark.time("at"),
        message=remark.text("message"),
        dismissal=None
        if dismissed is None
        else Dismissal(by=_account(dismissed.inside("by")), at=dismissed.time("at")),
    )
