"""What a server that defends itself takes and refuses: real pushes with plain git, by people who mean no good.

Every refused push leaves every ref of the server where it was, and says in words what is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitrelease.commands.receiving import MOST_MOVES, parse_moves
from gitrelease.commands.review import judge
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.server import make_server
from gitrelease.commands.views import summarize
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement
from gitrelease.core.ledger import Event, Receipt, Work, receipt_document
from gitrelease.core.names import (
    ARCHIVE,
    BlobId,
    CommitId,
    MemberId,
    item_key,
    package_name,
    package_ref,
    task_id,
    task_ref,
)
from gitrelease.core.review import Say
from gitrelease.core.status import Status, Summary
from gitrelease.errors import GitReleaseError, Refused, UsageError
from gitrelease.forges import Statement
from gitrelease.messages import message_of
from gitrelease.repo import PushDeclined, RefMove
from tests.kit.git import Bench, Clone
from tests.kit.raw import amend, commit_on
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop

ORDERS = "jobs/sales/orders.job.yaml"
REFUNDS = "jobs/sales/refunds.job.yaml"


def orders(version: int, note: str = "again") -> dict[str, str]:
    """The job that the shop starts with, as another version."""
    return {ORDERS: job_yaml("orders", version=version, script="clean", note=note)}


def refunds(version: int = 1) -> dict[str, str]:
    """A job that the shop does not have yet."""
    return {REFUNDS: job_yaml("refunds", version=version)}


@contextmanager
def open_guarded(bench: Bench, **settings: Any) -> Iterator[Shop]:
    """Open a shop, and let its server defend itself from then on."""
    made = open_shop(bench, FIRST_ITEMS, **settings)
    try:
        make_server(made.server.path, environ=bench.environ)
        yield made
    finally:
        made.close()


@pytest.fixture
def guarded(bench: Bench) -> Iterator[Shop]:
    """A shop on a server that defends itself."""
    with open_guarded(bench) as made:
        yield made


def push(clone: Clone, *words: str) -> subprocess.CompletedProcess[str]:
    """Push with plain git, and give what it said."""
    return subprocess.run(
        ["git", "push", *words],
        cwd=clone.path,
        env=dict(clone.environ),
        capture_output=True,
        text=True,
        check=False,
    )


def said(stderr: str) -> str:
    """Keep what the server said, as its developer reads it."""
    lines = [
        line.removeprefix("remote: ").rstrip() for line in stderr.splitlines() if line.startswith("remote:")
    ]
    return "\n".join("" if line == "remote:" else line for line in lines)


def refused(shop: Shop, who: str, *words: str) -> str:
    """Push what has to be refused: nothing moves; give what the server said."""
    before = shop.refs()
    ran = push(shop.person(who).clone, "--quiet", *words)
    assert ran.returncode != 0, ran.stderr
    assert shop.refs() == before
    assert "the push is refused, and nothing was changed" in ran.stderr, ran.stderr
    return said(ran.stderr)


def taken(shop: Shop, who: str, *words: str) -> None:
    """Push what has to be taken."""
    ran = push(shop.person(who).clone, "--quiet", *words)
    assert ran.returncode == 0, ran.stderr


def package(shop: Shop, name: str = "first") -> str:
    """Submit and release a change of orders, up to where people review it."""
    person = shop.person("dev-1")
    person.write(orders(1))
    person.submit("orders")
    person.release("orders", name=name)
    return name


# Tasks.


def test_a_refused_push_reads_like_this(guarded: Shop) -> None:
    text = job_yaml("orders", version=3, script="nowhere")
    made = commit_on(guarded.person("dev-1"), "origin/main", {ORDERS: text, **refunds()})
    shown = refused(guarded, "dev-1", "origin", f"{made}:refs/heads/submit/job/orders/v3")
    assert (
        shown
        == """\
submit/job/orders/v3:
  error: job/orders/v3 changes jobs/sales/refunds.job.yaml, which is not of job/orders
  hint: make one commit on main with the files of that item only; `gitrelease submit` does it
  error: version 3 of job/orders skips ahead: the next is 2
  hint: push it as submit/job/orders/v2, with version: 2 in it

