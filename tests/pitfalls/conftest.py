"""Shops in line with production, poured from two moulds: opening one each time would take most of the time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.git import Bench, Clock, Clone, KeyRing
from tests.kit.shop import FIRST_ITEMS, ROLES, Shop, open_shop

PEOPLE = {**ROLES, "dep-3": "deployer"}


def mould(folder: Path, keys: KeyRing, *, auto_merge: bool) -> Shop:
    """Open a shop and bring its production in line; only its server is used from then on."""
    made = open_shop(Bench(folder=folder, keys=keys), FIRST_ITEMS, auto_merge=auto_merge, roles=PEOPLE)
    made.person("sync").sync()
    made.close()
    return made


def poured(from_: Shop, folder: Path) -> Shop:
    """Give a shop of its own to a test: a copy of the server, and people who have no clone yet."""
    bench = Bench(folder=folder, keys=from_.bench.keys, clock=Clock(from_.bench.clock()))
    server = Clone(path=folder / "server.git", environ=bench.environ, clock=bench.clock)
    shutil.copytree(from_.server.path, server.path)
    return Shop(bench=bench, server=server, root=from_.root)


@pytest.fixture(scope="session")
def merging_itself(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Shop:
    """The mould of a shop where the last approval merges."""
    return mould(tmp_path_factory.mktemp("mould"), keys, auto_merge=True)


@pytest.fixture(scope="session")
def merged_by_people(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Shop:
    """The mould of a shop where people merge what was approved."""
    return mould(tmp_path_factory.mktemp("mould"), keys, auto_merge=False)


@pytest.fixture
def shop(merging_itself: Shop, tmp_path: Path) -> Iterator[Shop]:
    """An open shop in line."""
    made = poured(merging_itself, tmp_path)
    yield made
    made.close()


@pytest.fixture
def patient(merged_by_people: Shop, tmp_path: Path) -> Iterator[Shop]:
    """An open shop in line, where what was approved waits for somebody to merge it."""
    made = poured(merged_by_people, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def common(merging_itself: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An open shop in line that the tests of one file share; each brings items and packages of its own."""
    made = poured(merging_itself, tmp_path_factory.mktemp("common"))
    yield made
    made.close()
