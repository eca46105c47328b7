"""What runners do: order without clocks, locks that end, nothing done twice, and a past that stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from gitrelease.commands.review import withdraw
from gitrelease.commands.verify import verify
from gitrelease.commands.version import versions
from gitrelease.core.names import package_name
from gitrelease.core.package import manifest_document
from gitrelease.documents import dump
from gitrelease.errors import Exit, HalfDone, NotYetBuilt, Refused
from tests.kit.git import Bench
from tests.kit.raw import amend
from tests.kit.shop import Shop, job_yaml
from tests.kit.targets import (
    Killed,
    Plant,
    edit,
    merge_by_git,
    merged,
    open_mill,
    propose,
    receipts,
    subjects,
    tree,
)
from tests.pitfalls.steps import ORDERS, job, nothing_moves, orders, typed

CHAIN = {
    "jobs/web/a.job.yaml": job_yaml("a"),
    "jobs/web/b.job.yaml": job_yaml("b", after=["a"]),
    "jobs/web/c.job.yaml": job_yaml("c", after=["b"]),
}


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """A production system in a folder."""
    return Plant(folder=tmp_path / "plant")


@pytest.fixture
def mill(bench: Bench, plant: Plant) -> Iterator[Shop]:
    """A shop whose production is the plant, in line; runners wait one second for each other."""
    with open_mill(bench, {"plant": plant}, lease=1) as shop:
        shop.person("sync").sync()
        plant.calls.clear()
        plant.made = 0
        yield shop


# P10.


def test_p10_clocks_that_go_backwards_change_no_order(shop: Shop) -> None:
    """Releases follow the parents of the main branch, and versions their numbers, whatever time stands in them."""
    for version, back in enumerate((0, 400, 800), start=1):
        shop.bench.clock.forward(days=-back)
        name = merged(shop, orders(f"number {version}", version), "orders", name=f"p{version}")
    assert [one.name for one in shop.person("sync").sync().packages] == ["p1", "p2", "p3"]
    assert shop.production("jobs/1c/orders.job")["description"] == "Loads orders number 3"
    assert [line for line in subjects(shop) if line.startswith("finished package")] == [
        f"finished package p{number}" for number in (1, 2, 3)
    ]
    viewer = shop.person("view-1").desk
    assert [one.number for one in versions(viewer, "orders")] == [4, 3, 2, 1]
    dates = shop.server.git("log", "--first-parent", "--format=%ct", "-3", "main").split()
    assert (dates == sorted(dates), verify(viewer).ok, name) == (True, True, "p3")


def test_p10_the_last_word_is_the_last_in_the_log_not_the_latest_date(patient: Shop) -> None:
    """A yes taken back by somebody whose clock is years behind is taken back all the same, and the other way round."""
    name = propose(patient, orders("new"), "orders")
    reviewer = patient.person("dep-1")
    reviewer.approve(name)
    patient.bench.clock.forward(days=-800)
    withdraw(reviewer.desk, package_name(name))
    with nothing_moves(patient), pytest.raises(Refused, match="1 more of 1 approvals"):
        reviewer.merge(name)
    patient.bench.clock.forward(days=-800)
    reviewer.approve(name)
    assert reviewer.merge(name).merge is not None


# P27.


def test_p27_a_lock_ends_by_itself_and_who_lost_it_does_nothing_more(mill: Shop, plant: Plant) -> None:
    """A runner that hangs gives up after its lease; the next goes on, and the first one's token is worth nothing."""
    merged(mill, CHAIN, "a", "b", "c", name="chain")
    plant.hangs = hanging = Event()
    with pytest.raises(HalfDone, match="did not answer within 1 seconds") as caught:
        mill.person("sync").sync()
    assert caught.value.exit is Exit.HALF_DONE
    stale = mill.server.tip("production")
    plant.hangs = None
    assert [one.name for one in mill.person("sync-2").sync().packages] == ["chain"]
    hanging.set()
    # What the first one began with was called twice, the rest once and by the other.
    assert [plant.calls.count((f"job/{name}",)) for name in "abc"] == [2, 1, 1]
    assert receipts(mill)[-1]["runner"] == "sync-2"
    # Its place in the ledger is another's now: no receipt can follow it any more.
    clone = mill.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    body = clone.git("log", "-1", "--format=%B", stale).replace('"started"', '"alive"')
    late = clone.git("commit-tree", "-S", "-p", stale, "-m", body, f"{stale}^{{tree}}")
    with nothing_moves(mill), pytest.raises(AssertionError, match="rejected"):
        clone.push(f"{late}:refs/heads/production")
    assert verify(mill.person("view-1").desk).ok


