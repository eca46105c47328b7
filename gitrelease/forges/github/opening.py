"""Which repository of which GitHub a remote is, and whom that GitHub is to take us for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gitrelease.core.values import frozen
from gitrelease.errors import Refused, UsageError
from gitrelease.forges.github.client import App, Client, Credentials, Time, Token
from gitrelease.forges.github.refusals import NoCredentials
from gitrelease.forges.github.turns import Turns
from gitrelease.repo import plain

TOKENS = ("GITRELEASE_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN")
"""Where a token is looked for, in this order: one's own goes before that of a workflow."""
APP_ID = "GITRELEASE_GITHUB_APP_ID"
APP_KEY = "GITRELEASE_GITHUB_APP_KEY"
API = "GITHUB_API_URL"
SERVER = "GITHUB_SERVER_URL"
PACE = "GITRELEASE_GITHUB_PACE"

_PUBLIC = "github.com"
_PUBLIC_API = "https://api.github.com"
_NAMES = {"www.github.com": _PUBLIC, "ssh.github.com": _PUBLIC}
_SCP = re.compile(r"(?:[^@/:]+@)?([^/:]+):(?!//)(.+)")
# With `_`, as accounts that a company manages have it.
_SLUG = re.compile(r"/*([A-Za-z0-9][A-Za-z0-9_-]*)/([A-Za-z0-9_.-]+?)(?:\.git)?/*")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_KEY_LIMIT = 64 * 1024


@frozen
class RemoteRepo:
    """A repository on some GitHub."""

    host: str
    """With the port, where it is no usual one."""
    slug: str


def remote_repo(url: str) -> RemoteRepo | None:
    """Read what a remote's address names; None where that can be no repository of GitHub."""
    if "://" in url:
        try:
            split = urlsplit(url)
            host, port = split.hostname or "", split.port
        except ValueError:
            return None
        if split.scheme not in {"https", "http", "ssh", "git+ssh"}:
            return None
        is_usual = port in {None, {"https": 443, "http": 80}.get(split.scheme, port)}
        path = split.path
        host = host if is_usual else f"{host}:{port}"
    elif scp := _SCP.fullmatch(url):
        host, path = scp[1].lower(), scp[2]
    else:
        return None
    slug = _SLUG.fullmatch(path)
    if slug is None or not host or slug[2] in {".", ".."}:
        return None
    return RemoteRepo(host=_NAMES.get(host, host), slug=f"{slug[1]}/{slug[2]}")


def api_url_of(environ: Mapping[str, str]) -> str:
    """Say where the API is: where GITHUB_API_URL says, else that of the server that GITHUB_SERVER_URL names."""
    if api_url := environ.get(API):
        return api_url
    server = (environ.get(SERVER) or "").rstrip("/")
    return f"{server}/api/v3" if server and urlsplit(server).hostname != _PUBLIC else _PUBLIC_API


def home_at(url: str | None, environ: Mapping[str, str]) -> RemoteRepo | None:
    """Find the repository that a remote is: on github.com, or on the server that the environment names; else None."""
    place = None if url is None else remote_repo(url)
    is_ours = place is not None and place.host in {_PUBLIC, _host_of(api_url_of(environ))}
    return place if is_ours else None


def address_of(slug: str, environ: Mapping[str, str]) -> str:
    """Give the address by which git reaches a repository, `owner/name`, on the GitHub that the environment names.

    Raises:
        UsageError: that is no name of a repository.
    """
    if (found := _SLUG.fullmatch(slug)) is None or found[0].startswith("/") or found[2] in {".", ".."}:
        raise UsageError(
            f"{plain(slug)!r} is not how a repository on GitHub is written", hint="write --github OWNER/NAME"
        )
    api_url = api_url_of(environ)
    return f"{urlsplit(api_url).scheme}://{_host_of(api_url)}/{found[1]}/{found[2]}.git"


def open_client(
    url: str | None,
    environ: Mapping[str, str],
    *,
    say: Callable[[str], None],
    time: Time | None = None,
    turns: Path | None = None,
) -> Client:
    """Prepare to speak with the GitHub that a remote is on. Nothing is sent yet, and nothing refused.

    A token goes to github.com and to the server that GITHUB_API_URL or GITHUB_SERVER_URL names, and never to a host for
    no other reason than that a remote leads there. What is wrong about that, or a token that is missing, is said by the
    first request: lists, differences and `verify` work without, also from a copy that lies elsewhere. `turns` is the
    file in which the commands of one clone note when they change something on GitHub.
    """
    api_url = api_url_of(environ)
    place = None if url is None else remote_repo(url)
    wanted = environ.get(PACE, "")
    pace = float(wanted) if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", wanted) else 1.0

    def credentials() -> Credentials:
        _check_place(url, place, api_url)
        return credentials_of(environ)

    return Client(
        credentials,
        api_url=api_url,
        slug="?/?" if place is None else place.slug,
        turns=Turns(pace, file=turns if pace else None),
        time=time,
        say=say,
    )


def _check_place(url: str | None, place: RemoteRepo | None, api_url: str) -> None:
    """Refuse to send a token where it does not belong."""
    if place is None:
        raise Refused(
            f"the remote leads to {plain(url or 'nothing')!r}, which is no repository on GitHub",
            hint="git remote set-url origin https://github.com/OWNER/NAME",
        )
    if place.host != _host_of(api_url):
        is_public = place.host == _PUBLIC
        raise Refused(
            f"the remote is on {plain(place.host)}, and the token is for {_host_of(api_url)}",
            hint=f"unset {API} and {SERVER}"
            if is_public
            else f"for GitHub Enterprise Server set {API}=https://{plain(place.host)}/api/v3",
        )
    split = urlsplit(api_url)
    if split.scheme != "https" and split.hostname not in _LOOPBACK:
        raise Refused(f"{API} is no https address, and a token is not sent in the clear")


def credentials_of(environ: Mapping[str, str]) -> Credentials:
    """Find whom GitHub is to take us for: an App where one is named, else whose token there is."""
    if app := environ.get(APP_ID):
        return App(id=app.strip(), key=_key(environ.get(APP_KEY)))
    for name in TOKENS:
        if value := environ.get(name, "").strip():
            return Token(value=value)
    raise NoCredentials(
        "there is no token for GitHub",
        hint="export GITHUB_TOKEN=$(gh auth token), or make one on GitHub under Settings, Developer settings",
    )


def _key(path: str | None) -> str:
    if not path:
        raise NoCredentials(
            f"{APP_ID} is set and {APP_KEY} is not", hint=f"{APP_KEY} names the App's .pem file"
        )
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(_KEY_LIMIT).decode()
    except (OSError, UnicodeDecodeError) as wrong:
        raise NoCredentials(
            f"the private key of the App in {plain(path)} cannot be read",
            hint=f"{APP_KEY} names the .pem file that GitHub made for the App",
        ) from wrong


def _host_of(api_url: str) -> str:
    """Say where the repositories are whose API this is."""
    split = urlsplit(api_url)
    host = (split.hostname or "").removeprefix("api.")
    return host if split.port is None else f"{host}:{split.port}"
