"""Much at once: whole folders of small files, and long ways back, each with as few processes as can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gitrelease.core.names import CommitId
from gitrelease.repo.history import History
from gitrelease.repo.objects import BLOB_LIMIT
from gitrelease.repo.values import BadObject, Entry, TooLarge, full_id, plain

PORTION = 8192
"""How many files are in memory at the same time."""


class Heading(NamedTuple):
    """A commit of which no more is known than its first parent and its first line."""

    id: CommitId
    parent: CommitId | None
    subject: str


class Bulk(History):
    """Questions about much at once. For few things `Objects` is quicker, which has a process waiting."""

    def read_all(self, entries: Sequence[Entry], *, limit: int = BLOB_LIMIT) -> Iterator[tuple[Entry, bytes]]:
        """Read many files, in the order given."""
        for first in range(0, len(entries), PORTION):
            yield from self._portion(entries[first : first + PORTION], limit)

    def read_below(self, treeish: str, folder: str) -> Iterator[tuple[Entry, bytes]]:
        """Read every file below a folder."""
        return self.read_all(self.list_tree(treeish, folder, recursive=True))

    def _portion(self, entries: Sequence[Entry], limit: int) -> Iterator[tuple[Entry, bytes]]:
        ids = "".join(f"{entry.blob}\n" for entry in entries).encode()
        sizes = self.run("cat-file", "--batch-check=%(objectsize)", "--buffer", stdin=ids).out.splitlines()
        for entry, size in zip(entries, sizes, strict=True):
            if size.isdigit() and int(size) > limit:
                raise TooLarge(repr(plain(entry.path)), int(size), limit, path=entry.path)
        out = self.run("cat-file", "--batch", "--buffer", stdin=ids, is_large=True).out
        at = 0
        for entry in entries:
            start = out.index(b"\n", at) + 1
            id_, kind, *length = out[at:start].split()
            if id_ != entry.id.encode() or kind != b"blob":
                raise BadObject(f"object {entry.id} is missing or damaged", hint="git fsck says more")
            at = start + int(length[0])
            yield entry, out[start:at]
            at += 1

    def headings(self, tip: CommitId, *, limit: int) -> list[Heading]:
        """List the first parents of a commit and itself, newest first, without reading more than that of them."""
        out = self.run(
            "rev-list", "--first-parent", f"--max-count={int(limit)}", "--no-commit-header",
            "--format=%H%n%P%n%s", "--end-of-options", full_id(tip),
        ).out  # fmt: skip
        lines = out.decode(errors="replace").split("\n")
        return [
            Heading(CommitId(id_), CommitId(parents[:40]) if parents else None, subject)
            for id_, parents, subject in zip(lines[::3], lines[1::3], lines[2::3], strict=False)
        ]
