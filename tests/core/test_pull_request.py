"""What a pull request amounts to: whose word counts for what, by what the server itself recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gitrelease.core.archive import Settlement
from gitrelease.core.fields import Malformed
from gitrelease.core.names import BlobId, CommitId, NameRefused, PackageName, branch
from gitrelease.core.people import Account
from gitrelease.core.pull_request import (
    Dismissal,
    PullRequest,
    Push,
    Recorded,
    Remark,
    closing_fault,
    parse_pull_request,
    pull_request_document,
    review_of,
)
from gitrelease.core.review import Review, Say, evaluate
from gitrelease.core.status import closed_as
from gitrelease.core.workspace import Role, Rule, Team, Workspace
from tests.core.proposals import HEAD, NOON, OTHER_PLAN, PLAN, proposed, workspace

ELSE = CommitId("e" * 40)
SAME = CommitId("f" * 40)
"""Another commit that holds the package as it was: main was merged into its branch."""
HELD = {HEAD: PLAN, SAME: PLAN, ELSE: OTHER_PLAN}
NUMBERS = {
    who: number for number, who in enumerate(("adm-1", "adm-2", "dev-1", "dev-2", "dep-1", "dep-2"), 101)
}
GHOST = Account(id=None, login="ghost")
BOT = Account(id=15368, login="github-actions[bot]", is_bot=True)


def known() -> Workspace:
    """The workspace, whose members have accounts."""
    made = workspace()
    return replace(made, members=tuple(replace(one, github=NUMBERS.get(one.id)) for one in made.members))


def account(who: str, **more: Any) -> Account:
    return Account(id=NUMBERS[who], login=f"{who}-on-github", **more)


def push(who: Account | str = "dev-1", *, at: int = 0, after: CommitId | None = HEAD) -> Push:
    by = account(who) if isinstance(who, str) else who
    return Push(by=by, at=NOON + timedelta(minutes=at), after=after)


def remark(who: Account | str = "dep-1", say: Say = Say.APPROVE, *, at: float = 10, **more: Any) -> Remark:
    by = account(who) if isinstance(who, str) else who
    return Remark(id=int(at * 100), by=by, say=say, at=NOON + timedelta(minutes=at), **more)


def dismissed(who: Account | str, *, at: int = 20) -> Dismissal:
    by = account(who) if isinstance(who, str) else who
    return Dismissal(by=by, at=NOON + timedelta(minutes=at))


def pull(*remarks: Remark, **more: Any) -> PullRequest:
    fields: dict[str, Any] = {
        "package": PackageName("orders_1"),
        "number": 7,
        "url": "https://github.example/o/r/pull/7",
        "base": "main",
        "head": HEAD,
        "is_same_repository": True,
        "is_open": True,
        "opened_by": account("dev-1"),
        "opened_at": NOON,
        "pushes": (push(),),
        "remarks": remarks,
    }
    return PullRequest(**{**fields, **more})


def review(made: PullRequest, by: Workspace | None = None) -> Review:
    def content(package: PackageName, commit: CommitId) -> BlobId | None:
        assert package == "orders_1"
        return HELD.get(commit)

    return review_of(made, by or known(), main="main", content=content)


def approved_by(made: PullRequest, by: Workspace | None = None) -> list[str]:
    """Whose approvals count, where nothing else is wrong."""
    found = review(made, by)
    members = frozenset(one.member for one in found.authors if one.member is not None)
    package = replace(proposed(), authors=members)
    return [str(one.actor.member) for one in evaluate(by or known(), package, found.opinions).approvals]


def blocked(made: PullRequest) -> list[str]:
    return [str(one.actor.member) for one in evaluate(known(), proposed(), review(made).opinions).vetoes]


def test_an_approval_of_what_the_branch_held_counts() -> None:
    assert approved_by(pull(remark())) == ["dep-1"]


def test_p1_an_approval_counts_for_what_the_branch_held_when_it_was_given() -> None:
    """Whichever commit the forge says it is of: that may be moved to a later one."""
    earlier = pull(remark(at=10), pushes=(push(after=ELSE), push(at=20)))
    assert approved_by(earlier) == []
    assert approved_by(replace(earlier, remarks=(remark(at=30),))) == ["dep-1"]


def test_p1_what_was_pushed_in_the_same_second_may_have_come_after() -> None:
    assert approved_by(pull(remark(at=20), pushes=(push(), push(at=20, after=SAME)), head=SAME)) == []


def test_p1_before_anything_was_pushed_nothing_was_reviewed() -> None:
    assert approved_by(pull(remark(at=-5))) == []


def test_bringing_a_branch_up_to_date_keeps_approvals_and_makes_nobody_an_author() -> None:
    made = pull(remark("dep-1"), pushes=(push(), push("dep-1", at=20, after=SAME)), head=SAME)
    assert approved_by(made) == ["dep-1"]
    assert [one.member for one in review(made).authors] == ["dev-1"]


@pytest.mark.parametrize("who", ["dev-1", "dep-1"])
def test_p2_whoever_opened_it_or_pushed_something_new_is_an_author(who: str) -> None:
    opened = pull(remark(who, at=30), opened_by=account(who))
    pushed = pull(remark(who, at=30), pushes=(push(), push(who, at=5, after=ELSE), push(at=20)))
    assert (approved_by(opened), approved_by(pushed)) == ([], [])


def test_p2_a_bot_may_open_it_for_whoever_pushed_and_that_one_stays_the_author() -> None:
    found = review(pull(remark("dev-1"), opened_by=BOT))
    assert [(one.member, one.doubt) for one in found.authors] == [("dev-1", None)]


def test_what_a_bot_pushed_has_no_author_who_can_be_believed() -> None:
    (_, bot) = review(pull(pushes=(push(BOT),))).authors
    assert (bot.member, bot.doubt) == (None, "is by github-actions[bot], which is a bot")


def test_a_head_that_nobody_pushed_has_no_author_who_can_be_believed() -> None:
    authors = review(pull(pushes=(push(after=ELSE),))).authors
    assert authors[-1].doubt == "was pushed by nobody the forge has a record of"


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (BOT, "is by github-actions[bot], which is a bot"),
        (GHOST, "is by an account that is gone"),
        (Account(id=999, login="dep-1"), "is by dep-1, who is no member"),
        (account("dep-1", doubt="may not write there"), "is by dep-1, who may not write there"),
    ],
)
def test_p13_p31_whose_approval_is_nobodys(by: Account, why: str) -> None:
    """Bots never count, and people are known by their number: a name may be another's tomorrow."""
    made = pull(remark(by))
    assert approved_by(made) == []
    assert [one.actor.doubt for one in review(made).opinions] == [why]


