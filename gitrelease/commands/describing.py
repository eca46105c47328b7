"""What reviewers are told of a package before they look at its bytes: gathered here, written by `render/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from gitrelease.commands.compare import compare_states
from gitrelease.core.compare import GraphChanges, ItemComparison, graph_changes
from gitrelease.core.item import ItemState
from gitrelease.core.job import Job, parse_job
from gitrelease.core.names import ItemKey, Kind, NameRefused, TreeId, place_of
from gitrelease.core.package import Manifest, PlannedItem
from gitrelease.core.schedule import next_runs
from gitrelease.core.values import frozen
from gitrelease.documents import parse
from gitrelease.errors import GitReleaseError
from gitrelease.reading.deployables import read_jobs
from gitrelease.repo import Repo

RUNS = 3
"""How many of the next runs are shown, before and after."""


@frozen
class JobStory:
    """A job before and after a package: its graph, and when it runs."""

    before: Job | None
    after: Job | None
    graph: GraphChanges
    runs_before: tuple[datetime, ...]
    runs_after: tuple[datetime, ...]


@frozen
class ItemStory:
    """One item of a package, and what hangs on it."""

    planned: PlannedItem
    comparison: ItemComparison | None
    job: JobStory | None = None
    used_by: tuple[ItemKey, ...] = ()
    """The approved jobs that wait for the item, call it or run it, and are not in the package themselves."""


@frozen
class PackageStory:
    """A package as its reviewers are told of it."""

    manifest: Manifest
    items: tuple[ItemStory, ...]


def describe(repo: Repo, approved: TreeId, manifest: Manifest, *, now: datetime) -> PackageStory:
    """Gather what a package changes, and what hangs on what it changes.

    Args:
        repo: the repository.
        approved: the tree that is approved; it is read once for whoever uses what changes.
        manifest: the plan.
        now: the moment after which runs are the next ones.
    """
    items = [planned.item for planned in manifest.items]
    users = _users(repo, approved, items)
    stories = []
    for planned in manifest.items:
        comparison = compare_states(repo, planned.item, planned.before, planned.after)
        job = _job_story(repo, planned, comparison, now) if planned.item.kind is Kind.JOB else None
        used = tuple(sorted(users[planned.item] - set(items)))
        stories.append(ItemStory(planned=planned, comparison=comparison, job=job, used_by=used))
    return PackageStory(manifest=manifest, items=tuple(stories))


def _job_story(
    repo: Repo, planned: PlannedItem, comparison: ItemComparison | None, now: datetime
) -> JobStory:
    before, after = _job(repo, planned.item, planned.before), _job(repo, planned.item, planned.after)
    return JobStory(
        before=before,
        after=after,
        graph=graph_changes(before, after, comparison.differences if comparison else ()),
        runs_before=_runs(before, now),
        runs_after=_runs(after, now),
    )


def _job(repo: Repo, item: ItemKey, state: ItemState | None) -> Job | None:
    if state is None or not state.exists:
        return None
    return next((job for job in read_jobs(repo, item, state) if job.name == item.name), None)


def _runs(job: Job | None, now: datetime) -> tuple[datetime, ...]:
    return () if job is None or job.schedule.cron is None else next_runs(job.schedule.cron, now, RUNS)


def _users(repo: Repo, approved: TreeId, items: Sequence[ItemKey]) -> Mapping[ItemKey, set[ItemKey]]:
    """Find the approved jobs that name any of these items; whether a job does is read, not guessed."""
    users: dict[ItemKey, set[ItemKey]] = {item: set() for item in items}
    names = [item.name for item in items if item.kind is not Kind.WORKSPACE]
    for path in repo.grep(approved, names, ("jobs",)) if names else ():
        data = repo.content(approved, path)
        try:
            place = place_of(path)
            job = parse_job(parse(data or b"", file=path).value, directory=place.directory)
        except (NameRefused, GitReleaseError):
            continue  # what is approved was checked when it was approved
        for used in job.used_items - {place.item}:
            if used in users:
                users[used].add(place.item)
    return users
