"""Rollbacks: which items go back to what, and whether a package is one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gitrelease.core.item import ItemState
from gitrelease.core.names import ItemKey
from gitrelease.core.package import Manifest, PlannedItem, Reason, same_state
from gitrelease.errors import NotFound, Refused


def items_to_roll_back(
    released: Manifest, held: Mapping[ItemKey, ItemState | None], asked: Collection[ItemKey]
) -> Sequence[PlannedItem]:
    """Choose the items of a released package that go back; those released again since only when asked for by name.

    Raises:
        Refused: an item was released again since, and nobody asked for it.
        NotFound: an item was asked for that the package did not touch.
    """
    if strangers := sorted(set(asked) - {planned.item for planned in released.items}):
        raise NotFound(
            f"{released.name} did not release {strangers[0]}",
            hint=f"`gitrelease package view {released.name}` lists its items",
        )
    chosen = [planned for planned in released.items if not asked or planned.item in asked]
    newer = [planned.item for planned in chosen if not same_state(held.get(planned.item), planned.after)]
    if newer and not asked:
        names = ", ".join(str(item) for item in newer)
        raise Refused(
            f"released again since {released.name}: {names}",
            hint="name the items that are to go back all the same with --item",
        )
    return chosen


def not_a_rollback(
    manifest: Manifest, earlier: Manifest | None, same_but_for_number: Mapping[ItemKey, bool]
) -> list[Reason]:
    """Find why a package that calls itself a rollback is none: its bytes are not those of before that release.

    Args:
        manifest: the package.
        earlier: the manifest of the release it says it rolls back, if that was ever approved.
        same_but_for_number: for each item, whether its files are those before that release but for the number.
    """
    if earlier is None:
        return [
            Reason(code="rollback", message=f"it rolls back {manifest.rolls_back}, which was never released")
        ]
    known = {planned.item for planned in earlier.items}
    reasons = [
        Reason(code="rollback", message=f"{planned.item} was not part of {earlier.name}")
        for planned in manifest.items
        if planned.item not in known
    ]
    reasons += [
        Reason(code="rollback", message=f"{planned.item} would not get the bytes from before {earlier.name}")
        for planned in manifest.items
        if planned.item in known and not same_but_for_number.get(planned.item, False)
    ]
    return reasons
