from __future__ import annotations

import logging
from threading import Event, Thread

from entrypoints.worker import Worker
from workflow_core.usecases.sweep import SweepReport


class Sweeping:
    """A service whose sweeps are counted; the first may fail."""

    def __init__(self, *, fail_first: bool = False) -> None:
        self.count = 0
        self.swept_twice = Event()
        self._fail = fail_first

    def sweep(self) -> SweepReport:
        self.count += 1
        if self.count == 2:
            self.swept_twice.set()
        if self._fail and self.count == 1:
            raise RuntimeError("boom")
        return SweepReport()


def test_it_sweeps_again_and_again_until_it_is_stopped():
    """Two passes come by themselves, and stopping ends the thread."""
    service = Sweeping()
    worker = Worker(service, interval=0.01)
    worker.start()
    assert service.swept_twice.wait(10)
    worker.stop()
    assert worker._thread is None


def test_an_unexpected_error_is_logged_and_the_next_pass_comes(caplog):
    """One bad pass does not end the worker."""
    service = Sweeping(fail_first=True)
    worker = Worker(service, interval=0.01)
    with caplog.at_level(logging.ERROR):
        worker.start()
        assert service.swept_twice.wait(10)
        worker.stop()
    assert "boom" in caplog.text


def test_stopping_does_not_wait_for_the_interval():
    """A worker that sleeps for an hour ends at once."""
    service = Sweeping()
    worker = Worker(service, interval=3600)
    thread = Thread(target=worker.run)
    thread.start()
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_stopping_twice_or_before_the_start_is_harmless():
    """Shutdown hooks may run in any order."""
    worker = Worker(Sweeping(), interval=1)
    worker.stop()
    worker.stop()
