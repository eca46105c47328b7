"""A server that defends itself: from `init --server` to what its hooks do, by the command line and plain git."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import sleep

import pytest

from gitrelease.commands.review import add_reviewers
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.server import NotAServer, make_server, wait_for_push, woken
from gitrelease.commands.verify import verify
from gitrelease.core.names import package_name
from gitrelease.core.workspace import NotAllowed
from gitrelease.errors import Exit
from tests.github.fixtures import github
from tests.github.use_shop import open_hub_shop
from tests.kit.git import Bench, Clone
from tests.kit.shop import FIRST_ITEMS, Shop, job_yaml, open_shop, script_yaml, workspace_yaml
from tests.kit.targets import push_to_main

ROOT = Path(__file__).parent.parent.parent
ORDERS = "jobs/sales/orders.job.yaml"


def gitrelease(where: Path, environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "gitrelease", *words],
        cwd=where,
        env={**environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


# Every verb works unchanged.


@pytest.fixture(params=["plain", "guarded", pytest.param("github", marks=pytest.mark.long)])
def anywhere(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop on a plain server, on a server that defends itself, and on GitHub."""
    with ExitStack() as stack:
        if request.param == "github":
            made: Shop = open_hub_shop(bench, stack.enter_context(github(bench.folder / "github")))
        else:
            made = open_shop(bench, FIRST_ITEMS)
        stack.callback(made.close)
        if request.param == "guarded":
            make_server(made.server.path, environ=bench.environ)
        yield made


def test_the_whole_story_is_the_same_everywhere(anywhere: Shop) -> None:
    shop = anywhere
    dana, devi, runner = shop.person("dev-1"), shop.person("dep-1"), shop.person("sync")
    assert [str(one.work) for one in runner.sync().other] == ["baseline"]
    # Submitted together, superseded, taken back.
    dana.write({ORDERS: job_yaml("orders", version=1, script="clean", note="1")})
    dana.write(
        {"scripts/sales/late.script.yaml": script_yaml("late"), "scripts/sales/late.sql": "SELECT 2;\n"}
    )
    dana.submit(everything=True)
    dana.write({ORDERS: job_yaml("orders", version=2, script="clean", note="2")})
    assert [str(one) for one in dana.submit("orders").items[0].supersedes] == ["job/orders/v2"]
    other = shop.person("dev-2")
    other.write({ORDERS: job_yaml("orders", version=1, script="clean", note="3")})
    other.submit("orders", supersede=True)
    revoke_tasks(devi.desk, ["late"])
    dana.submit("late")
    # Rejected, revoked, approved by two, merged by the second.
    dana.release(everything=True, name="one")
    devi.reject("one")
    dana.release(everything=True, name="two")
    dana.revoke("two")
    dana.release(everything=True, name="three")
    add_reviewers(dana.desk, package_name("three"), ["adm-1"])
    devi.approve("three", "good")
    assert [one.status for one in runner.sync().packages] == ["successful"]
    # Back again, by somebody who may not submit; then deleted.
    rollback(devi.desk, RollbackRequest(package=package_name("three"), items=("job/orders",), name="back"))
    shop.person("adm-1").approve("back")
    runner.sync()
    dana.submit("job/orders", delete=True)
    dana.release("orders", name="gone")
    devi.approve("gone")
    runner.sync()
    # A change of the workspace, by a runner that loses its role in it.
    admin = shop.person("adm-1")
    admin.clone.git("pull", "--quiet", "origin", "main")
    text = (admin.clone.path / "workspace.yaml").read_text(encoding="utf-8")
    rows = text.partition("  - id: sync\n")
    admin.write({"workspace.yaml": rows[0] + rows[1] + rows[2].replace("[runner]", "[viewer]", 1)})
    admin.submit("workspace.yaml")
    admin.release("workspace", name="people")
    shop.person("adm-2").approve("people")
    with pytest.raises(NotAllowed):  # it finishes that, and may do no more
        runner.sync()
    assert [str(one.status) for one in shop.person("sync-2").sync().packages] == []
    dana.desk.look()
    assert verify(dana.desk).broken == ()
    assert [ref for ref in sorted(shop.refs()) if not ref.startswith("refs/pull/")] == [
        "refs/heads/archive",
        "refs/heads/deploy/main",
        "refs/heads/main",
        "refs/heads/production",
        "refs/tags/release/back",
        "refs/tags/release/gone",
        "refs/tags/release/people",
        "refs/tags/release/three",
    ]


