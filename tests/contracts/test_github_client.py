"""The door to GitHub: what it repeats and what never, how long it waits, and what its refusals say."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gitrelease.errors import CredentialsError, Exit, NotFound, Refused
from gitrelease.forges.github.client import App, Client, Credentials, Time, Token
from gitrelease.forges.github.opening import (
    RemoteRepo,
    credentials_of,
    home_at,
    open_client,
    remote_repo,
)
from gitrelease.forges.github.refusals import (
    GitHubSaid,
    GitHubUnavailable,
    RateLimited,
    RepositoryRenamed,
    Unreadable,
    Unsettled,
)
from gitrelease.forges.github.turns import Turns
from gitrelease.forges.github.values import at, number, text
from tests.github.faults import Drop, Reply, When, html, moved_to, said, secondary
from tests.github.fixtures import Hub, github
from tests.github.state import Pull, Repo, Role, TokenKind
from tests.github.use_shop import Waits

pytestmark = pytest.mark.long

PULL = "pulls/1"


@dataclass(kw_only=True)
class Office:
    """A repository with one pull request, and whoever speaks to it."""

    hub: Hub
    repo: Repo
    pull: Pull
    head: str
    waits: Waits = field(default_factory=Waits)
    said: list[str] = field(default_factory=list)
    open: list[Client] = field(default_factory=list)

    def client(self, credentials: Credentials | None = None, *, login: str = "bob", **more: object) -> Client:
        """Let somebody speak."""
        who = credentials or Token(value=self.hub.person(login, self.repo, Role.WRITE))
        options = {"api_url": self.hub.url, "slug": "acme/desk", "time": self.waits.time, **more}
        made = Client(who, say=self.said.append, **options)  # type: ignore[arg-type]
        self.open.append(made)
        return made

    def count(self, operation: str) -> int:
        """Say how often something was asked for."""
        return self.hub.server.count(operation)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A GitHub with a private repository."""
    with github(tmp_path / "github") as hub:
        repo = hub.repo("acme", "desk")
        hub.person("ann", repo)
        first = hub.push(repo, "ann", "main", {"a.txt": "a\n"})
        head = hub.push(repo, "ann", "package/one", {"b.txt": "b\n"}, onto=first)
        made = Office(hub=hub, repo=repo, pull=hub.open(repo, "ann", "package/one"), head=head)
        yield made
        for client in made.open:
            client.close()


def read(client: Client) -> object:
    return client.get(client.repo(PULL), doing="read it")


def comment(client: Client, body: str = "hello") -> object:
    return client.post(client.repo("issues/1/comments"), {"body": body}, doing="say hello")


# Reading.


def test_what_is_asked_is_answered(office: Office) -> None:
    client = office.client()
    there = read(client)
    assert (number(there, "number"), text(there, "head", "sha"), text(there, "user", "login")) == (
        1,
        office.head,
        "ann",
    )
    assert at(there, "no", "such", "thing") is None


@pytest.mark.parametrize("failure", [said(502, "Server Error"), html(), Drop(), Drop(midway=True)])
def test_a_question_is_asked_four_times_at_most(office: Office, failure: Reply | Drop) -> None:
    client = office.client()
    office.hub.server.faults.add("pulls/get", failure, times=3)
    assert number(read(client), "number") == 1
    assert (office.count("pulls/get"), len(office.waits.slept)) == (4, 3)
    office.hub.server.faults.add("pulls/get", failure, times=9)
    with pytest.raises(GitHubUnavailable, match="read it") as refused:
        read(client)
    assert not isinstance(refused.value, Unsettled)
    assert office.count("pulls/get") == 8


def test_an_answer_that_never_is_ready_is_not_waited_for(office: Office) -> None:
    office.hub.server.faults.add("pulls/get", said(202, "Accepted"), times=99)
    with pytest.raises(GitHubUnavailable):
        read(office.client())
    assert office.count("pulls/get") == 4


