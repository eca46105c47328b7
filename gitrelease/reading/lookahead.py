"""Looking ahead: what judging receipts will ask git for, asked for many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from gitrelease.core.ledger import Receipt
from gitrelease.core.names import CommitId
from gitrelease.errors import GitReleaseError
from gitrelease.reading.ledger import receipt_of
from gitrelease.repo import EMPTY_TREE, Commit, Repo, TreeChange

WINDOW = 64
"""For how many receipts git is asked at once."""

Step = tuple[Commit, tuple[TreeChange, ...]]
"""One commit of the ledger, with its difference to the one before."""


def look_ahead(repo: Repo, last: Receipt, steps: Sequence[Step]) -> None:
    """Read at once what some receipts keep: each question by itself is a wait for git, or starts it.

    Nothing is judged here. What is asked for later and was not foreseen is read then.

    Args:
        repo: the repository.
        last: the receipt before the first of them.
        steps: the receipts.
    """
    kept = {parent for commit, _ in steps for parent in commit.parents[1:]}
    repo.read_ahead(kept)
    held = {id_: repo.commit(id_) for id_ in kept if repo.is_kept(id_)}
    # Merges, heads and tasks beside what they start from; lists beside those of the receipt before.
    bases = {id_: commit.parents[0] for id_, commit in held.items() if commit.parents}
    repo.read_ahead([*held, *bases.values()])
    named = [last.holdings, *(_lists_of(commit) for commit, _ in steps)]
    lists = pairwise(id_ for id_ in dict.fromkeys(named) if id_ in (None, last.holdings) or id_ in held)
    pairs = [(old or EMPTY_TREE, new) for old, new in lists if new is not None]
    found = repo.compare_ahead([*pairs, *((base, id_) for id_, base in bases.items())])
    ways = {(tree, change.path) for pair in pairs for change in repo.diff(*pair) for tree in pair}
    for commit, changes in steps:
        tasks = set(tasks_kept(commit))
        looked = {commit.id, commit.parents[0], *(id_ for id_ in commit.parents if id_ not in tasks)}
        looked |= {bases[id_] for id_ in commit.parents if id_ in bases}
        ways |= {(id_, change.path) for id_ in looked for change in changes}
    repo.walk_ahead(ways)
    changed = [*found, *(change for _, made in steps for change in made)]
    entries = (entry for change in changed for entry in (change.before, change.after))
    repo.read_ahead(entry.id for entry in entries if entry is not None and entry.is_file)


def tasks_kept(commit: Commit) -> list[CommitId]:
    """List the tasks that a receipt keeps, if it can be read at all."""
    with suppress(GitReleaseError):
        evidence = receipt_of(commit).evidence
        return [task for task in evidence.tasks if task in commit.parents] if evidence else []
    return []


def _lists_of(commit: Commit) -> CommitId | None:
    """Say which lists a receipt names and keeps, if it can be read at all."""
    with suppress(GitReleaseError):
        lists = receipt_of(commit).holdings
        return lists if lists in commit.parents else None
    return None
