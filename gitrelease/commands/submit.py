"""`gitrelease submit`: freeze items as versions, each a branch of its own that awaits release."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gitrelease.checking import Draft, check_drafts, crowded, refuse_secrets
from gitrelease.commands import Desk, until_first
from gitrelease.commands.refusals import CheckFailed, HeldUnapproved
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement
from gitrelease.core.finding import Finding, has_errors
from gitrelease.core.item import Change, ItemState, change_of, document_path
from gitrelease.core.names import (
    ARCHIVE,
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    MemberId,
    TaskId,
    place_of,
    task_ref,
)
from gitrelease.core.package import same_state
from gitrelease.core.task import DESCRIPTION_CHARACTERS, Task
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action
from gitrelease.documents import DocumentRefused, parse, set_version
from gitrelease.errors import NotFound, Refused, UsageError
from gitrelease.reading.packages import open_packages, tasks_in_review
from gitrelease.reading.situation import Situation
from gitrelease.reading.sources import (
    AtCommit,
    Source,
    WorkingTree,
    find_document,
    git_hash,
    ignored_findings,
    item_files,
    items_named,
    left_of,
)
from gitrelease.reading.tasks import Makers, highest_numbers, open_task_refs, read_tasks, task_message
from gitrelease.reading.trees import item_entries_at, read_manifest, read_records, read_states
from gitrelease.repo import RefMove


class Outdated(Refused):
    """An item was edited as of a version that is no longer the latest one."""

    code = "outdated"


class PendingByOther(Refused):
    """Somebody else's version of the item awaits release."""

    code = "pending-by-other"


@frozen
class Submitted:
    """One item that was submitted, or needed no submitting."""

    item: ItemKey
    change: Change | None
    """None when there was nothing to submit."""
    task: TaskId | None
    commit: CommitId | None = None
    supersedes: tuple[TaskId, ...] = ()
    note: str = ""


@frozen
class SubmitResult:
    """What a submit did, or would do."""

    items: tuple[Submitted, ...]
    findings: tuple[Finding, ...]
    is_dry_run: bool


@frozen
class SubmitRequest:
    """What somebody asked to submit."""

    items: tuple[str, ...] = ()
    everything: bool = False
    description: str | None = None
    delete: bool = False
    supersede: bool = False
    ref: str | None = None


@frozen
class _Version:
    """One version that is about to be frozen."""

    item: ItemKey
    number: int
    change: Change
    state: ItemState | None
    files: Mapping[str, bytes]
    working: tuple[str, bytes] | None
    """The document as it lies in the working tree, whose number is to be set."""
    retired: tuple[Task, ...] = ()

    @property
    def id(self) -> TaskId:
        return TaskId(item=self.item, version=self.number)

    @property
    def numbered(self) -> tuple[str, bytes, bytes] | None:
        """The working document, as it was read and as it is to be."""
        if self.working is None:
            return None
        path, read = self.working
        return path, read, self.files[path]


@frozen
class _Idle:
    """An item that needs no submitting; its working file may still lack the number it was submitted under."""

    told: Submitted
    numbered: tuple[str, bytes, bytes] | None = None


def submit(desk: Desk, request: SubmitRequest, *, dry_run: bool = False) -> SubmitResult:
    """Freeze items as the next versions, all or none, and write the numbers into the working files."""
    if request.description is not None and len(request.description) > DESCRIPTION_CHARACTERS:
        raise UsageError(
            f"the description has {len(request.description)} characters; at most {DESCRIPTION_CHARACTERS} fit",
            hint="say the rest in the package",
        )
    if request.description is not None and ("\n" in request.description or not request.description.strip()):
        raise UsageError("a description is one line of text", hint='write -m "why this changes"')
    refuse_secrets(request.description)
    if not request.items and not request.everything:
        raise UsageError("say what to submit", hint="name items, or give --all")
    return until_first(lambda: _submit(desk, request, dry_run=dry_run))


def _submit(desk: Desk, request: SubmitRequest, *, dry_run: bool) -> SubmitResult:
    now = desk.look()
    who = desk.allowed(Action.SUBMIT, now.workspace, tries_key=not dry_run)
    source = _source(desk, now, request.ref)
    items = items_named(desk.repo, source, now.approved, request.items, everything=request.everything)
    versions, idle = _sorted_out(desk, now, request, source, items, who)
    findings = _check(desk, now, versions)
    if request.everything:
        findings += ignored_findings(source)
    commits: Mapping[TaskId, CommitId] = {}
    if not dry_run:
        commits = {v.id: _freeze(desk, now, v, request.description) for v in versions}
        _push(desk, now, versions, commits, who)
        everything: list[_Version | _Idle] = [*versions, *idle]
        for entry in everything:
            _number_working_file(desk, entry)
    done = (
        Submitted(
            item=v.item,
            change=v.change,
            task=v.id,
            supersedes=tuple(task.id for task in v.retired),
            commit=commits.get(v.id),
        )
        for v in versions
    )
    return SubmitResult(
        items=(*done, *(entry.told for entry in idle)), findings=tuple(findings), is_dry_run=dry_run
    )


