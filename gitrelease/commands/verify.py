"""`gitrelease verify`: does all that is in production derive from what was approved? Offline, from any clone.

First the past: the ledger is replayed from its trust root. Then the present: the main branch, the release
tags, the archive and the branches that are production must hold what that past says, and nothing else. All
that does not hold is listed; nothing that somebody pushed ends the walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gitrelease.archiving import read_archive
from gitrelease.commands import Desk
from gitrelease.commands.far import FarForge, NotAsked
from gitrelease.core.content import Held
from gitrelease.core.ledger import Event, ForgeKind, Holding
from gitrelease.core.names import (
    ARCHIVE,
    DEPLOY,
    LEDGER,
    RELEASE_TAGS,
    CommitId,
    ItemKey,
    PackageName,
    RefName,
    TreeId,
    branch,
    release_tag,
)
from gitrelease.core.package import unexpected
from gitrelease.core.plan import Digest, stem_of
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, TargetSettings, Workspace, authorize
from gitrelease.errors import Exit, GitReleaseError
from gitrelease.reading.accounting import items_of
from gitrelease.reading.broken import MALFORMED, Broken, Listing
from gitrelease.reading.deployables import mappings_of, read_deployable
from gitrelease.reading.ledger import Ledger, LedgerMissing
from gitrelease.reading.milestones import Milestone, keep, recall
from gitrelease.reading.production import drift
from gitrelease.reading.relay import relay
from gitrelease.reading.replay import Past
from gitrelease.reading.settlements import Settlements
from gitrelease.reading.situation import Merged, fold, packages_beyond
from gitrelease.reading.trees import difference_of, guarded_difference, held, read_manifest, read_states
from gitrelease.repo import Tag

_OFFLINE = "git"
"""The type of target whose state a clone has: only that can be compared without a network."""


@frozen
class Checked:
    """How much was looked at."""

    receipts: int = 0
    packages: int = 0
    items: int = 0
    """Versions that packages brought."""
    signatures: int = 0
    """Signatures that git verified and that are a member's."""


@frozen
class Unchecked:
    """A package that is merged and waits for sync, and whose review only the forge has, which could not be asked."""

    package: PackageName
    merge: CommitId
    why: str


@frozen
class VerifyResult:
    """What was found out about the whole chain of releases."""

    checked: Checked
    taken_over: tuple[ItemKey, ...]
    """What there was at the beginning; nobody reviewed it."""
    broken: tuple[Broken, ...]
    root: CommitId
    is_root_known: bool
    """Whether the trust root was given from outside; else the first receipt is only believed."""
    since: CommitId | None = None
    """The receipt at which this clone was found to be in order before, where what came before it was not looked
    at again."""
    unchecked: tuple[Unchecked, ...] = ()
    """What can be checked only where the forge can be asked, or after sync has recorded what it says."""

    @property
    def ok(self) -> bool:
        """Whether everything holds that could be checked."""
        return not self.broken

    @property
    def exit(self) -> Exit:
        """What the exit code says (design 8)."""
        if not self.ok:
            return Exit.REFUSED
        return Exit.WAITING if self.unchecked else Exit.DONE


def verify(desk: Desk, *, since_last: bool = False) -> VerifyResult:
    """Check the whole past and the present, from the refs as last fetched, without the network.

    Args:
        desk: the clone.
        since_last: whether to begin where this clone was last found to be in order, not at the trust root, and to
            note how far it is now; else nothing is left behind. What is known from then, verdicts on
            signatures among it, is as good as the clone's own files; whoever does not want to rely on those
            begins at the root. The refs as they are now are looked at either way, but for branches of
            production where neither they nor the ledger moved.

    Raises:
        LedgerMissing: there is neither a ledger here nor a trust root that one should descend from.
    """
    refs = desk.repo.refs()
    broken: list[Broken] = []
    if LEDGER not in refs:
        if desk.root is None:
            raise LedgerMissing(
                "there is no ledger: the branch `production` is missing",
                hint="clone the release repository, or `git fetch` all of its branches",
            )
        broken.append(
            Broken(
                promise=4,
                ref=LEDGER,
                why="is missing here: `git fetch` all branches; where the shared repository lacks it, too, restore"
                " it from a clone, because it is never rebuilt",
            )
        )
        return _result(desk, desk.root, None, broken)
    tip = CommitId(refs[LEDGER])
    first = desk.root or tip
    pasts: list[Past] = []
    with Listing(broken=broken, promise=4, ref=LEDGER, what="the ledger"):
        first = _first(desk, tip, broken)
    known = recall(desk.repo, first, tip) if since_last else None
    since = known.past.at.id if known else None
    is_still_there = since == tip
    with Listing(broken=broken, promise=4, ref=LEDGER, what=f"the trust root {first:.7}"):
        pasts.append(relay(desk.repo, tip, first, past=known.past if known else None))
    if not pasts:
        return _result(desk, desk.root or first, None, broken)
    past = pasts[0]
    authorize(None, Action.LOOK, past.workspace)
    broken += past.broken
    present = _Present(desk=desk, refs=refs, past=past)
    if known is not None:
        present.since, present.released, present.signatures = known.archive, known.released, known.settled
        present.seen = known.production if is_still_there else {}
    main = branch(past.founding.main)
    for promise, ref, found in (
        (2, main, present.history()),
        (1, main, present.unapproved()),
        (4, RELEASE_TAGS, present.tags()),
        (4, ARCHIVE, present.archive()),
        (1, DEPLOY, present.production()),
    ):
        with Listing(broken=broken, promise=promise, ref=ref, what="it cannot be checked to the end"):
            for one in found:  # one by one, so that what was found before something breaks is kept
                broken.append(one)
    if since_last and not broken:
        keep(desk.repo, present.milestone())
    result = _result(desk, desk.root or first, past, broken, signatures=present.signatures)
    return replace(result, since=since, unchecked=tuple(present.unchecked))


