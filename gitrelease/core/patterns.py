"""Patterns: which paths of items people mean by `jobs/sales/**`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

_INSIDE = "/**"
"""Where a pattern is while it passes over the name of a folder, which has a character at least."""


@cache
def _steps(pattern: str) -> tuple[str, ...]:
    """Split a path pattern: `*` and `?` stay within a folder, `**` crosses folders, `**/` is any folders or none."""
    steps: list[str] = []
    for part in re.findall(r"\*\*/|\*\*|.", pattern, re.DOTALL):
        steps += ["**/", _INSIDE] if part == "**/" else [part]
    return tuple(steps)


def path_matches(pattern: str, path: str) -> bool:
    """Say whether a path pattern of people (`jobs/sales/**`) means this path.

    All ways through the pattern are followed at once, so that no pattern takes longer than its length times that
    of the path; a regular expression would try one after the other, for ever where somebody wants that.
    """
    steps = _steps(pattern)
    at = _reached(steps, {0})
    for character in path:
        moved: set[int] = set()
        for place in at - {len(steps)}:
            step = steps[place]
            if step == "**" or (step in {"*", _INSIDE} and character != "/"):
                moved.add(place)
            if step == character or (step in {"?", "**/"} and character != "/"):
                moved.add(place + 1)
            if step == _INSIDE and character == "/":
                moved.add(place - 1)
        at = _reached(steps, moved)
    return len(steps) in at


def _reached(steps: Sequence[str], places: set[int]) -> set[int]:
    """Add the places of a pattern that are reached without a character."""
    todo, found = list(places), set(places)
    while todo:
        place = todo.pop()
        step = steps[place] if place < len(steps) else ""
        new = {place + {"*": 1, "**": 1, "**/": 2}.get(step, 0)} - found
        found |= new
        todo += new
    return found
