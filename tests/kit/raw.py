"""What people do with raw git, past gitrelease: push branches that look like tasks, packages or merges."""

from __future__ import annotations

from collections.abc import Mapping

from gitrelease.core.names import CommitId
from tests.kit.git import Clone
from tests.kit.shop import Person


def commit_on(
    person: Person,
    base: str,
    files: Mapping[str, str | bytes | None],
    message: str = "by hand",
    *options: str,
    sign: bool = True,
) -> CommitId:
    """Make a commit on top of another one in the person's clone, and leave the clone as it was."""
    clone = person.clone
    clone.git("fetch", "--quiet", "--prune", "origin")
    clone.git("stash", "--quiet", "--include-untracked")
    before = clone.git("symbolic-ref", "--short", "HEAD")
    clone.git("checkout", "--quiet", "--detach", base)
    signing = ["--gpg-sign"] if sign else ["--no-gpg-sign"]
    made = clone.commit(files, message, "--allow-empty-message", *signing, *options)
    clone.git("checkout", "--quiet", before)
    clone.git("stash", "pop", "--quiet", check=False)
    return CommitId(made)


def push_on(
    person: Person,
    branch: str,
    files: Mapping[str, str | bytes | None],
    message: str = "by hand",
    *options: str,
    base: str = "origin/main",
    sign: bool = True,
    force: bool = False,
) -> CommitId:
    """Make a commit on top of the main branch, and push it as a branch."""
    made = commit_on(person, base, files, message, *options, sign=sign)
    person.clone.push(f"{made}:refs/heads/{branch}", force=force)
    return made


def amend(
    person: Person,
    branch: str,
    files: Mapping[str, str | bytes | None],
    *options: str,
    sign: bool = True,
) -> CommitId:
    """Replace the one commit of a branch by one that holds other files as well, and force it there."""
    return push_on(
        person, branch, files, "by hand", "--amend", *options, base=f"origin/{branch}", sign=sign, force=True
    )


def working_state(clone: Clone) -> tuple[dict[str, str], str, str, dict[str, bytes]]:
    """Give everything of a clone that a command could change: refs, HEAD, the index, the working files."""
    files = {
        path.relative_to(clone.path).as_posix(): path.read_bytes()
        for path in sorted(clone.path.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(clone.path).parts
    }
    return clone.refs(), clone.git("symbolic-ref", "HEAD"), clone.git("ls-files", "--stage"), files
