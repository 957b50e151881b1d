"""Having runs, or tasks of them, run again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workflow_core.errors import AirflowOutcomeUnknown, AirflowRefused
from workflow_core.ports.airflow import EndState
from workflow_core.testing.airflow.runs import ended, followed, now_of
from workflow_core.testing.airflow.subject import HELD, MIXED, QUICK, AirflowSubject, World, new_id

if TYPE_CHECKING:
    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import AirflowPort


def _ended_again(port: AirflowPort, world: World, before: AirflowRun) -> AirflowRun:
    """The run once it has ended at another moment than before."""
    run = world.eventually(
        lambda: port.run(before.dag_id, before.run_id), lambda run: run and run.ended_at not in {None, before.ended_at}
    )
    assert run is not None
    return run


def _tasks(port: AirflowPort, dag_id: str, run_id: str) -> dict[str, TaskState]:
    return {task.task_id: task for task in port.tasks([(dag_id, run_id)])[dag_id, run_id]}


class RetryRules(AirflowSubject):
    """A clear is proven by the run alone: it has not ended, or it has ended at another moment than before."""

    def test_a_run_that_ended_runs_again(self, port: AirflowPort, world: World) -> None:
        """All of it, under its id; its tasks have been tried once more."""
        run_id = new_id()
        port.trigger(QUICK.dag_id, run_id, conf={"date": "2026-01-01"})
        first = ended(port, world, QUICK.dag_id, run_id)
        world.behind.pass_time()
        assert port.clear_run(QUICK.dag_id, run_id) is True
        again = _ended_again(port, world, first)
        assert (again.state, again.conf, again.logical_date) == ("success", first.conf, first.logical_date)
        assert _tasks(port, QUICK.dag_id, run_id)["only"].try_number == 2

    def test_a_cleared_run_has_not_ended(self, port: AirflowPort, world: World) -> None:
        """Of a paused DAG it waits, its tasks untouched; it was told to end before, and that is forgotten."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        assert port.clear_run(HELD.dag_id, run_id) is True
        run = port.run(HELD.dag_id, run_id)
        assert run is not None
        assert (run.state, run.ended_at) == ("queued", None)
        assert world.behind.runs(HELD.dag_id)[run_id]["state"] == "queued"
        assert _tasks(port, HELD.dag_id, run_id)["only"].state is None

    def test_only_the_tasks_that_were_named_run_again(self, port: AirflowPort, world: World) -> None:
        """The others keep their results, their times and the number of their tries."""
        run_id = new_id()
        port.trigger(MIXED.dag_id, run_id, conf={})
        first = ended(port, world, MIXED.dag_id, run_id)
        before = _tasks(port, MIXED.dag_id, run_id)
        world.behind.pass_time()
        assert port.clear_run(MIXED.dag_id, run_id, ["bad", "below_bad"]) is True
        assert _ended_again(port, world, first).state == "failed"
        after = _tasks(port, MIXED.dag_id, run_id)
        kept = ("good", "skipping", "below_skipping")
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
        assert (after["bad"].state, after["bad"].try_number, after["below_bad"].state) == (
            "failed",
            2,
            "upstream_failed",
        )

    def test_a_clear_is_told_as_a_change(self, port: AirflowPort, world: World) -> None:
        """Who follows changes learns of it."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        since = now_of(port)
        world.eventually(lambda: now_of(port), lambda now: now > since)
        since = now_of(port)
        port.clear_run(HELD.dag_id, run_id)
        key = (HELD.dag_id, run_id)
        world.eventually(lambda: followed(port, world, since, {key})[key].state, lambda state: state == "queued")

    @pytest.mark.parametrize("task_ids", [[], ["no_such_task"]])
    def test_without_a_task_nothing_is_cleared(self, port: AirflowPort, world: World, task_ids: list[str]) -> None:
        """Airflow would do nothing, and say that all is well; the run stays as it was."""
        run_id = new_id()
        port.trigger(HELD.dag_id, run_id, conf={})
        port.end_run(HELD.dag_id, run_id, EndState.FAILED)
        with pytest.raises(AirflowRefused):
            port.clear_run(HELD.dag_id, run_id, task_ids)
        assert world.behind.runs(HELD.dag_id)[run_id]["state"] == "failed"

    @pytest.mark.parametrize("run_id", ["never_started", "a b", "a/b", "..", "", "x" * 300, "\0"])
    @pytest.mark.usefixtures("world")
    def test_an_unknown_run_is_not_cleared(self, port: AirflowPort, run_id: str) -> None:
        """What Airflow does not have cannot run again, even under an id that no run can have, or of a DAG that there is not."""
        assert port.clear_run(HELD.dag_id, run_id) is False
        assert port.clear_run("contract_never_written", run_id) is False

    def test_a_clear_whose_answer_was_lost_is_unknown(self, port: AirflowPort, deaf: AirflowPort, world: World) -> None:
        """A lost answer is "unknown", and the run is cleared."""
        run_id = new_id()
        world.behind.start_elsewhere(QUICK.dag_id, run_id)
        first = ended(port, world, QUICK.dag_id, run_id)
        with pytest.raises(AirflowOutcomeUnknown):
            deaf.clear_run(QUICK.dag_id, run_id)
        _ended_again(port, world, first)
