"""`gitrelease release`: bundle tasks into one package and put it up for review."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from gitrelease.checking import Draft, check_drafts, refuse_secrets
from gitrelease.commands import Desk, until_first
from gitrelease.commands.closing import refuse_closed
from gitrelease.commands.describing import describe
from gitrelease.commands.refusals import CheckFailed, HeldUnapproved, NameTaken
from gitrelease.core.content import Pin
from gitrelease.core.finding import Finding, Severity, has_errors
from gitrelease.core.item import ItemState, Record, record_document
from gitrelease.core.names import (
    PACKAGE,
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    MemberId,
    PackageName,
    fold,
    package_name,
)
from gitrelease.core.package import (
    MOST_TASKS,
    Manifest,
    PlannedItem,
    Proposed,
    Purpose,
    default_name,
    manifest_document,
    reviewers_asked,
)
from gitrelease.core.review import cannot_be_met, may_approve
from gitrelease.core.task import Task, TaskStanding, TaskState
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Workspace
from gitrelease.documents import dump
from gitrelease.errors import NotFound, NotYetBuilt, Refused, UsageError
from gitrelease.forges import Words
from gitrelease.reading.meaning import allowed_secrets, means_the_same
from gitrelease.reading.packages import OpenPackage
from gitrelease.reading.situation import Situation, with_package
from gitrelease.reading.standing import Standings, read_standings
from gitrelease.reading.trees import file_bytes, pins, read_records
from gitrelease.repo import Entry
from gitrelease.targets import CANNOT_RUN


@frozen
class Bundle:
    """What somebody asked to release."""

    tasks: tuple[str, ...] = ()
    everything: bool = False
    reviewers: tuple[str, ...] = ()
    name: str | None = None
    execute: bool | None = None
    message: str = ""


@frozen
class Released:
    """The package that a release made, or would make."""

    manifest: Manifest
    head: CommitId | None
    asked: tuple[MemberId, ...]
    findings: tuple[Finding, ...]
    is_dry_run: bool = False
    is_old: bool = False
    """Whether there was such a package already, which this run only completed."""


def release(desk: Desk, bundle: Bundle, *, dry_run: bool = False) -> Released:
    """Put the chosen tasks up for review as one package."""
    if bundle.execute:
        raise NotYetBuilt(
            "--execute: this version of gitrelease does not run jobs", hint="release with --no-execute"
        )
    if not bundle.tasks and not bundle.everything:
        raise UsageError("say what to release", hint="name tasks, or give --all")
    refuse_secrets(bundle.message)
    return until_first(lambda: _release(desk, bundle, dry_run=dry_run))


def _release(desk: Desk, bundle: Bundle, *, dry_run: bool) -> Released:
    now = desk.look()
    who = desk.allowed(Action.RELEASE, now.workspace, tries_key=not dry_run)
    standings = read_standings(desk.repo, desk.forge, now)
    chosen = _chosen(standings, bundle, who, now.workspace)
    if old := same_package(standings.packages, {one.task.commit for one in chosen}, who):
        if not dry_run:
            complete(desk, now, old)
        asked = old.manifest.reviewers
        return Released(
            manifest=old.manifest, head=old.head, asked=asked, findings=(), is_dry_run=dry_run, is_old=True
        )
    _refuse_unfit(now, chosen)
    tasks = [standing.task for standing in chosen]
    items = plan_items(desk, now, tasks, package := _name(desk, now, bundle, tasks))
    manifest, asked = compose(
        now,
        name=package,
        who=who,
        items=items,
        purpose=Purpose.RELEASE,
        reviewers=bundle.reviewers,
        execute=bundle.execute if bundle.execute is not None else now.workspace.review.execute,
        message=bundle.message or _words(tasks),
    )
    if manifest.execute:
        raise NotYetBuilt(
            "review.execute in workspace.yaml asks to run released jobs, which this version does not do",
            hint="release with --no-execute",
        )
    findings = check_plan(desk, now, items)
    if bundle.everything:
        findings += _left_out(standings, now.workspace)
    if dry_run:
        return Released(manifest=manifest, head=None, asked=asked, findings=tuple(findings), is_dry_run=True)
    head = publish(desk, now, manifest, tasks)
    return Released(manifest=manifest, head=head, asked=asked, findings=tuple(findings))


def _chosen(standings: Standings, bundle: Bundle, who: MemberId, workspace: Workspace) -> list[TaskStanding]:
    chosen: dict[str, TaskStanding] = {}
    if bundle.everything:
        left_out = {finding.file for finding in _left_out(standings, workspace)}
        free = [
            one
            for one in standings.tasks
            if one.state is TaskState.PENDING and str(one.task.id) not in left_out
        ]
        # The same command once more, or after it was cut short: it is about the package that it made.
        mine = [one.name for one in standings.packages if one.author.member == who]
        free = free or [one for one in standings.tasks if mine and one.package == (bundle.name or mine[-1])]
        if not free and left_out:
            why = next(iter(_left_out(standings, workspace)))
            raise NotFound(f"no task can be released: {why.file} {why.message}", hint=why.hint)
        if not free:
            raise NotFound("no task awaits release", hint="`gitrelease submit` makes tasks")
        chosen.update({str(one.task.id): one for one in sorted(free, key=lambda one: one.task.id)})
    for text in bundle.tasks:
        one = _meant(standings, text)
        chosen[str(one.task.id)] = one
    if len(chosen) > MOST_TASKS:
        raise Refused(
            f"{len(chosen)} tasks are more than the {MOST_TASKS} that one package holds",
            hint="release them in parts",
        )
    return list(chosen.values())


def _left_out(standings: Standings, workspace: Workspace) -> list[Finding]:
    """Say which submitted versions `--all` does not take along, and why: nobody should miss them later."""
    found = [
        (str(one.task.id), *unfit)
        for one in standings.tasks
        if one.state is TaskState.PENDING and (unfit := _unproven(one, workspace) or _stale(one))
    ]
    found += [
        (bad.ref, bad.reason.message, "`gitrelease check --ref` says more") for bad in standings.malformed
    ]
    return [
        Finding(code="left-out", severity=Severity.WARNING, file=name, message=f"left out: {why}", hint=hint)
        for name, why, hint in found
    ]


def _unproven(one: TaskStanding, workspace: Workspace) -> tuple[str, str] | None:
    """Say why a task is by nobody whose tasks are released, in words that end a sentence about it, and a hint."""
    by = one.task.submitter
    if by.member is None:
        return (
            by.doubt or "has no submitter",
            "submit it again as a member of the workspace, with a key that workspace.yaml names",
        )
    if not workspace.may(by.member, Action.SUBMIT):
        return (
            f"is by {by.member}, who may not submit in this workspace",
            f"somebody who may submits {one.task.item} again",
        )
    return None


def _stale(one: TaskStanding) -> tuple[str, str] | None:
    """Say why a task cannot be applied to what is approved now, likewise."""
    if not one.is_stale:
        return None
    return (
        "is stale: it was made from another version than the main branch holds now",
        f"`gitrelease pull`, then `gitrelease submit {one.task.item}` again",
    )


def _meant(standings: Standings, text: str) -> TaskStanding:
    """Find the task somebody means; where a name is that of several, the one that awaits release is meant."""
    for state in (TaskState.PENDING, TaskState.IN_REVIEW):
        try:
            return standings.task(text, only=[one for one in standings.tasks if one.state is state])
        except NotFound:
            continue
    return standings.task(text)


def same_package(packages: Sequence[OpenPackage], tasks: set[CommitId], who: MemberId) -> OpenPackage | None:
    """Find the same person's open package of exactly these tasks: a release that was cut short, or said twice."""
    for package in packages:
        if package.author.member == who and {planned.task for planned in package.manifest.items} == tasks:
            return package
    return None


