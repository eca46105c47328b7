"""`gitrelease sync`: bring production in line with what was approved and merged, whichever event woke it.

It asks for all that is outstanding, never for one event: events get lost, doubled and reordered.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic, sleep

from gitrelease.commands import Desk, SigningMissing
from gitrelease.commands.announcing import announce
from gitrelease.commands.applying import Applied, begin, refuse, take_over
from gitrelease.commands.closing import Closed, find_closed, settle_all
from gitrelease.commands.runner import Shift, TakenOver, WorkOrder
from gitrelease.commands.views import summarize
from gitrelease.core.finding import Severity
from gitrelease.core.ledger import Event, Evidence, ItemResult, Receipt, Work
from gitrelease.core.names import LEDGER, CommitId, ItemKey, PackageName, task_ref
from gitrelease.core.package import Reason
from gitrelease.core.plan import mapping_digest
from gitrelease.core.status import Status
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, TargetSettings
from gitrelease.errors import Exit, GitReleaseError, HalfDone, NotFound, RaceLost, Refused
from gitrelease.reading.deployables import all_states, mappings_of, read_jobs
from gitrelease.reading.judging import Judged
from gitrelease.reading.ledger import check_writers, receipt_of
from gitrelease.reading.production import deviations
from gitrelease.reading.situation import Merged, Situation, with_package
from gitrelease.reading.standing import item_meant
from gitrelease.reading.tasks import belongs
from gitrelease.reading.trees import read_manifest, read_workspace

_UNREADABLE = (
    "`gitrelease verify` shows where the ledger stops making sense; restore `production` from a clone"
)


@frozen
class SyncRequest:
    """What somebody asked of a sync beyond all that is outstanding."""

    retry: bool = False
    repair: tuple[str, ...] = ()
    dry_run: bool = False


@frozen
class PackageSync:
    """What a sync did with one package, or would do."""

    name: PackageName
    status: Status
    results: tuple[ItemResult, ...] = ()
    reasons: tuple[str, ...] = ()
    note: str = ""


@frozen
class SyncResult:
    """What a sync did, and what it found that it leaves alone."""

    packages: tuple[PackageSync, ...]
    other: tuple[Applied, ...]
    """Baselines, retries and repairs."""
    unapproved: tuple[str, ...]
    """Paths that the main branch holds as nobody approved them."""
    waiting: tuple[PackageSync, ...]
    """Packages that were merged and are not approved."""
    drifted: tuple[tuple[str, ItemKey], ...]
    behind: tuple[tuple[str, ItemKey], ...]
    foreign: tuple[tuple[str, str], ...] = ()
    """What targets hold beside all items, by target and path."""
    unreachable: tuple[tuple[str, str], ...] = ()
    """Targets that could not be looked at, and why."""
    notes: tuple[str, ...] = ()
    is_dry_run: bool = False

    @property
    def exit(self) -> Exit:
        """What the exit code says: 1 when anything is not as it should be (design 8)."""
        bad = any(one.status in {Status.FAILED, Status.REFUSED} for one in self.packages)
        if (
            bad
            or self.unapproved
            or self.waiting
            or self.drifted
            or self.behind
            or self.foreign
            or self.unreachable
        ):
            return Exit.REFUSED
        return Exit.WAITING if self.is_dry_run and self.packages else Exit.DONE


def sync(desk: Desk, request: SyncRequest) -> SyncResult:
    """Apply every approved package that the ledger does not hold, in order, and report the rest.

    Raises:
        HalfDone: something was begun that could not be finished; the next sync finishes it.
    """
    if desk.root is None:
        raise Refused(
            "the trust root is not known, so any ledger would be believed",
            hint="set GITRELEASE_ROOT to the commit id that `gitrelease init` printed",
        )
    done: list[Applied] = []
    try:
        return _sync(desk, request, done)
    finally:
        # Last, also where something stopped on the way: telling may have to wait, and production does not.
        if not request.dry_run:
            announce(desk, {one.package for one in done if one.package is not None})


def _sync(desk: Desk, request: SyncRequest, done: list[Applied]) -> SyncResult:
    """Do one piece of work after the other, and note in `done` what was done."""
    run = secrets.token_hex(8)
    asked = request
    races = 0
    while True:
        now = desk.look(tags=True)
        check_writers(now.ledger)
        if request.dry_run:
            desk.allowed(Action.SYNC, now.ledger.writers, tries_key=False)
            closed, notes = find_closed(desk, now)
            return _report(
                desk, now, _would_do(desk, now, request), closed=closed, notes=notes, is_dry_run=True
            )
        try:
            shift = Shift(member=desk.allowed(Action.SYNC, now.ledger.writers), run=run)
        except SigningMissing:
            # What was just applied may have changed the runner's own key; that matters where there is more to do.
            if not done or _would_do(desk, now, asked):
                raise
            return _report(desk, now, done)
        try:
            made = _next(desk, now, asked, shift)
        except TakenOver as lost:
            desk.say(f"{lost.message}; giving way")
            continue
        except RaceLost:
            races += 1
            if races > 50:
                raise
            sleep(0.02 * races)
            continue
        if made is None:
            closed, notes = settle_all(desk, now, shift.member)
            return _report(desk, now, done, closed=closed, notes=notes)
        races = 0
        done.append(made)
        if made.work is Work.RETRY:
            asked = replace(asked, retry=False)
        if made.work is Work.REPAIR:
            asked = replace(asked, repair=())


def _next(desk: Desk, now: Situation, asked: SyncRequest, shift: Shift) -> Applied | None:
    """Do the next piece of work, or nothing when production is in line."""
    if now.ledger.receipt.is_open:
        return _finish_others(desk, now, shift)
    # A new target that cannot be reached must not stand in the way of the package that mends the workspace.
    held_up: GitReleaseError | None = None
    if order := _baseline(desk, now):
        desk.say(f"{order.work}: {', '.join(order.targets or ())}, {len(order.items)} items")
        try:
            return begin(desk, now, order, shift)
        except (RaceLost, HalfDone):
            raise
        except GitReleaseError as unreachable:
            held_up = unreachable
    for merged in now.merged:
        if merged.judged is None:
            continue
        if held_up is not None and not merged.judged.package.manifest.touches_workspace:
            break
        order = _order_for(desk, now, merged, merged.judged)
        if merged.is_approved:
            if reasons := _unsupported(desk, now, merged.judged):
                return refuse(desk, now, order, reasons, shift)
            desk.say(f"package {merged.name}: {len(order.items)} items")
            return begin(desk, now, order, shift)
        if reasons := _hopeless(now, merged, merged.judged):
            return refuse(desk, now, order, reasons, shift)
    if held_up is not None:
        raise held_up
    if asked.retry and (order := _retry(now)):
        return begin(desk, now, order, shift)
    if asked.repair:
        return begin(desk, now, _repair(desk, now, asked.repair), shift)
    return None


def _order_for(desk: Desk, now: Situation, merged: Merged, judged: Judged) -> WorkOrder:
    """Say what applying a package takes; what is approved before it is in the ledger by now."""
    package, review = judged.package, judged.review
    difference = package.manifest.difference(package.manifest_id)
    tree = with_package(desk.repo, now.ledger.tree, difference, like=merged.merge)
    tasks = {task_ref(planned.id): planned.task for planned in package.manifest.items}
    return WorkOrder(
        work=Work.PACKAGE,
        items=tuple(planned.item for planned in package.manifest.items),
        tree=tree,
        package=merged.name,
        manifest=package.manifest,
        evidence=Evidence(
            main_before=merged.before,
            main_after=merged.merge,
            manifest=package.manifest_id,
            head=package.head,
            log=review.log if review else None,
            tasks=tuple(tasks.values()),
            approvals=tuple(opinion.id for opinion in judged.verdict.approvals),
            recorded=desk.forge.record(review, tasks) if review else {},
            earlier=tuple(desk.forge.earlier(review)) if review else (),
        ),
        summary=summarize(desk, now, judged, is_merged=True),
    )


def _unsupported(desk: Desk, now: Situation, judged: Judged) -> list[Reason]:
    """Find what a target cannot hold of a package; then the package is refused as a whole."""
    objections = desk.objections(now.ledger.workspace)
    manifest = judged.package.manifest
    reasons = []
    if manifest.touches_workspace:
        package = judged.package
        after = with_package(desk.repo, now.ledger.tree, manifest.difference(package.manifest_id))
        problems = desk.unconnectable(read_workspace(desk.repo, after))
        reasons += [Reason(code=problem.code, message=problem.message) for problem in problems]
    return reasons + [
        Reason(code=problem.code, message=f"{planned.item}: {problem.message}")
        for planned in judged.package.manifest.items
        if planned.after.exists
        for job in read_jobs(desk.repo, planned.item, planned.after)
        for problem in objections(job)
        if problem.severity is Severity.ERROR
    ]


def _hopeless(now: Situation, merged: Merged, judged: Judged) -> list[Reason]:
    """Say why a package that people approved can never be applied, if so.

    One that starts from a package which is merged and not approved yet waits for it: a late yes counts.
    """
    obstacles = judged.package.obstacles
    if not obstacles or not judged.verdict.is_approved_but_for(obstacles):
        return []
    items = {planned.item for planned in judged.package.manifest.items}
    for earlier in now.merged:
        if earlier.name == merged.name:
            break
        before = (
            {planned.item for planned in earlier.judged.package.manifest.items} if earlier.judged else items
        )
        if not earlier.is_approved and before & items:
            return []
    return list(obstacles)


def _baseline(desk: Desk, now: Situation) -> WorkOrder | None:
    """Give a target everything when it is new, or when its names of production changed."""
    for settings in now.ledger.workspace.targets:
        standing = now.ledger.holdings.standing(settings.name)
        if standing is not None and standing.mapping == _mapping(settings):
            continue
        return WorkOrder(
            work=Work.BASELINE,
            items=_everything(desk, now),
            tree=now.ledger.tree,
            targets=(settings.name,),
            overwrite=standing is None,
        )
    return None


def _everything(desk: Desk, now: Situation) -> tuple[ItemKey, ...]:
    """List every item that is approved to be in production."""
    states = all_states(desk.repo, now.ledger.tree)
    return tuple(sorted(item for item, state in states.items() if state.exists))


def _mapping(settings: TargetSettings) -> str:
    return mapping_digest(mappings_of(settings))


def _retry(now: Situation) -> WorkOrder | None:
    """Deploy the newest approved version of what failed before."""
    behind: dict[ItemKey, None] = {}
    for settings in now.ledger.workspace.targets:
        standing = now.ledger.holdings.standing(settings.name)
        held = now.ledger.holdings.of(settings.name, standing.behind if standing else ())
        failed = (item for item, holding in held.items() if holding.status.is_failure)
        behind.update(dict.fromkeys(failed))
    if not behind:
        return None
    return WorkOrder(work=Work.RETRY, items=tuple(behind), tree=now.ledger.tree)


def _repair(desk: Desk, now: Situation, texts: Sequence[str]) -> WorkOrder:
    """Bring back what the ledger says of some items, whatever a target holds of them."""
    items = tuple(dict.fromkeys(_to_repair(desk, now, text) for text in texts))
    return WorkOrder(work=Work.REPAIR, items=items, tree=now.ledger.tree, overwrite=True)


def _to_repair(desk: Desk, now: Situation, text: str) -> ItemKey:
    """Find the item that somebody means; what was never released can be held all the same, and is to go."""
    try:
        return item_meant(desk.repo, now.ledger.tree, text)
    except NotFound:
        settings = now.ledger.workspace.targets
        found = deviations(now.ledger, desk.connect, settings)
        for item in (item for one in found for item in one.drifted):
            if text in {str(item), item.name}:
                return item
        raise


def _finish_others(desk: Desk, now: Situation, shift: Shift) -> Applied | None:
    """Wait for the runner that holds the ledger, and take over once it shows no sign of life."""
    receipt = now.ledger.receipt
    lease = now.ledger.workspace.lease
    if receipt.run != shift.run and not _has_died(desk, now, lease):
        raise RaceLost("the runner that holds the ledger is alive")
    desk.say(f"taking over {receipt.subject} from {receipt.runner}")
    return take_over(desk, now, _order_of(desk, now), shift)


def _has_died(desk: Desk, now: Situation, lease: float) -> bool:
    """Watch the ledger for a lease, by our own clock; the times in it are only claims."""
    desk.say(
        f"{now.ledger.receipt.runner} is at work on {now.ledger.receipt.subject}; waiting up to {lease:g} s"
    )
    end = monotonic() + lease
    while monotonic() < end:
        sleep(max(0.05, min(lease / 10, 2.0, end - monotonic())))
        desk.fetch()
        if desk.repo.tip(LEDGER) != now.ledger.tip:
            return False
    return True


def _order_of(desk: Desk, now: Situation) -> WorkOrder:
    """Read from the ledger what a dead runner was about to do."""
    started = _started(desk, now.ledger.tip)
    if started.work is None:
        raise HalfDone(f"the ledger does not say what was begun by {started.runner}", hint=_UNREADABLE)
    if started.package is None:
        return WorkOrder(
            work=started.work,
            items=started.items or _everything(desk, now),
            tree=now.ledger.tree,
            targets=started.targets or None,
            overwrite=_overwrites(now, started),
        )
    read = read_manifest(desk.repo, now.ledger.tree, started.package)
    summary = now.ledger.holdings.summary(started.package)
    if read is None or started.evidence is None or summary is None:
        raise HalfDone(f"the ledger does not say what was begun with {started.package}", hint=_UNREADABLE)
    return WorkOrder(
        work=Work.PACKAGE,
        items=tuple(planned.item for planned in read[1].items),
        tree=now.ledger.tree,
        package=started.package,
        manifest=read[1],
        evidence=started.evidence,
        summary=summary,
    )


def _overwrites(now: Situation, started: Receipt) -> bool:
    """Say whether a work may overwrite what was not released; a taker may no more than whoever began it."""
    is_new = all(now.ledger.holdings.standing(name) is None for name in started.targets)
    return started.work is Work.REPAIR or (started.work is Work.BASELINE and is_new)


def _started(desk: Desk, tip: CommitId) -> Receipt:
    """Walk from an open receipt back to where its work began."""
    at = tip
    while True:
        commit = desk.repo.commit(at)
        receipt = receipt_of(commit)
        if receipt.event is Event.STARTED:
            return receipt
        if receipt.event is not Event.ALIVE or not commit.parents:
            raise HalfDone(
                f"the ledger's {at:.7} continues something that was never started", hint=_UNREADABLE
            )
        at = commit.parents[0]


def _would_do(desk: Desk, now: Situation, asked: SyncRequest) -> list[Applied]:
    """Say what a sync would begin with, in order, and change nothing."""
    would: list[Applied] = []
    if now.ledger.receipt.is_open:
        would.append(_promise(_order_of(desk, now).work, now.ledger.receipt.package))
    if order := _baseline(desk, now):
        would.append(_promise(order.work, None))
    would += [_promise(Work.PACKAGE, merged.name) for merged in now.merged if merged.is_approved]
    if asked.retry and (order := _retry(now)):
        would.append(_promise(order.work, None))
    if asked.repair:
        would.append(_promise(_repair(desk, now, asked.repair).work, None))
    return would


def _promise(work: Work, package: PackageName | None) -> Applied:
    return Applied(work=work, package=package, status=Status.MERGED, results=())


def _report(
    desk: Desk,
    now: Situation,
    done: Sequence[Applied],
    *,
    closed: Sequence[Closed] = (),
    notes: Sequence[str] = (),
    is_dry_run: bool = False,
) -> SyncResult:
    """Say what was done, and what is left that sync does not touch."""
    packages = tuple(
        PackageSync(
            name=one.package,
            status=one.status,
            results=one.results,
            reasons=tuple(reason.message for reason in one.reasons),
            note=one.note,
        )
        for one in done
        if one.package is not None
    ) + tuple(PackageSync(name=one.package, status=one.status, reasons=(one.why,)) for one in closed)
    settings = now.ledger.workspace.targets
    found = deviations(now.ledger, desk.connect, settings)
    waiting = tuple(_why_not(merged) for merged in now.merged if not merged.is_approved)
    return SyncResult(
        packages=packages,
        other=tuple(one for one in done if one.package is None),
        unapproved=tuple(change.path for change in now.unapproved),
        waiting=waiting,
        drifted=tuple((one.name, item) for one in found for item in one.drifted),
        behind=tuple((one.name, item) for one in found for item in one.behind),
        foreign=tuple((one.name, path) for one in found for path in one.foreign),
        unreachable=tuple((one.name, one.unreachable) for one in found if one.unreachable is not None),
        notes=tuple(notes),
        is_dry_run=is_dry_run,
    )


def _why_not(merged: Merged) -> PackageSync:
    """Say why a package on the main branch is not applied."""
    if merged.judged is None:
        reasons: tuple[str, ...] = (merged.trouble.message,) if merged.trouble else ()
    else:
        verdict = merged.judged.verdict
        reasons = tuple(reason.message for reason in (*verdict.reasons, *verdict.missing))
    return PackageSync(name=merged.name, status=Status.MERGED, reasons=reasons)


def unapproved_items(now: Situation) -> tuple[str, ...]:
    """Name what the main branch holds as nobody approved it: items where they are known, else paths."""
    names = (str(belongs(change.path) or change.path) for change in now.unapproved)
    return tuple(dict.fromkeys(names))
