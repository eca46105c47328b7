"""Plain git as a forge: packages are branches, opinions are commits of a log branch, no server program.

What this forge believes rests on signatures: without them a name is only a claim (design 5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gitrelease.core.fields import Fields
from gitrelease.core.item import API_VERSION
from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import (
    BlobId,
    CommitId,
    MemberId,
    PackageName,
    RefName,
    TreeId,
    package_name,
    package_of,
    package_ref,
    review_ref,
)
from gitrelease.core.package import Proposed
from gitrelease.core.people import Actor, Person
from gitrelease.core.review import Opinion, Review, Say
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Announcement, Standing, Statement, Words
from gitrelease.messages import MessageRefused, message_of, read_message
from gitrelease.pen import Pen
from gitrelease.repo import Commit, RefMove, Repo
from gitrelease.signers import identify


@frozen
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

    @property
    def kind(self) -> ForgeKind:
        """Say that this is plain git."""
        return ForgeKind.LOCAL

    def whoami(self, workspace: Workspace) -> Actor:
        """Say who git's identity is in the workspace; whether it can sign shows when it does."""
        who = self._pen.identity
        member = workspace.member_with_email(who.email)
        person = Person(id=member.id if member else None, name=who.name, email=who.email)
        doubt = None if member else f"is {who.email}, which is no member's address"
        return Actor(person=person, member=member.id if member else None, doubt=doubt)

    def resolved(self, workspace: Workspace) -> Workspace:
        """Leave the workspace as it is: plain git knows no teams."""
        return workspace

    def closed(self, is_over: Callable[[PackageName], bool]) -> Sequence[PackageName]:  # noqa: ARG002
        """Name none: whoever closes a package on plain git settles it with the same push."""
        return ()

    def record(
        self,
        review: Review,  # noqa: ARG002
        tasks: Mapping[RefName, CommitId],  # noqa: ARG002
    ) -> Mapping[str, object]:
        """Give nothing: who made what, and who said what, are commits that a receipt has as parents."""
        return {}

    def earlier(self, review: Review) -> Sequence[CommitId]:  # noqa: ARG002
        """Name nothing: each opinion has the head it is about as a parent."""
        return ()

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who made the commit that each branch is; a task and a package are one commit each."""
        actors = identify(self._repo, branches.values(), workspace)
        return {ref: (actors[commit],) for ref, commit in branches.items()}

    def makers(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who made them: on plain git all there is to know is here."""
        return self.authors(branches, workspace)

    def reviews(self, workspace: Workspace) -> Sequence[Review]:
        """Read every package branch and its log."""
        refs = self._repo.refs()
        packages = [package_of(ref) for ref in refs]
        return [self._review(name, refs, workspace) for name in packages if name is not None]

    def find(
        self,
        package: PackageName,
        workspace: Workspace,
        *,
        also_gone: bool = False,  # noqa: ARG002
    ) -> Review | None:
        """Read one package branch and its log."""
        refs = self._repo.refs()
        return self._review(package, refs, workspace) if package_ref(package) in refs else None

    def propose(
        self,
        package: Proposed,
        commit: CommitId,
        replaces: CommitId | None,
        words: Callable[[], Words],  # noqa: ARG002
    ) -> None:
        """Publish the branch; on plain git that is all there is to it."""
        # Whether its tasks still wait is not asked in the same push: to find a hundred among ten thousand refs takes
        # git longer than all the rest, and one that was taken back this moment stops the package at its judge.
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
        # The package must still be there: else a log that somebody closed this moment would begin again.
        still = RefMove(ref=package_ref(review.package), new=review.head, expected=review.head)
        self._repo.push([still, RefMove(ref=review_ref(review.package), new=commit, expected=review.log)])

    def merge(self, review: Review, *, into: RefName, main: CommitId, tree: TreeId, message: str) -> CommitId:
        """Write the merge commit and move the main branch to it, from exactly where it was."""
        commit = self._pen.commit(self._repo, tree=tree, parents=(main, review.head), message=message)
        # What was judged must still be there: else a package that somebody closed this moment would be merged.
        judged = {package_ref(review.package): review.head, review_ref(review.package): review.log}
        still = [RefMove(ref=ref, new=at, expected=at) for ref, at in judged.items() if at is not None]
        self._repo.push([*still, RefMove(ref=into, new=commit, expected=main)])
        return commit

    def report(self, review: Review, standing: Callable[[], Standing]) -> None:
        """Show nothing: git has no place for it, and `gitrelease package view` says it anew."""

    def announce(
        self,
        package: PackageName,  # noqa: ARG002
        announcement: Callable[[], Announcement],  # noqa: ARG002
        *,
        is_new: bool,  # noqa: ARG002
    ) -> bool:
        """Show nothing: the ledger says it."""
        return True

    def is_announced(self, package: PackageName, announcement: Announcement) -> bool:  # noqa: ARG002
        """Say that there is nothing to show."""
        return True

    def close(self) -> None:
        """Nothing was kept open."""

    def _review(self, package: PackageName, refs: Mapping[RefName, str], workspace: Workspace) -> Review:
        log = refs.get(review_ref(package))
        head = CommitId(refs[package_ref(package)])
        return review_at(self._repo, package, head, None if log is None else CommitId(log), workspace)


class LogUnreadable(GitReleaseError):
    """A review log lacks something that was said, so nobody can tell what else it lacks."""

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
            opinions = read_log(repo, package, log, workspace, head=head)
    except LogUnreadable as unreadable:
        fault = unreadable.message
    return Review(
        package=package, head=head, authors=(author,), opinions=tuple(opinions), log=log, fault=fault
    )


