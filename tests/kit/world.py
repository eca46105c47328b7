"""A shop with everybody in it: honest people, runners that die, and what is looked at after each of their steps.

People use gitrelease's verbs in clones of their own; `attempt` runs one, and sees to it that a refusal changes
nothing. A fuse stops somebody at one of their pushes: they die there, or somebody else is quicker.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from threading import current_thread, main_thread
from typing import Literal, TypeVar

from gitrelease.commands.sync import SyncRequest, SyncResult, sync
from gitrelease.commands.verify import VerifyResult, verify
from gitrelease.core.names import CommitId, TreeId
from gitrelease.errors import Exit, GitReleaseError
from gitrelease.forges.local import LocalForge
from gitrelease.pen import Pen
from gitrelease.repo import HistoryRewritten, RefMove, Repo
from tests.kit.git import Bench, Clock, Clone, KeyRing
from tests.kit.shop import Person, job_yaml, open_shop, script_yaml
from tests.kit.targets import Killed, Plant, give_plants, plant_target
from tests.kit.truth import ARCHIVE, LEDGER, Eyes, Truth, Word, value_of

Result = TypeVar("Result")

Noticed = Literal["by all", "by sync", "perhaps", "untried"]
"""Who has to notice a harm: every verb, or sync; perhaps nobody has to; or no verb is tried, only `verify`."""

ROLES: Mapping[str, str] = {
    "adm-1": "admin",
    "adm-2": "admin",
    "dev-1": "developer",
    "dev-2": "developer",
    "dep-1": "deployer",
    "dep-2": "deployer",
    "mal": "developer",
    "sync": "runner",
    "sync-2": "runner",
}
"""Who is who; `mal` is the attacker, an insider with a developer's key."""

FIRST = {
    "jobs/sales/orders.job.yaml": job_yaml("orders", version=1, script="clean", note="t0"),
    "scripts/sales/clean.script.yaml": script_yaml("clean", version=1),
    "scripts/sales/clean.sql": "SELECT 1; -- t0\n",
}
"""What the shop begins with; every version of an item bears a mark of its own, t0, t1 and so on."""

GIT = "    - {name: main, type: git, mappings: {connections: {hive_dev: hive}, databases: {ods_dev: ods}}}\n"
AUDITOR = "auditor"


# Everybody's tools.


@dataclass(kw_only=True)
class Fuse:
    """Goes off at one push of somebody's command, before or after it."""

    at: int
    when: Literal["before", "after"]
    act: Callable[[], None]
    pushes: int = 0
    has_blown: bool = False

    def pass_(self, when: str) -> None:
        """Let a push go by, and go off if this is the one."""
        if not self.has_blown and (self.pushes, self.when) == (self.at, when):
            self.has_blown = True
            self.act()


def _look(person: Person) -> None:
    person.desk.look()


def _sync(person: Person) -> None:
    person.sync()


def _verify(person: Person) -> VerifyResult:
    person.desk.fetch(tags=True)
    return verify(person.desk)


def die() -> None:
    """End as a power cut ends a process."""
    raise Killed


class FusedRepo(Repo):
    """A clone whose owner can be stopped at any push."""

    fuse: Fuse | None = None

    def push(self, moves: Sequence[RefMove]) -> None:
        """Push, unless the fuse goes off."""
        fuse = self.fuse
        if fuse is None or not moves or current_thread() is not main_thread():
            super().push(moves)
            return
        fuse.pass_("before")
        super().push(moves)
        fuse.pass_("after")
        fuse.pushes += 1


class KeptPen(Pen):
    """A pen that keeps every word about a package that its owner ever signed."""

    def __init__(self, person: str, words: list[Word], like: Pen) -> None:
        super().__init__(identity=like.identity, signs=like.signs, now=like.now)
        self._person, self._words = person, words

    def commit(self, repo: Repo, *, tree: TreeId, parents: Sequence[CommitId], message: str) -> CommitId:
        """Write a commit, and note what it says."""
        made = super().commit(repo, tree=tree, parents=parents, message=message)
        value = value_of(message)
        if value.get("kind") == "Opinion":
            self._words.append(
                Word(
                    by=self._person,
                    say=value["say"],
                    package=value["package"],
                    manifest=value["manifest"],
                    commit=made,
                )
            )
        return made


