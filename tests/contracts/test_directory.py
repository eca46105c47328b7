"""What is the directory target's own: files that are whole, a folder that is somebody else's, and what is not read."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitrelease.core.finding import Severity
from gitrelease.core.job import parse_job
from gitrelease.core.names import Directory, ItemKey, item_key
from gitrelease.core.plan import (
    Deployable,
    Outcome,
    OutcomeStatus,
    TargetChange,
    production_json,
    stem_of,
)
from gitrelease.documents import parse
from gitrelease.errors import GitReleaseError, HalfDone
from gitrelease.pen import Pen
from gitrelease.repo import Repo
from gitrelease.targets import Deployed, Site, Target, directory
from gitrelease.targets.directory import MARKER
from gitrelease.targets.folder import LIMIT, SURE_AFTER
from tests.kit.git import NOON, Bench
from tests.kit.shop import job_yaml

ORDERS, BILLS, CLEAN = item_key("job/orders"), item_key("job/bills"), item_key("script/clean")
ROOT = Path(__file__).parent.parent.parent

OPENED: list[str] = []
"""The names of all files that this process opens, as Python itself tells."""


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(args[0], str):
        OPENED.append(Path(args[0]).name)


sys.addaudithook(_hear)


@dataclass(kw_only=True)
class Yard:
    """A folder that is production, and a clone to bring it in line from."""

    bench: Bench
    repo: Repo
    folder: Path
    path: str = ""
    """What the settings say; the folder if nothing else."""
    time: datetime = NOON
    """It stands still unless a test moves it."""
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        self.target = self.connect()

    def connect(self) -> Target:
        """Connect as another run of gitrelease does, which knows only what was kept in files."""
        pen = Pen(identity=self.repo.identity(), signs=False, now=lambda: self.time)
        return directory.connect(
            Site(
                name="main",
                settings={"path": self.path or str(self.folder)},
                repo=self.repo,
                pen=pen,
                folder=self.repo.worktree or self.repo.git_dir,
                environ={},
            )
        )

    @property
    def memory(self) -> Path:
        """Where digests are remembered."""
        return self.repo.git_dir / "gitrelease" / "target-main.json"

    def file(self, item: ItemKey) -> Path:
        """Say where an item lies."""
        return self.folder / f"{stem_of(item)}.json"

    def give(self, *wanted: Deployable, gone: tuple[ItemKey, ...] = ()) -> Deployed:
        """Deploy items, and take others out."""
        changes = [TargetChange(item=one.item, wanted=one, held=None) for one in wanted]
        changes += [TargetChange(item=item, wanted=None, held=None) for item in gone]
        return self.target.deploy(changes, note="package first")

    def tree(self) -> dict[str, str]:
        """List all there is, with what a file holds and where a link leads."""
        return {
            path.relative_to(self.folder).as_posix(): f"-> {path.readlink()}"
            if path.is_symlink()
            else path.read_text(encoding="utf-8")
            for path in sorted(self.folder.rglob("*"))
            if path.is_symlink() or path.is_file()
        }

    def settle(self) -> None:
        """Look twice, long enough apart for the memory to be sure of all there is."""
        self.connect().state()
        self.time += SURE_AFTER
        self.connect().state()

    def read_while(self, look: Callable[[Target], object]) -> list[str]:
        """Say which items are opened while somebody who just came looks."""
        target = self.connect()
        del OPENED[:]
        look(target)
        return sorted(name for name in OPENED if name.endswith(".json") and name != self.memory.name)


@pytest.fixture
def yard(bench: Bench) -> Iterator[Yard]:
    """A folder that holds nothing yet."""
    folder = bench.folder / "production"
    folder.mkdir()
    (folder / MARKER).touch()
    clone = bench.clone(bench.server(), "sync")
    with Repo.discover(clone.path, remote="origin", environ=clone.environ) as repo:
        yield Yard(bench=bench, repo=repo, folder=folder)


def job(item: ItemKey, text: str = "one", **subjobs: str) -> Deployable:
    """Make what production is to hold of a job."""
    stem = stem_of(item)
    files = {f"{stem}.job": production_json({"name": item.name, "text": text})}
    files |= {f"{stem}.subjobs/{name}.job": production_json({"text": told}) for name, told in subjobs.items()}
    return Deployable(item=item, directory=Directory("/sales"), files=files)


def script(item: ItemKey, content: str) -> Deployable:
    """Make what production is to hold of a script."""
    files = {f"{stem_of(item)}.script": production_json({"name": item.name, "content": content})}
    return Deployable(item=item, directory=Directory("/sales"), files=files)


def good(deployable: Deployable) -> Outcome:
    """Say what becomes of a change that goes well."""
    return Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=deployable.digest)


# What lies in the folder.


def test_an_item_is_one_file_that_holds_all_of_it(yard: Yard) -> None:
    yard.give(job(ORDERS, part="a", rest="b"), job(BILLS), script(CLEAN, "SELECT 1;\n"))
    assert {path: json.loads(text) for path, text in yard.tree().items() if text} == {
        "jobs/1c/orders.json": {
            "job": {"name": "orders", "text": "one"},
            "subjobs": {"part": {"text": "a"}, "rest": {"text": "b"}},
        },
        "jobs/a6/bills.json": {"job": {"name": "bills", "text": "one"}, "subjobs": {}},
        "scripts/3b/clean.json": {"script": {"name": "clean", "content": "SELECT 1;\n"}},
    }
    yard.give(gone=(ORDERS, CLEAN))
    assert list(yard.tree()) == [MARKER, "jobs/a6/bills.json"]


def test_readers_are_let_in_as_the_umask_says(yard: Yard) -> None:
    before = os.umask(0o027)
    try:
        yard.give(job(ORDERS))
    finally:
        os.umask(before)
    assert yard.file(ORDERS).stat().st_mode & 0o777 == 0o640
    assert yard.file(ORDERS).parent.stat().st_mode & 0o777 == 0o750


def test_what_is_there_already_is_not_touched(yard: Yard) -> None:
    yard.give(job(ORDERS))
    before = yard.file(ORDERS).stat()
    assert yard.give(job(ORDERS)).outcomes == {ORDERS: good(job(ORDERS))}
    assert yard.file(ORDERS).stat() == before


def test_a_path_starts_from_the_clone_unless_it_is_absolute(yard: Yard) -> None:
    yard.path = "../production"
    yard.target = yard.connect()
    yard.give(job(ORDERS))
    assert yard.file(ORDERS).is_file()


def test_the_path_itself_may_be_a_link(yard: Yard) -> None:
    (yard.bench.folder / "current").symlink_to("production")
    yard.path = str(yard.bench.folder / "current")
    yard.target = yard.connect()
    yard.give(job(ORDERS))
    assert yard.file(ORDERS).is_file()


def test_all_is_held_and_what_nothing_could_run_is_said(yard: Yard) -> None:
    hive = parse_job(
        parse(job_yaml("orders", script="clean").encode(), file="x").value, directory=Directory("/")
    )
    (told,) = yard.target.supports(hive)
    assert (told.severity, told.message, told.hint) == (
        Severity.WARNING,
        "the directory target holds HiveSQL nodes, and cannot run them",
        "whatever reads the folder has to",
    )
    shell = parse_job(parse(job_yaml("orders").encode(), file="x").value, directory=Directory("/"))
    assert list(yard.target.supports(shell)) == []


# A folder that is not there, or not the right one.


QUESTIONS: dict[str, Callable[[Target], object]] = {
    "state": lambda target: target.state(),
    "observe": lambda target: target.observe([ORDERS]),
    "observe all": lambda target: target.observe_all(),
    "foreign": lambda target: target.foreign(),
    "deploy": lambda target: target.deploy(
        [TargetChange(item=BILLS, wanted=job(BILLS), held=None)], note="package first"
    ),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_a_folder_that_is_not_there_is_no_empty_production(
    yard: Yard, ask: Callable[[Target], object]
) -> None:
    yard.give(job(ORDERS))
    yard.folder.rename(yard.bench.folder / "unmounted")
    with pytest.raises(GitReleaseError) as refused:
        ask(yard.target)
    assert refused.value.message == f"{yard.folder}, the folder of the target main, is not there"
    assert refused.value.hint == (
        "if it is on a disk that is not mounted, mount it; if it is new, create it:"
        f" mkdir -p {yard.folder} && touch {yard.folder}/.gitrelease"
    )
    assert not yard.folder.exists()


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_an_empty_folder_is_no_empty_production_until_people_say_so(
    yard: Yard, ask: Callable[[Target], object]
) -> None:
    yard.give(job(ORDERS))
    held = yard.target.state()
    yard.folder.rename(yard.bench.folder / "unmounted")
    yard.folder.mkdir()
    with pytest.raises(GitReleaseError) as refused:
        ask(yard.target)
    assert refused.value.message == (
        f"{yard.folder}, the folder of the target main, holds no file .gitrelease,"
        " so nothing says that it is production"
    )
    assert refused.value.hint == (
        "if it is on a disk that is not mounted, mount it; if it is the right one:"
        f" touch {yard.folder}/.gitrelease"
    )
    assert list(yard.folder.iterdir()) == []
    (yard.folder / MARKER).touch()
    assert yard.target.observe_all() == {}
    assert yard.target.state() != held


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_the_file_that_says_so_is_a_plain_file(yard: Yard, kind: str) -> None:
    marker = yard.folder / MARKER
    marker.unlink()
    if kind == "link":
        (yard.bench.folder / "elsewhere").touch()
        marker.symlink_to(yard.bench.folder / "elsewhere")
    else:
        marker.mkdir()
    with pytest.raises(GitReleaseError, match=r"holds no file \.gitrelease"):
        yard.give(job(ORDERS))


def test_a_file_in_the_place_of_the_folder(yard: Yard) -> None:
    yard.path = str(yard.folder / MARKER)
    with pytest.raises(GitReleaseError, match="cannot be used: Not a directory"):
        yard.connect().state()


# One item fails.


def test_what_is_in_the_way_of_one_item_concerns_no_other(yard: Yard) -> None:
    yard.file(ORDERS).mkdir(parents=True)
    done = yard.give(job(ORDERS), job(BILLS))
    assert dict(done.outcomes) == {
        ORDERS: Outcome(
            status=OutcomeStatus.FAILED,
            error="jobs/1c/orders.json was not written: a folder is in its place",
        ),
        BILLS: good(job(BILLS)),
    }
    assert yard.target.foreign() == ["jobs/1c/orders.json/"]
    assert list(yard.tree()) == [MARKER, "jobs/a6/bills.json"]
    yard.file(ORDERS).rmdir()
    assert yard.give(job(ORDERS)).outcomes == {ORDERS: good(job(ORDERS))}


FULL = """
import json, resource, sys
from pathlib import Path
from datetime import UTC, datetime
from gitrelease.core.names import Directory, item_key
from gitrelease.core.plan import Deployable, TargetChange, production_json, stem_of
from gitrelease.pen import Pen
from gitrelease.repo import Identity, Repo
from gitrelease.targets import Site, directory

