"""Compare: the difference between two versions or releases, item by item.

An item is compared twice: by its meaning, key by key, for people who ask what it does now that it did not do
before; and by its bytes, line by line, because bytes are what was approved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum
from itertools import chain
from typing import TypeAlias, TypeVar

from gitrelease.core.item import Change, change_of
from gitrelease.core.job import Job, meaning
from gitrelease.core.names import JOB_ENDING, ItemKey, Kind, place_of
from gitrelease.core.patch import Patch, alike, patch_of
from gitrelease.core.values import frozen


@frozen
class Named:
    """The step to the element of a list that has a name."""

    name: str


class Order(Enum):
    """The step to the order of a list whose elements have names."""

    NAMES = "[*]"


Part = TypeVar("Part", bound=Hashable)

Step: TypeAlias = "str | int | Named | Order"
"""One step into a document: a key, a place in a list, a named element, or the order of such elements."""


@frozen
class FieldDifference:
    """One value of an item that is other than before, or is on one side only."""

    key: tuple[Step, ...]
    change: Change
    before: object = None
    """None where there was nothing, and for what is compared as text."""
    after: object = None

    @property
    def path(self) -> str:
        """The key as people write it: `nodes[clean_orders].properties.database`."""
        return path_text(self.key)


@frozen
class Side:
    """An item as one side of a comparison has it. Files that both sides share may be left out."""

    exists: bool
    version: int | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    documents: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    """The YAML files among them; one that cannot be read is left out, and is compared as text."""


@frozen
class ItemComparison:
    """What is different about one item."""

    item: ItemKey
    change: Change
    from_version: int | None
    to_version: int | None
    formatting_only: bool
    """Whether the bytes differ and what they mean does not."""
    differences: tuple[FieldDifference, ...]
    patch: Patch


@frozen
class Comparison:
    """What is different between two releases, two versions, or a package and what was before it."""

    before: str | None
    """What it starts from, in the words of whoever asked; None where that has no name."""
    after: str
    items: tuple[ItemComparison, ...]
    other_paths: tuple[str, ...] = ()
    """Paths that differ and belong to no item."""


def compare_item(item: ItemKey, before: Side, after: Side) -> ItemComparison | None:
    """Say what is different about an item; None when nothing is."""
    patch = patch_of(before.files, after.files)
    if not patch.text:
        return None
    found = tuple(_differences_of(before, after))
    change = change_of(was=before.exists, is_=after.exists)
    return ItemComparison(
        item=item,
        change=change,
        from_version=before.version,
        to_version=after.version,
        formatting_only=change is Change.MODIFY and not found,
        differences=found,
        patch=patch,
    )


# Meaning: what of an item is compared with what.

CONTENT = "content"
"""What the content of a script is called in a difference."""


def _differences_of(before: Side, after: Side) -> Iterator[FieldDifference]:
    """Compare files by the part each plays in the item, so that one that moved is compared with itself."""
    old, new = _parts(before), _parts(after)
    for part in sorted(old.keys() | new.keys()):
        sides = [(side, parts[part]) for side, parts in ((before, old), (after, new)) if part in parts]
        where: tuple[Step, ...] = (*part[:1], *(Named(name=name) for name in part[1:]))
        change = change_of(was=part in old, is_=part in new)
        if not all(path in side.documents for side, path in sides):
            if len({side.files[path] for side, path in sides}) == len(sides):
                yield FieldDifference(key=where or (sides[-1][1],), change=change)
            continue
        was = _meaning(before, old[part]) if part in old else {}
        now = _meaning(after, new[part]) if part in new else {}
        if part and change is not Change.MODIFY:
            yield FieldDifference(key=where, change=change, before=was or None, after=now or None)
        else:
            yield from _in_mappings(where, was, now)


def _parts(side: Side) -> dict[tuple[str, ...], str]:
    """Say which file of an item is its document (`()`), its content, or which of its subjobs."""
    found: dict[tuple[str, ...], str] = {}
    for path in sorted(side.files):
        place = place_of(path)
        if place.is_document:
            found[()] = path
        elif place.item.kind is Kind.SCRIPT:
            found[CONTENT,] = path
        else:
            found["subjobs", path.rpartition("/")[2].removesuffix(JOB_ENDING)] = path
    return found


def _meaning(side: Side, path: str) -> Mapping[str, object]:
    """Give what counts of a document. The id of a workspace counts; that of a job was set by a server."""
    document = side.documents[path]
    place = place_of(path)
    if place.item.kind is Kind.WORKSPACE:
        return {name: value for name, value in document.items() if name != "version"}
    meant = meaning(document, place.directory)
    if not place.is_document:
        del meant["directory"]  # a subjob is where its job is
    return meant


# Values: two documents, key by key.


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[FieldDifference, ...]:
    """Say how two documents differ; taken together the differences make the one of the other.

    Elements that have names are matched by name, also when they changed places; a list of texts or numbers
    is one value; other lists are matched by place, from both ends.
    """
    return tuple(_in_mappings((), before, after))


def _in_mappings(
    where: tuple[Step, ...],
    before: Mapping[str, object],
    after: Mapping[str, object],
    step: Callable[[str], Step] = lambda name: name,
) -> Iterator[FieldDifference]:
    for name in dict.fromkeys((*before, *after)):
        key = (*where, step(name))
        if name not in after:
            yield FieldDifference(key=key, change=Change.DELETE, before=before[name])
        elif name not in before:
            yield FieldDifference(key=key, change=Change.ADD, after=after[name])
        else:
            yield from _in_values(key, before[name], after[name])


def _in_values(where: tuple[Step, ...], before: object, after: object) -> Iterator[FieldDifference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _in_mappings(where, before, after)
    elif isinstance(before, list) and isinstance(after, list) and not _are_plain(before, after):
        old, new = _by_name(before), _by_name(after)
        if old is not None and new is not None:
            yield from _in_named(where, old, new)
        else:
            yield from _in_lists(where, before, after)
    elif not same(before, after):
        yield FieldDifference(key=where, change=Change.MODIFY, before=before, after=after)


def _are_plain(*lists: Sequence[object]) -> bool:
    """Say whether lists hold only values without parts; such a list is read, and changes, as a whole."""
    return not any(isinstance(value, Mapping | list) for value in chain(*lists))


# What names an element: nodes, parameters and targets, members, upstream jobs, conditions, teams.
_NAMES = ("name", "id", "jobName", "preNodeName", "team")


def _by_name(values: Sequence[object]) -> dict[str, object] | None:
    """Give the elements of a list by name; None when not all have one, or two have the same."""
    found: dict[str, object] = {}
    for value in values:
        if not isinstance(value, Mapping):
            return None
        name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
        if name is None or name in found:
            return None
        found[name] = value
    return found


def _in_named(
    where: tuple[Step, ...], before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[FieldDifference]:
    old_order = [name for name in before if name in after]
    new_order = [name for name in after if name in before]
    if old_order != new_order:
        order = (*where, Order.NAMES)
        yield FieldDifference(key=order, change=Change.MODIFY, before=old_order, after=new_order)
    yield from _in_mappings(where, before, after, lambda name: Named(name=name))


def _in_lists(
    where: tuple[Step, ...], before: Sequence[object], after: Sequence[object]
) -> Iterator[FieldDifference]:
    """Leave out what both lists begin and end with, and compare what is between place by place."""
    start, end = alike(before, after, lambda one, other: not same(one, other))
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    shared = min(len(old), len(new))
    for n in range(shared):
        yield from _in_values((*where, start + n), old[n], new[n])
    for n in range(shared, len(old)):
        yield FieldDifference(key=(*where, start + n), change=Change.DELETE, before=old[n])
    for n in range(shared, len(new)):
        yield FieldDifference(key=(*where, start + n), change=Change.ADD, after=new[n])


def same(one: object, other: object) -> bool:
    """Say whether two values are the same JSON: true is not 1, nor is 1.0; keys have no order."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and one == other


