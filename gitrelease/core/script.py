"""Script: a piece of SQL, Python or shell that jobs run. Its content is the file beside its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from gitrelease.core.fields import Fields, Malformed
from gitrelease.core.finding import Key
from gitrelease.core.job import Use, UseKind
from gitrelease.core.names import Directory
from gitrelease.core.values import frozen


class ScriptType(StrEnum):
    """What a script is written for."""

    FLINK_SQL = "FlinkSQL"
    DLI_SQL = "DLISQL"
    SPARK_SQL = "SparkSQL"
    HIVE_SQL = "HiveSQL"
    DWS_SQL = "DWSSQL"
    RDS_SQL = "RDSSQL"
    SHELL = "Shell"
    PRESTO = "PRESTO"
    CLICKHOUSE_SQL = "ClickHouseSQL"
    HETU_ENGINE_SQL = "HetuEngineSQL"
    PYTHON = "PYTHON"
    IMPALA_SQL = "ImpalaSQL"
    SPARK_PYTHON = "SparkPython"


@frozen
class Script:
    """What a script is, without its content."""

    name: str
    directory: Directory
    version: int | None = None
    type: ScriptType
    connection: str | None = None
    database: str | None = None
    queue: str | None = None
    configuration: Mapping[str, object] = field(default_factory=dict)
    description: str = ""
    owner: str | None = None

    @property
    def uses(self) -> tuple[Use, ...]:
        """The connection, database and queue it names, and where they stand."""
        named: list[tuple[UseKind, str | None, Key]] = [
            (UseKind.CONNECTION, self.connection, ("connectionName",)),
            (UseKind.DATABASE, self.database, ("database",)),
            (UseKind.QUEUE, self.queue, ("queueName",)),
        ]
        return tuple(Use(kind=kind, name=name, key=key) for kind, name, key in named if name)


def parse_script(value: Mapping[str, object], *, directory: Directory) -> Script:
    """Parse the document of a script; an empty name of a connection, database or queue is none.

    Raises:
        Malformed: a value is missing or has the wrong type, with the key of the first one.
    """
    top = Fields(value)
    configuration = top.fields("configuration")
    return Script(
        name=top.text("name"),
        directory=directory,
        version=top.integer("version"),
        type=top.choice("type", ScriptType),
        connection=top.optional("connectionName") or None,
        database=top.optional("database") or None,
        queue=top.optional("queueName") or None,
        configuration={}
        if configuration is None
        else {name: found for name, _, found in configuration.entries()},
        description=top.text("description", ""),
        owner=top.optional("owner") or None,
    )


def content_ending(type: str) -> str:  # noqa: A002  (the document calls it so)
    """Say how the content file of a script of this type ends."""
    try:
        script_type = ScriptType(type)
    except ValueError:
        raise Malformed(("type",), f"is {type!r}, which is none of {', '.join(ScriptType)}") from None
    match script_type:
        case ScriptType.PYTHON | ScriptType.SPARK_PYTHON:
            return ".py"
        case ScriptType.SHELL:
            return ".sh"
    return ".sql"
