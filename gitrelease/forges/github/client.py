"""The one door to GitHub: what is sent is counted and paced, and what comes back is an answer or an error of ours.

PyGithub knows how to authenticate and where the API is. What it does by itself when something goes wrong is not
what a tool that releases wants: it repeats what may not be repeated, follows redirects without their questions, and
sleeps for an hour. So nothing of that is left to it (github.md 4.2).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import uniform
from threading import Lock, RLock
from typing import TYPE_CHECKING

from gitrelease.core.values import frozen
from gitrelease.errors import CredentialsError, GitReleaseError
from gitrelease.forges.github.answers import Told, limited_until, next_page
from gitrelease.forges.github.refusals import (
    GitHubUnavailable,
    RateLimited,
    RepositoryRenamed,
    Unreadable,
    Unsettled,
    graphql_refusal,
    refusal_of,
    words_of,
)
from gitrelease.forges.github.turns import PER_MINUTE, Turns
from gitrelease.forges.github.values import at, moment, number, rows, text
from gitrelease.repo import plain

if TYPE_CHECKING:
    from github import Auth, Github
    from github.Requester import Requester, RequestsResponse

Params = Mapping[str, str | int]
Value = object

VERSION = "2022-11-28"
"""The version of the API; a later one takes fields away that are read here."""
TIMEOUT = 20
PAGE = 100
TRIES = 4
"""How often something is asked that changes nothing."""
PATIENCE = 60.0
"""How many seconds are waited at most when GitHub wants to be left alone; a person can do better than that."""
_LONG = 2.0
"""People are told of pauses that are longer than so many seconds."""
_MOST_PAGES = 200
_NOT_BUILT = 501
"""What a server says that will not be able to answer later, either."""
_FRESH = timedelta(minutes=5)

# PyGithub keeps the class of its connections where all threads see it.
_INJECTING = Lock()


@frozen
class Token:
    """A token that somebody made: a person's, or the GITHUB_TOKEN of a workflow."""

    value: str = field(repr=False)


@frozen
class App:
    """A GitHub App, which makes tokens for itself with its private key."""

    id: str
    key: str = field(repr=False)


Credentials = Token | App


