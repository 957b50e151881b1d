"""Time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from datetime import datetime


@runtime_checkable
class ClockPort(Protocol):
    """The time, and waiting for it to pass."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC, cut to microseconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after this many seconds; at once for zero or less."""
        ...
