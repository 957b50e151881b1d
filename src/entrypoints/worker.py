"""The worker: sweeps on a timer, beside ``dli serve`` or as ``dli worker``. Any number may run."""

from __future__ import annotations

import logging
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from workflow_core.usecases.sweep import SweepReport

_log = logging.getLogger(__name__)

GRACE: Final = 30.0
"""Seconds that a pass under way has to end; each of its calls is bounded more tightly."""


class Sweeping(Protocol):
    """What the worker needs of :class:`~workflow_core.service.WorkflowService`."""

    def sweep(self) -> SweepReport:
        """One pass."""
        ...


class Worker:
    """Sweeps every ``interval`` seconds, counted from start to start; a pass that takes longer delays the next."""

    def __init__(self, service: Sweeping, *, interval: float) -> None:
        self._service = service
        self._interval = interval
        self._stop = Event()
        self._thread: Thread | None = None

    def run(self) -> None:
        """Sweep until :meth:`stop`. An unexpected error ends the pass, is logged, and the next pass comes as ever."""
        _log.info("Sweeping every %g s", self._interval)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._service.sweep()
            except Exception:  # noqa: BLE001 - whatever it is, the next pass must come
                _log.exception("the sweep failed; the next one tries again")
            self._stop.wait(max(0.0, self._interval - (time.monotonic() - began)))

    def start(self) -> None:
        """Sweep in a thread of its own."""
        if self._thread is None:
            self._thread = Thread(target=self.run, name="worker", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ask for the end, and wait for a pass under way, at most :data:`GRACE` seconds. Safe to call twice, and before the start."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(GRACE)
            self._thread = None
