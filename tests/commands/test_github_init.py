"""`init --github`, and the whole story after it: the command line, the workflows, and a GitHub on loopback."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitrelease.commands.workflows import workflow_files
from gitrelease.core.ledger import ForgeKind
from gitrelease.core.names import CommitId
from gitrelease.errors import Refused, UsageError
from gitrelease.forges.github.opening import address_of, home_at
from gitrelease.reading.ledger import receipt_of
from gitrelease.repo import Repo as GitRepo
from tests.github import pulls
from tests.github.fixtures import Hub, github
from tests.github.state import Repo, Role
from tests.kit.git import Bench, Clone
from tests.kit.shop import FIRST_ITEMS, ROLES, job_yaml, workspace_yaml

ROOT = Path(__file__).parent.parent.parent
ORDERS = "jobs/sales/orders.job.yaml"
WORKFLOWS = [f".github/workflows/gitrelease-{name}.yml" for name in ("check", "gate", "sync")]


@dataclass(kw_only=True)
class Town:
    """A GitHub with one empty repository, and people who have nothing but a token and a terminal."""

    bench: Bench
    hub: Hub
    repo: Repo
    more: dict[str, str] = field(default_factory=dict)

    def environ(self, who: str, token: str) -> dict[str, str]:
        """Give the environment of somebody's terminal; git has their token as well."""
        key = self.bench.keys(who).path if who in ROLES else None
        proof = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        lines = f'[http]\n\textraHeader = "Authorization: Basic {proof}"\n'
        if key is not None:
            lines += f"[user]\n\tname = {who}\n\temail = {who}@example.org\n\tsigningKey = {key}\n"
            lines += "[gpg]\n\tformat = ssh\n"
        config = self.bench.folder / f"{who}.gitconfig"
        config.write_text(lines, encoding="utf-8")
        return {
            **self.bench.environ,
            "GIT_CONFIG_GLOBAL": str(config),
            "PYTHONPATH": str(ROOT),
            "GITHUB_API_URL": self.hub.url,
            "GITHUB_TOKEN": token,
            "GITRELEASE_GITHUB_PACE": "0",
            **self.more,
        }

    def person(self, who: str, role: Role = Role.WRITE) -> dict[str, str]:
        """Give the environment of somebody who has an account."""
        return self.environ(who, self.hub.person(who, self.repo, role))

    def run(self, environ: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        return subprocess.run(
            words,
            cwd=self.bench.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def gitrelease(
        self, environ: Mapping[str, str], *words: str
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run the program, and give also what GitHub's API was asked."""
        since = len(self.hub.server.requests)
        ran = self.run(environ, sys.executable, "-m", "gitrelease", *words)
        asked = [seen.operation or seen.path for seen in self.hub.server.requests[since:]]
        return ran, [name for name in asked if not name.startswith("git/")]

    def says(self, environ: Mapping[str, str], *words: str, code: int = 0) -> Any:
        """Run the program, and give what it says as JSON."""
        ran, _ = self.gitrelease(environ, *words, "--json")
        assert ran.returncode == code, ran.stderr
        return json.loads(ran.stdout)

    def error(self, environ: Mapping[str, str], *words: str) -> tuple[int, str, str]:
        """Run the program, which refuses."""
        ran, _ = self.gitrelease(environ, *words, "--json")
        told = json.loads(ran.stderr)["error"]
        return ran.returncode, told["code"], told["message"]

    @property
    def server(self) -> Clone:
        """The repository as it lies behind GitHub."""
        path = self.hub.server.state.bare(self.repo).path
        return Clone(path=path, environ=self.bench.environ, clock=self.bench.clock)

    def folder(self, name: str = "shop", **settings: Any) -> Path:
        """Give a folder with the workspace, whose members have accounts, and the first items."""
        for who in ROLES:
            self.hub.person(who, self.repo)
        state = self.hub.server.state
        roles = {who: f"{role}]\n    github: {state.account(who).id} #" for who, role in ROLES.items()}
        files = {"workspace.yaml": workspace_yaml(self.bench, roles=roles, **settings), **FIRST_ITEMS}
        made = Clone(path=self.bench.folder / name, environ=self.bench.environ, clock=self.bench.clock)
        made.write(files)
        return made.path

    def clone(self, environ: Mapping[str, str], name: str) -> Path:
        """Clone the repository."""
        url = self.hub.server.git_url(self.repo)
        ran = self.run(environ, "git", "clone", "--quiet", url, name)
        assert ran.returncode == 0, ran.stderr
        return self.bench.folder / name

    # What GitHub Actions does with the workflows, as they are on the main branch.

    def workflow(self, name: str) -> Any:
        """Read a workflow."""
        return yaml.safe_load(self.server.git("show", f"main:.github/workflows/gitrelease-{name}.yml"))

    def actions(
        self, name: str, environ: Mapping[str, str], **values: str
    ) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Do the steps of a workflow's job that are lines of shell, but for installing gitrelease.

        The token has what the job was given and no more; `values` stand for the expressions.
        """
        workflow = self.workflow(name)
        job = workflow["jobs"][name]
        may = job.get("permissions", workflow["permissions"])
        token = self.hub.actions_token(
            self.repo, **{what.replace("-", "_"): level for what, level in may.items()}
        )
        given = {**self.environ("actions", token), **environ}
        work = self.clone(given, f"{name}-{len(self.hub.server.requests)}")
        shim = self.bench.folder / "bin"
        shim.mkdir(exist_ok=True)
        (shim / "gitrelease").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gitrelease "$@"\n')
        (shim / "gitrelease").chmod(0o755)
        known = {"github.token": token, **values}
        since = len(self.hub.server.requests)
        ran = None
        for step in job["steps"]:
            if "run" not in step or "pip install" in step["run"]:
                continue
            assert "${{" not in step["run"]
            env = {key: known.get(_inside(text), "") for key, text in step.get("env", {}).items()}
            ran = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=work,
                env={**given, **env, "PATH": f"{shim}{os.pathsep}{given['PATH']}"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode != 0:
                break
        assert ran is not None
        asked = [seen.operation or seen.path for seen in self.hub.server.requests[since:]]
        return ran, [operation for operation in asked if not operation.startswith("git/")]


def _inside(text: str) -> str:
    return text.removeprefix("${{").removesuffix("}}").strip()


@pytest.fixture
def town(bench: Bench, tmp_path: Path) -> Iterator[Town]:
    with github(tmp_path / "github") as hub:
        yield Town(bench=bench, hub=hub, repo=hub.repo("acme", "desk"))


def test_the_whole_story_on_github(town: Town) -> None:
    admin, shop = town.person("adm-1"), town.folder()
    begun = town.says(admin, "init", "shop", "--github", "acme/desk")
    assert (begun["forge"], begun["pushed"], begun["existed"]) == ("github", True, False)
    with GitRepo.discover(town.server.path, remote="origin", environ=town.bench.environ) as repo:
        founding = receipt_of(repo.commit(CommitId(begun["root"]))).founding
    assert founding is not None
    assert founding.forge is ForgeKind.GITHUB
    assert town.server.git("ls-tree", "--name-only", "main", ".github/workflows/").split() == WORKFLOWS
    assert town.says(admin, "-C", "shop", "init", "--github", "acme/desk")["existed"]
    summary = town.bench.folder / "summary.md"
    runner = {
        "GITHUB_STEP_SUMMARY": str(summary),
        "RUNNER_TEMP": str(town.bench.folder),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "acme/desk",
        "GITHUB_RUN_ID": "77",
    }
    ours = {
        "vars.GITRELEASE_ROOT": begun["root"],
        "vars.GITRELEASE_RUNNER_EMAIL": "sync@example.org",
        "secrets.GITRELEASE_SIGNING_KEY": town.bench.keys("sync").path.read_text(encoding="utf-8"),
    }
    ran, _ = town.actions("sync", runner, **ours)
    assert ran.returncode == 0, ran.stderr

    # A version, a package, and what GitHub shows of it.
    dev = town.person("dev-1")
    work = town.clone(dev, "dev")
    (work / ORDERS).write_text(job_yaml("orders", version=1, script="clean", note="more"), encoding="utf-8")
    assert town.says(dev, "-C", "dev", "submit", "orders")["items"][0]["task"] == "job/orders/v2"
    ran, _ = town.actions("check", runner, **ours, **{"github.ref_name": "submit/job/orders/v2"})
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ran, asked = town.gitrelease(dev, "-C", "dev", "release", "orders", "--name", "first")
    assert (ran.returncode, len(asked) <= 4) == (0, True), (ran.stderr, asked)
    state = town.hub.server.state
    (pull,) = state.pulls.values()
    head = {"github.event.pull_request.head.ref || github.event.workflow_run.head_branch": "package/first"}
    ran, _ = town.actions("gate", runner, **ours, **head)
    assert (ran.returncode, "waiting for approval" in ran.stdout) == (0, True), ran.stderr
    (comment,) = state.comments.values()
    assert "**`first` waits for approval.**" in comment.body
    assert {(one.context, one.state) for one in state.statuses} == {
        ("gitrelease/check", "success"),
        ("gitrelease/approval", "pending"),
    }
    assert "first is waiting for approval" in summary.read_text(encoding="utf-8")

    # Somebody approves on GitHub's page, and the gate merges.
    town.hub.review(pull, "dep-1", "APPROVE")
    ran, _ = town.actions("gate", runner, **ours, **head)
    assert "approved and merged" in ran.stdout, ran.stdout + ran.stderr
    assert [one.state for one in state.statuses][-1] == "success"
    (comment,) = state.comments.values()
    assert "is merged; what sync makes of it" in comment.body
    ran, asked = town.actions("sync", runner, **ours)
    assert ran.returncode == 0, ran.stderr
    assert len(asked) <= 11, asked  # ten, and one for who approved
    (deployment,) = state.deployments.values()
    assert deployment.data["environment"] == "production"
    (course,) = state.deployment_statuses.values()
    assert (course.data["state"], course.data["description"]) == ("success", "1 item released")
    assert course.data["log_url"] == "https://github.com/acme/desk/actions/runs/77"
    (notes,) = state.releases.values()
    assert notes.data["tag_name"] == "release/first"
    assert "approved by `dep-1`" in str(notes.data["body"])

    # What people see of it, and the way back, approved on the command line.
    listed = town.says(dev, "-C", "dev", "package", "list")["items"]
    assert [(one["name"], one["status"]) for one in listed] == [("first", "successful")]
    assert town.says(dev, "-C", "dev", "package", "view", "first")["url"].endswith("/acme/desk/pull/1")
    back = town.says(dev, "-C", "dev", "rollback", "first", "--name", "back")
    assert back["name"] == "back"
    deployer = town.person("dep-2")
    town.clone(deployer, "dep")
    ran, asked = town.gitrelease(deployer, "-C", "dep", "package", "approve", "back", "-m", "so be it")
    assert (ran.returncode, len(asked) <= 16) == (0, True), (ran.stderr, asked)
    ran, _ = town.actions("sync", runner, **ours)
    assert ran.returncode == 0, ran.stderr
    assert town.says(dev, "-C", "dev", "package", "view", "back")["status"] == "successful"
    checked = town.says({**dev, "GITRELEASE_ROOT": begun["root"]}, "-C", "dev", "verify")
    assert (checked["ok"], checked["broken"]) == (True, [])
    assert shop.is_dir()


@pytest.mark.long
def test_what_is_closed_in_the_browser_the_workflows_tell_and_settle(town: Town) -> None:
    admin, _ = town.person("adm-1"), town.folder()
    begun = town.says(admin, "init", "shop", "--github", "acme/desk")
    ours = {
        "vars.GITRELEASE_ROOT": begun["root"],
        "vars.GITRELEASE_RUNNER_EMAIL": "sync@example.org",
        "secrets.GITRELEASE_SIGNING_KEY": town.bench.keys("sync").path.read_text(encoding="utf-8"),
    }
    runner = {"RUNNER_TEMP": str(town.bench.folder)}
    dev = town.person("dev-1")
    (town.clone(dev, "dev") / ORDERS).write_text(job_yaml("orders", version=1, note="more"), encoding="utf-8")
    town.says(dev, "-C", "dev", "submit", "orders")
    town.says(dev, "-C", "dev", "release", "orders", "--name", "first")
    with town.hub.server.acting() as state:
        (pull,) = state.pulls.values()
        pulls.close(state, pull, state.account("dep-1").id)
    # The gate of a workflow is no member, and leaves the archive alone.
    head = {"github.event.pull_request.head.ref || github.event.workflow_run.head_branch": "package/first"}
    ran, _ = town.actions("gate", runner, **ours, **head)
    assert "first is rejected: dep-1 closed" in ran.stderr
    assert "archive" not in [ref.rpartition("/")[2] for ref in town.server.refs()]
    (comment,) = town.hub.server.state.comments.values()
    assert "**`first` was rejected; its tasks await release again.**" in comment.body
    ran, _ = town.actions("sync", runner, **ours)
    assert (ran.returncode, "dep-1 closed" in ran.stdout) == (0, True), ran.stdout + ran.stderr
    assert town.says(dev, "-C", "dev", "package", "view", "first")["status"] == "rejected"
    assert [one["state"] for one in town.says(dev, "-C", "dev", "task", "list")["items"]] == ["pending"]
    assert town.says({**dev, "GITRELEASE_ROOT": begun["root"]}, "-C", "dev", "verify")["ok"]


# What is refused, and what is left alone.


def test_a_repository_that_nothing_can_be_released_from_is_refused_before_anything_is_written(
    town: Town,
) -> None:
    reader = town.person("view-1", Role.READ)
    assert town.error(reader, "init", "shop", "--github", "acme/desk")[:2] == (4, "credentials")
    assert town.error(reader, "init", "shop", "--github", "acme/none")[:2] == (1, "not-found")
    assert town.error({**reader, "GITHUB_TOKEN": ""}, "init", "shop", "--github", "acme/desk")[0] == 4
    assert town.error(reader, "init", "shop", "--github", "desk")[:2] == (2, "usage")
    assert town.error(reader, "init", "shop", "--github", "acme/desk", "--plain-git")[:2] == (2, "usage")
    assert town.error(reader, "init", "shop", "--github", "acme/desk", "--server", "x.git")[0] == 2
    town.hub.server.state.change_repo(town.repo, archived=True)
    code, _, message = town.error(town.person("adm-1"), "init", "shop", "--github", "acme/desk")
    assert (code, message) == (1, "acme/desk is archived, so nothing can be released from it")
    assert not (town.bench.folder / "shop").exists()


@pytest.mark.long
def test_a_new_workspace_has_the_account_of_whoever_began_it(town: Town) -> None:
    admin = town.person("adm-1")
    begun = town.says(admin, "init", "shop", "--github", "acme/desk")
    assert (begun["forge"], begun["pushed"]) == ("github", False)
    text = (town.bench.folder / "shop" / "workspace.yaml").read_text(encoding="utf-8")
    assert f"github: {town.hub.server.state.account('adm-1').id}\n" in text
    assert town.server.refs() == {}
    again = town.says(admin, "init", "shop")
    assert (again["forge"], again["pushed"], again["root"]) == ("github", True, begun["root"])
    assert town.server.git("ls-tree", "--name-only", "main", ".github/workflows/").split() == WORKFLOWS


@pytest.mark.long
def test_a_remote_on_github_is_enough_and_plain_git_can_be_asked_for(town: Town) -> None:
    admin, shop = town.person("adm-1"), town.folder()
    town.run(admin, "git", "init", "--quiet", "--initial-branch=main", "shop")
    url = town.hub.server.git_url(town.repo)
    town.run(admin, "git", "-C", "shop", "remote", "add", "origin", url)
    here = town.says(admin, "init", "shop", "--plain-git", "--no-push")
    assert (here["forge"], here["pushed"]) == ("local", False)
    there = town.says(admin, "init", "shop", "--no-push")
    assert there["forge"] == "github"
    assert any("pull requests of acme/desk" in note for note in there["notes"])
    assert not (shop / ".github").exists()
    # Without a token as well: git pushes, and nothing is asked.
    ran, asked = town.gitrelease({**admin, "GITHUB_TOKEN": ""}, "init", "shop")
    assert (ran.returncode, asked) == (0, []), ran.stderr
    # What is begun can have the workflows later, as files like any other.
    late = town.says(admin, "init", "shop", "--github", "acme/desk")
    assert late["existed"]
    assert any("commit it and push it" in note for note in late["notes"])
    assert sorted(path.name for path in (shop / ".github/workflows").iterdir()) == [
        Path(path).name for path in WORKFLOWS
    ]


@pytest.mark.long
def test_workflows_of_ones_own_are_never_overwritten(town: Town) -> None:
    admin, shop = town.person("adm-1"), town.folder()
    (shop / WORKFLOWS[2]).parent.mkdir(parents=True)
    (shop / WORKFLOWS[2]).write_text("mine\n", encoding="utf-8")
    begun = town.says(admin, "init", "shop", "--github", "acme/desk")
    assert any(note.startswith(f"{WORKFLOWS[2]} was left alone") for note in begun["notes"])
    assert (shop / WORKFLOWS[2]).read_text(encoding="utf-8") == "mine\n"
    assert town.server.git("ls-tree", "--name-only", "main", ".github/workflows/").split() == WORKFLOWS[:2]


@pytest.mark.long
def test_a_clone_of_something_else_is_not_taken_for_it(town: Town) -> None:
    admin, _ = town.person("adm-1"), town.folder()
    town.run(admin, "git", "init", "--quiet", "--initial-branch=main", "shop")
    town.run(admin, "git", "-C", "shop", "remote", "add", "origin", "git@github.com:acme/other.git")
    code, kind, message = town.error(admin, "init", "shop", "--github", "acme/desk")
    assert (code, kind) == (1, "cannot-begin")
    assert message.endswith("git@github.com:acme/other.git, and not acme/desk")
    assert town.server.refs() == {}


@pytest.mark.long
def test_an_empty_repository_gets_the_main_branch_that_it_is_to_have(town: Town) -> None:
    admin, _ = town.person("adm-1"), town.folder()
    town.run(admin, "git", "init", "--quiet", "--initial-branch=master", "shop")
    code, kind, message = town.error(admin, "init", "shop", "--github", "acme/desk")
    assert (code, kind) == (1, "cannot-begin")
    assert message == "your branch is master, and the main branch is to be called main there"
    town.run(admin, "git", "-C", "shop", "branch", "-m", "main")
    assert town.says(admin, "init", "shop", "--github", "acme/desk")["pushed"]


@pytest.mark.long
def test_what_was_begun_on_plain_git_stays_there(town: Town) -> None:
    admin, _ = town.person("adm-1"), town.folder()
    town.run(admin, "git", "init", "--quiet", "--initial-branch=main", "shop")
    town.run(admin, "git", "-C", "shop", "remote", "add", "origin", town.hub.server.git_url(town.repo))
    assert town.says(admin, "init", "shop", "--plain-git")["pushed"]
    assert town.error(admin, "init", "shop", "--github", "acme/desk")[:2] == (1, "cannot-begin")


# Where a repository is.


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "https://github.com/acme/desk.git"),
        ({"GITHUB_SERVER_URL": "https://github.com"}, "https://github.com/acme/desk.git"),
        ({"GITHUB_API_URL": "https://api.github.com"}, "https://github.com/acme/desk.git"),
        ({"GITHUB_SERVER_URL": "https://git.example.org/"}, "https://git.example.org/acme/desk.git"),
        ({"GITHUB_API_URL": "https://git.example.org/api/v3"}, "https://git.example.org/acme/desk.git"),
        ({"GITHUB_API_URL": "https://api.acme.ghe.com"}, "https://acme.ghe.com/acme/desk.git"),
    ],
)
def test_the_address_of_a_repository_is_at_the_github_that_the_environment_names(
    environ: Mapping[str, str], address: str
) -> None:
    assert address_of("acme/desk", environ) == address
    place = home_at(address, environ)
    assert place is not None
    assert place.slug == "acme/desk"
    ssh = home_at(f"git@{place.host}:acme/desk", environ)
    assert ssh == place
    assert home_at("https://elsewhere.example/acme/desk.git", environ) is None
    for wrong in ("desk", "acme/desk/x", "https://github.com/acme/desk", "-/x", "acme/..", "/acme/desk"):
        with pytest.raises(UsageError, match="how a repository on GitHub is written"):
            address_of(wrong, environ)


# The workflows as text.


def test_p12_p15_workflows_are_pinned_and_obey_nothing_that_somebody_named() -> None:
    files = {path: data.decode() for path, data in workflow_files("trunk").items()}
    assert sorted(files) == WORKFLOWS
    for path, text in files.items():
        workflow = yaml.safe_load(text)
        # YAML 1.1 takes `on` for true.
        events = set(workflow[True])
        if "push" in events and "check" in path:
            assert set(workflow["permissions"].values()) == {"read"}
        else:
            assert workflow["permissions"] == {}
            (job,) = workflow["jobs"].values()
            # A run of gate that does nothing must not take the place of one that waits, so there the job has it.
            has_it = job if "gate" in path else workflow
            assert has_it["concurrency"]["cancel-in-progress"] is False
        for job in workflow["jobs"].values():
            assert 0 < job["timeout-minutes"] <= 60
            # What pip brings runs before there is a checkout with credentials.
            texts = [str(step) for step in job["steps"]]
            installs = [n for n, text in enumerate(texts) if "pip install" in text]
            checkouts = [n for n, text in enumerate(texts) if "actions/checkout@" in text]
            assert installs < checkouts or not checkouts
            for step in job["steps"]:
                if uses := step.get("uses"):
                    assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", uses)
                if uses and "checkout" in uses:
                    assert step["with"]["ref"] == "trunk"
                assert "${{" not in step.get("run", "")
    assert yaml.safe_load(files[WORKFLOWS[2]])["jobs"]["sync"]["environment"] == "production"
    assert "secrets.GITRELEASE_SIGNING_KEY" not in files[WORKFLOWS[0]] + files[WORKFLOWS[1]]
    for name in ("a'b", "!main", "a+b", "a b", "-x"):
        with pytest.raises(Refused, match="workflows cannot be written"):
            workflow_files(name)
