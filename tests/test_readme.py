"""README.md says what the program says."""

from __future__ import annotations

import re

from gitrelease.commands import demo
from tests.kit.readme import DATA, EXAMPLES, README, ROOT, written


def test_the_page_is_what_the_program_says() -> None:
    """The command reference, the exit codes and the examples; `python -m tests.kit.readme` writes them anew."""
    page = README.read_text(encoding="utf-8")
    assert page == written(page)


def test_every_example_of_a_document_is_printed() -> None:
    """A complete example of each document stands in the page."""
    page = README.read_text(encoding="utf-8")
    for name, _ in EXAMPLES.values():
        assert (DATA / name).read_text(encoding="utf-8").rstrip("\n") in page


def test_the_two_lines_stand_once() -> None:
    """CI reads the two lines out of the page."""
    page = README.read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/gitrelease demo",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest",
    ]


def test_the_transcript_is_of_the_demo() -> None:
    """Every command of the transcript is one that the demo types."""
    page = README.read_text(encoding="utf-8")
    typed = re.findall(r"^(\w+)\$ (gitrelease .*|git .*)$", page, re.MULTILINE)
    assert len(typed) > 8
    source = (ROOT / "gitrelease" / "commands" / "demo.py").read_text(encoding="utf-8")
    for who, command in typed:
        assert who in demo.PEOPLE
        words = re.sub(r"\b[\w-]+_\d{14}\b", "", command).split(" -m ")[0].split()
        assert words[0] in {"git", "gitrelease"}
        assert " ".join(words[:2]) in source, command


def test_links_lead_somewhere() -> None:
    """Every relative link of the page leads to a file."""
    page = README.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", page):
        assert (ROOT / target).exists(), target
