"""The ledger: what was done to production, in order, one receipt a commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import StrEnum

from gitrelease.core.fields import Fields
from gitrelease.core.item import API_VERSION
from gitrelease.core.names import (
    BlobId,
    CommitId,
    ItemKey,
    MemberId,
    PackageName,
    fold,
    item_key,
    package_name,
    shard,
)
from gitrelease.core.package import Reason
from gitrelease.core.plan import Digest, Outcome, OutcomeStatus
from gitrelease.core.values import frozen


class Event(StrEnum):
    """What a receipt says happened."""

    ROOT = "root"
    """The trust root: what was taken over at the beginning, not reviewed."""
    STARTED = "started"
    ALIVE = "alive"
    """The runner that holds the work is about to call a target, or still at it."""
    FINISHED = "finished"
    REFUSED = "refused"


class ForgeKind(StrEnum):
    """Where packages are reviewed."""

    LOCAL = "local"
    """Plain git: what was said are signed commits."""
    GITHUB = "github"
    """Pull requests: what the forge recorded of them is kept in receipts."""


class Work(StrEnum):
    """What a runner was doing."""

    PACKAGE = "package"
    BASELINE = "baseline"
    """A new target is given everything there is."""
    RETRY = "retry"
    REPAIR = "repair"


@frozen
class ItemResult:
    """What became of one item on one target."""

    item: ItemKey
    target: str
    version: int
    mapping: str
    outcome: Outcome


@frozen
class Evidence:
    """Why a package was believed to be approved, so that `verify` can ask again for ever, offline."""

    main_before: CommitId
    main_after: CommitId
    """The merge: the commit of the main branch that brought the package, and its first parent."""
    manifest: BlobId
    head: CommitId
    log: CommitId | None
    """The tip of the review log, on plain git; it holds the opinions themselves."""
    tasks: tuple[CommitId, ...]
    approvals: tuple[str, ...]
    """The ids of the opinions that counted."""
    recorded: Mapping[str, object] = field(default_factory=dict)
    """What a forge other than git said, verbatim: opinions, pushes, team members."""
    earlier: tuple[CommitId, ...] = ()
    """What the branch of the package held before its head, where nothing else keeps it: opinions may be about it."""

    @property
    def commits(self) -> tuple[CommitId, ...]:
        """The commits that a receipt keeps as parents, so that any clone has all that was judged."""
        log = () if self.log is None else (self.log,)
        return (self.main_after, self.head, *log, *self.tasks, *self.earlier)


@frozen
class Founding:
    """What the trust root says for all that follows it."""

    workspace: str
    """The id of the workspace."""
    main: str
    """The name of the main branch."""
    taken_over: CommitId
    """The commit of the main branch that was taken over, not reviewed."""
    forge: ForgeKind = ForgeKind.LOCAL
    """Where packages are reviewed."""


@frozen
class Receipt:
    """One entry of the ledger."""

    event: Event
    runner: MemberId
    run: str = ""
    """Which run of sync wrote this, so that a runner knows its own work from another's."""
    work: Work | None = None
    package: PackageName | None = None
    evidence: Evidence | None = None
    results: tuple[ItemResult, ...] = ()
    reasons: tuple[Reason, ...] = ()
    items: tuple[ItemKey, ...] = ()
    """What a retry or a repair is about."""
    targets: tuple[str, ...] = ()
    holdings: CommitId | None = None
    """The commit whose tree lists what every target was last given."""
    note: str = ""
    founding: Founding | None = None
    """In the trust root, and only there."""

    @property
    def is_open(self) -> bool:
        """Whether a runner has begun something here that it has not finished."""
        return self.event in {Event.STARTED, Event.ALIVE}

    @property
    def keeps(self) -> tuple[CommitId, ...]:
        """The commits that are its parents beside the receipt before it, so that any clone has them."""
        lists = () if self.holdings is None else (self.holdings,)
        return (*lists, *(() if self.evidence is None else self.evidence.commits))

    def parents_after(self, before: CommitId) -> tuple[CommitId, ...]:
        """Say which parents it has where it follows this receipt."""
        return tuple(dict.fromkeys((before, *self.keeps)))

    @property
    def about(self) -> tuple[object, ...]:
        """What is one work from its beginning to its end."""
        return self.work, self.package, self.items, self.targets

    @property
    def subject(self) -> str:
        """One line for people who read the branch with git."""
        what = f"package {self.package}" if self.package else (self.work or "the ledger")
        return f"{self.event} {what}"


