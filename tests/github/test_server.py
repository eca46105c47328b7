"""The server itself: what it knows, how strict it is, who gets in, pages, limits and versions."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.github.call import TABLE
from tests.github.client import Client
from tests.github.conftest import AT, Desk
from tests.github.description import operations, wrong_answer
from tests.github.fixtures import Hub, github
from tests.github.state import Role, TokenKind

# What is known.


def test_every_operation_that_was_kept_is_answered() -> None:
    """The stripped description holds what the server models, and nothing else."""
    assert {it.id for it in operations()} == {*TABLE, "rate-limit/get"}


def test_what_github_has_and_the_server_has_not_is_501_and_recorded(desk: Desk) -> None:
    """A test that needs more than the server models fails, and says so."""
    got = desk.client("ann").get(f"{AT}/branches/main/protection/enforce_admins")
    assert got.status == 501
    assert desk.hub.server.problems == [f"not modelled: GET {AT}/branches/main/protection/enforce_admins"]
    desk.hub.server.problems.clear()


def test_what_github_has_not_is_404(desk: Desk) -> None:
    """An unknown path is nobody's fault but the client's."""
    assert desk.client("ann").get(f"{AT}/nothing-like-it").status == 404


def test_the_api_is_there_by_the_names_of_an_enterprise_server_as_well(desk: Desk) -> None:
    """An own server has the API below `/api/v3`."""
    got = desk.client("ann").get(f"/api/v3{AT}")
    assert (got.status, got.body["full_name"]) == (200, "acme/desk")


# Strictness.


def test_an_answer_with_a_field_github_does_not_have_is_wrong(desk: Desk) -> None:
    """What the server says is closed, all the way down."""
    desk.proposal()
    said = desk.client("ann").get(f"{AT}/pulls/1").body
    get = next(it for it in operations() if it.id == "pulls/get")
    assert wrong_answer(get, 200, said) == []
    assert len(wrong_answer(get, 200, {**said, "colour": "red"})) == 1
    deep = {**said, "head": {**said["head"], "repo": {**said["head"]["repo"], "colour": "red"}}}
    assert len(wrong_answer(get, 200, deep)) == 1
    assert wrong_answer(get, 201, said) == ["pulls/get never answers 201"]


def test_an_answer_that_github_would_not_make_is_a_500(desk: Desk) -> None:
    """And it is recorded, so that the test fails."""
    state = desk.hub.server.state
    pull = desk.proposal()
    state.pulls[pull.id] = replace(pull, state="half-open")
    assert desk.client("ann").get(f"{AT}/pulls/1").status == 500
    assert "half-open" in desk.hub.server.problems.pop()


def test_a_body_with_a_field_github_does_not_have_is_refused_and_recorded(desk: Desk) -> None:
    """A client that sends what GitHub does not know is wrong, even where GitHub would not mind."""
    got = desk.client("ann").post(f"{AT}/pulls", head="x", base="main", title="T", colour="red")
    assert (got.status, got.body["message"].split("\n")[0]) == (422, "Invalid request.")
    assert len(desk.hub.server.problems) == 1
    desk.hub.server.problems.clear()


def test_a_parameter_github_does_not_have_is_recorded_but_answered(desk: Desk) -> None:
    """GitHub overlooks it, so the answer comes; the test fails all the same."""
    assert desk.client("ann").get(f"{AT}/pulls", colour="red").status == 200
    assert desk.hub.server.problems == ["pulls/list has no parameter colour"]
    desk.hub.server.problems.clear()


def test_whatever_was_wrong_fails_the_test_in_the_end(tmp_path: Path) -> None:
    """Nobody has to look at the list."""
    with pytest.raises(AssertionError, match="not modelled: GET /user/repos"), github(tmp_path / "g") as hub:
        Client(hub.url, hub.person("ann")).get("/user/repos")


# Who gets in.


def test_a_wrong_token_is_bad_credentials(desk: Desk) -> None:
    """No token at all is less than a wrong one: it may see what is public."""
    got = desk.with_token("ghp_wrong").get(AT)
    assert (got.status, got.body["message"]) == (401, "Bad credentials")
    assert desk.with_token("").get(AT).status == 404
    desk.change(private=False)
    assert desk.with_token("").get(AT).status == 200


def test_who_may_not_see_a_repository_learns_nothing(desk: Desk) -> None:
    """A private repository is 404 for strangers, and so is one that is not there."""
    stranger = desk.with_token(desk.hub.person("eve"))
    there, not_there = stranger.get(AT), stranger.get("/repos/acme/nothing")
    assert there.status == not_there.status == 404
    assert there.body == not_there.body


def test_a_fine_grained_token_needs_the_permission(desk: Desk) -> None:
    """What would have been needed stands in a header."""
    desk.proposal()
    token = desk.hub.token("ann", TokenKind.FINE, desk.repo, pull_requests="read")
    client = desk.with_token(token)
    assert client.get(f"{AT}/pulls/1").status == 200
    got = client.put(f"{AT}/pulls/1/merge")
    assert (got.status, got.body["message"]) == (403, "Resource not accessible by personal access token")
    assert got.headers["x-accepted-github-permissions"] == "contents=write"


def test_a_permission_does_not_make_up_for_a_role(desk: Desk) -> None:
    """Who may read cannot merge, whatever the token says."""
    desk.proposal()
    desk.hub.person("rea", desk.repo, Role.READ)
    token = desk.hub.token("rea", TokenKind.FINE, desk.repo, contents="write")
    assert desk.with_token(token).put(f"{AT}/pulls/1/merge").status == 403


def test_github_token_reads_no_teams(desk: Desk) -> None:
    """It has no scope in the organization, ever."""
    desk.hub.team("acme", "deployers", "bob")
    client = desk.with_token(desk.hub.actions_token(desk.repo, contents="write", pull_requests="write"))
    got = client.get("/orgs/acme/teams/deployers/members")
    assert (got.status, got.body["message"]) == (403, "Resource not accessible by integration")
    person = desk.client("ann")
    assert [it["login"] for it in person.get("/orgs/acme/teams/deployers/members").body] == ["bob"]
    assert person.get("/orgs/acme/teams/deployers").body["members_count"] == 1
    assert person.get("/orgs/acme/teams/deployers/memberships/bob").body["state"] == "active"
    assert person.get("/orgs/acme/teams/deployers/memberships/ann").status == 404


def test_classic_protection_is_told_to_administrators_only(desk: Desk) -> None:
    """GITHUB_TOKEN is never one of them; rules can be read by everybody."""
    token = desk.hub.actions_token(desk.repo, contents="write")
    got = desk.with_token(token).get(f"{AT}/branches/main/protection")
    assert (got.status, got.body["message"]) == (403, "Resource not accessible by integration")
    got = desk.client("root", Role.ADMIN).get(f"{AT}/branches/main/protection")
    assert (got.status, got.body["message"]) == (404, "Branch not protected")
    assert desk.with_token(token).get(f"{AT}/rules/branches/main").body == []


@pytest.mark.parametrize(
    ("role", "permission", "name"),
    [
        (Role.READ, "read", "read"),
        (Role.TRIAGE, "read", "triage"),
        (Role.WRITE, "write", "write"),
        (Role.MAINTAIN, "write", "maintain"),
        (Role.ADMIN, "admin", "admin"),
    ],
)
def test_what_somebody_may_do(desk: Desk, role: Role, permission: str, name: str) -> None:
    """The old words know fewer roles than the new ones."""
    desk.hub.person("bob", desk.repo, role)
    body = desk.client("ann").get(f"{AT}/collaborators/bob/permission").body
    assert (body["permission"], body["role_name"], body["user"]["login"]) == (permission, name, "bob")


def test_a_team_gives_a_role(desk: Desk) -> None:
    """The most that anything gives counts."""
    team = desk.hub.team("acme", "deployers", "bob")
    desk.change(team_roles={team.id: Role.MAINTAIN})
    body = desk.client("ann").get(f"{AT}/collaborators/bob/permission").body
    assert body["role_name"] == "maintain"
    assert desk.client("ann").get(f"{AT}/collaborators/nobody/permission").status == 404


# Apps.


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """A key of an App."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key: rsa.RSAPrivateKey) -> str:
    """Write the half that the server knows."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def signed(key: rsa.RSAPrivateKey, app: int, lasts: int = 300) -> str:
    """Sign as an App."""
    now = int(time.time())
    return jwt.encode({"iat": now - 30, "exp": now - 30 + lasts, "iss": str(app)}, key, "RS256")


def test_an_app_gets_a_token_by_its_signature(desk: Desk, key: rsa.RSAPrivateKey) -> None:
    """The token is for an hour and for what was asked, and the bot acts with it."""
    app, _ = desk.hub.app("releaser", "acme", public(key), contents="write", checks="write")
    client = desk.with_token(signed(key, app.id))
    there = client.get(f"{AT}/installation").body
    got = client.post(f"/app/installations/{there['id']}/access_tokens", permissions={"checks": "write"})
    assert (got.status, got.body["permissions"]) == (201, {"checks": "write"})
    ends = datetime.fromisoformat(got.body["expires_at"]).timestamp()
    assert time.time() < ends <= time.time() + 3600
    bot = desk.with_token(got.body["token"])
    made = bot.post(f"{AT}/check-runs", name="gitrelease/check", head_sha=desk.first, conclusion="success")
    assert (made.status, made.body["app"]["slug"], made.body["status"]) == (201, "releaser", "completed")
    assert bot.get(f"{AT}/activity").status == 403
    assert bot.get("/user").status == 403
    more = client.post(f"/app/installations/{there['id']}/access_tokens", permissions={"members": "read"})
    assert more.status == 422


def test_a_wrong_signature_gets_nothing(desk: Desk, key: rsa.RSAPrivateKey) -> None:
    """Another key, and a signature that is too old or lasts too long."""
    app, installed = desk.hub.app("releaser", "acme", public(key))
    path = f"/app/installations/{installed.id}/access_tokens"
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for token in (signed(other, app.id), signed(key, app.id, 1), signed(key, app.id, 7200), signed(key, 1)):
        assert desk.with_token(token).post(path).status == 401
    assert desk.client("ann").post(path).status == 401


# Pages, caches, limits, versions.


def test_long_lists_come_in_pages(desk: Desk) -> None:
    """Links go by the number of the repository, as GitHub's do."""
    for number in range(5):
        desk.proposal(f"package/p{number}")
    client = desk.client("ann")
    got = client.get(f"{AT}/pulls", per_page=2, sort="created", direction="asc")
    assert [it["number"] for it in got.body] == [1, 2]
    at = f"{desk.hub.url}/repositories/{desk.repo.id}/pulls"
    assert got.links["next"] == f"{at}?per_page=2&sort=created&direction=asc&page=2"
    assert set(got.links) == {"next", "last"}
    last = client.get(got.links["last"])
    assert [it["number"] for it in last.body] == [5]
    assert set(last.links) == {"prev", "first"}
    assert client.get(f"{AT}/pulls").links == {}


