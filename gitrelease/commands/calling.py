"""One target is given its changes, in order of dependency, while the ledger shows that somebody is at work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from threading import Thread
from time import monotonic

from gitrelease.commands.runner import Runner, TakenOver
from gitrelease.core.ledger import ItemResult
from gitrelease.core.names import ItemKey
from gitrelease.core.plan import (
    Digest,
    Outcome,
    OutcomeStatus,
    TargetChange,
    in_order,
    waits_for_failed,
)
from gitrelease.errors import GitReleaseError, HalfDone
from gitrelease.reading.production import TargetPlan
from gitrelease.targets import Deployed, Target

_A_CALL = 200
"""How many changes a target is given at once that makes them one by one."""


def bring_in_line(
    runner: Runner, target: Target, plan: TargetPlan, *, lease: float
) -> tuple[list[ItemResult], str | None]:
    """Give a target its changes; what depends on a failure is skipped. The second value is its state then.

    Args:
        runner: whose work it is; it moves the ledger before every call.
        target: the target.
        plan: what it is to be given.
        lease: how many seconds a call may take.

    Raises:
        TakenOver: another runner has the ledger.
        HalfDone: the target did not answer within the lease.
    """
    outcomes = _settled_before(plan)
    failed = {item for item, outcome in outcomes.items() if outcome.status.is_failure}
    groups = in_order(plan.changes)
    if target.is_transactional:
        groups = [[change for group in groups for change in group]]
    else:
        # A call has to end within the lease, however much there is to do.
        groups = [group[n : n + _A_CALL] for group in groups for n in range(0, len(group), _A_CALL)]
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
        if runner.has_called:
            runner.show_alive()
        runner.desk.say(f"{plan.settings.name}: {len(ready)} of {len(plan.changes)} items")
        runner.has_called = True
        done = _call(runner, target, ready, lease=lease)
        state = done.state
        outcomes.update(done.outcomes)
        failed |= {item for item, outcome in done.outcomes.items() if outcome.status.is_failure}
    results = [
        ItemResult(
            item=item,
            target=plan.settings.name,
            version=plan.versions[item],
            mapping=plan.mapping,
            outcome=outcome,
        )
        for item, outcome in sorted(outcomes.items())
    ]
    return results, _state(target) if state is None else state


def _settled_before(plan: TargetPlan) -> dict[ItemKey, Outcome]:
    """Say what became of the items that need no call: those in place, and those that are not ours to touch."""
    name = plan.settings.name
    outcomes = {
        change.item: Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=_digest(change))
        for change in plan.done
    }
    for change in plan.drifted:
        outcomes[change.item] = Outcome(
            status=OutcomeStatus.DRIFTED,
            deployed=change.held,
            error=f"{name} holds something that was not released; "
            f"`gitrelease sync --repair {change.item}` overwrites it",
        )
    return outcomes


def _state(target: Target) -> str | None:
    try:
        return target.state()
    except Exception:  # noqa: BLE001 - a target is anyone's code; not to know its state costs a look at all of it
        return None


def _digest(change: TargetChange) -> Digest | None:
    return None if change.wanted is None else change.wanted.digest


def _call(runner: Runner, target: Target, changes: Sequence[TargetChange], *, lease: float) -> Deployed:
    """Call a target, showing signs of life meanwhile, and give up when the lease is over."""
    note = f"{runner.order.work} {runner.order.package or ''}".strip()

    def deploy() -> Deployed:
        return target.deploy(changes, note=note)

    try:
        done = _answer(_aside(deploy), lease, runner.show_alive)
    except (TakenOver, HalfDone):
        raise
    except GitReleaseError as wrong:
        return _failed(target, changes, wrong.message)
    except Exception as wrong:  # noqa: BLE001 - a target is anyone's code, and its failure is a result
        return _failed(target, changes, f"{type(wrong).__name__}: {wrong}")
    asked = {change.item for change in changes}
    said = {item: outcome for item, outcome in done.outcomes.items() if item in asked and _is_final(outcome)}
    unsaid = [change for change in changes if change.item not in said]
    if unsaid:
        said.update(_failed(target, unsaid, "the target did not say what became of it").outcomes)
    return replace(done, outcomes=said)


def _is_final(outcome: Outcome) -> bool:
    """Say whether an answer says what became of an item; "pending" does not, and a ledger cannot end with it."""
    return outcome.status is OutcomeStatus.SUCCESSFUL or outcome.status.is_failure


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


def _failed(target: Target, changes: Sequence[TargetChange], said: str) -> Deployed:
    """Make a failure of these changes, and look at what the target holds now."""
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
