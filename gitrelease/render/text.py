"""Text for terminals: nothing that a terminal obeys, as wide as it looks, in colours that mean something."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache

from gitrelease.core.values import frozen

_URL_SECRET = re.compile(r"(?<=://)[^/@\s]+@")
# Controls, formatting (bidi, zero width), lone surrogates, and separators of lines and paragraphs.
_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Not assigned, and hidden all the same: they stand between formatting characters.
_HIDDEN = re.compile("[\u2065\U000e0000-\U000e007f]")
ELLIPSIS = "…"


# Safety (pitfalls P20 and P22).


def clean(text: object) -> str:
    """Make text of others fit for one line: what a terminal would obey, or hide, is spelled out."""
    return _clean(str(text), keep="")


def clean_lines(text: str) -> str:
    """Make text of others fit for a terminal, line ends and tabs kept."""
    return _clean(text.replace("\r\n", "\n"), keep="\n\t")


def _clean(text: str, *, keep: str) -> str:
    if "://" in text:
        text = _URL_SECRET.sub("", text)
    if text.isprintable():
        return text
    return "".join(spelled_out(one) if is_obeyed(one) and one not in keep else one for one in text)


def is_obeyed(character: str) -> bool:
    """Say whether a terminal does something with a character, or hides it, where people expect to see it."""
    return unicodedata.category(character) in _OBEYED or _HIDDEN.fullmatch(character) is not None


def spelled_out(character: str) -> str:
    r"""Write a character as `\x1b`, `\u202e` or `\U000e0041`."""
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Width.


def width(text: str) -> int:
    """Say how many columns a text takes: ideographs take two, marks that combine take none."""
    return len(text) if text.isascii() else sum(_columns(one) for one in text)


@lru_cache(maxsize=4096)
def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Cut a text to so many columns; what was cut shows as an ellipsis."""
    if width(text) <= columns:
        return text
    taken, kept = 0, []
    for one in text:
        taken += _columns(one)
        if taken > columns - 1:
            break
        kept.append(one)
    return "".join(kept) + ELLIPSIS


# Colour, by meaning.


class Tone(Enum):
    """What a text means, which decides its colour; the text itself says it as well."""

    GOOD = "good"
    BAD = "bad"
    WAITING = "waiting"
    CHANGED = "changed"
    STRONG = "strong"
    DIM = "dim"


_COLOURS = {
    Tone.GOOD: "32",
    Tone.BAD: "31",
    Tone.WAITING: "33",
    Tone.CHANGED: "36",
    Tone.STRONG: "1",
    Tone.DIM: "2",
}


@frozen
class Paper:
    """What is written on: how wide it is, whether it takes colours, and what time it is there."""

    now: datetime
    """With the offset that times are to be shown in."""
    width: int | None = None
    """None where there is no terminal: then nothing is cut, and times are written in full."""
    colour: bool = False

    def paint(self, text: str, tone: Tone | None) -> str:
        """Colour a text, if there are colours here."""
        if tone is None or not self.colour or not text:
            return text
        return f"\x1b[{_COLOURS[tone]}m{text}\x1b[0m"

    def fit(self, text: str, indent: int = 0) -> str:
        """Cut a line to the width there is."""
        return text if self.width is None else fit(text, max(1, self.width - indent))

    def time(self, at: datetime | None) -> str:
        """Write a time in full, and how long ago that was where somebody reads it now."""
        if at is None:
            return "-"
        full = absolute(at, self.now)
        return full if self.width is None else f"{full} ({relative(at, self.now)})"

    def short_time(self, at: datetime | None) -> str:
        """Write a time for a table."""
        if at is None:
            return "-"
        return absolute(at, self.now) if self.width is None else brief(at, self.now)


# Times.


def absolute(at: datetime, now: datetime) -> str:
    """Write a time to the minute, in the offset of `now`."""
    here = at if at.tzinfo else at.replace(tzinfo=UTC)
    with suppress(OverflowError):  # the first and the last day that there is have no other offset
        here = here.astimezone(now.tzinfo)
    offset = "UTC" if here.utcoffset() == timedelta(0) else here.isoformat()[-6:]
    return f"{here:%Y-%m-%d %H:%M} {offset}"


def relative(at: datetime, now: datetime) -> str:
    """Say how long ago something was; what is long ago, or not yet, is given by its date."""
    seconds = (now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds()
    if -60 < seconds < 60:
        return "just now"
    for size, most, unit in ((60, 60, "minute"), (3600, 24, "hour"), (86400, 30, "day")):
        if 0 < seconds < size * most:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return absolute(at, now)


def brief(at: datetime, now: datetime) -> str:
    """Say how long ago something was in the few columns of a table: `3h ago`."""
    said = relative(at, now)
    number, unit, *ago = said.split(" ", 2)
    if ago == ["ago"]:
        return f"{number}{unit[0]} ago"
    return "now" if said == "just now" else number


# Sentences.


def count(number: int, noun: str, nouns: str | None = None) -> str:
    """Write a number of things: `1 item`, `2 items`."""
    return f"{number} {noun if number == 1 else nouns or noun + 's'}"


def listed(texts: Iterable[object]) -> str:
    """Write things after each other, made safe."""
    return ", ".join(clean(text) for text in texts)


def next_step(paper: Paper, command: str, why: str = "") -> str:
    """Say what to do next."""
    return f"{paper.paint('next:', Tone.STRONG)} {command}" + (f"  ({why})" if why else "")


def page(*parts: str) -> str:
    """Put parts of an output together, an empty line between them; empty parts are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip("\n")) + "\n"


def error_text(message: str, hint: str | None, paper: Paper) -> str:
    """Write what went wrong the one way it looks everywhere."""
    lines = f"{paper.paint('error:', Tone.BAD)} {clean_lines(message)}\n"
    return lines + (f"{paper.paint('hint:', Tone.STRONG)} {clean_lines(hint)}\n" if hint else "")
