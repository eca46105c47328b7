"""Where a package is discussed, approved and merged: one protocol, and an implementation per forge.

A forge reports facts and never judges them; `core/review.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import BlobId, CommitId, MemberId, PackageName, RefName, TreeId
from gitrelease.core.package import Proposed
from gitrelease.core.people import Actor
from gitrelease.core.review import Review, Say
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace


@frozen
class Statement:
    """What somebody wants to say of exactly one content of a package."""

    say: Say
    workspace: str
    root: CommitId
    manifest: BlobId
    message: str = ""
    asks: tuple[MemberId, ...] = ()


@frozen
class Words:
    """What a review says to people: nothing is ever decided by it."""

    title: str
    body: str


class State(StrEnum):
    """What a status of a commit says."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


@frozen
class StatusWords:
    """What a commit is to be said to be."""

    context: str
    """`gitrelease/check` or `gitrelease/approval`."""
    state: State
    description: str
    url: str | None = None


@frozen
class Standing:
    """How a package stands, in words: statuses of its head, and one comment that is kept up to date."""

    statuses: tuple[StatusWords, ...]
    comment: str


class Course(StrEnum):
    """How a deployment went."""

    SUCCESS = "success"
    FAILURE = "failure"


@frozen
class Announcement:
    """What production was given, in words."""

    package: PackageName
    commit: CommitId
    """The commit of the main branch that brought the package."""
    manifest: BlobId
    course: Course
    description: str
    title: str
    notes: str | None = None
    """What stands beside the tag of the release; None where sync made no tag."""
    url: str | None = None
    """Where it can be read what sync did."""


class Forge(Protocol):
    """Where a package is discussed, approved and merged."""

    @property
    def kind(self) -> ForgeKind:
        """Say which forge this is; the trust root has to name the same."""

    def whoami(self, workspace: Workspace) -> Actor:
        """Say who is at the keyboard, as the forge would record it."""

    def resolved(self, workspace: Workspace) -> Workspace:
        """Give a workspace whose teams are resolved, as far as this forge knows who is in them."""

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who made or pushed each of these branches."""

    def makers(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who seems to have made each of these branches, without asking anybody: for lists and plans.

        Whatever is decided asks `authors`.
        """

    def reviews(self, workspace: Workspace) -> Sequence[Review]:
        """Give everything known about every package that has a branch, in one answer."""

    def find(self, package: PackageName, workspace: Workspace, *, also_gone: bool = False) -> Review | None:
        """Ask again for everything known about one package; None when it has no branch.

        With `also_gone` a forge that remembers what had a branch is asked also then.
        """

    def closed(self, is_over: Callable[[PackageName], bool]) -> Sequence[PackageName]:
        """Name the packages that people may have closed by the forge's own means, past gitrelease.

        `find` says of each whether it was. Those that have no branch any more are named as far as `is_over` does not
        say that all is known about them.
        """

    def record(self, review: Review, tasks: Mapping[RefName, CommitId]) -> Mapping[str, object]:
        """Give what only this forge knows of a review and of who made its tasks, for the receipt to keep.

        `core/pull_request.py` reads it again. Plain git keeps all there is in git, and gives nothing.
        """

    def earlier(self, review: Review) -> Sequence[CommitId]:
        """Name the heads that the branch had before which nothing else keeps: opinions may be about them."""

    def propose(
        self, package: Proposed, commit: CommitId, replaces: CommitId | None, words: Callable[[], Words]
    ) -> None:
        """Publish the branch of a package and open its review, or complete one that could not be opened.

        `words` is called where there is somewhere to write them.
        """

    def say(self, review: Review, statement: Statement) -> None:
        """Record what one person thinks of exactly `review.head`."""

    def merge(self, review: Review, *, into: RefName, main: CommitId, tree: TreeId, message: str) -> CommitId:
        """Merge exactly `review.head` into a branch that is at exactly `main`; refuse if either has moved."""

    # What people are told. Nothing is ever decided by it, and no command fails for it.

    def report(self, review: Review, standing: Callable[[], Standing]) -> None:
        """Show how a package stands, in place of what was shown before.

        `standing` is called where there is somewhere to show it.
        """

    def announce(
        self, package: PackageName, announcement: Callable[[], Announcement], *, is_new: bool
    ) -> bool:
        """Show what became of a release in production, and give whether that could be shown.

        Args:
            package: what was released.
            announcement: says what became of it.
            is_new: whether whoever asks has finished it just now, so that it is not looked for before.
        """

    def is_announced(self, package: PackageName, announcement: Announcement) -> bool:
        """Say whether exactly this is shown of a release already.

        Raises:
            GitReleaseError: that cannot be seen now, and people were told so.
        """

    def close(self) -> None:
        """End what was kept open to speak with the forge."""


class Home(Protocol):
    """A repository on a forge with accounts, before there is a ledger that names the forge."""

    @property
    def kind(self) -> ForgeKind:
        """Say which forge it is."""

    @property
    def name(self) -> str:
        """What the repository is called there."""

    @property
    def address(self) -> str:
        """What git is to call it."""

    def is_at(self, url: str) -> bool:
        """Say whether an address of git leads to the same repository."""

    def check(self) -> str:
        """Give the name of its default branch, also of one that is empty.

        A repository that is not there, or in which nothing could be released with these credentials, is refused.
        """

    def account(self) -> int | None:
        """Give the number of the account at the keyboard; None where there is no person."""

    def close(self) -> None:
        """End what was kept open to speak with the forge."""
