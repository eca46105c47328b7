"""The facts about what people push: tasks, packages, opinions, and what is taken back or settled.

What cannot be read raises; whoever asks makes a refusal of it. A push of one task reads that task, the records
of its item and the names of branches: never the repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gitrelease.archiving import entry_of
from gitrelease.checking import Draft, check_drafts, crowded
from gitrelease.core.accepting import (
    ArchiveFacts,
    GoneFacts,
    PackageFacts,
    ReviewFacts,
    Settled,
    TaskFacts,
)
from gitrelease.core.finding import Finding
from gitrelease.core.moves import Move, RefKind
from gitrelease.core.names import (
    HEADS,
    PACKAGE,
    REVIEW,
    BlobId,
    CommitId,
    MemberId,
    PackageName,
    TaskId,
    branch,
    fold,
    package_name,
    package_ref,
    review_ref,
    task_of,
    task_ref,
)
from gitrelease.core.people import Actor
from gitrelease.core.review import Opinion
from gitrelease.core.task import Task
from gitrelease.core.workspace import Workspace
from gitrelease.forges.local import review_at
from gitrelease.reading.judging import judge_branch
from gitrelease.reading.packages import open_packages, tasks_in_review
from gitrelease.reading.pushes import ReceivedPush
from gitrelease.reading.settlements import Settlements
from gitrelease.reading.surroundings import surroundings
from gitrelease.reading.tasks import open_task_refs, read_tasks
from gitrelease.reading.trees import read_manifest, read_records
from gitrelease.repo import Commit
from gitrelease.signers import identify

# Tasks.


def task_facts(push: ReceivedPush, move: Move) -> TaskFacts:
    """Gather what is known of a branch that is to be a task."""
    id_, tip = task_of(move.ref), push.tip(move)
    repo, approved = push.repo, push.approved
    main = push.after.get(branch(push.known.main), push.main_tip)
    tasks, malformed = read_tasks(repo, push.forge, {id_: tip}, approved.workspace, main=CommitId(main))
    record = read_records(repo, approved.tree, [id_.item]).get(id_.item)
    used = [other for other in open_task_refs(push.after) if other.item.folded == id_.item.folded]
    spelled = {other.item for other in used}
    if record is not None and record[1].state.exists:
        spelled.add(record[1].item)
    task = tasks[0] if tasks else None
    by = (task.submitter, *task.also_by) if task else _authors(push, tip, approved.workspace)
    return TaskFacts(
        id=id_,
        main=push.known.main,
        fault=malformed[0].reason if malformed else None,
        by=by,
        recorded=record[1].state.version if record else 0,
        settled=push.next_archive.numbers([id_.item]).get(id_.item, 0),
        waiting=frozenset(other.version for other in used),
        spelled=next((item for item in sorted(spelled) if item != id_.item), None),
        found=tuple(_check(push, task)) if task else (),
    )


def _authors(push: ReceivedPush, commit: CommitId, workspace: Workspace) -> tuple[Actor, ...]:
    return (identify(push.repo, [commit], workspace)[commit],)


def _check(push: ReceivedPush, task: Task) -> list[Finding]:
    """Check the files of a task as `submit` does, but for what production says: nothing here calls that."""
    repo, approved = push.repo, push.approved
    files = repo.files({path: BlobId(held) for path, held in task.after.items()})
    waiting = {other.item for other in open_task_refs(push.after)}
    there = surroundings(repo, approved.tree, approved.workspace)
    found = crowded(
        task.after.keys() - task.before.keys(),
        lambda folder: (entry.path for entry in repo.list_tree(approved.tree, folder)),
    )
    return found + check_drafts(
        [Draft(item=task.item, files=files, version=task.id.version if files else None)],
        # What was submitted together lies on branches of its own; the package is judged as a whole.
        replace(there, exists=lambda item: item in waiting or there.exists(item)),
    )


# Packages, and what is said of them.


def package_facts(push: ReceivedPush, move: Move) -> PackageFacts:
    """Gather what is known of a branch that is to be a package."""
    name = package_name(move.ref.removeprefix(PACKAGE))
    workspace = push.approved.workspace
    review = push.forge.find(name, workspace)
    if review is None:
        raise AssertionError("the refs as they will be have the branch")
    judged = judge_branch(push.repo, push.forge, push.ground(push.approved), review)
    manifest = judged.package.manifest
    before = None if move.old is None else _authors(push, CommitId(move.old), workspace)[0]
    others = [ref.removeprefix(PACKAGE) for ref in push.after if ref.startswith(PACKAGE) and ref != move.ref]
    return PackageFacts(
        package=name,
        reasons=judged.verdict.faults,
        by=review.authors[0],
        before=before,
        is_merged=push.is_merged(name),
        gone=tuple(one.id for one in manifest.items if push.after.get(task_ref(one.id)) != one.task),
        alike=next((PackageName(other) for other in others if fold(other) == fold(name)), None),
    )


def _made_by(push: ReceivedPush, package: PackageName, head: CommitId) -> frozenset[MemberId]:
    """Say whose work a package is: who made its branch, and whom its manifest names."""
    actor = identify(push.repo, [head], push.approved.workspace)[head]
    made = {actor.member} if actor.member is not None else set()
    read = read_manifest(push.repo, head, package)
    return frozenset(made) | (read[1].claimed_authors if read else frozenset())


def review_facts(push: ReceivedPush, move: Move) -> ReviewFacts:
    """Gather what is known of a log of opinions."""
    name = package_name(move.ref.removeprefix(REVIEW))
    head = push.after.get(package_ref(name))
    if head is None:
        return ReviewFacts(
            package=name,
            is_there=False,
            fault=None,
            grows=True,
            opinions=(),
            root=push.known.root,
            authors=frozenset(),
        )
    grown = None if move.old is None else push.growth(move)
    read = review_at(push.repo, name, CommitId(head), push.tip(move), push.approved.workspace)
    new = None if grown is None else {commit.id for commit in grown}
    return ReviewFacts(
        package=name,
        is_there=True,
        fault=read.fault,
        grows=move.old is None or grown is not None,
        opinions=tuple(one for one in read.opinions if new is None or one.id in new),
        root=push.known.root,
        authors=_made_by(push, name, CommitId(head)),
    )


# What is settled.


def gone_facts(push: ReceivedPush, move: Move, kind: RefKind) -> GoneFacts:
    """Gather what is known of a task, a package or a review whose branch is to go."""
    name = move.ref.removeprefix(HEADS).partition("/")[2]
    how = f"gitrelease {'task' if kind is RefKind.TASK else 'package'} revoke {name}"
    stays = kind is RefKind.REVIEW and f"{PACKAGE}{name}" in push.after
    return GoneFacts(is_kept=push.settles(kind, name, move.old), how=how, still_reviews=stays)


def archive_facts(push: ReceivedPush, move: Move) -> ArchiveFacts:
    """Gather what is known of the archive, as it is to be."""
    commits = push.growth(move)
    if commits is None:
        return ArchiveFacts(grows=False, faults=(), entries=())
    known = [push.writers, push.approved.workspace]
    since = None if move.old is None else CommitId(move.old)
    walk = Settlements(repo=push.repo, workspaces=known, tip=push.tip(move), since=since)
    faults = tuple(broken.why for broken in walk.faults())
    entries = () if faults else tuple(_settled(push, [one for one in commits if one.parents]))
    return ArchiveFacts(
        grows=True,
        faults=faults,
        entries=entries,
        finished=frozenset(push.finished),
    )


def _settled(push: ReceivedPush, commits: Sequence[Commit]) -> Iterable[Settled]:
    """Lay what the refs say beside each new entry."""
    workspace = push.approved.workspace
    ids = [commit.id for commit in commits]
    actors = {**identify(push.repo, ids, push.writers)}
    actors |= {id_: one for id_, one in identify(push.repo, ids, workspace).items() if one.member is not None}
    going = {task_of(ref): old for ref, old in push.deleted(RefKind.TASK).items()}
    tasks = _tasks_beside(push, going, workspace)
    packages = open_packages(push.repo, push.forge, push.after, workspace, push.archive)[0]
    keeping = tasks_in_review(packages, workspace)
    kept = {id_: keeping[old] for id_, old in going.items() if old in keeping}
    for commit in commits:
        entry = entry_of(commit)
        settled = Settled(
            entry=entry,
            by=actors[commit.id],
            tasks_going=going,
            submitters={id_: frozenset(tasks[id_].submitters) for id_ in going if id_ in tasks},
            kept=kept,
            retired=frozenset(
                id_
                for id_ in going
                if id_ in tasks and any(other.supersedes_task(tasks[id_]) for other in tasks.values())
            ),
        )
        yield settled if entry.package is None else _closed(push, settled, entry.package)


def _tasks_beside(
    push: ReceivedPush, going: Mapping[TaskId, CommitId], workspace: Workspace
) -> Mapping[TaskId, Task]:
    """Read the tasks that go, and those of the same items that stay."""
    items = {id_.item.folded for id_ in going}
    stay = {id_: tip for id_, tip in open_task_refs(push.after).items() if id_.item.folded in items}
    tasks, _ = read_tasks(push.repo, push.forge, {**stay, **going}, workspace)
    return {task.id: task for task in tasks}


def _closed(push: ReceivedPush, settled: Settled, package: PackageName) -> Settled:
    head = push.deleted(RefKind.PACKAGE).get(package_ref(package))
    log = push.before.get(review_ref(package))
    said: Sequence[Opinion] = ()
    if log is not None and head is not None:
        said = review_at(push.repo, package, head, CommitId(log), push.approved.workspace).opinions
    return replace(
        settled,
        package_going=head,
        log=None if log is None else CommitId(log),
        is_merged=push.is_merged(package),
        authors=frozenset() if head is None else _made_by(push, package, head),
        said=frozenset((one.actor.member, one.say) for one in said if one.actor.member is not None),
    )
