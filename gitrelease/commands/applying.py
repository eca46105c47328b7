"""One piece of work on production, from *started* to *finished*, so that whoever dies, the next one ends it.

The ledger moves by compare-and-swap before every call to a target. Whoever cannot move it any more has been
taken over, and stops (design 4, sync).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Thread
from time import monotonic

from gitrelease.archiving import read_archive, write_summary
from gitrelease.commands import Desk
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement
from gitrelease.core.item import ItemState
from gitrelease.core.ledger import (
    Event,
    Evidence,
    Holding,
    ItemResult,
    Receipt,
    TargetStanding,
    Work,
    held_path,
    holding_document,
    receipt_document,
    standing_document,
    standing_path,
    summary_path,
)
from gitrelease.core.names import (
    ARCHIVE,
    LEDGER,
    SUBMIT,
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    MemberId,
    PackageName,
    RefName,
    TreeId,
    package_ref,
    release_tag,
    review_ref,
)
from gitrelease.core.package import Manifest, Reason
from gitrelease.core.plan import (
    FAILING,
    Digest,
    Outcome,
    OutcomeStatus,
    TargetChange,
    in_order,
    waits_for_failed,
)
from gitrelease.core.status import Status, Summary, item_status, summary_document
from gitrelease.core.workspace import TargetSettings, Workspace
from gitrelease.errors import GitReleaseError, HalfDone, RaceLost
from gitrelease.messages import message_of
from gitrelease.reading.ledger import Ledger
from gitrelease.reading.production import TargetPlan, plan_target, strays
from gitrelease.reading.situation import Situation
from gitrelease.reading.tasks import open_task_refs
from gitrelease.reading.trees import read_states, read_workspace
from gitrelease.repo import RefMove
from gitrelease.targets import Deployed, Target


class TakenOver(RaceLost):
    """Another runner moved the ledger; what this one was doing is the other's now."""

    code = "taken-over"


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class Applied:
    """How a piece of work ended."""

    work: Work
    package: PackageName | None
    status: Status
    results: tuple[ItemResult, ...]
    note: str = ""
    reasons: tuple[Reason, ...] = ()


@dataclass(kw_only=True)
class _Holder:
    """The runner's hold on the ledger: its tip as this runner last moved it."""

    desk: Desk
    runner: MemberId
    run: str
    tip: CommitId
    tree: TreeId
    holdings: CommitId | None
    order: WorkOrder
    called: bool = False
    """Whether a target was called since the ledger was last moved."""

    def receipt(self, event: Event, **more: object) -> Receipt:
        """Write a receipt of this work."""
        base = Receipt(
            event=event,
            runner=self.runner,
            run=self.run,
            work=self.order.work,
            package=self.order.package,
            items=self.order.items if self.order.package is None else (),
            targets=self.order.targets or (),
            holdings=self.holdings,
        )
        return replace(base, **more)  # type: ignore[arg-type]

    def commit(self, receipt: Receipt, parents: Sequence[CommitId] = ()) -> CommitId:
        """Write the commit of a receipt; nothing refers to it before the ledger is moved."""
        kept = [] if receipt.holdings is None else [receipt.holdings]
        return self.desk.pen.commit(
            self.desk.repo,
            tree=self.tree,
            parents=tuple(dict.fromkeys((self.tip, *kept, *parents))),
            message=message_of(receipt.subject, receipt_document(receipt)),
        )

    def move(self, receipt: Receipt, parents: Sequence[CommitId] = (), also: Sequence[RefMove] = ()) -> None:
        """Move the ledger from where this runner left it; a refusal means that somebody took over."""
        made = self.commit(receipt, parents)
        self.desk.repo.push([RefMove(ref=LEDGER, new=made, expected=self.tip), *also])
        self.tip = made
        self.called = False

    def alive(self) -> None:
        """Show that this runner is at work."""
        try:
            self.move(self.receipt(Event.ALIVE))
        except RaceLost as lost:
            raise TakenOver("another runner took over", hint="it finishes what was begun") from lost


