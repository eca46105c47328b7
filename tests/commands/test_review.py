"""Approving, rejecting, revoking and merging packages: what counts, and what a branch may hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest

from gitrelease.commands import SigningMissing
from gitrelease.commands.merge import MergeResult, NotApproved
from gitrelease.commands.review import add_reviewers, withdraw
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.verify import verify
from gitrelease.commands.views import (
    PackageFilter,
    Paging,
    TaskFilter,
    list_packages,
    list_tasks,
    view_package,
    view_task,
)
from gitrelease.core.item import record_document
from gitrelease.core.names import (
    BlobId,
    CommitId,
    MemberId,
    item_key,
    manifest_path,
    package_name,
    record_path,
)
from gitrelease.core.package import Manifest, manifest_document
from gitrelease.core.review import Say, Verdict
from gitrelease.core.status import Status, parse_summary, summary_document
from gitrelease.core.task import TaskState
from gitrelease.core.workspace import NotAllowed
from gitrelease.documents import dump
from gitrelease.errors import Exit, GitReleaseError, NotFound, Refused
from gitrelease.forges import Statement
from gitrelease.forges.local import LocalForge
from gitrelease.pen import Pen
from gitrelease.reading.judging import judge_branch
from gitrelease.render import json as json_of
from gitrelease.render.packages import package_view
from gitrelease.render.tasks import task_head, task_list
from gitrelease.render.text import Paper
from gitrelease.repo import Identity
from tests.kit.git import Bench
from tests.kit.much_alike import first
from tests.kit.raw import amend, commit_on, push_on, working_state
from tests.kit.shop import FIRST_ITEMS, ROLES, Person, Shop, job_yaml, open_shop, workspace_yaml

ORDERS = "jobs/sales/orders.job.yaml"
NEW = "jobs/web/new.job.yaml"
TWO = "approvals: 2\n"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def orders(note: str = "", version: int = 1) -> str:
    return job_yaml("orders", version=version, script="clean", note=note)


def package(
    shop: Shop, name: str = "first", *, by: str = "dev-1", files: Mapping[str, str] | None = None
) -> Manifest:
    """Let somebody submit and release a change of `orders`, or of other items."""
    person = shop.person(by)
    person.write(files or {ORDERS: orders("two")})
    tasks = [str(one.task) for one in person.submit(*(files or [ORDERS])).items]
    return person.release(*tasks, name=name).manifest


def strict_shop(bench: Bench, **settings: Any) -> Shop:
    """Open a shop in which two people must approve."""
    shop = open_shop(bench, FIRST_ITEMS, **settings)
    return policy(shop, "approvals: 1", "approvals: 2")


def policy(shop: Shop, old: str, new: str) -> Shop:
    """Change the workspace of a shop by a package, as people do."""
    admin = shop.person("adm-1")
    path = admin.clone.path / "workspace.yaml"
    admin.write({"workspace.yaml": path.read_text().replace(f"  {old}\n", f"  {new}\n", 1)})
    admin.submit("workspace")
    name = admin.release("workspace").manifest.name
    merged(shop.person("adm-2").approve(name).merged)
    admin.clone.git("fetch", "--quiet")
    return shop


@pytest.fixture
def strict(bench: Bench) -> Any:
    made = strict_shop(bench)
    yield made
    made.close()


def merged(result: MergeResult | None) -> CommitId:
    """See that something was merged, and give the merge."""
    assert result is not None
    assert result.merge is not None, result.verdict
    return result.merge


def verdict(shop: Shop, name: str = "first") -> Verdict:
    """Ask for the verdict, which merges nothing."""
    desk = shop.person("view-1").desk
    now = desk.look()
    review = desk.forge.find(package_name(name), now.workspace)
    assert review is not None
    return judge_branch(desk.repo, desk.forge, now.ground, review).verdict


def told(shop: Shop, name: str = "first") -> tuple[list[str], list[str], list[str]]:
    """Give who approved, what is wrong, and what is missing, by code."""
    found = verdict(shop, name)
    return (
        [str(one.actor.member) for one in found.approvals],
        [one.code for one in found.reasons],
        [one.code for one in found.missing],
    )


def refused(shop: Shop, act: Callable[[], object]) -> GitReleaseError:
    """Do what must be refused; see that no ref of the server moved."""
    before = shop.refs()
    with pytest.raises(GitReleaseError) as failed:
        act()
    assert shop.refs() == before
    return failed.value


def branches(shop: Shop, prefix: str) -> list[str]:
    start = f"refs/heads/{prefix}"
    return [ref.removeprefix(start) for ref in shop.refs() if ref.startswith(start)]


def task_states(shop: Shop) -> dict[str, str]:
    listed, _ = list_tasks(shop.person("view-1").desk, TaskFilter(), Paging())
    return {str(one.task.id): str(one.state) for one in listed.items}


def statuses(shop: Shop) -> dict[str, Status]:
    listed = list_packages(shop.person("view-1").desk, PackageFilter(), Paging())
    return {one.name: one.status for one in listed.items}


def speak(person: Person, say: Say, name: str = "first", *, pen: Pen | None = None) -> None:
    """Add an opinion to the log, past the commands."""
    now = person.desk.look()
    forge = person.desk.forge if pen is None else LocalForge(person.repo, pen)
    review = forge.find(package_name(name), now.workspace)
    assert review is not None
    manifest = judge_branch(person.repo, forge, now.ground, review).package.manifest_id
    statement = Statement(say=say, workspace=now.workspace.id, root=now.ledger.root, manifest=manifest)
    forge.say(review, statement)


# Approving.


def test_the_approval_that_completes_the_verdict_merges_exactly_the_head(shop: Shop) -> None:
    package(shop)
    main, head = shop.server.tip("main"), shop.server.tip("package/first")
    said = shop.person("dep-1").approve("first", "fine")
    merge = merged(said.merged)
    assert (said.say, said.by, said.head, said.was_said) == (Say.APPROVE, "dep-1", head, False)
    assert shop.server.tip("main") == merge
    assert shop.server.git("rev-parse", f"{merge}^@").split() == [main, head]
    assert shop.server.git("rev-parse", f"{merge}^{{tree}}") == shop.server.git(
        "rev-parse", f"{head}^{{tree}}"
    )
    assert shop.server.git("log", "-1", "--format=%an%n%B", merge) == (
        "dep-1\nMerge package first\n\nApproved by dep-1.\n"
    )
    assert statuses(shop) == {"first": Status.MERGED}


def test_one_yes_of_two_waits_and_is_counted_once(strict: Shop) -> None:
    package(strict)
    dep = strict.person("dep-1")
    assert dep.approve("first").merged == MergeResult(
        package=package_name("first"), verdict=verdict(strict), merge=None
    )
    again = dep.approve("first")
    assert (again.was_said, told(strict)) == (True, (["dep-1"], [], ["approvals"]))
    assert statuses(strict)["first"] is Status.PENDING_REVIEW
    merged(strict.person("adm-1").approve("first").merged)


@pytest.mark.parametrize("who", ["dev-2", "view-1", "ops-1", "sync"])
def test_who_may_not_approve(shop: Shop, who: str) -> None:
    package(shop)
    assert isinstance(refused(shop, lambda: shop.person(who).approve("first")), NotAllowed)


def test_neither_applicant_nor_submitter_approves(shop: Shop) -> None:
    admin = shop.person("adm-1")
    admin.write({ORDERS: orders("two")})
    admin.submit("orders")
    shop.person("dep-1").release("orders", name="first")
    for who in ("adm-1", "dep-1"):
        failed = refused(shop, lambda who=who: shop.person(who).approve("first"))  # type: ignore[misc]
        assert failed.message == f"{who} made part of first, and nobody approves their own work"
        speak(shop.person(who), Say.APPROVE)
    assert told(shop) == ([], [], ["approvals"])
    merged(shop.person("dep-2").approve("first").merged)


def test_a_required_rule_needs_its_own_people(bench: Bench) -> None:
    rule = '  required:\n    - {paths: ["jobs/sales/**"], from: [dep-2]}\n'
    shop = open_shop(bench, FIRST_ITEMS, review=rule)
    package(shop)
    for who in ("dep-1", "adm-1"):
        assert shop.person(who).approve("first").merged == MergeResult(
            package=package_name("first"), verdict=verdict(shop), merge=None
        )
    assert told(shop) == (["dep-1", "adm-1"], [], ["required"])
    merged(shop.person("dep-2").approve("first").merged)
    package(shop, "second", files={NEW: job_yaml("new")})
    merged(shop.person("dep-1").approve("second").merged)
    shop.close()


def test_what_is_not_there_or_closed_is_not_approved(shop: Shop) -> None:
    package(shop)
    dep = shop.person("dep-1")
    assert isinstance(refused(shop, lambda: dep.approve("nothing")), NotFound)
    dep.reject("first")
    assert refused(shop, lambda: dep.approve("first")).message == "first is rejected"


def test_two_who_approve_at_once_merge_once(strict: Shop) -> None:
    package(strict)
    start = Barrier(2)

    def at_once(person: Person) -> object:
        start.wait()
        return person.approve("first")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(at_once, [strict.person("dep-1"), strict.person("adm-1")]))
    assert statuses(strict)["first"] is Status.MERGED
    assert (
        strict.server.git("rev-list", "--count", "--first-parent", "--grep", "Merge package first", "main")
        == "1"
    )


# What opinions are worth.


@pytest.mark.parametrize("how", ["unsigned", "wrong key", "another's name"])
def test_an_approval_that_is_not_signed_by_who_it_names_does_not_count(shop: Shop, how: str) -> None:
    package(shop)
    other = shop.person("dev-2" if how == "another's name" else "dep-1")
    if how == "wrong key":
        other.clone.git("config", "user.signingKey", str(shop.bench.keys("nobody").path))
    identity = Identity(name="dep-1", email="dep-1@example.org")
    speak(other, Say.APPROVE, pen=Pen(identity=identity, signs=how != "unsigned", now=shop.bench.clock))
    assert told(shop) == ([], [], ["approvals"])
    assert shop.person("dep-2").gate("first").merge is None


def shown(shop: Shop, name: str = "first") -> tuple[list[Any], list[Any]]:
    """Give the opinions as a machine reads them in a list and in a view: what counts, and what does not and why."""
    desk = shop.person("view-1").desk
    summary = view_package(desk, package_name(name))
    assert summary in list_packages(desk, PackageFilter(), Paging()).items
    found: Any = summary_document(summary)
    assert parse_summary(found) == summary
    return (
        [(one["person"]["id"], one["verdict"]) for one in found["approvals"]],
        [(one["person"]["id"], one["verdict"], one["why"]) for one in found["uncounted"]],
    )


def test_what_does_not_count_is_not_shown_as_an_approval(strict: Shop) -> None:
    manifest = package(strict)
    strict.person("dep-1").approve("first")
    assert shown(strict) == ([("dep-1", "approved")], [])
    changed = replace(manifest, description="something else")
    amend(strict.person("dev-1"), "package/first", {manifest.path: dump(manifest_document(changed))})
    stale = ("dep-1", "approved", "it was given to other content")
    assert shown(strict) == ([], [stale])
    unsigned = Pen(
        identity=Identity(name="dep-2", email="dep-2@example.org"), signs=False, now=strict.bench.clock
    )
    speak(strict.person("dep-1"), Say.APPROVE, pen=unsigned)
    speak(strict.person("view-1"), Say.APPROVE)
    speak(strict.person("dev-1"), Say.APPROVE)
    strict.person("adm-1").approve("first")
    withdraw(strict.person("adm-1").desk, package_name("first"), message="too soon")
    others = [
        stale,
        (None, "approved", "it is not signed"),
        ("view-1", "approved", "view-1 may not approve in this workspace"),
        ("dev-1", "approved", "dev-1 may not approve in this workspace"),
        ("adm-1", "approved", "adm-1 took it back"),
        ("adm-1", "withdrawn", None),
    ]
    assert shown(strict) == ([], others)
    text = package_view(view_package(strict.person("view-1").desk, package_name("first")), Paper(now=NOW))
    assert [line.partition("; ")[0] for line in text.splitlines() if "does not count" in line] == [
        "  dep-1 approved, does not count: it was given to other content",
        "  dep-2 (unproven claim) approved, does not count: it is not signed",
        "  view-1 approved, does not count: view-1 may not approve in this workspace",
        "  dev-1 approved, does not count: dev-1 may not approve in this workspace",
        "  adm-1 approved, does not count: adm-1 took it back",
    ]
    assert "approved by" not in text
    speak(strict.person("dep-2"), Say.REJECT)
    assert shown(strict) == ([("dep-2", "changes-requested")], others)


def test_what_does_not_count_has_released_nothing(shop: Shop) -> None:
    """A yes that counts for nothing comes last, and the receipt does not say that it released the package."""
    package(shop)
    shop.person("dep-1").approve("first")
    unsigned = Pen(
        identity=Identity(name="dep-2", email="dep-2@example.org"), signs=False, now=shop.bench.clock
    )
    speak(shop.person("dep-2"), Say.APPROVE, pen=unsigned)
    shop.person("sync").sync()
    released = view_package(shop.person("view-1").desk, package_name("first"))
    assert (released.status, str(released.released_by)) == (Status.SUCCESSFUL, "dep-1")
    assert shown(shop) == ([("dep-1", "approved")], [(None, "approved", "it is not signed")])
    assert verify(shop.person("view-1").desk).ok


@pytest.mark.parametrize("how", ["unsigned", "wrong key", "another's name"])
def test_who_is_not_proven_is_shown_as_a_claim(shop: Shop, how: str) -> None:
    dev = shop.person("dev-2" if how == "another's name" else "dev-1")
    options = ("--author", "dev-1 <dev-1@example.org>") if how == "another's name" else ()
    if how == "wrong key":
        dev.clone.git("config", "user.signingKey", str(shop.bench.keys("nobody").path))
    text = {ORDERS: orders("x", version=2)}
    push_on(dev, "submit/job/orders/v2", text, "x", *options, sign=how != "unsigned")
    desk = shop.person("view-1").desk
    found, standings = list_tasks(desk, TaskFilter(), Paging())
    document: Any = json_of.task(found.items[0])
    assert document["submitter"] == {
        "id": None,
        "name": "dev-1",
        "email": "dev-1@example.org",
        "githubId": None,
    }
    assert "dev-1 (unproven claim)" in task_list((found, standings), Paper(now=NOW))
    assert "modify by dev-1 (unproven claim), " in task_head(view_task(desk, "orders"), Paper(now=NOW))
    for name in ("dev-1", "dev-1@example.org"):
        assert list_tasks(desk, TaskFilter(submitter=name), Paging())[0].total == 0
    # The claim gives no rights either: whoever is named cannot revoke it as their own.
    no = refused(shop, lambda: revoke_tasks(shop.person("dev-1").desk, ["orders"]))
    assert isinstance(no, (NotAllowed, SigningMissing))


def test_an_applicant_who_is_not_proven_is_shown_as_a_claim(shop: Shop) -> None:
    manifest = package(shop)
    amend(shop.person("dev-1"), "package/first", {}, sign=False)
    desk = shop.person("view-1").desk
    summary = view_package(desk, package_name("first"))
    assert (summary.applicant.id, str(summary.applicant)) == (None, "dev-1 (unproven claim)")
    assert [one.submitter.id for one in summary.items] == list(manifest.items[0].submitters)
    assert list_packages(desk, PackageFilter(applicant="dev-1"), Paging()).total == 0


def test_what_was_released_stays_whose_it_was_when_keys_change(shop: Shop) -> None:
    package(shop)
    shop.person("dep-1").approve("first")
    shop.person("sync").sync()
    admin = shop.person("adm-1")
    admin.clone.git("pull", "--quiet", "origin", "main")
    new, old = shop.bench.keys("new").public, shop.bench.keys("dev-1").public
    text = (admin.clone.path / "workspace.yaml").read_text()
    admin.write({"workspace.yaml": text.replace(old, new)})
    admin.submit("workspace")
    shop.person("adm-2").approve(admin.release("workspace").manifest.name)
    shop.person("sync").sync()
    wanted = TaskFilter(state=TaskState.RELEASED, submitter="dev-1")
    found, _ = list_tasks(shop.person("view-1").desk, wanted, Paging())
    assert [(str(one.task.id), one.task.submitter.person.id) for one in found.items] == [
        ("job/orders/v2", "dev-1")
    ]


def test_without_signatures_the_address_is_believed(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, signatures="off")
    package(shop)
    merged(shop.person("dep-1").approve("first").merged)
    shop.close()


def test_an_opinion_means_nothing_for_another_package(shop: Shop) -> None:
    package(shop)
    package(shop, "second", by="dev-2", files={NEW: job_yaml("new")})
    for said in (Say.APPROVE, Say.REJECT):
        speak(shop.person("dep-1"), said, "first")
        shop.server.git("update-ref", "refs/heads/review/second", "refs/heads/review/first")
        assert told(shop, "second") == ([], [], ["approvals"])


def test_what_a_log_holds_beside_opinions_counts_for_nothing(strict: Shop) -> None:
    package(strict)
    strict.person("dep-1").approve("first")
    push_on(strict.person("dev-1"), "review/first", {}, "approve first", base="origin/review/first")
    assert told(strict) == (["dep-1"], [], ["approvals"])
    merged(strict.person("dep-2").approve("first").merged)


def test_a_log_cut_short_by_hand_names_what_came_before(strict: Shop) -> None:
    """An opinion lifted out of its place in a log does not follow from the one it names."""
    package(strict)
    speak(strict.person("dep-1"), Say.REJECT)
    speak(strict.person("dep-2"), Say.APPROVE)
    log, head = strict.server.tip("review/first"), strict.server.tip("package/first")
    text = strict.server.git("cat-file", "commit", log)
    parents = [line for line in text.splitlines() if line.startswith("parent ")]
    alone = strict.server.raw_commit(text.replace(f"{parents[0]}\n", "") + "\n")
    assert parents[1] == f"parent {head}"
    strict.server.git("update-ref", "refs/heads/review/first", alone)
    assert told(strict)[1] == ["review-unreadable"]


def test_who_loses_the_role_loses_the_approval(strict: Shop) -> None:
    package(strict)
    strict.person("dep-1").approve("first")
    assert told(strict)[0] == ["dep-1"]
    admin = strict.person("adm-1")
    text = (admin.clone.path / "workspace.yaml").read_text()
    before, _, after = text.partition("  - id: dep-1\n")
    demoted = after.replace("roles: [deployer]", "roles: [viewer]", 1)
    admin.write({"workspace.yaml": f"{before}  - id: dep-1\n{demoted}"})
    admin.submit("workspace")
    admin.release("workspace", name="demote")
    for who in ("adm-2", "dep-2"):
        strict.person(who).approve("demote")
    assert told(strict) == ([], [], ["approvals"])


# Vetoes.


def test_a_veto_blocks_until_it_is_taken_back(shop: Shop) -> None:
    package(shop)
    speak(shop.person("dep-1"), Say.REJECT)
    said = shop.person("dep-2").approve("first")
    assert said.merged is not None
    assert said.merged.merge is None
    assert told(shop) == (["dep-2"], ["changes-requested"], [])
    assert statuses(shop) == {"first": Status.CHANGES_REQUESTED}
    assert withdraw(shop.person("dep-1").desk, package_name("first")).was_said is False
    assert told(shop) == (["dep-2"], [], [])
    merged(shop.person("dep-1").gate("first"))


def test_a_veto_ends_with_an_approval_by_the_same_person(shop: Shop) -> None:
    package(shop)
    speak(shop.person("dep-1"), Say.REJECT)
    merged(shop.person("dep-1").approve("first").merged)


def test_an_approval_is_taken_back(strict: Shop) -> None:
    package(strict)
    strict.person("dep-1").approve("first")
    withdraw(strict.person("dep-1").desk, package_name("first"))
    assert told(strict) == ([], [], ["approvals"])


# The content after an approval.


def test_other_content_needs_new_approvals(strict: Shop) -> None:
    manifest = package(strict)
    strict.person("dep-1").approve("first")
    changed = replace(manifest, description="something else")
    amend(strict.person("dev-1"), "package/first", {manifest.path: dump(manifest_document(changed))})
    assert told(strict) == ([], [], ["approvals"])
    assert strict.person("dep-2").approve("first").merged is not None
    assert told(strict) == (["dep-2"], [], ["approvals"])
    merged(strict.person("dep-1").approve("first").merged)


def test_the_same_content_on_a_newer_main_keeps_its_approvals(strict: Shop) -> None:
    package(strict)
    strict.person("dep-1").approve("first")
    package(strict, "second", by="dev-2", files={NEW: job_yaml("new")})
    for who in ("dep-1", "dep-2"):
        strict.person(who).approve("second")
    dev = strict.person("dev-1")
    dev.clone.git("fetch", "--quiet")
    dev.clone.git("stash", "--quiet")
    dev.clone.git("checkout", "--quiet", "--detach", "origin/main")
    dev.clone.git("cherry-pick", "-S", "origin/package/first")
    dev.clone.push("HEAD:refs/heads/package/first", force=True)
    dev.clone.git("checkout", "--quiet", "main")
    assert strict.server.git("rev-parse", "package/first^") == strict.server.tip("main")
    assert told(strict) == (["dep-1"], [], ["approvals"])
    merged(strict.person("dep-2").approve("first").merged)


def test_a_package_that_main_left_behind_still_merges(shop: Shop) -> None:
    package(shop)
    package(shop, "second", by="dev-2", files={NEW: job_yaml("new")})
    for name in ("second", "first"):
        merged(shop.person("dep-1").approve(name).merged)
    assert [one.name for one in shop.person("sync").sync().packages] == ["second", "first"]


# More, less or other than the manifest says.


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"README.md": "more"}, "more-than-manifest"),
        ({NEW: job_yaml("new", version=1)}, "more-than-manifest"),
        ({"workspace.yaml": "more"}, "more-than-manifest"),
        ({".github/workflows/x.yml": "more"}, "more-than-manifest"),
        ({ORDERS: orders("two", version=2) + "\n"}, "other-bytes"),
        ({"scripts/sales/clean.sql": "SELECT 9;\n"}, "more-than-manifest"),
        ({record_path(item_key("job/orders")): "nothing\n"}, "other-bytes"),
        ({ORDERS: orders()}, "less-than-manifest"),
    ],
)
def test_a_branch_holds_what_its_manifest_says_and_nothing_else(
    shop: Shop, files: Mapping[str, str], code: str
) -> None:
    package(shop)
    amend(shop.person("dev-1"), "package/first", files)
    assert told(shop)[1] == [code]
    failed = refused(shop, lambda: shop.person("dep-1").approve("first"))
    assert failed.message.startswith("first cannot be approved: ")
    speak(shop.person("dep-1"), Say.APPROVE)
    assert shop.person("dep-1").gate("first").merge is None


def test_a_second_commit_on_the_branch_is_refused(shop: Shop) -> None:
    package(shop)
    dev = shop.person("dev-1")
    push_on(dev, "package/first", {}, "nothing more", base="origin/package/first")
    assert told(shop)[1] == ["not-on-main"]
    push_on(dev, "package/first", {"README.md": "more"}, "more", base="origin/package/first")
    assert told(shop)[1] == ["not-on-main", "more-than-manifest"]
    speak(shop.person("dep-1"), Say.APPROVE)
    assert shop.person("dep-1").gate("first").merge is None


def test_a_branch_that_does_not_grow_from_main_is_refused(shop: Shop) -> None:
    package(shop)
    dev = shop.person("dev-1")
    base = commit_on(dev, "origin/main", {"README.md": "not on main"})
    dev.clone.git("checkout", "--quiet", "--force", "--detach", base)
    dev.clone.git("cherry-pick", "-S", "origin/package/first")
    dev.clone.push("HEAD:refs/heads/package/first", force=True)
    dev.clone.git("checkout", "--quiet", "main")
    assert told(shop)[1] == ["not-on-main", "more-than-manifest"]


def test_a_merge_is_no_package(shop: Shop) -> None:
    """A second parent would bring commits along that nobody looks at."""
    package(shop)
    dev = shop.person("dev-1")
    other = commit_on(dev, "origin/main", {"README.md": "more"})
    head = "origin/package/first"
    smuggled = dev.clone.git(
        "commit-tree", "-S", f"{head}^{{tree}}", "-p", "origin/main", "-p", other, "-m", "by hand"
    )
    dev.clone.push(f"{smuggled}:refs/heads/package/first", force=True)
    assert told(shop)[1] == ["not-on-main"]


def test_an_old_main_chosen_for_a_package_is_stale(shop: Shop) -> None:
    """Everything on the branch agrees with its manifest; only what it starts from is no longer approved."""
    manifest = package(shop)
    old = shop.server.tip("main")
    head = shop.server.tip("package/first")
    dev = shop.person("dev-1")
    dev.revoke("first")
    other = shop.person("dev-2")
    other.write({ORDERS: orders("three")})
    other.submit("orders", supersede=True)
    shop.person("dep-1").approve(other.release("orders", name="second").manifest.name)
    again = replace(manifest, name=package_name("again"))
    [item] = manifest.items
    record = dump(record_document(item.record(again.name)))
    blob = dev.clone.git("hash-object", "--stdin", stdin=record)
    again = replace(again, items=(replace(item, record_after=BlobId(blob)),))
    files: dict[str, str | bytes | None] = {
        ORDERS: dev.clone.git("show", f"{head}:{ORDERS}") + "\n",
        record_path(item.item): record,
        again.path: dump(manifest_document(again)),
    }
    push_on(dev, "package/again", files, base=old)
    assert told(shop, "again")[1] == ["task-settled", "stale", "stale-record"]
    speak(shop.person("dep-1"), Say.APPROVE, "again")
    assert shop.person("dep-1").gate("again").merge is None
    # On the newer main its record would say what it never was.
    dev.clone.git("fetch", "--quiet", "--prune")
    push_on(dev, "package/again", files, force=True)
    assert told(shop, "again")[1][:1] == ["other-bytes"]


def retold(shop: Shop, **claims: Any) -> list[str]:
    """Let the manifest of a package claim something else, and give what is found."""
    manifest = package(shop)
    item = claims.pop("item", {})
    changed = replace(manifest, items=(replace(manifest.items[0], **item),), **claims)
    amend(shop.person("dev-1"), "package/first", {manifest.path: dump(manifest_document(changed))})
    return told(shop)[1]


def test_an_applicant_who_did_not_sign_is_refused(shop: Shop) -> None:
    assert retold(shop, applicant=MemberId("dev-2")) == ["claim"]


def test_a_submitter_who_did_not_sign_is_refused(shop: Shop) -> None:
    assert retold(shop, item={"submitters": (MemberId("dev-2"),)}) == ["claim"]


def test_a_submitter_who_is_left_out_is_refused(shop: Shop) -> None:
    admin = shop.person("adm-1")
    admin.write({ORDERS: orders("theirs")})
    admin.submit("orders")
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("mine")})
    dev.submit("orders", supersede=True)
    manifest = dev.release("orders", name="first").manifest
    assert manifest.items[0].submitters == ("dev-1", "adm-1")
    changed = replace(manifest, items=(replace(manifest.items[0], submitters=(MemberId("dev-1"),)),))
    amend(dev, "package/first", {manifest.path: dump(manifest_document(changed))})
    assert told(shop)[1] == ["claim"]
    speak(shop.person("adm-1"), Say.APPROVE)
    assert told(shop)[0] == []


def test_a_package_in_somebody_elses_name_is_refused(shop: Shop) -> None:
    package(shop)
    amend(shop.person("dev-1"), "package/first", {}, "--author", "dep-1 <dep-1@example.org>")
    assert told(shop)[1] == ["author", "claim"]


def test_an_unsigned_package_is_refused(shop: Shop) -> None:
    package(shop)
    amend(shop.person("dev-1"), "package/first", {}, sign=False)
    assert told(shop)[1] == ["author", "claim"]
    assert refused(shop, lambda: shop.person("dep-1").approve("first")).message.endswith(
        "first is not signed"
    )


def test_a_package_that_somebody_else_pushed_over_is_refused(shop: Shop) -> None:
    package(shop)
    amend(shop.person("dev-2"), "package/first", {}, "--reset-author")
    assert told(shop)[1] == ["claim"]


@pytest.mark.parametrize(
    ("item", "code"),
    [({"task": CommitId("1" * 40)}, "task-missing"), ({"formatting_only": True}, "formatting")],
)
def test_what_a_plan_says_of_its_tasks_is_looked_at(shop: Shop, item: dict[str, Any], code: str) -> None:
    assert retold(shop, item=item) == [code]


def test_a_secret_that_is_let_through_is_shown(shop: Shop) -> None:
    note = "-- gitrelease: allow-secret an example"
    sql = f"SET password = 'Xk9#vQ2mL7pR4wZt';  {note}\n"
    manifest = package(shop, files={"scripts/sales/clean.sql": sql})
    assert told(shop)[1] == []
    hidden = replace(manifest, items=(replace(manifest.items[0], allowed_secrets=()),))
    amend(shop.person("dev-1"), "package/first", {manifest.path: dump(manifest_document(hidden))})
    assert told(shop)[1] == ["hidden-secret"]


def test_a_plan_that_holds_other_than_its_task_is_refused(shop: Shop) -> None:
    dev = shop.person("dev-1")
    other = push_on(dev, "submit/job/orders/v2", {ORDERS: orders("harmless", version=2)})
    dev.clone.git("push", "--quiet", "origin", f"{other}:refs/heads/keep", ":refs/heads/submit/job/orders/v2")
    assert retold(shop, item={"task": other}) == ["not-the-task"]


@pytest.mark.parametrize("claim", [{"workspace": "0" * 32}, {"root": CommitId("1" * 40)}, {"main": "trunk"}])
def test_a_package_of_another_place_is_refused(shop: Shop, claim: dict[str, Any]) -> None:
    assert retold(shop, **claim) == ["foreign"]


def test_a_branch_without_a_manifest_is_no_package(shop: Shop) -> None:
    push_on(shop.person("dev-1"), "package/first", {ORDERS: orders("two", version=2)})
    failed = refused(shop, lambda: shop.person("dep-1").approve("first"))
    assert failed.message == f"first has no manifest at {manifest_path(package_name('first'))}"
    assert (statuses(shop), task_states(shop)) == ({}, {})


def test_a_manifest_that_somebody_broke_names_the_way_out(shop: Shop) -> None:
    made = package(shop)
    dev = shop.person("dev-2")
    dev.clone.git("fetch", "--quiet", "origin")
    dev.clone.git("checkout", "--quiet", "--detach", f"origin/package/{made.name}")
    dev.clone.push(f"{dev.clone.commit({made.path: 'name: ['}, 'broken')}:refs/heads/package/{made.name}")
    failed = refused(shop, lambda: shop.person("dev-1").revoke(made.name))
    assert made.path in failed.message
    command = re.search(r"`git (push origin \S+)`", str(failed.hint))
    assert command is not None
    shop.person("dev-1").clone.git(*command[1].split())
    assert task_states(shop) == {"job/orders/v2": "pending"}


def test_a_package_does_not_take_a_name_that_differs_only_in_case(shop: Shop) -> None:
    manifest = package(shop)
    merged(shop.person("dep-1").approve("first").merged)
    dev = shop.person("dev-1")
    dev.write({NEW: job_yaml("new")})
    dev.submit("new")
    other = dev.release("new", name="other").manifest
    again = renamed(shop, other, "First")
    push_on(dev, "package/First", again)
    assert "name-taken" in told(shop, "First")[1]
    assert manifest.name == "first"


def renamed(shop: Shop, manifest: Manifest, name: str) -> dict[str, str | bytes | None]:
    """Give the files of a package under another name, as somebody would write them by hand."""
    clone = shop.person("dev-1").clone
    made = replace(manifest, name=package_name(name))
    items, files = [], dict[str, str | bytes | None]()
    for item in manifest.items:
        record = dump(record_document(item.record(made.name)))
        items.append(replace(item, record_after=BlobId(clone.git("hash-object", "--stdin", stdin=record))))
        files[record_path(item.item)] = record
        files.update(
            {path: clone.git("cat-file", "blob", pin.blob) + "\n" for path, pin in item.after.files.items()}
        )
    made = replace(made, items=tuple(items))
    return {**files, made.path: dump(manifest_document(made))}


# Merging.


def test_a_person_merges_where_nothing_merges_by_itself(shop: Shop) -> None:
    policy(shop, "autoMerge: true", "autoMerge: false")
    package(shop)
    assert shop.person("dep-1").approve("first").merged == MergeResult(
        package=package_name("first"), verdict=verdict(shop), merge=None
    )
    assert shop.person("sync").gate("first").merge is None
    assert statuses(shop)["first"] is Status.APPROVED
    assert isinstance(refused(shop, lambda: shop.person("view-1").merge("first")), NotAllowed)
    merge = merged(shop.person("dev-2").merge("first"))
    again = shop.person("dev-2").merge("first")
    assert (again.was_merged, again.merge, shop.server.tip("main")) == (True, merge, merge)


def test_what_is_not_approved_is_not_merged(shop: Shop) -> None:
    package(shop)
    failed = refused(shop, lambda: shop.person("dev-1").merge("first"))
    assert (type(failed), failed.exit, failed.message) == (
        NotApproved,
        Exit.WAITING,
        "first is not approved yet: 1 more of 1 approvals, from one of adm-1, adm-2, dep-1, dep-2",
    )
    assert isinstance(refused(shop, lambda: shop.person("dev-1").merge("nothing")), NotFound)


def by_hand(shop: Shop, how: str, name: str = "first") -> None:
    """Merge a package with raw git."""
    clone = shop.person("adm-1").clone
    clone.git("fetch", "--quiet")
    clone.git("checkout", "--quiet", "--force", "-B", "main", "origin/main")
    match how:
        case "merge":
            clone.git("merge", "--quiet", "--no-ff", "-m", "by hand", f"origin/package/{name}")
        case "squash":
            clone.git("merge", "--quiet", "--squash", f"origin/package/{name}")
            clone.git("commit", "--quiet", "-m", "by hand")
        case "rebase":
            clone.git("cherry-pick", f"origin/package/{name}")
        case "fast-forward":
            clone.git("merge", "--quiet", "--ff-only", f"origin/package/{name}")
    clone.push("HEAD:refs/heads/main")


@pytest.mark.parametrize("how", first(2, ["merge", "squash", "rebase", "fast-forward"]))
def test_a_merge_by_hand_counts_when_it_is_exact_and_approved(shop: Shop, how: str) -> None:
    package(shop)
    if how != "fast-forward":
        package(shop, "second", by="dev-2", files={NEW: job_yaml("new")})
        merged(shop.person("dep-1").approve("second").merged)
    speak(shop.person("dep-1"), Say.APPROVE)
    by_hand(shop, how)
    done = shop.person("sync").sync()
    assert [(one.name, one.status) for one in done.packages][-1:] == [("first", Status.SUCCESSFUL)]
    assert (done.unapproved, done.waiting) == ((), ())
    assert statuses(shop)["first"] is Status.SUCCESSFUL


@pytest.mark.parametrize("how", first(2, ["merge", "squash", "rebase", "fast-forward"]))
def test_a_merge_by_hand_without_approval_is_not_applied_and_a_late_yes_counts(shop: Shop, how: str) -> None:
    package(shop)
    by_hand(shop, how)
    waiting = shop.person("sync").sync()
    assert ([one.name for one in waiting.waiting], waiting.packages) == (["first"], ())
    assert set(waiting.unapproved) == {
        ORDERS,
        manifest_path(package_name("first")),
        record_path(item_key("job/orders")),
    }
    assert waiting.exit is Exit.REFUSED
    shop.person("dep-1").approve("first")
    done = shop.person("sync").sync()
    assert ([one.name for one in done.packages], done.unapproved, done.exit) == (["first"], (), Exit.DONE)


@pytest.mark.parametrize(
    "files", [{"scripts/sales/clean.sql": "SELECT 9;\n"}, {ORDERS: orders("more", version=2)}]
)
def test_a_merge_by_hand_that_holds_more_is_not_applied(shop: Shop, files: Mapping[str, str]) -> None:
    package(shop)
    speak(shop.person("dep-1"), Say.APPROVE)
    clone = shop.person("adm-1").clone
    clone.git("fetch", "--quiet")
    clone.git("merge", "--quiet", "--squash", "origin/package/first")
    clone.commit(files, "by hand")
    clone.push("HEAD:refs/heads/main")
    done = shop.person("sync").sync()
    assert ([one.name for one in done.waiting], done.packages, done.exit) == (["first"], (), Exit.REFUSED)


def test_two_packages_in_one_commit_are_neither(shop: Shop) -> None:
    package(shop)
    package(shop, "second", by="dev-2", files={NEW: job_yaml("new")})
    for name in ("first", "second"):
        speak(shop.person("dep-1"), Say.APPROVE, name)
    clone = shop.person("adm-1").clone
    clone.git("fetch", "--quiet")
    clone.git("cherry-pick", "--no-commit", "origin/package/first", "origin/package/second")
    clone.git("commit", "--quiet", "-m", "both")
    clone.push("HEAD:refs/heads/main")
    done = shop.person("sync").sync()
    assert (sorted(one.name for one in done.waiting), done.packages) == (["first", "second"], ())


# Rejecting and revoking.


def test_rejecting_closes_and_the_tasks_are_pending_again(shop: Shop) -> None:
    package(shop)
    head = shop.server.tip("package/first")
    said = shop.person("dep-1").reject("first", "not now")
    assert (said.say, said.by, said.was_said) == (Say.REJECT, "dep-1", False)
    assert (branches(shop, "package/"), branches(shop, "review/")) == ([], [])
    assert task_states(shop) == {"job/orders/v2": "pending"}
    shown = view_package(shop.person("view-1").desk, package_name("first"))
    assert (shown.status, [(one.person.id, one.verdict, one.message) for one in shown.approvals]) == (
        Status.REJECTED,
        [("dep-1", "changes-requested", "not now")],
    )
    assert statuses(shop) == {"first": Status.REJECTED}
    shop.server.git("merge-base", "--is-ancestor", head, "archive")
    assert shop.person("dep-1").reject("first").was_said is True
    assert [str(one.id) for one in shop.person("dev-1").release("orders", name="again").manifest.items] == [
        "job/orders/v2"
    ]


@pytest.mark.parametrize("who", ["dev-1", "dev-2", "view-1", "ops-1", "sync"])
def test_who_may_not_reject(shop: Shop, who: str) -> None:
    package(shop)
    assert isinstance(refused(shop, lambda: shop.person(who).reject("first")), NotAllowed)


def test_an_author_does_not_reject_but_revokes(shop: Shop) -> None:
    package(shop, by="adm-1")
    failed = refused(shop, lambda: shop.person("adm-1").reject("first"))
    assert failed.message == "adm-1 made part of first"
    shop.person("adm-1").revoke("first")
    assert statuses(shop) == {"first": Status.REVOKED}


@pytest.mark.parametrize("who", ["dev-1", "dep-1", "adm-1"])
def test_who_may_revoke_a_package(shop: Shop, who: str) -> None:
    package(shop)
    assert shop.person(who).revoke("first").by == who
    assert (branches(shop, "package/"), task_states(shop)) == ([], {"job/orders/v2": "pending"})
    assert statuses(shop) == {"first": Status.REVOKED}
    assert shop.person(who).revoke("first").was_said is True


@pytest.mark.parametrize("who", ["dev-2", "view-1", "ops-1", "sync"])
def test_who_may_not_revoke_a_package(shop: Shop, who: str) -> None:
    package(shop)
    assert isinstance(refused(shop, lambda: shop.person(who).revoke("first")), NotAllowed)


def test_what_is_merged_is_not_revoked(shop: Shop) -> None:
    package(shop)
    shop.person("dep-1").approve("first")
    assert refused(shop, lambda: shop.person("dev-1").revoke("first")).message == "first is merged already"
    shop.person("sync").sync()
    assert refused(shop, lambda: shop.person("dev-1").revoke("first")).message == "first is successful"
    assert refused(shop, lambda: shop.person("dep-1").reject("first")).message == "first is successful"


def test_a_no_counts_until_sync_has_started(shop: Shop) -> None:
    package(shop)
    shop.person("dep-1").approve("first")
    shop.person("dep-2").reject("first", "stop")
    done = shop.person("sync").sync()
    assert ([one.name for one in done.waiting], done.packages, done.exit) == (["first"], (), Exit.REFUSED)
    withdraw(shop.person("dep-2").desk, package_name("first"))
    assert [one.name for one in shop.person("sync").sync().packages] == ["first"]


@pytest.mark.parametrize("end", ["reject", "revoke"])
def test_what_was_closed_does_not_come_back_by_a_push(shop: Shop, end: str) -> None:
    """The branch and an earlier state of its log are in the archive for anybody to push again."""
    policy(shop, "autoMerge: true", "autoMerge: false")
    package(shop)
    shop.person("dep-1").approve("first")
    head, log = shop.server.tip("package/first"), shop.server.tip("review/first")
    if end == "reject":
        shop.person("dep-2").reject("first")
    else:
        shop.person("dev-1").revoke("first")
    other = shop.person("view-1")
    other.clone.git("fetch", "--quiet")
    other.clone.push(f"{head}:refs/heads/package/first", f"{log}:refs/heads/review/first")
    failed = refused(shop, lambda: shop.person("dev-2").merge("first"))
    assert (
        failed.message
        == f"first cannot be merged: first was {end.removesuffix('e')}ed, and a name is used once"
    )
    by_hand(shop, "squash")
    assert [one.name for one in shop.person("sync").sync().waiting] == ["first"]


# Taking tasks back.


def submitted(shop: Shop, by: str = "dev-1") -> Person:
    person = shop.person(by)
    person.write({ORDERS: orders("two")})
    person.submit("orders")
    return person


@pytest.mark.parametrize("who", ["dev-1", "dep-1", "adm-1"])
def test_who_may_revoke_a_task(shop: Shop, who: str) -> None:
    submitted(shop)
    made = revoke_tasks(shop.person(who).desk, ["orders"])
    assert ([str(one) for one in made.tasks], branches(shop, "submit/")) == (["job/orders/v2"], [])
    again = revoke_tasks(shop.person(who).desk, ["job/orders/v2"])
    assert ([str(one) for one in again.before], again.tasks) == (["job/orders/v2"], ())
    dev = shop.person("dev-1")
    dev.write({ORDERS: orders("three")})
    assert [str(one.task) for one in dev.submit("orders").items] == ["job/orders/v3"]


@pytest.mark.parametrize("who", ["dev-2", "view-1", "ops-1", "sync"])
def test_who_may_not_revoke_a_task(shop: Shop, who: str) -> None:
    submitted(shop)
    assert isinstance(refused(shop, lambda: revoke_tasks(shop.person(who).desk, ["orders"])), NotAllowed)


@pytest.mark.parametrize("who", ["dev-1", "adm-1"])
def test_a_task_in_review_is_not_revoked(shop: Shop, who: str) -> None:
    package(shop)
    failed = refused(shop, lambda: revoke_tasks(shop.person(who).desk, ["orders"]))
    assert failed.message == "job/orders/v2 is in review, in the package first"


def test_a_task_that_was_released_is_not_revoked(shop: Shop) -> None:
    package(shop)
    shop.person("dep-1").approve("first")
    shop.person("sync").sync()
    failed = refused(shop, lambda: revoke_tasks(shop.person("dev-1").desk, ["job/orders/v2"]))
    assert failed.message == "job/orders/v2 was released"
    assert isinstance(refused(shop, lambda: revoke_tasks(shop.person("dev-1").desk, ["nothing"])), NotFound)


def test_one_task_that_may_not_be_revoked_keeps_all(shop: Shop) -> None:
    submitted(shop)
    other = shop.person("dev-2")
    other.write({NEW: job_yaml("new")})
    other.submit("new")
    assert isinstance(refused(shop, lambda: revoke_tasks(other.desk, ["new", "orders"])), NotAllowed)


def test_a_package_by_nobody_who_counts_keeps_no_task(shop: Shop) -> None:
    manifest = package(shop)
    shop.person("dev-1").revoke("first")
    dev = shop.person("dev-1")
    push_on(dev, "package/fake", renamed(shop, manifest, "fake"), sign=False)
    assert task_states(shop) == {"job/orders/v2": "pending"}
    revoke_tasks(dev.desk, ["orders"])
    assert branches(shop, "submit/") == []


# Asking one more reviewer.


def test_asking_one_more_reviewer_does_not_move_the_head(bench: Bench) -> None:
    rule = '  required:\n    - {paths: ["jobs/sales/**"], from: [dep-2, adm-2]}\n'
    shop = open_shop(bench, FIRST_ITEMS, review=rule)
    package(shop)
    head = shop.server.tip("package/first")
    shop.person("dep-1").approve("first")
    add_reviewers(shop.person("dev-1").desk, package_name("first"), ["adm-1"])
    assert (shop.server.tip("package/first"), told(shop)[0]) == (head, ["dep-1"])
    shown = view_package(shop.person("view-1").desk, package_name("first"))
    assert [one.id for one in shown.reviewers] == ["dep-2", "adm-2", "adm-1"]
    more = add_reviewers(shop.person("dev-1").desk, package_name("first"), ["adm-1", "dep-1", "dep-1"])
    assert (more.asked, more.was_said) == (("adm-1", "dep-1"), False)
    shown = view_package(shop.person("view-1").desk, package_name("first"))
    assert [one.id for one in shown.reviewers] == ["dep-2", "adm-2", "adm-1", "dep-1"]
    # A yes and two statements, the second of which asks only who was not asked before.
    assert shop.server.git("rev-list", "--count", "--first-parent", f"{head}..review/first") == "3"
    assert add_reviewers(shop.person("dev-1").desk, package_name("first"), ["adm-1"]).was_said is True
    for who, error in (("dev-2", Refused), ("dev-1", Refused), ("nobody", NotFound)):
        failed = refused(
            shop,
            lambda who=who: add_reviewers(shop.person("dev-1").desk, package_name("first"), [who]),  # type: ignore[misc]
        )
        assert isinstance(failed, error)
    shop.close()


# The workspace.


def promotion(shop: Shop) -> Manifest:
    """Let an admin propose to make a deployer an admin."""
    roles = {**ROLES, "dep-2": "admin"}
    return package(
        shop, "promote", by="adm-1", files={"workspace.yaml": workspace_yaml(shop.bench, roles=roles)}
    )


def test_a_workspace_is_judged_by_the_one_before_it(shop: Shop) -> None:
    assert promotion(shop).reviewers == ("adm-2",)
    said = shop.person("dep-2").approve("promote")
    assert told(shop, "promote") == (["dep-2"], [], ["admin"])
    assert said.merged is not None
    assert said.merged.merge is None
    merged(shop.person("adm-2").approve("promote").merged)


def test_the_next_package_is_judged_by_the_new_one(shop: Shop) -> None:
    promotion(shop)
    shop.person("adm-2").approve("promote")
    admin = shop.person("adm-1")
    text = (admin.clone.path / "workspace.yaml").read_text()
    package(shop, "next", by="adm-1", files={"workspace.yaml": text.replace("name: shop", "name: store")})
    merged(shop.person("dep-2").approve("next").merged)
    done = shop.person("sync").sync()
    assert [(one.name, one.status) for one in done.packages] == [
        ("promote", Status.SUCCESSFUL),
        ("next", Status.SUCCESSFUL),
    ]


def test_a_workspace_pushed_past_everybody_changes_nothing(shop: Shop) -> None:
    roles = {**ROLES, "dev-2": "admin"}
    push_on(shop.person("dev-2"), "main", {"workspace.yaml": workspace_yaml(shop.bench, roles=roles)})
    package(shop)
    before = working_state(shop.person("dev-2").clone)
    assert isinstance(refused(shop, lambda: shop.person("dev-2").approve("first")), NotAllowed)
    assert working_state(shop.person("dev-2").clone)[3] == before[3]
    assert shop.person("sync").sync().exit is Exit.REFUSED
