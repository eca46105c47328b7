"""`gitrelease check`: what is wrong with files, or with a branch that somebody pushed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from gitrelease.checking import Draft, Surroundings, check_drafts, crowded
from gitrelease.commands import Desk
from gitrelease.commands.remembering import LEAST, CheckCache, hash_of, program, stamps
from gitrelease.core.finding import Finding, Severity
from gitrelease.core.item import ItemState
from gitrelease.core.names import (
    ARCHIVE,
    DEPLOY,
    HEADS,
    LEDGER,
    PACKAGE,
    RELEASE_TAGS,
    REVIEW,
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
    review_ref,
    task_of,
)
from gitrelease.core.package import Reason
from gitrelease.core.review import Say
from gitrelease.core.task import Task
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, authorize
from gitrelease.errors import GitReleaseError, NotFound, Refused, UsageError
from gitrelease.reading.judging import judge_branch
from gitrelease.reading.ledger import LedgerMissing
from gitrelease.reading.situation import Situation
from gitrelease.reading.sources import (
    PREFIXES,
    Source,
    WorkingTree,
    find_document,
    git_hash,
    ignored_findings,
    item_files,
    items_named,
    left_of,
    refusal,
)
from gitrelease.reading.standing import read_standings
from gitrelease.reading.tasks import belongs, open_task_refs, read_tasks
from gitrelease.reading.trees import read_states
from gitrelease.repo import EMPTY_TREE, FileRefused, plain

_MOST_TOUCHED = 1000


@frozen
class CheckResult:
    """What a check found, and how much it looked at."""

    findings: tuple[Finding, ...]
    checked: int
    """How many items were looked at."""


@frozen
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
    key = _everything(desk, footing, source, paths)
    if key is None:
        return _check_files(desk, footing, source, paths)
    memory = CheckCache(folder=desk.repo.git_dir / "gitrelease" / "checked")
    if (known := memory.recall(key)) is not None:
        checked, findings = known
        return CheckResult(findings=findings, checked=checked)
    result = _check_files(desk, footing, source, paths)
    # What was saved meanwhile may have been seen or not.
    if key == _everything(desk, footing, WorkingTree(repo=desk.repo, base=footing.base), paths):
        memory.keep(key, result.checked, result.findings)
    return result


def _everything(desk: Desk, footing: Footing, source: WorkingTree, paths: Sequence[str]) -> str | None:
    """Hash all that a check of folders depends on; nothing where it is as quick to check, or it is not known."""
    top, now = desk.repo.worktree, footing.now
    if top is None or now is None or not all(_is_place(text) for text in paths):
        return None
    lying = [stamp for text in paths for stamp in stamps(top, text.rstrip("/"))]
    if len(lying) < LEAST:
        return None
    touched = sorted(source.changed | source.ignored)
    if len(touched) > _MOST_TOUCHED:
        return None
    try:
        targets = desk.targets(now.workspace).values()
    except GitReleaseError:
        return None
    if not all(type(target).__module__.startswith("gitrelease.targets.") for target in targets):
        return None  # what others have against a job may depend on anything
    return hash_of(
        program(),
        paths,
        (footing.base, footing.approved),
        # What git takes for touched counts by its content. When it was touched counts as well, for all: git can
        # be told to believe that a file is unchanged, and does not look into repositories inside of this one.
        (part for path in touched for part in (path, _content(source, path))),
        sorted(source.ignored),
        lying,
    )


def _is_place(text: str) -> bool:
    """Say whether what somebody typed is a folder or a file as it stands, if it is there."""
    return (
        text.startswith(("jobs/", "scripts/")) and not set(text) & set("*?[") and ".." not in text.split("/")
    )


def _content(source: WorkingTree, path: str) -> str:
    try:
        data = source.read(path)
    except FileRefused as refused:
        return f"refused: {refused.message}"
    return "nothing" if data is None else sha256(data).hexdigest()


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
        except FileRefused as wrong:
            findings.append(_finding(wrong.path or text, wrong))
            continue
        items.update(dict.fromkeys(found))
    states = read_states(desk.repo, footing.approved, items)
    source = _ReadOnce(source)
    drafts = []
    for item in items:
        try:
            draft = _draft(source, item, states[item])
        except GitReleaseError as wrong:
            findings.append(refusal(item, wrong))
            continue
        if paths or not _is_approved(draft, states[item]):
            drafts.append(draft)
    findings += _check_drafts(desk, footing, drafts)
    known = {path for state in states.values() if state is not None for path in state.files}
    findings += crowded(
        {path for draft in drafts for path in draft.files} - known,
        lambda folder: [entry.path for entry in desk.repo.list_tree(footing.base, folder)],
    )
    if not paths:
        findings += ignored_findings(source)
    return CheckResult(findings=tuple(findings), checked=len(drafts))


class _ReadOnce(Source):
    """Files of a source, each read when it is first asked for: to be found and to be checked are two questions."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._read: dict[str, bytes | None] = {}

    def read(self, path: str) -> bytes | None:
        """Give a file as it was when it was first asked for."""
        if path not in self._read:
            self._read[path] = self._source.read(path)
        return self._read[path]

    def below(self, folder: str) -> Sequence[str]:
        """Ask the source."""
        return self._source.below(folder)

    @property
    def changed(self) -> frozenset[str]:
        """Ask the source."""
        return self._source.changed

    def called(self, name: str, known: str | None) -> frozenset[str]:
        """Ask the source."""
        return self._source.called(name, known)

    @property
    def ignored(self) -> frozenset[str]:
        """Ask the source."""
        return self._source.ignored


