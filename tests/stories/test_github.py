"""The scenes of `test_kills.py` on GitHub: killed, asked twice at once, and with a GitHub that fails in the middle.

Whatever happens on the way, in the end there is one of each: pull request, review, merge, deployment, tag.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.core.names import package_name
from gitrelease.errors import GitReleaseError, Refused
from tests.github.faults import Asked, Drop, Fault, Reply, Run, When, said, secondary
from tests.github.fixtures import github
from tests.github.use_shop import HubPerson, HubShop, open_hub_shop, poured
from tests.kit.git import Bench, Clone, KeyRing
from tests.kit.kill import Ended, Killer, Watch
from tests.kit.shop import FIRST_ITEMS
from tests.stories.test_kills import PACKAGE, SCENES, Prepared, Scene, kill_everywhere, play_twice_at_once


def is_write(asked: Asked) -> bool:
    """Say whether a request changes what GitHub shows; what git pushes is counted where git runs."""
    operation = asked.operation or ""
    return asked.method != "GET" and operation != "graphql" and not operation.startswith("git/")


def decided(shop: HubShop, *, is_alone: bool = True) -> dict[str, object]:
    """Say what came of pull requests on GitHub, without ids and times.

    Whoever says the same in two terminals at the same moment may have said it twice: GitHub takes every review.
    """
    state = shop.hub.server.state
    login = {id_: account.login for id_, account in state.accounts.items()}
    reviews = [(login[one.user], one.state, one.body) for one in state.reviews.values()]
    return {
        "pulls": [
            (one.number, one.head_ref, one.state, one.merged_at is not None, one.title,
             sorted(login[id_] for id_ in one.reviewers))
            for one in state.pulls_of(shop.repo)
        ],
        "reviews": reviews if is_alone else list(dict.fromkeys(reviews)),
        "merges": [one.kind for one in state.activity if one.ref == "refs/heads/main"],
    }  # fmt: skip


def told(shop: HubShop, *, is_alone: bool = True) -> dict[str, list[tuple[object, ...]]]:
    """Say what people are told on GitHub, without ids and times.

    Nothing is there twice, unless two looked at the same moment and found nothing: GitHub has no way to ask for a
    comment or a status only where there is none.
    """
    state = shop.hub.server.state
    login = {id_: account.login for id_, account in state.accounts.items()}
    found: dict[str, list[tuple[object, ...]]] = {
        "comments": [(login[one.user], one.body.partition("\n\n")[0]) for one in state.comments.values()],
        "statuses": sorted((one.sha, one.context, one.state, one.description) for one in state.statuses),
        "deployments": [(one.data["payload"]["package"],) for one in state.deployments.values()],
        "courses": [(one.of, one.data["state"]) for one in state.deployment_statuses.values()],
        "releases": sorted((str(one.data["tag_name"]),) for one in state.releases.values()),
    }
    assert not is_alone or [what for what, words in found.items() if len(set(words)) < len(words)] == []
    if not is_alone:
        found = {what: list(dict.fromkeys(words)) for what, words in found.items()}
    return {**found, **{what: [words[1:] for words in found[what]] for what in ("statuses", "courses")}}


@dataclass(frozen=True, kw_only=True)
class OnGitHub(Prepared):
    """A shop on GitHub that is ready for its scene."""

    shop: HubShop
    is_alone: bool = True
    """Whether nobody else plays the same scene at the same moment."""

    @property
    def server(self) -> Clone:
        """The repository as it lies behind GitHub."""
        return self.shop.server

    def environ_of(self, who: str) -> dict[str, str]:
        """Give the environment of somebody's terminal, with their token."""
        return self.shop.environ_of(who)

    @contextmanager
    def copied(self, to: Path) -> Iterator[OnGitHub]:
        """Have a copy of the shop for a while, with a GitHub of its own."""
        with poured(self.shop, to) as shop:
            yield replace(self, folder=shop.bench.folder, environ=shop.bench.environ, shop=shop)
        shutil.rmtree(to)

    def type(
        self, who: str, words: Sequence[str], *, at: str = "never", meanwhile: Path | None = None
    ) -> Ended:
        """Type a command; also a request that changes something is an effect."""

        def watched(watch: Watch) -> None:
            faults = self.shop.hub.server.faults
            faults.clear()
            faults.add(
                lambda asked: is_write(asked) and watch.kills_before(str(asked.operation)),
                Drop(),
                times=10**6,
            )
            faults.add(
                lambda asked: is_write(asked) and watch.kills_after(), Drop(), when=When.AFTER, times=10**6
            )

        return self.killer.run(
            words,
            where=self.folder / who,
            environ=self.environ_of(who),
            at=at,
            watched=watched,
            meanwhile=meanwhile,
        )

    def look(self, *words: str) -> str:
        """Give what the command line shows a viewer, wherever this GitHub is."""
        return super().look(*words).replace(self.shop.hub.url, "http://github")

    def left(self) -> object:
        """Say what a killed run left, also on GitHub."""
        return super().left(), decided(self.shop), told(self.shop)

    def state(self) -> object:
        """Say what people find afterwards, also on GitHub."""
        self.shop.hub.server.faults.clear()
        words = told(self.shop, is_alone=self.is_alone)
        return self.found(), decided(self.shop, is_alone=self.is_alone), words

    def listed(self, what: str) -> dict[str, Any]:
        """Give what a list shows, and what was said twice at the same moment once."""
        found = super().listed(what)
        for package in found["items"] if what == "package" and not self.is_alone else ():
            package["uncounted"] = [
                one
                for one in package["uncounted"]
                if {name: part for name, part in one.items() if name != "why"} not in package["approvals"]
            ]
        return found


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, keys: KeyRing) -> Iterator[Callable[[str], OnGitHub]]:
    """Shops on GitHub that are ready for their scenes, each made once."""
    made: dict[str, OnGitHub] = {}
    with ExitStack() as stack:

        def prepare(name: str) -> OnGitHub:
            if name not in made:
                made[name] = stack.enter_context(
                    ready(tmp_path_factory.mktemp(f"hub-{name}"), keys, SCENES[name])
                )
            return made[name]

        yield prepare


