"""Retries over the fakes: each request takes effect once, even if calls or answers are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from tests.support.world import DAG, ME, NAME, World, a_spec
from workflow_core.domain.run import DELETED, NOT_RETRIED, RunStatus, RunType, Submission
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import (
    AirflowRefused,
    AirflowUnavailable,
    ConcurrentUpdate,
    DatabaseUnavailable,
    InvalidRequest,
    RunNotActive,
    RunNotRetryable,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)
from workflow_core.fakes import InMemoryAirflow
from workflow_core.fakes.airflow import Effect
from workflow_core.testing.together import together
from workflow_core.usecases.config import ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Callable

YAML = a_spec(NAME, "first", "second", "third")


class Airflow(InMemoryAirflow):
    """The fake, which counts how often a run was cleared in it."""

    clears = 0

    def _clear(self, *given):
        super()._clear(*given)
        self.clears += 1


class Retries(World):
    """A registered workflow of three tasks."""

    def failed(self, task: str = "second") -> str:
        return super().failed(task)

    def tries(self, run_id):
        return {task.task_id: task.try_number for task in self.airflow.tasks([(DAG, run_id)])[DAG, run_id]}


@pytest.fixture
def world():
    world = Retries.of(airflow=Airflow)
    world.register(yaml=YAML)
    return world


class TestRetry:
    def test_what_failed_runs_again(self, world):
        """Under the same id, from the failed task on; who wanted it is kept."""
        run_id = world.failed()
        assert world.run(run_id).status is RunStatus.FAILED
        run = world.usecases.retry(run_id, caller=ME)
        assert (run.run_id, run.status, run.ended_at, run.submission) == (
            run_id,
            RunStatus.PENDING,
            None,
            Submission.SUBMITTED,
        )
        assert (run.retry.by, run.retry.at, run.retry.number) == (ME.name, world.clock.now(), 1)
        world.later()
        assert world.run(run_id).status is RunStatus.SUCCESS
        assert world.tries(run_id) == {"first": 1, "second": 2, "third": 1}

    def test_all_of_it_runs_again(self, world):
        """A successful run is retried if all tasks are requested."""
        run_id = world.ended()
        before = world.run(run_id).ended_at
        world.usecases.retry(run_id, only_failed=False)
        world.later()
        found = world.run(run_id)
        assert (found.status, found.ended_at > before) == (RunStatus.SUCCESS, True)
        assert world.tries(run_id) == {"first": 2, "second": 2, "third": 2}

    def test_what_a_stop_kept_from_running_runs(self, world):
        """Airflow calls it skipped; nothing more is said of the stop."""
        run_id = world.usecases.run(NAME).run_id
        world.clock.sleep(2.5)
        world.usecases.stop(run_id, "enough")
        world.later()
        world.later()
        assert world.run(run_id).status is RunStatus.STOPPED
        run = world.usecases.retry(run_id)
        assert (run.stop, run.reason) == (None, None)
        world.later()
        assert world.run(run_id).status is RunStatus.SUCCESS
        assert world.tries(run_id) == {"first": 1, "second": 2, "third": 1}

    def test_progress_begins_where_it_was(self, world):
        """Tasks that keep their results are counted from the first moment."""
        run_id = world.failed()
        world.airflow.lose_answers(Effect.NOT_DONE)
        progress = world.usecases.retry(run_id).progress
        assert (progress.total_tasks, progress.completed_tasks, progress.failed_tasks) == (3, 1, 0)

    def test_it_can_run_again_and_again(self, world):
        """Each retry has its number."""
        run_id = world.failed()
        for number in (1, 2):
            assert world.usecases.retry(run_id, only_failed=False).retry.number == number
            world.later()
        assert world.airflow.clears == 2

    def test_a_run_that_airflow_made(self, world):
        """Under Airflow's own id."""
        world.airflow.end_task(DAG, "first", "failed")
        world.airflow.add_run(DAG, "scheduled__x", run_type=RunType.SCHEDULED, triggered_by="scheduler")
        world.later()
        [run] = world.database.workflows.last_runs([NAME]).values()
        world.airflow.end_task(DAG, "first", "success")
        world.usecases.retry(run.run_id)
        world.later()
        assert world.run(run.run_id).status is RunStatus.SUCCESS


