"""`gitrelease package approve|reject|revoke|edit`: what people say of a package, and how one is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from gitrelease.checking import refuse_secrets
from gitrelease.commands import Desk, until_first
from gitrelease.commands.closing import ClosedThere, is_anothers_name, refuse_closed, settle
from gitrelease.commands.merge import MergeResult, merge_if_approved, open_status
from gitrelease.commands.refusals import NoSuchPackage
from gitrelease.commands.release import check_reviewer
from gitrelease.commands.views import summarize
from gitrelease.core.archive import ArchiveEntry, Settlement
from gitrelease.core.names import (
    ARCHIVE,
    HEADS,
    CommitId,
    MemberId,
    PackageName,
    branch,
    package_ref,
    review_ref,
)
from gitrelease.core.review import Review, Say
from gitrelease.core.status import Status
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action
from gitrelease.errors import GitReleaseError, Refused
from gitrelease.forges import Standing, Statement
from gitrelease.reading.judging import Reviewed, judge_branch, number_faults
from gitrelease.reading.situation import Situation
from gitrelease.repo import RefMove


@frozen
class Said:
    """What somebody said of a package, and what follows from it."""

    package: PackageName
    head: CommitId
    say: Say
    by: MemberId
    was_said: bool
    """Whether the same person had said the same of the same content before."""
    merged: MergeResult | None = None
    is_late: bool = False
    """Whether the package is merged already, so that a no closes nothing; it keeps sync from applying it."""
    is_too_late: bool = False
    """Whether sync had begun to apply it by the time the no was there."""
    asked: tuple[MemberId, ...] = ()
    """Who was asked to review, also those who had been before."""


def find_unsettled(desk: Desk, now: Situation, package: PackageName) -> Review:
    """Find the review of a package that nobody has settled yet, or say what became of it."""
    if any(one.name == package for one in now.merged):
        raise Refused(f"{package} is merged already", hint="`gitrelease package view` shows how far it is")
    if now.ledger.receipt.is_open and now.ledger.receipt.package == package:
        raise Refused(f"{package} is being released", hint="`gitrelease rollback` goes back once it is")
    became = now.ledger.holdings.summary(package) or now.archive.outcome(package)
    review = desk.forge.find(package, now.workspace, also_gone=became is None)
    if review is not None and not review.is_open:
        refuse_closed(review)
    # One that ended otherwise, as by being merged into another branch, can still be taken back.
    if review is not None and (review.is_open or became is None):
        return review
    if became is not None:
        raise Refused(f"{package} is {became.status}", hint="make a new package with `gitrelease release`")
    raise NoSuchPackage(package)


def judge(desk: Desk, now: Situation, package: PackageName) -> Reviewed:
    """Judge an open package as its branch has it now."""
    return judge_branch(desk.repo, desk.forge, now.ground, find_unsettled(desk, now, package))


def approve(desk: Desk, package: PackageName, *, message: str = "") -> Said:
    """Say yes to exactly what the package holds now; with autoMerge the last yes that was missing merges."""
    refuse_secrets(message)
    said = until_first(lambda: _approve(desk, package, message))
    merged = until_first(lambda: merge_if_approved(desk, package))
    return replace(said, merged=merged)


def _approve(desk: Desk, package: PackageName, message: str) -> Said:
    now = desk.look()
    who = desk.allowed(Action.APPROVE, now.workspace)
    judged = _still_judged(desk, now, package)
    if who in judged.package.makers:
        raise Refused(
            f"{who} made part of {package}, and nobody approves their own work", hint="ask another reviewer"
        )
    if faults := judged.package.faults or number_faults(now.ground, judged.package.manifest):
        raise Refused(
            f"{package} cannot be approved: {faults[0].message}",
            hint="its applicant revokes it and releases the tasks again",
        )
    return _say(desk, now, judged, who, Say.APPROVE, message)


def _still_judged(desk: Desk, now: Situation, package: PackageName) -> Reviewed:
    """Judge a package, also one that is merged: a late yes counts, and a no until sync has started (design 4)."""
    merged = [one for one in now.merged if one.name == package]
    if not merged:
        return judge(desk, now, package)
    judged = merged[0].judged
    if judged is None or judged.review is None:
        raise Refused(
            f"{package} is merged, and its review is gone", hint="`gitrelease rollback --unapproved`"
        )
    return Reviewed.of(judged, judged.review)


def reject(desk: Desk, package: PackageName, *, message: str) -> Said:
    """Say no, and close the package; its tasks are pending again."""
    refuse_secrets(message)
    return until_first(lambda: _close_or_settle(desk, package, Say.REJECT, message))


def revoke(desk: Desk, package: PackageName, *, message: str = "") -> Said:
    """Take an unreleased package back; its tasks are pending again."""
    refuse_secrets(message)
    return until_first(lambda: _close_or_settle(desk, package, Say.REVOKE, message))


def _close_or_settle(desk: Desk, package: PackageName, say: Say, message: str) -> Said:
    """Close a package, or settle what somebody closed on the forge before: that stands, whoever wants otherwise."""
    try:
        return _close(desk, package, say, message)
    except ClosedThere as there:
        now = desk.situation()
        action = Action.APPROVE if say is Say.REJECT else Action.REVOKE_OWN
        settle(desk, now, there.review, desk.allowed(action, now.workspace))
        return _close(desk, package, say, message)


def _close(desk: Desk, package: PackageName, say: Say, message: str) -> Said:
    now = desk.look()
    settlement = Settlement.REJECTED if say is Say.REJECT else Settlement.REVOKED
    who = desk.allowed(Action.APPROVE if say is Say.REJECT else Action.REVOKE_OWN, now.workspace)
    if package_ref(package) not in now.refs and (before := _closed_before(now, package, settlement)):
        _tell_again(desk, now, package, Status(str(settlement)))
        return Said(package=package, head=before.head or now.main, say=say, by=before.by, was_said=True)
    if say is Say.REJECT and any(one.name == package for one in now.merged):
        return _object(desk, now, package, who, message)
    judged = judge(desk, now, package)
    if is_anothers_name(now, judged.review):
        raise Refused(
            f"{package} is the name of another package in other letters, and that one goes on",
            hint=f"delete the branch {package_ref(package).removeprefix(HEADS)} with git; its tasks await release then",
        )
    if say is Say.REVOKE and who not in judged.package.makers:
        desk.allowed(Action.REVOKE_ANY, now.workspace)
    if say is Say.REJECT and who in judged.package.makers:
        raise Refused(
            f"{who} made part of {package}", hint=f"take it back: `gitrelease package revoke {package}`"
        )
    said = _say(desk, now, judged, who, say, message)
    review = desk.forge.find(package, now.workspace) or judged.review
    closed = judge_branch(desk.repo, desk.forge, now.ground, review)
    # What comes back of a package that was settled before is put away again, and the word on it stays.
    known = now.archive.outcome(package)
    status = Status(str(settlement)) if known is None else known.status
    outcome = known or replace(summarize(desk, now, closed), status=status, missing=())
    entry = ArchiveEntry(
        by=who,
        package=package,
        settlement=Settlement(str(status)),
        head=review.head,
        log=review.log,
        message=message,
        earlier=tuple(desk.forge.earlier(review)),
    )
    archived = now.archive.extended(desk.pen, entry, outcome=outcome)
    main = branch(now.ledger.main)
    moves = [
        # What was merged this moment is closed no more.
        RefMove(ref=main, new=now.main, expected=now.main),
        RefMove(ref=package_ref(package), new=None, expected=review.head),
        RefMove(ref=ARCHIVE, new=archived, expected=now.archive.tip),
    ]
    if review.log is not None:
        moves.append(RefMove(ref=review_ref(package), new=None, expected=review.log))
    desk.repo.push(moves)
    desk.report(closed, status)
    return said


def _tell_again(desk: Desk, now: Situation, package: PackageName, status: Status) -> None:
    """Have the forge show what became of a package: whoever closed it may have been cut off before that."""
    with suppress(GitReleaseError):  # what is shown decides nothing, and fails nothing
        review = desk.forge.find(package, now.workspace, also_gone=True)
        if review is not None:
            as_before = replace(now.ground, closed=lambda package: None)  # noqa: ARG005
            desk.report(judge_branch(desk.repo, desk.forge, as_before, review), status)


def _closed_before(now: Situation, package: PackageName, settlement: Settlement) -> ArchiveEntry | None:
    """Find the entry that closed a package in the same way; whoever says it again mostly does so soon after."""
    became = now.archive.outcome(package)
    if became is None or became.status != str(settlement):
        return None
    for limit in (64, None):
        for _, entry in now.archive.entries(limit=limit):
            if (entry.package, entry.settlement) == (package, settlement):
                return entry
    return None


def _object(desk: Desk, now: Situation, package: PackageName, who: MemberId, message: str) -> Said:
    """Say no to what was merged; it counts until sync has started, and nothing can be closed any more (design 4)."""
    judged = _still_judged(desk, now, package)
    if who in judged.package.makers:
        raise Refused(f"{who} made part of {package}", hint="ask another reviewer to say no")
    said = _say(desk, now, judged, who, Say.REJECT, message)
    ledger = desk.look().ledger
    is_too_late = ledger.has(package) or (ledger.receipt.is_open and ledger.receipt.package == package)
    return replace(said, is_late=True, is_too_late=is_too_late)


def _say(desk: Desk, now: Situation, judged: Reviewed, who: MemberId, say: Say, message: str) -> Said:
    """Record an opinion, unless the same person's last word on the same content is the same, and was not made void."""
    review = judged.review
    mine = [
        opinion for opinion in review.opinions if opinion.actor.member == who and opinion.say is not Say.ASK
    ]
    last = mine[-1] if mine else None
    same = (
        last is not None
        and last.say is say
        and last.manifest == judged.package.manifest_id
        and not last.is_void
    )
    if not same:
        statement = Statement(
            say=say,
            workspace=now.workspace.id,
            root=now.ledger.root,
            manifest=judged.package.manifest_id,
            message=message,
        )
        desk.forge.say(review, statement)
    return Said(package=review.package, head=review.head, say=say, by=who, was_said=same)


