"""`gitrelease pull`: fetch, move the main branch forward, and drop working changes that it now holds."""

from __future__ import annotations

from gitrelease.commands import Desk
from gitrelease.core.names import HEADS, BlobId, CommitId, RefName, place_of
from gitrelease.core.values import frozen
from gitrelease.documents import parse, set_version
from gitrelease.errors import GitReleaseError
from gitrelease.reading.ledger import LedgerMissing
from gitrelease.reading.situation import MainMissing
from gitrelease.reading.sources import PREFIXES, git_hash
from gitrelease.repo import EMPTY_TREE, InTheWay, RefMove, Repo, TreeChange, plain


@frozen
class Pulled:
    """What a pull moved, and which working changes it found."""

    before: CommitId | None
    """Where this clone's main branch was."""
    after: CommitId
    """Where the shared main branch is."""
    dropped: tuple[str, ...] = ()
    """Working changes that the main branch now holds, so that they are none any more."""
    kept: tuple[str, ...] = ()
    """Files of items that differ from the main branch."""
    notes: tuple[str, ...] = ()


def pull(desk: Desk) -> Pulled:
    """Bring this clone's main branch to where the shared one is."""
    desk.fetch(tags=True)
    repo = desk.repo
    main = desk.main_branch()
    if main is None:
        raise LedgerMissing(
            "the shared repository has no ledger: there is no branch `production`",
            hint="in a new repository run `gitrelease init`",
        )
    after = repo.tip(main)
    if after is None:
        raise MainMissing(
            f"the shared repository has no branch {plain(main.removeprefix(HEADS))}",
            hint="look at git branch -r",
        )
    before = repo.resolve(main)
    if repo.worktree is None:
        note = "this is the shared repository itself: there is nothing to pull"
        return Pulled(before=before, after=after, notes=(note,))
    if repo.head_branch() != main:
        return _elsewhere(repo, main, before, after)
    changed = repo.changed_paths(CommitId(EMPTY_TREE) if before is None else before, PREFIXES)
    brought = take_over(repo, before, after)
    kept = sorted(path for path in repo.changed_paths(after, PREFIXES) if _differs(repo, after, path))
    dropped = sorted(path for path in changed & brought if path not in kept)
    return Pulled(before=before, after=after, dropped=tuple(dropped), kept=tuple(kept))


def _elsewhere(repo: Repo, main: RefName, before: CommitId | None, after: CommitId) -> Pulled:
    """Move a main branch that is not checked out, if that takes nothing from it."""
    name = plain(main.removeprefix(HEADS))
    note = f"{name} is not checked out, so no file was touched; git switch {name} brings you there"
    if before is not None and before != after:
        if not repo.is_ancestor(before, after):
            raise InTheWay(
                f"your branch {name} has commits that {after:.7} does not contain",
                hint="move them to a branch of their own",
            )
        repo.move_local([RefMove(ref=main, new=after, expected=before)])
    return Pulled(before=before, after=after, notes=(note,))


def take_over(repo: Repo, before: CommitId | None, after: CommitId) -> frozenset[str]:
    """Move the checked-out branch and its files forward; give the paths that were like the new commit before.

    A file that lacks nothing but the number it was released under is given that number first.
    """
    changes = repo.diff(EMPTY_TREE if before is None else before, after)
    same: dict[str, BlobId] = {}
    for change in changes:
        if change.after is None or not change.after.is_file:
            continue
        data = _working(repo, change.path)
        if data is None:
            continue
        if git_hash(data) != change.after.id and not _numbered(repo, change, data, change.after.blob):
            continue
        same[change.path] = change.after.blob
    repo.take(after, same)
    return frozenset(same) | {change.path for change in changes if change.after is None}


def _working(repo: Repo, path: str) -> bytes | None:
    """Read a working file; what cannot be read as one is left to git, which will not touch it."""
    try:
        return repo.read_working(path)
    except GitReleaseError:
        return None


def _numbered(repo: Repo, change: TreeChange, data: bytes, wanted: BlobId) -> bool:
    """Give a working document the number it was released under, if that is all it lacks."""
    try:
        if not place_of(change.path).is_document:
            return False
        released = repo.blob(wanted)
        version = parse(released, file=change.path).value.get("version")
        if not isinstance(version, int) or set_version(data, version, file=change.path) != released:
            return False
    except GitReleaseError:
        return False
    if change.before is not None and git_hash(data) == change.before.id:
        return False  # nobody changed it: git brings it forward by itself
    repo.write_working(change.path, released)
    return True


def _differs(repo: Repo, commit: CommitId, path: str) -> bool:
    """Say whether a working file really is another one; git is not asked to compare contents."""
    entry = repo.tree_entry(commit, path)
    try:
        data = repo.read_working(path)
    except GitReleaseError:
        return True
    if data is None or entry is None or not entry.is_file:
        return not (data is None and entry is None)
    return git_hash(data) != entry.id
