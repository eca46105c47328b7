"""`verify`: an honest story holds, and every attack on one is found, with its ref and the promise it breaks.

Attacks are made with raw git, by people who can push what they like, or by a runner who does not judge.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gitrelease.commands.applying import begin
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.runner import Shift, WorkOrder
from gitrelease.commands.verify import Checked, VerifyResult, verify
from gitrelease.commands.views import summarize
from gitrelease.core.ledger import Evidence, Work, held_path, holding_document, parse_holding
from gitrelease.core.names import (
    BlobId,
    CommitId,
    MemberId,
    PackageName,
    branch,
    item_key,
    manifest_path,
    package_name,
    shard,
)
from gitrelease.core.plan import Digest, digest_of
from gitrelease.core.review import Say
from gitrelease.core.status import Status, Summary
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Statement
from gitrelease.forges.local import LocalForge
from gitrelease.pen import Pen
from gitrelease.reading.broken import Broken
from gitrelease.reading.ledger import LedgerMissing
from gitrelease.reading.situation import with_package
from gitrelease.settings import Settings
from gitrelease.wiring import open_desk
from tests.kit.git import Bench, Clone, KeyRing
from tests.kit.shop import FIRST_ITEMS, ROLES, Person, Shop, job_yaml, open_shop, workspace_yaml
from tests.kit.targets import Killed, Plant, give_plants, plant_target

LEDGER = "refs/heads/production"
MAIN = "refs/heads/main"
ARCHIVE = "refs/heads/archive"
DEPLOY = "refs/heads/deploy/main"

ORDERS = "jobs/sales/orders.job.yaml"
REFUNDS = "jobs/sales/refunds.job.yaml"


# The ground: a shop with two releases, made once and copied for each attack.


@dataclass(frozen=True, kw_only=True)
class Told:
    """A shop's server after two honest releases."""

    folder: Path
    root: CommitId
    orders: PackageName
    refunds: PackageName


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Told:
    """Release one job anew and add another."""
    bench = Bench(folder=tmp_path_factory.mktemp("told"), keys=keys)
    shop = open_shop(bench, FIRST_ITEMS)
    orders = shop.released({ORDERS: job_yaml("orders", version=1, script="clean", note="daily")}, ORDERS)
    refunds = shop.released({REFUNDS: job_yaml("refunds")}, REFUNDS)
    shop.close()
    return Told(folder=shop.server.path, root=shop.root, orders=orders, refunds=refunds)


@pytest.fixture
def attacked(bench: Bench, told: Told) -> Iterator[Shop]:
    """The told shop, for one attack."""
    shutil.copytree(told.folder, bench.folder / "server.git")
    bench.clock.forward(days=1)
    server = Clone(path=bench.folder / "server.git", environ=bench.environ, clock=bench.clock)
    shop = Shop(bench=bench, server=server, root=told.root)
    yield shop
    shop.close()


def audit(shop: Shop, *, root: CommitId | None = None, is_root_known: bool = True) -> VerifyResult:
    """Verify from a fresh clone, whose remote is gone."""
    number = len(list(shop.bench.folder.glob("audit-*")))
    clone = shop.bench.clone(shop.server, f"audit-{number}")
    clone.git("remote", "set-url", "origin", str(shop.bench.folder / "nowhere.git"))
    auditor = Person(id="auditor", clone=clone, bench=shop.bench, root=root or shop.root)
    if not is_root_known:
        auditor.root = None
    try:
        return verify(auditor.desk)
    finally:
        auditor.repo.close()


def found(result: VerifyResult) -> set[tuple[int, str]]:
    """Say which promises are broken, and where."""
    assert result.ok == (not result.broken)
    return {(one.promise, one.ref) for one in result.broken}


def why(result: VerifyResult, promise: int, ref: str) -> str:
    """Give all that is said of one ref."""
    return "\n".join(one.why for one in result.broken if (one.promise, one.ref) == (promise, ref))


# Raw hands.


def holds(shop: Shop, commit: str) -> dict[str, Any]:
    """Read the value that a commit of the server carries, with raw git; nothing where it carries none."""
    message = shop.server.git("log", "-1", "--format=%B", commit)
    value: dict[str, Any] = {}
    with suppress(ValueError, RecursionError):
        value = dict(json.loads(message[message.index("{") :]))
    return value


def entry(
    shop: Shop,
    who: str,
    value: object,
    *,
    ref: str = "production",
    edits: Mapping[str, str | None] | None = None,
    parents: tuple[str, ...] | None = None,
    sign: bool = True,
    at: str | None = None,
) -> str:
    """Push one more commit to a branch of ours, as somebody with raw git would, and give it.

    `value` is its JSON, or its whole message if it is a text; `edits` change its tree.
    """
    clone = shop.person(who).clone
    clone.git("fetch", "--quiet", "origin")
    tip = at or clone.tip(f"origin/{ref}")
    clone.git("read-tree", tip)
    for path, text in (edits or {}).items():
        if text is None:
            clone.git("rm", "--quiet", "--cached", path)
        else:
            blob = clone.git("hash-object", "-w", "--stdin", stdin=text)
            clone.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = clone.git("write-tree")
    kept = holds(shop, tip).get("holdings") if ref == "production" else None
    before = parents if parents is not None else (tip, *((kept,) if kept else ()))
    message = value if isinstance(value, str) else "forged\n\n" + json.dumps(value)
    options = [option for parent in before for option in ("-p", parent)]
    made = clone.git("commit-tree", tree, *options, *(["-S"] if sign else []), stdin=message)
    clone.push(f"{made}:refs/heads/{ref}", force=True)
    clone.git("read-tree", "HEAD")
    return made


def repair(shop: Shop, event: str = "started", **more: object) -> dict[str, object]:
    """Write a receipt of a repair, well-formed, on top of the ledger as it is."""
    return {
        "apiVersion": "gitrelease/v1",
        "kind": "Receipt",
        "event": event,
        "runner": "sync",
        "run": "raw",
        "work": "repair",
        "items": ["job/orders"],
        "holdings": holds(shop, "production").get("holdings"),
        **more,
    }


# Colluding hands: a runner who applies what nobody approved, with everything else in order.


def propose(shop: Shop, files: Mapping[str, str], *items: str, by: str = "dev-1") -> PackageName:
    """Submit and release, and leave it at that."""
    person = shop.person(by)
    person.clone.git("fetch", "--quiet", "origin")
    person.clone.git("checkout", "--quiet", "--force", "-B", "main", "origin/main")
    person.write(files)
    return person.release(*(str(one.task) for one in person.submit(*items).items)).manifest.name


def merge_anyway(shop: Shop, package: PackageName, by: str = "dev-1") -> None:
    """Merge a package, approved or not, as anyone can who can push."""
    desk = shop.person(by).desk
    now = desk.look()
    review = desk.forge.find(package, now.workspace)
    assert review is not None
    tree = desk.repo.merge_trees(now.main, review.head)
    assert isinstance(tree, str)
    desk.forge.merge(
        review, into=branch("main"), main=now.main, tree=tree, message=f"Merge package {package}\n"
    )


