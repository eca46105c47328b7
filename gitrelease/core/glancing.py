"""What two texts show without being read as documents: how many lines differ, and often that they mean another thing.

To read a document takes a hundred times as long. Nothing here guesses: where it is
not plain to see, both have to be read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from gitrelease.core.job import MEANS_NOTHING
from gitrelease.core.patch import CONTEXT, MOST_CHARACTERS, alike, lines_of, patch_of
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
        old, new = lines_of(before), lines_of(after)
    except UnicodeDecodeError:
        return Glimpse(added=None, deleted=None, surely_differ=False)
    start, end = alike(old, new)
    gone, come = range(start, len(old) - end), range(start, len(new) - end)
    changed = [*(old[n] for n in gone), *(new[n] for n in come)]
    around = [*old[max(0, start - CONTEXT) : start], *old[len(old) - end :][:CONTEXT]]
    # Where no line is there twice, there is but one way to match the rest.
    is_plain = len({*changed, *around}) == len(changed) + len(around) <= MOST_LINES
    if is_plain and sum(map(len, changed)) <= MOST_CHARACTERS:
        added: int | None = len(come)
        deleted: int | None = len(gone)
    else:
        patch = patch_of({path: before}, {path: after})
        added, deleted = patch.added, patch.deleted
    return Glimpse(added=added, deleted=deleted, surely_differ=_surely_differ(old, gone, new, come))


def _surely_differ(old: Sequence[str], gone: Iterable[int], new: Sequence[str], come: Iterable[int]) -> bool:
    before, after = _values(old, gone), _values(new, come)
    if before is None or after is None or before == after:
        return False
    return not _is_odd("".join(old))  # what changed is not, so what came is not either


def _is_odd(text: str) -> bool:
    may_be = "\\" in text or "? " in text or "?\n" in text
    return bool(_OPEN.search(text) or (may_be and _ODD_KEY.search(text)))


def _values(lines: Sequence[str], places: Iterable[int]) -> Counter[tuple[str, str, bool]] | None:
    """Give the keys and values of some lines, and whether each is a text; None where a line says something else."""
    found: Counter[tuple[str, str, bool]] = Counter()
    for n in places:
        said = _LINE.fullmatch(lines[n])
        if said is None:
            if _BLANK.fullmatch(lines[n]) is None:
                return None
            continue
        key = said["key"].removeprefix("x-")
        if key in _UNHEEDED or key == "type":  # a parameter's type may be left out
            continue
        if _is_below_unheeded(lines, n):
            return None
        word = said["word"]
        text = next(value for value in said.group("double", "single", "word", "number") if value is not None)
        is_text = said["number"] is None and word not in {"true", "false", "null"}
        found[key, text, is_text] += 1
    return found


def _is_below_unheeded(lines: Sequence[str], at: int) -> bool:
    """Say whether a line is part of a value that does not count: indentation tells what it is below."""
    column, level = _place(lines[at])
    while level > 0 and at > 0:
        at -= 1
        if _BLANK.fullmatch(lines[at]):
            continue
        above, start = _place(lines[at])
        if start < level:
            head = _HEAD.match(lines[at])
            if head is not None and head["unheeded"] and above < column:
                return True
            level, column = start, min(column, start // 2 + 1)
    return False


def _place(line: str) -> tuple[int, int]:
    """Say in which column the key of a line is, and how deep the line is: an element of a list is in its key."""
    text = line.lstrip(" ")
    indent = len(line) - len(text)
    return len(line) - len(line.lstrip(" -")), 2 * indent + text.startswith("-")
