"""What tests make a GitHub with: people with tokens, repositories, and things done without HTTP."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.github import pulls, reviews
from tests.github.bare import Person
from tests.github.server import Loopback
from tests.github.state import (
    NOWHERE,
    App,
    Installation,
    Kind,
    Pull,
    Repo,
    Review,
    Role,
    Team,
    Token,
    TokenKind,
)


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A GitHub and the words tests use for it."""

    server: Loopback

    @property
    def url(self) -> str:
        """Give the address of the API."""
        return self.server.url

    # Who and what there is.

    def person(self, login: str, repo: Repo | None = None, role: Role = Role.WRITE) -> str:
        """Add somebody with a role, and give a classic token of theirs."""
        with self.server.acting() as state:
            account = state.account(login)
            if repo is not None:
                state.change_repo(repo, roles={**state.repos[repo.id].roles, account.id: role})
            return state.token(login)

    def token(self, login: str, kind: TokenKind = TokenKind.FINE, *repos: Repo, **permissions: str) -> str:
        """Add a token with permissions: `token("ann", TokenKind.FINE, repo, contents="write")`."""
        reached = frozenset(repo.id for repo in repos) or None
        return self.server.state.token(login, kind, permissions=permissions, repos=reached)

    def actions_token(self, repo: Repo, **permissions: str) -> str:
        """Give a GITHUB_TOKEN for one repository."""
        return self.token(self.server.state.actions.login, TokenKind.ACTIONS, repo, **permissions)

    def deploy_key(self, login: str, repo: Repo) -> str:
        """Give a password that stands in for a write deploy key of a repository."""
        return self.token(login, TokenKind.DEPLOY_KEY, repo)

    def team(self, org: str, slug: str, *logins: str) -> Team:
        """Add a team."""
        with self.server.acting() as state:
            owner = state.account(org, kind=Kind.ORGANIZATION)
            members = {state.account(login).id: False for login in logins}
            made = Team(id=state.next_id(), org=owner.id, slug=slug, members=members)
            state.teams[made.id] = made
            return made

    def app(self, slug: str, owner: str, public_key: str, **permissions: str) -> tuple[App, Installation]:
        """Add an App with its public key, and install it on all repositories of an account."""
        with self.server.acting() as state:
            there = state.account(owner)
            bot = state.account(f"{slug}[bot]", kind=Kind.BOT)
            made = App(
                id=state.next_id(), slug=slug, owner=there.id, bot=bot.id, public_key=public_key,
                permissions={"metadata": "read", **permissions},
            )  # fmt: skip
            state.apps[made.id] = made
            installed = Installation(id=state.next_id(), app=made.id, account=there.id)
            state.installations[installed.id] = installed
            return made, installed

    def repo(self, owner: str, name: str, *, org: bool = True, **fields: Any) -> Repo:
        """Add an empty repository."""
        with self.server.acting() as state:
            account = state.account(owner, kind=Kind.ORGANIZATION if org else Kind.USER)
            made = Repo(id=state.next_id(), owner=account.id, name=name, created_at=state.now, **fields)
            state.repos[made.id] = made
            state.bare(made).init(made.default_branch)
            return made

    def fork(self, repo: Repo, owner: str) -> Repo:
        """Fork a repository, with its branches."""
        made = self.repo(owner, repo.name, org=False, fork_of=repo.id, private=repo.private)
        with self.server.acting() as state:
            state.bare(made).git("fetch", "--quiet", str(state.bare(repo).path), "+refs/heads/*:refs/heads/*")
        return made

    def delete_repo(self, repo: Repo) -> None:
        """Delete a repository; what came from it stays."""
        with self.server.acting() as state:
            del state.repos[repo.id]

    def rename(self, repo: Repo, name: str) -> Repo:
        """Rename a repository; its old name leads to the new one."""
        with self.server.acting() as state:
            state.renamed[state.full_name(repo).casefold()] = repo.id
            return state.change_repo(repo, name=name)

    # What people do, without HTTP.

    def push(
        self, repo: Repo, login: str, branch: str, files: Mapping[str, str | None],
        *, onto: str | None = None, message: str = "change", force: bool = False,
    ) -> str:  # fmt: skip
        """Commit files onto a branch (a new one begins at the default branch), or onto a given commit, and push."""
        with self.server.acting() as state:
            bare, account = state.bare(repo), state.account(login)
            ref = f"refs/heads/{branch}"
            tip = bare.tip(branch)
            parent = onto or tip or bare.tip(repo.default_branch)
            person = Person(name=account.login, email=account.email or "", at=state.now)
            made = bare.write(
                tree_of(bare.git, parent, files),
                [parent] if parent else [],
                message,
                author=person,
                committer=person,
            )
            if tip and not force and not bare.contains(made, tip):
                raise AssertionError(f"{branch} is at {tip}: say force=True")
            bare.move(ref, made)
            pulls.moved(state, repo, ref, tip or NOWHERE, made, account.id)
            return made

    def open(
        self,
        repo: Repo,
        login: str,
        head: str,
        base: str = "main",
        title: str = "A title",
        body: str | None = None,
    ) -> Pull:
        """Open a pull request as somebody."""
        with self.server.acting() as state:
            offer = pulls.Offer(head=head, base=base, title=title, body=body)
            return pulls.open_pull(state, repo, state.account(login).id, offer)

    def review(self, pull: Pull, login: str, event: str = "APPROVE", body: str = "as I see it") -> Review:
        """Say what somebody thinks of a pull request."""
        with self.server.acting() as state:
            now = state.pulls[pull.id]
            return reviews.give_review(state, now, state.account(login).id, event, body=body)

    def now(self, pull: Pull) -> Pull:
        """Give a pull request as it is by now."""
        return self.server.state.pulls[pull.id]


def tree_of(git: Callable[..., str], parent: str | None, files: Mapping[str, str | None]) -> str:
    """Store a tree: that of a parent, with files changed."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        if parent:
            git("read-tree", parent, extra=index)
        lines = []
        for name, text in files.items():
            blob = None if text is None else git("hash-object", "-w", "--stdin", stdin=text)
            lines.append(f"0 {NOWHERE}\t{name}" if blob is None else f"100644 {blob}\t{name}")
        if lines:
            git("update-index", "--index-info", stdin="\n".join(lines) + "\n", extra=index)
        return git("write-tree", extra=index)


@contextmanager
def github(folder: Path, clock: Callable[[], datetime] | None = None) -> Iterator[Hub]:
    """Have a GitHub for a while. In the end, whatever it should not have been asked or said is an error."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Loopback(folder, clock)
    server.start()
    try:
        yield Hub(server=server)
    finally:
        server.close()
    assert not server.problems, server.problems


__all__ = ["Hub", "Token", "TokenKind", "github"]
