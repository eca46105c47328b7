"""Plans: the order of changes, what waits for what, and what production is given."""

from __future__ import annotations

import json
from collections.abc import Collection
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitrelease.core.job import Mappings
from gitrelease.core.names import Directory, ItemKey, ItemName, Kind, item_key
from gitrelease.core.plan import (
    Deployable,
    Digest,
    Outcome,
    OutcomeStatus,
    TargetChange,
    digest_of,
    in_order,
    job_files,
    mapping_digest,
    production_json,
    script_files,
    stem_of,
    waits_for_failed,
)

HERE = Directory("/sales")
NO_MAPPINGS = Mappings(connections={}, queues={}, databases={})


def wants(name: str, *needs: str) -> TargetChange:
    """A change that brings an item which needs others."""
    item = item_key(name)
    made = Deployable(
        item=item, directory=HERE, files={name: b"{}"}, needs=frozenset(item_key(need) for need in needs)
    )
    return TargetChange(item=item, wanted=made, held=None)


def goes(name: str) -> TargetChange:
    """A change that takes an item out of production."""
    return TargetChange(item=item_key(name), wanted=None, held=Digest("0" * 64))


def ordered(*changes: TargetChange) -> list[list[str]]:
    """Name the changes of each group."""
    return [[str(change.item) for change in group] for group in in_order(changes)]


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ((), []),
        ((wants("job/b"), wants("job/a")), [["job/a", "job/b"]]),
        ((wants("job/a", "script/s"), wants("script/s")), [["script/s"], ["job/a"]]),
        (
            (wants("job/c", "job/b"), wants("job/b", "job/a"), wants("job/a", "script/s"), wants("script/s")),
            [["script/s"], ["job/a"], ["job/b"], ["job/c"]],
        ),
        # What is needed and is not part of the package is there already.
        ((wants("job/a", "job/elsewhere", "script/elsewhere"),), [["job/a"]]),
        # A job that names itself waits for nothing.
        ((wants("job/a", "job/a"),), [["job/a"]]),
        # What goes, goes last: jobs before the scripts that they named.
        (
            (goes("script/s"), goes("job/x"), wants("job/a", "script/t"), wants("script/t"), goes("job/w")),
            [["script/t"], ["job/a"], ["job/x", "job/w"], ["script/s"]],
        ),
        # Jobs that wait for each other go together, after the scripts.
        (
            (wants("job/a", "job/b", "script/s"), wants("job/b", "job/a"), wants("script/s")),
            [["script/s"], ["job/a", "job/b"]],
        ),
    ],
    ids=["nothing", "free", "script-first", "chain", "elsewhere", "itself", "deletions", "cycle"],
)
def test_each_group_needs_only_what_came_before(
    changes: tuple[TargetChange, ...], order: list[list[str]]
) -> None:
    assert ordered(*changes) == order


def test_the_order_does_not_depend_on_how_the_changes_are_listed() -> None:
    changes = [
        wants("job/c", "job/a"),
        wants("job/b", "job/a"),
        wants("job/a", "script/s"),
        wants("script/s"),
    ]
    expected = [["script/s"], ["job/a"], ["job/b", "job/c"]]
    assert ordered(*changes) == ordered(*reversed(changes)) == expected


def test_every_change_is_in_exactly_one_group() -> None:
    changes = [wants(f"job/j{n}", f"job/j{n - 1}") for n in range(1, 30)] + [
        goes(f"script/s{n}") for n in range(5)
    ]
    listed = [change for group in in_order(changes) for change in group]
    assert sorted(listed, key=lambda change: change.item) == sorted(changes, key=lambda change: change.item)


@pytest.mark.parametrize(
    ("change", "failed", "blocked"),
    [
        (wants("job/b", "job/a"), {"job/a"}, "job/a"),
        (wants("job/b", "job/a", "script/s"), {"script/s", "job/a"}, "job/a"),
        (wants("job/b", "job/a"), {"job/x"}, None),
        (wants("job/b"), {"job/a"}, None),
        (goes("job/b"), {"job/b", "job/a"}, None),
    ],
)
def test_what_needs_something_that_failed_waits(
    change: TargetChange, failed: Collection[str], blocked: str | None
) -> None:
    found = waits_for_failed(change, {item_key(name) for name in failed})
    assert found == (None if blocked is None else item_key(blocked))


