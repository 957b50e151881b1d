"""Mirror Airflow: changes of runs and DAGs are seen in a bounded number of requests, and reads rely on that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from tests.support.mirrored import ZONED, Mirrored, a_mirrored_world
from tests.support.world import DAG, ME, NAME, a_spec
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import SourceType
from workflow_core.fakes.airflow_dags import FakeDag


@pytest.fixture
def world() -> Mirrored:
    return a_mirrored_world()


class TestRequests:
    def test_a_pass_asks_airflow_a_few_times_at_most(self, world: Mirrored) -> None:
        """Whatever there is to follow: 150 workflows, and runs of them."""
        world.register_all(*(f"a.b{number:03d}" for number in range(150)))
        for number in range(150):
            world.airflow.add_dag(FakeDag(dag_id=f"others_{number}"))
        for number in range(20):
            world.usecases.run(f"a.b{number:03d}")
        for _ in range(6):
            world.clock.sleep(2)
            before = world.airflow.asked
            world.sweeper.sweep()
            assert world.airflow.asked - before <= 4  # in five requests: for changes of runs there are two

    def test_every_pause_is_seen_within_a_cycle_of_pages(self, world: Mirrored) -> None:
        """However many DAGs there are, each page comes in its turn."""
        world.register_all(*(f"a.b{number:03d}" for number in range(150)))
        world.airflow.set_paused("a_b149", paused=True)
        world.airflow.set_paused("a_b000", paused=True)
        world.sweep(2)
        assert (world.types("a.b000"), world.types("a.b149")) == (["paused_in_airflow"], ["paused_in_airflow"])

    def test_everything_is_looked_at_in_turn(self, world: Mirrored) -> None:
        """One a pass."""
        names = [f"a.b{number}" for number in range(9)]
        world.register_all(*names)
        for name in names:
            world.storage.delete(SourceType.MANUAL, name)
        world.sweep(10)
        assert {name: world.types(name) for name in names} == {name: ["yaml_missing"] for name in names}

    def test_what_is_missing_from_the_list_is_looked_at_first(self, world: Mirrored) -> None:
        """After one complete cycle, not after everything else."""
        names = [f"a.b{number:02d}" for number in range(40)]
        world.register_all(*names)
        world.sweep(45)
        world.airflow.withdraw("a_b39")
        world.sweep(3)
        assert world.types("a.b39") == ["dag_missing"]


class TestTasks:
    def test_a_task_that_ended_is_counted_in_the_next_pass(self, world: Mirrored) -> None:
        """A change of a task is mirrored for each of many active runs, although Airflow does not list it as a change of the run."""
        world.register_all("a.steps")
        tasks = "  - {task_id: last, operator: bash, bash_command: 'true', dependencies: [only]}\n"
        world.usecases.register("a.steps", a_spec("a.steps", schedule=ZONED) + tasks, caller=ME, force=True)
        world.sweep()
        world.airflow.set_paused(DAG, paused=True)
        for _ in range(150):
            world.usecases.run(NAME)
        steps = world.usecases.run("a.steps").run_id
        world.sweep(2)
        assert world.usecases.status(steps).run.progress.completed_tasks == 0
        world.sweep()
        assert world.usecases.status(steps).run.progress.completed_tasks == 1

    def test_tasks_of_active_runs_are_counted_in_turn(self, world: Mirrored) -> None:
        """A task that was cleared in Airflow has not ended; one pass reads at most a page of tasks for this."""
        world.airflow.set_paused(DAG, paused=True)
        for _ in range(150):
            world.usecases.run(NAME)
        world.sweep(2)
        read: list[int] = []
        real = world.airflow.tasks

        def tasks(runs: Any) -> Any:
            read.append(len(runs))
            return real(runs)

        world.airflow.tasks = tasks
        world.sweep(4)
        assert max(read) <= 100
        assert sum(read) >= 150


class TestDeleted:
    def test_a_run_that_somebody_deleted_is_noticed(self, world: Mirrored) -> None:
        """Airflow lists no such change; the active runs are polled in turn."""
        world.airflow.set_paused(DAG, paused=True)
        kept = [world.usecases.run(NAME).run_id for _ in range(3)]
        gone = world.usecases.run(NAME).run_id
        world.sweep()
        world.airflow.remove_run(DAG, gone)
        world.sweep(4)
        assert world.usecases.status(gone).run.status is RunStatus.FAILED
        assert {world.usecases.status(run_id).run.status for run_id in kept} == {RunStatus.PENDING}


class TestFreshness:
    def test_a_run_that_is_followed_is_told_from_what_the_worker_saw(self, world: Mirrored) -> None:
        """Airflow is not asked in the request."""
        run_id = world.usecases.run(NAME).run_id
        world.sweep()
        before = world.airflow.asked
        view = world.usecases.status(run_id)
        assert (view.run.status, view.stale, world.airflow.asked) == (RunStatus.RUNNING, False, before)

    def test_without_a_worker_reads_look_themselves(self, world: Mirrored) -> None:
        """When the last pass is too long ago."""
        run_id = world.usecases.run(NAME).run_id
        world.sweep()
        world.clock.sleep(5)
        assert world.usecases.status(run_id).run.status is RunStatus.SUCCESS

    def test_a_run_that_nobody_saw_with_its_tasks_yet_is_looked_at(self, world: Mirrored) -> None:
        """Right after it was sent."""
        run_id = world.usecases.run(NAME).run_id
        progress = world.usecases.status(run_id).run.progress
        assert progress is not None
        assert progress.total_tasks == 1

    def test_an_airflow_that_is_away_is_not_asked_by_everybody(self, world: Mirrored) -> None:
        """The worker knows; the answer says that it is old, and how old."""
        run_id = world.usecases.run(NAME).run_id
        world.sweep()
        began = world.clock.now()
        world.airflow.go_down()
        world.sweep()
        before = world.airflow.asked
        view = world.usecases.status(run_id)
        assert (view.stale, view.observed_at, world.airflow.asked) == (True, began, before)

    def test_a_workflow_is_looked_at_without_a_worker(self, world: Mirrored) -> None:
        """A request polls Airflow and returns its state; during an outage the answer is stale."""
        world.clock.sleep(60)
        world.airflow.set_paused(DAG, paused=True)
        assert world.types() == ["paused_in_airflow"]
        world.airflow.go_down()
        assert (world.types(), world.usecases.workflow(NAME).stale) == (
            ["paused_in_airflow", "airflow_unreachable"],
            True,
        )


class TestNextRun:
    def test_airflow_s_own_counts(self, world: Mirrored) -> None:
        """The next run is Airflow's, if Airflow reported it for the current schedule."""
        told = world.clock.now() + timedelta(hours=7)
        ours = world.usecases.workflow(NAME).next_run
        real = world.airflow._seen_dag
        world.airflow._seen_dag = lambda dag: evolve(real(dag), next_run=told)
        assert ours != told
        world.sweep()
        assert world.usecases.workflow(NAME).next_run == told
        assert world.usecases.workflows().items[0].next_run == told

    def test_ours_where_airflow_s_is_over_or_unknown(self, world: Mirrored) -> None:
        """A moment that has passed, or of another spec, or none."""
        ours = world.usecases.workflow(NAME).next_run
        real = world.airflow._seen_dag
        for odd in ({"next_run": world.clock.now()}, {"next_run": None}, {"spec_hash": "0000000000000000"}):
            world.airflow._seen_dag = lambda dag, odd=odd: evolve(real(dag), **odd)
            world.sweep()
            assert world.usecases.workflow(NAME).next_run == ours

    def test_none_while_paused(self, world: Mirrored) -> None:
        """Whatever Airflow says."""
        world.usecases.pause(NAME)
        world.sweep()
        assert world.usecases.workflow(NAME).next_run is None


def test_the_database_is_no_airflow(world: Mirrored) -> None:
    """A store that fails does not make Airflow unreachable."""
    world.database.fail("observed_until")
    world.sweeper.sweep()
    assert not world.database.observations.airflow_state().is_stale
