"""What is written to GitHub is written once, whatever fails on the way; and how many requests it all takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gitrelease.commands.review import withdraw
from gitrelease.core.names import BlobId, CommitId, TreeId, branch, package_name, package_ref
from gitrelease.core.package import Proposed, manifest_document
from gitrelease.core.review import Say
from gitrelease.documents import dump
from gitrelease.errors import CredentialsError, GitReleaseError, NotFound, RaceLost, Refused
from gitrelease.forges import Announcement, Course, Standing, State, StatusWords, Words
from gitrelease.forges.github import reporting, saying
from gitrelease.forges.github.refusals import GitHubUnavailable, HeadMoved, RateLimited
from tests.contracts.test_forge import merge, proposal, proposed, speak, statement
from tests.contracts.test_github_reading import moved_on, pull, seen, verdict
from tests.github.faults import Drop, Reply, Run, When, html, said, secondary
from tests.github.fixtures import github
from tests.github.state import Protection, Role, Ruleset
from tests.github.use_shop import HubPerson, HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml

pytestmark = pytest.mark.long

FIRST = package_name("first")
PACKAGE = "package/first"
WORDS = Words(title="Release first", body="The plan.")


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub, signatures="off")
        yield made
        made.close()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One way in which a request that changes something goes wrong, once."""

    action: Reply | Drop
    when: When = When.BEFORE
    heals: bool = True
    """Whether the command itself gets over it."""


FAILURES: Mapping[str, Failure] = {
    "502 before": Failure(action=said(502, "Server Error")),
    "502 after": Failure(action=said(502, "Server Error"), when=When.AFTER),
    "page after": Failure(action=html(504), when=When.AFTER),
    "dropped before": Failure(action=Drop(midway=True)),
    "dropped after": Failure(action=Drop(midway=True), when=When.AFTER),
    "short limit": Failure(action=secondary(403, retry_after=2)),
    "long limit": Failure(action=secondary(429, retry_after=1800), heals=False),
    "token lost": Failure(action=said(401, "Bad credentials"), heals=False),
    "down": Failure(action=html(503)),
}
every_failure = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())


def through(shop: HubShop, operation: str, failure: Failure, act: Callable[[], object]) -> None:
    """Do something that fails on the way; once more, as people do, where that was not healed."""
    shop.hub.server.faults.add(operation, failure.action, when=failure.when)
    if failure.heals:
        act()
        return
    with pytest.raises((RateLimited, CredentialsError)):
        act()
    act()


# Pull requests.


@every_failure
def test_one_pull_request(shop: HubShop, failure: Failure) -> None:
    person = shop.person("dev-1")
    made = proposal(person)
    before = person.desk.look().refs.get(package_ref(FIRST))
    assert before is None

    def propose() -> None:
        now = person.desk.look().refs.get(package_ref(FIRST))
        replaces = None if now is None else CommitId(now)
        person.forge.propose(made, made.head, replaces, lambda: WORDS)

    through(shop, "pulls/create", failure, propose)
    (there,) = shop.hub.server.state.pulls.values()
    assert (there.title, there.body, there.head_sha, there.base_ref) == (
        "Release first",
        "The plan.",
        made.head,
        "main",
    )
    asked = {shop.hub.server.state.accounts[id_].login for id_ in there.reviewers}
    assert asked == set(made.manifest.reviewers)
    propose()
    assert len(shop.hub.server.state.pulls) == 1


@pytest.mark.parametrize("action", [Drop(midway=True), Drop()])
@pytest.mark.parametrize("when", When)
def test_one_branch(shop: HubShop, action: Drop, when: When) -> None:
    person = shop.person("dev-1")
    made = proposal(person)
    shop.hub.server.faults.add("git/push", action, when=when)
    try:
        person.forge.propose(made, made.head, None, lambda: WORDS)
    except GitReleaseError:
        person.desk.look()
        person.forge.propose(made, made.head, None, lambda: WORDS)
    assert (len(shop.hub.server.state.pulls), shop.refs()[package_ref(FIRST)]) == (1, made.head)