def evidence_parents(evidence: Evidence | None) -> tuple[CommitId, ...]:
    """List the commits that a receipt keeps, so that any clone has all that was judged."""
    return () if evidence is None else evidence.commits


def begin(desk: Desk, now: Situation, order: WorkOrder, *, runner: MemberId, run: str) -> Applied:
    """Start a piece of work and see it through.

    Raises:
        RaceLost: somebody else was first, and nothing was begun.
        TakenOver: another runner took over on the way.
        HalfDone: a target did not answer in time, or the ledger could not be moved; the next sync goes on.
    """
    targets = _connected(desk, order)
    # What cannot be observed is found out before anything is begun.
    plans = _plans(desk, now.ledger, read_workspace(desk.repo, order.tree), targets, order)
    holdings = now.ledger.receipt.holdings
    if order.summary is not None:
        begun = replace(order.summary, status=Status.RELEASING)
        holdings = _write_holdings(desk, holdings, {summary_path(begun.name): write_summary(begun)})
    holder = _Holder(
        desk=desk, runner=runner, run=run, tip=now.ledger.tip, tree=order.tree, holdings=holdings, order=order
    )
    holder.move(holder.receipt(Event.STARTED, evidence=order.evidence), evidence_parents(order.evidence))
    with _begun(order):
        return _carry_out(desk, holder, targets, plans)


def take_over(desk: Desk, now: Situation, order: WorkOrder, *, runner: MemberId, run: str) -> Applied:
    """Go on with what a dead runner began: move its receipt, look at each item again, finish."""
    holder = _Holder(
        desk=desk,
        runner=runner,
        run=run,
        tip=now.ledger.tip,
        tree=order.tree,
        holdings=now.ledger.receipt.holdings,
        order=order,
    )
    holder.alive()
    with _begun(order):
        targets = _connected(desk, order)
        plans = _plans(desk, now.ledger, read_workspace(desk.repo, order.tree), targets, order)
        return _carry_out(desk, holder, targets, plans)


@contextmanager
def _begun(order: WorkOrder) -> Iterator[None]:
    """Say of whatever stops a work that was begun that another sync has to finish it."""
    try:
        yield
    except (TakenOver, HalfDone):
        raise
    except GitReleaseError as wrong:
        what = f"package {order.package}" if order.package else f"the {order.work}"
        raise HalfDone(
            f"{what} was begun and not finished: {wrong.message}",
            hint="run `gitrelease sync` again: it looks at what was done and goes on",
        ) from wrong


def refuse(
    desk: Desk, now: Situation, order: WorkOrder, reasons: Sequence[Reason], *, runner: MemberId, run: str
) -> Applied:
    """Write down that an approved package cannot be applied any more; its changes are then nobody's."""
    holdings = now.ledger.receipt.holdings
    if order.summary is not None:
        told = replace(
            order.summary,
            status=Status.REFUSED,
            reasons=tuple(reason.message for reason in reasons),
            missing=(),
        )
        holdings = _write_holdings(desk, holdings, {summary_path(told.name): write_summary(told)})
    holder = _Holder(
        desk=desk,
        runner=runner,
        run=run,
        tip=now.ledger.tip,
        tree=now.ledger.tree,
        holdings=holdings,
        order=order,
    )
    receipt = holder.receipt(Event.REFUSED, evidence=order.evidence, reasons=tuple(reasons))
    holder.move(receipt, evidence_parents(order.evidence))
    return Applied(
        work=order.work, package=order.package, status=Status.REFUSED, results=(), reasons=tuple(reasons)
    )


def _concerns(order: WorkOrder, settings: TargetSettings) -> bool:
    return order.targets is None or settings.name in order.targets


def _connected(desk: Desk, order: WorkOrder) -> dict[str, Target]:
    if order.work is Work.PACKAGE and all(item.kind is Kind.WORKSPACE for item in order.items):
        return {}  # Nothing of it is deployed; a target or a mapping it brings gets a baseline.
    chosen = [one for one in read_workspace(desk.repo, order.tree).targets if _concerns(order, one)]
    return {one.name: desk.connect(one) for one in chosen}


