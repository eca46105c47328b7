"""A shop whose shared repository is on the loopback GitHub, with people who have accounts and tokens there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gitrelease.commands import Desk, Prose
from gitrelease.core.ledger import ForgeKind, receipt_document
from gitrelease.core.names import LEDGER, CommitId, MemberId, PackageName
from gitrelease.errors import GitReleaseError
from gitrelease.forges.github import GithubForge
from gitrelease.forges.github.client import Client, Time, Token
from gitrelease.messages import message_of
from gitrelease.reading.ledger import receipt_of
from gitrelease.reading.packages import content_of
from gitrelease.reading.trees import read_manifest
from gitrelease.render import pull_request, standing
from gitrelease.repo import Repo as GitRepo
from tests.github.call import TABLE
from tests.github.faults import Reply
from tests.github.fixtures import Hub, github
from tests.github.state import Kind, Repo, Role
from tests.kit.git import Bench, Clock, Clone
from tests.kit.shop import FIRST_ITEMS, ROLES, Person, Shop, open_shop

GIT_TRAFFIC = frozenset({"git/refs", "git/fetch", "git/push-refs", "git/push"})
"""What git itself asks; `git/get-ref` and the like are questions to the API."""


def reviewers_of(repo: GitRepo, package: PackageName, commit: CommitId) -> Collection[MemberId]:
    """Give whom the manifest that a commit holds names as reviewers."""
    try:
        read = read_manifest(repo, commit, package)
    except GitReleaseError:
        return ()
    return () if read is None else read[1].reviewers


@dataclass
class Waits:
    """A clock that nobody has to wait for: sleeping moves it on."""

    at: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Say how late it is."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.slept.append(seconds)
        self.at += seconds

    @property
    def time(self) -> Time:
        """The clocks of a client."""
        return Time(monotonic=self.monotonic, sleep=self.sleep)


@dataclass
class HubBench(Bench):
    """A bench whose shared repository is on a GitHub."""

    hub: Hub | None = None
    tokens: dict[str, str] = field(default_factory=dict)
    home_repo: Repo | None = None

    def server(self, name: str = "server.git") -> Clone:
        """Give the repository as it lies behind GitHub."""
        assert self.hub is not None
        assert self.home_repo is not None
        path = self.hub.server.state.bare(self.home_repo).path
        return Clone(path=path, environ=self.environ, clock=self.clock)

    def clone(self, server: Clone, person: str, *, signing: bool = False) -> Clone:
        """Make a person's clone, which speaks to GitHub with their token."""
        assert self.hub is not None
        assert self.home_repo is not None
        made = super().clone(server, person, signing=signing)
        url = self.hub.server.git_url(self.home_repo, self.tokens[person])
        made.git("remote", "set-url", "origin", url)
        return made


@dataclass(kw_only=True)
class HubPerson(Person):
    """Somebody with a clone, an account and a token."""

    token: str
    url: str
    slug: str = "acme/desk"
    waits: Waits = field(default_factory=Waits)

    @cached_property
    def client(self) -> Client:
        """The door of this person's commands."""
        return Client(
            Token(value=self.token),
            api_url=self.url,
            slug=self.slug,
            time=self.waits.time,
            say=self.said.append,
        )

    @cached_property
    def forge(self) -> GithubForge:
        """GitHub as this person's commands see it."""
        repo = self.repo

        def bring(commits: Sequence[CommitId]) -> None:
            for commit in commits:
                with suppress(AssertionError):
                    self.clone.git("fetch", "--quiet", "origin", commit)

        return GithubForge(
            repo,
            self.plain_desk.pen,
            self.client,
            main=lambda: "main",
            content=lambda package, commit: content_of(repo, package, commit),
            reviewers=lambda package, commit: reviewers_of(repo, package, commit),
            bring=bring,
            say=self.said.append,
        )

    @cached_property
    def plain_desk(self) -> Desk:
        """What the commands would work with on plain git."""
        made = super().desk
        vars(self).pop("desk", None)  # where the other one would be kept as well
        return made

    @cached_property
    def desk(self) -> Desk:
        """What this person's commands work with."""
        prose = Prose(
            words=pull_request.words, standing=standing.standing, announcement=standing.announcement
        )
        return replace(self.plain_desk, forge=self.forge, prose=prose)


