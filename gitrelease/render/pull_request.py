"""The text of a pull request: the plan of a package, for people who look at it before its bytes (design 6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gitrelease.core import schedule
from gitrelease.core.item import Change
from gitrelease.core.job import Job
from gitrelease.core.package import Manifest, PlannedItem, Purpose
from gitrelease.forges import Words
from gitrelease.render.markdown import block, code, label, limited, table
from gitrelease.render.tasks import versions_text
from gitrelease.render.text import count

if TYPE_CHECKING:
    from gitrelease.commands.describing import ItemStory, JobStory, PackageStory
    from gitrelease.core.compare import GraphChanges

MOST_NODES = 60
"""More nodes than these make no picture that anybody could read."""
_MADE = {Change.ADD: "added", Change.MODIFY: "changed", Change.DELETE: "removed"}
_STYLES = """\
  classDef added fill:#dafbe1,stroke:#1a7f37,color:#1f2328
  classDef changed fill:#fff8c5,stroke:#9a6700,color:#1f2328
  classDef removed fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray: 4 3
"""
_PURPOSES = {
    Purpose.ROLLBACK: "This goes back to what there was before {}.",
    Purpose.RESTORE: "This puts back what was approved, where the main branch holds something else.",
    Purpose.IMPORT: "This takes over what was released elsewhere and never reviewed here.",
}


def words(story: PackageStory) -> Words:
    """Write a pull request."""
    return Words(title=title(story.manifest), body=body(story))


def title(manifest: Manifest) -> str:
    """Say in one line what a pull request is for."""
    return f"Release {manifest.name}"


def body(story: PackageStory) -> str:
    """Tell the reviewers of a package what it changes, and what hangs on that."""
    return limited(_parts(story))


def _parts(story: PackageStory) -> Iterator[str]:
    manifest = story.manifest
    if purpose := _PURPOSES.get(manifest.purpose):
        yield purpose.format(code(manifest.rolls_back or "")) + "\n\n"
    if manifest.description:
        yield block(manifest.description) + "\n"
    if story.items:
        head = ("item", "change", "version", "submitted by", "")
        yield table(head, (_row(one.planned) for one in story.items)) + "\n"
    if manifest.restores:
        yield table(
            ("path that goes back to what was approved",), ([code(e.path)] for e in manifest.restores)
        )
        yield "\n"
    runs = "yes" if manifest.execute else "no"
    yield f"Execute jobs in the package immediately after it is released: {runs}\n\n"
    yield from _secrets(manifest)
    for one in story.items:
        yield from _item(one)
    yield (
        f"What is approved is the manifest {code(manifest.path)} and the bytes that it pins. This text says the "
        "same in other words, and decides nothing.\n"
    )


def _row(planned: PlannedItem) -> Sequence[str]:
    before = planned.before.version if planned.before else None
    after = planned.after.version if planned.after.exists else None
    return (
        code(planned.item),
        str(planned.change),
        versions_text(before, after),
        ", ".join(code(who) for who in planned.submitters),
        "formatting only" if planned.formatting_only else "",
    )


def _secrets(manifest: Manifest) -> Iterator[str]:
    allowed = [entry for planned in manifest.items for entry in planned.allowed_secrets]
    if allowed:
        yield f"**{count(len(allowed), 'line')} that look like secrets are let through:**\n\n"
        yield (
            table(("line", "because"), ([code(f"{e.file}:{e.line}"), code(e.reason)] for e in allowed)) + "\n"
        )


def _item(one: ItemStory) -> Iterator[str]:
    if one.job is None and not one.used_by:
        return
    # Inside of HTML nothing is code; the names of items have no character that means anything there.
    yield f"<details><summary>{one.planned.item}</summary>\n\n"
    if one.job is not None:
        yield _graph(one.job)
        yield _schedule(one.job)
    if one.used_by:
        users = ", ".join(code(item) for item in one.used_by[:20])
        more = f" and {len(one.used_by) - 20} more" if len(one.used_by) > 20 else ""
        yield f"What hangs on it: {users}{more}\n\n"
    yield "</details>\n\n"


def _graph(job: JobStory) -> str:
    nodes = job.graph.nodes
    if len(nodes) > MOST_NODES:
        changed = sum(change is not None for change in nodes.values())
        return f"{count(len(nodes), 'node')}, {changed} of them changed: too many for a picture.\n\n"
    return f"```mermaid\ngraph LR\n{''.join(_lines(job.graph))}{_STYLES}```\n\n"


def _lines(graph: GraphChanges) -> Iterator[str]:
    names = {name: f"n{number}" for number, name in enumerate(graph.nodes)}
    for name, change in graph.nodes.items():
        made = f":::{_MADE[change]}" if change else ""
        yield f'  {names[name]}["{label(name)}"]{made}\n'
    for (before, after), change in graph.edges.items():
        if before in names and after in names:
            arrow = "-.->" if change is Change.DELETE else "==>" if change is Change.ADD else "-->"
            yield f"  {names[before]} {arrow} {names[after]}\n"


def _schedule(job: JobStory) -> str:
    before, after = _when(job.before, job.runs_before), _when(job.after, job.runs_after)
    if before == after or job.before is None or job.after is None:
        return f"Runs {after if job.after is not None else before}\n\n"
    return f"Ran {before}\n\nWill run {after}\n\n"


def _when(job: Job | None, runs: Sequence[datetime]) -> str:
    if job is None:
        return ""
    said = code(schedule.words(job.schedule))
    return said + (f", next {', '.join(f'{run:%Y-%m-%d %H:%M %z}' for run in runs)}" if runs else "")
