"""What a hostile round through the command line found, each once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gitrelease.commands.status import status
from gitrelease.errors import Exit, NotFound
from gitrelease.reading.situation import MainRewritten
from gitrelease.repo import HistoryRewritten
from tests.kit.raw import push_on
from tests.kit.shop import Shop, job_yaml

ROOT = Path(__file__).parent.parent.parent
ORDERS = "jobs/sales/orders.job.yaml"


def edited(note: str) -> dict[str, str]:
    """Another version of the job the shop starts with."""
    return {ORDERS: job_yaml("orders", version=1, script="clean", note=note)}


@pytest.mark.parametrize("path", ["extra/evil.sh", "README", "jobs/zz/other.job", "jobs/zz/orders.job"])
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
