"""Packages, opinions and workspaces as values, for tests of the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gitrelease.core.content import Pin
from gitrelease.core.item import Change, ItemState
from gitrelease.core.names import BlobId, CommitId, MemberId, PackageName, item_key, record_path
from gitrelease.core.package import Manifest, PlannedItem, Proposed, Purpose, Reason
from gitrelease.core.people import Actor, Person
from gitrelease.core.review import Opinion, Say
from gitrelease.core.workspace import Member, ReviewPolicy, Role, Rule, Workspace

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROOT = CommitId("r" * 40)
HEAD = CommitId("a" * 40)
PLAN = BlobId("b" * 40)
OTHER_PLAN = BlobId("c" * 40)


def pin(content: str) -> Pin:
    return Pin(blob=BlobId(f"blob of {content}"), sha256=f"sha256 of {content}")


def state(version: int, files: dict[str, str]) -> ItemState:
    return ItemState(version=version, files={path: pin(content) for path, content in files.items()})


def planned(
    item: str = "job/orders",
    *,
    before: ItemState | None = None,
    after: ItemState | None = None,
    change: Change = Change.ADD,
    by: tuple[str, ...] = ("dev-1",),
) -> PlannedItem:
    key = item_key(item)
    path = "workspace.yaml" if key.kind == "workspace" else f"{key.kind}s/sales/{key.name}.{key.kind}.yaml"
    return PlannedItem(
        item=key,
        change=change,
        before=before,
        after=after if after is not None else state((before.version if before else 0) + 1, {path: "new"}),
        task=CommitId(f"task of {item}"),
        submitters=tuple(MemberId(who) for who in by),
        record_before=None if before is None else BlobId(f"record of {record_path(key)}"),
        record_after=BlobId(f"new record of {record_path(key)}"),
    )


WORKSPACE_CHANGE = planned(
    "workspace/workspace", before=state(1, {"workspace.yaml": "old"}), change=Change.MODIFY, by=("adm-1",)
)


def manifest(*items: PlannedItem, **more: Any) -> Manifest:
    made = Manifest(
        name=PackageName("orders_1"),
        workspace="6f0c",
        root=ROOT,
        main="main",
        purpose=Purpose.RELEASE,
        applicant=MemberId("dev-1"),
        description="why",
        reviewers=(MemberId("dep-1"),),
        execute=False,
        items=items or (planned(),),
    )
    return replace(made, **more)


def proposed(
    plan: Manifest | None = None,
    *,
    authors: Sequence[str] | None = None,
    faults: Sequence[Reason] = (),
    obstacles: Sequence[Reason] = (),
) -> Proposed:
    plan = plan or manifest()
    return Proposed(
        manifest=plan,
        manifest_id=PLAN,
        head=HEAD,
        authors=plan.claimed_authors if authors is None else frozenset(MemberId(who) for who in authors),
        faults=tuple(faults),
        obstacles=tuple(obstacles),
    )


def actor(who: str | None) -> Actor:
    if who is None:
        return Actor(person=Person(id=None, name="dep-1"), doubt="is not signed")
    return Actor(person=Person(id=who), member=MemberId(who))


def opinion(who: str | None, say: Say = Say.APPROVE, *, of: BlobId | None = PLAN, **more: Any) -> Opinion:
    made = Opinion(
        id=f"{who} {say} {of}", actor=actor(who), say=say, at=NOON, head=HEAD, manifest=of, root=ROOT
    )
    return replace(made, **more)


MEMBERS = {
    "adm-1": Role.ADMIN,
    "adm-2": Role.ADMIN,
    "dev-1": Role.DEVELOPER,
    "dev-2": Role.DEVELOPER,
    "dep-1": Role.DEPLOYER,
    "dep-2": Role.DEPLOYER,
    "view-1": Role.VIEWER,
    "ops-1": Role.OPERATOR,
    "sync": Role.RUNNER,
}


def workspace(*rules: Rule, without: Sequence[str] = (), **policy: Any) -> Workspace:
    return Workspace(
        name="shop",
        id="6f0c",
        version=1,
        members=tuple(
            Member(id=MemberId(who), emails=(f"{who}@example.org",), roles=frozenset({role}))
            for who, role in MEMBERS.items()
            if who not in without
        ),
        review=ReviewPolicy(required=rules, **policy),
    )
