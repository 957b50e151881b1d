"""A world for tests of runs that are to end: two tasks of five seconds, and a grace after each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.support.world import DAG, NAME, World, a_spec
from workflow_core.domain.run import RunType, Submission
from workflow_core.errors import (
    DagNotFound,
)

if TYPE_CHECKING:
    from workflow_core.domain.run import AirflowRun, Run

GRACE = 15.0


YAML = a_spec(NAME, "first", "second", command="sleep 5")


class Stops(World):
    """A registered workflow; a task takes five seconds."""

    def begin(self, *, running=True):
        """Start a run; by default its first task is running."""
        run = self.usecases.run(NAME)
        if running:
            self.clock.sleep(3)
            seen = self.airflow.run(DAG, run.run_id)
            assert seen is not None
            assert seen.state == "running"
        return run

    def status(self, run):
        return self.run(run.run_id).status

    def settle(self, seconds=GRACE):
        """Time passes, the worker sweeps."""
        self.sweeper.sweep()
        self.clock.sleep(seconds)
        self.sweeper.sweep()


def schedule_fires(world: World) -> None:
    """Make a run that Airflow scheduled."""
    world.airflow.add_run(DAG, "scheduled__1", run_type=RunType.SCHEDULED, triggered_by="scheduler")


def still_running(seen: AirflowRun | None) -> AirflowRun:
    """The run in Airflow, active at any time."""
    assert seen is not None
    return evolve(seen, state="running", ended_at=None)


def waiting(world: World) -> Run:
    """A run that was accepted and certainly is not in Airflow; the workflow is paused, so that it stays so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.airflow, "trigger", raising(DagNotFound(DAG)))
        run: Run = world.usecases.run(NAME)
    world.usecases.pause(NAME)
    assert run.submission is Submission.WAITING
    return run


def raising(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def a_stopping_world(**policy) -> Stops:
    world = Stops.of(task_seconds=5, stop_grace=GRACE, **policy)
    world.register(yaml=YAML)
    return world
