"""Document: what a file holds, as values that know their place, or why it is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gitrelease.core.finding import Finding, Key
from gitrelease.core.values import frozen
from gitrelease.documents.scalars import Json
from gitrelease.errors import GitReleaseError

MOST_BYTES = 4 * 1024 * 1024 + 64 * 1024
"""A script's 4 MiB of content, and room for what is said about it."""
MOST_DEPTH = 64
MOST_NODES = 200_000


class DocumentRefused(GitReleaseError):
    """A file is not a document; `findings` says every reason, with its place."""

    code = "document-refused"

    def __init__(self, file: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        if len(self.findings) == 1:
            super().__init__(_sentence(self.findings[0]), hint=self.findings[0].hint)
        else:
            lines = [
                f"  {_sentence(one)}{f' ({one.hint})' if one.hint else ''}" for one in self.findings[:10]
            ]
            more = [f"  and {len(self.findings) - 10} more"] if len(self.findings) > 10 else []
            text = "\n".join([f"{file} cannot be read, for {len(self.findings)} reasons:", *lines, *more])
            super().__init__(text, hint="correct these places and try again")


@dataclass(slots=True)
class Spot:
    """Where one value stands in its file, and where its parts do."""

    line: int
    column: int
    start: int
    end: int = 0
    one_line_scalar: bool = False
    flow: bool = False
    key: tuple[int, int] | None = None
    parts: Mapping[str | int, Spot] = field(default_factory=dict)


@frozen
class Document:
    """One file as values, which still knows the line and the column of each."""

    file: str
    value: dict[str, Json]
    text: str = field(repr=False)
    find_root: Callable[[], Spot] = field(repr=False, compare=False)

    @cached_property
    def root(self) -> Spot:
        """Where everything stands."""
        return self.find_root()

    def place(self, key: Key) -> tuple[int, int]:
        """Give line and column (from 1) of the value at a key, or of its nearest parent that is there."""
        spot, _ = self._nearest(key)
        return spot.line + 1, spot.column + 1

    def key_place(self, key: Key) -> tuple[int, int]:
        """Give line and column (from 1) of the key itself; for an element of a list, of the element."""
        spot, found = self._nearest(key)
        line, column = spot.key if found and spot.key else (spot.line, spot.column)
        return line + 1, column + 1

    def _nearest(self, key: Key) -> tuple[Spot, bool]:
        spot = self.root
        for part in key:
            inner = spot.parts.get(part)
            if inner is None:
                return spot, False
            spot = inner
        return spot, True


def _sentence(finding: Finding) -> str:
    place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)
    key = f"{shown(finding.key, 100)}: " if finding.key else ""
    return f"{place}: {key}{finding.message}"


def shown(text: str, most: int = 40) -> str:
    """Cut a text short for a sentence."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
