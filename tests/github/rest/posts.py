"""Operations that post something for people to see: check runs, deployments, releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.github.bodies import Body, node, stamp
from tests.github.call import Answer, Call, answers
from tests.github.pulls import RefusedError, custom, invalid, moved
from tests.github.rest.commits import found_commit
from tests.github.rest.people import app_body
from tests.github.state import NOWHERE, Posted, Role, TokenKind

_LONGEST = 140
_ACTIONS_APP = 15_368


def _posted(call: Call, table: dict[int, Posted], data: Mapping[str, Any], of: int = 0) -> Posted:
    made = Posted(
        id=call.state.next_id(), repo=call.repo.id, creator=call.who, at=call.state.now, data=data, of=of
    )
    table[made.id] = made
    return made


def _found(call: Call, table: dict[int, Posted], name: str) -> Posted:
    text = call.arguments[name]
    found = table.get(int(text)) if text.isdigit() else None
    if found is None or found.repo != call.repo.id:
        raise RefusedError(404, "Not Found")
    return found


# Check runs: by Apps alone.


def _as_app(call: Call) -> int | None:
    token = call.caller.token
    if token is None or not call.caller.is_bot:
        raise RefusedError(403, "You must authenticate via a GitHub App.")
    return _ACTIONS_APP if token.kind is TokenKind.ACTIONS else token.app


@answers("checks/create", "checks=write")
def create_check(call: Call) -> Answer:
    """Post what a check found."""
    app = _as_app(call)
    if call.state.bare(call.repo).resolve(call.body["head_sha"]) is None:
        raise RefusedError(422, f"No commit found for SHA: {call.body['head_sha']}")
    made = _posted(call, call.state.check_runs, {"app": app, **_concluded(call, call.body)})
    return Answer(status=201, body=_check(call, made))


@answers("checks/update", "checks=write")
def update_check(call: Call) -> Answer:
    """Post more of what a check found."""
    app = _as_app(call)
    found = _found(call, call.state.check_runs, "check_run_id")
    if found.data["app"] != app:
        raise RefusedError(403, "Invalid app_id. The check run was created by another app.")
    made = replace(found, data={**found.data, **_concluded(call, call.body)})
    call.state.check_runs[made.id] = made
    return Answer(body=_check(call, made))


def _concluded(call: Call, body: Mapping[str, Any]) -> Mapping[str, Any]:
    done = {"status": "completed", "completed_at": stamp(call.state.now)} if "conclusion" in body else {}
    return {**done, **body}


def _check(call: Call, run: Posted) -> Body:
    data = run.data
    url = f"{call.bodies.api(call.repo)}/check-runs/{run.id}"
    page = f"{call.bodies.page(call.repo)}/runs/{run.id}"
    output = data.get("output") or {}
    return {
        "id": run.id, "node_id": node("CR", run.id), "head_sha": data["head_sha"], "name": data["name"], "url": url,
        "html_url": page, "details_url": data.get("details_url", page), "status": data.get("status", "queued"),
        "conclusion": data.get("conclusion"), "started_at": data.get("started_at", stamp(run.at)),
        "completed_at": data.get("completed_at"), "external_id": data.get("external_id", ""),
        "check_suite": {"id": run.repo}, "app": app_body(call, data["app"]), "pull_requests": [],
        "output": {
            "title": output.get("title"), "summary": output.get("summary"), "text": output.get("text"),
            "annotations_count": len(output.get("annotations", ())), "annotations_url": f"{url}/annotations",
        },
    }  # fmt: skip


# Deployments.


@answers("repos/create-deployment", "deployments=write", role=Role.WRITE)
def create_deployment(call: Call) -> Answer:
    """Announce a deployment. Left to itself GitHub merges first, and waits for every status to be good."""
    body = call.body
    sha = _deployed(call, body["ref"])
    if len(body.get("description") or "") > _LONGEST:
        raise custom("Deployment", f"description is too long (maximum is {_LONGEST} characters)")
    if body.get("auto_merge", True) and _merged_first(call, body["ref"]):
        words = f"Auto-merged {call.repo.default_branch} into {body['ref']} on deployment."
        return Answer(status=202, body={"message": words})
    said = {it.context: it.state for it in call.state.statuses if (it.repo, it.sha) == (call.repo.id, sha)}
    wanted = body.get("required_contexts", list(said))
    if any(said.get(context) != "success" for context in wanted):
        raise RefusedError(409, f"Conflict: Commit status checks failed for {body['ref']}.")
    made = _posted(
        call, call.state.deployments, {"environment": "production", "task": "deploy", **body, "sha": sha}
    )
    return Answer(status=201, body=_deployment(call, made))


def _deployed(call: Call, name: str) -> str:
    try:
        return found_commit(call, name)
    except RefusedError:
        raise RefusedError(422, f"No ref found for: {name}") from None


def _merged_first(call: Call, branch: str) -> bool:
    """Merge the default branch into another that lacks some of it, as GitHub does unless told not to."""
    bare = call.state.bare(call.repo)
    tip, main = bare.tip(branch), bare.tip(call.repo.default_branch)
    if tip is None or main is None or bare.contains(tip, main):
        return False
    tree = bare.merged_tree(tip, main)
    if tree is None:
        raise RefusedError(409, f"Conflict merging {call.repo.default_branch} into {branch}.")
    words = f"Merge branch '{call.repo.default_branch}' into {branch}"
    who = bare.commit(main).committer
    made = bare.write(tree, (tip, main), words, author=who, committer=who)
    bare.move(f"refs/heads/{branch}", made, tip)
    moved(call.state, call.repo, f"refs/heads/{branch}", tip or NOWHERE, made, call.who)
    return True


def _deployment(call: Call, found: Posted) -> Body:
    data = found.data
    url = f"{call.bodies.api(call.repo)}/deployments/{found.id}"
    return {
        "url": url, "id": found.id, "node_id": node("DE", found.id), "sha": data["sha"], "ref": data["ref"],
        "task": data["task"], "payload": data.get("payload", {}), "environment": data["environment"],
        "original_environment": data["environment"], "description": data.get("description"),
        "creator": call.bodies.user(found.creator), "created_at": stamp(found.at), "updated_at": stamp(found.at),
        "statuses_url": f"{url}/statuses", "repository_url": call.bodies.api(call.repo),
        "transient_environment": data.get("transient_environment", False),
        "production_environment": data.get("production_environment", data["environment"] == "production"),
    }  # fmt: skip


@answers("repos/list-deployments", "deployments=read")
def list_deployments(call: Call) -> Answer:
    """List deployments, newest first."""
    found = [it for it in call.state.deployments.values() if it.repo == call.repo.id]
    for name in ("sha", "ref", "task", "environment"):
        if name in call.query:
            found = [it for it in found if it.data[name] == call.query[name]]
    return Answer(body=[_deployment(call, it) for it in found[::-1]])


@answers("repos/get-deployment", "deployments=read")
def get_deployment(call: Call) -> Answer:
    """Show a deployment."""
    return Answer(body=_deployment(call, _found(call, call.state.deployments, "deployment_id")))


@answers("repos/create-deployment-status", "deployments=write", role=Role.WRITE)
def create_deployment_status(call: Call) -> Answer:
    """Say how a deployment goes; a success makes older ones of its environment inactive."""
    found = _found(call, call.state.deployments, "deployment_id")
    body = call.body
    if len(body.get("description") or "") > _LONGEST:
        raise custom("DeploymentStatus", f"description is too long (maximum is {_LONGEST} characters)")
    made = _posted(call, call.state.deployment_statuses, body, of=found.id)
    if body["state"] == "success" and body.get("auto_inactive", True):
        for other in list(call.state.deployments.values()):
            same = (other.repo, other.data["environment"]) == (found.repo, found.data["environment"])
            states = [it.data["state"] for it in call.state.deployment_statuses.values() if it.of == other.id]
            if same and other.id != found.id and states[-1:] == ["success"]:
                _posted(call, call.state.deployment_statuses, {"state": "inactive"}, of=other.id)
    return Answer(status=201, body=_deployment_status(call, found, made))


def _deployment_status(call: Call, of: Posted, status: Posted) -> Body:
    data = status.data
    there = f"{call.bodies.api(call.repo)}/deployments/{of.id}"
    log = data.get("log_url", data.get("target_url", ""))
    return {
        "url": f"{there}/statuses/{status.id}", "id": status.id, "node_id": node("DES", status.id),
        "state": data["state"], "creator": call.bodies.user(status.creator), "log_url": log, "target_url": log,
        "description": data.get("description", ""), "environment": data.get("environment", of.data["environment"]),
        "environment_url": data.get("environment_url", ""), "deployment_url": there,
        "repository_url": call.bodies.api(call.repo), "created_at": stamp(status.at),
        "updated_at": stamp(status.at),
    }  # fmt: skip


@answers("repos/list-deployment-statuses", "deployments=read")
def list_deployment_statuses(call: Call) -> Answer:
    """List how a deployment went, newest first."""
    found = _found(call, call.state.deployments, "deployment_id")
    said = [it for it in call.state.deployment_statuses.values() if it.of == found.id]
    return Answer(body=[_deployment_status(call, found, it) for it in said[::-1]])


# Releases.


@answers("repos/create-release", "contents=write", role=Role.WRITE)
def create_release(call: Call) -> Answer:
    """Publish a release; a tag that is not there is made at the commit named."""
    body = call.body
    tag = body["tag_name"]
    if any(it.data["tag_name"] == tag and it.repo == call.repo.id for it in call.state.releases.values()):
        raise invalid("Release", "tag_name", "already_exists")
    bare = call.state.bare(call.repo)
    if not body.get("draft", False) and bare.resolve(f"refs/tags/{tag}") is None:
        try:
            sha = found_commit(call, body.get("target_commitish", call.repo.default_branch))
        except RefusedError:
            raise invalid("Release", "target_commitish") from None
        bare.move(f"refs/tags/{tag}", sha)
    return Answer(status=201, body=_release(call, _posted(call, call.state.releases, body)))


def _release(call: Call, found: Posted) -> Body:
    data = found.data
    api, page = call.bodies.api(call.repo), call.bodies.page(call.repo)
    url = f"{api}/releases/{found.id}"
    draft = data.get("draft", False)
    at: datetime = found.at
    return {
        "url": url, "html_url": f"{page}/releases/tag/{data['tag_name']}", "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}", "tarball_url": f"{api}/tarball/{data['tag_name']}",
        "zipball_url": f"{api}/zipball/{data['tag_name']}", "id": found.id, "node_id": node("RE", found.id),
        "tag_name": data["tag_name"], "target_commitish": data.get("target_commitish", call.repo.default_branch),
        "name": data.get("name"), "body": data.get("body"), "draft": draft,
        "prerelease": data.get("prerelease", False), "immutable": False, "created_at": stamp(at),
        "published_at": None if draft else stamp(at), "author": call.bodies.user(found.creator), "assets": [],
    }  # fmt: skip


@answers("repos/list-releases", "contents=read")
def list_releases(call: Call) -> Answer:
    """List releases, newest first."""
    found = [it for it in call.state.releases.values() if it.repo == call.repo.id]
    return Answer(body=[_release(call, it) for it in found[::-1]])


@answers("repos/get-release-by-tag", "contents=read")
def release_by_tag(call: Call) -> Answer:
    """Show the release of a tag."""
    for found in call.state.releases.values():
        published = not found.data.get("draft", False)
        if published and (found.repo, found.data["tag_name"]) == (call.repo.id, call.arguments["tag"]):
            return Answer(body=_release(call, found))
    raise RefusedError(404, "Not Found")


@answers("repos/update-release", "contents=write", role=Role.WRITE)
def update_release(call: Call) -> Answer:
    """Change what a release says."""
    found = _found(call, call.state.releases, "release_id")
    made = replace(found, data={**found.data, **(call.body or {})})
    call.state.releases[made.id] = made
    return Answer(body=_release(call, made))
