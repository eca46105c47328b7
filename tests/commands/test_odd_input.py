"""What people, editors and other programs leave behind: odd files, odd branches, odd numbers, odd logs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitrelease.commands.check import check_ref, check_working
from gitrelease.commands.merge import MergeResult
from gitrelease.commands.pull import pull
from gitrelease.commands.refusals import CheckFailed
from gitrelease.commands.release import compose, plan_items, publish
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.status import status
from gitrelease.commands.submit import Outdated, SubmitResult
from gitrelease.commands.verify import verify
from gitrelease.commands.version import restore
from gitrelease.commands.views import PackageFilter, Paging, list_packages, view_package
from gitrelease.core.finding import Finding
from gitrelease.core.names import CommitId, PackageName, package_name, task_id, task_ref
from gitrelease.core.package import Purpose
from gitrelease.core.review import Say
from gitrelease.core.status import Status
from gitrelease.errors import Exit, GitReleaseError, NotFound, Refused, UsageError
from gitrelease.forges import Statement
from gitrelease.messages import message_of
from gitrelease.reading.judging import judge_branch
from gitrelease.reading.standing import read_standings
from gitrelease.reading.tasks import read_tasks
from gitrelease.repo import BLOB_LIMIT, FileRefused, HistoryRewritten, TooLarge
from tests.kit.git import Bench
from tests.kit.much_alike import first
from tests.kit.raw import commit_on, push_on
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop, script_yaml
from tests.kit.targets import merge_by_git

ROOT = Path(__file__).parent.parent.parent
ORDERS = "jobs/sales/orders.job.yaml"
BILLS = "jobs/sales/bills.job.yaml"
FIRST = package_name("first")


@pytest.fixture
def trusting(bench: Bench) -> Iterator[Shop]:
    """A shop in which names are believed, where nothing turns on who it was."""
    made = open_shop(bench, FIRST_ITEMS, signatures="off")
    yield made
    made.close()


def orders(note: str, version: int | None = 1) -> str:
    """Another version of the job that the shop starts with."""
    return job_yaml("orders", version=version, script="clean", note=note)


def places(findings: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    """Say where something was found, of which sort, and how bad."""
    return [(one.file, one.code, str(one.severity)) for one in findings]


def made(result: SubmitResult) -> list[str]:
    """Name the tasks of a submit."""
    return [str(one.task) for one in result.items if one.task is not None]


def against(result: MergeResult | None) -> list[str]:
    """Say what stands against merging a package; nothing does when it is merged."""
    assert result is not None
    assert result.verdict is not None
    assert (result.merge is None) == bool(result.verdict.reasons or result.verdict.missing)
    return [reason.code for reason in result.verdict.reasons]


def run(person: Person, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; one that waits for ever is stopped, and fails the test."""
    return subprocess.run(
        [sys.executable, "-m", "gitrelease", *words],
        cwd=person.clone.path,
        env=dict(person.clone.environ) | {"PYTHONPATH": str(ROOT), "GITRELEASE_ROOT": str(person.root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# Refs that are neither tasks nor packages.


def test_only_tasks_and_packages_are_checked_as_branches(trusting: Shop) -> None:
    shop = trusting
    package = shop.released({ORDERS: orders("two")}, "orders")
    person = shop.person("dev-2")
    person.clone.push("HEAD:refs/heads/feature", "HEAD:refs/heads/review/first")
    person.desk.fetch()
    head = person.clone.tip()
    for ref, what in {
        "main": "the main branch",
        "refs/heads/main": "the main branch",
        "origin/main": "the main branch",
        "production": "the ledger",
        "archive": "the archive",
        "deploy/main": "what production holds",
        "review/first": "the opinions on a package",
        f"release/{package}": "the tag of a release",
        f"refs/tags/release/{package}": "the tag of a release",
        "feature": "a branch of another kind",
        head: "a commit",
    }.items():
        with pytest.raises(UsageError) as refused:
            check_ref(person.desk, ref)
        assert refused.value.message == (
            f"'{ref}' is {what}; only the branches of tasks (submit/…) and of packages (package/…) can be checked"
        )
    ran = run(person, "check", "--ref", "main")
    assert (ran.returncode, ran.stdout) == (Exit.USAGE, "")
    assert "'main' is the main branch" in ran.stderr


# Branches that do not start from the main branch.


def elsewhere(person: Person, how: str) -> str:
    """Make a commit that is not of the main branch, though it holds what that holds."""
    person.clone.git("fetch", "--quiet")
    parents = {"a root": [], "a side branch": ["-p", "origin/main"]}[how]
    return person.clone.git("commit-tree", "-S", "origin/main^{tree}", *parents, "-m", "elsewhere")


@pytest.mark.parametrize("how", ["a root", "a side branch"])
def test_a_task_starts_from_the_main_branch(shop: Shop, how: str) -> None:
    person = shop.person("dev-1")
    base = elsewhere(person, how)
    push_on(person, "submit/job/orders/v2", {ORDERS: orders("two", 2)}, base=base)
    person.desk.fetch()
    result = check_ref(person.desk, "submit/job/orders/v2")
    assert places(result.findings) == [("submit/job/orders/v2", "task-base", "error")]
    assert "job/orders/v2 does not start from main's history" in result.findings[0].message
    assert [one.code for one in status(person.desk).findings] == ["task-base"]
    with pytest.raises(NotFound):
        person.release("job/orders/v2")


@pytest.mark.parametrize("how", ["a root", "a side branch"])
def test_a_package_starts_from_the_main_branch(shop: Shop, how: str) -> None:
    person = shop.person("dev-1")
    person.write({ORDERS: orders("two")})
    person.submit("orders")
    person.release("orders", name="first")
    base = elsewhere(person, how)
    head = person.clone.git("commit-tree", "-S", "origin/package/first^{tree}", "-p", base, "-m", "first")
    person.clone.push(f"{head}:refs/heads/package/first", force=True)
    person.desk.fetch()
    assert "not-on-main" in [one.code for one in check_ref(person.desk, "package/first").findings]
    speak(shop.person("dep-1"), Say.APPROVE)
    gated = shop.person("dep-1").gate("first")
    assert (gated.merge, "not-on-main" in against(gated)) == (None, True)


# Files that git is told to ignore.


def test_an_ignored_file_is_not_left_out_without_a_word(trusting: Shop) -> None:
    person = trusting.person("dev-1")
    hidden = "jobs/sales/hidden.job.yaml"
    person.write(
        {
            ".gitignore": "hidden*\n*.swp\n*.py\n",
            hidden: job_yaml("hidden"),
            "jobs/sales/.bills.job.yaml.swp": "of an editor",
            BILLS: job_yaml("bills"),
        }
    )
    warned = [(hidden, "ignored", "warning")]
    assert places(check_working(person.desk, []).findings) == warned
    assert places(status(person.desk).findings) == warned
    everything = person.submit(everything=True)
    assert (made(everything), places(everything.findings)) == (["job/bills/v1"], warned)
    assert places(check_working(person.desk, [hidden]).findings) == [("job/hidden", "ignored", "error")]
    for named in (hidden, "job/hidden"):
        with pytest.raises(Refused, match=f"git is told to ignore '{hidden}'"):
            person.submit(named)
    person.clone.git("add", "--force", hidden)
    assert made(person.submit(hidden)) == ["job/hidden/v1"]
    assert status(person.desk).findings == ()


def test_an_ignored_part_of_an_item_is_named_too(trusting: Shop) -> None:
    """The script is there, and git shows it to nobody: what is changed in it would never be seen."""
    person = trusting.person("dev-1")
    person.write({".gitignore": "*.py\n", "scripts/sales/clean.py": "print()\n"})
    warned = [("scripts/sales/clean.py", "ignored", "warning")]
    assert places(check_working(person.desk, []).findings) == warned
    person.write(
        {
            "scripts/load.script.yaml": script_yaml("load"),
            "scripts/load.sql": "SELECT 1;\n",
            ".gitignore": "*.yaml\n",
        }
    )
    with pytest.raises(Refused, match=r"git is told to ignore 'scripts/load\.script\.yaml'"):
        person.submit(everything=True)


# What stands in the place of a file.


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.symlink_to("../../workspace.yaml")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the name of a socket has to be short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(before)


def a_device(path: Path) -> None:
    try:
        os.mknod(path, 0o20600, os.makedev(1, 5))  # it never ends
    except PermissionError:
        pytest.skip("only root makes devices")


KINDS: dict[Callable[[Path], None], str] = {
    a_pipe: "a named pipe",
    a_link: "a symbolic link",
    a_folder: "a folder",
    a_socket: "a socket",
    a_device: "a device",
}


@pytest.mark.parametrize("path", [ORDERS, BILLS], ids=["released", "new"])
@pytest.mark.parametrize("put", KINDS)
def test_what_is_no_file_is_found_and_hides_no_other(
    trusting: Shop, put: Callable[[Path], None], path: str
) -> None:
    person = trusting.person("dev-1")
    place = person.clone.path / path
    place.unlink(missing_ok=True)
    put(place)
    person.write({"jobs/other.job.yaml": job_yaml("other")})
    refused = [(path, "path-refused", "error")]
    # In a process of its own, as nothing but its end shows that it does not wait for somebody to write.
    ran = run(person, "status", "--json")
    told = json.loads(ran.stdout)
    assert (told["unsubmitted"], [one["file"] for one in told["findings"]]) == (["job/other"], [path])
    looked = status(person.desk)
    assert (places(looked.findings), [str(item) for item in looked.unsubmitted]) == (refused, ["job/other"])
    assert f"'{path}' is {KINDS[put]}, not a plain file" in looked.findings[0].message
    for paths in ([], [path, "job/other"]):
        result = check_working(person.desk, paths)
        assert (places(result.findings), result.checked) == (refused, 1)
    for named in (path, f"job/{Path(path).name.split('.')[0]}", "jobs/sales"):
        with pytest.raises(FileRefused, match=KINDS[put]):
            person.submit(named)
    with pytest.raises(FileRefused, match=KINDS[put]):
        person.submit(everything=True)
    assert made(person.submit("job/other")) == ["job/other/v1"]


@pytest.mark.parametrize("put", [a_pipe, a_folder])
def test_what_is_no_file_is_found_among_subjobs_and_contents(
    trusting: Shop, put: Callable[[Path], None]
) -> None:
    person = trusting.person("dev-1")
    inside = "jobs/sales/orders.subjobs/part.job.yaml"
    (person.clone.path / inside).parent.mkdir()
    put(person.clone.path / inside)
    content = "scripts/sales/clean.sql"
    (person.clone.path / content).unlink()
    put(person.clone.path / content)
    assert [one.file for one in status(person.desk).findings] == [inside, content]
    for item, path in (("orders", inside), ("clean", content)):
        with pytest.raises(FileRefused) as refused:
            person.submit(item)
        assert refused.value.path == path


def test_a_folder_named_like_a_file_is_found_with_what_is_in_it(trusting: Shop) -> None:
    person = trusting.person("dev-1")
    person.write({f"{BILLS}/notes.txt": "x"})
    assert places(check_working(person.desk, []).findings) == [
        (f"{BILLS}/notes.txt", "stray-file", "error"),
        (BILLS, "path-refused", "error"),
    ]


# Files that are too large.

LARGE = b"-- " + b"x" * BLOB_LIMIT


def test_a_file_that_is_too_large_is_named_with_its_size(trusting: Shop) -> None:
    person = trusting.person("dev-1")
    sql = "scripts/sales/clean.sql"
    message = f"'{sql}' has {len(LARGE)} bytes, more than the {BLOB_LIMIT} that are read"
    person.write({sql: LARGE, BILLS: job_yaml("bills")})
    looked = status(person.desk)
    assert [(one.file, one.message) for one in looked.findings] == [(sql, message)]
    assert [str(item) for item in looked.unsubmitted] == ["job/bills"]
    with pytest.raises(TooLarge) as refused:
        person.submit("clean")
    assert refused.value.message == message


def test_a_branch_with_a_file_that_is_too_large_is_refused_by_its_name(trusting: Shop) -> None:
    person = trusting.person("dev-1")
    sql = "scripts/sales/clean.sql"
    script = script_yaml("clean", version=2)
    push_on(
        person, "submit/script/clean/v2", {sql: LARGE, "scripts/sales/clean.script.yaml": script}, sign=False
    )
    person.desk.fetch()
    result = check_ref(person.desk, "submit/script/clean/v2")
    message = f"'{sql}' has {len(LARGE)} bytes, more than the {BLOB_LIMIT} that are read"
    assert [(one.file, one.message) for one in result.findings] == [(sql, message)]
    with pytest.raises(TooLarge) as refused:
        person.release("clean")
    assert refused.value.message == message


# What is no opinion, in a log of opinions.


def package(shop: Shop, name: str = "first") -> None:
    """Let dev-1 propose a change of the job."""
    person = shop.person("dev-1")
    person.write({ORDERS: orders("two")})
    person.submit("orders")
    person.release("orders", name=name)


def speak(person: Person, say: Say, name: PackageName = FIRST) -> None:
    """Add an opinion to the log, and nothing else."""
    now = person.desk.look()
    review = person.desk.forge.find(name, now.workspace)
    assert review is not None
    manifest = judge_branch(person.repo, person.desk.forge, now.ground, review).package.manifest_id
    person.desk.forge.say(
        review, Statement(say=say, workspace=now.workspace.id, root=now.ledger.root, manifest=manifest)
    )


def pushed(person: Person, message: str, *parents: str, sign: bool = False) -> str:
    """Add a commit of any sort to the log, with these parents and no others."""
    person.clone.git("fetch", "--quiet")
    named = [word for parent in parents for word in ("-p", person.clone.tip(parent))]
    signed = ["-S"] if sign else []
    commit = person.clone.git("commit-tree", *signed, "origin/main^{tree}", *named, "-m", message)
    person.clone.push(f"{commit}:refs/heads/review/first")
    return commit


def words(person: Person, previous: str | None, head: str, *, say: str = "approve") -> str:
    """Write what an opinion on the package says, of dep-1 or whoever."""
    now = person.desk.look()
    review = person.desk.forge.find(FIRST, now.workspace)
    assert review is not None
    document: dict[str, object] = {
        "apiVersion": "gitrelease/v1",
        "kind": "Opinion",
        "say": say,
        "package": "first",
        "workspace": now.workspace.id,
        "root": now.ledger.root,
        "head": head,
        "manifest": judge_branch(person.repo, person.desk.forge, now.ground, review).package.manifest_id,
        "previous": previous,
        "message": "",
        "asks": [],
    }
    return message_of(f"{say} first", document)


LOG, HEAD = "origin/review/first", "origin/package/first"


def nothing_at_all(person: Person) -> None:
    pushed(person, "just a commit", LOG)


def broken_json(person: Person) -> None:
    pushed(person, 'approve first\n\n{"say": "approve", "previous": 7', LOG)


def a_word_of_ours(person: Person) -> None:
    """Claim to be what gitrelease calls that which it cannot read; nobody may say that for somebody."""
    log, head = person.clone.tip(LOG), person.clone.tip(HEAD)
    pushed(person, words(person, log, head, say="unreadable"), LOG, HEAD, sign=True)


def another_parent(person: Person) -> None:
    log, head = person.clone.tip(LOG), person.clone.tip(HEAD)
    pushed(person, words(person, log, head), LOG, "origin/main", sign=True)


def a_previous_that_never_was(person: Person) -> None:
    head = person.clone.tip(HEAD)
    pushed(person, words(person, "1234" * 10, head), LOG, HEAD, sign=True)


def behind_the_second_parent(person: Person) -> None:
    pushed(person, "a merge", "origin/main", LOG)


def as_if_it_were_the_first(person: Person) -> None:
    """Name the log itself as what was reviewed: whoever believes that looks no further."""
    log = person.clone.tip(LOG)
    pushed(person, words(person, None, log), LOG, sign=True)


def as_if_of_another_head(person: Person) -> None:
    """Make a head that grows from the log, and review that."""
    person.clone.git("fetch", "--quiet")
    head = person.clone.git("commit-tree", f"{HEAD}^{{tree}}", "-p", LOG, "-m", "Release first")
    pushed(person, words(person, None, head), head, sign=True)


ODD = [
    as_if_it_were_the_first,
    as_if_of_another_head,
    behind_the_second_parent,
    nothing_at_all,
    broken_json,
    a_word_of_ours,
    another_parent,
    a_previous_that_never_was,
]


@pytest.mark.parametrize("add", first(3, ODD))
def test_what_is_no_opinion_neither_stops_a_package_nor_hides_a_no(
    shop: Shop, add: Callable[[Person], None]
) -> None:
    package(shop)
    speak(shop.person("dep-1"), Say.REJECT)
    intruder = shop.person("dev-2")
    intruder.clone.git("fetch", "--quiet")
    add(intruder)
    reader = shop.person("view-1").desk
    [listed] = list_packages(reader, PackageFilter(), Paging()).items
    seen = view_package(reader, FIRST)
    assert listed == seen
    assert (seen.status, [str(view.person) for view in seen.approvals]) == (
        Status.CHANGES_REQUESTED,
        ["dep-1"],
    )
    # A second approver, and nobody but who objected can lift a no.
    second = shop.person("dep-2").approve("first").merged
    assert against(second) == ["changes-requested"]
    done = shop.person("dep-1").approve("first").merged
    assert against(done) == []
    synced = shop.person("sync").sync()
    assert [(one.name, one.status) for one in synced.packages] == [("first", Status.SUCCESSFUL)]
    shop.person("adm-1").desk.fetch()
    assert verify(shop.person("adm-1").desk).broken == ()


@pytest.mark.parametrize(
    ("add", "why"),
    [
        (nothing_at_all, "it is no opinion that can be read"),
        (a_word_of_ours, "it is no opinion that can be read"),
        (another_parent, "it does not follow from the opinion it names"),
    ],
)
def test_what_is_no_opinion_is_shown_as_such(shop: Shop, add: Callable[[Person], None], why: str) -> None:
    package(shop)
    speak(shop.person("dev-1"), Say.ASK)
    intruder = shop.person("dev-2")
    intruder.clone.git("fetch", "--quiet")
    add(intruder)
    seen = view_package(shop.person("view-1").desk, FIRST)
    assert [(view.verdict, view.why) for view in seen.uncounted] == [("unreadable", why)]
    assert (seen.status, seen.reasons) == (Status.PENDING_REVIEW, ())
    shop.person("dep-1").desk.fetch()
    [found] = check_ref(shop.person("dep-1").desk, "package/first").findings
    assert (found.code, found.file, str(found.severity)) == ("no-opinion", "review/first", "warning")


def test_a_yes_that_does_not_know_of_a_no_does_not_lift_it(shop: Shop) -> None:
    """Somebody joins a log to another one, in which the same person had said yes on another day."""
    package(shop)
    speak(shop.person("dev-1"), Say.ASK)
    beginning = shop.server.tip("review/first")
    speak(shop.person("dep-1"), Say.APPROVE)
    other = shop.server.tip("review/first")
    shop.server.git("update-ref", "refs/heads/review/first", beginning)
    shop.close()
    shop.people.clear()
    for clone in ("dep-1", "dev-1"):
        (shop.bench.folder / clone).rename(shop.bench.folder / f"{clone}-before")
    speak(shop.person("dep-1"), Say.REJECT)
    no = shop.server.tip("review/first")
    for who, one, two in (("adm-1", other, no), ("adm-2", no, other)):
        joined = shop.server.git("commit-tree", "main^{tree}", "-p", one, "-p", two, "-m", "joined")
        shop.server.git("update-ref", "refs/heads/review/first", joined)
        gated = shop.person(who).gate("first")
        assert (gated.merge, against(gated)) == (None, ["changes-requested"])


def test_a_log_that_was_rewound_is_refused(shop: Shop) -> None:
    package(shop)
    speak(shop.person("dev-1"), Say.ASK)
    before = shop.server.tip("review/first")
    speak(shop.person("dep-1"), Say.REJECT)
    shop.person("dep-2").desk.look()
    shop.server.git("update-ref", "refs/heads/review/first", before)
    with pytest.raises(HistoryRewritten):
        shop.person("dep-2").approve("first")
    # Also by who sees it for the first time, if anything that was said since shows it.
    reader = shop.person("adm-2")
    no = shop.person("dep-1").clone.tip("refs/remotes/origin/review/first")
    reader.clone.git("fetch", "--quiet")
    reader.clone.git("fetch", "--quiet", str(shop.person("dep-1").clone.path), no)
    head = reader.clone.tip(HEAD)
    pushed(reader, words(reader, no, head), LOG, HEAD, sign=True)
    gated = shop.person("adm-2").gate("first")
    assert (gated.merge, against(gated)) == (None, ["review-unreadable"])


def test_a_head_that_grows_from_its_own_log_is_refused_also_when_it_is_merged(shop: Shop) -> None:
    """The log is read down to where the head starts, so the head must not start from the log."""
    package(shop)
    speak(shop.person("dep-1"), Say.REJECT)
    merge_by_git(shop, "first")
    author = shop.person("dev-1")
    author.clone.git("fetch", "--quiet")
    head = author.clone.git("commit-tree", "-S", f"{HEAD}^{{tree}}", "-p", LOG, "-m", "Release first")
    author.clone.push(f"{head}:refs/heads/package/first", force=True)
    pushed(author, "go on", LOG)
    with pytest.raises(Refused, match="first cannot be approved: first does not start from main"):
        shop.person("dep-2").approve("first")
    [waiting] = shop.person("sync").sync().waiting
    assert "first does not start from main" in waiting.reasons


# What to do next with what was merged and is not approved.


def test_next_steps_of_what_is_merged_and_not_approved(shop: Shop) -> None:
    shop.person("sync").sync()
    package(shop)
    merge_by_git(shop, "first")
    person = shop.person("dev-2")

    def last(*words: str) -> list[str]:
        lines = run(person, *words).stdout.splitlines()
        return [line for line in lines if line.startswith("next:")]

    looks = "next: gitrelease package view first  (says what it lacks, and what to do)"
    assert last("package", "view", "first") == [
        "next: gitrelease package approve first  (by a reviewer: a late yes counts)"
    ]
    assert last("status") == [looks, "next: gitrelease rollback --unapproved  (puts back what was approved)"]
    assert "first  merged, not approved" in run(person, "status").stdout
    person = shop.person("sync")
    assert last("sync") == [looks]
    person = shop.person("dep-1")
    said = run(person, "package", "reject", "first", "-m", "no")
    assert said.stdout == (
        "dep-1 rejected first; it is merged, and sync does not apply it\n\n"
        "next: gitrelease rollback --unapproved  (puts back what was approved)\n"
    )
    assert last("package", "view", "first") == [
        "next: gitrelease package approve first  (by who objected: a late yes counts)"
    ]
    run(person, "package", "approve", "first")
    assert last("package", "view", "first") == [
        "next: gitrelease sync  (by a runner, brings it to production)"
    ]
    assert last("status") == ["next: gitrelease sync  (by a runner, brings production in line)"]


# Numbers that skip ahead, and plans that ask to run jobs.


def by_hand(person: Person, task: str, *, execute: bool = False) -> PackageName:
    """Make a package as somebody would who knows the format and asks nobody."""
    now = person.desk.look()
    id_ = task_id(task)
    commit = CommitId(now.refs[task_ref(id_)])
    tasks, _ = read_tasks(person.repo, person.desk.forge, {id_: commit}, now.workspace)
    items = plan_items(person.desk, now, tasks, FIRST)
    who = person.desk.forge.whoami(now.workspace).member
    assert who is not None
    manifest, _ = compose(
        now,
        name=FIRST,
        who=who,
        items=items,
        purpose=Purpose.RELEASE,
        reviewers=(),
        execute=execute,
        message="by hand",
    )
    publish(person.desk, now, manifest, tasks)
    return manifest.name


def test_a_subject_of_any_length_is_shown_as_far_as_a_description_goes(shop: Shop) -> None:
    """A task that was committed by hand is released like another; what is shown of it fits a line."""
    shop.person("sync").sync()
    person = shop.person("dev-1")
    push_on(person, "submit/job/orders/v2", {ORDERS: orders("two", 2)}, "long " * 20_000)
    person.release("job/orders/v2", name=FIRST)
    said = view_package(person.desk, FIRST).description
    assert said.startswith("job/orders/v2: long long ") and said.endswith("…") and len(said) < 150


def test_a_number_that_skips_ahead_goes_nowhere(shop: Shop) -> None:
    shop.person("sync").sync()
    person = shop.person("dev-1")
    push_on(person, "submit/job/orders/v9", {ORDERS: orders("two", 9)})
    by_hand(person, "job/orders/v9")
    person.desk.fetch()
    message = "job/orders/v9 skips ahead: no version 2 of it was ever submitted"
    assert [(one.code, one.message) for one in check_ref(person.desk, "package/first").findings][:1] == [
        ("version", message)
    ]
    with pytest.raises(Refused, match="first cannot be approved: job/orders/v9 skips ahead"):
        shop.person("dep-1").approve("first")
    speak(shop.person("dep-1"), Say.APPROVE)
    gated = shop.person("dep-1").gate("first")
    assert (gated.merge, against(gated)) == (None, ["version"])
    with pytest.raises(Refused, match="skips ahead"):
        shop.person("dep-1").merge("first")


def test_a_number_that_skips_ahead_is_not_approved_late_either(shop: Shop) -> None:
    shop.person("sync").sync()
    person = shop.person("dev-1")
    push_on(person, "submit/job/orders/v9", {ORDERS: orders("two", 9)})
    by_hand(person, "job/orders/v9")
    merge_by_git(shop, "first")
    with pytest.raises(Refused, match="first cannot be approved: job/orders/v9 skips ahead"):
        shop.person("dep-1").approve("first")
    synced = shop.person("sync").sync()
    assert ([one.name for one in synced.waiting], synced.packages) == (["first"], ())


def test_numbers_that_were_used_are_no_gap(shop: Shop) -> None:
    """What was revoked is in the archive, and what is malformed has a branch: neither number comes again."""
    person = shop.person("dev-1")
    person.write({ORDERS: orders("two")})
    person.submit("orders")
    revoke_tasks(person.desk, ["orders"])
    push_on(shop.person("dev-2"), "submit/job/orders/v3", {"README.md": "no task\n"})
    person.write({ORDERS: orders("four")})
    assert made(person.submit("orders")) == ["job/orders/v4"]
    package = person.release("orders").manifest.name
    assert against(shop.person("dep-1").approve(package).merged) == []
    # What becomes of the branch of a lower number does not change what was merged.
    shop.server.git("update-ref", "-d", "refs/heads/submit/job/orders/v3")
    synced = shop.person("sync").sync()
    assert [(one.name, one.status) for one in synced.packages] == [(package, Status.SUCCESSFUL)]
    assert verify(shop.person("sync").desk).broken == ()


def test_a_plan_that_asks_to_run_jobs_is_refused_before_and_after_it_is_merged(shop: Shop) -> None:
    shop.person("sync").sync()
    person = shop.person("dev-1")
    person.write({ORDERS: orders("two")})
    person.submit("orders")
    by_hand(person, "job/orders/v2", execute=True)
    why = "it asks to run jobs, which this version does not do"
    said = shop.person("dep-1").approve("first").merged
    assert against(said) == ["execute"]
    with pytest.raises(Refused, match=why):
        shop.person("dep-1").merge("first")
    merge_by_git(shop, "first")
    synced = shop.person("sync").sync()
    assert [(one.name, one.status, one.reasons) for one in synced.packages] == [
        ("first", Status.REFUSED, (why,))
    ]
    assert {one.ref for one in verify(shop.person("sync").desk).broken} == {"refs/heads/main"}


# Branches that count for nothing.


def test_status_names_the_branches_that_count_for_nothing(shop: Shop) -> None:
    shop.person("sync").sync()
    one, other = shop.person("dev-1"), shop.person("dev-2")
    push_on(one, "submit/job/orders/v2", {ORDERS: orders("two", 2)})
    push_on(other, "submit/job/orders/v3", {ORDERS: orders("three", 3)})
    push_on(other, "submit/orders", {ORDERS: orders("three", 3)})
    push_on(other, "package/by-hand", {"README.md": "no package\n"})
    push_on(other, "package/a;b", {"README.md": "no package\n"})
    one.clone.push(":refs/heads/submit/job/orders/v2")
    told = status(one.desk)
    assert [(found.file, found.code) for found in told.findings] == [
        ("package/a;b", "name-refused"),
        ("package/by-hand", "no-manifest"),
        ("submit/job/orders/v3", "task-number"),
        ("submit/orders", "task-name"),
    ]
    assert {str(found.severity) for found in told.findings} == {"warning"}
    assert told.findings[2].message == "job/orders/v3 skips ahead of every number that was used"
    assert told.findings[2].hint == (
        "`gitrelease submit job/orders` takes the next number; "
        "`git push origin --delete submit/job/orders/v3` removes it"
    )
    assert told.exit is Exit.DONE
    shown = run(one, "status").stdout
    assert "submit/job/orders/v3: warning: job/orders/v3 skips ahead" in shown
    # The hint is true: the number that was missing is given, and nothing is malformed any more.
    one.write({ORDERS: orders("mine")})
    assert made(one.submit("orders")) == ["job/orders/v2"]
    standings = read_standings(one.repo, one.desk.forge, one.desk.look())
    assert [bad.ref for bad in standings.malformed] == ["refs/heads/submit/orders"]


def test_status_names_a_package_that_is_none(shop: Shop) -> None:
    package(shop)
    person = shop.person("dev-1")
    push_on(person, "package/first", {"README.md": "more\n"}, base=HEAD, force=True)
    [found] = status(person.desk).findings
    assert (found.file, found.code) == ("package/first", "not-on-main")
    assert found.hint == "`gitrelease package revoke first`, by its applicant, then release again"
    person.revoke("first")
    assert status(person.desk).findings == ()


# What was edited in a clone that is behind.


def edit(person: Person, old: str, new: str) -> None:
    """Edit the working file as people do: one line of it."""
    path = person.clone.path / ORDERS
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def behind(shop: Shop) -> Person:
    """Let dev-1 release a change, and dev-2 make another one without having pulled."""
    late = shop.person("dev-2")
    early = shop.person("dev-1")
    edit(early, "database: ods_dev", "database: ods_new")
    [task] = made(early.submit("orders"))
    early.release(task, name="early")
    shop.person("dep-1").approve("early")
    edit(late, '"0 30 2 * * ?"', '"0 45 2 * * ?"')
    return late


def test_an_edit_in_a_clone_that_is_behind_does_not_take_back_what_others_released(trusting: Shop) -> None:
    late = behind(trusting)
    with pytest.raises(Outdated) as refused:
        late.submit("orders")
    assert refused.value.message == (
        "job/orders is at version 2 by now, which dev-1 released with early; "
        f"{ORDERS} was made from version 1, and would take that back"
    )
    assert refused.value.hint == (
        f"git add {ORDERS}; git stash; gitrelease pull; git stash pop: then your change stands on top of it"
    )
    late.clone.git("add", ORDERS)
    late.clone.git("stash", "--quiet")
    pull(late.desk)
    late.clone.git("stash", "pop", "--quiet")
    assert made(late.submit("orders")) == ["job/orders/v3"]
    there = trusting.server.git("show", f"submit/job/orders/v3:{ORDERS}")
    assert "ods_new" in there
    assert "0 45 2" in there


def test_a_commit_that_main_left_behind_is_not_submitted_either(trusting: Shop) -> None:
    late = behind(trusting)
    text = (late.clone.path / ORDERS).read_text(encoding="utf-8")
    commit = commit_on(late, "HEAD", {ORDERS: text}, sign=False)
    late.clone.git("checkout", "--quiet", "--", ORDERS)
    with pytest.raises(Outdated) as refused:
        late.submit("orders", ref=commit)
    assert refused.value.hint == "rebase it onto main, and submit it again"


def test_what_others_deleted_is_not_brought_back_by_an_edit(trusting: Shop) -> None:
    late, early = trusting.person("dev-2"), trusting.person("dev-1")
    [task] = made(early.submit("orders", delete=True))
    early.release(task)
    trusting.person("dep-1").approve(early.desk.forge.reviews(early.desk.look().workspace)[0].package)
    edit(late, "database: ods_dev", "database: ods_new")
    with pytest.raises(Outdated, match="job/orders is at version 2 by now"):
        late.submit("orders")


def test_going_back_on_purpose_is_submitted(trusting: Shop) -> None:
    """Its number is an old one, and its clone has everything: whoever restored it knows what there is."""
    person = behind(trusting)
    person.clone.git("checkout", "--quiet", "--", ORDERS)
    pull(person.desk)
    restore(person.desk, "orders", 1)
    assert "version: 1\n" in (person.clone.path / ORDERS).read_text(encoding="utf-8")
    assert made(person.submit("orders")) == ["job/orders/v3"]


# Who may do what, and one rule in one place.


def test_anybody_who_can_push_may_run_gate(shop: Shop) -> None:
    """It merges only what people approved, and it is CI that runs it."""
    package(shop)
    nobody = shop.person("nobody")
    assert nobody.gate("first").merge is None
    speak(shop.person("dep-1"), Say.APPROVE)
    with pytest.raises(GitReleaseError):
        nobody.merge("first")
    assert nobody.gate("first").merge is not None
    assert [one.name for one in shop.person("sync").sync().packages] == ["first"]


@pytest.mark.long
def test_a_full_directory_is_told_in_one_way(trusting: Shop) -> None:
    person = trusting.person("dev-1")
    person.write({f"jobs/many/j{n}.job.yaml": job_yaml(f"j{n}") for n in range(1001)})
    checked = check_working(person.desk, ["jobs/many"]).findings
    with pytest.raises(CheckFailed) as refused:
        person.submit("jobs/many")
    assert refused.value.findings == checked
    assert [(one.file, one.message) for one in checked] == [
        ("jobs/many/j0.job.yaml", "jobs/many would hold 1001 entries; a directory holds at most 1000")
    ]
