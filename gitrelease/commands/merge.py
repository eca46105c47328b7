"""`gitrelease gate` and `gitrelease package merge`: exactly what was approved goes into the main branch, or nothing."""

from __future__ import annotations

from gitrelease.commands import Desk, until_first
from gitrelease.commands.closing import ClosedThere, refuse_closed, settle
from gitrelease.commands.refusals import HeldUnapproved, NoSuchPackage
from gitrelease.core.names import CommitId, PackageName, branch, package_ref
from gitrelease.core.package import Reason, unexpected
from gitrelease.core.review import Review, Verdict
from gitrelease.core.status import Status, closed_as, status_of
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action
from gitrelease.errors import CredentialsError, Exit, Refused
from gitrelease.reading.judging import Judged, Reviewed, judge_branch
from gitrelease.reading.situation import Situation
from gitrelease.reading.trees import difference_of
from gitrelease.repo import Conflicts, PushDeclined


class NotApproved(Refused):
    """Approvals are missing; people have to act."""

    exit = Exit.WAITING
    code = "not-approved"


@frozen
class MergeResult:
    """Where a package stands after somebody tried to merge it."""

    package: PackageName
    verdict: Verdict | None
    """None when it was merged before."""
    merge: CommitId | None
    was_merged: bool = False


def gate(desk: Desk, package: PackageName) -> MergeResult:
    """Say whether a package is approved, and merge it if it is and the workspace merges by itself.

    A package that somebody closed on the forge is settled, and refused.

    Nobody is asked for a right: `gate` runs where nobody sits, in CI, and brings about only what people who may
    have decided by approving. Whoever calls it chooses nothing (decision 7).
    """

    def attempt() -> MergeResult:
        try:
            return merge_if_approved(desk, package)
        except ClosedThere as there:
            _settle(desk, there.review)
            raise

    return until_first(attempt)


def _settle(desk: Desk, review: Review) -> None:
    """Settle what was closed on the forge, if whoever calls is somebody who could write that down; else sync does."""
    now = desk.situation()
    done = None
    try:
        who = desk.forge.whoami(now.workspace).member
        done = None if who is None else settle(desk, now, review, who)
    except (Refused, PushDeclined, CredentialsError) as refused:
        # The git of a workflow is nobody's, or may not push the archive.
        desk.say(f"{review.package} is left for sync to settle: {refused.message}")
    if done is None and (settlement := closed_as(review)) is not None:
        judged = judge_branch(desk.repo, desk.forge, now.ground, review)
        desk.report(judged, Status(str(settlement)))


def merge(desk: Desk, package: PackageName) -> MergeResult:
    """Merge an approved package, or refuse with what is missing."""

    def attempt() -> MergeResult:
        now = desk.look()
        desk.allowed(Action.MERGE, now.workspace)
        if done := _merged_before(desk, now, package):
            return done
        judged = _judged(desk, now, package)
        if not judged.verdict.is_approved:
            raise _refusal(judged.verdict)
        made = _merge(desk, now, judged)
        desk.report(judged, Status.MERGED)
        return MergeResult(package=package, verdict=judged.verdict, merge=made)

    return until_first(attempt)


def merge_if_approved(desk: Desk, package: PackageName) -> MergeResult:
    """Merge if the verdict is yes and the workspace has autoMerge; else only say how it stands."""
    now = desk.look()
    if done := _merged_before(desk, now, package):
        return done
    judged = _judged(desk, now, package)
    made = None
    if judged.verdict.is_approved and now.workspace.review.auto_merge:
        made = _merge(desk, now, judged)
    desk.report(judged, Status.MERGED if made is not None else open_status(judged))
    return MergeResult(package=package, verdict=judged.verdict, merge=made)


def open_status(judged: Judged) -> Status:
    """Say where a package stands that is neither merged nor closed."""
    return status_of(
        event=None,
        outcomes=(),
        settlement=None,
        is_merged=False,
        review=judged.review,
        verdict=judged.verdict,
    )


def _merged_before(desk: Desk, now: Situation, package: PackageName) -> MergeResult | None:
    """See whether the main branch holds the package already, applied or not."""
    for one in now.merged:
        if one.name == package:
            verdict = one.judged.verdict if one.judged else None
            if one.judged is not None:
                desk.report(one.judged, Status.MERGED)
            return MergeResult(package=package, verdict=verdict, merge=one.merge, was_merged=True)
    if now.ledger.has(package):
        return MergeResult(package=package, verdict=None, merge=None, was_merged=True)
    return None


def _judged(desk: Desk, now: Situation, package: PackageName) -> Reviewed:
    became = now.archive.outcome(package)
    review = desk.forge.find(package, now.workspace, also_gone=became is None)
    if review is not None:
        refuse_closed(review)
    if review is None or package_ref(package) not in now.refs:
        if became is not None:
            raise Refused(
                f"{package} is {became.status}", hint="make a new package with `gitrelease release`"
            )
        raise NoSuchPackage(package)
    return judge_branch(desk.repo, desk.forge, now.ground, review)


def _refusal(verdict: Verdict) -> Refused:
    if verdict.reasons:
        return Refused(
            f"{verdict.package} cannot be merged: {verdict.reasons[0].message}",
            hint=f"`gitrelease package view {verdict.package}` shows all that is against it",
        )
    missing = "; ".join(reason.message for reason in verdict.missing)
    return NotApproved(f"{verdict.package} is not approved yet: {missing}", hint="ask the reviewers")


def _merge(desk: Desk, now: Situation, judged: Reviewed) -> CommitId:
    """Merge the approved head; git itself refuses two packages with one item, and we compare every blob."""
    package = judged.package
    if unapproved := now.unapproved_items & {planned.item for planned in package.manifest.items}:
        raise HeldUnapproved(min(unapproved))
    tree = desk.repo.merge_trees(now.main, package.head)
    if isinstance(tree, Conflicts):
        raise Refused(
            f"{package.manifest.name} conflicts with what was released meanwhile: {', '.join(tree.paths[:3])}",
            hint=f"`gitrelease package revoke {package.manifest.name}`, submit again, and release again",
        )
    found = difference_of(desk.repo.diff(desk.repo.tree_of(now.main), tree))
    faults: list[Reason] = unexpected(package.manifest.difference(package.manifest_id), found)
    if faults:
        raise Refused(
            f"merging {package.manifest.name} would not give what was approved: {faults[0].message}",
            hint=f"`gitrelease package revoke {package.manifest.name}`, and release its tasks again",
        )
    names = ", ".join(str(opinion.actor.member) for opinion in judged.verdict.approvals)
    message = f"Merge package {package.manifest.name}\n\nApproved by {names}.\n"
    return desk.forge.merge(
        judged.review, into=branch(now.ledger.main), main=now.main, tree=tree, message=message
    )
