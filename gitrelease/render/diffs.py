"""What people see of differences: by meaning, by count, or line by line; and of versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from gitrelease.core.compare import CONTENT, Comparison, FieldDifference, ItemComparison
from gitrelease.core.item import Change
from gitrelease.core.names import CONTENT_ENDINGS
from gitrelease.render.tables import Cell, table
from gitrelease.render.tasks import CHANGE_TONES, change_cell, versions_text
from gitrelease.render.text import Paper, Tone, clean, clean_lines, count, next_step, page, width

if TYPE_CHECKING:
    from gitrelease.commands.version import Restored, VersionInfo

_MARKS = {Change.ADD: "+", Change.MODIFY: "~", Change.DELETE: "-"}


_SAID_BY_TITLE = {"apiVersion", "kind", "name"}
"""What the title of an item that comes or goes has said already."""

MOST_LINES = 40
"""How many lines of a content are shown among the differences."""


LONG = 60
"""From how many characters on a list or a mapping is shown part by part."""


class Style(Enum):
    """How a difference is shown."""

    MEANING = "meaning"
    STAT = "stat"
    PATCH = "patch"


def comparison(shown: Comparison, style: Style, paper: Paper) -> str:
    """Show what is different, item by item."""
    if shown.before is not None:
        head = f"from {clean(shown.before)} to {clean(shown.after)}"
    else:
        head = f"what {clean(shown.after)} changes"
    if not shown.items and not shown.other_paths:
        return page(f"{head}: nothing")
    match style:
        case Style.MEANING:
            body = "\n".join(_meaning(one, paper) for one in shown.items)
        case Style.STAT:
            body = _stat(shown.items, paper)
        case Style.PATCH:
            return "".join(_patch(one.patch.text, paper) for one in shown.items)
    others = "".join(f"~ {clean(path)} (no item)\n" for path in shown.other_paths)
    return page(f"{head}:", body, others)


def _meaning(one: ItemComparison, paper: Paper) -> str:
    title = (
        f"{paper.paint(clean(one.item), Tone.STRONG)}  {paper.paint(one.change, CHANGE_TONES[one.change])}"
    )
    lines = [f"{title}  {versions_text(one.from_version, one.to_version)}"]
    if one.formatting_only:
        lines.append("  formatting only")
    for found in one.differences:
        if one.change is Change.MODIFY or found.path not in _SAID_BY_TITLE:
            lines += _field(found, one, paper)
    return "".join(f"{line}\n" for line in lines)


def _field(found: FieldDifference, one: ItemComparison, paper: Paper) -> list[str]:
    mark = paper.paint(_MARKS[found.change], CHANGE_TONES[found.change])
    path = clean(found.path)
    if found.before is None and found.after is None:
        shown = _content(one, paper) if found.path == CONTENT else []
        return (
            [f"  {mark} {path}:", *shown] if shown else [f"  {mark} {path}: other text, which --patch shows"]
        )
    before, after = _value(found.before), _value(found.after)
    if found.change is not Change.MODIFY:
        value = found.after if found.change is Change.ADD else found.before
        return _whole(mark, path, value, paper)
    line = f"{path}: {before} → {after}"
    if paper.width is None or width(line) + 4 <= paper.width:
        return [f"  {mark} {line}"]
    return [
        _fitted(mark, f"{path}:", paper),
        *(_fitted(" ", f"  {side}", paper) for side in (before, f"→ {after}")),
    ]


def _whole(mark: str, path: str, value: object, paper: Paper) -> list[str]:
    """Show a value that came or went: on its line, or part by part where it is long."""
    text = _value(value)
    if not isinstance(value, Mapping | list) or len(text) <= LONG:
        return [_fitted(mark, f"{path}: {text}", paper)]
    parts = list(_parts(value))
    shown = [_fitted(" ", f"  {part}", paper) for part in parts[:MOST_LINES]]
    more = len(parts) - MOST_LINES
    rest = [f"      … {count(more, 'more line')}, which --patch shows"] if more > 0 else []
    return [_fitted(mark, f"{path}:", paper), *shown, *rest]


def _parts(value: object) -> Iterator[str]:
    """Write a value as an outline."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _part(f"{clean(key)}:", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _part("-", inner)


