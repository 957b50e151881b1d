from __future__ import annotations

import logging
import signal
import subprocess
import sys
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.paths import PYTHONPATH
from workflow_core.domain.code import SyncReport
from workflow_core.errors import StorageUnavailable
from workflow_core.usecases.reconcile.sweep import SweepReport
from workflow_entrypoints.worker import Worker

if TYPE_CHECKING:
    from workflow_core.domain.caller import Caller


class Sweeping:
    """A service whose sweeps are counted; the first may fail."""

    def __init__(self, *, fail_first: bool = False) -> None:
        self.count = 0
        self.released_at: int | None = None
        self.swept_twice = Event()
        self.callers: list[str] = []
        self.synced_twice = Event()
        self._fail = fail_first

    def release_leadership(self) -> None:
        self.released_at = self.count

    def sweep(self) -> SweepReport:
        self.count += 1
        if self.count == 2:
            self.swept_twice.set()
        if self._fail and self.count == 1:
            raise RuntimeError("boom")
        return SweepReport()

    def sync_in_turn(self, *, caller: Caller) -> SyncReport:
        self.callers.append(caller.name)
        if len(self.callers) == 2:
            self.synced_twice.set()
        if self._fail and len(self.callers) == 1:
            raise StorageUnavailable("the store is away")
        empty: Any = ()
        return SyncReport(
            added=empty, changed=empty, removed=empty, overridden=empty, restored=empty, failed=empty, guarded=empty, unchanged=0,
            dry_run=False,
        )  # fmt: skip


def test_the_worker_sweeps_repeatedly_until_it_is_stopped():
    """Two sweeps happen automatically, and stopping ends the thread."""
    service = Sweeping()
    worker = Worker(service, interval=0.01)
    worker.start()
    assert service.swept_twice.wait(10)
    worker.stop()
    assert worker._threads == []
    assert service.released_at == service.count


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


def test_no_pass_begins_after_the_worker_was_asked_to_stop():
    """Asking does not wait for the pass under way, which ends as ever."""
    worker: Worker
    ended = Event()

    class Asked(Sweeping):
        def sweep(self) -> SweepReport:
            worker.ask_to_stop()
            ended.set()
            return super().sweep()

    service = Asked()
    worker = Worker(service, interval=0)
    worker.start()
    assert ended.wait(10)
    worker.stop()
    assert service.count == 1


def test_a_pass_that_takes_longer_than_its_grace_is_left(caplog):
    """The process ends in bounded time, and says what it did not wait for."""
    over = Event()

    class Endless(Sweeping):
        def sweep(self) -> SweepReport:
            self.swept_twice.set()
            over.wait(30)
            return super().sweep()

    service = Endless()
    worker = Worker(service, interval=1, grace=0.05)
    worker.start()
    assert service.swept_twice.wait(10)
    with caplog.at_level(logging.WARNING):
        worker.stop()
    over.set()
    assert "worker did not end within 0.05 s" in caplog.text


PROGRAM = """
import sys, time
from workflow_entrypoints.cli.main import main
from workflow_core.sweeper import Sweeper

def sweep(self):
    print("begun", flush=True)
    time.sleep(0.5)
    print("ended", flush=True)

Sweeper.sweep = sweep
sys.argv = ["dli", "worker"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_with_the_pass_that_is_under_way(number):
    """``dli worker`` finishes it, begins no other, and ends with exit code 0."""
    environment = {
        "WORKFLOWS_DATABASE_URL": "memory://", "WORKFLOWS_STORAGE_URL": "memory://", "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_SWEEP_INTERVAL": "0.01", "PYTHONPATH": PYTHONPATH,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        rest, log = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert (rest, process.returncode) == ("ended\n", 0), log
    assert "Traceback" not in log


def test_stopping_twice_or_before_the_start_is_harmless():
    """Shutdown hooks may run in any order."""
    worker = Worker(Sweeping(), interval=1)
    worker.stop()
    worker.stop()


def test_it_syncs_beside_its_sweeps(caplog):
    """The sync has a separate timer and caller; an unavailable store ends one sync with a log line, and the next one follows."""
    service = Sweeping(fail_first=True)
    worker = Worker(service, interval=3600, sync_interval=0.01)
    with caplog.at_level(logging.WARNING):
        worker.start()
        assert service.synced_twice.wait(10)
        worker.stop()
    assert set(service.callers) == {"sync"}
    assert "the store is away; the next pass tries again" in caplog.text


def test_it_does_not_sync_where_it_is_told_not_to():
    """An interval of 0 is never."""
    service = Sweeping()
    worker = Worker(service, interval=0.01, sync_interval=0)
    worker.start()
    assert service.swept_twice.wait(10)
    worker.stop()
    assert service.callers == []
