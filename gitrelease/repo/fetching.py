"""Fetching: what the shared repository holds comes here, and a rewritten history does not go unnoticed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitrelease.core.names import ARCHIVE, HEADS, LEDGER, RELEASE_TAGS, REVIEW, CommitId, RefName
from gitrelease.repo.refs import LOST, Refs, grows
from gitrelease.repo.run import Config, Ran
from gitrelease.repo.values import GitFailed, HistoryRewritten, RefMove, full_id

MANY_REFS = 256 * 1024
"""From how many bytes of packed refs on, some three thousand, we ask before we fetch."""
# A branch of that name would be written through the symbolic ref that clones keep there.
_HEAD_BRANCH = "refs/heads/HEAD"


class Fetching(Refs):
    """What brings the refs and commits of the shared repository into a clone."""

    def fetch(self, *, main: RefName | None, tags: bool = False) -> None:
        """Bring the branches that the shared repository holds here, and forget what it holds no more.

        The main branch, `production`, `archive` and `review/*` only ever grow. What they held when they were
        last looked at is remembered apart from what `git fetch` moves, so that a rewritten history is noticed
        also when somebody else fetched it into this clone.

        Args:
            main: the main branch, which only grows as well; None where its name is not known yet.
            tags: whether release tags have to be here as they are there. Else a large clone looks at them only when
                a branch has moved: they are labels by which nothing is decided.

        Raises:
            Unreachable, RemoteRefusedCredentials: the shared repository did not answer.
            CloneHeld: what it answered cannot be noted here now.
            HistoryRewritten: one of them does not contain what it held; this clone keeps what it held.
        """
        if self.is_direct:
            self.relist()
            return
        self._check_remote()
        before = self.refs(HEADS)
        if tags or not self._are_as_kept(before):
            ran = self._fetched()
            if ran.exit != 0 and LOST.search(ran.err):  # another fetch in this clone held a lock
                ran = self._fetched()
            self.relist()
            if ran.exit != 0:
                raise self._no_answer(ran)
        self._check_growth(before, self.refs(HEADS), main)

    def _are_as_kept(self, kept: Mapping[RefName, str]) -> bool:
        """Say whether the shared branches are those that are kept here, so that there is nothing to fetch.

        Whatever it brings, `git fetch` goes through what every ref leads to, which takes long where there are
        thousands of release tags; there it is quicker to ask first, and elsewhere to ask only once.
        """
        place = self._place
        packed = None if place is None else place.common_dir / "packed-refs"
        if packed is None or not packed.is_file() or packed.stat().st_size < MANY_REFS:
            return False
        ran = self.run(
            "ls-remote", "--heads", "--refs", "--end-of-options", self.remote,
            config=Config.USER, in_worktree=True, accept=range(256),
        )  # fmt: skip
        if ran.exit != 0:
            raise self._no_answer(ran)
        lines = ran.out.decode(errors="surrogateescape").split("\n")
        there = {
            name: id_
            for id_, tab, name in (line.partition("\t") for line in lines)
            if tab and name != _HEAD_BRANCH
        }
        return there == kept

    def _fetched(self) -> Ran:
        # Which tags come is said here, whatever the clone is configured to: a missing one looks like a deleted one.
        return self.run(
            "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", "--no-show-forced-updates", "--refmap=",
            "--end-of-options", self.remote,
            f"+refs/heads/*:refs/remotes/{self.remote}/*",
            f"^{_HEAD_BRANCH}",
            f"+{RELEASE_TAGS}*:{RELEASE_TAGS}*",
            config=Config.USER, in_worktree=True, accept=range(256),
        )  # fmt: skip

    def _check_growth(
        self, before: Mapping[RefName, str], now: Mapping[RefName, str], main: RefName | None
    ) -> None:
        seen = {ref: id_ for ref, id_ in self._seen_refs().items() if grows(ref, main)}
        rewritten: list[HistoryRewritten] = []
        put_back: list[RefMove] = []
        remembered: list[RefMove] = []
        for ref in sorted({*seen, *(ref for ref in {*before, *now} if grows(ref, main))}):
            new = now.get(ref)
            olds = dict.fromkeys(old for old in (seen.get(ref), before.get(ref)) if old is not None)
            if new is None and ref.startswith(REVIEW):  # reviews end
                olds.clear()
            lost = [old for old in olds if new is None or not self._goes_on(ref, new, old)]
            if lost:
                kept_in = (self._seen(ref), self._here(ref))
                rewritten.append(HistoryRewritten(ref, lost[0], new, kept_in=kept_in))
                put_back.append(RefMove(ref=RefName(self._here(ref)), new=lost[0], expected=new))
            elif new != seen.get(ref):
                remembered.append(RefMove(ref=RefName(self._seen(ref)), new=new, expected=seen.get(ref)))
        if rewritten:
            self._transact([*put_back, *remembered])
            raise rewritten[0]
        try:
            self._transact(remembered)
        except GitFailed:
            # Another gitrelease in this clone was faster, or is remembering just now; so it is remembered.
            return

    def _seen_refs(self) -> dict[RefName, str]:
        top = self._seen("")
        return {RefName("refs/" + name.removeprefix(top)): id_ for name, id_ in self._local_refs(top).items()}

    def bring(self, commits: Sequence[CommitId]) -> None:
        """Bring commits here that no ref holds any more, as far as the shared repository still gives them.

        Nothing refers to them here, either: git forgets them after some weeks, and they can be brought again.
        """
        if self.is_direct:
            return
        self._check_remote()
        if commits and self._brought(commits).exit != 0:
            # git brings none of several of which one is gone.
            for commit in commits:
                self._brought([commit])

    def _brought(self, commits: Sequence[CommitId]) -> Ran:
        return self.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", "--refmap=", "--end-of-options", self.remote,
            *(full_id(commit) for commit in commits),
            config=Config.USER, in_worktree=True, accept=range(256),
        )  # fmt: skip

    def _goes_on(self, ref: RefName, new: str, old: str) -> bool:
        """Say whether a branch only grew; ledger and archive do so by first parents, by which they are read.

        Whoever may push could else hang all there was on another beginning, as a second parent.
        """
        if not self.exists(old):
            return False
        is_line = ref in {LEDGER, ARCHIVE}
        return (self.is_first_parent if is_line else self.is_ancestor)(CommitId(old), CommitId(new))
