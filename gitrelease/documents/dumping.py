"""Dumping: values out, as YAML for people and as canonical JSON for hashes."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from gitrelease.core.finding import Key, key_text
from gitrelease.documents.document import MOST_DEPTH
from gitrelease.documents.scalars import (
    LEAST_INTEGER,
    MOST_INTEGER,
    PLAIN_KEYS,
    Json,
    has_surrogate,
    is_plain,
    leaf,
    quoted,
)
from gitrelease.errors import GitReleaseError

_LONGEST_SIMPLE_KEY = 128


class ValueRefused(GitReleaseError):
    """A value cannot be written in a way that reads back the same."""

    code = "value-refused"


def dump(value: Mapping[str, object]) -> bytes:
    """Write a document: block style, key order kept, long texts as they are, one newline at the end.

    What `parse` reads back is the same value, always.

    Raises:
        ValueRefused: the value holds something that `parse` would not read back.
    """
    checked = _checked_mapping(value, ())
    lines = list(_block(checked)) if checked else ["{}"]
    return ("\n".join(lines) + "\n").encode()


def canonical_json(value: object) -> bytes:
    """Write a value as JSON in the one way that is hashed and compared: sorted keys, no spaces, UTF-8.

    Raises:
        ValueRefused: the value holds something that JSON has no text for.
    """
    checked = _checked(value, ())
    return json.dumps(
        checked, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode()


def _checked(value: object, key: Key) -> Json:
    """Copy a value, with the assurance that it can be written and read back."""
    where = f"{key_text(key)}: " if key else ""
    match value:
        case None | bool():
            return value
        case str():
            return _writable(value, where)
        case int():
            if not LEAST_INTEGER <= value <= MOST_INTEGER:
                raise ValueRefused(f"{where}the number does not fit in 64 bits", hint="write it as text")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueRefused(f"{where}{value} is no number that JSON can hold", hint="write it as text")
            return float(value)
        case Mapping() | Sequence() if len(key) == MOST_DEPTH:
            raise ValueRefused(f"lists and mappings are nested more than {MOST_DEPTH} deep")
        case Mapping():
            return _checked_mapping(value, key)
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_checked(inner, (*key, index)) for index, inner in enumerate(value)]
        case _:
            raise ValueRefused(f"{where}a value of type {type(value).__name__} cannot be written")


def _checked_mapping(value: Mapping[str, object], key: Key) -> dict[str, Json]:
    where = f"{key_text(key)}: " if key else ""
    checked: dict[str, Json] = {}
    composed: set[str] = set()
    for name, inner in value.items():
        if not isinstance(name, str):
            raise ValueRefused(f"{where}the key {name!r} is not text")
        form = unicodedata.normalize("NFC", _writable(name, where))
        if form in composed:
            raise ValueRefused(f"{where}the key {quoted(name)} stands twice, in two spellings of Unicode")
        composed.add(form)
        checked[name] = _checked(inner, (*key, name))
    return checked


def _writable(text: str, where: str) -> str:
    if has_surrogate(text):
        raise ValueRefused(f"{where}the text holds half a character (a lone surrogate)")
    return str.__str__(text)  # the plain text of an enum's member


def _block(value: dict[str, Json] | list[Json]) -> Iterator[str]:
    """Give the lines of a mapping or a list that is not empty, as they stand at the left margin."""
    if isinstance(value, dict):
        for key, inner in value.items():
            written = key if key in PLAIN_KEYS or is_plain(key) else quoted(key)
            if len(written) > _LONGEST_SIMPLE_KEY:  # a reader looks no further than 1,024 for the colon
                yield f"? {quoted(key)}"
                written = ""
            if isinstance(inner, dict | list) and inner:
                yield f"{written}:"
                yield from (f"  {line}" if line else line for line in _block(inner))
            else:
                first, *rest = leaf(inner)
                yield f"{written}: {first}"
                yield from (f"  {line}" if line else line for line in rest)
        return
    for inner in value:
        lines = list(_block(inner)) if isinstance(inner, dict | list) and inner else leaf(inner)
        yield f"- {lines[0]}"
        yield from (f"  {line}" if line else line for line in lines[1:])