class TestOnce:
    @pytest.mark.parametrize("effect", Effect)
    def test_a_lost_answer_is_not_repeated_blindly(self, world, effect):
        """While a request may still arrive, the worker only polls; afterwards it clears only tasks that were not cleared."""
        run_id = world.failed()
        world.airflow.lose_answers(effect)
        assert world.usecases.retry(run_id).status is RunStatus.PENDING
        before = world.airflow.clears
        world.later(30)
        assert world.airflow.clears == before
        assert world.run(run_id).status is (RunStatus.SUCCESS if effect is Effect.DONE else RunStatus.PENDING)
        world.later(ServiceConfig().in_flight_limit.total_seconds())
        world.later()
        assert (world.airflow.clears, world.run(run_id).status) == (1, RunStatus.SUCCESS)

    def test_a_death_after_the_request(self, world, monkeypatch):
        """What was seen to be done is not done again."""
        run_id = world.failed()
        with monkeypatch.context() as patch:
            patch.setattr("workflow_core.usecases.reconcile.retry.poll", _die)
            with pytest.raises(SystemExit):
                world.usecases.retry(run_id)
        assert world.run(run_id).submission is Submission.RETRYING
        world.later(1)
        assert (world.airflow.clears, world.run(run_id).submission) == (1, Submission.SUBMITTED)

    def test_a_death_before_the_request(self, world, monkeypatch):
        """What was accepted is done by the worker."""
        run_id = world.failed()
        with monkeypatch.context() as patch:
            patch.setattr("workflow_core.usecases.reconcile.retry.apply_retry", _die)
            with pytest.raises(SystemExit):
                world.usecases.retry(run_id)
        world.later(1)
        assert (world.airflow.clears, world.run(run_id).submission) == (1, Submission.SUBMITTED)

    def test_many_at_once_are_one(self, world):
        """Of eight concurrent requests one retries the run; the others get RunNotRetryable."""
        run_id = world.failed()
        found = together([lambda: world.usecases.retry(run_id)] * 8)
        assert sum(not isinstance(one, Exception) for one in found) == 1
        assert {type(one) for one in found if isinstance(one, Exception)} == {RunNotRetryable}
        assert world.airflow.clears == 1

    def test_airflow_goes_away_in_between(self, world, monkeypatch):
        """A request that certainly did not arrive is sent by the worker as soon as Airflow is back."""
        run_id = world.failed()
        with monkeypatch.context() as patch:
            patch.setattr(world.airflow, "clear_run", _raises(AirflowUnavailable("away")))
            run = world.usecases.retry(run_id)
        assert (run.status, run.submission, run.sent_at) == (RunStatus.PENDING, Submission.RETRYING, None)
        world.later(1)
        assert (world.airflow.clears, world.run(run_id).submission) == (1, Submission.SUBMITTED)

    def test_somebody_else_goes_on(self, world, monkeypatch):
        """A worker that was faster is no error."""
        run_id = world.failed()
        for module in ("retry", "sweep"):
            monkeypatch.setattr(
                f"workflow_core.usecases.reconcile.{module}.apply_retry", _raises(ConcurrentUpdate("run"))
            )
        assert world.usecases.retry(run_id).status is RunStatus.PENDING
        assert world.sweeper.sweep().runs_retried == 0

    def test_what_airflow_refuses_is_given_up(self, world, monkeypatch):
        """It has its old result again, and says why."""
        run_id = world.failed()
        monkeypatch.setattr(world.airflow, "clear_run", _raises(AirflowRefused("no such task")))
        run = world.usecases.retry(run_id)
        assert (run.status, run.submission, run.reason) == (RunStatus.FAILED, Submission.SUBMITTED, "no such task")

    def test_deleted_in_between(self, world, monkeypatch):
        """It has ended, for good."""
        run_id = world.failed()
        with monkeypatch.context() as patch:
            patch.setattr(world.airflow, "clear_run", _raises(AirflowUnavailable("away")))
            world.usecases.retry(run_id)
        world.airflow.remove_run(DAG, run_id)
        world.later(1)
        assert (world.run(run_id).status, world.run(run_id).reason) == (RunStatus.FAILED, DELETED)

    def test_the_mirror_does_not_take_the_old_end_for_the_new_one(self, world, monkeypatch):
        """A retry that was not yet sent to Airflow is PENDING in every answer."""
        run_id = world.failed()
        monkeypatch.setattr(world.airflow, "clear_run", _raises(AirflowUnavailable("away")))
        world.usecases.retry(run_id)
        world.clock.sleep(1)
        world.sweeper.sweep()
        assert world.usecases.status(run_id).run.status is RunStatus.PENDING


