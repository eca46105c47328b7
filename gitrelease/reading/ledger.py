"""The ledger: what production should hold, what every target was last given, and whether to believe it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property, lru_cache

from gitrelease.archiving import Archive
from gitrelease.core.archive import Settlement
from gitrelease.core.ledger import Event, ForgeKind, Founding, Receipt, parse_receipt
from gitrelease.core.names import (
    LEDGER,
    WORKSPACE_PATH,
    CommitId,
    PackageName,
    RefName,
    TreeId,
    manifest_path,
    package_ref,
    release_tag,
)
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Signatures, Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.messages import MessageRefused, read_message
from gitrelease.reading.holdings import Holdings
from gitrelease.reading.trees import read_workspace
from gitrelease.repo import Commit, NotOnFirstParents, Repo
from gitrelease.signers import identify

ROOT = "root"
"""Under which name a clone remembers the trust root from which it saw the ledger grow."""


ROOT_KEY = "gitrelease.root"
"""Where git's configuration has the trust root: what a clone believes, and the only one that a server takes."""

_COMMIT_ID = re.compile(r"[0-9a-f]{40}")


class BadRoot(GitReleaseError):
    """What git's configuration has as the trust root cannot be one."""

    code = "bad-setting"


def known_root(repo: Repo) -> CommitId | None:
    """Read the trust root that this repository was told; None where it was told none.

    Raises:
        BadRoot: it is no full id of a commit.
    """
    known = repo.config(ROOT_KEY)
    if known is None:
        return None
    if not _COMMIT_ID.fullmatch(known.strip()):
        raise BadRoot(
            f"{ROOT_KEY} in git's configuration is {known!r}, which is not the full id of a commit",
            hint=f"set it to what `gitrelease init` printed: git config {ROOT_KEY} ID",
        )
    return CommitId(known.strip())


class LedgerMissing(GitReleaseError):
    """There is no ledger where there must be one; that never means that nothing was released."""

    code = "ledger-missing"


class LedgerForged(GitReleaseError):
    """The ledger is not one that the runners of this workspace wrote."""

    code = "ledger-forged"


@frozen
class Ledger:
    """The ledger as it is now."""

    repo: Repo
    root: CommitId
    tip: CommitId
    tree: TreeId
    """Items, records, manifests and workspace as approved: what production should hold."""
    receipt: Receipt
    founding: Founding
    """What the trust root says."""

    @property
    def main(self) -> str:
        """The name of the main branch."""
        return self.founding.main

    @property
    def forge(self) -> ForgeKind:
        """Where packages are reviewed."""
        return self.founding.forge

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace as last approved."""
        return read_workspace(self.repo, self.tree)

    @cached_property
    def writers(self) -> Workspace:
        """The workspace that says who may write the next receipt.

        A package may change who the runners are and which keys they have. Whoever may begin it may also
        finish it, so what it brings counts from the next work on.
        """
        return _before_work(self.repo, self.repo.commit(self.tip)) if self.receipt.is_open else self.workspace

    def merged_up_to(self) -> CommitId | None:
        """Give the main branch's last commit that was applied; None where only the trust root speaks of it."""
        commit = self.repo.commit(self.tip)
        while (receipt := receipt_of(commit)).event is not Event.ROOT and commit.parents:
            if receipt.evidence is not None:
                return receipt.evidence.main_after
            commit = self.repo.commit(commit.parents[0])
        return receipt.founding.taken_over if receipt.founding else None

    def has(self, package: PackageName) -> bool:
        """Say whether the ledger knows a package: released, failed, or refused."""
        return (
            self.repo.tree_entry(self.tree, manifest_path(package)) is not None
            or self.holdings.summary(package) is not None
        )

    @cached_property
    def holdings(self) -> Holdings:
        """What every target was last given, and what became of every package."""
        return Holdings(repo=self.repo, commit=self.receipt.holdings)


def receipt_of(commit: Commit) -> Receipt:
    """Read the receipt that a commit of the ledger is."""
    return _receipt(commit.message, commit.id)


@lru_cache(maxsize=1024)
def _receipt(message: str, id_: CommitId) -> Receipt:
    try:
        return read_message(message, "receipt", parse_receipt, of=f"the ledger's {id_:.7}")
    except MessageRefused as wrong:
        hint = "only a runner may write receipts; restore the branch `production` from a clone"
        raise MessageRefused(wrong.message, hint=hint) from wrong


def find_root(repo: Repo, tip: CommitId) -> CommitId:
    """Walk a ledger down to its first commit; whether that is the right one is for `read_ledger`."""
    return repo.first_of(tip)


def read_beginning(repo: Repo, root: CommitId | None, *, tip: CommitId) -> tuple[CommitId, Founding]:
    """Read the trust root of a ledger.

    Args:
        repo: the repository.
        root: the trust root as known from outside the repository; without one this clone believes the first
            it ever saw.
        tip: the ledger.

    Raises:
        LedgerForged: the commit is no trust root, or the ledger does not descend from it.
    """
    known = repo.remembered()
    first = root or known.get(ROOT) or find_root(repo, tip)
    # What this clone saw grow from the root need not be walked again.
    seen = known.get(LEDGER.removeprefix("refs/")) if known.get(ROOT) == first else None
    if not (repo.exists(first) and repo.is_first_parent(seen or first, tip)):
        raise LedgerForged(
            f"the ledger ({tip:.7}) does not descend from the trust root {first:.7}",
            hint="somebody replaced the branch `production`; restore it before anything else",
        )
    receipt = receipt_of(repo.commit(first))
    if receipt.founding is None:
        raise LedgerForged(
            f"{first:.7} is no trust root", hint="set GITRELEASE_ROOT to what `gitrelease init` printed"
        )
    repo.remember(ROOT, first)
    return first, receipt.founding


