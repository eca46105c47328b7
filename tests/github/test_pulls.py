"""Pull requests as GitHub treats them: opening, reviewing, re-stamping, merging, and what pushes do to them."""

from __future__ import annotations

import pytest

from tests.github.client import Client, Got
from tests.github.conftest import AT, Desk
from tests.github.fixtures import Hub
from tests.github.pulls import moved
from tests.github.state import Protection, Restamp, Role, Ruleset

PULL = f"{AT}/pulls/1"


def events(client: Client) -> list[str]:
    """Tell what happened."""
    return [it["event"] for it in client.get(f"{AT}/issues/1/timeline").body]


def refusal(got: Got) -> tuple[int, object]:
    """Give a refusal's status and the sentence that says why."""
    errors = got.body.get("errors") or [got.body["message"]]
    first = errors[0]
    return got.status, first.get("message", first["code"]) if isinstance(first, dict) else first


# Opening and changing.


def test_open_show_and_list(desk: Desk) -> None:
    """What was opened is found by its head, and by its state."""
    head = desk.branch()
    ann = desk.client("ann")
    made = ann.post(f"{AT}/pulls", head="package/one", base="main", title="One", body="text")
    assert (made.status, made.body["number"], made.body["merged"]) == (201, 1, False)
    shown = ann.get(PULL).body
    assert (shown["head"]["sha"], shown["base"]["sha"], shown["user"]["login"]) == (head, desk.first, "ann")
    assert (shown["head"]["label"], shown["commits"], shown["changed_files"]) == ("acme:package/one", 1, 1)
    assert shown["mergeable"] is True
    found = ann.get(f"{AT}/pulls", head="acme:package/one", state="all").body
    assert [it["number"] for it in found] == [1]
    assert ann.get(f"{AT}/pulls", head="acme:other", state="all").body == []
    assert ann.get(f"{AT}/pulls", state="closed").body == []
    assert desk.hub.server.state.bare(desk.repo).refs()["refs/pull/1/head"] == head


def test_what_cannot_be_opened(desk: Desk) -> None:
    """Twice, from or to nowhere, without commits, with too much text."""
    desk.branch()
    desk.hub.push(desk.repo, "ann", "same", {}, onto=desk.first)
    ann = desk.client("ann")

    def opened(head: str = "package/one", base: str = "main", body: str = "") -> tuple[int, object]:
        return refusal(ann.post(f"{AT}/pulls", head=head, base=base, title="T", body=body))

    assert opened(head="nowhere") == (422, "invalid")
    assert opened(base="nowhere") == (422, "invalid")
    assert opened(head="main") == (422, "No commits between main and main")
    assert opened(body="x" * 65_537) == (422, "body is too long (maximum is 65536 characters)")
    assert ann.post(f"{AT}/pulls", head="package/one", base="main", title="T").status == 201
    assert opened() == (422, "A pull request already exists for acme:package/one.")


def test_github_token_opens_nothing_unless_it_may(desk: Desk) -> None:
    """The default of new repositories."""
    desk.branch()
    bot = desk.with_token(desk.hub.actions_token(desk.repo, pull_requests="write", contents="write"))
    got = bot.post(f"{AT}/pulls", head="package/one", base="main", title="T")
    words = "GitHub Actions is not permitted to create or approve pull requests."
    assert (got.status, got.body["message"]) == (403, words)
    desk.change(actions_may_approve=True)
    assert bot.post(f"{AT}/pulls", head="package/one", base="main", title="T").status == 201


def test_close_reopen_retarget(desk: Desk) -> None:
    """The timeline tells of each."""
    desk.proposal()
    desk.branch("dev")
    ann = desk.client("ann")
    assert ann.patch(PULL, state="closed").body["state"] == "closed"
    assert ann.patch(PULL, state="open").body["closed_at"] is None
    assert ann.patch(PULL, base="dev", title="Other").body["base"]["ref"] == "dev"
    assert events(ann) == ["committed", "closed", "reopened", "base_ref_changed"]