def test_somebody_opens_the_pull_request_in_between(shop: HubShop) -> None:
    person = shop.person("dev-1")
    made = proposal(person)
    shop.hub.server.faults.add("pulls/create", Run(lambda: shop.hub.open(shop.repo, "dev-2", PACKAGE)))
    person.forge.propose(made, made.head, None, lambda: WORDS)
    (there,) = shop.hub.server.state.pulls.values()
    assert there.author == shop.account("dev-2")
    assert len(there.reviewers) == len(made.manifest.reviewers)


def test_p37_long_words_are_cut_and_dangerous_ones_made_harmless(shop: HubShop) -> None:
    person = shop.person("dev-1")
    made = proposal(person)
    words = Words(title="x [skip ci] " + "é" * 300, body="订" * 70_000)
    person.forge.propose(made, made.head, None, lambda: words)
    there = pull(shop)
    assert (len(there.title), there.title[:14]) == (saying.TITLE_LIMIT, "x (skip ci) éé")
    assert there.body is not None
    assert (len(there.body), there.body.endswith("the manifest has all of it")) == (saying.BODY_LIMIT, True)


def test_words_that_cannot_be_written_leave_nothing_behind(shop: HubShop) -> None:
    person = shop.person("dev-1")
    made = proposal(person)

    def words() -> Words:
        raise Refused("no words")

    with pytest.raises(Refused, match="no words"):
        person.forge.propose(made, made.head, None, words)
    assert (package_ref(FIRST) in shop.refs(), shop.hub.server.state.pulls) == (False, {})


# Who is asked.


@every_failure
def test_reviewers_are_asked_once_and_never_stop_a_release(shop: HubShop, failure: Failure) -> None:
    person = shop.person("dev-1")
    made = proposal(person)
    shop.hub.server.faults.add("pulls/request-reviewers", failure.action, when=failure.when)
    person.forge.propose(made, made.head, None, lambda: WORDS)
    events = [one for one in shop.hub.server.state.events if one.kind == "review_requested"]
    if failure.heals:
        assert (len(events), person.said[1:]) == (len(made.manifest.reviewers), [])
    else:
        assert (events, len([line for line in person.said if "could be asked" in line])) == ([], 1)


def test_who_cannot_be_asked_is_said_and_the_others_are_asked(shop: HubShop) -> None:
    person = shop.person("dev-1")
    made = proposal(person)
    state = shop.hub.server.state
    state.change_repo(shop.repo, roles={**state.repos[shop.repo.id].roles, shop.account("dep-1"): Role.NONE})
    state.delete_account("adm-2")
    person.forge.propose(made, made.head, None, lambda: WORDS)
    there = pull(shop)
    assert {state.accounts[id_].login for id_ in there.reviewers} == set(made.manifest.reviewers) - {
        "dep-1",
        "adm-2",
    }
    assert [
        line
        for line in person.said
        if line.startswith("dep-1 could not be asked to review: Reviews may only")
    ]
    assert [line for line in person.said if "not asked" in line or line.startswith("adm-2 could not")]


def test_no_more_are_asked_than_github_lets(shop: HubShop) -> None:
    proposed(shop)
    person = shop.person("dev-1")
    names = [f"person-{number}" for number in range(18)]
    for name in names:
        shop.hub.person(name, shop.repo)
    asked = saying.request_reviews(person.client, 1, names, person.said.append)
    # Four were asked before, and of these there is room for eleven.
    assert (list(asked), len(pull(shop).reviewers)) == (names[:11], saying.MOST_ASKED)
    assert len([line for line in person.said if "could not be asked to review" in line]) == 4
    assert [line for line in person.said if "not asked: person-15, person-16, person-17" in line]


def test_asking_more_people(shop: HubShop) -> None:
    made = proposed(shop)
    state = shop.hub.server.state
    state.change_pull(pull(shop), reviewers=())
    state.events[:] = []
    speak(shop, "dev-1", made, Say.ASK, asks=("dep-1", "view-1"))
    assert [state.accounts[id_].login for id_ in pull(shop).reviewers] == ["dep-1", "view-1"]
    review = seen(shop.person("adm-1"))
    # dep-1 is named by the manifest; only the other was asked later.
    assert (review.asked, [one.say for one in review.opinions]) == (("view-1",), [Say.ASK])


# Reviews.


