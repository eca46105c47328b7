"""Packages: tasks bundled into one proposal, and the manifest, which is the plan that reviewers approve."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import cast

from gitrelease.core.content import Difference, Held, difference
from gitrelease.core.finding import AllowedSecret
from gitrelease.core.item import (
    API_VERSION,
    Change,
    ItemState,
    Record,
    parse_state,
    state_document,
)
from gitrelease.core.names import (
    PACKAGE_BYTES,
    WORKSPACE_PATH,
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    MemberId,
    PackageName,
    TaskId,
    item_key,
    manifest_path,
    package_name,
    record_path,
)
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace

MOST_TASKS = 100
"""A package holds at most as many tasks as the console lets one release hold (dataarts.md 0.6)."""


class Purpose(StrEnum):
    """Why there is a package; rollbacks and restores are judged by their own numbers."""

    RELEASE = "release"
    ROLLBACK = "rollback"
    IMPORT = "import"
    RESTORE = "restore"
    """Puts approved bytes back where the main branch holds others (`rollback --unapproved`)."""


@frozen
class PlannedItem:
    """What a package does to one item, from one exact state to another."""

    item: ItemKey
    change: Change
    before: ItemState | None
    after: ItemState
    task: CommitId
    submitters: tuple[MemberId, ...]
    record_before: BlobId | None
    record_after: BlobId
    formatting_only: bool = False
    allowed_secrets: tuple[AllowedSecret, ...] = ()

    @property
    def id(self) -> TaskId:
        """The task this is."""
        return TaskId(item=self.item, version=self.after.version)

    @property
    def paths(self) -> frozenset[str]:
        """Every path of the item, before and after."""
        return frozenset(self.after.files) | (frozenset(self.before.files) if self.before else frozenset())

    def record(self, package: PackageName) -> Record:
        """The record that the package writes for the item."""
        return Record(item=self.item, state=self.after, package=package)


@frozen
class RestoredPath:
    """A path that goes back from what nobody approved to what was approved; None is absent."""

    path: str
    found: Held | None
    approved: BlobId | None


@frozen
class Manifest:
    """The plan of a package. It is never changed; what a reviewer approves is this and the bytes it pins."""

    name: PackageName
    workspace: str
    root: CommitId
    """The trust root of the ledger, so that an approval means nothing in another repository."""
    main: str
    purpose: Purpose
    applicant: MemberId
    description: str
    reviewers: tuple[MemberId, ...]
    execute: bool
    items: tuple[PlannedItem, ...] = ()
    restores: tuple[RestoredPath, ...] = ()
    rolls_back: PackageName | None = None

    @property
    def path(self) -> str:
        """Where the manifest lies."""
        return manifest_path(self.name)

    @property
    def claimed_authors(self) -> frozenset[MemberId]:
        """Who the manifest says made it; the forge's record decides, and a difference is refused."""
        return frozenset({self.applicant}).union(*(planned.submitters for planned in self.items))

    @property
    def touches_workspace(self) -> bool:
        """Whether the package changes the workspace itself, which takes an admin."""
        return any(planned.item.kind is Kind.WORKSPACE for planned in self.items) or any(
            restored.path == WORKSPACE_PATH for restored in self.restores
        )

    @property
    def paths(self) -> frozenset[str]:
        """Every path of items that the package changes: what the required rules look at."""
        restored = {entry.path for entry in self.restores}
        return frozenset(restored).union(*(planned.paths for planned in self.items))

    def difference(self, manifest: BlobId) -> Difference:
        """Give what merging the package changes, path by path, its own manifest included."""
        changes: dict[str, tuple[Held | None, Held | None]] = {self.path: (None, Held(manifest))}
        for planned in self.items:
            before = planned.before.files if planned.before else {}
            changes.update(difference(before, planned.after.files))
            old = None if planned.record_before is None else Held(planned.record_before)
            changes[record_path(planned.item)] = (old, Held(planned.record_after))
        for entry in self.restores:
            changes[entry.path] = (entry.found, None if entry.approved is None else Held(entry.approved))
        return changes


@frozen
class Reason:
    """Why something is not so, in one word for machines and one sentence for people."""

    code: str
    message: str


@frozen
class Proposed:
    """A package as it lies on its branch: the manifest, who made it, and what is wrong with it."""

    manifest: Manifest
    manifest_id: BlobId
    head: CommitId
    authors: frozenset[MemberId] = frozenset()
    """Everybody the record says made or pushed any part of it."""
    faults: tuple[Reason, ...] = ()
    """What is wrong with it, for ever: it never was a proper package."""
    obstacles: tuple[Reason, ...] = ()
    """Why it cannot be applied to what is approved now, though it may be in order."""

    @property
    def makers(self) -> frozenset[MemberId]:
        """Whoever made any part of it, by the record or by its own word: nobody of them approves it."""
        return self.authors | self.manifest.claimed_authors


