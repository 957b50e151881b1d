"""The five fields of a cron expression: their syntax, and the wall-clock minutes that they match.

This module parses the expression without a library, because libraries, and releases of one library, interpret some forms differently:

- ``*``, ``a``, ``a-b``, ``*/n``, ``a-b/n`` and lists of them, in each field. ``a/n`` is ``a-last/n``.
- A range whose ends are equal is that value. A range whose first value is larger continues at the field's beginning: ``22-2``, ``FRI-MON``.
- Months and weekdays have names; Sunday is 0 and 7. ``?`` is ``*`` for the two kinds of day.
- Day of month: ``L`` is the last day, also of a range (``25-L``); ``15W`` is the day from Monday to Friday nearest to the 15th in that
  month.
- Day of week: ``MON#2`` is the second Monday, ``MON-FRI#1`` the first of each of these days, ``L5`` the last Friday.
- A day field without a ``*`` or ``?`` item restricts the days, even if it lists all. If both day fields do, a day that matches one
  of them matches.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import monthrange
from datetime import MAXYEAR, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from workflow_core.domain.names import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS: Final = ("minute", "hour", "day-of-month", "month", "day-of-week")

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}
_WEEKDAYS: Final = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}
_LONGEST: Final = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST: Final = -1
_FRIDAY: Final = 5
_OFTEN: Final = 5
"""The maximum number of occurrences of a weekday in one month."""

_ITEM: Final = re.compile(r"(?P<first>[0-9A-Z]+(?:-(?P<last>[0-9A-Z]+))?|\*)(?:/(?P<step>[0-9]+))?")
_NTH: Final = re.compile(r"(?P<days>[0-9A-Z]+(-[0-9A-Z]+)?)#(?P<nth>[0-9]+)")
_LAST_WEEKDAY: Final = re.compile(r"L(?P<day>[0-7])")
_NEAR: Final = re.compile(r"(?P<day>[0-9]{1,2})W")
_LAST_MISWRITTEN: Final = re.compile(r"L?(?P<day>[0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)L?")
_HASHED: Final = re.compile(r"[HR](\(.*\))?(/.*)?")


class CronError(ValueError):
    """An expression is not accepted; the message names the field and the problem."""


@frozen
class _Kind:
    name: str
    low: int
    high: int
    names: Mapping[str, int] = field(factory=dict)

    def value(self, text: str, *, item: str) -> int:
        """A number or a name of this field; 7 is Sunday."""
        if text in self.names:
            return self.names[text]
        if not text.isdigit():
            raise CronError(f"{self.name}: {quoted(item)} {_advice(text, item, self)}")
        number = int(text)
        if self.names is _WEEKDAYS and number == len(_WEEKDAYS):
            return 0
        if not self.low <= number <= self.high:
            raise CronError(f"{self.name}: {quoted(text)} is out of range; use {self.allowed}")
        return number

    @property
    def allowed(self) -> str:
        """The numbers and names of this field."""
        if self.names is _WEEKDAYS:
            return "0 to 7 (0 and 7 are Sunday) or SUN to SAT"
        return f"{self.low} to {self.high}" + (" or JAN to DEC" if self.names is _MONTHS else "")


_KINDS: Final = (
    _Kind("minute", 0, 59),
    _Kind("hour", 0, 23),
    _Kind("day-of-month", 1, 31),
    _Kind("month", 1, 12, _MONTHS),
    _Kind("day-of-week", 0, 6, _WEEKDAYS),
)
_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY = _KINDS


@frozen
class _Days:
    """The days that the two day fields match; None stands for ``*`` or ``?``."""

    numbers: frozenset[int] | None
    last: bool
    near: frozenset[int]
    weekdays: frozenset[int] | None
    nth: frozenset[tuple[int, int]]

    def of(self, year: int, month: int) -> tuple[int, ...]:
        """The days of one month, in order."""
        first, length = monthrange(year, month)
        by_number = None if self.numbers is None else self._by_number(first, length)
        by_weekday = None if self.weekdays is None else self._by_weekday(first, length)
        if by_number is None or by_weekday is None:
            found = by_number if by_number is not None else by_weekday
            return tuple(range(1, length + 1)) if found is None else tuple(sorted(found))
        return tuple(sorted(by_number | by_weekday))

    def by_number_in(self, months: frozenset[int]) -> bool:
        """Whether the day-of-month field matches a day in any of the months, in some year."""
        numbers = (self.numbers or frozenset()) | self.near
        return self.last or any(number <= _LONGEST[month] for number in numbers for month in months)

    def _by_number(self, first: int, length: int) -> set[int]:
        found = {number for number in self.numbers or () if number <= length}
        found |= {length} if self.last else set()
        return found | {_nearest_weekday(number, first, length) for number in self.near if number <= length}

    def _by_weekday(self, first: int, length: int) -> set[int]:
        found = set()
        for number in range(1, length + 1):
            weekday = _weekday(number, first)
            here = {(weekday, (number + 6) // 7)} | ({(weekday, _LAST)} if number + 7 > length else set())
            if weekday in (self.weekdays or ()) or here & self.nth:
                found.add(number)
        return found


def _weekday(number: int, first: int) -> int:
    """0 is Sunday; ``first`` is the weekday of the month's first day with Monday as 0, as in :func:`calendar.monthrange`."""
    return (first + number) % 7


