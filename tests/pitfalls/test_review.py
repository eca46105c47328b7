"""Who decides, and on what: policies, vetoes, borrowed approvals, merges past everybody, and rights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import click
import pytest

from gitrelease.cli import root
from gitrelease.commands.review import withdraw
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.server import make_server
from gitrelease.commands.status import status
from gitrelease.commands.verify import verify
from gitrelease.core.names import package_name
from gitrelease.core.review import Verdict
from gitrelease.core.workspace import NotAllowed
from gitrelease.errors import Exit, GitReleaseError, Refused
from tests.kit.git import Bench, KeyRing
from tests.kit.raw import amend, commit_on
from tests.kit.shop import FIRST_ITEMS, Shop, open_shop
from tests.kit.targets import (
    edit,
    merge_by_git,
    merged,
    propose,
    push_to_main,
    receipts,
    tree,
    workspace_merged,
)
from tests.pitfalls.steps import ORDERS, job, nothing_moves, orders, typed

WORKSPACE = "workspace.yaml"


def verdict(shop: Shop, name: str) -> Verdict:
    """Ask how a package stands, as CI does; nothing that is not approved is merged by asking."""
    found = shop.person("view-1").gate(name).verdict
    assert found is not None
    return found


def yeses(shop: Shop, name: str) -> list[str]:
    """Say whose approvals count."""
    return [str(opinion.actor.member) for opinion in verdict(shop, name).approvals]


def deploys_nothing(shop: Shop) -> list[str]:
    """Sync, see that production stays as it is and that this is said with the exit code; give what waits."""
    ledger, target = tree(shop, "production"), tree(shop, "deploy/main")
    result = shop.person("sync").sync()
    assert [one for one in result.packages if str(one.status) == "successful"] == []
    assert result.exit is Exit.REFUSED
    assert (tree(shop, "production"), tree(shop, "deploy/main")) == (ledger, target)
    return [one.name for one in result.waiting]


def entry_of(shop: Shop, who: str) -> str:
    """Give the lines of a member in the workspace that counts."""
    text = shop.server.git("show", f"main:{WORKSPACE}")
    found = re.search(rf"^  - id: {who}\n(?:    .*\n)*", text, re.MULTILINE)
    assert found is not None
    return found[0]


# P3.


def test_p3_whoever_changes_the_policy_is_judged_by_the_policy_before(shop: Shop) -> None:
    """The proposal that makes somebody an approver must not itself be approved by that person."""
    theirs = entry_of(shop, "dev-2")
    edit(shop.person("dev-1"), WORKSPACE, theirs, theirs.replace("developer", "admin"))
    name = propose(shop, {}, WORKSPACE, by="dev-1")
    with pytest.raises(NotAllowed, match="dev-2"):
        shop.person("dev-2").approve(name)
    # A deployer may approve jobs, and not who approves.
    shop.person("dep-1").approve(name)
    assert [reason.code for reason in verdict(shop, name).missing] == ["admin"]
    merge_by_git(shop, name)
    with pytest.raises(NotAllowed, match="dev-2"):
        shop.person("dev-2").approve(name)
    assert deploys_nothing(shop) == [name]
    shop.person("adm-1").approve(name)
    assert shop.person("sync").sync().exit is Exit.DONE
    # From now on it is the policy.
    shop.person("dev-2").approve(other := propose(shop, orders("new"), "orders"))
    assert yeses_of_merged(shop, other) == ["dev-2"]


def yeses_of_merged(shop: Shop, name: str) -> list[str]:
    """Say whose approvals count for a package that is merged and not released yet."""
    (found,) = [one for one in shop.person("view-1").desk.look().merged if one.name == name]
    assert found.judged is not None
    return [str(opinion.actor.member) for opinion in found.judged.verdict.approvals]


def test_p3_a_branch_cannot_bring_the_policy_it_is_judged_by(common: Shop) -> None:
    """Which policy counts is read from what was approved, not from the commit somebody chose to start from."""
    name = propose(common, job("own-base"), "own-base")
    author = common.person("dev-1")
    mine = common.server.git("show", f"main:{WORKSPACE}").replace("roles: [developer]", "roles: [admin]")
    base = commit_on(author, "origin/main", {WORKSPACE: mine + "\n"})
    changed = common.server.git("diff", "--name-only", "main", f"package/{name}").splitlines()
    files = {path: common.server.git("show", f"package/{name}:{path}") + "\n" for path in changed}
    forged = commit_on(author, base, files)
    author.clone.push(f"{forged}:refs/heads/package/{name}", force=True)
    with pytest.raises(NotAllowed, match="dev-2"):
        common.person("dev-2").approve(name)
    with nothing_moves(common), pytest.raises(Refused, match=r"on top of main|start from main"):
        common.person("dep-1").approve(name)


# P4.


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("  approvals: 1", "  approvals: 0", "must be from 1 to 100"),
        ("roles: [admin]", "roles: [viewer]", "nobody could approve a later change"),
        ("  approvals: 1", "  approvals: 9", "9 approvals are asked for, and 5 members may approve"),
        (
            "  autoMerge: true",
            '  required: [{paths: ["jobs/**"], from: []}]\n  autoMerge: true',
            "must not be empty",
        ),
    ],
)
def test_p4_a_policy_that_asks_nobody_is_refused(common: Shop, old: str, new: str, why: str) -> None:
    """Review that is switched off by an empty or impossible policy would let everything through."""
    person = common.person("adm-1")
    text = common.server.git("show", f"main:{WORKSPACE}") + "\n"
    person.write({WORKSPACE: text.replace(old, new)})
    with nothing_moves(common), pytest.raises(Refused, match=why):
        person.submit(WORKSPACE)
    person.write({WORKSPACE: text})


@pytest.fixture
def unattended(bench: Bench) -> Iterator[Shop]:
    """A shop that somehow came to have no approver at all."""
    made = open_shop(bench, FIRST_ITEMS, roles={"dev-1": "developer", "sync": "runner"})
    made.person("sync").sync()
    yield made
    made.close()


def test_p4_where_nobody_may_approve_nothing_goes_live(unattended: Shop) -> None:
    """No approver configured means that nobody can say yes, not that nobody needs to."""
    person = unattended.person("dev-1")
    person.write(orders("new"))
    person.submit("orders")
    with nothing_moves(unattended), pytest.raises(Refused, match="nobody is left"):
        person.release("orders")
    merged_task = unattended.server.tip("submit/job/orders/v2")
    person.clone.push(f"{merged_task}:main")
    assert deploys_nothing(unattended) == []


# P5.


def test_p5_a_no_is_lifted_by_nobody_but_who_said_it(patient: Shop) -> None:
    """Other people's approvals must not outvote a veto, and neither must a new push of the same content."""
    name = propose(patient, orders("new"), "orders")
    for who in ("dep-1", "adm-1"):
        patient.person(who).approve(name)
    patient.person("dep-1").merge(name)
    patient.person("dep-2").reject(name, "wrong currency")
    patient.person("adm-2").approve(name)
    assert deploys_nothing(patient) == [name]
    amend(patient.person("dev-1"), f"package/{name}", {})
    assert deploys_nothing(patient) == [name]
    patient.person("dep-2").approve(name)
    assert [one.name for one in patient.person("sync").sync().packages] == [name]


