"""New objects: files, the trees that hold them, tags. Nothing of HEAD, the index or a ref is touched."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha1

from gitrelease.core.names import BlobId, CommitId, RefName, TagId, TreeId
from gitrelease.repo.history import History
from gitrelease.repo.library import check_names
from gitrelease.repo.objects import UNTYPABLE, Level, has_surrogates
from gitrelease.repo.values import (
    EMPTY_TREE,
    FILE,
    BadObject,
    Conflicts,
    Entry,
    EntryKind,
    GitFailed,
    Identity,
    PathRefused,
    full_id,
    plain,
)

_TREE_MODE = b"40000"
_FILE_MODE = FILE.encode()
# How git names what is wrong with an object: by a word of its own, and in a sentence.
_MALFORMED = re.compile(r"object [0-9a-f]{40}: [A-Za-z]+: (.+)")
_PACK_TYPES = {"tree": 2, "blob": 3, "tag": 4}


class Store(History):
    """Writes objects, many with one process."""

    def write_blob(self, data: bytes) -> BlobId:
        """Store the content of one file."""
        return self.write_blobs([data])[0]

    def write_blobs(self, datas: Sequence[bytes]) -> list[BlobId]:
        """Store the contents of many files with one process."""
        return [BlobId(id_) for id_ in self._store([("blob", data) for data in datas])]

    def write_tree(
        self, base: TreeId | None, edits: Mapping[str, BlobId | bytes | None], *, like: CommitId | None = None
    ) -> TreeId:
        """Store a tree that is `base` but for some plain files, and with one process all that it takes.

        Only the folders on the way to them are written, and folders that become empty disappear. A file
        never replaces a folder that still holds something, nor the other way about.

        Args:
            base: the tree to begin with; None begins with nothing.
            edits: contents by path, or blobs that are stored; `None` takes a file away if it is there.
            like: a commit that some ref keeps, and that may hold much of what comes out; that is not stored again.
        """
        for path in edits:
            check_path(path)
        files = [data for data in edits.values() if isinstance(data, bytes)]
        blobs = {path: _id_of("blob", one) if isinstance(one, bytes) else one for path, one in edits.items()}
        plan: _Folder = {}
        for path, blob in sorted(blobs.items()):
            *folders, name = path.split("/")
            level = plan
            for folder in folders:
                step = level.setdefault(folder, {})
                if not isinstance(step, dict):
                    # `a` goes while `a/b` comes; sorted, so the file was met first.
                    if step.blob is not None:
                        raise PathRefused(
                            f"{plain(path)!r} is to lie in a folder that is also written as a file"
                        )
                    step = level[folder] = {}
                level = step
            level[name] = _Leaf(None if blob is None else full_id(blob))
        removed = frozenset(path for path, blob in blobs.items() if blob is None)
        if base is not None:
            self._open_folders([(base, path) for path in edits])
        written: dict[str, Level] = {}
        top = self._edited(base, "", plan, removed, written)
        if top is None:
            written[EMPTY_TREE] = {}
        kept = set() if like is None else self._kept(like, written)
        trees = [("tree", _tree_text(level)) for id_, level in written.items() if id_ not in kept]
        self._store([*(("blob", data) for data in files), *trees])
        self._trees.update(written)
        return TreeId(top) if top is not None else EMPTY_TREE

    def _kept(self, commit: CommitId, written: Mapping[str, Level]) -> set[str]:
        """Say which of these folders a commit holds, at its top or below one that it holds."""
        kept: set[str] = set()
        open_ = [self._tree(self.tree_of(commit))]
        while open_:
            found = {id_.hex() for _, id_ in open_.pop().values()} & written.keys() - kept
            kept |= found
            open_ += [written[id_] for id_ in found]
        return kept

    def _edited(
        self,
        base: str | None,
        where: str,
        plan: _Folder,
        removed: frozenset[str],
        written: dict[str, Level],
    ) -> str | None:
        """Edit one folder and what is below; give its new id, or nothing when nothing is left in it.

        What the edits leave alone stays as it is, byte for byte and in its order; git checks all of it when it
        is stored.
        """
        old: Level = {} if base is None else self._tree(base)
        entries = dict(old)
        for text, step in plan.items():
            name, path = text.encode(), f"{where}{text}"
            had = entries.get(name)
            is_folder = had is not None and had[0] == _TREE_MODE
            if isinstance(step, _Leaf):
                if had is not None and is_folder and not self.is_void(had[1].hex()):
                    raise PathRefused(
                        f"{plain(path)!r} is a folder, and cannot be written or removed as a file"
                    )
                if step.blob is None:
                    entries.pop(name, None)
                else:
                    entries[name] = (_FILE_MODE, bytes.fromhex(step.blob))
                continue
            if had is not None and not is_folder and path not in removed:
                if not _writes(step):
                    continue
                raise PathRefused(f"{plain(path)!r} is not a folder, so nothing can lie below it")
            below = had[1].hex() if had is not None and is_folder else None
            new = self._edited(below, f"{path}/", step, removed, written)
            if new is None:
                entries.pop(name, None)
            else:
                entries[name] = (_TREE_MODE, bytes.fromhex(new))
        if not entries:
            return None
        if entries == old and base is not None:
            return base
        check_names(name for name in entries if name not in old)
        entries = _in_order(old, entries)
        id_ = _id_of("tree", _tree_text(entries))
        written[id_] = entries
        return id_

    def merge_trees(self, ours: CommitId, theirs: CommitId) -> TreeId | Conflicts:
        """Bring what one side changed into the other, file by file; or name the paths in conflict.

        Nothing is merged line by line, no rename is guessed and no attribute is asked: what was approved is
        the bytes of a file, and a mixture of two was approved by nobody.
        """
        base = self.merge_base(ours, theirs) or EMPTY_TREE
        our_side = {change.path: change.after for change in self.diff(base, ours)}
        their_side = {change.path: change.after for change in self.diff(base, theirs)}
        both = [path for path, entry in their_side.items() if path in our_side and our_side[path] != entry]
        if both:
            return Conflicts(paths=tuple(both))
        wanted = {path: entry for path, entry in their_side.items() if path not in our_side}
        if clashes := self._clashes(ours, wanted):
            return Conflicts(paths=clashes)
        edits = {path: None if entry is None else entry.blob for path, entry in wanted.items()}
        return self.write_tree(self.tree_of(ours), edits)

    def _clashes(self, ours: CommitId, wanted: Mapping[str, Entry | None]) -> tuple[str, ...]:
        """Say which files would lie where our side has a folder, or below what is a file there."""
        comes = [path for path, entry in wanted.items() if entry is not None]
        goes = wanted.keys() - set(comes)
        above = {
            path: ["/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)]
            for path in comes
        }
        held = self.entries(ours, {*comes, *(folder for folders in above.values() for folder in folders)})
        files = {path for path, entry in held.items() if entry.kind is not EntryKind.TREE} - goes
        folders = {path for path, entry in held.items() if entry.kind is EntryKind.TREE}
        return tuple(path for path in comes if path in folders or not files.isdisjoint(above[path]))

    def write_tag(
        self, name: RefName, target: CommitId, message: str, tagger: Identity, when: datetime
    ) -> TagId:
        """Store an annotated tag; `push` then makes the ref of it."""
        check_identity(tagger)
        short = name.removeprefix("refs/tags/")
        if UNTYPABLE.search(short) or "\0" in message:
            raise PathRefused(f"a tag cannot be called {plain(short)!r}")
        head = f"object {full_id(target)}\ntype commit\ntag {short}\n"
        who = f"tagger {tagger.name} <{tagger.email}> {int(when.timestamp())} +0000\n\n"
        data = (head + who + message.rstrip("\n") + "\n").encode()
        return TagId(self.run("mktag", stdin=data).out.decode().strip())

    def _store(self, objects: Sequence[tuple[str, bytes]]) -> list[str]:
        """Hand objects to git as one pack, to check and store each of them the way git stores objects."""
        ids = [_id_of(kind, data) for kind, data in objects]
        made = dict(zip(ids, objects, strict=True))  # git refuses a pack with an object twice
        if not made:
            return ids
        # What is here already is handed over as well: to git it is used anew, and `git gc` keeps it a while longer.
        pack = bytearray(b"PACK" + (2).to_bytes(4, "big") + len(made).to_bytes(4, "big"))
        for kind, data in made.values():
            # git packs it anew; for a pipe it need not be made small.
            pack += _pack_header(_PACK_TYPES[kind], len(data)) + zlib.compress(data, 0)
        pack += sha1(pack, usedforsecurity=False).digest()
        # Strict: also refuses a tree that names what is not here.
        try:
            self.run("unpack-objects", "-q", "--strict", stdin=bytes(pack))
        except GitFailed as problem:
            if wrong := _MALFORMED.search(problem.message):
                raise BadObject(
                    f"a folder of the branch that this builds on is not as git writes one: it {wrong[1]}",
                    hint="somebody made it by hand and pushed it; push the branch as it was before, with git, and run"
                    " this again",
                ) from problem
            raise
        return ids


class _Leaf:
    """A file to write (its blob) or to remove (nothing)."""

    def __init__(self, blob: str | None) -> None:
        self.blob = blob


_Folder = dict[str, "_Leaf | _Folder"]


def _writes(folder: _Folder) -> bool:
    """Say whether a folder's edits write any file; removing what cannot be there is no conflict."""
    return any(_writes(step) if isinstance(step, dict) else step.blob is not None for step in folder.values())


