"""What reviewers are told of a change: whether it means anything, and which secrets it lets through."""

from __future__ import annotations

from collections.abc import Mapping

from gitrelease import secrets
from gitrelease.core.finding import AllowedSecret
from gitrelease.core.item import ItemState
from gitrelease.core.job import meaning
from gitrelease.core.names import place_of
from gitrelease.documents import canonical_json, parse
from gitrelease.reading.trees import file_bytes
from gitrelease.repo import Repo


def means_the_same(repo: Repo, before: ItemState | None, after: ItemState) -> bool:
    """Say whether only the writing changed, not the meaning (design 2, `digest`)."""
    if before is None or not before.exists or not after.exists:
        return False
    return digest(file_bytes(repo, before.files)) == digest(file_bytes(repo, after.files))


def digest(files: Mapping[str, bytes]) -> bytes:
    """Write what an item means: its documents under the one strict loader, and its content as it is."""
    meant: dict[str, object] = {}
    for path, data in files.items():
        place = place_of(path)
        name = path.rpartition("/")[2]
        if path.endswith(".yaml"):
            meant[name] = meaning(parse(data, file=path).value, place.directory)
        else:
            meant[name] = data.decode()
    return canonical_json(meant)


def allowed_secrets(repo: Repo, state: ItemState) -> tuple[AllowedSecret, ...]:
    """List what looks like a secret and was let through, so that reviewers can judge the reason."""
    files = file_bytes(repo, state.files)
    return tuple(allowed for path, data in files.items() for allowed in secrets.allowed(path, data))
