"""Schedules: what a cron expression of DataArts means, what is wrong with one, and when it runs next.

The dialect has six fields: second, minute, hour, day of the month, month, day of the week. The second is 0,
the month is `*`, and a week starts on Sunday, which is 1. What the documentation does not promise (`L`, `W`,
`#`, a range that wraps around) is refused, because a guess here would run a job on the wrong day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from typing import assert_never
from zoneinfo import ZoneInfo, available_timezones

from gitrelease.core.finding import Key, Problem, Severity, listed
from gitrelease.core.job import Cron, EventTrigger, Schedule, ScheduleType
from gitrelease.core.values import frozen

_FIELDS = ("second", "minute", "hour", "day", "month", "week")
_RANGES = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "week": (1, 7),
}
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_WEEKDAY_WORDS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_HOURS = 24
_FIRST_YEAR = 1970
_EXAMPLE = 'write it as "0 30 2 * * ?" for every day at 02:30'

# One part of a field: `*`, a number or a range, each with a step behind it if wanted.
_PART = re.compile(
    r"(?:(?P<all>\*)|(?P<first>[0-9]{1,4})(?:-(?P<last>[0-9]{1,4}))?)(?:/(?P<step>[0-9]{1,4}))?"
)
_MOMENT = re.compile(
    r"(?P<wall>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?P<zone>Z|(?P<sign>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?)"
)
_OFFSET_ZONE = re.compile(r"(?:GMT|UTC)(?P<sign>[+-])(?P<hours>[0-9]{1,2})(?::(?P<minutes>[0-9]{2}))?")
# These depend on the machine that reads them, or mean nothing.
_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})


class _Wrong(Exception):
    """What is wrong with one field; it becomes a problem before it leaves this module."""


@frozen
class _Times:
    """The minutes a cron expression names, without its zone; `None`: not restricted."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    weekdays: frozenset[int] | None

    def on(self, day: date) -> bool:
        """Say whether there are runs on a day."""
        weekday = day.isoweekday() % 7 + 1
        return (self.days is None or day.day in self.days) and (
            self.weekdays is None or weekday in self.weekdays
        )


@lru_cache(maxsize=1024)
def _parse_field(name: str, text: str) -> frozenset[int]:
    """Give the numbers a field names; raise `_Wrong` with the reason it names none."""
    low, high = _RANGES[name]
    found: set[int] = set()
    for part in text.split(","):
        plain = _weekdays_as_numbers(part) if name == "week" else part
        match = _PART.fullmatch(plain)
        if match is None:
            raise _Wrong(_why_no_part(name, part))
        first = low if match["all"] else int(match["first"])
        # `5/15` starts at 5 and goes on to the end, as in Quartz.
        to_the_end = match["all"] or (match["step"] and not match["last"])
        last = high if to_the_end else int(match["last"] or first)
        step = int(match["step"] or 1)
        if not (low <= first <= high and low <= last <= high):
            raise _Wrong(f"has {part!r}, and its numbers go from {low} to {high}")
        if last < first:
            raise _Wrong(f"has {part!r}, a range that ends before it starts")
        if not 1 <= step <= high - low + 1:
            raise _Wrong(f"has {part!r}, and a step goes from 1 to {high - low + 1}")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _weekdays_as_numbers(part: str) -> str:
    return re.sub(
        r"[A-Za-z]+",
        lambda match: str(_WEEKDAYS.index(day) + 1) if (day := match[0].upper()) in _WEEKDAYS else match[0],
        part,
    )


def _why_no_part(name: str, part: str) -> str:
    if not part:
        return "has an empty part"
    if name in {"day", "week"} and re.search("[LWlw#]", part):
        return f"has {part!r}, and DataArts does not document L, W or #"
    if "?" in part:
        return "has a '?', which stands alone in the day or the week"
    return f"has {part!r}, which is neither *, a number, a range like 1-5 nor a step like */10"


