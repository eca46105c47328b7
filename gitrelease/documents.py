"""YAML in, strictly; YAML out, stably.

YAML is read as JSON would be: only JSON's own scalars are special, and what another YAML reader could
take for something else (`12:30`, `on`, `0123`) has to stand in quotes. So one file means one thing to
people, to editors and to every system it is handed to. Aliases, tags and duplicate keys are refused,
and nothing a file can hold makes reading it slow, deep or large.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from gitrelease.core.finding import Finding, Key, key_text
from gitrelease.errors import GitReleaseError, Refused

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

MOST_BYTES = 4 * 1024 * 1024 + 64 * 1024
"""A script's 4 MiB of content, and room for what is said about it."""
MOST_DEPTH = 64
MOST_NODES = 200_000
MOST_FINDINGS = 100
LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1

_Loader: TypeAlias = "type[yaml.CSafeLoader] | type[yaml.SafeLoader]"
LOADER: _Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class DocumentRefused(GitReleaseError):
    """A file is not a document; `findings` says every reason, with its place."""

    code = "document-refused"

    def __init__(self, file: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        if len(self.findings) == 1:
            super().__init__(_sentence(self.findings[0]), hint=self.findings[0].hint)
        else:
            lines = [
                f"  {_sentence(one)}{f' ({one.hint})' if one.hint else ''}" for one in self.findings[:10]
            ]
            more = [f"  and {len(self.findings) - 10} more"] if len(self.findings) > 10 else []
            text = "\n".join([f"{file} cannot be read, for {len(self.findings)} reasons:", *lines, *more])
            super().__init__(text, hint="correct these places and try again")


class ValueRefused(GitReleaseError):
    """A value cannot be written in a way that reads back the same."""

    code = "value-refused"


@dataclass(slots=True)
class _Spot:
    """Where one value stands in its file, and where its parts do."""

    line: int
    column: int
    start: int
    end: int = 0
    one_line_scalar: bool = False
    flow: bool = False
    key: tuple[int, int] | None = None
    parts: dict[str | int, _Spot] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Document:
    """One file as values, which still knows the line and the column of each."""

    file: str
    value: dict[str, Json]
    text: str = field(repr=False)
    _root: _Spot = field(repr=False, compare=False)

    def place(self, key: Key) -> tuple[int, int]:
        """Give line and column (from 1) of the value at a key, or of its nearest parent that is there."""
        spot, _ = self._nearest(key)
        return spot.line + 1, spot.column + 1

    def key_place(self, key: Key) -> tuple[int, int]:
        """Give line and column (from 1) of the key itself; for an element of a list, of the element."""
        spot, found = self._nearest(key)
        line, column = spot.key if found and spot.key else (spot.line, spot.column)
        return line + 1, column + 1

    def line_text(self, number: int) -> str:
        """Give one line of the file (from 1) without its end; the empty text where there is no such line."""
        lines = self.text.split("\n")
        return lines[number - 1] if 1 <= number <= len(lines) else ""

    def _nearest(self, key: Key) -> tuple[_Spot, bool]:
        spot = self._root
        for part in key:
            inner = spot.parts.get(part)
            if inner is None:
                return spot, False
            spot = inner
        return spot, True


# Reading.

_STOPS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
"""What a file may not hold as it is: unseen characters that change how it is read, or how it looks."""

_JSON_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "": None}

# What YAML 1.1 or 1.2, or a loader people use, takes for something other than text.
_TRUTH = frozenset(
    form
    for word in ("y", "n", "yes", "no", "on", "off", "true", "false")
    for form in (word, word.title(), word.upper())
)
_NOTHING = frozenset({"~", "Null", "NULL"})
_OTHER_NUMBER = re.compile(
    r"""[-+]?(?:
        0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-fA-F_]+            # 0b1, 0o7, 0x1F
        | [0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?     # 12:30, to base sixty
        | [0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?  # 0123, 1_000, +1, 1.
        | \.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?              # .5
        | \.(?:inf|Inf|INF|nan|NaN|NAN)
    )""",
    re.VERBOSE,
)
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?"
)


