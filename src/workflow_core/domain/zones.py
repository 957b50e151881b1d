"""The time zones that a schedule may name, and their offsets.

The names are those of the ``tzdata`` package, so that they are equal on every host: the operating system's database has further names
(``posix/…``, ``localtime``), which differ between hosts. The rules are the operating system's, as in all other programs on the host,
including Airflow. If the system has no database, or lacks the zone, the rules are the package's.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_NO_PLACES: Final = frozenset({"Factory", "localtime"})
"""Entries of the database that mean "not configured" and "the zone of this host"."""

_ONE_SECOND: Final = timedelta(seconds=1)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """The names of the IANA database, spelled as it spells them."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()) - _NO_PLACES


@lru_cache(maxsize=1)
def _by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in zone_names()}


def spelled(name: str) -> str | None:
    """Return the zone whose name equals ``name`` except for case; None if there is none."""
    return _by_lower_case().get(name.lower())


def offset_at(moment: datetime, zone: ZoneInfo) -> timedelta:
    """The offset from UTC at an instant (aware)."""
    return moment.astimezone(zone).utcoffset() or timedelta()


def offsets_of(wall: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """The offsets with which ``wall`` (naive) may be read: equal on most days.

    The first is larger where the clocks go back and ``wall`` comes twice; the second where they go forward and ``wall`` is skipped.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return first, second


def change_between(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first instant in ``(after, until]`` whose offset differs from that of ``after``; None if both ends have one offset.

    The interval must be short enough for one change: two changes are at least six days apart.
    """
    before = offset_at(after, zone)
    if offset_at(until, zone) == before:
        return None
    early, late = after.astimezone(UTC).replace(microsecond=0), until.astimezone(UTC)
    while late - early > _ONE_SECOND:
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if offset_at(middle, zone) == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