def test_a_question_in_graphql_is_repeated_and_may_be_answered_in_part(office: Office) -> None:
    client = office.client()
    office.hub.server.faults.add("graphql", html(502), times=2)
    query = """{ repository(owner: "acme", name: "desk") {
        there: pullRequest(number: 1) { number } gone: pullRequest(number: 99) { number } } }"""
    told = client.graphql(query, {}, doing="read two")
    assert (number(told.data, "repository", "there", "number"), at(told.data, "repository", "gone")) == (
        1,
        None,
    )
    assert [text(error, "type") for error in told.errors] == ["NOT_FOUND"]
    with pytest.raises(NotFound, match="read two"):
        told.whole()
    assert office.count("graphql") == 3


def test_graphql_of_a_repository_that_is_not_there(office: Office) -> None:
    client = office.client()
    told = client.graphql('{ repository(owner: "acme", name: "no") { url } }', {}, doing="look")
    with pytest.raises(NotFound, match="acme/desk"):
        told.whole()


def test_p30_lists_are_read_to_their_end(office: Office) -> None:
    for number_ in range(7):
        office.hub.push(office.repo, "ann", f"submit/{number_}", {"c.txt": str(number_)}, onto=office.head)
    client = office.client()
    rows = [
        text(row, "ref")
        for page in client.pages(
            client.repo("activity"), {"per_page": 3, "activity_type": "branch_creation"}, doing="read moves"
        )
        for row in page
    ]
    assert len(rows) == len(set(rows)) == 9
    assert office.count("repos/list-activities") == 3


@pytest.mark.parametrize(
    ("link", "what"),
    [
        ('<https://evil.example/repositories/1/activity?after=x>; rel="next"', "elsewhere"),
        ('<{url}/repositories/1/keys?after=x>; rel="next"', "elsewhere"),
        ('<{url}/repositories/1/activity?per_page=100>; rel="next"', "the same page"),
    ],
)
def test_a_list_that_goes_on_elsewhere_is_refused(office: Office, link: str, what: str) -> None:
    client = office.client()
    reply = Reply(status=200, body=b"[]", headers={"Link": link.format(url=office.hub.url)})
    office.hub.server.faults.add("repos/list-activities", reply)
    with pytest.raises(Unreadable, match=what):
        list(client.pages(client.repo("activity"), doing="read moves"))


# Writing.


@pytest.mark.parametrize("when", [When.BEFORE, When.AFTER])
@pytest.mark.parametrize("failure", [said(502, "Server Error"), html(), Drop(midway=True)])
def test_what_changes_something_is_never_repeated(office: Office, failure: Reply | Drop, when: When) -> None:
    client = office.client()
    office.hub.server.faults.add("issues/create-comment", failure, when=when, times=9)
    with pytest.raises(Unsettled, match="say hello"):
        comment(client)
    assert office.count("issues/create-comment") == 1
    assert len(office.hub.server.state.comments) == (when is When.AFTER)


def test_p36_changes_have_their_pace(office: Office) -> None:
    client = office.client(turns=Turns(1.0))
    for text_ in "abc":
        comment(client, text_)
    assert office.waits.slept == [1.0, 1.0]


def test_p36_at_most_sixty_changes_are_made_in_a_minute(office: Office) -> None:
    client = office.client(turns=Turns(0.5))
    times = []
    for number_ in range(130):
        comment(client, str(number_))
        times.append(office.waits.at)
    assert max(sum(at_ <= other < at_ + 60 for other in times) for at_ in times) == 60
    assert [line for line in office.said if "60 changes a minute" in line]
    assert office.hub.server.creating() == 130


def test_p36_commands_of_one_clone_share_the_minute(office: Office, tmp_path: Path) -> None:
    file = tmp_path / "turns"
    times = []
    for number_ in range(130):  # each as a process of its own
        client = office.client(turns=Turns(0.5, file=file))
        comment(client, str(number_))
        times.append(office.waits.at)
    assert max(sum(at_ <= other < at_ + 60 for other in times) for at_ in times) == 60
    assert len(file.read_text().split()) <= 61