def test_a_deleted_head_closes_for_good(desk: Desk) -> None:
    """What has no branch cannot be opened again; its head can still be fetched."""
    pull = desk.proposal()
    with desk.hub.server.acting() as state:
        state.bare(desk.repo).drop("refs/heads/package/one")
        moved(state, desk.repo, "refs/heads/package/one", pull.head_sha, "0" * 40, pull.author)
    ann = desk.client("ann")
    assert ann.get(PULL).body["state"] == "closed"
    assert ann.patch(PULL, state="open").status == 422
    assert desk.hub.server.state.bare(desk.repo).refs()["refs/pull/1/head"] == pull.head_sha


def test_mergeable_is_not_known_at_once(desk: Desk) -> None:
    """Null is not false; after each move it is null again."""
    desk.hub.server.state.switches.lazy_mergeable = 2
    desk.proposal()
    ann = desk.client("ann")
    assert [ann.get(PULL).body["mergeable"] for _ in range(3)] == [None, None, True]
    desk.hub.push(desk.repo, "ann", "main", {"one.txt": "another\n"})
    assert [ann.get(PULL).body["mergeable_state"] for _ in range(3)] == ["unknown", "unknown", "dirty"]


def test_forks_and_deleted_forks(desk: Desk) -> None:
    """A head from elsewhere can be fetched here, and stays when elsewhere is gone."""
    fork = desk.hub.fork(desk.repo, "eve")
    head = desk.hub.push(fork, "eve", "package/evil", {"x.txt": "x\n"})
    desk.hub.open(desk.repo, "eve", "eve:package/evil")
    ann = desk.client("ann")
    shown = ann.get(PULL).body
    assert (shown["head"]["label"], shown["head"]["repo"]["fork"]) == ("eve:package/evil", True)
    assert desk.hub.server.state.bare(desk.repo).refs()["refs/pull/1/head"] == head
    assert ann.get(f"{AT}/pulls", head="acme:package/evil").body == []
    desk.hub.delete_repo(fork)
    shown = ann.get(PULL).body
    assert (shown["head"]["repo"], shown["head"]["user"], shown["head"]["sha"]) == (None, None, head)
    assert ann.get(f"{AT}/pulls").body[0]["head"]["repo"] is None


def test_deleted_people_are_null(desk: Desk) -> None:
    """What they did stays, by nobody."""
    pull = desk.proposal()
    desk.hub.person("bob", desk.repo)
    desk.hub.review(pull, "bob")
    desk.hub.server.state.delete_account("bob")
    ann = desk.client("ann")
    assert ann.get(f"{PULL}/reviews").body[0]["user"] is None
    desk.hub.server.state.delete_account("ann")
    assert desk.client("cat").get(PULL).body["user"] is None
    assert {it["actor"] for it in desk.client("cat").get(f"{AT}/activity").body} == {None}


# Reviews.


def test_who_may_say_what(desk: Desk) -> None:
    """Authors and GITHUB_TOKEN approve nothing; a no needs words; one may begin once."""
    desk.proposal()
    ann, bob = desk.client("ann"), desk.client("bob")
    own = ann.post(f"{PULL}/reviews", event="APPROVE")
    assert refusal(own) == (422, "Can not approve your own pull request")
    bot = desk.with_token(desk.hub.actions_token(desk.repo, pull_requests="write"))
    got = bot.post(f"{PULL}/reviews", event="APPROVE")
    assert refusal(got) == (422, "GitHub Actions is not permitted to approve pull requests.")
    assert bob.post(f"{PULL}/reviews", event="REQUEST_CHANGES").status == 422
    begun = bob.post(f"{PULL}/reviews", body="hm").body
    assert (begun["state"], "submitted_at" in begun) == ("PENDING", False)
    again = bob.post(f"{PULL}/reviews", event="APPROVE")
    assert refusal(again) == (422, "User can only have one pending review per pull request")
    assert ann.get(f"{PULL}/reviews").body == []
    assert [it["state"] for it in bob.get(f"{PULL}/reviews").body] == ["PENDING"]
    done = bob.post(f"{PULL}/reviews/{begun['id']}/events", event="APPROVE").body
    assert (done["state"], done["submitted_at"] is None) == ("APPROVED", False)


