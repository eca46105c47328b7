"""Git as the server uses it: one bare repository, asked by full object ids, changed by real git alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

HOOK = Path(__file__).with_name("update-hook.sh")


def environ() -> dict[str, str]:
    """Give the environment of every git that the server runs: nothing of this machine."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
        "TZ": "UTC",
    }


class GitFailedError(Exception):
    """Git said no where the server did not expect it."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Whose name stands in a commit, and when."""

    name: str
    email: str
    at: datetime

    def fields(self, role: str) -> dict[str, str]:
        """Say it to git."""
        return {
            f"GIT_{role}_NAME": self.name,
            f"GIT_{role}_EMAIL": self.email,
            f"GIT_{role}_DATE": f"@{int(self.at.timestamp())} +0000",
        }


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One commit, as git holds it."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True)
class Bare:
    """A bare repository."""

    path: Path

    def init(self, default_branch: str) -> None:
        """Make it. Pushes reach neither `refs/pull/` nor what the server's rules forbid."""
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", f"--initial-branch={default_branch}", "--template=")
        with (self.path / "config").open("a", encoding="utf-8") as config:
            config.write(
                "[core]\n\tfsync = none\n[http]\n\treceivepack = true\n[gc]\n\tauto = 0\n"
                "[receive]\n\thideRefs = refs/pull\n\tautogc = false\n\tunpackLimit = 100\n"
                "[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n"
            )
        hook = self.path / "hooks/update"
        hook.parent.mkdir()
        hook.write_text(HOOK.read_text(encoding="utf-8"), encoding="utf-8")
        hook.chmod(0o755)

    def run(
        self, *args: str, stdin: str = "", extra: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run git here, and give what came of it."""
        env = environ() | dict(extra or {})
        return subprocess.run(
            ["git", *args],
            cwd=self.path,
            env=env,
            input=stdin,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
        )

    def git(self, *args: str, stdin: str = "", extra: Mapping[str, str] | None = None) -> str:
        """Run git here, and give what it printed."""
        ran = self.run(*args, stdin=stdin, extra=extra)
        if ran.returncode:
            raise GitFailedError(f"git {' '.join(args)}: {ran.stderr}")
        return ran.stdout.removesuffix("\n")

    def known(self, *args: str, stdin: str = "") -> str | None:
        """Ask git what follows from object ids alone, so once is enough; None when it says no."""
        return _known(self, args, stdin)

    def refs(self, *patterns: str) -> dict[str, str]:
        """List refs with the object each names."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", *patterns).splitlines()
        return {name: id_ for name, _, id_ in (line.partition(" ") for line in lines)}

    def tip(self, branch: str) -> str | None:
        """Give the commit of a branch; None when there is none."""
        return self.resolve(f"refs/heads/{branch}")

    def resolve(self, name: str) -> str | None:
        """Give the commit that a full ref or an object id names; None when there is none."""
        ran = self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return ran.stdout.strip() if ran.returncode == 0 else None

    def kind(self, id_: str) -> str:
        """Say what kind of object an id names."""
        return self.git("cat-file", "-t", id_)

    def move(self, ref: str, new: str, old: str | None = None) -> bool:
        """Move a ref, from a known value if one is given; say whether it moved."""
        return self.run("update-ref", ref, new, *([] if old is None else [old])).returncode == 0

    def drop(self, ref: str) -> None:
        """Delete a ref."""
        self.git("update-ref", "-d", ref)

    def contains(self, tip: str, commit: str) -> bool:
        """Say whether a commit is in the history of another, or is that one."""
        return self.known("merge-base", "--is-ancestor", commit, tip) is not None

    def merge_base(self, one: str, other: str) -> str | None:
        """Give the best common ancestor; None when there is none."""
        return self.known("merge-base", one, other)

    def between(self, base: str, head: str, *options: str) -> list[str]:
        """List commits of `head` that `base` has not, oldest first."""
        return (
            self.known("rev-list", "--reverse", "--topo-order", *options, head, f"^{base}") or ""
        ).splitlines()

    def commits(self, ids: Iterable[str]) -> list[Commit]:
        """Read commits, in the order asked for."""
        wanted = list(ids)
        if not wanted:
            return []
        form = "%x01%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B"
        asked = "\n".join(wanted)
        out = self.known("log", "--no-walk=unsorted", "--stdin", f"--format={form}", stdin=asked) or ""
        return [_commit(part.split("\0")) for part in out.split("\x01")[1:]]

    def commit(self, id_: str) -> Commit:
        """Read one commit."""
        return self.commits([id_])[0]

    def merged_tree(self, ours: str, theirs: str) -> str | None:
        """Merge two commits without touching a ref, and give the tree; None on conflict, or if nothing is shared."""
        if self.merge_base(ours, theirs) is None:
            return None
        made = self.known("merge-tree", "--write-tree", "--no-messages", ours, theirs)
        return None if made is None else made.split("\n", 1)[0]

    def write(
        self, tree: str, parents: Iterable[str], message: str, *, author: Person, committer: Person
    ) -> str:
        """Store a commit."""
        options = [part for parent in parents for part in ("-p", parent)]
        extra = author.fields("AUTHOR") | committer.fields("COMMITTER")
        return self.git("commit-tree", tree, *options, stdin=message, extra=extra)

    def patch_id(self, base: str, head: str) -> str:
        """Fingerprint what a head changes, seen from where it left its base."""
        start = self.merge_base(base, head) or base
        diff = self.known("diff-tree", "-p", "--full-index", start, head)
        return self.git("patch-id", "--stable", stdin=diff + "\n").partition(" ")[0] if diff else ""

    def changes(self, base: str, head: str) -> list[tuple[str, int, int, str, str]]:
        """List changed files: status letter, lines added and removed, path, blob."""
        options = ("diff-tree", "-r", "-z", "--no-renames")
        raw = (self.known(*options, "--raw", base, head) or "").split("\0")
        counts = (self.known(*options, "--numstat", base, head) or "").split("\0")
        lines = {row.split("\t")[2]: row.split("\t")[:2] for row in counts if row.count("\t") == 2}
        found = []
        for head_line, path in zip(raw[0::2], raw[1::2], strict=False):
            *_, old, new, letter = head_line.split(" ")
            added, removed = (0 if it == "-" else int(it) for it in lines[path])
            found.append((letter, added, removed, path, old if letter == "D" else new))
        return found

    def fetch(self, source: Path, sha: str, ref: str) -> None:
        """Take a commit over from another repository of the server."""
        self.git("fetch", "--quiet", "--no-tags", str(source), f"+{sha}:{ref}")


@lru_cache(maxsize=10_000)
def _known(bare: Bare, args: tuple[str, ...], stdin: str) -> str | None:
    """Remember answers; an error is no answer, and is not remembered."""
    ran = bare.run(*args, stdin=stdin)
    if ran.returncode > 1:
        raise GitFailedError(f"git {' '.join(args)}: {ran.stderr}")
    return ran.stdout.removesuffix("\n") if ran.returncode == 0 else None


def _commit(fields: list[str]) -> Commit:
    id_, tree, parents, name, email, at, committer, its_email, its_at, message = fields
    return Commit(
        id=id_,
        tree=tree,
        parents=tuple(parents.split()),
        author=Person(name=name, email=email, at=datetime.fromtimestamp(int(at), UTC)),
        committer=Person(name=committer, email=its_email, at=datetime.fromtimestamp(int(its_at), UTC)),
        message=message.rstrip("\n"),
    )
