"""What honest people do in a world: whole steps with gitrelease, each as its person would type it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitrelease.commands.merge import gate, merge
from gitrelease.commands.review import approve, reject, revoke, withdraw
from gitrelease.commands.revoke import revoke_tasks
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.core.names import BlobId, package_name
from gitrelease.core.review import Say
from gitrelease.forges import Statement
from tests.kit.shop import Person, job_yaml
from tests.kit.truth import REVIEW, SUBMIT
from tests.kit.world import Fuse, World

REVIEWERS = ("dep-1", "dep-2", "adm-1", "adm-2")

Edit = tuple[str, str]
"""How a job is changed, and its name."""


class People:
    """Everybody but the attacker, and he when he keeps to the rules."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.truth = world.truth

    def step(self, what: str) -> None:
        """Note that somebody does something."""
        self.world.count(f"step: {what}")
        self.world.count("verbs")

    # Submitting.

    def submit(
        self,
        who: str,
        what: Sequence[Edit],
        *,
        supersede: bool = True,
        old: bool = False,
        fuse: Fuse | None = None,
    ) -> list[str]:
        """Edit and submit, perhaps from a clone that is behind; give the tasks that came of it."""
        self.step("submit")
        person = self.world.person(who)
        if not old:
            self.pull(person)
        tasks = []
        for kind, name in what:
            written, gone = self._edit(person, kind, name)
            for items, delete in ((written, False), (gone, True)):
                tasks += (
                    self._submit(who, items, delete=delete, supersede=supersede, fuse=fuse) if items else []
                )
        return tasks

    def _submit(
        self, who: str, items: Sequence[str], *, delete: bool, supersede: bool, fuse: Fuse | None
    ) -> list[str]:
        made = self.world.attempt(
            who, lambda person: person.submit(*items, delete=delete, supersede=supersede), fuse=fuse
        )
        return [str(one.task) for one in made.items if one.task] if made else []

    def pull(self, person: Person) -> None:
        """Begin where the main branch is."""
        clone = person.clone
        clone.git("fetch", "--quiet", "--no-tags", "--prune", "origin", check=False)
        clone.git("checkout", "--quiet", "--force", "-B", "main", "origin/main", check=False)
        clone.git("clean", "--quiet", "--force", "-d")

    def _edit(self, person: Person, kind: str, name: str) -> tuple[list[str], list[str]]:
        """Change working files; give the items that changed, and those that went."""
        self.world.edits += 1
        token = f"t{self.world.edits}"
        if kind == "script":
            person.write({"scripts/sales/clean.sql": f"SELECT 1; -- {token}\n"})
            return ["script/clean"], []
        home = person.clone.path
        there = [path.relative_to(home).as_posix() for path in sorted(home.glob(f"jobs/*/{name}.job.yaml"))]
        path = there[0] if there else f"jobs/sales/{name}.job.yaml"
        text = job_yaml(name, script="clean" if name == "orders" else None, note=token)
        if kind == "write" or not there:
            person.write({path: text})
            return [f"job/{name}"], []
        if kind == "move":
            place = "ops" if "/sales/" in path else "sales"
            person.write({path: None, f"jobs/{place}/{name}.job.yaml": text})
            return [f"job/{name}"], []
        person.write({path: None})
        if kind == "rename":
            other = f"{name}{self.world.edits}"
            person.write({f"jobs/sales/{other}.job.yaml": job_yaml(other, note=token)})
            return [f"job/{other}"], [f"job/{name}"]
        return [], [f"job/{name}"]

    def take_back(self, who: str, task: str, fuse: Fuse | None = None) -> None:
        """Revoke a task."""
        self.step("revoke task")
        self.world.attempt(who, lambda person: revoke_tasks(person.desk, [task]), fuse=fuse)

    # Packages.

    def release(self, by: str, tasks: Sequence[str], fuse: Fuse | None = None) -> str | None:
        """Put tasks up for review; give the package."""
        if not tasks:
            return None
        self.step("release")
        name = self._name()
        made = self.world.attempt(
            by, lambda person: person.release(*dict.fromkeys(tasks), name=name), fuse=fuse
        )
        return made.manifest.name if made else None

    def propose(self, who: str, by: str, what: Sequence[Edit], fuse: Fuse | None = None) -> str | None:
        """Submit and release in one go."""
        return self.release(by, self.submit(who, what), fuse)

    def _name(self) -> str:
        self.world.packages += 1
        return f"p{self.world.packages}"

    def roll_back(self, who: str, package: str, fuse: Fuse | None = None) -> str | None:
        """Propose to go back to before a release."""
        self.step("rollback")
        request = RollbackRequest(package=package_name(package), name=self._name())
        made = self.world.attempt(
            who, lambda person: rollback(person.desk, request), moves=[SUBMIT], fuse=fuse
        )
        return made.manifest.name if made else None

    def put_back(self, who: str) -> str | None:
        """Propose to put back what was approved."""
        self.step("rollback --unapproved")
        request = RollbackRequest(unapproved=True, name=self._name())
        made = self.world.attempt(who, lambda person: rollback(person.desk, request))
        return made.manifest.name if made else None

    def change_workspace(self, by: str, how: str) -> str | None:
        """Propose another workspace."""
        person = self.world.person(by)
        self.pull(person)
        file = person.clone.path / "workspace.yaml"
        if not file.exists():
            return None
        person.write({"workspace.yaml": _workspace(file.read_text(encoding="utf-8"), how)})
        self.step("submit workspace")
        return self.release(by, self._submit(by, ["workspace"], delete=False, supersede=True, fuse=None))

    # Reviews.

    def say(self, who: str, package: str, say: str, fuse: Fuse | None = None) -> None:
        """Say something of a package: approve, reject, withdraw or revoke."""
        self.step(say)
        name = package_name(package)
        verbs: dict[str, Callable[[Person], object]] = {
            "approve": lambda person: approve(person.desk, name),
            "reject": lambda person: reject(person.desk, name, message="no"),
            "withdraw": lambda person: withdraw(person.desk, name),
            "revoke": lambda person: revoke(person.desk, name),
        }
        self.world.attempt(who, verbs[say], moves=[REVIEW + package], fuse=fuse)

    def all_say_yes(self, package: str, first: int = 0) -> None:
        """Let everybody approve who may, until nobody need any more."""
        for who in (*REVIEWERS[first:], *REVIEWERS[:first]):
            if package in self.truth.open_packages() and not self.truth.is_merged(package):
                self.say(who, package, "approve")

    def merge(self, who: str, package: str, *, by_hand: bool, fuse: Fuse | None = None) -> None:
        """Merge, or ask for the verdict."""
        self.step("merge" if by_hand else "gate")
        verb = merge if by_hand else gate
        self.world.attempt(who, lambda person: verb(person.desk, package_name(package)), fuse=fuse)

    def say_by_hand(self, who: str, package: str, say: Say) -> None:
        """Write an opinion past the verb that may refuse it, with one's own key."""
        self.step("by hand")

        def speak(person: Person) -> None:
            now = person.desk.look()
            review = person.desk.forge.find(package_name(package), now.workspace)
            blob = self.truth.shown(package)
            if review is not None and blob is not None:
                person.desk.forge.say(
                    review,
                    Statement(
                        say=say, workspace=now.workspace.id, root=now.ledger.root, manifest=BlobId(blob)
                    ),
                )

        self.world.attempt(who, speak)