def _tree_text(level: Level) -> bytes:
    return b"".join([b"%b %b\0%b" % (mode, name, id_) for name, (mode, id_) in level.items()])


def _in_order(old: Level, entries: Level) -> Level:
    """Put entries into git's order, unless they are in it because nothing moved."""

    def place(name: bytes) -> bytes:
        # git compares the name of a folder as if it ended in a slash.
        return name + b"/" if entries[name][0] == _TREE_MODE else name

    if all(
        name in old and (old[name][0] == _TREE_MODE) == (entries[name][0] == _TREE_MODE) for name in entries
    ):
        return entries
    return {name: entries[name] for name in sorted(entries, key=place)}


def check_path(path: str) -> None:
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts) or UNTYPABLE.search(path) or has_surrogates(path):
        raise PathRefused(f"{plain(ascii(path))} is not a path that gitrelease writes")
    # Folders become trees here, and GitPython refuses what could pose as `.git` when it writes them; this
    # catches those that are only removed.
    if any(part.casefold() == ".git" for part in parts):
        raise PathRefused(f"{plain(path)!r} lies in git's own folder")


def check_identity(who: Identity) -> None:
    """Refuse a name or address that git would change or that would change the commit around it."""
    for text in (who.name, who.email):
        if not text.strip() or re.search(r"[<>\x00-\x1f\x7f]", text) or has_surrogates(text):
            raise GitFailed(
                f"{plain(ascii(text))} cannot stand in a commit as a name or e-mail address",
                hint="set user.name and user.email with git config",
            )


def _id_of(kind: str, data: bytes) -> str:
    return sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def _pack_header(kind: int, size: int) -> bytes:
    """Write type and size of an object as a pack has them: 4 bits of the size, then 7 at a time."""
    byte, size = (kind << 4) | (size & 15), size >> 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    header.append(byte)
    return bytes(header)
