"""Reviews: the opinions a package has gathered, and the one function that says whether they are enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from gitrelease.core.names import BlobId, CommitId, MemberId, PackageName
from gitrelease.core.package import Manifest, Proposed, Purpose, Reason
from gitrelease.core.people import Actor
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Rule, Workspace


class Say(StrEnum):
    """What one opinion says."""

    APPROVE = "approve"
    REJECT = "reject"
    """Changes requested; on plain git, rejecting also closes the package."""
    WITHDRAW = "withdraw"
    """Takes back what the same person said before."""
    ASK = "ask"
    """Asks somebody to review; decides nothing."""
    REVOKE = "revoke"
    """Takes the package back; decides nothing but that it is closed."""
    UNREADABLE = "unreadable"
    """Stands where opinions do and is none: nobody said it, and it is shown so that nobody wonders."""


_DECISIVE = frozenset({Say.APPROVE, Say.REJECT, Say.WITHDRAW})
_LATER = {
    Say.APPROVE: "approved later",
    Say.REJECT: "asked for changes later",
    Say.WITHDRAW: "took it back",
}


@frozen
class Opinion:
    """What one person said of exactly one content of a package."""

    id: str
    """Where the evidence is: a commit of the review log, or the forge's number."""
    actor: Actor
    say: Say
    at: datetime
    head: CommitId
    manifest: BlobId | None
    """The manifest the head had when this was said; None when the server cannot tell."""
    root: CommitId | None = None
    """The trust root it was given under, on plain git; elsewhere the forge itself is the place."""
    message: str = ""
    dismissed_by: Actor | None = None
    asks: tuple[MemberId, ...] = ()

    @property
    def is_void(self) -> bool:
        """Whether it is not what was said that keeps it from counting: then to say the same again may count."""
        return self.dismissed_by is not None or self.actor.doubt is not None


@frozen
class Closing:
    """Somebody closed a review by the forge's own means, without merging it."""

    by: Actor
    is_author: bool
    """Whether it was one of those whom the forge recorded as the authors of the package."""


@frozen
class Review:
    """Everything a forge knows about the review of one package. Facts only; `evaluate` judges them."""

    package: PackageName
    head: CommitId
    authors: tuple[Actor, ...]
    """Who created or pushed the branch, or opened the pull request."""
    opinions: tuple[Opinion, ...]
    is_open: bool = True
    is_draft: bool = False
    url: str | None = None
    log: CommitId | None = None
    """The tip of the review log, on plain git."""
    fault: str | None = None
    """Why what the forge knows cannot be read, as the end of a sentence; then nothing counts."""
    records_merges: bool = False
    """Whether the forge keeps a record of its own of what was merged how; plain git has none."""
    merged_as: CommitId | None = None
    """The commit that merging the package made, by that record."""
    closing: Closing | None = None
    """Who closed it on the forge; None while it is open, when it was merged, and where closing is a settlement."""

    @property
    def was_merged(self) -> bool:
        """Whether it was merged where it should be, by whomever; the main branch may hold something else by now."""
        return not self.is_open and self.closing is None and self.fault is None

    @property
    def asked(self) -> tuple[MemberId, ...]:
        """Who was asked to review after the package was made."""
        return tuple(dict.fromkeys(who for opinion in self.opinions for who in opinion.asks))


@frozen
class Uncounted:
    """An opinion that has no weight, and why."""

    opinion: Opinion
    why: str | None
    """A sentence about the opinion as "it"; None for a word taken back, which says itself what it does."""


_VETO = "changes-requested"


@frozen
class Verdict:
    """Whether enough of the right people approved exactly this content, and if not, what is missing."""

    package: PackageName
    head: CommitId
    approvals: tuple[Opinion, ...]
    vetoes: tuple[Opinion, ...]
    reasons: tuple[Reason, ...]
    """Why it is not approved, whoever says yes: things that more approvals do not cure."""
    missing: tuple[Reason, ...]
    """Which approvals are still missing."""
    uncounted: tuple[Uncounted, ...] = ()
    """What else was said of the package, and why it does not count."""

    @property
    def is_approved(self) -> bool:
        """Whether the package may be merged and applied."""
        return not self.reasons and not self.missing

    @property
    def faults(self) -> tuple[Reason, ...]:
        """What is wrong with the package itself: why it is not approved, but for what people think of it."""
        return tuple(reason for reason in self.reasons if reason.code != _VETO)

    def is_approved_but_for(self, obstacles: Sequence[Reason]) -> bool:
        """Whether people approved it, and nothing but these reasons stands in its way."""
        return not self.missing and set(self.reasons) <= set(obstacles)


