"""Where to look for a free run id first."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

from workflow_core.domain.names import run_id_for

if TYPE_CHECKING:
    from datetime import datetime

REMEMBERED: Final = 1000
"""Seconds (of a workflow each) for which the number of ids given out is kept."""


class RunIds:
    """Gives out the ids of runs: the first of a second, then the second one, and so on, for each workflow. Threads may share it.

    A hint, no more, so that the many runs of one second do not each try the ids of all others: which id is free, the database says.
    """

    def __init__(self) -> None:
        self._given: OrderedDict[str, int] = OrderedDict()
        self._lock = Lock()

    def next(self, dataset_name: str, at: datetime) -> str:
        """An id for a run of this second that this process has not given out lately."""
        first = run_id_for(dataset_name, at)
        with self._lock:
            nth = self._given.pop(first, 0) + 1
            self._given[first] = nth
            if len(self._given) > REMEMBERED:
                self._given.popitem(last=False)
        return run_id_for(dataset_name, at, nth=nth)
