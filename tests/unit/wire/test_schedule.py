"""Schedules: what each field may say, and when that is, also on days on which clocks are put forward or back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from picloud.wire.schedule import ALIASES, FIELDS, parse


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def times(schedule: str, since: str, count: int, timezone: str = "UTC", *, day_or: bool = False) -> list[str]:
    """The next so many times, as that place's clock shows them."""
    made, at, found = parse(schedule, timezone, day_or=day_or), ms(since), []
    for _ in range(count):
        at = made.after(at) or 0
        found.append(datetime.fromtimestamp(at / 1000, made.zone).strftime("%m-%d %H:%M %z"))
    return found


@pytest.mark.parametrize(
    ("field", "text", "numbers"),
    [
        (0, "*", range(60)),
        (0, "5", [5]),
        (0, "0,15,45,15", [0, 15, 45]),
        (0, "10-13", [10, 11, 12, 13]),
        (0, "*/25", [0, 25, 50]),
        (0, "5/20", [5, 25, 45]),
        (0, "10-20/5", [10, 15, 20]),
        (0, "59/1", [59]),
        (1, "22/1,3-4", [3, 4, 22, 23]),
        (2, "31", [31]),
        (2, "?", range(1, 32)),
        (2, "*/10", [1, 11, 21, 31]),
        (3, "jan-mar,DEC", [1, 2, 3, 12]),
        (3, "2/5", [2, 7, 12]),
        (3, "?", range(1, 13)),
        (4, "0", [0]),
        (4, "7", [0]),
        (4, "mon-fri", [1, 2, 3, 4, 5]),
        (4, "fri-sun", [0, 5, 6]),
        (4, "5-7", [0, 5, 6]),
        (4, "0-7", range(7)),
        (4, "*/2", [0, 2, 4, 6]),
        (4, "Sun", [0]),
    ],
)
def test_a_field_means(field: int, text: str, numbers: list[int]) -> None:
    assert FIELDS[field].numbers(text) == tuple(numbers)


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("60 * * * *", "the minute field .* '60': 60 is out of range, 0 to 59"),
        ("* 24 * * *", "the hour field .* out of range, 0 to 23"),
        ("* * 0 * *", "the day field .* out of range, 1 to 31"),
        ("* * 32 * *", "the day field"),
        ("* * * 13 *", "the month field"),
        ("* * * 0 *", "the month field"),
        ("* * * * 8", "the weekday field .* 0 to 7"),
        ("* * * mon *", "the month field .* 'mon' is no number or name"),
        ("* * * * jan", "the weekday field"),
        ("jan * * * *", "the minute field .* 'jan' is no number"),
        ("30-10 * * * *", "the minute field .* 30-10 ends before it begins"),
        ("* * * * fri-mon", "the weekday field .* ends before it begins"),
        ("*/0 * * * *", "the minute field .* a step is a number from 1 to 60"),
        ("*/61 * * * *", "the minute field .* a step"),
        ("*/x * * * *", "the minute field .* a step .* 'x'"),
        ("1// * * * *", "the minute field"),
        (", * * * *", "the minute field .* missing"),
        ("1, * * * *", "the minute field .* missing"),
        ("1- * * * *", "the minute field .* missing"),
        ("-1 * * * *", "the minute field .* missing"),
        ("1-2-3 * * * *", "the minute field .* '2-3' is no number"),
        ("? * * * *", "the minute field"),
        ("٣ * * * *", "the minute field"),
        ("+1 * * * *", "the minute field"),
        ("0x1 * * * *", "the minute field"),
        ("* * * *", "5 fields .* not 4"),
        ("* * * * * *", "5 fields .* not 6"),
        ("", "5 fields .* not 0"),
        ("@reboot", "short forms are @yearly"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("1," * 300, "at most 500 characters"),
    ],
)
def test_what_cannot_be_is_refused_by_name(schedule: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(schedule)


def test_a_schedule_may_be_a_sequence() -> None:
    assert parse([0, "*/6", "?", "jan", 7]).text == "0 */6 ? jan 7"
    assert parse(("0", "0", "1", "1", "*")).months == {1}
    with pytest.raises(ValueError, match="not 4"):
        parse([1, 2, 3, 4])
    with pytest.raises(ValueError, match="the hour field"):
        parse([1, "2 3", 3, 4, 5])
    with pytest.raises(ValueError, match="the minute field"):
        parse([True, 2, 3, 4, 5])
    with pytest.raises(TypeError, match="five fields"):
        parse(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "/etc/passwd", "", "a\0b", "Europe"])
