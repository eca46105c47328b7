"""Milestones: how far a clone was found to be in order, so that whoever looks again can go on from there.

A milestone lies in git's own folder of a clone, and is as good as all else there: its user's objects, refs and
trust root. It counts for the program that wrote it, for the same trust root, and for a ledger that grew from the
receipt it was written at. Nothing but a past without any fault gets one, and the shared repository itself, where
others push, none. To begin at the trust root instead needs no milestone and no trust in one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import gitrelease
from gitrelease.core.ledger import Event
from gitrelease.core.names import CommitId, ItemKey, ItemName, Kind, PackageName, RefName
from gitrelease.core.plan import Digest
from gitrelease.core.values import frozen
from gitrelease.notes import write_note
from gitrelease.reading.broken import MALFORMED
from gitrelease.reading.ledger import receipt_of
from gitrelease.reading.replay import Known, Past, at_root
from gitrelease.reading.trees import read_workspace
from gitrelease.repo import Repo


@frozen
class Milestone:
    """A past that was played without a fault, and what was found in order beside it."""

    past: Past
    archive: CommitId | None = None
    """The archive's last entry that was looked at."""
    released: frozenset[PackageName] = frozenset()
    """What the archive up to there says was released."""
    settled: int = 0
    """How many good signatures its entries have."""
    production: Mapping[RefName, CommitId] = field(default_factory=dict)
    """The branches that held what the ledger says, after the receipt that this was written at."""


def recall(repo: Repo, root: CommitId, tip: CommitId) -> Milestone | None:
    """Read the milestone of a clone; None where there is none that counts for this ledger."""
    if repo.is_direct:
        return None
    try:
        value = json.loads(_file(repo).read_bytes())
        if (value["program"], value["root"]) != (gitrelease.__version__, root):
            return None
        if not repo.is_first_parent(CommitId(value["at"]), tip):
            return None
        return _milestone(repo, root, value)
    except (OSError, *MALFORMED):
        return None  # it is no milestone of ours, or of another time


def keep(repo: Repo, milestone: Milestone) -> None:
    """Note how far everything was found to be in order; where nothing can be written, nothing is noted."""
    past = milestone.past
    if repo.is_direct or past.broken or past.forged or not past.is_whole:
        return
    write_note(_file(repo), json.dumps(_document(milestone)).encode())


def _file(repo: Repo) -> Path:
    return repo.common_dir / "gitrelease" / "verified.json"


def _document(milestone: Milestone) -> dict[str, object]:
    past = milestone.past
    return {
        "program": gitrelease.__version__,
        "root": past.root,
        "at": past.at.id,
        "brought": past.brought,
        "packages": [[name, one.merge, one.event, one.note] for name, one in past.packages.items()],
        "unexplained": [
            [target, item.kind, item.name, digest]
            for (target, item), digest in past.accounts.unexplained.items()
        ],
        "takenOver": [[item.kind, item.name] for item in past.items_taken_over],
        "counts": [past.receipts, past.items, past.signatures, milestone.settled],
        "archive": milestone.archive,
        "released": sorted(milestone.released),
        "production": dict(milestone.production),
    }


def _milestone(repo: Repo, root: CommitId, value: Mapping[str, Any]) -> Milestone:
    past = at_root(repo, root)
    past.brought = [CommitId(id_) for id_ in value["brought"]]
    past.workspaces += [read_workspace(repo, id_) for id_ in past.brought]
    past.workspace = past.workspaces[-1]
    past.at = repo.commit(CommitId(value["at"]))
    past.receipt = receipt_of(past.at)
    past.packages = {
        PackageName(name): Known(merge=CommitId(merge), event=Event(event), note=note)
        for name, merge, event, note in value["packages"]
    }
    past.accounts.unexplained = {
        (target, _item(kind, name)): None if digest is None else Digest(digest)
        for target, kind, name, digest in value["unexplained"]
    }
    past.items_taken_over = tuple(_item(kind, name) for kind, name in value["takenOver"])
    past.receipts, past.items, past.signatures, settled = value["counts"]
    return Milestone(
        past=past,
        archive=value["archive"],
        released=frozenset(PackageName(name) for name in value["released"]),
        settled=settled,
        production={RefName(ref): CommitId(id_) for ref, id_ in value["production"].items()},
    )


def _item(kind: str, name: str) -> ItemKey:
    return ItemKey(kind=Kind(kind), name=ItemName(name))
