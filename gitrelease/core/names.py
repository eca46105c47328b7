"""Names: what an item, a package, a branch and a tag may be called, and where each item lives.

Everything here is parsed once, at the edge: a value of one of these types needs no second look.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import NewType

from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError

CommitId = NewType("CommitId", str)
TreeId = NewType("TreeId", str)
BlobId = NewType("BlobId", str)
TagId = NewType("TagId", str)
MemberId = NewType("MemberId", str)
"""What the workspace calls a person; also the principal of that person's SSH signatures."""
ItemName = NewType("ItemName", str)
PackageName = NewType("PackageName", str)
Directory = NewType("Directory", str)
"""A directory of items: `/` or `/sales/daily`."""
RefName = NewType("RefName", str)
"""A full ref as the shared repository names it: `refs/heads/main`."""

ITEM_BYTES = 200
PACKAGE_BYTES = 220
NAME_CHARACTERS = 128
DIRECTORY_LEVELS = 10
_REMEMBERED = 4096
"""For how many texts is remembered what they are: an item is named again wherever something is said of it."""

# CJK ideographs: extension A, the unified block, the compatibility ideographs, and the planes 2 and 3. They are
# spelled out, because an editor that normalises text turns the first compatibility ideograph into another one.
_IDEOGRAPHS = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_NAME = re.compile(rf"[A-Za-z0-9_.\-{_IDEOGRAPHS}]+")
_DIRECTORY_PART = re.compile(rf"[A-Za-z0-9_\-{_IDEOGRAPHS}]{{1,64}}")
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")
# Windows opens a device when a file is called one of these, whatever its ending.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
)


class NameRefused(GitReleaseError):
    """A name is not one that gitrelease allows (design 2)."""

    code = "name-refused"


class Kind(StrEnum):
    """What an item is."""

    JOB = "job"
    SCRIPT = "script"
    WORKSPACE = "workspace"


_KINDS = frozenset(Kind)


@dataclass(frozen=True, kw_only=True, order=True)
class ItemKey:
    """One item: its kind and its name, unique in the workspace also after folding."""

    kind: Kind
    name: ItemName

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def folded(self) -> tuple[Kind, str]:
        """What two items may not share."""
        return self.kind, fold(self.name)


WORKSPACE_ITEM = ItemKey(kind=Kind.WORKSPACE, name=ItemName("workspace"))
"""A repository has one workspace, so its item needs no name of its own."""


@dataclass(frozen=True, kw_only=True, order=True)
class TaskId:
    """One submitted version of one item: `job/orders/v3`."""

    item: ItemKey
    version: int

    def __str__(self) -> str:
        return f"{self.item}/v{self.version}"


def fold(name: str) -> str:
    """Map names that people or file systems could mix up onto one text: composed, case folded."""
    if name.isascii():  # then there is nothing to compose
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _why_not(name: str, *, most_bytes: int, most_characters: int | None) -> str | None:
    """Give the first rule of design 2 that a name breaks, or nothing."""
    if not name:
        return "is empty"
    if not _NAME.fullmatch(name):
        return "has characters other than letters, digits, '_', '-', '.' and CJK ideographs"
    if unicodedata.normalize("NFC", name) != name:
        return "is not in Unicode's composed form (NFC)"
    if most_characters is not None and len(name) > most_characters:
        return f"is longer than {most_characters} characters"
    if len(name.encode()) > most_bytes:
        return f"is longer than {most_bytes} bytes of UTF-8"
    if name[0] in "-.":
        return "starts with '-' or '.'"
    if name.endswith(".") or fold(name).endswith(".lock"):
        return "ends in '.' or '.lock'"
    if ".." in name:
        return "has '..' in it"
    if fold(name).split(".")[0] in _DEVICES:
        return "is the name of a device on Windows, where a clone of it could not be checked out"
    return None


def item_name(text: str) -> ItemName:
    """Parse the name of a job or a script; raise `NameRefused` with the rule it breaks."""
    if reason := _why_not(text, most_bytes=ITEM_BYTES, most_characters=NAME_CHARACTERS):
        raise NameRefused(f"the name {text!r} {reason}", hint="choose a name such as dws_orders_daily")
    return ItemName(text)


