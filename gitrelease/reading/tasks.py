"""Tasks: the branches that submitted versions wait on, read and judged one by one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from gitrelease.archiving import Archive
from gitrelease.core.content import Held
from gitrelease.core.item import Change, ItemState, change_of
from gitrelease.core.names import (
    SUBMIT,
    CommitId,
    ItemKey,
    Kind,
    NameRefused,
    RefName,
    TaskId,
    is_guarded,
    place_of,
    task_of,
    task_ref,
)
from gitrelease.core.package import Reason
from gitrelease.core.people import Actor
from gitrelease.core.task import Task, description_of, highest
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace
from gitrelease.forges import Forge
from gitrelease.reading.trees import held, held_files, item_entries_at, read_states
from gitrelease.repo import Commit, Repo, TreeChange
from gitrelease.signers import identify

_ID = re.compile(r"[0-9a-f]{40}")


@frozen
class MalformedTask:
    """A branch that stands where tasks do, and is none."""

    ref: RefName
    commit: CommitId
    reason: Reason


class Authors(Protocol):
    """Says who made branches: a forge or, for what was settled long ago, git itself."""

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who made or pushed each of these branches."""


@frozen
class Makers:
    """Says who seems to have made branches, as far as a forge can tell without asking anybody."""

    forge: Forge

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say so, for lists and plans."""
        return self.forge.makers(branches, workspace)


def open_task_refs(refs: Mapping[RefName, str]) -> dict[TaskId, CommitId]:
    """List the branches that are named as tasks are; other names are not tasks."""
    found = {}
    for ref, commit in refs.items():
        if ref.startswith(SUBMIT):
            try:
                found[task_of(ref)] = CommitId(commit)
            except NameRefused:
                continue  # `misnamed` reports them
    return found


def misnamed(refs: Mapping[RefName, str]) -> list[MalformedTask]:
    """List the branches below `submit/` whose names are none of a task."""
    found = []
    for ref, commit in refs.items():
        if ref.startswith(SUBMIT):
            try:
                task_of(ref)
            except NameRefused as refusal:
                reason = Reason(code="task-name", message=refusal.message)
                found.append(MalformedTask(ref=ref, commit=CommitId(commit), reason=reason))
    return found


def highest_numbers(
    refs: Mapping[RefName, str],
    archive: Archive,
    recorded: Mapping[ItemKey, int],
    also: Iterable[TaskId] = (),
) -> dict[ItemKey, int]:
    """Say up to which number each item's versions follow from what there was; one that skips ahead does not.

    A branch that is no proper task uses its number up all the same: it cannot be given again.

    Args:
        refs: the refs of the shared repository.
        archive: what was settled.
        recorded: the items, with the number that the record of each has.
        also: versions that count as if they had branches.
    """
    settled = archive.numbers(recorded)
    used: dict[tuple[Kind, str], list[int]] = {}
    for id_ in (*open_task_refs(refs), *also):
        used.setdefault(id_.item.folded, []).append(id_.version)
    return {
        item: highest(recorded=number, settled=settled.get(item, 0), waiting=used.get(item.folded, ()))
        for item, number in recorded.items()
    }


def read_tasks(
    repo: Repo,
    forge: Authors,
    wanted: Mapping[TaskId, CommitId],
    workspace: Workspace,
    *,
    main: CommitId | None = None,
) -> tuple[list[Task], list[MalformedTask]]:
    """Read tasks from their commits; what is not one commit that changes one item only is malformed.

    Args:
        repo: the repository.
        forge: says who made the commits.
        wanted: the tasks, and the commit that each is.
        workspace: says who is who.
        main: the tip of the main branch, whose history tasks start from; None where that was looked at before.
    """
    refs = {task_ref(task): commit for task, commit in wanted.items()}
    authors = forge.authors(refs, workspace)
    commits = {commit.id: commit for commit in repo.commits(dict.fromkeys(wanted.values()))}
    taken_over = {commit.id: _taken_over(repo, commit.message) for commit in commits.values()}
    others = identify(repo, {old for found in taken_over.values() for old in found}, workspace)
    bases = [commit.parents[0] for commit in commits.values() if len(commit.parents) == 1]
    elsewhere = set() if main is None else repo.outside(bases, main)
    misplaced = {id_: _misplaced(id_, commits[made], elsewhere) for id_, made in wanted.items()}
    placed = {id_: made for id_, made in wanted.items() if misplaced[id_] is None}
    grounds = _grounds(repo, placed, commits)
    tasks: list[Task] = []
    bad: list[MalformedTask] = []
    for id_, commit_id in wanted.items():
        actors = [*authors[task_ref(id_)], *(others[old] for old in taken_over[commit_id])]
        ground = misplaced[id_] or grounds[id_]
        made = (
            ground
            if isinstance(ground, Reason)
            else _read(id_, commits[commit_id], actors, taken_over[commit_id], ground)
        )
        if isinstance(made, Reason):
            bad.append(MalformedTask(ref=task_ref(id_), commit=commit_id, reason=made))
        else:
            tasks.append(made)
    return tasks, bad


@frozen
class _Ground:
    """What a task changes, and what its item was where it started from."""

    changes: Sequence[TreeChange]
    state: ItemState | None
    files: Mapping[str, Held]


def _grounds(
    repo: Repo, wanted: Mapping[TaskId, CommitId], commits: Mapping[CommitId, Commit]
) -> dict[TaskId, _Ground | Reason]:
    """Read what many tasks change, all at once; most of them start from one commit."""
    bases = {id_: commits[made].parents[0] for id_, made in wanted.items()}
    changes = repo.diffs((base, wanted[id_]) for id_, base in bases.items())
    grounds: dict[TaskId, _Ground | Reason] = {}
    proper: dict[CommitId, list[TaskId]] = {}
    for id_, base in bases.items():
        if fault := _strays(id_, changes[base, wanted[id_]]):
            grounds[id_] = fault
        else:
            proper.setdefault(base, []).append(id_)
    for base, ids in proper.items():
        states = read_states(repo, base, dict.fromkeys(id_.item for id_ in ids))
        for id_ in ids:
            state = states[id_.item]
            grounds[id_] = _Ground(
                changes=changes[base, wanted[id_]],
                state=state,
                files=held_files(item_entries_at(repo, base, state)),
            )
    return grounds


def _misplaced(id_: TaskId, commit: Commit, elsewhere: Collection[CommitId]) -> Reason | None:
    if len(commit.parents) != 1:
        return Reason(
            code="task-parents",
            message=f"{id_} has {len(commit.parents)} parents; a task is one commit on main",
        )
    if commit.parents[0] in elsewhere:
        return Reason(
            code="task-base",
            message=f"{id_} does not start from main's history: {commit.parents[0]:.7} is no commit of it",
        )
    return None


def _read(
    id_: TaskId,
    commit: Commit,
    authors: Sequence[Actor],
    supersedes: tuple[CommitId, ...],
    ground: _Ground,
) -> Task | Reason:
    changes, state = ground.changes, ground.state
    before = {change.path: held(change.before) for change in changes}
    after = {change.path: held(change.after) for change in changes}
    # What the change leaves alone belongs to the version as well: a script whose content did not change.
    unchanged = {path: entry for path, entry in ground.files.items() if path not in before}
    files = _present(before, unchanged), _present(after, unchanged)
    change = change_of(was=bool(files[0]), is_=bool(files[1]))
    trailers = _trailers(commit.message)
    if trailers.get("Item", str(id_.item)) != str(id_.item):
        return Reason(code="task-item", message=f"{id_} says it is of {trailers['Item']}")
    if (claimed := trailers.get("Change", str(change))) != change:
        return Reason(
            code="task-change", message=f"{id_} says it is a case of {claimed}, and is one of {change}"
        )
    if trailers.get("Version", str(id_.version)) != str(id_.version):
        return Reason(code="task-version", message=f"{id_} says it is version {trailers['Version']}")
    return Task(
        id=id_,
        commit=commit.id,
        change=change,
        description=description_of(commit.message),
        submitter=authors[0],
        also_by=tuple(authors[1:]),
        submitted_at=commit.committed_at,
        before=files[0],
        after=files[1],
        previous_version=None if state is None else state.version,
        supersedes=supersedes,
    )


def _present(changed: Mapping[str, Held | None], unchanged: Mapping[str, Held]) -> dict[str, Held]:
    return {**unchanged, **{path: found for path, found in changed.items() if found is not None}}


def _strays(id_: TaskId, changes: Iterable[TreeChange]) -> Reason | None:
    """Find a change that is not one of the task's item, or that leaves something other than a file."""
    seen: set[str] = set()
    for change in changes:
        if change.path in seen:
            return Reason(
                code="task-twice", message=f"{id_} has two entries called {change.path} in one folder"
            )
        seen.add(change.path)
        if belongs(change.path) != id_.item:
            return Reason(
                code="task-strays", message=f"{id_} changes {change.path}, which is not of {id_.item}"
            )
        if change.after is not None and not change.after.is_file:
            return Reason(
                code="task-mode", message=f"{id_} makes {change.path} something other than a plain file"
            )
    if not seen:
        return Reason(code="task-empty", message=f"{id_} changes nothing")
    return None


