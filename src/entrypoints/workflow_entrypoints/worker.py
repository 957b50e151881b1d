"""The worker: sweeps and syncs on timers, in ``dli serve`` or as ``dli worker``. Any number of workers may run."""

from __future__ import annotations

import logging
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Final, Protocol, Self
from uuid import uuid4

from attrs import frozen

from workflow_core.domain.caller import Caller, Via
from workflow_core.errors import Unavailable
from workflow_entrypoints.observability.instrumentation import System, instrumented
from workflow_entrypoints.observability.logs import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workflow_core.domain.code import SyncReport
    from workflow_core.usecases.reconcile.sweep import SweepReport
    from workflow_entrypoints.observability.instrumentation import Instrument
    from workflow_entrypoints.settings.worker import WorkerSettings

_log = logging.getLogger(__name__)

SYNC: Final = Caller(name="sync", via=Via.WORKER)
"""The caller that registers the CODE workflows that a sync of the worker finds."""


LONGEST_PASS: Final = {"sweep": 300.0, "sync": 3600.0}
"""Seconds after which a pass counts as hung: each of its calls is bounded, and their number is finite."""


@frozen(kw_only=True)
class Pulse:
    """Whether a worker is alive; ``silent`` is the number of seconds since the last sign of life of its slowest loop."""

    is_alive: bool
    silent: float


class Sweeping(Protocol):
    """The methods of :class:`~workflow_core.sweeper.Sweeper` that the worker calls."""

    def sweep(self) -> SweepReport:
        """Make one pass over everything that is due."""
        ...

    def sync_in_turn(self, *, caller: Caller) -> SyncReport | None:
        """Import the published CODE workflows, unless another worker does so."""
        ...

    def release_leadership(self) -> None:
        """Release all leaderships: no further pass follows."""
        ...


class Worker:
    """Sweeps, and syncs CODE workflows, on timers.

    Args:
        sweeper: the sweeper to call.
        interval: seconds from the start of a sweep to the start of the next; a sweep that takes longer delays the next.
        sync_interval: seconds between two syncs (0: never). They have their own thread, so that a large publication
            delays no run.
        grace: seconds that a pass under way has to end after a stop; each of its calls is bounded more tightly.
    """

    def __init__(self, sweeper: Sweeping, *, interval: float, sync_interval: float = 0.0, grace: float = 20.0) -> None:
        self._sweeper = sweeper
        self._interval = interval
        self._sync_interval = sync_interval
        self._grace = grace
        self._stop = Event()
        self._stop_by: float | None = None
        self._threads: list[Thread] = []
        self._beats: dict[str, tuple[float, float]] = {}

    @classmethod
    def of(cls, sweeper: Sweeping, settings: WorkerSettings, instruments: Sequence[Instrument]) -> Self:
        """Return the worker that the settings describe; the instruments observe each pass."""
        observed = instrumented(sweeper, Sweeping, System.WORKER, instruments)
        return cls(
            observed,
            interval=settings.sweep_interval,
            sync_interval=settings.sync_interval,
            grace=settings.shutdown_grace,
        )

    def run(self) -> None:
        """Sweep, and sync in a second thread, until :meth:`stop`. An unexpected error is logged and ends only the pass."""
        _log.info("Sweeping every %g s", self._interval)
        if self._sync_interval:
            self._begin(self._sync_repeatedly, "sync")
        self._repeat("sweep", self._sweeper.sweep, self._interval)
        try:
            self._sweeper.release_leadership()
        except Unavailable as error:  # the other workers notice when the leases expire
            _log.warning("%s", error.message)

    def start(self) -> None:
        """Run in a background thread; does nothing if it runs already."""
        if not self._threads:
            self._begin(self.run, "worker")

    def pulse(self) -> Pulse:
        """Return whether its loops are alive: between two signs of life, each may take its interval and the longest
        time of a pass.
        """
        now = time.monotonic()
        beats = list(self._beats.values())
        silent = max((now - at for at, _ in beats), default=0.0)
        return Pulse(is_alive=all(now - at <= most for at, most in beats), silent=silent)

    def ask_to_stop(self) -> None:
        """Begin no further pass. Returns at once."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._grace
        self._stop.set()

    def stop(self) -> None:
        """Request a stop, and wait for a pass under way. Safe to call twice, and before the start.

        A pass that takes longer than its grace is abandoned: the next process completes what it has begun.
        """
        self.ask_to_stop()
        while self._threads:
            thread = self._threads.pop()
            thread.join(max(0.0, (self._stop_by or 0.0) - time.monotonic()))
            if thread.is_alive():
                _log.warning("%s did not end within %g s and is abandoned", thread.name, self._grace)

    def _begin(self, work: Callable[[], None], name: str) -> None:
        thread = Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _sync_repeatedly(self) -> None:
        self._repeat("sync", lambda: self._sweeper.sync_in_turn(caller=SYNC), self._sync_interval)

    def _repeat(self, name: str, work: Callable[[], object], interval: float) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._beats[name] = began, interval + LONGEST_PASS[name]
            try:
                with bound(work=name, pass_id=uuid4().hex[:12]):
                    work()
            except Unavailable as error:
                _log.warning("%s; the next pass tries again", error.message)
            except Exception:  # noqa: BLE001 - after any error the next pass must follow
                _log.exception("the pass failed; the next one tries again")
            self._beats[name] = time.monotonic(), interval + LONGEST_PASS[name]
            self._stop.wait(max(0.0, interval - (time.monotonic() - began)))
