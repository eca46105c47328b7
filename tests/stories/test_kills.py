"""Kill submit, release, approve, merge, sync, revoke and reject at every effect; the next run ends in the same place.

The effects are counted in an undisturbed run, so a new one is attacked as soon as it is written. Then the same
commands two at once: one wins, the other says so, nothing is lost and nothing is done twice.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from gitrelease.cli import root
from tests.kit.git import Bench, Clock, Clone, KeyRing
from tests.kit.kill import Ended, Killer
from tests.kit.shop import FIRST_ITEMS, Shop, job_yaml, open_shop, script_yaml

PACKAGE = "first"
CHANGED = {
    "jobs/sales/orders.job.yaml": job_yaml("orders", version=1, script="clean", note="again"),
    "jobs/sales/refunds.job.yaml": job_yaml("refunds", after=["orders"]),
    "scripts/sales/late.script.yaml": script_yaml("late"),
    "scripts/sales/late.sql": "SELECT 2;\n",
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Who types what, and how far the shop is when they do."""

    who: str
    words: tuple[str, ...]
    prepare: Callable[[Shop], None]
    by_hand: bool = False
    """Whether the workspace leaves merging to people."""


def _edited(shop: Shop) -> None:
    shop.person("dev-1").write(CHANGED)


def _submitted(shop: Shop) -> None:
    _edited(shop)
    shop.person("dev-1").submit(everything=True)


def _resubmitting(shop: Shop) -> None:
    _submitted(shop)
    more = job_yaml("orders", version=2, script="clean", note="and again")
    shop.person("dev-1").write({"jobs/sales/orders.job.yaml": more})


def _released(shop: Shop) -> None:
    _submitted(shop)
    shop.person("dev-1").release(everything=True, name=PACKAGE)


def _said(shop: Shop) -> None:
    """Approved, and not merged: the workspace leaves that to people."""
    _released(shop)
    shop.person("dep-1").approve(PACKAGE)


def _merged(shop: Shop) -> None:
    shop.person("sync").sync()
    _released(shop)
    shop.person("dep-1").approve(PACKAGE)


def _live(shop: Shop) -> None:
    _merged(shop)
    shop.person("sync").sync()


def _merged_first(shop: Shop) -> None:
    """Merged before production was ever given anything."""
    _released(shop)
    shop.person("dep-1").approve(PACKAGE)