def test_p36_turns_are_taken_whatever_stands_in_their_file(tmp_path: Path) -> None:
    file = tmp_path / "turns"
    file.write_bytes(b"\xff nonsense\n1e999\n-5\nnan\n5000.5\n")  # the last by a clock that began anew since
    first, second = Turns(1.0, file=file), Turns(1.0, file=file)
    assert [first.take(100.0), second.take(100.0), first.take(100.5)] == [0.0, 1.0, 1.5]
    assert Turns(1.0, file=tmp_path).take(7.0) == 0.0  # a folder is no file; then each counts for itself
    # Nobody waits for longer than a minute, whatever clock wrote it, nor for who holds the file and does not go on.
    for away in (59.9, 299.0):
        file.write_text(f"{100.0 + away}\n" * 99)
        assert Turns(1.0, file=file).take(100.0) <= 60.0
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        since = time.monotonic()
        assert Turns(1.0, file=file).take(7.0) == 0.0
        assert time.monotonic() - since < 10


# Limits.


def limited(reset: int) -> Reply:
    reply = said(403, "API rate limit exceeded for user ID 1.")
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    return Reply(status=403, body=reply.body, headers=headers)


def test_p36_a_short_wait_is_waited(office: Office) -> None:
    client = office.client()
    faults = office.hub.server.faults
    faults.add("pulls/get", secondary(429, retry_after=7))
    read(client)
    assert office.waits.slept == [7.0]
    faults.add("pulls/get", limited(int(time.time()) + 20))
    read(client)
    assert 15 <= office.waits.slept[1] <= 21
    faults.add("pulls/get", secondary(403))
    read(client)
    assert office.waits.slept[2] == 60.0


def test_p36_a_change_that_was_not_looked_at_is_sent_again(office: Office) -> None:
    client = office.client()
    office.hub.server.faults.add("issues/create-comment", secondary(403, retry_after=3))
    comment(client)
    assert (len(office.hub.server.state.comments), office.waits.slept) == (1, [3.0])


@pytest.mark.parametrize("status", [403, 429])
def test_p36_a_long_wait_is_told_and_not_waited(office: Office, status: int) -> None:
    token = office.hub.person("bob", office.repo, Role.WRITE)
    ends = int(time.time()) + 1800
    office.hub.server.limits.status = status
    office.hub.server.limits.leave(token, 0, reset=ends)
    with pytest.raises(RateLimited) as refused:
        read(office.client(Token(value=token)))
    when = datetime.fromtimestamp(ends, UTC)
    assert refused.value.message == f"rate limited, come back at {when:%H:%M:%S}Z"
    assert (refused.value.exit, office.waits.slept) == (Exit.REFUSED, [])


def test_p36_long_waits_of_other_kinds(office: Office) -> None:
    client = office.client()
    faults = office.hub.server.faults
    for reply in (secondary(403, retry_after=3600), limited(int(time.time()) + 4000)):
        faults.add("pulls/get", reply)
        with pytest.raises(RateLimited):
            read(client)
    faults.add("pulls/get", secondary(403), times=2)
    with pytest.raises(RateLimited):
        read(client)
    assert office.waits.slept == [60.0]


def test_p36_graphql_says_it_with_a_success(office: Office) -> None:
    token = office.hub.person("bob", office.repo, Role.WRITE)
    office.hub.server.limits.leave(token, 0, resource="graphql")
    with pytest.raises(RateLimited):
        office.client(Token(value=token)).graphql("{ viewer { login } }", {}, doing="look")


# Refusals.


def test_a_wrong_token_is_said_and_never_shown(office: Office) -> None:
    client = office.client(Token(value="ghp_secretsecret"))
    with pytest.raises(CredentialsError, match="Bad credentials") as refused:
        read(client)
    assert (refused.value.exit, office.count("pulls/get")) == (Exit.CREDENTIALS, 1)
    shown = f"{client!r} {Token(value='ghp_secretsecret')!r} {App(id='1', key='KEYKEY')!r} {refused.value}"
    assert "ghp_" not in shown
    assert "KEYKEY" not in shown


def test_a_missing_permission_is_named(office: Office) -> None:
    token = office.hub.token("bob", TokenKind.FINE, office.repo, contents="read", pull_requests="read")
    office.hub.person("bob", office.repo, Role.WRITE)
    client = office.client(Token(value=token))
    with pytest.raises(CredentialsError, match="the token may not say hello") as refused:
        comment(client)
    assert refused.value.hint == "it needs the permission Issues: write, or Pull requests: write"


def test_what_is_not_there_is_named(office: Office) -> None:
    with pytest.raises(NotFound, match="read it in acme/desk"):
        office.client().get("/repos/acme/desk/pulls/99", doing="read it")


