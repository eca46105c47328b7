"""What people see, compared whole: reading a test is seeing the screen."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from gitrelease.commands.check import CheckResult
from gitrelease.commands.init import InitResult
from gitrelease.commands.merge import MergeResult
from gitrelease.commands.pull import Pulled
from gitrelease.commands.refusals import CheckFailed
from gitrelease.commands.release import Released
from gitrelease.commands.review import Said
from gitrelease.commands.revoke import Revoked
from gitrelease.commands.status import StatusResult, TargetStatus
from gitrelease.commands.submit import SubmitResult, Submitted
from gitrelease.commands.sync import PackageSync, SyncResult
from gitrelease.commands.verify import Checked, VerifyResult
from gitrelease.commands.version import VersionInfo, Whereabouts
from gitrelease.commands.views import Listed
from gitrelease.core.compare import Comparison, ItemComparison, Side, compare_item
from gitrelease.core.finding import Finding, Severity
from gitrelease.core.item import Change, ItemState
from gitrelease.core.ledger import ForgeKind, ItemResult
from gitrelease.core.names import (
    BlobId,
    CommitId,
    MemberId,
    PackageName,
    RefName,
    item_key,
    task_id,
)
from gitrelease.core.package import Manifest, PlannedItem, Purpose, Reason
from gitrelease.core.people import Actor, Person
from gitrelease.core.plan import Outcome, OutcomeStatus
from gitrelease.core.review import Say, Verdict
from gitrelease.core.status import ApprovalView, Stance, Status, Summary, SummaryItem
from gitrelease.core.task import Task, TaskStanding, TaskState
from gitrelease.core.workspace import Workspace
from gitrelease.documents import parse
from gitrelease.errors import Refused
from gitrelease.reading.broken import Broken
from gitrelease.reading.standing import Standings
from gitrelease.reading.tasks import MalformedTask
from gitrelease.render import diffs, packages, production, setup, tasks
from gitrelease.render import json as documents
from gitrelease.render.diffs import Style
from gitrelease.render.tables import Cell, table
from gitrelease.render.text import (
    Paper,
    Tone,
    absolute,
    clean,
    clean_lines,
    error_text,
    fit,
    relative,
    width,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PIPE = Paper(now=NOW)
"""No terminal: nothing is cut, times are in full."""
SCREEN = Paper(now=NOW, width=80)
NARROW = Paper(now=NOW, width=44)
COLOUR = Paper(now=NOW, width=80, colour=True)

ORDERS, CLEAN = item_key("job/orders"), item_key("script/clean-orders")
COMMIT = CommitId("1234567890" * 4)
DEV, DEP = Person(id="dev-1", email="dev-1@example.org"), Person(id="dep-1")
FIRST = PackageName("orders_20261120090000")


def a_task(text: str = "job/orders/v3", **more: object) -> Task:
    """A task of dev-1, two hours old."""
    task = Task(
        id=task_id(text),
        commit=COMMIT,
        change=Change.MODIFY,
        description="leave out test customers",
        submitter=Actor(person=DEV, member=MemberId("dev-1")),
        submitted_at=NOW - timedelta(hours=2),
        before={},
        after={},
        previous_version=2,
    )
    return replace(task, **more)  # type: ignore[arg-type]


def a_summary(**more: object) -> Summary:
    """A package of dev-1 with two items, reviewed by nobody yet."""
    item = SummaryItem(
        item=ORDERS,
        change=Change.MODIFY,
        version=3,
        previous_version=2,
        submitter=DEV,
        submitted_at=NOW - timedelta(hours=2),
        task=COMMIT,
    )
    summary = Summary(
        name=FIRST,
        description="job/orders/v3: leave out test customers",
        applicant=DEV,
        applied_at=NOW - timedelta(hours=1),
        reviewers=(DEP, Person(id="dep-2")),
        approvals=(),
        missing=("1 more of 1 approvals, from one of dep-1, dep-2",),
        status=Status.PENDING_REVIEW,
        execute=False,
        released_by=None,
        released_at=None,
        url=None,
        items=(item, replace(item, item=CLEAN, change=Change.ADD, version=1, previous_version=None)),
    )
    return replace(summary, **more)  # type: ignore[arg-type]


def standings(*malformed: MalformedTask) -> Standings:
    """Nothing but branches that are no tasks."""
    return Standings(tasks=(), malformed=malformed, packages=())


# Text that is safe, as wide as it looks, and cut where it must be.

HOSTILE = "evil\x1b[2J\x07\r\n\tname\u202egnp.\u2066\u200bx\ufeff\x9b31m\x7f\udcff\U000e0041 https://me:s3cret@host/x"


def test_nothing_that_a_terminal_obeys_or_hides_comes_through() -> None:
    assert clean(HOSTILE) == (
        r"evil\x1b[2J\x07\x0d\x0a\x09name\u202egnp.\u2066\u200bx\ufeff\x9b31m\x7f\udcff\U000e0041"
        " https://host/x"
    )
    assert clean("\u0601\u2065\U000e0002") == r"\u0601\u2065\U000e0002"
    assert documents.dumped("\u0601\u2065\U000e0002") == '"\\u0601\\u2065\\udb40\\udc02"\n'
    assert clean("订单_日报 größer naïve 👍🏽") == "订单_日报 größer naïve 👍🏽"


def test_lines_keep_their_ends_and_their_tabs() -> None:
    assert clean_lines("a\tb\r\nc\x1b[31m\n\rd\u2028e") == "a\tb\nc\\x1b[31m\n\\x0dd\\u2028e"


@pytest.mark.parametrize(
    ("text", "columns"), [("orders", 6), ("订单", 4), ("ｏｒ", 4), ("e\u0301", 1), ("ｶﾅ", 2), ("", 0)]
)
def test_a_text_is_as_wide_as_it_looks(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("orders", 6, "orders"),
        ("orders", 5, "orde…"),
        ("订单日报", 5, "订单…"),
        ("订单日报", 4, "订…"),
        ("ab", 1, "…"),
    ],
)
def test_a_text_is_cut_to_the_columns_there_are(text: str, columns: int, shown: str) -> None:
    assert fit(text, columns) == shown
    assert width(shown) <= columns


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=29), "29 days ago"),
        (timedelta(days=30), "2026-10-21 12:00 UTC"),
        (timedelta(hours=-3), "2026-11-20 15:00 UTC"),
    ],
)
def test_a_time_is_said_as_people_say_it(ago: timedelta, said: str) -> None:
    assert relative(NOW - ago, NOW) == said


def test_a_time_in_a_table_takes_few_columns() -> None:
    ago = [timedelta(), timedelta(minutes=5), timedelta(hours=3), timedelta(days=12), timedelta(days=40)]
    assert [SCREEN.short_time(NOW - one) for one in ago] == [
        "now",
        "5m ago",
        "3h ago",
        "12d ago",
        "2026-10-11",
    ]
    assert PIPE.short_time(NOW) == "2026-11-20 12:00 UTC"


def test_a_time_in_full_has_the_offset_of_whoever_reads_it() -> None:
    assert absolute(NOW, NOW.astimezone(timezone(timedelta(hours=8)))) == "2026-11-20 20:00 +08:00"
    assert PIPE.time(NOW - timedelta(hours=2)) == "2026-11-20 10:00 UTC"
    assert SCREEN.time(NOW - timedelta(hours=2)) == "2026-11-20 10:00 UTC (2 hours ago)"


def test_colours_come_only_where_they_are_wanted() -> None:
    assert COLOUR.paint("failed", Tone.BAD) == "\x1b[31mfailed\x1b[0m"
    assert SCREEN.paint("failed", Tone.BAD) == "failed"


# Tables.

ROWS = [
    ("订单_日报_汇总", Cell("pending", Tone.WAITING), "leave out test customers"),
    ("orders", Cell("released", Tone.GOOD), "more\nthan\x1b[1mone line"),
]
TITLES = ("TASK", "STATE", "DESCRIPTION")


def test_a_table_keeps_wide_names_under_each_other() -> None:
    assert (
        table(TITLES, ROWS, PIPE)
        == r"""TASK            STATE     DESCRIPTION