def package_name(text: str) -> PackageName:
    """Parse the name of a package; raise `NameRefused` with the rule it breaks."""
    if reason := _why_not(text, most_bytes=PACKAGE_BYTES, most_characters=None):
        raise NameRefused(f"the package name {text!r} {reason}", hint="choose a name such as orders_20261122")
    return PackageName(text)


def directory(text: str) -> Directory:
    """Parse a directory of items; raise `NameRefused` with the rule it breaks."""
    if text == "/":
        return Directory("/")
    parts = text.removeprefix("/").split("/")
    if not text.startswith("/") or not all(_DIRECTORY_PART.fullmatch(part) for part in parts):
        raise NameRefused(
            f"the directory {text!r} is not one of names of 1 to 64 letters, digits, '_' and '-'",
            hint="write it as /sales/daily",
        )
    for part in parts:
        if unicodedata.normalize("NFC", part) != part or fold(part) in _DEVICES:
            raise NameRefused(
                f"the directory {text!r} has the part {part!r}, which not every file system can hold",
                hint="give that folder another name",
            )
    if len(parts) > DIRECTORY_LEVELS:
        raise NameRefused(
            f"the directory {text!r} is deeper than {DIRECTORY_LEVELS} levels",
            hint="move the item to a folder further up",
        )
    return Directory(text)


@lru_cache(maxsize=_REMEMBERED)
def item_key(text: str) -> ItemKey:
    """Parse `job/orders`, `script/clean-orders` or `workspace/<name>`."""
    kind, _, name = text.partition("/")
    if kind not in _KINDS or not name:
        raise NameRefused(f"{text!r} is not kind/name", hint="write job/<name> or script/<name>")
    return ItemKey(kind=Kind(kind), name=item_name(name))


def task_id(text: str) -> TaskId:
    """Parse `job/orders/v3`."""
    item, _, number = text.rpartition("/")
    version = _VERSION.fullmatch(number)
    if version is None:
        raise NameRefused(f"{text!r} is not kind/name/v<number>", hint="write job/orders/v3")
    return TaskId(item=item_key(item), version=int(version[1]))


# Refs, as the shared repository names them (design 3).

HEADS = "refs/heads/"
SUBMIT = RefName(HEADS + "submit/")
PACKAGE = RefName(HEADS + "package/")
REVIEW = RefName(HEADS + "review/")
DEPLOY = RefName(HEADS + "deploy/")
ARCHIVE = RefName(HEADS + "archive")
LEDGER = RefName(HEADS + "production")
RELEASE_TAGS = RefName("refs/tags/release/")


def branch(name: str) -> RefName:
    """Give the full ref of a branch."""
    return RefName(HEADS + name)


def task_ref(task: TaskId) -> RefName:
    """Name the branch that holds a task."""
    return RefName(f"{SUBMIT}{task}")


def task_of(ref: RefName) -> TaskId:
    """Read a task's branch name back; raise `NameRefused` when it is not one."""
    return task_id(ref.removeprefix(SUBMIT))


def package_ref(package: PackageName) -> RefName:
    """Name the branch that holds a package while it is reviewed."""
    return RefName(f"{PACKAGE}{package}")


def package_of(ref: RefName) -> PackageName | None:
    """Read a package's name off its branch; nothing where that is no package, as `gitrelease check` says in words."""
    try:
        return package_name(ref.removeprefix(PACKAGE)) if ref.startswith(PACKAGE) else None
    except NameRefused:
        return None


def review_ref(package: PackageName) -> RefName:
    """Name the branch that logs the opinions on a package, on plain git."""
    return RefName(f"{REVIEW}{package}")


def release_tag(package: PackageName) -> RefName:
    """Name the tag of a released package."""
    return RefName(f"{RELEASE_TAGS}{package}")


# Paths (design 2).

WORKSPACE_PATH = "workspace.yaml"
GUARDED = ("items", "jobs", "packages", "scripts", WORKSPACE_PATH)
"""What only an approved package may change on the main branch."""
_GUARDED_FOLDERS = frozenset(GUARDED) - {WORKSPACE_PATH}

JOB_ENDING = ".job.yaml"
SCRIPT_ENDING = ".script.yaml"
SUBJOBS_ENDING = ".subjobs"
CONTENT_ENDINGS = (".sql", ".py", ".sh")


def is_guarded(path: str) -> bool:
    """Say whether only an approved package may change this path."""
    return path in GUARDED or path.partition("/")[0] in _GUARDED_FOLDERS


