"""``ClockPort`` on the system's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """:class:`~workflow_core.ports.clock.ClockPort` on the system's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)
