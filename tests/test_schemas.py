"""Schemas: the complete examples pass, and whatever is wrong is said in one go, where it stands."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gitrelease import schemas
from gitrelease.core.finding import Severity
from gitrelease.core.job import ProcessType, ScheduleType
from gitrelease.core.names import NameRefused, item_name
from gitrelease.core.script import ScriptType
from gitrelease.core.workspace import Role
from gitrelease.documents import dump, parse
from gitrelease.errors import NotFound
from gitrelease.schemas.accepting import accepts
from gitrelease.schemas.explaining import problems_in

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parent.parent
EXAMPLES = {
    "workspace.yaml": "workspace",
    "orders_daily.job.yaml": "job",
    "clickstream_sessions.job.yaml": "job",
    "clickstream_single.job.yaml": "job",
    "clean-orders.script.yaml": "script",
}


def lines(text: str, kind: str) -> list[str]:
    """Give each finding on one line, as people are shown it."""
    found = schemas.validate(parse(text.encode(), file="a.yaml"), kind)
    assert all(one.file == "a.yaml" and one.severity is Severity.ERROR for one in found)
    return [
        f"{one.line}:{one.column} [{one.code}] {one.key or '(document)'}: {one.message}"
        + (f" ({one.hint})" if one.hint else "")
        for one in found
    ]


def job(
    more: str = "", *, nodes: str = "[{name: a, type: Shell}]", schedule: str = "{type: EXECUTE_ONCE}"
) -> str:
    return f"""\
apiVersion: gitrelease/v1
kind: Job
name: orders
processType: BATCH
schedule: {schedule}
nodes: {nodes}
{more}
"""


def workspace(more: str = "", *, members: str = "[{id: a, github: 1, roles: [admin]}]") -> str:
    return f"""\
apiVersion: gitrelease/v1
kind: Workspace
name: shop
id: 6f0c2d7e5b6a4e1f
members: {members}
{more}
"""


# The examples.


@pytest.mark.parametrize(("file", "kind"), EXAMPLES.items())
def test_the_examples_are_right(file: str, kind: str) -> None:
    document = parse((DATA / file).read_bytes(), file=file)
    assert schemas.validate(document, kind) == []
    assert schemas.validate(parse(dump(document.value), file=file), kind) == []


def properties(schema: dict[str, Any]) -> Iterator[str]:
    """Name every property that a schema describes."""
    for key, inner in schema.items():
        if key == "properties":
            for word, described in inner.items():
                yield word
                yield from properties(described)
        elif isinstance(inner, dict):
            yield from properties(inner)
        elif isinstance(inner, list):
            for one in inner:
                if isinstance(one, dict):
                    yield from properties(one)


def words(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)


@pytest.mark.parametrize("kind", ["job", "script", "workspace"])
def test_the_examples_show_every_field(kind: str) -> None:
    described = set(properties(json.loads(schemas.schema_text(kind))))
    shown = {
        word
        for file, of in EXAMPLES.items()
        if of == kind
        for word in words(parse((DATA / file).read_bytes(), file=file).value)
    }
    assert described - shown == set()


# What is wrong.


def test_everything_wrong_with_a_job_is_said_at_once() -> None:
    text = """\
apiVersion: gitrelease/v2
kind: Job
name: "a b\\n"
processType: batch
shedule: {type: CRON}
params: {"a b": x, n: 30, m: {value: 1, typ: variable}}
nodes:
  - {name: a, typo: x, maxExecutionTime: 2, retryTimes: "3", execTimeOutRetry: false, location: {x: a, y: 1}}
  - {name: b, type: "1", properties: [], conditions: [{}], failPolicy: fail}
  - x
