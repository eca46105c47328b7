"""Another command in the middle of one: in the end all is as if one had come after the other.

The first command is held up before one of its effects, the other one runs from beginning to end, and the first goes
on with what it knew. That is done at every effect that somebody else could see.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitrelease.core.names import REVIEW, WORKSPACE_PATH
from tests.kit.git import Bench, KeyRing
from tests.kit.kill import Killer
from tests.kit.shop import FIRST_ITEMS, Shop, job_yaml, open_shop
from tests.stories.test_kills import CHANGED, PACKAGE, Prepared, Scene

ORDERS = "jobs/sales/orders.job.yaml"


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What somebody types."""

    who: str
    words: tuple[str, ...]


def _typed(who: str, text: str) -> Typed:
    return Typed(who=who, words=tuple(shlex.split(text)))


def _edited(shop: Shop) -> None:
    shop.person("dev-1").write(CHANGED)
    shop.person("dev-2").write({ORDERS: job_yaml("orders", version=1, script="clean", note="another")})


def _submitted(shop: Shop) -> None:
    _edited(shop)
    shop.person("dev-1").submit(everything=True)
    shop.person("dev-1").write({ORDERS: job_yaml("orders", version=2, script="clean", note="and again")})


def _released(shop: Shop) -> None:
    _submitted(shop)
    shop.person("dev-1").release("job/orders/v2", "script/late/v1", name=PACKAGE)


def _said(shop: Shop) -> None:
    _released(shop)
    shop.person("dep-1").approve(PACKAGE)


def _two_released(shop: Shop) -> None:
    _released(shop)
    shop.person("dev-1").release("job/refunds/v1", name="second")


def _people_released(shop: Shop) -> None:
    """Beside the package there is one that makes a reviewer of it a developer."""
    _released(shop)
    admin = shop.person("adm-1")
    text = (admin.clone.path / WORKSPACE_PATH).read_text(encoding="utf-8")
    others, _, rest = text.partition("id: dep-1\n")
    admin.write({WORKSPACE_PATH: f"{others}id: dep-1\n{rest.replace('deployer', 'developer', 1)}"})
    admin.submit("workspace")
    admin.release("workspace/workspace/v2", name="people")


def _merged(shop: Shop) -> None:
    shop.person("sync").sync()
    _two_released(shop)
    shop.person("dep-1").approve(PACKAGE)


def _merged_alone(shop: Shop) -> None:
    shop.person("sync").sync()
    _said(shop)


def _live(shop: Shop) -> None:
    _merged(shop)
    shop.person("sync").sync()


