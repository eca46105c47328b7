"""What gitrelease writes into commit messages: one line for people, then the value itself as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from gitrelease.errors import GitReleaseError

Parsed = TypeVar("Parsed")


class MessageRefused(GitReleaseError):
    """A commit that should carry a value of ours does not."""

    code = "message-refused"


def message_of(subject: str, document: Mapping[str, object], *, words: str = "") -> str:
    """Write a commit message: the subject, what somebody said about it if anything, and the value."""
    value = json.dumps(document, ensure_ascii=False, indent=1)
    parts = [subject, *([words] if words else []), value]
    return "\n\n".join(parts) + "\n"


def read_message(message: str, parse: Callable[[Mapping[str, object]], Parsed], *, of: str) -> Parsed:
    """Read the value of a commit message.

    Raises:
        MessageRefused: there is none, or it is not what `parse` takes; `of` says in the message where.
    """
    start = 0 if message.startswith("{") else message.rfind("\n\n{") + 2
    if not message[start:].startswith("{"):
        raise MessageRefused(f"{of} carries no value of gitrelease")
    try:
        value = json.loads(message[start:], object_pairs_hook=_once, parse_constant=_no_constant)
        return parse(cast("Mapping[str, object]", value))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, GitReleaseError) as wrong:
        raise MessageRefused(f"{of} carries a value that gitrelease cannot read ({wrong})") from wrong


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key that stands twice: two readers could take different ones."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")
