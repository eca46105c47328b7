"""Tasks: where one stands, which supersedes which, and what number comes next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gitrelease.core.content import Held
from gitrelease.core.item import Change
from gitrelease.core.names import CommitId, MemberId, PackageName, task_id
from gitrelease.core.people import Actor, Person
from gitrelease.core.task import Task, TaskState, description_of, highest, state_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PACKAGE = PackageName("p")


def actor(who: str | None) -> Actor:
    if who is None:
        return Actor(person=Person(id=None, name="stranger"), doubt="is not signed")
    return Actor(person=Person(id=who), member=MemberId(who))


def task(
    id_: str, by: str | None = "dev-1", *, over: tuple[str, ...] = (), also: tuple[str, ...] = ()
) -> Task:
    return Task(
        id=task_id(id_),
        commit=CommitId(f"commit of {id_}"),
        change=Change.MODIFY,
        description="why",
        submitter=actor(by),
        also_by=tuple(actor(who) for who in also),
        submitted_at=NOON,
        before={},
        after={"jobs/orders.job.yaml": Held("1")},
        previous_version=1,
        supersedes=tuple(CommitId(f"commit of {one}") for one in over),
    )


V2, V3 = task("job/orders/v2"), task("job/orders/v3")


@pytest.mark.parametrize(
    ("message", "described"),
    [
        ("why\n\nItem: job/orders\n", "why"),
        ("", ""),
        ("w" * 128, "w" * 128),
        ("w" * 129, "w" * 127 + "…"),
    ],
)
def test_a_description_is_the_first_line_as_far_as_it_may_go(message: str, described: str) -> None:
    assert description_of(message) == described


def test_a_task_without_any_fact_about_it_is_pending() -> None:
    assert state_of(V2, settled=None, packages={}, newer=[V2]) == (TaskState.PENDING, None)


def test_the_first_state_that_holds_is_the_state() -> None:
    in_review = {V2.commit: PACKAGE}
    for settled in (TaskState.RELEASED, TaskState.REVOKED):
        assert state_of(V2, settled=settled, packages=in_review, newer=[V3]) == (settled, PACKAGE)
    assert state_of(V2, settled=None, packages=in_review, newer=[V3]) == (TaskState.IN_REVIEW, PACKAGE)
    assert state_of(V2, settled=None, packages={}, newer=[V3]) == (TaskState.SUPERSEDED, None)


@pytest.mark.parametrize(
    ("new", "old", "does"),
    [
        (V3, V2, True),
        (V2, V3, False),
        (V2, V2, False),
        (task("job/orders/v3", "dev-2"), V2, False),
        (task("job/orders/v3", "dev-2", over=("job/orders/v2",)), V2, True),
        (task("job/other/v3"), V2, False),
        (task("script/orders/v3"), V2, False),
        (task("job/Orders/v3"), V2, True),
        (task("job/orders/v3", None), task("job/orders/v2", None), False),
    ],
)
def test_only_a_later_version_by_the_same_person_or_by_name_supersedes(
    new: Task, old: Task, does: bool
) -> None:
    assert new.supersedes_task(old) is does


def test_the_submitters_are_those_who_can_be_believed_each_once() -> None:
    assert task("job/orders/v3", "dev-2", also=("dev-1", "dev-2", "dep-1")).submitters == (
        "dev-2",
        "dev-1",
        "dep-1",
    )
    assert task("job/orders/v3", None, also=("dev-1",)).submitters == ("dev-1",)


@pytest.mark.parametrize(
    ("recorded", "settled", "waiting", "following"),
    [
        (0, 0, [], 1),
        (1, 0, [], 2),
        (1, 4, [], 5),
        (4, 1, [], 5),
        (1, 0, [2], 3),
        (1, 0, [3, 2], 4),
        (1, 3, [2], 4),
        (1, 3, [2, 4], 5),
        (1, 0, [9], 2),
        (1, 0, [2, 9], 3),
        (1, 0, [999999999], 2),
    ],
)
def test_the_next_number_follows_the_highest_one_and_one_that_skips_ahead_is_ignored(
    recorded: int, settled: int, waiting: list[int], following: int
) -> None:
    assert highest(recorded=recorded, settled=settled, waiting=waiting) + 1 == following
