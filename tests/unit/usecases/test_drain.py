"""What pausing means: new runs are refused at once, and Airflow's DAG is paused when no run is under way. Over the fakes and SQLite."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.support.world import DAG, ME, NAME, World, a_spec
from workflow_adapters.sql import SqlDatabase, make_engine, upgrade
from workflow_core.api import BackfillRequest, PauseRequest
from workflow_core.domain.caller import Caller
from workflow_core.domain.run import RunStatus, RunType, Submission
from workflow_core.domain.workflow import WorkflowStatus
from workflow_core.errors import AirflowUnavailable, WorkflowPaused
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase
from workflow_core.fakes.airflow import Effect
from workflow_core.usecases.config import ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from workflow_core.fakes.airflow_dags import FakeDag
    from workflow_core.ports.airflow import ServedDag
    from workflow_core.ports.database import Database

POLICY = ServiceConfig(register_wait=1.0)
YAML = a_spec(NAME, "one", "two", description="first")


class Airflow(InMemoryAirflow):
    """The fake, whose scheduler can be late: ``says_next`` is what it names as the next fire time, instead of the schedule's."""

    says_next: tuple[datetime | None] | None = None

    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        seen = super()._seen_dag(dag)
        return seen if self.says_next is None else evolve(seen, next_run=self.says_next[0])


class Pauses(World):
    """A registered workflow with tasks of ten seconds."""

    def run_in_first_task(self) -> str:
        """A run whose first task is at work."""
        run_id = self.start()
        self.sweep(2)
        assert self.tasks(run_id) == {"one": "running", "two": None}
        return run_id

    def tasks(self, run_id: str) -> dict[str, str | None]:
        return {task.task_id: task.state for task in self.airflow.tasks([(DAG, run_id)])[DAG, run_id]}

    @property
    def is_paused(self) -> bool:
        paused: bool = self.airflow._dags[DAG].is_paused
        return paused

    def status(self, run_id: str) -> RunStatus:
        return self.service.status(run_id).status

    def conditions(self) -> list[str]:
        return [one.type.value for one in self.service.workflow(NAME).conditions]


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pauses]:
    """A worker follows: it has just made a pass."""
    engine = make_engine(f"sqlite:///{tmp_path / 'db.sqlite'}") if request.param == "sqlite" else None
    database: Database = InMemoryDatabase()
    if engine is not None:
        upgrade(engine)
        database = SqlDatabase(engine)
    world = Pauses.of(airflow=Airflow, database=database, task_seconds=10, register_wait=POLICY.register_wait)
    world.register(yaml=YAML)
    world.sweep()
    yield world
    if engine is not None:
        engine.dispose()


def test_a_run_under_way_ends_and_then_the_dag_is_paused(world: Pauses) -> None:
    """The workflow is paused and refuses runs at once; its DAG in Airflow is paused only after the run has succeeded."""
    run_id = world.run_in_first_task()
    assert world.usecases.pause(NAME, caller=ME).status is WorkflowStatus.PAUSED
    with pytest.raises(WorkflowPaused):
        world.usecases.run(NAME, caller=ME)
    world.sweep(3)
    assert (world.is_paused, world.status(run_id)) == (False, RunStatus.RUNNING)
    world.sweep(10)
    assert (world.is_paused, world.status(run_id)) == (True, RunStatus.SUCCESS)
    assert world.conditions() == []


def test_the_answer_says_what_the_pause_waits_for(world: Pauses) -> None:
    """The answer to the pause has the number of active runs, `show` the condition `pause_pending`, `explain` its text."""
    world.run_in_first_task()
    answer = world.service.pause(NAME, PauseRequest(reason="tea"))
    waits = "1 run is active and may finish: the DAG is paused in Airflow when it has ended"
    assert (answer.status, answer.reason) == (WorkflowStatus.PAUSED, "tea")
    assert [waits in text for text in answer.warnings] == [False, True]
    [condition] = world.service.workflow(NAME).conditions
    assert (condition.type.value, condition.severity.value, waits in condition.message) == (
        "pause_pending",
        "warning",
        True,
    )
    reasons = {reason.code: reason.message for reason in world.service.explain_workflow(NAME).reasons}
    assert reasons["paused"] == "me@example.com paused it: tea."
    assert waits in reasons["pause_pending"]