def default_name(items: Sequence[ItemKey], at: datetime) -> PackageName:
    """Name a package after its first item and the second it was made in, cut to fit (dataarts.md 1.5)."""
    stamp = f"_{at:%Y%m%d%H%M%S}"
    first = items[0].name.encode()[: PACKAGE_BYTES - len(stamp)].decode(errors="ignore")
    return package_name(first.rstrip(".") + stamp)


def reviewers_asked(
    workspace: Workspace,
    *,
    paths: Iterable[str],
    authors: Collection[MemberId],
    also: Iterable[MemberId],
    eligible: Sequence[MemberId],
    admins: Sequence[MemberId] = (),
) -> tuple[MemberId, ...]:
    """Say who is asked to review (design 4): whom the matching rules name, else all who may, and whom one adds.

    Where it takes an admin, as for a change of the workspace, those are asked: all of them, unless a rule names one.
    """
    rules = workspace.rules_for(paths)
    named = [MemberId(who) for rule in rules for who in rule.people if workspace.member(who)]
    first = [who for who in (named if rules else admins or eligible) if who not in authors]
    if not set(first) & set(admins):
        first += admins
    asked = dict.fromkeys([*first, *also])
    return tuple(who for who in asked if who not in authors and who in eligible)


def faults_of(
    manifest: Manifest,
    *,
    branch: PackageName,
    workspace: str,
    root: CommitId,
    main: str,
) -> list[Reason]:
    """Find what is wrong with a manifest by itself, in the place it was found in."""
    faults = []

    def expect(wanted: str, found: str, what: str) -> None:
        if wanted != found:
            faults.append(
                Reason(code="foreign", message=f"the manifest names the {what} {found}, not {wanted}")
            )

    expect(branch, manifest.name, "package")
    expect(workspace, manifest.workspace, "workspace")
    expect(root, manifest.root, "trust root")
    expect(main, manifest.main, "main branch")
    if len(manifest.items) > MOST_TASKS:
        faults.append(
            Reason(
                code="too-many",
                message=f"{len(manifest.items)} tasks are more than the {MOST_TASKS} of one package",
            )
        )
    if not manifest.items and not manifest.restores:
        faults.append(Reason(code="empty", message="the package changes nothing"))
    if manifest.touches_workspace and len(manifest.items) > 1:
        faults.append(Reason(code="workspace-with-others", message="a change of the workspace travels alone"))
    if (manifest.purpose is Purpose.RESTORE) != bool(manifest.restores) or (
        manifest.restores and manifest.items
    ):
        faults.append(
            Reason(code="purpose", message="only a restore puts paths back, and it does nothing else")
        )
    names: dict[tuple[Kind, str], ItemKey] = {}
    for planned in manifest.items:
        other = names.get(planned.item.folded)
        names.setdefault(planned.item.folded, planned.item)
        if other is not None:
            faults.append(Reason(code="item-twice", message=f"{planned.item} and {other} are one name"))
        faults += _faults_of_item(planned)
    return faults


def _faults_of_item(planned: PlannedItem) -> list[Reason]:
    faults = []
    number = planned.before.version if planned.before else 0
    if planned.after.version <= number:
        faults.append(
            Reason(
                code="version",
                message=f"{planned.item} would go from version {number} to {planned.after.version}",
            )
        )
    was = planned.before is not None and planned.before.exists
    expected = {
        Change.ADD: (False, True),
        Change.MODIFY: (True, True),
        Change.DELETE: (True, False),
    }[planned.change]
    if (was, planned.after.exists) != expected:
        faults.append(Reason(code="change", message=f"{planned.item} is not a case of {planned.change}"))
    if planned.item.kind is Kind.WORKSPACE and planned.change is not Change.MODIFY:
        faults.append(Reason(code="workspace-change", message="a workspace can only be modified"))
    return faults


def stale_items(manifest: Manifest, held: Mapping[ItemKey, ItemState | None]) -> list[Reason]:
    """Find the items whose approved state is no longer what the plan starts from."""
    return [
        Reason(
            code="stale",
            message=f"{planned.item} is at {_version(held.get(planned.item))}, and the plan starts from "
            f"{_version(planned.before)}",
        )
        for planned in manifest.items
        if not same_state(held.get(planned.item), planned.before)
    ]


