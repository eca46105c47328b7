"""What happens to pull requests: people open, change and close them, and pushes move them along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.github.protecting import dismisses_stale
from tests.github.state import NOWHERE, Activity, Pull, Repo, Restamp, State

BODY_LIMIT = 65_536


class RefusedError(Exception):
    """GitHub says no: a status, a sentence, and what was wrong with which field."""

    def __init__(self, status: int, message: str, errors: Sequence[object] = (), **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)
        self.headers = headers


def invalid(resource: str, field: str, code: str = "invalid", message: str | None = None) -> RefusedError:
    """Refuse a field."""
    error = {"resource": resource, "field": field, "code": code}
    return RefusedError(
        422, "Validation Failed", [error if message is None else {**error, "message": message}]
    )


def custom(resource: str, message: str) -> RefusedError:
    """Refuse for a reason that has a sentence of its own."""
    return RefusedError(
        422, "Validation Failed", [{"resource": resource, "code": "custom", "message": message}]
    )


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What somebody wants to open a pull request with; `head` may be `owner:branch`."""

    head: str
    base: str
    title: str
    body: str | None = None
    draft: bool = False


def open_pull(state: State, repo: Repo, author: int, offer: Offer) -> Pull:
    """Open a pull request."""
    head_repo, branch = _head(state, repo, offer.head)
    base_sha = state.bare(repo).tip(offer.base)
    if base_sha is None:
        raise invalid("PullRequest", "base")
    head_sha = state.bare(head_repo).tip(branch)
    if head_sha is None:
        raise invalid("PullRequest", "head")
    if len(offer.body or "") > BODY_LIMIT:
        raise custom("PullRequest", f"body is too long (maximum is {BODY_LIMIT} characters)")
    _unlike_others(state, repo, head_repo, branch, offer.base)
    numbers = [pull.number for pull in state.pulls_of(repo)]
    pull = Pull(
        id=state.next_id(), repo=repo.id, number=max(numbers, default=0) + 1, author=author,
        title=offer.title, body=offer.body, draft=offer.draft,
        head_repo=head_repo.id, head_ref=branch, head_sha=head_sha,
        base_ref=offer.base, base_sha=base_sha, created_at=state.now, updated_at=state.now,
    )  # fmt: skip
    _follow(state, repo, pull)
    if not state.bare(repo).between(base_sha, head_sha):
        state.bare(repo).drop(pull.ref)
        raise custom("PullRequest", f"No commits between {offer.base} and {offer.head}")
    state.pulls[pull.id] = pull
    return pull


def _head(state: State, repo: Repo, head: str) -> tuple[Repo, str]:
    owner, colon, branch = head.rpartition(":")
    if not colon or owner.casefold() == state.accounts[repo.owner].login.casefold():
        return repo, branch
    for fork in state.repos.values():
        if fork.fork_of == repo.id and state.accounts[fork.owner].login.casefold() == owner.casefold():
            return fork, branch
    raise invalid("PullRequest", "head")


def _unlike_others(state: State, repo: Repo, head_repo: Repo, branch: str, base: str) -> None:
    for other in state.pulls_of(repo):
        if (other.state, other.head_repo, other.head_ref, other.base_ref) == (
            "open",
            head_repo.id,
            branch,
            base,
        ):
            owner = state.accounts[head_repo.owner].login
            raise custom("PullRequest", f"A pull request already exists for {owner}:{branch}.")


def _follow(state: State, repo: Repo, pull: Pull) -> None:
    """Let `refs/pull/N/head` name the head, and hold its objects if they come from a fork."""
    bare = state.bare(repo)
    if pull.head_repo != repo.id:
        bare.fetch(state.bare(state.repos[pull.head_repo]).path, pull.head_sha, pull.ref)
    bare.move(pull.ref, pull.head_sha)


def close(state: State, pull: Pull, actor: int) -> Pull:
    """Close a pull request without merging it."""
    changed = state.change_pull(pull, state="closed", closed_at=state.now)
    state.tell(pull, "closed", actor)
    return changed


def reopen(state: State, pull: Pull, actor: int) -> Pull:
    """Open a closed pull request again; its head is where its branch is by now."""
    repo = state.repos[pull.repo]
    head_repo = state.repos.get(pull.head_repo)
    tip = None if head_repo is None else state.bare(head_repo).tip(pull.head_ref)
    if pull.merged_at is not None or head_repo is None or tip is None:
        raise custom("PullRequest", f"state cannot be changed. The {pull.head_ref} branch has been deleted.")
    _unlike_others(state, repo, head_repo, pull.head_ref, pull.base_ref)
    changed = state.change_pull(pull, state="open", closed_at=None, head_sha=tip)
    _follow(state, repo, changed)
    state.tell(pull, "reopened", actor)
    return changed