def test_readers_may_approve(desk: Desk) -> None:
    """Whether that counts is another question."""
    desk.proposal()
    rea = desk.client("rea", Role.READ)
    assert rea.post(f"{PULL}/reviews", event="APPROVE").body["state"] == "APPROVED"


def test_a_dismissal_takes_a_review_away(desk: Desk) -> None:
    """By whoever may write; the timeline tells who it was, and what the review had been."""
    pull = desk.proposal()
    desk.hub.person("bob", desk.repo)
    review = desk.hub.review(pull, "bob", "REQUEST_CHANGES")
    path = f"{PULL}/reviews/{review.id}/dismissals"
    assert desk.client("rea", Role.READ).put(path, message="no").status == 403
    cat = desk.client("cat")
    assert cat.put(path, message="stale").body["state"] == "DISMISSED"
    assert refusal(cat.put(path, message="stale"))[0] == 422
    told = cat.get(f"{AT}/issues/1/timeline").body[-1]
    assert (told["event"], told["actor"]["login"]) == ("review_dismissed", "cat")
    assert told["dismissed_review"]["state"] == "changes_requested"
    assert told["dismissed_review"]["review_id"] == review.id


@pytest.mark.parametrize(
    ("restamp", "same", "stamped"),
    [
        (Restamp.NEVER, True, False),
        (Restamp.SAME_PATCH, True, True),
        (Restamp.SAME_PATCH, False, False),
        (Restamp.ALWAYS, False, True),
    ],
)
def test_approvals_may_be_stamped_anew(desk: Desk, restamp: Restamp, same: bool, stamped: bool) -> None:
    """A forced push takes approvals along, comments never; what was really reviewed says the activity."""
    desk.hub.server.state.switches.restamp = restamp
    pull = desk.proposal()
    desk.hub.person("bob", desk.repo)
    desk.hub.review(pull, "bob", "COMMENT")
    desk.hub.review(pull, "bob", "APPROVE")
    onto = desk.hub.push(desk.repo, "ann", "main", {"c.txt": "c\n"})
    text = "new\n" if same else "other\n"
    head = desk.hub.push(desk.repo, "ann", "package/one", {"one.txt": text}, onto=onto, force=True)
    ann = desk.client("ann")
    commits = [it["commit_id"] for it in ann.get(f"{PULL}/reviews").body]
    assert commits == [pull.head_sha, head if stamped else pull.head_sha]
    moves = ann.get(f"{AT}/activity", ref="package/one").body
    assert [(it["activity_type"], it["before"], it["after"]) for it in moves] == [
        ("force_push", pull.head_sha, head),
        ("branch_creation", "0" * 40, pull.head_sha),
    ]
    assert events(ann)[-1] == "head_ref_force_pushed"


def test_stale_approvals_are_dismissed_where_rules_say_so(desk: Desk) -> None:
    """Approvals only, and only when the change is another."""
    desk.change(protections={"main": Protection(approvals=1, dismiss_stale=True, enforce_admins=True)})
    pull = desk.proposal()
    for name, event in (("bob", "APPROVE"), ("cat", "REQUEST_CHANGES")):
        desk.hub.person(name, desk.repo)
        desk.hub.review(pull, name, event)
    desk.hub.push(desk.repo, "ann", "package/one", {"two.txt": "2\n"})
    states = [it["state"] for it in desk.client("ann").get(f"{PULL}/reviews").body]
    assert states == ["DISMISSED", "CHANGES_REQUESTED"]


# Asking for reviews.

OUTSIDE = (
    "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a "
    "collaborator of the acme/desk repository."
)


