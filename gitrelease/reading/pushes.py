"""A push as a server's hook sees it: what the refs hold, what they are to hold, and what both are judged by.

A push moves several refs at once, so each is judged beside the others as they will be: a task that takes the
place of another comes with the archive that keeps the other. What decides (ledger, workspace, what is approved)
is taken as it was before the push; nothing that a push brings makes its own judge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from gitrelease.archiving import Archive, entry_of, read_archive
from gitrelease.core.ledger import Event, ForgeKind
from gitrelease.core.moves import Move, RefKind, Step, kind_of
from gitrelease.core.names import (
    ARCHIVE,
    DEPLOY,
    LEDGER,
    PACKAGE,
    RELEASE_TAGS,
    REVIEW,
    SUBMIT,
    CommitId,
    PackageName,
    RefName,
    TreeId,
    branch,
    manifest_path,
    package_name,
    package_ref,
    review_ref,
)
from gitrelease.core.review import Review
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Forge
from gitrelease.forges.local import LocalForge, review_at
from gitrelease.pen import Pen
from gitrelease.reading.judging import Ground
from gitrelease.reading.ledger import Ledger, LedgerMissing, find_root, receipt_of
from gitrelease.reading.situation import MainMissing, closed_in, fold, settled_in
from gitrelease.reading.tasks import highest_numbers
from gitrelease.repo import Commit, Repo

MOST_COMMITS = 1000
"""By so many commits may a branch that only grows be moved with one push."""
_NEAR = 64
"""So many entries of the archive are looked at first."""


class PushedForge(LocalForge):
    """Plain git as a forge, with the refs as they will be after a push."""

    def __init__(self, repo: Repo, pen: Pen, refs: Mapping[RefName, str]) -> None:
        super().__init__(repo, pen)
        self._pushed = repo, refs

    def reviews(self, workspace: Workspace) -> Sequence[Review]:
        """Read every package branch and its log."""
        names = [ref.removeprefix(PACKAGE) for ref in self._pushed[1] if ref.startswith(PACKAGE)]
        found = [self.find(package_name(name), workspace) for name in names]
        return [review for review in found if review is not None]

    def find(
        self,
        package: PackageName,
        workspace: Workspace,
        *,
        also_gone: bool = False,  # noqa: ARG002
    ) -> Review | None:
        """Read one package branch and its log."""
        repo, refs = self._pushed
        head, log = refs.get(package_ref(package)), refs.get(review_ref(package))
        if head is None:
            return None
        return review_at(repo, package, CommitId(head), None if log is None else CommitId(log), workspace)


@frozen
class Approved:
    """What is approved where the main branch stands before the push."""

    tree: TreeId
    workspace: Workspace


@dataclass(kw_only=True)
class ReceivedPush:
    """One push, beside the repository that it wants to move. Only what is asked for is read."""

    repo: Repo
    pen: Pen
    moves: Mapping[RefName, Move]
    before: Mapping[RefName, str]
    pinned: CommitId | None = None
    """The trust root that this server knows."""
    others_are_free: bool = False
    """Whether commits on the main branch that touch nothing of what packages are made of are let through."""

    @cached_property
    def after(self) -> Mapping[RefName, str]:
        """What the refs will hold."""
        moved = {ref: move.new for ref, move in self.moves.items()}
        return {ref: id_ for ref, id_ in {**self.before, **moved}.items() if id_ is not None}

    @cached_property
    def forge(self) -> Forge:
        """Who made what, and what was said, with the refs as they will be."""
        return PushedForge(self.repo, self.pen, self.after)

    def kind(self, move: Move) -> RefKind:
        """Say what a ref of the push is for."""
        return kind_of(move.ref, self.main)

    def deleted(self, kind: RefKind) -> dict[RefName, CommitId]:
        """List the branches of a kind that the push removes, with what they hold."""
        return {
            ref: CommitId(move.old)
            for ref, move in self.moves.items()
            if move.step is Step.DELETES and move.old is not None and self.kind(move) is kind
        }

    def tip(self, move: Move) -> CommitId:
        """Give what a branch is to hold."""
        if move.new is None:
            raise AssertionError(f"{move.name} is deleted")
        return CommitId(move.new)

    # What judges: as it was before the push.

    @cached_property
    def ledger(self) -> Ledger | None:
        """The ledger, or none before `init`.

        It is not checked again from its root on: this server let nothing into it that does not follow.

        Raises:
            LedgerMissing: there was one, and it is gone.
        """
        if LEDGER in self.before:
            return self.ledger_at(CommitId(self.before[LEDGER]))
        if self.is_lost:
            raise LedgerMissing(
                "the branch `production` is gone from this server",
                hint="its administrator restores it there from a clone; it is never rebuilt",
            )
        return None

    @cached_property
    def is_lost(self) -> bool:
        """Whether there was a ledger here, and more came of it, and it is gone."""
        ours = (SUBMIT, PACKAGE, REVIEW, DEPLOY, RELEASE_TAGS)
        more = any(ref == ARCHIVE or ref.startswith(ours) for ref in self.before)
        return LEDGER not in self.before and self.pinned is not None and more

    @cached_property
    def root(self) -> CommitId | None:
        """The trust root: the one this server was told, else the first receipt it ever took."""
        if self.pinned is not None or LEDGER not in self.before:
            return self.pinned
        return find_root(self.repo, CommitId(self.before[LEDGER]))

    @cached_property
    def main(self) -> str | None:
        """The name of the main branch; None before there is a ledger, when there is nothing to guard yet."""
        if LEDGER not in self.before and not self.is_lost:
            return None
        root = self.root
        if root is None or not self.repo.exists(root):
            raise LedgerMissing(
                "the trust root is not here, so nobody knows which branch is the main one",
                hint="restore the branch `production` on the server from a clone",
            )
        founding = receipt_of(self.repo.commit(root)).founding
        return None if founding is None else founding.main

    def ledger_at(self, tip: CommitId) -> Ledger:
        """Give the ledger as it was, or is to be, at one of its receipts."""
        root = self.root
        begun = None if root is None else receipt_of(self.repo.commit(root))
        if root is None or begun is None or begun.founding is None:
            raise LedgerMissing("the ledger does not begin with a trust root")
        commit = self.repo.commit(tip)
        return Ledger(
            repo=self.repo,
            root=root,
            tip=tip,
            tree=commit.tree,
            receipt=receipt_of(commit),
            founding=begun.founding,
        )

    @property
    def known(self) -> Ledger:
        """The ledger, where there has to be one."""
        if self.ledger is None:
            raise LedgerMissing("there is no ledger yet", hint="`gitrelease init` begins one")
        return self.ledger

    @cached_property
    def next_ledger(self) -> Ledger:
        """The ledger as it will be."""
        return self.ledger_at(CommitId(self.after[LEDGER]))

    @cached_property
    def writers(self) -> Workspace:
        """The workspace that says who may write the next receipt."""
        return self.known.writers

    @cached_property
    def archive(self) -> Archive:
        """What was settled before."""
        return read_archive(self.repo, self.before)

    @cached_property
    def next_archive(self) -> Archive:
        """What will be settled."""
        return read_archive(self.repo, self.after)

    def settles(self, kind: RefKind, name: str, held: str | None) -> bool:
        """Say whether an entry of the archive settles what a branch holds; that one keeps it by the way is no word.

        Mostly it goes with its entry; only what was settled before and came back is looked for in all of them.
        """
        what = (kind, name, held)
        return what in self._settled_last or what in self._settled_ever

    @cached_property
    def _settled_last(self) -> frozenset[tuple[RefKind, str, str | None]]:
        return frozenset(_settled(self.next_archive, _NEAR))

    @cached_property
    def _settled_ever(self) -> frozenset[tuple[RefKind, str, str | None]]:
        return frozenset(_settled(self.next_archive, None))

    @cached_property
    def main_tip(self) -> CommitId:
        """What the main branch holds."""
        name = branch(self.known.main)
        if name not in self.before:
            raise MainMissing(
                f"the branch {self.known.main} is gone from this server",
                hint="its administrator restores it there from a clone",
            )
        return CommitId(self.before[name])

    @cached_property
    def approved(self) -> Approved:
        """What is approved, and by which workspace the push is judged."""
        _, tree, workspace = fold(
            self.repo,
            self.forge,
            self.known,
            self.main_tip,
            workspace=self.known.workspace,
            archive=self.archive,
            refs=self.before,
        )
        return Approved(tree=tree, workspace=workspace)

    def ground(self, approved: Approved) -> Ground:
        """Say what a package is judged by."""
        return Ground(
            approved=approved.tree,
            workspace=approved.workspace,
            root=self.known.root,
            main=self.known.main,
            main_tip=self.main_tip,
            forge=ForgeKind.LOCAL,
            closed=closed_in(self.archive),
            settled=settled_in(self.archive, self.after),
            numbers=lambda recorded, also: highest_numbers(self.after, self.next_archive, recorded, also),
        )

    def is_merged(self, package: PackageName) -> bool:
        """Say whether the main branch will hold a package that production does not have in full."""
        main = self.after.get(branch(self.known.main))
        if main is None or self.repo.tree_entry(main, manifest_path(package)) is None:
            return False
        receipt = self.known.receipt
        return not self.known.has(package) or (receipt.is_open and receipt.package == package)

    # What is new.

    def growth(self, move: Move) -> list[Commit] | None:
        """List the first parents that a branch is to grow by, oldest first; None when it does not grow.

        The walk goes back no further than one push may go.

        Raises:
            GitReleaseError: what it is to hold is no commit.
        """
        if move.new is None:
            return None
        self.repo.commit(CommitId(move.new))  # git walks from a tree or a blob as well, and finds nothing
        window = 8
        while True:
            commits = self.repo.history(CommitId(move.new), limit=window)
            ids: list[str] = [commit.id for commit in commits]
            if move.old in ids:
                return commits[: ids.index(move.old)][::-1]
            if not commits[-1].parents and move.old is None:
                return commits[::-1]
            if not commits[-1].parents or window > MOST_COMMITS:
                return None
            window *= 8

    @cached_property
    def finished(self) -> Mapping[PackageName, CommitId]:
        """Say which packages the push says are released, in the ledger, and where each was merged."""
        move = self.moves.get(LEDGER)
        found: dict[PackageName, CommitId] = {}
        for commit in (self.growth(move) if move is not None and move.old is not None else None) or ():
            receipt = receipt_of(commit)
            if receipt.event is Event.FINISHED and receipt.package is not None:
                merge = self._merge_of(commit)
                if merge is not None:
                    found[receipt.package] = merge
        return found

    def _merge_of(self, finished: Commit) -> CommitId | None:
        """Walk from the receipt that ends a release back to the one that began it, which has the evidence."""
        commit = finished
        while commit.parents:
            receipt = receipt_of(commit)
            if receipt.event is Event.STARTED:
                return receipt.evidence.main_after if receipt.evidence else None
            commit = self.repo.commit(commit.parents[0])
        return None


def refs_moved(moves: Iterable[Move]) -> dict[RefName, Move]:
    """Give the moves of a push by ref.

    Raises:
        GitReleaseError: one is moved twice, and what it will hold then depends on the order.
    """
    found: dict[RefName, Move] = {}
    for move in moves:
        if move.ref in found:
            raise GitReleaseError(f"{move.name} stands twice in one push", code="twice")
        found[move.ref] = move
    return found


def _settled(archive: Archive, limit: int | None) -> Iterator[tuple[RefKind, str, str | None]]:
    """List the branches that the newest entries settle, and what each held; one that cannot be read settles nothing."""
    for commit in archive.repo.history(archive.tip, limit=limit) if archive.tip is not None else ():
        with suppress(GitReleaseError):
            entry = entry_of(commit)
            yield from ((RefKind.TASK, str(task.id), task.commit) for task in entry.tasks)
            if entry.package is not None:
                yield (RefKind.PACKAGE, entry.package, entry.head)
                yield (RefKind.REVIEW, entry.package, entry.log)
