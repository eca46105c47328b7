"""What the fuzz tests share: a place to attack, and how many examples are tried."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.fuzz.place import Place, build
from tests.fuzz.seeds import ASKED
from tests.kit.git import KeyRing

settings.register_profile(
    "gitrelease-fuzz",
    deadline=None,
    database=None,
    derandomize=not ASKED,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Place:
    """A shop in the middle of its life; every test puts back what it did to it."""
    return build(tmp_path_factory.mktemp("place"), keys)
