"""Fair: what has to hold for every input, whatever becomes of it.

It is refused by a sentence that names the place, or accepted as a value that is what its type says. What is
shown of it has no character that a terminal obeys, and nothing takes for ever.
"""

from __future__ import annotations

import signal
import types
import typing
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NewType, TypeVar

from gitrelease.core.finding import Finding
from gitrelease.documents import DocumentRefused
from gitrelease.errors import GitReleaseError
from gitrelease.render.json import dumped, error, finding
from gitrelease.render.tasks import findings_text
from gitrelease.render.text import Paper, error_text

Read = TypeVar("Read")

_OBEYED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
LONGEST = 30.0
"""Seconds of processor time after which an input counts as one that never ends; all take milliseconds."""

PAPERS = tuple(
    Paper(now=datetime(2026, 11, 20, 12, 0, tzinfo=timezone(timedelta(hours=hours))), width=width)
    for hours, width in ((0, None), (14, 100), (-12, 20))
)
"""Screens around the world: without end and narrow, where today is yesterday."""


class Endless(AssertionError):
    """An input took so long that nobody would wait for it."""


@contextmanager
def ending() -> Iterator[None]:
    """Fail where what is done inside does not end; where there is no such clock, whoever runs the tests notices."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_number: int, _frame: types.FrameType | None) -> None:
        raise Endless

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def assert_clean(shown: str) -> None:
    """Fail where a terminal would obey, hide or reorder something in a text, or could not be sent it."""
    odd = sorted({one for one in shown if one not in "\n\t" and unicodedata.category(one) in _OBEYED})
    assert not odd, f"{[ascii(one) for one in odd]} reaches the terminal in {shown[:300]!a}"


def assert_named(refused: GitReleaseError, place: str) -> None:
    """Fail where a refusal does not name what it refuses, or is not fit for a terminal."""
    said = f"{refused.message} {refused.hint or ''}"
    if isinstance(refused, DocumentRefused):
        assert refused.findings
        assert {one.file for one in refused.findings} == {place}, said
        assert_findings(refused.findings)
    else:
        assert place in said, f"{said[:300]!a} does not name {place}"
    assert_clean(dumped(error(refused)))
    for paper in PAPERS:
        assert_clean(error_text(refused.message, refused.hint, paper))


def assert_findings(findings: Sequence[Finding]) -> None:
    """Fail where a finding is no sentence with a place, or is not fit for a terminal."""
    for one in findings:
        assert one.file, one
        assert one.message, one
        assert one.line is None or one.line >= 1, one
        assert one.column is None or one.column >= 1, one
        assert_clean(dumped(finding(one)))
    assert_clean(findings_text(findings, PAPERS[0]))


def outcome(read: Callable[[bytes], Read], data: bytes, *, place: str) -> Read | None:
    """Read an input: give the value, or nothing where it was refused as it should be."""
    try:
        value = read(data)
    except GitReleaseError as refused:
        assert_named(refused, place)
        return None
    assert_typed(value, type(value))
    return value


def assert_typed(value: object, hint: Any, at: str = "value") -> None:
    """Fail where a value is not what its type says, however deep inside: nobody looks at it again."""
    if isinstance(hint, NewType):
        assert_typed(value, hint.__supertype__, at)
        return
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or hint is Any:
        return
    if hint is None or hint is types.NoneType:
        assert value is None, f"{at} is {value!r:.80}, not None"
    elif origin in {typing.Union, types.UnionType}:
        _assert_one_of(value, arguments, at)
    elif origin is not None:
        assert isinstance(value, origin), f"{at} is {value!r:.80}, not {hint}"
        _assert_parts(value, arguments, at)
    else:
        assert isinstance(value, hint), f"{at} is {value!r:.80}, not {hint.__name__}"
        assert hint is bool or not isinstance(value, bool), f"{at} is {value}, not {hint.__name__}"
        if isinstance(value, datetime):
            assert value.tzinfo is not None, f"{at} is a time without an offset, which compares with no other"
            value.astimezone(UTC)
        elif is_dataclass(value):
            hints = typing.get_type_hints(type(value))
            for name in value.__dataclass_fields__:
                assert_typed(getattr(value, name), hints[name], f"{at}.{name}")


def _assert_one_of(value: object, hints: Sequence[Any], at: str) -> None:
    faults = []
    for hint in hints:
        try:
            assert_typed(value, hint, at)
        except AssertionError as fault:
            faults.append(str(fault))
        else:
            return
    raise AssertionError("; ".join(faults))


def _assert_parts(value: object, hints: Sequence[Any], at: str) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            assert_typed(key, hints[0], f"{at} key")
            assert_typed(inner, hints[1], f"{at}[{key!r:.40}]")
    elif isinstance(value, tuple) and not (len(hints) == 2 and hints[1] is ...):
        for number, (inner, hint) in enumerate(zip(value, hints, strict=True)):
            assert_typed(inner, hint, f"{at}[{number}]")
    elif isinstance(value, Sequence | set | frozenset):
        for number, inner in enumerate(value):
            assert_typed(inner, hints[0], f"{at}[{number}]")
