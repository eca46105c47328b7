"""Merging by real git: whether it goes, by which method, and bringing a branch up to date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tests.github.bare import Bare, Commit, Person
from tests.github.protecting import Actor, unready
from tests.github.pulls import RefusedError, mark_merged, moved
from tests.github.state import Account, Pull, Repo, State

_METHOD_WORDS = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How somebody wants a pull request merged; only exactly at `sha` if that is given."""

    method: str = "merge"
    sha: str | None = None
    title: str | None = None
    message: str | None = None


def known_mergeable(state: State, pull: Pull) -> bool | None:
    """Say whether a pull request merges without conflict; None while GitHub has not found out."""
    repo = state.repos[pull.repo]
    tip = state.bare(repo).tip(pull.base_ref)
    if pull.state != "open" or tip is None:
        return None
    key = (pull.id, pull.head_sha, tip)
    asked = state.mergeability[key] = state.mergeability.get(key, 0) + 1
    if asked <= state.switches.lazy_mergeable:
        return None
    return state.bare(repo).merged_tree(tip, pull.head_sha) is not None


def trial_merge(state: State, pull: Pull) -> str | None:
    """Give the commit that a merge would make, as `refs/pull/N/merge`; None on conflict."""
    repo = state.repos[pull.repo]
    bare = state.bare(repo)
    tip = bare.tip(pull.base_ref)
    tree = None if tip is None else bare.merged_tree(tip, pull.head_sha)
    if tip is None or tree is None:
        return None
    github = _github(pull.created_at)
    message = f"Merge {pull.head_sha} into {tip}"
    made = bare.write(tree, (tip, pull.head_sha), message, author=github, committer=github)
    bare.move(f"refs/pull/{pull.number}/merge", made)
    return made


def merge(state: State, repo: Repo, pull: Pull, who: Actor, wish: Wish) -> Pull:
    """Merge a pull request, or say why not in GitHub's words."""
    bare = state.bare(repo)
    tip = bare.tip(pull.base_ref)
    if pull.state != "open" or tip is None:
        raise RefusedError(405, "Pull Request is not mergeable")
    if pull.draft:
        raise RefusedError(405, "Pull Request is still a draft")
    if wish.method not in repo.methods:
        raise RefusedError(405, f"{_METHOD_WORDS[wish.method]} are not allowed on this repository.")
    if wish.sha is not None and wish.sha != pull.head_sha:
        raise RefusedError(409, "Head branch was modified. Review and try the merge again.")
    tree = bare.merged_tree(tip, pull.head_sha)
    if tree is None:
        raise RefusedError(405, "Pull Request is not mergeable")
    reason = unready(state, repo, pull, who)
    if reason is not None:
        raise RefusedError(405, reason)
    made = _made(state, repo, pull, state.accounts[who.account], wish, tip, tree)
    ref = f"refs/heads/{pull.base_ref}"
    if not bare.move(ref, made, tip):
        raise RefusedError(405, "Base branch was modified. Review and try the merge again.")
    merged = mark_merged(state, pull, who.account, made)
    moved(state, repo, ref, tip, made, who.account, "pr_merge")
    return merged


def _made(state: State, repo: Repo, pull: Pull, who: Account, wish: Wish, tip: str, tree: str) -> str:
    """Make the commits that a method makes, and give the last."""
    bare = state.bare(repo)
    merger = _person(who, state.now)
    github = _github(state.now)
    if wish.method == "rebase":
        return _rebased(bare, tip, pull.head_sha, merger)
    if wish.method == "squash":
        commits = bare.commits(bare.between(tip, pull.head_sha, "--no-merges"))
        subject, text = _squashed(pull, commits)
        title = wish.title or f"{subject} (#{pull.number})"
        message = _message(title, wish.message if wish.message is not None else text)
        author = _person(state.accounts[pull.author], state.now)
        return bare.write(tree, (tip,), message, author=author, committer=github)
    owner = (
        state.accounts[state.repos[pull.head_repo].owner].login
        if pull.head_repo in state.repos
        else "unknown"
    )
    title = wish.title or f"Merge pull request #{pull.number} from {owner}/{pull.head_ref}"
    message = _message(title, wish.message if wish.message is not None else pull.title)
    return bare.write(tree, (tip, pull.head_sha), message, author=merger, committer=github)


def _squashed(pull: Pull, commits: list[Commit]) -> tuple[str, str]:
    """Word a squash as repositories do unless told otherwise: one commit speaks for itself."""
    if len(commits) == 1:
        subject, _, text = commits[0].message.partition("\n")
        return subject, text.strip("\n")
    return pull.title, "\n\n".join(f"* {commit.message}" for commit in commits)


def _message(title: str, body: str | None) -> str:
    return f"{title}\n\n{body}" if body else title


def _rebased(bare: Bare, tip: str, head: str, merger: Person) -> str:
    """Put the commits of a head on top of a tip; merges among them are left out."""
    onto = tip
    for commit in bare.commits(bare.between(tip, head, "--no-merges")):
        onto = _picked(bare, onto, commit, merger)
    return onto


def _picked(bare: Bare, onto: str, commit: Commit, merger: Person) -> str:
    """Do again on top of `onto` what a commit did to its parent."""
    parents = commit.parents[:1]
    # Git merges from the base it finds, so that is what the one side is given as a parent.
    side = bare.write(bare.commit(onto).tree, parents, "side", author=merger, committer=merger)
    tree = bare.merged_tree(side, commit.id)
    if tree is None:
        raise RefusedError(405, "This branch can't be rebased")
    return bare.write(tree, (onto,), commit.message, author=commit.author, committer=merger)


def update_branch(state: State, repo: Repo, pull: Pull, who: Actor, expected: str | None) -> None:
    """Merge the base into the head, as the button under a pull request does."""
    if expected is not None and expected != pull.head_sha:
        raise RefusedError(422, "expected head sha didn’t match current head ref.")
    head_repo = state.repos.get(pull.head_repo)
    if head_repo is None or pull.state != "open":
        raise RefusedError(422, "The pull request cannot be updated.")
    bare = state.bare(head_repo)
    tip = state.bare(repo).tip(pull.base_ref) or pull.base_sha
    if state.bare(repo).contains(pull.head_sha, tip):
        raise RefusedError(422, "There are no new commits on the base branch.")
    if head_repo.id != repo.id:
        bare.fetch(state.bare(repo).path, tip, "refs/pull/base")
    tree = bare.merged_tree(pull.head_sha, tip)
    if tree is None:
        raise RefusedError(422, "merge conflict between base and head")
    person = _person(state.accounts[who.account], state.now)
    message = f"Merge branch '{pull.base_ref}' into {pull.head_ref}"
    made = bare.write(tree, (pull.head_sha, tip), message, author=person, committer=_github(state.now))
    ref = f"refs/heads/{pull.head_ref}"
    if not bare.move(ref, made, pull.head_sha):
        raise RefusedError(422, "expected head sha didn’t match current head ref.")
    moved(state, head_repo, ref, pull.head_sha, made, who.account, "push")


def _person(account: Account, at: datetime) -> Person:
    email = f"{account.id}+{account.login}@users.noreply.github.com"
    return Person(name=account.name or account.login, email=email, at=at)


def _github(at: datetime) -> Person:
    return Person(name="GitHub", email="noreply@github.com", at=at)
