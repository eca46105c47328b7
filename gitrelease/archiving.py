"""The archive branch: read it, and write what was settled to it.

One branch, fast-forward only, so that no head is ever lost and no ref is kept per settled thing (design 3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field
from functools import lru_cache
from typing import TypeVar

from gitrelease.core.archive import (
    ArchiveEntry,
    entry_document,
    number_path,
    outcome_path,
    parse_entry,
)
from gitrelease.core.names import (
    ARCHIVE,
    CommitId,
    ItemKey,
    NameRefused,
    PackageName,
    RefName,
    item_key,
)
from gitrelease.core.status import Glance, Packaged, Summary, parse_summary, summary_document
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError
from gitrelease.messages import message_of, read_message, read_value, value_bytes
from gitrelease.pen import Pen
from gitrelease.repo import Commit, Repo

Seen = TypeVar("Seen")

_NUMBER = re.compile(r"(?P<item>\S+) (?P<number>0|[1-9][0-9]{0,8})\n")


class ArchiveUnreadable(GitReleaseError):
    """The archive does not hold what gitrelease writes there."""

    code = "archive-unreadable"


@frozen
class Kept:
    """A summary as it is kept, not yet read."""

    data: bytes = field(repr=False)
    of: str
    """What it is, for whoever cannot read it."""

    def read(self) -> Summary:
        """Read it."""
        return read_summary(self.data, of=self.of)

    def seen(self, look: Callable[[Packaged], Seen]) -> Seen:
        """Look at it without reading all of it; what cannot be looked at so is read, and refused as ever."""
        try:
            return look(Glance(json.loads(self.data)))
        except (ValueError, RecursionError, GitReleaseError):
            return look(self.read())


@frozen
class Archive:
    """The archive as it is now."""

    repo: Repo
    tip: CommitId | None

    def numbers(self, items: Iterable[ItemKey]) -> dict[ItemKey, int]:
        """Give the highest number that a settled version of each item had."""
        if self.tip is None:
            return {}
        paths = {number_path(item): item for item in items}
        found = self.repo.contents(self.tip, paths)
        return {paths[path]: read_number(data, of=path) for path, data in found.items()}

    def outcome(self, package: PackageName) -> Summary | None:
        """Say what became of a package that was settled without being released."""
        if self.tip is None:
            return None
        data = self.repo.content(self.tip, outcome_path(package))
        return None if data is None else read_summary(data, of=f"the archive's word on {package}")

    def outcomes(self) -> Iterator[Kept]:
        """Say what became of all packages that were settled without being released."""
        if self.tip is not None:
            for entry, data in self.repo.read_below(self.tip, "packages"):
                yield Kept(data=data, of=f"the archive's {entry.path}")

    def entries(self, *, limit: int | None = None) -> list[tuple[Commit, ArchiveEntry]]:
        """List what was settled, newest first."""
        if self.tip is None:
            return []
        commits = [commit for commit in self.repo.history(self.tip, limit=limit) if commit.parents]
        return [(commit, entry_of(commit)) for commit in commits]

    def extended(self, pen: Pen, entry: ArchiveEntry, *, outcome: Summary | None = None) -> CommitId:
        """Write one more entry; the caller moves the branch, together with what it settles."""
        edits: dict[str, bytes] = {}
        known = self.numbers(task.id.item for task in entry.tasks)
        for task in entry.tasks:
            highest = max(known.get(task.id.item, 0), task.id.version)
            known[task.id.item] = highest
            edits[number_path(task.id.item)] = number_bytes(task.id.item, highest)
        if outcome is not None:
            edits[outcome_path(outcome.name)] = write_summary(outcome)
        base = None if self.tip is None else self.repo.tree_of(self.tip)
        tree = self.repo.write_tree(base, edits)
        before = self.tip or self._beginning(pen)
        message = message_of(entry.subject, entry_document(entry))
        return pen.commit(self.repo, tree=tree, parents=(before, *entry.heads), message=message)

    def _beginning(self, pen: Pen) -> CommitId:
        """Write a commit for the first entry to follow, so that no settled head is ever its first parent."""
        nothing = self.repo.write_tree(None, {})
        return pen.commit(self.repo, tree=nothing, parents=(), message="The archive begins\n")


def read_archive(repo: Repo, refs: Mapping[RefName, str]) -> Archive:
    """Find the archive among the refs of the shared repository; before anything is settled there is none."""
    tip = refs.get(ARCHIVE)
    return Archive(repo=repo, tip=None if tip is None else CommitId(tip))


def entry_of(commit: Commit) -> ArchiveEntry:
    """Read the entry that a commit of the archive is."""
    return read_message(commit.message, "settlement", parse_entry, of=f"the archive's {commit.id:.7}")


def write_summary(summary: Summary) -> bytes:
    """Write what became of a package."""
    return value_bytes(summary_document(summary))


@lru_cache(maxsize=256)
def read_summary(data: bytes, *, of: str) -> Summary:
    """Read what became of a package; what was read a moment ago is not read again."""
    return read_value(data, parse_summary, of=of)


def number_bytes(item: ItemKey, number: int) -> bytes:
    """Write the highest number that a settled version of an item had."""
    return f"{item} {number}\n".encode()


def read_number(data: bytes, *, of: str) -> int:
    """Read the highest number that a settled version of an item had.

    Raises:
        ArchiveUnreadable: the file at the path `of` is not what is written there.
    """
    said = _NUMBER.fullmatch(data.decode(errors="replace"))
    with suppress(NameRefused):
        if said and number_path(item_key(said["item"])) == of:
            return int(said["number"])
    raise ArchiveUnreadable(
        f"{of} of the archive does not say which number is the highest",
        hint=f"`git log -p origin/archive -- {of}` shows what it said; give that back by a commit on top",
    )
