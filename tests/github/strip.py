"""Cut GitHub's official descriptions down to what the loopback server answers; run by hand when they change.

    npm pack @octokit/openapi @octokit/graphql-schema      # and unpack both, outside this project
    python -m tests.github.strip OPENAPI_FOLDER GRAPHQL_FOLDER

Prose and examples go, shapes stay. What was kept is written into `spec/`, beside the licences it came under.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphql import parse, print_ast
from graphql.language import (
    EnumTypeDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
    UnionTypeDefinitionNode,
)

from tests.github.spec.kept import FIELDS, OPERATIONS, REPAIRS, SPARE_FIELDS

SPEC = Path(__file__).parent / "spec"
METHODS = ("get", "put", "post", "patch", "delete")
PROSE = {"description", "example", "examples", "title", "externalDocs", "deprecated", "default", "readOnly"}


class Cut:
    """One description on its way to being small: schemas are kept when something kept names them."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self.whole = whole
        self.schemas: dict[str, Any] = {}

    def found(self, ref: str) -> Any:
        """Give what a reference names."""
        value: Any = self.whole
        for part in ref.removeprefix("#/").split("/"):
            value = value[part]
        return value

    def follow(self, value: Any) -> Any:
        """Give the thing itself where a reference to it stands."""
        return self.found(value["$ref"]) if "$ref" in value else value

    def schema(self, value: Any) -> Any:
        """Rewrite a schema of OpenAPI 3.0 as JSON Schema: without prose, closed, `nullable` spelled out."""
        if "$ref" in value:
            name = value["$ref"].rpartition("/")[2]
            if name not in self.schemas:
                self.schemas[name] = None
                self.schemas[name] = self.schema(self.found(value["$ref"]))
            return {"$ref": f"#/schemas/{name}"}
        made = {key: part for key, part in value.items() if key not in PROSE and not key.startswith("x-")}
        for key in ("properties",):
            if key in made:
                spare = SPARE_FIELDS & (set(made[key]) - set(made.get("required", ())))
                made[key] = {name: self.schema(part) for name, part in made[key].items() if name not in spare}
        for key in ("items", "not", "additionalProperties"):
            if isinstance(made.get(key), dict):
                made[key] = self.schema(made[key])
        for key in ("allOf", "anyOf", "oneOf"):
            if key in made:
                made[key] = [self.schema(part) for part in made[key]]
        if "oneOf" in made:  # several of them overlap: what is meant is that one of them fits
            made["anyOf"] = made.pop("oneOf")
        if "properties" in made and "additionalProperties" not in made:
            made["additionalProperties"] = False
        return _nullable(made)

    def whole_allof(self) -> None:
        """Merge the parts of every `allOf`, since closed parts would exclude each other."""
        for name, schema in self.schemas.items():
            self.schemas[name] = self._merged(schema)

    def _merged(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._merged(part) for part in value]
        if not isinstance(value, dict):
            return value
        made = {key: self._merged(part) for key, part in value.items()}
        if "allOf" not in made:
            return made
        parts = [self._resolved(part) for part in made.pop("allOf")]
        whole: dict[str, Any] = {}
        for part in [*parts, made]:
            for key, content in part.items():
                if key == "properties":
                    whole[key] = whole.get(key, {}) | content
                elif key == "required":
                    whole[key] = sorted({*whole.get(key, []), *content})
                else:
                    whole[key] = content
        return whole

    def _resolved(self, part: Any) -> Any:
        name = part.get("$ref", "").rpartition("/")[2]
        return self._merged(self.schemas[name]) if name else part

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Keep one operation: its query, its body, and its answers by status."""
        found = self.whole["paths"][path][method.lower()]
        query: dict[str, Any] = {}
        for parameter in map(self.follow, found.get("parameters", ())):
            if parameter["in"] == "query":
                query[parameter["name"]] = self.schema(parameter["schema"])
        body = found.get("requestBody", {})
        return {
            "id": found["operationId"],
            "method": method,
            "path": path,
            "query": query,
            "body": self.content(body),
            "answers": {status: self.content(self.follow(it)) for status, it in found["responses"].items()},
        }

    def content(self, value: Mapping[str, Any]) -> Any:
        """Keep the JSON that stands for a body, None where there is none."""
        media = value.get("content", {}).get("application/json")
        return None if media is None else self.schema(media["schema"])

    def used(self, kept: Any) -> None:
        """Forget schemas that nothing kept names any more."""
        names: set[str] = set()
        waiting = [kept]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                name = value["$ref"].rpartition("/")[2] if isinstance(value.get("$ref"), str) else None
                if name and name not in names:
                    names.add(name)
                    waiting.append(self.schemas[name])
                waiting.extend(value.values())
            elif isinstance(value, list):
                waiting.extend(value)
        self.schemas = {name: self.schemas[name] for name in sorted(names)}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema.pop("nullable", False):
        return schema
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}


def rest(source: Path) -> dict[str, Any]:
    """Cut the description of the REST API."""
    whole = json.loads((source / "generated/api.github.com.json").read_text(encoding="utf-8"))
    cut = Cut(whole)
    operations = [cut.operation(*kept.split(" ")) for kept in OPERATIONS]
    cut.schema({"$ref": "#/components/schemas/basic-error"})
    cut.schema({"$ref": "#/components/schemas/validation-error"})
    cut.whole_allof()
    for repair in REPAIRS:
        repair(cut.schemas, {operation["id"]: operation for operation in operations})
    cut.used([operations, {"$ref": "#/schemas/basic-error"}, {"$ref": "#/schemas/validation-error"}])
    package = json.loads((source / "package.json").read_text(encoding="utf-8"))
    kept = {(it["path"], it["method"].lower()) for it in operations}
    others = {
        path: " ".join(left)
        for path, methods in whole["paths"].items()
        # One operation stands there twice, under an older way to write its path.
        if "..." not in path
        and (left := [method for method in METHODS if method in methods and (path, method) not in kept])
    }
    return {
        "source": f"{package['name']} {package['version']}",
        "operations": operations,
        "schemas": cut.schemas,
        "others": others,
    }


def graphql(source: Path) -> str:
    """Cut the schema of the GraphQL API: the fields named in `kept.py`, and the types that those need."""
    whole: dict[str, Any] = {
        node.name.value: node
        for node in parse((source / "schema.graphql").read_text(encoding="utf-8")).definitions
        if isinstance(node, TypeDefinitionNode)
    }
    made: dict[str, Any] = {}
    waiting = ["Query"]
    while waiting:
        name = waiting.pop()
        if name in made or name not in whole:
            continue
        made[name], needed = _kept(name, whole[name])
        waiting.extend(needed)
        # Types that are only reached through an interface are kept where they are asked for by name.
        implementing = [
            other
            for other in FIELDS
            if name in {it.name.value for it in getattr(whole[other], "interfaces", None) or ()}
        ]
        waiting.extend(implementing if name != "Node" else ())
    lost = [name for name in FIELDS if name not in made]
    if lost:
        raise SystemExit(f"nothing leads to {lost}")
    return "\n\n".join(print_ast(made[name]) for name in sorted(made)) + "\n"


def _kept(name: str, node: Any) -> tuple[Any, list[str]]:
    """Keep of a type what is wanted, and name the types that this needs."""
    plain = replace(node, description=None, directives=())
    if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
        missing = set(FIELDS[name]) - {field.name.value for field in node.fields or ()}
        if missing:
            raise SystemExit(f"{name} has no {sorted(missing)}")
        fields = tuple(_bare(field) for field in node.fields or () if field.name.value in FIELDS[name])
        above = tuple(
            it for it in node.interfaces or () if set(FIELDS.get(it.name.value, ("?",))) <= set(FIELDS[name])
        )
        needed = [_named(part.type) for field in fields for part in (field, *(field.arguments or ()))]
        return replace(plain, fields=fields, interfaces=above), [*needed, *(it.name.value for it in above)]
    if isinstance(node, UnionTypeDefinitionNode):
        types = tuple(it for it in node.types or () if it.name.value in FIELDS)
        return replace(plain, types=types), [it.name.value for it in types]
    if isinstance(node, InputObjectTypeDefinitionNode):
        fields = tuple(_bare(field) for field in node.fields or ())
        return replace(plain, fields=fields), [_named(field.type) for field in fields]
    if isinstance(node, EnumTypeDefinitionNode):
        return replace(plain, values=tuple(_bare(value) for value in node.values or ())), []
    return plain, []


def _bare(part: Any) -> Any:
    """Drop what is said about a field, its arguments, or a value."""
    bare = replace(part, description=None, directives=())
    if getattr(part, "arguments", None):
        return replace(bare, arguments=tuple(_bare(argument) for argument in part.arguments))
    return bare


def _named(node: Any) -> str:
    while not isinstance(node, NamedTypeNode):
        node = node.type
    return node.name.value


def main(openapi: Path, sdl: Path) -> None:
    """Write `spec/` anew."""
    text = json.dumps(rest(openapi), separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    (SPEC / "rest.json").write_text(text + "\n", encoding="utf-8")
    (SPEC / "schema.graphql").write_text(graphql(sdl), encoding="utf-8")
    shutil.copyfile(openapi / "LICENSE", SPEC / "LICENSE-openapi")
    shutil.copyfile(sdl / "LICENSE.md", SPEC / "LICENSE-graphql-schema")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
