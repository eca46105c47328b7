"""Packages as they lie on a branch or were merged: put every fact beside its claim, so that `evaluate` can judge.

Nothing here decides on its own what is approved; it finds what is wrong (`Proposed.faults`), and hands over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from gitrelease.checking import Draft, check_drafts
from gitrelease.core.archive import Settlement
from gitrelease.core.content import Difference, Held
from gitrelease.core.finding import Severity
from gitrelease.core.item import ItemState, document_path, parse_record
from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import (
    BlobId,
    CommitId,
    ItemKey,
    MemberId,
    PackageName,
    TaskId,
    TreeId,
    manifest_path,
    package_ref,
    record_path,
)
from gitrelease.core.package import (
    Manifest,
    PlannedItem,
    Proposed,
    Purpose,
    Reason,
    faults_of,
    stale_items,
    unexpected,
)
from gitrelease.core.people import Actor
from gitrelease.core.review import Review, Verdict, evaluate
from gitrelease.core.rollback import not_a_rollback
from gitrelease.core.status import Status
from gitrelease.core.task import Task
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace
from gitrelease.documents import DocumentRefused, set_version
from gitrelease.errors import GitReleaseError
from gitrelease.reading.meaning import allowed_secrets, means_the_same
from gitrelease.reading.surroundings import surroundings
from gitrelease.reading.tasks import Authors, belongs, read_tasks
from gitrelease.reading.trees import (
    difference_of,
    guarded_difference,
    held,
    pins_hold,
    read_document,
    read_manifest,
    read_records,
)
from gitrelease.repo import Repo

NO_RUNS = Reason(code="execute", message="it asks to run jobs, which this version does not do")


@frozen
class Ground:
    """What a package is judged by: what is approved before it, and whose ledger that is."""

    approved: TreeId
    workspace: Workspace
    root: CommitId
    main: str
    """The name of the main branch."""
    main_tip: CommitId
    forge: ForgeKind
    """Where packages are reviewed."""
    closed: Callable[[PackageName], Status | None] = lambda name: None  # noqa: ARG005
    """Whether a package of this name was rejected or revoked."""
    settled: Callable[[TaskId, CommitId], Settlement | None] = lambda task, commit: None  # noqa: ARG005
    """How a task was settled that has no branch any more; None where it was not, or nobody can tell."""
    numbers: Callable[[Mapping[ItemKey, int], Iterable[TaskId]], Mapping[ItemKey, int]] | None = None
    """Up to which number the versions of items follow from what there was, given the numbers of their records
    and versions that count as used; None where nobody can tell any more."""
    is_past: bool = False
    """Whether this was decided long ago: checks that were added since have no say in it."""


@frozen
class Judged:
    """A package with its verdict."""

    package: Proposed
    review: Review | None
    verdict: Verdict
    tasks: tuple[Task, ...] = ()


@frozen
class Reviewed(Judged):
    """A package with its verdict, and the review that one can speak in."""

    review: Review

    @classmethod
    def of(cls, judged: Judged, review: Review) -> Reviewed:
        """Give the same with the review that it was judged by."""
        return cls(package=judged.package, review=review, verdict=judged.verdict, tasks=judged.tasks)


class NoManifest(GitReleaseError):
    """A branch stands where packages do, and holds no manifest that can be read."""

    code = "no-manifest"


def judge_branch(repo: Repo, forge: Authors, ground: Ground, review: Review) -> Reviewed:
    """Judge a package as its branch has it now."""
    found, faults = _branch_difference(repo, ground, review)
    read = _manifest_on_branch(repo, review)
    faults += number_faults(ground, read[1])
    judged = _judge(repo, forge, ground, review, read, head=review.head, found=found, faults=faults)
    return Reviewed.of(judged, review)


def judge_merged(
    repo: Repo,
    forge: Authors,
    ground: Ground,
    package: PackageName,
    *,
    review: Review | None,
    merge: CommitId,
) -> Judged:
    """Judge a package as it was merged, by one commit of the main branch.

    That its versions do not skip ahead is not asked again, but for what `faults_of` can tell: see `number_faults`.
    """
    commit = repo.commit(merge)
    found = difference_of(repo.diff(commit.parents[0], merge))
    read = _manifest_at(repo, merge, package)
    faults = []
    head = merge
    if review is None:
        faults.append(Reason(code="no-review", message=f"{package} has no branch and no review any more"))
    else:
        head = review.head
        if _manifest_blob(repo, head, package) != read[0]:
            faults.append(
                Reason(code="head-moved", message=f"the branch of {package} no longer holds what was merged")
            )
        if review.log is not None:
            faults += _off_main(repo, ground, review)
        if review.records_merges and review.merged_as != merge:
            message = f"{merge:.7} was not made by merging the pull request of {package}"
            faults.append(Reason(code="not-merged-there", message=message))
    obstacles = [] if ground.is_past else _beneath(repo, ground, commit.parents[0], read[1])
    return _judge(
        repo, forge, ground, review, read, head=head, found=found, faults=faults, obstacles=obstacles
    )


def _off_main(repo: Repo, ground: Ground, review: Review) -> list[Reason]:
    """Find a head that starts from elsewhere: its review log is read down to there, and could hide behind it."""
    parents = repo.commit(review.head).parents
    if parents and not repo.outside(parents, ground.main_tip):
        return []
    return [Reason(code="not-on-main", message=f"{review.package} does not start from {ground.main}")]


def number_faults(ground: Ground, manifest: Manifest) -> list[Reason]:
    """Find versions that skip ahead of every number that was used (design 4).

    Which numbers were used is known from the archive and from the branches of tasks, and both move on: a branch
    of a lower number may be gone tomorrow. So this is asked while there is something to decide: when a package is
    checked, approved, also late, and merged. What is merged, sync judges and `verify` judges again by what
    both know, which is that a number is higher than the one before (`faults_of`).
    """
    if ground.numbers is None:
        return []
    recorded = {p.item: p.before.version if p.before else 0 for p in manifest.items}
    highest = ground.numbers(recorded, [planned.id for planned in manifest.items])
    return [
        Reason(
            code="version",
            message=f"{planned.id} skips ahead: no version {highest[planned.item] + 1} of it was ever submitted",
        )
        for planned in manifest.items
        if planned.after.version > highest[planned.item]
    ]


def _beneath(repo: Repo, ground: Ground, before: CommitId, manifest: Manifest) -> list[Reason]:
    """Find what a package was merged on top of that nobody approved, as far as it is of the package's items."""
    items = {planned.item for planned in manifest.items}
    changes = guarded_difference(repo, ground.approved, before) if items else []
    return [
        Reason(code="on-unapproved", message=f"it was merged on top of {change.path} as nobody approved it")
        for change in changes
        if belongs(change.path) in items
    ]


