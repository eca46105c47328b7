"""What every forge promises: it records who did what to exactly which content, and judges none of it.

One suite, run on each forge; another one joins by a line in `FORGES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import pytest

from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import (
    BlobId,
    CommitId,
    MemberId,
    PackageName,
    TreeId,
    branch,
    package_name,
    package_ref,
)
from gitrelease.core.package import Proposed, manifest_document
from gitrelease.core.review import Review, Say
from gitrelease.documents import dump
from gitrelease.errors import RaceLost
from gitrelease.forges import Statement, Words
from gitrelease.reading.situation import with_package
from tests.github.fixtures import github
from tests.github.use_shop import open_hub_shop
from tests.kit.git import Bench
from tests.kit.raw import amend, push_on
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop

ORDERS = "jobs/sales/orders.job.yaml"
NEW = "jobs/web/new.job.yaml"
FIRST = package_name("first")


@contextmanager
def on_plain_git(bench: Bench) -> Iterator[Shop]:
    made = open_shop(bench, FIRST_ITEMS)
    yield made
    made.close()


@contextmanager
def on_github(bench: Bench) -> Iterator[Shop]:
    with github(bench.folder / "github") as hub:
        made = open_hub_shop(bench, hub)
        yield made
        made.close()


FORGES: Mapping[ForgeKind, Callable[[Bench], AbstractContextManager[Shop]]] = {
    ForgeKind.LOCAL: on_plain_git,
    ForgeKind.GITHUB: on_github,
}


@pytest.fixture(params=FORGES)
def shop(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Shop]:
    with FORGES[request.param](bench) as made:
        yield made


def kind(shop: Shop) -> ForgeKind:
    """Say which forge a shop is on."""
    return shop.person("dev-1").desk.forge.kind


def proposal(person: Person, name: str = "first", files: Mapping[str, str] | None = None) -> Proposed:
    """Make the commit of a package, which no ref knows yet."""
    files = files or {ORDERS: job_yaml("orders", version=1, script="clean", note=name)}
    person.write(files)
    tasks = [str(one.task) for one in person.submit(*files).items]
    manifest = person.release(*tasks, name=name, dry_run=True).manifest
    now, repo = person.desk.look(), person.repo
    blob = repo.write_blob(dump(manifest_document(manifest)))
    tree = with_package(repo, repo.tree_of(now.main), manifest.difference(blob))
    head = person.desk.pen.commit(repo, tree=tree, parents=(now.main,), message="Release\n")
    return Proposed(manifest=manifest, manifest_id=BlobId(blob), head=head)


def words() -> Words:
    return Words(title="Release", body="of something")


def proposed(shop: Shop, name: str = "first", files: Mapping[str, str] | None = None) -> Proposed:
    """Let a developer put a package up for review."""
    person = shop.person("dev-1")
    made = proposal(person, name, files)
    person.desk.forge.propose(made, made.head, None, words)
    return made


def seen(person: Person, name: PackageName = FIRST) -> Review:
    """Give the review as somebody finds it now."""
    now = person.desk.look()
    found = person.desk.forge.find(name, now.workspace)
    assert found is not None
    return found


def statement(
    shop: Shop, made: Proposed, say: Say, message: str = "", asks: tuple[str, ...] = ()
) -> Statement:
    return Statement(
        say=say,
        workspace=made.manifest.workspace,
        root=shop.root,
        manifest=made.manifest_id,
        message=message,
        asks=tuple(MemberId(who) for who in asks),
    )


def speak(
    shop: Shop, who: str, made: Proposed, say: Say, message: str = "", asks: tuple[str, ...] = ()
) -> None:
    person = shop.person(who)
    person.desk.forge.say(seen(person, made.manifest.name), statement(shop, made, say, message, asks))


def merge(person: Person, made: Proposed) -> CommitId:
    now = person.desk.look()
    tree = person.repo.merge_trees(now.main, made.head)
    assert isinstance(tree, str)
    review = seen(person, made.manifest.name)
    return person.desk.forge.merge(
        review, into=branch("main"), main=now.main, tree=TreeId(tree), message="Merge\n"
    )


# Who.


def test_whoever_is_at_the_keyboard_is_a_member_by_id(shop: Shop) -> None:
    for who in ("dev-1", "view-1", "sync"):
        actor = shop.person(who).desk.forge.whoami(shop.person(who).desk.look().workspace)
        assert (actor.member, actor.person.id, actor.doubt) == (who, who, None)


def test_a_stranger_is_nobody_with_a_reason(shop: Shop) -> None:
    desk = shop.person("stranger").desk
    actor = desk.forge.whoami(desk.look().workspace)
    assert (actor.member, actor.person.id) == (None, None)
    assert actor.doubt is not None


def test_who_made_each_branch(shop: Shop) -> None:
    one = push_on(shop.person("dev-1"), "submit/job/one/v1", {"jobs/one.job.yaml": job_yaml("one")})
    two = push_on(shop.person("dev-2"), "submit/job/two/v1", {"jobs/two.job.yaml": job_yaml("two")})
    desk = shop.person("dep-1").desk
    from_refs = desk.look().refs
    wanted = {ref: CommitId(from_refs[ref]) for ref in from_refs if ref.startswith("refs/heads/submit/")}
    found = desk.forge.authors(wanted, desk.look().workspace)
    assert sorted(wanted.values()) == sorted([one, two])
    assert {ref: [actor.member for actor in actors] for ref, actors in found.items()} == {
        "refs/heads/submit/job/one/v1": ["dev-1"],
        "refs/heads/submit/job/two/v1": ["dev-2"],
    }
    assert desk.forge.authors({}, desk.look().workspace) == {}


# Proposing.


def test_before_anything_is_proposed_there_is_nothing(shop: Shop) -> None:
    desk = shop.person("dev-1").desk
    workspace = desk.look().workspace
    assert (desk.forge.find(FIRST, workspace), list(desk.forge.reviews(workspace))) == (None, [])


def test_what_is_proposed_has_a_branch_and_an_open_review(shop: Shop) -> None:
    made = proposed(shop)
    assert shop.refs()["refs/heads/package/first"] == made.head
    review = seen(shop.person("dep-1"))
    assert (
        review.package,
        review.head,
        [actor.member for actor in review.authors],
        review.opinions,
        review.is_open,
        review.is_draft,
        review.fault,
        review.asked,
    ) == ("first", made.head, ["dev-1"], (), True, False, None, ())


def test_a_name_is_taken_by_who_proposes_first(shop: Shop) -> None:
    made = proposed(shop)
    other = shop.person("dev-2")
    second = proposal(other, "second", {NEW: job_yaml("new")})
    second = replace(second, manifest=replace(second.manifest, name=FIRST))
    with pytest.raises(RaceLost):
        other.desk.forge.propose(second, second.head, None, words)
    assert shop.refs()["refs/heads/package/first"] == made.head


def test_proposing_again_completes_and_makes_no_second_review(shop: Shop) -> None:
    made = proposed(shop)
    person = shop.person("dev-1")
    before = shop.refs()
    person.desk.look()
    person.desk.forge.propose(made, made.head, made.head, words)
    assert shop.refs() == before
    assert [review.package for review in person.desk.forge.reviews(person.desk.look().workspace)] == ["first"]


def test_all_reviews_in_one_answer_are_what_each_is(shop: Shop) -> None:
    made = [proposed(shop), proposed(shop, "second", {NEW: job_yaml("new")})]
    speak(shop, "dep-1", made[1], Say.APPROVE)
    desk = shop.person("adm-1").desk
    workspace = desk.look().workspace
    everything = {review.package: review for review in desk.forge.reviews(workspace)}
    assert everything == {one.manifest.name: desk.forge.find(one.manifest.name, workspace) for one in made}


# Saying.


WITHDRAWN_BY = {ForgeKind.LOCAL: None, ForgeKind.GITHUB: "dep-1"}
"""Plain git keeps what somebody took back as it was; GitHub dismisses it, and says in whose name."""


def test_what_is_said_is_recorded_in_order_with_who_and_of_what(shop: Shop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.REJECT, "the queue is wrong\n\n订单 \u202e `x`")
    speak(shop, "dev-1", made, Say.ASK, asks=("ops-1", "view-1"))
    speak(shop, "dep-1", made, Say.WITHDRAW)
    speak(shop, "adm-1", made, Say.APPROVE, "fine")
    review = seen(shop.person("view-1"))
    assert [
        (one.actor.member, one.say, one.message, one.head, one.manifest, one.asks) for one in review.opinions
    ] == [
        ("dep-1", Say.REJECT, "the queue is wrong\n\n订单 \u202e `x`", made.head, made.manifest_id, ()),
        ("dev-1", Say.ASK, "", made.head, made.manifest_id, ("ops-1", "view-1")),
        ("dep-1", Say.WITHDRAW, "", made.head, made.manifest_id, ()),
        ("adm-1", Say.APPROVE, "fine", made.head, made.manifest_id, ()),
    ]
    dismissed = [None if one.dismissed_by is None else one.dismissed_by.member for one in review.opinions]
    assert dismissed == [WITHDRAWN_BY[kind(shop)], None, None, None]
    assert (review.asked, review.is_open) == (("ops-1", "view-1"), True)
    assert len({one.id for one in review.opinions}) == 4


def test_saying_something_moves_neither_the_head_nor_main(shop: Shop) -> None:
    made = proposed(shop)
    main = shop.refs()["refs/heads/main"]
    speak(shop, "dep-1", made, Say.APPROVE)
    assert (shop.refs()["refs/heads/package/first"], shop.refs()["refs/heads/main"]) == (made.head, main)


IN_ONE_LOG: Mapping[ForgeKind, Callable[[], AbstractContextManager[object]]] = {
    ForgeKind.LOCAL: lambda: pytest.raises(RaceLost),
    ForgeKind.GITHUB: nullcontext,
}
"""On plain git an opinion names the one before it, so whoever is second looks again; reviews stand side by side."""


def test_two_who_speak_at_once_are_both_heard(shop: Shop) -> None:
    made = proposed(shop)
    one, two = shop.person("dep-1"), shop.person("dep-2")
    as_two_saw_it = seen(two)
    speak(shop, "dep-1", made, Say.APPROVE)
    with IN_ONE_LOG[kind(shop)]():
        two.desk.forge.say(as_two_saw_it, statement(shop, made, Say.REJECT))
    # Said again, it is said once.
    two.desk.forge.say(seen(two), statement(shop, made, Say.REJECT))
    assert [(opinion.actor.member, opinion.say) for opinion in seen(one).opinions] == [
        ("dep-1", Say.APPROVE),
        ("dep-2", Say.REJECT),
    ]


def test_an_opinion_stays_with_the_content_it_was_given_to(shop: Shop) -> None:
    made = proposed(shop)
    speak(shop, "dep-1", made, Say.APPROVE)
    changed = replace(made.manifest, description="something else")
    head = amend(shop.person("dev-1"), "package/first", {changed.path: dump(manifest_document(changed))})
    review = seen(shop.person("adm-1"))
    assert (review.head, [(one.head, one.manifest) for one in review.opinions]) == (
        head,
        [(made.head, made.manifest_id)],
    )


def test_opinions_of_one_package_are_not_those_of_another(shop: Shop) -> None:
    first, second = proposed(shop), proposed(shop, "second", {NEW: job_yaml("new")})
    speak(shop, "dep-1", first, Say.APPROVE)
    assert seen(shop.person("dep-1"), second.manifest.name).opinions == ()


def test_whoever_pushed_other_content_is_an_author(shop: Shop) -> None:
    made = proposed(shop)
    changed = replace(made.manifest, description="something else")
    files = {changed.path: dump(manifest_document(changed))}
    amend(shop.person("dev-2"), "package/first", files, "--reset-author")
    assert "dev-2" in [actor.member for actor in seen(shop.person("dep-1")).authors]


PUSHED_THE_SAME = {ForgeKind.LOCAL: ["dev-2"], ForgeKind.GITHUB: ["dev-1"]}
"""On plain git the head is one person's commit; GitHub knows who pushed what before it, and who changed nothing."""


