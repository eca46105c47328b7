"""What GitHub lets happen, by number: each thing is done on the loopback GitHub, and nothing unreviewed comes of it.

Here is one attack of each kind, on one shop that they share; the tests of `contracts/` have the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelease.commands.merge import MergeResult
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.verify import verify
from gitrelease.core.names import manifest_path, package_name
from gitrelease.core.review import Verdict
from gitrelease.errors import Exit, GitReleaseError, Refused
from tests.contracts.test_github_reading import answer
from tests.github import pulls, reviews
from tests.github.faults import Run
from tests.github.fixtures import Hub, github
from tests.github.state import Environment, Pull, Restamp, Role
from tests.github.use_shop import HubPerson, HubShop, open_hub_shop
from tests.kit.git import Bench, KeyRing
from tests.kit.raw import amend
from tests.kit.targets import propose, receipts, tree
from tests.pitfalls.steps import job, nothing_moves

GUARDED = '  required:\n    - {paths: ["jobs/web/guarded*"], from: [dep-1], approvals: 1}\n'


def opened(bench: Bench, hub: Hub) -> HubShop:
    made = open_hub_shop(bench, hub, signatures="off", review=GUARDED)
    made.person("sync").sync()
    return made


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Iterator[HubShop]:
    """A shop on GitHub, in line, that these tests share; each brings items and packages of its own."""
    folder = tmp_path_factory.mktemp("hub")
    with github(folder / "github") as hub:
        made = opened(Bench(folder=folder, keys=keys), hub)
        yield made
        made.close()


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub, in line, in which things may stay as they should not."""
    with github(tmp_path / "github") as hub:
        made = opened(bench, hub)
        yield made
        made.close()


def offer(shop: HubShop, name: str, by: str = "dev-1") -> Pull:
    """Propose a package with one new job, both of that name."""
    propose(shop, job(name), name, by=by, name=name)
    return pull_of(shop, name)


def pull_of(shop: HubShop, name: str) -> Pull:
    """Give the last pull request of a package."""
    return [one for one in shop.hub.server.state.pulls_of(shop.repo) if one.head_ref == f"package/{name}"][-1]


def gate(shop: HubShop, name: str) -> MergeResult:
    """Ask how a package stands, as CI does whenever anything happens; merges what is approved."""
    return shop.fresh("view-1").gate(name)


def refused(shop: HubShop, name: str) -> Verdict:
    """See that a package is not approved and that asking moved nothing."""
    with nothing_moves(shop):
        verdict = gate(shop, name).verdict
    assert verdict is not None
    assert not verdict.is_approved
    return verdict


def why_not(verdict: Verdict) -> list[str | None]:
    """List why what was said does not count."""
    return [one.why for one in verdict.uncounted]


def push_other_words(shop: HubShop, name: str, who: str = "dev-1") -> str:
    """Push another manifest to the branch of a package: the same items, described otherwise."""
    path = manifest_path(package_name(name))
    text = shop.server.git("show", f"package/{name}:{path}") + "\n"
    changed = text.replace("description: ", "description: not ", 1).replace('not "', '"not ')
    assert changed != text
    return amend(shop.person(who), f"package/{name}", {path: changed}, sign=False)


@contextmanager
def changed_repo(shop: HubShop, **fields: object) -> Iterator[None]:
    """Change settings of the repository for a while."""
    state = shop.hub.server.state
    before = state.repos[shop.repo.id]
    state.change_repo(shop.repo, **fields)
    try:
        yield
    finally:
        state.repos[shop.repo.id] = before


# Approvals.


def test_p1_an_approval_does_not_follow_the_branch(common: HubShop) -> None:
    """Also where GitHub itself notes it under the new head."""
    pull = offer(common, "follows")
    switches = common.hub.server.state.switches
    switches.restamp = Restamp.ALWAYS
    common.hub.review(pull, "dep-1")
    head = push_other_words(common, "follows")
    switches.restamp = Restamp.NEVER
    assert [one.commit for one in common.hub.server.state.reviews_of(pull)] == [head]
    assert why_not(refused(common, "follows")) == ["it was given to other content"]


