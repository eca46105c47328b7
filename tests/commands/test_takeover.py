"""A runner that dies, is slow, or is overtaken: whoever comes next ends in the same place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest

from gitrelease.archiving import ArchiveUnreadable
from gitrelease.commands.applying import begin
from gitrelease.commands.runner import Shift, TakenOver
from gitrelease.commands.sync import SyncResult, _order_for
from gitrelease.core.archive import number_path
from gitrelease.core.names import MemberId, item_key
from gitrelease.core.plan import OutcomeStatus
from gitrelease.core.status import Status
from gitrelease.errors import Exit, HalfDone, Refused
from tests.kit.git import Bench
from tests.kit.much_alike import first
from tests.kit.raw import push_on
from tests.kit.shop import Shop, job_yaml
from tests.kit.targets import (
    Killed,
    Plant,
    merged,
    open_mill,
    receipts,
    subjects,
    tree,
    workspace_merged,
)

ORDERS = "jobs/sales/orders.job.yaml"
CLEAN = SyncResult(packages=(), other=(), unapproved=(), waiting=(), drifted=(), behind=())
CHAIN = {
    "jobs/sales/a.job.yaml": job_yaml("a"),
    "jobs/sales/b.job.yaml": job_yaml("b", after=["a"]),
    "jobs/sales/c.job.yaml": job_yaml("c", after=["b"]),
}
AFTER_CHAIN = {f"job/{name}": 1 for name in ("a", "b", "c", "orders")} | {"script/clean": 1}


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """The production system."""
    return Plant(folder=tmp_path / "plant")


@pytest.fixture
def mill(bench: Bench, plant: Plant) -> Iterator[Shop]:
    """A shop whose only production is the plant, in line; runners wait one second for each other."""
    with open_mill(bench, {"plant": plant}, lease=1) as shop:
        shop.person("sync").sync()
        plant.calls.clear()
        plant.in_call.clear()
        plant.made = 0
        yield shop


def orders(note: str) -> dict[str, str]:
    """Change the job that the shop starts with."""
    return {ORDERS: job_yaml("orders", script="clean", note=note)}


def told(shop: Shop) -> list[str]:
    """Read the ledger without signs of life, which come when they come."""
    return [line for line in subjects(shop) if not line.startswith("alive")]


def is_in_line(shop: Shop, plant: Plant, versions: dict[str, int], packages: int) -> None:
    """Show that production, the ledger and the main branch agree, and that nothing is left to do."""
    assert plant.versions() == versions
    guarded = ("workspace.yaml", "jobs", "scripts", "items", "packages")
    assert shop.server.git("diff", "--raw", "main", "production", "--", *guarded) == ""
    assert sum(ref.startswith("refs/tags/release/") for ref in shop.refs()) == packages
    assert not [ref for ref in shop.refs() if ref.startswith(("refs/heads/submit/", "refs/heads/package/"))]
    refs = shop.refs()
    assert shop.person("sync-2").sync() == CLEAN
    assert shop.refs() == refs


@pytest.mark.parametrize("number", first(1, [1, 0, 2]))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_runner_that_dies_at_any_change_is_finished_by_the_next(
    mill: Shop, plant: Plant, number: int, when: str
) -> None:
    name = merged(mill, CHAIN, "a", "b", "c")
    setattr(plant, f"dies_{when}", number)
    with pytest.raises(Killed):
        mill.person("sync").sync()
    plant.dies_before = plant.dies_after = None
    done = number + (when == "after")
    assert plant.made == done
    before = monotonic()
    result = mill.person("sync-2").sync()
    assert monotonic() - before > 1.0
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.SUCCESSFUL)]
    assert result.exit is Exit.DONE
    # What was there already is not deployed again.
    assert plant.made == 3
    assert plant.calls[-(3 - done) :] == [(f"job/{letter}",) for letter in "abc"[done:]] or done == 3
    assert told(mill)[3:] == [f"started package {name}", f"finished package {name}"]
    assert [one["runner"] for one in receipts(mill)[-2:]] == ["sync-2", "sync-2"]
    assert {str(one.item): one.outcome.status for one in result.packages[0].results} == {
        f"job/{letter}": OutcomeStatus.SUCCESSFUL for letter in "abc"
    }
    is_in_line(mill, plant, AFTER_CHAIN, 1)


def test_a_runner_that_dies_right_after_it_started_is_finished_by_the_next(mill: Shop, plant: Plant) -> None:
    name = merged(mill, orders("two"), "orders")
    runner = mill.person("sync")
    now = runner.desk.look()
    (found,) = now.merged
    assert found.judged is not None
    plant.dies_before = 0
    order = _order_for(runner.desk, now, found, found.judged)
    with pytest.raises(Killed):
        begin(runner.desk, now, order, Shift(member=MemberId("sync"), run="dead"))
    plant.dies_before = None
    assert [one.name for one in mill.person("sync-2").sync().packages] == [name]
    is_in_line(mill, plant, {"job/orders": 2, "script/clean": 1}, 1)


def test_a_no_after_sync_has_started_comes_too_late(mill: Shop, plant: Plant) -> None:
    name = merged(mill, orders("two"), "orders")
    plant.dies_before = 0
    with pytest.raises(Killed):
        mill.person("sync").sync()
    plant.dies_before = None
    refs = mill.refs()
    with pytest.raises(Refused, match=f"{name} is being released"):
        mill.person("dep-2").reject(name)
    with pytest.raises(Refused, match=f"{name} is being released"):
        mill.person("dev-1").revoke(name)
    assert mill.refs() == refs
    assert [(one.name, one.status) for one in mill.person("sync").sync().packages] == [
        (name, Status.SUCCESSFUL)
    ]


def test_a_baseline_that_died_is_finished(bench: Bench, plant: Plant) -> None:
    with open_mill(bench, {"plant": plant}, lease=1) as shop:
        plant.meddle("job/orders", {"jobs/1c/orders.job": "{}"})
        plant.dies_after = 0
        with pytest.raises(Killed):
            shop.person("sync").sync()
        plant.dies_after = None
        assert shop.person("sync-2").sync().exit is Exit.DONE
        assert told(shop) == ["root the ledger", "started baseline", "finished baseline"]
        is_in_line(shop, plant, {"job/orders": 1, "script/clean": 1}, 0)


def test_who_takes_over_a_retry_may_no_more_than_who_began_it(mill: Shop, plant: Plant) -> None:
    plant.meddle("job/orders", {"jobs/1c/orders.job": "{}"})
    plant.fails = frozenset({"bills"})
    merged(mill, orders("two") | {"jobs/sales/bills.job.yaml": job_yaml("bills")}, "orders", "bills")
    mill.person("sync").sync()
    plant.fails = frozenset()
    plant.dies_before = 0
    with pytest.raises(Killed):
        mill.person("sync").sync(retry=True)
    plant.dies_before = None
    result = mill.person("sync-2").sync()
    assert [str(item) for _, item in result.drifted] == ["job/orders"]
    assert plant.holds()["job/orders"] == {}
    assert plant.holds()["job/bills"]["version"] == "1"


def test_a_repair_that_died_is_finished(mill: Shop, plant: Plant) -> None:
    plant.meddle("job/orders", {"jobs/1c/orders.job": "{}"})
    plant.dies_before = 0
    with pytest.raises(Killed):
        mill.person("sync").sync(repair=("orders",))
    plant.dies_before = None
    assert mill.person("sync-2").sync().exit is Exit.DONE
    is_in_line(mill, plant, {"job/orders": 1, "script/clean": 1}, 0)


def test_a_runner_whose_key_the_package_changes_is_taken_over_by_another(
    mill: Shop, plant: Plant, bench: Bench
) -> None:
    mill.person("sync").sync()
    merged(mill, orders("two"), "orders")
    workspace_merged(mill, bench.keys("sync").public, bench.keys("sync-new").public)
    plant.dies_after = 0
    with pytest.raises(Killed):
        mill.person("sync").sync()
    plant.dies_after = None
    assert [one.status for one in mill.person("sync-2").sync().packages] == [Status.SUCCESSFUL] * 2
    is_in_line(mill, plant, {"job/orders": 2, "script/clean": 1}, 2)


# The lease.


def test_signs_of_life_keep_the_work_while_a_slow_target_is_busy(mill: Shop, plant: Plant) -> None:
    name = merged(mill, orders("slow"), "orders")
    plant.seconds = 0.9
    first: list[SyncResult] = []
    slow = Thread(target=lambda: first.append(mill.person("sync").sync()))
    mill.person("sync-2").desk.look()
    slow.start()
    assert plant.in_call.wait(10)
    result = mill.person("sync-2").sync()
    slow.join()
    assert [one.name for one in first[0].packages] == [name]
    assert result == CLEAN
    assert plant.calls == [("job/orders",)]
    assert subjects(mill).count(f"alive package {name}") >= 1
    assert {one["runner"] for one in receipts(mill)} == {"adm-1", "sync"}


def test_each_runner_waits_as_long_as_the_ledger_says_not_as_a_package_to_come_would_have_it(
    mill: Shop, plant: Plant
) -> None:
    merged(mill, orders("two"), "orders")
    workspace_merged(mill, "lease: 1\n", "lease: 600\n")
    plant.seconds = 0.8
    result = mill.person("sync").sync()
    assert [one.status for one in result.packages] == [Status.SUCCESSFUL] * 2
    # Within a call of 0.8 s a lease of 1 s is renewed, one of 600 s would not be.
    assert any(line.startswith("alive package orders") for line in subjects(mill))


def test_a_call_longer_than_the_lease_is_given_up_and_the_next_sync_finishes(
    mill: Shop, plant: Plant
) -> None:
    name = merged(mill, orders("two"), "orders")
    plant.hangs = Event()
    before = monotonic()
    with pytest.raises(HalfDone, match="the target did not answer within 1 seconds") as caught:
        mill.person("sync").sync()
    assert 0.9 < monotonic() - before < 5
    assert caught.value.exit is Exit.HALF_DONE
    assert told(mill)[-1] == f"started package {name}"
    plant.hangs.set()
    plant.hangs = None
    result = mill.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.SUCCESSFUL)]
    is_in_line(mill, plant, {"job/orders": 2, "script/clean": 1}, 1)


def test_a_holder_that_was_taken_over_stops_and_leaves_the_rest_to_the_other(
    mill: Shop, plant: Plant
) -> None:
    merged(mill, CHAIN, "a", "b", "c", name="chain")
    # The holder's clock runs slow: it thinks that it has a minute, and shows no sign of life for long.
    plant.hangs = Event()
    found: list[BaseException | SyncResult] = []
    holder = mill.person("sync")

    def run() -> None:
        now = holder.desk.look()
        (one,) = now.merged
        assert one.judged is not None
        order = _order_for(holder.desk, now, one, one.judged)
        try:
            begin(holder.desk, now, order, Shift(member=MemberId("sync"), run="slow"))
        except BaseException as wrong:  # noqa: BLE001 - looked at below
            found.append(wrong)

    thread = Thread(target=run)
    thread.start()
    assert plant.in_call.wait(10)
    steal(mill)
    thread.join(10)
    assert [type(wrong) for wrong in found] == [TakenOver]
    plant.hangs.set()
    plant.hangs = None
    # It called the target once, and never again after it had lost the ledger.
    assert plant.calls == [("job/a",)]
    assert [one.name for one in mill.person("sync-2").sync().packages] == ["chain"]
    is_in_line(mill, plant, AFTER_CHAIN, 1)


def steal(shop: Shop) -> None:
    """Move the ledger by one sign of life of the other runner, as one that takes over does."""
    clone = shop.person("sync-2").clone
    for _ in range(20):
        clone.git("fetch", "--quiet", "origin")
        body = clone.git("log", "-1", "--format=%B", "origin/production")
        body = body.replace('"started"', '"alive"').replace('"runner": "sync"', '"runner": "sync-2"')
        kept = clone.git("log", "-1", "--format=%P", "origin/production").split()[1:2]
        parents = [word for parent in ("origin/production", *kept) for word in ("-p", parent)]
        made = clone.git("commit-tree", "-S", *parents, "-m", body, "origin/production^{tree}")
        tip = clone.tip("origin/production")
        clone.git(
            "push",
            "--quiet",
            f"--force-with-lease=production:{tip}",
            "origin",
            f"{made}:production",
            check=False,
        )
        if shop.refs()["refs/heads/production"] == made:
            return
    raise AssertionError("the ledger never stood still")


def test_the_ledger_is_moved_before_each_call_so_that_one_who_lost_it_makes_no_other(
    bench: Bench, plant: Plant
) -> None:
    # The lease is so long that no sign of life is due within a call.
    with open_mill(bench, {"plant": plant}, lease=60) as shop:
        shop.person("sync").sync()
        merged(shop, CHAIN, "a", "b", "c")
        plant.calls.clear()
        plant.meanwhile = lambda: steal(shop)
        runner = shop.person("sync")
        now = runner.desk.look()
        (one,) = now.merged
        assert one.judged is not None
        order = _order_for(runner.desk, now, one, one.judged)
        with pytest.raises(TakenOver):
            begin(runner.desk, now, order, Shift(member=MemberId("sync"), run="first"))
        assert plant.calls == [("job/a",)]


def test_a_runner_that_lost_the_ledger_gives_way_and_waits_like_any_other(mill: Shop, plant: Plant) -> None:
    name = merged(mill, CHAIN, "a", "b", "c")
    plant.meanwhile = lambda: steal(mill)
    runner = mill.person("sync")
    result = runner.sync()
    assert "another runner took over; giving way" in runner.said
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.SUCCESSFUL)]
    assert plant.made == 3
    is_in_line(mill, plant, AFTER_CHAIN, 1)


def test_two_runners_finish_what_a_third_began_and_only_one_of_them_does(mill: Shop, plant: Plant) -> None:
    name = merged(mill, CHAIN, "a", "b", "c")
    plant.dies_after = 0
    with pytest.raises(Killed):
        mill.person("sync").sync()
    plant.dies_after = None
    results: dict[str, SyncResult] = {}

    def run(who: str) -> None:
        results[who] = mill.person(who).sync()

    threads = [Thread(target=run, args=(who,)) for who in ("sync", "sync-2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.name for result in results.values() for one in result.packages] == [name]
    assert plant.made == 3
    is_in_line(mill, plant, AFTER_CHAIN, 1)


# Other ways to be stopped half-way.


def test_a_target_that_cannot_be_reached_stops_a_sync_before_it_begins_anything(mill: Shop) -> None:
    merged(mill, orders("two"), "orders")
    refs = mill.refs()
    runner = mill.person("sync")

    def unreachable(settings: object) -> object:
        raise Refused("the plant cannot be reached")

    other = replace(runner.desk, connect=unreachable)  # type: ignore[arg-type]
    runner.desk, kept = other, runner.desk
    with pytest.raises(Refused, match="the plant cannot be reached"):
        runner.sync()
    runner.desk = kept
    assert mill.refs() == refs
    assert [one.status for one in runner.sync().packages] == [Status.SUCCESSFUL]


def test_an_archive_that_cannot_be_gone_on_with_stops_a_sync_before_it_begins_anything(mill: Shop) -> None:
    merged(mill, orders("one"), "orders")
    mill.person("sync").sync()
    merged(mill, orders("two"), "orders")
    path = number_path(item_key("job/orders"))
    good = mill.server.git("show", f"archive:{path}")
    entry = mill.server.git("log", "-1", "--format=%B", "archive")
    intruder = mill.person("dev-2")
    push_on(intruder, "archive", {path: "many\n"}, entry, base="origin/archive")
    ledger = mill.server.tip("production")
    with pytest.raises(ArchiveUnreadable, match="does not say which number is the highest"):
        mill.person("sync").sync()
    assert mill.server.tip("production") == ledger
    push_on(intruder, "archive", {path: f"{good}\n"}, entry, base="origin/archive")
    assert [one.status for one in mill.person("sync").sync().packages] == [Status.SUCCESSFUL]


def test_a_server_that_takes_no_more_receipts_leaves_work_half_done_and_says_so(
    mill: Shop, plant: Plant, bench: Bench
) -> None:
    name = merged(mill, orders("two"), "orders")
    # The first push of the ledger is taken, no other: the disk is full, say.
    script = (
        "test ! -e taken || exit 1\n"
        'while read old new ref; do case "$ref" in */production) : > taken ;; esac; done'
    )
    bench.hook(mill.server, "pre-receive", script)
    with pytest.raises(HalfDone, match=f"package {name} was begun and not finished") as caught:
        mill.person("sync").sync()
    assert caught.value.exit is Exit.HALF_DONE
    (mill.server.path / "hooks" / "pre-receive").unlink()
    assert [(one.name, one.status) for one in mill.person("sync").sync().packages] == [
        (name, Status.SUCCESSFUL)
    ]
    is_in_line(mill, plant, {"job/orders": 2, "script/clean": 1}, 1)


def test_a_branch_that_moves_while_a_package_is_finished_is_looked_at_again(mill: Shop, plant: Plant) -> None:
    name = merged(mill, orders("two"), "orders")
    plant.hangs = Event()
    results: list[SyncResult] = []
    thread = Thread(target=lambda: results.append(mill.person("sync").sync()))
    thread.start()
    assert plant.in_call.wait(10)
    # Somebody pushes over the package's branch while it is being released.
    clone = mill.person("dev-1").clone
    clone.git("fetch", "--quiet", "origin")
    moved = clone.git(
        "commit-tree", "-p", f"origin/package/{name}", "-m", "more", f"origin/package/{name}^{{tree}}"
    )
    clone.push(f"{moved}:package/{name}")
    plant.hangs.set()
    thread.join()
    assert [one.status for one in results[0].packages] == [Status.SUCCESSFUL]
    assert f"refs/heads/package/{name}" not in mill.refs()
    # Nothing that was pushed is lost, though nobody reviewed it.
    assert moved in mill.server.git("rev-list", "archive").split()
    plant.hangs = None
    is_in_line(mill, plant, {"job/orders": 2, "script/clean": 1}, 1)


def test_nothing_that_was_ever_pushed_is_lost(mill: Shop, plant: Plant) -> None:
    reached: set[str] = set()
    for number in range(3):
        merged(mill, orders(str(number)), "orders", name=f"p{number}")
        reached |= set(mill.server.git("rev-list", "--all").split())
        plant.dies_after = plant.made
        with pytest.raises(Killed):
            mill.person("sync").sync()
        plant.dies_after = None
        reached |= set(mill.server.git("rev-list", "--all").split())
        mill.person("sync-2").sync()
    assert reached <= set(mill.server.git("rev-list", "--all").split())
    # The ledger alone, in a plain clone, has every task and head there was.
    plain = set(mill.server.git("rev-list", "production").split())
    assert len(tree(mill, "archive")) == 1
    archived = set(mill.server.git("rev-list", "archive").split())
    assert reached <= plain | archived | set(mill.server.git("rev-list", "main").split())