SCENES: Mapping[str, Scene] = {
    "submit": Scene(who="dev-1", words=("submit", "--all"), prepare=_edited),
    "submit-supersedes": Scene(who="dev-1", words=("submit", "orders"), prepare=_resubmitting),
    "release": Scene(who="dev-1", words=("release", "--all", "--name", PACKAGE), prepare=_submitted),
    "approve": Scene(who="dep-1", words=("package", "approve", PACKAGE), prepare=_released),
    "merge": Scene(who="dep-1", words=("package", "merge", PACKAGE), prepare=_said, by_hand=True),
    "reject": Scene(who="dep-1", words=("package", "reject", PACKAGE, "-m", "no"), prepare=_released),
    "revoke-package": Scene(who="dev-1", words=("package", "revoke", PACKAGE), prepare=_released),
    "revoke-task": Scene(who="dev-1", words=("task", "revoke", "job/orders/v2"), prepare=_submitted),
    "rollback": Scene(who="dep-1", words=("rollback", PACKAGE, "--name", "back"), prepare=_live),
    "sync-first": Scene(who="sync", words=("sync",), prepare=_merged_first),
    "sync": Scene(who="sync", words=("sync",), prepare=_merged),
}


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A shop that is ready for its scene, in a folder that can be copied."""

    folder: Path
    environ: Mapping[str, str]
    root: str
    killer: Killer
    scene: Scene

    @property
    def server(self) -> Clone:
        """The shared repository."""
        return Clone(path=self.folder / "server.git", environ=self.environ, clock=CLOCK)

    def environ_of(self, who: str) -> dict[str, str]:
        """Give the environment of somebody's terminal."""
        return {**self.environ, "GITRELEASE_ROOT": self.root}

    @contextmanager
    def copied(self, to: Path) -> Iterator[Prepared]:
        """Have a copy of the shop for a while, server and clones, and lead the clones to the copied server."""
        shutil.copytree(self.folder, to, symlinks=True)
        for clone in to.iterdir():
            if (clone / ".git").is_dir():
                url = ["git", "config", "remote.origin.url", str(to / "server.git")]
                subprocess.run(url, cwd=clone, check=True, env=dict(self.environ))
        yield replace(self, folder=to)
        shutil.rmtree(to)

    def play(self, *, at: str = "never") -> Ended:
        """Type the command of the scene, and be killed where it is asked for."""
        return self.type(self.scene.who, self.scene.words, at=at)

    def type(
        self, who: str, words: Sequence[str], *, at: str = "never", meanwhile: Path | None = None
    ) -> Ended:
        """Type a command; at some effect it is killed, or a program is run in between."""
        return self.killer.run(
            words, where=self.folder / who, environ=self.environ_of(who), at=at, meanwhile=meanwhile
        )

    def look(self, *words: str) -> str:
        """Give what the command line shows a viewer; nobody is killed here, so it needs no process of its own."""
        env = self.environ_of("view-1")
        shown = CliRunner().invoke(root, ["-C", str(self.folder / "view-1"), *words], env=env)
        assert shown.exit_code == 0, (words, shown.output, shown.exception)
        return shown.stdout

    def left(self) -> object:
        """Say what a killed run left for the next one to find, by content: ids differ as times do."""
        left: dict[str, object] = {}
        for repository in (self.server.path, self.folder / self.scene.who):
            clone = Clone(path=repository, environ=self.environ, clock=CLOCK)
            listed = clone.git("for-each-ref", "--format=%(refname) %(tree) %(contents)")
            left[repository.name] = re.sub(r"\b[0-9a-f]{40,}\b|(?<=\"run\": )\S+", "…", listed)
        folder = self.folder / self.scene.who
        files = [path for path in folder.rglob("*") if path.is_file() and "objects" not in path.parts]
        left["working"] = {
            str(path.relative_to(folder)): path.read_bytes() for path in files if ".git" not in path.parts
        }
        left["files of git"] = sorted(path.name for path in files if ".git" in path.parts)
        return left

    def state(self) -> object:
        """Say what people find afterwards."""
        return self.found()

    def found(self) -> dict[str, Any]:
        """Give what is in git and in lists, without what differs from run to run: ids, times, signs of life."""
        server = self.server
        refs = server.refs()
        trees = {
            name: server.git("rev-parse", f"{name}^{{tree}}")
            for name in ("refs/heads/main", "refs/heads/deploy/main", "refs/heads/production")
            if name in refs
        }
        archived = "refs/heads/archive" in refs
        ledger = server.git("log", "--first-parent", "--format=%s", "production").splitlines()
        logs = {
            name: server.git("log", "--first-parent", "--format=%s", name, "^main").splitlines()
            for name in refs
            if name.startswith("refs/heads/review/")
        }
        clone = Clone(path=self.folder / self.scene.who, environ=self.environ, clock=CLOCK)
        working = {
            path.relative_to(clone.path).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(clone.path.rglob("*.yaml"))
        }
        return {
            "refs": sorted(refs),
            "trees": trees,
            "archive": server.git("ls-tree", "-r", "--name-only", "archive") if archived else None,
            "settled": server.git("log", "--first-parent", "--format=%s", "archive").splitlines()
            if archived
            else [],
            "ledger": [line for line in ledger if not line.startswith("alive")],
            "logs": logs,
            "working": working,
            "lists": {what: self.listed(what) for what in ("task", "package")},
        }

    def listed(self, what: str) -> dict[str, Any]:
        """Give what a list shows, without times."""
        return cast("dict[str, Any]", _without_times(self.look(what, "list", "--json")))


CLOCK = Clock()


