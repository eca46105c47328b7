"""Documents: what is read, what is refused and where, and that what is written reads back the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gitrelease.documents import (
    Document,
    DocumentRefused,
    Json,
    ValueRefused,
    canonical_json,
    composing,
    dump,
    parse,
    passing,
    plainly,
    quoted,
    set_version,
)
from gitrelease.documents.document import Spot
from gitrelease.errors import GitReleaseError, Refused

DATA = Path(__file__).parent / "data"
LIBYAML = pytest.param(
    yaml.CSafeLoader if yaml.__with_libyaml__ else None,
    id="libyaml",
    marks=pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml"),
)
PARSERS = [pytest.param(yaml.SafeLoader, id="python"), LIBYAML]
FIRST_PARSER = [LIBYAML, pytest.param(yaml.SafeLoader, id="python", marks=pytest.mark.long)]
"""Both, and in each run the one that nearly everybody has, where examples are many."""


def read(text: str) -> Document:
    return parse(text.encode(), file="a.yaml")


def refusals(text: str | bytes, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> list[str]:
    """Give code and place of each finding."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DocumentRefused) as caught:
        parse(data, file="a.yaml", loader=loader)
    return [f"{one.code} {one.line}:{one.column} {one.key or ''}".rstrip() for one in caught.value.findings]


def message(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DocumentRefused) as caught:
        parse(data, file="jobs/a.job.yaml")
    return f"{caught.value.message}\nhint: {caught.value.hint}"


# What is read.


@pytest.mark.parametrize("loader", PARSERS)
def test_only_the_scalars_of_json_are_special(loader: type[yaml.SafeLoader]) -> None:
    text = """
        cron: 0 30 2 * * ?
        truth: [true, false, null]
        numbers: [0, -0, 7, -12, 1.5, -0.25, 1e3, 2E-2, 9223372036854775807, -9223372036854775808]
        texts: [tRUE, nULL, GMT+8, v1, 1.2.3, 2026-W07, 12 30, 1e, "12:30", 'on', "~", e1, a:b]
        times: [24h, 1d, T12:30, 10.0.0.1, 1-2, 0.0.0.0/0]
    """
    assert parse(text.encode(), file="a.yaml", loader=loader).value == {
        "cron": "0 30 2 * * ?",
        "truth": [True, False, None],
        "numbers": [0, 0, 7, -12, 1.5, -0.25, 1000.0, 0.02, 2**63 - 1, -(2**63)],
        "texts": [
            *("tRUE", "nULL", "GMT+8", "v1", "1.2.3", "2026-W07", "12 30", "1e"),
            *("12:30", "on", "~", "e1", "a:b"),
        ],
        "times": ["24h", "1d", "T12:30", "10.0.0.1", "1-2", "0.0.0.0/0"],
    }


def test_a_value_that_is_not_there_is_null() -> None:
    assert read("a:\nb: # nothing\nc: [x]\n").value == {"a": None, "b": None, "c": ["x"]}


def test_types_are_exact() -> None:
    value = read("a: 1\nb: 1.0\nc: true\n").value
    assert [type(one) for one in value.values()] == [int, float, bool]


def test_the_keys_of_a_canvas_need_no_quotes() -> None:
    assert read("location: {x: 1, y: 2, n: 3}\n").value == {"location": {"x": 1, "y": 2, "n": 3}}


def test_one_document_may_be_marked_as_such() -> None:
    assert read("---\na: 1\n...\n").value == {"a": 1}


def test_tabs_are_fine_inside_of_texts_and_comments() -> None:
    assert read('#\tx\na: "x\ty" #\ty\nb: |\n  1\t2\n').value == {"a": "x\ty", "b": "1\t2\n"}


def test_an_escape_is_not_the_character_itself() -> None:
    assert read(r'a: "\u202e\0\u0085\ufeff"' + "\n").value == {"a": "\u202e\0\x85\ufeff"}


# What is refused.

MISREAD = [
    *("12:30", "12:30:00", "1:2.5", "on", "On", "off", "OFF", "yes", "No", "y", "N", "TRUE", "False", "~"),
    *("Null", "NULL", "0123", "00", "1_000", "0x1F", "0b1", "0o7", "+1", "-0x1", "1.", ".5", "-.5", "1.e3"),
    *(".inf", "-.INF", ".nan", "+.inf", "08", "1_0.5"),
    *("2026-01-01", "2026-1-1", "2026-01-01T00:00:00Z", "2026-01-01 00:00:00", "2026-01-01T00:00:00+08"),
    *("=", "<<"),
]


