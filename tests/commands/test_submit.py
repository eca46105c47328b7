"""`submit`: freezing items as versions; which are refused, and that a refusal changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from gitrelease.commands.refusals import CheckFailed
from gitrelease.commands.submit import PendingByOther, SubmitRequest, submit
from gitrelease.commands.views import Paging, TaskFilter, list_tasks
from gitrelease.core.task import TaskState
from gitrelease.errors import GitReleaseError, NotFound, Refused, UsageError
from tests.kit.git import Bench, Clone
from tests.kit.raw import commit_on, push_on, working_state
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop, script_yaml, workspace_yaml

ORDERS = "jobs/sales/orders.job.yaml"
NEW = "jobs/sales/new.job.yaml"


def orders(note: str = "", version: int | None = 1) -> str:
    return job_yaml("orders", version=version, script="clean", note=note)


def ids(result: Any) -> list[str | None]:
    """Give the tasks of a submit, in order."""
    return [None if one.task is None else str(one.task) for one in result.items]


def branches(shop: Shop) -> list[str]:
    return [ref.removeprefix("refs/heads/") for ref in shop.refs() if ref.startswith("refs/heads/submit/")]


def states(person: Person, *wanted: TaskState) -> dict[str, tuple[str, bool]]:
    """Give the state of every task with a branch, and of those settled as asked, and whether it is stale."""
    found = {}
    for state in (None, *wanted):
        listed, _ = list_tasks(person.desk, TaskFilter(state=state), Paging())
        found.update({str(one.task.id): (str(one.state), one.is_stale) for one in listed.items})
    return found


def malformed(person: Person) -> dict[str, str]:
    """Give the branches that are no tasks, with the reason's code."""
    _, standings = list_tasks(person.desk, TaskFilter(), Paging())
    return {one.ref.removeprefix("refs/heads/submit/"): one.reason.code for one in standings.malformed}


def changes(clone: Clone, branch: str) -> list[str]:
    """Give what one commit changes, as raw git says it."""
    return clone.git(
        "diff-tree", "-r", "--no-renames", "--name-status", "--no-commit-id", branch
    ).splitlines()


def refused(shop: Shop, person: Person, *items: str, **more: Any) -> GitReleaseError:
    """Submit what must be refused; see that nothing changed, here or on the server."""
    person.desk.fetch()
    before = shop.refs(), working_state(person.clone)
    with pytest.raises(GitReleaseError) as failed:
        person.submit(*items, **more)
    assert (shop.refs(), working_state(person.clone)) == before
    return failed.value


def codes(failed: GitReleaseError) -> list[tuple[str, str]]:
    """Give the findings that stopped something: code and file."""
    assert isinstance(failed, CheckFailed)
    return [(one.code, one.file) for one in failed.findings if one.severity == "error"]


# What a version is.


def test_a_version_is_main_and_the_items_files_in_one_signed_commit(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("by night")})
    made = dev.submit("orders", description="Run by night")
    commit = shop.server.git("cat-file", "commit", "submit/job/orders/v2")
    main = shop.server.tip("main")
    assert ids(made) == ["job/orders/v2"]
    assert shop.server.git("rev-parse", "submit/job/orders/v2^@") == main
    assert changes(shop.server, "submit/job/orders/v2") == [f"M\t{ORDERS}"]
    assert commit.partition("\n\n")[2] == ("Run by night\n\nItem: job/orders\nVersion: 2\nChange: modify")
    assert "author dev-1 <dev-1@example.org>" in commit
    assert "gpgsig -----BEGIN SSH SIGNATURE-----" in commit
    assert shop.server.git("show", f"submit/job/orders/v2:{ORDERS}") + "\n" == orders("by night", version=2)


def test_the_number_is_written_into_that_one_line_and_comments_stay(shop: Shop) -> None:
    dev = shop.person("dev-1")
    text = "# ours\n" + orders().replace("version: 1\n", "version: 1  # set by submit\n").replace(
        "nodes:", "# nodes follow\nnodes:"
    )
    dev.write({ORDERS: text})
    dev.submit("orders")
    assert (dev.clone.path / ORDERS).read_text() == text.replace("version: 1 ", "version: 2 ")


