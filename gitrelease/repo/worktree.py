"""The user's own files: which of them differ, read and written without following links, and `pull`."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

from gitrelease.core.names import BlobId, CommitId, RefName
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError, NotFound
from gitrelease.repo.bulk import Bulk
from gitrelease.repo.objects import BLOB_LIMIT
from gitrelease.repo.run import Config
from gitrelease.repo.store import check_path
from gitrelease.repo.values import FILE, NotARepository, PathRefused, TooLarge, full_id, plain

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
# A named pipe in the place of a file must not make us wait for whoever writes to it.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


FEW = 64
"""So many files are named to git one by one; to look for more, it looks everywhere."""


class InTheWay(GitReleaseError):
    """The checked-out branch cannot move forward without touching somebody's changes. Nothing was touched."""

    code = "in-the-way"


@frozen
class Lying:
    """What lies below some folders of the working tree, whether git keeps it or not."""

    files: Mapping[str, frozenset[str]]
    """By folder the names of its files, and of symbolic links, which are not followed."""
    no_files: tuple[str, ...]
    """What else there is, which git never names: folders, pipes, sockets and devices."""

    def files_called(self, name: str) -> list[str]:
        """List the files of one name."""
        return [f"{folder}/{name}" for folder, names in self.files.items() if name in names]

    @property
    def has_repositories(self) -> bool:
        """Whether there are repositories of their own among the folders; git does not look into those."""
        return any(".git" in names for names in self.files.values()) or any(
            path.endswith("/.git") for path in self.no_files
        )