def collude(
    shop: Shop,
    package: PackageName,
    *,
    who: str = "sync",
    approvals: tuple[str, ...] | None = None,
    shown: Callable[[Summary], Summary] = lambda summary: summary,
) -> None:
    """Apply a merged package as a runner would who takes every opinion that says yes for an approval."""
    desk = shop.person(who).desk
    now = desk.look()
    merged = next(one for one in now.merged if one.name == package)
    assert merged.judged is not None
    assert merged.judged.review is not None
    assert not merged.is_approved
    judged = merged.judged
    manifest, review = judged.package.manifest, merged.judged.review
    yes = tuple(opinion.id for opinion in review.opinions if opinion.say is Say.APPROVE)
    changes = manifest.difference(judged.package.manifest_id)
    order = WorkOrder(
        work=Work.PACKAGE,
        items=tuple(planned.item for planned in manifest.items),
        tree=with_package(desk.repo, now.ledger.tree, changes),
        package=package,
        manifest=manifest,
        evidence=Evidence(
            main_before=merged.before,
            main_after=merged.merge,
            manifest=judged.package.manifest_id,
            head=judged.package.head,
            log=review.log,
            tasks=tuple(planned.task for planned in manifest.items),
            approvals=yes if approvals is None else approvals,
        ),
        summary=shown(summarize(desk, now, judged, is_merged=True)),
    )
    begin(desk, now, order, Shift(member=MemberId(who), run="collusion"))


def say_yes(
    shop: Shop,
    who: str,
    package: PackageName,
    *,
    root: str | None = None,
    workspace: str | None = None,
    manifest: str | None = None,
    sign: bool = True,
) -> None:
    """Write an approval to the review log, whether it may count or not."""
    person = shop.person(who)
    desk = person.desk
    now = desk.look()
    review = desk.forge.find(package, now.workspace)
    assert review is not None
    held = desk.repo.tree_entry(review.head, manifest_path(package))
    assert held is not None
    statement = Statement(
        say=Say.APPROVE,
        workspace=workspace or now.workspace.id,
        root=CommitId(root or now.ledger.root),
        manifest=BlobId(manifest or held.id),
    )
    pen = Pen(identity=person.repo.identity(), signs=sign, now=shop.bench.clock)
    LocalForge(desk.repo, pen).say(review, statement)


# Honest stories.


def test_an_honest_story_holds(bench: Bench, tmp_path: Path) -> None:
    """Releases, a failure that is mended, a deletion, a rollback, another workspace, a refusal, a restore."""
    targets = "    - {name: main, type: git}\n" + plant_target("engine")
    shop = open_shop(bench, FIRST_ITEMS, targets=targets)
    plant = Plant(
        folder=tmp_path / "engine", cannot_hold=frozenset({"SparkPython"}), fails=frozenset({"refunds"})
    )
    runner = give_plants(shop.person("sync"), {"engine": plant})

    first = shop.released({ORDERS: job_yaml("orders", version=1, script="clean", note="daily")}, ORDERS)
    shop.released({REFUNDS: job_yaml("refunds")}, REFUNDS)  # the engine does not take it
    failed = audit(shop)
    assert failed.ok, failed.broken
    plant.fails = frozenset()
    runner.sync(retry=True)

    deleted = shop.person("dev-2")
    deleted.write({REFUNDS: None} if (deleted.clone.path / REFUNDS).exists() else {})
    task = str(deleted.submit("job/refunds", delete=True).items[0].task)
    gone = deleted.release(task).manifest.name
    shop.person("dep-1").approve(gone)
    runner.sync()

    back = rollback(shop.person("dev-2").desk, RollbackRequest(package=first)).manifest.name
    shop.person("dep-2").approve(back)
    runner.sync()

    admin = shop.person("adm-1")
    mapped = "    - {name: main, type: git, mappings: {connections: {hive_dev: hive}}}\n" + plant_target(
        "engine"
    )
    roles = {**ROLES, "dev-2": "deployer", "sync-2": "viewer"}
    admin.write({"workspace.yaml": workspace_yaml(bench, roles=roles, targets=mapped)})
    changed = admin.release(str(admin.submit("workspace.yaml").items[0].task)).manifest.name
    shop.person("adm-2").approve(changed)
    runner.sync()

    spark = job_yaml("spark").replace("Shell", "SparkPython")
    refused = propose(shop, {"jobs/sales/spark.job.yaml": spark}, "jobs/sales/spark.job.yaml")
    shop.person("dev-2").approve(refused)  # a deployer by now
    assert runner.sync().packages[0].status is Status.REFUSED
    assert found(audit(shop)) == {(1, MAIN)}  # until its changes are taken back
    restored = rollback(shop.person("dev-1").desk, RollbackRequest(unapproved=True)).manifest.name
    shop.person("dep-1").approve(restored)
    assert runner.sync().exit == 0

    rejected = propose(shop, {ORDERS: job_yaml("orders", version=3, script="clean", note="no")}, ORDERS)
    shop.person("dep-1").reject(rejected)

    result = audit(shop)
    assert result.ok, result.broken
    assert [str(item) for item in result.taken_over] == ["job/orders", "script/clean", "workspace/workspace"]
    assert (result.root, result.is_root_known) == (shop.root, True)
    events = shop.server.git("log", "--first-parent", "--format=%s", "production").splitlines()
    signatures = len(events) - 1  # every receipt but the root, which is trusted
    signatures += 6 * 3  # of each package that was applied: its head, and an approval, and
    signatures -= 1  # its task, but a restore has none
    entries = shop.server.git("log", "--first-parent", "--format=%s", "archive").splitlines()
    assert result.checked == Checked(
        receipts=len(events), packages=7, items=5, signatures=signatures + len(entries)
    )
    assert {"finished retry", "finished baseline", f"refused package {refused}"} < set(events)

    believed = audit(shop, is_root_known=False)
    assert (believed.ok, believed.root, believed.is_root_known) == (True, shop.root, False)
    shop.close()


def test_a_story_without_signatures_holds(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, signatures="off")
    shop.released({REFUNDS: job_yaml("refunds")}, REFUNDS)
    result = audit(shop)
    assert result.ok, result.broken
    assert result.checked == Checked(receipts=5, packages=1, items=1, signatures=0)
    shop.close()


def test_a_runner_that_dies_and_one_that_takes_over(bench: Bench, tmp_path: Path) -> None:
    """What the first one left half done holds, and so does what the second makes of it."""
    shop = open_shop(bench, FIRST_ITEMS, targets=plant_target("engine"), lease=1)
    plant = Plant(folder=tmp_path / "engine")
    give_plants(shop.person("sync"), {"engine": plant}).sync()
    package = propose(shop, {REFUNDS: job_yaml("refunds")}, REFUNDS)
    shop.person("dep-1").approve(package)
    plant.dies_before = plant.made
    with pytest.raises(Killed):
        shop.person("sync").sync()
    half = audit(shop)
    assert half.ok, half.broken
    plant.dies_before = None
    give_plants(shop.person("sync-2"), {"engine": plant}).sync()
    whole = audit(shop)
    assert whole.ok, whole.broken
    assert whole.checked.packages == 1
    shop.close()


