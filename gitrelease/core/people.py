"""Who did something: what was recorded of it, and whether that can be believed."""

from __future__ import annotations

from dataclasses import dataclass

from gitrelease.core.names import MemberId


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody, as lists and views show them."""

    id: str | None
    name: str | None = None
    email: str | None = None
    github_id: int | None = None

    def __str__(self) -> str:
        return self.id or self.name or self.email or "somebody unknown"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who did one thing, as git or the forge recorded it.

    `member` is set only when the record can be believed; otherwise `doubt` says why not, in words that
    end a sentence ("... is not signed").
    """

    person: Person
    member: MemberId | None = None
    doubt: str | None = None
