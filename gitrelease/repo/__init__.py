"""The one door to git.

`Repo` is all that others see: values and errors of ours come out, full object ids go in. `run.py` starts
git, `objects.py` reads what it stores and `store.py` adds to it, `history.py` says what happened, `lines.py` what
trees hold that were compared, `bulk.py` reads much at once, `refs.py` fetches and moves refs, `signing.py` writes
and verifies commits, `worktree.py` looks at the user's files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from gitrelease.core.names import RefName
from gitrelease.repo.fetching import Fetching
from gitrelease.repo.history import NotOnFirstParents
from gitrelease.repo.library import refuse_place
from gitrelease.repo.objects import BLOB_LIMIT
from gitrelease.repo.refs import remote_name
from gitrelease.repo.run import Config, Git, GitDir
from gitrelease.repo.signing import Signing
from gitrelease.repo.values import (
    EMPTY_TREE,
    BadObject,
    CloneHeld,
    Commit,
    Conflicts,
    Entry,
    EntryKind,
    FileRefused,
    GitFailed,
    GitUnusable,
    HistoryRewritten,
    Identity,
    NotAPlainFile,
    NotARepository,
    PathRefused,
    PushDeclined,
    PushHeld,
    PushRejected,
    RefMove,
    RemoteRefusedCredentials,
    Signature,
    SignatureStatus,
    SigningRefused,
    Tag,
    TooLarge,
    TreeChange,
    Unreachable,
    plain,
)
from gitrelease.repo.worktree import InTheWay, Lying, Worktree

__all__ = [
    "BLOB_LIMIT",
    "EMPTY_TREE",
    "BadObject",
    "CloneHeld",
    "Commit",
    "Conflicts",
    "Entry",
    "EntryKind",
    "FileRefused",
    "GitFailed",
    "GitUnusable",
    "HistoryRewritten",
    "Identity",
    "InTheWay",
    "Lying",
    "NotAPlainFile",
    "NotARepository",
    "NotOnFirstParents",
    "PathRefused",
    "PushDeclined",
    "PushHeld",
    "PushRejected",
    "RefMove",
    "RemoteRefusedCredentials",
    "Repo",
    "Signature",
    "SignatureStatus",
    "SigningRefused",
    "Tag",
    "TooLarge",
    "TreeChange",
    "Unreachable",
    "plain",
]


class Repo(Fetching, Signing, Worktree):
    """A clone of the release repository, or the bare repository itself.

    It is a context manager: leaving it ends the git process that reads objects. Threads may share it.
    """

    def __init__(
        self,
        place: GitDir,
        *,
        remote: str,
        environ: Mapping[str, str],
        signing_key: Path | None = None,
        quarantine: bool = False,
        prompt: bool = False,
        is_direct: bool = False,
    ) -> None:
        super().__init__(place=place, environ=environ, quarantine=quarantine, prompt=prompt)
        self.remote = remote_name(remote)
        self.signing_key = signing_key
        self.is_direct = is_direct
        self._lock = Lock()
        self._held = None
        self._holding = Lock()
        self._knows_remote = False
        self._settings = {}
        self._walked = None, []
        self._trees = {}
        self._signatures = {}

    @classmethod
    def discover(
        cls,
        start: Path,
        *,
        remote: str,
        environ: Mapping[str, str],
        signing_key: Path | None = None,
        quarantine: bool = False,
        prompt: bool = False,
    ) -> Self:
        """Open the repository around a folder.

        `quarantine` is for the hooks of a server, where a push is not yet part of the repository;
        `prompt` lets git ask for a password. A shallow or partial clone is refused: it does not hold the past
        that decisions are made from (pitfall P29).
        """
        git = Git(environ=environ, quarantine=quarantine, prompt=prompt)
        git.check_version()
        if not start.is_dir():
            refuse_place(start)
        # git itself says whether this user may trust what lies here (safe.directory), so the user's
        # configuration is read, and the answer counts for everything after.
        told = git.run(
            "rev-parse", "--is-shallow-repository", "--is-bare-repository", "--is-inside-work-tree",
            "--show-object-format", "--path-format=absolute", "--git-dir", "--git-common-dir",
            config=Config.USER, cwd=start, accept=range(256),
        )  # fmt: skip
        if told.exit != 0:
            refuse_place(start)
            raise NotARepository(f"git does not open the repository in {plain(str(start))}: {told.err}")
        shallow, bare, inside, hash_, git_dir, common_dir = told.out.decode(
            errors="surrogateescape"
        ).splitlines()
        if hash_ != "sha1":
            raise NotARepository(
                f"this repository names its objects by {hash_}, which gitrelease cannot read",
                hint="make one with git init --object-format=sha1",
            )
        if shallow == "true":
            raise NotARepository(
                "this clone is shallow: it does not hold the history that decisions are made from",
                hint="run git fetch --unshallow; in a CI job, check out with fetch-depth: 0",
            )
        _refuse_partial(git, start, Path(common_dir))
        worktree = None
        if inside == "true":
            top = git.run(
                "rev-parse", "--path-format=absolute", "--show-toplevel", config=Config.USER, cwd=start
            )
            worktree = Path(top.out.decode(errors="surrogateescape").removesuffix("\n"))
        place = GitDir(git_dir=Path(git_dir), common_dir=Path(common_dir), worktree=worktree)
        return cls(
            place,
            remote=remote,
            environ=environ,
            signing_key=signing_key,
            quarantine=quarantine,
            prompt=prompt,
            is_direct=bare == "true",
        )

    @classmethod
    def init_repository(cls, folder: Path, *, remote: str, environ: Mapping[str, str]) -> Self:
        """Make a repository with working files in a folder, and open it; one that is there stays as it is."""
        return cls._init(folder, "--no-bare", remote=remote, environ=environ)

    @classmethod
    def init_bare(cls, folder: Path, *, remote: str, environ: Mapping[str, str]) -> Self:
        """Make a bare repository for everyone to share in a folder, and open it."""
        return cls._init(folder, "--bare", remote=remote, environ=environ)

    @classmethod
    def _init(cls, folder: Path, kind: str, *, remote: str, environ: Mapping[str, str]) -> Self:
        folder.mkdir(parents=True, exist_ok=True)
        git = Git(environ=environ)
        git.check_version()
        # An empty template: hooks come from us or from the administrator, never from the machine.
        git.run(
            "init",
            "--quiet",
            kind,
            "--initial-branch=main",
            "--object-format=sha1",
            "--template=",
            cwd=folder,
        )
        return cls.discover(folder, remote=remote, environ=environ)

    @property
    def common_dir(self) -> Path:
        """Where it keeps what all its working trees share: objects, refs, hooks."""
        return self._where.common_dir

    @property
    def _where(self) -> GitDir:
        if self._place is None:  # pragma: no cover - a Repo is made with one
            raise NotARepository("this repository has no place")
        return self._place

    def config(self, key: str) -> str | None:
        """Read a setting of this repository."""
        ran = self.run("config", "--local", "-z", "--get", key, accept=(0, 1))
        return ran.out.decode(errors="replace").removesuffix("\0") if ran.exit == 0 else None

    def set_config(self, key: str, value: str) -> None:
        """Write a setting of this repository, in place of all it had under that key."""
        self.run("config", "--local", "--replace-all", key, value)

    def hand_out(self, ref: RefName) -> None:
        """Make a branch the one that clones of this bare repository check out."""
        self.run("symbolic-ref", "HEAD", ref)

    def __enter__(self) -> Self:
        return self

    def __reduce__(self) -> tuple[Callable[..., Repo], tuple[object, ...]]:
        """Hand the repository to another process, which gets a door of its own to it."""
        git = self._environ, self.signing_key, self._quarantine, self._prompt
        return _opened, (self._where, self.remote, *git, self.is_direct)

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refuse_partial(git: Git, start: Path, common_dir: Path) -> None:
    """Refuse a clone that leaves to its remote what it did not want; what is missing here looks like damage."""
    if next((common_dir / "objects" / "pack").glob("*.promisor"), None) is None:
        return
    ran = git.run(
        "config",
        "--local",
        "--type=bool",
        "--get-regexp",
        r"^remote\..*\.promisor$",
        cwd=start,
        accept=(0, 1),
    )
    if b" true\n" in ran.out:
        raise NotARepository(
            "this clone is partial: it does not hold all files that decisions are made from",
            hint="clone again without --filter",
        )


def _opened(
    place: GitDir,
    remote: str,
    environ: Mapping[str, str],
    signing_key: Path | None,
    quarantine: bool,  # noqa: FBT001 - only pickle calls this
    prompt: bool,  # noqa: FBT001
    is_direct: bool,  # noqa: FBT001
) -> Repo:
    return Repo(
        place,
        remote=remote,
        environ=environ,
        signing_key=signing_key,
        quarantine=quarantine,
        prompt=prompt,
        is_direct=is_direct,
    )
