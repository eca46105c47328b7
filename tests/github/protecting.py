"""What branch protection and rulesets forbid: pushes, and merges that are not ready."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.github.state import Protection, Pull, Repo, Review, Role, Ruleset, State

_ROLE_IDS = {1: Role.READ, 2: Role.MAINTAIN, 3: Role.TRIAGE, 4: Role.WRITE, 5: Role.ADMIN}
_NO_PUSH = "Changes must be made through a pull request."
OPINIONS = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who wants something, what they may do here, and by which App or key they do it."""

    account: int
    role: Role
    app: int | None = None
    deploy_key: bool = False


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """Read a pattern of GitHub's: `*` stays within a part of the name, `**` does not."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile(re.sub(r"\*\*/|\*\*|\*|\?|.", lambda it: words.get(it[0], re.escape(it[0])), glob))


def matches(ruleset: Ruleset, repo: Repo, ref: str) -> bool:
    """Say whether a ruleset is about a ref."""
    if ruleset.enforcement != "active" or not ref.startswith(
        {"branch": "refs/heads/", "tag": "refs/tags/"}.get(ruleset.target, "?")
    ):
        return False
    for wanted in ruleset.include:
        if wanted == "~ALL" or (wanted == "~DEFAULT_BRANCH" and ref == f"refs/heads/{repo.default_branch}"):
            return True
        if _pattern(wanted).fullmatch(ref):
            return True
    return False


def rules(repo: Repo, ref: str) -> Iterator[tuple[Ruleset, Mapping[str, Any]]]:
    """Give the active rules for a ref, each with the set that it is from."""
    for ruleset in repo.rulesets:
        if matches(ruleset, repo, ref):
            for rule in ruleset.rules:
                yield ruleset, rule


def bypasses(state: State, ruleset: Ruleset, who: Actor, *, pull_request: bool) -> bool:
    """Say whether somebody stands on the bypass list of a ruleset."""
    for entry in ruleset.bypass:
        if entry.get("bypass_mode", "always") == "pull_request" and not pull_request:
            continue
        id_ = entry.get("actor_id")
        kind = entry["actor_type"]
        if (
            (kind == "DeployKey" and who.deploy_key)
            or (kind == "Integration" and who.app is not None and who.app == id_)
            or (kind == "User" and who.account == id_)
            or (kind == "RepositoryRole" and id_ in _ROLE_IDS and who.role >= _ROLE_IDS[id_])
            or (kind == "Team" and id_ in state.teams and who.account in state.teams[id_].members)
            or (kind == "OrganizationAdmin" and who.role is Role.ADMIN)
        ):
            return True
    return False


def push_rules(state: State, repo: Repo, who: Actor, refs: list[str]) -> str:
    """Write down for the hook what this person may not do to these refs."""
    lines = []
    for ref in refs:
        lines += [
            f"{ref}\t{code}\t{actions}\t{why}" for code, actions, why in _refusals(state, repo, who, ref)
        ]
    return "\n".join(lines)


def _refusals(state: State, repo: Repo, who: Actor, ref: str) -> Iterator[tuple[str, str, str]]:
    protection = (
        repo.protections.get(ref.removeprefix("refs/heads/")) if ref.startswith("refs/heads/") else None
    )
    if protection is not None:
        yield from _classic(state, protection, who)
    for ruleset, rule in rules(repo, ref):
        if bypasses(state, ruleset, who, pull_request=False):
            continue
        match rule["type"]:
            case "creation":
                yield "GH013", "creation", "Cannot create ref due to creations being restricted."
            case "update":
                yield "GH013", "update,rewind", "Cannot update this protected ref."
            case "deletion":
                yield "GH013", "deletion", "Cannot delete this protected ref."
            case "non_fast_forward":
                yield "GH013", "rewind", "Cannot force-push to this branch"
            case "pull_request":
                yield "GH013", "update,rewind", _NO_PUSH
            case "merge_queue":
                yield "GH013", "update,rewind", "Changes must be made through the merge queue"
            case "required_status_checks":
                for check in rule["parameters"]["required_status_checks"]:
                    yield "GH013", "update,rewind", f'Required status check "{check["context"]}" is expected.'


def _classic(state: State, protection: Protection, who: Actor) -> Iterator[tuple[str, str, str]]:
    login = state.accounts[who.account].login
    if protection.pushers is not None and login not in protection.pushers:
        yield "GH006", "creation,update,rewind", "You're not authorized to push to this branch."
    if not protection.force_pushes:
        yield "GH006", "rewind", "Cannot force-push to this branch"
    if not protection.deletions:
        yield "GH006", "deletion", "Cannot delete this branch"
    if who.role is Role.ADMIN and not protection.enforce_admins:
        return
    if protection.pull_request:
        yield "GH006", "update,rewind", _NO_PUSH
    for check in protection.checks:
        yield "GH006", "update,rewind", f'Required status check "{check}" is expected.'


def opinions(state: State, pull: Pull) -> dict[int, Review]:
    """Give what each person thinks: the latest review that says yes, no, or no longer."""
    found: dict[int, Review] = {}
    for review in state.reviews_of(pull):
        if review.state in OPINIONS:
            found[review.user] = review
    return found


def demands(state: State, repo: Repo, pull: Pull, who: Actor | None) -> tuple[int, list[str], bool]:
    """Give what the rules want of a pull request: approvals, checks, and whether a queue does the merging."""
    needed, queue = 0, False
    checks: list[str] = []
    protection = repo.protections.get(pull.base_ref)
    if protection and (who is None or who.role is not Role.ADMIN or protection.enforce_admins):
        needed = protection.approvals if protection.pull_request else 0
        checks += protection.checks
    for ruleset, rule in rules(repo, f"refs/heads/{pull.base_ref}"):
        if who is not None and bypasses(state, ruleset, who, pull_request=True):
            continue
        queue = queue or rule["type"] == "merge_queue"
        if rule["type"] == "pull_request":
            needed = max(needed, rule["parameters"]["required_approving_review_count"])
        if rule["type"] == "required_status_checks":
            checks += [it["context"] for it in rule["parameters"]["required_status_checks"]]
    return needed, checks, queue


def wants_another(state: State, repo: Repo, pull: Pull) -> bool:
    """Say whether somebody else than who pushed last must have said yes."""
    protection = repo.protections.get(pull.base_ref)
    return bool(protection and protection.last_push) or any(
        rule["type"] == "pull_request" and rule["parameters"]["require_last_push_approval"]
        for _, rule in rules(repo, f"refs/heads/{pull.base_ref}")
    )


def _last_pusher(state: State, pull: Pull) -> int | None:
    ref = f"refs/heads/{pull.head_ref}"
    moves = [it.actor for it in state.activity if (it.repo, it.ref) == (pull.head_repo, ref)]
    return moves[-1] if moves else None


def decision(state: State, repo: Repo, pull: Pull, who: Actor | None = None) -> str | None:
    """Say how the reviews that count stand, as far as the rules want any."""
    needed, _, _ = demands(state, repo, pull, who)
    writers = [it for it in opinions(state, pull).values() if state.role(it.user, repo) >= Role.WRITE]
    if not needed:
        return None
    if wants_another(state, repo, pull):
        writers = [it for it in writers if it.user != _last_pusher(state, pull) or it.state != "APPROVED"]
    if any(it.state == "CHANGES_REQUESTED" for it in writers):
        return "CHANGES_REQUESTED"
    return "APPROVED" if sum(it.state == "APPROVED" for it in writers) >= needed else "REVIEW_REQUIRED"


def unready(state: State, repo: Repo, pull: Pull, who: Actor) -> str | None:
    """Say why the rules do not let a pull request be merged; None when they do."""
    needed, checks, queue = demands(state, repo, pull, who)
    if queue:
        return "Changes must be made through the merge queue"
    standing = decision(state, repo, pull, who)
    if standing == "CHANGES_REQUESTED":
        return "Changes have been requested."
    if standing == "REVIEW_REQUIRED":
        review = "review is" if needed == 1 else "reviews are"
        return f"At least {needed} approving {review} required by reviewers with write access."
    for check in checks:
        said = [it.state for it in state.statuses if (it.sha, it.context) == (pull.head_sha, check)]
        if not said or said[-1] != "success":
            return f'Required status check "{check}" is expected.'
    return None


def dismisses_stale(repo: Repo, branch: str) -> bool:
    """Say whether new pushes take approvals back."""
    protection = repo.protections.get(branch)
    return bool(protection and protection.dismiss_stale) or any(
        rule["type"] == "pull_request" and rule["parameters"]["dismiss_stale_reviews_on_push"]
        for _, rule in rules(repo, f"refs/heads/{branch}")
    )
