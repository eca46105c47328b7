"""Turns: when the next change may be sent to GitHub, which counts what somebody does and not by how many commands."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

PER_MINUTE = 60
"""How many requests that create something are sent in a minute; GitHub allows a few more (pitfall P36)."""
_MINUTE = 60.0
_TRIES, _PAUSE = 50, 0.02
"""How often, and how many seconds apart, the file is tried that another command has locked."""


class Turns:
    """Turns one after the other, with a pause in between, and so many in a minute.

    Whoever takes one notes it in a file before waiting for it, so that commands of one clone that run at the same time,
    or right after each other, take different ones. Where the file cannot be kept, each counts for itself.
    """

    def __init__(self, pace: float, *, file: Path | None = None) -> None:
        """Prepare.

        Args:
            pace: how many seconds there are between two turns.
            file: where turns are noted for other processes; None keeps them to this one.
        """
        self._pace = pace
        self._file = file
        self._taken: list[float] = []

    def take(self, now: float) -> float:
        """Take the next turn, and say how many seconds it is away, by the clock that `now` is of."""
        if self._file is not None:
            try:
                with _opened(self._file) as file:
                    turn = self._after(_read(file), now)
                    os.pwrite(file, "".join(f"{one!r}\n" for one in self._taken).encode(), 0)
                    os.ftruncate(file, sum(len(repr(one)) + 1 for one in self._taken))
                    return turn - now
            except (OSError, ImportError):  # it cannot be written here, or not be locked
                self._file = None
        return self._after(self._taken, now) - now

    def _after(self, taken: Iterable[float], now: float) -> float:
        # A turn that is further away was noted by a clock that began anew, and nobody waits longer than for a minute.
        known = sorted(one for one in taken if now - _MINUTE < one < now + _MINUTE)
        turn = now
        if known:
            turn = max(turn, known[-1] + self._pace)
        if len(known) >= PER_MINUTE:
            turn = min(max(turn, known[-PER_MINUTE] + _MINUTE), now + _MINUTE)
        self._taken = [*known, turn]
        return turn


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    import fcntl

    path.parent.mkdir(exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for tries in range(_TRIES):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if tries == _TRIES - 1:
                    raise  # whoever has it does not go on, as one that was stopped by Ctrl-Z
                sleep(_PAUSE)
        yield file
    finally:
        os.close(file)


def _read(file: int) -> list[float]:
    """Read the turns that were noted; what is none was written by somebody else and says nothing."""
    found = []
    for line in os.pread(file, 64 * 1024, 0).decode("ascii", "replace").split("\n"):
        try:
            found.append(float(line))
        except ValueError:
            continue
    return found
