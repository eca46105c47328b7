"""What may be true of a shop: a small model of the promises, which reads with raw git and believes nobody.

Nothing here uses gitrelease. The model knows who holds which key, keeps every word that was ever signed, and
explains each byte of production by the trust root or by a package that enough of the right people approved.
What it cannot explain fails the test that asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.kit.git import Clone

MAIN = "refs/heads/main"
LEDGER = "refs/heads/production"
ARCHIVE = "refs/heads/archive"
DEPLOY = "refs/heads/deploy/main"
SUBMIT = "refs/heads/submit/"
PACKAGE = "refs/heads/package/"
REVIEW = "refs/heads/review/"
TAGS = "refs/tags/release/"

REVIEWERS = frozenset({"admin", "deployer"})
_DECISIVE = frozenset({"approve", "reject", "withdraw"})
_TOKEN = re.compile(r"\bt[0-9]+\b")
_NUMBER = re.compile(r"^version: ([0-9]+)$", re.MULTILINE)

Files = dict[str, str]
"""Blob ids by path."""
Diff = dict[str, tuple[str | None, str | None]]


def shard(name: str) -> str:
    """Say in which of 256 folders a name lies."""
    return sha256(name.casefold().encode()).hexdigest()[:2]


def manifest_path(package: str) -> str:
    """Say where a manifest lies."""
    return f"packages/{shard(package)}/{package}.yaml"


def is_guarded(path: str) -> bool:
    """Say whether only packages may change a path of the main branch."""
    return path == "workspace.yaml" or path.split("/")[0] in {"jobs", "scripts", "items", "packages"}


@dataclass(frozen=True, kw_only=True)
class Word:
    """What somebody signed about exactly one manifest."""

    by: str
    say: str
    package: str
    manifest: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class Version:
    """What a file of an item says of itself: its number, the mark of whoever edited it, its directory."""

    number: str
    token: str
    directory: str


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What a workspace says of who may approve, read on its own."""

    roles: Mapping[str, frozenset[str]]
    approvals: int
    rollbacks: int
    required: tuple[tuple[str, frozenset[str]], ...]
    connections: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Policy:
        """Read `workspace.yaml`."""
        value = yaml.safe_load(text)
        review = value["review"]
        return cls(
            roles={one["id"]: frozenset(one["roles"]) for one in value["members"]},
            approvals=review["approvals"],
            rollbacks=review["rollbackApprovals"],
            required=tuple(
                (path.removesuffix("**"), frozenset(rule["from"]))
                for rule in review.get("required", ())
                for path in rule["paths"]
            ),
            connections=frozenset(
                target["mappings"]["connections"]["hive_dev"]
                for target in value["production"]["targets"]
                if target["type"] == "git"
            ),
        )

    def may_review(self, who: str) -> bool:
        """Say whether somebody's approval counts at all."""
        return bool(self.roles.get(who, frozenset()) & REVIEWERS)


