"""Operations about how a repository is guarded: rules, environments, keys."""

from __future__ import annotations

from tests.github.bodies import Body, node, stamp
from tests.github.call import Answer, Call, answers
from tests.github.description import fill
from tests.github.protecting import rules
from tests.github.pulls import RefusedError
from tests.github.state import Environment, Role, Ruleset


@answers("repos/get-branch-rules", "metadata=read")
def branch_rules(call: Call) -> Answer:
    """List the active rules of all rulesets for a branch; classic protection is not among them."""
    found = []
    for ruleset, rule in rules(call.repo, f"refs/heads/{call.arguments['branch']}"):
        name = call.state.full_name(call.repo)
        where = {"ruleset_source_type": "Repository", "ruleset_source": name, "ruleset_id": ruleset.id}
        found.append({**rule, **where})
    return Answer(body=found)


@answers("repos/get-repo-rulesets", "metadata=read")
def rulesets(call: Call) -> Answer:
    """List rulesets, without what is in them."""
    targets = call.query.get("targets", "branch,tag,push").split(",")
    return Answer(body=[_ruleset(call, it) for it in call.repo.rulesets if it.target in targets])


@answers("repos/get-repo-ruleset", "metadata=read")
def ruleset(call: Call) -> Answer:
    """Show a ruleset. Who may bypass it is told only to who may change it."""
    for found in call.repo.rulesets:
        if str(found.id) == call.arguments["ruleset_id"]:
            body = {
                **_ruleset(call, found), "rules": [dict(it) for it in found.rules],
                "conditions": {"ref_name": {"include": list(found.include), "exclude": []}},
            }  # fmt: skip
            level = call.caller.level("administration")
            if call.caller.role(call.state, call.repo) is Role.ADMIN and level >= 2:
                body["bypass_actors"] = [{"bypass_mode": "always", **it} for it in found.bypass]
            return Answer(body=body)
    raise RefusedError(404, "Not Found")


def _ruleset(call: Call, found: Ruleset) -> Body:
    api, page = call.bodies.api(call.repo), call.bodies.page(call.repo)
    return {
        "id": found.id, "name": found.name, "target": found.target, "source_type": "Repository",
        "source": call.state.full_name(call.repo), "enforcement": found.enforcement,
        "node_id": node("RRS", found.id), "created_at": stamp(call.repo.created_at),
        "updated_at": stamp(call.repo.created_at),
        "_links": {"self": {"href": f"{api}/rulesets/{found.id}"}, "html": {"href": f"{page}/rules/{found.id}"}},
    }  # fmt: skip


@answers("repos/get-all-environments", "actions=read")
def environments(call: Call) -> Answer:
    """List environments."""
    found = [_environment(call, it) for it in call.repo.environments]
    return Answer(body={"total_count": len(found), "environments": found}, key="environments")


@answers("repos/get-environment", "actions=read")
def environment(call: Call) -> Answer:
    """Show an environment."""
    for found in call.repo.environments:
        if found.name == call.arguments["environment_name"]:
            return Answer(body=_environment(call, found))
    raise RefusedError(404, "Not Found")


def _environment(call: Call, found: Environment) -> Body:
    policy = None
    if found.protected_branches or found.branch_policies:
        policy = {
            "protected_branches": found.protected_branches,
            "custom_branch_policies": found.branch_policies,
        }
    guards: list[Body] = []
    if policy is not None:
        guards.append({"id": found.id + 1, "node_id": node("GA", found.id + 1), "type": "branch_policy"})
    if found.reviewers:
        asked = [{"type": "User", "reviewer": call.bodies.user(it)} for it in found.reviewers]
        guards.append(
            {
                "id": found.id + 2, "node_id": node("GA", found.id + 2), "type": "required_reviewers",
                "prevent_self_review": found.prevent_self_review, "reviewers": asked,
            }
        )  # fmt: skip
    return {
        "id": found.id, "node_id": node("EN", found.id), "name": found.name,
        "url": f"{call.bodies.api(call.repo)}/environments/{found.name}",
        "html_url": f"{call.bodies.page(call.repo)}/deployments/activity_log?environments_filter={found.name}",
        "created_at": stamp(call.repo.created_at), "updated_at": stamp(call.repo.created_at),
        "protection_rules": guards, "deployment_branch_policy": policy,
    }  # fmt: skip


@answers("repos/list-deploy-keys", "administration=read", role=Role.ADMIN)
def keys(call: Call) -> Answer:
    """List deploy keys."""
    url = f"{call.bodies.api(call.repo)}/keys"
    return Answer(
        body=[
            fill(
                "deploy-key",
                {
                    "id": it.id, "key": it.key, "url": f"{url}/{it.id}", "title": it.title, "verified": True,
                    "created_at": stamp(call.repo.created_at), "read_only": it.read_only, "last_used": None,
                },
            )
            for it in call.repo.keys
        ]
    )  # fmt: skip
