"""What paths hold: the pins that a manifest is made of, and differences between trees.

Two hashes pin a file: git's own, which every tool can check, and SHA-256, which stays strong when SHA-1
is not (pitfall P39).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NewType

from gitrelease.core.names import BlobId
from gitrelease.core.values import frozen

Held = NewType("Held", str)
"""What a path holds in a tree: the blob id of an ordinary file, and `mode:id` for anything else.

The second form equals no pin, so that a symlink, a submodule or an executable file is never mistaken for
the file somebody approved (pitfall P17).
"""

Difference = Mapping[str, tuple[Held | None, Held | None]]
"""Per path, what it held before and after; None where it did not exist."""


@frozen
class Pin:
    """One file, to the byte."""

    blob: BlobId
    sha256: str

    @property
    def held(self) -> Held:
        """What a tree holds when it holds this file."""
        return Held(self.blob)


Content = Mapping[str, Pin]
"""The files of an item, by path; empty when the item does not exist."""


def difference(before: Content, after: Content) -> Difference:
    """Give what changes between two contents, path by path."""
    changed: dict[str, tuple[Held | None, Held | None]] = {}
    for path in before.keys() | after.keys():
        old = before[path].held if path in before else None
        new = after[path].held if path in after else None
        if old != new:
            changed[path] = (old, new)
    return changed
