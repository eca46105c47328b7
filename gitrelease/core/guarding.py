"""What a server lets happen to the main branch and to production; and the one function that asks every rule.

A rule finds everything that is wrong with one ref of a push, in words that its developer can act on; nothing
found is a yes. What goes to production is decided by sync: this wall keeps out what sync would refuse later,
and keeps what was accepted (design 5).
"""

from __future__ import annotations

from collections.abc import Sequence

from gitrelease.core.accepting import (
    ArchiveFacts,
    GoneFacts,
    PackageFacts,
    ReviewFacts,
    TaskFacts,
    archive_findings,
    gone_findings,
    package_findings,
    review_findings,
    task_findings,
)
from gitrelease.core.finding import Finding
from gitrelease.core.moves import (
    Move,
    Step,
    branch_fault,
    does_not_grow,
    finding,
    not_allowed,
    unbelieved,
)
from gitrelease.core.names import HEADS, CommitId, MemberId, PackageName
from gitrelease.core.package import Reason
from gitrelease.core.people import Actor
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Workspace

# The main branch.


@frozen
class MainStep:
    """One commit that the main branch is to grow by."""

    commit: CommitId
    package: PackageName | None
    """The package that it merges; None when it is the merge of none."""
    reasons: tuple[Reason, ...] = ()
    """Why that package is not approved, or not as it was merged."""
    guarded: str | None = None
    """A path that it changes and that only packages may change."""


@frozen
class MainFacts:
    """What is known of the main branch, as it is to be."""

    grows: bool
    steps: tuple[MainStep, ...]
    others_are_free: bool = False
    """Whether this server lets commits through that touch nothing of what packages are made of."""


def main_findings(move: Move, facts: MainFacts) -> list[Finding]:
    """Say why the main branch is not to go there: it grows by merges of approved packages only."""
    if not facts.grows:
        return [does_not_grow(move)]
    found = []
    for step in facts.steps:
        if step.package is not None:
            hint = f"`gitrelease gate {step.package}` says what is missing"
            found += [
                finding(move, reason.code, f"{step.commit:.7} merges {step.package}: {reason.message}", hint)
                for reason in dict.fromkeys(step.reasons)
            ]
        elif step.guarded is not None:
            message = f"{step.commit:.7} changes {step.guarded}, and is not the merge of an approved package"
            hint = "`gitrelease submit` what you changed, then `gitrelease release` it"
            found.append(finding(move, "direct-push", message, hint))
        elif not facts.others_are_free:
            message = f"{step.commit:.7} is not the merge of an approved package"
            hint = "an administrator of the server allows it: git config gitrelease.otherFiles true"
            found.append(finding(move, "direct-push", message, hint))
    return found


# Production.


@frozen
class Written:
    """One new receipt, or one new commit of a deploy branch."""

    commit: CommitId
    by: Actor
    writers: Workspace
    """The workspace that says who may write it."""
    fault: str | None = None
    named: MemberId | None = None
    """Who it says its runner is."""


@frozen
class LedgerFacts:
    """What is known of the ledger, as it is to be."""

    grows: bool
    receipts: tuple[Written, ...]


def ledger_findings(move: Move, facts: LedgerFacts) -> list[Finding]:
    """Say why the ledger is not what was there and some more receipts that runners wrote."""
    if not facts.grows:
        return [does_not_grow(move)]
    return [one for written in facts.receipts for one in _written_findings(move, written, "the receipt")]


def _written_findings(move: Move, written: Written, what: str) -> list[Finding]:
    if written.fault is not None:
        return [finding(move, "not-a-receipt", written.fault, "only `gitrelease sync` writes it")]
    who = written.by.member
    if who is None:
        return [unbelieved(move, written.by, f"{what} {written.commit:.7}")]
    if not written.writers.may(who, Action.SYNC):
        message = f"{what} {written.commit:.7} was written by {who}, who is no runner"
        return [finding(move, "no-runner", message, "only `gitrelease sync`, as a runner, moves it")]
    if written.named not in {None, who}:
        message = f"{what} {written.commit:.7} names {written.named} as its runner, and was written by {who}"
        return [finding(move, "no-runner", message)]
    return []


@frozen
class RootFacts:
    """What is known of a ledger that is to begin here."""

    pinned: CommitId | None
    """The only trust root that this server takes, if it was told one."""
    faults: tuple[str, ...]
    by: Actor
    workspace: Workspace | None
    has_main: bool
    """Whether the main branch that it names comes with it, and has what it says was taken over."""


