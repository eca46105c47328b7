"""What the main branch holds that nobody approved: told by its path, never deployed; how it goes again."""

from __future__ import annotations

import pytest

from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.sync import PackageSync, SyncResult
from gitrelease.core.item import ItemState, Record, record_document
from gitrelease.core.names import MemberId, item_key, manifest_path, record_path
from gitrelease.core.package import Manifest, Purpose, manifest_document
from gitrelease.core.status import Status
from gitrelease.core.workspace import NotAllowed
from gitrelease.documents import dump
from gitrelease.errors import Exit, NotFound, Refused
from tests.kit.much_alike import first
from tests.kit.shop import Shop, job_yaml
from tests.kit.targets import (
    edit,
    merge_by_git,
    merged,
    propose,
    push_to_main,
    receipts,
    tree,
)

ORDERS = "jobs/sales/orders.job.yaml"
BILLS = "jobs/sales/bills.job.yaml"
CLEAN = SyncResult(packages=(), other=(), unapproved=(), waiting=(), drifted=(), behind=())


def orders(note: str) -> str:
    """Write the job that the shop starts with, changed."""
    return job_yaml("orders", script="clean", note=note)


def forged_record(version: int) -> str:
    """Write a record of the job that names a version which never was."""
    state = ItemState(version=version, files={})
    return dump(record_document(Record(item=item_key("job/orders"), state=state, package=None))).decode()


def forged_manifest(shop: Shop, name: str = "mine") -> tuple[str, str]:
    """Write a manifest that changes nothing; give its path as well."""
    manifest = Manifest(
        name=name,  # type: ignore[arg-type]
        workspace="6f0c2d7e5b6a4e1f9c8d7b6a5e4f3d2c",
        root=shop.root,
        main="main",
        purpose=Purpose.RELEASE,
        applicant=MemberId("dev-1"),
        description="",
        reviewers=(),
        execute=False,
    )
    return manifest_path(manifest.name), dump(manifest_document(manifest)).decode()


@pytest.fixture
def synced(shop: Shop) -> Shop:
    """The shop, its production in line."""
    shop.person("sync").sync()
    return shop


def workspace(shop: Shop) -> str:
    """Read the workspace on the main branch."""
    return shop.server.git("show", "main:workspace.yaml") + "\n"


# Reported, never deployed, while approved packages are handled.


@pytest.mark.parametrize(
    ("files", "paths"),
    first(
        3,
        [
            (
                {record_path(item_key("job/orders")): forged_record(7), ORDERS: orders("both")},
                (record_path(item_key("job/orders")), ORDERS),
            ),
            ({"jobs/sales/notes.txt": "stray\n"}, ("jobs/sales/notes.txt",)),
            ({ORDERS: None}, (ORDERS,)),
            ({ORDERS: orders("pushed")}, (ORDERS,)),
            ({BILLS: job_yaml("bills", version=1)}, (BILLS,)),
            ({"scripts/sales/clean.sql": "DROP TABLE orders;\n"}, ("scripts/sales/clean.sql",)),
        ],
    ),
    ids=["record", "stray", "deletion", "item", "addition", "content"],
)
def test_a_direct_push_is_told_by_its_path_and_not_deployed(
    synced: Shop, files: dict[str, str | None], paths: tuple[str, ...]
) -> None:
    approved = tree(synced, "production")
    push_to_main(synced, files)
    name = merged(synced, {"jobs/ops/other.job.yaml": job_yaml("other")}, "other", by="dev-2")
    result = synced.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.SUCCESSFUL)]
    assert (result.unapproved, result.exit) == (paths, Exit.REFUSED)
    now = tree(synced, "production")
    assert {path: blob for path, blob in now.items() if path in approved} == approved
    assert not set(paths) & (now.keys() - approved.keys())
    before = synced.refs()
    again = synced.person("sync").sync()
    assert (again.packages, again.unapproved, again.exit) == ((), paths, Exit.REFUSED)
    assert synced.refs() == before


def test_a_pushed_workspace_is_not_effective(synced: Shop) -> None:
    push_to_main(
        synced, {"workspace.yaml": workspace(synced).replace("roles: [developer]", "roles: [admin]")}
    )
    name = propose(synced, {BILLS: job_yaml("bills")}, "bills", by="dev-1")
    with pytest.raises(NotAllowed, match=r"dev-2 .*may not"):
        synced.person("dev-2").approve(name)
    result = synced.person("sync").sync()
    assert (result.unapproved, result.exit) == (("workspace.yaml",), Exit.REFUSED)
    assert "roles: [developer]" in synced.server.git("show", "production:workspace.yaml")
    synced.person("dep-1").approve(name)
    assert [one.status for one in synced.person("sync").sync().packages] == [Status.SUCCESSFUL]


