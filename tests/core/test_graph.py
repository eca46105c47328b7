"""Cycles and layers."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelease.core.graph import CycleFound, find_cycle, layers

graphs = st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from("abcdefg")))


def reach(edges: dict[str, set[str]], node: str) -> set[str]:
    """All that comes after a node, by the definition."""
    found: set[str] = set()
    while True:
        wider = found | {after for at in {node, *found} for after in edges.get(at, set())}
        if wider == found:
            return found
        found = wider


@given(graphs)
def test_a_cycle_is_found_exactly_where_a_node_comes_after_itself(edges: dict[str, set[str]]) -> None:
    cycle = find_cycle(edges)
    assert (cycle is not None) == any(node in reach(edges, node) for node in edges)
    if cycle is not None:
        assert cycle[0] == cycle[-1] == min(cycle)
        assert len(set(cycle)) == len(cycle) - 1
        assert all(after in edges[before] for before, after in pairwise(cycle))


@given(graphs)
def test_the_answer_does_not_depend_on_how_the_graph_is_written(edges: dict[str, set[str]]) -> None:
    written_otherwise = {node: sorted(edges[node], reverse=True) for node in reversed(list(edges))}
    assert find_cycle(written_otherwise) == find_cycle(edges)


@given(graphs)
def test_each_node_is_in_the_first_layer_it_can_be_in(edges: dict[str, set[str]]) -> None:
    try:
        found = layers(edges)
    except CycleFound as refused:
        assert refused.path == find_cycle(edges)
        return
    at = {node: n for n, layer in enumerate(found) for node in layer}
    before: dict[str, set[str]] = {node: set() for node in {*edges, *chain.from_iterable(edges.values())}}
    for node, after in edges.items():
        for one in after:
            before[one].add(node)
    assert set(at) == set(before)
    assert all(at[node] == max((at[b] + 1 for b in before[node]), default=0) for node in at)
    assert all(list(layer) == sorted(layer) for layer in found)


def test_a_path_reads_as_people_follow_it() -> None:
    assert find_cycle({"load": ["clean"], "clean": ["report"], "report": ["load"]}) == (
        *("clean", "report"),
        *("load", "clean"),
    )
    with pytest.raises(CycleFound, match="a -> b -> a is a cycle"):
        layers({"b": ["a"], "a": ["b"]})


def test_a_long_chain_and_a_wide_graph_are_no_trouble() -> None:
    long = {f"{n:05}": [f"{n + 1:05}"] for n in range(20_000)}
    assert find_cycle(long) is None
    assert len(layers(long)) == 20_001
    assert find_cycle({**long, "20000": ["00000"]}) is not None