class Worktree(Bulk):
    """The files that are checked out. Only submit, check, status, import, restore and pull come here."""

    @property
    def git_dir(self) -> Path:
        """The folder that git keeps this clone in."""
        if self._place is None:  # pragma: no cover - a Repo is made with one
            raise NotARepository("this repository has no place")
        return self._place.git_dir

    @property
    def worktree(self) -> Path | None:
        """The folder with the user's files; a bare repository has none."""
        return self._place.worktree if self._place is not None else None

    def head_branch(self) -> RefName | None:
        """Name the branch that is checked out, as this clone calls it; `None` when HEAD is a bare commit."""
        ran = self.run("symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
        return RefName(ran.out.decode(errors="surrogateescape").strip()) if ran.exit == 0 else None

    def changed_paths(self, commit: CommitId, prefixes: Sequence[str]) -> set[str]:
        """Name the files below some folders that may differ from a commit; whoever asks compares their bytes.

        No content is read here. What git is told to ignore is not named.
        """
        return self.kept_changes(commit, prefixes) | self.other_paths(prefixes)

    def kept_changes(self, commit: CommitId, prefixes: Sequence[str]) -> set[str]:
        """Name those among them that git keeps, or that the commit has."""
        self._files()
        if not prefixes:
            raise ValueError("no folder was named")
        raw = self.run(
            "diff-index", "--raw", "-z", "--no-renames", "--no-abbrev", "--ignore-submodules=all",
            "--no-ext-diff", "--no-textconv", "--end-of-options", full_id(commit), "--", *prefixes,
            in_worktree=True, settings=self._no_filters(),
        ).out  # fmt: skip
        # `:meta`, path, `:meta`, path …
        return {path.decode(errors="surrogateescape") for path in raw.split(b"\0")[1::2]}

    def other_paths(self, prefixes: Sequence[str]) -> set[str]:
        """Name those among them that git does not keep."""
        self._files()
        return self._others(prefixes)

    def ignored_paths(self, prefixes: Sequence[str]) -> set[str]:
        """Name the files below some folders that git is told to ignore, so that nobody else is shown them."""
        self._files()
        return self._others(prefixes, "--ignored")

    def _others(self, prefixes: Sequence[str], *options: str) -> set[str]:
        """Name the files that git does not keep; the user's own list of what to ignore counts as well."""
        if not prefixes:
            return set()
        out = self.run(
            "ls-files", "--others", *options, "--exclude-standard", "-z", "--", *prefixes,
            in_worktree=True, config=Config.USER, extra={"GIT_LITERAL_PATHSPECS": "1"},
        ).out  # fmt: skip
        return {path.decode(errors="surrogateescape") for path in out.split(b"\0") if path}

    def kept_paths(self) -> frozenset[str]:
        """Name all files that git keeps, whether they are there or not."""
        out = self.run("ls-files", "-z", in_worktree=True).out
        return frozenset(out.decode(errors="surrogateescape").split("\0"))

    def unkept(self, lying: Lying, kept: frozenset[str], prefixes: Sequence[str]) -> Sequence[str]:
        """Say where git has to look for files that it does not keep, ignored or not.

        Mostly there are none, or few; to find that out costs less than to have git look at every file twice.
        """
        if lying.has_repositories:
            return prefixes
        below = (f"{folder}/{name}" for folder, names in lying.files.items() for name in names)
        top = self._files()
        beside = (path for path in prefixes if path not in lying.files and os.path.lexists(top / path))
        found = [path for path in chain(below, beside) if path not in kept]
        return found if len(found) <= FEW else prefixes

    def lying(self, folders: Sequence[str]) -> Lying:
        """Look at what lies below some folders. A folder that is a link is not looked into."""
        top = self._files()
        waiting = [folder for folder in folders if not (top / folder).is_symlink()]
        files: dict[str, frozenset[str]] = {}
        others: list[str] = []
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(top / folder))
            except OSError:  # it is not there, or not ours to look into
                continue
            names = {one.name for one in entries if one.is_file(follow_symlinks=False) or one.is_symlink()}
            for entry in entries if len(names) < len(entries) else ():
                if entry.name not in names:
                    path = f"{folder}/{entry.name}"
                    others.append(path)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
            files[folder] = frozenset(names)
        return Lying(files=files, no_files=tuple(others))

    def read_working(self, path: str, *, limit: int = BLOB_LIMIT) -> bytes | None:
        """Read a working file; `None` when there is none. Links, here or on the way, are refused."""
        check_path(path)
        try:
            with (
                _parent(self._files(), path, make=False) as (folder, name),
                _opened(name, folder, path) as file,
            ):
                found = os.fstat(file)
                _check_plain(found, path)
                if found.st_size > limit:
                    raise TooLarge(repr(plain(path)), found.st_size, limit, path=path)
                with os.fdopen(os.dup(file), "rb") as stream:
                    data = stream.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise PathRefused(
                f"{plain(path)!r} cannot be read: {problem.strerror}",
                path=path,
                hint="replace symbolic links by the files they point to",
            ) from problem
        if len(data) > limit:
            raise TooLarge(repr(plain(path)), len(data), limit, path=path)
        return data

    def write_working(self, path: str, data: bytes) -> None:
        """Write a working file at once, or not at all; what may be done with it stays as it was."""
        check_path(path)
        try:
            with _parent(self._files(), path, make=True) as (folder, name):
                _replace(folder, name, data, path, self.git_dir)
        except OSError as problem:
            raise PathRefused(
                f"{plain(path)!r} cannot be written: {problem.strerror}",
                path=path,
                hint="mend that, and run the command again: what was done before is found done",
            ) from problem

    def remove_working(self, path: str) -> None:
        """Remove a working file if it is there."""
        check_path(path)
        try:
            with _parent(self._files(), path, make=False) as (folder, name):
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError as problem:
            raise PathRefused(
                f"{plain(path)!r} cannot be removed: {problem.strerror}",
                path=path,
                hint="mend that, and run the command again: what was done before is found done",
            ) from problem

    def take(self, main: CommitId, same: Mapping[str, BlobId]) -> None:
        """Move the checked-out branch and its files forward to a commit that contains it.

        `same` names files that already have the bytes this commit has; git is told so, and leaves them alone.

        Raises:
            InTheWay: other changes of the user would be touched, or the branch has commits of its own.
        """
        self._files()
        if self.head_branch() is None:
            raise InTheWay("no branch is checked out", hint="check out your branch with git switch")
        head = self.resolve("HEAD")
        if head is not None and not self.is_ancestor(head, main):
            raise InTheWay(
                f"the checked-out branch has commits that {main:.7} does not contain",
                hint="move them to a branch of their own, and switch back",
            )
        held = self._staged(list(same))
        self._stage({path: f"{FILE} {full_id(blob)} 0" for path, blob in same.items()})
        self.run(
            "update-index", "-q", "--refresh",
            in_worktree=True, config=Config.USER, settings=self._no_filters(), accept=range(256),
        )  # fmt: skip
        ran = self.run(
            "merge", "--ff-only", "--quiet", "--no-stat", "--no-autostash", "--no-overwrite-ignore",
            "--no-verify-signatures", full_id(main),
            in_worktree=True, config=Config.USER, settings=self._no_filters(), accept=range(256),
        )  # fmt: skip
        if ran.exit != 0:
            self._stage({path: held.get(path, f"0 {'0' * 40} 0") for path in same})
            raise InTheWay(
                f"your working files are in the way: {ran.err}",
                hint="git add and git stash these changes, pull, and git stash pop; or undo them",
            )

    def _staged(self, paths: Sequence[str]) -> dict[str, str]:
        """Say what the index holds for some paths, in the words that put it back."""
        if not paths:
            return {}
        wanted = set(paths)
        out = self.run("ls-files", "--stage", "-z", in_worktree=True).out
        records = (record.decode(errors="surrogateescape").split("\t", 1) for record in out.split(b"\0")[:-1])
        return {path: meta for meta, path in records if path in wanted}

    def _stage(self, entries: Mapping[str, str]) -> None:
        if entries:
            lines = "".join(f"{meta}\t{path}\0" for path, meta in entries.items())
            self.run(
                "update-index", "-z", "--index-info",
                stdin=lines.encode(), in_worktree=True, settings=self._no_filters(),
            )  # fmt: skip

    def _no_filters(self) -> list[str]:
        """Give the settings under which no filter that this clone brings along starts a program.

        Its configuration names the program, and a file of the repository, which anybody may have pushed, chooses
        it. Filters that users configured for all they do are theirs.
        """
        ran = self.run("config", "--local", "-z", "--name-only", "--get-regexp", r"^filter\.", accept=(0, 1))
        names = ran.out.decode(errors="surrogateescape").split("\0")
        drivers = {name.rpartition(".")[0] for name in names if name}
        blank = {"clean": "", "smudge": "", "process": "", "required": "false"}
        return [f"{driver}.{key}={value}" for driver in sorted(drivers) for key, value in blank.items()]

    def _files(self) -> Path:
        if self.worktree is None:
            raise NotFound(
                "this repository is bare: it has no working files", hint="run the command in a clone of it"
            )
        return self.worktree