def test_a_file_without_a_number_gets_one(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new")})
    assert ids(dev.submit("new")) == ["job/new/v1"]
    written = (dev.clone.path / NEW).read_text()
    assert written.replace("version: 1\n", "") == job_yaml("new")
    assert written.count("version: 1\n") == 1


def test_head_and_index_stay_where_they_are(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new"), "notes.txt": "mine"})
    dev.clone.git("add", "notes.txt")
    _, head, index, _ = working_state(dev.clone)
    dev.submit("new")
    _, head_after, index_after, _ = working_state(dev.clone)
    assert (head_after, index_after) == (head, index)


def test_without_words_of_ones_own_the_description_says_what_happened(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new")})
    dev.submit("new")
    assert shop.server.git("log", "-1", "--format=%s", "submit/job/new/v1") == "add job/new"


def test_a_description_has_at_most_128_characters(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new")})
    failed = refused(shop, dev, "new", description="订" * 129)
    assert failed.message == "the description has 129 characters; at most 128 fit"
    assert ids(dev.submit("new", description="订" * 128)) == ["job/new/v1"]


@pytest.mark.parametrize("description", ["", "  ", "two\nlines"])
def test_a_description_is_one_line_of_text(shop: Shop, description: str) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new")})
    assert isinstance(refused(shop, dev, "new", description=description), UsageError)


def test_what_is_not_named_is_not_submitted(shop: Shop) -> None:
    assert isinstance(refused(shop, shop.person("dev-1")), UsageError)


# Which items are meant.


@pytest.mark.parametrize(
    "text",
    [
        "orders",
        "job/orders",
        ORDERS,
        f"./{ORDERS}",
        "jobs/sales",
        "jobs/sales/",
        "jobs/sales/ord*",
        "jobs/**",
    ],
)
def test_ways_to_name_an_item(shop: Shop, text: str) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("two")})
    assert ids(dev.submit(text)) == ["job/orders/v2"]


def test_all_is_what_differs_from_what_is_approved(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new"), "scripts/sales/clean.sql": "SELECT 2;\n", "README.md": "mine"})
    assert ids(dev.submit(everything=True)) == ["job/new/v1", "script/clean/v2"]


def test_a_name_that_is_both_a_job_and_a_script_is_not_clear(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({"jobs/clean.job.yaml": job_yaml("clean")})
    failed = refused(shop, dev, "clean")
    assert (failed.message, failed.hint) == (
        "'clean' is both a job and a script",
        "write job/clean or script/clean",
    )
    assert ids(dev.submit("job/clean")) == ["job/clean/v1"]


@pytest.mark.parametrize(
    "text", ["nothing", "job/nothing", "jobs/nothing.job.yaml", "jobs/nothing/*", "jobs/nothing"]
)
def test_what_does_not_exist_is_not_submitted(shop: Shop, text: str) -> None:
    assert isinstance(refused(shop, shop.person("dev-1"), text), NotFound)


def test_files_are_read_as_another_commit_has_them(shop: Shop) -> None:
    dev = shop.person("dev-1")
    other = commit_on(dev, "origin/main", {ORDERS: orders("elsewhere")})
    assert ids(dev.submit("orders", ref=other)) == ["job/orders/v2"]
    assert shop.server.git("show", f"submit/job/orders/v2:{ORDERS}") + "\n" == orders("elsewhere", version=2)
    assert (dev.clone.path / ORDERS).read_text() == orders()
    assert isinstance(refused(shop, dev, "orders", ref="nowhere"), NotFound)


# Numbers.


def test_the_next_number_counts_open_and_settled_tasks(shop: Shop) -> None:
    dev = shop.person("dev-1")
    for note, expected in [("a", "job/orders/v2"), ("b", "job/orders/v3"), ("c", "job/orders/v4")]:
        dev.write({ORDERS: orders(note)})
        assert ids(dev.submit("orders")) == [expected]
    assert branches(shop) == ["submit/job/orders/v4"]


def test_a_number_that_skips_ahead_is_malformed_and_ignored(shop: Shop) -> None:
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    push_on(other, "submit/job/orders/v9", {ORDERS: orders("ahead", version=9)})
    assert malformed(dev) == {"job/orders/v9": "task-number"}
    dev.write({ORDERS: orders("next")})
    assert ids(dev.submit("orders")) == ["job/orders/v2"]
    assert states(dev) == {"job/orders/v2": ("pending", False)}


def test_a_malformed_branch_that_has_the_next_number_is_passed_by(shop: Shop) -> None:
    dev = shop.person("dev-1")
    push_on(shop.person("dev-2"), "submit/job/orders/v2", {ORDERS: orders("x"), NEW: job_yaml("new")})
    dev.write({ORDERS: orders("mine")})
    assert ids(dev.submit("orders")) == ["job/orders/v3"]
    assert states(dev) == {"job/orders/v3": ("pending", False)}
    assert [str(one.id) for one in dev.release("orders").manifest.items] == ["job/orders/v3"]


def test_two_people_at_once_get_two_numbers_and_nothing_is_lost(shop: Shop) -> None:
    people = [shop.person(who) for who in ("dev-1", "dev-2", "adm-1")]
    for person in people:
        person.write({NEW: job_yaml("new", note=person.id)})
    start = Barrier(len(people))

    def at_once(person: Person) -> str | None:
        start.wait()
        [made] = ids(submit(person.desk, SubmitRequest(items=("new",), supersede=True)))
        return made

    with ThreadPoolExecutor(len(people)) as pool:
        made = sorted(str(one) for one in pool.map(at_once, people))
    assert made == ["job/new/v1", "job/new/v2", "job/new/v3"]
    last = branches(shop)
    assert last == ["submit/job/new/v3"]
    assert states(people[0], TaskState.SUPERSEDED) == {
        "job/new/v1": ("superseded", False),
        "job/new/v2": ("superseded", False),
        "job/new/v3": ("pending", False),
    }


def test_who_comes_second_decides_again(shop: Shop) -> None:
    """The other's version arrives between looking and pushing: then it is somebody else's, and refused."""
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    for person in (dev, other):
        person.write({NEW: job_yaml("new", note=person.id)})
    dev.desk.fetch()
    assert ids(other.submit("new")) == ["job/new/v1"]
    failed = refused(shop, dev, "new")
    assert isinstance(failed, PendingByOther)


# Nothing to submit.


def test_an_unchanged_item_has_nothing_to_submit(shop: Shop) -> None:
    dev = shop.person("dev-1")
    before = shop.refs()
    made = dev.submit("orders", "clean")
    assert [(str(one.item), one.change, one.note) for one in made.items] == [
        ("job/orders", None, "is what version 1 is"),
        ("script/clean", None, "is what version 1 is"),
    ]
    assert shop.refs() == before


def test_submitting_twice_is_submitting_once(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("two")})
    dev.submit("orders")
    before = shop.refs()
    [again] = dev.submit("orders").items
    assert (str(again.task), again.change, again.note) == (
        "job/orders/v2",
        None,
        "awaits release as job/orders/v2",
    )
    assert shop.refs() == before


def test_a_run_that_was_cut_short_is_completed(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("two")})
    dev.submit("orders")
    dev.write({ORDERS: orders("two")})  # as if it ended after the push, before the file was written
    [again] = dev.submit("orders").items
    assert (str(again.task), again.change) == ("job/orders/v2", None)
    assert (dev.clone.path / ORDERS).read_text() == orders("two", version=2)


def test_a_dry_run_changes_nothing(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("two"), NEW: job_yaml("new")})
    dev.desk.fetch()
    before = shop.refs(), working_state(dev.clone)
    made = dev.submit("orders", "new", dry_run=True)
    assert (made.is_dry_run, ids(made)) == (True, ["job/orders/v2", "job/new/v1"])
    assert [one.commit for one in made.items] == [None, None]
    assert (shop.refs(), working_state(dev.clone)) == before


def test_a_dry_run_finds_what_is_wrong(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new", script="missing")})
    with pytest.raises(CheckFailed):
        dev.submit("new", dry_run=True)


# Several items, all or none.


def test_several_items_go_at_once(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new", script="fresh"), "scripts/fresh.script.yaml": script_yaml("fresh")})
    dev.write({"scripts/fresh.sql": "SELECT 3;\n"})
    assert ids(dev.submit("new", "script/fresh")) == ["job/new/v1", "script/fresh/v1"]
    assert branches(shop) == ["submit/job/new/v1", "submit/script/fresh/v1"]


def test_one_that_is_refused_stops_all(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("fine"), NEW: job_yaml("new", script="missing")})
    failed = refused(shop, dev, "orders", "new")
    assert codes(failed) == [("unknown-script", NEW)]


def test_one_that_somebody_else_has_stops_all(shop: Shop) -> None:
    shop.person("dev-2").write({ORDERS: orders("theirs")})
    shop.person("dev-2").submit("orders")
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("mine"), NEW: job_yaml("new")})
    assert isinstance(refused(shop, dev, "new", "orders"), PendingByOther)


