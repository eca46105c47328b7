"""What is kept of GitHub's descriptions, and where they are known to be wrong."""

from __future__ import annotations

from typing import Any

_REPO = "/repos/{owner}/{repo}"
_PULL = f"{_REPO}/pulls/{{pull_number}}"

OPERATIONS: tuple[str, ...] = (
    "GET /user",
    "GET /users/{username}",
    "GET /user/{account_id}",
    "GET /rate_limit",
    f"GET {_REPO}",
    f"GET {_REPO}/pulls",
    f"POST {_REPO}/pulls",
    f"GET {_PULL}",
    f"PATCH {_PULL}",
    f"PUT {_PULL}/merge",
    f"GET {_PULL}/merge",
    f"GET {_PULL}/requested_reviewers",
    f"POST {_PULL}/requested_reviewers",
    f"DELETE {_PULL}/requested_reviewers",
    f"GET {_PULL}/reviews",
    f"POST {_PULL}/reviews",
    f"GET {_PULL}/reviews/{{review_id}}",
    f"PUT {_PULL}/reviews/{{review_id}}/dismissals",
    f"POST {_PULL}/reviews/{{review_id}}/events",
    f"PUT {_PULL}/update-branch",
    f"GET {_REPO}/issues/{{issue_number}}/timeline",
    f"GET {_REPO}/issues/{{issue_number}}/comments",
    f"POST {_REPO}/issues/{{issue_number}}/comments",
    f"PATCH {_REPO}/issues/comments/{{comment_id}}",
    f"POST {_REPO}/issues/{{issue_number}}/labels",
    f"GET {_REPO}/activity",
    f"GET {_REPO}/collaborators",
    f"GET {_REPO}/collaborators/{{username}}/permission",
    "GET /orgs/{org}/teams/{team_slug}",
    "GET /orgs/{org}/teams/{team_slug}/members",
    "GET /orgs/{org}/teams/{team_slug}/memberships/{username}",
    f"POST {_REPO}/statuses/{{sha}}",
    f"GET {_REPO}/commits/{{ref}}",
    f"GET {_REPO}/commits/{{ref}}/status",
    f"GET {_REPO}/commits/{{ref}}/statuses",
    f"POST {_REPO}/check-runs",
    f"PATCH {_REPO}/check-runs/{{check_run_id}}",
    f"POST {_REPO}/deployments",
    f"GET {_REPO}/deployments",
    f"GET {_REPO}/deployments/{{deployment_id}}",
    f"POST {_REPO}/deployments/{{deployment_id}}/statuses",
    f"GET {_REPO}/deployments/{{deployment_id}}/statuses",
    f"POST {_REPO}/releases",
    f"GET {_REPO}/releases",
    f"GET {_REPO}/releases/tags/{{tag}}",
    f"PATCH {_REPO}/releases/{{release_id}}",
    f"GET {_REPO}/git/ref/{{ref}}",
    f"GET {_REPO}/git/matching-refs/{{ref}}",
    f"GET {_REPO}/compare/{{basehead}}",
    f"GET {_REPO}/rules/branches/{{branch}}",
    f"GET {_REPO}/branches/{{branch}}",
    f"GET {_REPO}/branches/{{branch}}/protection",
    f"GET {_REPO}/rulesets",
    f"GET {_REPO}/rulesets/{{ruleset_id}}",
    f"GET {_REPO}/environments",
    f"GET {_REPO}/environments/{{environment_name}}",
    f"GET {_REPO}/keys",
    "POST /app/installations/{installation_id}/access_tokens",
    f"GET {_REPO}/installation",
)

SPARE_FIELDS = frozenset(
    {
        "body_html",
        "body_text",
        "text_matches",
        "template_repository",
        "code_of_conduct",
        "security_and_analysis",
    }
)
"""Optional fields of answers that the server never sends, and that need large schemas."""

_CONNECTION = ("nodes", "pageInfo", "totalCount")
_EVENT = ("id", "actor", "createdAt")

