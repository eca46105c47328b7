"""A corner of a scratch repository on a real GitHub: what is made in it to try things on is taken away after."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from gitrelease.forges.github import questions
from gitrelease.forges.github.client import VERSION
from gitrelease.forges.github.values import at, moment, number, rows, text
from tests.github.client import Got

NOWHERE = "0" * 40
PATIENCE = 30.0
"""For how many seconds something is waited for that GitHub does a little later."""
LONGEST_PAUSE = 120.0
"""For how many seconds GitHub is left alone at most when it asks for that."""
RULED = "gitrelease-live-rules"
"""Branches below this name are there for rulesets that whoever runs this made by hand."""


class Unexpected(Exception):
    """GitHub answered something that nothing could be tried with."""


class NotTried(Exception):
    """What it takes to try something is not there."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How time passes."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    pace: float = 1.0
    """How many seconds there are between requests that change something."""


@dataclass(kw_only=True)
class Speaker:
    """An account that speaks to GitHub with a token; nothing is followed or repeated."""

    api: str
    slug: str
    token: str = field(repr=False)
    clock: Clock
    login: str = ""
    id: int = 0
    last_write: float | None = None

    def ask(self, method: str, path: str, body: Any = None) -> Got:
        """Send one request; once more if GitHub wants to be left alone for a moment first."""
        got = self._sent(method, path, body)
        rest = got.headers.get("retry-after", "")
        if got.status in {403, 429} and rest.isdigit() and int(rest) <= LONGEST_PAUSE:
            self.clock.sleep(float(rest))
            got = self._sent(method, path, body)
        return got

    def _sent(self, method: str, path: str, body: Any) -> Got:
        if method != "GET" and self.last_write is not None:
            self.clock.sleep(max(0.0, self.clock.pace - (self.clock.monotonic() - self.last_write)))
        there = urlsplit(self.api)
        kind = http.client.HTTPSConnection if there.scheme == "https" else http.client.HTTPConnection
        connection = kind(there.netloc, timeout=30)
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "User-Agent": "gitrelease-live-contract",
            "X-GitHub-Api-Version": VERSION,
        }
        try:
            connection.request(
                method, there.path + path, None if body is None else json.dumps(body).encode(), headers
            )
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
            got = {name.lower(): value for name, value in answer.headers.items()}
        except (OSError, http.client.HTTPException) as lost:
            raise Unexpected(f"{method} {path}: {type(lost).__name__}") from lost
        finally:
            connection.close()
            if method != "GET":
                self.last_write = self.clock.monotonic()
        try:
            read = json.loads(said) if said else None
        except ValueError:
            read = said
        return Got(status=answer.status, headers=got, body=read)

    def get(self, path: str, **query: object) -> Got:
        """Read something of the repository."""
        return self.ask("GET", self._of(path) + (f"?{urlencode(query)}" if query else ""))

    def send(self, method: str, path: str, **body: object) -> Got:
        """Change something of the repository."""
        return self.ask(method, self._of(path), body)

    def made(self, path: str, **body: object) -> Any:
        """Make something that has to be there for what is tried."""
        got = self.send("POST", path, **body)
        if got.status not in {200, 201}:
            raise Unexpected(f"POST {path}: {got.status} {words(got)}")
        return got.body

    def graphql(self, query: str, **variables: object) -> Got:
        """Ask in GraphQL, which GitHub Enterprise Server has beside its API."""
        root = self.api.removesuffix("/v3")
        return Speaker(
            api=root, slug=self.slug, token=self.token, clock=Clock(sleep=self.clock.sleep, pace=0.0)
        ).ask("POST", "/graphql", {"query": query, "variables": variables})

    def _of(self, path: str) -> str:
        return f"/repos/{self.slug}/{path}".rstrip("/")


def words(got: Got) -> str:
    """Give what an answer says to people, in one line."""
    parts = [text(got.body, "message")]
    for error in rows(got.body, "errors"):
        parts.append(error if isinstance(error, str) else text(error, "message") or text(error, "code"))
    return " / ".join(" ".join(part.split()) for part in parts if part)


