"""A comparison says everything that is different, nothing that is not, and where."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelease.core.compare import (
    Comparison,
    FieldDifference,
    Named,
    Side,
    compare_item,
    comparison_document,
    differences,
    graph_changes,
    path_text,
    same,
)
from gitrelease.core.item import Change
from gitrelease.core.job import parse_job
from gitrelease.core.names import WORKSPACE_ITEM, WORKSPACE_PATH, Directory, ItemKey, ItemName, Kind
from gitrelease.core.patch import MOST_CHARACTERS, Patch, patch_of

ADD, MODIFY, DELETE = Change.ADD, Change.MODIFY, Change.DELETE

JOB = ItemKey(kind=Kind.JOB, name=ItemName("orders"))
SCRIPT = ItemKey(kind=Kind.SCRIPT, name=ItemName("clean-orders"))
JOB_PATH = "jobs/sales/orders.job.yaml"
SCRIPT_PATH = "scripts/sales/clean-orders.script.yaml"
CONTENT_PATH = "scripts/sales/clean-orders.sql"


def node(name: str, *before: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": "HiveSQL", "preNodeName": list(before), **more}


def job(*nodes: dict[str, object], **more: object) -> dict[str, object]:
    schedule = {"type": "CRON", "cron": {"expression": "0 0 2 * * ?"}}
    fixed = {"name": "orders", "version": 3, "processType": "BATCH"}
    return {**fixed, "nodes": list(nodes), "schedule": schedule, **more}


def side(
    documents: Mapping[str, Mapping[str, object]],
    version: int | None = None,
    *,
    others: Mapping[str, bytes] | None = None,
) -> Side:
    """An item of documents, whose bytes are their JSON (which is YAML), and of other files."""
    texts = {path: (json.dumps(value, indent=1) + "\n").encode() for path, value in documents.items()}
    return Side(exists=True, version=version, files={**texts, **(others or {})}, documents=documents)


NOTHING = Side(exists=False)


def told(
    before: Mapping[str, object], after: Mapping[str, object]
) -> list[tuple[str, Change, object, object]]:
    return [(one.path, one.change, one.before, one.after) for one in differences(before, after)]


# Documents, key by key.


def test_values_are_named_by_the_way_to_them() -> None:
    before = job(
        node("ingest"),
        node("clean_orders", "ingest", properties={"database": "ods_dev", "queueName": "q"}),
        node("old", "clean_orders"),
        params={"region": "eu-west-101"},
    )
    after = job(
        node("ingest"),
        node("clean_orders", "ingest", properties={"database": "ods", "spark.memory": "2g"}),
        node("report", "clean_orders"),
        description="Loads orders",
    )
    after["schedule"] = {"type": "CRON", "cron": {"expression": "0 30 2 * * ?"}}

    assert told(before, after) == [
        ("nodes[clean_orders].properties.database", MODIFY, "ods_dev", "ods"),
        ("nodes[clean_orders].properties.queueName", DELETE, "q", None),
        ('nodes[clean_orders].properties["spark.memory"]', ADD, None, "2g"),
        ("nodes[old]", DELETE, node("old", "clean_orders"), None),
        ("nodes[report]", ADD, None, node("report", "clean_orders")),
        ("schedule.cron.expression", MODIFY, "0 0 2 * * ?", "0 30 2 * * ?"),
        ("params", DELETE, {"region": "eu-west-101"}, None),
        ("description", ADD, None, "Loads orders"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        pytest.param(
            ["a", "b"], ["a", "c"], [("it", MODIFY, ["a", "b"], ["a", "c"])], id="plain lists are one value"
        ),
        pytest.param([], ["a"], [("it", MODIFY, [], ["a"])], id="also empty ones"),
        pytest.param(
            [{"name": "a"}, {"name": "b"}],
            [{"name": "b"}, {"name": "a"}],
            [("it[*]", MODIFY, ["a", "b"], ["b", "a"])],
            id="named elements changed places",
        ),
        pytest.param(
            [{"name": "a"}, {"name": "b"}],
            [{"name": "a"}, {"name": "new"}, {"name": "b"}],
            [("it[new]", ADD, None, {"name": "new"})],
            id="one more between them changes no order",
        ),
        pytest.param(
            [{"id": "dev-1", "roles": ["developer"]}, {"team": "@org/leads", "roles": []}],
            [{"id": "dev-1", "roles": ["developer", "admin"]}],
            [
                ("it[dev-1].roles", MODIFY, ["developer"], ["developer", "admin"]),
                ("it[@org/leads]", DELETE, {"team": "@org/leads", "roles": []}, None),
            ],
            id="members and teams have names",
        ),
        pytest.param(
            [{"preNodeName": "a", "expression": "x"}],
            [{"preNodeName": "a", "expression": "y"}],
            [("it[a].expression", MODIFY, "x", "y")],
            id="conditions are named by the node before",
        ),
        pytest.param(
            [{"paths": ["a"]}, {"paths": ["b"]}],
            [{"paths": ["new"]}, {"paths": ["a"]}, {"paths": ["c"]}],
            [
                ("it[0].paths", MODIFY, ["a"], ["new"]),
                ("it[1].paths", MODIFY, ["b"], ["a"]),
                ("it[2]", ADD, None, {"paths": ["c"]}),
            ],
            id="other lists are matched by place",
        ),
        pytest.param(
            [{"paths": ["a"]}, {"paths": ["b"]}],
            [{"paths": ["new"]}, {"paths": ["a"]}, {"paths": ["b"]}],
            [("it[0]", ADD, None, {"paths": ["new"]})],
            id="from both ends",
        ),
        pytest.param(
            [{"name": "a", "x": 1}, {"name": "a", "x": 2}],
            [{"name": "a", "x": 1}, {"name": "a", "x": 3}],
            [("it[1].x", MODIFY, 2, 3)],
            id="a name that stands twice names nothing",
        ),
        pytest.param(1, True, [("it", MODIFY, 1, True)], id="true is not 1"),
        pytest.param(1, 1.0, [("it", MODIFY, 1, 1.0)], id="1 is not 1.0"),
        pytest.param(
            "x", {"value": "x"}, [("it", MODIFY, "x", {"value": "x"})], id="a value became a mapping"
        ),
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, [], id="keys have no order"),
    ],
)
def test_each_kind_of_value(before: object, after: object, found: list[object]) -> None:
    assert told({"it": before}, {"it": after}) == found


def test_null_is_not_nothing() -> None:
    assert told({}, {"it": None}) == [("it", ADD, None, None)]


def test_keys_that_could_be_mistaken_stand_in_quotes() -> None:
    names = ["clean_orders", "刷新_summary", "a.b", "7", "*", 'a"]', "@org/team"]
    assert [path_text(("nodes", Named(name=name), "a.b")) for name in names] == [
        'nodes[clean_orders]["a.b"]',
        'nodes[刷新_summary]["a.b"]',
        'nodes[a.b]["a.b"]',
        'nodes["7"]["a.b"]',
        'nodes["*"]["a.b"]',
        'nodes["a\\"]"]["a.b"]',
        'nodes[@org/team]["a.b"]',
    ]


# Whatever the documents are: the differences make the one of the other, and turned around they lead back.

_TEXTS = st.sampled_from(["", "a", "b", "a.b", "7", "*", '"]', "名"])
_PLAIN = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, 1.0]) | _TEXTS
_NAMED = st.lists(
    st.fixed_dictionaries({"name": _TEXTS}, optional={"x": _PLAIN, "y": st.lists(_PLAIN, max_size=2)}),
    max_size=4,
    unique_by=lambda one: str(one["name"]),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _PLAIN | _NAMED,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=12,
)
_DOCUMENTS = st.dictionaries(_TEXTS, _VALUES, max_size=4)


@st.composite
def _pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two documents that have something in common."""
    before = draw(_DOCUMENTS)
    after = {**copy.deepcopy(before), **draw(_DOCUMENTS)}
    for name in draw(st.lists(st.sampled_from(sorted(after)), unique=True)) if after else []:
        value = after[name]
        if isinstance(value, list):
            after[name] = draw(st.permutations(value))[: draw(st.integers(0, len(value)))] + draw(_NAMED)
        else:
            del after[name]
    return before, after


