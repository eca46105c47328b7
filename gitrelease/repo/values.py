"""What comes out of git: commits, entries, changes, signatures, and what can go wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from gitrelease.core.names import BlobId, CommitId, RefName, TagId, TreeId
from gitrelease.core.values import frozen
from gitrelease.errors import CredentialsError, GitReleaseError, RaceLost

EMPTY_TREE = TreeId("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
"""The tree without entries; git knows it also where nobody wrote it."""

FILE = "100644"
"""The only mode of a file that gitrelease reads and writes."""

_FULL_ID = re.compile(r"[0-9a-f]{40}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Marks that reorder or hide text: zero width, bidi embedding, override and isolation, byte order mark.
_INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_URL_SECRET = re.compile(r"(?<=://)[^/@\s]+@")


@frozen
class Identity:
    """Who a commit says made it. A claim, unless it is signed."""

    name: str
    email: str


class EntryKind(StrEnum):
    """What an entry of a tree stands for; a `commit` is a submodule."""

    BLOB = "blob"
    TREE = "tree"
    COMMIT = "commit"


class Entry(NamedTuple):
    """One entry of a tree, of any mode; whoever uses it judges the mode."""

    # A tuple, like the change below: a long past has hundreds of thousands of them.

    path: str
    mode: str
    id: str

    @property
    def kind(self) -> EntryKind:
        """Say what the entry stands for, by its mode."""
        if self.mode == "040000":
            return EntryKind.TREE
        return EntryKind.COMMIT if self.mode == "160000" else EntryKind.BLOB

    @property
    def is_file(self) -> bool:
        """Whether this is a plain file: no symlink, no submodule, not executable."""
        return self.mode == FILE

    @property
    def blob(self) -> BlobId:
        """Give the id of a plain file's content; anything else is refused (pitfall P17)."""
        if not self.is_file:
            raise NotAPlainFile(self)
        return BlobId(self.id)


@frozen
class Commit:
    """One commit, as its object has it. Its times are claims as well, and nothing is ordered by them."""

    id: CommitId
    tree: TreeId
    parents: tuple[CommitId, ...]
    author: Identity
    authored_at: datetime
    committer: Identity
    committed_at: datetime
    message: str
    is_signed: bool


@frozen
class Tag:
    """A tag; one without an object of its own has an empty message and no tagger."""

    id: TagId | CommitId
    target: CommitId
    tagger: Identity | None
    tagged_at: datetime | None
    message: str


class TreeChange(NamedTuple):
    """A path that two trees hold differently. A renamed file is two changes."""

    path: str
    before: Entry | None
    after: Entry | None


@frozen
class RefMove:
    """A ref to move from exactly `expected` (`None`: it does not exist) to `new` (`None`: delete it)."""

    ref: RefName
    new: str | None
    expected: str | None


