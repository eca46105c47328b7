"""Secrets: what must not reach a branch, a diff or a pull request in clear text.

The shapes of tokens, the names that passwords go by and the measure of randomness are those of
detect-secrets. Its detectors are asked line by line through `analyze_string`, which is a plain function of a
text. The scanner around them is not used: it keeps its settings in the process, so it is not safe in threads;
one of its filters lets a line through on a comment without a reason; and another asks the network whether a
key still works.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from itertools import accumulate
from pathlib import PurePosixPath

from gitrelease.core.finding import AllowedSecret, Finding
from gitrelease.core.values import frozen
from gitrelease.secrets.detectors import SHAPES, detector, measure

MOST_FINDINGS = 100
"""After so many in one file the rest is not listed."""

_HINT = (
    "take it out: name a connection, or a parameter that is set in production; if it is no secret, end the "
    "line with a comment `gitrelease: allow-secret REASON`"
)


# What the names of KeywordDetector and of keys with a random value contain, and one word of SQL.
_NAME_PARTS = (b"key", b"pass", b"pwd", b"secret", b"contrase", b"token", b"auth", b"cred", b"identified")
# Characters that match an ASCII letter where case is ignored; they become that letter before anything else.
_LOOK_ALIKE = (("\u017f", "s"), ("\u212a", "k"), ("\u0131", "i"), ("\u0130", "i"))

# A line may be as long as the file. It is looked at in pieces, which share an end, so that what is shorter is
# whole in one of them, and a pattern whose cost grows with the square of a text has no long text.
_PIECE, _SHARED = 4096, 1024

_QUOTE = r"""\\?["'`]"""
_REFERENCE = r"[$#]\{[^}\n]*\}|\{\{[^}\n]*\}\}|\$\([^)\n]*\)|\$\w+|%\(\w+\)s"
_BARE = rf"""(?:{_REFERENCE}|[^\s,;&|"'`])"""
# Backticks are closed around a name; around a value they make it a command, or a column.
_QUOTED = r"(?P<quote>\\?[\"'])(?P<quoted>(?:(?!(?P=quote))[^\n]){0,512})"
_KEY = re.compile(r"[\w.\-]{1,64}")
_ASSIGNMENT = re.compile(
    rf"(?<![\w.\-])(?P<name>[\w.\-]{{1,64}}+)(?:{_QUOTE}|\]){{0,2}}[ \t]*"
    r"(?P<sign>:=|=>|={1,3}|:(?!//))[ \t]*"
)
_VALUE = re.compile(rf"@?{_QUOTED}|(?P<bare>{_BARE}{{0,512}})")
_BLOCK = re.compile(r"[|>][-+0-9]*[ \t]*(?:#.*)?")
# Ways to hand over a password that are no assignment: in SQL, as an option of a command, in a header.
_SPOKEN = (
    re.compile(rf"\b(?P<name>identified[ \t]+by|password)[ \t]+(?=\\?'){_QUOTED}", re.IGNORECASE),
    re.compile(
        r"(?<!\S)--(?P<name>[\w\-]{0,32}?(?:password|passwd|pwd|token|secret))[ \t]+"
        rf"(?:{_QUOTED}|(?P<bare>{_BARE}{{1,512}}))",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?P<name>authorization)(?:{_QUOTE})?[ \t]*[:=][ \t]*(?:{_QUOTE})?(?:bearer|basic|token)[ \t]+"
        r"(?P<bare>[A-Za-z0-9+/=._~\-]{8,512})",
        re.IGNORECASE,
    ),
)

# What stands for a secret without being one.
_REFERENCES = re.compile(_REFERENCE)
_PLACEHOLDER = re.compile(
    r"<[^<>]*>|\{[\w.]*\}|\*+|x{3,}|[.…#?~]+|%s|:\w+|null|none|nil|true|false|yes|no|[0-9]{1,3}|[)}\]]+",
    re.IGNORECASE,
)
_CALL = re.compile(r"[A-Za-z_][\w.]*[(\[]")
_VARIABLE = re.compile(r"(?:[A-Za-z_]\w*\.)*(?P<last>[A-Za-z_]+)")
_PLAIN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_PATH = re.compile(r"[.~]?/|\.{1,2}$")
_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SHORTEST = 3