def test_p1_what_comes_back_is_not_what_was_approved_in_between(common: HubShop) -> None:
    """Somebody approves the page of one content while another is there; later both are pushed once more."""
    pull = offer(common, "back")
    shown = pull.head_sha
    dev = common.person("dev-1").clone
    other = push_other_words(common, "back")
    other = dev.git(
        "commit-tree", f"{other}^{{tree}}", "-p", shown, "-m", "Release"
    )  # GitHub knows what is below
    dev.push(f"{other}:refs/heads/package/back", force=True)
    with common.hub.server.acting() as acting:
        reviews.give_review(acting, pull_of(common, "back"), common.account("dep-1"), "APPROVE", commit=shown)
    for head in (shown, other):
        dev.push(f"{head}:refs/heads/package/back", force=True)
    assert why_not(refused(common, "back")) == [
        f"it is by dep-1, who said so of {shown:.7}, which the branch did not hold any more"
    ]


def test_p2_p13_neither_authors_nor_bots_approve(common: HubShop) -> None:
    """GitHub keeps only who opened a pull request from approving it; here a bot opened it, and another approves."""
    pull = offer(common, "own-work", by="adm-1")
    state = common.hub.server.state
    state.change_pull(pull, author=state.actions.id)
    common.hub.review(pull, "adm-1")
    with changed_repo(common, actions_may_approve=True):
        state.change_pull(pull, author=common.account("adm-1"))
        common.hub.review(pull, state.actions.login)
        state.change_pull(pull, author=state.actions.id)
    why = why_not(refused(common, "own-work"))
    assert len(why) == 2
    assert "it is by github-actions, which is a bot" in why


@pytest.mark.long
def test_p3_a_pull_request_cannot_change_the_rules_it_is_judged_by(common: HubShop) -> None:
    """The workspace that counts is that of the main branch, whatever the head says of who approves."""
    text = common.server.git("show", "main:workspace.yaml") + "\n"
    entry = text[text.index("  - id: dev-2\n") : text.index("  - id: dep-1\n")]
    common.person("dev-1").write({"workspace.yaml": text.replace(entry, entry.replace("developer", "admin"))})
    propose(common, {}, "workspace.yaml", name="my-rules")
    common.person("dev-1").clone.git("checkout", "--quiet", "--force", "main")
    for who in ("dev-2", "dep-1"):
        common.hub.review(pull_of(common, "my-rules"), who)
    verdict = refused(common, "my-rules")
    assert [reason.code for reason in verdict.missing] == ["admin"]
    assert [one.actor.member for one in verdict.approvals] == ["dep-1"]
    common.person("dev-1").revoke("my-rules")


def test_p4_p8_github_lets_everything_be_merged_and_sync_does_not(common: HubShop) -> None:
    """No rule of the repository asks for a review, so the button is green; a late approval is one all the same."""
    pull = offer(common, "nobody-asked")
    client = common.person("dev-2").client
    client.put(client.repo(f"pulls/{pull.number}/merge"), {"sha": pull.head_sha}, doing="press the button")
    assert common.hub.now(pull).merged_by == common.account("dev-2")
    result = common.fresh("sync").sync()
    assert (result.packages, [one.name for one in result.waiting]) == ((), ["nobody-asked"])
    assert result.exit is Exit.REFUSED
    common.hub.review(pull, "dep-1")
    assert [one.name for one in common.fresh("sync").sync().packages] == ["nobody-asked"]