def withdraw(desk: Desk, package: PackageName, *, message: str = "") -> Said:
    """Take back what one said of a package, a yes or a no."""
    refuse_secrets(message)

    def attempt() -> Said:
        now = desk.look()
        who = desk.allowed(Action.APPROVE, now.workspace)
        judged = _still_judged(desk, now, package)
        said = _say(desk, now, judged, who, Say.WITHDRAW, message)
        desk.forge.report(judged.review, lambda: _standing_now(desk, package))
        return said

    return until_first(attempt)


def _standing_now(desk: Desk, package: PackageName) -> Standing:
    """Say how a package stands after something was said of it, where there is somewhere to say so."""
    now = desk.look()
    is_merged = any(one.name == package for one in now.merged)
    judged = _still_judged(desk, now, package)
    return desk.prose.standing(judged, Status.MERGED if is_merged else open_status(judged))


def add_reviewers(desk: Desk, package: PackageName, reviewers: Sequence[str]) -> Said:
    """Ask more people to review, all in one statement; the head stays, and so do the approvals."""

    def attempt() -> Said:
        now = desk.look()
        who = desk.allowed(Action.RELEASE, now.workspace)
        judged = judge(desk, now, package)
        makers = judged.package.makers
        asked = tuple(dict.fromkeys(check_reviewer(now.workspace, one, makers) for one in reviewers))
        known = {*judged.package.manifest.reviewers, *judged.review.asked}
        fresh = tuple(one for one in asked if one not in known)
        if fresh:
            statement = Statement(
                say=Say.ASK,
                workspace=now.workspace.id,
                root=now.ledger.root,
                manifest=judged.package.manifest_id,
                asks=fresh,
            )
            desk.forge.say(judged.review, statement)
        return Said(
            package=package,
            head=judged.package.head,
            say=Say.ASK,
            by=who,
            was_said=not fresh,
            asked=asked,
        )

    return until_first(attempt)