def test_other_refusals_come_in_the_words_of_github_made_fit_to_show(office: Office) -> None:
    client = office.client()
    office.hub.server.faults.add("issues/create-comment", said(418, "No\x1b[31m tea\u202e here"))
    with pytest.raises(GitHubSaid, match="say hello") as refused:
        comment(client)
    assert "\x1b" not in refused.value.message
    assert "\u202e" not in refused.value.message
    assert (refused.value.status, refused.value.says("TEA")) == (418, True)
    with pytest.raises(GitHubSaid, match="base invalid"):
        client.post(
            client.repo("pulls"), {"title": "x", "head": "package/one", "base": "no"}, doing="open one"
        )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_followed_elsewhere(office: Office, status: int) -> None:
    client = office.client()
    there = f"{office.hub.url}/repositories/{office.repo.id}/pulls/1"
    office.hub.server.faults.add("pulls/get", moved_to(there, status))
    office.hub.server.faults.add("issues/create-comment", moved_to(there, status))
    for ask in (read, comment):
        with pytest.raises(RepositoryRenamed, match="acme/desk is called otherwise now"):
            ask(client)
    assert [seen.status for seen in office.hub.server.requests] == [status, status]


def test_a_repository_with_another_name(office: Office) -> None:
    client = office.client()
    office.hub.rename(office.repo, "office")
    with pytest.raises(RepositoryRenamed):
        read(client)