def _plans(
    desk: Desk, ledger: Ledger, workspace: Workspace, targets: Mapping[str, Target], order: WorkOrder
) -> dict[str, TargetPlan]:
    wanted = wanted_states(desk, order)
    return {
        one.name: plan_target(desk.repo, ledger, one, targets[one.name], wanted, overwrite=order.overwrite)
        for one in workspace.targets
        if one.name in targets
    }


def wanted_states(desk: Desk, order: WorkOrder) -> Mapping[ItemKey, ItemState | None]:
    """Say at which version each item is to be: as the approved tree has it."""
    return read_states(desk.repo, order.tree, order.items)


def _carry_out(
    desk: Desk, holder: _Holder, targets: Mapping[str, Target], plans: Mapping[str, TargetPlan]
) -> Applied:
    # As the ledger has it, because that is how long other runners wait.
    lease = read_workspace(desk.repo, holder.order.tree).lease
    results: list[ItemResult] = []
    states: dict[str, str | None] = {}
    for name, plan in plans.items():
        made, state = _one_target(desk, lease, holder, targets[name], plan)
        results += made
        states[name] = _known(_ledger_at(desk, holder), targets[name], plan, made, state)
    return _finish(desk, holder, plans, tuple(results), states)


def _known(
    ledger: Ledger, target: Target, plan: TargetPlan, results: Sequence[ItemResult], state: str | None
) -> str | None:
    """Give the state that a target was left in, unless it also holds something beside the ledger.

    Where it does, its state says nothing: whoever asks later has to look at all of it.
    """
    if state is None or plan.is_as_left:
        return state
    given = {item: holding.deployed for item, holding in ledger.all_holdings(plan.settings.name).items()}
    given.update((result.item, result.outcome.deployed) for result in results)
    return None if strays(given, target.observe_all()) or target.strays() else state


def _one_target(
    desk: Desk, lease: float, holder: _Holder, target: Target, plan: TargetPlan
) -> tuple[list[ItemResult], str | None]:
    """Give one target its changes, in order of dependency; what depends on a failure is skipped."""
    versions = {
        item: state.version if state else 0 for item, state in wanted_states(desk, holder.order).items()
    }
    outcomes: dict[ItemKey, Outcome] = {
        change.item: Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=_digest(change))
        for change in plan.done
    }
    for change in plan.drifted:
        outcomes[change.item] = Outcome(
            status=OutcomeStatus.DRIFTED,
            deployed=change.held,
            error=f"{plan.settings.name} holds something that was not released; "
            f"`gitrelease sync --repair {change.item}` overwrites it",
        )
    failed = {item for item, outcome in outcomes.items() if outcome.status in FAILING}
    groups = in_order(plan.changes)
    if target.is_transactional and plan.changes:
        groups = [[change for group in groups for change in group]]
    state: str | None = None
    for group in groups:
        ready = []
        for change in group:
            if blocked := waits_for_failed(change, failed):
                failed.add(change.item)
                error = f"{blocked}, which it needs, was not released"
                outcomes[change.item] = Outcome(
                    status=OutcomeStatus.SKIPPED, deployed=change.held, error=error
                )
            else:
                ready.append(change)
        if not ready:
            continue
        if holder.called:
            holder.alive()
        desk.say(f"{plan.settings.name}: {len(ready)} of {len(plan.changes)} items")
        holder.called = True
        done = _call(lease, holder, target, ready)
        state = done.state
        outcomes.update(done.outcomes)
        failed |= {item for item, outcome in done.outcomes.items() if outcome.status in FAILING}
    if state is None:
        state = _state(target)
    results = [
        ItemResult(
            item=item,
            target=plan.settings.name,
            version=versions[item],
            mapping=plan.mapping,
            outcome=outcome,
        )
        for item, outcome in sorted(outcomes.items())
    ]
    return results, state


