"""Schedules: what is wrong with one, when it runs, and how it is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitrelease.core.finding import Severity
from gitrelease.core.job import Cron, EventTrigger, Schedule, ScheduleType
from gitrelease.core.schedule import cron_problems, moment, next_runs, words, zone

KEY = ("schedule", "cron")


def cron(
    expression: str = "0 30 2 * * ?",
    *,
    zone: str | None = "GMT+8",
    start: str | None = "2026-01-01T00:00:00+08",
    end: str | None = None,
) -> Cron:
    return Cron(expression=expression, zone=zone, start=start, end=end)


def said(expression: str, zone: str | None = "GMT+8") -> str:
    return words(Schedule(type=ScheduleType.CRON, cron=cron(expression, zone=zone)))


def complaints(schedule: Cron) -> list[tuple[str, str]]:
    return [(str(problem.key[-1]), problem.message) for problem in cron_problems(schedule, KEY)]


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "0 30 2 * * ?",
            "0 */5 9-18 * * ?",
            "0 0/5 9-18 ? * 2-6",
            "0 0 8,12 ? * MON,fri",
            "0 0 3 1,15,28-31 * ?",
        ),
        *("0 0-30/10 * * * ?", "00 0 0 ? * SUN-SAT", "0  0 2  * * ?"),
    ],
)
def test_expressions_in_order(expression: str) -> None:
    assert cron_problems(cron(expression), KEY) == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 30 2 * *", "has 5 fields, not the six"),
        ("", "has 0 fields"),
        ("0 30 2 * * ? 2026", "has 7 fields"),
        ("5 30 2 * * ?", "the second of '5 30 2 * * ?' is not 0"),
        ("* 30 2 * * ?", "is not 0"),
        ("0 60 2 * * ?", "the minute of '0 60 2 * * ?' has '60', and its numbers go from 0 to 59"),
        ("0 30 24 * * ?", "numbers go from 0 to 23"),
        ("0 30 2 0 * ?", "numbers go from 1 to 31"),
        ("0 30 2 ? * 8", "numbers go from 1 to 7"),
        ("0 30 2 ? * 0", "numbers go from 1 to 7"),
        ("0 30 2 * 1 ?", "the month of '0 30 2 * 1 ?' is not *"),
        ("0 30 2 * ? ?", "has a '?', which stands alone in the day or the week"),
        ("0 30 2 L * ?", "does not document L, W or #"),
        ("0 30 2 ? * 2#1", "does not document L, W or #"),
        ("0 30 22-2 * * ?", "a range that ends before it starts"),
        ("0 */0 2 * * ?", "a step goes from 1 to 60"),
        ("0 */99 2 * * ?", "a step goes from 1 to 60"),
        ("0 30, 2 * * ?", "has an empty part"),
        ("0 x 2 * * ?", "has 'x', which is neither"),
        ("0 ٣ 2 * * ?", "which is neither"),
        ("0 30 2 ? * MOO", "has 'MOO', which is neither"),
        ("0 30 2 15 * 2", "restricts both the day and the week"),
    ],
)
def test_expressions_that_are_refused(expression: str, message: str) -> None:
    problems = cron_problems(cron(expression), KEY)
    assert any(message in problem.message for problem in problems), problems
    assert any(problem.severity is Severity.ERROR for problem in problems)
    assert all(problem.key == (*KEY, "expression") for problem in problems)
    assert next_runs(cron(expression), datetime(2026, 1, 1, tzinfo=UTC), 1) == ()


@pytest.mark.parametrize("expression", ["0 30 2 * * *", "0 30 2 ? * ?", "0 30 2 * * 2"])
def test_a_question_mark_too_few_or_too_many_is_a_warning(expression: str) -> None:
    (problem,) = cron_problems(cron(expression), KEY)
    assert (problem.code, problem.severity) == ("cron-question-mark", Severity.WARNING)


def test_everything_wrong_is_said_at_once() -> None:
    wrong = cron("1 60 2 * 2 ?", zone="Asia/Shanghia", start="yesterday", end="2026-13-01T00:00:00+08")
    assert complaints(wrong) == [
        ("expression", "the minute of '1 60 2 * 2 ?' has '60', and its numbers go from 0 to 59"),
        ("expression", "the second of '1 60 2 * 2 ?' is not 0: DataArts starts jobs on the minute"),
        (
            "expression",
            "the month of '1 60 2 * 2 ?' is not *: DataArts has no months in a cron expression",
        ),
        ("expressionTimeZone", "there is no time zone 'Asia/Shanghia'"),
        ("startTime", "'yesterday' is not a time with an offset"),
        ("endTime", "'2026-13-01T00:00:00+08' is not a time with an offset"),
    ]
    assert "Asia/Shanghai" in str([problem.hint for problem in cron_problems(wrong, KEY)])


def test_a_start_is_needed_and_the_end_is_after_it() -> None:
    assert complaints(cron(start=None)) == [("cron", "a cron schedule has no startTime")]
    end = "2025-12-31T16:00:00Z"
    assert complaints(cron(end=end)) == [
        ("endTime", f"the endTime {end} is not after the startTime 2026-01-01T00:00:00+08")
    ]


def test_a_schedule_without_a_single_run_is_a_warning() -> None:
    (problem,) = cron_problems(cron(end="2026-01-01T02:00:00+08"), KEY)
    assert (problem.code, problem.severity) == ("cron-never", Severity.WARNING)
    assert cron_problems(cron(end="2026-01-01T02:30:00+08"), KEY) == []


@pytest.mark.parametrize("name", ["Asia/Shanghai", "UTC", "GMT", "GMT+8", "GMT+08:00", "GMT-3:30", "UTC+8"])
def test_zones(name: str) -> None:
    assert zone(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Asia",
        "asia/nowhere",
        "../etc/passwd",
        "/etc/localtime",
        "localtime",
        "GMT+15",
        "GMT+8:60",
        "GMT+",
    ],
)
def test_no_zones(name: str) -> None:
    assert zone(name) is None


def test_gmt_plus_8_is_ahead_of_greenwich() -> None:
    (run,) = next_runs(cron(), datetime(2026, 6, 1, tzinfo=UTC), 1)
    assert run.astimezone(UTC) == datetime(2026, 6, 1, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize("offset", ["+08", "+0800", "+08:00"])
def test_times_are_read_with_every_way_to_write_an_offset(offset: str) -> None:
    assert (
        moment(f"2026-01-01T08:00:00{offset}")
        == moment("2026-01-01T00:00:00Z")
        == datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01 00:00:00+08", "2026-02-30T00:00:00Z"),
        *(
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+08",
            "9999-12-31T23:59:59-08",
            "2026-01-01T00:00:00+15",
            "2026-01-01T00:00:00+08:60",
        ),
        "2026-01-01T00:00:00+08\n",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert moment(text) is None


def test_runs_stay_between_start_and_end_and_come_after_the_moment() -> None:
    daily = cron(start="2026-01-02T02:30:00+08", end="2026-01-04T02:30:00+08")
    runs = next_runs(daily, datetime(2020, 1, 1, tzinfo=UTC), 10)
    assert [run.day for run in runs] == [2, 3, 4]
    assert next_runs(daily, runs[0], 10) == runs[1:]
    assert next_runs(daily, runs[0] - timedelta(microseconds=1), 1) == runs[:1]
    assert next_runs(daily, runs[-1], 1) == ()
    assert next_runs(cron(zone="Nowhere"), runs[0], 1) == next_runs(cron(start="x"), runs[0], 1) == ()


def test_without_a_zone_the_offset_of_the_start_counts() -> None:
    (run,) = next_runs(cron(zone=None, start="2026-01-01T00:00:00-03"), datetime(2026, 1, 1, tzinfo=UTC), 1)
    assert run.isoformat() == "2026-01-01T02:30:00-03:00"


def test_runs_go_on_to_the_end_of_the_calendar() -> None:
    runs = next_runs(cron(zone="UTC"), datetime(9999, 12, 30, tzinfo=UTC), 10)
    assert [run.day for run in runs] == [30, 31]


def test_clocks_that_change() -> None:
    spring, autumn = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    daily = cron(zone="Europe/Berlin")
    assert [run.day for run in next_runs(daily, spring, 2)] == [30, 31], "02:30 does not happen on the 29th"
    assert [run.isoformat() for run in next_runs(daily, autumn, 2)] == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    hourly = next_runs(cron("0 30 * * * ?", zone="Europe/Berlin"), datetime(2026, 10, 25, tzinfo=UTC), 3)
    assert [run.isoformat()[11:] for run in hourly] == ["02:30:00+02:00", "02:30:00+01:00", "03:30:00+01:00"]


def test_clocks_that_bring_yesterday_evening_back() -> None:
    just_before = datetime(2010, 11, 7, 2, 30, 30, tzinfo=UTC)
    (run,) = next_runs(
        cron("0 * * * * ?", zone="America/St_Johns", start="2000-01-01T00:00:00Z"), just_before, 1
    )
    assert run.isoformat() == "2010-11-06T23:01:00-03:30"


numbers = st.integers(0, 59)
minutes = st.one_of(
    st.just("*"),
    numbers.map(str),
    st.sampled_from(["*/5", "*/7", "0/20", "10-50/10", "3,17,58"]),
)
hours = st.one_of(st.just("*"), st.integers(0, 23).map(str), st.sampled_from(["*/2", "9-18", "0-3", "1,2,3"]))
days = st.one_of(
    st.sampled_from(["* * ?", "? * MON-FRI", "? * 1,7", "1,29-31 * ?", "*/2 * ?"]),
    st.integers(1, 31).map(lambda day: f"{day} * ?"),
)
zones = (
    "GMT+8",
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
)


def minute_by_minute(schedule: Cron, after: datetime, until: datetime) -> list[datetime]:
    """Ask every minute whether the clock on the wall says one of the times, as the fields are defined."""
    _, minute, hour, day, _, week = schedule.expression.split()
    assert schedule.zone is not None
    here = zone(schedule.zone)
    found = []
    at = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while at <= until:
        wall = at.astimezone(here)
        weekday = wall.isoweekday() % 7 + 1
        matches = (
            wall.minute in field(minute, 0, 59)
            and wall.hour in field(hour, 0, 23)
            and wall.day in field(day, 1, 31)
            and weekday in field(week.replace("MON-FRI", "2-6"), 1, 7)
        )
        if matches and (wall.fold == 0 or field(hour, 0, 23) == set(range(24))):
            found.append(wall)
        at += timedelta(minutes=1)
    return found


def field(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span in {"*", "?"}:
            first, last = str(low), str(high)
        elif not last:
            last = str(high) if step else first
        found.update(range(int(first), int(last) + 1, int(step or 1)))
    return found


@settings(max_examples=60)
@given(
    minute=minutes,
    hour=hours,
    day=days,
    name=st.sampled_from(zones),
    after=st.one_of(
        st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
        # Around the changes of clocks in these zones, and the day that Samoa left out.
        st.sampled_from(
            [
                *(datetime(2026, 3, 28, 22, 7), datetime(2026, 10, 24, 22), datetime(2011, 12, 29, 9)),
                *(datetime(2026, 3, 8, 4), datetime(2010, 11, 7, 1, 30), datetime(2026, 4, 4, 14, 10)),
            ]
        ),
    ),
)
def test_next_runs_are_those_of_a_clock_watched_minute_by_minute(
    minute: str, hour: str, day: str, name: str, after: datetime
) -> None:
    schedule = cron(f"0 {minute} {hour} {day}", zone=name, start="2000-01-01T00:00:00Z")
    start = after.replace(tzinfo=UTC)
    until = start + timedelta(days=3)
    found = next_runs(schedule, start, 5000)
    watched = minute_by_minute(schedule, start, until)
    assert [run.astimezone(UTC) for run in found if run.astimezone(UTC) <= until] == [
        run.astimezone(UTC) for run in watched
    ]


@given(st.one_of(st.text(), st.text(alphabet="0123456789*/?-, LW#MONFRI", max_size=30)))
def test_no_text_is_too_strange_for_an_expression(expression: str) -> None:
    strange = Cron(expression=expression, zone=expression, start=expression, end=expression)
    assert cron_problems(strange, KEY)
    assert isinstance(words(Schedule(type=ScheduleType.CRON, cron=strange)), str)
    cron_problems(cron(expression), KEY)
    next_runs(cron(expression), datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), 2)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("0 30 2 * * ?", "every day at 02:30 (GMT+8)"),
        ("0 */5 9-18 * * ?", "every 5 minutes between 09:00 and 18:59 (GMT+8)"),
        ("0 */5 * ? * 2-6", "every 5 minutes, Monday to Friday (GMT+8)"),
        ("0 * * * * ?", "every minute (GMT+8)"),
        ("0 0 * * * ?", "every hour (GMT+8)"),
        ("0 15 * * * ?", "every hour at minute 15 (GMT+8)"),
        ("0 30 9-18 * * ?", "every hour from 09:30 to 18:30 (GMT+8)"),
        ("0 0 0/2 * * ?", "every 2 hours (GMT+8)"),
        ("0 0 8,12,20 ? * MON,FRI", "every Monday and Friday at 08:00, 12:00 and 20:00 (GMT+8)"),
        ("0 0 3 1,15 * ?", "on day 1 and 15 of every month at 03:00 (GMT+8)"),
        ("0 0 3 31 * ?", "on day 31 of the months that have one at 03:00 (GMT+8)"),
        ("0 0 0 1-20 * ?", "from day 1 to 20 of every month at 00:00 (GMT+8)"),
        ("0 */15 4 * * ?", "every day at 04:00, 04:15, 04:30 and 04:45 (GMT+8)"),
        ("0 7,19 1-3 * * ?", "by the cron expression '0 7,19 1-3 * * ?' (GMT+8)"),
        ("nonsense", "by the cron expression 'nonsense' (GMT+8)"),
    ],
)
def test_words(expression: str, sentence: str) -> None:
    assert said(expression) == sentence


def test_words_of_other_schedules() -> None:
    assert said("0 30 2 * * ?", zone=None) == "every day at 02:30"
    assert words(Schedule(type=ScheduleType.EXECUTE_ONCE)) == "once, when started"
    kafka = EventTrigger(type="KAFKA", channel="clicks")
    assert (
        words(Schedule(type=ScheduleType.EVENT, event=kafka))
        == "when a KAFKA message arrives on topic clicks"
    )
    files = EventTrigger(type="OBS", channel="obs://in/")
    assert words(Schedule(type=ScheduleType.EVENT, event=files)) == "when a file arrives in obs://in/"