def _branch_difference(repo: Repo, ground: Ground, review: Review) -> tuple[Difference, list[Reason]]:
    """Compare a package branch with the commit of the main branch that it grew from."""
    commit = repo.commit(review.head)
    if review.records_merges and (base := repo.merge_base(review.head, ground.main_tip)) is not None:
        # Such a forge brings branches up to date by merging main into them; that changes nothing of the package.
        return difference_of(repo.diff(base, review.head)), []
    if len(commit.parents) != 1 or not repo.is_ancestor(commit.parents[0], ground.main_tip):
        fault = Reason(
            code="not-on-main", message=f"{review.package} is not one commit on top of {ground.main}"
        )
        base = repo.merge_base(review.head, ground.main_tip)
        return (difference_of(repo.diff(base, review.head)) if base else {}), [fault]
    return difference_of(repo.diff(commit.parents[0], review.head)), []


def _manifest_on_branch(repo: Repo, review: Review) -> tuple[BlobId, Manifest]:
    """Read the manifest of an open package; whoever may push can have taken it away, and no verb settles it then."""
    ref = package_ref(review.package)
    hint = f"`git push {repo.remote} :{ref}` takes that branch away, and its tasks await release again"
    try:
        return _manifest_at(repo, review.head, review.package)
    except (NoManifest, DocumentRefused) as wrong:
        wrong.hint = hint
        raise


def _manifest_at(repo: Repo, commit: CommitId, package: PackageName) -> tuple[BlobId, Manifest]:
    read = read_manifest(repo, commit, package)
    if read is None:
        raise NoManifest(f"{package} has no manifest at {manifest_path(package)}")
    return read


def _manifest_blob(repo: Repo, commit: CommitId, package: PackageName) -> BlobId | None:
    entry = repo.tree_entry(commit, manifest_path(package))
    return None if entry is None or not entry.is_file else entry.blob


