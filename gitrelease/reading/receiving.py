"""The facts about every ref of a push, each gathered for its rule (`core/guarding.py`).

Here are the main branch, production and all other branches; `offered.py` has what people submit and say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gitrelease.core.accepting import ArchiveFacts, PackageFacts, ReviewFacts, TaskFacts
from gitrelease.core.guarding import (
    DeployFacts,
    Facts,
    FreeFacts,
    LedgerFacts,
    MainFacts,
    MainStep,
    RootFacts,
    TagFacts,
    Written,
)
from gitrelease.core.ledger import Receipt, does_not_follow
from gitrelease.core.moves import Move, RefKind, Step
from gitrelease.core.names import (
    DEPLOY,
    RELEASE_TAGS,
    CommitId,
    PackageName,
    branch,
    is_guarded,
    package_at,
    package_name,
)
from gitrelease.core.package import Reason
from gitrelease.core.people import Actor
from gitrelease.core.workspace import Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.reading.broken import MALFORMED
from gitrelease.reading.judging import judge_merged
from gitrelease.reading.ledger import receipt_of
from gitrelease.reading.offered import (
    archive_facts,
    gone_facts,
    package_facts,
    review_facts,
    task_facts,
)
from gitrelease.reading.pushes import Approved, ReceivedPush
from gitrelease.reading.replay import replay
from gitrelease.reading.situation import with_package
from gitrelease.reading.trees import read_workspace
from gitrelease.repo import Commit, Repo, TreeChange
from gitrelease.signers import identify


def gather_facts(push: ReceivedPush, move: Move) -> Facts:
    """Gather what the rule for a ref has to know.

    Raises:
        GitReleaseError: what the ref is to hold, or what judges it, cannot be read.
    """
    kind = push.kind(move)
    if move.new is None and kind in {RefKind.TASK, RefKind.PACKAGE, RefKind.REVIEW}:
        return gone_facts(push, move, kind)
    match kind:
        case RefKind.TASK:
            return task_facts(push, move)
        case RefKind.PACKAGE:
            return package_facts(push, move)
        case RefKind.REVIEW:
            return review_facts(push, move)
        case RefKind.ARCHIVE:
            return archive_facts(push, move)
        case RefKind.MAIN:
            return _main(push, move)
        case RefKind.LEDGER:
            return _ledger(push, move) if push.ledger is not None else _root(push, move)
        case RefKind.DEPLOY:
            return _deploy(push, move)
        case RefKind.TAG:
            return _tag(push, move)
        case RefKind.FREE | RefKind.FOREIGN:
            return _free(push, move)


def people_in(facts: Facts) -> tuple[Actor, ...]:
    """List who is named in what a ref is to hold anew."""
    match facts:
        case TaskFacts():
            return facts.by[:1]
        case PackageFacts() | RootFacts():
            return (facts.by,)
        case ReviewFacts():
            return tuple(opinion.actor for opinion in facts.opinions)
        case ArchiveFacts():
            return tuple(settled.by for settled in facts.entries)
        case LedgerFacts():
            return tuple(written.by for written in facts.receipts)
        case DeployFacts():
            return tuple(written.by for written in facts.commits)
    return ()


# The main branch.


def _main(push: ReceivedPush, move: Move) -> MainFacts:
    commits = push.growth(move)
    if commits is None or move.old is None:
        return MainFacts(grows=False, steps=())
    approved = push.approved
    steps = []
    for commit in commits:
        step, approved = _main_step(push, commit, approved)
        steps.append(step)
    return MainFacts(grows=True, steps=tuple(steps), others_are_free=push.others_are_free)


def _main_step(push: ReceivedPush, commit: Commit, approved: Approved) -> tuple[MainStep, Approved]:
    """Judge one commit of the main branch by what was approved before it; give what is approved after it."""
    changes = push.repo.diff(commit.parents[0], commit.id)
    guarded = [change for change in changes if is_guarded(change.path)]
    names = _packages_brought(guarded)
    if len(names) != 1:
        path = guarded[0].path if guarded else None
        return MainStep(commit=commit.id, package=None, guarded=path), approved
    name = names[0]
    try:
        review = push.forge.find(name, approved.workspace)
        ground = push.ground(approved)
        judged = judge_merged(push.repo, push.forge, ground, name, review=review, merge=commit.id)
    except GitReleaseError as wrong:
        reason = Reason(code=wrong.code, message=wrong.message)
        return MainStep(commit=commit.id, package=name, reasons=(reason,)), approved
    reasons = (*judged.verdict.reasons, *judged.verdict.missing)
    if not reasons:
        manifest = judged.package.manifest
        tree = with_package(push.repo, approved.tree, manifest.difference(judged.package.manifest_id))
        workspace = read_workspace(push.repo, tree) if manifest.touches_workspace else approved.workspace
        approved = Approved(tree=tree, workspace=workspace)
    return MainStep(commit=commit.id, package=name, reasons=reasons), approved


def _packages_brought(changes: Iterable[TreeChange]) -> list[PackageName]:
    added = [change.path for change in changes if change.before is None and change.after is not None]
    return [name for name in map(package_at, added) if name is not None]


# Production.


def _ledger(push: ReceivedPush, move: Move) -> LedgerFacts:
    commits = push.growth(move)
    if commits is None or move.old is None:
        return LedgerFacts(grows=False, receipts=())
    before = push.repo.commit(CommitId(move.old))
    receipts = []
    for commit in commits:
        receipts.append(_receipt(push, before, commit))
        before = commit
    return LedgerFacts(grows=True, receipts=tuple(receipts))


def _receipt(push: ReceivedPush, before: Commit, commit: Commit) -> Written:
    ledger = push.ledger_at(before.id)
    by = identify(push.repo, [commit.id], ledger.writers)[commit.id]
    written = Written(commit=commit.id, by=by, writers=ledger.writers)
    try:
        receipt = receipt_of(commit)
    except GitReleaseError as wrong:
        return replace(written, fault=f"{commit.id:.7} is no receipt: {wrong.message}")
    return replace(written, fault=_fault(ledger.receipt, before, receipt, commit), named=receipt.runner)


def _fault(last: Receipt, before: Commit, receipt: Receipt, commit: Commit) -> str | None:
    """Say why a receipt cannot come after the one before it; `verify` asks more."""
    faults = does_not_follow(receipt, last if last.is_open else None)
    if commit.parents != receipt.parents_after(before.id):
        faults.append("does not have as parents what it says it rests on")
    return f"the receipt {commit.id:.7} {faults[0]}" if faults else None


def _root(push: ReceivedPush, move: Move) -> RootFacts:
    """Look at what is to be the first receipt of all; the whole of what it takes over is read, this once."""
    tip = push.tip(move)
    nobody = identify(push.repo, [tip], _NOBODY)[tip]
    try:
        if push.repo.commit(tip).parents:
            raise GitReleaseError(
                "it is more than a trust root: a ledger with a past is put here by the server's administrator"
            )
        past = replay(push.repo, tip, tip)
    except MALFORMED as wrong:
        said = wrong.message if isinstance(wrong, GitReleaseError) else f"it cannot be read ({wrong!r})"
        return RootFacts(pinned=push.pinned, faults=(said,), by=nobody, workspace=None, has_main=False)
    main = push.after.get(branch(past.founding.main))
    return RootFacts(
        pinned=push.pinned,
        faults=tuple(broken.why for broken in past.broken),
        by=identify(push.repo, [tip], past.workspace)[tip],
        workspace=past.workspace,
        has_main=main is not None and push.repo.is_ancestor(past.founding.taken_over, CommitId(main)),
    )


_NOBODY = Workspace(name="", id="", version=1, members=())


def _deploy(push: ReceivedPush, move: Move) -> DeployFacts:
    ledger = push.next_ledger
    target = move.ref.removeprefix(DEPLOY)
    commits = push.growth(move)
    ids = [commit.id for commit in commits or ()]
    actors = identify(push.repo, ids, ledger.writers)
    return DeployFacts(
        target=target,
        is_target=any(one.name == target for one in ledger.workspace.targets),
        is_begun=ledger.receipt.is_open,
        grows=commits is not None,
        commits=tuple(Written(commit=id_, by=actors[id_], writers=ledger.writers) for id_ in ids),
    )


def _tag(push: ReceivedPush, move: Move) -> TagFacts:
    name = package_name(move.ref.removeprefix(RELEASE_TAGS))
    tag = push.repo.read_tags({move.ref: push.tip(move)}).get(move.ref)
    return TagFacts(
        package=name,
        is_annotated=tag is not None and tag.id != tag.target,
        target=None if tag is None else tag.target,
        merge=push.finished.get(name),
    )


# Other branches.


def _free(push: ReceivedPush, move: Move) -> FreeFacts:
    fault = None
    if move.step is not Step.DELETES:
        fault = _not_a_commit(push.repo, push.tip(move))
    return FreeFacts(main=push.main, fault=fault)


def _not_a_commit(repo: Repo, id_: CommitId) -> str | None:
    try:
        repo.commit(id_)
    except GitReleaseError as wrong:
        return wrong.message
    return None
