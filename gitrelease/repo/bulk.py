"""Much at once: whole folders of small files, and long ways back, each with as few processes as can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Thread
from typing import IO, NamedTuple

from gitrelease.core.names import CommitId
from gitrelease.repo.history import History
from gitrelease.repo.objects import BLOB_LIMIT
from gitrelease.repo.values import BadObject, Entry, GitFailed, TooLarge, full_id, plain


class Heading(NamedTuple):
    """A commit of which no more is known than its first parent and its first line."""

    id: CommitId
    parent: CommitId | None
    subject: str


class Bulk(History):
    """Questions about much at once. For few things `Objects` is quicker, which has a process waiting."""

    def read_all(self, entries: Sequence[Entry], *, limit: int = BLOB_LIMIT) -> Iterator[tuple[Entry, bytes]]:
        """Read many files, in the order given, while git reads on; no more of them is in memory than a pipe holds."""
        if not entries:
            return
        wanted = "".join(f"{entry.blob}\n" for entry in entries).encode()
        with self._answers("cat-file", "--batch", "--buffer", stdin=wanted) as answers:
            for entry in entries:
                *told, size_told = answers.readline().split() or [b""]
                if told != [entry.id.encode(), b"blob"]:
                    raise BadObject(f"object {entry.id} is missing or damaged", hint="git fsck says more")
                size = int(size_told)
                if size > limit:
                    raise TooLarge(repr(plain(entry.path)), size, limit, path=entry.path)
                data = answers.read(size + 1)
                if len(data) <= size:
                    raise GitFailed("git stopped in the middle of an object", hint="git fsck says more")
                yield entry, data[:-1]

    def read_below(self, treeish: str, folder: str) -> Iterator[tuple[Entry, bytes]]:
        """Read every file below a folder."""
        return self.read_all(self.list_tree(treeish, folder, recursive=True))

    def headings(self, tip: CommitId) -> Iterator[Heading]:
        """Tell the first parents of a commit and itself, newest first, without reading more than that of them."""
        words = ("--first-parent", "--no-commit-header", "--format=%H%n%P%n%s", "--end-of-options")
        parent: CommitId | None = tip
        with self._answers("rev-list", *words, full_id(tip)) as answers:
            for id_, parents, subject in zip(answers, answers, answers, strict=False):
                parent = CommitId(parents[:40].decode()) if parents.strip() else None
                yield Heading(CommitId(id_[:40].decode()), parent, subject[:-1].decode(errors="replace"))
        if parent is not None:
            raise BadObject(f"git could not walk back from {tip:.7}", hint="git fsck says more")

    @contextmanager
    def _answers(self, *args: str, stdin: bytes = b"") -> Iterator[IO[bytes]]:
        """Give what a git command says while it says it. Whoever leaves wants no more of it, and ends it."""
        process, questions, answers = self.start(*args)
        asking = Thread(target=_ask, args=(questions, stdin), daemon=True)
        asking.start()
        try:
            yield answers
        finally:
            process.kill()
            asking.join()
            answers.close()
            process.wait()


def _ask(questions: IO[bytes], said: bytes) -> None:
    """Say what a command is to read, and no more; one that is ended before it read all of that needs no more."""
    with suppress(OSError), questions:
        questions.write(said)
