"""The promises, whatever happens: honest people, an insider with raw git, and runners that die, in any order.

hypothesis makes up stories; after every step a model that uses nothing of gitrelease explains what it sees, or
fails (`tests/kit/truth.py`). A few stories are told in each test run, always the same ones. More of them:

    GITRELEASE_PROPERTY_EXAMPLES=200 pytest -n0 tests/stories/test_promises.py
    python -m tests.stories.test_promises --examples 200 --seed 7
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from gitrelease.commands.sync import SyncRequest
from gitrelease.core.review import Say
from tests.kit.attacker import ME, Attacker, pick
from tests.kit.git import KeyRing
from tests.kit.people import REVIEWERS, Edit, People, build_past
from tests.kit.truth import LEDGER, MAIN
from tests.kit.world import Fuse, Stage, World, build_stage, die

STEPS = 20
EXAMPLES = 2
BATCH = 10
"""So many stories are made up anew; from the eleventh on, hypothesis would vary those before."""
SEED = 1

WRITERS = ("dev-1", "adm-1", "dev-2", "adm-2", ME)
APPLICANTS = ("dev-1", "dep-1", "adm-1", "dep-2", ME)
RUNNERS = ("sync", "sync-2")
JOBS = ("orders", "a", "b", "c")
KINDS = ("write", "write", "delete", "move", "rename", "script")

numbers = st.integers(0, 5)
edits = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(JOBS)), min_size=1, max_size=3)
cuts = st.one_of(
    st.none(), st.tuples(st.sampled_from(("before", "after")), st.integers(0, 2), st.integers(0, 13))
)
"""Where somebody's command is cut: before or after which of its pushes, and by what."""
Cut = tuple[Literal["before", "after"], int, int] | None


