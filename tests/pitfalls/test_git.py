"""What git itself allows: tags that move, races, empty selections, clones that lie, settings that start programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest

from gitrelease.commands.compare import compare
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.status import status
from gitrelease.commands.verify import verify
from gitrelease.core.item import record_document
from gitrelease.core.names import BlobId, item_key, manifest_path, package_name, record_path
from gitrelease.core.package import manifest_document
from gitrelease.core.status import Status
from gitrelease.documents import dump
from gitrelease.errors import Exit, GitReleaseError, NotFound, Refused, UsageError
from gitrelease.repo import HistoryRewritten, NotARepository, Repo
from tests.kit.git import Bench, Clone
from tests.kit.raw import amend
from tests.kit.shop import FIRST_ITEMS, Person, Shop, open_shop
from tests.kit.targets import merged, propose, receipts, tree
from tests.pitfalls.steps import ORDERS, fetched, job, nothing_moves, orders, typed

# P11.


def test_p11_a_tag_is_a_label_and_decides_nothing(shop: Shop) -> None:
    """Whoever moves, deletes or makes a release tag changes no release; it is noticed, and the ledger is believed."""
    clone = shop.person("dev-2").clone
    clone.push("origin/main:refs/tags/release/first", "origin/main:refs/tags/release/never")
    taken = shop.refs()["refs/tags/release/first"]
    merged(shop, orders("first"), "orders", name="first")
    (one,) = shop.person("sync").sync().packages
    assert (str(one.status), shop.refs()["refs/tags/release/first"]) == ("successful", taken)
    assert "it is not ours and stays as it is" in one.note
    for version, name in ((2, "second"), (3, "third")):
        merged(shop, orders(name, version), "orders", name=name)
        shop.person("sync").sync()
    clone.push("origin/main:refs/tags/release/second", force=True)
    clone.push(":refs/tags/release/third")
    viewer = shop.person("view-1").desk
    with nothing_moves(shop):
        assert shop.person("sync").sync().exit is Exit.DONE
        first, third, never = map(package_name, ("first", "third", "never"))
        (difference,) = compare(viewer, before=first, after=third).items
        assert (difference.from_version, difference.to_version) == (2, 4)
        with pytest.raises(NotFound, match="there is no release never"):
            compare(viewer, before=first, after=never)
    assert {(one.ref.rpartition("/")[2], one.promise) for one in verify(viewer).broken} == {
        ("never", 4), ("second", 4), ("third", 2),
    }  # fmt: skip
    back = rollback(shop.person("dev-1").desk, RollbackRequest(package=third)).manifest
    assert back.items[0].after.version == 5
    assert "Loads orders second" in shop.server.git("show", f"package/{back.name}:{ORDERS}")


@pytest.mark.parametrize("branch", ["main", "production", "archive"])
def test_p11_a_branch_that_only_grows_was_rewound_and_nothing_goes_on(shop: Shop, branch: str) -> None:
    """A history that was replaced is refused by everybody who saw it, also by the next sync."""
    shop.released(orders("first"), "orders")
    before = shop.server.tip(branch)
    shop.released(orders("second", 2), "orders")
    shop.person("sync").desk.look()
    shop.server.git("update-ref", f"refs/heads/{branch}", before)
    with nothing_moves(shop), pytest.raises(HistoryRewritten, match=branch):
        shop.person("sync").sync()
    # Whoever saw nothing of it is told by what else is there.
    with nothing_moves(shop):
        if branch != "archive":
            with pytest.raises(GitReleaseError, match=r"rewritten|the archive says that .* was released"):
                shop.person("sync-2").sync()
        assert branch in {one.ref.rpartition("/")[2] for one in verify(fetched(shop.person("view-1"))).broken}


def test_p11_a_ledger_rewound_into_the_middle_of_a_release_is_not_gone_on_with(bench: Bench) -> None:
    """The tag and the archive say that the release was finished, so a ledger that has only begun it was rewound."""
    shop = open_shop(bench, FIRST_ITEMS, lease=1)
    shop.person("sync").sync()
    shop.released(orders("first"), "orders")
    shop.server.git("update-ref", "refs/heads/production", "production~1")
    try:
        with nothing_moves(shop), pytest.raises(GitReleaseError):
            shop.person("sync-2").sync()
    finally:
        shop.close()


@pytest.mark.long
def test_p11_a_release_whose_end_the_server_wrote_down_in_part_is_finished(bench: Bench) -> None:
    """Git renames ref by ref, the archive's first: a power failure then looks like a ledger that was rewound."""
    shop = open_shop(bench, FIRST_ITEMS, lease=1)
    try:
        shop.person("sync").sync()
        name = shop.released(orders("first"), "orders")
        head = shop.server.git("rev-parse", "production~1^3")
        shop.server.git("update-ref", f"refs/heads/package/{name}", head)
        shop.server.git("update-ref", "-d", f"refs/tags/release/{name}")
        shop.server.git("update-ref", "refs/heads/production", "production~1")
        done = shop.person("sync-2").sync()
        assert [(one.name, one.status) for one in done.packages] == [(name, Status.SUCCESSFUL)]
        assert f"refs/heads/package/{name}" not in shop.refs()
        assert verify(shop.person("sync-2").desk).ok
    finally:
        shop.close()