def does_not_follow(receipt: Receipt, begun: Receipt | None) -> list[str]:
    """Say what keeps a receipt from standing after others, in words that end a sentence about it.

    Args:
        receipt: the receipt, any but the first.
        begun: what began the work that is not finished, or goes on with it; None where all is finished.
    """
    faults = []
    match receipt.event:
        case Event.ROOT:
            faults.append("is a second trust root")
        case Event.STARTED | Event.REFUSED if begun is not None:
            faults.append(f"begins something else while {begun.subject!r} is not finished")
        case Event.ALIVE | Event.FINISHED if begun is None:
            faults.append("goes on with what was never started")
        case Event.ALIVE | Event.FINISHED if begun is not None and receipt.about != begun.about:
            faults.append(f"goes on with other work than was begun: {begun.subject!r}")
    if receipt.event is not Event.ROOT and (receipt.work is Work.PACKAGE) != (receipt.package is not None):
        faults.append("does not say what work it is about")
    names_evidence = receipt.event in {Event.STARTED, Event.REFUSED} and receipt.package is not None
    if names_evidence != (receipt.evidence is not None):
        faults.append(
            "gives evidence of nothing" if receipt.evidence else "gives no evidence of the approval"
        )
    return faults


def _index(*parts: str) -> str:
    return "/".join((*parts[:-1], shard(parts[-1]), f"{fold(parts[-1])}.json"))


def held_path(target: str, item: ItemKey) -> str:
    """Say where the holdings keep what a target was last given of an item."""
    return _index("targets", target, item.kind, item.name)


def target_prefix(target: str) -> str:
    """Say below which folder the holdings keep all that a target was given."""
    return f"targets/{target}/"


def standing_path(target: str) -> str:
    """Say where the holdings keep how a target was last left."""
    return f"standings/{target}.json"


@frozen
class TargetStanding:
    """How a target was last left: in which state, under which mapping, and what it does not hold as it should."""

    state: str | None
    mapping: str
    behind: tuple[ItemKey, ...] = ()


def standing_document(standing: TargetStanding) -> dict[str, object]:
    """Write how a target was last left."""
    return {
        "state": standing.state,
        "mapping": standing.mapping,
        "behind": [str(item) for item in standing.behind],
    }


def parse_standing(value: Mapping[str, object]) -> TargetStanding:
    """Read how a target was last left."""
    top = Fields(value).whole("state", "behind")
    return TargetStanding(
        state=top.optional("state"),
        mapping=top.text("mapping"),
        behind=tuple(item_key(text) for text in top.texts("behind")),
    )


def summary_path(package: PackageName) -> str:
    """Say where the holdings keep what became of a package."""
    return _index("packages", package)


@frozen
class Holding:
    """What a target was last given of one item."""

    item: ItemKey
    version: int
    mapping: str
    deployed: Digest | None
    """What it held afterwards; None when it holds nothing of the item."""
    status: OutcomeStatus
    error: str | None = None
    package: PackageName | None = None


def holding_of(result: ItemResult, *, package: PackageName | None, last: Holding | None) -> Holding:
    """Say what a target was last given of an item, from what was just done there.

    Args:
        result: what became of the item.
        package: the package that was applied; None for a repair and the like, after which the item still
            belongs to the package that gave it last.
        last: what the target was given before.
    """
    return Holding(
        item=result.item,
        version=result.version,
        mapping=result.mapping,
        deployed=result.outcome.deployed,
        status=result.outcome.status,
        error=result.outcome.error,
        package=package or (last.package if last else None),
    )


def result_of(holding: Holding, *, target: str) -> ItemResult:
    """Say what became of an item, from what a target was last given of it.

    A baseline is about everything there is; it says this once, beside its receipts, and not in them again.
    """
    outcome = Outcome(status=holding.status, deployed=holding.deployed, error=holding.error)
    return ItemResult(
        item=holding.item, target=target, version=holding.version, mapping=holding.mapping, outcome=outcome
    )


def behind_after(last: TargetStanding | None, results: Iterable[ItemResult]) -> tuple[ItemKey, ...]:
    """List what a target does not hold as it should, from what it did not before and what was just done."""
    behind = set(last.behind if last else ())
    for result in results:
        behind.discard(result.item)
        if result.outcome.status.is_failure:
            behind.add(result.item)
    return tuple(sorted(behind))


def holding_document(holding: Holding) -> dict[str, object]:
    """Write what a target holds of an item."""
    return {
        "item": str(holding.item),
        "version": holding.version,
        "mapping": holding.mapping,
        "deployed": holding.deployed,
        "status": holding.status,
        "error": holding.error,
        "package": holding.package,
    }


def parse_holding(value: Mapping[str, object]) -> Holding:
    """Read what a target holds of an item."""
    top = Fields(value).whole("package")
    package, outcome = top.optional("package"), _outcome(top)
    return Holding(
        item=item_key(top.text("item")),
        version=top.number("version"),
        mapping=top.text("mapping"),
        deployed=outcome.deployed,
        status=outcome.status,
        error=outcome.error,
        package=None if package is None else package_name(package),
    )


