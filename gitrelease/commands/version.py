"""`gitrelease version`: every version of an item, how they differ, and one back in the working tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from gitrelease.archiving import Archive
from gitrelease.commands import Desk
from gitrelease.commands.compare import side_of
from gitrelease.core.archive import SettledTask, Settlement
from gitrelease.core.compare import Comparison, compare_item
from gitrelease.core.content import Held
from gitrelease.core.item import Change, Record, change_of, document_path, parse_record
from gitrelease.core.names import (
    WORKSPACE_PATH,
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    PackageName,
    TaskId,
    item_name,
    record_path,
)
from gitrelease.core.package import PlannedItem
from gitrelease.core.people import Person
from gitrelease.core.task import Task
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, authorize
from gitrelease.errors import NotFound, Refused, UsageError
from gitrelease.reading.situation import Situation
from gitrelease.reading.sources import WorkingTree, find_document, git_hash, item_files, items_named
from gitrelease.reading.standing import read_standings
from gitrelease.reading.tasks import Makers, open_task_refs, read_tasks
from gitrelease.reading.trees import (
    held_files,
    item_entries_at,
    read_document,
    read_manifest,
    read_records,
    read_states,
)
from gitrelease.repo import Repo

PAGE = 64
"""How many entries of the archive are read at first; four times as many each time that is not enough."""


class Whereabouts(StrEnum):
    """Where a version is now."""

    PENDING = "pending"
    IN_REVIEW = "in-review"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    MERGED = "merged"
    """Approved and on the main branch; the next sync brings it to production."""
    PRODUCTION = "production"
    """What production should hold."""
    RELEASED = "released"
    """Was in production until a later version was released."""
    TAKEN_OVER = "taken-over"
    """Was there at the beginning, not reviewed, and has been replaced since."""


_SETTLED = {
    Settlement.RELEASED: Whereabouts.RELEASED,
    Settlement.REVOKED: Whereabouts.REVOKED,
    Settlement.SUPERSEDED: Whereabouts.SUPERSEDED,
    # A task is not rejected, only its package is; what somebody wrote so by hand was taken back all the same.
    Settlement.REJECTED: Whereabouts.REVOKED,
}


@frozen
class VersionInfo:
    """One version of an item: who made it, when and why, and where it is now."""

    item: ItemKey
    number: int
    where: Whereabouts
    change: Change
    submitter: Person | None
    """None when it was taken over at the beginning."""
    submitted_at: datetime | None
    description: str
    package: PackageName | None
    commit: CommitId | None
    files: Mapping[str, Held] = field(repr=False)
    """Its files, to the byte; none when the version deleted the item."""


@frozen
class Restored:
    """What a restore did to the working tree; it has no effect until the item is submitted again."""

    version: VersionInfo
    written: tuple[str, ...]
    removed: tuple[str, ...]


class UnsubmittedWork(Refused):
    """Working files hold changes that are nowhere else, and would be lost."""

    code = "unsubmitted-work"


def versions(desk: Desk, item: str) -> tuple[VersionInfo, ...]:
    """List every version of an item, newest first."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    key = _item_meant(desk, now, item)
    found = find_versions(desk, now, key)
    if not found:
        raise NotFound(f"{key} has no versions yet", hint=f"`gitrelease submit {key}` makes the first")
    return tuple(sorted(found.values(), key=lambda version: version.number, reverse=True))


def version_diff(desk: Desk, item: str, numbers: Sequence[int] = ()) -> Comparison:
    """Say how versions differ.

    No number: the working files against what the main branch holds. One: the working files against that
    version. Two: the second against the first.
    """
    if len(numbers) > 2:
        raise UsageError("at most two versions can be compared", hint="give one number, two, or none")
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    key = _item_meant(desk, now, item)
    sides: list[tuple[str, int | None, dict[str, bytes]]] = []
    if numbers:
        found = find_versions(desk, now, key)
        for number in numbers:
            version = _numbered(found, key, number)
            shown = number if version.files else None
            sides.append((str(TaskId(item=key, version=number)), shown, _read(desk.repo, version.files)))
    else:
        state = read_states(desk.repo, now.main, [key])[key]
        entries = item_entries_at(desk.repo, now.main, state)
        shown = state.version if state and state.exists else None
        sides.append((now.ledger.main, shown, _read(desk.repo, held_files(entries))))
    if len(sides) == 1:
        sides.append(("working files", None, _working_files(desk, now, key)))
    (before, from_version, old), (after, to_version, new) = sides
    compared = compare_item(key, side_of(old, version=from_version), side_of(new, version=to_version))
    return Comparison(before=before, after=after, items=(compared,) if compared else ())


