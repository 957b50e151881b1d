"""Rules for setting runs to an end state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workflow_core.domain.run import AirflowRun
from workflow_core.errors import AirflowOutcomeUnknown
from workflow_core.ports.airflow import EndState
from workflow_core.testing.airflow.runs import airflow_time, await_end, follow_changes
from workflow_core.testing.airflow.subject import HELD, LASTING, QUICK, AirflowSubject, World, new_id
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.ports.airflow import AirflowPort


def _states(port: AirflowPort, dag_id: str, run_id: str) -> dict[str, str | None]:
    return {task.task_id: task.state for task in port.tasks([(dag_id, run_id)])[dag_id, run_id]}


class StopRules(AirflowSubject):
    """Airflow sets the run to the requested state and returns the result."""

    @pytest.mark.parametrize("state", EndState)
    def test_a_queued_run_ends_in_the_requested_state(self, port: AirflowPort, world: World, state: EndState) -> None:
        """A run that has not started ends at once in the requested state, and none of its tasks remains to run."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={"date": "2026-01-01"})
        run = port.end_run(HELD.dag_id, run_id, state)
        assert run is not None
        assert (run.dag_id, run.run_id, run.conf) == (HELD.dag_id, run_id, {"date": "2026-01-01"})
        assert (run.state, run.started_at, run.ended_at is not None) == (state.value, None, True)
        assert world.behind.runs(HELD.dag_id)[run_id]["state"] == state.value
        assert port.run(HELD.dag_id, run_id) == run
        assert set(_states(port, HELD.dag_id, run_id).values()) <= {"skipped", state.value}

    def test_tasks_end_with_a_failed_run(self, port: AirflowPort, world: World) -> None:
        """The running task becomes failed, the later task skipped, the ended task is unchanged; each has an end."""
        run_id = new_id()
        port.trigger(LASTING.dag_id, run_id, conf={})
        world.eventually(lambda: world.behind.has_begun(LASTING.dag_id, run_id, "lasting"), bool)
        run = port.end_run(LASTING.dag_id, run_id, EndState.FAILED)
        assert run is not None
        assert run.state == "failed"
        assert _states(port, LASTING.dag_id, run_id) == {"before": "success", "lasting": "failed", "later": "skipped"}
        tasks = port.tasks([(LASTING.dag_id, run_id)])[LASTING.dag_id, run_id]
        assert all(task.ended_at is not None for task in tasks)
        assert world.behind.runs(LASTING.dag_id)[run_id]["state"] == "failed"

    def test_an_ended_run_changes_its_end_state(self, port: AirflowPort, world: World) -> None:
        """A successful run can become failed and a failed run successful; the time of its end is unchanged."""
        run_id = new_id()
        port.trigger(QUICK.dag_id, run_id, conf={})
        first = await_end(port, world, QUICK.dag_id, run_id)
        for state in (EndState.FAILED, EndState.SUCCESS):
            run = port.end_run(QUICK.dag_id, run_id, state)
            assert run is not None
            assert (run.state, run.ended_at) == (state.value, first.ended_at)
            assert world.behind.runs(QUICK.dag_id)[run_id]["state"] == state.value
            assert _states(port, QUICK.dag_id, run_id) == {"only": "success"}

    def test_a_repeated_end_changes_nothing(self, port: AirflowPort, world: World) -> None:
        """Repeated and concurrent calls return the same run with the same end."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        first = port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        world.behind.pass_time()
        repeats = together([lambda: port.end_run(HELD.dag_id, run_id, EndState.FAILED)] * 4)
        assert {(run.state, run.ended_at) for run in repeats if isinstance(run, AirflowRun)} == {
            ("failed", first and first.ended_at)
        }
        assert all(isinstance(run, AirflowRun) for run in repeats)

    def test_an_end_is_a_change(self, port: AirflowPort, world: World) -> None:
        """The list of changed runs contains a run that was set to an end state."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        since = airflow_time(port)
        world.eventually(lambda: airflow_time(port), lambda now: now > since)
        since = airflow_time(port)
        port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        key = (HELD.dag_id, run_id)
        world.eventually(lambda: follow_changes(port, world, since, {key})[key].state, lambda state: state == "failed")

    @pytest.mark.parametrize("run_id", ["never_started", "a b", "a/b", "..", "", "x" * 300, "\0"])
    @pytest.mark.usefixtures("world")
    def test_an_unknown_run_cannot_be_ended(self, port: AirflowPort, run_id: str) -> None:
        """The result for a run that Airflow does not have is None, even if its id is malformed or its DAG does not exist."""
        assert port.end_run(HELD.dag_id, run_id, EndState.FAILED) is None
        assert port.end_run("contract_never_written", run_id, EndState.FAILED) is None

    def test_the_outcome_of_an_end_without_a_response_is_unknown(
        self, port: AirflowPort, deaf: AirflowPort, world: World
    ) -> None:
        """If the response is lost, the port reports an unknown outcome, and the run has ended."""
        run_id = new_id()
        world.behind.start_elsewhere(HELD.dag_id, run_id)
        with pytest.raises(AirflowOutcomeUnknown):
            deaf.end_run(HELD.dag_id, run_id, EndState.FAILED)
        world.eventually(lambda: port.run(HELD.dag_id, run_id), lambda run: run is not None and run.state == "failed")