def test_p31_a_person_who_is_called_otherwise_today_is_the_same_person() -> None:
    assert approved_by(pull(remark(replace(account("dep-1"), login="new-name")))) == ["dep-1"]


def test_p5_a_dismissed_approval_is_none() -> None:
    assert approved_by(pull(remark(dismissal=dismissed("dev-1")))) == []


@pytest.mark.parametrize(
    ("by", "still"), [("dev-1", True), ("dep-2", True), ("adm-1", False), ("dep-1", False)]
)
def test_p5_a_veto_is_lifted_by_an_admin_or_by_whoever_gave_it(by: str, still: bool) -> None:
    made = pull(remark("dep-1", Say.REJECT, dismissal=dismissed(by)))
    assert (blocked(made) == ["dep-1"]) is still


def test_p5_a_later_yes_of_the_same_person_lifts_their_veto_and_an_earlier_one_does_not() -> None:
    no, yes = remark("dep-1", Say.REJECT, at=20), remark("dep-1", at=30)
    assert blocked(pull(no, yes)) == []
    assert blocked(pull(replace(yes, at=NOON + timedelta(minutes=10)), no)) == ["dep-1"]


@pytest.mark.parametrize(
    ("first", "second", "approves", "blocks"),
    [
        (Say.APPROVE, Say.REJECT, [], ["dep-1"]),
        (Say.REJECT, Say.REJECT, [], ["dep-1"]),
        (Say.REJECT, Say.APPROVE, ["dep-1"], []),
    ],
)
def test_p5_who_takes_back_what_they_said_first_leaves_their_last_word_as_it_is(
    first: Say, second: Say, approves: list[str], blocks: list[str]
) -> None:
    made = pull(remark(say=first, dismissal=dismissed("dep-1")), remark(say=second, at=15))
    assert (approved_by(made), blocked(made)) == (approves, blocks)


def test_p5_a_no_stands_when_a_yes_is_taken_back_that_counted_for_nothing() -> None:
    """Said on a page that was old: it took no no back, and neither does who takes it back."""
    doubted = account("dep-1", doubt="said so of something else")
    made = pull(remark(say=Say.REJECT), remark(doubted, at=15, dismissal=dismissed("dep-1")))
    assert blocked(made) == ["dep-1"]
    taken = replace(made.remarks[0], dismissal=dismissed("dep-1"))
    assert blocked(replace(made, remarks=(taken, made.remarks[1]))) == []


def test_what_was_approved_for_another_base_is_not_approved_for_this_one() -> None:
    made = pull(remark(at=10), remark("dep-2", at=30), retargeted=(NOON + timedelta(minutes=20),))
    assert approved_by(made) == ["dep-2"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"base": "dev"}, "the pull request 7 is to be merged into dev, not main"),
        ({"is_same_repository": False}, "the pull request 7 comes from another repository"),
    ],
)
def test_a_pull_request_that_is_for_another_place_is_no_review(changed: dict[str, Any], why: str) -> None:
    assert review(pull(remark(), **changed)).fault == why


def test_p8_what_the_forge_recorded_as_its_merge_is_known() -> None:
    found = review(pull(merged_as=ELSE, is_open=False))
    assert (found.records_merges, found.merged_as, found.is_open) == (True, ELSE, False)