def may_approve(workspace: Workspace, who: MemberId) -> bool:
    """Say whether a member's approval can count at all."""
    return workspace.may(who, Action.APPROVE)


def evaluate(workspace: Workspace, package: Proposed, opinions: Sequence[Opinion]) -> Verdict:
    """Decide whether a package is approved: the only such decision, used by every entry point (design 4).

    The latest decisive opinion of each person counts, an approval only for the content the head has, from
    people who are eligible in the workspace given, never from an author. Every doubt is a no.
    """
    manifest = package.manifest
    authors = package.makers
    last = _latest(opinions)
    approvals: list[Opinion] = []
    vetoes: list[Opinion] = []
    uncounted: list[Uncounted] = []
    for opinion in opinions:
        if opinion.say not in _DECISIVE | {Say.UNREADABLE}:
            continue
        who = _speaker(opinion)
        if who is None:
            uncounted.append(Uncounted(opinion=opinion, why=f"it {opinion.actor.doubt or 'has no author'}"))
        elif opinion is not last[who]:
            uncounted.append(Uncounted(opinion=opinion, why=f"{who} {_LATER[last[who].say]}"))
        elif opinion.say is Say.WITHDRAW:
            uncounted.append(Uncounted(opinion=opinion, why=None))
        elif why := _weightless(workspace, package, authors, who, opinion):
            uncounted.append(Uncounted(opinion=opinion, why=why))
        else:
            (approvals if opinion.say is Say.APPROVE else vetoes).append(opinion)
    said_yes = {opinion.actor.member for opinion in approvals if opinion.actor.member}
    return Verdict(
        package=manifest.name,
        head=package.head,
        approvals=tuple(approvals),
        vetoes=tuple(vetoes),
        reasons=(
            *package.faults,
            *package.obstacles,
            *_no_right(workspace, manifest, package),
            *(_veto(veto) for veto in vetoes),
        ),
        missing=tuple(_missing(workspace, manifest, authors, said_yes)),
        uncounted=tuple(uncounted),
    )


def _weightless(
    workspace: Workspace,
    package: Proposed,
    authors: frozenset[MemberId],
    who: MemberId,
    opinion: Opinion,
) -> str | None:
    """Say why somebody's latest word, a yes or a no, does not count; None when it does."""
    if not may_approve(workspace, who):
        return f"{who} may not approve in this workspace"
    if opinion.say is Say.REJECT:
        lifted = _lifted(workspace, opinion, authors)
        return f"it was dismissed by {lifted}" if lifted else None
    if opinion.dismissed_by is not None:
        return f"it was dismissed by {opinion.dismissed_by.person}"
    if opinion.manifest is None:
        return "nobody can tell which content it was given to"
    if opinion.manifest != package.manifest_id:
        return "it was given to other content"
    if opinion.root not in {None, package.manifest.root}:
        return "it was given under another trust root"
    return f"{who} made part of the package" if who in authors else None


def _speaker(opinion: Opinion) -> MemberId | None:
    """Say whose an opinion is; one that cannot be believed, or read, is nobody's."""
    is_nobodys = opinion.actor.doubt is not None or opinion.say is Say.UNREADABLE
    return None if is_nobodys else opinion.actor.member


def _latest(opinions: Iterable[Opinion]) -> dict[MemberId, Opinion]:
    """Keep each person's latest decisive opinion."""
    last: dict[MemberId, Opinion] = {}
    for opinion in opinions:
        who = _speaker(opinion)
        if who is not None and opinion.say in _DECISIVE:
            last[who] = opinion
    return last


