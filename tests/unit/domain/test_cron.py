"""The five fields: what each form means, what is refused and why."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from croniter import croniter

from workflow_core.domain.schedule import Schedule, check_cron, check_timezone
from workflow_core.domain.zones import zone_names
from workflow_core.errors import InvalidCronExpression, InvalidRequest

SAME: Final = [
    ("0 5-5 * * MON-MON", "0 5 * * 1"),
    ("30-30 0 * * *", "30 0 * * *"),
    ("0-0 0-0 15-15 jan-jan *", "0 0 15 1 *"),
    ("0 0 * * 7-7", "0 0 * * 0"),
    ("0 0 * * 0-0", "0 0 * * 0"),
    ("0 0 * * SUN-7", "0 0 * * *"),
    ("0 0 * * 7-SUN", "0 0 * * 0"),
    ("5-5/2 0 * * *", "5 0 * * *"),
    ("59-59/59 23-23/1 * * *", "59 23 * * *"),
    ("0 22-2 * * *", "0 22,23,0,1,2 * * *"),
    ("0 21-3/2 * * *", "0 21,23,1,3 * * *"),
    ("50-10/10 0 * * *", "50,0,10 0 * * *"),
    ("0 0 28-3 * *", "0 0 28,29,30,31,1,2,3 * *"),
    ("0 0 1 NOV-feb/2 *", "0 0 1 11,1 *"),
    ("0 0 * * FRI-MON", "0 0 * * 5,6,0,1"),
    ("0 0 * * MON-SUN", "0 0 * * *"),
    ("0 0 * * 0-7", "0 0 * * *"),
    ("0 0 * * 1-7", "0 0 * * *"),
    ("0 0 * * 0-7/2", "0 0 * * 0,2,4,6"),
    ("0 0 * * 1-7/2", "0 0 * * 1,3,5,0"),
    ("0 0 * * 6-7", "0 0 * * 6,0"),
    ("0 0 * * 7-2", "0 0 * * 0-2"),
    ("5/15 0 * * *", "5,20,35,50 0 * * *"),
    ("0 5/6 * * *", "0 5,11,17,23 * * *"),
    ("0 0 5/10 * *", "0 0 5,15,25 * *"),
    ("0 0 1 2/3 *", "0 0 1 2,5,8,11 *"),
    ("0 0 * * MON/2", "0 0 * * 1,3,5"),
    ("0 0 * * 7/2", "0 0 * * 0,2,4,6"),
    ("0 0 ? * ?", "0 0 * * *"),
    ("0 0 1-31 * 1", "0 0 1-31 * *"),
    ("0 0 1 * 0-6", "0 0 * * *"),
    ("0 0 */1 * 1", "0 0 * * *"),
    ("0 0 ? * 1", "0 0 * * 1"),
    ("00 06 01 01 *", "0 6 1 1 *"),
    ("*,5 0 * * *", "* 0 * * *"),
    ("0 0 * * l7", "0 0 * * L0"),
    ("0 0 * * mon#2,1#2", "0 0 * * MON#2"),
]
"""Expressions, and plainer ones of the same meaning."""

DATES: Final = [
    ("0 0 8 * 5#3", ["2026-01-08", "2026-01-16", "2026-02-08", "2026-02-20"]),
    ("0 6 1 * MON#1", ["2026-01-01", "2026-01-05", "2026-02-01", "2026-02-02"]),
    ("0 0 1 * L5", ["2026-01-01", "2026-01-30", "2026-02-01", "2026-02-27"]),
    ("0 0 15W * 1", ["2026-01-05", "2026-01-12", "2026-01-15", "2026-01-19"]),
    ("0 0 1,L * *", ["2026-01-01", "2026-01-31", "2026-02-01", "2026-02-28"]),
    ("0 0 */10 * 1", ["2026-01-01", "2026-01-05", "2026-01-11", "2026-01-12"]),
    ("0 0 1W * *", ["2026-01-01", "2026-02-02", "2026-03-02", "2026-04-01"]),
    ("0 0 1W 8 *", ["2026-08-03", "2027-08-02", "2028-08-01", "2029-08-01"]),
    ("0 0 31W * *", ["2026-01-30", "2026-03-31", "2026-05-29", "2026-07-31"]),
    ("0 0 * * 1,5#3", ["2026-01-05", "2026-01-12", "2026-01-16", "2026-01-19"]),
    ("0 0 * * MON#5", ["2026-03-30", "2026-06-29", "2026-08-31", "2026-11-30"]),
    ("0 0 * * MON-tue#1", ["2026-01-05", "2026-01-06", "2026-02-02", "2026-02-03"]),
    ("0 0 30-L * *", ["2026-01-30", "2026-01-31", "2026-03-30", "2026-03-31"]),
    ("0 0 * 2 MON#5", ["2044-02-29", "2072-02-29", "2112-02-29", "2140-02-29"]),
    ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29"]),
    ("0 0 29 2 MON", ["2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23"]),
    ("0 0 31 2,3 *", ["2026-03-31", "2027-03-31", "2028-03-31", "2029-03-31"]),
]
"""The first days from January 2026 on."""

REFUSED: Final = [
    ("*/90 * * * *", "minute: the step of '*/90'"),
    ("*/60 * * * *", "write '0', or a step of at most 59"),
    ("0 */24 * * *", "hour: the step of '*/24'"),
    ("0 0 */31 * *", "day-of-month: the step"),
    ("0 0 1 */12 *", "month: the step"),
    ("0 0 * * */7", "day-of-week: the step"),
    ("59/15 * * * *", "write '59'"),
    ("0 23/6 * * *", "write '23'"),
    ("0 0 * * SAT/2", "write '6'"),
    ("0-30/45 * * * *", "a step of at most 30"),
    ("5-5/60 * * * *", "the step"),
    ("10,*/75 * * * *", "the step of '*/75'"),
    ("*/0 * * * *", "at least 1"),
    ("0 0 * * 5L", "write 'L5'"),
    ("0 0 * * FRIL", "write 'L5'"),
    ("0 0 * * Lfri", "write 'L5'"),
    ("0 0 * * SUNL", "write 'L0'"),
    ("0 0 LW * *", "write 'L' alone"),
    ("0 0 L-3 * *", "write 'L' alone"),
    ("0 0 31 2 1", "does not occur in the given months"),
    ("0 0 30,31 2 MON#1", "does not occur in the given months"),
    ("0 0 31W 4,6 2", "does not occur in the given months"),
    ("0 0 30 2 *", "never fires"),
    ("0 0 31 4,6,9,11 *", "never fires"),
    ("0 0 30W 2 ?", "never fires"),
    ("H * * * *", "hashed or random"),
    ("r(1-2) * * * *", "hashed or random"),
    ("? * * * *", "write '*'"),
    ("0 0 ?/2 * *", "day-of-month: '?/2'"),
    ("*-5 * * * *", "minute: '*-5'"),
    ("1,,2 * * * *", "remove the extra comma"),
    ("0 0 * * MONDAY", "write 'MON'"),
    ("0 0 1 january *", "write 'JAN'"),
    ("0 0 * MON *", "month: 'MON'"),
    ("0 0 * * mon#6", "1 to 5 times"),
    ("0 0 * * mon#0", "1 to 5 times"),
    ("0 0 * * 1-5/2#2", "day-of-week: '1-5/2#2'"),
    ("0 0 L-28 * *", "write 'L' alone"),
    ("0 0 * * 1-L#2", "day-of-week: '1-L'"),
    ("0 0 * * *#2", "day-of-week: '*#2'"),
    ("0 0 * * 8", "use 0 to 7"),
    ("0 24 * * *", "hour: '24' is out of range; use 0 to 23"),
    ("0 0 0 * *", "day-of-month: '0' is out of range; use 1 to 31"),
    ("0 0 32W * *", "day-of-month: '32'"),
    ("0 0 * 13 *", "month: '13' is out of range; use 1 to 12 or JAN to DEC"),
    ("60 * * * *", "minute: '60' is out of range"),
    ("-1 * * * *", "minute: '-1'"),
    ("5- * * * *", "minute: '5-'"),
    ("/5 * * * *", "minute: '/5'"),
    ("1.5 * * * *", "minute: '1.5'"),
    ("1-2-3 * * * *", "minute: '1-2-3'"),
    ("1/2/3 * * * *", "minute: '1/2/3'"),
    ("@daily", "write '0 0 * * *'"),
    ("@Hourly", "write '0 * * * *'"),
    ("0 0 0 * * *", "has 6 fields"),
    ("@every 1h", "has 2 fields"),
]


def first(cron: str, count: int, zone: str = "UTC") -> list[datetime]:
    start = datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
    return [fire.at for fire in Schedule(cron=cron, timezone=zone).upcoming(start, count)]


@pytest.mark.parametrize(("cron", "plainer"), SAME)
def test_a_form_means_what_its_plainer_form_means(cron: str, plainer: str) -> None:
    """Ranges of one value, ranges over the field's end, steps, names and blanks."""
    assert first(cron, 50) == first(plainer, 50)


