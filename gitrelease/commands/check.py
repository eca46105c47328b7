"""`gitrelease check`: what is wrong with files, or with a branch that somebody pushed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gitrelease.checking import MOST_ENTRIES, Draft, check_drafts
from gitrelease.commands import Desk
from gitrelease.core.finding import Finding, Severity
from gitrelease.core.item import ItemState
from gitrelease.core.names import (
    HEADS,
    PACKAGE,
    SUBMIT,
    BlobId,
    CommitId,
    ItemKey,
    NameRefused,
    RefName,
    TreeId,
    branch,
    package_name,
    place_of,
    task_of,
)
from gitrelease.core.package import Reason
from gitrelease.core.task import Task
from gitrelease.core.workspace import Action, authorize
from gitrelease.errors import GitReleaseError, NotFound, Refused
from gitrelease.reading.judging import existing, judge_branch, users_in
from gitrelease.reading.ledger import LedgerMissing
from gitrelease.reading.situation import Situation
from gitrelease.reading.sources import (
    PREFIXES,
    AtCommit,
    Source,
    WorkingTree,
    find_document,
    git_hash,
    item_files,
    items_named,
)
from gitrelease.reading.standing import read_standings
from gitrelease.reading.tasks import belongs, open_task_refs, read_tasks
from gitrelease.reading.trees import read_states
from gitrelease.repo import EMPTY_TREE, plain


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a check found, and how much it looked at."""

    findings: tuple[Finding, ...]
    checked: int
    """How many items were looked at."""


@dataclass(frozen=True, kw_only=True)
class Footing:
    """What files are compared with: what is approved or, before there is a ledger, what is committed."""

    base: CommitId
    approved: TreeId
    now: Situation | None


def footing_of(desk: Desk) -> Footing:
    """Find what to compare with, without the network."""
    try:
        now = desk.situation()
    except LedgerMissing:
        head = desk.repo.resolve("HEAD")
        # A tree of nothing stands in for the first commit, which is still to be made.
        tree = EMPTY_TREE if head is None else desk.repo.tree_of(head)
        return Footing(base=CommitId(EMPTY_TREE) if head is None else head, approved=tree, now=None)
    return Footing(base=now.main, approved=now.approved, now=now)


# Files.


def check_working(desk: Desk, paths: Sequence[str]) -> CheckResult:
    """Check working files: those named, or every item that differs from the main branch."""
    footing = footing_of(desk)
    if footing.now is not None:
        authorize(None, Action.LOOK, footing.now.workspace)
    source = WorkingTree(repo=desk.repo, base=footing.base)
    return _check_files(desk, footing, source, paths)


def _check_files(desk: Desk, footing: Footing, source: Source, paths: Sequence[str]) -> CheckResult:
    findings: list[Finding] = []
    items: dict[ItemKey, None] = {}
    for text in paths or sorted(source.changed):
        try:
            found = (
                items_named(desk.repo, source, footing.approved, [text], everything=False)
                if paths
                else [place_of(text).item]
            )
        except NameRefused as wrong:
            findings.append(_finding(text, wrong, code="stray-file"))
            continue
        items.update(dict.fromkeys(found))
    states = read_states(desk.repo, footing.approved, items)
    drafts = []
    for item in items:
        try:
            draft = _draft(source, item, states[item])
        except GitReleaseError as wrong:
            findings.append(_finding(str(item), wrong))
            continue
        if paths or not _is_approved(draft, states[item]):
            drafts.append(draft)
    findings += _check_drafts(desk, footing, drafts)
    findings += crowded(
        {path for draft in drafts for path in draft.files},
        lambda folder: [entry.path for entry in desk.repo.list_tree(footing.base, folder)],
    )
    return CheckResult(findings=tuple(findings), checked=len(drafts))


def _draft(source: Source, item: ItemKey, state: ItemState | None) -> Draft:
    document = find_document(source, item, state)
    if document is not None:
        return Draft(item=item, files=item_files(source, document))
    # No document: what is left of it, if anything, has to be said to be too little.
    paths = [path for path in source.changed if belongs(path) == item]
    read = {path: source.read(path) for path in paths}
    files = {path: data for path, data in read.items() if data is not None}
    if not files and (state is None or not state.exists):
        raise NotFound(f"there is no {item}", hint="`gitrelease status` lists what changed")
    return Draft(item=item, files=files)


def _is_approved(draft: Draft, state: ItemState | None) -> bool:
    """Say whether an item is after all what is approved, to the byte."""
    held = {path: pin.blob for path, pin in state.files.items()} if state else {}
    return {path: git_hash(data) for path, data in draft.files.items()} == held


def _check_drafts(desk: Desk, footing: Footing, drafts: Sequence[Draft]) -> list[Finding]:
    now = footing.now
    if now is None:
        committed = _committed(desk, footing.approved)
        return check_drafts(drafts, committed.__contains__, lambda item: [])  # noqa: ARG005
    return check_drafts(
        drafts,
        existing(desk.repo, now.approved),
        users_in(desk.repo, now.approved),
        now.workspace,
        supports=desk.objections(now.workspace),
        unconnectable=desk.unconnectable,
        bytes_of=lambda path: desk.repo.content(now.approved, path),
    )


def _committed(desk: Desk, tree: TreeId) -> frozenset[ItemKey]:
    """List the items a tree has documents of; before there is a ledger there are no records to ask."""
    paths = [change.path for change in desk.repo.diff(EMPTY_TREE, tree, PREFIXES)]
    return frozenset(
        item for path in paths if (item := belongs(path)) is not None and place_of(path).is_document
    )


