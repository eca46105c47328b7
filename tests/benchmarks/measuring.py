"""What is measured: each verb beside what git, or another program, takes for the same in the same minute."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.benchmarks.contents import job_key, job_path
from tests.benchmarks.place import ROOT, Place

MANY = 100
"""How many tasks the large package holds."""

CHECKED = 10_000
"""How many jobs `check` looks at, if there are as many."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How long a verb may take beside its yardstick."""

    times: float = 1.0
    plus: float = 0.0

    def holds(self, yardstick: float, verb: float) -> bool:
        """Say whether a verb was fast enough."""
        return verb <= yardstick * self.times + self.plus

    def __str__(self) -> str:
        if self.times == 0:
            return f"{self.plus:g} s"
        if self.times < 1:
            return f"{1 / self.times:g} times faster"
        return f"{self.times:g} times" if self.plus == 0 else f"that + {self.plus:g} s"

    def found(self, yardstick: float, verb: float) -> str:
        """Say how a verb came out, in the terms of the limit."""
        if self.times == 0:
            return f"{verb:.2f} s"
        if self.times < 1:
            return f"{yardstick / verb:.1f} times faster"
        return f"{verb / yardstick:.2f} times" if self.plus == 0 else f"that {verb - yardstick:+.2f} s"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    verb: str
    yardstick: str
    of_yardstick: float
    of_verb: float
    limit: Limit
    runs: int

    @property
    def is_ok(self) -> bool:
        """Whether the verb was fast enough."""
        return self.limit.holds(self.of_yardstick, self.of_verb)


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A line that could not be measured."""

    verb: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How long both took: medians of several runs, one after the other in turn."""

    yardstick: float
    verb: float
    runs: int


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measures, verb by verb."""

    place: Place
    runs: int = 5
    patience: float = 60.0
    """Seconds after which a line is not run again; it runs twice at least, unless one run takes as long."""

    def measure(
        self,
        yardstick: Callable[[], object],
        verb: Callable[[], object],
        *,
        before: Callable[[], object] = lambda: None,
        warm: bool = True,
    ) -> Measured:
        """Run both in turn and give the medians; `before` brings everything back, and is not counted."""
        begun = perf_counter()
        if warm:  # what the disk has to be asked for is not what is measured
            for run in (yardstick, verb):
                before()
                run()
        slow = perf_counter() - begun > self.patience
        took: dict[Callable[[], object], list[float]] = {yardstick: [], verb: []}
        for number in range(self.runs):
            if number and (slow or (number > 1 and perf_counter() - begun > self.patience)):
                break
            for run in (yardstick, verb):
                before()
                start = perf_counter()
                run()
                took[run].append(perf_counter() - start)
        before()
        return Measured(yardstick=median(took[yardstick]), verb=median(took[verb]), runs=len(took[verb]))

    # The lines of the table.

    def version(self) -> Iterator[Row | Skipped]:
        """Start up."""
        place = self.place
        found = self.measure(
            lambda: place.run([sys.executable, "-c", "import click"], place.folder),
            lambda: place.verb(place.folder, "--version"),
        )
        yield _row("gitrelease --version", 'python -c "import click"', found, Limit(times=1.5))

    def changes(self, wanted: Callable[[str], bool]) -> Iterator[Row | Skipped]:
        """Measure what moves refs: a submit, a release of many tasks, a sync of that package."""
        if wanted("submit"):
            yield self._submit()
        if not wanted("release") and not wanted("sync"):
            return
        dev = self.place.clone("dev-1", checkout=True)
        many = min(MANY, self.place.grown.jobs)
        texts = {job_path(number): dev / job_path(number) for number in range(many)}
        held = {path: file.read_bytes() for path, file in texts.items()}
        clones = [dev, self.place.clone("dep-1"), self.place.clone("sync")]
        pictures = [self.place.picture(one) for one in (self.place.server, *clones)]
        try:
            for path, file in texts.items():
                file.write_bytes(_edited(held[path]))
            names = [str(job_key(number)) for number in range(many)]
            self.place.verb(dev, "submit", *names, "-m", "Change many at once")
            if wanted("release"):
                yield self._release(dev)
            if wanted("sync"):
                yield self._sync(dev)
        finally:
            for picture in pictures:
                picture.restore()
            self._put_back(dev, {texts[path]: data for path, data in held.items()})

    def _put_back(self, clone: Path, held: Mapping[Path, bytes]) -> None:
        """Undo what was edited; git then looks at the files, so that no later line pays for it."""
        for file, data in held.items():
            file.write_bytes(data)
        self.place.git(clone, "update-index", "-q", "--refresh")

    def _submit(self) -> Row:
        place, number = self.place, 7
        dev = place.clone("dev-1", checkout=True)
        file = dev / job_path(number)
        held = file.read_bytes()
        edited = _edited(held)
        words = ["submit", str(job_key(number)), "-m", "Change one"]

        def edit() -> None:
            file.write_bytes(edited)

        edit()
        found = self._beside_a_push(dev, words, "refs/heads/submit/", also=edit)
        self._put_back(dev, {file: held})
        return _row("submit of one job", "git fetch, git push of one commit", found, Limit(plus=0.45))

    def _release(self, dev: Path) -> Row:
        words = ["release", "--all", "--name", "many_at_once", "-m", "Many at once"]
        found = self._beside_a_push(dev, words, "refs/heads/package/")
        return _row(f"release of {MANY} tasks", "git fetch, git push of one commit", found, Limit(plus=1.5))

    def _beside_a_push(
        self, clone: Path, words: Sequence[str], prefix: str, *, also: Callable[[], object] = lambda: None
    ) -> Measured:
        """Measure a verb beside fetching, and pushing the one commit that the verb made, with plain git."""
        place = self.place
        server, mine = place.picture(place.server), place.picture(clone)
        old = _refs(place, place.server)
        place.verb(clone, *words)
        ((ref, commit),) = [
            pair for pair in _refs(place, place.server).items() - old.items() if pair[0].startswith(prefix)
        ]
        server.restore()
        mine.restore(objects=False)
        made = place.picture(clone)  # the prepared commit is kept in the clone

        def back() -> None:
            server.restore()
            made.restore()
            also()

        def plain() -> None:
            place.git(clone, "fetch", "--quiet", "--prune")
            place.git(clone, "push", "--quiet", "origin", f"{commit}:{ref}")

        return self.measure(plain, lambda: place.verb(clone, *words), before=back)

    def _sync(self, dev: Path) -> Row:
        """Measure a sync beside the very fetches and pushes that it makes, done by git alone."""
        place = self.place
        place.verb(dev, "release", "--all", "--name", "many_at_once", "-m", "Many at once")
        place.verb(place.clone("dep-1"), "package", "approve", "many_at_once")
        runner = place.clone("sync")
        server, mine = place.picture(place.server), place.picture(runner)
        root = {"GITRELEASE_ROOT": place.grown.root}
        commands = [
            command
            for command in place.watched(runner, "sync", extra=root)
            if {"fetch", "push"} & set(command)
        ]
        server.restore()
        mine.restore(objects=False)
        made = place.picture(runner)

        def back() -> None:
            server.restore()
            made.restore()

        def plain() -> None:
            for command in commands:
                place.run(command, runner)

        found = self.measure(plain, lambda: place.verb(runner, "sync", extra=root), before=back)
        fetches = sum("fetch" in command for command in commands)
        yardstick = f"its {fetches} fetches and {len(commands) - fetches} pushes"
        return _row(f"sync of {MANY} items", yardstick, found, Limit(plus=2.0))

    def compare(self) -> Iterator[Row | Skipped]:
        """Compare two releases that are neighbours."""
        place, clone = self.place, self.place.clone("sync")
        one, other = place.grown.packages[-2:]
        found = self.measure(
            lambda: place.git(clone, "diff", f"refs/tags/release/{one}", f"refs/tags/release/{other}"),
            lambda: place.verb(clone, "compare", one, other),
        )
        yield _row("compare of two neighbours", "git diff of the two tags", found, Limit(plus=0.35))

    def stat(self) -> Iterator[Row | Skipped]:
        """Compare the first release and the last."""
        place, clone = self.place, self.place.clone("sync")
        one, other = place.grown.packages[0], place.grown.packages[-1]
        tags = [f"refs/tags/release/{name}" for name in (one, other)]
        found = self.measure(
            lambda: place.git(clone, "diff", "--stat", *tags),
            lambda: place.verb(clone, "compare", one, other, "--stat"),
        )
        yield _row("compare --stat of first and last", "git diff --stat", found, Limit(times=2.0))

    def packages(self) -> Iterator[Row | Skipped]:
        """List packages."""
        place, clone = self.place, self.place.clone("sync")
        shown = "--format=%(refname) %(objectname) %(contents)"
        words = ["--applicant", "dev-2", "--status", "successful", "--released-since", "2026-06-01"]
        found = self.measure(
            lambda: place.git(clone, "for-each-ref", shown, "refs/tags/release/"),
            lambda: place.verb(clone, "package", "list", *words, "--name", "revenue"),
        )
        yield _row("package list with filters", "git for-each-ref with contents", found, Limit(plus=0.5))

    def status(self) -> Iterator[Row | Skipped]:
        """Look at how production stands, with nothing to do."""
        place, clone = self.place, self.place.clone("dev-1", checkout=True)
        found = self.measure(
            lambda: place.git(clone, "diff", "--raw", "origin/main", "origin/production"),
            lambda: place.verb(clone, "status"),
        )
        yield _row("status, all in line", "git diff --raw main production", found, Limit(plus=0.5))

    def check(self) -> Iterator[Row | Skipped]:
        """Check many jobs, cold and then once more."""
        place, clone = self.place, self.place.clone("dev-1", checkout=True)
        count = min(CHECKED, place.grown.jobs)
        areas = list(dict.fromkeys("/".join(job_path(number).split("/")[:2]) for number in range(count)))
        name = f"check of {count} jobs"
        again = self.measure(lambda: None, lambda: place.verb(clone, "check", *areas))
        yield _row(f"{name}, nothing changed", "", again, Limit(times=0, plus=0.7))
        other = shutil.which("check-jsonschema")
        if other is None:
            why = "check-jsonschema is not on PATH: pip install check-jsonschema"
            yield Skipped(verb=f"{name}, cold", why=why)
            return
        schema = ROOT / "schemas" / "job.schema.json"
        schema = schema if schema.is_file() else ROOT / "gitrelease" / "_schemas" / "job.schema.json"
        paths = [job_path(number) for number in range(count)]
        cold = self.measure(
            lambda: place.run([other, "--schemafile", str(schema), *paths], clone),
            lambda: place.verb(clone, "check", *areas),
            before=lambda: shutil.rmtree(clone / ".git" / "gitrelease", ignore_errors=True),
            warm=False,
        )
        yield _row(f"{name}, cold", "check-jsonschema", cold, Limit(times=1 / 8))

    def verify(self) -> Iterator[Row | Skipped]:
        """Verify the whole past."""
        place, clone = self.place, self.place.clone("sync")
        found = self.measure(
            lambda: place.git(clone, "rev-list", "--objects", "--all"),
            lambda: place.verb(clone, "verify", extra={"GITRELEASE_ROOT": place.grown.root}),
        )
        name = f"verify of {place.grown.releases} packages" + (", signed" if place.grown.signed else "")
        yield _row(name, "git rev-list --objects", found, Limit(times=0, plus=10.0))


def rows(bench: Bench, only: frozenset[str]) -> Iterator[Row | Skipped]:
    """Measure all that was asked for; nothing asked for is everything."""

    def wanted(name: str) -> bool:
        return not only or name in only

    if wanted("version"):
        yield from bench.version()
    yield from bench.changes(wanted)
    for name in ("compare", "stat", "packages", "status", "check", "verify"):
        if wanted(name):
            yield from getattr(bench, name)()


NAMES = ("version", "submit", "release", "sync", "compare", "stat", "packages", "status", "check", "verify")


def _row(verb: str, yardstick: str, found: Measured, limit: Limit) -> Row:
    return Row(
        verb=verb,
        yardstick=yardstick,
        of_yardstick=found.yardstick,
        of_verb=found.verb,
        limit=limit,
        runs=found.runs,
    )


def _edited(text: bytes) -> bytes:
    """Change a job as somebody would who works on it."""
    return text.replace(b"maxExecutionTime: 60", b"maxExecutionTime: 45")


def _refs(place: Place, repository: Path) -> dict[str, str]:
    out = place.git(repository, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/")
    return {name: id_ for name, _, id_ in (line.partition(" ") for line in out.decode().splitlines())}


__all__ = ["NAMES", "Bench", "Limit", "Row", "Skipped", "rows"]