@lru_cache(maxsize=_REMEMBERED)
def shard(name: str) -> str:
    """Spread names over 256 folders, by their folded form; git reads and writes a folder whole."""
    return sha256(fold(name).encode()).hexdigest()[:2]


def manifest_path(package: PackageName) -> str:
    """Say where the manifest of a package lies."""
    return f"packages/{shard(package)}/{package}.yaml"


def package_at(path: str) -> PackageName | None:
    """Read a package's name off the path of its manifest; nothing where no manifest lies there."""
    try:
        name = package_name(path.rpartition("/")[2].removesuffix(".yaml"))
    except NameRefused:
        return None
    return name if manifest_path(name) == path else None


def record_path(item: ItemKey) -> str:
    """Say where the record of an item lies; two names that fold alike share one path, so git lets one of them in."""
    return f"items/{item.kind}/{shard(item.name)}/{fold(item.name)}.yaml"


def home(kind: Kind, place: Directory) -> str:
    """Say which folder of the repository holds the items of a directory: `jobs/sales/daily`."""
    return f"{kind}s" + (place if place != "/" else "")


def main_file(item: ItemKey, place: Directory) -> str:
    """Say where the document of an item lies when it is in that directory."""
    if item.kind is Kind.WORKSPACE:
        return WORKSPACE_PATH
    ending = JOB_ENDING if item.kind is Kind.JOB else SCRIPT_ENDING
    return f"{home(item.kind, place)}/{item.name}{ending}"


@frozen
class Place:
    """Which item a path belongs to, and which directory it says the item is in."""

    item: ItemKey
    directory: Directory
    is_document: bool
    """Whether this file is the item's own document, not a subjob or a script's content."""


@lru_cache(maxsize=_REMEMBERED)
def place_of(path: str) -> Place:
    """Say which item a path under `jobs/`, `scripts/` or `workspace.yaml` belongs to.

    Raises:
        NameRefused: the path is none of design 2, for instance a stray file below `jobs/`.
    """
    if path == WORKSPACE_PATH:
        return Place(item=WORKSPACE_ITEM, directory=Directory("/"), is_document=True)
    top, *rest = path.split("/")
    if rest and "" not in rest:
        *between, file = rest
        if top == "jobs":
            return _job_place(path, between, file)
        if top == "scripts":
            return _script_place(path, between, file)
    raise NameRefused(f"{path!r} is not a file of an item", hint="items live below jobs/ and scripts/")


def _job_place(path: str, between: list[str], file: str) -> Place:
    folders = [n for n, part in enumerate(between) if part.endswith(SUBJOBS_ENDING)]
    if folders:
        if len(folders) > 1 or folders[0] != len(between) - 1 or not file.endswith(JOB_ENDING):
            raise NameRefused(f"{path!r} is not a subjob", hint="subjobs are <job>.subjobs/<name>.job.yaml")
        item_name(file.removesuffix(JOB_ENDING))
        name = item_name(between[-1].removesuffix(SUBJOBS_ENDING))
        place = directory("/" + "/".join(between[:-1]))
        return Place(item=ItemKey(kind=Kind.JOB, name=name), directory=place, is_document=False)
    if not file.endswith(JOB_ENDING):
        raise NameRefused(
            f"{path!r} is neither a job nor a subjob", hint="below jobs/ there are only <name>.job.yaml files"
        )
    name = item_name(file.removesuffix(JOB_ENDING))
    place = directory("/" + "/".join(between))
    return Place(item=ItemKey(kind=Kind.JOB, name=name), directory=place, is_document=True)


def _script_place(path: str, between: list[str], file: str) -> Place:
    place = directory("/" + "/".join(between))
    if file.endswith(SCRIPT_ENDING):
        name = item_name(file.removesuffix(SCRIPT_ENDING))
        return Place(item=ItemKey(kind=Kind.SCRIPT, name=name), directory=place, is_document=True)
    for ending in CONTENT_ENDINGS:
        if file.endswith(ending):
            name = item_name(file.removesuffix(ending))
            return Place(item=ItemKey(kind=Kind.SCRIPT, name=name), directory=place, is_document=False)
    raise NameRefused(
        f"{path!r} is neither a script nor its content",
        hint="below scripts/ there are only <name>.script.yaml and one <name>.sql, .py or .sh beside it",
    )
