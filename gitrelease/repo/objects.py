"""Objects by id: commits, trees and files out of the object store, and new ones into it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from itertools import chain
from threading import Lock
from typing import IO

from gitrelease.core.names import BlobId, CommitId, RefName, TagId, TreeId, fold
from gitrelease.repo.lines import Lines
from gitrelease.repo.run import Git
from gitrelease.repo.values import (
    BadObject,
    Commit,
    Entry,
    EntryKind,
    GitFailed,
    Identity,
    Tag,
    TooLarge,
    full_id,
    plain,
)

BLOB_LIMIT = 16 * 1024 * 1024
TREES_KEPT = 4096
KEPT = 8192
"""How many commits are kept in memory once they were read."""
AHEAD = 32 * 1024 * 1024
"""Beyond how many bytes files that were read ahead are forgotten."""
SMALL = 64 * 1024
"""Up to how many bytes an object is kept in memory."""

_FOUND = re.compile(rb"([0-9a-f]{40}) (commit|tree|blob|tag) ([0-9]+)")
_CLAIM = re.compile(rb"(?P<name>[^<>\n]*?) ?<(?P<email>[^<>\n]*)> (?P<at>[0-9]{1,12}) [+-][0-9]{4}")
_COMMIT = re.compile(
    rb"tree (?P<tree>[0-9a-f]{40})\n(?P<parents>(?:parent [0-9a-f]{40}\n)*)"
    rb"author (?P<author>.*)\ncommitter (?P<committer>.*)\n\n"
)
"""A commit as nearly all are that nobody signed, down to where its message begins."""
UNTYPABLE = re.compile(r"[\x00-\x1f\x7f]")
_OCTAL = re.compile(rb"[0-7]{1,11}")
_MODES = frozenset({b"100644", b"100755", b"120000", b"160000", b"40000"})
_ENTRY = re.compile(rb"([^ \0]*) ([^\0]*)\0(.{20})", re.DOTALL)
# So many bytes of requests fit into a pipe, whatever git does meanwhile: writing them never blocks.
_PIPE_BYTES = 4096


Level = dict[bytes, tuple[bytes, bytes]]
"""One folder as git stores it: mode and id of each entry by its name, in git's order."""

_Answer = tuple[re.Match[bytes] | None, bytes | None]
"""Id, kind and size of an object, nothing where there is none, and its content if that was wanted."""


