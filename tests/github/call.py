"""One request on its way: who asks, what about, and what they may; and the table of what answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.github.bodies import Bodies
from tests.github.protecting import Actor
from tests.github.pulls import RefusedError
from tests.github.state import Account, App, Pull, Repo, Role, State, Token, TokenKind

_LEVELS = ("none", "read", "write", "admin")
BOTS = (TokenKind.ACTIONS, TokenKind.INSTALLATION)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks: an account by a token, an App by its own signature, or nobody in particular."""

    account: Account | None = None
    token: Token | None = None
    app: App | None = None

    @property
    def is_bot(self) -> bool:
        """Say whether no person is behind the token."""
        return self.token is not None and self.token.kind in BOTS

    def level(self, permission: str) -> int:
        """Say how much a token may do with one kind of thing."""
        if self.token is None:
            return 0
        if self.token.kind is TokenKind.CLASSIC:
            return 3 if "repo" in self.token.scopes else 0
        given = {"metadata": "read", **self.token.permissions}
        return _LEVELS.index(given.get(permission, "none"))

    def reaches(self, repo: Repo) -> bool:
        """Say whether a token is for this repository at all."""
        return self.token is not None and (self.token.repos is None or repo.id in self.token.repos)

    def role(self, state: State, repo: Repo) -> Role:
        """Say what the caller may be in a repository; what a bot is follows from its permissions."""
        if self.account is None or self.token is None:
            return Role.NONE if repo.private else Role.READ
        if not self.is_bot:
            return state.role(self.account.id, repo)
        if not self.reaches(repo):
            return Role.NONE if repo.private else Role.READ
        if self.level("administration") >= 2:
            return Role.ADMIN
        return Role.WRITE if self.level("contents") >= 2 or self.level("pull_requests") >= 2 else Role.READ


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cursors: Callable[[Any], str] | None = None
    """For answers paged by cursor: how to name the place of one entry."""
    key: str | None = None
    """For answers that hold their pages in a field: which."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request for one operation."""

    state: State
    bodies: Bodies
    caller: Caller
    operation: str
    arguments: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    version: str

    @cached_property
    def repo(self) -> Repo:
        """Give the repository asked about; who may not see it learns nothing."""
        repo = self.state.find_repo(self.arguments["owner"], self.arguments["repo"])
        if repo is None or not self.sees(repo):
            raise RefusedError(404, "Not Found")
        return repo

    def sees(self, repo: Repo) -> bool:
        """Say whether the caller may know that a repository exists."""
        if not repo.private:
            return True
        if self.caller.token is None or self.caller.level("metadata") < 1:
            return self.caller.app is not None and self.operation == "apps/get-repo-installation"
        return self.caller.reaches(repo) and self.caller.role(self.state, repo) >= Role.READ

    @cached_property
    def pull(self) -> Pull:
        """Give the pull request asked about."""
        number = self.arguments.get("pull_number") or self.arguments.get("issue_number") or ""
        pull = self.state.find_pull(self.repo, int(number)) if number.isdigit() else None
        if pull is None:
            raise RefusedError(404, "Not Found")
        return pull

    @property
    def who(self) -> int:
        """Give the id of whoever asks."""
        if self.caller.account is None:
            raise RefusedError(401, "Requires authentication")
        return self.caller.account.id

    @property
    def actor(self) -> Actor:
        """Give whoever asks as rules see them."""
        app = None if self.caller.token is None else self.caller.token.app
        return Actor(account=self.who, role=self.caller.role(self.state, self.repo), app=app)

    def must(self, needs: tuple[str, ...], role: Role) -> None:
        """Refuse who may not: `needs` are permissions, each enough by itself, like `contents=write`."""
        accepted = {"X-Accepted-GitHub-Permissions": "; ".join(needs)} if needs else {}
        token = self.caller.token
        reading = all(need.endswith("=read") for need in needs)
        if token is None:
            if not (reading and role <= Role.READ):
                raise RefusedError(401, "Requires authentication")
            return
        public = not self.repo.private and reading and not needs[0].startswith("administration")
        scoped = any(self._has(need) for need in needs)
        if token.kind is TokenKind.CLASSIC and not (public or scoped):
            enough = not self.repo.private and "public_repo" in token.scopes
            if not enough:
                raise RefusedError(404, "Not Found")
        elif not public and not (scoped and self.caller.reaches(self.repo)):
            by = "integration" if self.caller.is_bot else "personal access token"
            raise RefusedError(403, f"Resource not accessible by {by}", **accepted)
        if not self.caller.is_bot and self.caller.role(self.state, self.repo) < role:
            words = (
                "Must have admin rights to Repository."
                if role is Role.ADMIN
                else "Must have push access to repository"
            )
            raise RefusedError(403, words, **accepted)
        if self.repo.archived and not reading:
            raise RefusedError(403, "Repository was archived so is read-only.", **accepted)

    def _has(self, need: str) -> bool:
        name, _, level = need.partition("=")
        return self.caller.level(name) >= _LEVELS.index(level)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What answers an operation, and what it takes to be answered."""

    handler: Handler
    needs: tuple[str, ...]
    role: Role


TABLE: dict[str, Entry] = {}


def answers(id_: str, *needs: str, role: Role = Role.READ) -> Callable[[Handler], Handler]:
    """Name the operation that a function answers. Without `needs` the function asks for itself who may."""

    def keep(handler: Handler) -> Handler:
        TABLE[id_] = Entry(handler=handler, needs=needs, role=role)
        return handler

    return keep


def answer(call: Call) -> Answer:
    """Answer a request."""
    entry = TABLE[call.operation]
    if entry.needs:
        call.must(entry.needs, entry.role)
    return entry.handler(call)
