"""What a server accepts of people: tasks, packages, opinions, and what is taken back or settled.

One rule per kind of ref. It finds everything that is wrong with what the ref is to hold, in words that its
developer can act on; nothing found is a yes. Nothing here reads git: whoever asks has gathered the facts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import assert_never

from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement
from gitrelease.core.finding import Finding
from gitrelease.core.moves import Move, Step, does_not_grow, finding, not_allowed, unbelieved
from gitrelease.core.names import (
    HEADS,
    SUBMIT,
    CommitId,
    ItemKey,
    MemberId,
    PackageName,
    TaskId,
)
from gitrelease.core.package import Reason
from gitrelease.core.people import Actor
from gitrelease.core.review import Opinion, Say
from gitrelease.core.task import highest
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Workspace

# Tasks.


@frozen
class TaskFacts:
    """What is known of a branch that is to be a task."""

    id: TaskId
    main: str
    fault: Reason | None
    """What makes its commit none of a task, if anything."""
    by: tuple[Actor, ...]
    """Who submitted it, and whose work it takes over."""
    recorded: int
    settled: int
    waiting: frozenset[int]
    """The numbers of all task branches of the item, as they will be."""
    spelled: ItemKey | None
    """An item that is there and differs only in how it is written."""
    found: tuple[Finding, ...]
    """What the check says of its files."""


def task_findings(move: Move, facts: TaskFacts, workspace: Workspace) -> list[Finding]:
    """Say why a branch is no proper task."""
    found = []
    one_commit = (
        f"make one commit on {facts.main} with the files of that item only; `gitrelease submit` does it"
    )
    if facts.fault is not None:
        found.append(finding(move, facts.fault.code, facts.fault.message, one_commit))
    lower = frozenset(number for number in facts.waiting if number < facts.id.version)
    # Several that follow each other may come at once, so only lower numbers have to be there before.
    if highest(recorded=facts.recorded, settled=facts.settled, waiting=lower) + 1 != facts.id.version:
        others = facts.waiting - {facts.id.version}
        next_ = highest(recorded=facts.recorded, settled=facts.settled, waiting=others) + 1
        how = "skips ahead" if facts.id.version > next_ else "was used before"
        message = f"version {facts.id.version} of {facts.id.item} {how}: the next is {next_}"
        hint = f"push it as {SUBMIT.removeprefix(HEADS)}{facts.id.item}/v{next_}, with version: {next_} in it"
        found.append(finding(move, "task-number", message, hint))
    if facts.spelled is not None:
        message = f"{facts.id.item} and {facts.spelled}, which is there, differ only in how they are written"
        found.append(finding(move, "name-taken", message, "choose another name"))
    for actor in facts.by:
        if actor.member is None:
            found.append(unbelieved(move, actor, str(facts.id)))
        elif not workspace.may_make_tasks(actor.member):
            found.append(not_allowed(move, actor.member, Action.SUBMIT, workspace))
    return [*found, *facts.found]


# Packages.


@frozen
class PackageFacts:
    """What is known of a branch that is to be a package."""

    package: PackageName
    reasons: tuple[Reason, ...]
    """Why it is no proper package, whoever says yes."""
    by: Actor
    before: Actor | None = None
    """Who made what the branch held."""
    is_merged: bool = False
    """Whether the main branch holds the package, and sync has not applied it yet."""
    gone: tuple[TaskId, ...] = ()
    """Tasks of it that are on no branch: taken back, or never submitted."""
    alike: PackageName | None = None
    """Another open package whose name differs only in how it is written."""


def package_findings(move: Move, facts: PackageFacts) -> list[Finding]:
    """Say why a branch is no proper package."""
    hint = "`gitrelease release` makes packages"
    found = [finding(move, reason.code, reason.message, hint) for reason in dict.fromkeys(facts.reasons)]
    found += [
        finding(move, "task-missing", f"{task} is on no branch: it was taken back, or never submitted", hint)
        for task in facts.gone
    ]
    if facts.alike is not None:
        message = f"the package {facts.alike} differs only in how it is written"
        found.append(finding(move, "name-taken", message, "choose another name"))
    if move.step is Step.MOVES:
        if facts.is_merged:
            message = f"{facts.package} is merged, and stays as it was approved until sync has applied it"
            found.append(finding(move, "merged", message))
        if facts.before is not None and facts.before.member != facts.by.member:
            owner = facts.before.member or "somebody else"
            message = f"the branch is {owner}'s, and nobody else moves it"
            found.append(finding(move, "not-yours", message, "make a package of your own"))
    return found


# Reviews.


@frozen
class ReviewFacts:
    """What is known of a log of opinions."""

    package: PackageName
    is_there: bool
    """Whether there is such a package, open or merged."""
    fault: str | None
    """Why the log cannot be read."""
    grows: bool
    opinions: tuple[Opinion, ...]
    """What is new in it, oldest first."""
    root: CommitId
    authors: frozenset[MemberId]


def review_findings(move: Move, facts: ReviewFacts, workspace: Workspace) -> list[Finding]:
    """Say why a log of opinions is not what was there and some more words of people who may speak."""
    if not facts.is_there:
        message = f"there is no package {facts.package} to review"
        return [
            finding(move, "no-package", message, "`gitrelease package list` shows the packages there are")
        ]
    if facts.fault is not None:
        hint = "`gitrelease package approve` and `reject` write opinions"
        return [finding(move, "log-unreadable", facts.fault, hint)]
    if not facts.grows:
        return [does_not_grow(move)]
    found = []
    for opinion in facts.opinions:
        who = opinion.actor.member
        if who is None:
            found.append(unbelieved(move, opinion.actor, f"the opinion {opinion.id:.7}"))
        elif opinion.root not in {None, facts.root}:
            found.append(finding(move, "foreign", f"the opinion {opinion.id:.7} was given in another place"))
        elif refused := _may_say(move, opinion.say, who, facts.authors, workspace):
            found.append(refused)
    return found


def _may_say(
    move: Move, say: Say, who: MemberId, authors: Collection[MemberId], workspace: Workspace
) -> Finding | None:
    match say:
        case Say.APPROVE | Say.REJECT | Say.WITHDRAW:
            action = Action.APPROVE
        case Say.ASK:
            action = Action.RELEASE
        case Say.REVOKE:
            action = Action.REVOKE_OWN if who in authors else Action.REVOKE_ANY
        case Say.UNREADABLE:
            return finding(move, "log-unreadable", "it is no opinion that can be read")
        case _:  # pragma: no cover - the type checker sees that there is no other
            assert_never(say)
    if not workspace.may(who, action):
        return not_allowed(move, who, action, workspace)
    if say in {Say.APPROVE, Say.REJECT} and who in authors:
        return finding(move, "own-work", f"{who} made part of it", "ask another reviewer")
    return None


# What leaves the list of open things.


@frozen
class GoneFacts:
    """What is known of a task, a package or a review whose branch is to go."""

    is_kept: bool
    """Whether an entry of the archive, as it will be after the push, settles it."""
    how: str
    """The command that takes it back."""
    still_reviews: bool = False
    """Whether it is the log of a package that stays."""


def gone_findings(move: Move, facts: GoneFacts) -> list[Finding]:
    """Say why a branch may not go: nothing that was submitted or said is lost."""
    if facts.still_reviews:
        return [finding(move, "still-open", "the package that it is about is still open", f"`{facts.how}`")]
    if not facts.is_kept:
        message = "no entry of the archive settles it, so it would be lost"
        return [finding(move, "not-archived", message, f"`{facts.how}` archives it and removes the branch")]
    return []


@frozen
class Settled:
    """One new entry of the archive, beside what the refs say of it."""

    entry: ArchiveEntry
    by: Actor
    tasks_going: Mapping[TaskId, CommitId] = field(default_factory=dict)
    """The task branches that the push removes."""
    submitters: Mapping[TaskId, frozenset[MemberId]] = field(default_factory=dict)
    """Who submitted the tasks that it settles."""
    kept: Mapping[TaskId, PackageName] = field(default_factory=dict)
    """Which open package keeps which of these tasks."""
    retired: frozenset[TaskId] = frozenset()
    """Tasks that a later version of the item takes the place of."""
    package_going: CommitId | None = None
    """What its package branch holds, if the push removes that."""
    log: CommitId | None = None
    """What its review log holds."""
    is_merged: bool = False
    authors: frozenset[MemberId] = frozenset()
    said: frozenset[tuple[MemberId, Say]] = frozenset()


@frozen
class ArchiveFacts:
    """What is known of the archive, as it is to be."""

    grows: bool
    faults: tuple[str, ...]
    """What is wrong with its new entries by themselves, with how they follow, or with who made them."""
    entries: tuple[Settled, ...]
    finished: frozenset[PackageName] = frozenset()
    """The packages that the same push says are released, in the ledger."""


def archive_findings(move: Move, facts: ArchiveFacts, workspace: Workspace) -> list[Finding]:
    """Say why the archive is not what was there and some more that was settled, by people who may."""
    if not facts.grows:
        return [does_not_grow(move)]
    found = [finding(move, "archive-entry", fault) for fault in dict.fromkeys(facts.faults)]
    for settled in () if found else facts.entries:
        if settled.by.member is None:
            found.append(unbelieved(move, settled.by, "an entry of the archive"))
        elif settled.entry.settlement is Settlement.RELEASED:
            found += _released_findings(move, settled, facts)
        else:
            found += _taken_back_findings(move, settled, settled.by.member, workspace)
    return found


def _released_findings(move: Move, settled: Settled, facts: ArchiveFacts) -> list[Finding]:
    package = settled.entry.package
    if package not in facts.finished:
        message = f"it says that {package} was released, and the ledger does not say so"
        return [finding(move, "not-released", message, "`gitrelease sync` pushes both at once")]
    return []


def _taken_back_findings(move: Move, settled: Settled, who: MemberId, workspace: Workspace) -> list[Finding]:
    entry = settled.entry
    found = []
    if entry.package is None and not entry.tasks:
        found.append(finding(move, "archive-entry", "an entry of the archive settles nothing"))
    for task in entry.tasks:
        found += _task_settled(move, settled, task, who, workspace)
    if entry.package is not None:
        found += _package_closed(move, settled, entry.package, who, workspace)
    return found


def _task_settled(
    move: Move, settled: Settled, task: SettledTask, who: MemberId, workspace: Workspace
) -> list[Finding]:
    if settled.tasks_going.get(task.id) != task.commit:
        message = f"it settles {task.id}, whose branch stays or never was"
        return [finding(move, "archive-entry", message, f"`gitrelease task revoke {task.id}`")]
    if task.id in settled.kept:
        package = settled.kept[task.id]
        hint = f"`gitrelease package revoke {package}` gives it back first"
        return [finding(move, "in-review", f"{task.id} is in review, in the package {package}", hint)]
    match task.settlement:
        case Settlement.REVOKED:
            own = who in settled.submitters.get(task.id, frozenset())
            action = Action.REVOKE_OWN if own else Action.REVOKE_ANY
            return [] if workspace.may(who, action) else [not_allowed(move, who, action, workspace)]
        case Settlement.SUPERSEDED:
            if task.id in settled.retired:
                return []
            message = f"no later version takes the place of {task.id}"
            return [finding(move, "not-superseded", message, "`gitrelease submit --supersede` takes it over")]
        case _:
            message = f"it says that {task.id} was {task.settlement}, by itself"
            return [finding(move, "archive-entry", message)]


def _package_closed(
    move: Move, settled: Settled, package: PackageName, who: MemberId, workspace: Workspace
) -> list[Finding]:
    entry = settled.entry
    if settled.is_merged:
        hint = "`gitrelease rollback` goes back once it is released"
        return [finding(move, "merged", f"{package} is merged, and can no longer be closed", hint)]
    if settled.package_going is None or entry.head != settled.package_going or entry.log != settled.log:
        message = f"it closes {package} as it is not on its branches now"
        return [finding(move, "archive-entry", message, "run the command again")]
    say = Say.REJECT if entry.settlement is Settlement.REJECTED else Say.REVOKE
    if (who, say) not in settled.said:
        message = f"{who} closes {package}, and the review log has no such word of theirs"
        return [finding(move, "not-said", message, f"`gitrelease package {say} {package}`")]
    refused = _may_say(move, say, who, settled.authors, workspace)
    return [refused] if refused else []
