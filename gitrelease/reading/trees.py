"""What a tree holds: the workspace, items, records and manifests, parsed once and complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar, cast

from gitrelease.core.content import Content, Difference, Held, Pin
from gitrelease.core.finding import Finding, has_errors
from gitrelease.core.item import ItemState, Record, parse_record
from gitrelease.core.names import (
    CONTENT_ENDINGS,
    GUARDED,
    JOB_ENDING,
    SCRIPT_ENDING,
    SUBJOBS_ENDING,
    WORKSPACE_PATH,
    BlobId,
    ItemKey,
    PackageName,
    manifest_path,
    place_of,
    record_path,
)
from gitrelease.core.package import Manifest, parse_manifest
from gitrelease.core.workspace import Workspace, parse_workspace
from gitrelease.documents import DocumentRefused, parse
from gitrelease.errors import GitReleaseError, NotFound
from gitrelease.repo import BadObject, Entry, Repo, TreeChange, plain
from gitrelease.schemas import validate

Parsed = TypeVar("Parsed")


def read_document(
    data: bytes, *, file: str, kind: str, parser: Callable[[Mapping[str, object]], Parsed]
) -> Parsed:
    """Parse a file of ours, strictly: YAML, then its schema, then the value.

    What was read a moment ago is not read again: the same bytes are the same value.

    Raises:
        DocumentRefused: with every finding, each with its file, line and key.
    """
    return cast("Parsed", _document(data, file, kind, parser))


@lru_cache(maxsize=4096)
def _document(data: bytes, file: str, kind: str, parser: Callable[[Mapping[str, object]], object]) -> object:
    document = parse(data, file=file)
    findings = validate(document, kind)
    if has_errors(findings):
        raise DocumentRefused(file, findings)
    try:
        return parser(document.value)
    except GitReleaseError as wrong:
        finding = Finding(code=wrong.code, file=file, message=wrong.message, hint=wrong.hint)
        raise DocumentRefused(file, [finding]) from wrong


def read_workspace(repo: Repo, tree: str) -> Workspace:
    """Read the workspace that a tree holds; a tree without one is refused."""
    data = repo.content(tree, WORKSPACE_PATH)
    if data is None:
        raise NotFound(
            f"there is no {WORKSPACE_PATH} in {tree:.7}",
            hint="`gitrelease init` makes a repository into a release repository",
        )
    return read_document(data, file=WORKSPACE_PATH, kind="workspace", parser=parse_workspace)


def read_records(repo: Repo, tree: str, items: Iterable[ItemKey]) -> dict[ItemKey, tuple[BlobId, Record]]:
    """Read the records of items, with the blob each is; items that never existed are left out."""
    paths = {record_path(item): item for item in items}
    entries = repo.entries(tree, paths)
    files = repo.files({path: entry.blob for path, entry in entries.items()})
    found = {}
    for path, entry in entries.items():
        record = read_document(files[path], file=path, kind="record", parser=parse_record)
        if record_path(record.item) != path:
            raise GitReleaseError(f"{path} is the record of {record.item}, which does not belong there")
        found[paths[path]] = (entry.blob, record)
    return found


def read_states(repo: Repo, tree: str, items: Iterable[ItemKey]) -> dict[ItemKey, ItemState | None]:
    """Say at which version items are, and with which bytes; None for what never existed."""
    wanted = list(items)
    records = read_records(repo, tree, wanted)
    return {item: records[item][1].state if item in records else None for item in wanted}


def read_manifest(repo: Repo, tree: str, package: PackageName) -> tuple[BlobId, Manifest] | None:
    """Read the manifest of a package, with the blob it is; None where the tree has none."""
    path = manifest_path(package)
    entry = repo.tree_entry(tree, path)
    if entry is None:
        return None
    data = repo.files({path: entry.blob})[path]
    return entry.blob, read_document(data, file=path, kind="manifest", parser=parse_manifest)


def item_entries(repo: Repo, tree: str, document: str) -> dict[str, Entry]:
    """List the files of the item whose document lies at a path: itself, and what travels with it."""
    stem, paths = document, [document]
    if document.endswith(JOB_ENDING):
        stem = document.removesuffix(JOB_ENDING)
        paths += [entry.path for entry in repo.list_tree(tree, stem + SUBJOBS_ENDING, recursive=True)]
    elif document.endswith(SCRIPT_ENDING):
        stem = document.removesuffix(SCRIPT_ENDING)
        paths += [stem + ending for ending in CONTENT_ENDINGS]
    return repo.entries(tree, paths)


def item_entries_at(repo: Repo, tree: str, state: ItemState | None) -> dict[str, Entry]:
    """List the files that a tree holds of an item, looked for where its last state had them."""
    if state is None or not state.exists:
        return {}
    document = next(path for path in state.files if place_of(path).is_document)
    return item_entries(repo, tree, document)


def held(entry: Entry | None) -> Held | None:
    """Say what a path holds, in a form that equals a pin only if it is an ordinary file."""
    if entry is None:
        return None
    return Held(entry.id if entry.is_file else f"{entry.mode}:{entry.id}")


def held_files(entries: Mapping[str, Entry]) -> dict[str, Held]:
    """Say what several paths hold."""
    return {
        path: Held(entry.id if entry.is_file else f"{entry.mode}:{entry.id}")
        for path, entry in entries.items()
    }


def difference_of(changes: Iterable[TreeChange]) -> Difference:
    """Give differences of git as core values.

    Raises:
        BadObject: a folder has two entries of one name, of which readers may see either.
    """
    found: dict[str, tuple[Held | None, Held | None]] = {}
    for change in changes:
        if change.path in found:
            raise BadObject(f"a folder has two entries called {plain(change.path)!r}")
        found[change.path] = (held(change.before), held(change.after))
    return found


def pins(repo: Repo, entries: Mapping[str, Entry]) -> Content:
    """Pin files to the byte, by git's hash and by SHA-256."""
    files = repo.files({path: entry.blob for path, entry in entries.items()})
    return {path: pin(files[path], entry.blob) for path, entry in entries.items()}


def pin(data: bytes, blob: BlobId) -> Pin:
    """Pin one file whose bytes are at hand."""
    return Pin(blob=blob, sha256=sha256(data).hexdigest())


def file_bytes(repo: Repo, files: Content) -> dict[str, bytes]:
    """Read pinned files."""
    return repo.files({path: pin.blob for path, pin in files.items()})


def pins_hold(repo: Repo, content: Content) -> list[str]:
    """List the paths whose SHA-256 is not that of the blob pinned beside it (pitfall P39)."""
    files = file_bytes(repo, content)
    return [path for path, entry in content.items() if pin(files[path], entry.blob) != entry]


def guarded_difference(repo: Repo, before: str, after: str) -> list[TreeChange]:
    """Say how two trees differ in what only packages may change."""
    return repo.diff(before, after, GUARDED)
