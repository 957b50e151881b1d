"""What is recorded is accepted, whatever the database does afterwards: no answer says that nothing was done."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from workflow_core.domain.run import RunStatus
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.fakes.store import Store
from workflow_core.service import WorkflowService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "iceberg.analytics.daily_clicks"
YAML = f"""\
version: v1
name: {NAME}
owner: data@example.com
schedule: {{cron: "0 6 1 1 *"}}
tasks:
  - {{task_id: only, operator: bash, bash_command: "true"}}
"""
DAYS = (date(2020, 1, 1), date(2020, 1, 3))


class LeavingStore(Store):
    """The store of the database in memory, which goes down right after a certain method has written something."""

    down_after: str | None = None

    @contextmanager
    def transaction(self, method: str) -> Iterator[None]:
        with super().transaction(method):
            yield
        if method == self.down_after:
            self.go_down()


@frozen(kw_only=True)
class World:
    """A registered workflow and its service."""

    service: WorkflowService
    database: InMemoryDatabase
    store: LeavingStore
    clock: ManualClock

    def run(self) -> str:
        return self.service.run(NAME).run_id

    def backfill(self) -> str:
        return self.service.backfill(NAME, *DAYS).backfill.backfill_id

    def active(self) -> str:
        """A run that was looked at just now, so that the next look has nothing to record."""
        run = self.run()
        self.service.status(run)
        return run

    def ended(self) -> str:
        run = self.run()
        self.work(10)
        return run

    def work(self, passes: int) -> None:
        for _ in range(passes):
            self.clock.sleep(5)
            self.service.sweep()


@pytest.fixture
def world() -> World:
    clock, storage, store = ManualClock(), InMemoryStorage(), LeavingStore()
    database = InMemoryDatabase(store)
    airflow = InMemoryAirflow(storage=storage, clock=clock, queue_seconds=1, task_seconds=5)
    service = WorkflowService(database=database, airflow=airflow, storage=storage, clock=clock)
    service.register(NAME, YAML)
    service.sweep()
    return World(service=service, database=database, store=store, clock=clock)


OPERATIONS: dict[str, tuple[str, Callable[[World], Any], Callable[[World, Any], Any]]] = {
    "register": (
        "add_workflow",
        lambda _: None,
        lambda world, _: world.service.register("a.b", YAML.replace(NAME, "a.b")),
    ),
    "revise": (
        "revise_workflow",
        lambda _: None,
        lambda world, _: world.service.register(NAME, YAML + "team: x\n", force=True),
    ),
    "run": ("add_run", lambda _: None, lambda world, _: world.service.run(NAME)),
    "stop": ("save_run", World.active, lambda world, run: world.service.stop(run)),
    "retry": ("save_run", World.ended, lambda world, run: world.service.retry(run, only_failed=False)),
    "pause": ("save_workflow", lambda _: None, lambda world, _: world.service.pause(NAME)),
    "unregister": ("retire_workflow", lambda _: None, lambda world, _: world.service.unregister(NAME)),
    "backfill": ("add_backfill", lambda _: None, lambda world, _: world.service.backfill(NAME, *DAYS)),
    "pause_backfill": ("save_backfill", World.backfill, lambda world, it: world.service.pause_backfill(it)),
    "stop_backfill": ("save_backfill", World.backfill, lambda world, it: world.service.stop_backfill(it)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_database_that_goes_down_after_the_commit_undoes_no_answer(world: World, operation: str) -> None:
    """Each operation is answered as accepted if the database went down right after it had recorded the wish."""
    recorded_by, prepare, ask = OPERATIONS[operation]
    given = prepare(world)
    world.store.down_after = recorded_by
    ask(world, given)
    assert world.database.store.is_down


def test_what_was_accepted_then_goes_on_with_the_worker(world: World) -> None:
    """A run whose request could not finish reaches Airflow, once, and ends."""
    world.store.down_after = "add_run"
    run = world.service.run(NAME)
    world.store.down_after = None
    world.database.come_back()
    world.work(6)
    assert world.service.status(run.run_id).run.status is RunStatus.SUCCESS