@every_failure
@pytest.mark.parametrize("say", [Say.APPROVE, Say.REJECT])
def test_one_review(shop: HubShop, failure: Failure, say: Say) -> None:
    made = proposed(shop)
    through(shop, "pulls/create-review", failure, lambda: speak(shop, "dep-1", made, say, "as I see it"))
    speak(shop, "dep-1", made, say, "as I see it")
    (given,) = shop.hub.server.state.reviews.values()
    wanted = {"state": "APPROVED" if say is Say.APPROVE else "CHANGES_REQUESTED", "body": "as I see it"}
    assert {"state": given.state, "body": given.body} == wanted
    assert (given.commit, given.user) == (made.head, shop.account("dep-1"))


@every_failure
def test_one_withdrawal(shop: HubShop, failure: Failure) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    through(shop, "pulls/dismiss-review", failure, lambda: speak(shop, "dep-1", made, Say.WITHDRAW))
    speak(shop, "dep-1", made, Say.WITHDRAW)
    dismissed = [one for one in shop.hub.server.state.events if one.kind == "review_dismissed"]
    assert ([one.state for one in shop.hub.server.state.reviews.values()], len(dismissed)) == (
        ["DISMISSED"],
        1,
    )
    assert [one.say for one in seen(shop.person("adm-1")).opinions] == [Say.APPROVE, Say.WITHDRAW]


def test_after_a_withdrawal_one_may_say_it_again(shop: HubShop) -> None:
    made = proposed(shop)
    for say in (Say.APPROVE, Say.WITHDRAW, Say.APPROVE, Say.REJECT):
        speak(shop, "dep-1", made, say, "hm")
    states = [one.state for one in shop.hub.server.state.reviews.values()]
    assert states == ["DISMISSED", "APPROVED", "CHANGES_REQUESTED"]


@pytest.mark.parametrize("say", [Say.APPROVE, Say.REJECT, Say.WITHDRAW])
def test_nothing_is_said_of_a_head_that_moved(shop: HubShop, say: Say) -> None:
    made = proposed(shop)
    dep = shop.person("dep-1")
    review = seen(dep)
    moved_on(shop, made)
    with pytest.raises(HeadMoved):
        dep.forge.say(review, statement(shop, made, say))
    assert shop.hub.server.state.reviews == {}


@pytest.mark.parametrize("amend", [False, True])
def test_p7_what_is_pushed_while_somebody_approves_is_not_approved(shop: HubShop, amend: bool) -> None:
    made = proposed(shop)
    dep = shop.person("dep-1")
    review = seen(dep)
    race = Run(lambda: moved_on(shop, made, amend=amend))
    shop.hub.server.faults.add("pulls/create-review", race)
    try:
        dep.forge.say(review, statement(shop, made, Say.APPROVE))
    except RaceLost:
        assert amend
    assert not verdict(shop.fresh("adm-1")).is_approved
    assert verdict(shop.person("adm-1")).approvals == ()


def test_taking_back_is_told_once(shop: HubShop) -> None:
    made = proposed(shop)
    for _ in range(2):
        speak(shop, "dev-1", made, Say.REVOKE, "a mistake")
    (comment,) = shop.hub.server.state.comments.values()
    assert comment.body.endswith("a mistake")


def test_a_package_without_a_pull_request_cannot_be_approved(shop: HubShop) -> None:
    dev = shop.person("dev-1")
    made = proposal(dev)
    shop.hub.server.faults.add("pulls/create", said(422, "Validation Failed"), times=1)
    with pytest.raises(GitReleaseError):
        dev.forge.propose(made, made.head, None, lambda: WORDS)
    dep = shop.person("dep-1")
    with pytest.raises(Refused, match="has no pull request yet"):
        dep.forge.say(seen(dep), statement(shop, made, Say.APPROVE))


# Merging.


@every_failure
def test_one_merge(shop: HubShop, failure: Failure) -> None:
    made = proposed(shop)
    main = shop.refs()["refs/heads/main"]
    dep = shop.person("dep-1")
    found: list[CommitId] = []
    through(shop, "pulls/merge", failure, lambda: found.append(merge(dep, made)))
    assert found == [shop.refs()["refs/heads/main"]]
    assert shop.server.git("rev-parse", f"{found[0]}^1") == main
    assert [one.kind for one in shop.hub.server.state.activity if one.ref == "refs/heads/main"][1:] == [
        "pr_merge"
    ]


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_by_the_method_that_the_repository_allows(shop: HubShop, method: str) -> None:
    made = proposed(shop)
    shop.hub.server.state.change_repo(shop.repo, methods=frozenset({method}))
    main = shop.refs()["refs/heads/main"]
    commit = merge(shop.person("dep-1"), made)
    parents = shop.server.git("rev-parse", f"{commit}^@").splitlines()
    assert (commit, parents) == (shop.refs()["refs/heads/main"], [main])


