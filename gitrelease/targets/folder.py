"""A folder that others read at any moment: a file in it is there whole or not at all, and no link is followed.

`Folder` lists, reads, replaces and removes; everything is opened step by step from the folder itself, so that
nobody who plants a link in it leads us out of it. `DigestCache` spares reading what did not change.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from gitrelease.core.plan import Digest
from gitrelease.core.values import frozen
from gitrelease.notes import write_note

LIMIT = 64 * 1024 * 1024
"""How many bytes a file may have; nothing of ours comes near, and what somebody else puts there is not our memory's."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# A named pipe in the place of a file must not make us wait for whoever writes to it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

_TEMPORARY = re.compile(r"\.gitrelease-[0-9a-f]{16}\.tmp")
_NOT_A_FOLDER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_NO_LOCKS_HERE = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP})
_TRIES = 5

SURE_AFTER = timedelta(seconds=5)
"""How long a file has to stand still before its times are believed; the coarsest clock of a disk has 2 seconds."""


class Busy(Exception):
    """Somebody else has the lock."""


class Stamp(NamedTuple):
    """What other content of a file cannot leave as it was, but for two writings within one tick of the disk's clock."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int
    """When anything about the file was last changed; unlike `modified`, nobody can set it."""


@frozen
class Entry:
    """One name in a folder; what a link points to is not looked at."""

    name: str
    is_file: bool
    is_folder: bool
    stamp: Stamp

    @property
    def is_leftover(self) -> bool:
        """Whether it is what a writer makes on the way, who may be at work or dead."""
        return self.is_file and _TEMPORARY.fullmatch(self.name) is not None


class Folder:
    """An open folder. Paths inside are given as the folders on the way and a name."""

    def __init__(self, root: int) -> None:
        self._root = root

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock on a file at the top, unless the disk has no locks; raise `Busy` if somebody else does."""
        # Where locks cross a network, only a file that is open for writing can be locked.
        file = os.open(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=self._root)
        try:
            try:
                # Never waiting: who was given up on must not wake up and write over whoever came after.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as held:
                raise Busy from held
            except OSError as problem:
                if problem.errno not in _NO_LOCKS_HERE:
                    raise
            yield
        finally:
            os.close(file)

    def entries(self, *folders: str, names: Container[str] | None = None) -> list[Entry]:
        """List a folder, or some names of it; nothing where there is none, or something else in its place.

        A name is there as it is written, also on a disk that takes upper and lower case for the same.
        """
        try:
            with self._below(folders) as here, os.scandir(here) as found:
                asked = [one for one in found if names is None or one.name in names]
                return [entry for one in asked if (entry := _entry(one)) is not None]
        except OSError as problem:
            if problem.errno in _NOT_A_FOLDER:
                return []
            raise

    def exists(self, folders: Sequence[str], name: str) -> bool:
        """Say whether the disk finds anything under a name, as it compares names."""
        try:
            with self._below(folders) as here:
                os.stat(name, dir_fd=here, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def read(self, folders: Sequence[str], name: str) -> tuple[bytes, Stamp]:
        """Read a plain file that stood still meanwhile."""
        for _ in range(_TRIES):
            with self._below(folders) as here:
                file = os.open(name, _READ, dir_fd=here)
            with os.fdopen(file, "rb") as stream:
                before = os.fstat(file)
                if not stat.S_ISREG(before.st_mode):
                    raise OSError(errno.EINVAL, "it is no plain file")
                if before.st_size > LIMIT:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
                data = stream.read(LIMIT + 1)
                after = os.fstat(file)
            if _stamp(before) == _stamp(after) and len(data) == after.st_size:
                return data, _stamp(after)
        raise OSError(errno.EBUSY, "somebody is writing to it")

    def write(self, folders: Sequence[str], name: str, data: bytes) -> None:
        """Put a file in its place by one rename, when it is whole and on the disk."""
        if len(data) > LIMIT:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        with self._below(folders, make=True) as here:
            # In the same folder, so that it gets the same owner, rights and labels as its neighbours.
            temporary = f".gitrelease-{secrets.token_hex(8)}.tmp"
            file = os.open(temporary, _NEW, 0o666, dir_fd=here)
            try:
                with os.fdopen(file, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(file)
                os.replace(temporary, name, src_dir_fd=here, dst_dir_fd=here)
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=here)
                raise
            _keep(here)

    def remove(self, folders: Sequence[str], name: str) -> None:
        """Remove a file; one that is not there is removed."""
        with self._below(folders) as here:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=here)
            _keep(here)

    @contextmanager
    def _below(self, folders: Sequence[str], *, make: bool = False) -> Iterator[int]:
        # Opened anew, because whoever lists a folder moves its position.
        here = os.open(".", _FOLDER, dir_fd=self._root)
        try:
            for folder in folders:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(folder, dir_fd=here)
                        _keep(here)
                below = os.open(folder, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)


