"""GitHub as a forge: packages are pull requests, opinions are reviews, and the server itself recorded who did what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import (
    HEADS,
    CommitId,
    MemberId,
    PackageName,
    RefName,
    TreeId,
    branch,
    manifest_path,
    package_of,
    package_ref,
    release_tag,
)
from gitrelease.core.package import Proposed
from gitrelease.core.people import Account, Actor, Person
from gitrelease.core.pull_request import (
    Content,
    PullRequest,
    Push,
    actor,
    actors_of,
    pull_request_document,
    review_of,
)
from gitrelease.core.review import Review, Say
from gitrelease.core.workspace import Action, Workspace
from gitrelease.errors import CredentialsError, GitReleaseError, RaceLost, Refused
from gitrelease.forges import Announcement, Standing, Statement, Words
from gitrelease.forges.github import reporting, saying
from gitrelease.forges.github.activity import Activity
from gitrelease.forges.github.asking import Asking, Seen, asked_later, is_quiet
from gitrelease.forges.github.client import Client, Value
from gitrelease.forges.github.closed import ClosedPulls, package_at
from gitrelease.forges.github.doubting import with_doubts
from gitrelease.forges.github.people import People, member_of
from gitrelease.forges.github.refusals import HeadMoved, Unreadable
from gitrelease.forges.github.values import (
    commit,
    graph_account,
    moment,
    number,
    rows,
    text,
)
from gitrelease.pen import Pen
from gitrelease.repo import RefMove, Repo

_REVOKED = "revoked"
_STANDING = "standing"


class GithubForge:
    """A `Forge` on GitHub."""

    def __init__(
        self,
        repo: Repo,
        pen: Pen,
        client: Client,
        *,
        main: Callable[[], str],
        content: Content,
        reviewers: Callable[[PackageName, CommitId], Collection[MemberId]] = lambda package, commit: (),  # noqa: ARG005
        bring: Callable[[Sequence[CommitId]], None] = lambda commits: None,  # noqa: ARG005
        say: Callable[[str], None] = lambda text: None,  # noqa: ARG005
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            repo: the clone, which knows the branches.
            pen: whose git this is.
            client: the door to GitHub.
            main: gives the name of the main branch, as the trust root has it.
            content: gives the manifest that a commit holds of a package.
            reviewers: gives whom the manifest that a commit holds names as reviewers: who was asked with the
                package is known from there, and only who was asked later is told apart.
            bring: brings commits here that no branch holds any more, as far as the server still has them.
            say: tells people what could not be done and stops nothing.
        """
        self._repo = repo
        self._pen = pen
        self._client = client
        self._main = main
        self._content = content
        self._reviewers = reviewers
        self._bring = bring
        self._say = say
        self._people = People(client)
        self._activity = Activity(client, self._people.note)
        self._asking = Asking(client, self._activity)
        self._closed = ClosedPulls(self._asking, main)
        self._workspace: Workspace | None = None
        """The workspace that was spoken of last: it says which account a member has."""
        self._sought: set[CommitId] = set()
        self._seen: dict[PackageName, Seen] = {}
        self._numbered: dict[PackageName, int] = {}
        self._teams: dict[str, tuple[Account, ...]] = {}

    @property
    def kind(self) -> ForgeKind:
        """Say that this is GitHub."""
        return ForgeKind.GITHUB

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    # Who.

    def whoami(self, workspace: Workspace) -> Actor:
        """Say whose token it is.

        Behind the token of an App or of a workflow there is no person, and GitHub says so. A runner is known by what
        it signs the ledger with; so there git says who it is, and only a runner.
        """
        self._workspace = workspace
        me = self._people.me()
        if me is not None:
            return actor(me, workspace)
        identity = self._pen.identity
        member = workspace.member_with_email(identity.email)
        doubt = None
        if member is None:
            doubt = f"is the token of an App, and {identity.email} is no member's address"
        elif not workspace.may(member.id, Action.SYNC):
            doubt = f"is the token of an App, which cannot speak for {member.id}: use a token of theirs"
        believed = member if doubt is None else None
        person = Person(id=believed.id if believed else None, name=identity.name, email=identity.email)
        return Actor(person=person, member=believed.id if believed else None, doubt=doubt)

    def resolved(self, workspace: Workspace) -> Workspace:
        """Give a workspace whose teams have the people in them that GitHub says are."""
        self._workspace = workspace
        if not workspace.teams:
            return workspace
        self._teams = self._people.teams(workspace)
        self._workspace = workspace.with_teams(self._teams)
        return self._workspace

    def authors(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say who pushed each of these branches, by the server's record."""
        if not branches:
            return {}
        made = self._activity.made(branches)
        return {ref: actors_of(made[ref], commit_, workspace) for ref, commit_ in branches.items()}

    def makers(
        self, branches: Mapping[RefName, CommitId], workspace: Workspace
    ) -> Mapping[RefName, Sequence[Actor]]:
        """Say whose commits these are by their addresses; GitHub is asked only about those that name no member."""
        by_commit = {made.id: made.author for made in self._repo.commits(dict.fromkeys(branches.values()))}
        found: dict[RefName, Sequence[Actor]] = {}
        for ref, made in branches.items():
            identity = by_commit[made]
            member = member_of(identity, workspace)
            if member is not None:
                person = Person(
                    id=member.id, name=identity.name, email=identity.email, github_id=member.github
                )
                found[ref] = (Actor(person=person, member=member.id),)
        unknown = {ref: made for ref, made in branches.items() if ref not in found}
        return {**found, **self.authors(unknown, workspace)}

    # What there is.

    def reviews(self, workspace: Workspace) -> Sequence[Review]:
        """Read the review of every package that has a branch.

        What this says is for lists. It leaves out what takes a request for each package: whether those who approved
        may still write, and who pushed a branch on which nothing points at more than one push.
        """
        heads = self._heads()
        if not heads:
            return []
        main = self._main()
        found: dict[PackageName, Review] = {}
        missing = set(heads)
        odd: set[PackageName] = set()
        for node in self._asking.open():
            if not missing:
                break
            name = package_at(node)
            if name is None or name not in heads:
                continue
            if text(node, "baseRefName") == main:
                missing.discard(name)
            elif name in found:
                continue
            try:
                seen = self._read_cheaply(name, node, heads[name], main)
            except Unreadable as wrong:  # it says nothing of the others
                self._say(f"{name} is left out here: {wrong.message}")
                odd.add(name)
                continue
            found[name] = self._review(self._noted(seen), workspace, main)
        for name in heads.keys() - found.keys() - odd:
            if (review := self.find(name, workspace)) is not None:
                found[name] = review
        return [found[name] for name in sorted(found)]

    def _heads(self) -> dict[PackageName, CommitId]:
        """List the package branches."""
        return {
            name: CommitId(tip)
            for ref, tip in self._repo.refs().items()
            if (name := package_of(ref)) is not None
        }

    def closed(self, is_over: Callable[[PackageName], bool]) -> Sequence[PackageName]:
        """Name the packages with a branch and no open pull request, and those of closed ones without a branch."""
        return self._closed.packages(self._heads().keys(), is_over)

    def _read_cheaply(self, name: PackageName, node: Value, head: CommitId, main: str) -> Seen:
        """Read a pull request without asking who pushed its branch, where there was one push as far as one can see.

        A branch that is one commit on top of main, that is as GitHub has it, and that was never rewritten, held
        nothing else since the pull request was opened; whoever opened it is taken for who pushed it then. `find`,
        by which everything is decided, asks.
        """
        by, opened_at = graph_account(node, "author"), moment(node, "createdAt")
        is_one_push = (
            opened_at is not None
            and is_quiet(node)
            and commit(node, "headRefOid") == head
            and by.id is not None
            and not by.is_bot
            and self._is_one_commit(head, main)
        )
        if not is_one_push or opened_at is None:
            return self._asking.read(name, node, main=main)
        return self._asking.read(name, node, main=main, moves=(Push(by=by, at=opened_at, after=head),))

    def _is_one_commit(self, head: CommitId, main: str) -> bool:
        if not self._repo.exists(head):
            return False
        parents = self._repo.commit(head).parents
        tip = self._repo.tip(branch(main))
        return len(parents) == 1 and tip is not None and self._repo.is_ancestor(parents[0], tip)

    def find(self, package: PackageName, workspace: Workspace, *, also_gone: bool = False) -> Review | None:
        """Ask for everything about one package: its pull request, who pushed its branch, and who may still write."""
        self._workspace = workspace
        main = self._main()
        tip = self._repo.tip(branch(main))
        is_merged = tip is not None and self._repo.tree_entry(tip, manifest_path(package)) is not None
        head = self._repo.tip(package_ref(package))
        if head is None and not is_merged and not also_gone:
            return None
        seen = self._asking.find(package, main=main, is_merged=is_merged)
        if seen is None:
            return None if head is None else self._draft(package, head, workspace)
        seen = self._noted(seen)
        self._bring_missing(seen.pull)
        review = self._review(seen, workspace, main)
        held = self._content(package, seen.pull.head)
        doubted = with_doubts(seen.pull, review, workspace, held=held, standing=self._people.standing)
        if doubted is seen.pull:
            return review
        return self._review(self._noted(replace(seen, pull=doubted)), workspace, main)

    def _draft(self, package: PackageName, head: CommitId, workspace: Workspace) -> Review:
        """Give the review of a branch whose pull request was not opened yet."""
        ref = package_ref(package)
        return Review(
            package=package,
            head=head,
            authors=tuple(self.authors({ref: head}, workspace)[ref]),
            opinions=(),
            is_draft=True,
            records_merges=True,
        )

    def _review(self, seen: Seen, workspace: Workspace, main: str) -> Review:
        pull = seen.pull
        review = review_of(pull, workspace, main=main, content=self._content)
        if not seen.requests:
            return review
        named = self._reviewers(pull.package, pull.head)
        asks = asked_later(seen, workspace, named=named, held=self._content(pull.package, pull.head))
        return replace(review, opinions=tuple(sorted((*review.opinions, *asks), key=lambda one: one.at)))

    def _bring_missing(self, pull: PullRequest) -> None:
        """Bring what the branch held before, so that it can be compared; what cannot be had counts for nothing."""
        held = dict.fromkeys([*(push.after for push in pull.pushes if push.after is not None), pull.head])
        missing = [id_ for id_ in held if id_ not in self._sought and not self._repo.exists(id_)]
        if missing:
            self._sought |= set(missing)
            try:
                self._bring(missing)
            except GitReleaseError as failed:
                self._say(f"not all that {pull.package} held before could be fetched: {failed.message}")

    def record(self, review: Review, tasks: Mapping[RefName, CommitId]) -> Mapping[str, object]:
        """Give what GitHub recorded, in full: receipts are all that is left of it when GitHub is not asked."""
        pull = self._pull(review)
        if pull is None:
            return {}
        whole = replace(pull, tasks=self._activity.made(tasks) if tasks else {}, teams=self._teams)
        return pull_request_document(whole)

    def earlier(self, review: Review) -> Sequence[CommitId]:
        """Name the heads that were pushed away, as far as they held the package.

        An approval counts for what the branch held when it was given, and who pushed something new is found by what it
        held before. GitHub gives such heads for a while; after that, nobody could tell any more.
        """
        pull = self._pull(review)
        found = {} if pull is None else dict.fromkeys(push.after for push in pull.pushes)
        return [
            commit_
            for commit_ in found
            if commit_ is not None
            and self._content(review.package, commit_) is not None
            and not self._repo.is_ancestor(commit_, review.head)
        ]

    # What is said.

    def propose(
        self, package: Proposed, commit: CommitId, replaces: CommitId | None, words: Callable[[], Words]
    ) -> None:
        """Push the branch, open its pull request, and ask the reviewers; what is there already stays as it is."""
        name = package.manifest.name
        ref = package_ref(name)
        told = words()  # before anything is done: it may fail
        self._repo.push([RefMove(ref=ref, new=commit, expected=replaces)])
        # What was begun before may be there; else GitHub is asked to open it, and says so where somebody was faster.
        head, base = ref.removeprefix(HEADS), self._main()
        there = None if replaces is None else saying.open_pull_of(self._client, head=head, base=base)
        made = there or saying.open_pull(self._client, head=head, base=base, words=told)
        self._seen.pop(name, None)
        opened_by = number(made, "user", "id")
        asked = {number(one, "id") for one in rows(made, "requested_reviewers")}
        wanted = [who for who in self._numbers(package.manifest.reviewers) if who not in {opened_by, *asked}]
        self._ask(number(made, "number") or 0, wanted)

    def say(self, review: Review, statement: Statement) -> None:
        """Say something of exactly the head that was looked at.

        Raises:
            HeadMoved: the branch holds something else by now.
            RaceLost: the pull request was closed meanwhile.
        """
        pull = self._pull(review)
        if pull is None:
            if statement.say is Say.REVOKE:
                return  # there is nobody to tell yet
            raise Refused(
                f"{review.package} has no pull request yet",
                hint="its applicant runs `gitrelease release` again, which opens it",
            )
        if statement.say is Say.ASK:
            self._ask(pull.number, list(self._numbers(statement.asks)))
            return
        me = self._people.me()
        if statement.say is Say.REVOKE:
            # The command deletes the branch, and with it GitHub closes the pull request.
            body = statement.message or "Taken back by gitrelease."
            who = None if me is None else me.id
            saying.keep_comment(self._client, pull.number, who=who, mark=_REVOKED, body=body)
            return
        if me is None or me.id is None:
            raise CredentialsError("an App cannot review", hint="set GITHUB_TOKEN to a token of a person")
        self._check_still(review, pull)
        if statement.say is Say.WITHDRAW:
            for number_ in (pull.number, *self._seen[review.package].refused_in):
                saying.withdraw_review(self._client, number_, who=me.id, body=statement.message)
            return
        mine = [
            one for one in review.opinions if one.actor.person.github_id == me.id and one.say is statement.say
        ]
        saying.give_review(
            self._client,
            pull.number,
            who=me.id,
            say=statement.say,
            head=review.head,
            body=statement.message,
            is_again=bool(mine) and mine[-1].is_void,
        )

    def _check_still(self, review: Review, pull: PullRequest) -> None:
        """Refuse to speak of what is not there any more; who closes or pushes later is seen by their times."""
        there = self._client.get(
            self._client.repo(f"pulls/{pull.number}"), doing=f"read the pull request of {review.package}"
        )
        if commit(there, "head", "sha") != review.head:
            raise HeadMoved(f"{review.package} does not hold {review.head:.7} any more")
        if review.is_open and text(there, "state") != "open" and text(there, "merged_at") == "":
            raise RaceLost(f"{review.package} was closed this moment")

    def merge(self, review: Review, *, into: RefName, main: CommitId, tree: TreeId, message: str) -> CommitId:
        """Merge exactly the head into a main branch that was looked at just before.

        GitHub compares the head and cannot be told where main is to be. Who gets in between is noticed afterwards: sync
        judges what main holds, whoever put it there (P8).
        """
        pull = self._pull(review)
        if pull is None:
            raise Refused(f"{review.package} has no pull request", hint="`gitrelease release` opens it")
        self._repo.fetch(main=into)
        if self._repo.tip(into) != main:
            raise RaceLost(f"{into.removeprefix(HEADS)} moved meanwhile", hint="run the command again")
        made = saying.merge_pull(self._client, pull.number, head=review.head, message=message)
        self._seen.pop(review.package, None)
        self._repo.fetch(main=into)
        if self._repo.exists(made) and self._repo.tree_of(made) != tree:
            self._say(
                f"{into.removeprefix(HEADS)} moved while {review.package} was merged; sync judges what came of it"
            )
        return made

    # What people are told. Nothing is decided by it, so nothing fails for it, either.

    def report(self, review: Review, standing: Callable[[], Standing]) -> None:
        """Show how a package stands, in place of what was shown before: statuses of its head, and one comment."""

        def tell() -> None:
            told = standing()
            reporting.set_statuses(self._client, review.head, told.statuses)
            number_ = self._numbered.get(review.package)
            if number_ is None and (pull := self._pull(review)) is not None:
                number_ = pull.number
            if number_ is not None:
                me = self._people.me()
                who = None if me is None else me.id
                saying.keep_comment(self._client, number_, who=who, mark=_STANDING, body=told.comment)

        self._anyway(tell, of=review.package)

    def announce(
        self, package: PackageName, announcement: Callable[[], Announcement], *, is_new: bool
    ) -> bool:
        """Show what became of a release: a deployment with its status and, where there is a tag, notes for it."""

        def tell() -> None:
            told = announcement()
            is_first = reporting.set_deployment(self._client, told, is_new=is_new)
            if told.notes is None:
                return
            try:
                reporting.set_release(
                    self._client,
                    package,
                    title=told.title,
                    body=told.notes,
                    is_new=is_first,
                    has_tag=is_new and self._repo.has_tag(release_tag(package)),
                )
            except reporting.TagGone as gone:  # trying again would not mend it, and newer releases wait
                self._say(f"GitHub shows no notes of {package}: {gone.message}")

        return self._anyway(tell, of=package)

    def is_announced(self, package: PackageName, announcement: Announcement) -> bool:
        """Say whether exactly this is shown of a release already: its deployment, how that went, and the notes."""
        try:
            return reporting.is_shown(self._client, package, announcement)
        except GitReleaseError as failed:
            self._say(f"what GitHub shows of {package} cannot be seen: {failed.message}")
            raise

    def _anyway(self, tell: Callable[[], None], *, of: PackageName) -> bool:
        try:
            tell()
        except GitReleaseError as failed:
            self._say(f"GitHub does not show how {of} stands: {failed.message}")
            return False
        return True

    # What was seen before.

    def _noted(self, seen: Seen) -> Seen:
        self._seen[seen.pull.package] = seen
        self._numbered[seen.pull.package] = seen.pull.number
        self._people.note((seen.pull.opened_by, *(remark.by for remark in seen.pull.remarks)))
        return seen

    def _pull(self, review: Review) -> PullRequest | None:
        """Give the pull request that a review was read from."""
        if review.is_draft:
            return None
        seen = self._seen.get(review.package)
        if seen is not None and seen.pull.head == review.head:
            return seen.pull
        main = self._main()
        seen = self._asking.find(review.package, main=main, is_merged=review.merged_as is not None)
        if seen is None or seen.pull.head != review.head:
            raise HeadMoved(f"{review.package} does not hold {review.head:.7} any more")
        return self._noted(seen).pull

    # Who is asked.

    def _numbers(self, who: Sequence[MemberId]) -> Iterator[int]:
        """Give the accounts of members; who has none cannot be asked by GitHub."""
        for one in who:
            member = None if self._workspace is None else self._workspace.member(one)
            account = None if member is None else member.github
            if account is None:
                self._say(f"{one} has no account on GitHub in workspace.yaml, and is not asked there")
            else:
                yield account

    def _ask(self, number_: int, accounts: Sequence[int]) -> None:
        known = self._people.logins(accounts)
        for account in accounts:
            if account not in known:
                self._say(f"the account {account} is gone, and is not asked to review")
        logins = list(known.values())
        saying.request_reviews(self._client, number_, logins, self._say)
