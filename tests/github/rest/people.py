"""Operations about people, teams, Apps and limits."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from tests.github.bodies import BORN, Body, node, stamp
from tests.github.call import Answer, Call, answers
from tests.github.description import fill
from tests.github.pulls import RefusedError
from tests.github.state import Account, Installation, Kind, Role, Team, Token, TokenKind


@answers("users/get-authenticated")
def me(call: Call) -> Answer:
    """Say whose token it is. No person is behind a token of an App."""
    if call.caller.account is None:
        raise RefusedError(401, "Requires authentication")
    if call.caller.is_bot:
        raise RefusedError(403, "Resource not accessible by integration")
    return Answer(body=call.bodies.profile(call.caller.account, own=True))


@answers("users/get-by-username")
def by_name(call: Call) -> Answer:
    """Find an account by its name."""
    found = call.state.find_account(call.arguments["username"])
    if found is None:
        raise RefusedError(404, "Not Found")
    return Answer(body=call.bodies.profile(found, own=False))


@answers("users/get-by-id")
def by_id(call: Call) -> Answer:
    """Find an account by its number."""
    text = call.arguments["account_id"]
    found = call.state.accounts.get(int(text)) if text.isdigit() else None
    if found is None or found.deleted:
        raise RefusedError(404, "Not Found")
    return Answer(body=call.bodies.profile(found, own=False))


@answers("repos/list-collaborators", "metadata=read", role=Role.WRITE)
def collaborators(call: Call) -> Answer:
    """List who was given a role in a repository, directly or by a team."""
    given = {
        *call.repo.roles,
        *(who for team in call.repo.team_roles for who in call.state.teams[team].members),
    }
    shown = []
    for id_ in sorted(given):
        role = call.state.role(id_, call.repo)
        more = {
            "role_name": role.name.lower(),
            "permissions": {
                "pull": role >= Role.READ, "triage": role >= Role.TRIAGE, "push": role >= Role.WRITE,
                "maintain": role >= Role.MAINTAIN, "admin": role >= Role.ADMIN,
            },
        }  # fmt: skip
        if role > Role.NONE and (body := call.bodies.user(id_, "collaborator", **more)):
            shown.append(body)
    return Answer(body=shown)


@answers("repos/get-collaborator-permission-level", "metadata=read")
def permission(call: Call) -> Answer:
    """Say what somebody may do in a repository."""
    found = call.state.find_account(call.arguments["username"])
    if found is None or found.kind is Kind.ORGANIZATION:
        raise RefusedError(404, f"{call.arguments['username']} is not a user")
    role = call.state.role(found.id, call.repo)
    old_name = {Role.TRIAGE: "read", Role.MAINTAIN: "write"}.get(role, role.name.lower())
    user = call.bodies.user(found.id, "nullable-collaborator", role_name=role.name.lower())
    return Answer(body={"permission": old_name, "role_name": role.name.lower(), "user": user})


def _team(call: Call) -> Team:
    """Find a team, for those who may know of it: GITHUB_TOKEN never may, others when they may read members."""
    caller = call.caller
    if caller.account is None or caller.token is None:
        raise RefusedError(404, "Not Found")
    if caller.token.kind is TokenKind.CLASSIC:
        if not caller.token.scopes & {"read:org", "write:org", "admin:org"}:
            raise RefusedError(404, "Not Found")
    elif caller.level("members") < 1:
        by = "integration" if caller.is_bot else "personal access token"
        accepted = {"X-Accepted-GitHub-Permissions": "members=read"}
        raise RefusedError(403, f"Resource not accessible by {by}", **accepted)
    org = call.state.find_account(call.arguments["org"])
    for team in call.state.teams.values():
        if org is not None and (team.org, team.slug) == (org.id, call.arguments["team_slug"]):
            return team
    raise RefusedError(404, "Not Found")


@answers("teams/get-by-name")
def team(call: Call) -> Answer:
    """Show a team."""
    found = _team(call)
    org = call.bodies.user(found.org)
    assert org is not None
    more = {
        "organization": fill(
            "team-organization",
            {
                **{key: org[key] for key in ("login", "id", "node_id", "url", "avatar_url", "html_url", "type")},
                "members_url": f"{org['url']}/members{{/member}}", "description": None,
                "created_at": stamp(BORN), "updated_at": stamp(BORN), "archived_at": None,
            },
        ),
        "members_count": len(found.members), "created_at": stamp(BORN),
        "updated_at": stamp(BORN),
    }  # fmt: skip
    return Answer(body=call.bodies.team(found, "team-full", **more))


@answers("teams/list-members-in-org")
def members(call: Call) -> Answer:
    """List who is in a team."""
    wanted = call.query.get("role", "all")
    found = _team(call).members.items()
    chosen = [id_ for id_, leads in found if wanted in {"all", "maintainer" if leads else "member"}]
    return Answer(body=[body for id_ in chosen if (body := call.bodies.user(id_, "team-member"))])


@answers("teams/get-membership-for-user-in-org")
def membership(call: Call) -> Answer:
    """Say whether somebody is in a team."""
    found = _team(call)
    account = call.state.find_account(call.arguments["username"])
    if account is None or account.id not in found.members:
        raise RefusedError(404, "Not Found")
    role = "maintainer" if found.members[account.id] else "member"
    url = f"{call.bodies.team(found)['url']}/memberships/{account.login}"
    return Answer(body={"state": "active", "role": role, "url": url})


@answers("apps/get-repo-installation")
def installation(call: Call) -> Answer:
    """Show an App where and how it is installed on a repository."""
    app = call.caller.app
    if app is None:
        raise RefusedError(401, "A JSON web token could not be decoded")
    for found in call.state.installations.values():
        reaches = found.repos is None or call.repo.id in found.repos
        if (found.app, found.account) == (app.id, call.repo.owner) and reaches:
            owner = call.state.accounts[found.account]
            return Answer(body=_shown(call, found, app.slug, owner, dict(app.permissions)))
    raise RefusedError(404, "Not Found")


def _shown(call: Call, found: Installation, slug: str, owner: Account, permissions: dict[str, str]) -> Body:
    url = f"{call.bodies.site}/app/installations/{found.id}"
    return {
        "id": found.id, "app_id": found.app, "app_slug": slug, "target_id": owner.id,
        "target_type": owner.kind.value, "account": call.bodies.user(owner.id), "single_file_name": None,
        "repository_selection": "all" if found.repos is None else "selected", "events": [],
        "access_tokens_url": f"{url}/access_tokens", "html_url": url, "permissions": permissions,
        "repositories_url": f"{call.bodies.site}/installation/repositories", "suspended_by": None,
        "suspended_at": None, "created_at": stamp(BORN), "updated_at": stamp(BORN),
    }  # fmt: skip


@answers("apps/create-installation-access-token")
def access_token(call: Call) -> Answer:
    """Give an App a token for an hour: at most what the App has, for fewer things if it asks so."""
    app = call.caller.app
    if app is None:
        raise RefusedError(401, "A JSON web token could not be decoded")
    text = call.arguments["installation_id"]
    found = call.state.installations.get(int(text)) if text.isdigit() else None
    if found is None or found.app != app.id:
        raise RefusedError(404, "Not Found")
    asked = call.body or {}
    permissions = dict(asked.get("permissions") or app.permissions)
    levels = ("none", "read", "write", "admin")
    for name, level in permissions.items():
        if levels.index(app.permissions.get(name, "none")) < levels.index(level):
            raise RefusedError(422, "The permissions requested are not granted to this installation.")
    there = {it.id for it in call.state.repos.values() if it.owner == found.account}
    reached = there if found.repos is None else there & found.repos
    wanted = {
        it.id
        for it in call.state.repos.values()
        if it.id in reached and it.name in asked.get("repositories", ())
    }
    wanted |= set(asked.get("repository_ids", ()))
    if len(wanted) < len(asked.get("repositories", ())) or not wanted <= reached:
        raise RefusedError(422, "There is at least one repository that does not exist or is not accessible.")
    chosen = frozenset(wanted) if wanted else None if found.repos is None else found.repos
    value = f"ghs_{secrets.token_hex(16)}"
    call.state.tokens[value] = Token(
        value=value, account=app.bot, kind=TokenKind.INSTALLATION, permissions=permissions,
        repos=chosen if chosen is not None else frozenset(reached), app=app.id,
    )  # fmt: skip
    ends = stamp(datetime.now(UTC) + timedelta(hours=1))
    selection = "selected" if wanted or found.repos is not None else "all"
    body = {"token": value, "expires_at": ends, "permissions": permissions, "repository_selection": selection}
    return Answer(status=201, body=body)


def app_body(call: Call, id_: int | None) -> Body | None:
    """Show an App where it stands beside what it made."""
    app = None if id_ is None else call.state.apps.get(id_)
    if app is None:
        return None
    return {
        "id": app.id, "slug": app.slug, "node_id": node("A", app.id), "name": app.slug, "description": None,
        "owner": call.bodies.user(app.owner), "external_url": call.bodies.site,
        "html_url": f"{call.bodies.site}/apps/{app.slug}", "created_at": stamp(BORN),
        "updated_at": stamp(BORN), "permissions": dict(app.permissions), "events": [],
    }  # fmt: skip
