"""The rules of jobs, scripts and subjobs, each with a value that breaks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from gitrelease.core.finding import Problem, Severity, key_text
from gitrelease.core.job import (
    Condition,
    Cron,
    EventTrigger,
    Job,
    Node,
    Param,
    ProcessType,
    Schedule,
    ScheduleType,
)
from gitrelease.core.names import Directory, Kind
from gitrelease.core.rules import job_problems, reference_problems, script_problems, subjob_problems
from gitrelease.core.script import Script, ScriptType
from gitrelease.core.search import nearest

ONCE = Schedule(type=ScheduleType.EXECUTE_ONCE)
NIGHTLY = Cron(expression="0 30 2 * * ?", zone="GMT+8", start="2026-01-01T00:00:00+08")
SELECT = b"SELECT 1;\n"


def node(
    name: str,
    *after: str,
    kind: str = "DWSSQL",
    when: tuple[str, ...] = (),
    properties: Mapping[str, str] | None = None,
) -> Node:
    conditions = tuple(Condition(node=before, expression="#{true}") for before in when)
    return Node(name=name, type=kind, pre_nodes=after, conditions=conditions, properties=properties or {})


def job(*nodes: Node, name: str = "orders", schedule: Schedule = ONCE) -> Job:
    return Job(name=name, directory=Directory("/"), nodes=nodes or (node("load"),), schedule=schedule)


def real_time(*nodes: Node, type_: str | None = "FlinkSQL", single: bool = True) -> Job:
    return replace(
        job(*nodes), process_type=ProcessType.REAL_TIME, single_node=single, single_node_type=type_
    )


def nightly(cron: Cron = NIGHTLY) -> Schedule:
    return Schedule(type=ScheduleType.CRON, cron=cron)


def short(problems: list[Problem]) -> list[tuple[str, str, str]]:
    return [(problem.code, key_text(problem.key), problem.message) for problem in problems]


def test_jobs_in_order() -> None:
    chain = job(node("a"), node("b", "a"), node("c", "a", "b", when=("b",)), schedule=nightly())
    assert job_problems(chain) == []
    assert job_problems(real_time(node("stream", kind="MRSFlinkJob"))) == []
    assert job_problems(replace(job(), single_node=True, single_node_type="DwsSQL")) == []


def test_node_names_are_unique_however_they_are_written() -> None:
    assert short(job_problems(job(node("load"), node("Load"), node("load")))) == [
        (
            "duplicate-node",
            "nodes[1].name",
            "the nodes 'load' and 'Load' differ only in how they are written",
        ),
        ("duplicate-node", "nodes[2].name", "two nodes are called 'load'"),
    ]


def test_nodes_come_after_nodes_of_the_job() -> None:
    problems = job_problems(
        job(node("load"), node("clean", "laod"), node("report", "load", when=("nothing_like_it",)))
    )
    assert short(problems) == [
        (
            "unknown-node",
            "nodes[1].preNodeName[0]",
            "the node 'clean' comes after 'laod', and the job has no such node",
        ),
        (
            "unknown-node",
            "nodes[2].conditions[0].preNodeName",
            "the node 'report' comes after 'nothing_like_it', and the job has no such node",
        ),
    ]
    assert [problem.hint for problem in problems] == ["did you mean load?", None]


def test_a_cycle_is_shown_as_a_path() -> None:
    round_trip = job(node("first"), node("b", "c"), node("c", "a"), node("a", when=("b",)))
    assert short(job_problems(round_trip)) == [
        ("cycle", "nodes[3]", "the nodes wait for each other: a -> c -> b -> a")
    ]
    assert short(job_problems(job(node("a", "a")))) == [
        ("cycle", "nodes[0]", "the node 'a' comes after itself")
    ]


def test_a_job_has_1_to_200_nodes() -> None:
    assert job_problems(job(*(node(f"n{n}") for n in range(200)))) == []
    assert short(job_problems(job(*(node(f"n{n}") for n in range(201))))) == [
        ("too-many-nodes", "nodes", "the job has 201 nodes, and a job holds at most 200")
    ]
    assert short(job_problems(replace(job(), nodes=()))) == [
        ("no-nodes", "nodes", "a job has at least one node")
    ]


def test_a_single_task_job_has_one_node_of_a_known_type() -> None:
    two = replace(job(node("a"), node("b")), single_node=True, single_node_type="FlinkSQL")
    assert short(job_problems(two)) == [
        ("single-node", "nodes", "a single-task job has exactly one node, and this one has 2"),
        ("single-node-type", "singleNodeJobType", "'FlinkSQL' is no type of a BATCH single-task job"),
    ]
    assert [code for code, _, _ in short(job_problems(real_time(type_="HiveSQL")))] == ["single-node-type"]
    assert job_problems(real_time(type_=None)) == []


def test_a_real_time_pipeline_is_refused_with_the_reason() -> None:
    (problem,) = job_problems(real_time(node("a"), node("b"), single=False))
    assert (problem.code, problem.key) == ("real-time-pipeline", ("processType",))
    assert "enterprise mode" in problem.message


def test_only_nodes_of_real_time_jobs_start_by_themselves() -> None:
    triggered = replace(node("a"), cron=NIGHTLY, event=EventTrigger(type="KAFKA", channel="clicks"))
    assert job_problems(real_time(triggered)) == []
    assert [(code, key) for code, key, _ in short(job_problems(job(triggered)))] == [
        ("trigger-in-batch", "nodes[0].cronTrigger"),
        ("trigger-in-batch", "nodes[0].eventTrigger"),
    ]


def test_cron_rules_hold_for_the_job_and_for_its_nodes() -> None:
    wrong = replace(NIGHTLY, expression="1 30 2 * * ?")
    problems = [
        *job_problems(job(schedule=nightly(wrong))),
        *job_problems(real_time(replace(node("a"), cron=wrong))),
    ]
    assert [key_text(problem.key) for problem in problems] == [
        "schedule.cron.expression",
        "nodes[0].cronTrigger.expression",
    ]


def test_parameters_are_unique_however_they_are_written() -> None:
    params = (Param(name="day", value="1"), Param(name="DAY", value="2"))
    assert short(job_problems(replace(job(), params=params))) == [
        (
            "duplicate-param",
            "params.DAY",
            "the parameters 'day' and 'DAY' differ only in how they are written",
        )
    ]


def test_a_job_neither_waits_for_itself_nor_calls_itself() -> None:
    waits = replace(NIGHTLY, upstream=((("dependJobs", "jobs", 0), "Orders"),))
    calls = node("again", kind="SubJob", properties={"jobName": "orders"})
    looped = job(calls, schedule=nightly(waits))
    assert references(looped, jobs=["Orders"]) == [], "it is said once"
    assert short(job_problems(looped)) == [
        ("own-upstream", "schedule.cron.dependJobs.jobs[0]", "the job 'orders' waits for itself"),
        ("own-call", "nodes[0].properties.jobName", "the job 'orders' calls itself"),
    ]


def test_everything_wrong_is_said_at_once() -> None:
    wrong = replace(
        job(node("a", "b"), node("A", "a"), node("c", "c"), schedule=nightly(replace(NIGHTLY, zone="Mars"))),
        params=(Param(name="x", value=""), Param(name="X", value="")),
    )
    assert {problem.code for problem in job_problems(wrong)} == {
        *("duplicate-param", "duplicate-node", "unknown-node", "cycle", "cron-zone")
    }


def references(value: Job, *, scripts: Sequence[str] = (), jobs: Sequence[str] = ()) -> list[Problem]:
    """What is wrong with the names a job uses, where these items exist."""
    names = {Kind.SCRIPT: scripts, Kind.JOB: jobs}
    return reference_problems(
        value,
        exists=lambda item: item.name in names[item.kind],
        near=lambda item: nearest(item.name, names[item.kind]),
    )


def test_scripts_and_jobs_that_are_named_exist() -> None:
    needs = replace(NIGHTLY, upstream=((("dependJobs", "jobs", 0), "ods_customer"),))
    value = job(
        node("a", properties={"scriptName": "clean-orders", "connectionName": "c"}),
        node("b", properties={"scriptName": "Clean_orders"}),
        node("c", kind="ForEach", properties={"jobName": "refresh"}),
        schedule=nightly(needs),
    )
    problems = references(value, scripts=["clean-orders"], jobs=["ods_customers", "refresh"])
    assert short(problems) == [
        (
            "unknown-job",
            "schedule.cron.dependJobs.jobs[0]",
            "'orders' waits for the job 'ods_customer', which does not exist",
        ),
        (
            "unknown-script",
            "nodes[1].properties.scriptName",
            "'orders' runs the script 'Clean_orders', which does not exist",
        ),
    ]
    assert [problem.hint for problem in problems] == [
        "did you mean ods_customers?",
        "did you mean clean-orders?",
    ]
    (called,) = references(value, scripts=["clean-orders", "Clean_orders"], jobs=["ods_customer"])
    assert called.message == "'orders' calls the job 'refresh', which does not exist"
    assert called.hint == "submit job/refresh with it, or correct the name"


def script(kind: ScriptType = ScriptType.HIVE_SQL, *, connection: str | None = "hive") -> Script:
    return Script(name="clean", directory=Directory("/"), type=kind, connection=connection)


def test_scripts_in_order() -> None:
    assert script_problems(script(), SELECT, ".sql") == []
    assert script_problems(script(ScriptType.FLINK_SQL, connection=None), SELECT, ".sql") == []
    dli = replace(script(ScriptType.DLI_SQL), queue="q", configuration={"a": "b"})
    assert script_problems(dli, SELECT, ".sql") == []
    assert script_problems(script(), "-- 每日\n".encode(), ".sql") == []


def test_a_script_runs_on_a_connection_and_only_dli_has_a_queue() -> None:
    wrong = replace(script(connection=None), queue="q", configuration={"a": "b"})
    assert short(script_problems(wrong, SELECT, ".sql")) == [
        ("no-connection", "connectionName", "a HiveSQL script needs a connectionName"),
        ("only-dli", "queueName", "only DLISQL scripts have a queueName, and this one is HiveSQL"),
        ("only-dli", "configuration", "only DLISQL scripts have a configuration, and this one is HiveSQL"),
    ]


def test_the_content_lies_beside_the_script() -> None:
    assert short(script_problems(script(), None, None)) == [
        ("no-content", "", "the content of the script 'clean' is missing")
    ]
    (problem,) = script_problems(script(ScriptType.SHELL), SELECT, ".py")
    assert problem.message == "the content of a Shell script is a .sh file, not .py"
    assert problem.hint == "rename it to clean.sh, or correct the type"


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"\xef\xbb\xbfSELECT 1;\n", "content-bom", "the content starts with a byte order mark"),
        (b"SELECT 1;\n-- \xff\n", "content-encoding", "line 2 of the content is not UTF-8"),
        (b"SELECT 1;\n\0\n", "content-encoding", "line 2 of the content has a NUL byte"),
        (b"SELECT 1;\r\n", "content-line-ends", "line 1 of the content has a carriage return"),
        (
            b"x" * (4 * 2**20 + 1),
            "content-too-long",
            "the content has 4,194,305 bytes, and a script holds at most 4,194,304",
        ),
    ],
)
def test_content_is_utf_8_with_lf_and_not_too_long(content: bytes, code: str, message: str) -> None:
    assert short(script_problems(script(), content, ".sql")) == [(code, "", message)]


def test_all_that_is_wrong_with_content_is_said_at_once() -> None:
    codes = {problem.code for problem in script_problems(script(), b"\xef\xbb\xbf\r\xff", ".sh")}
    assert codes == {"content-ending", "content-bom", "content-encoding", "content-line-ends"}


def test_content_of_the_greatest_length_is_in_order() -> None:
    assert script_problems(script(), b"x" * (4 * 2**20), ".sql") == []


def test_subjobs_belong_to_a_real_time_single_task_job() -> None:
    parent = replace(real_time(node("watch")), name="clicks")
    assert subjob_problems(parent, []) == subjob_problems(job(), []) == []
    assert subjob_problems(parent, ["clicks_watch"]) == []
    (problem,) = subjob_problems(job(node("load")), ["orders_load"])
    assert (problem.code, problem.severity) == ("no-subjobs-here", Severity.ERROR)
    (warning,) = subjob_problems(parent, ["other"])
    assert (warning.code, warning.severity) == ("subjob-name", Severity.WARNING)
    assert warning.hint == "DataArts names it <job>_<node>: clicks_watch"
    codes = [problem.code for problem in subjob_problems(parent, ["clicks_watch", "Clicks_watch"])]
    assert codes == ["duplicate-subjob", "subjob-name"]
