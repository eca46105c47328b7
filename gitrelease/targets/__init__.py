"""Where production is: one protocol, and one module per kind of production system.

A target is a module with `SCHEMA`, the JSON Schema of its settings, and `connect(site) -> Target`. It is
found by name through the entry-point group `gitrelease.targets`; those we ship use the same door as
anyone's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol

from gitrelease.core.finding import Problem
from gitrelease.core.job import Job
from gitrelease.core.names import ItemKey
from gitrelease.core.plan import Digest, Outcome, TargetChange
from gitrelease.core.values import frozen
from gitrelease.pen import Pen
from gitrelease.repo import Repo

GROUP = "gitrelease.targets"

CANNOT_RUN = "target-cannot-run"
"""What a problem is called that stands in the way of running a job, and not of holding it."""


@frozen
class Site:
    """What a target is connected with."""

    name: str
    settings: Mapping[str, object]
    repo: Repo
    """The release repository; only a target that keeps a branch of its own there needs it."""
    pen: Pen
    folder: Path
    """What relative paths in the settings start from."""
    environ: Mapping[str, str] = field(repr=False)
    """Where credentials are; they are never part of the settings."""


@frozen
class Deployed:
    """What became of each change, and the state the target was left in."""

    outcomes: Mapping[ItemKey, Outcome]
    """Each successful or a failure; what says neither counts as one, and so does silence."""
    state: str | None
    """One word that is another whenever the target holds anything else; None if it has none."""


class Target(Protocol):
    """One production system that holds released items."""

    is_transactional: bool
    """Whether one call makes all of its changes or none."""

    def supports(self, job: Job) -> Sequence[Problem]:
        """Say what of a job this system cannot hold (an error) or cannot run (a warning), and why."""

    def state(self) -> str | None:
        """Say in one word what is held, so that nothing need be observed when nothing changed."""

    def observe(self, items: Iterable[ItemKey]) -> Mapping[ItemKey, Digest | None]:
        """Say what is held now of each item, None for nothing. Changes nothing."""

    def observe_all(self) -> Mapping[ItemKey, Digest]:
        """Say what is held of every item there is. Changes nothing."""

    def foreign(self) -> Sequence[str]:
        """Name what is held beside all items, which nobody released; empty where that cannot be. Changes nothing."""

    def deploy(self, changes: Sequence[TargetChange], *, note: str) -> Deployed:
        """Make these changes, at once where the system can. Doing it twice is the same as doing it once."""
