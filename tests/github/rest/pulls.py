"""Operations about pull requests, their reviews and their discussion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.github import merging, pulls, reviews
from tests.github.call import Answer, Call, answers
from tests.github.pulls import RefusedError
from tests.github.state import Comment, Pull, Review, Role

_SAID = "pull_requests=write"
_TALKED = ("issues=write", "pull_requests=write")


@answers("repos/get", "metadata=read")
def repository(call: Call) -> Answer:
    """Show a repository."""
    role = call.caller.role(call.state, call.repo)
    return Answer(body=call.bodies.repository(call.repo, "full-repository", role))


@answers("repos/list-activities", "contents=read")
def activity(call: Call) -> Answer:
    """List moves of branches, newest first, page by page with cursors."""
    query = call.query
    found = [it for it in call.state.activity if it.repo == call.repo.id]
    if "ref" in query:
        ref = query["ref"] if query["ref"].startswith("refs/") else f"refs/heads/{query['ref']}"
        found = [it for it in found if it.ref == ref]
    if "actor" in query:
        account = call.state.find_account(query["actor"])
        found = [it for it in found if account is not None and it.actor == account.id]
    if "activity_type" in query:
        found = [it for it in found if it.kind == query["activity_type"]]
    if "time_period" in query:
        days = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[query["time_period"]]
        found = [it for it in found if (call.state.now - it.at).days < days]
    if query.get("direction", "desc") == "desc":
        found = found[::-1]
    return Answer(body=[call.bodies.activity(it) for it in found], cursors=lambda body: f"act{body['id']}")


# Pull requests.


@answers("pulls/list", "pull_requests=read")
def list_pulls(call: Call) -> Answer:
    """List pull requests."""
    query, found = call.query, call.state.pulls_of(call.repo)
    if (state := query.get("state", "open")) != "all":
        found = [it for it in found if it.state == state]
    if "base" in query:
        found = [it for it in found if it.base_ref == query["base"]]
    if "head" in query and ":" in query["head"]:
        owner, _, branch = query["head"].partition(":")
        found = [it for it in found if it.head_ref == branch and _head_owner(call, it) == owner.casefold()]
    keys: Mapping[str, Any] = {"updated": lambda it: it.updated_at, "created": lambda it: it.created_at}
    sort = query.get("sort", "created")
    found = sorted(found, key=keys.get(sort, keys["created"]))
    if query.get("direction", "desc" if sort == "created" else "asc") == "desc":
        found = found[::-1]
    return Answer(body=[call.bodies.pull(it, whole=False) for it in found])


def _head_owner(call: Call, pull: Pull) -> str:
    repo = call.state.repos.get(pull.head_repo)
    return "" if repo is None else call.state.accounts[repo.owner].login.casefold()


@answers("pulls/create", _SAID)
def create(call: Call) -> Answer:
    """Open a pull request."""
    if call.who == call.state.actions.id and not call.repo.actions_may_approve:
        raise RefusedError(403, "GitHub Actions is not permitted to create or approve pull requests.")
    body = call.body
    if "title" not in body:
        raise RefusedError(422, 'Invalid request.\n\n"title" wasn\'t supplied.')
    offer = pulls.Offer(
        head=body["head"], base=body["base"], title=body["title"], body=body.get("body"),
        draft=body.get("draft", False),
    )  # fmt: skip
    made = pulls.open_pull(call.state, call.repo, call.who, offer)
    return Answer(status=201, body=call.bodies.pull(made, whole=True))


@answers("pulls/get", "pull_requests=read")
def get(call: Call) -> Answer:
    """Show a pull request."""
    return Answer(body=call.bodies.pull(call.pull, whole=True))


@answers("pulls/update", _SAID)
def update(call: Call) -> Answer:
    """Change a pull request: by its author or who may write."""
    pull, body = call.pull, call.body or {}
    if pull.author != call.who and call.caller.role(call.state, call.repo) < Role.TRIAGE:
        raise RefusedError(403, "Must have push access to repository")
    if len(body.get("body") or "") > pulls.BODY_LIMIT:
        words = f"body is too long (maximum is {pulls.BODY_LIMIT} characters)"
        raise pulls.custom("PullRequest", words)
    if "base" in body and body["base"] != pull.base_ref:
        pull = pulls.change_base(call.state, pull, call.who, body["base"])
    texts = {key: body[key] for key in ("title", "body") if key in body}
    if texts:
        pull = call.state.change_pull(pull, **texts)
    if body.get("state") == "closed" and pull.state == "open":
        pull = pulls.close(call.state, pull, call.who)
    if body.get("state") == "open" and pull.state == "closed":
        pull = pulls.reopen(call.state, pull, call.who)
    return Answer(body=call.bodies.pull(pull, whole=True))


@answers("pulls/merge", "contents=write", role=Role.WRITE)
def merge(call: Call) -> Answer:
    """Merge a pull request."""
    body = call.body or {}
    wish = merging.Wish(
        method=body.get("merge_method", "merge"), sha=body.get("sha"), title=body.get("commit_title"),
        message=body.get("commit_message"),
    )  # fmt: skip
    made = merging.merge(call.state, call.repo, call.pull, call.actor, wish)
    said = {"sha": made.merge_commit, "merged": True, "message": "Pull Request successfully merged"}
    return Answer(body=said)


@answers("pulls/check-if-merged", "pull_requests=read")
def is_merged(call: Call) -> Answer:
    """Say with a status alone whether a pull request was merged."""
    if call.pull.merged_at is None:
        raise RefusedError(404, "Not Found")
    return Answer(status=204)


@answers("pulls/update-branch", _SAID, role=Role.WRITE)
def update_branch(call: Call) -> Answer:
    """Bring the base into the head."""
    expected = (call.body or {}).get("expected_head_sha")
    merging.update_branch(call.state, call.repo, call.pull, call.actor, expected)
    url = f"{call.bodies.api(call.repo)}/pulls/{call.pull.number}"
    return Answer(status=202, body={"message": "Updating pull request branch.", "url": url})


# Who is asked.


@answers("pulls/list-requested-reviewers", "pull_requests=read")
def requested(call: Call) -> Answer:
    """List who was asked and has not answered."""
    users = [body for it in call.pull.reviewers if (body := call.bodies.user(it))]
    teams = [call.bodies.team(call.state.teams[it], "team") for it in call.pull.teams]
    return Answer(body={"users": users, "teams": teams})


@answers("pulls/request-reviewers", _SAID)
def request(call: Call) -> Answer:
    """Ask people and teams."""
    _may_ask(call)
    people, teams = call.body.get("reviewers", ()), call.body.get("team_reviewers", ())
    made = reviews.request_reviewers(call.state, call.repo, call.pull, call.who, people, teams)
    return Answer(status=201, body=call.bodies.pull(made, whole=False))


@answers("pulls/remove-requested-reviewers", _SAID)
def request_no_more(call: Call) -> Answer:
    """Ask people and teams no longer."""
    _may_ask(call)
    people, teams = call.body.get("reviewers", ()), call.body.get("team_reviewers", ())
    made = reviews.remove_reviewers(call.state, call.repo, call.pull, call.who, people, teams)
    return Answer(body=call.bodies.pull(made, whole=False))


def _may_ask(call: Call) -> None:
    if call.pull.author != call.who and call.caller.role(call.state, call.repo) < Role.TRIAGE:
        raise RefusedError(403, "Must have push access to repository")


# What is said.


@answers("pulls/list-reviews", "pull_requests=read")
def list_reviews(call: Call) -> Answer:
    """List reviews, oldest first; one that is pending only for its author."""
    found = [it for it in call.state.reviews_of(call.pull) if _visible(call, it)]
    return Answer(body=[call.bodies.review(it) for it in found])


def _visible(call: Call, review: Review) -> bool:
    own = call.caller.account is not None and call.caller.account.id == review.user
    return own or review.state != "PENDING"


def _review(call: Call) -> Review:
    text = call.arguments["review_id"]
    found = call.state.reviews.get(int(text)) if text.isdigit() else None
    if found is None or found.pull != call.pull.id or not _visible(call, found):
        raise RefusedError(404, "Not Found")
    return found


@answers("pulls/get-review", "pull_requests=read")
def get_review(call: Call) -> Answer:
    """Show a review."""
    return Answer(body=call.bodies.review(_review(call)))


@answers("pulls/create-review", _SAID)
def create_review(call: Call) -> Answer:
    """Say what one thinks."""
    body = call.body or {}
    if body.get("comments"):
        raise RefusedError(422, "Comments on lines are not modelled here.")
    made = reviews.give_review(
        call.state,
        call.pull,
        call.who,
        body.get("event"),
        body=body.get("body", ""),
        commit=body.get("commit_id"),
    )
    return Answer(body=call.bodies.review(made))


@answers("pulls/submit-review", _SAID)
def submit_review(call: Call) -> Answer:
    """Submit what was begun."""
    review = _review(call)
    if review.user != call.who:
        raise RefusedError(404, "Not Found")
    made = reviews.submit_review(call.state, call.pull, review, call.body["event"], call.body.get("body"))
    return Answer(body=call.bodies.review(made))


@answers("pulls/dismiss-review", _SAID, role=Role.WRITE)
def dismiss(call: Call) -> Answer:
    """Take somebody's opinion away."""
    made = reviews.dismiss(call.state, call.pull, _review(call), call.who, call.body["message"])
    return Answer(body=call.bodies.review(made))


