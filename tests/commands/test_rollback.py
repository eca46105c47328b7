"""`gitrelease rollback`: earlier bytes under the next numbers, by a package like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from gitrelease.commands.release import Released
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.sync import SyncResult
from gitrelease.core.item import Change
from gitrelease.core.names import BlobId, PackageName, package_name
from gitrelease.core.package import Manifest, Purpose, manifest_document, parse_manifest
from gitrelease.core.status import Status
from gitrelease.core.workspace import NotAllowed
from gitrelease.documents import dump, parse
from gitrelease.errors import Exit, NotFound, Refused, UsageError
from gitrelease.reading.situation import with_package
from tests.kit.git import Bench
from tests.kit.shop import FIRST_ITEMS, Shop, job_yaml, open_shop, script_yaml
from tests.kit.targets import merge_by_git, merged, propose, push_to_main, receipts, subjects, tree

ORDERS = "jobs/sales/orders.job.yaml"
BILLS = "jobs/sales/bills.job.yaml"
CLEAN = SyncResult(packages=(), other=(), unapproved=(), waiting=(), drifted=(), behind=())


@pytest.fixture
def synced(shop: Shop) -> Shop:
    """The shop, its production in line."""
    shop.person("sync").sync()
    return shop


def orders(note: str) -> dict[str, str]:
    """Change the job that the shop starts with."""
    return {ORDERS: job_yaml("orders", script="clean", note=note)}


def back(shop: Shop, package: PackageName, *items: str, by: str = "dev-1", **more: object) -> Released:
    """Propose to go back."""
    return rollback(shop.person(by).desk, RollbackRequest(package=package, items=items, **more))  # type: ignore[arg-type]


def approved(shop: Shop, package: PackageName, yes: str = "dep-1") -> SyncResult:
    """Approve a package and bring production in line."""
    shop.person(yes).approve(package)
    return shop.person("sync").sync()


def plan(manifest: Manifest) -> dict[str, tuple[Change, int | None, int]]:
    """Say what a manifest does to each item: the change, the number before, the number after."""
    return {
        str(one.item): (one.change, one.before.version if one.before else None, one.after.version)
        for one in manifest.items
    }


def at(shop: Shop, path: str, rev: str = "main") -> str:
    """Read a file on the server."""
    return shop.server.git("show", f"{rev}:{path}") + "\n"


def test_a_package_goes_back_with_the_bytes_of_before_and_the_next_number(synced: Shop) -> None:
    first = at(synced, ORDERS)
    name = synced.released(orders("two"), "orders")
    made = back(synced, name)
    assert plan(made.manifest) == {"job/orders": (Change.MODIFY, 2, 3)}
    assert (made.manifest.purpose, made.manifest.rolls_back, made.manifest.applicant) == (
        Purpose.ROLLBACK,
        name,
        "dev-1",
    )
    task = synced.refs()["refs/heads/submit/job/orders/v3"]
    assert [one.task for one in made.manifest.items] == [task]
    assert synced.server.git("log", "-1", "--format=%s", task) == f"Roll back job/orders to before {name}"
    # Nothing happens before somebody else says yes.
    assert synced.person("sync").sync() == CLEAN
    result = approved(synced, made.manifest.name)
    assert ([(one.name, one.status) for one in result.packages], result.exit) == (
        [(made.manifest.name, Status.SUCCESSFUL)],
        Exit.DONE,
    )
    assert at(synced, ORDERS) == first.replace("version: 1\n", "version: 3\n")
    assert at(synced, ORDERS, "production") == at(synced, ORDERS)
    assert receipts(synced)[-1]["results"][0]["version"] == 3
    assert synced.person("sync").sync() == CLEAN


def test_added_items_go_back_to_deleted_and_deleted_ones_return(synced: Shop) -> None:
    synced.released({BILLS: job_yaml("bills")}, "bills")
    person = synced.person("dev-1")
    person.write({"jobs/ops/new.job.yaml": job_yaml("new"), BILLS: None})
    tasks = [str(one.task) for one in person.submit("new").items]
    tasks += [str(one.task) for one in person.submit("job/bills", delete=True).items]
    name = person.release(*tasks).manifest.name
    approved(synced, name)
    assert sorted(path for path in tree(synced, "main") if path.startswith("jobs/")) == [
        "jobs/ops/new.job.yaml",
        ORDERS,
    ]
    made = back(synced, name)
    assert plan(made.manifest) == {"job/new": (Change.DELETE, 1, 2), "job/bills": (Change.ADD, 2, 3)}
    assert approved(synced, made.manifest.name).exit is Exit.DONE
    assert sorted(path for path in tree(synced, "main") if path.startswith("jobs/")) == [BILLS, ORDERS]
    assert at(synced, BILLS) == job_yaml("bills", version=3)
    names = {path.rpartition("/")[2] for path in tree(synced, "deploy/main")}
    assert names == {"bills.job", "orders.job", "clean.script"}
    assert synced.person("sync").sync() == CLEAN


def test_a_script_goes_back_with_its_content(synced: Shop) -> None:
    before = at(synced, "scripts/sales/clean.sql")
    name = synced.released({"scripts/sales/clean.sql": "SELECT 2;\n"}, "script/clean")
    approved(synced, back(synced, name).manifest.name)
    assert at(synced, "scripts/sales/clean.sql") == before
    assert at(synced, "scripts/sales/clean.script.yaml") == script_yaml("clean", version=3)


def test_what_was_released_again_since_goes_back_only_when_it_is_named(synced: Shop) -> None:
    name = synced.released(orders("two") | {BILLS: job_yaml("bills")}, "orders", "bills")
    synced.released(orders("three"), "orders")
    refs = synced.refs()
    with pytest.raises(Refused, match=f"released again since {name}: job/orders") as caught:
        back(synced, name)
    assert caught.value.hint == "name the items that are to go back all the same with --item"
    with pytest.raises(NotFound, match=f"{name} did not release script/clean"):
        back(synced, name, "script/clean")
    assert synced.refs() == refs
    made = back(synced, name, "orders")
    assert plan(made.manifest) == {"job/orders": (Change.MODIFY, 3, 4)}
    assert approved(synced, made.manifest.name).exit is Exit.DONE
    assert at(synced, ORDERS) == job_yaml("orders", version=4, script="clean")
    assert BILLS in tree(synced, "main")


def test_one_item_of_a_package_goes_back_alone(synced: Shop) -> None:
    name = synced.released(orders("two") | {BILLS: job_yaml("bills")}, "orders", "bills")
    made = back(synced, name, "job/bills")
    assert plan(made.manifest) == {"job/bills": (Change.DELETE, 1, 2)}
    assert approved(synced, made.manifest.name).exit is Exit.DONE
    assert "Loads orders two" in at(synced, ORDERS)


def test_a_rollback_can_be_rolled_back(synced: Shop) -> None:
    name = synced.released(orders("two"), "orders")
    first = back(synced, name)
    approved(synced, first.manifest.name)
    second = back(synced, first.manifest.name)
    assert plan(second.manifest) == {"job/orders": (Change.MODIFY, 3, 4)}
    assert approved(synced, second.manifest.name).exit is Exit.DONE
    assert at(synced, ORDERS) == job_yaml("orders", version=4, script="clean", note="two")
    with pytest.raises(Refused, match=f"released again since {name}: job/orders"):
        back(synced, name)


def test_a_workspace_goes_back_with_an_admins_yes(synced: Shop) -> None:
    before = at(synced, "workspace.yaml")
    synced.person("adm-1").write(
        {"workspace.yaml": before.replace("approvals: 1\n  rollback", "approvals: 2\n  rollback")}
    )
    name = merged(synced, {}, "workspace.yaml", by="adm-1", yes="adm-2")
    synced.person("sync").sync()
    made = back(synced, name, by="adm-1")
    synced.person("dep-1").approve(made.manifest.name)
    assert synced.person("sync").sync().packages == ()
    assert approved(synced, made.manifest.name, "adm-2").exit is Exit.DONE
    assert at(synced, "workspace.yaml") == before.replace("\nversion: 1\n", "\nversion: 3\n")


def test_said_twice_a_rollback_is_one_package(synced: Shop) -> None:
    name = synced.released(orders("two"), "orders")
    made = back(synced, name)
    refs = synced.refs()
    again = back(synced, name)
    assert (again.is_old, again.manifest, again.head) == (True, made.manifest, made.head)
    assert synced.refs() == refs


def test_a_rollback_asks_for_its_own_number_of_approvals(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS)
    try:
        shop.person("sync").sync()
        text = at(shop, "workspace.yaml").replace("rollbackApprovals: 1", "rollbackApprovals: 2")
        shop.person("adm-1").write({"workspace.yaml": text})
        merged(shop, {}, "workspace.yaml", by="adm-1", yes="adm-2")
        name = shop.released(orders("two"), "orders")
        made = back(shop, name)
        assert approved(shop, made.manifest.name, "dep-1").packages == ()
        assert [one.name for one in approved(shop, made.manifest.name, "dep-2").packages] == [
            made.manifest.name
        ]
    finally:
        shop.close()


def test_who_proposes_a_rollback_does_not_approve_it(synced: Shop) -> None:
    name = synced.released(orders("two"), "orders")
    made = back(synced, name, by="dep-1")
    assert made.manifest.applicant == "dep-1"
    assert set(made.asked) == {"adm-1", "adm-2", "dep-2"}
    with pytest.raises(Refused, match="nobody approves their own work"):
        synced.person("dep-1").approve(made.manifest.name)
    assert approved(synced, made.manifest.name, "dep-2").exit is Exit.DONE


@pytest.mark.parametrize("who", ["view-1", "ops-1", "sync"])
def test_not_everybody_rolls_back(synced: Shop, who: str) -> None:
    name = synced.released(orders("two"), "orders")
    refs = synced.refs()
    with pytest.raises(NotAllowed, match=f"{who} .*may not"):
        back(synced, name, by=who)
    assert synced.refs() == refs


def test_a_number_that_another_spelling_has_used_up_is_not_given_again(synced: Shop) -> None:
    name = synced.released(orders("two"), "orders")
    synced.server.git("branch", "submit/job/Orders/v3", "main")
    assert plan(back(synced, name).manifest) == {"job/orders": (Change.MODIFY, 2, 4)}


def test_a_dry_run_shows_the_package_and_pushes_nothing(synced: Shop) -> None:
    name = synced.released(orders("two"), "orders")
    refs = synced.refs()
    dev = synced.person("dev-1")
    made = rollback(dev.desk, RollbackRequest(package=name), dry_run=True)
    assert (plan(made.manifest), made.head) == ({"job/orders": (Change.MODIFY, 2, 3)}, None)
    assert made.manifest.items[0].submitters == ("dev-1",)
    assert synced.refs() == refs
    # Nobody had to sign for it.
    shown = dev.clone.git("cat-file", "commit", made.manifest.items[0].task)
    assert shown.startswith("tree ") and "gpgsig" not in shown


def test_what_was_never_released_cannot_go_back(synced: Shop) -> None:
    with pytest.raises(NotFound, match="no package nothing was released"):
        back(synced, package_name("nothing"))
    name = propose(synced, orders("two"), "orders")
    with pytest.raises(NotFound, match=f"no package {name} was released"):
        back(synced, name)
    synced.person("dep-1").reject(name)
    with pytest.raises(Refused, match=f"{name} is rejected: there is nothing of it to roll back"):
        back(synced, name)
    with pytest.raises(UsageError):
        rollback(synced.person("dev-1").desk, RollbackRequest())
    with pytest.raises(UsageError):
        rollback(synced.person("dev-1").desk, RollbackRequest(package=name, unapproved=True))


def test_what_has_gone_back_need_not_go_back_again(synced: Shop) -> None:
    name = synced.released({BILLS: job_yaml("bills")}, "bills")
    approved(synced, back(synced, name).manifest.name)
    with pytest.raises(Refused):
        back(synced, name)
    with pytest.raises(Refused, match=f"everything is as it was before {name}"):
        back(synced, name, "job/bills")


def test_an_item_that_nobody_approved_is_put_back_first(synced: Shop) -> None:
    name = synced.released(orders("two"), "orders")
    push_to_main(synced, orders("pushed"), by="dev-2")
    with pytest.raises(Refused, match="the main branch holds job/orders as nobody approved it"):
        back(synced, name)


def test_a_merged_package_can_go_back_before_sync_has_seen_it(synced: Shop) -> None:
    name = merged(synced, orders("two"), "orders")
    made = back(synced, name)
    synced.person("dep-1").approve(made.manifest.name)
    result = synced.person("sync").sync()
    assert [one.name for one in result.packages] == [name, made.manifest.name]
    assert subjects(synced)[-1] == f"finished package {made.manifest.name}"
    assert synced.person("sync").sync() == CLEAN


# Attacks.


def forged(shop: Shop, made: Released, changes: Mapping[str, object]) -> PackageName:
    """Push a package by hand, with a manifest that claims other than gitrelease would write."""
    person = shop.person("dev-1")
    now = person.desk.look()
    manifest = replace(made.manifest, **changes)  # type: ignore[arg-type]
    blob = person.repo.write_blob(dump(manifest_document(manifest)))
    tree_id = with_package(person.repo, person.repo.tree_of(now.main), manifest.difference(BlobId(blob)))
    head = person.desk.pen.commit(
        person.repo, tree=tree_id, parents=(now.main,), message=f"Release {manifest.name}\n"
    )
    person.clone.push(f"{head}:refs/heads/package/{manifest.name}")
    return manifest.name


def test_a_package_that_calls_itself_a_rollback_and_brings_other_bytes_is_refused(synced: Shop) -> None:
    name = synced.released(orders("two"), "orders")
    # The applicant hopes for the fewer approvals of a rollback.
    person = synced.person("dev-1")
    person.write(orders("evil"))
    (task,) = person.submit("orders").items
    made = person.release(str(task.task), name="evil", dry_run=True)
    evil = forged(synced, made, {"purpose": Purpose.ROLLBACK, "rolls_back": name})
    with pytest.raises(Refused, match=f"job/orders would not get the bytes from before {name}"):
        synced.person("dep-1").approve(evil)
    merge_by_git(synced, evil)
    result = synced.person("sync").sync()
    assert result.packages == ()
    assert [one.name for one in result.waiting] == [evil]
    assert f"job/orders would not get the bytes from before {name}" in result.waiting[0].reasons
    assert "two" in at(synced, ORDERS, "production")


@pytest.mark.parametrize("other", [None, "never"])
def test_a_rollback_of_nothing_is_refused(synced: Shop, other: str | None) -> None:
    person = synced.person("dev-1")
    person.write(orders("evil"))
    (task,) = person.submit("orders").items
    made = person.release(str(task.task), name="evil", dry_run=True)
    rolls_back = None if other is None else package_name(other)
    evil = forged(synced, made, {"purpose": Purpose.ROLLBACK, "rolls_back": rolls_back})
    with pytest.raises(Refused, match="which was never released"):
        synced.person("dep-1").approve(evil)


def test_a_manifest_is_read_back_as_it_was_written(synced: Shop) -> None:
    made = back(synced, synced.released(orders("two"), "orders"))
    text = synced.server.git("show", f"package/{made.manifest.name}:{made.manifest.path}") + "\n"
    assert parse_manifest(parse(text.encode(), file="manifest").value) == made.manifest