def _draft(source: Source, item: ItemKey, state: ItemState | None) -> Draft:
    document = find_document(source, item, state)
    if document is not None:
        return Draft(item=item, files=item_files(source, document))
    # No document: what is left of it, if anything, has to be said to be too little.
    files = left_of(source, item)
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
        return check_drafts(drafts, Surroundings(exists=committed.__contains__))
    return check_drafts(drafts, desk.surroundings(now))


def _committed(desk: Desk, tree: TreeId) -> frozenset[ItemKey]:
    """List the items a tree has documents of; before there is a ledger there are no records to ask."""
    paths = [change.path for change in desk.repo.diff(EMPTY_TREE, tree, PREFIXES)]
    return frozenset(
        item for path in paths if (item := belongs(path)) is not None and place_of(path).is_document
    )


# Branches.


def check_ref(desk: Desk, ref: str) -> CheckResult:
    """Check a branch as it was pushed: is it a proper task, a proper package?

    Raises:
        UsageError: it is something else, and it says what.
    """
    now = desk.situation()
    authorize(None, Action.LOOK, now.workspace)
    name = _shared_name(desk, ref)
    if not name.startswith((SUBMIT, PACKAGE)):
        raise UsageError(
            f"{plain(ref)!r} is {_what(desk, now, ref, name)}; only the branches of tasks (submit/…) and of packages"
            " (package/…) can be checked",
            hint="`gitrelease check` without --ref checks the files that lie here",
        )
    if name not in now.refs:
        now = desk.look()  # it may have been pushed since
    if name not in now.refs:
        raise NotFound(f"there is no branch {plain(name.removeprefix(HEADS))}", hint="push it first")
    return _check_task(desk, now, name) if name.startswith(SUBMIT) else _check_package(desk, now, name)


def _what(desk: Desk, now: Situation, ref: str, name: RefName) -> str:
    """Say what a ref is that is neither a task nor a package."""
    tag = RefName(ref if ref.startswith("refs/") else f"refs/tags/{ref}")
    named = {branch(now.ledger.main): "the main branch", LEDGER: "the ledger", ARCHIVE: "the archive"}
    if name not in now.refs and tag.startswith(RELEASE_TAGS) and desk.repo.has_tag(tag):
        return "the tag of a release"
    if name not in now.refs and desk.repo.resolve(ref) is None:
        raise NotFound(f"there is no branch or commit called {plain(ref)!r}", hint="git branch -a lists them")
    if name.startswith(REVIEW):
        return "the opinions on a package"
    if name.startswith(DEPLOY):
        return "what production holds"
    return named.get(name) or ("a branch of another kind" if name in now.refs else "a commit")


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
    tasks, malformed = read_tasks(desk.repo, desk.forge, {id_: commit}, now.workspace, main=now.main)
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
    try:
        files = desk.repo.files({path: BlobId(held) for path, held in task.after.items()})
    except FileRefused as wrong:
        findings.append(_finding(wrong.path or file, wrong))
        return CheckResult(findings=tuple(findings), checked=1)
    around = desk.surroundings(now)
    # What was submitted together lies on branches of its own; the package is judged as a whole.
    waiting = {task.item for task in open_task_refs(now.refs)}
    findings += check_drafts(
        [Draft(item=id_.item, files=files, version=id_.version if files else None)],
        replace(around, exists=lambda item: item in waiting or around.exists(item)),
    )
    return CheckResult(findings=tuple(findings), checked=1)


def _authors(now: Situation, task: Task, file: str) -> list[Finding]:
    """Find authors who cannot be believed, or may not submit."""
    findings = []
    for actor in (task.submitter, *task.also_by):
        if actor.member is None:
            message = f"{task.id} {actor.doubt or 'has no author'}"
            findings.append(_reason(file, Reason(code="author", message=message)))
        elif not now.workspace.may_make_tasks(actor.member):
            message = f"{actor.member} may not submit in this workspace"
            findings.append(_reason(file, Reason(code="submitter", message=message)))
    return findings


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
    findings = [_reason(file, reason) for reason in judged.verdict.faults]
    findings += [
        Finding(
            code="no-opinion",
            severity=Severity.WARNING,
            file=review_ref(package).removeprefix(HEADS),
            message=f"{opinion.id:.7} by {opinion.actor.person} {opinion.actor.doubt}, and counts for nothing",
        )
        for opinion in review.opinions
        if opinion.say is Say.UNREADABLE
    ]
    return CheckResult(findings=tuple(findings), checked=len(judged.package.manifest.items))


def _reason(file: str, reason: Reason) -> Finding:
    return Finding(code=reason.code, file=file, message=reason.message)


def _finding(file: str, wrong: GitReleaseError, *, code: str | None = None) -> Finding:
    return Finding(code=code or wrong.code, file=file, message=wrong.message, hint=wrong.hint)