订单_日报_汇总  pending   leave out test customers
orders          released  more\x0athan\x1b[1mone line
"""
    )


def test_a_table_fits_the_terminal() -> None:
    shown = table(TITLES, ROWS, NARROW)
    assert (
        shown
        == """\
TASK            STATE     DESCRIPTION
订单_日报_汇总  pending   leave out test cu…
orders          released  more\\x0athan\\x1b[…
"""
    )
    assert all(width(line) <= 44 for line in shown.splitlines())


def test_a_table_leaves_out_what_no_row_has_and_colours_only_what_means_something() -> None:
    shown = table(("TASK", "PACKAGE", "STATE"), [("orders", "", Cell("failed", Tone.BAD))], COLOUR)
    assert shown == "\x1b[2mTASK\x1b[0m    \x1b[2mSTATE\x1b[0m\norders  \x1b[31mfailed\x1b[0m\n"
    assert table(TITLES, [], PIPE) == ""


# Checks and errors.

ERROR = Finding(
    code="unknown-key",
    file="jobs/sales/orders.job.yaml",
    line=12,
    column=3,
    key="nodes[2].nme",
    message="unknown key 'nme'",
    hint="did you mean name?",
)
WARNING = Finding(
    code="target-cannot-run",
    severity=Severity.WARNING,
    file="jobs/sales/orders.job.yaml",
    message="held, not run",
)


def test_a_check_says_all_it_found_with_the_places() -> None:
    assert (
        tasks.checked(CheckResult(findings=(ERROR, WARNING), checked=3), PIPE)
        == """\
jobs/sales/orders.job.yaml:12:3: error: nodes[2].nme: unknown key 'nme' [unknown-key]
    hint: did you mean name?
jobs/sales/orders.job.yaml: warning: held, not run [target-cannot-run]

checked 3 items: 1 error and 1 warning
"""
    )
    assert tasks.checked(CheckResult(findings=(), checked=1), PIPE) == "checked 1 item: nothing wrong\n"


def test_an_error_looks_the_same_everywhere() -> None:
    assert error_text("no\x1b[2J such\nthing", "look", PIPE) == "error: no\\x1b[2J such\nthing\nhint: look\n"
    assert error_text("no", None, COLOUR) == "\x1b[31merror:\x1b[0m no\n"


def test_an_error_is_written_for_machines_too() -> None:
    assert documents.error(Refused("no", hint="yes")) == {
        "error": {"code": "refused", "message": "no", "hint": "yes"}
    }
    findings = documents.error(CheckFailed([ERROR, WARNING]))["error"]
    assert isinstance(findings, dict)
    assert [found["code"] for found in findings["findings"]] == ["unknown-key", "target-cannot-run"]


# Submitting, and tasks.


def test_a_submit_says_one_line_per_item_and_what_comes_next() -> None:
    result = SubmitResult(
        items=(
            Submitted(item=ORDERS, change=Change.MODIFY, task=task_id("job/orders/v3"), commit=COMMIT,
                      supersedes=(task_id("job/orders/v2"),)),
            Submitted(item=CLEAN, change=None, task=None, note="is what version 1 is"),
        ),
        findings=(WARNING,),
        is_dry_run=False,
    )  # fmt: skip
    assert (
        tasks.submitted(result, PIPE)
        == """\
jobs/sales/orders.job.yaml: warning: held, not run [target-cannot-run]

submitted  job/orders/v3        modify  supersedes job/orders/v2
unchanged  script/clean-orders          is what version 1 is

next: gitrelease release job/orders/v3  (puts it up for review)
"""
    )
    assert (
        tasks.submitted(replace(result, findings=(), is_dry_run=True), PIPE)
        == """\
would submit  job/orders/v3        modify  supersedes job/orders/v2
unchanged     script/clean-orders          is what version 1 is

nothing was changed: this was a dry run
"""
    )


def test_a_list_of_tasks_says_where_each_is_and_what_is_no_task() -> None:
    shown = Listed(
        items=(
            TaskStanding(task=a_task(), state=TaskState.PENDING),
            TaskStanding(
                task=a_task("job/stock/v1", change=Change.ADD), state=TaskState.IN_REVIEW, package=FIRST
            ),
            TaskStanding(
                task=a_task("job/old/v9", change=Change.DELETE), state=TaskState.PENDING, is_stale=True
            ),
        ),
        total=40,
        limit=3,
        offset=0,
    )
    broken = MalformedTask(
        ref=RefName("refs/heads/submit/x\u202ey"),
        commit=COMMIT,
        reason=Reason(code="task-name", message="not a name"),
    )
    assert (
        tasks.task_list((shown, standings(broken)), PIPE).replace("leave out test customers", "…")
        == """\
TASK           STATE           CHANGE  SUBMITTER  SUBMITTED             PACKAGE                DESCRIPTION
job/orders/v3  pending         modify  dev-1      2026-11-20 10:00 UTC                         …
job/stock/v1   in-review       add     dev-1      2026-11-20 10:00 UTC  orders_20261120090000  …
job/old/v9     pending, stale  delete  dev-1      2026-11-20 10:00 UTC                         …

3 of 40; --offset 3 shows more

not a task: refs/heads/submit/x\\u202ey: not a name

next: gitrelease release TASK…  (puts tasks up for review)
"""
    )
    none: Listed[TaskStanding] = Listed(items=(), total=0, limit=30, offset=0)
    assert tasks.task_list((none, standings()), PIPE) == "no tasks\n"


def test_a_task_is_shown_with_who_why_and_what_to_do() -> None:
    one = TaskStanding(task=a_task(), state=TaskState.PENDING)
    assert (
        tasks.task_head(one, SCREEN)
        == """\
job/orders/v3  pending
modify by dev-1, 2026-11-20 10:00 UTC (2 hours ago)
leave out test customers"""
    )
    assert tasks.task_next(one, SCREEN) == "next: gitrelease release job/orders/v3  (puts it up for review)"
    claimed = replace(DEV, id=None, name="dev-1")
    unsigned = replace(one, task=a_task(submitter=Actor(person=claimed, doubt="is not signed")))
    assert (
        tasks.task_head(unsigned, SCREEN)
        == """\
job/orders/v3  pending
modify by dev-1 (unproven claim), 2026-11-20 10:00 UTC (2 hours ago)
leave out test customers
cannot be released: it is not signed"""
    )
    step = "next: gitrelease check --ref submit/job/orders/v3  (says what is wrong with it)"
    assert tasks.task_next(unsigned, SCREEN) == step


def test_revoked_tasks_are_listed() -> None:
    result = Revoked(tasks=(task_id("job/orders/v3"),), with_them=(task_id("job/orders/v2"),))
    assert (
        tasks.revoked(result, PIPE)
        == """\
revoked               job/orders/v3
superseded, gone too  job/orders/v2

next: gitrelease submit ITEM…  (makes a new version; the numbers are not used again)
"""
    )


def test_a_task_as_json() -> None:
    assert documents.task(TaskStanding(task=a_task(), state=TaskState.PENDING)) == {
        "id": "job/orders/v3",
        "kind": "job",
        "name": "orders",
        "version": 3,
        "previousVersion": 2,
        "change": "modify",
        "description": "leave out test customers",
        "submitter": {"id": "dev-1", "name": None, "email": "dev-1@example.org", "githubId": None},
        "submittedAt": "2026-11-20T10:00:00Z",
        "state": "pending",
        "stale": False,
        "package": None,
        "commit": COMMIT,
    }


# Packages.


def a_manifest() -> Manifest:
    """What a package of dev-1 does to one job."""
    planned = PlannedItem(
        item=ORDERS,
        change=Change.MODIFY,
        before=ItemState(version=2, files={}),
        after=ItemState(version=3, files={}),
        task=COMMIT,
        submitters=(MemberId("dev-1"), MemberId("dev-2")),
        record_before=None,
        record_after=BlobId("b" * 40),
        formatting_only=True,
    )
    return Manifest(
        name=FIRST,
        workspace="w",
        root=COMMIT,
        main="main",
        purpose=Purpose.RELEASE,
        applicant=MemberId("dev-1"),
        description="",
        reviewers=(MemberId("dep-1"),),
        execute=False,
        items=(planned,),
    )


def test_a_release_says_what_is_asked_of_whom() -> None:
    result = Released(
        manifest=a_manifest(), head=COMMIT, asked=(MemberId("dep-1"), MemberId("dep-2")), findings=()
    )
    assert (
        packages.released(result, PIPE)
        == """\
package orders_20261120090000 is up for review

ITEM        CHANGE  VERSION  SUBMITTER     NOTE
job/orders  modify  3        dev-1, dev-2  formatting only

Execute jobs in the package immediately after it is released: no
Reviewers asked: dep-1, dep-2

next: gitrelease package approve orders_20261120090000  (by a reviewer)
"""
    )
    dry = packages.released(replace(result, is_dry_run=True), PIPE)
    assert dry.startswith("package orders_20261120090000 would be put up for review\n")
    assert dry.endswith("\nnothing was changed: this was a dry run\n")


def test_a_list_of_packages() -> None:
    shown = Listed(
        items=(
            a_summary(),
            a_summary(name=PackageName("first"), status=Status.SUCCESSFUL, released_by=DEP, released_at=NOW),
        ),
        total=2,
        limit=30,
        offset=0,
    )
    assert (
        packages.package_list(shown, SCREEN)
        == """\
PACKAGE                STATUS          ITEMS  APPLIED        RELEASED    REVIEW…
orders_20261120090000  pending-review  2      dev-1, 1h ago              dep-1,…
first                  successful      2      dev-1, 1h ago  dep-1, now  dep-1,…
"""
    )


def test_a_package_is_shown_with_two_statuses_and_what_is_missing() -> None:
    assert (
        packages.package_view(a_summary(), PIPE)
        == """\
orders_20261120090000  pending-review
release, applied for by dev-1, 2026-11-20 11:00 UTC
Execute jobs in the package immediately after it is released: no

  job/orders/v3: leave out test customers

ITEM                 CHANGE  VERSION  SUBMITTER  RELEASE  STARTUP
job/orders           modify  2 → 3    dev-1      pending  not-requested
script/clean-orders  add     1        dev-1      pending  not-requested

Reviewers: dep-1, dep-2
  missing: 1 more of 1 approvals, from one of dep-1, dep-2

next: gitrelease package approve orders_20261120090000  (by a reviewer)
"""
    )


def test_a_package_that_failed_says_why() -> None:
    first = replace(a_summary().items[0], release=OutcomeStatus.FAILED, error="disk\x07 full")
    yes = ApprovalView(person=DEP, verdict=Stance.APPROVED, at=NOW, commit=COMMIT, message="fine")
    shown = packages.package_view(
        a_summary(
            status=Status.FAILED,
            items=(first,),
            approvals=(yes,),
            missing=(),
            released_at=NOW,
            released_by=DEP,
        ),
        PIPE,
    )
    assert (
        shown
        == """\
orders_20261120090000  failed
release, applied for by dev-1, 2026-11-20 11:00 UTC
released by dep-1, 2026-11-20 12:00 UTC
Execute jobs in the package immediately after it is released: no

  job/orders/v3: leave out test customers

ITEM        CHANGE  VERSION  SUBMITTER  RELEASE  STARTUP
job/orders  modify  2 → 3    dev-1      failed   not-requested
job/orders: disk\\x07 full

Reviewers: dep-1, dep-2
  approved by dep-1, 2026-11-20 12:00 UTC: fine

next: gitrelease sync --retry  (by a runner, once the cause is mended)
"""
    )


def test_what_does_not_count_is_shown_apart_and_with_the_reason() -> None:
    yes = ApprovalView(person=DEP, verdict=Stance.APPROVED, at=NOW, commit=COMMIT, message="fine")
    others = (
        replace(yes, why="it was given to other content"),
        replace(yes, person=Person(id=None, email="dep-1@example.org"), message="", why="it is not signed"),
        replace(yes, verdict=Stance.CHANGES_REQUESTED, message="no\x07", why="dep-1 took it back"),
        replace(yes, verdict=Stance.WITHDRAWN, message="was wrong"),
    )
    summary = a_summary(approvals=(yes, replace(yes, verdict=Stance.CHANGES_REQUESTED)), uncounted=others)
    text = packages.package_view(summary, PIPE)
    at = "2026-11-20 12:00 UTC"
    assert [line for line in text.splitlines() if at in line and line.startswith("  ")] == [
        f"  approved by dep-1, {at}: fine",
        f"  changes-requested by dep-1, {at}: fine",
        f"  dep-1 approved, does not count: it was given to other content; {at}: fine",
        f"  dep-1@example.org (unproven claim) approved, does not count: it is not signed; {at}",
        f"  dep-1 asked for changes, does not count: dep-1 took it back; {at}: no\\x07",
        f"  dep-1 took back what they said, {at}: was wrong",
    ]
    document: Any = documents.package(summary)
    assert [one["verdict"] for one in document["approvals"]] == ["approved", "changes-requested"]
    assert document["uncounted"][0] == {
        "person": {"id": "dep-1", "name": None, "email": None, "githubId": None},
        "verdict": "approved",
        "at": "2026-11-20T12:00:00Z",
        "commit": COMMIT,
        "message": "fine",
        "why": "it was given to other content",
    }


def test_nobody_known_is_no_claim() -> None:
    assert [str(Person(id=None)), str(Person(id=None, name="octo", github_id=1))] == [
        "somebody unknown",
        "octo",
    ]


@pytest.mark.parametrize("status", list(Status))
def test_every_status_can_be_shown_and_says_what_comes_next(status: Status) -> None:
    shown = packages.package_view(a_summary(status=status), COLOUR)
    assert re.search(r"next:\x1b\[0m gitrelease ", shown.splitlines()[-1])


def a_verdict(*, reasons: tuple[str, ...] = (), missing: tuple[str, ...] = ()) -> Verdict:
    """A verdict on the package."""
    return Verdict(
        package=FIRST,
        head=COMMIT,
        approvals=(),
        vetoes=(),
        reasons=tuple(Reason(code="x", message=text) for text in reasons),
        missing=tuple(Reason(code="x", message=text) for text in missing),
    )


def test_a_verdict_says_yes_not_yet_or_no() -> None:
    merged = MergeResult(package=FIRST, verdict=a_verdict(), merge=COMMIT)
    assert packages.merged(merged, PIPE) == (
        "orders_20261120090000 is approved and merged as 1234567\n\n"
        "next: gitrelease sync  (by a runner, brings it to production)\n"
    )
    waits = MergeResult(package=FIRST, verdict=a_verdict(missing=("1 more approval",)), merge=None)
    assert packages.merged(waits, PIPE) == (
        "orders_20261120090000 is waiting for approval\n  missing: 1 more approval\n\n"
        "next: gitrelease package view orders_20261120090000\n"
    )
    no = MergeResult(package=FIRST, verdict=a_verdict(reasons=("dep-1 asked for changes",)), merge=None)
    assert packages.merged(no, PIPE).startswith(
        "orders_20261120090000 is refused\n  refused: dep-1 asked for changes\n"
    )
    assert documents.merged(waits) == {
        "package": FIRST,
        "approved": False,
        "head": COMMIT,
        "reasons": [],
        "missing": ["1 more approval"],
        "merge": None,
        "mergedBefore": False,
    }


def test_what_people_say_is_said_back_to_them() -> None:
    said = Said(package=FIRST, head=COMMIT, say=Say.REJECT, by=MemberId("dep-1"), was_said=False)
    assert packages.said(said, PIPE) == (
        "dep-1 rejected orders_20261120090000; its tasks are pending again\n\n"
        "next: gitrelease task list  (shows them)\n"
    )
    twice = replace(said, say=Say.WITHDRAW, was_said=True)
    assert packages.said(twice, PIPE).startswith(
        "dep-1 had taken back what they said of orders_20261120090000 already\n"
    )
    asked = replace(said, say=Say.ASK, asked=(MemberId("dep-2"), MemberId("adm-1")))
    assert packages.said(asked, PIPE).startswith(
        "dep-1 asked reviewers for orders_20261120090000: dep-2, adm-1\n"
    )
    assert documents.said(asked)["asked"] == ["dep-2", "adm-1"]


# Differences.

OLD = """apiVersion: gitrelease/v1
kind: Script
name: clean-orders
version: 1
type: HiveSQL
connectionName: hive
"""


def a_comparison(
    old: str = OLD, new: str = OLD, *, before: str = "select 1\n", after: str = "select 2\n"
) -> Comparison:
    """Two versions of a script."""

    def side(text: str, sql: str, version: int) -> Side:
        path = "scripts/sales/clean-orders.script.yaml"
        files = {path: text.encode(), path.replace(".script.yaml", ".sql"): sql.encode()}
        return Side(
            exists=True, version=version, files=files, documents={path: parse(text.encode(), file=path).value}
        )

    found = compare_item(CLEAN, side(old, before, 1), side(new, after, 2))
    assert found is not None
    return Comparison(before="first", after="second", items=(found,))


def test_a_difference_is_shown_by_meaning() -> None:
    new = OLD.replace("hive\n", "spark\nowner: me\n")
    assert (
        diffs.comparison(a_comparison(new=new), Style.MEANING, PIPE)
        == """\
from first to second:

script/clean-orders  modify  1 → 2
  ~ connectionName: "hive" → "spark"
  + owner: "me"
  ~ content:
      @@ -1 +1 @@
      -select 1
      +select 2
"""
    )


def test_a_long_list_that_came_is_shown_part_by_part() -> None:
    new = OLD + (
        "configuration:\n  spark.executor.memory: 4g\n"
        "  jars: [a-library-with-a-long-name.jar, another-library-with-a-long-name.jar]\n"
    )
    assert (
        diffs.comparison(a_comparison(new=new, after="select 1\n"), Style.MEANING, PIPE)
        == """\
from first to second:

script/clean-orders  modify  1 → 2
  + configuration:
      spark.executor.memory: "4g"
      jars:
        - "a-library-with-a-long-name.jar"
        - "another-library-with-a-long-name.jar"
"""
    )


def test_a_long_value_stands_under_the_one_before() -> None:
    new = OLD.replace("hive\n", f"{'spark' * 20}\n")
    assert (
        diffs.comparison(a_comparison(new=new, after="select 1\n"), Style.MEANING, NARROW)
        == """\
from first to second:

script/clean-orders  modify  1 → 2
  ~ connectionName:
      "hive"
      → "sparksparksparksparksparksparkspar…
"""
    )


def test_a_difference_is_counted() -> None:
    assert (
        diffs.comparison(a_comparison(), Style.STAT, PIPE)
        == """\
from first to second:

ITEM                 CHANGE  VERSION  ADDED  DELETED
script/clean-orders  modify  1 → 2    +1     -1
1 item, 1 line added, 1 line deleted
"""
    )


def test_a_difference_is_shown_line_by_line_and_harmless() -> None:
    shown = diffs.comparison(a_comparison(after="select\t'\x1b[8m\u202e'\n"), Style.PATCH, COLOUR)
    assert (
        shown
        == """\
\x1b[1mdiff --git a/scripts/sales/clean-orders.sql b/scripts/sales/clean-orders.sql\x1b[0m
\x1b[1m--- a/scripts/sales/clean-orders.sql\x1b[0m
\x1b[1m+++ b/scripts/sales/clean-orders.sql\x1b[0m
\x1b[36m@@ -1 +1 @@\x1b[0m
\x1b[31m-select 1\x1b[0m
\x1b[32m+select\t'\\x1b[8m\\u202e'\x1b[0m
"""
    )


def test_no_difference_is_said_in_one_line() -> None:
    for style in Style:
        nothing = Comparison(before="first", after="second", items=())
        assert diffs.comparison(nothing, style, PIPE) == "from first to second: nothing\n"


def test_formatting_alone_is_named() -> None:
    compared = a_comparison(new=OLD.replace("type: HiveSQL", 'type: "HiveSQL"'), after="select 1\n")
    one: ItemComparison = compared.items[0]
    assert one.formatting_only
    assert "\nscript/clean-orders  modify  1 → 2\n  formatting only\n" in diffs.comparison(
        compared, Style.MEANING, PIPE
    )


def test_every_version_is_listed_with_where_it_is() -> None:
    one = VersionInfo(
        item=ORDERS,
        number=2,
        where=Whereabouts.PRODUCTION,
        change=Change.MODIFY,
        submitter=DEV,
        submitted_at=NOW,
        description="why",
        package=FIRST,
        commit=COMMIT,
        files={},
    )
    first = replace(
        one,
        number=1,
        where=Whereabouts.TAKEN_OVER,
        submitter=None,
        submitted_at=None,
        package=None,
        description="",
    )
    assert (
        diffs.version_list((one, first), PIPE)
        == """\
job/orders

VERSION  WHERE       CHANGE  SUBMITTER  SUBMITTED             PACKAGE                DESCRIPTION
2        production  modify  dev-1      2026-11-20 12:00 UTC  orders_20261120090000  why
1        taken-over  modify  -          -
"""
    )


# Production.


def test_a_sync_says_what_it_did_and_what_it_leaves_alone() -> None:
    failed = ItemResult(
        item=ORDERS,
        target="main",
        version=3,
        mapping="",
        outcome=Outcome(status=OutcomeStatus.FAILED, error="no space"),
    )
    good = replace(failed, item=CLEAN, version=1, outcome=Outcome(status=OutcomeStatus.SUCCESSFUL))
    result = SyncResult(
        packages=(PackageSync(name=FIRST, status=Status.FAILED, results=(failed, good), note="tag exists"),),
        other=(),
        unapproved=("jobs/x.job.yaml",),
        waiting=(),
        drifted=(("main", CLEAN),),
        behind=(),
    )
    assert (
        production.synced(result, PIPE)
        == """\
orders_20261120090000  failed
  ITEM                 VERSION  TARGET  RELEASE
  job/orders           3        main    failed
  script/clean-orders  1        main    successful
  job/orders on main: no space
  tag exists

unapproved: jobs/x.job.yaml is on the main branch as nobody approved it
drifted: script/clean-orders on main is not what the ledger says

next: gitrelease sync --retry  (once the cause is mended)
next: gitrelease sync --repair script/clean-orders  (brings back what the ledger says)
next: gitrelease rollback --unapproved  (puts back what was approved)
"""
    )


def test_a_sync_with_nothing_to_do_says_so() -> None:
    result = SyncResult(packages=(), other=(), unapproved=(), waiting=(), drifted=(), behind=())
    assert production.synced(result, PIPE) == "nothing outstanding\n"


def test_the_status_shows_working_files_and_every_target() -> None:
    result = StatusResult(
        unsubmitted=(ORDERS,),
        strays=("jobs/notes.txt",),
        targets=(
            TargetStatus(name="main", outstanding=(ORDERS, CLEAN), drifted=(CLEAN,), unapproved=()),
            TargetStatus(name="backup", outstanding=(), drifted=(), unapproved=()),
        ),
        packages=((FIRST, Status.MERGED),),
    )
    assert (
        production.status(result, PIPE)
        == """\
working files
  not submitted: job/orders
  no item: jobs/notes.txt

packages on the main branch that production does not have
  orders_20261120090000  merged

production
  main: 2 outstanding, 1 drifted
    outstanding: job/orders
    outstanding: script/clean-orders
    drifted: script/clean-orders
  backup: in line

next: gitrelease submit job/orders
next: gitrelease sync  (by a runner, brings production in line)
next: gitrelease sync --repair script/clean-orders
"""
    )


def test_the_status_of_what_failed_leads_to_a_retry() -> None:
    """A plain sync leaves what failed alone."""
    failed = TargetStatus(name="main", outstanding=(ORDERS,), drifted=(), unapproved=(), behind=(ORDERS,))
    result = StatusResult(unsubmitted=(), strays=(), targets=(failed,), packages=())
    shown = production.status(result, PIPE).splitlines()
    assert [line for line in shown if line.startswith("next:")] == [
        "next: gitrelease sync --retry  (by a runner, once the cause is mended)"
    ]


def test_a_verify_says_whether_everything_holds_and_what_is_only_believed() -> None:
    result = VerifyResult(
        checked=Checked(receipts=12, packages=3, items=4, signatures=1),
        taken_over=(CLEAN,),
        broken=(),
        root=COMMIT,
        is_root_known=True,
    )
    assert (
        production.verified(result, PIPE)
        == """\
the chain of releases holds
checked 12 receipts, 3 packages, 4 versions, 1 signature
1 item taken over at the beginning, not reviewed
"""
    )
    wrong = Broken(promise=1, ref="refs/heads/main", why="holds bytes that nobody approved")
    assert (
        production.verified(replace(result, broken=(wrong,), taken_over=(), is_root_known=False), PIPE)
        == f"""\
broken: promise 1: refs/heads/main: holds bytes that nobody approved

the chain of releases is broken in 1 place
checked 12 receipts, 3 packages, 4 versions, 1 signature

note: that {COMMIT} is the trust root is only what this clone says;
set GITRELEASE_ROOT to what `gitrelease init` printed to have it checked too
"""
    )


def test_a_beginning_says_what_runners_need() -> None:
    shop = Workspace(name="shop", id="w", version=1, members=())
    result = InitResult(
        folder=Path("shop"),
        workspace=shop,
        root=COMMIT,
        forge=ForgeKind.LOCAL,
        pushed=False,
        taken_over=3,
        notes=("there is one admin only",),
    )
    assert (
        setup.begun(result, PIPE)
        == f"""\
the workspace shop is ready in shop
3 items taken over, not reviewed

trust root: {COMMIT}
Keep it outside the repository too: runners get it as GITRELEASE_ROOT, and refuse any other ledger.

note: there is one admin only

next: gitrelease submit --all  (once there are jobs below jobs/)
"""
    )


def test_a_pull_says_what_became_of_working_changes() -> None:
    result = Pulled(
        before=COMMIT, after=CommitId("f" * 40), dropped=("jobs/a.job.yaml",), kept=("jobs/b.job.yaml",)
    )
    assert (
        setup.pulled(result, PIPE)
        == """\
the main branch went from 1234567 to fffffff

dropped, as the main branch holds it now  jobs/a.job.yaml
kept                                      jobs/b.job.yaml

next: gitrelease status  (shows what is not submitted)
"""
    )


# JSON.


def test_json_is_the_same_value_when_read_back_and_harmless_to_look_at() -> None:
    text = documents.dumped({"name": HOSTILE, "订单": "größer"})
    assert json.loads(text) == {"name": HOSTILE, "订单": "größer"}
    assert "订单" in text
    assert text.replace("\n", "").isprintable()


def test_lists_say_how_long_they_are_and_times_are_in_utc() -> None:
    page = documents.page(Listed(items=(a_summary(),), total=7, limit=1, offset=3), documents.package)
    assert {key: page[key] for key in ("total", "limit", "offset")} == {"total": 7, "limit": 1, "offset": 3}
    assert documents.time(NOW.astimezone(timezone(timedelta(hours=8)))) == "2026-11-20T12:00:00Z"
    assert documents.time(None) is None


def test_nothing_hostile_comes_through_any_view() -> None:
    evil = Person(id=HOSTILE, name=HOSTILE, email=HOSTILE)
    task = a_task(description=HOSTILE, submitter=Actor(person=evil, doubt=HOSTILE))
    standing = TaskStanding(task=task, state=TaskState.PENDING)
    yes = ApprovalView(person=evil, verdict=Stance.APPROVED, at=NOW, commit=COMMIT, message=HOSTILE)
    summary = a_summary(
        description=HOSTILE, applicant=evil, reviewers=(evil,), approvals=(yes,),
        uncounted=(replace(yes, why=HOSTILE),), missing=(HOSTILE,),
        reasons=(HOSTILE,), url=HOSTILE,
        items=(replace(a_summary().items[0], submitter=evil, error=HOSTILE),),
    )  # fmt: skip
    finding = replace(ERROR, file=HOSTILE, message=HOSTILE, hint=HOSTILE, key=HOSTILE)
    shown = [
        tasks.task_list((Listed(items=(standing,), total=1, limit=1, offset=0), standings()), SCREEN),
        tasks.task_head(standing, SCREEN),
        tasks.findings_text([finding], SCREEN),
        packages.package_view(summary, SCREEN),
        packages.package_list(Listed(items=(summary,), total=1, limit=1, offset=0), SCREEN),
        diffs.comparison(a_comparison(after=HOSTILE.replace("\udcff", "")), Style.MEANING, SCREEN),
        error_text(HOSTILE, HOSTILE, SCREEN),
    ]
    for text in shown:
        assert [one for one in text if not one.isprintable() and one not in "\n\t"] == []
        assert "s3cret" not in text