@pytest.mark.parametrize("loader", PARSERS)
@pytest.mark.parametrize("scalar", MISREAD)
def test_what_another_reader_would_change_has_to_stand_in_quotes(
    scalar: str, loader: type[yaml.SafeLoader]
) -> None:
    assert refusals(f"a:\n  b: {scalar}\n", loader) == ["ambiguous-scalar 2:6 a.b"]
    assert refusals(f"a: [x, {scalar}]\n", loader) == ["ambiguous-scalar 1:8 a[1]"]
    assert read(f'a: "{scalar}"\n').value == {"a": scalar}
    assert dump({"a": scalar}) == f'a: "{scalar}"\n'.encode()


@pytest.mark.parametrize("scalar", MISREAD)
def test_that_holds_for_keys_as_well(scalar: str) -> None:
    if scalar in {"y", "N"}:
        assert read(f"{scalar}: 1\n").value == {scalar: 1}
    else:
        assert refusals(f"{scalar}: 1\n") == [f"ambiguous-scalar 1:1 {scalar}"]


def test_everything_is_said_at_once() -> None:
    text = """\
apiVersion: gitrelease/v1
schedule:
  at: 12:30
  active: TRUE
members:
  - id: dev-1
    roles: [admin]
    roles: &all [viewer]
  - id: no
    github: 99999999999999999999
    x: !!str 7
    y: *all
"""
    assert message(text) == (
        "jobs/a.job.yaml cannot be read, for 8 reasons:\n"
        "  jobs/a.job.yaml:3:7: schedule.at: 12:30 without quotes is a number to some readers of YAML"
        ' (write it in quotes: "12:30")\n'
        "  jobs/a.job.yaml:4:11: schedule.active: TRUE without quotes is true or false"
        " to some readers of YAML"
        ' (write true, or in quotes if text is meant: "TRUE")\n'
        '  jobs/a.job.yaml:8:5: members[0].roles: the key "roles" stands here again, after line 7'
        " (keep one of them)\n"
        "  jobs/a.job.yaml:8:12: members[0].roles: an anchor (&all) is not allowed (remove it)\n"
        "  jobs/a.job.yaml:9:9: members[1].id: no without quotes is true or false to some readers of YAML"
        ' (write it in quotes: "no")\n'
        "  jobs/a.job.yaml:10:13: members[1].github: 99999999999999999999 does not fit in 64 bits"
        " (write it in quotes)\n"
        '  jobs/a.job.yaml:11:8: members[1].x: a tag ("tag:yaml.org,2002:str") is not allowed (remove it)\n'
        "  jobs/a.job.yaml:12:8: members[1].y: an alias (*all) is not allowed (repeat the value)\n"
        "hint: correct these places and try again"
    )