# P26.


def at_once(acts: Sequence[Callable[[], object]]) -> list[object]:
    """Let several people act in the same moment."""
    ready = Barrier(len(acts))

    def one(act: Callable[[], object]) -> object:
        ready.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def test_p26_refs_that_many_move_at_once_lose_nothing(shop: Shop) -> None:
    """Whoever pushes second gathers again: no submit, no opinion and no archive entry is overwritten."""
    people = [shop.person(who) for who in ("dev-1", "dev-2", "adm-1", "adm-2")]
    for person in people:
        person.write(job(f"by-{person.id}"))
        person.desk.look()
    at_once([lambda person=person: person.submit(f"by-{person.id}") for person in people])  # type: ignore[misc]
    heads = {ref: id_ for ref, id_ in shop.refs().items() if "/submit/" in ref}
    assert len(heads) == 4
    at_once([lambda person=person: revoke_tasks(person.desk, [f"by-{person.id}"]) for person in people])  # type: ignore[misc]
    assert not [ref for ref in shop.refs() if "/submit/" in ref]
    assert set(heads.values()) <= set(shop.server.git("rev-list", "archive").split())
    assert len(tree(shop, "archive")) == 4


def test_p26_opinions_given_at_once_are_all_kept(patient: Shop) -> None:
    """A review log takes every voice, one after the other."""
    name = propose(patient, orders("new"), "orders")
    reviewers = [patient.person(who) for who in ("dep-1", "dep-2", "dep-3")]
    for person in reviewers:
        person.desk.look()
    at_once([lambda person=person: person.approve(name) for person in reviewers])  # type: ignore[misc]
    found = patient.person("view-1").gate(name).verdict
    assert found is not None
    assert {str(opinion.actor.member) for opinion in found.approvals} == {"dep-1", "dep-2", "dep-3"}


# P28.


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda person: person.submit(), UsageError),
        (lambda person: person.submit("jobs/nowhere/*"), GitReleaseError),
        (lambda person: person.submit("scripts/**/*.py"), GitReleaseError),
        (lambda person: person.submit(delete=True), UsageError),
        (lambda person: person.submit("jobs/nowhere/*", delete=True), GitReleaseError),
        (lambda person: person.release(), UsageError),
        (lambda person: person.release("nothing"), NotFound),
        (lambda person: rollback(person.desk, RollbackRequest()), GitReleaseError),
    ],
)  # fmt: skip
def test_p28_a_selection_of_nothing_is_not_everything(
    common: Shop, act: Callable[[Person], object], error: type[GitReleaseError]
) -> None:
    """A glob that matches nothing, or a list that came out empty, selects nothing and says so."""
    with nothing_moves(common), pytest.raises(error):
        act(common.person("dev-2"))