def _nearest_weekday(number: int, first: int, length: int) -> int:
    weekday = _weekday(number, first)
    if 1 <= weekday <= _FRIDAY:
        return number
    if weekday == 0:
        return number + 1 if number < length else number - 2
    return number - 1 if number > 1 else number + 2


@frozen(eq=False)
class CronPattern:
    """Which wall-clock minutes an expression matches. ``every_hour``: its hour field has all 24 values."""

    every_hour: bool
    _times: tuple[int, ...]
    _months: frozenset[int]
    _days: _Days
    _cache: dict[tuple[int, int], tuple[int, ...]] = field(factory=dict, repr=False)

    def at_or_after(self, wall: datetime) -> datetime:
        """The first matching minute at or after ``wall`` (naive).

        Raises:
            OverflowError: there is none before the calendar ends.
        """
        minute = wall.hour * 60 + wall.minute + (wall.second > 0 or wall.microsecond > 0)
        year, month, day = wall.year, wall.month, wall.day
        days = self._days_in(year, month)
        index = bisect_left(days, day)
        if index < len(days) and days[index] == day:
            at = bisect_left(self._times, minute)
            if at < len(self._times):
                return _at(year, month, day, self._times[at])
            index += 1
        while index == len(days):
            year, month, index = (year, month + 1, 0) if month < 12 else (year + 1, 1, 0)  # noqa: PLR2004
            if year > MAXYEAR:
                raise OverflowError("no fire time before the calendar ends")
            days = self._days_in(year, month)
        return _at(year, month, days[index], self._times[0])

    def matches(self, day: date) -> bool:
        """Whether the expression matches on this day at all."""
        return day.day in self._days_in(day.year, day.month)

    def _days_in(self, year: int, month: int) -> tuple[int, ...]:
        if month not in self._months:
            return ()
        found = self._cache.get((year, month))
        if found is None:
            if len(self._cache) > 1000:  # noqa: PLR2004 - 80 years of months
                self._cache.clear()
            found = self._cache[year, month] = self._days.of(year, month)
        return found


def _at(year: int, month: int, day: int, minute: int) -> datetime:
    return datetime(year, month, day, *divmod(minute, 60))  # noqa: DTZ001 - wall-clock time


@lru_cache(maxsize=2048)
def pattern_of(expression: str) -> CronPattern:
    """Read an expression.

    Misleading forms that :func:`check_fields` refuses (``*/90``) are accepted here, so that expressions stored by an older release can
    still be read.

    Raises:
        CronError: it has no meaning.
    """
    return _read(expression.split(), strict=False)


def check_fields(fields: list[str]) -> None:
    """Check that the five fields of an expression are unambiguous.

    Raises:
        CronError: a field has no meaning, or a misleading one, or no date ever matches.
    """
    _read(fields, strict=True)


def _read(fields: list[str], *, strict: bool) -> CronPattern:
    minute, hour, day, month, weekday = (text.upper() for text in fields)
    minutes, hours, months = (
        _values(text, kind, strict=strict) for text, kind in ((minute, _MINUTE), (hour, _HOUR), (month, _MONTH))
    )
    days = _days(day, weekday, strict=strict)
    _check_dates(days, months, day, strict=strict)
    return CronPattern(
        every_hour=len(hours) == 24,  # noqa: PLR2004
        times=tuple(hour * 60 + minute for hour in sorted(hours) for minute in sorted(minutes)),
        months=months,
        days=days,
    )


