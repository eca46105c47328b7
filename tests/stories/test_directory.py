"""Production in a folder, from submit to sync: released, drifted, failed and retried, killed, its disk gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gitrelease.commands.verify import verify
from gitrelease.core.plan import OutcomeStatus
from gitrelease.core.status import Status
from gitrelease.errors import Exit, GitReleaseError
from gitrelease.targets.directory import MARKER
from tests.github.fixtures import github
from tests.github.use_shop import open_hub_shop
from tests.kit.git import Bench
from tests.kit.kill import Ended, Killer
from tests.kit.shop import FIRST_ITEMS, Shop, job_yaml, open_shop, script_yaml
from tests.kit.targets import merged, subjects, workspace_merged

ORDERS = "jobs/sales/orders.job.yaml"
HELD = "jobs/1c/orders.json"
CLEAN = "scripts/3b/clean.json"
LATE = {
    "scripts/sales/late.script.yaml": script_yaml("late"),
    "scripts/sales/late.sql": "SELECT 2;\n",
}
TARGET = (
    "    - {name: disk, type: directory, settings: {path: ../production},"
    " mappings: {connections: {hive_dev: hive}, databases: {ods_dev: ods}}}\n"
)


def orders(note: str) -> dict[str, str]:
    """Change the job that the shop starts with."""
    return {ORDERS: job_yaml("orders", script="clean", note=note)}


def folder_of(shop: Shop) -> Path:
    """Say where production is: beside everybody's clones."""
    return shop.bench.folder / "production"


def held(shop: Shop) -> dict[str, Any]:
    """Read all that lies in production."""
    return read(folder_of(shop))


def read(folder: Path) -> dict[str, Any]:
    """Read every file of a folder as a scheduler does, which takes all of them for jobs and scripts."""
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_bytes())
        for path in sorted(folder.rglob("*.json"))
    }


def run(shop: Shop, who: str, *words: str, at: str = "never") -> Ended:
    """Type a command."""
    shop.person(who)
    killer = Killer(folder=shop.bench.folder / "killer")
    return killer.run(words, where=shop.bench.folder / who, environ=shop.environ_of(who), at=at)


def brought_in_line(shop: Shop) -> Shop:
    """Give the shop its folder, and have everything deployed there."""
    folder_of(shop).mkdir()
    (folder_of(shop) / MARKER).touch()
    shop.person("sync").sync()
    return shop


@pytest.fixture
def yard(bench: Bench) -> Iterator[Shop]:
    """A shop whose production is a folder, in line."""
    shop = open_shop(bench, FIRST_ITEMS, targets=TARGET, lease=1)
    yield brought_in_line(shop)
    shop.close()


