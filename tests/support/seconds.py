"""A manual monotonic clock in seconds."""

from __future__ import annotations


class Seconds:
    """A replacement for ``time.monotonic``; the test sets ``now``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
