"""What a grown repository holds: jobs as large as the sample's, a few scripts, a workspace of seven people."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from gitrelease.core.job import Mappings
from gitrelease.core.names import Directory, ItemKey, ItemName, Kind, main_file
from gitrelease.core.plan import job_files, mapping_digest
from gitrelease.documents import parse

PER_DIRECTORY = 100
PER_AREA = 50
"""How many directories lie side by side."""

ROLES = {
    "adm-1": "admin",
    "adm-2": "admin",
    "dev-1": "developer",
    "dev-2": "developer",
    "dep-1": "deployer",
    "dep-2": "deployer",
    "sync": "runner",
}

WORKSPACE_ID = "0b5a1c7e9d3f4a6282c4e6f80a1b3c5d"

_CONNECTIONS = {"dws_dev": "dws", "etl_host_dev": "etl_host"}
_DATABASES = {"sales_dev": "sales"}
MAPPINGS = Mappings(connections=_CONNECTIONS, queues={}, databases=_DATABASES)
MAPPING = mapping_digest(MAPPINGS)
TARGET = "main"
SCRIPTS = (
    "scripts/sales/daily/build-revenue",
    "scripts/sales/daily/revenue-by-region",
    "scripts/sales/daily/check-totals",
    "scripts/common/publish-report",
)
_SAMPLE = "jobs/sales/daily/dws_revenue_daily.job.yaml"
_UPSTREAM = "[dws_orders_daily, ods_products_daily]"


def job_key(number: int) -> ItemKey:
    """Name a job."""
    return ItemKey(kind=Kind.JOB, name=ItemName(f"dws_revenue_{number:06d}_daily"))


def job_directory(number: int) -> Directory:
    """Say which directory a job lies in: a hundred in each."""
    place = number // PER_DIRECTORY
    return Directory(f"/area{place // PER_AREA:02d}/team{place % PER_AREA:02d}")


def job_path(number: int) -> str:
    """Say where a job lies."""
    return main_file(job_key(number), job_directory(number))


def sample(path: str) -> bytes:
    """Read a file of the sample workspace that the program ships."""
    return (files("gitrelease") / "sample" / "workspace" / path).read_bytes()


def job_text(number: int, version: int) -> bytes:
    """Write a job as large as the sample's; all but the first of a directory come after that one."""
    first = number // PER_DIRECTORY * PER_DIRECTORY
    return _text(
        job_key(number).name, version, None if number == first else job_key(first).name, f"change {version}"
    )


def _text(name: str, version: int, after: str | None, note: str) -> bytes:
    text = sample(_SAMPLE).decode()
    lines = []
    skipping = False
    for line in text.splitlines():
        if after is None and line.strip() == "dependJobs:":
            skipping = True
            continue
        if skipping and line.startswith("      "):
            continue
        skipping = False
        lines.append(line)
    text = "\n".join(lines) + "\n"
    text = text.replace("name: dws_revenue_daily", f"name: {name}\nversion: {version}")
    text = text.replace("the revenue of the day and", f"the revenue of the day ({note}) and")
    return text.replace(_UPSTREAM, f"[{after}]").encode()


class Jobs:
    """Makes jobs, and what production holds of them, from one of each sort: a hundred thousand are asked for."""

    def __init__(self) -> None:
        self._texts = {
            has: _text("NAMEXX", 987654321, "AFTERXX" if has else None, "NOTEXX") for has in (0, 1)
        }
        self._held = {
            has: self._deployed(text, ItemKey(kind=Kind.JOB, name=ItemName("NAMEXX")), Directory("/PLACEXX"))
            for has, text in self._texts.items()
        }
        for number in (0, 1):  # what is put together must be what the program would write
            item, place, text = job_key(number), job_directory(number), job_text(number, 3)
            if (text, self._deployed(text, item, place)) != (self.text(number, 3), self.held(number, 3)):
                raise AssertionError(f"{item} would not be what the program writes")

    @staticmethod
    def _deployed(text: bytes, item: ItemKey, place: Directory) -> bytes:
        document = parse(text, file=main_file(item, place)).value
        (data,) = job_files(item, place, document, subjobs={}, mappings=MAPPINGS).values()
        return data

    def _filled(self, data: bytes, number: int, version: int) -> bytes:
        first = number // PER_DIRECTORY * PER_DIRECTORY
        data = data.replace(b"NAMEXX", job_key(number).name.encode())
        data = data.replace(b"987654321", str(version).encode())
        data = data.replace(b"AFTERXX", job_key(first).name.encode())
        data = data.replace(b"PLACEXX", job_directory(number)[1:].encode())
        return data.replace(b"NOTEXX", f"change {version}".encode())

    def text(self, number: int, version: int) -> bytes:
        """Write a job."""
        return self._filled(self._texts[int(number % PER_DIRECTORY != 0)], number, version)

    def held(self, number: int, version: int) -> bytes:
        """Write what production holds of a job."""
        return self._filled(self._held[int(number % PER_DIRECTORY != 0)], number, version)


def workspace_text(keys: Mapping[str, Path]) -> bytes:
    """Write the workspace; where people have keys, names count only when they are signed."""

    def key(who: str) -> str:
        if who not in keys:
            return ""
        public = keys[who].with_suffix(".pub").read_text(encoding="utf-8").split()
        return f'    keys: ["{public[0]} {public[1]}"]\n'

    members = "".join(
        f"  - id: {who}\n    emails: [{who}@example.org]\n{key(who)}    roles: [{role}]\n"
        for who, role in ROLES.items()
    )
    connections = ", ".join(f"{ours}: {theirs}" for ours, theirs in _CONNECTIONS.items())
    databases = ", ".join(f"{ours}: {theirs}" for ours, theirs in _DATABASES.items())
    text = (
        f"apiVersion: gitrelease/v1\nkind: Workspace\nname: revenue\nid: {WORKSPACE_ID}\nversion: 1\n"
        f"members:\n{members}review:\n  approvals: 1\n  rollbackApprovals: 1\n"
        f'  signatures: "{"required" if keys else "off"}"\n  autoMerge: true\n  execute: false\n'
        f"production:\n  lease: 60\n  targets:\n    - name: {TARGET}\n      type: git\n      mappings:\n"
        f"        connections: {{{connections}}}\n        databases: {{{databases}}}\n"
    )
    return text.encode()