def test_without_a_run_the_dag_is_paused_at_once(world: Pauses) -> None:
    """Nothing delays the pause, and no warning is returned."""
    answer = world.service.pause(NAME)
    assert (world.is_paused, answer.warnings, world.conditions()) == (True, (), [])


def test_without_a_worker_the_dag_is_paused_at_once(world: Pauses) -> None:
    """Nothing could pause it later; the answer, `show`, `explain` and the run's status say that the rest of the run waits."""
    run_id = world.run_in_first_task()
    world.clock.sleep(POLICY.lease + 1)
    second = world.usecases.run(NAME, caller=ME)
    world.clock.sleep(2)
    assert (world.status(run_id), world.status(second.run_id)) == (RunStatus.SUCCESS, RunStatus.RUNNING)
    answer = world.service.pause(NAME)
    assert world.is_paused
    held = "its started tasks end, the rest waits until the workflow is unpaused (`dli workflow unpause iceberg.analytics.daily_clicks`)"
    assert held in answer.warnings[0]
    world.clock.sleep(60)
    assert world.tasks(second.run_id) == {"one": "success", "two": None}
    assert world.conditions() == ["runs_held"]
    status = world.service.status(second.run_id)
    assert (status.status, status.held) == (
        RunStatus.RUNNING,
        "The DAG is paused in Airflow: its started tasks end, the rest waits until `dli workflow unpause iceberg.analytics.daily_clicks`.",
    )
    codes = [reason.code for reason in world.service.explain_run(second.run_id).reasons]
    assert codes == ["paused", "held"]
    world.service.unpause(NAME)
    world.clock.sleep(20)
    assert world.service.status(second.run_id).held is None
    assert world.status(second.run_id) is RunStatus.SUCCESS


def test_a_pass_that_nobody_repeats_waits_for_nothing(world: Pauses) -> None:
    """A command without a worker finds a pause that waits, and applies it."""
    world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.clock.sleep(3)
    alone = world.another()
    alone.sweeper.sweep(is_periodic=False)
    assert not world.is_paused, "a worker was heard of a moment ago"
    world.clock.sleep(POLICY.lease - 10)
    world.airflow._task_time = timedelta(hours=1)
    world.airflow.add_run(DAG, "manual__long", run_type=RunType.MANUAL, triggered_by="rita")
    world.clock.sleep(20)
    alone.sweeper.sweep(is_periodic=False)
    assert world.is_paused


def test_a_worker_that_starts_again_goes_on_waiting(world: Pauses) -> None:
    """However long no worker was there: the one that comes waits for the runs that are still under way."""
    world.airflow._task_time = timedelta(minutes=10)
    run_id = world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.clock.sleep(300)
    again = world.another()
    again.sweeper.sweep()
    assert not world.is_paused
    world.clock.sleep(1200)
    again.sweeper.sweep()
    again.sweeper.sweep()
    assert (world.is_paused, world.status(run_id)) == (True, RunStatus.SUCCESS)


@pytest.mark.parametrize(("before", "waits"), [(25, True), (19, False)])
def test_the_dag_is_paused_before_the_schedule_fires(world: Pauses, before: int, *, waits: bool) -> None:
    """A run that is still under way shortly before the next fire time is held: the schedule starts nothing."""
    world.airflow._task_time = timedelta(hours=30)
    fires = world.usecases.workflow(NAME).next_run
    assert fires is not None
    run_id = world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    assert not world.is_paused
    world.clock.sleep((fires - world.clock.now()).total_seconds() - before)
    world.sweeper.sweep()
    assert world.is_paused is not waits
    assert (world.conditions(), world.status(run_id)) == (
        ["pause_pending" if waits else "runs_held"],
        RunStatus.RUNNING,
    )


@pytest.mark.parametrize("owed", ["overdue", "held back"])
def test_a_fire_time_that_airflow_owes_is_not_waited_for(world: Pauses, owed: str) -> None:
    """A run that the schedule owes would start as soon as there is room for it, or as soon as the scheduler comes to it."""
    world.run_in_first_task()
    world.airflow.says_next = (world.clock.now() - timedelta(minutes=1) if owed == "overdue" else None,)
    world.usecases.pause(NAME, caller=ME)
    assert world.is_paused


