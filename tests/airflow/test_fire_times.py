"""Airflow makes runs at the core's fire times, around both changes of the clocks; run in the environment of each Airflow."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from airflow.timetables.base import DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import instance
from served import run_after

from workflow_core.domain.schedule import Schedule
from workflow_entrypoints.airflow.timetable import FiresFrom, WorkflowCorePlugin

AGREED = (
    "0 0 * * *", "30 0 * * *", "0 1 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *", "15 3 * * *", "0 6 * * *", "59 23 * * *",
    "*/15 * * * *", "0 * * * *", "30 * * * *", "0 */2 * * *", "0 2 * * 0", "30 1 * * SUN",
    "0 3 29 2 *", "0 12 1 * *", "45 2 25-31 3,10 0", "5 4 * * 1-5",
)  # fmt: skip
"""Expressions that Airflow's own class reads as the core does, in the zones below and around the changes below."""

OURS = (
    "*/20 0-3 * * *", "*/30 1,2 * * *", "10,50 2 * 3,4,9,10,11 *", "*/15 * * * 1-5", "0 * 1 * *", "0 * * * 1", "30 0-23 * * SUN",
    "0 5-5 * * MON-MON", "0 0 8 * 5#3", "0 3 15W * 1", "0 22-2 * * FRI-MON", "0 * L 3,10,11 0",
)  # fmt: skip
"""Expressions for which it loses a fire time, or fires on the wrong day, or which it reads in another way or not at all."""

ZONES = (
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo",
    "America/St_Johns", "America/Havana", "America/Asuncion", "Africa/Cairo", "Africa/Casablanca", "Asia/Tokyo", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Beirut", "Asia/Tehran", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland",
    "Pacific/Chatham", "Pacific/Apia", "Antarctica/Troll", "Atlantic/Azores",
)  # fmt: skip
CHANGES = tuple(datetime(2026, month, day, tzinfo=UTC) for month, day in [(3, 6), (3, 27), (10, 23), (10, 30)])
"""Shortly before the clocks change in North America, in Europe, in Europe again, and in North America again."""


def made_by(timetable, moment: datetime, until: datetime, *, catchup: bool) -> list[datetime]:
    """Return the dates for which Airflow's scheduler would create runs, each from the one before."""
    restriction = TimeRestriction(earliest=instance(moment), latest=None, catchup=catchup)
    found: list[datetime] = []
    interval = None
    while True:
        info = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        assert info.data_interval == DataInterval(info.run_after, info.run_after)
        fires = info.run_after.astimezone(UTC)
        if fires > until:
            return found
        found.append(fires)
        interval = info.data_interval


def fires_of(schedule: Schedule, moment: datetime, until: datetime) -> list[datetime]:
    found = [schedule.first_from(moment)]
    while found[-1] <= until:
        found.append(schedule.next_after(found[-1]))
    return found[:-1]


def next_changes(zone: str) -> list[datetime]:
    """The hours in which the clocks will change, in the thirteen months from next month on: without ``catchup``, the past is past."""
    hours = [
        datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=hour)
        for hour in range(720, 720 + 9500)
    ]
    offsets = [hour.astimezone(ZoneInfo(zone)).utcoffset() for hour in hours]
    return [hour for hour, (before, after) in zip(hours[1:], pairwise(offsets), strict=True) if before != after] or [
        hours[0]
    ]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", AGREED)
def test_where_cron_has_one_meaning_airflows_own_class_agrees(cron: str, zone: str) -> None:
    """Every fire time of the five days around each change, one after the other."""
    for moment in CHANGES:
        until = moment + timedelta(days=5)
        theirs = made_by(CronTriggerTimetable(cron, timezone=zone), moment, until, catchup=True)
        assert fires_of(Schedule(cron=cron, timezone=zone), moment, until) == theirs


@pytest.mark.parametrize("zone", ZONES)
def test_airflow_makes_runs_at_the_fire_times(zone: str) -> None:
    """Read back from the database, with ``catchup`` off as in every DAG: each expression, around each change that is to come."""
    changes = next_changes(zone)
    for cron in AGREED + OURS:
        schedule = Schedule(cron=cron, timezone=zone)
        for change in changes:
            moment, until = change - timedelta(hours=30), change + timedelta(hours=30)
            stored = json.dumps(FiresFrom(cron, timezone=zone, not_before=moment).serialize())
            timetable = FiresFrom.deserialize(json.loads(stored))
            assert made_by(timetable, moment, until, catchup=False) == fires_of(schedule, moment, until), (cron, change)


def test_they_are_compared_where_clocks_change() -> None:
    """The zones are many, and in most of them something is moved or repeated in these days."""
    assert len(AGREED) + len(OURS) >= 30
    assert len(ZONES) >= 24
    marked = {
        zone
        for zone in ZONES
        for moment in CHANGES
        for fire in Schedule(cron="*/30 0-3 * * *", timezone=zone).upcoming(moment, 40)
        if fire.daylight_saving
    }
    assert len(marked) >= 10
    assert len([zone for zone in ZONES if len(next_changes(zone)) >= 2]) >= 10