def _sorted_out(
    desk: Desk,
    now: Situation,
    request: SubmitRequest,
    source: Source,
    items: Sequence[ItemKey],
    who: MemberId,
) -> tuple[list[_Version], list[_Idle]]:
    """Tell the items that become a version from those that need none; refuse what must not become one."""
    states = read_states(desk.repo, now.approved, items)
    recorded = {item: state.version if state else 0 for item, state in states.items()}
    numbers = highest_numbers(now.refs, now.archive, recorded)
    waiting = _waiting(desk, now, numbers)
    packages, _ = open_packages(desk.repo, desk.forge, now.refs, now.workspace, now.archive)
    in_review = tasks_in_review(packages, now.workspace)
    pulled = _pulled(desk, now, source)
    before = states if pulled == now.main else read_states(desk.repo, pulled, items)
    as_pulled: dict[ItemKey, Submitted] = {}
    if before is not states and request.ref is None and not request.delete:
        as_pulled = _as_last_pulled(desk, pulled, source, before, states)
    versions: list[_Version] = []
    idle: list[_Idle] = [_Idle(told=told) for told in as_pulled.values()]
    for item in items:
        if item in as_pulled:
            continue
        others = waiting.get(item, ())
        made = _version(request, now, source, item, states[item], numbers[item] + 1)
        if isinstance(made, _Version):
            made = _already(made, [task for task in others if task.submitter.member == who])
        if isinstance(made, _Idle):
            idle.append(made)
        else:
            _check_current(desk, now, source, made, before[item])
            versions.append(_retire(desk, made, others, in_review, who, take_over=request.supersede))
    if any(v.item.kind is Kind.WORKSPACE for v in versions) and len(versions) > 1:
        raise Refused("a change of the workspace travels alone", hint="submit workspace.yaml by itself")
    return versions, idle


def _check(desk: Desk, now: Situation, versions: Sequence[_Version]) -> list[Finding]:
    """Check the versions together, as they would be; errors refuse the submit."""
    findings = check_drafts(
        [Draft(item=v.item, files=v.files, version=v.number) for v in versions],
        desk.surroundings(now),
    )
    findings += crowded(
        {path for v in versions for path in v.files if v.state is None or path not in v.state.files},
        lambda folder: [entry.path for entry in desk.repo.list_tree(now.main, folder)],
    )
    if has_errors(findings):
        raise CheckFailed(findings)
    return findings


def _source(desk: Desk, now: Situation, ref: str | None) -> Source:
    if ref is None:
        return WorkingTree(repo=desk.repo, base=now.main)
    commit = desk.repo.resolve(ref)
    if commit is None:
        raise NotFound(f"there is no commit called {ref!r}", hint="give a branch, a tag or a commit id")
    return AtCommit(repo=desk.repo, commit=commit, base=now.main)


def _pulled(desk: Desk, now: Situation, source: Source) -> CommitId:
    """Find the commit of the main branch that files were made from, as far as git can tell."""
    here = source.commit if isinstance(source, AtCommit) else desk.repo.resolve("HEAD")
    return (None if here is None else desk.repo.merge_base(here, now.main)) or now.main


def _as_last_pulled(
    desk: Desk,
    pulled: CommitId,
    source: Source,
    before: Mapping[ItemKey, ItemState | None],
    states: Mapping[ItemKey, ItemState | None],
) -> dict[ItemKey, Submitted]:
    """Find items whose working files are older than the main branch and were not edited since they came.

    Submitting those would propose to take back what others released meanwhile.
    """
    found = {}
    for item, state in states.items():
        here = item_entries_at(desk.repo, pulled, before[item])
        if not here or state is None or same_state(before[item], state):
            continue
        document = find_document(source, item, before[item])
        mine = (
            {}
            if document is None
            else {p: git_hash(data) for p, data in item_files(source, document).items()}
        )
        if mine == {path: entry.id for path, entry in here.items()}:
            note = f"is as you last pulled it; `gitrelease pull` brings version {state.version}"
            found[item] = Submitted(item=item, change=None, task=None, note=note)
    return found


