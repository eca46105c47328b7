"""The one place that starts git: a fixed argument list, a clean environment, and no prose read back."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum
from pathlib import Path
from typing import IO

from gitrelease.core.values import frozen
from gitrelease.repo.values import GitFailed, GitUnusable, plain

OLDEST = (2, 38)
"""`merge-tree --write-tree` and `cat-file -z` are that old."""

_PIPE_HOLDS = 64 * 1024
"""What is read of a pipe at once: all that it has room for."""

_VERSION = re.compile(rb"git version (\d+)\.(\d+)")

# Given with every command, so that no configuration file decides whether a program is started.
_ALWAYS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "color.ui=false",
    "advice.graftFileDeprecated=false",  # GIT_GRAFT_FILE below is nobody's choice
    "gc.auto=0",
    "maintenance.auto=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "log.showSignature=false",
    "format.pretty=medium",  # a clone may name one that only the user's own configuration defines
)
# Reading needs no network, and must not start one for a missing object of a partial clone.
_SEALED = ("protocol.allow=never", "core.attributesFile=/dev/null")
# A server that says nothing at all for two minutes is gone; git itself would wait for ever. Hooks of a server do not
# count, because it says every few seconds that they still run. GIT_HTTP_LOW_SPEED_TIME sets another time.
_NETWORK = ("http.lowSpeedLimit=1", "http.lowSpeedTime=120")

# What a person or a CI job sets for git on purpose. Everything else that starts with GIT_ describes the
# repository of whoever called us, for instance of a hook, and would point git somewhere else.
_KEPT_FOR_USER = re.compile(
    r"GIT_(ASKPASS|SSH|SSH_COMMAND|SSH_VARIANT|PROXY_SSL_\w+|SSL_\w+|HTTP_\w+|PROTOCOL\w*|EXEC_PATH|TERMINAL_PROMPT"
    r"|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|CONFIG_COUNT|CONFIG_KEY_\d+|CONFIG_VALUE_\d+"
    r"|(AUTHOR|COMMITTER)_(NAME|EMAIL))"
)
_KEPT_ALWAYS = frozenset({"GIT_EXEC_PATH"})
# A server's hook finds the objects of a push only through these.
_QUARANTINE = frozenset({"GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"})


class Config(Enum):
    """Whose configuration a command reads, besides the repository's own."""

    SEALED = "sealed"
    """Nobody's: what is read is the same for everyone."""
    USER = "user"
    """The user's and the machine's: for credentials, proxies, identity and keys."""


@frozen
class Ran:
    """How a command ended."""

    exit: int
    out: bytes
    err: str = field(repr=False)


