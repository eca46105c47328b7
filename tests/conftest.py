"""The fixtures that all tests share; what they are is in `kit`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.kit.git import Bench, Clock, KeyRing
from tests.kit.shop import FIRST_ITEMS, Shop, open_shop

# How long an example takes says something of the machine, and nothing of the code.
hypothesis.settings.register_profile("gitrelease", deadline=None)
hypothesis.settings.load_profile("gitrelease")

MEMORY = Path("/dev/shm")
ROOM = 4 * 1024**3
"""How many bytes all tests may come to need at once, many times over."""


def pytest_configure(config: pytest.Config) -> None:
    """Work in memory where there is room: tests make thousands of small repositories, and delete them."""
    chosen = config.option.basetemp or "PYTEST_DEBUG_TEMPROOT" in os.environ or "TMPDIR" in os.environ
    if not chosen and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(MEMORY)


def pytest_xdist_auto_num_workers() -> int:
    """Have one more worker than processors: now and then a test waits for a lease to end."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that at the end no worker waits for another one's last test."""
    items.sort(key=lambda item: "stories" not in item.path.parts)


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
