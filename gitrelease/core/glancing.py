"""What two texts show without being read as documents: how many lines differ, and often that they mean another thing.

To read a document takes a hundred times as long. Nothing here guesses: where it is
not plain to see, both have to be read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from itertools import islice

from gitrelease.core.job import MEANS_NOTHING
from gitrelease.core.patch import CONTEXT, MOST_CHARACTERS, lines_of, patch_of
from gitrelease.core.values import frozen

MOST_LINES = 1000
"""Of more lines than these the patch itself says whether it counts them."""

# Lines like these say their one value in full, whatever they stand in: in a mapping, in a list, or in a text.
_LINE = re.compile(
    r" *(?:- +)*(?P<key>[A-Za-z_][\w-]*): +"
    r"(?:\"(?P<double>[^\"\\\n]*)\"|'(?P<single>[^'\n]*)'"
    r"|(?P<word>[A-Za-z][^\n#:\[\]{}&*!|>%@`\"',\\]*?)|(?P<number>0|[1-9][0-9]*)) *\n?"
)
_BLANK = re.compile(r" *(?:#.*)?\n?")
_UNHEEDED = MEANS_NOTHING | {"version", "directory"}
"""Keys whose values may change without the meaning: they do not count, or are set elsewhere."""
_NAMES = rf"(?:x-)?(?:{'|'.join(sorted(_UNHEEDED))})"
_HEAD = re.compile(rf"(?P<lead>[ -]*)[\"']?(?P<unheeded>{_NAMES}[\"']?\s*:)?")
# Where a value goes on over several lines whatever their indentation, or a key is written oddly.
_OPEN = re.compile(
    r"[\[{\"'](?<![^\s:-].)(?:(?<=\{)[^}\n]*|(?<=\[)[^\]\n]*|(?<=\")[^\"\n]*|(?<=')[^'\n]*)$", re.MULTILINE
)
_ODD_KEY = re.compile(r"\\[^\"\n]*\"\s*:|^[ -]*\?", re.MULTILINE)


@frozen
class Glimpse:
    """What was plain to see of two texts that differ."""

    added: int | None
    """How many lines their patch adds and deletes; None where it is not written line by line."""
    deleted: int | None
    surely_differ: bool
    """Whether they mean different things as documents, for all that can be seen; if not, they may all the same."""


def glimpse(path: str, before: bytes, after: bytes) -> Glimpse:
    """Compare two texts of a file.

    They mean different things where all that changed are lines that name a key and give its value, and the values
    are not the same ones, in whichever order.
    """
    try:
        old, new = before.decode(), after.decode()
    except UnicodeDecodeError:
        return Glimpse(added=None, deleted=None, surely_differ=False)
    start, old_end, new_end = _between(old, new)
    above, gone, come = lines_of(old[:start]), lines_of(old[start:old_end]), lines_of(new[start:new_end])
    changed = [*gone, *come]
    around = [*above[-CONTEXT:], *islice(StringIO(old[old_end:], newline="\n"), CONTEXT)]
    # Where no line is there twice, there is but one way to match the rest.
    is_plain = len({*changed, *around}) == len(changed) + len(around) <= MOST_LINES
    if is_plain and sum(map(len, changed)) <= MOST_CHARACTERS:
        added: int | None = len(come)
        deleted: int | None = len(gone)
    else:
        patch = patch_of({path: before}, {path: after})
        added, deleted = patch.added, patch.deleted
    return Glimpse(added=added, deleted=deleted, surely_differ=_surely_differ(above, gone, come))


def _between(old: str, new: str) -> tuple[int, int, int]:
    """Say where the lines begin that two texts do not begin with alike, and where in each those end that they do not
    end with alike.
    """
    start = old.rfind("\n", 0, _alike(old, new)) + 1
    alike = _alike(old[start:][::-1], new[start:][::-1])
    ends = len(old) - alike, len(new) - alike
    if not all(end == start or text[end - 1] == "\n" for text, end in zip((old, new), ends, strict=True)):
        alike -= (old.find("\n", ends[0]) + 1 or len(old)) - ends[0]
    return start, len(old) - alike, len(new) - alike


def _alike(one: str, other: str) -> int:
    """Count the characters that two texts begin with alike."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[least:middle] == other[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _surely_differ(above: Sequence[str], gone: Sequence[str], come: Sequence[str]) -> bool:
    before, after = _values(above, gone), _values(above, come)
    if before is None or after is None or before == after:
        return False
    return not _is_odd("".join(above))  # what changed is not, and what follows it changes nothing about it


def _is_odd(text: str) -> bool:
    may_be = "\\" in text or "? " in text or "?\n" in text
    return bool(_OPEN.search(text) or (may_be and _ODD_KEY.search(text)))


def _values(above: Sequence[str], lines: Sequence[str]) -> list[tuple[str, str, bool]] | None:
    """Give the keys and values of some lines, sorted, and whether each is a text; None where a line says something
    else.
    """
    found = []
    for n, line in enumerate(lines):
        said = _LINE.fullmatch(line)
        if said is None:
            if _BLANK.fullmatch(line) is None:
                return None
            continue
        key = said["key"].removeprefix("x-")
        if key in _UNHEEDED or key == "type":  # a parameter's type may be left out
            continue
        if _is_below_unheeded([*above, *lines[:n]], line):
            return None
        word = said["word"]
        text = next(value for value in said.group("double", "single", "word", "number") if value is not None)
        is_text = said["number"] is None and word not in {"true", "false", "null"}
        found.append((key, text, is_text))
    return sorted(found)


def _is_below_unheeded(above: Sequence[str], line: str) -> bool:
    """Say whether a line is part of a value that does not count: indentation tells what it is below."""
    column, level = _place(line)
    for before in reversed(above):
        if level == 0:
            break
        text = before.lstrip(" ")
        start = 2 * (len(before) - len(text)) + text.startswith("-")
        if start >= level or text.startswith(("#", "\n")):
            continue
        head = _HEAD.match(before)
        if head is not None and head["unheeded"] and _place(before)[0] < column:
            return True
        level, column = start, min(column, start // 2 + 1)
    return False


def _place(line: str) -> tuple[int, int]:
    """Say in which column the key of a line is, and how deep the line is: an element of a list is in its key."""
    text = line.lstrip(" ")
    indent = len(line) - len(text)
    return len(line) - len(line.lstrip(" -")), 2 * indent + text.startswith("-")