@pytest.mark.parametrize("loader", PARSERS)
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["not-a-mapping 1:1"]),
        ("# nothing\n", ["not-a-mapping 1:1"]),
        ("- a\n", ["not-a-mapping 1:1"]),
        ("just text\n", ["not-a-mapping 1:1"]),
        ("---\n", ["not-a-mapping 2:1"]),
        ("a: 1\n---\nb: 2\n", ["several-documents 2:1"]),
        ("a: 1\n--- \n", ["several-documents 2:1"]),
        ("%YAML 1.1\n---\na: 1\n", ["directive 1:1"]),
        ("# x\n%TAG ! !x\n---\na: 1\n", ["directive 2:1"]),
        ("a: 1\na: 2\n", ["duplicate-key 2:1 a"]),
        ('a: 1\n"a": 2\n', ["duplicate-key 2:1 a"]),
        ("\u00e9: 1\ne\u0301: 2\n", ["duplicate-key 2:1 e\u0301"]),
        ("a: {b: 1, b: 2}\n", ["duplicate-key 1:11 a.b"]),
        ("a:\n  1: x\n", ["key-not-text 2:3 a.1"]),
        ("true: x\n", ["key-not-text 1:1 true"]),
        ("?\n: x\n", ["key-not-text 1:2"]),
        ("? [a, b]\n: x\n", ["key-not-text 1:3"]),
        ("a:\n  ? {b: 12:30}\n  : x\n", ["key-not-text 2:5 a", "ambiguous-scalar 2:9 a.b"]),
        ("a: &x 1\n", ["alias 1:4 a"]),
        ("a: [*x, *x]\n", ["alias 1:5 a[0]", "alias 1:9 a[1]"]),
        ("*x : 1\n", ["alias 1:1"]),
        ("a: !!int 3\n", ["tag 1:4 a"]),
        ("a: ! 3\n", ["tag 1:4 a"]),
        ('a: ! "3"\n', ["tag 1:4 a"]),
        ("a: !x [1]\n", ["tag 1:4 a"]),
        ("a: !!python/object:os.system {}\n", ["tag 1:4 a"]),
        ("a: !\n  b: 1\n", ["tag 1:4 a"]),
        ("!x a: 1\n", ["tag 1:1"]),
        ("a: 9223372036854775808\n", ["number-range 1:4 a"]),
        ("a: -9223372036854775809\n", ["number-range 1:4 a"]),
        ("a: " + "9" * 5000 + "\n", ["number-range 1:4 a"]),
        ("a: 1e999\n", ["number-range 1:4 a"]),
        ("a:\n\t- b\n", ["tab 2:1 a"]),
        ('a: "x\n', ["syntax 1:4 a"]),
        ("a: b: c\n", ["syntax 1:5"]),
        ("a:\n  - x\n y: 1\n", ["syntax 3:2"]),
        ("a: [1\nb: 2\n", ["syntax 2:2 a[1]"]),
        ("a: @x\n", ["syntax 1:4 a"]),
        ("a: 1\nb\n", ["syntax 3:1"]),
    ],
)
def test_refused_at_the_right_place(text: str, found: list[str], loader: type[yaml.SafeLoader]) -> None:
    assert refusals(text, loader) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a: 1\nb: caf\xe9\n", ["not-utf8 2:7"]),
        (b"a: \xed\xa0\x80\n", ["not-utf8 1:4"]),
        (b"\xef\xbb\xbfa: 1\n", ["bom 1:1"]),
        (b"\xff\xfea\0", ["not-utf8 1:1"]),
        (b"a: 1\r\nb: 2\r\n", ["carriage-return 1:5"]),
        (b"a: x\x00y\n", ["control-character 1:5"]),
        (b"a: \x1b[31m\n", ["control-character 1:4"]),
        ("a: x\u0085y\n".encode(), ["control-character 1:5"]),
        ("a: x\u2028y\n".encode(), ["control-character 1:5"]),
        ("a: x\u2029y\n".encode(), ["control-character 1:5"]),
        ("# \u202e\na: x\u2066\r\n".encode(), ["control-character 1:3", "carriage-return 2:6"]),
        ("a: \ufffe\n".encode(), ["control-character 1:4"]),
    ],
)
def test_characters_that_people_do_not_see_are_refused(data: bytes, found: list[str]) -> None:
    assert refusals(data) == found


@pytest.mark.parametrize("loader", PARSERS)
def test_a_tab_is_no_space(loader: type[yaml.SafeLoader]) -> None:
    # libyaml takes this one for a space, so that it is found only after the reading, when no key is at hand.
    assert [one.removesuffix(" a") for one in refusals("a:\tb\n", loader)] == ["tab 1:3"]


@pytest.mark.parametrize("loader", PARSERS)
def test_a_tab_after_the_bar_of_a_block_is_none_of_its_text(loader: type[yaml.SafeLoader]) -> None:
    assert [one.removesuffix(" a") for one in refusals("a: |\t\n  x\n", loader)] == ["tab 1:5"]
    assert [one.removesuffix(" a") for one in refusals("a: |\t", loader)] == ["tab 1:5"]


def test_half_a_character_is_refused_also_as_an_escape() -> None:
    assert refusals(r'a: "\ud83d"' + "\n") == ["not-utf8 1:4 a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'a: "x\n',
            "jobs/a.job.yaml:1:4: a: this quote is never closed\nhint: close it",
        ),
        (
            "when: cron: x\n",
            "jobs/a.job.yaml:1:11: a colon stands inside a value\n"
            "hint: put the whole value in quotes, or look at the indentation",
        ),
        ("a:\n\tb: 2\n", "jobs/a.job.yaml:2:1: a: a tab stands outside of quotes\nhint: use spaces"),
        (
            "",
            "jobs/a.job.yaml:1:1: the file is empty\nhint: begin it with apiVersion: gitrelease/v1",
        ),
        (
            b"a: \xe2\x80\xae\n",
            "jobs/a.job.yaml:1:4: there is a character that cannot be seen (U+202E)\n"
            'hint: remove it, or write it as "\\u202e" inside double quotes',
        ),
        (
            "a: !<%1b[31m> x\n",
            'jobs/a.job.yaml:1:4: a: a tag ("\\u001b[31m") is not allowed\nhint: remove it',
        ),
    ],
)
def test_what_a_refusal_says(text: str | bytes, said: str) -> None:
    assert message(text) == said


def test_the_hint_gives_the_line_that_works() -> None:
    with pytest.raises(DocumentRefused) as caught:
        read("a: 0123\n")
    assert caught.value.findings[0].hint == 'write it in quotes: "0123"'
    assert read('a: "0123"\n').value == {"a": "0123"}


# Bombs.