def crowded(paths: Iterable[str], held: Callable[[str], Iterable[str]]) -> list[Finding]:
    """Find directories that would hold more entries than a directory may, when these files are added."""
    coming: dict[str, set[str]] = {}
    for path in paths:
        if folder := path.rpartition("/")[0]:
            coming.setdefault(folder, set()).add(path)
    findings = []
    for folder, files in sorted(coming.items()):
        count = len(files.union(held(folder)))
        if count > MOST_ENTRIES:
            findings.append(
                Finding(
                    code="directory-full",
                    file=min(files),
                    message=f"{folder} would hold {count} entries; a directory holds at most {MOST_ENTRIES}",
                    hint="put it into another directory",
                )
            )
    return findings


# Branches.


def check_ref(desk: Desk, ref: str) -> CheckResult:
    """Check a branch as it was pushed: is it a proper task, a proper package?

    Of any other branch, every item is checked that it changes against the main branch.
    """
    now = desk.situation()
    authorize(None, Action.LOOK, now.workspace)
    name = _shared_name(desk, ref)
    is_ours = name.startswith((SUBMIT, PACKAGE))
    if is_ours and name not in now.refs:
        now = desk.look()  # it may have been pushed since
    if not is_ours:
        commit = now.refs.get(name) or desk.repo.resolve(ref)
        if commit is None:
            raise NotFound(
                f"there is no branch or commit called {plain(ref)!r}", hint="git branch -a lists them"
            )
        source = AtCommit(repo=desk.repo, commit=CommitId(commit), base=now.main)
        return _check_files(desk, Footing(base=now.main, approved=now.approved, now=now), source, ())
    if name not in now.refs:
        raise NotFound(f"there is no branch {plain(name.removeprefix(HEADS))}", hint="push it first")
    return _check_task(desk, now, name) if name.startswith(SUBMIT) else _check_package(desk, now, name)


def _shared_name(desk: Desk, ref: str) -> RefName:
    """Give a branch the name it has in the shared repository, however the clone calls it."""
    remote = desk.repo.remote
    for prefix in (HEADS, f"refs/remotes/{remote}/", f"{remote}/"):
        if ref.startswith(prefix):
            return branch(ref.removeprefix(prefix))
    return branch(ref)


def _check_task(desk: Desk, now: Situation, ref: RefName) -> CheckResult:
    file = ref.removeprefix(HEADS)
    try:
        id_ = task_of(ref)
    except NameRefused as wrong:
        return CheckResult(findings=(_finding(file, wrong, code="task-name"),), checked=0)
    commit = CommitId(now.refs[ref])
    tasks, malformed = read_tasks(desk.repo, desk.forge, {id_: commit}, now.workspace)
    findings = [_reason(file, entry.reason) for entry in malformed]
    if not tasks:
        return CheckResult(findings=tuple(findings), checked=0)
    task = tasks[0]
    findings += _authors(now, task, file)
    standings = read_standings(desk.repo, desk.forge, now)
    findings += [_reason(file, entry.reason) for entry in standings.malformed if entry.ref == ref]
    if any(one.is_stale for one in standings.tasks if one.task.id == id_):
        findings.append(
            Finding(
                code="stale",
                severity=Severity.WARNING,
                file=file,
                message=f"{id_} starts from what is no longer approved",
                hint=f"submit {id_.item} again",
            )
        )
    blobs = desk.repo.blobs([BlobId(held) for held in task.after.values()])
    files = {path: blobs[BlobId(held)] for path, held in task.after.items()}
    findings += check_drafts(
        [Draft(item=id_.item, files=files, version=id_.version if files else None)],
        # What was submitted together lies on branches of its own; the package is judged as a whole.
        _or_waiting(existing(desk.repo, now.approved), now.refs),
        users_in(desk.repo, now.approved),
        now.workspace,
        supports=desk.objections(now.workspace),
        unconnectable=desk.unconnectable,
        bytes_of=lambda path: desk.repo.content(now.approved, path),
    )
    return CheckResult(findings=tuple(findings), checked=1)


def _authors(now: Situation, task: Task, file: str) -> list[Finding]:
    """Find authors who cannot be believed, or may not submit."""
    findings = []
    for actor in (task.submitter, *task.also_by):
        if actor.member is None:
            message = f"{task.id} {actor.doubt or 'has no author'}"
            findings.append(_reason(file, Reason(code="author", message=message)))
        elif not now.workspace.may(actor.member, Action.SUBMIT):
            message = f"{actor.member} may not submit in this workspace"
            findings.append(_reason(file, Reason(code="submitter", message=message)))
    return findings


def _or_waiting(exists: Callable[[ItemKey], bool], refs: Mapping[RefName, str]) -> Callable[[ItemKey], bool]:
    waiting = {task.item for task in open_task_refs(refs)}
    return lambda item: item in waiting or exists(item)


def _check_package(desk: Desk, now: Situation, ref: RefName) -> CheckResult:
    file = ref.removeprefix(HEADS)
    try:
        package = package_name(ref.removeprefix(PACKAGE))
        review = desk.forge.find(package, now.workspace)
        if review is None:
            raise Refused(f"nothing is known of the review of {package}", code="no-review")
        judged = judge_branch(desk.repo, desk.forge, now.ground, review)
    except GitReleaseError as wrong:
        return CheckResult(findings=(_finding(file, wrong),), checked=0)
    # What people think of it is not what is wrong with it.
    reasons = [reason for reason in judged.verdict.reasons if reason.code != "changes-requested"]
    items = judged.package.manifest.items
    return CheckResult(findings=tuple(_reason(file, reason) for reason in reasons), checked=len(items))


def _reason(file: str, reason: Reason) -> Finding:
    return Finding(code=reason.code, file=file, message=reason.message)


def _finding(file: str, wrong: GitReleaseError, *, code: str | None = None) -> Finding:
    return Finding(code=code or wrong.code, file=file, message=wrong.message, hint=wrong.hint)
