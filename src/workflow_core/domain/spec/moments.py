"""Dates and times in a spec: ISO 8601 text only, in the schedule's time zone unless it has an offset."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from workflow_core.domain.names import quoted

if TYPE_CHECKING:
    from datetime import tzinfo

MOMENT_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})?)?$"
)
FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2999
"""The allowed years: near the ends of the calendar, a moment has no equivalent in other time zones and no later fire time."""

_MOMENT: Final = re.compile(MOMENT_PATTERN.replace("$", r"\Z"))
_ALMOST: Final = re.compile(r"([0-9]{4})(?:[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})|([0-9]{2})([0-9]{2}))\Z")
_DATE_ONLY: Final = len("2027-01-01")
_HOW: Final = "write a date such as 2027-01-01, or a time such as 2027-01-01T06:00:00+01:00"


def read_moment(value: object) -> datetime | None:
    """Return the moment that a text specifies, without a time zone if the text has no offset.

    Raises:
        ValueError: the text is not an ISO date or date-time, such as digits or relative words; the message contains the fix.
    """
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _MOMENT.match(value):
        raise ValueError(f"{_named(value)} is no ISO date or date-time; {_instead(value)}")
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        raise ValueError(f"{quoted(value)} does not exist in the calendar or on the clock; {_HOW}") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return moment


def _named(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    return quoted(str(value)).strip("'") if isinstance(value, int | float) and not isinstance(value, bool) else "this"


def _instead(value: object) -> str:
    """Return the ISO date that digits, or a date without leading zeros, probably mean; otherwise an example."""
    parts = _ALMOST.match(str(value)) if isinstance(value, str | int) else None
    if parts is not None:
        try:
            return f"write {date(*(int(part) for part in parts.groups() if part)).isoformat()}"
        except ValueError:
            pass
    return _HOW


def moment_in(text: str, zone: tzinfo, name: str) -> datetime:
    """Return the moment in UTC that ``text`` specifies in the time zone called ``name``; an offset in the text takes precedence.

    A date alone means the beginning of that day.

    Raises:
        ValueError: the text is not a moment, or its wall-clock time does not exist or occurs twice in that zone; the message contains
            the fix.
    """
    moment = read_moment(text)
    if moment is None:
        raise ValueError(f"is no ISO date or date-time; {_HOW}")
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if len(text) == _DATE_ONLY:
        return _begin_of_day(moment, zone)
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        later = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None).isoformat()
        raise ValueError(f"{quoted(text)} does not exist in {name}, where the clocks go forward then; write {later}")
    both = " or ".join(one.isoformat() for one in (first, second))
    raise ValueError(f"{quoted(text)} exists twice in {name}, where the clocks go back then; write {both}")


def _begin_of_day(midnight: datetime, zone: tzinfo) -> datetime:
    """Return the first moment of a day. If the clocks go forward over midnight, it is the end of the gap."""
    begin = min(midnight.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    while (
        begin.astimezone(zone).replace(tzinfo=None) < midnight
    ):  # midnight does not exist: continue to the end of the gap
        begin += timedelta(minutes=1)
    return begin
