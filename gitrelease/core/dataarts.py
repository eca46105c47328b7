"""DataArts bodies: the JSON of a `.job` or `.script` file, to our documents and back.

Both directions are driven by one description of the body (`body.py`), so that they cannot drift apart. What
is written in another way but means the same is changed without a word:

- numbers and flags that came as text (`"60"`, `"120.0"`, `"true"`) are numbers and flags;
- an optional key that holds nothing (null, `""`, `[]`, `{}`) is left out, because DataArts takes a missing
  key for the same. The lists in `ALWAYS_WRITTEN` are written back in full, empty or not.

Everything else that changes is said in `Imported.notes`. A key that the description does not list becomes
`x-<key>` at the same level, its value untouched, and goes back under its own name.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitrelease.core.body import (
    APART,
    JOB,
    RELEASE_SET,
    SCRIPT,
    SERVER_SET,
    UNKNOWN,
    BodyShape,
    ExportRefused,
    ImportRefused,
    Log,
    holds_nothing,
    kind_of,
    refuse_import,
    refuse_unwritable,
)
from gitrelease.core.item import API_VERSION
from gitrelease.core.names import Directory, ItemKey, Kind, NameRefused, item_name
from gitrelease.core.names import directory as parse_directory
from gitrelease.core.values import frozen

__all__ = [
    "ExportRefused",
    "ImportRefused",
    "Imported",
    "job_body",
    "job_document",
    "script_body",
    "script_document",
]


@frozen
class Imported:
    """A DataArts body as gitrelease keeps it."""

    item: ItemKey
    directory: Directory
    document: dict[str, object]
    content: bytes | None
    """The content of a script, which lies in a file of its own; a job has none."""
    notes: tuple[str, ...]
    """What was changed or left out, in sentences."""


def job_document(body: Mapping[str, object]) -> Imported:
    """Turn the body of a `.job` file into a job document.

    Raises:
        ImportRefused: something is missing or of the wrong type; the message names the key.
    """
    return _document(body, Kind.JOB, JOB, content=None)


def script_document(body: Mapping[str, object]) -> Imported:
    """Turn the body of a `.script` file into a script document and its content.

    Raises:
        ImportRefused: something is missing or of the wrong type; the message names the key.
    """
    refuse_unwritable(body)
    content = body.get("content")
    if not isinstance(content, str):
        refuse_import(("content",), content, "a text")
    return _document(body, Kind.SCRIPT, SCRIPT, content=content)


def job_body(document: Mapping[str, object], *, directory: Directory) -> dict[str, object]:
    """Turn a job document into the body that DataArts creates a job from.

    Raises:
        ExportRefused: the document has a key that neither the schema knows nor `x-` announces.
    """
    body, version = _body(document, Kind.JOB, JOB, directory)
    if version is not None:
        body["version"] = str(version)
    return body


def script_body(document: Mapping[str, object], content: str, *, directory: Directory) -> dict[str, object]:
    """Turn a script document and its content into the body that DataArts creates a script from.

    Raises:
        ExportRefused: the document has a key that neither the schema knows nor `x-` announces.
    """
    body, version = _body(document, Kind.SCRIPT, SCRIPT, directory)
    body["content"] = content
    if version is not None:
        body["version"] = version
    return body


def _document(body: Mapping[str, object], kind: Kind, shape: BodyShape, *, content: str | None) -> Imported:
    refuse_unwritable(body)
    log = Log()
    fields = shape.read({key: value for key, value in body.items() if key not in APART[kind]}, (), log)
    for key in body:
        if key in SERVER_SET | RELEASE_SET and not holds_nothing(body[key]):
            log.left_out.add(key)
    try:
        name = item_name(str(fields["name"]))
    except NameRefused as error:
        raise ImportRefused(f"name: {error.message}", hint=error.hint) from error
    place = _place(body.get("directory"), log)
    text = None if content is None else _plain_text(content, log)
    head: dict[str, object] = {"apiVersion": API_VERSION, "kind": kind.value.capitalize()}
    return Imported(
        item=ItemKey(kind=kind, name=name),
        directory=place,
        document=head | fields,
        content=None if text is None else text.encode(),
        notes=tuple(log.sentences()),
    )


def _body(
    document: Mapping[str, object], kind: Kind, shape: BodyShape, directory: Directory
) -> tuple[dict[str, object], int | None]:
    wanted = kind.value.capitalize()
    if document.get("kind") != wanted:
        raise ExportRefused(f"kind is {document.get('kind')!r}, not {wanted!r}")
    version = document.get("version")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise ExportRefused(f"version is {kind_of(version)}, not a whole number")
    if overwriting := sorted(
        key for key in document if key.removeprefix(UNKNOWN) in APART[kind] and key != "version"
    ):
        raise ExportRefused(f"{overwriting[0]} is said elsewhere, or set by DataArts Studio itself")
    rest = {key: value for key, value in document.items() if key not in {"apiVersion", "kind", "version"}}
    written = shape.write(rest, ())
    body: dict[str, object] = {"name": written.pop("name", None), "directory": str(directory)}
    return body | written, version


def _place(value: object, log: Log) -> Directory:
    if value is None or value == "":
        return Directory("/")
    if not isinstance(value, str):
        refuse_import(("directory",), value, "a text")
    tidy = "/" + value.strip("/")
    if tidy != value:
        log.say(f"the directory {value!r} is written as {tidy!r}")
    try:
        return parse_directory(tidy)
    except NameRefused as error:
        raise ImportRefused(f"directory: {error.message}", hint=error.hint) from error


def _plain_text(content: str, log: Log) -> str:
    text = content.replace("\r\n", "\n").replace("\r", "\n")
    if text != content:
        log.say("the line ends of the content were CRLF or CR and are LF now")
    if text.startswith("\ufeff"):
        log.say("the byte order mark before the content was left out")
    return text.removeprefix("\ufeff")
