"""`gitrelease task revoke`: take submitted versions back before anybody releases them."""

from __future__ import annotations

from collections.abc import Sequence

from gitrelease.commands import Desk, until_first
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement
from gitrelease.core.names import ARCHIVE, NameRefused, TaskId, task_id, task_ref
from gitrelease.core.task import Task, TaskState
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action
from gitrelease.errors import NotFound, Refused
from gitrelease.reading.situation import Situation
from gitrelease.reading.standing import read_standings
from gitrelease.repo import RefMove


@frozen
class Revoked:
    """The tasks that were taken back."""

    tasks: tuple[TaskId, ...]
    with_them: tuple[TaskId, ...]
    """Older versions that these had superseded; they do not come back."""
    before: tuple[TaskId, ...] = ()
    """Tasks that had been revoked already."""


def revoke_tasks(desk: Desk, texts: Sequence[str]) -> Revoked:
    """Take tasks back: their branches go, their commits stay in the archive, their numbers are not used again."""
    return until_first(lambda: _revoke(desk, texts))


def _revoke(desk: Desk, texts: Sequence[str]) -> Revoked:
    now = desk.look()
    who = desk.allowed(Action.REVOKE_OWN, now.workspace)
    standings = read_standings(desk.repo, desk.forge, now)
    chosen: dict[TaskId, Task] = {}
    before: list[TaskId] = []
    for text in texts:
        try:
            one = standings.task(text)
        except NotFound:
            before.append(_was_revoked(now, text))
            continue
        if one.state is TaskState.IN_REVIEW:
            raise Refused(
                f"{one.task.id} is in review, in the package {one.package}",
                hint=f"`gitrelease package revoke {one.package}` gives it back first",
            )
        if who not in one.task.submitters:
            desk.allowed(Action.REVOKE_ANY, now.workspace)
        chosen[one.task.id] = one.task
    superseded = {
        one.task.id: one.task
        for one in standings.tasks
        if one.state is TaskState.SUPERSEDED
        and any(task.supersedes_task(one.task) for task in chosen.values())
    }
    superseded = {id_: task for id_, task in superseded.items() if id_ not in chosen}
    if chosen:
        entry = ArchiveEntry(
            by=who,
            tasks=(
                *(_settled(task, Settlement.REVOKED) for task in chosen.values()),
                *(_settled(task, Settlement.SUPERSEDED) for task in superseded.values()),
            ),
        )
        archived = now.archive.extended(desk.pen, entry)
        moves = [
            RefMove(ref=task_ref(task.id), new=None, expected=task.commit)
            for task in (*chosen.values(), *superseded.values())
        ]
        desk.repo.push([*moves, RefMove(ref=ARCHIVE, new=archived, expected=now.archive.tip)])
    return Revoked(tasks=tuple(chosen), with_them=tuple(superseded), before=tuple(before))


def _settled(task: Task, settlement: Settlement) -> SettledTask:
    return SettledTask(id=task.id, commit=task.commit, settlement=settlement)


def _was_revoked(now: Situation, text: str) -> TaskId:
    """Say that a task was revoked before: saying it twice is no mistake."""
    try:
        wanted = task_id(text)
    except NameRefused:
        wanted = None
    for _, entry in now.archive.entries():
        for task in entry.tasks:
            if task.id == wanted and task.settlement is Settlement.REVOKED:
                return task.id
            if task.id == wanted:
                raise Refused(
                    f"{task.id} was {task.settlement}", hint="what was released goes back by `rollback`"
                )
    raise NotFound(f"there is no task {text!r}", hint="`gitrelease task list` shows the tasks there are")
