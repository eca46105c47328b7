"""Composing: the events of PyYAML's parser put together to one document, strictly.

PyYAML only splits the text into tokens here; what they mean is decided by us. The events are taken one at
a time, so that no depth of input becomes a depth of calls, and reading stops where a limit is met.
"""

from __future__ import annotations

import math
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from gitrelease.core.finding import Finding, Key, key_text
from gitrelease.documents.document import (
    MOST_BYTES,
    MOST_DEPTH,
    MOST_NODES,
    Document,
    DocumentRefused,
    Spot,
    shown,
)
from gitrelease.documents.passing import Loader, passed
from gitrelease.documents.plainly import plainly
from gitrelease.documents.scalars import (
    JSON_INTEGER,
    JSON_NUMBER,
    LEAST_INTEGER,
    MOST_INTEGER,
    PLAIN_KEYS,
    WORDS,
    Json,
    has_surrogate,
    misread,
    quoted,
)

MOST_FINDINGS = 100

LOADER: Loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


# Reading.

_STOPS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
"""What a file may not hold as it is: unseen characters that change how it is read, or how it looks."""
_SEEN = bytes(range(0x20, 0x7F)) + b"\t\n"
"""What most files hold, and nothing else."""


def parse(data: bytes, *, file: str, most_bytes: int = MOST_BYTES, loader: Loader = LOADER) -> Document:
    """Read one file as JSON would be read.

    `file` is what messages call it; `loader` is the parser of PyYAML that splits the text into tokens.

    Raises:
        DocumentRefused: with everything found to be wrong, not only the first.
    """
    if len(data) > most_bytes:
        message = f"has {len(data):,} bytes; at most {most_bytes:,} are read"
        raise DocumentRefused(file, [Finding(code="too-large", file=file, message=message)])
    text = _decoded(data, file)
    if (value := plainly(text)) is not None:
        # Whoever asks for places gets them from the parser, which goes by the same rules.
        return Document(file=file, value=value, text=text, find_root=lambda: _parsed(text, file, loader).root)
    return _parsed(text, file, loader)


def _parsed(text: str, file: str, loader: Loader) -> Document:
    if (short := passed(text, loader)) is not None:
        value, root = short
        return Document(file=file, value=value, text=text, find_root=lambda: root)
    return composed(text, file, loader)


def composed(text: str, file: str, loader: Loader = LOADER) -> Document:
    """Read a text the long way, which knows a sentence for everything that can be wrong.

    Raises:
        DocumentRefused: with everything found to be wrong.
    """
    composer = _Composer(file, text)
    composer.compose(loader)
    if composer.findings or composer.root is None or not isinstance(composer.value, dict):
        raise DocumentRefused(file, composer.findings)
    root = composer.root
    return Document(file=file, value=composer.value, text=text, find_root=lambda: root)


def _decoded(data: bytes, file: str) -> str:
    """Read bytes as text that holds no character people do not see."""
    if not data.translate(None, _SEEN):
        return data.decode("ascii")

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
        code, message, hint = _why_stopped(match.group())
        if code not in found:
            found[code] = finding(code, text[: match.start()], message, hint)
    if found:
        raise DocumentRefused(file, list(found.values()))
    return text


def _why_stopped(character: str) -> tuple[str, str, str]:
    match character:
        case "\ufeff":
            return "bom", "there is a byte order mark (U+FEFF)", "save the file without one"
        case "\r":
            return "carriage-return", "a line ends in CR LF, or holds a CR", "save the file with LF line ends"
    code = f"{ord(character):04X}"
    hint = f'remove it, or write it as "\\u{code.lower()}" inside double quotes'
    return "control-character", f"there is a character that cannot be seen (U+{code})", hint


_SYNTAX: dict[str, tuple[str, str | None]] = {
    "quoted scalar found unexpected end of stream": ("this quote is never closed", "close it"),
    "mapping values are not allowed": (
        "a colon stands inside a value",
        "put the whole value in quotes, or look at the indentation",
    ),
    "could not find expected ':'": ("a key has no colon behind it", "write key: value"),
    "cannot start any token": (
        "a value cannot begin with this character",
        "put the whole value in quotes",
    ),
    "while parsing a flow": ("a bracket is not closed, or a comma is missing before here", None),
    "while parsing a block": (
        "this does not continue what stands above it",
        "look at the indentation and at the quotes",
    ),
}
"""What PyYAML's two parsers say, each in words of its own: one sentence, and what to do."""


_TAB = ("tab", "a tab stands outside of quotes", "use spaces")
_COMMENT_OR_TAB = re.compile(r"(?<!\S)#[^\n]*|\t")


class _Enough(Exception):
    """What was found makes reading on pointless."""


class _Mark(NamedTuple):
    """A place in the text, counted from 0."""

    line: int
    column: int
    offset: int