# `passwordFile` and `secret_name` say something about a secret, but not what it is.
_ABOUT_A_SECRET = re.compile(
    r".*_(?:name|id|file|path|dir|url|uri|ref|arn|policy|type|length|size|enabled|required|field|column|alias|"
    r"version|expiry|expires|expired|age|day|provider|manager|store|scope|label|hint|regex|pattern|algorithm)s?"
)
_RANDOM_NAME = re.compile(r"key|secret|token|auth|cred|pass|signature", re.IGNORECASE)
_BASE64_TEXT = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/\-_]{20,512}={0,2}")
_HEX_TEXT = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Fa-f]*[A-Fa-f])[0-9A-Fa-f]{20,512}")

# In code, a name on the right side is a variable; in documents and shell it is a text.
_QUOTES_NEEDED = frozenset({".sql", ".py"})
_VALUE_FOLLOWS = frozenset({".yaml", ".yml", ".json"})
_FOLLOWING_LINES = 3

_ALLOW = re.compile(r"(?:#|--)[ \t]*gitrelease:[ \t]*allow-secret(?![\w\-])[ \t]*(?P<reason>[^\n\r]*)")
_ALLOW_LITERAL = b"allow-secret"


@frozen
class _Found:
    line: int
    what: str
    secret: str
    key_line: int | None = None
    """Where the name stands, if the value is on a line below."""


def find(file: str, data: bytes) -> list[Finding]:
    """Say on which lines of a file there is what looks like a secret, without repeating it; ask no network.

    A finding shows the first two characters at most. What is allowed with a reason is not found.
    """
    data = _plain(data)
    lines = _Lines(data)
    allows = _allows(data, lines)
    findings = [
        Finding(
            code="allow-secret-reason",
            file=file,
            line=line,
            message="the comment allow-secret gives no reason",
            hint="write `gitrelease: allow-secret REASON`, so that reviewers can judge it",
        )
        for line, reason in allows.items()
        if not reason
    ]
    seen: set[tuple[int, str]] = set()
    for found in _search(file, data, lines):
        here = {found.line, found.key_line} - {None}
        if any(allows.get(line) for line in here if line is not None) or (found.line, found.what) in seen:
            continue
        if len(seen) == MOST_FINDINGS:
            message = f"more than {MOST_FINDINGS} lines look like secrets; the others are not listed"
            findings.append(Finding(code="secret", file=file, line=found.line, message=message, hint=_HINT))
            break
        seen.add((found.line, found.what))
        message = f"this looks like a secret: {found.what}{_beginning(found.secret)}"
        findings.append(Finding(code="secret", file=file, line=found.line, message=message, hint=_HINT))
    return sorted(findings, key=lambda finding: finding.line or 0)


def allowed(file: str, data: bytes) -> list[AllowedSecret]:
    """List the lines that let a secret through with a reason, for the plan that reviewers read."""
    data = _plain(data)
    return [
        AllowedSecret(file=file, line=line, reason=reason)
        for line, reason in _allows(data, _Lines(data)).items()
        if reason
    ]


def _beginning(secret: str) -> str:
    """Show so much of a secret that its owner knows it: two characters, of a short one none."""
    first = secret[:2]
    return f", {first}…" if len(secret) >= 8 and first.isascii() and first.isalnum() else ""


def _plain(data: bytes) -> bytes:
    if data.isascii():
        return data
    for character, letter in _LOOK_ALIKE:
        data = data.replace(character.encode(), letter.encode())
    return data


class _Lines:
    """Where the lines of a file start; a line is decoded when it is looked at."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._starts: list[int] | None = None

    @property
    def starts(self) -> list[int]:
        """Found when first needed: most files hold nothing to look at."""
        if self._starts is None:
            lengths = (len(line) + 1 for line in self.data.split(b"\n")[:-1])
            self._starts = list(accumulate(lengths, initial=0))
        return self._starts

    def __len__(self) -> int:
        return len(self.starts)

    def text(self, line: int) -> str:
        """Give a line, counted from 1, without its end."""
        end = self.starts[line] - 1 if line < len(self) else len(self.data)
        return self.data[self.starts[line - 1] : end].decode("utf-8", "replace")

    def holding(self, literal: bytes, data: bytes) -> Iterator[int]:
        """Give the lines that hold a text; `data` is the file, or the file in lower case."""
        at = data.find(literal)
        while at >= 0:
            line = bisect_right(self.starts, at)
            yield line
            if line >= len(self):
                return
            at = data.find(literal, self.starts[line])


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Give the pieces of a line, and whether the line goes on behind the piece."""
    start = 0
    while start + _PIECE < len(text):
        yield text[start : start + _PIECE], True
        start += _PIECE - _SHARED
    yield text[start:], False