def _without_times(text: str) -> object:
    """Drop what differs between two runs of the same story."""

    def clean(value: object) -> object:
        if isinstance(value, dict):
            drop = {"appliedAt", "releasedAt", "submittedAt", "at", "commit", "task"}
            return {key: clean(inner) for key, inner in value.items() if key not in drop}
        if isinstance(value, list):
            cleaned = [clean(inner) for inner in value]
            return sorted(cleaned, key=lambda one: json.dumps(one, sort_keys=True))
        return value

    return clean(json.loads(text))


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Callable[[str], Prepared]:
    """Shops that are ready for their scenes, each made once."""
    made: dict[str, Prepared] = {}

    def prepare(name: str) -> Prepared:
        if name not in made:
            scene = SCENES[name]
            folder = tmp_path_factory.mktemp(f"scene-{name}")
            stage = folder / "stage"
            stage.mkdir()
            bench = Bench(folder=stage, keys=keys)
            shop = open_shop(bench, FIRST_ITEMS, lease=1, auto_merge=not scene.by_hand)
            scene.prepare(shop)
            shop.person(scene.who)
            shop.person("view-1")
            shop.close()
            home = dict(bench.environ)
            made[name] = Prepared(
                folder=stage,
                environ=home,
                root=shop.root,
                killer=Killer(folder=folder / "killer"),
                scene=scene,
            )
        return made[name]

    return prepare


NORMALLY = {"submit", "sync"}
"""A single push, as most of them are, and the one of many. `sync-first` begins with a baseline, work like any other."""


NAMES = [name if name in NORMALLY else pytest.param(name, marks=pytest.mark.long) for name in SCENES]


@pytest.mark.parametrize("name", NAMES)
def test_killed_anywhere_it_ends_in_the_same_place(
    name: str,
    prepared: Callable[[str], Prepared],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """SIGKILL before and after every effect: the next run ends where an undisturbed one does."""
    kill_everywhere(prepared(name), tmp_path, record_property)


def kill_everywhere(start: Prepared, folder: Path, record_property: Callable[[str, object], None]) -> None:
    """Kill a scene at each of its effects, and see that the next run ends where an undisturbed one does."""
    with start.copied(folder / "calm") as calm:
        ended = calm.play()
        assert ended.code == 0, ended.err
        wanted = calm.state()
        again = calm.play()
        assert again.code in {0, 1}, again.err
        assert calm.state() == wanted, "the same command again changed something"
    points = [f"{n} {when}" for n in range(1, len(ended.effects) + 1) for when in ("before", "after")]
    record_property("kill points", len(points))
    assert points
    left_before: object = None
    for point in points:
        with start.copied(folder / point.replace(" ", "-")) as here:
            killed = here.play(at=point)
            assert killed.was_killed, (point, ended.effects, killed.err)
            left = here.left()
            # Before an effect is nearly always where the one before it ended: what the next run does was seen then.
            if left != left_before:
                finished = here.play()
                assert finished.code == 0, (point, ended.effects, finished.err)
                assert here.state() == wanted, (point, ended.effects)
            left_before = left


@pytest.mark.parametrize("name", NAMES)
def test_two_at_once(name: str, prepared: Callable[[str], Prepared], tmp_path: Path) -> None:
    """The same command twice at the same moment: it is done once, and neither run breaks anything."""
    play_twice_at_once(prepared(name), tmp_path)


def play_twice_at_once(start: Prepared, folder: Path) -> None:
    """Play a scene, and play it twice at once: people find the same afterwards."""
    with start.copied(folder / "calm") as calm:
        assert calm.play().code == 0
        wanted = calm.state()
    with start.copied(folder / "both") as both:
        who = both.scene.who
        twin = both.folder / "twin"
        shutil.copytree(both.folder / who, twin, symlinks=True)
        env = both.environ_of(who) | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "gitrelease", *both.scene.words],
                cwd=where,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for where in (both.folder / who, twin)
        ]
        ends = [(process.communicate(timeout=120), process.returncode) for process in running]
        codes = sorted(code for _, code in ends)
        assert codes[0] == 0, ends
        assert codes[1] in {0, 1, 3}, ends
        shutil.rmtree(twin)
        assert both.state() == wanted, ends
