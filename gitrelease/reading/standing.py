"""Every task that has a branch, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence

from gitrelease.core.names import CommitId, ItemKey, Kind, item_key, item_name, task_ref
from gitrelease.core.package import Reason
from gitrelease.core.task import Task, TaskStanding, state_of
from gitrelease.core.values import frozen
from gitrelease.errors import NotFound, Refused
from gitrelease.forges import Forge
from gitrelease.reading.packages import OpenPackage, open_packages, tasks_in_review
from gitrelease.reading.situation import Situation
from gitrelease.reading.tasks import (
    Makers,
    MalformedTask,
    highest_numbers,
    misnamed,
    open_task_refs,
    read_tasks,
)
from gitrelease.reading.trees import read_states
from gitrelease.repo import Repo


@frozen
class Standings:
    """All tasks that have a branch, and the packages that have one."""

    tasks: tuple[TaskStanding, ...]
    malformed: tuple[MalformedTask, ...]
    packages: tuple[OpenPackage, ...]
    no_packages: tuple[MalformedTask, ...] = ()
    """Branches that stand where packages do, and cannot be read as one."""

    def task(self, text: str, *, only: Sequence[TaskStanding] | None = None) -> TaskStanding:
        """Find the task that somebody means: `job/orders/v3`, `job/orders`, or `orders` where that is clear."""
        candidates = self.tasks if only is None else only
        exact = [one for one in candidates if str(one.task.id) == text]
        if exact:
            return exact[0]
        meant = [one for one in candidates if text in {str(one.task.item), one.task.item.name}]
        if not meant:
            raise NotFound(
                f"there is no task {text!r}", hint="`gitrelease task list` shows the tasks there are"
            )
        if len({one.task.item for one in meant}) > 1 or len(meant) > 1:
            names = ", ".join(str(one.task.id) for one in meant)
            raise Refused(f"{text!r} could be {names}", hint="write the one you mean in full")
        return meant[0]


def read_standings(repo: Repo, forge: Forge, now: Situation) -> Standings:
    """Read every task branch and package branch, and work out where each task stands."""
    open_tasks = open_task_refs(now.refs)
    tasks, malformed = read_tasks(repo, Makers(forge=forge), open_tasks, now.workspace, main=now.main)
    packages, unreadable = open_packages(repo, forge, now.refs, now.workspace, now.archive)
    kept = tasks_in_review(packages, now.workspace)
    states = read_states(repo, now.approved, dict.fromkeys(task.item for task in tasks))
    recorded = {item: state.version if state else 0 for item, state in states.items()}
    numbers = highest_numbers(now.refs, now.archive, recorded)
    standings = []
    for task in sorted(tasks, key=lambda task: task.submitted_at, reverse=True):
        if task.id.version > numbers[task.item]:
            malformed.append(_skips(task))
            continue
        state, package = state_of(task, settled=None, packages=kept, newer=tasks)
        held = states[task.item]
        approved = {path: pin.held for path, pin in held.files.items()} if held else {}
        # An item that came and went again holds what it did, and its numbers went on.
        is_stale = approved != dict(task.before) or task.id.version <= recorded[task.item]
        standings.append(TaskStanding(task=task, state=state, is_stale=is_stale, package=package))
    return Standings(
        tasks=tuple(standings),
        malformed=(*malformed, *misnamed(now.refs)),
        packages=tuple(packages),
        no_packages=tuple(
            MalformedTask(
                ref=ref,
                commit=CommitId(now.refs[ref]),
                reason=Reason(code=wrong.code, message=wrong.message),
            )
            for ref, wrong in unreadable.items()
        ),
    )


def _skips(task: Task) -> MalformedTask:
    reason = Reason(code="task-number", message=f"{task.id} skips ahead of every number that was used")
    return MalformedTask(ref=task_ref(task.id), commit=task.commit, reason=reason)


def item_meant(repo: Repo, tree: str, text: str) -> ItemKey:
    """Find the approved item that somebody means by `kind/name`, or by a name where that is clear."""
    if "/" in text:
        candidates = [item_key(text)]
    else:
        name = item_name(text)
        candidates = [ItemKey(kind=kind, name=name) for kind in (Kind.JOB, Kind.SCRIPT)]
    known = [item for item, state in read_states(repo, tree, candidates).items() if state is not None]
    if not known:
        raise NotFound(f"there is no item {text!r}", hint="write job/<name> or script/<name>")
    if len(known) > 1:
        raise Refused(f"{text!r} is both a job and a script", hint=f"write {known[0]} or {known[1]}")
    return known[0]