def _parse(expression: str, key: Key) -> tuple[_Times | None, list[Problem]]:
    """Give the times of an expression, and all that is wrong with it."""
    texts = expression.split()
    if len(texts) != len(_FIELDS):
        count = f"{len(texts)} field{'' if len(texts) == 1 else 's'}"
        message = f"the expression {expression!r} has {count}, not the six {' '.join(_FIELDS)}"
        return None, [Problem(code="cron-fields", key=key, message=message, hint=_EXAMPLE)]
    fields = dict(zip(_FIELDS, texts, strict=True))
    problems: list[Problem] = []
    numbers: dict[str, frozenset[int] | None] = {}
    for name, text in fields.items():
        try:
            numbers[name] = (
                None if name in {"day", "week"} and text in {"*", "?"} else _parse_field(name, text)
            )
        except _Wrong as wrong:
            problems.append(_cron_problem(key, f"the {name} of {expression!r} {wrong}"))
    problems += _dialect_problems(expression, fields, numbers, key)
    minutes, hours = numbers.get("minute"), numbers.get("hour")
    if not minutes or not hours or any(problem.severity is Severity.ERROR for problem in problems):
        return None, problems
    times = _Times(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=_unless_all(numbers["day"], "day"),
        weekdays=_unless_all(numbers["week"], "week"),
    )
    return times, problems


def _unless_all(numbers: frozenset[int] | None, name: str) -> frozenset[int] | None:
    low, high = _RANGES[name]
    return None if numbers is None or len(numbers) == high - low + 1 else numbers


def _cron_problem(key: Key, message: str, hint: str = _EXAMPLE) -> Problem:
    return Problem(code="cron-field", key=key, message=message, hint=hint)


def _dialect_problems(
    expression: str, fields: dict[str, str], numbers: dict[str, frozenset[int] | None], key: Key
) -> Iterator[Problem]:
    """Say what a well-formed expression has that DataArts does not run."""
    if numbers.get("second", frozenset({0})) != frozenset({0}):
        yield _cron_problem(key, f"the second of {expression!r} is not 0: DataArts starts jobs on the minute")
    if "month" in numbers and fields["month"] != "*":
        yield _cron_problem(
            key, f"the month of {expression!r} is not *: DataArts has no months in a cron expression"
        )
    day, week = fields["day"], fields["week"]
    free = {"*", "?"}
    if day not in free and week not in free:
        message = f"{expression!r} restricts both the day and the week, and what that means is not documented"
        yield _cron_problem(key, message, hint="put a ? in one of the two")
    elif "?" not in {day, week} or day == week:
        yield Problem(
            code="cron-question-mark",
            key=key,
            message=f"{expression!r} should have a ? in exactly one of day and week",
            hint=_EXAMPLE,
            severity=Severity.WARNING,
        )