def environment(
    environ: Mapping[str, str], config: Config, *, quarantine: bool = False, prompt: bool = False
) -> dict[str, str]:
    """Give the environment that git gets: the caller's, without what would point git elsewhere."""
    clean = {
        name: value
        for name, value in environ.items()
        if not name.startswith("GIT_")
        or name in _KEPT_ALWAYS
        or (quarantine and name in _QUARANTINE)
        or (config is Config.USER and _KEPT_FOR_USER.fullmatch(name))
    }
    clean |= {"LC_ALL": "C", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    clean |= {"GIT_GRAFT_FILE": "/dev/null", "GIT_EDITOR": "false", "GIT_PAGER": "cat"}
    if config is Config.SEALED:
        clean |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_NO_LAZY_FETCH": "1"}
        clean |= {"GIT_LITERAL_PATHSPECS": "1", "GIT_ATTR_NOSYSTEM": "1"}
    if not prompt:
        clean["GIT_TERMINAL_PROMPT"] = "0"
    return clean


def _start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    err: int,
) -> subprocess.Popen[bytes]:
    """Start a process; the only place of gitrelease that starts git."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        list(argv), env=dict(env), cwd=cwd, bufsize=_PIPE_HOLDS, stdin=pipe, stdout=pipe, stderr=err
    )


@frozen
class GitDir:
    """Where a repository lies."""

    git_dir: Path
    common_dir: Path
    worktree: Path | None


class Git:
    """git, for one repository or, without a place, for the folder it is started in."""

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        place: GitDir | None = None,
        quarantine: bool = False,
        prompt: bool = False,
    ) -> None:
        self._environ = dict(environ)
        self._quarantine = quarantine
        self._prompt = prompt
        self._place = place
        program = shutil.which("git", path=environ.get("PATH"))
        if program is None:
            raise GitUnusable("git is not installed, or not on PATH", hint="install git 2.38 or newer")
        self._program = program

    def check_version(self) -> None:
        """Refuse a git that lacks what the rest relies on."""
        ran = self.run("version", cwd=Path.cwd())
        found = _VERSION.match(ran.out)
        if found is None or (int(found[1]), int(found[2])) < OLDEST:
            said = plain(ran.out.decode(errors="replace"))
            raise GitUnusable(f"{said!r} is too old", hint="install git 2.38 or newer")

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        config: Config = Config.SEALED,
        settings: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        in_worktree: bool = False,
        cwd: Path | None = None,
        accept: Sequence[int] = (0,),
    ) -> Ran:
        """Run one git command to its end; raise `GitFailed` when its exit code is not one of `accept`.

        `settings` are configuration for this command only, `extra` are variables of its environment.
        """
        env = environment(self._environ, config, quarantine=self._quarantine, prompt=self._prompt)
        argv = self._argv(args, config=config, settings=settings, in_worktree=in_worktree)
        where = cwd or self._cwd(in_worktree=in_worktree)
        with _start(argv, env=env | dict(extra or {}), cwd=where, err=subprocess.PIPE) as process:
            out, err = process.communicate(stdin)
        ran = Ran(exit=process.returncode, out=out, err=plain(err.decode(errors="replace")))
        if ran.exit not in accept:
            raise GitFailed(f"git {args[0]} failed with exit code {ran.exit}: {ran.err or 'it said nothing'}")
        return ran

    def run_beside(self, program: str, *args: str, stdin: bytes = b"") -> Ran:
        """Run a program that git works with, such as ssh-keygen, in the environment that git gets."""
        env = environment(self._environ, Config.SEALED)
        with _start(
            [program, *args], env=env, cwd=self._cwd(in_worktree=False), err=subprocess.PIPE
        ) as process:
            out, err = process.communicate(stdin)
        return Ran(exit=process.returncode, out=out, err=plain(err.decode(errors="replace")))

    def start(self, *args: str) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
        """Start a git command that stays, with its standard input and output."""
        env = environment(self._environ, Config.SEALED, quarantine=self._quarantine)
        argv = self._argv(args, config=Config.SEALED, settings=(), in_worktree=False)
        process = _start(argv, env=env, cwd=self._cwd(in_worktree=False), err=subprocess.DEVNULL)
        if process.stdin is None or process.stdout is None:  # pragma: no cover - both are pipes
            raise GitFailed(f"git {args[0]} has no standard input or output")
        return process, process.stdin, process.stdout

    def _argv(
        self, args: Sequence[str], *, config: Config, settings: Sequence[str], in_worktree: bool
    ) -> list[str]:
        argv = [self._program]
        if self._place is not None:
            argv.append(f"--git-dir={self._place.git_dir}")
            if in_worktree and self._place.worktree is not None:
                argv.append(f"--work-tree={self._place.worktree}")
        always = _ALWAYS + (_SEALED if config is Config.SEALED else _NETWORK)
        for setting in (*always, *settings):
            argv += ["-c", setting]
        return [*argv, *args]

    def _cwd(self, *, in_worktree: bool) -> Path:
        if self._place is None:
            return Path.cwd()
        if in_worktree and self._place.worktree is not None:
            return self._place.worktree
        # Not the working tree: a .gitattributes in it must not speak into what is read from objects.
        return self._place.git_dir
