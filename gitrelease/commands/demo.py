"""`gitrelease demo`: the whole story on this machine, each command shown as one would type it.

Every step is the real program in a process of its own, run as the person who types it: what the demo shows
is what a team sees.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

from gitrelease.errors import Exit, GitReleaseError, Refused

DEFAULT_FOLDER = "gitrelease-demo"

# Who plays which part.
PEOPLE: Mapping[str, str] = {
    "ada": "admin",
    "dana": "developer",
    "omar": "developer",
    "devi": "deployer",
    "vera": "viewer",
    "sync": "runner",
}

_FIRST_TASK = re.compile(r"package (\S+)")
# What the workspace starts with; the rest is imported, submitted and released in the story.
_LATER = (
    "jobs/sales/weekly",
    "scripts/sales/weekly",
    "jobs/sales/daily/dws_revenue_daily.job.yaml",
    "jobs/web/streaming/page_views_live.job.yaml",
    "jobs/web/streaming/page_views_live.subjobs",
    "scripts/sales/daily/build-revenue",
    "scripts/sales/daily/revenue-by-region",
    "scripts/sales/daily/refresh-order-summary",
    "scripts/sales/daily/check-totals",
    "scripts/web/streaming",
)


class DemoBroken(GitReleaseError):
    """A step of the demo ended otherwise than the story says."""

    exit = Exit.DEFECT
    code = "demo-broken"


@dataclass(kw_only=True)
class Stage:
    """Where the story plays: a folder with the server and everybody's clone."""

    folder: Path
    say: Callable[[str], None]
    environ: Mapping[str, str]
    signs: bool
    root: str = ""
    clones: dict[str, Path] = field(default_factory=dict)

    @property
    def server(self) -> Path:
        """The bare repository that everybody shares."""
        return self.folder / "server.git"

    def clone_of(self, who: str) -> Path:
        """The clone of one person."""
        return self.folder / who

    def tell(self, text: str) -> None:
        """Say what happens next."""
        self.say(f"\n# {text}")

    def type(self, who: str, command: str, *, expect: int = 0) -> str:
        """Run a command as somebody and show it with its output.

        Raises:
            DemoBroken: it did not end with the exit code that the story expects.
        """
        self.say(f"\n{who}$ {command}")
        ran = self._run(who, command)
        shown = (ran.stdout + ran.stderr).rstrip("\n")
        if shown:
            self.say(shown.replace(f"{self.folder}/", ""))
        if ran.returncode != expect:
            raise DemoBroken(
                f"{command!r} ended with {ran.returncode}, and the story expects {expect}",
                hint=f"what was done so far lies in {self.folder}",
            )
        return ran.stdout

    def quietly(self, who: str, command: str) -> str:
        """Run a command that is no part of the story."""
        ran = self._run(who, command)
        if ran.returncode != 0:
            raise DemoBroken(f"{command!r} failed: {ran.stderr.strip()}")
        return ran.stdout

    def _run(self, who: str, command: str) -> subprocess.CompletedProcess[str]:
        words = _words(command)
        if words[0] == "gitrelease":
            words = [sys.executable, "-m", "gitrelease", *words[1:]]
        where = self.clone_of(who)
        return subprocess.run(
            words,
            cwd=where if where.is_dir() else self.folder,
            env=self._environ(who),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _environ(self, who: str) -> dict[str, str]:
        """Give everybody a home of their own: nothing of the real user's configuration plays a part."""
        outer = {
            name: value
            for name, value in self.environ.items()
            if not name.startswith(("GIT_", "GITRELEASE_"))
        }
        mine = {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "COLUMNS": self.environ.get("COLUMNS", "100"),
            "PYTHONIOENCODING": "utf-8",
        }
        if who == "sync" and self.root:
            mine["GITRELEASE_ROOT"] = self.root
        return outer | mine


def _words(command: str) -> list[str]:
    """Split a command as a shell would; the story uses single quotes only."""
    return [word.strip("'") for word in re.findall(r"(?:[^\s']|'[^']*')+", command)]


def demo(folder: Path | None, *, environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """Play the story in a new folder, and leave everything there to play with; give the folder."""
    where = _empty(folder)
    stage = Stage(folder=where, say=say, environ=environ, signs=shutil.which("ssh-keygen") is not None)
    _set_up(stage)
    first = _first_release(stage)
    second = _second_release(stage)
    _look_back(stage, first, second)
    say(f"\nThe shop is yours to play with: {where}")
    say(f"Begin with: cd {where / 'dana'} && gitrelease package list")
    return where


def _empty(folder: Path | None) -> Path:
    """Choose a folder that does not exist yet, or is empty."""
    if folder is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Refused(f"{folder} is not empty", hint="name a folder that does not exist yet")
        folder.mkdir(parents=True, exist_ok=True)
        return folder.resolve()
    number = 1
    while True:
        chosen = Path(DEFAULT_FOLDER if number == 1 else f"{DEFAULT_FOLDER}-{number}")
        try:
            chosen.mkdir()
        except FileExistsError:
            number += 1
            continue
        return chosen.resolve()


def _set_up(stage: Stage) -> None:
    stage.tell("A bare repository is the server; everybody has a clone, and a key of their own.")
    if not stage.signs:
        stage.say("# ssh-keygen is not installed, so names are only claims here. Real workspaces sign.")
    stage.quietly("", f"git init --quiet --bare --initial-branch=main '{stage.server}'")
    keys = stage.folder / "keys"
    keys.mkdir(mode=0o700)
    for who in PEOPLE:
        if stage.signs:
            stage.quietly("", f"ssh-keygen -q -t ed25519 -N '' -C {who} -f '{keys / who}'")
        _clone(stage, who, keys)
    ada = stage.clone_of("ada")
    with as_file(files("gitrelease.sample")) as sample:
        _copy(sample / "workspace", ada, skip=_LATER)
    (ada / "workspace.yaml").write_text(_workspace(stage, keys), encoding="utf-8")
    stage.tell("ada, the admin, has a folder of jobs and scripts. init makes it a release repository.")
    stage.type("ada", "gitrelease init")
    stage.root = stage.quietly("ada", "git config gitrelease.root").strip()
    for who in PEOPLE:
        if who != "ada":
            stage.quietly(who, "git pull --quiet origin main")
            if who != "sync":
                stage.quietly(who, f"git config gitrelease.root {stage.root}")
    stage.type("ada", "gitrelease workspace reviewers")


def _clone(stage: Stage, who: str, keys: Path) -> None:
    stage.quietly("", f"git clone --quiet '{stage.server}' '{stage.clone_of(who)}'")
    settings = {"user.name": who.capitalize(), "user.email": f"{who}@shop.example"}
    if stage.signs:
        settings |= {"gpg.format": "ssh", "user.signingKey": str(keys / who)}
    for key, value in settings.items():
        stage.quietly(who, f"git config {key} '{value}'")


def _workspace(stage: Stage, keys: Path) -> str:
    members = ""
    for who, role in PEOPLE.items():
        members += f"  - id: {who}\n    emails: [{who}@shop.example]\n    roles: [{role}]\n"
        if stage.signs:
            members += (
                f'    keys: ["{(keys / who).with_suffix(".pub").read_text(encoding="utf-8").strip()}"]\n'
            )
    return f"""\
apiVersion: gitrelease/v1
kind: Workspace
name: shop
id: 5e1f0c9d8b7a46532f1e0d9c8b7a6543
version: 1
members:
{members}review:
  approvals: 1
  rollbackApprovals: 1
  signatures: {"required" if stage.signs else '"off"'}
  autoMerge: true # the approval that completes the verdict merges
  execute: false
  required: # whoever changes a sales job needs devi or ada
    - {{paths: ["jobs/sales/**"], from: [devi, ada], approvals: 1}}
production:
  targets:
    - name: main
      type: git
      mappings: # what development calls the things of production
        connections: {{mrs_hive_dev: mrs_hive, dws_dev: dws}}
        databases: {{ods_dev: ods, sales_dev: sales}}
"""


def _copy(source: Path, target: Path, *, skip: Sequence[str] = (), only: Sequence[str] = ("",)) -> None:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        wanted = name.startswith(tuple(only)) and not any(name.startswith(other) for other in skip)
        if path.is_file() and wanted and "__pycache__" not in name:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _first_release(stage: Stage) -> str:
    dana, omar = stage.clone_of("dana"), stage.clone_of("omar")
    stage.tell("dana brings two jobs and a script over from the console, and writes a job that follows them.")
    with as_file(files("gitrelease.sample")) as sample:
        shutil.copytree(sample / "console", dana / "console", ignore=shutil.ignore_patterns("__pycache__"))
        stage.type("dana", "gitrelease import console --status saved")
        shutil.rmtree(dana / "console")
        _copy(sample / "workspace", dana, only=[name for name in _LATER if "streaming" not in name])
        _copy(sample / "workspace", omar, only=[name for name in _LATER if "streaming" in name])
    stage.type("dana", "gitrelease check")
    stage.type("dana", "gitrelease submit --all -m 'Orders and revenue, from the console'")
    stage.tell(
        "omar submits without gitrelease: one commit on a branch of the right name, and a plain git push."
    )
    stage.type("omar", "git switch --quiet --create submit/job/page_views_live/v1")
    _numbered(omar / "jobs/web/streaming/page_views_live.job.yaml")
    stage.type(
        "omar",
        "git add jobs/web/streaming/page_views_live.job.yaml jobs/web/streaming/page_views_live.subjobs",
    )
    stage.type("omar", f"git commit --quiet{' -S' if stage.signs else ''} -m 'Page views as they happen'")
    stage.type("omar", "git push --quiet origin HEAD")
    stage.quietly("omar", "git switch --quiet main")
    scripts = "scripts/web/streaming/*.script.yaml"
    stage.type("omar", f"gitrelease submit '{scripts}' -m 'What page_views_live runs'")
    stage.type("dana", "gitrelease task list")
    stage.type("dana", "gitrelease task list --name 'ordrs dly'")
    stage.type("dana", "gitrelease task view dws_orders_daily")
    stage.tell(
        "dana bundles everything that waits into one package. She cannot approve it, and vera may only look."
    )
    package = _package(stage.type("dana", "gitrelease release --all -m 'Orders, revenue and page views'"))
    stage.type("dana", f"gitrelease package approve {package}", expect=1)
    stage.type("vera", f"gitrelease package approve {package}", expect=1)
    stage.tell(
        "devi reads what would change, and says yes. That was the approval that was missing, so it merges."
    )
    stage.type("devi", "gitrelease package list --reviewer @me")
    stage.type("devi", f"gitrelease package diff {package} --stat")
    stage.type("devi", f"gitrelease package approve {package} -m 'Numbers agree with the console'")
    stage.tell("The runner brings production in line. It judges everything again before it touches anything.")
    stage.type("sync", "gitrelease sync")
    stage.type("dana", f"gitrelease package view {package}")
    return package


def _numbered(document: Path) -> None:
    """Write the number of the first version into a document, as somebody would by hand."""
    text = document.read_text(encoding="utf-8")
    if not re.search(r"^version:", text, re.MULTILINE):
        text = re.sub(r"^(name: .*)$", r"\1\nversion: 1", text, count=1, flags=re.MULTILINE)
    document.write_text(text, encoding="utf-8")


def _package(output: str) -> str:
    found = _FIRST_TASK.search(output)
    if found is None:
        raise DemoBroken("the release did not name its package")
    return found[1]


def _second_release(stage: Stage) -> str:
    stage.tell("The next day: web_traffic_daily moves to 03:15, and revenue is counted by channel as well.")
    stage.type("dana", "gitrelease pull")
    with as_file(files("gitrelease.sample")) as sample:
        _copy(sample / "second", stage.clone_of("dana"))
    stage.type("dana", "gitrelease status", expect=0)
    stage.type("dana", "gitrelease submit --all -m 'Revenue by channel'")
    stage.tell(
        "devi releases it this time, so devi is an author of the package, and nobody approves their own work."
    )
    package = _package(
        stage.type("devi", "gitrelease release --all -m 'Revenue by channel; traffic at 03:15'")
    )
    stage.type("devi", f"gitrelease package approve {package}", expect=1)
    stage.type("ada", f"gitrelease package approve {package}")
    stage.type("sync", "gitrelease sync")
    return package


def _look_back(stage: Stage, first: str, second: str) -> None:
    stage.tell("What changed between the two releases?")
    stage.type("dana", "gitrelease pull")
    stage.type("vera", f"gitrelease compare {first} {second}")
    stage.type("vera", "gitrelease version list web_traffic_daily")
    stage.tell("Going back is a package like any other: somebody else has to approve it.")
    stage.type(
        "devi", f"gitrelease rollback {second} --item job/web_traffic_daily -m 'Too late for the report'"
    )
    stage.type("vera", "gitrelease package list")
    stage.type("dana", "gitrelease status")
    stage.tell("Anyone with a clone can check the whole past, offline.")
    stage.type("vera", "git fetch --quiet")
    stage.type("vera", "gitrelease verify")
