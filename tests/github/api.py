"""One REST request from its path to its checked answer; nothing of HTTP's wire is known here."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.github import paging
from tests.github.bodies import Bodies
from tests.github.call import TABLE, Answer, Call, Caller, answer
from tests.github.description import Operation, Route, route, wrong_answer, wrong_body, wrong_query
from tests.github.faults import Reply
from tests.github.limits import Allowance
from tests.github.pulls import RefusedError
from tests.github.state import State

for _module in ("people", "pulls", "commits", "posts", "rules"):
    importlib.import_module(f"tests.github.rest.{_module}")

VERSIONS = ("2022-11-28", "2026-03-10")
_GONE = {"2026-03-10": {"merge_commit_sha", "assignee", "rate"}}
"""What answers of a version no longer have."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to the API, taken apart."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    version: str
    known: str
    """The ETag that the client has."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where a request leads."""

    route: Route | None
    path: str
    """The path by names, where the request gave the number of a repository."""

    @property
    def operation(self) -> str | None:
        """Name what is asked for; None if the server does not model it."""
        return self.route.operation.id if self.route and self.route.operation else None


def find(state: State, method: str, path: str) -> Found:
    """Find what a path is about. Repositories go by number as well."""
    parts = path.split("/")
    if parts[1:2] == ["repositories"] and len(parts) > 2 and parts[2].isdigit():
        repo = state.repos.get(int(parts[2]))
        name = "?/?" if repo is None else state.full_name(repo)
        path = "/".join(["", "repos", name, *parts[3:]])
    return Found(route=route(method, path), path=path)


def elsewhere(state: State, site: str, request: Request, found: Found) -> Reply | None:
    """Send a client on that asks for a repository by a name it had before."""
    parts = found.path.split("/")
    if parts[1:2] != ["repos"] or len(parts) < 4:
        return None
    id_ = state.renamed.get("/".join(parts[2:4]).casefold())
    if id_ is None:
        return None
    there = "/".join([site, "repositories", str(id_), *parts[4:]])
    if request.query:
        there += "?" + "&".join(f"{quote(name)}={quote(value)}" for name, value in request.query.items())
    status = 301 if request.method == "GET" else 307
    words = "Moved Permanently" if status == 301 else "Temporary Redirect"
    body = {"message": words, "url": there, "documentation_url": "https://docs.github.com/rest"}
    return _reply(status, body, {"Location": there})


class Api:
    """Answers REST requests from a state, and keeps account of what should never have been said."""

    def __init__(self, state: State, site: str, problems: list[str]) -> None:
        self.state = state
        self.bodies = Bodies(state, site)
        self.problems = problems

    def answer(self, request: Request, found: Found, caller: Caller, allowance: Allowance) -> Reply:
        """Answer a request."""
        if found.route is None:
            return refused(404, "Not Found")
        operation = found.route.operation
        if operation is None or operation.id not in {*TABLE, "rate-limit/get"}:
            self.problems.append(f"not modelled: {request.method} {found.path}")
            return refused(501, "The loopback server does not model this operation")
        if request.version not in VERSIONS:
            return refused(400, f"API version {request.version} is not supported")
        if operation.id == "rate-limit/get":
            return self._checked(operation, request, Answer(body=rates(allowance)))
        call = Call(
            state=self.state, bodies=self.bodies, caller=caller, operation=operation.id,
            arguments=found.route.arguments, query=request.query, body=None, version=request.version,
        )  # fmt: skip
        try:
            body = self._body(operation, request)
            return self._checked(operation, request, answer(_with_body(call, body)), call)
        except RefusedError as error:
            return self._checked_refusal(operation, error)

    def _body(self, operation: Operation, request: Request) -> Any:
        """Read what was sent; what the description does not know is refused and recorded."""
        self.problems += wrong_query(operation, request.query)
        try:
            body = json.loads(request.body) if request.body else None
        except ValueError:
            raise RefusedError(400, "Problems parsing JSON") from None
        wrong = wrong_body(operation, body)
        if wrong:
            self.problems += [f"{operation.id} was sent {line}" for line in wrong]
            raise RefusedError(422, "Invalid request.\n\n" + "\n".join(wrong))
        return body

    def _checked(
        self, operation: Operation, request: Request, made: Answer, call: Call | None = None
    ) -> Reply:
        headers = dict(made.headers)
        body = made.body
        rows = body if made.key is None else body[made.key]
        if operation.paged and isinstance(rows, list):
            address = self._address(operation, call) if call else ""
            if made.cursors is not None:
                rows, link = paging.cursor_page_of(rows, request.query, address, made.cursors)
            else:
                rows, link = paging.page_of(rows, request.query, address)
            body = rows if made.key is None else {**body, made.key: rows}
            if link:
                headers["Link"] = link
        wrong = wrong_answer(operation, made.status, body)
        if wrong:
            self.problems += wrong
            return refused(500, "The loopback server made an answer that GitHub would not make", wrong)
        reply = _reply(made.status, older(body, request.version), headers)
        return _cached(reply, request) if request.method == "GET" and made.status == 200 else reply

    def _address(self, operation: Operation, call: Call) -> str:
        """Give the address of an answer as links have it: with the number of the repository."""
        path = operation.path
        if "repo" in call.arguments:
            path = path.replace("/repos/{owner}/{repo}", f"/repositories/{call.repo.id}")
        for name, value in call.arguments.items():
            path = path.replace(f"{{{name}}}", quote(value))
        return self.bodies.site + path

    def _checked_refusal(self, operation: Operation, error: RefusedError) -> Reply:
        reply = refused(error.status, error.message, error.errors, **error.headers)
        wrong = wrong_answer(operation, error.status, json.loads(reply.body))
        if wrong:
            self.problems += wrong
            return refused(500, "The loopback server made a refusal that GitHub would not make", wrong)
        return reply


def _with_body(call: Call, body: Any) -> Call:
    call.__dict__["body"] = body
    return call


def rates(allowance: Allowance) -> dict[str, Any]:
    """Say what is left."""
    rate = allowance.body()
    return {
        "resources": {"core": rate, "search": {**rate, "limit": 30, "remaining": 30, "used": 0}},
        "rate": rate,
    }


def older(body: Any, version: str) -> Any:
    """Take away what a version of the API no longer has."""
    gone = _GONE.get(version, set())
    if not gone:
        return body
    if isinstance(body, list):
        return [older(it, version) for it in body]
    if isinstance(body, dict):
        return {name: older(it, version) for name, it in body.items() if name not in gone}
    return body


def refused(status: int, message: str, errors: object = None, **headers: str) -> Reply:
    """Say no as GitHub does."""
    body: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
    if errors:
        body["errors"] = errors
    if status not in {405, 409, 422}:
        body["status"] = str(status)
    return _reply(status, body, headers)


def _reply(status: int, body: Any, headers: Mapping[str, str]) -> Reply:
    data = b"" if body is None else json.dumps(body).encode()
    return Reply(status=status, body=data, headers=headers)


def _cached(reply: Reply, request: Request) -> Reply:
    tag = f'W/"{hashlib.sha256(reply.body).hexdigest()}"'
    headers = {**reply.headers, "ETag": tag}
    if request.known == tag:
        return Reply(status=304, headers=headers)
    return Reply(status=reply.status, body=reply.body, headers=headers)
