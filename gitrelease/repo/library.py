"""GitPython, as far as gitrelease uses it: saying why there is no repository, and which names a tree may get.

It is loaded where it is first used, because a command that only looks needs neither.

`Repo.git` and everything that starts git through it stay outside this door: it passes options through,
and it takes its environment from the process. Commits and tags are parsed by us (`objects.py`), because
GitPython reads an author line such as `A <a@x> <b@y>` differently from git.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from gitrelease.repo.values import NotARepository, PathRefused, plain

_SOME_FILE = 0o100644
# It takes a dot in front, a tilde, or letters that some file system ignores, to pose as `.git`.
_HARMLESS = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def refuse_place(start: Path) -> None:
    """Say why a folder is in no repository that can be read; git itself says it only in prose.

    Raises:
        NotARepository: it is in none. Where it is, git has other reasons not to open it.
    """
    import git

    try:
        git.Repo(start, search_parent_directories=True, expand_vars=False).close()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as problem:
        raise NotARepository(
            f"{plain(str(start))} is not in a git repository",
            hint="go to your clone of the release repository, or make one with gitrelease init",
        ) from problem
    except (configparser.Error, OSError, ValueError) as problem:
        raise NotARepository(
            f"the repository around {plain(str(start))} cannot be read: {problem}"
        ) from problem


def check_names(names: Iterable[bytes]) -> None:
    """Refuse names for new entries of a tree that could pose as `.git` on any file system."""
    # Names are passed as bytes, so that they stay what they are under any locale.
    entries = [(b"\0" * 20, _SOME_FILE, name) for name in names if not _HARMLESS.fullmatch(name)]
    if not entries:
        return
    from git.objects.fun import tree_to_stream

    try:
        tree_to_stream(entries, BytesIO().write)  # type: ignore[arg-type]
    except ValueError as problem:
        raise PathRefused(f"a path cannot be written: {plain(str(problem))}") from problem
