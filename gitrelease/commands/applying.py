"""One piece of work on production, from *started* to *finished*, so that whoever dies, the next one ends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from gitrelease.commands import Desk
from gitrelease.commands.calling import bring_in_line
from gitrelease.commands.runner import Runner, Shift, TakenOver, WorkOrder, taken_over
from gitrelease.commands.settling import note_results, settle
from gitrelease.core.ledger import Event, ItemResult, Work
from gitrelease.core.names import LEDGER, Kind, PackageName, review_ref
from gitrelease.core.package import Reason
from gitrelease.core.status import Status, concluded, conclusion
from gitrelease.core.values import frozen
from gitrelease.core.workspace import TargetSettings, Workspace
from gitrelease.errors import GitReleaseError, HalfDone, RaceLost
from gitrelease.reading.ledger import Ledger
from gitrelease.reading.production import TargetPlan, drift, plan_target
from gitrelease.reading.situation import Situation
from gitrelease.reading.trees import read_states, read_workspace
from gitrelease.repo import RefMove
from gitrelease.targets import Target


@frozen
class Applied:
    """How a piece of work ended."""

    work: Work
    package: PackageName | None
    status: Status
    results: tuple[ItemResult, ...]
    note: str = ""
    reasons: tuple[Reason, ...] = ()


def begin(desk: Desk, now: Situation, order: WorkOrder, shift: Shift) -> Applied:
    """Start a piece of work and see it through.

    Raises:
        RaceLost: somebody else was first, and nothing was begun.
        TakenOver: another runner took over on the way.
        HalfDone: a target did not answer in time, or the ledger could not be moved; the next sync goes on.
    """
    workspace = read_workspace(desk.repo, order.tree)
    targets = _connected(desk, workspace, order)
    # What cannot be observed is found out before anything is begun.
    plans = _plans(desk, now.ledger, workspace, targets, order)
    if order.package is not None:
        now.archive.numbers(order.items)  # which its end goes on with, so they have to be readable
    runner = Runner.at(desk, now.ledger, order, shift, tree=order.tree)
    if order.summary is not None:
        runner.show(replace(order.summary, status=Status.RELEASING))
    runner.move(runner.receipt(Event.STARTED, evidence=order.evidence), also=_judged_log(now, order))
    with _begun(order):
        return _carry_out(runner, workspace, targets, plans)


def _judged_log(now: Situation, order: WorkOrder) -> list[RefMove]:
    """Name the log of opinions as it was judged: a no that came since then fails the push, and is judged first.

    In a clone it is git itself that compares, with what the server lists as the push begins; it sends nothing about
    a ref that stays. A no that is pushed in the milliseconds after that comes too late.

    Raises:
        RaceLost: the log is another by now.
    """
    if order.package is None or order.evidence is None or order.evidence.log is None:
        return []
    ref, log = review_ref(order.package), order.evidence.log
    if ref not in now.refs:
        return []
    if now.refs[ref] != log:
        raise RaceLost(f"something was said of {order.package} meanwhile")
    return [RefMove(ref=ref, new=log, expected=log)]


def take_over(desk: Desk, now: Situation, order: WorkOrder, shift: Shift) -> Applied:
    """Go on with what a dead runner began: move its receipt, look at each item again, finish."""
    runner = Runner.at(desk, now.ledger, order, shift, tree=order.tree)
    runner.show_alive()
    with _begun(order):
        workspace = read_workspace(desk.repo, order.tree)
        targets = _connected(desk, workspace, order)
        plans = _plans(desk, now.ledger, workspace, targets, order)
        return _carry_out(runner, workspace, targets, plans)


def refuse(desk: Desk, now: Situation, order: WorkOrder, reasons: Sequence[Reason], shift: Shift) -> Applied:
    """Write down that an approved package cannot be applied any more; its changes are then nobody's."""
    runner = Runner.at(desk, now.ledger, order, shift, tree=now.ledger.tree)
    if order.summary is not None:
        told = tuple(reason.message for reason in reasons)
        summary = replace(order.summary, status=Status.REFUSED, reasons=told, missing=())
        runner.show(summary)
    runner.move(runner.receipt(Event.REFUSED, evidence=order.evidence, reasons=tuple(reasons)))
    return Applied(
        work=order.work,
        package=order.package,
        status=Status.REFUSED,
        results=(),
        reasons=tuple(reasons),
    )


