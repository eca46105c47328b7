"""What people say with the commands, of what others did to it on GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelease.commands.review import withdraw
from gitrelease.commands.verify import verify
from gitrelease.commands.views import view_package
from gitrelease.core.names import package_name
from gitrelease.errors import Refused
from gitrelease.repo import PushDeclined
from tests.contracts.test_forge import proposed
from tests.contracts.test_github_reading import pull
from tests.github import pulls, reviews
from tests.github.fixtures import github
from tests.github.state import Restamp
from tests.github.use_shop import HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml

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


def retarget_and_have_it_come_back(shop: HubShop) -> None:
    """Have its new base be merged and deleted: GitHub turns the pull request to the main branch by itself."""
    shop.hub.push(shop.repo, "dev-2", "dev", {"README.md": "x\n"}, onto=shop.refs()["refs/heads/main"])
    state = shop.hub.server.state
    made = replace(pull(shop), base_ref="dev", base_sha=shop.refs()["refs/heads/dev"])
    state.pulls[made.id] = made
    with shop.hub.server.acting() as acting:
        pulls.change_base(acting, made, state.account("dev-2").id, "main", is_automatic=True)


@pytest.mark.parametrize("spoil", [dismiss_last, retarget_and_back, retarget_and_have_it_come_back])
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


@pytest.mark.parametrize("is_closed", [True, False])
def test_p5_a_no_stays_when_another_pull_request_takes_the_place_of_its_own(
    shop: HubShop, is_closed: bool
) -> None:
    state = shop.hub.server.state
    shop.hub.review(pull(shop), "dep-1", "REQUEST_CHANGES", "the queue is wrong")
    shop.hub.push(shop.repo, "dev-2", "dev", {"README.md": "x\n"}, onto=shop.refs()["refs/heads/main"])
    with shop.hub.server.acting():
        if is_closed:
            pulls.close(state, pull(shop), state.account("dev-1").id)
        else:
            pulls.change_base(state, pull(shop), state.account("dev-1").id, "dev")
    shop.hub.open(shop.repo, "dev-1", "package/first")
    shop.hub.review(pull(shop, 2), "dep-2")

    def status() -> str:
        return view_package(shop.fresh("view-1").desk, FIRST).status

    assert status() == "changes-requested"
    dep = shop.fresh("dep-1")
    withdraw(dep.desk, FIRST)
    assert status() == "approved"
    shop.hub.review(pull(shop, 1 if is_closed else 2), "dep-1", "REQUEST_CHANGES")
    assert status() == "changes-requested"
    shop.hub.review(pull(shop, 2), "dep-1")
    assert status() == "approved"
    shop.hub.review(pull(shop), "dep-1", "REQUEST_CHANGES")
    shop.hub.review(pull(shop), "dep-1")
    # A yes to what leads elsewhere is none to what leads to the main branch.
    assert status() == ("approved" if is_closed else "changes-requested")
    withdraw(dep.desk, FIRST)
    assert status() == "approved"


def test_p1_who_approves_an_old_page_did_not_approve_what_the_branch_holds(shop: HubShop) -> None:
    """Not by what they approved before that, and not by what GitHub notes of it later."""
    state = shop.hub.server.state
    first = pull(shop).head_sha
    other = shop.hub.push(shop.repo, "dev-1", "package/first", {"README.md": "more\n"})
    shop.hub.push(shop.repo, "dev-1", "package/first", {"README.md": None}, onto=other)

    def counted() -> list[str]:
        package = view_package(shop.fresh("view-1").desk, FIRST)
        return [one.person.id or "" for one in package.approvals]

    shop.hub.review(pull(shop), "dep-1")
    assert counted() == ["dep-1"]
    with shop.hub.server.acting():
        reviews.give_review(state, pull(shop), shop.account("dep-1"), "APPROVE", commit=first)
    assert counted() == []
    with shop.hub.server.acting():
        pulls.close(state, pull(shop), shop.account("dev-1"))
    last = shop.hub.push(shop.repo, "dev-1", "package/first", {"notes.md": "x\n"}, onto=first, force=True)
    shop.hub.review(pull(shop), "dep-2")
    with shop.hub.server.acting():
        pulls.reopen(state, pull(shop), shop.account("dev-1"))
    state.switches.restamp = Restamp.ALWAYS
    shop.hub.push(shop.repo, "dev-1", "package/first", {"notes.md": None}, onto=last)
    assert pull(shop).head_sha in {one.commit for one in state.reviews.values()}
    assert "dep-2" not in counted()


def test_an_archived_repository_is_said_to_be_one(shop: HubShop) -> None:
    shop.hub.server.state.change_repo(shop.repo, archived=True)
    with pytest.raises(Refused, match="archived so is read-only") as refused:
        shop.person("dep-1").approve("first")
    assert "unarchive" in str(refused.value.hint)
    dev = shop.person("dev-2")
    dev.write({"jobs/web/new.job.yaml": job_yaml("new")})
    with pytest.raises(PushDeclined, match="archived so it is read-only") as declined:
        dev.submit("job/new")
    assert "unarchive" in str(declined.value.hint)


def test_a_rule_that_only_a_team_can_meet(tmp_path: Path, bench: Bench) -> None:
    with github(tmp_path / "github") as hub, closing(open_hub_shop(bench, hub)) as shop:
        hub.team("acme", "leads", "dev-2")
        admin = shop.person("adm-1")
        text = (admin.clone.path / "workspace.yaml").read_text(encoding="utf-8")
        ruled = text.replace(
            "review:\n", '  - {team: "@acme/leads", roles: [deployer]}\nreview:\n', 1
        ).replace(
            "  execute: false\n",
            '  execute: false\n  required:\n    - {paths: ["jobs/**"], from: ["@acme/leads"]}\n',
        )
        shop.released({"workspace.yaml": ruled}, "workspace", by="adm-1", yes="adm-2")
        files = {"jobs/sales/orders.job.yaml": job_yaml("orders", note="anew")}
        developer = shop.fresh("dev-1")
        developer.write(files)
        (made,) = developer.submit("job/orders").items
        package = developer.release(str(made.task)).manifest.name
        shop.fresh("dep-1").approve(package)
        assert view_package(shop.fresh("view-1").desk, package).status == "pending-review"
        shop.fresh("dev-2").approve(package)
        assert view_package(shop.fresh("view-1").desk, package).status == "merged"
        shop.fresh("sync").sync()
        viewer = shop.fresh("view-1")
        assert view_package(viewer.desk, package).status == "successful"
        assert verify(viewer.desk).broken == ()
