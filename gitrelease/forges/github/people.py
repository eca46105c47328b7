"""Who people are on GitHub: whose token this is, who is in a team, who may write, what an account is called now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar
from urllib.parse import quote

from gitrelease.core.people import Account
from gitrelease.core.workspace import Member, Workspace
from gitrelease.errors import CredentialsError, NotFound, Refused
from gitrelease.forges.github.client import Client
from gitrelease.forges.github.refusals import GitHubSaid
from gitrelease.forges.github.values import number, rest_account, text
from gitrelease.repo import Identity

Known = TypeVar("Known")

FRESH = 60.0
"""For how many seconds it is believed who is in a team, and who may write."""
_TEAM = re.compile(r"@([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9_.-]+)")
_HIDDEN = re.compile(r"([0-9]{1,12})\+[A-Za-z0-9-]+@users\.noreply\.github\.com", re.IGNORECASE)
_WRITERS = frozenset({"write", "maintain", "admin"})


class _Recent(Generic[Known]):
    """Answers that hold for a short time, by what was asked about."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[object, tuple[float, Known]] = {}

    def of(self, key: object, ask: Callable[[], Known]) -> Known:
        """Give what was said a short time ago, or ask."""
        now = self._clock()
        if key not in self._known or now - self._known[key][0] > FRESH:
            self._known[key] = (now, ask())
        return self._known[key][1]


class People:
    """The accounts of one GitHub."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._me: Account | None = None
        self._logins: dict[int, str] = {}
        self._teams: _Recent[tuple[Account, ...]] = _Recent(client.clock.monotonic)
        self._standings: _Recent[str | None] = _Recent(client.clock.monotonic)

    def me(self) -> Account | None:
        """Give the account whose token it is; None behind the token of an App or of a workflow, where nobody is."""
        if self._client.is_app:
            return None
        if self._me is None:
            try:
                there = self._client.get("/user", doing="say whose it is")
            except CredentialsError as refused:
                if "by integration" not in refused.message:
                    raise
                self._me = Account(id=None, login="", is_bot=True)
            else:
                self._me = rest_account({"me": there}, "me")
            self.note([self._me])
        return None if self._me.id is None else self._me

    def teams(self, workspace: Workspace) -> dict[str, tuple[Account, ...]]:
        """Say who is in the teams that a workspace names.

        Raises:
            CredentialsError: it cannot be seen; what is not known counts for nobody, and so would nobody be asked.
        """
        return {team.name: self._team(team.name) for team in workspace.teams}

    def _team(self, name: str) -> tuple[Account, ...]:
        return self._teams.of(name, lambda: self._members(name))

    def _members(self, team: str) -> tuple[Account, ...]:
        found = _TEAM.fullmatch(team)
        if found is None:
            raise Refused(
                f"{team!r} is not how a team of GitHub is written",
                hint="write @organization/team in workspace.yaml",
            )
        path = f"/orgs/{quote(found[1])}/teams/{quote(found[2])}/members"
        doing = f"see who is in the team {team}"
        try:
            pages = list(self._client.pages(path, doing=doing))
        except (CredentialsError, NotFound) as refused:
            if "does not accept the token" in refused.message:
                raise
            raise CredentialsError(
                f"who is in the team {team} cannot be seen: {refused.message}",
                hint=f"the token needs the permission Members: read of {found[1]}, which that of a workflow never has;"
                " or the team is called otherwise",
            ) from refused
        return tuple(rest_account({"one": one}, "one") for page in pages for one in page)

    def standing(self, account: Account) -> str | None:
        """Say why an account's word has no weight in the repository now, as the end of a sentence; None if it has."""
        return self._standings.of((account.id, account.login), lambda: self._asked_standing(account))

    def _asked_standing(self, account: Account) -> str | None:
        path = self._client.repo(f"collaborators/{quote(account.login)}/permission")
        try:
            there = self._client.get(path, doing=f"see whether {account.login} may write")
        except NotFound:
            return "is not known to the repository any more"
        if number(there, "user", "id") != account.id:
            return f"is not who is called {account.login} by now"
        may = {text(there, "permission"), text(there, "role_name")} & _WRITERS
        return None if may else "may not write to the repository"

    def note(self, accounts: Iterable[Account]) -> None:
        """Remember what accounts are called at this moment."""
        self._logins |= {one.id: one.login for one in accounts if one.id is not None and not one.is_bot}

    def logins(self, accounts: Sequence[int]) -> dict[int, str]:
        """Give the names that accounts have now, which GitHub wants people called by; those that are gone have none.

        Names change hands, so only numbers are kept anywhere, and names are looked up when they are needed (P31).
        """
        if sum(account not in self._logins for account in accounts) > 1:
            self._meet_collaborators()
        for account in accounts:
            if account not in self._logins:
                self._meet(account)
        return {account: self._logins[account] for account in accounts if account in self._logins}

    def _meet_collaborators(self) -> None:
        """Learn the names of those who work in the repository, a hundred at once, where they may be seen."""
        path = self._client.repo("collaborators")
        try:
            page = next(self._client.pages(path, doing="see who works in the repository"), [])
        except (CredentialsError, NotFound, GitHubSaid):
            return
        self.note(rest_account({"one": one}, "one") for one in page)

    def _meet(self, account: int) -> None:
        try:
            there = self._client.get(f"/user/{account}", doing=f"find the account {account}")
        except NotFound:
            return
        if number(there, "id") == account and text(there, "login"):
            self._logins[account] = text(there, "login")


def member_of(identity: Identity, workspace: Workspace) -> Member | None:
    """Find whose an address is; one that GitHub gives to people who hide theirs begins with their number."""
    if member := workspace.member_with_email(identity.email):
        return member
    hidden = _HIDDEN.fullmatch(identity.email)
    return workspace.member_on_github(int(hidden[1])) if hidden else None