def test_a_time_zone_that_is_not_there_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        parse("@daily", zone)


def test_short_forms() -> None:
    for word, meaning in ALIASES.items():
        short, long = parse(word), parse(meaning)
        assert (short.minutes, short.hours, short.days, short.months) == (long.minutes, long.hours, long.days, long.months)
    assert times("@hourly", "2026-01-01T00:00:00+00:00", 1) == ["01-01 01:00 +0000"]
    assert times("@Weekly", "2026-01-01T00:00:00+00:00", 2) == ["01-04 00:00 +0000", "01-11 00:00 +0000"]


def test_day_and_weekday_must_both_fit() -> None:
    found = times("0 12 13 * fri", "2026-01-01T00:00:00+00:00", 3)
    assert found == ["02-13 12:00 +0000", "03-13 12:00 +0000", "11-13 12:00 +0000"]


def test_day_or_takes_either_where_both_say_something() -> None:
    since = "2026-01-01T00:00:00+00:00"
    assert times("0 0 13 * fri", since, 3, day_or=True) == ["01-02 00:00 +0000", "01-09 00:00 +0000", "01-13 00:00 +0000"]
    assert times("0 0 */10 * fri", since, 2, day_or=True) == times("0 0 */10 * fri", since, 2)  # a star says nothing, as in Unix
    assert times("0 0 13 * *", since, 1, day_or=True) == ["01-13 00:00 +0000"]
    assert times("0 0 ? * fri", since, 1, day_or=True) == ["01-02 00:00 +0000"]


def test_a_time_is_later_than_the_one_before() -> None:
    at = ms("2026-01-01T00:05:00+00:00")
    assert parse("5 0 * * *").after(at - 1) == at
    assert parse("5 0 * * *").after(at) == at + 24 * 3_600_000
    assert parse("* * * * *").after(at + 1) == at + 60_000


def test_leap_days_and_ends_of_months() -> None:
    assert times("0 0 29 2 *", "2026-01-01T00:00:00+00:00", 1) == ["02-29 00:00 +0000"]
    assert times("0 0 31 * *", "2026-01-31T00:00:00+00:00", 2) == ["03-31 00:00 +0000", "05-31 00:00 +0000"]
    assert parse("0 0 29 2 mon").after(ms("2072-03-01T00:00:00+00:00")) == ms("2112-02-29T00:00:00+00:00")  # 2100 is no leap year


VIENNA = "Europe/Vienna"


def test_a_time_that_is_left_out_comes_at_the_jump_once() -> None:
    since = "2026-03-28T12:00:00+01:00"
    assert times("30 2 * * *", since, 2, VIENNA) == ["03-29 03:00 +0200", "03-30 02:30 +0200"]
    assert times("*/10 2 * * *", since, 2, VIENNA) == ["03-29 03:00 +0200", "03-30 02:00 +0200"]
    assert times("0 2,3 * * *", since, 2, VIENNA) == ["03-29 03:00 +0200", "03-30 02:00 +0200"]


def test_a_time_that_is_there_twice_comes_once() -> None:
    since = "2026-10-24T12:00:00+02:00"
    assert times("30 2 * * *", since, 2, VIENNA) == ["10-25 02:30 +0200", "10-26 02:30 +0100"]
    assert times("0,30 2,3 * * *", since, 4, VIENNA) == [
        "10-25 02:00 +0200",
        "10-25 02:30 +0200",
        "10-25 03:00 +0100",
        "10-25 03:30 +0100",
    ]
    assert times("30 2 * * *", "2026-10-25T02:30:00+02:00", 1, VIENNA) == ["10-26 02:30 +0100"]
    assert times("30 2 * * *", "2026-10-25T02:10:00+01:00", 1, VIENNA) == ["10-26 02:30 +0100"]  # in the second of these hours


