"""How many lines of items differ between two trees: for thousands of items, few of which have to be parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from gitrelease.core.compare import ItemComparison
from gitrelease.core.glancing import glimpse
from gitrelease.core.item import Change
from gitrelease.core.names import SUBJOBS_ENDING, ItemKey, record_path
from gitrelease.core.patch import Patch
from gitrelease.repo import Repo, TreeChange

# A record of an item that is there, in the one spelling that gitrelease writes.
_RECORD = re.compile(
    r"apiVersion: \S+\nkind: Record\nitem: (?P<item>\S+)\npath: (?!null\n).+\npackage: .+\n"
    r"version: (?P<version>[1-9][0-9]*)\nfiles:\n(?:  .+\n)+"
)


def count_changes(
    repo: Repo, changed: Mapping[ItemKey, Sequence[TreeChange]], records: Iterable[TreeChange]
) -> dict[ItemKey, ItemComparison]:
    """Count the lines that differ of items, without their text, where it is plain to see that they do other things.

    What is left out here, such as an item that came or went, or may differ in formatting only, has to be read.

    Args:
        repo: the repository.
        changed: the items, each with its files that differ.
        records: the records that differ. Every version has one of its own; where there is none that changed,
            something else is the matter.
    """
    versions = {record.path: record for record in records}
    plain = {
        key: (record, *changes)
        for key, changes in changed.items()
        if _is_plain(key, changes) and (record := versions.get(record_path(key))) and _is_modified(record)
    }
    entries = [side for changes in plain.values() for one in changes for side in (one.before, one.after)]
    contents = (data for _, data in repo.read_all([entry for entry in entries if entry is not None]))
    found = {}
    for key, (_, *changes) in plain.items():
        old, new = _number(key, next(contents)), _number(key, next(contents))
        seen = [glimpse(change.path, next(contents), next(contents)) for change in changes]
        differs = any(
            one.surely_differ or not change.path.endswith(".yaml")
            for one, change in zip(seen, changes, strict=True)
        )
        if differs and old is not None and new is not None:
            found[key] = ItemComparison(
                item=key,
                change=Change.MODIFY,
                from_version=old,
                to_version=new,
                formatting_only=False,
                differences=(),
                patch=Patch(
                    text="", added=_sum(one.added for one in seen), deleted=_sum(one.deleted for one in seen)
                ),
            )
    return found


def _is_plain(key: ItemKey, changes: Sequence[TreeChange]) -> bool:
    """Say whether files were modified and none came or went, the item's own document among them."""
    return all(map(_is_modified, changes)) and any(_is_document(key, one.path) for one in changes)


def _is_document(key: ItemKey, path: str) -> bool:
    """Say whether a file of an item is its own document; a subjob may be called like its job."""
    folder, _, file = path.rpartition("/")
    return file.startswith(f"{key.name}.") and file.endswith(".yaml") and not folder.endswith(SUBJOBS_ENDING)


def _is_modified(change: TreeChange) -> bool:
    return all(side is not None and side.is_file for side in (change.before, change.after))


def _number(key: ItemKey, record: bytes) -> int | None:
    """Say at which version an item is, by its record; None for one that is written in another way."""
    said = _RECORD.fullmatch(record.decode(errors="replace"))
    return int(said["version"]) if said is not None and said["item"] == str(key) else None


def _sum(counts: Iterable[int | None]) -> int | None:
    """Add counts up; of what was not counted in part there is no sum."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total
