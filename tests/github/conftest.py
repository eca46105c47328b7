"""What the tests of the loopback GitHub stand on: a desk with one file, and three people who may write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.github.client import Client
from tests.github.fixtures import Hub, github
from tests.github.state import Pull, Repo, Role

AT = "/repos/acme/desk"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One repository on a GitHub, and people who speak to it."""

    hub: Hub
    repo: Repo
    first: str

    def client(self, login: str, role: Role = Role.WRITE, **headers: str) -> Client:
        """Let somebody speak."""
        return Client(self.hub.url, self.hub.person(login, self.repo, role), headers)

    def with_token(self, token: str) -> Client:
        """Let a token speak."""
        return Client(self.hub.url, token)

    def branch(self, name: str = "package/one", login: str = "ann", **files: str) -> str:
        """Push a branch off the first commit."""
        there = files or {"b.txt": "b\n"}
        return self.hub.push(self.repo, login, name, dict(there), onto=self.first)

    def proposal(self, name: str = "package/one", login: str = "ann") -> Pull:
        """Push a branch and open its pull request."""
        self.branch(name, login, **{f"{name.rpartition('/')[2]}.txt": "new\n"})
        return self.hub.open(self.repo, login, name)

    def change(self, **fields: object) -> Repo:
        """Change settings of the repository."""
        return self.hub.server.state.change_repo(self.repo, **fields)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A GitHub; in the end it must have been asked and have said only what GitHub knows."""
    with github(tmp_path / "github") as made:
        yield made


@pytest.fixture
def desk(hub: Hub) -> Desk:
    """A private repository with one commit, and somebody who may write."""
    repo = hub.repo("acme", "desk")
    hub.person("ann", repo)
    first = hub.push(repo, "ann", "main", {"a.txt": "a\n"})
    return Desk(hub=hub, repo=repo, first=first)
