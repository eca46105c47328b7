"""YAML in, strictly; YAML out, stably.

YAML is read as JSON would be: only JSON's own scalars are special, and what another YAML reader could
take for something else (`12:30`, `on`, `0123`) has to stand in quotes. So one file means one thing to
people, to editors and to every system it is handed to. Aliases, tags and duplicate keys are refused,
and nothing a file can hold makes reading it slow, deep or large.
"""

from gitrelease.documents.composing import parse
from gitrelease.documents.document import MOST_BYTES, Document, DocumentRefused
from gitrelease.documents.dumping import ValueRefused, canonical_json, dump
from gitrelease.documents.editing import set_version
from gitrelease.documents.scalars import Json, quoted

__all__ = [
    "MOST_BYTES",
    "Document",
    "DocumentRefused",
    "Json",
    "ValueRefused",
    "canonical_json",
    "dump",
    "parse",
    "quoted",
    "set_version",
]
