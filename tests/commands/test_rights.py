"""Rights: the table of design 5, asked of `authorize` and of every verb, with every role (pitfall P33)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from gitrelease.commands.compare import compare, package_diff
from gitrelease.commands.review import add_reviewers, withdraw
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.status import status
from gitrelease.commands.verify import verify
from gitrelease.commands.version import versions
from gitrelease.commands.views import (
    PackageFilter,
    Paging,
    TaskFilter,
    list_packages,
    list_tasks,
    view_package,
    view_task,
)
from gitrelease.commands.workspace import reviewers, view
from gitrelease.core.names import MemberId, PackageName, package_name
from gitrelease.core.workspace import Action, Member, NotAllowed, Role, Workspace, authorize
from tests.kit.git import Bench
from tests.kit.raw import push_on
from tests.kit.shop import FIRST_ITEMS, ROLES, Person, Shop, job_yaml, open_shop

D, P, A, O, V, R = "developer", "deployer", "admin", "operator", "viewer", "runner"  # noqa: E741
DAYU, TENANT = "dayu-administrator", "tenant-administrator"
EVERYBODY = {D, P, A, O, V, R, DAYU, TENANT}
ADMINS = {A, DAYU, TENANT}
REVIEWERS = {P, *ADMINS}

# Design 5, row by row. Whoever may revoke anything may revoke what is theirs.
TABLE: Mapping[Action, set[str]] = {
    Action.LOOK: EVERYBODY,
    Action.SUBMIT: {D, *ADMINS},
    Action.RELEASE: {D, *REVIEWERS},
    Action.ROLL_BACK: {D, *REVIEWERS},
    Action.MERGE: {D, *REVIEWERS},
    Action.APPROVE: REVIEWERS,
    Action.REVOKE_OWN: {D, *REVIEWERS},
    Action.REVOKE_ANY: REVIEWERS,
    Action.APPROVE_WORKSPACE: ADMINS,
    Action.SYNC: {R},
}


def test_the_table_names_every_role_and_every_action() -> None:
    assert {role.value for role in Role} == EVERYBODY
    assert set(TABLE) == set(Action)


@pytest.mark.parametrize("role", sorted(EVERYBODY))
@pytest.mark.parametrize("action", Action)
def test_authorize_is_the_table(action: Action, role: str) -> None:
    who = MemberId("somebody")
    member = Member(id=who, roles=frozenset({Role(role)}))
    workspace = Workspace(name="shop", id="6f0c", version=1, members=(member,))
    if role in TABLE[action]:
        authorize(who, action, workspace)
    else:
        with pytest.raises(NotAllowed):
            authorize(who, action, workspace)


@pytest.mark.parametrize("action", Action)
def test_a_stranger_may_only_look(action: Action) -> None:
    workspace = Workspace(name="shop", id="6f0c", version=1, members=())
    for who in (None, MemberId("stranger")):
        if action is Action.LOOK:
            authorize(who, action, workspace)
        else:
            with pytest.raises(NotAllowed):
                authorize(who, action, workspace)


# The same, of the verbs.

PEOPLE = {f"a-{role}": role for role in sorted(EVERYBODY)}
ORDERS = "jobs/sales/orders.job.yaml"


@pytest.fixture
def shop(bench: Bench) -> Iterator[Shop]:
    made = open_shop(bench, FIRST_ITEMS, roles={**ROLES, **PEOPLE})
    yield made
    made.close()


def job_of(person: Person) -> str:
    """Give everybody a job of their own to work on, so that nobody is in another's way."""
    return f"of-{person.id}"


def write(person: Person, by: Person, note: str = "") -> str:
    name = job_of(person)
    by.write({f"jobs/web/{name}.job.yaml": job_yaml(name, note=note)})
    return name


def task_for(shop: Shop, person: Person) -> str:
    """Let a developer submit a job."""
    author = shop.person("dev-1")
    name = write(person, author)
    author.submit(name)
    return name