def test_unpausing_cancels_a_pause_that_waits(world: Pauses) -> None:
    """The DAG was never paused, and the run ends; a worker that is about to pause it is outrun."""
    run_id = world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    workflow = world.usecases.unpause(NAME, caller=ME)
    assert (workflow.status, workflow.is_settled, world.is_paused) == (WorkflowStatus.ACTIVE, True, False)
    world.sweep(20)
    assert (world.is_paused, world.status(run_id)) == (False, RunStatus.SUCCESS)


def test_a_worker_that_applies_the_pause_meanwhile_is_undone(world: Pauses) -> None:
    """An unpause is sent to Airflow regardless of the recorded state, because the pause may still arrive there."""
    world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.airflow.set_paused(DAG, paused=True)  # by a worker that has not recorded it yet
    world.usecases.unpause(NAME, caller=ME)
    assert not world.is_paused


def test_a_run_that_is_not_known_yet_is_waited_for(world: Pauses) -> None:
    """Airflow is asked before its DAG is paused: the schedule may have started a run that no pass has seen."""
    world.airflow.add_run(DAG, "scheduled__x", run_type=RunType.SCHEDULED, triggered_by="scheduler")
    world.usecases.pause(NAME, caller=ME)
    assert not world.is_paused
    world.sweep(15)
    assert (world.is_paused, world.airflow._runs[DAG, "scheduled__x"].seen(world.clock.now()).state) == (
        True,
        "success",
    )


def test_a_run_on_its_way_is_waited_for_as_long_as_it_may_arrive(world: Pauses) -> None:
    """A request whose answer was lost may still arrive; later the run waits for the unpause, as one that was never sent."""
    world.airflow.lose_answers(Effect.NOT_DONE)
    run = world.usecases.run(NAME, caller=ME)
    assert run.submission is Submission.SENDING
    world.usecases.pause(NAME, caller=ME)
    world.sweep(10)
    assert not world.is_paused
    world.sweep(20)
    assert (world.is_paused, world.status(run.run_id)) == (True, RunStatus.PENDING)
    world.usecases.unpause(NAME, caller=ME)
    world.sweep(20)
    assert world.status(run.run_id) is RunStatus.SUCCESS


def test_a_pause_by_hand_ends_the_waiting(world: Pauses) -> None:
    """Somebody pauses the DAG in Airflow while the pause waits: that is what was wanted, and what is left of the run is held."""
    run_id = world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.airflow.set_paused(DAG, paused=True)
    world.sweep(2)
    assert (world.usecases.workflow(NAME).workflow.airflow_paused, world.conditions()) == (True, ["runs_held"])
    world.sweep(10)
    assert world.status(run_id) is RunStatus.RUNNING


def test_a_pause_that_waits_is_no_drift(world: Pauses) -> None:
    """However often the mirror looks: the DAG is not paused, and that is as it should be."""
    world.airflow._task_time = timedelta(hours=1)
    world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.sweep(60)
    assert (world.is_paused, world.conditions()) == (False, ["pause_pending"])


def test_pausing_again_waits_for_runs(world: Pauses) -> None:
    """Somebody unpaused the DAG by hand, and a run has begun: pausing again lets that one end."""
    world.usecases.pause(NAME, caller=ME)
    world.sweep(30)
    world.airflow.set_paused(DAG, paused=False)
    world.airflow.add_run(DAG, "manual__x", run_type=RunType.MANUAL, triggered_by="rita")
    world.sweep(1)
    assert world.conditions() == ["unpaused_in_airflow"]
    world.usecases.pause(NAME, caller=ME)
    assert (world.is_paused, world.conditions()) == (False, ["pause_pending"])
    world.sweep(20)
    assert (world.is_paused, world.airflow._runs[DAG, "manual__x"].seen(world.clock.now()).state) == (True, "success")


def test_runs_of_a_dag_that_was_paused_by_hand_are_explained(world: Pauses) -> None:
    """The workflow is active, its runs wait, and `explain` reports their number."""
    run_id = world.run_in_first_task()
    world.airflow.set_paused(DAG, paused=True)
    world.sweep(40)
    assert world.conditions() == ["paused_in_airflow", "runs_held"]
    reasons = {reason.code: reason.message for reason in world.service.explain_run(run_id).reasons}
    assert list(reasons) == ["paused_in_airflow", "held"]
    assert reasons["held"] == (
        "The rest of it waits: Airflow starts no tasks of a paused DAG."
        " `dli workflow unpause iceberg.analytics.daily_clicks` lets it continue."
    )
    queued = world.usecases.run(NAME, caller=ME)
    world.sweep(1)
    assert world.service.explain_run(queued.run_id).reasons[-1].message.startswith("It is queued in Airflow and waits")