def test_an_alias_bomb_is_never_unfolded() -> None:
    names = "abcdefgh"
    lines = ["a: &a [" + ",".join(["lol"] * 9) + "]"]
    lines += [f"{b}: &{b} [" + ",".join([f"*{a}"] * 9) + "]" for a, b in pairwise(names)]
    bomb = "\n".join(lines).encode()
    assert len(bomb) < 332
    found = refusals(bomb)
    assert found[:3] == ["alias 1:4 a", "alias 2:4 b", "alias 2:8 b[0]"]
    assert len(found) == 8 + 7 * 9


@pytest.mark.parametrize("loader", PARSERS)
@pytest.mark.parametrize(
    "bomb",
    [
        "a: " + "[" * 4000,
        "a: " + "[[" * 2000,
        "a: " + "{a: " * 2000,
        "- " * 4000,
        "? " * 4000,
        "a: [{" * 1000,
    ],
)
def test_depth_is_no_depth_of_calls(bomb: str, loader: type[yaml.SafeLoader]) -> None:
    assert refusals(bomb, loader)


@pytest.mark.parametrize("loader", PARSERS)
def test_depth_is_limited(loader: type[yaml.SafeLoader]) -> None:
    fits = "a: " + "[" * 63 + "]" * 63 + "\n"
    assert parse(fits.encode(), file="a.yaml", loader=loader)
    too_deep = "a: " + "[" * 64 + "]" * 64 + "\n"
    assert refusals(too_deep, loader) == ["too-deep 1:67 a" + "[0]" * 63]


@pytest.mark.long
def test_keys_and_values_are_limited() -> None:
    text = "a: [" + "1," * 199_997 + "]\n"
    assert len(list(read(text).value)) == 1
    assert refusals(text.replace("]", "1]")) == ["too-many-nodes 1:399999 a[199997]"]


def test_bytes_are_limited() -> None:
    assert parse(b"a: 1\n", file="a.yaml", most_bytes=5)
    with pytest.raises(DocumentRefused) as caught:
        parse(b"a: 12\n", file="a.yaml", most_bytes=5)
    assert caught.value.message == "a.yaml: has 6 bytes; at most 5 are read"


def test_a_script_of_four_mebibytes_can_be_read() -> None:
    text = "SELECT 1;\n" * (4 * 1024 * 1024 // 10)
    assert read(dump({"content": text}).decode()[:100] + "x\n")
    data = dump({"content": text[: 3 * 1024 * 1024]})
    assert parse(data, file="a.yaml").value == {"content": text[: 3 * 1024 * 1024]}


def test_findings_are_limited() -> None:
    assert len(refusals("a: [" + "on, " * 5000 + "]\n")) == 100
    assert message("a: [" + "on, " * 5000 + "]\n").splitlines()[11:] == [
        "  and 90 more",
        "hint: correct these places and try again",
    ]


PIECES = st.sampled_from(
    [
        *" \n\t:-?,[]{}#&*!|>'\"%@`~\\abx019.+=<\u00e9\u202e\r\0",
        "\n  ",
        "\n- ",
        ": ",
        '"\\u00',
        "--- ",
        "\n...\n",
        *("a: 1\n", "a:\n  - b\n", "|2-", ">+", "!<", "\\U00110000", "%YAML 1.", "9" * 30, "? ", "<<: "),
    ]
)


@pytest.mark.parametrize("loader", PARSERS)
@settings(max_examples=200, deadline=None)
@given(
    data=st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=20).map(lambda p: "".join(p).encode()))
)
@example(data=b'a: "\\U00110000"')
@example(data=b"%YAML " + b"9" * 5000 + b".1\n---\n")
@example(data=b"[")
def test_no_bytes_end_in_a_traceback(loader: type[yaml.SafeLoader], data: bytes) -> None:
    try:
        document = parse(data, file="a.yaml", loader=loader)
    except DocumentRefused as error:
        assert error.findings
        lines = data.count(b"\n") + 1
        assert all(one.line is None or 1 <= one.line <= lines for one in error.findings)
    else:
        assert parse(dump(document.value), file="a.yaml", loader=loader).value == document.value


# Places.

PLACES = """\
name: orders
nodes:
  - name: load
    type: Shell
  - {name: clean, after: [load]}
empty:
"""


