"""What gitrelease keeps in git for itself: values as JSON, in the messages of commits and in files.

A message is one line for people, what somebody said if anything, and then the value, which has a schema. A file
holds the value alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from gitrelease.errors import GitReleaseError
from gitrelease.repo import plain
from gitrelease.schemas import value_problems

Parsed = TypeVar("Parsed")

_MAYBE_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class MessageRefused(GitReleaseError):
    """A commit or a file that should carry a value of ours does not."""

    code = "message-refused"


def message_of(subject: str, document: Mapping[str, object], *, words: str = "") -> str:
    """Write a commit message: the subject, what somebody said about it if anything, and the value."""
    parts = [subject, *([words] if words else []), _text(document)]
    return "\n\n".join(parts) + "\n"


def read_message(
    message: str, kind: str, parse: Callable[[Mapping[str, object]], Parsed], *, of: str
) -> Parsed:
    """Read the value of a commit message.

    Args:
        message: the message.
        kind: of which kind the value is, as `schemas` knows it.
        parse: makes the value of what its schema allows.
        of: what the commit is, for whoever cannot read it.

    Raises:
        MessageRefused: there is none, or it is not what its schema allows.
    """
    start = 0 if message.startswith("{") else message.rfind("\n\n{") + 2
    if not message[start:].startswith("{"):
        raise MessageRefused(f"{of} carries no value of gitrelease")

    def checked(value: Mapping[str, object]) -> Parsed:
        if problems := value_problems(value, kind):
            raise MessageRefused(problems[0].message)
        return parse(value)

    return _read(message[start:], checked, of=of)


def value_bytes(document: Mapping[str, object]) -> bytes:
    """Write a value as a file that only gitrelease reads, in one spelling."""
    return (_text(document) + "\n").encode()


def read_value(data: bytes, parse: Callable[[Mapping[str, object]], Parsed], *, of: str) -> Parsed:
    """Read the value that a file holds.

    Raises:
        MessageRefused: it holds none, or not what `parse` takes; `of` says in the message where.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as wrong:
        raise MessageRefused(f"{of} is no UTF-8") from wrong
    return _read(text, parse, of=of)


def _text(document: Mapping[str, object]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1)


def _read(text: str, parse: Callable[[Mapping[str, object]], Parsed], *, of: str) -> Parsed:
    try:
        value = strict_json(text)
        if _MAYBE_HALF.search(text):
            _check_halves(value)
        return parse(cast("Mapping[str, object]", value))
    except (ValueError, RecursionError, GitReleaseError) as wrong:
        raise MessageRefused(f"{of} carries a value that gitrelease cannot read ({wrong})") from wrong


def _check_halves(value: object) -> None:
    """Refuse a value with half a character in it, which has no bytes and could not be kept."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as wrong:
        half = f"\\u{ord(wrong.object[wrong.start]):04x}"
        raise ValueError(f"{half} is half a character") from wrong


def strict_json(text: str) -> object:
    """Read JSON that every reader takes for the same: no key stands twice, and NaN is no number.

    Raises:
        ValueError: it is not.
        RecursionError: it is nested too deeply.
    """
    return cast("object", json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant))


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"the key {plain(twice)!r} stands twice")
    return value


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no number in JSON")
