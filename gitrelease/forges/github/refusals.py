"""What GitHub says no to, and how a refusal of its own reads to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gitrelease.errors import CredentialsError, GitReleaseError, NotFound, RaceLost, Refused
from gitrelease.forges.github.values import rows, text
from gitrelease.repo import plain

_LONGEST = 600
_NEEDED = "x-accepted-github-permissions"
_SSO = "x-github-sso"


class RateLimited(GitReleaseError):
    """GitHub wants no more requests for a while. What was done stays; the same command does the rest."""

    code = "rate-limited"
    is_away = True

    def __init__(self, until: datetime) -> None:
        super().__init__(
            f"rate limited, come back at {until:%H:%M:%S}Z",
            hint="run the same command again then; it goes on from where it stopped",
        )
        self.until = until


class GitHubUnavailable(GitReleaseError):
    """GitHub did not answer, or answered that it cannot."""

    code = "github-unavailable"
    is_away = True


class Unsettled(GitHubUnavailable):
    """A request that changes something was sent, and its answer was lost: it may have been carried out."""


class NoCredentials(CredentialsError):
    """There is nothing that GitHub would know somebody by."""


class RepositoryRenamed(Refused):
    """The repository is found under another name by now; nothing is written on somebody's word for it."""

    code = "repository-renamed"


class Unreadable(GitReleaseError):
    """GitHub's answer lacks what it must have, so nothing can be concluded from it."""

    code = "github-unreadable"


class HeadMoved(RaceLost):
    """The branch of a package is not what was looked at any more."""


class GitHubSaid(Refused):
    """GitHub refused a request, in words of its own."""

    code = "github-refused"

    def __init__(self, doing: str, status: int, words: str) -> None:
        super().__init__(f"GitHub refused to {doing} ({status}): {words}")
        self.status = status
        self.words = words

    def says(self, *parts: str) -> bool:
        """Whether its words have one of these in them, in any case."""
        folded = self.words.casefold()
        return any(part.casefold() in folded for part in parts)


def words_of(body: object) -> str:
    """Give what an answer says to people: its message, and what was wrong with which field."""
    parts = [text(body, "message")]
    for error in rows(body, "errors"):
        if isinstance(error, str):
            parts.append(error)
            continue
        said = text(error, "message") or " ".join(
            part for part in (text(error, "resource"), text(error, "field"), text(error, "code")) if part
        )
        parts.append(said)
    said = plain(": ".join(part for part in parts if part))[:_LONGEST]
    return said or "it did not say why"


def refusal_of(
    doing: str, status: int, headers: Mapping[str, str], body: object, *, slug: str
) -> GitReleaseError:
    """Turn an answer that is a refusal into an error of ours."""
    words = words_of(body)
    if status == 401:
        return CredentialsError(
            f"GitHub does not accept the token: {words}",
            hint="it may have ended or been revoked; set GITHUB_TOKEN to one that may use this repository",
        )
    if status == 403 and "archived" in words.casefold():
        return Refused(
            f"{slug} takes no changes: {words}", hint="who owns it can unarchive it in its settings on GitHub"
        )
    if status == 403:
        return CredentialsError(
            f"the token may not {doing}: {words}", hint=_missing_permission(headers, slug=slug)
        )
    if status in {404, 410}:
        return NotFound(
            f"GitHub finds nothing where gitrelease wanted to {doing} in {slug}: {words}",
            hint=f"check that {slug} exists and that the token may see it; GitHub does not tell one from the other",
        )
    return GitHubSaid(doing, status, words)


def _missing_permission(headers: Mapping[str, str], *, slug: str) -> str:
    if headers.get(_SSO):
        return "authorize the token for single sign-on in its settings on GitHub"
    needed = plain(headers.get(_NEEDED, ""))
    if not needed:
        return f"give the token, or who it belongs to, that right in {slug}"
    return f"it needs the permission {permissions_text(needed)}"


def permissions_text(header: str) -> str:
    """Write permissions as GitHub's settings call them: `members=read` is `Members: read`."""
    ways = []
    for way in header.split(";"):
        named = [part.strip().partition("=") for part in way.split(",") if part.strip()]
        ways.append(
            " and ".join(f"{name.replace('_', ' ').capitalize()}: {level}" for name, _, level in named)
        )
    return ", or ".join(way for way in ways if way)


def graphql_refusal(doing: str, errors: Sequence[object], *, slug: str) -> GitReleaseError:
    """Turn the errors that stand in a GraphQL answer into an error of ours."""
    words = "; ".join(dict.fromkeys(plain(text(error, "message")) for error in errors))[:_LONGEST]
    kinds = {text(error, "type") for error in errors}
    if "NOT_FOUND" in kinds:
        return NotFound(
            f"GitHub finds nothing where gitrelease wanted to {doing} in {slug}: {words}",
            hint=f"check that {slug} exists and that the token may see it",
        )
    if kinds & {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        return CredentialsError(
            f"the token may not {doing}: {words}",
            hint=f"it needs the permissions Contents: read and Pull requests: read for {slug}",
        )
    return GitHubSaid(doing, 200, words or "it did not say why")
