"""What is compared with a real GitHub, compared with the loopback one: it is as expected where it is modelled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.github.conftest import Desk
from tests.github.state import Restamp, Ruleset
from tests.github.use_shop import Waits
from tests.live.facts import FACTS
from tests.live.scratch import RULED, Clock
from tests.live_contract import main

UNMODELLED = {
    "an owner of files asked, beside a line that makes no sense",
    "a method that is not allowed, with another head: what is said first",
    "more than 15 people asked",
}
"""What takes a GitHub that reads CODEOWNERS, forbids a method, or has many people."""


def ruled(name: str, *rules: dict[str, object]) -> Ruleset:
    """Make the rules that whoever runs it may make by hand."""
    return Ruleset(id=len(name), name=name, include=(f"refs/heads/{RULED}/{name}",), rules=rules)


def reviewed(*, stale: bool = False) -> dict[str, object]:
    """Ask for a pull request, and for an approval unless it is about stale ones."""
    parameters = {
        "required_approving_review_count": 0 if stale else 1,
        "dismiss_stale_reviews_on_push": stale,
        "require_code_owner_review": False,
        "require_last_push_approval": False,
        "required_review_thread_resolution": False,
    }
    return {"type": "pull_request", "parameters": parameters}


CHECK: dict[str, object] = {
    "type": "required_status_checks",
    "parameters": {
        "required_status_checks": [{"context": "ci/build"}],
        "strict_required_status_checks_policy": False,
    },
}


@pytest.fixture
def environ(desk: Desk) -> Iterator[dict[str, str]]:
    """The tokens of two people who may write, and rules for the branches that are for rules."""
    desk.change(
        rulesets=(
            ruled("checked", reviewed(), CHECK),
            ruled("queue", {"type": "merge_queue"}),
            ruled("stale", reviewed(stale=True)),
        )
    )
    hub = desk.hub
    yield {
        "GITHUB_API_URL": hub.url,
        "GITHUB_TOKEN": hub.person("ann", desk.repo),
        "SECOND": hub.person("bob", desk.repo),
    }
    # GitHub can delete these; here they stay, and that is said.
    hub.server.problems[:] = [
        it for it in hub.server.problems if "DELETE" not in it and "codeowners" not in it
    ]


@pytest.mark.long
def test_all_that_is_modelled_is_as_expected_and_nothing_is_left(desk: Desk, environ: dict[str, str]) -> None:
    state, said = desk.hub.server.state, list[str]()
    before = state.bare(desk.repo).refs()
    code = played(desk, environ, "", said)
    rows = [line.split(" ", 1)[1].split(": ", 1) for line in said if line.split("/")[0].isdigit()]
    assert len(rows) == len(FACTS)
    other = {name: same for same, name in rows if same != "yes"}
    assert set(other) == UNMODELLED, said[-1]
    assert ("NO" in other.values()) is (code == 1)
    assert {pull.state for pull in state.pulls.values()} == {"closed"}
    kept = {ref for ref in state.bare(desk.repo).refs() if not ref.startswith("refs/pull/")}
    assert kept == set(before)
    assert not any(environ[name] in "\n".join(said) for name in ("GITHUB_TOKEN", "SECOND"))


def played(desk: Desk, environ: dict[str, str], only: str, said: list[str]) -> int:
    """Try a few facts, with two accounts, on a clock that nobody waits for."""
    waits = Waits()
    words = ["acme/desk", "--second-token-env", "SECOND", "--only", only]
    clock = Clock(monotonic=waits.monotonic, sleep=waits.sleep)
    return main(words, environ=environ, ask=lambda text: "acme/desk", say=said.append, clock=clock)


def test_what_is_otherwise_is_told(desk: Desk, environ: dict[str, str]) -> None:
    said = list[str]()
    assert played(desk, environ, "after another change", said) == 0
    desk.hub.server.state.switches.restamp = Restamp.ALWAYS
    assert played(desk, environ, "noted for after another change", said) == 1
    assert "expected  the old head\n           found     the new head\n" in said[-1]


def test_whoever_stops_it_leaves_nothing_behind(desk: Desk, environ: dict[str, str]) -> None:
    state = desk.hub.server.state
    before = state.bare(desk.repo).refs()

    class Stopping(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if line.startswith("1/"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        played(desk, environ, "more than 140", Stopping())
    assert {pull.state for pull in state.pulls.values()} == {"closed"}
    kept = {ref for ref in state.bare(desk.repo).refs() if not ref.startswith("refs/pull/")}
    assert kept == set(before)


def test_nothing_is_written_before_somebody_agrees(desk: Desk, environ: dict[str, str]) -> None:
    said, asked = list[str](), list[str]()

    def ask(text: str) -> str:
        asked.append(text)
        return "y"

    for words in (["acme/desk"], ["acme/desk", "--second-token-env", "SECOND"]):
        assert main(words, environ=environ, ask=ask, say=said.append) == 2
    for words, more in (
        (["acme/desk"], {"GITHUB_TOKEN": ""}),
        (["acme/desk"], {"GITHUB_TOKEN": "wrong"}),
        (["acme/other"], {}),
        (["acme/desk", "--second-token-env", "GITHUB_TOKEN"], {}),
    ):
        assert main(words, environ=environ | more, ask=ask, say=said.append) == 2
    assert len(asked) == 2
    assert {seen.method for seen in desk.hub.server.requests} == {"GET"}
    assert [line for line in said if line.startswith("error: ")][
        -1
    ] == "error: both tokens are of one account"
