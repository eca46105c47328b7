"""A forge that may be out of reach: what only it knows is then left open, and not called wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gitrelease.core.names import CommitId, PackageName, RefName
from gitrelease.core.people import Actor
from gitrelease.core.review import Review
from gitrelease.core.workspace import Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Forge

Answer = TypeVar("Answer")


class NotAsked(GitReleaseError):
    """A forge could not be asked about a package."""

    code = "not-asked"


@dataclass(kw_only=True)
class FarForge:
    """A forge that may be out of reach. Whatever keeps it from answering leaves a package unchecked, not broken."""

    forge: Forge
    away: GitReleaseError | None = None
    """Why it need not be asked again."""

    def _ask(self, ask: Callable[[], Answer]) -> Answer:
        if self.away is not None:
            raise NotAsked(self.away.message)
        try:
            return ask()
        except GitReleaseError as failed:
            if failed.is_away:
                self.away = failed
            raise NotAsked(failed.message) from failed

    def resolved(self, workspace: Workspace) -> Workspace:
        """Resolve the teams; where nobody can tell who is in them, nothing can be judged."""
        try:
            return self._ask(lambda: self.forge.resolved(workspace))
        except NotAsked as failed:
            self.away = failed
            return workspace

    def find(self, package: PackageName, workspace: Workspace) -> Review | None:
        """Ask for everything known about one package."""
        return self._ask(lambda: self.forge.find(package, workspace))

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who pushed each of these branches."""
        return self._ask(lambda: self.forge.authors(branches, workspace))