@frozen
class Time:
    """Where the client knows the time from, and how it waits."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@frozen
class Answered:
    """An answer of GraphQL: what could be answered, and beside it the errors of what could not."""

    data: Value
    errors: tuple[Value, ...] = ()
    doing: str = ""
    slug: str = ""

    def whole(self) -> Value:
        """Give the answer; refuse one of which a part is missing."""
        if self.errors:
            raise graphql_refusal(self.doing, self.errors, slug=self.slug)
        return self.data


class _Redirected(Exception):
    """GitHub said that what was asked for is elsewhere."""


class _NotReady(Exception):
    """GitHub said that it is still working on the answer."""


class Client:
    """Speaks with GitHub about one repository. Threads may share it: they are let in one by one."""

    def __init__(
        self,
        credentials: Credentials | Callable[[], Credentials],
        *,
        api_url: str,
        slug: str,
        turns: Turns | None = None,
        time: Time | None = None,
        say: Callable[[str], None] = lambda text: None,  # noqa: ARG005
    ) -> None:
        """Prepare; nothing is loaded or sent before the first request.

        Args:
            credentials: whom GitHub is to take us for, or the question for it, which is asked with the first
                request: whoever only looks at what git holds needs no token.
            api_url: where its API is.
            slug: the repository, `owner/name`.
            turns: say when a request that changes something may be sent; None has one a second.
            time: the clocks.
            say: tells people what is waited for.
        """
        self._given = credentials
        self._api_url = api_url.rstrip("/")
        self.slug = slug
        self._turns = turns or Turns(1.0)
        self._time = time or Time()
        self._say = say
        self._lock = RLock()
        self._github: Github | None = None
        self._ends: datetime | None = None

    def __repr__(self) -> str:
        return f"Client({self.slug} at {self._api_url})"

    @property
    def owner(self) -> str:
        """Whose the repository is."""
        return self.slug.partition("/")[0]

    @property
    def name(self) -> str:
        """What the repository is called."""
        return self.slug.partition("/")[2]

    @cached_property
    def _credentials(self) -> Credentials:
        return self._given() if callable(self._given) else self._given

    @property
    def is_app(self) -> bool:
        """Whether a GitHub App speaks, behind which there is no person."""
        return isinstance(self._credentials, App)

    @property
    def clock(self) -> Time:
        """The clocks it goes by."""
        return self._time

    def repo(self, path: str) -> str:
        """Give the path of something of the repository."""
        return f"/repos/{self.slug}/{path}"

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            if self._github is not None:
                self._github.close()
                self._github = None

    # What may be asked.

    def get(self, path: str, params: Params | None = None, *, doing: str) -> Value:
        """Read something. `doing` ends the sentence "the token may not …"."""
        return self._safe("GET", path, dict(params or {}), None, doing=doing).body

    def pages(self, path: str, params: Params | None = None, *, doing: str) -> Iterator[list[Value]]:
        """Read a list page by page, by the links between them; only their questions are taken, never their address."""
        asked: dict[str, str | int] = {"per_page": PAGE, **(params or {})}
        for _ in range(_MOST_PAGES):
            told = self._safe("GET", path, asked, None, doing=doing)
            if not isinstance(told.body, list):
                raise Unreadable(f"GitHub's answer is no list, where gitrelease wanted to {doing}")
            yield list(rows({"page": told.body}, "page"))
            following = next_page(told, path, asked, api_url=self._api_url)
            if following is None:
                return
            asked = following
        raise Unreadable(f"there are more than {_MOST_PAGES} pages, where gitrelease wanted to {doing}")

    def graphql(self, query: str, variables: Mapping[str, Value], *, doing: str) -> Answered:
        """Ask in GraphQL. It must be a question: it is repeated like one."""
        sent = {"query": query, "variables": dict(variables)}
        told = self._safe("POST", "/graphql", {}, sent, doing=doing)
        errors = tuple(rows(told.body, "errors"))
        data = at(told.body, "data")
        if data is None:
            raise graphql_refusal(doing, errors or [told.body], slug=self.slug)
        return Answered(data=data, errors=errors, doing=doing, slug=self.slug)

    def post(self, path: str, body: Value, *, doing: str) -> Value:
        """Make something. An answer that is lost is `Unsettled`: whoever asked looks whether it was made."""
        return self._write("POST", path, body, doing=doing)

    def put(self, path: str, body: Value, *, doing: str) -> Value:
        """Put something in its place."""
        return self._write("PUT", path, body, doing=doing)

    def patch(self, path: str, body: Value, *, doing: str) -> Value:
        """Change something."""
        return self._write("PATCH", path, body, doing=doing)

    # How it is asked.

    def _safe(
        self, verb: str, path: str, params: Mapping[str, str | int], body: Value, *, doing: str
    ) -> Told:
        """Ask for something that changes nothing: again after a pause when GitHub fails."""
        for number_ in range(1, TRIES + 1):
            try:
                return self._asked(verb, path, params, body, doing=doing)
            except Unsettled as lost:
                if number_ == TRIES:
                    raise GitHubUnavailable(lost.message, hint="try again later") from lost
                self._time.sleep(2.0 ** (number_ - 1) * uniform(0.5, 1.0))  # noqa: S311 - no secret
        raise AssertionError("the last try returns or raises")

    def _write(self, verb: str, path: str, body: Value, *, doing: str) -> Value:
        """Ask for something that changes something: once, and in its turn."""
        with self._lock:
            self._wait_for_turn()
            return self._asked(verb, path, {}, body, doing=doing).body

    def _wait_for_turn(self) -> None:
        """Keep the pace between writes, and the number of them that GitHub takes in a minute."""
        rest = self._turns.take(self._time.monotonic())
        if rest > _LONG:
            self._say(f"GitHub takes {PER_MINUTE} changes a minute; waiting {rest:.0f} s")
        if rest > 0:
            self._time.sleep(rest)

    def _asked(
        self, verb: str, path: str, params: Mapping[str, str | int], body: Value, *, doing: str
    ) -> Told:
        """Ask once, and again only where GitHub says that it did not even look and when it will."""
        waited = 0.0
        while True:
            told = self._sent(verb, path, params, body, doing=doing)
            if (until := limited_until(told, now := told.server_time(self._time.now()))) is None:
                break
            rest = max((until - now).total_seconds(), 1.0)
            if waited + rest > PATIENCE:
                raise RateLimited(until)
            self._say(f"GitHub wants to be asked again in {rest:.0f} s")
            self._time.sleep(rest)
            waited += rest
        if (told.status >= 500 and told.status != _NOT_BUILT) or (told.is_success and not told.is_readable):
            raise Unsettled(
                f"GitHub cannot answer ({told.status}), where gitrelease wanted to {doing}: {words_of(told.body)}"
            )
        if not told.is_success:
            raise refusal_of(doing, told.status, told.headers, told.body, slug=self.slug)
        return told

    def _sent(
        self, verb: str, path: str, params: Mapping[str, str | int], body: Value, *, doing: str
    ) -> Told:
        with self._lock:
            requester = self._requester(doing)
            url = requester.graphql_url if path == "/graphql" else path
            try:
                status, headers, said = requester.requestJson(verb, url, dict(params), None, body)
            except _Redirected as moved:
                raise self._renamed(doing) from moved
            except _NotReady as pending:
                raise Unsettled(
                    f"GitHub is still working on it, where gitrelease wanted to {doing}"
                ) from pending
            except OSError as lost:  # what `requests` raises is of this kind
                raise Unsettled(
                    f"GitHub did not answer ({type(lost).__name__}), where gitrelease wanted to {doing}",
                    hint="check the network, and that GITHUB_API_URL is right",
                ) from lost
        known = {str(name).lower(): str(value) for name, value in headers.items()}
        try:
            read: Value = json.loads(said) if said else None
        except (ValueError, RecursionError):
            return Told(status=status, headers=known, body=None, is_json=False)
        return Told(status=status, headers=known, body=read, is_json=bool(said))

    def _renamed(self, doing: str) -> RepositoryRenamed:
        return RepositoryRenamed(
            f"GitHub sends us elsewhere where gitrelease wanted to {doing}: {self.slug} is called otherwise now",
            hint="git remote set-url origin with its new address, which its page on GitHub shows",
        )

    def check_name(self, name: str) -> None:
        """Refuse a repository that answered under another name; GraphQL follows a renaming in silence."""
        if name and name.casefold() != self.slug.casefold():
            raise RepositoryRenamed(
                f"{self.slug} is called otherwise now: {plain(name)}",
                hint="git remote set-url origin with its new address",
            )

    # Whom GitHub takes us for.

    def _requester(self, doing: str) -> Requester:
        if self._github is None or (self._ends is not None and self._ends - _FRESH <= self._time.now()):
            self._connect(doing)
        if self._github is None:
            raise AssertionError("connecting connects or raises")
        return self._github.requester

    def _connect(self, doing: str) -> None:
        try:
            from github import Auth  # loaded only by whoever talks to GitHub
        except ImportError as missing:
            raise GitReleaseError(
                f"what speaks with GitHub cannot be loaded: {missing}",
                hint="install it: pip install 'gitrelease[github]'",
                code="github-missing",
            ) from missing

        if isinstance(self._credentials, Token):
            self._github = self._opened(Auth.Token(self._credentials.value))
            return
        try:
            proof = Auth.AppAuth(self._credentials.id, self._credentials.key)
            proof.create_jwt()
        except Exception as wrong:  # whatever the library for keys says of a key that is none
            raise CredentialsError(
                "the private key of the GitHub App cannot be used",
                hint="GITRELEASE_GITHUB_APP_KEY names the .pem file that GitHub made for the App",
            ) from wrong
        self._github, self._ends = self._opened(proof), None
        try:
            self._github, self._ends = self._as_installed(doing)
        except BaseException:
            self._github = None
            raise

    def _as_installed(self, doing: str) -> tuple[Github, datetime]:
        """Get a token for the App as it is installed on the repository; one more of them does no harm."""
        from github import Auth

        about = f"use the App's installation to {doing}"
        there = self._safe("GET", self.repo("installation"), {}, None, doing=about).body
        path = f"/app/installations/{number(there, 'id')}/access_tokens"
        made = self._safe("POST", path, {}, {"repositories": [self.name]}, doing=about).body
        value, ends = text(made, "token"), moment(made, "expires_at")
        if not value or ends is None:
            raise Unreadable("GitHub made no token for the App")
        return self._opened(Auth.Token(value)), ends

    def _opened(self, auth: Auth.Auth) -> Github:
        """Open a PyGithub that neither repeats, waits nor follows by itself."""
        from github import Github
        from github.Requester import (
            HTTPRequestsConnectionClass,
            HTTPSRequestsConnectionClass,
            Requester,
        )

        class Http(HTTPRequestsConnectionClass):
            def getresponse(self) -> RequestsResponse:
                return _as_it_is(self.verb, super().getresponse())

        class Https(HTTPSRequestsConnectionClass):
            def getresponse(self) -> RequestsResponse:
                return _as_it_is(self.verb, super().getresponse())

        with _INJECTING:
            Requester.injectConnectionClasses(Http, Https)
            try:
                return Github(
                    auth=auth,
                    base_url=self._api_url,
                    timeout=TIMEOUT,
                    user_agent="gitrelease",
                    per_page=PAGE,
                    retry=None,
                    seconds_between_requests=None,
                    seconds_between_writes=None,
                    lazy=True,
                    api_version=VERSION,
                )
            finally:
                # What was made keeps its classes, and its connection from one request to the next.
                Requester.resetConnectionClasses()


def _as_it_is(verb: str, answer: RequestsResponse) -> RequestsResponse:
    """Give an answer, unless PyGithub would go on from it by itself: elsewhere, or once more after a while."""
    if 300 <= answer.status < 400 and answer.status != 304:
        raise _Redirected
    if answer.status == 202 and verb == "GET":
        raise _NotReady
    return answer