def _check_current(
    desk: Desk, now: Situation, source: Source, version: _Version, before: ItemState | None
) -> None:
    """Refuse an item that was edited as of a version which others have followed since: it would take theirs back.

    Its file says which version it was made from. Where that is an older one although its clone has the newest,
    somebody went back on purpose.
    """
    state, document = version.state, document_path(version.files)
    if state is None or document is None or same_state(before, state):
        return
    made_from = _number_in(source.read(document) or b"", document)
    if made_from is None or made_from >= state.version:
        return
    record = read_records(desk.repo, now.approved, [version.item])[version.item][1]
    read = None if record.package is None else read_manifest(desk.repo, now.approved, record.package)
    whose = f", which {read[1].applicant} released with {record.package}" if read else ""
    at_commit = isinstance(source, AtCommit)
    raise Outdated(
        f"{version.item} is at version {state.version} by now{whose}; {document} was made from version"
        f" {made_from}, and would take that back",
        hint=f"rebase it onto {now.ledger.main}, and submit it again"
        if at_commit
        else f"git add {document}; git stash; gitrelease pull; git stash pop: then your change stands on top of it",
    )


def _number_in(data: bytes, path: str) -> int | None:
    try:
        number = parse(data, file=path).value.get("version")
    except DocumentRefused:
        return None  # the check says what is wrong with it
    return number if isinstance(number, int) else None


def _waiting(desk: Desk, now: Situation, numbers: Mapping[ItemKey, int]) -> dict[ItemKey, tuple[Task, ...]]:
    """Read the tasks of these items that have branches, in order of number.

    Only those that count: one that skips ahead, or is by nobody who may submit, neither blocks nor is taken over.
    """
    folded = {item.folded: item for item in numbers}
    mine = {
        id_: commit
        for id_, commit in open_task_refs(now.refs).items()
        if id_.item.folded in folded and id_.version <= numbers[folded[id_.item.folded]]
    }
    tasks, _ = read_tasks(desk.repo, Makers(forge=desk.forge), mine, now.workspace, main=now.main)
    found: dict[ItemKey, tuple[Task, ...]] = {}
    for task in sorted(tasks, key=lambda task: task.id.version):
        by = task.submitter.member
        if by is not None and now.workspace.may(by, Action.SUBMIT):
            item = folded[task.item.folded]
            found[item] = (*found.get(item, ()), task)
    return found


def _version(
    request: SubmitRequest,
    now: Situation,
    source: Source,
    item: ItemKey,
    state: ItemState | None,
    number: int,
) -> _Version | _Idle:
    document = None if state is None else document_path(state.files)
    if document is not None and (there := place_of(document).item) != item:
        raise Refused(
            f"{item} and {there}, which is there, differ only in how they are written",
            hint="choose another name; some file systems cannot hold both",
        )
    if item in now.unapproved_items:
        raise HeldUnapproved(item)
    document = find_document(source, item, state)
    if request.delete:
        if item.kind is Kind.WORKSPACE:
            raise Refused(
                "a workspace cannot be deleted",
                hint="a release repository that is done with is archived whole",
            )
        if document is not None and isinstance(source, AtCommit):
            raise Refused(f"{item} is still there at {request.ref}", hint="delete its files in that commit")
        if state is None or not state.exists:
            raise NotFound(
                f"{item} was never released, so there is nothing to delete", hint="remove the files"
            )
        return _Version(item=item, number=number, change=Change.DELETE, state=state, files={}, working=None)
    if document is None:
        left_of(source, item)  # what is in its place, or not to be seen, is refused by its name
        if state is None or not state.exists:
            raise NotFound(f"there is no {item}", hint="`gitrelease status` lists what changed")
        raise NotFound(
            f"the files of {item} are missing here",
            hint="`gitrelease pull` brings them where this clone is behind; to take the item out of production: "
            f"`gitrelease submit {item} --delete`",
        )
    raw = item_files(source, document)
    change = change_of(was=state is not None and state.exists, is_=True)
    files = {**raw, document: _numbered(raw[document], document, number)}
    if state is not None and state.exists:
        same = {**raw, document: _numbered(raw[document], document, state.version)}
        if {path: git_hash(data) for path, data in same.items()} == {
            p: pin.blob for p, pin in state.files.items()
        }:
            told = Submitted(item=item, change=None, task=None, note=f"is what version {state.version} is")
            return _Idle(told=told)
    working = None if isinstance(source, AtCommit) else (document, raw[document])
    return _Version(item=item, number=number, change=change, state=state, files=files, working=working)


