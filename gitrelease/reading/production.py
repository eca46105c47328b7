"""Production beside the ledger: what a target holds, what it should hold, and where the two part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gitrelease.core.item import ItemState
from gitrelease.core.ledger import Holding
from gitrelease.core.names import ItemKey, Kind
from gitrelease.core.plan import (
    Deployable,
    Digest,
    OutcomeStatus,
    TargetChange,
    mapping_digest,
)
from gitrelease.core.values import frozen
from gitrelease.core.workspace import TargetSettings
from gitrelease.errors import GitReleaseError
from gitrelease.reading.deployables import mappings_of, read_deployable
from gitrelease.reading.ledger import Ledger
from gitrelease.repo import Repo
from gitrelease.targets import Target


@frozen
class TargetPlan:
    """What one target is to be given, and what is to be left alone."""

    settings: TargetSettings
    changes: tuple[TargetChange, ...]
    done: tuple[TargetChange, ...]
    """What the target holds already as it should."""
    drifted: tuple[TargetChange, ...]
    """What the target holds as nobody released it; a plain sync does not overwrite it."""
    held: Mapping[ItemKey, Holding]
    versions: Mapping[ItemKey, int]
    """At which version each item is to be; 0 where it is to be gone."""
    is_as_left: bool
    """Whether the target is as sync last left it, so that nothing need be looked for beside these items."""

    @property
    def mapping(self) -> str:
        """The names that production uses there, hashed."""
        return mapping_digest(mappings_of(self.settings))


def plan_target(
    repo: Repo,
    ledger: Ledger,
    settings: TargetSettings,
    target: Target,
    wanted: Mapping[ItemKey, ItemState | None],
    *,
    overwrite: bool,
) -> TargetPlan:
    """Compare what a target is to hold with what it holds and what it was last given (design 4, sync)."""
    items = [item for item in wanted if item.kind is not Kind.WORKSPACE]
    held = ledger.holdings.of(settings.name, items)
    seen = target.observe(items)
    mappings = mappings_of(settings)
    changes, done, drifted = [], [], []
    for item in items:
        deployable = read_deployable(repo, item, wanted[item], mappings)
        last = held[item].deployed if item in held else None
        change = TargetChange(item=item, wanted=deployable, held=last)
        now = seen.get(item)
        if now == _digest(deployable):
            done.append(change)
        elif now != last and not overwrite:
            drifted.append(change)
        else:
            changes.append(change)
    standing = ledger.holdings.standing(settings.name)
    return TargetPlan(
        settings=settings,
        changes=tuple(changes),
        done=tuple(done),
        drifted=tuple(drifted),
        held=held,
        versions={item: state.version if (state := wanted[item]) else 0 for item in items},
        is_as_left=standing is not None and standing.state is not None and target.state() == standing.state,
    )


def _digest(deployable: Deployable | None) -> Digest | None:
    return None if deployable is None else deployable.digest


@frozen
class Deviation:
    """How one target stands beside the ledger."""

    name: str
    behind: tuple[ItemKey, ...]
    """What it does not hold as it should, because releasing it failed or was skipped."""
    drifted: tuple[ItemKey, ...]
    is_new: bool
    """Whether it was never given anything, or not under the names it uses now."""
    foreign: tuple[str, ...] = ()
    """What it holds beside all items, which nobody released."""
    unreachable: str | None = None
    """Why it cannot be looked at from here; what is said of it is then what was last known."""


def deviations(
    ledger: Ledger, connect: Callable[[TargetSettings], Target], settings: Iterable[TargetSettings]
) -> list[Deviation]:
    """Say where production parts from the ledger; one whose state is as it was left is not looked into.

    A target that cannot be reached from here, as from a laptop, does not hide how the others stand.
    """
    return [_deviation(ledger, connect, one) for one in settings]


def _deviation(
    ledger: Ledger, connect: Callable[[TargetSettings], Target], settings: TargetSettings
) -> Deviation:
    holdings, name = ledger.holdings, settings.name
    standing = holdings.standing(name)
    behind = standing.behind if standing else ()
    known = Deviation(
        name=name,
        behind=behind,
        drifted=tuple(
            item
            for item, holding in holdings.of(name, behind).items()
            if holding.status is OutcomeStatus.DRIFTED
        ),
        is_new=standing is None or standing.mapping != mapping_digest(mappings_of(settings)),
    )
    try:
        target = connect(settings)
        if standing is None or (standing.state is not None and target.state() == standing.state):
            return known
        given = {item: holding.deployed for item, holding in holdings.all_of(name).items()}
        return replace(known, drifted=drift(given, target.observe_all()), foreign=tuple(target.foreign()))
    except GitReleaseError as wrong:
        return replace(known, unreachable="; ".join(filter(None, (wrong.message, wrong.hint))))


def drift(given: Mapping[ItemKey, Digest | None], seen: Mapping[ItemKey, Digest]) -> tuple[ItemKey, ...]:
    """List the items that a target holds otherwise than it was given them, or was never given."""
    return tuple(sorted(item for item in given.keys() | seen.keys() if given.get(item) != seen.get(item)))