@pytest.mark.parametrize(("cron", "days"), DATES)
def test_it_fires_on_these_days(cron: str, days: list[str]) -> None:
    """Two restricted kinds of day combine by "or", independent of the form of the restriction."""
    assert [moment.date().isoformat() for moment in first(cron, len(days))] == days


@pytest.mark.parametrize(("cron", "message"), REFUSED)
def test_what_is_refused_is_named_with_its_fix(cron: str, message: str) -> None:
    """The field, the item and what to write instead."""
    with pytest.raises(InvalidCronExpression, match=re.escape(message)) as caught:
        check_cron(cron)
    assert caught.value.problems[0].field == "schedule.cron"
    assert len(caught.value.message) < 400


def test_a_range_in_every_hour_follows_the_real_clock() -> None:
    """``*``, ``*/1``, ``0-23``, ``22-21`` and a list of all hours are one thing where the clocks change."""
    start = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    every = [
        Schedule(cron=f"30 {hours} * * *", timezone="Europe/Berlin").upcoming(start, 5)
        for hours in ("*", "*/1", "0-23", "22-21", "0-11,12-23", ",".join(map(str, range(24))))
    ]
    assert every == every[:1] * len(every)
    assert [fire.daylight_saving for fire in every[0][:3]] == ["first", "second", None]