def test_production_that_drifted_and_was_repaired(bench: Bench, tmp_path: Path) -> None:
    """What a target holds beside the ledger was never the ledger's word."""
    shop = open_shop(bench, FIRST_ITEMS, targets=plant_target("engine"))
    plant = Plant(folder=tmp_path / "engine")
    runner = give_plants(shop.person("sync"), {"engine": plant})
    runner.sync()
    plant.meddle("job/orders", {"orders.job": '{"version": 7}'})
    shop.released({ORDERS: job_yaml("orders", version=1, script="clean", note="daily")}, ORDERS)
    drifted = audit(shop)
    assert drifted.ok, drifted.broken
    assert plant.versions()["job/orders"] == 7
    runner.sync(repair=("orders",))
    repaired = audit(shop)
    assert repaired.ok, repaired.broken
    assert plant.versions()["job/orders"] == 2
    plant.meddle("job/evil", {"evil.job": "{}"})
    runner.sync(repair=("job/evil",))  # which was never released, so has no version
    cleaned = audit(shop)
    assert cleaned.ok, cleaned.broken
    assert "job/evil" not in plant.holds()
    shop.close()


def test_somebody_settles_who_became_a_member_a_moment_ago(attacked: Shop) -> None:
    """A workspace counts from its merge on, also where the ledger does not have it yet."""
    roles = {**ROLES, "new-1": "deployer"}
    change = propose(
        attacked,
        {"workspace.yaml": workspace_yaml(attacked.bench, roles=roles)},
        "workspace.yaml",
        by="adm-1",
    )
    attacked.person("adm-2").approve(change)
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    attacked.person("new-1").reject(package)
    result = audit(attacked)
    assert result.ok, result.broken


def test_the_git_target_half_way(attacked: Shop) -> None:
    """Production that a runner has already changed, and not said so yet, is no finding."""
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    attacked.person("dep-1").approve(package)
    attacked.bench.hook(
        attacked.server,
        "update",
        'case "$1" in refs/heads/production) grep -q . started && exit 1; echo x > started;; esac; exit 0',
    )
    with pytest.raises(GitReleaseError):
        attacked.person("sync").sync()
    (attacked.server.path / "hooks" / "update").unlink()
    result = audit(attacked)
    assert result.ok, result.broken
    assert attacked.server.git("log", "-1", "--format=%s", "production") == f"started package {package}"


def test_a_plain_clone_without_any_configuration(attacked: Shop, told: Told) -> None:
    """Nobody's name, no key, no remote, no remembered root: what git clone gives is enough."""
    here = Clone(path=attacked.bench.folder, environ=attacked.bench.environ, clock=attacked.bench.clock)
    here.git("clone", "--quiet", str(attacked.server.path), "plain")
    shutil.rmtree(attacked.server.path)
    plain = attacked.bench.folder / "plain"
    before = {path for path in (plain / ".git").rglob("*") if path.is_file()}
    for root, is_known in ((told.root, True), (None, False)):
        desk = open_desk(Settings(directory=plain, root=root, environ=attacked.bench.environ))
        result = verify(desk)
        desk.repo.close()
        assert (result.ok, result.is_root_known, result.root) == (True, is_known, told.root)
    # Looking leaves nothing behind.
    assert {path for path in (plain / ".git").rglob("*") if path.is_file()} == before


def test_there_is_nothing_to_verify(bench: Bench) -> None:
    clone = bench.clone(bench.server(), "dev-1")
    clone.commit({"README": "nothing yet"})
    desk = open_desk(Settings(directory=clone.path, environ=bench.environ))
    with pytest.raises(LedgerMissing):
        verify(desk)
    desk.repo.close()


# Bytes that no manifest explains.


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("jobs/{orders}.job", "{}\n", "holds other bytes of job/orders than were released to it"),
        ("jobs/{orders}.job", None, "does not hold job/orders, which was released to it"),
        (f"jobs/{shard('evil')}/evil.job", "{}\n", "holds job/evil, which no release gave it"),
        ("jobs/00/evil.job", "{}\n", "holds jobs/00/evil.job, which no release put there"),
        (
            "jobs/{orders}.subjobs/evil.job",
            "{}\n",
            "holds other bytes of job/orders than were released to it",
        ),
        ("run.sh", "rm -rf /\n", "holds run.sh, which no release put there"),
    ],
)
def test_a_changed_byte_in_production(attacked: Shop, path: str, text: str | None, said: str) -> None:
    listed = attacked.server.git("ls-tree", "-r", "--name-only", "deploy/main").splitlines()
    orders = next(one for one in listed if one.endswith("/orders.job"))
    name = path.format(orders=orders.removeprefix("jobs/").removesuffix(".job"))
    entry(attacked, "dev-1", "tidy up\n", ref="deploy/main", edits={name: text})
    result = audit(attacked)
    assert found(result) == {(1, DEPLOY)}
    assert said in why(result, 1, DEPLOY)


def test_production_that_is_gone(attacked: Shop) -> None:
    attacked.server.git("update-ref", "-d", DEPLOY)
    result = audit(attacked)
    assert [one.why for one in result.broken] == [
        f"does not hold {item}, which was released to it"
        for item in ("job/orders", "job/refunds", "script/clean")
    ]
    assert found(result) == {(1, DEPLOY)}


