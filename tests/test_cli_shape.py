"""The command line as a whole: what commands there are, what they cost, and how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gitrelease import __version__
from gitrelease.cli import root
from gitrelease.cli.frame import path_in
from gitrelease.cli.times import parse_time
from gitrelease.core.workspace import TargetSettings
from gitrelease.errors import GitReleaseError
from gitrelease.pen import Pen
from gitrelease.repo import Identity, Repo
from gitrelease.settings import BadSetting, gather
from gitrelease.targets.git import GitTarget
from gitrelease.wiring import can_sign, connect, open_desk, utc_now
from tests.kit.git import NOON, Bench, Clone

PROJECT = Path(__file__).resolve().parents[1]

# Design 8, command by command, with every option it names.
COMMANDS = {
    "init": ["--import", "--server", "--github", "--plain-git"],
    "demo": [],
    "check": ["--ref", "--pre-receive"],
    "submit": ["--all", "-m", "--delete", "--supersede", "--dry-run", "--ref"],
    "task list": [
        "--name", "--submitter", "--kind", "--change", "--state", "--since", "--until", "-L", "--limit",
        "--offset", "--sort",
    ],
    "task view": [],
    "task revoke": [],
    "release": ["--all", "--reviewer", "--name", "--execute", "--no-execute", "-m", "--dry-run"],
    "package list": [
        "--name", "--applicant", "--reviewer", "--released-by", "--status", "--applied-since",
        "--applied-until", "--released-since", "--released-until", "-L", "--limit", "--offset", "--sort",
    ],
    "package view": ["--watch"],
    "package diff": ["--item", "--stat", "--patch"],
    "package approve": ["-m", "--withdraw"],
    "package reject": ["-m"],
    "package revoke": ["-m"],
    "package merge": [],
    "package edit": ["--add-reviewer"],
    "rollback": ["--item", "--unapproved"],
    "gate": [],
    "sync": ["--watch", "--retry", "--repair", "--wait", "--dry-run"],
    "compare": ["--item", "--stat", "--patch", "--html"],
    "version list": [],
    "version diff": [],
    "version restore": [],
    "status": [],
    "verify": [],
    "import": ["--status", "--on-duplicate"],
    "export": [],
    "run": [],
    "workspace view": [],
    "workspace reviewers": [],
    "pull": [],
    "doctor": [],
    "completion": [],
}  # fmt: skip
GLOBAL = ["-C", "--remote", "--no-color", "-v"]


def walk(command: click.Command, ctx: click.Context, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Go through every command that can be called."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for word in command.list_commands(ctx):
        found = command.get_command(ctx, word)
        assert found is not None
        yield from walk(found, ctx, f"{name} {word}".strip())


def all_commands() -> dict[str, click.Command]:
    """Load every command."""
    return dict(walk(root, click.Context(root)))


def gitrelease(
    *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the program as people do."""
    given = dict(os.environ if env is None else env)
    given["PYTHONPATH"] = os.pathsep.join(filter(None, [given.get("PYTHONPATH"), str(PROJECT)]))
    return subprocess.run(
        [sys.executable, "-m", "gitrelease", *args],
        cwd=cwd,
        env=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        stdin=subprocess.DEVNULL,
    )


# What there is.


def test_every_command_of_the_design_is_there_and_no_other() -> None:
    assert sorted(all_commands()) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_options_and_takes_the_global_ones(name: str) -> None:
    options = {
        option for param in all_commands()[name].params for option in (*param.opts, *param.secondary_opts)
    }
    assert options >= {*COMMANDS[name], *GLOBAL}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"completion"}])
def test_every_answer_can_be_had_as_json(name: str) -> None:
    assert any("--json" in param.opts for param in all_commands()[name].params)


@pytest.mark.parametrize("name", ["", "task", "package", "version", "workspace", *COMMANDS])
def test_the_help_of_a_command_says_what_it_does_and_ends_in_an_example(name: str) -> None:
    shown = CliRunner().invoke(root, [*name.split(), "--help"], prog_name="gitrelease")
    assert shown.exit_code == 0, shown.output
    usage, example = shown.output.splitlines()[0], shown.output.splitlines()[-1]
    assert usage.startswith(f"Usage: gitrelease {name}".rstrip())
    assert "Example" in shown.output
    assert "gitrelease" in example


def test_the_help_of_a_command_is_readable_as_it_is() -> None:
    shown = CliRunner().invoke(root, ["task", "revoke", "--help"], prog_name="gitrelease")
    assert (
        shown.output
        == """\
Usage: gitrelease task revoke [OPTIONS] TASK…

  Take submitted versions back; their numbers are not used again.

Options:
  --json      Write JSON, errors as well.
  -h, --help  Show this message and exit.

Example:
  gitrelease task revoke job/orders/v3
"""
    )