def test_a_held_run_is_stopped(world: Pauses) -> None:
    """A stop needs no unpause."""
    run_id = world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.airflow.set_paused(DAG, paused=True)
    world.sweep(10)
    world.usecases.stop(run_id, caller=ME)
    world.sweep(25)
    assert (world.status(run_id), world.tasks(run_id)) == (RunStatus.STOPPED, {"one": "success", "two": "skipped"})


def test_dates_of_a_backfill_that_were_not_sent_wait(world: Pauses) -> None:
    """Those under way end, the DAG is paused, and the backfill goes on with the unpause."""
    days: dict[str, Any] = {"start_date": "2025-12-01", "end_date": "2025-12-04"}
    backfill = world.service.backfill(NAME, BackfillRequest(**days, max_active=2, parallel=True)).backfill_id
    world.sweep(2)
    world.usecases.pause(NAME, caller=ME)
    world.sweep(20)
    counts = [run.status.value for run in world.service.backfill_status(backfill).runs]
    assert (sorted(counts), world.is_paused) == (["PENDING", "PENDING", "SUCCESS", "SUCCESS"], True)
    world.usecases.unpause(NAME, caller=ME)
    world.sweep(40)
    assert world.service.backfill_status(backfill).status.value == "SUCCESS"


def test_a_new_revision_keeps_the_waiting(world: Pauses) -> None:
    """A spec that is registered while the workflow drains is served, the run ends, and then the DAG is paused."""
    run_id = world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.usecases.register(NAME, YAML.replace("first\n", "second\n", 1), force=True, caller=ME)
    world.sweep(2)
    assert not world.is_paused
    world.sweep(15)
    assert (world.is_paused, world.status(run_id)) == (True, RunStatus.SUCCESS)


def test_without_airflow_the_pause_waits_on(world: Pauses) -> None:
    """An outage changes nothing of it: the next pass that reaches Airflow decides."""
    run_id = world.run_in_first_task()
    world.usecases.pause(NAME, caller=ME)
    world.airflow.go_down()
    world.sweep(15)
    world.airflow.come_back()
    assert not world.is_paused
    world.sweep(3)
    assert (world.is_paused, world.status(run_id)) == (True, RunStatus.SUCCESS)


def test_two_workers_pause_it_once(world: Pauses) -> None:
    """Both wait for the same run."""
    world.run_in_first_task()
    other = world.another()
    world.usecases.pause(NAME, caller=ME)
    for _ in range(15):
        world.sweep(1)
        other.sweeper.sweep()
    assert (world.is_paused, world.conditions()) == (True, [])


def test_the_first_reason_stays_and_the_answer_says_so(world: Pauses) -> None:
    """Another reason for a workflow that is paused is not recorded, and that is no secret; the same one again is."""
    world.service.pause(NAME, PauseRequest(reason="tea"))
    again = world.service.pause(NAME, PauseRequest(reason="coffee"))
    assert (again.reason, len(again.warnings)) == ("tea", 1)
    assert "me@example.com paused it before, and that reason stays" in again.warnings[0]
    assert world.service.pause(NAME, PauseRequest(reason="tea")).warnings == ()
    assert world.service.pause(NAME).warnings == ()


def test_a_missing_reason_is_taken(world: Pauses) -> None:
    """A workflow that was paused without a reason takes the first one that is given; who paused it, and when, stays."""
    first = world.service.pause(NAME)
    world.clock.sleep(60)
    again = world.service.as_(Caller(name="rita")).pause(NAME, PauseRequest(reason="tea"))
    assert (again.reason, again.paused_by, again.paused_at, again.warnings) == (
        "tea",
        "me@example.com",
        first.paused_at,
        (),
    )
    assert world.service.workflow(NAME).pause_reason == "tea"


def test_a_pause_without_airflow_is_refused(world: Pauses) -> None:
    """Nothing is recorded."""
    world.airflow.go_down()
    with pytest.raises(AirflowUnavailable):
        world.usecases.pause(NAME, caller=ME)
    world.airflow.come_back()
    assert world.usecases.workflow(NAME).workflow.pause is None