@pytest.fixture(params=["plain", pytest.param("github", marks=pytest.mark.long)])
def anywhere(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """Such a shop on plain git, and on GitHub."""
    with ExitStack() as stack:
        if request.param == "github":
            hub = stack.enter_context(github(bench.folder / "github"))
            shop: Shop = open_hub_shop(bench, hub, targets=TARGET)
        else:
            shop = open_shop(bench, FIRST_ITEMS, targets=TARGET)
        stack.callback(shop.close)
        yield brought_in_line(shop)


def test_from_submit_to_production(anywhere: Shop) -> None:
    yard = anywhere
    package = yard.released(orders("again") | LATE, "orders", "late")
    production = held(yard)
    assert list(production) == [HELD, "scripts/08/late.json", CLEAN]
    job = production[HELD]["job"]
    assert (job["version"], job["description"]) == ("2", "Loads orders again")
    assert {one["name"]: one["value"] for one in job["nodes"][0]["properties"]} == {
        "scriptName": "clean",
        "connectionName": "hive",
        "database": "ods",
    }
    assert production["scripts/08/late.json"]["script"]["content"] == "SELECT 2;\n"
    assert subjects(yard)[-1] == f"finished package {package}"
    told = run(yard, "dev-1", "status")
    assert (told.code, told.err) == (0, "")
    assert "  disk: in line\n" in told.out
    assert verify(yard.person("dev-2").desk).ok

    person = yard.person("dev-1")
    person.write(dict.fromkeys(LATE))
    (task,) = person.submit("script/late", delete=True).items
    gone = person.release(str(task.task)).manifest.name
    yard.person("dep-1").approve(gone)
    assert yard.person("sync").sync().exit is Exit.DONE
    assert list(held(yard)) == [HELD, CLEAN]


# Drift.


def edited(folder: Path) -> None:
    """Change a job in place."""
    (folder / HELD).write_text((folder / HELD).read_text(encoding="utf-8").replace("Loads", "Reads"))


def deleted(folder: Path) -> None:
    """Take a job away."""
    (folder / HELD).unlink()


def added(folder: Path) -> None:
    """Slip a job in."""
    path = folder / "jobs" / "a6" / "bills.json"
    path.parent.mkdir()
    path.write_bytes((folder / HELD).read_bytes())


def foreign(folder: Path) -> None:
    """Put something beside the jobs."""
    (folder / "jobs" / "1c" / "orders.json.bak").touch()


def touched(folder: Path) -> None:
    """Make all files look new, and change nothing."""
    for path in folder.rglob("*.json"):
        path.touch()


REPORT = "working files\n  nothing to submit\n\nproduction\n"
REPAIR = "\nnext: gitrelease sync --repair {}\n"
CASES = {
    "edited": (edited, "  disk: 1 drifted\n    drifted: job/orders\n" + REPAIR.format("job/orders"), 1),
    "deleted": (deleted, "  disk: 1 drifted\n    drifted: job/orders\n" + REPAIR.format("job/orders"), 1),
    "added": (added, "  disk: 1 drifted\n    drifted: job/bills\n" + REPAIR.format("job/bills"), 1),
    "foreign": (foreign, "  disk: 1 foreign\n    foreign: jobs/1c/orders.json.bak\n", 1),
    "touched": (touched, "  disk: in line\n", 0),
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_changed_by_hand_is_seen_and_brought_back(yard: Shop, name: str) -> None:
    change, report, code = CASES[name]
    before = held(yard)
    assert run(yard, "sync", "status").code == 0  # whatever is remembered from before is no excuse
    change(folder_of(yard))
    told = run(yard, "sync", "status")
    assert (told.code, told.out, told.err) == (code, REPORT + report, "")
    if "drifted" in report:
        meddled = held(yard)
        assert run(yard, "sync", "sync").code == 1
        assert held(yard) == meddled
        repaired = run(yard, "sync", "sync", "--repair", report.split()[-1])
        assert repaired.code == 0, repaired.out + repaired.err
        assert held(yard) == before
        assert run(yard, "dev-1", "status").code == 0


# The disk.


def test_a_disk_that_is_not_mounted_is_no_empty_production(yard: Shop) -> None:
    """Neither a missing folder nor the empty one below a mount point is silence, and nothing is written there."""
    package = merged(yard, LATE, "late")
    folder, ledger = folder_of(yard), subjects(yard)
    away = folder.with_name("unmounted")
    folder.rename(away)
    for words in (("status",), ("sync",)):
        told = run(yard, "sync", *words)
        assert told.code == 1
        said = (told.out + told.err).replace("\nhint: ", "; ")
        assert "production, the folder of the target disk, is not there; if it is on a disk" in said
    folder.mkdir()
    for words in (("status",), ("sync",)):
        told = run(yard, "sync", *words)
        assert told.code == 1, told.err
        assert "the folder of the target disk, holds no file .gitrelease" in told.out + told.err
    assert (subjects(yard), list(folder.iterdir())) == (ledger, [])

    folder.rmdir()
    away.rename(folder)
    assert run(yard, "sync", "sync").code == 0
    assert subjects(yard)[-1] == f"finished package {package}"
    assert "scripts/08/late.json" in held(yard)


def test_an_empty_folder_in_place_of_production_is_drift(yard: Shop) -> None:
    before = held(yard)
    shutil.rmtree(folder_of(yard))
    folder_of(yard).mkdir()
    (folder_of(yard) / MARKER).touch()
    told = run(yard, "sync", "status")
    assert (told.code, told.out) == (
        1,
        REPORT
        + "  disk: 2 drifted\n    drifted: job/orders\n    drifted: script/clean\n"
        + REPAIR.format("job/orders script/clean"),
    )
    assert run(yard, "sync", "sync").code == 1
    assert held(yard) == {}
    assert run(yard, "sync", "sync", "--repair", "job/orders", "script/clean").code == 0
    assert held(yard) == before


# Failures.


def test_what_failed_is_brought_by_a_retry(yard: Shop) -> None:
    folder = folder_of(yard)
    before = held(yard)
    block = folder / "scripts" / "08" / "late.json"
    block.mkdir(parents=True)
    files = LATE | {
        "jobs/sales/late_orders.job.yaml": job_yaml("late_orders", script="late"),
        "jobs/sales/bills.job.yaml": job_yaml("bills"),
    }
    package = merged(yard, files, "script/late", "late_orders", "bills")
    (one,) = yard.person("sync").sync().packages
    outcomes = {str(result.item): result.outcome for result in one.results}
    assert (one.name, one.status) == (package, Status.FAILED)
    assert {item: (outcome.status, outcome.error) for item, outcome in outcomes.items()} == {
        "job/bills": (OutcomeStatus.SUCCESSFUL, None),
        "job/late_orders": (
            OutcomeStatus.SKIPPED,
            "script/late, which it needs, was not released",
        ),
        "script/late": (
            OutcomeStatus.FAILED,
            "scripts/08/late.json was not written: a folder is in its place",
        ),
    }
    block.rmdir()
    assert set(held(yard)) == {*before, "jobs/a6/bills.json"}
    again = yard.person("sync").sync(retry=True)
    assert again.exit is Exit.DONE
    assert {path.rpartition("/")[2] for path in held(yard)} == {
        "bills.json",
        "clean.json",
        "late.json",
        "late_orders.json",
        "orders.json",
    }


# A target more.


def test_a_folder_that_a_change_of_the_workspace_brings_is_given_everything(shop: Shop) -> None:
    shop.person("sync").sync()
    shop.released(orders("again"), "orders")
    folder = folder_of(shop)
    workspace_merged(shop, "  targets:\n", "  targets:\n" + TARGET)
    with pytest.raises(GitReleaseError, match="the folder of the target disk, is not there"):
        shop.person("sync").sync()
    folder.mkdir()
    (folder / MARKER).touch()
    told = shop.person("sync").sync()
    assert told.exit is Exit.DONE
    assert subjects(shop)[-1] == "finished baseline"
    assert list(held(shop)) == [HELD, CLEAN]
    assert held(shop)[HELD]["job"] == shop.production("jobs/1c/orders.job")
    assert run(shop, "dev-1", "status").code == 0


def test_settings_that_are_not_the_targets(shop: Shop) -> None:
    for settings, reason in (
        ("", "'path' is a required property"),
        (", settings: {path: ../production, mode: 7}", "'mode' was unexpected"),
        (', settings: {path: ""}', "does not match"),
    ):
        wrong = f"    - {{name: disk, type: directory{settings}}}\n"
        person = shop.person("adm-1")
        text = person.clone.git("show", "origin/main:workspace.yaml") + "\n"
        person.write({"workspace.yaml": text.replace("  targets:\n", "  targets:\n" + wrong)})
        told = run(shop, "adm-1", "check", "workspace.yaml")
        assert told.code == 1
        assert reason in told.out + told.err


# Killed.


@pytest.fixture
def copies(yard: Shop, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give copies of a shop with a package to apply: one job anew, one script in place of another."""
    files = orders("again") | {"scripts/sales/clean.sql": "SELECT 3;\n"}
    merged(yard, files, "orders", "script/clean")
    yard.person("sync").clone.git("fetch", "--quiet")
    yard.close()
    home = tmp_path_factory.mktemp("copies")

    def copy(name: str) -> Path:
        here = home / name
        shutil.copytree(yard.bench.folder, here, symlinks=True)
        config = here / "sync" / ".git" / "config"
        old, new = str(yard.bench.folder / "server.git"), str(here / "server.git")
        config.write_text(config.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        return here

    return copy


@pytest.mark.parametrize("when", [("before",), pytest.param(("before", "after"), marks=pytest.mark.long)])
def test_killed_at_any_rename_nobody_reads_half_a_file_and_the_next_sync_ends_it(
    yard: Shop, copies: Callable[[str], Path], when: Sequence[str]
) -> None:
    killer = Killer(folder=yard.bench.folder.parent / "killer")
    env = dict(yard.bench.environ) | {"GITRELEASE_ROOT": yard.root}

    def sync(here: Path, at: str = "never") -> Ended:
        return killer.run(("sync",), where=here / "sync", environ=env, at=at)

    calm = copies("calm")
    before = read(calm / "production")
    ended = sync(calm)
    assert ended.code == 0, ended.err
    after = read(calm / "production")
    assert {path: before[path] == after[path] for path in before} == {HELD: False, CLEAN: False}
    points = [
        f"{n} {one}" for n, effect in enumerate(ended.effects, start=1) if effect == "rename" for one in when
    ]
    left = 0
    for point in points:
        here = copies(point.replace(" ", "-"))
        folder = here / "production"
        assert sync(here, at=point).was_killed, point
        seen = read(folder)
        assert all(seen[path] in (before[path], after[path]) for path in before), point
        left += len(list(folder.rglob(".gitrelease-*.tmp")))
        finished = sync(here)
        assert finished.code == 0, (point, finished.out, finished.err)
        assert read(folder) == after, point
        assert not list(folder.rglob(".gitrelease-*.tmp")), point
        shutil.rmtree(here)
    assert left == 2  # each of the two files was once written and not yet in its place
