"""What the corpus becomes when it is flipped, spliced and rebuilt: still refused with its place, or accepted whole."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitrelease.documents import Json
from tests.fuzz.fair import ending
from tests.fuzz.mutating import VALUES, mutated, read, write
from tests.fuzz.readers import READERS, read_two_jobs
from tests.fuzz.seeds import ASKED, GOOD, seeds

FEW = 25
EXAMPLES = settings(settings.get_profile("gitrelease-fuzz"), max_examples=ASKED or FEW)


@pytest.mark.parametrize("kind", GOOD)
def test_an_input_made_of_others(kind: str) -> None:
    """Two inputs of a kind, and chance."""
    known = [seed.data for seed in seeds(kind)]

    @EXAMPLES
    @given(one=st.sampled_from(known), other=st.sampled_from(known), rng=st.randoms(use_true_random=False))
    def holds(one: bytes, other: bytes, rng: Random) -> None:
        with ending():
            READERS[kind](mutated(rng, one, other))

    holds()


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind not in {"content", "number", "name"}])
def test_any_value_in_any_place(kind: str) -> None:
    """Each value of a good example, replaced by values of every other sort."""
    head, value = read(seeds(kind)[0].data)
    places = list(walk(value))
    for n, place in enumerate(places):
        for m, other in enumerate(VALUES):
            if ASKED or (n * 7 + m) % 101 == 0 or (other is None and n % 3 == 0):
                with ending():
                    READERS[kind](
                        head + write(replaced(value, place, other), as_json=bool(head) or m % 2 == 0)
                    )


def walk(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List the ways to all values inside of one."""
    found = [place] if place else []
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        found += walk(inner, (*place, key))
    return found


def replaced(value: Json, place: tuple[str | int, ...], other: Json) -> Json:
    """Copy a value, but for one inside of it."""
    if not place:
        return other
    if isinstance(value, dict):
        return {
            key: replaced(inner, place[1:], other) if key == place[0] else inner
            for key, inner in value.items()
        }
    assert isinstance(value, list)
    return [replaced(inner, place[1:], other) if n == place[0] else inner for n, inner in enumerate(value)]


def test_two_versions_at_a_glance() -> None:
    """A job and what becomes of it: what is plain to see is true."""
    known = [seed.data for seed in seeds("job")]

    @EXAMPLES
    @given(
        one=st.sampled_from(known[:6]), other=st.sampled_from(known), rng=st.randoms(use_true_random=False)
    )
    def holds(one: bytes, other: bytes, rng: Random) -> None:
        with ending():
            read_two_jobs(one, mutated(rng, one, other))

    holds()