def test_p6_only_the_approved_head_is_merged(shop: HubShop) -> None:
    made = proposed(shop)
    main = shop.refs()["refs/heads/main"]
    shop.hub.server.faults.add("pulls/merge", Run(lambda: moved_on(shop, made)))
    with pytest.raises(HeadMoved):
        merge(shop.person("dep-1"), made)
    assert shop.refs()["refs/heads/main"] == main


def test_p7_the_approving_command_judges_again_when_the_head_moves_under_it(shop: HubShop) -> None:
    made = proposed(shop)
    main = shop.refs()["refs/heads/main"]
    shop.hub.server.faults.add("pulls/merge", Run(lambda: moved_on(shop, made)))
    done = shop.person("dep-1").approve("first")
    assert done.merged is not None
    assert (done.merged.merge, shop.refs()["refs/heads/main"]) == (None, main)


def test_a_base_that_moves_meanwhile_is_tried_again_a_few_times(shop: HubShop) -> None:
    made = proposed(shop)
    words = "Base branch was modified. Review and try the merge again."
    shop.hub.server.faults.add("pulls/merge", said(405, words), times=2)
    dep = shop.person("dep-1")
    assert merge(dep, made) == shop.refs()["refs/heads/main"]
    second = proposed(shop, "second", {"jobs/web/new.job.yaml": job_yaml("new")})
    shop.hub.server.faults.add("pulls/merge", said(405, words), times=99)
    with pytest.raises(RaceLost, match="moves all the time"):
        merge(dep, second)


def test_a_rule_that_is_in_the_way_is_told_in_its_words(shop: HubShop) -> None:
    made = proposed(shop)
    rule = Protection(checks=("ci/build",), enforce_admins=True)
    shop.hub.server.state.change_repo(shop.repo, protections={"main": rule})
    with pytest.raises(Refused, match='Required status check "ci/build" is expected') as refused:
        merge(shop.person("dep-1"), made)
    assert refused.value.code == "not-mergeable"


def test_a_merge_queue_is_not_supported(shop: HubShop) -> None:
    made = proposed(shop)
    rules = (Ruleset(id=9, name="queue", include=("refs/heads/main",), rules=({"type": "merge_queue"},)),)
    shop.hub.server.state.change_repo(shop.repo, rulesets=rules)
    with pytest.raises(Refused, match="merge queue") as refused:
        merge(shop.person("dep-1"), made)
    assert refused.value.code == "merge-queue"


# What people are told.


@every_failure
def test_one_status(shop: HubShop, failure: Failure) -> None:
    made = proposed(shop)
    client = shop.person("dev-1").client
    words = StatusWords(context="gitrelease/approval", state=State.PENDING, description="x" * 200)
    through(
        shop,
        "repos/create-commit-status",
        failure,
        lambda: reporting.set_statuses(client, made.head, [words]),
    )
    reporting.set_statuses(client, made.head, [words])
    (there,) = shop.hub.server.state.statuses
    assert (there.context, there.state, len(there.description or "")) == (
        "gitrelease/approval",
        "pending",
        140,
    )
    reporting.set_statuses(client, made.head, [replace(words, state=State.SUCCESS)])
    assert [one.state for one in shop.hub.server.state.statuses] == ["pending", "success"]


def deployed(shop: HubShop, course: Course = Course.FAILURE, notes: str | None = None) -> Announcement:
    return Announcement(
        package=FIRST,
        commit=CommitId(shop.refs()["refs/heads/main"]),
        manifest=BlobId("b" * 40),
        course=course,
        description="on its way",
        title="first",
        notes=notes,
    )


