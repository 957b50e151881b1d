"""While the circuit breaker of Airflow is open every change that needs Airflow is refused before anything is recorded."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests.support.world import NAME, World, a_spec
from workflow_adapters.airflow.breaker import BreakerRules, CircuitBreaker, Outcome
from workflow_adapters.airflow.bulkhead import Bulkhead
from workflow_adapters.airflow.guarded import CallBudget, guard_airflow
from workflow_core.domain.run import RunStatus
from workflow_core.errors import AirflowUnavailable
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.fakes.store import Store
from workflow_core.ports.airflow import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

YAML = a_spec(schedule='{cron: "0 6 1 1 *"}')

WRITES = ("add_", "save_", "revise_", "retire_", "record_", "acquire", "append", "store_", "purge_")


class WatchedStore(Store):
    """The store of the database in memory, which notes the methods that write."""

    written: list[str]

    @contextmanager
    def transaction(self, method: str) -> Iterator[None]:
        if method.startswith(WRITES):
            self.written.append(method)
        with super().transaction(method):
            yield


class WatchedStorage(InMemoryStorage):
    """The fake, which remembers what was written."""

    written: list[str]

    def put(self, *args: Any, **kwargs: Any) -> str:
        self.written.append("put")
        return super().put(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        self.written.append("delete")
        return super().delete(*args, **kwargs)


@frozen(kw_only=True)
class Outage(World):
    """A registered workflow, a run that goes on, one that has ended and one that was never sent; then the breaker opens."""

    breaker: CircuitBreaker
    active_run: str
    ended_run: str
    waiting_run: str

    def written(self) -> list[str]:
        written: list[str] = self.database.store.written + self.storage.written
        return written


@pytest.fixture
def world() -> Outage:
    clock, storage, store = ManualClock(), WatchedStorage(), WatchedStore()
    database = InMemoryDatabase(store)
    store.written, storage.written = [], []
    fake = InMemoryAirflow(storage=storage, clock=clock, queue_seconds=1, task_seconds=5)
    breaker = CircuitBreaker(BreakerRules(window=1, minimum=1, open_seconds=3600.0))
    airflow = guard_airflow(fake, breaker, CallBudget(bulkhead=Bulkhead(4), seconds=15.0))
    before = World(database=database, airflow=airflow, storage=storage, clock=clock)
    before.register(yaml=YAML)
    before.register(yaml=YAML + "team: x\n", force=True)
    before.sweeper.sweep()
    ended = before.start()
    before.sweep(10, seconds=5)
    assert before.service.status(ended).status is RunStatus.SUCCESS
    active = before.start()
    backfill = before.usecases.backfill(NAME, date(2020, 1, 1), date(2020, 1, 2))
    waiting = backfill.runs[-1].run_id  # its turn comes after the first
    breaker.leave(breaker.enter(), Outcome.FAILURE)
    assert breaker.state is BreakerState.OPEN
    store.written.clear()
    storage.written.clear()
    return Outage(
        database=database,
        airflow=airflow,
        storage=storage,
        clock=clock,
        breaker=breaker,
        active_run=active,
        ended_run=ended,
        waiting_run=waiting,
    )


CHANGES: dict[str, Callable[[Outage], Any]] = {
    "register": lambda world: world.usecases.register("a.b", a_spec("a.b")),
    "revise": lambda world: world.usecases.register(NAME, YAML + "team: y\n", force=True),
    "restore": lambda world: world.usecases.restore(NAME, 1),
    "run": lambda world: world.usecases.run(NAME),
    "backfill": lambda world: world.usecases.backfill(NAME, date(2021, 1, 1), date(2021, 1, 3)),
    "pause": lambda world: world.usecases.pause(NAME),
    "unpause": lambda world: world.usecases.unpause(NAME),
    "stop": lambda world: world.usecases.stop(world.active_run),
    "retry": lambda world: world.usecases.retry(world.ended_run, only_failed=False),
    "unregister": lambda world: world.usecases.unregister(NAME, force=True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_refused_before_anything_is_written(world: Outage, change: str) -> None:
    """Nothing in the database, nothing in the object store; and the error says when to come back."""
    with pytest.raises(AirflowUnavailable) as refused:
        CHANGES[change](world)
    assert world.written() == []
    assert 3590 < (refused.value.retry_after or 0) <= 3600


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_change_would_write_if_it_were_closed(world: Outage, change: str) -> None:
    """So that the test above cannot pass because nothing is noticed."""
    world.breaker._begin(BreakerState.CLOSED)
    CHANGES[change](world)
    assert world.written() != []


def test_what_needs_no_airflow_is_done(world: Outage) -> None:
    """A run that was never sent is stopped, and a backfill paused and stopped, without a request to Airflow."""
    assert world.usecases.stop(world.waiting_run).status is RunStatus.STOPPED
    backfill = world.usecases.status(world.waiting_run).run.backfill_id
    assert backfill is not None
    world.usecases.pause_backfill(backfill)
    world.usecases.stop_backfill(backfill)


def test_what_was_accepted_before_is_sent_when_it_closes(world: Outage) -> None:
    """A run that was recorded is not lost: the worker's calls are the probes, and it sends what waits."""
    assert world.breaker.state is BreakerState.OPEN
    world.sweeper.sweep()
    assert world.usecases.status(world.waiting_run).run.sent_at is None
    world.breaker._begin(BreakerState.HALF_OPEN)
    clock = world.clock
    for _ in range(12):
        clock.sleep(5)
        world.sweeper.sweep()
    assert world.breaker._period.state is BreakerState.CLOSED
    assert world.usecases.status(world.waiting_run).run.status is RunStatus.SUCCESS
