"""Job: one pipeline, its graph of nodes, its schedule, and the names it uses.

A job is parsed from its document, which keeps the field names of a DataArts job. Only what rules, pictures
and targets ask for becomes a value here; everything else stays in the document and travels as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from functools import cached_property, lru_cache

from gitrelease.core.fields import Fields, Malformed
from gitrelease.core.finding import Key
from gitrelease.core.names import Directory, ItemKey, ItemName, Kind
from gitrelease.core.values import frozen


class ProcessType(StrEnum):
    """Whether runs of a job end by themselves."""

    BATCH = "BATCH"
    REAL_TIME = "REAL_TIME"


class ScheduleType(StrEnum):
    """What starts a job."""

    EXECUTE_ONCE = "EXECUTE_ONCE"
    CRON = "CRON"
    EVENT = "EVENT"


class ParamType(StrEnum):
    """Whether a parameter may be set when a run is started."""

    VARIABLE = "variable"
    CONSTANTS = "constants"


class UseKind(StrEnum):
    """What kind of thing a document names."""

    SCRIPT = "script"
    UPSTREAM = "upstream job"
    CALLED = "called job"
    CONNECTION = "connection"
    DATABASE = "database"
    QUEUE = "queue"


@frozen
class Use:
    """A name that stands in a document and means something outside of it."""

    kind: UseKind
    name: str
    key: Key


@frozen
class Param:
    """A parameter of a job."""

    name: str
    value: str
    type: ParamType = ParamType.VARIABLE


@frozen
class Cron:
    """Start times by an expression, as DataArts writes them; `core/schedule.py` understands it."""

    expression: str
    zone: str | None = None
    start: str | None = None
    end: str | None = None
    upstream: tuple[tuple[Key, str], ...] = ()
    """Jobs of this workspace that have to be done first, with the key inside the cron."""


@frozen
class EventTrigger:
    """Starts by what arrives in a channel."""

    type: str
    channel: str | None = None


@frozen
class Schedule:
    """What starts a job."""

    type: ScheduleType
    cron: Cron | None = None
    event: EventTrigger | None = None


@frozen
class Condition:
    """When a node runs, as an expression over the node before it."""

    node: str
    expression: str


@frozen
class Node:
    """One step of a job."""

    name: str
    type: str
    pre_nodes: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    cron: Cron | None = None
    event: EventTrigger | None = None

    @property
    def after(self) -> tuple[str, ...]:
        """The nodes this one waits for, each once, in the order they are written."""
        return tuple(dict.fromkeys([*self.pre_nodes, *(condition.node for condition in self.conditions)]))


@frozen
class Job:
    """One pipeline: what runs, in which order, and when."""

    name: str
    directory: Directory
    version: int | None = None
    description: str = ""
    process_type: ProcessType = ProcessType.BATCH
    single_node: bool = False
    single_node_type: str | None = None
    params: tuple[Param, ...] = ()
    nodes: tuple[Node, ...] = ()
    schedule: Schedule

    @property
    def edges(self) -> dict[str, tuple[str, ...]]:
        """For each node the nodes that wait for it; names that are no node of the job are left out."""
        after: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for before in node.after:
                if before in after:
                    after[before].append(node.name)
        return {name: tuple(dict.fromkeys(names)) for name, names in after.items()}

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every name in the job that means something outside of it, and where it stands.

        A name that is an expression (`${…}`, `#{…}`) is known only when the job runs and is not listed.
        """
        found = [
            *self._upstream(),
            *(use for n, node in enumerate(self.nodes) for use in _node_uses(n, node)),
        ]
        return tuple(use for use in found if use.name and not is_expression(use.name))

    def _upstream(self) -> Iterator[Use]:
        if self.schedule.cron is not None:
            yield from _upstream_uses(self.schedule.cron, ("schedule", "cron"))
        for n, node in enumerate(self.nodes):
            if node.cron is not None:
                yield from _upstream_uses(node.cron, ("nodes", n, "cronTrigger"))

    def named(self, kind: UseKind) -> tuple[str, ...]:
        """The names of one kind that the job uses, each once, in order."""
        return tuple(dict.fromkeys(use.name for use in self.uses if use.kind is kind))

    @property
    def scripts(self) -> tuple[tuple[int, str], ...]:
        """The scripts that nodes run: the number of the node in `nodes`, and the name."""
        return tuple(
            (at, use.name)
            for use in self.uses
            if use.kind is UseKind.SCRIPT and isinstance(at := use.key[1], int)
        )

    @property
    def upstream(self) -> tuple[str, ...]:
        """The jobs of this workspace that have to be done before this one starts."""
        return self.named(UseKind.UPSTREAM)

    @property
    def called_jobs(self) -> tuple[str, ...]:
        """The jobs that nodes of this one start."""
        return self.named(UseKind.CALLED)

    @property
    def used_items(self) -> frozenset[ItemKey]:
        """The items of the workspace that this job names."""
        scripts = (ItemKey(kind=Kind.SCRIPT, name=ItemName(name)) for _, name in self.scripts)
        jobs = (ItemKey(kind=Kind.JOB, name=ItemName(name)) for name in (*self.upstream, *self.called_jobs))
        return frozenset((*scripts, *jobs))


