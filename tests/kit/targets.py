"""Targets to try the others against: production in a folder, where things go wrong as a test wants them to.

Beside them, the steps that bring packages to production, and raw git to look at what came of them.

Each target is a `Target` like any other. Whoever connects one reads the same folder, as runners on two
machines would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

from gitrelease.core.finding import Problem
from gitrelease.core.job import Job
from gitrelease.core.names import ItemKey, PackageName, item_key
from gitrelease.core.plan import Digest, Outcome, OutcomeStatus, TargetChange, digest_of
from gitrelease.core.workspace import TargetSettings
from gitrelease.targets import Deployed, Target
from tests.kit.git import Bench
from tests.kit.shop import FIRST_ITEMS, ROLES, Person, Shop, open_shop


class Killed(BaseException):
    """The runner was stopped here; nothing of ours may catch it, as nothing catches a power cut."""


@dataclass(kw_only=True)
class Plant:
    """A production system: what it holds, and how it behaves from now on."""

    folder: Path
    is_transactional: bool = False
    tells_state: bool = True
    """Whether it can say in one word what it holds."""
    fails: frozenset[str] = frozenset()
    """Items it does not take, by name."""
    keeps_silent: frozenset[str] = frozenset()
    """Items of which it does not say what became of them, by name."""
    puts_off: frozenset[str] = frozenset()
    """Items of which it says that they are still to come, though it has them."""
    breaks: str | None = None
    """What it says when a call breaks down as a whole."""
    cannot_hold: frozenset[str] = frozenset()
    """Types of nodes it does not know."""
    seconds: float = 0.0
    """How long a call takes."""
    hangs: Event | None = None
    """What a call waits for before it changes anything."""
    meanwhile: Callable[[], None] | None = None
    """What happens elsewhere during the next call."""
    dies_before: int | None = None
    """At which change, counted from 0 over all calls, the runner dies without having made it."""
    dies_after: int | None = None
    """At which change the runner dies having made it, and nobody was told."""
    in_call: Event = field(default_factory=Event)
    """Set as soon as anybody calls `deploy`."""
    calls: list[tuple[str, ...]] = field(default_factory=list)
    """Which items each call of `deploy` was about."""
    notes: list[str] = field(default_factory=list)
    made: int = 0
    """How many changes were made."""

    def path_of(self, item: ItemKey) -> Path:
        """Say where an item is kept: one file, with all of its files inside."""
        return self.folder / item.kind / f"{item.name}.json"

    def holds(self) -> dict[str, dict[str, Any]]:
        """Read all that is held: for each item its document, as an engine would be given it."""
        found = {}
        for path in sorted(self.folder.glob("*/*.json")):
            files = json.loads(path.read_text(encoding="utf-8"))
            home = min(files, key=len)
            found[f"{path.parent.name}/{path.stem}"] = json.loads(files[home])
        return found

    def versions(self) -> dict[str, int]:
        """Say at which version each item is held."""
        return {item: int(document["version"]) for item, document in self.holds().items()}

    def meddle(self, item: str, files: Mapping[str, str] | None) -> None:
        """Change what is held behind everybody's back."""
        path = self.path_of(item_key(item))
        if files is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(files), encoding="utf-8")


class PlantTarget:
    """A `Target` that keeps items in a plant."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.is_transactional = plant.is_transactional

    def supports(self, job: Job) -> Sequence[Problem]:
        """Refuse the types of nodes that the plant does not know."""
        return [
            Problem(
                code="target-cannot-hold", key=("nodes",), message=f"the plant cannot hold {node.type} nodes"
            )
            for node in job.nodes
            if node.type in self._plant.cannot_hold
        ]

    def state(self) -> str | None:
        """Hash all that is held, if the plant can do that."""
        if not self._plant.tells_state:
            return None
        paths = sorted(self._plant.folder.glob("*/*.json"))
        return sha256(b"".join(path.name.encode() + path.read_bytes() for path in paths)).hexdigest()

    def observe(self, items: Iterable[ItemKey]) -> Mapping[ItemKey, Digest | None]:
        """Read what is held of some items."""
        return {item: self._digest(self._plant.path_of(item)) for item in items}

    def foreign(self) -> Sequence[str]:
        """Hold nothing beside items."""
        return ()

    def observe_all(self) -> Mapping[ItemKey, Digest]:
        """Read what is held of all items."""
        seen = {
            item_key(f"{path.parent.name}/{path.stem}"): self._digest(path)
            for path in self._plant.folder.glob("*/*.json")
        }
        return {item: digest for item, digest in seen.items() if digest is not None}

    def deploy(self, changes: Sequence[TargetChange], *, note: str) -> Deployed:
        """Write the items, one by one or all at once, unless the plant has other plans."""
        plant = self._plant
        plant.in_call.set()
        plant.calls.append(tuple(str(change.item) for change in changes))
        plant.notes.append(note)
        if plant.hangs is not None:
            plant.hangs.wait(30)
        meanwhile, plant.meanwhile = plant.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        sleep(plant.seconds)
        if plant.breaks is not None:
            raise RuntimeError(plant.breaks)
        bad = [change.item for change in changes if change.item.name in plant.fails]
        if bad and plant.is_transactional:
            outcomes = {change.item: self._failed(change, bad[0]) for change in changes}
        else:
            outcomes = {
                change.item: self._failed(change, change.item) if change.item in bad else self._write(change)
                for change in changes
            }
        said = {item: outcome for item, outcome in outcomes.items() if item.name not in plant.keeps_silent}
        pending = {
            item: replace(outcome, status=OutcomeStatus.PENDING)
            for item, outcome in said.items()
            if item.name in plant.puts_off
        }
        return Deployed(outcomes=said | pending, state=self.state())

    def _write(self, change: TargetChange) -> Outcome:
        plant = self._plant
        if plant.dies_before == plant.made:
            raise Killed
        path = plant.path_of(change.item)
        if change.wanted is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            files = {name: data.decode() for name, data in change.wanted.files.items()}
            path.write_text(json.dumps(files), encoding="utf-8")
        plant.made += 1
        if plant.dies_after == plant.made - 1:
            raise Killed
        return Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=self._digest(path))

    def _failed(self, change: TargetChange, culprit: ItemKey) -> Outcome:
        seen = self._digest(self._plant.path_of(change.item))
        return Outcome(
            status=OutcomeStatus.FAILED, deployed=seen, error=f"{culprit.name} is not to our taste"
        )

    def _digest(self, path: Path) -> Digest | None:
        if not path.exists():
            return None
        files = json.loads(path.read_text(encoding="utf-8"))
        return digest_of({name: text.encode() for name, text in files.items()})


def plant_target(name: str) -> str:
    """Write the entry of `workspace.yaml` for a plant."""
    return f"    - {{name: {name}, type: plant}}\n"


def give_plants(person: Person, plants: Mapping[str, Plant]) -> Person:
    """Let somebody's commands reach plants under these names; every other target is connected as ever."""
    others = person.desk.connect

    def connect(settings: TargetSettings) -> Target:
        plant = plants.get(settings.name)
        return others(settings) if plant is None else PlantTarget(plant)

    person.desk = replace(person.desk, connect=connect)
    return person