class Eyes:
    """Raw git on the server. What has an id never changes, so it is read once."""

    def __init__(self, server: Clone, signers: Path, like: Eyes | None = None) -> None:
        self.server = server
        self.signers = signers
        self._trees: dict[str, Files] = like._trees if like else {}
        self._texts: dict[str, str] = like._texts if like else {}
        self._who: dict[str, str | None] = like._who if like else {}
        self._bodies: dict[str, dict[str, Any]] = like._bodies if like else {}

    def refs(self) -> dict[str, str]:
        """List all refs."""
        return self.server.refs()

    def reach(self) -> frozenset[str]:
        """List all commits that some ref still holds."""
        return frozenset(self.server.git("rev-list", "--all").split())

    def tree(self, commit: str) -> Files:
        """List the files of a commit."""
        if commit not in self._trees:
            listed = self.server.git("ls-tree", "-r", "-z", commit).split("\0")
            pairs = (line.partition("\t") for line in listed if line)
            self._trees[commit] = {path: meta.split(" ")[2] for meta, _, path in pairs}
        return self._trees[commit]

    def diff(self, before: str, after: str) -> Diff:
        """Compare two commits, path by path."""
        return compare(self.tree(before), self.tree(after))

    def text(self, blob: str) -> str:
        """Read a blob."""
        if blob not in self._texts:
            self._texts[blob] = self.server.git("cat-file", "blob", blob)
        return self._texts[blob]

    def parents(self, commit: str) -> list[str]:
        """List the parents of a commit."""
        return self.server.git("log", "-1", "--format=%P", commit).split()

    def line(self, tip: str, since: str | None) -> list[str]:
        """List first parents down to a commit, which must be one of them; oldest first."""
        chain = self.server.git("rev-list", "--first-parent", tip).split()
        if since is not None:
            assert since in chain, f"{tip} does not go on from {since}"
            chain = chain[: chain.index(since)]
        return chain[::-1]

    def signer(self, commit: str) -> str | None:
        """Say whose key signed a commit under their own address; None where that is nobody."""
        if commit not in self._who:
            told = self.server.git(
                "-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={self.signers}",
                "log", "-1", "--format=%G?%x00%GS%x00%ae%x00%ce", commit,
            )  # fmt: skip
            good, who, author, committer = told.split("\0")
            own = f"{who}@example.org"
            self._who[commit] = who if good == "G" and {author, committer} == {own} else None
        return self._who[commit]

    def value(self, commit: str) -> dict[str, Any]:
        """Read the value that a commit of ours carries."""
        if commit not in self._bodies:
            self._bodies[commit] = value_of(self.server.git("log", "-1", "--format=%B", commit))
        return self._bodies[commit]

    def superseded(self, commit: str) -> list[str]:
        """List what a task says it takes over, and what that took over."""
        text = self.server.git("log", "-1", "--format=%(trailers:key=Supersedes,valueonly)", commit)
        return [one for old in text.split() for one in (old, *self.superseded(old))]


def value_of(message: str) -> dict[str, Any]:
    """Read the JSON that ends a message; nothing where there is none."""
    start = message.find("\n\n{")
    return dict(json.loads(message[start:])) if start >= 0 else {}


