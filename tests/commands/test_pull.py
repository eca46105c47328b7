"""`pull` and `workspace`: the main branch comes here, and what it holds is no change any more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gitrelease.commands.pull import pull
from gitrelease.commands.workspace import reviewers, view
from gitrelease.core.names import WORKSPACE_PATH
from gitrelease.core.workspace import Role
from gitrelease.repo import InTheWay, Unreachable
from tests.kit.git import Bench
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop, script_yaml

JOB = "jobs/sales/orders.job.yaml"
TWICE = job_yaml("orders", version=1, script="clean", note="twice")


@pytest.fixture
def shop(bench: Bench) -> Iterator[Shop]:
    """A shop with one job, the script it runs, and a rule."""
    made = open_shop(
        bench,
        FIRST_ITEMS,
        signatures="off",
        review='  required:\n    - {paths: ["jobs/sales/**"], from: [dep-1], approvals: 1}\n',
    )
    yield made
    made.close()


def lines(person: Person) -> list[str]:
    return person.clone.git("status", "--porcelain").splitlines()


def test_nothing_new(shop: Shop) -> None:
    person = shop.person("dev-1")
    made = pull(person.desk)
    assert made.before == made.after == person.clone.tip()
    assert (made.dropped, made.kept, made.notes) == ((), (), ())


def test_what_was_released_is_no_change_any_more(shop: Shop) -> None:
    person = shop.person("dev-1")
    more = {
        "jobs/new.job.yaml": job_yaml("new", script="fresh"),
        "scripts/fresh.script.yaml": script_yaml("fresh"),
        "scripts/fresh.sql": "SELECT 1;\n",
        "jobs/draft.job.yaml": job_yaml("draft"),
    }
    before = person.clone.tip()
    shop.released({JOB: TWICE, **more}, "orders", "new", "fresh")
    made = pull(person.desk)
    assert made.before == before
    assert made.after == person.clone.tip() == person.clone.tip("origin/main")
    assert made.dropped == ("jobs/new.job.yaml", JOB, "scripts/fresh.script.yaml", "scripts/fresh.sql")
    assert made.kept == ("jobs/draft.job.yaml",)
    assert lines(person) == ["?? jobs/draft.job.yaml"]


def test_other_people_get_the_files(shop: Shop) -> None:
    other = shop.person("dev-2")
    shop.released({JOB: TWICE}, "orders")
    assert pull(other.desk).dropped == ()
    assert (other.clone.path / JOB).read_text(encoding="utf-8") == TWICE.replace("version: 1", "version: 2")


def test_a_file_that_lacks_only_the_number_gets_it(shop: Shop) -> None:
    person = shop.person("dev-1")
    shop.released({JOB: TWICE, "jobs/new.job.yaml": job_yaml("new")}, "orders", "new")
    person.write({JOB: TWICE, "jobs/new.job.yaml": job_yaml("new")})  # as before the numbers were written
    made = pull(person.desk)
    assert made.dropped == ("jobs/new.job.yaml", JOB)
    assert lines(person) == []


def test_other_changes_of_a_released_file_are_not_touched(shop: Shop) -> None:
    person = shop.person("dev-1")
    before = person.clone.tip()
    shop.released({JOB: TWICE}, "orders")
    person.write({JOB: TWICE + "# more\n"})
    with pytest.raises(InTheWay):
        pull(person.desk)
    assert (person.clone.path / JOB).read_text(encoding="utf-8") == TWICE + "# more\n"
    assert person.clone.tip() == before


def test_a_change_of_the_number_alone_is_kept(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({JOB: FIRST_ITEMS[JOB].replace("version: 1", "version: 9")})
    assert pull(person.desk).kept == (JOB,)


def test_a_deletion_that_was_released(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({JOB: None})
    person.submit("orders", delete=True)
    package = person.release("job/orders/v2").manifest.name
    shop.person("dep-1").approve(package)
    made = pull(person.desk)
    assert made.dropped == (JOB,)
    assert lines(person) == []


def test_another_branch_stays_checked_out(shop: Shop) -> None:
    person = shop.person("dev-1")
    other = shop.person("dev-2")
    person.clone.git("switch", "--quiet", "-c", "mine")
    shop.released({JOB: TWICE}, "orders", by="dev-2")
    made = pull(person.desk)
    assert person.clone.git("symbolic-ref", "HEAD") == "refs/heads/mine"
    assert person.clone.tip("main") == made.after != made.before
    assert made.notes == (
        "main is not checked out, so no file was touched; git switch main brings you there",
    )
    assert other.id == "dev-2"


def test_commits_of_ones_own_are_in_the_way(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.clone.commit({"x.txt": "mine\n"})
    shop.released({JOB: TWICE}, "orders", by="dev-2")
    with pytest.raises(InTheWay):
        pull(person.desk)
    person.clone.git("switch", "--quiet", "-c", "mine")
    with pytest.raises(InTheWay):
        pull(person.desk)


def test_the_server_is_needed(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.clone.git("remote", "set-url", "origin", str(shop.bench.folder / "gone.git"))
    with pytest.raises(Unreachable):
        pull(person.desk)


def test_the_workspace_with_its_lines(shop: Shop) -> None:
    person = shop.person("view-1")
    seen = view(person.desk)
    text = (person.clone.path / WORKSPACE_PATH).read_text(encoding="utf-8").splitlines()
    for member in seen.members:
        assert member.id in text[member.place.line - 1]
    assert [text[place.line - 1] for place in seen.places.values()] == ["members:", "review:", "production:"]
    assert "jobs/sales/**" in text[seen.rules[0].place.line - 1]
    assert seen.commands == ("gitrelease submit workspace.yaml", "gitrelease release workspace")
    assert seen.workspace.name == "shop"


def test_who_may_review_and_why(shop: Shop) -> None:
    seen = reviewers(shop.person("view-1").desk)
    assert [
        (one.id, set(one.roles), one.may_approve_workspace, len(one.rules)) for one in seen.reviewers
    ] == [
        ("adm-1", {Role.ADMIN}, True, 0),
        ("adm-2", {Role.ADMIN}, True, 0),
        ("dep-1", {Role.DEPLOYER}, False, 1),
        ("dep-2", {Role.DEPLOYER}, False, 0),
    ]
    assert (seen.approvals, seen.rollback_approvals, str(seen.members)) == (1, 1, "workspace.yaml:6")