def _judge(
    repo: Repo,
    forge: Authors,
    ground: Ground,
    review: Review | None,
    read: tuple[BlobId, Manifest],
    *,
    head: CommitId,
    found: Difference,
    faults: Sequence[Reason],
    obstacles: Sequence[Reason] = (),
) -> Judged:
    manifest_id, manifest = read
    tasks, task_faults = _tasks(repo, forge, ground, manifest)
    authors, author_faults = _authors(review.authors if review else (), tasks, manifest)
    faults_of_content, obstacles_of_content = content_faults(repo, ground, manifest)
    name_faults = _name_faults(repo, ground, manifest)
    package = Proposed(
        manifest=manifest,
        manifest_id=manifest_id,
        head=head,
        authors=authors,
        faults=(
            *faults,
            *([Reason(code="review-unreadable", message=review.fault)] if review and review.fault else []),
            *faults_of(
                manifest,
                branch=review.package if review else manifest.name,
                workspace=ground.workspace.id,
                root=ground.root,
                main=ground.main,
            ),
            *name_faults,
            *unexpected(manifest.difference(manifest_id), found),
            *faults_of_content,
            *task_faults,
            *author_faults,
        ),
        obstacles=(*obstacles, *obstacles_of_content),
    )
    verdict = evaluate(ground.workspace, package, review.opinions if review else ())
    return Judged(package=package, review=review, verdict=verdict, tasks=tuple(tasks.values()))


def _name_faults(repo: Repo, ground: Ground, manifest: Manifest) -> list[Reason]:
    """Find a package that had this name, folded, before: a name is used once, also by who pushes past `release`."""
    if (became := ground.closed(manifest.name)) is not None:
        return [Reason(code="closed", message=f"{manifest.name} was {became}, and a name is used once")]
    return [
        Reason(code="name-taken", message=f"there was a package before that has its manifest at {entry.path}")
        for entry in repo.list_alike(ground.approved, manifest.path)
        if entry.path != manifest.path
    ]


def content_faults(repo: Repo, ground: Ground, manifest: Manifest) -> tuple[list[Reason], list[Reason]]:
    """Find what is wrong with the bytes a manifest pins, and what keeps them from being applied now."""
    items = [planned.item for planned in manifest.items]
    records = read_records(repo, ground.approved, items)
    states = {item: records[item][1].state if item in records else None for item in items}
    obstacles = stale_items(manifest, states)
    faults: list[Reason] = []
    for planned in manifest.items:
        before = records[planned.item][0] if planned.item in records else None
        if planned.record_before != before:
            path = record_path(planned.item)
            obstacles.append(Reason(code="stale-record", message=f"{path} is not what the plan starts from"))
        faults += _record_faults(repo, manifest, planned)
        faults += [
            Reason(code="sha256", message=f"{path} does not have the SHA-256 its manifest pins")
            for path in pins_hold(repo, planned.after.files)
        ]
    if manifest.purpose is Purpose.ROLLBACK:
        faults += _rollback_faults(repo, ground, manifest)
    for entry in manifest.restores:
        approved = held(repo.tree_entry(ground.approved, entry.path))
        if approved != (None if entry.approved is None else Held(entry.approved)):
            message = f"{entry.path} would not get what is approved"
            obstacles.append(Reason(code="stale-restore", message=message))
    if manifest.execute and not ground.is_past:
        obstacles.append(NO_RUNS)
    if not faults and not obstacles and not ground.is_past:
        obstacles += _shown_faults(repo, manifest)
        obstacles += _check(repo, ground, manifest)
    return faults, obstacles


def _rollback_faults(repo: Repo, ground: Ground, manifest: Manifest) -> list[Reason]:
    """Compare what a rollback brings with what there was before the release it names, but for the number."""
    read = None if manifest.rolls_back is None else read_manifest(repo, ground.approved, manifest.rolls_back)
    earlier = {planned.item: planned.before for planned in read[1].items} if read else {}
    same = {
        planned.item: same_but_for_number(repo, earlier[planned.item], planned.after)
        for planned in manifest.items
        if planned.item in earlier
    }
    return not_a_rollback(manifest, read[1] if read else None, same)


def same_but_for_number(repo: Repo, before: ItemState | None, after: ItemState) -> bool:
    """Say whether a state has the files of an earlier one, its document under the new number."""
    old = before.files if before else {}
    if old.keys() != after.files.keys():
        return False
    home = document_path(old)
    for path, pin in old.items():
        if path != home and after.files[path].blob != pin.blob:
            return False
    if home is None:
        return True
    blobs = repo.blobs([old[home].blob, after.files[home].blob])
    return set_version(blobs[old[home].blob], after.version, file=home) == blobs[after.files[home].blob]