def test_p28_a_missing_file_is_no_wish_to_delete(shop: Shop) -> None:
    """An emptied or sparse working tree proposes no deletion: that has to be asked for by the item's name."""
    person = shop.person("dev-1")
    for folder in ("jobs", "scripts"):
        shutil.rmtree(person.clone.path / folder)
    with nothing_moves(shop), pytest.raises(NotFound, match="no task"):
        person.release(everything=True)
    for items in ((), ("orders",), ("jobs/sales",)):
        with nothing_moves(shop), pytest.raises(GitReleaseError):
            person.submit(*items, everything=not items)
    sparse = shop.person("dev-2")
    sparse.clone.git("sparse-checkout", "set", "docs")
    assert not (sparse.clone.path / ORDERS).exists()
    assert status(sparse.desk).unsubmitted == ()
    with nothing_moves(shop):
        assert [one.task for one in sparse.submit(everything=True).items] == []


@pytest.mark.parametrize(
    "words",
    [("status",), ("sync",), ("task", "list"), ("package", "list"), ("submit", "--all")],
    ids=" ".join,
)
def test_p28_a_git_that_fails_is_not_a_repository_without_changes(
    common: Shop, words: tuple[str, ...]
) -> None:
    """A server that does not answer is an error with its own words, and never an empty list."""
    runner = common.person("sync-2")
    url = runner.clone.git("config", "remote.origin.url")
    runner.clone.git("config", "remote.origin.url", str(common.bench.folder / "gone.git"))
    try:
        ran = typed(runner, *words)
    finally:
        runner.clone.git("config", "remote.origin.url", url)
    assert (ran.returncode, ran.stdout) == (Exit.REFUSED, "")
    assert "the remote origin did not answer" in ran.stderr


def test_p28_a_production_that_is_gone_is_not_an_empty_one(shop: Shop) -> None:
    """A deploy branch that vanished is drift of everything it held: nothing is deleted, and nothing is in line."""
    shop.server.git("update-ref", "-d", "refs/heads/deploy/main")
    with nothing_moves(shop):
        result = shop.person("sync-2").sync()
    assert (sorted(str(item) for _, item in result.drifted), result.exit) == (
        ["job/orders", "script/clean"],
        Exit.REFUSED,
    )


# P29.


@pytest.mark.parametrize("words", [("status",), ("submit", "--all"), ("sync",), ("verify",)], ids=" ".join)
def test_p29_a_shallow_clone_decides_nothing(common: Shop, words: tuple[str, ...]) -> None:
    """Without its history a clone knows neither what was approved nor what changed, and says how to get it."""
    runner = common.person("sync")
    shallow = common.bench.folder / "shallow"
    if not shallow.exists():
        runner.clone.git(
            "clone",
            "--quiet",
            "--depth=1",
            "--no-single-branch",
            f"file://{common.server.path}",
            str(shallow),
        )
    with nothing_moves(common):
        ran = typed(runner, *words, where=shallow)
    assert (ran.returncode, ran.stdout) == (Exit.REFUSED, "")
    assert "this clone is shallow" in ran.stderr
    assert "fetch --unshallow" in ran.stderr


# P39.


def test_p39_every_byte_is_pinned_by_sha256_too(shop: Shop) -> None:
    """Object ids of git are SHA-1; what is approved and deployed is bound by SHA-256 as well."""
    name = shop.released(orders("pinned"), "orders")
    text = (shop.server.git("show", f"main:{ORDERS}") + "\n").encode()
    manifest = shop.server.git("show", f"main:{manifest_path(name)}")
    assert sha256(text).hexdigest() in manifest
    assert sha256(text).hexdigest() in shop.server.git("show", f"main:{record_path(item_key('job/orders'))}")
    (result,) = receipts(shop)[-1]["results"]
    assert len(result["deployed"]) == len(result["mapping"]) == 64


def test_p39_a_plan_with_another_sha256_is_not_approved(shop: Shop) -> None:
    """Also where git's own id is right: one collision must not be enough."""
    author = shop.person("dev-1")
    author.write(orders("pinned"))
    author.submit("orders")
    manifest = author.release("orders", name="pinned").manifest
    (item,) = manifest.items
    files = {path: replace(pin, sha256="0" * 64) for path, pin in item.after.files.items()}
    item = replace(item, after=replace(item.after, files=files))
    record = dump(record_document(item.record(manifest.name)))
    blob = author.clone.git("hash-object", "--stdin", stdin=record)
    forged = replace(manifest, items=(replace(item, record_after=BlobId(blob)),))
    written = {manifest.path: dump(manifest_document(forged)), record_path(item.item): record}
    amend(author, "package/pinned", written)
    with nothing_moves(shop), pytest.raises(Refused, match="does not have the SHA-256 its manifest pins"):
        shop.person("dep-1").approve("pinned")