@pytest.mark.long
def test_p8_what_was_pushed_to_main_is_not_released_although_github_calls_it_merged(shop: HubShop) -> None:
    pull = offer(shop, "pushed")
    shop.hub.review(pull, "dep-1")
    shop.person("adm-1").clone.git("fetch", "--quiet", "origin")
    shop.person("adm-1").clone.git("push", "--quiet", "origin", f"{pull.head_sha}:refs/heads/main")
    assert shop.hub.now(pull).merged_at is not None
    target = tree(shop, "deploy/main")
    result = shop.person("sync").sync()
    assert (result.packages, result.exit, tree(shop, "deploy/main")) == ((), Exit.REFUSED, target)
    assert "was not made by merging the pull request" in result.waiting[0].reasons[0]


def test_p5_whoever_may_write_can_dismiss_a_no_and_it_stands(common: HubShop) -> None:
    pull = offer(common, "vetoed")
    no = common.hub.review(pull, "dep-2", "REQUEST_CHANGES", "the wrong queue")
    with common.hub.server.acting() as state:
        reviews.dismiss(state, pull, no, common.account("dev-1"), "never mind")
    common.hub.review(pull, "dep-1")
    assert [one.actor.member for one in refused(common, "vetoed").vetoes] == ["dep-2"]
    common.hub.review(pull, "dep-2")
    assert gate(common, "vetoed").merge is not None


def test_p6_p7_what_is_pushed_between_the_verdict_and_the_merge_is_not_merged(common: HubShop) -> None:
    pull = offer(common, "swapped")
    common.hub.review(pull, "dep-1")
    race = Run(lambda: push_other_words(common, "swapped"))
    main = common.refs()["refs/heads/main"]
    common.hub.server.faults.add("pulls/merge", race)
    found = gate(common, "swapped")
    assert (found.merge, common.refs()["refs/heads/main"]) == (None, main)
    assert common.hub.now(pull).merged_at is None


@pytest.mark.long
def test_p9_an_approval_of_one_pull_request_is_none_of_another(common: HubShop) -> None:
    """Neither when the other has the very same content, nor when the same one is opened again."""
    pull = offer(common, "lender")
    with changed_repo(
        common, roles={**common.repo.roles, **everybody(common), common.account("dep-1"): Role.READ}
    ):
        common.hub.review(pull, "dep-1")
        refused(common, "lender")
    head = pull.head_sha
    common.person("dev-1").revoke("lender")
    common.person("dev-1").release("lender", name="borrower")
    assert refused(common, "borrower").approvals == ()
    common.person("dep-2").reject("borrower")
    # Its branch pushed again, and its pull request opened again with the yes that is in it.
    with opened_again(common, "lender", head):
        with pytest.raises(Refused, match="was revoked, and a name is used once"):
            common.person("dep-2").approve("lender")
        assert gate(common, "lender").merge is None


def everybody(shop: HubShop) -> dict[int, Role]:
    """Give what everybody may do in the repository."""
    return dict(shop.hub.server.state.repos[shop.repo.id].roles)


@contextmanager
def opened_again(shop: HubShop, name: str, head: str) -> Iterator[None]:
    """Open a package again that was closed, as GitHub lets people, and close it in the end."""
    clone = shop.person("dev-2").clone
    clone.git("fetch", "--quiet", "origin", head)
    clone.push(f"{head}:refs/heads/package/{name}")
    with shop.hub.server.acting() as state:
        pulls.reopen(state, pull_of(shop, name), shop.account("dev-2"))
    yield
    clone.push(f":refs/heads/package/{name}")


# What looks like an approval.


def test_p14_statuses_that_anybody_can_set_decide_nothing(common: HubShop) -> None:
    """Who may write sets any status, also in our name; and it does not stay."""
    pull = offer(common, "all-green")
    forger = common.person("dev-2").client
    for context in ("gitrelease/check", "gitrelease/approval"):
        status = {"state": "success", "context": context, "description": "approved by dep-1"}
        forger.post(forger.repo(f"statuses/{pull.head_sha}"), status, doing="forge a status")
    assert [reason.code for reason in refused(common, "all-green").missing] == ["approvals"]
    with pytest.raises(Refused, match="1 more of 1 approvals"):
        common.person("dev-1").merge("all-green")
    last = {one.context: one.state for one in common.hub.server.state.statuses if one.sha == pull.head_sha}
    assert last["gitrelease/approval"] == "pending"