def test_a_digest_tells_every_file_and_every_name_apart() -> None:
    one = digest_of({"a": b"1", "b": b"2"})
    assert (
        one == sha256(f"a\0{sha256(b'1').hexdigest()}\nb\0{sha256(b'2').hexdigest()}\n".encode()).hexdigest()
    )
    assert one == digest_of({"b": b"2", "a": b"1"})
    others = [{"a": b"1"}, {"a": b"2", "b": b"1"}, {"a": b"1", "c": b"2"}, {"a": b"12", "b": b""}, {}]
    assert len({one, *map(digest_of, others)}) == 1 + len(others)


def test_a_mapping_digest_tells_every_name_apart() -> None:
    same = [
        Mappings(connections={"a": "b", "c": "d"}, queues={}, databases={}),
        Mappings(connections={"c": "d", "a": "b"}, queues={}, databases={}),
    ]
    others = [
        NO_MAPPINGS,
        Mappings(connections={}, queues={"a": "b", "c": "d"}, databases={}),
        Mappings(connections={}, queues={}, databases={"a": "b", "c": "d"}),
        Mappings(connections={"a": "b"}, queues={}, databases={}),
    ]
    assert mapping_digest(same[0]) == mapping_digest(same[1])
    assert len({mapping_digest(one) for one in (same[0], *others)}) == 1 + len(others)


def test_production_json_has_one_spelling() -> None:
    assert production_json({"b": 1, "a": "ü"}) == production_json({"a": "ü", "b": 1})
    assert production_json({"b": 1, "a": "ü"}).decode() == '{\n "a": "ü",\n "b": 1\n}\n'


def test_production_keeps_an_item_under_its_name_in_a_folder_that_stays_small() -> None:
    assert stem_of(ItemKey(kind=Kind.JOB, name=ItemName("orders"))) == "jobs/1c/orders"
    assert stem_of(ItemKey(kind=Kind.SCRIPT, name=ItemName("clean"))) == "scripts/3b/clean"


def test_a_job_is_given_with_its_subjobs_directory_and_the_names_of_production() -> None:
    node = {
        "name": "load",
        "type": "HiveSQL",
        "properties": {"scriptName": "clean", "connectionName": "hive_dev", "database": "ods_dev"},
    }
    document = {
        "apiVersion": "gitrelease/v1",
        "kind": "Job",
        "name": "orders",
        "version": 4,
        "processType": "BATCH",
        "nodes": [node],
    }
    made = job_files(
        item_key("job/orders"),
        HERE,
        document,
        subjobs={"part": {**document, "name": "part"}},
        mappings=Mappings(connections={"hive_dev": "hive"}, queues={}, databases={"ods_dev": "ods"}),
    )
    assert sorted(made) == ["jobs/1c/orders.job", "jobs/1c/orders.subjobs/part.job"]
    body = json.loads(made["jobs/1c/orders.job"])
    assert (body["name"], body["directory"], body["version"]) == ("orders", "/sales", "4")
    assert body["nodes"][0]["properties"] == [
        {"name": "scriptName", "value": "clean"},
        {"name": "connectionName", "value": "hive"},
        {"name": "database", "value": "ods"},
    ]
    assert "apiVersion" not in body


def test_a_script_is_given_with_its_content_inside() -> None:
    document = {
        "apiVersion": "gitrelease/v1",
        "kind": "Script",
        "name": "clean",
        "version": 2,
        "type": "HiveSQL",
        "connectionName": "hive_dev",
        "database": "other",
    }
    mappings = Mappings(connections={"hive_dev": "hive"}, queues={}, databases={"ods_dev": "ods"})
    made = script_files(item_key("script/clean"), HERE, document, "SELECT 1;\n", mappings=mappings)
    (path,) = made
    body = json.loads(made[path])
    assert path == "scripts/3b/clean.script"
    assert {key: body[key] for key in ("name", "connectionName", "database", "content", "directory")} == {
        "name": "clean",
        "connectionName": "hive",
        "database": "other",
        "content": "SELECT 1;\n",
        "directory": "/sales",
    }


def test_an_outcome_knows_nothing_that_was_not_said() -> None:
    assert Outcome(status=OutcomeStatus.FAILED) == Outcome(
        status=OutcomeStatus.FAILED, deployed=None, error=None
    )


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60)
@given(body=st.dictionaries(st.text(max_size=4), _VALUES, max_size=4))
def test_what_an_engine_is_given_is_json_as_python_spells_it(body: dict[str, object]) -> None:
    """Production holds such bytes since long, and their hashes stand in every ledger."""
    spelled = json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1) + "\n"
    assert production_json(body) == spelled.encode(errors="surrogatepass")
