"""Tables that fit where they are shown: columns under each other, cut only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from gitrelease.render.text import Paper, Tone, clean, fit, width

GAP = "  "
NARROWEST = 6
"""A column is cut no further than this; then the line wraps, which still shows everything."""


class Cell(NamedTuple):
    """One cell: its text, and what it means."""

    text: str
    tone: Tone | None = None


_text = attrgetter("text")


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[object]],
    paper: Paper,
    *,
    indent: int = 0,
    firm: int = 2,
) -> str:
    """Write a table. Texts are made safe here; a column that is empty in every row is left out.

    Args:
        titles: what stands above each column; none at all leaves the line out.
        rows: the cells.
        paper: what is written on.
        indent: how far from the left.
        firm: how many columns at the left, names and states, are cut only when nothing else is left to cut.
    """
    cells = zip(*(map(_cell, row) for row in rows), strict=True)
    kept = [
        (n, *column)
        for n, column in enumerate(zip(titles, cells, strict=False))
        if any(map(_text, column[1]))
    ]
    widths = [max(width(title), *map(width, map(_text, column))) for _, title, column in kept]
    if paper.width is not None:
        room = paper.width - indent - len(GAP) * (len(widths) - 1)
        widths = _shrunk(widths, room, firm=sum(n < firm for n, _, _ in kept))
    head = any(title for _, title, _ in kept)
    shown = [
        _column((Cell(title, Tone.DIM), *column) if head else column, columns, paper)
        for (_, title, column), columns in zip(kept, widths, strict=True)
    ]
    return "".join(f"{' ' * indent}{GAP.join(line).rstrip()}\n" for line in zip(*shown, strict=True))


def _cell(value: object) -> Cell:
    if isinstance(value, Cell):
        return Cell(clean(value.text), value.tone)
    return Cell("" if value is None else clean(value))


def _shrunk(widths: Sequence[int], room: int, *, firm: int) -> list[int]:
    """Take columns from the widest until all fit, or none can give any more."""
    found = list(widths)
    for group in (range(firm, len(found)), range(len(found))):
        while sum(found) > room and any(found[n] > NARROWEST for n in group):
            found[max(group, key=found.__getitem__)] -= 1
    return found


def _column(cells: Iterable[Cell], columns: int, paper: Paper) -> Iterator[str]:
    """Write the cells of a column, each as wide as the others."""
    for cell in cells:
        text = cell.text if paper.width is None else fit(cell.text, columns)
        yield paper.paint(text, cell.tone) + " " * (columns - width(text))