@every_failure
@pytest.mark.parametrize("operation", ["repos/create-deployment", "repos/create-deployment-status"])
def test_one_deployment(shop: HubShop, operation: str, failure: Failure) -> None:
    client = shop.person("sync").client
    through(shop, operation, failure, lambda: reporting.set_deployment(client, deployed(shop)))
    reporting.set_deployment(client, deployed(shop))
    state = shop.hub.server.state
    (there,) = state.deployments.values()
    assert (there.data["environment"], there.data["auto_merge"], there.data["required_contexts"]) == (
        "production",
        False,
        [],
    )
    assert [one.data["state"] for one in state.deployment_statuses.values()] == ["failure"]
    reporting.set_deployment(client, deployed(shop, Course.SUCCESS))
    assert [one.data["state"] for one in state.deployment_statuses.values()] == ["failure", "success"]
    assert len(state.deployments) == 1


@every_failure
def test_notes_of_one_release(shop: HubShop, failure: Failure) -> None:
    person = shop.person("sync")
    with pytest.raises(NotFound, match="there is no tag release/first"):
        reporting.set_release(person.client, FIRST, title="first", body="all of it")
    person.clone.git("tag", "-a", "release/first", "-m", "x", "origin/main")
    person.clone.git("push", "--quiet", "origin", "release/first")

    def publish(body: str = "all of it\nand more") -> None:
        reporting.set_release(person.client, FIRST, title="first", body=body)

    through(shop, "repos/create-release", failure, publish)
    publish()
    (there,) = shop.hub.server.state.releases.values()
    assert (there.data["tag_name"], there.data["name"], there.data["body"]) == (
        "release/first",
        "first",
        "all of it\nand more",
    )
    through(shop, "repos/update-release", failure, lambda: publish("less"))
    assert [one.data["body"] for one in shop.hub.server.state.releases.values()] == ["less"]


@every_failure
def test_p36_one_comment_that_is_kept_up_to_date(shop: HubShop, failure: Failure) -> None:
    proposed(shop)
    person = shop.person("dev-1")
    forged = "<!-- gitrelease:standing -->\nall is approved"
    shop.hub.server.state.change_repo(shop.repo, private=False)
    passer_by = replace(person, token=shop.hub.person("passer-by")).client
    passer_by.post(passer_by.repo("issues/1/comments"), {"body": forged}, doing="forge a comment")
    passer_by.close()

    def tell(body: str) -> None:
        saying.keep_comment(person.client, 1, who=shop.account("dev-1"), mark="standing", body=body)

    through(shop, "issues/create-comment", failure, lambda: tell("one is missing"))
    through(shop, "issues/update-comment", failure, lambda: tell("none is missing"))
    tell("none is missing")
    bodies = [one.body for one in shop.hub.server.state.comments.values()]
    assert bodies == [forged, "<!-- gitrelease:standing -->\nnone is missing"]


def test_there_is_one_comment_whoever_runs_a_command(shop: HubShop) -> None:
    proposed(shop)
    person, other = shop.person("dev-1"), shop.person("dep-1")
    ci = replace(person, token=shop.hub.actions_token(shop.repo, pull_requests="write"))
    told: list[tuple[HubPerson, int | None]] = [
        (person, shop.account("dev-1")),
        (other, shop.account("dep-1")),
        (ci, None),
        (other, shop.account("dep-1")),
    ]
    for place, (who, account) in enumerate(told):
        saying.keep_comment(who.client, 1, who=account, mark="standing", body=f"{place} are missing")
        (comment,) = shop.hub.server.state.comments.values()
        assert comment.body == f"<!-- gitrelease:standing -->\n{place} are missing"
    ci.client.close()


def test_telling_people_never_fails_a_command(shop: HubShop) -> None:
    proposed(shop)
    person = shop.person("dev-1")
    review = seen(person)
    words = StatusWords(context="gitrelease/approval", state=State.PENDING, description="one is missing")
    missing = Standing(statuses=(words,), comment="one is missing")
    person.forge.report(review, lambda: missing)
    state = shop.hub.server.state
    assert (len(state.statuses), len(state.comments)) == (1, 1)
    person.forge.announce(
        FIRST, lambda: deployed(shop, Course.SUCCESS, notes="there is no tag"), is_new=False
    )
    assert (len(state.deployments), len(state.releases)) == (1, 0)
    shop.hub.server.faults.add("*", said(401, "Bad credentials"), times=99)
    person.forge.report(review, lambda: replace(missing, comment="none is missing"))
    person.forge.announce(FIRST, lambda: deployed(shop, Course.FAILURE), is_new=False)
    told = [line.partition(": ")[0] for line in person.said if line.startswith("GitHub ")]
    assert told == ["GitHub shows no notes of first", *["GitHub does not show how first stands"] * 2]