def compare(before: Files, after: Files) -> Diff:
    """Say where two sets of files part."""
    return {
        path: (before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }


def plan_of(manifest: Mapping[str, Any], blob: str) -> Diff:
    """Say what a manifest changes, its own file and the records included."""
    found: Diff = {manifest_path(manifest["name"]): (None, blob)}
    for one in manifest.get("items", ()):
        kind, _, name = one["item"].partition("/")
        record = f"items/{kind}/{shard(name)}/{name.casefold()}.yaml"
        found[record] = (one["record"]["before"], one["record"]["after"])
        before = {path: pin["blob"] for path, pin in ((one["before"] or {}).get("files") or {}).items()}
        after = {path: pin["blob"] for path, pin in (one["after"].get("files") or {}).items()}
        found.update(compare(before, after))
    for one in manifest.get("restores", ()):
        found[one["path"]] = (one["found"], one["approved"])
    return found


Mode = Literal["honest", "attack", "people"]


@dataclass(kw_only=True)
class Truth:
    """What is known of a shop from outside, step by step."""

    eyes: Eyes
    plant: Path
    root: str
    words: list[Word] = field(default_factory=list)
    """Everything that anybody signed about a package, in order, pushed or not."""
    versions: dict[str, list[Version | None]] = field(default_factory=dict)
    """What production may hold of each item; None is nothing."""
    applied: dict[str, str] = field(default_factory=dict)
    """Packages that went to production, and where each was merged."""
    finished: dict[str, str] = field(default_factory=dict)
    """Packages whose release ended, with the note of the receipt."""
    reached: str = ""
    """The merge that the ledger spoke of last."""
    refused: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    """Packages that were rejected or revoked by people who may."""
    touched: set[str] = field(default_factory=set)
    """Packages whose branches or tasks somebody moved with raw git."""
    excused: set[str] = field(default_factory=set)
    """Commits that the attacker took from the server's refs, which nobody promised to prevent."""
    dirty: bool = False
    """Whether the main branch was pushed to with raw git since it last was as approved."""
    given: Files = field(default_factory=dict)
    """What honest syncs put on the deploy branch."""
    planted: dict[str, str] = field(default_factory=dict)
    """What honest syncs put into the plant, and its text."""
    plant_seen: dict[str, str] = field(default_factory=dict)
    """What the plant held after the last step."""
    connections: set[str] = field(default_factory=set)
    """The names that approved workspaces gave to the connection of every item."""
    refs: dict[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    ever: set[str] = field(default_factory=set)
    heads: dict[str, list[str]] = field(default_factory=dict)
    """Every value that each package branch, review log and task branch had."""

    @classmethod
    def at_the_beginning(cls, eyes: Eyes, plant: Path, root: str) -> Truth:
        """Begin with what was taken over."""
        made = cls(eyes=eyes, plant=plant, root=root, refs=eyes.refs(), held=eyes.reach())
        made.ever |= made.held
        made.connections |= made.policy().connections
        made.versions = {item: [version] for item, version in made.states(made.refs[LEDGER]).items()}
        made.given = dict(eyes.tree(made.refs[DEPLOY]))
        made.planted = made.plant_now()
        made.plant_seen = dict(made.planted)
        return made

    def copied(self, server: Clone, plant: Path) -> Truth:
        """Go on from here with a copy of the shop; what was read is shared, as nothing that has an id changes."""
        known = {one.name: deepcopy(getattr(self, one.name)) for one in fields(self) if one.name != "eyes"}
        eyes = Eyes(server, self.eyes.signers, like=self.eyes)
        return Truth(**{**known, "eyes": eyes, "plant": plant})

    # Looking.

    def policy(self, commit: str | None = None) -> Policy:
        """Read the workspace that the ledger holds, now or then."""
        tree = self.eyes.tree(commit or self.refs[LEDGER])
        return Policy.of(self.eyes.text(tree["workspace.yaml"]))

    def states(self, commit: str) -> dict[str, Version]:
        """Read which version of each item a commit holds."""
        tree, found = self.eyes.tree(commit), {}
        for path, blob in tree.items():
            folder, _, file = path.rpartition("/")
            place = "/" + folder.partition("/")[2]
            if path.startswith("jobs/") and file.endswith(".job.yaml"):
                text = self.eyes.text(blob)
                name = file.removesuffix(".job.yaml")
                found[f"job/{name}"] = _version(text, text, place)
            elif path.startswith("scripts/") and file.endswith(".sql"):
                name = file.removesuffix(".sql")
                text = self.eyes.text(tree[f"{folder}/{name}.script.yaml"])
                found[f"script/{name}"] = _version(text, self.eyes.text(blob), place)
        return found

    def plant_now(self) -> dict[str, str]:
        """Read what the plant holds."""
        return {
            f"{path.parent.name}/{path.stem}": path.read_text(encoding="utf-8")
            for path in sorted(self.plant.glob("*/*.json"))
        }

    def manifest(self, blob: str) -> dict[str, Any]:
        """Read a manifest."""
        return dict(yaml.safe_load(self.eyes.text(blob)))

    def open_packages(self) -> list[str]:
        """Name the packages that have a branch."""
        return sorted(ref.removeprefix(PACKAGE) for ref in self.refs if ref.startswith(PACKAGE))

    def open_tasks(self) -> list[str]:
        """Name the tasks that have a branch."""
        return sorted(ref.removeprefix(SUBMIT) for ref in self.refs if ref.startswith(SUBMIT))

    def is_merged(self, package: str) -> bool:
        """Say whether the main branch holds a package."""
        return MAIN in self.refs and manifest_path(package) in self.eyes.tree(self.refs[MAIN])

    def shown(self, package: str) -> str | None:
        """Give the manifest that a package branch holds."""
        head = self.refs.get(PACKAGE + package)
        return None if head is None else self.eyes.tree(head).get(manifest_path(package))

    def authors(self, manifest: Mapping[str, Any], head: str) -> set[str | None]:
        """Say whose keys made a package: its head, its tasks, and what those took over."""
        tasks = [one["task"] for one in manifest.get("items", ())]
        commits = [head, *tasks, *(old for task in tasks for old in self.eyes.superseded(task))]
        return {self.eyes.signer(commit) for commit in commits}

    # Judging, on its own.

    def said(self, package: str, among: Iterable[str]) -> list[Word]:
        """List what was said of a package in commits that the server had."""
        known = set(among)
        return [
            word
            for word in self.words
            if word.package == package and word.commit in known and word.say in _DECISIVE
        ]

    def is_approved(
        self,
        manifest: Mapping[str, Any],
        blob: str,
        *,
        policy: Policy,
        authors: set[str | None],
        words: Sequence[Word],
        last_only: bool = True,
    ) -> bool:
        """Say whether enough of the right people, and no author, approved exactly this manifest.

        Where the attacker touched the log, words that were taken back may look as if they stood.
        """
        standing = list({word.by: word for word in words}.values()) if last_only else list(words)
        yes = {word.by for word in standing if word.say == "approve" and word.manifest == blob}
        yes = {who for who in yes if policy.may_review(who) and who not in authors}
        if last_only and any(word.say == "reject" and policy.may_review(word.by) for word in standing):
            return False
        needed = policy.rollbacks if manifest["purpose"] == "rollback" else policy.approvals
        plan = plan_of(manifest, blob)
        if "workspace.yaml" in plan and not any("admin" in policy.roles[who] for who in yes):
            return False
        for prefix, people in policy.required:
            if any(path.startswith(prefix) for path in plan) and not yes & people:
                return False
        return len(yes) >= max(1, needed)

    # Step by step.

    def observe(self, mode: Mode) -> None:
        """Look at what a step did, and fail where a promise does not hold.

        Args:
            mode: whether people did it with gitrelease, the attacker with raw git, or people mended something.
        """
        now = self.eyes.refs()
        before, self.refs = self.refs, now
        if before == now and self.plant_now() == self.plant_seen:
            return
        if before != now:
            held = self.eyes.reach()
            gone = self.held - held
            if mode == "honest":
                assert not gone - self.excused, f"lost: {sorted(gone - self.excused)}"
            else:
                self.excused |= gone
            self.excused -= held
            earlier, self.held = self.held, held
            self.ever |= held
            for ref, id_ in now.items():
                if before.get(ref) != id_ and ref.startswith((PACKAGE, REVIEW, SUBMIT)):
                    self.heads.setdefault(ref, []).append(id_)
        else:
            earlier = self.held
        if mode == "attack":
            self._note_attack(before, now)
        elif mode == "honest":
            works = self._ledger(before, now, earlier)
            self._main(before, now)
            self._branches(before, now)
            self._deployed(before, now, works)
            self._planted(works)
            if self.dirty and self.is_main_clean():
                self.dirty = False
        self.plant_seen = self.plant_now()

    def _note_attack(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        for ref in {**before, **now}:
            if before.get(ref) == now.get(ref):
                continue
            if ref.startswith((PACKAGE, REVIEW)):
                self.touched.add(ref.split("/", 3)[3])
            elif ref.startswith(SUBMIT) and ref in before:
                for package in self.open_packages():
                    blob = self.shown(package)
                    if blob is not None and before[ref] in self.eyes.text(blob):
                        self.touched.add(package)
            elif ref == MAIN:
                self.dirty = True

    def _branches(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        """A submitted version never moves, what is closed is archived, tags stay, the archive grows."""
        for ref, old in before.items():
            new = now.get(ref)
            if new == old:
                continue
            assert new is None or not ref.startswith((SUBMIT, TAGS)), f"{ref} was moved"
            assert new is not None or not ref.startswith(TAGS), f"{ref} was deleted"
            if ref == ARCHIVE:
                assert new is not None, "the archive is gone"
                self.eyes.line(new, old)
            if new is None and ref.startswith(PACKAGE):
                package = ref.removeprefix(PACKAGE)
                if package not in self.applied:
                    self.closed.add(package)
                assert package not in self.applied or package in self.finished, f"{package} went too early"

    def _main(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Whatever people merged with gitrelease is, blob for blob, what one manifest says."""
        if before.get(MAIN) == now.get(MAIN):
            return
        assert MAIN in now, "the main branch is gone"
        for merge in self.eyes.line(now[MAIN], before.get(MAIN)):
            parents = self.eyes.parents(merge)
            found = self.eyes.diff(parents[0], merge)
            new = [path for path, (old, _) in found.items() if path.startswith("packages/") and old is None]
            assert len(new) == 1, f"{merge} merges {new}"
            blob = str(found[new[0]][1])
            manifest = self.manifest(blob)
            assert found == plan_of(manifest, blob), f"{merge} is not what {new[0]} says"
            yes = {
                w.by
                for w in self.said(manifest["name"], self.ever)
                if w.say == "approve" and w.manifest == blob
            }
            authors = self.authors(manifest, parents[1])
            assert yes - authors, f"{merge} merges {new[0]}, which nobody but its authors approved"

    def _ledger(self, before: Mapping[str, str], now: Mapping[str, str], earlier: frozenset[str]) -> set[str]:
        """Every receipt follows, each package is applied once, and what it brings was approved."""
        old = before.get(LEDGER)
        if old is None:
            assert LEDGER not in now, "a ledger was made where there was none"
            return set()
        works = {str(self.eyes.value(old).get("work"))} if self._is_open(old) else set()
        if now.get(LEDGER) == old:
            return works
        assert LEDGER in now, "the ledger is gone"
        for commit in self.eyes.line(now[LEDGER], old):
            value = self.eyes.value(commit)
            works.add(str(value["work"]))
            who = self.eyes.signer(commit)
            assert who is not None, f"receipt {commit} was signed by nobody"
            assert "runner" in self.policy(self._start_of(commit, old)).roles[who], f"{who} wrote {commit}"
            package = value.get("package")
            if value.get("evidence"):
                self.reached = value["evidence"]["mainAfter"]
            if value["event"] == "started" and package:
                self._applied(commit, old, value, earlier)
            else:
                assert not self.eyes.diff(old, commit), f"{value['event']} {commit} changes production"
            if value["event"] == "finished" and package:
                assert package in self.applied, f"{package} was finished and never begun"
                assert package not in self.finished, f"{package} was finished twice"
                self.finished[package] = value.get("note") or ""
            if value["event"] == "refused":
                assert package not in self.refused | self.applied.keys(), f"{package} was refused too late"
                self.refused.add(str(package))
            old = commit
        return works

    def _is_open(self, commit: str) -> bool:
        return self.eyes.value(commit).get("event") in {"started", "alive"}

    def _start_of(self, commit: str, before: str) -> str:
        """Find the receipt before the work that a receipt is part of: its workspace says who may write it."""
        while self._is_open(before) and self.eyes.value(commit)["event"] in {"alive", "finished"}:
            commit, before = before, self.eyes.parents(before)[0]
        return before

    def _applied(self, commit: str, old: str, value: Mapping[str, Any], earlier: frozenset[str]) -> None:
        package, evidence = str(value["package"]), value["evidence"]
        assert package not in self.applied, f"{package} was applied twice"
        assert package not in self.refused, f"{package} was applied after it was refused"
        assert package not in self.closed, f"{package} was applied after it was closed"
        found = self.eyes.diff(old, commit)
        blob = self.eyes.tree(commit)[manifest_path(package)]
        manifest = self.manifest(blob)
        plan = plan_of(manifest, blob)
        if manifest.get("restores"):
            tree = self.eyes.tree(old)
            plan = {path: (tree.get(path), after) for path, (_, after) in plan.items()}
            plan = {path: pair for path, pair in plan.items() if pair[0] != pair[1]}
        assert found == plan, f"{package} changes {found}, and its manifest says {plan}"
        head = evidence["head"]
        assert self.eyes.tree(head)[manifest_path(package)] == blob, f"{head} is not the head of {package}"
        authors = self.authors(manifest, head)
        assert None not in authors, f"{package} was made by somebody whom no key names"
        assert manifest["applicant"] == self.eyes.signer(head), f"{package} is not by its applicant"
        for one in manifest.get("items", ()):
            task = self.eyes.tree(one["task"])
            for path, pin in (one["after"].get("files") or {}).items():
                assert task.get(path) == pin["blob"], f"{one['item']} is not what was submitted"
        policy = self.policy(old)
        touched = package in self.touched
        among = [self.ever] if touched else [set(earlier), self.ever]
        assert any(
            self.is_approved(
                manifest, blob, policy=policy, authors=authors, words=self.said(package, known),
                last_only=not touched,
            )
            for known in among
        ), f"{package} was applied and is not approved: {self.said(package, self.ever)}"  # fmt: skip
        self.applied[package] = evidence["mainAfter"]
        self.connections |= self.policy(commit).connections
        states = self.states(commit)
        for one in manifest.get("items", ()):
            if not one["item"].startswith("workspace/"):
                self.versions.setdefault(one["item"], [None]).append(states.get(one["item"]))

    # Production.

    def _deployed(self, before: Mapping[str, str], now: Mapping[str, str], works: set[str]) -> None:
        """What honest syncs put on the deploy branch is explained, and what drifted is left alone."""
        if before.get(DEPLOY) == now.get(DEPLOY):
            return
        assert DEPLOY in now, "the deploy branch is gone"
        old = self.eyes.tree(before[DEPLOY]) if DEPLOY in before else {}
        for path, (was, is_) in compare(old, self.eyes.tree(now[DEPLOY])).items():
            if was != self.given.get(path):
                assert "repair" in works, f"{path} had drifted, and was overwritten"
            self._explain(_item_at(path), None if is_ is None else self.eyes.text(is_), self.connections)
            if is_ is None:
                self.given.pop(path, None)
            else:
                self.given[path] = is_

    def _planted(self, works: set[str]) -> None:
        """The same for the plant."""
        now, seen = self.plant_now(), self.plant_seen
        for item in now.keys() | seen.keys():
            if now.get(item) == seen.get(item):
                continue
            if seen.get(item) != self.planted.get(item):
                assert "repair" in works, f"{item} had drifted in the plant, and was overwritten"
            held = now.get(item)
            self._explain(item, held and next(iter(json.loads(held).values())), {"hive_dev"})
            if held is None:
                self.planted.pop(item, None)
            else:
                self.planted[item] = held

    def _explain(self, item: str, text: str | None, connections: set[str]) -> None:
        """Find the approved version that something in production is; nothing but the names may differ."""
        allowed = self.versions.get(item, [None])
        if text is None:
            assert None in allowed, f"{item} left production, and nobody approved that"
            return
        version, connection = read_deployed(text)
        assert version in allowed, f"{item} is in production as {version}, approved were {allowed}"
        assert connection is None or connection in connections, f"{item} uses {connection}"

    def drifted(self) -> tuple[set[str], set[str]]:
        """Say what production holds as nobody released it: paths of the deploy branch, items of the plant."""
        tip = self.refs.get(DEPLOY)
        paths = set(compare(self.given, self.eyes.tree(tip) if tip else {}))
        return paths, set(compare(self.planted, self.plant_now()))

    def drifted_items(self) -> set[str]:
        """Name the items that production holds as nobody released them."""
        paths, items = self.drifted()
        return {_item_at(path) for path in paths} | items

    def check_in_line(self, behind: Iterable[tuple[str, str]]) -> None:
        """After a sync, both targets hold what the ledger says, but for what it owns up to."""
        excused, wanted = set(behind), self.states(self.refs[LEDGER])
        tree = self.eyes.tree(self.refs[DEPLOY]) if DEPLOY in self.refs else {}
        held: dict[str, dict[str, Version]] = {"main": {}, "plant": {}}
        paths, items = self.drifted()
        for path, blob in tree.items():
            if path not in paths:
                held["main"][_item_at(path)] = read_deployed(self.eyes.text(blob))[0]
        for item, text in self.plant_now().items():
            if item not in items:
                held["plant"][item] = read_deployed(next(iter(json.loads(text).values())))[0]
        drifted = {"main": {_item_at(path) for path in paths}, "plant": items}
        for target, found in held.items():
            for item in (wanted.keys() | found.keys()) - drifted[target]:
                if (target, item) not in excused:
                    assert found.get(item) == wanted.get(item), f"{target} holds {item} as {found.get(item)}"

    # What `verify` has to find.

    def is_main_clean(self) -> bool:
        """Say whether the main branch holds what production should, and nothing else."""
        if not {MAIN, LEDGER} <= self.refs.keys():
            return False
        return _guarded(self.eyes.tree(self.refs[MAIN])) == _guarded(self.eyes.tree(self.refs[LEDGER]))

    def verdict(self) -> tuple[bool | None, list[str]]:
        """Say whether everything holds that `verify` looks at, as far as that is certain; None where it is not."""
        bad = [f"{path} was changed in production" for path in sorted(self.drifted()[0])]
        bad += self._tag_faults()
        main, ledger = _guarded(self.eyes.tree(self.refs[MAIN])), _guarded(self.eyes.tree(self.refs[LEDGER]))
        pending = self._pending(main, ledger)
        known = {pair for blob in pending.values() for pair in self._brought(blob)} | set(ledger.items())
        bad += [f"{path} of main was never planned" for path in sorted({p for p, _ in main.items() - known})]
        if not pending:
            bad += [f"main lacks {path}" for path in ledger.keys() - main.keys()]
        if bad:
            return False, bad
        if not pending:
            return True, []
        if over := pending.keys() & (self.refused | self.closed):
            return False, [f"{package} is on main, and was refused or closed" for package in over]
        if len(pending) > 1 or self.dirty or pending.keys() & self.touched:
            return None, []
        ((package, blob),) = pending.items()
        manifest = self.manifest(blob)
        if compare(ledger, main) != plan_of(manifest, blob) or PACKAGE + package not in self.refs:
            return None, []
        authors = self.authors(manifest, self.refs[PACKAGE + package])
        words = self.said(package, self.held)
        is_ok = self.is_approved(manifest, blob, policy=self.policy(), authors=authors, words=words)
        return is_ok, [] if is_ok else [f"{package} is merged and not approved"]

    def _pending(self, main: Files, ledger: Files) -> dict[str, str]:
        """List the packages that the main branch holds and the ledger does not."""
        new = {
            path: blob for path, blob in main.items() if path.startswith("packages/") and path not in ledger
        }
        return {path.rpartition("/")[2].removesuffix(".yaml"): blob for path, blob in new.items()}

    def _brought(self, blob: str) -> Iterable[tuple[str, str]]:
        plan = plan_of(self.manifest(blob), blob) if self._is_manifest(blob) else {}
        return [(path, after) for path, (_, after) in plan.items() if after is not None]

    def _is_manifest(self, blob: str) -> bool:
        """Say whether people of the shop ever put this manifest up for review; others explain nothing."""
        return any(
            self.eyes.tree(id_).get(manifest_path(ref.removeprefix(PACKAGE))) == blob
            for ref, ids in self.heads.items()
            if ref.startswith(PACKAGE)
            for id_ in ids
        )

    def _tag_faults(self) -> list[str]:
        peeled = {}
        if any(ref.startswith(TAGS) for ref in self.refs):
            listed = self.eyes.server.git(
                "for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", TAGS
            )
            for line in listed.splitlines():
                name, own, target = (line + " ").split(" ")[:3]
                peeled[name.removeprefix(TAGS)] = target or own
        taken = {package for package, note in self.finished.items() if note}
        wanted = {package: self.applied[package] for package in self.finished}
        return [
            f"the tag of {package} is not where it was put"
            for package in sorted((peeled.keys() | wanted.keys()) - taken)
            if peeled.get(package) != wanted.get(package)
        ]


def _guarded(files: Files) -> Files:
    return {path: blob for path, blob in files.items() if is_guarded(path)}


def _version(document: str, text: str, directory: str) -> Version:
    number, token = _NUMBER.search(document), _TOKEN.search(text)
    return Version(number=number[1] if number else "", token=token[0] if token else "", directory=directory)


def _item_at(path: str) -> str:
    """Say which item a file of the deploy branch is of."""
    kind, _, file = path.partition("s/")
    return f"{kind}/{file.rpartition('/')[2].rpartition('.')[0]}" if "." in path else path


def read_deployed(text: str) -> tuple[Version, str | None]:
    """Read what production was given: which version it says it is, and the connection it uses."""
    value = json.loads(text)
    names = [one["value"] for node in value.get("nodes", ()) for one in node["properties"]
             if one["name"] == "connectionName"]  # fmt: skip
    token = _TOKEN.search(value.get("description") or value.get("content") or "")
    version = Version(
        number=str(value.get("version")),
        token=token[0] if token else "",
        directory=value.get("directory", ""),
    )
    return version, value.get("connectionName") or (names[0] if names else None)
