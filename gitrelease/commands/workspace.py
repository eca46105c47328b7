"""`gitrelease workspace`: who may do what, and which line to change."""

from __future__ import annotations

from collections.abc import Mapping

from gitrelease.commands import Desk
from gitrelease.core.finding import Key
from gitrelease.core.names import WORKSPACE_PATH, MemberId
from gitrelease.core.values import frozen
from gitrelease.core.workspace import (
    Action,
    Role,
    Rule,
    Workspace,
    authorize,
    parse_workspace,
    roles_for,
)
from gitrelease.documents import Document
from gitrelease.documents import parse as parse_document
from gitrelease.errors import NotFound
from gitrelease.reading.trees import read_document

COMMANDS = ("gitrelease submit workspace.yaml", "gitrelease release workspace")
"""What brings a change of the workspace to its review, by an admin other than its author."""


@frozen
class Location:
    """Where something stands in the approved `workspace.yaml`."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@frozen
class MemberLine:
    """A member or a team, with the line it stands in."""

    id: str
    is_team: bool
    roles: frozenset[Role]
    place: Location
    can_sign: bool
    """Whether there is a key to know them by."""


@frozen
class RuleLine:
    """A required rule, with the line it stands in."""

    rule: Rule
    place: Location


@frozen
class WorkspaceView:
    """The effective workspace, and where each part of it is written."""

    workspace: Workspace
    members: tuple[MemberLine, ...]
    rules: tuple[RuleLine, ...]
    places: Mapping[str, Location]
    """The lines of the sections: `members`, `review`, `production`, as far as they are there."""
    commands: tuple[str, ...] = COMMANDS


@frozen
class Reviewer:
    """Somebody who may review, and why."""

    id: str
    is_team: bool
    roles: frozenset[Role]
    """The roles that give the right."""
    may_approve_workspace: bool
    rules: tuple[Rule, ...]
    """The required rules that name them."""
    place: Location


@frozen
class ReviewersResult:
    """Who may review, which rules there are, and what to do to change it."""

    reviewers: tuple[Reviewer, ...]
    rules: tuple[RuleLine, ...]
    approvals: int
    rollback_approvals: int
    members: Location
    """Where to add or change people."""
    review: Location
    """Where to change how many have to approve, and the rules."""
    commands: tuple[str, ...] = COMMANDS


def view(desk: Desk) -> WorkspaceView:
    """Show the effective workspace, with the line of everything that can be changed."""
    workspace, document = _read(desk)
    entries = document.value.get("members")
    members = []
    for n, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict):
            continue
        is_team = "team" in entry
        name = str(entry["team"] if is_team else entry["id"])
        roles = entry.get("roles")
        members.append(
            MemberLine(
                id=name,
                is_team=is_team,
                roles=frozenset(Role(str(role)) for role in roles)
                if isinstance(roles, list)
                else frozenset(),
                place=_place(document, ("members", n)),
                can_sign=bool(entry.get("keys")),
            )
        )
    rules = tuple(
        RuleLine(rule=rule, place=_place(document, ("review", "required", n)))
        for n, rule in enumerate(workspace.review.required)
    )
    sections = ("members", "review", "production")
    return WorkspaceView(
        workspace=workspace,
        members=tuple(members),
        rules=rules,
        places={name: _key_place(document, (name,)) for name in sections if name in document.value},
    )


def reviewers(desk: Desk) -> ReviewersResult:
    """Say who may review and why, and which line to change."""
    seen = view(desk)
    workspace = seen.workspace
    approving = {role for role in Role if _gives(role, Action.APPROVE)}
    found = [
        Reviewer(
            id=member.id,
            is_team=member.is_team,
            roles=member.roles & approving,
            may_approve_workspace=any(_gives(role, Action.APPROVE_WORKSPACE) for role in member.roles),
            rules=tuple(line.rule for line in seen.rules if MemberId(member.id) in line.rule.people),
            place=member.place,
        )
        for member in seen.members
        if member.roles & approving
    ]
    top = Location(file=WORKSPACE_PATH, line=1)
    return ReviewersResult(
        reviewers=tuple(found),
        rules=seen.rules,
        approvals=workspace.review.approvals,
        rollback_approvals=workspace.review.rollback_approvals,
        members=seen.places.get("members", top),
        review=seen.places.get("review", top),
    )


def _gives(role: Role, action: Action) -> bool:
    return role in roles_for(action)


def _read(desk: Desk) -> tuple[Workspace, Document]:
    """Read the approved file twice: as the value that decides, and as lines for people."""
    now = desk.look()
    authorize(None, Action.LOOK, now.workspace)
    data = desk.repo.content(now.approved, WORKSPACE_PATH)
    if data is None:
        raise NotFound(f"there is no approved {WORKSPACE_PATH}", hint="`gitrelease init` writes one")
    workspace = read_document(data, file=WORKSPACE_PATH, kind="workspace", parser=parse_workspace)
    return workspace, parse_document(data, file=WORKSPACE_PATH)


def _place(document: Document, key: Key) -> Location:
    return Location(file=document.file, line=document.place(key)[0])


def _key_place(document: Document, key: Key) -> Location:
    return Location(file=document.file, line=document.key_place(key)[0])