def is_expression(text: str) -> bool:
    """Say whether a text is worked out when the job runs, so that nothing can be said about it before."""
    return "${" in text or "#{" in text


# What the properties of a node name. A cluster is a queue for DLISpark only; elsewhere it is a cluster.
_SCRIPT = "scriptName"
_STATEMENT = "statementOrScript"
_NAMED_BY_PROPERTY = {
    "connectionName": UseKind.CONNECTION,
    "database": UseKind.DATABASE,
    "queueName": UseKind.QUEUE,
}
_CLUSTER = "clusterName"
_QUEUE_IS_CLUSTER = "dlispark"
# No example of these two node types is public, so their spelling is taken loosely (dataarts.md 2.1).
_CALLING_TYPES = frozenset({"subjob", "foreach"})
_CALLED_PROPERTIES = ("jobName", "subJobName", "subjobName")


@lru_cache(maxsize=1024)
def _plain(node_type: str) -> str:
    return "".join(character for character in node_type.casefold() if character.isalnum())


def _kind_of(node_type: str, property_name: str) -> UseKind | None:
    """Say which production names a property of such a node holds."""
    if property_name == _CLUSTER and _plain(node_type) == _QUEUE_IS_CLUSTER:
        return UseKind.QUEUE
    return _NAMED_BY_PROPERTY.get(property_name)


def _node_uses(number: int, node: Node) -> Iterator[Use]:
    inline = node.properties.get(_STATEMENT, "").casefold() == "statement"
    calls = _plain(node.type) in _CALLING_TYPES
    for name, value in node.properties.items():
        key: Key = ("nodes", number, "properties", name)
        if name == _SCRIPT and not inline:
            yield Use(kind=UseKind.SCRIPT, name=value, key=key)
        elif calls and name in _CALLED_PROPERTIES:
            yield Use(kind=UseKind.CALLED, name=value, key=key)
        elif kind := _kind_of(node.type, name):
            yield Use(kind=kind, name=value, key=key)


def _upstream_uses(cron: Cron, key: Key) -> Iterator[Use]:
    for inner, name in cron.upstream:
        yield Use(kind=UseKind.UPSTREAM, name=name, key=(*key, *inner))


def parse_job(value: Mapping[str, object], *, directory: Directory) -> Job:
    """Parse the document of a job or a subjob.

    Raises:
        Malformed: a value is missing or has the wrong type, with the key of the first one.
    """
    top = Fields(value)
    return Job(
        name=top.text("name"),
        directory=directory,
        version=top.integer("version"),
        description=top.text("description", ""),
        process_type=top.choice("processType", ProcessType),
        single_node=top.truth("singleNodeJobFlag"),
        single_node_type=top.optional("singleNodeJobType") or None,
        params=_params(top),
        nodes=tuple(_node(node) for node in top.each("nodes")),
        schedule=_schedule(top),
    )


def _params(top: Fields) -> tuple[Param, ...]:
    params = top.fields("params")
    return () if params is None else tuple(_param(*entry) for entry in params.entries())


def _param(name: str, key: Key, value: object) -> Param:
    if isinstance(value, str):
        return Param(name=name, value=value)
    long = Fields(value, key)
    return Param(name=name, value=long.text("value"), type=long.choice("type", ParamType, ParamType.VARIABLE))


def _property(key: Key, value: object) -> str:
    return value if isinstance(value, str) else Fields(value, key).text("value")


def _node(node: Fields) -> Node:
    properties = node.fields("properties")
    cron = node.fields("cronTrigger")
    event = node.fields("eventTrigger")
    return Node(
        name=node.text("name"),
        type=node.text("type"),
        pre_nodes=node.texts("preNodeName"),
        conditions=tuple(
            Condition(node=c.text("preNodeName"), expression=c.text("expression", ""))
            for c in node.each("conditions")
        ),
        properties={}
        if properties is None
        else {name: _property(key, v) for name, key, v in properties.entries()},
        cron=None if cron is None else _cron(cron),
        event=None if event is None else _event(event),
    )