def test_what_was_pushed_before_the_server_defended_itself_is_put_back(shop: Shop) -> None:
    """A restore is a package like any other, on a main branch that nobody can push to any more."""
    push_to_main(shop, {ORDERS: job_yaml("orders", version=1, script="clean", note="unapproved")})
    make_server(shop.server.path, environ=shop.bench.environ)
    dana = shop.person("dev-1")
    dana.desk.look()
    rollback(dana.desk, RollbackRequest(unapproved=True, name="restore"))
    shop.person("dep-1").approve("restore")
    runner = shop.person("sync")
    assert [one.status for one in runner.sync().packages] == ["successful"]
    assert runner.sync().unapproved == ()


# From nothing.


@pytest.fixture
def folder(bench: Bench) -> Clone:
    """A folder of an admin that is to become a release repository."""
    path = bench.folder / "shop"
    path.mkdir()
    made = Clone(path=path, environ=bench.environ, clock=bench.clock)
    made.git("init", "--quiet", "--initial-branch=trunk", "--template=")
    for key, value in {
        "user.name": "adm-1",
        "user.email": "adm-1@example.org",
        "gpg.format": "ssh",
        "user.signingKey": str(bench.keys("adm-1").path),
    }.items():
        made.git("config", key, value)
    made.write({"workspace.yaml": workspace_yaml(bench), **FIRST_ITEMS})
    return made


def test_init_makes_the_server_and_shares_the_beginning_through_it(bench: Bench, folder: Clone) -> None:
    server = bench.folder / "srv" / "shop.git"
    ran = gitrelease(folder.path, bench.environ, "init", "--server", "../srv/shop.git")
    assert ran.returncode == 0, ran.stderr
    assert f"the server {server} is ready: it checks every push" in ran.stdout
    assert folder.git("config", "remote.origin.url") == str(server)
    made = Clone(path=server, environ=bench.environ, clock=bench.clock)
    assert sorted(made.refs()) == ["refs/heads/production", "refs/heads/trunk"]
    # Clones check out the main branch, whatever it is called.
    assert made.git("symbolic-ref", "HEAD") == "refs/heads/trunk"
    # Run again, nothing is made anew, and the hooks are written anew.
    (server / "hooks" / "pre-receive").write_text("# gitrelease: old\n", encoding="utf-8")
    text = (server / "hooks" / "post-receive").read_text(encoding="utf-8")
    (server / "hooks" / "pre-receive").write_text(text.replace("wake", "doze"), encoding="utf-8")
    again = gitrelease(folder.path, bench.environ, "init", "--server", str(server), "--json")
    assert again.returncode == 0, again.stderr
    shown = json.loads(again.stdout)
    root = made.refs()["refs/heads/production"]
    assert shown["server"] == {"folder": str(server), "existed": True, "root": root, "notes": []}
    assert "check --pre-receive" in (server / "hooks" / "pre-receive").read_text(encoding="utf-8")
    assert made.git("config", "gitrelease.root") == root


def test_init_makes_a_server_alone_where_nobody_works(bench: Bench) -> None:
    place = bench.folder / "srv"
    place.mkdir()
    ran = gitrelease(place, bench.environ, "init", "--server", "shop.git")
    assert ran.returncode == 0, ran.stderr
    assert [path.name for path in place.iterdir()] == ["shop.git"]
    assert f"next: gitrelease init --server {place / 'shop.git'}" in ran.stdout
    server = Clone(path=place / "shop.git", environ=bench.environ, clock=bench.clock)
    for key, value in {
        "receive.fsckObjects": "true",
        "gc.pruneExpire": "never",
        "core.logAllRefUpdates": "always",
        "core.hooksPath": "hooks",
    }.items():
        assert server.git("config", key) == value
    assert len(server.git("config", "receive.certNonceSeed")) == 64
    # A repository with a past can be pushed there before there is a ledger; nothing is guarded yet.
    clone = bench.clone(server, "dev-1")
    clone.commit({"jobs/a.job.yaml": job_yaml("a")})
    clone.push("HEAD:main")


