"""The checks of `gitrelease check`, which submit, release, gate and sync ask as well (design 4).

All findings at once, each with its file, line and key. Nothing here reads git or the working tree: what is
checked comes in as bytes, so that every entry point checks the same thing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from gitrelease import secrets
from gitrelease.core.finding import Finding, Problem, has_errors, key_text
from gitrelease.core.item import document_path, files_problems
from gitrelease.core.job import Job, parse_job
from gitrelease.core.names import (
    JOB_ENDING,
    ItemKey,
    Kind,
    NameRefused,
    item_name,
    place_of,
)
from gitrelease.core.rules import job_problems, reference_problems, script_problems, subjob_problems
from gitrelease.core.script import parse_script
from gitrelease.core.search import nearest
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Workspace, parse_workspace
from gitrelease.core.workspace_problems import workspace_problems
from gitrelease.documents import Document, DocumentRefused, parse
from gitrelease.errors import GitReleaseError, Refused
from gitrelease.schemas import validate

MOST_ENTRIES = 1000
"""A directory holds at most as many entries: git reads and writes a directory whole (design 2)."""

_SCHEMA = {Kind.JOB: "job", Kind.SCRIPT: "script", Kind.WORKSPACE: "workspace"}


class SecretTold(Refused):
    """What somebody wants to say holds what looks like a secret; it would be pushed like any file."""

    code = "secret"


def refuse_secrets(words: str | None) -> None:
    """Refuse a description or an opinion that holds a secret: it becomes part of a commit, for everybody to read."""
    found = secrets.find("message", (words or "").encode(errors="replace"))
    if found:
        raise SecretTold(f"in what -m says, {found[0].message}", hint="say it without; nothing was sent")


@frozen
class Draft:
    """One item as somebody wants it to be: its files, or none when it is to be deleted."""

    item: ItemKey
    files: Mapping[str, bytes] = field(default_factory=dict)
    version: int | None = None
    """The number its document must bear; None while it is only being edited."""


def _nothing(asked: object) -> tuple[()]:  # noqa: ARG001
    return ()


def _unknown(asked: object) -> None:
    """Know nothing of what is asked."""


@frozen
class Surroundings:
    """What there is around the drafts, asked one by one: a workspace may hold a hundred thousand items."""

    exists: Callable[[ItemKey], bool]
    """Whether there is an item, beside the drafts."""
    nearest: Callable[[ItemKey], str | None] = _unknown
    """The name of an item of that kind which is spelled much like this one, for a hint."""
    users: Callable[[Collection[ItemKey]], Sequence[str]] = _nothing
    """Which job documents hold the name of any of these items; asked for deletions only."""
    bytes_of: Callable[[str], bytes | None] = _unknown
    """An approved file, to see whether a job that holds a name really uses the item."""
    workspace: Workspace | None = None
    """The effective workspace; one that is in the drafts is checked against it."""
    supports: Callable[[Job], Sequence[Problem]] = _nothing
    """What the configured targets have against a job."""
    knows_teams: bool = False
    """Whether packages are reviewed on a forge that knows who is in a team."""
    unconnectable: Callable[[Workspace], Sequence[Problem]] = _nothing
    """Which targets of a workspace that is in the drafts cannot be connected."""


def check_drafts(drafts: Sequence[Draft], around: Surroundings) -> list[Finding]:
    """Find everything that is wrong with items, alone and together."""
    coming = {draft.item for draft in drafts if draft.files}
    going = {draft.item for draft in drafts if not draft.files}

    def will_exist(item: ItemKey) -> bool:
        return item in coming or (item not in going and around.exists(item))

    def nearest_of_all(item: ItemKey) -> str | None:
        near = nearest(item.name, [other.name for other in coming if other.kind is item.kind])
        return near or around.nearest(item)

    afterwards = replace(around, exists=will_exist, nearest=nearest_of_all)
    findings: list[Finding] = []
    changed = {path for draft in drafts for path in draft.files}
    for draft in drafts:
        if draft.files:
            findings += _check_item(draft, afterwards)
    if going:
        findings += _still_used(going, around, changed)
    findings += _one_name(drafts)
    return sorted(findings, key=lambda one: (one.file, one.line or 0, one.column or 0, one.code))


def crowded(added: Iterable[str], held: Callable[[str], Iterable[str]]) -> list[Finding]:
    """Find directories that would hold more entries than a directory may.

    Args:
        added: the paths that are not there yet.
        held: gives the entries that a directory has, by their paths.
    """
    coming: dict[str, set[str]] = {}
    for path in added:
        if folder := path.rpartition("/")[0]:
            coming.setdefault(folder, set()).add(path)
    findings = []
    for folder, files in sorted(coming.items()):
        count = len(files.union(held(folder)))
        if count > MOST_ENTRIES:
            findings.append(
                Finding(
                    code="directory-full",
                    file=min(files),
                    message=f"{folder} would hold {count} entries; a directory holds at most {MOST_ENTRIES}",
                    hint="put it into another directory",
                )
            )
    return findings


def _check_item(draft: Draft, around: Surroundings) -> Iterator[Finding]:
    home = document_of(draft)
    for problem in files_problems(draft.item, draft.files):
        yield Finding(code=problem.code, file=home, message=problem.message, hint=problem.hint)
    for path, data in sorted(draft.files.items()):
        yield from secrets.find(path, data)
    documents: dict[str, Document] = {}
    for path, data in sorted(draft.files.items()):
        if not path.endswith(".yaml"):
            continue
        try:
            documents[path] = parse(data, file=path)
        except DocumentRefused as refused:
            yield from refused.findings
            continue
        kind = draft.item.kind if path == home else Kind.JOB
        found = validate(documents[path], _SCHEMA[kind])
        yield from found
        if has_errors(found):
            del documents[path]
    main = documents.get(home)
    if main is None:
        return
    yield from _numbered(draft, main)
    match draft.item.kind:
        case Kind.JOB:
            yield from _check_job(draft, home, documents, around)
        case Kind.SCRIPT:
            yield from _check_script(draft, home, main)
        case Kind.WORKSPACE:
            yield from _check_workspace(main, around)


def document_of(draft: Draft) -> str:
    """Say which file the findings about an item as a whole belong to."""
    try:
        path = document_path(draft.files)
    except NameRefused:
        path = None
    return path or next(iter(sorted(draft.files)), str(draft.item))


def _numbered(draft: Draft, document: Document) -> Iterator[Finding]:
    found = document.value.get("version")
    if draft.version is not None and found != draft.version:
        yield _at(
            document,
            Problem(
                code="version",
                key=("version",),
                message=f"the file says version {found}, and this is version {draft.version}",
                hint=f"write `version: {draft.version}`; `gitrelease submit` does so by itself",
            ),
        )


def _named(document: Document, wanted: str) -> Iterator[Finding]:
    found = document.value.get("name")
    if found != wanted:
        yield _at(
            document,
            Problem(
                code="name",
                key=("name",),
                message=f"the name is {found!r}, and the file is called {wanted!r}",
                hint="give both the same name",
            ),
        )


def _check_job(
    draft: Draft, home: str, documents: Mapping[str, Document], around: Surroundings
) -> Iterator[Finding]:
    subjobs = {subjob_name(path): path for path in documents if path != home}

    def exists(item: ItemKey) -> bool:
        return (item.kind is Kind.JOB and item.name in subjobs) or around.exists(item)

    parent = None
    for path, document in sorted(documents.items(), key=lambda entry: entry[0] != home):
        is_parent = path == home
        yield from _named(document, draft.item.name if is_parent else subjob_name(path))
        try:
            job = parse_job(document.value, directory=place_of(path).directory)
        except GitReleaseError as wrong:
            yield _at(document, Problem(code=wrong.code, message=wrong.message, hint=wrong.hint))
            continue
        parent = job if is_parent else parent
        problems = [
            *job_problems(job),
            *reference_problems(job, exists=exists, near=around.nearest),
            *around.supports(job),
        ]
        for problem in problems:
            yield _at(document, problem)
    if parent is not None:
        for problem in subjob_problems(parent, [name for name in subjobs if _is_name(name)]):
            yield _at(documents[home], problem)


def subjob_name(path: str) -> str:
    """Read the name of a subjob off its path."""
    return path.rpartition("/")[2].removesuffix(JOB_ENDING)


def _is_name(text: str) -> bool:
    try:
        item_name(text)
    except NameRefused:
        return False
    return True


def _check_script(draft: Draft, home: str, document: Document) -> Iterator[Finding]:
    yield from _named(document, draft.item.name)
    contents = [path for path in draft.files if path != home]
    content = draft.files[contents[0]] if len(contents) == 1 else None
    ending = "." + contents[0].rpartition(".")[2] if len(contents) == 1 else None
    try:
        script = parse_script(document.value, directory=place_of(home).directory)
    except GitReleaseError as wrong:
        yield _at(document, Problem(code=wrong.code, message=wrong.message, hint=wrong.hint))
        return
    for problem in script_problems(script, content, ending):
        if content is not None and not problem.key:
            yield Finding(code=problem.code, file=contents[0], message=problem.message, hint=problem.hint)
        else:
            yield _at(document, problem)


def _check_workspace(document: Document, around: Surroundings) -> Iterator[Finding]:
    workspace, effective = parse_workspace(document.value), around.workspace
    problems = [
        *workspace_problems(workspace, knows_teams=around.knows_teams),
        *around.unconnectable(workspace),
    ]
    if effective is not None and workspace.id != effective.id:
        problems.append(
            Problem(
                code="workspace-id",
                key=("id",),
                message=f"the id of the workspace was {effective.id}, and it is made once, by init",
                hint=f"write `id: {effective.id}`",
            )
        )
    for problem in problems:
        yield _at(document, problem)


def _still_used(
    going: Collection[ItemKey], around: Surroundings, changed: Container[str]
) -> Iterator[Finding]:
    """Find jobs that would name what is no longer there; whether a job does is read, not guessed."""
    for path in around.users(going):
        try:
            place = place_of(path)
        except NameRefused:
            continue
        data = around.bytes_of(path)
        if place.item in going or path in changed or data is None:
            continue
        try:
            job = parse_job(parse(data, file=path).value, directory=place.directory)
        except GitReleaseError:
            continue  # what is approved was checked when it was approved
        for item in sorted(job.used_items.intersection(going)):
            yield Finding(
                code="still-used",
                file=path,
                message=f"{place.item} still uses {item}, which is to be deleted",
                hint=f"change {place.item} in the same package, or keep {item}",
            )


def _one_name(drafts: Sequence[Draft]) -> Iterator[Finding]:
    seen: dict[tuple[Kind, str], Draft] = {}
    for draft in drafts:
        other = seen.setdefault(draft.item.folded, draft)
        if other is not draft:
            yield Finding(
                code="same-name",
                file=document_of(draft),
                message=f"{draft.item} and {other.item} differ only in how they are written",
                hint="choose another name; some file systems cannot hold both",
            )


def _at(document: Document, problem: Problem) -> Finding:
    line, column = document.place(problem.key)
    return Finding(
        code=problem.code,
        severity=problem.severity,
        file=document.file,
        line=line,
        column=column,
        key=key_text(problem.key) or None,
        message=problem.message,
        hint=problem.hint,
    )
