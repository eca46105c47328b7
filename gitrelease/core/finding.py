"""What a check found, with the place it was found in."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from gitrelease.core.values import frozen

Key = tuple[str | int, ...]
"""The way to a value inside a document: `("nodes", 2, "name")`."""


class Severity(StrEnum):
    """Whether a finding stops a submit."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Problem:
    """What a rule says is wrong with one document, at the key it is wrong at."""

    code: str
    key: Key = ()
    message: str
    hint: str | None = None
    severity: Severity = Severity.ERROR


@frozen
class Finding:
    """A problem and the place of it: file, line and column (from 1), key as people write it (`nodes[2].name`)."""

    code: str
    severity: Severity = Severity.ERROR
    file: str
    line: int | None = None
    column: int | None = None
    key: str | None = None
    message: str
    hint: str | None = None


@frozen
class AllowedSecret:
    """A line that looks like a secret and was let through, with the reason its author gave."""

    file: str
    line: int
    reason: str


def has_errors(findings: Sequence[Finding]) -> bool:
    """Say whether anything found stops a submit; warnings do not."""
    return any(finding.severity is Severity.ERROR for finding in findings)


def key_text(key: Key) -> str:
    """Write a key as people do: `nodes[2].name`; the document itself is the empty text."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def listed(texts: Sequence[str]) -> str:
    """Write one or more texts as people do: `a, b and c`."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
