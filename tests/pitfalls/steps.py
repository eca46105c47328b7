"""The steps that the tests of pitfalls share: typing a command, fetching, and seeing that nothing moved."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitrelease.commands import Desk
from tests.kit.shop import Person, Shop, job_yaml

ROOT = Path(__file__).parent.parent.parent
ORDERS = "jobs/sales/orders.job.yaml"


def orders(note: str, version: int = 1) -> dict[str, str]:
    """Change the job that the shop starts with."""
    return {ORDERS: job_yaml("orders", version=version, script="clean", note=note)}


def job(name: str, note: str = "") -> dict[str, str]:
    """Write a job that the shop does not have."""
    return {f"jobs/web/{name}.job.yaml": job_yaml(name, note=note)}


def typed(
    person: Person, *words: str, where: Path | None = None, limit: float = 120
) -> subprocess.CompletedProcess[str]:
    """Type a command in somebody's clone, with nobody at the keyboard; one that never ends fails the test."""
    environ = dict(person.clone.environ) | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    if person.root is not None:
        environ["GITRELEASE_ROOT"] = person.root
    return subprocess.run(
        [sys.executable, "-m", "gitrelease", *words],
        cwd=where or person.clone.path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=limit,
    )


@contextmanager
def nothing_moves(shop: Shop) -> Iterator[None]:
    """See that no ref of the server is another one afterwards."""
    before = shop.refs()
    yield
    assert shop.refs() == before


def fetched(person: Person) -> Desk:
    """Give somebody's desk with what the server has now."""
    person.desk.fetch()
    return person.desk