def receipt_document(receipt: Receipt) -> dict[str, object]:
    """Write a receipt as its commit's message holds it; what does not apply is left out."""
    document: dict[str, object] = {
        "apiVersion": API_VERSION,
        "kind": "Receipt",
        "event": receipt.event,
        "runner": receipt.runner,
        "run": receipt.run,
    }
    optional: dict[str, object] = {
        "work": receipt.work,
        "package": receipt.package,
        "evidence": None if receipt.evidence is None else _evidence_document(receipt.evidence),
        "results": [_result_document(result) for result in receipt.results],
        "reasons": [{"code": reason.code, "message": reason.message} for reason in receipt.reasons],
        "items": [str(item) for item in receipt.items],
        "targets": list(receipt.targets),
        "holdings": receipt.holdings,
        "note": receipt.note,
        **({} if receipt.founding is None else _founding_document(receipt.founding)),
    }
    document.update({key: value for key, value in optional.items() if value})
    return document


def parse_receipt(value: Mapping[str, object]) -> Receipt:
    """Read a receipt that its schema accepts."""
    top = Fields(value)
    event, package, evidence = top.choice("event", Event), top.optional("package"), top.fields("evidence")
    return Receipt(
        event=event,
        runner=MemberId(top.text("runner")),
        run=top.text("run"),
        work=top.choice("work", Work) if "work" in top else None,
        package=None if package is None else package_name(package),
        evidence=None if evidence is None else _parse_evidence(evidence),
        results=tuple(_parse_result(one) for one in top.each("results")),
        reasons=tuple(
            Reason(code=one.text("code"), message=one.text("message")) for one in top.each("reasons")
        ),
        items=tuple(item_key(text) for text in top.texts("items")),
        targets=top.texts("targets"),
        holdings=_commit(top, "holdings"),
        note=top.text("note", ""),
        founding=_parse_founding(top) if event is Event.ROOT else None,
    )


def _founding_document(founding: Founding) -> dict[str, object]:
    return {
        "workspace": founding.workspace,
        "main": founding.main,
        "takenOver": founding.taken_over,
        "forge": None if founding.forge is ForgeKind.LOCAL else founding.forge,
    }


def _parse_founding(top: Fields) -> Founding:
    return Founding(
        workspace=top.text("workspace"),
        main=top.text("main"),
        taken_over=CommitId(top.text("takenOver")),
        forge=top.choice("forge", ForgeKind, ForgeKind.LOCAL),
    )


def _commit(fields: Fields, name: str) -> CommitId | None:
    found = fields.optional(name)
    return None if found is None else CommitId(found)


def _result_document(result: ItemResult) -> dict[str, object]:
    return {
        "item": str(result.item),
        "target": result.target,
        "version": result.version,
        "mapping": result.mapping,
        "status": result.outcome.status,
        "deployed": result.outcome.deployed,
        "error": result.outcome.error,
    }


def _parse_result(result: Fields) -> ItemResult:
    return ItemResult(
        item=item_key(result.text("item")),
        target=result.text("target"),
        version=result.number("version"),
        mapping=result.text("mapping"),
        outcome=_outcome(result),
    )


def _outcome(fields: Fields) -> Outcome:
    deployed = fields.whole("deployed", "error").optional("deployed")
    return Outcome(
        status=fields.choice("status", OutcomeStatus),
        deployed=None if deployed is None else Digest(deployed),
        error=fields.optional("error"),
    )


def _evidence_document(evidence: Evidence) -> dict[str, object]:
    return {
        "mainBefore": evidence.main_before,
        "mainAfter": evidence.main_after,
        "manifest": evidence.manifest,
        "head": evidence.head,
        "log": evidence.log,
        "tasks": list(evidence.tasks),
        "approvals": list(evidence.approvals),
        "recorded": dict(evidence.recorded),
        **({"earlier": list(evidence.earlier)} if evidence.earlier else {}),
    }


def _parse_evidence(evidence: Fields) -> Evidence:
    evidence.whole("log", "tasks", "approvals", "recorded")
    return Evidence(
        main_before=CommitId(evidence.text("mainBefore")),
        main_after=CommitId(evidence.text("mainAfter")),
        manifest=BlobId(evidence.text("manifest")),
        head=CommitId(evidence.text("head")),
        log=_commit(evidence, "log"),
        tasks=tuple(CommitId(task) for task in evidence.texts("tasks")),
        approvals=evidence.texts("approvals"),
        recorded={name: value for name, _, value in evidence.inside("recorded").entries()},
        earlier=tuple(CommitId(commit) for commit in evidence.texts("earlier")),
    )
