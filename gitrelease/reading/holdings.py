"""What every target was last given, and what became of every package: the commit beside a receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from gitrelease.archiving import Kept, read_summary
from gitrelease.core.ledger import (
    Holding,
    TargetStanding,
    held_path,
    parse_holding,
    parse_standing,
    standing_path,
    summary_path,
    target_prefix,
)
from gitrelease.core.names import CommitId, ItemKey, PackageName
from gitrelease.core.status import Summary
from gitrelease.core.values import frozen
from gitrelease.messages import read_value
from gitrelease.repo import EMPTY_TREE, Repo


@frozen
class Holdings:
    """The lists that a receipt names and keeps; one without a commit is empty, as before the first work."""

    repo: Repo
    commit: CommitId | None

    def of(self, target: str, items: Iterable[ItemKey]) -> dict[ItemKey, Holding]:
        """Say what a target was last given of these items."""
        if self.commit is None:
            return {}
        paths = {held_path(target, item): item for item in items}
        found = self.repo.contents(self.commit, paths)
        return {paths[path]: _holding(path, data) for path, data in found.items()}

    def all_of(self, target: str) -> dict[ItemKey, Holding]:
        """Say what a target was last given of every item."""
        if self.commit is None:
            return {}
        entries = self.repo.list_tree(self.commit, target_prefix(target).rstrip("/"), recursive=True)
        blobs = self.repo.blobs([entry.blob for entry in entries])
        read = (_holding(entry.path, blobs[entry.blob]) for entry in entries)
        return {holding.item: holding for holding in read}

    def standing(self, target: str) -> TargetStanding | None:
        """Say how a target was last left; None for one that was never given anything."""
        if self.commit is None:
            return None
        data = self.repo.content(self.commit, standing_path(target))
        return None if data is None else _standing(target, data)

    def summary(self, package: PackageName) -> Summary | None:
        """Say what became of a package; None for one that was never begun nor refused."""
        if self.commit is None:
            return None
        data = self.repo.content(self.commit, summary_path(package))
        return None if data is None else read_summary(data, of=f"the ledger's word on {package}")

    def changed_since(self, before: CommitId | None) -> Iterator[Summary]:
        """Say what became of the packages of which an earlier list says something else, or nothing."""
        if self.commit is None:
            return
        for change in self.repo.diff(before or EMPTY_TREE, self.commit, ["packages"]):
            if change.after is not None and change.after.is_file:
                yield read_summary(self.repo.blob(change.after.blob), of=f"the ledger's {change.path}")

    def summaries(self) -> Iterator[Kept]:
        """Say what became of all packages."""
        if self.commit is not None:
            for entry, data in self.repo.read_below(self.commit, "packages"):
                yield Kept(data=data, of=f"the ledger's {entry.path}")


@lru_cache(maxsize=1024)
def _holding(path: str, data: bytes) -> Holding:
    return read_value(data, parse_holding, of=f"the ledger's {path}")


@lru_cache(maxsize=1024)
def _standing(target: str, data: bytes) -> TargetStanding:
    return read_value(data, parse_standing, of=f"the ledger's word on the target {target}")
