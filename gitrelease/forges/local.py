"""Plain git as a forge: packages are branches, opinions are commits of a log branch, no server program.

What this forge believes rests on signatures: without them a name is only a claim (design 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from gitrelease.core.item import API_VERSION
from gitrelease.core.names import (
    PACKAGE,
    BlobId,
    CommitId,
    MemberId,
    PackageName,
    RefName,
    TreeId,
    package_name,
    package_ref,
    review_ref,
)
from gitrelease.core.package import Proposed
from gitrelease.core.people import Actor, Person
from gitrelease.core.review import Opinion, Review, Say
from gitrelease.core.workspace import Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Statement
from gitrelease.messages import message_of, read_message
from gitrelease.pen import Pen
from gitrelease.repo import Commit, RefMove, Repo
from gitrelease.signers import identify


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """What one commit of a review log carries: enough that it means nothing anywhere else."""

    say: Say
    package: PackageName
    workspace: str
    root: CommitId
    head: CommitId
    manifest: BlobId
    previous: CommitId | None
    message: str
    asks: tuple[MemberId, ...]


class LocalForge:
    """A `Forge` on plain git."""

    def __init__(self, repo: Repo, pen: Pen) -> None:
        self._repo = repo
        self._pen = pen

    def whoami(self, workspace: Workspace) -> Actor:
        """Say who git's identity is in the workspace; whether it can sign shows when it does."""
        who = self._pen.identity
        member = workspace.member_with_email(who.email)
        person = Person(id=member.id if member else None, name=who.name, email=who.email)
        doubt = None if member else f"is {who.email}, which is no member's address"
        return Actor(person=person, member=member.id if member else None, doubt=doubt)

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who made the commit that each branch is; a task and a package are one commit each."""
        actors = identify(self._repo, branches.values(), workspace)
        return {ref: (actors[commit],) for ref, commit in branches.items()}

    def reviews(self, workspace: Workspace) -> Sequence[Review]:
        """Read every package branch and its log."""
        refs = self._repo.refs()
        packages = [_package(ref) for ref in refs if ref.startswith(PACKAGE)]
        return [self._review(name, refs, workspace) for name in packages if name is not None]

    def find(self, package: PackageName, workspace: Workspace) -> Review | None:
        """Read one package branch and its log."""
        refs = self._repo.refs()
        return self._review(package, refs, workspace) if package_ref(package) in refs else None

    def propose(self, package: Proposed, commit: CommitId, replaces: CommitId | None) -> None:
        """Publish the branch; on plain git that is all there is to it."""
        self._repo.push([RefMove(ref=package_ref(package.manifest.name), new=commit, expected=replaces)])

    def say(self, review: Review, statement: Statement) -> None:
        """Add one commit to the log, which names the one before it."""
        entry = _Entry(
            say=statement.say,
            package=review.package,
            workspace=statement.workspace,
            root=statement.root,
            head=review.head,
            manifest=statement.manifest,
            previous=review.log,
            message=statement.message,
            asks=statement.asks,
        )
        before = () if review.log is None else (review.log,)
        commit = self._pen.commit(
            self._repo,
            tree=self._repo.tree_of(review.head),
            # The head is a parent so that what was reviewed stays, whatever becomes of its branch.
            parents=(*before, review.head),
            message=message_of(
                f"{statement.say} {review.package}", _document(entry), words=statement.message
            ),
        )
        self._repo.push([RefMove(ref=review_ref(review.package), new=commit, expected=review.log)])

    def merge(self, review: Review, *, into: RefName, main: CommitId, tree: TreeId, message: str) -> CommitId:
        """Write the merge commit and move the main branch to it, from exactly where it was."""
        commit = self._pen.commit(self._repo, tree=tree, parents=(main, review.head), message=message)
        self._repo.push([RefMove(ref=into, new=commit, expected=main)])
        return commit

    def _review(self, package: PackageName, refs: Mapping[RefName, str], workspace: Workspace) -> Review:
        log = refs.get(review_ref(package))
        head = CommitId(refs[package_ref(package)])
        return review_at(self._repo, package, head, None if log is None else CommitId(log), workspace)


class LogUnreadable(GitReleaseError):
    """A review log holds a commit that no reviewer's gitrelease wrote; what it hides cannot be known."""

    code = "log-unreadable"


