"""What people see on GitHub of how a package stands. All of it is information: nothing is ever decided by it.

Each thing is said once and kept up to date, found again by a natural key, so that saying it again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from gitrelease.core.names import CommitId, PackageName, release_tag
from gitrelease.errors import NotFound
from gitrelease.forges import Announcement, StatusWords
from gitrelease.forges.github.client import Client, Value
from gitrelease.forges.github.refusals import GitHubSaid, Unreadable
from gitrelease.forges.github.saying import BODY_LIMIT, once, shortened
from gitrelease.forges.github.values import at, number, rows, text

ENVIRONMENT = "production"
TASK = "gitrelease"
_DESCRIPTION = 140
_INACTIVE = "inactive"


class TagGone(NotFound):
    """Somebody deleted the tag of a release: `verify` says so, and there is nothing to publish notes for."""

    code = "tag-gone"


def set_statuses(client: Client, head: CommitId, told: Sequence[StatusWords]) -> None:
    """Say how a commit stands, each under its context, unless that was the last word already."""
    doing = f"say how {head:.7} stands"

    def known() -> Sequence[Value]:
        there = client.get(client.repo(f"commits/{head}/status"), {"per_page": 100}, doing=doing)
        return rows(there, "statuses")

    last = known()
    for words in told:
        wanted = {
            "state": words.state,
            "context": words.context,
            "description": shortened(words.description, _DESCRIPTION),
            **({"target_url": words.url} if words.url else {}),
        }
        if not any(_says(one, wanted) for one in last):
            _set_status(client, head, wanted, known, doing=f"say {words.context} of {head:.7}")


def _set_status(
    client: Client,
    head: CommitId,
    wanted: dict[str, str],
    known: Callable[[], Sequence[Value]],
    *,
    doing: str,
) -> None:
    def find() -> Value | None:
        return next((one for one in known() if _says(one, wanted)), None)

    once(lambda: client.post(client.repo(f"statuses/{head}"), wanted, doing=doing), find)


def _says(there: Value, wanted: dict[str, str]) -> bool:
    return all(text(there, name) == value for name, value in wanted.items())


def set_deployment(client: Client, told: Announcement, *, is_new: bool = False) -> bool:
    """Say that production was given a package, and how that went; give whether nobody had said that it was.

    GitHub would merge the main branch into what is deployed, and wait for every check, unless it is told not to.

    Args:
        client: the door to GitHub.
        told: what to say.
        is_new: whether it happened just now, so that it is not looked for before.
    """
    doing = f"announce the deployment of {told.package}"
    payload = {"package": told.package, "digest": digest_of(told)}
    known = None if is_new else find_deployment(client, told)
    is_new = known is None
    if known is None:
        sent = {
            "ref": told.commit,
            "task": TASK,
            "environment": ENVIRONMENT,
            "auto_merge": False,
            "required_contexts": [],
            "payload": payload,
            "production_environment": True,
            "description": shortened(f"package {told.package}", _DESCRIPTION),
        }
        known = once(
            lambda: client.post(client.repo("deployments"), sent, doing=doing),
            lambda: find_deployment(client, told),
        )
    id_ = number(known, "id")
    if id_ is None:
        raise Unreadable(f"GitHub announced the deployment of {told.package} and does not say which it is")
    _set_course(client, id_, told, is_new=is_new, doing=doing)
    return is_new


def find_deployment(client: Client, told: Announcement) -> Value | None:
    """Find the deployment of a package by the digest in its payload."""
    asked = {"sha": told.commit, "environment": ENVIRONMENT, "task": TASK}
    doing = f"look for the deployment of {told.package}"
    for page in client.pages(client.repo("deployments"), asked, doing=doing):
        for there in page:
            if text(there, "payload", "digest") == digest_of(told):
                return there
    return None


def is_shown(client: Client, package: PackageName, told: Announcement) -> bool:
    """Say whether what `set_deployment` and, after it, `set_release` show is there; the last of it is asked for."""
    if told.notes is not None:
        known = find_release(client, release_tag(package).removeprefix("refs/tags/"))
        return known is not None and _has_notes(known, _notes(told.title, told.notes))
    id_ = number(find_deployment(client, told), "id")
    doing = f"look for what is shown of {package}"
    return id_ is not None and _find_course(client, id_, told, doing=doing) is not None


def _set_course(client: Client, id_: int, told: Announcement, *, is_new: bool, doing: str) -> None:
    path = client.repo(f"deployments/{id_}/statuses")

    def find() -> Value | None:
        return _find_course(client, id_, told, doing=doing)

    if is_new or find() is None:
        sent = {**_course(told), **({"log_url": told.url} if told.url else {})}
        once(lambda: client.post(path, sent, doing=doing), find)


def _course(told: Announcement) -> dict[str, str]:
    """Say how it went. Where that can be read is another place in each run, and no other word for it."""
    return {"state": told.course, "description": shortened(told.description, _DESCRIPTION)}


def _find_course(client: Client, id_: int, told: Announcement, *, doing: str) -> Value | None:
    path = client.repo(f"deployments/{id_}/statuses")
    there = next(client.pages(path, {"per_page": 2}, doing=doing), [])
    # GitHub adds this word to a success by itself, once a newer deployment succeeds: it stays the last one of ours.
    last = next((one for one in there if text(one, "state") != _INACTIVE), None)
    return last if last is not None and _says(last, _course(told)) else None


def set_release(
    client: Client,
    package: PackageName,
    *,
    title: str,
    body: str,
    is_new: bool = True,
    has_tag: bool = False,
) -> None:
    """Publish notes for the tag of a release; without the tag there is nothing to publish.

    GitHub would make the tag itself where it is missing, on whatever the main branch holds. That tag is sync's alone.

    Args:
        client: the door to GitHub.
        package: what was released.
        title: the heading of the notes.
        body: the notes, as Markdown.
        is_new: whether nobody can have published them before, so that they need not be looked for.
        has_tag: whether the tag was seen there a moment ago, so that it need not be looked for.

    Raises:
        TagGone: it is not there.
    """
    tag = release_tag(package).removeprefix("refs/tags/")
    doing = f"publish the notes of {tag}"
    wanted = _notes(title, body)
    if not has_tag:
        try:
            client.get(client.repo(f"git/ref/tags/{tag}"), doing=f"look for the tag {tag}")
        except NotFound as gone:
            raise TagGone(f"there is no tag {tag} to publish notes for") from gone

    def send() -> Value:
        try:
            return client.post(client.repo("releases"), {"tag_name": tag, **wanted}, doing=doing)
        except GitHubSaid as said:
            if said.says("already_exists") and (found := find_release(client, tag)) is not None:
                return found
            raise

    known = None if is_new else find_release(client, tag)
    if known is None:
        known = once(send, lambda: find_release(client, tag))
    if not _has_notes(known, wanted):
        there = client.repo(f"releases/{number(known, 'id')}")

        def changed() -> Value | None:
            found = find_release(client, tag)
            return found if found is not None and _has_notes(found, wanted) else None

        once(lambda: client.patch(there, wanted, doing=doing), changed)


def _notes(title: str, body: str) -> dict[str, str]:
    return {"name": shortened(title, 256), "body": shortened(body, BODY_LIMIT)}


def _has_notes(there: Value, wanted: dict[str, str]) -> bool:
    return all(_lines(there, name) == value.strip() for name, value in wanted.items())


def _lines(there: Value, name: str) -> str:
    return text(there, name).replace("\r\n", "\n").strip()


def find_release(client: Client, tag: str) -> Value | None:
    """Find the notes of a tag."""
    try:
        there = client.get(client.repo(f"releases/tags/{tag}"), doing=f"look for the notes of {tag}")
    except NotFound:
        return None
    return there if at(there, "tag_name") == tag else None


def digest_of(told: Announcement) -> str:
    """Name what was deployed, so that one package is one deployment however often sync says so."""
    return hashlib.sha256(f"{told.manifest} {told.commit}".encode()).hexdigest()