def _state(target: Target) -> str | None:
    try:
        return target.state()
    except Exception:  # noqa: BLE001 - a target is anyone's code; not to know its state costs a look at all of it
        return None


def _digest(change: TargetChange) -> Digest | None:
    return None if change.wanted is None else change.wanted.digest


def _call(lease: float, holder: _Holder, target: Target, changes: Sequence[TargetChange]) -> Deployed:
    """Call a target, showing signs of life meanwhile, and give up when the lease is over."""
    note = f"{holder.order.work} {holder.order.package or ''}".strip()

    def deploy() -> Deployed:
        return target.deploy(changes, note=note)

    try:
        return _answer(_aside(deploy), lease, holder.alive)
    except (TakenOver, HalfDone):
        raise
    except Exception as wrong:  # noqa: BLE001 - a target is anyone's code, and its failure is a result
        return _failed(target, changes, wrong)


def _aside(deploy: Callable[[], Deployed]) -> Future[Deployed]:
    """Call a target in a thread of its own; one that never answers does not keep the process from ending."""
    future: Future[Deployed] = Future()

    def run() -> None:
        try:
            future.set_result(deploy())
        except BaseException as wrong:  # noqa: BLE001 - it is raised where the answer is waited for
            future.set_exception(wrong)

    Thread(target=run, daemon=True).start()
    return future


def _answer(call: Future[Deployed], lease: float, alive: Callable[[], None]) -> Deployed:
    end = monotonic() + lease
    while True:
        try:
            return call.result(timeout=min(lease / 3, max(0.0, end - monotonic())))
        except NotYet:
            if call.done():
                raise
            if monotonic() >= end:
                raise HalfDone(
                    f"the target did not answer within {lease:g} seconds",
                    hint="run `gitrelease sync` again: it looks at what was done and goes on",
                ) from None
            alive()


def _failed(target: Target, changes: Sequence[TargetChange], wrong: Exception) -> Deployed:
    """Make a failure of every change of a call, and look at what the target holds now."""
    said = wrong.message if isinstance(wrong, GitReleaseError) else f"{type(wrong).__name__}: {wrong}"
    items = [change.item for change in changes]
    try:
        seen = target.observe(items)
    except Exception:  # noqa: BLE001 - what broke once may break again; then what was held last is all that is known
        seen = {change.item: change.held for change in changes}
    outcomes = {
        item: Outcome(status=OutcomeStatus.FAILED, deployed=seen.get(item), error=said[:500])
        for item in items
    }
    return Deployed(outcomes=outcomes, state=None)


def _finish(
    desk: Desk,
    holder: _Holder,
    plans: Mapping[str, TargetPlan],
    results: tuple[ItemResult, ...],
    states: Mapping[str, str | None],
) -> Applied:
    """Push *finished*, the tag, the archive and the deletions at once; again if a branch moved meanwhile."""
    order = holder.order
    good = all(result.outcome.status is OutcomeStatus.SUCCESSFUL for result in results)
    status = Status.SUCCESSFUL if good else Status.FAILED
    files = _holding_files(desk, holder, plans, results, states)
    summary = _finished_summary(desk, order, results, status)
    if summary is not None:
        files[summary_path(summary.name)] = write_summary(summary)
    holder.holdings = _write_holdings(desk, holder.holdings, files)
    for _ in range(8):
        moves, note = _settling(desk, order, summary, runner=holder.runner)
        try:
            holder.move(holder.receipt(Event.FINISHED, results=results, note=note), also=moves)
        except RaceLost as lost:
            desk.fetch()
            if desk.repo.tip(LEDGER) != holder.tip:
                raise TakenOver("another runner took over", hint="it finishes what was begun") from lost
            continue
        return Applied(work=order.work, package=order.package, status=status, results=results, note=note)
    raise HalfDone("the branches of the package keep moving", hint="run `gitrelease sync` again")