def _numbered(data: bytes, path: str, number: int) -> bytes:
    """Set the number of a version; a file that cannot be parsed stays, and the check says what is wrong."""
    try:
        return set_version(data, number, file=path)
    except DocumentRefused:
        return data


def _already(version: _Version, mine: Sequence[Task]) -> _Version | _Idle:
    """See whether the same person's newest waiting version is this very content, from the same beginning.

    Then a run before this one was cut short, or nothing changed since: there is nothing to freeze.
    """
    if not mine:
        return version
    last = mine[-1]
    before = {path: pin.held for path, pin in version.state.files.items()} if version.state else {}
    files = dict(version.files)
    if version.working is not None:
        path, read = version.working
        files[path] = _numbered(read, path, last.id.version)
    elif files:
        document = next(path for path in files if place_of(path).is_document)
        files[document] = _numbered(files[document], document, last.id.version)
    if {path: git_hash(data) for path, data in files.items()} != last.after or before != last.before:
        return version
    told = Submitted(
        item=version.item, change=None, task=last.id, commit=last.commit, note=f"awaits release as {last.id}"
    )
    numbered = None if version.working is None else (*version.working, files[version.working[0]])
    return _Idle(told=told, numbered=numbered)


def _retire(
    desk: Desk,
    version: _Version,
    waiting: Sequence[Task],
    in_review: Mapping[CommitId, object],
    who: MemberId,
    *,
    take_over: bool,
) -> _Version:
    """Say which waiting tasks the new version supersedes; another person's only when that was asked for."""
    free = [task for task in waiting if task.commit not in in_review]
    others = [task for task in free if task.submitter.member != who]
    if others and not take_over:
        other = others[-1]
        raise PendingByOther(
            f"{other.id} by {other.submitter.person} awaits release\n{_shown_difference(desk, other, version)}",
            hint=f"talk to {other.submitter.person}, or take it over with --supersede; both then count as submitters",
        )
    return replace(version, retired=tuple(free))


def _shown_difference(desk: Desk, other: Task, version: _Version, most: int = 40) -> str:
    """Show how somebody's waiting version and the new one differ, briefly."""
    lines: list[str] = []
    files = desk.repo.files({path: BlobId(held) for path, held in other.after.items()})
    for path in sorted({*other.after, *version.files}):
        theirs = files.get(path, b"")
        ours = version.files.get(path, b"")
        if theirs != ours:
            lines += difflib.unified_diff(
                theirs.decode(errors="replace").splitlines(),
                ours.decode(errors="replace").splitlines(),
                f"{other.id}: {path}",
                f"yours: {path}",
                lineterm="",
            )
    shown = lines[:most]
    return "\n".join(shown + ([f"… and {len(lines) - most} more lines"] if len(lines) > most else []))


def _freeze(desk: Desk, now: Situation, version: _Version, description: str | None) -> CommitId:
    """Write the commit of a version: the main branch, and this item's files."""
    gone = dict.fromkeys(version.state.files if version.state else ())
    tree = desk.repo.write_tree(desk.repo.tree_of(now.main), {**gone, **version.files})
    over = [task.commit for task in version.retired]
    words = description or f"{version.change} {version.item}"[:DESCRIPTION_CHARACTERS]
    message = task_message(version.id, version.change, words, over)
    return desk.pen.commit(desk.repo, tree=tree, parents=(now.main,), message=message)


def _push(
    desk: Desk,
    now: Situation,
    versions: Sequence[_Version],
    commits: Mapping[TaskId, CommitId],
    who: MemberId,
) -> None:
    """Create all branches and archive what they supersede, at once."""
    if not versions:
        return
    moves = [RefMove(ref=task_ref(v.id), new=commits[v.id], expected=None) for v in versions]
    retired = [task for version in versions for task in version.retired]
    if retired:
        entry = ArchiveEntry(
            by=who,
            tasks=tuple(
                SettledTask(id=task.id, commit=task.commit, settlement=Settlement.SUPERSEDED)
                for task in retired
            ),
        )
        moves += [RefMove(ref=task_ref(task.id), new=None, expected=task.commit) for task in retired]
        archived = now.archive.extended(desk.pen, entry)
        moves.append(RefMove(ref=ARCHIVE, new=archived, expected=now.archive.tip))
    desk.repo.push(moves)


def _number_working_file(desk: Desk, entry: _Version | _Idle) -> None:
    """Write the number into the working file, unless somebody has changed the file meanwhile."""
    if entry.numbered is None:
        return
    path, read, frozen = entry.numbered
    if frozen != read and desk.repo.read_working(path) == read:
        desk.repo.write_working(path, frozen)