def _allows(data: bytes, lines: _Lines) -> dict[int, str]:
    """Give the lines with the comment that allows a secret, and the reason, which may be empty."""
    if _ALLOW_LITERAL not in data:
        return {}
    found: dict[int, str] = {}
    for line in lines.holding(_ALLOW_LITERAL, data):
        if match := _ALLOW.search(lines.text(line)):
            # Quotes and a closing comment may follow where the comment stands inside of something.
            found[line] = match["reason"].strip().removesuffix("*/").strip(" \t\"'")
    return found


@frozen
class _Name:
    """A name that secrets go by, whose value has not come yet."""

    text: str
    line: int
    beside: int | None = None
    """The column of `name:` in the long form `name: …`, `value: …`; the value stands in the same one."""


def _search(file: str, data: bytes, lines: _Lines) -> Iterator[_Found]:
    """Give what is found, kind by kind."""
    lower = data.lower()  # of bytes: ASCII letters only, so that every position stays
    for shape in SHAPES:
        holding: set[int] = set()
        for literal in shape.exact:
            if literal in data:
                holding.update(lines.holding(literal, data))
        for literal in shape.any_case:
            if literal in lower:
                holding.update(lines.holding(literal, lower))
        for line in sorted(holding):
            texts = (text for piece, _ in _pieces(lines.text(line)) for text in shape.texts(piece))
            for text in texts:
                for secret in shape.detector.analyze_string(text):
                    if not (shape.may_be_reference and _stands_for_a_secret(secret)):
                        yield _Found(line=line, what=shape.detector.secret_type, secret=secret)
    named = {line for part in _NAME_PARTS if part in lower for line in lines.holding(part, lower)}
    suffix = PurePosixPath(file).suffix
    for line in sorted(named):
        yield from _spoken(line, lines.text(line))
        yield from _given(suffix, lines, line)


def _spoken(line: int, text: str) -> Iterator[_Found]:
    for piece, goes_on in _pieces(text):
        for pattern in _SPOKEN:
            for match in pattern.finditer(piece):
                if goes_on and match.end() == len(piece):
                    continue  # it is cut off here, and whole in the next piece
                groups = match.groupdict()
                secret = groups.get("quoted") or groups.get("bare") or ""
                if len(secret) >= _SHORTEST and not _stands_for_a_secret(secret):
                    yield _Found(line=line, what=f"a value for {match['name'].casefold()!r}", secret=secret)


def _given(suffix: str, lines: _Lines, line: int) -> Iterator[_Found]:
    """Look at what is given to names of secrets on a line, or just below it."""
    text = lines.text(line)
    waiting: _Name | None = None
    for piece, goes_on in _pieces(text):
        at = 0
        while assignment := _ASSIGNMENT.search(piece, at):
            at = assignment.end()
            name = assignment["name"]
            value, is_bare, end = _value(piece, at)
            if goes_on and end == len(piece):
                break  # it is cut off here, and whole in the next piece
            if name.casefold() == "name" and _names_a_secret(value):
                waiting = _Name(text=value, line=line, beside=assignment.start("name"))
                continue
            owner = waiting.text if name.casefold() == "value" and waiting else name
            if _Secrecy.of(owner) is _Secrecy.NONE:
                continue
            if suffix in _VALUE_FOLLOWS and _comes_later(piece[at:]):
                waiting = _Name(text=owner, line=line)
                continue
            if is_bare and (suffix in _QUOTES_NEEDED or _is_prose(piece, assignment)):
                continue
            if _is_secret(owner, value, is_bare=is_bare):
                yield _Found(line=line, what=f"a value for {owner!r}", secret=value)
                at = max(at, end)
    if waiting is not None and suffix in _VALUE_FOLLOWS:
        yield from _below(lines, waiting)


def _names_a_secret(value: str) -> bool:
    # A message repeats the name, so it has to be one, and no sentence that tells the secret.
    return _KEY.fullmatch(value) is not None and _Secrecy.of(value) is not _Secrecy.NONE


