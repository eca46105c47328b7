"""What people are shown of releases on the forge: what the ledger came to say since they were shown it last.

It is read off the ledger after the work, so that a runner that dies in between leaves nothing unsaid: the next one
says it. Nothing is decided by what is shown, and nothing fails for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice

from gitrelease.archiving import read_archive
from gitrelease.commands import Desk
from gitrelease.core.ledger import Event, Evidence, ForgeKind
from gitrelease.core.names import CommitId, PackageName
from gitrelease.core.status import Status, Summary
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Announcement
from gitrelease.reading.ledger import Ledger, read_ledger, receipt_of

ANNOUNCED = "announced"
"""What a clone remembers the receipt by up to which everything was shown."""
_MOST = 100
"""So many packages are shown anew at most, the newest; who lost more has the ledger."""
_PATIENCE = 2
"""After so many that could not be shown, the rest is left to the next sync: one may be odd, more are no accident."""


@frozen
class _Past:
    """What receipts say of a package beside what became of it."""

    package: PackageName
    evidence: Evidence
    note: str


def announce(desk: Desk, done: Collection[PackageName]) -> None:
    """Show what became of packages since it was shown last.

    A clone that remembers nothing, as that of a workflow, looks for a package that was finished before this work and
    is shown: a runner that died may have left all that came after it. What was finished just now is not looked
    for, which saves the questions; two runners at the same moment may then show a deployment twice.

    Args:
        desk: what commands work with.
        done: the packages that were finished just now.
    """
    if desk.forge.kind is ForgeKind.LOCAL:
        return
    with suppress(GitReleaseError):  # what is wrong with the ledger, sync has said
        refs = desk.repo.refs()
        ledger = read_ledger(desk.repo, refs, root=desk.root, archive=read_archive(desk.repo, refs))
        since = _shown_up_to(desk, ledger, done)
        changed = {} if since == ledger.tip else _changed(ledger, since)
        failed = 0
        for past in reversed(list(islice(_pasts(ledger, changed), _MOST))):
            summary = changed[past.package]
            words = partial(_words, desk, past, summary)
            failed += not desk.forge.announce(past.package, words, is_new=past.package in done)
            if failed == _PATIENCE:
                return
        if not failed:
            desk.repo.remember(ANNOUNCED, ledger.tip)


def _shown_up_to(desk: Desk, ledger: Ledger, done: Collection[PackageName]) -> CommitId:
    known = desk.repo.known_good(ANNOUNCED)
    if known is not None and desk.repo.is_first_parent(known, ledger.tip):
        return known
    sought, asked = 0, 1
    for heading in ledger.repo.headings(ledger.tip):
        event, _, name = heading.subject.partition(" package ")
        if event not in {Event.FINISHED, Event.REFUSED} or not name or name in done:
            continue
        sought += 1
        # Twice as far each time: where nobody lets a runner show anything, none of all that is shown.
        if sought == asked:
            asked *= 2
            if _is_shown(desk, ledger, PackageName(name)):
                return heading.id
        if sought > _MOST:
            return heading.id
    return ledger.root


def _is_shown(desk: Desk, ledger: Ledger, package: PackageName) -> bool:
    summary = ledger.holdings.summary(package)
    past = next(_pasts(ledger, {package}), None)
    # Of what the ledger does not tell, nothing is to be shown.
    return summary is None or past is None or desk.forge.is_announced(package, _words(desk, past, summary))


def _changed(ledger: Ledger, since: CommitId) -> dict[PackageName, Summary]:
    """Say what became of packages that receipts after this one speak of, also by the way."""
    before = receipt_of(ledger.repo.commit(since)).holdings
    ended = (one for one in ledger.holdings.changed_since(before) if one.status is not Status.RELEASING)
    return {one.name: one for one in ended}


def _pasts(ledger: Ledger, wanted: Collection[PackageName]) -> Iterator[_Past]:
    """Find what receipts say of packages, the newest first."""
    missing = set(wanted)
    notes: dict[PackageName, str] = {}
    for heading in ledger.repo.headings(ledger.tip) if missing else ():
        _, _, name = heading.subject.partition(" package ")
        if name not in missing:
            continue
        receipt = receipt_of(ledger.repo.commit(heading.id))
        if receipt.package is None or receipt.package not in missing:
            continue
        if receipt.event is Event.FINISHED:
            notes[receipt.package] = receipt.note
        if receipt.evidence is not None:
            missing.discard(receipt.package)
            note = notes.get(receipt.package, "")
            yield _Past(package=receipt.package, evidence=receipt.evidence, note=note)
        if not missing:
            return


def _words(desk: Desk, past: _Past, summary: Summary) -> Announcement:
    told = desk.prose.announcement(summary, past.evidence)
    # The note says that the tag is not ours, and a package that is refused gets none.
    return replace(told, notes=None) if past.note or summary.status is Status.REFUSED else told
