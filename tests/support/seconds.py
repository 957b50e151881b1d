"""Seconds of a monotonic clock, moved by hand."""

from __future__ import annotations


class Seconds:
    """To be called as ``time.monotonic`` is; ``now`` is set by whoever tests."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
