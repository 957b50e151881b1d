"""Number the runs of one second, without holes."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from attrs import define, field

from workflow_core.domain.names import run_id_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

REMEMBERED: Final = 1000
"""Seconds (of a workflow each) for which the highest number known to be taken is kept."""

PATIENCE: Final = 1.0
"""Seconds that a run waits for its turn behind the other runs of its second; a database that stalls must not add up its timeouts."""


@define
class _Second:
    """One second of one workflow: the highest number known to be taken, and whose turn it is."""

    taken: int = 0
    turn: Lock = field(factory=Lock, repr=False, eq=False)


class Turn:
    """The right to record the next run of a second, under the lowest number not known to be taken."""

    def __init__(self, dataset_name: str, at: datetime, second: _Second) -> None:
        self._dataset_name, self._at, self._second = dataset_name, at, second
        self._nth = second.taken + 1

    @property
    def run_id(self) -> str:
        """The id to record the run under; the same until it is :meth:`taken`."""
        return run_id_for(self._dataset_name, self._at, nth=self._nth)

    def taken(self) -> None:
        """A run has this id: the caller has just recorded it, or the database says so. The next number is up."""
        self._second.taken = max(self._second.taken, self._nth)
        self._nth = self._second.taken + 1


class RunIds:
    """Numbers the runs of a workflow within one second: the first has no number, then ``_2``, ``_3`` and so on. Thread-safe.

    A number counts as taken only once a run with it is in the database. A request that is refused, loses its transaction or repeats
    another one uses up nothing. Since a number is tried only after the one before it is known to be taken, the numbers have no holes,
    whatever other threads and processes do; the database alone decides which of them gets a number. The turns only save work: without
    them the runs of one second would try each other's numbers.
    """

    def __init__(self, *, patience: float = PATIENCE) -> None:
        self._seconds: OrderedDict[str, _Second] = OrderedDict()
        self._lock = Lock()
        self._patience = patience

    @contextmanager
    def turn(self, dataset_name: str, at: datetime) -> Iterator[Turn]:
        """Wait for the other runs of this second to be recorded or refused, and number the next one."""
        second = self._second(run_id_for(dataset_name, at))
        mine = second.turn.acquire(timeout=self._patience)
        try:
            yield Turn(dataset_name, at, second)
        finally:
            if mine:
                second.turn.release()

    def _second(self, first: str) -> _Second:
        with self._lock:
            second = self._seconds.setdefault(first, _Second())
            self._seconds.move_to_end(first)
            if len(self._seconds) > REMEMBERED:
                self._seconds.popitem(last=False)
            return second
