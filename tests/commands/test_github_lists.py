"""Lists on GitHub: what they ask of it does not grow with what was ever released, and little with what is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitrelease.commands.status import status
from gitrelease.commands.views import PackageFilter, Paging, TaskFilter, list_packages, list_tasks
from gitrelease.core.task import TaskState
from tests.contracts.test_forge import proposed
from tests.contracts.test_github_reading import answer
from tests.github.fixtures import github
from tests.github.use_shop import HubPerson, HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml

LISTS: dict[str, Callable[[HubPerson], object]] = {
    "packages": lambda person: list_packages(person.desk, PackageFilter(), Paging(limit=500)).total,
    "tasks": lambda person: list_tasks(person.desk, TaskFilter(), Paging(limit=500))[0].total,
    "settled tasks": lambda person: (
        list_tasks(person.desk, TaskFilter(state=TaskState.RELEASED), Paging(limit=500))[0].total
    ),
    "status": lambda person: len(status(person.desk).findings),
}


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub, signatures="off")
        yield made
        made.close()


def counted(shop: HubShop, act: Callable[[HubPerson], object]) -> tuple[object, list[str]]:
    """Do something in a process of its own; give what came of it, and what GitHub was asked."""
    person = shop.fresh("dep-1")
    since = len(shop.hub.server.requests)
    found = act(person)
    return found, shop.asked(since)


def offered(shop: HubShop, count: int) -> None:
    """Put packages up for review, each with a task of its own."""
    for number in range(count):
        name = f"n{number:03}"
        proposed(shop, f"p{number:03}", {f"jobs/web{number % 9}/{name}.job.yaml": job_yaml(name)})


def test_lists_ask_github_nothing_where_nothing_is_open(shop: HubShop) -> None:
    shop.released({"jobs/web/done.job.yaml": job_yaml("done")}, "jobs/web/done.job.yaml")
    dev = shop.person("dev-1")
    dev.write({"jobs/web/waits.job.yaml": job_yaml("waits")})
    dev.submit("jobs/web/waits.job.yaml")
    assert {name: counted(shop, look) for name, look in LISTS.items()} == {
        "packages": (1, []),
        "tasks": (1, []),
        "settled tasks": (1, []),
        "status": (0, []),
    }


def test_what_is_open_is_one_question(shop: HubShop) -> None:
    offered(shop, 3)
    assert counted(shop, LISTS["packages"]) == (3, ["graphql"])
    assert counted(shop, LISTS["tasks"]) == (3, [])
    assert counted(shop, LISTS["status"]) == (0, ["graphql"])


def test_an_odd_answer_about_one_package_ends_no_list(shop: HubShop) -> None:
    proposed(shop)
    proposed(shop, "second", {"jobs/web/new.job.yaml": job_yaml("new")})
    shop.hub.server.faults.add("graphql", answer([], 0, headRefOid=None))
    person = shop.fresh("dep-1")
    listed = list_packages(person.desk, PackageFilter(), Paging()).items
    assert [(one.name, str(one.status)) for one in listed] == [("second", "pending-review")]
    assert "first is left out here: GitHub does not say where the pull request of first is" in person.said[-1]


@pytest.mark.long
@pytest.mark.parametrize(("count", "questions"), [(50, 1), (120, 3)])
def test_fifty_open_packages_are_one_question(shop: HubShop, count: int, questions: int) -> None:
    offered(shop, count)
    assert counted(shop, LISTS["packages"]) == (count, ["graphql"] * questions)
    assert counted(shop, LISTS["tasks"]) == (count, [])
    assert counted(shop, LISTS["status"]) == (0, ["graphql"] * questions)
