"""The port for time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime


@runtime_checkable
class ClockPort(Protocol):
    """Returns the current time, and waits."""

    def now(self) -> datetime:
        """The current time, aware, in UTC, with microseconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after this number of seconds; return at once for zero or less."""
        ...
