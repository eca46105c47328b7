"""The past of a ledger, played again from its trust root: does every receipt follow from the one before?

Everything is judged once more, by the functions that judged it then, from what the receipts keep as parents:
no ref is asked. Whatever does not hold becomes a `Broken`, and the walk goes on, so that one attack does not
hide the next. The workspace that judges is the last one that was approved, never one that a receipt claims.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gitrelease.core.content import Difference, Held
from gitrelease.core.ledger import Event, Evidence, ForgeKind, Founding, Receipt, does_not_follow
from gitrelease.core.names import (
    LEDGER,
    WORKSPACE_PATH,
    BlobId,
    CommitId,
    ItemKey,
    PackageName,
    RefName,
    TreeId,
)
from gitrelease.core.package import Manifest
from gitrelease.core.people import Actor
from gitrelease.core.pull_request import PullRequest, Recorded, parse_pull_request, review_of
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Signatures, Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges.local import review_at
from gitrelease.reading.accounting import Accounts, Begun
from gitrelease.reading.broken import MALFORMED, Broken, Listing
from gitrelease.reading.deployables import all_states
from gitrelease.reading.judging import Ground, Judged, judge_merged
from gitrelease.reading.ledger import receipt_of
from gitrelease.reading.lookahead import WINDOW, Outlook, Step
from gitrelease.reading.packages import content_of
from gitrelease.reading.trees import guarded_difference, held, read_manifest, read_workspace
from gitrelease.repo import EMPTY_TREE, Commit, Repo, TreeChange
from gitrelease.signers import identify


@frozen
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
    founding: Founding
    """What the trust root says; where packages are reviewed is whose word is evidence."""
    workspace: Workspace
    """The workspace as approved before the work at hand: it says who may write, and judges what comes."""
    coming: Workspace | None = None
    """The workspace that the work at hand brings; it counts from the next work on."""
    workspaces: list[Workspace]
    """Every workspace there was, the first one first."""
    brought: list[CommitId] = field(default_factory=list)
    """The receipts that brought all of them but the first."""
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
    items_taken_over: tuple[ItemKey, ...] = ()
    """What there was at the beginning; nobody reviewed it."""
    broken: list[Broken] = field(default_factory=list)
    receipts: int = 1
    items: int = 0
    signatures: int = 0

    @property
    def effective(self) -> Workspace:
        """The last workspace that was approved."""
        return self.coming or self.workspace

    @property
    def tree(self) -> TreeId:
        """What the ledger says production should hold."""
        return self.at.tree

    @property
    def is_whole(self) -> bool:
        """Whether nothing is begun here, and the receipt it has come to could be read."""
        return self.begun is None and self.coming is None and self.receipt == receipt_of(self.at)

    def is_followed_by(self, later: Past) -> bool:
        """Say whether what was played from here as if all before it were in order was played from what there is.

        Whatever this comes to remember beyond what `go_on` adds has to be compared here.
        """
        is_clear = not self.forged and not self.accounts.unexplained and not later.broken
        is_new = self.packages.keys().isdisjoint(later.packages)
        return self.is_whole and is_clear and is_new and self.workspace == later.workspaces[0]

    def go_on(self, later: Past) -> None:
        """Add what follows."""
        self.at, self.receipt, self.begun = later.at, later.receipt, later.begun
        self.workspace, self.coming = later.workspace, later.coming
        self.workspaces += later.workspaces[1:]
        self.brought += later.brought
        self.packages |= later.packages
        self.accounts.unexplained = later.accounts.unexplained
        self.receipts += later.receipts
        self.items += later.items
        self.signatures += later.signatures


def replay(repo: Repo, tip: CommitId, root: CommitId, *, past: Past | None = None) -> Past:
    """Play a ledger from its trust root, which is one of its first parents, to its tip.

    Args:
        repo: the repository.
        tip: the ledger.
        root: its trust root.
        past: how far it was played already, to go on from there.

    Raises:
        GitReleaseError: the root is no trust root, so there is nothing to begin from.
    """
    past = past or _beginning(repo, root)
    _Player(repo=repo, past=past, chain=repo.first_parents(tip, since=past.at.id)).play()
    return past


def _beginning(repo: Repo, root: CommitId) -> Past:
    """Begin at a trust root, and look whether it holds what it took over."""
    past = at_root(repo, root)
    with Listing(broken=past.broken, promise=4, ref=LEDGER, what="the trust root"):
        past.items_taken_over = tuple(sorted(all_states(repo, root)))
        if past.workspace.id != past.founding.workspace:
            raise GitReleaseError(
                f"names the workspace {past.founding.workspace}, and holds that of {past.workspace.id}"
            )
        if changes := guarded_difference(repo, past.founding.taken_over, root):
            raise GitReleaseError(f"holds {changes[0].path} other than the commit it took over")
    return past


def at_root(repo: Repo, root: CommitId) -> Past:
    """Stand at a trust root, with nothing looked at.

    Raises:
        GitReleaseError: it is none.
    """
    commit = repo.commit(root)
    receipt = receipt_of(commit)
    if receipt.founding is None:
        raise GitReleaseError("it is no trust root")
    workspace = read_workspace(repo, root)
    return Past(
        repo=repo,
        root=root,
        founding=receipt.founding,
        workspace=workspace,
        workspaces=[workspace],
        at=commit,
        receipt=receipt,
        accounts=Accounts(repo=repo),
    )


@dataclass(kw_only=True)
class _Signers:
    """Who made commits of the past; many are asked about at once, as each question starts git."""

    repo: Repo
    known: dict[CommitId, Actor] = field(default_factory=dict)

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who made the commit that each task is."""
        return {ref: (self.of(commit, workspace),) for ref, commit in branches.items()}

    def of(self, commit: CommitId, workspace: Workspace) -> Actor:
        """Say who made a commit."""
        if commit not in self.known:
            self.ask([commit], workspace)
        return self.known[commit]

    def ask(self, commits: Iterable[CommitId], workspace: Workspace) -> None:
        """Find out who made many commits; one that cannot be read does not hide the others."""
        wanted = [commit for commit in dict.fromkeys(commits) if commit not in self.known]
        try:
            self.known |= identify(self.repo, wanted, workspace)
        except MALFORMED:
            if len(wanted) == 1:
                raise
            for commit in wanted:
                with suppress(*MALFORMED):
                    self.known |= identify(self.repo, [commit], workspace)


