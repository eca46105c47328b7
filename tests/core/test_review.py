"""The verdict: every rule of design 4 ("Review"), with what it lets through and what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitrelease.core.item import Change
from gitrelease.core.names import MemberId, PackageName
from gitrelease.core.package import Proposed, Purpose, Reason, reviewers_asked
from gitrelease.core.review import (
    Opinion,
    Review,
    Say,
    Uncounted,
    Verdict,
    cannot_be_met,
    evaluate,
    may_approve,
)
from gitrelease.core.status import approval_views
from gitrelease.core.workspace import Action, Role, Rule, Team, Workspace
from tests.core.proposals import (
    HEAD,
    OTHER_PLAN,
    WORKSPACE_CHANGE,
    actor,
    manifest,
    opinion,
    planned,
    proposed,
    state,
    workspace,
)

ANYBODY = "1 more of 1 approvals, from one of adm-1, adm-2, dep-1, dep-2"
SALES = Rule(paths=("jobs/sales/**",), people=("dep-2",))


def judge(
    *opinions: Opinion, of: Proposed | None = None, by: Workspace | None = None
) -> tuple[list[str], list[str], list[str]]:
    """Give who approved, what is wrong, and what is missing."""
    verdict = evaluate(by or workspace(), of or proposed(), opinions)
    assert verdict.is_approved is (not verdict.reasons and not verdict.missing)
    return (
        [str(one.actor.member) for one in verdict.approvals],
        [one.message for one in verdict.reasons],
        [one.message for one in verdict.missing],
    )


def test_one_eligible_yes_to_the_content_is_enough() -> None:
    yes = opinion("dep-1")
    assert evaluate(workspace(), proposed(), [yes]) == Verdict(
        package=PackageName("orders_1"), head=HEAD, approvals=(yes,), vetoes=(), reasons=(), missing=()
    )


def test_nobody_said_anything() -> None:
    assert judge() == ([], [], [ANYBODY])


@pytest.mark.parametrize("who", ["adm-1", "adm-2", "dep-1", "dep-2"])
def test_whose_approval_counts(who: str) -> None:
    assert judge(opinion(who)) == ([who], [], [])


@pytest.mark.parametrize("who", ["dev-2", "view-1", "ops-1", "sync", "nobody"])
def test_whose_approval_does_not_count(who: str) -> None:
    assert judge(opinion(who)) == ([], [], [ANYBODY])


@pytest.mark.parametrize("role", list(Role))
def test_the_roles_that_may_approve(role: Role) -> None:
    members = tuple(replace(one, roles=frozenset({role})) for one in workspace().members[:1])
    assert may_approve(replace(workspace(), members=members), MemberId("adm-1")) is (
        role in {Role.ADMIN, Role.DEPLOYER, Role.DAYU_ADMINISTRATOR, Role.TENANT_ADMINISTRATOR}
    )


def test_an_opinion_that_cannot_be_believed_is_nobodys() -> None:
    forged = opinion(None)
    assert judge(forged) == ([], [], [ANYBODY])
    # A member named beside a doubt is still a doubt.
    both = replace(forged, actor=replace(forged.actor, member=MemberId("dep-1")))
    assert judge(both) == ([], [], [ANYBODY])
    assert judge(opinion("dep-1", Say.REJECT), replace(both, say=Say.WITHDRAW))[1] == [
        "dep-1 asked for changes"
    ]


def test_what_cannot_be_read_is_nobodys_and_takes_nothing_back() -> None:
    odd = opinion("dep-1", Say.UNREADABLE)
    assert judge(opinion("dep-1"), odd) == (["dep-1"], [], [])
    assert judge(opinion("dep-1", Say.REJECT), odd)[1] == judge(opinion("dep-1", Say.REJECT))[1] != []


def test_an_approval_of_other_content_does_not_count() -> None:
    assert judge(opinion("dep-1", of=OTHER_PLAN)) == ([], [], [ANYBODY])
    assert judge(opinion("dep-1", of=None)) == ([], [], [ANYBODY])


def test_an_approval_of_the_same_content_at_another_head_counts() -> None:
    assert judge(opinion("dep-1", head="d" * 40)) == (["dep-1"], [], [])


def test_the_latest_approval_counts_also_when_it_is_of_other_content() -> None:
    assert judge(opinion("dep-1"), opinion("dep-1", of=OTHER_PLAN)) == ([], [], [ANYBODY])
    assert judge(opinion("dep-1", of=OTHER_PLAN), opinion("dep-1")) == (["dep-1"], [], [])


def test_an_approval_given_under_another_trust_root_does_not_count() -> None:
    assert judge(opinion("dep-1", root="e" * 40)) == ([], [], [ANYBODY])
    # A forge that is itself the place has none.
    assert judge(opinion("dep-1", root=None)) == (["dep-1"], [], [])


@pytest.mark.parametrize("author", ["adm-1", "dep-1"])
def test_no_author_approves_whatever_their_role(author: str) -> None:
    left = ", ".join(who for who in ("adm-1", "adm-2", "dep-1", "dep-2") if who != author)
    missing = [f"1 more of 1 approvals, from one of {left}"]
    recorded = proposed(authors=("dev-1", author))
    assert judge(opinion(author), of=recorded) == ([], [], missing)
    applicant = proposed(manifest(applicant=MemberId(author)), authors=("dev-1",))
    assert judge(opinion(author), of=applicant) == ([], [], missing)


def test_a_submitter_does_not_approve() -> None:
    taken_over = proposed(manifest(planned(by=("dev-1", "adm-1"))), authors=("dev-1",))
    assert judge(opinion("adm-1"), of=taken_over)[0] == []
    assert judge(opinion("adm-2"), of=taken_over) == (["adm-2"], [], [])


def test_each_person_counts_once() -> None:
    two = workspace(approvals=2)
    assert judge(opinion("dep-1"), opinion("dep-1"), by=two) == (
        ["dep-1"],
        [],
        ["1 more of 2 approvals, from one of adm-1, adm-2, dep-2"],
    )
    assert judge(opinion("dep-1"), opinion("adm-1"), by=two) == (["dep-1", "adm-1"], [], [])


@pytest.mark.parametrize("number", [0, -1])
def test_no_policy_still_takes_one_approval(number: int) -> None:
    assert judge(by=workspace(approvals=number, rollback_approvals=number)) == ([], [], [ANYBODY])
    back = proposed(manifest(purpose=Purpose.ROLLBACK))
    assert judge(of=back, by=workspace(approvals=number, rollback_approvals=number))[2] == [ANYBODY]


def test_nobody_left_is_never_a_yes() -> None:
    alone = workspace(without=("adm-1", "adm-2", "dep-2"))
    mine = proposed(manifest(applicant=MemberId("dep-1")))
    assert judge(opinion("dep-1"), of=mine, by=alone) == (
        [],
        [],
        ["1 more of 1 approvals, and nobody is left who could give it"],
    )


def test_a_rollback_has_its_own_number() -> None:
    policy = workspace(approvals=1, rollback_approvals=2)
    assert judge(opinion("dep-1"), by=policy)[2] == []
    back = proposed(manifest(purpose=Purpose.ROLLBACK))
    assert judge(opinion("dep-1"), of=back, by=policy)[2] == [
        "1 more of 2 approvals, from one of adm-1, adm-2, dep-2"
    ]


# Required rules.


def test_a_required_rule_is_met_by_its_own_people_only() -> None:
    by = workspace(SALES)
    missing = ["1 more of 1 required for jobs/sales/**, from dep-2"]
    assert judge(opinion("dep-1"), by=by) == (["dep-1"], [], missing)
    assert judge(opinion("dep-1"), opinion("adm-1"), by=by) == (["dep-1", "adm-1"], [], missing)
    assert judge(opinion("dep-2"), by=by) == (["dep-2"], [], [])


def test_a_rule_looks_at_the_place_before_and_after() -> None:
    moved = planned(
        before=state(1, {"jobs/sales/orders.job.yaml": "old"}),
        after=state(2, {"jobs/web/orders.job.yaml": "new"}),
        change=Change.MODIFY,
    )
    web = Rule(paths=("jobs/web/**",), people=("adm-2",))
    assert judge(opinion("dep-1"), of=proposed(manifest(moved)), by=workspace(SALES, web))[2] == [
        "1 more of 1 required for jobs/sales/**, from dep-2",
        "1 more of 1 required for jobs/web/**, from adm-2",
    ]
    elsewhere = Rule(paths=("jobs/other/**",), people=("dep-2",))
    assert judge(opinion("dep-1"), by=workspace(elsewhere))[2] == []


def test_each_matching_rule_has_to_be_met() -> None:
    other = Rule(paths=("**",), people=("adm-1", "adm-2"), approvals=2)
    by = workspace(SALES, other)
    assert judge(opinion("dep-2"), opinion("adm-1"), by=by)[2] == ["1 more of 2 required for **, from adm-2"]
    assert judge(opinion("dep-2"), opinion("adm-1"), opinion("adm-2"), by=by)[2] == []


@pytest.mark.parametrize("number", [0, -1])
def test_a_rule_asks_for_one_at_least(number: int) -> None:
    assert len(judge(opinion("dep-1"), by=workspace(replace(SALES, approvals=number)))[2]) == 1


def test_a_rules_author_cannot_meet_it() -> None:
    by_dep_2 = proposed(manifest(applicant=MemberId("dep-2")))
    assert judge(opinion("dep-2"), opinion("dep-1"), of=by_dep_2, by=workspace(SALES)) == (
        ["dep-1"],
        [],
        ["1 more of 1 required for jobs/sales/**, and nobody is left who could give it"],
    )


def test_somebody_in_a_rule_who_may_not_approve_does_not_meet_it() -> None:
    rule = Rule(paths=("jobs/**",), people=("dev-2", "nobody"))
    missing = judge(opinion("dev-2"), opinion("nobody"), opinion("dep-1"), by=workspace(rule))[2]
    assert missing == ["1 more of 1 required for jobs/**, and nobody is left who could give it"]


# Vetoes.


@pytest.mark.parametrize("who", ["adm-1", "dep-1"])
def test_changes_requested_block_whoever_else_approves(who: str) -> None:
    assert judge(opinion(who, Say.REJECT, message="wrong queue"), opinion("dep-2"), opinion("adm-2")) == (
        ["dep-2", "adm-2"],
        [f"{who} asked for changes: wrong queue"],
        [],
    )


def test_a_veto_blocks_also_when_it_was_given_to_older_content() -> None:
    assert judge(opinion("dep-1", Say.REJECT, of=OTHER_PLAN), opinion("dep-2"))[1] == [
        "dep-1 asked for changes"
    ]


@pytest.mark.parametrize("after", [Say.APPROVE, Say.WITHDRAW])
def test_a_veto_ends_when_the_same_person_approves_or_takes_it_back(after: Say) -> None:
    approved = ["dep-1", "dep-2"] if after is Say.APPROVE else ["dep-2"]
    assert judge(opinion("dep-1", Say.REJECT), opinion("dep-1", after), opinion("dep-2")) == (
        approved,
        [],
        [],
    )


@pytest.mark.parametrize("after", [Say.ASK, Say.REVOKE])
def test_what_decides_nothing_neither_lifts_a_veto_nor_takes_an_approval_back(after: Say) -> None:
    assert judge(opinion("dep-1", Say.REJECT), opinion("dep-1", after), opinion("dep-2"))[1] != []
    assert judge(opinion("dep-1"), opinion("dep-1", after)) == (["dep-1"], [], [])


def test_an_approval_taken_back_is_none() -> None:
    assert judge(opinion("dep-1"), opinion("dep-1", Say.WITHDRAW)) == ([], [], [ANYBODY])
    assert judge(opinion("dep-1"), opinion("dep-1", Say.REJECT))[:2] == ([], ["dep-1 asked for changes"])
    assert judge(opinion("dep-1"), opinion("dep-2", Say.WITHDRAW)) == (["dep-1"], [], [])


@pytest.mark.parametrize("who", ["dev-2", "view-1", "ops-1", "sync", "nobody", None])
def test_a_no_of_somebody_who_may_not_review_does_not_block(who: str | None) -> None:
    assert judge(opinion(who, Say.REJECT), opinion("dep-1")) == (["dep-1"], [], [])


def test_somebody_who_lost_the_role_neither_approves_nor_blocks() -> None:
    later = workspace(without=("dep-1",))
    assert judge(opinion("dep-1"), by=later)[0] == []
    assert judge(opinion("dep-1", Say.REJECT), opinion("dep-2"), by=later) == (["dep-2"], [], [])


@pytest.mark.parametrize(
    ("by", "lifts"),
    [("adm-2", True), ("dep-2", False), ("dev-2", False), ("adm-1", False), ("nobody", False), (None, False)],
)
def test_a_dismissed_veto_is_lifted_only_by_an_admin_who_is_no_author(by: str | None, lifts: bool) -> None:
    veto = opinion("dep-1", Say.REJECT, dismissed_by=actor(by))
    reasons = judge(veto, opinion("dep-2"), of=proposed(authors=("dev-1", "adm-1")))[1]
    assert reasons == ([] if lifts else ["dep-1 asked for changes"])


def test_a_dismissal_that_cannot_be_believed_lifts_nothing() -> None:
    doubted = replace(actor("adm-2"), doubt="is not signed")
    veto = opinion("dep-1", Say.REJECT, dismissed_by=doubted)
    assert judge(veto, opinion("dep-2"))[1] == ["dep-1 asked for changes"]


def test_a_dismissed_approval_is_none_and_brings_no_older_one_back() -> None:
    gone = opinion("dep-1", dismissed_by=actor("adm-2"))
    assert judge(gone) == ([], [], [ANYBODY])
    assert judge(opinion("dep-1"), gone) == ([], [], [ANYBODY])


# What has no weight, and why.

LATER = workspace(without=("dep-1",))
NO = opinion("dep-1", Say.REJECT)
DISMISSED = replace(NO, dismissed_by=actor("adm-2"))


@pytest.mark.parametrize(
    ("said", "by", "why"),
    [
        (opinion(None), None, "it is not signed"),
        (opinion(None, Say.REJECT), None, "it is not signed"),
        (replace(opinion(None), actor=replace(actor(None), doubt=None)), None, "it has no author"),
        (opinion("view-1"), None, "view-1 may not approve in this workspace"),
        (opinion("dep-1"), LATER, "dep-1 may not approve in this workspace"),
        (NO, LATER, "dep-1 may not approve in this workspace"),
        (opinion("dep-1", of=OTHER_PLAN), None, "it was given to other content"),
        (opinion("dep-1", of=None), None, "nobody can tell which content it was given to"),
        (opinion("dep-1", root="e" * 40), None, "it was given under another trust root"),
        (opinion("adm-1"), None, "adm-1 made part of the package"),
        (opinion("dep-1", dismissed_by=actor("dep-2")), None, "it was dismissed by dep-2"),
        (DISMISSED, None, "it was dismissed by adm-2"),
        (opinion("dep-1", Say.WITHDRAW), None, None),
    ],
)
def test_why_an_opinion_does_not_count(said: Opinion, by: Workspace | None, why: str | None) -> None:
    package = proposed(authors=("dev-1", "adm-1"))
    verdict = evaluate(by or workspace(), package, [said])
    assert (verdict.approvals, verdict.vetoes) == ((), ())
    assert verdict.uncounted == (Uncounted(opinion=said, why=why),)


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (Say.APPROVE, "dep-1 approved later"),
        (Say.REJECT, "dep-1 asked for changes later"),
        (Say.WITHDRAW, "dep-1 took it back"),
    ],
)
@pytest.mark.parametrize("first", [opinion("dep-1", of=OTHER_PLAN), NO])
def test_a_later_word_takes_the_place_of_an_earlier_one(first: Opinion, say: Say, why: str) -> None:
    last = opinion("dep-1", say)
    verdict = evaluate(workspace(), proposed(), [first, last])
    assert verdict.uncounted[0] == Uncounted(opinion=first, why=why)
    assert [one.opinion for one in verdict.uncounted[1:]] == [last] * (say is Say.WITHDRAW)


def test_what_decides_nothing_is_neither_counted_nor_not() -> None:
    said = [opinion("dep-1", Say.ASK), opinion("dep-1", Say.REVOKE)]
    verdict = evaluate(workspace(), proposed(), said)
    assert (verdict.approvals, verdict.vetoes, verdict.uncounted) == ((), (), ())


def test_what_is_shown_of_opinions_is_what_the_verdict_says_of_them() -> None:
    yes, no = opinion("dep-2", message="fine"), opinion("adm-1", Say.REJECT)
    stale, forged = opinion("dep-1", of=OTHER_PLAN), opinion(None)
    counted, uncounted = approval_views(evaluate(workspace(), proposed(), [stale, no, forged, yes]))
    assert [(str(one.person), one.verdict, one.message, one.why) for one in counted] == [
        ("dep-2", "approved", "fine", None),
        ("adm-1", "changes-requested", "", None),
    ]
    assert [(str(one.person), one.verdict, one.why) for one in uncounted] == [
        ("dep-1", "approved", "it was given to other content"),
        ("dep-1 (unproven claim)", "approved", "it is not signed"),
    ]
    assert [one.person.id for one in uncounted] == ["dep-1", None]


# The workspace itself, and who made the package.


def test_a_change_of_the_workspace_needs_an_admin() -> None:
    change = proposed(manifest(WORKSPACE_CHANGE, applicant=MemberId("adm-1")))
    needs = "an admin's approval, as the workspace changes, from adm-2"
    assert judge(of=change)[2] == ["1 more of 1 approvals, from one of adm-2, dep-1, dep-2", needs]
    assert judge(opinion("dep-1"), of=change) == (["dep-1"], [], [needs])
    assert judge(opinion("dep-1"), opinion("dep-2"), opinion("adm-1"), of=change)[2] == [needs]
    assert judge(opinion("adm-2"), of=change) == (["adm-2"], [], [])


def test_what_is_wrong_with_a_package_is_not_cured_by_approvals() -> None:
    fault, obstacle = Reason(code="x", message="a fault"), Reason(code="y", message="an obstacle")
    broken = proposed(faults=[fault], obstacles=[obstacle])
    assert judge(opinion("dep-1"), opinion("adm-1"), of=broken) == (
        ["dep-1", "adm-1"],
        ["a fault", "an obstacle"],
        [],
    )
    verdict = evaluate(workspace(), broken, [opinion("dep-1")])
    assert [
        verdict.is_approved_but_for([fault, obstacle]),
        verdict.is_approved_but_for([obstacle]),
        evaluate(workspace(), broken, []).is_approved_but_for([fault, obstacle]),
    ] == [True, False, False]


def test_a_package_that_nobody_is_known_to_have_made_is_refused() -> None:
    assert judge(opinion("dep-1"), of=proposed(authors=()))[1] == [
        "nobody is recorded as the author of the package"
    ]


@pytest.mark.parametrize("who", ["view-1", "ops-1", "sync", "nobody"])
def test_the_applicant_has_to_be_somebody_who_may_release(who: str) -> None:
    made = proposed(manifest(applicant=MemberId(who)))
    assert judge(opinion("dep-1"), of=made)[1] == [f"the applicant {who} may not release in this workspace"]
    back = proposed(manifest(applicant=MemberId(who), purpose=Purpose.ROLLBACK))
    assert judge(opinion("dep-1"), of=back)[1] == [f"the applicant {who} may not roll back in this workspace"]


@pytest.mark.parametrize("who", ["dep-1", "view-1", "ops-1", "sync", "nobody"])
def test_a_submitter_has_to_be_somebody_who_may_submit(who: str) -> None:
    made = proposed(manifest(planned(by=(who,))))
    assert judge(opinion("dep-2"), of=made)[1] == [f"{who} may not submit in this workspace"]
    # A deployer rolls back through tasks of their own.
    back = proposed(manifest(planned(by=("dep-1",)), applicant=MemberId("dep-1"), purpose=Purpose.ROLLBACK))
    assert judge(opinion("dep-2"), of=back)[1] == []


# Who is asked, and whether anybody can say yes at all.


def asked(*also: str, by: Workspace, authors: tuple[str, ...] = ("dev-1",)) -> tuple[str, ...]:
    return reviewers_asked(
        by,
        paths=["jobs/sales/orders.job.yaml"],
        authors=frozenset(MemberId(who) for who in authors),
        also=[MemberId(who) for who in also],
        eligible=by.who_may(Action.APPROVE),
    )


def test_all_eligible_people_are_asked_when_no_rule_matches() -> None:
    assert asked(by=workspace()) == ("adm-1", "adm-2", "dep-1", "dep-2")
    assert asked(by=workspace(Rule(paths=("jobs/web/**",), people=("dep-2",)))) == asked(by=workspace())


def test_everyone_whom_a_matching_rule_names_is_asked_and_whom_one_adds() -> None:
    rules = (SALES, Rule(paths=("jobs/**",), people=("dep-1", "dep-2", "dev-2", "nobody")))
    assert asked(by=workspace(*rules)) == ("dep-2", "dep-1")
    assert asked("adm-1", "dep-2", by=workspace(SALES)) == ("dep-2", "adm-1")


def test_authors_are_never_asked() -> None:
    assert asked("adm-1", by=workspace(SALES), authors=("dev-1", "dep-2", "adm-1")) == ()


def test_requirements_that_nobody_is_left_to_meet() -> None:
    def impossible(by: Workspace, *authors: str) -> list[str]:
        return [
            one.message for one in cannot_be_met(by, manifest(), frozenset(MemberId(who) for who in authors))
        ]

    assert impossible(workspace(approvals=4), "dev-1") == []
    assert impossible(workspace(approvals=4), "dev-1", "dep-1") == [
        "1 more of 4 approvals, and nobody is left who could give it"
    ]
    assert impossible(workspace(SALES), "dep-1") == []
    assert impossible(workspace(SALES), "dep-2") == [
        "1 more of 1 required for jobs/sales/**, and nobody is left who could give it"
    ]
    leads = replace(workspace(Rule(paths=("**",), people=("@org/leads",))), teams=(Team(name="@org/leads"),))
    assert impossible(leads, "dev-1") == ["1 more of 1 required for **, and nobody is left who could give it"]


def test_who_was_asked_later_is_kept_in_order_and_once() -> None:
    opinions = (
        opinion("dev-1", Say.ASK, asks=(MemberId("dep-2"), MemberId("adm-1"))),
        opinion("dep-1"),
        opinion("dev-1", Say.ASK, asks=(MemberId("dep-2"), MemberId("dep-1"))),
    )
    review = Review(package=PackageName("orders_1"), head=HEAD, authors=(), opinions=opinions)
    assert review.asked == ("dep-2", "adm-1", "dep-1")


def test_an_import_as_released_is_for_admins_and_another_admin_approves_it() -> None:
    """A deployer's yes is not enough for bytes that no task was reviewed for, nor a developer's application."""
    by_admin = proposed(manifest(planned(), purpose=Purpose.IMPORT, applicant=MemberId("adm-1")))
    deployer = evaluate(workspace(), by_admin, [opinion("dep-1")])
    assert "admin" in [reason.code for reason in deployer.missing]
    admin = evaluate(workspace(), by_admin, [opinion("adm-2")])
    assert "admin" not in [reason.code for reason in admin.missing]
    by_developer = proposed(manifest(planned(), purpose=Purpose.IMPORT, applicant=MemberId("dev-1")))
    assert "applicant" in [
        reason.code for reason in evaluate(workspace(), by_developer, [opinion("adm-1")]).reasons
    ]