def _live_and_merged(shop: Shop) -> None:
    _live(shop)
    shop.person("dep-1").approve("second")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two commands, and how far the shop is when both are typed."""

    prepare: Callable[[Shop], None]
    one: Typed
    other: Typed
    by_hand: bool = False

    @property
    def scene(self) -> Scene:
        """The scene in which the first of them is typed."""
        return Scene(who=self.one.who, words=self.one.words, prepare=self.prepare, by_hand=self.by_hand)

    def ordered(self, *, is_swapped: bool) -> tuple[Typed, Typed]:
        """Give the command that is held up, and the one that runs in the middle of it."""
        return (self.other, self.one) if is_swapped else (self.one, self.other)


SUBMIT = _typed("dev-1", "submit --all")
SUBMIT_ORDERS = _typed("dev-1", "submit orders")
SUBMIT_TOO = _typed("dev-2", "submit orders")
SUBMIT_OVER = _typed("dev-2", "submit orders --supersede")
REVOKE_TASK = _typed("dev-1", "task revoke job/orders/v2")
RELEASE = _typed("dev-1", f"release --all --name {PACKAGE}")
RELEASE_SAME_NAME = _typed("dev-2", f"release job/refunds/v1 --name {PACKAGE}")
RELEASE_LATE = _typed("dev-1", "release script/late/v1 --name second")
RELEASE_REFUNDS = _typed("dev-2", "release job/refunds/v1 --name third")
APPROVE = _typed("dep-1", f"package approve {PACKAGE}")
APPROVE_TOO = _typed("dep-2", f"package approve {PACKAGE}")
APPROVE_SECOND = _typed("dep-2", "package approve second")
REJECT = _typed("dep-2", f"package reject {PACKAGE} -m no")
REVOKE = _typed("dev-1", f"package revoke {PACKAGE}")
MERGE = _typed("dep-1", f"package merge {PACKAGE}")
APPROVE_PEOPLE = _typed("adm-2", "package approve people")
SYNC = _typed("sync", "sync")
ROLLBACK = _typed("dep-1", f"rollback {PACKAGE} --name back")
ROLLBACK_TOO = _typed("dep-2", f"rollback {PACKAGE} --name again")

# Left out is who takes a task away, or into another package, while it is released: whether tasks still wait is not
# asked in the same push (`LocalForge.propose`), and the judge stops a package without its tasks.
PAIRS: Mapping[str, Pair] = {
    "submit the same item": Pair(prepare=_edited, one=SUBMIT, other=SUBMIT_TOO),
    "submit and revoke the version before": Pair(prepare=_submitted, one=SUBMIT_ORDERS, other=REVOKE_TASK),
    "release and submit": Pair(prepare=_submitted, one=RELEASE_LATE, other=SUBMIT_OVER),
    "release and release": Pair(prepare=_submitted, one=RELEASE_LATE, other=RELEASE_REFUNDS),
    "release two under one name": Pair(prepare=_submitted, one=RELEASE, other=RELEASE_SAME_NAME),
    "approve and approve": Pair(prepare=_released, one=APPROVE, other=APPROVE_TOO),
    "approve and reject": Pair(prepare=_released, one=APPROVE, other=REJECT),
    "approve and revoke": Pair(prepare=_released, one=APPROVE, other=REVOKE),
    "approve and submit": Pair(prepare=_released, one=APPROVE, other=SUBMIT_ORDERS),
    "approve two packages": Pair(prepare=_two_released, one=APPROVE, other=APPROVE_SECOND),
    "approve and take the right away": Pair(prepare=_people_released, one=APPROVE, other=APPROVE_PEOPLE),
    "reject and revoke": Pair(prepare=_released, one=REJECT, other=REVOKE),
    "merge and reject": Pair(prepare=_said, one=MERGE, other=REJECT, by_hand=True),
    "merge and revoke": Pair(prepare=_said, one=MERGE, other=REVOKE, by_hand=True),
    "sync and submit": Pair(prepare=_merged, one=SYNC, other=SUBMIT_ORDERS),
    "sync and approve": Pair(prepare=_merged, one=SYNC, other=APPROVE_SECOND),
    "sync and release": Pair(prepare=_merged_alone, one=SYNC, other=RELEASE_REFUNDS),
    "sync and roll back": Pair(prepare=_live_and_merged, one=SYNC, other=ROLLBACK),
    "roll back twice": Pair(prepare=_live, one=ROLLBACK, other=ROLLBACK_TOO),
    "roll back and submit": Pair(prepare=_live, one=ROLLBACK, other=SUBMIT_ORDERS),
    "roll back and approve": Pair(prepare=_live, one=ROLLBACK, other=APPROVE_SECOND),
}


def decided(here: Prepared) -> object:
    """Say what came of it all; what was said of a package, and decided nothing, makes no difference."""
    found = here.found()
    packages, tasks = (found["lists"][what]["items"] for what in ("package", "task"))
    return {
        **{what: found[what] for what in ("trees", "archive", "settled", "ledger", "working")},
        "refs": [ref for ref in found["refs"] if not ref.startswith(REVIEW)],
        "packages": [(one["name"], one["status"], len(one["items"])) for one in packages],
        "tasks": [(one["id"], one["state"], one["package"]) for one in tasks],
    }


def program(here: Prepared, typed: Typed) -> Path:
    """Write a program that types a command, and leaves beside it what was said."""
    project = Path(__file__).parent.parent.parent
    environ = {**here.environ_of(typed.who), "PYTHONPATH": str(project)}
    settings = shlex.join(f"{name}={value}" for name, value in environ.items())
    command = shlex.join([sys.executable, "-m", "gitrelease", *typed.words])
    lines = (
        "#!/bin/sh",
        f"cd {shlex.quote(str(here.folder / typed.who))} || exit 1",
        f"env -i {settings} {command} > ../meanwhile.said 2>&1",
        "echo $? > ../meanwhile.code",
    )
    made = here.folder / "meanwhile.sh"
    made.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made.chmod(0o755)
    return made


def play_in_the_middle(start: Prepared, one: Typed, other: Typed, folder: Path) -> None:
    """Type one command, and the other before each of its effects: it is as if one had come after the other."""
    wanted = []
    effects: tuple[str, ...] = ()
    for name, first, second in (("calm", one, other), ("turned", other, one)):
        with start.copied(folder / name) as calm:
            ended = [calm.type(typed.who, typed.words) for typed in (first, second)]
            assert ended[0].code == 0, ended
            assert ended[1].code in {0, 1, 3}, ended
            wanted.append(decided(calm))
            effects = effects or ended[0].effects
    points = [f"{n} before" for n, effect in enumerate(effects, 1) if effect not in OF_THE_CLONE]
    assert points
    for point in points:
        with start.copied(folder / point.replace(" ", "-")) as here:
            ended_one = here.type(one.who, one.words, at=point, meanwhile=program(here, other))
            code, said = ((here.folder / f"meanwhile.{what}").read_text() for what in ("code", "said"))
            assert ended_one.code in {0, 1, 3}, (point, ended_one, said)
            assert code.strip() in {"0", "1", "3"}, (point, ended_one, said)
            assert decided(here) in wanted, (point, effects, ended_one, said)


OF_THE_CLONE = {"update-ref", "symbolic-ref", "update-index", "read-tree", "config", "rename"}
"""Effects that nobody else sees: what happens before one of them may as well happen before the next one."""

NORMALLY = {"merge and reject"}
"""A package is merged, and closed: the worst that two could do at once."""

NAMES = [name if name in NORMALLY else pytest.param(name, marks=pytest.mark.long) for name in PAIRS]


@pytest.mark.parametrize("is_swapped", [False, True], ids=["", "swapped"])
@pytest.mark.parametrize("name", NAMES)
def test_another_command_in_the_middle(name: str, is_swapped: bool, keys: KeyRing, tmp_path: Path) -> None:
    """Whatever the moment, people find what they would if one of the two had waited for the other."""
    pair = PAIRS[name]
    stage = tmp_path / "stage"
    stage.mkdir()
    bench = Bench(folder=stage, keys=keys)
    shop = open_shop(bench, FIRST_ITEMS, auto_merge=not pair.by_hand)
    pair.prepare(shop)
    for who in (pair.one.who, pair.other.who, "view-1"):
        shop.person(who)
    shop.close()
    start = Prepared(
        folder=stage,
        environ=dict(bench.environ),
        root=shop.root,
        killer=Killer(folder=tmp_path / "killer"),
        scene=pair.scene,
    )
    play_in_the_middle(start, *pair.ordered(is_swapped=is_swapped), tmp_path)