@contextmanager
def ready(folder: Path, keys: KeyRing, scene: Scene, *others: str, lease: int = 1) -> Iterator[OnGitHub]:
    """Open a shop on GitHub, and bring it to where a scene begins, which other people may be part of."""
    with github(folder / "github") as hub:
        bench = Bench(folder=folder, keys=keys)
        shop = open_hub_shop(bench, hub, FIRST_ITEMS, lease=lease, auto_merge=not scene.by_hand)
        scene.prepare(shop)
        for who in (scene.who, *others, "view-1"):
            shop.person(who)
        shop.close()
        yield OnGitHub(
            folder=shop.bench.folder,
            environ=shop.bench.environ,
            root=shop.root,
            killer=Killer(folder=folder / "killer"),
            scene=scene,
            shop=shop,
        )


@pytest.mark.long
@pytest.mark.parametrize("name", SCENES)
def test_killed_anywhere_it_ends_in_the_same_place(
    name: str,
    prepared: Callable[[str], OnGitHub],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """SIGKILL before and after every push and every request that changes something."""
    kill_everywhere(prepared(name), tmp_path, record_property)


@pytest.mark.long
@pytest.mark.parametrize("name", SCENES)
def test_two_at_once(name: str, prepared: Callable[[str], OnGitHub], tmp_path: Path) -> None:
    """The same command twice at the same moment: one of each thing is there in the end."""
    play_twice_at_once(replace(prepared(name), is_alone=False), tmp_path)


# A GitHub that fails in the middle, or a token that does.


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a request that changes something goes wrong."""

    action: Reply | Drop | None
    """None takes the token away."""
    when: When = When.BEFORE
    heals: bool = True
    """Whether the command itself gets over it."""


FAILURES: Mapping[str, Failure] = {
    "502 before": Failure(action=said(502, "Server Error")),
    "502 after": Failure(action=said(502, "Server Error"), when=When.AFTER),
    "dropped before": Failure(action=Drop(midway=True)),
    "dropped after": Failure(action=Drop(midway=True), when=When.AFTER),
    "long limit": Failure(action=secondary(429, retry_after=1800), heals=False),
    "token lost": Failure(action=None, heals=False),
}

VERBS: Mapping[str, Callable[[HubPerson], object]] = {
    "release": lambda person: person.release(everything=True, name=PACKAGE),
    "approve": lambda person: person.approve(PACKAGE),
    "reject": lambda person: person.reject(PACKAGE),
    "revoke-package": lambda person: person.revoke(PACKAGE),
    "rollback": lambda person: rollback(
        person.desk, RollbackRequest(package=package_name(PACKAGE), name="back")
    ),
    "sync": lambda person: person.sync(retry=True),
}

NORMALLY = ("release", "dropped after")
"""One of each kind runs always."""


def writes(asked: Asked) -> bool:
    """Say whether a request changes anything: what GitHub shows, or what git holds."""
    return is_write(asked) or asked.operation == "git/push"


def go_wrong(shop: HubShop, person: HubPerson, failure: Failure, nth: int) -> Fault:
    """Let the nth request that changes something go wrong, whoever asks."""
    hub = shop.hub.server
    action = failure.action or Run(lambda: hub.state.revoke(person.token))
    return hub.faults.add(writes, action, when=failure.when, skip=nth)


def anew(shop: HubShop, who: str) -> HubPerson:
    """Give somebody as they come back later, with a token that works."""
    person = shop.fresh(who)
    person.token = shop.hub.server.state.token(who)
    person.clone.git("remote", "set-url", "origin", shop.hub.server.git_url(shop.repo, person.token))
    return person


@pytest.mark.parametrize(
    ("verb", "failure"),
    [
        pytest.param(verb, failure, marks=[] if (verb, failure) == NORMALLY else pytest.mark.long)
        for verb in VERBS
        for failure in FAILURES
    ],
)
def test_whatever_fails_on_the_way_there_is_one_of_each_in_the_end(
    verb: str, failure: str, prepared: Callable[[str], OnGitHub], tmp_path: Path
) -> None:
    """Each request that changes something goes wrong once; the command gets over it, or does when it is run again."""
    start, how = prepared(verb), FAILURES[failure]
    who = start.scene.who
    with poured(start.shop, tmp_path / "calm") as calm:
        VERBS[verb](calm.person(who))
        wanted = decided(calm), told(calm), sorted(calm.refs())
    for nth in count():
        with poured(start.shop, tmp_path / str(nth)) as shop:
            person = shop.person(who)
            fault = go_wrong(shop, person, how, nth)
            with suppress(GitReleaseError):
                VERBS[verb](person)
            if not fault.hits:
                break
            with suppress(Refused) if how.heals else nullcontext():
                VERBS[verb](anew(shop, who))
            found = decided(shop), told(shop), sorted(shop.refs())
        shutil.rmtree(tmp_path / str(nth))
        if verb == "sync" and found[1]["courses"] == [("failure",), *wanted[1]["courses"]]:
            # That push was production itself: it failed, which is shown, and so is that a retry mended it.
            found[1]["courses"] = wanted[1]["courses"]
        assert found == wanted, f"request {nth} that changes something"
    assert nth > 1
