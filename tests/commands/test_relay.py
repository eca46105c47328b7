"""A long past is played by several processes, and told as one process tells it, whatever is wrong with it."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelease.core.ledger import Event
from gitrelease.core.names import LEDGER, CommitId
from gitrelease.reading.relay import relay
from gitrelease.reading.replay import Known, Past, replay
from gitrelease.repo import Repo
from tests.benchmarks.growing import Grown, grow

STRETCH = 6


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """A ledger with eight releases, two receipts each."""
    return grow(tmp_path_factory.mktemp("grown"), jobs=3, releases=8)


def opened(grown: Grown) -> Repo:
    return Repo.discover(Path(grown.server), remote="origin", environ=dict(os.environ))


def told(past: Past) -> dict[str, object]:
    """Everything that a past tells."""
    values = {name: value for name, value in vars(past).items() if name not in {"repo", "accounts"}}
    return values | {"unexplained": past.accounts.unexplained}


def forged(repo: Repo, chain: list[CommitId], *wrong: int) -> CommitId:
    """Write a ledger again, some of whose receipts somebody else made; give its tip."""
    made: dict[str, str] = {}
    for number, id_ in enumerate(chain):
        text = repo.run("cat-file", "commit", id_).out.decode()
        for old, new in made.items():
            text = text.replace(f"parent {old}\n", f"parent {new}\n")
        if number in wrong:
            text = text.replace("sync <sync@example.org>", "mallory <mallory@example.org>")
        ran = repo.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())
        made[id_] = ran.out.decode().strip()
    return CommitId(made[chain[-1]])


@pytest.mark.parametrize("wrong", [(), (6,), (15,), (5, 9, 18)], ids=str)
def test_stretches_add_up_to_the_whole(grown: Grown, wrong: tuple[int, ...]) -> None:
    """Whether everything is in order, or the first stretch is not, or a later one, or all of them."""
    root = CommitId(grown.root)
    with opened(grown) as repo:
        chain = repo.first_parent_ids(CommitId(repo.refs()[LEDGER]))[::-1]
        tip = forged(repo, chain, *wrong) if wrong else chain[-1]
        alone = replay(repo, tip, root)
        together = relay(repo, tip, root, stretch=STRETCH, hands=2 if wrong != (6,) else 3)
        assert told(together) == told(alone)
        assert len(alone.packages) == 8
        assert bool(alone.broken) == bool(wrong)


def test_what_comes_later_does_not_count_on_what_came_before(grown: Grown) -> None:
    """A package that was there before, and a target that was left with something else, are no new beginning."""
    root = CommitId(grown.root)
    with opened(grown) as repo:
        chain = repo.first_parent_ids(CommitId(repo.refs()[LEDGER]))[::-1]
        pasts = []
        for _ in range(2):
            past = replay(repo, chain[6], root)
            last = replay(repo, chain[-1], root).packages
            name, known = list(last.items())[-1]
            past.packages[name] = replace(known, event=Event.REFUSED)
            pasts.append(past)
        alone = replay(repo, chain[-1], root, past=pasts[0])
        together = relay(repo, chain[-1], root, past=pasts[1], stretch=STRETCH, hands=2)
        assert told(together) == told(alone)
        assert any("knew before" in one.why for one in together.broken)
        assert isinstance(alone.packages[name], Known)


def test_another_process_gets_a_door_of_its_own(grown: Grown) -> None:
    with opened(grown) as repo, pickle.loads(pickle.dumps(repo)) as other:  # noqa: S301 - our own
        assert isinstance(other, Repo)
        assert other.refs() == repo.refs()
        assert other.common_dir == repo.common_dir