def test_whoever_pushed_what_nobody_reviews(shop: Shop) -> None:
    proposed(shop)
    amend(shop.person("dev-2"), "package/first", {"README.md": "more"}, "--reset-author")
    authors = [actor.member for actor in seen(shop.person("dep-1")).authors]
    assert authors == PUSHED_THE_SAME[kind(shop)]


def test_nothing_is_said_of_a_package_that_was_closed_this_moment(shop: Shop) -> None:
    made = proposed(shop)
    late = shop.person("dep-2")
    as_late_saw_it = seen(late)
    shop.person("dep-1").reject("first", "no")
    before = shop.refs()
    with pytest.raises(RaceLost):
        late.desk.forge.say(as_late_saw_it, statement(shop, made, Say.APPROVE))
    assert shop.refs() == before


# Merging.


def test_a_merge_puts_exactly_the_head_on_exactly_main(shop: Shop) -> None:
    made = proposed(shop)
    before = shop.refs()["refs/heads/main"]
    commit = merge(shop.person("dep-1"), made)
    assert shop.refs()["refs/heads/main"] == commit
    assert shop.server.git("rev-parse", f"{commit}^1") == before
    assert shop.server.git("rev-parse", f"{commit}^{{tree}}") == shop.server.git(
        "rev-parse", f"{made.head}^{{tree}}"
    )