def read_log(
    repo: Repo, package: PackageName, log: CommitId, workspace: Workspace, *, head: CommitId | None
) -> list[Opinion]:
    """Read what was said in the review log of a package, the older first.

    Whoever can push can add any commit to a log. What is no opinion, or does not follow from the one it names,
    counts for nothing and is kept as `Say.UNREADABLE`. The log goes on behind it, and what was said before it
    stands: every parent is followed, down to what the head of the package started from, which `judging` sees
    to is the main branch. One that was said elsewhere, or by nobody who can be believed, is kept with a doubt.

    Args:
        repo: the repository.
        package: the package.
        log: the tip of its log.
        workspace: says who is who.
        head: the head of the package; None where it has no branch any more, and everything below is read.

    Raises:
        LogUnreadable: the log lacks an opinion that others in it name.
    """
    below = () if head is None else repo.commit(head).parents
    held = {commit.id: commit for commit in repo.beyond(log, below)}
    entries = {id_: entry for id_, commit in held.items() if (entry := _entry_of(commit)) is not None}
    _check_nothing_lost(repo, package, workspace, held, entries)
    reviewed = _reviewed(held, entries, head)
    said = [commit for id_, commit in held.items() if id_ not in reviewed]
    actors = identify(repo, [commit.id for commit in said], workspace)
    opinions = []
    for commit in said:
        entry = entries.get(commit.id)
        if entry is None:
            opinions.append(_unreadable(commit, actors[commit.id], "is no opinion that can be read"))
        elif commit.parents != _parents(entry):
            why = "does not follow from the opinion it names"
            opinions.append(_unreadable(commit, actors[commit.id], why))
        else:
            opinions.append(_opinion(commit, entry, actors[commit.id], package, workspace))
    return _without_answers_to_nothing(opinions, held)


def _entry_of(commit: Commit) -> _Entry | None:
    try:
        return read_message(commit.message, "opinion", _parse, of=commit.id)
    except MessageRefused:
        return None


def _parents(entry: _Entry) -> tuple[CommitId, ...]:
    """Say which parents an opinion has: the one before it, and what it is about."""
    return (entry.head,) if entry.previous is None else (entry.previous, entry.head)


def _check_nothing_lost(
    repo: Repo,
    package: PackageName,
    workspace: Workspace,
    held: Mapping[CommitId, Commit],
    entries: Mapping[CommitId, _Entry],
) -> None:
    """Refuse a log that lacks an opinion of this package which is known here and which it names as said before.

    A name of nothing proves nothing: anybody can write one.
    """
    named = {entry.previous for entry in entries.values() if entry.previous is not None}
    known = [id_ for id_ in sorted(named - held.keys()) if repo.resolve(id_) == id_]
    lost = {}
    for commit in repo.commits(known):
        entry = _entry_of(commit)
        if entry is not None and (entry.package, entry.workspace) == (package, workspace.id):
            lost[commit.id] = commit
    for id_, actor in identify(repo, lost, workspace).items():
        if actor.member is not None:
            raise LogUnreadable(f"{review_ref(package)} lacks {id_:.7}, which {actor.member} said before")


def _reviewed(
    held: Mapping[CommitId, Commit], entries: Mapping[CommitId, _Entry], head: CommitId | None
) -> set[CommitId]:
    """List what opinions are about, and what that was made of; the opinions among it stay opinions."""
    found: set[CommitId] = set()
    fresh = [] if head is None else [head]
    fresh += [entry.head for id_, entry in entries.items() if held[id_].parents == _parents(entry)]
    while fresh:
        id_ = fresh.pop()
        if id_ in held and id_ not in entries and id_ not in found:
            found.add(id_)
            fresh += held[id_].parents
    return found


def _unreadable(commit: Commit, actor: Actor, why: str) -> Opinion:
    return Opinion(
        id=commit.id,
        actor=replace(actor, member=None, doubt=why),
        say=Say.UNREADABLE,
        at=commit.committed_at,
        head=commit.id,
        manifest=None,
    )


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


def _without_answers_to_nothing(
    opinions: Sequence[Opinion], held: Mapping[CommitId, Commit]
) -> list[Opinion]:
    """Keep a no against words of the same person that were said without it, and joined to it by a merge."""
    before: dict[str, set[str]] = {}
    for id_, commit in held.items():
        before[id_] = {id_}.union(*(before[parent] for parent in commit.parents if parent in before))
    vetoes: dict[MemberId, list[str]] = {}
    kept = []
    for opinion in opinions:
        who = opinion.actor.member
        if who is not None and opinion.say is Say.REJECT:
            vetoes.setdefault(who, []).append(opinion.id)
        elif who is not None and not set(vetoes.get(who, ())) <= before[opinion.id]:
            doubt = "was said without the no that stands before it"
            opinion = replace(opinion, actor=replace(opinion.actor, member=None, doubt=doubt))
        kept.append(opinion)
    return kept


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
    top = Fields(value).whole("previous", "asks")
    previous = top.optional("previous")
    return _Entry(
        say=top.choice("say", Say),
        package=package_name(top.text("package")),
        workspace=top.text("workspace"),
        root=CommitId(top.text("root")),
        head=CommitId(top.text("head")),
        manifest=BlobId(top.text("manifest")),
        previous=None if previous is None else CommitId(previous),
        message=top.text("message"),
        asks=tuple(MemberId(who) for who in top.texts("asks")),
    )
