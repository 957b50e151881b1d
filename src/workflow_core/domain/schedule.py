"""The fire times of a workflow: a cron expression in a time zone.

The service, the CLI and Airflow's scheduler all use this module.

The effect of a clock change on a schedule:

- An expression that runs in every hour (its hour field has all 24 values) follows the real clock: it fires each time the wall clock shows
  a matching minute, in both passes of a repeated hour, and not in a skipped one.
- Any other expression keeps its wall-clock times: each fires once. A skipped time fires later, by as much as the clocks go forward; a
  repeated time fires the second time.

Both obey the calendar of the time zone: a day or weekday is that of the wall clock.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self
from zoneinfo import ZoneInfo

from attrs import field, frozen

from workflow_core.domain.cron import FIELDS, CronError, check_fields, pattern_of
from workflow_core.domain.names import quoted
from workflow_core.domain.zones import change_between, offset_at, offsets_of, spelled, zone_names
from workflow_core.errors import InvalidCronExpression, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CRON: Final = 200
"""The maximum number of characters of a cron expression; useful expressions are far shorter."""

_BLANK: Final = re.compile(r"[ \t\r\n]+")
_PRESETS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_INSTANT: Final = timedelta(microseconds=1)
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
_WINDOW: Final = timedelta(days=4)
"""A period with at most one clock change: two are at least six days apart."""

_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""The search for earlier fire times ends here."""


def check_cron(value: str) -> str:
    """Return the expression with single spaces between its fields.

    Raises:
        InvalidCronExpression: not five fields, a value out of range, a step larger than its range, or a date that never comes
            (30 February). Presets (``@daily``), seconds, and hashed and random fields (``H``, ``R``) are refused.
    """
    name = "schedule.cron"
    if len(value) > MAX_CRON:
        msg = f"is {len(value)} characters long; at most {MAX_CRON} are allowed"
        raise InvalidCronExpression(msg, field=name)
    given = value.strip(" \t\r\n")
    if given.lower() in _PRESETS:
        msg = f"presets are not supported; write {_PRESETS[given.lower()]!r} instead of {given!r}"
        raise InvalidCronExpression(msg, field=name)
    if not given.isascii():
        msg = f"{quoted(value)} contains a character that cron expressions do not allow; write digits, names and '* , - / # ?' in ASCII"
        raise InvalidCronExpression(msg, field=name)
    fields = _BLANK.split(given)
    if len(fields) != len(FIELDS):
        count = f"has {len(fields)} fields and not five" if given else "is empty; it needs five fields"
        msg = f"{quoted(value)} {count}: {' '.join(FIELDS)}, such as '0 6 * * *'"
        raise InvalidCronExpression(msg, field=name)
    try:
        check_fields(fields)
    except CronError as error:
        msg = f"{quoted(' '.join(fields))}: {error}"
        raise InvalidCronExpression(msg, field=name) from None
    return " ".join(fields)


def check_timezone(value: str) -> str:
    """Return ``value`` if it names a time zone of the IANA database; raise :class:`InvalidRequest` otherwise."""
    if value not in zone_names():
        better = spelled(value)
        fix = f"write {better!r}" if better else "use a name of the IANA database, such as 'UTC' or 'America/New_York'"
        msg = f"{quoted(value)} is not a time zone; {fix}"
        raise InvalidRequest(msg, field="schedule.timezone")
    return value


class DaylightSaving(StrEnum):
    """The effect of a clock change on a fire time."""

    MOVED = "moved"
    """Its wall-clock time does not exist on that day: it fires later, by as much as the clocks go forward."""

    FIRST = "first"
    """The clocks go back and its wall-clock time occurs twice: this is the first occurrence."""

    SECOND = "second"
    """The clocks go back and its wall-clock time occurs twice: this is the second occurrence."""


@frozen(kw_only=True)
class FireTime:
    """One fire time: ``at`` in UTC, ``local`` in the time zone of the schedule."""

    at: datetime
    local: datetime
    daylight_saving: DaylightSaving | None = None