def test_activity_is_paged_by_cursor(desk: Desk) -> None:
    """There is no number of a page, only what comes after."""
    for number in range(5):
        desk.branch(f"b{number}")
    client = desk.client("ann")
    got = client.get(f"{AT}/activity", per_page=4)
    refs = [it["ref"] for it in got.body]
    assert refs == [f"refs/heads/b{number}" for number in (4, 3, 2, 1)]
    rest = client.get(got.links["next"])
    assert [it["ref"] for it in rest.body] == ["refs/heads/b0", "refs/heads/main"]
    assert set(rest.links) == {"prev"}
    assert [it["ref"] for it in client.get(rest.links["prev"]).body] == refs


def test_what_has_not_changed_is_304_and_free(desk: Desk) -> None:
    """Only answers that say something count."""
    client = desk.client("ann")
    got = client.get(AT)
    again = client.ask("GET", AT, If_None_Match=got.headers["etag"])
    assert (again.status, again.body) == (304, "")
    assert again.headers["x-ratelimit-remaining"] == got.headers["x-ratelimit-remaining"] == "4999"
    assert client.get("/rate_limit").body["resources"]["core"]["remaining"] == 4999


@pytest.mark.parametrize("status", [403, 429])
def test_when_nothing_is_left_no_more_is_answered(desk: Desk, status: int) -> None:
    """Each token has its own allowance; GITHUB_TOKEN has less."""
    client = desk.client("ann")
    desk.hub.server.limits.status = status
    desk.hub.server.limits.leave(client.token, 1, reset=2_000_000_000)
    assert client.get(AT).status == 200
    got = client.get(AT)
    assert (got.status, got.headers["x-ratelimit-remaining"]) == (status, "0")
    assert got.body["message"].startswith("API rate limit exceeded")
    assert got.headers["x-ratelimit-reset"] == "2000000000"
    assert desk.client("bob").get(AT).status == 200
    actions = desk.with_token(desk.hub.actions_token(desk.repo, contents="read"))
    assert actions.get(AT).headers["x-ratelimit-limit"] == "1000"