@pytest.mark.parametrize("loader", PARSERS)
def test_every_value_knows_its_place(loader: type[yaml.SafeLoader]) -> None:
    document = parse(PLACES.encode(), file="a.yaml", loader=loader)
    assert document.place(()) == (1, 1)
    assert document.place(("name",)) == (1, 7)
    assert document.place(("nodes",)) == (3, 3)
    assert document.place(("nodes", 0)) == (3, 5)
    assert document.place(("nodes", 0, "type")) == (4, 11)
    assert document.place(("nodes", 1, "after", 0)) == (5, 27)
    assert document.place(("empty",)) == (6, 7)
    assert document.key_place(("nodes", 0, "type")) == (4, 5)
    assert document.key_place(("nodes", 1, "after")) == (5, 19)
    assert document.key_place(("nodes", 1)) == (5, 5)
    assert document.key_place(()) == (1, 1)


def test_what_is_not_there_is_placed_at_its_parent() -> None:
    document = read(PLACES)
    assert document.place(("nodes", 0, "schedule", "cron")) == (3, 5)
    assert document.key_place(("nodes", 0, "schedule")) == (3, 5)
    assert document.place(("nodes", 7)) == (3, 3)
    assert document.place(("name", "x")) == (1, 7)


def test_two_documents_are_equal_by_what_they_say() -> None:
    assert read("a: 1\n") == read("a: 1\n")
    assert read("a: 1\n") != read("a: 2\n")


# Writing.

GOLDEN: dict[str, Json] = {
    "apiVersion": "gitrelease/v1",
    "name": "orders",
    "cron": "0 30 2 * * ?",
    "time": "12:30",
    "flag": "true",
    "on": "key and value",
    "y": 2,
    "nothing": None,
    "truth": False,
    "number": 1e-07,
    "expression": '#{DateUtil.format(Job.planTime,"yyyyMMdd")}',
    "quote": "it's",
    "both": 'it\'s "so"',
    "colon": "a: b",
    "comment": "a #b",
    "dash": "- x",
    "spaces": " x ",
    "chinese": "订单 日报",
    "emoji": "👩‍💻",
    "hidden": "a\u202eb\u200b\x1b",
    "sql": "SELECT 1\n\n  FROM t;\n",
    "args": "a=1\nb=2",
    "indented": "  SELECT 1\nFROM t\n",
    "trailing": "a\n\n",
    "empty": ["", [], {}],
    "nodes": [{"name": "a", "list": [1, [2, {"b": "x\ny\n"}]]}, "z"],
    "k" * 130: {"a": 1},
}
GOLDEN_TEXT = """\
apiVersion: gitrelease/v1
name: orders
cron: 0 30 2 * * ?
time: "12:30"
flag: "true"
"on": key and value
y: 2
nothing: null
truth: false
number: 1e-07
expression: '#{DateUtil.format(Job.planTime,"yyyyMMdd")}'
quote: it's
both: it's "so"
colon: "a: b"
comment: "a #b"
dash: "- x"
spaces: " x "
chinese: 订单 日报
emoji: 👩‍💻
hidden: "a\\u202eb\\u200b\\u001b"
sql: |
  SELECT 1

    FROM t;
args: |-
  a=1
  b=2
indented: |2
    SELECT 1
  FROM t
trailing: "a\\n\\n"
empty:
  - ""
  - []
  - {}
nodes:
  - name: a
    list:
      - 1
      - - 2
        - b: |
            x
            y
  - z
? "KEY"
:
  a: 1
""".replace("KEY", "k" * 130)


def test_what_is_written_looks_like_this() -> None:
    assert dump(GOLDEN).decode() == GOLDEN_TEXT


@pytest.mark.parametrize("loader", PARSERS)
def test_and_reads_back(loader: type[yaml.SafeLoader]) -> None:
    assert parse(dump(GOLDEN), file="a.yaml", loader=loader).value == GOLDEN
    assert list(parse(dump(GOLDEN), file="a.yaml", loader=loader).value) == list(GOLDEN)


TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.lists(
        st.sampled_from(
            [*" \n\t\r:-?,[]{}#&*!|>'\"%@`~\\ab01.+=<_\u0085\u2028\ufeff\u3000\x7f\x00\U0010ffff", ": ", " #"]
        ),
        max_size=12,
    ).map("".join),
    st.sampled_from(MISREAD),
    st.integers(2000, 2100).map(lambda n: "long " * n),
)


def composed(keys: Mapping[str, object]) -> bool:
    return len({unicodedata.normalize("NFC", key) for key in keys}) == len(keys)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4).filter(composed),
    max_leaves=12,
)


@pytest.mark.parametrize("loader", FIRST_PARSER)
@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(TEXTS, VALUES, max_size=4).filter(composed))
def test_what_is_written_reads_back_the_same(loader: type[yaml.SafeLoader], value: dict[str, object]) -> None:
    data = dump(value)
    document = parse(data, file="a.yaml", loader=loader)
    assert canonical_json(document.value) == canonical_json(value)
    assert dump(document.value) == data
    assert data.endswith(b"\n")
    assert not data.endswith(b"\n\n")


