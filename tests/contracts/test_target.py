"""What every target promises: one suite, run on the git target, the directory target and the doubles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

import pytest

from gitrelease.core.names import Directory, ItemKey, item_key
from gitrelease.core.plan import (
    Deployable,
    Digest,
    Outcome,
    OutcomeStatus,
    TargetChange,
    digest_of,
    production_json,
    stem_of,
)
from gitrelease.pen import Pen
from gitrelease.repo import Repo
from gitrelease.targets import Deployed, Site, Target
from gitrelease.targets import directory as directory_target
from gitrelease.targets import git as git_target
from tests.kit.git import Bench, Clone
from tests.kit.targets import Plant, PlantTarget

ORDERS, BILLS, CLEAN = item_key("job/orders"), item_key("job/bills"), item_key("script/clean")


def want(item: ItemKey, text: str = "zero", *, subjobs: tuple[str, ...] = ()) -> Deployable:
    """Make what production is to hold of an item."""
    stem = stem_of(item)
    files = {f"{stem}.{item.kind}": production_json({"text": text})}
    files |= {f"{stem}.subjobs/{name}.job": production_json({"text": text, "part": name}) for name in subjobs}
    return Deployable(item=item, directory=Directory("/sales"), files=files)


@dataclass(kw_only=True)
class Place:
    """A production system to try, and a way to spoil it behind the target's back."""

    connect: Callable[[], Target]
    """Connects anew, as a runner on another machine does."""
    spoil: Callable[[ItemKey], Digest]
    """Gives the digest of what is held then."""
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        self.target = self.connect()

    def give(self, **wanted: Deployable | None) -> Deployed:
        """Deploy items, written `job_orders`; None takes one out."""
        changes = []
        for name, deployable in wanted.items():
            item = item_key(name.replace("_", "/"))
            changes.append(TargetChange(item=item, wanted=deployable, held=self.target.observe([item])[item]))
        return self.target.deploy(changes, note="a test")


def good(**wanted: Deployable | None) -> dict[ItemKey, Outcome]:
    """Say what becomes of changes that all go well."""
    return {
        item_key(name.replace("_", "/")): Outcome(
            status=OutcomeStatus.SUCCESSFUL, deployed=None if deployable is None else deployable.digest
        )
        for name, deployable in wanted.items()
    }


def git_place(bench: Bench) -> Iterator[Place]:
    """The git target on a bare server; each connection is a clone of its own."""
    server = bench.server()
    clones: list[Repo] = []

    def clone(name: str) -> tuple[Clone, Repo]:
        made = bench.clone(server, name)
        repo = Repo.discover(made.path, remote="origin", environ=made.environ)
        clones.append(repo)
        return made, repo

    def connect() -> Target:
        made, repo = clone(f"runner-{len(clones)}")
        repo.fetch(main=None)
        pen = Pen(identity=repo.identity(), signs=False, now=bench.clock)
        return git_target.connect(
            Site(name="main", settings={}, repo=repo, pen=pen, folder=made.path, environ=made.environ)
        )

    def spoil(item: ItemKey) -> Digest:
        made, repo = clone("mallory")
        repo.fetch(main=None)
        made.git("checkout", "--quiet", "-B", "deploy", "origin/deploy/main")
        made.commit({f"{stem_of(item)}.{item.kind}": "spoilt"})
        made.push("HEAD:deploy/main")
        for other in clones:
            other.fetch(main=None)
        return digest_of({f"{stem_of(item)}.{item.kind}": b"spoilt"})

    yield Place(connect=connect, spoil=spoil)
    for repo in clones:
        repo.close()


def plant_place(tmp_path: Path, *, is_transactional: bool, tells_state: bool) -> Iterator[Place]:
    """A double in a folder."""
    plant = Plant(folder=tmp_path / "plant", is_transactional=is_transactional, tells_state=tells_state)

    def spoil(item: ItemKey) -> Digest:
        plant.meddle(str(item), {f"{stem_of(item)}.{item.kind}": "spoilt"})
        return digest_of({f"{stem_of(item)}.{item.kind}": b"spoilt"})

    yield Place(connect=lambda: PlantTarget(plant), spoil=spoil)