def _check_dates(days: _Days, months: frozenset[int], text: str, *, strict: bool) -> None:
    if days.numbers is None or days.by_number_in(months):
        return
    if days.weekdays is None:
        raise CronError("never fires: no such date exists")
    if strict:
        raise CronError(
            f"day-of-month: {quoted(text)} does not occur in the given months; write '*' to fire by weekday alone"
        )


def _days(day: str, weekday: str, *, strict: bool) -> _Days:
    numbers: set[int] = set()
    last, near = False, set()
    day, weekday = ("*" if text == "?" else text for text in (day, weekday))
    for item in day.split(","):
        if item == "L":
            last = True
        elif match := _NEAR.fullmatch(item):
            near.add(_DAY.value(match["day"], item=item))
        else:
            numbers |= _item(item, _DAY, strict=strict)
    weekdays: set[int] = set()
    nth: set[tuple[int, int]] = set()
    for item in weekday.split(","):
        if match := _NTH.fullmatch(item):
            number = _number_of(match["nth"], item)
            nth |= {(day_of_week, number) for day_of_week in _item(match["days"], _WEEKDAY, strict=strict)}
        elif match := _LAST_WEEKDAY.fullmatch(item):
            nth.add((_WEEKDAY.value(match["day"], item=item), _LAST))
        else:
            weekdays |= _item(item, _WEEKDAY, strict=strict)
    return _Days(
        numbers=None if "*" in day.split(",") else frozenset(numbers),
        last=last,
        near=frozenset(near),
        weekdays=None if "*" in weekday.split(",") else frozenset(weekdays),
        nth=frozenset(nth),
    )


def _number_of(text: str, item: str) -> int:
    if len(text) > 1 or not 1 <= int(text) <= _OFTEN:
        raise CronError(f"day-of-week: {quoted(item)}: a weekday occurs 1 to {_OFTEN} times in a month")
    return int(text)


def _values(text: str, kind: _Kind, *, strict: bool) -> frozenset[int]:
    return frozenset().union(*(_item(item, kind, strict=strict) for item in text.split(",")))


def _item(item: str, kind: _Kind, *, strict: bool) -> set[int]:
    """The values of one item of a list."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise CronError(f"{kind.name}: {quoted(item)} {_advice(item, item, kind)}")
    last, step = match["last"], match["step"]
    first = match["first"].partition("-")[0]
    start = kind.low if first == "*" else kind.value(first, item=item)
    to_the_last = first == "*" or (last is None and step is not None) or (kind is _DAY and last == "L")
    end = kind.high if to_the_last else kind.value(last or first, item=item)
    width = kind.high - kind.low + 1
    span = (end - start) % width
    if kind is _WEEKDAY and start == end == 0 and _is_seven(last) and not _is_seven(first):
        span = width - 1  # 0-7 is the whole week
    by = 1 if step is None else int(step)
    if by == 0:
        raise CronError(f"{kind.name}: {quoted(item)}: the step must be at least 1")
    if strict and step is not None and by > span and (by >= width or last is None or span):
        raise CronError(
            f"{kind.name}: the step of {quoted(item)} is larger than its range, so that only {start} would match; write '{start}'"
            + (f", or a step of at most {span}" if span else "")
        )
    return {kind.low + (start - kind.low + distance) % width for distance in range(0, span + 1, by)}


def _is_seven(text: str | None) -> bool:
    return text is not None and text.isdigit() and int(text) == len(_WEEKDAYS)


def _advice(text: str, item: str, kind: _Kind) -> str:
    """Return the problem with an item, whose part ``text`` is not a value of the field, and the fix."""
    last = _LAST_MISWRITTEN.fullmatch(text) if kind is _WEEKDAY and "L" in text else None
    if not item:
        problem, fix = "is an empty item", "remove the extra comma"
    elif _HASHED.fullmatch(item):
        problem, fix = "is a hashed or random field ('H', 'R'), whose times cannot be predicted", "write the value"
    elif item == "?":
        problem, fix = "stands for '*' and is allowed only alone, in day-of-month or day-of-week", "write '*'"
    elif last:
        problem, fix = (
            "is not understood",
            f"write 'L{kind.value(last['day'], item=item)}' for the last such day of the month",
        )
    elif kind is _DAY and text[:1] == "L":
        problem, fix = "is not supported", "write 'L' alone for the last day of the month"
    elif text[:3] in kind.names:
        problem, fix = "is not understood", f"write '{text[:3]}'"
    else:
        problem, fix = "is not understood", f"use {kind.allowed}, a range such as '1-5', or a step such as '*/2'"
    return f"{problem}; {fix}"
