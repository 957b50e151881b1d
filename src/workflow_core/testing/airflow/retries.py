"""Rules for clearing runs, or tasks of them, so that they run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workflow_core.errors import AirflowOutcomeUnknown, AirflowRefused
from workflow_core.ports.airflow import EndState
from workflow_core.testing.airflow.runs import airflow_time, await_end, follow_changes
from workflow_core.testing.airflow.subject import HELD, MIXED, QUICK, AirflowSubject, World, new_id

if TYPE_CHECKING:
    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import AirflowPort


def _await_next_end(port: AirflowPort, world: World, before: AirflowRun) -> AirflowRun:
    """Wait until the run has ended at a different time than before."""
    run = world.eventually(
        lambda: port.run(before.dag_id, before.run_id), lambda run: run and run.ended_at not in {None, before.ended_at}
    )
    assert run is not None
    return run


def _tasks(port: AirflowPort, dag_id: str, run_id: str) -> dict[str, TaskState]:
    return {task.task_id: task for task in port.tasks([(dag_id, run_id)])[dag_id, run_id]}


class RetryRules(AirflowSubject):
    """The run alone proves a clear: it has not ended, or it has ended at a different time than before."""

    def test_a_cleared_run_runs_again(self, port: AirflowPort, world: World) -> None:
        """All its tasks run again under the same run id, with the next try number."""
        run_id = new_id()
        port.trigger(QUICK.dag_id, run_id, conf={"date": "2026-01-01"})
        first = await_end(port, world, QUICK.dag_id, run_id)
        world.behind.pass_time()
        assert port.clear_run(QUICK.dag_id, run_id) is True
        second = _await_next_end(port, world, first)
        assert (second.state, second.conf, second.logical_date) == ("success", first.conf, first.logical_date)
        assert _tasks(port, QUICK.dag_id, run_id)["only"].try_number == 2

    def test_a_cleared_run_has_not_ended(self, port: AirflowPort, world: World) -> None:
        """While its DAG is paused, the run is queued and its tasks have no state; its earlier end has no effect."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        assert port.clear_run(HELD.dag_id, run_id) is True
        run = port.run(HELD.dag_id, run_id)
        assert run is not None
        assert (run.state, run.ended_at) == ("queued", None)
        assert world.behind.runs(HELD.dag_id)[run_id]["state"] == "queued"
        assert _tasks(port, HELD.dag_id, run_id)["only"].state is None

    def test_a_clear_of_some_tasks_keeps_the_others(self, port: AirflowPort, world: World) -> None:
        """The other tasks keep their states, times and try numbers."""
        run_id = new_id()
        port.trigger(MIXED.dag_id, run_id, conf={})
        first = await_end(port, world, MIXED.dag_id, run_id)
        before = _tasks(port, MIXED.dag_id, run_id)
        world.behind.pass_time()
        assert port.clear_run(MIXED.dag_id, run_id, ["bad", "below_bad"]) is True
        assert _await_next_end(port, world, first).state == "failed"
        after = _tasks(port, MIXED.dag_id, run_id)
        kept = ("good", "skipping", "below_skipping")
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert (after["bad"].state, after["bad"].try_number, after["below_bad"].state) == (
            "failed",
            2,
            "upstream_failed",
        )

    def test_a_clear_is_a_change(self, port: AirflowPort, world: World) -> None:
        """The list of changed runs contains a cleared run."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        since = airflow_time(port)
        world.eventually(lambda: airflow_time(port), lambda now: now > since)
        since = airflow_time(port)
        port.clear_run(HELD.dag_id, run_id)
        key = (HELD.dag_id, run_id)
        world.eventually(lambda: follow_changes(port, world, since, {key})[key].state, lambda state: state == "queued")

    @pytest.mark.parametrize("task_ids", [[], ["no_such_task"]])
    def test_a_clear_without_an_existing_task_is_refused(
        self, port: AirflowPort, world: World, task_ids: list[str]
    ) -> None:
        """The run is unchanged, although Airflow itself would report success."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        with pytest.raises(AirflowRefused):
            port.clear_run(HELD.dag_id, run_id, task_ids)
        assert world.behind.runs(HELD.dag_id)[run_id]["state"] == "failed"

    @pytest.mark.parametrize("run_id", ["never_started", "a b", "a/b", "..", "", "x" * 300, "\0"])
    @pytest.mark.usefixtures("world")
    def test_an_unknown_run_is_not_cleared(self, port: AirflowPort, run_id: str) -> None:
        """A run that Airflow does not have is not cleared, even if its id is malformed or its DAG does not exist."""
        assert port.clear_run(HELD.dag_id, run_id) is False
        assert port.clear_run("contract_never_written", run_id) is False

    def test_the_outcome_of_a_clear_without_a_response_is_unknown(
        self, port: AirflowPort, deaf: AirflowPort, world: World
    ) -> None:
        """If the response is lost, the port reports an unknown outcome, and the run is cleared."""
        run_id = new_id()
        world.behind.start_elsewhere(QUICK.dag_id, run_id)
        first = await_end(port, world, QUICK.dag_id, run_id)
        with pytest.raises(AirflowOutcomeUnknown):
            deaf.clear_run(QUICK.dag_id, run_id)
        _await_next_end(port, world, first)
