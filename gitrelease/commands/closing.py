"""Packages that people closed on the forge itself: they are settled as it recorded that (design 4).

Whoever settles one decides nothing: the forge says that it was closed and by whom, and is asked just before. To be
closed is no right that gitrelease could grant or keep: GitHub lets everybody close who may write (decision 12).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gitrelease.commands import TRIES, Desk
from gitrelease.commands.views import summarize
from gitrelease.core.archive import ArchiveEntry, Settlement
from gitrelease.core.names import (
    ARCHIVE,
    PACKAGE,
    CommitId,
    MemberId,
    PackageName,
    branch,
    fold,
    package_ref,
)
from gitrelease.core.review import Review
from gitrelease.core.status import Status, closed_as, ended_as
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action
from gitrelease.errors import GitReleaseError, RaceLost, Refused
from gitrelease.reading.judging import NoManifest, judge_branch
from gitrelease.reading.situation import Situation
from gitrelease.repo import RefMove


@frozen
class Closed:
    """A package that was settled because somebody had closed it on the forge."""

    package: PackageName
    status: Status
    why: str


class ClosedThere(Refused):
    """Somebody closed the package on the forge itself, and nobody has settled it yet."""

    code = "closed-there"

    def __init__(self, review: Review, settlement: Settlement) -> None:
        super().__init__(
            f"{review.package} is {settlement}: {closer_text(review)}",
            hint=f"`gitrelease sync`, or `package revoke {review.package}`, gives its tasks back for another package",
        )
        self.review = review


def closer_text(review: Review) -> str:
    """Say who closed a review where."""
    who = "somebody unknown" if review.closing is None else review.closing.by.person.id
    if who is None and review.closing is not None:
        person = review.closing.by.person
        who = "an account that is gone" if person.github_id is None else f"{person.name}, who is no member,"
    return f"{who} closed {review.url or 'its pull request'}"


def refuse_closed(review: Review) -> None:
    """Refuse to go on with a package that somebody closed on the forge."""
    if (settlement := closed_as(review)) is not None:
        raise ClosedThere(review, settlement)


def settle(desk: Desk, now: Situation, review: Review, by: MemberId) -> Closed | None:
    """Settle a package whose review was closed, as the forge has it at this moment, and show there what became of it.

    Its head goes into the archive and its branch goes away, so that its tasks are pending again. Whoever opens the
    pull request again at the same moment has no branch any more that could be merged, and the name is used. What is
    left of a package that was settled before is put away again, whatever became of its review, unless that is open.

    Args:
        desk: what commands work with.
        now: how things stand.
        review: what the forge said last.
        by: whose entry it is.

    Raises:
        RaceLost: something moved meanwhile; ask the forge again.
    """
    package = review.package
    if not _is_over(now, review):
        return None
    before = now.archive.outcome(package)
    judged = judge_branch(desk.repo, desk.forge, now.ground, review)
    # Somebody may have brought back the branch of a package that was settled before: that stays as it was.
    outcome = before or replace(
        summarize(desk, now, judged), status=Status(str(ended_as(review))), missing=()
    )
    entry = ArchiveEntry(
        by=by,
        package=package,
        settlement=Settlement(str(outcome.status)),
        head=review.head,
        message=_words(review),
        recorded=desk.forge.record(review, {}) if before is None and closed_as(review) else {},
        earlier=tuple(desk.forge.earlier(review)),
    )
    archive = now.archive.extended(desk.pen, entry, outcome=outcome)
    main = branch(now.ledger.main)
    moves = [RefMove(ref=main, new=now.main, expected=now.main)]
    tip = now.refs.get(package_ref(package))
    if tip is not None:
        moves.append(RefMove(ref=package_ref(package), new=None, expected=tip))
        if tip != review.head:
            # Nobody has reviewed what was pushed after the closing, and nothing is lost all the same.
            later = replace(entry, head=CommitId(tip), recorded={}, earlier=())
            archive = replace(now.archive, tip=archive).extended(desk.pen, later, outcome=outcome)
    moves.append(RefMove(ref=ARCHIVE, new=archive, expected=now.archive.tip))
    desk.repo.push(moves)
    desk.report(judged, outcome.status)
    return Closed(package=package, status=outcome.status, why=entry.message)


def _is_over(now: Situation, review: Review) -> bool:
    """Say whether nothing can come of a review any more: it has ended, or its package was settled before."""
    package = review.package
    is_on_main = any(one.name == package for one in now.merged) or now.ledger.has(package)
    if is_on_main or now.ledger.receipt.package == package or is_anothers_name(now, review):
        return False
    return ended_as(review) is not None or (now.archive.outcome(package) is not None and not review.is_open)


def is_anothers_name(now: Situation, review: Review) -> bool:
    """Say whether settling a package would use up the name of another that is spelled otherwise and goes on.

    One that is merged goes on, whoever closes what. One that is under review does unless somebody who may release
    made the one that was closed: else whoever may push could end any package with a copy of it.
    """
    package = review.package

    def is_twin(name: str) -> bool:
        return name != package and fold(name) == fold(package)

    if any(is_twin(one.name) for one in now.merged):
        return True
    makers = (author.member for author in review.authors if author.member is not None)
    if any(now.workspace.may(maker, Action.RELEASE) for maker in makers):
        return False
    return any(is_twin(ref.removeprefix(PACKAGE)) for ref in now.refs if ref.startswith(PACKAGE))


def _words(review: Review) -> str:
    if closed_as(review) is not None:
        return closer_text(review)
    # Whether it was approved before somebody took it out again, as by a push into the main branch, is not said here.
    ending = "was merged, and is in the main branch no more" if review.was_merged else "leads elsewhere"
    return f"{review.url or 'its pull request'} {ending}"


def settle_all(desk: Desk, now: Situation, by: MemberId) -> tuple[list[Closed], list[str]]:
    """Settle every package that was closed on the forge; what cannot be settled now comes back with the reason.

    Production is none of its business, so nothing that goes wrong here fails a sync: the next one tries again.
    """
    return _each_closed(desk, now, lambda now, name: _settled(desk, now, name, by))


def find_closed(desk: Desk, now: Situation) -> tuple[list[Closed], list[str]]:
    """Say what `settle_all` would settle."""

    def look(now: Situation, name: PackageName) -> tuple[Situation, Closed | None]:
        review = desk.forge.find(name, now.workspace, also_gone=True)
        if review is None or not _is_over(now, review):
            return now, None
        before = now.archive.outcome(name)
        status = before.status if before else Status(str(ended_as(review)))
        return now, Closed(package=name, status=status, why=_words(review))

    return _each_closed(desk, now, look)


def _each_closed(
    desk: Desk,
    now: Situation,
    settled: Callable[[Situation, PackageName], tuple[Situation, Closed | None]],
) -> tuple[list[Closed], list[str]]:
    done: list[Closed] = []
    notes: list[str] = []
    merged = {one.name for one in now.merged}
    archive, ledger = now.archive, now.ledger

    def is_over(name: PackageName) -> bool:
        return name in merged or ledger.has(name) or archive.outcome(name) is not None

    try:
        names = desk.forge.closed(is_over)
    except GitReleaseError as failed:
        return [], [f"whether packages were closed on the forge cannot be seen: {failed.message}"]
    for name in names:
        if name in merged:
            continue
        try:
            now, made = settled(now, name)
        except NoManifest:
            continue  # it is no package, whatever its branch was called
        except GitReleaseError as failed:
            notes.append(f"{name} is closed on the forge, and cannot be settled: {failed.message}")
            continue
        done += [made] if made is not None else []
    return done, notes


def _settled(desk: Desk, now: Situation, name: PackageName, by: MemberId) -> tuple[Situation, Closed | None]:
    """Settle one package, if it is closed; whenever somebody was first, all is looked at and asked again."""
    for tries in range(TRIES):
        review = desk.forge.find(name, now.workspace, also_gone=True)
        if review is None or not _is_over(now, review):
            return now, None
        try:
            made = settle(desk, now, review, by)
        except RaceLost:
            if tries == TRIES - 1:
                raise
            now = desk.look()
            continue
        return (now, None) if made is None else (desk.look(), made)
    return now, None
