"""How many requests a token has left, by resource; tests take some away."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.github.state import TokenKind

ANONYMOUS = 60
_LIMITS = {TokenKind.ACTIONS: 1_000}
_USUAL = 5_000


@dataclass
class Allowance:
    """What one token may still do with one resource."""

    limit: int
    used: int = 0
    reset: int = field(default_factory=lambda: int(time.time()) + 3600)

    @property
    def remaining(self) -> int:
        """Say how many requests are left."""
        return max(0, self.limit - self.used)

    def headers(self, resource: str) -> dict[str, str]:
        """Say it in an answer."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Resource": resource,
        }

    def body(self) -> dict[str, int]:
        """Say it in the answer of `/rate_limit`."""
        return {"limit": self.limit, "remaining": self.remaining, "used": self.used, "reset": self.reset}


class Limits:
    """The allowances of all tokens. `status` is what an exhausted one is answered with: 403 or 429."""

    def __init__(self) -> None:
        self.status = 403
        self._left: dict[tuple[str, str], Allowance] = {}

    def of(self, token: str, kind: TokenKind | None, resource: str = "core") -> Allowance:
        """Give the allowance of a token."""
        limit = ANONYMOUS if kind is None else _LIMITS.get(kind, _USUAL)
        return self._left.setdefault((token, resource), Allowance(limit=limit))

    def leave(self, token: str, remaining: int, resource: str = "core", reset: int | None = None) -> None:
        """Let a token have this many requests left, until a time on the wall clock."""
        made = Allowance(limit=_USUAL, used=_USUAL - remaining)
        if reset is not None:
            made.reset = reset
        self._left[token, resource] = made
