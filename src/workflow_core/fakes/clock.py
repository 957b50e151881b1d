"""``ClockPort`` that a test, or a program that embeds the library, moves by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

_START: Final = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)


class ManualClock:
    """:class:`~workflow_core.ports.clock.ClockPort` whose time stands still until somebody moves it; threads may share it.

    Sleeping moves it at once, so that code that waits runs without waiting.
    """

    def __init__(self, now: datetime = _START) -> None:
        self._lock = Lock()
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by this many seconds and return at once; no change for zero or less."""
        with self._lock:
            self._now += timedelta(seconds=max(0.0, seconds))

    def set(self, now: datetime) -> None:
        """Make it this moment, in the past too."""
        with self._lock:
            self._now = now.astimezone(UTC)
