"""Tasks: submitted versions, and which of them await release."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from gitrelease.core.content import Held
from gitrelease.core.item import Change
from gitrelease.core.names import CommitId, ItemKey, MemberId, PackageName, TaskId
from gitrelease.core.people import Actor
from gitrelease.core.values import frozen

DESCRIPTION_CHARACTERS = 128
"""The console's limit for the description of a version (dataarts.md 1.2)."""


def description_of(message: str) -> str:
    """Take the description of a version from its commit message; only who commits by hand can write a longer one."""
    subject = message.partition("\n")[0]
    return subject if len(subject) <= DESCRIPTION_CHARACTERS else subject[: DESCRIPTION_CHARACTERS - 1] + "…"


class TaskState(StrEnum):
    """Where a task stands; the first that holds is it (design 4)."""

    RELEASED = "released"
    REVOKED = "revoked"
    IN_REVIEW = "in-review"
    SUPERSEDED = "superseded"
    PENDING = "pending"


@frozen
class Task:
    """A submitted version of one item, as its branch holds it."""

    id: TaskId
    commit: CommitId
    change: Change
    description: str
    submitter: Actor
    also_by: tuple[Actor, ...] = ()
    """Who submitted the versions that this one took over with --supersede."""
    submitted_at: datetime
    before: Mapping[str, Held]
    """The item's files where the task started from."""
    after: Mapping[str, Held]
    previous_version: int | None
    supersedes: tuple[CommitId, ...] = ()
    """Tasks of other people that this one says it takes over."""

    @property
    def submitters(self) -> tuple[MemberId, ...]:
        """Everybody who submitted what is in it, as far as they can be believed."""
        members = (actor.member for actor in (self.submitter, *self.also_by))
        return tuple(dict.fromkeys(member for member in members if member is not None))

    def supersedes_task(self, other: Task) -> bool:
        """Say whether this is a later version of the same item, by the same person or taken over by name."""
        if self.item.folded != other.item.folded or self.id.version <= other.id.version:
            return False
        same = self.submitter.member is not None and self.submitter.member == other.submitter.member
        return same or other.commit in self.supersedes

    @property
    def item(self) -> ItemKey:
        """What the task changes."""
        return self.id.item


@frozen
class TaskStanding:
    """A task and where it stands."""

    task: Task
    state: TaskState
    is_stale: bool = False
    """Whether its predecessor is no longer what the main branch holds."""
    package: PackageName | None = None


TASK_SORTS: Mapping[str, Callable[[TaskStanding], object]] = {
    "name": lambda one: (one.task.item.name, one.task.id.version),
    "version": lambda one: one.task.id.version,
    "submitted": lambda one: one.task.submitted_at,
    "submitter": lambda one: str(one.task.submitter.person),
    "state": lambda one: one.state,
    "change": lambda one: one.task.change,
    "kind": lambda one: one.task.item.kind,
}
"""The columns that tasks are sorted by."""


def state_of(
    task: Task,
    *,
    settled: TaskState | None,
    packages: Mapping[CommitId, PackageName],
    newer: Iterable[Task],
) -> tuple[TaskState, PackageName | None]:
    """Work out where a task stands from facts only; nobody sets a state.

    Args:
        task: the task.
        settled: how it was settled, from the archive or the ledger.
        packages: which open package lists which task commit.
        newer: other tasks that have a branch; those of later versions of the item may supersede this one.
    """
    if settled is not None:
        return settled, packages.get(task.commit)
    if task.commit in packages:
        return TaskState.IN_REVIEW, packages[task.commit]
    gone = any(other.supersedes_task(task) for other in newer)
    return (TaskState.SUPERSEDED if gone else TaskState.PENDING), None


def highest(*, recorded: int, settled: int, waiting: Collection[int]) -> int:
    """Find the highest number in use; a branch that skips ahead is malformed and does not count."""
    top = max(recorded, settled)
    for number in sorted(set(waiting)):
        if number == top + 1:
            top = number
        elif number > top:
            break
    return top
