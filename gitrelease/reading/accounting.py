"""What targets were given, receipt by receipt: does it follow from what the ledger says was done?

Each receipt names a commit that lists, per target and item, what was last deployed. Nothing in it is taken on
trust: what an item must look like in production follows from its approved bytes and the approved mappings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from gitrelease.core.item import ItemState
from gitrelease.core.ledger import (
    Event,
    Holding,
    ItemResult,
    Receipt,
    Work,
    behind_after,
    held_path,
    holding_of,
    result_of,
    standing_path,
    summary_path,
)
from gitrelease.core.names import CommitId, ItemKey, Kind, PackageName, TreeId
from gitrelease.core.package import Manifest
from gitrelease.core.plan import Digest, OutcomeStatus, mapping_digest
from gitrelease.core.review import Verdict
from gitrelease.core.status import ApprovalView, Status, Summary, approval_views, concluded, conclusion
from gitrelease.core.values import frozen
from gitrelease.core.workspace import TargetSettings, Workspace
from gitrelease.reading.deployables import all_states, deployed_digest, mappings_of
from gitrelease.reading.holdings import Holdings
from gitrelease.reading.trees import read_states
from gitrelease.repo import EMPTY_TREE, Repo

_AT_ONCE = 1000
"""For how many results the files are read at once."""


@frozen
class Fault:
    """What does not hold, and which promise of design 10 that breaks; the sentence begins with a receipt."""

    promise: int
    why: str


@frozen
class Begun:
    """A piece of work as the ledger says it was begun."""

    receipt: Receipt
    manifest: Manifest | None = None
    verdict: Verdict | None = None


def items_of(repo: Repo, begun: Begun, tree: TreeId) -> tuple[ItemKey, ...]:
    """Say what a piece of work is about: a package names its items, a retry lists them, a baseline is about all."""
    if begun.manifest is not None:
        return tuple(one.item for one in begun.manifest.items)
    if begun.receipt.work is Work.BASELINE:
        return tuple(sorted(item for item, state in all_states(repo, tree).items() if state.exists))
    return begun.receipt.items


@dataclass(kw_only=True)
class Accounts:
    """Follows what every target was given, from the first receipt to the last."""

    repo: Repo
    unexplained: dict[tuple[str, ItemKey], Digest | None] = field(default_factory=dict)
    """What a target holds, as a release that failed there left it, and no release gave it."""

    def faults(
        self,
        receipt: Receipt,
        *,
        begun: Begun | None,
        before: CommitId | None,
        tree: TreeId,
        workspace: Workspace,
    ) -> Iterator[Fault]:
        """Find where the list beside a receipt does not follow from the list before it and the receipt.

        Args:
            receipt: the receipt.
            begun: the work it belongs to, as far as that can be read.
            before: the list beside the receipt before.
            tree: the ledger's tree at this receipt.
            workspace: the effective workspace, whose mappings count.
        """
        was, now = Holdings(repo=self.repo, commit=before), Holdings(repo=self.repo, commit=receipt.holdings)
        if receipt.holdings is None:
            if before is not None:
                yield Fault(promise=4, why="does not say any more what targets were given")
            return
        told: dict[str, None] = {}
        if (
            begun is not None
            and receipt.package is not None
            and receipt.event in {Event.STARTED, Event.REFUSED}
        ):
            told[summary_path(receipt.package)] = None
            yield from self._announced(receipt, begun, now)
        elif begun is not None and receipt.event is Event.FINISHED:
            yield from self._finished(receipt, begun, was, now, tree, workspace, told)
        start = EMPTY_TREE if before is None else self.repo.tree_of(before)
        for change in self.repo.diff(start, self.repo.tree_of(receipt.holdings)):
            if change.path not in told:
                yield Fault(promise=4, why=f"changes what is kept at {change.path}, and does not say why")

    # A package is announced.

    def _announced(self, receipt: Receipt, begun: Begun, after: Holdings) -> Iterator[Fault]:
        """Compare what is shown of a package with its manifest and the opinions on it."""
        manifest = begun.manifest
        if receipt.package is None or manifest is None:
            return
        summary = after.summary(receipt.package)
        status = Status.RELEASING if receipt.event is Event.STARTED else Status.REFUSED
        if summary is None:
            yield Fault(promise=4, why=f"keeps no word on {receipt.package}")
            return
        shown = [(one.item, one.change, one.version, one.previous_version, one.task) for one in summary.items]
        planned = [
            (one.item, one.change, one.after.version, one.before.version if one.before else None, one.task)
            for one in manifest.items
        ]
        head = (summary.name, summary.applicant.id, summary.description, summary.execute, summary.status)
        if shown != planned or head != (
            manifest.name,
            manifest.applicant,
            manifest.description,
            manifest.execute,
            status,
        ):
            yield Fault(promise=4, why=f"shows {receipt.package} other than its manifest has it")
        if begun.verdict is not None:
            said, views = (summary.approvals, summary.uncounted), approval_views(begun.verdict)
            if [_facts(part) for part in said] != [_facts(part) for part in views]:
                yield Fault(promise=4, why=f"shows other opinions on {receipt.package} than were given")

    # Work is finished.

    def _finished(
        self,
        receipt: Receipt,
        begun: Begun,
        before: Holdings,
        after: Holdings,
        tree: TreeId,
        workspace: Workspace,
        told: dict[str, None],
    ) -> Iterator[Fault]:
        targets = {
            one.name: one
            for one in workspace.targets
            if not begun.receipt.targets or one.name in begun.receipt.targets
        }
        items = [item for item in items_of(self.repo, begun, tree) if item.kind is not Kind.WORKSPACE]
        wanted = {(target, item) for target in targets for item in items}
        said = receipt.results
        if begun.receipt.work is Work.BASELINE:
            listed = self._holdings(after, wanted)
            said = tuple(result_of(holding, target=target) for (target, _), holding in listed.items())
        results = {(result.target, result.item): result for result in said}
        if results.keys() != wanted or len(results) != len(said):
            yield Fault(promise=4, why="does not give one result for each of its items on each target")
        held = self._holdings(before, results)
        states = read_states(self.repo, tree, {item for _, item in results})
        for number, (key, result) in enumerate(results.items()):
            if number % _AT_ONCE == 0:
                coming = list(results.values())[number : number + _AT_ONCE]
                self.repo.read_ahead(_files_of(states[one.item] for one in coming))
            if key not in wanted:
                continue
            told[held_path(*key)] = None
            yield from self._result(result, targets[result.target], states[result.item], held.get(key))
        yield from self._listed(receipt, results, held, after)
        yield from self._standings(begun, targets, results, before, after, told)
        if receipt.package is not None:
            told[summary_path(receipt.package)] = None
            yield from self._concluded(receipt, receipt.package, before, after)
        yield from self._restated(receipt, results, held, before, after, told)

    def _holdings(
        self, holdings: Holdings, keys: Iterable[tuple[str, ItemKey]]
    ) -> dict[tuple[str, ItemKey], Holding]:
        by_target: dict[str, list[ItemKey]] = {}
        for target, item in keys:
            by_target.setdefault(target, []).append(item)
        return {
            (target, item): holding
            for target, items in by_target.items()
            for item, holding in holdings.of(target, items).items()
        }

    def _result(
        self, result: ItemResult, settings: TargetSettings, state: ItemState | None, held: Holding | None
    ) -> Iterator[Fault]:
        """Work out what the target must hold of an item, and compare."""
        key, outcome = (result.target, result.item), result.outcome
        if result.version != (state.version if state else 0):
            yield Fault(
                promise=4, why=f"names version {result.version} of {result.item}, which was not applied"
            )
        if result.mapping != mapping_digest(mappings_of(settings)):
            why = f"deployed {result.item} to {result.target} under names that no approved workspace has"
            yield Fault(promise=1, why=why)
        wanted = deployed_digest(self.repo, result.item, state, mappings_of(settings))
        last = None if held is None else held.deployed
        if outcome.status is OutcomeStatus.SUCCESSFUL:
            self.unexplained.pop(key, None)
            if outcome.deployed != wanted:
                why = f"deployed other bytes of {result.item} to {result.target} than its manifest gives"
                yield Fault(promise=1, why=why)
        elif not outcome.status.is_failure:
            yield Fault(promise=4, why=f"is finished, and {result.item} is {outcome.status}")
        elif outcome.deployed == wanted:
            self.unexplained.pop(key, None)
        elif outcome.deployed != last:
            # A call that broke down may leave anything; it counts once nobody has mended it since.
            self.unexplained[key] = outcome.deployed

    def _listed(
        self,
        receipt: Receipt,
        results: Mapping[tuple[str, ItemKey], ItemResult],
        held: Mapping[tuple[str, ItemKey], Holding],
        after: Holdings,
    ) -> Iterator[Fault]:
        listed = self._holdings(after, results)
        for key, result in results.items():
            if listed.get(key) != holding_of(result, package=receipt.package, last=held.get(key)):
                why = f"keeps another word on {result.item} on {result.target} than its result"
                yield Fault(promise=4, why=why)

    def _standings(
        self,
        begun: Begun,
        targets: Mapping[str, TargetSettings],
        results: Mapping[tuple[str, ItemKey], ItemResult],
        before: Holdings,
        after: Holdings,
        told: dict[str, None],
    ) -> Iterator[Fault]:
        for name, settings in targets.items():
            told[standing_path(name)] = None
            last, now = before.standing(name), after.standing(name)
            mapping = mapping_digest(mappings_of(settings))
            behind = behind_after(last, (result for (target, _), result in results.items() if target == name))
            is_baseline = begun.receipt.work is Work.BASELINE
            if now is None:
                if last is not None or is_baseline:
                    yield Fault(promise=4, why=f"does not say how it left the target {name}")
                continue
            allowed = {mapping} if is_baseline or last is None else {mapping, last.mapping}
            if now.behind != behind or now.mapping not in allowed:
                yield Fault(promise=4, why=f"says of the target {name} what does not follow from its results")

    def _concluded(
        self, receipt: Receipt, package: PackageName, before: Holdings, after: Holdings
    ) -> Iterator[Fault]:
        """Compare what is shown of a package in the end with how it was announced, and with its results."""
        begun, ended = before.summary(package), after.summary(package)
        if begun is None or ended is None:
            yield Fault(promise=4, why=f"keeps no word on {package}")
            return
        if ended != concluded(begun, receipt.results, at=ended.released_at):
            yield Fault(promise=4, why=f"shows {package} other than its results have it")

    def _restated(
        self,
        receipt: Receipt,
        results: Mapping[tuple[str, ItemKey], ItemResult],
        held: Mapping[tuple[str, ItemKey], Holding],
        before: Holdings,
        after: Holdings,
        told: dict[str, None],
    ) -> Iterator[Fault]:
        """Let earlier packages be shown as released where what failed of them is released now; no more."""
        mended: dict[PackageName, set[ItemKey]] = {}
        for key, result in results.items():
            last = held.get(key)
            if last is None or last.package in {None, receipt.package} or not last.status.is_failure:
                continue
            # A newer version takes the place of one that failed, however it fares itself.
            is_better = not result.outcome.status.is_failure or result.version > last.version
            if is_better and last.package is not None:
                mended.setdefault(last.package, set()).add(result.item)
        for package, items in mended.items():
            told[summary_path(package)] = None
            old, new = before.summary(package), after.summary(package)
            if old is not None and (new is None or not _is_restated(old, new, items)):
                yield Fault(promise=4, why=f"shows {package} anew, other than what was mended of it")


def _files_of(states: Iterable[ItemState | None]) -> Iterator[str]:
    for state in states:
        yield from (pin.blob for pin in state.files.values()) if state is not None else ()


def _facts(views: Iterable[ApprovalView]) -> list[tuple[object, ...]]:
    """Give what receipts have to show of opinions; how they put it into words may change with time."""
    return [(view.person.id, view.verdict, view.commit, view.message) for view in views]


def _is_restated(old: Summary, new: Summary, mended: Collection[ItemKey]) -> bool:
    """Say whether nothing is shown anew but that some items are well by now, and what follows from it."""
    if replace(new, status=old.status, items=old.items) != old or len(new.items) != len(old.items):
        return False
    for one, other in zip(old.items, new.items, strict=True):
        if other == one:
            continue
        is_well = other.release.is_fine and replace(one, release=other.release, error=None) == other
        if one.item not in mended or not is_well:
            return False
    return new.status is conclusion(one.release for one in new.items)
