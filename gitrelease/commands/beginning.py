"""What a release repository begins with: items that are taken over, their records, files for editors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gitrelease.checking import Draft, Surroundings, check_drafts, crowded
from gitrelease.commands.importing import Exports
from gitrelease.commands.refusals import CheckFailed
from gitrelease.core.finding import Finding, has_errors
from gitrelease.core.item import ItemState, Record, document_path, parse_record, record_document
from gitrelease.core.names import (
    GUARDED,
    WORKSPACE_PATH,
    BlobId,
    CommitId,
    ItemKey,
    NameRefused,
    place_of,
    record_path,
)
from gitrelease.core.workspace import Workspace
from gitrelease.documents import dump, parse, set_version
from gitrelease.errors import GitReleaseError, Refused
from gitrelease.reading.sources import PREFIXES, git_hash
from gitrelease.reading.trees import pin, read_document
from gitrelease.repo import EMPTY_TREE, Entry, Repo
from gitrelease.schemas import EDITOR_FOLDER, FILE_GLOBS, editor_settings, schema_text

_EDITOR = ".vscode/settings.json"
_ATTRIBUTES = ".gitattributes"
_LINE_ENDS = "".join(f"{top}/** text eol=lf\n" for top in GUARDED if top != WORKSPACE_PATH) + (
    f"{WORKSPACE_PATH} text eol=lf\n"
)


class CannotBegin(Refused):
    """The repository is not in a state that a ledger could begin from. Nothing was changed."""

    code = "cannot-begin"


@dataclass(kw_only=True)
class Beginning:
    """What the main branch is to hold: every file of an item, and what else is written."""

    held: dict[str, Entry]
    """The guarded files of the commit that this goes on top of."""
    items: dict[str, bytes]
    extras: dict[str, bytes] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rewritten: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Working files that begin with something added: as they were, and with it."""


# What is taken over.


def gather(repo: Repo, base: CommitId | None, exports: Exports) -> Beginning:
    """Read what the main branch holds; where there is none yet, what lies in the folder."""
    changes = [] if base is None else repo.diff(EMPTY_TREE, base, GUARDED)
    held = {change.path: change.after for change in changes if change.after is not None}
    beginning = Beginning(held=held, items={})
    for path, entry in held.items():
        if not entry.is_file:
            beginning.findings.append(
                Finding(
                    code="not-a-plain-file",
                    file=path,
                    message="is not a plain file",
                    hint="replace it by one",
                )
            )
    plain_files = {path: entry for path, entry in held.items() if entry.is_file}
    files = repo.files({path: entry.blob for path, entry in plain_files.items()})
    for path, content in files.items():
        if path.startswith(("items/", "packages/")):
            _refuse_old(path, content)
        else:
            beginning.items[path] = content
    lying = [WORKSPACE_PATH] if base is not None else _lying(repo)
    for path in lying:
        data = repo.read_working(path)
        if data is not None and data != beginning.items.get(path):
            beginning.items[path] = data
            if base is not None or path == WORKSPACE_PATH:
                beginning.notes.append(f"{path} was taken as it lies in your working tree")
    _stray(beginning)
    _add(beginning, exports)
    return beginning


def _lying(repo: Repo) -> list[str]:
    # Compared with nothing, every file differs.
    return sorted(repo.changed_paths(CommitId(EMPTY_TREE), PREFIXES))


def _refuse_old(path: str, data: bytes) -> None:
    """Let the records of an unshared beginning pass; everything else has a meaning that would be lost."""
    try:
        record = read_document(data, file=path, kind="record", parser=parse_record)
        if record.package is None and record_path(record.item) == path:
            return
    except GitReleaseError:
        pass
    if b"apiVersion: gitrelease/" in data:
        raise CannotBegin(
            f"the main branch holds {path}, so there was a ledger once, and it is missing",
            hint="restore the branch `production` from a clone; it is never rebuilt",
        )
    raise CannotBegin(
        f"the main branch holds {path}, and gitrelease keeps files of its own in items/ and packages/",
        hint="move that folder elsewhere first",
    )


def _stray(beginning: Beginning) -> None:
    for path in sorted(beginning.items):
        try:
            place_of(path)
        except NameRefused as wrong:
            finding = Finding(code="stray-file", file=path, message=wrong.message, hint=wrong.hint)
            beginning.findings.append(finding)
            del beginning.items[path]


