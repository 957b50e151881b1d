"""A ``ClockPort`` that a test, or a program that embeds the library, moves manually."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

_START: Final = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)


class ManualClock:
    """A :class:`~workflow_core.ports.clock.ClockPort` whose time changes only on demand; threads may share it.

    :meth:`sleep` advances the time and returns at once, so that code that waits runs without delay.
    """

    def __init__(self, now: datetime = _START) -> None:
        self._lock = Lock()
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        """Advance the time by this number of seconds and return at once. Zero or less changes nothing."""
        with self._lock:
            self._now += timedelta(seconds=max(0.0, seconds))

    def set(self, now: datetime) -> None:
        """Set the time, which may lie in the past."""
        with self._lock:
            self._now = now.astimezone(UTC)
