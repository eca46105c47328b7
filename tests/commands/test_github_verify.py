"""`verify` of a workspace on GitHub: what was released needs a clone, what waits for sync needs GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitrelease.commands.verify import VerifyResult, verify
from gitrelease.errors import Exit
from gitrelease.render import json
from gitrelease.render.production import verified
from gitrelease.render.text import Paper
from tests.contracts.test_forge import proposed
from tests.contracts.test_github_reading import pull
from tests.github.faults import html, said
from tests.github.fixtures import github
from tests.github.use_shop import HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml

NEW = "jobs/web/new.job.yaml"


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub, that was brought in line once."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub)
        made.person("sync").sync()
        yield made
        made.close()


def looked(shop: HubShop) -> tuple[VerifyResult, list[str]]:
    """Verify what a clone has, and list what GitHub was asked."""
    viewer = shop.fresh("view-1")
    viewer.repo.fetch(main=None)
    since = len(shop.hub.server.requests)
    result = verify(viewer.desk)
    return result, shop.asked(since)


def merge(shop: HubShop, head: str, number: int = 1) -> None:
    """Merge in the browser, approved or not."""
    client = shop.person("adm-2").client
    client.put(client.repo(f"pulls/{number}/merge"), {"sha": head}, doing="merge it")


def test_what_waits_for_sync_is_checked_where_github_can_be_asked(shop: HubShop) -> None:
    assert looked(shop) == (verify(shop.person("view-1").desk), [])
    first, second = proposed(shop), proposed(shop, "second", {NEW: job_yaml("new")})
    shop.hub.review(pull(shop), "dep-1")
    merge(shop, first.head)
    result, asked = looked(shop)
    assert (result.broken, result.unchecked, result.exit, "graphql" in asked) == ((), (), Exit.DONE, True)
    merge(shop, second.head, 2)
    (broken,) = {one.why.partition(": ")[0] for one in looked(shop)[0].broken if "merged" in one.why}
    assert broken.endswith("merged second, not approved")
    # Without GitHub neither is held to be broken, nor to be in order, and it is asked once.
    shop.hub.server.faults.add("graphql", html(503), times=999)
    result, asked = looked(shop)
    assert ([one.package for one in result.unchecked], result.broken) == (["first", "second"], ())
    assert (result.ok, result.exit, asked) == (True, Exit.WAITING, ["graphql"] * len(asked))
    assert len(asked) <= 5
    shown = verified(result, Paper(now=shop.bench.clock()))
    assert f"not yet checked: second ({result.unchecked[1].merge:.7}) is merged and waits for sync" in shown
    assert json.verified(result)["unchecked"] == [
        {"package": one.package, "merge": one.merge, "why": one.why} for one in result.unchecked
    ]
    # A direct push beside them is what it is.
    shop.hub.push(shop.repo, "dev-2", "main", {NEW: job_yaml("new", version=1, note="else")})
    result, _ = looked(shop)
    assert [one.why for one in result.broken] == [f"holds {NEW} as nobody approved it"]
    assert result.exit is Exit.REFUSED


def test_what_was_approved_and_rebased_is_kept_with_what_was_approved(shop: HubShop) -> None:
    """GitHub rebases a branch with one click; the approval is of what it held before."""
    first = proposed(shop)
    shop.hub.review(pull(shop), "dep-1")
    dev = shop.person("dev-1").clone
    dev.git("checkout", "--quiet", "--force", "--detach", first.head)
    dev.git("commit", "--quiet", "--amend", "--message", "the same once more")
    dev.push("HEAD:refs/heads/package/first", force=True)
    assert shop.fresh("dep-2").gate("first").merge is not None
    shop.person("sync").sync()
    viewer = shop.person("view-1").clone
    viewer.git("fetch", "--quiet", "--prune", "origin")
    viewer.git("repack", "-a", "-d", "-q")  # a clone on this disk begins with what nothing keeps
    viewer.git("prune", "--expire=now")
    result, asked = looked(shop)
    assert (result.broken, result.checked.packages, asked) == ((), 1, [])


def test_what_sync_could_not_have_counts_nowhere_also_where_it_is(shop: HubShop) -> None:
    """GitHub drops what no branch leads to some day; whoever made it has it in their clone."""
    first = proposed(shop)
    shop.hub.review(pull(shop), "dep-1")
    dev = shop.person("dev-1").clone
    dev.git("checkout", "--quiet", "--force", "--detach", first.head)
    dev.git("commit", "--quiet", "--amend", "--message", "the same once more")
    dev.push("HEAD:refs/heads/package/first", force=True)
    for ref in [ref for ref in shop.refs() if ref.startswith("refs/pull/")]:
        shop.server.git("update-ref", "-d", ref)
    shop.server.git("gc", "--quiet", "--prune=now")
    shop.hub.review(pull(shop), "dep-2")
    merge(shop, pull(shop).head_sha)
    (made,) = shop.person("sync").sync().packages
    developer = shop.fresh("dev-1")
    developer.repo.fetch(main=None)
    assert developer.repo.exists(first.head)
    assert (str(made.status), verify(developer.desk).broken) == ("successful", ())


@pytest.mark.long
def test_after_sync_nobody_has_to_be_asked(shop: HubShop) -> None:
    made = proposed(shop)
    shop.hub.review(pull(shop), "dep-1")
    merge(shop, made.head)
    shop.person("sync").sync()
    result, asked = looked(shop)
    assert (result.broken, result.unchecked, result.checked.packages, asked) == ((), (), 1, [])


@pytest.mark.long
def test_a_token_that_is_refused_leaves_it_unchecked(shop: HubShop) -> None:
    made = proposed(shop)
    merge(shop, made.head)
    shop.hub.server.faults.add("graphql", said(401, "Bad credentials"), times=9)
    result, _ = looked(shop)
    assert "does not accept the token" in result.unchecked[0].why


@pytest.mark.long
def test_a_merge_that_is_not_what_its_manifest_says_is_broken_also_offline(shop: HubShop) -> None:
    made = proposed(shop)
    merge(shop, made.head)
    tip = shop.refs()["refs/heads/main"]
    before = shop.server.git("rev-parse", f"{tip}^1").strip()
    manifest = {made.manifest.path: shop.server.git("show", f"{tip}:{made.manifest.path}") + "\n"}
    shop.hub.push(shop.repo, "dev-2", "main", {**manifest, NEW: job_yaml("new")}, onto=before, force=True)
    shop.hub.server.faults.add("graphql", html(503), times=999)
    result, _ = looked(shop)
    assert result.unchecked == ()
    assert "which is not what its manifest says" in result.broken[0].why
