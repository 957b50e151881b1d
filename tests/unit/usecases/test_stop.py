"""Stop runs: what is accepted is completed by the worker, and what is answered is true."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tests.support.stops import GRACE, a_stopping_world, schedule_fires, still_running, waiting
from tests.support.world import DAG, ME, NAME
from workflow_core.domain.run import ENDED_FIRST, RunStatus, Submission, TaskState
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import (
    AirflowUnavailable,
    InvalidRequest,
    RunNotActive,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)
from workflow_core.fakes.airflow import Effect
from workflow_core.usecases.config import CodeExecution, ServiceConfig
from workflow_core.usecases.reconcile.stop import STOP_REPEAT_INTERVAL


@pytest.fixture
def make_world():
    return a_stopping_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestStop:
    def test_it_is_stopping_at_once(self, world):
        """The answer names caller, time and reason, and the run is ended in Airflow."""
        run = world.begin()
        stopped = world.usecases.stop(run.run_id, "tea", caller=ME)
        assert (stopped.status, stopped.stop.by, stopped.stop.reason) == (RunStatus.STOPPING, "me@example.com", "tea")
        assert stopped.stop.at == world.clock.now()
        assert world.airflow.run(DAG, run.run_id).state == "failed"

    def test_it_is_stopped_only_when_the_process_is_dead(self, world):
        """Airflow marks the task at once; its process may live on for a while, and until then the run is STOPPING."""
        run = world.begin()
        world.usecases.stop(run.run_id)
        world.settle(GRACE - 1)
        assert world.usecases.status(run.run_id).run.status is RunStatus.STOPPING
        world.settle(1)
        assert world.usecases.status(run.run_id).run.status is RunStatus.STOPPED

    def test_its_end_is_airflow_s(self, world):
        """Neither the wait for processes nor a later poll changes the end time."""
        run = world.begin()
        world.usecases.stop(run.run_id)
        world.settle(GRACE)
        told = world.usecases.status(run.run_id).run
        assert (told.status, told.ended_at) == (RunStatus.STOPPED, world.airflow.run(DAG, run.run_id).ended_at)

    def test_without_a_process_nothing_is_waited_for(self, world):
        """No task of a queued run has started."""
        run = world.begin(running=False)
        assert world.usecases.stop(run.run_id).status is RunStatus.STOPPING
        world.sweeper.sweep()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_task_that_was_being_started_may_have_a_process(self, world):
        """Airflow calls a task that is queued "skipped" when the run is ended, though its process may be about to run."""
        run = world.begin(running=False)
        world.usecases.stop(run.run_id)
        ended = world.airflow._runs[DAG, run.run_id]
        first, second = ended.end.tasks
        tasks = (evolve(first, try_number=1), second)
        world.airflow._runs[DAG, run.run_id] = evolve(ended, end=evolve(ended.end, tasks=tasks))
        world.settle(GRACE - 1)
        assert world.status(run) is RunStatus.STOPPING
        world.settle(1)
        assert world.status(run) is RunStatus.STOPPED

    def test_it_stays_stopped(self, world):
        """Airflow calls it failed for ever; we say what it was."""
        run = world.begin()
        world.usecases.stop(run.run_id)
        world.settle()
        for _ in range(3):
            world.settle()
            assert world.usecases.status(run.run_id).run.status is RunStatus.STOPPED
        (item,) = world.usecases.history().items
        assert (item.status, item.stop.by) == (RunStatus.STOPPED, "anonymous")

    def test_a_second_stop_changes_nothing(self, world):
        """The first reason counts, before the end and after it."""
        run = world.begin()
        first = world.usecases.stop(run.run_id, "first")
        assert world.usecases.stop(run.run_id, "second").stop.reason == "first"
        world.settle()
        again = world.usecases.stop(run.run_id, "third")
        assert (again.status, again.stop.by, again.stop.reason) == (RunStatus.STOPPED, first.stop.by, "first")

    @pytest.mark.parametrize("seen", [True, False], ids=["known here", "not known here yet"])
    def test_one_that_has_ended_keeps_its_result(self, world, seen):
        """Airflow would turn the success into a failure."""
        run = world.begin()
        world.clock.sleep(60)
        if seen:
            world.usecases.status(run.run_id)
        with pytest.raises(RunNotActive, match="SUCCESS"):
            world.usecases.stop(run.run_id)
        found = world.usecases.status(run.run_id).run
        assert (found.status, found.stop) == (RunStatus.SUCCESS, None)
        assert world.airflow.run(DAG, run.run_id).state == "success"

    def test_one_that_ends_before_airflow_is_told_keeps_its_result(self, world, monkeypatch):
        """A run may end between the poll and the request."""
        run = world.begin()
        save = world.database.workflows.save_run
        late = lambda one, **named: (world.clock.sleep(60), save(one, **named))[1]  # noqa: E731 - in one line
        monkeypatch.setattr(world.database.workflows, "save_run", late)
        with pytest.raises(RunNotActive, match="SUCCESS"):
            world.usecases.stop(run.run_id)
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop, found.reason) == (RunStatus.SUCCESS, None, ENDED_FIRST)

    def test_a_success_that_the_stop_overtook_is_put_back(self, world, monkeypatch):
        """If every task had succeeded when Airflow took our word, it was a success."""
        run = world.begin()
        end_run = world.airflow.end_run
        monkeypatch.setattr(world.airflow, "end_run", lambda *key: (world.clock.sleep(60), end_run(*key))[1])
        world.usecases.stop(run.run_id)
        assert world.airflow.run(DAG, run.run_id).state == "failed"
        monkeypatch.undo()
        world.sweeper.sweep()
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop, found.reason) == (RunStatus.SUCCESS, None, ENDED_FIRST)
        assert world.airflow.run(DAG, run.run_id).state == "success"

    @pytest.mark.parametrize("ago", [29, 31])
    def test_one_whose_tasks_have_all_ended_is_left_to_airflow_for_a_while(self, world, monkeypatch, ago):
        """Airflow ends a run whose tasks have ended, except in a paused DAG: there the service ends it."""
        run = world.begin()
        ended = [
            TaskState(task_id=name, state="success", ended_at=world.clock.now(), try_number=1)
            for name in ("first", "second")
        ]
        monkeypatch.setattr(world.airflow, "tasks", lambda keys: dict.fromkeys(keys, ended))
        monkeypatch.setattr(
            world.airflow, "run", lambda *_, find=world.airflow.run: still_running(find(DAG, run.run_id))
        )
        world.clock.sleep(ago)
        stopped = world.usecases.stop(run.run_id)
        assert (stopped.status, stopped.stop.asked_at is not None) == (RunStatus.STOPPING, ago > 30)

    def test_a_task_that_was_scheduled_as_its_run_ended_is_ended(self, world, monkeypatch):
        """A task that Airflow will not queue would keep the run STOPPING: the stop is repeated after an interval."""
        run = world.begin()
        told: list[Any] = []
        tasks, end_run = world.airflow.tasks, world.airflow.end_run
        scheduled = [TaskState(task_id="first", state="scheduled", try_number=0)]
        monkeypatch.setattr(
            world.airflow, "tasks", lambda keys: tasks(keys) if len(told) > 1 else dict.fromkeys(keys, scheduled)
        )

        def tell(*key):
            told.append(world.clock.now())
            return end_run(*key)

        monkeypatch.setattr(world.airflow, "end_run", tell)
        world.usecases.stop(run.run_id)
        world.settle()
        world.settle()
        assert world.status(run) is RunStatus.STOPPED
        first, second = told
        assert second - first >= STOP_REPEAT_INTERVAL

    def test_a_run_that_came_back_is_asked_again(self, world):
        """A task may revive the run; it is STOPPED only when it has stayed dead."""
        run = world.begin()
        world.usecases.stop(run.run_id)
        world.airflow.clear_run(DAG, run.run_id)
        world.clock.sleep(1)
        assert world.airflow.run(DAG, run.run_id).state == "running"
        world.sweeper.sweep()
        assert (world.status(run), world.airflow.run(DAG, run.run_id).state) == (RunStatus.STOPPING, "failed")
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_stopped_run_that_somebody_clears_runs_again(self, world):
        """A run that a user clears in Airflow after the stop is reported as running, and is not stopped again."""
        run = world.begin()
        world.usecases.stop(run.run_id)
        world.settle()
        world.airflow.clear_run(DAG, run.run_id)
        world.clock.sleep(1)
        world.sweeper.sweep()
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop) == (RunStatus.RUNNING, None)

    def test_one_not_sent_yet_never_reaches_airflow(self, world):
        """It is STOPPED at once, and no sweep sends it."""
        run = waiting(world)
        world.airflow.go_down()
        assert world.usecases.stop(run.run_id, "tea").status is RunStatus.STOPPED
        world.airflow.come_back()
        world.usecases.unpause(NAME)
        world.settle(600)
        assert world.airflow.run(DAG, run.run_id) is None
        assert (world.status(run), world.database.workflows.run(run.run_id).submission) == (
            RunStatus.STOPPED,
            Submission.CANCELLED,
        )

    @pytest.mark.parametrize("effect", list(Effect))
    def test_one_of_which_nobody_knows_whether_it_arrived(self, world, effect):
        """A run is STOPPING while its request may still arrive; then it is ended in Airflow, or never submitted again."""
        world.airflow.lose_answers(effect)
        run = world.usecases.run(NAME)
        assert world.usecases.stop(run.run_id).status is RunStatus.STOPPING
        world.settle(ServiceConfig().in_flight_limit.total_seconds())
        assert world.status(run) is RunStatus.STOPPED
        seen = world.airflow.run(DAG, run.run_id)
        assert (seen.state if seen else None) == ("failed" if effect is Effect.DONE else None)

    def test_one_that_arrives_after_all_is_stopped_then(self, world):
        """However late the request takes effect in Airflow."""
        world.airflow.lose_answers(Effect.NOT_DONE)
        run = world.usecases.run(NAME)
        world.usecases.stop(run.run_id)
        world.settle(ServiceConfig().in_flight_limit.total_seconds())
        assert world.status(run) is RunStatus.STOPPED
        world.airflow.trigger(DAG, run.run_id, conf={})
        world.settle()
        assert (world.status(run), world.airflow.run(DAG, run.run_id).state) == (RunStatus.STOPPED, "failed")

    def test_without_airflow_it_is_refused_and_nothing_recorded(self, world):
        """503 before the commit."""
        run = world.begin()
        world.airflow.go_down()
        with pytest.raises(AirflowUnavailable):
            world.usecases.stop(run.run_id)
        assert world.database.workflows.run(run.run_id).stop is None

    @pytest.mark.parametrize("effect", list(Effect))
    def test_an_answer_that_never_came_is_settled(self, world, effect):
        """Accepted is accepted: whether or not Airflow had done it, the worker goes on."""
        run = world.begin()
        world.airflow.lose_answers(effect)
        assert world.usecases.stop(run.run_id).status is RunStatus.STOPPING
        world.settle()
        world.settle()
        assert (world.status(run), world.airflow.run(DAG, run.run_id).state) == (RunStatus.STOPPED, "failed")

    def test_a_death_before_airflow_was_told_is_made_good(self, world, monkeypatch):
        """The request is durable: a worker continues it."""
        run = world.begin()
        monkeypatch.setattr("workflow_core.usecases.commands.stop.try_to_apply_stop", lambda one, _: one)
        assert world.usecases.stop(run.run_id).stop.asked_at is None
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_death_after_airflow_was_told_does_not_make_it_a_failure(self, world, monkeypatch):
        """The call to Airflow is recorded before it is made, so that a run that it ended is STOPPED, not FAILED."""
        run = world.begin()

        def die(*key):
            monkeypatch.undo()
            world.airflow.end_run(*key)
            raise KeyboardInterrupt

        monkeypatch.setattr(world.airflow, "end_run", die)
        with pytest.raises(KeyboardInterrupt):
            world.usecases.stop(run.run_id)
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    def test_somebody_who_goes_on_with_it_at_the_same_time_is_no_refusal(self, world, monkeypatch):
        """What is recorded is accepted: a worker that is faster than the request does not make a 409 of it."""
        run = world.begin()
        world.usecases.status(run.run_id)
        ours = world.airflow.run

        def overtaken(dag_id, run_id):
            found = world.database.workflows.run(run_id)
            if found.status is RunStatus.STOPPING and found.stop.asked_at is None:
                world.database.workflows.save_run(found.stop_asked(world.clock.now()))
            return ours(dag_id, run_id)

        monkeypatch.setattr(world.airflow, "run", overtaken)
        assert world.usecases.stop(run.run_id).status is RunStatus.STOPPING

    def test_a_run_deleted_while_it_is_stopping_is_stopped(self, world):
        """Nothing of it runs."""
        run = world.begin()
        world.usecases.stop(run.run_id)
        world.airflow.remove_run(DAG, run.run_id)
        world.sweeper.sweep()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_scheduled_run_can_be_stopped(self, world):
        """Runs that Airflow made are runs like others."""
        schedule_fires(world)
        world.sweeper.sweep()
        (run,) = world.usecases.history().items
        world.usecases.stop(run.run_id)
        world.settle()
        assert (world.status(run), world.airflow.run(DAG, "scheduled__1").state) == (RunStatus.STOPPED, "failed")

    def test_bad_input(self, world):
        """Unknown is not found; impossible is invalid; a reason has bounds."""
        with pytest.raises(WorkflowRunNotFound):
            world.usecases.stop(f"{NAME}_20260101_000000")
        with pytest.raises(InvalidRequest):
            world.usecases.stop("a/b")
        run = world.begin()
        for reason in ("x" * 1001, "a\0b", "\ud800"):
            with pytest.raises(InvalidRequest, match="reason"):
                world.usecases.stop(run.run_id, reason)
        assert world.database.workflows.run(run.run_id).stop is None

    @pytest.mark.parametrize("execution", list(CodeExecution))
    def test_runs_of_code_are_stopped_if_the_policy_allows_it(self, make_world, execution):
        """Section 1.3."""
        world = make_world(code_execution=execution)
        run = world.begin()
        code = evolve(world.database.workflows.workflow(NAME), source_type=SourceType.CODE)
        world.database.workflows.save_workflow(code)
        if execution is CodeExecution.DENY:
            with pytest.raises(WorkflowPermissionDenied):
                world.usecases.stop(run.run_id)
        else:
            assert world.usecases.stop(run.run_id).status is RunStatus.STOPPING
