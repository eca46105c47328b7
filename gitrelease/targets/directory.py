"""The directory target: production is a folder on a disk, which somebody else's scheduler reads at any moment.

An item is one file, `jobs/<aa>/<name>.json` or `scripts/<aa>/<name>.json`, that holds all of it: a job with its
subjobs, a script with its content. So one rename replaces an item, and whoever opens the file has one version
of it, whole. (Several files, or a folder per version behind a link, would leave it to every reader to open
them all at the same moment.) Items are replaced one after the other, what is needed before what needs it.

    {"job": {…}, "subjobs": {"part": {…}}}        the bodies as the git target has them
    {"script": {…}}

The folder has to be there, and to hold a file `.gitrelease`, which people make once: the empty folder below a
disk that is not mounted is no production. Whoever writes holds a lock on that file.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

from gitrelease.core.finding import Problem
from gitrelease.core.job import Job
from gitrelease.core.names import ItemKey, Kind, NameRefused, fold, item_name, shard
from gitrelease.core.plan import (
    Deployable,
    Digest,
    Outcome,
    OutcomeStatus,
    TargetChange,
    digest_of,
    main_path,
    production_json,
    stem_of,
    subjob_path,
    subjobs_folder,
)
from gitrelease.errors import GitReleaseError, HalfDone, NotFound
from gitrelease.repo import plain
from gitrelease.targets import Deployed, Site
from gitrelease.targets.folder import Busy, DigestCache, Entry, Folder, Stamp, opened
from gitrelease.targets.git import held_only

SCHEMA: Mapping[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Settings of the directory target",
    "type": "object",
    "required": ["path"],
    "properties": {
        "path": {
            "title": "Path",
            "description": "The folder, absolute or as seen from the top of the clone. It has to be there on every"
            " machine that syncs or asks for the status, and to hold a file .gitrelease.",
            "type": "string",
            "pattern": "^[^\\u0000]+$",
            "maxLength": 4096,
        }
    },
    "additionalProperties": False,
}

MARKER = ".gitrelease"
"""The file that says that a folder is production; people make it, once."""

_ENDING = ".json"
_KINDS = {f"{kind}s": kind for kind in (Kind.JOB, Kind.SCRIPT)}
_SHARD = re.compile("[0-9a-f]{2}")
_OF_THE_DISK = frozenset({MARKER, "lost+found"})
# A file server keeps a replaced file under such a name for as long as somebody reads it.
_STILL_READ = re.compile(r"\.nfs[0-9a-f]+")

_REASONS: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of this user is used up",
    errno.EROFS: "the disk is mounted read-only",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.EISDIR: "a folder is in its place",
    errno.ENOTDIR: "what is in the place of its folder is none",
    errno.ELOOP: "a link is in the place of its folder",
}


class FolderMissing(NotFound):
    """The folder is not there, or nothing says that it is production."""

    code = "folder-missing"


class FolderUnusable(GitReleaseError):
    """The folder cannot be looked at."""

    code = "folder-unusable"


@dataclass(kw_only=True)
class _Seen:
    """What lies in the folder."""

    items: dict[ItemKey, Stamp] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    leftovers: list[tuple[tuple[str, str], str]] = field(default_factory=list)


class DirectoryTarget:
    """A `Target` that is a folder with one file per item."""

    is_transactional = False

    def __init__(self, site: Site) -> None:
        self._name = site.name
        self._path = site.folder / str(site.settings["path"])
        # Never in the folder itself: only what was released lies there.
        self._memory = DigestCache(
            site.repo.git_dir / "gitrelease" / f"target-{site.name}.json", now=site.pen.now
        )

    def supports(self, job: Job) -> Sequence[Problem]:
        """Hold everything; say which nodes nothing here could run."""
        return held_only(job, target="directory", hint="whatever reads the folder has to")

    def state(self) -> str | None:
        """Hash what is held of all items, and the names of all that is none."""
        with self._folder() as folder:
            seen = self._look(folder)
            held = self._digests(folder, seen.items)
            self._memory.forget_others({_path_of(item): None for item in held})
            self._memory.save()
        lines = [f"{item}\0{digest}\n" for item, digest in sorted(held.items())]
        lines += [f"{path}\n" for path in sorted(seen.foreign)]
        return sha256("".join(lines).encode()).hexdigest()

    def observe(self, items: Iterable[ItemKey]) -> Mapping[ItemKey, Digest | None]:
        """Read what the folder holds of some items, unless they are as they were read before."""
        asked = list(items)
        with self._folder() as folder:
            found = self._held(folder, asked)
            self._memory.save()
        return {item: found.get(item) for item in asked}

    def observe_all(self) -> Mapping[ItemKey, Digest]:
        """Read what the folder holds of all items; `foreign` lists the rest."""
        with self._folder() as folder:
            found = self._digests(folder, self._look(folder).items)
            self._memory.save()
        return found

    def foreign(self) -> Sequence[str]:
        """List what lies in the folder and is no item in its place; a folder of others is not looked into."""
        with self._folder() as folder:
            return sorted(self._look(folder).foreign)

    def deploy(self, changes: Sequence[TargetChange], *, note: str) -> Deployed:
        """Replace or remove one file after the other; what goes wrong with one concerns no other."""
        with self._folder() as folder:
            try:
                with folder.locked(MARKER):
                    self._sweep(folder)
                    outcomes = {change.item: self._change(folder, change) for change in changes}
            except Busy as busy:
                raise HalfDone(
                    f"another process is writing to {plain(str(self._path))}, so {note} has to wait",
                    hint="run `gitrelease sync` again",
                ) from busy
        state = None
        with suppress(GitReleaseError):  # what was done is done, and whoever asks later will look
            state = self.state()
        return Deployed(outcomes=outcomes, state=state)

    def _change(self, folder: Folder, change: TargetChange) -> Outcome:
        wanted = None if change.wanted is None else change.wanted.digest
        try:
            now = self._held(folder, [change.item]).get(change.item)
            if now != wanted:
                self._make(folder, change)
                now = self._held(folder, [change.item]).get(change.item)
            if now == wanted:
                return Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=now)
            error = f"{_path_of(change.item)} is not what was written: somebody else writes there"
        except OSError as problem:
            reason = _REASONS.get(problem.errno or 0) or problem.strerror or str(problem)
            verb = "removed" if change.wanted is None else "written"
            error = f"{_path_of(change.item)} was not {verb}: {reason}"
        except GitReleaseError as problem:
            error = problem.message
        now = change.held
        with suppress(OSError, GitReleaseError):
            now = self._held(folder, [change.item]).get(change.item)
        return Outcome(status=OutcomeStatus.FAILED, deployed=now, error=error)

    def _make(self, folder: Folder, change: TargetChange) -> None:
        place, name = _place_of(change.item)
        if change.wanted is None:
            folder.remove(place, name)
            return
        data = _one_file(change.wanted)
        if folder.exists(place, name) and not folder.entries(*place, names={name}):
            # The disk takes names for the same that differ in case. A rename would leave the old name, which is
            # that of an item on its way out.
            others = [entry.name for entry in folder.entries(*place) if fold(entry.name) == fold(name)]
            what = f"{' or '.join(others)} is in its place, and this disk does not tell them apart"
            raise OSError(errno.EEXIST, what)
        folder.write(place, name, data)

    def _sweep(self, folder: Folder) -> None:
        """Remove what writers left who were killed; nobody else writes now."""
        with suppress(OSError):  # what cannot be tidied up stands in nobody's way
            for place, name in self._look(folder).leftovers:
                folder.remove(place, name)

    def _held(self, folder: Folder, items: Iterable[ItemKey]) -> dict[ItemKey, Digest]:
        """Say what is held of some items, looking at nothing else."""
        places: dict[tuple[str, str], set[str]] = {}
        for item in items:
            place, name = _place_of(item)
            places.setdefault(place, set()).add(name)
        seen = _Seen()
        for place, names in places.items():
            _look_into(folder, place, seen, names=names)
        return self._digests(folder, seen.items)

    def _digests(self, folder: Folder, items: Mapping[ItemKey, Stamp]) -> dict[ItemKey, Digest]:
        found = {}
        for item, stamp in items.items():
            digest = self._memory.digest(_path_of(item), stamp, partial(_digest, folder, item))
            if digest is not None:
                found[item] = digest
        return found

    def _look(self, folder: Folder) -> _Seen:
        """List all there is, and read nothing."""
        seen = _Seen()
        for top in folder.entries():
            if top.is_folder and top.name in _KINDS:
                for below in folder.entries(top.name):
                    if below.is_folder and _SHARD.fullmatch(below.name):
                        _look_into(folder, (top.name, below.name), seen)
                    else:
                        seen.foreign.append(_shown(below, top.name))
            elif top.name not in _OF_THE_DISK:
                seen.foreign.append(_shown(top))
        return seen

    @contextmanager
    def _folder(self) -> Iterator[Folder]:
        """Open the folder, if it is there and says that it is production."""
        path = plain(str(self._path))
        make = f"touch {shlex.quote(f'{path}/{MARKER}')}"
        try:
            with opened(self._path) as folder:
                if not any(entry.is_file for entry in folder.entries(names={MARKER})):
                    raise FolderMissing(
                        f"{path}, the folder of the target {self._name}, holds no file {MARKER},"
                        " so nothing says that it is production",
                        hint=f"if it is on a disk that is not mounted, mount it; if it is the right one: {make}",
                    )
                yield folder
        except FileNotFoundError as problem:
            raise FolderMissing(
                f"{path}, the folder of the target {self._name}, is not there",
                hint="if it is on a disk that is not mounted, mount it; if it is new, create it:"
                f" mkdir -p {shlex.quote(path)} && {make}",
            ) from problem
        except OSError as problem:
            inside = isinstance(problem.filename, str) and Path(problem.filename) != self._path
            where = f"{plain(problem.filename)}: " if inside else ""
            raise FolderUnusable(
                f"{path}, the folder of the target {self._name}, cannot be used: {where}{problem.strerror}"
            ) from problem


def _place_of(item: ItemKey) -> tuple[tuple[str, str], str]:
    """Say in which folders an item lies, and under which name."""
    name = item_name(item.name)
    return (f"{item.kind}s", shard(name)), f"{name}{_ENDING}"


def _path_of(item: ItemKey) -> str:
    return f"{stem_of(item)}{_ENDING}"


def _look_into(
    folder: Folder, place: tuple[str, str], seen: _Seen, *, names: Container[str] | None = None
) -> None:
    """List one of the folders that items lie in, or some names of it."""
    for entry in folder.entries(*place, names=names):
        item = _item(place, entry)
        if item is not None:
            seen.items[item] = entry.stamp
        elif entry.is_leftover:
            seen.leftovers.append((place, entry.name))
        elif not _STILL_READ.fullmatch(entry.name):
            seen.foreign.append(_shown(entry, *place))


def _item(place: tuple[str, str], entry: Entry) -> ItemKey | None:
    """Say which item a plain file is, if it is one in the place that follows from the item's name."""
    if not entry.is_file or not entry.name.endswith(_ENDING):
        return None
    try:
        item = ItemKey(kind=_KINDS[place[0]], name=item_name(entry.name.removesuffix(_ENDING)))
    except NameRefused:
        return None
    return item if _place_of(item)[0] == place else None


