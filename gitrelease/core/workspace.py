"""The workspace: who people are, what they may do, who must say yes, and where production is."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, cached_property
from typing import assert_never, cast

from gitrelease.core.finding import Key, Problem, Severity
from gitrelease.core.names import CONTENT_ENDINGS, WORKSPACE_PATH, MemberId, fold
from gitrelease.core.people import Account
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


_FOLDERS = ("jobs/", "scripts/")
"""Where the files of items lie, but for the workspace."""

_ON_GITHUB = "github-"
"""How the ids begin of people who are members through a team only; the number of their account follows."""


class NotAllowed(GitReleaseError):
    """Somebody wanted to do what none of their roles allows."""

    code = "not-allowed"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One person of the workspace."""

    id: MemberId
    emails: tuple[str, ...] = ()
    github: int | None = None
    keys: tuple[str, ...] = ()
    roles: frozenset[Role] = frozenset()
    place: int = field(default=0, compare=False)
    """Which entry of `members` this is, for whoever has to name the line."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team of a forge, whose members have these roles. Until a forge says who they are, it counts for nobody."""

    name: str
    roles: frozenset[Role] = frozenset()


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class ReviewPolicy:
    """How many must say yes, and what follows."""

    approvals: int = 1
    rollback_approvals: int = 1
    signatures: Signatures = Signatures.REQUIRED
    auto_merge: bool = True
    execute: bool = False
    required: tuple[Rule, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """One production system: what it is, and how names of development become names of production."""

    name: str
    type: str
    connections: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
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
                new = Member(id=MemberId(f"{_ON_GITHUB}{account.id}"), github=account.id)
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


_INSIDE = "/**"
"""Where a pattern is while it passes over the name of a folder, which has a character at least."""


@cache
def _steps(pattern: str) -> tuple[str, ...]:
    """Split a path pattern: `*` and `?` stay within a folder, `**` crosses folders, `**/` is any folders or none."""
    steps: list[str] = []
    for part in re.findall(r"\*\*/|\*\*|.", pattern, re.DOTALL):
        steps += ["**/", _INSIDE] if part == "**/" else [part]
    return tuple(steps)


def path_matches(pattern: str, path: str) -> bool:
    """Say whether a path pattern of people (`jobs/sales/**`) means this path.

    All ways through the pattern are followed at once, so that no pattern takes longer than its length times that
    of the path; a regular expression would try one after the other, for ever where somebody wants that.
    """
    steps = _steps(pattern)
    at = _reached(steps, {0})
    for character in path:
        moved: set[int] = set()
        for place in at - {len(steps)}:
            step = steps[place]
            if step == "**" or (step in {"*", _INSIDE} and character != "/"):
                moved.add(place)
            if step == character or (step in {"?", "**/"} and character != "/"):
                moved.add(place + 1)
            if step == _INSIDE and character == "/":
                moved.add(place - 1)
        at = _reached(steps, moved)
    return len(steps) in at


def _reached(steps: Sequence[str], places: set[int]) -> set[int]:
    """Add the places of a pattern that are reached without a character."""
    todo, found = list(places), set(places)
    while todo:
        place = todo.pop()
        step = steps[place] if place < len(steps) else ""
        new = {place + {"*": 1, "**": 1, "**/": 2}.get(step, 0)} - found
        found |= new
        todo += new
    return found


def parse_workspace(value: Mapping[str, object]) -> Workspace:
    """Make a workspace of a document that its schema accepts."""
    members: list[Member] = []
    teams: list[Team] = []
    for place, entry in enumerate(_mappings(value.get("members", ()))):
        roles = frozenset(Role(role) for role in _texts(entry.get("roles", ())))
        if "team" in entry:
            teams.append(Team(name=str(entry["team"]), roles=roles))
            continue
        github = entry.get("github")
        members.append(
            Member(
                id=MemberId(str(entry["id"])),
                emails=_texts(entry.get("emails", ())),
                github=github if isinstance(github, int) else None,
                keys=_texts(entry.get("keys", ())),
                roles=roles,
                place=place,
            )
        )
    production = _mapping(value.get("production", {}))
    return Workspace(
        name=str(value["name"]),
        id=str(value["id"]),
        version=_number(value.get("version"), 1),
        members=tuple(members),
        teams=tuple(teams),
        review=_policy(_mapping(value.get("review", {}))),
        targets=tuple(_target(entry) for entry in _mappings(production.get("targets", ()))),
        lease=float(_number(production.get("lease"), 60)),
    )


def _policy(value: Mapping[str, object]) -> ReviewPolicy:
    return ReviewPolicy(
        approvals=_number(value.get("approvals"), 1),
        rollback_approvals=_number(value.get("rollbackApprovals"), 1),
        signatures=Signatures(str(value.get("signatures", Signatures.REQUIRED))),
        auto_merge=value.get("autoMerge", True) is True,
        execute=value.get("execute", False) is True,
        required=tuple(
            Rule(
                paths=_texts(rule["paths"]),
                people=_texts(rule["from"]),
                approvals=_number(rule.get("approvals"), 1),
            )
            for rule in _mappings(value.get("required", ()))
        ),
    )


def _target(value: Mapping[str, object]) -> TargetSettings:
    mappings = _mapping(value.get("mappings", {}))

    def names(which: str) -> dict[str, str]:
        return {before: str(after) for before, after in _mapping(mappings.get(which, {})).items()}

    return TargetSettings(
        name=str(value["name"]),
        type=str(value["type"]),
        connections=names("connections"),
        queues=names("queues"),
        databases=names("databases"),
        settings=_mapping(value.get("settings", {})),
    )


def workspace_problems(workspace: Workspace) -> list[Problem]:
    """Find what would make a workspace ambiguous, or lock everybody out of it."""
    problems: list[Problem] = []
    problems += _shared(workspace, "id", lambda member: [fold(member.id)])
    problems += _shared(workspace, "emails", lambda member: [email.casefold() for email in member.emails])
    problems += _shared(workspace, "keys", lambda member: [" ".join(key.split()[:2]) for key in member.keys])
    problems += _shared(workspace, "github", lambda member: [member.github] if member.github else [])
    problems += [
        Problem(
            code="member-id",
            key=("members", member.place, "id"),
            message=f"{member.id} is what somebody is called who is here through a team only",
            hint="choose another id",
        )
        for member in workspace.members
        if member.id.startswith(_ON_GITHUB)
    ]
    problems += _paths_of_nothing(workspace)
    problems += _unknown_people(workspace)
    problems += _unresolved_teams(workspace)
    able = workspace.who_may(Action.APPROVE)
    needed = max(workspace.review.approvals, workspace.review.rollback_approvals)
    if len(able) < needed:
        problems.append(
            Problem(
                code="too-few-reviewers",
                key=("review", "approvals"),
                message=f"{needed} approvals are asked for, and {len(able)} members may approve",
                hint="give the role deployer or admin to more members",
            )
        )
    if not workspace.who_may(Action.APPROVE_WORKSPACE):
        problems.append(
            Problem(
                code="no-admin",
                key=("members",),
                message="nobody could approve a later change of the workspace",
                hint="give the role admin to a member",
            )
        )
    names = [fold(target.name) for target in workspace.targets]
    problems += [
        Problem(
            code="target-twice",
            key=("production", "targets", n, "name"),
            message=f"two targets are called {workspace.targets[n].name!r}",
        )
        for n, name in enumerate(names)
        if name in names[:n]
    ]
    if workspace.review.signatures is Signatures.REQUIRED:
        problems += [
            Problem(
                code="no-key",
                key=("members",),
                severity=Severity.WARNING,
                message=f"{member.id} has no key, and signatures are required: nothing they do will count",
                hint="add an SSH public key under keys",
            )
            for member in workspace.members
            if not member.keys and member.roles - {Role.VIEWER}
        ]
    return problems


def _shared(workspace: Workspace, what: str, values: Callable[[Member], Sequence[object]]) -> list[Problem]:
    """Find a value that two members claim; who they are could then not be told apart."""
    owners: dict[object, Member] = {}
    problems = []
    for member in workspace.members:
        for value in values(member):
            other = owners.setdefault(value, member)
            if other is not member:
                problems.append(
                    Problem(
                        code="member-ambiguous",
                        key=("members", member.place, what),
                        message=f"{member.id} has the same {what} as {other.id}",
                        hint="each belongs to one member only",
                    )
                )
    return problems


def _paths_of_nothing(workspace: Workspace) -> list[Problem]:
    """Find patterns that no file of an item can match: a rule that protects nothing looks like one that does."""
    problems = []
    for n, rule in enumerate(workspace.review.required):
        for m, pattern in enumerate(rule.paths):
            start = re.split(r"[*?]", pattern, maxsplit=1)[0]
            is_whole = start == pattern
            is_file = is_whole and pattern.endswith((".yaml", *CONTENT_ENDINGS))
            leads = any(start.startswith(top) or top.startswith(start) for top in (*_FOLDERS, WORKSPACE_PATH))
            if leads and (is_file or not is_whole) and not pattern.endswith("/"):
                continue
            folder = pattern.strip("./")
            known = folder.split("/")[0] in {"jobs", "scripts"}
            hint = (
                f"write {folder}/** for all below it"
                if known and is_whole
                else "items lie below jobs/ and scripts/"
            )
            problems.append(
                Problem(
                    code="rule-of-nothing",
                    key=("review", "required", n, "paths", m),
                    message=f"{pattern!r} matches no file of any item, so the rule would protect nothing",
                    hint=hint,
                )
            )
    return problems


def _unknown_people(workspace: Workspace) -> list[Problem]:
    teams = {team.name for team in workspace.teams}
    problems = []
    for n, rule in enumerate(workspace.review.required):
        unknown = [who for who in rule.people if workspace.member(who) is None and who not in teams]
        problems += [
            Problem(
                code="unknown-reviewer",
                key=("review", "required", n, "from"),
                message=f"{who!r} is neither a member nor a team of this workspace",
                hint="add them under members, or mend the spelling",
            )
            for who in unknown
        ]
        able = [who for who in rule.people if workspace.may(MemberId(who), Action.APPROVE)]
        if not unknown and len(able) < rule.approvals:
            problems.append(
                Problem(
                    code="rule-cannot-be-met",
                    key=("review", "required", n),
                    message=f"the rule asks for {rule.approvals} approvals; {len(able)} of its people may approve",
                    hint="name more people who are admin or deployer",
                )
            )
    return problems


def _unresolved_teams(workspace: Workspace) -> list[Problem]:
    """Find the teams: only a forge knows who is in one, and no forge that does is built."""
    places: list[tuple[Key, str]] = [(("members",), team.name) for team in workspace.teams]
    for n, rule in enumerate(workspace.review.required):
        named = {team.name for team in workspace.teams} & set(rule.people)
        places += [(("review", "required", n, "from"), who) for who in rule.people if who in named]
    return [
        Problem(
            code="team-unresolved",
            key=key,
            severity=Severity.WARNING,
            message=f"nobody can tell who is in the team {name}, so it counts for nobody",
            hint="name its people as members",
        )
        for key, name in places
    ]


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _mappings(value: object) -> tuple[Mapping[str, object], ...]:
    return tuple(_mapping(entry) for entry in cast("Sequence[object]", value))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(entry) for entry in cast("Collection[object]", value))


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
