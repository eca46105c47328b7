"""The hand that writes: who commits, whether it signs, and what time it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gitrelease.core.names import CommitId, TreeId
from gitrelease.repo import Identity, Repo


@dataclass(frozen=True, kw_only=True)
class Pen:
    """Writes commits in somebody's name."""

    identity: Identity
    signs: bool
    now: Callable[[], datetime]

    def commit(self, repo: Repo, *, tree: TreeId, parents: Sequence[CommitId], message: str) -> CommitId:
        """Write a commit; nothing refers to it until a ref is moved."""
        return repo.write_commit(
            tree=tree,
            parents=parents,
            message=message,
            author=self.identity,
            when=self.now(),
            sign=self.signs,
        )
