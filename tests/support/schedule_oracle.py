"""When a schedule fires, found by walking through every minute of real time: nothing here is shared with the product but the zone's rules.

Each expression is written a second time, as a question about one wall-clock minute, so that no reader of expressions is trusted.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import tzinfo

MINUTE: Final = timedelta(minutes=1)

RUNNING: Final[dict[str, Callable[[datetime], bool]]] = {
    "* * * * *": lambda _: True,
    "0 * * * *": lambda t: t.minute == 0,
    "30 * * * *": lambda t: t.minute == 30,
    "*/15 * * * *": lambda t: t.minute in {0, 15, 30, 45},
    "*/15 * * * 1-5": lambda t: t.minute in {0, 15, 30, 45} and t.isoweekday() < 6,
    "*/20 */1 * * SUN": lambda t: t.minute in {0, 20, 40} and t.isoweekday() == 7,
    "0 * 1 * *": lambda t: t.minute == 0 and t.day == 1,
    "10 0-23 * * 1": lambda t: t.minute == 10 and t.isoweekday() == 1,
    "0 0-11,12-23 * 4,9,11 *": lambda t: t.minute == 0 and t.month in {4, 9, 11},
    "0-30 22-21 L * *": lambda t: t.minute <= 30 and t.day == length(t),
    "5 * 25-31 3,10 0": lambda t: t.minute == 5 and t.month in {3, 10} and (t.day >= 25 or t.isoweekday() == 7),
    "59 * * * SAT#1,L6": lambda t: t.minute == 59 and t.isoweekday() == 6 and (t.day <= 7 or t.day > length(t) - 7),
}
"""Those that run in every hour."""

FIXED: Final[dict[str, Callable[[datetime], bool]]] = {
    "0 0 * * *": lambda t: hm(t) == (0, 0),
    "30 0 * * *": lambda t: hm(t) == (0, 30),
    "1 0 * * *": lambda t: hm(t) == (0, 1),
    "0 1 * * *": lambda t: hm(t) == (1, 0),
    "45 1 * * *": lambda t: hm(t) == (1, 45),
    "0 2 * * *": lambda t: hm(t) == (2, 0),
    "30 2 * * *": lambda t: hm(t) == (2, 30),
    "15 3 * * *": lambda t: hm(t) == (3, 15),
    "0 6 * * 1-5": lambda t: hm(t) == (6, 0) and t.isoweekday() < 6,
    "59 23 * * *": lambda t: hm(t) == (23, 59),
    "0 */2 * * *": lambda t: t.minute == 0 and t.hour % 2 == 0,
    "*/20 0-3 * * *": lambda t: t.minute % 20 == 0 and t.hour < 4,
    "*/30 1,2 * * *": lambda t: t.minute % 30 == 0 and t.hour in {1, 2},
    "10,35 2 * * *": lambda t: t.hour == 2 and t.minute in {10, 35},
    "*/7 1-22 * * *": lambda t: t.minute % 7 == 0 and 1 <= t.hour <= 22,
    "0 22-2 * * FRI-MON": lambda t: t.minute == 0 and (t.hour >= 22 or t.hour <= 2) and t.isoweekday() in {5, 6, 7, 1},
    "0 5-5 * * MON-MON": lambda t: hm(t) == (5, 0) and t.isoweekday() == 1,
    "30 2 * * 0": lambda t: hm(t) == (2, 30) and t.isoweekday() == 7,
    "30 1 * * 7-7": lambda t: hm(t) == (1, 30) and t.isoweekday() == 7,
    "0 2 8 * 5#3": lambda t: hm(t) == (2, 0) and (t.day == 8 or (t.isoweekday() == 5 and 15 <= t.day <= 21)),
    "15 0 L * *": lambda t: hm(t) == (0, 15) and t.day == length(t),
    "0 3 15W * *": lambda t: hm(t) == (3, 0) and t.day == weekday_near(15, t),
    "45 2 25-31 3,10 0": lambda t: hm(t) == (2, 45) and t.month in {3, 10} and (t.day >= 25 or t.isoweekday() == 7),
    "0 0 1 * L5": lambda t: hm(t) == (0, 0) and (t.day == 1 or (t.isoweekday() == 5 and t.day > length(t) - 7)),
    "5/25 0/7 * NOV-APR *": lambda t: t.minute in {5, 30, 55} and t.hour % 7 == 0 and t.month in {11, 12, 1, 2, 3, 4},
}
"""All others."""


def hm(t: datetime) -> tuple[int, int]:
    """Hour and minute."""
    return t.hour, t.minute


def length(t: datetime) -> int:
    """The number of days of the month."""
    return monthrange(t.year, t.month)[1]


def weekday_near(day: int, t: datetime) -> int:
    """The Monday to Friday nearest to a day of the month, in that month."""
    days = [other for other in range(1, length(t) + 1) if t.replace(day=other).isoweekday() < 6]
    return min(days, key=lambda other: abs(other - day))


def minutes(start: datetime, end: datetime, zone: tzinfo) -> list[tuple[datetime, datetime]]:
    """Every minute of real time and what the clock on the wall shows then."""
    found = []
    while start < end:
        found.append((start, start.astimezone(zone).replace(tzinfo=None)))
        start += MINUTE
    return found


def running(walk: list[tuple[datetime, datetime]], wanted: Callable[[datetime], bool]) -> list[datetime]:
    """Whenever the wall shows a wanted minute."""
    return [moment for moment, wall in walk if wanted(wall)]


def fixed(walk: list[tuple[datetime, datetime]], wanted: Callable[[datetime], bool]) -> list[datetime]:
    """Each wall-clock minute once: the last time it is shown; if it is skipped, as long after the jump as it lies in the gap."""
    shown: dict[datetime, datetime] = {}
    before: datetime | None = None
    for moment, wall in walk:
        if before is not None:
            skipped, late = before + MINUTE, moment
            while skipped < wall:
                shown[skipped] = late
                skipped, late = skipped + MINUTE, late + MINUTE
        shown[wall] = moment
        before = wall
    return sorted({moment for wall, moment in shown.items() if wanted(wall)})


def changes(zone: tzinfo, first: int, last: int) -> Iterator[datetime]:
    """The hours after which the clocks of a zone have changed, in these years."""
    moment, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC)
    before = moment.astimezone(zone).utcoffset()
    while moment < end:
        moment += timedelta(hours=1)
        offset = moment.astimezone(zone).utcoffset()
        if offset != before:
            yield moment
        before = offset