class Objects(Git):
    """Reads objects through one process that stays.

    Threads may share it: a lock keeps question and answer together.
    """

    _lock: Lock
    _reader: tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]] | None = None
    _trees: dict[str, Level]
    _ahead_bytes: int = 0

    @cached_property
    def _commits(self) -> dict[str, Commit]:
        return {}

    @cached_property
    def _lines(self) -> Lines:
        return Lines()

    @cached_property
    def _ahead(self) -> dict[str, bytes]:
        """The files that were read before they are asked for."""
        return {}

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
        known = self._commits.get(id_)
        return self.commits([id_])[0] if known is None else known

    def commits(self, ids: Iterable[CommitId]) -> list[Commit]:
        """Read many commits, in the order given."""
        wanted = list(ids)
        known = self._commits
        found = {id_: known[id_] for id_ in wanted if id_ in known}
        if missing := [id_ for id_ in dict.fromkeys(wanted) if id_ not in found]:
            for id_, data in zip(missing, self._read(missing, "commit"), strict=True):
                found[id_] = self._keep(id_, data)
        return [found[id_] for id_ in wanted]

    def _keep(self, id_: CommitId, data: bytes) -> Commit:
        """Keep a commit, which never changes, as it is mostly asked for again."""
        commit = _commit(id_, data)
        if len(data) <= SMALL:
            with self._lock:
                if len(self._commits) >= KEPT:
                    del self._commits[next(iter(self._commits))]
                self._commits[id_] = commit
        return commit

    def is_kept(self, id_: str) -> bool:
        """Say whether a commit was read before, and need not be asked for."""
        return id_ in self._commits

    def read_ahead(self, ids: Iterable[str]) -> None:
        """Read many commits and small files at once, for whoever asks for them next, one by one.

        What is not here, or is something else, is left out: that shows where it is asked for.
        """
        if self._ahead_bytes > AHEAD:
            self._ahead.clear()
            self._ahead_bytes = 0
        wanted = [id_ for id_ in dict.fromkeys(ids) if id_ not in self._commits and id_ not in self._ahead]
        answers = self._ask([f"contents {full_id(id_)}" for id_ in wanted], most=SMALL)
        for id_, (found, data) in zip(wanted, answers, strict=True):
            if found is None or data is None:
                continue
            if found[2] == b"blob":
                self._ahead[id_] = data
                self._ahead_bytes += len(data)
            elif found[2] == b"commit":
                self._keep(CommitId(id_), data)

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
        found = {id_: self._ahead[id_] for id_ in wanted if id_ in self._ahead}
        missing = [id_ for id_ in wanted if id_ not in found]
        if not missing and limit >= SMALL:  # nothing larger is read ahead
            return found
        described = [("blob", len(data)) for data in found.values()] + self._describe(missing)
        for id_, (kind, size) in zip([*found, *missing], described, strict=True):
            path = paths.get(id_)
            if kind != "blob":
                raise BadObject(f"{id_} is a {kind}, not a file")
            if size > limit:
                what = f"the file {id_:.7}" if path is None else repr(plain(path))
                raise TooLarge(what, size, limit, path=path)
        found.update(zip(missing, self._read(missing, "blob"), strict=True))
        return found

    def exists(self, id_: str) -> bool:
        """Say whether an object is here."""
        if id_ in self._commits:
            return True
        return next(self._ask([f"info {full_id(id_)}"]))[0] is not None

    def resolve(self, text: str) -> CommitId | None:
        """Find the commit that somebody typed a name of; `None` when there is none, or more than one.

        The text goes to git's standard input, never among its arguments (pitfall P16).
        """
        if not text or text.startswith("-") or UNTYPABLE.search(text) or has_surrogates(text):
            return None
        found = next(self._ask([f"info {text}^{{commit}}"]))[0]
        return CommitId(found[1].decode()) if found and found[2] == b"commit" else None

    def tree_of(self, treeish: str) -> TreeId:
        """Give the tree of a commit; a tree is its own."""
        if treeish in self._commits:
            return self._commits[treeish].tree
        if treeish in self._trees or treeish in self._lines:
            return TreeId(treeish)
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
        """Say what a tree holds at many paths; what it does not hold is left out, and folders without any file are."""
        root = self.tree_of(treeish)
        told = {path: self._lines.tell(root, path) for path in paths}
        ways = [(tree, path) for path, (tree, _) in told.items() if tree is not None]
        if ways:
            self._open_folders(ways)
        found = {path: entry for path, (_, entry) in told.items()}
        found.update((path, self._walk(tree, path)) for tree, path in ways)
        return {
            path: entry
            for path, entry in found.items()
            if entry is not None and not (entry.kind is EntryKind.TREE and self.is_void(entry.id))
        }

    def is_void(self, tree: str) -> bool:
        """Say whether no file lies anywhere in a tree. git itself writes none, and no difference tells of one."""
        open_, seen = [tree], {tree}
        while open_:
            for mode, id_ in self._tree(open_.pop()).values():
                if not _is_folder((mode, id_)):
                    return False
                if id_.hex() not in seen:
                    seen.add(id_.hex())
                    open_.append(id_.hex())
        return True

    def list_tree(self, treeish: str, prefix: str = "", *, recursive: bool = False) -> list[Entry]:
        """List what a tree holds below a folder: its entries or, if recursive, all that are not folders.

        A folder that is not there is empty.
        """
        tree = self.tree_of(treeish)
        if prefix and not recursive:
            return self._list_folder(tree, prefix, lambda path: True)  # noqa: ARG005
        if not recursive:
            return self._read_folder(tree, "")
        if prefix:
            folder = self.tree_entry(tree, prefix)
            if folder is None or folder.mode != "040000":
                return []
            tree = TreeId(folder.id)
        before = f"{prefix}/" if prefix else ""
        out = self.run("ls-tree", "-r", "-z", "--full-tree", tree).out
        return [_listed(record, before) for record in out.split(b"\0")[:-1]]

    def list_alike(self, treeish: str, path: str) -> list[Entry]:
        """List what a tree holds in the folder of a path under names that fold to the same; itself among it."""
        mine = fold(path)
        return self._list_folder(
            self.tree_of(treeish), path.rpartition("/")[0], lambda other: fold(other) == mine
        )

    def _list_folder(self, tree: str, path: str, among: Callable[[str], bool]) -> list[Entry]:
        older, told = self._lines.tell_below(tree, path, among)
        there = {entry.path: entry for entry in self._read_folder(older, path, among)} | told
        return [entry for entry in there.values() if entry is not None]

    def _read_folder(
        self,
        tree: str,
        path: str,
        among: Callable[[str], bool] = lambda path: True,  # noqa: ARG005
    ) -> list[Entry]:
        """List what a folder of a tree holds, read from there."""
        before = ""
        if path:
            self._open_folders([(tree, f"{path}/")])
            folder = self._walk(tree, path)
            if folder is None or folder.mode != "040000":
                return []
            tree, before = folder.id, f"{path}/"
        return [
            Entry(path=named, mode=_mode(mode), id=id_.hex())
            for name, (mode, id_) in self._tree(tree).items()
            if among(named := before + name.decode(errors="surrogateescape"))
        ]

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

    def walk_ahead(self, ways: Iterable[tuple[str, str]]) -> None:
        """Read the folders on the way to many paths of commits or trees, for whoever asks for those next."""
        told = ((self._lines.tell(self.tree_of(treeish), path)[0], path) for treeish, path in ways)
        self._open_folders((tree, path) for tree, path in told if tree is not None)

    def _open_folders(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Read the folders on the way to paths of trees, those of one depth at once, unless they are known."""
        ways = {(root, tuple(path.split("/")[:-1])) for root, path in wanted}
        while ways:
            opened: dict[str, Level] = {}
            if missing := [id_ for id_ in dict.fromkeys(id_ for id_, _ in ways) if id_ not in self._trees]:
                levels = dict(zip(missing, self._read(missing, "tree"), strict=True))
                opened = {id_: self._kept_level(id_, data) for id_, data in levels.items()}
            below = set()
            for id_, (name, *rest) in ((id_, way) for id_, way in ways if way):
                step = (opened.get(id_) or self._tree(id_)).get(_stored(name))
                if step is not None and _is_folder(step):
                    below.add((step[1].hex(), tuple(rest)))
            ways = below

    def _walk(self, tree: str, path: str) -> Entry | None:
        *folders, name = path.split("/")
        for folder in folders:
            step = self._tree(tree).get(_stored(folder))
            if step is None or not _is_folder(step):
                return None
            tree = step[1].hex()
        found = self._tree(tree).get(_stored(name))
        return None if found is None else Entry(path=path, mode=_mode(found[0]), id=found[1].hex())

    def _tree(self, id_: str) -> Level:
        """Read one level of a tree."""
        known = self._trees.get(id_)
        return self._kept_level(id_, self._read([id_], "tree")[0]) if known is None else known

    def _kept_level(self, id_: str, data: bytes) -> Level:
        if len(self._trees) >= TREES_KEPT:
            self._trees.clear()
        level = self._trees[id_] = _level(id_, data)
        return level

    def _describe(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """Say of each object what kind it is and how large."""
        described = []
        for id_, (found, _) in zip(ids, self._ask([f"info {full_id(id_)}" for id_ in ids]), strict=True):
            if found is None:
                raise BadObject(f"object {id_} is missing or damaged", hint="git fsck says more")
            described.append((found[2].decode(), int(found[3])))
        return described

    def _read(self, ids: Sequence[str], kind: str) -> list[bytes]:
        """Read objects of one kind, whole."""
        read = []
        for id_, (found, data) in zip(
            ids, self._ask([f"contents {full_id(id_)}" for id_ in ids]), strict=True
        ):
            if found is None:
                raise BadObject(f"object {id_} is missing or damaged", hint="git fsck says more")
            if found[2].decode() != kind:
                raise BadObject(f"{id_} is a {found[2].decode()}, not a {kind}")
            read.append(data or b"")
        return read

    def _ask(self, requests: Sequence[str], *, most: int | None = None) -> Iterator[_Answer]:
        """Put requests to the process that stays, and give what it answers each; larger contents than `most` pass by.

        They are sent in portions that a pipe holds, so that neither side ever waits for the other.
        """
        if not requests:
            return iter(())
        answers: list[_Answer] = []
        with self._lock:
            try:
                for portion in _portions(requests):
                    answers += self._exchange(portion, most)
            except BaseException:
                # What is left in the pipe would answer the next question.
                self._stop()
                raise
        return iter(answers)

    def _exchange(self, portion: Sequence[bytes], most: int | None) -> Iterator[_Answer]:
        if self._reader is None:
            # With a buffer it writes when it is told to, not twice for each object.
            self._reader = self.start("cat-file", "--batch-command", "--buffer", "-z")
        _, questions, answers = self._reader
        try:
            questions.write(b"".join(portion) + b"flush\0")
            questions.flush()
        except OSError as problem:
            raise GitFailed("git stopped reading objects", hint="git fsck says more") from problem
        for request in portion:
            header = answers.readline()
            if not header.endswith(b"\n"):
                raise GitFailed("git stopped reading objects", hint="git fsck says more")
            found = _FOUND.fullmatch(header[:-1])
            data = None
            if found is not None and request.startswith(b"contents "):
                size = int(found[3])
                if most is None or size <= most:
                    data = answers.read(size)
                else:
                    _pass_by(answers, size)
                if answers.read(1) != b"\n":
                    raise GitFailed("git stopped in the middle of an object", hint="git fsck says more")
            yield found, data


def _pass_by(answers: IO[bytes], size: int) -> None:
    """Read on behind something, piece by piece, and keep none of it."""
    while size > 0 and (piece := answers.read(min(size, SMALL))):
        size -= len(piece)


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


def _level(tree: str, data: bytes) -> Level:
    """Read the entries of a tree with whatever names it has."""
    found = _ENTRY.findall(data)
    if sum(map(len, chain.from_iterable(found))) + 2 * len(found) != len(data):
        raise BadObject(f"tree {tree} is malformed", hint="git fsck says more")
    return {name: (mode if mode in _MODES else _canonical(mode), id_) for mode, name, id_ in found}


def _canonical(mode: bytes) -> bytes:
    """Say what git takes an unusual mode for, as old trees have it or somebody wrote it by hand: it shows no other."""
    if not _OCTAL.fullmatch(mode):
        return mode
    bits = int(mode, 8)
    match bits & 0o170000:
        case 0o100000:
            return b"100755" if bits & 0o100 else b"100644"
        case 0o120000:
            return b"120000"
        case 0o040000:
            return b"40000"
    return b"160000"


def _mode(stored: bytes) -> str:
    return stored.decode("ascii", "replace").zfill(6)


def _is_folder(step: tuple[bytes, bytes]) -> bool:
    return _mode(step[0]) == "040000"


def _stored(name: str) -> bytes:
    """Write a name as trees have it; what no tree can hold becomes a name that none holds."""
    try:
        return name.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return b"\0"


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
    if (found := _COMMIT.match(data)) is None:
        return _unusual_commit(id_, data)
    claims = found["author"], found["committer"]
    author, authored_at = _claim(claims[0])
    # Mostly one person did both, at once.
    committer, committed_at = (author, authored_at) if claims[0] == claims[1] else _claim(claims[1])
    return Commit(
        id=id_,
        tree=TreeId(found["tree"].decode()),
        parents=tuple(CommitId(parent) for parent in found["parents"].decode().split()[1::2]),
        author=author,
        authored_at=authored_at,
        committer=committer,
        committed_at=committed_at,
        message=data[found.end() :].decode(errors="replace"),
        is_signed=False,
    )


def _unusual_commit(id_: CommitId, data: bytes) -> Commit:
    """Read a commit with more headers, such as a signature, or with less."""
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


@lru_cache(maxsize=256)
def _who(name: bytes, email: bytes) -> Identity:
    """Name a person; few people make all there is."""
    return Identity(name=name.decode(errors="replace"), email=email.decode(errors="replace"))


def _claim(line: bytes) -> tuple[Identity, datetime]:
    """Read who made something, and when. A line that could be read in two ways is nobody's address."""
    found = _CLAIM.fullmatch(line)
    if found is None:
        return Identity(name=line.decode(errors="replace"), email=""), datetime.fromtimestamp(0, UTC)
    who = _who(found["name"], found["email"])
    try:
        return who, datetime.fromtimestamp(int(found["at"]), UTC)
    except (OverflowError, ValueError, OSError):  # a year that no calendar of ours has
        return who, datetime.fromtimestamp(0, UTC)
