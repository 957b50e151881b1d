"""The worker: sweeps and syncs on timers, beside ``dli serve`` or as ``dli worker``. Any number may run."""

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
    from workflow_entrypoints.settings import Settings

_log = logging.getLogger(__name__)

SYNC: Final = Caller(name="sync", via=Via.WORKER)
"""Who registers the CODE workflows that a sync of the worker finds."""


LONGEST_PASS: Final = {"sweep": 300.0, "sync": 3600.0}
"""Seconds of a pass after which it counts as hung: each of its calls is bounded, and there is an end to their number."""


@frozen(kw_only=True)
class Pulse:
    """Whether a worker is alive; ``silent`` is for how many seconds its slowest loop has given no sign of life."""

    is_alive: bool
    silent: float


class Sweeping(Protocol):
    """What the worker needs of :class:`~workflow_core.sweeper.Sweeper`."""

    def sweep(self) -> SweepReport:
        """One pass."""
        ...

    def sync_in_turn(self, *, caller: Caller) -> SyncReport | None:
        """Sync CODE workflows from the object store; None if another worker does."""
        ...

    def release_leadership(self) -> None:
        """Release the leases of a leader: no further pass comes."""
        ...


class Worker:
    """Sweeps every ``interval`` seconds, counted from start to start; a pass that takes longer delays the next. Syncs CODE workflows
    every ``sync_interval`` seconds (0: never) in a thread of its own, so that a large publication delays no run. A pass under way has
    ``grace`` seconds to end when it is told to stop; each of its calls is bounded more tightly.
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
    def of(cls, sweeper: Sweeping, settings: Settings, watches: Sequence[Instrument]) -> Self:
        """The worker that the settings ask for; ``watches`` are told of each pass."""
        seen = instrumented(sweeper, Sweeping, System.WORKER, watches)
        return cls(
            seen, interval=settings.sweep_interval, sync_interval=settings.sync_interval, grace=settings.shutdown_grace
        )

    def run(self) -> None:
        """Sweep, and sync beside it, until :meth:`stop`. An unexpected error ends the pass, is logged, and the next pass comes as ever."""
        _log.info("Sweeping every %g s", self._interval)
        if self._sync_interval:
            self._begin(self._sync_again_and_again, "sync")
        self._repeat("sweep", self._sweeper.sweep, self._interval)
        try:
            self._sweeper.release_leadership()
        except Unavailable as error:  # the others find out by themselves, later
            _log.warning("%s", error.message)

    def start(self) -> None:
        """Do so in threads of its own."""
        if not self._threads:
            self._begin(self.run, "worker")

    def pulse(self) -> Pulse:
        """Whether its loops go on: each may take its interval and the longest time of a pass between two signs of life."""
        now = time.monotonic()
        beats = list(self._beats.values())
        silent = max((now - at for at, _ in beats), default=0.0)
        return Pulse(is_alive=all(now - at <= most for at, most in beats), silent=silent)

    def ask_to_stop(self) -> None:
        """Begin no other pass. Waits for nothing."""
        if self._stop_by is None:
            self._stop_by = time.monotonic() + self._grace
        self._stop.set()

    def stop(self) -> None:
        """Ask for the end, and wait for a pass under way. Safe to call twice, and before the start.

        A pass that takes longer than its grace is left: whatever it has begun, the next process finds and ends.
        """
        self.ask_to_stop()
        while self._threads:
            thread = self._threads.pop()
            thread.join(max(0.0, (self._stop_by or 0.0) - time.monotonic()))
            if thread.is_alive():
                _log.warning("%s did not end within %g s and is left", thread.name, self._grace)

    def _begin(self, work: Callable[[], None], name: str) -> None:
        thread = Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _sync_again_and_again(self) -> None:
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
            except Exception:  # noqa: BLE001 - whatever it is, the next pass must come
                _log.exception("the pass failed; the next one tries again")
            self._beats[name] = time.monotonic(), interval + LONGEST_PASS[name]
            self._stop.wait(max(0.0, interval - (time.monotonic() - began)))
