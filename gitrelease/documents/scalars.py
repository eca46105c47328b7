"""Scalars: which unquoted text means what, and how a text is written so that it stays text.

Reading and writing ask the same questions here, so that neither can drift from the other.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1

JSON_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
WORDS = {"true": True, "false": False, "null": None, "": None}
PLAIN_KEYS = frozenset({"y", "Y", "n", "N"})
"""True and false to some readers, but not as a key: `y` is what every canvas calls its other axis."""

# What YAML 1.1 or 1.2, or a loader people use, takes for something other than text.
_TRUTH = frozenset(
    form
    for word in ("y", "n", "yes", "no", "on", "off", "true", "false")
    for form in (word, word.title(), word.upper())
)
_NOTHING = frozenset({"~", "Null", "NULL"})
_OTHER_NUMBER = re.compile(
    r"""[-+]?(?:
        0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-fA-F_]+            # 0b1, 0o7, 0x1F
        | [0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?     # 12:30, to base sixty
        | [0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?  # 0123, 1_000, +1, 1.
        | \.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?              # .5
        | \.(?:inf|Inf|INF|nan|NaN|NAN)
    )""",
    re.VERBOSE,
)
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?"
    r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?"
)


def misread(text: str) -> str | None:
    """Say what other readers could take an unquoted text for, or nothing if all of them see text."""
    if text in _TRUTH:
        return "true or false"
    if text in _NOTHING:
        return "null"
    if text in {"=", "<<"}:
        return "an instruction"
    if text[0] in "0123456789.+-":
        if _OTHER_NUMBER.fullmatch(text):
            return "a number"
        if _DATE.fullmatch(text):
            return "a date"
    return None


def has_surrogate(text: str) -> bool:
    """Say whether a text holds half a character, which UTF-8 has no bytes for."""
    return not text.isascii() and _SURROGATE.search(text) is not None


# Writing.

_SURROGATE = re.compile("[\ud800-\udfff]")

_ESCAPED = re.compile(
    '["\\\\\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff'
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_FIRST_OF_SYNTAX = frozenset("-?:,[]{}#&*!|>'\"%@`")


def quoted(text: str) -> str:
    """Write a text in double quotes, as YAML and JSON do, with every character visible or escaped."""

    def escape(match: re.Match[str]) -> str:
        character = match.group()
        code = ord(character)
        return _SHORT.get(character) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")

    return f'"{_ESCAPED.sub(escape, text)}"'


def leaf(value: Json) -> list[str]:
    """Give the lines of a value that has no parts."""
    match value:
        case str():
            return _text(value)
        case None | bool() | int() | float():
            return [json.dumps(value)]
        case _:
            return ["[]" if isinstance(value, list) else "{}"]


def _text(text: str) -> list[str]:
    if is_plain(text):
        return [text]
    unseen = _unseen(text)
    if "\n" in text and not unseen - {"\n", "\t"} and _suits_literal(text):
        indicator = "2" if text[0] in " \t" else ""  # else the first line would say how deep all lines are
        chomping = "" if text.endswith("\n") else "-"
        return [f"|{indicator}{chomping}", *text.removesuffix("\n").split("\n")]
    if not unseen and "'" not in text and ('"' in text or "\\" in text):
        return [f"'{text}'"]
    return [quoted(text)]


def _unseen(text: str) -> set[str]:
    """Give the characters of a text that people cannot see, or cannot tell from others."""
    return set(_ESCAPED.findall(text)) - {'"', "\\"}


def _suits_literal(text: str) -> bool:
    """Say whether a text can stand as a literal block: no reader may drop a line at either end."""
    first, _, _ = text.partition("\n")
    last = text.removesuffix("\n").rpartition("\n")[2]
    return bool(first.strip(" \t")) and bool(last.strip(" \t"))


def is_plain(text: str) -> bool:
    """Say whether a text can stand without quotes and is text to every reader."""
    return (
        bool(text)
        and text == text.strip()
        and text[0] not in _FIRST_OF_SYNTAX
        and not text.startswith("...")
        and not text.endswith(":")
        and ": " not in text
        and " #" not in text
        and not _unseen(text)
        and text not in WORDS
        and not JSON_NUMBER.fullmatch(text)
        and misread(text) is None
    )
