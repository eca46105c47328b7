"""What GitHub keeps: records that are replaced, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any

NOWHERE = "0" * 40


class Role(IntEnum):
    """What somebody may do in a repository; each role includes those before it."""

    NONE = 0
    READ = 1
    TRIAGE = 2
    WRITE = 3
    MAINTAIN = 4
    ADMIN = 5


class Kind(Enum):
    """What an account is."""

    USER = "User"
    BOT = "Bot"
    ORGANIZATION = "Organization"


class TokenKind(Enum):
    """How a token came to be, and so what it may do."""

    CLASSIC = "classic"
    FINE = "fine-grained"
    ACTIONS = "GITHUB_TOKEN"
    INSTALLATION = "installation"
    DEPLOY_KEY = "deploy key"
    """A key for one repository. Over HTTP, where no SSH is spoken, it stands in for itself as a password."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A person, a bot or an organization. One that is deleted shows as null wherever it acted."""

    id: int
    login: str
    kind: Kind = Kind.USER
    name: str | None = None
    email: str | None = None
    deleted: bool = False


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team of an organization; the members' value says whether they maintain it."""

    id: int
    org: int
    slug: str
    members: Mapping[int, bool]


@dataclass(frozen=True, kw_only=True)
class App:
    """A GitHub App: it signs with a key of which the server knows the public half."""

    id: int
    slug: str
    owner: int
    bot: int
    public_key: str
    permissions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Installation:
    """An App on an account, with the repositories it was given; None means all of them."""

    id: int
    app: int
    account: int
    repos: frozenset[int] | None = None


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token, whose it is, and what it may do: scopes of a classic one, else permissions on repositories."""

    value: str
    account: int
    kind: TokenKind
    scopes: frozenset[str] = frozenset()
    permissions: Mapping[str, str] = field(default_factory=dict)
    repos: frozenset[int] | None = None
    app: int | None = None
    revoked: bool = False


@dataclass(frozen=True, kw_only=True)
class Protection:
    """Classic protection of one branch."""

    approvals: int = 0
    pull_request: bool = True
    dismiss_stale: bool = False
    last_push: bool = False
    checks: tuple[str, ...] = ()
    enforce_admins: bool = False
    force_pushes: bool = False
    deletions: bool = False
    pushers: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Ruleset:
    """Rules for the branches or tags whose full names match a pattern; rules are as REST gives them."""

    id: int
    name: str
    target: str = "branch"
    include: tuple[str, ...] = ("~ALL",)
    rules: tuple[Mapping[str, Any], ...] = ()
    bypass: tuple[Mapping[str, Any], ...] = ()
    enforcement: str = "active"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A deployment environment: which branches may deploy, who must say yes, who may not skip that."""

    id: int
    name: str
    protected_branches: bool = False
    branch_policies: bool = False
    reviewers: tuple[int, ...] = ()
    prevent_self_review: bool = False


@dataclass(frozen=True, kw_only=True)
class DeployKey:
    """A key that may read a repository, or write it."""

    id: int
    title: str
    key: str
    read_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Repo:
    """A repository, its settings and who may do what in it."""

    id: int
    owner: int
    name: str
    private: bool = True
    default_branch: str = "main"
    archived: bool = False
    roles: Mapping[int, Role] = field(default_factory=dict)
    team_roles: Mapping[int, Role] = field(default_factory=dict)
    methods: frozenset[str] = frozenset({"merge", "squash", "rebase"})
    actions_may_approve: bool = False
    protections: Mapping[str, Protection] = field(default_factory=dict)
    rulesets: tuple[Ruleset, ...] = ()
    environments: tuple[Environment, ...] = ()
    keys: tuple[DeployKey, ...] = ()
    fork_of: int | None = None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A pull request. `base_sha` is where the base was when the head last moved."""

    id: int
    repo: int
    number: int
    author: int
    title: str
    body: str | None
    head_repo: int
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    created_at: datetime
    updated_at: datetime
    draft: bool = False
    state: str = "open"
    closed_at: datetime | None = None
    merged_at: datetime | None = None
    merged_by: int | None = None
    merge_commit: str | None = None
    reviewers: tuple[int, ...] = ()
    teams: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """Name the ref of the server that follows the head."""
        return f"refs/pull/{self.number}/head"


@dataclass(frozen=True, kw_only=True)
class Review:
    """One review. `commit` may be re-stamped to a later head; `given_to` is the truth, and no client sees it."""

    id: int
    pull: int
    user: int
    state: str
    body: str
    commit: str | None
    given_to: str
    submitted_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that the timeline of a pull request tells; `data` says what, by the kind of event."""

    id: int
    pull: int
    kind: str
    actor: int
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Activity:
    """One move of one branch, as the server saw it."""

    id: int
    repo: int
    ref: str
    before: str
    after: str
    actor: int
    kind: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment in the discussion of a pull request."""

    id: int
    pull: int
    user: int
    body: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Status:
    """What somebody said about a commit, under a context."""

    id: int
    repo: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Posted:
    """Something posted with fields of its own: a check run, a deployment or its status, a release."""

    id: int
    repo: int
    creator: int
    at: datetime
    data: Mapping[str, Any]
    of: int = 0
