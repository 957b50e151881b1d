"""Assign run ids: number the runs that a workflow starts within one second."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from heapq import heappop, heappush
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define, field

from workflow_core.domain.names import run_id_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

CACHED_SECONDS: Final = 1000
"""Number of seconds (of one workflow each) whose numbers are kept."""


@define
class _Second:
    """The numbers of one second of one workflow: the highest one drawn, and lower ones that were returned."""

    highest: int = 0
    returned: list[int] = field(factory=list)


@define
class Reservation:
    """The reservation of a number for the next run of a second, returned unless :meth:`mark_taken` is called."""

    _ids: RunIds
    _dataset_name: str
    _at: datetime
    _nth: int | None = None

    @property
    def run_id(self) -> str:
        """The id under which to record the run; it stays the same until :meth:`mark_taken` is called."""
        if self._nth is None:
            self._nth = self._ids.draw(self._dataset_name, self._at)
        return run_id_for(self._dataset_name, self._at, nth=self._nth)

    def mark_taken(self) -> None:
        """Record that a run has this id: the caller has just added it, or the database reports it as taken."""
        self._nth = None

    def release(self) -> None:
        """Return the number if no run was recorded under it."""
        if self._nth is not None:
            self._ids.put_back(self._dataset_name, self._at, self._nth)
            self._nth = None


class RunIds:
    """Numbers the runs of a workflow within one second: the first has no number, then ``_2``, ``_3`` and so on.

    Thread-safe.

    A number counts as taken only when a run with it is in the database. A request that is rejected, loses its
    transaction or repeats another one returns its number, and the next run of the second gets it. The database decides
    which run has an id; the numbers kept here only save concurrent runs from trying the same one.
    """

    def __init__(self) -> None:
        self._seconds: OrderedDict[str, _Second] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def reserve(self, dataset_name: str, at: datetime) -> Iterator[Reservation]:
        """Reserve a number for a run of this second for the duration of the block."""
        reservation = Reservation(self, dataset_name, at)
        try:
            yield reservation
        finally:
            reservation.release()

    def draw(self, dataset_name: str, at: datetime) -> int:
        """Return the lowest number of the second that this process has neither drawn nor seen taken."""
        with self._lock:
            second = self._second(dataset_name, at)
            if second.returned:
                return heappop(second.returned)
            second.highest += 1
            return second.highest

    def put_back(self, dataset_name: str, at: datetime, nth: int) -> None:
        """Make a number available again."""
        with self._lock:
            heappush(self._second(dataset_name, at).returned, nth)

    def _second(self, dataset_name: str, at: datetime) -> _Second:
        first = run_id_for(dataset_name, at)
        second = self._seconds.setdefault(first, _Second())
        self._seconds.move_to_end(first)
        if len(self._seconds) > CACHED_SECONDS:
            self._seconds.popitem(last=False)
        return second