# The discussion.


@answers("issues/list-events-for-timeline", "issues=read", "pull_requests=read")
def timeline(call: Call) -> Answer:
    """Tell what happened, in order: the commits first, as they are by now."""
    bare = call.state.bare(call.repo)
    commits = bare.commits(bare.between(call.pull.base_sha, call.pull.head_sha))
    told: list[Any] = []
    for commit in commits:
        body = call.bodies.commit(call.repo, commit)
        inner = {
            key: body["commit"][key] for key in ("author", "committer", "message", "tree", "verification")
        }
        names = {key: body[key] for key in ("sha", "node_id", "html_url", "parents")}
        told.append({"event": "committed", "url": body["commit"]["url"], **names, **inner})
    told += [call.bodies.event(it) for it in call.state.events_of(call.pull)]
    return Answer(body=told)


@answers("issues/list-comments", "issues=read", "pull_requests=read")
def list_comments(call: Call) -> Answer:
    """List comments, oldest first."""
    found = [it for it in call.state.comments.values() if it.pull == call.pull.id]
    return Answer(body=[call.bodies.comment(it) for it in found])


@answers("issues/create-comment", *_TALKED)
def create_comment(call: Call) -> Answer:
    """Say something."""
    _short(call.body["body"])
    made = Comment(
        id=call.state.next_id(), pull=call.pull.id, user=call.who, body=call.body["body"],
        created_at=call.state.now, updated_at=call.state.now,
    )  # fmt: skip
    call.state.comments[made.id] = made
    call.state.tell(call.pull, "commented", call.who, comment=made.id)
    return Answer(status=201, body=call.bodies.comment(made))


