"""A campaign by hand: `python -m tests.fuzz.campaign --seconds 600 --into FOLDER`.

With atheris (`pip install atheris`) the inputs that reach new code are kept and changed further. Without it they
are changed at random, and the program says so. Either way it goes on after a fault, and keeps the first input of
each in the folder; what is a bug belongs, made small, into `corpus/`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

KINDS = (
    "job", "script", "workspace", "manifest", "record", "receipt", "opinion", "settlement", "content", "summary",
    "holding", "standing", "number", "name",
)  # fmt: skip
"""The kinds, in the order of the byte that says which one an input is of."""


@dataclass(kw_only=True)
class Campaign:
    """What was tried, and what was found."""

    into: Path
    tried: int = 0
    accepted: int = 0
    faults: dict[tuple[str, str, str], Path] = field(default_factory=dict)

    def try_one(self, data: bytes) -> None:
        """Read one input, of the kind that its first byte names; keep what raises a fault of a new sort."""
        from tests.fuzz.fair import ending
        from tests.fuzz.readers import READERS

        if not data:
            return
        kind = KINDS[data[0] % len(KINDS)]
        self.tried += 1
        try:
            with ending():
                self.accepted += READERS[kind](data[1:])
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:  # noqa: BLE001 - any fault at all is what is looked for
            self._keep(kind, data[1:], fault)

    def _keep(self, kind: str, data: bytes, fault: BaseException) -> None:
        where = _where(fault.__traceback__)
        sort = (kind, type(fault).__name__, where)
        if sort in self.faults:
            return
        path = self.into / f"{kind}-{sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        self.faults[sort] = path
        said = str(fault).splitlines()[:1]
        _say(f"FAULT {kind} {type(fault).__name__} at {where}: {said!a:.300} -> {path}")

    def report(self) -> None:
        """Say how far it went."""
        _say(f"{self.tried} inputs, {self.accepted} accepted, {len(self.faults)} sorts of faults")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _where(trace: TracebackType | None) -> str:
    """Name the innermost place of ours, and for an oracle the line of it."""
    frames = [
        frame
        for frame in traceback.extract_tb(trace)
        if "gitrelease" in frame.filename or "fuzz" in frame.filename
    ]
    return ":".join((Path(frames[-1].filename).name, str(frames[-1].lineno))) if frames else "?"


def beginnings() -> list[bytes]:
    """Give every seed with the byte of its kind before it."""
    from tests.fuzz.seeds import every_seed

    return [bytes([KINDS.index(seed.kind)]) + seed.data for seed in every_seed()]


def at_random(campaign: Campaign, seconds: float) -> None:
    """Change seeds for a while without looking which code they reach."""
    from tests.fuzz.mutating import mutated

    rng, start, known = Random(1), time.monotonic(), beginnings()  # noqa: S311 - nothing here is a secret
    for data in known:
        campaign.try_one(data)
    while time.monotonic() - start < seconds:
        one = rng.choice(known)
        other = rng.choice([data for data in rng.choices(known, k=20) if data[0] == one[0]] or [one])
        campaign.try_one(one[:1] + mutated(rng, one[1:], other[1:]))


def guided(campaign: Campaign, seconds: float) -> None:
    """Let atheris look which code is reached; it ends the process when the time is over."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["gitrelease"]):
        import tests.fuzz.readers  # noqa: F401 - instrumented as it is imported
    from tests.fuzz.mutating import mutated

    known = beginnings()

    def change(data: bytes, most: int, seed: int) -> bytes:
        rng = Random(seed)  # noqa: S311 - nothing here is a secret
        if rng.randrange(3) == 0 or not data:
            found: bytes = atheris.Mutate(data, most)
            return found
        other = rng.choice([one for one in rng.choices(known, k=20) if one[0] == data[0]] or [data])
        return (data[:1] + mutated(rng, data[1:], other[1:]))[:most]

    def try_one(data: bytes) -> None:
        campaign.try_one(data)
        if data and campaign.tried % 2000 == 0:
            campaign.report()  # libFuzzer ends the process where it stands

    with tempfile.TemporaryDirectory() as folder:
        for data in known:
            Path(folder, sha256(data).hexdigest()).write_bytes(data)
        options = [
            f"-max_total_time={seconds:.0f}",
            "-max_len=20000",
            "-timeout=60",
            "-rss_limit_mb=3000",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *options, folder], try_one, custom_mutator=change)
        atheris.Fuzz()


def main(words: list[str] | None = None) -> int:
    """Run a campaign; the exit code says whether anything was found."""
    parser = argparse.ArgumentParser(description="Fuzz what reads other people's input.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--into", type=Path, default=Path(tempfile.gettempdir()) / "gitrelease-fuzz")
    os.environ.setdefault("GITRELEASE_FUZZ_EXAMPLES", "1")  # nobody waits for it, so it looks closely
    asked: Any = parser.parse_args(words)
    asked.into.mkdir(parents=True, exist_ok=True)
    campaign = Campaign(into=asked.into)
    if importlib.util.find_spec("atheris") is None:
        _say("atheris is not installed: inputs are changed at random, whatever code they reach")
        at_random(campaign, asked.seconds)
        campaign.report()
    else:
        guided(campaign, asked.seconds)
    return 1 if campaign.faults else 0


if __name__ == "__main__":
    sys.exit(main())
