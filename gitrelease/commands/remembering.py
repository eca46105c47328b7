"""Remembering: what a check found, for as long as everything it depends on is the same.

A result is kept in git's own folder under the hash of all that went into it: the program, what was asked, what
is approved, and every file that was there to be looked at. If any of that is another, so is the hash. What lies
there is not trusted to be well-formed, and losing it costs nothing but time.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from stat import S_ISDIR
from typing import Any
from zoneinfo import TZPATH

import gitrelease
from gitrelease.core.finding import Finding, Severity
from gitrelease.core.values import frozen
from gitrelease.notes import write_note
from gitrelease.schemas import kinds, schema_text

LEAST = 200
"""So many files are worth remembering; fewer are checked as quickly."""
MOST_FINDINGS = 50_000
MOST_RESULTS = 8

_PACKAGES = ("PyYAML", "detect-secrets", "jsonschema", "jsonschema-rs", "tzdata")
_OPTIONAL, _TEXT = (str, type(None)), (str,)
_PLACE = (int, type(None))
_TYPES = (_TEXT, _TEXT, _TEXT, _PLACE, _PLACE, _OPTIONAL, _TEXT, _OPTIONAL)


@frozen
class CheckCache:
    """Results of checks, each in a file of its own."""

    folder: Path

    def recall(self, key: str) -> tuple[int, tuple[Finding, ...]] | None:
        """Give how many items were looked at, and what was found; nothing if that is not known."""
        try:
            told, _, body = (self.folder / key).read_bytes().partition(b"\n")
            if told.decode() != sha256(body).hexdigest():
                return None
            checked, rows = json.loads(body)
            if type(checked) is not int:
                return None
            return checked, tuple(_finding(row) for row in rows)
        except (OSError, ValueError, TypeError, RecursionError):
            return None

    def keep(self, key: str, checked: int, findings: Sequence[Finding]) -> None:
        """Note a result, and forget the oldest; where nothing can be written, nothing is noted."""
        if len(findings) > MOST_FINDINGS:
            return
        body = json.dumps([checked, [astuple(one) for one in findings]]).encode()
        if not write_note(self.folder / key, sha256(body).hexdigest().encode() + b"\n" + body):
            return
        with suppress(OSError):
            newest = sorted(self.folder.iterdir(), key=lambda file: -file.stat().st_mtime_ns)
            for old in newest[MOST_RESULTS:]:
                old.unlink(missing_ok=True)


def _finding(row: Any) -> Finding:
    if len(row) != len(_TYPES) or not all(map(isinstance, row, _TYPES)):
        raise ValueError("this is no finding")
    code, severity, file, line, column, key, message, hint = row
    return Finding(
        code=code,
        severity=Severity(severity),
        file=file,
        line=line,
        column=column,
        key=key,
        message=message,
        hint=hint,
    )


def hash_of(*groups: Iterable[str]) -> str:
    """Hash texts, so that no other texts, grouped in whatever way, have the same hash."""
    whole = sha256()
    for group in groups:
        parts = [part.encode(errors="surrogateescape") for part in group]
        whole.update(b"%d;" % len(parts))
        for part in parts:
            whole.update(b"%d:%b" % (len(part), part))
    return whole.hexdigest()


def program() -> Iterator[str]:
    """Name everything of the program that a verdict depends on: us, our libraries, Python, the time zones."""
    yield sys.version
    yield from (f"{package} {version(package)}" for package in _PACKAGES)
    yield from (sha256(schema_text(kind)).hexdigest() for kind in kinds())
    # A checkout that is being worked on is another program after every edit, with the same version.
    yield from stamps(Path(gitrelease.__file__).parent.parent, "gitrelease")
    for folder in TZPATH:
        with suppress(OSError):
            yield f"{folder} {Path(folder).stat().st_mtime_ns}"


def stamps(top: Path, start: str) -> Iterator[str]:
    """Say of everything below a folder, or of a file, what it is and when it was last touched."""
    try:
        first = (top / start).lstat()
    except OSError as problem:
        yield f"{start} {problem.errno}"
        return
    if not S_ISDIR(first.st_mode):
        yield _stamp(start, first)
        return
    yield start
    waiting = [start]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(top / here), key=lambda entry: entry.name)
        except OSError as problem:
            yield f"{here} {problem.errno}"
            continue
        for entry in entries:
            path = f"{here}/{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                yield _stamp(path, entry.stat(follow_symlinks=False))
            elif entry.name != "__pycache__":
                waiting.append(path)
                yield path


def _stamp(path: str, found: os.stat_result) -> str:
    return f"{path} {found.st_mode} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
