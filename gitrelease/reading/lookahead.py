"""Looking ahead: what judging receipts will ask git for, asked for many of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from gitrelease.core.ledger import Receipt
from gitrelease.core.names import CommitId
from gitrelease.errors import GitReleaseError
from gitrelease.reading.ledger import receipt_of
from gitrelease.repo import Commit, Repo, TreeChange

WINDOW = 256
"""For how many receipts git is asked at once."""

_OPINIONS = 16
"""How many opinions on a package are looked for; more are read when they are asked for."""

_ITEMS = ("jobs/", "scripts/")

Step = tuple[Commit, tuple[TreeChange, ...]]
"""One commit of the ledger, with its difference to the one before."""


@dataclass(kw_only=True)
class Outlook:
    """Reads at once what some receipts keep: each question by itself is a wait for git, or starts it.

    Nothing is judged here. What is asked for later and was not foreseen is read then.
    """

    repo: Repo
    lists: str
    """The lists beside the last receipt that was looked at, as far as is known."""
    main: str | None = None
    """The last commit of the main branch that was looked at; None where nothing is known of what came before."""

    def look(self, steps: Sequence[Step]) -> None:
        """Look at the receipts that come next."""
        repo = self.repo
        receipts = [(commit, receipt) for commit, _ in steps if (receipt := _read(commit)) is not None]
        kept = {parent for commit, _ in steps for parent in commit.parents[1:]}
        repo.read_ahead(kept)
        held = {id_: repo.commit(id_) for id_ in kept if repo.is_kept(id_)}
        self._read_logs(receipts)
        # Merges, heads and tasks beside what they start from.
        bases = {id_: commit.parents[0] for id_, commit in held.items() if commit.parents}
        repo.read_ahead(bases.values())
        lists = [self.lists, *_lists(receipts)]
        main = [*([] if self.main is None else [self.main]), *_merges(receipts, bases)]
        found = repo.compare_ahead(((base, id_) for id_, base in bases.items()), lines=(lists, main))
        self.lists, self.main = lists[-1], main[-1] if main else None
        ways: set[tuple[str, str]] = {
            (commit.tree, change.path) for commit, changes in steps for change in changes
        }
        ways |= {(lists[0], path) for path in _paths(repo, lists)}
        ways |= {(main[0], path) for path in _paths(repo, main)} if main else set()
        repo.walk_ahead(ways)
        changed = [*found, *(change for _, made in steps for change in made)]
        entries = (
            entry
            for change in changed
            # Nobody but a rollback asks what an item was before.
            for entry in (
                (change.after,) if change.path.startswith(_ITEMS) else (change.before, change.after)
            )
        )
        repo.read_ahead(entry.id for entry in entries if entry is not None and entry.is_file)

    def _read_logs(self, receipts: Sequence[tuple[Commit, Receipt]]) -> None:
        """Read opinions that came before the last ones on their packages."""
        fresh = {receipt.evidence.log for _, receipt in receipts if receipt.evidence is not None}
        for _ in range(_OPINIONS):
            held = [self.repo.commit(id_) for id_ in fresh if id_ is not None and self.repo.is_kept(id_)]
            fresh = {parent for commit in held for parent in commit.parents if not self.repo.is_kept(parent)}
            self.repo.read_ahead(id_ for id_ in fresh if id_ is not None)

    def made_by_people(self, commit: Commit) -> list[CommitId]:
        """List what was made by the people whose work and words a receipt keeps, as far as it was read."""
        receipt = _read(commit)
        evidence = None if receipt is None else receipt.evidence
        if evidence is None:
            return []
        made = {id_: None for id_ in (*evidence.tasks, evidence.head) if self.repo.is_kept(id_)}
        fresh = [] if evidence.log is None else [evidence.log]
        while fresh and len(made) < len(evidence.tasks) + _OPINIONS:
            id_ = fresh.pop()
            if id_ not in made and self.repo.is_kept(id_):
                made[id_] = None
                fresh += self.repo.commit(id_).parents
        return list(made)


def _read(commit: Commit) -> Receipt | None:
    with suppress(GitReleaseError):
        return receipt_of(commit)
    return None


def _lists(receipts: Sequence[tuple[Commit, Receipt]]) -> Iterator[CommitId]:
    """Give the lists that receipts name and keep, in order, those that one takes over from another once."""
    last = None
    for commit, receipt in receipts:
        if receipt.holdings != last and receipt.holdings in commit.parents:
            last = receipt.holdings
            yield last


def _merges(
    receipts: Sequence[tuple[Commit, Receipt]], bases: Mapping[CommitId, CommitId]
) -> Iterator[CommitId]:
    """Give the merges that receipts name and keep, in order, each after what it was merged on top of."""
    for commit, receipt in receipts:
        merge = None if receipt.evidence is None else receipt.evidence.main_after
        if merge in bases and merge in commit.parents:
            yield from (bases[merge], merge)


def _paths(repo: Repo, line: Sequence[str]) -> set[str]:
    return {change.path for pair in pairwise(line) for change in repo.diff(*pair)}