class Promises(RuleBasedStateMachine):
    """One story; a rule is a step of somebody's."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="promises-")
        self.world = World(stage=stage, folder=Path(self.folder.name) / "shop")
        self.truth = self.world.truth
        self.people = People(self.world)
        self.attacker = Attacker(self.world)
        self.audited: dict[str, str] = {}
        self.world.count("stories")

    def teardown(self) -> None:
        """Mend what is harmed, let both runners finish, and verify."""
        try:
            if sys.exc_info()[0] is None:
                self.world.audit()
                for runner in RUNNERS:
                    self.world.sync(runner)
                self.world.audit()
        finally:
            self.world.close()
            self.folder.cleanup()

    def has_packages(self) -> bool:
        """Whether there is a package to speak of."""
        return bool(self.truth.open_packages())

    def has_tasks(self) -> bool:
        """Whether there is a task."""
        return bool(self.truth.open_tasks())

    def package(self, number: int) -> str:
        """Choose a package that has a branch."""
        chosen = pick(self.truth.open_packages(), number)
        assert chosen is not None
        return chosen

    # Honest people.

    @rule(who=st.sampled_from(WRITERS), by=st.sampled_from(APPLICANTS), what=edits, cut=cuts)
    def propose(self, who: str, by: str, what: list[Edit], cut: Cut) -> None:
        """Submit and release in one go."""
        self.people.propose(who, by, what, self.fuse(cut, by))

    @rule(who=st.sampled_from(WRITERS), what=edits, supersede=st.booleans(), old=st.booleans(), cut=cuts)
    def submit(self, who: str, what: list[Edit], supersede: bool, old: bool, cut: Cut) -> None:
        """Submit, perhaps from a clone that is behind, or over somebody else's version."""
        self.people.submit(who, what, supersede=supersede, old=old, fuse=self.fuse(cut, who))

    @precondition(has_tasks)
    @rule(by=st.sampled_from(APPLICANTS), first=numbers, count=st.integers(1, 3), cut=cuts)
    def release(self, by: str, first: int, count: int, cut: Cut) -> None:
        """Release some of the tasks there are."""
        tasks = self.truth.open_tasks()
        begin = first % len(tasks)
        self.people.release(by, tasks[begin : begin + count], self.fuse(cut, by))

    @precondition(has_packages)
    @rule(
        who=st.sampled_from((*REVIEWERS, *WRITERS)),
        number=numbers,
        say=st.sampled_from(("approve", "approve", "reject", "withdraw", "revoke")),
        cut=cuts,
    )
    def say(self, who: str, number: int, say: str, cut: Cut) -> None:
        """Say something of a package, open or merged."""
        self.people.say(who, self.package(number), say, self.fuse(cut, who))

    @precondition(has_packages)
    @rule(number=numbers, first=st.integers(0, 3), runner=st.sampled_from(RUNNERS), cut=cuts)
    def carry_through(self, number: int, first: int, runner: str, cut: Cut) -> None:
        """Everybody who may says yes, and a runner brings it to production."""
        package = self.package(number)
        self.people.all_say_yes(package, first)
        if not self.truth.is_merged(package):
            self.people.merge("dep-1", package, by_hand=True)
        self._sync(runner, cut)

    @precondition(has_packages)
    @rule(
        number=numbers,
        first=st.integers(0, 3),
        who=st.sampled_from(REVIEWERS),
        runner=st.sampled_from(RUNNERS),
    )
    def say_no_late(self, number: int, first: int, who: str, runner: str) -> None:
        """Everybody who may says yes, and somebody says no once it is merged; then a runner comes by."""
        package = self.package(number)
        self.people.all_say_yes(package, first)
        if not self.truth.is_merged(package):
            self.people.merge("dep-1", package, by_hand=True)
        self.people.say(who, package, "reject")
        self._sync(runner)

    def _sync(self, runner: str, cut: Cut = None, request: SyncRequest | None = None) -> None:
        self.people.step("sync")
        self.world.sync(runner, request, fuse=self.fuse(cut, runner))

    @precondition(has_packages)
    @rule(who=st.sampled_from((*REVIEWERS, "dev-1")), number=numbers, by_hand=st.booleans(), cut=cuts)
    def merge(self, who: str, number: int, by_hand: bool, cut: Cut) -> None:
        """Ask for the verdict, or merge."""
        self.people.merge(who, self.package(number), by_hand=by_hand, fuse=self.fuse(cut, who))

    @precondition(has_tasks)
    @rule(who=st.sampled_from(WRITERS), number=numbers, cut=cuts)
    def take_back(self, who: str, number: int, cut: Cut) -> None:
        """Revoke a task."""
        tasks = self.truth.open_tasks()
        self.people.take_back(who, tasks[number % len(tasks)], self.fuse(cut, who))

    @rule(who=st.sampled_from(APPLICANTS), number=numbers, cut=cuts)
    def roll_back(self, who: str, number: int, cut: Cut) -> None:
        """Propose to go back to before a release."""
        applied = sorted(self.truth.applied)
        self.people.roll_back(who, applied[number % len(applied)], self.fuse(cut, who))

    @precondition(lambda self: not self.truth.is_main_clean())
    @rule(who=st.sampled_from(APPLICANTS), through=st.booleans())
    def put_back(self, who: str, through: bool) -> None:
        """Propose to put back what was approved, and perhaps see it through."""
        package = self.people.put_back(who)
        if package is not None and through:
            self.people.all_say_yes(package)

    @rule(
        by=st.sampled_from(("adm-1", "adm-2")),
        how=st.sampled_from(
            ("two", "one", "by hand", "by itself", "required", "not required", "fewer", "more", "mapping")
        ),
        through=st.booleans(),
    )
    def change_workspace(self, by: str, how: str, through: bool) -> None:
        """Change who may do what, and perhaps see it through."""
        package = self.people.change_workspace(by, how)
        if package is not None and through:
            self.people.all_say_yes(package, 2)

    # Runners.

    @rule(
        who=st.sampled_from(RUNNERS),
        retry=st.booleans(),
        fails=st.sampled_from((None, None, None, "a", "orders")),
        cut=cuts,
    )
    def sync(self, who: str, retry: bool, fails: str | None, cut: Cut) -> None:
        """Bring production in line."""
        self.people.step("sync")
        self.world.sync(who, SyncRequest(retry=retry), fails=fails, fuse=self.fuse(cut, who))

    @precondition(has_packages)
    @rule(
        number=numbers,
        who=st.sampled_from(RUNNERS),
        when=st.sampled_from(("before", "after")),
        change=st.integers(0, 2),
    )
    def sync_and_die(self, number: int, who: str, when: Literal["before", "after"], change: int) -> None:
        """Die at one of the changes of a package; the other runner finishes."""
        self.people.all_say_yes(self.package(number))
        self.people.step("sync killed")
        self.world.sync(who, dies=(when, change))
        self._sync("sync" if who == "sync-2" else "sync-2")

    @precondition(lambda self: any(self.truth.drifted()))
    @rule(who=st.sampled_from(RUNNERS), number=numbers, cut=cuts)
    def repair(self, who: str, number: int, cut: Cut) -> None:
        """Bring back what the ledger says of something that drifted."""
        items = sorted(self.truth.drifted_items())
        self._sync(who, cut, SyncRequest(repair=(items[number % len(items)],)))

    @precondition(lambda self: self.truth.refs != self.audited)
    @rule()
    def verify(self) -> None:
        """Check everything, if anything happened."""
        self.people.step("verify")
        self.world.audit()
        self.audited = dict(self.truth.refs)

    # People who misuse their own keys, past the verbs that would refuse.

    @precondition(has_packages)
    @rule(
        who=st.sampled_from((*REVIEWERS, ME)),
        number=numbers,
        say=st.sampled_from((Say.APPROVE, Say.REJECT)),
        runner=st.sampled_from(RUNNERS),
    )
    def say_by_hand(self, who: str, number: int, say: Say, runner: str) -> None:
        """Write an opinion oneself, whether one may or not."""
        package = self.package(number)
        self.people.say_by_hand(who, package, say)
        self._let_through(package, runner, merged=False)

    @rule(
        who=st.sampled_from(REVIEWERS),
        hidden=st.booleans(),
        merged=st.booleans(),
        runner=st.sampled_from(RUNNERS),
    )
    def approve_oneself(self, who: str, hidden: bool, merged: bool, runner: str) -> None:
        """Make part of a package, and be the one who approves it; perhaps with a manifest that hides it."""
        package = self.people.propose(who if who in WRITERS else "dev-1", who, [("write", "a")])
        if package is None:
            return
        if hidden:
            self.attack("author hidden", lambda: self.attacker.hide_author(package))
        self.people.say_by_hand(who, package, Say.APPROVE)
        self._let_through(package, runner, merged=merged)

    def _let_through(self, package: str, runner: str, *, merged: bool) -> None:
        """Let a gate and a runner have a go at it, perhaps after the attacker merged it himself."""
        if merged:
            self.attack("merge plain", lambda: self.attacker.merge(package, "plain"))
        else:
            self.people.merge("dep-1", package, by_hand=False)
        self._sync(runner)

    # The attacker.

    def attack(self, what: str, move: Callable[[], object]) -> None:
        """Let the attacker do something."""
        if not {MAIN, LEDGER} <= self.truth.refs.keys():
            return  # he took it away, and nothing is left to do
        with self.world.attacking():
            done = bool(move())
        self.world.count(f"attack: {what}" if done else "attack: in vain")

    @rule(
        number=numbers,
        how=st.sampled_from(("unsigned", "another's name", "own", "wide", "skips ahead", "hides its author")),
        then=st.booleans(),
    )
    def forged_task(self, number: int, how: str, then: bool) -> None:
        """A branch that looks like a task; somebody may release it."""
        self.attack(f"task {how}", lambda: self.attacker.forge_task(number, how))
        if then:
            self.people.release("dep-1", self.truth.open_tasks())

    @precondition(has_tasks)
    @rule(number=numbers, how=st.sampled_from(("own", "unsigned", "deleted", "another's")))
    def moved_task(self, number: int, how: str) -> None:
        """Something else where a task was."""
        self.attack(f"moved task {how}", lambda: self.attacker.move_task(number, how))

    @precondition(has_packages)
    @rule(
        number=numbers,
        how=st.sampled_from(
            ("own", "as the applicant", "unsigned", "bytes only", "signed again", "another's", "deleted")
        ),
        first=st.sampled_from((None, *REVIEWERS)),
        merged=st.booleans(),
        runner=st.sampled_from(RUNNERS),
    )
    def amended_package(self, number: int, how: str, first: str | None, merged: bool, runner: str) -> None:
        """Other bytes where a package was, perhaps after somebody said yes."""
        package = self.package(number)
        if first is not None:
            self.people.say_by_hand(first, package, Say.APPROVE)
        self.attack(f"package {how}", lambda: self.attacker.amend_package(package, how))
        self._let_through(package, runner, merged=merged)

    @precondition(has_packages)
    @rule(
        number=numbers,
        who=st.sampled_from(REVIEWERS),
        how=st.sampled_from(("unsigned", "another's name", "own", "takes back")),
        merged=st.booleans(),
        runner=st.sampled_from(RUNNERS),
    )
    def forged_opinion(self, number: int, who: str, how: str, merged: bool, runner: str) -> None:
        """A yes in somebody's name."""
        package = self.package(number)
        self.attack(f"opinion {how}", lambda: self.attacker.forge_opinion(package, who, how))
        self._let_through(package, runner, merged=merged)

    @precondition(has_packages)
    @rule(number=numbers, other=numbers, merged=st.booleans(), runner=st.sampled_from(RUNNERS))
    def replayed_opinion(self, number: int, other: int, merged: bool, runner: str) -> None:
        """A yes that was said of another package."""
        package = self.package(number)
        self.attack("opinion replayed", lambda: self.attacker.replay_opinion(package, other))
        self._let_through(package, runner, merged=merged)

    @precondition(has_packages)
    @rule(
        number=numbers,
        how=st.sampled_from(("deleted", "cut", "revived", "added to")),
        merged=st.booleans(),
        runner=st.sampled_from(RUNNERS),
    )
    def spoiled_log(self, number: int, how: str, merged: bool, runner: str) -> None:
        """A log that lacks words, or holds what is none."""
        package = self.package(number)
        self.attack(f"log {how}", lambda: self.attacker.spoil_log(package, how))
        self._let_through(package, runner, merged=merged)

    @precondition(lambda self: self.truth.closed - self.truth.applied.keys())
    @rule(number=numbers, merged=st.booleans(), runner=st.sampled_from(RUNNERS))
    def resurrected(self, number: int, merged: bool, runner: str) -> None:
        """A package that was closed, as it was when somebody had said yes."""
        package = pick(sorted(self.truth.closed - self.truth.applied.keys()), number)
        assert package is not None
        self.attack("resurrected", lambda: self.attacker.resurrect(package))
        self._let_through(package, runner, merged=merged)

    @rule(
        number=numbers,
        how=st.sampled_from(
            ("job", "gone", "new job", "record", "workspace", "manifest", "early", "readme", "early")
        ),
        then=st.sampled_from((None, *REVIEWERS)),
    )
    def pushed_to_main(self, number: int, how: str, then: str | None) -> None:
        """What nobody approved on the main branch; perhaps somebody approves a package just then."""
        self.attack(f"main {how}", lambda: self.attacker.push_main(number, how))
        package = pick(self.truth.open_packages(), number)
        if then is not None and package is not None:
            self.people.say(then, package, "approve")

    @precondition(has_packages)
    @rule(
        number=numbers,
        how=st.sampled_from(("plain", "unsigned", "squashed", "more", "less", "exchanged")),
        first=st.sampled_from((None, *REVIEWERS)),
        runner=st.sampled_from(RUNNERS),
    )
    def merged_by_git(self, number: int, how: str, first: str | None, runner: str) -> None:
        """A package merged with raw git, perhaps one that somebody said yes to."""
        package = self.package(number)
        if first is not None:
            self.people.say_by_hand(first, package, Say.APPROVE)
        self.attack(f"merge {how}", lambda: self.attacker.merge(package, how))
        self._sync(runner)

    @rule(how=st.sampled_from(("exchanged", "rewound", "deleted")))
    def twisted_main(self, how: str) -> None:
        """Another main branch."""
        self.attack(f"main {how}", lambda: self.attacker.twist_main(how))

    @rule(
        how=st.sampled_from(
            ("item", "workspace", "plain", "twice", "rewound", "unfinished", "replaced", "deleted")
        )
    )
    def forged_ledger(self, how: str) -> None:
        """Receipts that no runner wrote, or that are gone."""
        self.attack(f"ledger {how}", lambda: self.attacker.forge_ledger(how))

    @rule(how=st.sampled_from(("garbage", "released", "rewound", "deleted")))
    def spoiled_archive(self, how: str) -> None:
        """An archive that says what is not so, or says less."""
        self.attack(f"archive {how}", lambda: self.attacker.spoil_archive(how))

    @rule(
        number=numbers,
        how=st.sampled_from(("bytes", "bytes", "gone", "new", "stray", "branch")),
        runner=st.sampled_from((None, *RUNNERS)),
    )
    def changed_production(self, number: int, how: str, runner: str | None) -> None:
        """Other bytes where jobs run."""
        self.attack(f"deploy {how}", lambda: self.attacker.touch_deploy(number, how))
        if runner is not None:
            self._sync(runner)

    @rule(
        number=numbers,
        how=st.sampled_from(("bytes", "gone", "new")),
        runner=st.sampled_from((None, *RUNNERS)),
    )
    def changed_plant(self, number: int, how: str, runner: str | None) -> None:
        """Other bytes in the other target."""
        self.attack(f"plant {how}", lambda: self.attacker.touch_plant(number, how))
        if runner is not None:
            self._sync(runner)

    @rule(number=numbers, how=st.sampled_from(("moved", "deleted", "early")))
    def changed_tags(self, number: int, how: str) -> None:
        """Labels that lie."""
        self.attack(f"tag {how}", lambda: self.attacker.touch_tags(number, how))

    # In the middle of somebody's step.

    def fuse(self, cut: Cut, who: str) -> Fuse | None:
        """Make what happens at one push of somebody's command: they die, or somebody else is quicker."""
        if cut is None:
            return None
        when, at, number = cut
        return Fuse(at=at, when=when, act=die if number < 5 else partial(self.meanwhile, number, who))

    def meanwhile(self, number: int, who: str) -> None:
        """Do something while somebody's command is about to push."""
        self.world.count("meanwhile")
        package = pick(self.truth.open_packages(), number)
        reviewers = [one for one in REVIEWERS if one != who]
        writer = next(one for one in WRITERS if one != who)
        match number:
            case 5 if package:
                self.people.say(reviewers[0], package, "reject")
            case 6 if package:
                self.people.say(reviewers[1], package, "approve")
            case 7:
                self._sync(next(one for one in RUNNERS if one != who))
            case 8:
                self.people.submit(writer, [("write", "orders")])
            case 9:
                self.attack("main job", lambda: self.attacker.push_main(0, "job"))
            case 10 if package:
                self.attack("package own", lambda: self.attacker.amend_package(package, "own"))
            case 11 if package:
                self.attack(
                    "opinion", lambda: self.attacker.forge_opinion(package, "dep-1", "another's name")
                )
            case 12:
                self.attack("deploy bytes", lambda: self.attacker.touch_deploy(number, "bytes"))
            case 13:
                self.attack("ledger item", lambda: self.attacker.forge_ledger("item"))