@settings(max_examples=200, deadline=None)
@given(value=st.dictionaries(TEXTS, TEXTS, max_size=4).filter(composed))
def test_other_readers_of_yaml_read_the_same(value: dict[str, str]) -> None:
    assert yaml.safe_load(dump(value)) == value


class Colour(StrEnum):
    RED = "red"


def test_values_of_ours_are_written_as_what_they_are() -> None:
    assert dump({"a": (Colour.RED, 1)}) == b"a:\n  - red\n  - 1\n"
    assert dump({}) == b"{}\n"


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"a": {"b": "\ud800"}}, "a.b: the text holds half a character (a lone surrogate)"),
    ({"a": float("nan")}, "a: nan is no number that JSON can hold"),
    ({"a": 2**63}, "a: the number does not fit in 64 bits"),
    ({"a": [b"x"]}, "a[0]: a value of type bytes cannot be written"),
    ({"a": {1: 2}}, "a: the key 1 is not text"),
    ({"\u00e9": 1, "e\u0301": 2}, 'the key "e\u0301" stands twice, in two spellings of Unicode'),
]


@pytest.mark.parametrize(("value", "said"), REFUSED)
def test_what_would_not_read_back_is_not_written(value: dict[str, object], said: str) -> None:
    for write in (dump, canonical_json):
        with pytest.raises(ValueRefused) as caught:
            write(value)
        assert caught.value.message == said


def test_deep_values_are_refused_in_a_sentence() -> None:
    value: object = 1
    for _ in range(5000):
        value = [value]
    for write in (dump, canonical_json):
        with pytest.raises(ValueRefused, match="nested more than 64 deep"):
            write({"a": value})


def test_canonical_json_is_one_text_per_value() -> None:
    assert canonical_json({"b": [1, 1.0, True, None], "a": "é\n\u2028", "B": {}}) == (
        '{"B":{},"a":"é\\n\u2028","b":[1,1.0,true,null]}'.encode()
    )
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})


def test_quoted_shows_every_character() -> None:
    assert quoted('a"\\\n\x1b\u202e\U000e0041é') == '"a\\"\\\\\\n\\u001b\\u202e\\U000e0041é"'


# The version.


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: a\nversion: 3\n", "name: a\nversion: 4\n"),
        ("version:   3  # by submit\nname: a # x\n", "version:   4  # by submit\nname: a # x\n"),
        ("name: a\nversion: # none yet\nb: 1\n", "name: a\nversion: 4 # none yet\nb: 1\n"),
        ('name: a\n"version": "3"\n', 'name: a\n"version": 4\n'),
        ("name: a\nversion:\n  3\n", "name: a\nversion:\n  4\n"),
        (
            "kind: Job\nname: a  # the name\n# next\nb: 1\n",
            "kind: Job\nname: a  # the name\nversion: 4\n# next\nb: 1\n",
        ),
        ("name: a", "name: a\nversion: 4"),
        ("name: a\n", "name: a\nversion: 4\n"),
        ('name: "a\n  b"   # x\nb: 1\n', 'name: "a\n  b"   # x\nversion: 4\nb: 1\n'),
        ("name: a\n  b\nc: 1\n", "name: a\n  b\nversion: 4\nc: 1\n"),
        ("name: |\n  a\n\nb: 1\n", "name: |\n  a\n\nversion: 4\nb: 1\n"),
        ("name:\n  a\nb: 1\n", "name:\n  a\nversion: 4\nb: 1\n"),
        ("? name\n: a\nb: 1\n", "? name\n: a\nversion: 4\nb: 1\n"),
        ("---\n  name: a\n  b: [version]\n...\n", "---\n  name: a\n  version: 4\n  b: [version]\n...\n"),
        ("name: a\nb: {version: 1}\n", "name: a\nversion: 4\nb: {version: 1}\n"),
        ("name: 订单\nb: 1\n", "name: 订单\nversion: 4\nb: 1\n"),
        ("x: 订单 👩‍💻\nversion: 3 # 订单\n", "x: 订单 👩‍💻\nversion: 4 # 订单\n"),
    ],
)
def test_setting_the_version_changes_nothing_else(before: str, after: str) -> None:
    assert set_version(before.encode(), 4, file="a.yaml").decode() == after
    assert set_version(after.encode(), 4, file="a.yaml").decode() == after


