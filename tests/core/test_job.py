"""A job and a script as values: what they use, under which names in production, and what they mean."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelease.core.fields import Malformed
from gitrelease.core.finding import key_text
from gitrelease.core.job import (
    Job,
    Mappings,
    ParamType,
    ProcessType,
    ScheduleType,
    UseKind,
    meaning,
    parse_job,
    switch_names,
)
from gitrelease.core.names import Directory
from gitrelease.core.script import ScriptType, content_ending, parse_script

HERE = Directory("/sales/daily")
SWITCH = Mappings(
    connections={"dws_dev": "dws", "mrs_hive_dev": "mrs_hive"},
    queues={"q_dev": "q"},
    databases={"ods_dev": "ods"},
)


def orders() -> dict[str, Any]:
    return {
        "apiVersion": "gitrelease/v1",
        "kind": "Job",
        "name": "dws_orders_daily",
        "version": 4,
        "processType": "BATCH",
        "description": "Loads yesterday's orders",
        "params": {"biz_date": "#{Job.planTime}", "region": {"value": "eu", "type": "constants"}},
        "nodes": [
            {
                "name": "ingest",
                "type": "CDMJob",
                "location": {"x": "1", "y": "2"},
                "properties": {"clusterName": "cdm-dev", "jobName": "orders_to_obs"},
            },
            {
                "name": "clean",
                "type": "HiveSQL",
                "preNodeName": ["ingest"],
                "properties": {
                    "scriptName": "clean-orders",
                    "connectionName": "mrs_hive_dev",
                    "database": {"value": "ods_dev", "x-encrypted": False},
                    "statementOrScript": "SCRIPT",
                },
            },
            {
                "name": "inline",
                "type": "DWSSQL",
                "conditions": [{"preNodeName": "clean", "expression": "#{true}"}],
                "properties": {
                    "statementOrScript": "STATEMENT",
                    "scriptName": "left over",
                    "queueName": "q_dev",
                },
            },
            {"name": "spark", "type": "DLISpark", "properties": {"clusterName": "q_dev"}},
            {
                "name": "again",
                "type": "For Each",
                "preNodeName": ["clean"],
                "properties": {"subJobName": "refresh"},
            },
            {
                "name": "dynamic",
                "type": "Shell",
                "properties": {"scriptName": "${which}", "connectionName": ""},
            },
        ],
        "schedule": {
            "type": "CRON",
            "cron": {
                "expression": "0 30 2 * * ?",
                "startTime": "2026-01-01T00:00:00+08",
                "dependJobs": {
                    "jobs": ["ods_customers"],
                    "sameWorkSpaceJobs": ["ods_products", "ods_customers"],
                },
            },
        },
    }


def parsed(value: dict[str, Any] | None = None) -> Job:
    return parse_job(orders() if value is None else value, directory=HERE)


def test_a_job_is_parsed() -> None:
    job = parsed()
    assert (job.name, job.directory, job.version, job.process_type) == (
        *("dws_orders_daily", HERE, 4),
        ProcessType.BATCH,
    )
    assert [(param.name, param.value, param.type) for param in job.params] == [
        ("biz_date", "#{Job.planTime}", ParamType.VARIABLE),
        ("region", "eu", ParamType.CONSTANTS),
    ]
    assert job.nodes[1].properties["database"] == "ods_dev"
    assert job.schedule.type is ScheduleType.CRON
    assert not job.single_node


def test_what_a_job_uses() -> None:
    job = parsed()
    assert job.scripts == ((1, "clean-orders"),), "an inline statement and an expression name no script"
    assert job.upstream == ("ods_customers", "ods_products")
    assert job.called_jobs == ("refresh",), "the job of a CDM cluster is no job of ours"
    assert [(use.kind.value, use.name, key_text(use.key)) for use in job.uses] == [
        ("upstream job", "ods_customers", "schedule.cron.dependJobs.jobs[0]"),
        ("upstream job", "ods_products", "schedule.cron.dependJobs.sameWorkSpaceJobs[0]"),
        ("upstream job", "ods_customers", "schedule.cron.dependJobs.sameWorkSpaceJobs[1]"),
        ("script", "clean-orders", "nodes[1].properties.scriptName"),
        ("connection", "mrs_hive_dev", "nodes[1].properties.connectionName"),
        ("database", "ods_dev", "nodes[1].properties.database"),
        ("queue", "q_dev", "nodes[2].properties.queueName"),
        ("queue", "q_dev", "nodes[3].properties.clusterName"),
        ("called job", "refresh", "nodes[4].properties.subJobName"),
    ]
    assert job.named(UseKind.QUEUE) == ("q_dev",)


def test_a_trigger_of_a_node_waits_for_jobs_as_well() -> None:
    value = orders()
    value["nodes"][0]["cronTrigger"] = {
        "expression": "0 0 1 * * ?",
        "dependJobs": {"jobs": [{"jobName": "ods_stores", "x-project": "p"}]},
    }
    (use,) = [use for use in parsed(value).uses if use.name == "ods_stores"]
    assert key_text(use.key) == "nodes[0].cronTrigger.dependJobs.jobs[0]"


def test_edges_go_from_a_node_to_those_that_wait_for_it() -> None:
    value = orders()
    value["nodes"][1]["preNodeName"] += ["ingest", "nowhere"]
    assert parsed(value).edges == {
        "ingest": ("clean",),
        "clean": ("inline", "again"),
        "inline": (),
        "spark": (),
        "again": (),
        "dynamic": (),
    }


def test_names_are_switched_for_production() -> None:
    value = orders()
    before = copy.deepcopy(value)
    switched: dict[str, Any] = switch_names(value, SWITCH)
    assert value == before
    wanted = orders()
    wanted["nodes"][1]["properties"]["connectionName"] = "mrs_hive"
    wanted["nodes"][1]["properties"]["database"] = {"value": "ods", "x-encrypted": False}
    wanted["nodes"][2]["properties"]["queueName"] = "q"
    wanted["nodes"][3]["properties"]["clusterName"] = "q"
    assert switched == wanted
    assert switch_names(value, Mappings()) == before


def test_a_cluster_that_is_called_like_a_queue_stays() -> None:
    value = orders()
    value["nodes"][0]["properties"]["clusterName"] = "q_dev"
    switched: dict[str, Any] = switch_names(value, SWITCH)
    assert switched["nodes"][0] == value["nodes"][0]


def test_names_of_a_script_are_switched() -> None:
    script = {"name": "dws_dev", "connectionName": "dws_dev", "database": "other", "queueName": "q_dev"}
    assert switch_names(script, SWITCH) == {
        **script,
        "connectionName": "dws",
        "queueName": "q",
    }


def test_what_means_nothing_is_left_out_of_the_meaning() -> None:
    moved = orders()
    moved["version"] = 5
    moved["nodes"][0]["location"] = {"x": "9", "y": "9"}
    moved["nodes"][0]["x-lineageInfo"] = ["a"]
    moved["location"] = {"x": 1}
    moved["x-lastUpdateUser"] = "someone"
    moved["x-createTime"] = 1
    assert meaning(moved, HERE) == meaning(orders(), HERE)
    assert meaning(orders(), HERE)["directory"] == HERE


def test_short_and_long_forms_mean_the_same() -> None:
    long = orders()
    long["params"]["biz_date"] = {"value": "#{Job.planTime}", "type": "variable"}
    long["nodes"][0]["properties"]["clusterName"] = {"value": "cdm-dev"}
    assert meaning(long, HERE) == meaning(orders(), HERE)
    long["params"]["region"] = "eu"
    assert meaning(long, HERE) != meaning(orders(), HERE), "constants and variables differ"


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(description="else"),
        lambda value: value.update({"x-unknown": 1}),
        lambda value: value["nodes"][0].update({"retryTimes": 1}),
        lambda value: value["nodes"].reverse(),
        lambda value: value["nodes"][1]["properties"]["database"].update({"x-encrypted": True}),
        lambda value: value["schedule"]["cron"].update(expression="0 0 1 * * ?"),
        lambda value: value["params"].update(location="berlin"),
        lambda value: value["nodes"][1]["properties"].update(location="berlin"),
    ],
)
def test_all_else_is_part_of_the_meaning(change: Any) -> None:
    changed = orders()
    change(changed)
    assert meaning(changed, HERE) != meaning(orders(), HERE)
    assert meaning(orders(), Directory("/elsewhere")) != meaning(orders(), HERE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.pop("name"), "has no 'name'"),
        (lambda value: value.pop("schedule"), "has no 'schedule'"),
        (lambda value: value["schedule"].pop("cron"), "schedule: has the type CRON and no 'cron'"),
        (lambda value: value["schedule"].update(type="EVENT"), "schedule: has the type EVENT and no 'event'"),
        (lambda value: value.update(version="4"), "version: is a text, not a whole number"),
        (lambda value: value.update(version=True), "version: is a truth value, not a whole number"),
        (lambda value: value.update(nodes={}), "nodes: is a mapping, not a list"),
        (lambda value: value["nodes"].append(7), "nodes[6]: is a number, not a mapping"),
        (
            lambda value: value["nodes"][1].update(preNodeName=[None]),
            "nodes[1].preNodeName[0]: is empty, not a text",
        ),
        (
            lambda value: value.update(processType="batch"),
            "processType: is 'batch', which is none of BATCH, REAL_TIME",
        ),
        (
            lambda value: value.update(singleNodeJobFlag="true"),
            "singleNodeJobFlag: is a text, neither true nor false",
        ),
        (lambda value: value["params"].update(region={}), "params.region: has no 'value'"),
        (
            lambda value: value["nodes"][0]["properties"].update(jobName=3),
            "nodes[0].properties.jobName: is a number",
        ),
        (
            lambda value: value["nodes"][0]["properties"].update({3: "x"}),
            "nodes[0].properties: has a number as a key",
        ),
    ],
)
def test_a_wrong_shape_is_refused_with_its_key(change: Any, message: str) -> None:
    value = orders()
    change(value)
    with pytest.raises(Malformed) as refused:
        parsed(value)
    assert message in refused.value.message


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)
names = st.sampled_from(
    ["name", "type", "properties", "nodes", "cron", "params", "value", "schedule", "preNodeName"]
)
strange = st.recursive(
    anything, lambda inner: st.one_of(st.lists(inner), st.dictionaries(names, inner)), max_leaves=20
)


@given(st.data())
def test_no_document_is_too_strange(data: st.DataObject) -> None:
    value = orders()
    where: Any = data.draw(
        st.sampled_from([value, *value["nodes"], value["schedule"], value["schedule"]["cron"]])
    )
    where[data.draw(st.one_of(names, st.sampled_from(sorted(where))))] = data.draw(strange)
    switch_names(value, SWITCH)
    meaning(value, HERE)
    for parse in (parse_job, parse_script):
        try:
            parse(value, directory=HERE)
        except Malformed as refused:
            assert refused.problem.message


def test_a_script_is_parsed() -> None:
    script = parse_script(
        {
            "name": "clean-orders",
            "type": "DLISQL",
            "connectionName": "c",
            "queueName": "",
            "configuration": {"a": "1"},
        },
        directory=HERE,
    )
    assert (script.type, script.connection, script.queue, script.database) == (
        ScriptType.DLI_SQL,
        "c",
        None,
        None,
    )
    assert [(use.kind, use.name) for use in script.uses] == [(UseKind.CONNECTION, "c")]
    assert script.configuration == {"a": "1"}


def test_content_endings() -> None:
    assert {kind: content_ending(kind) for kind in ScriptType if content_ending(kind) != ".sql"} == {
        ScriptType.PYTHON: ".py",
        ScriptType.SPARK_PYTHON: ".py",
        ScriptType.SHELL: ".sh",
    }
    with pytest.raises(Malformed, match="'Perl', which is none of"):
        content_ending("Perl")