@contextmanager
def open_mill(bench: Bench, plants: Mapping[str, Plant], **settings: Any) -> Iterator[Shop]:
    """Open a shop whose production is these plants and nothing else; everybody's commands reach them."""
    shop = open_shop(bench, FIRST_ITEMS, targets="".join(map(plant_target, plants)), **settings)
    for who in ROLES:
        give_plants(shop.person(who), plants)
    try:
        yield shop
    finally:
        shop.close()


def receipts(shop: Shop) -> list[dict[str, Any]]:
    """Read the ledger with raw git: the value of every receipt, the trust root first."""
    log = shop.server.git("log", "--first-parent", "--reverse", "--format=%B%x00", "production")
    messages = [message.strip("\n") for message in log.split("\0")]
    return [json.loads(message.partition("\n\n")[2]) for message in messages if message]


def subjects(shop: Shop) -> list[str]:
    """Read the ledger as people do: one line per receipt, the trust root first."""
    return shop.server.git("log", "--first-parent", "--reverse", "--format=%s", "production").splitlines()


def tree(shop: Shop, rev: str) -> dict[str, str]:
    """List the files of a commit on the server with the blob each is."""
    lines = shop.server.git("ls-tree", "-r", rev).splitlines()
    return {path: meta.split(" ")[2] for meta, _, path in (line.partition("\t") for line in lines)}


def edit(person: Person, path: str, old: str, new: str) -> None:
    """Replace a text in what the main branch holds at a path, as working file."""
    person.clone.git("fetch", "--quiet", "origin")
    text = person.clone.git("show", f"origin/main:{path}") + "\n"
    assert old in text, f"{old!r} is not in {path}"
    person.write({path: text.replace(old, new)})


def propose(
    shop: Shop,
    files: Mapping[str, str | None],
    *items: str,
    by: str = "dev-1",
    delete: bool = False,
    **more: Any,
) -> PackageName:
    """Submit items and release them as one package that awaits review."""
    person = shop.person(by)
    person.write(files)
    tasks = [str(one.task) for one in person.submit(*items, delete=delete).items if one.task]
    return person.release(*tasks, **more).manifest.name


def merged(
    shop: Shop,
    files: Mapping[str, str | None],
    *items: str,
    by: str = "dev-1",
    yes: str = "dep-1",
    **more: Any,
) -> PackageName:
    """Take items as far as the main branch: submit, release, approve; no sync."""
    package = propose(shop, files, *items, by=by, **more)
    said = shop.person(yes).approve(package)
    assert said.merged is not None
    assert said.merged.merge is not None
    return package


def workspace_merged(shop: Shop, old: str, new: str) -> PackageName:
    """Change the workspace by a package that the other admin approves; no sync."""
    edit(shop.person("adm-1"), "workspace.yaml", old, new)
    return merged(shop, {}, "workspace.yaml", by="adm-1", yes="adm-2")


def merge_by_git(
    shop: Shop, package: str, *, by: str = "dev-1", extra: Mapping[str, str | None] | None = None
) -> str:
    """Merge a package with git alone, asking nobody, and perhaps slip something in."""
    clone = shop.person(by).clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "-B", "main", "origin/main")
    clone.git("clean", "--quiet", "--force", "-d")
    clone.git("merge", "--quiet", "--no-ff", "--no-edit", f"origin/package/{package}")
    if extra:
        clone.write(extra)
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "--amend", "--no-edit")
    clone.push("HEAD:main")
    return clone.tip()


def push_to_main(shop: Shop, files: Mapping[str, str | None], *, by: str = "dev-1") -> str:
    """Change the main branch with git alone: files by path, None removes one."""
    return push_to(shop, "main", files, by=by)


def push_to(shop: Shop, name: str, files: Mapping[str, str | None], *, by: str = "dev-1") -> str:
    """Change a shared branch with git alone, in a working tree of its own."""
    clone = shop.person(by).clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "-B", f"raw-{name.replace('/', '-')}", f"origin/{name}")
    clone.git("clean", "--quiet", "--force", "-d")
    made = clone.commit(files, "Just this once")
    clone.push(f"HEAD:{name}")
    clone.git("checkout", "--quiet", "--force", "-B", "main", "origin/main")
    return made
