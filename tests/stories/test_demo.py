"""The whole story through the command line: what `gitrelease demo` plays, and what it leaves behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.git import Bench

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def played(bench: Bench) -> tuple[str, Path, Mapping[str, str]]:
    """What the demo printed, where it left the shop, and the environment it ran in."""
    environ = bench.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    folder = bench.folder / "shop"
    ran = subprocess.run(
        [sys.executable, "-m", "gitrelease", "demo", str(folder)],
        env=environ,
        cwd=bench.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout, folder, environ


def test_the_story(played: tuple[str, Path, Mapping[str, str]]) -> None:
    """Two releases, one rollback that waits, nobody approved their own work, and the past can be checked."""
    said, folder, environ = played

    def ask(who: str, *words: str) -> Any:
        ran = subprocess.run(
            [sys.executable, "-m", "gitrelease", *words, "--json"],
            cwd=folder / who,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(ran.stdout or ran.stderr)

    def git(*words: str) -> list[str]:
        ran = subprocess.run(
            ["git", *words],
            cwd=folder / "server.git",
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout.splitlines()

    assert len(git("tag", "--list", "release/*")) == 2
    packages = ask("vera", "package", "list")
    assert [one["status"] for one in packages["items"]] == ["pending-review", "successful", "successful"]
    newest, second, first = packages["items"]
    assert (newest["purpose"], newest["applicant"]["id"]) == ("rollback", "devi")
    assert [view["person"]["id"] for view in first["approvals"]] == ["devi"]
    assert [view["person"]["id"] for view in second["approvals"]] == ["ada"]
    submitters = {(one["kind"], one["name"]): one["submitter"]["id"] for one in first["items"]}
    assert submitters["job", "page_views_live"] == "omar"
    assert submitters["job", "dws_orders_daily"] == "dana"
    assert ask("vera", "verify")["ok"] is True
    held = [json.loads("\n".join(git("show", f"deploy/main:{path}"))) for path in _jobs(git)]
    assert len(held) >= 6
    names = {node_property["value"] for job in held for node_property in _properties(job)}
    assert {"mrs_hive", "dws", "ods", "sales"} <= names
    assert not names & {"mrs_hive_dev", "dws_dev", "ods_dev", "sales_dev"}
    assert "devi made part of" in said


def _jobs(git: Any) -> list[str]:
    listed: list[str] = git("ls-tree", "-r", "--name-only", "deploy/main")
    return [path for path in listed if path.endswith(".job")]


def _properties(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for node in job["nodes"] for one in node.get("properties", ())]