def _mark(mark: yaml.Mark | yaml._yaml.Mark | None) -> _Mark:
    """Take over a place as either of PyYAML's parsers gives it."""
    return _Mark(mark.line, mark.column, mark.index) if mark else _Mark(0, 0, 0)


@dataclass(slots=True)
class _Open:
    """A mapping or a list whose end has not been read yet."""

    value: dict[str, Json] | list[Json]
    spot: Spot
    parts: dict[str | int, Spot]
    """The places of its parts, as `spot` has them."""
    key: str | None = None
    key_place: tuple[int, int] | None = None
    firsts: dict[str, int] = field(default_factory=dict)
    """The line on which each key of a mapping stood first, by its composed form."""
    path: Key = ()

    def inside(self) -> Key:
        """Give the way to what is being read next; to the mapping itself before there is a key."""
        if isinstance(self.value, list):
            return (*self.path, len(self.value))
        return self.path if self.key is None else (*self.path, self.key)


class _Composer:
    """Puts the parser's events together, and gathers what is wrong with them."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.findings: list[Finding] = []
        self.value: Json = None
        self.root: Spot | None = None
        self._open: list[_Open] = []
        self._at = _Mark(0, 0, 0)
        """Where the event that is being taken begins."""
        self._nodes = 0
        self._documents = 0
        self._texts: list[tuple[int, int]] = []
        """Where texts in quotes and blocks of text begin and end."""

    def compose(self, loader: Loader) -> None:
        """Read the whole text, or as much as makes sense."""
        with suppress(_Enough):
            try:
                for event in yaml.parse(self.text, Loader=loader):
                    self._at = _mark(event.start_mark)
                    self._take(event)
            except yaml.MarkedYAMLError as error:
                self._syntax(error)
            except (yaml.YAMLError, ValueError, OverflowError) as error:
                # The parser written in Python hands a bad escape such as "\U00110000" to chr() as it is.
                self._find("syntax", f"this cannot be read as YAML after here: {error}")
            else:
                self._tabs()
            if self.root is None and not self.findings:
                self._at = _Mark(0, 0, 0)
                self._find("not-a-mapping", "the file is empty", "begin it with apiVersion: gitrelease/v1")

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._document(event)
            case yaml.AliasEvent():
                self._find("alias", f"an alias (*{event.anchor}) is not allowed", "repeat the value")
                self._place(None, self._spot(event))
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._begin({}, event)
            case yaml.SequenceStartEvent():
                self._begin([], event)
            case yaml.CollectionEndEvent():
                self._open.pop().spot.end = _mark(event.end_mark).offset
            case _:
                pass

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._find("several-documents", "a second document begins here", "one file, one document")
            raise _Enough
        # The parsers report %YAML and %TAG, and one of them drops every other directive without a word.
        head = self.text.split("\n", _mark(event.end_mark).line)[self._at.line : -1]
        if event.version or event.tags or any(line.startswith("%") for line in head):
            self._find("directive", "a %-directive is not allowed", "remove the line")

    def _begin(self, value: dict[str, Json] | list[Json], event: yaml.CollectionStartEvent) -> None:
        spot = self._spot(event)
        spot.flow = bool(event.flow_style)
        self._properties(event.anchor, event.tag)
        if not self._open and isinstance(value, list):
            self._find("not-a-mapping", "the file is a list", "write key: value lines")
            raise _Enough
        if len(self._open) == MOST_DEPTH:
            self._find("too-deep", f"lists and mappings are nested more than {MOST_DEPTH} deep")
            raise _Enough
        path = self._open[-1].inside() if self._open else ()
        if self._expects_key():
            self._find("key-not-text", "a list or a mapping cannot be a key")
            self._take_key("", spot)  # what it is called makes no difference: the file is refused
        else:
            self._place(value, spot)
        parts: dict[str | int, Spot] = {}
        spot.parts = parts
        self._open.append(_Open(value, spot, parts, path=path))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        spot = self._spot(event)
        spot.one_line_scalar = spot.line == _mark(event.end_mark).line
        self._properties(event.anchor, event.tag)
        text = event.value
        plain = event.implicit[0] and event.tag is None
        if not plain:
            # The first line of a block is the bar and its signs, and no part of the text.
            head = self.text.find("\n", spot.start, spot.end) if event.style in {"|", ">"} else spot.start
            self._texts.append((head if head >= 0 else spot.end, spot.end))
        if self._expects_key():
            self._scalar_key(text, spot, plain=plain)
            return
        if not self._open:
            self._find("not-a-mapping", "the file is a single value", "write key: value lines")
            raise _Enough
        self._place(self._plain(text) if plain else self._quoted(text), spot)

    def _scalar_key(self, text: str, spot: Spot, *, plain: bool) -> None:
        frame = self._open[-1]
        self._take_key(text, spot)
        if not plain:
            self._quoted(text)
        elif text not in PLAIN_KEYS and not isinstance(self._plain(text), str):
            hint = f"write it in quotes: {quoted(text)}"
            self._find("key-not-text", f"the key {text}".rstrip() + " is not text", hint)
        composed = unicodedata.normalize("NFC", text)
        if composed in frame.firsts:
            message = f"the key {quoted(shown(text))} stands here again, after line {frame.firsts[composed]}"
            self._find("duplicate-key", message, "keep one of them")
        else:
            frame.firsts[composed] = spot.line + 1

    def _plain(self, text: str) -> Json:
        """Read an unquoted scalar as JSON would, and refuse what only some readers would take for text."""
        if text in WORDS:
            return WORDS[text]
        if JSON_INTEGER.fullmatch(text):
            if len(text) <= 20 and LEAST_INTEGER <= int(text) <= MOST_INTEGER:
                return int(text)
            self._find("number-range", f"{shown(text)} does not fit in 64 bits", "write it in quotes")
        elif JSON_NUMBER.fullmatch(text):
            if math.isfinite(float(text)):
                return float(text)
            self._find("number-range", f"{shown(text)} is larger than any number", "write it in quotes")
        elif reason := misread(text):
            hint = f"write it in quotes: {quoted(shown(text))}"
            if text.lower() in {"true", "false", "null"}:
                hint = f"write {text.lower()}, or in quotes if text is meant: {quoted(text)}"
            message = f"{shown(text)} without quotes is {reason} to some readers of YAML"
            self._find("ambiguous-scalar", message, hint)
        return text

    def _quoted(self, text: str) -> str:
        if has_surrogate(text):
            self._find("not-utf8", "an escape stands for half a character (a lone surrogate)")
        return text

    def _properties(self, anchor: str | None, tag: str | None) -> None:
        if anchor is not None:
            self._find("alias", f"an anchor (&{anchor}) is not allowed", "remove it")
        if tag is not None:
            self._find("tag", f"a tag ({quoted(shown(tag))}) is not allowed", "remove it")

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _take_key(self, key: str, spot: Spot) -> None:
        self._open[-1].key = key
        self._open[-1].key_place = (spot.line, spot.column)

    def _place(self, value: Json, spot: Spot) -> None:
        """Put a value where the parser stands: into the innermost open mapping or list."""
        if not self._open:
            self.value, self.root = value, spot
            return
        frame = self._open[-1]
        if isinstance(frame.value, list):
            frame.parts[len(frame.value)] = spot
            frame.value.append(value)
        elif frame.key is None:  # an alias that stands as a key, and was refused
            self._take_key("", spot)
        else:
            spot.key = frame.key_place
            frame.parts[frame.key] = spot
            frame.value[frame.key] = value
            frame.key = None

    def _spot(self, event: yaml.NodeEvent) -> Spot:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._find("too-many-nodes", f"there are more than {MOST_NODES:,} keys and values")
            raise _Enough
        return Spot(*self._at, end=_mark(event.end_mark).offset)

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        self._at = _mark(error.problem_mark or error.context_mark)
        problem = f"{error.context or ''} {error.problem or ''}"
        sentences = (sentence for words, sentence in _SYNTAX.items() if words in problem)
        message, hint = next(sentences, (f"this cannot be read as YAML: {error.problem}", None))
        code = "syntax"
        if self.text[self._at.offset : self._at.offset + 1] == "\t":
            code, message, hint = _TAB
        elif "\t" in self.text[: self._at.offset].rpartition("\n")[2]:
            hint = _TAB[2]
        if "quoted scalar" in problem and "end of stream" in problem:
            self._at = _mark(error.context_mark)  # where the quote is, not where the file ends
        self._find(code, message, hint)

    def _tabs(self) -> None:
        """Refuse tabs outside of quotes, blocks of text and comments: readers of YAML disagree about them."""
        end = 0
        for begin, next_end in [*self._texts, (len(self.text), len(self.text))]:
            for match in _COMMENT_OR_TAB.finditer(self.text, end, begin):
                if match.group() == "\t":
                    before = self.text[: match.start()]
                    column = len(before) - before.rfind("\n") - 1
                    self._at = _Mark(before.count("\n"), column, match.start())
                    self._find(*_TAB)
            end = next_end

    def _find(self, code: str, message: str, hint: str | None = None) -> None:
        key = self._open[-1].inside() if self._open else ()
        before, _, last = self.text.rpartition("\n")
        end = before.count("\n") + 1 if before or self.text.startswith("\n") else 0
        if self._at.line > end:  # one parser ends the last line even where the file does not
            self._at = _Mark(end, len(last), len(self.text))
        self.findings.append(
            Finding(
                code=code,
                file=self.file,
                line=self._at.line + 1,
                column=self._at.column + 1,
                key=key_text(key) or None,
                message=message,
                hint=hint,
            )
        )
        if len(self.findings) == MOST_FINDINGS:
            raise _Enough
