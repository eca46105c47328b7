"""Operations about what git holds: commits, refs, branches, comparisons, and statuses of commits."""

from __future__ import annotations

from tests.github.bodies import Body, node, stamp
from tests.github.call import Answer, Call, answers
from tests.github.pulls import RefusedError, custom
from tests.github.state import Protection, Repo, Role, Status

_MOST_COMMITS, _MOST_FILES = 250, 300
_LETTERS = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}


def found_commit(call: Call, name: str) -> str:
    """Find what a name of a commit stands for: a branch, a tag, or an id."""
    bare = call.state.bare(call.repo)
    for full in (f"refs/heads/{name}", f"refs/tags/{name}", f"refs/{name}"):
        found = bare.resolve(full)
        if found is not None:
            return found
    plain = 7 <= len(name) <= 40 and set(name) <= set("0123456789abcdef")
    found = bare.resolve(name) if plain else None
    if found is None:
        raise RefusedError(
            422 if plain else 404, f"No commit found for SHA: {name}" if plain else "Not Found"
        )
    return found


@answers("repos/get-commit", "contents=read")
def commit(call: Call) -> Answer:
    """Show a commit with the files it changes."""
    bare = call.state.bare(call.repo)
    found = bare.commit(found_commit(call, call.arguments["ref"]))
    base = found.parents[0] if found.parents else bare.git("hash-object", "-t", "tree", "/dev/null")
    files = _files(call, base, found.id)
    added, gone = sum(it["additions"] for it in files), sum(it["deletions"] for it in files)
    stats = {"additions": added, "deletions": gone, "total": added + gone}
    return Answer(body={**call.bodies.commit(call.repo, found), "stats": stats, "files": files[:_MOST_FILES]})


def _files(call: Call, base: str, head: str) -> list[Body]:
    made = []
    for letter, added, removed, path, blob in call.state.bare(call.repo).changes(base, head):
        page, api = call.bodies.page(call.repo), call.bodies.api(call.repo)
        made.append(
            {
                "sha": blob, "filename": path, "status": _LETTERS[letter], "additions": added,
                "deletions": removed, "changes": added + removed, "blob_url": f"{page}/blob/{head}/-",
                "raw_url": f"{page}/raw/{head}/-", "contents_url": f"{api}/contents/-?ref={head}",
            }
        )  # fmt: skip
    return made


@answers("repos/compare-commits-with-basehead", "contents=read")
def compare(call: Call) -> Answer:
    """Compare two commits, as `BASE...HEAD`; at most 250 commits, and 300 files on the first page."""
    one, dots, other = call.arguments["basehead"].partition("...")
    if not dots:
        raise RefusedError(404, "Not Found")
    bare = call.state.bare(call.repo)
    base, head = found_commit(call, one), found_commit(call, other)
    middle = bare.merge_base(base, head)
    if middle is None:
        raise RefusedError(404, f"No common ancestor between {one} and {other}.")
    ahead, behind = bare.between(base, head), bare.between(head, base)
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    page = f"{call.bodies.page(call.repo)}/compare/{base}...{head}"
    shown = {id_: call.bodies.commit(call.repo, bare.commit(id_)) for id_ in {base, middle}}
    commits = [call.bodies.commit(call.repo, it) for it in bare.commits(ahead[:_MOST_COMMITS])]
    size = int(call.query.get("per_page", _MOST_COMMITS))
    number = int(call.query.get("page", 1))
    files = _files(call, middle, head)[:_MOST_FILES] if number == 1 else []
    body = {
        "url": f"{call.bodies.api(call.repo)}/compare/{base}...{head}", "html_url": page, "permalink_url": page,
        "diff_url": f"{page}.diff", "patch_url": f"{page}.patch", "base_commit": shown[base],
        "merge_base_commit": shown[middle], "status": status, "ahead_by": len(ahead), "behind_by": len(behind),
        "total_commits": len(ahead), "commits": commits[(number - 1) * size : number * size], "files": files,
    }  # fmt: skip
    return Answer(body=body)


# Refs.


def _ref(call: Call, name: str, id_: str) -> Body:
    api = call.bodies.api(call.repo)
    kind = call.state.bare(call.repo).kind(id_)
    there = {"type": kind, "sha": id_, "url": f"{api}/git/{kind}s/{id_}"}
    return {"ref": name, "node_id": node("REF", name), "url": f"{api}/git/{name}", "object": there}


@answers("git/get-ref", "contents=read")
def get_ref(call: Call) -> Answer:
    """Show one ref."""
    name = f"refs/{call.arguments['ref']}"
    found = call.state.bare(call.repo).refs(name).get(name)
    if found is None:
        raise RefusedError(404, "Not Found")
    return Answer(body=_ref(call, name, found))


@answers("git/list-matching-refs", "contents=read")
def matching_refs(call: Call) -> Answer:
    """List refs whose names begin so."""
    start = f"refs/{call.arguments['ref']}"
    found = call.state.bare(call.repo).refs()
    return Answer(body=[_ref(call, name, id_) for name, id_ in found.items() if name.startswith(start)])


# Branches.