def _first(desk: Desk, tip: CommitId, broken: list[Broken]) -> CommitId:
    """Find the receipt to begin with: the trust root, or the first one where the root is not there."""
    chain = desk.repo.first_parent_ids(tip)
    desk.say(f"{len(chain)} receipts")
    if desk.root is not None and desk.root in chain:
        return desk.root
    if desk.root is not None:
        why = f"at {tip:.7} does not descend from the trust root {desk.root:.7}: it was replaced"
        broken.append(Broken(promise=4, ref=LEDGER, why=why))
    return chain[-1]


def _result(
    desk: Desk, root: CommitId, past: Past | None, broken: Iterable[Broken], *, signatures: int = 0
) -> VerifyResult:
    checked = Checked()
    if past is not None:
        checked = Checked(
            receipts=past.receipts,
            packages=len(past.packages),
            items=past.items,
            signatures=past.signatures + signatures,
        )
    return VerifyResult(
        checked=checked,
        taken_over=past.items_taken_over if past else (),
        broken=tuple(dict.fromkeys(broken)),
        root=root,
        is_root_known=desk.root is not None,
    )


@dataclass(kw_only=True)
class _Present:
    """The refs as they are now, beside what the past says."""

    desk: Desk
    refs: Mapping[RefName, str]
    past: Past
    signatures: int = 0
    """How many good signatures were met that the past did not count."""
    since: CommitId | None = None
    """Up to which entry the archive was found to be in order before."""
    released: frozenset[PackageName] = frozenset()
    """What the archive says was released, as far as it was looked at."""
    seen: Mapping[RefName, CommitId] = field(default_factory=dict)
    """The branches of production that were found to hold what the ledger says, where they stood then."""
    unchecked: list[Unchecked] = field(default_factory=list)
    """The packages of which only the forge knows whether they are approved, where it could not be asked."""
    workspaces: list[Workspace] = field(init=False)
    """Every workspace that anybody could have settled something under, the first one first."""

    def __post_init__(self) -> None:
        self.workspaces = list(self.past.workspaces)

    # The main branch.

    @property
    def _main(self) -> RefName:
        return branch(self.past.founding.main)

    def history(self) -> Iterator[Broken]:
        """Find what the main branch has lost: it only ever grew, from the commit that was taken over."""
        if self._main not in self.refs:
            yield self._lost("is gone; it only ever grows")
            return
        tip = CommitId(self.refs[self._main])
        kept = set(self.desk.repo.first_parent_ids(tip))
        if self.past.founding.taken_over not in kept:
            yield self._lost(
                f"does not grow from {self.past.founding.taken_over:.7}, which was taken over: it was rewritten"
            )
        for name, known in self.past.packages.items():
            if known.merge not in kept:
                yield self._lost(f"lacks {known.merge:.7}, the merge of {name}: its history was rewritten")

    def _lost(self, why: str) -> Broken:
        return Broken(promise=2, ref=self._main, why=why)

    def unapproved(self) -> Iterator[Broken]:
        """Find what the main branch holds of items, records and manifests as nobody approved it."""
        if self._main not in self.refs:
            return
        main = CommitId(self.refs[self._main])
        past, repo = self.past, self.desk.repo
        merged: Sequence[Merged]
        try:
            merged, approved = self._merged(main)
        except MALFORMED as wrong:
            yield Broken(promise=1, ref=self._main, why=f"its packages cannot be judged: {wrong}")
            merged, approved = [], past.tree
        waiting: dict[str, Held | None] = {}
        for one in merged:
            if one.is_approved:
                continue
            if one.trouble is not None and one.trouble.code == NotAsked.code:
                brought = self._brought(one)
                if isinstance(brought, str):
                    why = f"{one.merge:.7} merged {one.name}, which is not what its manifest says: {brought}"
                    yield Broken(promise=1, ref=self._main, why=why)
                    continue
                waiting |= brought
                self.unchecked.append(Unchecked(package=one.name, merge=one.merge, why=one.trouble.message))
                continue
            verdict = one.judged.verdict if one.judged else None
            reasons = (*verdict.reasons, *verdict.missing) if verdict else (one.trouble,)
            said = "; ".join(reason.message for reason in reasons if reason) or "it cannot be judged"
            yield Broken(
                promise=1, ref=self._main, why=f"{one.merge:.7} merged {one.name}, not approved: {said}"
            )
        changed = {change.path: held(change.after) for change in guarded_difference(repo, approved, main)}
        # Where the ledger itself holds what nobody approved, that is no measure for the main branch.
        for path, right in past.forged.items():
            now = held(repo.tree_entry(main, path))
            changed.pop(path, None)
            if now != right:
                changed[path] = now
        # Whether the bytes that wait are approved nobody can tell here; that a package brought them, anybody can.
        changed = {path: now for path, now in changed.items() if path not in waiting or waiting[path] != now}
        for path, now in sorted(changed.items()):
            what = "lacks" if now is None else "holds"
            yield Broken(promise=1, ref=self._main, why=f"{what} {path} as nobody approved it")

    def _merged(self, main: CommitId) -> tuple[Sequence[Merged], TreeId]:
        """Judge what the main branch holds beyond the ledger; give what is approved with it."""
        if not packages_beyond(self.desk.repo, self._ledger(), main):
            return [], self.past.tree
        forge = self.desk.forge
        merged, approved, workspace = fold(
            self.desk.repo,
            forge if self.past.founding.forge is ForgeKind.LOCAL else FarForge(forge=forge),
            self._ledger(),
            main,
            workspace=self.past.effective,
            archive=read_archive(self.desk.repo, self.refs),
            refs=self.refs,
        )
        self.workspaces.append(workspace)
        return merged, approved

    def _brought(self, one: Merged) -> Mapping[str, Held | None] | str:
        """Say what a package brought that cannot be judged here; or what is wrong with it by itself."""
        repo = self.desk.repo
        try:
            read = read_manifest(repo, one.merge, one.name)
        except GitReleaseError as wrong:
            return wrong.message
        if read is None:
            return "it holds none"
        planned = read[1].difference(read[0])
        if faults := unexpected(planned, difference_of(repo.diff(one.before, one.merge))):
            return faults[0].message
        return {path: after for path, (_, after) in planned.items()}

    def _ledger(self) -> Ledger:
        past = self.past
        return Ledger(
            repo=self.desk.repo,
            root=past.root,
            tip=past.at.id,
            tree=past.tree,
            receipt=past.receipt,
            founding=past.founding,
        )

    # Release tags: labels, by which nothing is decided, but people go by them.

    def tags(self) -> Iterator[Broken]:
        """Find release tags that were moved, deleted, or made by somebody else than a release."""
        expected = {
            release_tag(name): known
            for name, known in self.past.packages.items()
            if known.event is Event.FINISHED
        }
        there = self.desk.repo.refs(RELEASE_TAGS)
        read: Mapping[RefName, Tag] = {}
        with suppress(*MALFORMED):  # then each is read by itself, and that one is named
            read = self.desk.repo.read_tags({ref: id_ for ref, id_ in there.items() if ref in expected})
        for ref in sorted(expected.keys() | there.keys()):
            known = expected.get(ref)
            if known is None:
                why = "stands where release tags do, and the ledger knows no such release"
                yield Broken(promise=4, ref=ref, why=why)
            elif known.note:
                continue  # the name was taken, and the receipt says so
            elif ref not in there:
                yield Broken(promise=2, ref=ref, why=f"is gone; it stood at {known.merge:.7}")
            else:
                fault = self._tag_fault(ref, there[ref], known.merge, read.get(ref))
                if fault is not None:
                    yield Broken(promise=4, ref=ref, why=fault)

    def _tag_fault(self, ref: RefName, id_: str, merge: CommitId, tag: Tag | None) -> str | None:
        try:
            tag = tag or self.desk.repo.read_tags({ref: id_}).get(ref)
        except MALFORMED as wrong:
            return f"cannot be read: {wrong}"
        if tag is None or tag.target != merge:
            found = "no commit" if tag is None else f"{tag.target:.7}"
            return f"stands at {found}, and its release was merged as {merge:.7}"
        return None

    # The archive: what was settled, and what must not be lost.

    def archive(self) -> Iterator[Broken]:
        """Find entries that do not follow, and releases that only the archive or only the ledger knows."""
        tip = CommitId(self.refs[ARCHIVE]) if ARCHIVE in self.refs else None
        if self.since is not None and (tip is None or not self.desk.repo.is_first_parent(self.since, tip)):
            self.since, self.released, self.signatures = None, frozenset(), 0
        if tip is not None:
            walk = Settlements(
                repo=self.desk.repo,
                workspaces=self.workspaces,
                tip=tip,
                by_forge=self.past.founding.forge is ForgeKind.GITHUB,
                since=self.since,
            )
            yield from walk.faults()
            self.released |= walk.released
            self.signatures += walk.signatures
        finished = {name for name, known in self.past.packages.items() if known.event is Event.FINISHED}
        for name in sorted(self.released - finished):
            why = f"lacks {name}, which the archive says was released: it was rewound or replaced"
            yield Broken(promise=4, ref=LEDGER, why=why)
        for name in sorted(finished - self.released):
            yield Broken(
                promise=2, ref=ARCHIVE, why=f"lacks {name}, which was released: it was rewound or replaced"
            )

    # Production, where a clone has it.

    def production(self) -> Iterator[Broken]:
        """Compare what production holds with what the ledger says it was given, where a clone can see it."""
        for (target, item), digest in sorted(self.past.accounts.unexplained.items()):
            if target in {settings.name for settings in self.past.effective.targets}:
                what = f"{digest:.7}" if digest else "nothing"
                why = f"a release of {item} failed there, and left {what}, which no manifest gives"
                yield Broken(promise=1, ref=f"{DEPLOY}{target}", why=why)
        for settings in self.past.effective.targets:
            if settings.type == _OFFLINE:
                yield from self._target(settings)

    def _target(self, settings: TargetSettings) -> Iterator[Broken]:
        ref = RefName(f"{DEPLOY}{settings.name}")
        if ref in self.refs and self.seen.get(ref) == self.refs[ref]:
            return
        holdings: Mapping[ItemKey, Holding] = self._ledger().holdings.all_of(settings.name)
        given = {item: holding.deployed for item, holding in holdings.items()}
        seen = self.desk.connect(settings).observe_all()
        coming = self._being_released(settings)
        for item in drift(given, seen):
            now = seen.get(item)
            if item in coming and now == coming[item]:
                continue
            if now is None:
                why = f"does not hold {item}, which was released to it"
            elif given.get(item) is None:
                why = f"holds {item}, which no release gave it"
            else:
                why = f"holds other bytes of {item} than were released to it"
            yield Broken(promise=1, ref=ref, why=why)
        yield from self._other_files(ref, {*given, *coming})

    def milestone(self) -> Milestone:
        """Say how far everything was found to be in order."""
        targets = (f"{DEPLOY}{settings.name}" for settings in self.past.effective.targets)
        tips = {RefName(ref): CommitId(self.refs[RefName(ref)]) for ref in targets if ref in self.refs}
        archive = self.refs.get(ARCHIVE)
        return Milestone(
            past=self.past,
            archive=None if archive is None else CommitId(archive),
            released=self.released,
            settled=self.signatures,
            production=tips,
        )

    def _being_released(self, settings: TargetSettings) -> dict[ItemKey, Digest | None]:
        """Say what a runner that is at work may have given the target by now."""
        begun = self.past.begun
        if begun is None:
            return {}
        items = items_of(self.desk.repo, begun, self.past.tree)
        mappings = mappings_of(settings)
        states = read_states(self.desk.repo, self.past.tree, items)
        made = {
            item: read_deployable(self.desk.repo, item, state, mappings) for item, state in states.items()
        }
        return {item: None if one is None else one.digest for item, one in made.items()}

    def _other_files(self, ref: RefName, items: Iterable[ItemKey]) -> Iterator[Broken]:
        """Find what the branch holds that is no file of an item, so that no digest of an item tells of it."""
        if ref not in self.refs:
            return
        stems = {stem_of(item): item for item in items}
        for entry in self.desk.repo.list_tree(self.refs[ref], recursive=True):
            stem, dot, ending = entry.path.partition(".subjobs/")
            if not dot:
                stem, _, ending = entry.path.rpartition(".")
            item = stems.get(stem)
            is_ours = item is not None and (ending == item.kind or (dot and ending.endswith(".job")))
            if not is_ours or not entry.is_file:
                yield Broken(promise=1, ref=ref, why=f"holds {entry.path}, which no release put there")