def _workspace(text: str, how: str) -> str:
    """Change a workspace in one way."""
    required = '  required:\n    - {paths: ["jobs/sales/**"], from: [dep-1, dep-2], approvals: 1}\n'
    dep = text.index("id: dep-2")
    changed = {
        "two": text.replace("  approvals: 1\n", "  approvals: 2\n"),
        "one": text.replace("  approvals: 2\n", "  approvals: 1\n"),
        "by hand": text.replace("autoMerge: true", "autoMerge: false"),
        "by itself": text.replace("autoMerge: false", "autoMerge: true"),
        "required": text
        if required in text
        else text.replace("production:\n", f"{required}production:\n", 1),
        "not required": text.replace(required, ""),
        "fewer": text[:dep] + text[dep:].replace("[deployer]", "[viewer]", 1),
        "more": text.replace("[viewer]", "[deployer]", 1),
        "mapping": text.replace("hive_dev: hive}", "hive_dev: hive2}"),
    }
    return changed[how]


def build_past(world: World) -> None:
    """Play what every story finds: releases, one rolled back, a package closed and one that awaits review."""
    people = People(world)

    def released(package: str | None, *reviewers: str) -> None:
        assert package is not None
        for who in reviewers:
            people.say(who, package, "approve")
        assert world.sync("sync") is not None
        assert package in world.truth.finished, package

    first = people.propose("dev-1", "dev-1", [("write", "a"), ("write", "b")])
    released(first, "dep-1")
    released(people.propose("dev-2", "dep-1", [("write", "orders"), ("script", "")]), "adm-1")
    assert first is not None
    released(people.roll_back("dep-2", first), "dep-1")
    released(people.change_workspace("adm-1", "by hand"), "adm-2")
    closed = people.propose("adm-1", "dev-2", [("write", "a")])
    assert closed is not None
    people.say("dep-2", closed, "approve")
    people.say("adm-2", closed, "reject")
    doubted = people.propose("dev-2", "dev-2", [("write", "orders")])
    assert doubted is not None
    people.say("dep-1", doubted, "approve")
    people.say("dep-1", doubted, "withdraw")
    back = people.change_workspace("adm-2", "by itself")
    assert back is not None
    people.say("adm-1", back, "approve")
    people.merge("dep-1", back, by_hand=True)
    released(back)
    people.propose("dev-1", "dep-2", [("write", "c")])
    people.submit("dev-1", [("write", "d")])
    people.submit("mal", [("write", "e")])