def test_a_later_version_has_no_merge_commit_sha(desk: Desk) -> None:
    """And no assignee; a version that nobody knows is refused."""
    desk.proposal()
    old = desk.client("ann", X_GitHub_Api_Version="2022-11-28")
    assert old.get(f"{AT}/pulls/1").body.keys() >= {"merge_commit_sha", "assignee"}
    new = Client(desk.hub.url, old.token, {"X-GitHub-Api-Version": "2026-03-10"})
    assert not new.get(f"{AT}/pulls/1").body.keys() & {"merge_commit_sha", "assignee"}
    assert Client(desk.hub.url, old.token, {"X-GitHub-Api-Version": "1999-01-01"}).get(AT).status == 400


def test_an_old_name_leads_to_the_new_one(desk: Desk) -> None:
    """Reading is sent on by 301, writing by 307; the query comes along."""
    client = desk.client("ann")
    desk.hub.rename(desk.repo, "office")
    got = client.get(f"{AT}/pulls", state="all")
    at = f"{desk.hub.url}/repositories/{desk.repo.id}/pulls"
    assert (got.status, got.headers["location"]) == (301, f"{at}?state=all")
    assert client.get(got.headers["location"]).status == 200
    wrote = client.post(f"{AT}/pulls", head="x", base="main", title="T")
    assert (wrote.status, wrote.headers["location"]) == (307, at)


