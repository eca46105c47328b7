"""What a DataArts body looks like, described once and read in both directions.

`dataarts.py` is what other modules call; this one says which keys a body has, of which type they are, and
how each is written in a document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn, Protocol

from gitrelease.core.finding import Key, key_text, listed
from gitrelease.core.names import Kind
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError

UNKNOWN = "x-"

SERVER_SET = frozenset({"createTime", "downstreamJobs", "id", "lastUpdateUser", "version"})
"""What DataArts writes into a body by itself; git knows the like of it better."""
RELEASE_SET = frozenset({"approvers", "targetStatus"})
"""What a release decides, not the job."""
ALWAYS_WRITTEN = frozenset({"params", "properties", "preNodeName", "conditions"})
"""Lists that DataArts itself writes also when they are empty."""

_WHOLE = re.compile(r"-?[0-9]{1,15}(?:\.0+)?")


class ImportRefused(GitReleaseError):
    """A DataArts body is not what DataArts describes; the message names the key."""

    code = "import-refused"


class ExportRefused(GitReleaseError):
    """A document cannot be said in a DataArts body; the message names the key."""

    code = "export-refused"


# What was found while reading.


@dataclass(kw_only=True)
class Log:
    """Gathers what changes, so that 200 nodes with the same oddity make one sentence."""

    owner: str = "the job"
    left_out: set[str] = field(default_factory=set)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """Note a change."""
        self.said.append(sentence)

    def kept(self, name: str, key: Key) -> None:
        """Note a key that the schema does not know."""
        self.unknown.setdefault(name, []).append(key_text(key) or "the top")

    def sentences(self) -> Iterable[str]:
        """Tell all of it, once."""
        if names := sorted(self.left_out & SERVER_SET):
            yield f"left out {listed(names)}: DataArts Studio sets that by itself"
        if names := sorted(self.left_out & RELEASE_SET):
            yield f"left out {listed(names)}: workspace.yaml says who reviews, and a release what goes live"
        yield from self.said
        for name, places in self.unknown.items():
            more = len(places) - 3
            where = listed([*places[:3], f"{more} more"] if more > 0 else places)
            yield f"kept {name!r} as '{UNKNOWN}{name}' at {where}: the schema does not know it"


def refuse_import(key: Key, value: object, wanted: str) -> NoReturn:
    """Refuse a value that is not what DataArts describes."""
    found = "missing" if value is None else kind_of(value)
    raise ImportRefused(f"{key_text(key) or 'the body'} is {found}, not {wanted}")


def kind_of(value: object) -> str:
    """Say what a value is, for a sentence."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value if len(value) <= 40 else value[:40] + '…'!r}"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"


def holds_nothing(value: object) -> bool:
    """Say whether a value says no more than a missing key."""
    return value is None or (isinstance(value, str | list | Mapping) and not value)


def refuse_unwritable(body: Mapping[str, object]) -> None:
    """Refuse what JSON lets in and no UTF-8 document can hold: half of a surrogate pair, NaN, infinity."""
    if not isinstance(body, Mapping):
        refuse_import((), body, "a mapping")
    todo: list[tuple[Key, object]] = [((), body)]
    while todo:  # a loop, as a body may be nested deeper than Python likes to call
        key, value = todo.pop()
        match value:
            case Mapping():
                for name in value:
                    if not isinstance(name, str) or not _is_unicode(name):
                        raise ImportRefused(f"{key_text(key) or 'the body'} has the key {name!r}, not a text")
                todo.extend(((*key, name), inner) for name, inner in value.items())
            case list():
                todo.extend(((*key, n), inner) for n, inner in enumerate(value))
            case str() if not _is_unicode(value):
                raise ImportRefused(f"{key_text(key)} holds half of a character (a lone surrogate)")
            case float() if not math.isfinite(value):
                raise ImportRefused(f"{key_text(key)} is {value}, which is no number in JSON")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


# How one value reads and writes.


class _Shape(Protocol):
    """What a value of a body looks like, on both sides."""

    def read(self, value: object, key: Key, log: Log, /) -> object:
        """Turn a value of a body into one of a document."""

    def write(self, value: object, key: Key, /) -> object:
        """Turn a value of a document into one of a body."""


