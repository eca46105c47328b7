"""The schemas themselves: one file for each kind of document, for our checks and for people's editors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gitrelease.errors import NotFound

FILE_GLOBS: Mapping[str, str] = {
    "job": "jobs/**/*.job.yaml",
    "script": "scripts/**/*.script.yaml",
    "workspace": "workspace.yaml",
    "manifest": "packages/**/*.yaml",
    "record": "items/**/*.yaml",
}
"""Which files of a release repository each schema describes."""

EDITOR_FOLDER = "./.gitrelease/schemas"
"""Where `init` puts the schemas, as editors name it."""

_ENDING = ".schema.json"


def _folder() -> Path:
    package = Path(__file__).parents[1]
    shipped = package / "_schemas"
    # A checkout has them beside the package, where people look for them.
    return shipped if shipped.is_dir() else package.parent / "schemas"


@cache
def kinds() -> tuple[str, ...]:
    """Name the kinds of documents that have a schema."""
    names = (file.name for file in _folder().iterdir())
    return tuple(sorted(name.removesuffix(_ENDING) for name in names if name.endswith(_ENDING)))


@cache
def schema_text(kind: str) -> bytes:
    """Give the schema of a kind, as `init` copies it into a release repository."""
    if kind not in kinds():
        raise NotFound(f"there is no schema {kind!r}", hint=f"the kinds are {', '.join(kinds())}")
    return (_folder() / f"{kind}{_ENDING}").read_bytes()


def editor_settings(folder: str = EDITOR_FOLDER) -> bytes:
    """Give `.vscode/settings.json` of a release repository: schemas by file name, and how files are saved.

    `folder` is where the schemas are for the editor: a path, or the address of a folder.
    """
    settings = {
        "yaml.schemas": {
            f"{folder}/{kind}{_ENDING}": glob for kind, glob in FILE_GLOBS.items() if kind in kinds()
        },
        "yaml.schemaStore.enable": False,
        "files.encoding": "utf8",
        "files.eol": "\n",
        "files.insertFinalNewline": True,
        "[yaml]": {"editor.insertSpaces": True, "editor.tabSize": 2, "editor.detectIndentation": False},
    }
    return (json.dumps(settings, indent=2) + "\n").encode()


@cache
def schema(kind: str) -> dict[str, Any]:
    """Give the schema of a kind as values."""
    read: dict[str, Any] = json.loads(schema_text(kind))
    return read