def test_a_push_that_is_refused_in_part_leaves_nothing_behind(shop: Shop) -> None:
    script = 'if [ "$1" = refs/heads/submit/script/clean/v2 ]; then echo no; exit 1; fi'
    shop.bench.hook(shop.server, "update", script)
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("two"), "scripts/sales/clean.sql": "SELECT 2;\n"})
    before = shop.refs()
    with pytest.raises(GitReleaseError):
        dev.submit("orders", "script/clean")
    assert shop.refs() == before
    assert (dev.clone.path / ORDERS).read_text() == orders("two")


# Superseding.


def test_a_new_version_supersedes_ones_own(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("a")})
    dev.submit("orders")
    old = shop.refs()["refs/heads/submit/job/orders/v2"]
    dev.write({ORDERS: orders("b")})
    [made] = dev.submit("orders").items
    assert [str(one) for one in made.supersedes] == ["job/orders/v2"]
    assert branches(shop) == ["submit/job/orders/v3"]
    assert states(dev, TaskState.SUPERSEDED) == {
        "job/orders/v2": ("superseded", False),
        "job/orders/v3": ("pending", False),
    }
    assert shop.server.git("merge-base", "--is-ancestor", old, "archive") == ""


def test_another_persons_version_is_refused_with_the_difference(shop: Shop) -> None:
    shop.person("dev-2").write({ORDERS: orders("theirs")})
    shop.person("dev-2").submit("orders")
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("mine")})
    failed = refused(shop, dev, "orders")
    assert isinstance(failed, PendingByOther)
    assert failed.message.splitlines() == [
        "job/orders/v2 by dev-2 awaits release",
        f"--- job/orders/v2: {ORDERS}",
        f"+++ yours: {ORDERS}",
        "@@ -1,8 +1,8 @@",
        " apiVersion: gitrelease/v1",
        " kind: Job",
        " name: orders",
        "-version: 2",
        "-description: Loads orders theirs",
        "+version: 3",
        "+description: Loads orders mine",
        " processType: BATCH",
        " nodes:",
        "   - name: load",
    ]
    assert failed.hint == "talk to dev-2, or take it over with --supersede; both then count as submitters"


