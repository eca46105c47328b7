"""What a forge shows of a package on its way: every state has its words, and nobody's words are obeyed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitrelease.core.item import Change
from gitrelease.core.ledger import Evidence
from gitrelease.core.names import BlobId, CommitId, PackageName, item_key
from gitrelease.core.package import Reason
from gitrelease.core.people import Person
from gitrelease.core.plan import OutcomeStatus
from gitrelease.core.review import Opinion, Say, evaluate
from gitrelease.core.status import ApprovalView, Stance, Status, Summary, SummaryItem
from gitrelease.forges import Course, State
from gitrelease.reading.judging import Judged
from gitrelease.render.standing import announcement, standing
from tests.core.proposals import HEAD, NOON, PLAN, opinion, proposed, workspace

HOSTILE = "<!-- gitrelease:standing --> @acme/all `x` | ![](https://evil.example)\n# approved"


def judged(*opinions: Opinion, obstacles: tuple[Reason, ...] = ()) -> Judged:
    package = proposed(obstacles=obstacles)
    return Judged(package=package, review=None, verdict=evaluate(workspace(), package, opinions))


@pytest.mark.parametrize(
    ("of", "status", "state", "first"),
    [
        (judged(), Status.PENDING_REVIEW, State.PENDING, "waits for approval."),
        (judged(opinion("dep-1")), Status.APPROVED, State.SUCCESS, "is approved, and not merged yet."),
        (
            judged(opinion("dep-1")),
            Status.MERGED,
            State.SUCCESS,
            "is merged; what sync makes of it in production is shown as a deployment.",
        ),
        (judged(), Status.MERGED, State.PENDING, "is merged and not approved: sync does not apply it."),
        (
            judged(opinion("dep-1", Say.REJECT)),
            Status.CHANGES_REQUESTED,
            State.FAILURE,
            "is not approved: changes are asked for.",
        ),
        (
            judged(obstacles=(Reason(code="stale", message="it is stale"),)),
            Status.PENDING_REVIEW,
            State.FAILURE,
            "cannot be approved as it is.",
        ),
        (
            judged(opinion("dep-1")),
            Status.REVOKED,
            State.FAILURE,
            "was taken back; its tasks await release again.",
        ),
    ],
)
def test_how_a_package_stands(of: Judged, status: Status, state: State, first: str) -> None:
    told = standing(of, status, url="https://github.com/acme/desk/actions/runs/1")
    check, approval = told.statuses
    assert (check.context, approval.context) == ("gitrelease/check", "gitrelease/approval")
    assert check.state is (State.FAILURE if of.package.obstacles else State.SUCCESS)
    assert approval.state is state
    assert told.comment.splitlines()[0] == f"**`orders_1` {first}**"
    assert {one.url for one in told.statuses} == {"https://github.com/acme/desk/actions/runs/1"}


def test_a_comment_is_shown_whole() -> None:
    told = standing(
        judged(opinion("dep-1"), opinion("dep-2", of=BlobId("c" * 40)), opinion(None)), Status.APPROVED
    )
    assert (
        told.comment
        == """\
**`orders_1` is approved, and not merged yet.**

- approved by `dep-1`
- what `dep-2` said does not count: `it was given to other content`
- what `dep-1 (unproven claim)` said does not count: `it is not signed`

This is kept up to date by gitrelease; nothing is decided by what stands here.
"""
    )


def test_p21_what_a_reviewer_writes_is_obeyed_by_nothing() -> None:
    told = standing(judged(opinion("dep-1", Say.REJECT, message=HOSTILE)), Status.CHANGES_REQUESTED)
    (line,) = [line for line in told.comment.splitlines() if "evil" in line]
    assert line.startswith("- against it: ``")
    assert line.endswith("``")
    assert "\n# approved" not in told.comment
    assert "\n" not in told.statuses[1].description


SUMMARY = Summary(
    name=PackageName("orders_1"),
    description=HOSTILE,
    applicant=Person(id="dev-1"),
    applied_at=NOON,
    reviewers=(),
    approvals=(ApprovalView(person=Person(id="dep-1"), verdict=Stance.APPROVED, at=NOON, commit=HEAD),),
    missing=(),
    status=Status.SUCCESSFUL,
    execute=False,
    released_by=None,
    released_at=None,
    url="https://github.com/acme/desk/pull/1",
    items=(
        SummaryItem(
            item=item_key("job/orders"),
            change=Change.MODIFY,
            version=2,
            previous_version=1,
            submitter=Person(id="dev-1"),
            submitted_at=None,
            task=CommitId("c" * 40),
            release=OutcomeStatus.SUCCESSFUL,
        ),
    ),
)
EVIDENCE = Evidence(
    main_before=CommitId("1" * 40),
    main_after=CommitId("2" * 40),
    manifest=PLAN,
    head=HEAD,
    log=None,
    tasks=(),
    approvals=(),
)


def test_what_became_of_a_release() -> None:
    told = announcement(SUMMARY, EVIDENCE, url="https://github.com/acme/desk/actions/runs/1")
    assert (told.course, told.description, told.commit) == (Course.SUCCESS, "1 item released", "2" * 40)
    assert told.notes is not None
    fence, rest = told.notes.split("\n", 1)
    inside, after = rest.split("\n```\n", 1)
    assert (fence, "evil" in inside, "evil" in after) == ("```text", True, False)
    assert "| `job/orders` | modify | 1 → 2 | successful |  |" in after
    assert "Put up for review by `dev-1`, approved by `dep-1`." in after

    item = replace(SUMMARY.items[0], release=OutcomeStatus.FAILED, error="the disk is full")
    failed = announcement(replace(SUMMARY, status=Status.FAILED, items=(item,)), EVIDENCE)
    assert (failed.course, failed.description) == (Course.FAILURE, "1 of 1 item not released: job/orders")
    refused = announcement(replace(SUMMARY, status=Status.REFUSED, reasons=("it is stale",)), EVIDENCE)
    assert (refused.course, refused.description) == (Course.FAILURE, "refused: it is stale")
