"""Number the runs of one second."""

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

REMEMBERED: Final = 1000
"""Seconds (of a workflow each) whose numbers are kept."""


@define
class _Second:
    """The numbers of one second of one workflow: the highest one drawn, and those below it that were given back."""

    highest: int = 0
    returned: list[int] = field(factory=list)


@define
class Turn:
    """A number for the next run of a second; returned unless it turns out to be :meth:`taken`."""

    _ids: RunIds
    _dataset_name: str
    _at: datetime
    _nth: int | None = None

    @property
    def run_id(self) -> str:
        """The id to record the run under; the same until it is :meth:`taken`."""
        if self._nth is None:
            self._nth = self._ids.draw(self._dataset_name, self._at)
        return run_id_for(self._dataset_name, self._at, nth=self._nth)

    def taken(self) -> None:
        """A run has this id: the caller has just recorded it, or the database says so."""
        self._nth = None

    def end(self) -> None:
        """Return the number that no run was recorded under."""
        if self._nth is not None:
            self._ids.put_back(self._dataset_name, self._at, self._nth)
            self._nth = None


class RunIds:
    """Numbers the runs of a workflow within one second: the first has no number, then ``_2``, ``_3`` and so on. Thread-safe.

    A number counts as taken only once a run with it is in the database: a request that is refused, loses its transaction or repeats
    another one returns it, and the next run of the second gets it. The database decides which run has an id; the numbers that are
    kept here only save the runs of one second from trying each other's.
    """

    def __init__(self) -> None:
        self._seconds: OrderedDict[str, _Second] = OrderedDict()
        self._lock = Lock()

    @contextmanager
    def turn(self, dataset_name: str, at: datetime) -> Iterator[Turn]:
        """A number for a run of this second, for as long as it takes to record the run."""
        turn = Turn(self, dataset_name, at)
        try:
            yield turn
        finally:
            turn.end()

    def draw(self, dataset_name: str, at: datetime) -> int:
        """The lowest number of the second that is neither taken nor drawn, as far as this process knows."""
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
        if len(self._seconds) > REMEMBERED:
            self._seconds.popitem(last=False)
        return second
