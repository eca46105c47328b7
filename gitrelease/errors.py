"""The error family: what happened, what to do next, and the exit code that says so to a script."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of a command means (design 8)."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    WAITING = 3
    CREDENTIALS = 4
    HALF_DONE = 5
    DEFECT = 70


class GitReleaseError(Exception):
    """Something was refused or failed; nothing of ours ends a command in any other way.

    The message says what happened and to what, the hint what to do next, and `code` is the same in one
    word, for machines.
    """

    exit = Exit.REFUSED
    code = "refused"
    is_away = False
    """Whether whoever was asked cannot be reached, or lets nobody in: then nothing else need be asked there, either."""

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class Refused(GitReleaseError):
    """A rule says no. Nothing was changed."""


class NotYetBuilt(Refused):
    """Something was asked for that gitrelease is meant to do and this version does not."""

    code = "not-yet-built"


class NotFound(GitReleaseError):
    """What was named does not exist."""

    code = "not-found"


class UsageError(GitReleaseError):
    """The command line was not understood."""

    exit = Exit.USAGE
    code = "usage"


class CredentialsError(GitReleaseError):
    """Credentials, a key to sign with among them, are missing or were refused."""

    exit = Exit.CREDENTIALS
    code = "credentials"
    is_away = True


class HalfDone(GitReleaseError):
    """Production was changed in part; another sync finishes it."""

    exit = Exit.HALF_DONE
    code = "half-done"


class RaceLost(GitReleaseError):
    """Somebody moved a ref first. The command gathers again and decides again."""

    code = "race-lost"
