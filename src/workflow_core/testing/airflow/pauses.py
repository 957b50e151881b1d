"""Rules for the runs of paused DAGs, and for the number of active runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.ports.airflow import EndState
from workflow_core.testing.airflow.runs import await_end
from workflow_core.testing.airflow.subject import HELD, AirflowSubject, DagSeed, TaskSeed, World, new_id

if TYPE_CHECKING:
    from workflow_core.ports.airflow import AirflowPort

NOT_STARTED: Final = {None, "scheduled"}
"""The states of a task that waits for the unpause. Airflow 2.11 schedules the next task as soon as one ends, but does not queue it."""

POLLS: Final = 15
"""The number of polls, 0.2 s apart, within which Airflow would start the next task of a run: the scheduler loops every second."""


def _run_paused_between_tasks(port: AirflowPort, world: World) -> tuple[str, str]:
    """Start a run of two tasks, pause its DAG during the first one, and wait for the end of that task."""
    first = TaskSeed(task_id="first", seconds=2)
    seed = DagSeed(dag_id=new_id("contract"), paused=False, tasks=(first, TaskSeed(task_id="second", after=("first",))))
    key = (seed.dag_id, new_id())
    world.behind.serve(seed)
    port.trigger(*key, conf={})
    world.eventually(lambda: world.behind.has_begun(*key, "first"), bool)
    port.set_paused(seed.dag_id, paused=True)
    world.eventually(lambda: _states(port, key)["first"], lambda state: state == "success")
    return key


def _states(port: AirflowPort, key: tuple[str, str]) -> dict[str, str | None]:
    return {task.task_id: task.state for task in port.tasks([key])[key]}


class PauseRules(AirflowSubject):
    """A paused DAG starts no run, and no further task of a run."""

    def test_a_run_of_a_paused_dag_continues_after_the_unpause(self, port: AirflowPort, world: World) -> None:
        """The started task runs to its end; the next task waits, and the run stays running, until the DAG is unpaused."""
        key = _run_paused_between_tasks(port, world)
        for _ in range(POLLS):
            world.behind.pass_time()
            run = port.run(*key)
            assert run is not None
            assert (run.state, _states(port, key)["second"] in NOT_STARTED) == ("running", True)
        assert port.runs_under_way(key[0]) == 1
        port.set_paused(key[0], paused=False)
        assert await_end(port, world, *key).state == "success"
        assert _states(port, key) == {"first": "success", "second": "success"}

    def test_a_run_of_a_paused_dag_can_be_ended(self, port: AirflowPort, world: World) -> None:
        """A run that waits for the unpause can be set to an end state; its remaining tasks are skipped."""
        key = _run_paused_between_tasks(port, world)

        def end() -> dict[str, str | None]:
            # Airflow 2.11 may schedule the next task during the call; the worker also repeats the call
            run = port.end_run(*key, EndState.FAILED)
            assert run is not None
            assert (run.state, world.behind.runs(key[0])[key[1]]["state"]) == ("failed", "failed")
            return _states(port, key)

        world.eventually(end, lambda states: states == {"first": "success", "second": "skipped"})
        assert port.runs_under_way(key[0]) == 0

    def test_active_runs_are_counted(self, port: AirflowPort, world: World) -> None:
        """The number includes queued runs started outside the service, and excludes ended runs and runs of other DAGs."""
        seed, ended_run = DagSeed(dag_id=new_id("contract")), new_id()
        world.behind.serve(seed)
        assert port.runs_under_way(seed.dag_id) == 0
        port.trigger(seed.dag_id, ended_run, conf={})
        port.trigger(HELD.dag_id, new_id(), conf={})
        world.behind.start_elsewhere(seed.dag_id, new_id())
        assert port.runs_under_way(seed.dag_id) == 2
        port.end_run(seed.dag_id, ended_run, EndState.SUCCESS)
        assert port.runs_under_way(seed.dag_id) == 1

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "a/b", "..", "~", ""])
    @pytest.mark.usefixtures("world")
    def test_an_unknown_dag_has_no_active_runs(self, port: AirflowPort, dag_id: str) -> None:
        """The number is 0 for a DAG that Airflow does not have, even if the id is malformed or a wildcard."""
        assert port.runs_under_way(dag_id) == 0
