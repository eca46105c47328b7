"""Packages: the manifest is the plan, and everything that can be wrong with one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gitrelease.core.content import Held
from gitrelease.core.finding import AllowedSecret
from gitrelease.core.item import Change, ItemState
from gitrelease.core.names import (
    BlobId,
    CommitId,
    ItemKey,
    ItemName,
    Kind,
    MemberId,
    PackageName,
    TaskId,
    item_key,
)
from gitrelease.core.package import (
    MOST_TASKS,
    Manifest,
    PlannedItem,
    Purpose,
    RestoredPath,
    default_name,
    faults_of,
    manifest_document,
    parse_manifest,
    same_state,
    stale_items,
    unexpected,
)
from tests.core.proposals import PLAN, ROOT, WORKSPACE_CHANGE, manifest, pin, planned, state

AT = datetime(2026, 11, 20, 9, 8, 7, tzinfo=UTC)
ORDERS = "jobs/sales/orders.job.yaml"
OLD = state(3, {ORDERS: "old"})
RESTORE = RestoredPath(path="jobs/x.job.yaml", found=Held("f"), approved=None)


def faults(plan: Manifest, **other: Any) -> list[tuple[str, str]]:
    place = {"branch": PackageName("orders_1"), "workspace": "6f0c", "root": ROOT, "main": "main"} | other
    return [(one.code, one.message) for one in faults_of(plan, **place)]


# Names.


def test_a_package_is_named_after_its_first_item_and_the_second_it_was_made_in() -> None:
    assert default_name([item_key("job/orders"), item_key("script/clean")], AT) == "orders_20261120090807"


@pytest.mark.parametrize("name", ["a" * 128, "订" * 66])
def test_a_long_name_is_cut_to_fit(name: str) -> None:
    made = default_name([item_key(f"job/{name}")], AT)
    assert made == f"{name}_20261120090807"
    assert len(made.encode()) <= 220


def test_a_name_is_never_cut_within_a_character() -> None:
    # An item may have 200 bytes; longer ones come only from callers that did not parse them.
    long = ItemKey(kind=Kind.JOB, name=ItemName("订" * 80))
    made = default_name([long], AT)
    assert made == "订" * 68 + "_20261120090807"


# What is wrong with a manifest by itself.


def test_a_manifest_in_order() -> None:
    assert faults(manifest()) == []
    assert faults(manifest(WORKSPACE_CHANGE)) == []


@pytest.mark.parametrize(
    ("elsewhere", "what"),
    [
        ({"branch": PackageName("other")}, "the manifest names the package orders_1, not other"),
        ({"workspace": "0000"}, "the manifest names the workspace 6f0c, not 0000"),
        ({"root": CommitId("e" * 40)}, f"the manifest names the trust root {ROOT}, not {'e' * 40}"),
        ({"main": "trunk"}, "the manifest names the main branch main, not trunk"),
    ],
)
def test_a_manifest_means_nothing_elsewhere(elsewhere: dict[str, Any], what: str) -> None:
    assert faults(manifest(), **elsewhere) == [("foreign", what)]


def many(count: int) -> Manifest:
    return manifest(*(planned(f"job/orders_{n}") for n in range(count)))


def test_exactly_100_tasks_fit() -> None:
    assert MOST_TASKS == 100
    assert faults(many(100)) == []
    assert faults(many(101)) == [("too-many", "101 tasks are more than the 100 of one package")]


def test_a_package_changes_something() -> None:
    assert faults(replace(manifest(), items=())) == [("empty", "the package changes nothing")]


def test_a_change_of_the_workspace_travels_alone() -> None:
    assert faults(manifest(WORKSPACE_CHANGE, planned())) == [
        ("workspace-with-others", "a change of the workspace travels alone")
    ]


def test_a_workspace_is_only_ever_modified() -> None:
    gone = replace(WORKSPACE_CHANGE, change=Change.DELETE, after=ItemState(version=2))
    assert faults(manifest(gone)) == [("workspace-change", "a workspace can only be modified")]


@pytest.mark.parametrize("other", ["job/orders", "job/ORDERS"])
def test_one_item_stands_in_a_package_once(other: str) -> None:
    assert faults(manifest(planned(), planned(other))) == [
        ("item-twice", f"{other} and job/orders are one name")
    ]


def test_a_job_and_a_script_of_one_name_are_two_items() -> None:
    assert faults(manifest(planned(), planned("script/orders"))) == []


@pytest.mark.parametrize("number", [1, 3])
def test_a_version_goes_up(number: int) -> None:
    back = planned(before=OLD, after=state(number, {ORDERS: "new"}), change=Change.MODIFY)
    assert faults(manifest(back)) == [("version", f"job/orders would go from version 3 to {number}")]


def test_a_version_may_leave_numbers_out() -> None:
    later = planned(before=OLD, after=state(9, {ORDERS: "new"}), change=Change.MODIFY)
    assert faults(manifest(later)) == []


GONE = ItemState(version=3)
THERE = state(4, {ORDERS: "new"})
NOT_THERE = ItemState(version=4)


@pytest.mark.parametrize(
    ("before", "after", "right"),
    [
        (None, THERE, Change.ADD),
        (GONE, THERE, Change.ADD),
        (OLD, THERE, Change.MODIFY),
        (OLD, NOT_THERE, Change.DELETE),
        (None, NOT_THERE, None),
        (GONE, NOT_THERE, None),
    ],
)
def test_a_change_is_what_it_says(before: ItemState | None, after: ItemState, right: Change | None) -> None:
    for change in Change:
        expected = [] if change is right else [("change", f"job/orders is not a case of {change}")]
        assert faults(manifest(planned(before=before, after=after, change=change))) == expected


def test_only_a_restore_puts_paths_back_and_it_does_nothing_else() -> None:
    wrong = [("purpose", "only a restore puts paths back, and it does nothing else")]
    alone = replace(manifest(), items=(), restores=(RESTORE,), purpose=Purpose.RESTORE)
    assert faults(alone) == []
    assert faults(replace(alone, purpose=Purpose.RELEASE)) == wrong
    assert faults(manifest(purpose=Purpose.RESTORE)) == wrong
    assert faults(manifest(purpose=Purpose.RESTORE, restores=(RESTORE,))) == wrong


# What it starts from.


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (OLD, None),
        (None, "job/orders is at no version, and the plan starts from version 3"),
        (state(4, {ORDERS: "old"}), "job/orders is at version 4, and the plan starts from version 3"),
        (state(3, {ORDERS: "other"}), "job/orders is at version 3, and the plan starts from version 3"),
        (
            state(3, {"jobs/web/orders.job.yaml": "old"}),
            "job/orders is at version 3, and the plan starts from version 3",
        ),
        (ItemState(version=4), "job/orders is at version 4 (deleted), and the plan starts from version 3"),
    ],
)
def test_a_plan_that_starts_from_something_else_is_stale(held: ItemState | None, message: str | None) -> None:
    plan = manifest(planned(before=OLD, after=THERE, change=Change.MODIFY))
    found = stale_items(plan, {item_key("job/orders"): held})
    assert [(one.code, one.message) for one in found] == ([] if message is None else [("stale", message)])


def test_a_plan_that_adds_what_is_there_is_stale() -> None:
    assert [one.message for one in stale_items(manifest(), {item_key("job/orders"): OLD})] == [
        "job/orders is at version 3, and the plan starts from no version"
    ]
    assert stale_items(manifest(), {}) == []


def test_two_states_are_one_only_with_the_same_number_and_bytes() -> None:
    assert [
        same_state(None, None),
        same_state(OLD, state(3, {ORDERS: "old"})),
        same_state(OLD, None),
        same_state(None, ItemState(version=0)),
        same_state(OLD, state(4, {ORDERS: "old"})),
        same_state(OLD, state(3, {ORDERS: "new"})),
    ] == [True, True, False, False, False, False]


# What it changes.


def test_the_difference_is_every_blob_with_its_own_manifest() -> None:
    before = state(1, {"scripts/a.script.yaml": "doc", "scripts/a.sql": "old", "scripts/b/x.sql": "same"})
    after = state(2, {"scripts/a.script.yaml": "doc 2", "scripts/a.py": "new", "scripts/b/x.sql": "same"})
    plan = manifest(planned("script/a", before=before, after=after, change=Change.MODIFY))
    [item] = plan.items
    assert plan.difference(PLAN) == {
        plan.path: (None, PLAN),
        "scripts/a.script.yaml": ("blob of doc", "blob of doc 2"),
        "scripts/a.sql": ("blob of old", None),
        "scripts/a.py": (None, "blob of new"),
        "items/script/ca/a.yaml": (item.record_before, item.record_after),
    }
    assert plan.paths == {"scripts/a.script.yaml", "scripts/a.sql", "scripts/a.py", "scripts/b/x.sql"}


def test_the_difference_of_a_restore() -> None:
    back = RestoredPath(path="workspace.yaml", found=Held("120000:f"), approved=BlobId("a"))
    plan = replace(manifest(), items=(), restores=(RESTORE, back), purpose=Purpose.RESTORE)
    assert plan.difference(PLAN) == {
        plan.path: (None, PLAN),
        "jobs/x.job.yaml": ("f", None),
        "workspace.yaml": ("120000:f", "a"),
    }
    assert plan.touches_workspace
    assert not replace(plan, restores=(RESTORE,)).touches_workspace


def test_what_a_branch_changes_is_compared_blob_for_blob() -> None:
    one, two = Held("1"), Held("2")
    plan = {"a": (one, two), "b": (None, one), "c": (one, None)}
    assert unexpected(plan, dict(plan)) == []
    found = {"a": (one, Held("100755:2")), "c": (one, None), "d": (None, one)}
    assert [(one.code, one.message) for one in unexpected(plan, found)] == [
        ("other-bytes", "a is not what its manifest pins"),
        ("less-than-manifest", "it does not change b, which its manifest names"),
        ("more-than-manifest", "it changes d, which its manifest does not name"),
    ]
    assert [one.code for one in unexpected({"a": (one, two)}, {"a": (None, two)})] == ["other-bytes"]


# As a document.


@pytest.mark.parametrize(
    "plan",
    [
        manifest(),
        manifest(WORKSPACE_CHANGE, execute=True, rolls_back=PackageName("before"), purpose=Purpose.ROLLBACK),
        replace(manifest(), items=(), restores=(RESTORE,), purpose=Purpose.RESTORE),
        manifest(
            replace(
                planned(before=OLD, after=NOT_THERE, change=Change.DELETE, by=("dev-1", "dev-2")),
                formatting_only=True,
                allowed_secrets=(AllowedSecret(file=ORDERS, line=3, reason="an example"),),
            ),
            description="订单\nmore",
        ),
    ],
)
def test_a_manifest_is_read_as_it_was_written(plan: Manifest) -> None:
    document = json.loads(json.dumps(manifest_document(plan)))
    assert parse_manifest(document) == plan


def test_what_a_manifest_says_of_an_item() -> None:
    item: PlannedItem = planned(before=OLD, after=THERE, change=Change.MODIFY, by=("dev-1", "dev-2"))
    assert item.id == TaskId(item=item_key("job/orders"), version=4)
    assert (item.record(PackageName("p")).path, item.record(PackageName("p")).state) == (ORDERS, THERE)
    assert manifest(item, applicant=MemberId("dep-1")).claimed_authors == {"dep-1", "dev-1", "dev-2"}
    assert pin("new").held == "blob of new"