@contextmanager
def _begun(order: WorkOrder) -> Iterator[None]:
    """Say of whatever stops a work that was begun that another sync has to finish it."""
    try:
        yield
    except (TakenOver, HalfDone):
        raise
    except GitReleaseError as wrong:
        raise HalfDone(
            f"{order} was begun and not finished: {wrong.message}",
            hint="run `gitrelease sync` again: it looks at what was done and goes on",
        ) from wrong


def _concerns(order: WorkOrder, settings: TargetSettings) -> bool:
    return order.targets is None or settings.name in order.targets


def _connected(desk: Desk, workspace: Workspace, order: WorkOrder) -> dict[str, Target]:
    if order.work is Work.PACKAGE and all(item.kind is Kind.WORKSPACE for item in order.items):
        return {}  # Nothing of it is deployed; a target or a mapping it brings gets a baseline.
    return {one.name: desk.connect(one) for one in workspace.targets if _concerns(order, one)}


def _plans(
    desk: Desk, ledger: Ledger, workspace: Workspace, targets: Mapping[str, Target], order: WorkOrder
) -> dict[str, TargetPlan]:
    """Say what each target is to be given, so that it holds the items as the approved tree has them."""
    wanted = read_states(desk.repo, order.tree, order.items)
    return {
        one.name: plan_target(desk.repo, ledger, one, targets[one.name], wanted, overwrite=order.overwrite)
        for one in workspace.targets
        if one.name in targets
    }


def _carry_out(
    runner: Runner, workspace: Workspace, targets: Mapping[str, Target], plans: Mapping[str, TargetPlan]
) -> Applied:
    results: list[ItemResult] = []
    states: dict[str, str | None] = {}
    for name, plan in plans.items():
        # The lease as the ledger has it, because that is how long other runners wait.
        made, state = bring_in_line(runner, targets[name], plan, lease=workspace.lease)
        results += made
        states[name] = _known(runner, targets[name], plan, made, state)
    return _finish(runner, plans, tuple(results), states)


def _known(
    runner: Runner, target: Target, plan: TargetPlan, results: Sequence[ItemResult], state: str | None
) -> str | None:
    """Give the state that a target was left in, unless it also holds something beside the ledger.

    Where it does, its state says nothing: whoever asks later has to look at all of it.
    """
    if state is None or plan.is_as_left:
        return state
    given = {item: held.deployed for item, held in runner.holdings.all_of(plan.settings.name).items()}
    given.update((result.item, result.outcome.deployed) for result in results)
    return None if drift(given, target.observe_all()) or target.foreign() else state


def _finish(
    runner: Runner,
    plans: Mapping[str, TargetPlan],
    results: tuple[ItemResult, ...],
    states: Mapping[str, str | None],
) -> Applied:
    """Push *finished*, the tag, the archive and the deletions at once; again if a branch moved meanwhile."""
    order = runner.order
    summary = None
    if order.summary is not None:
        summary = concluded(order.summary, results, at=runner.desk.now())
    note_results(runner, summary, plans=plans, results=results, states=states)
    # What a baseline made of everything there is stands in the lists, and need not be said twice.
    told = () if order.work is Work.BASELINE else results
    tries_left = 8
    while True:
        moves, note = settle(runner, summary)
        try:
            runner.move(runner.receipt(Event.FINISHED, results=told, note=note), also=moves)
        except RaceLost as lost:
            runner.desk.fetch(tags=True)
            if runner.desk.repo.tip(LEDGER) != runner.tip:
                raise taken_over() from lost
            tries_left -= 1
            if not tries_left:
                # A lock whose git died looks like a race, and only the refusal names the file to delete.
                message = f"the end of the release could not be written down: {lost.message}"
                raise HalfDone(message, hint=lost.hint) from lost
            continue
        return Applied(
            work=order.work,
            package=order.package,
            status=conclusion(result.outcome.status for result in results),
            results=results,
            note=note,
        )
