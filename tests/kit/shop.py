"""A shop: one workspace on a bare server, people by role with keys and clones, and the verbs as they call them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from gitrelease.commands import Desk
from gitrelease.commands.merge import MergeResult, gate, merge
from gitrelease.commands.release import Bundle, Released, release
from gitrelease.commands.review import Said, approve, reject, revoke
from gitrelease.commands.submit import SubmitRequest, SubmitResult, submit
from gitrelease.commands.sync import SyncRequest, SyncResult, sync
from gitrelease.core.item import ItemState, Record, record_document
from gitrelease.core.ledger import Event, Founding, Receipt, receipt_document
from gitrelease.core.names import (
    LEDGER,
    WORKSPACE_PATH,
    CommitId,
    ItemKey,
    MemberId,
    PackageName,
    branch,
    package_name,
    place_of,
    record_path,
)
from gitrelease.core.workspace import TargetSettings
from gitrelease.documents import dump
from gitrelease.forges.local import LocalForge
from gitrelease.messages import message_of
from gitrelease.pen import Pen
from gitrelease.reading.trees import pin
from gitrelease.repo import RefMove, Repo
from gitrelease.targets import Site, Target
from gitrelease.targets import directory as directory_target
from gitrelease.targets import git as git_target
from tests.kit.git import Bench, Clone

ROLES: Mapping[str, str] = {
    "adm-1": "admin",
    "adm-2": "admin",
    "dev-1": "developer",
    "dev-2": "developer",
    "dep-1": "deployer",
    "dep-2": "deployer",
    "view-1": "viewer",
    "ops-1": "operator",
    "sync": "runner",
    "sync-2": "runner",
}


GIT_TARGET = (
    "    - {name: main, type: git, mappings: {connections: {hive_dev: hive}, databases: {ods_dev: ods}}}\n"
)


def workspace_yaml(
    bench: Bench,
    *,
    roles: Mapping[str, str] = ROLES,
    signatures: str = "required",
    lease: int = 60,
    auto_merge: bool = True,
    review: str = "",
    targets: str = GIT_TARGET,
) -> str:
    """Write the workspace of the shop."""
    members = "".join(
        f"  - id: {who}\n    emails: [{who}@example.org]\n"
        + (f'    keys: ["{bench.keys(who).public}"]\n' if signatures == "required" else "")
        + f"    roles: [{role}]\n"
        for who, role in roles.items()
    )
    return (
        "apiVersion: gitrelease/v1\nkind: Workspace\nname: shop\nid: 6f0c2d7e5b6a4e1f9c8d7b6a5e4f3d2c\nversion: 1\n"
        f"members:\n{members}"
        f'review:\n  approvals: 1\n  rollbackApprovals: 1\n  signatures: "{signatures}"\n'
        f"  autoMerge: {str(auto_merge).lower()}\n"
        f"  execute: false\n{review}"
        f"production:\n  lease: {lease}\n  targets:\n{targets}"
    )


def job_yaml(
    name: str,
    *,
    version: int | None = None,
    script: str | None = None,
    after: Sequence[str] = (),
    note: str = "",
) -> str:
    """Write a small job: one node, which runs a script if one is named."""
    number = f"version: {version}\n" if version else ""
    properties = (
        f"      scriptName: {script}\n      connectionName: hive_dev\n      database: ods_dev\n"
        if script
        else "      statementOrScript: STATEMENT\n      statement: echo done\n"
    )
    depends = f"    dependJobs: {{jobs: [{', '.join(after)}]}}\n" if after else ""
    return (
        f"apiVersion: gitrelease/v1\nkind: Job\nname: {name}\n{number}"
        f"description: Loads {name} {note}\n"
        "processType: BATCH\n"
        f"nodes:\n  - name: load\n    type: {'HiveSQL' if script else 'Shell'}\n    properties:\n{properties}"
        'schedule:\n  type: CRON\n  cron:\n    expression: "0 30 2 * * ?"\n    expressionTimeZone: GMT+8\n'
        f'    startTime: "2026-01-01T00:00:00+08"\n{depends}'
    )


def script_yaml(name: str, *, version: int | None = None) -> str:
    """Write the document of a HiveSQL script."""
    number = f"version: {version}\n" if version else ""
    return (
        f"apiVersion: gitrelease/v1\nkind: Script\nname: {name}\n{number}type: HiveSQL\n"
        "connectionName: hive_dev\ndatabase: ods_dev\n"
    )


FIRST_ITEMS = {
    "jobs/sales/orders.job.yaml": job_yaml("orders", version=1, script="clean"),
    "scripts/sales/clean.script.yaml": script_yaml("clean", version=1),
    "scripts/sales/clean.sql": "SELECT 1;\n",
}
"""What a shop starts with: one job and the script it runs."""


@dataclass(kw_only=True)
class Person:
    """Somebody with a clone of the shop."""

    id: str
    clone: Clone
    bench: Bench
    root: CommitId | None = None
    said: list[str] = field(default_factory=list)

    @cached_property
    def repo(self) -> Repo:
        """The clone, as gitrelease opens it."""
        return Repo.discover(self.clone.path, remote="origin", environ=self.clone.environ)

    @cached_property
    def desk(self) -> Desk:
        """What this person's commands work with."""
        repo = self.repo
        pen = Pen(
            identity=repo.identity(), signs=repo.config("user.signingKey") is not None, now=self.bench.clock
        )

        def connect(settings: TargetSettings) -> Target:
            site = Site(
                name=settings.name,
                settings=settings.settings,
                repo=repo,
                pen=pen,
                folder=self.clone.path,
                environ=self.clone.environ,
            )
            return (
                directory_target.connect(site) if settings.type == "directory" else git_target.connect(site)
            )

        return Desk(
            repo=repo,
            forge=LocalForge(repo, pen),
            pen=pen,
            root=self.root,
            connect=connect,
            say=self.said.append,
        )

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Change working files; None removes one."""
        self.clone.write(files)

    def submit(self, *items: str, **more: Any) -> SubmitResult:
        """Submit items."""
        dry_run = more.pop("dry_run", False)
        return submit(self.desk, SubmitRequest(items=items, **more), dry_run=dry_run)

    def release(self, *tasks: str, **more: Any) -> Released:
        """Release tasks as one package."""
        dry_run = more.pop("dry_run", False)
        return release(self.desk, Bundle(tasks=tasks, **more), dry_run=dry_run)

    def approve(self, package: str, message: str = "") -> Said:
        """Approve a package."""
        return approve(self.desk, package_name(package), message=message)

    def reject(self, package: str, message: str = "no") -> Said:
        """Reject a package."""
        return reject(self.desk, package_name(package), message=message)

    def revoke(self, package: str) -> Said:
        """Revoke a package."""
        return revoke(self.desk, package_name(package))

    def gate(self, package: str) -> MergeResult:
        """Ask for the verdict."""
        return gate(self.desk, package_name(package))

    def merge(self, package: str) -> MergeResult:
        """Merge by hand."""
        return merge(self.desk, package_name(package))

    def sync(self, **more: Any) -> SyncResult:
        """Bring production in line."""
        return sync(self.desk, SyncRequest(**more))


@dataclass(kw_only=True)
class Shop:
    """The server, the people, and the trust root."""

    bench: Bench
    server: Clone
    root: CommitId
    signing: bool = True
    people: dict[str, Person] = field(default_factory=dict)

    def person(self, who: str) -> Person:
        """Give somebody a clone, or the one they have."""
        if who not in self.people:
            clone = self.bench.clone(self.server, who, signing=self.signing)
            if "refs/heads/main" in clone.refs() or "refs/remotes/origin/main" in clone.refs():
                clone.git("checkout", "--quiet", "-B", "main", "origin/main")
            self.people[who] = Person(id=who, clone=clone, bench=self.bench, root=self.root)
        return self.people[who]

    def environ_of(self, who: str) -> dict[str, str]:
        """Give the environment of somebody's terminal."""
        del who  # on plain git it is the clone that says who it is
        return {**self.bench.environ, "GITRELEASE_ROOT": self.root}

    def released(
        self, files: Mapping[str, str], *items: str, by: str = "dev-1", yes: str = "dep-1"
    ) -> PackageName:
        """Take items all the way to production: submit, release, approve, sync."""
        person = self.person(by)
        person.write(files)
        tasks = [str(one.task) for one in person.submit(*items).items if one.task]
        package = person.release(*tasks).manifest.name
        self.person(yes).approve(package)
        self.person("sync").sync()
        return package

    def close(self) -> None:
        """End the processes that read the clones."""
        for person in self.people.values():
            if "repo" in vars(person):
                person.repo.close()

    def production(self, path: str) -> Any:
        """Read what the git target holds at a path, as JSON; None where there is nothing."""
        listed = self.server.git("ls-tree", "-r", "--name-only", "deploy/main").splitlines()
        if path not in listed:
            return None
        return json.loads(self.server.git("show", f"deploy/main:{path}"))

    def refs(self) -> dict[str, str]:
        """List the server's refs."""
        return self.server.refs()