@frozen
class _Value:
    """A value without keys of its own."""

    wanted: str
    parse: Callable[[object], object]
    """Gives None for what is not wanted."""
    format: Callable[[object], object] | None = None
    """Writes it into a body; None for what stands there as it is."""

    def read(self, value: object, key: Key, _log: Log, /) -> object:
        parsed = self.parse(value)
        if parsed is None:
            refuse_import(key, value, self.wanted)
        return parsed

    def write(self, value: object, _key: Key, /) -> object:
        return value if self.format is None else self.format(value)


def _whole(value: object) -> int | None:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _flag_text(*, no: str, yes: str) -> _Value:
    """Describe a flag that DataArts spells as a text; some writers send a real flag or 0 and 1."""
    return _Value(
        wanted=f'"{no}" or "{yes}"',
        parse=lambda value: value if isinstance(value, str) else {0.0: no, 1.0: yes}.get(_number(value)),
    )


def _number(value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _coordinate(value: object) -> float | None:
    number = _number(value)
    if isinstance(value, bool) or math.isnan(number):
        return None
    return int(number) if number.is_integer() else number


def _texts(value: object) -> list[object] | None:
    return list(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else None


_TEXT = _Value(wanted="a text", parse=lambda value: value if isinstance(value, str) else None)
_TEXTS = _Value(wanted="a list of texts", parse=_texts)
_WHOLE_NUMBER = _Value(wanted="a whole number", parse=_whole)
_FLAG = _Value(wanted="true or false", parse=_flag)
_COORDINATE = _Value(wanted="a number", parse=_coordinate, format=lambda value: str(_number(value)))
_ANY_LIST = _Value(wanted="a list", parse=lambda value: list(value) if isinstance(value, list) else None)
_ANY_MAPPING = _Value(
    wanted="a mapping", parse=lambda value: dict(value) if isinstance(value, Mapping) else None
)


@frozen
class BodyShape:
    """A mapping with known keys, in the order in which a document shows them."""

    fields: Mapping[str, _Shape]
    required: frozenset[str] = frozenset()
    sparse: bool = True
    """Whether an optional key that holds nothing means the same as no key."""

    def read(self, value: object, key: Key, log: Log) -> dict[str, object]:
        if not isinstance(value, Mapping):
            refuse_import(key, value, "a mapping")
        found: dict[str, object] = {}
        for name, shape in self.fields.items():
            inner = value.get(name)
            if name in self.required:
                if inner is None:
                    raise ImportRefused(f"{key_text((*key, name))} is missing")
            elif inner is None or (self.sparse and holds_nothing(inner)):
                continue
            read = shape.read(inner, (*key, name), log)
            if read != {} or name in self.required:
                found[name] = read
        for name, inner in value.items():
            if name not in self.fields:
                found[f"{UNKNOWN}{name}"] = inner
                log.kept(name, key)
        return found

    def write(self, value: object, key: Key) -> dict[str, object]:
        if not isinstance(value, Mapping):
            raise ExportRefused(f"{key_text(key) or 'the document'} is {kind_of(value)}, not a mapping")
        body: dict[str, object] = {}
        for name, shape in self.fields.items():
            if name in value:
                body[name] = value[name] if name in self._same else shape.write(value[name], (*key, name))
            elif name in ALWAYS_WRITTEN:
                body[name] = []
        if value.keys() <= self.fields.keys():
            return body
        return body | _unknown(value, key, known=self.fields, reserved=self.fields)

    @cached_property
    def _same(self) -> frozenset[str]:
        """The keys whose values are in a body what they are in a document."""
        return frozenset(
            name for name, shape in self.fields.items() if isinstance(shape, _Value) and shape.format is None
        )


@frozen
class _Node(BodyShape):
    def read(self, value: object, key: Key, log: Log) -> dict[str, object]:
        before = log.owner
        if isinstance(value, Mapping):
            log.owner = f"the node {value.get('name')!r}"
        node = super().read(value, key, log)
        log.owner = before
        return node


@frozen
class Records:
    """A list of records."""

    of: BodyShape

    def read(self, value: object, key: Key, log: Log) -> object:
        if not isinstance(value, list):
            refuse_import(key, value, "a list")
        return [self.of.read(one, (*key, n), log) for n, one in enumerate(value)]

    def write(self, value: object, key: Key) -> object:
        if not isinstance(value, list):
            raise ExportRefused(f"{key_text(key)} is {kind_of(value)}, not a list")
        return [self.of.write(one, (*key, n)) for n, one in enumerate(value)]


@frozen
class _Named:
    """A list of `{name, value}` on the wire, a mapping from name to value for us.

    A value stands alone where it is all there is to say, so that a diff shows one line for one change.
    """

    noun: str
    typed: bool = False
    """Whether each has a type, as parameters do; `variable` goes without saying."""

    def read(self, value: object, key: Key, log: Log) -> object:
        if not isinstance(value, list):
            refuse_import(key, value, "a list")
        found: dict[str, object] = {}
        for n, one in enumerate(value):
            at: Key = (*key, n)
            if not isinstance(one, Mapping):
                refuse_import(at, one, "a mapping with a name and a value")
            name = one.get("name")
            if not isinstance(name, str):
                refuse_import((*at, "name"), name, "a text")
            if name in found:
                raise ImportRefused(
                    f"{log.owner} has the {self.noun} {name!r} twice ({key_text(key)})",
                    hint="remove one of the two and import again",
                )
            found[name] = self._entry(name, one, at, log)
        return found

    def _entry(self, name: str, one: Mapping[str, object], at: Key, log: Log) -> object:
        text = self._value(name, one.get("value"), (*at, "value"), log)
        extra: dict[str, object] = {}
        if self.typed and not holds_nothing(one.get("type")) and one["type"] != "variable":
            extra["type"] = _TEXT.read(one["type"], (*at, "type"), log)
        for other, inner in one.items():
            if other not in self._known:
                extra[f"{UNKNOWN}{other}"] = inner
                log.kept(other, at)
        return {"value": text} | extra if extra else text

    def _value(self, name: str, value: object, key: Key, log: Log) -> str:
        match value:
            case str():
                return value
            case None:
                log.say(f"the {self.noun} {name!r} of {log.owner} had no value and is an empty text now")
                return ""
            case bool() | int() | float():
                text = str(value).lower()
                was = kind_of(value)
                log.say(f"the {self.noun} {name!r} of {log.owner} was {was} and is the text {text!r} now")
                return text
            case _:
                refuse_import(key, value, "a text")

    @property
    def _known(self) -> frozenset[str]:
        return frozenset({"name", "value", "type"} if self.typed else {"name", "value"})

    def write(self, value: object, key: Key) -> object:
        if not isinstance(value, Mapping):
            raise ExportRefused(f"{key_text(key)} is {kind_of(value)}, not a mapping")
        return [self._one(str(name), inner, (*key, str(name))) for name, inner in value.items()]

    def _one(self, name: str, inner: object, key: Key) -> dict[str, object]:
        if isinstance(inner, str):
            alone: dict[str, object] = {"name": name, "value": inner}
            return alone | {"type": "variable"} if self.typed else alone
        given = inner if isinstance(inner, Mapping) else {"value": inner}
        if not isinstance(given.get("value"), str):
            raise ExportRefused(f"{key_text(key)} has the value {given.get('value')!r}, which is not a text")
        body: dict[str, object] = {"name": name, "value": given["value"]}
        if self.typed:
            body["type"] = given.get("type", "variable")
        if given.keys() == {"value"}:
            return body
        return body | _unknown(given, key, known=self._known - {"name"}, reserved=self._known)


def _unknown(
    value: Mapping[str, object], key: Key, *, known: Container[str], reserved: Container[str]
) -> dict[str, object]:
    """Give the keys that stand behind `x-…` their own names back."""
    found: dict[str, object] = {}
    for name, inner in value.items():
        if name in known:
            continue
        if not name.startswith(UNKNOWN):
            hint = f"what DataArts has no key for is written as {UNKNOWN}{name}"
            raise ExportRefused(f"{key_text((*key, name))} is not a key that the schema knows", hint=hint)
        own = name.removeprefix(UNKNOWN)
        if own in reserved:
            raise ExportRefused(f"{key_text((*key, name))} would overwrite {own!r}, which is said elsewhere")
        found[own] = inner
    return found


# What a body holds (create job and create script, v1).

APART: Mapping[Kind, frozenset[str]] = {
    Kind.JOB: SERVER_SET | RELEASE_SET | {"directory"},
    Kind.SCRIPT: SERVER_SET | RELEASE_SET | {"directory", "content"},
}
"""Keys of the top level that a document does not have: the path, git or another file says them."""

_EVENT = BodyShape(
    fields=dict.fromkeys(("eventType", "channel", "failPolicy", "readPolicy"), _TEXT)
    | {"concurrent": _WHOLE_NUMBER}
)
_DEPENDS = BodyShape(
    fields={
        "jobs": _TEXTS,
        "dependPeriod": _TEXT,
        "dependFailPolicy": _TEXT,
        "sameWorkSpaceJobs": _ANY_LIST,
        "otherWorkSpaceJobs": _ANY_LIST,
    },
    sparse=False,
)
_CRON = BodyShape(
    fields={
        "expression": _TEXT,
        "expressionTimeZone": _TEXT,
        "startTime": _TEXT,
        "endTime": _TEXT,
        "intervalType": _TEXT,
        "dependPrePeriod": _FLAG,
        "concurrent": _WHOLE_NUMBER,
        "dependJobs": _DEPENDS,
    }
)
_CRON_TRIGGER = BodyShape(fields={**_CRON.fields, "period": _TEXT})
_NODE = _Node(
    fields={
        "name": _TEXT,
        "type": _TEXT,
        "preNodeName": _TEXTS,
        "conditions": Records(
            of=BodyShape(
                fields={"preNodeName": _TEXT, "expression": _TEXT},
                required=frozenset({"preNodeName"}),
                sparse=False,
            )
        ),
        "properties": _Named(noun="property"),
        "cronTrigger": _CRON_TRIGGER,
        "eventTrigger": _EVENT,
        "pollingInterval": _WHOLE_NUMBER,
        "maxExecutionTime": _WHOLE_NUMBER,
        "execTimeOutRetry": _flag_text(no="false", yes="true"),
        "retryTimes": _WHOLE_NUMBER,
        "retryInterval": _WHOLE_NUMBER,
        "failPolicy": _TEXT,
        "location": BodyShape(fields={"x": _COORDINATE, "y": _COORDINATE}),
    },
    required=frozenset({"name", "type"}),
)
_BASIC = BodyShape(
    fields={
        "owner": _TEXT,
        "priority": _WHOLE_NUMBER,
        "executeUser": _TEXT,
        "agency": _TEXT,
        "instanceTimeout": _WHOLE_NUMBER,
        "isIgnoreWaiting": _WHOLE_NUMBER,
        "taskPriority": _WHOLE_NUMBER,
        "tags": _TEXTS,
        "customFields": _ANY_MAPPING,
    }
)
JOB = BodyShape(
    fields={
        "name": _TEXT,
        "description": _TEXT,
        "processType": _TEXT,
        "singleNodeJobFlag": _FLAG,
        "singleNodeJobType": _TEXT,
        "schedule": BodyShape(fields={"type": _TEXT, "cron": _CRON, "event": _EVENT}),
        "params": _Named(noun="parameter", typed=True),
        "nodes": Records(of=_NODE),
        "basicConfig": _BASIC,
        "logPath": _TEXT,
        "emptyRunningJob": _flag_text(no="0", yes="1"),
        "cleanOverdueDays": _WHOLE_NUMBER,
        "cleanWaitingJob": _TEXT,
    },
    required=frozenset({"name", "processType", "schedule", "nodes"}),
)
SCRIPT = BodyShape(
    fields={
        "name": _TEXT,
        "description": _TEXT,
        "type": _TEXT,
        "connectionName": _TEXT,
        "database": _TEXT,
        "queueName": _TEXT,
        "configuration": _ANY_MAPPING,
        "owner": _TEXT,
    },
    required=frozenset({"name", "type"}),
)
