"""What is read of pull requests: who said what of which content, and what counts for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelease.core.names import CommitId, PackageName, RefName, package_name, package_ref, task_ref
from gitrelease.core.package import Proposed, manifest_document
from gitrelease.core.pull_request import Recorded, parse_pull_request, review_of
from gitrelease.core.review import Opinion, Review, Say, Verdict, evaluate
from gitrelease.documents import dump
from gitrelease.errors import CredentialsError
from gitrelease.forges.github.forge import GithubForge
from gitrelease.forges.github.refusals import RepositoryRenamed, Unreadable
from gitrelease.reading.judging import judge_branch
from gitrelease.repo import RefMove
from tests.contracts.test_forge import proposal, proposed, speak
from tests.github import pulls, reviews
from tests.github.faults import Reply
from tests.github.fixtures import github
from tests.github.merging import update_branch
from tests.github.protecting import Actor
from tests.github.state import Pull, Restamp, Role, TokenKind
from tests.github.state import Review as Given
from tests.github.use_shop import HubPerson, HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml

pytestmark = pytest.mark.long

FIRST = package_name("first")
PACKAGE = "package/first"


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub, signatures="off")
        yield made
        made.close()


def seen(person: HubPerson, name: PackageName = FIRST) -> Review:
    """Give the review as a new process finds it."""
    now = person.desk.look()
    found = person.desk.forge.find(name, now.workspace)
    assert found is not None
    return found


def verdict(person: HubPerson, name: PackageName = FIRST) -> Verdict:
    """Judge a package by its branch."""
    now = person.desk.look()
    review = person.desk.forge.find(name, now.workspace)
    assert review is not None
    return judge_branch(person.repo, person.desk.forge, now.ground, review).verdict


def pull(shop: HubShop, number: int = 1) -> Pull:
    found = shop.hub.server.state.find_pull(shop.repo, number)
    assert found is not None
    return found


def said(review: Review) -> list[tuple[str | None, Say, str | None]]:
    """List what was said: by whom it counts, what, and why it does not."""
    return [(one.actor.member, one.say, one.actor.doubt) for one in review.opinions]


def moved_on(shop: HubShop, made: Proposed, who: str = "dev-1", *, amend: bool = False) -> CommitId:
    """Change the manifest of a package on its branch."""
    person = shop.person(who)
    person.clone.git("fetch", "--quiet", "origin")
    person.clone.git("checkout", "--quiet", "--force", "--detach", f"origin/{PACKAGE}")
    changed = replace(made.manifest, description=f"something else by {who}")
    options = ("--amend", "--reset-author") if amend else ()
    commit = person.clone.commit({changed.path: dump(manifest_document(changed))}, "more", *options)
    person.clone.push(f"HEAD:refs/heads/{PACKAGE}", force=amend)
    person.clone.git("checkout", "--quiet", "--force", "main")
    return CommitId(commit)


# P1: an approval counts for what the branch held when it was given.


@pytest.mark.parametrize("restamp", Restamp)
def test_p1_an_approval_of_what_was_there_before_is_stale(shop: HubShop, restamp: Restamp) -> None:
    made = proposed(shop)
    shop.hub.server.state.switches.restamp = restamp
    speak(shop, "dep-1", made, Say.APPROVE)
    assert verdict(shop.person("adm-1")).is_approved
    head = moved_on(shop, made, amend=True)
    review = seen(shop.fresh("adm-1"))
    (opinion,) = review.opinions
    assert (review.head, opinion.head, opinion.manifest) == (head, made.head, made.manifest_id)
    judged = verdict(shop.person("adm-1"))
    assert (judged.is_approved, [one.why for one in judged.uncounted]) == (
        False,
        ["it was given to other content"],
    )
    (given,) = shop.hub.server.state.reviews.values()
    assert (given.commit == head) is (restamp is Restamp.ALWAYS)


def test_p1_an_approval_of_an_older_commit_counts_for_nothing(shop: HubShop) -> None:
    """Somebody approves on a page that was loaded before others pushed."""
    made = proposed(shop)
    moved_on(shop, made)
    with shop.hub.server.acting() as state:
        reviews.give_review(state, pull(shop), shop.account("dep-1"), "APPROVE", commit=made.head)
    review = seen(shop.person("adm-1"))
    ((member, say, doubt),) = said(review)
    assert (member, say) == (None, Say.APPROVE)
    assert doubt == f"is by dep-1, who said so of {made.head:.7}, which the branch did not hold any more"
    assert not verdict(shop.person("adm-1")).is_approved


def test_p1_a_review_whose_commit_is_gone(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    speak(shop, "dep-2", made, Say.REJECT, "no")
    state = shop.hub.server.state
    state.reviews.update({id_: replace(one, commit=None) for id_, one in state.reviews.items()})
    review = seen(shop.fresh("adm-1"))
    assert said(review) == [
        (None, Say.APPROVE, "is by dep-1, who said so of a commit that is gone"),
        ("dep-2", Say.REJECT, None),
    ]


def test_bringing_the_branch_up_to_date_keeps_approvals_and_makes_nobody_an_author(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    shop.hub.push(shop.repo, "dev-2", "main", {"README.md": "more\n"})
    who = Actor(account=shop.account("adm-1"), role=Role.WRITE)
    with shop.hub.server.acting() as state:
        update_branch(state, shop.repo, pull(shop), who, None)
    assert pull(shop).head_sha != made.head
    judged = verdict(shop.fresh("adm-1"))
    assert (judged.is_approved, [one.actor.member for one in judged.approvals]) == (True, ["dep-1"])


def test_what_was_pushed_away_is_fetched_to_be_compared(shop: HubShop) -> None:
    """A clean rebase keeps approvals, although no branch holds what they were given to."""
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    shop.hub.push(shop.repo, "dev-2", "main", {"README.md": "more\n"})
    dev = shop.person("dev-1")
    dev.clone.git("fetch", "--quiet", "origin")
    dev.clone.git("checkout", "--quiet", "--force", "--detach", "origin/main")
    dev.clone.git("cherry-pick", made.head)
    dev.clone.push(f"HEAD:refs/heads/{PACKAGE}", force=True)
    adm = shop.person("adm-1")
    adm.clone.git("prune", "--expire=now")  # a clone of a folder copies what no branch holds, too
    assert not adm.repo.exists(made.head)
    assert verdict(adm).is_approved


# P2, P13: authors and bots.


def test_p2_nobody_approves_their_own_work_through_a_pull_request_that_a_bot_opened(shop: HubShop) -> None:
    adm = shop.person("adm-1")
    made = proposal(shop.person("dev-1"))
    adm.desk.look()
    shop.person("dev-1").clone.git("push", "--quiet", "origin", f"{made.head}:refs/heads/temporary")
    adm.clone.git("fetch", "--quiet", "origin")
    adm.repo.push([RefMove(ref=package_ref(FIRST), new=made.head, expected=None)])
    bot = shop.hub.server.state.actions
    shop.hub.open(shop.repo, bot.login, PACKAGE)
    shop.hub.review(pull(shop), "adm-1")
    review = seen(shop.person("dep-1"))
    assert [actor.member for actor in review.authors] == ["adm-1"]
    judged = verdict(shop.person("dep-1"))
    assert (judged.is_approved, judged.approvals) == (False, ())


def test_p13_bots_never_count(shop: HubShop) -> None:
    proposed(shop)
    shop.hub.server.state.change_repo(shop.repo, actions_may_approve=True)
    shop.hub.review(pull(shop), shop.hub.server.state.actions.login)
    assert said(seen(shop.person("adm-1"))) == [
        (None, Say.APPROVE, "is by github-actions, which is a bot"),
    ]
    assert not verdict(shop.person("adm-1")).is_approved


def test_who_pushed_last_is_an_author(shop: HubShop) -> None:
    made = proposed(shop)
    moved_on(shop, made, "dev-2", amend=True)
    assert [actor.member for actor in seen(shop.person("adm-1")).authors] == ["dev-1", "dev-2"]


def test_a_branch_of_which_there_is_no_record_has_an_author_nobody_knows(shop: HubShop) -> None:
    proposed(shop)
    shop.hub.server.state.activity.clear()
    review = seen(shop.fresh("adm-1"))
    assert "was pushed by nobody the forge has a record of" in [actor.doubt for actor in review.authors]
    assert not verdict(shop.person("adm-1")).is_approved


# P5: vetoes.


def test_p5_a_no_that_somebody_else_dismissed_still_stands(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.REJECT, "the queue is wrong")
    speak(shop, "dep-2", made, Say.APPROVE)
    (given, _) = shop.hub.server.state.reviews.values()
    with shop.hub.server.acting() as state:
        reviews.dismiss(state, pull(shop), given, shop.account("dev-1"), "never mind")
    review = seen(shop.fresh("view-1"))
    assert [(one.say, one.dismissed_by and one.dismissed_by.member) for one in review.opinions] == [
        (Say.REJECT, "dev-1"),
        (Say.APPROVE, None),
    ]
    assert [one.actor.member for one in verdict(shop.person("view-1")).vetoes] == ["dep-1"]


def test_p5_an_admin_lifts_a_no(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.REJECT, "no")
    speak(shop, "dep-2", made, Say.APPROVE)
    (given, _) = shop.hub.server.state.reviews.values()
    with shop.hub.server.acting() as state:
        reviews.dismiss(state, pull(shop), given, shop.account("adm-1"), "settled")
    assert verdict(shop.fresh("view-1")).is_approved


def test_p5_an_approval_that_was_dismissed_is_none(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    (given,) = shop.hub.server.state.reviews.values()
    with shop.hub.server.acting() as state:
        reviews.dismiss(state, pull(shop), given, shop.account("dep-2"), "no")
    assert not verdict(shop.fresh("view-1")).is_approved


def test_p5_what_was_dismissed_without_a_trace_counts_as_a_no(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    speak(shop, "dep-2", made, Say.APPROVE)
    (given, _) = shop.hub.server.state.reviews.values()
    with shop.hub.server.acting() as state:
        reviews.dismiss(state, pull(shop), given, shop.account("adm-1"), "?")
        state.events[:] = [event for event in state.events if event.kind != "review_dismissed"]
    judged = verdict(shop.fresh("view-1"))
    assert (judged.is_approved, [one.actor.member for one in judged.vetoes]) == (False, ["dep-1"])


def test_comments_and_what_is_not_submitted_yet_say_nothing(shop: HubShop) -> None:
    proposed(shop)
    shop.hub.review(pull(shop), "dep-1", "COMMENT", "hm")
    with shop.hub.server.acting() as state:
        reviews.give_review(state, pull(shop), shop.account("dep-2"), None)
    assert seen(shop.person("dep-2")).opinions == ()


# P8: merges.


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_p8_what_merging_made_is_known_by_the_servers_record(shop: HubShop, method: str) -> None:
    shop.hub.server.state.change_repo(shop.repo, methods=frozenset({method}))
    proposed(shop)
    shop.hub.push(shop.repo, "dev-2", "main", {"README.md": "more\n"})
    done = shop.person("dep-1").approve("first").merged
    assert done is not None
    assert done.merge == shop.refs()["refs/heads/main"]
    review = seen(shop.fresh("adm-1"))
    assert (review.records_merges, review.merged_as, review.is_open) == (True, done.merge, False)
    assert [one.status for one in shop.person("sync").sync().packages] == ["successful"]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_package_whose_branch_is_gone_is_found_and_applied(shop: HubShop, method: str) -> None:
    shop.hub.server.state.change_repo(shop.repo, methods=frozenset({method}))
    proposed(shop)
    shop.person("dep-1").approve("first")
    shop.person("dev-2").clone.git("push", "--quiet", "origin", f":refs/heads/{PACKAGE}")
    assert [one.status for one in shop.person("sync").sync().packages] == ["successful"]


def test_p8_a_merge_by_push_is_none_although_github_says_merged(shop: HubShop) -> None:
    made = proposed(shop)
    shop.hub.review(pull(shop), "dep-1")
    dev = shop.person("dev-1")
    dev.clone.git("push", "--quiet", "origin", f"{made.head}:refs/heads/main")
    assert pull(shop).merged_at is not None
    review = seen(shop.person("adm-1"))
    assert (review.is_open, review.merged_as) == (False, None)
    result = shop.person("sync").sync()
    assert result.packages == ()
    assert "was not made by merging the pull request" in result.waiting[0].reasons[0]


def test_p8_another_pull_request_of_the_same_branch_does_not_hide_the_merged_one(shop: HubShop) -> None:
    proposed(shop)
    shop.person("dep-1").approve("first")
    shop.hub.push(shop.repo, "dev-2", PACKAGE, {"README.md": "late\n"})
    shop.hub.open(shop.repo, "dev-2", PACKAGE)
    assert seen(shop.person("adm-1")).merged_as == shop.refs()["refs/heads/main"]
    assert [one.status for one in shop.person("sync").sync().packages] == ["successful"]


def test_a_late_yes_counts_although_the_branch_is_gone(shop: HubShop) -> None:
    made = proposed(shop)
    client = shop.person("adm-2").client
    client.put(client.repo("pulls/1/merge"), {"sha": made.head}, doing="merge it")
    shop.person("dev-1").clone.git("push", "--quiet", "origin", f":refs/heads/{PACKAGE}")
    assert shop.person("sync").sync().packages == ()
    shop.hub.review(pull(shop), "dep-1")
    assert [one.status for one in shop.fresh("sync").sync().packages] == ["successful"]


# P30: all of it, or an error.


def test_p30_a_veto_on_the_second_page_is_seen(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    for number in range(130):
        shop.hub.review(pull(shop), "dev-2", "COMMENT", f"comment {number}")
    shop.hub.review(pull(shop), "dep-2", "REQUEST_CHANGES", "stop")
    since = len(shop.hub.server.requests)
    judged = verdict(shop.fresh("adm-1"))
    assert ([one.actor.member for one in judged.vetoes], judged.is_approved) == (["dep-2"], False)
    assert shop.asked(since).count("graphql") == 2
    listed = {
        one.package: one
        for one in shop.person("adm-1").forge.reviews(shop.person("adm-1").desk.look().workspace)
    }
    assert len(listed[FIRST].opinions) == 2


def test_p30_a_long_history_of_pushes_is_read_to_its_end(shop: HubShop) -> None:
    made = proposed(shop)
    for number in range(120):
        shop.hub.push(shop.repo, "dev-1", PACKAGE, {"README.md": str(number)})
    shop.hub.push(shop.repo, "dev-1", PACKAGE, {"x": "y"}, onto=made.head, force=True)
    assert len(shop.person("adm-1").forge._activity.moves(package_ref(FIRST))) == 122


def answer(nodes: list[object], total: int, **fields: object) -> Reply:
    """Answer a question about a package with one pull request, by hand."""
    page = {"hasNextPage": False, "endCursor": None}
    one = {
        "number": 1, "url": "https://github.com/acme/desk/pull/1", "state": "OPEN", "isCrossRepository": False,
        "createdAt": "2026-11-20T12:00:00Z", "baseRefName": "main", "headRefName": PACKAGE,
        "reviews": {"totalCount": total, "pageInfo": page, "nodes": nodes},
        "timelineItems": {"totalCount": 0, "filteredCount": 0, "pageInfo": page, "nodes": []}, **fields,
    }  # fmt: skip
    pulls_ = {"totalCount": 1, "pageInfo": page, "nodes": [one]}
    body = {"data": {"repository": {"nameWithOwner": "acme/desk", "pullRequests": pulls_}}, "extra": 1}
    return Reply(status=200, body=json.dumps(body).encode())


def test_p30_less_than_there_is_said_to_be_is_an_error(shop: HubShop) -> None:
    made = proposed(shop)
    shop.hub.server.faults.add("graphql", answer([], 3, headRefOid=made.head))
    with pytest.raises(Unreadable, match="0 of 3 reviews of pull request 1"):
        seen(shop.person("adm-1"))


def test_what_nobody_has_seen_yet_is_no_approval_and_no_crash(shop: HubShop) -> None:
    made = proposed(shop)
    dep = shop.account("dep-1")
    by = {"__typename": "User", "login": "dep-1", "databaseId": dep}
    odd = {
        "submittedAt": "2026-11-20T13:00:00Z",
        "commit": {"oid": made.head},
        "fullDatabaseId": "7",
        "body": None,
    }
    nodes: list[object] = [
        {**odd, "state": "BLESSED", "author": by},
        {**odd, "state": "APPROVED", "author": None},
        {**odd, "state": "APPROVED", "author": {"__typename": "Mannequin", "login": "dep-1"}},
        {**odd, "state": "APPROVED", "author": by, "submittedAt": None},
        {**odd, "state": "APPROVED", "author": {**by, "databaseId": None}},
        {"state": "DISMISSED", "submittedAt": "2026-11-20T13:00:00Z"},
        None,
    ]
    reply = answer(nodes, 7, headRefOid=made.head, author=None)
    shop.hub.server.faults.add("graphql", reply, times=2)
    review = seen(shop.person("adm-1"))
    assert [member for member, *_ in said(review)] == [None] * 4
    assert None in [actor.member for actor in review.authors]
    assert not verdict(shop.person("adm-1")).is_approved


# P31: people are numbers.


def test_p31_who_took_over_a_name_is_not_who_had_it(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    state = shop.hub.server.state
    old = state.account("dep-1")
    state.accounts[old.id] = replace(old, login="dep-1-renamed")
    state.change_repo(shop.repo, roles={**state.repos[shop.repo.id].roles, old.id: Role.WRITE})
    assert verdict(shop.fresh("adm-1")).is_approved
    thief = state.account("dep-1")
    state.change_repo(shop.repo, roles={**state.repos[shop.repo.id].roles, thief.id: Role.WRITE})
    with shop.hub.server.acting() as acting:
        reviews.give_review(acting, pull(shop), thief.id, "REQUEST_CHANGES", body="ha")
    review = seen(shop.fresh("adm-1"))
    assert said(review)[-1] == (None, Say.REJECT, "is by dep-1, who is no member")


def test_p31_a_name_that_changes_hands_between_two_questions_is_noticed(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    body = {
        "permission": "admin",
        "role_name": "admin",
        "user": {"id": 4242, "login": "dep-1", "type": "User"},
    }
    reply = Reply(status=200, body=json.dumps(body).encode())
    shop.hub.server.faults.add("repos/get-collaborator-permission-level", reply)
    assert said(seen(shop.fresh("adm-1"))) == [
        (None, Say.APPROVE, "is by dep-1, who is not who is called dep-1 by now")
    ]


@pytest.mark.parametrize("role", [Role.NONE, Role.READ, Role.TRIAGE])
def test_who_may_not_write_now_does_not_count(shop: HubShop, role: Role) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    state = shop.hub.server.state
    state.change_repo(shop.repo, roles={**state.repos[shop.repo.id].roles, shop.account("dep-1"): role})
    assert said(seen(shop.fresh("adm-1"))) == [
        (None, Say.APPROVE, "is by dep-1, who may not write to the repository")
    ]


def test_who_may_not_write_now_does_not_count_however_often_they_said_so(shop: HubShop) -> None:
    proposed(shop)
    for _ in range(2):
        shop.hub.review(pull(shop), "dep-1")
    state = shop.hub.server.state
    state.change_repo(shop.repo, roles={**state.repos[shop.repo.id].roles, shop.account("dep-1"): Role.READ})
    adm = shop.fresh("adm-1")
    doubt = "is by dep-1, who may not write to the repository"
    assert said(seen(adm)) == [(None, Say.APPROVE, doubt)] * 2
    assert not verdict(adm).is_approved
    assert shop.asked().count("repos/get-collaborator-permission-level") == 1


@pytest.mark.parametrize("role", [Role.MAINTAIN, Role.ADMIN])
def test_who_may_more_than_write_counts(shop: HubShop, role: Role) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    state = shop.hub.server.state
    state.change_repo(shop.repo, roles={**state.repos[shop.repo.id].roles, shop.account("dep-1"): role})
    assert verdict(shop.fresh("adm-1")).is_approved


def test_accounts_that_are_gone(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    shop.hub.server.state.delete_account("dep-1")
    shop.hub.server.state.delete_account("dev-1")
    review = seen(shop.person("adm-1"))
    assert said(review) == [(None, Say.APPROVE, "is by an account that is gone")]
    assert [(actor.member, actor.doubt) for actor in review.authors] == [
        (None, "is by an account that is gone")
    ]
    assert not verdict(shop.person("adm-1")).is_approved


# Which pull request it is.


def test_a_pull_request_from_a_fork_is_not_that_of_our_branch(shop: HubShop) -> None:
    made = proposal(shop.person("dev-1"))
    dev = shop.person("dev-1")
    dev.repo.push([RefMove(ref=package_ref(FIRST), new=made.head, expected=None)])
    fork = shop.hub.fork(shop.repo, "mallory")
    shop.hub.push(fork, "mallory", PACKAGE, {"x": "y"})
    shop.hub.open(shop.repo, "mallory", f"mallory:{PACKAGE}")
    shop.hub.review(pull(shop), "dep-1")
    adm = shop.person("adm-1")
    review = seen(adm)
    assert (review.is_draft, review.opinions, [one.member for one in review.authors]) == (True, (), ["dev-1"])
    shop.hub.delete_repo(fork)
    assert seen(adm) == review
    assert list(adm.forge.reviews(adm.desk.look().workspace)) == [review]


def test_a_package_without_a_branch_costs_nothing(shop: HubShop) -> None:
    adm = shop.person("adm-1")
    workspace = adm.desk.look().workspace
    assert (adm.forge.find(FIRST, workspace), adm.forge.reviews(workspace)) == (None, [])
    assert shop.asked() == []


def test_a_pull_request_with_another_base_is_at_fault_and_what_was_said_before_is_void(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    shop.hub.push(shop.repo, "dev-1", "other", {"x": "y"}, onto=shop.refs()["refs/heads/main"])
    with shop.hub.server.acting() as state:
        pulls.change_base(state, pull(shop), shop.account("dev-1"), "other")
    assert seen(shop.fresh("adm-1")).fault == "the pull request 1 is to be merged into other, not main"
    with shop.hub.server.acting() as state:
        pulls.change_base(state, pull(shop), shop.account("dev-1"), "main")
    review = seen(shop.fresh("adm-1"))
    assert (review.fault, said(review)) == (
        None,
        [(None, Say.APPROVE, "was given while the pull request had another base")],
    )


def test_closed_and_opened_again(shop: HubShop) -> None:
    proposed(shop)
    with shop.hub.server.acting() as state:
        pulls.close(state, pull(shop), shop.account("dep-1"))
    adm = shop.person("adm-1")
    assert not seen(adm).is_open
    with shop.hub.server.acting() as state:
        pulls.reopen(state, pull(shop), shop.account("dev-1"))
    assert seen(adm).is_open


def test_a_repository_that_is_called_otherwise_now_is_not_followed(shop: HubShop) -> None:
    proposed(shop)
    adm = shop.person("adm-1")
    workspace = adm.desk.look().workspace
    adm.client.check_name("ACME/desk")
    with pytest.raises(RepositoryRenamed, match="acme/office"):
        adm.client.check_name("acme/office")
    reply = answer([], 0)
    body = reply.body.replace(b'"acme/desk"', b'"acme/office"')
    shop.hub.server.faults.add("graphql", replace(reply, body=body))
    with pytest.raises(RepositoryRenamed):
        adm.forge.find(FIRST, workspace)


# All of them in one answer.


def test_fifty_reviews_are_one_question(shop: HubShop) -> None:
    adm = shop.person("adm-1")
    main = shop.refs()["refs/heads/main"]
    for number in range(60):
        shop.hub.push(shop.repo, "dev-1", f"package/p{number:02}", {f"x{number}": "y"}, onto=main)
        shop.hub.open(shop.repo, "dev-1", f"package/p{number:02}")
    workspace = adm.desk.look().workspace
    since = len(shop.hub.server.requests)
    found = adm.forge.reviews(workspace)
    assert [one.package for one in found] == [f"p{number:02}" for number in range(60)]
    assert {(one.is_open, one.is_draft, one.fault) for one in found} == {(True, False, None)}
    assert {actor.member for one in found for actor in one.authors} == {"dev-1"}
    assert shop.asked(since) == ["graphql", "graphql"]


def test_reviews_that_are_not_plain_are_asked_about(shop: HubShop) -> None:
    made = [
        proposed(shop, f"p{number}", {f"jobs/web/n{number}.job.yaml": job_yaml(f"n{number}")})
        for number in range(3)
    ]
    dev = shop.person("dev-2")
    dev.repo.push([RefMove(ref=package_ref(package_name("draft")), new=made[0].head, expected=None)])
    speak(shop, "dep-1", made[0], Say.APPROVE)
    # One that was rewritten, by somebody else.
    dev.clone.git("fetch", "--quiet", "origin")
    dev.clone.git("checkout", "--quiet", "--force", "--detach", "origin/package/p1")
    changed = replace(made[1].manifest, description="else")
    dev.clone.commit({changed.path: dump(manifest_document(changed))}, "x", "--amend", "--reset-author")
    dev.clone.push("HEAD:refs/heads/package/p1", force=True)
    adm = shop.person("adm-1")
    workspace = adm.desk.look().workspace
    found = {one.package: one for one in adm.forge.reviews(workspace)}
    for name in ("p0", "p1", "p2", "draft"):
        assert found[package_name(name)] == adm.forge.find(package_name(name), workspace), name
    assert [actor.member for actor in found[package_name("p1")].authors] == ["dev-1", "dev-2"]
    assert found[package_name("draft")].is_draft


# Who.


def test_authors_of_many_branches_are_one_question(shop: HubShop) -> None:
    main = shop.refs()["refs/heads/main"]
    branches = {}
    for number in range(30):
        ref = RefName(f"refs/heads/submit/job/n{number}/v1")
        who = "dev-1" if number % 2 else "dev-2"
        branches[ref] = CommitId(
            shop.hub.push(shop.repo, who, ref.removeprefix("refs/heads/"), {f"n{number}": "y"}, onto=main)
        )
    adm = shop.person("adm-1")
    workspace = adm.desk.look().workspace
    since = len(shop.hub.server.requests)
    found = adm.forge.authors(branches, workspace)
    assert adm.forge.authors(branches, workspace) == found
    assert [actors[0].member for actors in found.values()] == ["dev-2", "dev-1"] * 15
    assert shop.asked(since) == ["repos/list-activities"]


def test_a_branch_that_was_made_as_something_else_is_asked_for_by_name(shop: HubShop) -> None:
    main = shop.refs()["refs/heads/main"]
    refs = [RefName(f"refs/heads/submit/job/{name}/v1") for name in ("one", "two")]
    tips = [
        shop.hub.push(shop.repo, "dev-1", ref.removeprefix("refs/heads/"), {ref: "y"}, onto=main)
        for ref in refs
    ]
    tips[1] = shop.hub.push(
        shop.repo, "dev-2", refs[1].removeprefix("refs/heads/"), {"other": "y"}, onto=main, force=True
    )
    adm = shop.person("adm-1")
    branches = {ref: CommitId(tip) for ref, tip in zip(refs, tips, strict=True)}
    found = adm.forge.authors(branches, adm.desk.look().workspace)
    assert [[actor.member for actor in actors] for actors in found.values()] == [["dev-1"], ["dev-2"]]
    nobody = adm.forge.authors({refs[0]: CommitId(tips[1])}, adm.desk.look().workspace)
    assert nobody[refs[0]][0].doubt == "was pushed by nobody the forge has a record of"


def test_teams_are_who_github_says(shop: HubShop) -> None:
    adm = shop.person("adm-1")
    workspace = adm.desk.look().workspace
    since = len(shop.hub.server.requests)
    assert adm.forge.resolved(workspace) is workspace
    assert shop.asked(since) == []
    shop.hub.team("acme", "leads", "dev-2", "outsider")
    text = shop.server.git("show", "main:workspace.yaml").replace(
        "review:", '  - {team: "@acme/leads", roles: [deployer]}\nreview:', 1
    )
    from gitrelease.core.workspace import Action, parse_workspace
    from gitrelease.documents import parse

    named = parse_workspace(parse(text.encode(), file="workspace.yaml").value)
    known = adm.forge.resolved(named)
    outsider = shop.account("outsider")
    assert {"dev-2", f"github-{outsider}"} <= set(known.who_may(Action.APPROVE))
    adm.forge.resolved(named)
    assert shop.asked(since) == ["teams/list-members-in-org"]
    robot = shop.fresh("sync")
    robot.token = shop.hub.actions_token(shop.repo, contents="write", pull_requests="read")
    with pytest.raises(CredentialsError, match="@acme/leads") as refused:
        robot.forge.resolved(named)
    assert "Members: read" in str(refused.value.hint)


def test_who_is_at_the_keyboard(shop: HubShop) -> None:
    workspace = shop.person("adm-1").desk.look().workspace
    for who in ("dev-1", "sync"):
        actor = shop.person(who).forge.whoami(workspace)
        assert (actor.member, actor.person.github_id) == (who, shop.account(who))
    stranger = shop.person("stranger").forge.whoami(workspace)
    assert (stranger.member, stranger.doubt) == (None, "is by stranger, who is no member")
    for who, member in (("sync", "sync"), ("dev-1", None)):
        person = shop.fresh(who)
        person.token = shop.hub.actions_token(shop.repo, contents="write")
        actor = person.forge.whoami(workspace)
        assert actor.member == member
        assert (actor.doubt is None) is (member is not None)


# What a receipt keeps.


def test_what_is_recorded_leads_to_the_same_conclusions_offline(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.REJECT, "no")
    speak(shop, "dep-1", made, Say.WITHDRAW)
    speak(shop, "adm-1", made, Say.APPROVE, "fine")
    person: HubPerson = shop.fresh("sync")
    forge: GithubForge = person.forge
    workspace = person.desk.look().workspace
    review = forge.find(FIRST, workspace)
    assert review is not None
    tasks = {task_ref(planned.id): planned.task for planned in made.manifest.items}
    kept = json.loads(json.dumps(forge.record(review, tasks)))
    again = parse_pull_request(kept)
    offline = review_of(again, workspace, main="main", content=forge._content)
    decisive = tuple(one for one in review.opinions if one.say is not Say.ASK)
    assert offline == replace(review, opinions=decisive)
    assert Recorded(pull=again).authors(tasks, workspace) == forge.authors(tasks, workspace)

    def judged(opinions: tuple[Opinion, ...]) -> Verdict:
        authors = frozenset(actor.member for actor in review.authors if actor.member)
        return evaluate(workspace, replace(made, authors=authors), opinions)

    assert judged(offline.opinions) == judged(decisive)
    assert judged(decisive).is_approved


def test_given_reviews_have_what_the_server_knows(shop: HubShop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE, "fine")
    (given,) = shop.hub.server.state.reviews.values()
    assert isinstance(given, Given)
    assert (given.state, given.body, given.given_to) == ("APPROVED", "fine", made.head)
    token = shop.hub.token("dep-1", TokenKind.FINE, shop.repo, contents="read", pull_requests="read")
    assert token.startswith("github_pat")