class SignatureStatus(StrEnum):
    """What a signature is worth."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN_KEY = "unknown-key"
    NONE = "none"


@frozen
class Signature:
    """The signature of a commit, as `git` and `ssh-keygen` verified it."""

    status: SignatureStatus
    principal: str | None = None
    fingerprint: str | None = None


@frozen
class Conflicts:
    """The paths that both sides of a merge changed."""

    paths: tuple[str, ...]


def full_id(text: str) -> str:
    """Let a full object id pass. No other name becomes an argument of git, so none poses as an option."""
    if not _FULL_ID.fullmatch(text):
        raise ValueError(f"{text!r} is not a full object id")
    return text


def plain(text: str) -> str:
    """Make text of others fit for a terminal: control characters are spelled out, invisible marks and the
    credentials in URLs are left out (pitfalls P20, P22)."""
    visible = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text.replace("\r\n", "\n"))
    return _URL_SECRET.sub("", _INVISIBLE.sub("", visible)).strip()


class GitFailed(GitReleaseError):
    """git could not do what it was asked."""

    code = "git-failed"


class GitUnusable(GitReleaseError):
    """There is no git here that gitrelease can work with."""

    code = "git-unusable"


class NotARepository(GitReleaseError):
    """The folder is not in a repository that gitrelease can read."""

    code = "not-a-repository"


class Unreachable(GitReleaseError):
    """The shared repository did not answer."""

    code = "unreachable"


class CloneHeld(GitReleaseError):
    """A git that is at work in this clone, or died there, keeps its refs from being moved."""

    code = "clone-held"


class RemoteRefusedCredentials(CredentialsError):
    """The shared repository wants other credentials."""


class BadObject(GitReleaseError):
    """An object is missing, damaged, or not what it was taken for."""

    code = "bad-object"


class FileRefused(GitReleaseError):
    """A file is not one that gitrelease reads or writes."""

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        """Which one, so that a list of findings can name it; None where that is not known."""


class NotAPlainFile(FileRefused):
    """A path holds something else than a plain file."""

    code = "not-a-plain-file"

    def __init__(self, entry: Entry) -> None:
        what = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}
        found = what.get(entry.mode, f"a file of mode {entry.mode}")
        super().__init__(
            f"{plain(entry.path)!r} is {found}, not a plain file",
            path=entry.path,
            hint="replace it by a plain file that is not executable",
        )


class TooLarge(FileRefused):
    """A file is larger than what gitrelease reads."""

    code = "too-large"

    def __init__(self, what: str, size: int, limit: int, *, path: str | None = None) -> None:
        super().__init__(
            f"{what} has {size} bytes, more than the {limit} that are read",
            path=path,
            hint="split it, or keep the data somewhere else and let the job fetch it",
        )


class PathRefused(FileRefused):
    """A path cannot be read or written, or not together with the others."""

    code = "path-refused"


class SigningRefused(CredentialsError):
    """A commit cannot be signed here."""

    code = "signing"


class HistoryRewritten(GitReleaseError):
    """A branch that only ever grows was moved to something that does not contain what it held."""

    code = "history-rewritten"

    def __init__(self, ref: RefName, old: str, new: str | None, *, kept_in: Sequence[str]) -> None:
        now = "is gone" if new is None else f"moved to {new:.7}, which does not contain it"
        super().__init__(
            f"{plain(ref)} held {old:.7} and {now}; its history was rewritten",
            hint=f"find out who did this, and have {old} pushed back; this clone still has it. If it was done on"
            f" purpose: {'; '.join(f'git update-ref -d {plain(name)}' for name in kept_in)}",
        )
        self.ref = ref
        self.old = old
        self.new = new


class PushRejected(RaceLost):
    """A ref was not where it was expected, so nothing was moved."""

    def __init__(self, rejected: Mapping[RefName, str], *, lock: str | None = None) -> None:
        """Say which refs were where, and which lock stands in their way, perhaps left by a git that died."""
        what = "; ".join(f"{plain(ref)} {reason}" for ref, reason in sorted(rejected.items()))
        hint = "run the command again"
        if lock is not None:
            what += f", or its lock was left: {lock}"
            hint += "; if it stays so, delete that file in the shared repository"
        super().__init__(f"somebody was first: {what}", hint=hint)
        self.rejected = dict(rejected)


class PushHeld(PushRejected):
    """A ref is where it was expected, and a git that is at work there, or died there, keeps it from being moved."""


class PushDeclined(GitReleaseError):
    """The shared repository does not accept the push: a hook or a rule of it said no. Nothing was moved."""

    code = "push-declined"

    def __init__(
        self, said: str, *, hint: str = "ask whoever runs the server; this push changed nothing"
    ) -> None:
        words = _server_words(said)
        if "matches more than one" in words:
            hint = "a branch below refs/heads/refs/ stands in the way: `git ls-remote` shows it, and it has to go"
        super().__init__(f"the shared repository declined the push:\n{words}", hint=hint)
        self.said = words


def _server_words(said: str) -> str:
    """Keep what a server said of a push, without what git puts around it; all of it where it said nothing itself."""
    lines = [
        line.rstrip() for line in said.splitlines() if not line.startswith("error: failed to push some refs")
    ]
    own = [line.removeprefix("remote:").removeprefix(" ") for line in lines if line.startswith("remote:")]
    return "\n".join(own if any(own) else lines).strip("\n")
