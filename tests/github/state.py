"""Everything the loopback GitHub knows, as one plain value.

What a person does is in `pulls.py`, `reviews.py` and `merging.py`; how it looks over HTTP in `bodies.py`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Any

from tests.github.bare import Bare
from tests.github.records import (
    NOWHERE,
    Account,
    Activity,
    App,
    Comment,
    DeployKey,
    Environment,
    Event,
    Installation,
    Kind,
    Posted,
    Protection,
    Pull,
    Repo,
    Review,
    Role,
    Ruleset,
    Status,
    Team,
    Token,
    TokenKind,
)

__all__ = [
    "NOWHERE",
    "Account",
    "Activity",
    "App",
    "Clock",
    "Comment",
    "DeployKey",
    "Environment",
    "Event",
    "Installation",
    "Kind",
    "Posted",
    "Protection",
    "Pull",
    "Repo",
    "Restamp",
    "Review",
    "Role",
    "Ruleset",
    "State",
    "Status",
    "Switches",
    "Team",
    "Token",
    "TokenKind",
]


class Restamp(Enum):
    """When a new head takes the approvals given to the one before along, under its own commit id."""

    NEVER = "never"
    SAME_PATCH = "same patch"
    ALWAYS = "always"


class Clock:
    """The time on the server: each look is `step` seconds later; `forward` lets time pass."""

    def __init__(self, now: datetime = datetime(2026, 11, 20, 12, 0, tzinfo=UTC), step: float = 1) -> None:
        self.now = now
        self.step = step

    def __call__(self) -> datetime:
        """Say what time it is."""
        self.now += timedelta(seconds=self.step)
        return self.now

    def forward(self, **by: float) -> None:
        """Let time pass: `clock.forward(hours=2)`."""
        self.now += timedelta(**by)


@dataclass
class Switches:
    """What GitHub does at some times and not at others; tests choose."""

    restamp: Restamp = Restamp.NEVER
    lazy_mergeable: int = 0
    """How often `mergeable` is null before it is known, after each move."""
    most_reviewers: int = 15


class State:
    """All records, found by id; replaced under the server's lock."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self.folder = folder
        self.clock = clock
        self.now = clock()
        self.switches = Switches()
        self.accounts: dict[int, Account] = {}
        self.teams: dict[int, Team] = {}
        self.apps: dict[int, App] = {}
        self.installations: dict[int, Installation] = {}
        self.tokens: dict[str, Token] = {}
        self.repos: dict[int, Repo] = {}
        self.renamed: dict[str, int] = {}
        self.pulls: dict[int, Pull] = {}
        self.reviews: dict[int, Review] = {}
        self.events: list[Event] = []
        self.activity: list[Activity] = []
        self.comments: dict[int, Comment] = {}
        self.statuses: list[Status] = []
        self.check_runs: dict[int, Posted] = {}
        self.deployments: dict[int, Posted] = {}
        self.deployment_statuses: dict[int, Posted] = {}
        self.releases: dict[int, Posted] = {}
        self.labels: dict[str, int] = {}
        self.mergeability: dict[tuple[int, str, str], int] = {}
        self._ids = count(1001)
        self.actions = self.account("github-actions[bot]", kind=Kind.BOT, id_=41898282)

    def next_id(self) -> int:
        """Give an id that nothing else has."""
        return next(self._ids)

    # People, and the things that act for them.

    def account(self, login: str, *, kind: Kind = Kind.USER, id_: int | None = None) -> Account:
        """Find an account by name, or make it."""
        found = self.find_account(login)
        if found is None:
            email = f"{login}@example.org" if kind is Kind.USER else None
            found = Account(id=id_ or self.next_id(), login=login, kind=kind, name=login, email=email)
            self.accounts[found.id] = found
        return found

    def find_account(self, login: str) -> Account | None:
        """Find an account by name; case does not matter, and deleted ones are gone."""
        for account in self.accounts.values():
            if account.login.casefold() == login.casefold() and not account.deleted:
                return account
        return None

    def delete_account(self, login: str) -> None:
        """Delete an account: what it did stays, by nobody."""
        account = self.account(login)
        self.accounts[account.id] = replace(account, deleted=True)
        for token in [token for token in self.tokens.values() if token.account == account.id]:
            self.revoke(token.value)

    def token(self, login: str, kind: TokenKind = TokenKind.CLASSIC, **fields: Any) -> str:
        """Make a token; a classic one has the scopes `repo` and `read:org` unless told otherwise."""
        prefix = {TokenKind.CLASSIC: "ghp", TokenKind.FINE: "github_pat"}.get(kind, "ghs")
        if kind is TokenKind.CLASSIC:
            fields.setdefault("scopes", frozenset({"repo", "read:org"}))
        account = self.account(login)
        made = Token(value=f"{prefix}_{secrets.token_hex(16)}", account=account.id, kind=kind, **fields)
        self.tokens[made.value] = made
        return made.value

    def revoke(self, value: str) -> None:
        """Let a token be refused from now on."""
        self.tokens[value] = replace(self.tokens[value], revoked=True)

    # Repositories.

    def bare(self, repo: Repo) -> Bare:
        """Open the git repository that holds what the forge shows."""
        return Bare(self.folder / f"{repo.id}.git")

    def find_repo(self, owner: str, name: str) -> Repo | None:
        """Find a repository by its full name; case does not matter."""
        for repo in self.repos.values():
            there = self.accounts[repo.owner].login.casefold(), repo.name.casefold()
            if there == (owner.casefold(), name.casefold()):
                return repo
        return None

    def full_name(self, repo: Repo) -> str:
        """Name a repository with its owner."""
        return f"{self.accounts[repo.owner].login}/{repo.name}"

    def role(self, account: int, repo: Repo) -> Role:
        """Say what somebody may do: the most that the owner, a role, a team or a public repository gives."""
        roles = [repo.roles.get(account, Role.NONE)]
        roles += [role for team, role in repo.team_roles.items() if account in self.teams[team].members]
        roles.append(Role.ADMIN if account == repo.owner else Role.NONE)
        roles.append(Role.NONE if repo.private else Role.READ)
        return max(roles)

    def change_repo(self, repo: Repo, **fields: Any) -> Repo:
        """Change settings of a repository."""
        self.repos[repo.id] = replace(self.repos[repo.id], **fields)
        return self.repos[repo.id]

    # What belongs to a pull request.

    def pulls_of(self, repo: Repo) -> list[Pull]:
        """List the pull requests of a repository, oldest first."""
        return sorted((it for it in self.pulls.values() if it.repo == repo.id), key=lambda it: it.number)

    def find_pull(self, repo: Repo, number: int) -> Pull | None:
        """Find a pull request by its number."""
        for pull in self.pulls.values():
            if pull.repo == repo.id and pull.number == number:
                return pull
        return None

    def change_pull(self, pull: Pull, **fields: Any) -> Pull:
        """Change a pull request."""
        fields.setdefault("updated_at", self.now)
        self.pulls[pull.id] = replace(self.pulls[pull.id], **fields)
        return self.pulls[pull.id]

    def reviews_of(self, pull: Pull) -> list[Review]:
        """List the reviews of a pull request, oldest first."""
        return [review for review in self.reviews.values() if review.pull == pull.id]

    def tell(self, pull: Pull, kind: str, actor: int, **data: Any) -> None:
        """Write an event into the timeline of a pull request."""
        event = Event(id=self.next_id(), pull=pull.id, kind=kind, actor=actor, at=self.now, data=data)
        self.events.append(event)

    def events_of(self, pull: Pull) -> list[Event]:
        """Read the timeline of a pull request."""
        return [event for event in self.events if event.pull == pull.id]
