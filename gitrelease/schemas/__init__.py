"""Schemas: what each kind of document looks like, checked with the file, the line and the key at hand.

The schemas are JSON Schema (draft 2020-12), one per kind, so that an editor checks and completes the same
while people type. Here they are asked for everything that is wrong at once, and answer in sentences of
ours. They refer to each other only: nothing is ever fetched.

Most documents are right, so `accepting.py` is asked first, and is quick. What it does not accept is looked at
by `explaining.py`, whose word counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitrelease.core.finding import Finding, Key, Problem
from gitrelease.documents import Document
from gitrelease.schemas.accepting import accepts, follows
from gitrelease.schemas.shipped import EDITOR_FOLDER, FILE_GLOBS, editor_settings, kinds, schema_text

__all__ = [
    "EDITOR_FOLDER",
    "FILE_GLOBS",
    "editor_settings",
    "kinds",
    "schema_text",
    "setting_error",
    "validate",
    "value_problems",
]

# `explaining` is imported where it is needed: `jsonschema` would be half of what a command takes to start.


def validate(document: Document, kind: str) -> list[Finding]:
    """Find everything in a document that its schema does not allow, in the order of the file."""
    if accepts(kind, document.value):
        return []
    from gitrelease.schemas.explaining import findings_in

    return findings_in(document, kind)


def value_problems(value: object, kind: str) -> list[Problem]:
    """Find what the schema of a kind does not allow in a value that no file holds, but a commit's message."""
    if accepts(kind, value):
        return []
    from gitrelease.schemas.explaining import problems_in

    return problems_in(value, kind)


def setting_error(settings: Mapping[str, object], schema: Mapping[str, object]) -> tuple[Key, str] | None:
    """Say what is wrong with the settings of a target, whose module brings the schema; the first thing is enough."""
    if follows(schema, settings):
        return None
    from gitrelease.schemas.explaining import first_error

    return first_error(settings, schema)