def moment(text: str) -> datetime | None:
    """Read a time as DataArts writes it: `2026-01-01T00:00:00+08`, also `+0800`, `+08:00` or `Z`."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    try:
        wall = datetime.fromisoformat(match["wall"])
        if wall.year < _FIRST_YEAR:
            return None
        offset = UTC if match["zone"] == "Z" else _offset(match)
        # The last hours of the calendar have no UTC in every zone; such a time is none.
        return wall.replace(tzinfo=offset).astimezone(UTC).astimezone(offset)
    except (ValueError, OverflowError):
        return None


def _offset(match: re.Match[str]) -> timezone:
    """Read the offset of a match; a ValueError says that there is none so large."""
    hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
    if hours > 14 or minutes > 59:
        raise ValueError(match[0])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if match["sign"] == "-" else offset)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones()) - _NO_ZONES


def zone(name: str) -> tzinfo | None:
    """Find a time zone: `Asia/Shanghai`, or `GMT+8`, which is eight hours *ahead* of Greenwich."""
    if match := _OFFSET_ZONE.fullmatch(name):
        try:
            return _offset(match)
        except ValueError:
            return None
    return ZoneInfo(name) if name in _zone_names() else None


def _zone_of(cron: Cron) -> tzinfo | None:
    """The zone of the expression: the one it names, else that of the start, else UTC; nothing if unknown."""
    if cron.zone is not None:
        return zone(cron.zone)
    start = moment(cron.start) if cron.start else None
    return UTC if start is None else start.tzinfo


def cron_problems(cron: Cron, key: Key) -> list[Problem]:
    """Say all that is wrong with a cron schedule whose document stands at `key`."""
    times, problems = _parse(cron.expression, (*key, "expression"))
    if cron.zone is not None and zone(cron.zone) is None:
        near = get_close_matches(cron.zone, _zone_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else "write it as GMT+8 or Asia/Shanghai"
        message = f"there is no time zone {cron.zone!r}"
        problems.append(
            Problem(code="cron-zone", key=(*key, "expressionTimeZone"), message=message, hint=hint)
        )
    start = _time_problems(cron.start, (*key, "startTime"), problems)
    end = _time_problems(cron.end, (*key, "endTime"), problems)
    if cron.start is None:
        message = "a cron schedule has no startTime"
        problems.append(Problem(code="cron-time", key=key, message=message, hint=_TIME_EXAMPLE))
    if start is not None and end is not None and end <= start:
        message = f"the endTime {cron.end} is not after the startTime {cron.start}"
        problems.append(Problem(code="cron-time", key=(*key, "endTime"), message=message))
    elif times is not None and _is_empty(cron, start, end):
        message = f"{cron.expression!r} has no time between {cron.start} and {cron.end}, so it never runs"
        never = Problem(
            code="cron-never", key=(*key, "expression"), message=message, severity=Severity.WARNING
        )
        problems.append(never)
    return problems


_TIME_EXAMPLE = "write it as 2026-01-01T00:00:00+08"


def _is_empty(cron: Cron, start: datetime | None, end: datetime | None) -> bool:
    """Say whether no run fits between the start and the end; where that is not known, it is not said."""
    if start is None or end is None or _zone_of(cron) is None:
        return False
    return not next_runs(cron, start - timedelta(minutes=1), 1)


def _time_problems(text: str | None, key: Key, problems: list[Problem]) -> datetime | None:
    if text is None:
        return None
    found = moment(text)
    if found is None:
        message = f"{text!r} is not a time with an offset"
        problems.append(Problem(code="cron-time", key=key, message=message, hint=_TIME_EXAMPLE))
    return found


def next_runs(cron: Cron, after: datetime, count: int) -> tuple[datetime, ...]:
    """Give the next starts after a moment, in the zone of the schedule, within its start and end.

    A schedule that is wrong has none. Where clocks are put forward, the times they jump over do not happen.
    Where they are put back, a schedule for every hour also runs in the hour that comes twice; one for certain
    hours runs the first time only.
    """
    if after.tzinfo is None:
        raise ValueError("after has no time zone")
    times, _ = _parse(cron.expression, ())
    here = _zone_of(cron)
    start, end = moment(cron.start) if cron.start else None, moment(cron.end) if cron.end else None
    unreadable = (cron.start is not None and start is None) or (cron.end is not None and end is None)
    if times is None or here is None or unreadable:
        return ()
    if start is not None:
        after = max(after, start - timedelta(microseconds=1))
    found: list[datetime] = []
    for at, run in _runs(times, here, after.astimezone(UTC)):
        if len(found) >= count or (end is not None and at > end):
            break
        found.append(run)
    return tuple(found)


def _runs(times: _Times, here: tzinfo, after: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Give the starts after a moment until the calendar ends, each in UTC and in the zone of the schedule."""
    again = len(times.hours) == _HOURS
    try:
        # A day early: clocks that are put back just after midnight bring yesterday's evening back.
        day = after.astimezone(here).date() - timedelta(days=1)
        while True:
            if times.on(day):
                yield from (pair for pair in _runs_of_day(times, here, day, again=again) if pair[0] > after)
            day += timedelta(days=1)
    except OverflowError:
        return


def _runs_of_day(
    times: _Times, here: tzinfo, day: date, *, again: bool
) -> Sequence[tuple[datetime, datetime]]:
    # Moments are compared in UTC: two times of one zone would be compared by their wall clocks.
    found: list[tuple[datetime, datetime]] = []
    for hour in times.hours:
        for minute in times.minutes:
            wall = datetime.combine(day, time(hour, minute))
            for fold in (0, 1) if again else (0,):
                run = wall.replace(tzinfo=here, fold=fold)
                at = run.astimezone(UTC)
                back = at.astimezone(here)
                # A time that clocks jump over comes back as another, one that comes once without its fold.
                if back.replace(tzinfo=None, fold=0) == wall and back.fold == fold:
                    found.append((at, run))
    return sorted(found, key=lambda pair: pair[0])


