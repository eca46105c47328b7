"""What a server lets happen to each kind of ref, from made-up facts: nothing found is a yes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gitrelease.core.accepting import (
    ArchiveFacts,
    GoneFacts,
    PackageFacts,
    ReviewFacts,
    Settled,
    TaskFacts,
)
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement
from gitrelease.core.guarding import (
    DeployFacts,
    Facts,
    FreeFacts,
    LedgerFacts,
    MainFacts,
    MainStep,
    RootFacts,
    TagFacts,
    Written,
    judge,
)
from gitrelease.core.moves import (
    Move,
    Pusher,
    RefKind,
    branch_fault,
    kind_of,
    pusher_findings,
    shape_findings,
)
from gitrelease.core.names import CommitId, MemberId, PackageName, RefName, TaskId, task_id
from gitrelease.core.package import Reason
from gitrelease.core.people import Actor, Person
from gitrelease.core.review import Opinion, Say
from gitrelease.core.workspace import Member, Role, Workspace
from tests.kit.git import NOON

A, B, C = (CommitId(letter * 40) for letter in "abc")
P = PackageName("first")
TASK = task_id("job/orders/v3")


def member(who: str, role: str) -> Member:
    """Somebody of the workspace."""
    return Member(id=MemberId(who), emails=(f"{who}@example.org",), roles=frozenset({Role(role)}))


WORKSPACE = Workspace(
    name="shop",
    id="1",
    version=1,
    members=(
        member("adm", "admin"),
        member("dev", "developer"),
        member("dep", "deployer"),
        member("view", "viewer"),
        member("sync", "runner"),
    ),
)


def actor(who: str | None) -> Actor:
    """Somebody who can be believed, or nobody who can."""
    if who is None:
        return Actor(person=Person(id=None, name="x"), doubt="is not signed")
    return Actor(person=Person(id=who), member=MemberId(who))


def move(ref: str, old: str | None = None, new: str | None = A) -> Move:
    """A ref of a push; it is made unless something else is said."""
    return Move(ref=RefName(ref), old=old, new=new)


def codes(ref: str, facts: Facts, old: str | None = None, new: str | None = A) -> list[str]:
    """Judge one ref, and give what was found in one word each."""
    return [one.code for one in judge(move(ref, old, new), facts, WORKSPACE)]


# Kinds.


@pytest.mark.parametrize(
    ("ref", "kind"),
    [
        ("refs/heads/trunk", RefKind.MAIN),
        ("refs/heads/main", RefKind.FREE),
        ("refs/heads/submit/job/orders/v3", RefKind.TASK),
        ("refs/heads/submit/", RefKind.TASK),
        ("refs/heads/submit", RefKind.FREE),
        ("refs/heads/package/first", RefKind.PACKAGE),
        ("refs/heads/review/first", RefKind.REVIEW),
        ("refs/heads/deploy/main", RefKind.DEPLOY),
        ("refs/heads/archive", RefKind.ARCHIVE),
        ("refs/heads/production", RefKind.LEDGER),
        ("refs/heads/Production", RefKind.FREE),
        ("refs/tags/release/first", RefKind.TAG),
        ("refs/tags/v1", RefKind.FOREIGN),
        ("refs/notes/x", RefKind.FOREIGN),
        ("refs/heads", RefKind.FOREIGN),
    ],
)
def test_a_ref_is_known_by_its_exact_name(ref: str, kind: RefKind) -> None:
    assert kind_of(RefName(ref), "trunk") is kind


@pytest.mark.parametrize("kind", list(RefKind))
@pytest.mark.parametrize("step", ["creates", "moves", "deletes"])
def test_what_may_happen_to_each_kind_at_all(kind: RefKind, step: str) -> None:
    one = move("refs/x", None if step == "creates" else B, None if step == "deletes" else A)
    never = {
        RefKind.FOREIGN: {"creates", "moves", "deletes"},
        RefKind.TASK: {"moves"},
        RefKind.TAG: {"moves", "deletes"},
        RefKind.MAIN: {"deletes"},
        RefKind.ARCHIVE: {"deletes"},
        RefKind.LEDGER: {"deletes"},
        RefKind.DEPLOY: {"deletes"},
    }.get(kind, set())
    assert bool(shape_findings(kind, one)) is (step in never)


@pytest.mark.parametrize(
    ("name", "is_fine"),
    [
        ("feature/orders", True),
        ("dependabot/pip/x-1.2", True),
        ("订单", True),
        ("übung", True),
        ("x", True),
        ("release/2026", True),
        ("mainly", True),
        ("", False),
        ("a//b", False),
        ("-x", False),
        ("x/-y", False),
        ("a b", False),
        ("a;b", False),
        ("a'b", False),
        ("a\u202eb", False),
        ("a\u200bb", False),
        ("Main", False),
        ("main/x", False),
        ("HEAD", False),
        ("head/x", False),
        ("submit", False),
        ("SUBMIT/x", False),
        ("refs/heads/main", False),
        ("Refs/x", False),
        ("x/refs", True),
        ("x" * 241, False),
    ],
)
def test_other_branches_are_called_as_is_good_for_everybody(name: str, is_fine: bool) -> None:
    assert (branch_fault(name, "main") is None) is is_fine


def test_a_branch_may_go_whatever_it_was_called() -> None:
    assert codes("refs/heads/a;b", FreeFacts(main="main"), B, None) == []
    assert codes("refs/heads/a;b", FreeFacts(main="main")) == ["branch-name"]
    assert codes("refs/heads/x", FreeFacts(main="main", fault="it is a tree")) == ["not-a-commit"]


# Tasks.


def task(**more: Any) -> TaskFacts:
    """A proper task."""
    base = TaskFacts(
        id=TASK, main="main", fault=None, by=(actor("dev"),), recorded=2, settled=0,
        waiting=frozenset({3}), spelled=None, found=(),
    )  # fmt: skip
    return replace(base, **more)


@pytest.mark.parametrize(
    ("recorded", "settled", "waiting", "number", "is_next"),
    [
        (2, 0, {3}, 3, True),
        (0, 0, {1}, 1, True),
        (2, 5, {6}, 6, True),
        (2, 0, {3, 4}, 4, True),  # both come at once
        (2, 0, {3, 4}, 3, True),
        (2, 0, {4}, 4, False),  # skips 3
        (2, 0, {2}, 2, False),  # was used
        (2, 5, {3}, 3, False),  # was used and settled
        (2, 0, {3, 9}, 9, False),
    ],
)
def test_a_task_has_the_next_number(
    recorded: int, settled: int, waiting: set[int], number: int, is_next: bool
) -> None:
    facts = task(
        id=TaskId(item=TASK.item, version=number),
        recorded=recorded,
        settled=settled,
        waiting=frozenset(waiting),
    )
    assert (codes("refs/heads/submit/job/orders/v3", facts) == []) is is_next


def test_everything_that_is_wrong_with_a_task_is_said_at_once() -> None:
    facts = task(
        fault=Reason(code="task-strays", message="x"), by=(actor(None), actor("view")), waiting=frozenset({8}),
        id=task_id("job/orders/v8"), spelled=task_id("job/Orders/v1").item,
    )  # fmt: skip
    found = codes("refs/heads/submit/job/orders/v8", facts)
    assert found == ["task-strays", "task-number", "name-taken", "author", "not-allowed"]


@pytest.mark.parametrize(
    ("who", "may"), [("dev", True), ("adm", True), ("dep", True), ("view", False), ("sync", False)]
)
def test_tasks_are_by_those_who_submit_or_roll_back(who: str, may: bool) -> None:
    assert (codes("refs/heads/submit/job/orders/v3", task(by=(actor(who),))) == []) is may


# Packages and reviews.


def test_a_package_is_moved_by_who_made_it_and_not_once_it_is_merged() -> None:
    ref = "refs/heads/package/first"
    good = PackageFacts(package=P, reasons=(), by=actor("dev"), before=actor("dev"))
    assert codes(ref, good, B) == []
    assert codes(ref, replace(good, before=actor("adm")), B) == ["not-yours"]
    assert codes(ref, replace(good, before=actor(None)), B) == ["not-yours"]
    assert codes(ref, replace(good, is_merged=True), B) == ["merged"]
    assert codes(ref, replace(good, before=None, gone=(TASK,), alike=PackageName("First"))) == [
        "task-missing",
        "name-taken",
    ]
    assert codes(ref, replace(good, reasons=(Reason(code="stale", message="x"),) * 2)) == ["stale"]


def opinion(who: str | None, say: Say, root: CommitId = C) -> Opinion:
    """What somebody said."""
    return Opinion(id=B, actor=actor(who), say=say, at=NOON, head=A, manifest=None, root=root)


@pytest.mark.parametrize(
    ("who", "say", "found"),
    [
        ("dep", Say.APPROVE, []),
        ("adm", Say.REJECT, []),
        ("dep", Say.WITHDRAW, []),
        ("dev", Say.ASK, []),
        ("dev", Say.REVOKE, []),
        ("dep", Say.REVOKE, []),
        (None, Say.APPROVE, ["author"]),
        (None, Say.UNREADABLE, ["author"]),
        ("dev", Say.APPROVE, ["not-allowed"]),
        ("view", Say.APPROVE, ["not-allowed"]),
        ("view", Say.ASK, ["not-allowed"]),
        ("view", Say.REVOKE, ["not-allowed"]),
        ("own", Say.APPROVE, ["own-work"]),
        ("own", Say.REJECT, ["own-work"]),
    ],
)
def test_who_may_say_what(who: str | None, say: Say, found: list[str]) -> None:
    authors = frozenset({MemberId("dev"), MemberId("adm")}) if who == "own" else frozenset({MemberId("dev")})
    facts = ReviewFacts(
        package=P, is_there=True, fault=None, grows=True, root=C, authors=authors,
        opinions=(opinion("adm" if who == "own" else who, say),),
    )  # fmt: skip
    assert codes("refs/heads/review/first", facts, B) == found


def test_a_review_is_of_a_package_here_and_only_grows() -> None:
    ref = "refs/heads/review/first"
    facts = ReviewFacts(
        package=P, is_there=True, fault=None, grows=True, root=C, authors=frozenset(),
        opinions=(opinion("dep", Say.APPROVE, root=A),),
    )  # fmt: skip
    assert codes(ref, facts, B) == ["foreign"]
    assert codes(ref, replace(facts, is_there=False), B) == ["no-package"]
    assert codes(ref, replace(facts, fault="it lacks something"), B) == ["log-unreadable"]
    assert codes(ref, replace(facts, grows=False), B) == ["rewound"]


# What is settled.


def settled(by: str | None, how: Settlement, **more: Any) -> Settled:
    """An entry that settles one task."""
    entry = ArchiveEntry(by=MemberId(by or "x"), tasks=(SettledTask(id=TASK, commit=B, settlement=how),))
    base = Settled(
        entry=entry, by=actor(by), tasks_going={TASK: B}, submitters={TASK: frozenset({MemberId("dev")})}
    )
    return replace(base, **more)


def archived(one: Settled, **more: Any) -> list[str]:
    """Judge the archive with one more entry."""
    facts = replace(ArchiveFacts(grows=True, faults=(), entries=(one,)), **more)
    return codes("refs/heads/archive", facts, C)


def test_who_may_take_a_task_back() -> None:
    assert archived(settled("dev", Settlement.REVOKED)) == []
    assert archived(settled("dep", Settlement.REVOKED)) == []
    assert archived(settled("view", Settlement.REVOKED)) == ["not-allowed"]
    assert archived(settled("dev", Settlement.REVOKED, submitters={})) == ["not-allowed"]
    assert archived(settled(None, Settlement.REVOKED)) == ["author"]
    assert archived(settled("dev", Settlement.REVOKED, tasks_going={})) == ["archive-entry"]
    assert archived(settled("dev", Settlement.REVOKED, tasks_going={TASK: C})) == ["archive-entry"]
    assert archived(settled("dev", Settlement.REVOKED, kept={TASK: P})) == ["in-review"]
    assert archived(settled("dev", Settlement.RELEASED)) == ["archive-entry"]


def test_a_task_is_superseded_by_another_one() -> None:
    assert archived(settled("dev", Settlement.SUPERSEDED)) == ["not-superseded"]
    assert archived(settled("dev", Settlement.SUPERSEDED, retired=frozenset({TASK}))) == []


def test_a_release_is_settled_with_the_receipt_that_ends_it() -> None:
    one = settled("sync", Settlement.RELEASED)
    one = replace(one, entry=replace(one.entry, package=P, settlement=Settlement.RELEASED))
    assert archived(one) == ["not-released"]
    assert archived(one, finished=frozenset({P})) == []


def test_a_package_is_closed_as_it_is_by_who_said_so() -> None:
    entry = ArchiveEntry(by=MemberId("dep"), package=P, settlement=Settlement.REJECTED, head=A, log=B)
    good = Settled(
        entry=entry, by=actor("dep"), package_going=A, log=B, said=frozenset({(MemberId("dep"), Say.REJECT)})
    )
    assert archived(good) == []
    assert archived(replace(good, package_going=None)) == ["archive-entry"]
    assert archived(replace(good, package_going=C)) == ["archive-entry"]
    assert archived(replace(good, log=C)) == ["archive-entry"]
    assert archived(replace(good, said=frozenset())) == ["not-said"]
    assert archived(replace(good, is_merged=True)) == ["merged"]
    assert archived(replace(good, authors=frozenset({MemberId("dep")}))) == ["own-work"]


def test_the_archive_follows() -> None:
    one = settled("dev", Settlement.REVOKED)
    assert archived(one, grows=False) == ["rewound"]
    assert archived(one, faults=("entry x cannot be read",)) == ["archive-entry"]
    assert archived(replace(one, entry=ArchiveEntry(by=MemberId("dev")))) == ["archive-entry"]


def test_what_goes_is_kept() -> None:
    ref = "refs/heads/submit/job/orders/v3"
    kept = GoneFacts(is_kept=True, how="gitrelease task revoke job/orders/v3")
    assert codes(ref, kept, B, None) == []
    assert codes(ref, replace(kept, is_kept=False), B, None) == ["not-archived"]
    assert codes("refs/heads/review/first", replace(kept, still_reviews=True), B, None) == ["still-open"]


# The main branch and production.


def test_the_main_branch_grows_by_approved_packages() -> None:
    ref = "refs/heads/main"
    good = MainFacts(grows=True, steps=(MainStep(commit=A, package=P),))
    no = Reason(code="approvals", message="1 more of 1 approvals")
    assert codes(ref, good, B) == []
    assert codes(ref, replace(good, grows=False), B) == ["rewound"]
    assert codes(ref, replace(good, steps=(MainStep(commit=A, package=P, reasons=(no, no)),)), B) == [
        "approvals"
    ]
    direct = MainStep(commit=A, package=None, guarded="jobs/x.job.yaml")
    other = MainStep(commit=A, package=None)
    assert codes(ref, replace(good, steps=(direct, other)), B) == ["direct-push", "direct-push"]
    free = replace(good, others_are_free=True)
    assert codes(ref, replace(free, steps=(other,)), B) == []
    assert codes(ref, replace(free, steps=(direct,)), B) == ["direct-push"]


def written(who: str | None, **more: Any) -> Written:
    """A new receipt."""
    return replace(Written(commit=A, by=actor(who), writers=WORKSPACE), **more)


def test_the_ledger_grows_by_receipts_of_runners() -> None:
    def found(one: Written) -> list[str]:
        return codes("refs/heads/production", LedgerFacts(grows=True, receipts=(one,)), B)

    assert found(written("sync", named=MemberId("sync"))) == []
    assert found(written("sync", named=MemberId("adm"))) == ["no-runner"]
    assert found(written("adm")) == ["no-runner"]
    assert found(written(None)) == ["author"]
    assert found(written("sync", fault="it is no receipt")) == ["not-a-receipt"]
    assert codes("refs/heads/production", LedgerFacts(grows=False, receipts=()), B) == ["rewound"]


def test_a_ledger_begins_with_one_root_by_an_admin() -> None:
    ref = "refs/heads/production"
    good = RootFacts(pinned=None, faults=(), by=actor("adm"), workspace=WORKSPACE, has_main=True)
    assert codes(ref, good) == []
    assert codes(ref, replace(good, pinned=A)) == []
    assert codes(ref, replace(good, pinned=B)) == ["other-root"]
    assert codes(ref, replace(good, by=actor("dev"))) == ["not-allowed"]
    assert codes(ref, replace(good, by=actor(None), has_main=False)) == ["no-root", "author"]
    assert codes(ref, replace(good, faults=("it is none",), workspace=None)) == ["no-root"]


def test_a_deploy_branch_is_of_a_target_and_moved_during_a_release() -> None:
    ref = "refs/heads/deploy/main"
    good = DeployFacts(target="main", is_target=True, is_begun=True, grows=True, commits=(written("sync"),))
    assert codes(ref, good, B) == []
    assert codes(ref, replace(good, is_target=False), B) == ["no-target"]
    assert codes(ref, replace(good, is_begun=False), B) == ["not-begun"]
    assert codes(ref, replace(good, grows=False), B) == ["rewound"]
    assert codes(ref, replace(good, commits=(written("dev"),)), B) == ["no-runner"]


def test_a_release_tag_stands_at_the_merge_of_what_is_released() -> None:
    ref = "refs/tags/release/first"
    good = TagFacts(package=P, is_annotated=True, target=B, merge=B)
    assert codes(ref, good) == []
    for bad in (replace(good, merge=None), replace(good, target=C), replace(good, is_annotated=False)):
        assert codes(ref, bad) == ["foreign-tag"]


# People.


def test_who_signs_a_push_pushes_what_is_theirs() -> None:
    one = move("refs/heads/submit/job/orders/v3")
    assert pusher_findings(one, Pusher(), [actor("dev")]) == []
    assert pusher_findings(one, Pusher(member=MemberId("dev"), is_signed=True), [actor("dev")]) == []
    found = pusher_findings(one, Pusher(member=MemberId("adm"), is_signed=True), [actor("dev"), actor("dev")])
    assert [one.code for one in found] == ["other-person"]


@pytest.mark.parametrize(
    "facts",
    [
        task(),
        ReviewFacts(
            package=P, is_there=True, fault=None, grows=True, opinions=(), root=C, authors=frozenset()
        ),
        ArchiveFacts(grows=True, faults=(), entries=()),
    ],
)
def test_without_a_ledger_there_is_nobody_to_know(facts: Facts) -> None:
    assert [one.code for one in judge(move("refs/heads/x"), facts, None)] == ["no-ledger"]
