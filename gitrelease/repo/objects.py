"""Objects by id: commits, trees and files out of the object store, and new ones into it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import IO

from gitrelease.core.names import BlobId, CommitId, RefName, TagId, TreeId
from gitrelease.repo.run import Git
from gitrelease.repo.values import (
    BadObject,
    Commit,
    Entry,
    GitFailed,
    Identity,
    Tag,
    TooLarge,
    full_id,
    plain,
)

BLOB_LIMIT = 16 * 1024 * 1024
TREES_KEPT = 4096

_FOUND = re.compile(rb"([0-9a-f]{40}) (commit|tree|blob|tag) ([0-9]+)")
_CLAIM = re.compile(rb"(?P<name>[^<>\n]*?) ?<(?P<email>[^<>\n]*)> (?P<at>[0-9]{1,12}) [+-][0-9]{4}")
UNTYPABLE = re.compile(r"[\x00-\x1f\x7f]")
# So many bytes of requests fit into a pipe, whatever git does meanwhile: writing them never blocks.
_PIPE_BYTES = 4096


class Objects(Git):
    """Reads objects through one process that stays.

    Threads may share it: a lock keeps question and answer together.
    """

    _lock: Lock
    _reader: tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]] | None = None
    _trees: dict[str, dict[str, Entry]]

    def close(self) -> None:
        """End the process that reads objects. It starts again when it is needed."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            process, requests, answers = reader
            for stream in (requests, answers):
                try:
                    stream.close()
                except OSError:  # what was not sent yet is of no use to a process that is gone
                    continue
            process.wait()

    def commit(self, id_: CommitId) -> Commit:
        """Read one commit."""
        return self.commits([id_])[0]

    def commits(self, ids: Iterable[CommitId]) -> list[Commit]:
        """Read many commits, in the order given."""
        wanted = list(ids)
        return [_commit(id_, data) for id_, data in zip(wanted, self._read(wanted, "commit"), strict=True)]

    def blob(self, id_: BlobId, *, limit: int = BLOB_LIMIT) -> bytes:
        """Read the content of one file; refuse one larger than `limit` before it is read."""
        return self.blobs([id_], limit=limit)[id_]

    def blobs(self, ids: Iterable[BlobId], *, limit: int = BLOB_LIMIT) -> dict[BlobId, bytes]:
        """Read the contents of many files."""
        return self._blobs(list(dict.fromkeys(ids)), {}, limit)

    def files(self, held: Mapping[str, BlobId], *, limit: int = BLOB_LIMIT) -> dict[str, bytes]:
        """Read the contents of many files by their paths; one that is too large is refused by its path."""
        paths = {blob: path for path, blob in held.items()}
        blobs = self._blobs(list(paths), paths, limit)
        return {path: blobs[blob] for path, blob in held.items()}

    def _blobs(
        self, wanted: Sequence[BlobId], paths: Mapping[BlobId, str], limit: int
    ) -> dict[BlobId, bytes]:
        for id_, (kind, size) in zip(wanted, self._describe(wanted), strict=True):
            path = paths.get(id_)
            if kind != "blob":
                raise BadObject(f"{id_} is a {kind}, not a file")
            if size > limit:
                what = f"the file {id_:.7}" if path is None else repr(plain(path))
                raise TooLarge(what, size, limit, path=path)
        return dict(zip(wanted, self._read(wanted, "blob"), strict=True))

    def exists(self, id_: str) -> bool:
        """Say whether an object is here."""
        return _FOUND.fullmatch(next(self._ask([f"info {full_id(id_)}"]))[0]) is not None

    def resolve(self, text: str) -> CommitId | None:
        """Find the commit that somebody typed a name of; `None` when there is none, or more than one.

        The text goes to git's standard input, never among its arguments (pitfall P16).
        """
        if not text or text.startswith("-") or UNTYPABLE.search(text) or has_surrogates(text):
            return None
        found = _FOUND.fullmatch(next(self._ask([f"info {text}^{{commit}}"]))[0])
        return CommitId(found[1].decode()) if found and found[2] == b"commit" else None

    def tree_of(self, treeish: str) -> TreeId:
        """Give the tree of a commit; a tree is its own."""
        ((kind, _),) = self._describe([treeish])
        if kind == "commit":
            return self.commit(CommitId(treeish)).tree
        if kind != "tree":
            raise BadObject(f"{treeish} is a {kind}, not a commit or a tree")
        return TreeId(treeish)

    def tree_entry(self, treeish: str, path: str) -> Entry | None:
        """Say what a tree holds at a path, of whatever mode."""
        return self.entries(treeish, [path]).get(path)

    def entries(self, treeish: str, paths: Iterable[str]) -> dict[str, Entry]:
        """Say what a tree holds at many paths; what it does not hold is left out."""
        root = self.tree_of(treeish)
        found = {path: self._walk(root, path) for path in paths}
        return {path: entry for path, entry in found.items() if entry is not None}

    def list_tree(self, treeish: str, prefix: str = "", *, recursive: bool = False) -> list[Entry]:
        """List what a tree holds below a folder: its entries or, if recursive, all that are not folders.

        A folder that is not there is empty.
        """
        tree = self.tree_of(treeish)
        if prefix:
            folder = self._walk(tree, prefix)
            if folder is None or folder.mode != "040000":
                return []
            tree = TreeId(folder.id)
        before = f"{prefix}/" if prefix else ""
        if not recursive:
            return [
                Entry(path=before + name, mode=entry.mode, id=entry.id)
                for name, entry in self._tree(tree).items()
            ]
        out = self.run("ls-tree", "-r", "-z", "--full-tree", tree).out
        return [_listed(record, before) for record in out.split(b"\0")[:-1]]

    def content(self, treeish: str, path: str, *, limit: int = BLOB_LIMIT) -> bytes | None:
        """Read a plain file of a tree; `None` when there is nothing, a refusal when it is something else."""
        entry = self.tree_entry(treeish, path)
        return None if entry is None else self.files({path: entry.blob}, limit=limit)[path]

    def contents(self, treeish: str, paths: Iterable[str], *, limit: int = BLOB_LIMIT) -> dict[str, bytes]:
        """Read many plain files of a tree at once; what it does not hold is left out."""
        entries = self.entries(treeish, paths)
        return self.files({path: entry.blob for path, entry in entries.items()}, limit=limit)

    def read_tags(self, refs: Mapping[RefName, str]) -> dict[RefName, Tag]:
        """Read what these tags say, and the commits they stand for."""
        kinds = dict(zip(refs, self._describe(list(refs.values())), strict=True))
        tags = {ref: refs[ref] for ref, (kind, _) in kinds.items() if kind == "tag"}
        read = dict(zip(tags, self._read(list(tags.values()), "tag"), strict=True))
        found: dict[RefName, Tag] = {}
        for ref, id_ in refs.items():
            if ref in read:
                found[ref] = _tag(TagId(id_), read[ref])
            elif kinds[ref][0] == "commit":
                commit = CommitId(id_)
                found[ref] = Tag(id=commit, target=commit, tagger=None, tagged_at=None, message="")
        return found

    def _walk(self, tree: TreeId, path: str) -> Entry | None:
        *folders, name = path.split("/")
        for folder in folders:
            step = self._tree(tree).get(folder)
            if step is None or step.mode != "040000":
                return None
            tree = TreeId(step.id)
        entry = self._tree(tree).get(name)
        return None if entry is None else Entry(path=path, mode=entry.mode, id=entry.id)

    def _tree(self, id_: TreeId) -> dict[str, Entry]:
        """Read one level of a tree, by name. Names that are not UTF-8 come out with surrogates."""
        known = self._trees.get(id_)
        if known is None:
            (data,) = self._read([id_], "tree")
            if len(self._trees) >= TREES_KEPT:
                self._trees.clear()
            known = self._trees[id_] = {entry.path: entry for entry in _entries(id_, data)}
        return known

    def _describe(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """Say of each object what kind it is and how large."""
        described = []
        for id_, (header, _) in zip(ids, self._ask([f"info {full_id(id_)}" for id_ in ids]), strict=True):
            found = _FOUND.fullmatch(header)
            if found is None:
                raise BadObject(f"object {id_} is missing or damaged", hint="git fsck says more")
            described.append((found[2].decode(), int(found[3])))
        return described

    def _read(self, ids: Sequence[str], kind: str) -> list[bytes]:
        """Read objects of one kind, whole."""
        read = []
        for id_, (header, data) in zip(
            ids, self._ask([f"contents {full_id(id_)}" for id_ in ids]), strict=True
        ):
            found = _FOUND.fullmatch(header)
            if found is None:
                raise BadObject(f"object {id_} is missing or damaged", hint="git fsck says more")
            if found[2].decode() != kind:
                raise BadObject(f"{id_} is a {found[2].decode()}, not a {kind}")
            read.append(data)
        return read

    def _ask(self, requests: Sequence[str]) -> Iterator[tuple[bytes, bytes]]:
        """Put requests to the process that stays, and give each answer's first line and content.

        They are sent in portions that a pipe holds, so that neither side ever waits for the other.
        """
        answers: list[tuple[bytes, bytes]] = []
        with self._lock:
            try:
                for portion in _portions(requests):
                    answers += self._exchange(portion)
            except BaseException:
                # What is left in the pipe would answer the next question.
                self._stop()
                raise
        return iter(answers)

    def _exchange(self, portion: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        if self._reader is None:
            self._reader = self.start("cat-file", "--batch-command", "-z")
        _, questions, answers = self._reader
        try:
            questions.write(b"".join(portion))
            questions.flush()
        except OSError as problem:
            raise GitFailed("git stopped reading objects", hint="git fsck says more") from problem
        for request in portion:
            header = answers.readline()
            if not header.endswith(b"\n"):
                raise GitFailed("git stopped reading objects", hint="git fsck says more")
            found = _FOUND.fullmatch(header[:-1])
            data = b""
            if found is not None and request.startswith(b"contents "):
                data = answers.read(int(found[3]))
                if answers.read(1) != b"\n":
                    raise GitFailed("git stopped in the middle of an object", hint="git fsck says more")
            yield header[:-1], data


def has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _portions(requests: Sequence[str]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for request in requests:
        line = request.encode() + b"\0"
        if portion and size + len(line) > _PIPE_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += len(line)
    if portion:
        yield portion


def _entries(tree: str, data: bytes) -> Iterator[Entry]:
    """Read the entries of a tree with whatever names it has."""
    at = 0
    while at < len(data):
        space, end = data.find(b" ", at), data.find(b"\0", at)
        if space < 0 or end < space or end + 21 > len(data):
            raise BadObject(f"tree {tree} is malformed", hint="git fsck says more")
        yield Entry(
            path=data[space + 1 : end].decode(errors="surrogateescape"),
            mode=data[at:space].decode("ascii", "replace").zfill(6),
            id=data[end + 1 : end + 21].hex(),
        )
        at = end + 21


def _listed(record: bytes, before: str) -> Entry:
    meta, _, path = record.partition(b"\t")
    mode, _, id_ = meta.decode().split(" ")
    return Entry(path=before + path.decode(errors="surrogateescape"), mode=mode, id=id_)


def headers(data: bytes) -> list[tuple[bytes, bytes]]:
    """Read the headers of a commit or a tag; lines that go on are joined as they were."""
    found: list[tuple[bytes, bytes]] = []
    for line in data.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b" ") and found:
            key, value = found[-1]
            found[-1] = key, value + b"\n" + line[1:]
        else:
            key, _, value = line.partition(b" ")
            found.append((key, value))
    return found


def _commit(id_: CommitId, data: bytes) -> Commit:
    lines = headers(data)
    if not lines or lines[0][0] != b"tree":
        raise BadObject(f"commit {id_} is malformed", hint="git fsck says more")
    rest = lines[1:]
    parents = []
    while rest and rest[0][0] == b"parent":
        parents.append(CommitId(_named_id(id_, rest.pop(0)[1])))
    named = dict(reversed(rest))
    author, authored_at = _claim(named.get(b"author", b""))
    committer, committed_at = _claim(named.get(b"committer", b""))
    return Commit(
        id=id_,
        tree=TreeId(_named_id(id_, lines[0][1])),
        parents=tuple(parents),
        author=author,
        authored_at=authored_at,
        committer=committer,
        committed_at=committed_at,
        message=data.partition(b"\n\n")[2].decode(errors="replace"),
        is_signed=b"gpgsig" in named,
    )


def _tag(id_: TagId, data: bytes) -> Tag:
    named = dict(reversed(headers(data)))
    if named.get(b"type") != b"commit":
        raise BadObject(f"tag {id_} does not stand for a commit")
    tagger, at = _claim(named.get(b"tagger", b""))
    target = CommitId(_named_id(id_, named.get(b"object", b"")))
    message = data.partition(b"\n\n")[2].decode(errors="replace")
    return Tag(id=id_, target=target, tagger=tagger, tagged_at=at, message=message)


def _named_id(holder: str, id_: bytes) -> str:
    try:
        return full_id(id_.decode("ascii", "replace"))
    except ValueError as problem:
        raise BadObject(f"object {holder} is malformed", hint="git fsck says more") from problem


def _claim(line: bytes) -> tuple[Identity, datetime]:
    """Read who made something, and when. A line that could be read in two ways is nobody's address."""
    found = _CLAIM.fullmatch(line)
    if found is None:
        return Identity(name=line.decode(errors="replace"), email=""), datetime.fromtimestamp(0, UTC)
    who = Identity(name=found["name"].decode(errors="replace"), email=found["email"].decode(errors="replace"))
    try:
        return who, datetime.fromtimestamp(int(found["at"]), UTC)
    except (OverflowError, ValueError, OSError):  # a year that no calendar of ours has
        return who, datetime.fromtimestamp(0, UTC)
