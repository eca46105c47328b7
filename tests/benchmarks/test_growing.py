"""The repository that benchmarks are run on is one that the program itself could have made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.benchmarks.contents import job_key, job_path
from tests.benchmarks.growing import grow
from tests.benchmarks.place import Place


def test_a_grown_repository_holds(tmp_path: Path) -> None:
    """Everything that was grown verifies, and production is in line."""
    place = Place(folder=tmp_path, grown=grow(tmp_path, jobs=101, releases=6))
    runner = place.clone("sync")
    root = {"GITRELEASE_ROOT": place.grown.root}
    found = json.loads(place.verb(runner, "verify", "--json", extra=root))
    assert (found["ok"], found["broken"]) == (True, [])
    place.git(place.server, "fsck", "--strict")
    place.verb(runner, "sync", "--dry-run", extra=root)


def test_what_comes_next_goes_live_on_top(tmp_path: Path) -> None:
    """The verbs work on a grown repository, signatures and all, and it still verifies."""
    if not shutil.which("ssh-keygen") or not shutil.which("ssh-agent"):
        pytest.skip("OpenSSH is not installed, so nothing can be signed")
    place = Place(folder=tmp_path, grown=grow(tmp_path, jobs=2, releases=2, signed=True))
    dev, runner = place.clone("dev-1", checkout=True), place.clone("sync")
    root = {"GITRELEASE_ROOT": place.grown.root}
    file = dev / job_path(1)
    file.write_bytes(file.read_bytes().replace(b"maxExecutionTime: 60", b"maxExecutionTime: 45"))
    place.verb(dev, "submit", str(job_key(1)), "-m", "Wait less")
    place.verb(dev, "release", "--all", "--name", "on_top")
    place.verb(place.clone("dep-1"), "package", "approve", "on_top")
    place.verb(runner, "sync", extra=root)
    place.verb(runner, "verify", extra=root)