@contextmanager
def opened(path: Path) -> Iterator[Folder]:
    """Open a folder; the path itself may be a link, which is the business of whoever wrote it down."""
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Folder(root)
    finally:
        os.close(root)


def _entry(one: os.DirEntry[str]) -> Entry | None:
    try:
        found = one.stat(follow_symlinks=False)
    except FileNotFoundError:  # gone since it was listed
        return None
    return Entry(
        name=one.name,
        is_file=stat.S_ISREG(found.st_mode),
        is_folder=stat.S_ISDIR(found.st_mode),
        stamp=_stamp(found),
    )


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _keep(folder: int) -> None:
    """Have the names in a folder outlive a power cut, where the disk can promise that."""
    try:
        os.fsync(folder)
    except OSError as problem:
        if problem.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise


@frozen
class _Known:
    """What a file was when it was last read."""

    stamp: Stamp
    digest: Digest
    since: int
    """When it was first seen with this stamp, in microseconds."""
    is_sure: bool
    """Whether it was read long enough after that for later writing to show in the stamp."""


class DigestCache:
    """The digests of files that were read before, kept in a file between runs.

    A file is believed to be unchanged when its stamp is: device, inode, size and both times. Two writings
    within one tick of the disk's clock leave the same stamp, so a digest counts only if the file was read
    again `SURE_AFTER` it was first seen like this. Both moments are told by one clock, so that it does not
    matter whether the clock of a file server is wrong. What the memory's own file says is never trusted to be
    well-formed; without it everything is read.
    """

    def __init__(self, file: Path, *, now: Callable[[], datetime]) -> None:
        self._file = file
        self._now = now
        self._known: dict[str, _Known] | None = None
        self._is_new = False

    def digest(
        self, path: str, stamp: Stamp, read: Callable[[], tuple[Digest | None, Stamp | None]]
    ) -> Digest | None:
        """Give the digest of a file, which is read unless it is sure that nothing changed.

        Args:
            path: what the file is remembered under.
            stamp: as it was just seen.
            read: reads it; gives no digest if it is gone, and no stamp if nothing is to be remembered of it.
        """
        known = self._all().get(path)
        if known is not None and known.stamp == stamp and known.is_sure:
            return known.digest
        begun = self._microseconds()
        digest, seen = read()
        if digest is None or seen is None:
            self._is_new |= self._all().pop(path, None) is not None
            return digest
        since, is_sure = self._microseconds(), False
        if known is not None and known.stamp == seen and known.since <= begun:
            since = known.since
            is_sure = begun - since >= SURE_AFTER / timedelta(microseconds=1)
        made = _Known(stamp=seen, digest=digest, since=since, is_sure=is_sure)
        self._is_new |= made != known
        self._all()[path] = made
        return digest

    def forget_others(self, paths: Mapping[str, object]) -> None:
        """Forget all files but these."""
        gone = self._all().keys() - paths.keys()
        for path in gone:
            del self._all()[path]
        self._is_new |= bool(gone)

    def save(self) -> None:
        """Write down what is known, if it is new; where that cannot be, the next run reads more."""
        if not self._is_new:
            return
        files = {
            path: [*known.stamp, known.digest, known.since, known.is_sure]
            for path, known in sorted(self._all().items())
        }
        write_note(self._file, json.dumps({"format": 1, "files": files}).encode())
        self._is_new = False

    def _microseconds(self) -> int:
        return int(self._now().timestamp() * 1_000_000)

    def _all(self) -> dict[str, _Known]:
        if self._known is None:
            self._known = _remembered(self._file)
        return self._known


def _remembered(file: Path) -> dict[str, _Known]:
    try:
        value = json.loads(file.read_bytes())
        if not isinstance(value, dict) or value.get("format") != 1 or not isinstance(value["files"], dict):
            return {}
        known = {path: _known(row) for path, row in value["files"].items()}
    except (OSError, ValueError, KeyError, RecursionError):
        return {}
    return {path: one for path, one in known.items() if one is not None}


def _known(row: object) -> _Known | None:
    if not isinstance(row, list) or [type(one) for one in row] != [int] * 5 + [str, int, bool]:
        return None
    if re.fullmatch("[0-9a-f]{64}", row[5]) is None:
        return None
    return _Known(stamp=Stamp(*row[:5]), digest=Digest(row[5]), since=row[6], is_sure=row[7])
