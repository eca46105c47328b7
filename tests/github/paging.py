"""Long answers in pages, with the links between them that GitHub gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

_USUAL, _MOST = 30, 100


def page_of(rows: list[Any], query: Mapping[str, str], address: str) -> tuple[list[Any], str]:
    """Cut out one page by its number, and link its neighbours."""
    size = min(int(query.get("per_page", _USUAL)) or _USUAL, _MOST)
    last = max(1, -(-len(rows) // size))
    here = max(1, int(query.get("page", 1)))
    wanted: dict[str, int] = {}
    if here > 1:
        wanted["prev"] = min(here - 1, last)
    if here < last:
        wanted |= {"next": here + 1, "last": last}
    if here > 1:
        wanted["first"] = 1
    links = {name: _link(address, {**query, "page": str(number)}) for name, number in wanted.items()}
    return rows[(here - 1) * size : here * size], _header(links)


def cursor_page_of(
    rows: list[Any], query: Mapping[str, str], address: str, cursor: Callable[[Any], str]
) -> tuple[list[Any], str]:
    """Cut out the page after or before a cursor; an unknown cursor is the beginning."""
    size = min(int(query.get("per_page", _USUAL)) or _USUAL, _MOST)
    places = [cursor(row) for row in rows]
    start = places.index(query["after"]) + 1 if query.get("after") in places else 0
    if query.get("before") in places:
        start = max(0, places.index(query["before"]) - size)
    found = rows[start : start + size]
    plain = {name: value for name, value in query.items() if name not in {"after", "before"}}
    links = {}
    if found and start + size < len(rows):
        links["next"] = _link(address, {**plain, "after": cursor(found[-1])})
    if found and start > 0:
        links["prev"] = _link(address, {**plain, "before": cursor(found[0])})
    return found, _header(links)


def _link(address: str, query: Mapping[str, str]) -> str:
    return f"{address}?{urlencode(query)}"


def _header(links: Mapping[str, str]) -> str:
    return ", ".join(f'<{link}>; rel="{name}"' for name, link in links.items())
