"""What people say about pull requests, and who is asked to say something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.github.pulls import RefusedError
from tests.github.state import Kind, Pull, Repo, Review, Role, State

_BECOMES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


def give_review(
    state: State, pull: Pull, who: int, event: str | None, *, body: str = "", commit: str | None = None
) -> Review:
    """Begin a review, and submit it at once if an event says as what."""
    if any(it.user == who and it.state == "PENDING" for it in state.reviews_of(pull)):
        raise RefusedError(
            422, "Unprocessable Entity", ["User can only have one pending review per pull request"]
        )
    _allowed(state, pull, who, event, body)
    bare = state.bare(state.repos[pull.repo])
    given_to = commit or pull.head_sha
    if commit and not (bare.resolve(commit) and bare.contains(pull.head_sha, commit)):
        raise RefusedError(422, "Unprocessable Entity", ["commit_id is not part of the pull request"])
    review = Review(
        id=state.next_id(), pull=pull.id, user=who, body=body, commit=given_to, given_to=given_to,
        state="PENDING", submitted_at=None,
    )  # fmt: skip
    state.reviews[review.id] = review
    return review if event is None else _submitted(state, pull, review, event)


def submit_review(state: State, pull: Pull, review: Review, event: str, body: str | None) -> Review:
    """Submit a review that was begun before."""
    if review.state != "PENDING":
        raise RefusedError(422, "Unprocessable Entity", ["Can not submit a review that is not pending"])
    text = review.body if body is None else body
    _allowed(state, pull, review.user, event, text)
    return _submitted(state, pull, replace(review, body=text), event)


def _allowed(state: State, pull: Pull, who: int, event: str | None, body: str) -> None:
    if event in {"APPROVE", "REQUEST_CHANGES"} and who == pull.author:
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise RefusedError(422, "Unprocessable Entity", [f"Can not {verb} your own pull request"])
    may_approve = state.repos[pull.repo].actions_may_approve
    if event == "APPROVE" and who == state.actions.id and not may_approve:
        words = "GitHub Actions is not permitted to approve pull requests."
        raise RefusedError(422, "Unprocessable Entity", [words])
    if event in {"REQUEST_CHANGES", "COMMENT"} and not body:
        raise RefusedError(422, "Unprocessable Entity", ["Review body is required for this event"])


def _submitted(state: State, pull: Pull, review: Review, event: str) -> Review:
    made = replace(review, state=_BECOMES[event], submitted_at=state.now)
    # What is submitted stands last, whenever it was begun.
    state.reviews.pop(review.id)
    state.reviews[review.id] = made
    left = tuple(it for it in state.pulls[pull.id].reviewers if it != review.user)
    state.change_pull(pull, reviewers=left)
    state.tell(pull, "reviewed", review.user, review=review.id)
    return made


def dismiss(state: State, pull: Pull, review: Review, who: int, message: str) -> Review:
    """Take somebody's yes or no away."""
    if review.state not in {"APPROVED", "CHANGES_REQUESTED"}:
        raise RefusedError(422, "Unprocessable Entity", ["Can not dismiss a review of this state"])
    before = review.state.lower()
    made = state.reviews[review.id] = replace(review, state="DISMISSED")
    state.tell(pull, "review_dismissed", who, review=review.id, before=before, message=message)
    return made


def request_reviewers(
    state: State, repo: Repo, pull: Pull, who: int, logins: Iterable[str], slugs: Iterable[str]
) -> Pull:
    """Ask people and teams, all of them or none."""
    name = state.full_name(repo)
    outside = RefusedError(
        422,
        "Reviews may only be requested from collaborators. One or more of the users or teams you specified "
        f"is not a collaborator of the {name} repository.",
    )
    users, teams = list(pull.reviewers), list(pull.teams)
    for login in logins:
        account = state.find_account(login)
        if account is None or account.kind is not Kind.USER or state.role(account.id, repo) < Role.READ:
            raise outside
        if not _collaborates(state, repo, account.id):
            raise outside
        if account.id == pull.author:
            raise RefusedError(422, "Review cannot be requested from pull request author.")
        users.append(account.id)
    for slug in slugs:
        found = [it for it in state.teams.values() if it.slug == slug and it.org == repo.owner]
        if not found or found[0].id not in repo.team_roles:
            raise outside
        teams.append(found[0].id)
    most = state.switches.most_reviewers
    if len(set(users)) + len(set(teams)) > most:
        raise RefusedError(422, f"Could not request reviewers: at most {most} reviewers can be requested.")
    for user in dict.fromkeys(users):
        if user not in pull.reviewers:
            state.tell(pull, "review_requested", who, user=user)
    for team in dict.fromkeys(teams):
        if team not in pull.teams:
            state.tell(pull, "review_requested", who, team=team)
    return state.change_pull(pull, reviewers=tuple(dict.fromkeys(users)), teams=tuple(dict.fromkeys(teams)))


def _collaborates(state: State, repo: Repo, account: int) -> bool:
    """Say whether somebody was given a role; that everybody can read a public repository is none."""
    return state.role(account, replace(repo, private=True)) >= Role.READ


def remove_reviewers(
    state: State, repo: Repo, pull: Pull, who: int, logins: Iterable[str], slugs: Iterable[str]
) -> Pull:
    """Ask people and teams no longer; those who were not asked do not matter."""
    gone = {account.id for login in logins if (account := state.find_account(login))}
    lost = {team.id for team in state.teams.values() if team.slug in set(slugs) and team.org == repo.owner}
    for user in gone & set(pull.reviewers):
        state.tell(pull, "review_request_removed", who, user=user)
    for team in lost & set(pull.teams):
        state.tell(pull, "review_request_removed", who, team=team)
    return state.change_pull(
        pull,
        reviewers=tuple(it for it in pull.reviewers if it not in gone),
        teams=tuple(it for it in pull.teams if it not in lost),
    )
