"""How many lines of items differ between two trees: for thousands of items, few of which have to be parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from gitrelease.core.compare import ItemComparison
from gitrelease.core.glancing import glimpse
from gitrelease.core.item import Change
from gitrelease.core.names import SUBJOBS_ENDING, ItemKey, record_path
from gitrelease.core.patch import Patch
from gitrelease.repo import Entry, Repo, TreeChange

# A record of an item that is there, in the one spelling that gitrelease writes.
_RECORD = re.compile(
    r"apiVersion: \S+\nkind: Record\nitem: (?P<item>\S+)\npath: (?!null\n).+\npackage: .+\n"
    r"version: (?P<version>[1-9][0-9]*)\nfiles:\n(?:  .+\n)+"
)


def count_changes(
    repo: Repo, before: str, after: str, changed: Mapping[ItemKey, Sequence[TreeChange]]
) -> dict[ItemKey, ItemComparison]:
    """Count the lines that differ of items, without their text, where it is plain to see that they do other things.

    What is left out here, such as an item that came or went, or may differ in formatting only, has to be read.
    """
    plain = {key: changes for key, changes in changed.items() if _is_plain(key, changes)}
    paths = {record_path(key): key for key in plain}
    # Every version has a record of its own; where there is none that changed, something else is the matter.
    records = repo.diff(before, after, ["items"]) if plain else []
    old = _numbers(repo, (change.before for change in records), paths)
    new = _numbers(repo, (change.after for change in records), paths)
    known = {key: changes for key, changes in plain.items() if key in old and key in new}
    entries = [
        side for changes in known.values() for change in changes for side in (change.before, change.after)
    ]
    contents = repo.read_all([entry for entry in entries if entry is not None])
    found = {}
    for key, changes in known.items():
        added: list[int | None] = []
        deleted: list[int | None] = []
        differs = False
        for change in changes:
            (_, one), (_, other) = next(contents), next(contents)
            seen = glimpse(change.path, one, other)
            added.append(seen.added)
            deleted.append(seen.deleted)
            differs = differs or not change.path.endswith(".yaml") or seen.surely_differ
        if differs:
            found[key] = ItemComparison(
                item=key,
                change=Change.MODIFY,
                from_version=old[key],
                to_version=new[key],
                formatting_only=False,
                differences=(),
                patch=Patch(text="", added=_sum(added), deleted=_sum(deleted)),
            )
    return found


def _is_plain(key: ItemKey, changes: Sequence[TreeChange]) -> bool:
    """Say whether files were modified and none came or went, the item's own document among them."""
    return all(_is_file(one.before) and _is_file(one.after) for one in changes) and any(
        _is_document(key, one.path) for one in changes
    )


def _is_document(key: ItemKey, path: str) -> bool:
    """Say whether a file of an item is its own document; a subjob may be called like its job."""
    folder, _, file = path.rpartition("/")
    return file.startswith(f"{key.name}.") and file.endswith(".yaml") and not folder.endswith(SUBJOBS_ENDING)


def _is_file(entry: Entry | None) -> bool:
    return entry is not None and entry.is_file


def _numbers(repo: Repo, records: Iterable[Entry | None], items: Mapping[str, ItemKey]) -> dict[ItemKey, int]:
    """Say at which version items are, by their records; one that is written in another way is left out."""
    wanted = [entry for entry in records if entry is not None and entry.is_file and entry.path in items]
    found = {}
    for entry, data in repo.read_all(wanted):
        said = _RECORD.fullmatch(data.decode(errors="replace"))
        if said is not None and said["item"] == str(items[entry.path]):
            found[items[entry.path]] = int(said["version"])
    return found


def _sum(counts: Sequence[int | None]) -> int | None:
    """Add counts up; of what was not counted in part there is no sum."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
