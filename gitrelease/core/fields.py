"""Fields: how a document that passed its schema becomes a value, or a sentence that says where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from gitrelease.core.finding import Key, Problem, key_text
from gitrelease.errors import GitReleaseError

Choice = TypeVar("Choice", bound=StrEnum)


class Malformed(GitReleaseError):
    """A document does not have the shape of its kind. The schema says so first, with the line."""

    code = "malformed"

    def __init__(self, key: Key, message: str) -> None:
        where = key_text(key)
        super().__init__(f"{where}: {message}" if where else message)
        self.problem = Problem(code=self.code, key=key, message=message)


class Fields:
    """A mapping that is being read, and the way to it; a wrong type raises `Malformed` with its key."""

    def __init__(self, value: object, key: Key = ()) -> None:
        if not isinstance(value, Mapping):
            raise Malformed(key, f"is {_a(value)}, not a mapping")
        self.value: Mapping[object, object] = value
        self.key = key

    def __contains__(self, name: str) -> bool:
        return self.value.get(name) is not None

    def whole(self, *names: str) -> Fields:
        """Give it back if it has all of these keys, be it with nothing: what we write ourselves lacks none."""
        for name in names:
            if name not in self.value:
                raise Malformed(self.key, f"has no {name!r}")
        return self

    def text(self, name: str, default: str | None = None) -> str:
        """Give a text; without a default it has to be there."""
        found = self.optional(name)
        if found is None:
            if default is None:
                raise Malformed(self.key, f"has no {name!r}")
            return default
        return found

    def optional(self, name: str) -> str | None:
        """Give a text, or nothing where there is none."""
        found = self.value.get(name)
        if found is not None and not isinstance(found, str):
            raise Malformed((*self.key, name), f"is {_a(found)}, not a text")
        return found

    def integer(self, name: str) -> int | None:
        """Give a whole number, or nothing where there is none."""
        found = self.value.get(name)
        if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
            raise Malformed((*self.key, name), f"is {_a(found)}, not a whole number")
        return found

    def number(self, name: str, default: int | None = None) -> int:
        """Give a whole number; without a default it has to be there."""
        found = self.integer(name)
        if found is None:
            if default is None:
                raise Malformed(self.key, f"has no {name!r}")
            return default
        return found

    def truth(self, name: str, *, default: bool = False) -> bool:
        """Give a truth value; what is not there is the default."""
        found = self.value.get(name)
        if found is None:
            return default
        if not isinstance(found, bool):
            raise Malformed((*self.key, name), f"is {_a(found)}, neither true nor false")
        return found

    def choice(self, name: str, of: type[Choice], default: Choice | None = None) -> Choice:
        """Give a member of an enumeration."""
        found = self.text(name, None if default is None else default.value)
        return _choice(found, of, (*self.key, name))

    def time(self, name: str) -> datetime:
        """Give a time, in UTC."""
        found = self.optional_time(name)
        if found is None:
            raise Malformed(self.key, f"has no {name!r}")
        return found

    def optional_time(self, name: str) -> datetime | None:
        """Give a time, in UTC, or nothing where there is none."""
        found = self.optional(name)
        return None if found is None else _time(found, (*self.key, name))

    def times(self, name: str) -> tuple[datetime, ...]:
        """Give a list of times, in UTC."""
        return tuple(_time(_text(value, key), key) for key, value in self.items(name))

    def choices(self, name: str, of: type[Choice]) -> tuple[Choice, ...]:
        """Give a list of members of an enumeration."""
        return tuple(_choice(_text(value, key), of, key) for key, value in self.items(name))

    def fields(self, name: str) -> Fields | None:
        """Give a mapping inside, or nothing where there is none."""
        return Fields(self.value[name], (*self.key, name)) if name in self else None

    def inside(self, name: str) -> Fields:
        """Give a mapping inside; where there is none, an empty one."""
        return self.fields(name) or Fields({}, (*self.key, name))

    def each(self, name: str) -> Iterator[Fields]:
        """Give the mappings that a list holds."""
        return (Fields(value, key) for key, value in self.items(name))

    def items(self, name: str) -> list[tuple[Key, object]]:
        """Give what a list holds, each with its key; no list is an empty one."""
        found = self.value.get(name)
        if found is None:
            return []
        if not isinstance(found, Sequence) or isinstance(found, str | bytes):
            raise Malformed((*self.key, name), f"is {_a(found)}, not a list")
        return [((*self.key, name, n), value) for n, value in enumerate(found)]

    def texts(self, name: str, *, at_least_one: bool = False) -> tuple[str, ...]:
        """Give a list of texts."""
        found = tuple(_text(value, key) for key, value in self.items(name))
        if at_least_one and not found:
            raise Malformed(self.key, f"has no {name!r}")
        return found

    def entries(self) -> Iterator[tuple[str, Key, object]]:
        """Give what the mapping holds, with the key of each."""
        for name, value in self.value.items():
            if not isinstance(name, str):
                raise Malformed(self.key, f"has {_a(name)} as a key, not a text")
            yield name, (*self.key, name), value


def _a(value: object) -> str:
    """Name the type of a value in the words of YAML."""
    match value:
        case None:
            return "empty"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
    return "something else"


def _text(value: object, key: Key) -> str:
    if not isinstance(value, str):
        raise Malformed(key, f"is {_a(value)}, not a text")
    return value


def _choice(text: str, of: type[Choice], key: Key) -> Choice:
    try:
        return of(text)
    except ValueError:
        raise Malformed(key, f"is {text!r}, which is none of {', '.join(of)}") from None


def _time(text: str, key: Key) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise Malformed(key, f"is {text!r}, a time without an offset")
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(key, f"is {text!r}, which is no time") from None
    if at.year < 1970:
        raise Malformed(key, f"is {text!r}, which is before there was git")
    return at
