"""Stopping runs and unregistering workflows, over the fakes: what is accepted is finished by somebody, what is said is true."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve, frozen

from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import ENDED_FIRST, RunStatus, RunType, Submission, TaskState
from workflow_core.domain.workflow import Phase, SourceType, WorkflowStatus
from workflow_core.errors import (
    AirflowUnavailable,
    DagNotFound,
    InvalidRequest,
    RunNotActive,
    StorageUnavailable,
    WorkflowHasActiveRuns,
    WorkflowNotFound,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.fakes.airflow import Effect
from workflow_core.service import WorkflowService
from workflow_core.usecases.config import CodeExecution, ServiceConfig
from workflow_core.usecases.reconcile.stop import STOP_REPEAT_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.run import AirflowRun, Run

NAME = "iceberg.analytics.daily_clicks"
DAG = "iceberg_analytics_daily_clicks"
ME = Caller(name="me@example.com")
GRACE = 15.0
YAML = """\
version: v1
name: daily_clicks
owner: data@example.com
schedule: {cron: "0 6 * * *"}
tasks:
  - {task_id: first, operator: bash, bash_command: sleep 5}
  - {task_id: second, operator: bash, bash_command: sleep 5, dependencies: [first]}
"""


@frozen(kw_only=True)
class World:
    """A registered workflow, a service and the fakes behind it; a task takes five seconds."""

    service: WorkflowService
    database: InMemoryDatabase
    airflow: InMemoryAirflow
    storage: InMemoryStorage
    clock: ManualClock

    def start(self, *, running=True):
        """A run; its first task is running, unless told not to be."""
        run = self.service.run(NAME)
        if running:
            self.clock.sleep(3)
            seen = self.airflow.run(DAG, run.run_id)
            assert seen is not None
            assert seen.state == "running"
        return run

    def status(self, run):
        found = self.database.workflows.run(run.run_id)
        assert found is not None
        return found.status

    def settle(self, seconds=GRACE):
        """Time passes, the worker sweeps."""
        self.service.sweep()
        self.clock.sleep(seconds)
        self.service.sweep()


@pytest.fixture
def make_world():
    def make(**policy) -> World:
        clock, storage, database = ManualClock(), InMemoryStorage(), InMemoryDatabase()
        airflow = InMemoryAirflow(storage=storage, clock=clock, queue_seconds=1, task_seconds=5)
        service = WorkflowService(
            database=database,
            airflow=airflow,
            storage=storage,
            clock=clock,
            policy=ServiceConfig(stop_grace=GRACE, **policy),
        )
        service.register(NAME, YAML, caller=ME)
        return World(service=service, database=database, airflow=airflow, storage=storage, clock=clock)

    return make


@pytest.fixture
def world(make_world):
    return make_world()


class TestStop:
    def test_it_is_stopping_at_once(self, world):
        """Who, when and why are said, and Airflow has been told."""
        run = world.start()
        stopped = world.service.stop(run.run_id, "tea", caller=ME)
        assert (stopped.status, stopped.stop.by, stopped.stop.reason) == (RunStatus.STOPPING, "me@example.com", "tea")
        assert stopped.stop.at == world.clock.now()
        assert world.airflow.run(DAG, run.run_id).state == "failed"

    def test_it_is_stopped_only_when_the_process_is_dead(self, world):
        """Airflow marks the task at once; its process may live on for a while, and until then the run is STOPPING."""
        run = world.start()
        world.service.stop(run.run_id)
        world.settle(GRACE - 1)
        assert world.service.status(run.run_id).run.status is RunStatus.STOPPING
        world.settle(1)
        assert world.service.status(run.run_id).run.status is RunStatus.STOPPED

    def test_its_end_is_airflow_s(self, world):
        """The wait for processes moves it no more than a later look does."""
        run = world.start()
        world.service.stop(run.run_id)
        world.settle(GRACE)
        told = world.service.status(run.run_id).run
        assert (told.status, told.ended_at) == (RunStatus.STOPPED, world.airflow.run(DAG, run.run_id).ended_at)

    def test_without_a_process_nothing_is_waited_for(self, world):
        """No task of a queued run has started."""
        run = world.start(running=False)
        assert world.service.stop(run.run_id).status is RunStatus.STOPPING
        world.service.sweep()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_task_that_was_being_started_may_have_a_process(self, world):
        """Airflow calls a task that is queued "skipped" when the run is ended, though its process may be about to run."""
        run = world.start(running=False)
        world.service.stop(run.run_id)
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
        run = world.start()
        world.service.stop(run.run_id)
        world.settle()
        for _ in range(3):
            world.settle()
            assert world.service.status(run.run_id).run.status is RunStatus.STOPPED
        (item,) = world.service.history().items
        assert (item.status, item.stop.by) == (RunStatus.STOPPED, "anonymous")

    def test_a_second_stop_changes_nothing(self, world):
        """The first reason counts, before the end and after it."""
        run = world.start()
        first = world.service.stop(run.run_id, "first")
        assert world.service.stop(run.run_id, "second").stop.reason == "first"
        world.settle()
        again = world.service.stop(run.run_id, "third")
        assert (again.status, again.stop.by, again.stop.reason) == (RunStatus.STOPPED, first.stop.by, "first")

    @pytest.mark.parametrize("seen", [True, False], ids=["known here", "not known here yet"])
    def test_one_that_has_ended_keeps_its_result(self, world, seen):
        """Airflow would turn the success into a failure."""
        run = world.start()
        world.clock.sleep(60)
        if seen:
            world.service.status(run.run_id)
        with pytest.raises(RunNotActive, match="SUCCESS"):
            world.service.stop(run.run_id)
        found = world.service.status(run.run_id).run
        assert (found.status, found.stop) == (RunStatus.SUCCESS, None)
        assert world.airflow.run(DAG, run.run_id).state == "success"

    def test_one_that_ends_before_airflow_is_told_keeps_its_result(self, world, monkeypatch):
        """Between the look and the request it may end by itself."""
        run = world.start()
        save = world.database.workflows.save_run
        late = lambda one, **named: (world.clock.sleep(60), save(one, **named))[1]  # noqa: E731 - in one line
        monkeypatch.setattr(world.database.workflows, "save_run", late)
        with pytest.raises(RunNotActive, match="SUCCESS"):
            world.service.stop(run.run_id)
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop, found.reason) == (RunStatus.SUCCESS, None, ENDED_FIRST)

    def test_a_success_that_the_stop_overtook_is_put_back(self, world, monkeypatch):
        """If every task had succeeded when Airflow took our word, it was a success."""
        run = world.start()
        end_run = world.airflow.end_run
        monkeypatch.setattr(world.airflow, "end_run", lambda *key: (world.clock.sleep(60), end_run(*key))[1])
        world.service.stop(run.run_id)
        assert world.airflow.run(DAG, run.run_id).state == "failed"
        monkeypatch.undo()
        world.service.sweep()
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop, found.reason) == (RunStatus.SUCCESS, None, ENDED_FIRST)
        assert world.airflow.run(DAG, run.run_id).state == "success"

    @pytest.mark.parametrize("ago", [29, 31])
    def test_one_whose_tasks_have_all_ended_is_left_to_airflow_for_a_while(self, world, monkeypatch, ago):
        """Airflow is about to see that, unless its DAG is paused: there it never does, and is told."""
        run = world.start()
        ended = [
            TaskState(task_id=name, state="success", ended_at=world.clock.now(), try_number=1)
            for name in ("first", "second")
        ]
        monkeypatch.setattr(world.airflow, "tasks", lambda keys: dict.fromkeys(keys, ended))
        monkeypatch.setattr(
            world.airflow, "run", lambda *_, find=world.airflow.run: still_running(find(DAG, run.run_id))
        )
        world.clock.sleep(ago)
        stopped = world.service.stop(run.run_id)
        assert (stopped.status, stopped.stop.asked_at is not None) == (RunStatus.STOPPING, ago > 30)

    def test_a_task_that_was_scheduled_as_its_run_ended_is_ended(self, world, monkeypatch):
        """Nobody would ever queue it, and the run would be STOPPING for ever: Airflow is told again, after a while."""
        run = world.start()
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
        world.service.stop(run.run_id)
        world.settle()
        world.settle()
        assert world.status(run) is RunStatus.STOPPED
        first, second = told
        assert second - first >= STOP_REPEAT_INTERVAL

    def test_a_run_that_came_back_is_asked_again(self, world):
        """A task may revive the run; it is STOPPED only when it has stayed dead."""
        run = world.start()
        world.service.stop(run.run_id)
        world.airflow.clear_run(DAG, run.run_id)
        world.clock.sleep(1)
        assert world.airflow.run(DAG, run.run_id).state == "running"
        world.service.sweep()
        assert (world.status(run), world.airflow.run(DAG, run.run_id).state) == (RunStatus.STOPPING, "failed")
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_stopped_run_that_somebody_clears_runs_again(self, world):
        """Whoever clears it in Airflow afterwards wants it to run: that is told, and it is left alone."""
        run = world.start()
        world.service.stop(run.run_id)
        world.settle()
        world.airflow.clear_run(DAG, run.run_id)
        world.clock.sleep(1)
        world.service.sweep()
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop) == (RunStatus.RUNNING, None)

    def test_one_not_sent_yet_never_reaches_airflow(self, world):
        """It is STOPPED at once, and no sweep sends it."""
        run = waiting(world)
        world.airflow.go_down()
        assert world.service.stop(run.run_id, "tea").status is RunStatus.STOPPED
        world.airflow.come_back()
        world.service.unpause(NAME)
        world.settle(600)
        assert world.airflow.run(DAG, run.run_id) is None
        assert (world.status(run), world.database.workflows.run(run.run_id).submission) == (
            RunStatus.STOPPED,
            Submission.CANCELLED,
        )

    @pytest.mark.parametrize("effect", list(Effect))
    def test_one_of_which_nobody_knows_whether_it_arrived(self, world, effect):
        """It is STOPPING as long as it may still arrive; if it has, Airflow is told; if it has not, it never is sent again."""
        world.airflow.lose_answers(effect)
        run = world.service.run(NAME)
        assert world.service.stop(run.run_id).status is RunStatus.STOPPING
        world.settle(ServiceConfig().in_flight_limit.total_seconds())
        assert world.status(run) is RunStatus.STOPPED
        seen = world.airflow.run(DAG, run.run_id)
        assert (seen.state if seen else None) == ("failed" if effect is Effect.DONE else None)

    def test_one_that_arrives_after_all_is_stopped_then(self, world):
        """However late the request takes effect in Airflow."""
        world.airflow.lose_answers(Effect.NOT_DONE)
        run = world.service.run(NAME)
        world.service.stop(run.run_id)
        world.settle(ServiceConfig().in_flight_limit.total_seconds())
        assert world.status(run) is RunStatus.STOPPED
        world.airflow.trigger(DAG, run.run_id, conf={})
        world.settle()
        assert (world.status(run), world.airflow.run(DAG, run.run_id).state) == (RunStatus.STOPPED, "failed")

    def test_without_airflow_it_is_refused_and_nothing_recorded(self, world):
        """503 before the commit."""
        run = world.start()
        world.airflow.go_down()
        with pytest.raises(AirflowUnavailable):
            world.service.stop(run.run_id)
        assert world.database.workflows.run(run.run_id).stop is None

    @pytest.mark.parametrize("effect", list(Effect))
    def test_an_answer_that_never_came_is_settled(self, world, effect):
        """Accepted is accepted: whether or not Airflow had done it, the worker goes on."""
        run = world.start()
        world.airflow.lose_answers(effect)
        assert world.service.stop(run.run_id).status is RunStatus.STOPPING
        world.settle()
        world.settle()
        assert (world.status(run), world.airflow.run(DAG, run.run_id).state) == (RunStatus.STOPPED, "failed")

    def test_a_death_before_airflow_was_told_is_made_good(self, world, monkeypatch):
        """The wish is durable: a worker that finds it goes on."""
        run = world.start()
        monkeypatch.setattr("workflow_core.usecases.commands.stop.try_to_apply_stop", lambda one, _: one)
        assert world.service.stop(run.run_id).stop.asked_at is None
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_death_after_airflow_was_told_does_not_make_it_a_failure(self, world, monkeypatch):
        """That we were about to tell is recorded before: what failed by us is STOPPED, not FAILED."""
        run = world.start()

        def die(*key):
            monkeypatch.undo()
            world.airflow.end_run(*key)
            raise KeyboardInterrupt

        monkeypatch.setattr(world.airflow, "end_run", die)
        with pytest.raises(KeyboardInterrupt):
            world.service.stop(run.run_id)
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    def test_somebody_who_goes_on_with_it_at_the_same_time_is_no_refusal(self, world, monkeypatch):
        """What is recorded is accepted: a worker that is faster than the request does not make a 409 of it."""
        run = world.start()
        world.service.status(run.run_id)
        ours = world.airflow.run

        def overtaken(dag_id, run_id):
            found = world.database.workflows.run(run_id)
            if found.status is RunStatus.STOPPING and found.stop.asked_at is None:
                world.database.workflows.save_run(found.stop_asked(world.clock.now()))
            return ours(dag_id, run_id)

        monkeypatch.setattr(world.airflow, "run", overtaken)
        assert world.service.stop(run.run_id).status is RunStatus.STOPPING

    def test_a_run_deleted_while_it_is_stopping_is_stopped(self, world):
        """Nothing of it runs."""
        run = world.start()
        world.service.stop(run.run_id)
        world.airflow.remove_run(DAG, run.run_id)
        world.service.sweep()
        assert world.status(run) is RunStatus.STOPPED

    def test_a_scheduled_run_can_be_stopped(self, world):
        """Runs that Airflow made are runs like others."""
        schedule_fires(world)
        world.service.sweep()
        (run,) = world.service.history().items
        world.service.stop(run.run_id)
        world.settle()
        assert (world.status(run), world.airflow.run(DAG, "scheduled__1").state) == (RunStatus.STOPPED, "failed")

    def test_bad_input(self, world):
        """Unknown is not found; impossible is invalid; a reason has bounds."""
        with pytest.raises(WorkflowRunNotFound):
            world.service.stop(f"{NAME}_20260101_000000")
        with pytest.raises(InvalidRequest):
            world.service.stop("a/b")
        run = world.start()
        for reason in ("x" * 1001, "a\0b", "\ud800"):
            with pytest.raises(InvalidRequest, match="reason"):
                world.service.stop(run.run_id, reason)
        assert world.database.workflows.run(run.run_id).stop is None

    @pytest.mark.parametrize("execution", list(CodeExecution))
    def test_runs_of_code_are_stopped_if_the_policy_allows_it(self, make_world, execution):
        """Section 1.3."""
        world = make_world(code_execution=execution)
        run = world.start()
        code = evolve(world.database.workflows.workflow(NAME), source_type=SourceType.CODE)
        world.database.workflows.save_workflow(code)
        if execution is CodeExecution.DENY:
            with pytest.raises(WorkflowPermissionDenied):
                world.service.stop(run.run_id)
        else:
            assert world.service.stop(run.run_id).status is RunStatus.STOPPING


class TestUnregister:
    def test_it_is_gone_everywhere(self, world):
        """Not listed, its YAML deleted, its DAG out of Airflow, its name free."""
        workflow = world.service.unregister(NAME, caller=ME)
        assert (workflow.phase.has_left, workflow.airflow_paused, workflow.removal.by) == (True, True, "me@example.com")
        world.service.sweep()
        with pytest.raises(WorkflowNotFound):
            world.service.workflow(NAME)
        assert world.service.workflows().total == 0
        assert world.storage.stat(SourceType.MANUAL, NAME) is None
        assert world.airflow.dag(DAG) is None
        assert world.database.workflows.unsettled_workflows(10) == ()

    def test_its_history_stays_and_it_comes_back_anew(self, world):
        """The name may be registered again at once; runs of before are in the history with those of now."""
        before = world.start()
        world.clock.sleep(60)
        world.service.sweep()
        world.service.pause(NAME, "tea")
        world.service.unregister(NAME)
        again = world.service.register(NAME, YAML, caller=ME)
        assert (again.status, again.phase, again.pause, again.is_settled) == (
            WorkflowStatus.ACTIVE, Phase.SERVED, None, True,
        )  # fmt: skip
        assert world.airflow.dag(DAG).is_paused is False
        after = world.start()
        world.settle(60)
        assert {run.run_id for run in world.service.history().items} == {before.run_id, after.run_id}
        assert world.database.workflows.unsettled_workflows(10) == ()
        assert world.storage.stat(SourceType.MANUAL, NAME) is not None

    def test_a_write_of_its_yaml_that_arrives_late_is_undone(self, world, monkeypatch):
        """The request that stored it was given up, and reached the store only after the YAML had been deleted."""
        with monkeypatch.context() as patched:
            patched.setattr(world.airflow, "request_parse", lambda _: None)  # Airflow takes its time to drop the DAG
            assert world.service.unregister(NAME).phase is Phase.LEAVING
        world.storage.put(SourceType.MANUAL, NAME, YAML, expected=None)
        world.settle()
        assert world.storage.stat(SourceType.MANUAL, NAME) is None
        assert world.database.workflows.unsettled_workflows(10) == ()

    @pytest.mark.parametrize("running", [True, False])
    def test_active_runs_are_in_the_way(self, world, running):
        """It is refused, and nothing has changed."""
        world.start(running=running)
        with pytest.raises(WorkflowHasActiveRuns):
            world.service.unregister(NAME)
        assert world.service.workflow(NAME).workflow.status is WorkflowStatus.ACTIVE
        assert world.airflow.dag(DAG).is_paused is False
        assert world.storage.stat(SourceType.MANUAL, NAME) is not None

    def test_by_force_its_runs_are_stopped(self, world):
        """Those in Airflow end there, one that waits never reaches it; both are STOPPED in the history."""
        running = world.start()
        waits = waiting(world)
        world.service.unregister(NAME, force=True, caller=ME)
        assert world.airflow.run(DAG, running.run_id).state == "failed"
        world.settle()
        for run in (running, waits):
            found = world.service.status(run.run_id).run
            assert (found.status, found.stop.by) == (RunStatus.STOPPED, "me@example.com")
        assert world.airflow.run(DAG, waits.run_id) is None

    @pytest.mark.parametrize(("ends", "status"), [("success", RunStatus.SUCCESS), ("failed", RunStatus.FAILED)])
    def test_by_force_one_whose_tasks_have_just_ended_keeps_its_result(self, world, monkeypatch, ends, status):
        """Its DAG goes, and with that nobody in Airflow 2.11 can end it any more: Airflow is told before."""
        run = world.start()
        tasks = [TaskState(task_id="first", state=ends, ended_at=world.clock.now(), try_number=1)]
        told: list[str] = []
        end_run, find, delete = world.airflow.end_run, world.airflow.run, world.storage.delete

        def noted(what: str, call: Callable[[], object]) -> object:
            told.append(what)
            return call()

        monkeypatch.setattr(world.airflow, "tasks", lambda keys: dict.fromkeys(keys, tasks))
        monkeypatch.setattr(
            world.airflow, "run", lambda *key: find(*key) if told else still_running(find(DAG, run.run_id))
        )
        monkeypatch.setattr(world.airflow, "end_run", lambda *key: noted(key[2], partial(end_run, *key)))
        monkeypatch.setattr(world.storage, "delete", lambda *place: noted("gone", partial(delete, *place)))
        world.service.unregister(NAME, force=True)
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop) == (status, None)
        assert told == [ends, "gone"]

    def test_a_run_that_airflow_has_just_made_is_in_the_way(self, world):
        """Whether or not the worker has seen it."""
        schedule_fires(world)
        with pytest.raises(WorkflowHasActiveRuns):
            world.service.unregister(NAME)

    def test_a_run_that_airflow_makes_meanwhile_is_stopped(self, world, monkeypatch):
        """The schedule may fire between the request and the pause."""
        set_paused = world.airflow.set_paused

        def fire_first(*arguments, **named):
            monkeypatch.undo()
            schedule_fires(world)
            set_paused(*arguments, **named)

        monkeypatch.setattr(world.airflow, "set_paused", fire_first)
        world.service.unregister(NAME)
        (run,) = world.service.history().items
        assert (run.run_type, run.status) == (RunType.SCHEDULED, RunStatus.STOPPING)
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    @pytest.mark.parametrize("down", ["airflow", "storage"])
    def test_without_a_system_it_is_refused_and_nothing_recorded(self, world, down):
        """503 before the commit."""
        fake = getattr(world, down)
        fake.go_down()
        with pytest.raises((AirflowUnavailable, StorageUnavailable)):
            world.service.unregister(NAME)
        fake.come_back()
        assert world.service.workflow(NAME).workflow.status is WorkflowStatus.ACTIVE

    @pytest.mark.parametrize(
        ("port", "method"),
        [
            ("airflow", "set_paused"),
            ("airflow", "request_parse"),
            ("airflow", "dag"),
            ("storage", "delete"),
            ("database.workflows", "save_workflow"),
        ],
    )
    @pytest.mark.parametrize("done", [True, False])
    def test_a_death_at_any_step_is_made_good(self, world, monkeypatch, port, method, done):
        """Whoever sweeps next goes on from there."""
        fake = attrgetter(port)(world)
        step = getattr(fake, method)

        def die(*arguments, **named):
            monkeypatch.undo()
            if done:
                step(*arguments, **named)
            raise KeyboardInterrupt

        monkeypatch.setattr(fake, method, die)
        with pytest.raises(KeyboardInterrupt):
            world.service.unregister(NAME)
        for _ in range(3):
            world.service.sweep()
        assert (world.database.workflows.workflow(NAME), world.airflow.dag(DAG)) == (None, None)
        assert world.storage.stat(SourceType.MANUAL, NAME) is None
        assert world.database.workflows.unsettled_workflows(10) == ()

    def test_a_worker_that_is_faster_finishes_it(self, world, monkeypatch):
        """The request finds it done, and says so."""
        set_paused = world.airflow.set_paused

        def sweep_first(*arguments, **named):
            monkeypatch.undo()
            world.service.sweep()
            set_paused(*arguments, **named)

        monkeypatch.setattr(world.airflow, "set_paused", sweep_first)
        gone = world.service.unregister(NAME)
        assert (gone.phase.has_left, gone.airflow_paused) == (True, True)

    def test_while_it_is_being_unregistered_it_takes_nothing(self, world, monkeypatch):
        """No run, no pause, no second registration; unregistering it again is the same answer."""
        monkeypatch.setattr(world.storage, "delete", _raise(StorageUnavailable("down")))
        first = world.service.unregister(NAME, caller=ME)
        assert (first.phase, first.status) == (Phase.UNREGISTERING, WorkflowStatus.DISABLED)
        for refused in (world.service.run, world.service.pause, world.service.unpause):
            with pytest.raises(WorkflowNotFound):
                refused(NAME)
        assert world.service.unregister(NAME, caller=Caller(name="other")).removal == first.removal

    def test_a_workflow_that_cannot_be_built_can_be_unregistered(self, make_world):
        """As can any other."""
        world = make_world()
        found = world.database.workflows.workflow(NAME)
        world.database.workflows.save_workflow(found.failed("no such module", world.clock.now()))
        assert world.service.unregister(NAME).phase.has_left

    def test_code_is_not_unregistered_over_this_api(self, world):
        """It goes when its file goes (section 1.3)."""
        world.database.workflows.save_workflow(
            evolve(world.database.workflows.workflow(NAME), source_type=SourceType.CODE)
        )
        with pytest.raises(WorkflowPermissionDenied):
            world.service.unregister(NAME)

    def test_the_runs_of_what_has_left_are_followed(self, world):
        """A run that is stopping when its workflow leaves is followed to its end."""
        run = world.start()
        world.service.unregister(NAME, force=True)
        assert world.service.status(run.run_id).run.status is RunStatus.STOPPING
        world.settle()
        assert world.service.status(run.run_id).run.status is RunStatus.STOPPED
        assert world.database.workflows.history(HistoryFilter(dataset_name=NAME), PageRequest()).total == 1

    def test_an_unknown_workflow(self, world):
        """There is nothing to unregister, the second time neither."""
        world.service.unregister(NAME)
        for name in (NAME, "a.b"):
            with pytest.raises(WorkflowNotFound):
                world.service.unregister(name)


def schedule_fires(world: World) -> None:
    """Airflow makes a run of its own."""
    world.airflow.add_run(DAG, "scheduled__1", run_type=RunType.SCHEDULED, triggered_by="scheduler")


def still_running(seen: AirflowRun | None) -> AirflowRun:
    """The run, not ended, whatever time it is."""
    assert seen is not None
    return evolve(seen, state="running", ended_at=None)


def waiting(world: World) -> Run:
    """A run that was accepted and certainly is not in Airflow; the workflow is paused, so that it stays so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.airflow, "trigger", _raise(DagNotFound(DAG)))
        run = world.service.run(NAME)
    world.service.pause(NAME)
    assert run.submission is Submission.WAITING
    return run


def _raise(error: Exception) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