def _part(title: str, value: object) -> Iterator[str]:
    text = _value(value)
    if not isinstance(value, Mapping | list) or len(text) <= LONG:
        yield f"{title} {text}"
    else:
        yield title
        yield from (f"  {line}" for line in _parts(value))


def _fitted(mark: str, text: str, paper: Paper) -> str:
    return f"  {mark} {paper.fit(text, indent=4)}"


def _value(value: object) -> str:
    return clean(json.dumps(value, ensure_ascii=False))


def _content(one: ItemComparison, paper: Paper) -> list[str]:
    """Show the lines of a script's content that changed: of a script they are what matters."""
    for file in f"\n{one.patch.text}".split("\ndiff --git "):
        head, at, hunks = file.partition("\n@@ ")
        if at and head.splitlines()[0].endswith(CONTENT_ENDINGS):
            lines = clean_lines(f"@@ {hunks}").splitlines()
            shown = [
                f"      {paper.paint(paper.fit(line, 6), _patch_tone(line))}" for line in lines[:MOST_LINES]
            ]
            more = len(lines) - MOST_LINES
            return [*shown, f"      … {count(more, 'more line')}, which --patch shows"] if more > 0 else shown
    return []


def _stat(items: Sequence[ItemComparison], paper: Paper) -> str:
    rows = [
        (
            one.item,
            change_cell(one.change),
            versions_text(one.from_version, one.to_version),
            Cell("" if one.patch.added is None else f"+{one.patch.added}", Tone.GOOD),
            Cell("" if one.patch.deleted is None else f"-{one.patch.deleted}", Tone.BAD),
            "formatting only" if one.formatting_only else "",
        )
        for one in items
    ]
    added = sum(one.patch.added or 0 for one in items)
    deleted = sum(one.patch.deleted or 0 for one in items)
    total = f"{count(len(items), 'item')}, {count(added, 'line')} added, {count(deleted, 'line')} deleted"
    titles = ("ITEM", "CHANGE", "VERSION", "ADDED", "DELETED", "NOTE")
    return table(titles, rows, paper) + total


def _patch(text: str, paper: Paper) -> str:
    return "".join(f"{paper.paint(line, _patch_tone(line))}\n" for line in clean_lines(text).splitlines())


def _patch_tone(line: str) -> Tone | None:
    if line.startswith(("diff ", "--- ", "+++ ", "new file", "deleted file")):
        return Tone.STRONG
    return {"+": Tone.GOOD, "-": Tone.BAD, "@": Tone.CHANGED}.get(line[:1])


# Versions.


def version_list(found: Sequence[VersionInfo], paper: Paper) -> str:
    """Show every version of an item: number, who, when, why, where it is now."""
    rows = [
        (
            one.number,
            one.where,
            change_cell(one.change),
            one.submitter or "-",
            paper.short_time(one.submitted_at),
            one.package or "",
            one.description,
        )
        for one in found
    ]
    titles = ("VERSION", "WHERE", "CHANGE", "SUBMITTER", "SUBMITTED", "PACKAGE", "DESCRIPTION")
    head = clean(found[0].item) if found else ""
    return page(head, table(titles, rows, paper))


def restored(result: Restored, paper: Paper) -> str:
    """Show what a restore did to the working files."""
    item, number = clean(result.version.item), result.version.number
    rows = [(Cell("wrote", Tone.GOOD), path) for path in result.written]
    rows += [(Cell("removed", Tone.BAD), path) for path in result.removed]
    if not rows:
        return page(f"the working files of {item} are those of version {number} already")
    step = next_step(paper, f"gitrelease submit {item}", "makes it the next version")
    return page(
        f"the working files of {item} are those of version {number}:", table(("", ""), rows, paper), step
    )
