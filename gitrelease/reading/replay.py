"""The past of a ledger, played again from its trust root: does every receipt follow from the one before?

Everything is judged once more, by the functions that judged it then, from what the receipts keep as parents: no
ref is asked. Whatever does not hold becomes a `Broken`, and the walk goes on, so that one attack does not hide
the next. The workspace that judges is the last one that was approved, never the one that a receipt claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from gitrelease.core.content import Difference, Held
from gitrelease.core.ledger import Event, Evidence, Receipt, Work, parse_receipt
from gitrelease.core.names import (
    LEDGER,
    WORKSPACE_PATH,
    CommitId,
    ItemKey,
    PackageName,
    RefName,
    TreeId,
    branch,
)
from gitrelease.core.package import Manifest
from gitrelease.core.people import Actor
from gitrelease.core.workspace import Action, Signatures, Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges.local import review_at
from gitrelease.messages import MessageRefused, read_message
from gitrelease.reading.accounting import Accounts, Begun
from gitrelease.reading.deployables import all_states
from gitrelease.reading.judging import Ground, Judged, judge_merged
from gitrelease.reading.trees import guarded_difference, held, read_workspace
from gitrelease.repo import Commit, Repo, TreeChange
from gitrelease.schemas import value_problems
from gitrelease.signers import identify

MALFORMED = (
    GitReleaseError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What content raises that somebody made up: an auditor reports it, and never dies of it."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One thing that does not hold."""

    promise: int
    """Which promise of design 10 it breaks."""
    ref: str
    """The ref it was found behind, in full."""
    why: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """A package that the ledger knows, and what became of it."""

    merge: CommitId
    event: Event
    note: str = ""


@dataclass(kw_only=True)
class Past:
    """What replaying a ledger told, up to the receipt it has come to."""

    repo: Repo
    root: CommitId
    main: str
    workspace_id: str
    taken_over: CommitId
    taken_over_items: tuple[ItemKey, ...]
    workspace: Workspace
    """The effective workspace: the last that was approved."""
    workspaces: list[Workspace]
    """Every workspace there was, the first one first."""
    at: Commit
    """The receipt that comes before the next."""
    receipt: Receipt
    """The last receipt that can be read."""
    begun: Begun | None = None
    """The work that is not finished yet."""
    packages: dict[PackageName, Known] = field(default_factory=dict)
    forged: dict[str, Held | None] = field(default_factory=dict)
    """What is approved at the paths where the ledger holds something that no package explains."""
    accounts: Accounts
    broken: list[Broken] = field(default_factory=list)
    receipts: int = 1
    items: int = 0
    signatures: int = 0

    @property
    def tree(self) -> TreeId:
        """What the ledger says production should hold."""
        return self.at.tree


def replay(repo: Repo, tip: CommitId, root: CommitId) -> Past:
    """Play a ledger from its trust root, which is one of its first parents, to its tip.

    Raises:
        GitReleaseError: the root is no trust root, so there is nothing to begin from.
    """
    past = _beginning(repo, root)
    _Player(repo=repo, past=past, chain=repo.first_parents(tip, since=root)).play()
    return past


def read_receipt(commit: Commit) -> Receipt:
    """Read the receipt that a commit of the ledger is; one that its schema does not allow is none."""

    def parse(value: Mapping[str, object]) -> Receipt:
        if problems := value_problems(value, "receipt"):
            raise MessageRefused(problems[0].message)
        return parse_receipt(value)

    return read_message(commit.message, parse, of="it")


def _beginning(repo: Repo, root: CommitId) -> Past:
    commit = repo.commit(root)
    receipt = read_receipt(commit)
    if (
        receipt.event is not Event.ROOT
        or receipt.main is None
        or receipt.workspace is None
        or receipt.taken_over is None
    ):
        raise GitReleaseError("it is no trust root")
    workspace = read_workspace(repo, root)
    past = Past(
        repo=repo,
        root=root,
        main=receipt.main,
        workspace_id=receipt.workspace,
        taken_over=receipt.taken_over,
        taken_over_items=tuple(sorted(all_states(repo, root))),
        workspace=workspace,
        workspaces=[workspace],
        at=commit,
        receipt=receipt,
        accounts=Accounts(repo=repo),
    )
    with listing(past.broken, promise=4, ref=LEDGER, what="the trust root"):
        if workspace.id != receipt.workspace:
            raise GitReleaseError(f"names the workspace {receipt.workspace}, and holds that of {workspace.id}")
        if changes := guarded_difference(repo, receipt.taken_over, root):
            raise GitReleaseError(f"holds {changes[0].path} other than the commit it took over")
    return past


@contextmanager
def listing(broken: list[Broken], *, promise: int, ref: RefName, what: str) -> Iterator[None]:
    """Make a finding of whatever cannot be read, instead of ending there."""
    try:
        yield
    except MALFORMED as wrong:
        said = wrong.message if isinstance(wrong, GitReleaseError) else f"cannot be read ({wrong!r})"
        broken.append(Broken(promise=promise, ref=ref, why=f"{what}: {said}"))


@dataclass(kw_only=True)
class _Signers:
    """Who made commits of the past, asked for many at once."""

    repo: Repo
    known: dict[CommitId, Actor] = field(default_factory=dict)

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who made the commit that a task is."""
        self.ask(branches.values(), workspace)
        return {ref: (self.known[commit],) for ref, commit in branches.items()}

    def ask(self, commits: Iterator[CommitId] | Sequence[CommitId] | object, workspace: Workspace) -> None:
        """Find out who made commits, under one workspace."""
        raise NotImplementedError
