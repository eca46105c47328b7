"""Readers: everything in gitrelease that reads what somebody else wrote, each as a function of bytes.

A reader says whether the input was accepted. It raises where the input got through as anything else than a
refusal that names its place, or a whole value that everything after it can work with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import yaml

from gitrelease import secrets
from gitrelease.archiving import Kept, entry_of, read_summary, write_summary
from gitrelease.checking import Draft, Surroundings, check_drafts
from gitrelease.core.archive import entry_document
from gitrelease.core.finding import has_errors
from gitrelease.core.glancing import glimpse
from gitrelease.core.item import parse_record, record_document
from gitrelease.core.job import Mappings, meaning, parse_job, switch_names
from gitrelease.core.ledger import (
    holding_document,
    parse_holding,
    parse_standing,
    receipt_document,
    standing_document,
)
from gitrelease.core.names import (
    SUBMIT,
    BlobId,
    CommitId,
    Directory,
    ItemKey,
    ItemName,
    Kind,
    NameRefused,
    RefName,
    TreeId,
    branch,
    directory,
    fold,
    item_key,
    item_name,
    manifest_path,
    package_name,
    place_of,
    record_path,
    task_id,
    task_of,
    task_ref,
)
from gitrelease.core.package import Manifest, faults_of, manifest_document, parse_manifest
from gitrelease.core.patch import patch_of
from gitrelease.core.patterns import path_matches
from gitrelease.core.schedule import next_runs, words
from gitrelease.core.script import parse_script
from gitrelease.core.status import PACKAGE_SORTS, Packaged, Summary
from gitrelease.core.workspace import Workspace, parse_workspace
from gitrelease.documents import DocumentRefused, canonical_json, dump, parse
from gitrelease.documents.composing import composed
from gitrelease.messages import message_of, read_value, value_bytes
from gitrelease.reading.ledger import receipt_of
from gitrelease.reading.trees import pin, read_document
from gitrelease.render.json import dumped
from gitrelease.render.packages import package_list, package_view
from gitrelease.repo import Commit, Identity
from gitrelease.schemas.accepting import accepts
from gitrelease.schemas.explaining import problems_in
from tests.fuzz.fair import PAPERS, assert_clean, assert_findings, assert_named, assert_typed, outcome
from tests.fuzz.seeds import ASKED, seeds

Reader = Callable[[bytes], bool]

SMALL = 20_000 if ASKED else 1000
"""Up to so many bytes an input is also read in the slow ways, which have to agree."""
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ID = "1" * 40
MAPPINGS = Mappings(connections={"dws": "a"}, queues={}, databases={"ods_dev": "b"})


# Items: what people write.

_NAMES = {
    Kind.JOB: ("orders_daily", "clickstream_single", "clickstream_sessions"),
    Kind.SCRIPT: ("clean-orders",),
    Kind.WORKSPACE: ("workspace",),
}


def _item(kind: Kind, folder: str, ending: str, *others: tuple[str, bytes]) -> Reader:
    near = {"job": "orders", "script": "clean"}
    around = Surroundings(
        exists=lambda other: not other.name.startswith("no"), nearest=lambda other: near.get(other.kind)
    )

    def read(data: bytes) -> bool:
        # An item is called as its file is, and the good examples have names of their own.
        name = next((one for one in _NAMES[kind] if one.encode() in data), _NAMES[kind][0])
        path = f"{folder}{name}{ending}"
        item = ItemKey(kind=kind, name=ItemName(name))
        findings = check_drafts([Draft(item=item, files={path: data, **dict(others)})], around)
        assert_findings(findings)
        assert {one.file for one in findings} <= {path, *(other for other, _ in others)}
        _agreed(data, path, kind.value)
        if has_errors(findings):
            return False
        value = parse(data, file=path).value
        match kind:
            case Kind.JOB:
                _usable_job(value, place_of(path).directory)
            case Kind.SCRIPT:
                assert_typed(script := parse_script(value, directory=place_of(path).directory), type(script))
                assert script.uses is not None
            case Kind.WORKSPACE:
                _usable_workspace(parse_workspace(value))
        canonical_json(meaning(value, place_of(path).directory))
        return True

    return read


def _usable_job(value: Mapping[str, Any], place: Directory) -> None:
    """Do with a job what is done with one that is approved."""
    job = parse_job(value, directory=place)
    assert_typed(job, type(job))
    assert_clean(words(job.schedule).replace("\n", " "))
    if job.schedule.cron is not None:
        for after in (NOON, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)):
            next_runs(job.schedule.cron, after, 3)
    json.dumps(switch_names(value, MAPPINGS)).encode()


def _usable_workspace(workspace: Workspace) -> None:
    """Ask a workspace what it is asked of every package."""
    assert_typed(workspace, Workspace)
    for rule in workspace.review.required:
        for pattern in rule.paths:
            path_matches(pattern, "jobs/sales/daily/orders_daily.job.yaml")
    for who in workspace.members:
        assert workspace.member(who.id) is not None


def _agreed(data: bytes, file: str, kind: str) -> None:
    """See that the quick way and the slow ways to read a document say the same, and that writing keeps it."""
    try:
        document = parse(data, file=file)
    except DocumentRefused as refused:
        assert_named(refused, file)
        return
    text = document.text
    slow = composed(text, file)
    assert canonical(slow.value) == canonical(document.value), (
        "the short way and the long way read differently"
    )
    if len(data) <= SMALL:
        with suppress(DocumentRefused):  # the other parser may see less in a text, but nothing else
            python = parse(data, file=file, loader=yaml.SafeLoader)
            assert canonical(python.value) == canonical(document.value), "two parsers read differently"
        if accepts(kind, document.value):
            assert problems_in(document.value, kind) == [], "what is accepted at a glance is explained away"
    assert canonical(parse(dump(document.value), file=file).value) == canonical(document.value)


def canonical(value: object) -> str:
    """Write a value so that equal texts mean equal values, types and all: 1 is not 1.0, nor true."""
    return json.dumps(value, sort_keys=True)


def read_content(data: bytes) -> bool:
    """Look for secrets in any bytes, and at how they differ from others."""
    path = "scripts/sales/clean-orders.sql"
    findings = secrets.find(path, data)
    assert_findings(findings)
    for allowed in secrets.allowed(path, data):
        assert allowed.reason
    script = next(seed.data for seed in seeds("script") if seed.name == "good-small")
    item = ItemKey(kind=Kind.SCRIPT, name=ItemName("clean-orders"))
    files = {"scripts/sales/clean-orders.script.yaml": script, path: data}
    checked = check_drafts([Draft(item=item, files=files)], Surroundings(exists=lambda _: True))
    assert_findings(checked)
    good = seeds("content")[0].data
    for before, after in ((good, data), (data, good), (data, data[: len(data) // 2])):
        _glanced(path, before, after)
    return not has_errors(checked)


def read_two_jobs(before: bytes, after: bytes) -> None:
    """Compare two versions of a job at a glance, and as documents."""
    path = "jobs/sales/orders_daily.job.yaml"
    _glanced(path, before, after)
    seen = glimpse(path, before, after)
    try:
        one, other = (parse(data, file=path).value for data in (before, after))
    except DocumentRefused:
        return
    if seen.surely_differ:
        place = place_of(path).directory
        same = canonical_json(meaning(one, place)) == canonical_json(meaning(other, place))
        assert not same, "two texts that mean the same are said to differ"


def _glanced(path: str, before: bytes, after: bytes) -> None:
    seen = glimpse(path, before, after)
    try:
        patch = patch_of({path: before}, {path: after})
    except UnicodeDecodeError:
        assert (seen.added, seen.deleted) == (None, None)
        return
    if len(before) + len(after) <= SMALL:
        assert (seen.added, seen.deleted) == (patch.added, patch.deleted), "lines are counted differently"


# Documents that gitrelease writes, and anybody can push.


def read_a_manifest(data: bytes) -> bool:
    """Read the manifest of a package branch."""
    path = manifest_path(package_name("orders_20261122160000"))
    _agreed(data, path, "manifest")
    found = outcome(
        lambda data: read_document(data, file=path, kind="manifest", parser=parse_manifest), data, place=path
    )
    if found is None:
        return False
    _usable_manifest(found)
    return True


def _usable_manifest(manifest: Manifest) -> None:
    for reason in faults_of(
        manifest, branch=package_name("orders"), workspace="6f0c2d7e", root=CommitId(ID), main="main"
    ):
        assert reason.message
    for planned in manifest.items:
        record_path(planned.item)
    assert parse_manifest(manifest_document(manifest)) == manifest
    dump(manifest_document(manifest))


def read_a_record(data: bytes) -> bool:
    """Read the record of an item."""
    path = record_path(item_key("job/orders"))
    _agreed(data, path, "record")
    found = outcome(
        lambda data: read_document(data, file=path, kind="record", parser=parse_record), data, place=path
    )
    if found is None:
        return False
    assert parse_record(record_document(found)) == found
    assert (found.path is not None) == found.state.exists, "an item is where its document is"
    return True


# Commit messages.


def commit(message: bytes) -> Commit:
    """Make a commit with a message, as it comes out of git."""
    who = Identity(name="mal", email="mal@example.org")
    return Commit(
        id=CommitId(ID),
        tree=TreeId(ID),
        parents=(),
        author=who,
        authored_at=NOON,
        committer=who,
        committed_at=NOON,
        message=message.decode(errors="replace"),
        is_signed=False,
    )


def read_a_receipt(data: bytes) -> bool:
    """Read a commit of the ledger."""
    found = outcome(lambda data: receipt_of(commit(data)), data, place=ID[:7])
    if found is None:
        return False
    again = message_of(found.subject, receipt_document(found))
    assert receipt_of(commit(again.encode())) == found
    return True


def read_a_settlement(data: bytes) -> bool:
    """Read a commit of the archive."""
    found = outcome(lambda data: entry_of(commit(data)), data, place=ID[:7])
    if found is None:
        return False
    again = message_of(found.subject, entry_document(found))
    assert entry_of(commit(again.encode())) == found
    return True


def read_an_opinion(data: bytes) -> bool:
    """Read a commit of a review log. What is none counts for nothing, and is not refused."""
    from gitrelease.forges.local import _document, _entry_of

    found = _entry_of(commit(data))
    if found is None:
        return False
    assert_typed(found, type(found))
    again = message_of(f"{found.say} {found.package}", _document(found), words=found.message)
    assert _entry_of(commit(again.encode())) == found
    return True


# What trees hold beside documents.


def read_a_summary(data: bytes) -> bool:
    """Read what became of a package, list it and show it."""
    of = "the archive's packages/00/orders.json"
    kept = Kept(data=data, of=of)
    good = Kept(data=seeds("summary")[0].data, of=of)
    for column in PACKAGE_SORTS.values():

        def look(one: Packaged, column: Callable[[Packaged], object] = column) -> tuple[str, object, bool]:
            people = [one.applicant, *one.reviewers, *([one.released_by] if one.released_by else [])]
            return one.name, column(one), any(str(person) == "adm-1" for person in people)

        seen = outcome(lambda _, look=look: kept.seen(look), data, place=of)  # type: ignore[misc]
        if seen is not None:
            sorted([seen, good.seen(look)], key=lambda one: one[1])
    found = outcome(lambda data: read_summary(data, of=of), data, place=of)
    if found is None:
        return False
    _shown_summary(found)
    again = read_summary(write_summary(found), of=of)  # fractions of seconds are not kept
    assert read_summary(write_summary(again), of=of) == again
    return True


def _shown_summary(found: Summary) -> None:
    from gitrelease.commands.views import Listed
    from gitrelease.render.json import package

    listed = Listed(items=(found,), total=1, limit=30, offset=0)
    for paper in PAPERS:
        assert_clean(package_view(found, paper))
        assert_clean(package_list(listed, paper))
    assert_clean(dumped(package(found)))


def read_a_holding(data: bytes) -> bool:
    """Read what a target was last given of an item."""
    of = "the ledger's targets/main/job/00/orders.json"
    found = outcome(lambda data: read_value(data, parse_holding, of=of), data, place=of)
    if found is None:
        return False
    assert read_value(value_bytes(holding_document(found)), parse_holding, of=of) == found
    return True


def read_a_standing(data: bytes) -> bool:
    """Read how a target was last left."""
    of = "the ledger's word on the target main"
    found = outcome(lambda data: read_value(data, parse_standing, of=of), data, place=of)
    if found is None:
        return False
    assert read_value(value_bytes(standing_document(found)), parse_standing, of=of) == found
    return True


def read_a_number(data: bytes) -> bool:
    """Read the highest number that an item had, as the archive keeps it."""
    from gitrelease.archiving import read_number
    from gitrelease.core.archive import number_path

    path = number_path(item_key("job/orders"))
    found = outcome(lambda data: read_number(data, of=path), data, place=path)
    if found is None:
        return False
    assert 0 <= found <= 999_999_999, "no version has such a number"
    return True


# Names.


def read_a_name(data: bytes) -> bool:
    """Take any text for a name of each sort; what is one is spelled one way, and fits into refs and paths."""
    text = data.decode(errors="surrogateescape")
    accepted = False
    for parse_name in (item_name, package_name, directory):
        if (name := _name(parse_name, text)) is not None:
            accepted = True
            assert name == text
            assert not set(name) & set(" \\~^:?*[\x00\x7f'\"`$;|&<>(){}!#%")
            assert ".." not in name
            assert not name.startswith("-")
            name.encode()
            assert_clean(name)
    for key in (text, f"job/{text}"):
        if (item := _name(item_key, key)) is not None:
            accepted = True
            assert str(item) == key
            assert record_path(item) == record_path(item_key(f"{item.kind}/{item.name}"))
            assert fold(fold(item.name)) == fold(item.name)
    for key in (text, f"job/orders/{text}", f"script/{text}/v7"):
        if (task := _name(task_id, key)) is not None:
            accepted = True
            assert str(task) == key
            assert task_of(task_ref(task)) == task
            assert _name(lambda ref: task_of(RefName(ref)), f"{SUBMIT}{key}") == task
            assert branch(f"submit/{key}") == task_ref(task)
    for path in (
        text,
        f"jobs/{text}",
        f"jobs/{text}.job.yaml",
        f"scripts/{text}.sql",
        f"jobs/a.subjobs/{text}",
    ):
        if (place := _name(place_of, path)) is not None:
            accepted = True
            assert ".." not in path.split("/")
            assert place.item.name in path
            path.encode()
            assert_clean(path)
    pin(data, BlobId(ID))
    return accepted


def _name(parse_name: Callable[[str], Any], text: str) -> Any:
    try:
        found = parse_name(text)
    except NameRefused as refused:
        assert_named(refused, "")
        return None
    return found


READERS: Mapping[str, Reader] = {
    "job": _item(Kind.JOB, "jobs/sales/", ".job.yaml"),
    "script": _item(
        Kind.SCRIPT,
        "scripts/sales/",
        ".script.yaml",
        ("scripts/sales/clean-orders.sql", b"SELECT 1;\n"),
    ),
    "workspace": _item(Kind.WORKSPACE, "", ".yaml"),
    "manifest": read_a_manifest,
    "record": read_a_record,
    "receipt": read_a_receipt,
    "opinion": read_an_opinion,
    "settlement": read_a_settlement,
    "content": read_content,
    "summary": read_a_summary,
    "holding": read_a_holding,
    "standing": read_a_standing,
    "number": read_a_number,
    "name": read_a_name,
}
"""Who reads an input of each kind."""