def test_init_does_not_make_a_server_of_anything_else(bench: Bench, folder: Clone) -> None:
    (bench.folder / "full").mkdir()
    (bench.folder / "full" / "x").touch()
    for where, why in (
        ("../full", "is there, and is no bare repository"),
        ("server.git", "lies in the working folder"),
        (".", "lies in the working folder"),
    ):
        ran = gitrelease(folder.path, bench.environ, "init", "--server", where)
        assert (ran.returncode, why in ran.stderr) == (Exit.REFUSED, True), ran.stderr
    assert not (folder.path / "server.git").exists()
    assert "remote" not in folder.git("config", "--list")
    folder.git("remote", "add", "origin", "https://example.org/shop.git")
    ran = gitrelease(folder.path, bench.environ, "init", "--server", "../other.git")
    assert "the remote origin of this clone is https://example.org/shop.git" in ran.stderr


# Hooks.


def test_hooks_of_others_stay_and_run_beside_ours(shop: Shop) -> None:
    shop.bench.hook(shop.server, "pre-receive", "exit 0")
    before = (shop.server.path / "hooks" / "pre-receive").read_bytes()
    with pytest.raises(NotAServer, match="is somebody else's") as refused:
        make_server(shop.server.path, environ=shop.bench.environ)
    assert "rename it to pre-receive.local" in (refused.value.hint or "")
    assert (shop.server.path / "hooks" / "pre-receive").read_bytes() == before
    assert "receive.fsckobjects" not in shop.server.git("config", "--list")
    (shop.server.path / "hooks" / "pre-receive").rename(shop.server.path / "hooks" / "pre-receive.local")
    make_server(shop.server.path, environ=shop.bench.environ)
    shop.bench.hook(
        shop.server, "pre-receive.local", 'grep -q frozen && { echo "the shop is closed"; exit 1; }; exit 0'
    )
    clone = shop.person("dev-1").clone
    clone.push("HEAD:refs/heads/feature/x")
    ran = clone.git("push", "origin", "HEAD:refs/heads/frozen", check=False)
    assert "refs/heads/frozen" not in shop.refs(), ran


def test_hooks_elsewhere_are_not_passed_over(shop: Shop) -> None:
    shop.server.git("config", "core.hooksPath", "/etc/hooks")
    with pytest.raises(NotAServer, match=r"core\.hooksPath of"):
        make_server(shop.server.path, environ=shop.bench.environ)
    shop.server.git("config", "--unset", "core.hooksPath")
    # What the machine says of all its repositories does not turn ours off.
    (shop.bench.home / "gitconfig").write_text("[core]\n\thooksPath = /nowhere\n", encoding="utf-8")
    make_server(shop.server.path, environ=shop.bench.environ)
    clone = shop.person("dev-1").clone
    clone.git("push", "origin", "HEAD:refs/notes/x", check=False)
    assert "refs/notes/x" not in shop.refs()