def test_a_merge_is_refused_when_main_has_moved(shop: Shop) -> None:
    first, second = proposed(shop), proposed(shop, "second", {NEW: job_yaml("new")})
    person = shop.person("dep-1")
    now = person.desk.look()
    review = seen(person)
    tree = person.repo.merge_trees(now.main, first.head)
    moved = merge(shop.person("dep-2"), second)
    with pytest.raises(RaceLost):
        person.desk.forge.merge(
            review, into=branch("main"), main=now.main, tree=TreeId(str(tree)), message="Merge\n"
        )
    assert shop.refs()["refs/heads/main"] == moved


def test_nothing_that_came_after_the_review_is_merged_with_it(shop: Shop) -> None:
    made = proposed(shop)
    person = shop.person("dep-1")
    now = person.desk.look()
    review = seen(person)
    tree = person.repo.merge_trees(now.main, made.head)
    amend(shop.person("dev-1"), "package/first", {"README.md": "more"})
    try:
        person.desk.forge.merge(
            review, into=branch("main"), main=now.main, tree=TreeId(str(tree)), message="Merge\n"
        )
    except RaceLost:
        assert shop.refs()["refs/heads/main"] == now.main
    else:
        assert "README.md" not in shop.server.git("ls-tree", "--name-only", "main").splitlines()


# What becomes of the branch.


def test_a_package_without_a_branch_has_no_review(shop: Shop) -> None:
    made = proposed(shop)
    shop.person("dev-1").clone.git("push", "--quiet", "origin", f":{package_ref(made.manifest.name)}")
    desk = shop.person("dep-1").desk
    workspace = desk.look().workspace
    assert (desk.forge.find(FIRST, workspace), list(desk.forge.reviews(workspace))) == (None, [])


def test_a_branch_with_a_name_that_is_none_is_no_package(shop: Shop) -> None:
    push_on(shop.person("dev-1"), "package/a;b", {"README.md": "x"})
    push_on(shop.person("dev-1"), "package/a/b", {"README.md": "x"})
    desk = shop.person("dep-1").desk
    assert list(desk.forge.reviews(desk.look().workspace)) == []
