"""GraphQL on the stripped official schema: what a record is, field by field, worked out when it is asked for.

A field that stays unmodelled is an error: a silent null would look like an answer.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from tests.github.bodies import Bodies, node, stamp
from tests.github.call import Caller
from tests.github.description import SPEC
from tests.github.limits import Allowance
from tests.github.merging import known_mergeable
from tests.github.protecting import decision, opinions
from tests.github.state import Comment, Event, Kind, Pull, Repo, Review, Role, State, Team

Fields = dict[str, Any]
_MERGEABLE = {True: "MERGEABLE", False: "CONFLICTING", None: "UNKNOWN"}
_ITEM_TYPES = {
    "closed": ("CLOSED_EVENT", "ClosedEvent"),
    "reopened": ("REOPENED_EVENT", "ReopenedEvent"),
    "merged": ("MERGED_EVENT", "MergedEvent"),
    "review_dismissed": ("REVIEW_DISMISSED_EVENT", "ReviewDismissedEvent"),
    "review_requested": ("REVIEW_REQUESTED_EVENT", "ReviewRequestedEvent"),
    "review_request_removed": ("REVIEW_REQUEST_REMOVED_EVENT", "ReviewRequestRemovedEvent"),
    "automatic_base_change_succeeded": (
        "AUTOMATIC_BASE_CHANGE_SUCCEEDED_EVENT",
        "AutomaticBaseChangeSucceededEvent",
    ),
    "base_ref_changed": ("BASE_REF_CHANGED_EVENT", "BaseRefChangedEvent"),
    "head_ref_force_pushed": ("HEAD_REF_FORCE_PUSHED_EVENT", "HeadRefForcePushedEvent"),
    "head_ref_deleted": ("HEAD_REF_DELETED_EVENT", "HeadRefDeletedEvent"),
    "labeled": ("LABELED_EVENT", "LabeledEvent"),
    "reviewed": ("PULL_REQUEST_REVIEW", "PullRequestReview"),
    "commented": ("ISSUE_COMMENT", "IssueComment"),
}


@cache
def schema() -> GraphQLSchema:
    """Read the schema, once."""
    made = build_schema((SPEC / "schema.graphql").read_text(encoding="utf-8"))
    for kind in made.type_map.values():
        if isinstance(kind, GraphQLEnumType):
            _let_new_words_through(kind)
    return made


def _let_new_words_through(kind: GraphQLEnumType) -> None:
    """Answer words that begin with NEW_ as they are: GitHub may have them tomorrow, and tests ask what then."""
    known = kind.coerce_output_value

    def coerce(value: Any) -> Any:
        return value if isinstance(value, str) and value.startswith("NEW_") else known(value)

    setattr(kind, "coerce_output_value", coerce)  # noqa: B010  # it is a method of theirs


def _field(source: Any, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
    """Give a field of a record; one that nobody modelled is an error."""
    if info.field_name not in source:
        raise GraphQLError(f"not modelled: {info.parent_type.name}.{info.field_name}")
    value = source[info.field_name]
    return value(**args) if callable(value) else value


def _refused(kind: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"type": kind})


@dataclass(frozen=True)
class Graph:
    """The records as one caller may see them."""

    state: State
    bodies: Bodies
    caller: Caller
    allowance: Allowance
    problems: list[str]

    def execute(self, asked: Mapping[str, Any]) -> Fields:
        """Answer a query; errors stand beside what could be answered."""
        try:
            document = parse(asked.get("query") or "")
        except GraphQLError as error:
            return {"errors": [_shown(error)]}
        wrong = validate(schema(), document)
        if wrong:
            self.problems.extend(f"GraphQL: {error.message}" for error in wrong)
            return {"errors": [_shown(error) for error in wrong]}
        made = execute_sync(
            schema(), document, self._root(), variable_values=asked.get("variables"), field_resolver=_field,
            operation_name=asked.get("operationName"),
        )  # fmt: skip
        errors = made.errors or []
        self.problems.extend(f"GraphQL: {it}" for it in errors if not (it.extensions or {}).get("type"))
        return {"data": made.data, **({"errors": [_shown(it) for it in errors]} if errors else {})}

    def _root(self) -> Fields:
        left = self.allowance
        ends = stamp(datetime.fromtimestamp(left.reset, UTC))
        rate = {"cost": 1, "limit": left.limit, "nodeCount": 0, "remaining": left.remaining, "resetAt": ends,
                "used": left.used}  # fmt: skip
        return {"repository": self._find, "viewer": self._viewer, "rateLimit": lambda dryRun: rate}  # noqa: N803

    def _viewer(self) -> Fields:
        account = self.caller.account
        assert account is not None
        found = self.actor(account.id)
        assert found is not None
        return {**found, "__typename": "User", "login": account.login, "name": account.name}

    def _find(self, owner: str, name: str, followRenames: bool) -> Fields:  # noqa: N803
        repo = self.state.find_repo(owner, name)
        if repo is None and followRenames:
            repo = self.state.repos.get(self.state.renamed.get(f"{owner}/{name}".casefold(), 0))
        if repo is None or not self._sees(repo):
            words = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise _refused("NOT_FOUND", words)
        return self.repository(repo)

    def _sees(self, repo: Repo) -> bool:
        if not repo.private:
            return True
        role = self.caller.role(self.state, repo)
        return self.caller.reaches(repo) and role >= Role.READ and self.caller.level("metadata") > 0

    # People.

    def actor(self, id_: int | None) -> Fields | None:
        """Show who did something; null when the account is gone. A bot goes by its name alone here."""
        body = self.bodies.user(id_)
        if body is None or id_ is None:
            return None
        account = self.state.accounts[id_]
        login = account.login.removesuffix("[bot]")
        url = body["html_url"]
        made = {
            "__typename": account.kind.value, "id": body["node_id"], "databaseId": id_, "login": login,
            "url": url, "resourcePath": url.removeprefix(self.bodies.site),
            "avatarUrl": lambda size=None: body["avatar_url"],
        }  # fmt: skip
        return made if account.kind is Kind.BOT else {**made, "name": account.name}

    def team(self, team: Team) -> Fields:
        """Show a team."""
        body = self.bodies.team(team)
        org = self.state.accounts[team.org].login
        return {
            "__typename": "Team", "id": body["node_id"], "databaseId": team.id, "name": team.slug,
            "slug": team.slug, "combinedSlug": f"{org}/{team.slug}", "url": body["url"],
            "resourcePath": body["url"].removeprefix(self.bodies.site),
        }  # fmt: skip

    # Repositories and what git holds.

    def repository(self, repo: Repo) -> Fields:
        """Show a repository."""
        role = self.caller.role(self.state, repo)
        return {
            "id": node("R", repo.id), "databaseId": repo.id, "name": repo.name,
            "nameWithOwner": self.state.full_name(repo), "owner": lambda: self.actor(repo.owner),
            "url": self.bodies.page(repo), "isPrivate": repo.private, "isArchived": repo.archived,
            "createdAt": stamp(repo.created_at), "viewerPermission": role.name if role else None,
            "defaultBranchRef": lambda: self._ref(repo, f"refs/heads/{repo.default_branch}"),
            "ref": lambda qualifiedName: self._ref(repo, qualifiedName),  # noqa: N803
            "pullRequest": lambda number: self._pull(repo, number),
            "pullRequests": lambda **args: self._pulls(repo, **args),
        }  # fmt: skip

    def _ref(self, repo: Repo, name: str) -> Fields | None:
        full = name if name.startswith("refs/") else f"refs/heads/{name}"
        found = self.state.bare(repo).refs(full).get(full)
        if found is None:
            return None
        prefix = "/".join(full.split("/")[:2]) + "/"
        target = self.commit(repo, found)
        return {
            "id": node("REF", full),
            "name": full.removeprefix(prefix),
            "prefix": prefix,
            "target": target,
        }

    def commit(self, repo: Repo, id_: str | None) -> Fields | None:
        """Show a commit; what is in it is read when it is asked for."""
        if id_ is None:
            return None
        bare = self.state.bare(repo)
        return {
            "__typename": "Commit", "id": node("C", id_), "oid": id_,
            "message": lambda: bare.commit(id_).message,
            "messageHeadline": lambda: bare.commit(id_).message.partition("\n")[0],
            "committedDate": lambda: stamp(bare.commit(id_).committer.at),
            "authoredDate": lambda: stamp(bare.commit(id_).author.at),
        }  # fmt: skip

    # Pull requests.

    def _readable(self, repo: Repo) -> None:
        if repo.private and self.caller.level("pull_requests") < 1:
            by = "integration" if self.caller.is_bot else "personal access token"
            raise _refused("FORBIDDEN", f"Resource not accessible by {by}")

    def _pull(self, repo: Repo, number: int) -> Fields:
        self._readable(repo)
        found = self.state.find_pull(repo, number)
        if found is None:
            words = f"Could not resolve to a PullRequest with the number of {number}."
            raise _refused("NOT_FOUND", words)
        return self.pull(found)

    def _pulls(self, repo: Repo, **args: Any) -> Fields:
        self._readable(repo)
        found = self.state.pulls_of(repo)
        if args.get("states") is not None:
            found = [it for it in found if _state(it) in args["states"]]
        for name, field in (("headRefName", "head_ref"), ("baseRefName", "base_ref")):
            if args.get(name) is not None:
                found = [it for it in found if getattr(it, field) == args[name]]
        if args.get("labels") is not None:
            found = [it for it in found if set(it.labels) & set(args["labels"])]
        order = args.get("orderBy")
        if order is not None:
            updated = order["field"] == "UPDATED_AT"
            found = sorted(found, key=lambda it: it.updated_at if updated else it.created_at)
            found = found[::-1] if order["direction"] == "DESC" else found
        return self._connection("pullRequests", found, self.pull, args)

    def pull(self, pull: Pull) -> Fields:
        """Show a pull request."""
        repo = self.state.repos[pull.repo]
        head = self.state.repos.get(pull.head_repo)
        asked = [("user", it) for it in pull.reviewers] + [("team", it) for it in pull.teams]
        comments = [it for it in self.state.comments.values() if it.pull == pull.id]
        return {
            "id": node("PR", pull.id), "databaseId": pull.id, "fullDatabaseId": str(pull.id),
            "number": pull.number, "title": pull.title, "body": pull.body or "",
            "url": f"{self.bodies.page(repo)}/pull/{pull.number}", "state": _state(pull), "isDraft": pull.draft,
            "closed": pull.state == "closed", "merged": pull.merged_at is not None,
            "isCrossRepository": pull.head_repo != pull.repo, "createdAt": stamp(pull.created_at),
            "updatedAt": stamp(pull.updated_at), "closedAt": stamp(pull.closed_at),
            "mergedAt": stamp(pull.merged_at), "mergedBy": lambda: self.actor(pull.merged_by),
            "author": lambda: self.actor(pull.author), "baseRefName": pull.base_ref, "baseRefOid": pull.base_sha,
            "authorAssociation": lambda: self.bodies.association(pull.author, repo),
            "headRefName": pull.head_ref, "headRefOid": pull.head_sha,
            "headRepository": lambda: None if head is None else self.repository(head),
            "headRepositoryOwner": lambda: None if head is None else self.actor(head.owner),
            "baseRepository": lambda: self.repository(repo),
            "mergeCommit": lambda: self.commit(repo, pull.merge_commit),
            "mergeable": lambda: _MERGEABLE[known_mergeable(self.state, pull)],
            "reviewDecision": lambda: decision(self.state, repo, pull),
            "reviewRequests": lambda **args: self._connection("reviewRequests", asked, self._request, args),
            "reviews": lambda **args: self._reviews(pull, **args),
            "latestOpinionatedReviews": lambda **args: self._opinions(pull, **args),
            "timelineItems": lambda **args: self._timeline(pull, **args),
            "comments": lambda **args: self._connection("comments", comments, self.comment, args),
            "labels": lambda **args: self._connection("labels", list(pull.labels), self.label, args),
        }  # fmt: skip

    def _request(self, asked: tuple[str, int]) -> Fields:
        kind, id_ = asked
        shown = self.actor(id_) if kind == "user" else self.team(self.state.teams[id_])
        return {"id": node("RR", id_), "databaseId": id_, "requestedReviewer": shown, "asCodeOwner": False}

    def label(self, name: str) -> Fields:
        """Show a label."""
        return {"id": node("LA", self.state.labels[name]), "name": name, "color": "ededed"}

    def _visible(self, review: Review) -> bool:
        own = self.caller.account is not None and self.caller.account.id == review.user
        return own or review.state != "PENDING"

    def _reviews(self, pull: Pull, **args: Any) -> Fields:
        found = [it for it in self.state.reviews_of(pull) if self._visible(it)]
        if args.get("states") is not None:
            found = [it for it in found if it.state in args["states"]]
        if args.get("author") is not None:
            account = self.state.find_account(args["author"])
            found = [it for it in found if account is not None and it.user == account.id]
        return self._connection("reviews", found, self.review, args)

    def _opinions(self, pull: Pull, writersOnly: bool, **args: Any) -> Fields:  # noqa: N803
        repo = self.state.repos[pull.repo]
        found = [it for it in opinions(self.state, pull).values() if it.state != "DISMISSED"]
        if writersOnly:
            found = [it for it in found if self.state.role(it.user, repo) >= Role.WRITE]
        return self._connection("latestOpinionatedReviews", found, self.review, args)

    def review(self, review: Review) -> Fields:
        """Show a review."""
        repo = self.state.repos[self.state.pulls[review.pull].repo]
        body = self.bodies.review(review)
        at = stamp(review.submitted_at)
        return {
            "__typename": "PullRequestReview", "id": body["node_id"], "databaseId": review.id,
            "fullDatabaseId": str(review.id), "state": review.state, "body": review.body,
            "author": lambda: self.actor(review.user), "authorAssociation": body["author_association"],
            "commit": lambda: self.commit(repo, review.commit), "url": body["html_url"],
            "createdAt": at or stamp(self.state.now), "submittedAt": at, "updatedAt": at or stamp(self.state.now),
        }  # fmt: skip

    def comment(self, comment: Comment) -> Fields:
        """Show a comment."""
        body = self.bodies.comment(comment)
        return {
            "__typename": "IssueComment", "id": body["node_id"], "databaseId": comment.id, "body": comment.body,
            "author": lambda: self.actor(comment.user), "authorAssociation": body["author_association"],
            "createdAt": body["created_at"], "updatedAt": body["updated_at"], "url": body["html_url"],
        }  # fmt: skip

    # The timeline.

    def _timeline(self, pull: Pull, **args: Any) -> Fields:
        wanted = args.get("itemTypes")
        repo = self.state.repos[pull.repo]
        rows: list[str | Event] = [it for it in self.state.events_of(pull) if it.kind in _ITEM_TYPES]
        if wanted is None or "PULL_REQUEST_COMMIT" in wanted:
            rows = [*self.state.bare(repo).between(pull.base_sha, pull.head_sha), *rows]
        total = len(rows)
        if wanted is not None:
            rows = [it for it in rows if isinstance(it, str) or _ITEM_TYPES[it.kind][0] in wanted]
        made = self._connection("timelineItems", rows, lambda it: self._item(pull, it), args)
        return {**made, "totalCount": total, "filteredCount": len(rows), "pageCount": len(made["nodes"])}

    def _item(self, pull: Pull, row: str | Event) -> Fields:
        repo = self.state.repos[pull.repo]
        if isinstance(row, str):
            return self._pull_commit(repo, row)
        data = row.data
        if row.kind == "reviewed":
            return self.review(self.state.reviews[data["review"]])
        if row.kind == "commented":
            return self.comment(self.state.comments[data["comment"]])
        made: Fields = {
            "__typename": _ITEM_TYPES[row.kind][1], "id": node("EV", row.id), "databaseId": row.id,
            "createdAt": stamp(row.at), "actor": lambda: self.actor(row.actor),
        }  # fmt: skip
        match row.kind:
            case "merged":
                made |= {"commit": lambda: self.commit(repo, data["commit"]), "mergeRefName": data["base"]}
            case "review_dismissed":
                made |= {
                    "dismissalMessage": data["message"], "previousReviewState": data["before"].upper(),
                    "review": lambda: self.review(self.state.reviews[data["review"]]), "pullRequestCommit": None,
                }  # fmt: skip
            case "review_requested" | "review_request_removed":
                made["requestedReviewer"] = lambda: (
                    self.actor(data["user"]) if "user" in data else self.team(self.state.teams[data["team"]])
                )
            case "base_ref_changed":
                made |= {"previousRefName": data["before"], "currentRefName": data["after"]}
            case "automatic_base_change_succeeded":
                made |= {"oldBase": data["before"], "newBase": data["after"]}
            case "head_ref_force_pushed":
                made |= {
                    "beforeCommit": lambda: self.commit(repo, data["before"]),
                    "afterCommit": lambda: self.commit(repo, data["after"]),
                }
            case "head_ref_deleted":
                made["headRefName"] = pull.head_ref
            case "labeled":
                made["label"] = self.label(data["label"])
        return made

    def _pull_commit(self, repo: Repo, id_: str) -> Fields:
        return {"__typename": "PullRequestCommit", "id": node("PRC", id_), "commit": self.commit(repo, id_)}

    # Pages.

    def _connection(
        self, name: str, rows: Sequence[Any], show: Callable[[Any], Fields], args: Mapping[str, Any]
    ) -> Fields:
        """Cut one page out of many rows; a page is at most 100 and must be asked for."""
        first, last = args.get("first"), args.get("last")
        if first is None and last is None:
            words = (
                f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
            )
            raise _refused("MISSING_PAGINATION_BOUNDARIES", words)
        if max(first or 0, last or 0) > 100:
            asked = f"Requesting {first or last} records on the `{name}` connection"
            words = f"{asked} exceeds the `first` limit of 100 records."
            raise _refused("EXCESSIVE_PAGINATION", words)
        start = 0 if args.get("after") is None else _place(args["after"])
        end = len(rows) if args.get("before") is None else _place(args["before"]) - 1
        if first is not None:
            end = min(end, start + first)
        else:
            start = max(start, end - (last or 0))
        chosen = rows[start:end]
        info = {
            "startCursor": _cursor(start + 1) if chosen else None, "endCursor": _cursor(end) if chosen else None,
            "hasNextPage": end < len(rows), "hasPreviousPage": start > 0,
        }  # fmt: skip
        return {"nodes": [show(row) for row in chosen], "pageInfo": info, "totalCount": len(rows)}


def _state(pull: Pull) -> str:
    return "MERGED" if pull.merged_at is not None else pull.state.upper()


def _cursor(place: int) -> str:
    return base64.b64encode(f"cursor:{place}".encode()).decode()


def _place(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().removeprefix("cursor:"))
    except ValueError:
        raise _refused(
            "INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor."
        ) from None


def _shown(error: GraphQLError) -> Fields:
    """Show an error as GitHub does: its type stands beside its words."""
    made: Fields = {"message": error.message}
    if error.path is not None:
        made["path"] = list(error.path)
    if error.locations is not None:
        made["locations"] = [{"line": it.line, "column": it.column} for it in error.locations]
    if error.extensions:
        made |= error.extensions
    return made
