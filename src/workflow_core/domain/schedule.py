"""When a workflow fires: five cron fields in a time zone, evaluated exactly as Airflow's ``CronTriggerTimetable``."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from attrs import field, frozen
from croniter import CroniterBadDateError, croniter

from workflow_core.domain.names import shown
from workflow_core.errors import InvalidCronExpression, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CRON: Final = 200
"""Characters of a cron expression; the longest sensible one is far shorter."""

_FIELDS: Final = 5
_MAX_ZONE: Final = 64  # the longest IANA name has 32 characters
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z][A-Za-z0-9_+-]*)*\Z")
_ALLOWED = re.compile(r"[0-9A-Za-z*,/#? -]+\Z")
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


def check_cron(value: str) -> str:
    """Return the expression with single spaces between its fields.

    Raises:
        InvalidCronExpression: not five fields, a value out of range, or a date that never comes (30 February).
            Presets (``@daily``), seconds, and croniter's hashed and random fields (``H``, ``R``) are refused.
    """
    name = "schedule.cron"
    if len(value) > MAX_CRON:
        msg = f"is {len(value)} characters long; at most {MAX_CRON} are allowed"
        raise InvalidCronExpression(msg, field=name)
    if value.strip() in _PRESETS:
        msg = f"presets are not supported; write {_PRESETS[value.strip()]!r} instead of {value.strip()!r}"
        raise InvalidCronExpression(msg, field=name)
    fields = [part for part in value.split(" ") if part]
    if len(fields) != _FIELDS or not _ALLOWED.match(value):
        msg = f"{shown(value)} is not five fields: minute hour day-of-month month day-of-week, such as '0 6 * * *'"
        raise InvalidCronExpression(msg, field=name)
    expression = " ".join(fields)
    if any(part[:1] in {"H", "R", "h", "r"} for part in fields):
        msg = f"{shown(value)} uses hashed or random fields ('H', 'R'), whose times nobody could predict"
        raise InvalidCronExpression(msg, field=name)
    try:
        croniter(expression, datetime(2024, 1, 1)).get_next(datetime)  # noqa: DTZ001 - naive on purpose: only whether it ever fires
    except CroniterBadDateError:
        msg = f"{expression!r} never fires: no such date exists"
        raise InvalidCronExpression(msg, field=name) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        # croniter's own errors are ValueErrors; the others escape from its parser on odd inputs
        msg = f"{shown(value)} is not a cron expression ({error}); the fields are minute hour day month weekday"
        raise InvalidCronExpression(msg, field=name) from None
    return expression


def check_timezone(value: str) -> str:
    """Return ``value`` if it names a time zone of the IANA database; raise :class:`InvalidRequest` otherwise."""
    try:
        _zone(value)
    except (KeyError, ValueError, OSError):
        msg = f"{shown(value)} is not a time zone; use a name of the IANA database, such as 'UTC' or 'America/New_York'"
        raise InvalidRequest(msg, field="schedule.timezone") from None
    return value


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    if len(name) > _MAX_ZONE or not _ZONE.match(
        name
    ):  # ZoneInfo looks for whatever it is given as a file, then as a package
        raise KeyError(name)
    return ZoneInfo(name)


class DaylightSaving(StrEnum):
    """What a change of the clocks does to a fire time."""

    MOVED = "moved"
    """Its wall-clock time does not exist on that day: it fires as much later as the clocks go forward."""

    FIRST = "first"
    """The clocks go back, and its wall-clock time comes twice: this is the first one."""

    SECOND = "second"
    """Likewise, and this is the second one."""


@frozen(kw_only=True)
class Fire:
    """One fire time: ``at`` in UTC, ``local`` in the time zone of the schedule."""

    at: datetime
    local: datetime
    daylight_saving: DaylightSaving | None = None


@frozen(kw_only=True)
class Schedule:
    """A cron expression in a time zone. Both are checked when the value is made.

    Daylight saving is Airflow's rule (``airflow.timetables._cron``): an expression that runs in every hour keeps equal
    distances across the change; any other keeps its wall-clock time.
    """

    cron: str = field(converter=check_cron)
    timezone: str = field(default="UTC", converter=check_timezone)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return _zone(self.timezone)

    def next_after(self, moment: datetime) -> datetime:
        """The first fire time after ``moment`` (aware), in UTC."""
        return self._next(moment)[0]

    def upcoming(self, moment: datetime, count: int) -> Sequence[Fire]:
        """The first ``count`` fire times after ``moment`` (aware)."""
        found: list[Fire] = []
        for _ in range(count):
            moment, wanted = self._next(moment)
            local = moment.astimezone(self.zone)
            found.append(Fire(at=moment, local=local, daylight_saving=_changed(local, wanted)))
        return found

    def _next(self, moment: datetime) -> tuple[datetime, datetime | None]:
        """The first fire time after ``moment`` in UTC, and the wall-clock time that it is for, unless distances are what counts."""
        naive = moment.astimezone(self.zone).replace(tzinfo=None)
        cron = croniter(self.cron, naive)
        scheduled: datetime = cron.get_next(datetime)
        if not _covers_every_hour(cron):
            return _aware(scheduled, self.zone), scheduled
        return _aware(naive, self.zone, fold=_fold(moment, self.zone)) + (scheduled - naive), None

    def first_from(self, moment: datetime) -> datetime:
        """The first fire time at or after ``moment`` (aware), in UTC."""
        return self.next_after(moment - timedelta(microseconds=1))

    def start_of(self, day: date) -> datetime:
        """The first moment of a day in this schedule's time zone, in UTC: 00:00, or later where that is skipped."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def first_on(self, day: date) -> datetime | None:
        """The first fire time on a day in this schedule's time zone, in UTC; None if it does not fire on that day."""
        fires = self.next_after(self.start_of(day) - timedelta(seconds=1))
        return fires if fires.astimezone(self.zone).date() == day else None

    def date_of(self, moment: datetime) -> str:
        """The calendar date of ``moment`` in this schedule's time zone, as ``YYYY-MM-DD``."""
        return moment.astimezone(self.zone).date().isoformat()


def _changed(local: datetime, wanted: datetime | None) -> DaylightSaving | None:
    if wanted is not None and wanted != local.replace(tzinfo=None):
        return DaylightSaving.MOVED
    before, after = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    if before <= after:
        return None
    return DaylightSaving.SECOND if local.fold else DaylightSaving.FIRST


def _covers_every_hour(cron: croniter) -> bool:
    return bool(cron.expanded[1] == ["*"])


def _fold(moment: datetime, zone: ZoneInfo) -> int:
    return moment.astimezone(zone).fold


def _aware(naive: datetime, zone: ZoneInfo, *, fold: int = 1) -> datetime:
    """``naive`` wall-clock time of ``zone`` in UTC.

    In a repeated hour the second one is meant (``fold=1``, as Airflow's ``make_aware`` has it); a time inside a gap
    moves forward by the length of the gap.
    """
    aware = naive.replace(tzinfo=zone, fold=fold)
    utc = aware.astimezone(UTC)
    if utc.astimezone(zone).replace(tzinfo=None) != naive:  # a gap: fold=0 reads it with the offset before the change
        utc = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return utc
