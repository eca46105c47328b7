"""Reading answers leniently: GitHub adds fields, leaves out others, and has nulls where its description has none.

What is missing or of another kind than expected is None, or empty; whoever needs it says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from gitrelease.core.names import CommitId
from gitrelease.core.people import Account
from gitrelease.repo import plain

_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOWHERE = "0" * 40


def at(value: object, *path: str) -> object:
    """Give what stands under a path of keys; None where there is no such thing."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, object]", value).get(key)
    return value


def text(value: object, *path: str) -> str:
    """Give a text; empty where there is none."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def number(value: object, *path: str) -> int | None:
    """Give a whole number."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: object, *path: str) -> bool:
    """Say whether something is true; all but true is not."""
    return at(value, *path) is True


def rows(value: object, *path: str) -> Sequence[object]:
    """Give a list; empty where there is none."""
    found = at(value, *path)
    return cast("list[object]", found) if isinstance(found, list) else []


def moment(value: object, *path: str) -> datetime | None:
    """Give a time, in UTC."""
    try:
        read = datetime.fromisoformat(text(value, *path))
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def commit(value: object, *path: str) -> CommitId | None:
    """Give the full id of a commit; forty zeros are none."""
    found = text(value, *path)
    return CommitId(found) if _COMMIT.fullmatch(found) and found != _NOWHERE else None


def rest_account(value: object, *path: str) -> Account:
    """Give who an answer of REST means; an account that is deleted is null there.

    Whatever is not called a user counts as a bot: neither speaks for a person.
    """
    found = at(value, *path)
    return Account(
        id=number(found, "id"),
        login=plain(text(found, "login")) or "ghost",
        is_bot=found is not None and text(found, "type") != "User",
    )


def graph_account(value: object, *path: str) -> Account:
    """Give who an answer of GraphQL means, asked for with `ACTOR`."""
    found = at(value, *path)
    return Account(
        id=number(found, "databaseId"),
        login=plain(text(found, "login")) or "ghost",
        is_bot=found is not None and text(found, "__typename") != "User",
    )