def restore(desk: Desk, item: str, number: int, *, force: bool = False) -> Restored:
    """Make the working files of an item those of one of its versions.

    Nothing but working files is touched. Changes in them that no version holds, and the main branch neither,
    are given up only with `force`.
    """
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    key = _item_meant(desk, now, item)
    found = find_versions(desk, now, key)
    version = _numbered(found, key, number)
    if not version.files:
        raise Refused(
            f"version {number} of {key} deleted it, so there are no files to restore",
            hint=f"`gitrelease submit {key} --delete` takes it out of production",
        )
    wanted = _read(desk.repo, version.files)
    here = _working_files(desk, now, key, beside=version.files)
    lost = [path for path, data in here.items() if wanted.get(path) != data]
    if not force:
        _check_nothing_lost(desk.repo, now, key, {path: here[path] for path in lost}, found)

    written = [path for path, data in wanted.items() if here.get(path) != data]
    for path in written:
        desk.repo.write_working(path, wanted[path])
    removed = [path for path in here if path not in wanted]
    for path in removed:
        desk.repo.remove_working(path)
    return Restored(version=version, written=tuple(sorted(written)), removed=tuple(sorted(removed)))


def _check_nothing_lost(
    repo: Repo,
    now: Situation,
    item: ItemKey,
    here: Mapping[str, bytes],
    found: Mapping[int, VersionInfo],
) -> None:
    """Refuse to overwrite bytes that no version of the item holds, and the main branch neither."""
    known = {held for version in found.values() for held in version.files.values()}
    known |= set(held_files(repo.entries(now.main, here)).values())
    lost = sorted(path for path, data in here.items() if Held(git_hash(data)) not in known)
    if lost:
        raise UnsubmittedWork(
            f"the working files of {item} have changes that were never submitted: {', '.join(lost)}",
            hint="submit them first, or give them up with --force",
        )


# Every version of an item, wherever it is.


def find_versions(desk: Desk, now: Situation, item: ItemKey) -> dict[int, VersionInfo]:
    """Find every version of an item, by number.

    Released ones come from its record and the package the record names, whose manifest names the record
    before, and so on; waiting ones have branches; for the numbers that are then missing the archive is read,
    no further back than it takes.
    """
    repo = desk.repo
    in_ledger = read_states(repo, now.ledger.tree, [item])[item]
    held = 0 if in_ledger is None else in_ledger.version
    released = list(_released(repo, now, item))
    waiting = {
        one.task.id.version: one for one in read_standings(repo, desk.forge, now).tasks if _is(one.task, item)
    }
    # Numbers below what was taken over at the beginning were never used here.
    taken_over = max((record.state.version for record, _ in released if record.package is None), default=0)
    known = waiting.keys() | {record.state.version for record, _ in released}
    highest = now.archive.numbers([item]).get(item, 0)
    settled = _settled(now.archive, item, set(range(taken_over + 1, highest + 1)) - known)

    commits = {planned.id: planned.task for _, planned in released if planned and repo.exists(planned.task)}
    commits |= {task.id: task.commit for task in settled if repo.exists(task.commit)}
    tasks, _ = read_tasks(repo, Makers(forge=desk.forge), commits, now.workspace)
    by_number = {task.id.version: task for task in tasks}

    found: dict[int, VersionInfo] = {}
    for entry in settled:
        number = entry.id.version
        if (task := by_number.get(number)) is not None:
            found[number] = _info(task, _SETTLED[entry.settlement], entry.package)
    for number, standing in waiting.items():
        found[number] = _info(standing.task, Whereabouts(str(standing.state)), standing.package)
    for record, planned in released:
        number = record.state.version
        found[number] = _released_info(now, item, record, planned, by_number.get(number), held)
    return found


def _released(repo: Repo, now: Situation, item: ItemKey) -> Iterator[tuple[Record, PlannedItem | None]]:
    """Walk from the record of an item to the one before, each with the plan that wrote it, newest first."""
    known = read_records(repo, now.approved, [item]).get(item)
    record = None if known is None else known[1]
    while record is not None:
        read = None if record.package is None else read_manifest(repo, now.approved, record.package)
        planned = None
        if read is not None:
            planned = next((one for one in read[1].items if one.item.folded == item.folded), None)
        yield record, planned
        if planned is None or planned.record_before is None:
            return
        path = record_path(item)
        older = read_document(repo.blob(planned.record_before), file=path, kind="record", parser=parse_record)
        # Numbers only go down on this way; whatever claims otherwise would be walked for ever.
        record = older if older.state.version < record.state.version else None


def _settled(archive: Archive, item: ItemKey, missing: set[int]) -> list[SettledTask]:
    """Find the versions of these numbers in the archive, reading only as far back as it takes."""
    found: dict[int, SettledTask] = {}
    limit = PAGE
    while missing:
        entries = archive.entries(limit=limit)
        for _, entry in entries:
            for task in entry.tasks:
                if task.id.item.folded == item.folded and task.id.version in missing:
                    found.setdefault(task.id.version, task)
        if missing <= found.keys() or len(entries) < limit:
            break
        limit *= 4
    return list(found.values())