def says(got: Got, *parts: str) -> str:
    """Give an answer's status with the part of its words that is looked for, or else all of its words."""
    said = words(got)
    found = [part for part in parts if part.casefold() in said.casefold()]
    return f"{got.status}, {found[0]}" if found else f"{got.status}, {said[:80] or 'no words'}"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A pull request of one commit, into a branch of its own."""

    number: int
    base: str
    head: str
    base_sha: str
    head_sha: str
    path: str
    """The file that it changes."""

    @property
    def pull(self) -> str:
        """Where its pull request is."""
        return f"pulls/{self.number}"


@dataclass(kw_only=True)
class Scratch:
    """The corner: everything in it has a name that begins with `prefix`."""

    one: Speaker
    two: Speaker | None
    folder: Path
    clock: Clock
    ask_many: bool = False
    prefix: str = field(default_factory=lambda: f"gitrelease-live-{secrets.token_hex(4)}")
    count: int = 0
    pulls: list[int] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)
    releases: list[int] = field(default_factory=list)
    deployments: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make a repository to push from."""
        self.git("init", "--quiet", "--bare", "--template=", ".")

    @property
    def other(self) -> Speaker:
        """The second account."""
        if self.two is None:
            raise NotTried("takes a second account: --second-token-env")
        return self.two

    # git.

    def git(self, *args: str, stdin: str = "", check: bool = True) -> str:
        """Run git with the first token; it stands in no command line and in no file."""
        secret = base64.b64encode(f"x-access-token:{self.one.token}".encode()).decode()
        person = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "gitrelease"), ("EMAIL", "gitrelease@example.org"))
        }
        env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}",
            "LC_ALL": "C",
            **person,
        }
        ran = subprocess.run(
            ["git", *args], cwd=self.folder, env=env, input=stdin, text=True, capture_output=True, check=False
        )
        if check and ran.returncode != 0:
            raise Unexpected(f"git {args[0]}: {' '.join(ran.stderr.split())[-160:]}")
        return ran.stdout.strip()

    @property
    def url(self) -> str:
        """Where git finds the repository."""
        there = urlsplit(self.one.api)
        return f"{there.scheme}://{there.netloc.removeprefix('api.')}/{self.one.slug}.git"

    def commit(self, files: Mapping[str, str], *parents: str, message: str = "Try something") -> str:
        """Write a commit that holds what its first parent holds, and some files."""
        listed = self.git("ls-tree", parents[0]).splitlines() if parents else []
        kept = [line for line in listed if line.partition("\t")[2] not in files]
        for path, content in files.items():
            blob = self.git("hash-object", "-w", "--stdin", stdin=content)
            kept.append(f"100644 blob {blob}\t{path}")
        tree = self.git("mktree", stdin="\n".join(kept) + "\n")
        options = [option for parent in parents for option in ("-p", parent)]
        return self.git("commit-tree", tree, *options, "-m", message)

    def push(self, moves: Mapping[str, str], *, force: bool = False) -> None:
        """Push commits to branches of the corner, or take branches away where there is no commit."""
        specs = [f"{commit}:{ref}" for ref, commit in moves.items()]
        self.refs |= moves.keys()
        self.git("push", "--quiet", *(["--force"] if force else []), self.url, *specs)

    # What is tried on.

    def proposal(
        self, files: Mapping[str, str] | None = None, *, ruled: str | None = None, draft: bool = False
    ) -> Proposal:
        """Open a pull request of one commit.

        Args:
            files: what it changes; one new file if nothing is named.
            ruled: the name of a branch for which somebody may have made rules.
            draft: whether it is not ready for review.
        """
        self.count += 1
        name = f"{self.prefix}/{self.count}"
        base, head = (f"{name}/base" if ruled is None else f"{RULED}/{ruled}"), f"{name}/head"
        files = files or {f"file-{self.count}.txt": "new\n"}
        base_sha = self.commit(
            {"README.txt": "A trial of gitrelease; it can be deleted.\n", "common.txt": "a\n"}
        )
        head_sha = self.commit(files, base_sha)
        self.push({f"refs/heads/{base}": base_sha, f"refs/heads/{head}": head_sha})
        sent = {
            "title": f"{self.prefix}: a trial",
            "head": head,
            "base": base,
            "body": "It closes by itself.",
        }
        if draft:
            got = self.one.send("POST", "pulls", **sent, draft=True)
            if got.status == 422:
                raise NotTried(f"there are no drafts here: {words(got)[:60]}")
            opened = got.body
        else:
            opened = self.one.made("pulls", **sent)
        found = number(opened, "number")
        if found is None:
            raise Unexpected("GitHub opened a pull request without a number")
        self.pulls.append(found)
        return Proposal(
            number=found, base=base, head=head, base_sha=base_sha, head_sha=head_sha,
            path=next(iter(files)),
        )  # fmt: skip

    def move(self, proposal: Proposal, files: Mapping[str, str], *parents: str, force: bool = False) -> str:
        """Push another commit to the head of a pull request."""
        made = self.commit(files, *parents)
        self.push({f"refs/heads/{proposal.head}": made}, force=force)
        self.until(lambda: text(self.one.get(proposal.pull).body, "head", "sha") == made)
        return made

    def node(self, proposal: Proposal) -> object:
        """Ask for a pull request as gitrelease does."""
        owner, _, name = self.one.slug.partition("/")
        got = self.one.graphql(questions.OF_BRANCH, owner=owner, name=name, branch=proposal.head, after=None)
        if rows(got.body, "errors"):
            raise Unexpected(f"GraphQL: {words(got)}")
        return next(iter(rows(got.body, "data", "repository", "pullRequests", "nodes")), None)

    def events(self, proposal: Proposal, kind: str) -> list[object]:
        """List events of a kind, as gitrelease reads them."""
        found = rows(self.node(proposal), "timelineItems", "nodes")
        return [event for event in found if text(event, "__typename") == kind]

    def moves(self, ref: str, **query: object) -> list[object]:
        """List the moves of a branch, the newest first."""
        got = self.one.get("activity", ref=f"refs/heads/{ref}", **query)
        if not isinstance(got.body, list):
            raise Unexpected(f"activity: {got.status} {words(got)}")
        return list(got.body)

    def move_to(self, ref: str, commit: str) -> object:
        """Wait for the entry of the move of a branch to a commit."""
        found: list[object] = []

        def is_there() -> bool:
            found[:] = [move for move in self.moves(ref) if text(move, "after") == commit]
            return bool(found)

        self.until(is_there)
        if not found:
            raise Unexpected(f"no entry of the move of {ref.rpartition('/')[2]} after {PATIENCE:.0f} s")
        return found[0]

    def until(self, is_so: Callable[[], bool]) -> float:
        """Wait for something, and say for how long; for good if it never comes."""
        begin = self.clock.monotonic()
        while not is_so():
            waited = self.clock.monotonic() - begin
            if waited >= PATIENCE:
                return float("inf")
            self.clock.sleep(1.0)
        return self.clock.monotonic() - begin

    def when(self, value: object, *path: str) -> datetime:
        """Read a time of GitHub's."""
        found = moment(value, *path)
        if found is None:
            raise Unexpected(f"there is no time at {'.'.join(path)}")
        return found

    # The end.

    def clean_up(self) -> Iterator[str]:
        """Take everything away, and say what stays all the same."""
        for pull in self.pulls:
            with suppress(Unexpected):
                if text(self.one.get(f"pulls/{pull}").body, "state") == "open":
                    self.one.send("PATCH", f"pulls/{pull}", state="closed")
        for id_ in self.releases:
            yield from self._gone(f"releases/{id_}")
        for id_ in self.deployments:
            with suppress(Unexpected):
                self.one.send("POST", f"deployments/{id_}/statuses", state="inactive")
            yield from self._gone(f"deployments/{id_}")
        if self.deployments:
            yield from self._gone(f"environments/{self.prefix}")
        yield from self._without_refs()
        yield f"{len(self.pulls)} closed pull requests, which GitHub keeps"

    def _gone(self, path: str) -> Iterator[str]:
        try:
            got = self.one.ask("DELETE", f"/repos/{self.one.slug}/{path}")
        except Unexpected as failed:
            yield f"{path}: {failed}"
            return
        if got.status not in {204, 404}:
            yield f"{path}: {says(got)}"

    def _without_refs(self) -> Iterator[str]:
        try:
            listed = self.git("ls-remote", self.url).splitlines()
        except Unexpected as failed:
            yield f"{len(self.refs)} refs: {failed}"
            return
        there = {line.partition("\t")[2] for line in listed}
        for ref in sorted(there & self.refs):
            try:
                self.git("push", "--quiet", self.url, f":{ref}")
            except Unexpected as failed:
                yield f"{ref}: {failed}"


def account_of(speaker: Speaker) -> None:
    """Find out whose a token is, and that it may write; refuse it otherwise."""
    me, there = speaker.ask("GET", "/user"), speaker.get("")
    if me.status != 200 or there.status != 200:
        raise Unexpected(f"{speaker.slug} cannot be used with this token: {words(me)} {words(there)}".strip())
    speaker.login, speaker.id = text(me.body, "login"), number(me.body, "id") or 0
    if at(there.body, "permissions", "push") is not True:
        raise Unexpected(f"{speaker.login} may not write to {speaker.slug}")
