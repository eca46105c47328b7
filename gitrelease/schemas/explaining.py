"""Explaining: everything that is wrong with a document, in sentences of ours, each where it belongs.

What the schemas mean is decided here, by `jsonschema`. It is large, and needed only where something is wrong
or could be, so that nothing imports this module before.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator, TypeChecker
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource

from gitrelease.core.finding import Finding, Key, Problem, key_text
from gitrelease.core.values import frozen
from gitrelease.documents import Document, quoted
from gitrelease.schemas.shipped import kinds, schema


def _is_integer(_: TypeChecker, value: object) -> bool:
    """Say whether a value is written as a whole number: 1.0 is none, as our own code asks for an int."""
    return isinstance(value, int) and not isinstance(value, bool)


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    # Where a JSON Schema says "the end", Python's $ would let one more line end pass.
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern))


def _matches(
    _validator: Validator, pattern: str, instance: object, _schema: object
) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _pattern(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Checker = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={"pattern": _matches},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@cache
def _registry() -> Registry[Any]:
    every = (schema(kind) for kind in kinds())
    return Registry().with_resources((one["$id"], Resource.from_contents(one)) for one in every)


@cache
def _checker(kind: str) -> Validator:
    checker: Validator = _Checker(schema(kind), registry=_registry())
    return checker


@frozen
class _Fault:
    """One rule that a value breaks, as the library found it."""

    rule: str
    wanted: Any
    found: Any
    key: Key
    schema: Mapping[str, Any]
    """The schema that the rule stands in."""
    in_name: bool
    """Whether the name of a key breaks the rule, not the value under it."""
    branches: tuple[tuple[_Fault, ...], ...]
    """For a rule that offers a choice: what is wrong with each."""


def _fault(error: ValidationError) -> _Fault:
    branches: dict[object, list[_Fault]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(_fault(inner))
    return _Fault(
        rule=str(error.validator),
        wanted=error.validator_value,
        found=error.instance,
        key=tuple(error.absolute_path),
        schema=error.schema if isinstance(error.schema, Mapping) else {},
        in_name="propertyNames" in list(error.absolute_schema_path)[-2:-1],
        branches=tuple(tuple(faults) for faults in branches.values()),
    )


def findings_in(document: Document, kind: str) -> list[Finding]:
    """Find everything in a document that its schema does not allow, in the order of the file."""
    findings: dict[Finding, None] = {}  # one fault can break two rules in the same words
    for error in _checker(kind).iter_errors(document.value):
        for problem in _problems(_fault(error)):
            at_key = problem.code in {"unknown-key", "bad-name"}
            line, column = (document.key_place if at_key else document.place)(problem.key)
            finding = Finding(
                code=problem.code,
                file=document.file,
                line=line,
                column=column,
                key=key_text(problem.key) or None,
                message=problem.message,
                hint=problem.hint,
            )
            findings[finding] = None
    return sorted(findings, key=lambda one: (one.line or 0, one.column or 0, one.message))


def problems_in(value: object, kind: str) -> list[Problem]:
    """Find everything in a value that the schema of its kind does not allow."""
    return [
        problem
        for error in _checker(kind).iter_errors(cast("Any", value))
        for problem in _problems(_fault(error))
    ]


def first_error(value: Mapping[str, object], own: Mapping[str, object]) -> tuple[Key, str] | None:
    """Say in the library's words what is wrong with a value that a schema of somebody else's describes."""
    errors = sorted(Draft202012Validator(own).iter_errors(dict(value)), key=str)
    return (tuple(errors[0].absolute_path), errors[0].message) if errors else None


def _problems(fault: _Fault) -> Iterator[Problem]:
    """Say in our words what a fault means."""
    match fault.rule:
        case "additionalProperties":
            yield from (_unknown_key(fault, name) for name in _unknown_names(fault))
        case "required":
            for name in fault.wanted:
                if name not in fault.found:
                    message = f"the key {quoted(name)} is missing"
                    yield Problem(code="missing-key", key=fault.key, message=message, hint=f"add {name}: ...")
        case "oneOf" | "anyOf" if "errorMessage" not in fault.schema:
            for inner in _most_useful(fault):
                yield from _problems(inner)
        case _:
            code, message, hint = _wrong_value(fault)
            if fault.in_name:
                message = (
                    f"the name {_shown(fault.found)} {message.removeprefix(_shown(fault.found)).strip()}"
                )
                yield Problem(code="bad-name", key=(*fault.key, fault.found), message=message, hint=hint)
            else:
                yield Problem(code=code, key=fault.key, message=message, hint=hint)


def _unknown_names(fault: _Fault) -> list[str]:
    known = fault.schema.get("properties", {})
    patterns = fault.schema.get("patternProperties", {})
    return [
        name
        for name in fault.found
        if name not in known and not any(re.search(pattern, name) for pattern in patterns)
    ]


def _unknown_key(fault: _Fault, name: str) -> Problem:
    free = [known for known in fault.schema.get("properties", {}) if known not in fault.found]
    if near := _near(name, free):
        hint = f"did you mean {near}? What the schema does not know is called x-..."
    elif "patternProperties" in fault.schema:
        hint = f"remove it, or call it {_shown(f'x-{name}')} if it is to be kept"
    else:
        hint = "remove it"
    key = (*fault.key, name)
    return Problem(code="unknown-key", key=key, message=f"unknown key {_shown(name)}", hint=hint)


def _most_useful(choice: _Fault) -> Sequence[_Fault]:
    """Find the branch of a choice that was meant, and give what is wrong with it."""

    def has_wrong_type(faults: Sequence[_Fault]) -> bool:
        return any(fault.rule == "type" and fault.key == choice.key for fault in faults)

    fitting = [faults for faults in choice.branches if not has_wrong_type(faults)]
    if fitting:
        return min(fitting, key=_distance)
    types = [kind for faults in choice.branches for fault in faults for kind in _listed(fault.wanted)]
    return [replace(choice, rule="type", wanted=list(dict.fromkeys(types)))]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _distance(faults: Sequence[_Fault]) -> int:
    """Count what would have to change for a branch to fit. Its keys say most about what was meant."""

    def weight(fault: _Fault) -> int:
        match fault.rule:
            case "additionalProperties":
                return 2 * len(_unknown_names(fault))
            case "required":
                return 2
        return 1

    return sum(weight(fault) for fault in faults)


def _wrong_value(fault: _Fault) -> tuple[str, str, str | None]:
    """Say what is wrong with one value: a code, a sentence, a hint."""
    found, wanted = fault.found, fault.wanted
    match fault.rule:
        case "type":
            return "wrong-type", *_wrong_type(found, _listed(wanted))
        case "enum":
            return "not-a-choice", *_not_a_choice(found, wanted)
        case "const":
            return "not-a-choice", *_not_a_choice(found, [wanted])
        case "pattern":
            rule = fault.schema.get("patternErrorMessage", f"does not match {wanted}")
            subject = _shown(found) if len(found) <= 40 else "the text"  # it may be a private key
            return "wrong-form", f"{subject} {rule}", None
        case "minimum" | "maximum":
            return "out-of-range", f"{_range(fault.schema)}, not {found}", None
        case "minLength" | "minItems" | "minProperties" if not found:
            return "too-few", "must not be empty", None
        case "minLength" | "maxLength":
            limit = "at least" if fault.rule == "minLength" else "at most"
            return "wrong-length", f"must have {limit} {wanted} characters, and has {len(found)}", None
        case "minItems" | "minProperties":
            return "too-few", f"must have at least {wanted} entries, and has {len(found)}", None
        case "maxItems" | "maxProperties":
            return "too-many", f"must have at most {wanted} entries, and has {len(found)}", None
        case "uniqueItems":
            return "listed-twice", "lists something twice", "list each once"
    return "not-allowed", str(fault.schema.get("errorMessage", "is not allowed here")), None


_UNQUOTED = re.compile(r"true|false|-?[0-9]+(?:\.[0-9]+)?")
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


def _wrong_type(found: object, types: Sequence[str]) -> tuple[str, str | None]:
    hint = None
    if "string" in types and isinstance(found, int | float):
        hint = f"write it in quotes: {quoted(json.dumps(found))}"
    elif isinstance(found, str) and _UNQUOTED.fullmatch(found) and "string" not in types:
        hint = "write it without quotes"
    names = " or ".join(_TYPES[one] for one in types)
    return f"must be {names}, not {_kind_of(found)}", hint


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return "a text"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"


def _not_a_choice(found: object, choices: Sequence[object]) -> tuple[str, str | None]:
    shown = ", ".join(str(one) if isinstance(found, str) else _shown(one) for one in choices)
    message = f"must be {'one of ' if len(choices) > 1 else ''}{shown}, not {_shown(found)}"
    texts = [one for one in choices if isinstance(one, str)]
    if not isinstance(found, str):
        written = json.dumps(found)
        return message, f"write it in quotes: {quoted(written)}" if written in texts else None
    near = _near(found, texts)
    return message, f"did you mean {near}?" if near else None


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"must be from {low} to {high}"
    return f"must be at least {low}" if low is not None else f"must be at most {high}"


def _near(found: str, names: Sequence[str]) -> str | None:
    """Give the name that was probably meant."""
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(found[:100].lower(), lowered, n=1, cutoff=0.75)
    return lowered[near[0]] if near else None


def _shown(value: object) -> str:
    """Show a value from the file, short, and with nothing in it that a terminal would obey."""
    if isinstance(value, str):
        return quoted(value if len(value) <= 60 else f"{value[:57]}...")
    if isinstance(value, Mapping | list):
        return _kind_of(value)
    return json.dumps(value)
