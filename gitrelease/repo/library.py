"""GitPython, as far as gitrelease uses it: saying why there is no repository, and the format of trees.

It is loaded where it is first used, because a command that only looks needs neither.

`Repo.git` and everything that starts git through it stay outside this door: it passes options through,
and it takes its environment from the process. Commits and tags are parsed by us (`objects.py`), because
GitPython reads an author line such as `A <a@x> <b@y>` differently from git.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from gitrelease.repo.values import BadObject, NotARepository, PathRefused, plain

TreeEntry = tuple[bytes, int, bytes]
"""Id, mode and name of one entry, all as git stores them."""


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


def parse_tree(data: bytes) -> list[TreeEntry]:
    """Read the entries of a tree that is to be edited; refuse names that git would not check out."""
    from git.objects.fun import tree_entries_from_data

    try:
        return [(sha, mode, os.fsencode(name)) for sha, mode, name in tree_entries_from_data(data)]
    except ValueError as problem:
        raise BadObject(f"a folder to change is malformed: {plain(str(problem))}") from problem


def format_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Write a tree, in git's order; refuse names that could pose as `.git` on any file system."""
    from git.objects.fun import tree_to_stream

    # git compares the name of a folder as if it ended in a slash.
    ordered = sorted(entries, key=lambda entry: entry[2] + (b"/" if entry[1] >> 12 == 4 else b""))
    stream = BytesIO()
    try:
        # Names are passed as bytes, so that they stay what they are under any locale.
        tree_to_stream(ordered, stream.write)  # type: ignore[arg-type]
    except ValueError as problem:
        raise PathRefused(f"a path cannot be written: {plain(str(problem))}") from problem
    return stream.getvalue()