def open_shop(bench: Bench, files: Mapping[str, str] | None = None, **settings: Any) -> Shop:
    """Open a shop on a bare server: its workspace, and items that are taken over as they are, at version 1.

    Keyword arguments go to `workspace_yaml`. A second shop that would be the same in every byte is copied.
    """
    content = {WORKSPACE_PATH: workspace_yaml(bench, **settings), **(files or {})}
    signing = settings.get("signatures", "required") == "required"
    if type(bench) is not Bench:
        return _opened(bench, content, signing=signing)  # GitHub sees who pushes what, and when
    start = bench.clock.last
    key = str(bench.keys.folder), signing, start, *content.items()
    if key not in _OPENED:
        shop = _opened(bench, content, signing=signing)
        kept = bench.keys.folder / f"shop-{len(_OPENED)}"
        shutil.copytree(shop.server.path, kept)
        _OPENED[key] = kept, shop.root, bench.clock.last - start
        return shop
    kept, root, took = _OPENED[key]
    shutil.copytree(kept, bench.folder / "server.git")
    bench.clock.forward(seconds=took.total_seconds())
    server = Clone(path=bench.folder / "server.git", environ=bench.environ, clock=bench.clock)
    return Shop(bench=bench, server=server, root=root, signing=signing)


_OPENED: dict[tuple[object, ...], tuple[Path, CommitId, timedelta]] = {}
"""The servers of the shops that were opened: where a copy lies, the trust root, and how long it took to open."""