def _short(text: str) -> None:
    if len(text) > pulls.BODY_LIMIT:
        words = f"body is too long (maximum is {pulls.BODY_LIMIT} characters)"
        raise pulls.custom("IssueComment", words)


@answers("issues/update-comment", *_TALKED)
def update_comment(call: Call) -> Answer:
    """Say it differently: who said it, or who may write."""
    text = call.arguments["comment_id"]
    found = call.state.comments.get(int(text)) if text.isdigit() else None
    if found is None or call.state.pulls[found.pull].repo != call.repo.id:
        raise RefusedError(404, "Not Found")
    if found.user != call.who and call.caller.role(call.state, call.repo) < Role.WRITE:
        raise RefusedError(403, "Must have push access to repository")
    _short(call.body["body"])
    made = replace(found, body=call.body["body"], updated_at=call.state.now)
    call.state.comments[made.id] = made
    return Answer(body=call.bodies.comment(made))


@answers("issues/add-labels", *_TALKED, role=Role.TRIAGE)
def add_labels(call: Call) -> Answer:
    """Put labels on a pull request; ones that do not exist are made."""
    wanted = call.body if isinstance(call.body, list) else (call.body or {}).get("labels", [])
    names = [it if isinstance(it, str) else it["name"] for it in wanted]
    for name in names:
        call.state.labels.setdefault(name, call.state.next_id())
        if name not in call.pull.labels:
            call.state.tell(call.pull, "labeled", call.who, label=name)
    made = call.state.change_pull(call.pull, labels=tuple(dict.fromkeys((*call.pull.labels, *names))))
    return Answer(body=[call.bodies.label(call.repo, name) for name in made.labels])