def test_reviewers_are_asked_all_or_nobody(desk: Desk) -> None:
    """An outsider, the author, or too many: nobody is asked. Readers may be."""
    desk.proposal()
    desk.hub.person("rea", desk.repo, Role.READ)
    desk.hub.person("eve")
    team = desk.hub.team("acme", "deployers", "dan")
    ann = desk.client("ann")
    path = f"{PULL}/requested_reviewers"
    assert refusal(ann.post(path, reviewers=["rea", "eve"])) == (422, OUTSIDE)
    assert refusal(ann.post(path, reviewers=["rea"], team_reviewers=["deployers"])) == (422, OUTSIDE)
    author = "Review cannot be requested from pull request author."
    assert refusal(ann.post(path, reviewers=["rea", "ann"])) == (422, author)
    assert ann.get(path).body == {"users": [], "teams": []}
    desk.change(team_roles={team.id: Role.WRITE})
    assert ann.post(path, reviewers=["rea"], team_reviewers=["deployers"]).status == 201
    asked = ann.get(path).body
    assert [it["login"] for it in asked["users"]] == ["rea"]
    assert [it["slug"] for it in asked["teams"]] == ["deployers"]
    many = [f"p{number}" for number in range(15)]
    for name in many:
        desk.hub.person(name, desk.repo)
    assert ann.post(path, reviewers=many).status == 422
    gone = ann.ask("DELETE", path, {"reviewers": ["rea"], "team_reviewers": ["deployers"]})
    assert gone.body["requested_reviewers"] == []
    told = ["committed", "review_requested", "review_requested"]
    assert events(ann) == [*told, "review_request_removed", "review_request_removed"]


def test_who_has_answered_is_asked_no_more(desk: Desk) -> None:
    """A review takes its author off the list."""
    pull = desk.proposal()
    bob = desk.client("bob")
    desk.client("ann").post(f"{PULL}/requested_reviewers", reviewers=["bob"])
    assert desk.hub.now(pull).reviewers
    bob.post(f"{PULL}/reviews", event="COMMENT", body="hm")
    assert not desk.hub.now(pull).reviewers


# Merging.


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merging_by_each_method(desk: Desk, method: str) -> None:
    """The tree is what git merges; who merged, and as what, is told in three places."""
    pull = desk.proposal()
    main = desk.hub.push(desk.repo, "ann", "main", {"c.txt": "c\n"})
    bob = desk.client("bob")
    got = bob.put(f"{PULL}/merge", sha=pull.head_sha, merge_method=method)
    assert (got.status, got.body["merged"]) == (200, True)
    bare = desk.hub.server.state.bare(desk.repo)
    made = bare.commit(got.body["sha"])
    assert bare.tip("main") == made.id
    assert made.tree == bare.merged_tree(main, pull.head_sha)
    assert made.parents == ((main, pull.head_sha) if method == "merge" else (main,))
    names = {"merge": "GitHub", "squash": "GitHub", "rebase": "bob"}
    assert made.committer.name == names[method]
    subjects = {
        "merge": "Merge pull request #1 from acme/package/one",
        "squash": "change (#1)",
        "rebase": "change",
    }
    assert made.message.split("\n")[0] == subjects[method]
    shown = bob.get(PULL).body
    assert (shown["merged"], shown["merged_by"]["login"], shown["merge_commit_sha"]) == (True, "bob", made.id)
    move = bob.get(f"{AT}/activity", ref="main").body[0]
    assert (move["activity_type"], move["before"], move["after"]) == ("pr_merge", main, made.id)
    assert events(bob)[-2:] == ["merged", "closed"]
    assert bob.get(f"{PULL}/merge").status == 204


