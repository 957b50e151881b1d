"""``ClockPort`` on the system's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """:class:`~workflow_core.ports.clock.ClockPort` on the system's clock."""

    def now(self) -> datetime:
        """As the port says."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """As the port says."""
        if seconds > 0:
            time.sleep(seconds)