def test_p23_owners_of_files_are_not_who_must_approve(common: HubShop) -> None:
    """Lines that GitHub passes over, and owners without a role here, take nobody's place."""
    owners = "* @dev-2\njobs/ @nobody-there\n[jobs/web] @dep-2\njobs/web/guarded* @dep-2 @dev-2\n"
    common.hub.push(common.repo, "adm-1", "main", {".github/CODEOWNERS": owners})
    pull = offer(common, "guarded")
    for who in ("dev-2", "dep-2"):
        common.hub.review(pull, who)
    verdict = refused(common, "guarded")
    assert [one.actor.member for one in verdict.approvals] == ["dep-2"]
    assert [reason.code for reason in verdict.missing] == ["required"]
    common.hub.review(pull, "dep-1")
    assert gate(common, "guarded").merge is not None


def test_p24_a_deployment_that_somebody_let_through_is_no_approval(common: HubShop) -> None:
    """One reviewer of an environment is enough, and it may be whoever began the deployment."""
    pull = offer(common, "deployed")
    gates = (Environment(id=7, name="production", reviewers=(common.account("dev-1"),)),)
    client = common.person("dev-1").client
    with changed_repo(common, environments=gates):
        made = client.post(
            client.repo("deployments"),
            {"ref": pull.head_sha, "task": "gitrelease", "auto_merge": False, "required_contexts": []},
            doing="deploy it",
        )
        there = client.repo(f"deployments/{made['id']}/statuses")  # type: ignore[index]
        client.post(there, {"state": "success", "description": "1 item released"}, doing="say so")
        assert [reason.code for reason in refused(common, "deployed").missing] == ["approvals"]


# Who.


def test_p31_who_takes_over_a_name_takes_over_nothing_else(common: HubShop) -> None:
    pull = offer(common, "renamed")
    state = common.hub.server.state
    old = state.account("dep-2")
    state.accounts[old.id] = replace(old, login="dep-2-that-was")
    thief = state.account("dep-2")
    state.change_repo(common.repo, roles={**everybody(common), thief.id: Role.WRITE})
    common.hub.review(pull, "dep-2")
    assert why_not(refused(common, "renamed")) == ["it is by dep-2, who is no member"]
    common.hub.review(pull, "dep-2-that-was")
    assert gate(common, "renamed").merge is not None
    state.delete_account("dep-2")
    state.accounts[old.id] = old


def test_p13_what_nobody_has_heard_of_yet_is_no_approval(common: HubShop) -> None:
    """Reviews of new kinds, and by nobody, by nobody's number, or by what is no user."""
    pull = offer(common, "odd-words")
    account = {"__typename": "User", "login": "dep-1", "databaseId": common.account("dep-1")}
    given: dict[str, object] = {
        "state": "APPROVED",
        "submittedAt": "2026-11-20T23:00:00Z",
        "fullDatabaseId": "7",
        "commit": {"oid": pull.head_sha},
        "author": account,
    }
    nodes: list[object] = [
        {**given, "state": "BLESSED"},
        {**given, "author": None},
        {**given, "author": {"__typename": "EnterpriseUserAccount", "login": "dep-1"}},
        {**given, "author": {**account, "databaseId": None}},
        {**given, "submittedAt": None},
        None,
    ]
    odd = answer(
        nodes,
        len(nodes),
        number=pull.number,
        headRefOid=pull.head_sha,
        headRefName=pull.head_ref,
        author=None,
    )
    common.hub.server.faults.add("graphql", odd)
    assert refused(common, "odd-words").approvals == ()


