"""Accepting: whether a value is what its schema asks for, said in microseconds and without a reason.

`jsonschema_rs` says so. It follows JSON Schema to the letter, where `explaining.py` differs in two points, as
our own code does: 1.0 is no whole number, and `\\s` in a pattern is what Python takes for a space. Neither may
make this accept what the other refuses, so patterns are rewritten, and a value with a number like 1.0 in it is
left to the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import NoneType
from typing import Any, NoReturn

from jsonschema_rs import Draft202012Validator, ReferencingError, Registry

from gitrelease.schemas.shipped import kinds, schema

# What Python's `re` takes for a space, as it stands inside of [...].
_SPACES = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def accepts(kind: str, value: object) -> bool:
    """Say whether a value is right for sure; where this says no, it may still be right."""
    if _holds_doubtful_number(value):
        return False
    try:
        return _validator(kind).is_valid(value)
    except ValueError:  # half a character, or a number that no JSON holds: whoever explains has words for it
        return False


def follows(own: Mapping[str, object], value: Mapping[str, object]) -> bool:
    """Say whether a value follows a schema of somebody else's for sure."""
    if _holds_doubtful_number(value):
        return False
    try:
        return Draft202012Validator(_portable(own), retriever=_fetch_nothing).is_valid(dict(value))
    except (ValueError, ReferencingError):
        return False


def _fetch_nothing(uri: str) -> NoReturn:
    raise ValueError(f"{uri} is not fetched")


@cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(_portable(schema(kind)), registry=_registry())


@cache
def _registry() -> Registry:
    return Registry([(schema(kind)["$id"], _portable(schema(kind))) for kind in kinds()])


def _portable(part: Any) -> Any:
    """Copy a schema, with patterns that mean the same to every reader."""
    if isinstance(part, Mapping):
        return {
            name: inner.replace(r"\s", _SPACES)
            if name == "pattern" and isinstance(inner, str)
            else _portable(inner)
            for name, inner in part.items()
        }
    return [_portable(inner) for inner in part] if isinstance(part, list) else part


def _holds_doubtful_number(value: object) -> bool:
    """Say whether there is a number in a value that is whole to some readers only."""
    waiting: list[object] = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, float) and found.is_integer():
            return True
        parts: Iterable[object] = ()
        if isinstance(found, dict | Mapping):
            parts = found.values()
        elif isinstance(found, list | tuple):
            parts = found
        # Nearly all are no such number by their type; this is asked of every value of every document.
        waiting += [part for part in parts if type(part) not in _CLEAR]
    return False


_CLEAR = frozenset({str, int, bool, NoneType})