def test_a_link_in_production(attacked: Shop) -> None:
    """A symbolic link is no file, whatever it points to."""
    clone = attacked.person("dev-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("read-tree", "origin/deploy/main")
    path = next(one for one in clone.git("ls-files").splitlines() if one.endswith("/orders.job"))
    blob = clone.git("rev-parse", f"origin/deploy/main:{path}")
    clone.git("update-index", "--cacheinfo", f"120000,{blob},{path}")
    made = clone.git("commit-tree", clone.git("write-tree"), "-p", "origin/deploy/main", stdin="link")
    clone.push(f"{made}:{DEPLOY}")
    result = audit(attacked)
    assert found(result) == {(1, DEPLOY)}
    assert f"holds {path}, which no release put there" in why(result, 1, DEPLOY)


def test_an_extra_byte_that_a_runner_signed(attacked: Shop) -> None:
    """The ledger's tree changes with packages only, whoever signs."""
    evil = job_yaml("orders", version=2, script="clean", note="evil")
    made = entry(attacked, "sync", repair(attacked), edits={ORDERS: evil, "README": "hello\n"})
    result = audit(attacked)
    assert [(one.promise, one.ref, one.why) for one in result.broken] == [
        (1, LEDGER, f"receipt {made:.7} changes {path}, which no manifest explains")
        for path in ("README", ORDERS)
    ]


def test_an_extra_byte_that_a_runner_took_back(attacked: Shop) -> None:
    """What was in the ledger for one receipt was there."""
    old = attacked.server.git("show", f"production:{ORDERS}") + "\n"
    entry(attacked, "sync", repair(attacked), edits={ORDERS: "evil\n"})
    entry(attacked, "sync", repair(attacked, "alive"), edits={ORDERS: old})
    result = audit(attacked)
    assert found(result) == {(1, LEDGER)}
    assert len(result.broken) == 2


# Receipts that no runner wrote.


@pytest.mark.parametrize(
    ("who", "more", "sign", "said"),
    [
        ("dev-1", {}, True, "was written by dev-1, who is no runner"),
        ("dev-1", {"runner": "dev-1"}, True, "was written by dev-1, who is no runner"),
        ("sync", {}, False, "is not signed, and only a runner writes receipts"),
        ("sync-2", {}, True, "names sync as its runner, and was written by sync-2"),
        ("stranger", {}, True, "is signed with a key that no member has"),
    ],
)
def test_a_forged_receipt(attacked: Shop, who: str, more: dict[str, str], sign: bool, said: str) -> None:
    made = entry(attacked, who, repair(attacked, **more), sign=sign)
    result = audit(attacked)
    assert found(result) == {(4, LEDGER)}
    assert f"receipt {made:.7} {said}" in why(result, 4, LEDGER)


def test_a_name_that_was_borrowed(attacked: Shop) -> None:
    """A developer's key under the runner's name and address is a developer's key."""
    clone = attacked.person("dev-1").clone
    clone.git("config", "user.name", "sync")
    clone.git("config", "user.email", "sync@example.org")
    made = entry(attacked, "dev-1", repair(attacked))
    result = audit(attacked)
    assert found(result) == {(4, LEDGER)}
    assert f"receipt {made:.7} says it was made by sync, and was signed by dev-1" in why(result, 4, LEDGER)


def test_somebody_who_makes_himself_a_runner(attacked: Shop) -> None:
    """The workspace that a forged receipt brings judges nothing: neither what follows nor itself."""
    evil = workspace_yaml(attacked.bench, roles={**ROLES, "dev-1": "runner"})
    one = entry(attacked, "dev-1", repair(attacked, runner="dev-1"), edits={"workspace.yaml": evil})
    two = entry(attacked, "dev-1", repair(attacked, "alive", runner="dev-1"))
    result = audit(attacked)
    assert found(result) == {(1, LEDGER), (4, LEDGER)}
    assert f"receipt {one:.7} changes workspace.yaml, which no manifest explains" in why(result, 1, LEDGER)
    for made in (one, two):
        assert f"receipt {made:.7} was written by dev-1, who is no runner" in why(result, 4, LEDGER)


def test_without_signatures_the_name_still_counts(bench: Bench) -> None:
    shop = open_shop(bench, FIRST_ITEMS, signatures="off")
    shop.released({REFUNDS: job_yaml("refunds")}, REFUNDS)
    made = entry(shop, "dev-1", repair(shop), sign=False, edits={ORDERS: "evil\n"})
    result = audit(shop)
    assert found(result) == {(1, LEDGER), (4, LEDGER)}
    assert f"receipt {made:.7} was written by dev-1, who is no runner" in why(result, 4, LEDGER)
    shop.close()


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (["finished"], "goes on with what was never started"),
        (["alive"], "goes on with what was never started"),
        (["started", "started"], "begins something else while 'started repair' is not finished"),
        (["started", "refused"], "begins something else while 'started repair' is not finished"),
        (["root"], "is a second trust root"),
    ],
)
def test_events_out_of_order(attacked: Shop, events: list[str], said: str) -> None:
    for event in events:
        more: dict[str, object] = {}
        if event == "root":
            more = {
                "workspace": "6f0c2d7e5b6a4e1f9c8d7b6a5e4f3d2c",
                "main": "main",
                "takenOver": attacked.root,
            }
        made = entry(attacked, "sync", repair(attacked, event, **more))
    result = audit(attacked)
    assert found(result) == {(4, LEDGER)}
    assert f"receipt {made:.7} {said}" in why(result, 4, LEDGER)


def test_work_that_turns_into_other_work(attacked: Shop) -> None:
    entry(attacked, "sync", repair(attacked))
    made = entry(attacked, "sync", repair(attacked, "alive", items=["job/refunds"]))
    result = audit(attacked)
    assert found(result) == {(4, LEDGER)}
    assert f"receipt {made:.7} goes on with other work than was begun: 'started repair'" in why(
        result, 4, LEDGER
    )


def test_parents_that_are_not_what_was_said(attacked: Shop) -> None:
    """A receipt that does not keep its evidence would let it be lost."""
    kept = holds(attacked, "production")["holdings"]
    tip = attacked.server.tip("production")
    made = entry(attacked, "sync", repair(attacked), parents=(tip, kept, attacked.server.tip("main")))
    result = audit(attacked)
    assert found(result) == {(4, LEDGER)}
    assert f"receipt {made:.7} does not have as parents what it says it rests on" in why(result, 4, LEDGER)


# What targets were given.


def lie(shop: Shop, *, status: str, deployed: str | None, mapping: str | None = None) -> None:
    """Repair orders with other bytes, and keep the books accordingly: branch, result and holdings agree."""
    clone = shop.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    holdings = holds(shop, "production")["holdings"]
    path = held_path("main", item_key("job/orders"))
    old = parse_holding(json.loads(shop.server.git("show", f"{holdings}:{path}")))
    assert old.deployed is not None
    digest = Digest(deployed) if deployed else None
    new = replace(old, deployed=digest, mapping=mapping or old.mapping)
    text = json.dumps({**holding_document(new), "status": status})
    clone.git("read-tree", holdings)
    blob = clone.git("hash-object", "-w", "--stdin", stdin=text)
    clone.git("update-index", "--cacheinfo", f"100644,{blob},{path}")
    listed = clone.git("commit-tree", clone.git("write-tree"), stdin="What every target was last given")
    result = {
        "item": "job/orders",
        "target": "main",
        "version": new.version,
        "mapping": new.mapping,
        "status": status,
        "deployed": deployed,
        "error": None,
    }
    entry(shop, "sync", repair(shop))
    finished = repair(shop, "finished", results=[result], holdings=listed)
    entry(shop, "sync", finished, parents=(shop.server.tip("production"), listed))


@pytest.mark.parametrize("status", ["successful", "failed"])
def test_books_that_agree_on_bytes_that_nobody_approved(attacked: Shop, status: str) -> None:
    """Ledger and production say the same, and neither is what the manifest gives."""
    listed = attacked.server.git("ls-tree", "-r", "--name-only", "deploy/main").splitlines()
    path = next(one for one in listed if one.endswith("/orders.job"))
    entry(attacked, "sync", "repair\n", ref="deploy/main", edits={path: "evil\n"})
    lie(attacked, status=status, deployed=digest_of({path: b"evil\n"}))
    result = audit(attacked)
    where = LEDGER if status == "successful" else DEPLOY
    assert (1, where) in found(result)
    assert "job/orders" in why(result, 1, where)
    assert "manifest gives" in why(result, 1, where)


