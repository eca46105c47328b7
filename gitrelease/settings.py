"""Settings: flags and environment, gathered once. Nothing else reads the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gitrelease.core.names import CommitId
from gitrelease.errors import GitReleaseError

_COMMIT_ID = re.compile(r"[0-9a-f]{40}")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.{1,2}$)[A-Za-z0-9._-]+")
_SCP_LIKE = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:@]+):(?P<path>[^/].*)")
_SCHEMES = frozenset({"https", "http", "ssh"})


class BadSetting(GitReleaseError):
    """A setting from the environment or from git's configuration cannot be what it says."""

    code = "bad-setting"


@dataclass(frozen=True, kw_only=True)
class GithubSettings:
    """Where GitHub is, and whom it is to take us for, as far as the environment says."""

    server: str = "https://github.com"
    api: str = "https://api.github.com"
    token: str | None = field(default=None, repr=False)
    app: str | None = None
    """The id of a GitHub App, which makes its tokens with `key`."""
    key: Path | None = None
    pace: float = 1.0
    """Seconds between two requests that change something."""

    def repository(self, url: str) -> str | None:
        """Read `owner/name` off the address of a remote; None where that is not on this GitHub."""
        server = urlsplit(self.server)
        found = _SCP_LIKE.fullmatch(url)
        if found is not None:
            host, path = found["host"], found["path"]
            is_here = host.casefold() == (server.hostname or "")
        else:
            try:
                there = urlsplit(url)
                host, path = there.hostname or "", there.path.lstrip("/")
                port = there.port
            except ValueError:
                return None
            # An address for SSH has a port of its own.
            is_same_port = there.scheme == "ssh" or port == server.port
            is_here = there.scheme in _SCHEMES and host == (server.hostname or "") and is_same_port
        slug = path.removesuffix("/").removesuffix(".git")
        return slug if is_here and _SLUG.fullmatch(slug) else None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line and the environment say about how a command is to run."""

    directory: Path = Path()
    remote: str = "origin"
    root: CommitId | None = None
    """The trust root as known from outside the repository (design 4)."""
    signing_key: Path | None = None
    colour: bool = False
    verbose: bool = False
    json: bool = False
    prompt: bool = False
    """Whether there is somebody at a terminal whom git may ask for a password."""
    github: GithubSettings = GithubSettings()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where credentials are, so it is never shown."""


def gather(
    environ: Mapping[str, str],
    *,
    directory: Path | None = None,
    remote: str | None = None,
    no_color: bool = False,
    verbose: bool = False,
    json: bool = False,
    is_terminal: bool = False,
    has_person: bool = False,
) -> Settings:
    """Put together what was given: a flag goes before the environment, and an empty variable is none.

    Args:
        environ: the environment of the process.
        directory: -C.
        remote: --remote.
        no_color: --no-color.
        verbose: -v.
        json: --json.
        is_terminal: whether the output is a terminal.
        has_person: whether somebody at a terminal could answer.
    """
    key = environ.get("GITRELEASE_SIGNING_KEY")
    root = environ.get("GITRELEASE_ROOT")
    plain = no_color or bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return Settings(
        directory=directory or Path(),
        remote=remote or environ.get("GITRELEASE_REMOTE") or "origin",
        root=commit_id(root, of="GITRELEASE_ROOT") if root else None,
        signing_key=Path(key).expanduser() if key else None,
        colour=is_terminal and not plain,
        verbose=verbose,
        json=json,
        prompt=has_person,
        github=_github(environ),
        environ=environ,
    )


def _github(environ: Mapping[str, str]) -> GithubSettings:
    """Read where GitHub is the way its own runners say it, so that a workflow needs to say nothing."""
    default = GithubSettings()
    server = (environ.get("GITHUB_SERVER_URL") or default.server).rstrip("/")
    elsewhere = default.api if server == default.server else f"{server}/api/v3"
    tokens = (environ.get(name) for name in ("GITRELEASE_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"))
    key = environ.get("GITRELEASE_GITHUB_APP_KEY")
    return GithubSettings(
        server=server,
        api=(environ.get("GITHUB_API_URL") or elsewhere).rstrip("/"),
        token=next((token for token in tokens if token), None),
        app=environ.get("GITRELEASE_GITHUB_APP_ID") or None,
        key=Path(key).expanduser() if key else None,
        pace=_seconds(environ.get("GITRELEASE_GITHUB_PACE"), default.pace, of="GITRELEASE_GITHUB_PACE"),
    )


def _seconds(text: str | None, default: float, *, of: str) -> float:
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 60:  # what is no number at all compares as false
        raise BadSetting(
            f"{of} is {text!r}, which is no number of seconds from 0 to 60", hint="leave it unset"
        )
    return seconds


def commit_id(text: str, *, of: str) -> CommitId:
    """Parse the full id of a commit; a short one could come to mean another."""
    if not _COMMIT_ID.fullmatch(text.strip()):
        raise BadSetting(
            f"{of} is {text!r}, which is not the full id of a commit",
            hint="set it to the 40 hexadecimal digits that `gitrelease init` printed",
        )
    return CommitId(text.strip())