def _add(beginning: Beginning, exports: Exports) -> None:
    known = {item.folded for item in by_item(beginning.items)}
    for incoming in exports.items:
        if incoming.item.folded in known:
            beginning.notes.append(f"{incoming.item} is there already, so it was not imported")
            continue
        beginning.items.update(incoming.files(incoming.home))
        beginning.notes += incoming.notes


def by_item(paths: Iterable[str]) -> dict[ItemKey, list[str]]:
    found: dict[ItemKey, list[str]] = {}
    for path in paths:
        found.setdefault(place_of(path).item, []).append(path)
    return found


def number(beginning: Beginning) -> None:
    """Give every document the number that its record will say; what has one keeps it."""
    numbered = []
    for paths in by_item(beginning.items).values():
        document = document_path(paths)
        if document is None:
            continue
        data = beginning.items[document]
        try:
            if "version" in parse(data, file=document).value:
                continue
            beginning.items[document] = set_version(data, 1, file=document)
        except Refused as wrong:
            finding = Finding(code="version", file=document, message=wrong.message, hint=wrong.hint)
            beginning.findings.append(finding)
        except GitReleaseError:
            continue  # the check says what is wrong with it, with its place
        else:
            beginning.rewritten[document] = data, beginning.items[document]
            numbered.append(document)
    if numbered:
        more = f" and {len(numbered) - 3} more" if len(numbered) > 3 else ""
        beginning.notes.append(f"`version: 1` was added to {', '.join(sorted(numbered)[:3])}{more}")


def check(beginning: Beginning, workspace: Workspace) -> None:
    """Refuse what could not be submitted either, all of it at once."""
    items = by_item(beginning.items)
    drafts = [
        Draft(item=item, files={path: beginning.items[path] for path in paths})
        for item, paths in items.items()
    ]
    beginning.findings += check_drafts(drafts, Surroundings(exists=items.__contains__, workspace=workspace))
    beginning.findings += crowded(beginning.items, lambda folder: [])  # noqa: ARG005
    if has_errors(beginning.findings):
        raise CheckFailed(sorted(beginning.findings, key=lambda one: (one.file, one.line or 0)))


def records(beginning: Beginning) -> dict[str, bytes]:
    """Write the record of every item: taken over, so no package brought it."""
    written = {}
    for item, paths in by_item(beginning.items).items():
        document = document_path(paths)
        version = (
            None if document is None else parse(beginning.items[document], file=document).value["version"]
        )
        if not isinstance(version, int):
            continue  # the check lets none of these pass
        files = {path: beginning.items[path] for path in sorted(paths)}
        pins = {path: pin(data, BlobId(git_hash(data))) for path, data in files.items()}
        record = Record(item=item, state=ItemState(version=version, files=pins), package=None)
        written[record_path(item)] = dump(record_document(record))
    return written


# What else is written.


def add_editor_files(repo: Repo, base: CommitId | None, beginning: Beginning) -> None:
    """Tell editors about the schemas, and git about line ends; what somebody wrote there stays."""

    def there(path: str) -> bytes | None:
        found = None if base is None else repo.content(base, path)
        return repo.read_working(path) if found is None and base is None else found

    settings = there(_EDITOR)
    if settings is None:
        beginning.extras[_EDITOR] = editor_settings()
    elif EDITOR_FOLDER.encode() not in settings:
        beginning.notes.append(f"{_EDITOR} was left alone; add yaml.schemas from {EDITOR_FOLDER} yourself")
    folder = EDITOR_FOLDER.removeprefix("./")
    for kind in FILE_GLOBS:
        beginning.extras[f"{folder}/{kind}.schema.json"] = schema_text(kind)
    attributes = there(_ATTRIBUTES) or b""
    lacking = [line for line in _LINE_ENDS.splitlines() if line.encode() not in attributes.splitlines()]
    if lacking:
        gap = b"\n" if attributes and not attributes.endswith(b"\n") else b""
        extended = attributes + gap + "".join(f"{line}\n" for line in lacking).encode()
        beginning.extras[_ATTRIBUTES] = extended
        if attributes:
            beginning.rewritten[_ATTRIBUTES] = attributes, extended
