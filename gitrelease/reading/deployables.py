"""What production is to hold of approved items: JSON made by us from approved bytes (design 2)."""

from __future__ import annotations

from collections.abc import Mapping

from gitrelease.checking import subjob_name
from gitrelease.core.item import ItemState, document_path
from gitrelease.core.job import Job, Mappings, parse_job
from gitrelease.core.names import ItemKey, ItemName, Kind, place_of
from gitrelease.core.plan import Deployable, deployable_job, deployable_script
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


def read_deployable(
    repo: Repo, item: ItemKey, state: ItemState | None, mappings: Mappings
) -> Deployable | None:
    """Make what a target is given of an item; None when it is to hold nothing of it."""
    if state is None or not state.exists or item.kind is Kind.WORKSPACE:
        return None
    home = document_path(state.files)
    if home is None:
        raise GitReleaseError(f"{item} has files and no document among them")
    files = repo.files({path: pin.blob for path, pin in state.files.items()})
    place = place_of(home).directory
    document = parse(files[home], file=home).value
    if item.kind is Kind.SCRIPT:
        content = next(data for path, data in files.items() if path != home)
        return deployable_script(item, place, document, content.decode(), mappings=mappings)
    return _job(item, home, document, files, mappings)


def _job(
    item: ItemKey, home: str, document: Mapping[str, object], files: Mapping[str, bytes], mappings: Mappings
) -> Deployable:
    place = place_of(home).directory
    subjobs = {
        subjob_name(path): parse(data, file=path).value for path, data in files.items() if path != home
    }
    jobs = [parse_job(value, directory=place) for value in (document, *subjobs.values())]
    needs = {
        *(ItemKey(kind=Kind.SCRIPT, name=ItemName(name)) for job in jobs for _, name in job.scripts),
        *(
            ItemKey(kind=Kind.JOB, name=ItemName(name))
            for job in jobs
            for name in (*job.upstream, *job.called_jobs)
        ),
    }
    return deployable_job(
        item,
        place,
        document,
        subjobs=subjobs,
        mappings=mappings,
        needs=needs - {item},
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
