"""A sealed bench: a shared repository, people with clones, identities and keys, and nothing of this machine.

Nothing here uses gitrelease: what tests compare with is what git itself did.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

FSYNC = "none"
"""No test pulls the plug, and waiting for disks is slow."""

# Only these come in from outside: what is needed to find and start programs.
_LET_IN = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "TEMP", "TMP", "TMPDIR")


class Clock:
    """The time on the bench: it moves when it is told to, and each look is a second later."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def __call__(self) -> datetime:
        """Say what time it is; no two answers are the same."""
        self._now += timedelta(seconds=1)
        return self._now

    @property
    def last(self) -> datetime:
        """The last time it gave."""
        return self._now

    def forward(self, **by: float) -> datetime:
        """Let time pass: `clock.forward(hours=2)`."""
        self._now += timedelta(**by)
        return self._now


@dataclass(frozen=True, kw_only=True)
class SshKey:
    """A key pair made by ssh-keygen."""

    path: Path
    public: str

    def allowed(self, principal: str) -> str:
        """Write the line of an allowed-signers file that trusts this key for commits."""
        return f'{principal} namespaces="git" {self.public}\n'


class KeyRing:
    """Makes keys once per test session, and hands the same one out for the same name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._keys: dict[str, SshKey] = {}

    def __call__(self, name: str) -> SshKey:
        """Give the key of a name; skip the test where there is no ssh-keygen."""
        if name not in self._keys:
            program = shutil.which("ssh-keygen")
            if program is None:
                pytest.skip("ssh-keygen is not installed, so nothing can be signed")
            path = self.folder / name
            command = [program, "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
            subprocess.run(command, check=True, capture_output=True)
            public = " ".join(path.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])
            self._keys[name] = SshKey(path=path, public=public)
        return self._keys[name]


@dataclass
class Clone:
    """A repository that somebody works in with raw git."""

    path: Path
    environ: Mapping[str, str]
    clock: Clock

    def git(self, *args: str, stdin: str | bytes = b"", check: bool = True) -> str:
        """Run git here, and give what it printed, without the last newline."""
        data = stdin.encode() if isinstance(stdin, str) else stdin
        at = f"@{int(self.clock().timestamp())} +0000"
        env = {**self.environ, "GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        ran = subprocess.run(
            ["git", *args], cwd=self.path, env=env, input=data, capture_output=True, check=False
        )
        if check and ran.returncode != 0:
            raise AssertionError(f"git {' '.join(args)}: {ran.stderr.decode(errors='replace')}")
        return ran.stdout.decode(errors="surrogateescape").removesuffix("\n")

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write working files; `None` removes one."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change", *options: str) -> str:
        """Commit files on the branch that is checked out, and give the commit's id."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, *options)
        return self.tip()

    def tip(self, name: str = "HEAD") -> str:
        """Give the id that a name stands for."""
        return self.git("rev-parse", "--verify", name)

    def push(self, *refspecs: str, force: bool = False) -> None:
        """Push with raw git; the branch that is checked out if nothing is named."""
        self.git("push", "--quiet", *(["--force"] if force else []), "origin", *(refspecs or ("HEAD",)))

    def refs(self) -> dict[str, str]:
        """List all refs of this repository."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return {name: id_ for name, _, id_ in (line.partition(" ") for line in lines)}

    def raw_tree(self, entries: Sequence[tuple[str, str, bytes]]) -> str:
        """Store a tree of any names and modes: (mode, id, name), in git's order."""
        data = b"".join(
            f"{int(mode, 8):o} ".encode() + name + b"\0" + bytes.fromhex(id_) for mode, id_, name in entries
        )
        return self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data)

    def raw_commit(self, data: str | bytes) -> str:
        """Store a commit object as it is written, however wrong."""
        return self.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=data)


@dataclass
class Bench:
    """A shared bare repository and people's clones of it; home, identity and time are sealed."""

    folder: Path
    keys: KeyRing
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir()
        (self.home / "gitconfig").touch()

    @property
    def environ(self) -> dict[str, str]:
        """Give the environment of everything that runs on the bench."""
        let_in = {name: os.environ[name] for name in _LET_IN if name in os.environ}
        return let_in | {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "GIT_CONFIG_GLOBAL": str(self.home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            "TZ": "UTC",
        }

    def server(self, name: str = "server.git") -> Clone:
        """Make a bare repository."""
        path = self.folder / name
        path.mkdir()
        made = Clone(path=path, environ=self.environ, clock=self.clock)
        made.git("init", "--quiet", "--bare", "--initial-branch=main", "--template=")
        (path / "hooks").mkdir()
        with (path / "config").open("a", encoding="utf-8") as config:
            config.write(
                f"[core]\n\tfsync = {FSYNC}\n[user]\n\tname = server\n\temail = server@example.org\n"
            )
        return made

    def clone(self, server: Clone, person: str, *, signing: bool = False) -> Clone:
        """Make a person's clone, with their name and address and, if signing, their key."""
        here = Clone(path=self.folder, environ=self.environ, clock=self.clock)
        settings = {"core.fsync": FSYNC, "user.name": person, "user.email": f"{person}@example.org"}
        if signing:
            settings |= {"gpg.format": "ssh", "user.signingKey": str(self.keys(person).path)}
        options = (word for name, value in settings.items() for word in ("--config", f"{name}={value}"))
        here.git("clone", "--quiet", "--template=", *options, str(server.path), person)
        made = Clone(path=self.folder / person, environ=self.environ, clock=self.clock)
        if (made.path / ".git" / "HEAD").read_text(encoding="utf-8") != "ref: refs/heads/main\n":
            made.git("symbolic-ref", "HEAD", "refs/heads/main")
        return made

    def hook(self, server: Clone, name: str, script: str) -> None:
        """Give the shared repository a hook."""
        path = server.path / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8", newline="\n")
        path.chmod(0o755)
