"""What GitHub shows of releases: whoever died before it was told, and whatever was mended later, it is told once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from gitrelease.render import standing
from tests.contracts.test_forge import proposed
from tests.contracts.test_github_reading import pull
from tests.github.faults import html, said
from tests.github.fixtures import github
from tests.github.use_shop import HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub with one package that is approved and merged."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub)
        made.person("sync").sync()
        proposed(made)
        made.hub.review(pull(made), "dep-1")
        made.fresh("dep-2").gate("first")
        yield made
        made.close()


def told(shop: HubShop) -> tuple[list[str], list[str], list[str]]:
    """Give the deployments, how they went, and the notes, as GitHub shows them."""
    state = shop.hub.server.state
    return (
        [str(one.data["description"]) for one in state.deployments.values()],
        [str(one.data["state"]) for one in state.deployment_statuses.values()],
        [str(one.data["tag_name"]) for one in state.releases.values()],
    )


REF = "refs/gitrelease/origin/announced"
WHOLE = ["package first"], ["success"], ["release/first"]


@pytest.mark.parametrize("lost", ["create-deployment", "create-deployment-status", "create-release"])
def test_what_a_runner_could_not_tell_the_next_one_tells(shop: HubShop, lost: str) -> None:
    shop.hub.server.faults.add(f"repos/{lost}", html(503), times=99)
    sync = shop.fresh("sync")
    sync.sync()
    assert told(shop) != WHOLE
    assert [line for line in sync.said if line.startswith("GitHub does not show how first stands: ")]
    shop.hub.server.faults.clear()
    shop.fresh("sync-2").sync()
    assert told(shop) == WHOLE
    # Each clone finds out once that all is told, and then asks no more.
    shop.fresh("sync").sync()
    since = len(shop.hub.server.requests)
    for runner in ("sync", "sync-2"):
        shop.fresh(runner).sync()
    assert (told(shop), [operation for operation in shop.asked(since) if operation.startswith("repos/")]) == (
        WHOLE,
        [],
    )


def test_what_a_retry_mended_is_told(shop: HubShop) -> None:
    shop.hub.server.faults.add(
        "git/push", html(403), skip=1
    )  # the push into production, after that of *started*
    assert [str(one.status) for one in shop.fresh("sync").sync().packages] == ["failed"]
    assert told(shop) == (["package first"], ["failure"], ["release/first"])
    shop.fresh("sync").sync(retry=True)
    assert told(shop) == (["package first"], ["failure", "success"], ["release/first"])
    (notes,) = shop.hub.server.state.releases.values()
    assert "| successful |" in str(notes.data["body"])


def release(shop: HubShop, *names: str) -> None:
    """Have packages approved and merged."""
    for name in names:
        made = proposed(shop, name, {f"jobs/web/{name}.job.yaml": job_yaml(name)})
        (there,) = [one for one in shop.hub.server.state.pulls.values() if one.head_sha == made.head]
        shop.hub.review(there, "dep-1")
        shop.person("dep-2").gate(name)


def test_what_nobody_lets_it_tell_costs_little_and_is_told_once_it_may(shop: HubShop) -> None:
    release(shop, "second", "third")
    shop.hub.server.faults.add("repos/create-deployment", said(403, "Resource not accessible"), times=99)
    shop.fresh("sync").sync()
    since = len(shop.hub.server.requests)
    sync = shop.fresh("sync")
    sync.sync()
    assert shop.asked(since).count("repos/create-deployment") == 2
    assert len(sync.said) == 2
    # A clone that remembers nothing does not ask of each whether it is shown.
    since = len(shop.hub.server.requests)
    shop.fresh("sync-2").sync()
    assert shop.asked(since).count("repos/get-release-by-tag") == 2
    shop.hub.server.faults.clear()
    # A clone that remembers nothing finds all that is not shown.
    shop.fresh("sync-2").sync()
    names = ["first", "second", "third"]
    assert told(shop)[0] == [f"package {name}" for name in names]
    assert told(shop)[2] == [f"release/{name}" for name in names]
    # What a newer release made inactive is not said anew by a clone that has to catch up: it would be the last again.
    before = told(shop)
    for remembered in (shop.root, None):
        other = shop.fresh("sync")
        other.clone.git("update-ref", *(("-d", REF) if remembered is None else (REF, remembered)))
        elsewhere = partial(standing.announcement, url="https://github.com/acme/desk/actions/runs/2")
        vars(other)["desk"] = replace(other.desk, prose=replace(other.desk.prose, announcement=elsewhere))
        since = len(shop.hub.server.requests)
        other.sync()
        assert told(shop) == before
    # Without a memory, the notes of the last release are looked for, once.
    asked = [operation for operation in shop.asked(since) if operation.startswith("repos/")]
    assert asked == ["repos/get-release-by-tag"]
    since = len(shop.hub.server.requests)
    shop.fresh("sync").sync()
    assert not [operation for operation in shop.asked(since) if operation.startswith("repos/")]


def test_releases_without_a_tag_keep_no_other_from_being_told(shop: HubShop) -> None:
    release(shop, "second")
    shop.fresh("sync").sync()
    for name in ("first", "second"):
        shop.server.git("tag", "--delete", f"release/{name}")
    shop.hub.server.state.releases.clear()
    release(shop, "third")
    runner = shop.fresh("sync-2")
    runner.sync()
    assert (told(shop)[0][-1], told(shop)[2]) == ("package third", ["release/third"])
    assert "GitHub shows no notes of first: there is no tag release/first to publish notes for" in runner.said