basicConfig: {instanceTimeout: 3, tags: [a, a], priority: 1.0}
"""
    assert lines(text, "job") == [
        '1:1 [missing-key] (document): the key "schedule" is missing (add schedule: ...)',
        '1:13 [not-a-choice] apiVersion: must be gitrelease/v1, not "gitrelease/v2" (did you mean gitrelease/v1?)',
        "3:7 [wrong-form] name: \"a b\\n\" is not a name: only letters, digits, '_', '-', '.' and CJK"
        " ideographs are allowed",
        '4:14 [not-a-choice] processType: must be one of BATCH, REAL_TIME, not "batch" (did you mean BATCH?)',
        '5:1 [unknown-key] shedule: unknown key "shedule"'
        " (did you mean schedule? What the schema does not know is called x-...)",
        "6:10 [bad-name] params.a b: the name \"a b\" has other than 1 to 64 letters, digits, '_' and '-'",
        '6:23 [wrong-type] params.n: must be a text or a mapping, not the number 30 (write it in quotes: "30")',
        '6:38 [wrong-type] params.m.value: must be a text, not the number 1 (write it in quotes: "1")',
        '6:41 [unknown-key] params.m.typ: unknown key "typ"'
        " (did you mean type? What the schema does not know is called x-...)",
        '8:5 [missing-key] nodes[0]: the key "type" is missing (add type: ...)',
        '8:15 [unknown-key] nodes[0].typo: unknown key "typo"'
        " (did you mean type? What the schema does not know is called x-...)",
        "8:42 [out-of-range] nodes[0].maxExecutionTime: must be from 5 to 1440, not 2",
        "8:57 [wrong-type] nodes[0].retryTimes: must be a whole number, not a text (write it without quotes)",
        '8:80 [not-a-choice] nodes[0].execTimeOutRetry: must be one of "true", "false", not false'
        ' (write it in quotes: "false")',
        '8:101 [wrong-form] nodes[0].location.x: "a" is not a number',
        '9:21 [wrong-form] nodes[1].type: "1" is not a node type: it begins with a letter and has only letters,'
        " digits, '_' and spaces, at most 64",
        "9:38 [wrong-type] nodes[1].properties: must be a mapping, not a list",
        '9:55 [missing-key] nodes[1].conditions[0]: the key "preNodeName" is missing (add preNodeName: ...)',
        '9:72 [not-a-choice] nodes[1].failPolicy: must be one of FAIL, IGNORE, SUSPEND, FAIL_CHILD, not "fail"'
        " (did you mean FAIL?)",
        "10:5 [wrong-type] nodes[2]: must be a mapping, not a text",
        "11:32 [not-allowed] basicConfig.instanceTimeout: must be 0, or from 5 to 1440",
        "11:41 [listed-twice] basicConfig.tags: lists something twice (list each once)",
        "11:59 [wrong-type] basicConfig.priority: must be a whole number, not the number 1.0",
    ]


def test_everything_wrong_with_a_workspace_is_said_at_once() -> None:
    text = """\
apiVersion: gitrelease/v1
kind: Workspace
name: shop!
members:
  - {id: a, emails: [x@y], keyz: [], roles: [admn]}
  - {id: b, roles: []}
  - {teem: "@o/p", roles: [viewer]}
  - {team: "org/p", roles: [viewer], emails: [a@b]}
  - {id: k, github: 1, roles: [admin, admin], keys: ["-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXktdjEA"]}
  - dev
