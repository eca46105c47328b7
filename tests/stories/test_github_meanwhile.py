"""Another command in the middle of one on GitHub: also between two requests, in the end one came after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.git import KeyRing
from tests.stories.test_github import ready
from tests.stories.test_meanwhile import PAIRS, play_in_the_middle


@pytest.mark.long
@pytest.mark.parametrize("is_swapped", [False, True], ids=["", "swapped"])
@pytest.mark.parametrize("name", PAIRS)
def test_another_command_in_the_middle(name: str, is_swapped: bool, keys: KeyRing, tmp_path: Path) -> None:
    """Whatever the moment, people find what they would if one of the two had waited for the other."""
    pair = PAIRS[name]
    with ready(tmp_path / "stage", keys, pair.scene, pair.other.who, lease=60) as start:
        play_in_the_middle(start, *pair.ordered(is_swapped=is_swapped), tmp_path)
