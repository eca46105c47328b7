"""The archive: what was settled and how, so that no head is lost and no number is used twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from gitrelease.core.fields import Fields
from gitrelease.core.item import API_VERSION
from gitrelease.core.names import (
    CommitId,
    ItemKey,
    MemberId,
    PackageName,
    TaskId,
    fold,
    package_name,
    shard,
    task_id,
)
from gitrelease.core.values import frozen


class Settlement(StrEnum):
    """How a task or a package was settled."""

    RELEASED = "released"
    REVOKED = "revoked"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"


@frozen
class SettledTask:
    """One task that awaits nothing any more."""

    id: TaskId
    commit: CommitId
    settlement: Settlement
    package: PackageName | None = None


@frozen
class ArchiveEntry:
    """One commit of the archive: what was settled together, and by whom."""

    by: MemberId
    tasks: tuple[SettledTask, ...] = ()
    package: PackageName | None = None
    settlement: Settlement | None = None
    """How the package was settled."""
    head: CommitId | None = None
    log: CommitId | None = None
    message: str = ""
    recorded: Mapping[str, object] = field(default_factory=dict)
    """What the forge recorded, where somebody closed the package there: then the entry is not on the word of who
    wrote it (`core/pull_request.py`)."""
    earlier: tuple[CommitId, ...] = ()
    """What the branch of the package held before its head, where nothing else keeps it."""

    @property
    def heads(self) -> tuple[CommitId, ...]:
        """The commits that this entry keeps alive."""
        found = [self.head, self.log, *(task.commit for task in self.tasks), *self.earlier]
        return tuple(dict.fromkeys(commit for commit in found if commit is not None))

    @property
    def subject(self) -> str:
        """One line for people who read the branch with git."""
        if self.package is not None:
            return f"{self.settlement} package {self.package}"
        if len(self.tasks) == 1:
            return f"{self.tasks[0].settlement} {self.tasks[0].id}"
        return f"settled {len(self.tasks)} tasks"


NUMBERS = "numbers/"


def number_path(item: ItemKey) -> str:
    """Say where the archive's tree keeps the highest number of an item."""
    return f"{NUMBERS}{item.kind}/{shard(item.name)}/{fold(item.name)}"


def outcome_path(package: PackageName) -> str:
    """Say where the archive's tree keeps what became of a package; folded, so that no name is used twice."""
    return f"packages/{shard(package)}/{fold(package)}.json"


def entry_document(entry: ArchiveEntry) -> dict[str, object]:
    """Write an entry as its commit's message holds it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Settlement",
        "by": entry.by,
        "package": entry.package,
        "settlement": entry.settlement,
        "head": entry.head,
        "log": entry.log,
        "message": entry.message,
        "tasks": [
            {
                "id": str(task.id),
                "commit": task.commit,
                "settlement": task.settlement,
                "package": task.package,
            }
            for task in entry.tasks
        ],
        **({"recorded": dict(entry.recorded)} if entry.recorded else {}),
        **({"earlier": list(entry.earlier)} if entry.earlier else {}),
    }


def parse_entry(value: Mapping[str, object]) -> ArchiveEntry:
    """Read an entry back."""
    top = Fields(value).whole("package", "settlement", "head", "log", "tasks")
    head, log = top.optional("head"), top.optional("log")
    return ArchiveEntry(
        by=MemberId(top.text("by")),
        package=_package(top),
        settlement=top.choice("settlement", Settlement) if "settlement" in top else None,
        head=None if head is None else CommitId(head),
        log=None if log is None else CommitId(log),
        message=top.text("message"),
        recorded={name: value for name, _, value in top.inside("recorded").entries()},
        earlier=tuple(CommitId(commit) for commit in top.texts("earlier")),
        tasks=tuple(
            SettledTask(
                id=task_id(task.text("id")),
                commit=CommitId(task.text("commit")),
                settlement=task.choice("settlement", Settlement),
                package=_package(task.whole("package")),
            )
            for task in top.each("tasks")
        ),
    )


def _package(fields: Fields) -> PackageName | None:
    name = fields.optional("package")
    return None if name is None else package_name(name)
