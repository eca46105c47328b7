"""GraphQL: the same facts as over REST, pages, aliases, and errors beside what could be answered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType

from tests.github.client import Client
from tests.github.conftest import Desk
from tests.github.graph import schema
from tests.github.state import Protection, Role, TokenKind

PULL = """
  number title url state isDraft isCrossRepository createdAt closedAt merged mergedAt reviewDecision mergeable
  mergedBy { login } author { login __typename ... on User { databaseId } }
  baseRefName headRefName headRefOid mergeCommit { oid messageHeadline }
  headRepository { databaseId nameWithOwner owner { login } }
  reviewRequests(first: 20) { nodes { requestedReviewer { __typename ... on User { login } ... on Team { slug } } } }
  reviews(first: 50, states: [APPROVED, CHANGES_REQUESTED, DISMISSED]) {
    totalCount pageInfo { hasNextPage endCursor }
    nodes { databaseId state submittedAt body author { login } authorAssociation commit { oid } }
  }
  timelineItems(first: 50, itemTypes: [
    CLOSED_EVENT REOPENED_EVENT MERGED_EVENT REVIEW_DISMISSED_EVENT BASE_REF_CHANGED_EVENT HEAD_REF_FORCE_PUSHED_EVENT
  ]) {
    totalCount filteredCount pageInfo { hasNextPage }
    nodes {
      __typename
      ... on ClosedEvent { createdAt actor { login } }
      ... on ReopenedEvent { createdAt actor { login } }
      ... on MergedEvent { createdAt actor { login } commit { oid } }
      ... on ReviewDismissedEvent { createdAt actor { login } previousReviewState review { databaseId } }
      ... on BaseRefChangedEvent { actor { login } previousRefName currentRefName }
      ... on HeadRefForcePushedEvent { actor { login } beforeCommit { oid } afterCommit { oid } }
    }
  }