_PLAIN_KEY = re.compile(r"[\w-]+")
_PLAIN_NAME = re.compile(r"(?![0-9]+\Z)[\w.@/-]+")


def path_text(key: Sequence[Step]) -> str:
    """Write a key so that no two keys look alike: what could be mistaken stands in quotes."""
    text = ""
    for step in key:
        match step:
            case Order():
                text += step.value
            case int():
                text += f"[{step}]"
            case Named(name=name):
                text += f"[{name}]" if _PLAIN_NAME.fullmatch(name) else f"[{_quoted(name)}]"
            case str() if _PLAIN_KEY.fullmatch(step):
                text += f".{step}" if text else step
            case str():
                text += f"[{_quoted(step)}]"
    return text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# Graphs: the same difference as a picture shows it.


@frozen
class GraphChanges:
    """The nodes and edges of a job before and after, each with what happened to it; None is nothing."""

    nodes: Mapping[str, Change | None]
    edges: Mapping[tuple[str, str], Change | None]


def graph_changes(before: Job | None, after: Job | None, found: Collection[FieldDifference]) -> GraphChanges:
    """Say what happened to each node and edge; `found` are the differences of the two documents."""
    touched = {
        step.name
        for difference in found
        if len(difference.key) > 1
        and difference.key[0] == "nodes"
        and isinstance(step := difference.key[1], Named)
    }
    old_nodes, new_nodes = _nodes(before), _nodes(after)
    old_edges, new_edges = _edges(before), _edges(after)
    return GraphChanges(nodes=_both(old_nodes, new_nodes, touched), edges=_both(old_edges, new_edges))


def _both(
    before: Collection[Part], after: Collection[Part], touched: Collection[Part] = ()
) -> dict[Part, Change | None]:
    """List what is before or after, each with what happened to it."""
    return {
        part: None
        if part in before and part in after and part not in touched
        else change_of(was=part in before, is_=part in after)
        for part in dict.fromkeys((*before, *after))
    }


def _nodes(job: Job | None) -> list[str]:
    return [] if job is None else [node.name for node in job.nodes]


def _edges(job: Job | None) -> list[tuple[str, str]]:
    return [] if job is None else [(one, other) for one, others in job.edges.items() for other in others]


# JSON (design 9).


def comparison_document(comparison: Comparison) -> dict[str, object]:
    """Write a comparison as design 9 has it; `stat` and `otherPaths` are ours beside it."""
    return {
        "from": comparison.before,
        "to": comparison.after,
        "items": [_item_document(compared) for compared in comparison.items],
        "otherPaths": list(comparison.other_paths),
    }


def _item_document(compared: ItemComparison) -> dict[str, object]:
    return {
        "kind": compared.item.kind,
        "name": compared.item.name,
        "change": compared.change,
        "fromVersion": compared.from_version,
        "toVersion": compared.to_version,
        "formattingOnly": compared.formatting_only,
        "differences": [
            {
                "path": found.path,
                "change": found.change,
                "before": found.before,
                "after": found.after,
            }
            for found in compared.differences
        ],
        "patch": compared.patch.text,
        "stat": {"added": compared.patch.added, "deleted": compared.patch.deleted},
    }