def test_p5_an_approval_that_was_taken_back_does_not_come_back(patient: Shop) -> None:
    """Neither a rebase, nor a no that is lifted again, revives a yes that its author withdrew."""
    name = propose(patient, orders("new"), "orders")
    reviewer = patient.person("dep-1")
    reviewer.approve(name)
    assert yeses(patient, name) == ["dep-1"]
    withdraw(reviewer.desk, package_name(name))
    amend(patient.person("dev-1"), f"package/{name}", {})
    assert yeses(patient, name) == []
    with nothing_moves(patient), pytest.raises(Refused, match="1 more of 1 approvals"):
        reviewer.merge(name)


def test_p5_a_log_is_not_rewound_to_before_a_yes_was_taken_back(patient: Shop) -> None:
    """Who can push must not bring a dismissed approval back by cutting the dismissal off."""
    make_server(patient.server.path, environ=patient.bench.environ)
    name = propose(patient, orders("new"), "orders")
    reviewer, thief = patient.person("dep-1"), patient.person("dev-1").clone
    reviewer.approve(name)
    yes = patient.server.tip(f"review/{name}")
    withdraw(reviewer.desk, package_name(name))
    thief.git("fetch", "--quiet", "origin")
    with nothing_moves(patient), pytest.raises(AssertionError, match="the push is refused"):
        thief.push(f"{yes}:refs/heads/review/{name}", force=True)
    assert yeses(patient, name) == []