@dataclass(kw_only=True)
class _Player:
    """Goes through a ledger, receipt by receipt."""

    repo: Repo
    past: Past
    chain: Sequence[Step]
    signers: _Signers = field(init=False)
    outlook: Outlook = field(init=False)
    where: str = ""
    is_tree_checked: bool = False

    def __post_init__(self) -> None:
        past = self.past
        self.signers = _Signers(repo=self.repo)
        merges = [known.merge for known in past.packages.values()]
        # Whoever begins in the middle knows no merge, and all that came before is not worth looking at.
        self.outlook = Outlook(
            repo=self.repo, lists=past.receipt.holdings or EMPTY_TREE, main=merges[-1] if merges else None
        )

    def play(self) -> None:
        """Go through all of it."""
        asked_up_to = 0
        self.repo.follow(self.past.at.id, self.chain)
        for number, (commit, changes) in enumerate(self.chain):
            self.where = f"receipt {commit.id:.7}"
            if number % WINDOW == 0:
                with suppress(*MALFORMED):  # what cannot be read shows where it is asked for
                    self.outlook.look(self.chain[number : number + WINDOW])
            if number >= asked_up_to:
                asked_up_to = self._ask_signers(number)
            self.is_tree_checked = False
            with self._listing():
                self._step(commit, changes)
            if not self.is_tree_checked:  # something broke before, and must not hide what was changed
                self._check_tree({}, changes)
            self.past.at = commit

    def say(self, promise: int, why: str) -> None:
        """Note what does not hold about the receipt at hand."""
        self.past.broken.append(Broken(promise=promise, ref=LEDGER, why=f"{self.where} {why}"))

    def _listing(self, promise: int = 4, what: str = "") -> Listing:
        said = f"{self.where} {what}".rstrip()
        return Listing(broken=self.past.broken, promise=promise, ref=LEDGER, what=said)

    def _ask_signers(self, start: int) -> int:
        """Ask at once who made what comes next, up to where the workspace may change; give where that is."""
        if self.past.coming is not None:  # what is signed after this work is judged by another workspace
            return start + 1
        end = start
        wanted: list[CommitId] = []
        for commit, changes in self.chain[start : start - start % WINDOW + WINDOW]:
            end += 1
            wanted += [commit.id, *self.outlook.made_by_people(commit)]
            if any(change.path == WORKSPACE_PATH for change in changes):
                break
        self.signers.known.clear()
        with suppress(*MALFORMED):
            self.signers.ask(wanted, self.past.workspace)
        return end

    def _step(self, commit: Commit, changes: Sequence[TreeChange]) -> None:
        past = self.past
        receipt = None
        with self._listing():
            receipt = receipt_of(commit)
        with self._listing():
            self._check_signer(commit, receipt)
        if receipt is None:
            return
        past.receipts += 1
        self._check_place(commit, receipt)
        if receipt.event in {Event.STARTED, Event.REFUSED}:
            past.begun = Begun(receipt=receipt)
        approved = None
        if receipt.event is Event.STARTED and receipt.package is not None:
            with self._listing():
                approved = self._started(commit, receipt, receipt.package, changes)
        elif receipt.event is Event.REFUSED and receipt.package is not None:
            with self._listing():
                self._refused(receipt, receipt.package)
        if approved is not None:
            past.coming = approved
            past.workspaces.append(approved)
            past.brought.append(commit.id)
        with self._listing():
            before = past.receipt.holdings
            for fault in past.accounts.faults(
                receipt, begun=past.begun, before=before, tree=commit.tree, workspace=past.effective
            ):
                self.say(fault.promise, fault.why)
        past.receipt = receipt
        if receipt.event is Event.FINISHED and receipt.package in past.packages:
            known = past.packages[receipt.package]
            past.packages[receipt.package] = replace(known, event=Event.FINISHED, note=receipt.note)
        if not receipt.is_open:
            past.begun = None
            if past.coming is not None:
                past.workspace, past.coming = past.coming, None
                self.signers.known.clear()

    # What every receipt has to be.

    def _check_signer(self, commit: Commit, receipt: Receipt | None) -> None:
        """Compare who signed a receipt with who the workspace before it lets write one."""
        workspace = self.past.workspace
        actor = self.signers.of(commit.id, workspace)
        if actor.member is None:
            self.say(4, f"{actor.doubt}, and only a runner writes receipts")
            return
        self._count([actor])
        if not workspace.may(actor.member, Action.SYNC):
            self.say(4, f"was written by {actor.member}, who is no runner")
        if receipt is not None and receipt.runner != actor.member:
            self.say(4, f"names {receipt.runner} as its runner, and was written by {actor.member}")

    def _count(self, actors: Iterable[Actor]) -> None:
        if self.past.workspace.review.signatures is Signatures.REQUIRED:
            self.past.signatures += sum(actor.member is not None for actor in actors)

    def _check_place(self, commit: Commit, receipt: Receipt) -> None:
        """Compare a receipt with what it follows, and its parents with what it says it keeps."""
        begun = self.past.begun
        started = None if begun is None else begun.receipt
        if commit.parents != receipt.parents_after(self.past.at.id):
            self.say(4, "does not have as parents what it says it rests on")
        for fault in does_not_follow(receipt, started):
            self.say(4, fault)

    def _check_tree(self, expected: Difference, changes: Sequence[TreeChange]) -> bool:
        """Compare what a receipt changes with what it may; remember what is approved where the two part."""
        self.is_tree_checked = True
        found = {change.path: (held(change.before), held(change.after)) for change in changes}
        forged = self.past.forged
        for path in sorted(expected.keys() | found.keys()):
            if expected.get(path) == found.get(path):
                forged.pop(path, None)
                continue
            if path not in expected:
                forged.setdefault(path, found[path][0])
                self.say(1, f"changes {path}, which no manifest explains")
                continue
            forged[path] = expected[path][1]
            what = (
                "does not change"
                if path not in found
                else "does not give the bytes that the manifest pins to"
            )
            self.say(1, f"{what} {path}")
        return expected == found

    # Packages.

    def _started(
        self, commit: Commit, receipt: Receipt, package: PackageName, changes: Sequence[TreeChange]
    ) -> Workspace | None:
        """Judge a package once more; give the workspace that it brings, if it was approved."""
        evidence = receipt.evidence
        if evidence is None:
            return None  # that was said
        if package in self.past.packages:
            self.say(4, f"applies {package}, which the ledger knew before")
        self.past.packages[package] = Known(merge=evidence.main_after, event=Event.STARTED)
        judged = None
        with self._listing(1, f"rests on what is no evidence of {package}"):
            judged = self._judge(evidence, package)
        if judged is None:
            return None
        manifest = judged.package.manifest
        self.past.begun = Begun(receipt=receipt, manifest=manifest, verdict=judged.verdict)
        self.past.items += len(manifest.items)
        is_approved = self._check_verdict(judged, evidence)
        wanted = manifest.difference(judged.package.manifest_id)
        is_exact = self._check_tree(self._on_ledger(wanted), changes)
        if is_approved and is_exact and manifest.touches_workspace:
            return read_workspace(self.repo, commit.tree)
        return None

    def _judge(self, evidence: Evidence, package: PackageName) -> Judged:
        past = self.past
        ground = Ground(
            approved=past.tree,
            workspace=past.workspace,
            root=past.root,
            main=past.founding.main,
            main_tip=evidence.main_after,
            forge=past.founding.forge,
            is_past=True,
        )
        if past.founding.forge is ForgeKind.GITHUB:
            return self._judge_recorded(evidence, package, ground)
        if evidence.recorded:
            self.say(
                4, f"keeps what a forge is said to have recorded of {package}; this workspace is on plain git"
            )
        review = review_at(self.repo, package, evidence.head, evidence.log, past.workspace)
        judged = judge_merged(
            self.repo, self.signers, ground, package, review=review, merge=evidence.main_after
        )
        self._count(review.authors)
        self._count(opinion.actor for opinion in review.opinions)
        self._count(actor for task in judged.tasks for actor in (task.submitter, *task.also_by))
        return judged

    def _judge_recorded(self, evidence: Evidence, package: PackageName, ground: Ground) -> Judged:
        """Judge by what a forge said at the time, which sync wrote down and signed."""
        pull = parse_pull_request(evidence.recorded)
        if (pull.package, pull.head) != (package, evidence.head):
            raise GitReleaseError(f"keeps the record of {pull.package} at {pull.head:.7}")
        workspace = ground.workspace.with_teams(pull.teams)
        kept = self._kept(evidence, pull)

        def content(package: PackageName, commit: CommitId) -> BlobId | None:
            return content_of(self.repo, package, commit) if commit in kept else None

        review = review_of(pull, workspace, main=ground.main, content=content)
        return judge_merged(
            self.repo,
            Recorded(pull=pull),
            replace(ground, workspace=workspace),
            package,
            review=review,
            merge=evidence.main_after,
        )

    def _kept(self, evidence: Evidence, pull: PullRequest) -> set[CommitId]:
        """Say what a receipt keeps of what the branch held: what else a clone has, others lack.

        What sync could not have when it judged counted for nothing, and whoever made it has it all the same.
        """
        kept = {evidence.head, *evidence.earlier}
        others = {push.after for push in pull.pushes if push.after is not None} - kept
        here = {commit for commit in others if self.repo.exists(commit)}
        return kept | (here - self.repo.outside(here, evidence.head))

    def _check_verdict(self, judged: Judged, evidence: Evidence) -> bool:
        """Compare what a receipt says was approved with what `evaluate` says of the same evidence."""
        package, verdict = judged.package, judged.verdict
        name = package.manifest.name
        self._check_evidence(evidence, package.manifest)
        if evidence.manifest != package.manifest_id:
            self.say(1, f"names another manifest of {name} than its merge brought")
        for reason in (*verdict.reasons, *verdict.missing):
            self.say(1, f"applies {name}, which was not approved: {reason.message}")
        counted = {opinion.id for opinion in verdict.approvals}
        for opinion in sorted(set(evidence.approvals) - counted):
            self.say(1, f"counts {opinion:.12} as an approval of {name}, and it is none that counts")
        for opinion in sorted(counted - set(evidence.approvals)):
            self.say(4, f"leaves out {opinion:.7}, which approved {name}")
        return verdict.is_approved

    def _check_evidence(self, evidence: Evidence, manifest: Manifest) -> None:
        parents = self.repo.commit(evidence.main_after).parents
        if parents[:1] != (evidence.main_before,):
            self.say(
                4,
                f"names {evidence.main_before:.7} as what {self.past.founding.main} held before {manifest.name}",
            )
        if evidence.tasks != tuple(planned.task for planned in manifest.items):
            self.say(4, f"names other tasks than the manifest of {manifest.name}")

    def _on_ledger(self, wanted: Difference) -> Difference:
        """Say what a package changes in the ledger: a restore finds the approved bytes there already."""
        entries = self.repo.entries(self.past.tree, wanted)
        now = {path: held(entries.get(path)) for path in wanted}
        return {path: (now[path], after) for path, (_, after) in wanted.items() if now[path] != after}

    def _refused(self, receipt: Receipt, package: PackageName) -> None:
        """Look at what was refused: nothing came of it, but it has to be a package that was merged."""
        evidence = receipt.evidence
        if evidence is None:
            return  # that was said
        if package in self.past.packages:
            self.say(4, f"refuses {package}, which the ledger knew before")
        self.past.packages.setdefault(package, Known(merge=evidence.main_after, event=Event.REFUSED))
        if not receipt.reasons:
            self.say(4, f"does not say why {package} was refused")
        read = read_manifest(self.repo, evidence.main_after, package)
        if read is None or read[0] != evidence.manifest:
            self.say(4, f"names {evidence.main_after:.7} as the merge of {package}, which it is not")
            return
        self._check_evidence(evidence, read[1])
        self.past.begun = Begun(receipt=receipt, manifest=read[1])
