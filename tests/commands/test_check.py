"""`check`: files as they lie there, and branches as somebody pushed them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from gitrelease.commands.check import CheckResult, check_ref, check_working
from gitrelease.core.finding import Severity
from gitrelease.core.names import task_ref
from gitrelease.errors import NotFound
from tests.kit.git import Bench
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop, script_yaml

JOB = "jobs/sales/orders.job.yaml"


@pytest.fixture
def shop(bench: Bench) -> Iterator[Shop]:
    """A shop with one job and the script it runs."""
    made = open_shop(bench, FIRST_ITEMS, signatures="off")
    yield made
    made.close()


def codes(result: CheckResult) -> list[tuple[str, str]]:
    """Say where errors were found, and of which sort."""
    return [(one.file, one.code) for one in result.findings if one.severity is Severity.ERROR]


def push(person: Person, ref: str, files: Mapping[str, str | None], message: str = "by hand") -> None:
    """Push a branch with raw git: one commit on top of the main branch."""
    person.clone.git("switch", "--quiet", "--detach", "origin/main")
    person.clone.commit(files, message)
    person.clone.git("push", "--quiet", "origin", f"HEAD:refs/heads/{ref}")
    person.clone.git("switch", "--quiet", "main")


def test_nothing_changed_nothing_checked(shop: Shop) -> None:
    assert check_working(shop.person("dev-1").desk, []) == CheckResult(findings=(), checked=0)


def test_without_paths_everything_that_differs_is_checked(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write(
        {
            JOB: job_yaml("orders", version=1, script="nowhere"),
            "jobs/new.job.yaml": job_yaml("other"),
            "jobs/readme.txt": "stray\n",
            "scripts/lost.sql": "SELECT 1;\n",
        }
    )
    result = check_working(person.desk, [])
    assert codes(result) == [
        ("jobs/readme.txt", "stray-file"),
        ("jobs/new.job.yaml", "name"),
        (JOB, "unknown-script"),
        ("scripts/lost.sql", "document-missing"),
    ]
    assert result.checked == 3


def test_what_is_as_approved_is_not_counted(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({JOB: "x"})
    person.write({JOB: FIRST_ITEMS[JOB]})
    assert check_working(person.desk, []).checked == 0
    assert check_working(person.desk, ["orders", "scripts/sales"]).checked == 2


def test_items_are_named_as_for_submit(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({"jobs/new.job.yaml": job_yaml("new", script="fresh")})
    assert codes(check_working(person.desk, ["job/new"])) == [("jobs/new.job.yaml", "unknown-script")]
    person.write({"scripts/fresh.script.yaml": script_yaml("fresh"), "scripts/fresh.sql": "SELECT 1;\n"})
    assert codes(check_working(person.desk, ["jobs/*.job.yaml", "fresh"])) == []
    with pytest.raises(NotFound):
        check_working(person.desk, ["nobody"])


def test_a_missing_script_is_missed_by_its_job(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({"scripts/sales/clean.script.yaml": None, "scripts/sales/clean.sql": None})
    assert codes(check_working(person.desk, [])) == [(JOB, "still-used")]


def test_git_is_started_as_often_for_many_files_as_for_few(bench: Bench) -> None:
    went = {f"jobs/old/old{n}.job.yaml": job_yaml(f"old{n}", version=1) for n in range(9)}
    shop = open_shop(bench, FIRST_ITEMS | went, signatures="off")
    person = shop.person("dev-1")
    told = bench.folder / "told"
    count = bench.folder / "counting" / "git"
    count.parent.mkdir()
    count.write_text(f'#!/bin/sh\necho "$*" >>{told}\nexec {shutil.which("git")} "$@"\n')
    count.chmod(0o755)
    person.clone = replace(
        person.clone, environ={**person.clone.environ, "PATH": f"{count.parent}:{os.environ['PATH']}"}
    )

    def starts() -> int:
        told.write_text("")
        assert codes(check_working(person.desk, [])) == []
        return len(told.read_text().splitlines())

    def change(number: int) -> None:
        person.write(
            {
                f"jobs/new/new{number}.job.yaml": job_yaml(f"new{number}"),
                f"jobs/old/old{number}.job.yaml": None,
            }
        )

    change(0)
    assert starts() > 0  # which open the clone
    few = starts()
    for number in range(1, 9):
        change(number)
    assert starts() == few > 0
    shop.close()


def test_a_link_is_a_finding(shop: Shop) -> None:
    person = shop.person("dev-1")
    (person.clone.path / JOB).unlink()
    (person.clone.path / JOB).symlink_to("../../workspace.yaml")
    (found,) = check_working(person.desk, []).findings
    assert (found.file, found.code) == (JOB, "path-refused")


def test_a_crowded_directory(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({f"jobs/many/j{n}.job.yaml": job_yaml(f"j{n}") for n in range(1001)})
    result = check_working(person.desk, [])
    assert codes(result) == [("jobs/many/j0.job.yaml", "directory-full")]
    assert result.checked == 1001


def test_the_network_is_not_needed(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.clone.git("remote", "set-url", "origin", str(shop.bench.folder / "gone.git"))
    person.write({JOB: job_yaml("orders", version=1)})
    assert check_working(person.desk, []).checked == 1


def test_before_there_is_a_ledger_files_are_compared_with_what_is_committed(bench: Bench) -> None:
    server = bench.server()
    clone = bench.clone(server, "dev-1")
    person = Person(id="dev-1", clone=clone, bench=bench)
    with person.repo:
        clone.write({**FIRST_ITEMS, "jobs/x.job.yaml": job_yaml("x", script="nowhere")})
        result = check_working(person.desk, [])
        assert (codes(result), result.checked) == ([("jobs/x.job.yaml", "unknown-script")], 3)
        clone.commit({}, "first")
        clone.write({"jobs/x.job.yaml": job_yaml("x", script="clean")})
        result = check_working(person.desk, [])
        assert (codes(result), result.checked) == ([], 1)


def test_a_proper_task(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({JOB: job_yaml("orders", version=1, script="clean", note="twice")})
    (made,) = person.submit("orders").items
    for name in ("submit/job/orders/v2", "origin/submit/job/orders/v2", str(task_ref(made.task))):  # type: ignore[arg-type]
        result = check_ref(person.desk, name)
        assert (codes(result), result.checked) == ([], 1)


def test_a_task_of_somebody_else_is_fetched_when_it_is_not_here(shop: Shop) -> None:
    other = shop.person("dev-2")
    person = shop.person("dev-1")
    person.write({JOB: job_yaml("orders", version=1, note="twice")})
    person.submit("orders")
    assert check_ref(other.desk, "submit/job/orders/v2").checked == 1


@pytest.mark.parametrize(
    ("ref", "files", "found"),
    [
        ("submit/orders", {JOB: job_yaml("orders", version=2)}, ["task-name"]),
        ("submit/job/orders/v7", {JOB: job_yaml("orders", version=7)}, ["task-number"]),
        ("submit/job/orders/v2", {JOB: job_yaml("orders", version=3)}, ["version"]),
        ("submit/job/orders/v2", {"jobs/other.job.yaml": job_yaml("other", version=2)}, ["task-strays"]),
        ("submit/job/orders/v2", {}, ["task-empty"]),
        ("submit/job/orders/v2", {JOB: job_yaml("orders", version=2, script="nowhere")}, ["unknown-script"]),
        ("submit/job/orders/v2", {JOB: job_yaml("orders", version=2)}, []),
    ],
)
def test_a_branch_pushed_by_hand(shop: Shop, ref: str, files: Mapping[str, str], found: list[str]) -> None:
    person = shop.person("dev-1")
    push(person, ref, files)
    result = check_ref(person.desk, ref)
    assert [code for _, code in codes(result)] == found
    if found and found[0].startswith("task-"):
        assert result.findings[0].file == ref


def test_a_task_by_somebody_who_may_not(shop: Shop) -> None:
    person = shop.person("view-1")
    push(person, "submit/job/orders/v2", {JOB: job_yaml("orders", version=2)})
    assert [code for _, code in codes(check_ref(person.desk, "submit/job/orders/v2"))] == ["submitter"]
    person.clone.git("config", "user.email", "nobody@example.org")
    push(
        person, "submit/script/clean/v2", {"scripts/sales/clean.script.yaml": script_yaml("clean", version=2)}
    )
    assert [code for _, code in codes(check_ref(person.desk, "submit/script/clean/v2"))] == ["author"]


def test_a_task_that_what_it_started_from_has_left_behind(shop: Shop) -> None:
    person = shop.person("dev-1")
    push(person, "submit/job/orders/v2", {JOB: job_yaml("orders", version=2)})
    push(person, "submit/job/orders/v3", {JOB: job_yaml("orders", version=3, note="other")})
    package = person.release("job/orders/v3").manifest.name
    shop.person("dep-1").approve(package)
    person.desk.fetch()
    result = check_ref(person.desk, "submit/job/orders/v2")
    assert [(one.code, one.severity) for one in result.findings] == [("stale", Severity.WARNING)]


def test_tasks_that_were_submitted_together_may_need_each_other(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write(
        {
            "jobs/new.job.yaml": job_yaml("new", script="fresh"),
            "scripts/fresh.script.yaml": script_yaml("fresh"),
            "scripts/fresh.sql": "SELECT 1;\n",
        }
    )
    person.submit("new", "fresh")
    assert codes(check_ref(person.desk, "submit/job/new/v1")) == []


def test_packages(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({JOB: job_yaml("orders", version=1, note="twice")})
    person.submit("orders")
    package = person.release("job/orders/v2").manifest.name
    result = check_ref(person.desk, f"package/{package}")
    assert (codes(result), result.checked) == ([], 1)

    push(person, "package/by-hand", {JOB: job_yaml("orders", version=2)})
    assert codes(check_ref(person.desk, "package/by-hand")) == [("package/by-hand", "no-manifest")]
    push(person, "package/a;b", {JOB: job_yaml("orders", version=2)})
    assert codes(check_ref(person.desk, "package/a;b")) == [("package/a;b", "name-refused")]

    person.clone.git("switch", "--quiet", "--detach", f"origin/package/{package}")
    person.clone.git("commit", "--quiet", "--amend", "--no-edit")
    person.clone.commit({"README.md": "more\n"}, "more")
    person.clone.git("push", "--quiet", "--force", "origin", f"HEAD:package/{package}")
    person.desk.fetch()
    found = [code for _, code in codes(check_ref(person.desk, f"package/{package}"))]
    assert "not-on-main" in found
    assert "more-than-manifest" in found


@pytest.mark.parametrize("ref", ["submit/job/orders/v9", "package/nothing", "nowhere", "-x"])
def test_a_branch_that_is_not_there(shop: Shop, ref: str) -> None:
    with pytest.raises(NotFound):
        check_ref(shop.person("dev-1").desk, ref)
