"""`gitrelease sync`: production follows what was approved, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread

import pytest

from gitrelease.commands.status import status
from gitrelease.commands.sync import PackageSync, SyncResult
from gitrelease.core.ledger import Holding
from gitrelease.core.names import CommitId, ItemKey
from gitrelease.core.plan import OutcomeStatus
from gitrelease.core.status import Status
from gitrelease.core.workspace import NotAllowed
from gitrelease.errors import Exit, GitReleaseError, HalfDone, Refused
from gitrelease.messages import MessageRefused
from gitrelease.reading.ledger import LedgerForged, LedgerMissing
from gitrelease.reading.situation import MainMissing
from tests.kit.git import Bench
from tests.kit.shop import FIRST_ITEMS, Shop, job_yaml, open_shop, script_yaml
from tests.kit.targets import (
    Plant,
    edit,
    give_plants,
    merge_by_git,
    merged,
    open_mill,
    plant_target,
    propose,
    push_to,
    push_to_main,
    receipts,
    subjects,
    tree,
    workspace_merged,
)

ORDERS = "jobs/sales/orders.job.yaml"
GUARDED = ("workspace.yaml", "jobs", "scripts", "items", "packages")
MAPPINGS = [{"hive_dev": "hive"}, {}, {"ods_dev": "ods"}]
MAPPING = sha256(json.dumps(MAPPINGS, sort_keys=True).encode()).hexdigest()

CLEAN = SyncResult(packages=(), other=(), unapproved=(), waiting=(), drifted=(), behind=())


def orders(note: str, **more: object) -> dict[str, str]:
    """Change the job that the shop starts with."""
    return {ORDERS: job_yaml("orders", script="clean", note=note)}


def held(shop: Shop, path_end: str) -> dict[str, object] | None:
    """Read what the git target holds under a file name, wherever it keeps it."""
    found = [path for path in tree(shop, "deploy/main") if path.endswith(f"/{path_end}")]
    assert len(found) < 2
    return json.loads(shop.server.git("show", f"deploy/main:{found[0]}")) if found else None


def deployed(shop: Shop, *paths: str) -> str:
    """Hash what the git target holds, the way receipts do, from what git says."""
    lines = []
    for path in sorted(paths):
        data = (shop.server.git("show", f"deploy/main:{path}") + "\n").encode()
        lines.append(f"{path}\0{sha256(data).hexdigest()}\n")
    return sha256("".join(lines).encode()).hexdigest()


def outcomes(sync: PackageSync) -> dict[str, OutcomeStatus]:
    """Say what became of each item."""
    return {f"{one.item}@{one.target}": one.outcome.status for one in sync.results}


def changes_nothing(
    shop: Shop, who: str, error: type[GitReleaseError], words: str, **more: object
) -> GitReleaseError:
    """Show that a sync refuses with a sentence and leaves every ref where it was."""
    before = shop.refs()
    with pytest.raises(error, match=words) as caught:
        shop.person(who).sync(**more)
    assert shop.refs() == before
    return caught.value


def listed(shop: Shop, target: str) -> dict[ItemKey, Holding]:
    """Read what a target was last given, as the last receipt has it."""
    return shop.person("sync").desk.look().ledger.holdings.all_of(target)


# What a first sync does.


def test_the_first_sync_gives_a_new_target_everything_that_was_taken_over(shop: Shop) -> None:
    assert shop.person("sync").sync().exit is Exit.DONE
    assert subjects(shop) == ["root the ledger", "started baseline", "finished baseline"]
    assert sorted(tree(shop, "deploy/main")) == ["jobs/1c/orders.job", "scripts/3b/clean.script"]
    started, finished = receipts(shop)[1:]
    assert {key: started[key] for key in ("event", "runner", "work", "targets")} == {
        "event": "started",
        "runner": "sync",
        "work": "baseline",
        "targets": ["main"],
    }
    # A baseline is about everything; what became of each item is said once, in the lists beside the receipt.
    assert {"items", "results"}.isdisjoint(started.keys() | finished.keys())
    assert {
        str(item): (holding.version, holding.mapping, holding.status, holding.deployed, holding.error)
        for item, holding in listed(shop, "main").items()
    } == {
        item: (1, MAPPING, OutcomeStatus.SUCCESSFUL, deployed(shop, path), None)
        for item, path in [("job/orders", "jobs/1c/orders.job"), ("script/clean", "scripts/3b/clean.script")]
    }


def test_a_sync_with_nothing_to_do_moves_no_ref(shop: Shop) -> None:
    shop.person("sync").sync()
    before = shop.refs()
    assert shop.person("sync").sync() == CLEAN
    assert shop.person("sync-2").sync() == CLEAN
    assert shop.refs() == before


def test_production_is_given_its_own_names(shop: Shop) -> None:
    shop.person("sync").sync()
    job, script = held(shop, "orders.job"), held(shop, "clean.script")
    assert job is not None
    assert script is not None
    node = job["nodes"][0]  # type: ignore[index]
    properties = {entry["name"]: entry["value"] for entry in node["properties"]}
    assert (properties["connectionName"], properties["database"]) == ("hive", "ods")
    assert (script["connectionName"], script["database"], script["content"]) == ("hive", "ods", "SELECT 1;\n")
    assert "hive_dev" in shop.server.git("show", f"production:{ORDERS}")


# What a release leaves behind.


def test_packages_are_applied_in_the_order_of_the_main_branch_in_one_sync(shop: Shop) -> None:
    shop.person("sync").sync()
    first = merged(shop, orders("one"), "orders", name="zz")
    second = merged(shop, orders("two"), "orders", name="aa", by="dev-2")
    third = merged(
        shop,
        {"jobs/sales/bills.job.yaml": job_yaml("bills", after=["orders"])},
        "bills",
        name="mm",
        by="dev-2",
    )
    result = shop.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [
        (first, Status.SUCCESSFUL),
        (second, Status.SUCCESSFUL),
        (third, Status.SUCCESSFUL),
    ]
    assert subjects(shop)[3:] == [
        f"{event} package {name}" for name in ("zz", "aa", "mm") for event in ("started", "finished")
    ]
    merges = shop.server.git("rev-list", "--first-parent", "--reverse", "main").splitlines()
    evidence = [receipt["evidence"] for receipt in receipts(shop)[3:] if receipt["event"] == "started"]
    assert [(entry["mainBefore"], entry["mainAfter"]) for entry in evidence] == list(pairwise(merges))
    job = held(shop, "orders.job")
    assert job is not None
    assert (job["version"], job["description"]) == ("3", "Loads orders two")


def test_a_release_leaves_production_equal_to_main_and_everything_in_the_archive(shop: Shop) -> None:
    shop.person("sync").sync()
    name = propose(shop, orders("one"), "orders")
    before = shop.refs()
    pushed = set(shop.server.git("rev-list", "--all").split())
    shop.person("dep-1").approve(name)
    log = shop.refs()[f"refs/heads/review/{name}"]
    shop.person("sync").sync()
    refs = shop.refs()
    assert sorted(refs) == [
        "refs/heads/archive",
        "refs/heads/deploy/main",
        "refs/heads/main",
        "refs/heads/production",
        f"refs/tags/release/{name}",
    ]
    assert shop.server.git("diff", "--raw", "main", "production", "--", *GUARDED) == ""
    assert shop.server.git("rev-parse", f"release/{name}^{{commit}}") == refs["refs/heads/main"]
    assert shop.server.git("cat-file", "-t", refs[f"refs/tags/release/{name}"]) == "tag"
    task, head = before["refs/heads/submit/job/orders/v2"], before[f"refs/heads/package/{name}"]
    assert shop.server.git("rev-list", "--parents", "-1", "archive").split()[2:] == [head, log, task]
    assert tree(shop, "archive").keys() == {"numbers/job/1c/orders"}
    assert shop.server.git("show", "archive:numbers/job/1c/orders") == "job/orders 2"
    evidence = receipts(shop)[-2]["evidence"]
    merge = refs["refs/heads/main"]
    assert {key: evidence[key] for key in ("mainAfter", "head", "log", "tasks", "approvals")} == {
        "mainAfter": merge,
        "head": head,
        "log": log,
        "tasks": [task],
        "approvals": [log],
    }
    started = shop.server.git("rev-list", "--parents", "-1", "production~1").split()
    assert set(started) > {merge, head, log, task}
    assert pushed | {log} <= set(shop.server.git("rev-list", "--all").split())
    # A plain clone has it all, though no branch is left.
    assert {head, log, task} <= set(shop.server.git("rev-list", "production").split())


def test_commits_outside_the_guarded_paths_are_none_of_syncs_business(shop: Shop) -> None:
    shop.person("sync").sync()
    push_to_main(shop, {"README.md": "Read me\n", "docs/jobs/x.job.yaml": "not: one\n"})
    before = shop.refs()
    assert shop.person("sync").sync() == CLEAN
    assert shop.refs() == before


def test_a_squashed_merge_is_as_good(shop: Shop) -> None:
    shop.person("sync").sync()
    name = propose(shop, orders("one"), "orders")
    clone = shop.person("dev-2").clone
    clone.git("fetch", "--quiet", "origin")
    push_to_main(shop, {"README.md": "meanwhile\n"}, by="dev-2")
    clone.git("merge", "--squash", "--quiet", f"origin/package/{name}")
    clone.git("commit", "--quiet", "-m", "squashed")
    clone.push("HEAD:main")
    shop.person("dep-1").approve(name)
    result = shop.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.SUCCESSFUL)]
    assert result.exit is Exit.DONE


def test_a_tag_of_the_name_that_was_there_before_stays_and_is_told(shop: Shop) -> None:
    shop.person("sync").sync()
    name = merged(shop, orders("one"), "orders")
    clone = shop.person("dev-2").clone
    clone.git("tag", f"release/{name}", "origin/main~0")
    clone.push(f"release/{name}")
    before = shop.refs()[f"refs/tags/release/{name}"]
    (one,) = shop.person("sync").sync().packages
    assert one.status is Status.SUCCESSFUL
    assert one.note == f"the tag release/{name} was there before; it is not ours and stays as it is"
    assert receipts(shop)[-1]["note"] == one.note
    assert shop.refs()[f"refs/tags/release/{name}"] == before
    assert f"refs/heads/package/{name}" not in shop.refs()


def test_a_deletion_takes_the_item_out_of_production(shop: Shop) -> None:
    shop.person("sync").sync()
    name = merged(shop, {ORDERS: None}, "job/orders", delete=True)
    assert shop.person("sync").sync().exit is Exit.DONE
    assert held(shop, "orders.job") is None
    assert tree(shop, "deploy/main").keys() == {"scripts/3b/clean.script"}
    assert receipts(shop)[-1]["package"] == name
    assert receipts(shop)[-1]["results"] == [
        {
            "item": "job/orders",
            "target": "main",
            "version": 2,
            "mapping": MAPPING,
            "status": "successful",
            "deployed": None,
            "error": None,
        }
    ]
    assert shop.person("sync").sync() == CLEAN


def test_a_dry_run_tells_what_is_outstanding_and_changes_nothing(shop: Shop) -> None:
    before = shop.refs()
    result = shop.person("sync").sync(dry_run=True)
    assert ([one.work for one in result.other], result.is_dry_run) == (["baseline"], True)
    shop.person("sync").sync()
    name = merged(shop, orders("one"), "orders")
    before = shop.refs()
    result = shop.person("sync").sync(dry_run=True)
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.MERGED)]
    assert result.exit is Exit.WAITING
    assert shop.refs() == before


def test_a_dry_run_asks_no_key(shop: Shop, tmp_path: Path) -> None:
    asked, keygen = tmp_path / "asked", tmp_path / "keygen"
    keygen.write_text(f'#!/bin/sh\ncase "$*" in *"-Y sign"*) touch {asked};; esac\nexec ssh-keygen "$@"\n')
    keygen.chmod(0o755)
    sync = shop.person("sync")
    sync.clone.git("config", "gpg.ssh.program", str(keygen))
    assert sync.sync(dry_run=True).other
    assert not asked.exists()
    assert sync.sync().other
    assert asked.exists()


# The effective workspace.


def test_a_package_that_adds_a_target_gives_it_a_baseline(shop: Shop, tmp_path: Path) -> None:
    plant = Plant(folder=tmp_path / "plant")
    give_plants(shop.person("sync"), {"lake": plant})
    for who in ("adm-1", "adm-2"):
        give_plants(shop.person(who), {"lake": plant})
    shop.person("sync").sync()
    name = workspace_merged(shop, "  targets:\n", f"  targets:\n{plant_target('lake')}")
    result = shop.person("sync").sync()
    assert result.exit is Exit.DONE
    assert [line for line in subjects(shop)[3:] if not line.startswith("alive")] == [
        f"started package {name}",
        f"finished package {name}",
        "started baseline",
        "finished baseline",
    ]
    assert plant.versions() == {"job/orders": 1, "script/clean": 1}
    assert [str(item) for item in sorted(listed(shop, "lake"))] == ["job/orders", "script/clean"]
    assert shop.person("sync").sync() == CLEAN


def test_a_new_target_that_cannot_be_reached_stops_all_but_the_package_that_takes_it_away(
    shop: Shop, tmp_path: Path
) -> None:
    shop.person("sync").sync()
    folder = tmp_path / "mount"
    folder.mkdir()
    (folder / ".gitrelease").touch()
    entry = f"    - {{name: disk, type: directory, settings: {{path: {folder}}}}}\n"
    workspace_merged(shop, "  targets:\n", f"  targets:\n{entry}")
    (folder / ".gitrelease").unlink()
    with pytest.raises(GitReleaseError, match="mount"):
        shop.person("sync").sync()
    # Whoever looks is told of the others all the same.
    main, disk = sorted(status(shop.person("dev-1").desk).targets, key=lambda one: one.name, reverse=True)
    assert (main.name, main.unreachable) == ("main", None)
    assert disk.unreachable is None  # a target that was never given anything is not looked at
    mended = workspace_merged(shop, entry, "")
    merged(shop, orders("two"), "orders", name="waited")
    assert [one.name for one in shop.person("sync").sync().packages] == [mended, "waited"]
    assert shop.person("sync").sync() == CLEAN


def test_a_package_that_changes_names_of_production_deploys_everything_under_the_new_ones(shop: Shop) -> None:
    shop.person("sync").sync()
    workspace_merged(shop, "hive_dev: hive}", "hive_dev: hive2}")
    assert shop.person("sync").sync().exit is Exit.DONE
    script = held(shop, "clean.script")
    assert script is not None
    assert (script["connectionName"], script["database"]) == ("hive2", "ods")
    assert subjects(shop)[-2:] == ["started baseline", "finished baseline"]
    switched = [{"hive_dev": "hive2"}, {}, {"ods_dev": "ods"}]
    assert {holding.mapping for holding in listed(shop, "main").values()} == {
        sha256(json.dumps(switched, sort_keys=True).encode()).hexdigest()
    }
    assert shop.person("sync").sync() == CLEAN


def test_who_may_approve_is_judged_at_each_merge_by_what_was_approved_before_it(shop: Shop) -> None:
    shop.person("sync").sync()
    bills = {"jobs/sales/bills.job.yaml": job_yaml("bills")}
    third = propose(shop, bills, "bills", name="third")
    shop.person("dep-2").approve(first := propose(shop, orders("one"), "orders", name="first"))
    workspace = shop.server.git("show", "main:workspace.yaml")
    entry = workspace[workspace.index("  - id: dep-2") : workspace.index("  - id: view-1")]
    edit(shop.person("adm-1"), "workspace.yaml", entry, "")
    second = merged(shop, {}, "workspace.yaml", by="adm-1", yes="adm-2", name="second")
    # The one who is no member any more says yes all the same, with what gitrelease wrote before.
    with pytest.raises(NotAllowed):
        shop.person("dep-2").approve(third)
    merge_by_git(shop, third)
    result = shop.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [
        (first, Status.SUCCESSFUL),
        (second, Status.SUCCESSFUL),
    ]
    assert [one.name for one in result.waiting] == [third]
    assert result.exit is Exit.REFUSED


def test_the_approval_of_a_reviewer_who_was_removed_before_the_merge_does_not_count(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS)
    try:
        shop.person("sync").sync()
        edit(shop.person("adm-1"), "workspace.yaml", "autoMerge: true", "autoMerge: false")
        off = propose(shop, {}, "workspace.yaml", by="adm-1")
        shop.person("adm-2").approve(off)
        shop.person("sync").sync()
        third = propose(shop, orders("three"), "orders", name="third")
        shop.person("dep-2").approve(third)
        workspace = shop.server.git("show", "main:workspace.yaml")
        entry = workspace[workspace.index("  - id: dep-2") : workspace.index("  - id: view-1")]
        edit(shop.person("adm-1"), "workspace.yaml", entry, "")
        second = propose(shop, {}, "workspace.yaml", by="adm-1", name="second")
        shop.person("adm-2").approve(second)
        shop.person("adm-2").merge(second)
        merge_by_git(shop, third)
        result = shop.person("sync").sync()
        assert [one.name for one in result.packages] == [second]
        assert [(one.name, one.reasons) for one in result.waiting] == [
            (third, ("1 more of 1 approvals, from one of adm-1, adm-2, dep-1",))
        ]
        # Another's late yes counts.
        shop.person("dep-1").approve(third)
        assert [one.name for one in shop.person("sync").sync().packages] == [third]
    finally:
        shop.close()


def test_a_package_can_change_the_keys_of_the_runner_who_applies_it(shop: Shop, bench: Bench) -> None:
    shop.person("sync").sync()
    workspace_merged(shop, bench.keys("sync").public, bench.keys("sync-new").public)
    assert shop.person("sync").sync().exit is Exit.DONE
    merged(shop, orders("one"), "orders")
    # The old key is worth nothing any more, and the new one is.
    shop.person("sync").clone.git("config", "user.signingKey", str(bench.keys("sync-new").path))
    assert [one.status for one in shop.person("sync").sync().packages] == [Status.SUCCESSFUL]
    assert shop.person("sync-2").sync() == CLEAN


def test_a_runner_whom_a_package_adds_works_only_once_that_is_released(shop: Shop, bench: Bench) -> None:
    shop.person("sync").sync()
    entry = (
        f'  - id: sync-3\n    emails: [sync-3@example.org]\n    keys: ["{bench.keys("sync-3").public}"]\n'
        "    roles: [runner]\n"
    )
    workspace_merged(shop, "  - id: sync\n", f"{entry}  - id: sync\n")
    changes_nothing(shop, "sync-3", NotAllowed, "no member of the workspace shop")
    assert shop.person("sync").sync().exit is Exit.DONE
    merged(shop, orders("one"), "orders")
    assert [one.status for one in shop.person("sync-3").sync().packages] == [Status.SUCCESSFUL]
    assert shop.person("sync").sync() == CLEAN


# Approval.


def test_what_was_merged_before_it_was_approved_waits_and_a_late_yes_releases_it(shop: Shop) -> None:
    shop.person("sync").sync()
    name = propose(shop, orders("early"), "orders")
    merge_by_git(shop, name)
    before = shop.refs()
    result = shop.person("sync").sync()
    assert (result.packages, [one.name for one in result.waiting], result.exit) == ((), [name], Exit.REFUSED)
    assert result.waiting[0].reasons == ("1 more of 1 approvals, from one of adm-1, adm-2, dep-1, dep-2",)
    assert shop.refs() == before
    shop.person("dep-1").approve(name)
    assert [(one.name, one.status) for one in shop.person("sync").sync().packages] == [
        (name, Status.SUCCESSFUL)
    ]
    assert shop.person("sync").sync() == CLEAN


def test_a_no_after_the_merge_stops_a_package_until_it_is_taken_back(shop: Shop) -> None:
    shop.person("sync").sync()
    name = merged(shop, orders("oops"), "orders")
    shop.person("dep-2").reject(name, "not on a Friday")
    before = shop.refs()
    result = shop.person("sync").sync()
    assert [(one.name, one.reasons) for one in result.waiting] == [
        (name, ("dep-2 asked for changes: not on a Friday",))
    ]
    assert (result.packages, result.exit) == ((), Exit.REFUSED)
    assert shop.refs() == before
    shop.person("dep-2").approve(name)
    assert [(one.name, one.status) for one in shop.person("sync").sync().packages] == [
        (name, Status.SUCCESSFUL)
    ]


# Failures.


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """A second production system, in a folder."""
    return Plant(folder=tmp_path / "plant")


@pytest.fixture
def mill(bench: Bench, plant: Plant) -> Iterator[Shop]:
    """A shop whose only production is the plant."""
    with open_mill(bench, {"plant": plant}) as shop:
        yield shop


CHAIN = {
    "jobs/sales/a.job.yaml": job_yaml("a"),
    "jobs/sales/b.job.yaml": job_yaml("b", after=["a"]),
    "jobs/sales/c.job.yaml": job_yaml("c", after=["b"]),
    "jobs/sales/d.job.yaml": job_yaml("d"),
}


def test_one_failure_skips_only_what_depends_on_it_and_retry_brings_it(mill: Shop, plant: Plant) -> None:
    mill.person("sync").sync()
    plant.fails = frozenset({"a"})
    name = merged(mill, CHAIN, "a", "b", "c", "d")
    result = mill.person("sync").sync()
    (one,) = result.packages
    assert (one.name, one.status) == (name, Status.FAILED)
    assert {str(made.item): (made.outcome.status, made.outcome.error) for made in one.results} == {
        "job/a": (OutcomeStatus.FAILED, "a is not to our taste"),
        "job/b": (OutcomeStatus.SKIPPED, "job/a, which it needs, was not released"),
        "job/c": (OutcomeStatus.SKIPPED, "job/b, which it needs, was not released"),
        "job/d": (OutcomeStatus.SUCCESSFUL, None),
    }
    assert result.exit is Exit.REFUSED
    assert plant.versions() == {"job/d": 1, "job/orders": 1, "script/clean": 1}
    assert f"refs/tags/release/{name}" in mill.refs()
    # A plain sync does not try again, and says what is behind.
    calls = list(plant.calls)
    again = mill.person("sync").sync()
    assert [str(item) for _, item in again.behind] == ["job/a", "job/b", "job/c"]
    assert (again.exit, again.packages, plant.calls) == (Exit.REFUSED, (), calls)
    plant.fails = frozenset()
    fixed = mill.person("sync").sync(retry=True)
    assert ([(work.work, work.status) for work in fixed.other], fixed.exit) == (
        [("retry", Status.SUCCESSFUL)],
        Exit.DONE,
    )
    assert plant.versions() == dict.fromkeys(
        ("job/a", "job/b", "job/c", "job/d", "job/orders", "script/clean"), 1
    )
    assert plant.calls[len(calls) :] == [("job/a",), ("job/b",), ("job/c",)]
    summary = mill.person("sync").desk.look().ledger.holdings.summary(name)
    assert summary is not None
    assert (summary.status, {str(item.item): (item.release, item.error) for item in summary.items}) == (
        Status.SUCCESSFUL,
        {f"job/{letter}": (OutcomeStatus.SUCCESSFUL, None) for letter in "abcd"},
    )
    assert mill.person("sync").sync(retry=True) == CLEAN


def test_what_a_target_does_not_speak_of_failed(mill: Shop, plant: Plant) -> None:
    mill.person("sync").sync()
    plant.keeps_silent, plant.puts_off = frozenset({"orders"}), frozenset({"a"})
    merged(mill, {"jobs/sales/a.job.yaml": job_yaml("a"), **orders("two")}, "a", "orders", name="first")
    (one,) = mill.person("sync").sync().packages
    assert [(result.outcome.status, result.outcome.error) for result in one.results] == 2 * [
        (OutcomeStatus.FAILED, "the target did not say what became of it")
    ]
    plant.keeps_silent = plant.puts_off = frozenset()
    # It had taken the items, and nobody deploys them twice.
    calls = list(plant.calls)
    assert mill.person("sync").sync(retry=True).exit is Exit.DONE
    assert plant.calls == calls


def test_retry_deploys_the_newest_approved_version_of_what_failed(mill: Shop, plant: Plant) -> None:
    mill.person("sync").sync()
    plant.fails = frozenset({"orders"})
    first = merged(mill, orders("two"), "orders", name="first")
    second = merged(mill, orders("three"), "orders", name="second")
    assert [one.status for one in mill.person("sync").sync().packages] == [Status.FAILED, Status.FAILED]
    assert plant.versions()["job/orders"] == 1
    plant.fails = frozenset()
    assert mill.person("sync").sync(retry=True).exit is Exit.DONE
    assert plant.versions()["job/orders"] == 3
    ledger = mill.person("sync").desk.look().ledger
    told = {
        name: (summary.status, [item.release for item in summary.items])
        for name in (first, second)
        if (summary := ledger.holdings.summary(name))
    }
    assert told == {
        first: (Status.SUCCESSFUL, [OutcomeStatus.SUPERSEDED]),
        second: (Status.SUCCESSFUL, [OutcomeStatus.SUCCESSFUL]),
    }


def test_a_later_package_supersedes_what_an_earlier_one_could_not_release(mill: Shop, plant: Plant) -> None:
    mill.person("sync").sync()
    plant.fails = frozenset({"orders"})
    first = merged(mill, orders("two"), "orders", name="first")
    mill.person("sync").sync()
    plant.fails = frozenset()
    merged(mill, orders("three"), "orders", name="second")
    assert mill.person("sync").sync().exit is Exit.DONE
    summary = mill.person("sync").desk.look().ledger.holdings.summary(first)
    assert summary is not None
    assert (summary.status, [item.release for item in summary.items]) == (
        Status.SUCCESSFUL,
        [OutcomeStatus.SUPERSEDED],
    )


def test_what_failed_on_two_targets_stays_failed_while_one_of_them_fails(
    bench: Bench, tmp_path: Path
) -> None:
    east, west = Plant(folder=tmp_path / "east"), Plant(folder=tmp_path / "west")
    with open_mill(bench, {"east": east, "west": west}) as shop:
        fails_on_both_then_on_one(shop, east, west)


def fails_on_both_then_on_one(shop: Shop, east: Plant, west: Plant) -> None:
    shop.person("sync").sync()
    east.fails = west.fails = frozenset({"orders"})
    name = merged(shop, orders("two"), "orders")
    (one,) = shop.person("sync").sync().packages
    assert outcomes(one) == {"job/orders@east": OutcomeStatus.FAILED, "job/orders@west": OutcomeStatus.FAILED}
    east.fails = frozenset()
    result = shop.person("sync").sync(retry=True)
    assert ([str(item) for _, item in result.behind], result.exit) == (["job/orders"], Exit.REFUSED)
    summary = shop.person("sync").desk.look().ledger.holdings.summary(name)
    assert summary is not None
    assert (summary.status, [item.release for item in summary.items]) == (
        Status.FAILED,
        [OutcomeStatus.FAILED],
    )
    west.fails = frozenset()
    assert shop.person("sync").sync(retry=True).exit is Exit.DONE
    summary = shop.person("sync").desk.look().ledger.holdings.summary(name)
    assert summary is not None
    assert (summary.status, [item.release for item in summary.items]) == (
        Status.SUCCESSFUL,
        [OutcomeStatus.SUCCESSFUL],
    )
    assert (east.versions(), west.versions()) == ({"job/orders": 2, "script/clean": 1},) * 2


def test_a_transactional_target_takes_a_package_in_one_call_or_not_at_all(mill: Shop, plant: Plant) -> None:
    plant.is_transactional = True
    mill.person("sync").sync()
    plant.fails = frozenset({"c"})
    before = len(plant.calls)
    merged(mill, CHAIN, "a", "b", "c", "d", name="chain")
    (one,) = mill.person("sync").sync().packages
    assert plant.calls[before:] == [("job/a", "job/d", "job/b", "job/c")]
    assert plant.notes[before:] == ["package chain"]
    assert set(outcomes(one).values()) == {OutcomeStatus.FAILED}
    assert plant.versions() == {"job/orders": 1, "script/clean": 1}


def test_a_call_that_breaks_down_is_a_failure_of_every_item_in_it(mill: Shop, plant: Plant) -> None:
    mill.person("sync").sync()
    plant.breaks = "the mill stands still"
    name = merged(mill, orders("two"), "orders")
    (one,) = mill.person("sync").sync().packages
    assert (one.name, one.status) == (name, Status.FAILED)
    assert [made.outcome.error for made in one.results] == ["RuntimeError: the mill stands still"]
    assert subjects(mill)[-1] == f"finished package {name}"


def test_a_package_that_a_target_cannot_hold_is_refused_as_a_whole_with_a_receipt(
    mill: Shop, plant: Plant
) -> None:
    mill.person("sync").sync()
    name = merged(mill, {"jobs/sales/a.job.yaml": job_yaml("a"), **orders("two")}, "a", "orders")
    plant.cannot_hold = frozenset({"Shell"})
    result = mill.person("sync").sync()
    assert result.packages == (
        PackageSync(name=name, status=Status.REFUSED, reasons=("job/a: the plant cannot hold Shell nodes",)),
    )
    assert result.exit is Exit.REFUSED
    last = receipts(mill)[-1]
    assert (last["event"], last["package"], last["reasons"]) == (
        "refused",
        name,
        [{"code": "target-cannot-hold", "message": "job/a: the plant cannot hold Shell nodes"}],
    )
    assert plant.versions() == {"job/orders": 1, "script/clean": 1}
    # Its changes are nobody's from now on, and nobody tries it again.
    before = mill.refs()
    again = mill.person("sync").sync()
    assert again.packages == again.waiting == ()
    assert ORDERS in again.unapproved
    assert again.exit is Exit.REFUSED
    assert mill.refs() == before


def test_a_package_whose_references_vanished_is_refused_and_the_next_one_is_applied(shop: Shop) -> None:
    shop.person("sync").sync()
    added = {
        "scripts/sales/tidy.script.yaml": script_yaml("tidy"),
        "scripts/sales/tidy.sql": "SELECT 2;\n",
    }
    shop.released(added, "script/tidy")
    uses = propose(
        shop, {"jobs/sales/bills.job.yaml": job_yaml("bills", script="tidy")}, "bills", name="uses"
    )
    gone = propose(shop, dict.fromkeys(added), "script/tidy", by="dev-2", delete=True, name="gone")
    after = propose(shop, orders("two"), "orders", name="after")
    shop.person("dep-1").approve(gone)
    # Merging asks again, so only raw git brings this onto the main branch.
    with pytest.raises(Refused):
        shop.person("dep-1").approve(uses)
        shop.person("dep-1").merge(uses)
    merge_by_git(shop, uses)
    shop.person("dep-1").approve(after)
    result = shop.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [
        (gone, Status.SUCCESSFUL),
        (uses, Status.REFUSED),
        (after, Status.SUCCESSFUL),
    ]
    assert "tidy" in result.packages[1].reasons[0]
    assert held(shop, "bills.job") is None
    assert shop.person("sync").sync().packages == ()


# Drift.


def drifted(result: SyncResult) -> list[str]:
    """Name what a sync found beside the ledger."""
    return [str(item) for _, item in result.drifted]


def test_what_somebody_put_into_production_is_told_and_never_overwritten(shop: Shop) -> None:
    shop.person("sync").sync()
    push_to(shop, "deploy/main", {"scripts/3b/clean.script": "{}\n"})
    before = shop.refs()
    result = shop.person("sync").sync()
    assert (drifted(result), result.exit) == (["script/clean"], Exit.REFUSED)
    assert shop.refs() == before


def test_a_package_that_touches_what_drifted_leaves_it_alone_and_repair_brings_the_approved_bytes(
    shop: Shop,
) -> None:
    shop.person("sync").sync()
    push_to(shop, "deploy/main", {"jobs/1c/orders.job": "{}\n"})
    name = merged(shop, {**orders("two"), "jobs/sales/bills.job.yaml": job_yaml("bills")}, "orders", "bills")
    result = shop.person("sync").sync()
    (one,) = result.packages
    assert (one.name, one.status, outcomes(one)) == (
        name,
        Status.FAILED,
        {"job/bills@main": OutcomeStatus.SUCCESSFUL, "job/orders@main": OutcomeStatus.DRIFTED},
    )
    assert (drifted(result), result.exit) == (["job/orders"], Exit.REFUSED)
    assert held(shop, "orders.job") == {}
    # To try again is not to overwrite.
    assert drifted(shop.person("sync").sync(retry=True)) == ["job/orders"]
    assert held(shop, "orders.job") == {}
    assert shop.person("sync").sync(repair=("job/orders",)).exit is Exit.DONE
    job = held(shop, "orders.job")
    assert job is not None
    assert (job["version"], job["description"]) == ("2", "Loads orders two")
    last = receipts(shop)[-1]
    assert (last["event"], last["work"], last["items"]) == ("finished", "repair", ["job/orders"])
    summary = shop.person("sync").desk.look().ledger.holdings.summary(name)
    assert summary is not None
    assert summary.status is Status.SUCCESSFUL
    assert shop.person("sync").sync() == CLEAN


def test_the_next_release_does_not_hide_what_drifted_beside_it(shop: Shop) -> None:
    shop.person("sync").sync()
    push_to(shop, "deploy/main", {"scripts/3b/clean.script": "{}\n"})
    merged(shop, {"jobs/sales/bills.job.yaml": job_yaml("bills")}, "bills")
    result = shop.person("sync").sync()
    assert [one.status for one in result.packages] == [Status.SUCCESSFUL]
    assert drifted(result) == ["script/clean"]
    assert drifted(shop.person("sync-2").sync()) == ["script/clean"]
    assert shop.person("sync").sync(repair=("clean",)).exit is Exit.DONE
    assert shop.person("sync").sync() == CLEAN


def test_a_job_that_nobody_released_is_drift_and_so_is_one_that_is_gone(mill: Shop, plant: Plant) -> None:
    mill.person("sync").sync()
    plant.meddle("job/ghost", {"jobs/x/ghost.job": "{}"})
    plant.meddle("script/clean", None)
    result = mill.person("sync").sync()
    assert (drifted(result), result.exit) == (["job/ghost", "script/clean"], Exit.REFUSED)
    assert drifted(mill.person("sync").sync(repair=("clean",))) == ["job/ghost"]
    assert mill.person("sync").sync(repair=("job/ghost",)).exit is Exit.DONE
    assert plant.versions() == {"job/orders": 1, "script/clean": 1}
    assert mill.person("sync").sync() == CLEAN


def test_drift_is_found_where_a_target_cannot_tell_its_state(mill: Shop, plant: Plant) -> None:
    plant.tells_state = False
    assert mill.person("sync").sync().exit is Exit.DONE
    assert mill.person("sync").sync() == CLEAN
    plant.meddle("job/orders", {"jobs/1c/orders.job": "{}"})
    assert drifted(mill.person("sync").sync()) == ["job/orders"]


# Who may, and on which ledger.


@pytest.mark.parametrize("who", ["adm-1", "dev-1", "dep-1", "view-1", "ops-1"])
def test_only_runners_sync(shop: Shop, who: str) -> None:
    changes_nothing(shop, who, NotAllowed, f"{who} .*may not bring production in line")


def test_a_sync_that_does_not_know_the_trust_root_believes_nothing(shop: Shop) -> None:
    shop.person("sync").root = None
    error = changes_nothing(shop, "sync", Refused, "the trust root is not known")
    assert error.hint is not None
    assert "GITRELEASE_ROOT" in error.hint


def test_a_ledger_that_is_missing_is_never_begun_anew(shop: Shop) -> None:
    shop.server.git("update-ref", "-d", "refs/heads/production")
    changes_nothing(shop, "sync", LedgerMissing, "there is no ledger: the branch `production` is missing")


def test_a_ledger_of_another_root_is_refused(shop: Shop) -> None:
    shop.person("sync").sync()
    other = shop.server.git(
        "commit-tree", "-m", shop.server.git("log", "-1", "--format=%B", shop.root), "production^{tree}"
    )
    shop.server.git("update-ref", "refs/heads/production", other)
    changes_nothing(shop, "sync-2", LedgerForged, "does not descend from the trust root")


def test_a_commit_that_is_no_trust_root_is_none(shop: Shop) -> None:
    shop.person("sync").sync()
    shop.person("sync-2").root = CommitId(shop.server.git("rev-parse", "production"))
    changes_nothing(shop, "sync-2", LedgerForged, "is no trust root")


def copied(shop: Shop, who: str, *options: str) -> None:
    """Push the last receipt once more by raw git, as somebody, on top of the ledger."""
    clone = shop.person(who).clone
    clone.git("fetch", "--quiet", "origin")
    body = clone.git("log", "-1", "--format=%B", "origin/production")
    made = clone.git(
        "commit-tree", *options, "-p", "origin/production", "-m", body, "origin/production^{tree}"
    )
    clone.push(f"{made}:production")


@pytest.mark.parametrize(
    ("who", "options", "words"),
    [
        ("sync", (), "is not signed"),
        ("adm-1", ("-S",), "was signed by adm-1, who is no runner"),
        ("stranger", ("-S",), "is signed with a key that no member has"),
    ],
)
def test_a_receipt_that_no_runner_signed_is_refused(
    shop: Shop, who: str, options: tuple[str, ...], words: str
) -> None:
    shop.person("sync").sync()
    copied(shop, who, *options)
    changes_nothing(shop, "sync-2", LedgerForged, words)


def test_who_slips_in_another_workspace_cannot_sign_for_it(shop: Shop, bench: Bench) -> None:
    shop.person("sync").sync()
    clone = shop.person("mallory").clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "-B", "evil", "origin/production")
    workspace = clone.git("show", "origin/production:workspace.yaml")
    member = (
        f'  - id: mallory\n    emails: [mallory@example.org]\n    keys: ["{bench.keys("mallory").public}"]\n'
    )
    clone.write(
        {"workspace.yaml": workspace.replace("members:\n", f"members:\n{member}    roles: [runner]\n") + "\n"}
    )
    body = clone.git("log", "-1", "--format=%B", "origin/production").replace('"finished"', '"refused"')
    clone.git("commit", "--quiet", "--all", "-m", body)
    clone.git("commit", "--quiet", "--allow-empty", "-S", "-m", body)
    clone.push("HEAD:production")
    changes_nothing(shop, "sync-2", LedgerForged, "is not signed")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('{"runner": "\\ud800"}', r"\\ud800 is half a character"),
        ('{"run": 1, "run": 2}', "the key 'run' stands twice"),
        ("no value at all", "carries no value of gitrelease"),
    ],
)
def test_a_receipt_that_cannot_be_read_says_what_to_do(shop: Shop, value: str, words: str) -> None:
    shop.person("sync").sync()
    clone = shop.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    tip = "origin/production"
    made = clone.git("commit-tree", "-S", "-p", tip, "-m", f"odd\n\n{value}", f"{tip}^{{tree}}")
    clone.push(f"{made}:production")
    error = changes_nothing(shop, "sync-2", MessageRefused, words)
    assert error.hint is not None
    assert "restore the branch `production` from a clone" in error.hint


def test_a_ledger_that_keeps_the_trust_root_only_beside_it_is_refused(shop: Shop) -> None:
    shop.person("sync").sync()
    clone = shop.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    body = clone.git("log", "-1", "--format=%B", "origin/production").replace('"finished"', '"refused"')
    tree_id = "origin/production^{tree}"
    lone = clone.git("commit-tree", "-m", body, tree_id)
    made = clone.git("commit-tree", "-S", "-p", lone, "-p", "origin/production", "-m", body, tree_id)
    clone.push(f"{made}:production")
    changes_nothing(shop, "sync-2", LedgerForged, "does not descend from the trust root")


def test_a_ledger_behind_the_archive_was_rewound(shop: Shop) -> None:
    shop.person("sync").sync()
    before = shop.refs()["refs/heads/production"]
    name = shop.released(orders("two"), "orders")
    # Much is revoked since, so the release is far down in the archive.
    for number in range(22):
        added = propose(
            shop, {f"jobs/x/j{number}.job.yaml": job_yaml(f"j{number}")}, f"j{number}", by="dev-2"
        )
        shop.person("dev-2").revoke(added)
    shop.server.git("update-ref", "refs/heads/production", before)
    changes_nothing(shop, "sync-2", LedgerForged, f"the archive says that {name} was released")


def test_a_clone_that_saw_the_ledger_notices_that_it_was_rewound(shop: Shop) -> None:
    shop.person("sync").sync()
    before = shop.refs()["refs/heads/production"]
    shop.person("sync").sync()
    merged(shop, orders("two"), "orders")
    shop.person("sync").sync()
    shop.server.git("update-ref", "refs/heads/production", before)
    changes_nothing(shop, "sync", GitReleaseError, "production")


def test_a_main_branch_of_another_name_stops_sync(shop: Shop) -> None:
    shop.server.git("branch", "-m", "main", "trunk")
    changes_nothing(
        shop, "sync", MainMissing, "there is no branch main, which the trust root names as the main branch"
    )


# Two at once.


def test_two_runners_at_once_apply_each_package_once(bench: Bench, tmp_path: Path) -> None:
    plant = Plant(folder=tmp_path / "plant", seconds=0.05)
    with open_mill(bench, {"plant": plant}, lease=20) as shop:
        shop.person("sync").sync()
        names = [merged(shop, orders(str(number)), "orders", name=f"p{number}") for number in range(3)]
        found: dict[str, SyncResult | BaseException] = {}
        ready = Barrier(2)

        def run(who: str) -> None:
            ready.wait()
            try:
                found[who] = shop.person(who).sync()
            except BaseException as wrong:  # noqa: BLE001 - the main thread looks at it
                found[who] = wrong

        shop.person("sync-2").desk.look()
        threads = [Thread(target=run, args=(who,)) for who in ("sync", "sync-2")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        results = [result for result in found.values() if isinstance(result, SyncResult)]
        assert len(results) == 2, found
        applied = [one.name for result in results for one in result.packages]
        assert sorted(applied) == names
        assert [line for line in subjects(shop) if " package " in line and "alive" not in line] == [
            f"{event} package {name}" for name in names for event in ("started", "finished")
        ]
        assert plant.calls.count(("job/orders",)) == 1 + len(names)
        assert plant.versions()["job/orders"] == 4


def test_a_lock_that_a_dead_git_left_is_named_when_a_release_cannot_be_ended(shop: Shop) -> None:
    merged(shop, orders("new"), "orders", name="one")
    lock = shop.server.path / "refs/tags/release/one.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(HalfDone, match=r"or its lock was left: refs/tags/release/one\.lock") as caught:
        shop.person("sync").sync()
    assert "delete that file in the shared repository" in (caught.value.hint or "")
