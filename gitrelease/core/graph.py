"""Graphs: cycles and layers.

A graph is a mapping from each node to the nodes that come after it; one that is only named after another
counts as well. Every answer depends on the graph alone, not on the order it is written in. Nothing here
recurses: a chain of jobs may be as long as the workspace is large.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gitrelease.errors import GitReleaseError

Edges = Mapping[str, Collection[str]]


class CycleFound(GitReleaseError):
    """What waits for itself has no order."""

    code = "cycle"

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(f"{' -> '.join(path)} is a cycle", hint="take one of these edges away")
        self.path = path


def find_cycle(edges: Edges) -> tuple[str, ...] | None:
    """Give one cycle as a path that ends where it starts, beginning at its smallest name; or nothing."""
    done: set[str] = set()
    for root in sorted(edges):
        if root in done:
            continue
        path = [root]
        on_path = {root}
        coming = [iter(sorted(set(edges[root])))]
        while path:
            after = next(coming[-1], None)
            if after is None:
                coming.pop()
                done.add(left := path.pop())
                on_path.remove(left)
            elif after in on_path:
                return _from_smallest(path[path.index(after) :])
            elif after not in done:
                path.append(after)
                on_path.add(after)
                coming.append(iter(sorted(set(edges.get(after, ())))))
    return None


def _from_smallest(cycle: list[str]) -> tuple[str, ...]:
    at = cycle.index(min(cycle))
    return (*cycle[at:], *cycle[:at], cycle[at])


def layers(edges: Edges) -> tuple[tuple[str, ...], ...]:
    """Put every node into the first layer in which all before it is done; names in a layer are sorted.

    Raises:
        CycleFound: there is no such order.
    """
    waits_for = dict.fromkeys(edges, 0)
    for targets in edges.values():
        for target in set(targets):
            waits_for[target] = waits_for.get(target, 0) + 1
    found: list[tuple[str, ...]] = []
    ready = sorted(node for node, count in waits_for.items() if count == 0)
    while ready:
        found.append(tuple(ready))
        later = []
        for node in ready:
            for target in set(edges.get(node, ())):
                waits_for[target] -= 1
                if waits_for[target] == 0:
                    later.append(target)
        ready = sorted(later)
    if any(waits_for.values()):
        cycle = find_cycle(edges)
        assert cycle is not None, "what is left over after sorting holds a cycle"  # noqa: S101
        raise CycleFound(cycle)
    return tuple(found)