@frozen(kw_only=True)
class Schedule:
    """A cron expression in a time zone. Both are validated on construction."""

    cron: str = field(converter=check_cron)
    timezone: str = field(default="UTC", converter=check_timezone)

    @classmethod
    def stored(cls, cron: str, timezone: str) -> Self:
        """Return a schedule that an earlier release accepted and stored, even if this release would refuse it."""
        try:
            return cls(cron=cron, timezone=timezone)
        except InvalidRequest:
            schedule = object.__new__(cls)
            object.__setattr__(schedule, "cron", cron)
            object.__setattr__(schedule, "timezone", timezone)
            return schedule

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.timezone)

    def next_after(self, moment: datetime) -> datetime:
        """The first fire time after ``moment`` (aware), in UTC.

        Raises:
            OverflowError: there is no fire time before the calendar ends.
        """
        return self._next(moment)[0]

    def last_until(self, moment: datetime) -> datetime | None:
        """The last fire time at or before ``moment`` (aware), in UTC; None if there is none since 1900."""
        reach = timedelta(hours=1)
        while (fires := self.next_after(moment - reach)) > moment:
            reach *= 4
            if moment - reach < _EARLIEST:
                return None
        early, late = fires, moment.astimezone(UTC)
        while (fires := self.next_after(early)) <= moment:
            middle = early + (late - early) / 2
            between = self.next_after(middle)
            if between <= moment:
                early = between
            else:
                early, late = fires, middle
        return early

    def upcoming(self, moment: datetime, count: int) -> Sequence[FireTime]:
        """The first ``count`` fire times after ``moment`` (aware)."""
        fire_times: list[FireTime] = []
        for _ in range(count):
            moment, moved = self._next(moment)
            local = moment.astimezone(self.zone)
            fire_times.append(FireTime(at=moment, local=local, daylight_saving=_changed(local, moved=moved)))
        return fire_times

    def first_from(self, moment: datetime) -> datetime:
        """The first fire time at or after ``moment`` (aware), in UTC."""
        return self.next_after(moment - _INSTANT)

    def start_of(self, day: date) -> datetime:
        """The first moment of a day in this schedule's time zone, in UTC: 00:00, or later where that is skipped."""
        midnight = datetime.combine(day, time())
        before, after = offsets_of(midnight, self.zone)
        start = (midnight - before).replace(tzinfo=UTC)
        if before < after:
            return change_between(start - (after - before), start, self.zone) or start
        return start

    def first_on(self, day: date) -> datetime | None:
        """The first fire time on a day in this schedule's time zone, in UTC; None if it does not fire on that day."""
        fires = self.first_from(self.start_of(day))
        while (local := fires.astimezone(self.zone).date()) < day:  # the clocks go back over midnight
            fires = self.next_after(fires)
        return fires if local == day else None

    def date_of(self, moment: datetime) -> str:
        """The calendar date of ``moment`` in this schedule's time zone, as ``YYYY-MM-DD``."""
        return moment.astimezone(self.zone).date().isoformat()

    def _next(self, moment: datetime) -> tuple[datetime, bool]:
        """The first fire time after ``moment`` in UTC, and whether its wall-clock time is skipped."""
        moment = moment.astimezone(UTC)
        if pattern_of(self.cron).every_hour:
            return self._next_on_the_real_clock(moment), False
        return self._next_on_the_wall(moment)

    def _next_on_the_real_clock(self, moment: datetime) -> datetime:
        """Follow the wall clock through each stretch of one offset."""
        pattern, start = pattern_of(self.cron), moment + _INSTANT
        while True:
            offset = offset_at(start, self.zone)
            wall = pattern.at_or_after(_naive(start, offset))
            fires, horizon = _utc(wall, offset), start + _WINDOW
            change = change_between(start, min(fires, horizon), self.zone)
            if change is not None:
                start = change
            elif fires <= horizon:
                return fires
            else:  # nothing matches until two days before: no change of the clocks is larger than one day
                start = max(horizon, fires - _WINDOW / 2)

    def _next_on_the_wall(self, moment: datetime) -> tuple[datetime, bool]:
        """Read each matching wall-clock time once: with the smaller offset, which is the second pass, or the one before a gap."""
        pattern, wall = pattern_of(self.cron), self._wall_to_search_from(moment)
        while True:
            wall = pattern.at_or_after(wall)
            before, after = offsets_of(wall, self.zone)
            fires = _utc(wall, min(before, after))
            if fires > moment:
                break
            wall += _MINUTE
        if before >= after:
            return fires, False
        shown_then = wall + (after - before)
        while (wall := pattern.at_or_after(wall + _MINUTE)) < shown_then:  # a time after the gap may fire first
            early, late = offsets_of(wall, self.zone)
            if early >= late and _utc(wall, late) > moment:
                return _utc(wall, late), False
        return fires, True

    def _wall_to_search_from(self, moment: datetime) -> datetime:
        """Not after any wall-clock time that fires after ``moment``."""
        offset = offset_at(moment, self.zone)
        wall = _naive(moment, offset)
        first, second = offsets_of(wall, self.zone)
        repeated = max(first - second, timedelta()) if first == offset else timedelta()
        skipped = max(offset - offset_at(moment - _DAY, self.zone), timedelta())
        return wall + _INSTANT - max(repeated, skipped)


def _naive(moment: datetime, offset: timedelta) -> datetime:
    return moment.replace(tzinfo=None) + offset


def _utc(wall: datetime, offset: timedelta) -> datetime:
    return (wall - offset).replace(tzinfo=UTC)


def _changed(local: datetime, *, moved: bool) -> DaylightSaving | None:
    if moved:
        return DaylightSaving.MOVED
    before, after = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if before <= after:
        return None
    return DaylightSaving.SECOND if local.fold else DaylightSaving.FIRST