def package_for(shop: Shop, person: Person) -> PackageName:
    """Let a developer release a job."""
    return shop.person("dev-1").release(task_for(shop, person), name=f"package-{person.id}").manifest.name


def nothing(shop: Shop, person: Person) -> None:
    """Need no preparation."""


def merged_for(shop: Shop, person: Person) -> PackageName:
    name = package_for(shop, person)
    shop.person("dep-1").approve(name)
    return name


def synced_for(shop: Shop, person: Person) -> PackageName:
    name = merged_for(shop, person)
    shop.person("sync").sync()
    return name


def approved_for(shop: Shop, person: Person) -> PackageName:
    """Have a package that is approved and waits for a person to merge it."""
    admin = shop.person("adm-1")
    path = admin.clone.path / "workspace.yaml"
    if "autoMerge: true" in path.read_text():
        admin.write({"workspace.yaml": path.read_text().replace("autoMerge: true", "autoMerge: false")})
        admin.submit("workspace")
        change = admin.release("workspace", name="by-hand").manifest.name
        shop.person("adm-2").approve(change)
    name = package_for(shop, person)
    shop.person("dep-1").approve(name)
    return name


def own_task(shop: Shop, person: Person) -> str:
    """Have a task of the person's own, which raw git lets anybody push."""
    name = job_of(person)
    files = {f"jobs/web/{name}.job.yaml": job_yaml(name, version=1)}
    push_on(person, f"submit/job/{name}/v1", files)
    return name


def own_package(shop: Shop, person: Person) -> PackageName:
    """Have a package of the person's own, if they may release; else there is none to take back."""
    name = task_for(shop, person)
    if PEOPLE[person.id] not in TABLE[Action.RELEASE]:
        return package_name("none")
    return person.release(name, name=f"package-{person.id}").manifest.name


def workspace_change(shop: Shop, person: Person) -> PackageName:
    admin = shop.person("adm-1")
    path = admin.clone.path / "workspace.yaml"
    name = f"workspace-{person.id}"
    admin.write({"workspace.yaml": path.read_text() + f"# seen by {person.id}\n"})
    admin.submit("workspace")
    return admin.release("workspace", name=name).manifest.name


def submit(person: Person, _: Any) -> object:
    return person.submit(write(person, person))


VERBS: Mapping[str, tuple[Action, Callable[[Shop, Person], Any], Callable[[Person, Any], object]]] = {
    "submit": (Action.SUBMIT, nothing, submit),
    "release": (Action.RELEASE, task_for, lambda person, task: person.release(task)),
    "rollback": (
        Action.ROLL_BACK,
        synced_for,
        lambda person, name: rollback(person.desk, RollbackRequest(package=name)),
    ),
    "package merge": (Action.MERGE, approved_for, lambda person, name: person.merge(name)),
    "package approve": (Action.APPROVE, package_for, lambda person, name: person.approve(name)),
    "package reject": (Action.APPROVE, package_for, lambda person, name: person.reject(name)),
    "package reject, merged": (Action.APPROVE, merged_for, lambda person, name: person.reject(name)),
    "package withdraw": (Action.APPROVE, package_for, lambda person, name: withdraw(person.desk, name)),
    "package edit": (
        Action.RELEASE,
        package_for,
        lambda person, name: add_reviewers(person.desk, name, ["dep-2"]),
    ),
    "package revoke": (Action.REVOKE_ANY, package_for, lambda person, name: person.revoke(name)),
    "package revoke, own": (Action.REVOKE_OWN, own_package, lambda person, name: person.revoke(name)),
    "task revoke": (Action.REVOKE_ANY, task_for, lambda person, task: revoke_tasks(person.desk, [task])),
    "task revoke, own": (Action.REVOKE_OWN, own_task, lambda person, task: revoke_tasks(person.desk, [task])),
    "sync": (Action.SYNC, nothing, lambda person, _: person.sync()),
    "sync --repair": (Action.SYNC, nothing, lambda person, _: person.sync(repair=("orders",))),
    "sync --dry-run": (Action.SYNC, nothing, lambda person, _: person.sync(dry_run=True)),
}


