"""The git target: production is a branch, `deploy/<target>`, that holds what was released, names switched.

Whatever reads that branch runs the jobs. All changes of a package are one commit, so that nobody ever
sees half of them. The branch is production: whoever can push it can release (design 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import sleep

from gitrelease.core.finding import Problem, Severity
from gitrelease.core.job import Job
from gitrelease.core.names import (
    DEPLOY,
    SUBJOBS_ENDING,
    CommitId,
    ItemKey,
    ItemName,
    Kind,
    RefName,
)
from gitrelease.core.plan import (
    Deployable,
    Digest,
    Outcome,
    OutcomeStatus,
    TargetChange,
    digest_of,
    main_path,
    stem_of,
    subjobs_folder,
)
from gitrelease.repo import EMPTY_TREE, Entry, PushHeld, RefMove
from gitrelease.targets import CANNOT_RUN, Deployed, Site

SCHEMA: Mapping[str, object] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Settings of the git target",
    "description": "The git target has no settings: its branch is deploy/<name of the target>.",
    "type": "object",
    "additionalProperties": False,
}

RUNNABLE = frozenset({"shell", "python", "dummy"})
"""What can be run from plain files with nothing but a machine; other nodes need the system they speak to."""

_PAUSES = (0.2, 1.0, 3.0)
"""For how many seconds a branch that is being moved is left alone."""
_JOB_ENDING = ".job"
_SCRIPT_ENDING = ".script"


class GitTarget:
    """A `Target` that is a branch of the release repository."""

    is_transactional = True

    def __init__(self, site: Site) -> None:
        self._repo = site.repo
        self._pen = site.pen
        self._ref = RefName(f"{DEPLOY}{site.name}")

    def supports(self, job: Job) -> Sequence[Problem]:
        """Hold everything; say which nodes nothing here could run."""
        return held_only(job, target="git", hint="whatever reads the deploy branch has to")

    def state(self) -> str | None:
        """The branch's commit: another whenever anything held is another."""
        return self._tip() or "nothing"

    def observe(self, items: Iterable[ItemKey]) -> Mapping[ItemKey, Digest | None]:
        """Read what the branch holds of each item."""
        tip = self._tip()
        return {item: digest_of(files) if (files := self._files_of(tip, item)) else None for item in items}

    def observe_all(self) -> Mapping[ItemKey, Digest]:
        """Read what the branch holds of all items; `foreign` lists the rest."""
        tip = self._tip()
        if tip is None:
            return {}
        entries = [
            entry for top in ("jobs", "scripts") for entry in self._repo.list_tree(tip, top, recursive=True)
        ]
        ours = {
            entry.path: (item, entry) for entry in entries if _is_item(entry) and (item := _item(entry.path))
        }
        blobs = self._repo.blobs([entry.blob for _, entry in ours.values()])
        found: dict[ItemKey, dict[str, bytes]] = {}
        for path, (item, entry) in ours.items():
            found.setdefault(item, {})[path] = blobs[entry.blob]
        return {item: digest_of(files) for item, files in found.items()}

    def foreign(self) -> Sequence[str]:
        """List the files of the branch that are no item in its place; nobody but sync has anything to put there."""
        tip = self._tip()
        if tip is None:
            return ()
        return [entry.path for entry in self._repo.list_tree(tip, recursive=True) if not _is_item(entry)]

    def deploy(self, changes: Sequence[TargetChange], *, note: str) -> Deployed:
        """Commit all changes at once; a branch that already holds them is left as it is."""
        tip = self._tip()
        base = EMPTY_TREE if tip is None else self._repo.tree_of(tip)
        old = (path for change in changes for path in self._files_of(tip, change.item))
        edits: dict[str, bytes | None] = dict.fromkeys(old)
        for change in changes:
            edits.update(change.wanted.files if change.wanted else {})
        tree = self._repo.write_tree(base, edits)
        if tree != base or tip is None:
            before = () if tip is None else (tip,)
            made = self._pen.commit(self._repo, tree=tree, parents=before, message=f"{note}\n")
            self._push(RefMove(ref=self._ref, new=made, expected=tip))
            tip = made
        return Deployed(outcomes={change.item: _done(change.wanted) for change in changes}, state=tip)

    def _push(self, move: RefMove) -> None:
        """Move the branch, and wait for a git that is at work there: what fails, only people try again."""
        for pause in _PAUSES:
            try:
                return self._repo.push([move])
            except PushHeld:
                sleep(pause)
        return self._repo.push([move])

    def _tip(self) -> CommitId | None:
        return self._repo.tip(self._ref)

    def _files_of(self, tip: CommitId | None, item: ItemKey) -> dict[str, bytes]:
        if tip is None:
            return {}
        subjobs = self._repo.list_tree(tip, subjobs_folder(item), recursive=True)
        paths = [main_path(item), *(entry.path for entry in subjobs)]
        return self._repo.contents(tip, paths)


def held_only(job: Job, *, target: str, hint: str) -> Sequence[Problem]:
    """Say which nodes of a job a target that keeps plain files could not run, and who has to."""
    others = sorted({node.type for node in job.nodes if node.type.casefold() not in RUNNABLE})
    if not others:
        return []
    return [
        Problem(
            code=CANNOT_RUN,
            key=("nodes",),
            severity=Severity.WARNING,
            message=f"the {target} target holds {', '.join(others)} nodes, and cannot run them",
            hint=hint,
        )
    ]


def _done(wanted: Deployable | None) -> Outcome:
    return Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=None if wanted is None else wanted.digest)


def _item(path: str) -> ItemKey | None:
    """Say which item a file of the branch is of, by its name."""
    folder, _, file = path.rpartition("/")
    if path.startswith("scripts/") and file.endswith(_SCRIPT_ENDING):
        return ItemKey(kind=Kind.SCRIPT, name=ItemName(file.removesuffix(_SCRIPT_ENDING)))
    if not path.startswith("jobs/") or not file.endswith(_JOB_ENDING):
        return None
    last = folder.rpartition("/")[2]
    name = (
        last.removesuffix(SUBJOBS_ENDING) if last.endswith(SUBJOBS_ENDING) else file.removesuffix(_JOB_ENDING)
    )
    return ItemKey(kind=Kind.JOB, name=ItemName(name))


def _is_item(entry: Entry) -> bool:
    """Say whether an entry is a plain file of an item, in the place that follows from the item's name."""
    item = _item(entry.path)
    return entry.is_file and item is not None and entry.path.startswith(stem_of(item) + ".")


def connect(site: Site) -> GitTarget:
    """Use the branch `deploy/<target>` of the release repository as production."""
    return GitTarget(site)
