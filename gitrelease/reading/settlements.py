"""The archive, entry by entry: does it follow, who wrote it, and does it keep what it says was settled?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gitrelease.archiving import entry_of, number_bytes, read_number, read_summary
from gitrelease.core.archive import NUMBERS, ArchiveEntry, Settlement, number_path, outcome_path
from gitrelease.core.content import Held
from gitrelease.core.names import ARCHIVE, BlobId, CommitId, MemberId, PackageName
from gitrelease.core.pull_request import closing_fault, parse_pull_request
from gitrelease.core.workspace import Action, Signatures, Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.reading.broken import Broken
from gitrelease.reading.lookahead import WINDOW, Step
from gitrelease.reading.sources import git_hash
from gitrelease.reading.trees import held
from gitrelease.repo import EMPTY_TREE, Commit, Repo, TreeChange
from gitrelease.signers import identify


@dataclass(kw_only=True)
class Settlements:
    """The archive, gone through from its beginning on."""

    repo: Repo
    workspaces: Sequence[Workspace]
    """Every workspace that anybody could have settled something under, the first one first."""
    tip: CommitId
    by_forge: bool = False
    """Whether a forge with accounts knows by itself who pushes; then only what runners write has to be signed."""
    since: CommitId | None = None
    """The entry after which to begin; None goes through all of it."""
    released: set[PackageName] = field(default_factory=set)
    """The packages that entries say were released."""
    signatures: int = 0
    _numbers: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Which blob was last to lie at a path, and the number that it holds."""

    def faults(self) -> Iterator[Broken]:
        """Go through all entries, oldest first."""
        chain = self.repo.first_parents(self.tip, since=self.since)
        signed = self._signers([commit.id for commit, _ in chain])
        self.repo.follow(self.since or EMPTY_TREE, chain)
        before: Commit | None = None if self.since is None else self.repo.commit(self.since)
        for number, (commit, changes) in enumerate(chain):
            if number % WINDOW == 0:
                self._look_ahead(chain[number : number + WINDOW])
            what = f"entry {commit.id:.7}"
            try:
                if before is None:
                    yield from self._beginning(what, commit, changes, signed)
                else:
                    yield from self._entry(what, commit, before, changes, signed)
            except GitReleaseError as wrong:
                yield self._bad(f"{what} cannot be read: {wrong.message}")
            before = commit

    def _look_ahead(self, steps: Sequence[Step]) -> None:
        """Read at once what some entries write, and what was there before; but numbers follow from the entries."""
        entries = (
            entry
            for _, changes in steps
            for change in changes
            if not change.path.startswith(NUMBERS)
            for entry in (change.before, change.after)
        )
        self.repo.read_ahead(entry.id for entry in entries if entry is not None and entry.is_file)

    def _bad(self, why: str) -> Broken:
        return Broken(promise=4, ref=ARCHIVE, why=why)

    def _signers(self, commits: list[CommitId]) -> dict[CommitId, set[MemberId]]:
        """Say who made each entry, under any workspace there was: the ledger does not order entries."""
        found: dict[CommitId, set[MemberId]] = {commit: set() for commit in commits}
        for workspace in reversed(self.workspaces):
            open_ = [commit for commit, members in found.items() if not members]
            for commit, actor in identify(self.repo, open_, workspace).items():
                if actor.member is not None:
                    found[commit].add(actor.member)
                    self.signatures += workspace.review.signatures is Signatures.REQUIRED
        return found

    def _beginning(
        self,
        what: str,
        commit: Commit,
        changes: tuple[TreeChange, ...],
        signed: Mapping[CommitId, set[MemberId]],
    ) -> Iterator[Broken]:
        if commit.parents or changes:
            yield self._bad(
                f"{what} is not how an archive begins: it holds something, or something came before"
            )
        if not signed[commit.id] and not self.by_forge:
            yield self._bad(f"{what} was made by nobody who was ever a member")

    def _entry(
        self,
        what: str,
        commit: Commit,
        before: Commit,
        changes: tuple[TreeChange, ...],
        signed: Mapping[CommitId, set[MemberId]],
    ) -> Iterator[Broken]:
        entry = entry_of(commit)
        if not signed[commit.id] and not (self.by_forge and entry.settlement is not Settlement.RELEASED):
            yield self._bad(f"{what} was made by nobody who was ever a member")
        if signed[commit.id] and entry.by not in signed[commit.id]:
            yield self._bad(
                f"{what} says it is by {entry.by}, and is by {', '.join(sorted(signed[commit.id]))}"
            )
        if commit.parents != tuple(dict.fromkeys((before.id, *entry.heads))):
            yield self._bad(f"{what} does not keep what it says was settled")
        if entry.settlement is Settlement.RELEASED and entry.package is not None:
            self.released.add(entry.package)
            if not any(self._is_runner(member) for member in signed[commit.id]):
                yield self._bad(f"{what} says that {entry.package} was released, and was made by no runner")
        if entry.recorded and (fault := _not_recorded(entry)) is not None:
            yield self._bad(f"{what} says that {entry.package} was {entry.settlement}, and {fault}")
        expected = self._files(entry, before, commit)
        for change in changes:
            if change.path not in expected:
                yield self._bad(f"{what} changes {change.path}, which it does not settle")
        for path, blob in expected.items():
            if blob is not None and held(self.repo.tree_entry(commit.tree, path)) != Held(blob):
                yield self._bad(f"{what} keeps another number at {path} than the highest that was used")

    def _is_runner(self, who: MemberId) -> bool:
        return any(workspace.may(who, Action.SYNC) for workspace in self.workspaces)

    def _files(self, entry: ArchiveEntry, before: Commit, commit: Commit) -> dict[str, BlobId | None]:
        """Say which files an entry writes, and what into them where that follows from it alone."""
        files: dict[str, BlobId | None] = {}
        for task in entry.tasks:
            path = number_path(task.id.item)
            known = self._numbers[path][1] if path in files else self._number(before, path)
            highest = max(known, task.id.version)
            blob = BlobId(git_hash(number_bytes(task.id.item, highest)))
            files[path], self._numbers[path] = blob, (blob, highest)
        if entry.package is not None and entry.settlement is not Settlement.RELEASED:
            path = outcome_path(entry.package)
            files[path] = None
            data = self.repo.content(commit.tree, path)
            summary = None if data is None else read_summary(data, of=path)
            # What was settled before stays as it was, and a copy of it in other letters has no other word than that.
            is_kept = data == self.repo.content(before.tree, path)
            names = {entry.package, *([summary.name] if summary is not None and is_kept else [])}
            if summary is None or summary.name not in names or str(summary.status) != str(entry.settlement):
                raise GitReleaseError(f"it keeps no word on {entry.package}, which was {entry.settlement}")
        return files

    def _number(self, before: Commit, path: str) -> int:
        """Say which number was the highest that was used; what was just written is not read again."""
        there = self.repo.tree_entry(before.tree, path)
        if there is None:
            return 0
        known = self._numbers.get(path)
        if known is not None and known[0] == there.blob:
            return known[1]
        return read_number(self.repo.blob(there.blob), of=path)


def _not_recorded(entry: ArchiveEntry) -> str | None:
    """Say why what a forge recorded does not bear out what an entry says."""
    pull = parse_pull_request(entry.recorded)
    if (pull.package, pull.head) != (entry.package, entry.head) or entry.settlement is None:
        return f"keeps what was recorded of {pull.package} at {pull.head:.7}"
    return closing_fault(pull, entry.settlement)