def complete(desk: Desk, now: Situation, old: OpenPackage) -> None:
    """Do what a release that was cut short left undone: open the review, and ask whom nobody has asked."""
    review = desk.forge.find(old.name, now.workspace)
    if review is not None:
        refuse_closed(review)
    # Where somebody has spoken, reviewers know of it.
    if review is None or review.is_draft or not review.opinions:
        package = Proposed(manifest=old.manifest, manifest_id=old.manifest_id, head=old.head)
        desk.forge.propose(package, old.head, old.head, _words_for(desk, now, old.manifest))


def _refuse_unfit(now: Situation, chosen: Sequence[TaskStanding]) -> None:
    """Refuse tasks that cannot go live as they are, each with its reason."""
    for one in chosen:
        task = one.task
        if one.state is TaskState.IN_REVIEW:
            raise Refused(
                f"{task.id} is in review already, in the package {one.package}",
                hint=f"`gitrelease package revoke {one.package}` gives it back",
            )
        if one.state is TaskState.SUPERSEDED:
            raise Refused(f"{task.id} was superseded by a later version", hint="release the latest version")
        if unproven := _unproven(one, now.workspace):
            raise Refused(f"{task.id} {unproven[0]}", hint=unproven[1])
        if task.item in now.unapproved_items:
            raise HeldUnapproved(task.item)
        if stale := _stale(one):
            raise Refused(f"{task.id} {stale[0]}", hint=stale[1])
    seen: dict[tuple[Kind, str], Task] = {}
    for one in chosen:
        other = seen.setdefault(one.task.item.folded, one.task)
        if other is not one.task:
            raise Refused(f"{one.task.id} and {other.id} change one item", hint="release one of them")
    if len(chosen) > 1 and any(one.task.item.kind is Kind.WORKSPACE for one in chosen):
        raise Refused("a change of the workspace travels alone", hint="release it by itself")


