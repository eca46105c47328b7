"""A repository on GitHub before anything was released from it: whether that could be done, and by whom."""

from __future__ import annotations

from gitrelease.core.ledger import ForgeKind
from gitrelease.errors import CredentialsError, Refused
from gitrelease.forges.github.client import Client
from gitrelease.forges.github.opening import RemoteRepo, remote_repo
from gitrelease.forges.github.people import People
from gitrelease.forges.github.values import at, flag, text


class GithubHome:
    """A `Home` on GitHub."""

    def __init__(self, client: Client, place: RemoteRepo, *, address: str) -> None:
        self._client = client
        self._place = place
        self._address = address
        self._people = People(client)

    @property
    def kind(self) -> ForgeKind:
        """Say that this is GitHub."""
        return ForgeKind.GITHUB

    @property
    def name(self) -> str:
        """Give its owner and name."""
        return self._place.slug

    @property
    def address(self) -> str:
        """Give the address that git was given, or is to be given."""
        return self._address

    def is_at(self, url: str) -> bool:
        """Say whether an address of git, of whatever kind, leads to the same repository."""
        place = remote_repo(url)
        return place is not None and (place.host, place.slug.casefold()) == (
            self._place.host,
            self._place.slug.casefold(),
        )

    def check(self) -> str:
        """Refuse a repository that is not there, is archived, or that the token may not write to.

        Gives what its default branch is, or is to be, called.

        Raises:
            CredentialsError: the token is missing, is not accepted, or may not write.
            NotFound: there is no such repository, or the token may not see it.
            RepositoryRenamed: it is called otherwise by now.
            Refused: nothing can be written to it by anybody.
        """
        there = self._client.get(f"/repos/{self.name}", doing="look at the repository")
        self._client.check_name(text(there, "full_name"))
        if flag(there, "archived"):
            raise Refused(
                f"{self.name} is archived, so nothing can be released from it",
                hint="an owner takes it out of the archive in its settings on GitHub",
            )
        # An App is not told what it may do there; its first push says so.
        if at(there, "permissions") is not None and not flag(there, "permissions", "push"):
            raise CredentialsError(
                f"the token may not write to {self.name}",
                hint="its owner gives you the role Write, or the token the permission Contents: write",
            )
        return text(there, "default_branch")

    def account(self) -> int | None:
        """Give the number of the account whose token it is; None behind that of an App or of a workflow."""
        me = self._people.me()
        return None if me is None else me.id

    def close(self) -> None:
        """Hang up."""
        self._client.close()