review: {approvals: 0, signatures: none, required: [{paths: [], from: ["bad name\\n"]}]}
production: {lease: 0, targets: [{name: x, type: Git, mapings: {}}]}
"""
    assert lines(text, "workspace") == [
        '1:1 [missing-key] (document): the key "id" is missing (add id: ...)',
        "3:7 [wrong-form] name: \"shop!\" is not a name of 1 to 32 letters, digits, '_' and '-'",
        '5:28 [unknown-key] members[0].keyz: unknown key "keyz"'
        " (did you mean keys? What the schema does not know is called x-...)",
        "5:46 [not-a-choice] members[0].roles[0]: must be one of admin, developer, deployer, operator, viewer,"
        ' runner, dayu-administrator, tenant-administrator, not "admn" (did you mean admin?)',
        "6:5 [not-allowed] members[1]: needs emails or github, so that what they do can be recognised as theirs",
        "6:20 [too-few] members[1].roles: must not be empty",
        '7:5 [missing-key] members[2]: the key "team" is missing (add team: ...)',
        '7:6 [unknown-key] members[2].teem: unknown key "teem"'
        " (did you mean team? What the schema does not know is called x-...)",
        '8:12 [wrong-form] members[3].team: "org/p" is not a team like @org/data-leads',
        '8:38 [unknown-key] members[3].emails: unknown key "emails"'
        ' (remove it, or call it "x-emails" if it is to be kept)',
        "9:31 [listed-twice] members[4].roles: lists something twice (list each once)",
        "9:54 [wrong-form] members[4].keys[0]: the text is not an SSH public key: it is the one line of a file"
        " such as ~/.ssh/id_ed25519.pub",
        "10:5 [wrong-type] members[5]: must be a mapping, not a text",
        "11:21 [out-of-range] review.approvals: must be from 1 to 100, not 0",
        '11:36 [not-a-choice] review.signatures: must be one of required, off, not "none"',
        "11:61 [too-few] review.required[0].paths: must not be empty",
        '11:72 [wrong-form] review.required[0].from[0]: "bad name\\n" is neither the id of a member nor a team'
        " like @org/data-leads",
        "12:21 [out-of-range] production.lease: must be from 1 to 3600, not 0",
        '12:50 [wrong-form] production.targets[0].type: "Git" is not a type of target',
        '12:55 [unknown-key] production.targets[0].mapings: unknown key "mapings"'
        " (did you mean mappings? What the schema does not know is called x-...)",
    ]


def test_everything_wrong_with_a_script_is_said_at_once() -> None:
    text = "apiVersion: gitrelease/v1\nkind: Job\nname: a/b\ntype: hivesql\nconfiguration: {a: [1]}\ncontent: x\n"
    assert lines(text, "script") == [
        '2:7 [not-a-choice] kind: must be Script, not "Job"',
        "3:7 [wrong-form] name: \"a/b\" is not a name: only letters, digits, '_', '-', '.' and CJK ideographs are"
        " allowed",
        "4:7 [not-a-choice] type: must be one of FlinkSQL, DLISQL, SparkSQL, HiveSQL, DWSSQL, RDSSQL, Shell,"
        ' PRESTO, ClickHouseSQL, HetuEngineSQL, PYTHON, ImpalaSQL, SparkPython, not "hivesql"'
        " (did you mean HiveSQL?)",
        "5:20 [wrong-type] configuration.a: must be a text or a number or true or false or empty, not a list",
        '6:1 [unknown-key] content: unknown key "content" (remove it, or call it "x-content" if it is to be kept)',
    ]


@pytest.mark.parametrize(
    ("schedule", "found"),
    [
        ("{type: EXECUTE_ONCE}", []),
        ("{type: CRON}", ['5:11 [missing-key] schedule: the key "cron" is missing (add cron: ...)']),
        ("{type: EVENT}", ['5:11 [missing-key] schedule: the key "event" is missing (add event: ...)']),
        ("{}", ['5:11 [missing-key] schedule: the key "type" is missing (add type: ...)']),
        (
            '{type: CRON, cron: {expression: "0 0 0 * * ?"}}',
            ['5:30 [missing-key] schedule.cron: the key "startTime" is missing (add startTime: ...)'],
        ),
        (
            '{type: CRON, cron: {expression: "0 0 0 * * ?", startTime: "2026-01-01"}}',
            [
                '5:69 [wrong-form] schedule.cron.startTime: "2026-01-01" is not a time like 2026-01-31T23:59:59+08'
            ],
        ),
        ("{type: EVENT, event: {eventType: KAFKA, channel: clicks}}", []),
        (
            "{type: EVENT, event: {eventType: KAFKA, concurrent: 129}}",
            ["5:63 [out-of-range] schedule.event.concurrent: must be from 1 to 128, not 129"],
        ),
    ],
)
def test_a_schedule_has_what_its_type_needs(schedule: str, found: list[str]) -> None:
    assert lines(job(schedule=schedule), "job") == found


def test_limits_of_a_job() -> None:
    nodes = "[" + ", ".join(f"{{name: n{n}, type: Dummy}}" for n in range(201)) + "]"
    assert lines(job(nodes=nodes), "job") == [
        "6:8 [too-many] nodes: must have at most 200 entries, and has 201"
    ]
    assert lines(job(nodes="[]"), "job") == ["6:8 [too-few] nodes: must not be empty"]
    assert lines(job("params: {a: " + "x" * 1024 + "}"), "job") == []
    assert lines(job("params: {a: " + "x" * 1025 + "}"), "job") == [
        "7:13 [wrong-length] params.a: must have at most 1024 characters, and has 1025"
    ]
    assert lines(job("version: 0"), "job") == [
        "7:10 [out-of-range] version: must be from 1 to 999999999, not 0"
    ]
    assert lines(job("cleanOverdueDays: 1"), "job") == [
        "7:19 [out-of-range] cleanOverdueDays: must be at least 2, not 1"
    ]
    for minutes, right in ((0, True), (1, False), (4, False), (5, True), (1440, True), (1441, False)):
        assert (lines(job(f"basicConfig: {{instanceTimeout: {minutes}}}"), "job") == []) is right


def test_what_the_schema_does_not_know_travels_as_x() -> None:
    assert lines(job("x-useCdmCache: [1, {a: null}]", nodes="[{name: a, type: Shell, x-b: 1}]"), "job") == []
    assert lines(job("x-: 1"), "job") == [
        '7:1 [unknown-key] x-: unknown key "x-" (remove it, or call it "x-x-" if it is to be kept)'
    ]


def test_a_node_type_that_nobody_has_heard_of_is_for_the_targets_to_judge() -> None:
    assert lines(job(nodes="[{name: a, type: ModelArts Train}, {name: b, type: Neu}]"), "job") == []


def test_a_name_may_not_end_in_a_line_break() -> None:
    assert lines(job().replace("name: orders", 'name: "orders\\n"'), "job") != []


def test_text_from_a_file_cannot_steer_a_terminal() -> None:
    found = lines(job('"\\e[31m\\u202e": 1'), "job")
    assert found[0].endswith(
        'unknown key "\\u001b[31m\\u202e" (remove it, or call it "x-\\u001b[31m\\u202e" if it is to be kept)'
    )
    assert "\\u001b" in lines(job().replace("BATCH", '"\\e[31m"'), "job")[0]


def test_off_has_to_stand_in_quotes() -> None:
    assert lines(workspace('review: {signatures: "off"}'), "workspace") == []


KEYS = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t dev-1 at home",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= x",
]
NO_KEYS = [
    "ssh-dss AAAAB3NzaC1kc3MAAACBAP",
    "ssh-ed25519",
    'command="x" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5',
    "",
]


@pytest.mark.parametrize(("key", "right"), [(key, True) for key in KEYS] + [(key, False) for key in NO_KEYS])
def test_keys_are_public_keys(key: str, right: bool) -> None:
    members = f"[{{id: a, github: 1, roles: [admin], keys: [{json.dumps(key)}]}}]"
    assert (lines(workspace(members=members), "workspace") == []) is right


@settings(max_examples=200)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-3, 2000) | st.text(max_size=5) | st.floats(0, 2),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "nodes", "schedule", "cron", "type", "members", "team", "id", "params", "q"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    ),
    kind=st.sampled_from(["job", "script", "workspace"]),
    key=st.sampled_from(
        ["nodes", "schedule", "params", "members", "review", "production", "basicConfig", "type"]
    ),
)
def test_no_value_ends_in_a_traceback(value: object, kind: str, key: str) -> None:
    text = dump({"apiVersion": "gitrelease/v1", "name": "a", key: value})
    found = schemas.validate(parse(text, file="a.yaml"), kind)
    assert found
    assert found == sorted(found, key=lambda one: (one.line or 0, one.column or 0, one.message))
    assert len(set(found)) == len(found)
    assert all(one.line and one.column and one.message for one in found)


# The schemas themselves.


def objects(schema: object) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            yield schema
        for inner in schema.values():
            yield from objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from objects(inner)


def refs(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, inner in schema.items():
            if key == "$ref":
                yield inner
            yield from refs(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from refs(inner)


def patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, inner in schema.items():
            if key == "pattern" and isinstance(inner, str):
                yield inner
            yield from patterns(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from patterns(inner)


@pytest.mark.parametrize("kind", schemas.kinds())
def test_a_schema_is_a_schema(kind: str) -> None:
    schema = json.loads(schemas.schema_text(kind))
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:gitrelease:v1:{kind}"


@pytest.mark.parametrize("kind", schemas.kinds())
def test_a_schema_refers_to_nothing_outside(kind: str) -> None:
    schema = json.loads(schemas.schema_text(kind))
    own = {f"#/$defs/{name}" for name in schema.get("$defs", {})}
    others = {f"urn:gitrelease:v1:{other}" for other in schemas.kinds()}
    assert {ref for ref in refs(schema) if ref not in own and ref.partition("#")[0] not in others} == set()


@pytest.mark.parametrize("kind", ["job", "script", "workspace"])
def test_editors_have_something_to_show_for_every_field(kind: str) -> None:
    for schema in objects(json.loads(schemas.schema_text(kind))):
        for name, described in schema["properties"].items():
            assert described.get("title"), name
            assert described.get("description"), name


@pytest.mark.parametrize("kind", ["job", "script", "workspace"])
def test_a_key_is_known_or_begins_with_x(kind: str) -> None:
    # An upstream job is DataArts Studio's own mapping: kept whole, as the schema of it is not published.
    for schema in objects(json.loads(schemas.schema_text(kind))):
        if "jobName" not in schema["properties"]:
            assert schema["additionalProperties"] is False
            assert schema["patternProperties"] == {"^x-.": True}


@pytest.mark.parametrize("kind", schemas.kinds())
def test_patterns_are_anchored_and_cannot_backtrack_for_long(kind: str) -> None:
    for pattern in patterns(json.loads(schemas.schema_text(kind))):
        assert pattern.startswith("^")
        assert not re.search(r"[+*}]\)[+*{]", pattern), "a repeated repetition"


def test_the_schemas_and_the_core_name_the_same_choices() -> None:
    job_schema, script, space = (
        json.loads(schemas.schema_text(kind)) for kind in ("job", "script", "workspace")
    )
    assert script["properties"]["type"]["enum"] == list(ScriptType)
    assert space["$defs"]["roles"]["items"]["enum"] == list(Role)
    assert job_schema["properties"]["processType"]["enum"] == list(ProcessType)
    assert job_schema["$defs"]["schedule"]["properties"]["type"]["enum"] == list(ScheduleType)


@given(name=st.text(st.sampled_from("aZ0_.-订\u4e00豈\U00020000\U0003ffff /\né"), min_size=1, max_size=6))
def test_the_schema_lets_no_name_pass_that_has_other_characters(name: str) -> None:
    text = dump({"apiVersion": "gitrelease/v1", "kind": "Script", "name": name, "type": "Shell"})
    accepted = not schemas.validate(parse(text, file="a.yaml"), "script")
    try:
        item_name(name)
    except NameRefused as error:
        assert accepted == ("characters other than" not in error.message)
    else:
        assert accepted


# Where they are found.


def test_a_kind_without_a_schema() -> None:
    with pytest.raises(NotFound) as caught:
        schemas.schema_text("../pyproject")
    assert caught.value.message == "there is no schema '../pyproject'"
    assert caught.value.hint == f"the kinds are {', '.join(schemas.kinds())}"


def test_every_shipped_schema_has_a_place_in_a_release_repository_or_needs_none() -> None:
    assert {"job", "script", "workspace"} <= set(schemas.kinds())
    assert {"job", "script", "workspace"} <= set(schemas.FILE_GLOBS)


def test_an_installed_package_brings_its_schemas(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "gitrelease", tmp_path / "gitrelease", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "schemas", tmp_path / "gitrelease" / "_schemas")  # as the wheel does
    program = "from gitrelease import schemas; print(schemas.__file__, *schemas.kinds())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        text=True,
    )
    assert done.stdout.split() == [str(tmp_path / "gitrelease" / "schemas" / "__init__.py"), *schemas.kinds()]


def test_the_settings_of_an_editor() -> None:
    written = json.loads(schemas.editor_settings())
    globs = {
        f"./.gitrelease/schemas/{kind}.schema.json": glob
        for kind, glob in schemas.FILE_GLOBS.items()
        if kind in schemas.kinds()
    }
    assert written == {
        "yaml.schemas": globs,
        "yaml.schemaStore.enable": False,
        "files.encoding": "utf8",
        "files.eol": "\n",
        "files.insertFinalNewline": True,
        "[yaml]": {"editor.insertSpaces": True, "editor.tabSize": 2, "editor.detectIndentation": False},
    }
    elsewhere = json.loads(schemas.editor_settings("https://example.org/schemas"))
    assert elsewhere["yaml.schemas"]["https://example.org/schemas/job.schema.json"] == "jobs/**/*.job.yaml"


# The two that check.

ALL_EXAMPLES = {
    **EXAMPLES,
    "manifest.yaml": "manifest",
    "opinion.json": "opinion",
    "receipt.json": "receipt",
    "record.yaml": "record",
    "settlement.json": "settlement",
}
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 1.0, 0.0, -0.0, 1.5, 1e300, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(
        "",
        "a",
        "1",
        "true",
        "a\n",
        "\n",
        "a b",
        "é",
        "e\u0301",
        "订单",
        "\U00020000",
        "\U0001f600",
        "\u2028",
        "x\r",
    ),
    *(
        "a\x1f@b",
        "a\x85@b",
        "a\xa0@b",
        "a\ufeff@b",
        "a\u180e@b",
        "a\u2003@b",
        "a@b\n",
        "a@b",
        "@a/b",
        "/",
        "//",
        "\0",
    ),
    *(
        "a" * 64,
        "a" * 65,
        "a" * 128,
        "a" * 129,
        "订" * 128,
        "订" * 129,
        "\U00020000" * 129,
        "f" * 40,
        "F" * 40,
        "٣" * 40,
    ),
    *(
        "2026-01-01T00:00:00+08",
        "2026-01-01T00:00:00+08\n",
        "２026-01-01T00:00:00Z",
        "obs://",
        "obs://a",
        "obs://\n",
    ),
    *(
        [],
        {},
        [1, 1.0],
        [1, True],
        ["a", "a"],
        ["a", "A"],
        [[1], [1]],
        [{}, {}],
        {"a": 1},
        {"x-a": [1.0]},
        {"": ""},
    ),
]
NAMES = [
    "x-",
    "x-a",
    "x-\n",
    "x-\r",
    "x-\u2028",
    "X-a",
    "",
    "name",
    "typo",
    "订",
    "a" * 65,
    "version",
    "a\n",
    "cron",
]


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Give every place in a value at which something else could stand: the mapping or list, and the key."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in list(inner):
        yield value, key
        yield from spots(one)


def holds_whole_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(holds_whole_float(one) for one in value.values())
    if isinstance(value, list):
        return any(holds_whole_float(one) for one in value)
    return isinstance(value, float) and value.is_integer()


@pytest.mark.parametrize("sample", [8, pytest.param(1, marks=pytest.mark.long)])
def test_what_is_accepted_quickly_is_right_and_the_other_way_about(sample: int) -> None:
    """One checks quickly and the other explains; here each value of each example is replaced by odd ones."""
    tried = 0
    for file, kind in ALL_EXAMPLES.items():
        original = parse((DATA / file).read_bytes(), file=file).value
        assert accepts(kind, original)
        for number in range(len(list(spots(original)))):
            for odd in ODD[number % sample :: sample]:
                value = copy.deepcopy(original)
                holder, key = list(spots(value))[number]
                holder[key] = odd
                right = problems_in(value, kind) == []
                assert accepts(kind, value) == (right and not holds_whole_float(value)), (kind, key, odd)
                tried += 1
    assert tried > 10_000 / sample


@settings(max_examples=300)
@given(data=st.data())
def test_they_agree_about_whatever_is_changed(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(sorted(ALL_EXAMPLES)))
    kind = ALL_EXAMPLES[file]
    value = parse((DATA / file).read_bytes(), file=file).value
    for _ in range(data.draw(st.integers(1, 4))):
        holder, key = data.draw(st.sampled_from(list(spots(value)) or [(value, "")]))
        match data.draw(st.sampled_from(["take away", "put beside", "replace", "repeat"])):
            case "put beside" if isinstance(holder, dict):
                holder[data.draw(st.sampled_from(NAMES))] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case "take away" if holder is not value or len(value) > 1:
                holder.pop(key)
            case _:
                holder[key] = copy.deepcopy(data.draw(st.sampled_from(ODD)))
    assert accepts(kind, value) == (problems_in(value, kind) == [] and not holds_whole_float(value))


@pytest.mark.parametrize("half", ["\ud800", {"\udfff": 1}, float("nan"), float("inf"), 10**400])
def test_what_no_document_can_hold_is_not_accepted(half: object) -> None:
    value = parse((DATA / "opinion.json").read_bytes(), file="opinion.json").value
    assert not accepts("opinion", {**value, "note": half})
    assert not accepts("opinion", half)


@pytest.mark.parametrize("kind", schemas.kinds())
def test_patterns_mean_the_same_to_every_reader(kind: str) -> None:
    """`accepting.py` rewrites a space inside of [...]; what else readers disagree about is not used."""
    for pattern in patterns(json.loads(schemas.schema_text(kind))):
        outside = re.sub(r"\[(?:\\.|[^\]\\])*\]", "", pattern)
        assert not re.search(r"\\[sSdDwWbB]", outside), pattern
        assert not re.search(r"\\[SdDwWbBpP]", pattern), pattern


def test_settings_that_follow_their_schema_and_settings_that_do_not() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    assert schemas.setting_error({}, schema) is None
    assert schemas.setting_error({"n": 1}, schema) is None
    assert schemas.setting_error({"n": 1.0}, schema) is None
    assert schemas.setting_error({"n": "1"}, schema) == (("n",), "'1' is not of type 'integer'")


def test_nothing_is_loaded_that_only_explains() -> None:
    program = (
        "import sys\nfrom gitrelease import schemas\nfrom gitrelease.documents import parse\n"
        f"document = parse(open({str(DATA / 'orders_daily.job.yaml')!r}, 'rb').read(), file='a')\n"
        "assert not schemas.validate(document, 'job')\nprint('jsonschema' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, cwd=ROOT, text=True
    )
    assert ran.stdout == "False\n"