def same_state(one: ItemState | None, other: ItemState | None) -> bool:
    """Say whether two states are the same version with the same bytes."""
    if one is None or other is None:
        return one is other
    return one.version == other.version and dict(one.files) == dict(other.files)


def _version(state: ItemState | None) -> str:
    if state is None:
        return "no version"
    return f"version {state.version}" + ("" if state.exists else " (deleted)")


def unexpected(expected: Difference, found: Difference) -> list[Reason]:
    """Compare what a branch or a merge changes with what its manifest says, blob for blob."""
    faults = []
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) == found.get(path):
            continue
        if path not in expected:
            faults.append(
                Reason(
                    code="more-than-manifest", message=f"it changes {path}, which its manifest does not name"
                )
            )
        elif path not in found:
            faults.append(
                Reason(
                    code="less-than-manifest", message=f"it does not change {path}, which its manifest names"
                )
            )
        else:
            faults.append(Reason(code="other-bytes", message=f"{path} is not what its manifest pins"))
    return faults


def manifest_document(manifest: Manifest) -> dict[str, object]:
    """Write a manifest as the document that is committed."""
    document: dict[str, object] = {
        "apiVersion": API_VERSION,
        "kind": "Package",
        "name": manifest.name,
        "workspace": manifest.workspace,
        "root": manifest.root,
        "main": manifest.main,
        "purpose": str(manifest.purpose),
        "applicant": manifest.applicant,
        "description": manifest.description,
        "reviewers": list(manifest.reviewers),
        "execute": manifest.execute,
    }
    if manifest.rolls_back is not None:
        document["rollsBack"] = manifest.rolls_back
    if manifest.items:
        document["items"] = [_planned_document(planned) for planned in manifest.items]
    if manifest.restores:
        document["restores"] = [
            {"path": entry.path, "found": entry.found, "approved": entry.approved}
            for entry in manifest.restores
        ]
    return document


def _planned_document(planned: PlannedItem) -> dict[str, object]:
    document: dict[str, object] = {
        "item": str(planned.item),
        "change": str(planned.change),
        "submitters": list(planned.submitters),
        "task": planned.task,
        "before": None if planned.before is None else state_document(planned.before),
        "after": state_document(planned.after),
        "record": {"before": planned.record_before, "after": planned.record_after},
    }
    if planned.formatting_only:
        document["formattingOnly"] = True
    if planned.allowed_secrets:
        document["allowedSecrets"] = [
            {"file": entry.file, "line": entry.line, "reason": entry.reason}
            for entry in planned.allowed_secrets
        ]
    return document


def parse_manifest(value: Mapping[str, object]) -> Manifest:
    """Read a manifest that its schema accepts."""
    rolls_back = value.get("rollsBack")
    items = cast("Sequence[Mapping[str, object]]", value.get("items", ()))
    restores = cast("Sequence[Mapping[str, object]]", value.get("restores", ()))
    return Manifest(
        name=package_name(str(value["name"])),
        workspace=str(value["workspace"]),
        root=CommitId(str(value["root"])),
        main=str(value["main"]),
        purpose=Purpose(str(value["purpose"])),
        applicant=MemberId(str(value["applicant"])),
        description=str(value["description"]),
        reviewers=tuple(MemberId(who) for who in cast("Sequence[str]", value["reviewers"])),
        execute=value["execute"] is True,
        items=tuple(_parse_planned(entry) for entry in items),
        restores=tuple(
            RestoredPath(
                path=str(entry["path"]),
                found=cast("Held | None", entry["found"]),
                approved=cast("BlobId | None", entry["approved"]),
            )
            for entry in restores
        ),
        rolls_back=None if rolls_back is None else package_name(str(rolls_back)),
    )


def _parse_planned(value: Mapping[str, object]) -> PlannedItem:
    before = value["before"]
    record = cast("Mapping[str, object]", value["record"])
    secrets = cast("Sequence[Mapping[str, object]]", value.get("allowedSecrets", ()))
    return PlannedItem(
        item=item_key(str(value["item"])),
        change=Change(str(value["change"])),
        before=None if before is None else parse_state(cast("Mapping[str, object]", before)),
        after=parse_state(cast("Mapping[str, object]", value["after"])),
        task=CommitId(str(value["task"])),
        submitters=tuple(MemberId(who) for who in cast("Sequence[str]", value["submitters"])),
        record_before=cast("BlobId | None", record["before"]),
        record_after=cast("BlobId", record["after"]),
        formatting_only=value.get("formattingOnly", False) is True,
        allowed_secrets=tuple(
            AllowedSecret(
                file=str(entry["file"]), line=cast("int", entry["line"]), reason=str(entry["reason"])
            )
            for entry in secrets
        ),
    )