@pytest.mark.parametrize("seed", range(4))
def test_croniter_agrees_where_cron_has_one_meaning(seed: int) -> None:
    """Random expressions of values, ranges, steps and lists, in UTC, fifty fire times each."""
    rng = random.Random(seed)
    start = datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
    for _ in range(60):
        cron = " ".join(random_field(rng, *bounds) for bounds in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 6)))
        theirs = croniter(cron, start)
        schedule, moment = Schedule(cron=cron), start
        for _ in range(50):
            moment = schedule.next_after(moment)
            assert moment == theirs.get_next(datetime), cron


def random_field(rng: random.Random, low: int, high: int) -> str:
    """A field that every cron reads alike."""

    def item() -> str:
        least, most = sorted(rng.sample(range(low, high + 1), 2))
        forms = ["*", f"{least}", f"{least}-{most}", f"{least}-{most}/{rng.randint(1, most - least)}"]
        if (low, high) not in {(1, 28), (0, 6)}:  # croniter has a special rule for steps in both kinds of day
            forms.append(f"*/{rng.randint(1, (high - low) // 2)}")
        return rng.choice(forms)

    return ",".join(item() for _ in range(rng.choice([1, 1, 2])))


class TestTheLastFireTime:
    """`last_until`."""

    @pytest.mark.parametrize(
        "cron", ["* * * * *", "0 6 * * *", "*/7 3 * * 2", "0 0 29 2 *", "0 0 * 2 MON#5", "* * 1 1 *"]
    )
    @pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
    def test_nothing_fires_between_it_and_the_moment(self, cron: str, zone: str) -> None:
        """It is at or before the moment, and the next one is after it."""
        schedule = Schedule(cron=cron, timezone=zone)
        for moment in (datetime(2026, 11, 1, 6, 0, tzinfo=UTC), datetime(2026, 3, 8, 7, 30, 1, tzinfo=UTC)):
            last = schedule.last_until(moment)
            assert last is not None
            assert last <= moment < schedule.next_after(last)
            assert schedule.first_from(last) == last

    def test_it_may_be_the_moment_itself(self) -> None:
        """At or before."""
        moment = datetime(2026, 1, 1, 6, tzinfo=UTC)
        assert Schedule(cron="0 6 * * *").last_until(moment) == moment

    def test_there_is_none_before_1900(self) -> None:
        """And nothing is searched for ever."""
        assert Schedule(cron="0 0 29 2 *").last_until(datetime(1901, 1, 1, tzinfo=UTC)) is None