def test_alone_it_shows_its_help() -> None:
    alone, asked = gitrelease(), gitrelease("--help")
    assert (alone.returncode, alone.stdout) == (0, asked.stdout)
    assert gitrelease("package").returncode == 0


# What it costs.


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_everybody_types_loads_nothing_but_click_and_python(word: str) -> None:
    code = (
        "import sys\n"
        "from gitrelease.cli import main\n"
        f"try: main([{word!r}])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print('\\n'.join(['', '::', *sys.modules]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n{code}"],
        capture_output=True, text=True, check=True, encoding="utf-8",
    )  # fmt: skip
    loaded = {name.partition(".")[0] for name in ran.stdout.partition("\n::\n")[2].split()}
    assert loaded & {"git", "jsonschema", "detect_secrets", "yaml", "requests"} == set()
    # Names with an underscore in front are of Python's own start (editable installs, pytest's cov hooks).
    others = {name for name in loaded if not name.startswith("_")} - sys.stdlib_module_names
    assert others <= {"click", "gitrelease", "colorama", "sitecustomize"}


def test_it_says_its_version() -> None:
    assert gitrelease("--version").stdout == f"gitrelease {__version__}\n"


# How it ends.


def test_an_option_that_is_not_there_is_a_usage_error() -> None:
    ran = gitrelease("submit", "--frobnicate")
    said, hint = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said.startswith("error: No such option")  # click says the rest, in words of its version
    assert "--frobnicate" in said
    assert hint == "hint: `gitrelease submit --help` shows how it is used"


def test_a_command_that_is_not_there_is_a_usage_error() -> None:
    ran = gitrelease("sumbit")
    assert (ran.returncode, ran.stderr) == (
        2,
        "error: there is no command 'sumbit', did you mean submit?\n"
        "hint: `gitrelease --help` shows how it is used\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        ("release", "--limit", "3"),
        ("package", "list", "--limit", "0"),
        ("package", "list", "--applied-since", "yesterday"),
        ("package", "reject", "orders_1"),
        ("sync", "job/orders"),
        ("sync", "--repair"),
        ("compare", "a", "b", "c"),
        ("compare", "a", "--stat", "--patch"),
        ("check", "jobs", "--ref", "main"),
        ("check", "--pre-receive", "--ref", "main"),
        ("version", "diff", "orders", "zero"),
        ("-C", "nowhere", "status"),
    ],
)
def test_words_that_make_no_sense_are_usage_errors_before_anything_is_read(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    ran = gitrelease(*words, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("export", "orders", "-o", "orders.zip"), "`gitrelease export`"),
        (("run", "start", "orders", "--anyway"), "`gitrelease run`"),
        (("doctor",), "`gitrelease doctor`"),
        (("sync", "--wait"), "--wait"),
        (("compare", "a", "--html", "a.html"), "--html"),
    ],
)
def test_what_is_still_to_come_is_refused_by_name(words: tuple[str, ...], what: str, tmp_path: Path) -> None:
    ran = gitrelease(*words, "--json", cwd=tmp_path)
    error = json.loads(ran.stderr)["error"]
    assert ran.returncode == 1
    assert (error["code"], error["message"]) == (
        "not-yet-built",
        f"{what} is not in this version of gitrelease",
    )
    assert list(tmp_path.iterdir()) == []


def test_an_error_has_one_shape_as_json_and_the_same_exit_code(tmp_path: Path) -> None:
    said, written = gitrelease("status", cwd=tmp_path), gitrelease("status", "--json", cwd=tmp_path)
    assert (said.returncode, written.returncode, written.stdout) == (1, 1, "")
    error = json.loads(written.stderr)
    assert list(error) == ["error"]
    assert list(error["error"]) == ["code", "message", "hint"]
    assert error["error"]["code"] == "not-a-repository"
    assert said.stderr == f"error: {error['error']['message']}\nhint: {error['error']['hint']}\n"


