from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from workflow_core.domain.schedule import Schedule, check_cron, check_timezone
from workflow_core.errors import InvalidCronExpression, InvalidRequest


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "kept"),
    [
        ("0 6 * * *", "0 6 * * *"),
        ("  0   6 * *  1-5 ", "0 6 * * 1-5"),
        ("*/5 0 * JAN MON#2", "*/5 0 * JAN MON#2"),
        ("0\t6 \t* * *", "0 6 * * *"),
        ("0 6 * * *\n", "0 6 * * *"),
        ("0 6\r\n* * *", "0 6 * * *"),
    ],
)
def test_five_fields_are_accepted_and_white_space_made_single_spaces(cron, kept):
    """A valid expression comes back with single spaces."""
    assert check_cron(cron) == kept


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "61 * * * *",
        "* * * * * *",
        "0 6 * *",
        "every day at six",
        "@daily",
        "0 0 30 2 *",
        "*/0 * * * *",
        "H 0 * * *",
        "R * * * *",
        "0 6\xa0* * *",
        "0 6\x0b* * *",
        "0 6 * * \u017fun",
        "\u0661 6 * * *",
        "0 6 * * é",
        "0 " * 5000,
        "0-61/2 * * * *",
        "0 0 * * mon-xyz",
        "5-1-3 * * * *",
    ],
)
def test_anything_else_is_no_cron_expression(cron):
    """Every other text is refused with the cron code and the field's name, in one short line."""
    with pytest.raises(InvalidCronExpression, match=r"^schedule\.cron: ") as caught:
        check_cron(cron)
    assert len(caught.value.message) < 400
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "zone",
    [
        "", "Foo/Bar", "../../etc/passwd", "/etc/localtime", "a\0b", "x" * 1000, "é", "localtime", "Factory", "posixrules",
        "posix/Europe/Berlin", "right/Europe/Berlin", "europe/berlin", "utc", "Europe", "zone.tab", "Europe/Berlin ",
    ],
)  # fmt: skip
def test_unknown_time_zones_are_refused(zone):
    """A time zone that the IANA database does not have is refused, even if the file system has such a path."""
    with pytest.raises(InvalidRequest, match=r"^schedule\.timezone: "):
        check_timezone(zone)


def test_next_fire_time_is_in_the_schedules_zone():
    """Eight o'clock in New York is 13:00 UTC in winter and 12:00 in summer."""
    schedule = Schedule(cron="0 8 * * *", timezone="America/New_York")
    assert schedule.next_after(utc("2026-01-01T00:00")) == utc("2026-01-01T13:00")
    assert schedule.next_after(utc("2026-07-01T00:00")) == utc("2026-07-01T12:00")
    assert schedule.next_after(utc("2026-07-01T12:00")) == utc("2026-07-02T12:00")


def test_the_first_fire_time_from_a_moment_may_be_that_moment():
    """Where `next_after` is later than the moment, `first_from` is not before it."""
    schedule = Schedule(cron="0 8 * * *", timezone="America/New_York")
    assert schedule.first_from(utc("2026-07-01T12:00")) == utc("2026-07-01T12:00")
    assert schedule.first_from(utc("2026-07-01T12:00:01")) == utc("2026-07-02T12:00")


def test_a_time_in_the_gap_fires_an_hour_later_on_the_clock():
    """02:30 does not exist on the day the clock goes forward; it fires at what 02:30 would have been."""
    schedule = Schedule(cron="30 2 * * *", timezone="Europe/Zurich")
    assert schedule.next_after(utc("2026-03-29T00:00")) == utc("2026-03-29T01:30")


def test_a_time_in_the_repeated_hour_fires_once_the_second_time():
    """02:30 exists twice on the day the clock goes back; Airflow takes the second one."""
    schedule = Schedule(cron="30 2 * * *", timezone="Europe/Zurich")
    assert schedule.next_after(utc("2026-10-24T12:00")) == utc("2026-10-25T01:30")
    assert schedule.next_after(utc("2026-10-25T01:30")) == utc("2026-10-26T01:30")


def test_every_hour_keeps_its_distance_across_the_change():
    """An expression of every hour fires in both repeated hours, an hour apart."""
    schedule = Schedule(cron="30 * * * *", timezone="Europe/Zurich")
    times = [utc("2026-10-24T22:00")]
    for _ in range(6):
        times.append(schedule.next_after(times[-1]))
    assert {(late - early).total_seconds() for early, late in pairwise(times[1:])} == {3600.0}


def test_the_date_of_a_moment_is_that_of_the_zone():
    """Late in the evening in New York it is tomorrow in UTC."""
    assert Schedule(cron="0 6 * * *", timezone="America/New_York").date_of(utc("2026-01-02T03:00")) == "2026-01-01"


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        (
            "30 2 * * *",
            "Europe/Berlin",
            datetime(2026, 3, 28, 12, tzinfo=UTC),
            [("2026-03-29T03:30:00+02:00", "moved"), ("2026-03-30T02:30:00+02:00", None)],
        ),
        (
            "30 2 * * *",
            "Europe/Berlin",
            datetime(2026, 10, 24, 12, tzinfo=UTC),
            [("2026-10-25T02:30:00+01:00", "second"), ("2026-10-26T02:30:00+01:00", None)],
        ),
        (
            "30 * * * *",
            "America/New_York",
            datetime(2026, 11, 1, 4, 45, tzinfo=UTC),
            [
                ("2026-11-01T01:30:00-04:00", "first"),
                ("2026-11-01T01:30:00-05:00", "second"),
                ("2026-11-01T02:30:00-05:00", None),
            ],
        ),
        ("0 6 * * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC), [("2026-01-01T06:00:00+00:00", None)]),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",  # its clocks change by half an hour
            datetime(2026, 4, 3, 16, tzinfo=UTC),
            [("2026-04-05T01:45:00+10:30", "second")],
        ),
    ],
)
def test_upcoming_fire_times_tell_what_the_clocks_do(cron, zone, after, expected):
    """What does not exist is moved, what comes twice is marked, and equal distances stay equal."""
    fires = Schedule(cron=cron, timezone=zone).upcoming(after, len(expected))
    assert [(fire.local.isoformat(), fire.daylight_saving) for fire in fires] == expected
    assert [fire.at for fire in fires] == [fire.local.astimezone(UTC) for fire in fires]
