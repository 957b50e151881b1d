"""The worker: sweeps and syncs on timers, beside ``dli serve`` or as ``dli worker``. Any number may run."""

from __future__ import annotations

import logging
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Protocol

from workflow_core.domain.caller import Caller, Via
from workflow_core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.code import SyncReport
    from workflow_core.usecases.sweep import SweepReport

_log = logging.getLogger(__name__)

GRACE: Final = 30.0
"""Seconds that a pass under way has to end; each of its calls is bounded more tightly."""


SYNC: Final = Caller(name="sync", via=Via.WORKER)
"""Who registers the CODE workflows that a sync of the worker finds."""


class Sweeping(Protocol):
    """What the worker needs of :class:`~workflow_core.service.WorkflowService`."""

    def sweep(self) -> SweepReport:
        """One pass."""
        ...

    def sync(self, *, caller: Caller) -> SyncReport:
        """Take up what is published as CODE."""
        ...


class Worker:
    """Sweeps every ``interval`` seconds, counted from start to start; a pass that takes longer delays the next. Syncs CODE workflows
    every ``sync_interval`` seconds (0: never) in a thread of its own, so that a large publication delays no run.
    """

    def __init__(self, service: Sweeping, *, interval: float, sync_interval: float = 0.0) -> None:
        self._service = service
        self._interval = interval
        self._sync_interval = sync_interval
        self._stop = Event()
        self._threads: list[Thread] = []

    def run(self) -> None:
        """Sweep, and sync beside it, until :meth:`stop`. An unexpected error ends the pass, is logged, and the next pass comes as ever."""
        _log.info("Sweeping every %g s", self._interval)
        if self._sync_interval:
            self._begin(self._sync_again_and_again, "sync")
        self._repeat(self._service.sweep, self._interval)

    def start(self) -> None:
        """Do so in threads of its own."""
        if not self._threads:
            self._begin(self.run, "worker")

    def stop(self) -> None:
        """Ask for the end, and wait for a pass under way, at most :data:`GRACE` seconds. Safe to call twice, and before the start."""
        self._stop.set()
        deadline = time.monotonic() + GRACE
        while self._threads:
            self._threads.pop().join(max(0.0, deadline - time.monotonic()))

    def _begin(self, work: Callable[[], None], name: str) -> None:
        thread = Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _sync_again_and_again(self) -> None:
        self._repeat(lambda: self._service.sync(caller=SYNC), self._sync_interval)

    def _repeat(self, work: Callable[[], object], interval: float) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                work()
            except Unavailable as error:
                _log.warning("%s; the next pass tries again", error.message)
            except Exception:  # noqa: BLE001 - whatever it is, the next pass must come
                _log.exception("the pass failed; the next one tries again")
            self._stop.wait(max(0.0, interval - (time.monotonic() - began)))
