"""Kill a run of gitrelease before or after any of its effects, as the kernel would: SIGKILL, no goodbye.

Or let somebody else do something at that very moment, and the run go on.

An effect is what somebody else can see afterwards: a git command that moves refs or the index, here or on the
server, and a file that is renamed into place. They are counted where they happen: git is found through a
wrapper on PATH, and renames through a start-up module of Python. Nothing of ours is patched.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EFFECTS = (
    "push",
    "fetch",
    "update-ref",
    "symbolic-ref",
    "update-index",
    "read-tree",
    "merge",
    "config",
    "init",
)

_WRAPPER = r"""#!/bin/sh
# Runs git, and counts what moves something; kills whoever called at the effect that is asked for.
effect=
for word in "$@"; do
  case "$word" in
    @EFFECTS@) effect=$word; break ;;
    -c|-C) continue ;;
    -*|*=*) continue ;;
    *) break ;;
  esac
done
if [ "$effect" = config ]; then
  case " $* " in *" --get "*|*" --get-all "*|*" --list "*|*" -l "*) effect= ;; esac
fi
if [ -z "$effect" ]; then exec "$REAL_GIT" "$@"; fi
echo "$effect" >> "$KILL_LOG"
number=$(wc -l < "$KILL_LOG")
reached() {
  if [ -n "$KILL_ELSE" ]; then "$KILL_ELSE" < /dev/null; else kill -KILL "$PPID"; exit 1; fi
}
if [ "$KILL_AT" = "$number before" ]; then reached; fi
"$REAL_GIT" "$@"
code=$?
if [ "$KILL_AT" = "$number after" ]; then reached; fi
exit $code
"""

_STARTUP = '''"""Counts renames, and kills this process at the one that is asked for."""
import os, signal, subprocess

def reached():
    if other := os.environ.get("KILL_ELSE"):
        subprocess.run([other], stdin=subprocess.DEVNULL)
    else:
        os.kill(os.getpid(), signal.SIGKILL)

def counted(real):
    def rename(*args, **kwargs):
        with open(os.environ["KILL_LOG"], "a+") as log:
            log.write("rename\\n")
            log.flush()
            log.seek(0)
            number = len(log.readlines())
        if os.environ["KILL_AT"] == f"{number} before":
            reached()
        real(*args, **kwargs)
        if os.environ["KILL_AT"] == f"{number} after":
            reached()
    return rename

if "KILL_LOG" in os.environ:
    os.replace, os.rename = counted(os.replace), counted(os.rename)
'''


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str
    effects: tuple[str, ...]

    @property
    def was_killed(self) -> bool:
        """Whether the run was killed where it was asked for."""
        return self.code == -signal.SIGKILL


@dataclass(kw_only=True)
class Watch:
    """Counts effects that are seen elsewhere than on this machine, and kills the run at the one that is asked for."""

    log: Path
    at: str
    meanwhile: Path | None = None
    """What is run instead of killing; nothing it does is counted."""
    pid: int = 0
    is_elsewhere: bool = False

    def kills_before(self, effect: str) -> bool:
        """Count an effect that is about to happen; say whether it does not, as nobody is there to ask for it."""
        if self.is_elsewhere:
            return False
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"{effect}\n")
        return self._kills("before")

    def kills_after(self) -> bool:
        """Say whether nobody is told any more of the effect that was counted last."""
        return self._kills("after")

    def _kills(self, when: str) -> bool:
        number = len(self.log.read_text(encoding="utf-8").splitlines())
        if self.is_elsewhere or self.at != f"{number} {when}":
            return False
        if self.meanwhile is not None:
            self.is_elsewhere = True
            subprocess.run([str(self.meanwhile)], stdin=subprocess.DEVNULL, check=False)
            self.is_elsewhere = False
            return False
        os.kill(self.pid, signal.SIGKILL)
        return True


@dataclass(frozen=True, kw_only=True)
class Killer:
    """Runs the command line, and kills it where one says."""

    folder: Path

    def __post_init__(self) -> None:
        """Write the wrapper of git and the start-up module."""
        real = shutil.which("git")
        assert real is not None
        tools = self.folder / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        wrapper = tools / "git"
        wrapper.write_text(_WRAPPER.replace("@EFFECTS@", "|".join(EFFECTS)), encoding="utf-8")
        wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
        (tools / "sitecustomize.py").write_text(_STARTUP, encoding="utf-8")

    def run(
        self,
        words: Sequence[str],
        *,
        where: Path,
        environ: Mapping[str, str],
        at: str = "never",
        watched: Callable[[Watch], object] = lambda watch: None,
        meanwhile: Path | None = None,
    ) -> Ended:
        """Run `gitrelease` with these words; `at` is the number of an effect and `before` or `after`.

        `watched` is told who counts, where there are effects that are seen elsewhere. With `meanwhile` the run is
        not killed: it waits for that program to end, and goes on.
        """
        tools = self.folder / "tools"
        log = self.folder / f"effects-{os.urandom(6).hex()}"
        log.touch()
        env = dict(environ) | {
            "REAL_GIT": str(shutil.which("git")),
            "PATH": f"{tools}{os.pathsep}{environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(tools), str(Path(__file__).parent.parent.parent)]),
            "KILL_LOG": str(log),
            "KILL_AT": at,
            "KILL_ELSE": str(meanwhile or ""),
        }
        watch = Watch(log=log, at=at, meanwhile=meanwhile)
        watched(watch)
        with subprocess.Popen(
            [sys.executable, "-m", "gitrelease", *words],
            cwd=where,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running:
            watch.pid = running.pid
            out, err = running.communicate(timeout=120)
        effects = tuple(log.read_text(encoding="utf-8").split())
        log.unlink()
        return Ended(code=running.returncode, out=out, err=err, effects=effects)
