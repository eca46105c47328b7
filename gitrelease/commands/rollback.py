"""`gitrelease rollback`: go back to an earlier release by a new package, reviewed like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gitrelease.checking import refuse_secrets
from gitrelease.commands import Desk, until_first
from gitrelease.commands.refusals import HeldUnapproved, NameTaken
from gitrelease.commands.release import (
    Released,
    check_plan,
    complete,
    compose,
    is_taken,
    plan_items,
    publish,
    same_package,
    with_reviewers,
)
from gitrelease.core.item import ItemState, change_of, document_path
from gitrelease.core.names import (
    BlobId,
    CommitId,
    ItemKey,
    PackageName,
    TaskId,
    package_name,
    task_ref,
)
from gitrelease.core.package import Manifest, PlannedItem, Purpose, RestoredPath, default_name
from gitrelease.core.rollback import items_to_roll_back
from gitrelease.core.task import DESCRIPTION_CHARACTERS, Task
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action
from gitrelease.documents import set_version
from gitrelease.errors import NotFound, Refused, UsageError
from gitrelease.pen import Pen
from gitrelease.reading.packages import OpenPackage
from gitrelease.reading.situation import Situation
from gitrelease.reading.standing import item_meant, read_standings
from gitrelease.reading.tasks import Makers, highest_numbers, open_task_refs, read_tasks, task_message
from gitrelease.reading.trees import held, read_manifest, read_states
from gitrelease.repo import RefMove, plain
from gitrelease.repo.objects import has_surrogates


@frozen
class RollbackRequest:
    """What somebody wants to go back."""

    package: PackageName | None = None
    items: tuple[str, ...] = ()
    unapproved: bool = False
    reviewers: tuple[str, ...] = ()
    message: str = ""
    name: str | None = None


def rollback(desk: Desk, request: RollbackRequest, *, dry_run: bool = False) -> Released:
    """Propose to go back: to before a release, or to what was approved where the main branch holds other."""
    if request.unapproved == (request.package is not None):
        raise UsageError("say what to roll back", hint="name a package, or give --unapproved")
    refuse_secrets(request.message)
    if request.unapproved:
        return until_first(lambda: _restore(desk, request, dry_run=dry_run))
    return until_first(lambda: _roll_back(desk, request, dry_run=dry_run))


def _roll_back(desk: Desk, request: RollbackRequest, *, dry_run: bool) -> Released:
    now = desk.look()
    who = desk.allowed(Action.ROLL_BACK, now.workspace, tries_key=not dry_run)
    name = request.package
    if name is None:
        raise UsageError("say which package to roll back", hint="`gitrelease package list` shows them")
    released = _released(desk, now, name)
    asked = [item_meant(desk.repo, now.approved, text) for text in request.items]
    states = read_states(desk.repo, now.approved, [planned.item for planned in released.items])
    chosen = [
        planned
        for planned in items_to_roll_back(released, states, asked)
        if _differs(planned.before, states[planned.item])
    ]
    if not chosen:
        raise Refused(f"everything is as it was before {name}", hint="there is nothing to roll back")
    if unapproved := now.unapproved_items & {planned.item for planned in chosen}:
        raise HeldUnapproved(min(unapproved))
    if dry_run:
        # What is only shown is not signed, as a key may ask for its passphrase; so nothing proves who made it.
        pencil = Pen(identity=lambda: desk.pen.identity, signs=False, now=desk.pen.now)
        me = desk.forge.whoami(now.workspace)
        tasks = [
            task if task.submitter.member else replace(task, submitter=me)
            for task in _tasks(desk, now, chosen, states, name, pencil)
        ]
    else:
        tasks = _tasks(desk, now, chosen, states, name, desk.pen)
    standings = read_standings(desk.repo, desk.forge, now)
    if old := same_package(standings.packages, {task.commit for task in tasks}, who):
        return _completed(desk, now, old, dry_run=dry_run)
    package = _name(desk, now, request, [planned.item for planned in chosen])
    items = plan_items(desk, now, tasks, package)
    manifest, reviewers = compose(
        now,
        name=package,
        who=who,
        items=items,
        purpose=Purpose.ROLLBACK,
        reviewers=request.reviewers,
        execute=False,
        message=request.message or f"Roll back {name}",
        rolls_back=name,
    )
    findings = check_plan(desk, now, items)
    if dry_run:
        return Released(
            manifest=manifest, head=None, asked=reviewers, findings=tuple(findings), is_dry_run=True
        )
    moves = [
        RefMove(ref=task_ref(task.id), new=task.commit, expected=None)
        for task in tasks
        if task_ref(task.id) not in now.refs
    ]
    if moves:
        desk.repo.push(moves)
    head = publish(desk, now, manifest, tasks)
    return Released(manifest=manifest, head=head, asked=reviewers, findings=tuple(findings))


def _completed(desk: Desk, now: Situation, old: OpenPackage, *, dry_run: bool) -> Released:
    """Give the package that a run before this one made, with all that it may have left undone."""
    if not dry_run:
        complete(desk, now, old)
    asked = old.manifest.reviewers
    return Released(
        manifest=old.manifest, head=old.head, asked=asked, findings=(), is_dry_run=dry_run, is_old=True
    )


def _released(desk: Desk, now: Situation, name: PackageName) -> Manifest:
    read = read_manifest(desk.repo, now.approved, name)
    if read is None:
        summary = now.ledger.holdings.summary(name) or now.archive.outcome(name)
        if summary is not None:
            raise Refused(
                f"{name} is {summary.status}: there is nothing of it to roll back",
                hint="`gitrelease package list --status successful` shows what there is",
            )
        raise NotFound(
            f"no package {name} was released", hint="`gitrelease package list --status successful`"
        )
    return read[1]


def _differs(before: ItemState | None, now: ItemState | None) -> bool:
    """Say whether going back changes anything at all."""
    old = before.files if before else {}
    new = now.files if now else {}
    return dict(old) != dict(new)


def _tasks(
    desk: Desk,
    now: Situation,
    chosen: Sequence[PlannedItem],
    states: Mapping[ItemKey, ItemState | None],
    name: PackageName,
    pen: Pen,
) -> list[Task]:
    """Make a task of each item that goes back, or take the one that a run before this one made."""
    items = [planned.item for planned in chosen]
    recorded = {item: state.version if (state := states[item]) else 0 for item in items}
    numbers = highest_numbers(now.refs, now.archive, recorded)
    waiting = open_task_refs(now.refs)
    made: dict[TaskId, CommitId] = {}
    for planned in chosen:
        state = states[planned.item]
        newest = TaskId(item=planned.item, version=numbers[planned.item])
        words = f"Roll back {planned.item} to before {name}"[:DESCRIPTION_CHARACTERS]
        if newest in waiting and _is_ours(desk, waiting[newest], words, now.main):
            made[newest] = waiting[newest]
            continue
        id_ = TaskId(item=planned.item, version=newest.version + 1)
        made[id_] = _freeze(desk, now, id_, planned.before, state, words, pen)
    tasks, malformed = read_tasks(desk.repo, Makers(forge=desk.forge), made, now.workspace)
    if malformed:
        raise Refused(
            malformed[0].reason.message, hint=f"`gitrelease check --ref {malformed[0].ref}` says more"
        )
    return sorted(tasks, key=lambda task: items.index(task.item))


def _is_ours(desk: Desk, commit: CommitId, words: str, main: CommitId) -> bool:
    """Recognise a task of the same rollback, made by the same person on the same main branch."""
    found = desk.repo.commit(commit)
    return (
        found.message.partition("\n")[0] == words
        and found.author.email == desk.pen.identity.email
        and found.parents == (main,)
    )


def _freeze(
    desk: Desk,
    now: Situation,
    id_: TaskId,
    before: ItemState | None,
    state: ItemState | None,
    words: str,
    pen: Pen,
) -> CommitId:
    files = _numbered(desk, before, id_.version)
    gone = dict.fromkeys(state.files if state else ())
    tree = desk.repo.write_tree(desk.repo.tree_of(now.main), {**gone, **files})
    change = change_of(was=state is not None and state.exists, is_=bool(files))
    return pen.commit(desk.repo, tree=tree, parents=(now.main,), message=task_message(id_, change, words))


def _numbered(desk: Desk, state: ItemState | None, version: int) -> dict[str, BlobId | bytes]:
    """Give the files of an earlier state under a new number: everything else stays to the byte."""
    if state is None or not state.exists:
        return {}
    files: dict[str, BlobId | bytes] = {path: pin.blob for path, pin in state.files.items()}
    home = document_path(files)
    if home is not None:
        files[home] = set_version(desk.repo.blob(state.files[home].blob), version, file=home)
    return files


def _name(desk: Desk, now: Situation, request: RollbackRequest, items: Sequence[ItemKey]) -> PackageName:
    name = package_name(request.name) if request.name else default_name(items, desk.now())
    if is_taken(now, name):
        raise NameTaken(name)
    return name


def _restore(desk: Desk, request: RollbackRequest, *, dry_run: bool) -> Released:
    now = desk.look()
    who = desk.allowed(Action.ROLL_BACK, now.workspace, tries_key=not dry_run)
    if not now.unapproved:
        raise NotFound(
            "the main branch holds nothing that nobody approved",
            hint="`gitrelease status` shows how it stands",
        )
    restores = []
    for change in now.unapproved:
        if has_surrogates(change.path):
            raise Refused(
                f"the main branch holds {plain(change.path)!r}, whose name is no UTF-8, so that no package can name it",
                hint="whoever runs the server takes it away with git; nothing else stands in the way",
            )
        entry = desk.repo.tree_entry(now.approved, change.path)
        restores.append(
            RestoredPath(
                path=change.path, found=held(change.after), approved=None if entry is None else entry.blob
            )
        )
    for package in (
        one for one in read_standings(desk.repo, desk.forge, now).packages if one.author.member == who
    ):
        if package.manifest.restores == tuple(restores):
            return _completed(desk, now, package, dry_run=dry_run)
    name = package_name(request.name) if request.name else package_name(f"restore_{desk.now():%Y%m%d%H%M%S}")
    if is_taken(now, name):
        raise NameTaken(name)
    draft = Manifest(
        name=name,
        workspace=now.workspace.id,
        root=now.ledger.root,
        main=now.ledger.main,
        purpose=Purpose.RESTORE,
        applicant=who,
        description=request.message or "Put back what was approved",
        reviewers=(),
        execute=False,
        restores=tuple(restores),
    )
    manifest, reviewers = with_reviewers(now.workspace, draft, request.reviewers)
    if dry_run:
        return Released(manifest=manifest, head=None, asked=reviewers, findings=(), is_dry_run=True)
    head = publish(desk, now, manifest, ())
    return Released(manifest=manifest, head=head, asked=reviewers, findings=())