def test_a_schedule_of_every_hour_counts_hours_that_pass() -> None:
    assert times("30 * * * *", "2026-10-25T00:45:00+02:00", 4, VIENNA) == [
        "10-25 01:30 +0200",
        "10-25 02:30 +0200",
        "10-25 02:30 +0100",
        "10-25 03:30 +0100",
    ]
    assert times("30 * * * *", "2026-03-29T01:00:00+01:00", 2, VIENNA) == ["03-29 01:30 +0100", "03-29 03:30 +0200"]
    made, at = parse("*/5 * * * *", VIENNA), ms("2026-10-24T22:00:00+02:00")
    for _ in range(200):
        assert made.after(at) == at + 300_000
        at += 300_000


def test_places_with_other_jumps() -> None:
    # half an hour (Lord Howe), at midnight (Havana), a whole day that was left out (Apia), none at all (Kolkata)
    since = "2026-10-03T12:00:00+10:30"
    assert times("15 2 * * *", since, 2, "Australia/Lord_Howe") == ["10-04 02:30 +1100", "10-05 02:15 +1100"]
    assert times("0 0 * * *", "2026-03-07T12:00:00-05:00", 2, "America/Havana") == ["03-08 01:00 -0400", "03-09 00:00 -0400"]
    assert times("0 0 * * *", "2026-10-31T12:00:00-04:00", 2, "America/Havana") == ["11-01 00:00 -0400", "11-02 00:00 -0500"]
    assert times("0 12 30 12 *", "2011-12-29T00:00:00-10:00", 2, "Pacific/Apia") == ["12-31 00:00 +1400", "12-30 12:00 +1400"]
    assert times("30 5 * * *", "2026-06-01T00:00:00+00:00", 1, "Asia/Kolkata") == ["06-02 05:30 +0530"]


def test_in_southern_winter_it_is_the_other_way_round() -> None:
    sydney = "Australia/Sydney"
    assert times("30 2 * * *", "2026-10-03T12:00:00+10:00", 1, sydney) == ["10-04 03:00 +1100"]
    assert times("30 2 * * *", "2026-04-04T12:00:00+11:00", 2, sydney) == ["04-05 02:30 +1100", "04-06 02:30 +1000"]


@given(
    some.sampled_from(["*/7 * * * *", "30 2 * * *", "0 0 1 * *", "15,45 9-17/2 * * mon-fri", "59 23 31 12 *", "0 1-3 * * sun"]),
    some.sampled_from(["UTC", VIENNA, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"]),
    some.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=some.just(UTC)),  # noqa: DTZ001 hypothesis wants them so
)
def test_times_agree_with_a_walk_over_all_minutes(schedule: str, timezone: str, since: datetime) -> None:
    """On days without a jump; each minute is looked at by itself."""
    made, zone = parse(schedule, timezone), ZoneInfo(timezone)
    at = since.replace(second=0, microsecond=0)
    steady = at.astimezone(zone).utcoffset()
    for _ in range(3 * 1440):
        at += timedelta(minutes=1)
        local = at.astimezone(zone)
        if local.utcoffset() != steady or (at + timedelta(days=1)).astimezone(zone).utcoffset() != steady:
            return
        if (
            local.minute in made.minutes
            and local.hour in made.hours
            and local.day in made.days
            and local.month in made.months
            and local.isoweekday() % 7 in made.weekdays
        ):
            break
    else:
        found = made.after(round(since.timestamp() * 1000))
        assert found is not None
        assert found > at.timestamp() * 1000
        return
    assert made.after(round(since.timestamp() * 1000)) == round(at.timestamp() * 1000)
