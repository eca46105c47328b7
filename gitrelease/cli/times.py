"""Times as people type them: a date, a moment of RFC 3339, or how long ago."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_AGO = re.compile(r"([0-9]{1,5})([mhdw])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str, now: datetime, *, is_end: bool = False) -> datetime:
    """Read a time; raise `ValueError` when it is none.

    Args:
        text: `2026-11-22`, `2026-11-22T08:00:00Z`, or `7d` for seven days ago.
        now: the time, with the offset in which a date or a time without one is meant.
        is_end: whether a span ends here; a date then means the end of that day.
    """
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    if _DATE.fullmatch(text):
        day = datetime.fromisoformat(text).replace(tzinfo=now.tzinfo)
        return day + timedelta(days=1, microseconds=-1) if is_end else day
    if _MOMENT.fullmatch(text):
        at = datetime.fromisoformat(text.upper().replace(" ", "T"))
        return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
    raise ValueError(f"{text!r} is no time")
