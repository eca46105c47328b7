"""A release repository as it is after years: any number of jobs, any number of releases, and all of it valid.

Everything a release leaves behind is written as the verbs write it, by the program's own values and messages:
tasks, package, opinion, merge, receipts with what targets hold, production, archive and tag. `gitrelease verify`
finds nothing to say about the result, and the verbs work on top of it.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Self

from gitrelease.archiving import write_summary
from gitrelease.core.archive import ArchiveEntry, SettledTask, Settlement, entry_document, number_path
from gitrelease.core.content import Pin
from gitrelease.core.item import API_VERSION, Change, ItemState, Record, record_document
from gitrelease.core.ledger import (
    Event,
    Evidence,
    Founding,
    Holding,
    ItemResult,
    Receipt,
    TargetStanding,
    Work,
    held_path,
    holding_document,
    receipt_document,
    standing_document,
    standing_path,
    summary_path,
)
from gitrelease.core.names import (
    WORKSPACE_ITEM,
    WORKSPACE_PATH,
    BlobId,
    CommitId,
    ItemKey,
    Kind,
    MemberId,
    PackageName,
    TaskId,
    manifest_path,
    place_of,
    record_path,
    release_tag,
)
from gitrelease.core.package import Manifest, PlannedItem, Purpose, default_name, manifest_document
from gitrelease.core.people import Person
from gitrelease.core.plan import (
    Digest,
    Outcome,
    OutcomeStatus,
    digest_of,
    script_files,
    stem_of,
)
from gitrelease.core.review import Say
from gitrelease.core.status import ApprovalView, Stance, Status, Summary, SummaryItem, summary_document
from gitrelease.documents import dump, parse, set_version
from gitrelease.messages import message_of
from gitrelease.reading.tasks import task_message
from tests.benchmarks.contents import (
    MAPPING,
    MAPPINGS,
    ROLES,
    SCRIPTS,
    TARGET,
    WORKSPACE_ID,
    Jobs,
    job_key,
    job_path,
    sample,
    workspace_text,
)
from tests.benchmarks.packing import EMPTY, Edits, Leaf, Pack, commit_text, folder_edits
from tests.benchmarks.signing import Agent

SIZES = (1, 1, 1, 2, 5)
"""How many jobs the packages of the past hold, over and over."""

LAST = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BETWEEN = timedelta(hours=5)
RUN = "5e1f0c3a7b9d2468"


@dataclass(frozen=True, kw_only=True)
class Grown:
    """A repository that was grown, and what one needs to know of it."""

    server: str
    root: str
    jobs: int
    releases: int
    signed: bool
    packages: list[str]
    """The names of all packages, the oldest first."""
    keys: dict[str, str] = field(default_factory=dict)
    """The file of each person's key."""

    def save(self, folder: Path) -> None:
        """Note it beside the repository."""
        (folder / "grown.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what was noted."""
        return cls(**json.loads((folder / "grown.json").read_text(encoding="utf-8")))


@dataclass(frozen=True, kw_only=True, slots=True)
class _State:
    """One item as it is approved."""

    state: ItemState
    record: bytes
    digest: Digest | None


@dataclass(frozen=True, kw_only=True)
class _Task:
    planned: PlannedItem
    number: int
    at: datetime
    description: str


class Grower:
    """Plays the past of a release repository, and writes it down as one pack."""

    def __init__(self, folder: Path, *, jobs: int, releases: int, keys: Mapping[str, Path]) -> None:
        self.folder = folder
        self.jobs = jobs
        self.releases = releases
        self.keys = keys
        self.server = folder / "server.git"
        self.server.mkdir(parents=True)
        subprocess.run(
            ["git", "init", "--quiet", "--bare", "--initial-branch=main", "--template=", "."],
            check=True,
            cwd=self.server,
        )
        self._random = Random(20261120)  # noqa: S311 - the same repository every time
        self._jobs = Jobs()
        self._pack = Pack(self.server)
        self._agent: Agent | None = None
        self._now = LAST - BETWEEN * (releases + 1)
        self._states: dict[ItemKey, _State] = {}
        self._coming: dict[str, Leaf] = {}
        self._main = self._ledger = self._holdings = self._archive = self._deploy = EMPTY
        self._tips: dict[str, bytes] = {}
        self._tags: dict[str, tuple[bytes, bytes]] = {}
        self._holdings_at: CommitId | None = None
        self._root = CommitId("")

    def grow(self) -> Grown:
        """Play all of it."""
        with Agent(folder=self.folder, keys=self.keys) if self.keys else nullcontext() as agent:
            self._agent = agent
            self._begin()
            self._baseline()
            names = [self._release(number) for number in range(self.releases)]
        self._pack.finish()
        self._write_refs()
        grown = Grown(
            server=str(self.server),
            root=self._root,
            jobs=self.jobs,
            releases=self.releases,
            signed=bool(self.keys),
            packages=list(names),
            keys={who: str(path) for who, path in self.keys.items()},
        )
        grown.save(self.folder)
        return grown

    # What everything is made of.

    def _commit(
        self, who: str, tree: bytes, parents: Sequence[str | bytes], message: str, *, sign: bool = True
    ) -> CommitId:
        ids = [bytes.fromhex(parent) if isinstance(parent, str) else parent for parent in parents]
        self._now += timedelta(seconds=1)
        by, at = f"{who} <{who}@example.org>", int(self._now.timestamp())
        data = commit_text(tree=tree, parents=ids, who=by, at=at, message=message)
        if self._agent is not None and sign:
            signature = self._agent.sign(who, data)
            data = commit_text(tree=tree, parents=ids, who=by, at=at, message=message, signature=signature)
        return CommitId(self._pack.add("commit", data).hex())

    def _pin(self, data: bytes) -> Pin:
        return Pin(blob=BlobId(self._pack.blob(data).hex()), sha256=sha256(data).hexdigest())

    def _record(self, item: ItemKey, state: ItemState, package: PackageName | None) -> bytes:
        return self._pack.blob(dump(record_document(Record(item=item, state=state, package=package))))

    def _json(self, document: Mapping[str, object]) -> bytes:
        return self._pack.blob((json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())

    def _tip(self, branch: str) -> CommitId:
        return CommitId(self._tips[branch].hex())

    def _move(self, branch: str, commit: CommitId) -> None:
        self._tips[branch] = bytes.fromhex(commit)

    # The beginning.

    def _begin(self) -> None:
        """Write the first commit, everything in it taken over, and the trust root."""
        content: dict[str, Leaf] = {}
        for item, paths, digest in self._taken_over():
            state = ItemState(version=1, files={path: self._pin(data) for path, data in paths.items()})
            record = self._record(item, state, None)
            self._states[item] = _State(state=state, record=record, digest=digest)
            content.update({path: bytes.fromhex(pin.blob) for path, pin in state.files.items()})
            content[record_path(item)] = record
        self._ledger = self._pack.tree(folder_edits(content))
        readme = self._pack.blob(b"# Revenue\n\nJobs of the data platform.\n")
        self._main = self._pack.tree({"README.md": readme}, self._ledger)
        words = "Begin a release repository\n\nWhat is here now is taken over, not reviewed.\n"
        taken = self._commit("adm-1", self._main.id, (), words)
        self._move("main", taken)
        receipt = Receipt(
            event=Event.ROOT,
            runner=MemberId("adm-1"),
            founding=Founding(workspace=WORKSPACE_ID, main="main", taken_over=taken),
        )
        self._root = self._receipt(receipt, "adm-1")

    def _taken_over(self) -> Iterator[tuple[ItemKey, dict[str, bytes], Digest | None]]:
        yield WORKSPACE_ITEM, {WORKSPACE_PATH: workspace_text(self.keys)}, None
        for stem in SCRIPTS:
            home = f"{stem}.script.yaml"
            item, place = place_of(home).item, place_of(home).directory
            ending = {"check-totals": ".py", "publish-report": ".sh"}.get(item.name, ".sql")
            data, content = set_version(sample(home), 1, file=home), sample(stem + ending)
            document = parse(data, file=home).value
            made = script_files(item, place, document, content.decode(), mappings=MAPPINGS)
            yield item, {home: data, stem + ending: content}, self._deployed(made)
        for number in range(self.jobs):
            digest = self._deployed(self._held(number, 1))
            yield job_key(number), {job_path(number): self._jobs.text(number, 1)}, digest

    def _held(self, number: int, version: int) -> dict[str, bytes]:
        return {f"{stem_of(job_key(number))}.job": self._jobs.held(number, version)}

    def _deployed(self, held: Mapping[str, bytes]) -> Digest:
        """Put files into production; the commit follows."""
        self._coming.update({path: self._pack.blob(data) for path, data in held.items()})
        return digest_of(held)

    def _baseline(self) -> None:
        """Give the target everything that was taken over, as the first sync does."""
        items = tuple(sorted(self._states))
        work = Receipt(
            event=Event.STARTED,
            runner=MemberId("sync"),
            run=RUN,
            work=Work.BASELINE,
            items=items,
            targets=(TARGET,),
        )
        self._receipt(work, "sync")
        self._deploy_commit("baseline")
        results = tuple(self._result(item) for item in items if item.kind is not Kind.WORKSPACE)
        self._holdings_at = self._write_holdings(self._results_held(results, None))
        self._receipt(
            replace(work, event=Event.FINISHED, results=results, holdings=self._holdings_at), "sync"
        )

    # Production and the ledger.

    def _deploy_commit(self, note: str) -> None:
        self._deploy = self._pack.tree(folder_edits(self._coming), self._deploy)
        self._coming.clear()
        before = [self._tips["deploy/main"]] if "deploy/main" in self._tips else []
        self._move("deploy/main", self._commit("sync", self._deploy.id, before, f"{note}\n"))

    def _result(self, item: ItemKey) -> ItemResult:
        held = self._states[item]
        return ItemResult(
            item=item,
            target=TARGET,
            version=held.state.version,
            mapping=MAPPING,
            outcome=Outcome(status=OutcomeStatus.SUCCESSFUL, deployed=held.digest),
        )

    def _results_held(self, results: Sequence[ItemResult], package: PackageName | None) -> dict[str, Leaf]:
        files: dict[str, Leaf] = {
            held_path(TARGET, result.item): self._json(
                holding_document(
                    Holding(
                        item=result.item,
                        version=result.version,
                        mapping=result.mapping,
                        deployed=result.outcome.deployed,
                        status=result.outcome.status,
                        package=package,
                    )
                )
            )
            for result in results
        }
        standing = TargetStanding(state=self._tip("deploy/main"), mapping=MAPPING)
        files[standing_path(TARGET)] = self._json(standing_document(standing))
        return files

    def _write_holdings(self, files: Mapping[str, Leaf]) -> CommitId:
        self._holdings = self._pack.tree(folder_edits(files), self._holdings)
        words = "What every target was last given\n"
        return self._commit("sync", self._holdings.id, (), words, sign=False)

    def _receipt(self, receipt: Receipt, who: str) -> CommitId:
        before = [self._tips["production"]] if "production" in self._tips else []
        kept = [] if receipt.holdings is None else [receipt.holdings]
        evidence = () if receipt.evidence is None else receipt.evidence.commits
        message = message_of(receipt.subject, receipt_document(receipt))
        made = self._commit(who, self._ledger.id, [*before, *kept, *evidence], message)
        self._move("production", made)
        return made

    # One release.

    def _release(self, number: int) -> PackageName:
        """Submit, release, approve, merge and sync one package."""
        self._now = max(self._now, LAST - BETWEEN * (self.releases - number))
        size = min(SIZES[number % len(SIZES)], self.jobs)
        chosen = sorted(self._random.sample(range(self.jobs), size))
        package = default_name([job_key(chosen[0])], self._now)
        base = self._tips["main"]
        tasks = [self._submit(one, package, base) for one in chosen]
        items = tuple(task.planned for task in tasks)
        manifest = Manifest(
            name=package,
            workspace=WORKSPACE_ID,
            root=self._root,
            main="main",
            purpose=Purpose.RELEASE,
            applicant=MemberId("dev-2"),
            description="\n".join(f"{task.planned.id}: {task.description}" for task in tasks),
            reviewers=tuple(MemberId(who) for who in ("adm-1", "adm-2", "dep-1", "dep-2")),
            execute=False,
            items=items,
        )
        written = self._pack.blob(dump(manifest_document(manifest)))
        edits = self._edits(manifest, written)
        self._main = self._pack.tree(edits, self._main)
        words = f"Release {package}\n\n{manifest.description}\n\nCo-authored-by: dev-1 <dev-1@example.org>\n"
        head = self._commit("dev-2", self._main.id, [base], words)
        applied_at = self._now
        log = self._approve(manifest, head, BlobId(written.hex()))
        approved_at = self._now
        merged = f"Merge package {package}\n\nApproved by dep-1.\n"
        merge = self._commit("dep-1", self._main.id, [base, head], merged)
        self._move("main", merge)
        summary = self._summary(manifest, tasks, head, applied_at, approved_at)
        evidence = Evidence(
            main_before=CommitId(base.hex()),
            main_after=merge,
            manifest=BlobId(written.hex()),
            head=head,
            log=log,
            tasks=tuple(planned.task for planned in items),
            approvals=(log,),
        )
        self._sync(manifest, edits, evidence, summary)
        return package

    def _edits(self, manifest: Manifest, written: bytes) -> Edits:
        changes: dict[str, Leaf] = {manifest_path(manifest.name): written}
        for planned in manifest.items:
            changes.update({path: bytes.fromhex(pin.blob) for path, pin in planned.after.files.items()})
            changes[record_path(planned.item)] = bytes.fromhex(planned.record_after)
        return folder_edits(changes)

    def _submit(self, number: int, package: PackageName, base: bytes) -> _Task:
        item, path = job_key(number), job_path(number)
        before = self._states[item]
        version = before.state.version + 1
        after = ItemState(version=version, files={path: self._pin(self._jobs.text(number, version))})
        tree = self._pack.tree(folder_edits({path: bytes.fromhex(after.files[path].blob)}), self._main)
        description = f"Change {version} of the revenue"
        task = TaskId(item=item, version=version)
        made = self._commit("dev-1", tree.id, [base], task_message(task, Change.MODIFY, description))
        record = self._record(item, after, package)
        digest = self._deployed(self._held(number, version))
        self._states[item] = _State(state=after, record=record, digest=digest)
        planned = PlannedItem(
            item=item,
            change=Change.MODIFY,
            before=before.state,
            after=after,
            task=made,
            submitters=(MemberId("dev-1"),),
            record_before=BlobId(before.record.hex()),
            record_after=BlobId(record.hex()),
        )
        return _Task(planned=planned, number=number, at=self._now, description=description)

    def _approve(self, manifest: Manifest, head: CommitId, written: BlobId) -> CommitId:
        document: dict[str, object] = {
            "apiVersion": API_VERSION,
            "kind": "Opinion",
            "say": Say.APPROVE,
            "package": manifest.name,
            "workspace": WORKSPACE_ID,
            "root": self._root,
            "head": head,
            "manifest": written,
            "previous": None,
            "message": "",
            "asks": [],
        }
        message = message_of(f"{Say.APPROVE} {manifest.name}", document)
        return self._commit("dep-1", self._main.id, [head], message)

    def _summary(
        self,
        manifest: Manifest,
        tasks: Sequence[_Task],
        head: CommitId,
        applied_at: datetime,
        approved_at: datetime,
    ) -> Summary:
        def asked(who: str) -> Person:
            return Person(id=MemberId(who), email=f"{who}@example.org")

        def made_by(who: str) -> Person:
            return Person(id=MemberId(who), name=who, email=f"{who}@example.org")

        items = tuple(
            SummaryItem(
                item=task.planned.item,
                change=Change.MODIFY,
                version=task.planned.after.version,
                previous_version=task.planned.after.version - 1,
                submitter=made_by("dev-1"),
                submitted_at=task.at,
                task=task.planned.task,
            )
            for task in tasks
        )
        return Summary(
            name=manifest.name,
            description=manifest.description,
            applicant=asked("dev-2"),
            applied_at=applied_at,
            reviewers=tuple(asked(who) for who in manifest.reviewers),
            approvals=(
                ApprovalView(person=made_by("dep-1"), verdict=Stance.APPROVED, at=approved_at, commit=head),
            ),
            missing=(),
            status=Status.RELEASING,
            execute=False,
            released_by=None,
            released_at=None,
            url=None,
            items=items,
        )

    def _sync(self, manifest: Manifest, edits: Edits, evidence: Evidence, summary: Summary) -> None:
        """Apply a package: *started*, production, *finished*, archive and tag."""
        self._ledger = self._pack.tree(edits, self._ledger)
        told = self._pack.blob(write_summary(summary))
        self._holdings_at = self._write_holdings({summary_path(manifest.name): told})
        work = Receipt(
            event=Event.STARTED,
            runner=MemberId("sync"),
            run=RUN,
            work=Work.PACKAGE,
            package=manifest.name,
            evidence=evidence,
            holdings=self._holdings_at,
        )
        self._receipt(work, "sync")
        self._deploy_commit(f"package {manifest.name}")
        results = tuple(
            self._result(planned.item) for planned in sorted(manifest.items, key=lambda one: one.item)
        )
        items = tuple(replace(one, release=OutcomeStatus.SUCCESSFUL) for one in summary.items)
        ended = replace(
            summary,
            status=Status.SUCCESSFUL,
            items=items,
            released_by=summary.approvals[-1].person,
            released_at=self._now,
        )
        held = self._results_held(results, manifest.name)
        held[summary_path(manifest.name)] = self._pack.blob(write_summary(ended))
        self._holdings_at = self._write_holdings(held)
        done = replace(work, event=Event.FINISHED, evidence=None, results=results, holdings=self._holdings_at)
        self._settle(manifest, evidence)
        self._receipt(done, "sync")
        self._tag(manifest, evidence, ended)

    def _settle(self, manifest: Manifest, evidence: Evidence) -> None:
        if "archive" not in self._tips:
            self._move("archive", self._commit("sync", self._pack.tree({}).id, (), "The archive begins\n"))
        entry = ArchiveEntry(
            by=MemberId("sync"),
            package=manifest.name,
            settlement=Settlement.RELEASED,
            head=evidence.head,
            log=evidence.log,
            tasks=tuple(
                SettledTask(
                    id=planned.id,
                    commit=planned.task,
                    settlement=Settlement.RELEASED,
                    package=manifest.name,
                )
                for planned in manifest.items
            ),
        )
        numbers: dict[str, Leaf] = {
            number_path(planned.item): self._pack.blob(f"{planned.item} {planned.after.version}\n".encode())
            for planned in manifest.items
        }
        self._archive = self._pack.tree(folder_edits(numbers), self._archive)
        message = message_of(entry.subject, entry_document(entry))
        made = self._commit("sync", self._archive.id, [self._tips["archive"], *entry.heads], message)
        self._move("archive", made)

    def _tag(self, manifest: Manifest, evidence: Evidence, summary: Summary) -> None:
        ref = release_tag(manifest.name)
        message = message_of(f"Release {manifest.name}", summary_document(summary))
        head = f"object {evidence.main_after}\ntype commit\ntag {ref.removeprefix('refs/tags/')}\n"
        who = f"tagger sync <sync@example.org> {int(self._now.timestamp())} +0000\n\n"
        made = self._pack.add("tag", (head + who + message.rstrip("\n") + "\n").encode())
        self._tags[ref] = made, bytes.fromhex(evidence.main_after)

    def _write_refs(self) -> None:
        lines = {f"refs/heads/{name}": f"{tip.hex()} refs/heads/{name}\n" for name, tip in self._tips.items()}
        for ref, (tag, target) in self._tags.items():
            lines[ref] = f"{tag.hex()} {ref}\n^{target.hex()}\n"
        text = "# pack-refs with: peeled fully-peeled sorted \n" + "".join(
            lines[ref] for ref in sorted(lines)
        )
        (self.server / "packed-refs").write_text(text, encoding="utf-8", newline="\n")


def make_keys(folder: Path) -> dict[str, Path]:
    """Make a key for everybody."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = {who: folder / who for who in ROLES}
    for who, path in keys.items():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", str(path)]
        subprocess.run(command, check=True, capture_output=True)
    return keys


def grow(folder: Path, *, jobs: int, releases: int, signed: bool = False) -> Grown:
    """Make a bare release repository in a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = make_keys(folder / "keys") if signed else {}
    return Grower(folder, jobs=jobs, releases=releases, keys=keys).grow()
