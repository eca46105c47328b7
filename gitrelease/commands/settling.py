"""What finishing a piece of work leaves: what targets hold now, and the refs that nobody needs any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from gitrelease.archiving import read_archive, write_summary
from gitrelease.commands.runner import Runner
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement
from gitrelease.core.ledger import (
    ItemResult,
    TargetStanding,
    behind_after,
    held_path,
    holding_document,
    holding_of,
    standing_document,
    standing_path,
    summary_path,
)
from gitrelease.core.names import (
    ARCHIVE,
    CommitId,
    ItemKey,
    PackageName,
    RefName,
    package_ref,
    release_tag,
    review_ref,
    task_ref,
)
from gitrelease.core.package import Manifest
from gitrelease.core.plan import OutcomeStatus
from gitrelease.core.status import Summary, restated, summary_document
from gitrelease.messages import message_of, value_bytes
from gitrelease.reading.packages import open_packages
from gitrelease.reading.production import TargetPlan
from gitrelease.reading.tasks import open_task_refs
from gitrelease.reading.trees import read_workspace
from gitrelease.repo import RefMove


def note_results(
    runner: Runner,
    summary: Summary | None,
    *,
    plans: Mapping[str, TargetPlan],
    results: Sequence[ItemResult],
    states: Mapping[str, str | None],
) -> None:
    """Let the receipt say what every target was given, how it was left, and what became of packages.

    Args:
        runner: whose work it is.
        summary: the package that was applied, as it is shown from now on.
        plans: what each target was to be given.
        results: what became of it.
        states: how each target was left, as it says itself.
    """
    files: dict[str, bytes] = {}
    for name, plan in plans.items():
        mine = [result for result in results if result.target == name]
        for result in mine:
            holding = holding_of(result, package=runner.order.package, last=plan.held.get(result.item))
            files[held_path(name, result.item)] = value_bytes(holding_document(holding))
        standing = TargetStanding(
            state=states[name],
            mapping=plan.mapping,
            behind=behind_after(runner.holdings.standing(name), mine),
        )
        files[standing_path(name)] = value_bytes(standing_document(standing))
    told = [*_mended(runner, plans, results), *([] if summary is None else [summary])]
    files.update((summary_path(one.name), write_summary(one)) for one in told)
    runner.note(files)


def _mended(runner: Runner, plans: Mapping[str, TargetPlan], results: Sequence[ItemResult]) -> list[Summary]:
    """Show earlier packages anew whose failed items are well now."""
    failing = _failing(runner, results)
    well: dict[PackageName, dict[ItemKey, OutcomeStatus]] = {}
    for result in results:
        held = plans[result.target].held.get(result.item)
        if held is None or held.package in {None, runner.order.package} or not held.status.is_failure:
            continue
        # A newer version takes the place of one that failed, however it fares itself.
        is_newer = result.version > held.version
        if held.package is not None and (is_newer or result.item not in failing):
            better = OutcomeStatus.SUPERSEDED if is_newer else OutcomeStatus.SUCCESSFUL
            well.setdefault(held.package, {})[result.item] = better
    shown = ((runner.holdings.summary(package), mended) for package, mended in well.items())
    return [restated(summary, mended) for summary, mended in shown if summary is not None]


def _failing(runner: Runner, results: Sequence[ItemResult]) -> frozenset[ItemKey]:
    """Say which of these items some target, of this work or not, does not hold as it should."""
    made = {(result.item, result.target): result.outcome.status for result in results}
    items = {item for item, _ in made}
    found = {item for (item, _), status in made.items() if status.is_failure}
    for settings in read_workspace(runner.desk.repo, runner.tree).targets:
        for item, holding in runner.holdings.of(settings.name, items).items():
            if (item, settings.name) not in made and holding.status.is_failure:
                found.add(item)
    return frozenset(found)


def settle(runner: Runner, summary: Summary | None) -> tuple[list[RefMove], str]:
    """Say which refs a released package leaves behind, and put all that it was into the archive.

    Returns:
        The moves that belong with *finished*, and a note for the receipt where there is something to say.
    """
    desk, order = runner.desk, runner.order
    if order.package is None or order.evidence is None or order.manifest is None or summary is None:
        return [], ""
    refs = desk.repo.refs()
    archive = read_archive(desk.repo, refs)
    others, _ = open_packages(desk.repo, desk.forge, refs, read_workspace(desk.repo, runner.tree), archive)
    kept = {one.task for other in others if other.name != order.package for one in other.manifest.items}
    tasks = _tasks_to_settle(refs, order.manifest, order.package, kept)
    head, log = refs.get(package_ref(order.package)), refs.get(review_ref(order.package))
    entry = ArchiveEntry(
        by=runner.shift.member,
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
    tag = release_tag(order.package)
    if desk.repo.has_tag(tag):
        return moves, f"the tag release/{order.package} was there before; it is not ours and stays as it is"
    message = message_of(f"Release {order.package}", summary_document(summary))
    made = desk.repo.write_tag(tag, order.evidence.main_after, message, desk.pen.identity, desk.now())
    return [*moves, RefMove(ref=tag, new=made, expected=None)], ""


def _tasks_to_settle(
    refs: Mapping[RefName, str], manifest: Manifest, package: PackageName, kept: Collection[CommitId]
) -> list[tuple[SettledTask, RefName | None]]:
    """List the tasks that a package released, and older ones of its items, which nothing will release.

    What another open package keeps stays, stale as it is, until that package is closed (design 4).
    """
    found: list[tuple[SettledTask, RefName | None]] = []
    waiting = open_task_refs(refs)
    for planned in manifest.items:
        ref = task_ref(planned.id)
        settled = SettledTask(
            id=planned.id, commit=planned.task, settlement=Settlement.RELEASED, package=package
        )
        found.append((settled, ref if refs.get(ref) == planned.task else None))
        found += [
            (SettledTask(id=id_, commit=commit, settlement=Settlement.SUPERSEDED), task_ref(id_))
            for id_, commit in waiting.items()
            if id_.item.folded == planned.item.folded
            and id_.version < planned.id.version
            and commit not in kept
        ]
    return found
