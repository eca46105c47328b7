"""What goes wrong on demand: before a request has an effect, or after, when only the answer is lost."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase


class When(Enum):
    """At which moment of a request something goes wrong."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as faults see it. GraphQL is `graphql`; git is `git/refs`, `git/fetch`, `git/push-refs`, `git/push`."""

    method: str
    path: str
    operation: str | None
    token: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Answer this instead."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Drop:
    """Close the connection without an answer.

    A client that had used the connection before may ask again by itself, as git's does: what it asked may never
    have arrived. `midway` begins an answer first, so that no client can think so.
    """

    midway: bool = False


@dataclass(frozen=True)
class Run:
    """Do something between two requests, and go on: a race, or a right that is taken away."""

    callback: Callable[[], object]


Action = Reply | Drop | Run


@dataclass
class Fault:
    """Something that goes wrong with the requests that match: `skip` are let through, then `times` are hit."""

    match: str | Callable[[Asked], bool]
    action: Action
    when: When
    skip: int
    times: int
    hits: int = 0

    def is_for(self, asked: Asked) -> bool:
        """Say whether a request is meant."""
        if callable(self.match):
            return self.match(asked)
        return self.match in {"*", asked.operation} or fnmatchcase(f"{asked.method} {asked.path}", self.match)


class Faults:
    """All that is going to go wrong."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        match: str | Callable[[Asked], bool],
        action: Action,
        *,
        when: When = When.BEFORE,
        skip: int = 0,
        times: int = 1,
    ) -> Fault:
        """Let requests go wrong: `match` is an operation's id, or `METHOD /path` with `*`, or `*`, or a function."""
        fault = Fault(match=match, action=action, when=when, skip=skip, times=times)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Let all be well again."""
        self._faults.clear()

    def due(self, asked: Asked, when: When) -> Iterator[Action]:
        """Give what happens to a request at a moment, and count it."""
        for fault in list(self._faults):
            if fault.when is not when or not fault.is_for(asked):
                continue
            with self._lock:
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.times <= 0:
                    continue
                fault.times -= 1
                fault.hits += 1
            yield fault.action


def said(status: int, message: str, **headers: str) -> Reply:
    """Answer with a refusal that looks like GitHub's."""
    body = json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest"}).encode()
    return Reply(
        status=status, body=body, headers={name.replace("_", "-"): it for name, it in headers.items()}
    )


def secondary(status: int = 403, retry_after: int | None = None) -> Reply:
    """Answer that too much was asked at once, with or without saying for how long to wait."""
    words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return said(status, words, **({} if retry_after is None else {"Retry_After": str(retry_after)}))


def moved_to(address: str, status: int = 301) -> Reply:
    """Answer that what is asked for lives elsewhere."""
    return said(status, "Moved Permanently" if status == 301 else "Temporary Redirect", Location=address)


def html(status: int = 502) -> Reply:
    """Answer as a machine in between does: with a page for people."""
    page = f"<html><head><title>{status}</title></head><body>Unicorn!</body></html>".encode()
    return Reply(status=status, body=page, kind="text/html; charset=utf-8")