# Accounts, and the list of requests.


def test_accounts_are_found_by_name_and_by_number(desk: Desk) -> None:
    """A deleted one is found by neither."""
    client = desk.client("ann")
    desk.hub.person("bob")
    bob = client.get("/users/BOB").body
    assert client.get(f"/user/{bob['id']}").body["login"] == "bob"
    assert client.get("/user").body["login"] == "ann"
    desk.hub.server.state.delete_account("bob")
    assert client.get("/users/bob").status == client.get(f"/user/{bob['id']}").status == 404


def test_requests_can_be_counted(hub: Hub) -> None:
    """Also those that were dropped or refused."""
    repo = hub.repo("acme", "desk")
    client = Client(hub.url, hub.person("ann", repo))
    client.get("/user")
    client.get("/nothing")
    client.post(f"{AT}/pulls", head="x", base="main", title="T")
    assert [(it.operation, it.login, it.status) for it in hub.server.requests] == [
        ("users/get-authenticated", "ann", 200),
        (None, "ann", 404),
        ("pulls/create", "ann", 422),
    ]
    assert hub.server.count("pulls/create") == 1
    assert hub.server.creating() == 0


def test_what_is_no_json_is_refused(desk: Desk) -> None:
    """GitHub says so with a 400."""
    got = desk.client("ann").ask("POST", f"{AT}/pulls", b"{")
    assert (got.status, got.body["message"]) == (400, "Problems parsing JSON")


def test_many_at_once(desk: Desk) -> None:
    """Requests come in threads; each gets its own answer, and nothing is counted twice."""
    people = [desk.client(f"p{number}") for number in range(4)]
    pull = desk.proposal()

    def approve(client: Client) -> str:
        got = client.post(f"{AT}/pulls/1/reviews", event="APPROVE")
        return str(got.body["user"]["login"])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(approve, people)) == ["p0", "p1", "p2", "p3"]
    assert len(desk.hub.server.state.reviews_of(pull)) == 4
    assert len({it.id for it in desk.hub.server.state.reviews.values()}) == 4