def directory_place(bench: Bench) -> Iterator[Place]:
    """The directory target on a folder; each connection is a clone of its own, with a memory of its own."""
    folder = bench.folder / "production"
    folder.mkdir()
    (folder / directory_target.MARKER).touch()
    server = bench.server()
    clones: list[Repo] = []

    def connect() -> Target:
        made = bench.clone(server, f"runner-{len(clones)}")
        repo = Repo.discover(made.path, remote="origin", environ=made.environ)
        clones.append(repo)
        pen = Pen(identity=repo.identity(), signs=False, now=bench.clock)
        return directory_target.connect(
            Site(
                name="main",
                settings={"path": str(folder)},
                repo=repo,
                pen=pen,
                folder=made.path,
                environ=made.environ,
            )
        )

    def spoil(item: ItemKey) -> Digest:
        path = f"{stem_of(item)}.json"
        (folder / path).write_bytes(b"spoilt")
        return digest_of({path: b"spoilt"})

    yield Place(connect=connect, spoil=spoil)
    for repo in clones:
        repo.close()


@pytest.fixture(params=["git", "directory", "plant", "transactional plant", "silent plant"])
def place(request: pytest.FixtureRequest, bench: Bench, tmp_path: Path) -> Iterator[Place]:
    """Every implementation there is."""
    if request.param == "git":
        yield from git_place(bench)
    elif request.param == "directory":
        yield from directory_place(bench)
    else:
        yield from plant_place(
            tmp_path,
            is_transactional=request.param.startswith("transactional"),
            tells_state=not request.param.startswith("silent"),
        )


def test_a_new_target_holds_nothing(place: Place) -> None:
    assert place.target.observe([ORDERS, CLEAN]) == {ORDERS: None, CLEAN: None}
    assert place.target.observe_all() == {}
    assert place.target.observe([]) == {}


def test_what_was_deployed_is_held_to_the_byte(place: Place) -> None:
    job, script = want(ORDERS, subjobs=("part", "other")), want(CLEAN, "SELECT 1;")
    done = place.give(job_orders=job, script_clean=script)
    assert dict(done.outcomes) == good(job_orders=job, script_clean=script)
    assert place.target.observe([ORDERS, CLEAN, BILLS]) == {
        ORDERS: job.digest,
        CLEAN: script.digest,
        BILLS: None,
    }
    assert place.target.observe_all() == {ORDERS: job.digest, CLEAN: script.digest}
    assert job.digest == digest_of(job.files)


def test_whoever_connects_later_sees_the_same(place: Place) -> None:
    done = place.give(job_orders=want(ORDERS))
    other = place.connect()
    assert other.observe_all() == {ORDERS: want(ORDERS).digest}
    assert other.state() == place.target.state()
    assert done.state is None or done.state == other.state()


def test_deploying_twice_is_deploying_once(place: Place) -> None:
    job = want(ORDERS, subjobs=("part",))
    first = place.give(job_orders=job)
    state = place.target.state()
    second = place.give(job_orders=job)
    assert (second.outcomes, second.state) == (first.outcomes, first.state)
    assert place.target.state() == state


def test_a_deployment_replaces_all_files_of_an_item(place: Place) -> None:
    place.give(job_orders=want(ORDERS, "one", subjobs=("gone", "stays")), job_bills=want(BILLS))
    after = want(ORDERS, "two", subjobs=("stays", "new"))
    place.give(job_orders=after)
    assert place.target.observe_all() == {ORDERS: after.digest, BILLS: want(BILLS).digest}


def test_a_deletion_leaves_nothing_and_can_be_repeated(place: Place) -> None:
    place.give(job_orders=want(ORDERS, subjobs=("part",)), job_bills=want(BILLS))
    assert dict(place.give(job_orders=None).outcomes) == good(job_orders=None)
    assert place.target.observe_all() == {BILLS: want(BILLS).digest}
    assert dict(place.give(job_orders=None).outcomes) == good(job_orders=None)
    assert place.target.observe([ORDERS]) == {ORDERS: None}


def test_one_call_brings_and_takes(place: Place) -> None:
    place.give(job_orders=want(ORDERS), script_clean=want(CLEAN, "1"))
    done = place.give(job_orders=None, job_bills=want(BILLS), script_clean=want(CLEAN, "2"))
    assert dict(done.outcomes) == good(job_orders=None, job_bills=want(BILLS), script_clean=want(CLEAN, "2"))
    assert place.target.observe_all() == {BILLS: want(BILLS).digest, CLEAN: want(CLEAN, "2").digest}


def test_a_job_and_a_script_of_one_name_are_two_items(place: Place) -> None:
    twin = item_key("script/orders")
    place.give(job_orders=want(ORDERS), script_orders=want(twin, "SELECT 1;"))
    place.give(script_orders=None)
    assert place.target.observe([ORDERS, twin]) == {ORDERS: want(ORDERS).digest, twin: None}


