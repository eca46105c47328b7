"""How records look over REST: accounts, repositories, pull requests and what hangs on them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.github.bare import Commit, Person
from tests.github.description import fill
from tests.github.merging import known_mergeable, trial_merge
from tests.github.state import Account, Activity, Comment, Event, Kind, Pull, Repo, Review, Role, State, Team

Body = dict[str, Any]

BORN = datetime(2020, 1, 1, tzinfo=UTC)
"""When accounts, teams and Apps were made."""


def stamp(at: datetime | None) -> str | None:
    """Write a time as GitHub does: in UTC, to the second."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%SZ")


def node(kind: str, id_: object) -> str:
    """Make the id under which GraphQL knows a thing."""
    return f"{kind}_{base64.urlsafe_b64encode(str(id_).encode()).decode().rstrip('=')}"


@dataclass(frozen=True)
class Bodies:
    """Answers about the records of a state, with addresses below the server's own."""

    state: State
    site: str

    # People.

    def user(self, id_: int | None, schema: str = "simple-user", **more: Any) -> Body | None:
        """Show an account; null when there is none any more."""
        account = None if id_ is None else self.state.accounts[id_]
        if account is None or account.deleted:
            return None
        name = account.login.replace("[", "%5B").replace("]", "%5D")
        url = f"{self.site}/users/{name}"
        bot = account.kind is Kind.BOT
        page = (
            f"{self.site}/apps/{account.login.partition('[')[0]}" if bot else f"{self.site}/{account.login}"
        )
        return fill(
            schema,
            {
                "login": account.login, "id": account.id, "node_id": node("U", account.id), "url": url,
                "avatar_url": f"{self.site}/avatars/{account.id}", "gravatar_id": "",
                "html_url": page, "type": account.kind.value, "site_admin": False, "user_view_type": "public", **more,
            },
        )  # fmt: skip

    def profile(self, account: Account, *, own: bool) -> Body | None:
        """Show an account in full."""
        told = {"name": account.name, "email": account.email, "created_at": stamp(BORN)}
        more = {**told, "updated_at": stamp(BORN)}
        if own:
            return self.user(account.id, "private-user", **{**more, "user_view_type": "private"})
        return self.user(account.id, "public-user", **more)

    def team(self, team: Team, schema: str = "team-simple", **more: Any) -> Body:
        """Show a team."""
        org = self.state.accounts[team.org].login
        url = f"{self.site}/orgs/{org}/teams/{team.slug}"
        return fill(
            schema,
            {
                "id": team.id, "node_id": node("T", team.id), "url": url, "name": team.slug, "slug": team.slug,
                "members_url": f"{url}/members{{/member}}", "html_url": url, "description": None,
                "permission": "pull", "type": "organization", "organization_id": team.org, **more,
            },
        )  # fmt: skip

    def association(self, user: int, repo: Repo) -> str:
        """Say how somebody stands to a repository, as far as GitHub tells it beside what they wrote."""
        if user == repo.owner:
            return "OWNER"
        member = any(user in team.members for team in self.state.teams.values() if team.org == repo.owner)
        if member:
            return "MEMBER"
        return "COLLABORATOR" if repo.roles.get(user, Role.NONE) > Role.NONE else "NONE"

    # Repositories and what git holds.

    def api(self, repo: Repo) -> str:
        """Give the address of a repository in the API."""
        return f"{self.site}/repos/{self.state.full_name(repo)}"

    def page(self, repo: Repo) -> str:
        """Give the address of a repository for people."""
        return f"{self.site}/{self.state.full_name(repo)}"

    def repository(self, repo: Repo, schema: str = "repository", role: Role = Role.READ) -> Body:
        """Show a repository."""
        page = self.page(repo)
        may = {"pull": Role.READ, "triage": Role.TRIAGE, "push": Role.WRITE, "maintain": Role.MAINTAIN,
               "admin": Role.ADMIN}  # fmt: skip
        fields = {
            "id": repo.id, "node_id": node("R", repo.id), "name": repo.name, "url": self.api(repo),
            "full_name": self.state.full_name(repo), "owner": self.user(repo.owner), "private": repo.private,
            "html_url": page, "clone_url": f"{page}.git", "git_url": f"git:{page}.git", "svn_url": page,
            "ssh_url": f"git@loopback:{self.state.full_name(repo)}.git", "homepage": None,
            "fork": repo.fork_of is not None, "default_branch": repo.default_branch,
            "archived": repo.archived, "visibility": "private" if repo.private else "public",
            "created_at": stamp(repo.created_at), "updated_at": stamp(repo.created_at),
            "pushed_at": stamp(repo.created_at), "has_issues": True, "has_downloads": True, "has_pages": False,
            "permissions": {name: role >= least for name, least in may.items()},
        }  # fmt: skip
        if schema == "full-repository":
            fields |= {f"allow_{name}": method in repo.methods for name, method in
                       (("merge_commit", "merge"), ("squash_merge", "squash"), ("rebase_merge", "rebase"))}  # fmt: skip
        if schema == "minimal-repository":
            for name in ("clone_url", "ssh_url", "git_url"):
                fields.setdefault(name, page)
        return fill(schema, fields)

    def commit(self, repo: Repo, commit: Commit) -> Body:
        """Show a commit; no account stands beside its names."""
        url = f"{self.api(repo)}/git/commits/{commit.id}"
        return {
            "sha": commit.id, "node_id": node("C", commit.id), "url": f"{self.api(repo)}/commits/{commit.id}",
            "html_url": f"{self.page(repo)}/commit/{commit.id}",
            "comments_url": f"{self.api(repo)}/commits/{commit.id}/comments",
            "commit": {
                "url": url, "author": self.person(commit.author), "committer": self.person(commit.committer),
                "message": commit.message, "comment_count": 0,
                "tree": {"sha": commit.tree, "url": f"{self.api(repo)}/git/trees/{commit.tree}"},
                "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None,
                                 "verified_at": None},
            },
            "author": None, "committer": None, "parents": self.parents(repo, commit),
        }  # fmt: skip

    def person(self, person: Person) -> Body:
        """Show whose name stands in a commit."""
        return {"name": person.name, "email": person.email, "date": stamp(person.at)}

    def parents(self, repo: Repo, commit: Commit) -> list[Body]:
        """Show the parents of a commit."""
        api, page = self.api(repo), self.page(repo)
        return [
            {"sha": it, "url": f"{api}/commits/{it}", "html_url": f"{page}/commit/{it}"}
            for it in commit.parents
        ]

    def activity(self, entry: Activity) -> Body:
        """Show one move of a branch."""
        return {
            "id": entry.id, "node_id": node("PSH", entry.id), "before": entry.before, "after": entry.after,
            "ref": entry.ref, "timestamp": stamp(entry.at), "activity_type": entry.kind,
            "actor": self.user(entry.actor),
        }  # fmt: skip

    # Pull requests.

    def pull(self, pull: Pull, *, whole: bool) -> Body:
        """Show a pull request, as in a list or whole."""
        repo = self.state.repos[pull.repo]
        url, page = f"{self.api(repo)}/pulls/{pull.number}", f"{self.page(repo)}/pull/{pull.number}"
        issue = f"{self.api(repo)}/issues/{pull.number}"
        mergeable = known_mergeable(self.state, pull) if whole else None
        trial = pull.merge_commit
        if mergeable:
            trial = trial_merge(self.state, pull)
        links = {
            "self": url, "html": page, "issue": issue, "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments", "review_comment": f"{self.api(repo)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits", "statuses": f"{self.api(repo)}/statuses/{pull.head_sha}",
        }  # fmt: skip
        team = "team-simple" if whole else "team"
        teams = (self.state.teams[it] for it in pull.teams)
        asked = (self.user(it) for it in pull.reviewers)
        fields: Body = {
            "url": url, "id": pull.id, "node_id": node("PR", pull.id), "html_url": page,
            "diff_url": f"{page}.diff", "patch_url": f"{page}.patch", "issue_url": issue,
            "number": pull.number, "state": pull.state, "locked": False, "title": pull.title, "body": pull.body,
            "user": self.user(pull.author), "draft": pull.draft,
            "created_at": stamp(pull.created_at), "updated_at": stamp(pull.updated_at),
            "closed_at": stamp(pull.closed_at), "merged_at": stamp(pull.merged_at), "merge_commit_sha": trial,
            "assignee": None, "assignees": [], "labels": [self.label(repo, it) for it in pull.labels],
            "requested_reviewers": [it for it in asked if it], "milestone": None,
            "requested_teams": [self.team(it, team) for it in teams],
            "head": self._head(pull), "base": self._base(repo, pull), "auto_merge": None,
            "comments_url": links["comments"], "statuses_url": links["statuses"],
            "author_association": self.association(pull.author, repo),
            "_links": {name: {"href": href} for name, href in links.items()},
        }  # fmt: skip
        if not whole:
            return fill("pull-request-simple", fields)
        bare = self.state.bare(repo)
        base = bare.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        changes = bare.changes(base, pull.head_sha)
        known = {True: "clean", False: "dirty", None: "unknown"}
        fields |= {
            "merged": pull.merged_at is not None, "mergeable": mergeable, "rebaseable": mergeable,
            "mergeable_state": known[mergeable], "merged_by": self.user(pull.merged_by),
            "comments": sum(it.pull == pull.id for it in self.state.comments.values()),
            "commits": len(bare.between(base, pull.head_sha)), "changed_files": len(changes),
            "additions": sum(it[1] for it in changes), "deletions": sum(it[2] for it in changes),
            "maintainer_can_modify": False,
        }  # fmt: skip
        return fill("pull-request", fields)

    def _head(self, pull: Pull) -> Body:
        head = self.state.repos.get(pull.head_repo)
        if head is None:
            return {"label": None, "ref": pull.head_ref, "sha": pull.head_sha, "user": None, "repo": None}
        return self._end(head, pull.head_ref, pull.head_sha)

    def _base(self, repo: Repo, pull: Pull) -> Body:
        return self._end(repo, pull.base_ref, pull.base_sha)

    def _end(self, repo: Repo, ref: str, sha: str) -> Body:
        owner = self.state.accounts[repo.owner].login
        return {
            "label": f"{owner}:{ref}", "ref": ref, "sha": sha, "user": self.user(repo.owner),
            "repo": self.repository(repo),
        }  # fmt: skip

    def label(self, repo: Repo, name: str) -> Body:
        """Show a label."""
        id_ = self.state.labels[name]
        return {
            "id": id_, "node_id": node("LA", id_), "url": f"{self.api(repo)}/labels/{id_}", "name": name,
            "description": None, "color": "ededed", "default": False,
        }  # fmt: skip

    def review(self, review: Review) -> Body:
        """Show a review; one that is pending has no time."""
        pull = self.state.pulls[review.pull]
        repo = self.state.repos[pull.repo]
        page = f"{self.page(repo)}/pull/{pull.number}#pullrequestreview-{review.id}"
        url = f"{self.api(repo)}/pulls/{pull.number}"
        told = {} if review.submitted_at is None else {"submitted_at": stamp(review.submitted_at)}
        return {
            "id": review.id, "node_id": node("PRR", review.id), "user": self.user(review.user),
            "body": review.body, "state": review.state, "html_url": page, "pull_request_url": url,
            "author_association": self.association(review.user, repo),
            "_links": {"html": {"href": page}, "pull_request": {"href": url}}, "commit_id": review.commit, **told,
        }  # fmt: skip

    def comment(self, comment: Comment) -> Body:
        """Show a comment."""
        pull = self.state.pulls[comment.pull]
        repo = self.state.repos[pull.repo]
        return {
            "id": comment.id, "node_id": node("IC", comment.id), "body": comment.body,
            "url": f"{self.api(repo)}/issues/comments/{comment.id}",
            "html_url": f"{self.page(repo)}/pull/{pull.number}#issuecomment-{comment.id}",
            "issue_url": f"{self.api(repo)}/issues/{pull.number}", "user": self.user(comment.user),
            "created_at": stamp(comment.created_at), "updated_at": stamp(comment.updated_at),
            "author_association": self.association(comment.user, repo), "performed_via_github_app": None,
        }  # fmt: skip

    def event(self, event: Event) -> Body:
        """Show what a timeline tells; a review and a comment tell of themselves."""
        pull = self.state.pulls[event.pull]
        repo = self.state.repos[pull.repo]
        data: Mapping[str, Any] = event.data
        if event.kind == "reviewed":
            return {"event": "reviewed", **self.review(self.state.reviews[data["review"]])}
        if event.kind == "commented":
            comment = self.state.comments[data["comment"]]
            return {"event": "commented", "actor": self.user(comment.user), **self.comment(comment)}
        commit = data.get("commit")
        made: Body = {
            "id": event.id, "node_id": node("EV", event.id), "url": f"{self.api(repo)}/issues/events/{event.id}",
            "actor": self.user(event.actor), "event": event.kind, "created_at": stamp(event.at),
            "commit_id": commit, "commit_url": commit and f"{self.api(repo)}/commits/{commit}",
            "performed_via_github_app": None,
        }  # fmt: skip
        match event.kind:
            case "review_requested" | "review_request_removed":
                made["review_requester"] = self.user(event.actor)
                if "user" in data:
                    made["requested_reviewer"] = self.user(data["user"])
                else:
                    made["requested_team"] = self.team(self.state.teams[data["team"]], "team")
            case "review_dismissed":
                told = {
                    "state": data["before"],
                    "review_id": data["review"],
                    "dismissal_message": data["message"],
                }
                made["dismissed_review"] = told
            case "labeled":
                made["label"] = {"name": data["label"], "color": "ededed"}
        return made
