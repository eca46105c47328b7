"""What happened, and in which order: differences, first parents, ancestors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from gitrelease.core.names import CommitId, TreeId
from gitrelease.repo.objects import Objects
from gitrelease.repo.values import EMPTY_TREE, BadObject, Commit, Entry, TreeChange, full_id

# Renames are never guessed: a moved file is one that goes and one that comes.
_RAW = ("-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff", "--no-textconv", "--no-relative",
        "--ignore-submodules=none", "--no-color", "-O/dev/null")  # fmt: skip
_ABSENT = "000000"


class NotOnFirstParents(BadObject):
    """A commit that a walk was to stop at is not among the first parents."""

    code = "not-on-first-parents"


class History(Objects):
    """Questions about commits and what lies between them."""

    def diff(self, before: str, after: str, paths: Sequence[str] = ()) -> list[TreeChange]:
        """Say which paths two commits or trees hold differently, in order of their names."""
        if before == after:
            return []
        # A tree of nothing need not be in the store, but every git knows it.
        trees = [id_ if id_ == EMPTY_TREE else self.tree_of(id_) for id_ in (before, after)]
        out = self.run("diff-tree", *_RAW, "--end-of-options", *trees, "--", *paths).out
        return sorted(_changes(iter(out.split(b"\0")[:-1])), key=lambda change: change.path)

    def first_parents(
        self, tip: CommitId, *, since: CommitId | None, paths: Sequence[str] = ()
    ) -> list[tuple[Commit, tuple[TreeChange, ...]]]:
        """List the commits that a branch grew by after `since`, oldest first, each with its difference to its
        first parent.

        With paths, only what happened to those is told, and commits that left them alone are left out.

        Raises:
            NotOnFirstParents: the branch did not grow from `since`.
        """
        ids = self._chain(tip, since)
        commits = self.commits(reversed(ids))
        pairs = "".join(f"{commit.id} {commit.parents[0]}\n" for commit in commits if commit.parents)
        changes = self._changes_of(pairs.encode(), paths)
        for commit in commits:
            if not commit.parents:
                changes[commit.id] = tuple(self.diff(EMPTY_TREE, commit.tree, paths))
        told = [(commit, changes.get(commit.id, ())) for commit in commits]
        return [(commit, found) for commit, found in told if found or not paths]

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

    def grep(self, tree: TreeId, text: str, folders: Sequence[str]) -> list[str]:
        """List the files below some folders of a tree that hold a text as it is; this reads all of them."""
        ran = self.run(
            "grep", "-l", "-z", "-F", "--full-name", "--no-recurse-submodules", "--threads=2", "-e", text,
            full_id(tree), "--", *folders, accept=(0, 1),
        )  # fmt: skip
        names = (record.decode(errors="surrogateescape") for record in ran.out.split(b"\0") if record)
        return [name.partition(":")[2] for name in names]

    def history(self, tip: CommitId, *, limit: int | None = None) -> list[Commit]:
        """List the first parents of a commit and itself, newest first."""
        most = () if limit is None else (f"--max-count={int(limit)}",)
        out = self.run("rev-list", "--first-parent", *most, "--end-of-options", full_id(tip)).out
        return self.commits(CommitId(line) for line in out.decode().split())

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
        if older == newer:
            return True
        ran = self.run("merge-base", "--is-ancestor", full_id(older), full_id(newer), accept=(0, 1))
        return ran.exit == 0

    def outside(self, commits: Iterable[CommitId], tip: CommitId) -> set[CommitId]:
        """Say which of these commits a branch does not contain, all with one process."""
        wanted = dict.fromkeys(commits)
        if not wanted:
            return set()
        names = "".join(f"{full_id(id_)}\n" for id_ in wanted) + f"^{full_id(tip)}\n"
        beyond = set(self.run("rev-list", "--stdin", stdin=names.encode()).out.decode().split())
        return {id_ for id_ in wanted if id_ in beyond}

    def beyond(self, tip: CommitId, without: Sequence[CommitId]) -> list[Commit]:
        """List what a commit holds by whatever parent, and others do not; parents come before their children."""
        others = (f"^{full_id(id_)}" for id_ in without)
        out = self.run("rev-list", "--topo-order", "--reverse", full_id(tip), *others, "--").out.decode()
        return self.commits(CommitId(line) for line in out.split())

    def merge_base(self, one: CommitId, other: CommitId) -> CommitId | None:
        """Give the last commit that two have in common, if there is one."""
        out = self.run("merge-base", full_id(one), full_id(other), accept=(0, 1)).out.decode().strip()
        return CommitId(out) if out else None

    def _chain(self, tip: CommitId, since: CommitId | None) -> list[CommitId]:
        """List first parents from the tip down to, and without, `since`."""
        without = () if since is None else (f"^{full_id(since)}",)
        out = self.run("rev-list", "--first-parent", "--parents", full_id(tip), *without, "--").out.decode()
        lines = [line.split(" ") for line in out.splitlines()]
        bottom = tip if not lines else (lines[-1][1] if len(lines[-1]) > 1 else None)
        if since is not None and bottom != since:
            raise NotOnFirstParents(f"{tip:.7} did not grow from {since:.7}")
        return [CommitId(line[0]) for line in lines]

    def _changes_of(self, pairs: bytes, paths: Sequence[str]) -> dict[str, tuple[TreeChange, ...]]:
        """Compare each commit with the one named beside it, all with one process."""
        if not pairs:
            return {}
        out = self.run("diff-tree", "--stdin", *_RAW, "--", *paths, stdin=pairs).out
        found: dict[str, list[TreeChange]] = {}
        fields = iter(out.split(b"\0")[:-1])
        current: list[TreeChange] = []
        for field in fields:
            if field.startswith(b":"):
                current.append(_change(field, next(fields)))
            else:
                current = found.setdefault(field.decode().strip(), [])
        return {id_: tuple(sorted(made, key=lambda change: change.path)) for id_, made in found.items()}


def _changes(fields: Iterator[bytes]) -> Iterator[TreeChange]:
    for meta in fields:
        yield _change(meta, next(fields))


def _change(meta: bytes, path: bytes) -> TreeChange:
    """Read one record of `--raw`: `:<mode> <mode> <id> <id> <letter>` and the path."""
    old_mode, new_mode, old_id, new_id, _ = meta[1:].decode().split(" ")
    name = path.decode(errors="surrogateescape")
    return TreeChange(
        path=name,
        before=None if old_mode == _ABSENT else Entry(path=name, mode=old_mode, id=old_id),
        after=None if new_mode == _ABSENT else Entry(path=name, mode=new_mode, id=new_id),
    )
