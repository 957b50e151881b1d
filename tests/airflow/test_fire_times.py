"""Our fire times are Airflow's, around both changes of the clocks; run in the environment of each Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import instance

from workflow_core.domain.schedule import Schedule

CRONS = (
    "0 0 * * *", "30 0 * * *", "0 1 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *", "15 3 * * *", "0 6 * * *", "59 23 * * *",
    "*/15 * * * *", "0 * * * *", "30 * * * *", "0 */2 * * *", "*/20 0-3 * * *", "*/30 1,2 * * *", "0 2 * * 0", "30 1 * * SUN",
    "0 3 29 2 *", "0 12 1 * *", "45 2 25-31 3,10 0", "5 4 * * 1-5", "10,50 2 * 3,4,9,10,11 *",
)  # fmt: skip
ZONES = (
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo",
    "America/St_Johns", "America/Havana", "America/Asuncion", "Africa/Cairo", "Africa/Casablanca", "Asia/Tokyo", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Beirut", "Asia/Tehran", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland",
    "Pacific/Chatham", "Pacific/Apia", "Antarctica/Troll", "Atlantic/Azores",
)  # fmt: skip
CHANGES = tuple(datetime(2026, month, day, tzinfo=UTC) for month, day in [(3, 6), (3, 27), (10, 23), (10, 30)])
"""Shortly before the clocks change in North America, in Europe, in Europe again, and in North America again."""


def airflows(cron: str, zone: str, moment: datetime, until: datetime) -> list[datetime]:
    """What Airflow's scheduler would make runs for: each from the one before, as it does."""
    timetable = CronTriggerTimetable(cron, timezone=zone)
    restriction = TimeRestriction(earliest=instance(moment + timedelta(microseconds=1)), latest=None, catchup=True)
    found: list[datetime] = []
    interval = None
    while True:
        info = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        fires = info.run_after.astimezone(UTC)
        if fires > until:
            return found
        found.append(fires)
        interval = info.data_interval


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", CRONS)
def test_fire_times_are_those_of_airflow(cron: str, zone: str) -> None:
    """Every one of the five days around each change, one after the other."""
    schedule = Schedule(cron=cron, timezone=zone)
    for moment in CHANGES:
        until = moment + timedelta(days=5)
        expected = airflows(cron, zone, moment, until)
        ours = [fire.at for fire in schedule.upcoming(moment, len(expected) + 1)]
        assert ours[:-1] == expected
        assert ours[-1] > until


def test_they_are_compared_where_clocks_change() -> None:
    """The zones are many, and in most of them something is moved or repeated in these days."""
    assert len(CRONS) >= 20
    assert len(ZONES) >= 20
    marked = {
        zone
        for zone in ZONES
        for moment in CHANGES
        for fire in Schedule(cron="*/30 0-3 * * *", timezone=zone).upcoming(moment, 40)
        if fire.daylight_saving
    }
    assert len(marked) >= 10