clone, folder = map(Path, sys.argv[1:])
pen = Pen(identity=Identity(name="x", email="x@example.org"), signs=False, now=lambda: datetime.now(UTC))
with Repo.discover(clone, remote="origin", environ={}) as repo:
    target = directory.connect(
        Site(name="main", settings={"path": str(folder)}, repo=repo, pen=pen, folder=clone, environ={})
    )
    changes = []
    for name, size in (("orders", 1 << 20), ("bills", 10)):
        item = item_key(f"job/{name}")
        files = {f"{stem_of(item)}.job": production_json({"name": name, "text": "x" * size})}
        wanted = Deployable(item=item, directory=Directory("/"), files=files)
        changes.append(TargetChange(item=item, wanted=wanted, held=None))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, 1 << 19))
    done = target.deploy(changes, note="x")
    print(json.dumps({str(item): [one.status, one.deployed, one.error] for item, one in done.outcomes.items()}))
"""


def test_a_disk_that_takes_no_more_half_way_leaves_the_old_file_and_nothing_else(yard: Yard) -> None:
    """The limit on the size of files makes writing fail in the middle, as a full disk does."""
    yard.give(job(ORDERS))
    before = yard.tree()
    assert yard.repo.worktree is not None
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(yard.repo.worktree), str(yard.folder)],
        env=yard.bench.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    reason = os.strerror(errno.EFBIG)
    assert told["job/orders"] == [
        "failed",
        job(ORDERS).digest,
        f"jobs/1c/orders.json was not written: {reason}",
    ]
    assert told["job/bills"][0] == "successful"
    after = yard.tree()
    assert after.pop("jobs/a6/bills.json")
    assert after == before


def test_an_item_that_is_too_big_is_refused(yard: Yard) -> None:
    done = yard.give(job(ORDERS, "x" * LIMIT), job(BILLS))
    assert done.outcomes[ORDERS].error == "jobs/1c/orders.json was not written: File too large"
    assert done.outcomes[BILLS] == good(job(BILLS))


def test_whoever_writes_at_the_same_time_waits_for_another_sync(yard: Yard) -> None:
    yard.give(job(ORDERS))
    before = yard.tree()
    with (yard.folder / MARKER).open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(HalfDone) as refused:
            yard.give(job(ORDERS, "two"))
        assert yard.tree() == before
        assert yard.target.observe([ORDERS]) == {ORDERS: job(ORDERS).digest}
    assert refused.value.message == (
        f"another process is writing to {yard.folder}, so package first has to wait"
    )
    assert yard.give(job(ORDERS, "two")).outcomes == {ORDERS: good(job(ORDERS, "two"))}


def test_names_that_differ_in_case(yard: Yard) -> None:
    big = item_key("job/Orders")
    first = yard.give(job(ORDERS))
    second = yard.give(job(big))
    if (yard.file(ORDERS).parent / "ORDERS.json").exists():
        assert second.outcomes[big].error == (
            "jobs/1c/Orders.json was not written:"
            " orders.json is in its place, and this disk does not tell them apart"
        )
        yard.give(gone=(big,))
        assert yard.target.observe_all() == {ORDERS: job(ORDERS).digest}
    else:
        assert (first.outcomes, second.outcomes) == ({ORDERS: good(job(ORDERS))}, {big: good(job(big))})
        yard.give(gone=(ORDERS,))
        assert yard.target.observe_all() == {big: job(big).digest}


# Whoever reads, at any moment.


READER = """
import json, sys
from pathlib import Path

