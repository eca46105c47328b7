"""Editing: the one change that gitrelease makes inside a file that people wrote."""

from __future__ import annotations

from gitrelease.documents.composing import parse
from gitrelease.documents.document import Document, DocumentRefused, Spot
from gitrelease.documents.dumping import canonical_json
from gitrelease.errors import Refused


def set_version(data: bytes, version: int, *, file: str) -> bytes:
    """Write a version into a document: that one number changes, all else stays byte for byte.

    Where there is none, it becomes a line of its own below the name.

    Raises:
        DocumentRefused: the file is no document.
        Refused: the number cannot be written without touching more.
    """
    document = parse(data, file=file)
    root = document.root
    if root.flow:
        raise Refused(
            f"{file}: the version cannot be set in a document written as {{...}}",
            hint="write it as key: value lines",
        )
    edited = _with_version(document, root, version).encode()
    expected = canonical_json({**document.value, "version": version})
    try:
        same = canonical_json(parse(edited, file=file).value) == expected
    except DocumentRefused:
        same = False
    if not same:
        raise Refused(
            f"{file}: setting the version would change more than the version",
            hint=f"write the line version: {version} yourself, below the name",
        )
    return edited


def _with_version(document: Document, root: Spot, version: int) -> str:
    text = document.text
    if spot := root.parts.get("version"):
        if not spot.one_line_scalar:
            raise Refused(
                f"{document.file}:{spot.line + 1}: version: the value is not a number on the line of its key",
                hint=f"write version: {version}",
            )
        gap = "" if text[spot.start - 1 : spot.start] in {" ", "\t"} else " "
        return f"{text[: spot.start]}{gap}{version}{text[spot.end :]}"
    name = root.parts.get("name")
    if name is None or name.parts:
        raise Refused(
            f"{document.file}: there is neither a version nor a name to write the version under",
            hint="give the document a name",
        )
    line = f"{' ' * root.column}version: {version}"
    # A block of text ends where its next line begins; every other value ends in the middle of a line.
    stop = name.end if text[name.end - 1 : name.end] == "\n" else text.find("\n", name.end) + 1
    if not stop:
        return f"{text}\n{line}"
    return f"{text[:stop]}{line}\n{text[stop:]}"
