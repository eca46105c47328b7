"""The text of a pull request: what a reviewer reads before the bytes, and what nobody can make it say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gitrelease.commands.describing import describe
from gitrelease.core.names import place_of
from gitrelease.core.package import Manifest
from gitrelease.render.markdown import MOST_CHARACTERS, block, code, label, limited
from gitrelease.render.pull_request import body, title
from tests.kit.shop import Shop, job_yaml, script_yaml

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ORDERS = "jobs/sales/orders.job.yaml"


def planned(shop: Shop, files: Mapping[str, str | None], message: str = "why") -> Manifest:
    """The plan of a package of these files."""
    person = shop.person("dev-1")
    person.write(files)
    gone = [str(place_of(path).item) for path, text in files.items() if text is None]
    made = person.submit(*gone, delete=True) if gone else person.submit(everything=True)
    tasks = [str(one.task) for one in made.items if one.task]
    return person.release(*tasks, name="first", message=message).manifest


def told(shop: Shop, manifest: Manifest) -> str:
    person = shop.person("dep-1")
    now = person.desk.look()
    return body(describe(person.repo, now.approved, manifest, now=NOW))


def two_nodes(note: str = "") -> str:
    more = (
        "  - name: check\n    type: Shell\n    preNodeName: [load]\n"
        '    properties: {statementOrScript: STATEMENT, statement: "true"}\n'
    )
    text = job_yaml("orders", version=1, script="clean", note=note)
    return text.replace("schedule:\n", f"{more}schedule:\n").replace("0 30 2", "0 0 4")


def test_a_package_as_its_reviewers_are_told_of_it(shop: Shop) -> None:
    waits = job_yaml("refunds", after=["orders"])
    shop.released({"jobs/sales/refunds.job.yaml": waits}, "jobs/sales/refunds.job.yaml")
    manifest = planned(
        shop, {ORDERS: two_nodes(), "scripts/sales/clean.sql": "SELECT 2;\n"}, "Later, and checked"
    )
    assert title(manifest) == "Release first"
    assert told(shop, manifest) == (
        """\
```text
Later, and checked
```

| item | change | version | submitted by |  |
| --- | --- | --- | --- | --- |
| `job/orders` | modify | 1 → 2 | `dev-1` |  |
| `script/clean` | modify | 1 → 2 | `dev-1` |  |

Execute jobs in the package immediately after it is released: no

<details><summary>job/orders</summary>

```mermaid
graph LR
  n0["load"]
  n1["check"]:::added
  n0 ==> n1
  classDef added fill:#dafbe1,stroke:#1a7f37,color:#1f2328
  classDef changed fill:#fff8c5,stroke:#9a6700,color:#1f2328
  classDef removed fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray: 4 3
```

Ran `every day at 02:30 (GMT+8)`, next 2026-11-21 02:30 +0800, 2026-11-22 02:30 +0800, 2026-11-23 02:30 +0800

Will run `every day at 04:00 (GMT+8)`, next 2026-11-21 04:00 +0800, 2026-11-22 04:00 +0800, 2026-11-23 04:00 +0800

What hangs on it: `job/refunds`

</details>

"""
        f"What is approved is the manifest `{manifest.path}` and the bytes that it pins. This text says the same in"
        " other words, and decides nothing.\n"
    )


def test_what_a_job_of_the_package_itself_uses_hangs_on_nothing_else(shop: Shop) -> None:
    manifest = planned(shop, {ORDERS: two_nodes(), "scripts/sales/clean.sql": "SELECT 2;\n"})
    assert "What hangs on it" not in told(shop, manifest)


def test_a_job_that_goes_is_shown_as_it_ran(shop: Shop) -> None:
    manifest = planned(shop, {ORDERS: None})
    shown = told(shop, manifest)
    assert '  n0["load"]:::removed\n' in shown
    assert "| `job/orders` | delete | 1 | `dev-1` |  |" in shown
    assert "Runs `every day at 02:30 (GMT+8)`" in shown


def test_a_secret_that_is_let_through_is_shown_with_its_reason(shop: Shop) -> None:
    line = "password = 'hunter2-hunter2'  # gitrelease: allow-secret the | test `server`\n"
    manifest = planned(
        shop,
        {
            "scripts/sales/late.script.yaml": script_yaml("late").replace("HiveSQL", "PYTHON"),
            "scripts/sales/late.py": line,
        },
    )
    shown = told(shop, manifest)
    assert "**1 line that look like secrets are let through:**" in shown
    assert "| `scripts/sales/late.py:1` | `` the \\| test `server` `` |" in shown


HOSTILE = [
    "<!-- gitrelease: approved -->",
    "@org/everybody please",
    "```\n# approved\n```",
    "````mermaid\nclick n0 call()\n````",
    "[a](javascript:x) ![b](http://x/y.png) <img src=x onerror=y>",
    "\u202egnikcah\x1b[2J",
    "| a | b |\n|---|---|",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_p21_what_people_write_is_shown_and_obeyed_by_nothing(shop: Shop, text: str) -> None:
    manifest = planned(shop, {ORDERS: two_nodes()})
    shown = told(shop, replace(manifest, description=text))
    first = shown.splitlines()[0]
    fence = first.removesuffix("text")
    assert set(fence) == {"`"}
    assert len(fence) >= 3
    inside, _, rest = shown.removeprefix(f"{first}\n").partition(f"\n{fence}\n")
    assert fence not in inside
    assert "approved" not in rest.split("What is approved is the manifest")[0]
    assert all(one.isprintable() or one in "\n\t" for one in shown)


@pytest.mark.parametrize("text", [*HOSTILE, "`", "``", " ", "a`b``c", ""])
def test_p21_code_ends_where_it_should(text: str) -> None:
    shown = code(text)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    assert fence
    assert shown.endswith(fence)
    assert "\n" not in shown
    assert fence not in shown[len(fence) : -len(fence)].replace("`" * (len(fence) + 1), "")


@pytest.mark.parametrize("text", HOSTILE)
def test_p21_a_picture_has_no_label_that_it_obeys(text: str) -> None:
    assert not set(label(text)) & set('"<>`[](){}|@\n;') - {";"}
    assert not set(label(text).replace("#", "").replace(";", "")) & set('"<>`[](){}|@\n')


def test_p37_a_text_that_is_too_long_is_cut_and_says_so(shop: Shop) -> None:
    manifest = planned(shop, {ORDERS: two_nodes()})
    shown = told(shop, replace(manifest, items=manifest.items * 400))
    assert len(shown) <= MOST_CHARACTERS
    assert shown.endswith(
        "_There is more: the manifest and the files of this pull request have all of it._\n"
    )
    assert limited(["a" * 10, "b" * 10], most=200) == "a" * 10 + "b" * 10


def test_a_graph_that_nobody_could_read_is_counted(shop: Shop) -> None:
    many = "".join(
        f'  - name: n{n}\n    type: Shell\n    properties: {{statementOrScript: STATEMENT, statement: "true"}}\n'
        for n in range(70)
    )
    text = job_yaml("orders", version=1, script="clean").replace("schedule:\n", f"{many}schedule:\n")
    assert "71 nodes, 70 of them changed: too many for a picture." in told(
        shop, planned(shop, {ORDERS: text})
    )


def test_a_block_keeps_its_lines() -> None:
    assert block("a\n  b\n\n") == "```text\na\n  b\n```\n"
