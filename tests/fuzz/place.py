"""A place to be attacked: a shop in the middle of its life, hands that write anything into its server, and eyes.

Names are believed here, as signatures are off: what is written gets as far as it can.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from gitrelease.cli import main
from gitrelease.errors import Exit
from tests.fuzz.fair import assert_clean, ending
from tests.fuzz.seeds import ASKED
from tests.kit.git import Bench, Clone, KeyRing
from tests.kit.shop import FIRST_ITEMS, job_yaml, open_shop

WHO = b"mal <mal@example.org> 1795262400 +0000"
OPEN, TURNED_DOWN = "open", "turned-down"
CODES = frozenset(Exit) - {Exit.DEFECT}

LOOKS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("view-1", ("status",)),
    ("view-1", ("task", "list", "--json")),
    ("view-1", ("package", "list")),
    ("view-1", ("verify",)),
    ("sync", ("sync", "--dry-run")),
)
"""Who looks in which way at what was done to the server, where somebody asked for more."""
FEW = tuple(look for look in LOOKS if look[1][0] in {"status", "sync"})


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a command ended with."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """A shop as it was left: a server, and clones that are copied before anybody looks."""

    folder: Path
    server: Clone
    root: str
    environ: Mapping[str, str]

    # Hands.

    def blob(self, data: bytes) -> str:
        """Store bytes."""
        return self.server.git("hash-object", "-w", "--stdin", stdin=data)

    def tree(self, base: str, files: Mapping[str, bytes | None]) -> str:
        """Store a tree that holds files beside, or instead of, what another holds."""
        index = {**self.server.environ, "GIT_INDEX_FILE": str(self.folder / "index")}
        here = Clone(path=self.server.path, environ=index, clock=self.server.clock)
        here.git("read-tree", base)
        lines = [
            f"0 {'0' * 40}\t{path}" if data is None else f"100644 {self.blob(data)}\t{path}"
            for path, data in files.items()
        ]
        here.git("update-index", "-z", "--index-info", stdin="".join(f"{line}\0" for line in lines))
        return here.git("write-tree")

    def commit(self, tree: str, parents: Sequence[str], message: bytes, *, who: bytes = WHO) -> str:
        """Store a commit, with any message by anybody."""
        lines = [b"tree " + tree.encode(), *(b"parent " + parent.encode() for parent in parents)]
        return self.server.raw_commit(
            b"\n".join([*lines, b"author " + who, b"committer " + who, b"", message])
        )

    def onto(self, branch: str, files: Mapping[str, bytes | None], message: bytes) -> str:
        """Store a commit on top of a branch."""
        tip = self.server.tip(f"refs/heads/{branch}")
        return self.commit(self.tree(tip, files), [tip], message)

    def move(self, refs: Mapping[str, str]) -> None:
        """Set refs, whatever they were; git refuses those that are none."""
        for ref, id_ in refs.items():
            self.server.git("update-ref", ref, id_, check=False)

    def refs(self) -> dict[str, str]:
        """List all refs of the server, one to a line and nothing else that could be an end of a line."""
        lines = self.server.git("for-each-ref", "--format=%(refname) %(objectname)").split("\n")
        return {name: id_ for name, _, id_ in (line.partition(" ") for line in lines if line)}

    def legal(self, ref: str) -> bool:
        """Ask git whether there may be such a ref."""
        if "\0" in ref:
            return False
        said = self.server.git("check-ref-format", ref, check=False) or "yes"
        made = self.server.git("update-ref", ref, self.server.tip("refs/heads/main"), check=False)
        return said == "yes" and not made

    # Eyes.

    @contextmanager
    def attacked(self) -> Iterator[Eyes]:
        """Let somebody do anything to the server, look at it from fresh clones, and put all back."""
        before = self.refs()
        there = self.folder / "eyes"
        shutil.copytree(self.folder / "clones", there, symlinks=True)
        try:
            yield Eyes(place=self, folder=there)
        finally:
            shutil.rmtree(there)
            lines = [f"delete {ref}" for ref in self.refs() if ref not in before]
            lines += [f"update {ref} {id_}" for ref, id_ in before.items()]
            self.server.git(
                "update-ref", "--stdin", stdin="\n".join([*lines, ""]).encode(errors="surrogateescape")
            )


@dataclass(frozen=True, kw_only=True)
class Eyes:
    """Clones that have not seen yet what was done to the server."""

    place: Place
    folder: Path

    def look(self, who: str, *words: str, moves: bool = False) -> Seen:
        """Type a command, and hold it to what holds for every input; only some are meant to move refs."""
        env = {
            **self.place.environ,
            "GITRELEASE_ROOT": self.place.root,
            "TZ": "GMT-14",
        }  # fourteen hours ahead
        refs, files = self.place.refs(), self._files(who)
        code: object = None
        with ending(), CliRunner().isolation(env=env) as streams:
            time.tzset()
            try:
                main(["-C", str(self.folder / who), *words])
            except SystemExit as ended:
                code = ended.code
        time.tzset()
        out, err = (stream.getvalue().decode() for stream in streams[:2])
        assert code in CODES, f"{words} ended with {code}:\n{err[-3000:]}"
        assert isinstance(code, int)
        assert "Traceback" not in out + err, f"{words}:\n{(out + err)[-3000:]}"
        assert_clean(out)
        assert_clean(err)
        assert moves or self.place.refs() == refs, f"{words} moved refs of the server"
        assert self._files(who) == files, f"{words} changed working files"
        return Seen(words=words, code=code, out=out, err=err)

    def look_around(self, *more: tuple[str, ...], named: Sequence[str]) -> None:
        """Look in every way, and see that whoever refuses says what it was about."""
        for who, words in (*(LOOKS if ASKED else FEW), *(("dev-1", words) for words in more)):
            seen = self.look(who, *words)
            if seen.err:
                assert any(name in seen.err + seen.out for name in named), (
                    f"{seen.words} names none of {named}: {seen.err[:600]}"
                )

    def _files(self, who: str) -> dict[str, bytes]:
        top = self.folder / who
        return {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file() and ".git" not in path.relative_to(top).parts
        }


def build(folder: Path, keys: KeyRing) -> Place:
    """Live through a release, a rejection and a submit, and leave a package and a task open."""
    shop = open_shop(Bench(folder=folder, keys=keys), FIRST_ITEMS, signatures="off", auto_merge=False)
    shop.person("sync").sync()
    author, reviewer = shop.person("dev-1"), shop.person("dep-1")

    def propose(item: str, name: str) -> None:
        author.write({f"jobs/sales/{item}.job.yaml": job_yaml(item)})
        author.submit(item)
        author.release(item, name=name)

    propose("first", "released")
    reviewer.approve("released")
    reviewer.merge("released")
    shop.person("sync").sync()
    propose("second", TURNED_DOWN)
    reviewer.reject(TURNED_DOWN)
    propose("third", OPEN)
    reviewer.approve(OPEN, "looks right")
    author.write({"jobs/sales/fourth.job.yaml": job_yaml("fourth")})
    author.submit("fourth")
    shop.close()
    shop.server.git("repack", "-adq")
    for person in shop.people.values():
        shutil.rmtree(person.clone.path)  # who only looks has not been here before
    shop.people.clear()
    clones = folder / "clones"
    clones.mkdir()
    for who in ("view-1", "sync", "dep-1", "dev-1"):
        clone = shop.person(who).clone
        shutil.move(clone.path, clones / who)
    return Place(folder=folder, server=shop.server, root=shop.root, environ=shop.bench.environ)
