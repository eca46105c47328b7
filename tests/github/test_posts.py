"""What is posted beside pull requests, what git holds, and how a repository is guarded."""

from __future__ import annotations

import pytest

from tests.github.conftest import AT, Desk
from tests.github.state import DeployKey, Environment, Protection, Role, Ruleset

# Statuses and check runs.


def test_statuses_are_kept_and_the_last_counts(desk: Desk) -> None:
    """Newest first; per context only the last word; any writer may say anything."""
    ann = desk.client("ann")
    path = f"{AT}/statuses/{desk.first}"
    for context, state in (("a", "pending"), ("b", "success"), ("a", "success")):
        made = ann.post(path, state=state, context=context, description="d", target_url="http://x.example/")
        assert (made.status, made.body["creator"]["login"]) == (201, "ann")
    said = ann.get(f"{AT}/commits/main/statuses").body
    assert [(it["context"], it["state"]) for it in said] == [
        ("a", "success"),
        ("b", "success"),
        ("a", "pending"),
    ]
    whole = ann.get(f"{AT}/commits/{desk.first}/status").body
    assert (whole["state"], whole["total_count"], whole["sha"]) == ("success", 2, desk.first)
    ann.post(path, state="error", context="b")
    assert ann.get(f"{AT}/commits/main/status").body["state"] == "failure"
    assert ann.post(path, state="success", description="x" * 141).status == 422
    assert ann.post(f"{AT}/statuses/{'0' * 40}", state="success").status == 422
    assert desk.client("rea", Role.READ).post(path, state="success").status == 403


def test_only_apps_make_check_runs(desk: Desk) -> None:
    """GITHUB_TOKEN is one; a person is not, and one App does not change what another made."""
    got = desk.client("ann").post(f"{AT}/check-runs", name="x", head_sha=desk.first)
    assert (got.status, got.body["message"]) == (403, "You must authenticate via a GitHub App.")
    bot = desk.with_token(desk.hub.actions_token(desk.repo, checks="write"))
    run = bot.post(f"{AT}/check-runs", name="x", head_sha=desk.first, external_id="7").body
    assert (run["status"], run["conclusion"], run["external_id"]) == ("queued", None, "7")
    output = {"title": "t", "summary": "s", "text": "t"}
    done = bot.patch(f"{AT}/check-runs/{run['id']}", conclusion="success", output=output).body
    assert (done["status"], done["output"]["summary"]) == ("completed", "s")
    long = {**output, "text": "x" * 65_536}
    assert bot.patch(f"{AT}/check-runs/{run['id']}", conclusion="success", output=long).status == 422
    assert "/output/text" in desk.hub.server.problems.pop()


# Deployments.


def test_deployments_and_how_they_go(desk: Desk) -> None:
    """A success makes the one before inactive."""
    ann = desk.client("ann")
    plain = {
        "auto_merge": False,
        "required_contexts": [],
        "environment": "production",
        "payload": {"package": "x"},
    }
    ids = []
    for _ in range(2):
        made = ann.post(f"{AT}/deployments", ref=desk.first, **plain)
        assert (made.status, made.body["sha"], made.body["payload"]) == (201, desk.first, {"package": "x"})
        ids.append(made.body["id"])
        said = ann.post(f"{AT}/deployments/{ids[-1]}/statuses", state="success", description="done")
        assert (said.status, said.body["environment"]) == (201, "production")
    found = ann.get(f"{AT}/deployments", environment="production", sha=desk.first).body
    assert [it["id"] for it in found] == ids[::-1]
    assert ann.get(f"{AT}/deployments", environment="other").body == []
    older = ann.get(f"{AT}/deployments/{ids[0]}/statuses").body
    assert [it["state"] for it in older] == ["inactive", "success"]
    assert ann.get(f"{AT}/deployments/{ids[1]}").body["task"] == "deploy"
    assert (
        ann.post(f"{AT}/deployments/{ids[1]}/statuses", state="success", description="x" * 141).status == 422
    )
    assert ann.post(f"{AT}/deployments", ref="nowhere", **plain).status == 422


def test_a_deployment_left_to_itself_merges_and_waits(desk: Desk) -> None:
    """The defaults are not for a release desk."""
    head = desk.branch()
    desk.hub.push(desk.repo, "ann", "main", {"c.txt": "c\n"})
    ann = desk.client("ann")
    got = ann.post(f"{AT}/deployments", ref="package/one")
    assert (got.status, got.body["message"]) == (202, "Auto-merged main into package/one on deployment.")
    assert desk.hub.server.state.bare(desk.repo).tip("package/one") != head
    ann.post(f"{AT}/statuses/{head}", state="pending", context="ci")
    assert ann.post(f"{AT}/deployments", ref=head).status == 409


# Releases.