def belongs(path: str) -> ItemKey | None:
    """Say which item a path belongs to, if any."""
    if not is_guarded(path) or path.partition("/")[0] in {"items", "packages"}:
        return None
    try:
        return place_of(path).item
    except NameRefused:
        return None


def _trailers(message: str) -> dict[str, str]:
    """Read the trailers of a task; they are optional, and must be true when they are there."""
    found = {}
    for line in message.rstrip("\n").rpartition("\n\n")[2].splitlines():
        key, colon, value = line.partition(": ")
        if colon and key in {"Item", "Version", "Change", "Supersedes"}:
            found[key] = value.strip()
    return found


def _supersedes(repo: Repo, message: str) -> tuple[CommitId, ...]:
    """Read which tasks a task takes over; their submitters then count as authors of this one as well."""
    ids = _trailers(message).get("Supersedes", "").split()
    return tuple(CommitId(id_) for id_ in ids if _ID.fullmatch(id_) and repo.resolve(id_) == id_)


def _taken_over(repo: Repo, message: str) -> tuple[CommitId, ...]:
    """Follow what a task takes over to what that took over before: whose work is in it stays an author."""
    found: dict[CommitId, None] = {}
    fresh = list(_supersedes(repo, message))
    while fresh:
        found.update(dict.fromkeys(fresh))
        older = [old for commit in repo.commits(fresh) for old in _supersedes(repo, commit.message)]
        fresh = [old for old in dict.fromkeys(older) if old not in found]
    return tuple(found)


def task_message(task: TaskId, change: Change, description: str, supersedes: Sequence[CommitId] = ()) -> str:
    """Write the message of a task's commit."""
    over = f"Supersedes: {' '.join(supersedes)}\n" if supersedes else ""
    return f"{description}\n\nItem: {task.item}\nVersion: {task.version}\nChange: {change}\n{over}"