def test_taking_over_makes_both_submitters_and_neither_may_approve(shop: Shop) -> None:
    shop.person("adm-1").write({ORDERS: orders("theirs")})
    shop.person("adm-1").submit("orders")
    other = shop.person("adm-2")
    other.write({ORDERS: orders("mine")})
    [made] = other.submit("orders", supersede=True).items
    assert [str(one) for one in made.supersedes] == ["job/orders/v2"]
    package = shop.person("dev-1").release("orders").manifest
    assert [one.submitters for one in package.items] == [("adm-2", "adm-1")]
    assert package.reviewers == ("dep-1", "dep-2")
    for who in ("adm-1", "adm-2"):
        with pytest.raises(Refused, match="nobody approves their own work"):
            shop.person(who).approve(package.name)
    assert shop.person("dep-1").approve(package.name).merged is not None


def test_who_was_taken_over_stays_a_submitter_of_later_versions(shop: Shop) -> None:
    shop.person("adm-1").write({ORDERS: orders("theirs")})
    shop.person("adm-1").submit("orders")
    other = shop.person("adm-2")
    for note in ("mine", "mine again"):
        other.write({ORDERS: orders(note)})
        other.submit("orders", supersede=True)
    package = shop.person("dev-1").release("orders").manifest
    assert [one.submitters for one in package.items] == [("adm-2", "adm-1")]


def test_a_task_in_review_is_not_superseded(shop: Shop) -> None:
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    dev.write({ORDERS: orders("in review")})
    dev.submit("orders")
    dev.release("orders")
    for person, number in ((dev, 3), (other, 4)):
        person.write({ORDERS: orders(f"by {person.id}")})
        if person is other:
            assert isinstance(refused(shop, person, "orders"), PendingByOther)
        [made] = person.submit("orders", supersede=person is other).items
        assert str(made.task) == f"job/orders/v{number}"
    assert states(dev) == {"job/orders/v2": ("in-review", False), "job/orders/v4": ("pending", False)}


def test_a_task_that_does_not_count_blocks_nobody(shop: Shop) -> None:
    push_on(shop.person("dev-2"), "submit/job/orders/v2", {ORDERS: orders("unsigned", version=2)}, sign=False)
    push_on(shop.person("view-1"), "submit/job/orders/v3", {ORDERS: orders("no right", version=3)})
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("mine")})
    [made] = dev.submit("orders").items
    assert (str(made.task), made.supersedes) == ("job/orders/v4", ())
    package = dev.release("job/orders/v4").manifest
    assert shop.person("dep-1").approve(package.name).merged is not None


