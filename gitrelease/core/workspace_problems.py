"""What is wrong with a workspace that has the right shape: people who cannot be told apart, rules nobody can meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from posixpath import normpath

from gitrelease.core.finding import Key, Problem, Severity
from gitrelease.core.names import CONTENT_ENDINGS, WORKSPACE_PATH, MemberId, fold
from gitrelease.core.workspace import (
    ON_GITHUB,
    Action,
    Member,
    Role,
    Signatures,
    Team,
    Workspace,
    key_alone,
    roles_for,
)

_FOLDERS = ("jobs/", "scripts/")
"""Where the files of items lie, but for the workspace."""


def workspace_problems(workspace: Workspace, *, knows_teams: bool = False) -> list[Problem]:
    """Find what would make a workspace ambiguous, or lock everybody out of it.

    Args:
        workspace: as it is written, its teams not resolved.
        knows_teams: whether packages are reviewed on a forge that knows who is in a team. Then a team with the roles
            for something may be able to do it, whoever is in it.
    """
    teams = workspace.teams if knows_teams else ()
    return [
        *_shared(workspace, "id", lambda member: [fold(member.id)]),
        *_shared(workspace, "emails", lambda member: [email.casefold() for email in member.emails]),
        *_shared(workspace, "keys", lambda member: [key_alone(key) for key in member.keys]),
        *_shared(workspace, "github", lambda member: [member.github] if member.github else []),
        *_ids_of_others(workspace),
        *_paths_of_nothing(workspace),
        *_unknown_people(workspace, teams),
        *([] if knows_teams else _unresolved_teams(workspace)),
        *_locked_out(workspace, teams),
        *_targets_twice(workspace),
        *_targets_in_one_place(workspace),
        *_keyless(workspace),
    ]


def _ids_of_others(workspace: Workspace) -> Iterator[Problem]:
    for member in workspace.members:
        if member.id.startswith(ON_GITHUB):
            yield Problem(
                code="member-id",
                key=("members", member.place, "id"),
                message=f"{member.id} is what somebody is called who is here through a team only",
                hint="choose another id",
            )


def _locked_out(workspace: Workspace, teams: Sequence[Team]) -> Iterator[Problem]:
    """Find approvals that nobody is there to give."""
    able = workspace.who_may(Action.APPROVE)
    needed = max(workspace.review.approvals, workspace.review.rollback_approvals)
    if len(able) < needed and not _able(teams, Action.APPROVE):
        yield Problem(
            code="too-few-reviewers",
            key=("review", "approvals"),
            message=f"{needed} approvals are asked for, and {len(able)} members may approve",
            hint="give the role deployer or admin to more members",
        )
    if not workspace.who_may(Action.APPROVE_WORKSPACE) and not _able(teams, Action.APPROVE_WORKSPACE):
        yield Problem(
            code="no-admin",
            key=("members",),
            message="nobody could approve a later change of the workspace",
            hint="give the role admin to a member",
        )


def _able(teams: Sequence[Team], action: Action) -> set[str]:
    """Name the teams whose people may do something."""
    return {team.name for team in teams if team.roles & roles_for(action)}


def _targets_twice(workspace: Workspace) -> Iterator[Problem]:
    names = [fold(target.name) for target in workspace.targets]
    for n, name in enumerate(names):
        if name in names[:n]:
            yield Problem(
                code="target-twice",
                key=("production", "targets", n, "name"),
                message=f"two targets are called {workspace.targets[n].name!r}",
            )


def _targets_in_one_place(workspace: Workspace) -> Iterator[Problem]:
    """Find targets that would undo each other's work; those without settings are told apart by their names."""
    places: dict[object, str] = {}
    for n, target in enumerate(workspace.targets):
        if not target.settings:
            continue
        path = target.settings.get("path")
        settings = {**target.settings, **({"path": normpath(path)} if isinstance(path, str) else {})}
        other = places.setdefault((target.type, repr(sorted(settings.items()))), target.name)
        if other != target.name:
            yield Problem(
                code="target-same-place",
                key=("production", "targets", n, "settings"),
                message=f"{target.name} is the same place as {other}: each would undo what the other is given",
                hint="give each target a place of its own, or leave one out",
            )


def _keyless(workspace: Workspace) -> Iterator[Problem]:
    """Find members whose word cannot count, as they have nothing to sign with."""
    if workspace.review.signatures is not Signatures.REQUIRED:
        return
    for member in workspace.members:
        if not member.keys and member.roles - {Role.VIEWER}:
            yield Problem(
                code="no-key",
                key=("members",),
                severity=Severity.WARNING,
                message=f"{member.id} has no key, and signatures are required: nothing they do will count",
                hint="add an SSH public key under keys",
            )


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


def _unknown_people(workspace: Workspace, teams: Sequence[Team]) -> list[Problem]:
    named = {team.name for team in workspace.teams}
    may = _able(teams, Action.APPROVE)
    problems = []
    for n, rule in enumerate(workspace.review.required):
        unknown = [who for who in rule.people if workspace.member(who) is None and who not in named]
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
        if not unknown and len(able) < rule.approvals and may.isdisjoint(rule.people):
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
    """Find the teams, where there is no forge that knows who is in one."""
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
