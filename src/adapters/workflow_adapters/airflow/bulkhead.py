"""A bulkhead: it limits concurrent calls and calls that wait, and refuses all others at once."""

from __future__ import annotations

from contextlib import contextmanager
from threading import Semaphore
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class BulkheadFull(Exception):
    """No place is free, and none became free in time."""


class Bulkhead:
    """Places for calls of many threads.

    Args:
        at_once: maximum number of concurrent calls.
        waiting: maximum number of further calls that wait for a place.
        patience: maximum time in seconds that they wait.
    """

    def __init__(self, at_once: int, *, waiting: int = 0, patience: float = 0.0) -> None:
        self._places = Semaphore(at_once)
        self._line = Semaphore(waiting)
        self._patience = patience

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place during the block.

        Raises:
            BulkheadFull: there is none.
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
