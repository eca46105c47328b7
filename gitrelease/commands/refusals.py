"""What several verbs refuse, said alike by each of them."""

from __future__ import annotations

from gitrelease.core.names import ItemKey, PackageName
from gitrelease.errors import NotFound, Refused


class NoSuchPackage(NotFound):
    """There is no package of that name, and there was none."""

    def __init__(self, package: PackageName) -> None:
        super().__init__(
            f"there is no package {package}", hint="`gitrelease package list` shows the packages there are"
        )


class HeldUnapproved(Refused):
    """The main branch holds an item as nobody approved it, so nothing is built on that."""

    def __init__(self, item: ItemKey) -> None:
        super().__init__(
            f"the main branch holds {item} as nobody approved it",
            hint="`gitrelease rollback --unapproved` puts back what was approved",
        )


class NameTaken(Refused):
    """There is or was a package of that name; a name means one package for ever."""

    def __init__(self, name: PackageName) -> None:
        super().__init__(
            f"there was a package {name} before",
            hint="give another --name",
        )