# Deletion, renaming, moving.


def test_a_deletion_is_a_version_without_files(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: None})
    [made] = dev.submit("orders", delete=True).items
    assert (str(made.task), made.change) == ("job/orders/v2", "delete")
    assert changes(shop.server, "submit/job/orders/v2") == [f"D\t{ORDERS}"]


def test_a_missing_file_is_not_a_deletion(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: None})
    failed = refused(shop, dev, "orders")
    assert (failed.message, failed.hint) == (
        "the files of job/orders are missing here",
        "`gitrelease pull` brings them where this clone is behind; to take the item out of production: "
        "`gitrelease submit job/orders --delete`",
    )


def test_what_is_still_used_is_not_deleted(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({"scripts/sales/clean.sql": None, "scripts/sales/clean.script.yaml": None})
    failed = refused(shop, dev, "clean", delete=True)
    assert codes(failed) == [("still-used", ORDERS)]
    assert failed.message == f"{ORDERS}:1: job/orders still uses script/clean, which is to be deleted"


def test_what_was_never_there_is_not_deleted(shop: Shop) -> None:
    assert isinstance(refused(shop, shop.person("dev-1"), "job/nothing", delete=True), NotFound)
    failed = refused(shop, shop.person("adm-1"), "workspace", delete=True)
    assert failed.message == "a workspace cannot be deleted"


def test_numbers_go_on_after_a_deletion(shop: Shop) -> None:
    dev = shop.person("dev-1")
    shop.released({NEW: job_yaml("new")}, "new")
    dev.clone.git("fetch", "--quiet")
    dev.submit("new", delete=True)
    package = dev.release("new").manifest.name
    shop.person("dep-1").approve(package)
    shop.person("sync").sync()
    dev.clone.git("fetch", "--quiet")
    assert NEW not in dev.clone.git("ls-tree", "-r", "--name-only", "origin/main").splitlines()
    assert shop.production("jobs/sales/new.job") is None
    dev.write({NEW: job_yaml("new", note="is back")})
    [made] = dev.submit("new").items
    assert (str(made.task), made.change) == ("job/new/v3", "add")


def test_another_directory_is_a_modify(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: None, "jobs/web/orders.job.yaml": orders()})
    [made] = dev.submit("orders").items
    assert (str(made.task), made.change) == ("job/orders/v2", "modify")
    assert changes(shop.server, "submit/job/orders/v2") == [f"D\t{ORDERS}", "A\tjobs/web/orders.job.yaml"]


