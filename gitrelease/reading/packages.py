"""Packages that have a branch: their manifests, and which tasks they hold on to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gitrelease.archiving import Archive
from gitrelease.core.names import PACKAGE, BlobId, CommitId, MemberId, PackageName, RefName, package_name
from gitrelease.core.package import Manifest
from gitrelease.core.people import Actor
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Workspace
from gitrelease.errors import GitReleaseError
from gitrelease.forges import Forge
from gitrelease.reading.trees import held, read_manifest
from gitrelease.repo import Repo


@frozen
class OpenPackage:
    """A package branch as it is now; whether it is approved is another question."""

    name: PackageName
    head: CommitId
    manifest_id: BlobId
    manifest: Manifest
    author: Actor


def open_packages(
    repo: Repo, forge: Forge, refs: Mapping[RefName, str], workspace: Workspace, archive: Archive
) -> tuple[list[OpenPackage], dict[RefName, GitReleaseError]]:
    """Read every package branch; what cannot be read as one comes back with the reason.

    What was settled without being released cannot go live any more, so it is no package though its branch came back.
    """
    heads = {ref: CommitId(commit) for ref, commit in refs.items() if ref.startswith(PACKAGE)}
    makers = forge.makers(heads, workspace)
    found: list[OpenPackage] = []
    wrong: dict[RefName, GitReleaseError] = {}
    for ref, head in heads.items():
        try:
            name = package_name(ref.removeprefix(PACKAGE))
            if archive.outcome(name) is not None:
                continue
            read = read_manifest(repo, head, name)
        except GitReleaseError as refusal:
            wrong[ref] = refusal
            continue
        if read is None:
            wrong[ref] = GitReleaseError(f"it holds no manifest of {name}", code="no-manifest")
            continue
        found.append(
            OpenPackage(name=name, head=head, manifest_id=read[0], manifest=read[1], author=makers[ref][0])
        )
    return found, wrong


def content_of(repo: Repo, package: PackageName, commit: CommitId) -> BlobId | None:
    """Give the manifest that a commit holds of a package; None where what it pins is not what lies beside it."""
    if not repo.exists(commit):
        return None  # it is not here: nobody can tell what it held
    try:
        read = read_manifest(repo, commit, package)
    except GitReleaseError:
        return None
    if read is None:
        return None
    wanted = {path: after for path, (_, after) in read[1].difference(read[0]).items()}
    entries = repo.entries(commit, wanted)
    is_whole = all(held(entries.get(path)) == after for path, after in wanted.items())
    return read[0] if is_whole else None


def reviewers_of(repo: Repo, package: PackageName, commit: CommitId) -> tuple[MemberId, ...]:
    """Give whom the manifest that a commit holds names as reviewers; nobody where it holds none."""
    try:
        read = read_manifest(repo, commit, package)
    except GitReleaseError:
        return ()
    return () if read is None else read[1].reviewers


def tasks_in_review(packages: Iterable[OpenPackage], workspace: Workspace) -> dict[CommitId, PackageName]:
    """Say which open package keeps which task.

    Only a package by somebody who may release keeps tasks, else anyone who can push could keep them for ever.
    """
    return {
        planned.task: package.name
        for package in packages
        if package.author.member is not None and workspace.may(package.author.member, Action.RELEASE)
        for planned in package.manifest.items
    }