@dataclass(kw_only=True)
class HubShop(Shop):
    """A shop on GitHub."""

    hub: Hub
    repo: Repo
    tokens: Mapping[str, str]

    def person(self, who: str) -> HubPerson:
        """Give somebody a clone, or the one they have."""
        if who not in self.people:
            clone = self.bench.clone(self.server, who, signing=self.signing)
            clone.git("checkout", "--quiet", "-B", "main", "origin/main")
            self.people[who] = HubPerson(
                id=who,
                clone=clone,
                bench=self.bench,
                root=self.root,
                token=self.tokens[who],
                url=self.hub.url,
            )
        found = self.people[who]
        assert isinstance(found, HubPerson)
        return found

    def fresh(self, who: str) -> HubPerson:
        """Give somebody as in a new process, which remembers nothing."""
        known = self.person(who)
        made = anew(known, bench=self.bench, clone=known.clone, url=known.url)
        if "repo" in vars(known):
            known.repo.close()
        self.people[who] = made
        return made

    def environ_of(self, who: str) -> dict[str, str]:
        """Give the environment of somebody's terminal, with their token."""
        return super().environ_of(who) | {
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_TOKEN": self.tokens[who],
            "GITRELEASE_GITHUB_PACE": "0",
        }

    def account(self, who: str) -> int:
        """Give the number of somebody's account."""
        return self.hub.server.state.account(who).id

    def close(self) -> None:
        """Hang up."""
        for person in self.people.values():
            if isinstance(person, HubPerson) and "client" in vars(person):
                person.client.close()
        super().close()

    def asked(self, since: int = 0) -> list[str]:
        """List what GitHub's API was asked, without git."""
        found = [seen.operation or seen.path for seen in self.hub.server.requests[since:]]
        return [name for name in found if name not in GIT_TRAFFIC]


def open_hub_shop(bench: Bench, hub: Hub, files: Mapping[str, str] | None = None, **settings: Any) -> HubShop:
    """Open a shop whose people all may write; who is a stranger is no member but has an account."""
    repo = hub.repo("acme", "desk")
    tokens = {who: hub.person(who, repo, Role.WRITE) for who in (*ROLES, "stranger")}
    folder = bench.folder / "people"
    folder.mkdir()
    place = HubBench(
        folder=folder, keys=bench.keys, clock=bench.clock, hub=hub, tokens=tokens, home_repo=repo
    )
    roles = {who: f"{role}]\n    github: {hub.server.state.account(who).id} #" for who, role in ROLES.items()}
    made = open_shop(place, FIRST_ITEMS if files is None else files, roles=roles, **settings)
    root = _begun_on_github(made)
    _list_collaborators(hub)
    return HubShop(
        bench=place,
        server=made.server,
        root=root,
        signing=made.signing,
        hub=hub,
        repo=repo,
        tokens=tokens,
    )


@contextmanager
def poured(shop: HubShop, folder: Path) -> Iterator[HubShop]:
    """Have a copy of a shop for a while: its GitHub as it is, with another address, and everybody's clones."""
    old = shop.hub.server
    shutil.copytree(old.state.folder, folder / "github", symlinks=True)
    shutil.copytree(
        shop.bench.folder, folder / "people", symlinks=True, ignore=shutil.ignore_patterns("home")
    )
    with github(folder / "github", deepcopy(old.state.clock)) as hub:
        for name, value in vars(old.state).items():
            if name not in {"folder", "clock"}:
                setattr(hub.server.state, name, deepcopy(value))
        bench = HubBench(
            folder=folder / "people",
            keys=shop.bench.keys,
            clock=Clock(shop.bench.clock()),
            hub=hub,
            tokens=dict(shop.tokens),
            home_repo=shop.repo,
        )
        made = HubShop(
            bench=bench,
            server=bench.server(),
            root=shop.root,
            signing=shop.signing,
            hub=hub,
            repo=shop.repo,
            tokens=shop.tokens,
        )
        for who, known in shop.people.items():
            clone = Clone(path=bench.folder / who, environ=bench.environ, clock=bench.clock)
            clone.git("remote", "set-url", "origin", hub.server.git_url(shop.repo, shop.tokens[who]))
            made.people[who] = anew(known, bench=bench, clone=clone, url=hub.url)
        _list_collaborators(hub)
        try:
            yield made
        finally:
            made.close()


def anew(known: Person, *, bench: Bench, clone: Clone, url: str) -> HubPerson:
    """Give somebody as in a new process, perhaps elsewhere."""
    assert isinstance(known, HubPerson)
    return HubPerson(id=known.id, clone=clone, bench=bench, root=known.root, token=known.token, url=url)


def _list_collaborators(hub: Hub) -> None:
    """Answer who works in the repository, until the loopback server does."""
    if "repos/list-collaborators" in TABLE:
        return
    accounts = [one for one in hub.server.state.accounts.values() if one.kind is Kind.USER]
    rows = [{"id": one.id, "login": one.login, "type": "User"} for one in accounts]
    reply = Reply(status=200, body=json.dumps(rows).encode())
    hub.server.faults.add("GET /repos/*/collaborators", reply, times=10**6)


def _begun_on_github(made: Shop) -> CommitId:
    """Write the trust root once more, as one that names GitHub."""
    admin = made.person("adm-1")
    begun = receipt_of(admin.repo.commit(made.root))
    assert begun.founding is not None
    receipt = replace(begun, founding=replace(begun.founding, forge=ForgeKind.GITHUB))
    message = message_of(receipt.subject, receipt_document(receipt))
    tree = admin.repo.tree_of(made.root)
    root = admin.desk.pen.commit(admin.repo, tree=tree, parents=(), message=message)
    admin.clone.push(f"{root}:{LEDGER}", force=True)
    made.close()
    shutil.rmtree(admin.clone.path)
    return root
