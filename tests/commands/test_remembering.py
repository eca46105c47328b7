"""`check` again: what it found is remembered, for as long as nothing it depends on is another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from gitrelease.commands.check import CheckResult, check_working
from gitrelease.commands.remembering import LEAST, MOST_RESULTS, CheckCache, hash_of, stamps
from gitrelease.core.finding import Finding, Severity
from tests.kit.git import Bench
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop
from tests.kit.targets import Plant, open_mill

PROJECT = Path(__file__).parent.parent.parent
ONE = "jobs/many/job_0001.job.yaml"
MANY = {f"jobs/many/job_{n:04}.job.yaml": job_yaml(f"job_{n:04}", script="clean") for n in range(LEAST)}
SECRET = "description: 'password: Tr0ub4dor-and-3' # gitrelease: allow-secret it is from a comic\n"


@pytest.fixture
def shop(bench: Bench) -> Iterator[Shop]:
    """A shop in which somebody has just written many jobs."""
    made = open_shop(bench, FIRST_ITEMS, signatures="off")
    made.person("dev-1").write(MANY)
    yield made
    made.close()


def memory(person: Person) -> list[Path]:
    """Give the files that results are remembered in."""
    folder = person.desk.repo.git_dir / "gitrelease" / "checked"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def check(person: Person, *paths: str) -> CheckResult:
    return check_working(person.desk, paths or ("jobs/many",))


def test_what_was_found_is_found_again(shop: Shop) -> None:
    person = shop.person("dev-1")
    person.write({ONE: "x: on\n"})
    first = check(person)
    assert first.checked == LEAST
    assert {one.severity for one in first.findings} == set(Severity)
    (file,) = memory(person)
    body = file.read_bytes()
    assert check(person) == first
    assert memory(person) == [file]
    # It is really taken from there: what is written there, with the hash of it, comes out.
    other = json.dumps([7, []]).encode()
    file.write_bytes(sha256(other).hexdigest().encode() + b"\n" + other)
    assert check(person) == CheckResult(findings=(), checked=7)
    file.write_bytes(body)
    assert check(person) == first


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\n", b"\xff\xfe", b"[", b"[]", b"null", b"[1]", b"[true, []]", b"[1, 2]", b"[1, [1]]", b"[1, [[]]]",
        b'[1, [["c", "error", "f", "1", null, null, "m", null]]]',
        b'[1, [["c", "fatal", "f", 1, null, null, "m", null]]]',
        b'[1, [["c", "error", null, 1, null, null, "m", null]]]',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
@pytest.mark.parametrize("sealed", [True, False])
def test_what_is_not_well_formed_is_no_memory(tmp_path: Path, body: bytes, *, sealed: bool) -> None:
    (tmp_path / "key").write_bytes(sha256(body).hexdigest().encode() + b"\n" + body if sealed else body)
    assert CheckCache(folder=tmp_path).recall("key") is None


def test_a_damaged_memory_is_replaced(shop: Shop) -> None:
    person = shop.person("dev-1")
    first = check(person)
    (file,) = memory(person)
    whole = file.read_bytes()
    for damaged in (b"", whole.replace(b"warning", b"warnimg")):
        file.write_bytes(damaged)
        assert check(person) == first
        assert file.read_bytes() == whole


def test_another_file_is_another_check(shop: Shop) -> None:
    person = shop.person("dev-1")
    first = check(person)
    assert not [one for one in first.findings if one.severity is Severity.ERROR]
    person.write({ONE: job_yaml("job_0001", script="nowhere")})
    assert [one.code for one in check(person).findings if one.severity is Severity.ERROR] == [
        "unknown-script"
    ]
    person.write({ONE: job_yaml("job_0001", script="clean")})
    assert check(person) == first
    person.write({ONE: None})
    assert check(person).checked == LEAST - 1
    person.write({"jobs/many/more.job.yaml": job_yaml("more")})
    assert check(person).checked == LEAST


def test_what_others_hold_makes_another_check(shop: Shop) -> None:
    """A script that is approved meanwhile, or taken away, is not in any file that was looked at."""
    person, other = shop.person("dev-1"), shop.person("dev-2")
    person.write({ONE: job_yaml("job_0001", script="fresh")})
    codes = [one.code for one in check(person).findings if one.severity is Severity.ERROR]
    assert codes == ["unknown-script"]
    other.write(
        {
            "scripts/fresh.script.yaml": FIRST_ITEMS["scripts/sales/clean.script.yaml"].replace(
                "clean", "fresh"
            ),
            "scripts/fresh.sql": "SELECT 2;\n",
        }
    )
    other.submit("fresh")
    shop.person("dev-2").release("script/fresh/v1", name="with_fresh")
    shop.person("dep-1").approve("with_fresh")
    shop.person("sync").sync()
    person.desk.fetch()
    assert [one for one in check(person).findings if one.severity is Severity.ERROR] == []


def test_an_allowed_secret_stays_allowed_and_another_is_found(shop: Shop) -> None:
    person = shop.person("dev-1")
    text = job_yaml("job_0001").replace("description: Loads job_0001 \n", SECRET)
    assert SECRET in text
    person.write({ONE: text})
    first = check(person)
    assert "secret" not in {one.code for one in first.findings}
    assert check(person) == first
    person.write({ONE: text.replace(" it is from a comic", "")})
    assert {"secret", "allow-secret-reason"} <= {one.code for one in check(person).findings}


def test_a_file_that_git_was_told_to_believe_unchanged(shop: Shop) -> None:
    person = shop.person("dev-1")
    first = check(person)
    person.clone.git("add", "--all")
    person.clone.git("commit", "--quiet", "--message", "Many")
    person.clone.git("update-index", "--assume-unchanged", ONE)
    assert check(person) == first
    person.write({ONE: "x\n"})
    assert ONE in {one.file for one in check(person).findings if one.severity is Severity.ERROR}


def test_what_git_is_told_to_ignore_makes_another_check(shop: Shop) -> None:
    person = shop.person("dev-1")
    first = check(person)
    person.write({".gitignore": "job_0001*\n"})
    assert "ignored" in {one.code for one in check(person).findings}
    person.write({".gitignore": None})
    assert check(person) == first


def test_few_files_and_single_ones_are_not_remembered(shop: Shop) -> None:
    person = shop.person("dev-1")
    check(person, "jobs/sales")
    check(person, ONE)
    check(person, "job/job_0001")
    check_working(person.desk, [])
    assert memory(person) == []


def test_what_a_target_of_others_says_is_not_remembered(bench: Bench, tmp_path: Path) -> None:
    """Its opinion of a job may depend on anything."""
    with open_mill(bench, {"mill": Plant(folder=tmp_path / "mill")}, signatures="off") as shop:
        person = shop.person("dev-1")
        person.write(MANY)
        assert check(person).checked == LEAST
        assert memory(person) == []


def test_what_cannot_be_written_is_not_remembered(tmp_path: Path) -> None:
    (tmp_path / "checked").write_text("in the way", encoding="utf-8")
    CheckCache(folder=tmp_path / "checked").keep("key", 1, [])
    assert CheckCache(folder=tmp_path / "checked").recall("key") is None


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    kept = CheckCache(folder=tmp_path)
    finding = Finding(code="a", file="b", message="c")
    for number in range(MOST_RESULTS + 3):
        kept.keep(f"{number}", number, [finding])
        os.utime(tmp_path / f"{number}", ns=(number, number))
    assert {file.name for file in tmp_path.iterdir()} == {f"{n}" for n in range(3, MOST_RESULTS + 3)}
    assert kept.recall("5") == (5, (finding,))


def test_no_two_groups_of_texts_have_one_hash() -> None:
    groups: list[list[list[str]]] = [
        [],
        [[]],
        [["a"]],
        [["a"], []],
        [[], ["a"]],
        [["a", "b"]],
        [["a"], ["b"]],
        [["ab"]],
        [["1:a"]],
        [["", ""]],
    ]
    assert len({hash_of(*one) for one in groups}) == len(groups)


def test_stamps_tell_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "jobs" / "a").mkdir(parents=True)
    (tmp_path / "jobs" / "a" / "file").write_text("x", encoding="utf-8")
    (tmp_path / "jobs" / "link").symlink_to("a")
    before = list(stamps(tmp_path, "jobs"))
    assert before == list(stamps(tmp_path, "jobs"))
    assert [one.split(" ")[0] for one in before] == ["jobs", "jobs/a", "jobs/link", "jobs/a/file"]
    (tmp_path / "jobs" / "a" / "file").unlink()
    (tmp_path / "jobs" / "a" / "file").mkdir()
    assert before != list(stamps(tmp_path, "jobs"))
    assert [one.split(" ")[0] for one in stamps(tmp_path, "nothing")] == ["nothing"]


@pytest.mark.parametrize(
    "words", [["check", "jobs/many"], ["submit", "job/job_0001", "-m", "Add one"]], ids=" ".join
)
def test_nothing_of_the_network_is_loaded_and_nothing_to_explain_with(shop: Shop, words: list[str]) -> None:
    """detect-secrets brings `requests` along, which nothing here needs."""
    person = shop.person("dev-1")
    person.write({ONE: job_yaml("job_0001", note="from obs://bucket/orders")})  # which could hold a password
    program = (
        "import sys\nfrom gitrelease.cli import main\n"
        f"try: main(['-C', {str(person.clone.path)!r}, *{words!r}])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print('::', *sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**person.clone.environ, "PYTHONPATH": str(PROJECT)}, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    loaded = set(ran.stdout.partition("::")[2].split())
    assert "detect_secrets" in loaded
    assert loaded & {"requests", "urllib3", "http.client", "jsonschema"} == set()
