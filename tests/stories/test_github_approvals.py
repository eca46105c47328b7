"""Who has approved: histories of one pull request, made up at random, and a small model that says whose word counts.

The model is written from what GitHub records and what a release needs, not from the program. Of each review it says
that it counts, that it must not, or nothing where the record leaves it open; the same of each no.

    python -m tests.stories.test_github_approvals --examples 500 --seed 7
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random
from shutil import rmtree

from gitrelease.core.names import package_name
from gitrelease.core.package import Proposed, manifest_document
from gitrelease.core.pull_request import parse_pull_request, review_of
from gitrelease.core.review import Say, Verdict
from gitrelease.documents import dump
from gitrelease.reading.judging import judge_branch
from gitrelease.reading.packages import content_of
from tests.contracts.test_forge import proposed
from tests.github import pulls, reviews
from tests.github.bare import Person
from tests.github.fixtures import github, tree_of
from tests.github.merging import Wish, merge, update_branch
from tests.github.protecting import Actor
from tests.github.pulls import RefusedError
from tests.github.state import NOWHERE, Protection, Pull, Repo, Restamp, Review, Role, State
from tests.github.use_shop import HubShop, open_hub_shop
from tests.kit.git import Bench, Clock, KeyRing
from tests.kit.shop import ROLES

EXAMPLES = 12
STEPS = 14
SEED = 1
FIRST = package_name("first")
BRANCH = "package/first"
REF = f"refs/heads/{BRANCH}"

APPROVERS = ("dep-1", "dep-2", "adm-1", "adm-2")
PUSHERS = ("dev-1", "dev-1", "dev-2", "dep-1", "adm-1")
SPEAKERS = (*APPROVERS, *APPROVERS, *APPROVERS, "dev-1", "dev-2", "view-1", "stranger", "github-actions[bot]")


# What happened, as the model knows it.


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Somebody moved the branch of the package; `content` is None where they deleted it."""

    by: int
    at: datetime
    content: str | None


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a commit holds: which content of the package, and whether nothing else."""

    content: str
    is_clean: bool


@dataclass(kw_only=True)
class Said:
    """Somebody approved what a page showed them, or asked for changes."""

    id: int
    by: int
    is_yes: bool
    at: datetime
    pull: int
    page: str
    """What the page showed."""
    is_late: bool
    """Whether the branch held another commit than the page showed, as it also may after the merge."""
    was_closed: bool
    dismissed_by: int | None = None
    is_restamped: bool = False


@dataclass(kw_only=True)
class Past:
    """All that the model goes by."""

    roles: dict[int, str]
    """What members are, by the number of their account."""
    opener: int
    pull: int
    moves: list[Moved] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    retargeted: list[datetime] = field(default_factory=list)
    writers: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    is_to_main: bool = True
    is_clean: bool = True
    """Whether the head holds nothing but the package."""
    is_told: bool = True
    """Whether GitHub says who merged it, if it was merged."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What must be and what may be, by the number of the review; what is in neither must not be."""

    must_count: frozenset[int]
    may_count: frozenset[int]
    must_block: frozenset[int]
    may_block: frozenset[int]
    is_sound: bool
    """Whether nothing is wrong with the package itself."""


def expected(past: Past) -> Expected:
    """Say whose word counts."""
    authors = _authors(past)
    must: dict[str, set[int]] = {"count": set(), "block": set()}
    may: dict[str, set[int]] = {"count": set(), "block": set()}
    for by in {said.by for said in past.said}:
        if past.roles.get(by) not in {"deployer", "admin"} or by in past.gone:
            continue
        words = [said for said in past.said if said.by == by]
        last = words[-1]
        if last.is_yes:
            if by not in authors and (counts := _counts(past, last)) is not False:
                may["count"].add(last.id)
                if counts:
                    must["count"].add(last.id)
            if last.id not in must["count"]:
                # Whoever asked for changes before and approved since in a way that is worth nothing: left open.
                may["block"] |= {said.id for said in words if not said.is_yes}
            continue
        lifter = last.dismissed_by
        is_lifted = lifter == by or (
            past.roles.get(lifter or 0) == "admin" and lifter not in authors | past.gone
        )
        if is_lifted and lifter != by:
            may["block"] |= {said.id for said in words[:-1] if not said.is_yes}
        if is_lifted:
            continue
        may["block"].add(last.id)
        if by not in authors:
            must["block"].add(last.id)
    return Expected(
        must_count=frozenset(must["count"]),
        may_count=frozenset(may["count"]),
        must_block=frozenset(must["block"]),
        may_block=frozenset(may["block"]),
        is_sound=_is_sound(past, authors),
    )


