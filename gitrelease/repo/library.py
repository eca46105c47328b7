"""GitPython, as far as gitrelease uses it: finding a repository, and the format of trees.

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

from gitrelease.repo.values import BadObject, GitUnusable, NotARepository, PathRefused, plain

try:
    import git
    from git.objects.fun import tree_entries_from_data, tree_to_stream
except ImportError as problem:  # GitPython asks git for its version when it is imported
    raise GitUnusable("git is not installed, or not on PATH", hint="install git 2.38 or newer") from problem

TreeEntry = tuple[bytes, int, bytes]
"""Id, mode and name of one entry, all as git stores them."""


def require_repository(start: Path) -> None:
    """Refuse a folder that is not in a repository; git itself says this only in prose."""
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
    try:
        return [(sha, mode, os.fsencode(name)) for sha, mode, name in tree_entries_from_data(data)]
    except ValueError as problem:
        raise BadObject(f"a folder to change is malformed: {plain(str(problem))}") from problem


def format_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Write a tree, in git's order; refuse names that could pose as `.git` on any file system."""
    # git compares the name of a folder as if it ended in a slash.
    ordered = sorted(entries, key=lambda entry: entry[2] + (b"/" if entry[1] >> 12 == 4 else b""))
    stream = BytesIO()
    try:
        # Names are passed as bytes, so that they stay what they are under any locale.
        tree_to_stream(ordered, stream.write)  # type: ignore[arg-type]
    except ValueError as problem:
        raise PathRefused(f"a path cannot be written: {plain(str(problem))}") from problem
    return stream.getvalue()
