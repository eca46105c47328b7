"""A runner at work: it moves the ledger before every step, and stops when it cannot any more.

The ledger moves by compare-and-swap from where this runner left it. Whoever cannot move it has been taken
over (design 4, sync).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gitrelease.archiving import write_summary
from gitrelease.commands import Desk
from gitrelease.core.ledger import Event, Evidence, Receipt, Work, receipt_document, summary_path
from gitrelease.core.names import LEDGER, CommitId, ItemKey, MemberId, PackageName, TreeId
from gitrelease.core.package import Manifest
from gitrelease.core.status import Summary
from gitrelease.core.values import frozen
from gitrelease.errors import RaceLost
from gitrelease.messages import message_of
from gitrelease.reading.holdings import Holdings
from gitrelease.reading.ledger import Ledger
from gitrelease.repo import RefMove


class TakenOver(RaceLost):
    """Another runner moved the ledger; what this one was doing is the other's now."""

    code = "taken-over"


@frozen
class WorkOrder:
    """One piece of work: what is to be brought in line, and why."""

    work: Work
    items: tuple[ItemKey, ...]
    tree: TreeId
    """What the ledger's tree is from *started* on."""
    package: PackageName | None = None
    manifest: Manifest | None = None
    evidence: Evidence | None = None
    summary: Summary | None = None
    targets: tuple[str, ...] | None = None
    """Which targets it is about; None is all."""
    overwrite: bool = False
    """Whether what a target holds beside the ledger is overwritten."""

    def __str__(self) -> str:
        return f"package {self.package}" if self.package else f"the {self.work}"


@frozen
class Shift:
    """Who runs: the member, and one sync of theirs, so that a runner knows its own receipts again."""

    member: MemberId
    run: str


@dataclass(kw_only=True)
class Runner:
    """The hold of one runner on the ledger: its tip as this runner last moved it, and what the next receipt says."""

    desk: Desk
    shift: Shift
    order: WorkOrder
    tip: CommitId
    tree: TreeId
    lists: CommitId | None
    """The commit that says what targets were given, which the next receipt names."""
    has_called: bool = False
    """Whether a target was called since the ledger was last moved."""

    @classmethod
    def at(cls, desk: Desk, ledger: Ledger, order: WorkOrder, shift: Shift, *, tree: TreeId) -> Runner:
        """Stand where the ledger is now; `tree` is what it says of production from the next receipt on."""
        return cls(
            desk=desk, shift=shift, order=order, tip=ledger.tip, tree=tree, lists=ledger.receipt.holdings
        )

    @property
    def holdings(self) -> Holdings:
        """What targets were given, as the next receipt will say."""
        return Holdings(repo=self.desk.repo, commit=self.lists)

    def note(self, files: Mapping[str, bytes]) -> None:
        """Change what the next receipt says of targets and packages, by path of its lists."""
        repo = self.desk.repo
        base = None if self.lists is None else repo.tree_of(self.lists)
        self.lists = repo.write_commit(
            tree=repo.write_tree(base, files),
            parents=(),
            message="What every target was last given\n",
            author=self.desk.pen.identity,
            when=self.desk.now(),
            sign=False,  # the receipt that names it is signed
        )

    def show(self, summary: Summary) -> None:
        """Let the next receipt say this of a package."""
        self.note({summary_path(summary.name): write_summary(summary)})

    def receipt(self, event: Event, **more: object) -> Receipt:
        """Write a receipt of this work."""
        base = Receipt(
            event=event,
            runner=self.shift.member,
            run=self.shift.run,
            work=self.order.work,
            package=self.order.package,
            items=self.order.items if self.order.work in {Work.RETRY, Work.REPAIR} else (),
            targets=self.order.targets or (),
            holdings=self.lists,
        )
        return replace(base, **more)  # type: ignore[arg-type]

    def move(self, receipt: Receipt, *, also: Sequence[RefMove] = ()) -> None:
        """Push a receipt, and what belongs with it, all or nothing.

        What was judged, and the lists, become its parents, so that any clone has them.

        Raises:
            RaceLost: the ledger is not where this runner left it any more, or another ref moved.
        """
        made = self.desk.pen.commit(
            self.desk.repo,
            tree=self.tree,
            parents=receipt.parents_after(self.tip),
            message=message_of(receipt.subject, receipt_document(receipt)),
        )
        self.desk.repo.push([RefMove(ref=LEDGER, new=made, expected=self.tip), *also])
        self.tip = made
        self.has_called = False

    def show_alive(self) -> None:
        """Show that this runner is at work.

        Raises:
            TakenOver: somebody else is.
        """
        try:
            self.move(self.receipt(Event.ALIVE))
        except RaceLost as lost:
            raise taken_over() from lost


def taken_over() -> TakenOver:
    """Say that somebody else moved the ledger."""
    return TakenOver("another runner took over", hint="it finishes what was begun")
