"""Search by name, the way people type: a few letters of each word, in any order, with a mistake or two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from gitrelease.core.names import fold

_SEPARATORS = re.compile(r"[-_./\s]+")

# What a way of matching costs; a name costs the sum over the words of the query.
_WHOLE_NAME, _NAME_START, _WHOLE_PART, _PART_START, _INSIDE = range(5)
_TYPO = 20
_LETTERS_LEFT_OUT = 40


def rank(query: str, names: Iterable[str]) -> list[str]:
    """Give the names that match, the best first; all of them, as they come, when nothing is asked for.

    Every word of the query must match: as part of the name, with a typing mistake (one from four letters
    on, two from eight), or with letters left out after the first (`dly` for `daily`). Names that match
    equally well are sorted by length, then by name.
    """
    words = [_Word(text) for text in map(_plain, query.split()) if text.strip("_")]
    if not words:
        return list(names)
    found: list[tuple[int, int, str]] = []
    for name in names:
        plain = _plain(name)
        total = 0
        for word in words:
            cost = word.cost(plain)
            if cost is None:
                break
            total += cost
        else:
            found.append((total, len(name), name))
    return [name for _, _, name in sorted(found)]


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Give the name that somebody may have meant who wrote one that is not there; None when none is near.

    Only names of nearly the same length are compared: a workspace may hold a hundred thousand.
    """
    near = {fold(other): other for other in sorted(names) if abs(len(other) - len(name)) <= 3}
    matches = get_close_matches(fold(name), near, n=1, cutoff=0.7)
    return near[matches[0]] if matches else None


def _plain(text: str) -> str:
    """Fold what people do not tell apart: case, composition, and which separator stands between words."""
    return _SEPARATORS.sub("_", fold(text))


class _Word:
    """One word of a query, prepared once and put to every name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.letters = frozenset(text)
        self.mistakes = 0 if len(text) < 4 else 1 if len(text) < 8 else 2
        self.sparse = _left_out(text) if len(text) > 1 else None
        self.pieces = [_Word(piece) for piece in text.split("_") if piece] if "_" in text else []
        self._typos: dict[str, int | None] = {}

    def cost(self, name: str) -> int | None:
        """Say how well a plain name matches: 0 is best, None is not at all."""
        at = name.find(self.text)
        if at >= 0:
            return self._inside(name, at)
        best = self._with_letters_left_out(name)
        for part in name.split("_"):
            typos = self._typos_in(part)
            if typos is not None and (best is None or typos < best):
                best = typos
        if best is None and self.pieces:
            costs = [piece.cost(name) for piece in self.pieces]
            return None if None in costs else sum(cost for cost in costs if cost is not None)
        return best

    def _inside(self, name: str, at: int) -> int:
        if at == 0:
            return _WHOLE_NAME if name == self.text else _NAME_START
        framed = f"_{name}_"
        if f"_{self.text}_" in framed:
            return _WHOLE_PART
        return _PART_START if f"_{self.text}" in framed else _INSIDE

    def _with_letters_left_out(self, name: str) -> int | None:
        """Match `dly` with `daily`: the first letter starts a part, the others follow, not too far away."""
        if self.sparse is None or self.sparse.search(name) is None:
            return None
        gap = min(len(match[1]) for match in self.sparse.finditer(name)) - len(self.text)
        return _LETTERS_LEFT_OUT + gap if gap <= len(self.text) + 1 else None

    def _typos_in(self, part: str) -> int | None:
        """Match `ordesr` with `orders`: with few mistakes it is a part of the name, or how one starts.

        Names share most of their parts, so each part is looked at once.
        """
        if self.mistakes == 0 or len(self.letters.difference(part)) > self.mistakes:
            return None
        if part not in self._typos:
            mistakes = _mistakes(self.text, part)
            self._typos[part] = _TYPO + mistakes if mistakes <= self.mistakes else None
        return self._typos[part]


def _left_out(text: str) -> re.Pattern[str]:
    """Build the pattern of a text with letters left out; it looks ahead, so that it finds every start.

    Each gap excludes the letter that ends it, so the pattern never goes back and stays linear.
    """
    first, rest = text[0], text[1:]
    start = rf"(?<![a-z0-9]){re.escape(first)}" if re.match("[a-z0-9]", first) else re.escape(first)
    return re.compile(f"(?=({start}" + "".join(f"[^{re.escape(c)}]*{re.escape(c)}" for c in rest) + "))")


def _mistakes(word: str, part: str) -> int:
    """Count the letters to change, add, drop or swap with the next until the word starts the part."""
    part = part[: len(word) + 2]  # what is further away than two letters is too far anyway
    before: list[int] = []
    row = list(range(len(part) + 1))
    for n, letter in enumerate(word, start=1):
        older, before, row = before, row, [n]
        for m, other in enumerate(part, start=1):
            cost = min(before[m] + 1, row[m - 1] + 1, before[m - 1] + (letter != other))
            if n > 1 and m > 1 and letter == part[m - 2] and other == word[n - 2]:
                cost = min(cost, older[m - 2] + 1)
            row.append(cost)
    return min(row)
