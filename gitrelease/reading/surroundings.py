"""What is approved, as the checks ask for it: the surroundings of whatever is to change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from gitrelease.checking import Surroundings
from gitrelease.core.item import parse_record
from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import ItemKey, TreeId
from gitrelease.core.search import nearest
from gitrelease.core.workspace import Workspace
from gitrelease.reading.trees import read_document, read_records
from gitrelease.repo import Repo


def surroundings(
    repo: Repo, tree: TreeId, workspace: Workspace, *, forge: ForgeKind = ForgeKind.LOCAL
) -> Surroundings:
    """Look around in a tree that is approved, without asking any production system."""
    return Surroundings(
        exists=existing(repo, tree),
        nearest=_nearest_in(repo, tree),
        users=_users_in(repo, tree),
        bytes_of=lambda path: repo.content(tree, path),
        workspace=workspace,
        knows_teams=forge is ForgeKind.GITHUB,
    )


def existing(repo: Repo, tree: TreeId) -> Callable[[ItemKey], bool]:
    """Give the question whether an item exists in what a tree approves."""
    known: dict[ItemKey, bool] = {}

    def exists(item: ItemKey) -> bool:
        if item not in known:
            record = read_records(repo, tree, [item]).get(item)
            known[item] = record is not None and record[1].state.exists and record[1].item.name == item.name
        return known[item]

    return exists


def _nearest_in(repo: Repo, tree: TreeId) -> Callable[[ItemKey], str | None]:
    """Give the question which item is called much like one that is not there; it lists the tree once per kind."""
    listed: dict[str, dict[str, str]] = {}

    def near(item: ItemKey) -> str | None:
        if item.kind not in listed:
            entries = repo.list_tree(tree, f"items/{item.kind}", recursive=True)
            names = {entry.path.rpartition("/")[2].removesuffix(".yaml"): entry.path for entry in entries}
            listed[item.kind] = names
        folded = nearest(item.name, listed[item.kind])
        if folded is None:
            return None
        path = listed[item.kind][folded]
        data = repo.content(tree, path)
        record = None if data is None else read_document(data, file=path, kind="record", parser=parse_record)
        # What was deleted keeps its record.
        return record.item.name if record is not None and record.state.exists else None

    return near


def _users_in(repo: Repo, tree: TreeId) -> Callable[[Collection[ItemKey]], Sequence[str]]:
    """Give the question which job documents of a tree hold the name of an item; it reads the tree, for all of them."""

    def users(items: Collection[ItemKey]) -> Sequence[str]:
        return repo.grep(tree, [item.name for item in items], ("jobs",))

    return users
