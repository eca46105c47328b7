"""One verb per module: gather, decide, act. Commands choose nothing; `wiring.py` hands them what they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from random import uniform
from time import sleep
from typing import TYPE_CHECKING, TypeVar

from gitrelease.checking import Surroundings
from gitrelease.core.finding import Problem
from gitrelease.core.job import Job
from gitrelease.core.ledger import Evidence, ForgeKind
from gitrelease.core.names import LEDGER, CommitId, MemberId, RefName, branch
from gitrelease.core.status import Status, Summary
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Signatures, TargetSettings, Workspace, key_alone, permitted
from gitrelease.errors import CredentialsError, GitReleaseError, RaceLost
from gitrelease.forges import Announcement, Course, Forge, Standing, Words
from gitrelease.pen import Pen
from gitrelease.reading.judging import Judged
from gitrelease.reading.ledger import read_beginning
from gitrelease.reading.situation import Situation, gather
from gitrelease.reading.surroundings import surroundings
from gitrelease.repo import Repo
from gitrelease.signers import identify
from gitrelease.targets import Target

if TYPE_CHECKING:
    from gitrelease.commands.describing import PackageStory

Result = TypeVar("Result")

TRIES = 8
"""How often a command gathers and decides again when somebody else was first."""


_FORGES = {ForgeKind.LOCAL: "plain git", ForgeKind.GITHUB: "GitHub"}


class OtherForge(GitReleaseError):
    """The trust root says that packages are reviewed elsewhere than at the remote that was asked."""

    code = "other-forge"


class SigningMissing(CredentialsError):
    """The workspace counts only what is signed, and there is no key to sign with."""

    code = "signing"


def plain_words(story: PackageStory) -> Words:
    """Say of a package what it is called, and no more."""
    return Words(title=f"Release {story.manifest.name}", body="")


def plain_standing(judged: Judged, status: Status) -> Standing:
    """Say of a package where it stands, in one word."""
    return Standing(statuses=(), comment=f"{judged.package.manifest.name} is {status}.")


def plain_announcement(summary: Summary, evidence: Evidence) -> Announcement:
    """Say of a release how it went, in one word."""
    return Announcement(
        package=summary.name,
        commit=evidence.main_after,
        manifest=evidence.manifest,
        course=Course.SUCCESS if summary.status is Status.SUCCESSFUL else Course.FAILURE,
        description=str(summary.status),
        title=f"Release {summary.name}",
    )


@frozen
class Prose:
    """What writes the words that a forge shows to people; `render/` has those with more in them."""

    words: Callable[[PackageStory], Words] = plain_words
    """Writes what the review of a package says."""
    standing: Callable[[Judged, Status], Standing] = plain_standing
    """Writes how a package stands."""
    announcement: Callable[[Summary, Evidence], Announcement] = plain_announcement
    """Writes what became of a release."""


PLAIN = Prose()


@frozen
class Desk:
    """What every command works with."""

    repo: Repo
    forge: Forge
    pen: Pen
    root: CommitId | None
    """The trust root as known from outside the repository; None believes the first receipt."""
    connect: Callable[[TargetSettings], Target]
    prose: Prose = PLAIN
    say: Callable[[str], None] = lambda text: None  # noqa: ARG005
    """Tells people how far long work is."""
    _tried: set[tuple[MemberId, frozenset[str]]] = field(default_factory=set, repr=False, compare=False)
    """Of which member with which keys it was found that what is signed here counts as theirs."""

    def now(self) -> datetime:
        """The time, which nothing is ordered by."""
        return self.pen.now()

    def fetch(self, *, tags: bool = False) -> None:
        """Bring the shared repository's branches here; `tags` also notices release tags that were moved or deleted."""
        self.repo.relist()
        try:
            main = self.main_branch()
        except GitReleaseError:
            # What is here is damaged or forged; whether what comes is better shows after this.
            main = None
        self.repo.fetch(main=main, tags=tags)

    def main_branch(self) -> RefName | None:
        """Name the main branch, as the trust root has it; None where there is no ledger yet."""
        tip = self.repo.tip(LEDGER)
        return None if tip is None else branch(read_beginning(self.repo, self.root, tip=tip)[1].main)

    def look(self, *, tags: bool = False) -> Situation:
        """Fetch, and say how things stand."""
        self.fetch(tags=tags)
        return self.situation()

    def situation(self) -> Situation:
        """Say how things stand, as of the last fetch."""
        now = gather(self.repo, self.forge, root=self.root)
        if now.ledger.forge is not self.forge.kind:
            raise OtherForge(
                f"the packages of this workspace are reviewed on {_FORGES[now.ledger.forge]}, and the remote"
                f" {self.repo.remote} was taken for {_FORGES[self.forge.kind]}",
                hint="run the command again; if that does not help, see where the remote leads: git remote -v",
            )
        return now

    def allowed(self, action: Action, workspace: Workspace, *, tries_key: bool = True) -> MemberId:
        """Let whoever is at the keyboard do something, or refuse; give who it is.

        `tries_key` is for who is about to write: a key may ask for its passphrase, or to be touched.
        """
        who = permitted(self.forge.whoami(workspace).member, action, workspace)
        # A forge with accounts knows by itself who did what; but for the ledger, which runners write past it.
        is_signed = self.forge.kind is ForgeKind.LOCAL or action is Action.SYNC
        if is_signed and workspace.review.signatures is Signatures.REQUIRED and not self.pen.signs:
            raise SigningMissing(
                f"the workspace {workspace.name} counts only what is signed, and git has no key to sign with",
                hint=(
                    "git config gpg.format ssh; git config user.signingKey ~/.ssh/id_ed25519.pub; "
                    f"an admin adds that public key to the keys of {who} in workspace.yaml"
                ),
            )
        if is_signed and tries_key and workspace.review.signatures is Signatures.REQUIRED:
            self._check_key(who, workspace, is_sure=action is not Action.SYNC)
        return who

    def _check_key(self, who: MemberId, workspace: Workspace, *, is_sure: bool) -> None:
        """Refuse to write with a key that is not one of the member's: nothing it signs would count.

        Args:
            who: the member.
            workspace: has the keys of members.
            is_sure: whether the public key that lies beside a private one may be taken for its own. A receipt that
                is signed otherwise stops everybody, so for those it is tried.
        """
        member, public = workspace.member(who), self.repo.public_key()
        keys = {key_alone(key) for key in member.keys} if member else set()
        if is_sure and public is not None and key_alone(public) in keys:
            return
        if (who, frozenset(keys)) in self._tried:
            return
        nothing = self.repo.write_tree(None, {})
        probe = self.pen.commit(self.repo, tree=nothing, parents=(), message="Signed with the right key?\n")
        signed = identify(self.repo, [probe], workspace)[probe]
        if signed.member != who:
            raise SigningMissing(
                f"what you sign does not count as said by {who}: it {signed.doubt or 'is by somebody else'}",
                hint=f"sign with a key of {who} (`gitrelease workspace view`), or an admin adds this one to their keys",
            )
        self._tried.add((who, frozenset(keys)))

    def report(self, judged: Judged, status: Status) -> None:
        """Have the forge show how a package stands; what it shows decides nothing, and fails nothing."""
        if judged.review is not None and not judged.review.is_draft:
            self.forge.report(judged.review, lambda: self.prose.standing(judged, status))

    def close(self) -> None:
        """Put everything away."""
        self.forge.close()
        self.repo.close()

    def targets(self, workspace: Workspace) -> Mapping[str, Target]:
        """Connect the production systems of a workspace."""
        return {settings.name: self.connect(settings) for settings in workspace.targets}

    def surroundings(self, now: Situation) -> Surroundings:
        """Look around, also at what the production systems say, for the checks of what is to change."""
        return replace(
            surroundings(self.repo, now.approved, now.workspace, forge=now.ledger.forge),
            supports=self.objections(now.workspace),
            unconnectable=self.unconnectable,
        )

    def objections(self, workspace: Workspace) -> Callable[[Job], Sequence[Problem]]:
        """Give the question what the production systems have against a job."""
        connected: list[Target] = []

        def against(job: Job) -> Sequence[Problem]:
            # Connected only when there is a job to ask about: a workspace that names a target which is not
            # there must not stand in the way of its own repair.
            if not connected:
                connected.extend(self.targets(workspace).values())
            return [problem for target in connected for problem in target.supports(job)]

        return against

    def unconnectable(self, workspace: Workspace) -> list[Problem]:
        """Say which production systems of a workspace cannot be connected as it names them."""
        problems = []
        for n, settings in enumerate(workspace.targets):
            try:
                self.connect(settings)
            except GitReleaseError as wrong:
                key = ("production", "targets", n)
                problems.append(
                    Problem(code="target-unusable", key=key, message=wrong.message, hint=wrong.hint)
                )
        return problems


def until_first(attempt: Callable[[], Result], *, tries: int = TRIES) -> Result:
    """Gather, decide and act, again from the beginning whenever somebody else moved a ref first."""
    for number in range(1, tries):
        try:
            return attempt()
        except RaceLost:
            sleep(uniform(0.01, 0.05 * 2**number))  # noqa: S311 - two who collide should not collide again
    return attempt()