def test_a_pushed_manifest_is_a_package_that_nobody_approved(synced: Shop) -> None:
    path, text = forged_manifest(synced)
    push_to_main(synced, {path: text})
    before = synced.refs()
    result = synced.person("sync").sync()
    assert (result.packages, result.unapproved, result.exit) == ((), (path,), Exit.REFUSED)
    assert [one.name for one in result.waiting] == ["mine"]
    assert "mine has no branch and no review any more" in result.waiting[0].reasons
    assert synced.refs() == before


def test_a_manifest_that_cannot_be_read_is_told_and_stops_nothing(synced: Shop) -> None:
    path, _ = forged_manifest(synced)
    push_to_main(synced, {path: "kind: [\n"})
    name = merged(synced, {BILLS: job_yaml("bills")}, "bills", by="dev-2")
    result = synced.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.SUCCESSFUL)]
    assert [one.name for one in result.waiting] == ["mine"]
    assert (result.unapproved, result.exit) == ((path,), Exit.REFUSED)


def test_a_merge_with_something_slipped_in_is_unapproved_as_a_whole(synced: Shop) -> None:
    edit(synced.person("adm-1"), "workspace.yaml", "autoMerge: true", "autoMerge: false")
    merged_by_hand = propose(synced, {}, "workspace.yaml", by="adm-1")
    synced.person("adm-2").approve(merged_by_hand)
    name = propose(synced, {ORDERS: orders("good")}, "orders")
    synced.person("dep-1").approve(name)
    approved = tree(synced, "production")
    merge_by_git(synced, name, extra={"scripts/sales/clean.sql": "DROP TABLE orders;\n"})
    result = synced.person("sync").sync()
    assert [one.name for one in result.packages] == [merged_by_hand]
    assert result.waiting == (
        PackageSync(
            name=name,
            status=Status.MERGED,
            reasons=("it changes scripts/sales/clean.sql, which its manifest does not name",),
        ),
    )
    assert set(result.unapproved) == {
        ORDERS,
        "scripts/sales/clean.sql",
        record_path(item_key("job/orders")),
        manifest_path(name),
    }
    now = tree(synced, "production")
    assert {path for path in approved if now[path] != approved[path]} == {
        "workspace.yaml",
        record_path(item_key("workspace/workspace")),
    }


def test_what_is_pushed_on_top_of_an_approved_package_does_not_stop_it(synced: Shop) -> None:
    name = merged(synced, {ORDERS: orders("approved")}, "orders")
    push_to_main(synced, {ORDERS: orders("pushed")}, by="dev-2")
    result = synced.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [(name, Status.SUCCESSFUL)]
    assert (result.unapproved, result.exit) == ((ORDERS,), Exit.REFUSED)
    assert "approved" in synced.server.git("show", f"production:{ORDERS}")


# What else is refused until it is put back.


def test_submit_release_gate_and_sync_refuse_more_of_an_item_that_nobody_approved(synced: Shop) -> None:
    open_one = propose(
        synced, {"scripts/sales/clean.sql": "SELECT 3;\n"}, "script/clean", by="dev-2", name="open"
    )
    task = synced.person("dev-1")
    task.write({ORDERS: orders("task")})
    (submitted,) = task.submit("orders").items
    push_to_main(
        synced,
        {
            ORDERS: orders("pushed"),
            "scripts/sales/clean.script.yaml": synced.server.git(
                "show", "main:scripts/sales/clean.script.yaml"
            )
            + "\ndescription: pushed\n",
        },
        by="dev-2",
    )
    refs = synced.refs()
    with pytest.raises(Refused, match="the main branch holds job/orders as nobody approved it"):
        synced.person("dev-1").release(str(submitted.task))
    with pytest.raises(Refused, match="the main branch holds job/orders as nobody approved it"):
        task.write({ORDERS: orders("more")})
        task.submit("orders")
    assert synced.refs() == refs
    with pytest.raises(Refused, match=r"the main branch holds (job|script)/\S+ as nobody approved it"):
        synced.person("dep-1").approve(open_one)
    assert synced.refs()["refs/heads/main"] == refs["refs/heads/main"]


