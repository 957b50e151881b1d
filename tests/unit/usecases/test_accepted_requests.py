"""A recorded request is accepted even if the database fails afterwards: no answer claims that nothing was done."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.world import NAME, World, a_spec
from workflow_core.domain.run import RunStatus
from workflow_core.fakes import InMemoryDatabase
from workflow_core.fakes.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

YAML = a_spec(schedule='{cron: "0 6 1 1 *"}')
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


class Accepting(World):
    """A registered workflow whose task takes five seconds."""

    def backfill(self) -> str:
        backfill_id: str = self.usecases.backfill(NAME, *DAYS).backfill.backfill_id
        return backfill_id

    def active(self) -> str:
        """A run that was looked at just now, so that the next look has nothing to record."""
        run = self.start()
        self.usecases.status(run)
        return run

    def ended(self) -> str:
        run = self.start()
        self.sweep(10, seconds=5)
        return run


@pytest.fixture
def world() -> Accepting:
    world = Accepting.of(database=InMemoryDatabase(LeavingStore()), task_seconds=5)
    world.register(yaml=YAML)
    world.sweeper.sweep()
    return world


OPERATIONS: dict[str, tuple[str, Callable[[Accepting], Any], Callable[[Accepting, Any], Any]]] = {
    "register": (
        "add_workflow",
        lambda _: None,
        lambda world, _: world.usecases.register("a.b", a_spec("a.b")),
    ),
    "revise": (
        "revise_workflow",
        lambda _: None,
        lambda world, _: world.usecases.register(NAME, YAML + "team: x\n", force=True),
    ),
    "run": ("add_run", lambda _: None, lambda world, _: world.usecases.run(NAME)),
    "stop": ("save_run", Accepting.active, lambda world, run: world.usecases.stop(run)),
    "retry": ("save_run", Accepting.ended, lambda world, run: world.usecases.retry(run, only_failed=False)),
    "pause": ("save_workflow", lambda _: None, lambda world, _: world.usecases.pause(NAME)),
    "unregister": ("retire_workflow", lambda _: None, lambda world, _: world.usecases.unregister(NAME)),
    "backfill": ("add_backfill", lambda _: None, lambda world, _: world.usecases.backfill(NAME, *DAYS)),
    "pause_backfill": ("save_backfill", Accepting.backfill, lambda world, it: world.usecases.pause_backfill(it)),
    "stop_backfill": ("save_backfill", Accepting.backfill, lambda world, it: world.usecases.stop_backfill(it)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_database_that_goes_down_after_the_commit_undoes_no_answer(world: Accepting, operation: str) -> None:
    """Each operation is answered as accepted if the database went down right after it recorded the request."""
    recorded_by, prepare, ask = OPERATIONS[operation]
    given = prepare(world)
    world.database.store.down_after = recorded_by
    ask(world, given)
    assert world.database.store.is_down


def test_what_was_accepted_then_goes_on_with_the_worker(world: Accepting) -> None:
    """A run whose request could not finish reaches Airflow, once, and ends."""
    world.database.store.down_after = "add_run"
    run = world.usecases.run(NAME)
    world.database.store.down_after = None
    world.database.come_back()
    world.sweep(6, seconds=5)
    assert world.usecases.status(run.run_id).run.status is RunStatus.SUCCESS
