"""DataArts bodies become documents and come back; what is lost is said, what is wrong is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gitrelease.sample
from gitrelease.core.body import JOB as JOB_SHAPE
from gitrelease.core.body import SCRIPT as SCRIPT_SHAPE
from gitrelease.core.body import BodyShape, Records
from gitrelease.core.dataarts import (
    ExportRefused,
    Imported,
    ImportRefused,
    job_body,
    job_document,
    script_body,
    script_document,
)
from gitrelease.core.names import Directory
from gitrelease.schemas import schema_text

CONSOLE = Path(gitrelease.sample.__file__).parent / "console"
ROOT = Directory("/")

Body = dict[str, Any]


def job(**more: object) -> Body:
    """Build the smallest body of a job there is."""
    return {
        "name": "orders",
        "directory": "/",
        "processType": "BATCH",
        "schedule": {"type": "EXECUTE_ONCE"},
        "params": [],
        "nodes": [],
    } | more


def node(**more: object) -> Body:
    """Build the smallest body of a node there is."""
    return {"name": "load", "type": "Shell", "preNodeName": [], "conditions": [], "properties": []} | more


def script(**more: object) -> Body:
    """Build the smallest body of a script there is."""
    return {"name": "clean", "directory": "/", "type": "HiveSQL", "content": "SELECT 1;\n"} | more


def console(name: str) -> Body:
    """Read a body as the console exports it."""
    body: Body = json.loads((CONSOLE / name).read_text(encoding="utf-8"))
    return body


def back(imported: Imported) -> Body:
    """Turn what was imported into a body again."""
    if imported.content is None:
        return job_body(imported.document, directory=imported.directory)
    return script_body(imported.document, imported.content.decode(), directory=imported.directory)


# What a document looks like.


def test_the_job_of_the_sample_reads_well() -> None:
    imported = job_document(console("dws_orders_daily.job"))
    assert str(imported.item) == "job/dws_orders_daily"
    assert imported.directory == "/sales/daily"
    assert imported.content is None
    assert imported.notes == ("left out lastUpdateUser and version: DataArts Studio sets that by itself",)
    document: Body = imported.document
    assert list(document) == [
        "apiVersion",
        "kind",
        "name",
        "description",
        "processType",
        "singleNodeJobFlag",
        "schedule",
        "params",
        "nodes",
        "basicConfig",
        "logPath",
        "emptyRunningJob",
        "cleanOverdueDays",
        "cleanWaitingJob",
    ]
    assert document["params"] == {
        "biz_date": '#{DateUtil.format(DateUtil.addDays(Job.planTime,-1),"yyyyMMdd")}',
        "region": {"value": "eu-west-101", "type": "constants"},
    }
    assert document["nodes"][0] == {
        "name": "ingest_orders",
        "type": "CDMJob",
        "properties": {
            "jobType": "existsJob",
            "clusterName": "cdm-shop-dev",
            "jobName": "mysql_orders_to_obs",
        },
        "pollingInterval": 20,
        "maxExecutionTime": 60,
        "execTimeOutRetry": "false",
        "retryTimes": 1,
        "retryInterval": 120,
        "failPolicy": "FAIL_CHILD",
        "location": {"x": 120, "y": 160},
    }
    assert document["nodes"][2]["preNodeName"] == ["clean_orders"]


def test_the_script_of_the_sample_reads_well() -> None:
    imported = script_document(console("clean-orders.script"))
    assert str(imported.item) == "script/clean-orders"
    assert imported.directory == "/sales/daily"
    assert imported.content is not None
    assert imported.content.startswith(b"INSERT OVERWRITE")
    assert imported.document == {
        "apiVersion": "gitrelease/v1",
        "kind": "Script",
        "name": "clean-orders",
        "description": "Drops rows without an amount",
        "type": "HiveSQL",
        "connectionName": "mrs_hive_dev",
        "database": "ods_dev",
        "owner": "etl-owner",
    }


def test_unknown_keys_are_kept_at_their_level() -> None:
    body = job(
        maskedParams=["x"],
        location={"x": "1.0"},
        schedule={
            "type": "CRON",
            "scheduleOffset": 5,
            "cron": {"expression": "0 0 2 * * ?", "scanDuration": None},
        },
        nodes=[
            node(
                name=name,
                lineageInfo={"in": []},
                properties=[{"name": "sql", "value": "x", "value_is_sensitive": False}],
            )
            for name in "abcde"
        ],
    )
    imported = job_document(body)
    document: Body = imported.document
    assert document["x-maskedParams"] == ["x"]
    assert document["x-location"] == {"x": "1.0"}
    assert document["schedule"]["x-scheduleOffset"] == 5
    assert document["schedule"]["cron"] == {"expression": "0 0 2 * * ?", "x-scanDuration": None}
    assert document["nodes"][0]["x-lineageInfo"] == {"in": []}
    assert document["nodes"][0]["properties"] == {"sql": {"value": "x", "x-value_is_sensitive": False}}
    assert back(imported) == body
    assert (
        "kept 'lineageInfo' as 'x-lineageInfo' at nodes[0], nodes[1], nodes[2] and 2 more: "
        "the schema does not know it"
    ) in imported.notes


def test_a_key_that_looks_like_ours_is_told_apart() -> None:
    body = job(**{"x-foo": 1, "foo": 2, "kind": "PIPELINE"})
    imported = job_document(body)
    assert imported.document["kind"] == "Job"
    assert imported.document["x-x-foo"] == 1
    assert back(imported) == body


def test_texts_that_mean_numbers_become_numbers() -> None:
    body = job(
        singleNodeJobFlag="False",
        emptyRunningJob=0,
        basicConfig={"instanceTimeout": "60", "taskPriority": "1.0"},
        nodes=[
            node(
                location={"x": "120.0", "y": "-7.25"},
                pollingInterval="20",
                execTimeOutRetry=True,
            )
        ],
    )
    imported = job_document(body)
    document: Body = imported.document
    assert document["singleNodeJobFlag"] is False
    assert document["emptyRunningJob"] == "0"
    assert document["basicConfig"] == {"instanceTimeout": 60, "taskPriority": 1}
    assert document["nodes"][0]["location"] == {"x": 120, "y": -7.25}
    assert document["nodes"][0]["pollingInterval"] == 20
    assert document["nodes"][0]["execTimeOutRetry"] == "true"
    assert imported.notes == ()
    assert back(imported)["nodes"][0]["location"] == {"x": "120.0", "y": "-7.25"}


def test_values_that_are_no_texts_become_texts_with_a_note() -> None:
    body = job(
        params=[{"name": "days", "value": 7}],
        nodes=[node(properties=[{"name": "dirty", "value": True}, {"name": "path"}])],
    )
    imported = job_document(body)
    document: Body = imported.document
    assert document["params"] == {"days": "7"}
    assert document["nodes"][0]["properties"] == {"dirty": "true", "path": ""}
    assert imported.notes == (
        "the parameter 'days' of the job was the number 7 and is the text '7' now",
        "the property 'dirty' of the node 'load' was true and is the text 'true' now",
        "the property 'path' of the node 'load' had no value and is an empty text now",
    )


def test_what_the_server_and_the_release_decide_is_left_out() -> None:
    body = job(
        id=7, createTime=1, version="4", downstreamJobs=["x"], targetStatus="SUBMITTED", approvers=[{}]
    )
    imported = job_document(body)
    assert imported.document.keys().isdisjoint(body.keys() - job().keys())
    assert imported.notes == (
        "left out createTime, downstreamJobs, id and version: DataArts Studio sets that by itself",
        "left out approvers and targetStatus: workspace.yaml says who reviews, and a release what goes live",
    )


@pytest.mark.parametrize(
    ("content", "expected", "notes"),
    [
        ("a\nb", b"a\nb", 0),
        ("a\r\nb\rc\n", b"a\nb\nc\n", 1),
        ("\ufeffa\r\n", b"a\n", 2),
        ("", b"", 0),
        ("订单\n", "订单\n".encode(), 0),
    ],
)
def test_the_content_of_a_script_has_plain_line_ends(content: str, expected: bytes, notes: int) -> None:
    imported = script_document(script(content=content))
    assert imported.content == expected
    assert len(imported.notes) == notes


@pytest.mark.parametrize(
    ("written", "directory", "notes"),
    [(None, "/", 0), ("", "/", 0), ("/", "/", 0), ("/a/b", "/a/b", 0), ("/a/b/", "/a/b", 1), ("a", "/a", 1)],
)
def test_the_directory_is_split_off(written: str | None, directory: str, notes: int) -> None:
    imported = job_document(job(directory=written))
    assert imported.directory == directory
    assert "directory" not in imported.document
    assert len(imported.notes) == notes


def test_the_version_goes_back_as_each_kind_writes_it() -> None:
    head = {"apiVersion": "gitrelease/v1", "version": 3}
    of_job = job_document(job()).document | head
    of_script = script_document(script()).document | head
    assert job_body(of_job, directory=ROOT)["version"] == "3"
    assert script_body(of_script, "", directory=ROOT)["version"] == 3


# What is refused.


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (job(name=7), "name is the number 7, not a text"),
        (job(name=None), "name is missing"),
        (job(nodes=None), "nodes is missing"),
        (job(nodes={"a": 1}), "nodes is a mapping, not a list"),
        (job(nodes=["a"]), "nodes[0] is the text 'a', not a mapping"),
        (job(nodes=[{"name": "a"}]), "nodes[0].type is missing"),
        (job(nodes=[node(preNodeName="a")]), "nodes[0].preNodeName is the text 'a', not a list of texts"),
        (job(nodes=[node(conditions=[[]])]), "nodes[0].conditions[0] is a list, not a mapping"),
        (
            job(nodes=[node(pollingInterval="ten")]),
            "nodes[0].pollingInterval is the text 'ten', not a whole number",
        ),
        (job(nodes=[node(location={"x": "left"})]), "nodes[0].location.x is the text 'left', not a number"),
        (job(nodes=[node(location={"x": 10**400})]), None),
        (
            job(nodes=[node(properties=[{"name": "a", "value": []}])]),
            "nodes[0].properties[0].value is a list, not a text",
        ),
        (
            job(nodes=[node(properties=[{"value": "a"}])]),
            "nodes[0].properties[0].name is missing, not a text",
        ),
        (job(params=[{"name": "a", "value": "", "type": [1]}]), "params[0].type is a list, not a text"),
        (job(schedule={"cron": {"dependJobs": [1]}}), "schedule.cron.dependJobs is a list, not a mapping"),
        (
            job(schedule={"cron": {"dependPrePeriod": "no"}}),
            "schedule.cron.dependPrePeriod is the text 'no', not true or false",
        ),
        (job(emptyRunningJob=2), 'emptyRunningJob is the number 2, not "0" or "1"'),
        (job(basicConfig="x"), "basicConfig is the text 'x', not a mapping"),
        (job(directory=["a"]), "directory is a list, not a text"),
        (job(description="\ud83d"), "description holds half of a character (a lone surrogate)"),
        (job(extra=[float("nan")]), "extra[0] is nan, which is no number in JSON"),
        (job(extra={"\udc00": 1}), None),
    ],
)
def test_wrong_types_are_refused_by_key(body: Body, message: str | None) -> None:
    with pytest.raises(ImportRefused) as caught:
        job_document(body)
    assert message is None or caught.value.message == message


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": "a b"}, "name: "),
        ({"name": ""}, "name: "),
        ({"directory": "/a/../b"}, "directory: "),
        ({"directory": "/a.b"}, "directory: "),
    ],
)
def test_names_that_gitrelease_does_not_allow_are_refused(change: Body, key: str) -> None:
    for body, convert in ((job(), job_document), (script(), script_document)):
        with pytest.raises(ImportRefused) as caught:
            convert(body | change)
        assert caught.value.message.startswith(key)
        assert caught.value.hint


def test_a_property_that_stands_twice_is_refused() -> None:
    twice = [{"name": "sql", "value": "a"}, {"name": "sql", "value": "b"}]
    with pytest.raises(ImportRefused) as caught:
        job_document(job(nodes=[node(), node(name="clean", properties=twice)]))
    assert caught.value.message == "the node 'clean' has the property 'sql' twice (nodes[1].properties)"
    with pytest.raises(ImportRefused) as caught:
        job_document(job(params=twice))
    assert caught.value.message == "the job has the parameter 'sql' twice (params)"


@pytest.mark.parametrize("content", [None, 5, ["SELECT 1"]])
def test_a_script_without_content_is_refused(content: object) -> None:
    with pytest.raises(ImportRefused, match=r"^content is "):
        script_document(script(content=content))


@pytest.mark.parametrize("body", [[], "text", None])
def test_a_body_that_is_no_mapping_is_refused(body: Any) -> None:
    for convert in (job_document, script_document):
        with pytest.raises(ImportRefused, match=r"^the body is "):
            convert(body)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "Script"}, "kind is 'Script', not 'Job'"),
        ({"colour": 1}, "colour is not a key that the schema knows"),
        ({"x-name": "a"}, "x-name would overwrite 'name', which is said elsewhere"),
        ({"x-directory": "/"}, "x-directory is said elsewhere, or set by DataArts Studio itself"),
        ({"x-version": "7"}, "x-version is said elsewhere, or set by DataArts Studio itself"),
        ({"version": "3"}, "version is the text '3', not a whole number"),
        ({"nodes": {}}, "nodes is a mapping, not a list"),
        ({"nodes": ["a"]}, "nodes[0] is the text 'a', not a mapping"),
        ({"schedule": []}, "schedule is a list, not a mapping"),
        ({"params": []}, "params is a list, not a mapping"),
        ({"params": {"a": 5}}, "params.a has the value 5, which is not a text"),
        ({"params": {"a": {"value": "", "name": "b"}}}, "params.a.name is not a key that the schema knows"),
        (
            {"params": {"a": {"value": "", "x-name": "b"}}},
            "params.a.x-name would overwrite 'name', which is said elsewhere",
        ),
    ],
)
def test_documents_that_no_body_can_say_are_refused(change: Body, message: str) -> None:
    document = job_document(job()).document | change
    with pytest.raises(ExportRefused) as caught:
        job_body(document, directory=ROOT)
    assert caught.value.message == message


# What the description and the schema know.


def listed(schema: Body, part: Body) -> dict[str, Any]:
    """Give the keys that a part of a schema lists, each with the keys below it."""
    if "$ref" in part:
        return listed(schema, schema["$defs"][part["$ref"].rpartition("/")[2]])
    if "items" in part:
        return listed(schema, part["items"])
    return {name: listed(schema, inner) for name, inner in part.get("properties", {}).items()}


def described(shape: object) -> dict[str, Any]:
    """Give the same for the description of a body."""
    if isinstance(shape, BodyShape):
        return {name: described(inner) for name, inner in shape.fields.items()}
    return described(shape.of) if isinstance(shape, Records) else {}


@pytest.mark.parametrize(("kind", "shape"), [("job", JOB_SHAPE), ("script", SCRIPT_SHAPE)])
def test_the_description_knows_what_the_schema_knows(kind: str, shape: BodyShape) -> None:
    """A key that only one of them knows would make an import that its own schema refuses."""
    schema: Body = json.loads(schema_text(kind))
    known = listed(schema, schema)
    for name in ("apiVersion", "kind", "version"):
        del known[name]
    for waits in _all(known, "dependJobs"):
        for name in ("sameWorkSpaceJobs", "otherWorkSpaceJobs"):  # taken as they are, whatever is in them
            waits[name] = {}
    assert described(shape) == known


def _all(known: dict[str, Any], wanted: str) -> Iterator[dict[str, Any]]:
    for name, inner in known.items():
        if name == wanted:
            yield inner
        yield from _all(inner, wanted)


# There and back.


def without(body: Body, *names: str) -> Body:
    """Leave out keys that are not expected to come back."""
    return {key: value for key, value in body.items() if key not in names}


def test_the_sample_comes_back() -> None:
    """All of it, but for keys that held nothing."""
    orders = console("dws_orders_daily.job")
    expected = without(orders, "lastUpdateUser", "version")
    expected["basicConfig"] = without(orders["basicConfig"], "executeUser", "agency")
    assert back(job_document(orders)) == expected

    sessions = console("clickstream_sessions.job")
    expected = without(sessions, "lastUpdateUser", "version")
    expected["basicConfig"] = without(sessions["basicConfig"], "executeUser", "agency", "customFields")
    assert back(job_document(sessions)) == expected

    clean = console("clean-orders.script")
    assert back(script_document(clean)) == without(clean, "queueName", "configuration", "version")


WORD = st.text("abcXYZ_019-订单", min_size=1, max_size=8).filter(lambda word: word[0] not in "-.")
NAME = WORD.map(lambda word: f"n{word}")
LINE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
WHOLE = st.integers(-(10**6), 10**6)
JSON_VALUE = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | LINE | st.just(""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LINE, inner, max_size=3),
    max_leaves=6,
)
# Keys that no version of the description will ever know, so that they may stand anywhere.
UNKNOWN = st.dictionaries(st.sampled_from(["_masked", "x-old", "_订单", "x-"]), JSON_VALUE, max_size=2)


def mapping(
    required: Mapping[str, st.SearchStrategy[Any]], optional: Mapping[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Body]:
    """Draw a mapping with these keys, and some that nobody knows."""
    known = st.fixed_dictionaries(dict(required), optional=dict(optional))
    return st.builds(lambda one, two: two | one, known, UNKNOWN)


def named(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Body]]:
    one = mapping({"name": LINE, "value": LINE | st.just(""), **more}, {})
    return st.lists(one, max_size=3, unique_by=lambda entry: str(entry["name"]))


EVENT = mapping(
    {"eventType": LINE}, {"channel": LINE, "concurrent": WHOLE, "readPolicy": LINE, "failPolicy": LINE}
)
DEPENDS = mapping(
    {"jobs": st.lists(NAME, max_size=2)},
    {"dependPeriod": LINE, "dependFailPolicy": LINE, "sameWorkSpaceJobs": st.lists(JSON_VALUE, max_size=2)},
)
CRON_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "startTime": LINE,
    "endTime": LINE,
    "expressionTimeZone": LINE,
    "intervalType": LINE,
    "dependPrePeriod": st.booleans(),
    "concurrent": WHOLE,
    "dependJobs": DEPENDS,
}
CRON = mapping({"expression": LINE}, CRON_FIELDS)
COORDINATE = st.floats(-5000, 5000).map(lambda number: str(number + 0.0))  # never -0.0, which becomes 0
NODE = mapping(
    {
        "name": NAME,
        "type": LINE,
        "preNodeName": st.lists(NAME, max_size=2),
        "conditions": st.lists(mapping({"preNodeName": NAME, "expression": LINE}, {}), max_size=2),
        "properties": named(),
    },
    {
        "location": st.fixed_dictionaries({"x": COORDINATE, "y": COORDINATE}),
        "pollingInterval": WHOLE,
        "maxExecutionTime": WHOLE,
        "execTimeOutRetry": st.sampled_from(["false", "true"]),
        "retryTimes": WHOLE,
        "retryInterval": WHOLE,
        "failPolicy": LINE,
        "cronTrigger": mapping({"expression": LINE}, CRON_FIELDS | {"period": LINE}),
        "eventTrigger": EVENT,
    },
)
BASIC = mapping(
    {"owner": LINE},
    {
        "priority": WHOLE,
        "executeUser": LINE,
        "agency": LINE,
        "instanceTimeout": WHOLE,
        "isIgnoreWaiting": WHOLE,
        "taskPriority": WHOLE,
        "tags": st.lists(LINE, min_size=1, max_size=2),
        "customFields": st.dictionaries(LINE, LINE, min_size=1, max_size=2),
    },
)
PLACE = st.lists(st.from_regex(r"d[a-z0-9_\-]{1,4}", fullmatch=True), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
JOB = mapping(
    {
        "name": NAME,
        "directory": PLACE,
        "processType": st.sampled_from(["BATCH", "REAL_TIME"]),
        "params": named(type=st.sampled_from(["variable", "constants"])),
        "nodes": st.lists(NODE, max_size=3),
        "schedule": mapping({"type": LINE}, {"cron": CRON, "event": EVENT}),
    },
    {
        "description": LINE,
        "singleNodeJobFlag": st.booleans(),
        "singleNodeJobType": LINE,
        "basicConfig": BASIC,
        "logPath": LINE,
        "emptyRunningJob": st.sampled_from(["0", "1"]),
        "cleanOverdueDays": WHOLE,
        "cleanWaitingJob": LINE,
    },
)
SCRIPT = mapping(
    {
        "name": NAME,
        "directory": PLACE,
        "type": LINE,
        "content": st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\r\ufeff"), max_size=30
        ),
    },
    {
        "connectionName": LINE,
        "database": LINE,
        "queueName": LINE,
        "configuration": st.dictionaries(LINE, JSON_VALUE, min_size=1, max_size=2),
        "description": LINE,
        "owner": LINE,
    },
)


@given(JOB)
def test_every_job_comes_back(body: Body) -> None:
    before = copy.deepcopy(body)
    imported = job_document(body)
    assert back(imported) == body == before
    again = job_document(back(imported))
    assert (again.document, again.directory) == (imported.document, imported.directory)


@given(SCRIPT)
def test_every_script_comes_back(body: Body) -> None:
    imported = script_document(body)
    assert back(imported) == body
    assert script_document(back(imported)).document == imported.document


@given(JOB, st.randoms(use_true_random=False))
def test_two_bodies_of_one_meaning_make_one_document(body: Body, random: Any) -> None:
    """Numbers as texts, empty keys more or less: a console and a script write them differently."""
    other = copy.deepcopy(body) | {"id": 12, "version": "7", "lastUpdateUser": "somebody"}
    records = [(other, ["description", "logPath", "cleanWaitingJob"], ["cleanOverdueDays"], ["params"])]
    for one in other["nodes"]:
        records.append(
            (one, ["failPolicy", "cronTrigger"], ["retryTimes"], ["conditions", "preNodeName", "properties"])
        )
    for record, absent, numbers, lists in records:
        for key in absent:
            record.setdefault(key, random.choice([None, "", [], {}]))
        for key in numbers:
            if key in record and random.random() < 0.5:
                record[key] = random.choice([str(record[key]), f"{record[key]}.0", float(record[key])])
        for key in lists:
            if not record[key] and random.random() < 0.5:
                del record[key]
    assert job_document(other).document == job_document(body).document


def mutate(value: Any, random: Any, new: object) -> Any:
    """Put a new value at a random place."""
    if isinstance(value, dict) and value and random.random() < 0.8:
        key = random.choice(sorted(value))
        return value | {key: mutate(value[key], random, new)}
    if isinstance(value, list) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        return [*value[:at], mutate(value[at], random, new), *value[at + 1 :]]
    return new


@given(
    st.sampled_from(["dws_orders_daily.job", "clean-orders.script"]),
    JSON_VALUE,
    st.randoms(use_true_random=False),
)
def test_a_broken_body_never_ends_in_a_traceback(name: str, new: object, random: Any) -> None:
    convert: Callable[[Any], Imported] = job_document if name.endswith(".job") else script_document
    try:
        imported = convert(mutate(console(name), random, new))
    except ImportRefused as refusal:
        assert refusal.message
    else:
        back(imported)
