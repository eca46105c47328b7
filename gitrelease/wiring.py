"""Wiring: settings in; a repository, a forge and targets out. The one place that chooses implementations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from gitrelease.commands import PLAIN, Desk, Prose
from gitrelease.core.finding import key_text
from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import LEDGER, CommitId
from gitrelease.core.workspace import TargetSettings
from gitrelease.errors import GitReleaseError, NotFound, Refused
from gitrelease.forges import Forge, Home
from gitrelease.forges.local import LocalForge
from gitrelease.pen import Pen
from gitrelease.reading.ledger import ROOT, find_root, known_root, read_beginning, receipt_of
from gitrelease.reading.packages import content_of, reviewers_of
from gitrelease.repo import Repo
from gitrelease.schemas import setting_error
from gitrelease.settings import Settings
from gitrelease.targets import GROUP, Site, Target

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# A checkout that was never installed has no entry points; what we ship is there all the same.
_SHIPPED = {"directory": "gitrelease.targets.directory", "git": "gitrelease.targets.git"}


class TargetModule(Protocol):
    """What a module named by an entry point of the group `gitrelease.targets` has."""

    SCHEMA: Mapping[str, object]

    def connect(self, site: Site) -> Target:
        """Use a production system."""


def utc_now() -> datetime:
    """Say what time it is."""
    return datetime.now(UTC)


def open_repo(settings: Settings) -> Repo:
    """Open the repository that a command is to work in."""
    return Repo.discover(
        settings.directory,
        remote=settings.remote,
        environ=settings.environ,
        signing_key=settings.signing_key,
        prompt=settings.prompt,
    )


def open_server(settings: Settings) -> tuple[Repo, Pen]:
    """Open the server's repository for its hook, so that it sees what was pushed and is not part of it yet."""
    repo = Repo.discover(
        settings.directory, remote=settings.remote, environ=settings.environ, quarantine=True
    )
    return repo, Pen(identity=repo.identity, signs=False, now=utc_now)


def open_desk(
    settings: Settings,
    *,
    say: Callable[[str], None] = lambda text: None,  # noqa: ARG005
    prose: Prose = PLAIN,
    now: Callable[[], datetime] = utc_now,
) -> Desk:
    """Put together what every command works with. Whoever asks closes it."""
    repo = open_repo(settings)
    try:
        return desk_of(repo, settings, say=say, prose=prose, now=now)
    except BaseException:
        repo.close()
        raise


def desk_of(
    repo: Repo,
    settings: Settings,
    *,
    say: Callable[[str], None],
    now: Callable[[], datetime],
    prose: Prose = PLAIN,
) -> Desk:
    """Put together what every command works with, around a repository that is open."""
    root = settings.root or known_root(repo)
    pen = Pen(identity=repo.identity, signs=lambda: can_sign(repo, settings), now=now)
    return Desk(
        repo=repo,
        forge=forge_of(repo, settings, pen, root, say=say),
        pen=pen,
        root=root,
        connect=lambda target: connect(target, repo=repo, pen=pen, environ=settings.environ),
        prose=prose,
        say=say,
    )


def forge_of(
    repo: Repo, settings: Settings, pen: Pen, root: CommitId | None, *, say: Callable[[str], None]
) -> Forge:
    """Choose where packages are reviewed: where the trust root says. Before there is one, there is no review."""
    if _forge_named(repo, root) is not ForgeKind.GITHUB:
        return LocalForge(repo, pen)
    from gitrelease.forges.github import GithubForge
    from gitrelease.forges.github.opening import open_client

    def main() -> str:
        tip = repo.tip(LEDGER)
        return "main" if tip is None else read_beginning(repo, root, tip=tip)[1].main

    return GithubForge(
        repo,
        pen,
        open_client(
            repo.remote_url(), settings.environ, say=say, turns=repo.git_dir / "gitrelease" / "github-turns"
        ),
        main=main,
        content=lambda package, commit: content_of(repo, package, commit),
        reviewers=lambda package, commit: reviewers_of(repo, package, commit),
        bring=repo.bring,
        say=say,
    )


def home_of(url: str | None, settings: Settings, *, say: Callable[[str], None]) -> Home | None:
    """Find the home of packages that a remote is before there is a trust root; None where it is plain git."""
    from gitrelease.forges.github.home import GithubHome
    from gitrelease.forges.github.opening import home_at, open_client

    place = home_at(url, settings.environ)
    if url is None or place is None:
        return None
    return GithubHome(open_client(url, settings.environ, say=say), place, address=url)


def github_address(slug: str, settings: Settings) -> str:
    """Give the address by which git reaches `owner/name` on GitHub."""
    from gitrelease.forges.github.opening import address_of

    return address_of(slug, settings.environ)


def _forge_named(repo: Repo, root: CommitId | None) -> ForgeKind | None:
    """Give the forge that the trust root names; None before there is one here, or where it cannot be believed."""
    try:
        known = root or repo.known_good(ROOT)
        if known is None or not repo.exists(known):
            tip = repo.tip(LEDGER)
            known = None if tip is None else find_root(repo, tip)
        founding = None if known is None else receipt_of(repo.commit(known)).founding
    except GitReleaseError:
        return None  # what is wrong with the ledger, commands say
    return None if founding is None else founding.forge


def can_sign(repo: Repo, settings: Settings) -> bool:
    """Say whether there is an SSH key to sign with; keys of another kind are for other purposes."""
    if settings.signing_key is not None:
        return True

    key = repo.user_setting("user.signingKey") or ""
    match repo.user_setting("gpg.format"):
        case "ssh":
            return bool(key or repo.user_setting("gpg.ssh.defaultKeyCommand"))
        case None:
            return key.startswith(("ssh-", "key::", "ecdsa-", "sk-", "~")) or "/" in key or "\\" in key
        case _:
            return False


def connect(wanted: TargetSettings, *, repo: Repo, pen: Pen, environ: Mapping[str, str]) -> Target:
    """Connect a production system: load its module, and check its settings against the module's schema."""
    module = _module_of(wanted)
    _check_settings(wanted, module.SCHEMA)
    return module.connect(
        Site(
            name=wanted.name,
            settings=wanted.settings,
            repo=repo,
            pen=pen,
            folder=repo.worktree or repo.git_dir,
            environ=environ,
        )
    )


def _module_of(wanted: TargetSettings) -> TargetModule:
    from importlib.metadata import entry_points

    offered: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=GROUP)}
    try:
        if (entry := offered.get(wanted.type)) is not None:
            return cast("TargetModule", entry.load())
        if (path := _SHIPPED.get(wanted.type)) is not None:
            return cast("TargetModule", import_module(path))
    except ImportError as missing:
        raise GitReleaseError(
            f"the target {wanted.name} is of the type {wanted.type}, which cannot be loaded: {missing}",
            hint=f"install what it needs: pip install 'gitrelease[{wanted.type}]'",
            code="target-missing",
        ) from missing
    names = ", ".join(sorted({*offered, *_SHIPPED}))
    raise NotFound(
        f"the target {wanted.name} is of the type {wanted.type!r}, which is not installed",
        hint=f"installed are: {names}; another comes with a package that has an entry point in {GROUP}",
        code="target-unknown",
    )


def _check_settings(wanted: TargetSettings, schema: Mapping[str, object]) -> None:
    if (error := setting_error(wanted.settings, schema)) is not None:
        inner, message = error
        raise Refused(
            f"workspace.yaml: {key_text(('production', 'targets', wanted.name, 'settings', *inner))}: {message}",
            hint=f"these are the settings of a target of the type {wanted.type}",
            code="target-settings",
        )