def test_who_is_in_a_team_has_its_roles_and_answers_for_it() -> None:
    rule = Rule(paths=("jobs/**",), people=("@org/leads", "dep-1"))
    made = known()
    made = replace(
        made,
        teams=(Team(name="@org/leads", roles=frozenset({Role.DEPLOYER})),),
        review=replace(made.review, required=(rule,)),
    )
    people = (account("dev-2"), Account(id=777, login="new"), BOT, GHOST)
    resolved = made.with_teams({"@org/leads": people})
    assert resolved.review.required[0].people == ("dev-2", "github-777", "dep-1")
    assert approved_by(pull(remark(Account(id=777, login="new"))), made) == []
    assert approved_by(pull(remark(Account(id=777, login="new"))), resolved) == ["github-777"]
    assert approved_by(pull(remark("dev-2")), resolved) == ["dev-2"]
    assert made.with_teams({}).members == made.members
    assert resolved.with_teams({"@org/leads": people}).members == resolved.members


@pytest.mark.parametrize(
    ("by", "settlement", "denied"),
    [
        (account("dev-1"), Settlement.REVOKED, Settlement.REJECTED),
        (account("dep-1"), Settlement.REJECTED, Settlement.REVOKED),
        (account("dev-2"), Settlement.REJECTED, Settlement.REVOKED),
        (Account(id=4711, login="dev-1-on-github"), Settlement.REJECTED, Settlement.REVOKED),
        (GHOST, Settlement.REJECTED, Settlement.REVOKED),
        (BOT, Settlement.REJECTED, Settlement.REVOKED),
    ],
)
def test_how_a_package_was_closed_is_known_by_who_closed_it(
    by: Account, settlement: Settlement, denied: Settlement
) -> None:
    closed = pull(is_open=False, closed_by=by)
    assert closed_as(review(closed)) is settlement
    assert closing_fault(closed, settlement) is None
    assert closing_fault(closed, denied) is not None
    assert closed_as(review(replace(closed, base="dev"))) is None
    assert closed_as(review(replace(closed, is_same_repository=False))) is None


def test_who_pushed_more_than_an_update_is_an_author_who_revokes() -> None:
    moves = (push(), push("dep-1", at=1, after=SAME), push("dep-2", at=2, after=ELSE))
    closed = pull(is_open=False, pushes=moves, head=ELSE)
    assert closed_as(review(replace(closed, closed_by=account("dep-1")))) is Settlement.REJECTED
    assert closed_as(review(replace(closed, closed_by=account("dep-2")))) is Settlement.REVOKED


def test_what_is_open_or_was_merged_was_not_closed() -> None:
    for one in (
        pull(),
        pull(closed_by=account("dep-1")),
        pull(is_open=False),
        pull(is_open=False, merged_as=ELSE),
    ):
        assert closed_as(review(one)) is None
        assert closing_fault(one, Settlement.REJECTED) == "the pull request 7 was not closed"


def test_who_made_a_task_is_who_pushed_its_branch() -> None:
    ref = branch("submit/job/orders/v2")
    made = pull(tasks={ref: (push("dev-2"), push("dev-1", at=5, after=None))})
    known_ = Recorded(pull=made).authors({ref: HEAD}, known())
    unknown = Recorded(pull=made).authors({ref: ELSE}, known())
    assert [one.member for one in known_[ref]] == ["dev-2"]
    assert [one.doubt for one in unknown[ref]] == ["was pushed by nobody the forge has a record of"]


def test_what_a_receipt_keeps_of_it_reads_back_the_same() -> None:
    made = pull(
        remark(message="fine", dismissal=dismissed(GHOST)),
        remark(BOT, Say.REJECT, at=11.5),
        retargeted=(NOON,),
        closed_by=account("dep-2", doubt="may not write there"),
        merged_as=ELSE,
        tasks={branch("submit/job/orders/v2"): (push(after=None), push())},
        teams={"@org/leads": (account("dev-2"), GHOST)},
    )
    assert parse_pull_request(pull_request_document(made)) == made


def test_what_another_forge_recorded_is_not_read_as_if_it_were_this_one() -> None:
    with pytest.raises(Malformed, match="no forge that is known"):
        parse_pull_request({**pull_request_document(pull()), "forge": "other"})


@pytest.mark.parametrize("name", sorted(pull_request_document(pull())))
def test_what_lacks_a_fact_or_has_it_in_another_shape_is_no_record(name: str) -> None:
    kept = pull_request_document(pull())
    with pytest.raises((Malformed, NameRefused)):
        parse_pull_request({**kept, name: 1.5})
    del kept[name]
    with pytest.raises(Malformed):
        parse_pull_request(kept)


def test_a_time_without_an_offset_is_none() -> None:
    with pytest.raises(Malformed, match="openedAt: is '2026-11-22T12:00:00', a time without an offset"):
        parse_pull_request({**pull_request_document(pull()), "openedAt": "2026-11-22T12:00:00"})
