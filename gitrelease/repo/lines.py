"""Lines of trees: what each of them holds at a path, told from how it differs from the one before.

git says in one answer how thousands of trees differ, each from its neighbour. With that at hand, only what never
changed has to be looked for in a tree, and there in the first one, whichever is asked about. What differences do
not tell for sure, such as what a folder is, is not told here, and is read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gitrelease.repo.values import Entry, TreeChange


@dataclass(kw_only=True)
class _Line:
    """Trees that follow each other, the first of them at position 0."""

    base: str
    last: str
    length: int = 1
    steps: dict[str, tuple[list[int], list[Entry | None]]] = field(default_factory=dict)
    """Per path, at which positions it changed, and what it held before the first of them and from each on."""
    children: dict[str, list[str]] = field(default_factory=dict)
    """Per folder, the paths right in it that ever changed."""
    deep: set[str] = field(default_factory=set)
    """The folders in whose folders something changed."""
    doubtful: set[str] = field(default_factory=set)
    """Paths that a folder holds twice, of which readers may see either."""

    def append(self, tree: str, changes: Sequence[TreeChange]) -> int:
        """Add a tree at the end; give its position."""
        at, self.last = self.length, tree
        self.length += 1
        for change in changes:
            known = self.steps.get(change.path)
            if known is None:
                self.steps[change.path] = [at], [change.before, change.after]
                self._note_folders(change.path)
                continue
            positions, entries = known
            if positions[-1] == at or entries[-1] != change.before:
                self.doubtful.add(change.path)
            positions.append(at)
            entries.append(change.after)
        return at

    def _note_folders(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        self.children.setdefault(folder, []).append(path)
        while folder:
            folder = folder.rpartition("/")[0]
            if folder in self.deep:
                break
            self.deep.add(folder)

    def is_silent_on(self, path: str) -> bool:
        """Say whether the line does not tell what a path holds: it is, or was, a folder, or is there twice."""
        return path in self.children or path in self.deep or path in self.doubtful

    def at(self, path: str, position: int) -> Entry | None:
        """Say what a path that ever changed holds in the tree at a position."""
        positions, entries = self.steps[path]
        return entries[bisect_right(positions, position)]


class Lines:
    """All lines that were followed so far. A line can begin where another one passes by."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[_Line, int]] = {}

    def follow(self, before: str, after: str, changes: Sequence[TreeChange]) -> None:
        """Note by what a tree differs from another one; all of it, with nothing left out."""
        known = self._places.get(before)
        if after == before or after in self._places:  # one place tells all; two could lead in a circle
            return
        if known is not None and known[0].last == before:
            self._places[after] = known[0], known[0].append(after, changes)
        else:
            line = _Line(base=before, last=before)
            if known is None:
                self._places[before] = line, 0
            self._places[after] = line, line.append(after, changes)

    def __contains__(self, tree: str) -> bool:
        return tree in self._places

    def tell(self, tree: str, path: str) -> tuple[str | None, Entry | None]:
        """Say what a tree holds at a path; or first in which tree, the same or an older one, that is to be read."""
        place = self._places.get(tree)
        while place is not None:
            line, position = place
            if line.is_silent_on(path):
                break
            if path in line.steps:
                return None, line.at(path, position)
            place = self._places.get(line.base) if line.base != tree else None
            tree = line.base
        return tree, None

    def tell_below(
        self, tree: str, folder: str, among: Callable[[str], bool]
    ) -> tuple[str, dict[str, Entry | None]]:
        """Say what is known of what lies right in a folder, and in which tree the rest of it is to be read.

        `among` says of which paths that is asked.
        """
        found: dict[str, Entry | None] = {}
        place = self._places.get(tree)
        while place is not None:
            line, position = place
            children = line.children.get(folder, ())
            if folder in line.deep or folder in line.steps or not line.doubtful.isdisjoint(children):
                break
            for path in filter(among, children):
                found.setdefault(path, line.at(path, position))
            place = self._places.get(line.base) if line.base != tree else None
            tree = line.base
        return tree, found
