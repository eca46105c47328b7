"""The story on GitHub, from a job file to production and back, by the command line; and one that GitHub tells oddly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gitrelease.cli import root
from gitrelease.errors import Exit, GitReleaseError
from tests.github import reviews
from tests.github.fixtures import github
from tests.github.state import Pull
from tests.github.use_shop import HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml, script_yaml

ORDERS = "jobs/sales/orders.job.yaml"
HELD = "jobs/1c/orders.job"
CHANGED = {
    ORDERS: job_yaml("orders", version=1, script="clean", note="again"),
    "jobs/sales/refunds.job.yaml": job_yaml("refunds", after=["orders"]),
    "scripts/sales/late.script.yaml": script_yaml("late"),
    "scripts/sales/late.sql": "SELECT 2;\n",
}


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub, lease=1)
        yield made
        made.close()


@dataclass(frozen=True, kw_only=True)
class Typed:
    """How a command ended, and what it showed."""

    code: int
    out: str


def typed(shop: HubShop, who: str, *words: str, token: bool = True) -> Typed:
    """Type a command, perhaps without a token; a defect fails the test."""
    person = shop.person(who)
    env: dict[str, str | None] = {
        **person.clone.environ,
        "GITRELEASE_ROOT": shop.root,
        "GITHUB_API_URL": shop.hub.url,
        "GITHUB_TOKEN": person.token if token else None,
        "GITRELEASE_GITHUB_PACE": "0",
    }
    words = ("-C", str(person.clone.path), *words)
    ran = CliRunner().invoke(root, words, env=env, standalone_mode=False)
    if isinstance(ran.exception, GitReleaseError):
        return Typed(code=ran.exception.exit, out=ran.stdout)
    if ran.exception is not None:
        raise ran.exception
    return Typed(code=int(ran.return_value or 0), out=ran.stdout)


def done(shop: HubShop, who: str, *words: str, token: bool = True) -> Any:
    """Type a command that does what it says, and read what it shows."""
    ran = typed(shop, who, *words, "--json", token=token)
    assert ran.code == Exit.DONE, (words, ran.out)
    return json.loads(ran.out)


def pull(shop: HubShop, package: str) -> Pull:
    """Give the pull request of a package."""
    (found,) = [it for it in shop.hub.server.state.pulls.values() if it.head_ref == f"package/{package}"]
    return found


def main(shop: HubShop) -> str:
    """Say where the main branch is."""
    return shop.refs()["refs/heads/main"]


@pytest.mark.long
def test_from_a_job_file_to_production_and_back(shop: HubShop) -> None:
    state = shop.hub.server.state
    done(shop, "sync", "sync")
    before = shop.production(HELD)
    shop.person("dev-1").write(CHANGED)
    assert len(done(shop, "dev-1", "submit", "--all")["items"]) == 3

    # Somebody says no: the pull request is closed, and the tasks are pending again.
    done(shop, "dev-1", "release", "--all", "--name", "first")
    done(shop, "dep-1", "package", "reject", "first", "-m", "the queue is wrong")
    assert (pull(shop, "first").state, pull(shop, "first").merged_at) == ("closed", None)
    assert {one["state"] for one in done(shop, "view-1", "task", "list")["items"]} == {"pending"}

    # Nobody approves their own work; somebody else does so with the button, and CI merges.
    done(shop, "dev-1", "release", "--all", "--name", "second")
    tip = main(shop)
    assert typed(shop, "dev-1", "package", "approve", "second").code == Exit.REFUSED
    assert typed(shop, "view-1", "gate", "second").code == Exit.WAITING
    assert main(shop) == tip
    shop.hub.review(pull(shop, "second"), "dep-1")
    assert done(shop, "view-1", "gate", "second")["approved"] is True
    assert pull(shop, "second").merge_commit == main(shop) != tip

    # Whichever event woke it, and however often: it is released once.
    for _ in range(2):
        done(shop, "sync", "sync")
    assert shop.production(HELD)["description"] == "Loads orders again"
    receipts = shop.server.git("log", "--format=%s", "production").splitlines()
    assert receipts.count("finished package second") == receipts.count("started package second") == 1
    assert done(shop, "view-1", "package", "view", "second")["approvals"][0]["person"]["githubId"] == (
        shop.account("dep-1")
    )

    # Back again, by somebody else than before, approved by the command line.
    done(shop, "dep-2", "rollback", "second", "--name", "back")
    done(shop, "adm-1", "package", "approve", "back", "-m", "fine")
    done(shop, "sync", "sync")
    assert shop.production(HELD)["description"] == before["description"]

    # What is known of it lies in git: also for whoever has no token.
    assert sorted(ref for ref in shop.refs() if ref.startswith("refs/tags/")) == [
        "refs/tags/release/back",
        "refs/tags/release/second",
    ]
    listed = done(shop, "view-1", "package", "list", "--sort", "name", token=False)
    assert [(one["name"], one["status"]) for one in listed["items"]] == [
        ("back", "successful"),
        ("first", "rejected"),
        ("second", "successful"),
    ]
    since = len(shop.hub.server.requests)
    assert done(shop, "view-1", "verify", token=False)["ok"] is True
    assert shop.asked(since) == []
    assert {(it.head_ref, it.state) for it in state.pulls.values()} == {
        ("package/first", "closed"),
        ("package/second", "closed"),
        ("package/back", "closed"),
    }


def told_oddly(shop: HubShop) -> None:
    """Let people say things about the package `odd`, and then let GitHub not know any more who or what that was."""
    there, state = pull(shop, "odd"), shop.hub.server.state
    shop.hub.review(there, "dep-1")
    state.delete_account("dep-1")
    # A word that GitHub does not have yet.
    blessed = shop.hub.review(there, "dep-2")
    state.reviews[blessed.id] = replace(state.reviews[blessed.id], state="NEW_BLESSED")
    # A yes that lost its commit.
    lost = shop.hub.review(there, "adm-1")
    state.reviews[lost.id] = replace(state.reviews[lost.id], commit=None)
    # The same branch in a fork, approved; then fork and owner are deleted.
    fork = shop.hub.fork(shop.repo, "mallory")
    shop.hub.push(fork, "mallory", "package/odd", {"x": "y"})
    shop.hub.review(shop.hub.open(shop.repo, "mallory", "mallory:package/odd"), "adm-1")
    shop.hub.delete_repo(fork)
    state.delete_account("mallory")


def gates(shop: HubShop, code: Exit) -> None:
    """Ask as CI does, and see that the package is not approved."""
    gate = typed(shop, "view-1", "gate", "odd", "--json")
    assert (gate.code, json.loads(gate.out)["approved"]) == (code, False), gate.out


@pytest.mark.parametrize("is_author_gone", [False, True])
def test_what_github_does_not_know_any_more_is_no_approval_and_no_crash(
    shop: HubShop, is_author_gone: bool
) -> None:
    done(shop, "sync", "sync")
    shop.person("dev-1").write({ORDERS: CHANGED[ORDERS]})
    done(shop, "dev-1", "submit", "--all")
    done(shop, "dev-1", "release", "--all", "--name", "odd")
    made, tip = pull(shop, "odd"), main(shop)
    told_oddly(shop)
    if is_author_gone:
        shop.hub.server.state.delete_account("dev-1")
    for words in (("package", "list"), ("package", "view", "odd"), ("task", "list"), ("status",)):
        assert typed(shop, "view-1", *words, "--json").out
    gates(shop, Exit.REFUSED if is_author_gone else Exit.WAITING)
    # A no stands that somebody dismissed who is gone, whoever says yes.
    no, state = shop.hub.review(made, "adm-2", "REQUEST_CHANGES"), shop.hub.server.state
    with shop.hub.server.acting():
        reviews.dismiss(state, made, no, shop.account("dev-2"), "never mind")
    state.delete_account("dev-2")
    shop.hub.review(made, "adm-1")
    gates(shop, Exit.REFUSED)
    assert main(shop) == tip
    # Whoever merges it all the same releases nothing.
    client = shop.person("adm-2").client
    client.put(client.repo(f"pulls/{made.number}/merge"), {"sha": made.head_sha}, doing="merge it")
    ledger = shop.refs()["refs/heads/production"]
    assert typed(shop, "sync", "sync").code == Exit.REFUSED
    assert shop.refs()["refs/heads/production"] == ledger
    assert "refs/tags/release/odd" not in shop.refs()