FIELDS: dict[str, tuple[str, ...]] = {
    "Query": ("repository", "viewer", "rateLimit"),
    "Node": ("id",),
    "Actor": ("login", "url", "avatarUrl", "resourcePath"),
    "User": ("id", "databaseId", "login", "name", "url", "avatarUrl", "resourcePath"),
    "Bot": ("id", "databaseId", "login", "url", "avatarUrl", "resourcePath"),
    "Organization": ("id", "databaseId", "login", "name", "url", "avatarUrl", "resourcePath"),
    "Team": ("id", "databaseId", "name", "slug", "combinedSlug", "url", "resourcePath"),
    "RateLimit": ("cost", "limit", "nodeCount", "remaining", "resetAt", "used"),
    "Repository": (
        "id", "databaseId", "name", "nameWithOwner", "owner", "url", "isPrivate", "isArchived",
        "defaultBranchRef", "ref", "pullRequest", "pullRequests", "viewerPermission", "createdAt",
    ),
    "RepositoryOwner": ("id", "login", "url", "avatarUrl", "resourcePath"),
    "Ref": ("id", "name", "prefix", "target"),
    "GitObject": ("id", "oid"),
    "Commit": ("id", "oid", "messageHeadline", "message", "committedDate", "authoredDate"),
    "PullRequestConnection": _CONNECTION,
    "PageInfo": ("endCursor", "startCursor", "hasNextPage", "hasPreviousPage"),
    "PullRequest": (
        "id", "databaseId", "fullDatabaseId", "number", "title", "body", "url", "state", "isDraft", "closed",
        "merged", "isCrossRepository", "createdAt", "updatedAt", "closedAt", "mergedAt", "mergedBy", "author",
        "authorAssociation", "baseRefName", "baseRefOid", "headRefName", "headRefOid", "headRepository",
        "headRepositoryOwner", "baseRepository", "mergeCommit", "mergeable", "reviewDecision", "reviewRequests",
        "reviews", "latestOpinionatedReviews", "timelineItems", "comments", "labels",
    ),
    "ReviewRequestConnection": _CONNECTION,
    "ReviewRequest": ("id", "databaseId", "requestedReviewer", "asCodeOwner"),
    "PullRequestReviewConnection": _CONNECTION,
    "PullRequestReview": (
        "id", "databaseId", "fullDatabaseId", "state", "body", "author", "authorAssociation", "commit",
        "createdAt", "submittedAt", "updatedAt", "url",
    ),
    "PullRequestTimelineItemsConnection": (*_CONNECTION, "filteredCount", "pageCount"),
    "ClosedEvent": _EVENT,
    "ReopenedEvent": _EVENT,
    "MergedEvent": (*_EVENT, "commit", "mergeRefName"),
    "ReviewDismissedEvent": (
        *_EVENT, "databaseId", "dismissalMessage", "previousReviewState", "review", "pullRequestCommit",
    ),
    "PullRequestCommit": ("id", "commit"),
    "ReviewRequestedEvent": (*_EVENT, "requestedReviewer"),
    "ReviewRequestRemovedEvent": (*_EVENT, "requestedReviewer"),
    "AutomaticBaseChangeSucceededEvent": (*_EVENT, "newBase", "oldBase"),
    "BaseRefChangedEvent": (*_EVENT, "databaseId", "currentRefName", "previousRefName"),
    "HeadRefForcePushedEvent": (*_EVENT, "afterCommit", "beforeCommit"),
    "HeadRefDeletedEvent": (*_EVENT, "headRefName"),
    "LabeledEvent": (*_EVENT, "label"),
    "Label": ("id", "name", "color"),
    "LabelConnection": _CONNECTION,
    "IssueCommentConnection": _CONNECTION,
    "IssueComment": ("id", "databaseId", "body", "author", "authorAssociation", "createdAt", "updatedAt", "url"),
}  # fmt: skip
"""The types that stay, with the fields that stay."""


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def deleted_forks(schemas: dict[str, Any], _: dict[str, Any]) -> None:
    """Let `head` of a pull request be without repository, user and label, as it is when the fork is deleted."""
    for name in ("pull-request", "pull-request-simple"):
        head = schemas[name]["properties"]["head"]["properties"]
        for key in ("repo", "user", "label"):
            head[key] = _or_null(head[key])


def deleted_people(schemas: dict[str, Any], _: dict[str, Any]) -> None:
    """Let the author of a pull request, and who did what a timeline tells, be null when the account is gone."""
    for schema in schemas.values():
        fields = schema.get("properties", {})
        for key in ("user", "actor"):
            if fields.get(key, {}).get("$ref", "").rpartition("/")[2] in {"simple-user", "user"}:
                fields[key] = _or_null(fields[key])


def bare_descriptions(schemas: dict[str, Any], _: dict[str, Any]) -> None:
    """Let a label be without description, in lists of pull requests as well."""
    label = schemas["pull-request-simple"]["properties"]["labels"]["items"]["properties"]
    label["description"] = {"type": ["string", "null"]}


def empty_addresses(schemas: dict[str, Any], _: dict[str, Any]) -> None:
    """Let an address that nobody gave be empty, as it is beside the status of a deployment."""
    fields = schemas["deployment-status"]["properties"]
    for key in ("target_url", "log_url", "environment_url"):
        fields[key] = {"anyOf": [fields[key], {"const": ""}]}


def bare_labels(_: dict[str, Any], operations: dict[str, Any]) -> None:
    """Take labels as a bare list: the prose allows it and clients send it."""
    body = operations["issues/add-labels"]["body"]
    body["anyOf"] = [*body["anyOf"], {"type": "array", "items": {"type": "string"}}]


REPAIRS = (deleted_forks, deleted_people, bare_descriptions, empty_addresses, bare_labels)