def _holding_files(
    desk: Desk,
    holder: _Holder,
    plans: Mapping[str, TargetPlan],
    results: Sequence[ItemResult],
    states: Mapping[str, str | None],
) -> dict[str, bytes]:
    """Write what every target was last given, and what is behind there."""
    files: dict[str, bytes] = {}
    ledger_behind = _behind_before(desk, holder, plans)
    for name, plan in plans.items():
        mine = [result for result in results if result.target == name]
        behind = set(ledger_behind[name]) - {result.item for result in mine}
        for result in mine:
            if result.outcome.status in FAILING:
                behind.add(result.item)
            holding = Holding(
                item=result.item,
                version=result.version,
                mapping=result.mapping,
                deployed=result.outcome.deployed,
                status=result.outcome.status,
                error=result.outcome.error,
                package=holder.order.package
                or (plan.held[result.item].package if result.item in plan.held else None),
            )
            files[held_path(name, result.item)] = _json(holding_document(holding))
        standing = TargetStanding(state=states[name], mapping=plan.mapping, behind=tuple(sorted(behind)))
        files[standing_path(name)] = _json(standing_document(standing))
    files.update(_superseded(desk, holder, plans, results))
    return files


def _behind_before(
    desk: Desk, holder: _Holder, plans: Mapping[str, TargetPlan]
) -> dict[str, tuple[ItemKey, ...]]:
    ledger = _ledger_at(desk, holder)
    return {name: standing.behind if (standing := ledger.standing(name)) else () for name in plans}


def _ledger_at(desk: Desk, holder: _Holder) -> Ledger:
    receipt = Receipt(event=Event.ALIVE, runner=holder.runner, holdings=holder.holdings)
    return Ledger(
        repo=desk.repo,
        root=holder.tip,
        tip=holder.tip,
        tree=holder.tree,
        receipt=receipt,
        main="",
        workspace_id="",
    )


def _superseded(
    desk: Desk, holder: _Holder, plans: Mapping[str, TargetPlan], results: Sequence[ItemResult]
) -> dict[str, bytes]:
    """Bring the summaries of earlier packages up to date whose failed items are released now."""
    ledger = _ledger_at(desk, holder)
    failing = _failing(ledger, results)
    touched: dict[PackageName, Summary] = {}
    for result in results:
        held = plans[result.target].held.get(result.item)
        if held is None or held.package in {None, holder.order.package} or held.status not in FAILING:
            continue
        # A newer version takes the place of one that failed, however it fares itself.
        is_newer = result.version > held.version
        if held.package is None or (result.item in failing and not is_newer):
            continue
        summary = touched.get(held.package) or ledger.summary(held.package)
        if summary is not None:
            better = OutcomeStatus.SUPERSEDED if is_newer else OutcomeStatus.SUCCESSFUL
            touched[held.package] = _with_item(summary, result.item, better, None)
    return {summary_path(name): write_summary(_restated(summary)) for name, summary in touched.items()}


def _failing(ledger: Ledger, results: Sequence[ItemResult]) -> frozenset[ItemKey]:
    """Say which of these items some target, of this work or not, does not hold as it should."""
    made = {(result.item, result.target): result.outcome.status for result in results}
    items = {item for item, _ in made}
    found = {item for (item, _), status in made.items() if status in FAILING}
    for settings in ledger.workspace.targets:
        for item, holding in ledger.holdings(settings.name, items).items():
            if (item, settings.name) not in made and holding.status in FAILING:
                found.add(item)
    return frozenset(found)


def _with_item(summary: Summary, item: ItemKey, status: OutcomeStatus, error: str | None) -> Summary:
    items = tuple(
        replace(one, release=status, error=error) if one.item == item else one for one in summary.items
    )
    return replace(summary, items=items)


def _restated(summary: Summary) -> Summary:
    fine = {OutcomeStatus.SUCCESSFUL, OutcomeStatus.SUPERSEDED}
    good = all(item.release in fine for item in summary.items)
    return replace(summary, status=Status.SUCCESSFUL if good else Status.FAILED)


