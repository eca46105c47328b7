"""`gitrelease status`: what is not submitted, and production against the main branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitrelease.commands import Desk
from gitrelease.commands.sync import unapproved_items
from gitrelease.core.names import ItemKey, Kind, NameRefused, PackageName, place_of
from gitrelease.core.status import Status
from gitrelease.core.workspace import Action, authorize
from gitrelease.errors import Exit
from gitrelease.reading.deployables import all_states
from gitrelease.reading.production import deviations
from gitrelease.reading.situation import Situation
from gitrelease.reading.sources import WorkingTree, find_document, git_hash, item_files
from gitrelease.reading.tasks import open_task_refs
from gitrelease.reading.trees import item_entries_at, read_manifest, read_states


@dataclass(frozen=True, kw_only=True)
class TargetStatus:
    """How one target stands."""

    name: str
    outstanding: tuple[ItemKey, ...]
    drifted: tuple[ItemKey, ...]
    unapproved: tuple[str, ...]
    strays: tuple[str, ...] = ()
    """What it holds beside all items, which nobody released."""


@dataclass(frozen=True, kw_only=True)
class StatusResult:
    """What is not submitted, what waits, and how production stands."""

    unsubmitted: tuple[ItemKey, ...]
    strays: tuple[str, ...]
    """Working files that belong to no item."""
    targets: tuple[TargetStatus, ...]
    packages: tuple[tuple[PackageName, Status], ...]
    """Packages on the main branch that production does not have yet."""
    syncing: str | None = None
    """What a runner is at work on."""

    @property
    def exit(self) -> Exit:
        """What the exit code says (design 8)."""
        if any(target.drifted or target.unapproved or target.strays for target in self.targets):
            return Exit.REFUSED
        return (
            Exit.WAITING if any(target.outstanding for target in self.targets) or self.packages else Exit.DONE
        )


def status(desk: Desk) -> StatusResult:
    """Compare the working files with what was submitted, and production with the main branch."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    unsubmitted, strays = _unsubmitted(desk, now)
    coming = dict.fromkeys(_at_work(desk, now))
    for merged in now.merged:
        if merged.judged is not None and merged.is_approved:
            coming.update(dict.fromkeys(planned.item for planned in merged.judged.package.manifest.items))
    unapproved = unapproved_items(now)
    found = deviations(now.ledger, desk.targets(now.ledger.workspace), now.ledger.workspace.targets)
    all_items = _all_items(desk, now) if any(one.is_new for one in found) else ()
    return StatusResult(
        unsubmitted=unsubmitted,
        strays=strays,
        targets=tuple(
            TargetStatus(
                name=one.name,
                outstanding=tuple(dict.fromkeys((*coming, *one.behind, *(all_items if one.is_new else ())))),
                drifted=one.drifted,
                unapproved=unapproved,
                strays=one.strays,
            )
            for one in found
        ),
        packages=tuple((merged.name, Status.MERGED) for merged in now.merged),
        syncing=now.ledger.receipt.subject if now.ledger.receipt.is_open else None,
    )


def _at_work(desk: Desk, now: Situation) -> Sequence[ItemKey]:
    """List the items that a runner has begun to release and not finished."""
    receipt = now.ledger.receipt
    if not receipt.is_open:
        return ()
    read = None if receipt.package is None else read_manifest(desk.repo, now.ledger.tree, receipt.package)
    return receipt.items if read is None else [planned.item for planned in read[1].items]


def _all_items(desk: Desk, now: Situation) -> Sequence[ItemKey]:
    """List what a target is to be given that was never given anything."""
    states = all_states(desk.repo, now.ledger.tree)
    return sorted(item for item, state in states.items() if state.exists and item.kind is not Kind.WORKSPACE)


def _unsubmitted(desk: Desk, now: Situation) -> tuple[tuple[ItemKey, ...], tuple[str, ...]]:
    """List the items whose working files are neither what was released nor what awaits release.

    Files that are as this clone last got them are not edited; `gitrelease pull` brings newer ones.
    """
    if desk.repo.worktree is None:
        return (), ()
    source = WorkingTree(repo=desk.repo, base=now.main)
    items: dict[ItemKey, None] = {}
    strays = []
    for path in sorted(source.changed):
        try:
            items[place_of(path).item] = None
        except NameRefused:
            strays.append(path)
    states = read_states(desk.repo, now.approved, items)
    waiting = open_task_refs(now.refs)
    head = desk.repo.resolve("HEAD")
    pulled = None if head is None else desk.repo.merge_base(head, now.main)
    states_here = {} if pulled is None else read_states(desk.repo, pulled, items)
    found = []
    for item in items:
        state = states[item]
        document = find_document(source, item, state)
        mine = (
            {}
            if document is None
            else {p: git_hash(data) for p, data in item_files(source, document).items()}
        )
        released = {path: pin.blob for path, pin in state.files.items()} if state else {}
        if pulled is not None:
            here = item_entries_at(desk.repo, pulled, states_here[item])
            if mine == {path: entry.id for path, entry in here.items()}:
                continue
        frozen = [
            {path: entry.id for path, entry in item_entries_at(desk.repo, commit, state).items()}
            for id_, commit in waiting.items()
            if id_.item == item
        ]
        if document is not None:
            frozen += [
                {path: entry.id for path, entry in desk.repo.entries(commit, mine).items()}
                for id_, commit in waiting.items()
                if id_.item == item
            ]
        if mine != released and mine not in frozen:
            found.append(item)
    return tuple(found), tuple(strays)