def _name(desk: Desk, now: Situation, bundle: Bundle, tasks: Sequence[Task]) -> PackageName:
    """Name the package, and refuse a name that was ever used: released, rejected or open."""
    name = (
        package_name(bundle.name) if bundle.name else default_name([task.item for task in tasks], desk.now())
    )
    if is_taken(now, name):
        raise NameTaken(name)
    return name


def is_taken(now: Situation, name: PackageName) -> bool:
    """Say whether a package of this name, folded, exists or ever existed."""
    if any(fold(ref.removeprefix(PACKAGE)) == fold(name) for ref in now.refs if ref.startswith(PACKAGE)):
        return True
    merged = any(fold(one.name) == fold(name) for one in now.merged)
    return merged or now.archive.outcome(name) is not None or now.ledger.has(name)


def plan_items(desk: Desk, now: Situation, tasks: Sequence[Task], package: PackageName) -> list[PlannedItem]:
    """Say exactly what releasing tasks does to each item, to the byte."""
    repo = desk.repo
    records = read_records(repo, now.approved, [task.item for task in tasks])
    repo.read_ahead(_files_of(records, tasks))
    states = [ItemState(version=task.id.version, files=_pins(desk, task)) for task in tasks]
    made = [
        Record(item=task.item, state=after, package=package)
        for task, after in zip(tasks, states, strict=True)
    ]
    blobs = repo.write_blobs([dump(record_document(record)) for record in made])
    planned = []
    for task, after, written in zip(tasks, states, blobs, strict=True):
        record = records.get(task.item)
        before = record[1].state if record else None
        planned.append(
            PlannedItem(
                item=task.item,
                change=task.change,
                before=before,
                after=after,
                task=task.commit,
                submitters=task.submitters,
                record_before=record[0] if record else None,
                record_after=written,
                formatting_only=means_the_same(repo, before, after),
                allowed_secrets=allowed_secrets(repo, after),
            )
        )
    return planned


def _files_of(records: Mapping[ItemKey, tuple[BlobId, Record]], tasks: Sequence[Task]) -> Iterator[str]:
    """List the files that tasks start from and lead to."""
    for _, record in records.values():
        yield from (pin.blob for pin in record.state.files.values())
    for task in tasks:
        yield from (held for held in task.after.values() if ":" not in held)


def _pins(desk: Desk, task: Task) -> Mapping[str, Pin]:
    entries = {path: Entry(path=path, mode="100644", id=held) for path, held in task.after.items()}
    return pins(desk.repo, entries)


def compose(
    now: Situation,
    *,
    name: PackageName,
    who: MemberId,
    items: Sequence[PlannedItem],
    purpose: Purpose,
    reviewers: Sequence[str],
    execute: bool,
    message: str,
    rolls_back: PackageName | None = None,
) -> tuple[Manifest, tuple[MemberId, ...]]:
    """Write the manifest of a package, and say who is asked to review it; refuse when nobody is left."""
    manifest = Manifest(
        name=name,
        workspace=now.workspace.id,
        root=now.ledger.root,
        main=now.ledger.main,
        purpose=purpose,
        applicant=who,
        description=message,
        reviewers=(),
        execute=execute,
        items=tuple(items),
        rolls_back=rolls_back,
    )
    return with_reviewers(now.workspace, manifest, reviewers)