def review_at(
    repo: Repo, package: PackageName, head: CommitId, log: CommitId | None, workspace: Workspace
) -> Review:
    """Give what git knows of the review of a package, now or long ago: who made its head, and what was said."""
    author = identify(repo, [head], workspace)[head]
    opinions: list[Opinion] = []
    fault = None
    try:
        if log is not None:
            opinions = read_log(repo, package, log, workspace)
    except LogUnreadable as unreadable:
        fault = unreadable.message
    return Review(
        package=package, head=head, authors=(author,), opinions=tuple(opinions), log=log, fault=fault
    )


def read_log(repo: Repo, package: PackageName, log: CommitId, workspace: Workspace) -> list[Opinion]:
    """Read the opinions of a review log, oldest first.

    Each commit names the one before it, the package, the workspace and the trust root. One that was said
    elsewhere, or by nobody who can be believed, is kept with a doubt and counts for nothing.

    Raises:
        LogUnreadable: the log has a commit that is no opinion, or that does not name the one before it.
    """
    chain: list[tuple[Commit, _Entry]] = []
    at: CommitId | None = log
    while at is not None:
        commit = repo.commit(at)
        where = f"{review_ref(package)} at {at:.7}"
        try:
            entry = read_message(commit.message, _parse, of=where)
        except GitReleaseError as wrong:
            raise LogUnreadable(wrong.message) from wrong
        if commit.parents != (*(() if entry.previous is None else (entry.previous,)), entry.head):
            raise LogUnreadable(f"{where} does not follow from the opinion it names")
        chain.append((commit, entry))
        at = entry.previous
    actors = identify(repo, [commit.id for commit, _ in chain], workspace)
    return [
        _opinion(commit, entry, actors[commit.id], package, workspace) for commit, entry in reversed(chain)
    ]


def _opinion(
    commit: Commit, entry: _Entry, actor: Actor, package: PackageName, workspace: Workspace
) -> Opinion:
    if (entry.package, entry.workspace) != (package, workspace.id):
        actor = replace(actor, member=None, doubt="was said of another package or workspace")
    return Opinion(
        id=commit.id,
        actor=actor,
        say=entry.say,
        at=commit.committed_at,
        head=entry.head,
        manifest=entry.manifest,
        root=entry.root,
        message=entry.message,
        asks=entry.asks,
    )


def _package(ref: RefName) -> PackageName | None:
    try:
        return package_name(ref.removeprefix(PACKAGE))
    except GitReleaseError:
        return None  # `gitrelease check` says what is wrong with such a branch; it is no package


def _document(entry: _Entry) -> dict[str, object]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Opinion",
        "say": entry.say,
        "package": entry.package,
        "workspace": entry.workspace,
        "root": entry.root,
        "head": entry.head,
        "manifest": entry.manifest,
        "previous": entry.previous,
        "message": entry.message,
        "asks": list(entry.asks),
    }


def _parse(value: Mapping[str, object]) -> _Entry:
    previous = value["previous"]
    return _Entry(
        say=Say(str(value["say"])),
        package=package_name(str(value["package"])),
        workspace=str(value["workspace"]),
        root=CommitId(str(value["root"])),
        head=CommitId(str(value["head"])),
        manifest=BlobId(str(value["manifest"])),
        previous=None if previous is None else CommitId(str(previous)),
        message=str(value["message"]),
        asks=tuple(MemberId(who) for who in cast("Sequence[str]", value["asks"])),
    )
