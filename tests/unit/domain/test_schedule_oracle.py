"""Fire times around changes of the clocks, against a walk through every minute."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest

from tests.support.schedule_oracle import FIXED, RUNNING, changes, fixed, minutes, running
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.zones import zone_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ZONES: Final = {
    "UTC": 2026,
    "Asia/Kolkata": 2026,
    "Europe/Berlin": 2026,
    "Europe/London": 2026,
    "Europe/Dublin": 2026,  # negative daylight saving in winter
    "America/New_York": 2026,
    "America/Los_Angeles": 2026,
    "America/Havana": 2026,  # back to midnight
    "America/Santiago": 2026,  # at midnight
    "America/Asuncion": 2022,
    "America/Sao_Paulo": 2016,  # at midnight, until 2019
    "America/St_Johns": 2005,  # at one minute past midnight, until 2011
    "America/Nuuk": 2022,
    "Africa/Cairo": 2024,
    "Africa/Casablanca": 2024,  # around Ramadan
    "Asia/Beirut": 2024,
    "Asia/Gaza": 2024,
    "Asia/Tehran": 2020,
    "Australia/Sydney": 2026,
    "Australia/Lord_Howe": 2026,  # by half an hour
    "Pacific/Auckland": 2026,
    "Pacific/Chatham": 2026,
    "Pacific/Apia": 2010,  # without 30 December 2011
    "Antarctica/Troll": 2026,  # by two hours
}
"""The first of three years for each zone."""

NO_CHANGES: Final = (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC))
AROUND: Final = timedelta(days=2)
MARGIN: Final = timedelta(hours=26)
SPANS: Final = {name: (first, 3) for name, first in ZONES.items()} | (
    dict.fromkeys(sorted(zone_names()), (1970, 68)) if os.environ.get("SCHEDULE_ORACLE") == "long" else {}
)
"""The first year and the number of years for each zone. ``SCHEDULE_ORACLE=long`` compares every zone for hours."""


def windows(name: str, first: int, years: int) -> Iterator[datetime]:
    yield from changes(ZoneInfo(name), first, first + years - 1)
    if not any(changes(ZoneInfo(name), first, first + years - 1)):
        yield from NO_CHANGES


def check(name: str, change: datetime, rng: random.Random) -> int:
    """Compare every expression around one change; return how many fire times were compared."""
    start, end = change - AROUND, change + AROUND
    walk = minutes(start - MARGIN, end + MARGIN, ZoneInfo(name))
    compared = 0
    rules: list[tuple[dict[str, Callable[[datetime], bool]], Callable[..., list[datetime]]]] = [
        (RUNNING, running),
        (FIXED, fixed),
    ]
    for crons, rule in rules:
        for cron, wanted in crons.items():
            schedule = Schedule(cron=cron, timezone=name)
            expected = [moment for moment in rule(walk, wanted) if start < moment <= end]
            assert fires(schedule, start, end) == expected, (cron, name, change)
            compared += len(expected)
            for _ in range(3):
                moment = change + timedelta(seconds=rng.randint(-7200, 7200))
                later = [fire for fire in expected if fire > moment]
                if later:
                    assert schedule.next_after(moment) == later[0], (cron, name, moment)
                earlier = [fire for fire in expected if fire <= moment]
                if earlier:
                    assert schedule.last_until(moment) == earlier[-1], (cron, name, moment)
    return compared


def fires(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found = []
    while (start := schedule.next_after(start)) <= end:
        found.append(start)
    return found


@pytest.mark.parametrize("name", SPANS)
def test_every_fire_time_is_that_of_the_walk(name: str) -> None:
    """Each expression, each change of the clocks in three years, every minute of four days; and from moments within."""
    rng = random.Random(name)
    counts = [check(name, change, rng) for change in windows(name, *SPANS[name])]
    assert len(counts) >= 2
    assert min(counts) > 1000


def test_many_expressions_are_compared() -> None:
    """Of both kinds, in zones whose clocks change."""
    assert len(RUNNING) + len(FIXED) >= 30
    assert len(ZONES) >= 24
    changing = [name for name, first in ZONES.items() if len(list(changes(ZoneInfo(name), first, first + 2))) >= 4]
    assert len(changing) >= 20
