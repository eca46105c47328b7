"""Where `gitrelease init` begins: the folder, the shared repository, and what the two hold already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gitrelease.commands.beginning import CannotBegin
from gitrelease.commands.server import hand_out
from gitrelease.core.ledger import Event
from gitrelease.core.names import HEADS, LEDGER, CommitId, branch
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Home
from gitrelease.reading.ledger import receipt_of
from gitrelease.repo import Repo, plain


@frozen
class Start:
    """Where the repository stands before anything is written."""

    main: str
    base: CommitId | None
    """What the first commit goes on top of."""
    shared: CommitId | None
    """The shared main branch."""
    local_root: CommitId | None
    """A trust root that an earlier run wrote and did not share."""
    local_ledger: CommitId | None


def open_folder(
    folder: Path, *, remote: str, environ: Mapping[str, str], signing_key: Path | None, prompt: bool
) -> Repo:
    """Open the repository of a folder, or make one where there is none.

    Raises:
        CannotBegin: the folder is no place for a working folder of git, or lies within another.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise CannotBegin(f"{plain(str(folder))} is not a folder")
    is_empty = not folder.exists() or not any(folder.iterdir())
    if is_empty or not any((above / ".git").exists() for above in (folder, *folder.parents)):
        if not is_empty and (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            raise CannotBegin(
                f"{plain(str(folder))} is a bare repository", hint="run gitrelease init in a clone of it"
            )
        Repo.init_repository(folder, remote=remote, environ=environ).close()
    repo = Repo.discover(folder, remote=remote, environ=environ, signing_key=signing_key, prompt=prompt)
    if repo.worktree is None or repo.worktree.resolve() != folder.resolve():
        repo.close()
        raise CannotBegin(
            f"{plain(str(folder))} is not the top of its repository",
            hint=f"run gitrelease init {plain(str(repo.worktree or repo.git_dir))}",
        )
    return repo


def share_through(repo: Repo, server: Path, environ: Mapping[str, str]) -> None:
    """Make a repository on this machine the remote, unless the clone has another."""
    key = f"remote.{repo.remote}.url"
    known = repo.config(key)
    if known is None:
        repo.set_config(key, str(server))
        repo.set_config(f"remote.{repo.remote}.fetch", f"+{HEADS}*:refs/remotes/{repo.remote}/*")
    elif ((repo.worktree or repo.git_dir) / known).resolve() != server.resolve():
        raise CannotBegin(
            f"the remote {repo.remote} of this clone is {plain(known)}",
            hint="give the server another name with --remote NAME",
        )
    hand_out(server, main_branch(repo), environ=environ)


def share_at(repo: Repo, home: Home) -> None:
    """Make a repository on a forge the remote, unless the clone has another."""
    known = repo.remote_url()
    if known is None:
        repo.set_config(f"remote.{repo.remote}.url", home.address)
        repo.set_config(f"remote.{repo.remote}.fetch", f"+{HEADS}*:refs/remotes/{repo.remote}/*")
    elif not home.is_at(known):
        raise CannotBegin(
            f"the remote {repo.remote} of this clone is {plain(known)}, and not {home.name}",
            hint=f"git remote set-url {repo.remote} {home.address}, or give it another name with --remote NAME",
        )


def main_branch(repo: Repo) -> str:
    """Find the name of the main branch: what the shared repository hands out, what an earlier run wrote into a
    trust root that nobody has seen yet, or what is checked out.
    """
    if repo.has_remote and (shared := repo.default_branch()):
        return shared.removeprefix(HEADS)
    ledger = repo.resolve(LEDGER)
    if ledger is not None and _own_root(repo, ledger) and (known := receipt_of(repo.commit(ledger)).founding):
        return known.main
    return (repo.head_branch() or branch("main")).removeprefix(HEADS)


def find_start(repo: Repo, main: str) -> Start:
    """Find out what the shared repository and the clone hold.

    Raises:
        CannotBegin: the two went apart, or something else has the name of the ledger.
    """
    shared = repo.tip(branch(main)) if repo.has_remote else None
    local = repo.resolve(branch(main))
    ledger = repo.resolve(LEDGER)
    root = None if ledger is None else _own_root(repo, ledger)
    if ledger is not None and root is None and not repo.has_remote:
        raise CannotBegin(
            "there is a branch `production` that is no ledger",
            hint="give it another name: git branch -m production NAME",
        )
    if shared is None or local is None or local == shared:
        base = shared or local
    elif repo.is_ancestor(local, shared):
        base = shared
    elif root is not None and repo.is_ancestor(shared, local):
        base = local  # what an earlier run wrote here, and did not share
    else:
        raise CannotBegin(
            f"your branch {main} has commits that the remote {repo.remote} does not have",
            hint=f"git push {repo.remote} {main}, or move them to a branch of their own; then run it again",
        )
    return Start(main=main, base=base, shared=shared, local_root=root, local_ledger=ledger)


def _own_root(repo: Repo, ledger: CommitId) -> CommitId | None:
    """Give the trust root that a local branch is, if it is one and nothing was built on it."""
    commit = repo.commit(ledger)
    try:
        receipt = receipt_of(commit)
    except GitReleaseError:
        return None
    return ledger if receipt.event is Event.ROOT and not commit.parents else None
