"""What a hostile round through the command line found, each once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelease.commands import SigningMissing
from gitrelease.commands.refusals import CheckFailed
from gitrelease.commands.release import publish
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.status import status
from gitrelease.commands.sync import SyncRequest, sync
from gitrelease.errors import Exit, NotFound, Refused
from gitrelease.reading.ledger import BadRoot, known_root
from gitrelease.reading.situation import MainRewritten
from gitrelease.repo import HistoryRewritten
from tests.kit.much_alike import first
from tests.kit.raw import push_on
from tests.kit.shop import Shop, job_yaml

ROOT = Path(__file__).parent.parent.parent
ORDERS = "jobs/sales/orders.job.yaml"


def edited(note: str) -> dict[str, str]:
    """Another version of the job the shop starts with."""
    return {ORDERS: job_yaml("orders", version=1, script="clean", note=note)}


@pytest.mark.parametrize(
    "path", first(2, ["extra/evil.sh", "jobs/zz/orders.job", "README", "jobs/zz/other.job"])
)
def test_a_file_beside_all_items_is_reported(shop: Shop, path: str) -> None:
    """Nobody but sync has anything to put on a deploy branch, in whatever place."""
    shop.released(edited("again"), "orders")
    thief = shop.person("dev-2").clone
    thief.git("fetch", "--quiet", "origin")
    thief.git("checkout", "--quiet", "--detach", "origin/deploy/main")
    thief.commit({path: "rm -rf /\n"}, "tidy up")
    thief.push("HEAD:refs/heads/deploy/main")
    synced = shop.person("sync").sync()
    assert (synced.foreign, synced.exit) == ((("main", path),), Exit.REFUSED)
    looked = status(shop.person("dev-1").desk)
    assert (looked.targets[0].foreign, looked.exit) == ((path,), Exit.REFUSED)
    # A release in between does not hide it.
    shop.person("dev-1").clone.git("checkout", "--quiet", "--", ".")
    shop.released({"jobs/sales/refunds.job.yaml": job_yaml("refunds")}, "refunds")
    assert shop.person("sync").sync().foreign == (("main", path),)


def test_a_target_that_is_not_there_is_refused_when_it_is_submitted(shop: Shop) -> None:
    """Released, it would stop every command that needs the target, its own repair among them."""
    admin = shop.person("adm-1")
    text = (admin.clone.path / "workspace.yaml").read_text(encoding="utf-8")
    admin.write({"workspace.yaml": text.replace("name: main, type: git", "name: main, type: nope")})
    before = shop.refs()
    ran = subprocess.run(
        [sys.executable, "-m", "gitrelease", "submit", "workspace"],
        cwd=admin.clone.path,
        env=dict(admin.clone.environ) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (Exit.REFUSED, "")
    assert "workspace.yaml:" in ran.stderr
    assert "of the type 'nope', which is not installed" in ran.stderr
    assert shop.refs() == before


def test_what_was_only_not_pulled_is_not_submitted(shop: Shop) -> None:
    """A clone that is behind would propose to take back what others released."""
    late = shop.person("dev-2")
    shop.released(edited("by dev-1"), "orders")
    late.write({"jobs/sales/refunds.job.yaml": job_yaml("refunds")})
    made = late.submit(everything=True)
    assert [(str(one.item), one.change) for one in made.items if one.change] == [("job/refunds", "add")]
    assert [one.note for one in made.items if not one.change] == [
        "is as you last pulled it; `gitrelease pull` brings version 2"
    ]


def test_release_all_says_what_it_leaves_out(shop: Shop) -> None:
    """One branch that counts for nothing stops nobody, and nobody misses it later."""
    person = shop.person("dev-1")
    person.write({"jobs/sales/refunds.job.yaml": job_yaml("refunds")})
    person.submit("refunds")
    text = job_yaml("orders", version=2, script="clean", note="x")
    push_on(shop.person("dev-2"), "submit/job/orders/v2", {ORDERS: text}, sign=False)
    made = person.release(everything=True)
    assert [str(planned.id) for planned in made.manifest.items] == ["job/refunds/v1"]
    assert [(one.file, one.message) for one in made.findings] == [
        ("job/orders/v2", "left out: is not signed")
    ]
    shop.person("dep-1").reject(made.manifest.name)
    person.clone.git("push", "--quiet", "origin", "--delete", "submit/job/refunds/v1")
    with pytest.raises(NotFound, match="no task can be released: job/orders/v2 left out: is not signed"):
        person.release(everything=True)


def test_a_closed_screen_is_no_defect(tmp_path: Path) -> None:
    """Standard output that was closed before the program began is like one nobody reads."""
    ran = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m gitrelease status >&-'],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    assert ran.returncode != Exit.DEFECT


def test_a_main_branch_merged_with_its_sides_exchanged_stops_everything(shop: Shop) -> None:
    shop.released(edited("once"), "orders")
    dev = shop.person("dev-1")
    dev.clone.git("fetch", "--quiet", "origin")
    main = dev.clone.git("rev-parse", "origin/main").strip()
    older = dev.clone.git("rev-parse", "origin/main^1").strip()
    tree = dev.clone.git("rev-parse", f"{main}^{{tree}}").strip()
    swapped = dev.clone.git("commit-tree", tree, "-p", older, "-p", main, "-m", "Merge").strip()
    dev.clone.push(f"{swapped}:refs/heads/main")
    refs = shop.refs()
    for act in (
        lambda: shop.person("sync").sync(),
        lambda: dev.submit("orders"),
        lambda: shop.person("dep-1").approve("any"),
    ):
        with pytest.raises(MainRewritten, match="does not go on from"):
            act()
    assert shop.refs() == refs
    # Moved back on the server, and accepted on purpose in the clones, all goes on.
    shop.server.git("update-ref", "refs/heads/main", main)
    with pytest.raises(HistoryRewritten) as caught:
        dev.desk.look()
    assert caught.value.hint is not None
    for step in caught.value.hint.split("on purpose: ")[1].split("; "):
        dev.clone.git(*step.split()[1:])
    dev.desk.look()


@pytest.mark.parametrize("what", ["production", "archive"])
def test_a_branch_that_only_grows_hung_on_another_beginning_stops_everything(shop: Shop, what: str) -> None:
    """All there was is in it as a second parent, and by first parents it says something else."""
    shop.released(edited("once"), "orders")
    dep = shop.person("dep-1")
    dep.desk.look()
    dep.clone.git("fetch", "--quiet", "origin")
    tip = dep.clone.git("rev-parse", f"origin/{what}").strip()
    tree = dep.clone.git("rev-parse", f"{tip}^{{tree}}").strip()
    first = dep.clone.git("commit-tree", tree, "-m", "another beginning").strip()
    made = dep.clone.git("commit-tree", tree, "-p", first, "-p", tip, "-m", "another").strip()
    dep.clone.push(f"{made}:refs/heads/{what}")
    for _ in range(2):
        with pytest.raises(HistoryRewritten):
            dep.desk.look()


def test_a_task_that_says_it_takes_over_a_file_stops_nobody(shop: Shop) -> None:
    dev = shop.person("dev-1")
    dev.write(edited("once"))
    dev.submit("orders")
    dev.clone.git("fetch", "--quiet", "origin")
    blob = dev.clone.git("rev-parse", "origin/main:workspace.yaml").strip()
    tree = dev.clone.git("rev-parse", "origin/main^{tree}").strip()
    words = f"x\n\nItem: job/x\nVersion: 1\nChange: add\nSupersedes: {blob}\n"
    made = dev.clone.git("commit-tree", tree, "-p", "origin/main", "-m", words).strip()
    dev.clone.push(f"{made}:refs/heads/submit/job/x/v1")
    dev.release("orders", name="first")
    shop.person("dep-1").approve("first")


@pytest.mark.parametrize("key", ["nobody", "dev-2"])
def test_with_a_key_that_is_not_ones_own_nothing_is_written(shop: Shop, key: str) -> None:
    """Signed so, receipts would stop everybody, and a yes or a no would only seem to be one."""
    shop.person("dev-1").write(edited("again"))
    shop.person("dev-1").submit("orders")
    shop.person("dev-1").release("orders", name="first")
    shop.person("dep-1").approve("first")
    refs = shop.refs()
    for who in ("sync", "dep-2", "adm-1"):
        shop.person(who).clone.git("config", "user.signingKey", str(shop.bench.keys(key).path))
    for act in (
        lambda: shop.person("sync").sync(),
        lambda: shop.person("dep-2").reject("first"),
        lambda: shop.person("adm-1").approve("first"),
    ):
        with pytest.raises(SigningMissing, match="what you sign does not count as said by") as caught:
            act()
        assert caught.value.exit is Exit.CREDENTIALS
    assert shop.refs() == refs


def test_a_task_that_was_taken_back_does_not_go_live_by_a_package_made_elsewhere(shop: Shop) -> None:
    """Whoever made the package did not see that; nor did those who approve it."""
    shop.person("sync").sync()
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    dev.write(edited("again"))
    dev.submit("orders")
    other.release("orders", name="first")
    head = shop.refs()["refs/heads/package/first"]
    other.clone.git("fetch", "--quiet", "origin", head)
    other.clone.push(":refs/heads/package/first")
    revoke_tasks(dev.desk, ["orders"])
    other.clone.push(f"{head}:refs/heads/package/first")
    with pytest.raises(Refused, match="was revoked before it could be released"):
        shop.person("dep-1").approve("first")
    # Merged by hand, it is not applied either.
    merge = other.clone.git("commit-tree", f"{head}^{{tree}}", "-p", "origin/main", "-p", head, "-m", "Merge")
    other.clone.push(f"{merge}:refs/heads/main")
    held = shop.refs()["refs/heads/deploy/main"]
    synced = shop.person("sync").sync()
    assert (synced.exit, [one.name for one in synced.packages]) == (Exit.REFUSED, [])
    assert shop.refs()["refs/heads/deploy/main"] == held


def test_a_package_whose_task_was_taken_back_this_moment_does_not_pass_its_judge(shop: Shop) -> None:
    dev, other = shop.person("dev-1"), shop.person("dev-2")
    dev.write(edited("again"))
    dev.submit("orders")
    now = other.desk.look()
    manifest = other.release("orders", name="first", dry_run=True).manifest
    revoke_tasks(dev.desk, ["orders"])
    publish(other.desk, now, manifest, ())
    with pytest.raises(Refused, match="was revoked before it could be released"):
        shop.person("dep-1").approve("first")


def test_what_was_merged_this_moment_is_not_closed(shop: Shop) -> None:
    """A no that comes between the yes and the merge stays a no of what is merged."""
    shop.person("dev-1").write(edited("again"))
    shop.person("dev-1").submit("orders")
    shop.person("dev-1").release("orders", name="first")
    shop.bench.hook(
        shop.server,
        "update",
        'if [ "$1" = refs/heads/review/first ] && [ ! -e once ]; then touch once; '
        "m=$(git commit-tree refs/heads/package/first^{tree} -p main -p refs/heads/package/first -m Merge); "
        "git update-ref refs/heads/main $m; fi",
    )
    said = shop.person("dep-1").reject("first")
    assert said.is_late
    assert "refs/heads/package/first" in shop.refs()
    assert shop.person("sync").sync().exit is Exit.REFUSED


def test_a_no_that_comes_while_sync_begins_counts(shop: Shop) -> None:
    shop.person("sync").sync()
    dev, runner, dep = shop.person("dev-1"), shop.person("sync"), shop.person("dep-1")
    dev.write(edited("again"))
    dev.submit("orders")
    dev.release("orders", name="first")
    dep.approve("first")
    held = shop.refs()["refs/heads/deploy/main"]

    def interrupt(said: str) -> None:
        if said.startswith("package first") and not (shop.bench.folder / "once").exists():
            (shop.bench.folder / "once").touch()
            dep.reject("first", message="Stop")

    synced = sync(replace(runner.desk, say=interrupt), SyncRequest())
    assert (shop.bench.folder / "once").exists()
    assert (synced.exit, [one.status for one in synced.packages]) == (Exit.REFUSED, [])
    assert shop.refs()["refs/heads/deploy/main"] == held


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("jobs/sales", "write jobs/sales/** for all below it"),
        ("jobs/sales/", "write jobs/sales/** for all below it"),
        ("/jobs/**", "items lie below jobs/ and scripts/"),
        ("./jobs/**", "items lie below jobs/ and scripts/"),
        ("job/**", "items lie below jobs/ and scripts/"),
    ],
)
def test_a_rule_that_protects_nothing_is_refused(shop: Shop, pattern: str, hint: str) -> None:
    admin = shop.person("adm-1")
    rule = f"  required:\n    - {{paths: ['{pattern}'], from: [dep-1]}}\n"
    text = (admin.clone.path / "workspace.yaml").read_text(encoding="utf-8")
    admin.write({"workspace.yaml": text.replace("  execute: false\n", f"  execute: false\n{rule}")})
    with pytest.raises(CheckFailed) as caught:
        admin.submit("workspace")
    found = caught.value.findings[0]
    assert (found.code, found.key, found.hint) == ("rule-of-nothing", "review.required[0].paths[0]", hint)


@pytest.mark.parametrize(
    "pattern", ["jobs/**", "**", "*.yaml", "jobs/sales/orders.job.yaml", "scripts/*/x?.sql"]
)
def test_a_rule_of_some_file_is_one(shop: Shop, pattern: str) -> None:
    admin = shop.person("adm-1")
    rule = f"  required:\n    - {{paths: ['{pattern}'], from: [dep-1]}}\n"
    text = (admin.clone.path / "workspace.yaml").read_text(encoding="utf-8")
    admin.write({"workspace.yaml": text.replace("  execute: false\n", f"  execute: false\n{rule}")})
    assert admin.submit("workspace").items[0].task is not None


def test_a_root_that_is_no_commit_is_said_to_be_none(shop: Shop) -> None:
    shop.person("dev-1").clone.git("config", "gitrelease.root", "abc123")
    with pytest.raises(BadRoot, match="not the full id of a commit"):
        known_root(shop.person("dev-1").repo)
