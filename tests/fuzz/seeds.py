"""Seeds: the corpus that is kept, by kind, and one good example of each kind to begin from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ASKED = int(os.environ.get("GITRELEASE_FUZZ_EXAMPLES", "0"))
"""How many examples somebody asked for; 0 is the few that CI tries, always the same ones."""

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
DATA = HERE.parent / "data"

GOOD: dict[str, tuple[str, ...]] = {
    "job": ("orders_daily.job.yaml", "clickstream_single.job.yaml", "clickstream_sessions.job.yaml"),
    "script": ("clean-orders.script.yaml",),
    "workspace": ("workspace.yaml",),
    "manifest": ("manifest.yaml",),
    "record": ("record.yaml",),
    "receipt": ("receipt.json",),
    "opinion": ("opinion.json",),
    "settlement": ("settlement.json",),
    "content": ("clean-orders.sql",),
    "summary": (),
    "holding": (),
    "standing": (),
    "number": (),
    "name": (),
}
"""Every kind of input, and the examples of it that other tests have. The rest of a kind is in the corpus."""


@dataclass(frozen=True, kw_only=True)
class Seed:
    """One input: which kind it is of, what it is called, what it holds."""

    kind: str
    name: str
    data: bytes

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@cache
def seeds(kind: str) -> tuple[Seed, ...]:
    """Give all seeds of a kind, the good examples first."""
    good = [DATA / name for name in GOOD[kind]]
    kept = sorted((CORPUS / kind).iterdir(), key=lambda path: (not path.name.startswith("good"), path.name))
    return tuple(Seed(kind=kind, name=path.name, data=path.read_bytes()) for path in (*good, *kept))


def every_seed() -> tuple[Seed, ...]:
    """Give all seeds of all kinds."""
    return tuple(seed for kind in GOOD for seed in seeds(kind))