_STEP = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|\[(\*)\]|\[([^\]"]+)\]|\.?([\w-]+)')


def _steps(path: str) -> list[object]:
    """Read a path back, which its text alone must allow."""
    found: list[object] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        assert match is not None, path
        quoted, place, order, name, key = match.groups()
        at = match.end()
        if quoted is not None:
            found.append(json.loads(f'"{quoted}"'))
        elif place is not None:
            found.append(int(place))
        else:
            found.append(... if order else name or key)
    return found


def _index(values: list[Any], name: object) -> int:
    if isinstance(name, int):
        return name
    return next(n for n, one in enumerate(values) if one["name"] == name)


def _apply(document: dict[str, Any], found: tuple[FieldDifference, ...]) -> dict[str, Any]:
    """Make the changes that differences name, knowing nothing but their paths and values."""
    result = copy.deepcopy(document)
    gone: list[tuple[list[Any], int]] = []
    come: list[tuple[list[Any], object, Any]] = []
    order: list[tuple[list[Any], list[str]]] = []
    for one in found:
        *way, last = _steps(one.path)
        at: Any = result
        for step in way:
            at = at[_index(at, step)] if isinstance(at, list) else at[step]
        if last is ...:
            order.append((at, list(one.after)))  # type: ignore[call-overload]
        elif isinstance(at, dict):
            if one.change is DELETE:
                del at[last]
            else:
                at[last] = copy.deepcopy(one.after)
        elif one.change is MODIFY:
            at[_index(at, last)] = copy.deepcopy(one.after)
        elif one.change is DELETE:
            gone.append((at, _index(at, last)))
        else:
            come.append((at, last, copy.deepcopy(one.after)))
    for values, place in sorted(gone, key=lambda one: -one[1]):
        del values[place]
    for values, names in order:
        values.sort(key=lambda one: names.index(one["name"]))
    for values, where, value in come:
        values.insert(where if isinstance(where, int) else len(values), value)
    return result


def _settled(value: Any) -> Any:
    """Put elements that have names in one order: where among the others a new one stands is not told."""
    if isinstance(value, dict):
        return {name: _settled(inner) for name, inner in value.items()}
    if isinstance(value, list):
        inner = [_settled(one) for one in value]
        names = [one.get("name") if isinstance(one, dict) else None for one in value]
        if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
            return sorted(inner, key=lambda one: str(one["name"]))
        return inner
    return value


@given(_pairs())
def test_differences_make_the_one_document_of_the_other(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = pair
    found = differences(before, after)
    assert same(_settled(_apply(before, found)), _settled(after))
    assert bool(found) is not same(before, after)


@given(_pairs())
def test_differences_turned_around_are_those_of_the_way_back(
    pair: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    before, after = pair
    turned = {ADD: DELETE, DELETE: ADD, MODIFY: MODIFY}

    def lines(found: tuple[FieldDifference, ...], *, back: bool) -> list[str]:
        told = (
            [one.path, turned[one.change], one.after, one.before]
            if back
            else [one.path, one.change, one.before, one.after]
            for one in found
        )
        return sorted(json.dumps(line, sort_keys=True) for line in told)

    assert lines(differences(after, before), back=False) == lines(differences(before, after), back=True)


@given(_pairs())
def test_no_two_differences_share_a_path_and_a_change(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    told = [(one.path, one.change) for one in differences(*pair)]
    assert len(told) == len(set(told))


# Items.


def test_an_item_that_did_not_change_is_not_told() -> None:
    one = side({JOB_PATH: job()})
    assert compare_item(JOB, one, one) is None


def test_a_job_that_was_modified() -> None:
    compared = compare_item(
        JOB, side({JOB_PATH: {"name": "orders", "version": 3, "retry": 1}}, 3),
        side({JOB_PATH: {"name": "orders", "version": 4, "retry": 2}}, 4),
    )  # fmt: skip
    assert compared is not None
    assert comparison_document(Comparison(before="may", after="june", items=(compared,))) == {
        "from": "may",
        "to": "june",
        "items": [
            {
                "kind": "job",
                "name": "orders",
                "change": "modify",
                "fromVersion": 3,
                "toVersion": 4,
                "formattingOnly": False,
                "differences": [{"path": "retry", "change": "modify", "before": 1, "after": 2}],
                "patch": (
                    "diff --git a/jobs/sales/orders.job.yaml b/jobs/sales/orders.job.yaml\n"
                    "--- a/jobs/sales/orders.job.yaml\n"
                    "+++ b/jobs/sales/orders.job.yaml\n"
                    "@@ -1,5 +1,5 @@\n"
                    " {\n"
                    '  "name": "orders",\n'
                    '- "version": 3,\n'
                    '- "retry": 1\n'
                    '+ "version": 4,\n'
                    '+ "retry": 2\n'
                    " }\n"
                ),
                "stat": {"added": 2, "deleted": 2},
            }
        ],
        "otherPaths": [],
    }


def test_a_new_number_other_spelling_and_other_places_on_the_canvas_are_formatting_only() -> None:
    compared = compare_item(
        JOB,
        side({JOB_PATH: job(node("a", location={"x": 1}), params={"p": "1"})}),
        side({JOB_PATH: job(node("a", location={"x": 2}), params={"p": {"value": "1"}}) | {"version": 4}}),
    )
    assert compared is not None
    assert (compared.change, compared.formatting_only, compared.differences) == (MODIFY, True, ())


def test_an_item_that_moved_is_compared_with_itself() -> None:
    moved = JOB_PATH.replace("sales", "web")
    compared = compare_item(JOB, side({JOB_PATH: job()}), side({moved: job()}))
    assert compared is not None
    assert compared.change is MODIFY
    assert [(one.path, one.before, one.after) for one in compared.differences] == [
        ("directory", "/sales", "/web")
    ]
    assert compared.patch.text.count("diff --git") == 2


def test_the_content_of_a_script_is_compared_as_text() -> None:
    document = {"name": "clean-orders", "type": "HiveSQL"}
    compared = compare_item(
        SCRIPT,
        side({SCRIPT_PATH: document}, others={CONTENT_PATH: b"SELECT 1;\n"}),
        side({SCRIPT_PATH: document}, others={CONTENT_PATH: b"SELECT 2;\n"}),
    )
    assert compared is not None
    assert compared.differences == (FieldDifference(key=("content",), change=MODIFY),)
    assert compared.formatting_only is False
    assert compared.patch == Patch(
        text=(
            f"diff --git a/{CONTENT_PATH} b/{CONTENT_PATH}\n--- a/{CONTENT_PATH}\n+++ b/{CONTENT_PATH}\n"
            "@@ -1 +1 @@\n-SELECT 1;\n+SELECT 2;\n"
        ),
        added=1,
        deleted=1,
    )


def test_subjobs_are_told_by_name() -> None:
    one, two, new = (f"jobs/sales/orders.subjobs/{name}.job.yaml" for name in ("one", "two", "new"))
    compared = compare_item(
        JOB,
        side({JOB_PATH: job(), one: {"name": "one", "x-a": 1}, two: {"name": "two"}}),
        side({JOB_PATH: job(), one: {"name": "one", "x-a": 2}, new: {"name": "new"}}),
    )
    assert compared is not None
    assert [(one.path, one.change, one.before, one.after) for one in compared.differences] == [
        ("subjobs[new]", ADD, None, {"name": "new"}),
        ("subjobs[one].x-a", MODIFY, 1, 2),
        ("subjobs[two]", DELETE, {"name": "two"}, None),
    ]


@pytest.mark.parametrize(("before", "after", "change"), [(False, True, ADD), (True, False, DELETE)])
def test_an_item_that_came_or_went(before: bool, after: bool, change: Change) -> None:
    there = side({JOB_PATH: {"name": "orders", "retry": 1}}, 1)
    compared = compare_item(JOB, there if before else NOTHING, there if after else NOTHING)
    assert compared is not None
    assert (compared.change, compared.formatting_only) == (change, False)
    assert [(one.path, one.change) for one in compared.differences] == [
        ("name", change),
        ("retry", change),
        ("directory", change),
    ]


def test_the_id_of_a_workspace_counts() -> None:
    compared = compare_item(
        WORKSPACE_ITEM,
        side({WORKSPACE_PATH: {"id": "one", "version": 1}}),
        side({WORKSPACE_PATH: {"id": "other", "version": 2}}),
    )
    assert compared is not None
    assert [(one.path, one.before, one.after) for one in compared.differences] == [("id", "one", "other")]


def test_a_document_that_cannot_be_read_is_compared_as_text() -> None:
    compared = compare_item(
        JOB, side({}, others={JOB_PATH: b"name: [orders\n"}), side({JOB_PATH: {"name": "orders"}})
    )
    assert compared is not None
    assert [(one.path, one.change) for one in compared.differences] == [(f'["{JOB_PATH}"]', MODIFY)]


# Files, line by line.


def numbered(*lines: int) -> bytes:
    return "".join(f"{n}\n" for n in lines).encode()


def test_hunks_have_three_lines_around_them() -> None:
    before = numbered(*range(1, 31))
    after = before.replace(b"\n5\n", b"\nfive\n").replace(b"\n25\n", b"\n")
    assert patch_of({"f": before}, {"f": after}) == Patch(
        text=(
            "diff --git a/f b/f\n--- a/f\n+++ b/f\n"
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
            "@@ -22,7 +22,6 @@\n 22\n 23\n 24\n-25\n 26\n 27\n 28\n"
        ),
        added=1,
        deleted=2,
    )


@pytest.mark.parametrize(
    ("before", "after", "hunk"),
    [
        (b"a\nb", b"a\nb\n", "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"),
        (b"a\nb\n", b"a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file\n"),
        (b"a\nb", b"c\nb", "@@ -1,2 +1,2 @@\n-a\n+c\n b\n\\ No newline at end of file\n"),
        (b"", b"a\n", "@@ -0,0 +1 @@\n+a\n"),
        (b"a\n", b"", "@@ -1 +0,0 @@\n-a\n"),
        # no line ends but newlines
        ("a\x0b\u2028\r\n".encode(), b"a\n", "@@ -1 +1 @@\n-a\x0b\u2028\r\n+a\n"),
    ],
)
def test_ends_of_lines_and_files(before: bytes, after: bytes, hunk: str) -> None:
    assert patch_of({"f": before}, {"f": after}).text == f"diff --git a/f b/f\n--- a/f\n+++ b/f\n{hunk}"


def test_files_that_come_and_go() -> None:
    assert patch_of({"b": b"x\n", "c": b""}, {"a": b"x\n", "d": b""}) == Patch(
        text=(
            "diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+x\n"
            "diff --git a/b b/b\ndeleted file mode 100644\n--- a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
            "diff --git a/c b/c\ndeleted file mode 100644\n"
            "diff --git a/d b/d\nnew file mode 100644\n"
        ),
        added=1,
        deleted=1,
    )


def test_what_is_too_long_or_no_text_is_named() -> None:
    long = b"x" * MOST_CHARACTERS + b"\ny\n"
    assert patch_of({"f": b"a\n", "g": b"\xff"}, {"f": b"a\n" + long, "g": b"\xfe"}) == Patch(
        text=(
            "diff --git a/f b/f\n"
            "Files a/f and b/f differ, and are too long to be shown here: 0 lines before, 2 lines after\n"
            "diff --git a/g b/g\n"
            "Binary files a/g and b/g differ\n"
        ),
        added=None,
        deleted=None,
    )


def test_a_small_change_of_a_long_file_is_shown() -> None:
    lines = [b"%d" % n for n in range(200_000)]
    before = b"\n".join(lines) + b"\n"
    lines[100_000] = b"changed"
    patch = patch_of({"f": before}, {"f": b"\n".join(lines) + b"\n"})
    assert patch.text.splitlines()[3] == "@@ -99998,7 +99998,7 @@"
    assert (patch.added, patch.deleted) == (1, 1)


def _patched(before: bytes, patch: str) -> bytes:
    """Apply the hunks of one file, strictly: every line that is said to be there has to be."""
    old = re.findall(rb"[^\n]*\n|[^\n]+\Z", before)
    new: list[bytes] = []
    at = 0
    lines = re.findall(r"[^\n]*\n", patch)[3:]
    for n, line in enumerate(lines):
        if match := re.match(r"@@ -(\d+)(?:,(\d+))? \+(\d+)", line):
            start = int(match[1]) - (match[2] != "0")
            new += old[at:start]
            at = start
            assert len(new) == int(match[3]) - (",0 @@" not in line.partition("+")[2])
        elif line[0] != "\\":
            text = line[1:]
            if n + 1 < len(lines) and lines[n + 1][0] == "\\":
                text = text.removesuffix("\n")
            if line[0] in " -":
                assert old[at] == text.encode()
                at += 1
            if line[0] in " +":
                new.append(text.encode())
    return b"".join(new + old[at:])


@given(*[st.lists(st.sampled_from([b"a", b"b", b"c\r", b"\n", b"\n", b"\n"]), max_size=60).map(b"".join)] * 2)
def test_a_patch_makes_the_one_file_of_the_other(before: bytes, after: bytes) -> None:
    patch = patch_of({"f": before}, {"f": after})
    assert bool(patch.text) is (before != after)
    assert _patched(before, patch.text) == after
    body = patch.text.split("\n")[3:]
    assert patch.added == sum(line.startswith("+") for line in body)
    assert patch.deleted == sum(line.startswith("-") for line in body)


# Graphs.


def test_what_happened_to_each_node_and_edge() -> None:
    before = job(node("a"), node("b", "a"), node("c", "b"))
    after = job(node("a"), node("b", "a", retryTimes=2), node("d", "a", "b"))
    parsed = [parse_job(one, directory=Directory("/")) for one in (before, after)]

    found = graph_changes(parsed[0], parsed[1], differences(before, after))

    assert found.nodes == {"a": None, "b": MODIFY, "c": DELETE, "d": ADD}
    assert found.edges == {("a", "b"): None, ("b", "c"): DELETE, ("a", "d"): ADD, ("b", "d"): ADD}
    assert graph_changes(None, parsed[0], ()).nodes == dict.fromkeys("abc", ADD)
