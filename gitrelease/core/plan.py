"""Plans: what a target is given, in which order, and when it is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from json.encoder import encode_basestring
from types import NoneType
from typing import Any, NewType

from gitrelease.core.dataarts import job_body, script_body
from gitrelease.core.graph import find_cycle, layers
from gitrelease.core.job import Mappings, switch_names
from gitrelease.core.names import SUBJOBS_ENDING, Directory, ItemKey, Kind, shard
from gitrelease.core.values import frozen

Digest = NewType("Digest", str)
"""SHA-256, in hexadecimal, of what a target holds of one item."""


_encode = json.JSONEncoder(ensure_ascii=False).encode


@frozen
class Deployable:
    """An item as production is to hold it: JSON made by us from approved bytes, names switched (design 2)."""

    item: ItemKey
    directory: Directory
    files: Mapping[str, bytes]
    needs: frozenset[ItemKey] = frozenset()
    """Which items must be there first."""

    @property
    def digest(self) -> Digest:
        """What a target that holds exactly this reports."""
        return digest_of(self.files)


def digest_of(files: Mapping[str, bytes]) -> Digest:
    """Hash a set of files: one line per file, path and SHA-256, in order of path."""
    lines = (f"{path}\0{sha256(data).hexdigest()}\n" for path, data in sorted(files.items()))
    return Digest(sha256("".join(lines).encode()).hexdigest())


def mapping_digest(mappings: Mappings) -> str:
    """Hash the mappings an item was deployed under, for the receipt."""
    value = [dict(mappings.connections), dict(mappings.queues), dict(mappings.databases)]
    return sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def production_json(body: Mapping[str, object]) -> bytes:
    """Write what an engine is given: one spelling only, so that equal meaning is equal bytes.

    It is JSON with sorted keys and one part a line, as `json.dumps` writes it, which takes three times as long.
    """
    return (_written(body, "\n") + "\n").encode()


_ALONE: Mapping[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: repr,
    bool: {True: "true", False: "false"}.__getitem__,
    NoneType: lambda _: "null",
}
"""How a value is written that has no parts."""


def _written(value: object, line: str) -> str:
    """Write a value that stands in a line of so much indentation."""
    inner = f"{line} "
    # Most parts have none themselves; written on the spot they cost no call.
    if isinstance(value, dict) and value:
        named = [
            f"{encode_basestring(name)}: {write(part) if (write := _ALONE.get(type(part))) else _written(part, inner)}"
            for name in sorted(value)
            for part in (value[name],)
        ]
        return f"{{{inner}{f',{inner}'.join(named)}{line}}}"
    if isinstance(value, list) and value:
        return f"[{inner}{f',{inner}'.join([_written(part, inner) for part in value])}{line}]"
    return _ALONE.get(type(value), _encode)(value)


def stem_of(item: ItemKey) -> str:
    """Say where production keeps an item: by name alone, so that a look needs no search; the directory is inside."""
    return f"{item.kind}s/{shard(item.name)}/{item.name}"


def main_path(item: ItemKey) -> str:
    """Say which file production keeps of an item itself."""
    return f"{stem_of(item)}.{item.kind}"


def subjobs_folder(item: ItemKey) -> str:
    """Say in which folder production keeps the subjobs of a job."""
    return f"{stem_of(item)}{SUBJOBS_ENDING}"


def subjob_path(item: ItemKey, name: str) -> str:
    """Say which file production keeps of a subjob."""
    return f"{subjobs_folder(item)}/{name}.{Kind.JOB}"


def job_files(
    item: ItemKey,
    directory: Directory,
    document: Mapping[str, object],
    *,
    subjobs: Mapping[str, Mapping[str, object]],
    mappings: Mappings,
) -> dict[str, bytes]:
    """Make what production holds of a job and the subjobs that travel with it."""
    files = {
        main_path(item): production_json(job_body(switch_names(document, mappings), directory=directory))
    }
    for name, subjob in subjobs.items():
        body = job_body(switch_names(subjob, mappings), directory=directory)
        files[subjob_path(item, name)] = production_json(body)
    return files


def script_files(
    item: ItemKey, directory: Directory, document: Mapping[str, object], content: str, *, mappings: Mappings
) -> dict[str, bytes]:
    """Make what production holds of a script, its content inside."""
    body = script_body(switch_names(document, mappings), content, directory=directory)
    return {main_path(item): production_json(body)}


@frozen
class TargetChange:
    """One item that a target is to hold, or to hold no longer."""

    item: ItemKey
    wanted: Deployable | None
    """None takes the item out of production."""
    held: Digest | None
    """What the ledger last deployed there; a target that holds something else is left alone."""


class OutcomeStatus(StrEnum):
    """How releasing one item to one target went (`release.status`, design 9)."""

    PENDING = "pending"
    RELEASING = "releasing"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"
    DRIFTED = "drifted"

    @property
    def is_failure(self) -> bool:
        """Whether it leaves a target behind: it does not hold of the item what was approved."""
        return self in {OutcomeStatus.FAILED, OutcomeStatus.SKIPPED, OutcomeStatus.DRIFTED}

    @property
    def is_fine(self) -> bool:
        """Whether nobody has to look after it: it was released, or something newer was."""
        return self in {OutcomeStatus.SUCCESSFUL, OutcomeStatus.SUPERSEDED}


@frozen
class Outcome:
    """How one change went, and what the target holds now as far as is known."""

    status: OutcomeStatus
    deployed: Digest | None = None
    error: str | None = None


def in_order(changes: Sequence[TargetChange]) -> list[list[TargetChange]]:
    """Group changes so that each group needs only what earlier groups brought; deletions come last.

    What is deleted goes after everything that may still have named it has been changed.
    """
    wanted = {change.item: change for change in changes if change.wanted is not None}
    # An edge leads from what is needed to what needs it.
    after: dict[str, list[str]] = {str(item): [] for item in wanted}
    for item, change in wanted.items():
        for need in change.wanted.needs if change.wanted is not None else ():
            if need in wanted and need != item:
                after[str(need)].append(str(item))
    by_name = {str(item): change for item, change in wanted.items()}
    if find_cycle(after) is None:
        order: Sequence[Sequence[str]] = layers(after)
    else:
        # Jobs may wait for each other across days; then scripts go first and the jobs go together.
        order = [
            sorted(str(item) for item in wanted if item.kind is kind) for kind in (Kind.SCRIPT, Kind.JOB)
        ]
    groups = [[by_name[name] for name in layer] for layer in order if layer]
    gone = [change for change in changes if change.wanted is None]
    if gone:
        # Jobs name scripts, never the other way about, so jobs leave production first.
        for kind in (Kind.JOB, Kind.SCRIPT):
            if leaving := [change for change in gone if change.item.kind is kind]:
                groups.append(leaving)
    return groups


def waits_for_failed(change: TargetChange, failed: Collection[ItemKey]) -> ItemKey | None:
    """Say which failed item a change depends on, if any: then the change is skipped."""
    if change.wanted is None:
        return None
    return next((need for need in sorted(change.wanted.needs) if need in failed), None)