# A token that is lost half-way.


@pytest.mark.parametrize("nth", range(8))
def test_a_token_that_is_lost_half_way(shop: HubShop, nth: int) -> None:
    """Whatever request is the first that is refused, another token finishes the work, and nothing is there twice."""
    dev = shop.person("dev-1")
    dev.write({"jobs/sales/orders.job.yaml": job_yaml("orders", version=1, script="clean", note="x")})
    dev.submit("jobs/sales/orders.job.yaml")
    dev = shop.fresh("dev-1")
    state, old = shop.hub.server.state, dev.token
    shop.hub.server.faults.add(
        lambda asked: asked.token == old and not (asked.operation or "").startswith("git/"),
        Run(lambda: state.revoke(old)),
        skip=nth,
    )
    try:
        dev.release("orders", name="first")
        is_done = True
    except CredentialsError:
        is_done = False
    again = shop.fresh("dev-1")
    again.token = shop.hub.server.state.token("dev-1")
    url = shop.hub.server.git_url(shop.repo, again.token)
    again.clone.git("remote", "set-url", "origin", url)
    released = again.release("orders", **({} if is_done else {"name": "first"}))
    assert released.manifest.name == "first"
    assert len(state.pulls) == 1
    assert [ref for ref in shop.refs() if ref.startswith("refs/heads/package/")] == [
        "refs/heads/package/first"
    ]


# How many requests.


@dataclass(kw_only=True)
class Story:
    """Some tasks, in a shop."""

    shop: HubShop
    tasks: list[str] = field(default_factory=list)

    def submit(self, count: int) -> None:
        dev = self.shop.person("dev-1")
        files = {f"jobs/web/n{number:03}.job.yaml": job_yaml(f"n{number:03}") for number in range(count)}
        dev.write(files)
        self.tasks = [str(one.task) for one in dev.submit(*files).items]

    def counted(self, who: str, act: Callable[[HubPerson], object]) -> list[str]:
        """Do something in a process of its own, and list what GitHub was asked."""
        person = self.shop.fresh(who)
        person.repo.config("user.name")
        since = len(self.shop.hub.server.requests)
        act(person)
        return self.shop.asked(since)


def forget(person: HubPerson) -> None:
    """Let a clone remember nothing, as that of a workflow."""
    for ref in person.clone.git("for-each-ref", "--format=%(refname)", "refs/gitrelease").split():
        person.clone.git("update-ref", "-d", ref)


@pytest.mark.parametrize(("count", "is_fresh"), [(1, True), (3, True), (3, False), (40, True)])
def test_requests_of_a_release_and_of_a_sync(shop: HubShop, count: int, is_fresh: bool) -> None:
    story = Story(shop=shop)
    shop.person("sync").sync()
    proposed(shop, "earlier", {"jobs/web/earlier.job.yaml": job_yaml("earlier")})
    shop.person("dep-1").approve("earlier")
    shop.person("sync").sync()
    if is_fresh:
        forget(shop.person("sync"))
    proposed(shop, "other", {"jobs/web/other.job.yaml": job_yaml("other")})
    story.submit(count)
    asked = story.counted("dev-1", lambda person: person.release(*story.tasks, name="first"))
    assert len(asked) <= 4, asked
    asked = story.counted("dep-1", lambda person: person.approve("first"))
    assert len(asked) <= 16, asked  # five of them tell how it stands
    asked = story.counted("sync", lambda person: person.sync())
    assert shop.refs().get("refs/tags/release/first")
    approvers = asked.count("repos/get-collaborator-permission-level")
    assert approvers == 1
    assert len(asked) <= 10 + approvers, asked
    # What became of it is told after it was done, once.
    told = ["repos/create-deployment", "repos/create-deployment-status", "repos/create-release"]
    assert [operation for operation in asked if operation in told] == told