# Told in every test run, and in long ones by hand.


def tell(stage: Stage, *, examples: int, steps: int, number: int, shrink: bool = True) -> None:
    """Tell stories, the same ones for the same number."""
    for batch, begin in enumerate(range(0, examples, BATCH)):
        how = settings(
            max_examples=min(BATCH, examples - begin),
            stateful_step_count=steps,
            deadline=None,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        )

        def story() -> Promises:
            return Promises(stage)

        factory: Any = seed(1000 * number + batch)(story)
        run_state_machine_as_test(factory, settings=how)


def prepare(folder: Path, keys: KeyRing) -> Stage:
    """Build the shop that every story begins with: it has a past."""
    world = World(stage=build_stage(folder / "opened", keys), folder=folder / "past")
    build_past(world)
    return world.as_stage()


def test_the_promises_hold(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> None:
    """Promises 1 and 2 after every step, and `verify` agrees."""
    examples = int(os.environ.get("GITRELEASE_PROPERTY_EXAMPLES", EXAMPLES))
    number = int(os.environ.get("GITRELEASE_PROPERTY_SEED", SEED))
    stage = prepare(tmp_path_factory.mktemp("stage"), keys)
    tell(stage, examples=examples, steps=STEPS, number=number)
    assert stage.tally["stories"] >= examples


def main() -> None:
    """Tell stories for as long as one wants."""
    parser = argparse.ArgumentParser(description="Tell stories, and see that the promises hold.")
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--minutes", type=float, help="go on with the next seed until so many have passed")
    parser.add_argument("--no-shrink", action="store_true")
    asked = parser.parse_args()
    number, end = asked.seed, monotonic() + 60 * (asked.minutes or 0)
    with tempfile.TemporaryDirectory(prefix="promises-stage-") as folder:
        (Path(folder) / "keys").mkdir()
        stage = prepare(Path(folder), KeyRing(Path(folder) / "keys"))
        while True:
            print(f"seed {number}: {asked.examples} stories of {asked.steps} steps", flush=True)  # noqa: T201
            try:
                tell(
                    stage,
                    examples=asked.examples,
                    steps=asked.steps,
                    number=number,
                    shrink=not asked.no_shrink,
                )
            finally:
                for what, count in sorted(stage.tally.items()):
                    print(f"{count:6} {what}")  # noqa: T201
            if monotonic() >= end:
                break
            number += 1


if __name__ == "__main__":
    main()
