"""Pull requests that people close on GitHub: the package is settled once, nothing is lost, and nothing comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gitrelease.commands.closing import ClosedThere
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.sync import SyncResult
from gitrelease.commands.verify import verify
from gitrelease.commands.views import (
    PackageFilter,
    Paging,
    TaskFilter,
    list_packages,
    list_tasks,
    view_package,
)
from gitrelease.core.archive import ArchiveEntry, Settlement
from gitrelease.core.names import ARCHIVE, CommitId, manifest_path, package_name
from gitrelease.core.package import Proposed
from gitrelease.core.pull_request import parse_pull_request
from gitrelease.errors import Refused
from tests.contracts.test_forge import proposed
from tests.contracts.test_github_reading import answer, moved_on, pull
from tests.github import pulls
from tests.github.faults import Run, html
from tests.github.fixtures import github
from tests.github.use_shop import HubShop, open_hub_shop
from tests.kit.git import Bench
from tests.kit.shop import job_yaml

FIRST = package_name("first")
BRANCH = "refs/heads/package/first"


@pytest.fixture
def shop(tmp_path: Path, bench: Bench) -> Iterator[HubShop]:
    """A shop on GitHub, whose runner alone signs."""
    with github(tmp_path / "github") as hub:
        made = open_hub_shop(bench, hub)
        yield made
        made.close()


def close(shop: HubShop, who: str, number: int = 1) -> None:
    """Close a pull request in the browser."""
    with shop.hub.server.acting() as state:
        pulls.close(state, pull(shop, number), state.account(who).id)


def drop_branch(shop: HubShop, who: str, branch: str = BRANCH) -> None:
    """Delete a branch in the browser."""
    with shop.hub.server.acting() as state:
        tip = shop.refs()[branch]
        state.bare(shop.repo).drop(branch)
        pulls.moved(state, shop.repo, branch, tip, "0" * 40, state.account(who).id)


def restore_branch(shop: HubShop, who: str, commit: str, branch: str = BRANCH) -> None:
    """Bring a branch back in the browser."""
    with shop.hub.server.acting() as state:
        state.bare(shop.repo).move(branch, commit)
        pulls.moved(state, shop.repo, branch, "0" * 40, commit, state.account(who).id)


def reopen(shop: HubShop, who: str) -> None:
    """Open the pull request again in the browser."""
    with shop.hub.server.acting() as state:
        pulls.reopen(state, pull(shop), state.account(who).id)


def settled(shop: HubShop) -> list[ArchiveEntry]:
    """List the entries of the archive, the older first."""
    now = shop.person("view-1").desk.look()
    return [entry for _, entry in reversed(now.archive.entries())]


def kept(shop: HubShop, commit: CommitId) -> bool:
    """Say whether the archive keeps a commit."""
    ran = shop.server.git("log", "--format=%H", ARCHIVE)
    return commit in ran.split()


def synced(shop: HubShop) -> SyncResult:
    return shop.fresh("sync").sync()


def outcomes(result: SyncResult) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.name, str(one.status), one.reasons) for one in result.packages]


def states(shop: HubShop) -> list[str]:
    """Say where the tasks stand."""
    found, _ = list_tasks(shop.person("view-1").desk, TaskFilter(), Paging())
    return [str(one.state) for one in found.items]


def is_whole(shop: HubShop) -> bool:
    """Say whether everything holds by what a clone alone knows."""
    viewer = shop.fresh("view-1")
    viewer.desk.look()
    since = len(shop.hub.server.requests)
    result = verify(viewer.desk)
    assert shop.asked(since) == []
    assert result.broken == ()
    return result.ok


# By whom.


def test_closed_by_its_applicant_is_revoked_and_by_a_reviewer_rejected(shop: HubShop) -> None:
    first, second = proposed(shop), proposed(shop, "second", {"jobs/web/new.job.yaml": job_yaml("new")})
    close(shop, "dev-1")
    close(shop, "dep-2", 2)
    listed = list_packages(shop.fresh("view-1").desk, PackageFilter(), Paging(sort="name")).items
    assert [(one.status, one.missing) for one in listed] == [("revoked", ()), ("rejected", ())]
    assert states(shop) == ["in-review"] * 2
    refs = shop.refs()
    would = shop.fresh("sync").sync(dry_run=True)
    assert ([str(one.status) for one in would.packages], shop.refs()) == (["revoked", "rejected"], refs)
    result = synced(shop)
    assert outcomes(result) == outcomes(would)
    assert outcomes(result) == [
        ("first", "revoked", (f"dev-1 closed {listed[0].url}",)),
        ("second", "rejected", (f"dep-2 closed {listed[1].url}",)),
    ]
    assert (result.exit, result.notes, states(shop)) == (0, (), ["pending"] * 2)
    shown = [one.body for one in shop.hub.server.state.comments.values()]
    assert ["taken back" in text for text in shown] == [True, False]
    assert ["was rejected" in text for text in shown] == [False, True]
    entries = settled(shop)
    assert [(one.by, one.package, one.settlement, one.head) for one in entries] == [
        ("sync", "first", Settlement.REVOKED, first.head),
        ("sync", "second", Settlement.REJECTED, second.head),
    ]
    assert [ref for ref in shop.refs() if ref.startswith("refs/heads/package/")] == []
    by = parse_pull_request(entries[1].recorded).closed_by
    assert by is not None
    assert by.id == shop.account("dep-2")
    # Another event, a lost one or a second runner finds nothing to do.
    archive = shop.refs()[ARCHIVE]
    assert synced(shop).packages == ()
    assert shop.refs()[ARCHIVE] == archive
    assert [one.status for one in list_packages(shop.person("view-1").desk, PackageFilter(), Paging()).items]
    assert is_whole(shop)
    # The tasks go on in another package, and the name is used.
    dev = shop.person("dev-1")
    with pytest.raises(Refused):
        dev.release("new", name="first")
    assert dev.release("new", name="third").manifest.name == "third"


@pytest.mark.long
@pytest.mark.parametrize(
    ("who", "settlement", "words"),
    [
        ("dev-2", "rejected", "dev-2 closed "),  # may write to the repository, and not reject here
        ("stranger", "rejected", "stranger, who is no member, closed "),
        ("github-actions", "rejected", "github-actions, who is no member, closed "),
    ],
)
def test_whoever_github_lets_close_closes(shop: HubShop, who: str, settlement: str, words: str) -> None:
    proposed(shop)
    close(shop, shop.hub.server.state.actions.login if who == "github-actions" else who)
    ((_, status, (why,)),) = outcomes(synced(shop))
    assert (status, why.startswith(words)) == (settlement, True), why
    assert is_whole(shop)


@pytest.mark.long
def test_closed_by_an_account_that_is_gone(shop: HubShop) -> None:
    proposed(shop)
    close(shop, "dev-1")
    shop.hub.server.state.delete_account("dev-1")
    ((_, status, (why,)),) = outcomes(synced(shop))
    assert (status, why.partition(" closed ")[0]) == ("rejected", "an account that is gone")
    assert is_whole(shop)


@pytest.mark.long
def test_closed_twice_is_as_it_was_closed_last(shop: HubShop) -> None:
    proposed(shop)
    close(shop, "dep-1")
    reopen(shop, "dev-1")
    assert synced(shop).packages == ()
    close(shop, "dev-1")
    assert [status for _, status, _ in outcomes(synced(shop))] == ["revoked"]


# What becomes of the branch.


def test_a_branch_that_was_deleted_in_the_browser_is_kept(shop: HubShop) -> None:
    made = proposed(shop)
    drop_branch(shop, "dep-1")
    assert states(shop) == ["pending"]
    assert view_package(shop.person("view-1").desk, FIRST).status == "rejected"
    assert [status for _, status, _ in outcomes(synced(shop))] == ["rejected"]
    assert kept(shop, made.head)
    assert synced(shop).packages == ()
    assert is_whole(shop)
    # Brought back, and opened again, it still cannot be released; closed again, it gives its tasks back again.
    restore_branch(shop, "dev-1", made.head)
    reopen(shop, "dev-1")
    shop.hub.review(pull(shop), "dep-1")
    verdict = shop.fresh("dep-2").gate("first").verdict
    assert verdict is not None
    assert verdict.reasons[0].message == "first was rejected, and a name is used once"
    client = shop.person("adm-2").client
    client.put(client.repo("pulls/1/merge"), {"sha": made.head}, doing="merge it")
    result = synced(shop)
    assert (result.packages, [one.name for one in result.waiting]) == ((), ["first"])


@pytest.mark.long
def test_what_was_pushed_after_the_closing_is_kept_as_well(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dev-1")
    later = moved_on(shop, made, amend=True)
    assert [status for _, status, _ in outcomes(synced(shop))] == ["revoked"]
    assert BRANCH not in shop.refs()
    assert kept(shop, made.head)
    assert kept(shop, later)
    assert is_whole(shop)


@pytest.mark.long
def test_a_branch_that_is_brought_back_and_stays_closed_is_put_away_again(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dep-1")
    synced(shop)
    restore_branch(shop, "dev-1", made.head)
    assert states(shop) == ["pending"]
    assert [status for _, status, _ in outcomes(synced(shop))] == ["rejected"]
    assert (states(shop), BRANCH in shop.refs(), is_whole(shop)) == (["pending"], False, True)


def test_what_was_reviewed_before_it_was_pushed_away_is_kept(shop: HubShop) -> None:
    made = proposed(shop)
    shop.hub.review(pull(shop), "dep-1")
    later = moved_on(shop, made, amend=True)
    close(shop, "dep-1")
    synced(shop)
    assert kept(shop, made.head)
    assert kept(shop, later)
    assert is_whole(shop)


# Races.


@pytest.mark.long
def test_opened_again_before_it_is_settled(shop: HubShop) -> None:
    proposed(shop)
    close(shop, "dep-1")
    shop.hub.server.faults.add("graphql", Run(lambda: reopen(shop, "dev-1")), skip=1)
    assert synced(shop).packages == ()
    assert (BRANCH in shop.refs(), states(shop), settled(shop)) == (True, ["in-review"], [])


def test_opened_again_while_it_is_settled(shop: HubShop) -> None:
    """GitHub closes it once more, as its branch is gone; people are told why."""
    made = proposed(shop)
    close(shop, "dep-1")
    shop.hub.server.faults.add("git/push", Run(lambda: reopen(shop, "dev-1")))
    with suppress(ClosedThere):
        shop.person("adm-1").gate("first")
    assert (pull(shop).state, kept(shop, made.head), states(shop)) == ("closed", True, ["pending"])
    comments = [one.body for one in shop.hub.server.state.comments.values()]
    assert "**`first` was rejected; its tasks await release again.**" in comments[-1]
    assert synced(shop).packages == ()
    with pytest.raises(Refused, match="first is rejected"):
        shop.fresh("adm-1").gate("first")


@pytest.mark.long
def test_pushed_to_while_it_is_settled(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dep-1")
    shop.hub.server.faults.add("git/push", Run(lambda: moved_on(shop, made)))
    assert [status for _, status, _ in outcomes(synced(shop))] == ["rejected"]
    assert BRANCH not in shop.refs()
    assert [one.head == made.head for one in settled(shop)] == [True, False]


@pytest.mark.long
def test_what_was_merged_is_not_closed(shop: HubShop) -> None:
    made = proposed(shop)
    shop.hub.review(pull(shop), "dep-1")
    client = shop.person("adm-2").client
    client.put(client.repo("pulls/1/merge"), {"sha": made.head}, doing="merge it")
    assert pull(shop).state == "closed"
    with suppress(Refused):
        shop.person("dep-1").reject("first")
    assert settled(shop) == []


@pytest.mark.long
def test_two_runners_settle_once(shop: HubShop) -> None:
    proposed(shop)
    close(shop, "dep-1")
    shop.hub.server.faults.add("git/push", Run(lambda: shop.person("sync-2").sync()))
    assert synced(shop).packages == ()
    assert [one.by for one in settled(shop)] == ["sync-2"]


# Whose pull request.


@pytest.mark.long
def test_no_other_pull_request_settles_ours(shop: HubShop) -> None:
    made: Proposed = proposed(shop)
    fork = shop.hub.fork(shop.repo, "stranger")
    shop.hub.open(shop.repo, "stranger", "stranger:package/first")
    close(shop, "stranger", 2)
    main = shop.refs()["refs/heads/main"]
    shop.hub.push(shop.repo, "dev-2", "dev", {"README.md": "x\n"}, onto=main)
    shop.hub.open(shop.repo, "dev-2", "package/first", base="dev")
    close(shop, "dev-2", 3)
    assert fork.fork_of == shop.repo.id
    assert (synced(shop).packages, shop.refs()[BRANCH]) == ((), made.head)


@pytest.mark.long
def test_what_strangers_close_hides_nothing(shop: HubShop) -> None:
    made = proposed(shop)
    shop.hub.fork(shop.repo, "stranger")
    close(shop, "dep-1")
    drop_branch(shop, "dep-1")
    for _ in range(51):
        other = shop.hub.open(shop.repo, "stranger", "stranger:package/first")
        with shop.hub.server.acting() as state:
            pulls.close(state, state.pulls[other.id], state.account("stranger").id)
    assert [status for _, status, _ in outcomes(synced(shop))] == ["rejected"]
    assert kept(shop, made.head)


def push_copy(shop: HubShop, made: Proposed, who: str, name: str) -> None:
    """Push a package once more, under its name in other letters."""
    text = shop.server.git("show", f"{made.head}:{made.manifest.path}")
    copy = text.replace("name: first", f"name: {name}").replace("applicant: dev-1", f"applicant: {who}")
    shop.hub.push(shop.repo, who, f"package/{name}", {manifest_path(package_name(name)): copy})


def test_a_closed_copy_in_other_letters_ends_no_package(shop: HubShop) -> None:
    """Names are used once, however they are spelled, and anybody who may write can push and close a copy."""
    made = proposed(shop)
    push_copy(shop, made, "stranger", "FIRST")
    close(shop, "stranger", shop.hub.open(shop.repo, "stranger", "package/FIRST").number)
    assert synced(shop).packages == ()
    drop_branch(shop, "stranger", "refs/heads/package/FIRST")
    shop.hub.review(pull(shop), "dep-1")
    assert shop.fresh("adm-1").gate("first").merge is not None
    push_copy(shop, made, "dev-2", "First")  # who may release; but what is merged goes on
    with pytest.raises(Refused, match="First is the name of another package in other letters"):
        shop.person("dev-2").revoke("First")
    close(shop, "dev-2", shop.hub.open(shop.repo, "dev-2", "package/First").number)
    with suppress(ClosedThere):
        shop.fresh("adm-1").gate("First")
    assert outcomes(synced(shop)) == [("first", "successful", ())]
    assert [(entry.package, entry.settlement) for entry in settled(shop)] == [("first", Settlement.RELEASED)]
    assert is_whole(shop)


def test_a_closed_copy_of_what_was_settled_breaks_nothing(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dep-1")
    synced(shop)
    push_copy(shop, made, "stranger", "FIRST")
    close(shop, "stranger", shop.hub.open(shop.repo, "stranger", "package/FIRST").number)
    assert synced(shop).notes == ()
    push_copy(shop, made, "dev-2", "First")
    shop.hub.open(shop.repo, "dev-2", "package/First")
    shop.fresh("dev-2").revoke("First")
    assert [(entry.package, entry.settlement) for entry in settled(shop)] == [
        ("first", Settlement.REJECTED),
        ("FIRST", Settlement.REJECTED),
        ("First", Settlement.REJECTED),
    ]
    assert view_package(shop.fresh("view-1").desk, FIRST).status == "rejected"
    assert is_whole(shop)


@pytest.mark.long
def test_what_was_retargeted_and_closed_is_taken_back_by_its_applicant(shop: HubShop) -> None:
    proposed(shop)
    main = shop.refs()["refs/heads/main"]
    shop.hub.push(shop.repo, "dev-2", "dev", {"README.md": "x\n"}, onto=main)
    with shop.hub.server.acting() as state:
        pulls.change_base(state, pull(shop), state.account("dev-2").id, "dev")
    close(shop, "dev-2")
    result = synced(shop)
    assert (result.packages, result.notes, BRANCH in shop.refs()) == ((), (), True)
    shop.person("dev-1").revoke("first")
    assert (states(shop), is_whole(shop)) == (["pending"], True)


@pytest.mark.long
def test_a_branch_that_is_no_package_is_left_alone(shop: HubShop) -> None:
    shop.hub.push(shop.repo, "dev-1", "package/none", {"README.md": "x\n"})
    shop.hub.open(shop.repo, "dev-1", "package/none")
    close(shop, "dev-1")
    result = synced(shop)
    assert (result.packages, result.notes) == ((), ())
    assert "refs/heads/package/none" in shop.refs()


# Who settles.


def test_people_settle_it_with_their_own_words(shop: HubShop) -> None:
    proposed(shop)
    close(shop, "dev-1")
    with pytest.raises(ClosedThere, match="first is revoked: dev-1 closed "):
        shop.person("dep-1").approve("first")
    with pytest.raises(Refused, match="first is revoked"):
        shop.person("dep-2").reject("first")
    said = shop.person("dev-1").revoke("first")
    assert (said.was_said, [(one.by, one.settlement) for one in settled(shop)]) == (
        True,
        [("dep-2", Settlement.REVOKED)],
    )
    assert is_whole(shop)


@pytest.mark.long
def test_what_the_token_of_a_workflow_finds_closed_it_tells_and_leaves_to_sync(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dep-1")
    gate = shop.fresh("ops-1")
    gate.token = shop.hub.actions_token(shop.repo, contents="write", pull_requests="write", statuses="write")
    gate.clone.git("config", "user.email", "nobody@example.org")
    with pytest.raises(ClosedThere):
        gate.gate("first")
    assert (settled(shop), shop.refs()[BRANCH]) == ([], made.head)
    assert [one.body for one in shop.hub.server.state.comments.values()]
    assert [status for _, status, _ in outcomes(synced(shop))] == ["rejected"]


# What fails.


def test_what_cannot_be_seen_of_closings_fails_no_sync_and_is_said(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dep-1")
    shop.hub.server.faults.add("graphql", html(503), times=999)
    result = synced(shop)
    assert (result.exit, len(result.notes), shop.refs()[BRANCH]) == (0, 1, made.head)
    shop.hub.server.faults.clear()
    assert [status for _, status, _ in outcomes(synced(shop))] == ["rejected"]


def test_what_nobody_knows_the_state_of_is_not_settled(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dep-1")
    asleep = answer([], 0, headRefOid=made.head, state="ASLEEP")
    shop.hub.server.faults.add("graphql", asleep, skip=1)
    result = synced(shop)
    assert (result.packages, shop.refs()[BRANCH]) == ((), made.head)
    assert result.notes[0].endswith("the pull request of first is ASLEEP, which nobody knows here")


# What it costs.


@pytest.mark.long
def test_requests_of_a_sync_that_finds_nothing_closed(shop: HubShop) -> None:
    sync = shop.fresh("sync")
    since = len(shop.hub.server.requests)
    sync.sync()
    assert shop.asked(since).count("graphql") == 1
    since = len(shop.hub.server.requests)
    sync.sync()
    assert shop.asked(since) == []
    proposed(shop)
    since = len(shop.hub.server.requests)
    sync.sync()
    assert shop.asked(since) == ["graphql"]


# What a clone checks of it.


@pytest.mark.parametrize("lie", ["somebody else", "open"])
@pytest.mark.long
def test_a_settlement_that_the_record_does_not_bear_out(shop: HubShop, lie: str) -> None:
    proposed(shop)
    close(shop, "dep-1")
    sync = shop.person("sync")
    sync.sync()
    now = sync.desk.look()
    ((commit, entry),) = now.archive.entries()
    record = dict(entry.recorded)
    record |= {"open": True} if lie == "open" else {"closedBy": {**record["openedBy"]}}  # type: ignore[dict-item]
    before = replace(now.archive, tip=commit.parents[0])
    outcome = now.archive.outcome(FIRST)
    forged = before.extended(sync.desk.pen, replace(entry, recorded=record), outcome=outcome)
    sync.clone.push(f"{forged}:{ARCHIVE}", force=True)
    viewer = shop.fresh("view-1")
    with suppress(Refused):
        viewer.desk.look()
    (broken,) = verify(viewer.desk).broken
    assert broken.why.startswith(
        f"entry {forged:.7} says that first was rejected, and the pull request 1 was "
    )


# What came back.


def test_what_was_settled_comes_back_is_merged_and_put_back_keeps_no_task(shop: HubShop) -> None:
    made = proposed(shop)
    close(shop, "dep-1")
    synced(shop)
    restore_branch(shop, "dev-1", made.head)
    assert states(shop) == ["pending"]  # it cannot go live any more, so it keeps nothing
    reopen(shop, "dev-1")
    client = shop.person("adm-2").client
    client.put(client.repo("pulls/1/merge"), {"sha": made.head}, doing="merge it")
    assert [one.name for one in synced(shop).waiting] == ["first"]
    back = rollback(shop.person("adm-1").desk, RollbackRequest(unapproved=True)).manifest.name
    for who in ("dep-1", "adm-2"):
        with suppress(Refused):
            shop.person(who).approve(back)
    assert [one.name for one in synced(shop).packages] == [back, "first"]
    assert (states(shop), BRANCH in shop.refs(), is_whole(shop)) == (["pending"], False, True)
    dev = shop.person("dev-1")
    assert dev.release("orders", name="second").manifest.name == "second"


def test_what_was_merged_past_everybody_and_put_back_is_settled(shop: HubShop) -> None:
    made = proposed(shop)
    client = shop.person("adm-2").client
    client.put(client.repo("pulls/1/merge"), {"sha": made.head}, doing="merge it")
    assert [one.name for one in synced(shop).waiting] == ["first"]
    assert settled(shop) == []
    back = rollback(shop.person("adm-1").desk, RollbackRequest(unapproved=True)).manifest.name
    with suppress(Refused):
        shop.person("dep-1").approve(back)
    shop.fresh("adm-2").gate(back)
    viewer = shop.fresh("view-1").desk
    assert view_package(viewer, FIRST).status == "merged"
    assert [str(one.status) for one in synced(shop).packages] == ["successful", "rejected"]
    why = settled(shop)[-1].message
    assert why.endswith("/pull/1 was merged, and is in the main branch no more")
    assert view_package(shop.fresh("view-1").desk, FIRST).status == "rejected"
    assert (states(shop), BRANCH in shop.refs(), kept(shop, made.head)) == (["pending"], False, True)
    assert is_whole(shop)


def test_what_was_closed_is_not_opened_anew_by_releasing_again(shop: HubShop) -> None:
    dev = shop.person("dev-1")
    dev.write({"jobs/web/load.job.yaml": job_yaml("load")})
    dev.submit("jobs/web/load.job.yaml")
    dev.release("load", name="first")
    close(shop, "dep-1")
    with pytest.raises(ClosedThere, match="first is rejected: dep-1 closed "):
        shop.fresh("dev-1").release("load", name="first")
    assert len(shop.hub.server.state.pulls) == 1
    synced(shop)
    assert shop.fresh("dev-1").release("load", name="second").manifest.name == "second"


# How many strangers may open.


def test_what_strangers_open_and_close_lengthens_nothing(shop: HubShop) -> None:
    made = proposed(shop)
    shop.hub.fork(shop.repo, "stranger")
    for _ in range(21):
        other = shop.hub.open(shop.repo, "stranger", "stranger:package/first")
        with shop.hub.server.acting() as state:
            pulls.close(state, state.pulls[other.id], state.account("stranger").id)
    viewer = shop.fresh("view-1")
    since = len(shop.hub.server.requests)
    viewer.desk.look()
    found = viewer.desk.forge.find(FIRST, viewer.desk.situation().workspace)
    assert found is not None
    assert (found.head, found.is_open) == (made.head, True)
    asked = [operation for operation in shop.asked(since) if operation in {"graphql", "pulls/list"}]
    assert asked == ["graphql", "pulls/list", "graphql"]
    shop.hub.review(pull(shop), "dep-1")
    assert shop.fresh("dep-2").gate("first").merge is not None