def test_the_state_is_another_whenever_something_else_is_held(place: Place) -> None:
    states = [place.target.state()]
    if states == [None]:
        place.give(job_orders=want(ORDERS))
        assert place.target.state() is None
        return
    place.give(job_orders=want(ORDERS, "one"))
    states.append(place.target.state())
    place.give(job_orders=want(ORDERS, "two"))
    states.append(place.target.state())
    place.spoil(ORDERS)
    states.append(place.connect().state())
    assert len(set(states)) == 4


def test_what_somebody_else_changed_is_seen(place: Place) -> None:
    place.give(job_orders=want(ORDERS), job_bills=want(BILLS))
    spoilt = place.spoil(ORDERS)
    seen = place.connect()
    assert seen.observe([ORDERS, BILLS]) == {ORDERS: spoilt, BILLS: want(BILLS).digest}
    assert seen.observe_all() == {ORDERS: spoilt, BILLS: want(BILLS).digest}


def test_looking_changes_nothing(place: Place) -> None:
    place.give(job_orders=want(ORDERS))
    before = place.target.state(), place.target.observe_all()
    place.target.observe([ORDERS, BILLS])
    place.target.observe_all()
    assert (place.target.state(), place.target.observe_all()) == before


# What is the git target's own.


@pytest.fixture
def branch(bench: Bench) -> Iterator[Place]:
    """The git target."""
    yield from git_place(bench)


def server_of(bench: Bench) -> Clone:
    """The server that the git target's branch is on."""
    return Clone(path=bench.folder / "server.git", environ=bench.environ, clock=bench.clock)


def test_all_changes_of_a_call_are_one_commit(branch: Place, bench: Bench) -> None:
    branch.give(job_orders=want(ORDERS), job_bills=want(BILLS), script_clean=want(CLEAN))
    branch.give(job_orders=want(ORDERS, "two"), job_bills=None)
    server = server_of(bench)
    log = server.git("log", "--format=%s", "--name-status", "deploy/main").splitlines()
    assert [line for line in log if line] == [
        "a test",
        "M\tjobs/1c/orders.job",
        "D\tjobs/a6/bills.job",
        "a test",
        "A\tjobs/1c/orders.job",
        "A\tjobs/a6/bills.job",
        "A\tscripts/3b/clean.script",
    ]


def test_the_branch_moves_only_from_where_it_was_seen(branch: Place) -> None:
    branch.give(job_orders=want(ORDERS))
    slow = branch.connect()
    branch.give(job_orders=want(ORDERS, "two"))
    with pytest.raises(Exception, match="deploy/main"):
        slow.deploy([TargetChange(item=BILLS, wanted=want(BILLS), held=None)], note="late")
    assert branch.target.observe_all() == {ORDERS: want(ORDERS, "two").digest}


def test_files_of_the_branch_that_are_nobodys_are_left_alone(branch: Place, bench: Bench) -> None:
    branch.give(job_orders=want(ORDERS))
    clone = bench.clone(server_of(bench), "ops")
    clone.git("checkout", "--quiet", "-B", "deploy", "origin/deploy/main")
    clone.commit({"README.md": "whose is this\n", "jobs/1c/orders.txt": "mine\n"})
    clone.push("HEAD:deploy/main")
    target = branch.connect()
    assert target.observe_all() == {ORDERS: want(ORDERS).digest}
    target.deploy([TargetChange(item=ORDERS, wanted=None, held=want(ORDERS).digest)], note="gone")
    clone.git("fetch", "--quiet")
    assert clone.git("ls-tree", "-r", "--name-only", "origin/deploy/main").splitlines() == [
        "README.md",
        "jobs/1c/orders.txt",
    ]


def test_a_branch_of_nothing_is_made_even_for_nothing(branch: Place) -> None:
    before = branch.target.state()
    done = branch.target.deploy([], note="nothing yet")
    assert (before, done.outcomes) == ("nothing", {})
    assert done.state == branch.connect().state() != before


def test_moves_of_the_deploy_branch_never_lose_its_past(branch: Place, bench: Bench) -> None:
    states = [branch.give(job_orders=want(ORDERS, str(number))).state for number in range(4)]
    server = server_of(bench)
    assert server.git("rev-list", "--first-parent", "--reverse", "deploy/main").splitlines() == states


# The git target alone.


def test_a_git_that_holds_the_branch_for_a_moment_is_waited_for(bench: Bench) -> None:
    for place in git_place(bench):
        (server,) = bench.folder.glob("*.git")
        lock = server / "refs/heads/deploy/main.lock"
        lock.parent.mkdir(parents=True)
        lock.touch()
        done = Timer(0.5, lock.unlink)
        done.start()
        assert place.give(job_orders=want(ORDERS)).outcomes == good(job_orders=want(ORDERS))
        done.join()