def _record_faults(repo: Repo, manifest: Manifest, planned: PlannedItem) -> list[Reason]:
    path = record_path(planned.item)
    data = repo.files({path: planned.record_after})[path]
    record = read_document(data, file=path, kind="record", parser=parse_record)
    if record == planned.record(manifest.name):
        return []
    return [Reason(code="record", message=f"{path} does not say what the plan says of {planned.item}")]


def _shown_faults(repo: Repo, manifest: Manifest) -> list[Reason]:
    """Compare what a plan tells its reviewers to look at, or not to, with what is there."""
    faults = []
    for planned in manifest.items:
        if planned.formatting_only and not means_the_same(repo, planned.before, planned.after):
            faults.append(
                Reason(code="formatting", message=f"{planned.item} is said to change in its formatting only")
            )
        if hidden := set(allowed_secrets(repo, planned.after)) - set(planned.allowed_secrets):
            where = min(f"{entry.file}:{entry.line}" for entry in hidden)
            faults.append(
                Reason(
                    code="hidden-secret", message=f"{where} lets a secret through that the plan does not show"
                )
            )
    return faults


def _check(repo: Repo, ground: Ground, manifest: Manifest) -> list[Reason]:
    """Check the items as `submit` does: somebody may have pushed without asking gitrelease."""
    drafts = [draft_of(repo, planned) for planned in manifest.items]
    findings = check_drafts(drafts, surroundings(repo, ground.approved, ground.workspace, forge=ground.forge))
    return [
        Reason(code=finding.code, message=f"{finding.file}:{finding.line or 1}: {finding.message}")
        for finding in findings
        if finding.severity is Severity.ERROR
    ]


def draft_of(repo: Repo, planned: PlannedItem) -> Draft:
    """Give what a plan makes of an item as something that can be checked."""
    held = {path: pin.blob for path, pin in planned.after.files.items()}
    return Draft(item=planned.item, version=planned.after.version, files=repo.files(held))


def _tasks(
    repo: Repo, forge: Authors, ground: Ground, manifest: Manifest
) -> tuple[Mapping[ItemKey, Task], list[Reason]]:
    """Read the task of every item, and compare it with what the plan says of it."""
    wanted: dict[TaskId, CommitId] = {}
    faults = []
    for planned in manifest.items:
        if repo.exists(planned.task):
            wanted[planned.id] = planned.task
        else:
            faults.append(
                Reason(code="task-missing", message=f"the task {planned.id} is nowhere to be found")
            )
    for planned in manifest.items:
        if (how := ground.settled(planned.id, planned.task)) in {Settlement.REVOKED, Settlement.SUPERSEDED}:
            message = f"the task {planned.id} was {how} before it could be released"
            faults.append(Reason(code="task-settled", message=message))
    main = None if ground.is_past else ground.main_tip
    tasks, malformed = read_tasks(repo, forge, wanted, ground.workspace, main=main)
    faults += [entry.reason for entry in malformed]
    by_item = {task.item: task for task in tasks}
    for planned in manifest.items:
        task = by_item.get(planned.item)
        if task is None:
            continue
        if task.after != {path: pin.held for path, pin in planned.after.files.items()}:
            faults.append(
                Reason(
                    code="not-the-task", message=f"the plan of {planned.item} is not what {task.id} submitted"
                )
            )
        if set(task.submitters) != set(planned.submitters):
            said, made = (
                ", ".join(planned.submitters),
                ", ".join(task.submitters) or "nobody who can be believed",
            )
            faults.append(
                Reason(code="claim", message=f"{task.id} is said to be by {said}, and was made by {made}")
            )
    return by_item, faults


def _authors(
    makers: Sequence[Actor], tasks: Mapping[ItemKey, Task], manifest: Manifest
) -> tuple[frozenset[MemberId], list[Reason]]:
    """Collect who made any part of a package, and what cannot be believed about it."""
    faults = []
    members: set[MemberId] = set()
    for what, actors in [
        (f"the package {manifest.name}", makers),
        *((str(task.id), (task.submitter, *task.also_by)) for task in tasks.values()),
    ]:
        for actor in actors:
            if actor.member is None:
                faults.append(Reason(code="author", message=f"{what} {actor.doubt or 'has no author'}"))
            else:
                members.add(actor.member)
    made = {actor.member for actor in makers}
    if makers and manifest.applicant not in made:
        who = ", ".join(sorted(member for member in made if member)) or "nobody who can be believed"
        faults.append(
            Reason(
                code="claim",
                message=f"the manifest names {manifest.applicant} as applicant, and {who} made it",
            )
        )
    return frozenset(members), faults