def with_reviewers(
    workspace: Workspace, manifest: Manifest, extra: Sequence[str]
) -> tuple[Manifest, tuple[MemberId, ...]]:
    """Ask the reviewers that the workspace names, and those one adds; refuse whoever may not, and an empty desk."""
    authors = manifest.claimed_authors
    also = [check_reviewer(workspace, text, authors) for text in extra]
    asked = reviewers_asked(
        workspace,
        paths=manifest.paths,
        authors=authors,
        also=also,
        eligible=workspace.who_may(Action.APPROVE),
        admins=workspace.who_may(Action.APPROVE_WORKSPACE) if manifest.touches_workspace else (),
    )
    impossible = cannot_be_met(workspace, manifest, authors)
    if not asked or impossible:
        reason = impossible[0].message if impossible else "everybody who may review is an author of it"
        raise Refused(
            f"nobody is left to review this package: {reason}",
            hint="`gitrelease workspace reviewers` shows who may review, and how to change it",
        )
    return replace(manifest, reviewers=asked), asked


def check_reviewer(workspace: Workspace, text: str, authors: frozenset[MemberId]) -> MemberId:
    """Refuse somebody as reviewer who is unknown, an author, or may not approve."""
    member = workspace.member(text) or workspace.member_with_email(text)
    if member is None:
        raise NotFound(
            f"{text!r} is no member of the workspace", hint="`gitrelease workspace reviewers` lists who may"
        )
    if member.id in authors:
        raise Refused(
            f"{member.id} made part of this package, and nobody reviews their own work",
            hint="ask somebody else, or leave them out: `gitrelease workspace reviewers` lists who may",
        )
    if not may_approve(workspace, member.id):
        raise Refused(
            f"{member.id} may not review: that takes the role deployer or admin",
            hint="`gitrelease workspace reviewers` lists who may",
        )
    return member.id


def check_plan(desk: Desk, now: Situation, items: Sequence[PlannedItem]) -> list[Finding]:
    """Check the items together, as they would be; errors refuse the release."""
    drafts = [
        Draft(
            item=planned.item, version=planned.after.version, files=file_bytes(desk.repo, planned.after.files)
        )
        for planned in items
    ]
    findings = check_drafts(drafts, desk.surroundings(now))
    if has_errors(findings):
        raise CheckFailed(findings)
    # Whether a target can run a node matters to a package that asks to; the submitter was told.
    return [finding for finding in findings if finding.code != CANNOT_RUN]


def publish(desk: Desk, now: Situation, manifest: Manifest, tasks: Sequence[Task]) -> CommitId:
    """Write the commit of a package, one commit on the main branch, and open its review."""
    blob = desk.repo.write_blob(dump(manifest_document(manifest)))
    tree = with_package(desk.repo, desk.repo.tree_of(now.main), manifest.difference(blob))
    authors = {task.submitter.person.email: task.submitter.person for task in tasks}
    authors.pop(desk.pen.identity.email, None)
    thanks = "".join(f"Co-authored-by: {person.name} <{email}>\n" for email, person in authors.items())
    body = f"{manifest.description}\n\n" if manifest.description else ""
    message = f"Release {manifest.name}\n\n{body}{thanks}"
    head = desk.pen.commit(desk.repo, tree=tree, parents=(now.main,), message=message.rstrip() + "\n")
    package = Proposed(manifest=manifest, manifest_id=BlobId(blob), head=head)
    desk.forge.propose(package, head, None, _words_for(desk, now, manifest))
    return head


def _words_for(desk: Desk, now: Situation, manifest: Manifest) -> Callable[[], Words]:
    """Give what writes the text of a package's review, where there is one."""
    return lambda: desk.prose.words(describe(desk.repo, now.approved, manifest, now=desk.now()))


def _words(tasks: Sequence[Task]) -> str:
    """Carry the descriptions of the versions into the package (dataarts.md 4.2)."""
    lines = [f"{task.id}: {task.description}" for task in tasks]
    shown = lines[:20]
    return "\n".join(shown + ([f"and {len(lines) - 20} more"] if len(lines) > 20 else []))