def test_releases(desk: Desk) -> None:
    """The tag is made where there is none; a second release of it is refused."""
    ann = desk.client("ann")
    made = ann.post(
        f"{AT}/releases", tag_name="release/x", target_commitish=desk.first, name="X", body="notes"
    )
    assert (made.status, made.body["tag_name"], made.body["draft"]) == (201, "release/x", False)
    assert desk.hub.server.state.bare(desk.repo).resolve("refs/tags/release/x") == desk.first
    again = ann.post(f"{AT}/releases", tag_name="release/x")
    assert (again.status, again.body["errors"][0]["code"]) == (422, "already_exists")
    assert ann.get(f"{AT}/releases/tags/release/x").body["id"] == made.body["id"]
    assert ann.get(f"{AT}/releases/tags/release/y").status == 404
    assert ann.patch(f"{AT}/releases/{made.body['id']}", body="more").body["body"] == "more"
    assert [it["name"] for it in ann.get(f"{AT}/releases").body] == ["X"]


# What git holds.


def test_refs_commits_branches_comparisons(desk: Desk) -> None:
    """As git has them."""
    head = desk.branch(**{"b.txt": "1\n2\n"})
    ann = desk.client("ann")
    assert ann.get(f"{AT}/git/ref/heads/package/one").body["object"]["sha"] == head
    assert ann.get(f"{AT}/git/ref/heads/package").status == 404
    refs = ann.get(f"{AT}/git/matching-refs/heads/").body
    assert [it["ref"] for it in refs] == ["refs/heads/main", "refs/heads/package/one"]
    commit = ann.get(f"{AT}/commits/package/one").body
    assert (commit["sha"], commit["stats"]["additions"]) == (head, 2)
    assert [(it["filename"], it["status"]) for it in commit["files"]] == [("b.txt", "added")]
    assert ann.get(f"{AT}/commits/main").body["files"][0]["status"] == "added"
    assert ann.get(f"{AT}/commits/nowhere").status == 404
    assert ann.get(f"{AT}/commits/{'0' * 40}").status == 422
    compared = ann.get(f"{AT}/compare/main...package/one").body
    assert (compared["status"], compared["ahead_by"], compared["behind_by"]) == ("ahead", 1, 0)
    assert compared["merge_base_commit"]["sha"] == desk.first
    assert ann.get(f"{AT}/compare/main...nowhere").status == 404
    assert ann.get(f"{AT}/branches/package/one").body["commit"]["sha"] == head
    assert ann.get(f"{AT}/branches/nowhere").body["message"] == "Branch not found"


# Guards.


def test_protection_and_rules_are_two_things(desk: Desk) -> None:
    """Rules do not tell of classic protection, nor of who may go past them."""
    bypass = ({"actor_id": None, "actor_type": "DeployKey"},)
    rule = {"type": "update", "parameters": {"update_allows_fetch_and_merge": False}}
    guard = Ruleset(id=7, name="ledger", include=("refs/heads/production/*",), rules=(rule,), bypass=bypass)
    desk.change(
        rulesets=(guard,),
        protections={"main": Protection(approvals=2, checks=("ci",), pushers=frozenset({"ann"}))},
    )
    ann, root = desk.client("ann"), desk.client("root", Role.ADMIN)
    assert ann.get(f"{AT}/rules/branches/main").body == []
    (told,) = ann.get(f"{AT}/rules/branches/production/main").body
    assert (told["type"], told["ruleset_id"]) == ("update", 7)
    assert ann.get(f"{AT}/rules/branches/production/a/b").body == []
    assert [it["name"] for it in ann.get(f"{AT}/rulesets").body] == ["ledger"]
    assert "bypass_actors" not in ann.get(f"{AT}/rulesets/7").body
    assert root.get(f"{AT}/rulesets/7").body["bypass_actors"][0]["actor_type"] == "DeployKey"
    assert ann.get(f"{AT}/branches/main/protection").status == 403
    whole = root.get(f"{AT}/branches/main/protection").body
    assert whole["required_pull_request_reviews"]["required_approving_review_count"] == 2
    assert [it["login"] for it in whole["restrictions"]["users"]] == ["ann"]
    assert ann.get(f"{AT}/branches/main").body["protected"] is True


@pytest.mark.parametrize("limited", [True, False])
def test_environments_and_keys(desk: Desk, limited: bool) -> None:
    """Where production's credentials are, and what may write the ledger."""
    ann = desk.client("ann")
    bob = desk.hub.server.state.account("bob").id
    made = Environment(id=90, name="production", branch_policies=limited, reviewers=(bob,))
    desk.change(
        environments=(made,), keys=(DeployKey(id=91, title="sync", key="ssh-ed25519 AAAA", read_only=False),)
    )
    (shown,) = ann.get(f"{AT}/environments").body["environments"]
    assert shown == ann.get(f"{AT}/environments/production").body
    policy = {"protected_branches": False, "custom_branch_policies": True}
    assert shown["deployment_branch_policy"] == (policy if limited else None)
    assert ann.get(f"{AT}/environments/other").status == 404
    assert ann.get(f"{AT}/keys").status == 403
    (key,) = desk.client("root", Role.ADMIN).get(f"{AT}/keys").body
    assert (key["title"], key["read_only"]) == ("sync", False)
