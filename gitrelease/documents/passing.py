"""Passing: the short way through a text that nothing is wrong with, which is nearly every text.

It takes the parser's events as `composing.py` does, and builds the same values, but at the first sign of
anything unusual it gives up, without a word. The long way then starts over and finds out whether something is
wrong, and says so. So what this way lets through has to be right to the letter; what it does not, costs time.
A place is not noted but left in its event, until somebody asks for it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import yaml

from gitrelease.documents.document import MOST_DEPTH, MOST_NODES, Spot
from gitrelease.documents.scalars import (
    JSON_INTEGER,
    JSON_NUMBER,
    LEAST_INTEGER,
    MOST_INTEGER,
    PLAIN_KEYS,
    WORDS,
    Json,
    has_surrogate,
    misread,
)

Loader: TypeAlias = "type[yaml.CSafeLoader] | type[yaml.SafeLoader]"

_Parts: TypeAlias = "dict[str | int, _Raw]"
_Raw: TypeAlias = "tuple[Any, Any, Any, _Parts | None]"
"""The events that a value begins and ends with, the event of its key, and its parts."""

_REMEMBERED = 64
"""Texts up to this length come again and again: keys, types, numbers."""


class Odd(Exception):
    """Something here needs a closer look."""


class _LazyParts(Mapping[str | int, Spot]):
    """The places of the parts of a mapping or a list, each read off its events when it is asked for."""

    def __init__(self, parts: _Parts) -> None:
        self._parts = parts

    def __getitem__(self, key: str | int) -> Spot:
        return _spot(self._parts[key])

    def __iter__(self) -> Iterator[str | int]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _spot(raw: _Raw) -> Spot:
    first, last, key, parts = raw
    start, end = first.start_mark, last.end_mark
    return Spot(
        line=start.line,
        column=start.column,
        start=start.index,
        end=end.index,
        one_line_scalar=parts is None and start.line == end.line,
        flow=parts is not None and bool(first.flow_style),
        key=None if key is None else (key.start_mark.line, key.start_mark.column),
        parts={} if parts is None else _LazyParts(parts),
    )


def passed(text: str, loader: Loader) -> tuple[dict[str, Json], Spot] | None:
    """Give what a text holds and where, or nothing if it has to be looked at more closely."""
    # Tabs are fine inside of quotes, and a line that begins with % inside of a block of text: rare enough.
    if "\t" in text or text.startswith("%") or "\n%" in text:
        return None
    parser = loader(text)
    try:
        return _compose(parser)
    except (Odd, yaml.YAMLError, ValueError, OverflowError):
        return None
    finally:
        parser.dispose()


def _compose(parser: yaml.CSafeLoader | yaml.SafeLoader) -> tuple[dict[str, Json], Spot]:
    """Put the events together. One loop with everything in it: it turns hundreds of times for each document."""
    take: Callable[[], Any] = parser.get_event
    begin_mapping, begin_list, scalar = yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.ScalarEvent
    ends = (yaml.MappingEndEvent, yaml.SequenceEndEvent)
    take()  # the stream begins
    take()  # the document begins
    first = take()
    if type(first) is not begin_mapping or first.anchor is not None or first.tag is not None:
        raise Odd
    nodes, spelled_in_ascii = 1, True
    # The innermost mapping or list, and for each around it what is set aside meanwhile.
    value: Any = {}
    parts: _Parts = {}
    key: str | None = None
    key_event: Any = None
    around: list[tuple[Any, _Parts, str | None, Any, Any]] = []
    in_mapping = True
    while True:
        event = take()
        kind = type(event)
        if kind is scalar:
            nodes += 1
            if event.anchor is not None or event.tag is not None or nodes > MOST_NODES:
                raise Odd
            found: Any = event.value
            if not event.implicit[0]:
                if not found.isascii() and has_surrogate(found):
                    raise Odd
            elif len(found) > _REMEMBERED:
                found = _plain(found)
            elif not in_mapping or key is not None or found not in PLAIN_KEYS:
                found = _remembered(found)
            if not in_mapping:
                parts[len(value)] = (event, event, None, None)
                value.append(found)
            elif key is None:
                if type(found) is not str or found in value:
                    raise Odd
                spelled_in_ascii = spelled_in_ascii and found.isascii()
                key, key_event = found, event
            else:
                value[key] = found
                parts[key] = (event, event, key_event, None)
                key = None
        elif kind is begin_mapping or kind is begin_list:
            nodes += 1
            if event.anchor is not None or event.tag is not None or nodes > MOST_NODES:
                raise Odd
            if (in_mapping and key is None) or len(around) == MOST_DEPTH - 1:
                raise Odd
            around.append((value, parts, key, key_event, first))
            in_mapping = kind is begin_mapping
            value, parts, key, first = {} if in_mapping else [], {}, None, event
        elif kind in ends:
            if in_mapping and not spelled_in_ascii:
                _refuse_two_spellings(value)
            if not around:
                break
            inner, inner_parts, inner_first = value, parts, first
            value, parts, key, key_event, first = around.pop()
            in_mapping = key is not None
            if key is not None:
                value[key] = inner
                parts[key] = (inner_first, event, key_event, inner_parts)
                key = None
            else:
                parts[len(value)] = (inner_first, event, None, inner_parts)
                value.append(inner)
        else:  # an alias
            raise Odd
    take()  # the document ends
    if type(take()) is not yaml.StreamEndEvent:
        raise Odd
    return value, _spot((first, event, None, parts))


def _refuse_two_spellings(mapping: Mapping[str, object]) -> None:
    if len({unicodedata.normalize("NFC", name) for name in mapping}) != len(mapping):
        raise Odd


def _plain(text: str) -> Json:
    """Read an unquoted scalar as JSON would; what only some readers would take for text is odd."""
    if text in WORDS:
        return WORDS[text]
    if JSON_INTEGER.fullmatch(text):
        if len(text) <= 20 and LEAST_INTEGER <= int(text) <= MOST_INTEGER:
            return int(text)
        raise Odd
    if JSON_NUMBER.fullmatch(text):
        if math.isfinite(float(text)):
            return float(text)
        raise Odd
    if misread(text):
        raise Odd
    return text


_remembered = lru_cache(maxsize=8192)(_plain)


def plain_scalar(text: str) -> Json:
    """Read an unquoted value.

    Raises:
        Odd: not every reader takes it for the same.
    """
    return _remembered(text) if len(text) <= _REMEMBERED else _plain(text)