def _authors(past: Past) -> set[int]:
    """Name who opened it, and who pushed what was not there just before."""
    found, held = {past.opener}, None
    for move in past.moves:
        if move.content is not None and move.content != held:
            found.add(move.by)
        held = move.content
    return found


def _counts(past: Past, said: Said) -> bool | None:
    """Say whether a yes counts that is its author's last word; None where the record leaves it open."""
    now = past.moves[-1].content
    before = [move for move in past.moves if move.at < said.at]
    held = before[-1].content if before else None
    if said.dismissed_by is not None or said.by not in past.writers or said.pull != past.pull:
        return False
    if held != now or any(move.at == said.at for move in past.moves):
        return False
    if any(at >= said.at for at in past.retargeted):
        return False
    if said.page != now:
        # What GitHub noted of the page is gone once it is stamped anew.
        return None if said.is_restamped and not said.was_closed else False
    return None if said.is_restamped or said.was_closed or said.is_late else True


def _is_sound(past: Past, authors: set[int]) -> bool:
    has_authors = not authors & past.gone and authors <= past.roles.keys()
    is_there = past.moves[-1].content is not None
    return past.is_to_main and past.is_clean and past.is_told and is_there and has_authors


# How it happens.


class History:
    """One history on a GitHub, step by step."""

    def __init__(self, shop: HubShop, made: Proposed, draw: Random) -> None:
        self.shop = shop
        self.made = made
        self.draw = draw
        self.log: list[str] = []
        self.state = shop.hub.server.state
        self.bare = self.state.bare(shop.repo)
        self.held = {str(made.head): Held(content="A", is_clean=True)}
        """What each commit holds that the branch had."""
        self.state.switches.restamp = draw.choice(list(Restamp))
        rule = Protection(pull_request=False, dismiss_stale=True)
        self.state.change_repo(shop.repo, protections={"main": rule} if draw.random() < 0.2 else {})
        (pull,) = self.state.pulls.values()
        self.number = pull.id
        first = next(one for one in self.state.activity if one.ref == REF)
        members = {self.account(who): role for who, role in ROLES.items()}
        self.past = Past(roles=members, opener=pull.author, pull=pull.id)
        self.past.moves.append(Moved(by=first.actor, at=first.at, content="A"))

    @property
    def repo(self) -> Repo:
        """The repository as it is now."""
        return self.state.repos[self.shop.repo.id]

    @property
    def pull(self) -> Pull:
        """The pull request that stands for the package now."""
        return self.state.pulls[self.number]

    @property
    def is_merged(self) -> bool:
        """Whether it was merged; what becomes of its branch after that is no part of it."""
        return self.pull.merged_at is not None

    def account(self, who: str) -> int:
        """Give the number of whoever has a name now."""
        return self.state.account(who).id

    @contextmanager
    def acting(self, *words: object) -> Iterator[State]:
        """Do something, perhaps within the second of what was before."""
        is_same_second = self.draw.random() < 0.1
        with self.shop.hub.server.lock:
            self.state.now = self.state.now if is_same_second else self.state.clock()
            before = len(self.log)
            with suppress(RefusedError):
                yield self.state
                self.log.insert(before, f"{self.state.now:%H:%M:%S} {' '.join(map(str, words))}")

    def step(self) -> None:
        """Let something happen."""
        self.draw.choice(
            [self.review] * 8
            + [self.dismiss] * 3
            + [self.push] * 3
            + [self.push_main, self.update, self.retarget, self.close_or_open, self.change_role]
            + [self.rename, self.delete_account, self.ask, self.open_another, self.go_on_while_closed]
        )()

    # What people say.

    def review(self) -> None:
        """Let somebody say something of what is there, or of a page they opened before."""
        who = self.draw.choice(SPEAKERS)
        by = self.account(who)
        if by in self.past.gone or self.state.role(by, self.repo) < Role.READ:
            return
        event = self.draw.choice(["APPROVE", "APPROVE", "APPROVE", "REQUEST_CHANGES", "COMMENT"])
        page = None
        if self.draw.random() < 0.15:
            page = self.draw.choice([one for one in self.held if self.bare.contains(self.pull.head_sha, one)])
        with self.acting(who, event, page or "") as state:
            begun = next(
                (one for one in state.reviews_of(self.pull) if (one.user, one.state) == (by, "PENDING")), None
            )
            if begun is not None:
                self.say(reviews.submit_review(state, self.pull, begun, event, "so"))
            elif self.draw.random() < 0.1:
                reviews.give_review(state, self.pull, by, None, body="so", commit=page)
            else:
                self.say(reviews.give_review(state, self.pull, by, event, body="so", commit=page))

    def say(self, made: Review) -> None:
        """Note what was said."""
        if made.state == "COMMENTED" or made.submitted_at is None:
            return
        self.past.said.append(
            Said(
                id=made.id,
                by=made.user,
                is_yes=made.state == "APPROVED",
                at=made.submitted_at,
                pull=made.pull,
                page=self.held[made.given_to].content,
                is_late=made.given_to != self.bare.tip(BRANCH),
                was_closed=self.pull.state == "closed" and not self.is_merged,
            )
        )

    def dismiss(self) -> None:
        """Let somebody dismiss what they or others said."""
        standing = [
            one for one in self.state.reviews.values() if one.state in {"APPROVED", "CHANGES_REQUESTED"}
        ]
        if not standing:
            return
        given = self.draw.choice(standing)
        owner = self.state.accounts[given.user].login
        who = self.draw.choice([owner, owner, "dev-1", "adm-1", "adm-2", "dep-2", "dev-2"])
        if self.is_writer(who):
            with self.acting(who, "dismisses", given.id, "by", owner) as state:
                reviews.dismiss(state, state.pulls[given.pull], given, self.account(who), "no")

    def ask(self) -> None:
        """Ask somebody for their review."""
        who = self.draw.choice(APPROVERS)
        with self.acting("dev-1 asks", who) as state:
            reviews.request_reviewers(state, self.repo, self.pull, self.account("dev-1"), [who], [])

    # What is pushed.

    def push(self, how: str | None = None) -> None:
        """Let somebody move the branch of the package to something, or delete it."""
        who = self.draw.choice(PUSHERS)
        how = how or self.draw.choice(["A", "A", "B", "C", "A+", "delete", "back"])
        if not self.is_writer(who) or (how == "delete" and self.draw.random() < 0.5):
            return
        with self.acting(who, "pushes", how):
            if how == "delete":
                self.move(who, None)
            elif how == "back":
                self.move(who, self.draw.choice(list(self.held)))
            else:
                self.move(who, self.commit(who, how))

    def commit(self, who: str, how: str) -> str:
        """Make a commit: of the package as it was, as another one, or with more than it says."""
        author = Person(name=who, email=f"{who}@example.org", at=self.state.now)
        main, tip = self.bare.tip("main"), self.bare.tip(BRANCH)
        assert main is not None
        manifest = self.made.manifest
        plan = manifest if how[0] == "A" else replace(manifest, description=f"as {how}")
        files: dict[str, str | None] = {
            manifest.path: dump(manifest_document(plan)).decode(),
            "extra.txt": "more\n" if how == "A+" else None,
            "dev.txt": None,
        }
        # On top of main, or of what is there: then pages of what was there are good for a review.
        onto = tip if tip is not None and self.draw.random() < 0.4 else self.made.head
        onto = main if self.is_merged else onto
        tree = self.bare.merged_tree(main, onto)
        assert tree is not None
        parents = [main] if onto in {self.made.head, main} else [tip or main, main]
        base = self.bare.write(tree, parents, "Release", author=author, committer=author)
        tree = tree_of(self.bare.git, base, files)
        made = self.bare.write(tree, parents, "Release", author=author, committer=author)
        self.held[made] = Held(content=how[0], is_clean=how != "A+")
        return made

    def move(self, who: str, commit: str | None) -> None:
        """Move the branch, or delete it."""
        tip = self.bare.tip(BRANCH)
        if tip == commit:
            return
        if commit is None:
            self.bare.drop(REF)
        else:
            self.bare.move(REF, commit)
        pulls.moved(self.state, self.repo, REF, tip or NOWHERE, commit or NOWHERE, self.account(who))
        if self.is_merged:
            return
        content = None if commit is None else self.held[commit].content
        self.past.moves.append(Moved(by=self.account(who), at=self.state.now, content=content))

    def push_main(self) -> None:
        """Let somebody push to the main branch, elsewhere."""
        self.log.append("main moves")
        self.shop.hub.push(self.repo, "dev-2", "main", {"README.md": f"{self.draw.random()}\n"})

    def update(self) -> None:
        """Bring the branch up to date by the button of the pull request."""
        tip = self.bare.tip(BRANCH)
        if tip is None or not self.is_writer("adm-2"):
            return
        by = self.account("adm-2")
        with self.acting("adm-2 updates the branch") as state:
            update_branch(state, self.repo, self.pull, Actor(account=by, role=Role.WRITE), None)
            made = self.bare.tip(BRANCH) or ""
            is_clean = self.held[tip].is_clean and self.pull.base_ref == "main"
            self.held[made] = replace(self.held[tip], is_clean=is_clean)
            self.past.moves.append(Moved(by=by, at=state.now, content=self.held[made].content))

    # What becomes of the pull request.

    def retarget(self) -> None:
        """Send the pull request to another branch, or back; GitHub may do that by itself."""
        base = "dev" if self.pull.base_ref == "main" else "main"
        is_automatic = base == "main" and self.draw.random() < 0.5
        if self.pull.state == "open":
            with self.acting("turned to", base, "by itself" if is_automatic else "") as state:
                pulls.change_base(state, self.pull, self.account("dev-2"), base, is_automatic=is_automatic)
                self.past.retargeted.append(state.now)

    def close_or_open(self) -> None:
        """Close the pull request, or open it again."""
        if self.pull.state == "closed":
            self.reopen()
        else:
            with self.acting("closed") as state:
                pulls.close(state, self.pull, self.account("dev-2"))

    def reopen(self) -> None:
        """Open the pull request again."""
        with self.acting("opened again") as state:
            pulls.reopen(state, self.pull, self.account("dev-2"))

    def go_on_while_closed(self) -> None:
        """Close the pull request, go on with its branch, and open it again."""
        what = self.draw.choice("ABC")
        self.close_or_open()
        self.push(what)
        self.review()
        self.review()
        self.close_or_open()
        self.push(what)

    def open_another(self) -> None:
        """Open another pull request, which takes the place of the first."""
        who = self.draw.choice(["dev-1", "dep-2"])
        if self.is_writer(who) and self.bare.tip(BRANCH) is not None:
            with self.acting(who, "opens another") as state:
                offer = pulls.Offer(head=BRANCH, base="main", title="x")
                made = pulls.open_pull(state, self.repo, self.account(who), offer)
                self.number = made.id
                self.past.opener, self.past.pull, self.past.retargeted = made.author, made.id, []

    # Who people are.

    def is_writer(self, who: str) -> bool:
        """Say whether somebody is there and may write."""
        account = self.state.find_account(who)
        return account is not None and self.state.role(account.id, self.repo) >= Role.WRITE

    def change_role(self) -> None:
        """Give somebody another role on GitHub."""
        who = self.draw.choice((*APPROVERS, "dev-2"))
        role = self.draw.choice([Role.READ, Role.TRIAGE, Role.WRITE, Role.MAINTAIN, Role.ADMIN])
        self.log.append(f"{who} gets {role.name}")
        self.state.change_repo(self.repo, roles={**self.repo.roles, self.account(who): role})

    def rename(self) -> None:
        """Give somebody another name, and their name to somebody else."""
        who = self.draw.choice(APPROVERS)
        old = self.state.find_account(who)
        if old is not None and old.id in self.past.roles:
            self.log.append(f"{who} is called otherwise, and somebody else {who}")
            self.state.accounts[old.id] = replace(old, login=f"{who}-{old.id}")
            self.state.change_repo(self.repo, roles={**self.repo.roles, self.account(who): Role.WRITE})

    def delete_account(self) -> None:
        """Delete somebody's account."""
        who = self.draw.choice((*APPROVERS, "dev-2"))
        old = self.state.find_account(who)
        if old is not None and self.draw.random() < 0.5:
            self.log.append(f"the account {who} is deleted")
            self.past.gone.add(old.id)
            self.state.delete_account(who)

    def merge(self) -> None:
        """Let an admin merge it as it is, and people go on."""
        who = Actor(account=self.account("adm-1"), role=Role.ADMIN)
        with self.acting("merged") as state:
            merge(state, self.repo, self.pull, who, Wish())
        late = [self.review] * 4 + [
            self.dismiss,
            self.push,
            self.change_role,
            self.rename,
            self.delete_account,
        ]
        for _ in range(self.draw.randint(0, 4)):
            self.draw.choice(late)()

    # What comes of it.

    def end(self) -> None:
        """Let the pull request be open and its branch be there, and note what the model asks for."""
        if self.bare.tip(BRANCH) is None:
            with self.acting("dev-1 pushes A"):
                self.move("dev-1", self.commit("dev-1", "A"))
        if self.pull.state == "closed":
            self.reopen()
        if self.pull.base_ref != "main" and self.draw.random() < 0.8:
            self.retarget()
        if self.pull.base_ref == "main" and self.draw.random() < 0.3:
            self.merge()
        self.past.writers = {by for by in self.state.accounts if self.state.role(by, self.repo) >= Role.WRITE}
        self.past.is_to_main = self.pull.base_ref == "main"
        self.past.is_clean = self.held[self.pull.head_sha].is_clean
        # Of a merge by nobody GitHub does not say that it was one.
        self.past.is_told = not self.is_merged or self.pull.merged_by not in self.past.gone
        gone = {one.data["review"]: one.actor for one in self.state.events if one.kind == "review_dismissed"}
        for said in self.past.said:
            given = self.state.reviews[said.id]
            said.is_restamped = given.commit != given.given_to
            said.dismissed_by = gone.get(said.id)

    def verdict(self) -> Verdict:
        """Ask the program; what it writes down as evidence says the same to whoever reads it later."""
        person = self.shop.fresh("view-1")
        now = person.desk.look()
        if self.is_merged:
            (merged,) = now.merged
            assert merged.judged is not None
            review, verdict = merged.judged.review, merged.judged.verdict
        else:
            review = person.desk.forge.find(FIRST, now.workspace)
            assert review is not None
            verdict = judge_branch(person.repo, person.desk.forge, now.ground, review).verdict
        assert review is not None
        kept = json.loads(json.dumps(person.desk.forge.record(review, {})))
        again = review_of(
            parse_pull_request(kept), now.workspace, main="main", content=partial(content_of, person.repo)
        )
        said = tuple(one for one in review.opinions if one.say is not Say.ASK)
        assert (again.authors, again.opinions) == (review.authors, said)
        return verdict

    def compare(self) -> str:
        """Compare what the program says with the model; give what came of it in one word."""
        self.end()
        want, got = expected(self.past), self.verdict()
        counted = {int(one.id.split(":")[1]) for one in got.approvals}
        blocking = {int(one.id.split(":")[1]) for one in got.vetoes}
        told = "\n".join(
            [
                *self.log,
                f"restamp {self.state.switches.restamp.name}",
                f"{want}",
                f"counted {counted}, blocking {blocking}",
            ]
            + [str(one) for one in (*got.reasons, *got.missing)]
            + [f"{one.opinion.id} {one.opinion.say} {one.why}" for one in got.uncounted]
        )
        assert counted <= want.may_count, f"{counted - want.may_count} must not count:\n{told}"
        assert counted >= want.must_count, f"{want.must_count - counted} must count:\n{told}"
        assert blocking >= want.must_block, f"{want.must_block - blocking} must block:\n{told}"
        assert blocking <= want.may_block, f"{blocking - want.may_block} must not block:\n{told}"
        is_yes = bool(counted) and not blocking
        assert got.is_approved is (is_yes and want.is_sound), f"approved {got.is_approved}:\n{told}"
        return "approved" if got.is_approved else "blocked" if blocking else "waiting"


