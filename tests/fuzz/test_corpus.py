"""Every input of the corpus, and every large one, is refused with its place or accepted whole."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import KINDS
from tests.fuzz.fair import ending
from tests.fuzz.large import LARGE
from tests.fuzz.readers import READERS, read_two_jobs
from tests.fuzz.seeds import ASKED, CORPUS, GOOD, Seed, every_seed, seeds

MOST_BYTES = 300 * 1024
"""The corpus is cloned by everybody."""


@pytest.mark.parametrize("seed", every_seed(), ids=str)
def test_an_input_is_refused_or_accepted(seed: Seed) -> None:
    """A good example is accepted; of all others it only matters that they are either."""
    with ending():
        was_accepted = READERS[seed.kind](seed.data)
    if seed.name.startswith("good"):
        assert was_accepted


@pytest.mark.parametrize(("kind", "what"), LARGE, ids=[" ".join(one) for one in LARGE])
def test_a_large_input_ends(kind: str, what: str) -> None:
    """No length and no depth makes reading endless, or runs out of calls."""
    data = LARGE[kind, what](20 if ASKED else 1)
    with ending():
        READERS[kind](data)


def test_two_versions_at_a_glance() -> None:
    """Whatever two jobs hold, looking at them side by side says nothing that reading them would not."""
    jobs = [seed.data for seed in seeds("job")]
    for n, before in enumerate(jobs):
        for after in (*jobs[:4], jobs[n - 1]):
            read_two_jobs(before, after)
            read_two_jobs(after, before)


def test_the_corpus_is_small_and_whole() -> None:
    """Every kind has a reader, inputs and a good example; nothing lies about."""
    assert set(KINDS) == set(READERS) == set(GOOD)
    assert {path.name for path in CORPUS.iterdir()} == {".gitattributes", *GOOD}
    for kind in GOOD:
        assert any(seed.name.startswith("good") for seed in seeds(kind)), kind
        assert len(seeds(kind)) >= 5, kind
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_BYTES