def _misread(text: str) -> str | None:
    """Say what other readers could take an unquoted text for, or nothing if all of them see text."""
    if text in _TRUTH:
        return "true or false"
    if text in _NOTHING:
        return "null"
    if text in {"=", "<<"}:
        return "an instruction"
    if text[0] in "0123456789.+-":
        if _OTHER_NUMBER.fullmatch(text):
            return "a number"
        if _DATE.fullmatch(text):
            return "a date"
    return None


def parse(data: bytes, *, file: str, most_bytes: int = MOST_BYTES, loader: _Loader = LOADER) -> Document:
    """Read one file as JSON would be read.

    `file` is what messages call it; `loader` is the parser of PyYAML that splits the text into tokens.

    Raises:
        DocumentRefused: with everything found to be wrong, not only the first.
    """
    if len(data) > most_bytes:
        message = f"has {len(data):,} bytes; at most {most_bytes:,} are read"
        raise DocumentRefused(file, [Finding(code="too-large", file=file, message=message)])
    text = _decoded(data, file)
    composer = _Composer(file, text)
    composer.compose(loader)
    if composer.findings or composer.root is None or not isinstance(composer.value, dict):
        raise DocumentRefused(file, composer.findings)
    return Document(file=file, value=composer.value, text=text, _root=composer.root)


def _decoded(data: bytes, file: str) -> str:
    """Read bytes as text that holds no character people do not see."""

    def finding(code: str, before: str, message: str, hint: str | None = None) -> Finding:
        column = len(before) - before.rfind("\n")
        return Finding(
            code=code, file=file, line=before.count("\n") + 1, column=column, message=message, hint=hint
        )

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        hint = "save the file as UTF-8"
        raise DocumentRefused(file, [finding("not-utf8", before, message, hint)]) from None
    found: dict[str, Finding] = {}  # the first of each sort: a file with CR LF has one on every line
    for match in _STOPS.finditer(text):
        character = match.group()
        match character:
            case "\ufeff":
                code, message, hint = (
                    "bom",
                    "there is a byte order mark (U+FEFF)",
                    "save the file without one",
                )
            case "\r":
                code, message = "carriage-return", "a line ends in CR LF, or holds a CR"
                hint = "save the file with LF line ends"
            case _:
                code = "control-character"
                message = f"there is a character that cannot be seen (U+{ord(character):04X})"
                hint = f'remove it, or write it as "\\u{ord(character):04x}" inside double quotes'
        if code not in found:
            found[code] = finding(code, text[: match.start()], message, hint)
    if found:
        raise DocumentRefused(file, list(found.values()))
    return text


_SYNTAX = (
    (
        "quoted scalar found unexpected end of stream",
        "this quote is never closed",
        "close it",
    ),
    (
        "mapping values are not allowed",
        "a colon stands where a value is read already",
        "put the whole value in quotes",
    ),
    ("could not find expected ':'", "a key has no colon behind it", "write key: value"),
    (
        "cannot start any token",
        "a value cannot begin with this character",
        "put the whole value in quotes",
    ),
    (
        "while parsing a flow",
        "a list [...] or a mapping {...} is not closed, or a comma is missing",
        None,
    ),
    (
        "while parsing a block",
        "this does not continue what stands above it",
        "look at the indentation and at the quotes",
    ),
)
"""What PyYAML's two parsers say in words of their own, as one sentence and what to do."""


class _Enough(Exception):  # noqa: N818 - it ends the reading, and is no failure of its own
    """What was found makes reading on pointless."""


@dataclass(slots=True)
class _Open:
    """A mapping or a list whose end has not been read yet."""

    value: dict[str, Json] | list[Json]
    spot: _Spot
    key: str | None = None
    key_place: tuple[int, int] | None = None
    firsts: dict[str, int] = field(default_factory=dict)
    """The line on which each key of a mapping stood first, by its composed form."""
    is_key: bool = False

    def step(self) -> Key:
        """Give the key or the index that is being read; nothing before the first key of a mapping."""
        if isinstance(self.value, list):
            return (len(self.value),)
        return (self.key,) if self.key else ()