@pytest.mark.parametrize("file", sorted(DATA.glob("*.yaml")), ids=lambda file: file.name)
def test_setting_the_version_of_the_examples(file: Path) -> None:
    before = file.read_bytes()
    after = set_version(before, 17, file=file.name)
    value = parse(before, file=file.name).value
    assert parse(after, file=file.name).value == {**value, "version": 17}
    changed = set(after.splitlines()) ^ set(before.splitlines())
    assert all(line.startswith(b"version: ") for line in changed)
    assert len(after.splitlines()) - len(before.splitlines()) == ("version" not in value)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        (
            "{name: a}\n",
            "a.yaml: the version cannot be set in a document written as {...}",
            "write it as key: value lines",
        ),
        (
            "name: a\nversion: [3]\n",
            "a.yaml:2: version: the value is not a number on the line of its key",
            "write version: 4",
        ),
        (
            "name: a\nversion: |\n  3\n",
            "a.yaml:2: version: the value is not a number on the line of its key",
            "write version: 4",
        ),
        (
            "kind: Job\n",
            "a.yaml: there is neither a version nor a name to write the version under",
            "give the document a name",
        ),
        (
            "name: |\n  a",
            "a.yaml: setting the version would change more than the version",
            "write the line version: 4 yourself, below the name",
        ),
    ],
)
def test_a_version_that_cannot_be_set(text: str, said: str, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        set_version(text.encode(), 4, file="a.yaml")
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_a_file_that_cannot_be_read_keeps_its_version() -> None:
    with pytest.raises(DocumentRefused):
        set_version(b"name: on\n", 4, file="a.yaml")


@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(PIECES, max_size=8), version=st.integers(1, 10**9 - 1))
def test_setting_the_version_never_changes_the_rest(pieces: list[str], version: int) -> None:
    data = ("name: a" + "".join(pieces)).encode()
    try:
        edited = set_version(data, version, file="a.yaml")
    except GitReleaseError:
        return
    before = parse(data, file="a.yaml").value
    assert canonical_json(parse(edited, file="a.yaml").value) == canonical_json(
        {**before, "version": version}
    )


# The short way and the long way.


def places(spot: Spot) -> object:
    """Write down everything that is known of the place of a value and of its parts."""
    own = (spot.line, spot.column, spot.start, spot.end, spot.one_line_scalar, spot.flow, spot.key)
    return own, {key: places(inner) for key, inner in spot.parts.items()}


def agree(text: str, loader: type[yaml.SafeLoader]) -> bool:
    """Say whether the short way lets a text through; what it does, the long way reads to the letter the same.

    So does the shortest way, which may take less, and never more.
    """
    plain, short = plainly.plainly(text), passing.passed(text, loader)
    if plain is not None:
        assert short is not None
        assert repr(plain) == repr(short[0])
    if short is None:
        return False
    value, root = short
    long = composing.composed(text, "a.yaml", loader)
    assert canonical_json(value) == canonical_json(long.value)
    assert repr(value) == repr(long.value)
    assert places(root) == places(long.root)
    return True


PASSED = [
    PLACES,
    "a: |\n  text\n\n  more\nb: >-\n  x\n  y\nc: 'it''s'\nd: \"\\u00e9\"\n",
    "{a: 1, b: [1.5, -0, 1e3, true, null, ~x, {}], c: {}, d: []}\n",
    "a:\nb: ''\n'c': x\ny: 1\n订单: 订\ne\u0301: 1\n",
    "# only\n---\na: 1 # more\n...\n",
    "a: " + "[" * 63 + "]" * 63 + "\n",
]
NOT_PASSED = [
    *(
        "",
        "# nothing\n",
        "a\n",
        "- a\n",
        "[a]\n",
        "a: 1\na: 2\n",
        "{a: 1, 'a': 2}\n",
        "a: on\n",
        "on: a\n",
        "1: a\n",
    ),
    *(
        "a: &x 1\n",
        "a: *x\n",
        "a: !!str 1\n",
        "!!map {a: 1}\n",
        "&x {a: 1}\n",
        "? [a]\n: 1\n",
        "? {a: 1}\n: 1\n",
    ),
    *(
        "%YAML 1.1\n---\na: 1\n",
        "a: 1\n---\nb: 1\n",
        "a: 1\n--- \n",
        "a:\tb\n",
        "a: '\t'\n",
        "a: 9223372036854775808\n",
    ),
    *(
        "é: 1\ne\u0301: 2\n",
        "K: 1\n\u212a: 2\n",
        "\u212a: 1\nK: 2\n",
        'a: "\\ud800"\n',
        '"\\ud800": a\n',
        "a: 1e999\n",
    ),
    *(
        "a: [\n",
        "a: 'x\n",
        "a: b: c\n",
        "<<: {a: 1}\n",
        "a: 12:30\n",
        "a: " + "[" * 64 + "]" * 64 + "\n",
        "? \n",
    ),
    pytest.param("a: [" + "1," * 199_998 + "]\n", marks=pytest.mark.long),
]


