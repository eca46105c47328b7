"""`verify` that goes on from where a clone was last found in order finds what one from the trust root finds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelease.commands.verify import VerifyResult, verify
from gitrelease.core.names import CommitId
from tests.kit.git import Bench, Clone
from tests.kit.much_alike import first
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop

ORDERS = "jobs/sales/orders.job.yaml"
REFUNDS = "jobs/sales/refunds.job.yaml"


@pytest.fixture
def shop(bench: Bench) -> Iterator[Shop]:
    """A shop with one release, and an auditor's clone that was found in order."""
    shop = open_shop(bench, FIRST_ITEMS)
    shop.released({ORDERS: job_yaml("orders", version=1, script="clean", note="daily")}, ORDERS)
    clone = bench.clone(shop.server, "audit")
    result = audited(shop)
    assert result.ok
    assert (clone.path / ".git/gitrelease/verified.json").is_file()
    yield shop
    shop.close()


def audited(shop: Shop, *, since_last: bool = True, root: CommitId | None = None) -> VerifyResult:
    """Verify in the auditor's clone, with the refs as they are."""
    path = shop.bench.folder / "audit"
    clone = Clone(path=path, environ=shop.bench.environ, clock=shop.bench.clock)
    clone.git("fetch", "--quiet", "--prune", "--force", "origin", "+refs/heads/*:refs/remotes/origin/*")
    clone.git("fetch", "--quiet", "--force", "origin", "+refs/tags/*:refs/tags/*")
    auditor = Person(id="auditor", clone=clone, bench=shop.bench, root=root or shop.root)
    try:
        return verify(auditor.desk, since_last=since_last)
    finally:
        auditor.repo.close()


def kept(shop: Shop) -> Path:
    """The file of the auditor's milestone."""
    return shop.bench.folder / "audit" / ".git/gitrelease/verified.json"


def receipt_by_nobody(shop: Shop) -> None:
    """Add a receipt that is none to the ledger."""
    tree = shop.server.git("rev-parse", "production^{tree}").strip()
    made = shop.server.git("commit-tree", tree, "-p", "production", "-m", "nothing").strip()
    shop.server.git("update-ref", "refs/heads/production", made)


def rewound(shop: Shop) -> None:
    """Take the last receipt away."""
    shop.server.git("update-ref", "refs/heads/production", "production^")


def other_production(shop: Shop) -> None:
    """Put something into production that nobody released."""
    tree = shop.server.git("rev-parse", "main^{tree}").strip()
    made = shop.server.git("commit-tree", tree, "-p", "deploy/main", "-m", "nothing").strip()
    shop.server.git("update-ref", "refs/heads/deploy/main", made)


def no_archive(shop: Shop) -> None:
    """Lose what was settled."""
    shop.server.git("update-ref", "-d", "refs/heads/archive")


def another_release(shop: Shop) -> None:
    """Release once more."""
    shop.released({REFUNDS: job_yaml("refunds")}, REFUNDS)


@pytest.mark.parametrize(
    "change",
    first(3, [another_release, rewound, other_production, receipt_by_nobody, no_archive, lambda shop: None]),
)
def test_going_on_finds_what_beginning_at_the_root_finds(
    shop: Shop, change: Callable[[Shop], object]
) -> None:
    """What happened since is judged as ever, and what is behind the milestone counts as it was found."""
    change(shop)
    milestone = kept(shop).read_bytes()
    quick = audited(shop)
    kept(shop).write_bytes(milestone)
    assert replace(quick, since=None) == audited(shop, since_last=False)
    assert quick.since is not None or not quick.ok


@pytest.mark.parametrize("text", first(1, ['{"program": 1}', "", "{", "[]", "{}"]))
def test_what_is_no_milestone_is_none(shop: Shop, text: str) -> None:
    """Then everything is looked at, and a new one is written."""
    good = kept(shop).read_text()
    kept(shop).write_text(text)
    assert audited(shop).ok
    assert kept(shop).read_text() == good


@pytest.mark.parametrize("key", first(2, ["root", "at", "program", "packages", "counts", "brought"]))
def test_a_milestone_of_another_time_is_none(shop: Shop, key: str) -> None:
    """One that another program wrote, or of another ledger, says nothing about this one."""
    good = kept(shop).read_text()
    kept(shop).write_text(json.dumps({**json.loads(good), key: "0" * 40}))
    assert audited(shop) == audited(shop, since_last=False)
    assert kept(shop).read_text() == good


def test_nothing_is_noted_of_what_does_not_hold(shop: Shop) -> None:
    """A fault is found again each time."""
    good = kept(shop).read_text()
    receipt_by_nobody(shop)
    first = audited(shop)
    assert not first.ok
    assert kept(shop).read_text() == good
    assert audited(shop) == first


def test_whoever_begins_at_the_root_relies_on_no_milestone(shop: Shop) -> None:
    """One that lies is not asked, and stays as it is."""
    value = json.loads(kept(shop).read_text())
    kept(shop).write_text(json.dumps({**value, "packages": [], "counts": [0, 0, 0, 0]}))
    result = audited(shop, since_last=False)
    assert result.ok
    assert result.checked.packages == 1
    assert json.loads(kept(shop).read_text())["packages"] == []