def test_requests_of_a_list(shop: HubShop) -> None:
    from gitrelease.commands.views import PackageFilter, Paging, list_packages

    story = Story(shop=shop)
    assert story.counted("dep-1", lambda person: list_packages(person.desk, PackageFilter(), Paging())) == []
    for number in range(3):
        proposed(shop, f"p{number}", {f"jobs/web/n{number}.job.yaml": job_yaml(f"n{number}")})
    found: list[int] = []

    def look(person: HubPerson) -> None:
        found.append(list_packages(person.desk, PackageFilter(), Paging()).total)

    asked = story.counted("dep-1", look)
    assert found == [3]
    assert asked.count("graphql") == 1
    # That of who submitted the tasks does not grow with how many there are.
    assert len(asked) <= 3, asked


def test_p36_a_hundred_packages_take_their_turn(shop: HubShop) -> None:
    """Pull requests of many packages keep within what GitHub takes in a minute."""
    dev = shop.person("dev-1")
    main = shop.refs()["refs/heads/main"]
    for number in range(100):
        name = f"package/p{number}"
        shop.hub.push(shop.repo, "dev-1", name, {f"x{number}": "y"}, onto=main)
        saying.open_pull(dev.client, head=name, base="main", words=WORDS)
    assert len(shop.hub.server.state.pulls) == shop.hub.server.creating() == 100
    assert [line for line in dev.said if "60 changes a minute" in line] or sum(dev.waits.slept) >= 99.0


def test_a_server_that_stays_away(shop: HubShop) -> None:
    made = proposed(shop)
    dep = shop.person("dep-1")
    review = seen(dep)
    shop.hub.server.faults.add("*", html(503), times=999)
    with pytest.raises(GitHubUnavailable):
        dep.forge.say(review, statement(shop, made, Say.APPROVE))
    shop.hub.server.faults.clear()
    assert shop.hub.server.state.reviews == {}


def test_the_head_is_what_it_was(shop: HubShop) -> None:
    """What is merged is what `tree` says, or it is told."""
    made: Proposed = proposed(shop)
    changed = replace(made.manifest, description="other")
    assert dump(manifest_document(changed)) != dump(manifest_document(made.manifest))
    dep = shop.person("dep-1")
    review, now = seen(dep), dep.desk.look()
    race = Run(lambda: shop.hub.push(shop.repo, "dev-2", "main", {"README.md": "more\n"}))
    shop.hub.server.faults.add("pulls/merge", race)
    tree = dep.repo.merge_trees(now.main, made.head)
    assert isinstance(tree, str)
    commit = dep.forge.merge(review, into=branch("main"), main=now.main, tree=TreeId(tree), message="Merge\n")
    assert commit == shop.refs()["refs/heads/main"]
    assert [line for line in dep.said if "moved while first was merged" in line]
    assert BlobId(made.manifest_id)


# What a verb leaves for people to see.


def shown(shop: HubShop) -> tuple[str, str]:
    """Give the last word on the approval, and the first line of the comment."""
    state = shop.hub.server.state
    words = [one for one in state.statuses if one.context == "gitrelease/approval"][-1]
    bodies = [one.body for one in state.comments.values() if "gitrelease:standing" in one.body]
    return f"{words.state}: {words.description}", bodies[-1].splitlines()[1]


def test_every_verb_leaves_what_is_true_by_then(shop: HubShop) -> None:
    proposed(shop)
    dep = shop.person("dep-1")
    dep.gate("first")
    assert shown(shop)[1] == "**`first` waits for approval.**"
    assert shown(shop)[0].startswith("pending: missing: 1 more of 1 approvals, from one of ")
    pull_ = shop.hub.server.state.pulls[min(shop.hub.server.state.pulls)]
    shop.hub.review(pull_, "dep-2", "REQUEST_CHANGES", "<b>@acme/all</b> `no`")
    dep.gate("first")
    assert shown(shop) == (
        "failure: dep-2 asked for changes: <b>@acme/all</b> `no`",
        "**`first` is not approved: changes are asked for.**",
    )
    body = [one.body for one in shop.hub.server.state.comments.values()][-1]
    assert "- against it: `` dep-2 asked for changes: <b>@acme/all</b> `no` ``" in body
    withdraw(shop.person("dep-2").desk, FIRST)
    assert shown(shop)[1] == "**`first` waits for approval.**"
    dep.reject("first")
    assert shown(shop) == ("failure: rejected", "**`first` was rejected; its tasks await release again.**")
