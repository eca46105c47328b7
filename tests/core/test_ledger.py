"""Receipts, holdings and the archive's entries: written, read back, and where they are kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelease.core.archive import (
    ArchiveEntry,
    SettledTask,
    Settlement,
    entry_document,
    number_path,
    outcome_path,
    parse_entry,
)
from gitrelease.core.fields import Malformed
from gitrelease.core.item import ItemState
from gitrelease.core.ledger import (
    Event,
    Evidence,
    ForgeKind,
    Founding,
    Holding,
    ItemResult,
    Receipt,
    TargetStanding,
    Work,
    held_path,
    holding_document,
    parse_holding,
    parse_receipt,
    parse_standing,
    receipt_document,
    standing_document,
    standing_path,
    summary_path,
    target_prefix,
)
from gitrelease.core.names import BlobId, CommitId, MemberId, item_key, package_name, task_id
from gitrelease.core.package import Reason
from gitrelease.core.plan import Digest, Outcome, OutcomeStatus
from gitrelease.core.review import Review
from gitrelease.core.status import Status, item_status, status_of

ORDERS = item_key("job/orders")
NAME = package_name("orders_1")


def commit(letter: str) -> CommitId:
    """Make up a commit."""
    return CommitId(letter * 40)


EVIDENCE = Evidence(
    main_before=commit("a"),
    main_after=commit("b"),
    manifest=BlobId("c" * 40),
    head=commit("d"),
    log=commit("e"),
    tasks=(commit("f"), commit("0")),
    approvals=("one", "two"),
    recorded={"reviews": [{"id": 7, "state": "APPROVED"}]},
)

FULL = Receipt(
    event=Event.FINISHED,
    runner=MemberId("sync"),
    run="0123",
    work=Work.PACKAGE,
    package=NAME,
    evidence=EVIDENCE,
    results=(
        ItemResult(
            item=ORDERS,
            target="main",
            version=3,
            mapping="4" * 64,
            outcome=Outcome(status=OutcomeStatus.FAILED, deployed=Digest("5" * 64), error="no"),
        ),
        ItemResult(
            item=ORDERS,
            target="lake",
            version=3,
            mapping="4" * 64,
            outcome=Outcome(status=OutcomeStatus.SUCCESSFUL),
        ),
    ),
    reasons=(Reason(code="stale", message="it is stale"),),
    items=(ORDERS, item_key("script/clean")),
    targets=("main", "lake"),
    holdings=commit("6"),
    note="a note",
)

LEAST = Receipt(event=Event.ALIVE, runner=MemberId("sync"))

FIRST = Receipt(
    event=Event.ROOT,
    runner=MemberId("adm-1"),
    founding=Founding(workspace="7" * 32, main="main", taken_over=commit("8"), forge=ForgeKind.GITHUB),
)


@pytest.mark.parametrize(
    "receipt",
    [
        FULL,
        LEAST,
        FIRST,
        replace(FULL, evidence=replace(EVIDENCE, log=None, tasks=(), approvals=(), recorded={})),
        replace(FULL, evidence=replace(EVIDENCE, earlier=(commit("1"),))),
    ],
    ids=["full", "least", "first", "without-log", "earlier"],
)
def test_a_receipt_is_read_back_as_it_was_written(receipt: Receipt) -> None:
    text = json.dumps(receipt_document(receipt))
    assert parse_receipt(json.loads(text)) == receipt


def test_a_receipt_says_only_what_applies() -> None:
    assert receipt_document(LEAST) == {
        "apiVersion": "gitrelease/v1",
        "kind": "Receipt",
        "event": "alive",
        "runner": "sync",
        "run": "",
    }


@pytest.mark.parametrize(
    ("receipt", "subject"),
    [
        (FULL, "finished package orders_1"),
        (Receipt(event=Event.STARTED, runner=MemberId("sync"), work=Work.BASELINE), "started baseline"),
        (FIRST, "root the ledger"),
    ],
)
def test_a_receipt_tells_people_in_one_line_what_it_is(receipt: Receipt, subject: str) -> None:
    assert receipt.subject == subject


def test_work_is_open_from_started_until_finished() -> None:
    opened = {event for event in Event if Receipt(event=event, runner=MemberId("sync")).is_open}
    assert opened == {Event.STARTED, Event.ALIVE}


def test_a_receipt_keeps_all_that_was_judged() -> None:
    assert EVIDENCE.commits == (commit("b"), commit("d"), commit("e"), commit("f"), commit("0"))
    assert replace(EVIDENCE, log=None).commits == (commit("b"), commit("d"), commit("f"), commit("0"))
    assert replace(EVIDENCE, earlier=(commit("1"),)).commits[-1] == commit("1")


@pytest.mark.parametrize(
    "key",
    [
        "event",
        "runner",
        "run",
        "evidence.mainBefore",
        "evidence.tasks",
        "results.0.status",
        "results.0.version",
    ],
)
def test_a_receipt_that_lacks_something_is_not_read(key: str) -> None:
    document = json.loads(json.dumps(receipt_document(FULL)))
    *way, last = key.split(".")
    inner = document
    for step in way:
        inner = inner[int(step) if step.isdecimal() else step]
    del inner[last]
    with pytest.raises(Malformed):
        parse_receipt(document)


@pytest.mark.parametrize("key", ["workspace", "main", "takenOver"])
def test_a_trust_root_that_lacks_something_is_none(key: str) -> None:
    document = receipt_document(FIRST)
    del document[key]
    with pytest.raises(Malformed):
        parse_receipt(document)


@given(
    version=st.integers(min_value=0, max_value=10**6),
    deployed=st.none() | st.just(Digest("a" * 64)),
    status=st.sampled_from(OutcomeStatus),
    error=st.none() | st.text(),
    package=st.none() | st.just(NAME),
)
def test_a_holding_is_read_back_as_it_was_written(
    version: int, deployed: Digest | None, status: OutcomeStatus, error: str | None, package: object
) -> None:
    holding = Holding(
        item=ORDERS,
        version=version,
        mapping="m",
        deployed=deployed,
        status=status,
        error=error,
        package=NAME if package else None,
    )
    assert parse_holding(json.loads(json.dumps(holding_document(holding)))) == holding


@pytest.mark.parametrize(
    "standing",
    [
        TargetStanding(state=None, mapping="m"),
        TargetStanding(state="s", mapping="m", behind=(ORDERS, item_key("script/clean"))),
    ],
)
def test_how_a_target_was_left_is_read_back_as_it_was_written(standing: TargetStanding) -> None:
    assert parse_standing(json.loads(json.dumps(standing_document(standing)))) == standing


def test_names_that_differ_only_in_case_are_kept_at_one_place() -> None:
    assert held_path("main", item_key("job/Orders")) == held_path("main", ORDERS)
    assert summary_path(package_name("ORDERS_1")) == summary_path(NAME)
    assert outcome_path(package_name("ORDERS_1")) == outcome_path(NAME)
    assert number_path(item_key("job/ORDERS")) == number_path(ORDERS)


def test_nothing_is_kept_where_something_else_is() -> None:
    paths = [
        held_path("main", ORDERS),
        held_path("lake", ORDERS),
        held_path("main", item_key("script/orders")),
        summary_path(NAME),
        standing_path("main"),
        standing_path("lake"),
    ]
    assert len(set(paths)) == len(paths)
    assert held_path("main", ORDERS).startswith(target_prefix("main"))
    assert not held_path("main2", ORDERS).startswith(target_prefix("main"))


ENTRY = ArchiveEntry(
    by=MemberId("sync"),
    tasks=(
        SettledTask(
            id=task_id("job/orders/v3"), commit=commit("a"), settlement=Settlement.RELEASED, package=NAME
        ),
        SettledTask(id=task_id("job/orders/v2"), commit=commit("b"), settlement=Settlement.SUPERSEDED),
    ),
    package=NAME,
    settlement=Settlement.RELEASED,
    head=commit("c"),
    log=commit("a"),
    message="done",
)


@pytest.mark.parametrize("entry", [ENTRY, ArchiveEntry(by=MemberId("dev-1"))])
def test_an_entry_of_the_archive_is_read_back_as_it_was_written(entry: ArchiveEntry) -> None:
    assert parse_entry(json.loads(json.dumps(entry_document(entry)))) == entry


def test_an_entry_keeps_each_head_once() -> None:
    assert ENTRY.heads == (commit("c"), commit("a"), commit("b"))
    assert ArchiveEntry(by=MemberId("dev-1")).heads == ()


@pytest.mark.parametrize(
    ("entry", "subject"),
    [
        (ENTRY, "released package orders_1"),
        (replace(ENTRY, package=None, tasks=ENTRY.tasks[1:]), "superseded job/orders/v2"),
        (replace(ENTRY, package=None), "settled 2 tasks"),
    ],
)
def test_an_entry_tells_people_in_one_line_what_was_settled(entry: ArchiveEntry, subject: str) -> None:
    assert entry.subject == subject


# What follows from the ledger: the status of a package, and of an item on several targets.

REVIEW = Review(package=NAME, head=commit("c"), authors=(), opinions=())


@pytest.mark.parametrize(
    ("event", "outcomes", "settlement", "is_merged", "review", "status"),
    [
        (Event.FINISHED, [OutcomeStatus.SUCCESSFUL], None, True, None, Status.SUCCESSFUL),
        (
            Event.FINISHED,
            [OutcomeStatus.SUPERSEDED, OutcomeStatus.SUCCESSFUL],
            None,
            True,
            None,
            Status.SUCCESSFUL,
        ),
        (Event.FINISHED, [], None, True, None, Status.SUCCESSFUL),
        (Event.FINISHED, [OutcomeStatus.SUCCESSFUL, OutcomeStatus.SKIPPED], None, True, None, Status.FAILED),
        (Event.FINISHED, [OutcomeStatus.DRIFTED], None, True, None, Status.FAILED),
        (Event.REFUSED, [], None, True, None, Status.REFUSED),
        (Event.STARTED, [], None, True, None, Status.RELEASING),
        (Event.ALIVE, [], Settlement.REJECTED, True, None, Status.RELEASING),
        (None, [], Settlement.REJECTED, True, REVIEW, Status.REJECTED),
        (None, [], Settlement.REVOKED, False, None, Status.REVOKED),
        (None, [], None, True, REVIEW, Status.MERGED),
        (None, [], None, False, None, Status.DRAFT),
        (None, [], None, False, REVIEW, Status.PENDING_REVIEW),
    ],
)
def test_the_ledger_has_the_first_word_on_a_package_then_the_archive_then_git(
    event: Event | None,
    outcomes: list[OutcomeStatus],
    settlement: Settlement | None,
    is_merged: bool,
    review: Review | None,
    status: Status,
) -> None:
    assert (
        status_of(
            event=event,
            outcomes=outcomes,
            settlement=settlement,
            is_merged=is_merged,
            review=review,
            verdict=None,
        )
        is status
    )


@pytest.mark.parametrize(
    ("outcomes", "worst"),
    [
        ([], OutcomeStatus.SUCCESSFUL),
        ([OutcomeStatus.SUCCESSFUL, OutcomeStatus.SUPERSEDED], OutcomeStatus.SUPERSEDED),
        ([OutcomeStatus.SKIPPED, OutcomeStatus.SUCCESSFUL], OutcomeStatus.SKIPPED),
        ([OutcomeStatus.SKIPPED, OutcomeStatus.DRIFTED], OutcomeStatus.DRIFTED),
        ([OutcomeStatus.DRIFTED, OutcomeStatus.FAILED, OutcomeStatus.SUCCESSFUL], OutcomeStatus.FAILED),
    ],
)
def test_an_item_stands_as_on_the_target_where_it_stands_worst(
    outcomes: list[OutcomeStatus], worst: OutcomeStatus
) -> None:
    assert item_status(outcomes) is worst


def test_a_tombstone_has_no_files() -> None:
    assert ItemState(version=2, files={}).exists is False
