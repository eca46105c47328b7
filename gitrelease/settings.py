"""Settings: flags and environment, gathered once. Nothing else reads the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from gitrelease.core.names import CommitId
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError

_COMMIT_ID = re.compile(r"[0-9a-f]{40}")


class BadSetting(GitReleaseError):
    """A setting from the environment or from git's configuration cannot be what it says."""

    code = "bad-setting"


@frozen
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
    summary: Path | None = None
    """The file whose Markdown a CI shows beside a run."""
    run_url: str | None = None
    """The page of the run of CI that this is part of."""
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
    summary = environ.get("GITHUB_STEP_SUMMARY")
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
        summary=Path(summary) if summary else None,
        run_url=_run_url(environ),
        environ=environ,
    )


def _run_url(environ: Mapping[str, str]) -> str | None:
    """Say where the run of GitHub Actions that this is part of can be looked at."""
    server, slug, run = (
        environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    )
    is_known = server.startswith(("https://", "http://")) and bool(slug) and run.isdigit()
    return f"{server}/{slug}/actions/runs/{run}" if is_known else None


def commit_id(text: str, *, of: str) -> CommitId:
    """Parse the full id of a commit; a short one could come to mean another."""
    if not _COMMIT_ID.fullmatch(text.strip()):
        raise BadSetting(
            f"{of} is {text!r}, which is not the full id of a commit",
            hint="set it to the 40 hexadecimal digits that `gitrelease init` printed",
        )
    return CommitId(text.strip())
