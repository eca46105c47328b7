"""Where an item that is being submitted is read from: the working tree, or a commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from fnmatch import translate
from functools import cached_property
from hashlib import sha1
from itertools import count
from re import compile as regex
from typing import Protocol

from gitrelease.core.finding import Finding, Severity
from gitrelease.core.item import ItemState, document_path
from gitrelease.core.names import (
    CONTENT_ENDINGS,
    JOB_ENDING,
    SCRIPT_ENDING,
    SUBJOBS_ENDING,
    WORKSPACE_ITEM,
    WORKSPACE_PATH,
    CommitId,
    ItemKey,
    ItemName,
    Kind,
    NameRefused,
    TreeId,
    item_name,
    place_of,
)
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError, NotFound, Refused, UsageError
from gitrelease.reading.tasks import belongs
from gitrelease.reading.trees import read_records
from gitrelease.repo import FileRefused, Lying, Repo

PREFIXES = ("jobs", "scripts", WORKSPACE_PATH)
_FOLDERS = ("jobs", "scripts")
_SINGLY = 16
"""About how many names git is asked one by one."""
_ENDINGS = {Kind.JOB: JOB_ENDING, Kind.SCRIPT: SCRIPT_ENDING}


class Source(Protocol):
    """Files as somebody has them."""

    def read(self, path: str) -> bytes | None:
        """Give a file, None when there is none."""

    def below(self, folder: str) -> Sequence[str]:
        """List the files below a folder."""

    @property
    def changed(self) -> frozenset[str]:
        """The paths of items that may differ from what is compared with; some may be equal after all."""

    def called(self, name: str, known: str | None) -> frozenset[str]:
        """The paths in `changed` whose last part this is, but for the one that is known already."""

    @property
    def ignored(self) -> frozenset[str]:
        """The files named as those of items are that git is told to ignore, so that they are in no list."""


@frozen
class WorkingTree:
    """The files as they lie in the working tree."""

    repo: Repo
    base: CommitId
    _asked: Iterator[int] = field(default_factory=count, repr=False, compare=False)
    """How often git was asked about files of one name."""

    def read(self, path: str) -> bytes | None:
        """Read a working file; symlinks and the like are refused (pitfall P17)."""
        return self.repo.read_working(path)

    def below(self, folder: str) -> Sequence[str]:
        """List working files below a folder, and what stands in the place of one, so that reading it refuses it."""
        root = self.repo.worktree
        if root is None:
            raise Refused("this is a bare repository: it has no working files", hint="use --ref")
        start = root / folder
        if not start.is_dir() or start.is_symlink():
            return []
        names = ((path.relative_to(root).as_posix(), path) for path in start.rglob("*"))
        return sorted(
            name
            for name, path in names
            if path.is_symlink() or not path.is_dir() or belongs(name) is not None
        )

    @cached_property
    def _lying(self) -> Lying:
        return self.repo.lying(_FOLDERS)

    @cached_property
    def _unkept(self) -> Sequence[str]:
        from concurrent.futures import ThreadPoolExecutor  # brings logging; most commands look at no files

        with ThreadPoolExecutor(1) as beside:
            kept = beside.submit(self.repo.kept_paths)
            lying = self._lying
            return self.repo.unkept(lying, kept.result(), PREFIXES)

    @cached_property
    def changed(self) -> frozenset[str]:
        """Ask git which working files may differ from the main branch.

        What is named as files of items are, and is a folder, a pipe or a socket, git does not list.
        """
        from concurrent.futures import ThreadPoolExecutor  # brings logging; most commands look at no files

        with ThreadPoolExecutor(1) as beside:
            kept = beside.submit(self.repo.kept_changes, self.base, PREFIXES)
            others = self.repo.other_paths(self._unkept)
            in_the_way = {path for path in self._lying.no_files if belongs(path) is not None}
            return frozenset(kept.result() | others | in_the_way)

    def based_on(self, base: CommitId) -> WorkingTree:
        """Give the same files beside another commit."""
        return self if base == self.base else WorkingTree(repo=self.repo, base=base)

    def called(self, name: str, known: str | None) -> frozenset[str]:
        """Ask git about files of this name only: to look at all of them takes as long as asking for some names."""
        files = [path for path in self._lying.files_called(name) if path != known]
        changed: Iterable[str] = ()
        if files and ("changed" in vars(self) or next(self._asked) >= _SINGLY):
            changed = self._named.get(name, ())
        elif files:
            changed = self.repo.changed_paths(self.base, files)
        in_the_way = (path for path in self._lying.no_files if path.endswith(f"/{name}"))
        return frozenset((*changed, *in_the_way)) - {known}

    @cached_property
    def _named(self) -> Mapping[str, frozenset[str]]:
        return _by_last_name(self.changed)

    @cached_property
    def ignored(self) -> frozenset[str]:
        """Ask git what it is told to ignore."""
        return frozenset(p for p in self.repo.ignored_paths(self._unkept) if belongs(p) is not None)


@frozen
class AtCommit:
    """The files as a commit has them."""

    repo: Repo
    commit: CommitId
    base: CommitId

    def read(self, path: str) -> bytes | None:
        """Read a file of the commit."""
        return self.repo.content(self.commit, path)

    def below(self, folder: str) -> Sequence[str]:
        """List files below a folder of the commit."""
        return [entry.path for entry in self.repo.list_tree(self.commit, folder, recursive=True)]

    @cached_property
    def changed(self) -> frozenset[str]:
        """Compare the commit with where it left the main branch: later releases are not its doing."""
        base = self.repo.merge_base(self.commit, self.base) or self.base
        return frozenset(change.path for change in self.repo.diff(base, self.commit, PREFIXES))

    def called(self, name: str, known: str | None) -> frozenset[str]:
        """Pick them out of what differs."""
        return self._named.get(name, frozenset()) - {known}

    @cached_property
    def _named(self) -> Mapping[str, frozenset[str]]:
        return _by_last_name(self.changed)

    @property
    def ignored(self) -> frozenset[str]:
        """Ignore nothing: what is committed is seen."""
        return frozenset()


def _by_last_name(paths: Iterable[str]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for path in paths:
        found.setdefault(path.rpartition("/")[2], set()).add(path)
    return {name: frozenset(those) for name, those in found.items()}


def item_files(source: Source, document: str) -> dict[str, bytes]:
    """Read the files of the item whose document lies at a path."""
    paths = [document]
    if document.endswith(JOB_ENDING):
        paths += source.below(document.removesuffix(JOB_ENDING) + SUBJOBS_ENDING)
    elif document.endswith(SCRIPT_ENDING):
        paths += [document.removesuffix(SCRIPT_ENDING) + ending for ending in CONTENT_ENDINGS]
    read = {path: source.read(path) for path in paths}
    return {path: data for path, data in read.items() if data is not None}


def find_document(source: Source, item: ItemKey, state: ItemState | None) -> str | None:
    """Find the document of an item: where it was released, or where it was moved to or newly written."""
    if item.kind is Kind.WORKSPACE:
        return WORKSPACE_PATH if source.read(WORKSPACE_PATH) is not None else None
    known = document_path(state.files) if state is not None else None
    file = f"{item.name}{_ENDINGS[item.kind]}"
    places = {path for path in source.called(file, known) if _is_document(path)}
    if known is not None:
        places.add(known)
    there = sorted(path for path in places if source.read(path) is not None)
    if len(there) > 1:
        raise Refused(f"{item} lies in two places: {' and '.join(there)}", hint="keep one of them")
    return there[0] if there else None


def left_of(source: Source, item: ItemKey) -> dict[str, bytes]:
    """Read what there is of an item that has no document.

    Raises:
        Refused: the document is there, and git is told to ignore it.
    """
    if hidden := sorted(path for path in source.ignored if belongs(path) == item and _is_document(path)):
        raise Refused(_IGNORED.format(repr(hidden[0])), hint=_seen(hidden[0]), code="ignored")
    read = {path: source.read(path) for path in sorted(source.changed) if belongs(path) == item}
    return {path: data for path, data in read.items() if data is not None}


_IGNORED = "git is told to ignore {}"


def _seen(path: str) -> str:
    return f"`git check-ignore -v {path}` names the line that does; `git add --force {path}` overrules it"


def ignored_findings(source: Source) -> list[Finding]:
    """Warn of files that would be left out without a word."""
    return [
        Finding(
            code="ignored",
            severity=Severity.WARNING,
            file=path,
            message=_IGNORED.format("this file") + ", so changes of it are not seen",
            hint=_seen(path),
        )
        for path in sorted(source.ignored)
    ]


def refusal(item: ItemKey, wrong: GitReleaseError) -> Finding:
    """Make a finding of an item that cannot be read, so that it does not hide the others."""
    file = wrong.path if isinstance(wrong, FileRefused) else None
    return Finding(code=wrong.code, file=file or str(item), message=wrong.message, hint=wrong.hint)


def _is_document(path: str) -> bool:
    try:
        return place_of(path).is_document
    except NameRefused:
        return False


def items_named(
    repo: Repo, source: Source, approved: TreeId, texts: Iterable[str], *, everything: bool
) -> list[ItemKey]:
    """Work out which items somebody means: a path, a glob, `kind/name`, or a name where that is clear (design 4).

    Args:
        repo: the repository.
        source: where the items are read from.
        approved: what is approved, to look names up in.
        texts: what was typed.
        everything: all items that differ from what is approved.
    """
    found: dict[ItemKey, None] = {}
    if everything:
        found.update(dict.fromkeys(items_of(source.changed)))
    for text in texts:
        found.update(dict.fromkeys(_meant(repo, source, approved, text)))
    return list(found)


def items_of(paths: Iterable[str]) -> list[ItemKey]:
    """List the items that paths belong to; a path that belongs to none is refused."""
    return list(dict.fromkeys(place_of(path).item for path in sorted(paths)))


def _meant(repo: Repo, source: Source, approved: TreeId, text: str) -> list[ItemKey]:
    clean = text.removeprefix("./").rstrip("/")
    if any(character in clean for character in "*?["):
        folder = clean.split("*")[0].split("?")[0].split("[")[0].rpartition("/")[0]
        if not folder.startswith(("jobs", "scripts")):
            raise UsageError(f"{text!r} does not start below jobs/ or scripts/", hint="write jobs/sales/*")
        pattern = regex(translate(clean))
        paths = [path for path in source.below(folder) if pattern.match(path)]
        if not paths:
            raise NotFound(f"no file matches {text!r}", hint="`gitrelease status` lists what changed")
        return items_of(paths)
    if clean in {"workspace", WORKSPACE_PATH}:
        return [WORKSPACE_ITEM]
    if clean.startswith(("jobs/", "scripts/")):
        if clean.endswith((".yaml", *CONTENT_ENDINGS)) and source.read(clean) is not None:
            return [place_of(clean).item]
        if below := source.below(clean):
            return items_of(below)
        raise NotFound(
            f"there is no {text}", hint="give a file or folder below jobs/ or scripts/, or kind/name"
        )
    kind, slash, name = clean.partition("/")
    if slash and kind in set(Kind):
        return [ItemKey(kind=Kind(kind), name=item_name(name))]
    return [_by_name(repo, source, approved, text)]


def _by_name(repo: Repo, source: Source, approved: TreeId, text: str) -> ItemKey:
    name = item_name(text)
    both = [ItemKey(kind=kind, name=ItemName(name)) for kind in (Kind.JOB, Kind.SCRIPT)]
    recorded = {
        item for item, (_, record) in read_records(repo, approved, both).items() if record.state.exists
    }
    written = {
        item
        for item in both
        for path in source.called(f"{item.name}{_ENDINGS[item.kind]}", None)
        if _is_document(path) and place_of(path).item == item
    }
    meant = sorted(recorded | written)
    if not meant:
        raise NotFound(
            f"there is no job and no script called {text!r}", hint="`gitrelease status` lists what changed"
        )
    if len(meant) > 1:
        raise Refused(f"{text!r} is both a job and a script", hint=f"write {meant[0]} or {meant[1]}")
    return meant[0]


def git_hash(data: bytes) -> str:
    """Give the id that git gives these bytes as a blob."""
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