def test_p39_objects_are_named_in_one_way(common: Shop) -> None:
    """A repository whose ids are SHA-256 is refused in a sentence until it is supported."""
    place = common.bench.folder / "long"
    place.mkdir()
    clone = Clone(path=place, environ=common.bench.environ, clock=common.bench.clock)
    clone.git("init", "--quiet", "--object-format=sha256")
    with pytest.raises(NotARepository, match="sha256"):
        Repo.discover(place, remote="origin", environ=clone.environ)


# P40.


PROGRAMS = (
    "core.fsmonitor", "core.pager", "core.editor", "sequence.editor", "diff.external", "diff.evil.textconv",
    "diff.evil.command", "merge.evil.driver", "gpg.program", "gpg.x509.program", "core.alternateRefsCommand",
)  # fmt: skip
"""Settings that name a program for git to start."""
FILTERS = ("filter.evil.clean", "filter.evil.smudge", "filter.evil.process")
HOOKS = ("pre-push", "post-checkout", "post-merge", "reference-transaction", "post-index-change")


def trapped(person: Person, witness: Path, settings: Sequence[str]) -> None:
    """Fill a clone with settings, hooks and attributes that would start a program."""
    clone = person.clone
    trap = witness.parent / "trap"
    trap.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{witness}'\nexec cat\n", encoding="utf-8")
    trap.chmod(0o755)
    for key in settings:
        clone.git("config", key, str(trap))
    hooks = clone.path / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    clone.git("config", "core.hooksPath", str(hooks))
    for hook in HOOKS:
        shutil.copy(trap, hooks / hook)
    attributes = "* diff=evil merge=evil filter=evil\n"
    (clone.path / ".git" / "info").mkdir(exist_ok=True)
    (clone.path / ".git" / "info" / "attributes").write_text(attributes, encoding="utf-8")
    clone.write({".gitattributes": attributes})
    for path in clone.path.glob("*/**/*.yaml"):
        path.touch()  # so that git looks into the files again


@pytest.mark.parametrize("settings", [PROGRAMS, FILTERS], ids=["settings and hooks", "filters"])
def test_p40_a_clone_that_would_run_programs_runs_none(shop: Shop, settings: Sequence[str]) -> None:
    """Whoever prepared the clone that CI works in, as root perhaps, gets no program started by it."""
    witness = shop.bench.folder / "witness"
    for who in ("dev-1", "dep-1", "sync"):
        trapped(shop.person(who), witness, settings)
    # Whoever signs has chosen the program that signs; whoever only verifies needs none but ssh-keygen.
    trapped(shop.person("view-1"), witness, [*settings, "gpg.ssh.program"])
    shop.person("dev-1").write(orders("new"))
    for who, *words in (
        ("dev-1", "status"), ("dev-1", "submit", "orders"), ("dev-1", "release", "orders", "--name", "new"),
        ("dep-1", "package", "diff", "new", "--patch"), ("dep-1", "package", "approve", "new"), ("sync", "sync"),
        ("dev-1", "pull"), ("view-1", "verify"),
    ):  # fmt: skip
        ran = typed(shop.person(who), *words)
        assert not witness.exists(), (words, witness.read_text(encoding="utf-8"))
        assert ran.returncode == Exit.DONE, (words, ran.stdout, ran.stderr)
    assert "refs/tags/release/new" in shop.refs()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a clone away")
def test_p40_somebody_elses_clone_is_opened_only_when_the_user_says_so(shop: Shop) -> None:
    """Git's protection against repositories that others own is kept, and so is the user's exception to it."""
    person = shop.person("dev-1")
    for path in (person.clone.path, *person.clone.path.rglob("*")):
        os.chown(path, 4321, 4321)
    refused = typed(person, "status")
    assert (refused.returncode, refused.stdout) == (Exit.REFUSED, "")
    assert "dubious ownership" in refused.stderr
    (shop.bench.home / "gitconfig").write_text(
        f"[safe]\n\tdirectory = {person.clone.path}\n", encoding="utf-8"
    )
    assert typed(person, "status").returncode == Exit.DONE
