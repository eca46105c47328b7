"""Mutating: one input made of others. Bytes are flipped and spliced; a value in a document becomes any other.

Chance comes in as an argument, so that hypothesis can shrink what it found, and a campaign can count seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import cast

from gitrelease.documents import DocumentRefused, Json, dump, parse
from gitrelease.errors import GitReleaseError

VALUES: tuple[Json, ...] = (
    None, True, False, 0, 1, -1, 2, 10**9, 2**31, 2**63 - 1, 2**63, 10**30, 1.0, 0.5, -0.0, 1e300, "", " ", "\n",
    "x", "a\nb\nc", "no", "1.0", "0123", "12:30", "<<", "~", "-", "v1", "job/orders", "job/con", "workspace/x",
    "../../etc/passwd", "/", "/a//b", "refs/heads/main", "-x", "--output=x", "$(id)", "`id`", "@me", "@org/team",
    "\x00", "\x1b[31mred", "\x9b31m", "a\u202egpj", "zero\u200bwidth", "\ufeff", "\u2028", "\U000e0041", "e\u0301",
    "\ud800", "\udfff\ud800", "x\udc80", "İ", "ſ", "中文", "한", "k" * 300, "9" * 5000, "0" * 40, "f" * 40, "0" * 64,
    "2026-11-22T16:00:00Z", "2026-11-22T16:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "2026-02-30", "0 0 0 * * ?", "0 */0 * * * ?", "0 0-59/1,0-59 * 31 2 ?", "GMT+99", "Asia/Shanghai", "posixrules",
    "**/" * 30 + "x", "[a-", "(a+)+$", "https://user:pass@host/", "ssh-ed25519 AAAA", "<!-- gitrelease -->", "```",
    [], {}, [[]], [None], [{}], {"": None}, {"x": {}}, [1, "a", None, True, {}], {"value": 1, "type": "x"},
    {"key": ["x"] * 50}, ["same", "same"], {"nested": {"nested": {"nested": {"nested": [[[[0]]]]}}}},
)  # fmt: skip
"""What any value may be replaced by."""

TOKENS: tuple[bytes, ...] = (
    b"\x00", b"\r\n", b"\r", b"\t", b"\n\n{", b"\xef\xbb\xbf", b"\xff", b"\xc0\x80", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x1b[2J", b"\xc2\x85", b"\xc2\x9b", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xe2\x80\x8b", b"\xef\xbf\xbe",
    b"\\ud800",
    b"\\x1b", b"\\U00110000", b"\\/", b"&a ", b"*a", b"<<: *a\n", b"!!python/object:os.system ", b"!x ", b"%YAML 1.1\n",
    b"---\n", b"...\n", b"? ", b": ", b"- ", b"{", b"}", b"[", b"]", b"|\n", b">-\n", b"'", b'"', b"#", b"@",
    b"`", b",",
    b"1e400", b"NaN", b"-Infinity", b".inf", b"1_000", b"0x1F", b"0o17", b"12:30", b"no", b"null", b"~", b"1.0", b"-0",
    b"9" * 400, b"[" * 80, b"{a: " * 70, b" " * 300, b"x-", b'{"a":1,"a":2}', b"version: 1\n", b"name: x\n",
)  # fmt: skip
"""What may be put anywhere into bytes."""


def mutated(rng: Random, data: bytes, other: bytes) -> bytes:
    """Change an input in one to four ways; `other` is one to take parts of."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        how = rng.choice(_WAYS)
        data = how(rng, data, other)
    return data


def _flip(rng: Random, data: bytes, _other: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _insert(rng: Random, data: bytes, _other: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _overwrite(rng: Random, data: bytes, _other: bytes) -> bytes:
    at, token = rng.randrange(len(data) + 1), rng.choice(TOKENS)
    return data[:at] + token + data[at + len(token) :]


def _cut(rng: Random, data: bytes, _other: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randrange(1, 40) :]


def _splice(rng: Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _lines(rng: Random, data: bytes, other: bytes) -> bytes:
    """Repeat, drop or move a line, or take one from elsewhere: what stays is nearly a document."""
    lines, others = data.split(b"\n"), other.split(b"\n")
    at = rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            lines.insert(at, rng.choice(lines))
        case 1:
            del lines[at]
        case 2:
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
        case 3:
            lines[at] = rng.choice(others)
        case _:
            lines[at] = b" " * rng.randrange(6) + lines[at].lstrip()
    return b"\n".join(lines)


def _structure(rng: Random, data: bytes, other: bytes) -> bytes:
    """Replace one value, or one key, by any other; the text around the value may come out another."""
    head, value = read(data)
    if value is None:
        return data
    _, spare = read(other)
    whole: list[Json] = [value]
    holder: dict[str, Json] | list[Json] = whole
    key: str | int = 0
    for _ in range(rng.randrange(1, 12)):
        here = _at(holder, key)
        if isinstance(here, dict) and here:
            holder, key = here, rng.choice(sorted(here))
        elif isinstance(here, list) and here:
            holder, key = here, rng.randrange(len(here))
    new: Json = rng.choice(VALUES)
    if rng.randrange(2):  # a value of the same type gets further
        new = rng.choice([one for one in VALUES if type(one) is type(_at(holder, key))] or [new])
    elif spare is not None and rng.randrange(4) == 0:
        new = spare
    match rng.randrange(6):
        case 0 if isinstance(holder, dict):
            del holder[cast("str", key)]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(("x-more", "", "name", "version", "\x1b", "on", "k" * 300))] = new
        case 2 if isinstance(holder, list):
            holder.append(new)
        case _ if isinstance(holder, dict):
            holder[cast("str", key)] = new
        case _:
            holder[cast("int", key)] = new
    return head + write(whole[0], as_json=head != b"" or rng.randrange(3) == 0)


_WAYS: tuple[Callable[[Random, bytes, bytes], bytes], ...] = (
    _flip, _insert, _overwrite, _cut, _splice, _lines, _structure, _structure, _structure, _structure,
)  # fmt: skip


def _at(holder: dict[str, Json] | list[Json], key: str | int) -> Json:
    return holder[cast("str", key)] if isinstance(holder, dict) else holder[cast("int", key)]


def read(data: bytes) -> tuple[bytes, Json]:
    """Give the value of an input, and the text above it; no value where there is none."""
    at = data.rfind(b"\n\n{") + 2
    head = data[:at] if at > 1 else b""
    try:
        return head, cast("Json", json.loads(data[len(head) :]))
    except (ValueError, RecursionError):
        pass
    try:
        return b"", parse(data, file="x").value
    except DocumentRefused:
        return b"", None


def write(value: Json, *, as_json: bool) -> bytes:
    """Write a value, as YAML where it can be."""
    if not as_json and isinstance(value, dict):
        try:
            return dump(value)
        except (GitReleaseError, ValueError):
            pass
    return json.dumps(value, indent=1).encode()


def choose(rng: Random, options: Sequence[bytes]) -> bytes:
    """Take one of several inputs."""
    return options[rng.randrange(len(options))]