def root_findings(move: Move, facts: RootFacts) -> list[Finding]:
    """Say why a ledger cannot begin with this: one receipt, the trust root, made by an admin."""
    if facts.pinned is not None and move.new != facts.pinned:
        message = f"this server takes no other trust root than {facts.pinned}"
        hint = "gitrelease.root in its configuration says so; a lost ledger is restored there, from a clone"
        return [finding(move, "other-root", message, hint)]
    found = [
        finding(move, "no-root", fault, "`gitrelease init` begins a ledger")
        for fault in dict.fromkeys(facts.faults)
    ]
    if facts.workspace is None or found:
        return found
    if not facts.has_main:
        message = "the main branch that it names is not here with what it says was taken over"
        found.append(finding(move, "no-root", message, "`gitrelease init` pushes both at once"))
    if facts.by.member is None:
        found.append(unbelieved(move, facts.by, "the trust root"))
    elif not facts.workspace.may(facts.by.member, Action.APPROVE_WORKSPACE):
        found.append(not_allowed(move, facts.by.member, Action.APPROVE_WORKSPACE, facts.workspace))
    return found


@frozen
class DeployFacts:
    """What is known of a branch that is production, as it is to be."""

    target: str
    is_target: bool
    is_begun: bool
    """Whether the ledger says that a runner is at work."""
    grows: bool
    commits: tuple[Written, ...]


def deploy_findings(move: Move, facts: DeployFacts) -> list[Finding]:
    """Say why a branch that is production is not to go there: runners move it, and the ledger says so first."""
    if not facts.is_target:
        message = f"workspace.yaml names no target {facts.target}"
        return [finding(move, "no-target", message, "`gitrelease workspace view` shows the targets")]
    if not facts.grows:
        return [does_not_grow(move)]
    found = [one for written in facts.commits for one in _written_findings(move, written, "the commit")]
    if not found and not facts.is_begun:
        message = "the ledger does not say that anything is being released"
        found.append(finding(move, "not-begun", message, "only `gitrelease sync` moves it"))
    return found


@frozen
class TagFacts:
    """What is known of a release tag that is to be made."""

    package: PackageName
    is_annotated: bool
    target: CommitId | None
    merge: CommitId | None
    """Where the package was merged that the same push says is released; None when it says so of none."""


def tag_findings(move: Move, facts: TagFacts) -> list[Finding]:
    """Say why a release tag may not be made: sync makes it with the receipt that finishes the release."""
    hint = "`gitrelease sync` makes it, with the receipt of the release"
    if facts.merge is None:
        message = f"the push does not release {facts.package}, so it makes no tag of it"
        return [finding(move, "foreign-tag", message, hint)]
    if not facts.is_annotated or facts.target != facts.merge:
        message = (
            f"it does not stand at {facts.merge:.7}, where {facts.package} was merged, as an annotated tag"
        )
        return [finding(move, "foreign-tag", message, hint)]
    return []


# Branches that are nobody's business but their owner's.


@frozen
class FreeFacts:
    """What is known of any other branch."""

    main: str | None
    fault: str | None = None
    """Why what it is to hold cannot be a branch."""


def free_findings(move: Move, facts: FreeFacts) -> list[Finding]:
    """Say why any other branch is not well-formed; its content is nobody's business."""
    if move.step is Step.DELETES:
        return []  # whatever it was called, it was here
    if why := branch_fault(move.ref.removeprefix(HEADS), facts.main):
        return [finding(move, "branch-name", why, "choose a name such as feature/orders")]
    if facts.fault is not None:
        return [finding(move, "not-a-commit", facts.fault)]
    return []


Facts = (
    TaskFacts
    | PackageFacts
    | ReviewFacts
    | GoneFacts
    | ArchiveFacts
    | MainFacts
    | LedgerFacts
    | RootFacts
    | DeployFacts
    | TagFacts
    | FreeFacts
)


def judge(move: Move, facts: Facts, workspace: Workspace | None) -> Sequence[Finding]:
    """Find everything that is wrong with one ref of a push, by the rule of its kind.

    Args:
        move: the ref, and what the push does to it.
        facts: what is known of it.
        workspace: the effective workspace; None before there is a ledger, when there is no rule that asks it.
    """
    match facts:
        case TaskFacts() if workspace is not None:
            return task_findings(move, facts, workspace)
        case PackageFacts():
            return package_findings(move, facts)
        case ReviewFacts() if workspace is not None:
            return review_findings(move, facts, workspace)
        case ArchiveFacts() if workspace is not None:
            return archive_findings(move, facts, workspace)
        case GoneFacts():
            return gone_findings(move, facts)
        case MainFacts():
            return main_findings(move, facts)
        case LedgerFacts():
            return ledger_findings(move, facts)
        case RootFacts():
            return root_findings(move, facts)
        case DeployFacts():
            return deploy_findings(move, facts)
        case TagFacts():
            return tag_findings(move, facts)
        case FreeFacts():
            return free_findings(move, facts)
    return [
        finding(move, "no-ledger", "there is no ledger yet to judge it by", "`gitrelease init` begins one")
    ]
