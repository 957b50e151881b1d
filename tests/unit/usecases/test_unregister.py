"""Unregister a workflow: its runs are stopped, its name is free, its history stays."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from tests.support.stops import YAML, a_stopping_world, raising, schedule_fires, still_running, waiting
from tests.support.world import DAG, ME, NAME
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, RunType, TaskState
from workflow_core.domain.workflow import Phase, SourceType, WorkflowStatus
from workflow_core.errors import (
    AirflowUnavailable,
    StorageUnavailable,
    WorkflowHasActiveRuns,
    WorkflowNotFound,
    WorkflowPermissionDenied,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make_world():
    return a_stopping_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestUnregister:
    def test_it_is_gone_everywhere(self, world):
        """Not listed, its YAML deleted, its DAG out of Airflow, its name free."""
        workflow = world.usecases.unregister(NAME, caller=ME)
        assert (workflow.phase.has_left, workflow.airflow_paused, workflow.removal.by) == (True, True, "me@example.com")
        world.sweeper.sweep()
        with pytest.raises(WorkflowNotFound):
            world.usecases.workflow(NAME)
        assert world.usecases.workflows().total == 0
        assert world.storage.stat(SourceType.MANUAL, NAME) is None
        assert world.airflow.dag(DAG) is None
        assert world.database.workflows.unsettled_workflows(10) == ()

    def test_its_history_stays_and_it_comes_back_anew(self, world):
        """The name may be registered again at once; runs of before are in the history with those of now."""
        before = world.begin()
        world.clock.sleep(60)
        world.sweeper.sweep()
        world.usecases.pause(NAME, "tea")
        world.usecases.unregister(NAME)
        again = world.usecases.register(NAME, YAML, caller=ME)
        assert (again.status, again.phase, again.pause, again.is_settled) == (
            WorkflowStatus.ACTIVE, Phase.SERVED, None, True,
        )  # fmt: skip
        assert world.airflow.dag(DAG).is_paused is False
        after = world.begin()
        world.settle(60)
        assert {run.run_id for run in world.usecases.history().items} == {before.run_id, after.run_id}
        assert world.database.workflows.unsettled_workflows(10) == ()
        assert world.storage.stat(SourceType.MANUAL, NAME) is not None

    def test_a_write_of_its_yaml_that_arrives_late_is_undone(self, world, monkeypatch):
        """The request that stored it was given up, and reached the store only after the YAML had been deleted."""
        with monkeypatch.context() as patched:
            patched.setattr(world.airflow, "request_parse", lambda _: None)  # Airflow takes its time to drop the DAG
            assert world.usecases.unregister(NAME).phase is Phase.LEAVING
        world.storage.put(SourceType.MANUAL, NAME, YAML, expected=None)
        world.settle()
        assert world.storage.stat(SourceType.MANUAL, NAME) is None
        assert world.database.workflows.unsettled_workflows(10) == ()

    @pytest.mark.parametrize("running", [True, False])
    def test_active_runs_are_in_the_way(self, world, running):
        """It is refused, and nothing has changed."""
        world.begin(running=running)
        with pytest.raises(WorkflowHasActiveRuns):
            world.usecases.unregister(NAME)
        assert world.usecases.workflow(NAME).workflow.status is WorkflowStatus.ACTIVE
        assert world.airflow.dag(DAG).is_paused is False
        assert world.storage.stat(SourceType.MANUAL, NAME) is not None

    def test_by_force_its_runs_are_stopped(self, world):
        """Those in Airflow end there, one that waits never reaches it; both are STOPPED in the history."""
        running = world.begin()
        waits = waiting(world)
        world.usecases.unregister(NAME, force=True, caller=ME)
        assert world.airflow.run(DAG, running.run_id).state == "failed"
        world.settle()
        for run in (running, waits):
            found = world.usecases.status(run.run_id).run
            assert (found.status, found.stop.by) == (RunStatus.STOPPED, "me@example.com")
        assert world.airflow.run(DAG, waits.run_id) is None

    @pytest.mark.parametrize(("ends", "status"), [("success", RunStatus.SUCCESS), ("failed", RunStatus.FAILED)])
    def test_by_force_one_whose_tasks_have_just_ended_keeps_its_result(self, world, monkeypatch, ends, status):
        """Airflow 2.11 cannot end a run whose DAG is gone, so the run is ended before the DAG is removed."""
        run = world.begin()
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
        world.usecases.unregister(NAME, force=True)
        found = world.database.workflows.run(run.run_id)
        assert (found.status, found.stop) == (status, None)
        assert told == [ends, "gone"]

    def test_a_run_that_airflow_has_just_made_is_in_the_way(self, world):
        """Whether or not the worker has seen it."""
        schedule_fires(world)
        with pytest.raises(WorkflowHasActiveRuns):
            world.usecases.unregister(NAME)

    def test_a_run_that_airflow_makes_meanwhile_is_stopped(self, world, monkeypatch):
        """The schedule may fire between the request and the pause."""
        set_paused = world.airflow.set_paused

        def fire_first(*arguments, **named):
            monkeypatch.undo()
            schedule_fires(world)
            set_paused(*arguments, **named)

        monkeypatch.setattr(world.airflow, "set_paused", fire_first)
        world.usecases.unregister(NAME)
        (run,) = world.usecases.history().items
        assert (run.run_type, run.status) == (RunType.SCHEDULED, RunStatus.STOPPING)
        world.settle()
        assert world.status(run) is RunStatus.STOPPED

    @pytest.mark.parametrize("down", ["airflow", "storage"])
    def test_without_a_system_it_is_refused_and_nothing_recorded(self, world, down):
        """503 before the commit."""
        fake = getattr(world, down)
        fake.go_down()
        with pytest.raises((AirflowUnavailable, StorageUnavailable)):
            world.usecases.unregister(NAME)
        fake.come_back()
        assert world.usecases.workflow(NAME).workflow.status is WorkflowStatus.ACTIVE

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
            world.usecases.unregister(NAME)
        for _ in range(3):
            world.sweeper.sweep()
        assert (world.database.workflows.workflow(NAME), world.airflow.dag(DAG)) == (None, None)
        assert world.storage.stat(SourceType.MANUAL, NAME) is None
        assert world.database.workflows.unsettled_workflows(10) == ()

    def test_a_worker_that_is_faster_finishes_it(self, world, monkeypatch):
        """The request finds it done, and says so."""
        set_paused = world.airflow.set_paused

        def sweep_first(*arguments, **named):
            monkeypatch.undo()
            world.sweeper.sweep()
            set_paused(*arguments, **named)

        monkeypatch.setattr(world.airflow, "set_paused", sweep_first)
        gone = world.usecases.unregister(NAME)
        assert (gone.phase.has_left, gone.airflow_paused) == (True, True)

    def test_while_it_is_being_unregistered_it_takes_nothing(self, world, monkeypatch):
        """No run, no pause, no second registration; unregistering it again is the same answer."""
        monkeypatch.setattr(world.storage, "delete", raising(StorageUnavailable("down")))
        first = world.usecases.unregister(NAME, caller=ME)
        assert (first.phase, first.status) == (Phase.UNREGISTERING, WorkflowStatus.DISABLED)
        for refused in (world.usecases.run, world.usecases.pause, world.usecases.unpause):
            with pytest.raises(WorkflowNotFound):
                refused(NAME)
        assert world.usecases.unregister(NAME, caller=Caller(name="other")).removal == first.removal

    def test_a_workflow_that_cannot_be_built_can_be_unregistered(self, make_world):
        """As can any other."""
        world = make_world()
        found = world.database.workflows.workflow(NAME)
        world.database.workflows.save_workflow(found.failed("no such module", world.clock.now()))
        assert world.usecases.unregister(NAME).phase.has_left

    def test_code_is_not_unregistered_over_this_api(self, world):
        """It goes when its file goes (section 1.3)."""
        world.database.workflows.save_workflow(
            evolve(world.database.workflows.workflow(NAME), source_type=SourceType.CODE)
        )
        with pytest.raises(WorkflowPermissionDenied):
            world.usecases.unregister(NAME)

    def test_the_runs_of_what_has_left_are_followed(self, world):
        """A run that is stopping when its workflow leaves is followed to its end."""
        run = world.begin()
        world.usecases.unregister(NAME, force=True)
        assert world.usecases.status(run.run_id).run.status is RunStatus.STOPPING
        world.settle()
        assert world.usecases.status(run.run_id).run.status is RunStatus.STOPPED
        assert world.database.workflows.history(HistoryFilter(dataset_name=NAME), PageRequest()).total == 1

    def test_an_unknown_workflow(self, world):
        """There is nothing to unregister, the second time neither."""
        world.usecases.unregister(NAME)
        for name in (NAME, "a.b"):
            with pytest.raises(WorkflowNotFound):
                world.usecases.unregister(name)