def _is(task: Task, item: ItemKey) -> bool:
    return task.item.folded == item.folded


def _info(task: Task, where: Whereabouts, package: PackageName | None) -> VersionInfo:
    return VersionInfo(
        item=task.item,
        number=task.id.version,
        where=where,
        change=task.change,
        submitter=task.submitter.person,
        submitted_at=task.submitted_at,
        description=task.description,
        package=package,
        commit=task.commit,
        files=task.after,
    )


def _released_info(
    now: Situation,
    item: ItemKey,
    record: Record,
    planned: PlannedItem | None,
    task: Task | None,
    held: int,
) -> VersionInfo:
    """Tell of a version that was released or merged; its files are what the record pins."""
    number = record.state.version
    if number == held:
        where = Whereabouts.PRODUCTION
    elif number > held:
        where = Whereabouts.MERGED
    else:
        where = Whereabouts.TAKEN_OVER if record.package is None else Whereabouts.RELEASED
    submitter = None
    if task is not None:
        submitter = task.submitter.person
    elif planned is not None and planned.submitters:
        submitter = Person(id=planned.submitters[0])
    change = planned.change if planned else change_of(was=False, is_=record.state.exists)
    description = task.description if task else ""
    if record.package is None:
        description = "taken over at the beginning, not reviewed"
    return VersionInfo(
        item=item,
        number=number,
        where=where,
        change=change,
        submitter=submitter,
        submitted_at=task.submitted_at if task else _taken_over_at(now, record),
        description=description,
        package=record.package,
        commit=planned.task if planned else None,
        files={path: pin.held for path, pin in record.state.files.items()},
    )


def _taken_over_at(now: Situation, record: Record) -> datetime | None:
    if record.package is not None:
        return None
    return now.ledger.repo.commit(now.ledger.root).committed_at


# What is meant, and what lies in the working tree.


def _item_meant(desk: Desk, now: Situation, text: str) -> ItemKey:
    """Work out which one item somebody means; also one that was deleted, or was never released."""
    source = WorkingTree(repo=desk.repo, base=now.main)
    if "/" in text or text in {Kind.WORKSPACE, WORKSPACE_PATH}:
        items = items_named(desk.repo, source, now.approved, [text], everything=False)
        if len(items) != 1:
            raise UsageError(f"{text!r} means {len(items)} items", hint="name one of them: kind/name")
        return _as_recorded(desk.repo, now, items[0])
    both = [ItemKey(kind=kind, name=item_name(text)) for kind in (Kind.JOB, Kind.SCRIPT)]
    wanted = {key.folded for key in both}
    known = {key.folded: key for key in now.archive.numbers(both)}
    known |= {task.item.folded: task.item for task in open_task_refs(now.refs) if task.item.folded in wanted}
    known |= {r.item.folded: r.item for _, r in read_records(desk.repo, now.approved, both).values()}
    if not known:
        return items_named(desk.repo, source, now.approved, [text], everything=False)[0]
    if len(known) > 1:
        one, other = sorted(known.values())
        raise Refused(f"{text!r} is both a job and a script", hint=f"write {one} or {other}")
    return next(iter(known.values()))


def _as_recorded(repo: Repo, now: Situation, item: ItemKey) -> ItemKey:
    """Spell an item the way its record does, which also answers to other spellings of the name."""
    known = read_records(repo, now.approved, [item]).get(item)
    return item if known is None else known[1].item


def _numbered(found: Mapping[int, VersionInfo], item: ItemKey, number: int) -> VersionInfo:
    version = found.get(number)
    if version is None:
        raise NotFound(
            f"{item} has no version {number}", hint=f"`gitrelease version list {item}` shows those there are"
        )
    return version


def _read(repo: Repo, files: Mapping[str, Held]) -> dict[str, bytes]:
    if odd := [path for path, held in files.items() if ":" in held]:
        raise Refused(
            f"{odd[0]} is not a plain file there, so it is neither shown nor restored",
            hint=f"git itself shows what it is: `git ls-tree -r COMMIT {odd[0]}`",
        )
    return repo.files({path: BlobId(held) for path, held in files.items()})


def _working_files(
    desk: Desk, now: Situation, item: ItemKey, beside: Mapping[str, Held] | None = None
) -> dict[str, bytes]:
    """Read the working files of an item; with `beside`, also what lies in the place of those."""
    source = WorkingTree(repo=desk.repo, base=now.main)
    state = read_states(desk.repo, now.approved, [item])[item]
    documents = [find_document(source, item, state)]
    if beside is not None:
        documents += [document_path(beside), document_path(state.files if state else ())]
    files: dict[str, bytes] = {}
    for document in dict.fromkeys(documents):
        if document is not None:
            files |= item_files(source, document)
    return files
