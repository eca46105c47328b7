"""What is said of two texts without reading them is what reading them says as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelease.core.compare import Side, compare_item
from gitrelease.core.glancing import glimpse
from gitrelease.core.names import ItemKey, ItemName, Kind
from gitrelease.core.patch import patch_of
from gitrelease.documents import DocumentRefused, parse

ORDERS = ItemKey(kind=Kind.JOB, name=ItemName("orders"))
PATH = "jobs/sales/orders.job.yaml"
TEXT = """\
apiVersion: gitrelease/v1
kind: Job
name: orders
version: 3
description: Builds the orders of the day
schedule:
  cron:
    expression: "0 30 3 * * ?"
params:
  region: north
  day:
    value: monday
    type: variable
nodes:
  - name: build
    type: HiveSQL
    location:
      x: 120
      y: 200
    properties:
      connectionName: dws
      script: |
        retry: 3
        id: 7
    maxExecutionTime: 60
lineageInfo:
- id: 5
  note: old
"""


def side(text: str) -> Side:
    files = {PATH: text.encode()}
    try:
        documents = {PATH: parse(files[PATH], file=PATH).value}
    except DocumentRefused:
        documents = {}
    return Side(exists=True, version=None, files=files, documents=documents)


def means_the_same(before: str, after: str) -> bool:
    compared = compare_item(ORDERS, side(before), side(after))
    return compared is None or compared.formatting_only


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("description: Builds the orders", "description: Counts the orders"),
        ('expression: "0 30 3 * * ?"', 'expression: "0 30 4 * * ?"'),
        ("maxExecutionTime: 60", "maxExecutionTime: 45"),
        ("maxExecutionTime: 60", 'maxExecutionTime: "60"'),
        ("region: north", "region: true"),
        ("region: north\n  day:\n", "day:\n"),
        ("retry: 3", "retry: 4"),
        ("id: 7\n", "id: 7\n        more: 1\n"),
        ("version: 3\ndescription: Builds", "version: 4\ndescription: Counts"),
    ],
)
def test_another_value_is_plain_to_see(old: str, new: str) -> None:
    after = TEXT.replace(old, new)
    assert after != TEXT
    assert glimpse(PATH, TEXT.encode(), after.encode()).surely_differ
    assert not means_the_same(TEXT, after)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 3", "version: 4"),
        ("region: north", "region: 'north'"),
        ("x: 120", "x: 121"),
        ("  note: old", "  note: new"),
        ("  note: old", "# said\n  note: new"),
        ("- id: 5", "- id: 6"),
        ("    type: variable\n", ""),
        ("name: orders", "name: orders # the orders"),
        ("    location:\n      x: 120\n      y: 200\n", ""),
        ("location:\n      x: 120\n      y: 200", "location: {x: 1,\n   y: 2}"),
        ("kind: Job\nname: orders\n", "name: orders\nkind: Job\n"),
        ("region: north", "region:\n    north"),
        ("id: 7", "id: 8"),
    ],
)
def test_what_may_mean_the_same_has_to_be_read(old: str, new: str) -> None:
    after = TEXT.replace(old, new)
    assert after != TEXT
    assert not glimpse(PATH, TEXT.encode(), after.encode()).surely_differ


def test_what_does_not_count_may_be_open_on_its_line() -> None:
    before = TEXT + 'x-lineageInfo: {note: "a\nowner: me\n", by: 1}\n'
    after = before.replace("owner: me", "owner: you")
    assert means_the_same(before, after)
    assert not glimpse(PATH, before.encode(), after.encode()).surely_differ


LINES = st.sampled_from(
    [
        "version: 1", "version: 2", "id: 1", "x-id: 2", "type: a", "type: variable", "value: a", "a: 1", "a: '1'",
        'a: "x"', "a: x", "b: x", "b: true", "b: 'true'", "directory: /x", "params:", "  a: x", "  a:", "    value: x",
        "    type: variable", "nodes:", "  - name: n", "  - id: 1", "    id: 2", "    location:", "      x: 1",
        "      x: 2", "    location: {x: 1}", "    location: {x: 1,", "      y: 2}", "    retry: 3", "lineageInfo:",
        "- x: 1", "- x: 2", "location: |", "  a: y", "text: |", "  x: 2", "# said", "", "a: x # said", "c: 'x", "d: y'",
    ]
)  # fmt: skip
TEXTS = st.lists(LINES, max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines))


@given(head=TEXTS, before=TEXTS, after=TEXTS, tail=TEXTS)
def test_nothing_is_said_that_reading_does_not_bear_out(
    head: str, before: str, after: str, tail: str
) -> None:
    old, new = head + before + tail, head + after + tail
    seen = glimpse(PATH, old.encode(), new.encode())
    patch = patch_of({PATH: old.encode()}, {PATH: new.encode()})
    assert (seen.added, seen.deleted) == (patch.added, patch.deleted)
    if seen.surely_differ:
        assert not means_the_same(old, new)


def test_what_is_no_text_is_not_counted() -> None:
    seen = glimpse(PATH, b"a: \xff\n", b"a: 1\n")
    assert (seen.added, seen.deleted, seen.surely_differ) == (None, None, False)


def test_very_long_lines_are_counted_as_their_patch_does() -> None:
    long = b"a: " + b"x" * (1024 * 1024) + b"\n"
    assert glimpse(PATH, b"a: 1\n", long).added is None