@dataclass
class Stage:
    """A shop with one package, which every history begins with anew."""

    shop: HubShop
    made: Proposed

    def __post_init__(self) -> None:
        state = self.shop.hub.server.state
        main = state.bare(self.shop.repo).tip("main")
        assert main is not None
        self.shop.hub.push(self.shop.repo, "dev-2", "dev", {"dev.txt": "x\n"}, onto=main)
        state.change_repo(self.shop.repo, actions_may_approve=True)
        self.kept = {name: value for name, value in vars(state).items() if name not in {"folder", "clock"}}
        self.kept = deepcopy(self.kept)
        self.refs = state.bare(self.shop.repo).refs()
        self.main = self.refs.pop("refs/heads/main")

    def history(self, draw: Random) -> History:
        """Begin anew."""
        state = self.shop.hub.server.state
        with self.shop.hub.server.lock:
            if any(pull.merged_at for pull in state.pulls.values()):
                self._take_back()
            now = state.now
            for name, value in deepcopy(self.kept).items():
                setattr(state, name, value)
            state.now = now
            bare = state.bare(self.shop.repo)
            there = bare.refs()
            lines = [f"update {ref} {id_}" for ref, id_ in self.refs.items() if there.get(ref) != id_]
            lines += [f"delete {ref}" for ref in there.keys() - self.refs.keys() - {"refs/heads/main"}]
            if lines:
                bare.git("update-ref", "--stdin", stdin="\n".join(lines) + "\n")
        return History(self.shop, self.made, draw)

    def _take_back(self) -> None:
        """Undo a merge; clones would notice."""
        bare = self.shop.hub.server.state.bare(self.shop.repo)
        bare.move("refs/heads/main", self.main)
        if person := self.shop.people.pop("view-1", None):
            person.repo.close()
            rmtree(person.clone.path)


