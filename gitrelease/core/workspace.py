"""The workspace: who people are, what they may do, who must say yes, and where production is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from functools import cached_property
from typing import assert_never

from gitrelease.core.fields import Fields
from gitrelease.core.names import MemberId
from gitrelease.core.patterns import path_matches
from gitrelease.core.people import Account
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError


class Role(StrEnum):
    """What somebody is in the workspace (design 5)."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    DEPLOYER = "deployer"
    OPERATOR = "operator"
    VIEWER = "viewer"
    RUNNER = "runner"
    DAYU_ADMINISTRATOR = "dayu-administrator"
    TENANT_ADMINISTRATOR = "tenant-administrator"


class Action(StrEnum):
    """What somebody may want to do; every entry point asks `authorize` for one of these."""

    LOOK = "look at the workspace"
    SUBMIT = "submit"
    RELEASE = "release"
    ROLL_BACK = "roll back"
    MERGE = "merge what is approved"
    APPROVE = "approve or reject packages"
    APPROVE_WORKSPACE = "approve a change of the workspace"
    REVOKE_OWN = "revoke what is theirs"
    REVOKE_ANY = "revoke what others submitted"
    SYNC = "bring production in line"


_ADMINS = frozenset({Role.ADMIN, Role.DAYU_ADMINISTRATOR, Role.TENANT_ADMINISTRATOR})
_REVIEWERS = _ADMINS | {Role.DEPLOYER}


def roles_for(action: Action) -> frozenset[Role]:
    """Say which roles may do something: the table of design 5, row by row."""
    match action:
        case Action.LOOK:
            return frozenset(Role)
        case Action.SUBMIT:
            return _ADMINS | {Role.DEVELOPER}
        case Action.RELEASE | Action.ROLL_BACK | Action.MERGE | Action.REVOKE_OWN:
            return _REVIEWERS | {Role.DEVELOPER}
        case Action.APPROVE | Action.REVOKE_ANY:
            return _REVIEWERS
        case Action.APPROVE_WORKSPACE:
            return _ADMINS
        case Action.SYNC:
            return frozenset({Role.RUNNER})
    assert_never(action)


ON_GITHUB = "github-"
"""How the ids begin of people who are members through a team only; the number of their account follows."""


def key_alone(key: str) -> str:
    """Give an SSH public key without the comment behind it: what two texts of one key have in common."""
    return " ".join(key.split()[:2])


class NotAllowed(GitReleaseError):
    """Somebody wanted to do what none of their roles allows."""

    code = "not-allowed"


@frozen
class Member:
    """One person of the workspace."""

    id: MemberId
    emails: tuple[str, ...] = ()
    github: int | None = None
    keys: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset()
    place: int = field(default=0, compare=False)
    """Which entry of `members` this is, for whoever has to name the line."""


@frozen
class Team:
    """A team of a forge, whose members have these roles. Until a forge says who they are, it counts for nobody."""

    name: str
    roles: frozenset[Role] = frozenset()


@frozen
class Rule:
    """People who must be among those who approve a change of certain paths."""

    paths: tuple[str, ...]
    people: tuple[str, ...]
    """Member ids, and teams as `@org/team`."""
    approvals: int = 1

    def matches(self, path: str) -> bool:
        """Say whether this rule is about a path."""
        return any(path_matches(pattern, path) for pattern in self.paths)


class Signatures(StrEnum):
    """Whether names count only when git verifies who signed."""

    REQUIRED = "required"
    OFF = "off"


@frozen
class ReviewPolicy:
    """How many must say yes, and what follows."""

    approvals: int = 1
    rollback_approvals: int = 1
    signatures: Signatures = Signatures.REQUIRED
    auto_merge: bool = True
    execute: bool = False
    required: tuple[Rule, ...] = ()


@frozen
class TargetSettings:
    """One production system: what it is, and how names of development become names of production."""

    name: str
    type: str
    connections: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)