class TestTheTimetable:
    LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

    def test_of_the_fire_times_that_are_past_the_last_one_is_made_up_for(self) -> None:
        """As Airflow resumes a schedule: after a long pause, one run at once, and then the next one."""
        timetable = FiresFrom("*/10 * * * *", timezone="Asia/Kolkata", not_before=self.LONG_AGO)
        now = datetime.now(UTC)
        made = run_after(timetable, now - timedelta(days=9))
        assert now - timedelta(minutes=10) < made <= datetime.now(UTC)
        assert run_after(timetable, made) == made + timedelta(minutes=10)

    def test_a_change_of_the_clocks_that_is_missed_is_no_other(self) -> None:
        """The last one until now is the core's, also if it lies in a repeated hour."""
        schedule = Schedule(cron="30 0-23 * * SUN", timezone="Europe/Berlin")
        timetable = FiresFrom(schedule.cron, timezone=schedule.timezone, not_before=self.LONG_AGO)
        assert run_after(timetable, self.LONG_AGO) == schedule.last_until(datetime.now(UTC))

    def test_nothing_is_made_after_the_latest_date(self) -> None:
        """No run is due after an end date, or after the range of a backfill."""
        timetable = FiresFrom("0 6 * * *", timezone="UTC", not_before=datetime(2999, 1, 1, tzinfo=UTC))
        latest = TimeRestriction(None, instance(datetime(2999, 1, 1, 5, tzinfo=UTC)), catchup=False)
        assert timetable.next_dagrun_info(last_automated_data_interval=None, restriction=latest) is None

    def test_nothing_is_made_when_the_calendar_has_ended(self) -> None:
        """The timetable returns no run and does not fail."""
        timetable = FiresFrom("0 6 29 2 *", timezone="UTC", not_before=datetime(9999, 1, 1, tzinfo=UTC))
        latest = TimeRestriction(None, None, catchup=False)
        assert timetable.next_dagrun_info(last_automated_data_interval=None, restriction=latest) is None

    @pytest.mark.parametrize(
        "stored",
        [
            {"expression": "0 6 * * *", "timezone": "Europe/Berlin", "interval": 0.0, "not_before": "2031-01-01T00:00:00+00:00"},
            {
                "expression": "0 6 * * *", "timezone": "Europe/Berlin", "interval": 0.0, "run_immediately": False,
                "not_before": "2031-01-01T00:00:00+00:00",
            },
        ],
        ids=["Airflow 2.11", "Airflow 3"],
    )  # fmt: skip
    def test_what_an_older_release_has_serialised_is_read(self, stored) -> None:
        """The scheduler reads it until the DAG is parsed again; the same spec then gives what that release wrote on Airflow 3."""
        timetable = FiresFrom.deserialize(stored)
        assert run_after(timetable, self.LONG_AGO) == datetime(2031, 1, 1, 5, tzinfo=UTC)
        assert timetable.serialize() == {**stored, "run_immediately": False}

    def test_an_older_release_reads_what_is_serialised(self) -> None:
        """Its base was Airflow's own class, which looks for these keys."""
        stored = FiresFrom("0 6 * * *", timezone="Europe/Berlin", not_before=self.LONG_AGO).serialize()
        plain = CronTriggerTimetable.deserialize(json.loads(json.dumps(stored)))
        assert plain == CronTriggerTimetable("0 6 * * *", timezone="Europe/Berlin")

    def test_an_expression_that_is_refused_today_is_still_read(self) -> None:
        """A DAG that an older release has serialised must not stop the scheduler."""
        stored = FiresFrom(
            "*/90 * * * *", timezone="UTC", not_before=datetime(2031, 1, 1, 0, 5, tzinfo=UTC)
        ).serialize()
        assert run_after(FiresFrom.deserialize(stored), self.LONG_AGO) == datetime(2031, 1, 1, 1, tzinfo=UTC)

    def test_it_is_registered_under_the_path_that_is_in_airflows_database(self) -> None:
        """Every serialised DAG names it."""
        assert f"{FiresFrom.__module__}.{FiresFrom.__qualname__}" == "workflow_entrypoints.airflow.timetable.FiresFrom"
        assert WorkflowCorePlugin.timetables == (FiresFrom,)

    @pytest.mark.parametrize(
        ("cron", "described"), [("30 6 * * 1-5", "At 06:30, Monday through Friday"), ("0 0 * * 1,5#3", None)]
    )
    def test_people_see_the_expression_and_what_it_means(self, cron, described) -> None:
        """On Airflow's pages; the expression alone if Airflow cannot read it."""
        timetable = FiresFrom(cron, timezone="UTC", not_before=self.LONG_AGO)
        assert (timetable.summary, timetable.description) == (cron, described or timetable.description)
        assert timetable.description

    def test_a_run_by_hand_has_an_empty_interval(self) -> None:
        """At the moment for which it is started."""
        moment = instance(datetime(2026, 1, 1, 12, 34, tzinfo=UTC))
        timetable = FiresFrom("0 6 * * *", timezone="UTC", not_before=self.LONG_AGO)
        assert timetable.infer_manual_data_interval(run_after=moment) == DataInterval(moment, moment)
