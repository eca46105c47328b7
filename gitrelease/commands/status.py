"""`gitrelease status`: what is not submitted, and production against the main branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gitrelease.commands import Desk
from gitrelease.commands.sync import unapproved_items
from gitrelease.core.finding import Finding, Severity
from gitrelease.core.item import ItemState
from gitrelease.core.names import (
    HEADS,
    ItemKey,
    Kind,
    NameRefused,
    PackageName,
    RefName,
    package_ref,
    place_of,
    task_of,
)
from gitrelease.core.package import Reason
from gitrelease.core.status import Status
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, authorize
from gitrelease.errors import Exit, GitReleaseError
from gitrelease.reading.deployables import all_states
from gitrelease.reading.judging import NoManifest, judge_branch
from gitrelease.reading.production import deviations
from gitrelease.reading.situation import Situation
from gitrelease.reading.sources import (
    Source,
    WorkingTree,
    find_document,
    git_hash,
    ignored_findings,
    item_files,
    left_of,
    refusal,
)
from gitrelease.reading.standing import read_standings
from gitrelease.reading.tasks import Makers, MalformedTask, open_task_refs
from gitrelease.reading.trees import item_entries_at, read_manifest, read_states


@frozen
class TargetStatus:
    """How one target stands."""

    name: str
    outstanding: tuple[ItemKey, ...]
    drifted: tuple[ItemKey, ...]
    unapproved: tuple[str, ...]
    behind: tuple[ItemKey, ...] = ()
    """What is outstanding because it failed; only a retry brings it."""
    foreign: tuple[str, ...] = ()
    """What it holds beside all items, which nobody released."""
    unreachable: str | None = None
    """Why it cannot be looked at from here; what is said of it is then what was last known."""


@frozen
class StatusResult:
    """What is not submitted, what waits, and how production stands."""

    unsubmitted: tuple[ItemKey, ...]
    strays: tuple[str, ...]
    """Working files that belong to no item."""
    targets: tuple[TargetStatus, ...]
    packages: tuple[tuple[PackageName, Status], ...]
    """Packages on the main branch that production does not have yet."""
    not_approved: tuple[PackageName, ...] = ()
    """Those of them that sync leaves alone."""
    syncing: str | None = None
    """What a runner is at work on."""
    findings: tuple[Finding, ...] = ()
    """Working files and branches that count for nothing as they are, each with why, and what to do."""

    @property
    def exit(self) -> Exit:
        """What the exit code says (design 8)."""
        if any(one.drifted or one.unapproved or one.foreign or one.unreachable for one in self.targets):
            return Exit.REFUSED
        return (
            Exit.WAITING if any(target.outstanding for target in self.targets) or self.packages else Exit.DONE
        )


def status(desk: Desk) -> StatusResult:
    """Compare the working files with what was submitted, and production with the main branch."""
    now, source = _look(desk)
    authorize(None, Action.LOOK, now.workspace)
    unsubmitted, strays, unread = _unsubmitted(desk, now, source)
    coming = dict.fromkeys(_at_work(desk, now))
    for merged in now.merged:
        if merged.judged is not None and merged.is_approved:
            coming.update(dict.fromkeys(planned.item for planned in merged.judged.package.manifest.items))
    unapproved = unapproved_items(now)
    found = deviations(now.ledger, desk.connect, now.ledger.workspace.targets)
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
                behind=tuple(item for item in one.behind if item not in coming),
                foreign=one.foreign,
                unreachable=one.unreachable,
            )
            for one in found
        ),
        packages=tuple((merged.name, Status.MERGED) for merged in now.merged),
        not_approved=tuple(merged.name for merged in now.merged if not merged.is_approved),
        syncing=now.ledger.receipt.subject if now.ledger.receipt.is_open else None,
        findings=(*unread, *_out_of_order(desk, now)),
    )


def _look(desk: Desk) -> tuple[Situation, WorkingTree | None]:
    """Look at the working files while the server is asked; mostly the main branch did not move meanwhile."""
    base = None
    with suppress(GitReleaseError):  # what is wrong with the ledger, the look below says
        base = desk.repo.tip(main) if (main := desk.main_branch()) is not None else None
    if desk.repo.worktree is None or base is None:
        now = desk.look()
        return now, None if desk.repo.worktree is None else WorkingTree(repo=desk.repo, base=now.main)
    source = WorkingTree(repo=desk.repo, base=base)
    with ThreadPoolExecutor(1) as beside:
        beside.submit(lambda: source.changed)
        now = desk.look()
    return now, source.based_on(now.main)


def _out_of_order(desk: Desk, now: Situation) -> list[Finding]:
    """List the branches that stand where tasks and packages do, and are none."""
    standings = read_standings(desk.repo, desk.forge, now)
    found = [_branch(desk, bad) for bad in (*standings.malformed, *standings.no_packages)]
    merged = {one.name for one in now.merged}
    for review in desk.forge.reviews(now.workspace):
        if review.package in merged or now.ledger.has(review.package):
            continue
        try:
            faults = judge_branch(desk.repo, Makers(forge=desk.forge), now.ground, review).package.faults
        except NoManifest:
            continue  # said already
        except GitReleaseError as wrong:
            faults = (Reason(code=wrong.code, message=wrong.message),)
        if faults:
            hint = f"`gitrelease package revoke {review.package}`, by its applicant, then release again"
            found.append(_warning(package_ref(review.package), faults[0], hint))
    return sorted(found, key=lambda one: one.file)


def _branch(desk: Desk, bad: MalformedTask) -> Finding:
    """Say what to do about a branch: nothing of gitrelease removes what it does not count."""
    name = bad.ref.removeprefix(HEADS)
    gone = f"`git push {desk.repo.remote} --delete {name}` removes it"
    if bad.reason.code == "task-number":
        return _warning(
            bad.ref, bad.reason, f"`gitrelease submit {task_of(bad.ref).item}` takes the next number; {gone}"
        )
    return _warning(bad.ref, bad.reason, f"`gitrelease check --ref {name}` says more; {gone}")


def _warning(ref: RefName, reason: Reason, hint: str) -> Finding:
    return Finding(
        code=reason.code,
        severity=Severity.WARNING,
        file=ref.removeprefix(HEADS),
        message=reason.message,
        hint=hint,
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


def _unsubmitted(
    desk: Desk, now: Situation, source: WorkingTree | None
) -> tuple[tuple[ItemKey, ...], tuple[str, ...], tuple[Finding, ...]]:
    """List the items whose working files are neither what was released nor what awaits release.

    Files that are as this clone last got them are not edited; `gitrelease pull` brings newer ones. Beside the
    items come the files that belong to none, and what is to be said of files that cannot be read or seen.
    """
    if source is None:
        return (), (), ()
    items: dict[ItemKey, None] = {}
    strays = []
    for path in sorted(source.changed):
        try:
            items[place_of(path).item] = None
        except NameRefused:
            strays.append(path)
    states = read_states(desk.repo, now.approved, items)
    head = desk.repo.resolve("HEAD")
    pulled = None if head is None else desk.repo.merge_base(head, now.main)
    before = {} if pulled is None else read_states(desk.repo, pulled, items)
    found: list[ItemKey] = []
    findings: list[Finding] = []
    for item in items:
        here = {} if pulled is None else item_entries_at(desk.repo, pulled, before[item])
        try:
            mine = _working(source, item, states[item])
        except GitReleaseError as wrong:  # one that cannot be read does not hide the others
            findings.append(refusal(item, wrong))
            continue
        if pulled is not None and mine == {path: entry.id for path, entry in here.items()}:
            continue
        if not _is_known(desk, now, item, states[item], mine):
            found.append(item)
    return tuple(found), tuple(strays), (*findings, *ignored_findings(source))


def _working(source: Source, item: ItemKey, state: ItemState | None) -> dict[str, str]:
    """Hash the working files of an item, none when it has no document."""
    document = find_document(source, item, state)
    if document is None:
        left_of(source, item)  # what is in its place, or not to be seen, is refused by its name
        return {}
    return {path: git_hash(data) for path, data in item_files(source, document).items()}


def _is_known(
    desk: Desk, now: Situation, item: ItemKey, state: ItemState | None, mine: Mapping[str, str]
) -> bool:
    """Say whether working files are what was released, or what awaits release."""
    if mine == ({path: pin.blob for path, pin in state.files.items()} if state else {}):
        return True
    for id_, commit in open_task_refs(now.refs).items():
        if id_.item == item:
            there = item_entries_at(desk.repo, commit, state)
            if mine == {path: entry.id for path, entry in there.items()}:
                return True
            if mine and mine == {p: entry.id for p, entry in desk.repo.entries(commit, mine).items()}:
                return True
    return False
