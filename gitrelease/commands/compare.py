"""`gitrelease compare`, `package diff` and `task view`: what is different, item by item."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from gitrelease.commands import Desk
from gitrelease.commands.refusals import NoSuchPackage
from gitrelease.core.compare import Comparison, ItemComparison, Side, compare_item
from gitrelease.core.content import Held
from gitrelease.core.item import ItemState
from gitrelease.core.ledger import Event, Work
from gitrelease.core.names import (
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    PackageName,
    TaskId,
    TreeId,
    fold,
    item_name,
    main_file,
    package_ref,
    place_of,
    task_ref,
)
from gitrelease.core.package import Manifest, RestoredPath
from gitrelease.core.search import rank
from gitrelease.core.status import Status
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, authorize
from gitrelease.documents import DocumentRefused, parse
from gitrelease.errors import GitReleaseError, NotFound, Refused
from gitrelease.reading.counting import count_changes
from gitrelease.reading.ledger import Ledger, receipt_of
from gitrelease.reading.situation import Situation
from gitrelease.reading.sources import PREFIXES
from gitrelease.reading.tasks import belongs
from gitrelease.reading.trees import file_bytes, read_manifest, read_records, read_states
from gitrelease.repo import EMPTY_TREE, Entry, Repo, TreeChange


def compare(
    desk: Desk,
    *,
    before: PackageName | None,
    after: PackageName,
    item: str | None = None,
    only_counts: bool = False,
) -> Comparison:
    """Say how what production should hold after one release differs from what it should hold after another.

    Args:
        desk: what the command works with.
        before: the release to start from; None is the one right before `after` in the ledger.
        after: the release to compare with it.
        item: only what this means: `kind/name`, a name, or something like one.
        only_counts: leave out the text of the differences, as far as counting goes without it; that is much quicker.
    """
    wanted = {after} if before is None else {before, after}
    now = _look(desk, wanted)
    authorize(None, Action.LOOK, now.workspace)
    for package in wanted:
        _check_released(now, package)
    released = _find_releases(now.ledger, wanted)
    start = released[after].found if before is None else released[before].left
    items, others = compare_trees(desk.repo, start, released[after].left, item=item, only_counts=only_counts)
    return Comparison(
        before=released[after].previous if before is None else before,
        after=after,
        items=tuple(items),
        other_paths=tuple(others),
    )


def _look(desk: Desk, wanted: Collection[PackageName]) -> Situation:
    """Say how things stand; the server is asked only about what this clone does not know to be released.

    What was released never changes, so that to compare it again takes no network.
    """
    with suppress(GitReleaseError):
        now = desk.situation()
        for package in wanted:
            _check_released(now, package)
        return now
    return desk.look()


def package_diff(desk: Desk, package: PackageName, item: str | None = None) -> Comparison:
    """Say what a package changes, wherever it is on its way: exactly the bytes that its manifest pins."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    manifest = _manifest_of(desk.repo, now, package)
    planned = {entry.item: entry for entry in manifest.items}
    restored: dict[ItemKey, list[RestoredPath]] = {}
    others = []
    for entry in manifest.restores:
        key = belongs(entry.path)
        if key is None:
            others.append(entry.path)
        else:
            restored.setdefault(key, []).append(entry)
    known = [*planned, *restored]
    chosen = items_meant(item, known)
    if not chosen and item is not None:
        raise NotFound(f"{package} holds no item like {item!r}", hint=f"it holds {_some(known)}")
    found = [
        compare_states(desk.repo, key, planned[key].before, planned[key].after)
        if key in planned
        else _compare_restored(desk.repo, key, restored[key])
        for key in chosen
    ]
    return Comparison(
        before=None, after=package, items=tuple(one for one in found if one), other_paths=tuple(others)
    )