# Whom GitHub takes us for.


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    """Make the key pair of an App: private and public."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def test_an_app_makes_itself_a_token_and_another_before_that_ends(
    office: Office, key: tuple[str, str]
) -> None:
    app, _ = office.hub.app("releaser", "acme", key[1], pull_requests="write", contents="read")
    later = timedelta()
    now: Callable[[], datetime] = lambda: datetime.now(UTC) + later  # noqa: E731
    clock = Time(now=now, monotonic=office.waits.monotonic, sleep=office.waits.sleep)
    client = office.client(App(id=str(app.id), key=key[0]), time=clock)
    office.hub.server.faults.add("apps/create-installation-access-token", said(502, "Server Error"))
    read(client)
    comment(client)
    assert [seen.operation for seen in office.hub.server.requests] == [
        "apps/get-repo-installation",
        "apps/create-installation-access-token",
        "apps/create-installation-access-token",
        "pulls/get",
        "issues/create-comment",
    ]
    later = timedelta(minutes=58)
    read(client)
    assert office.count("apps/create-installation-access-token") == 3
    (made,) = office.hub.server.state.comments.values()
    assert office.hub.server.state.accounts[made.user].login == "releaser[bot]"


def test_a_key_that_is_none(office: Office, key: tuple[str, str]) -> None:
    app, _ = office.hub.app("releaser", "acme", key[1])
    with pytest.raises(CredentialsError, match="private key") as refused:
        read(office.client(App(id=str(app.id), key="nonsense")))
    assert "nonsense" not in f"{refused.value}{refused.value.hint}"


def test_an_app_that_is_not_installed(office: Office, key: tuple[str, str]) -> None:
    app, _ = office.hub.app("releaser", "elsewhere", key[1])
    with pytest.raises(NotFound, match="installation"):
        read(office.client(App(id=str(app.id), key=key[0])))


def test_an_enterprise_server(office: Office) -> None:
    client = office.client(api_url=f"{office.hub.url}/api/v3")
    assert number(read(client), "number") == 1
    assert text(client.graphql("{ viewer { login } }", {}, doing="look").data, "viewer", "login") == "bob"
    assert len(list(client.pages(client.repo("activity"), {"per_page": 1}, doing="read moves"))) == 2


def test_nothing_heavy_is_loaded_before_the_first_request() -> None:
    code = (
        "import sys; from gitrelease.forges.github import GithubForge;"
        "from gitrelease.forges.github.client import Client, Token;"
        "Client(Token(value='x'), api_url='https://api.github.com', slug='a/b');"
        "print(sorted({'github', 'requests', 'jwt', 'urllib3'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# Which GitHub it is.


@pytest.mark.parametrize(
    ("url", "host", "slug"),
    [
        ("https://github.com/acme/desk", "github.com", "acme/desk"),
        ("https://x-access-token:secret@github.com/acme/desk.git/", "github.com", "acme/desk"),
        ("git@github.com:acme/desk.git", "github.com", "acme/desk"),
        ("ssh://git@ssh.github.com:443/acme/desk.git", "github.com", "acme/desk"),
        ("git@git.example.org:acme/a.b_c-d", "git.example.org", "acme/a.b_c-d"),
        ("http://127.0.0.1:8080/acme/desk.git", "127.0.0.1:8080", "acme/desk"),
        ("https://github.com:443/acme/desk.git", "github.com", "acme/desk"),
        ("https://github.com/octo_acme/desk.git", "github.com", "octo_acme/desk"),
    ],
)
def test_where_a_remote_leads(url: str, host: str, slug: str) -> None:
    assert remote_repo(url) == RemoteRepo(host=host, slug=slug)


@pytest.mark.parametrize(
    "url",
    [
        "/srv/desk.git", "../desk", "file:///srv/acme/desk.git", "C:\\desk", "https://github.com/acme",
        "https://github.com/acme/desk/tree", "https://github.com:x/acme/desk", "git@github.com:acme/../desk",
        "git@github.com:acme/..", "ext::sh -c evil", "", "https:///acme/desk",
    ],
)  # fmt: skip
def test_what_is_no_repository_on_github(url: str) -> None:
    assert remote_repo(url) is None
    assert not home_at(url, {"GITHUB_TOKEN": "x"})
    client = open_client(url, {"GITHUB_TOKEN": "x"}, say=lambda text: None)
    with pytest.raises(Refused, match="no repository on GitHub"):
        read(client)


def test_a_token_goes_only_where_it_belongs(office: Office) -> None:
    def opened(url: str, **environ: str) -> Client:
        made = open_client(url, {"GITHUB_TOKEN": "ghp_x", **environ}, say=lambda text: None)
        office.open.append(made)
        return made

    assert repr(opened("git@github.com:acme/desk")) == "Client(acme/desk at https://api.github.com)"
    there = "https://git.example.org/api/v3"
    assert there in repr(opened("git@git.example.org:acme/desk", GITHUB_API_URL=there))
    for url, api in (
        ("https://evil.example/acme/desk", ""),
        ("https://evil.example/acme/desk", there),
        ("https://github.com/acme/desk", there),
    ):
        with pytest.raises(Refused, match="the token is for"):
            read(opened(url, GITHUB_API_URL=api))
    with pytest.raises(Refused, match="in the clear"):
        read(opened("http://git.example.org/acme/desk", GITHUB_API_URL="http://git.example.org/api/v3"))
    with pytest.raises(CredentialsError, match="no token"):
        read(opened("git@github.com:acme/desk", GITHUB_TOKEN=""))
    url = office.hub.server.git_url(office.repo, "t")
    assert home_at(url, {"GITHUB_API_URL": office.hub.url})
    assert not home_at(url, {})
    client = opened(url, GITHUB_API_URL=office.hub.url, GITHUB_TOKEN=office.hub.person("bob", office.repo))
    assert number(read(client), "number") == 1


def test_whom_github_is_to_take_us_for(tmp_path: Path, key: tuple[str, str]) -> None:
    assert credentials_of({"GITHUB_TOKEN": "b", "GH_TOKEN": " a "}) == Token(value="a")
    with pytest.raises(CredentialsError, match="no token") as refused:
        credentials_of({"GITHUB_TOKEN": ""})
    assert refused.value.exit == Exit.CREDENTIALS
    file = tmp_path / "app.pem"
    file.write_text(key[0])
    environ = {"GITRELEASE_GITHUB_APP_ID": "7", "GITRELEASE_GITHUB_APP_KEY": str(file), "GITHUB_TOKEN": "x"}
    assert credentials_of(environ) == App(id="7", key=key[0])
    for wrong in (
        {},
        {"GITRELEASE_GITHUB_APP_KEY": str(tmp_path)},
        {"GITRELEASE_GITHUB_APP_KEY": "/no/such"},
    ):
        with pytest.raises(CredentialsError, match=r"GITRELEASE_GITHUB_APP_KEY|cannot be read"):
            credentials_of({"GITRELEASE_GITHUB_APP_ID": "7", **wrong})