def _opened(bench: Bench, content: Mapping[str, str], *, signing: bool) -> Shop:
    server = bench.server()
    shop = Shop(bench=bench, server=server, root=CommitId("0" * 40), signing=signing)
    admin = shop.person("adm-1")
    admin.clone.write(content)
    by_item: dict[ItemKey, list[str]] = {}
    for path in content:
        by_item.setdefault(place_of(path).item, []).append(path)
    repo = admin.repo
    for item, paths in by_item.items():
        pins = {path: pin(content[path].encode(), repo.write_blob(content[path].encode())) for path in paths}
        record = Record(item=item, state=ItemState(version=1, files=pins), package=None)
        admin.clone.write({record_path(item): dump(record_document(record))})
    main = CommitId(admin.clone.commit({}, "Begin the shop"))
    receipt = Receipt(
        event=Event.ROOT,
        runner=MemberId("adm-1"),
        founding=Founding(workspace="6f0c2d7e5b6a4e1f9c8d7b6a5e4f3d2c", main="main", taken_over=main),
    )
    message = message_of(receipt.subject, receipt_document(receipt))
    root = admin.desk.pen.commit(repo, tree=repo.tree_of(main), parents=(), message=message)
    repo.push(
        [RefMove(ref=branch("main"), new=main, expected=None), RefMove(ref=LEDGER, new=root, expected=None)]
    )
    shop.close()
    shop.people.clear()
    shutil.rmtree(admin.clone.path)
    shop.root = root
    return shop
