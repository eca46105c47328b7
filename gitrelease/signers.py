"""Who made a commit, as far as git can tell: a claim by e-mail address, or a signature that git verified."""

from __future__ import annotations

from collections.abc import Iterable

from gitrelease.core.names import CommitId
from gitrelease.core.people import Actor, Person
from gitrelease.core.workspace import Signatures, Workspace
from gitrelease.repo import Commit, Repo, Signature, SignatureStatus

_WORTH = {
    SignatureStatus.NONE: "is not signed",
    SignatureStatus.BAD: "has a signature that git does not accept",
    SignatureStatus.UNKNOWN_KEY: "is signed with a key that no member has",
}


def identify(repo: Repo, commits: Iterable[CommitId], workspace: Workspace) -> dict[CommitId, Actor]:
    """Say who made each commit: the member whose address it bears and, where required, who signed it (design 5)."""
    wanted = list(dict.fromkeys(commits))
    read = repo.commits(wanted)
    signatures: dict[CommitId, Signature] = {}
    if workspace.review.signatures is Signatures.REQUIRED:
        signatures = repo.signatures(wanted, workspace.allowed_signers)
    return {commit.id: _actor(commit, workspace, signatures.get(commit.id)) for commit in read}


def _actor(commit: Commit, workspace: Workspace, signature: Signature | None) -> Actor:
    member = workspace.member_with_email(commit.author.email)
    doubt = None
    if signature is not None and signature.status is not SignatureStatus.GOOD:
        doubt = _WORTH[signature.status]
    elif member is None:
        email = commit.author.email
        doubt = f"was made by {email}, which is no member's address" if email else "bears nobody's address"
    elif signature is not None and signature.principal != member.id:
        doubt = f"says it was made by {member.id}, and was signed by {signature.principal}"
    elif (other := workspace.member_with_email(commit.committer.email)) not in {None, member}:
        doubt = f"was written by {member.id} and committed by {other.id if other else commit.committer.email}"
    believed = member if doubt is None else None
    person = Person(
        id=believed.id if believed else None,
        name=commit.author.name,
        email=commit.author.email,
        github_id=believed.github if believed else None,
    )
    return Actor(person=person, member=believed.id if believed else None, doubt=doubt)
