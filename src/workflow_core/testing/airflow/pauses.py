"""What a paused DAG does to its runs, and which runs are under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.ports.airflow import EndState
from workflow_core.testing.airflow.runs import ended
from workflow_core.testing.airflow.subject import HELD, AirflowSubject, DagSeed, TaskSeed, World, new_id

if TYPE_CHECKING:
    from workflow_core.ports.airflow import AirflowPort

NOT_STARTED: Final = {None, "scheduled"}
"""The states of a task that waits for the unpause. Airflow 2.11 schedules the next task as soon as one ends, and never queues it."""

LOOKS: Final = 15
"""Looks, 0.2 s apart, in which an Airflow that went on with a run would have started its next task: the scheduler loops every second."""


def _paused_in_between(port: AirflowPort, world: World) -> tuple[str, str]:
    """A run of two tasks whose DAG was paused during the first one, which has ended."""
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
    """A paused DAG starts nothing: no run, and no further task of a run."""

    def test_a_run_of_a_paused_dag_goes_on_with_the_unpause(self, port: AirflowPort, world: World) -> None:
        """The task that had started ends; the next one waits, and the run is running, until the DAG is unpaused."""
        key = _paused_in_between(port, world)
        for _ in range(LOOKS):
            world.behind.pass_time()
            run = port.run(*key)
            assert run is not None
            assert (run.state, _states(port, key)["second"] in NOT_STARTED) == ("running", True)
        assert port.runs_under_way(key[0]) == 1
        port.set_paused(key[0], paused=False)
        assert ended(port, world, *key).state == "success"
        assert _states(port, key) == {"first": "success", "second": "success"}

    def test_a_run_of_a_paused_dag_is_ended(self, port: AirflowPort, world: World) -> None:
        """A run that waits for the unpause ends when it is told to; what had not started is skipped."""
        key = _paused_in_between(port, world)

        def end() -> dict[str, str | None]:
            # Airflow 2.11 may schedule the next task while it is told: the worker tells it again, too
            run = port.end_run(*key, EndState.FAILED)
            assert run is not None
            assert (run.state, world.behind.runs(key[0])[key[1]]["state"]) == ("failed", "failed")
            return _states(port, key)

        world.eventually(end, lambda states: states == {"first": "success", "second": "skipped"})
        assert port.runs_under_way(key[0]) == 0

    def test_runs_under_way_are_counted(self, port: AirflowPort, world: World) -> None:
        """Queued ones, whoever started them; neither those that have ended nor those of other DAGs."""
        seed, ends = DagSeed(dag_id=new_id("contract")), new_id()
        world.behind.serve(seed)
        assert port.runs_under_way(seed.dag_id) == 0
        port.trigger(seed.dag_id, ends, conf={})
        port.trigger(HELD.dag_id, new_id(), conf={})
        world.behind.start_elsewhere(seed.dag_id, new_id())
        assert port.runs_under_way(seed.dag_id) == 2
        port.end_run(seed.dag_id, ends, EndState.SUCCESS)
        assert port.runs_under_way(seed.dag_id) == 1

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "a/b", "..", "~", ""])
    @pytest.mark.usefixtures("world")
    def test_no_run_of_an_unknown_dag_is_under_way(self, port: AirflowPort, dag_id: str) -> None:
        """Of what Airflow does not have nothing runs, even under an id that no DAG can have, or that stands for all of them."""
        assert port.runs_under_way(dag_id) == 0
