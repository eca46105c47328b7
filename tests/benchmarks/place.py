"""Where verbs are measured: the server, people's clones, and the way back to how everything was before a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import gitrelease
from tests.benchmarks.growing import Grown

ROOT = Path(gitrelease.__file__).parent.parent
LONGEST = 1800
"""Seconds after which a run is given up."""

_LET_IN = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")


class WentWrong(Exception):
    """A command that is measured did not do what it is measured for."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a repository held at one moment: its refs, and which files its objects lay in."""

    git_dir: Path
    refs: Path
    objects: frozenset[str]

    def restore(self, *, objects: bool = True) -> None:
        """Bring the repository back to that moment; without `objects`, what was added to the store stays."""
        shutil.rmtree(self.git_dir / "refs")
        shutil.copytree(self.refs / "refs", self.git_dir / "refs")
        shutil.copyfile(self.refs / "packed-refs", self.git_dir / "packed-refs")
        if objects:
            for name in _objects(self.git_dir) - self.objects:
                (self.git_dir / "objects" / name).unlink()


def _objects(git_dir: Path) -> set[str]:
    top = git_dir / "objects"
    return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


@dataclass(kw_only=True)
class Place:
    """A grown repository with clones of it."""

    folder: Path
    grown: Grown
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        (home / "gitconfig").touch()
        self.environ = {name: os.environ[name] for name in _LET_IN if name in os.environ} | {
            "HOME": str(home),
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            "TZ": "UTC",
            "PYTHONPATH": str(ROOT),
        }

    @property
    def server(self) -> Path:
        """The bare repository that everybody shares."""
        return Path(self.grown.server)

    def clone(self, who: str, *, checkout: bool = False) -> Path:
        """Give somebody a clone, or the one they have; the trust root is known in it."""
        path = self.folder / who
        if not path.is_dir():
            # A clone on one disk shares the objects' files, so it costs nothing.
            how = [] if checkout else ["--no-checkout"]
            self.git(self.folder, "clone", "--quiet", "--local", *how, str(self.server), str(path))
            settings = {
                "user.name": who,
                "user.email": f"{who}@example.org",
                "gitrelease.root": self.grown.root,
            }
            if who in self.grown.keys:
                settings |= {"gpg.format": "ssh", "user.signingKey": self.grown.keys[who]}
            for key, value in settings.items():
                self.git(path, "config", key, value)
            self.git(path, "fetch", "--quiet")
            self.git(path, "pack-refs", "--all")
            # A first look notes what the branches hold.
            self.verb(path, "package", "view", self.grown.packages[-1])
        return path

    def picture(self, repository: Path) -> Picture:
        """Note what a repository holds, so that it can be brought back."""
        git_dir = repository / ".git" if (repository / ".git").is_dir() else repository
        kept = Path(mkdtemp(prefix="picture-", dir=self.folder))
        shutil.copytree(git_dir / "refs", kept / "refs")
        shutil.copyfile(git_dir / "packed-refs", kept / "packed-refs")
        return Picture(git_dir=git_dir, refs=kept, objects=frozenset(_objects(git_dir)))

    # Running.

    def run(
        self,
        words: Sequence[str],
        where: Path,
        *,
        accept: Sequence[int] = (0,),
        extra: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run a program to its end."""
        ran = subprocess.run(
            list(words),
            cwd=where,
            env={**self.environ, **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=LONGEST,
        )
        if ran.returncode not in accept:
            said = (ran.stderr or ran.stdout).decode(errors="replace")[-1500:]
            raise WentWrong(f"{' '.join(words[:6])} ended with {ran.returncode}: {said}")
        return ran.stdout

    def git(self, where: Path, *words: str) -> bytes:
        """Run git."""
        return self.run(["git", *words], where)

    def verb(
        self,
        where: Path,
        *words: str,
        accept: Sequence[int] = (0,),
        extra: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run gitrelease, as a process of its own."""
        return self.run([sys.executable, "-m", "gitrelease", *words], where, accept=accept, extra=extra)

    def watched(self, where: Path, *words: str, extra: Mapping[str, str] | None = None) -> list[list[str]]:
        """Run gitrelease, and give every command of git that it started, as it was started."""
        tools, log = self.folder / "tools", self.folder / "started"
        tools.mkdir(exist_ok=True)
        log.unlink(missing_ok=True)
        real = shutil.which("git", path=self.environ["PATH"])
        # One record per command: its words with a NUL after each, and one more at the end.
        script = f"#!/bin/sh\n{{ printf '%s\\0' '{real}' \"$@\"; printf '\\0'; }} >> '{log}'\nexec '{real}' \"$@\"\n"
        (tools / "git").write_text(script, encoding="utf-8")
        (tools / "git").chmod(0o755)
        path = f"{tools}{os.pathsep}{self.environ['PATH']}"
        self.verb(where, *words, extra={**(extra or {}), "PATH": path})
        records = log.read_text(encoding="utf-8").split("\0\0")
        return [record.split("\0") for record in records if record]