def test_a_server_whose_gitrelease_is_gone_takes_nothing_and_says_so(shop: Shop) -> None:
    make_server(shop.server.path, environ=shop.bench.environ)
    hook = shop.server.path / "hooks" / "pre-receive"
    text = hook.read_text(encoding="utf-8")
    clone = shop.person("dev-1").clone
    for old, new in ((sys.executable, "/nowhere/python3"), (str(ROOT), "/nowhere/lib")):
        assert old in text
        hook.write_text(text.replace(old, new), encoding="utf-8")
        ran = subprocess.run(
            ["git", "push", "origin", "HEAD:refs/heads/feature/x"],
            cwd=clone.path, env=dict(clone.environ), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode != 0
        assert (
            "this server cannot check what is pushed, so it takes nothing: gitrelease is gone from it"
            in ran.stderr
        )
        assert "gitrelease init --server" in ran.stderr
    assert "refs/heads/feature/x" not in shop.refs()
    make_server(shop.server.path, environ=shop.bench.environ)
    clone.push("HEAD:refs/heads/feature/x")


def test_a_hook_that_cannot_judge_refuses(shop: Shop) -> None:
    """A ledger that cannot be read is no reason to let anything through but people's own branches."""
    make_server(shop.server.path, environ=shop.bench.environ)
    clone = shop.person("dev-1").clone
    tree = shop.server.git("rev-parse", "production^{tree}")
    odd = shop.server.git("commit-tree", "-m", "no receipt", "-p", "production", tree)
    shop.server.git("update-ref", "refs/heads/production", odd)
    for ref, goes in (
        ("submit/job/orders/v2", False),
        ("main", False),
        ("production", False),
        ("feature/x", True),
    ):
        before = shop.refs()
        clone.commit({"x": ref})
        ran = subprocess.run(
            ["git", "push", "--quiet", "origin", f"HEAD:refs/heads/{ref}"],
            cwd=clone.path, env=dict(clone.environ), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode == 0) is goes, ran.stderr
        assert (shop.refs() != before) is goes


def test_a_ledger_that_cannot_be_believed_is_not_taken_over(shop: Shop) -> None:
    tree = shop.server.git("rev-parse", "production^{tree}")
    odd = shop.server.git("commit-tree", "-m", "no receipt", tree)
    shop.server.git("update-ref", "refs/heads/production", odd)
    with pytest.raises(NotAServer, match="its branch production is no ledger to go on from"):
        make_server(shop.server.path, environ=shop.bench.environ)


# Waking sync.


def test_a_push_that_gives_sync_something_to_do_wakes_it(shop: Shop) -> None:
    make_server(shop.server.path, environ=shop.bench.environ)
    runner, dana = shop.person("sync"), shop.person("dev-1")
    runner.sync()
    seen = woken(runner.repo)
    dana.write({ORDERS: job_yaml("orders", version=1, script="clean", note="1")})
    dana.submit("orders")
    dana.release("orders", name="one")
    assert not wait_for_push(runner.repo, seen, 0)
    shop.person("dep-1").approve("one")
    assert wait_for_push(runner.repo, seen, 60)
    seen = woken(runner.repo)
    runner.sync()
    assert not wait_for_push(runner.repo, seen, 0)  # what sync itself pushes wakes nobody


def test_a_push_starts_the_command_that_the_server_names_and_waits_for_it_no_longer(shop: Shop) -> None:
    make_server(shop.server.path, environ=shop.bench.environ)
    gate, out = shop.bench.folder / "gate", shop.bench.folder / "out"
    os.mkfifo(gate)
    # The command goes on when somebody opens the gate, which is after the push has ended.
    command = f'read line < "{gate}"; env | grep -c ^GIT_DIR= > "{out}.new"; mv "{out}.new" "{out}"'
    shop.server.git("config", "gitrelease.onReceive", command)
    clone = shop.person("dev-1").clone
    pushed = subprocess.run(
        ["git", "push", "--quiet", "origin", "HEAD:refs/heads/feature/x"],
        cwd=clone.path, env=dict(clone.environ), capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert pushed.returncode == 0
    gate.write_text("go\n", encoding="utf-8")
    wait_until(out.exists)
    assert out.read_text(encoding="utf-8").strip() == "0"


def test_users_who_share_a_server_wake_sync_all_the_same(shop: Shop) -> None:
    """What another user made can be replaced, not written to; a folder in its place stands for that here."""
    server = shop.server.path
    (server / "objects").chmod(0o2775)
    make_server(server, environ=shop.bench.environ)
    assert (server / "gitrelease").stat().st_mode & 0o7777 == 0o2775
    out, wake = shop.bench.folder / "out", server / "gitrelease" / "wake"
    shop.server.git("config", "gitrelease.onReceive", f'touch "{out}"')
    wake.touch(0o444)
    before = wake.stat()
    (server / "gitrelease" / "on-receive.log").mkdir()
    shop.person("dev-1").clone.push("HEAD:refs/heads/feature/x")
    assert wake.stat().st_ino != before.st_ino
    wait_until(out.exists)


def test_who_watches_on_the_machine_of_the_server_sees_to_a_release_at_once(shop: Shop) -> None:
    """The watch would look again in a day; what is approved reaches production all the same."""
    make_server(shop.server.path, environ=shop.bench.environ)
    runner, dana = shop.person("sync"), shop.person("dev-1")
    dana.write({ORDERS: job_yaml("orders", version=1, script="clean", note="1")})
    dana.submit("orders")
    dana.release("orders", name="one")
    env = {**runner.clone.environ, "PYTHONPATH": str(ROOT), "GITRELEASE_ROOT": str(shop.root)}
    watching = subprocess.Popen(
        [sys.executable, "-m", "gitrelease", "sync", "--watch", "--interval", "86400", "--json"],
        cwd=runner.clone.path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "{\n"  # the baseline is done, and it waits
        shop.person("dep-1").approve("one")
        wait_until(lambda: watching.poll() is not None or "refs/tags/release/one" in shop.refs())
        assert watching.poll() is None
    finally:
        watching.kill()
        watching.communicate()


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something that another process does, and give up when nobody could believe in it any more."""
    for _ in range(3000):
        if is_so():
            return
        sleep(0.1)
    raise AssertionError("it never came to be")