def _lifted(workspace: Workspace, veto: Opinion, authors: frozenset[MemberId]) -> MemberId | None:
    """Say who dismissed a veto, if that is somebody who may: who gave it, or an admin who is no author (pitfall P5)."""
    by = veto.dismissed_by
    if by is None or by.member is None or by.doubt is not None:
        return None
    if by.member == veto.actor.member:
        return by.member
    may = by.member not in authors and workspace.may(by.member, Action.APPROVE_WORKSPACE)
    return by.member if may else None


def _no_right(workspace: Workspace, manifest: Manifest, package: Proposed) -> list[Reason]:
    """Find authors who may not do what they did; what they made then needs somebody who may."""
    reasons = []
    if not package.authors:
        reasons.append(Reason(code="no-author", message="nobody is recorded as the author of the package"))
    # An import as released is for admins only, and another admin approves it (design 4, "Import").
    action = {Purpose.ROLLBACK: Action.ROLL_BACK, Purpose.IMPORT: Action.APPROVE_WORKSPACE}.get(
        manifest.purpose, Action.RELEASE
    )
    if not workspace.may(manifest.applicant, action):
        reasons.append(
            Reason(
                code="applicant",
                message=f"the applicant {manifest.applicant} may not {action} in this workspace",
            )
        )
    if manifest.purpose in {Purpose.RELEASE, Purpose.IMPORT}:
        submitters = dict.fromkeys(who for planned in manifest.items for who in planned.submitters)
        reasons += [
            Reason(code="submitter", message=f"{who} may not submit in this workspace")
            for who in submitters
            if not workspace.may(who, Action.SUBMIT)
        ]
    return reasons


def _veto(opinion: Opinion) -> Reason:
    said = f": {opinion.message}" if opinion.message else ""
    return Reason(code=_VETO, message=f"{opinion.actor.member} asked for changes{said}")


def _missing(
    workspace: Workspace, manifest: Manifest, authors: frozenset[MemberId], said_yes: set[MemberId]
) -> list[Reason]:
    missing = []
    review = workspace.review
    needed = max(1, review.rollback_approvals if manifest.purpose is Purpose.ROLLBACK else review.approvals)
    if len(said_yes) < needed:
        could = [
            who for who in workspace.who_may(Action.APPROVE) if who not in authors and who not in said_yes
        ]
        missing.append(
            Reason(
                code="approvals",
                message=f"{needed - len(said_yes)} more of {needed} approvals, {_from(could)}",
            )
        )
    if manifest.touches_workspace or manifest.purpose is Purpose.IMPORT:
        what = "the workspace changes" if manifest.touches_workspace else "it was never reviewed before"
        admins = [who for who in workspace.who_may(Action.APPROVE_WORKSPACE) if who not in authors]
        if not said_yes & set(admins):
            missing.append(Reason(code="admin", message=f"an admin's approval, as {what}, {_from(admins)}"))
    for rule in workspace.rules_for(manifest.paths):
        missing += _missing_for(workspace, rule, authors, said_yes)
    return missing


def _missing_for(
    workspace: Workspace, rule: Rule, authors: frozenset[MemberId], said_yes: set[MemberId]
) -> list[Reason]:
    people = {MemberId(who) for who in rule.people}
    short = max(1, rule.approvals) - len(said_yes & people)
    if short <= 0:
        return []
    could = [
        who
        for who in rule.people
        if who not in authors and who not in said_yes and may_approve(workspace, MemberId(who))
    ]
    where = ", ".join(rule.paths)
    return [
        Reason(
            code="required", message=f"{short} more of {rule.approvals} required for {where}, {_from(could)}"
        )
    ]


def _from(people: Sequence[str]) -> str:
    if not people:
        return "and nobody is left who could give it"
    return "from " + (people[0] if len(people) == 1 else f"one of {', '.join(people)}")


def cannot_be_met(workspace: Workspace, manifest: Manifest, authors: frozenset[MemberId]) -> list[Reason]:
    """Find the requirements that nobody is left to meet, so that a package is refused before it is made."""
    everyone = {who for who in workspace.who_may(Action.APPROVE) if who not in authors}
    return _missing(workspace, manifest, authors, everyone)