def test_names_that_no_workspace_has(attacked: Shop) -> None:
    """Approved bytes under other connections than were approved are not what was approved."""
    holdings = holds(attacked, "production")["holdings"]
    path = held_path("main", item_key("job/orders"))
    old = json.loads(attacked.server.git("show", f"{holdings}:{path}"))
    lie(attacked, status="successful", deployed=old["deployed"], mapping="0" * 64)
    result = audit(attacked)
    assert "deployed job/orders to main under names that no approved workspace has" in why(result, 1, LEDGER)


def test_holdings_that_change_by_themselves(attacked: Shop) -> None:
    clone = attacked.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    empty = clone.git("mktree", stdin="")
    other = clone.git("commit-tree", empty, stdin="nothing was ever given")
    tip = attacked.server.tip("production")
    one = entry(attacked, "sync", repair(attacked, holdings=other), parents=(tip, other))
    bare = repair(attacked, "alive")
    del bare["holdings"]
    two = entry(attacked, "sync", bare, parents=(one,))
    result = audit(attacked)
    said = why(result, 4, LEDGER)
    assert f"receipt {one:.7} changes what is kept at {held_path('main', item_key('job/orders'))}" in said
    assert f"receipt {two:.7} does not say any more what targets were given" in said


# Labels.


def test_a_tag_that_was_moved(attacked: Shop, told: Told) -> None:
    clone = attacked.person("dev-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("tag", "--force", f"release/{told.orders}", "origin/main")
    clone.push(f"refs/tags/release/{told.orders}", force=True)
    result = audit(attacked)
    assert found(result) == {(4, f"refs/tags/release/{told.orders}")}
    assert "stands at" in result.broken[0].why


def test_a_tag_that_was_deleted(attacked: Shop, told: Told) -> None:
    attacked.server.git("update-ref", "-d", f"refs/tags/release/{told.refunds}")
    result = audit(attacked)
    assert found(result) == {(2, f"refs/tags/release/{told.refunds}")}


def test_a_tag_of_no_release(attacked: Shop) -> None:
    attacked.server.git("update-ref", "refs/tags/release/nothing_1", attacked.server.tip("main"))
    assert found(audit(attacked)) == {(4, "refs/tags/release/nothing_1")}


def test_a_tag_whose_name_was_taken(attacked: Shop) -> None:
    """The receipt says so, and that is that."""
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    attacked.server.git("update-ref", f"refs/tags/release/{package}", attacked.root)
    attacked.person("dep-1").approve(package)
    assert "stays as it is" in attacked.person("sync").sync().packages[0].note
    result = audit(attacked)
    assert result.ok, result.broken


@pytest.mark.parametrize("kind", ["blob", "tree", "tag of a tag", "tag of a tree"])
def test_a_hostile_tag(attacked: Shop, told: Told, kind: str) -> None:
    server, name = attacked.server, f"release/{told.orders}"
    blob = server.git("hash-object", "-w", "--stdin", stdin="{")
    tree = server.tip("main^{tree}")
    made = {"blob": blob, "tree": tree}.get(kind)
    if made is None:
        of = (
            (server.tip(f"refs/tags/release/{told.refunds}"), "tag")
            if kind == "tag of a tag"
            else (tree, "tree")
        )
        head = f"object {of[0]}\ntype {of[1]}\ntag {name}\ntagger x <x> 0 +0000\n\n{{\n"
        made = server.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", stdin=head)
    server.git("update-ref", f"refs/tags/{name}", made)
    assert found(audit(attacked)) == {(4, f"refs/tags/{name}")}


# Histories that were rewritten.


def test_a_main_branch_that_dropped_a_merge(attacked: Shop, told: Told) -> None:
    merge = attacked.server.tip("main")
    clone = attacked.person("dev-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.push(f"{merge}~1:{MAIN}", force=True)
    result = audit(attacked)
    assert (2, MAIN) in found(result)
    assert f"lacks {merge:.7}, the merge of {told.refunds}: its history was rewritten" in why(result, 2, MAIN)
    assert f"lacks {REFUNDS} as nobody approved it" in why(result, 1, MAIN)


def test_a_main_branch_that_began_anew(attacked: Shop) -> None:
    """The same bytes under another history are another history."""
    tree = attacked.server.tip("main^{tree}")
    attacked.server.git("update-ref", MAIN, attacked.server.git("commit-tree", tree, stdin="fresh start"))
    result = audit(attacked)
    assert found(result) == {(2, MAIN)}
    assert "which was taken over: it was rewritten" in why(result, 2, MAIN)


def test_a_main_branch_that_is_gone(attacked: Shop) -> None:
    attacked.server.git("branch", "other", "main")
    attacked.server.git("symbolic-ref", "HEAD", "refs/heads/other")
    attacked.server.git("update-ref", "-d", MAIN)
    assert (2, MAIN) in found(audit(attacked))


def test_a_ledger_that_was_rewound(attacked: Shop, told: Told) -> None:
    """To before the last release: archive and tag know better."""
    attacked.server.git("update-ref", LEDGER, attacked.server.tip("production~2"))
    result = audit(attacked)
    assert {(4, LEDGER), (4, f"refs/tags/release/{told.refunds}")} <= found(result)
    assert f"lacks {told.refunds}, which the archive says was released" in why(result, 4, LEDGER)
    assert "holds job/refunds, which no release gave it" in why(result, 1, DEPLOY)


def test_a_ledger_that_was_replaced(attacked: Shop) -> None:
    """A new root that takes over everything as it is, in an admin's own hand."""
    root = {
        **holds(attacked, attacked.root),
        "takenOver": attacked.server.tip("main"),
    }
    clone = attacked.person("adm-1").clone
    clone.git("fetch", "--quiet", "origin")
    tree = clone.tip("origin/main^{tree}")
    made = clone.git("commit-tree", tree, "-S", stdin="root the ledger\n\n" + json.dumps(root))
    clone.push(f"{made}:{LEDGER}", force=True)
    result = audit(attacked)
    assert (4, LEDGER) in found(result)
    assert f"does not descend from the trust root {attacked.root:.7}: it was replaced" in why(
        result, 4, LEDGER
    )
    assert (result.root, result.is_root_known) == (attacked.root, True)
    # Who does not know the root is told by the archive.
    assert (4, LEDGER) in found(audit(attacked, is_root_known=False))


def test_a_ledger_with_the_root_as_a_second_parent(attacked: Shop) -> None:
    """Descending from the root by any parent but the first is descending from something else."""
    clone = attacked.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    evil = clone.git("commit-tree", "origin/main^{tree}", stdin="evil beginnings")
    entry(attacked, "sync", repair(attacked), parents=(evil, attacked.server.tip("production")))
    result = audit(attacked)
    assert "does not descend from the trust root" in why(result, 4, LEDGER)


def test_a_ledger_that_is_gone(attacked: Shop) -> None:
    attacked.server.git("update-ref", "-d", LEDGER)
    result = audit(attacked)
    assert found(result) == {(4, LEDGER)}
    # A clone of one branch lacks it as well, and nobody has to restore anything then.
    assert "is missing here: `git fetch` all branches" in why(result, 4, LEDGER)
    assert (result.root, result.checked) == (attacked.root, Checked())


def test_another_trust_root_than_the_one_known(attacked: Shop) -> None:
    """Also one that nobody here has ever heard of, or that is none."""
    assert (4, LEDGER) in found(audit(attacked, root=CommitId("1" * 40)))
    assert (4, LEDGER) in found(audit(attacked, root=CommitId(attacked.server.tip("production~2"))))


# What nobody approved.


def test_a_plain_push_to_the_main_branch(attacked: Shop) -> None:
    edits = {"jobs/evil.job.yaml": job_yaml("evil"), "README.md": "hello\n", REFUNDS: None}
    entry(attacked, "dev-1", "quick fix\n", ref="main", edits=edits)
    result = audit(attacked)
    assert [(one.promise, one.ref, one.why) for one in result.broken] == [
        (1, MAIN, "holds jobs/evil.job.yaml as nobody approved it"),
        (1, MAIN, f"lacks {REFUNDS} as nobody approved it"),
    ]


def test_a_package_that_was_merged_and_not_approved(attacked: Shop) -> None:
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    merge_anyway(attacked, package)
    result = audit(attacked)
    assert found(result) == {(1, MAIN)}
    said = why(result, 1, MAIN)
    assert f"merged {package}, not approved: 1 more of 1 approvals" in said
    assert f"holds {ORDERS} as nobody approved it" in said
    assert f"holds {manifest_path(package)} as nobody approved it" in said


def test_what_the_ledger_forged_is_no_measure_for_main(attacked: Shop) -> None:
    """The same unapproved byte on both is found on both."""
    evil = job_yaml("orders", version=2, script="clean", note="evil")
    entry(attacked, "sync", repair(attacked), edits={ORDERS: evil})
    entry(attacked, "dev-1", "quick fix\n", ref="main", edits={ORDERS: evil})
    result = audit(attacked)
    assert found(result) == {(1, LEDGER), (1, MAIN)}
    assert why(result, 1, MAIN) == f"holds {ORDERS} as nobody approved it"


# Approvals that were none.


Yes = Callable[[Shop, PackageName, Told], None]


@pytest.mark.parametrize(
    "yes",
    [
        pytest.param(lambda shop, package, told: None, id="nobody's"),
        pytest.param(lambda shop, package, told: say_yes(shop, "dev-1", package), id="the applicant's own"),
        pytest.param(lambda shop, package, told: say_yes(shop, "view-1", package), id="a viewer's"),
        pytest.param(lambda shop, package, told: say_yes(shop, "sync", package), id="the runner's"),
        pytest.param(lambda shop, package, told: say_yes(shop, "stranger", package), id="a stranger's"),
        pytest.param(
            lambda shop, package, told: say_yes(
                shop, "dep-1", package, manifest=manifest_of(shop, told.orders)
            ),
            id="of other content",
        ),
        pytest.param(
            lambda shop, package, told: say_yes(shop, "dep-1", package, root="1" * 40),
            id="under another root",
        ),
        pytest.param(
            lambda shop, package, told: say_yes(shop, "dep-1", package, workspace="0" * 32),
            id="in another workspace",
        ),
        pytest.param(lambda shop, package, told: say_yes(shop, "dep-1", package, sign=False), id="unsigned"),
    ],
)
def test_an_approval_that_was_none(attacked: Shop, told: Told, yes: Yes) -> None:
    """A runner who counts it is found out, and so is what he applied."""
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    yes(attacked, package, told)
    merge_anyway(attacked, package)
    collude(attacked, package)
    result = audit(attacked)
    assert found(result) == {(1, LEDGER)}
    said = why(result, 1, LEDGER)
    assert f"applies {package}, which was not approved: 1 more of 1 approvals" in said
    named = holds(attacked, "production~1")["evidence"]["approvals"]
    assert [f"counts {one:.12} as an approval" in said for one in named] == [True] * len(named)


def as_if_all_counted(summary: Summary) -> Summary:
    """Show what does not count as if it did."""
    return replace(summary, approvals=(*summary.approvals, *summary.uncounted), uncounted=())


def as_if_never_said(summary: Summary) -> Summary:
    """Leave out what does not count."""
    return replace(summary, uncounted=())


@pytest.mark.parametrize("shown", [as_if_all_counted, as_if_never_said])
def test_a_summary_that_shows_what_does_not_count_otherwise(
    attacked: Shop, shown: Callable[[Summary], Summary]
) -> None:
    """What a receipt shows of opinions is what the verdict on the same evidence says of them."""
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    say_yes(attacked, "view-1", package)
    merge_anyway(attacked, package)
    collude(attacked, package, approvals=(), shown=shown)
    result = audit(attacked)
    assert found(result) == {(1, LEDGER), (4, LEDGER)}
    assert f"shows other opinions on {package} than were given" in why(result, 4, LEDGER)


def manifest_of(shop: Shop, package: PackageName) -> str:
    """Give the manifest of a released package."""
    return shop.server.tip(f"main:{manifest_path(package)}")


def test_an_approval_that_another_package_got(attacked: Shop, told: Told) -> None:
    """Neither its log nor its id can be borrowed."""
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    merge_anyway(attacked, package)
    borrowed = holds(attacked, "production~1")["evidence"]["approvals"]
    collude(attacked, package, approvals=tuple(borrowed))
    result = audit(attacked)
    assert found(result) == {(1, LEDGER)}
    assert f"counts {borrowed[0]:.12} as an approval of {package}, and it is none that counts" in why(
        result, 1, LEDGER
    )


def test_a_veto_that_was_overlooked(attacked: Shop) -> None:
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    desk = attacked.person("dep-2").desk
    now = desk.look()
    review = desk.forge.find(package, now.workspace)
    assert review is not None
    held = desk.repo.tree_entry(review.head, manifest_path(package))
    assert held is not None
    no = Statement(
        say=Say.REJECT, workspace=now.workspace.id, root=now.ledger.root, manifest=held.blob, message="no"
    )
    desk.forge.say(review, no)
    say_yes(attacked, "dep-1", package)
    merge_anyway(attacked, package)
    collude(attacked, package)
    result = audit(attacked)
    assert found(result) == {(1, LEDGER)}
    assert "dep-2 asked for changes: no" in why(result, 1, LEDGER)


def test_a_workspace_that_no_admin_approved(attacked: Shop) -> None:
    """It takes effect for nobody: who became a runner by it is none."""
    evil = workspace_yaml(attacked.bench, roles={**ROLES, "dev-2": "runner"})
    package = propose(attacked, {"workspace.yaml": evil}, "workspace.yaml", by="adm-1")
    say_yes(attacked, "dep-1", package)
    merge_anyway(attacked, package)
    collude(attacked, package)
    made = entry(attacked, "dev-2", repair(attacked, runner="dev-2"))
    result = audit(attacked)
    assert found(result) == {(1, LEDGER), (4, LEDGER)}
    assert "which was not approved: an admin's approval, as the workspace changes" in why(result, 1, LEDGER)
    assert f"receipt {made:.7} was written by dev-2, who is no runner" in why(result, 4, LEDGER)


def test_a_package_without_signatures(bench: Bench) -> None:
    """Without signatures a name is believed, and an applicant's own is still no approval."""
    shop = open_shop(bench, FIRST_ITEMS, signatures="off")
    shop.person("sync").sync()
    package = propose(shop, {REFUNDS: job_yaml("refunds")}, REFUNDS)
    say_yes(shop, "dev-1", package, sign=False)
    merge_anyway(shop, package)
    collude(shop, package)
    assert found(audit(shop)) == {(1, LEDGER)}
    shop.close()


def test_a_merge_with_more_than_its_manifest(attacked: Shop) -> None:
    """Approved, and merged with a byte more by hand: what was approved is not what was merged."""
    package = propose(attacked, {ORDERS: job_yaml("orders", version=2, script="clean", note="x")}, ORDERS)
    say_yes(attacked, "dep-1", package)
    desk = attacked.person("dev-1").desk
    now = desk.look()
    review = desk.forge.find(package, now.workspace)
    assert review is not None
    blob = desk.repo.write_blob(b"SELECT 2;\n")
    tree = desk.repo.write_tree(desk.repo.tree_of(review.head), {"scripts/sales/clean.sql": blob})
    desk.forge.merge(
        review, into=branch("main"), main=now.main, tree=tree, message=f"Merge package {package}\n"
    )
    collude(attacked, package)
    result = audit(attacked)
    assert found(result) == {(1, LEDGER), (1, MAIN)}
    assert "it changes scripts/sales/clean.sql, which its manifest does not name" in why(result, 1, LEDGER)
    assert why(result, 1, MAIN) == "holds scripts/sales/clean.sql as nobody approved it"


def test_a_package_that_is_applied_again(attacked: Shop, told: Told) -> None:
    """An approval is for one time."""
    value = holds(attacked, "production~3")
    assert value["package"] == told.orders
    evidence = value["evidence"]
    again = {**value, "holdings": holds(attacked, "production")["holdings"]}
    kept = (evidence["mainAfter"], evidence["head"], evidence["log"], *evidence["tasks"])
    parents = (attacked.server.tip("production"), again["holdings"], *kept)
    made = entry(attacked, "sync", again, parents=parents)
    result = audit(attacked)
    assert f"receipt {made:.7} applies {told.orders}, which the ledger knew before" in why(result, 4, LEDGER)
    assert "the plan starts from" in why(result, 1, LEDGER)


# Whatever somebody may push.


GARBAGE: dict[str, object] = {
    "no value": "hello\n",
    "half a value": 'x\n\n{"event": "started"',
    "a list": "x\n\n{}[]\n",
    "nothing in it": {},
    "a key twice": 'x\n\n{"event": "alive", "event": "root"}\n',
    "deep": "x\n\n" + '{"a":' * 5000 + "1" + "}" * 5000,
}

ODD: tuple[object, ...] = (
    None,
    0,
    -1,
    True,
    "",
    "x",
    "\u202e",
    "../../x",
    [],
    [None],
    {},
    {"a": {}},
    "0" * 40,
    10**30,
)


def test_garbage_in_the_ledger(attacked: Shop) -> None:
    """Every receipt that can be made up is listed, one by one, and nothing ends the walk."""
    made = [
        entry(attacked, "sync", value, parents=(attacked.server.tip("production"),))
        for value in GARBAGE.values()
    ]
    evil = entry(
        attacked, "sync", repair(attacked, holdings=None), edits={ORDERS: "evil\n"}, parents=(made[-1],)
    )
    result = audit(attacked)
    assert (1, LEDGER) in found(result)
    for one in made:
        assert f"receipt {one:.7}" in why(result, 4, LEDGER)
    assert f"receipt {evil:.7} changes {ORDERS}" in why(result, 1, LEDGER)


@pytest.mark.parametrize(
    "head",
    [
        "tree {tree}\nparent {tip}\n\n{{}}",
        "tree {tree}\nparent {tip}\nauthor x\ncommitter x <> -1 +9999\n\n{{}}",
        "tree {tree}\nparent {tip}\nauthor a <a> 99999999999999999999 +0000\ncommitter a <a> 1 +0000\n\n{{}}",
        "tree {tree}\nparent {tip}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n"
        "gpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n\n{{}}",
        "tree {blob}\nparent {tip}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n{{}}",
        "tree {tree}\nparent {tip}\nparent {tip}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\n{{}}",
    ],
)
@pytest.mark.parametrize("ref", [LEDGER, ARCHIVE, MAIN, DEPLOY])
def test_a_malformed_commit(attacked: Shop, head: str, ref: str) -> None:
    """As a server may hand one out; a clone that fails over it never comes to be audited."""
    clone = attacked.bench.clone(attacked.server, "auditor")
    tip, tree = clone.tip(f"{ref.replace('refs/heads', 'origin')}"), clone.tip("origin/main^{tree}")
    blob = clone.git("hash-object", "-w", "--stdin", stdin="no tree")
    made = clone.raw_commit(head.format(tip=tip, tree=tree, blob=blob))
    loose = clone.path / ".git" / ref.replace("refs/heads", "refs/remotes/origin")
    loose.parent.mkdir(parents=True, exist_ok=True)
    loose.write_text(f"{made}\n", encoding="utf-8")
    auditor = Person(id="auditor", clone=clone, bench=attacked.bench, root=attacked.root)
    result = verify(auditor.desk)
    auditor.repo.close()
    if ref in {LEDGER, ARCHIVE}:
        assert (4, ref) in found(result)


def test_odd_values_in_receipts(attacked: Shop) -> None:
    """A real receipt with each of its values made odd, one after the other: findings, never a traceback."""
    clone = attacked.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    tip, tree = clone.tip("origin/production"), clone.tip("origin/production^{tree}")
    started, finished = holds(attacked, "production~1"), holds(attacked, "production")
    values: list[dict[str, Any]] = []
    for value in (started, finished):
        values += [{**value, key: odd} for key in value for odd in ODD]
    values += [
        {**started, "evidence": {**started["evidence"], key: odd}}
        for key in started["evidence"]
        for odd in ODD
    ]
    values += [
        {**finished, "results": [{**finished["results"][0], key: odd}]}
        for key in finished["results"][0]
        for odd in ODD
    ]
    who = "sync <sync@example.org> 1795176000 +0000"
    for value in values:
        message = "odd\n\n" + json.dumps(value)
        head = f"tree {tree}\nparent {tip}\nauthor {who}\ncommitter {who}\n\n"
        tip = clone.raw_commit(head + message)
    clone.push(f"{tip}:{LEDGER}")
    result = audit(attacked)
    assert (4, LEDGER) in found(result)
    assert why(result, 4, LEDGER).count("is not signed") == len(values)


@pytest.mark.parametrize("what", ["manifest", "record", "job", "log", "no such commit"])
def test_garbage_as_evidence(attacked: Shop, told: Told, what: str) -> None:
    """A receipt that rests on something that cannot be read."""
    clone = attacked.person("sync").clone
    clone.git("fetch", "--quiet", "origin")
    package, main = package_name("garbage_1"), clone.tip("origin/main")
    text = clone.git("show", f"origin/main:{manifest_path(told.refunds)}") + "\n"
    manifest = "- [" if what == "manifest" else text.replace(told.refunds, package)
    edits: dict[str, str | None] = {manifest_path(package): manifest}
    if what == "record":
        edits["items/job/x.yaml"] = "a: [\n"
    if what == "job":
        edits[REFUNDS] = "nodes: {\n"
    merge = entry(attacked, "sync", "merge\n", ref="main", edits=edits)
    nowhere = "0123456789" * 4
    evidence: dict[str, object] = {
        "mainBefore": main,
        "mainAfter": merge,
        "manifest": attacked.server.tip(f"main:{manifest_path(package)}"),
        "head": nowhere if what == "no such commit" else merge,
        "log": merge if what == "log" else None,
        "tasks": [],
        "approvals": ["x"],
        "recorded": {},
    }
    value = repair(attacked, work="package", package=package, evidence=evidence)
    del value["items"]
    made = entry(attacked, "sync", value, edits=edits)
    result = audit(attacked)
    assert {(1, LEDGER), (4, LEDGER)} <= found(result)
    assert f"receipt {made:.7}" in why(result, 1, LEDGER)


def test_a_root_that_is_none(attacked: Shop) -> None:
    made = attacked.server.git("commit-tree", "main^{tree}", stdin="{}")
    attacked.server.git("update-ref", LEDGER, made)
    for is_known in (True, False):
        result = audit(attacked, is_root_known=is_known)
        assert found(result) == {(4, LEDGER)}
        assert result.root == (attacked.root if is_known else made)


# The archive.


def settled(shop: Shop, **more: object) -> dict[str, object]:
    """Write an entry that settles one task, well-formed."""
    return {
        "apiVersion": "gitrelease/v1",
        "kind": "Settlement",
        "by": "dev-1",
        "package": None,
        "settlement": None,
        "head": None,
        "log": None,
        "message": "",
        "tasks": [],
        **more,
    }


def test_an_archive_that_was_rewound(attacked: Shop, told: Told) -> None:
    attacked.server.git("update-ref", ARCHIVE, attacked.server.tip("archive~1"))
    result = audit(attacked)
    assert found(result) == {(2, ARCHIVE)}
    assert why(result, 2, ARCHIVE).startswith(f"lacks {told.refunds}, which was released")


def test_an_archive_that_is_gone(attacked: Shop) -> None:
    attacked.server.git("update-ref", "-d", ARCHIVE)
    result = audit(attacked)
    assert found(result) == {(2, ARCHIVE)}
    assert len(result.broken) == 2


@pytest.mark.parametrize(
    ("who", "value", "edits", "said"),
    [
        ("dev-1", "hello\n", {}, "carries no value"),
        ("dev-1", {"tasks": 5}, {}, "cannot read"),
        ("stranger", {"by": "stranger"}, {}, "was made by nobody who was ever a member"),
        ("dev-1", {"by": "dev-2"}, {}, "says it is by dev-2, and is by dev-1"),
        ("dev-1", {"head": "1" * 40}, {}, "does not keep what it says was settled"),
        (
            "dev-1",
            {},
            {"numbers/job/00/x": "job/x 7\n"},
            "changes numbers/job/00/x, which it does not settle",
        ),
        (
            "dev-1",
            {"package": "orders_1", "settlement": "released"},
            {},
            "says that orders_1 was released, and was made by no runner",
        ),
        ("dev-1", {"package": "orders_1", "settlement": "revoked"}, {}, "keeps no word on orders_1"),
    ],
)
def test_a_forged_entry_of_the_archive(
    attacked: Shop, who: str, value: str | dict[str, object], edits: dict[str, str | None], said: str
) -> None:
    written = value if isinstance(value, str) else settled(attacked, **value)
    made = entry(attacked, who, written, ref="archive", edits=edits)
    result = audit(attacked)
    assert (4, ARCHIVE) in found(result)
    assert f"entry {made:.7}" in why(result, 4, ARCHIVE)
    assert said in why(result, 4, ARCHIVE)


def test_a_number_that_was_lowered(attacked: Shop) -> None:
    """Numbers are never used twice, so an entry never makes one smaller."""
    listed = attacked.server.git("ls-tree", "-r", "--name-only", "archive").splitlines()
    path = next(one for one in listed if one.endswith("/orders"))
    task = {
        "id": "job/orders/v1",
        "commit": attacked.server.tip("main"),
        "settlement": "revoked",
        "package": None,
    }
    parents = (attacked.server.tip("archive"), attacked.server.tip("main"))
    edits: dict[str, str | None] = {path: "job/orders 1\n"}
    entry(attacked, "dev-1", settled(attacked, tasks=[task]), ref="archive", edits=edits, parents=parents)
    result = audit(attacked)
    assert found(result) == {(4, ARCHIVE)}
    assert f"keeps another number at {path}" in why(result, 4, ARCHIVE)


# All at once.


def test_one_attack_does_not_hide_another(attacked: Shop, told: Told) -> None:
    """Everything is found, in the past and in the present."""
    entry(attacked, "dev-1", "hello\n", parents=(attacked.server.tip("production"),))
    entry(
        attacked,
        "sync",
        repair(attacked, holdings=None),
        edits={ORDERS: "evil\n"},
        parents=(attacked.server.tip("production"),),
    )
    entry(attacked, "dev-1", "quick fix\n", ref="main", edits={REFUNDS: "evil\n"})
    entry(attacked, "dev-1", "tidy up\n", ref="deploy/main", edits={"run.sh": "evil\n"})
    entry(attacked, "stranger", "hello\n", ref="archive")
    attacked.server.git("update-ref", "-d", f"refs/tags/release/{told.refunds}")
    attacked.server.git("update-ref", "refs/tags/release/evil", attacked.server.tip("main"))
    assert found(audit(attacked)) >= {
        (1, LEDGER),
        (4, LEDGER),
        (1, MAIN),
        (1, DEPLOY),
        (4, ARCHIVE),
        (2, f"refs/tags/release/{told.refunds}"),
        (4, "refs/tags/release/evil"),
    }


def test_the_result_as_people_and_machines_get_it(attacked: Shop) -> None:
    """A finding is a value with the three keys of design 9."""
    attacked.server.git("update-ref", "refs/tags/release/evil", attacked.server.tip("main"))
    (one,) = audit(attacked).broken
    assert one == Broken(
        promise=4,
        ref="refs/tags/release/evil",
        why="stands where release tags do, and the ledger knows no such release",
    )
