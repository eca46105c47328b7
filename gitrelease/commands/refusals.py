"""What several verbs refuse, said alike by each of them."""

from __future__ import annotations

from collections.abc import Sequence

from gitrelease.core.finding import Finding, has_errors
from gitrelease.core.names import ItemKey, PackageName
from gitrelease.errors import NotFound, Refused


class NoSuchPackage(NotFound):
    """There is no package of that name, and there was none."""

    def __init__(self, package: PackageName) -> None:
        super().__init__(
            f"there is no package {package}", hint="`gitrelease package list` shows the packages there are"
        )


class CheckFailed(Refused):
    """What was to be submitted or released has findings that stop it."""

    code = "check-failed"

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        errors = [finding for finding in findings if has_errors([finding])]
        first = errors[0]
        where = f"{first.file}:{first.line or 1}"
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        super().__init__(
            f"{where}: {first.message}{more}", hint=first.hint or "`gitrelease check` lists all findings"
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