def task_diff(desk: Desk, task: TaskId) -> Comparison:
    """Say what a task changes: its commit against the state of the main branch that it started from."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    commit = desk.repo.commit(_task_commit(now, task))
    if len(commit.parents) != 1:
        raise Refused(
            f"{task} is no single commit on top of {now.ledger.main}",
            hint="`gitrelease check` says what is wrong with it",
        )
    items, others = compare_trees(desk.repo, commit.parents[0], commit.id, numbers={task.item: task.version})
    previous = next((one.from_version for one in items if one.item == task.item), None)
    return Comparison(
        before=None if previous is None else str(TaskId(item=task.item, version=previous)),
        after=str(task),
        items=tuple(items),
        other_paths=tuple(others),
    )


# Releases in the ledger.


@frozen
class _Release:
    """One release: what production should hold after it, and what it should have held before."""

    package: PackageName
    last: CommitId
    first: CommitId
    """Its receipts."""
    found: CommitId
    """The last receipt before it."""
    left: TreeId = EMPTY_TREE
    """What production should hold after it, once its receipts are read."""
    previous: PackageName | None = None
    """The release before it; None when it is the first since the beginning."""


def _check_released(now: Situation, package: PackageName) -> None:
    """Refuse what never reached production, and say where it is instead."""
    summary = now.ledger.holdings.summary(package)
    if summary is not None and summary.status is Status.REFUSED:
        raise Refused(
            f"{package} was refused and never reached production",
            hint=f"`gitrelease package view {package}` says why",
        )
    if now.ledger.has(package):
        return
    if package_ref(package) in now.refs or any(merged.name == package for merged in now.merged):
        raise NotFound(
            f"{package} is not released yet",
            hint=f"`gitrelease package diff {package}` shows what it changes",
        )
    raise NotFound(
        f"there is no release {package}", hint="`gitrelease package list --status successful` shows releases"
    )


def _find_releases(ledger: Ledger, wanted: Collection[PackageName]) -> dict[PackageName, _Release]:
    """Find releases in the ledger.

    A tag decides nothing, so the receipts are asked, from the newest back to the oldest that is wanted. Their
    headings say which they are; those that count here are read.
    """
    found: dict[PackageName, _Release] = {}
    for release in _releases(ledger):
        if release.package in wanted:
            found[release.package] = _read(ledger, release)
            if len(found) == len(wanted):
                return found
    missing = ", ".join(sorted(set(wanted) - found.keys()))
    raise GitReleaseError(
        f"the ledger holds the manifest of {missing} and no receipt that it was started",
        hint="`gitrelease verify` checks the whole ledger",
    )


def _releases(ledger: Ledger) -> Iterator[_Release]:
    """Walk back through the ledger, one release at a time, each once the one before it is known."""
    refused: set[str] = set()
    package, last, first, found = "", ledger.tip, ledger.tip, ledger.tip
    for id_, parent, subject in ledger.repo.headings(ledger.tip):
        event, is_package, name = subject.partition(" package ")
        if parent is None or not is_package or name in refused:
            continue
        if event == Event.REFUSED:
            refused.add(name)
            continue
        if name != package:
            if package:
                yield _release(package, last, first, found, previous=PackageName(name))
            package, last = name, id_
        first, found = id_, parent
    if package:
        yield _release(package, last, first, found, previous=None)


def _release(
    package: str, last: CommitId, first: CommitId, found: CommitId, *, previous: PackageName | None
) -> _Release:
    return _Release(package=PackageName(package), last=last, first=first, found=found, previous=previous)


def _read(ledger: Ledger, release: _Release) -> _Release:
    """Read the first and the last receipt of a release, and see that they are what their headings say."""
    last, first = ledger.repo.commits([release.last, release.first])
    for commit in (last, first):
        receipt = receipt_of(commit)
        if (receipt.work, receipt.package) != (Work.PACKAGE, release.package):
            raise GitReleaseError(
                f"the ledger's {commit.id:.7} is no receipt of {release.package}, though it is headed so",
                hint="`gitrelease verify` checks the whole ledger",
            )
    return replace(release, left=last.tree)


# Packages and tasks, wherever they are.


def _manifest_of(repo: Repo, now: Situation, package: PackageName) -> Manifest:
    """Find the manifest of a package: released, merged, on its branch, or settled without being released."""
    places: list[str] = [now.ledger.tree, now.main]
    if (head := now.refs.get(package_ref(package))) is not None:
        places.append(head)
    elif now.archive.outcome(package) is not None:
        entries = (entry for _, entry in now.archive.entries() if entry.package == package)
        places += [entry.head for entry in entries if entry.head is not None]
    for place in places:
        if (read := read_manifest(repo, place, package)) is not None:
            return read[1]
    raise NoSuchPackage(package)


def _task_commit(now: Situation, task: TaskId) -> CommitId:
    """Find the commit of a task: on its branch, or in the archive once it is settled."""
    if (tip := now.refs.get(task_ref(task))) is not None:
        return CommitId(tip)
    numbers = now.archive.numbers([task.item])
    if task.version <= numbers.get(task.item, 0):
        for _, entry in now.archive.entries():
            for settled in entry.tasks:
                if settled.id == task:
                    return settled.commit
    raise NotFound(
        f"there is no task {task}", hint=f"`gitrelease version list {task.item}` shows every version of it"
    )


# Comparing.


def compare_trees(
    repo: Repo,
    before: str,
    after: str,
    *,
    item: str | None = None,
    numbers: Mapping[ItemKey, int] | None = None,
    only_counts: bool = False,
) -> tuple[list[ItemComparison], list[str]]:
    """Compare the items that two trees hold differently; paths that belong to no item come second.

    Args:
        repo: the repository.
        before: a commit or tree.
        after: a commit or tree.
        item: only what this means.
        numbers: the versions that `after` holds where its records do not say so yet.
        only_counts: leave out the text of the differences, as far as counting goes without it.
    """
    changed: dict[ItemKey, list[TreeChange]] = {}
    records = []
    others = []
    for change in repo.diff(before, after, (*PREFIXES, "items") if only_counts else PREFIXES):
        if change.path.startswith("items/"):
            records.append(change)
        elif (key := belongs(change.path)) is None:
            others.append(change.path)
        else:
            changed.setdefault(key, []).append(change)
    chosen = items_meant(item, changed)
    if not chosen and item is not None and not _exists(repo, (before, after), item):
        raise NotFound(f"nothing that changed is like {item!r}", hint=f"what changed: {_some(changed)}")
    counted = count_changes(repo, {key: changed[key] for key in chosen}, records) if only_counts else {}
    rest = [key for key in chosen if key not in counted]
    old = read_states(repo, before, rest)
    new = read_states(repo, after, rest)
    found: dict[ItemKey, ItemComparison | None] = {**counted}
    for key in rest:
        documents = {main_file(key, place_of(change.path).directory) for change in changed[key]}
        state = new[key]
        number = (numbers or {}).get(key, None if state is None else state.version)
        one = _side_at(repo, before, [change.before for change in changed[key]], documents, _number(old[key]))
        other = _side_at(repo, after, [change.after for change in changed[key]], documents, number)
        found[key] = compare_item(key, one, other)
    return [compared for key in chosen if (compared := found[key])], others


def _side_at(
    repo: Repo, tree: str, entries: Iterable[Entry | None], documents: Collection[str], version: int | None
) -> Side:
    """Read what a tree holds of an item: the files that differ, and the document, which says what it is."""
    there = repo.entries(tree, documents)
    held = there | {entry.path: entry for entry in entries if entry is not None}
    files = repo.files({path: entry.blob for path, entry in held.items()})
    return side_of(files, version=version, exists=bool(there))


def _number(state: ItemState | None) -> int | None:
    """Give the version that is there; a deleted item has none."""
    return state.version if state is not None and state.exists else None


def compare_states(
    repo: Repo, item: ItemKey, before: ItemState | None, after: ItemState
) -> ItemComparison | None:
    old = file_bytes(repo, before.files if before else {})
    new = file_bytes(repo, after.files)
    return compare_item(item, side_of(old, version=_number(before)), side_of(new, version=after.version))


def _compare_restored(repo: Repo, item: ItemKey, paths: Iterable[RestoredPath]) -> ItemComparison | None:
    """Compare the paths that a restore puts back; it pins no versions, so none are told."""
    old: dict[str, bytes] = {}
    new: dict[str, bytes] = {}
    for entry in paths:
        if entry.found is not None:
            old[entry.path] = _found(repo, entry.found)
        if entry.approved is not None:
            new[entry.path] = repo.blob(entry.approved)
    was, is_ = (any(place_of(path).is_document for path in side) for side in (old, new))
    stays = not was and not is_  # a document that is left alone is there before and after
    return compare_item(
        item,
        side_of(old, version=None, exists=was or stays),
        side_of(new, version=None, exists=is_ or stays),
    )


def _found(repo: Repo, held: Held) -> bytes:
    """Give what lies at a path; a link, a submodule and the like are named, as they have no bytes to show."""
    return f"({held})\n".encode() if ":" in held else repo.blob(BlobId(held))


def side_of(files: Mapping[str, bytes], *, version: int | None, exists: bool | None = None) -> Side:
    """Make one side of a comparison of files as they are, also where they cannot be read as documents.

    `exists` says whether the item is there, where the files alone do not.
    """
    documents: dict[str, Mapping[str, object]] = {}
    for path, data in files.items():
        if path.endswith(".yaml"):
            try:
                documents[path] = parse(data, file=path).value
            except DocumentRefused:
                continue  # compared as text; `gitrelease check` says what is wrong with it
    there = bool(files) if exists is None else exists
    return Side(exists=there, version=version, files=files, documents=documents)


# Which items are meant.


def items_meant(text: str | None, items: Iterable[ItemKey]) -> list[ItemKey]:
    """Choose items: `kind/name` or a name as it is, and where none is called so, all with a name like it."""
    known = sorted(set(items))
    if text is None:
        return known
    kind, slash, name = text.partition("/")
    if slash and kind in set(Kind):
        known = [key for key in known if key.kind == kind]
        text = name
    if exact := [key for key in known if fold(key.name) == fold(text)]:
        return exact
    like = set(rank(text, dict.fromkeys(key.name for key in known)))
    return [key for key in known if key.name in like]


def _exists(repo: Repo, trees: Iterable[str], text: str) -> bool:
    """Say whether an item is called so in one of these trees; it then is the same in both."""
    kind, slash, name = text.partition("/")
    kinds = [Kind(kind)] if slash and kind in set(Kind) else list(Kind)
    try:
        keys = [ItemKey(kind=one, name=item_name(name if slash else text)) for one in kinds]
    except GitReleaseError:
        return False
    return any(read_records(repo, tree, keys) for tree in trees)


def _some(items: Iterable[ItemKey], most: int = 8) -> str:
    """Name items in a hint, not too many of them."""
    names = [str(key) for key in sorted(items)]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more
