"""`import --status saved`: an export becomes working files, all of them or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitrelease.commands.check import check_working
from gitrelease.commands.importing import ExportUnreadable, ImportResult, import_files
from gitrelease.core.names import ItemKey, item_key
from gitrelease.documents import parse
from gitrelease.errors import GitReleaseError, NotFound, NotYetBuilt, Refused, UsageError
from tests.kit.git import Bench
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, open_shop

JOB = "jobs/sales/orders.job.yaml"


@pytest.fixture
def shop(bench: Bench) -> Iterator[Shop]:
    """A shop with one job and the script it runs."""
    made = open_shop(bench, FIRST_ITEMS, signatures="off")
    yield made
    made.close()


@pytest.fixture
def person(shop: Shop) -> Person:
    """Somebody who imports."""
    return shop.person("dev-1")


@pytest.fixture
def export(bench: Bench) -> Path:
    """An empty folder for an export."""
    folder = bench.folder / "export"
    folder.mkdir()
    return folder


def job(name: str = "new", directory: str = "/sales/daily", **more: object) -> dict[str, object]:
    nodes = [{"name": "a", "type": "Dummy", "properties": []}]
    body: dict[str, object] = {"name": name, "directory": directory, "processType": "BATCH", "nodes": nodes}
    return {**body, "schedule": {"type": "EXECUTE_ONCE"}, "version": "4", **more}


def script(
    name: str = "wash", kind: str = "HiveSQL", content: str = "SELECT 2;\n", **more: object
) -> dict[str, object]:
    return {
        "name": name,
        "type": kind,
        "content": content,
        "directory": "/sales",
        "connectionName": "hive_dev",
        **more,
    }


def put(folder: Path, *bodies: dict[str, object]) -> None:
    for body in bodies:
        ending = "script" if "content" in body else "job"
        (folder / f"{body['name']}.{ending}").write_text(
            json.dumps(body, ensure_ascii=False), encoding="utf-8"
        )


def run(person: Person, file: Path, *, on_duplicate: str = "skip", status: str = "saved") -> ImportResult:
    return import_files(person.desk, file, status=status, on_duplicate=on_duplicate)


def changed(person: Person) -> list[str]:
    lines = person.clone.git("status", "--porcelain", "--untracked-files=all").splitlines()
    return sorted(line[3:] for line in lines)


def keys(*texts: str) -> tuple[ItemKey, ...]:
    return tuple(item_key(text) for text in texts)


def test_a_folder_in_either_layout(person: Person, export: Path) -> None:
    for where in ("jobs/new", "jobs/other"):
        (export / where).mkdir(parents=True)
        put(export / where, script())  # a batch export puts it beside every job that uses it
    put(export / "jobs/new", job())
    put(export / "jobs/other", job("other", "/"))
    (export / "readme.txt").write_text("hello", encoding="utf-8")
    made = run(person, export)
    assert made.written == keys("job/new", "script/wash", "job/other")
    assert made.paths == (
        "jobs/sales/daily/new.job.yaml",
        "scripts/sales/wash.script.yaml",
        "scripts/sales/wash.sql",
        "jobs/other.job.yaml",
    )
    assert changed(person) == sorted(made.paths)
    assert (made.skipped, made.findings) == ((), ())
    assert made.notes[0] == "left alone, as they are neither .job nor .script files: readme.txt"
    assert "job/new: left out version: DataArts Studio sets that by itself" in made.notes
    assert (person.clone.path / "scripts/sales/wash.sql").read_bytes() == b"SELECT 2;\n"
    found = check_working(person.desk, [])
    assert [one for one in found.findings if one.severity == "error"] == []
    assert found.checked == 3


def test_one_file(person: Person, export: Path) -> None:
    put(export, job(), job("other"))
    assert run(person, export / "new.job").written == keys("job/new")
    document = parse((person.clone.path / "jobs/sales/daily/new.job.yaml").read_bytes(), file="a").value
    assert "version" not in document


def test_a_script_in_python_has_its_ending(person: Person, export: Path) -> None:
    put(export, script(kind="PYTHON", content="print(1)\r\n"))
    made = run(person, export)
    assert made.paths == ("scripts/sales/wash.script.yaml", "scripts/sales/wash.py")
    assert "script/wash: the line ends of the content were CRLF or CR and are LF now" in made.notes


def test_what_is_there_is_skipped_wherever_it_is(person: Person, export: Path) -> None:
    person.write({"jobs/elsewhere/draft.job.yaml": job_yaml("draft")})
    put(export, job("orders", "/b"), job("draft", "/c"), job("Orders2"))
    made = run(person, export)
    assert (made.written, made.skipped) == (keys("job/Orders2"), keys("job/draft", "job/orders"))
    assert changed(person) == ["jobs/elsewhere/draft.job.yaml", "jobs/sales/daily/Orders2.job.yaml"]


def test_what_is_there_is_overwritten_in_its_place(person: Person, export: Path) -> None:
    person.write({"jobs/elsewhere/draft.job.yaml": job_yaml("draft")})
    put(export, job("orders", "/b"), job("draft", "/elsewhere"))
    made = run(person, export, on_duplicate="overwrite")
    assert made.skipped == ()
    assert changed(person) == ["jobs/elsewhere/draft.job.yaml", JOB]
    assert "job/orders: stays in /sales; the export has it in /b" in made.notes
    document = parse((person.clone.path / JOB).read_bytes(), file=JOB).value
    assert (document["version"], document["schedule"]) == (1, {"type": "EXECUTE_ONCE"})


def test_an_item_whose_files_were_removed_comes_back_in_its_place(person: Person, export: Path) -> None:
    person.write({JOB: None})
    put(export, job("orders", "/b"))
    assert run(person, export).skipped == keys("job/orders")
    assert run(person, export, on_duplicate="overwrite").paths == (JOB,)


def test_a_script_of_another_type_leaves_no_old_content(person: Person, export: Path) -> None:
    put(export, script("clean", "PYTHON", "print(1)\n"))
    run(person, export, on_duplicate="overwrite")
    assert changed(person) == [
        "scripts/sales/clean.py",
        "scripts/sales/clean.script.yaml",
        "scripts/sales/clean.sql",
    ]
    assert not (person.clone.path / "scripts/sales/clean.sql").exists()


def test_names_that_differ_only_in_spelling(person: Person, export: Path) -> None:
    put(export, job("Orders"))
    assert run(person, export).skipped == keys("job/Orders")
    with pytest.raises(Refused, match="differ only in spelling"):
        run(person, export, on_duplicate="overwrite")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("bad.job", b"{", "bad.job:1:2: no JSON"),
        ("bad.job", b'{"name": "a", "name": "b"}', "the key 'name' stands twice"),
        ("bad.job", b'{"name": NaN}', "NaN is no number in JSON"),
        ("bad.job", b'{"name": "\xff"}', "bad.job:1: the byte 0xff is not UTF-8"),
        ("bad.job", b"[]", "holds no JSON object"),
        ("bad.job", b"{}", "bad.job: name is missing"),
        ("bad.job", json.dumps(job("../x")).encode(), "bad.job: name: the name '../x'"),
        ("bad.job", json.dumps(job(directory="/../x")).encode(), "bad.job: directory"),
        ("bad.script", json.dumps(script(kind="Cobol")).encode(), "'Cobol'"),
        ("bad.script", json.dumps({"name": "x", "type": "Shell"}).encode(), "content is missing"),
        ("bad.job", b"[" * 100_000, "bad.job"),
        ("bad.job", b" " * (10 * 1024 * 1024 + 1), "more than the 10,485,760 bytes"),
    ],
)
def test_one_bad_file_and_nothing_is_written(
    person: Person, export: Path, name: str, data: bytes, message: str
) -> None:
    put(export, job("a-good-one"))
    (export / name).write_bytes(data)
    with pytest.raises(ExportUnreadable) as caught:
        run(person, export)
    assert message in caught.value.message
    assert changed(person) == []


def test_two_files_that_hold_one_item_and_differ(person: Person, export: Path) -> None:
    (export / "more").mkdir()
    put(export, job())
    put(export / "more", job(description="another"))
    with pytest.raises(ExportUnreadable, match="both hold job/new, and differ"):
        run(person, export)


def test_links_are_not_followed(person: Person, export: Path, bench: Bench) -> None:
    put(export, job())
    (export / "link.job").symlink_to(export / "new.job")
    with pytest.raises(ExportUnreadable, match="symbolic link"):
        run(person, export)
    with pytest.raises(ExportUnreadable, match="symbolic link"):
        run(person, export / "link.job")
    (export / "link.job").unlink()
    put(export, job("a-first", "/"))
    outside = bench.folder / "outside"
    outside.mkdir()
    (person.clone.path / "jobs/sales/daily").symlink_to(outside)
    with pytest.raises(GitReleaseError):
        run(person, export)
    assert list(outside.iterdir()) == []
    assert not (person.clone.path / "jobs/a-first.job.yaml").exists()


def test_what_the_schema_says_is_told_and_the_files_are_written(person: Person, export: Path) -> None:
    put(export, job(nodes=[{"name": "a b", "type": "Dummy"}]))
    made = run(person, export)
    assert [(one.file, one.code) for one in made.findings] == [
        ("jobs/sales/daily/new.job.yaml", "wrong-form")
    ]
    assert changed(person) == ["jobs/sales/daily/new.job.yaml"]


def test_what_is_not_built_yet_is_said_by_name(person: Person, export: Path) -> None:
    put(export, job())
    for status in ("submitted", "released"):
        with pytest.raises(NotYetBuilt, match=status):
            run(person, export, status=status)
    with pytest.raises(NotYetBuilt, match="zip"):
        run(person, export / "jobs.zip")
    assert changed(person) == []


def test_what_makes_no_sense(person: Person, export: Path) -> None:
    with pytest.raises(NotFound, match=r"holds no \.job"):
        run(person, export)
    put(export, job())
    with pytest.raises(UsageError):
        run(person, export, status="done")
    with pytest.raises(UsageError):
        run(person, export, on_duplicate="ask")
    with pytest.raises(NotFound):
        run(person, export / "none.job")
    (export / "a.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ExportUnreadable, match=r"neither a \.job"):
        run(person, export / "a.txt")


def test_before_there_is_a_ledger(bench: Bench, export: Path) -> None:
    clone = bench.clone(bench.server(), "dev-1")
    put(export, job(), script())
    alone = Person(id="dev-1", clone=clone, bench=bench)
    with alone.repo:
        assert run(alone, export).written == keys("job/new", "script/wash")
        assert run(alone, export).skipped == keys("job/new", "script/wash")