def _finished_summary(
    desk: Desk, order: WorkOrder, results: Sequence[ItemResult], status: Status
) -> Summary | None:
    if order.summary is None:
        return None
    by_item: dict[ItemKey, list[Outcome]] = {}
    for result in results:
        by_item.setdefault(result.item, []).append(result.outcome)
    items = []
    for one in order.summary.items:
        outcomes = by_item.get(one.item, [])
        error = next((outcome.error for outcome in outcomes if outcome.error), None)
        items.append(replace(one, release=item_status([o.status for o in outcomes]), error=error))
    approvals = [view for view in order.summary.approvals if view.verdict == "approved"]
    return replace(
        order.summary,
        status=status,
        missing=(),
        reasons=(),
        items=tuple(items),
        released_by=approvals[-1].person if approvals else None,
        released_at=desk.now(),
    )


def _settling(
    desk: Desk, order: WorkOrder, summary: Summary | None, *, runner: MemberId
) -> tuple[list[RefMove], str]:
    """Say which refs a released package leaves behind, and put all that it was into the archive."""
    if order.package is None or order.evidence is None or order.manifest is None or summary is None:
        return [], ""
    refs = desk.repo.refs()
    archive = read_archive(desk.repo, refs)
    tasks = _tasks_to_settle(refs, order.manifest, order.package)
    head, log = refs.get(package_ref(order.package)), refs.get(review_ref(order.package))
    entry = ArchiveEntry(
        by=runner,
        package=order.package,
        settlement=Settlement.RELEASED,
        head=CommitId(head) if head else order.evidence.head,
        log=CommitId(log) if log else order.evidence.log,
        tasks=tuple(task for task, _ in tasks),
    )
    moves = [RefMove(ref=ref, new=None, expected=task.commit) for task, ref in tasks if ref is not None]
    if head is not None:
        moves.append(RefMove(ref=package_ref(order.package), new=None, expected=head))
    if log is not None:
        moves.append(RefMove(ref=review_ref(order.package), new=None, expected=log))
    moves.append(RefMove(ref=ARCHIVE, new=archive.extended(desk.pen, entry), expected=archive.tip))
    note = ""
    tag = release_tag(order.package)
    if tag in refs:
        note = f"the tag release/{order.package} was there before; it is not ours and stays as it is"
    else:
        message = message_of(f"Release {order.package}", summary_document(summary))
        made = desk.repo.write_tag(tag, order.evidence.main_after, message, desk.pen.identity, desk.now())
        moves.append(RefMove(ref=tag, new=made, expected=None))
    return moves, note


def _tasks_to_settle(
    refs: Mapping[RefName, str], manifest: Manifest, package: PackageName
) -> list[tuple[SettledTask, RefName | None]]:
    """List the tasks that a package released, and older ones of its items, which nothing will release."""
    found: list[tuple[SettledTask, RefName | None]] = []
    waiting = open_task_refs(refs)
    for planned in manifest.items:
        ref = RefName(f"{SUBMIT}{planned.id}")
        settled = SettledTask(
            id=planned.id, commit=planned.task, settlement=Settlement.RELEASED, package=package
        )
        found.append((settled, ref if refs.get(ref) == planned.task else None))
        found += [
            (SettledTask(id=id_, commit=commit, settlement=Settlement.SUPERSEDED), RefName(f"{SUBMIT}{id_}"))
            for id_, commit in waiting.items()
            if id_.item == planned.item and id_.version < planned.id.version
        ]
    return found


def _write_holdings(desk: Desk, before: CommitId | None, files: Mapping[str, bytes]) -> CommitId:
    """Write what targets hold as a commit of its own, which the receipt names and keeps."""
    base = None if before is None else desk.repo.tree_of(before)
    blobs = desk.repo.write_blobs(list(files.values()))
    edits: dict[str, BlobId | None] = dict(zip(files, blobs, strict=True))
    tree = desk.repo.write_tree(base, edits)
    return desk.repo.write_commit(
        tree=tree,
        parents=(),
        message="What every target was last given\n",
        author=desk.pen.identity,
        when=desk.now(),
        sign=False,  # the receipt that names it is signed
    )


def _json(document: Mapping[str, object]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