class _Composer:
    """Puts the parser's events together, one at a time: no depth of input is a depth of calls."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.findings: list[Finding] = []
        self.value: Json = None
        self.root: _Spot | None = None
        self._open: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def compose(self, loader: _Loader) -> None:
        mark: yaml.Mark | None = None
        try:
            for event in yaml.parse(self.text, Loader=loader):
                mark = event.start_mark
                self._take(event)
        except _Enough:
            return
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # PyYAML's own parser lets a bad escape such as "\U00110000" through to chr() and int().
            self._find("syntax", f"this cannot be read as YAML after here: {error}", mark)
        if self.root is None and not self.findings:
            self._find(
                "not-a-mapping", "the file is empty", None, hint="begin it with apiVersion: gitrelease/v1"
            )

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._document(event)
            case yaml.AliasEvent():
                self._find(
                    "alias",
                    f"an alias (*{event.anchor}) is not allowed",
                    event.start_mark,
                    hint="repeat the value",
                )
                self._place(None, self._spot(event))
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._begin({}, event)
            case yaml.SequenceStartEvent():
                self._begin([], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop().spot.end = event.end_mark.index
            case _:
                pass

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._find(
                "several-documents",
                "a second document begins here",
                event.start_mark,
                hint="one file, one document",
            )
            raise _Enough
        head = self.text.split("\n", event.end_mark.line + 1)[event.start_mark.line : event.end_mark.line]
        if event.version or event.tags or any(line.startswith("%") for line in head):
            self._find("directive", "a %-directive is not allowed", event.start_mark, hint="remove the line")

    def _begin(self, value: dict[str, Json] | list[Json], event: yaml.CollectionStartEvent) -> None:
        spot = self._spot(event)
        spot.flow = bool(event.flow_style)
        self._properties(event)
        if not self._open and isinstance(value, list):
            self._find("not-a-mapping", "the file is a list", event.start_mark, hint="write key: value lines")
        is_key = self._expects_key()
        if is_key:
            self._find("key-not-text", "a list or a mapping cannot be a key", event.start_mark)
            self._take_key("", spot)  # what it is called makes no difference: the file is refused
        else:
            self._place(value, spot)
        if len(self._open) == MOST_DEPTH:
            message = f"lists and mappings are nested more than {MOST_DEPTH} deep"
            self._find("too-deep", message, event.start_mark)
            raise _Enough
        self._open.append(_Open(value, spot, is_key=is_key))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        spot = self._spot(event)
        spot.one_line_scalar = event.start_mark.line == event.end_mark.line
        self._properties(event)
        text: str = event.value
        plain = event.implicit[0] and event.tag is None
        if self._expects_key():
            self._scalar_key(text, event.start_mark, spot, plain=plain)
            return
        if not self._open:
            self._find(
                "not-a-mapping", "the file is a single value", event.start_mark, hint="write key: value lines"
            )
        value = self._plain(text, event.start_mark) if plain else self._quoted(text, event.start_mark)
        self._place(value, spot)

    def _scalar_key(self, text: str, mark: yaml.Mark, spot: _Spot, *, plain: bool) -> None:
        frame = self._open[-1]
        self._take_key(text, spot)
        # A key is text wherever a loader agrees that it is a key; y is what a canvas calls its other axis.
        if plain and text not in {"y", "Y", "n", "N"}:
            value = self._plain(text, mark)
            if not isinstance(value, str):
                shown = text or "an empty key"
                hint = f"write it in quotes: {quoted(text)}"
                self._find("key-not-text", f"{shown} is not text, and keys are text", mark, hint=hint)
        else:
            self._quoted(text, mark)
        composed = unicodedata.normalize("NFC", text)
        if composed in frame.firsts:
            message = (
                f"the key {quoted(text)} stands here again; it is first on line {frame.firsts[composed]}"
            )
            self._find("duplicate-key", message, mark, hint="keep one of them")
        else:
            frame.firsts[composed] = mark.line + 1

    def _plain(self, text: str, mark: yaml.Mark) -> Json:
        """Read an unquoted scalar as JSON would, and refuse what only some readers would take for text."""
        if text in _WORDS:
            return _WORDS[text]
        if _JSON_INTEGER.fullmatch(text):
            if len(text) <= 20 and LEAST_INTEGER <= int(text) <= MOST_INTEGER:
                return int(text)
            self._find(
                "number-range", f"{_shown(text)} does not fit in 64 bits", mark, hint="write it in quotes"
            )
        elif _JSON_NUMBER.fullmatch(text):
            if math.isfinite(float(text)):
                return float(text)
            self._find(
                "number-range", f"{_shown(text)} is larger than any number", mark, hint="write it in quotes"
            )
        elif reason := _misread(text):
            hint = f"write it in quotes: {quoted(_shown(text))}"
            if text.lower() in {"true", "false", "null"}:
                hint = f"write {text.lower()}, or in quotes if text is meant: {quoted(text)}"
            message = f"{_shown(text)} without quotes is {reason} to some readers of YAML"
            self._find("ambiguous-scalar", message, mark, hint=hint)
        return text

    def _quoted(self, text: str, mark: yaml.Mark) -> str:
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._find("not-utf8", "an escape stands for half a character (a lone surrogate)", mark)
        return text

    def _properties(self, event: yaml.NodeEvent) -> None:
        if event.anchor is not None:
            self._find(
                "alias", f"an anchor (&{event.anchor}) is not allowed", event.start_mark, hint="remove it"
            )
        if event.tag is not None:
            self._find(
                "tag", f"a tag ({quoted(event.tag)}) is not allowed", event.start_mark, hint="remove it"
            )

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _take_key(self, key: str, spot: _Spot) -> None:
        self._open[-1].key = key
        self._open[-1].key_place = (spot.line, spot.column)

    def _place(self, value: Json, spot: _Spot) -> None:
        """Put a value where the parser stands: into the innermost open mapping or list."""
        if not self._open:
            self.value, self.root = value, spot
            return
        frame = self._open[-1]
        if isinstance(frame.value, list):
            frame.spot.parts[len(frame.value)] = spot
            frame.value.append(value)
        elif frame.key is None:  # an alias that stands as a key, and was refused
            self._take_key("", spot)
        else:
            spot.key = frame.key_place
            frame.spot.parts[frame.key] = spot
            frame.value[frame.key] = value
            frame.key = None

    def _spot(self, event: yaml.NodeEvent) -> _Spot:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._find(
                "too-many-nodes", f"there are more than {MOST_NODES:,} keys and values", event.start_mark
            )
            raise _Enough
        start, end = event.start_mark, event.end_mark
        return _Spot(start.line, start.column, start.index, end.index)

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        problem = f"{error.context or ''} {error.problem or ''}"
        for words, message, hint in _SYNTAX:
            if words in problem:
                break
        else:
            message, hint = f"this cannot be read as YAML: {error.problem}", None
        if mark is not None and "\t" in self.text.split("\n")[mark.line][: mark.column + 1]:
            hint = "use spaces, not tabs, outside of texts"
        if "quoted scalar" in problem and "end of stream" in problem:
            mark = error.context_mark  # where the quote is, not where the file ends
        self._find("syntax", message, mark, hint=hint)

    def _find(self, code: str, message: str, mark: yaml.Mark | None, *, hint: str | None = None) -> None:
        key = (
            key_text(tuple(part for frame in self._open if not frame.is_key for part in frame.step())) or None
        )
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        self.findings.append(
            Finding(code=code, file=self.file, line=line, column=column, key=key, message=message, hint=hint)
        )
        if len(self.findings) == MOST_FINDINGS:
            raise _Enough


def _sentence(finding: Finding) -> str:
    place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)
    return f"{place}: {f'{finding.key}: ' if finding.key else ''}{finding.message}"


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


# Writing.

_ESCAPED = re.compile(
    '["\\\\\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff'
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_FIRST_OF_SYNTAX = frozenset("-?:,[]{}#&*!|>'\"%@`")
_LONGEST_SIMPLE_KEY = 128


def quoted(text: str) -> str:
    """Write a text in double quotes, as YAML and JSON do, with every character visible or escaped."""

    def escape(match: re.Match[str]) -> str:
        character = match.group()
        code = ord(character)
        return _SHORT.get(character) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")

    return f'"{_ESCAPED.sub(escape, text)}"'


def dump(value: Mapping[str, object]) -> bytes:
    """Write a document: block style, key order kept, long texts as they are, one newline at the end.

    What `parse` reads back is the same value, always.

    Raises:
        ValueRefused: the value holds something that `parse` would not read back.
    """
    checked = _checked(value, ())
    assert isinstance(checked, dict)  # noqa: S101 - a mapping stays one
    lines = list(_block(checked)) if checked else ["{}"]
    return ("\n".join(lines) + "\n").encode()


def canonical_json(value: object) -> bytes:
    """Write a value as JSON in the one way that is hashed and compared: sorted keys, no spaces, UTF-8.

    Raises:
        ValueRefused: the value holds something that JSON has no text for.
    """
    checked = _checked(value, ())
    return json.dumps(
        checked, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    ).encode()


def _checked(value: object, key: Key) -> Json:
    """Copy a value, with the assurance that it can be written and read back."""
    where = f"{key_text(key)}: " if key else ""
    match value:
        case None | bool():
            return value
        case str():
            return _writable(value, where)
        case int():
            if not LEAST_INTEGER <= value <= MOST_INTEGER:
                raise ValueRefused(f"{where}the number does not fit in 64 bits", hint="write it as text")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueRefused(f"{where}{value} is no number that JSON can hold", hint="write it as text")
            return float(value)
        case Mapping() | Sequence() if len(key) == MOST_DEPTH:
            raise ValueRefused(f"lists and mappings are nested more than {MOST_DEPTH} deep")
        case Mapping():
            return _checked_mapping(value, key, where)
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_checked(inner, (*key, index)) for index, inner in enumerate(value)]
        case _:
            raise ValueRefused(f"{where}a value of type {type(value).__name__} cannot be written")


def _checked_mapping(value: Mapping[object, object], key: Key, where: str) -> dict[str, Json]:
    checked: dict[str, Json] = {}
    composed: set[str] = set()
    for name, inner in value.items():
        if not isinstance(name, str):
            raise ValueRefused(f"{where}the key {name!r} is not text")
        form = unicodedata.normalize("NFC", _writable(name, where))
        if form in composed:
            raise ValueRefused(f"{where}the key {quoted(name)} stands twice, in two spellings of Unicode")
        composed.add(form)
        checked[name] = _checked(inner, (*key, name))
    return checked


def _writable(text: str, where: str) -> str:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueRefused(f"{where}the text holds half a character (a lone surrogate)")
    return str.__str__(text)  # the plain text of an enum's member


def _block(value: dict[str, Json] | list[Json]) -> Iterator[str]:
    """Give the lines of a mapping or a list that is not empty, as they stand at the left margin."""
    if isinstance(value, dict):
        for key, inner in value.items():
            written = key if key in {"y", "Y", "n", "N"} or _is_plain(key) else quoted(key)
            if len(written) > _LONGEST_SIMPLE_KEY:  # a reader looks no further than 1,024 for the colon
                yield f"? {quoted(key)}"
                written = ""
            if isinstance(inner, dict | list) and inner:
                yield f"{written}:"
                yield from (f"  {line}" if line else line for line in _block(inner))
            else:
                first, *rest = _leaf(inner)
                yield f"{written}: {first}"
                yield from (f"  {line}" if line else line for line in rest)
        return
    for inner in value:
        lines = list(_block(inner)) if isinstance(inner, dict | list) and inner else _leaf(inner)
        yield f"- {lines[0]}"
        yield from (f"  {line}" if line else line for line in lines[1:])


def _leaf(value: Json) -> list[str]:
    """Give the lines of a value that has no parts."""
    match value:
        case str():
            return _text(value)
        case None | bool() | int() | float():
            return [json.dumps(value)]
        case _:
            return ["[]" if isinstance(value, list) else "{}"]


def _text(text: str) -> list[str]:
    if _is_plain(text):
        return [text]
    visible = not any(match.group() not in '"\\\n\t' for match in _ESCAPED.finditer(text))
    if visible and "\n" in text and _suits_literal(text):
        indicator = "2" if text[0] in " \t" else ""
        chomping = "" if text.endswith("\n") else "-"
        return [f"|{indicator}{chomping}", *text.removesuffix("\n").split("\n")]
    if (
        visible
        and "'" not in text
        and ('"' in text or "\\" in text)
        and "\n" not in text
        and "\t" not in text
    ):
        return [f"'{text}'"]
    return [quoted(text)]


def _suits_literal(text: str) -> bool:
    """Say whether a text can stand as a literal block: no blank line at either end that a reader might drop."""
    first, _, _ = text.partition("\n")
    last = text.removesuffix("\n").rpartition("\n")[2]
    return bool(first.strip(" \t")) and bool(last.strip(" \t"))


def _is_plain(text: str) -> bool:
    """Say whether a text can stand without quotes and is text to every reader."""
    return (
        bool(text)
        and text == text.strip()
        and text[0] not in _FIRST_OF_SYNTAX
        and not text.startswith("...")
        and not text.endswith(":")
        and ": " not in text
        and " #" not in text
        and not any(match.group() not in '"\\' for match in _ESCAPED.finditer(text))
        and text not in _WORDS
        and not _JSON_NUMBER.fullmatch(text)
        and _misread(text) is None
    )


# Setting the version.


def set_version(data: bytes, version: int, *, file: str) -> bytes:
    """Write a version into a document: that one number changes, all else stays byte for byte.

    Where there is none, it becomes a line of its own below the name.

    Raises:
        DocumentRefused: the file is no document.
        Refused: the number cannot be written without touching more.
    """
    document = parse(data, file=file)
    root = document._root  # noqa: SLF001 - the same module
    if root.flow:
        raise Refused(
            f"{file}: the version cannot be set in a document written as {{...}}",
            hint="write it as key: value lines",
        )
    edited = _with_version(document, root, version).encode()
    expected = canonical_json({**document.value, "version": version})
    try:
        same = canonical_json(parse(edited, file=file).value) == expected
    except DocumentRefused:
        same = False
    if not same:
        raise Refused(
            f"{file}: setting the version would change more than the version",
            hint=f"write the line version: {version} yourself, below the name",
        )
    return edited


def _with_version(document: Document, root: _Spot, version: int) -> str:
    text = document.text
    if spot := root.parts.get("version"):
        if not spot.one_line_scalar:
            raise Refused(
                f"{document.file}:{spot.line + 1}: version: the value is not a number on the line of its key",
                hint=f"write version: {version}",
            )
        gap = "" if text[spot.start - 1 : spot.start] in {" ", "\t"} else " "
        return f"{text[: spot.start]}{gap}{version}{text[spot.end :]}"
    name = root.parts.get("name")
    if name is None or name.parts:
        raise Refused(
            f"{document.file}: there is neither a version nor a name to write the version under",
            hint="give the document a name",
        )
    line = f"{' ' * root.column}version: {version}"
    # A block of text ends where its next line begins; every other value ends in the middle of a line.
    stop = name.end if text[name.end - 1 : name.end] == "\n" else text.find("\n", name.end) + 1
    if not stop:
        return f"{text}\n{line}"
    return f"{text[:stop]}{line}\n{text[stop:]}"