def _check_plain(found: os.stat_result, path: str) -> None:
    """Refuse what is no plain file, and say what it is."""
    kind = stat.S_IFMT(found.st_mode)
    if kind != stat.S_IFREG:
        raise PathRefused(
            f"{plain(path)!r} is {_KINDS.get(kind, 'something else')}, not a plain file",
            path=path,
            hint="put the file itself in its place",
        )


@contextmanager
def _parent(top: Path, path: str, *, make: bool) -> Iterator[tuple[int, str]]:
    """Open the folder of a path, step by step from the top, so that no link on the way is followed."""
    *folders, name = path.split("/")
    here = os.open(top, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        for folder in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=here)
            below = os.open(folder, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
        yield here, name
    finally:
        os.close(here)


@contextmanager
def _opened(name: str, folder: int, path: str) -> Iterator[int]:
    # Asked before as well: opening a device may already do something.
    _check_plain(os.stat(name, dir_fd=folder, follow_symlinks=False), path)
    file = os.open(name, _READ, dir_fd=folder)
    try:
        yield file
    finally:
        os.close(file)


def _replace(folder: int, name: str, data: bytes, path: str, git_dir: Path) -> None:
    """Write a file beside the working tree and rename it into place.

    It is written in git's own folder: whoever is killed leaves nothing behind among people's files. Where that
    is another file system, it is written beside its place after all.
    """
    mode = None
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        _check_plain(found, path)
        mode = stat.S_IMODE(found.st_mode)
    temporary = f".gitrelease-{secrets.token_hex(8)}.tmp"
    outside = os.open(git_dir, _FOLDER)
    try:
        same = os.fstat(outside).st_dev == os.fstat(folder).st_dev
        _write_and_rename(outside if same else folder, temporary, folder, name, data, mode)
    finally:
        os.close(outside)


def _write_and_rename(
    scratch: int, temporary: str, folder: int, name: str, data: bytes, mode: int | None
) -> None:
    file = os.open(temporary, _WRITE, 0o666, dir_fd=scratch)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, name, src_dir_fd=scratch, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=scratch)
        raise