@pytest.mark.parametrize("loader", PARSERS)
@pytest.mark.parametrize("text", PASSED)
def test_the_short_way_is_taken(text: str, loader: type[yaml.SafeLoader]) -> None:
    assert agree(text, loader)


@pytest.mark.parametrize("loader", PARSERS)
@pytest.mark.parametrize("text", NOT_PASSED, ids=lambda text: repr(text[:20]))
def test_the_short_way_is_not_taken(text: str, loader: type[yaml.SafeLoader]) -> None:
    assert passing.passed(text, loader) is None


PLAIN = """\
# More.
a: 1

b: {x: 1, y: -2.5}
c:
  - "12:30"
  # between
  - key: '# no'
    other: [a, b/c]
    gone:
  - {}
  - d:
      e: 订单 #1
      f: []
g:
i: |
  # one

    two: 2
  three

j:
  k: |-
    - four
  # five
h: -x: y
"""
NOT_PLAIN = [
    *(
        "a:\n- b\n",
        "a: b\n  c\n",
        "a: b\n c: d\n",
        "- a\n",
        "a: |2\n  b\n",
        "a: |\n",
        "a: |\n\n  b\n",
        "a:\n  b: |\n    c\n   d\n",
        "a: >\n  b\n",
        "a: 'b''c'\n",
        'a: "\\n"\n',
    ),
    *(
        "a: [b,c]\n",
        "a: {b: [c]}\n",
        "a: {b: 1, b: 2}\n",
        "a:  b\n",
        "a: \n",
        "a: - b\n",
        "a: b:\n",
        "a: b: c\n",
    ),
    *(
        "a: on\n",
        "no: a\n",
        "a: 012\n",
        "é: a\n",
        "---\na: b\n",
        "a: b\n...\n",
        "a: b\na: c\n",
        "a: &b c\n",
        "a: [on]\n",
    ),
    *(
        "a:\tb\n",
        "a: b\n" * 20_000,
        "a:\n  - b\n   c: d\n",
        "a: {on: 1}\n",
        "a: -\n",
        "a\n",
        "# a\n",
        "a:\n  -\n",
    ),
    "".join(f"{' ' * n}a:\n" for n in range(40)),
    "".join(f"{' ' * 2 * n}{'a:' if n == 0 else '- a:'}\n" for n in range(40)),
]


def test_what_is_plainly_spelled_goes_the_shortest_way() -> None:
    text = PLAIN.replace("h: -x: y\n", "h: -x\n")
    for plain in (text, dump(composing.composed(text, "a.yaml").value).decode()):
        assert plainly.plainly(plain) is not None
        assert agree(plain, yaml.SafeLoader)
        parsed = parse(plain.encode(), file="a.yaml")
        assert places(parsed.root) == places(composing.composed(plain, "a.yaml").root)


@pytest.mark.parametrize("text", [PLAIN, *NOT_PLAIN], ids=lambda text: repr(text[:20]))
def test_the_shortest_way_is_for_what_needs_no_parser(text: str) -> None:
    assert plainly.plainly(text) is None


@pytest.mark.parametrize("loader", PARSERS)
def test_the_examples_go_the_short_way(loader: type[yaml.SafeLoader]) -> None:
    files = [*DATA.glob("*.yaml"), *DATA.glob("*.json")]
    assert len(files) > 5
    for file in files:
        assert agree(file.read_text(encoding="utf-8"), loader), file


@pytest.mark.parametrize("loader", PARSERS)
@settings(max_examples=150, deadline=None)
@given(pieces=st.lists(PIECES, max_size=16), before=st.sampled_from(["", "a: ", "a:\n - ", "{a: ", "é: 1\n"]))
def test_both_ways_lead_to_the_same(loader: type[yaml.SafeLoader], pieces: list[str], before: str) -> None:
    text = before + "".join(pieces)
    with suppress(DocumentRefused):  # which is about what neither way is asked for: characters not to be seen
        agree(parse(text.encode(), file="a.yaml", loader=loader).text, loader)


@pytest.mark.parametrize("loader", FIRST_PARSER)
@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_goes_the_short_way_or_reads_the_same(
    loader: type[yaml.SafeLoader], value: dict[str, object]
) -> None:
    with suppress(GitReleaseError):
        agree(dump(value).decode(), loader)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_an_example_with_anything_put_into_it(data: st.DataObject) -> None:
    text = (DATA / "orders_daily.job.yaml").read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text)))
    changed = text[:at] + data.draw(PIECES) + text[at + data.draw(st.integers(0, 3)) :]
    with suppress(DocumentRefused):
        parse(changed.encode(), file="a.yaml")
        agree(changed, yaml.SafeLoader)
