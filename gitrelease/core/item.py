"""Items: what can be released, the state an item is in, and the record that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum
from typing import cast

from gitrelease.core.content import Content, Pin
from gitrelease.core.fields import Malformed
from gitrelease.core.finding import Problem
from gitrelease.core.names import (
    BlobId,
    ItemKey,
    Kind,
    NameRefused,
    PackageName,
    item_key,
    package_name,
    place_of,
)
from gitrelease.core.values import frozen

API_VERSION = "gitrelease/v1"


class Change(StrEnum):
    """What a version does to its item."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"


@frozen
class ItemState:
    """An item at one version: its number and its files, to the byte; no files when it was deleted."""

    version: int
    files: Content = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether the item is there at this version."""
        return bool(self.files)


@frozen
class Record:
    """What the main branch says of one item: where it is, at which version, and which package brought it.

    It stays when the item is deleted, so that numbers go on. Two packages that touch one item both change
    its record, so git itself lets only the first of them in.
    """

    item: ItemKey
    state: ItemState
    package: PackageName | None
    """None when the item was taken over at the beginning, not reviewed."""

    @property
    def path(self) -> str | None:
        """Where the item's own document lies; None when it was deleted."""
        return document_path(self.state.files)


def document_path(paths: Iterable[str]) -> str | None:
    """Pick an item's own document out of its files."""
    return next((path for path in paths if place_of(path).is_document), None)


def change_of(*, was: bool, is_: bool) -> Change:
    """Name what happens to an item, or a part of one, by whether it was there before and is afterwards."""
    if not is_:
        return Change.DELETE
    return Change.MODIFY if was else Change.ADD


def files_problems(item: ItemKey, paths: Iterable[str]) -> list[Problem]:
    """Find what is wrong with the set of files of one item (design 2): exactly its document, and what belongs to it."""
    documents = []
    contents = []
    problems = []
    for path in sorted(paths):
        try:
            place = place_of(path)
        except NameRefused as refusal:
            problems.append(Problem(code="stray-file", message=refusal.message, hint=refusal.hint))
            continue
        if place.item != item:
            problems.append(
                Problem(code="other-item", message=f"{path} belongs to {place.item}, not to {item}")
            )
        elif place.is_document:
            documents.append(path)
        else:
            contents.append(path)
    if len(documents) != 1:
        what = " and ".join(documents) or "no document of its own"
        problems.append(Problem(code="document-missing", message=f"{item} has {what}; it needs exactly one"))
        return problems
    parent = documents[0].rpartition("/")[0]
    if item.kind is Kind.SCRIPT:
        if len(contents) != 1:
            problems.append(
                Problem(
                    code="content-missing",
                    message=f"{item} has {len(contents)} content files; it needs exactly one",
                    hint=f"put {item.name}.sql, {item.name}.py or {item.name}.sh beside {documents[0]}",
                )
            )
        strays = [path for path in contents if path.rpartition("/")[0] != parent]
    else:
        strays = [path for path in contents if not path.startswith(f"{parent}/{item.name}.subjobs/")]
    problems += [
        Problem(
            code="other-directory", message=f"{path} is not beside {documents[0]}", hint="move them together"
        )
        for path in strays
    ]
    return problems


def state_document(state: ItemState) -> dict[str, object]:
    """Write a state as manifests and records hold it."""
    return {
        "version": state.version,
        "files": {
            path: {"blob": pin.blob, "sha256": pin.sha256} for path, pin in sorted(state.files.items())
        },
    }


def parse_state(value: Mapping[str, object]) -> ItemState:
    """Read a state that its schema accepts."""
    files = cast("Mapping[str, Mapping[str, str]]", value["files"])
    return ItemState(
        version=cast("int", value["version"]),
        files={path: Pin(blob=BlobId(pin["blob"]), sha256=pin["sha256"]) for path, pin in files.items()},
    )


def record_document(record: Record) -> dict[str, object]:
    """Write the record of an item."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Record",
        "item": str(record.item),
        "path": record.path,
        "package": record.package,
        **state_document(record.state),
    }


def parse_record(value: Mapping[str, object]) -> Record:
    """Read a record that its schema accepts."""
    package = value["package"]
    item, state = item_key(str(value["item"])), parse_state(value)
    if state.exists and (problems := files_problems(item, state.files)):
        raise Malformed(("files",), problems[0].message)
    return Record(
        item=item,
        state=state,
        package=None if package is None else package_name(str(package)),
    )
