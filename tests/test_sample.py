"""The sample that `gitrelease demo` starts from is a complete and proper workspace, also after its edits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import yaml

import gitrelease.sample
from gitrelease.core.dataarts import job_document, script_document
from gitrelease.core.graph import find_cycle
from gitrelease.core.item import files_problems
from gitrelease.core.job import Job, ProcessType, ScheduleType, UseKind, parse_job
from gitrelease.core.names import ItemKey, Kind, Place, home, main_file, place_of
from gitrelease.core.rules import job_problems, reference_problems, script_problems, subjob_problems
from gitrelease.core.script import Script, content_ending, parse_script

SAMPLE = Path(gitrelease.sample.__file__).parent


@dataclass(kw_only=True)
class Workspace:
    """What the files of a workspace say."""

    jobs: dict[str, Job] = field(default_factory=dict)
    scripts: dict[str, Script] = field(default_factory=dict)
    subjobs: dict[str, list[Job]] = field(default_factory=dict)
    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Per script the ending of its content file, and its bytes."""


def files(folder: str) -> dict[str, bytes]:
    """Read all files of a part of the sample, by the path they have in a workspace."""
    root = SAMPLE / folder
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@cache
def imported() -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Convert the files of the console into files of a workspace, and give the notes as well."""
    found: dict[str, bytes] = {}
    notes: list[str] = []
    for name, data in files("console").items():
        convert = job_document if name.endswith(".job") else script_document
        converted = convert(json.loads(data))
        path = main_file(converted.item, converted.directory)
        found[path] = yaml.safe_dump(converted.document, sort_keys=False).encode()
        if converted.content is not None:
            ending = content_ending(str(converted.document["type"]))
            found[f"{home(Kind.SCRIPT, converted.directory)}/{converted.item.name}{ending}"] = (
                converted.content
            )
        notes.extend(converted.notes)
    return found, tuple(notes)


@cache
def workspace_files(*, edited: bool) -> dict[str, bytes]:
    """Give the workspace after the import, and after the edits of the second release if asked for."""
    first = files("workspace") | imported()[0]
    return first | files("second") if edited else first


@cache
def workspace(*, edited: bool) -> Workspace:
    """Parse a workspace."""
    found = Workspace()
    for path, data in workspace_files(edited=edited).items():
        place = place_of(path)
        if path.endswith((".sql", ".py", ".sh")):
            found.contents[place.item.name] = (Path(path).suffix, data)
        elif place.item.kind is Kind.SCRIPT:
            found.scripts[place.item.name] = parse_script(yaml.safe_load(data), directory=place.directory)
        elif place.is_document:
            found.jobs[place.item.name] = parse_job(yaml.safe_load(data), directory=place.directory)
        else:
            subjob = parse_job(yaml.safe_load(data), directory=place.directory)
            found.subjobs.setdefault(place.item.name, []).append(subjob)
    return found


def all_jobs(found: Workspace) -> Iterator[Job]:
    """Give the jobs and their subjobs."""
    yield from found.jobs.values()
    for subjobs in found.subjobs.values():
        yield from subjobs


EITHER = pytest.mark.parametrize("edited", [False, True], ids=["first", "second"])


@EITHER
def test_every_document_is_named_as_its_file(edited: bool) -> None:
    for path, data in workspace_files(edited=edited).items():
        if path.endswith(".yaml"):
            document = yaml.safe_load(data)
            kind = "Job" if path.endswith(".job.yaml") else "Script"
            assert document["apiVersion"] == "gitrelease/v1", path
            assert document["kind"] == kind, path
            assert document["name"] == Path(path).name.removesuffix(f".{kind.lower()}.yaml"), path
            assert "directory" not in document, path


@EITHER
def test_every_item_has_exactly_its_files(edited: bool) -> None:
    by_item: dict[ItemKey, list[str]] = {}
    for path in workspace_files(edited=edited):
        place: Place = place_of(path)
        by_item.setdefault(place.item, []).append(path)
    assert {str(item): files_problems(item, paths) for item, paths in by_item.items()} == {
        str(item): [] for item in by_item
    }


@pytest.mark.parametrize("folder", ["workspace", "second"])
def test_every_file_is_plain_text(folder: str) -> None:
    for path, data in files(folder).items():
        text = data.decode("utf-8")
        assert text.endswith("\n"), path
        assert "\r" not in text, path
        assert "\t" not in text, path
        assert not text.startswith("\ufeff"), path


@EITHER
def test_no_rule_has_anything_to_say(edited: bool) -> None:
    found = workspace(edited=edited)
    for job in all_jobs(found):
        assert job_problems(job) == [], job.name
        assert find_cycle(job.edges) is None, job.name
    for name, script in found.scripts.items():
        ending, content = found.contents[name]
        assert script_problems(script, content, ending) == [], name
    for parent, subjobs in found.subjobs.items():
        assert subjob_problems(found.jobs[parent], [subjob.name for subjob in subjobs]) == []


@EITHER
def test_every_name_that_is_used_exists(edited: bool) -> None:
    found = workspace(edited=edited)
    for job in all_jobs(found):
        assert (
            reference_problems(
                job,
                exists=lambda item: item.name in (found.jobs if item.kind is Kind.JOB else found.scripts),
                near=lambda item: None,
            )
            == []
        ), job.name


@EITHER
def test_no_job_waits_for_itself_through_others(edited: bool) -> None:
    found = workspace(edited=edited)
    assert find_cycle({name: job.upstream for name, job in found.jobs.items()}) is None


@EITHER
def test_every_script_is_used(edited: bool) -> None:
    found = workspace(edited=edited)
    assert {name for job in all_jobs(found) for _, name in job.scripts} == found.scripts.keys()


@EITHER
def test_a_node_uses_the_connection_of_its_script(edited: bool) -> None:
    found = workspace(edited=edited)
    for job in all_jobs(found):
        for at, name in job.scripts:
            assert job.nodes[at].properties.get("connectionName") == found.scripts[name].connection, name


@EITHER
def test_production_has_something_to_switch(edited: bool) -> None:
    found = workspace(edited=edited)
    switched = (UseKind.CONNECTION, UseKind.DATABASE)
    names = {use.name for job in all_jobs(found) for use in job.uses if use.kind in switched}
    names |= {use.name for script in found.scripts.values() for use in script.uses}
    assert {"mrs_hive_dev", "dws_dev", "ods_dev", "sales_dev"} <= names
    assert all(name.endswith("_dev") for name in names)


def test_the_sample_is_as_large_as_it_says() -> None:
    found = workspace(edited=False)
    own = workspace_files(edited=False).keys() - imported()[0].keys()
    assert len({place_of(path).item for path in own if path.endswith(".job.yaml")}) >= 6
    assert len({job.directory for job in found.jobs.values()}) >= 2
    assert {job.schedule.type for job in found.jobs.values()} == {
        ScheduleType.CRON,
        ScheduleType.EXECUTE_ONCE,
    }
    assert {".sql", ".py", ".sh"} == {ending for ending, _ in found.contents.values()}
    (parent,) = found.subjobs
    assert found.jobs[parent].process_type is ProcessType.REAL_TIME
    assert found.jobs[parent].single_node


def test_some_jobs_run_without_a_cluster() -> None:
    found = workspace(edited=False)
    plain = [
        name for name, job in found.jobs.items() if {node.type for node in job.nodes} <= {"Shell", "Python"}
    ]
    assert sorted(plain) == ["orders_backfill", "purge_staging_nightly", "web_traffic_daily"]


def test_the_console_files_become_items_of_their_own() -> None:
    found, notes = imported()
    assert sorted(found) == [
        "jobs/sales/daily/dws_orders_daily.job.yaml",
        "jobs/web/streaming/clickstream_sessions.job.yaml",
        "scripts/sales/daily/clean-orders.script.yaml",
        "scripts/sales/daily/clean-orders.sql",
    ]
    assert set(found).isdisjoint(files("workspace"))
    assert sorted(notes) == [
        "left out lastUpdateUser and version: DataArts Studio sets that by itself",
        "left out lastUpdateUser and version: DataArts Studio sets that by itself",
        "left out version: DataArts Studio sets that by itself",
    ]


def test_the_second_release_changes_a_schedule_a_graph_and_a_query() -> None:
    before, after = workspace(edited=False), workspace(edited=True)
    old, new = workspace_files(edited=False), workspace_files(edited=True)
    assert sorted(path for path in new if old.get(path) != new[path]) == [
        "jobs/sales/daily/dws_revenue_daily.job.yaml",
        "jobs/web/daily/web_traffic_daily.job.yaml",
        "scripts/sales/daily/refresh-order-summary.sql",
        "scripts/sales/daily/revenue-by-channel.script.yaml",
        "scripts/sales/daily/revenue-by-channel.sql",
    ]
    crons = [found.jobs["web_traffic_daily"].schedule.cron for found in (before, after)]
    assert [cron and cron.expression for cron in crons] == ["0 30 2 * * ?", "0 15 3 * * ?"]
    first, second = (
        {node.name for node in found.jobs["dws_revenue_daily"].nodes} for found in (before, after)
    )
    assert second - first == {"revenue_by_channel"}
    assert first < second


RUNNABLE = sorted(
    path.relative_to(SAMPLE).as_posix()
    for ending in ("py", "sh")
    for path in SAMPLE.rglob(f"scripts/**/*.{ending}")
)


@pytest.mark.parametrize("script", RUNNABLE)
def test_a_script_runs_on_any_host(script: str, tmp_path: Path) -> None:
    """The demo executes jobs: where nothing is set up, their scripts find nothing to do and say so."""
    path = SAMPLE / script
    if path.suffix == ".sh" and os.name == "nt":
        pytest.skip("needs a POSIX shell")
    command = [sys.executable, "-W", "error"] if path.suffix == ".py" else ["/bin/sh"]
    done = subprocess.run(
        [*command, str(path)],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert list(tmp_path.iterdir()) == []
