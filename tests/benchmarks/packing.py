"""Git objects made in memory and written as one pack: a hundred thousand commits in minutes, not in hours.

Starting git for every commit would take a thousand times as long as what git then does. What an object holds
is the program's own; only the bytes around it, which git defines, are written here.
"""

from __future__ import annotations

import subprocess
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import BinaryIO

_TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
_DELTA = 6
_DEEPEST = 24
"""How many differences are laid on top of each other; git itself goes to 50."""

Leaf = bytes | None
Edits = dict[str, "Leaf | Edits"]
"""What to write into a folder: an object id, nothing (the file goes), or what to write into a folder below."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A tree as it is, with the trees below it; editing one makes another."""

    id: bytes
    data: bytes
    below: Mapping[str, Folder]


EMPTY = Folder(id=sha1(b"tree 0\0", usedforsecurity=False).digest(), data=b"", below={})


@dataclass
class Pack:
    """A pack that is being written into a bare repository."""

    repository: Path
    count: int = 0
    _known: set[bytes] = field(default_factory=set)
    _trees: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    """Where each tree lies in the pack, and how many differences it is away from a whole one."""

    def __post_init__(self) -> None:
        self._path = self.repository / "objects" / "pack" / "tmp_pack_growing"
        self._file: BinaryIO = self._path.open("wb")
        self._file.write(b"PACK" + (2).to_bytes(4, "big") + bytes(4))

    def add(self, kind: str, data: bytes) -> bytes:
        """Write an object, and give its id."""
        id_ = sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).digest()
        if id_ not in self._known:
            self._known.add(id_)
            if kind == "tree":
                self._trees[id_] = (self._file.tell(), 0)
            self._write(_TYPES[kind], len(data), b"", data)
        return id_

    def blob(self, data: bytes) -> bytes:
        """Write a file."""
        return self.add("blob", data)

    def tree(self, edits: Edits, base: Folder = EMPTY) -> Folder:
        """Write the folder that some edits make of another."""
        data, below = base.data, dict(base.below)
        fresh: dict[str, tuple[bytes, bytes]] = {}
        for name, edit in edits.items():
            if isinstance(edit, dict):
                inner = self.tree(edit, below.get(name, EMPTY))
                below.pop(name, None)
                if inner.data:
                    below[name] = inner
                mode, id_ = b"40000", inner.id if inner.data else None
            else:
                mode, id_ = b"100644", edit
            header = b"%s %s\0" % (mode, name.encode())
            at = _find(data, header)
            if at < 0 and id_ is not None:
                fresh[name] = (header, id_)
            elif at >= 0 and id_ is not None:
                at += len(header)
                data = data[:at] + id_ + data[at + 20 :]
            elif at >= 0:
                data = data[:at] + data[at + len(header) + 20 :]
        if fresh:
            data = _inserted(data, fresh)
        return Folder(id=self._tree(data, base), data=data, below=below)

    def _tree(self, data: bytes, base: Folder) -> bytes:
        id_ = sha1(b"tree %d\0" % len(data) + data, usedforsecurity=False).digest()
        if id_ in self._known:
            return id_
        at, depth = self._trees.get(base.id, (0, _DEEPEST))
        if depth >= _DEEPEST or len(data) < 256:
            return self.add("tree", data)
        self._known.add(id_)
        here = self._file.tell()
        self._trees[id_] = (here, depth + 1)
        delta = _delta(base.data, data)
        self._write(_DELTA, len(delta), _offset(here - at), delta)
        return id_

    def _write(self, kind: int, size: int, between: bytes, data: bytes) -> None:
        byte, rest = (kind << 4) | (size & 15), size >> 4
        head = bytearray()
        while rest:
            head.append(byte | 0x80)
            byte, rest = rest & 0x7F, rest >> 7
        head.append(byte)
        self._file.write(bytes(head) + between + zlib.compress(data, 1))
        self.count += 1

    def finish(self) -> None:
        """Close the pack, and let git check and index it."""
        self._file.close()
        with self._path.open("r+b") as file:
            file.seek(8)
            file.write(self.count.to_bytes(4, "big"))
            file.seek(0)
            digest = sha1(usedforsecurity=False)
            while portion := file.read(1 << 20):
                digest.update(portion)
            file.write(digest.digest())
        named = self._path.with_name(f"pack-{digest.hexdigest()}.pack")
        self._path.rename(named)
        subprocess.run(
            ["git", "index-pack", "-o", str(named.with_suffix(".idx")), str(named)],
            check=True,
            capture_output=True,
            cwd=self.repository,
        )