"""


def asked(client: Client, inside: str, **variables: object) -> Any:
    """Ask about the repository, and give what was answered."""
    got = client.graphql(f'{{ repository(owner: "acme", name: "desk") {{ {inside} }} }}', **variables)
    assert got.status == 200
    assert "errors" not in got.body, got.body
    return got.body["data"]["repository"]


def test_a_pull_request_with_all_that_is_asked(desk: Desk) -> None:
    """One question instead of five requests."""
    pull = desk.proposal()
    for name in ("bob", "cat"):
        desk.hub.person(name, desk.repo)
    desk.hub.team("acme", "deployers", "dan")
    ann = desk.client("ann")
    ann.post("/repos/acme/desk/pulls/1/requested_reviewers", reviewers=["cat"])
    review = desk.hub.review(pull, "bob")
    ann.put(f"/repos/acme/desk/pulls/1/reviews/{review.id}/dismissals", message="no")
    forced = desk.hub.push(desk.repo, "bob", "package/one", {"one.txt": "x\n"}, onto=desk.first, force=True)
    ann.patch("/repos/acme/desk/pulls/1", state="closed")
    ann.patch("/repos/acme/desk/pulls/1", state="open")
    merged = ann.put("/repos/acme/desk/pulls/1/merge", sha=forced).body["sha"]
    told = asked(ann, f"pullRequest(number: 1) {{ {PULL} }}")["pullRequest"]
    assert (told["state"], told["merged"], told["mergedBy"]["login"]) == ("MERGED", True, "ann")
    assert (told["headRefOid"], told["mergeCommit"]["oid"]) == (forced, merged)
    assert told["author"]["__typename"] == "User"
    assert told["isCrossRepository"] is False
    assert told["headRepository"]["databaseId"] == desk.repo.id
    assert told["reviewRequests"]["nodes"] == [{"requestedReviewer": {"__typename": "User", "login": "cat"}}]
    (said,) = told["reviews"]["nodes"]
    assert (said["databaseId"], said["state"], said["commit"]["oid"]) == (
        review.id,
        "DISMISSED",
        pull.head_sha,
    )
    rest = ann.get("/repos/acme/desk/pulls/1/reviews").body[0]
    assert (said["submittedAt"], said["authorAssociation"]) == (
        rest["submitted_at"],
        rest["author_association"],
    )
    kinds = [it["__typename"] for it in told["timelineItems"]["nodes"]]
    wanted = [
        "ReviewDismissedEvent",
        "HeadRefForcePushedEvent",
        "ClosedEvent",
        "ReopenedEvent",
        "MergedEvent",
    ]
    assert kinds == [*wanted, "ClosedEvent"]
    dismissed, forced_push = told["timelineItems"]["nodes"][:2]
    assert (dismissed["actor"]["login"], dismissed["previousReviewState"]) == ("ann", "APPROVED")
    assert (forced_push["beforeCommit"]["oid"], forced_push["afterCommit"]["oid"]) == (pull.head_sha, forced)


def test_lists_come_in_pages_and_can_be_narrowed(desk: Desk) -> None:
    """By state, head and base; in the order asked for."""
    for number in range(3):
        desk.proposal(f"package/p{number}")
    ann = desk.client("ann")
    ann.patch("/repos/acme/desk/pulls/2", state="closed")
    order = "orderBy: {field: CREATED_AT, direction: DESC}"
    first = asked(
        ann, f"pullRequests(first: 2, {order}) {{ nodes {{ number }} pageInfo {{ hasNextPage endCursor }} }}"
    )
    page = first["pullRequests"]
    assert ([it["number"] for it in page["nodes"]], page["pageInfo"]["hasNextPage"]) == ([3, 2], True)
    cursor = page["pageInfo"]["endCursor"]
    rest = asked(
        ann, f'pullRequests(first: 2, after: "{cursor}", {order}) {{ totalCount nodes {{ number }} }}'
    )
    assert rest["pullRequests"] == {"totalCount": 3, "nodes": [{"number": 1}]}
    narrowed = {
        "states: [CLOSED]": [2], 'headRefName: "package/p0"': [1], 'baseRefName: "dev"': [], "states: [OPEN]": [1, 3],
    }  # fmt: skip
    for words, numbers in narrowed.items():
        found = asked(ann, f"pullRequests(first: 9, {words}) {{ nodes {{ number }} }}")["pullRequests"]
        assert [it["number"] for it in found["nodes"]] == numbers


def test_many_questions_in_one(desk: Desk) -> None:
    """One that has no answer stands beside those that have."""
    for number in range(2):
        desk.proposal(f"package/p{number}")
    aliases = "\n".join(f"n{number}: pullRequest(number: {number}) {{ title }}" for number in (1, 2, 3))
    got = desk.client("ann").graphql(f'{{ repository(owner: "acme", name: "desk") {{ {aliases} }} }}')
    assert got.body["data"]["repository"] == {
        "n1": {"title": "A title"},
        "n2": {"title": "A title"},
        "n3": None,
    }
    (error,) = got.body["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["repository", "n3"])


def test_who_asks_and_what_is_left(desk: Desk) -> None:
    """The limit is answered with 200 and an error."""
    ann = desk.client("ann")
    got = ann.graphql("{ viewer { login databaseId } rateLimit { limit remaining cost used resetAt } }").body[
        "data"
    ]
    assert got["viewer"]["login"] == "ann"
    assert (got["rateLimit"]["limit"], got["rateLimit"]["remaining"]) == (5000, 4999)
    desk.hub.server.limits.leave(ann.token, 0, "graphql")
    over = ann.graphql("{ viewer { login } }")
    assert (over.status, over.body["errors"][0]["type"]) == (200, "RATE_LIMITED")
    assert over.headers["x-ratelimit-remaining"] == "0"
    assert ann.get("/user").status == 200


def test_strangers_find_nothing(desk: Desk) -> None:
    """Nor do tokens without the permission, nor nobody."""
    desk.proposal()
    question = '{ repository(owner: "acme", name: "desk") { databaseId pullRequest(number: 1) { number } } }'
    stranger = desk.with_token(desk.hub.person("eve")).graphql(question).body
    assert (stranger["data"], stranger["errors"][0]["type"]) == ({"repository": None}, "NOT_FOUND")
    weak = desk.with_token(desk.hub.token("ann", TokenKind.FINE, desk.repo, contents="read")).graphql(
        question
    )
    assert weak.body["errors"][0]["type"] == "FORBIDDEN"
    assert desk.with_token("").graphql(question).status == 401


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ("pullRequests { totalCount }", "MISSING_PAGINATION_BOUNDARIES"),
        ("pullRequests(first: 101) { totalCount }", "EXCESSIVE_PAGINATION"),
    ],
)
def test_pages_have_bounds(desk: Desk, inside: str, kind: str) -> None:
    """At most a hundred at once, and never all."""
    got = desk.client("ann").graphql(f'{{ repository(owner: "acme", name: "desk") {{ {inside} }} }}')
    assert got.body["errors"][0]["type"] == kind


@pytest.mark.parametrize("query", ["{ viewer { shoeSize } }", "mutation { x }"])
def test_what_is_not_there_is_an_error_and_recorded(desk: Desk, query: str) -> None:
    """Never a silent null."""
    got = desk.client("ann").graphql(query).body
    assert "errors" in got
    assert "data" not in got
    assert desk.hub.server.problems.pop()


def test_words_that_nobody_knows_yet(desk: Desk) -> None:
    """A state and an event that GitHub may have tomorrow, over both."""
    state = desk.hub.server.state
    pull = desk.proposal()
    desk.hub.person("bob", desk.repo)
    review = desk.hub.review(pull, "bob")
    state.reviews[review.id] = replace(review, state="NEW_OPINION")
    state.tell(pull, "new_event", pull.author)
    ann = desk.client("ann")
    inside = "pullRequest(number: 1) { reviews(first: 5) { nodes { state } } timelineItems(first: 9) { totalCount } }"
    assert asked(ann, inside)["pullRequest"]["reviews"]["nodes"] == [{"state": "NEW_OPINION"}]
    assert ann.get("/repos/acme/desk/pulls/1/reviews").body[0]["state"] == "NEW_OPINION"
    assert ann.get("/repos/acme/desk/issues/1/timeline").body[-1]["event"] == "new_event"


def test_no_field_of_the_schema_is_forgotten(desk: Desk) -> None:
    """Every field that was kept is answered for everything that has it."""
    fork = desk.hub.fork(desk.repo, "eve")
    desk.hub.push(fork, "eve", "x", {"x.txt": "x\n"})
    desk.proposal()
    desk.hub.open(desk.repo, "eve", "eve:x")
    desk.hub.team("acme", "deployers", "dan")
    team = next(iter(desk.hub.server.state.teams))
    desk.change(team_roles={team: Role.WRITE}, protections={"main": Protection(approvals=1)})
    ann, bob = desk.client("ann"), desk.client("bob")
    at = "/repos/acme/desk"
    asked_for = {"reviewers": ["bob"], "team_reviewers": ["deployers"]}
    ann.post(f"{at}/pulls/1/requested_reviewers", **asked_for)
    ann.ask("DELETE", f"{at}/pulls/1/requested_reviewers", {"reviewers": [], "team_reviewers": ["deployers"]})
    bob.post(f"{at}/pulls/1/reviews", event="APPROVE")
    ann.post(f"{at}/issues/1/comments", body="hm")
    ann.post(f"{at}/issues/1/labels", labels=["a"])
    ann.post(f"{at}/pulls/1/requested_reviewers", reviewers=["bob"])
    got = ann.graphql(f"{{ {_everything('Query', 5)} }}")
    # A fork has no pull request of that number; whatever else goes wrong is no error with a type.
    assert {it.get("type") for it in got.body["errors"]} == {"NOT_FOUND"}


_ARGUMENTS = {
    "repository": '(owner: "acme", name: "desk")', "pullRequest": "(number: 1)", "ref": '(qualifiedName: "main")',
}  # fmt: skip
_PAGED = {
    "pullRequests", "reviewRequests", "reviews", "latestOpinionatedReviews", "timelineItems", "comments", "labels",
}  # fmt: skip


def _everything(name: str, depth: int) -> str:
    """Write a selection of all fields of a type, down to a depth."""
    kind = schema().type_map[name]
    if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
        parts = (
            f"... on {it.name} {{ {_everything(it.name, depth)} }}"
            for it in schema().get_possible_types(kind)
        )
        return " ".join(("__typename", *parts))
    assert isinstance(kind, GraphQLObjectType)
    words = ["__typename"]
    for field, definition in kind.fields.items():
        inner = definition.type
        while hasattr(inner, "of_type"):
            inner = inner.of_type
        arguments = "(first: 9)" if field in _PAGED else _ARGUMENTS.get(field, "")
        alias = f"{name}_{field}: {field}{arguments}"
        if not hasattr(inner, "fields") and not hasattr(inner, "types"):
            words.append(alias)
        elif depth:
            words.append(f"{alias} {{ {_everything(inner.name, depth - 1)} }}")
    return " ".join(words)