MUCH_LIKE_OTHERS = {"package reject, merged", "package revoke, own", "package withdraw", "rollback"}
"""Rejecting is asked of every role before the merge, revoking for any; withdrawing is as approving, and going back as
releasing."""


@pytest.mark.parametrize(
    "verb",
    [pytest.param(verb, marks=pytest.mark.long) if verb in MUCH_LIKE_OTHERS else verb for verb in VERBS],
)
def test_a_verb_lets_in_whom_the_table_names(shop: Shop, verb: str) -> None:
    action, prepare, act = VERBS[verb]
    for who, role in sorted(PEOPLE.items(), key=lambda one: one[1] in TABLE[action]):
        person = shop.person(who)
        prepared = prepare(shop, person)
        before = shop.refs()
        if role in TABLE[action]:
            act(person, prepared)
            continue
        if verb == "package revoke, own":
            prepared = package_for_others(shop)
            before = shop.refs()
        with pytest.raises(NotAllowed):
            act(person, prepared)
        assert shop.refs() == before, (verb, role)


def package_for_others(shop: Shop) -> PackageName:
    """Give a package that is there, whoever made it."""
    author = shop.person("dev-2")
    author.write({ORDERS: job_yaml("orders", version=1, script="clean", note="theirs")})
    author.submit("orders")
    return author.release("orders", name="theirs").manifest.name


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_lets_no_stranger_in(shop: Shop, verb: str) -> None:
    _, prepare, act = VERBS[verb]
    known = shop.person("a-developer")
    prepared = prepare(shop, known)
    stranger = shop.person("stranger")
    before = shop.refs()
    with pytest.raises(NotAllowed):
        act(stranger, prepared)
    assert shop.refs() == before


def test_an_administrators_approval_carries_a_change_of_the_workspace(shop: Shop) -> None:
    for who, role in sorted(PEOPLE.items(), key=lambda one: one[1] in ADMINS):
        person = shop.person(who)
        if role not in REVIEWERS:
            continue
        name = workspace_change(shop, person)
        done = person.approve(name).merged
        assert done is not None
        assert (done.merge is not None) is (role in TABLE[Action.APPROVE_WORKSPACE]), role
        if done.merge is None:
            shop.person("adm-2").approve(name)


VIEWS: Mapping[str, Callable[[Person], object]] = {
    "task list": lambda person: list_tasks(person.desk, TaskFilter(), Paging()),
    "task view": lambda person: view_task(person.desk, "open"),
    "package list": lambda person: list_packages(person.desk, PackageFilter(), Paging()),
    "package view": lambda person: view_package(person.desk, package_name("one")),
    "package diff": lambda person: package_diff(person.desk, package_name("one")),
    "compare": lambda person: compare(person.desk, before=package_name("one"), after=package_name("two")),
    "version list": lambda person: versions(person.desk, "orders"),
    "status": lambda person: status(person.desk),
    "workspace view": lambda person: view(person.desk),
    "workspace reviewers": lambda person: reviewers(person.desk),
    "verify": lambda person: verify(person.desk),
}


def test_everybody_may_look_and_looking_moves_nothing(shop: Shop) -> None:
    for name in ("one", "two"):
        author = shop.person("dev-1")
        author.write({ORDERS: job_yaml("orders", script="clean", note=name)})
        author.submit("orders")
        shop.person("dep-1").approve(author.release("orders", name=name).manifest.name)
        shop.person("sync").sync()
        author.clone.git("fetch", "--quiet")
    author.write({"jobs/open.job.yaml": job_yaml("open")})
    author.submit("open")
    before = shop.refs()
    for who in (*PEOPLE, "stranger"):
        for look in VIEWS.values():
            look(shop.person(who))
    assert shop.refs() == before
