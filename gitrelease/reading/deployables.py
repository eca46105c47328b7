"""What production is to hold of approved items: JSON made by us from approved bytes (design 2)."""

from __future__ import annotations

from collections.abc import Mapping

from gitrelease.checking import subjob_name
from gitrelease.core.item import ItemState, document_path
from gitrelease.core.job import Job, Mappings, parse_job
from gitrelease.core.names import Directory, ItemKey, ItemName, Kind, place_of
from gitrelease.core.plan import Deployable, Digest, digest_of, job_files, script_files
from gitrelease.core.values import frozen
from gitrelease.core.workspace import TargetSettings
from gitrelease.documents import parse
from gitrelease.errors import GitReleaseError
from gitrelease.reading.trees import read_records
from gitrelease.repo import EntryKind, Repo


def mappings_of(settings: TargetSettings) -> Mappings:
    """Give the names of production that a target uses."""
    return Mappings(connections=settings.connections, queues=settings.queues, databases=settings.databases)


def read_jobs(repo: Repo, item: ItemKey, state: ItemState) -> list[Job]:
    """Read the job that an item is and the subjobs that travel with it; a script has none."""
    if item.kind is not Kind.JOB:
        return []
    files = repo.files({path: pin.blob for path, pin in state.files.items()})
    return [
        parse_job(parse(data, file=path).value, directory=place_of(path).directory)
        for path, data in files.items()
    ]


@frozen
class _Approved:
    """An item as it was approved, read."""

    item: ItemKey
    directory: Directory
    document: Mapping[str, object]
    subjobs: Mapping[str, Mapping[str, object]]
    content: str | None
    """The text of a script; None for a job."""

    def files(self, mappings: Mappings) -> dict[str, bytes]:
        """Make what production holds of it."""
        if self.content is not None:
            return script_files(self.item, self.directory, self.document, self.content, mappings=mappings)
        return job_files(self.item, self.directory, self.document, subjobs=self.subjobs, mappings=mappings)

    @property
    def needs(self) -> frozenset[ItemKey]:
        """The items that must be in production before it."""
        if self.content is not None:
            return frozenset()
        jobs = [
            parse_job(value, directory=self.directory) for value in (self.document, *self.subjobs.values())
        ]
        scripts = {ItemName(name) for job in jobs for _, name in job.scripts}
        called = {ItemName(name) for job in jobs for name in (*job.upstream, *job.called_jobs)}
        needs = {
            *(ItemKey(kind=Kind.SCRIPT, name=name) for name in scripts),
            *(ItemKey(kind=Kind.JOB, name=name) for name in called),
        }
        return frozenset(needs - {self.item})


def read_deployable(
    repo: Repo, item: ItemKey, state: ItemState | None, mappings: Mappings
) -> Deployable | None:
    """Make what a target is given of an item; None when it is to hold nothing of it."""
    read = _read(repo, item, state)
    if read is None:
        return None
    return Deployable(item=item, directory=read.directory, files=read.files(mappings), needs=read.needs)


def deployed_digest(repo: Repo, item: ItemKey, state: ItemState | None, mappings: Mappings) -> Digest | None:
    """Say what a target that holds exactly what it is to hold of an item reports; None where that is nothing."""
    read = _read(repo, item, state)
    return None if read is None else digest_of(read.files(mappings))


def _read(repo: Repo, item: ItemKey, state: ItemState | None) -> _Approved | None:
    if state is None or not state.exists or item.kind is Kind.WORKSPACE:
        return None
    home = document_path(state.files)
    if home is None:
        raise GitReleaseError(f"{item} has files and no document among them")
    files = repo.files({path: pin.blob for path, pin in state.files.items()})
    document = parse(files.pop(home), file=home).value
    is_script = item.kind is Kind.SCRIPT
    return _Approved(
        item=item,
        directory=place_of(home).directory,
        document=document,
        subjobs={}
        if is_script
        else {subjob_name(path): parse(data, file=path).value for path, data in files.items()},
        content=next(iter(files.values())).decode() if is_script else None,
    )


def all_states(repo: Repo, tree: str) -> dict[ItemKey, ItemState]:
    """Read the state of every item a tree has a record of; this reads all records."""
    items = []
    for kind in Kind:
        for entry in repo.list_tree(tree, f"items/{kind}", recursive=True):
            if entry.kind is EntryKind.BLOB:
                name = entry.path.rpartition("/")[2].removesuffix(".yaml")
                items.append(ItemKey(kind=kind, name=ItemName(name)))
    return {record.item: record.state for _, record in read_records(repo, tree, items).values()}