def test_a_package_that_git_merges_on_top_of_what_nobody_approved_is_refused(synced: Shop) -> None:
    edit(
        synced.person("dev-2"),
        "scripts/sales/clean.script.yaml",
        "type: HiveSQL",
        "description: x\ntype: HiveSQL",
    )
    name = propose(synced, {}, "script/clean", by="dev-2")
    push_to_main(synced, {"scripts/sales/clean.sql": "DROP TABLE orders;\n"})
    with pytest.raises(Refused, match="as nobody approved it"):
        synced.person("dep-1").approve(name)
    merge_by_git(synced, name)
    result = synced.person("sync").sync()
    assert result.packages == (
        PackageSync(
            name=name,
            status=Status.REFUSED,
            reasons=("it was merged on top of scripts/sales/clean.sql as nobody approved it",),
        ),
    )
    assert receipts(synced)[-1]["event"] == "refused"
    assert result.exit is Exit.REFUSED


# Putting it back.


def test_restoring_puts_the_approved_bytes_back_once_somebody_else_says_yes(synced: Shop) -> None:
    approved = tree(synced, "main")
    path, text = forged_manifest(synced)
    push_to_main(
        synced,
        {
            ORDERS: orders("pushed"),
            "jobs/sales/notes.txt": "stray\n",
            path: text,
            "scripts/sales/clean.sql": None,
            "README.md": "stays\n",
        },
    )
    made = rollback(synced.person("dev-2").desk, RollbackRequest(unapproved=True))
    assert {entry.path for entry in made.manifest.restores} == {
        ORDERS,
        "jobs/sales/notes.txt",
        path,
        "scripts/sales/clean.sql",
    }
    assert made.manifest.purpose is Purpose.RESTORE
    # Said twice it is one package.
    again = rollback(synced.person("dev-2").desk, RollbackRequest(unapproved=True))
    assert (again.is_old, again.manifest, again.head) == (True, made.manifest, made.head)
    result = synced.person("sync").sync()
    assert (result.packages, result.exit) == ((), Exit.REFUSED)
    synced.person("dep-1").approve(made.manifest.name)
    result = synced.person("sync").sync()
    assert [(one.name, one.status) for one in result.packages] == [(made.manifest.name, Status.SUCCESSFUL)]
    assert (result.unapproved, result.waiting, result.exit) == ((), (), Exit.DONE)
    assert tree(synced, "main") == approved | {
        made.manifest.path: tree(synced, "main")[made.manifest.path],
        "README.md": tree(synced, "main")["README.md"],
    }
    assert synced.person("sync").sync() == CLEAN
    # And the item can be released again.
    assert synced.released({ORDERS: orders("again")}, "orders")
    assert synced.person("sync").sync() == CLEAN


def test_a_pushed_workspace_is_put_back_with_an_admins_yes(synced: Shop) -> None:
    before = workspace(synced)
    push_to_main(synced, {"workspace.yaml": before.replace("approvals: 1", "approvals: 2")})
    name = rollback(synced.person("dev-2").desk, RollbackRequest(unapproved=True)).manifest.name
    synced.person("dep-1").approve(name)
    assert synced.person("sync").sync().packages == ()
    synced.person("adm-1").approve(name)
    assert [one.status for one in synced.person("sync").sync().packages] == [Status.SUCCESSFUL]
    assert workspace(synced) == before
    assert synced.person("sync").sync() == CLEAN


def test_what_a_refused_package_left_behind_can_be_put_back(synced: Shop) -> None:
    name = propose(synced, {ORDERS: orders("early")}, "orders")
    merge_by_git(synced, name)
    made = rollback(synced.person("dev-2").desk, RollbackRequest(unapproved=True))
    synced.person("dep-1").approve(made.manifest.name)
    result = synced.person("sync").sync()
    assert ([one.name for one in result.packages], result.exit) == ([made.manifest.name], Exit.DONE)
    # A yes that comes after it was put back brings it back neither to main nor to production.
    before = synced.refs()["refs/heads/main"]
    with pytest.raises(Refused, match="would not give what was approved"):
        synced.person("dep-1").approve(name)
    assert synced.refs()["refs/heads/main"] == before
    assert synced.person("sync").sync().packages == ()


def test_there_is_nothing_to_put_back_where_all_is_approved(synced: Shop) -> None:
    refs = synced.refs()
    with pytest.raises(NotFound, match="the main branch holds nothing that nobody approved"):
        rollback(synced.person("dev-1").desk, RollbackRequest(unapproved=True))
    assert synced.refs() == refs
