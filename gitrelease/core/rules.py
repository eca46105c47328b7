"""Rules: what makes a job, a script or a set of subjobs fit to be submitted, beyond what its schema says.

Every rule says all it found at once, each with the key it was found at. What exists elsewhere is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from gitrelease.core.finding import Key, Problem, Severity
from gitrelease.core.graph import find_cycle
from gitrelease.core.job import Job, ProcessType, UseKind
from gitrelease.core.names import CONTENT_ENDINGS, ItemKey, ItemName, Kind, fold
from gitrelease.core.schedule import cron_problems
from gitrelease.core.script import Script, ScriptType, content_ending
from gitrelease.core.search import nearest

MOST_NODES = 200
MOST_CONTENT = 4 * 1024 * 1024
SINGLE_NODE_TYPES = {
    ProcessType.BATCH: ("DLISQL", "DWSSQL", "HiveSQL", "SparkSQL", "RDSSQL"),
    ProcessType.REAL_TIME: ("FlinkSQL", "FlinkJar", "DLISpark"),
}
_BOM = b"\xef\xbb\xbf"


def job_problems(job: Job) -> list[Problem]:
    """Say all that is wrong with a job when it is looked at alone."""
    return [
        *_params(job),
        *_kind_of_job(job),
        *_node_names(job),
        *_graph(job),
        *_triggers(job),
        *_schedule(job),
    ]


def _params(job: Job) -> Iterator[Problem]:
    for _, name, first in _repeated(param.name for param in job.params):
        yield Problem(
            code="duplicate-param",
            key=("params", name),
            message=f"the parameters {first!r} and {name!r} differ only in how they are written",
            hint="rename one of them",
        )


def _repeated(names: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Give each name that folds like one before it: its place, itself, and the first one."""
    first: dict[str, str] = {}
    for at, name in enumerate(names):
        folded = fold(name)
        if folded in first:
            yield at, name, first[folded]
        else:
            first[folded] = name


def _kind_of_job(job: Job) -> Iterator[Problem]:
    if not job.nodes:
        yield Problem(code="no-nodes", key=("nodes",), message="a job has at least one node")
    if len(job.nodes) > MOST_NODES:
        message = f"the job has {len(job.nodes)} nodes, and a job holds at most {MOST_NODES}"
        yield Problem(
            code="too-many-nodes",
            key=("nodes",),
            message=message,
            hint="split it, and call one job from another",
        )
    if job.single_node:
        yield from _single_node(job)
    elif job.process_type is ProcessType.REAL_TIME:
        yield Problem(
            code="real-time-pipeline",
            key=("processType",),
            message="a real-time pipeline cannot be released: DataArts has none in enterprise mode",
            hint="make it a single-task job (singleNodeJobFlag: true), or a BATCH job",
        )


def _single_node(job: Job) -> Iterator[Problem]:
    if len(job.nodes) > 1:
        message = f"a single-task job has exactly one node, and this one has {len(job.nodes)}"
        yield Problem(
            code="single-node",
            key=("nodes",),
            message=message,
            hint="take singleNodeJobFlag away, or the nodes",
        )
    if job.single_node_type is None:
        return
    allowed = SINGLE_NODE_TYPES[job.process_type]
    if job.single_node_type.casefold() not in {name.casefold() for name in allowed}:
        yield Problem(
            code="single-node-type",
            key=("singleNodeJobType",),
            message=f"{job.single_node_type!r} is no type of a {job.process_type} single-task job",
            hint=f"it is one of {', '.join(allowed)}",
        )


def _node_names(job: Job) -> Iterator[Problem]:
    for at, name, first in _repeated(node.name for node in job.nodes):
        same = f"two nodes are called {name!r}"
        alike = f"the nodes {first!r} and {name!r} differ only in how they are written"
        yield Problem(
            code="duplicate-node",
            key=("nodes", at, "name"),
            message=same if name == first else alike,
            hint="rename one of them",
        )


def _graph(job: Job) -> Iterator[Problem]:
    names = {node.name for node in job.nodes}
    for at, node in enumerate(job.nodes):
        here: list[tuple[Key, str]] = [
            *((("nodes", at, "preNodeName", n), before) for n, before in enumerate(node.pre_nodes)),
            *(
                (("nodes", at, "conditions", n, "preNodeName"), condition.node)
                for n, condition in enumerate(node.conditions)
            ),
        ]
        for key, before in here:
            if before not in names:
                meant = nearest(before, names)
                yield Problem(
                    code="unknown-node",
                    key=key,
                    message=f"the node {node.name!r} comes after {before!r}, and the job has no such node",
                    hint=f"did you mean {meant}?" if meant else None,
                )
    cycle = find_cycle(job.edges)
    if cycle is not None:
        at = next(n for n, node in enumerate(job.nodes) if node.name == cycle[0])
        itself = len(set(cycle)) == 1
        yield Problem(
            code="cycle",
            key=("nodes", at),
            message=f"the node {cycle[0]!r} comes after itself"
            if itself
            else f"the nodes wait for each other: {' -> '.join(cycle)}",
            hint="take one of these edges away",
        )


def _triggers(job: Job) -> Iterator[Problem]:
    for at, node in enumerate(job.nodes):
        for name, trigger in (("cronTrigger", node.cron), ("eventTrigger", node.event)):
            if trigger is not None and job.process_type is not ProcessType.REAL_TIME:
                yield Problem(
                    code="trigger-in-batch",
                    key=("nodes", at, name),
                    message=f"the node {node.name!r} has a {name}, which only nodes of a REAL_TIME job have",
                    hint="use the schedule of the job",
                )
        if node.cron is not None:
            yield from cron_problems(node.cron, ("nodes", at, "cronTrigger"))