def test_merging_exactly_what_was_meant(desk: Desk) -> None:
    """Another head is a 409; a second time, a draft, a conflict, a method that is off: 405."""
    pull = desk.proposal()
    ann = desk.client("ann")
    got = ann.put(f"{PULL}/merge", sha=desk.first)
    assert refusal(got) == (409, "Head branch was modified. Review and try the merge again.")
    desk.change(methods=frozenset({"squash"}))
    got = ann.put(f"{PULL}/merge", sha=pull.head_sha)
    assert refusal(got) == (405, "Merge commits are not allowed on this repository.")
    desk.change(methods=frozenset({"merge"}))
    assert ann.put(f"{PULL}/merge", sha=pull.head_sha).status == 200
    assert refusal(ann.put(f"{PULL}/merge")) == (405, "Pull Request is not mergeable")
    desk.branch("package/two", **{"one.txt": "other\n"})
    ann.post(f"{AT}/pulls", head="package/two", base="main", title="T", draft=True)
    assert refusal(ann.put(f"{AT}/pulls/2/merge")) == (405, "Pull Request is still a draft")
    desk.branch("package/three", **{"one.txt": "other\n"})
    ann.post(f"{AT}/pulls", head="package/three", base="main", title="T")
    assert refusal(ann.put(f"{AT}/pulls/3/merge")) == (405, "Pull Request is not mergeable")


def test_protection_wants_approvals_of_writers(desk: Desk) -> None:
    """One yes of a reader does not count; a no of a writer blocks; administrators may go past."""
    desk.change(protections={"main": Protection(approvals=1, checks=("ci",))})
    pull = desk.proposal()
    for name, role in (("rea", Role.READ), ("bob", Role.WRITE), ("cat", Role.WRITE)):
        desk.hub.person(name, desk.repo, role)
    ann = desk.client("ann")
    wanted = "At least 1 approving review is required by reviewers with write access."
    assert refusal(ann.put(f"{PULL}/merge")) == (405, wanted)
    desk.hub.review(pull, "rea")
    assert refusal(ann.put(f"{PULL}/merge")) == (405, wanted)
    desk.hub.review(pull, "bob", "REQUEST_CHANGES")
    assert refusal(ann.put(f"{PULL}/merge"))[0] == 405
    desk.hub.review(pull, "bob")
    desk.hub.review(pull, "bob", "COMMENT")
    assert refusal(ann.put(f"{PULL}/merge")) == (405, 'Required status check "ci" is expected.')
    ann.post(f"{AT}/statuses/{pull.head_sha}", state="success", context="ci")
    assert ann.put(f"{PULL}/merge").status == 200


def test_the_last_push_may_need_somebody_else(desk: Desk) -> None:
    """Who pushed last has a yes of their own that does not count."""
    desk.change(protections={"main": Protection(approvals=1, last_push=True)})
    pull = desk.proposal()
    ann, _ = desk.client("ann"), desk.client("bob")
    desk.hub.push(desk.repo, "bob", "package/one", {"two.txt": "2\n"})
    desk.hub.review(pull, "bob")
    assert ann.put(f"{PULL}/merge").status == 405
    desk.hub.person("cat", desk.repo)
    desk.hub.review(pull, "cat")
    assert ann.put(f"{PULL}/merge").status == 200


def test_administrators_go_past_classic_protection(desk: Desk) -> None:
    """Unless it says otherwise, so that it was merged proves nothing."""
    desk.change(protections={"main": Protection(approvals=2)})
    desk.proposal()
    assert desk.client("root", Role.ADMIN).put(f"{PULL}/merge").status == 200


def test_a_ruleset_wants_approvals_or_a_queue(desk: Desk) -> None:
    """A ruleset has a list of those who may go past."""
    parameters = {
        "required_approving_review_count": 2, "dismiss_stale_reviews_on_push": False,
        "require_code_owner_review": False, "require_last_push_approval": False,
        "required_review_thread_resolution": False,
    }  # fmt: skip
    rule = {"type": "pull_request", "parameters": parameters}
    bypass = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "pull_request"}
    guard = Ruleset(id=7, name="guard", include=("~DEFAULT_BRANCH",), rules=(rule,), bypass=(bypass,))
    queue = Ruleset(id=8, name="queue", include=("refs/heads/queued",), rules=({"type": "merge_queue"},))
    desk.change(rulesets=(guard, queue))
    desk.proposal()
    ann = desk.client("ann")
    wanted = "At least 2 approving reviews are required by reviewers with write access."
    assert refusal(ann.put(f"{PULL}/merge")) == (405, wanted)
    desk.branch("queued")
    ann.patch(PULL, base="queued")
    words = "Changes must be made through the merge queue"
    assert refusal(ann.put(f"{PULL}/merge")) == (405, words)
    ann.patch(PULL, base="main")
    assert desk.client("root", Role.ADMIN).put(f"{PULL}/merge").status == 200


