"""Relays: a long past, of which other processes play the last stretches while this one plays the first.

Who plays a later stretch begins at a receipt as if all before it were in order, and cannot know. So what was found
counts only if this process, when it comes there, finds just that: the same workspace approved, nothing begun,
nothing forged, no target left with what no release gave it, no package of the same name. Else, and wherever
anything was found to be broken, it plays the stretch itself, from what there really is. So the outcome is that of
one process which plays all of it.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from multiprocessing import get_context
from threading import Lock

from gitrelease.core.names import CommitId
from gitrelease.core.values import expect_many
from gitrelease.reading.broken import MALFORMED
from gitrelease.reading.ledger import receipt_of
from gitrelease.reading.replay import Past, at_root, replay
from gitrelease.reading.trees import read_workspace
from gitrelease.repo import Repo

STRETCH = 1000
"""How many receipts a stretch has, or a few more. A process takes as long to start as to play some hundred."""


def relay(
    repo: Repo,
    tip: CommitId,
    root: CommitId,
    *,
    past: Past | None = None,
    stretch: int = STRETCH,
    hands: int | None = None,
) -> Past:
    """Play a ledger from its trust root to its tip, as `replay` does, with as many processes as are of use.

    Args:
        repo: the repository.
        tip: the ledger.
        root: its trust root.
        past: how far it was played already, to go on from there.
        stretch: how many receipts a process plays at a time.
        hands: how many processes there may be; None takes one for each processor.

    Raises:
        GitReleaseError: the root is no trust root, so there is nothing to begin from.
    """
    start = root if past is None else past.at.id
    first, *later = _ends(repo, tip, start, stretch)
    with _helpers(repo, root, [first, *later], (hands or _processors()) - 1) as helpers:
        past = replay(repo, first, root, past=past)
        for end in later:
            found = helpers.found(end)
            if found is not None and past.is_followed_by(found):
                past.go_on(found)
            else:
                replay(repo, end, root, past=past)
    return past


def _ends(repo: Repo, tip: CommitId, start: CommitId, stretch: int) -> list[CommitId]:
    """Cut a ledger into stretches: say where each ends, which is where nothing is begun."""
    chain = repo.first_parent_ids(tip)[::-1]
    ends: list[CommitId] = []
    at = chain.index(start) + stretch if start in chain else len(chain)
    while at < len(chain) - stretch // 2:
        if _is_whole(repo, chain[at]):
            ends.append(chain[at])
            at += stretch
        else:
            at += 1
    return [*ends, tip]


def _is_whole(repo: Repo, receipt: CommitId) -> bool:
    with suppress(*MALFORMED):
        return not receipt_of(repo.commit(receipt)).is_open
    return False


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Other processes.


@dataclass(kw_only=True)
class _Helpers:
    """Other processes, which take the stretches that are left from the last one on."""

    repo: Repo
    root: CommitId
    pool: ProcessPoolExecutor | None
    left: deque[tuple[CommitId, CommitId]]
    """Where the stretches that nobody took begin and end."""
    taken: dict[CommitId, Future[Past | None]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def hand_out(self, _done: object = None) -> None:
        """Give one of them the last stretch that is left, and the next one when that is done."""
        with self.lock:
            if self.pool is None or not self.left:
                return
            since, end = self.left.pop()
            try:
                future = self.taken[end] = self.pool.submit(_play, self.repo, self.root, since, end)
            except RuntimeError:  # they are gone; whoever asks for the stretch plays it
                return
        future.add_done_callback(self.hand_out)

    def found(self, end: CommitId) -> Past | None:
        """Give what the stretch that ends there told; None where it is to be played, and nobody else will."""
        with self.lock:
            if self.left and self.left[0][1] == end:
                self.left.popleft()
                return None
        try:
            return self.taken[end].result() if end in self.taken else None
        except (RuntimeError, OSError):  # its process was killed
            return None


@contextmanager
def _helpers(repo: Repo, root: CommitId, ends: Sequence[CommitId], most: int) -> Iterator[_Helpers]:
    """Start other processes, as many as there are stretches for them and no more than that."""
    left = deque(pairwise(ends))
    many = min(most, len(left))
    if many < 1:
        yield _Helpers(repo=repo, root=root, pool=None, left=left)
        return
    # They are started anew everywhere: what a fork would take along, such as pipes to git, is nobody's to share.
    with ProcessPoolExecutor(many, mp_context=get_context("spawn"), initializer=_begin) as pool:
        helpers = _Helpers(repo=repo, root=root, pool=pool, left=left)
        try:
            for _ in range(many):
                helpers.hand_out()
            yield helpers
        finally:
            left.clear()


def _begin() -> None:
    """Have a process end without a word when somebody at the keyboard ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    expect_many()


def _play(repo: Repo, root: CommitId, since: CommitId, end: CommitId) -> Past | None:
    """Play one stretch as if all before it were in order; None where that cannot even be begun."""
    with repo, suppress(*MALFORMED):
        past = at_root(repo, root)
        past.at = repo.commit(since)
        past.receipt = receipt_of(past.at)
        past.workspace = read_workspace(repo, past.tree)
        past.workspaces = [past.workspace]
        past.receipts = 0
        return replay(repo, end, root, past=past)
    return None