def change_base(state: State, pull: Pull, actor: int, base: str, *, is_automatic: bool = False) -> Pull:
    """Let a pull request go somewhere else; GitHub does so by itself where its base was merged and deleted.

    The timeline then tells of it otherwise, and not of what it tells of what people do.
    """
    repo = state.repos[pull.repo]
    tip = state.bare(repo).tip(base)
    if tip is None:
        raise invalid("PullRequest", "base")
    _unlike_others(state, repo, state.repos[pull.head_repo], pull.head_ref, base)
    changed = state.change_pull(pull, base_ref=base, base_sha=tip)
    kind = "automatic_base_change_succeeded" if is_automatic else "base_ref_changed"
    state.tell(pull, kind, actor, before=pull.base_ref, after=base)
    return changed


# What pushes and merges do to pull requests.


def moved(state: State, repo: Repo, ref: str, before: str, after: str, actor: int, kind: str = "") -> None:
    """Record that a branch moved, and let the pull requests that hang on it follow."""
    if not ref.startswith("refs/heads/"):
        return
    bare = state.bare(repo)
    forced = NOWHERE not in (before, after) and not bare.contains(after, before)
    plain = "branch_creation" if before == NOWHERE else "branch_deletion" if after == NOWHERE else "push"
    entry = Activity(
        id=state.next_id(), repo=repo.id, ref=ref, before=before, after=after, actor=actor, at=state.now,
        kind=kind or ("force_push" if forced else plain),
    )  # fmt: skip
    state.activity.append(entry)
    branch = ref.removeprefix("refs/heads/")
    for pull in list(state.pulls.values()):
        if pull.state == "open" and (pull.head_repo, pull.head_ref) == (repo.id, branch):
            _head_moved(state, pull, after, actor, forced=forced)
    for pull in list(state.pulls.values()):
        if pull.state == "open" and (pull.repo, pull.base_ref) == (repo.id, branch):
            _base_moved(state, pull, before, after, actor)


def _head_moved(state: State, pull: Pull, after: str, actor: int, *, forced: bool) -> None:
    if after == NOWHERE:
        close(state, pull, actor)
        state.tell(pull, "head_ref_deleted", actor)
        return
    repo = state.repos[pull.repo]
    bare = state.bare(repo)
    base = bare.tip(pull.base_ref) or pull.base_sha
    changed = state.change_pull(pull, head_sha=after, base_sha=base)
    _follow(state, repo, changed)
    if forced:
        state.tell(pull, "head_ref_force_pushed", actor, before=pull.head_sha, after=after)
    same = bare.patch_id(base, pull.head_sha) == bare.patch_id(base, after)
    approvals = [review for review in state.reviews_of(pull) if review.state == "APPROVED"]
    if not same and dismisses_stale(repo, pull.base_ref):
        for review in approvals:
            state.reviews[review.id] = replace(review, state="DISMISSED")
            state.tell(pull, "review_dismissed", actor, review=review.id, before="approved", message=None)
    elif state.switches.restamp is Restamp.ALWAYS or (state.switches.restamp is Restamp.SAME_PATCH and same):
        for review in approvals:
            state.reviews[review.id] = replace(review, commit=after)


def _base_moved(state: State, pull: Pull, before: str, after: str, actor: int) -> None:
    """Mark as merged what the base has come to hold; no rule is asked."""
    if after == NOWHERE:
        close(state, pull, actor)
        return
    bare = state.bare(state.repos[pull.repo])
    if not bare.contains(after, pull.head_sha):
        return
    brought = after
    if before != NOWHERE:
        for commit in bare.between(before, after, "--first-parent"):
            if bare.contains(commit, pull.head_sha):
                brought = commit
                break
    mark_merged(state, pull, actor, brought)


def mark_merged(state: State, pull: Pull, actor: int, commit: str) -> Pull:
    """Write down that a pull request was merged, by whom and as what."""
    changed = state.change_pull(
        pull, state="closed", closed_at=state.now, merged_at=state.now, merged_by=actor, merge_commit=commit
    )
    state.tell(pull, "merged", actor, commit=commit, base=pull.base_ref)
    state.tell(pull, "closed", actor)
    return changed
