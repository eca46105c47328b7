"""The hand that writes: who commits, whether it signs, and what time it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property

from gitrelease.core.names import CommitId, TreeId
from gitrelease.repo import Identity, Repo


class Pen:
    """Writes commits in somebody's name.

    Who that is, and whether there is a key, may be given as questions: they are asked when something is to be
    written, so that whoever only looks needs neither a name nor a key.
    """

    def __init__(
        self,
        *,
        identity: Identity | Callable[[], Identity],
        signs: bool | Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._identity = identity
        self._signs = signs
        self.now = now

    @cached_property
    def identity(self) -> Identity:
        """Say who commits; refuse when git does not know."""
        return self._identity() if callable(self._identity) else self._identity

    @cached_property
    def signs(self) -> bool:
        """Whether what is written is signed."""
        return self._signs() if callable(self._signs) else self._signs

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
