"""Schemas of what gitrelease writes itself: whatever the core writes passes, and reads back the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest

from gitrelease import schemas
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement, entry_document, parse_entry
from gitrelease.core.content import Held, Pin
from gitrelease.core.finding import AllowedSecret
from gitrelease.core.item import Change, ItemState, Record, parse_record, record_document
from gitrelease.core.ledger import (
    Event,
    Evidence,
    ForgeKind,
    Founding,
    ItemResult,
    Receipt,
    Work,
    parse_receipt,
    receipt_document,
)
from gitrelease.core.names import (
    WORKSPACE_ITEM,
    BlobId,
    CommitId,
    ItemKey,
    ItemName,
    Kind,
    MemberId,
    PackageName,
    TaskId,
    task_id,
)
from gitrelease.core.package import (
    Manifest,
    PlannedItem,
    Purpose,
    Reason,
    RestoredPath,
    manifest_document,
    parse_manifest,
)
from gitrelease.core.plan import Digest, Outcome, OutcomeStatus
from gitrelease.core.review import Say
from gitrelease.documents import dump, parse

DATA = Path(__file__).parent / "data"
KINDS = ("manifest", "record", "receipt", "opinion", "settlement")
ID = "6f0c2d7e5b6a4e1f9c8d7b6a5e4f3d2c"


def commit(n: int) -> CommitId:
    return CommitId(f"{n:040x}")


def pin(n: int) -> Pin:
    return Pin(blob=BlobId(f"{n:040x}"), sha256=f"{n:064x}")


def job(name: str = "orders") -> ItemKey:
    return ItemKey(kind=Kind.JOB, name=ItemName(name))


def state(version: int, name: str = "orders", *, deleted: bool = False) -> ItemState:
    files = {
        f"jobs/sales/{name}.job.yaml": pin(version),
        f"jobs/sales/{name}.subjobs/订单.job.yaml": pin(version + 1),
    }
    return ItemState(version=version, files={} if deleted else files)


def planned(name: str = "orders") -> PlannedItem:
    return PlannedItem(
        item=job(name),
        change=Change.MODIFY,
        before=state(3, name),
        after=state(4, name),
        task=commit(5),
        submitters=(MemberId("dev-1"), MemberId("dev-2")),
        record_before=BlobId(commit(6)),
        record_after=BlobId(commit(7)),
        formatting_only=True,
        allowed_secrets=(
            AllowedSecret(file=f"jobs/sales/{name}.job.yaml", line=12, reason="an example: not used"),
        ),
    )


MANIFEST = Manifest(
    name=PackageName("orders_20261122160000"),
    workspace=ID,
    root=commit(1),
    main="main",
    purpose=Purpose.RELEASE,
    applicant=MemberId("dev-1"),
    description="Refresh the summary twice a day\n\nAsked for by sales.",
    reviewers=(MemberId("dep-1"), MemberId("adm-1")),
    execute=False,
    items=(
        planned(),
        replace(planned("clean"), change=Change.ADD, before=None, record_before=None, allowed_secrets=()),
        replace(planned("old"), change=Change.DELETE, after=state(4, "old", deleted=True)),
    ),
    rolls_back=PackageName("orders_20261121"),
)
RESTORE = replace(
    MANIFEST,
    purpose=Purpose.RESTORE,
    items=(),
    rolls_back=None,
    restores=(
        RestoredPath(path="jobs/a.job.yaml", found=Held(commit(1)), approved=BlobId(commit(2))),
        RestoredPath(path="jobs/link", found=Held(f"120000:{commit(1)}"), approved=None),
        RestoredPath(path="workspace.yaml", found=None, approved=BlobId(commit(2))),
    ),
)
RECORD = Record(item=job(), state=state(4), package=PackageName("orders_20261122160000"))
RECORDS = [
    RECORD,
    replace(RECORD, package=None),
    replace(RECORD, state=state(5, deleted=True)),
    Record(
        item=WORKSPACE_ITEM,
        state=ItemState(version=1, files={"workspace.yaml": pin(1)}),
        package=None,
    ),
]
RECEIPT = Receipt(
    event=Event.FINISHED,
    runner=MemberId("sync"),
    run="7f3a",
    work=Work.PACKAGE,
    package=PackageName("orders_20261122160000"),
    evidence=Evidence(
        main_before=commit(1),
        main_after=commit(2),
        manifest=BlobId(commit(3)),
        head=commit(4),
        log=commit(5),
        tasks=(commit(6),),
        approvals=("1234567890",),
        recorded={"pushes": [{"by": 101, "at": "2026-11-22T16:00:00Z"}]},
        earlier=(commit(10),),
    ),
    results=(
        ItemResult(
            item=job(),
            target="main",
            version=4,
            mapping="0" * 64,
            outcome=Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=Digest("1" * 64)),
        ),
        ItemResult(
            item=job("clean"),
            target="main",
            version=4,
            mapping="0" * 64,
            outcome=Outcome(status=OutcomeStatus.FAILED, error="the disk is full"),
        ),
    ),
    reasons=(Reason(code="stale", message="orders is at version 5"),),
    items=(job(), job("clean")),
    targets=("main",),
    holdings=commit(8),
    note="the tag's name was taken",
)
FOUNDING = Founding(workspace=ID, main="main", taken_over=commit(9), forge=ForgeKind.GITHUB)
ROOT = Receipt(event=Event.ROOT, runner=MemberId("adm-1"), founding=FOUNDING)
SETTLED = SettledTask(
    id=TaskId(item=job(), version=3),
    commit=commit(1),
    settlement=Settlement.RELEASED,
    package=PackageName("orders_20261122160000"),
)
ENTRY = ArchiveEntry(
    by=MemberId("sync"),
    tasks=(SETTLED, replace(SETTLED, settlement=Settlement.SUPERSEDED, package=None)),
    package=PackageName("orders_20261122160000"),
    settlement=Settlement.RELEASED,
    head=commit(2),
    log=commit(3),
    message="done",
    recorded={"number": 7},
    earlier=(commit(4),),
)
OPINION: dict[str, object] = {
    "apiVersion": "gitrelease/v1",
    "kind": "Opinion",
    "say": Say.APPROVE,
    "package": "orders_20261122160000",
    "workspace": ID,
    "root": commit(1),
    "head": commit(2),
    "manifest": commit(3),
    "previous": commit(4),
    "message": "looks right",
    "asks": ["dep-1"],
}
EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "manifest": manifest_document(MANIFEST),
    "record": record_document(RECORD),
    "receipt": receipt_document(replace(RECEIPT, founding=FOUNDING)),
    "opinion": OPINION,
    "settlement": entry_document(ENTRY),
}


def read(document: Mapping[str, object], kind: str) -> dict[str, object]:
    """Write a document, read it back, and hold it against its schema."""
    parsed = parse(dump(document), file=f"{kind}.yaml")
    assert schemas.validate(parsed, kind) == []
    return dict(parsed.value)


def wrong(document: Mapping[str, object], kind: str, **changes: object) -> list[str]:
    """Say what a schema has against a document with something changed in it."""
    found = schemas.validate(parse(dump({**document, **changes}), file="a.yaml"), kind)
    return [f"[{one.code}] {one.key or '(document)'}: {one.message}" for one in found]


@pytest.mark.parametrize("manifest", [MANIFEST, RESTORE])
def test_a_manifest_reads_back_the_same(manifest: Manifest) -> None:
    assert parse_manifest(read(manifest_document(manifest), "manifest")) == manifest


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_reads_back_the_same(record: Record) -> None:
    assert parse_record(read(record_document(record), "record")) == record


@pytest.mark.parametrize(
    "receipt",
    [
        ROOT,
        RECEIPT,
        Receipt(event=Event.ALIVE, runner=MemberId("sync"), holdings=commit(1)),
        replace(RECEIPT, evidence=None, results=(), event=Event.REFUSED, work=Work.REPAIR),
    ],
)
def test_a_receipt_reads_back_the_same(receipt: Receipt) -> None:
    assert parse_receipt(read(receipt_document(receipt), "receipt")) == receipt


@pytest.mark.parametrize("entry", [ENTRY, ArchiveEntry(by=MemberId("dev-1"), tasks=(SETTLED,))])
def test_an_entry_of_the_archive_reads_back_the_same(entry: ArchiveEntry) -> None:
    assert parse_entry(read(entry_document(entry), "settlement")) == entry


SAYS = [say for say in Say if say is not Say.UNREADABLE]
"""What people can say; what cannot be read was said by nobody."""


@pytest.mark.parametrize("say", SAYS)
def test_every_opinion_passes(say: Say) -> None:
    document = {**OPINION, "say": say, "previous": None, "message": "", "asks": []}
    assert read(document, "opinion") == document


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_are_what_the_core_writes(kind: str) -> None:
    ending = "yaml" if kind in schemas.FILE_GLOBS else "json"
    example = parse((DATA / f"{kind}.{ending}").read_bytes(), file=f"{kind}.{ending}")
    assert schemas.validate(example, kind) == []
    assert example.value == parse(dump(EXAMPLES[kind]), file=kind).value


@pytest.mark.parametrize("kind", KINDS)
def test_documents_are_closed(kind: str) -> None:
    assert wrong(EXAMPLES[kind], kind, surprise=1) == ['[unknown-key] surprise: unknown key "surprise"']


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_show_every_key(kind: str) -> None:
    schema = json.loads(schemas.schema_text(kind))
    shown = set(EXAMPLES[kind])
    assert set(schema["properties"]) - shown <= ({"restores"} if kind == "manifest" else set())


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_explained(kind: str) -> None:
    def explained(schema: object) -> None:
        if isinstance(schema, dict):
            for described in schema.get("properties", {}).values() if schema.get("type") == "object" else ():
                assert described["title"]
                assert described["description"]
            for inner in schema.values():
                explained(inner)

    explained(json.loads(schemas.schema_text(kind)))


def test_what_is_wrong_with_a_manifest_is_said() -> None:
    document = manifest_document(MANIFEST)
    assert wrong(document, "manifest", root="abc", purpose="party", reviewers=["a b"], items=[]) == [
        '[wrong-form] root: "abc" is not the id of a git object: 40 hexadecimal digits',
        '[not-a-choice] purpose: must be one of release, rollback, import, restore, not "party"',
        '[wrong-form] reviewers[0]: "a b" is not the id of a member',
        "[too-few] items: must not be empty",
    ]
    item = manifest_document(replace(MANIFEST, items=(planned(),)))["items"]
    assert isinstance(item, list)
    item[0]["after"]["files"]["../x"] = {"blob": commit(1), "sha256": "0"}
    assert wrong(document, "manifest", items=item) == [
        '[bad-name] items[0].after.files.../x: the name "../x" is not the path of a file of an item',
        '[wrong-form] items[0].after.files.../x.sha256: "0" is not a SHA-256: 64 hexadecimal digits',
    ]


def test_a_restored_path_may_be_anything_a_package_guards() -> None:
    document = manifest_document(RESTORE)

    def restored(path: str, found: str | None) -> list[str]:
        return wrong(document, "manifest", restores=[{"path": path, "found": found, "approved": None}])

    for path in ("items/x", "packages", "jobs/a b", "workspace.yaml"):
        assert restored(path, f"040000:{commit(1)}") == []
    assert restored("README.md", None) != []
    assert restored("jobs/x", "link") != []


def test_a_trust_root_names_workspace_main_and_what_it_took_over() -> None:
    document = receipt_document(ROOT)
    for key in ("workspace", "main", "takenOver"):
        without = {name: value for name, value in document.items() if name != key}
        assert wrong(without, "receipt") == [f'[missing-key] (document): the key "{key}" is missing']


def test_the_schemas_and_the_core_name_the_same_choices() -> None:
    def choices(kind: str, *way: str) -> list[object]:
        value = json.loads(schemas.schema_text(kind))
        for step in way:
            value = value[step]
        return list(value["enum"])

    assert choices("manifest", "properties", "purpose") == list(Purpose)
    assert choices("manifest", "$defs", "item", "properties", "change") == list(Change)
    assert choices("receipt", "properties", "event") == list(Event)
    assert choices("receipt", "properties", "work") == list(Work)
    assert choices("receipt", "$defs", "result", "properties", "status") == list(OutcomeStatus)
    assert choices("opinion", "properties", "say") == SAYS
    assert choices("settlement", "properties", "settlement") == [*Settlement, None]


def test_a_manifest_of_a_hundred_items_is_checked_at_once() -> None:
    items = tuple(planned(f"orders_{n}") for n in range(100))
    document = parse(dump(manifest_document(replace(MANIFEST, items=items))), file="a.yaml")
    schemas.validate(document, "manifest")  # the schema itself is read once
    start = process_time()
    assert schemas.validate(document, "manifest") == []
    assert process_time() - start < 0.3
    assert wrong(document.value, "manifest", items=[*document.value["items"], {}])[-1] != ""  # type: ignore[misc]


def test_a_task_of_the_archive_is_a_task() -> None:
    document = {**entry_document(ENTRY), "tasks": [{**entry_document(ENTRY)["tasks"][0], "id": "job/x"}]}  # type: ignore[index]
    assert wrong(document, "settlement") == [
        '[wrong-form] tasks[0].id: "job/x" is not a task like job/orders/v3'
    ]
    assert task_id("job/orders/v3") == SETTLED.id
