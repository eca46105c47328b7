"""Tables that fit where they are shown: columns under each other, cut only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitrelease.render.text import Paper, Tone, clean, fit, padded, width

GAP = "  "
NARROWEST = 6
"""A column is cut no further than this; then the line wraps, which still shows everything."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, and what it means."""

    text: str
    tone: Tone | None = None


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
    cells = [[_cell(value) for value in row] for row in rows]
    if not cells:
        return ""
    kept = [n for n in range(len(titles)) if any(row[n].text for row in cells)]
    cells = [[row[n] for n in kept] for row in cells]
    titles = [titles[n] for n in kept]
    widths = [max(width(title), *(width(row[n].text) for row in cells)) for n, title in enumerate(titles)]
    if paper.width is not None:
        room = paper.width - indent - len(GAP) * (len(widths) - 1)
        widths = _shrunk(widths, room, firm=sum(n < firm for n in kept))
    head = [Cell(title, Tone.DIM) for title in titles]
    shown = [head, *cells] if any(titles) else cells
    return "".join(" " * indent + _line(row, widths, paper) + "\n" for row in shown)


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


def _line(row: Sequence[Cell], widths: Sequence[int], paper: Paper) -> str:
    parts = []
    for n, (cell, columns) in enumerate(zip(row, widths, strict=True)):
        text = fit(cell.text, columns) if paper.width is not None else cell.text
        painted = paper.paint(text, cell.tone)
        fill = "" if n == len(row) - 1 else padded("", columns - width(text))
        parts.append(painted + fill)
    return GAP.join(parts).rstrip()
