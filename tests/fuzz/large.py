"""Large: inputs that are too long to keep as files, made when they are needed, as large as somebody asks for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.fuzz.seeds import DATA, seeds


def _job() -> bytes:
    return (DATA / "orders_daily.job.yaml").read_bytes()


def _nodes(count: int, before: Callable[[int], str]) -> bytes:
    """Write a job of many nodes, each of which comes after others."""
    nodes = "".join(
        f"  - {{name: n{i}, type: Shell, properties: {{statement: x}}, preNodeName: [{before(i)}]}}\n"
        for i in range(count)
    )
    head = "apiVersion: gitrelease/v1\nkind: Job\nname: orders_daily\nprocessType: BATCH\n"
    head += "schedule: {type: EXECUTE_ONCE}\n"
    return f"{head}nodes:\n{nodes}".encode()


def _workspace(pattern: str, people: int) -> bytes:
    members = "".join(f"  - {{id: m{i}, emails: [m{i}@x.org], roles: [admin]}}\n" for i in range(people))
    return (
        "apiVersion: gitrelease/v1\nkind: Workspace\nname: shop\nid: 6f0c2d7e5b6a4e1f9c8d7b6a5e4f3d2c\nversion: 1\n"
        f"members:\n{members}"
        f'review:\n  signatures: "off"\n  required:\n    - {{paths: ["{pattern}"], from: [m0]}}\n'
        "production:\n  targets:\n    - {name: main, type: git}\n"
    ).encode()


def _expression(text: bytes) -> bytes:
    job = _job()
    found = re.search(rb"expression: (.*)", job)
    assert found
    return job.replace(found[1], b'"' + text + b'"')


def _recorded(depth: int) -> bytes:
    good = seeds("receipt")[0].data
    assert b'"recorded": {' in good
    return good.replace(b'"recorded": {', b'"recorded": {"x": ' + b"[" * depth + b"]" * depth + b",")


def _bomb(levels: int) -> bytes:
    first = b"a0: &a0 [x]\n"
    return first + b"".join(
        b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, levels)
    )


LARGE: Mapping[tuple[str, str], Callable[[int], bytes]] = {
    ("job", "a long key"): lambda n: _job() + b"x-" + b"k" * 10_000 * n + b": 1\n",
    ("job", "a long key in quotes"): lambda n: _job() + b'"' + b"k" * 10_000 * n + b'": 1\n',
    ("job", "a long key behind a question mark"): lambda n: _job() + b"? " + b"k" * 10_000 * n + b"\n: 1\n",
    ("job", "a long name"): lambda n: _job().replace(b"orders_daily", b"orders_daily" + b"o" * 10_000 * n),
    ("job", "a long line"): lambda n: _job() + b"x-line: " + b"x" * 100_000 * n + b"\n",
    ("job", "a long line in quotes"): lambda n: _job() + b'x-line: "' + b"x y " * 25_000 * n + b'"\n',
    ("job", "more than 4 MiB"): lambda n: _job() + b"# " + b"x" * 4_300_000 + b"\n",
    ("job", "opened lists"): lambda n: b"[" * 20_000 * n,
    ("job", "opened mappings"): lambda n: b"{a: " * 20_000 * n,
    ("job", "dashes"): lambda n: b"- " * 10_000 * n,
    ("job", "question marks"): lambda n: b"? " * 10_000 * n,
    ("job", "ever deeper lines"): lambda n: b"".join(b" " * i + b"a:\n" for i in range(150 * n)),
    ("job", "a list of many"): lambda n: _job() + b"x-l: [" + b"1," * 10_050 * n + b"]\n",
    ("job", "equal keys"): lambda n: _job() + b"x-a: 1\n" * 1000 * n,
    ("job", "unknown keys"): lambda n: _job() + b"".join(b"k%d: 1\n" % i for i in range(200 * n)),
    ("job", "tabs"): lambda n: _job() + b"x-a:\t1\n" * 1000 * n,
    ("job", "empty lines"): lambda n: b"\n" * 5000 * n + _job(),
    ("job", "comments"): lambda n: b"# tab\there\n" * 2500 * n + _job(),
    ("job", "carriage returns"): lambda n: _job() + b"\r\n" * 2500 * n,
    ("job", "quotes"): lambda n: _job() + b"x-q: " + b"'" * 2500 * n + b"\n",
    ("job", "escapes"): lambda n: _job() + b'x-e: "' + b"\\u202e" * 5000 * n + b'"\n',
    ("job", "digits"): lambda n: _job() + b"x-n: " + b"9" * 25_000 * n + b"\n",
    ("job", "digits behind a point"): lambda n: _job() + b"x-n: 1." + b"9" * 25_000 * n + b"\n",
    ("job", "a date and spaces"): lambda n: _job() + b"x-d: 2026-01-01" + b" " * 5000 * n + b"1\n",
    ("job", "a chain of nodes"): lambda n: _nodes(100 * n, lambda i: f"n{i - 1}" if i else ""),
    ("job", "a ring of nodes"): lambda n: _nodes(100 * n, lambda i: f"n{(i - 1) % (100 * n)}"),
    ("job", "nodes after all others"): lambda n: _nodes(
        40 + 4 * n, lambda i: ",".join(f"n{m}" for m in range(i))
    ),
    ("job", "nodes after unknown ones"): lambda n: _nodes(20 * n, lambda i: f"m{i}, l{i}"),
    ("job", "an expression of many parts"): lambda n: _expression(b"0 " + b"0-59," * 5000 * n + b"1 * * * ?"),
    ("job", "aliases of aliases"): lambda n: _bomb(30),
    ("workspace", "a pattern of stars"): lambda n: _workspace("*a" * 20 * n + "b", 2),
    ("workspace", "a pattern of folders"): lambda n: _workspace("**/" * 15 * n + "x", 2),
    ("workspace", "many members"): lambda n: _workspace("jobs/**", 50 * n),
    ("content", "quotes"): lambda n: b"'\"" * 100_000 * n,
    ("content", "equal signs"): lambda n: b"=" * 200_000 * n,
    ("content", "names of secrets"): lambda n: b"password=" * 4000 * n,
    ("content", "references"): lambda n: b"password: ${" * 4000 * n,
    ("content", "base64"): lambda n: b"token = '" + b"QUJDRA9z" * 6000 * n + b"'",
    ("content", "lines"): lambda n: b"key: value\n" * 5000 * n,
    ("content", "allowed lines"): lambda n: b"-- gitrelease: allow-secret x\n" * 5000 * n,
    ("content", "backslashes"): lambda n: b"identified by '" + b"\\" * 50_000 * n,
    ("receipt", "opened lists"): lambda n: b'x\n\n{"x": ' + b"[" * 20_000 * n,
    ("receipt", "lists 400 deep"): lambda n: b'x\n\n{"x": ' + b"[" * 400 + b"]" * 400 + b"}",
    ("receipt", "lists 960 deep"): lambda n: b'x\n\n{"x": ' + b"[" * 960 + b"]" * 960 + b"}",
    ("receipt", "recorded 240 deep"): lambda n: _recorded(240),
    ("receipt", "recorded 900 deep"): lambda n: _recorded(900),
    ("receipt", "a number of many digits"): lambda n: b'x\n\n{"x": ' + b"9" * 5000 * n + b"}",
    ("receipt", "a long key"): lambda n: b'x\n\n{"' + b"k" * 10_000 * n + b'": 1}',
    ("receipt", "braces"): lambda n: b"x\n\n" + b"{" * 20_000 * n,
    ("receipt", "beginnings"): lambda n: b"x" + b"\n\n{" * 20_000 * n,
    ("opinion", "a long message"): lambda n: seeds("opinion")[0].data.replace(
        b"looks right", b"x" * 50_000 * n
    ),
    ("settlement", "opened lists"): lambda n: b"x\n\n{" + b'"x": [' * 20_000 * n,
    ("summary", "opened lists"): lambda n: b"[" * 20_000 * n,
    ("summary", "a long name"): lambda n: seeds("summary")[0].data.replace(b"orders_2026", b"o" * 10_000 * n),
    ("summary", "a long description"): lambda n: seeds("summary")[0].data.replace(
        b"Refresh", b"x" * 50_000 * n
    ),
    ("number", "a number of many digits"): lambda n: b"job/orders " + b"9" * 50_000 * n,
    ("name", "one letter"): lambda n: b"a" * 10_000 * n,
    ("name", "slashes"): lambda n: b"/" * 10_000 * n,
    ("name", "folders"): lambda n: b"/a" * 5000 * n,
    ("name", "dots"): lambda n: b"." * 10_000 * n,
    ("name", "marks that combine"): lambda n: b"e" + b"\xcc\x81" * 2500 * n,
}
"""Every large input: its kind, what it is, and how it is made: with 1 quick to read, with 20 huge."""
