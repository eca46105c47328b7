"""What happened, and in which order: differences, first parents, ancestors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise

from gitrelease.core.names import CommitId, TreeId
from gitrelease.repo.objects import Objects
from gitrelease.repo.values import EMPTY_TREE, BadObject, Commit, Entry, TreeChange, full_id

# Renames are never guessed: a moved file is one that goes and one that comes.
_RAW = ("-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-relative",
        "--ignore-submodules=none", "--no-color", "-O/dev/null")  # fmt: skip
_ABSENT = "000000"
_NEAR = 64
"""How many commits are looked at here before git is asked to walk."""
_FEW = 16
"""How many first parents are; git, which walks the others, takes as long to start as some thirty take to read."""


class NotOnFirstParents(BadObject):
    """A commit that a walk was to stop at is not among the first parents."""

    code = "not-on-first-parents"


class History(Objects):
    """Questions about commits and what lies between them."""

    _walked: tuple[tuple[CommitId, CommitId | None] | None, list[CommitId]]
    """The first parents that were listed last: of which commit down to which, and they themselves."""

    def diff(self, before: str, after: str, paths: Sequence[str] = ()) -> list[TreeChange]:
        """Say which paths two commits or trees hold differently, in order of their names."""
        if before == after:
            return []
        old, new = self._tree_at(before), self._tree_at(after)
        if (old, new) in self._compared:
            return [
                change for change in self._compared[old, new] if not paths or _lies_in(change.path, paths)
            ]
        if paths and EMPTY_TREE not in {old, new} and not (paths := self._unlike(old, new, paths)):
            return []
        out = self.run("diff-tree", *_RAW, "--end-of-options", old, new, "--", *paths).out
        return sorted(_changes(iter(out.split(b"\0")[:-1])), key=lambda change: change.path)

    def _unlike(self, old: str, new: str, paths: Sequence[str]) -> Sequence[str]:
        """Leave out the paths at which two trees hold the very same: mostly that is all, and spares git a start."""
        wanted = [path.rstrip("/") for path in paths]
        one, other = self.entries(old, wanted), self.entries(new, wanted)
        return [path for path in wanted if one.get(path) != other.get(path)]

    def diffs(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[TreeChange, ...]]:
        """Say which paths each of many pairs of commits or trees hold differently, all with one process."""
        trees = {pair: (self._tree_at(pair[0]), self._tree_at(pair[1])) for pair in dict.fromkeys(pairs)}
        found = self._compare(trees.values())
        return {pair: found[both] for pair, both in trees.items()}

    def _compare(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[TreeChange, ...]]:
        known = {both: self._compared.get(both) for both in pairs}
        unknown = [both for both, changes in known.items() if changes is None and both[0] != both[1]]
        found = self._changes_of("".join(f"{old} {new}\n" for old, new in unknown).encode(), ())
        return {both: changes or found.get(" ".join(both), ()) for both, changes in known.items()}

    def compare_ahead(
        self, pairs: Iterable[tuple[str, str]], lines: Iterable[Sequence[str]] = ()
    ) -> Sequence[TreeChange]:
        """Compare many pairs at once, for whoever asks for them next, one by one; give all that was found.

        It is kept until this is called again. A pair that cannot be read is left out: that shows where it is
        asked for. What a pair of a line holds is told from the line from then on, without reading its trees.

        Args:
            pairs: commits or trees, two and two.
            lines: more of them, each of a line beside the one before; they may have been asked about before.
        """
        self._compared.clear()
        along = [pair for line in lines for pair in pairwise(line)]
        known: dict[tuple[str, str], tuple[str, str]] = {}
        for pair in (*along, *pairs):
            with suppress(BadObject):
                known[pair] = self._tree_at(pair[0]), self._tree_at(pair[1])
        self._compared.update(self._compare(known.values()))
        for pair in along:
            if pair in known:
                self._lines.follow(*known[pair], self._compared[known[pair]])
        return [change for changes in self._compared.values() for change in changes]

    def follow(self, base: str, steps: Iterable[tuple[Commit, Sequence[TreeChange]]]) -> None:
        """Tell from now on what these commits hold from their differences, without reading their trees.

        Args:
            base: the commit that the first of them was compared with.
            steps: each with its whole difference to the one before.
        """
        before = self._tree_at(base)
        for commit, changes in steps:
            self._lines.follow(before, commit.tree, changes)
            before = commit.tree

    @cached_property
    def _compared(self) -> dict[tuple[str, str], tuple[TreeChange, ...]]:
        return {}

    def _tree_at(self, id_: str) -> str:
        # A tree of nothing need not be in the store, but every git knows it.
        return id_ if id_ == EMPTY_TREE else self.tree_of(id_)

    def first_parents(
        self, tip: CommitId, *, since: CommitId | None, paths: Sequence[str] = ()
    ) -> list[tuple[Commit, tuple[TreeChange, ...]]]:
        """List the commits that a branch grew by after `since`, oldest first, each with its difference to its
        first parent.

        With paths, only what happened to those is told, and commits that left them alone are left out.

        Raises:
            NotOnFirstParents: the branch did not grow from `since`.
        """
        touched = None
        if paths and (near := self._steps(tip, since)) is not None:
            ids = near
        elif paths:
            ids, touched = self._chain_touching(tip, since, paths)
        else:
            ids = self._chain(tip, since)
        below = zip(ids, [*ids[1:], since], strict=False)
        pairs = "".join(
            f"{id_} {parent}\n" for id_, parent in below if parent and (touched is None or id_ in touched)
        )
        changes = self._changes_of(pairs.encode(), paths)
        if ids and since is None:
            changes[ids[-1]] = tuple(self.diff(EMPTY_TREE, ids[-1], paths))
        wanted = [id_ for id_ in reversed(ids) if changes.get(id_) or not paths]
        return [(commit, changes.get(commit.id, ())) for commit in self.commits(wanted)]

    def _chain_touching(
        self, tip: CommitId, since: CommitId | None, paths: Sequence[str]
    ) -> tuple[list[CommitId], frozenset[CommitId]]:
        """List first parents as `_chain` does, and name those that hold something else at these paths than the one
        before. Each of the two walks takes a while where the past is long, so they go side by side.
        """
        from concurrent.futures import ThreadPoolExecutor  # brings logging; most commands ask for no paths

        without = () if since is None else (f"^{full_id(since)}",)
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(
                self.run, "rev-list", "--first-parent", full_id(tip), *without, "--", *paths
            )
            ids = self._chain(tip, since)
            return ids, frozenset(map(CommitId, asked.result().out.decode().split()))

    def introduced(self, tip: CommitId, paths: Collection[str]) -> list[tuple[Commit, tuple[str, ...]]]:
        """Say which first parents of a commit last brought these files, oldest first, and which each brought.

        The walk goes back only until every file is accounted for: what is asked about is mostly young.
        """
        missing = set(paths)
        found: list[tuple[Commit, tuple[str, ...]]] = []
        at: CommitId | None = tip
        window = 32
        while missing and at is not None:
            commits = self.history(at, limit=window)
            pairs = "".join(f"{commit.id} {commit.parents[0]}\n" for commit in commits if commit.parents)
            changes = self._changes_of(pairs.encode(), sorted(missing))
            for commit in commits:
                made = (
                    changes.get(commit.id, ())
                    if commit.parents
                    else self.diff(EMPTY_TREE, commit.tree, sorted(missing))
                )
                came = tuple(c.path for c in made if c.before is None and c.path in missing)
                if came:
                    found.append((commit, came))
                    missing -= set(came)
            at = commits[-1].parents[0] if commits[-1].parents else None
            window = min(window * 4, 4096)
        return found[::-1]

    def grep(self, tree: TreeId, texts: Iterable[str], folders: Sequence[str]) -> list[str]:
        """List the files below some folders of a tree that hold any of these texts; this reads all of them."""
        wanted = "".join(f"{text}\n" for text in texts).encode()  # on a line of arguments some thousand fit
        ran = self.run(
            "grep", "-l", "-z", "-F", "--full-name", "--no-recurse-submodules", "--threads=2", "-f", "-",
            full_id(tree), "--", *folders, stdin=wanted, accept=(0, 1),
        )  # fmt: skip
        names = (record.decode(errors="surrogateescape") for record in ran.out.split(b"\0") if record)
        return [name.partition(":")[2] for name in names]

    def history(self, tip: CommitId, *, limit: int | None = None) -> list[Commit]:
        """List the first parents of a commit and itself, newest first."""
        most = () if limit is None else (f"--max-count={int(limit)}",)
        out = self.run("rev-list", "--first-parent", *most, "--end-of-options", full_id(tip)).out
        return self.commits(CommitId(line) for line in out.decode().split())

    def first_parent_ids(self, tip: CommitId) -> list[CommitId]:
        """List the first parents of a commit and itself, newest first, by their ids alone."""
        return self._chain(tip, None)

    def is_first_parent(self, older: CommitId, newer: CommitId) -> bool:
        """Say whether a commit is another one, or among its first parents; the walk ends where they part."""
        try:
            self._chain(newer, older)
        except NotOnFirstParents:
            return False
        return True

    def first_of(self, tip: CommitId) -> CommitId:
        """Give the last of the first parents of a commit."""
        out = self.run(
            "rev-list", "--first-parent", "--max-parents=0", "--end-of-options", full_id(tip)
        ).out.decode()
        return CommitId(out.split()[-1])

    def is_ancestor(self, older: CommitId, newer: CommitId) -> bool:
        """Say whether a commit contains another; each contains itself."""
        if self._steps(newer, older) is not None:
            return True
        ran = self.run("merge-base", "--is-ancestor", full_id(older), full_id(newer), accept=(0, 1))
        return ran.exit == 0

    def outside(self, commits: Iterable[CommitId], tip: CommitId) -> set[CommitId]:
        """Say which of these commits a branch does not contain, all with one process."""
        wanted = dict.fromkeys(commits)
        # Mostly they are among the last that the branch grew by.
        at: CommitId | None = tip
        for _ in range(_NEAR if wanted else 0):
            if at is None or not wanted:
                break
            wanted.pop(at, None)
            at = next(iter(self.commit(at).parents), None) if wanted else None
        if not wanted:
            return set()
        names = "".join(f"{full_id(id_)}\n" for id_ in wanted) + f"^{full_id(tip)}\n"
        beyond = set(self.run("rev-list", "--stdin", stdin=names.encode()).out.decode().split())
        return {id_ for id_ in wanted if id_ in beyond}

    def beyond(self, tip: CommitId, without: Sequence[CommitId]) -> list[Commit]:
        """List what a commit holds by whatever parent, and others do not; parents come before their children."""
        if len(without) == 1 and (near := self._line(tip, without[0])) is not None:
            return near
        others = (f"^{full_id(id_)}" for id_ in without)
        out = self.run("rev-list", "--topo-order", "--reverse", full_id(tip), *others, "--").out.decode()
        return self.commits(CommitId(line) for line in out.split())

    def _line(self, tip: CommitId, end: CommitId) -> list[Commit] | None:
        """List what lies above a commit, if it is little, all of it leads there, and only one order fits it.

        What leads to the end whichever way one goes is not part of it: history has no circles.
        """
        held: dict[CommitId, Commit] = {}
        fresh = [tip]
        while fresh:
            id_ = fresh.pop()
            if id_ == end or id_ in held:
                continue
            commit = held[id_] = self.commit(id_)
            if not commit.parents or len(held) > _NEAR:
                return None
            fresh += commit.parents
        order: list[Commit] = []
        done = {end}
        while len(order) < len(held):
            ready = [
                commit for id_, commit in held.items() if id_ not in done and done.issuperset(commit.parents)
            ]
            if len(ready) != 1:
                return None
            order += ready
            done.add(ready[0].id)
        return order

    def merge_base(self, one: CommitId, other: CommitId) -> CommitId | None:
        """Give the last commit that two have in common, if there is one."""
        if self._steps(other, one) is not None:
            return one
        out = self.run("merge-base", full_id(one), full_id(other), accept=(0, 1)).out.decode().strip()
        return CommitId(out) if out else None

    def _chain(self, tip: CommitId, since: CommitId | None) -> list[CommitId]:
        """List first parents from the tip down to, and without, `since`; what is asked last is often asked again."""
        key, known = self._walked
        if key == (tip, since):
            return known
        if (near := self._steps(tip, since)) is not None:
            return near
        without = () if since is None else (f"^{full_id(since)}",)
        out = self.run("rev-list", "--first-parent", "--parents", full_id(tip), *without, "--").out.decode()
        lines = [line.split(" ") for line in out.splitlines()]
        bottom = tip if not lines else (lines[-1][1] if len(lines[-1]) > 1 else None)
        if since is not None and bottom != since:
            raise NotOnFirstParents(f"{tip:.7} did not grow from {since:.7}")
        chain = [CommitId(line[0]) for line in lines]
        self._walked = (tip, since), chain
        return chain

    def _steps(self, tip: CommitId, since: CommitId | None) -> list[CommitId] | None:
        """List first parents as `_chain` does where they are few, which mostly they are: that starts no process.

        None where `since` is not among the nearest of them.
        """
        steps: list[CommitId] = []
        at = None if since is None else tip
        with suppress(BadObject):  # git says what is wrong with it
            while at is not None and len(steps) < _FEW:
                if at == since:
                    return steps
                steps.append(at)
                at = next(iter(self.commit(at).parents), None)
        return None

    def _changes_of(self, pairs: bytes, paths: Sequence[str]) -> dict[str, tuple[TreeChange, ...]]:
        """Compare each commit with the one named beside it, or two trees, all with one process.

        What is found stands under what the line begins with: the commit, or both trees.
        """
        if not pairs:
            return {}
        out = self.run("diff-tree", "--stdin", *_RAW, "--", *paths, stdin=pairs).out
        found: dict[str, list[TreeChange]] = {}
        fields = iter(out.split(b"\0")[:-1])
        current: list[TreeChange] = []
        for field in fields:
            # A commit is named in a field of its own, two trees on a line before the first of their changes.
            names, colon, meta = field.rpartition(b":")
            if names or not colon:
                current = found.setdefault((names or field).decode().split("\n")[-2 if colon else -1], [])
            if colon:
                current.append(_change(colon + meta, next(fields)))
        return {id_: tuple(sorted(made, key=lambda change: change.path)) for id_, made in found.items()}


def _lies_in(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in places)


def _changes(fields: Iterator[bytes]) -> Iterator[TreeChange]:
    for meta in fields:
        yield _change(meta, next(fields))


def _change(meta: bytes, path: bytes) -> TreeChange:
    """Read one record of `--raw`: `:<mode> <mode> <id> <id> <letter>` and the path."""
    told, name = meta.decode(), path.decode(errors="surrogateescape")
    old_mode, new_mode = told[1:7], told[8:14]
    return TreeChange(
        name,
        None if old_mode == _ABSENT else Entry(name, old_mode, told[15:55]),
        None if new_mode == _ABSENT else Entry(name, new_mode, told[56:96]),
    )