class TestDays:
    """`start_of` and `first_on`."""

    def test_a_day_that_begins_twice_has_all_its_fire_times(self) -> None:
        """At 00:01 of 4 November 2007 the clocks of St John's went back to 23:01 of the day before."""
        day = datetime(2007, 11, 4, tzinfo=UTC).date()
        late = Schedule(cron="30 23 * * *", timezone="America/St_Johns")
        assert late.first_on(day) == datetime(2007, 11, 5, 3, tzinfo=UTC)
        assert late.start_of(day) == datetime(2007, 11, 4, 2, 30, tzinfo=UTC)

    def test_a_day_that_does_not_exist_has_none(self) -> None:
        """Samoa had no 30 December 2011; what would have fired then fires a day later."""
        schedule = Schedule(cron="0 6 30 12 *", timezone="Pacific/Apia")
        assert schedule.first_on(datetime(2011, 12, 30, tzinfo=UTC).date()) is None
        assert schedule.first_on(datetime(2011, 12, 31, tzinfo=UTC).date()) == datetime(2011, 12, 30, 16, tzinfo=UTC)

    def test_a_day_whose_midnight_is_skipped_begins_after_the_gap(self) -> None:
        """Beirut's clocks go from 00:00 to 01:00; Toronto's went from 23:30 to 00:30 in 1919."""
        beirut = Schedule(cron="0 0 * * *", timezone="Asia/Beirut")
        assert beirut.start_of(datetime(2026, 3, 29, tzinfo=UTC).date()) == datetime(2026, 3, 28, 22, tzinfo=UTC)
        toronto = Schedule(cron="0 0 * * *", timezone="America/Toronto")
        assert toronto.start_of(datetime(1919, 3, 31, tzinfo=UTC).date()) == datetime(1919, 3, 31, 4, 30, tzinfo=UTC)


class TestWhatOlderReleasesStored:
    """`Schedule.stored`."""

    @pytest.mark.parametrize(("cron", "plainer"), [("*/90 * * * *", "0 * * * *"), ("59/15 * * * *", "59 * * * *")])
    def test_a_step_that_is_refused_today_can_be_read(self, cron: str, plainer: str) -> None:
        """A workflow that was registered with it is still shown."""
        with pytest.raises(InvalidCronExpression):
            Schedule(cron=cron)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        assert Schedule.stored(cron, "UTC").upcoming(moment, 3) == Schedule(cron=plainer).upcoming(moment, 3)

    def test_what_is_accepted_is_as_any_other(self) -> None:
        """Equal, not merely alike."""
        assert Schedule.stored("0 6 * * *", "UTC") == Schedule(cron="0 6 * * *")


class TestZones:
    def test_every_name_of_the_database_works(self) -> None:
        """There are hundreds, and each has rules."""
        assert len(zone_names()) > 500
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        for name in zone_names():
            assert moment < Schedule(cron="0 6 * * *", timezone=name).next_after(moment) <= moment + timedelta(days=1)

    @pytest.mark.parametrize(
        ("name", "fix"), [("europe/berlin", "'Europe/Berlin'"), ("utc", "'UTC'"), ("posix/UTC", "America/New_York")]
    )
    def test_a_wrong_name_is_told_with_a_right_one(self, name: str, fix: str) -> None:
        """Names are spelled as the database spells them."""
        with pytest.raises(InvalidRequest, match=fix):
            check_timezone(name)