# The stage, made once, and copied for each story.


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A shop as a story finds it."""

    folder: Path
    signers: Path
    keys: KeyRing
    root: CommitId
    now: datetime
    truth: Truth | None = None
    edits: int = 0
    packages: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    """What happened in all stories together."""


def build_stage(folder: Path, keys: KeyRing) -> Stage:
    """Open the shop, give everybody a clone, and bring production in line."""
    folder.mkdir()
    bench = Bench(folder=folder, keys=keys)
    shop = open_shop(bench, FIRST, roles=ROLES, lease=1, targets=GIT + plant_target("plant"))
    for who in (*ROLES, AUDITOR):
        shop.person(who)
    give_plants(shop.person("sync"), {"plant": Plant(folder=folder / "plant")}).sync()
    for person in shop.people.values():
        person.clone.git("fetch", "--quiet", "--no-tags", "origin")
    shop.close()
    signers = folder / "signers"
    signers.write_text("".join(keys(who).allowed(who) for who in ROLES), encoding="utf-8")
    return Stage(folder=folder, signers=signers, keys=keys, root=shop.root, now=bench.clock())


@dataclass(frozen=True, kw_only=True)
class Harm:
    """What the attacker did to a branch that nobody may do it to, until people mend it."""

    ref: str
    good: str | None
    bad: str | None
    verbs: Noticed
    """Which verbs have to refuse now."""
    is_told: bool
    """Whether `verify` has to find it."""


@dataclass(kw_only=True)
class World:
    """One story: the shop, its people, and what is true of it."""

    stage: Stage
    folder: Path
    people: dict[str, Person] = field(default_factory=dict)
    harms: list[Harm] = field(default_factory=list)
    mended: set[str] = field(default_factory=set)
    """Branches that people moved on purpose, so that clones may be told to accept it."""
    depth: int = 0
    frames: list[dict[str, str]] = field(default_factory=list)
    """What the refs were when each running verb began, or when somebody else last moved them."""

    def __post_init__(self) -> None:
        """Copy the stage."""
        shutil.copytree(self.stage.folder / "server.git", self.folder / "server.git")
        shutil.copytree(self.stage.folder / "plant", self.folder / "plant")
        self.bench = Bench(folder=self.folder, keys=self.stage.keys, clock=Clock(self.stage.now))
        self.server = self._clone("server.git")
        self.plant = Plant(folder=self.folder / "plant")
        self.edits, self.packages = self.stage.edits, self.stage.packages
        if self.stage.truth is not None:
            self.truth = self.stage.truth.copied(self.server, self.plant.folder)
        else:
            eyes = Eyes(self.server, self.stage.signers)
            self.truth = Truth.at_the_beginning(eyes, self.plant.folder, self.stage.root)

    def _clone(self, name: str) -> Clone:
        return Clone(path=self.folder / name, environ=self.bench.environ, clock=self.bench.clock)

    def as_stage(self) -> Stage:
        """Let other stories begin where this one is."""
        for who in (*ROLES, AUDITOR):
            self.person(who)
        self.end()
        return replace(
            self.stage,
            folder=self.folder,
            now=self.bench.clock(),
            truth=self.truth,
            edits=self.edits,
            packages=self.packages,
        )

    def end(self) -> None:
        """End the processes that read the clones."""
        for person in self.people.values():
            person.repo.close()

    def close(self) -> None:
        """End this story, and remove everything."""
        self.end()
        shutil.rmtree(self.folder)

    def person(self, who: str) -> Person:
        """Give somebody their clone, with a fuse in it, and a pen that keeps their words."""
        if who not in self.people:
            shutil.copytree(self.stage.folder / who, self.folder / who)
            config = self.folder / who / ".git" / "config"
            text = config.read_text(encoding="utf-8")
            config.write_text(text.replace(str(self.stage.folder), str(self.folder)), encoding="utf-8")
            made = Person(id=who, clone=self._clone(who), bench=self.bench, root=self.stage.root)
            made.repo = FusedRepo.discover(made.clone.path, remote="origin", environ=made.clone.environ)
            give_plants(made, {"plant": self.plant})
            pen = KeptPen(who, self.truth.words, made.desk.pen)
            made.desk = replace(made.desk, pen=pen, forge=LocalForge(made.repo, pen))
            self.people[who] = made
        return self.people[who]

    def count(self, what: str) -> None:
        """Note that something happened."""
        self.stage.tally[what] += 1

    # Steps.

    def attempt(
        self,
        who: str,
        act: Callable[[Person], Result],
        *,
        moves: Sequence[str] = (),
        fuse: Fuse | None = None,
    ) -> Result | None:
        """Let somebody run a verb; give what it gave, or nothing when it refused or they died.

        Args:
            who: whose command it is.
            act: the verb.
            moves: the beginnings of refs that it may have moved although it refused in the end.
            fuse: where it is interrupted.
        """
        if self.harms and self.depth == 0:
            self._raise_alarm(who, _look if who == AUDITOR else act, moves)
        for _ in range(8):
            try:
                return self._run(who, act, moves, fuse)
            except HistoryRewritten as rewritten:
                # People put a branch back, so clones that saw what it was meanwhile are told to forget that.
                assert rewritten.ref in self.mended, rewritten
                assert rewritten.hint is not None
                for step in rewritten.hint.split("on purpose: ")[1].split("; "):
                    self.person(who).clone.git(*step.split()[1:])
        raise AssertionError(f"{who} cannot look any more")

    def _run(
        self, who: str, act: Callable[[Person], Result], moves: Sequence[str], fuse: Fuse | None
    ) -> Result | None:
        person = self.person(who)
        assert isinstance(person.repo, FusedRepo)
        self.depth += 1
        self.frames.append(self.truth.eyes.refs())
        outer, person.repo.fuse = person.repo.fuse, fuse
        try:
            result = act(person)
        except Killed:
            self.count("killed")
            return None
        except HistoryRewritten:
            raise
        except GitReleaseError as refused:
            self.count(f"refused: {type(refused).__name__}")
            self._nothing_moved(moves, refused)
            return None
        finally:
            person.repo.fuse = outer
            self.frames.pop()
            self.depth -= 1
            self.truth.observe("honest")
            for number in range(len(self.frames)):
                self.frames[number] = dict(self.truth.refs)
        self.count("done")
        return result

    def _nothing_moved(self, moves: Sequence[str], refused: GitReleaseError) -> None:
        before, now = self.frames[-1], self.truth.eyes.refs()
        moved = [
            ref
            for ref in sorted(before.keys() | now.keys())
            if before.get(ref) != now.get(ref) and not ref.startswith(tuple(moves) or ("-",))
        ]
        assert not moved, f"it refused, and moved {moved}: {refused}"

    @contextmanager
    def attacking(self) -> Iterator[None]:
        """Tell what the attacker does apart from what others did."""
        self.truth.observe("honest")
        yield
        self.truth.observe("attack")
        for number in range(len(self.frames)):
            self.frames[number] = dict(self.truth.refs)

    # Harm, and what people do about it.

    def harm(self, ref: str, bad: str | None, *, verbs: Noticed, is_told: bool) -> None:
        """Move a branch as nobody may, and remember what it was."""
        good = self.truth.refs.get(ref)
        self.force(ref, bad)
        self.harms.append(Harm(ref=ref, good=good, bad=bad, verbs=verbs, is_told=is_told))

    def force(self, ref: str, to: str | None) -> None:
        """Move a ref on the server by hand."""
        self.server.git("update-ref", *(["-d", ref] if to is None else [ref, to]))

    def is_harmed(self, ref: str) -> bool:
        """Say whether a branch is harmed already; once is enough."""
        return any(harm.ref == ref for harm in self.harms)

    def _raise_alarm(self, who: str, act: Callable[[Person], object], moves: Sequence[str]) -> None:
        """See that harm is noticed, and mend it."""
        harms, self.harms = self.harms, []
        modes = {harm.verbs for harm in harms}
        if "by sync" in modes and "by all" not in modes:
            who, act = "sync", _sync
        if modes & {"by all", "by sync"}:
            with self._unmoved("with a forged history"):
                try:
                    act(self.person(who))
                except GitReleaseError as refused:
                    self.count(f"noticed: {type(refused).__name__}")
                else:
                    raise AssertionError(f"{who} noticed nothing of {harms}")
        elif "perhaps" in modes and "untried" not in modes:
            try:
                self._run(who, act, (*moves, LEDGER), None)
            except HistoryRewritten:
                self.count("noticed: HistoryRewritten")
        if any(harm.is_told for harm in harms):
            result = self._audit()
            assert result is None or not result.ok, f"verify noticed nothing of {harms}"
            self.count("verify: told of harm")
        for harm in reversed(harms):
            if self.truth.eyes.refs().get(harm.ref) == harm.bad:
                self.force(harm.ref, harm.good)
            self.mended.add(harm.ref)
        self.truth.observe("people")

    @contextmanager
    def _unmoved(self, why: str) -> Iterator[None]:
        before = self.truth.eyes.refs()
        yield
        assert self.truth.eyes.refs() == before, f"refs were moved {why}"

    def _audit(self) -> VerifyResult | None:
        """Verify from a clone that looks now; nothing when it cannot even look."""
        auditor = self.person(AUDITOR)
        try:
            auditor.desk.fetch(tags=True)
        except HistoryRewritten:
            return None
        return verify(auditor.desk)

    # Runners and auditors.

    def sync(
        self,
        who: str,
        request: SyncRequest | None = None,
        *,
        fuse: Fuse | None = None,
        dies: tuple[Literal["before", "after"], int] | None = None,
        fails: str | None = None,
    ) -> SyncResult | None:
        """Bring production in line, perhaps with a plant that fails, or a runner that dies at one of its changes."""
        asked = request or SyncRequest()
        plant = self.plant
        plant.fails = frozenset({fails} if fails else ())
        if dies is not None:
            setattr(plant, f"dies_{dies[0]}", plant.made + dies[1])
        moves = (LEDGER, ARCHIVE, "refs/heads/deploy/", "refs/tags/", "refs/heads/submit/", "refs/heads/package/",
                 "refs/heads/review/")  # fmt: skip
        try:
            result = self.attempt(who, lambda person: sync(person.desk, asked), moves=moves, fuse=fuse)
        finally:
            plant.fails, plant.dies_before, plant.dies_after = frozenset(), None, None
        if result is not None and self.depth == 0 and not self.harms:
            self.look_at(result)
        return result

    def look_at(self, result: SyncResult) -> None:
        """Compare what a sync says with what is true."""
        self.truth.check_in_line((target, str(item)) for target, item in (*result.behind, *result.drifted))
        is_ok, bad = self.truth.verdict()
        if is_ok is False or self.truth.drifted()[1]:
            told = [one for one in bad if "tag of" not in one] or self.truth.drifted()[1]
            assert not told or result.exit is Exit.REFUSED, f"sync said nothing of {told}"

    def audit(self) -> None:
        """Compare what `verify` says with what is true."""
        result = self.attempt(AUDITOR, _verify)
        assert result is not None
        is_ok, why = self.truth.verdict()
        if is_ok is not None:
            assert result.ok is is_ok, (why, result.broken)
        self.count(f"verify: {result.ok}, certain: {is_ok is not None}")