path, stop, progress = map(Path, sys.argv[1:])
seen = set()
while not stop.exists():
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        sys.exit("the file was gone for a moment")
    texts = {value["job"]["text"], *(one["text"] for one in value["subjobs"].values())}
    if len(texts) != 1 or len(value["subjobs"]) != 2:
        sys.exit("a mixture of versions")
    seen |= {text[:8] for text in texts}
    progress.write_text(str(len(seen)))
"""


def test_who_reads_while_it_is_replaced_has_one_version_whole(yard: Yard) -> None:
    stop, progress = yard.bench.folder / "stop", yard.bench.folder / "progress"
    texts = (f"{number:08}{'x' * 100_000}" for number in range(5000))
    first = next(texts)
    yard.give(job(ORDERS, first, part=first, rest=first))
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(yard.file(ORDERS)), str(stop), str(progress)],
        stderr=subprocess.PIPE,
        text=True,
    )
    versions = 0
    try:
        for text in texts:
            versions += 1
            yard.give(job(ORDERS, text, part=text, rest=text))
            told = progress.read_text(encoding="utf-8") if progress.exists() else ""
            if (told and int(told) >= 20) or reader.poll() is not None:
                break
    finally:
        stop.touch()
        said = reader.communicate(timeout=60)[1]
    assert (reader.returncode, said) == (0, "")
    assert int(progress.read_text(encoding="utf-8")) > 1
    assert versions > 1


def test_what_a_killed_writer_left_is_nobodys_and_goes_with_the_next_deployment(yard: Yard) -> None:
    yard.give(job(ORDERS))
    state = yard.target.state()
    left = yard.file(ORDERS).with_name(".gitrelease-0123456789abcdef.tmp")
    left.write_bytes(b'{"job": {"na')
    assert yard.target.observe_all() == {ORDERS: job(ORDERS).digest}
    assert (yard.target.foreign(), yard.target.state()) == ([], state)
    assert left.exists()
    yard.give(job(BILLS))
    assert list(yard.tree()) == [MARKER, "jobs/1c/orders.json", "jobs/a6/bills.json"]


def test_only_what_a_writer_of_ours_leaves_is_swept(yard: Yard) -> None:
    yard.give(job(ORDERS))
    shard = yard.file(ORDERS).parent
    outside = yard.bench.folder / "outside"
    outside.write_text("mine", encoding="utf-8")
    (shard / ".gitrelease-0123456789abcdef.tmp").symlink_to(outside)
    (shard / ".gitrelease-mine.tmp").touch()
    (shard / ".gitrelease-fedcba9876543210.tmp").mkdir()
    (yard.folder / ".gitrelease-0123456789abcdef.tmp").touch()
    foreign = [
        ".gitrelease-0123456789abcdef.tmp",
        "jobs/1c/.gitrelease-0123456789abcdef.tmp",
        "jobs/1c/.gitrelease-fedcba9876543210.tmp/",
        "jobs/1c/.gitrelease-mine.tmp",
    ]
    assert yard.target.foreign() == foreign
    yard.give(job(BILLS))
    assert yard.target.foreign() == foreign
    assert outside.read_text(encoding="utf-8") == "mine"


# What others do in the folder.


@pytest.mark.parametrize("what", ["the top", "a folder", "the file"])
def test_no_link_leads_out_of_the_folder(yard: Yard, what: str) -> None:
    yard.give(job(ORDERS))
    outside = yard.bench.folder / "outside"
    yard.file(ORDERS).parent.parent.rename(outside)  # all of jobs/, so that every path goes on outside
    kept = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    spot = {
        "the top": yard.folder / "jobs",
        "a folder": yard.file(ORDERS).parent,
        "the file": yard.file(ORDERS),
    }[what]
    spot.parent.mkdir(parents=True, exist_ok=True)
    spot.symlink_to(outside / yard.file(ORDERS).relative_to(yard.folder / "jobs") if what == "the file" else
                    outside / "1c" if what == "a folder" else outside)  # fmt: skip
    shown = spot.relative_to(yard.folder).as_posix()
    assert yard.target.observe([ORDERS]) == {ORDERS: None}
    assert yard.target.observe_all() == {}
    assert yard.target.foreign() == [shown]
    done = yard.give(job(ORDERS, "two"))
    if what == "the file":
        assert done.outcomes == {ORDERS: good(job(ORDERS, "two"))}
        assert not yard.file(ORDERS).is_symlink()
    else:
        assert done.outcomes == {
            ORDERS: Outcome(
                status=OutcomeStatus.FAILED,
                error="jobs/1c/orders.json was not written: what is in the place of its folder is none",
            )
        }
        yard.give(gone=(ORDERS,))
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == kept


def test_a_file_that_leads_nowhere_is_not_waited_for(yard: Yard) -> None:
    yard.give(job(BILLS))
    yard.file(ORDERS).parent.mkdir()
    os.mkfifo(yard.file(ORDERS))
    assert yard.target.observe_all() == {BILLS: job(BILLS).digest}
    assert yard.target.foreign() == ["jobs/1c/orders.json"]


def test_all_that_is_no_item_in_its_place_is_named(yard: Yard) -> None:
    yard.give(job(ORDERS))
    state = yard.target.state()
    for path in ("notes.txt", "jobs/1c/bills.json", "jobs/1c/orders.txt", "jobs/1c/..json", "jobs/README"):
        (yard.folder / path).write_text("{}", encoding="utf-8")
    for path in ("other/deep/down", "jobs/xx", "jobs/1c/sub", "lost+found"):
        (yard.folder / path).mkdir(parents=True)
    (yard.folder / os.fsdecode(b"jobs/1c/\xff\x1b.json")).touch()
    (yard.folder / "jobs/1c/.nfs0000000000000001").touch()
    assert yard.target.foreign() == [
        "jobs/1c/..json",
        "jobs/1c/\\xff\x1b.json",
        "jobs/1c/bills.json",
        "jobs/1c/orders.txt",
        "jobs/1c/sub/",
        "jobs/README",
        "jobs/xx/",
        "notes.txt",
        "other/",
    ]
    assert yard.target.observe_all() == {ORDERS: job(ORDERS).digest}
    assert yard.target.state() != state


NOT_OURS: dict[str, Callable[[bytes], bytes]] = {
    "other content": lambda data: data.replace(b"one", b"two"),
    "other spelling": lambda data: data.replace(b" ", b"", 1),
    "a key twice": lambda data: data.replace(b'"subjobs"', b'"subjobs": {}, "subjobs"'),
    "a key more": lambda data: data.replace(b'"subjobs"', b'"schedule": {}, "subjobs"'),
    "half of it": lambda data: data[: len(data) // 2],
    "nothing": lambda data: b"",
    "no mapping": lambda data: b"[1]\n",
    "no text": lambda data: b"\xff\xfe",
    "depth": lambda data: b"[" * 100_000,
    "a number too long": lambda data: b'{"job": ' + b"9" * 10_000 + b"}",
    "half a character": lambda data: b'{"job": {"text": "\\ud800"}, "subjobs": {}}',
    "subjobs of no kind": lambda data: b'{"job": {}, "subjobs": [1]}',
    "what the git target would hold": lambda data: next(iter(job(ORDERS).files.values())),
    "more than anybody reads": lambda data: data + b" " * LIMIT,
}


@pytest.mark.parametrize("spoil", NOT_OURS.values(), ids=NOT_OURS)
def test_what_is_not_to_the_byte_as_we_wrote_it_is_something_else(
    yard: Yard, spoil: Callable[[bytes], bytes]
) -> None:
    yard.give(job(ORDERS), job(BILLS))
    state = yard.target.state()
    yard.file(ORDERS).write_bytes(spoil(yard.file(ORDERS).read_bytes()))
    seen = yard.target.observe([ORDERS])[ORDERS]
    assert seen not in {None, job(ORDERS).digest}
    assert yard.target.observe_all() == {ORDERS: seen, BILLS: job(BILLS).digest}
    assert yard.target.state() != state
    assert yard.give(job(ORDERS)).outcomes == {ORDERS: good(job(ORDERS))}
    assert yard.target.state() == state


# What is not read again.


def test_what_stands_still_is_not_read_again(yard: Yard) -> None:
    yard.give(job(ORDERS), job(BILLS), script(CLEAN, "SELECT 1;"))
    state = yard.target.state()
    yard.settle()
    for look in ("state", "observe", "observe all", "foreign"):
        assert yard.read_while(QUESTIONS[look]) == []
    assert yard.connect().state() == state
    yard.give(job(ORDERS, "two"))
    assert yard.read_while(QUESTIONS["state"]) == ["orders.json"]


def test_what_was_only_touched_is_read_and_found_the_same(yard: Yard) -> None:
    yard.give(job(ORDERS), job(BILLS))
    yard.settle()
    state = yard.target.state()
    os.utime(yard.file(ORDERS))
    assert yard.read_while(QUESTIONS["state"]) == ["orders.json"]
    assert yard.connect().state() == state
    yard.settle()
    assert yard.read_while(QUESTIONS["state"]) == []


def test_who_puts_size_and_time_back_is_seen_all_the_same(yard: Yard) -> None:
    """Written in place with as many bytes, the time of writing set back: only the time of change tells."""
    yard.give(job(ORDERS, "one"))
    yard.settle()
    state = yard.connect().state()
    before = yard.file(ORDERS).stat()
    with yard.file(ORDERS).open("r+b") as stream:
        data = stream.read()
        stream.seek(0)
        stream.write(data.replace(b"one", b"two"))
    os.utime(yard.file(ORDERS), ns=(before.st_atime_ns, before.st_mtime_ns))
    after = yard.file(ORDERS).stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino,
        before.st_size,
        before.st_mtime_ns,
    )
    seen = yard.connect()
    assert seen.observe_all() == {ORDERS: job(ORDERS, "two").digest}
    assert seen.state() != state


def test_what_was_written_a_moment_ago_is_read_again_though_nothing_shows(yard: Yard) -> None:
    """Two writings within one tick of the disk's clock: the memory is not sure of what it just read."""
    yard.give(job(ORDERS))
    for _ in range(2):
        assert yard.read_while(QUESTIONS["state"]) == ["orders.json"]
    yard.time += SURE_AFTER
    assert yard.read_while(QUESTIONS["state"]) == ["orders.json"]
    assert yard.read_while(QUESTIONS["state"]) == []


