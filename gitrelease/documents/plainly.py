"""Plainly: the shortest way through a text, for one that is spelled as we and most people spell documents.

It goes line by line: `key: value`, a list's `- `, values in quotes that need no escape, short lists and mappings
in brackets, texts as they are behind a `|`. What it meets besides, it leaves to `passing.py`, which has a parser
for it. So what this lets through has to mean the same there, to the letter; no place is noted, as nearly nobody
asks for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gitrelease.documents.passing import Odd, plain_scalar
from gitrelease.documents.scalars import PLAIN_KEYS, Json

MOST = 64 * 1024
"""Up to how many characters a text is read here; a longer one is no matter of microseconds anyway."""
_DEEPEST = 32

# `key:` with a value behind it or not; what is longer than a line of keys in YAML may be is nobody's key.
_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_./-]{0,254}):(?: (?! )(.*))?")
# What a value without quotes may begin with; all else means something to YAML, at least here and there.
_BEGIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$/(.<+^-")
_DOUBLE = re.compile(r'"([^"\\]*)"')
_SINGLE = re.compile(r"'([^']*)'")
_WORD = r"-?[A-Za-z0-9_$][A-Za-z0-9_$./+-]*"
_LIST = re.compile(rf"\[(?:({_WORD}(?:, {_WORD})*))?\]")
_MAPPING = re.compile(rf"\{{(?:([A-Za-z_][A-Za-z0-9_]*: {_WORD}(?:, [A-Za-z_][A-Za-z0-9_]*: {_WORD})*))?\}}")


def plainly(text: str) -> dict[str, Json] | None:
    """Give what a text holds, or nothing if it has to be looked at more closely."""
    if len(text) > MOST or "\t" in text or not text.endswith("\n"):
        return None
    try:
        return _read(text)
    except Odd:
        return None


def _read(text: str) -> dict[str, Json]:
    root: dict[str, Json] = {}
    # What is open, the innermost last: how far its lines are indented, and the mapping or the list itself.
    around: list[tuple[int, Any]] = []
    indent = 0
    value: Any = root
    # The mapping and the key that still wait for what stands on the lines below.
    waiting: dict[str, Json] | None = None
    name = ""
    lines = iter(text.split("\n"))
    following: list[str] = []
    while (line := following.pop() if following else next(lines, None)) is not None:
        rest = line.lstrip(" ")
        if not rest or rest[0] == "#":
            continue
        here = len(line) - len(rest)
        is_element = rest.startswith("- ")
        if waiting is not None:
            if here > indent:
                around.append((indent, value))
                if len(around) > _DEEPEST:
                    raise Odd
                indent, value = here, [] if is_element else {}
                waiting[name] = value
            elif is_element and here == indent:
                raise Odd  # a list may stand right below its key
            waiting = None
        while here < indent:
            indent, value = around.pop()
        if here != indent or is_element is not (type(value) is list):
            raise Odd
        if is_element:
            rest = rest[2:]
            if _PAIR.fullmatch(rest) is None:
                value.append(_bracketed(rest) if rest.startswith(("[", "{")) else _scalar(rest))
                continue
            around.append((indent, value))
            if len(around) > _DEEPEST:
                raise Odd
            inner: dict[str, Json] = {}
            value.append(inner)
            indent, value = here + 2, inner
        name, found = _pair(rest)
        if name in value:
            raise Odd
        if found is None:
            value[name] = None
            waiting = value
        elif found == "|" or found == "|-":
            value[name] = _literal(lines, indent, following, keeps_end=found == "|")
        else:
            value[name] = _bracketed(found) if isinstance(found, str) else found[0]
    if not root:
        raise Odd
    return root


@lru_cache(maxsize=8192)
def _pair(rest: str) -> tuple[str, tuple[Json] | str | None]:
    """Read a key and, in a tuple, its value; nothing where that is to come, a text where it is to be made.

    The same lines come again and again. Lists and mappings can be changed, and are made each time.
    """
    pair = _PAIR.fullmatch(rest)
    if pair is None:
        raise Odd
    name, written = pair.groups()
    if name not in PLAIN_KEYS and type(plain_scalar(name)) is not str:
        raise Odd
    if not written:
        if written is not None:
            raise Odd
        return name, None
    return name, written if written[0] in "[{|" else (_scalar(written),)


def _scalar(written: str) -> Json:
    """Read a value that stands on one line, and is in no brackets."""
    first = written[:1]
    if first in _BEGIN or first.isalpha():
        bare = written.partition(" #")[0].rstrip(" ")
        if ": " in bare or bare[-1] == ":" or bare[:2] == "- " or bare == "-":
            raise Odd
        return plain_scalar(bare)
    found = _DOUBLE.fullmatch(written) if first == '"' else _SINGLE.fullmatch(written)
    if found is None:
        raise Odd
    return found[1]


def _literal(lines: Iterator[str], around: int, following: list[str], *, keeps_end: bool) -> str:
    """Read a text that stands as it is, deeper than what is around it; the line behind it is left for others."""
    found: list[str] = []
    deep = 0
    for line in lines:
        if not found:
            deep = len(line) - len(line.lstrip(" "))
            if deep <= around or deep == len(line):
                raise Odd
        if line[:deep].strip(" "):
            if len(line) - len(line.lstrip(" ")) > around:
                raise Odd
            following.append(line)
            break
        found.append(line[deep:])
    while found and not found[-1]:
        found.pop()
    return "\n".join(found) + ("\n" if keeps_end and found else "")


def _bracketed(written: str) -> Json:
    if found := _LIST.fullmatch(written):
        return [plain_scalar(word) for word in found[1].split(", ")] if found[1] else []
    if found := _MAPPING.fullmatch(written):
        return _mapping(found[1].split(", ")) if found[1] else {}
    raise Odd


def _mapping(pairs: list[str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for pair in pairs:
        name, _, word = pair.partition(": ")
        if name in found:
            raise Odd
        if name not in PLAIN_KEYS and type(plain_scalar(name)) is not str:
            raise Odd
        found[name] = plain_scalar(word)
    return found
