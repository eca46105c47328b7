"""Notes: what a clone writes down for itself, to be quicker next time; losing one costs nothing but time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_note(file: Path, data: bytes) -> bool:
    """Write a note all at once, so that nobody reads half of one; where nothing can be written, nothing is.

    Returns:
        Whether it was written.
    """
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        return False
    return True