def folder_edits(files: Mapping[str, Leaf]) -> Edits:
    """Say folder by folder what some paths are to hold."""
    edits: Edits = {}
    for path, leaf in files.items():
        *folders, name = path.split("/")
        level = edits
        for folder in folders:
            step = level.setdefault(folder, {})
            assert isinstance(step, dict)
            level = step
        level[name] = leaf
    return edits


def commit_text(
    *, tree: bytes, parents: Sequence[bytes], who: str, at: int, message: str, signature: str = ""
) -> bytes:
    """Write a commit as git does; `who` made it and committed it."""
    lines = [f"tree {tree.hex()}", *(f"parent {parent.hex()}" for parent in dict.fromkeys(parents))]
    lines += [f"author {who} {at} +0000", f"committer {who} {at} +0000"]
    if signature:
        lines.append("gpgsig " + signature.strip().replace("\n", "\n "))
    return ("\n".join(lines) + "\n\n" + message).encode()


def _find(data: bytes, header: bytes) -> int:
    """Find where the entry with this mode and name begins: at the start, or after another one's id."""
    at = data.find(header)
    while at > 0 and not _begins(data, at):
        at = data.find(header, at + 1)
    return at


def _begins(data: bytes, at: int) -> bool:
    """Say whether an entry begins here; what looks like one can also be chance in somebody's id or name."""
    return at >= 21 and data[at - 21] == 0


def _entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        end = data.index(b"\0", at) + 21
        header = data[at : end - 20]
        name = header[header.index(b" ") + 1 : -1]
        # git sorts a folder as if its name ended in a slash.
        yield (name + b"/" if header.startswith(b"4") else name), data[at:end]
        at = end


def _inserted(data: bytes, fresh: Mapping[str, tuple[bytes, bytes]]) -> bytes:
    old = list(_entries(data))
    keys = [key for key, _ in old]
    new = sorted(
        (name.encode() + (b"/" if header.startswith(b"4") else b""), header + id_)
        for name, (header, id_) in fresh.items()
    )
    if not old:
        return b"".join(entry for _, entry in new)
    parts: list[bytes] = []
    done = 0
    for key, entry in new:
        upto = bisect_left(keys, key)
        parts += [entry for _, entry in old[done:upto]]
        parts.append(entry)
        done = upto
    parts += [entry for _, entry in old[done:]]
    return b"".join(parts)


def _delta(base: bytes, data: bytes) -> bytes:
    """Say how a tree is made of another: what both begin with, what is new, what both end in."""
    same = _common(base, data)
    rest = min(len(base), len(data)) - same
    tail = _common(base[: -rest - 1 : -1], data[: -rest - 1 : -1]) if rest else 0
    delta = bytearray(_size(len(base)) + _size(len(data)))
    _copy(delta, 0, same)
    new = data[same : len(data) - tail]
    for at in range(0, len(new), 127):
        part = new[at : at + 127]
        delta.append(len(part))
        delta += part
    _copy(delta, len(base) - tail, tail)
    return bytes(delta)


def _common(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _copy(delta: bytearray, at: int, size: int) -> None:
    while size:
        part = min(size, 0xFFFF)
        delta.append(0x80 | 0x0F | 0x30)
        delta += at.to_bytes(4, "little") + part.to_bytes(2, "little")
        at, size = at + part, size - part


def _size(size: int) -> bytes:
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _offset(distance: int) -> bytes:
    out = [distance & 0x7F]
    distance >>= 7
    while distance:
        distance -= 1
        out.append(distance & 0x7F | 0x80)
        distance >>= 7
    return bytes(reversed(out))
