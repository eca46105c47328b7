"""The fixtures that all tests share; what they are is in `kit`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.git import Bench, Clock, KeyRing


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