the push is refused, and nothing was changed"""
    )


def test_a_plain_push_of_a_proper_task_is_as_good_as_submit(guarded: Shop) -> None:
    made = commit_on(guarded.person("dev-1"), "origin/main", orders(2))
    taken(guarded, "dev-1", "origin", f"{made}:refs/heads/submit/job/orders/v2")
    assert guarded.refs()["refs/heads/submit/job/orders/v2"] == made


def test_a_task_is_called_as_it_has_to_be(guarded: Shop) -> None:
    made = commit_on(guarded.person("dev-1"), "origin/main", orders(2))
    for branch, why in (
        ("submit/job/orders", "is not kind/name/v<number>"),
        ("submit/job/orders/v02", "is not kind/name/v<number>"),
        ("submit/table/orders/v2", "is not kind/name"),
        ("submit/job/con/v1", "is the name of a device"),
        ("submit/job/orders/v1", "version 1 of job/orders was used before: the next is 2"),
        ("submit/job/orders/v9", "version 9 of job/orders skips ahead: the next is 2"),
        ("submit/job/Orders/v2", "differ only in how they are written"),
        ("submit/script/clean/v2", "which is not of script/clean"),
    ):
        assert why in refused(guarded, "dev-1", "origin", f"{made}:refs/heads/{branch}")


def test_a_task_holds_one_item_as_submit_would_have_it(guarded: Shop) -> None:
    token = "ghp_" + "a1B2" * 9
    cases: list[tuple[Mapping[str, str], str]] = [
        ({"README.md": "x\n"}, "changes README.md, which is not of job/orders"),
        ({"items/job/00/x.yaml": "x\n"}, "which is not of job/orders"),
        (orders(7), f"{ORDERS}:4: version: the file says version 7, and this is version 2"),
        ({ORDERS: "apiVersion: [\n"}, f"error: {ORDERS}:"),
        ({ORDERS: job_yaml("orders", version=2, script="nowhere")}, "nowhere"),
        ({ORDERS: job_yaml("orders", version=2, script="clean", note=token)}, "secret"),
        ({}, "changes nothing"),
    ]
    for files, why in cases:
        made = commit_on(guarded.person("dev-1"), "origin/main", files)
        assert why in refused(guarded, "dev-1", "origin", f"{made}:refs/heads/submit/job/orders/v2")


def test_a_task_holds_plain_files(guarded: Shop) -> None:
    clone = guarded.person("dev-1").clone
    for mode in ("120000", "100755", "160000"):
        target = clone.tip("origin/main")
        if mode != "160000":
            target = clone.git("hash-object", "-w", "--stdin", stdin="/etc/passwd")
        clone.git("read-tree", "origin/main")
        clone.git("update-index", "--add", "--cacheinfo", f"{mode},{target},{ORDERS}")
        tree = clone.git("write-tree")
        made = clone.git("commit-tree", "-S", "-p", "origin/main", "-m", "odd", tree)
        shown = refused(guarded, "dev-1", "origin", f"{made}:refs/heads/submit/job/orders/v2")
        assert "something other than a plain file" in shown


def test_a_task_is_one_commit_on_main(guarded: Shop) -> None:
    person = guarded.person("dev-1")
    first = commit_on(person, "origin/main", orders(2, "first"))
    second = commit_on(person, first, orders(2, "second"))
    shown = refused(guarded, "dev-1", "origin", f"{second}:refs/heads/submit/job/orders/v2")
    assert "does not start from main's history" in shown
    orphan = person.clone.git("commit-tree", "-S", "-m", "alone", f"{first}^{{tree}}")
    assert "0 parents" in refused(guarded, "dev-1", "origin", f"{orphan}:refs/heads/submit/job/orders/v2")


def test_a_task_is_by_somebody_who_may_submit(guarded: Shop) -> None:
    unsigned = commit_on(guarded.person("dev-1"), "origin/main", orders(2), sign=False)
    shown = refused(guarded, "dev-1", "origin", f"{unsigned}:refs/heads/submit/job/orders/v2")
    assert "job/orders/v2 is not signed" in shown
    assert "git config gpg.format ssh" in shown
    viewed = commit_on(guarded.person("view-1"), "origin/main", orders(2))
    shown = refused(guarded, "view-1", "origin", f"{viewed}:refs/heads/submit/job/orders/v2")
    assert "view-1 may not submit" in shown
    posing = commit_on(
        guarded.person("view-1"), "origin/main", orders(2), "by hand", "--author=dev-1 <dev-1@example.org>"
    )
    shown = refused(guarded, "view-1", "origin", f"{posing}:refs/heads/submit/job/orders/v2")
    assert "says it was made by dev-1, and was signed by view-1" in shown


def test_a_task_is_never_moved_and_goes_only_into_the_archive(guarded: Shop) -> None:
    person = guarded.person("dev-1")
    person.write(orders(1))
    person.submit("orders")
    other = commit_on(person, "origin/main", orders(2, "other"))
    shown = refused(guarded, "dev-1", "--force", "origin", f"{other}:refs/heads/submit/job/orders/v2")
    assert "a submitted version is never moved" in shown
    shown = refused(guarded, "dev-1", "origin", ":refs/heads/submit/job/orders/v2")
    assert "no entry of the archive settles it, so it would be lost" in shown
    assert "`gitrelease task revoke job/orders/v2`" in shown


def test_one_bad_ref_refuses_the_whole_push_and_all_of_them_are_named(guarded: Shop) -> None:
    person = guarded.person("dev-1")
    good = commit_on(person, "origin/main", orders(2))
    bad = commit_on(person, "origin/main", refunds(5))
    shown = refused(
        guarded, "dev-1", "origin",
        f"{good}:refs/heads/submit/job/orders/v2",
        f"{bad}:refs/heads/submit/job/refunds/v5",
        f"{bad}:refs/tags/v1",
    )  # fmt: skip
    assert "submit/job/orders/v2" not in shown
    assert "submit/job/refunds/v5:\n  error: version 5 of job/refunds skips ahead" in shown
    assert "tags/v1:\n  error: this server holds branches and release tags, and nothing else" in shown


def test_a_push_that_is_larger_than_is_looked_at_is_refused_as_a_whole() -> None:
    line = "0" * 40 + " " + "1" * 40 + " refs/heads/b{}\n"
    lines = "".join(line.format(n) for n in range(MOST_MOVES + 1)).encode()
    with pytest.raises(Refused, match="1000 are the most"):
        parse_moves(lines)
    for nothing in (b"", b"\n", b"x refs/heads/y\n"):
        with pytest.raises(UsageError):
            parse_moves(nothing)
    with pytest.raises(GitReleaseError, match="stands twice"):
        parse_moves((line.format(1) * 2).encode())


def test_what_is_said_is_short_and_safe_whatever_was_pushed(guarded: Shop) -> None:
    person = guarded.person("dev-1")
    clone = person.clone
    blob = clone.git("hash-object", "-w", "--stdin", stdin="x")
    names = sorted(b"\x1b[31m\xe2\x80\xae" + b"x" * 200 + str(n).encode() for n in range(3))
    tree = clone.raw_tree([("100644", blob, name) for name in names])
    top = clone.git("mktree", stdin=f"040000 tree {tree}\tjobs\n")
    made = clone.git("commit-tree", "-S", "-p", "origin/main", "-m", "odd", top)
    refs = [f"{made}:refs/heads/submit/job/j{n}/v1" for n in range(30)]
    ran = push(clone, "--quiet", "origin", *refs)
    assert ran.returncode != 0
    assert "\x1b" not in ran.stderr.replace("\x1b[K", "")
    assert "\u202e" not in ran.stderr
    assert "and 10 more refs" in ran.stderr
    assert len(said(ran.stderr)) < 40_000


# Packages and reviews.


def test_a_package_changes_what_its_manifest_says_and_no_more(guarded: Shop) -> None:
    name = package(guarded)
    person = guarded.person("dev-1")
    person.clone.git("fetch", "--quiet", "origin")
    more = commit_on(person, f"origin/package/{name}", refunds(), "by hand", "--amend")
    shown = refused(guarded, "dev-1", "--force", "origin", f"{more}:refs/heads/package/{name}")
    assert "it changes jobs/sales/refunds.job.yaml, which its manifest does not name" in shown
    plain = commit_on(person, "origin/main", orders(2, "no manifest"))
    shown = refused(guarded, "dev-1", "origin", f"{plain}:refs/heads/package/second")
    assert "second has no manifest" in shown


def test_a_package_belongs_to_who_made_it(guarded: Shop) -> None:
    name = package(guarded)
    guarded.person("dep-1").clone.git("fetch", "--quiet", "origin")
    mine = commit_on(
        guarded.person("dep-1"), f"origin/package/{name}", {}, "mine", "--amend", "--reset-author"
    )
    shown = refused(guarded, "dep-1", "--force", "origin", f"{mine}:refs/heads/package/{name}")
    assert "the branch is dev-1's, and nobody else moves it" in shown
    shown = refused(guarded, "dev-2", "origin", f":refs/heads/package/{name}")
    assert "no entry of the archive settles it" in shown
    same = amend(guarded.person("dev-1"), f"package/{name}", {})
    assert guarded.refs()[f"refs/heads/package/{name}"] == same


def test_a_package_has_its_tasks_on_their_branches(guarded: Shop) -> None:
    name = package(guarded)
    head = guarded.refs()[f"refs/heads/package/{name}"]
    guarded.person("dev-1").revoke(name)
    revoke_tasks(guarded.person("dev-1").desk, ["orders"])
    shown = refused(guarded, "dev-1", "origin", f"{head}:refs/heads/package/{name}")
    assert "first was revoked, and a name is used once" in shown
    assert "job/orders/v2 is on no branch: it was taken back, or never submitted" in shown


def test_a_review_holds_words_of_those_who_may_speak(guarded: Shop) -> None:
    name = package(guarded)
    for who, why in (
        ("view-1", "view-1 may not approve or reject packages"),
        ("adm-1", None),
        ("dev-1", "dev-1 may not approve"),
    ):
        person = guarded.person(who)
        now = person.desk.look()
        review = person.desk.forge.find(package_name(name), now.workspace)
        assert review is not None
        statement = Statement(
            say=Say.APPROVE,
            workspace=now.workspace.id,
            root=now.ledger.root,
            manifest=_manifest_id(person, name),
        )
        if why is None:
            person.desk.forge.say(review, statement)
        else:
            with pytest.raises(PushDeclined, match=why):
                person.desk.forge.say(review, statement)


def _manifest_id(person: Person, name: str) -> BlobId:
    head = f"origin/package/{name}"
    path = person.clone.git("ls-tree", "-r", "--name-only", head, "packages").splitlines()[-1]
    return BlobId(person.clone.git("rev-parse", f"{head}:{path}"))


def test_nobody_approves_their_own_work_past_gitrelease(guarded: Shop) -> None:
    person = guarded.person("adm-1")
    person.write(orders(1))
    person.submit("orders")
    person.release("orders", name="own")
    now = person.desk.look()
    review = person.desk.forge.find(package_name("own"), now.workspace)
    assert review is not None
    statement = Statement(
        say=Say.APPROVE,
        workspace=now.workspace.id,
        root=now.ledger.root,
        manifest=_manifest_id(person, "own"),
    )
    with pytest.raises(PushDeclined, match="adm-1 made part of it"):
        person.desk.forge.say(review, statement)


def test_a_review_only_grows_and_by_opinions(guarded: Shop) -> None:
    name = package(guarded)
    nowhere = commit_on(guarded.person("dep-1"), "origin/main", {})
    shown = refused(guarded, "dep-1", "origin", f"{nowhere}:refs/heads/review/nothing")
    assert "there is no package nothing to review" in shown
    shown = refused(guarded, "dep-1", "origin", f"{nowhere}:refs/heads/review/{name}")
    assert f"review/{name}:" in shown
    now = guarded.person("dep-1").desk.look()
    review = guarded.person("dep-1").desk.forge.find(package_name(name), now.workspace)
    assert review is not None
    for who in ("dep-1", "dep-2"):
        person = guarded.person(who)
        person.desk.fetch()
        review = person.desk.forge.find(package_name(name), now.workspace)
        assert review is not None
        ask = Statement(
            say=Say.WITHDRAW,
            workspace=now.workspace.id,
            root=now.ledger.root,
            manifest=_manifest_id(person, name),
        )
        person.desk.forge.say(review, ask)
    log = guarded.refs()[f"refs/heads/review/{name}"]
    clone = guarded.person("dep-2").clone
    first = clone.git("rev-parse", f"{log}^1")
    shown = refused(guarded, "dep-2", "--force", "origin", f"{first}:refs/heads/review/{name}")
    assert f"it does not grow from {log:.7}, which the server holds" in shown
    shown = refused(guarded, "dep-2", "origin", f":refs/heads/review/{name}")
    assert "the package that it is about is still open" in shown
    odd = clone.git("commit-tree", "-S", "-p", log, "-m", "no opinion", f"{log}^{{tree}}")
    shown = refused(guarded, "dep-2", "origin", f"{odd}:refs/heads/review/{name}")
    assert "is no opinion that can be read" in shown


# The archive.


def _settle(person: Person, entry: ArchiveEntry, *gone: str) -> None:
    """Push an entry of the archive by hand, with the branches that it takes away."""
    now = person.desk.look()
    made = now.archive.extended(person.desk.pen, entry)
    moves = [
        RefMove(ref=task_ref(task_id(name)), new=None, expected=now.refs[task_ref(task_id(name))])
        for name in gone
    ]
    person.desk.repo.push([*moves, RefMove(ref=ARCHIVE, new=made, expected=now.archive.tip)])


def _entry(shop: Shop, by: str, how: Settlement, name: str = "job/orders/v2", **more: object) -> ArchiveEntry:
    commit = CommitId(shop.refs()[task_ref(task_id(name))])
    task = SettledTask(id=task_id(name), commit=commit, settlement=how)
    return replace(ArchiveEntry(by=MemberId(by), tasks=(task,)), **more)  # type: ignore[arg-type]


def test_only_who_may_takes_something_back(guarded: Shop) -> None:
    person = guarded.person("dev-1")
    person.write(orders(1))
    person.submit("orders")
    before = guarded.refs()
    for who, how, gone, why in (
        ("dev-2", Settlement.REVOKED, ["job/orders/v2"], "dev-2 may not revoke what others submitted"),
        ("view-1", Settlement.REVOKED, ["job/orders/v2"], "view-1 may not revoke what others submitted"),
        (
            "dev-2",
            Settlement.SUPERSEDED,
            ["job/orders/v2"],
            "no later version takes the place of job/orders/v2",
        ),
        (
            "dev-2",
            Settlement.RELEASED,
            ["job/orders/v2"],
            "it says that job/orders/v2 was released, by itself",
        ),
        ("dev-1", Settlement.REVOKED, [], "it settles job/orders/v2, whose branch stays or never was"),
    ):
        with pytest.raises(PushDeclined, match=why):
            _settle(guarded.person(who), _entry(guarded, who, how), *gone)
    with pytest.raises(PushDeclined, match="says it is by dep-1, and is by dev-2"):
        _settle(guarded.person("dev-2"), _entry(guarded, "dep-1", Settlement.REVOKED), "job/orders/v2")
    assert guarded.refs() == before
    _settle(guarded.person("dep-1"), _entry(guarded, "dep-1", Settlement.REVOKED), "job/orders/v2")
    assert "refs/heads/submit/job/orders/v2" not in guarded.refs()


def test_nobody_takes_away_what_is_others_by_keeping_it_with_something_else(guarded: Shop) -> None:
    """An entry keeps more than it settles, and an opinion what it is about; neither is a word of who may say so."""
    victim = package(guarded)
    dev = guarded.person("dev-2")
    dev.write(refunds())
    dev.submit("refunds")
    task, head = (
        guarded.refs()["refs/heads/submit/job/orders/v2"],
        guarded.refs()[f"refs/heads/package/{victim}"],
    )
    own = _entry(guarded, "dev-2", Settlement.REVOKED, "job/refunds/v1")
    before = guarded.refs()
    for more in ({"earlier": (head, task)}, {"head": head}, {"log": head}):
        moves = [RefMove(ref=package_ref(package_name(victim)), new=None, expected=head)]
        if "earlier" in more:
            moves.append(RefMove(ref=task_ref(task_id("job/orders/v2")), new=None, expected=task))
        now = dev.desk.look()
        made = now.archive.extended(dev.desk.pen, replace(own, **more))
        moves.append(RefMove(ref=ARCHIVE, new=made, expected=now.archive.tip))
        moves.append(RefMove(ref=task_ref(task_id("job/refunds/v1")), new=None, expected=own.heads[0]))
        with pytest.raises(PushDeclined, match="no entry of the archive settles it"):
            dev.desk.repo.push(moves)
    assert guarded.refs() == before


def test_an_open_package_keeps_its_tasks(guarded: Shop) -> None:
    package(guarded)
    with pytest.raises(PushDeclined, match="job/orders/v2 is in review, in the package first"):
        _settle(guarded.person("dev-1"), _entry(guarded, "dev-1", Settlement.REVOKED), "job/orders/v2")


def test_nobody_but_sync_says_that_something_was_released(guarded: Shop) -> None:
    name = package(guarded)
    head = CommitId(guarded.refs()[f"refs/heads/package/{name}"])
    for who, why in (
        ("dep-1", "says that first was released, and was made by no runner"),
        ("sync", "it says that first was released, and the ledger does not say so"),
    ):
        entry = _entry(
            guarded,
            who,
            Settlement.RELEASED,
            package=package_name(name),
            settlement=Settlement.RELEASED,
            head=head,
        )
        with pytest.raises(PushDeclined, match=why):
            _settle(guarded.person(who), entry, "job/orders/v2")


def test_a_package_is_closed_by_who_said_so(guarded: Shop) -> None:
    name = package(guarded)
    person = guarded.person("dep-1")
    now = person.desk.look()
    head = CommitId(now.refs[package_ref(package_name(name))])
    entry = ArchiveEntry(
        by=MemberId("dep-1"), package=package_name(name), settlement=Settlement.REJECTED, head=head
    )
    summary = _summary(person, name)
    made = now.archive.extended(person.desk.pen, entry, outcome=summary)
    moves = [
        RefMove(ref=package_ref(package_name(name)), new=None, expected=head),
        RefMove(ref=ARCHIVE, new=made, expected=now.archive.tip),
    ]
    with pytest.raises(
        PushDeclined, match="dep-1 closes first, and the review log has no such word of theirs"
    ):
        person.desk.repo.push(moves)
    person.reject(name)
    assert f"refs/heads/package/{name}" not in guarded.refs()


def _summary(person: Person, name: str) -> Summary:
    now = person.desk.look()
    judged = judge(person.desk, now, package_name(name))
    return replace(summarize(person.desk, now, judged), status=Status.REJECTED)


def test_the_archive_only_grows(guarded: Shop) -> None:
    person = guarded.person("dev-1")
    for note in ("one", "two"):
        person.write(orders(1, note))
        person.submit("orders")
        revoke_tasks(person.desk, ["orders"])
    tip = guarded.refs()["refs/heads/archive"]
    first = person.clone.git("rev-parse", f"{tip}^1")
    shown = refused(guarded, "dev-1", "--force", "origin", f"{first}:refs/heads/archive")
    assert f"it does not grow from {tip:.7}" in shown
    assert "is never deleted" in refused(guarded, "dev-1", "origin", ":refs/heads/archive")
    odd = person.clone.git("commit-tree", "-S", "-p", tip, "-m", "tidy up", f"{first}^{{tree}}")
    assert "archive:" in refused(guarded, "dev-1", "origin", f"{odd}:refs/heads/archive")


def test_what_goes_and_what_keeps_it_go_together_or_not_at_all(guarded: Shop) -> None:
    """A push that is not atomic could remove a branch and fail at the archive."""
    person = guarded.person("dev-1")
    person.write(orders(1))
    person.submit("orders")
    now = person.desk.look()
    made = now.archive.extended(person.desk.pen, _entry(guarded, "dev-1", Settlement.REVOKED))
    (guarded.server.path / "refs/heads/archive.lock").touch()
    before = guarded.refs()
    ran = push(person.clone, "origin", f"{made}:refs/heads/archive", ":refs/heads/submit/job/orders/v2")
    assert ran.returncode != 0
    assert guarded.refs() == before
    (guarded.server.path / "refs/heads/archive.lock").unlink()
    taken(
        guarded,
        "dev-1",
        "--atomic",
        "origin",
        f"{made}:refs/heads/archive",
        ":refs/heads/submit/job/orders/v2",
    )


# The main branch.


def test_nobody_pushes_to_the_main_branch(guarded: Shop) -> None:
    admin = guarded.person("adm-1")
    item = commit_on(admin, "origin/main", orders(2))
    shown = refused(guarded, "adm-1", "origin", f"{item}:refs/heads/main")
    assert f"{item:.7} changes {ORDERS}, and is not the merge of an approved package" in shown
    assert "`gitrelease submit` what you changed" in shown
    other = commit_on(admin, "origin/main", {"README.md": "hello\n"})
    shown = refused(guarded, "adm-1", "origin", f"{other}:refs/heads/main")
    assert "gitrelease.otherFiles" in shown
    assert "the main branch is never deleted" in refused(guarded, "adm-1", "origin", ":refs/heads/main")
    orphan = admin.clone.git("commit-tree", "-S", "-m", "anew", "origin/main^{tree}")
    shown = refused(guarded, "adm-1", "--force", "origin", f"{orphan}:refs/heads/main")
    assert "it does not grow from" in shown


def test_other_files_may_be_let_through_by_the_server(guarded: Shop) -> None:
    guarded.server.git("config", "gitrelease.otherFiles", "true")
    admin = guarded.person("adm-1")
    other = commit_on(admin, "origin/main", {"README.md": "hello\n"})
    both = commit_on(admin, other, orders(2))
    assert f"changes {ORDERS}" in refused(guarded, "adm-1", "origin", f"{both}:refs/heads/main")
    taken(guarded, "adm-1", "origin", f"{other}:refs/heads/main")
    guarded.released(orders(1), "orders")
    assert guarded.person("sync").sync().unapproved == ()


def _merged_by_git(shop: Shop, name: str, who: str, *, extra: Mapping[str, str] | None = None) -> str:
    clone = shop.person(who).clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "--detach", "origin/main")
    clone.git("merge", "--quiet", "--no-ff", "--no-edit", f"origin/package/{name}")
    if extra:
        clone.write(extra)
        clone.git("add", "--all")
        clone.git("commit", "--quiet", "--amend", "--no-edit")
    return clone.tip()


@pytest.fixture
def by_hand(bench: Bench) -> Iterator[Shop]:
    """A guarded shop where people merge."""
    with open_guarded(bench, auto_merge=False) as made:
        yield made


def test_the_main_branch_takes_the_merge_of_an_approved_package_and_no_other(by_hand: Shop) -> None:
    guarded = by_hand
    name = package(guarded)
    early = _merged_by_git(guarded, name, "dev-2")
    shown = refused(guarded, "dev-2", "origin", f"{early}:refs/heads/main")
    assert f"{early:.7} merges {name}: 1 more of 1 approvals" in shown
    assert f"`gitrelease gate {name}` says what is missing" in shown
    guarded.person("dep-1").approve(name)
    slipped = _merged_by_git(guarded, name, "dev-2", extra={"scripts/sales/clean.sql": "DROP TABLE x;\n"})
    shown = refused(guarded, "dev-2", "origin", f"{slipped}:refs/heads/main")
    assert "it changes scripts/sales/clean.sql, which its manifest does not name" in shown
    clone = guarded.person("dev-2").clone
    head = f"origin/package/{name}"
    swapped = clone.git("commit-tree", "-p", head, "-p", "origin/main", "-m", "swapped", f"{head}^{{tree}}")
    shown = refused(guarded, "dev-2", "origin", f"{swapped}:refs/heads/main")
    assert f"{swapped:.7} is not the merge of an approved package" in shown
    good = _merged_by_git(guarded, name, "dev-2")
    taken(guarded, "dev-2", "origin", f"{good}:refs/heads/main")
    # It is merged now: it stays as it was approved, and can no longer be closed.
    guarded.person("dev-1").clone.git("fetch", "--quiet", "origin")
    other = commit_on(guarded.person("dev-1"), f"origin/package/{name}", {}, "again", "--amend")
    shown = refused(guarded, "dev-1", "--force", "origin", f"{other}:refs/heads/package/{name}")
    assert "first is merged, and stays as it was approved" in shown
    assert [one.status for one in guarded.person("sync").sync().packages] == ["successful"]


# Production.


def _receipt(shop: Shop, who: str, receipt: Receipt, *, sign: bool = True) -> str:
    """Write a receipt on top of the ledger, with plain git."""
    clone = shop.person(who).clone
    clone.git("fetch", "--quiet", "origin")
    message = message_of(receipt.subject, receipt_document(receipt))
    tip = "origin/production"
    return clone.git(
        "commit-tree",
        "-S" if sign else "--no-gpg-sign",
        "-p",
        tip,
        "-F",
        "-",
        f"{tip}^{{tree}}",
        stdin=message,
    )


def test_only_runners_move_production(guarded: Shop) -> None:
    started = Receipt(event=Event.STARTED, runner=MemberId("sync"), run="1", work=Work.REPAIR)
    cases = [
        ("adm-1", _receipt(guarded, "adm-1", replace(started, runner=MemberId("adm-1"))), "who is no runner"),
        ("dev-1", _receipt(guarded, "dev-1", started), "was written by dev-1, who is no runner"),
        ("sync", _receipt(guarded, "sync", started, sign=False), "is not signed"),
        (
            "sync-2",
            _receipt(guarded, "sync-2", started),
            "names sync as its runner, and was written by sync-2",
        ),
        ("sync", _receipt(guarded, "sync", replace(started, event=Event.FINISHED)), "what was never started"),
        (
            "sync",
            _receipt(guarded, "sync", replace(started, work=Work.PACKAGE, package=package_name("first"))),
            "gives no evidence of the approval",
        ),
        ("sync", commit_on(guarded.person("sync"), "origin/production", {}), "is no receipt"),
    ]
    for who, made, why in cases:
        assert why in refused(guarded, who, "origin", f"{made}:refs/heads/production"), why
    good = _receipt(guarded, "sync", started)
    taken(guarded, "sync", "origin", f"{good}:refs/heads/production")
    other = replace(started, event=Event.FINISHED, items=(item_key("job/orders"),))
    shown = refused(guarded, "sync", "origin", f"{_receipt(guarded, 'sync', other)}:refs/heads/production")
    assert "goes on with other work than was begun: 'started repair'" in shown


def test_production_is_never_rewound_or_replaced(guarded: Shop) -> None:
    guarded.person("sync").sync()
    tip = guarded.refs()["refs/heads/production"]
    clone = guarded.person("sync").clone
    shown = refused(guarded, "sync", "--force", "origin", f"{guarded.root}:refs/heads/production")
    assert f"it does not grow from {tip:.7}" in shown
    assert "the ledger is never deleted" in refused(guarded, "sync", "origin", ":refs/heads/production")
    anew = clone.git("commit-tree", "-S", "-m", "anew", f"{tip}^{{tree}}")
    assert "does not grow" in refused(guarded, "sync", "--force", "origin", f"{anew}:refs/heads/production")


def test_a_deploy_branch_is_moved_by_runners_while_they_are_at_work(guarded: Shop) -> None:
    guarded.person("sync").sync()
    base = "origin/deploy/main"
    thief = commit_on(guarded.person("dev-1"), base, {"jobs/zz/evil.job": "{}\n"})
    shown = refused(guarded, "dev-1", "origin", f"{thief}:refs/heads/deploy/main")
    assert "was written by dev-1, who is no runner" in shown
    idle = commit_on(guarded.person("sync"), base, {"jobs/zz/evil.job": "{}\n"})
    shown = refused(guarded, "sync", "origin", f"{idle}:refs/heads/deploy/main")
    assert "the ledger does not say that anything is being released" in shown
    shown = refused(guarded, "sync", "origin", f"{idle}:refs/heads/deploy/elsewhere")
    assert "workspace.yaml names no target elsewhere" in shown
    assert "is never deleted by a push" in refused(guarded, "sync", "origin", ":refs/heads/deploy/main")
    before = guarded.person("sync").clone.git("rev-parse", "origin/main")
    shown = refused(guarded, "sync", "--force", "origin", f"{before}:refs/heads/deploy/main")
    assert "does not grow" in shown


def test_release_tags_are_made_by_a_release_and_stay(guarded: Shop) -> None:
    guarded.released(orders(1), "orders")
    (tag,) = [ref for ref in guarded.refs() if ref.startswith("refs/tags/")]
    clone = guarded.person("dev-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("tag", "-m", "mine", "release/mine", "origin/main")
    clone.git("tag", "v1", "origin/main")
    shown = refused(guarded, "dev-1", "origin", "refs/tags/release/mine")
    assert "the push does not release mine, so it makes no tag of it" in shown
    assert "sync makes the tags of releases" in refused(guarded, "dev-1", "origin", "refs/tags/v1")
    assert "a release tag is never moved" in refused(
        guarded, "dev-1", "--force", "origin", f"refs/tags/release/mine:{tag}"
    )
    assert "a release tag is never deleted" in refused(guarded, "dev-1", "origin", f":{tag}")


# Other branches, and what is none.


def test_people_have_branches_of_their_own(guarded: Shop) -> None:
    made = commit_on(guarded.person("dev-1"), "origin/main", {"notes.txt": "x\n"}, sign=False)
    for name in ("feature/orders", "dev-1/übung_#12", "订单/新"):
        taken(guarded, "dev-1", "origin", f"{made}:refs/heads/{name}")
        taken(guarded, "dev-2", "--force", "origin", f"origin/main:refs/heads/{name}")
        taken(guarded, "dev-2", "origin", f":refs/heads/{name}")


def test_a_ref_poses_as_nothing_else(guarded: Shop) -> None:
    made = commit_on(guarded.person("dev-1"), "origin/main", {"notes.txt": "x\n"})
    cases = {
        "HEAD": "names that begin with head are gitrelease's own",
        "submit": "names that begin with submit are gitrelease's own",
        "Package/x": "names that begin with package are gitrelease's own",
        "Production": "names that begin with production are gitrelease's own",
        "archive/x": "names that begin with archive are gitrelease's own",
        "MAIN": "could be taken for that of the main branch",
        "main/x": "could be taken for that of the main branch",
        "a;id": "characters other than",
        "$(id)": "characters other than",
        "a`id`b": "characters other than",
        "x/-y": "characters other than",
        "a\u202eb": "characters other than",
        "e\u0301": "characters other than",
        "x" * 241: "longer than 240 bytes",
        "../notes/commits": "branches and release tags, and nothing else",
        f"../replace/{made}": "branches and release tags, and nothing else",
        "../gitrelease/origin/root": "branches and release tags, and nothing else",
    }
    refs = [f"{made}:refs/heads/{name}".replace("heads/../", "") for name in cases]
    shown = refused(guarded, "dev-1", "origin", *refs)
    blocks = {block.partition("\n")[0].rstrip(":"): block for block in shown.split("\n\n")}
    for name, why in cases.items():
        printed = name.removeprefix("../").replace("\u202e", "\\u202e")
        assert why in blocks[printed], name


def test_a_branch_is_a_commit(guarded: Shop) -> None:
    tree = guarded.person("dev-1").clone.git("rev-parse", "origin/main^{tree}")
    others = ("feature/x", "submit/job/orders/v2", "package/x", "archive", "deploy/main")
    for ref in (*others, "main", "production"):
        force = "--force" if ref in {"main", "production"} else "--no-force"
        why = refused(guarded, "dev-1", force, "origin", f"{tree}:refs/heads/{ref}")
        assert f"error: {tree} is a tree, not a commit" in why
    refused(guarded, "dev-1", "origin", f"{tree}:refs/heads/review/x")


def test_a_broken_object_is_refused_by_git_itself(guarded: Shop) -> None:
    clone = guarded.person("dev-1").clone
    blob = clone.git("hash-object", "-w", "--stdin", stdin="x")
    tree = clone.raw_tree([("100644", blob, b".git")])
    made = clone.git("commit-tree", "-m", "x", tree)
    before = guarded.refs()
    assert push(clone, "origin", f"{made}:refs/heads/feature/x").returncode != 0
    assert guarded.refs() == before


# The beginning.


def test_a_server_takes_one_trust_root_and_no_other(bench: Bench, guarded: Shop) -> None:
    server = bench.server("other.git")
    made = make_server(server.path, environ=bench.environ)
    assert (made.is_new, made.root) == (False, None)
    clone = guarded.person("adm-1").clone
    root, tip = str(guarded.root), clone.tip("origin/main")
    before = server.refs()

    def goes(*refs: str, why: str | None) -> None:
        ran = push(clone, "--quiet", "--atomic", str(server.path), *refs)
        if why is None:
            assert ran.returncode == 0, ran.stderr
            return
        assert ran.returncode != 0
        assert why in ran.stderr, ran.stderr
        assert server.refs() == before

    main, ledger = f"{tip}:refs/heads/main", f"{root}:refs/heads/production"
    goes(f"{tip}:refs/heads/submit/job/orders/v2", why="there is no ledger here yet")
    goes(f"{tip}:refs/heads/other", ledger, why="the main branch that it names is not here")
    forged = clone.git("commit-tree", "-S", "-m", "anything", f"{root}^{{tree}}")
    goes(main, f"{forged}:refs/heads/production", why="carries no value of gitrelease")
    unsigned = clone.git(
        "commit-tree", "--no-gpg-sign", "-F", "-", f"{root}^{{tree}}",
        stdin=clone.git("log", "-1", "--format=%B", root),
    )  # fmt: skip
    goes(main, f"{unsigned}:refs/heads/production", why="the trust root is not signed")
    goes(main, ledger, f"{tip}:refs/heads/deploy/main", why="there is no ledger here yet")
    goes(main, ledger, why=None)
    before = server.refs()
    # From now on it is the only one; the next push of anything writes it down.
    goes(f"{tip}:refs/heads/feature/x", why=None)
    assert server.git("config", "gitrelease.root") == root
    server.git("update-ref", "-d", "refs/heads/production")
    before = server.refs()
    goes(f"{unsigned}:refs/heads/production", why="this server takes no other trust root")
    server.git("update-ref", "refs/heads/archive", tip)
    before = server.refs()
    for ref in ("production", "submit/job/orders/v2", "main"):
        goes(
            "--force", f"{unsigned}:refs/heads/{ref}", why="the branch `production` is gone from this server"
        )


def test_a_server_may_be_told_its_trust_root_before(bench: Bench, guarded: Shop) -> None:
    server = bench.server("other.git")
    make_server(server.path, environ=bench.environ)
    clone = guarded.person("adm-1").clone
    beginning = ("origin/main:refs/heads/main", f"{guarded.root}:refs/heads/production")
    for root, goes in (("1" * 40, False), (str(guarded.root), True)):
        server.git("config", "gitrelease.root", root)
        ran = push(clone, "--atomic", str(server.path), *beginning)
        assert (ran.returncode == 0) is goes, ran.stderr
        assert bool(server.refs()) is goes


def test_a_root_is_an_admins(bench: Bench, guarded: Shop) -> None:
    server = bench.server("other.git")
    make_server(server.path, environ=bench.environ)
    clone = guarded.person("dev-1").clone
    message = clone.git("log", "-1", "--format=%B", str(guarded.root))
    theirs = clone.git("commit-tree", "-S", "-F", "-", f"{guarded.root}^{{tree}}", stdin=message)
    ran = push(clone, str(server.path), "origin/main:refs/heads/main", f"{theirs}:refs/heads/production")
    assert ran.returncode != 0
    assert "dev-1 may not approve a change of the workspace" in ran.stderr
    assert server.refs() == {}


# Signed pushes.


def test_a_signed_push_has_to_hold(guarded: Shop) -> None:
    made = commit_on(guarded.person("dev-1"), "origin/main", {"x": "y\n"})
    taken(guarded, "dev-1", "--signed", "origin", f"{made}:refs/heads/feature/one")
    clone = guarded.person("dev-1").clone
    clone.git("config", "user.signingKey", str(guarded.bench.keys("stranger").path))
    shown = refused(guarded, "dev-1", "--signed", "origin", f"{made}:refs/heads/feature/two")
    assert "the signed push is signed with a key that no member has" in shown


def test_a_server_may_ask_for_signed_pushes(guarded: Shop) -> None:
    guarded.server.git("config", "gitrelease.signedPush", "required")
    person = guarded.person("dev-1")
    made = commit_on(person, "origin/main", orders(2))
    task = f"{made}:refs/heads/submit/job/orders/v2"
    shown = refused(guarded, "dev-1", "origin", task)
    assert "this server takes signed pushes only" in shown
    assert "git config push.gpgSign if-asked" in shown
    person.clone.git("config", "push.gpgSign", "if-asked")
    taken(guarded, "dev-1", "origin", task)
    # The verbs push as git is configured to.
    person.write(refunds())
    assert [str(one.task) for one in person.submit("refunds").items] == ["job/refunds/v1"]


@pytest.fixture
def claiming(bench: Bench) -> Iterator[Shop]:
    """A guarded shop where names are claims, and some have keys all the same."""
    with open_guarded(bench, signatures="off") as made:
        _give_keys(made)
        yield made


def test_where_commits_are_not_signed_a_signed_push_says_whose_they_are(claiming: Shop) -> None:
    """With signatures off a name is a claim; who signs the push cannot claim to be somebody else."""
    guarded = claiming
    person = guarded.person("dev-2")
    person.clone.git("config", "gpg.format", "ssh")
    person.clone.git("config", "user.signingKey", str(guarded.bench.keys("dev-2").path))
    posing = commit_on(
        person, "origin/main", orders(2), "x", "--author=dev-1 <dev-1@example.org>", sign=False
    )
    clone = person.clone
    tree = clone.git("rev-parse", f"{posing}^{{tree}}")
    env = {"GIT_AUTHOR_NAME": "dev-1", "GIT_AUTHOR_EMAIL": "dev-1@example.org"}
    env |= {"GIT_COMMITTER_NAME": "dev-1", "GIT_COMMITTER_EMAIL": "dev-1@example.org"}
    forger = Clone(path=clone.path, environ={**clone.environ, **env}, clock=clone.clock)
    forged = forger.git("commit-tree", "-p", "origin/main", "-m", "x", tree)
    shown = refused(guarded, "dev-2", "--signed", "origin", f"{forged}:refs/heads/submit/job/orders/v2")
    assert "it names dev-1, and dev-2 pushes it" in shown
    taken(
        guarded, "dev-2", "origin", f"{forged}:refs/heads/submit/job/orders/v2"
    )  # a claim, as the README says


def _give_keys(shop: Shop) -> None:
    """Give everybody's key to the workspace, approved as it has to be, with signatures still off."""
    admin = shop.person("adm-1")
    text = (admin.clone.path / "workspace.yaml").read_text(encoding="utf-8")
    for who in ("dev-1", "dev-2"):
        address = f"emails: [{who}@example.org]\n"
        text = text.replace(address, f'{address}    keys: ["{shop.bench.keys(who).public}"]\n')
    admin.write({"workspace.yaml": text})
    admin.submit("workspace.yaml")
    name = admin.release("workspace").manifest.name
    shop.person("adm-2").approve(name)
    shop.person("sync").sync()


# How it is said to programs.


def test_what_was_found_can_be_had_as_json(guarded: Shop) -> None:
    tip = guarded.refs()["refs/heads/main"]
    lines = f"{'0' * 40} {tip} refs/tags/v1\n{'0' * 40} {tip} refs/heads/feature/x\n"
    # Somebody was first: the branch is not where whoever pushes saw it.
    lines += f"{guarded.root} {tip} refs/heads/feature/y\n{'0' * 40} {tip} refs/heads/production\n"
    ran = subprocess.run(
        [sys.executable, "-m", "gitrelease", "check", "--pre-receive", "--json"],
        cwd=guarded.server.path,
        env={**guarded.bench.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["ok"]) == (1, False)
    assert [(one["ref"], one["code"]) for one in found["findings"]] == [
        ("tags/v1", "foreign-ref"),
        ("feature/y", "race-lost"),
        ("production", "race-lost"),
    ]


def test_a_clone_is_no_server(guarded: Shop) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gitrelease", "check", "--pre-receive"],
        cwd=guarded.person("dev-1").clone.path,
        env={**guarded.bench.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        input="x",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "this is a clone, not a server" in ran.stderr
