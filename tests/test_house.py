"""The house rules that a machine can check: which way imports point, types, style, what stands at the top level."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gitrelease"

# From the ground up. A module imports from its own layer only within its own package, and from below.
LAYERS = (
    ("errors",),
    ("core",),
    ("documents", "repo", "secrets", "notes"),
    ("schemas", "pen", "signers"),
    ("checking", "messages"),
    ("archiving",),
    ("forges", "targets"),
    ("reading",),
    ("commands", "settings"),
    ("render", "wiring"),
    ("cli",),
    ("__main__",),
)
LAYER = {name: number for number, layer in enumerate(LAYERS) for name in layer}
LIBRARY_OF = {"git": "repo", "gitdb": "repo", "click": "cli", "github": "forges", "yaml": "documents"}


def modules() -> list[Path]:
    """Every module of ours, without the data that ships as a sample."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "sample" not in path.relative_to(PACKAGE).parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever the import stands, unless it is for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(module: str) -> str | None:
    """The first name below `gitrelease`, None for other packages and for the package itself."""
    names = module.split(".")
    return names[1] if names[0] == "gitrelease" and len(names) > 1 and names[1] in LAYER else None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    """An arrow that turns round fails here."""
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if here in {"__init__", "sample"}:
        return
    assert here in LAYER, f"{here} stands in no layer: say in this test where it belongs"
    wrong = [
        module
        for module in imports(path)
        if (part := part_of(module)) is not None and part != here and LAYER[part] >= LAYER[here]
    ]
    assert not wrong, f"{here} imports {wrong}, which stands beside or above it"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_behind_their_door(path: Path) -> None:
    """GitPython is behind `repo`, click behind `cli`, PyYAML behind `documents`."""
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    wrong = [module for module in imports(path) if LIBRARY_OF.get(module.split(".")[0], here) != here]
    assert not wrong


def test_core_knows_no_world() -> None:
    """`core` imports the standard library, `errors` and itself: no files, no git, no network, no clock."""
    outside = {
        "os",
        "pathlib",
        "subprocess",
        "socket",
        "time",
        "random",
        "shutil",
        "tempfile",
        "secrets",
        "urllib",
    }
    for path in (PACKAGE / "core").glob("*.py"):
        names = {module.split(".")[0] for module in imports(path)}
        assert not names & outside, path
        assert not {name for name in names if name not in sys.stdlib_module_names} - {"gitrelease"}, path
        text = path.read_text(encoding="utf-8")
        assert "datetime.now" not in text, path


def test_there_are_no_import_circles() -> None:
    """Modules of one package may import each other, but never in a circle."""
    names = {
        ".".join(("gitrelease", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in modules()
    }
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    edges = {name: {m for m in imports(path) if m in names and m != name} for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for other in sorted(edges[name]):
            # A package's own __init__ is loaded before its modules, whatever they say.
            if not name.startswith(f"{other}."):
                visit(other, (*trail, name))
        done.add(name)

    for name in sorted(edges):
        visit(name, ())


def test_only_named_things_stand_at_the_top() -> None:
    """The owner named what stands at the top level."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True
    ).stdout.split("\0")
    if listed == [""]:
        pytest.skip("this is no git checkout, so what is tracked is not known")
    allowed = {
        "gitrelease", "schemas", "tests", ".github", "pyproject.toml", "README.md", ".ci", "LICENSE",
        "CHANGELOG.md", ".gitignore", ".gitattributes", ".pre-commit-config.yaml", ".editorconfig",
    }  # fmt: skip
    assert {path.split("/")[0] for path in listed if path} <= allowed


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
    ],
    ids=["ruff check", "ruff format", "mypy"],
)
def test_style_and_types(command: list[str]) -> None:
    """`ruff` and `mypy --strict` are part of the tests."""
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, check=False, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
