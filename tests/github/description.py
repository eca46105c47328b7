"""GitHub's official description of its REST API, cut down: which operations there are, and what may be said.

Answers of the server are checked against it as closed: a field that GitHub does not have is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

SPEC = Path(__file__).parent / "spec"
FREE = {"ref", "branch", "basehead", "tag", "environment_name"}
"""Parts of a path that may have slashes in them."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation that the server answers."""

    id: str
    method: str
    path: str
    query: Mapping[str, Any]
    body: Mapping[str, Any] | None
    answers: Mapping[str, Any]
    pattern: re.Pattern[str]

    @property
    def paged(self) -> bool:
        """Say whether an answer comes in pages."""
        return "per_page" in self.query


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a request leads: an operation with its arguments, or None if GitHub has it and the server has not."""

    operation: Operation | None
    arguments: Mapping[str, str]


@cache
def _whole() -> Any:
    return json.loads((SPEC / "rest.json").read_text(encoding="utf-8"))


@cache
def _pattern(path: str) -> re.Pattern[str]:
    def part(found: re.Match[str]) -> str:
        return f"(?P<{found[1]}>{'.+' if found[1] in FREE else '[^/]+'})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", part, re.escape(path)))


@cache
def operations() -> tuple[Operation, ...]:
    """List the operations that the server answers; those with the most fixed words come first."""
    made = [Operation(**kept, pattern=_pattern(kept["path"])) for kept in _whole()["operations"]]
    return tuple(sorted(made, key=lambda it: -_fixed(it.path)))


@cache
def _others(method: str, first: str) -> tuple[tuple[int, str], ...]:
    """List paths that GitHub answers and the server does not, with how many of their letters are fixed."""
    found = _whole()["others"].items()
    return tuple(
        (_fixed(path), path)
        for path, methods in found
        if method.lower() in methods.split() and path.split("/")[1] == first
    )


def route(method: str, path: str) -> Route | None:
    """Find what a request asks for; None if GitHub has nothing there either."""
    found = next(_routes(method, path), None)
    # A name may as well be a word of an operation that is not answered here: the longer one is meant.
    fixed = _fixed(found.operation.path) if found and found.operation else -1
    for length, other in _others(method, path.split("/")[1]):
        if length > fixed and _pattern(other).fullmatch(path):
            return Route(operation=None, arguments={})
    return found


def _routes(method: str, path: str) -> Iterator[Route]:
    for operation in operations():
        if operation.method == method and (found := operation.pattern.fullmatch(path)):
            arguments = {name: unquote(value) for name, value in found.groupdict().items()}
            yield Route(operation=operation, arguments=arguments)


def _fixed(path: str) -> int:
    return len(re.sub(r"\{\w+\}", "", path))


@cache
def _validator(key: tuple[str, ...]) -> jsonschema_rs.Draft202012Validator:
    whole = _whole()
    if key[0] == "schema":
        schema: Any = {"$ref": f"#/schemas/{key[1]}"}
    else:
        found = next(it for it in whole["operations"] if it["id"] == key[1])
        schema = found[key[0]] if len(key) == 2 else found[key[0]][key[2]]
    return jsonschema_rs.Draft202012Validator({**schema, "schemas": whole["schemas"]}, validate_formats=True)


def wrong_answer(operation: Operation, status: int, body: Any) -> list[str]:
    """Say what GitHub would never answer so. Refusals that are not described have the shape of all refusals."""
    described = str(status) in operation.answers
    if status >= 400 and (not described or operation.answers[str(status)] is None):
        return wrong_refusal(body)
    if not described:
        return [f"{operation.id} never answers {status}"]
    if operation.answers[str(status)] is None:
        return [] if body is None else [f"{operation.id} has no body with {status}"]
    key = ("answers", operation.id, str(status))
    if status >= 400:
        return [] if _validator(key).is_valid(body) else wrong_refusal(body)
    return [f"{operation.id} {status}: {line}" for line in _errors(_validator(key), body)]


def wrong_refusal(body: Any) -> list[str]:
    """Say what is no refusal of GitHub's: a message, where to read about it, and what was wrong."""
    names = {"message", "documentation_url", "errors", "status"}
    if isinstance(body, dict) and "message" in body and set(body) <= names:
        return []
    return [f"no refusal looks like {body}"]


def wrong_body(operation: Operation, body: Any) -> list[str]:
    """Say what is wrong with what was sent."""
    if operation.body is None:
        return [] if body in (None, {}) else [f"{operation.id} takes no body"]
    return _errors(_validator(("body", operation.id)), {} if body is None else body)


def wrong_query(operation: Operation, query: Mapping[str, str]) -> list[str]:
    """Say which parameters do not exist, or hold what they never hold."""
    wrong = [f"{operation.id} has no parameter {name}" for name in query if name not in operation.query]
    for name, text in query.items():
        schema = operation.query.get(name, {})
        allowed = schema.get("enum")
        if allowed and text not in allowed:
            wrong.append(f"{operation.id}: {name} is one of {allowed}, not {text}")
        if schema.get("type") == "integer" and not text.isdigit():
            wrong.append(f"{operation.id}: {name} is a number, not {text}")
    return wrong


def _errors(validator: jsonschema_rs.Draft202012Validator, value: Any) -> list[str]:
    found: Iterator[Any] = validator.iter_errors(value)
    return [f"/{'/'.join(map(str, it.instance_path))}: {it.message[:300]}" for it in found]


def fill(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Complete an answer: what the schema requires and the server does not model is empty, but of the right shape."""
    made = dict(fields)
    for key, schema in _fillers(name):
        if key not in made:
            made[key] = f"{fields['url']}/{key[:-4]}" if key.endswith("_url") else _plain(schema)
    return made


@cache
def _fillers(name: str) -> tuple[tuple[str, Any], ...]:
    schema = _whole()["schemas"][name]
    return tuple((key, schema["properties"][key]) for key in schema["required"])


def _plain(schema: Mapping[str, Any]) -> Any:
    while "$ref" in schema:
        schema = _whole()["schemas"][schema["$ref"].rpartition("/")[2]]
    kind = schema.get("type")
    if "anyOf" in schema:
        empty = any(part.get("type") == "null" for part in schema["anyOf"])
        return None if empty else _plain(schema["anyOf"][0])
    if isinstance(kind, list):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object":
        return {key: _plain(schema["properties"][key]) for key in schema.get("required", ())}
    empty_of: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
    return empty_of[str(kind)]
