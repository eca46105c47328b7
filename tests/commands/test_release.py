"""`release`: bundling tasks into a package; who is asked, what is refused, and what the branch holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gitrelease.commands.refusals import CheckFailed
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.views import view_package
from gitrelease.core.item import Change
from gitrelease.core.names import PackageName, item_key, manifest_path, package_name, record_path
from gitrelease.core.package import Purpose, manifest_document
from gitrelease.core.status import Status
from gitrelease.documents import dump
from gitrelease.errors import Exit, GitReleaseError, NotFound, NotYetBuilt, Refused, UsageError
from tests.kit.git import Bench
from tests.kit.raw import push_on, working_state
from tests.kit.shop import FIRST_ITEMS, ROLES, Person, Shop, job_yaml, open_shop, script_yaml, workspace_yaml

ORDERS = "jobs/sales/orders.job.yaml"
NEW = "jobs/sales/new.job.yaml"
RULE = '  required:\n    - {paths: ["jobs/sales/**"], from: [dep-2, adm-1]}\n'


def orders(note: str = "", version: int = 1) -> str:
    return job_yaml("orders", version=version, script="clean", note=note)


def submitted(shop: Shop, *names: str, by: str = "dev-1") -> Person:
    """Let somebody submit a change of `orders`, or new jobs."""
    person = shop.person(by)
    for name in names or ("orders",):
        person.write(
            {ORDERS: orders("two")} if name == "orders" else {f"jobs/web/{name}.job.yaml": job_yaml(name)}
        )
    person.submit(*(names or ("orders",)))
    return person


def refused(shop: Shop, person: Person, *tasks: str, **more: Any) -> GitReleaseError:
    """Release what must be refused; see that nothing changed, here or on the server."""
    person.desk.fetch()
    before = shop.refs(), working_state(person.clone)
    with pytest.raises(GitReleaseError) as failed:
        person.release(*tasks, **more)
    assert (shop.refs(), working_state(person.clone)) == before
    return failed.value


def asked(shop: Shop, *reviewers: str, by: str = "dev-1", of: str = "orders") -> tuple[str, ...]:
    return shop.person(by).release(of, reviewers=reviewers).asked


# What a package is.


def test_a_package_is_main_with_the_tasks_and_the_manifest_in_one_signed_commit(shop: Shop) -> None:
    submitted(shop)
    submitted(shop, "new", by="dev-2")
    shop.bench.clock.forward(minutes=1)
    made = shop.person("dep-1").release("orders", "new", message="Both at once")
    name = made.manifest.name
    head = shop.server.tip(f"package/{name}")
    assert made.head == head
    assert shop.server.git("rev-parse", f"{head}^@") == shop.server.tip("main")
    changed = shop.server.git("diff-tree", "-r", "--no-commit-id", "--no-renames", "--name-only", head)
    records = [record_path(item_key(f"job/{item}")) for item in ("orders", "new")]
    assert sorted(changed.splitlines()) == sorted(
        [ORDERS, "jobs/web/new.job.yaml", manifest_path(name), *records]
    )
    assert shop.server.git("log", "-1", "--format=%an <%ae>%n%B", head) == (
        f"dep-1 <dep-1@example.org>\nRelease {name}\n\nBoth at once\n\n"
        "Co-authored-by: dev-1 <dev-1@example.org>\nCo-authored-by: dev-2 <dev-2@example.org>\n"
    )
    assert (
        shop.server.git("show", f"{head}:{manifest_path(name)}") + "\n"
        == dump(manifest_document(made.manifest)).decode()
    )


def test_the_manifest_is_the_plan(shop: Shop) -> None:
    submitted(shop)
    task = shop.server.tip("submit/job/orders/v2")
    manifest = shop.person("dev-2").release("orders").manifest
    [item] = manifest.items
    assert (
        manifest.workspace,
        manifest.root,
        manifest.main,
        manifest.purpose,
        manifest.applicant,
        manifest.description,
        manifest.reviewers,
        manifest.execute,
    ) == (
        "6f0c2d7e5b6a4e1f9c8d7b6a5e4f3d2c",
        shop.root,
        "main",
        Purpose.RELEASE,
        "dev-2",
        "job/orders/v2: modify job/orders",
        ("adm-1", "adm-2", "dep-1", "dep-2"),
        False,
    )
    assert (str(item.item), item.change, item.task, item.submitters) == (
        "job/orders",
        Change.MODIFY,
        task,
        ("dev-1",),
    )
    assert item.before is not None
    assert (item.before.version, item.after.version) == (1, 2)
    assert {path: pin.blob for path, pin in item.before.files.items()} == {
        ORDERS: shop.server.git("rev-parse", f"main:{ORDERS}")
    }
    assert {path: pin.blob for path, pin in item.after.files.items()} == {
        ORDERS: shop.server.git("rev-parse", f"{task}:{ORDERS}")
    }


def test_what_a_task_leaves_alone_is_pinned_as_well(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({"scripts/sales/clean.script.yaml": script_yaml("clean", version=1) + "description: Cleans\n"})
    dev.submit("clean")
    [item] = dev.release("clean").manifest.items
    assert sorted(item.after.files) == ["scripts/sales/clean.script.yaml", "scripts/sales/clean.sql"]


def test_formatting_only_is_shown_as_such(shop: Shop) -> None:
    dev = shop.person("dev-1")
    text = orders()
    dev.write({ORDERS: "# a comment\n" + text.replace("name: orders\n", 'name: "orders"\n')})
    dev.submit("orders")
    shop.person("dev-2").write({"scripts/sales/clean.sql": "SELECT  1;\n"})
    shop.person("dev-2").submit("clean")
    items = dev.release("orders", "clean").manifest.items
    assert [(str(one.item), one.change, one.formatting_only) for one in items] == [
        ("job/orders", Change.MODIFY, True),
        ("script/clean", Change.MODIFY, False),
    ]


def test_a_move_is_no_formatting(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: None, "jobs/web/orders.job.yaml": orders()})
    dev.submit("orders")
    [item] = dev.release("orders").manifest.items
    assert (item.change, item.formatting_only) == (Change.MODIFY, False)
    assert (sorted(item.before.files) if item.before else None, sorted(item.after.files)) == (
        [ORDERS],
        ["jobs/web/orders.job.yaml"],
    )


def test_a_rename_is_delete_and_add_in_one_package(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({ORDERS: None, "jobs/sales/orders_daily.job.yaml": job_yaml("orders_daily", script="clean")})
    dev.submit("orders", delete=True)
    dev.submit("orders_daily")
    items = dev.release(everything=True).manifest.items
    assert [(str(one.id), one.change) for one in items] == [
        ("job/orders/v2", Change.DELETE),
        ("job/orders_daily/v1", Change.ADD),
    ]
    shop.person("dep-1").approve(the_package(shop))
    shop.person("sync").sync()
    main = shop.server.git("ls-tree", "-r", "--name-only", "main", "jobs").splitlines()
    assert main == ["jobs/sales/orders_daily.job.yaml"]


def the_package(shop: Shop) -> str:
    """Give the name of the one package with a branch."""
    [name] = [
        ref.removeprefix("refs/heads/package/")
        for ref in shop.refs()
        if ref.startswith("refs/heads/package/")
    ]
    return name


def test_the_default_name_is_the_first_item_and_the_time(shop: Shop) -> None:
    submitted(shop)
    before = shop.bench.clock()
    made = shop.person("dev-1").release("orders").manifest.name
    assert f"orders_{before:%Y%m%d%H%M%S}" < made < f"orders_{shop.bench.clock():%Y%m%d%H%M%S}"


def test_whether_jobs_are_run_is_not_asked_for_in_vain(shop: Shop) -> None:
    dev = submitted(shop)
    assert isinstance(refused(shop, dev, "orders", execute=True), NotYetBuilt)
    assert dev.release("orders", execute=False).manifest.execute is False


def test_a_dry_run_changes_nothing(shop: Shop) -> None:
    dev = submitted(shop)
    dev.desk.fetch()
    before = shop.refs(), working_state(dev.clone)
    made = dev.release("orders", dry_run=True)
    assert (made.is_dry_run, made.head, made.asked) == (True, None, ("adm-1", "adm-2", "dep-1", "dep-2"))
    assert (shop.refs(), working_state(dev.clone)) == before


def test_releasing_twice_is_releasing_once(shop: Shop) -> None:
    dev = submitted(shop)
    first = dev.release("orders")
    before = shop.refs()
    again = dev.release("orders", name="other_name")
    assert (again.is_old, again.manifest, again.head) == (True, first.manifest, first.head)
    assert shop.refs() == before
    failed = refused(shop, shop.person("dev-2"), "orders")
    assert failed.message == f"job/orders/v2 is in review already, in the package {first.manifest.name}"


# Which tasks.


def test_all_takes_what_is_pending_and_not_stale(shop: Shop) -> None:
    submitted(shop, "orders", "a", "b")
    shop.person("dev-1").release("a")
    items = shop.person("dev-2").release(everything=True).manifest.items
    assert [str(one.id) for one in items] == ["job/b/v1", "job/orders/v2"]
    assert shop.person("dev-2").release(everything=True).is_old
    assert isinstance(refused(shop, shop.person("adm-1"), everything=True), NotFound)


def test_what_is_named_has_to_be_a_task(shop: Shop) -> None:
    dev = submitted(shop)
    for text in ("nothing", "job/orders/v3", "script/orders"):
        assert isinstance(refused(shop, dev, text), NotFound)
    assert isinstance(refused(shop, dev), UsageError)


def test_a_revoked_task_is_not_released(shop: Shop) -> None:
    dev = submitted(shop)
    revoke_tasks(dev.desk, ["orders"])
    assert isinstance(refused(shop, dev, "job/orders/v2"), NotFound)


def test_a_superseded_task_is_not_released(shop: Shop) -> None:
    """On plain git gitrelease archives it; one that a plain push superseded still has its branch."""
    dev = shop.person("dev-1")
    push_on(dev, "submit/job/orders/v2", {ORDERS: orders("a", version=2)})
    push_on(dev, "submit/job/orders/v3", {ORDERS: orders("b", version=3)})
    failed = refused(shop, dev, "job/orders/v2")
    assert failed.message == "job/orders/v2 was superseded by a later version"
    assert [str(one.id) for one in dev.release("orders").manifest.items] == ["job/orders/v3"]


def test_a_stale_task_is_refused(shop: Shop) -> None:
    old = shop.server.tip("main")
    shop.released({ORDERS: orders("first")}, "orders")
    late = shop.person("dev-2")
    push_on(late, "submit/job/orders/v3", {ORDERS: orders("late", version=3)}, base=old)
    failed = refused(shop, late, "orders")
    assert (
        failed.message
        == "job/orders/v3 is stale: it was made from another version than the main branch holds now"
    )


def test_a_task_whose_item_came_and_went_is_stale(shop: Shop) -> None:
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    dev.write({NEW: job_yaml("new", note="first")})
    dev.submit("new")
    package = dev.release("new", name="first").manifest.name
    other.write({NEW: job_yaml("new", note="other")})
    other.submit("new")
    shop.person("dep-1").approve(other.release("job/new/v2", name="second").manifest.name)
    other.write({NEW: None})
    other.submit("new", delete=True)
    shop.person("dep-1").approve(other.release("job/new/v3", name="third").manifest.name)
    dev.revoke(package)
    failed = refused(shop, dev, "job/new/v1")
    assert (
        failed.message
        == "job/new/v1 is stale: it was made from another version than the main branch holds now"
    )


@pytest.mark.parametrize("who", ["view-1", "dep-1"])
def test_a_task_by_somebody_who_may_not_submit_is_refused(shop: Shop, who: str) -> None:
    push_on(shop.person(who), "submit/job/orders/v2", {ORDERS: orders("x", version=2)})
    failed = refused(shop, shop.person("dev-1"), "orders")
    assert failed.message == f"job/orders/v2 is by {who}, who may not submit in this workspace"


def test_exactly_100_tasks_fit_and_101_do_not(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({f"jobs/web/j{n}.job.yaml": job_yaml(f"j{n}") for n in range(101)})
    dev.submit("jobs/web")
    failed = refused(shop, dev, everything=True)
    assert failed.message == "101 tasks are more than the 100 that one package holds"
    assert refused(shop, dev, *(f"j{n}" for n in range(101))).message == failed.message
    made = dev.release(*(f"j{n}" for n in range(100)))
    assert len(made.manifest.items) == 100
    merged = shop.person("dep-1").approve(made.manifest.name).merged
    assert merged is not None
    assert merged.merge is not None


def test_a_change_of_the_workspace_travels_alone(shop: Shop) -> None:
    submitted(shop)
    admin = shop.person("adm-1")
    admin.write({"workspace.yaml": workspace_yaml(shop.bench).replace("approvals: 1\n", "approvals: 2\n", 1)})
    admin.submit("workspace")
    failed = refused(shop, admin, everything=True)
    assert failed.message == "a change of the workspace travels alone"


def test_items_are_checked_together_as_they_would_be(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new", script="fresh"), "scripts/fresh.script.yaml": script_yaml("fresh")})
    dev.write({"scripts/fresh.sql": "SELECT 1;\n"})
    dev.submit("new", "fresh")
    failed = refused(shop, dev, "new")
    assert isinstance(failed, CheckFailed)
    assert [(one.code, one.file) for one in failed.findings if one.severity == "error"] == [
        ("unknown-script", NEW)
    ]
    assert len(dev.release("new", "fresh").manifest.items) == 2


def test_a_pushed_task_that_check_would_refuse_is_refused(shop: Shop) -> None:
    bad = orders("x", version=2).replace("processType", "procesType")
    push_on(shop.person("dev-1"), "submit/job/orders/v2", {ORDERS: bad})
    assert isinstance(refused(shop, shop.person("dev-1"), "orders"), CheckFailed)


@pytest.mark.parametrize("number", ["version: 1\n", "version: 3\n", ""])
def test_a_pushed_task_bears_its_number_in_the_file(shop: Shop, number: str) -> None:
    text = orders("x", version=2).replace("version: 2\n", number)
    push_on(shop.person("dev-1"), "submit/job/orders/v2", {ORDERS: text})
    failed = refused(shop, shop.person("dev-1"), "orders")
    assert isinstance(failed, CheckFailed)
    assert {one.code for one in failed.findings if one.severity == "error"} == {"version"}


# Reviewers.


def test_all_eligible_people_are_asked_but_for_those_who_made_it(shop: Shop) -> None:
    submitted(shop, by="adm-1")
    assert asked(shop, by="dep-1") == ("adm-2", "dep-2")


def test_whom_the_matching_rule_names_is_asked_and_whom_one_adds(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, review=RULE)
    submitted(shop, "orders", "web")
    assert asked(shop, "dep-1", of="orders") == ("dep-2", "adm-1", "dep-1")
    assert asked(shop, of="web") == ("adm-1", "adm-2", "dep-1", "dep-2")
    shop.close()


def test_a_reviewer_may_be_named_by_address(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, review=RULE)
    submitted(shop)
    assert asked(shop, "Dep-1@example.org") == ("dep-2", "adm-1", "dep-1")
    shop.close()


@pytest.mark.parametrize(
    ("reviewer", "message"),
    [
        ("dev-1", "dev-1 made part of this package, and nobody reviews their own work"),
        ("adm-1", "adm-1 made part of this package, and nobody reviews their own work"),
        ("dev-2", "dev-2 may not review: that takes the role deployer or admin"),
        ("view-1", "view-1 may not review: that takes the role deployer or admin"),
        ("sync", "sync may not review: that takes the role deployer or admin"),
        ("depp-1", "'depp-1' is no member of the workspace"),
    ],
)
def test_who_is_refused_as_reviewer(shop: Shop, reviewer: str, message: str) -> None:
    submitted(shop, by="adm-1")
    assert refused(shop, shop.person("dev-1"), "orders", reviewers=(reviewer,)).message == message


def without(*gone: str) -> dict[str, str]:
    return {who: role for who, role in ROLES.items() if who not in gone}


def test_nobody_left_to_review_is_a_refusal(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, roles=without("adm-2", "dep-1", "dep-2"))
    submitted(shop)
    failed = refused(shop, shop.person("adm-1"), "orders")
    assert failed.message == (
        "nobody is left to review this package: 1 more of 1 approvals, and nobody is left who could give it"
    )
    assert asked(shop) == ("adm-1",)
    shop.close()


def test_a_rule_that_nobody_is_left_to_meet_is_a_refusal(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, review=RULE.replace("[dep-2, adm-1]", "[dep-2]"))
    submitted(shop)
    failed = refused(shop, shop.person("dep-2"), "orders")
    assert failed.message == (
        "nobody is left to review this package: 1 more of 1 required for jobs/sales/**, "
        "and nobody is left who could give it"
    )
    shop.close()


@pytest.mark.parametrize(
    ("review", "reviewers"),
    [
        ("", ("adm-2",)),
        ('  required:\n    - {paths: ["workspace.yaml"], from: [dep-1]}\n', ("dep-1", "adm-2")),
        ('  required:\n    - {paths: ["**"], from: [adm-2, dep-1]}\n', ("adm-2", "dep-1")),
    ],
)
def test_a_change_of_the_workspace_asks_an_admin(
    bench: Bench, review: str, reviewers: tuple[str, ...]
) -> None:
    shop = open_shop(bench, FIRST_ITEMS, review=review)
    admin = shop.person("adm-1")
    admin.write({"workspace.yaml": workspace_yaml(bench, review=review).replace("name: shop", "name: store")})
    admin.submit("workspace")
    assert admin.release("workspace", dry_run=True).asked == reviewers
    assert admin.release("workspace", reviewers=("dep-2",)).asked == (*reviewers, "dep-2")
    shop.close()


def test_an_admin_alone_does_not_change_the_workspace(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, roles=without("adm-2"))
    admin = shop.person("adm-1")
    admin.write({"workspace.yaml": workspace_yaml(bench, roles=without("adm-2", "view-1"))})
    admin.submit("workspace")
    failed = refused(shop, admin, "workspace")
    assert failed.message == (
        "nobody is left to review this package: an admin's approval, as the workspace changes, "
        "and nobody is left who could give it"
    )
    shop.close()


# Names that were used before.


def rejected(shop: Shop, name: str) -> None:
    shop.person("dep-1").reject(name)


def revoked(shop: Shop, name: str) -> None:
    shop.person("dev-1").revoke(name)


def merged(shop: Shop, name: str) -> None:
    shop.person("dep-1").approve(name)


def synced(shop: Shop, name: str) -> None:
    merged(shop, name)
    shop.person("sync").sync()


def still_open(shop: Shop, name: str) -> None:
    pass


@pytest.mark.parametrize("again", ["first", "First"])
@pytest.mark.parametrize("end", [still_open, rejected, revoked, merged, synced])
def test_a_name_is_used_once(shop: Shop, end: Callable[[Shop, str], None], again: str) -> None:
    submitted(shop).release("orders", name="first")
    end(shop, "first")
    submitted(shop, "new")
    failed = refused(shop, shop.person("dev-1"), "new", name=again)
    assert (failed.message, failed.hint) == (f"there was a package {again} before", "give another --name")
    assert shop.person("dev-1").release("new", name="second").manifest.name == "second"


@pytest.mark.parametrize("name", ["-x", "a b", "x.lock", "a/b", "订" * 74])
def test_a_bad_name_is_refused(shop: Shop, name: str) -> None:
    assert refused(shop, submitted(shop), "orders", name=name).code == "name-refused"


def test_two_who_choose_one_name_at_once(shop: Shop) -> None:
    """The branch decides: whoever pushed second looks again, and finds the name taken."""
    submitted(shop)
    submitted(shop, "new")
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    other.desk.fetch()
    dev.release("orders", name="same")
    assert isinstance(refused(shop, other, "new", name="same"), Refused)


# Two packages with one item.


def two_packages(shop: Shop, how: str) -> tuple[PackageName, PackageName]:
    """Let two people release the same job, the second one changed in some way."""
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    dev.write({ORDERS: orders("one")})
    dev.submit("orders")
    one = dev.release("orders", name="one").manifest.name
    match how:
        case "modify":
            other.write({ORDERS: orders("two")})
            other.submit("orders")
        case "move":
            other.write({ORDERS: None, "jobs/web/orders.job.yaml": orders()})
            other.submit("orders")
        case "rename":
            other.write({ORDERS: None, "jobs/sales/daily.job.yaml": job_yaml("daily", script="clean")})
            other.submit("orders", delete=True)
            other.submit("daily")
    return one, other.release(everything=True, name="two").manifest.name


@pytest.mark.parametrize("how", ["modify", "move", "rename"])
def test_two_packages_with_one_item_conflict_in_git_itself(shop: Shop, how: str) -> None:
    one, two = two_packages(shop, how)
    clone = shop.bench.clone(shop.server, "adm-2")
    clone.git("checkout", "--quiet", "-b", "try", "origin/main")
    clone.git("merge", "--quiet", "-m", "one", f"origin/package/{one}")
    clone.git("merge", "--quiet", "-m", "two", f"origin/package/{two}", check=False)
    conflicts = clone.git("diff", "--name-only", "--diff-filter=U").splitlines()
    assert record_path(item_key("job/orders")) in conflicts


@pytest.mark.parametrize("how", ["modify", "move", "rename"])
def test_the_second_of_two_packages_with_one_item_cannot_merge(shop: Shop, how: str) -> None:
    one, two = two_packages(shop, how)
    shop.person("dep-1").approve(one)
    before = shop.refs()["refs/heads/main"]
    said = shop.person("dep-1").approve(two)
    assert said.merged is not None
    assert said.merged.merge is None
    assert said.merged.verdict is not None
    assert [reason.code for reason in said.merged.verdict.reasons] == ["stale", "stale-record"]
    with pytest.raises(Refused) as failed:
        shop.person("dev-2").merge(two)
    assert failed.value.exit is Exit.REFUSED
    assert shop.refs()["refs/heads/main"] == before
    assert view_package(shop.person("dev-2").desk, package_name(two)).status is Status.PENDING_REVIEW


def test_what_nobody_approved_is_not_released_over(shop: Shop) -> None:
    dev = submitted(shop)
    push_on(shop.person("adm-1"), "main", {ORDERS: orders("past everybody", version=2)})
    failed = refused(shop, dev, "orders")
    assert failed.message == "the main branch holds job/orders as nobody approved it"