@frozen
class Workspace:
    """People, roles, review rules and production, as one approved `workspace.yaml` states them."""

    name: str
    id: str
    version: int
    members: tuple[Member, ...]
    teams: tuple[Team, ...] = ()
    review: ReviewPolicy = ReviewPolicy()
    targets: tuple[TargetSettings, ...] = ()
    lease: float = 60.0
    """Seconds that a runner may go without a sign of life before another takes over."""

    @cached_property
    def _by_email(self) -> Mapping[str, Member]:
        return {email.casefold(): member for member in self.members for email in member.emails}

    @cached_property
    def _by_github(self) -> Mapping[int, Member]:
        return {member.github: member for member in self.members if member.github is not None}

    @cached_property
    def _by_id(self) -> Mapping[str, Member]:
        return {member.id: member for member in self.members}

    def member(self, who: str) -> Member | None:
        """Find a member by id."""
        return self._by_id.get(who)

    def member_with_email(self, email: str) -> Member | None:
        """Find the member who uses an address; addresses are compared without case."""
        return self._by_email.get(email.casefold())

    def member_on_github(self, account: int) -> Member | None:
        """Find the member whose account on GitHub has a number."""
        return self._by_github.get(account)

    def with_teams(self, teams: Mapping[str, Sequence[Account]]) -> Workspace:
        """Give the workspace with teams resolved: their people have the roles of the team, and answer for it.

        Args:
            teams: who is in which team, by its name; a team that is missing still counts for nobody.
        """
        members = {member.id: member for member in self.members}
        answering: dict[str, list[MemberId]] = {}
        for team in self.teams:
            for account in teams.get(team.name, ()):
                if account.id is None or account.is_bot:
                    continue
                known = self.member_on_github(account.id)
                new = Member(id=MemberId(f"{ON_GITHUB}{account.id}"), github=account.id)
                member = members.get((known or new).id, new)
                members[member.id] = replace(member, roles=member.roles | team.roles)
                answering.setdefault(team.name, []).append(member.id)
        required = tuple(
            replace(rule, people=tuple(one for who in rule.people for one in answering.get(who, [who])))
            for rule in self.review.required
        )
        return replace(self, members=tuple(members.values()), review=replace(self.review, required=required))

    def may(self, who: MemberId, action: Action) -> bool:
        """Say whether a member's roles allow an action."""
        member = self.member(who)
        return member is not None and bool(member.roles & roles_for(action))

    def may_make_tasks(self, who: MemberId) -> bool:
        """Say whether somebody's versions may wait for a release.

        Who may only roll back submits what that takes; `evaluate` lets no other package have it.
        """
        return self.may(who, Action.SUBMIT) or self.may(who, Action.ROLL_BACK)

    def who_may(self, action: Action) -> tuple[MemberId, ...]:
        """List the members who may do something, in the order of the file."""
        return tuple(member.id for member in self.members if self.may(member.id, action))

    def rules_for(self, paths: Iterable[str]) -> tuple[Rule, ...]:
        """List the required rules that any of these paths calls for."""
        touched = tuple(paths)
        return tuple(rule for rule in self.review.required if any(rule.matches(path) for path in touched))

    @property
    def allowed_signers(self) -> str:
        """Give the keys of all members as git's `gpg.ssh.allowedSignersFile` wants them."""
        lines = (f'{member.id} namespaces="git" {key}' for member in self.members for key in member.keys)
        return "".join(f"{line}\n" for line in lines)


def authorize(person: MemberId | None, action: Action, workspace: Workspace) -> None:
    """Let somebody do something, or raise `NotAllowed` with who could (design 5).

    Looking is open to whoever can read the repository: git decides that, not we.
    """
    if action is not Action.LOOK:
        permitted(person, action, workspace)


def permitted(person: MemberId | None, action: Action, workspace: Workspace) -> MemberId:
    """Give who it is that may do something, or raise `NotAllowed` with who could."""
    able = workspace.who_may(action)
    if person is not None and person in able:
        return person
    who = f"{person} is" if person is not None else "you are"
    if person is None or workspace.member(person) is None:
        raise NotAllowed(
            f"{who} no member of the workspace {workspace.name}, so may not {action}",
            hint="`gitrelease workspace view` shows the members, and how to become one",
        )
    roles = ", ".join(sorted(roles_for(action)))
    raise NotAllowed(
        f"{person} may not {action}: that takes one of the roles {roles}",
        hint=f"ask {', '.join(able[:5])}" if able else "nobody in this workspace has such a role",
    )


def parse_workspace(value: Mapping[str, object]) -> Workspace:
    """Parse the document of a workspace; what it leaves out is on the safe side.

    Raises:
        Malformed: a value is missing or has the wrong type, with the key of the first one.
    """
    top = Fields(value)
    members = list(enumerate(top.each("members")))
    production = top.inside("production")
    return Workspace(
        name=top.text("name"),
        id=top.text("id"),
        version=top.number("version", 1),
        members=tuple(_member(place, entry) for place, entry in members if "team" not in entry),
        teams=tuple(
            Team(name=entry.text("team"), roles=_roles(entry)) for _, entry in members if "team" in entry
        ),
        review=_policy(top.inside("review")),
        targets=tuple(_target(entry) for entry in production.each("targets")),
        lease=float(production.number("lease", 60)),
    )


def _member(place: int, entry: Fields) -> Member:
    return Member(
        id=MemberId(entry.text("id")),
        emails=entry.texts("emails"),
        github=entry.integer("github"),
        keys=entry.texts("keys"),
        roles=_roles(entry),
        place=place,
    )


def _roles(entry: Fields) -> frozenset[Role]:
    return frozenset(entry.choices("roles", Role))


def _policy(review: Fields) -> ReviewPolicy:
    return ReviewPolicy(
        approvals=review.number("approvals", 1),
        rollback_approvals=review.number("rollbackApprovals", 1),
        signatures=review.choice("signatures", Signatures, Signatures.REQUIRED),
        auto_merge=review.truth("autoMerge", default=True),
        execute=review.truth("execute"),
        required=tuple(
            Rule(
                paths=rule.texts("paths", at_least_one=True),
                people=rule.texts("from", at_least_one=True),
                approvals=rule.number("approvals", 1),
            )
            for rule in review.each("required")
        ),
    )


def _target(target: Fields) -> TargetSettings:
    mappings = target.inside("mappings")

    def names(which: str) -> dict[str, str]:
        inside = mappings.inside(which)
        return {before: inside.text(before) for before, _, _ in inside.entries()}

    return TargetSettings(
        name=target.text("name"),
        type=target.text("type"),
        connections=names("connections"),
        queues=names("queues"),
        databases=names("databases"),
        settings={name: value for name, _, value in target.inside("settings").entries()},
    )
