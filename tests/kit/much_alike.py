"""Cases that are much alike: every run tries the first few of them, and the long run all the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first(many: int, cases: Iterable[Any]) -> list[Any]:
    """Leave all cases but the first ones to the long run; what one wants tried always is put first."""
    return [case if number < many else _long(case) for number, case in enumerate(cases)]


def _long(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.long)
