"""Who did something: what was recorded of it, and whether that can be believed."""

from __future__ import annotations

from gitrelease.core.names import MemberId
from gitrelease.core.values import frozen


@frozen
class Person:
    """Somebody, as lists and views show them.

    Where nothing proves who it was there is no id; name and e-mail address are then as somebody claimed.
    """

    id: str | None
    name: str | None = None
    email: str | None = None
    github_id: int | None = None

    @property
    def is_claim(self) -> bool:
        """Whether there is nothing but somebody's word that it was this person."""
        return self.id is None and self.github_id is None

    def __str__(self) -> str:
        known = self.id or self.name or self.email
        if not known:
            return "somebody unknown"
        return f"{known} (unproven claim)" if self.is_claim else known


@frozen
class Actor:
    """Who did one thing, as git or the forge recorded it.

    `member`, on which rights rest, is set only when the record can be believed; otherwise `doubt` says why
    not, in words that end a sentence ("... is not signed"). `person` is what people see.
    """

    person: Person
    member: MemberId | None = None
    doubt: str | None = None


@frozen
class Account:
    """Somebody as a forge knows them: a number that stays, and a name that may be another's tomorrow."""

    id: int | None
    """None where the account is gone."""
    login: str
    is_bot: bool = False
    doubt: str | None = None
    """Why their word has no weight, as the end of a sentence about them: "may not write to the repository"."""
