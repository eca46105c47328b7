"""What an audit finds: a `Broken` for all that does not hold, and for all that cannot be read."""

from __future__ import annotations

from types import TracebackType

from gitrelease.core.names import RefName
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError

MALFORMED = (
    GitReleaseError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What content raises that somebody made up: an auditor reports it, and never dies of it."""


@frozen
class Broken:
    """One thing that does not hold."""

    promise: int
    """Which promise of design 10 it breaks."""
    ref: str
    """The ref it was found behind, in full."""
    why: str


@frozen
class Listing:
    """Makes a finding of whatever cannot be read, where a command would end."""

    broken: list[Broken]
    promise: int
    ref: RefName
    what: str

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """List what came up; what is not the content's fault goes on as it is."""
        if not isinstance(problem, MALFORMED):
            return False
        said = problem.message if isinstance(problem, GitReleaseError) else f"cannot be read ({problem!r})"
        self.broken.append(Broken(promise=self.promise, ref=self.ref, why=f"{self.what}: {said}"))
        return True
