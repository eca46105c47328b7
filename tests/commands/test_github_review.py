"""What people say with the commands, of what others did to it on GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitrelease.commands.views import view_package
from gitrelease.core.names import package_name
from tests.contracts.test_forge import proposed
from tests.contracts.test_github_reading import pull
from tests.github import pulls, reviews
from tests.github.fixtures import github
from tests.github.use_shop import HubShop, open_hub_shop
from tests.kit.git import Bench

FIRST = package_name("first")


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub with one package, which is not merged by itself."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub, auto_merge=False)
        proposed(made)
        yield made
        made.close()


def dismiss_last(shop: HubShop) -> None:
    """Have somebody who may write dismiss the last review."""
    with shop.hub.server.acting() as state:
        reviews.dismiss(state, pull(shop), list(state.reviews.values())[-1], state.account("dev-2").id, "no")


def retarget_and_back(shop: HubShop) -> None:
    """Have somebody who may write turn the pull request to another branch, and back."""
    shop.hub.push(shop.repo, "dev-2", "dev", {"README.md": "x\n"}, onto=shop.refs()["refs/heads/main"])
    for base in ("dev", "main"):
        with shop.hub.server.acting() as state:
            pulls.change_base(state, pull(shop), state.account("dev-2").id, base)


@pytest.mark.parametrize("spoil", [dismiss_last, retarget_and_back])
def test_what_others_made_void_can_be_said_again(shop: HubShop, spoil: object) -> None:
    def status() -> str:
        return view_package(shop.fresh("view-1").desk, FIRST).status

    assert (shop.fresh("dep-1").approve("first").was_said, status()) == (False, "approved")
    assert callable(spoil)
    spoil(shop)
    assert status() == "pending-review"
    assert (shop.fresh("dep-1").approve("first").was_said, status()) == (False, "approved")
    given = len(shop.hub.server.state.reviews)
    assert (shop.fresh("dep-1").approve("first").was_said, status()) == (True, "approved")
    assert len(shop.hub.server.state.reviews) == given == 2