def words(schedule: Schedule) -> str:
    """Say in words what starts a job."""
    match schedule.type:
        case ScheduleType.EXECUTE_ONCE:
            return "once, when started"
        case ScheduleType.CRON:
            return "by a cron expression" if schedule.cron is None else cron_words(schedule.cron)
        case ScheduleType.EVENT:
            return "when an event arrives" if schedule.event is None else event_words(schedule.event)
    assert_never(schedule.type)


def event_words(event: EventTrigger) -> str:
    """Say in words which event starts a job or a node."""
    channels = {"KAFKA": "on topic", "DIS": "on stream", "OBS": "in"}
    what = "a file" if event.type == "OBS" else f"a {event.type} message"
    where = f" {channels.get(event.type, 'on')} {event.channel}" if event.channel else ""
    return f"when {what} arrives{where}"


def cron_words(cron: Cron) -> str:
    """Say in words when a cron schedule starts a job; quote the expression where words would be longer."""
    times, _ = _parse(cron.expression, ())
    zone_words = f" ({cron.zone})" if cron.zone else ""
    said = None if times is None else _times_words(times)
    return f"{said or f'by the cron expression {cron.expression!r}'}{zone_words}"


def _times_words(times: _Times) -> str | None:
    days = _days_words(times)
    if days is None:
        return None
    if len(times.minutes) * len(times.hours) <= 4:
        at = [f"{hour:02}:{minute:02}" for hour in times.hours for minute in times.minutes]
        return f"{days} at {listed(at)}"
    often = _often_words(times)
    if often is None:
        return None
    return often if days == "every day" else f"{often}, {days}"


def _often_words(times: _Times) -> str | None:
    """Say how often within a day: `every 5 minutes between 09:00 and 18:59`."""
    hour_step, minute_step = _step(times.hours), _step(times.minutes)
    all_hours = len(times.hours) == _HOURS
    between = "" if all_hours else f" between {times.hours[0]:02}:00 and {times.hours[-1]:02}:59"
    if len(times.minutes) == 1:
        minute = times.minutes[0]
        at = "" if minute == 0 else f" at minute {minute}"
        if hour_step == 1:
            span = (
                ""
                if all_hours
                else f" from {times.hours[0]:02}:{minute:02} to {times.hours[-1]:02}:{minute:02}"
            )
            return f"every hour{span or at}"
        if hour_step is not None and times.hours == tuple(range(0, 24, hour_step)) and 24 % hour_step == 0:
            return f"every {hour_step} hours{at}"
        return None
    even = (
        minute_step is not None
        and 60 % minute_step == 0
        and times.minutes == tuple(range(0, 60, minute_step))
    )
    if (even and hour_step == 1) or (even and len(times.hours) == 1):
        return f"every {'minute' if minute_step == 1 else f'{minute_step} minutes'}{between}"
    return None


def _step(numbers: Sequence[int]) -> int | None:
    """Give the distance that all neighbours have, or nothing if it differs or there are none."""
    steps = {after - before for before, after in pairwise(numbers)}
    return steps.pop() if len(steps) == 1 else None


def _days_words(times: _Times) -> str | None:
    if times.days is None and times.weekdays is None:
        return "every day"
    if times.days is None and times.weekdays is not None:
        numbers = sorted(times.weekdays)
        if len(numbers) > 2 and _step(numbers) == 1:
            return f"{_WEEKDAY_WORDS[numbers[0] - 1]} to {_WEEKDAY_WORDS[numbers[-1] - 1]}"
        return f"every {listed([_WEEKDAY_WORDS[number - 1] for number in numbers])}"
    if times.days is not None and times.weekdays is None:
        days = sorted(times.days)
        if len(days) > 5:
            return f"from day {days[0]} to {days[-1]} of every month" if _step(days) == 1 else None
        months = "of the months that have one" if days[0] > 28 else "of every month"
        return f"on day {listed([str(day) for day in days])} {months}"
    return None