def _value(piece: str, at: int) -> tuple[str, bool, int]:
    """Give the value that starts at a place, whether it stands there without quotes, and where it ends."""
    match = _VALUE.match(piece, at)
    if match is None:
        return "", True, at
    if match["quote"] is not None:
        return match["quoted"], False, match.end()
    return match["bare"], True, match.end()


def _comes_later(rest: str) -> bool:
    """Say whether what follows a colon only opens a value: nothing, `|`, or a mapping."""
    rest = rest.strip()
    opens_mapping = rest.startswith("{") and not rest.startswith("{{")
    return not rest or rest.startswith("#") or _BLOCK.fullmatch(rest) is not None or opens_mapping


def _is_prose(piece: str, assignment: re.Match[str]) -> bool:
    """Say whether a colon stands in a sentence, as in `ask for the password: it changes`."""
    before = piece[: assignment.start()].rstrip()
    return assignment["sign"] == ":" and bool(before) and before[-1] not in "-{,[#\"'`(\\"


def _below(lines: _Lines, owner: _Name) -> Iterator[_Found]:
    """Look at the lines below a name for its value: `value: …`, or a text of its own."""
    top = lines.text(owner.line)
    indent = len(top) - len(top.lstrip(" "))
    is_block = _BLOCK.fullmatch(top.rpartition(":")[2].strip()) is not None
    for line in range(owner.line + 1, min(owner.line + _FOLLOWING_LINES, len(lines)) + 1):
        text = lines.text(line)[:_PIECE]
        if not text.strip():
            continue
        if len(text) - len(text.lstrip(" ")) <= indent:
            return
        assignment = None if is_block else _ASSIGNMENT.search(text)
        if assignment is None:
            value, is_bare, _ = _value(text.strip(), 0)
        elif assignment["name"].casefold() == "value" and owner.beside in {None, assignment.start("name")}:
            value, is_bare, _ = _value(text, assignment.end())
        else:
            continue
        if _is_secret(owner.text, value, is_bare=is_bare):
            yield _Found(line=line, what=f"a value for {owner.text!r}", secret=value, key_line=owner.line)
        return


class _Secrecy(Enum):
    """What the name of a key says about its value."""

    NONE = "nothing"
    RANDOM = "a secret, if it looks random"
    KEYWORD = "a secret"

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(name: str) -> _Secrecy:
        """Ask detect-secrets whether secrets go by this name, and look at names that often are no secret."""
        words = _WORD_STARTS.sub("_", name).replace("-", "_").replace(".", "_").casefold()
        if _ABOUT_A_SECRET.fullmatch(words):
            return _Secrecy.NONE
        if any(detector("keyword.KeywordDetector").analyze_string(f'{name} = "text"')):
            return _Secrecy.KEYWORD
        return _Secrecy.RANDOM if _RANDOM_NAME.search(name) else _Secrecy.NONE


def _is_secret(name: str, value: str, *, is_bare: bool) -> bool:
    if len(value) < _SHORTEST or _stands_for_a_secret(value) or _PLAIN_URL.match(value):
        return False
    if is_bare and (_CALL.match(value) or _is_variable(value)):
        return False
    if _Secrecy.of(name) is _Secrecy.KEYWORD:
        # The working directory goes by the same name as a password.
        return not (name.casefold() in {"pwd", "oldpwd"} and _PATH.match(value))
    if _HEX_TEXT.fullmatch(value):
        return _is_random(value, "HexHighEntropyString")
    return _BASE64_TEXT.fullmatch(value) is not None and _is_random(value, "Base64HighEntropyString")


def _is_random(value: str, by: str) -> bool:
    how = measure(f"high_entropy_strings.{by}")
    return how.calculate_shannon_entropy(value) > how.entropy_limit


def _is_variable(value: str) -> bool:
    """Say whether a text without quotes is a variable or a column that holds a secret: `u.password`."""
    match = _VARIABLE.fullmatch(value)
    return match is not None and _Secrecy.of(match["last"]) is _Secrecy.KEYWORD


def _stands_for_a_secret(value: str) -> bool:
    """Say whether nothing of a value is itself a secret: what is left without its references is no text."""
    rest = _REFERENCES.sub("", value).strip()
    return not rest or _PLACEHOLDER.fullmatch(rest) is not None
