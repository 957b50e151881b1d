"""A bulkhead: so many may be inside at once, so many may wait for a place, and everybody else is told at once that it is full."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Semaphore
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class BulkheadFull(Exception):
    """There is no place, and none has become free in time."""


class Bulkhead:
    """Places for calls of many threads.

    Args:
        at_once: calls that are let in.
        waiting: further ones that may wait for a place.
        patience: seconds that they wait at most.
    """

    def __init__(self, at_once: int, *, waiting: int = 0, patience: float = 0.0) -> None:
        self._places = Semaphore(at_once)
        self._line = Semaphore(waiting)
        self._patience = patience

    @contextmanager
    def place(self) -> Iterator[None]:
        """Work in the block with a place.

        Raises:
            Full: there was none.
        """
        if not self._places.acquire(blocking=False):
            self._wait()
        try:
            yield
        finally:
            self._places.release()

    def _wait(self) -> None:
        if not self._line.acquire(blocking=False):
            raise BulkheadFull
        try:
            if not self._places.acquire(timeout=self._patience):
                raise BulkheadFull
        finally:
            self._line.release()
