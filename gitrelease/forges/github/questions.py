"""What GitHub is asked in GraphQL: everything about pull requests that one answer can hold."""

from __future__ import annotations

ACTOR = "{ __typename login ... on User { databaseId } ... on Bot { databaseId } }"

_ITEMS = (
    "REVIEW_DISMISSED_EVENT, BASE_REF_CHANGED_EVENT, CLOSED_EVENT, REOPENED_EVENT, HEAD_REF_FORCE_PUSHED_EVENT,"
    " REVIEW_REQUESTED_EVENT, AUTOMATIC_BASE_CHANGE_SUCCEEDED_EVENT"
)

_REVIEWS = f"""{{
  totalCount pageInfo {{ hasNextPage endCursor }}
  nodes {{ fullDatabaseId state submittedAt body commit {{ oid }} author {ACTOR} }}
}}"""

_TIMELINE = f"""{{
  totalCount filteredCount pageInfo {{ hasNextPage endCursor }}
  nodes {{
    __typename
    ... on ReviewDismissedEvent {{
      createdAt previousReviewState dismissalMessage actor {ACTOR} review {{ fullDatabaseId }}
    }}
    ... on BaseRefChangedEvent {{ createdAt }}
    ... on AutomaticBaseChangeSucceededEvent {{ createdAt }}
    ... on ClosedEvent {{ createdAt actor {ACTOR} }}
    ... on ReopenedEvent {{ createdAt }}
    ... on HeadRefForcePushedEvent {{ createdAt }}
    ... on ReviewRequestedEvent {{ createdAt actor {ACTOR} requestedReviewer {{ ... on User {{ databaseId login }} }} }}
  }}
}}"""


def _pull(first: int) -> str:
    return f"""
fragment pull on PullRequest {{
  number url state isDraft isCrossRepository createdAt closedAt mergedAt merged
  baseRefName headRefName headRefOid mergeCommit {{ oid }}
  author {ACTOR} mergedBy {ACTOR}
  reviews(first: {first}) {_REVIEWS}
  timelineItems(first: {first}, itemTypes: [{_ITEMS}]) {_TIMELINE}
}}"""


_OF_REPOSITORY = "repository(owner: $owner, name: $name)"
_PAGED = "totalCount pageInfo { hasNextPage endCursor }"
_NEWEST = "orderBy: {field: CREATED_AT, direction: DESC}"

OF_BRANCH = f"""
query($owner: String!, $name: String!, $branch: String!, $after: String) {{
  {_OF_REPOSITORY} {{
    nameWithOwner
    pullRequests(headRefName: $branch, first: 20, after: $after, {_NEWEST}) {{ {_PAGED} nodes {{ ...pull }} }}
  }}
}}{_pull(100)}"""
"""All pull requests from branches of one name, the newest first."""

ONE = f"""
query($owner: String!, $name: String!, $number: Int!) {{
  {_OF_REPOSITORY} {{ nameWithOwner pullRequest(number: $number) {{ ...pull }} }}
}}{_pull(100)}"""
"""One pull request."""

OPEN = f"""
query($owner: String!, $name: String!, $after: String) {{
  {_OF_REPOSITORY} {{
    nameWithOwner
    pullRequests(states: [OPEN], first: 50, after: $after, {_NEWEST}) {{ {_PAGED} nodes {{ ...pull }} }}
  }}
}}{_pull(50)}"""
"""All open pull requests, fifty in one answer."""

_NAMES = f"{{ {_PAGED} nodes {{ isCrossRepository baseRefName headRefName }} }}"
_ALL_OPEN = f"states: [OPEN], first: 100, {_NEWEST}"
_ALL_CLOSED = "states: [CLOSED], first: 100, orderBy: {field: UPDATED_AT, direction: DESC}"

OPEN_AND_CLOSED = f"""
query($owner: String!, $name: String!) {{
  {_OF_REPOSITORY} {{
    nameWithOwner
    open: pullRequests({_ALL_OPEN}) {_NAMES}
    closed: pullRequests({_ALL_CLOSED}) {_NAMES}
  }}
}}"""
"""The names of what is open, and of what was closed without being merged, the last change first: how both begin."""

MORE_OPEN = f"""
query($owner: String!, $name: String!, $after: String) {{
  {_OF_REPOSITORY} {{ nameWithOwner pullRequests({_ALL_OPEN}, after: $after) {_NAMES} }}
}}"""

MORE_CLOSED = f"""
query($owner: String!, $name: String!, $after: String) {{
  {_OF_REPOSITORY} {{ nameWithOwner pullRequests({_ALL_CLOSED}, after: $after) {_NAMES} }}
}}"""

MORE_REVIEWS = f"""
query($owner: String!, $name: String!, $number: Int!, $after: String) {{
  {_OF_REPOSITORY} {{ pullRequest(number: $number) {{ reviews(first: 100, after: $after) {_REVIEWS} }} }}
}}"""

MORE_TIMELINE = f"""
query($owner: String!, $name: String!, $number: Int!, $after: String) {{
  {_OF_REPOSITORY} {{
    pullRequest(number: $number) {{ timelineItems(first: 100, after: $after, itemTypes: [{_ITEMS}]) {_TIMELINE} }}
  }}
}}"""