def _schedule(top: Fields) -> Schedule:
    schedule = top.fields("schedule")
    if schedule is None:
        raise Malformed((), "has no 'schedule'")
    kind = schedule.choice("type", ScheduleType)
    cron, event = schedule.fields("cron"), schedule.fields("event")
    if kind is ScheduleType.CRON and cron is None:
        raise Malformed(schedule.key, "has the type CRON and no 'cron'")
    if kind is ScheduleType.EVENT and event is None:
        raise Malformed(schedule.key, "has the type EVENT and no 'event'")
    return Schedule(
        type=kind, cron=None if cron is None else _cron(cron), event=None if event is None else _event(event)
    )


def _cron(cron: Fields) -> Cron:
    return Cron(
        expression=cron.text("expression"),
        zone=cron.optional("expressionTimeZone") or None,
        start=cron.optional("startTime") or None,
        end=cron.optional("endTime") or None,
        upstream=tuple(_waits_for(cron)),
    )


def _waits_for(cron: Fields) -> Iterator[tuple[Key, str]]:
    depends = cron.fields("dependJobs")
    if depends is None:
        return
    for name in ("jobs", "sameWorkSpaceJobs"):
        for key, value in depends.items(name):
            # The newer interface gives each job as an object.
            job = value if isinstance(value, str) else Fields(value, key).text("jobName")
            yield key[len(cron.key) :], job


def _event(event: Fields) -> EventTrigger:
    return EventTrigger(type=event.text("eventType"), channel=event.optional("channel") or None)


# Two uses of a document as it is: with the names of production, and by its meaning alone.


@frozen
class Mappings:
    """What connections, queues and databases are called in production; names that are not here stay."""

    connections: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    databases: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: UseKind, name: str) -> str:
        """Give the name in production."""
        match kind:
            case UseKind.CONNECTION:
                return self.connections.get(name, name)
            case UseKind.QUEUE:
                return self.queues.get(name, name)
            case UseKind.DATABASE:
                return self.databases.get(name, name)
        return name


def switch_names(value: Mapping[str, object], mappings: Mappings) -> dict[str, object]:
    """Give the document of a job or a script with the names of production in it; the given one stays."""
    switched = {
        name: _switched(found, _NAMED_BY_PROPERTY[name], mappings) if name in _NAMED_BY_PROPERTY else found
        for name, found in value.items()
    }
    nodes = value.get("nodes")
    if isinstance(nodes, list):
        switched["nodes"] = [_switched_node(node, mappings) for node in nodes]
    return switched


def _switched_node(node: object, mappings: Mappings) -> object:
    if not isinstance(node, Mapping) or not isinstance(properties := node.get("properties"), Mapping):
        return node
    node_type = node.get("type")
    kinds = {name: _kind_of(node_type if isinstance(node_type, str) else "", name) for name in properties}
    return {
        **node,
        "properties": {
            name: found if (kind := kinds[name]) is None else _switched(found, kind, mappings)
            for name, found in properties.items()
        },
    }


def _switched(found: object, kind: UseKind, mappings: Mappings) -> object:
    if isinstance(found, str):
        return mappings.of(kind, found)
    if isinstance(found, Mapping) and isinstance(name := found.get("value"), str):
        return {**found, "value": mappings.of(kind, name)}
    return found


# Where a node sits on the canvas, who touched it last, and what a server wrote, as an import keeps them.
MEANS_NOTHING = frozenset(
    {"location", "lineageInfo", "lastUpdateUser", "lastUpdateTime", "createTime", "createUser", "id"}
)


def meaning(value: Mapping[str, object], directory: Directory) -> dict[str, object]:
    """Give a document without what does not change what it does; two that mean the same have the same digest.

    The short form of a parameter or a property means the long form that says no more. Defaults are not filled
    in: they are the server's, and may change.
    """
    meant: dict[str, object] = {
        name: found for name, found in value.items() if name != "version" and not _means_nothing(name)
    }
    meant["directory"] = directory
    nodes = value.get("nodes")
    if isinstance(nodes, list):
        meant["nodes"] = [_node_meaning(node) for node in nodes]
    if isinstance(params := value.get("params"), Mapping):
        meant["params"] = {name: _short(found, ParamType.VARIABLE.value) for name, found in params.items()}
    return meant


def _means_nothing(name: object) -> bool:
    return isinstance(name, str) and name.removeprefix("x-") in MEANS_NOTHING


def _node_meaning(node: object) -> object:
    if not isinstance(node, Mapping):
        return node
    meant = {name: found for name, found in node.items() if not _means_nothing(name)}
    if isinstance(properties := node.get("properties"), Mapping):
        meant["properties"] = {name: _short(found, None) for name, found in properties.items()}
    return meant


def _short(found: object, type_meant: str | None) -> object:
    """Write `{value: v}`, and for a parameter `{value: v, type: variable}`, as `v`."""
    if not isinstance(found, Mapping) or "value" not in found:
        return found
    said = {name: value for name, value in found.items() if (name, value) != ("type", type_meant)}
    return said["value"] if set(said) == {"value"} else found