def read_ledger(
    repo: Repo, refs: Mapping[RefName, str], *, root: CommitId | None, archive: Archive
) -> Ledger:
    """Read the ledger, and refuse one that cannot be this workspace's (design 3).

    Args:
        repo: the repository.
        refs: the refs of the shared repository.
        root: the trust root as known from outside the repository; without one the first receipt is believed,
            and whoever asks says so.
        archive: what was settled; a ledger that is behind it was rewound.

    Raises:
        LedgerMissing: there is none.
        LedgerForged: it does not descend from the root, its tip is not signed by a runner, or it was rewound.
    """
    if LEDGER not in refs:
        raise LedgerMissing(
            "there is no ledger: the branch `production` is missing",
            hint="in a new repository run `gitrelease init`; else restore the branch from a clone: "
            "it is never rebuilt",
        )
    tip = CommitId(refs[LEDGER])
    first, founding = read_beginning(repo, root, tip=tip)
    commit = repo.commit(tip)
    _check_signer(repo, commit, first)
    ledger = Ledger(
        repo=repo,
        root=first,
        tip=tip,
        tree=commit.tree,
        receipt=receipt_of(commit),
        founding=founding,
    )
    _check_not_behind(ledger, archive)
    return ledger


def _check_signer(repo: Repo, tip: Commit, root: CommitId) -> None:
    """Refuse a receipt that no runner wrote, by the workspace that was approved before its work began."""
    if tip.id == root:
        return
    before = _before_work(repo, tip)
    if before.review.signatures is not Signatures.REQUIRED:
        return
    actor = identify(repo, [tip.id], before)[tip.id]
    if actor.member is None:
        raise LedgerForged(f"the ledger's {tip.id:.7} {actor.doubt}", hint="only a runner may write receipts")
    if not before.may(actor.member, Action.SYNC):
        raise LedgerForged(
            f"the ledger's {tip.id:.7} was signed by {actor.member}, who is no runner",
            hint="only a runner may write receipts; restore the branch `production` from a clone",
        )


def check_writers(ledger: Ledger) -> None:
    """Refuse a ledger in which somebody who was no runner changed who the runners are.

    The tip is judged by the workspace before it. Whoever slips in another workspace below the tip could sign
    for it, so every receipt that changed the workspace is looked at; there are few. A clone remembers how far
    it looked.

    Raises:
        LedgerForged: there is such a receipt, or the ledger did not grow from where this clone looked last.
    """
    checked = f"writers/{ledger.root}"
    since = ledger.repo.remembered().get(checked, ledger.root)
    try:
        changed = ledger.repo.first_parents(ledger.tip, since=since, paths=[WORKSPACE_PATH])
    except NotOnFirstParents as wrong:
        raise LedgerForged(
            f"the ledger ({ledger.tip:.7}) did not grow from {since:.7}",
            hint="somebody replaced the branch `production`; restore it before anything else",
        ) from wrong
    for commit, _ in changed:
        _check_signer(ledger.repo, commit, ledger.root)
    ledger.repo.remember(checked, ledger.tip)


def _before_work(repo: Repo, commit: Commit) -> Workspace:
    """Read the workspace as it was approved before the work began that a receipt is part of."""
    while receipt_of(commit).event in {Event.ALIVE, Event.FINISHED} and commit.parents:
        commit = repo.commit(commit.parents[0])
    if not commit.parents:
        raise LedgerForged(
            f"the ledger's {commit.id:.7} follows from nothing", hint="restore the branch `production`"
        )
    return read_workspace(repo, commit.parents[0])


def _check_not_behind(ledger: Ledger, archive: Archive) -> None:
    """Refuse a ledger that lacks a package which the archive says was released: it was rewound."""
    for package in _last_released(archive):
        is_undone = ledger.receipt.is_open and ledger.receipt.package == package
        if is_undone and _is_half_pushed(ledger.repo, package):
            continue
        if is_undone or not ledger.has(package):
            raise LedgerForged(
                f"the archive says that {package} was released, and the ledger "
                + ("still has it at work" if is_undone else "does not know it"),
                hint="the branch `production` was rewound or replaced; restore it from a clone",
            )


def _is_half_pushed(repo: Repo, package: PackageName) -> bool:
    """Say whether a server died while it wrote down the end of a release, with the archive and not yet the ledger.

    The push is one, but git renames one file after the other, the archive's first, and removes branches last: then
    the package still has its branch, and no tag. Where the ledger was rewound later, that is the other way about.
    """
    return repo.tip(package_ref(package)) is not None and not repo.has_tag(release_tag(package))


def _last_released(archive: Archive) -> list[PackageName]:
    """List the packages that the archive says were released last, however much was revoked since."""
    released: list[PackageName] = []
    for limit in (20, 1000, None):
        entries = archive.entries(limit=limit)
        released = [
            entry.package
            for _, entry in entries
            if entry.settlement is Settlement.RELEASED and entry.package is not None
        ]
        if released or limit is None or len(entries) < limit - 1:
            break
    return released