def test_a_defect_keeps_its_traceback_and_says_that_it_is_one(tmp_path: Path) -> None:
    # A library that breaks when it is loaded is something that nothing here can name.
    (tmp_path / "yaml").mkdir()
    (tmp_path / "yaml" / "__init__.py").write_text(
        "raise RuntimeError('\\x1b[31mbroken')\n", encoding="utf-8"
    )
    ran = gitrelease("status", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert ran.returncode == 70
    assert "Traceback" in ran.stderr
    assert "RuntimeError: \\x1b[31mbroken" in ran.stderr
    assert f"error: this is a defect in gitrelease {__version__}, not a mistake of yours\n" in ran.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_a_reader_that_has_gone_is_no_reason_to_complain() -> None:
    started = subprocess.Popen(
        [sys.executable, "-m", "gitrelease"], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    complaint = started.stderr.read()
    started.stderr.close()
    assert (started.wait(), complaint) == (141, b"")


# Times.

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=timezone(timedelta(hours=8)))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7d", "2026-11-15T10:30:00+08:00"),
        ("12h", "2026-11-21T22:30:00+08:00"),
        ("90m", "2026-11-22T09:00:00+08:00"),
        ("2w", "2026-11-08T10:30:00+08:00"),
        ("2026-11-20", "2026-11-20T00:00:00+08:00"),
        ("2026-11-20T08:15:00Z", "2026-11-20T08:15:00+00:00"),
        ("2026-11-20t08:15:00.5z", "2026-11-20T08:15:00.500000+00:00"),
        ("2026-11-20 08:15:00-05:00", "2026-11-20T08:15:00-05:00"),
        ("2026-11-20T08:15", "2026-11-20T08:15:00+08:00"),
    ],
)
def test_a_time_is_a_date_a_moment_or_how_long_ago(text: str, meant: str) -> None:
    assert parse_time(text, NOW).isoformat() == meant


def test_a_span_that_ends_on_a_day_has_all_of_that_day() -> None:
    assert parse_time("2026-11-20", NOW, is_end=True).isoformat() == "2026-11-20T23:59:59.999999+08:00"
    assert parse_time("7d", NOW, is_end=True) == parse_time("7d", NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "d",
        "-7d",
        "7 d",
        "7y",
        "tomorrow",
        "20261120",
        "2026-W47",
        "2026-13-01",
        "2026-11-20T25:00",
        "123456d",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text, NOW)


# Paths, as typed somewhere in the repository.


def test_paths_are_meant_from_where_one_stands(tmp_path: Path) -> None:
    here = tmp_path / "jobs" / "sales"
    here.mkdir(parents=True)
    (here / "orders.job.yaml").touch()
    assert path_in(tmp_path, here, "orders.job.yaml") == "jobs/sales/orders.job.yaml"
    assert path_in(tmp_path, here, "./orders.job.yaml") == "jobs/sales/orders.job.yaml"
    assert path_in(tmp_path, here, "*.yaml") == "jobs/sales/*.yaml"
    assert path_in(tmp_path, here, "..") == "jobs"
    assert path_in(tmp_path, here, "orders") == "orders"
    assert path_in(tmp_path, here, "job/orders") == "job/orders"
    assert path_in(tmp_path, here, "jobs/sales/*") == "jobs/sales/*"
    assert path_in(tmp_path, here, "../../../elsewhere.yaml") == "../../../elsewhere.yaml"
    assert path_in(tmp_path, tmp_path, "jobs/sales/") == "jobs/sales"


# Settings, and what they are wired to.


