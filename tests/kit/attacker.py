"""The attacker: an insider with a developer's key, who can move every ref of a server that does not defend itself.

All of it is raw git on the shared repository, where a push would put it. He signs with his own key or not at
all, under any name, and uses again what others signed; he has nobody else's key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from tests.kit.git import Clone
from tests.kit.shop import job_yaml
from tests.kit.truth import (
    ARCHIVE,
    DEPLOY,
    LEDGER,
    MAIN,
    PACKAGE,
    REVIEW,
    SUBMIT,
    TAGS,
    manifest_path,
    shard,
)
from tests.kit.world import Noticed, World

ME = "mal"
EVIL = "t666"
"""The mark of what nobody submitted."""

Edits = Mapping[str, str | None]


def pick(options: Sequence[str], number: int) -> str | None:
    """Choose by number among what there is."""
    return options[number % len(options)] if options else None


class Attacker:
    """What he does to one world. Each move says whether there was anything to do it to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.truth = world.truth
        self.eyes = world.truth.eyes

    # Raw hands.

    def git(self, *args: str, name: str = ME, stdin: str = "") -> str:
        """Run git on the server under any name; what is signed is signed with his own key."""
        server = self.world.server
        own = {
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": f"{name}@example.org",
            "GIT_COMMITTER_NAME": name,
            "GIT_COMMITTER_EMAIL": f"{name}@example.org",
            "GIT_INDEX_FILE": str(self.world.folder / "index"),
        }
        hand = Clone(path=server.path, environ={**server.environ, **own}, clock=server.clock)
        key = self.world.stage.keys(ME).path
        return hand.git("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", *args, stdin=stdin)

    def blob(self, text: str) -> str:
        """Store a text."""
        return self.git("hash-object", "-w", "--stdin", stdin=text)

    def commit(
        self,
        base: str,
        edits: Edits,
        message: str = "tidy up",
        *,
        parents: Sequence[str] | None = None,
        name: str = ME,
        sign: bool = True,
    ) -> str:
        """Write a commit: the files of another one, edited."""
        self.git("read-tree", base)
        lines = [
            f"0 {'0' * 40}\t{path}" if text is None else f"100644 {self.blob(text)}\t{path}"
            for path, text in edits.items()
        ]
        self.git("update-index", "--index-info", stdin="".join(f"{line}\n" for line in lines))
        tree = self.git("write-tree")
        over = [word for parent in (parents if parents is not None else [base]) for word in ("-p", parent)]
        return self.git("commit-tree", tree, *over, *(["-S"] if sign else []), name=name, stdin=message)

    def read(self, commit: str, path: str) -> str:
        """Read a file of a commit."""
        return self.eyes.text(self.eyes.tree(commit)[path]) + "\n"

    def _move(self, ref: str, to: str | None) -> None:
        self.world.force(ref, to)

    def _main(self) -> str:
        return self.truth.refs[MAIN]

    def _job(self, number: int) -> str | None:
        """Choose a job that the main branch holds, by its path."""
        jobs = [p for p in self.eyes.tree(self._main()) if p.startswith("jobs/") and p.endswith(".job.yaml")]
        return pick(jobs, number)

    # Tasks.

    def forge_task(self, number: int, how: str) -> bool:
        """Push a branch that looks like somebody's task."""
        path = self._job(number)
        if path is None:
            return False
        name = path.rpartition("/")[2].removesuffix(".job.yaml")
        version = 1 + max(
            (int(task.rpartition("/v")[2]) for task in self.truth.open_tasks() if f"/{name}/" in task),
            default=int(self.truth.states(self.truth.refs[LEDGER])[f"job/{name}"].number)
            if f"job/{name}" in self.truth.states(self.truth.refs[LEDGER])
            else 0,
        )
        version += how == "skips ahead"
        edits: dict[str, str | None] = {path: job_yaml(name, version=version, note=EVIL)}
        if how == "wide":
            edits["scripts/sales/clean.sql"] = f"SELECT 2; -- {EVIL}\n"
        message = f"urgent\n\nItem: job/{name}\nVersion: {version}\n"
        if how == "hides its author":
            old = pick(self.truth.open_tasks(), number)
            message += f"Supersedes: {self.truth.refs[SUBMIT + old]}\n" if old else ""
        made = self.commit(
            self._main(),
            edits,
            message,
            name="dev-1" if how in {"unsigned", "another's name"} else ME,
            sign=how != "unsigned",
        )
        self._move(f"{SUBMIT}job/{name}/v{version}", made)
        return True

    def move_task(self, number: int, how: str) -> bool:
        """Put something else where somebody's task was."""
        task = pick(self.truth.open_tasks(), number)
        if task is None:
            return False
        ref = SUBMIT + task
        if how == "deleted":
            self._move(ref, None)
        elif how == "another's":
            other = pick(self.truth.open_tasks(), number + 1)
            self._move(ref, self.truth.refs[f"{SUBMIT}{other}"])
        else:
            old = self.truth.refs[ref]
            base = self.eyes.parents(old)[0]
            edits: dict[str, str | None] = {
                path: None if after is None else self._evil(self.eyes.text(after) + "\n")
                for path, (_, after) in self.eyes.diff(base, old).items()
            }
            message = self.eyes.server.git("log", "-1", "--format=%B", old)
            name = ME if how == "own" else self.eyes.signer(old) or ME
            self._move(ref, self.commit(base, edits, message, name=name, sign=how == "own"))
        return True

    def _evil(self, text: str) -> str:
        """Give a text another mark."""
        marks = {word for word in text.replace("\n", " ").split() if word[:1] == "t" and word[1:].isdigit()}
        for mark in marks:
            text = text.replace(mark, EVIL)
        return text

    # Packages.

    def amend_package(self, package: str, how: str) -> bool:
        """Put other bytes where a package was, perhaps after it was approved."""
        ref = PACKAGE + package
        head = self.truth.refs.get(ref)
        if head is None:
            return False
        parents = self.eyes.parents(head)
        if how == "deleted":
            self._move(ref, None)
            return True
        if how == "another's":
            other = pick([one for one in self.truth.open_packages() if one != package], 0)
            if other is not None:
                self._move(ref, self.truth.refs[PACKAGE + other])
            return other is not None
        if how == "signed again":  # the same bytes in his own name
            self._move(ref, self.commit(head, {}, "Release", parents=parents))
            return True
        if manifest_path(package) not in self.eyes.tree(head):
            return False
        manifest = self.read(head, manifest_path(package))
        value = self.truth.manifest(self.eyes.tree(head)[manifest_path(package)])
        edits, manifest = self._planned_evil(head, value, manifest)
        if how == "bytes only":
            edits = {
                path: text for path, text in edits.items() if not path.startswith(("items/", "packages/"))
            }
        else:
            if how == "own":
                manifest = manifest.replace(f"applicant: {value['applicant']}", f"applicant: {ME}")
            edits[manifest_path(package)] = manifest
        self._move(ref, self.commit(head, edits, "Release", parents=parents, sign=how != "unsigned"))
        return True

    def _planned_evil(
        self, head: str, value: Mapping[str, Any], manifest: str
    ) -> tuple[dict[str, str | None], str]:
        """Write a plan of other bytes that agrees with itself: task, pins, record and manifest."""
        edits: dict[str, str | None] = {}
        for one in value.get("items", ()):
            record_at = self._record_of(one["item"])
            record = self.read(head, record_at)
            mine: dict[str, str | None] = {}
            for path, pin in (one["after"].get("files") or {}).items():
                text = self._evil(self.eyes.text(pin["blob"]) + "\n")
                mine[path] = text
                for old, new in (
                    (pin["blob"], self.blob(text)),
                    (pin["sha256"], sha256(text.encode()).hexdigest()),
                ):
                    manifest, record = manifest.replace(old, new), record.replace(old, new)
            manifest = manifest.replace(one["record"]["after"], self.blob(record))
            base = self.eyes.parents(one["task"])[0]
            gone = {
                path: None for path, (_, after) in self.eyes.diff(base, one["task"]).items() if after is None
            }
            kind, _, name = one["item"].partition("/")
            message = f"urgent\n\nItem: {one['item']}\nVersion: {one['after']['version']}\n"
            task = self.commit(base, {**gone, **mine}, message)
            self._move(f"{SUBMIT}{kind}/{name}/v{one['after']['version']}", task)
            manifest = manifest.replace(one["task"], task)
            submitters = "".join(f"      - {who}\n" for who in one["submitters"])
            manifest = manifest.replace(f"    submitters:\n{submitters}", f"    submitters:\n      - {ME}\n")
            edits |= {**gone, **mine, record_at: record}
        return edits, manifest

    def _record_of(self, item: str) -> str:
        kind, _, name = item.partition("/")
        return f"items/{kind}/{shard(name)}/{name.casefold()}.yaml"

    def hide_author(self, package: str) -> bool:
        """Take a package of other people's tasks, and say that he submitted them."""
        ref = PACKAGE + package
        head = self.truth.refs.get(ref)
        if head is None or manifest_path(package) not in self.eyes.tree(head):
            return False
        value = self.truth.manifest(self.eyes.tree(head)[manifest_path(package)])
        manifest = self.read(head, manifest_path(package))
        for one in value.get("items", ()):
            submitters = "".join(f"      - {who}\n" for who in one["submitters"])
            manifest = manifest.replace(f"    submitters:\n{submitters}", f"    submitters:\n      - {ME}\n")
        manifest = manifest.replace(f"applicant: {value['applicant']}", f"applicant: {ME}")
        made = self.commit(head, {manifest_path(package): manifest}, parents=self.eyes.parents(head))
        self._move(ref, made)
        return True

    # Reviews.

    def forge_opinion(self, package: str, who: str, how: str) -> bool:
        """Say yes in somebody's name."""
        blob = self.truth.shown(package)
        if blob is None:
            return False
        head, log = self.truth.refs[PACKAGE + package], self.truth.refs.get(REVIEW + package)
        value = {
            "apiVersion": "gitrelease/v1",
            "kind": "Opinion",
            "say": "withdraw" if how == "takes back" else "approve",
            "package": package,
            "workspace": self.truth.manifest(blob)["workspace"],
            "root": self.truth.root,
            "head": head,
            "manifest": blob,
            "previous": log,
            "message": "",
            "asks": [],
        }
        name = ME if how == "own" else who
        made = self.commit(
            head,
            {},
            f"approve {package}\n\n{json.dumps(value)}\n",
            parents=[*([log] if log else []), head],
            name=name,
            sign=how != "unsigned",
        )
        self._move(REVIEW + package, made)
        return True

    def replay_opinion(self, package: str, other: int) -> bool:
        """Lead a log to what somebody signed about another package."""
        words = [w.commit for w in self.truth.words if w.say == "approve" and w.package != package]
        word = pick([commit for commit in words if commit in self.truth.ever], other)
        if word is None:
            return False
        ref = REVIEW + package
        log = self.truth.refs.get(ref)
        self._move(ref, word if log is None else self.commit(log, {}, "Merge", parents=[log, word]))
        return True

    def spoil_log(self, package: str, how: str) -> bool:
        """Take words out of a log, or put something into it that is none."""
        ref = REVIEW + package
        log = self.truth.refs.get(ref)
        if self.world.is_harmed(ref):
            return False
        yes = self._yes_to(package)
        match how:
            case "added to" if PACKAGE + package in self.truth.refs:
                self._move(ref, self.commit(log or self.truth.refs[PACKAGE + package], {}, "hello\n"))
            case "deleted" if log:  # reviews end, so nobody minds, until there is another one
                self._move(ref, None)
                self.world.mended.add(ref)
            case "cut" if log:
                self.world.harm(ref, self.eyes.parents(log)[0], verbs="perhaps", is_told=False)
            case "revived" if log and yes and yes[-1] != log:
                self.world.harm(ref, yes[-1], verbs="perhaps", is_told=False)
            case _:
                return False
        return True

    def _yes_to(self, package: str) -> list[str]:
        """List every yes to a package that the server ever had."""
        said = self.truth.said(package, self.truth.ever)
        return [word.commit for word in said if word.say == "approve"]

    def resurrect(self, package: str) -> bool:
        """Put a closed package back as it was when somebody had said yes."""
        heads, yes = self.truth.heads.get(PACKAGE + package), self._yes_to(package)
        if not heads or PACKAGE + package in self.truth.refs:
            return False
        self._move(PACKAGE + package, heads[-1])
        if yes:
            self._move(REVIEW + package, yes[-1])
            self.world.mended.add(REVIEW + package)
        return True

    # The main branch.

    def push_main(self, number: int, how: str) -> bool:
        """Put onto the main branch what nobody approved."""
        if self.world.is_harmed(MAIN):
            return False
        main, path = self._main(), self._job(number)
        edits = self._for_main(main, path, number, how)
        if not edits:
            return False
        self._move(MAIN, self.commit(main, edits, "quick fix"))
        return True

    def _for_main(self, main: str, path: str | None, number: int, how: str) -> Edits:
        tree = self.eyes.tree(main)
        package = pick(self.truth.open_packages(), number)
        head = self.truth.refs.get(f"{PACKAGE}{package}")
        match how:
            case "job" if path:
                name = path.rpartition("/")[2].removesuffix(".job.yaml")
                return {path: job_yaml(name, version=9, note=EVIL)}
            case "gone" if path:
                return {path: None}
            case "new job":
                return {"jobs/sales/evil.job.yaml": job_yaml("evil", version=1, note=EVIL)}
            case "record" if path:
                at = self._record_of("job/" + path.rpartition("/")[2].removesuffix(".job.yaml"))
                return {at: self.read(main, at).replace("version: ", "version: 7")} if at in tree else {}
            case "workspace":
                text = self.read(main, "workspace.yaml")
                mine = text.index(f"id: {ME}")
                text = text[:mine] + text[mine:].replace("[developer]", "[developer, admin, runner]", 1)
                return {"workspace.yaml": text.replace('signatures: "required"', 'signatures: "off"')}
            case "manifest" if package and head and manifest_path(package) in self.eyes.tree(head):
                return {manifest_path(package): self.read(head, manifest_path(package))}
            case "early" if head:
                base = self.eyes.parents(head)[0]
                return {
                    path: None if after is None else self.eyes.text(after) + "\n"
                    for path, (_, after) in self.eyes.diff(base, head).items()
                    if not path.startswith(("items/", "packages/"))
                }
            case "readme":
                return {"README.md": f"{EVIL}\n"}
        return {}

    def merge(self, package: str | None, how: str) -> bool:
        """Merge a package with git, asking nobody."""
        main, head = self._main(), self.truth.refs.get(f"{PACKAGE}{package}")
        if head is None or self.world.is_harmed(MAIN):
            return False
        tree = self.world.server.git("merge-tree", "--write-tree", main, head, check=False).split("\n")[0]
        if len(tree) != 40 or tree == self.eyes.server.tip(f"{main}^{{tree}}"):
            return False
        extra: Edits = {"scripts/sales/clean.sql": f"DROP TABLE x; -- {EVIL}\n"} if how == "more" else {}
        if how == "less" and manifest_path(str(package)) in self.eyes.tree(head):
            value = self.truth.manifest(self.eyes.tree(head)[manifest_path(str(package))])
            extra = {
                path: self.read(main, path) if path in self.eyes.tree(main) else None
                for one in value.get("items", ())[:1]
                for path in (one["after"].get("files") or {})
            }
        parents = [main] if how == "squashed" else [head, main] if how == "exchanged" else [main, head]
        made = self.commit(tree, extra, f"Merge package {package}", parents=parents, sign=how != "unsigned")
        if how == "exchanged":
            self._twist(made)
        else:
            self._move(MAIN, made)
        return True

    def twist_main(self, how: str) -> bool:
        """Make the main branch other than it was."""
        if self.world.is_harmed(MAIN):
            return False
        main = self._main()
        chain = self.eyes.line(main, None)
        if how == "deleted":
            self.world.harm(MAIN, None, verbs="by all", is_told=True)
            return True
        if len(chain) < 2:
            return False
        if how == "rewound":
            self._twist(chain[-2])
        else:
            tree = self.eyes.server.tip(f"{main}^{{tree}}")
            self._twist(self.git("commit-tree", tree, "-p", chain[-2], "-p", main, "-S", stdin="Merge"))
        return True

    def _twist(self, to: str) -> None:
        """Lead the first parents of the main branch elsewhere; it is noticed if something applied is gone."""
        line = self.eyes.server.git("rev-list", "--first-parent", to).split()
        # What was approved late was applied last and is not the last on main; what came after it may go unnoticed.
        is_noticed = self.truth.reached not in line
        held = set(self.eyes.server.git("rev-list", to).split())
        is_told = not set(self.truth.applied.values()) <= held
        self.truth.dirty = True
        self.world.harm(MAIN, to, verbs="by all" if is_noticed else "perhaps", is_told=is_told)

    # What only runners write.

    def forge_ledger(self, how: str) -> bool:
        """Write receipts without being a runner, or take some away."""
        if self.world.is_harmed(LEDGER):
            return False
        tip = self.truth.refs[LEDGER]
        receipt = {
            "apiVersion": "gitrelease/v1",
            "kind": "Receipt",
            "event": "started",
            "runner": "sync",
            "run": "x",
            "work": "repair",
            "items": ["job/orders"],
            "holdings": self.eyes.value(tip).get("holdings"),
        }
        kept = receipt["holdings"]
        parents = [tip, *([str(kept)] if kept else [])]
        edits: Edits = {}
        made: str | None = None
        # Whoever made himself a runner first signs well afterwards; and a release that was only begun is no other
        # release, so a runner without a memory finishes it again.
        noticed: dict[str, Noticed] = {"twice": "by sync", "unfinished": "untried"}
        match how:
            case "deleted":
                made = None
            case "rewound" | "unfinished":
                event = "started" if how == "rewound" else "finished"
                made = self._before_last(tip, event)
                if made is None or not self._is_missed(made, tip):
                    return False
            case "replaced":
                value = {**self.eyes.value(self.truth.root), "takenOver": self._main()}
                made = self.commit(self._main(), {}, f"root the ledger\n\n{json.dumps(value)}\n", parents=[])
            case "workspace":
                edits = self._for_main(self._main(), None, 0, "workspace")
            case "item":
                edits = {"jobs/sales/orders.job.yaml": job_yaml("orders", version=9, note=EVIL)}
        if how in {"workspace", "item", "plain"}:
            made = self.commit(
                tip, edits, f"started repair\n\n{json.dumps(receipt)}\n", parents=parents,
                name="sync" if how == "plain" else ME,
            )  # fmt: skip
        if how == "twice":  # his own workspace first, and then his receipt under it
            first = self.commit(
                tip, self._for_main(self._main(), None, 0, "workspace"),
                f"started repair\n\n{json.dumps({**receipt, 'runner': ME})}\n", parents=parents,
            )  # fmt: skip
            second = json.dumps({**receipt, "event": "finished", "runner": ME, "results": []})
            third = json.dumps({**receipt, "runner": ME})
            done = self.commit(first, {}, f"finished repair\n\n{second}\n", parents=[first, *parents[1:]])
            made = self.commit(done, {}, f"started repair\n\n{third}\n", parents=[done, *parents[1:]])
        self.world.harm(LEDGER, made, verbs=noticed.get(how, "by all"), is_told=True)
        return True

    def _before_last(self, tip: str, event: str) -> str | None:
        """Find the receipt before the last that begins, or ends, the release of a package."""
        for commit in reversed(self.eyes.line(tip, self.truth.root)):
            value = self.eyes.value(commit)
            if value.get("package") and value["event"] == event:
                return self.eyes.parents(commit)[0]
        return None

    def _is_missed(self, made: str, tip: str) -> bool:
        """Say whether a release is finished in between; without one begun and no more, things are as they were."""
        values = (self.eyes.value(commit) for commit in self.eyes.line(tip, made))
        return any(value.get("package") and value["event"] == "finished" for value in values)

    def spoil_archive(self, how: str) -> bool:
        """Write into the archive what settles nothing, or take something away."""
        tip = self.truth.refs.get(ARCHIVE)
        if tip is None or self.world.is_harmed(ARCHIVE):
            return False
        if how == "garbage":
            made = self.commit(tip, {}, "hello\n")
            self.world.harm(ARCHIVE, made, verbs="by all", is_told=True)
            return True
        if how == "released":
            package = pick(self.truth.open_packages(), 0)
            if package is None:
                return False
            value: dict[str, object] = {
                "apiVersion": "gitrelease/v1", "kind": "Settlement", "by": ME, "package": package,
                "settlement": "released", "head": None, "log": None, "message": "", "tasks": [],
            }  # fmt: skip
            made = self.commit(tip, {}, f"released\n\n{json.dumps(value)}\n")
            self.world.harm(ARCHIVE, made, verbs="by all", is_told=True)
            return True
        chain = self.eyes.line(tip, None)
        back = chain[-2] if how == "rewound" and len(chain) > 1 else None
        lost = chain[-1:] if back else chain
        self.world.harm(
            ARCHIVE,
            back,
            verbs="untried",
            is_told=any(self.eyes.value(one).get("settlement") == "released" for one in lost),
        )
        return True

    # Production itself, and its labels.

    def touch_deploy(self, number: int, how: str) -> bool:
        """Change what runs the jobs, past everybody."""
        tip = self.truth.refs.get(DEPLOY)
        if tip is None:
            return False
        if how == "branch":
            self._move(DEPLOY, None)
            return True
        path = pick(sorted(self.eyes.tree(tip)), number)
        edits: Edits = {"run.sh": f"{EVIL}\n"}
        if how == "bytes" and path:
            edits = {path: self._evil(self.eyes.text(self.eyes.tree(tip)[path]))}
        elif how == "gone" and path:
            edits = {path: None}
        elif how == "new":
            edits = {f"jobs/{shard('evil')}/evil.job": "{}\n"}
        self._move(DEPLOY, self.commit(tip, edits))
        return True

    def touch_plant(self, number: int, how: str) -> bool:
        """Change what the other target holds."""
        item = pick(sorted(self.truth.plant_now()), number)
        if item is None or how == "new":
            item, how = "job/evil", "bytes"
        text = json.dumps({"description": EVIL, "version": "1"})
        self.world.plant.meddle(item, None if how == "gone" else {f"{item}.job": text})
        return True

    def touch_tags(self, number: int, how: str) -> bool:
        """Move, delete or make release tags."""
        there = sorted(ref for ref in self.truth.refs if ref.startswith(TAGS))
        tag = pick(there, number)
        if how == "early":
            package = pick(self.truth.open_packages(), number)
            tag = TAGS + package if package else None
        if tag is None:
            return False
        self._move(tag, None if how == "deleted" else self.eyes.line(self._main(), None)[0])
        return True