# P35.


def test_p35_this_version_starts_no_job_at_all(shop: Shop) -> None:
    """Until starting is told apart from having started, a plan that asks for it is refused at every way in."""
    author = shop.person("dev-1")
    author.write(orders("new"))
    author.submit("orders")
    with nothing_moves(shop), pytest.raises(NotYetBuilt, match="does not run jobs"):
        author.release("orders", execute=True)
    for words in (("release", "orders", "--execute"), ("run", "start", "orders")):
        with nothing_moves(shop):
            ran = typed(author, *words)
        assert (ran.returncode in {Exit.REFUSED, Exit.USAGE}, ran.stdout) == (True, "")
    manifest = author.release("orders", name="asking").manifest
    asking = replace(manifest, execute=True)
    amend(author, "package/asking", {manifest.path: dump(manifest_document(asking))})
    said = shop.person("dep-1").approve("asking").merged
    assert said is not None
    assert said.merge is None
    merge_by_git(shop, "asking")
    before = tree(shop, "deploy/main")
    (one,) = shop.person("sync").sync().packages
    assert (str(one.status), one.reasons) == (
        "refused",
        ("it asks to run jobs, which this version does not do",),
    )
    assert tree(shop, "deploy/main") == before


@pytest.mark.parametrize("dies", ["dies_before", "dies_after"])
def test_p35_a_retry_does_again_only_what_was_not_done(mill: Shop, plant: Plant, dies: str) -> None:
    """What a runner was about to do stands in the ledger first, and whoever comes next looks before doing it."""
    merged(mill, CHAIN, "a", "b", "c", name="chain")
    setattr(plant, dies, 1)
    with pytest.raises(Killed):
        mill.person("sync").sync()
    assert receipts(mill)[-1]["event"] in {"started", "alive"}
    plant.dies_before = plant.dies_after = None
    assert [one.name for one in mill.person("sync-2").sync().packages] == ["chain"]
    assert plant.made == 3
    assert plant.calls.count(("job/b",)) == (2 if dies == "dies_before" else 1)
    with nothing_moves(mill):
        mill.person("sync").sync(retry=True)
    assert plant.made == 3


# P38.


def test_p38_reverting_a_release_takes_no_evidence_away(shop: Shop) -> None:
    """Who approved what lives beside the main branch: a revert pushed there removes neither it nor production."""
    name = shop.released(orders("kept") | job("also-kept"), "orders", "also-kept")
    (started,) = [one for one in receipts(shop) if one.get("package") == name and one["event"] == "started"]
    evidence = started["evidence"]
    clone = shop.person("adm-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "-B", "main", "origin/main")
    clone.git("revert", "--no-edit", "-m", "1", "HEAD")
    clone.push("HEAD:main")
    production = tree(shop, "deploy/main")
    with nothing_moves(shop):
        result = shop.person("sync").sync()
    assert (ORDERS in result.unapproved, result.exit) == (True, Exit.REFUSED)
    assert tree(shop, "deploy/main") == production
    kept = set(shop.server.git("rev-list", "production").split())
    assert {
        evidence["head"],
        evidence["log"],
        evidence["mainAfter"],
        *evidence["tasks"],
        *evidence["approvals"],
    } <= kept
    shown = typed(shop.person("view-1"), "package", "view", name).stdout
    assert "successful" in shown
    assert "dep-1" in shown
    viewer = shop.person("view-1").desk
    assert {one.ref for one in verify(viewer).broken} == {"refs/heads/main"}
    assert verify(viewer).checked.packages == 1


def test_p38_the_way_back_is_a_release_of_its_own(shop: Shop) -> None:
    """Going back adds to the past: the package that went back, and the one before it, are both there to read."""
    first = shop.released(orders("first"), "orders")
    edit(shop.person("dev-1"), ORDERS, "first", "second")
    second = shop.released({}, "orders")
    ran = typed(shop.person("dev-1"), "rollback", second, "--name", "back")
    assert ran.returncode == Exit.DONE
    shop.person("dep-1").approve("back")
    shop.person("sync").sync()
    finished = [one["package"] for one in receipts(shop) if one["event"] == "finished" and one.get("package")]
    assert finished == [first, second, "back"]
    assert shop.production("jobs/1c/orders.job")["description"] == "Loads orders first"
    assert verify(shop.person("view-1").desk).checked.packages == 3
