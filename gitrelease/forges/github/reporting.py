"""What people see on GitHub of how a package stands. All of it is information: nothing is ever decided by it.

Each thing is said once and kept up to date, found again by a natural key, so that saying it again changes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from gitrelease.core.names import CommitId, PackageName, release_tag
from gitrelease.errors import NotFound
from gitrelease.forges.github.client import Client, Value
from gitrelease.forges.github.refusals import GitHubSaid, Unreadable
from gitrelease.forges.github.saying import BODY_LIMIT, once, shortened
from gitrelease.forges.github.values import at, number, rows, text

ENVIRONMENT = "production"
TASK = "gitrelease"
_DESCRIPTION = 140


class State(StrEnum):
    """What a status of a commit says."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class Course(StrEnum):
    """How a deployment goes."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class StatusWords:
    """What a commit is to be said to be."""

    context: str
    """`gitrelease/check` or `gitrelease/approval`."""
    state: State
    description: str
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """What production is to be said to have been given."""

    package: PackageName
    commit: CommitId
    digest: str
    """Names the manifest, so that one package is one deployment however often sync says so."""
    course: Course
    description: str
    log_url: str | None = None


def set_status(client: Client, head: CommitId, words: StatusWords) -> None:
    """Say how a commit stands under a context, unless that was the last word already."""
    wanted = {
        "state": words.state,
        "context": words.context,
        "description": shortened(words.description, _DESCRIPTION),
        **({"target_url": words.url} if words.url else {}),
    }
    doing = f"say {words.context} of {head:.7}"

    def find() -> Value | None:
        there = client.get(client.repo(f"commits/{head}/status"), {"per_page": 100}, doing=doing)
        return next((one for one in rows(there, "statuses") if _says(one, wanted)), None)

    if find() is None:
        once(lambda: client.post(client.repo(f"statuses/{head}"), wanted, doing=doing), find)


def _says(there: Value, wanted: dict[str, str]) -> bool:
    return all(text(there, name) == value for name, value in wanted.items())


def set_deployment(client: Client, deployed: Deployed) -> None:
    """Say that production was given a package, and how that went.

    GitHub would merge the main branch into what is deployed, and wait for every check, unless it is told not to.
    """
    doing = f"announce the deployment of {deployed.package}"
    payload = {"package": deployed.package, "digest": deployed.digest}
    known = find_deployment(client, deployed)
    is_new = known is None
    if known is None:
        sent = {
            "ref": deployed.commit,
            "task": TASK,
            "environment": ENVIRONMENT,
            "auto_merge": False,
            "required_contexts": [],
            "payload": payload,
            "production_environment": True,
            "description": shortened(f"package {deployed.package}", _DESCRIPTION),
        }
        known = once(
            lambda: client.post(client.repo("deployments"), sent, doing=doing),
            lambda: find_deployment(client, deployed),
        )
    id_ = number(known, "id")
    if id_ is None:
        raise Unreadable(
            f"GitHub announced the deployment of {deployed.package} and does not say which it is"
        )
    _set_course(client, id_, deployed, is_new=is_new, doing=doing)


def find_deployment(client: Client, deployed: Deployed) -> Value | None:
    """Find the deployment of a package by the digest in its payload."""
    asked = {"sha": deployed.commit, "environment": ENVIRONMENT, "task": TASK}
    doing = f"look for the deployment of {deployed.package}"
    for page in client.pages(client.repo("deployments"), asked, doing=doing):
        for there in page:
            if text(there, "payload", "digest") == deployed.digest:
                return there
    return None


def _set_course(client: Client, id_: int, deployed: Deployed, *, is_new: bool, doing: str) -> None:
    path = client.repo(f"deployments/{id_}/statuses")
    wanted = {
        "state": deployed.course,
        "description": shortened(deployed.description, _DESCRIPTION),
        **({"log_url": deployed.log_url} if deployed.log_url else {}),
    }

    def find() -> Value | None:
        there = next(client.pages(path, {"per_page": 1}, doing=doing), [])
        return there[0] if there and _says(there[0], wanted) else None

    if is_new or find() is None:
        once(lambda: client.post(path, wanted, doing=doing), find)


def set_release(client: Client, package: PackageName, *, title: str, body: str) -> None:
    """Publish notes for the tag of a release; without the tag there is nothing to publish.

    GitHub would make the tag itself where it is missing, on whatever the main branch holds. That tag is sync's alone,
    so it is looked for before.
    """
    tag = release_tag(package).removeprefix("refs/tags/")
    doing = f"publish the notes of {tag}"
    wanted = {"name": shortened(title, 256), "body": shortened(body, BODY_LIMIT)}
    client.get(client.repo(f"git/ref/tags/{tag}"), doing=f"look for the tag {tag}")

    def send() -> Value:
        try:
            return client.post(client.repo("releases"), {"tag_name": tag, **wanted}, doing=doing)
        except GitHubSaid as said:
            if said.says("already_exists") and (found := find_release(client, tag)) is not None:
                return found
            raise

    known = once(send, lambda: find_release(client, tag))
    if any(_lines(known, name) != value.strip() for name, value in wanted.items()):
        there = client.repo(f"releases/{number(known, 'id')}")

        def changed() -> Value | None:
            found = find_release(client, tag)
            same = found is not None and all(_lines(found, key) == wanted[key].strip() for key in wanted)
            return found if same else None

        once(lambda: client.patch(there, wanted, doing=doing), changed)


def _lines(there: Value, name: str) -> str:
    return text(there, name).replace("\r\n", "\n").strip()


def find_release(client: Client, tag: str) -> Value | None:
    """Find the notes of a tag."""
    try:
        there = client.get(client.repo(f"releases/tags/{tag}"), doing=f"look for the notes of {tag}")
    except NotFound:
        return None
    return there if at(there, "tag_name") == tag else None


def digest_of(manifest: str, commit: CommitId) -> str:
    """Name what is deployed: a manifest, at the commit that brought it."""
    return hashlib.sha256(f"{manifest} {commit}".encode()).hexdigest()
