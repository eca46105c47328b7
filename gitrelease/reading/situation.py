"""How things stand right now: the main branch, the ledger, and what lies between them.

The state that is approved is the ledger's tree and, on top of it, every package that the main branch holds,
that the ledger does not, and that is approved: a fold in first-parent order, each judged by what was approved
before it (design 4, "effective workspace").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from gitrelease.archiving import Archive, read_archive
from gitrelease.core.archive import Settlement
from gitrelease.core.content import Difference
from gitrelease.core.names import (
    BlobId,
    CommitId,
    ItemKey,
    PackageName,
    RefName,
    TaskId,
    TreeId,
    branch,
    package_at,
    task_ref,
)
from gitrelease.core.package import Reason
from gitrelease.core.review import Review
from gitrelease.core.status import Status
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Forge
from gitrelease.reading.judging import Ground, Judged, judge_merged
from gitrelease.reading.ledger import Ledger, read_ledger
from gitrelease.reading.tasks import Authors, belongs, highest_numbers
from gitrelease.reading.trees import guarded_difference, read_workspace
from gitrelease.repo import Repo, TreeChange


class MainMissing(GitReleaseError):
    """The main branch of the trust root is not there, so nothing can be compared with it."""

    code = "main-missing"


class MainRewritten(GitReleaseError):
    """The main branch does not go on from what was applied of it, so what was merged when cannot be known."""

    code = "main-rewritten"


class Reviewing(Authors, Protocol):
    """What has to be asked of a forge to judge what was merged."""

    def resolved(self, workspace: Workspace) -> Workspace:
        """Give a workspace whose teams are resolved."""

    def find(self, package: PackageName, workspace: Workspace) -> Review | None:
        """Ask for everything known about one package."""


@frozen
class Merged:
    """A package that the main branch holds and the ledger does not."""

    name: PackageName
    merge: CommitId
    before: CommitId
    judged: Judged | None
    trouble: Reason | None = None
    """Why it could not even be judged."""

    @property
    def is_approved(self) -> bool:
        """Whether sync may apply it."""
        return self.judged is not None and self.judged.verdict.is_approved


@frozen
class Situation:
    """Everything that decisions start from, gathered once."""

    refs: Mapping[RefName, str]
    main: CommitId
    ledger: Ledger
    archive: Archive
    workspace: Workspace
    """The effective workspace at the tip of the main branch."""
    approved: TreeId
    """What is approved, at the tip of the main branch."""
    merged: tuple[Merged, ...]
    unapproved: tuple[TreeChange, ...]
    """Where the main branch holds other than what is approved, after every approved package is counted."""

    @property
    def ground(self) -> Ground:
        """What the next package is judged by."""
        return Ground(
            approved=self.approved,
            workspace=self.workspace,
            root=self.ledger.root,
            main=self.ledger.main,
            main_tip=self.main,
            forge=self.ledger.forge,
            closed=closed_in(self.archive),
            settled=settled_in(self.archive, self.refs),
            numbers=lambda recorded, also: highest_numbers(self.refs, self.archive, recorded, also),
        )

    @property
    def unapproved_items(self) -> frozenset[ItemKey]:
        """The items that the main branch holds as nobody approved them."""
        return frozenset(item for change in self.unapproved if (item := belongs(change.path)) is not None)


def gather(repo: Repo, forge: Forge, *, root: CommitId | None) -> Situation:
    """Read how things stand, from the refs as last fetched.

    Raises:
        LedgerMissing, LedgerForged, MainMissing: nothing can be decided before that is mended.
    """
    refs = repo.refs()
    archive = read_archive(repo, refs)
    ledger = read_ledger(repo, refs, root=root, archive=archive)
    tip = refs.get(branch(ledger.main))
    if tip is None:
        raise MainMissing(
            f"there is no branch {ledger.main}, which the trust root names as the main branch",
            hint=f"name it {ledger.main} again, or ask the server's administrator why it is gone",
        )
    main = CommitId(tip)
    _check_goes_on(repo, ledger, main)
    merged, approved, workspace = fold(
        repo, forge, ledger, main, workspace=ledger.workspace, archive=archive, refs=refs
    )
    return Situation(
        refs=refs,
        main=main,
        ledger=ledger,
        archive=archive,
        workspace=workspace,
        approved=approved,
        merged=tuple(merged),
        unapproved=tuple(guarded_difference(repo, approved, main)),
    )


def _check_goes_on(repo: Repo, ledger: Ledger, main: CommitId) -> None:
    """Refuse a main branch whose first parents lead elsewhere than to what was applied.

    The order of releases is the order of first parents. A merge with its sides exchanged takes the place of
    that line while it contains all of it, and could be told from an honest one by nothing that comes later.
    """
    last = ledger.merged_up_to()
    if last is not None and not repo.is_first_parent(last, main):
        raise MainRewritten(
            f"{ledger.main} ({main:.7}) does not go on from {last:.7}, which was applied last: it was rewritten, or"
            " merged with its sides exchanged",
            hint=f"have {ledger.main} moved back to the commit before that, whose first parents lead to {last:.7}",
        )


def fold(
    repo: Repo,
    forge: Reviewing,
    ledger: Ledger,
    main: CommitId,
    *,
    workspace: Workspace,
    archive: Archive,
    refs: Mapping[RefName, str],
) -> tuple[list[Merged], TreeId, Workspace]:
    """Judge what the main branch holds beyond the ledger, each package by what was approved before it.

    Args:
        repo: the repository.
        forge: where the packages were reviewed.
        ledger: what was applied.
        main: the tip of the main branch.
        workspace: the effective workspace where the ledger stands.
        archive: what was rejected or revoked.
        refs: the refs of the shared repository: a task with a branch was not settled.

    Returns:
        the packages, and what is approved at the tip: the tree and the workspace.
    """
    approved = ledger.tree
    workspace = forge.resolved(workspace)
    merged = []
    for name, merge, before in packages_beyond(repo, ledger, main):
        ground = Ground(
            approved=approved,
            workspace=workspace,
            root=ledger.root,
            main=ledger.main,
            main_tip=main,
            forge=ledger.forge,
            closed=closed_in(archive),
            settled=settled_in(archive, refs),
        )
        try:
            review = forge.find(name, workspace)
            judged = judge_merged(repo, forge, ground, name, review=review, merge=merge)
        except GitReleaseError as wrong:
            trouble = Reason(code=wrong.code, message=wrong.message)
            merged.append(Merged(name=name, merge=merge, before=before, judged=None, trouble=trouble))
            continue
        merged.append(Merged(name=name, merge=merge, before=before, judged=judged))
        if judged.verdict.is_approved:
            package = judged.package
            difference = package.manifest.difference(package.manifest_id)
            approved = with_package(repo, approved, difference, like=merge)
            if package.manifest.touches_workspace:
                workspace = forge.resolved(read_workspace(repo, approved))
    return merged, approved, workspace


def closed_in(archive: Archive) -> Callable[[PackageName], Status | None]:
    """Give the question whether a package was rejected or revoked, and so cannot come back by a push."""

    def closed(package: PackageName) -> Status | None:
        became = archive.outcome(package)
        return None if became is None else became.status

    return closed


def settled_in(
    archive: Archive, refs: Mapping[RefName, str]
) -> Callable[[TaskId, CommitId], Settlement | None]:
    """Give the question how a task was settled: one that was taken back cannot go live by a package made elsewhere.

    What has its branch was not settled. Only for the few others the archive is gone through.
    """
    known: dict[tuple[TaskId, CommitId], Settlement] = {}

    def settled(task: TaskId, commit: CommitId) -> Settlement | None:
        if refs.get(task_ref(task)) == commit:
            return None
        if not known:
            for _, entry in archive.entries():
                for one in entry.tasks:
                    known.setdefault((one.id, one.commit), one.settlement)
        return known.get((task, commit))

    return settled


def with_package(repo: Repo, tree: TreeId, changes: Difference, *, like: CommitId | None = None) -> TreeId:
    """Write the tree that a package makes of another; only a merge that is `like` it may refer to it yet."""
    edits = {path: None if after is None else BlobId(after) for path, (_, after) in changes.items()}
    return repo.write_tree(tree, edits, like=like)


def packages_beyond(
    repo: Repo, ledger: Ledger, main: CommitId
) -> Sequence[tuple[PackageName, CommitId, CommitId]]:
    """List the packages that the main branch holds beyond the ledger, in first-parent order: name, merge, parent."""
    added = [
        change.path
        for change in repo.diff(ledger.tree, main, ["packages"])
        if change.before is None and change.after is not None and change.after.is_file
    ]
    if not added:
        return []
    found = []
    for commit, paths in repo.introduced(main, added):
        for path in paths:
            name = package_at(path)
            if name is not None and commit.parents and not _refused(ledger, name):
                found.append((name, commit.id, commit.parents[0]))
    return found


def _refused(ledger: Ledger, name: PackageName) -> bool:
    """Say whether the ledger refused a package for good; its changes are then nobody's."""
    return ledger.holdings.summary(name) is not None
