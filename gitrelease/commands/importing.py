"""`gitrelease import`: jobs and scripts of a DataArts export become working files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from gitrelease.commands import Desk
from gitrelease.commands.check import footing_of
from gitrelease.core.dataarts import Imported, job_document, script_document
from gitrelease.core.finding import Finding
from gitrelease.core.item import document_path
from gitrelease.core.names import (
    CONTENT_ENDINGS,
    SCRIPT_ENDING,
    Directory,
    ItemKey,
    Kind,
    NameRefused,
    main_file,
    place_of,
)
from gitrelease.core.script import content_ending
from gitrelease.core.values import frozen
from gitrelease.documents import dump, parse, set_version
from gitrelease.errors import GitReleaseError, NotFound, NotYetBuilt, Refused, UsageError
from gitrelease.messages import strict_json
from gitrelease.reading.sources import WorkingTree
from gitrelease.reading.trees import read_states
from gitrelease.repo import plain
from gitrelease.schemas import validate

MOST_BYTES = 10 * 1024 * 1024
"""As much as DataArts Studio takes from a local file, packed or not (dataarts.md 1.9)."""

_EXPORTS = {".job": Kind.JOB, ".script": Kind.SCRIPT}
_AGAIN = "export it from DataArts Studio again, and import that as it is"
_STATUSES = ("saved", "submitted", "released")


class OnDuplicate(StrEnum):
    """What happens to an item that is there already."""

    SKIP = "skip"
    OVERWRITE = "overwrite"


class ExportUnreadable(Refused):
    """A file is no export of DataArts Studio that can be read. Nothing was written."""

    code = "export-unreadable"


@frozen
class Incoming:
    """One item of an export, ready to be written wherever it belongs."""

    item: ItemKey
    directory: Directory
    document: bytes
    content: bytes | None
    ending: str = ""
    """How the content file of a script ends."""
    source: str
    notes: tuple[str, ...] = ()

    def files(self, document: str) -> dict[str, bytes]:
        """Give the files of the item when its own document lies at a path."""
        files = {document: self.document}
        if self.content is not None:
            files[document.removesuffix(SCRIPT_ENDING) + self.ending] = self.content
        return files

    @property
    def home(self) -> str:
        """Where the export itself puts the item."""
        return main_file(self.item, self.directory)


@frozen
class Exports:
    """What an export holds."""

    items: tuple[Incoming, ...] = ()
    notes: tuple[str, ...] = ()


@frozen
class ImportResult:
    """What an import wrote, and what it left alone."""

    written: tuple[ItemKey, ...]
    skipped: tuple[ItemKey, ...]
    paths: tuple[str, ...]
    """The working files that were written."""
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    """What the schemas say of the files written; `gitrelease check` says the rest."""


# Reading an export.


def read_exports(file: Path) -> Exports:
    """Read a `.job` or `.script` file, or a folder of them; refuse all of it when one is bad."""
    if file.suffix.lower() == ".zip":
        raise NotYetBuilt(
            f"{plain(file.name)}: this version of gitrelease does not read zip files",
            hint="unpack it, and import the folder",
        )
    found, others = _files(file)
    left = MOST_BYTES
    items: dict[tuple[Kind, str], Incoming] = {}
    notes: list[str] = []
    for path, name in found:
        data = _read(path, name, left)
        left -= len(data)
        incoming = _incoming(data, name, _EXPORTS[path.suffix])
        known = items.setdefault(incoming.item.folded, incoming)
        # A batch export puts a script beside every job that uses it.
        if (known.item, known.directory, known.document, known.content) != (
            incoming.item, incoming.directory, incoming.document, incoming.content,
        ):  # fmt: skip
            raise ExportUnreadable(
                f"{name} and {known.source} both hold {incoming.item}, and differ", hint="keep one of them"
            )
    if not items:
        raise NotFound(
            f"{plain(str(file))} holds no .job and no .script file",
            hint="give what DataArts Studio exports, unpacked",
        )
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        notes.append(f"left alone, as they are neither .job nor .script files: {shown}")
    return Exports(items=tuple(items.values()), notes=tuple(notes))


def _files(file: Path) -> tuple[list[tuple[Path, str]], list[str]]:
    """List the export files at a path with what messages call them, and the names of what else is there."""
    if file.is_symlink():
        raise ExportUnreadable(f"{plain(str(file))} is a symbolic link", hint="name the file it points to")
    if file.is_dir():
        everything = sorted(path for path in file.rglob("*") if path.is_symlink() or not path.is_dir())
        named = [(path, plain(path.relative_to(file).as_posix())) for path in everything]
        for path, name in named:
            if path.is_symlink():
                raise ExportUnreadable(
                    f"{name} is a symbolic link", hint="replace it by the file it points to"
                )
        found = [(path, name) for path, name in named if path.suffix in _EXPORTS]
        return found, [name for path, name in named if path.suffix not in _EXPORTS]
    if not file.exists():
        raise NotFound(
            f"there is no {plain(str(file))}", hint="give a .job or .script file, or a folder of them"
        )
    if file.suffix not in _EXPORTS:
        raise ExportUnreadable(
            f"{plain(file.name)} is neither a .job nor a .script file",
            hint="give what DataArts Studio exports, unpacked",
        )
    return [(file, plain(file.name))], []


def _read(path: Path, name: str, left: int) -> bytes:
    if not path.is_file():
        raise ExportUnreadable(f"{name} is not a plain file", hint="take it out of the folder")
    try:
        with path.open("rb") as stream:
            data = stream.read(left + 1)
    except OSError as problem:
        raise ExportUnreadable(
            f"{name} cannot be read: {problem.strerror}", hint="see that you may read it, and import again"
        ) from problem
    if len(data) > left:
        raise ExportUnreadable(
            f"with {name}, the files have more than the {MOST_BYTES:,} bytes that one import takes",
            hint="import them in parts",
        )
    return data


def _incoming(data: bytes, name: str, kind: Kind) -> Incoming:
    body = _body(data, name)
    try:
        made = job_document(body) if kind is Kind.JOB else script_document(body)
        document = dump(made.document)
        parse(document, file=name)
        ending = content_ending(str(made.document.get("type"))) if kind is Kind.SCRIPT else ""
    except GitReleaseError as wrong:
        raise ExportUnreadable(f"{name}: {wrong.message}", hint=wrong.hint) from wrong
    return _made(made, document, ending, name)


def _made(made: Imported, document: bytes, ending: str, name: str) -> Incoming:
    return Incoming(
        item=made.item,
        directory=made.directory,
        document=document,
        content=made.content,
        ending=ending,
        source=name,
        notes=tuple(f"{made.item}: {note}" for note in made.notes),
    )


def _body(data: bytes, name: str) -> Mapping[str, object]:
    """Read JSON as strictly as YAML is read here: what two readers could take differently is refused."""
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        raise ExportUnreadable(
            f"{name}:{line}: the byte 0x{data[problem.start]:02x} is not UTF-8", hint=_AGAIN
        ) from problem
    try:
        value = strict_json(text)
    except json.JSONDecodeError as problem:
        raise ExportUnreadable(
            f"{name}:{problem.lineno}:{problem.colno}: no JSON: {problem.msg}", hint=_AGAIN
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise ExportUnreadable(f"{name}: {problem}", hint=_AGAIN) from problem
    if not isinstance(value, dict):
        raise ExportUnreadable(f"{name} holds no JSON object", hint=_AGAIN)
    return value


# Writing it.


def import_files(desk: Desk, file: Path, *, status: str, on_duplicate: str) -> ImportResult:
    """Write the jobs and scripts of an export into the working tree, all or none.

    `status` is what they are afterwards: only `saved`, working files that await `submit`, is built.
    """
    if status not in _STATUSES:
        raise UsageError(f"{status!r} is no status", hint=f"one of {', '.join(_STATUSES)}")
    if status != "saved":
        raise NotYetBuilt(
            f"--status {status}: this version of gitrelease only writes files",
            hint="import with --status saved, then run gitrelease submit",
        )
    if on_duplicate not in set(OnDuplicate):
        raise UsageError(
            f"{on_duplicate!r} is no way to treat duplicates", hint=f"one of {', '.join(OnDuplicate)}"
        )
    if desk.repo.worktree is None:
        raise Refused("this is a bare repository: it has no working files", hint="import in a clone of it")
    exports = read_exports(file)
    footing = footing_of(desk)
    working = WorkingTree(repo=desk.repo, base=footing.base)
    there = _places(working)
    for item, state in read_states(desk.repo, footing.approved, [one.item for one in exports.items]).items():
        if state is not None and (home := document_path(state.files)):
            there.setdefault(item.folded, home)

    notes = list(exports.notes)
    files: dict[str, bytes] = {}
    gone: list[str] = []
    written: list[ItemKey] = []
    skipped: list[ItemKey] = []
    for incoming in exports.items:
        home = there.get(incoming.item.folded)
        if home is not None and on_duplicate == OnDuplicate.SKIP:
            skipped.append(incoming.item)
            continue
        planned = _planned(working, incoming, home, notes)
        if home is not None:
            gone += _other_contents(working, home, planned)
        files.update(planned)
        written.append(incoming.item)
        notes += incoming.notes
    # A link in the way is found by reading, before anything is written.
    for path in (*files, *gone):
        desk.repo.read_working(path)
    for path, data in files.items():
        desk.repo.write_working(path, data)
    for path in gone:
        desk.repo.remove_working(path)
    return ImportResult(
        written=tuple(written),
        skipped=tuple(skipped),
        paths=tuple(files),
        notes=tuple(notes),
        findings=tuple(_findings(files)),
    )


def _places(working: WorkingTree) -> dict[tuple[Kind, str], str]:
    """Say where the working tree has the document of each item."""
    found = {}
    for path in (*working.below("jobs"), *working.below("scripts")):
        try:
            place = place_of(path)
        except NameRefused:
            continue
        if place.is_document:
            found[place.item.folded] = path
    return found


def _planned(
    working: WorkingTree, incoming: Incoming, home: str | None, notes: list[str]
) -> dict[str, bytes]:
    """Say which files an item becomes: at its place in the export, or in the place of what is overwritten."""
    if home is None:
        return incoming.files(incoming.home)
    place = place_of(home)
    if place.item != incoming.item:
        raise Refused(
            f"{incoming.source}: {incoming.item} and {place.item} at {home} differ only in spelling",
            hint="give it another name, or import with --on-duplicate skip",
        )
    if place.directory != incoming.directory:
        notes.append(
            f"{incoming.item}: stays in {place.directory}; the export has it in {incoming.directory}"
        )
    files = incoming.files(home)
    if (version := _version(working.read(home), home)) is not None:
        files[home] = set_version(files[home], version, file=home)
    return files


def _version(data: bytes | None, path: str) -> int | None:
    """Read the number that a working file bears; one that cannot be read bears none."""
    if data is None:
        return None
    try:
        version = parse(data, file=path).value.get("version")
    except GitReleaseError:
        return None
    return version if isinstance(version, int) and version > 0 else None


def _other_contents(working: WorkingTree, home: str, planned: Iterable[str]) -> list[str]:
    """List the content files of a script that its new type leaves without a use."""
    if not home.endswith(SCRIPT_ENDING):
        return []
    stem = home.removesuffix(SCRIPT_ENDING)
    paths = [stem + ending for ending in CONTENT_ENDINGS if stem + ending not in set(planned)]
    return [path for path in paths if working.read(path) is not None]


def _findings(files: Mapping[str, bytes]) -> Sequence[Finding]:
    found: list[Finding] = []
    for path, data in sorted(files.items()):
        if path.endswith(".yaml"):
            found += validate(parse(data, file=path), place_of(path).item.kind)
    return found