def test_p5_a_package_that_was_rejected_stays_rejected(common: Shop) -> None:
    """Pushing the branch and the log of a closed package again does not open it."""
    name = propose(common, job("closed"), "closed")
    common.person("dep-1").desk.look()
    head = common.server.tip(f"package/{name}")
    common.person("dep-1").reject(name)
    clone = common.person("dev-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.push(f"{head}:refs/heads/package/{name}")
    with nothing_moves(common), pytest.raises(Refused, match="was rejected, and a name is used once"):
        common.person("dep-2").approve(name)


# P8.


def merged_alone(shop: Shop, name: str) -> None:
    """Merge as a platform's button would."""
    merge_by_git(shop, name, by="adm-1")


def moved(shop: Shop, name: str) -> None:
    """Move the main branch to the package itself: no merge commit at all."""
    clone = shop.person("adm-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.push(f"origin/package/{name}:refs/heads/main")


def squashed(shop: Shop, name: str) -> None:
    """Copy what the package holds onto the main branch."""
    clone = shop.person("adm-1").clone
    clone.git("fetch", "--quiet", "origin")
    clone.git("checkout", "--quiet", "--force", "-B", "main", "origin/main")
    clone.git("merge", "--quiet", "--squash", f"origin/package/{name}")
    clone.git("commit", "--quiet", "-S", "-m", f"Merge package {name}\n\nApproved by dep-1, adm-2.")
    clone.push("HEAD:main")


def test_p8_being_on_main_is_no_proof_of_approval(shop: Shop) -> None:
    """An admin who merges past the review, whatever the commit claims, deploys nothing."""
    names = []
    ways: list[Callable[[Shop, str], object]] = [merged_alone, moved, squashed]
    for way in ways:
        names.append(propose(shop, job(way.__name__), way.__name__, name=way.__name__))
        way(shop, names[-1])
    push_to_main(shop, orders("copied"), by="adm-1")
    assert deploys_nothing(shop) == names
    looked = status(shop.person("view-1").desk)
    assert (looked.exit, "job/orders" in map(str, looked.targets[0].unapproved)) == (Exit.REFUSED, True)


# P9.


def test_p9_an_approval_of_one_package_is_none_of_another(common: Shop) -> None:
    """Also not when the other has the very same content, and the log of the first stands beside it."""
    log = approved_log(common, propose(common, job("borrowed"), "borrowed", name="lender"))
    common.person("dev-1").revoke("lender")
    common.person("dev-1").release("borrowed", name="borrower")
    common.server.git("update-ref", "refs/heads/review/borrower", log)
    found = verdict(common, "borrower")
    assert (found.approvals, [reason.code for reason in found.missing]) == ((), ["approvals"])
    assert {one.why for one in found.uncounted} == {"it was said of another package or workspace"}


def approved_log(shop: Shop, name: str) -> str:
    """Let a package be approved without being merged: whoever approves is stopped before the merge."""
    shop.bench.hook(
        shop.server, "pre-receive", 'while read o n ref; do test "$ref" != refs/heads/main || exit 1; done'
    )
    with pytest.raises(GitReleaseError):
        shop.person("dep-1").approve(name)
    (shop.server.path / "hooks" / "pre-receive").unlink()
    return shop.server.tip(f"review/{name}")


def test_p9_what_was_rolled_back_is_not_released_again_by_its_old_approval(shop: Shop) -> None:
    """After a rollback the old branch and its old log, pushed once more, bring nothing back."""
    name = propose(shop, orders("first"), "orders", name="once")
    shop.person("dep-1").approve(name)
    old = {kind: shop.server.tip(f"{kind}/{name}") for kind in ("package", "review")}
    shop.person("sync").sync()
    back = rollback(shop.person("dev-1").desk, RollbackRequest(package=name)).manifest.name
    shop.person("dep-1").approve(back)
    shop.person("sync").sync()
    for kind, id_ in old.items():
        shop.server.git("update-ref", f"refs/heads/{kind}/{name}", id_)
    assert shop.person("dep-1").gate(name).merge is None
    with nothing_moves(shop):
        assert shop.person("dep-1").merge(name).was_merged
    text = shop.server.git("show", f"{old['package']}:{ORDERS}") + "\n"
    push_to_main(shop, {ORDERS: text}, by="adm-1")
    assert deploys_nothing(shop) == []


def test_p9_an_approval_in_one_repository_is_none_in_another(
    bench: Bench, keys: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A copy of the workspace, with the same people and keys, is another place: its trust root is another."""
    elsewhere = Bench(folder=tmp_path_factory.mktemp("elsewhere"), keys=keys)
    elsewhere.clock.forward(hours=1)
    here, there = open_shop(bench, FIRST_ITEMS), open_shop(elsewhere, FIRST_ITEMS)
    assert here.root != there.root
    for shop in (here, there):
        propose(shop, orders("the same"), "orders", name="twin")
    log = approved_log(there, "twin")
    here.server.git("fetch", "--quiet", str(there.server.path), f"{log}:refs/heads/review/twin")
    found = verdict(here, "twin")
    assert (found.approvals, [reason.code for reason in found.missing]) == ((), ["approvals"])
    # Nor does the whole package count here, branch and log and all.
    head = there.server.tip("package/twin")
    here.server.git("fetch", "--quiet", "--force", str(there.server.path), f"{head}:refs/heads/package/twin")
    assert {"foreign", "not-on-main"} & {reason.code for reason in verdict(here, "twin").reasons}
    for shop in (here, there):
        shop.close()


# P33.

LOOKS = {
    "check", "task list", "task view", "package list", "package view", "package diff", "compare", "version list",
    "version diff", "status", "verify", "workspace view", "workspace reviewers", "completion", "pull",
}  # fmt: skip
"""What shows or fetches."""
APART = {"init", "demo"}
"""What makes a repository of one's own."""
NOT_YET = {"doctor", "export", "run"}
"""What this version does not do."""


def commands() -> set[str]:
    """Walk the command line and name every command that can be typed."""

    def walk(command: click.Command, ctx: click.Context, name: str) -> Iterator[str]:
        if not isinstance(command, click.Group):
            yield name
            return
        for word in command.list_commands(ctx):
            found = command.get_command(ctx, word)
            assert found is not None
            yield from walk(found, ctx, f"{name} {word}".strip())

    return set(walk(root, click.Context(root), ""))


CHANGES: dict[str, tuple[str, ...]] = {
    "submit": ("submit", "orders"),
    "task revoke": ("task", "revoke", "waiting"),
    "release": ("release", "waiting"),
    "package approve": ("package", "approve", "opened"),
    "package reject": ("package", "reject", "opened", "-m", "no"),
    "package revoke": ("package", "revoke", "opened"),
    "package merge": ("package", "merge", "opened"),
    "package edit": ("package", "edit", "opened", "--add-reviewer", "adm-2"),
    "rollback": ("rollback", "gone-live"),
    "gate": ("gate", "opened"),
    "sync": ("sync", "--repair", "orders"),
    "import": ("import", ".", "--status", "submitted"),
    "version restore": ("version", "restore", "clean", "1"),
}
"""For every command that changes something: words that would do so for whoever may."""


def test_p33_every_command_is_known_to_these_tests() -> None:
    """A new way in that nobody thought of is how a check is forgotten: it has to be written down here."""
    assert commands() == LOOKS | APART | NOT_YET | set(CHANGES)


@pytest.fixture(scope="module")
def busy(common: Shop) -> Shop:
    """The common shop, with something to do for every command."""
    author = common.person("dev-2")
    merged(common, job("live"), "live", by="dev-2", name="gone-live")
    common.person("sync").sync()
    propose(common, job("under-review"), "under-review", by="dev-2", name="opened")
    author.write(job("waiting"))
    author.submit("waiting")
    return common


@pytest.mark.parametrize("command", [*CHANGES, *sorted(NOT_YET)])
def test_p33_no_way_in_lets_a_stranger_do_anything(busy: Shop, command: str) -> None:
    """Somebody who can push, and is no member, changes nothing on the server by any command."""
    stranger = busy.person("stranger")
    stranger.clone.git("fetch", "--quiet", "origin")
    stranger.write(orders("by a stranger"))
    with nothing_moves(busy):
        ran = typed(stranger, *CHANGES.get(command, (command,)))
    assert "Traceback" not in ran.stderr
    match command:
        case "gate":  # asks for no right, and does only what those who may have decided
            assert ran.returncode == Exit.WAITING
        case "import":
            assert "this version of gitrelease only writes files" in ran.stderr
        case "doctor" | "export" | "run":
            assert f"`gitrelease {command}` is not in this version" in ran.stderr
        case "version restore":  # writes one's own working files, and nothing else
            assert ran.returncode == Exit.DONE
        case _:
            assert (ran.returncode, "no member of the workspace shop" in ran.stderr) == (Exit.REFUSED, True)


# P34.


def test_p34_who_may_not_approve_at_the_merge_has_not_approved(patient: Shop) -> None:
    """An approval is judged by the policy when the package is merged, not by that of when it was given."""
    names = {
        who: propose(patient, job(f"for-{who}"), f"for-{who}", name=who)
        for who in ("dep-1", "dep-2", "dep-3")
    }
    for who, name in names.items():
        patient.person(who).approve(name)
        assert yeses(patient, name) == [who]
    entries = {who: entry_of(patient, who) for who in names}
    keys = patient.bench.keys
    after = {
        "dep-1": "",
        "dep-2": entries["dep-2"].replace("deployer", "viewer"),
        "dep-3": entries["dep-3"].replace(keys("dep-3").public, keys("dep-3 anew").public),
    }
    text = patient.server.git("show", f"main:{WORKSPACE}") + "\n"
    for who, entry in entries.items():
        text = text.replace(entry, after[who])
    change = propose(patient, {WORKSPACE: text}, WORKSPACE, by="adm-1", name="change")
    patient.person("adm-2").approve(change)
    patient.person("adm-2").merge(change)
    for name in names.values():
        assert yeses(patient, name) == []
        with nothing_moves(patient), pytest.raises(Refused, match="1 more of 1 approvals"):
            patient.person("dev-1").merge(name)
        merge_by_git(patient, name)
    result = patient.person("sync").sync()
    assert [one.name for one in result.packages] == [change]
    assert [one.name for one in result.waiting] == list(names.values())


def test_p34_who_may_approve_at_the_merge_has_approved_for_good(shop: Shop) -> None:
    """Whoever leaves after the merge takes no release back, and the receipt says by which policy it was judged."""
    shop.person("dep-2").approve(name := propose(shop, orders("new"), "orders"))
    workspace_merged(shop, entry_of(shop, "dep-2"), "")
    assert [str(one.status) for one in shop.person("sync").sync().packages] == ["successful"] * 2
    (evidence,) = [
        one["evidence"] for one in receipts(shop) if one["event"] == "started" and one.get("package") == name
    ]
    assert "  - id: dep-2\n" in shop.server.git("show", f"{evidence['mainBefore']}:{WORKSPACE}")
    assert verify(shop.person("view-1").desk).ok