def _schedule(job: Job) -> Iterator[Problem]:
    if job.schedule.cron is not None:
        yield from cron_problems(job.schedule.cron, ("schedule", "cron"))
    for use in job.uses:
        if use.kind in {UseKind.UPSTREAM, UseKind.CALLED} and fold(use.name) == fold(job.name):
            waits = use.kind is UseKind.UPSTREAM
            yield Problem(
                code="own-upstream" if waits else "own-call",
                key=use.key,
                message=f"the job {job.name!r} {'waits for' if waits else 'calls'} itself",
                hint="use dependPrePeriod to wait for the run before" if waits else None,
            )


_NAMED = {
    UseKind.SCRIPT: (Kind.SCRIPT, "runs"),
    UseKind.UPSTREAM: (Kind.JOB, "waits for"),
    UseKind.CALLED: (Kind.JOB, "calls"),
}
"""By which uses a job names another item, of which kind that is, and the verb for it."""


def reference_problems(
    job: Job, *, exists: Callable[[ItemKey], bool], near: Callable[[ItemKey], str | None]
) -> list[Problem]:
    """Say which scripts and jobs a job names that do not exist, on the main branch or in the same submit.

    Args:
        job: the job.
        exists: whether there is an item.
        near: gives the name of one that is spelled much like it; asked for those that do not exist only.
    """
    problems = []
    for use in job.uses:
        if use.kind not in _NAMED:
            continue
        kind, verb = _NAMED[use.kind]
        # What a document names is any text; whether it is a name shows in that there is no such item.
        item = ItemKey(kind=kind, name=ItemName(use.name))
        is_itself = kind is Kind.JOB and use.name == job.name
        if not is_itself and not exists(item):
            meant = near(item)
            problems.append(
                Problem(
                    code=f"unknown-{kind}",
                    key=use.key,
                    message=f"{job.name!r} {verb} the {kind} {use.name!r}, which does not exist",
                    hint=f"did you mean {meant}?" if meant else f"submit {item} with it, or correct the name",
                )
            )
    return problems


def script_problems(script: Script, content: bytes | None, ending: str | None) -> list[Problem]:
    """Say all that is wrong with a script, its content, and the ending of the file that holds it."""
    return [*_script_fields(script), *_content(script, content, ending)]


def _script_fields(script: Script) -> Iterator[Problem]:
    if script.connection is None and script.type is not ScriptType.FLINK_SQL:
        yield Problem(
            code="no-connection",
            key=("connectionName",),
            message=f"a {script.type} script needs a connectionName",
            hint="name the connection it runs on; every type but FlinkSQL needs one",
        )
    if script.type is ScriptType.DLI_SQL:
        return
    for name, value in (("queueName", script.queue), ("configuration", script.configuration)):
        if value:
            yield Problem(
                code="only-dli",
                key=(name,),
                message=f"only DLISQL scripts have a {name}, and this one is {script.type}",
                hint="take it away",
            )


def _content(script: Script, content: bytes | None, ending: str | None) -> Iterator[Problem]:
    wanted = content_ending(script.type)
    if content is None:
        message = f"the content of the script {script.name!r} is missing"
        yield Problem(code="no-content", message=message, hint=f"write it to {script.name}{wanted} beside it")
        return
    if ending is not None and ending != wanted:
        message = f"the content of a {script.type} script is a {wanted} file, not {ending}"
        known = ending in CONTENT_ENDINGS
        hint = f"rename it to {script.name}{wanted}" + (", or correct the type" if known else "")
        yield Problem(code="content-ending", key=("type",), message=message, hint=hint)
    if len(content) > MOST_CONTENT:
        message = f"the content has {len(content):,} bytes, and a script holds at most {MOST_CONTENT:,}"
        yield Problem(code="content-too-long", message=message, hint="split the script")
    yield from _text(content)


def _text(content: bytes) -> Iterator[Problem]:
    if content.startswith(_BOM):
        yield Problem(
            code="content-bom",
            message="the content starts with a byte order mark",
            hint="save it as UTF-8 without a BOM",
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"line {_line(content, error.start)} of the content is not UTF-8"
        yield Problem(code="content-encoding", message=message, hint="save it as UTF-8")
    if b"\0" in content:
        message = f"line {_line(content, content.index(0))} of the content has a NUL byte"
        yield Problem(code="content-encoding", message=message, hint="save it as UTF-8 text")
    if b"\r" in content:
        message = f"line {_line(content, content.index(13))} of the content has a carriage return"
        hint = 'save it with LF line ends, and let git keep them: "*.sql text eol=lf" in .gitattributes'
        yield Problem(code="content-line-ends", message=message, hint=hint)


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def subjob_problems(parent: Job, names: Collection[str]) -> list[Problem]:
    """Say what is wrong with the subjobs beside a job; they travel with it and are no items of their own."""
    problems = []
    if names and not (parent.process_type is ProcessType.REAL_TIME and parent.single_node):
        problems.append(
            Problem(
                code="no-subjobs-here",
                message=f"{parent.name!r} has subjobs, and only a real-time single-task job has them",
                hint="make them jobs of their own",
            )
        )
    ordered = sorted(names)
    for _, name, first in _repeated(ordered):
        message = f"the subjobs {first!r} and {name!r} differ only in how they are written"
        problems.append(Problem(code="duplicate-subjob", message=message, hint="rename one of them"))
    known = {f"{parent.name}_{node.name}" for node in parent.nodes}
    for name in ordered:
        if name not in known:
            expected = ", ".join(sorted(known)[:3])
            problems.append(
                Problem(
                    code="subjob-name",
                    message=f"the subjob {name!r} is not called after a node of {parent.name!r}",
                    hint=f"DataArts names it <job>_<node>: {expected}" if expected else None,
                    severity=Severity.WARNING,
                )
            )
    return problems
