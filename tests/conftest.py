"""The fixtures that all tests share; what they are is in `kit`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.git import Bench, Clock, KeyRing
from tests.kit.shop import FIRST_ITEMS, Shop, open_shop


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """SSH keys by name, made once."""
    return KeyRing(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def clock() -> Clock:
    """The time on the bench."""
    return Clock()


@pytest.fixture
def bench(tmp_path: Path, keys: KeyRing, clock: Clock) -> Bench:
    """A folder for a shared repository and people's clones, sealed from this machine."""
    return Bench(folder=tmp_path, keys=keys, clock=clock)


@pytest.fixture
def shop(bench: Bench) -> Iterator[Shop]:
    """An open shop with one job and its script, taken over; names count only when they are signed."""
    made = open_shop(bench, FIRST_ITEMS)
    yield made
    made.close()
