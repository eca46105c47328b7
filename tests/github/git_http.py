"""Real git behind HTTP: `git http-backend` for fetches and pushes, with the forge's rights around it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tests.github import pulls
from tests.github.bare import environ
from tests.github.call import Caller
from tests.github.faults import Reply
from tests.github.protecting import Actor, push_rules
from tests.github.state import NOWHERE, Repo, Role, State, TokenKind

PATH = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")


@dataclass(frozen=True, kw_only=True)
class GitAsked:
    """A request of a git client."""

    owner: str
    name: str
    action: str
    method: str
    query: str
    kind: str
    protocol: str
    body: bytes

    @property
    def writes(self) -> bool:
        """Say whether this is about a push."""
        return "git-receive-pack" in (self.action, self.query.removeprefix("service="))

    @property
    def operation(self) -> str:
        """Name what happens, for faults and for the list of requests."""
        if self.action == "info/refs":
            return "git/push-refs" if self.writes else "git/refs"
        return "git/push" if self.writes else "git/fetch"


def refusal(state: State, caller: Caller | None, asked: GitAsked) -> Reply | Repo:
    """Find the repository, or say why not, as GitHub does to git."""
    if caller is None:
        return _challenge(
            "Invalid username or token. Password authentication is not supported for Git operations."
        )
    repo = state.find_repo(asked.owner, asked.name)
    renamed = state.repos.get(state.renamed.get(f"{asked.owner}/{asked.name}".casefold(), 0))
    if repo is None and renamed is not None and _role(state, caller, renamed) >= Role.READ:
        there = f"/{state.full_name(renamed)}.git/{asked.action}"
        return Reply(status=301, headers={"Location": f"{there}?{asked.query}" if asked.query else there})
    role = Role.NONE if repo is None else _role(state, caller, repo)
    if repo is None or role < Role.READ:
        if caller.token is None:
            return _challenge("Authentication required.")
        return _text(404, "Repository not found.")
    if asked.writes:
        if caller.account is None or caller.token is None:
            return _challenge("Authentication required.")
        if role < Role.WRITE:
            name = state.full_name(repo)
            return _text(403, f"Permission to {name}.git denied to {caller.account.login}.")
        if repo.archived:
            return _text(403, "This repository was archived so it is read-only.")
    return repo


def _role(state: State, caller: Caller, repo: Repo) -> Role:
    """Say what a token may do with the content of a repository."""
    token = caller.token
    if token is None:
        return Role.NONE if repo.private else Role.READ
    if token.kind is TokenKind.DEPLOY_KEY:
        return Role.WRITE if caller.reaches(repo) else Role.NONE
    role = caller.role(state, repo)
    level = caller.level("contents") if caller.reaches(repo) else 0
    if level < 1:
        return Role.NONE if repo.private else Role.READ
    return role if level >= 2 else min(role, Role.READ)


def _challenge(words: str) -> Reply:
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"'}
    return Reply(status=401, body=words.encode(), headers=headers, kind="text/plain; charset=utf-8")


def _text(status: int, words: str) -> Reply:
    return Reply(status=status, body=words.encode(), kind="text/plain; charset=utf-8")


def serve(state: State, repo: Repo, caller: Caller, asked: GitAsked) -> Reply:
    """Let git answer; what a push moved is recorded. The server's lock is held around a push."""
    if asked.operation != "git/push" or caller.account is None:
        return _backend(state, repo, asked, "")
    app = None if caller.token is None else caller.token.app
    by_key = caller.token is not None and caller.token.kind is TokenKind.DEPLOY_KEY
    who = Actor(account=caller.account.id, role=_role(state, caller, repo), app=app, deploy_key=by_key)
    bare = state.bare(repo)
    before = bare.refs()
    refs, atomic = pushed(asked.body)
    rules = push_rules(state, repo, who, refs)
    if atomic and any(ref.startswith("refs/pull/") for ref in refs):
        # Git refuses hidden refs by themselves, even where all are to be refused or none.
        rules = "\n".join(
            f"{ref}\tGH000\tcreation,update,rewind,deletion\tAtomic push failed." for ref in refs
        )
    reply = _backend(state, repo, asked, rules)
    after = bare.refs()
    for ref in sorted(before.keys() | after.keys()):
        old, new = before.get(ref, NOWHERE), after.get(ref, NOWHERE)
        if old != new:
            pulls.moved(state, repo, ref, old, new, who.account)
    return reply


def pushed(body: bytes) -> tuple[list[str], bool]:
    """Read which refs a push is about, in the lines before its first flush, and whether it is all or none."""
    refs, at, atomic = [], 0, False
    while (length := int(body[at : at + 4] or b"0", 16)) >= 4:
        line, _, wishes = body[at + 4 : at + length].partition(b"\0")
        atomic = atomic or b"atomic" in wishes.split()
        parts = line.decode().rstrip("\n").split(" ", 2)
        if len(parts) == 3:
            refs.append(parts[2])
        at += length
    return refs, atomic


def _backend(state: State, repo: Repo, asked: GitAsked, rules: str) -> Reply:
    env = environ() | {
        "GIT_PROJECT_ROOT": str(state.folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{repo.id}.git/{asked.action}",
        "REQUEST_METHOD": asked.method,
        "QUERY_STRING": asked.query,
        "CONTENT_TYPE": asked.kind,
        "CONTENT_LENGTH": str(len(asked.body)),
        "REMOTE_USER": "somebody",
        "REMOTE_ADDR": "127.0.0.1",
        "GIT_PROTOCOL": asked.protocol,
        "LOOPBACK_RULES": rules,
    }
    ran = subprocess.run(["git", "http-backend"], env=env, input=asked.body, capture_output=True, check=False)
    head, _, body = ran.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
    status = int(headers.pop("Status", "200").split(" ")[0])
    kind = headers.pop("Content-Type", "text/plain")
    return Reply(status=status, body=body, headers=_plain(headers), kind=kind)


def _plain(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "Content-Length"}