class TestStopped:
    def test_before_airflow_was_told(self, world, monkeypatch):
        """It never runs again, and keeps its result."""
        run_id = world.failed()
        monkeypatch.setattr(world.airflow, "clear_run", _raises(AirflowUnavailable("away")))
        world.usecases.retry(run_id)
        with pytest.raises(RunNotActive):
            world.usecases.stop(run_id)
        monkeypatch.undo()
        world.later()
        found = world.run(run_id)
        assert (found.status, found.reason, world.airflow.clears) == (RunStatus.FAILED, NOT_RETRIED, 0)

    def test_while_the_request_may_arrive(self, world):
        """It is STOPPING until that is over; if it arrives, the run is stopped."""
        run_id = world.failed()
        world.airflow.lose_answers(Effect.NOT_DONE)
        world.usecases.retry(run_id)
        assert world.usecases.stop(run_id).status is RunStatus.STOPPING
        world.airflow.clear_run(DAG, run_id)
        world.later(1)
        world.later()
        world.later()
        assert (world.run(run_id).status, world.airflow.run(DAG, run_id).state) == (RunStatus.STOPPED, "failed")

    def test_a_request_that_never_arrives(self, world):
        """When it no longer can, the run has its old result."""
        run_id = world.failed()
        world.airflow.lose_answers(Effect.NOT_DONE)
        world.usecases.retry(run_id)
        world.usecases.stop(run_id)
        world.later(ServiceConfig().in_flight_limit.total_seconds())
        assert (world.run(run_id).status, world.airflow.clears) == (RunStatus.FAILED, 0)


class TestRefused:
    def test_a_run_that_has_not_ended(self, world):
        """It runs: 409."""
        run_id = world.usecases.run(NAME).run_id
        with pytest.raises(RunNotRetryable, match="it has not ended"):
            world.usecases.retry(run_id)

    def test_a_run_that_somebody_has_cleared(self, world):
        """It runs again already, though we have not seen it yet."""
        run_id = world.failed()
        world.airflow.clear_run(DAG, run_id)
        with pytest.raises(RunNotRetryable, match="is already running again"):
            world.usecases.retry(run_id)

    def test_a_success_of_which_nothing_failed(self, world):
        """All of it would have to be asked for."""
        with pytest.raises(RunNotRetryable, match="none of its tasks has failed"):
            world.usecases.retry(world.ended())

    def test_a_run_that_airflow_does_not_have(self, world):
        """Deleted there: a new one is to be started."""
        run_id = world.failed()
        world.airflow.remove_run(DAG, run_id)
        with pytest.raises(RunNotRetryable, match="Airflow does not have it"):
            world.usecases.retry(run_id)

    def test_a_paused_workflow(self, world):
        """It would hang in Airflow."""
        run_id = world.failed()
        world.usecases.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.usecases.retry(run_id)

    def test_a_workflow_that_cannot_be_built(self, world):
        """The answer contains the reason."""
        run_id = world.failed()
        workflow = world.database.workflows.workflow(NAME)
        world.database.workflows.save_workflow(workflow.failed("no such operator", world.clock.now()))
        with pytest.raises(WorkflowNotRunnable, match="no such operator"):
            world.usecases.retry(run_id)

    def test_a_workflow_that_is_gone_or_new(self, world):
        """A run belongs to the workflow that it was made for, not to the name."""
        run_id = world.failed()
        world.usecases.unregister(NAME)
        with pytest.raises(WorkflowNotFound):
            world.usecases.retry(run_id)
        world.usecases.register(NAME, YAML, caller=ME)
        with pytest.raises(WorkflowNotFound):
            world.usecases.retry(run_id)

    def test_a_code_workflow(self, world):
        """403, as a run of it is."""
        run_id = world.failed()
        workflow = world.database.workflows.workflow(NAME)
        world.database.workflows.save_workflow(evolve(workflow, source_type=SourceType.CODE))
        with pytest.raises(WorkflowPermissionDenied):
            world.usecases.retry(run_id)

    def test_without_airflow_nothing_is_recorded(self, world):
        """503."""
        run_id = world.failed()
        before = world.run(run_id)
        world.airflow.go_down()
        with pytest.raises(AirflowUnavailable):
            world.usecases.retry(run_id)
        assert world.run(run_id) == before

    def test_without_the_database_nothing_is_done(self, world):
        """Nobody would know of it."""
        run_id = world.failed()
        world.database.fail("save_run")
        with pytest.raises(DatabaseUnavailable):
            world.usecases.retry(run_id)
        assert world.airflow.clears == 0

    def test_ids_that_are_none(self, world):
        """Illegal or unknown."""
        with pytest.raises(InvalidRequest):
            world.usecases.retry("a b")
        with pytest.raises(WorkflowRunNotFound):
            world.usecases.retry("never_started")


def _die(*_: object) -> None:
    raise SystemExit


def _raises(error: Exception) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail
