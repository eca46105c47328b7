"""The loopback GitHub: real HTTP on 127.0.0.1 around a state, with real git beside it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.github import git_http
from tests.github.api import VERSIONS, Api, Found, Request, elsewhere, find, refused
from tests.github.call import Caller
from tests.github.callers import caller_of, for_rest, token_in
from tests.github.faults import Asked, Drop, Faults, Reply, When
from tests.github.limits import Allowance, Limits
from tests.github.pulls import RefusedError
from tests.github.state import Clock, Repo, State

_NO_LIMIT = {"rate-limit/get"}
_NO_CONTENT = {"apps/create-installation-access-token"}


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request that came in, and how it was answered; status 0 when the connection was dropped."""

    method: str
    path: str
    query: str
    operation: str | None
    login: str | None
    status: int

    @property
    def creates(self) -> bool:
        """Say whether it counts as creating content."""
        api = self.operation not in _NO_CONTENT and not (self.operation or "").startswith(("git/", "graphql"))
        return api and self.method != "GET" and 200 <= self.status < 300


class Loopback:
    """A GitHub for one test: `url` is its API, `git_url(repo)` its git; `state` and `faults` are the test's."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] | None = None) -> None:
        self.state = State(folder, clock or Clock())
        self.faults = Faults()
        self.limits = Limits()
        self.requests: list[Seen] = []
        self.problems: list[str] = []
        self.lock = threading.RLock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.api = Api(self.state, self.url, self.problems)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop answering, and hang up."""
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def git_url(self, repo: Repo, token: str = "") -> str:
        """Give the address of a repository for git, with a token in it if one is given."""
        user = f"x-access-token:{token}@" if token else ""
        return f"{self.url.replace('://', f'://{user}')}/{self.state.full_name(repo)}.git"

    @contextmanager
    def acting(self) -> Iterator[State]:
        """Do something to the state as GitHub would, at a time of its own."""
        with self.lock:
            self.state.now = self.state.clock()
            yield self.state

    def count(self, operation: str) -> int:
        """Say how often an operation was asked for."""
        return sum(it.operation == operation for it in self.requests)

    def creating(self) -> int:
        """Say how many requests created content."""
        return sum(it.creates for it in self.requests)

    # What a request meets on its way.

    def respond(self, wire: Wire) -> Reply | Drop:
        """Answer a request, or let it go wrong."""
        git = git_http.PATH.fullmatch(wire.path)
        if git is not None:
            return self._git(wire, git[1], git[2], git[3])
        path = wire.path.removeprefix("/api/v3") or "/"
        if path in {"/graphql", "/api/graphql"}:
            return self._through(wire, "graphql", path, lambda caller: self._graphql(wire, caller))
        found = find(self.state, wire.method, path)
        return self._through(
            wire, found.operation, path, lambda caller: self._rest(wire, found, path, caller)
        )

    def _through(
        self, wire: Wire, operation: str | None, path: str, effect: Callable[[Caller], Reply]
    ) -> Reply | Drop:
        """Go past the faults, to the effect, and past the faults again."""
        asked = Asked(method=wire.method, path=path, operation=operation, token=wire.token)
        made = self._faulty(asked, When.BEFORE)
        login = None
        if made is None:
            try:
                caller = caller_of(self.state, wire.token)
                login = caller.account.login if caller.account else None
                made = effect(caller)
            except RefusedError as error:
                made = refused(error.status, error.message, error.errors, **error.headers)
            made = self._faulty(asked, When.AFTER) or made
        status = 0 if isinstance(made, Drop) else made.status
        self.requests.append(
            Seen(
                method=wire.method,
                path=path,
                query=wire.query,
                operation=operation,
                login=login,
                status=status,
            )
        )
        return made

    def _faulty(self, asked: Asked, when: When) -> Reply | Drop | None:
        for action in self.faults.due(asked, when):
            if isinstance(action, Reply | Drop):
                return action
            action.callback()
        return None

    def _git(self, wire: Wire, owner: str, name: str, action: str) -> Reply | Drop:
        asked = git_http.GitAsked(
            owner=owner, name=name, action=action, method=wire.method, query=wire.query,
            kind=wire.headers.get("content-type", ""), protocol=wire.headers.get("git-protocol", ""),
            body=wire.body,
        )  # fmt: skip

        def effect(caller: Caller) -> Reply:
            with self.lock:
                self.state.now = self.state.clock()
                there = git_http.refusal(self.state, caller, asked)
                if isinstance(there, Reply):
                    return there
                if asked.operation == "git/push":
                    return git_http.serve(self.state, there, caller, asked)
            return git_http.serve(self.state, there, caller, asked)

        made = self._through(wire, asked.operation, wire.path, effect)
        wrong_token = isinstance(made, Reply) and made.status == 401 and b"Bad credentials" in made.body
        if wrong_token:
            told = git_http.refusal(self.state, None, asked)
            return told if isinstance(told, Reply) else made
        return made

    def _rest(self, wire: Wire, found: Found, path: str, caller: Caller) -> Reply:
        request = Request(
            method=wire.method, path=path, query=dict(parse_qsl(wire.query, keep_blank_values=True)),
            body=wire.body, version=wire.headers.get("x-github-api-version", VERSIONS[0]),
            known=wire.headers.get("if-none-match", ""),
        )  # fmt: skip
        with self.lock:
            allowance = self._allowance(for_rest(caller), "core")
            counted = found.operation not in _NO_LIMIT
            if counted and allowance.remaining == 0:
                return self._exhausted(allowance, caller)
            allowance.used += counted
            self.state.now = self.state.clock()
            reply = elsewhere(self.state, self.url, request, found)
            reply = reply or self.api.answer(request, found, caller, allowance)
            if reply.status == 304:
                allowance.used -= counted
            scopes = caller.token.scopes if caller.token else frozenset[str]()
            more = {"X-OAuth-Scopes": ", ".join(sorted(scopes))} if scopes else {}
            more["X-GitHub-Api-Version-Selected"] = request.version
            return _with(reply, {**allowance.headers("core"), **more})

    def _allowance(self, caller: Caller, resource: str) -> Allowance:
        token = caller.token
        value = token.value if token else f"app {caller.app.id}" if caller.app else ""
        return self.limits.of(value, token.kind if token else None, resource)

    def _exhausted(self, allowance: Allowance, caller: Caller) -> Reply:
        whom = f"user ID {caller.account.id}" if caller.account else "127.0.0.1"
        reply = refused(self.limits.status, f"API rate limit exceeded for {whom}.")
        return _with(reply, allowance.headers("core"))

    def _graphql(self, wire: Wire, caller: Caller) -> Reply:
        # The library behind it takes long to load, and few tests need it.
        from tests.github.graph import Graph

        if for_rest(caller).token is None:
            return refused(401, "Requires authentication")
        with self.lock:
            allowance = self._allowance(caller, "graphql")
            if allowance.remaining == 0:
                words = f"API rate limit exceeded for user ID {caller.account.id if caller.account else 0}."
                made: dict[str, Any] = {"errors": [{"type": "RATE_LIMITED", "message": words}]}
            else:
                allowance.used += 1
                self.state.now = self.state.clock()
                try:
                    asked = json.loads(wire.body)
                except ValueError:
                    return refused(400, "Problems parsing JSON")
                made = Graph(self.state, self.api.bodies, caller, allowance, self.problems).execute(asked)
        return Reply(status=200, body=json.dumps(made).encode(), headers=allowance.headers("graphql"))