@pytest.mark.long
def test_p33_every_way_in_asks_who_it_is(common: HubShop) -> None:
    """An account that may write, and is no member, changes nothing, neither in git nor on GitHub."""
    offer(common, "open-door")
    dev = common.person("dev-1")
    dev.write(job("waits-outside"))
    dev.submit("waits-outside")
    stranger: HubPerson = common.fresh("stranger")
    stranger.clone.git("fetch", "--quiet", "origin")
    stranger.write(job("by-a-stranger"))
    ways: list[Callable[[], object]] = [
        lambda: stranger.submit("by-a-stranger"),
        lambda: stranger.release("waits-outside"),
        lambda: stranger.approve("open-door"),
        lambda: stranger.reject("open-door"),
        lambda: stranger.revoke("open-door"),
        lambda: stranger.merge("open-door"),
        lambda: stranger.sync(),
        lambda: revoke_tasks(stranger.desk, ["waits-outside"]),
    ]
    creating = common.hub.server.creating()
    for way in ways:
        with nothing_moves(common), pytest.raises(GitReleaseError, match="no member of the workspace shop"):
            way()
    assert common.hub.server.creating() == creating
    # The button on GitHub is open to whoever may write; what comes of it is not released.
    common.hub.review(pull_of(common, "open-door"), "stranger")
    assert why_not(refused(common, "open-door")) == ["it is by stranger, who is no member"]


def test_p34_who_may_not_write_any_more_has_not_approved(common: HubShop) -> None:
    """Whose yes counts is asked when it is counted, not when it is given, and however often."""
    pull = offer(common, "left")
    for _ in range(2):
        common.hub.review(pull, "dep-1")
    without = {**everybody(common), common.account("dep-1"): Role.READ}
    with changed_repo(common, roles=without):
        assert why_not(refused(common, "left")) == ["it is by dep-1, who may not write to the repository"] * 2
    assert gate(common, "left").merge is not None


# All of it, once.


def test_p25_p32_p36_what_was_squashed_and_rebased_while_no_sync_ran_is_released_once(
    common: HubShop,
) -> None:
    """Events are lost, come in another order, or twice: the next sync does all that is outstanding."""
    names = ["one-merge", "two-squash", "three-rebase"]
    common.fresh("sync").sync()
    since = common.hub.server.creating()
    for name in names:
        pull = offer(common, name)
        common.hub.push(common.repo, "dev-2", "main", {"README.md": f"before {name}\n"})
        with changed_repo(common, methods=frozenset({name.partition("-")[2]})):
            common.hub.review(pull, "dep-1")
            assert gate(common, name).merge == common.refs()["refs/heads/main"]
    before = len(receipts(common))
    for _ in range(2):
        runner = common.fresh("sync")
        released = [one.name for one in runner.sync().packages]
        assert [name for name in released if name in names] in (names, [])
    told = [one for one in receipts(common)[before:] if one.get("package") in names]
    assert [one["package"] for one in told if one["event"] == "finished"] == names
    assert [one["package"] for one in told if one["event"] == "started"] == names
    deployed = [one.data.get("payload") or {} for one in common.hub.server.state.deployments.values()]
    assert [one["package"] for one in deployed if one.get("package") in names] == names
    # A pull request, a request for reviews, two statuses, a comment, a merge, and three things that sync shows.
    assert common.hub.server.creating() - since <= 9 * len(names)
    assert verify(common.fresh("view-1").desk).ok


def test_p30_less_than_there_is_said_to_be_is_no_verdict(common: HubShop) -> None:
    """The no could be among what was not given."""
    pull = offer(common, "second-page")
    common.hub.review(pull, "dep-1")
    for number in range(101):
        common.hub.review(pull, "dev-2", "COMMENT", f"comment {number}")
    common.hub.review(pull, "dep-2", "REQUEST_CHANGES", "stop")
    half = answer([], 103, headRefOid=pull.head_sha, number=pull.number, headRefName=pull.head_ref)
    common.hub.server.faults.add("graphql", half)
    with nothing_moves(common), pytest.raises(GitReleaseError, match="0 of 103 reviews"):
        gate(common, "second-page")
    assert [one.actor.member for one in refused(common, "second-page").vetoes] == ["dep-2"]