def test_a_clock_that_goes_back_makes_nothing_sure(yard: Yard) -> None:
    yard.give(job(ORDERS))
    yard.connect().state()
    yard.time -= timedelta(days=1)
    assert yard.read_while(QUESTIONS["state"]) == ["orders.json"]
    assert yard.read_while(QUESTIONS["state"]) == ["orders.json"]
    yard.settle()
    assert yard.read_while(QUESTIONS["state"]) == []


def memory_with(**changed: object) -> Callable[[dict[str, Any]], object]:
    """Spoil what the memory says of one file: the five numbers of its stamp, digest, since, sure."""

    def spoil(value: dict[str, Any]) -> object:
        row = value["files"]["jobs/1c/orders.json"]
        for place, new in changed.items():
            row[int(place.removeprefix("at"))] = new
        return value

    return spoil


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "no mapping": lambda value: [],
    "another format": lambda value: value | {"format": 2},
    "no files": lambda value: {"format": 1},
    "files of no kind": lambda value: value | {"files": []},
    "a row of no kind": lambda value: value | {"files": {"jobs/1c/orders.json": {}}},
    "a short row": lambda value: value | {"files": {"jobs/1c/orders.json": [1, 2]}},
    "another device": memory_with(at0=1),
    "another inode": memory_with(at1=1),
    "another size": memory_with(at2=1),
    "another time of writing": memory_with(at3=1),
    "another time of change": memory_with(at4=1),
    "a size of no kind": memory_with(at2="1"),
    "no digest": memory_with(at5="x"),
    "a digest of no kind": memory_with(at5=None),
    "a time of no kind": memory_with(at6=None),
    "sure of no kind": memory_with(at7=1),
    "not sure": memory_with(at7=False),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_a_wrong_memory_is_no_memory(yard: Yard, spoil: Callable[[dict[str, Any]], object]) -> None:
    yard.give(job(ORDERS), job(BILLS))
    yard.settle()
    value = json.loads(yard.memory.read_bytes())
    value["files"]["jobs/1c/orders.json"][5] = job(ORDERS, "wrong").digest
    yard.memory.write_text(json.dumps(spoil(value)), encoding="utf-8")
    assert "orders.json" in yard.read_while(QUESTIONS["observe all"])
    yard.memory.write_text(json.dumps(spoil(value)), encoding="utf-8")
    assert yard.connect().observe_all() == {ORDERS: job(ORDERS).digest, BILLS: job(BILLS).digest}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"format": 1, "files'])
def test_a_broken_memory_is_no_memory(yard: Yard, data: bytes) -> None:
    yard.give(job(ORDERS))
    yard.settle()
    yard.memory.write_bytes(data)
    assert yard.connect().observe_all() == {ORDERS: job(ORDERS).digest}


def test_without_a_place_for_the_memory_everything_is_read(yard: Yard) -> None:
    yard.memory.parent.write_text("in the way", encoding="utf-8")
    yard.give(job(ORDERS))
    yard.settle()
    assert yard.read_while(QUESTIONS["state"]) == ["orders.json"]
    assert yard.memory.parent.read_text(encoding="utf-8") == "in the way"


def test_what_is_gone_is_forgotten(yard: Yard) -> None:
    yard.give(job(ORDERS), job(BILLS))
    yard.give(gone=(ORDERS,))
    assert list(json.loads(yard.memory.read_bytes())["files"]) == ["jobs/a6/bills.json"]


def test_the_memory_is_sure_after_longer_than_any_disk_counts() -> None:
    assert timedelta(seconds=2) < SURE_AFTER