def _with(reply: Reply, headers: Mapping[str, str]) -> Reply:
    return Reply(status=reply.status, body=reply.body, headers={**reply.headers, **headers}, kind=reply.kind)


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A request as it came over the wire."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    token: str


class _Server(ThreadingHTTPServer):
    """Threads for connections, which are hung up when the server closes."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, loopback: Loopback) -> None:
        self.loopback = loopback
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> None:
        """Remember a connection before its thread begins, so that none is left open."""
        if isinstance(request, socket.socket):
            self.open.add(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """Close all connections that clients keep open."""
        for connection in list(self.open):
            _shut(connection)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


class _Handler(BaseHTTPRequestHandler):
    """Reads requests off the wire and writes answers onto it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        try:
            super().finish()
        except OSError:
            return  # nobody is there to read the rest

    def answer(self) -> None:
        """Answer one request."""
        split = urlsplit(self.path)
        wire = Wire(
            method=self.command,
            path=split.path,
            query=split.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
            token=token_in(self.headers.get("Authorization")),
        )
        made = self._made(wire)
        if isinstance(made, Drop):
            self.close_connection = True
            if made.midway:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                self.wfile.flush()
            _shut(self.connection)
            return
        self.send_response_only(made.status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Server", "loopback")
        for name, value in made.headers.items():
            self.send_header(name, value)
        if made.status not in {204, 304}:
            self.send_header("Content-Type", made.kind)
            self.send_header("Content-Length", str(len(made.body)))
        self.end_headers()
        if made.status not in {204, 304}:
            self.wfile.write(made.body)
        self.wfile.flush()

    def _made(self, wire: Wire) -> Reply | Drop:
        """Let the server answer; a defect of its own fails the test that met it."""
        try:
            return self.server.loopback.respond(wire)
        except Exception:  # noqa: BLE001  # a thread of the server is no place where it would be seen
            self.server.loopback.problems.append(traceback.format_exc())
            return refused(500, "The loopback server is broken")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b"".join(iter(self._chunk, b""))
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: tests read `requests`."""