def test_an_item_in_two_places_is_refused(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({"jobs/web/orders.job.yaml": orders()})
    failed = refused(shop, dev, "orders")
    assert failed.message == f"job/orders lies in two places: {ORDERS} and jobs/web/orders.job.yaml"


@pytest.mark.parametrize("keeps_old", [True, False])
def test_a_name_that_differs_only_in_case_is_taken(shop: Shop, keeps_old: bool) -> None:
    dev = shop.person("dev-1")
    if not keeps_old:
        dev.write({ORDERS: None})
    dev.write({"jobs/sales/Orders.job.yaml": job_yaml("Orders", version=1, script="clean")})
    failed = refused(shop, dev, "job/Orders")
    assert failed.message == "job/Orders and job/orders, which is there, differ only in how they are written"


def test_two_names_of_one_submit_that_differ_only_in_case(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new"), "jobs/web/New.job.yaml": job_yaml("New")})
    assert ("same-name" in [code for code, _ in codes(refused(shop, dev, "new", "New"))]) is True


# What a proper item is.


@pytest.mark.parametrize(
    ("files", "finding"),
    [
        ({NEW: job_yaml("other")}, ("name", NEW)),
        ({NEW: b"\xef\xbb\xbf" + job_yaml("new").encode()}, ("bom", NEW)),
        ({NEW: job_yaml("new").replace("\n", "\r\n")}, ("carriage-return", NEW)),
        ({NEW: b"\xff\xfe" + job_yaml("new").encode("utf-16-le")}, ("not-utf8", NEW)),
        ({NEW: job_yaml("new", after=["nowhere"])}, ("unknown-job", NEW)),
        ({NEW: job_yaml("new").replace("0 30 2 * * ?", "0 99 2 * * ?")}, ("cron-field", NEW)),
        ({NEW: job_yaml("new").replace("processType", "procesType")}, ("unknown-key", NEW)),
    ],
    ids=["name", "bom", "crlf", "utf-16", "upstream", "cron", "key"],
)
def test_what_is_wrong_with_a_file_stops_it(
    shop: Shop, files: Mapping[str, str | bytes], finding: tuple[str, str]
) -> None:
    dev = shop.person("dev-1")
    dev.write(files)
    assert finding in codes(refused(shop, dev, "new"))


@pytest.mark.parametrize("content", [b"SELECT 2;\r\n", b"\xef\xbb\xbfSELECT 2;\n", b"SELECT '\xff';\n"])
def test_the_content_of_a_script_is_utf_8_with_lf_and_no_bom(shop: Shop, content: bytes) -> None:
    dev = shop.person("dev-1")
    dev.write({"scripts/sales/clean.sql": content})
    assert {file for _, file in codes(refused(shop, dev, "clean"))} == {"scripts/sales/clean.sql"}


def test_a_stray_file_is_refused(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({"jobs/sales/readme.txt": "stray"})
    assert refused(shop, dev, everything=True).code == "name-refused"
    assert refused(shop, dev, "jobs/sales").code == "name-refused"


@pytest.mark.skipif(sys.platform == "win32", reason="makes a symbolic link")
def test_a_symbolic_link_is_not_followed(shop: Shop) -> None:
    dev = shop.person("dev-1")
    secret = shop.bench.folder / "elsewhere.yaml"
    secret.write_text(job_yaml("new"))
    (dev.clone.path / NEW).symlink_to(secret)
    failed = refused(shop, dev, "job/new")
    assert "symbolic link" in failed.message
    (dev.clone.path / NEW).unlink()
    (shop.bench.folder / "dir").mkdir()
    (shop.bench.folder / "dir" / "new.job.yaml").write_text(job_yaml("new"))
    (dev.clone.path / "jobs" / "linked").symlink_to(shop.bench.folder / "dir")
    assert isinstance(refused(shop, dev, "jobs/linked/new.job.yaml"), GitReleaseError)


def test_an_executable_file_is_frozen_as_a_plain_one(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new")})
    (dev.clone.path / NEW).chmod(0o755)
    dev.submit("new")
    assert shop.server.git("ls-tree", "submit/job/new/v1", NEW).startswith("100644 blob ")


def test_a_script_has_one_content_file(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({"scripts/sales/clean.py": "print()\n"})
    assert ("content-missing", "scripts/sales/clean.script.yaml") in codes(refused(shop, dev, "clean"))
    dev.write({"scripts/sales/clean.py": None, "scripts/sales/clean.sql": None})
    assert ("content-missing", "scripts/sales/clean.script.yaml") in codes(refused(shop, dev, "clean"))


SECRET = "UPDATE t SET password = 'Xk9#vQ2mL7pR4wZt';\n"


def test_a_secret_in_clear_text_is_refused(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({"scripts/sales/clean.sql": SECRET})
    failed = refused(shop, dev, "clean")
    assert [file for _, file in codes(failed)] == ["scripts/sales/clean.sql"]
    assert "Xk9#vQ2mL7pR4wZt" not in failed.message


def test_a_secret_that_is_allowed_is_let_through_and_shown_to_reviewers(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write(
        {
            "scripts/sales/clean.sql": SECRET.replace(
                "\n", "  -- gitrelease: allow-secret an example of the manual\n"
            )
        }
    )
    dev.submit("clean")
    [item] = dev.release("clean").manifest.items
    assert [(one.file, one.reason) for one in item.allowed_secrets] == [
        ("scripts/sales/clean.sql", "an example of the manual")
    ]


def test_a_directory_holds_at_most_1000_entries(bench: Bench) -> None:
    full = {f"jobs/full/j{n}.job.yaml": "x\n" for n in range(998)}
    shop = open_shop(bench, FIRST_ITEMS)
    admin = shop.person("adm-1")
    # Files that nobody approved count as well: it is git that reads and writes a directory whole.
    push_on(admin, "main", full)
    dev = shop.person("dev-1")
    dev.write({f"jobs/full/{name}.job.yaml": job_yaml(name) for name in ("a", "b", "c")})
    assert codes(refused(shop, dev, "a", "b", "c")) == [("directory-full", "jobs/full/a.job.yaml")]
    assert ids(dev.submit("a", "b")) == ["job/a/v1", "job/b/v1"]
    shop.close()


# Real-time single-task jobs.


def stream(sub: str = "part", note: str = "") -> dict[str, str]:
    parent = (
        "apiVersion: gitrelease/v1\nkind: Job\nname: stream\nprocessType: REAL_TIME\n"
        f"singleNodeJobFlag: true\nsingleNodeJobType: FlinkSQL\ndescription: Streams {note}\n"
        f"nodes:\n  - name: flow\n    type: SubJob\n    properties:\n      jobName: {sub}\n"
        "schedule:\n  type: EXECUTE_ONCE\n"
    )
    return {
        "jobs/web/stream.job.yaml": parent,
        f"jobs/web/stream.subjobs/{sub}.job.yaml": job_yaml(sub, note=note).split("schedule:")[0]
        + "schedule:\n  type: EXECUTE_ONCE\n",
    }


def test_subjobs_travel_with_their_job(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write(stream())
    made = dev.submit("jobs/web/stream.subjobs/part.job.yaml", "jobs/web")
    assert ids(made) == ["job/stream/v1"]
    assert changes(shop.server, "submit/job/stream/v1") == [
        "A\tjobs/web/stream.job.yaml",
        "A\tjobs/web/stream.subjobs/part.job.yaml",
    ]
    with pytest.raises(NotFound):
        dev.submit("part")


def test_a_change_of_a_subjob_is_a_version_of_its_job(shop: Shop) -> None:
    dev = shop.person("dev-1")
    shop.released(stream(), "stream")
    dev.clone.git("fetch", "--quiet")
    subjob = "jobs/web/stream.subjobs/part.job.yaml"
    dev.write({subjob: stream(note="other")[subjob]})
    assert ids(dev.submit(everything=True)) == ["job/stream/v2"]
    assert changes(shop.server, "submit/job/stream/v2") == [
        "M\tjobs/web/stream.job.yaml",
        "M\tjobs/web/stream.subjobs/part.job.yaml",
    ]
    [item] = dev.release("stream").manifest.items
    assert (str(item.id), sorted(item.after.files)) == (
        "job/stream/v2",
        ["jobs/web/stream.job.yaml", "jobs/web/stream.subjobs/part.job.yaml"],
    )


# Plain `git push`.


def test_a_plain_push_is_as_good(shop: Shop) -> None:
    made = push_on(shop.person("dev-1"), "submit/job/orders/v2", {ORDERS: orders("by hand", version=2)})
    dev = shop.person("dev-2")
    assert states(dev) == {"job/orders/v2": ("pending", False)}
    package = dev.release("orders").manifest
    assert [(one.task, one.submitters) for one in package.items] == [(made, ("dev-1",))]
    merged = shop.person("dep-1").approve(package.name).merged
    assert merged is not None
    assert merged.merge is not None


@pytest.mark.parametrize(
    ("branch", "files", "message", "code"),
    [
        ("job/orders/v2", {ORDERS: orders("x", version=2), NEW: job_yaml("new")}, "two items", "task-strays"),
        ("job/orders/v2", {ORDERS: orders("x", version=2), "README.md": "x"}, "an extra file", "task-strays"),
        ("job/orders/v2", {"jobs/x.txt": "x"}, "no item", "task-strays"),
        ("job/orders/v2", {NEW: job_yaml("new")}, "another item", "task-strays"),
        ("script/orders/v2", {ORDERS: orders("x", version=2)}, "another kind", "task-strays"),
        ("job/orders/v2", {}, "nothing", "task-empty"),
        ("job/orders/v9", {ORDERS: orders("x", version=9)}, "a number ahead", "task-number"),
        ("job/orders/v1.2", {ORDERS: orders("x", version=2)}, "no number", "task-name"),
        ("job/orders/more/v2", {ORDERS: orders("x", version=2)}, "no name", "task-name"),
        ("orders", {ORDERS: orders("x", version=2)}, "no kind", "task-name"),
        ("job/orders/v2", {ORDERS: orders("x", version=2)}, "a\n\nVersion: 3", "task-version"),
        ("job/orders/v2", {ORDERS: orders("x", version=2)}, "a\n\nChange: delete", "task-change"),
        ("job/orders/v2", {ORDERS: orders("x", version=2)}, "a\n\nItem: job/new", "task-item"),
    ],
)
def test_a_malformed_branch_is_named_and_ignored(
    shop: Shop, branch: str, files: Mapping[str, str], message: str, code: str
) -> None:
    dev = shop.person("dev-1")
    push_on(dev, f"submit/{branch}", files, message)
    assert (states(dev), malformed(dev)) == ({}, {branch: code})
    with pytest.raises(NotFound):
        dev.release("orders")


def raw_mode(person: Person, mode: str, content: str = "elsewhere") -> str:
    """Make a commit on main in which the job has another mode."""
    clone = person.clone
    blob = clone.git("hash-object", "-w", "--stdin", stdin=content)
    clone.git("read-tree", "origin/main")
    clone.git("update-index", "--cacheinfo", f"{mode},{blob},{ORDERS}")
    tree = clone.git("write-tree")
    clone.git("read-tree", "HEAD")
    return clone.git("commit-tree", "-S", tree, "-p", "origin/main", "-m", "by hand")


@pytest.mark.parametrize("mode", ["120000", "100755", "160000"])
def test_what_is_no_plain_file_is_no_task(shop: Shop, mode: str) -> None:
    dev = shop.person("dev-1")
    made = raw_mode(dev, mode)
    dev.clone.push(f"{made}:refs/heads/submit/job/orders/v2")
    assert (states(dev), malformed(dev)) == ({}, {"job/orders/v2": "task-mode"})


def test_a_merge_is_no_task(shop: Shop) -> None:
    dev = shop.person("dev-1")
    one = commit_on(dev, "origin/main", {ORDERS: orders("x", version=2)})
    tree = dev.clone.git("rev-parse", f"{one}^{{tree}}")
    merge = dev.clone.git("commit-tree", "-S", tree, "-p", "origin/main", "-p", one, "-m", "merge")
    dev.clone.push(f"{merge}:refs/heads/submit/job/orders/v2")
    assert malformed(dev) == {"job/orders/v2": "task-parents"}


@pytest.mark.parametrize("how", ["unsigned", "wrong key", "not theirs", "stranger"])
def test_a_forged_submitter_is_not_believed(shop: Shop, how: str) -> None:
    dev = shop.person("dev-2")
    options: Sequence[str] = ()
    if how == "wrong key":
        dev.clone.git("config", "user.signingKey", str(shop.bench.keys("nobody").path))
    if how == "not theirs":
        options = ("--author", "dep-1 <dep-1@example.org>")
    if how == "stranger":
        options = ("--author", "stranger <stranger@example.org>")
    push_on(
        dev, "submit/job/orders/v2", {ORDERS: orders("x", version=2)}, "x", *options, sign=how != "unsigned"
    )
    with pytest.raises(Refused) as failed:
        shop.person("dev-1").release("orders")
    assert (
        failed.value.message
        == {
            "unsigned": "job/orders/v2 is not signed",
            "wrong key": "job/orders/v2 is signed with a key that no member has",
            "not theirs": "job/orders/v2 says it was made by dep-1, and was signed by dev-2",
            "stranger": "job/orders/v2 was made by stranger@example.org, which is no member's address",
        }[how]
    )


def test_without_signatures_names_are_believed(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, signatures="off")
    push_on(shop.person("dev-1"), "submit/job/orders/v2", {ORDERS: orders("x", version=2)}, sign=False)
    package = shop.person("dev-2").release("orders").manifest
    assert [one.submitters for one in package.items] == [("dev-1",)]
    merged = shop.person("dep-1").approve(package.name).merged
    assert merged is not None
    assert merged.merge is not None
    shop.close()


# The workspace.


def test_a_change_of_the_workspace_travels_alone(shop: Shop) -> None:
    admin = shop.person("adm-1")
    changed = workspace_yaml(shop.bench).replace("approvals: 1\n", "approvals: 2\n", 1)
    admin.write({"workspace.yaml": changed, ORDERS: orders("two")})
    failed = refused(shop, admin, "workspace", "orders")
    assert failed.message == "a change of the workspace travels alone"
    assert ids(admin.submit("workspace")) == ["workspace/workspace/v2"]


def test_the_id_of_a_workspace_stays(shop: Shop) -> None:
    admin = shop.person("adm-1")
    admin.write({"workspace.yaml": workspace_yaml(shop.bench).replace("id: 6f0c", "id: 7f0c")})
    assert codes(refused(shop, admin, "workspace")) == [("workspace-id", "workspace.yaml")]


# What somebody took over, and what nobody approved.


def test_items_that_were_taken_over_go_on_from_their_number(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("two", version=None)})
    assert ids(dev.submit("orders")) == ["job/orders/v2"]


def test_an_item_that_nobody_approved_takes_no_further_version(shop: Shop) -> None:
    push_on(shop.person("adm-1"), "main", {ORDERS: orders("past everybody", version=2)})
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("mine"), NEW: job_yaml("new")})
    failed = refused(shop, dev, "orders")
    assert failed.message == "the main branch holds job/orders as nobody approved it"
    assert ids(dev.submit("new")) == ["job/new/v1"]