def test_a_flag_goes_before_the_environment_and_secrets_do_not_show() -> None:
    root_id = "ab" * 20
    environ = {"GITRELEASE_REMOTE": "upstream", "GITRELEASE_ROOT": root_id, "GITHUB_TOKEN": "ghp_secret"}
    settings = gather(environ, is_terminal=True)
    assert (settings.remote, settings.root, settings.colour) == ("upstream", root_id, True)
    assert gather(environ, remote="mine").remote == "mine"
    assert gather({"GITRELEASE_REMOTE": "", "GITRELEASE_ROOT": ""}).root is None
    assert "ghp_secret" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "flag"), [({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({}, True)]
)
def test_colours_are_left_out_where_they_are_not_wanted(environ: dict[str, str], flag: bool) -> None:
    assert gather(environ, no_color=flag, is_terminal=True).colour is False


@pytest.mark.parametrize("text", ["main", "abc123", "AB" * 20, "ab" * 20 + "x", "g" * 40])
def test_a_trust_root_is_a_full_commit_id(text: str) -> None:
    with pytest.raises(BadSetting, match="GITRELEASE_ROOT"):
        gather({"GITRELEASE_ROOT": text})


@pytest.fixture
def clone(bench: Bench) -> Clone:
    """Somebody's clone, with nothing in it."""
    return bench.clone(bench.server(), "dev-1")


def test_whoever_only_looks_needs_no_name(bench: Bench, clone: Clone) -> None:
    clone.git("config", "--unset", "user.name")
    clone.git("config", "--unset", "user.email")
    settings = gather(clone.environ, directory=clone.path)
    desk = open_desk(settings)
    with desk.repo, pytest.raises(GitReleaseError, match="does not know who you are"):
        _ = desk.pen.identity


def test_git_s_configuration_names_the_trust_root(clone: Clone) -> None:
    clone.git("config", "gitrelease.root", "cd" * 20)
    desk = open_desk(gather(clone.environ, directory=clone.path))
    with desk.repo:
        assert desk.root == "cd" * 20
    desk = open_desk(gather({**clone.environ, "GITRELEASE_ROOT": "ab" * 20}, directory=clone.path))
    with desk.repo:
        assert desk.root == "ab" * 20


@pytest.mark.parametrize(
    ("config", "signs"),
    [
        ({}, False),
        ({"user.signingKey": "~/.ssh/id_ed25519.pub"}, True),
        ({"user.signingKey": "4A3B2C1D0E9F8A7B"}, False),
        ({"user.signingKey": "4A3B2C1D0E9F8A7B", "gpg.format": "openpgp"}, False),
        ({"user.signingKey": "dev", "gpg.format": "ssh"}, True),
        ({"gpg.format": "ssh"}, False),
        ({"gpg.format": "ssh", "gpg.ssh.defaultKeyCommand": "ssh-add -L"}, True),
    ],
)
def test_what_is_written_is_signed_when_there_is_a_key_for_it(
    clone: Clone, config: dict[str, str], signs: bool
) -> None:
    for key, value in config.items():
        clone.git("config", key, value)
    settings = gather(clone.environ, directory=clone.path)
    with Repo.discover(clone.path, remote="origin", environ=clone.environ) as repo:
        assert can_sign(repo, settings) is signs
        with_key = gather({**clone.environ, "GITRELEASE_SIGNING_KEY": "key"}, directory=clone.path)
        assert can_sign(repo, with_key)


@pytest.fixture
def connected(clone: Clone) -> Iterator[tuple[Repo, Pen]]:
    """A repository and a pen to connect targets with."""
    pen = Pen(identity=Identity(name="dev", email="dev@example.org"), signs=False, now=lambda: NOON)
    with Repo.discover(clone.path, remote="origin", environ=clone.environ) as repo:
        yield repo, pen


def test_a_target_is_found_by_its_type(connected: tuple[Repo, Pen]) -> None:
    repo, pen = connected
    target = connect(TargetSettings(name="main", type="git"), repo=repo, pen=pen, environ={})
    assert isinstance(target, GitTarget)


def test_a_type_of_target_that_is_not_installed_is_refused_with_those_that_are(
    connected: tuple[Repo, Pen],
) -> None:
    repo, pen = connected
    with pytest.raises(GitReleaseError, match="type 'cron', which is not installed") as refused:
        connect(TargetSettings(name="main", type="cron"), repo=repo, pen=pen, environ={})
    assert refused.value.hint is not None
    assert "git" in refused.value.hint


def test_settings_that_a_target_does_not_know_are_refused(connected: tuple[Repo, Pen]) -> None:
    repo, pen = connected
    wanted = TargetSettings(name="main", type="git", settings={"url": "x"})
    with pytest.raises(GitReleaseError, match=r"production\.targets\.main\.settings: .*'url'"):
        connect(wanted, repo=repo, pen=pen, environ={})


def test_the_clock_of_the_desk_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC


# Completion.


def complete(words: str, *, cwd: Path, environ: Mapping[str, str]) -> list[str]:
    """Ask what bash would be offered."""
    asked = {
        **environ,
        "_GITRELEASE_COMPLETE": "bash_complete",
        "COMP_WORDS": f"gitrelease {words}",
        "COMP_CWORD": str(len(words.split(" "))),
        "PYTHONPATH": str(PROJECT),
    }
    ran = subprocess.run(
        [sys.executable, "-c", "from gitrelease.cli import main; main()"],
        cwd=cwd, env=asked, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.splitlines() if line]


def test_commands_tasks_and_packages_are_completed_from_what_is_here(clone: Clone, tmp_path: Path) -> None:
    commit = clone.commit({"readme": "x"})
    clone.git("update-ref", "refs/remotes/origin/submit/job/orders/v3", commit)
    clone.git("update-ref", "refs/remotes/origin/package/orders_1", commit)
    clone.git("update-ref", "refs/tags/release/orders_0", commit)
    clone.git("remote", "set-url", "origin", str(tmp_path / "gone"))  # nothing is fetched
    here = clone.environ
    assert complete("pack", cwd=clone.path, environ=here) == ["package"]
    assert complete("release job/o", cwd=clone.path, environ=here) == ["job/orders/v3"]
    assert complete("package view ord", cwd=clone.path, environ=here) == ["orders_1", "orders_0"]
    assert complete("compare ord", cwd=clone.path, environ=here) == ["orders_0"]
    assert complete("compare ord", cwd=tmp_path, environ=here) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_a_script(shell: str) -> None:
    ran = gitrelease("completion", shell)
    assert (ran.returncode, "_GITRELEASE_COMPLETE" in ran.stdout) == (0, True)


def test_a_folder_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    ran = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD" && exec "$0" -m gitrelease status', sys.executable],
        cwd=gone,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "error: the folder this was started in is not there any more\n"
        "hint: change to one that is, or name one with -C\n"
    )