@answers("repos/get-branch", "contents=read")
def branch(call: Call) -> Answer:
    """Show a branch. What protects it is told in full only to who may administer."""
    name = call.arguments["branch"]
    bare = call.state.bare(call.repo)
    tip = bare.tip(name)
    if tip is None:
        raise RefusedError(404, "Branch not found")
    url = f"{call.bodies.api(call.repo)}/branches/{name}"
    protection = call.repo.protections.get(name)
    checks = {
        "enforcement_level": "non_admins",
        "contexts": list(protection.checks) if protection else [],
        "checks": [],
    }
    body = {
        "name": name, "commit": call.bodies.commit(call.repo, bare.commit(tip)),
        "_links": {"self": url, "html": f"{call.bodies.page(call.repo)}/tree/{name}"},
        "protected": protection is not None, "protection_url": f"{url}/protection",
        "protection": {"enabled": protection is not None, "required_status_checks": checks},
    }  # fmt: skip
    return Answer(body=body)


@answers("repos/get-branch-protection", "administration=read", role=Role.ADMIN)
def protection(call: Call) -> Answer:
    """Show the classic protection of a branch."""
    found = call.repo.protections.get(call.arguments["branch"])
    if found is None:
        raise RefusedError(404, "Branch not protected")
    return Answer(body=_protection(call, call.repo, found))


def _protection(call: Call, repo: Repo, found: Protection) -> Body:
    url = f"{call.bodies.api(repo)}/branches/{call.arguments['branch']}/protection"
    made: Body = {
        "url": url, "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": found.enforce_admins},
        "allow_force_pushes": {"enabled": found.force_pushes}, "allow_deletions": {"enabled": found.deletions},
        "required_linear_history": {"enabled": False}, "block_creations": {"enabled": False},
        "required_conversation_resolution": {"enabled": False}, "lock_branch": {"enabled": False},
        "required_signatures": {"url": f"{url}/required_signatures", "enabled": False},
        "allow_fork_syncing": {"enabled": False},
    }  # fmt: skip
    if found.pull_request:
        made["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews", "dismiss_stale_reviews": found.dismiss_stale,
            "require_code_owner_reviews": False, "require_last_push_approval": found.last_push,
            "required_approving_review_count": found.approvals,
        }  # fmt: skip
    if found.checks:
        named = [{"context": it, "app_id": None} for it in found.checks]
        made["required_status_checks"] = {"strict": False, "contexts": list(found.checks), "checks": named}
    if found.pushers is not None:
        people = [call.state.account(it) for it in sorted(found.pushers)]
        there = f"{url}/restrictions"
        made["restrictions"] = {
            "url": there, "users_url": f"{there}/users", "teams_url": f"{there}/teams", "apps_url": f"{there}/apps",
            "users": [call.bodies.user(it.id) for it in people], "teams": [], "apps": [],
        }  # fmt: skip
    return made


# Statuses.


@answers("repos/create-commit-status", "statuses=write", role=Role.WRITE)
def create_status(call: Call) -> Answer:
    """Say something about a commit, under a context; GitHub keeps a thousand of each."""
    body, sha = call.body, call.arguments["sha"]
    bare = call.state.bare(call.repo)
    if len(sha) != 40 or bare.resolve(sha) is None:
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    if len(body.get("description") or "") > 140:
        raise custom("Status", "description is too long (maximum is 140 characters)")
    context = body.get("context", "default")
    said = sum((it.repo, it.sha, it.context) == (call.repo.id, sha, context) for it in call.state.statuses)
    if said >= 1000:
        raise custom("Status", "This SHA and context has reached the maximum number of statuses.")
    made = Status(
        id=call.state.next_id(), repo=call.repo.id, sha=sha, context=context, state=body["state"],
        description=body.get("description"), target_url=body.get("target_url"), creator=call.who,
        at=call.state.now,
    )  # fmt: skip
    call.state.statuses.append(made)
    return Answer(status=201, body=_status(call, made))


def _status(call: Call, status: Status) -> Body:
    creator = call.bodies.user(status.creator)
    return {
        "url": f"{call.bodies.api(call.repo)}/statuses/{status.sha}", "id": status.id,
        "avatar_url": creator and creator["avatar_url"], "node_id": node("SC", status.id),
        "state": status.state, "description": status.description, "target_url": status.target_url,
        "context": status.context, "created_at": stamp(status.at), "updated_at": stamp(status.at),
        "creator": creator,
    }  # fmt: skip


def _statuses(call: Call) -> tuple[str, list[Status]]:
    sha = found_commit(call, call.arguments["ref"])
    found = [it for it in call.state.statuses if (it.repo, it.sha) == (call.repo.id, sha)]
    return sha, found[::-1]


@answers("repos/list-commit-statuses-for-ref", "statuses=read")
def list_statuses(call: Call) -> Answer:
    """List all that was said about a commit, newest first."""
    return Answer(body=[_status(call, it) for it in _statuses(call)[1]])


@answers("repos/get-combined-status-for-ref", "statuses=read")
def combined_status(call: Call) -> Answer:
    """Give the last word of each context, and what they add up to."""
    sha, found = _statuses(call)
    last: dict[str, Status] = {}
    for status in found:
        last.setdefault(status.context, status)
    states = {it.state for it in last.values()}
    bad = (
        "failure"
        if states & {"failure", "error"}
        else "pending"
        if "pending" in states or not last
        else "success"
    )
    shown = []
    for status in last.values():
        body = _status(call, status)
        del body["creator"]
        shown.append(body)
    api = call.bodies.api(call.repo)
    body = {
        "state": bad, "sha": sha, "total_count": len(last), "statuses": shown,
        "repository": call.bodies.repository(call.repo, "minimal-repository"),
        "commit_url": f"{api}/commits/{sha}", "url": f"{api}/commits/{sha}/status",
    }  # fmt: skip
    return Answer(body=body, key="statuses")
