"""The same with a client that others wrote: PyGithub, as a program would use it, and where it is dangerous."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth, Github, GithubException, UnknownObjectException
from github.GithubRetry import GithubRetry

from tests.github.conftest import Desk
from tests.github.faults import When, moved_to, said
from tests.github.fixtures import Hub
from tests.github.state import Role


def opened(hub: Hub, token: str, **options: object) -> Github:
    """Connect without waiting between requests, and without repeating any."""
    fields = {"retry": None, "seconds_between_requests": None, "seconds_between_writes": None, **options}
    return Github(base_url=hub.url, auth=Auth.Token(token), per_page=100, timeout=20, **fields)  # type: ignore[arg-type]


@pytest.fixture
def ann(desk: Desk) -> Iterator[Github]:
    """Somebody who may write."""
    made = opened(desk.hub, desk.hub.person("ann", desk.repo))
    yield made
    made.close()


@pytest.fixture
def bob(desk: Desk) -> Iterator[Github]:
    """Somebody else who may write."""
    made = opened(desk.hub, desk.hub.person("bob", desk.repo))
    yield made
    made.close()


def test_from_the_first_push_to_the_merge(desk: Desk, ann: Github, bob: Github) -> None:
    """Open, ask, approve, say, merge, announce."""
    head = desk.branch()
    repo = ann.get_repo("acme/desk")
    pull = repo.create_pull(base="main", head="package/one", title="One", body="text")
    pull.create_review_request(reviewers=["bob"])
    pull.add_to_labels("release")
    users, _ = pull.get_review_requests()
    assert [it.login for it in users] == ["bob"]
    review = bob.get_repo("acme/desk").get_pull(1).create_review(event="APPROVE", body="fine")
    assert (review.state, review.commit_id) == ("APPROVED", head)
    assert [it.user.login for it in pull.get_reviews()] == ["bob"]
    repo.get_commit(head).create_status("success", context="gitrelease/approval", description="one of one")
    assert repo.get_commit(head).get_combined_status().state == "success"
    done = pull.merge(sha=head, merge_method="squash")
    assert (done.merged, done.sha) == (True, desk.hub.server.state.bare(desk.repo).tip("main"))
    deployment = repo.create_deployment(
        done.sha, auto_merge=False, required_contexts=[], environment="production"
    )
    assert deployment.create_status("success", description="released").state == "success"
    release = repo.create_git_release("release/one", "One", "notes", target_commitish=done.sha)
    assert repo.get_release("release/one").id == release.id
    assert repo.get_collaborator_permission("bob") == "write"
    assert [it.number for it in repo.get_pulls(state="closed", head="acme:package/one")] == [1]
    # It asks for pages of what does not come in pages; GitHub overlooks that.
    assert desk.hub.server.problems == ["pulls/list-requested-reviewers has no parameter per_page"] * 1
    desk.hub.server.problems.clear()


def test_pages_are_followed(desk: Desk, ann: Github) -> None:
    """By the links, which go by the number of the repository."""
    for number in range(5):
        desk.proposal(f"package/p{number}")
    ann.per_page = 2
    found = ann.get_repo("acme/desk").get_pulls(sort="created", direction="asc")
    assert [it.number for it in found] == [1, 2, 3, 4, 5]
    assert found.totalCount == 5
    assert desk.hub.server.count("pulls/list") == 4


def test_refusals_are_exceptions(desk: Desk, ann: Github) -> None:
    """Each with its status."""
    desk.proposal()
    pull = ann.get_repo("acme/desk").get_pull(1)
    with pytest.raises(GithubException) as moved:
        pull.merge(sha=desk.first)
    assert moved.value.status == 409
    with pytest.raises(GithubException) as own:
        pull.create_review(event="APPROVE")
    assert own.value.status == 422
    with pytest.raises(UnknownObjectException):
        ann.get_repo("acme/nothing")


def test_what_is_not_known_to_it_can_be_asked_for(desk: Desk, ann: Github) -> None:
    """Activity and rules have no methods; GraphQL has one."""
    repo = ann.get_repo("acme/desk")
    _, moves = ann.requester.requestJsonAndCheck("GET", f"{repo.url}/activity", {"ref": "refs/heads/main"})
    assert isinstance(moves, list)
    assert [it["activity_type"] for it in moves] == ["branch_creation"]
    _, data = ann.requester.graphql_query("{ viewer { login } }", {})
    assert data["data"]["viewer"]["login"] == "ann"


def test_it_repeats_what_may_have_had_an_effect(desk: Desk) -> None:
    """With its own way to repeat, one lost answer makes two deployments."""
    client = opened(desk.hub, desk.hub.person("ann", desk.repo), retry=GithubRetry(total=2, backoff_factor=0))
    desk.hub.server.faults.add("repos/create-deployment", said(502, "Server Error"), when=When.AFTER)
    repo = client.get_repo("acme/desk")
    repo.create_deployment(desk.first, auto_merge=False, required_contexts=[])
    client.close()
    assert len(desk.hub.server.state.deployments) == 2


def test_it_takes_a_redirected_post_for_done(desk: Desk, ann: Github) -> None:
    """Nothing was opened, and the pull request has no number."""
    desk.branch()
    desk.hub.server.faults.add(
        "pulls/create", moved_to(f"{desk.hub.url}/repositories/{desk.repo.id}/pulls", 307)
    )
    pull = ann.get_repo("acme/desk").create_pull(base="main", head="package/one", title="One")
    assert not pull.number
    assert desk.hub.server.state.pulls == {}


def test_an_app_signs_and_gets_its_token(desk: Desk) -> None:
    """With a key of its own, and for all it was given."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    half = key.public_key().public_bytes(serialization.Encoding.PEM, form)
    app, installed = desk.hub.app("releaser", "acme", half.decode(), contents="write", pull_requests="write")
    auth = Auth.AppAuth(app.id, pem.decode()).get_installation_auth(installed.id)
    client = Github(base_url=desk.hub.url, auth=auth, retry=None, seconds_between_writes=None)
    desk.branch()
    pull = client.get_repo("acme/desk").create_pull(base="main", head="package/one", title="One")
    assert pull.user.login == "releaser[bot]"
    desk.hub.person("bob", desk.repo, Role.WRITE)
    assert desk.hub.review(desk.hub.server.state.pulls[pull.id], "bob").state == "APPROVED"
    client.close()
