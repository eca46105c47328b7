"""Who moved which branch when, as the server itself recorded it: the one record that nobody can write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice

from gitrelease.core.names import CommitId, RefName
from gitrelease.core.people import Account
from gitrelease.core.pull_request import Push
from gitrelease.forges.github.client import Client, Value
from gitrelease.forges.github.refusals import Unreadable
from gitrelease.forges.github.values import commit, moment, rest_account, text

_MERGES = frozenset({"pr_merge", "merge_queue_merge"})
_DELETION = "branch_deletion"
_PAGES_OF_NEW = 4
_TOLERANCE = timedelta(minutes=1)
"""How far two times of the server for one event may lie apart."""


class Activity:
    """The moves of branches of a repository. What never changes any more is asked for once."""

    def __init__(
        self,
        client: Client,
        note: Callable[[Iterable[Account]], None] = lambda accounts: None,  # noqa: ARG005
    ) -> None:
        """Prepare; `note` is told whom the record speaks of."""
        self._client = client
        self._note = note
        self._made: dict[tuple[RefName, CommitId], tuple[Push, ...]] = {}
        self._merges: set[CommitId] = set()
        self._has_asked = False
        """Whether one branch was asked for by name: whoever asks for another will ask for more."""
        self._has_listed = False

    def moves(self, ref: RefName) -> tuple[Push, ...]:
        """Give every move of a branch, the older first."""
        newest_first = [
            _push(entry, ref)
            for page in self._pages({"ref": ref}, doing=f"read who pushed {ref}")
            for entry in page
        ]
        self._note(push.by for push in newest_first)
        # Moves of one second are in the order in which the server tells them.
        return tuple(reversed(newest_first))

    def made(self, branches: Mapping[RefName, CommitId]) -> dict[RefName, tuple[Push, ...]]:
        """Give the moves that made branches what they are; for those that are made once, as tasks are.

        The branches that were made last are listed together, a hundred in one answer. Who made a branch with
        exactly this commit is who pushed it; where that list does not say so, the branch is asked for by name.
        """
        unknown = {key for key in branches.items() if key not in self._made}
        if len(unknown) > 1 or (unknown and self._has_asked and not self._has_listed):
            self._has_listed = True
            for page in islice(self._creations(), _PAGES_OF_NEW):
                self._keep(page)
                unknown = {key for key in unknown if key not in self._made}
                if not unknown:
                    break
        found = {key: self._made[key] for key in branches.items() if key in self._made}
        for ref, made in sorted(unknown):
            self._has_asked = True
            found[ref, made] = self.moves(ref)
            if any(push.after == made for push in found[ref, made]):
                self._made[ref, made] = found[ref, made]
        return {ref: found[ref, made] for ref, made in branches.items()}

    def is_merge(self, ref: RefName, made: CommitId, since: datetime) -> bool:
        """Say whether the server recorded that merging a pull request moved a branch to exactly a commit.

        A pull request also counts as merged when somebody pushed its head into the branch, and then no rule was
        asked (github.md 3.3).

        Args:
            ref: the branch that was merged into.
            made: the commit that it was moved to.
            since: when that was; older moves are not looked at.
        """
        if made not in self._merges and self._was_merged(ref, made, since):
            self._merges.add(made)
        return made in self._merges

    def _was_merged(self, ref: RefName, made: CommitId, since: datetime) -> bool:
        for page in self._pages({"ref": ref}, doing=f"read what moved {ref}"):
            moved = [entry for entry in page if commit(entry, "after") == made and text(entry, "ref") == ref]
            if any(text(entry, "activity_type") in _MERGES for entry in moved):
                return True
            oldest = moment(page[-1], "timestamp") if page else None
            if oldest is None or oldest < since - _TOLERANCE:
                return False
        return False

    def _creations(self) -> Iterator[list[Value]]:
        return self._pages({"activity_type": "branch_creation"}, doing="read who made branches")

    def _keep(self, page: Iterable[Value]) -> None:
        found: dict[tuple[RefName, CommitId], list[Push]] = {}
        for entry in page:
            ref = RefName(text(entry, "ref"))
            if (after := commit(entry, "after")) is not None and moment(entry, "timestamp") is not None:
                found.setdefault((ref, after), []).append(_push(entry, ref))
        for key, pushes in found.items():
            self._made.setdefault(key, tuple(reversed(pushes)))
        self._note(push.by for pushes in found.values() for push in pushes)

    def _pages(self, params: Mapping[str, str], *, doing: str) -> Iterator[list[Value]]:
        return self._client.pages(self._client.repo("activity"), params, doing=doing)


def _push(entry: Value, ref: RefName) -> Push:
    at = moment(entry, "timestamp")
    after = commit(entry, "after")
    if at is None or text(entry, "ref") != ref:
        raise Unreadable(f"GitHub tells of a push to {ref} without saying when")
    if after is None and text(entry, "activity_type") != _DELETION:
        raise Unreadable(f"GitHub tells of a push to {ref} without saying of what")
    return Push(by=rest_account(entry, "actor"), at=at, after=after)
