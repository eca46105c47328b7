"""The pages that the code refers to are in the repository, and say where each pitfall is ruled out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ROOT / ".github"
SOURCES = sorted(
    path
    for folder in ("gitrelease", "tests", "schemas")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".json"} and "spec" not in path.parts and path != Path(__file__)
)
NUMBERED = re.compile(r"def test_((?:p\d+_)+)")

if not PAGES.is_dir():
    pytest.skip("this is no checkout: the pages of .github are not here", allow_module_level=True)


def page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def referred(pattern: str) -> Iterator[tuple[Path, str]]:
    """Everything in the sources that a pattern finds, with the file."""
    for path in SOURCES:
        for found in re.finditer(pattern, path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT), found[1]


def entries() -> dict[int, str]:
    """What the page of pitfalls says of each, by its number."""
    parts = re.split(r"^- \*\*P(\d+)\*\*", page("pitfalls.md"), flags=re.MULTILINE)
    return {
        int(number): " ".join(text.split()) for number, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_every_part_of_the_design_that_is_named_is_there() -> None:
    sections = set(re.findall(r"^## (\d+)\.", page("design.md"), flags=re.MULTILINE))
    assert sections == {str(number) for number in range(1, 11)}
    assert [one for one in referred(r"[Dd]esign (\d+)\b") if one[1] not in sections] == []


def test_every_part_of_the_console_that_is_named_is_there() -> None:
    sections = set(re.findall(r"^### (\d+\.\d+)", page("dataarts.md"), flags=re.MULTILINE))
    assert [one for one in referred(r"dataarts\.md (\d+\.\d+)") if one[1] not in sections] == []


def test_every_pitfall_is_there() -> None:
    assert set(entries()) == set(range(1, 41))
    assert [one for one in referred(r"[Pp]itfalls? P(\d+)") if int(one[1]) not in entries()] == []


def test_every_pitfall_names_the_tests_that_bear_its_number() -> None:
    bearing: dict[int, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for numbers in NUMBERED.findall(path.read_text(encoding="utf-8")):
            for number in re.findall(r"\d+", numbers):
                bearing.setdefault(int(number), set()).add(path.name)
    for number, text in entries().items():
        missing = {name for name in bearing.get(number, set()) if name not in text}
        assert not missing, f"P{number} does not name {missing}"
        assert ("No test yet" in text) is (number not in bearing), f"P{number}"


def test_no_page_is_named_that_nobody_has() -> None:
    assert list(referred(r"(facts/\S+)")) == []


@pytest.mark.parametrize("path", sorted(PAGES.rglob("*.md")), ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8"))
    gone = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert gone == []
