"""`gitrelease status`: what is not submitted, and production against the main branch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitrelease.commands.status import StatusResult, TargetStatus, status
from gitrelease.core.names import ItemKey, item_key
from gitrelease.core.status import Status
from gitrelease.errors import Exit
from tests.kit.git import Bench
from tests.kit.shop import Shop, job_yaml
from tests.kit.targets import Killed, Plant, merge_by_git, merged, open_mill, propose, push_to, push_to_main

ORDERS = "jobs/sales/orders.job.yaml"
BILLS = "jobs/sales/bills.job.yaml"


def orders(note: str) -> dict[str, str]:
    """Change the job that the shop starts with."""
    return {ORDERS: job_yaml("orders", script="clean", note=note)}


def items(*names: str) -> tuple[ItemKey, ...]:
    """Name items."""
    return tuple(item_key(name) for name in names)


def target(
    outstanding: tuple[str, ...] = (),
    drifted: tuple[str, ...] = (),
    unapproved: tuple[str, ...] = (),
    name: str = "main",
    behind: tuple[str, ...] = (),
) -> TargetStatus:
    """Say how a target stands."""
    return TargetStatus(
        name=name,
        outstanding=items(*outstanding),
        drifted=items(*drifted),
        unapproved=unapproved,
        behind=items(*behind),
    )


def stands(
    *targets: TargetStatus, unsubmitted: tuple[str, ...] = (), strays: tuple[str, ...] = (), **more: object
) -> StatusResult:
    """Say how the shop stands; nothing said is all in line."""
    return StatusResult(
        unsubmitted=items(*unsubmitted),
        strays=strays,
        targets=targets or (target(),),
        packages=(),
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def synced(shop: Shop) -> Shop:
    """The shop, its production in line."""
    shop.person("sync").sync()
    return shop


def test_all_in_line(synced: Shop) -> None:
    refs = synced.refs()
    told = status(synced.person("dev-1").desk)
    assert told == stands()
    assert told.exit is Exit.DONE
    assert synced.refs() == refs


def test_anybody_may_look(synced: Shop) -> None:
    assert status(synced.person("nobody").desk) == stands()


def test_a_target_that_was_never_given_anything_is_outstanding(shop: Shop) -> None:
    told = status(shop.person("dev-1").desk)
    assert told == stands(target(outstanding=("job/orders", "script/clean")))
    assert told.exit is Exit.WAITING


def test_what_is_edited_new_or_gone_is_unsubmitted_until_it_is_submitted(synced: Shop) -> None:
    person = synced.person("dev-1")
    person.write(orders("edited") | {BILLS: job_yaml("bills"), "jobs/sales/notes.txt": "stray\n"})
    assert status(person.desk) == stands(
        unsubmitted=("job/bills", "job/orders"), strays=("jobs/sales/notes.txt",)
    )
    person.submit("orders")
    assert status(person.desk) == stands(unsubmitted=("job/bills",), strays=("jobs/sales/notes.txt",))
    person.submit("bills")
    assert status(person.desk) == stands(strays=("jobs/sales/notes.txt",))
    person.write(orders("edited again"))
    assert status(person.desk) == stands(unsubmitted=("job/orders",), strays=("jobs/sales/notes.txt",))


def test_a_deleted_file_is_unsubmitted_until_its_deletion_is_submitted(synced: Shop) -> None:
    person = synced.person("dev-1")
    person.write({ORDERS: None})
    assert status(person.desk) == stands(unsubmitted=("job/orders",))
    person.submit("job/orders", delete=True)
    assert status(person.desk) == stands()


def test_what_was_released_is_not_unsubmitted(synced: Shop) -> None:
    synced.released(orders("two"), "orders")
    assert status(synced.person("dev-1").desk) == stands()


def test_a_script_whose_content_alone_was_edited_is_unsubmitted(synced: Shop) -> None:
    person = synced.person("dev-1")
    person.write({"scripts/sales/clean.sql": "SELECT 2;\n"})
    assert status(person.desk) == stands(unsubmitted=("script/clean",))
    person.submit("script/clean")
    assert status(person.desk) == stands()


def test_files_as_they_were_pulled_are_not_edited_though_the_main_branch_went_on(synced: Shop) -> None:
    synced.person("dev-2")
    synced.released(orders("two"), "orders")
    synced.released({BILLS: job_yaml("bills")}, "bills")
    assert status(synced.person("dev-2").desk) == stands()
    synced.person("dev-2").write(orders("mine"))
    assert status(synced.person("dev-2").desk) == stands(unsubmitted=("job/orders",))


def test_what_is_merged_and_not_yet_applied_is_outstanding(synced: Shop) -> None:
    name = merged(synced, orders("two"), "orders")
    told = status(synced.person("dep-1").desk)
    assert told.targets == (target(outstanding=("job/orders",)),)
    assert told.packages == ((name, Status.MERGED),)
    assert told.exit is Exit.WAITING
    synced.person("sync").sync()
    assert status(synced.person("dep-1").desk) == stands()


def test_what_was_merged_unapproved_is_unapproved_and_not_outstanding(synced: Shop) -> None:
    name = propose(synced, orders("early"), "orders")
    merge_by_git(synced, name)
    told = status(synced.person("dep-1").desk)
    assert told.packages == ((name, Status.MERGED),)
    assert told.exit is Exit.REFUSED
    assert [one.outstanding for one in told.targets] == [()]
    assert "job/orders" in told.targets[0].unapproved


def test_what_was_pushed_directly_is_unapproved(synced: Shop) -> None:
    push_to_main(synced, orders("pushed") | {"jobs/sales/notes.txt": "stray\n"}, by="dev-2")
    told = status(synced.person("dep-1").desk)
    assert told == stands(target(unapproved=("jobs/sales/notes.txt", "job/orders")))
    assert told.exit is Exit.REFUSED


def test_what_production_holds_beside_the_ledger_is_drifted(synced: Shop) -> None:
    push_to(synced, "deploy/main", {"scripts/3b/clean.script": "{}\n"})
    told = status(synced.person("dev-1").desk)
    assert told == stands(target(drifted=("script/clean",)))
    assert told.exit is Exit.REFUSED


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """The production system."""
    return Plant(folder=tmp_path / "plant")


@pytest.fixture
def mill(bench: Bench, plant: Plant) -> Iterator[Shop]:
    """A shop whose only production is the plant, in line."""
    with open_mill(bench, {"plant": plant}, lease=1) as shop:
        shop.person("sync").sync()
        yield shop


def test_what_failed_is_outstanding(mill: Shop, plant: Plant) -> None:
    plant.fails = frozenset({"orders"})
    merged(mill, orders("two"), "orders")
    mill.person("sync").sync()
    told = status(mill.person("dep-1").desk)
    assert told == stands(target(outstanding=("job/orders",), name="plant", behind=("job/orders",)))
    assert told.exit is Exit.WAITING


def test_what_a_runner_is_at_work_on_is_told(mill: Shop, plant: Plant) -> None:
    name = merged(mill, orders("two"), "orders")
    plant.dies_before = plant.made
    with pytest.raises(Killed):
        mill.person("sync").sync()
    told = status(mill.person("dep-1").desk)
    assert told.syncing == f"started package {name}"
    assert [one.outstanding for one in told.targets] == [items("job/orders")]
    assert told.exit is Exit.WAITING
