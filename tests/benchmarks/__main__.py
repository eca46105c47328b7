"""`python -m tests.benchmarks`: how fast is gitrelease, beside git itself, on a repository of years?"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter

from tests.benchmarks.growing import Grown, grow
from tests.benchmarks.measuring import NAMES, Bench, Row, Skipped, rows
from tests.benchmarks.place import Place


def main() -> int:
    """Grow a repository, measure, and print the table; 1 when a verb is slower than it may be."""
    asked = _arguments()
    folder = asked.keep or Path(mkdtemp(prefix="gitrelease-benchmarks-"))
    try:
        place = Place(folder=folder, grown=_grown(folder, asked))
        bench = Bench(place=place, runs=asked.runs, patience=asked.patience)
        _say(
            "| verb | yardstick | yardstick took | verb took | to reach | found | |\n|---|---|---|---|---|---|---|\n"
        )
        slow = False
        for row in rows(bench, frozenset(asked.only)):
            _say(_line(row))
            slow |= isinstance(row, Row) and not row.is_ok
        return int(slow)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="how many jobs the repository holds")
    parser.add_argument("--releases", type=int, default=1_000, help="how many releases it has seen")
    parser.add_argument("--signed", action="store_true", help="everything in it is signed, and has to be")
    parser.add_argument("--only", type=_names, default=(), help=f"some of {','.join(NAMES)}")
    parser.add_argument("--runs", type=int, default=5, help="how often each line is run")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds that one line may take")
    parser.add_argument("--keep", type=Path, help="where the repository is kept, and found the next time")
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if wrong := set(names) - set(NAMES):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(wrong))}")
    return names


def _grown(folder: Path, asked: argparse.Namespace) -> Grown:
    if (folder / "grown.json").is_file():
        return Grown.load(folder)
    start = perf_counter()
    grown = grow(folder, jobs=asked.jobs, releases=asked.releases, signed=asked.signed)
    _say(f"{asked.jobs} jobs, {asked.releases} releases, grown in {perf_counter() - start:.0f} s\n\n")
    return grown


def _line(row: Row | Skipped) -> str:
    if isinstance(row, Skipped):
        return f"| {row.verb} | | | | | skipped: {row.why} | |\n"
    verdict = "ok" if row.is_ok else "not"
    yardstick = f"{row.of_yardstick:.2f} s" if row.yardstick else ""
    found = row.limit.found(row.of_yardstick, row.of_verb)
    return f"| {row.verb} | {row.yardstick} | {yardstick} | {row.of_verb:.2f} s | {row.limit} | {found} | {verdict} |\n"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