def test_what_main_comes_to_hold_is_merged_whatever_the_rules_say(desk: Desk) -> None:
    """Nobody approved, and no move of the branch is a `pr_merge`."""
    pull = desk.proposal()
    bare = desk.hub.server.state.bare(desk.repo)
    person = bare.commit(pull.head_sha).author
    tree = bare.commit(pull.head_sha).tree
    by_hand = bare.write(tree, (desk.first, pull.head_sha), "by hand", author=person, committer=person)
    after = desk.hub.push(desk.repo, "bob", "main", {"d.txt": "d\n"}, onto=by_hand)
    ann = desk.client("ann")
    shown = ann.get(PULL).body
    assert (shown["merged"], shown["merged_by"]["login"], shown["merge_commit_sha"]) == (True, "bob", by_hand)
    move = ann.get(f"{AT}/activity", ref="main").body[0]
    assert (move["activity_type"], move["after"]) == ("push", after)


def test_bringing_a_branch_up_to_date(desk: Desk) -> None:
    """The head moves by a merge; another head than expected is refused."""
    pull = desk.proposal()
    ann = desk.client("ann")
    assert ann.put(f"{PULL}/update-branch").status == 422
    main = desk.hub.push(desk.repo, "ann", "main", {"c.txt": "c\n"})
    assert ann.put(f"{PULL}/update-branch", expected_head_sha=desk.first).status == 422
    got = ann.put(f"{PULL}/update-branch", expected_head_sha=pull.head_sha)
    assert (got.status, got.body["message"]) == (202, "Updating pull request branch.")
    head = desk.hub.now(pull).head_sha
    assert desk.hub.server.state.bare(desk.repo).commit(head).parents == (pull.head_sha, main)
    assert ann.get(f"{AT}/activity", ref="package/one").body[0]["activity_type"] == "push"


# The discussion.


def test_comments_and_labels(desk: Desk) -> None:
    """A comment can be said differently later; labels are made when they are used."""
    desk.proposal()
    ann = desk.client("ann")
    made = ann.post(f"{AT}/issues/1/comments", body="one").body
    assert ann.patch(f"{AT}/issues/comments/{made['id']}", body="two").body["body"] == "two"
    assert [it["body"] for it in ann.get(f"{AT}/issues/1/comments").body] == ["two"]
    stranger = desk.client("rea", Role.READ)
    assert stranger.patch(f"{AT}/issues/comments/{made['id']}", body="x").status == 403
    assert ann.post(f"{AT}/issues/1/comments", body="x" * 65_537).status == 422
    assert [it["name"] for it in ann.post(f"{AT}/issues/1/labels", labels=["a", "b"]).body] == ["a", "b"]
    assert [it["name"] for it in ann.ask("POST", f"{AT}/issues/1/labels", ["b", "c"]).body] == ["a", "b", "c"]
    assert [it["name"] for it in ann.get(f"{AT}/pulls").body[0]["labels"]] == ["a", "b", "c"]


def test_activity_can_be_narrowed(hub: Hub, desk: Desk) -> None:
    """By branch, by who, by kind; two moves may be at the very same time."""
    clock = hub.server.state.clock
    setattr(clock, "step", 0)  # noqa: B010  # the clock may be anybody's
    desk.branch("x", "bob")
    desk.branch("y", "ann")
    ann = desk.client("ann")
    assert [it["ref"] for it in ann.get(f"{AT}/activity", actor="bob").body] == ["refs/heads/x"]
    assert ann.get(f"{AT}/activity", activity_type="pr_merge").body == []
    times = [it["timestamp"] for it in ann.get(f"{AT}/activity", time_period="day").body]
    assert times[0] == times[1]