@contextmanager
def staged(bench: Bench) -> Iterator[Stage]:
    """Have a stage for a while."""
    with github(bench.folder / "github") as hub:
        shop = open_hub_shop(bench, hub, signatures="off", auto_merge=False)
        yield Stage(shop=shop, made=proposed(shop))
        shop.close()


def tell(
    stage: Stage, *, examples: int, number: int, failed: Callable[[str], None] | None = None
) -> Counter[str]:
    """Tell histories, and compare each."""
    tally: Counter[str] = Counter()
    for example in range(examples):
        history = stage.history(Random(f"{number}:{example}"))  # noqa: S311
        for _ in range(history.draw.randint(3, STEPS)):
            history.step()
        try:
            tally[history.compare()] += 1
        except AssertionError as wrong:
            if failed is None:
                raise AssertionError(f"seed {number}, history {example}: {wrong}") from wrong
            failed(f"seed {number}, history {example}: {wrong}")
            tally["wrong"] += 1
    return tally


def test_the_program_counts_whom_the_model_counts(bench: Bench) -> None:
    with staged(bench) as stage:
        tally = tell(stage, examples=EXAMPLES, number=SEED)
    assert tally["approved"] and tally["blocked"]


def main() -> None:
    """Tell histories for as long as one wants."""
    parser = argparse.ArgumentParser(description="Compare who has approved with a model of it.")
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="approvals-") as folder:
        place = Path(folder)
        (place / "keys").mkdir()
        bench = Bench(folder=place, keys=KeyRing(place / "keys"), clock=Clock())
        with staged(bench) as stage:
            tally = tell(stage, examples=asked.examples, number=asked.seed, failed=print)
    print(dict(tally))  # noqa: T201


if __name__ == "__main__":
    main()