def _shown(entry: Entry, *folders: str) -> str:
    """Name what lies in the folder, as text whatever its bytes are."""
    path = "/".join((*folders, entry.name)) + ("/" if entry.is_folder else "")
    return os.fsencode(path).decode(errors="backslashreplace")


def _one_file(wanted: Deployable) -> bytes:
    """Put all files of an item into one.

    Raises:
        GitReleaseError: what would be read back is not what was given.
    """
    data = _written(wanted.item, {path: json.loads(text) for path, text in wanted.files.items()})
    if _files_in(wanted.item, data) != wanted.files:
        raise GitReleaseError(f"{wanted.item} cannot be kept in one file")
    return data


def _written(item: ItemKey, bodies: Mapping[str, object]) -> bytes:
    home, folder = main_path(item), subjobs_folder(item)
    subjobs = {
        path.removeprefix(f"{folder}/").removesuffix(f".{Kind.JOB}"): body
        for path, body in bodies.items()
        if path != home
    }
    value = {item.kind.value: bodies[home]}
    return production_json(value | {"subjobs": subjobs} if item.kind is Kind.JOB else value)


def _files_in(item: ItemKey, data: bytes) -> dict[str, bytes] | None:
    """Take the files of an item out of one again; None unless it is to the byte as we write it."""
    try:
        value = json.loads(data)
        bodies = {main_path(item): value[item.kind.value]}
        for name, body in value.get("subjobs", {}).items():
            bodies[subjob_path(item, name)] = body
        if _written(item, bodies) != data:
            return None
        return {path: production_json(body) for path, body in bodies.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _digest(folder: Folder, item: ItemKey) -> tuple[Digest | None, Stamp | None]:
    """Read an item; what we did not write has the digest of its bytes, which no item has."""
    place, name = _place_of(item)
    try:
        data, stamp = folder.read(place, name)
    except FileNotFoundError:
        return None, None
    except OSError as problem:
        # It is not what was released as far as anybody can see, and the others are none the worse for it.
        return digest_of({f"{_path_of(item)}\0{problem.errno}": b""}), None
    return digest_of(_files_in(item, data) or {_path_of(item): data}), stamp


def connect(site: Site) -> DirectoryTarget:
    """Use a folder on a disk as production; it is looked for when there is something to look at or to write."""
    return DirectoryTarget(site)
