"""What is not as it is wanted: seen by the worker in a bounded number of requests, told in words, over the fakes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve, frozen

from workflow_core.domain.caller import Caller
from workflow_core.domain.conditions import ConditionType, Severity
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import AirflowUnavailable
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.fakes.airflow_dags import FakeDag
from workflow_core.service import WorkflowService
from workflow_core.usecases.config import ServiceConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workflow_core.domain.workflow import Workflow

NAME = "iceberg.analytics.daily_clicks"
DAG = "iceberg_analytics_daily_clicks"
ME = Caller(name="me@example.com")
LATER = datetime(2026, 2, 1, tzinfo=UTC)
LATE = ServiceConfig().in_flight_limit.total_seconds()
YAML = """\
version: v1
name: {name}
owner: data@example.com
schedule: {{cron: "0 6 * * *", timezone: America/New_York}}
tasks:
  - {{task_id: only, operator: bash, bash_command: "true"}}
"""


class Airflow(InMemoryAirflow):
    """The fake, which counts what it is asked; ``meanwhile`` happens once, between its answer to a pass and whatever the pass does next."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.asked = 0
        self.meanwhile: list[Callable[[], object]] = []

    def list_dags(self, offset: int = 0, *, limit: int = 100) -> Any:
        return self._then(super().list_dags(offset, limit=limit))

    def dag(self, dag_id: str) -> Any:
        return self._then(super().dag(dag_id))

    def _then(self, answer: Any) -> Any:
        while self.meanwhile:
            self.meanwhile.pop(0)()
        return answer

    def _reached(self, *, changes: bool = False) -> Any:
        self.asked += 1
        return super()._reached(changes=changes)


@frozen(kw_only=True)
class World:
    """A registered workflow, a service and the fakes behind it."""

    service: WorkflowService
    database: InMemoryDatabase
    airflow: Airflow
    storage: InMemoryStorage
    clock: ManualClock

    def sweep(self, passes: int = 1) -> None:
        for _ in range(passes):
            self.clock.sleep(2)
            self.service.sweep()

    def drifted(self, *, paused: bool) -> Callable[..., Any]:
        """Have somebody change the pause state in Airflow; returns what changes it back."""
        if not paused:
            self.service.pause(NAME)
            self.clock.sleep(LATE)
            self.sweep()
        self.airflow.set_paused(DAG, paused=paused)
        self.sweep()
        assert len(self.types()) == 1
        return self.service.unpause if paused else self.service.pause

    def types(self, name: str = NAME) -> list[str]:
        return [condition.type.value for condition in self.service.workflow(name).conditions]

    def register(self, *names: str) -> None:
        for name in names:
            self.service.register(name, YAML.format(name=name), caller=ME)


@pytest.fixture
def world() -> World:
    clock, storage, database = ManualClock(), InMemoryStorage(), InMemoryDatabase()
    airflow = Airflow(storage=storage, clock=clock, queue_seconds=1, task_seconds=5)
    service = WorkflowService(
        database=database, airflow=airflow, storage=storage, clock=clock, policy=ServiceConfig(fresh_for=3.0)
    )
    world = World(service=service, database=database, airflow=airflow, storage=storage, clock=clock)
    world.register(NAME)
    world.sweep()
    return world


class TestConditions:
    def test_what_is_as_it_is_wanted_has_none(self, world: World) -> None:
        """Neither right after the registration nor later."""
        assert world.types() == []
        world.sweep(3)
        assert world.types() == []

    def test_paused_in_airflow(self, world: World) -> None:
        """Told with the moment at which it was first seen; it is not flipped back behind somebody's back."""
        world.airflow.set_paused(DAG, paused=True)
        world.sweep()
        first = world.clock.now()
        world.sweep(3)
        [condition] = world.service.workflow(NAME).conditions
        assert (condition.type, condition.severity) == (ConditionType.PAUSED_IN_AIRFLOW, Severity.ERROR)
        assert (condition.since, "dli workflow unpause" in condition.message) == (first, True)
        assert world.airflow.dag(DAG).is_paused

    @pytest.mark.parametrize("paused", [True, False])
    def test_a_late_request_of_ours(self, world: World, *, paused: bool) -> None:
        """A pause that was sent before an unpause, and is carried out after it, is no drift: what is wanted is told again, and stays."""
        for wish in (world.service.pause, world.service.unpause)[:: -1 if paused else 1]:
            wish(NAME, caller=ME)
        world.sweep()
        world.airflow.set_paused(DAG, paused=not paused)
        world.sweep()
        world.sweep()
        dag = world.airflow.dag(DAG)
        assert dag is not None
        assert dag.is_paused is paused
        assert world.types() == []

    def test_nothing_of_ours_is_that_late(self, world: World) -> None:
        """Once the wanted state has been seen so long after the wish that nothing of ours can arrive any more, it was somebody else."""
        world.service.pause(NAME, caller=ME)
        world.service.unpause(NAME, caller=ME)
        world.clock.sleep(LATE)
        world.sweep()
        world.airflow.set_paused(DAG, paused=True)
        world.sweep(2)
        assert world.types() == ["paused_in_airflow"]

    def test_somebody_pauses_at_once_what_was_registered(self, world: World) -> None:
        """Nobody has wanted another state before, so no request of ours can have asked for it."""
        world.register("a.new")
        world.airflow.set_paused("a_new", paused=True)
        world.sweep(2)
        assert world.types("a.new") == ["paused_in_airflow"]

    @pytest.mark.parametrize("paused", [True, False])
    def test_the_pause_of_an_earlier_workflow(self, world: World, *, paused: bool) -> None:
        """Who had the name before had its DAG paused as it left; if the new one finds it so, that may arrive once more."""
        registered = evolve(world.service.workflow(NAME).workflow, phase=Phase.REGISTERING)
        found = registered.found_served(LATER, paused=paused)
        assert found.pause_changed_at == (LATER if paused else None)

    def test_unpaused_in_airflow(self, world: World) -> None:
        """The other way round."""
        world.service.pause(NAME)
        world.clock.sleep(LATE)
        world.sweep()
        world.airflow.set_paused(DAG, paused=False)
        world.sweep()
        assert world.types() == ["unpaused_in_airflow"]
        assert not world.airflow.dag(DAG).is_paused

    @pytest.mark.parametrize("paused", [True, False])
    def test_what_is_wanted_is_applied_again_when_somebody_says_so(self, world: World, *, paused: bool) -> None:
        """Asking for the state that it has here is enough; the condition is gone at once."""
        ask = world.service.pause if paused else world.service.unpause
        ask(NAME)
        world.clock.sleep(LATE)
        world.sweep()
        world.airflow.set_paused(DAG, paused=not paused)
        world.sweep()
        assert len(world.types()) == 1
        ask(NAME)
        assert world.types() == []
        dag = world.airflow.dag(DAG)
        assert dag is not None
        assert dag.is_paused is paused

    @pytest.mark.parametrize("paused", [True, False])
    def test_what_a_pass_saw_before_counts_no_more(self, world: World, *, paused: bool) -> None:
        """Not after Airflow has confirmed another state to whoever asked for it while the pass was under way."""
        ask = world.drifted(paused=paused)
        world.register("a.first", "a.second")
        world.airflow.meanwhile = [partial(world.clock.sleep, 1), partial(ask, NAME)]
        world.sweep()
        assert world.airflow.meanwhile == []
        assert world.types() == []

    @pytest.mark.parametrize("paused", [True, False])
    def test_what_a_reader_saw_before_counts_no_more(self, world: World, *, paused: bool) -> None:
        """Neither in the answer nor later."""
        ask = world.drifted(paused=paused)
        world.clock.sleep(10)
        world.airflow.meanwhile = [partial(world.clock.sleep, 1), partial(ask, NAME)]
        shown = world.service.workflow(NAME)
        assert world.airflow.meanwhile == []
        assert shown.conditions == ()
        [seen] = world.database.observations.observations([shown.workflow.id]).values()
        assert seen.is_paused is not paused

    def test_a_pass_that_began_before_airflow_confirmed_a_pause(self, world: World) -> None:
        """It read the list of DAGs after the wish and before Airflow was told, and records it after: that is no drift."""
        world.register("a.first", "a.second")
        real, read = world.airflow.set_paused, world.database.workflows.workflows_of_dags
        world.airflow.set_paused = _away  # type: ignore[method-assign]
        assert not world.service.pause(NAME).is_settled

        def confirmed_after(dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
            found = read(dag_ids)
            world.airflow.set_paused = real  # type: ignore[method-assign]
            world.clock.sleep(1)
            assert world.service.pause(NAME).is_settled
            return found

        world.database.workflows.workflows_of_dags = confirmed_after  # type: ignore[method-assign]
        world.sweep()
        assert world.types() == []

    def test_a_pause_that_cannot_be_applied_again_now(self, world: World) -> None:
        """The worker goes on with it."""
        world.airflow.set_paused(DAG, paused=True)
        real = world.airflow.set_paused
        world.airflow.set_paused = _away  # type: ignore[method-assign]
        assert not world.service.unpause(NAME).is_settled
        world.airflow.set_paused = real  # type: ignore[method-assign]
        world.sweep()
        assert not world.airflow.dag(DAG).is_paused

    def test_a_pause_of_ours_is_no_drift(self, world: World) -> None:
        """What was seen before it says nothing of it."""
        world.service.pause(NAME)
        assert world.types() == []
        world.sweep()
        assert world.types() == []

    def test_a_dag_that_is_missing(self, world: World) -> None:
        """Two passes later, and it is gone when the DAG is back."""
        dag = world.airflow._dags[DAG]
        world.airflow.withdraw(DAG)
        world.sweep(2)
        assert world.types() == ["dag_missing"]
        world.airflow.add_dag(dag)
        world.sweep()
        assert world.types() == []

    def test_an_import_error(self, world: World) -> None:
        """Of the file that the DAG comes from."""
        world.airflow.break_imports(DAG)
        world.sweep()
        assert world.types() == ["import_error"]

    def test_a_dag_that_can_no_longer_be_built(self, world: World) -> None:
        """The workflow is disabled, with Airflow's reason; when it can be built again, it is as before."""
        dag = world.airflow._dags[DAG]
        world.airflow.add_dag(evolve(dag, error="no such operator"))
        world.sweep(2)
        assert world.types() == ["not_buildable"]
        found = world.database.workflows.workflow(NAME)
        assert found is not None
        assert (found.phase, found.phase_reason) == (Phase.FAILED, "no such operator")
        world.airflow.add_dag(dag)
        world.sweep(2)
        assert world.types() == []

    def test_another_spec_is_served(self, world: World) -> None:
        """Airflow runs something else than what was registered."""
        world.airflow.add_dag(evolve(world.airflow._dags[DAG], spec_hash="0000000000000000"))
        world.sweep(2)
        assert world.types() == ["other_spec_served"]

    def test_the_yaml_is_gone(self, world: World) -> None:
        """Behind our back."""
        world.storage.delete(SourceType.MANUAL, NAME)
        world.sweep(2)
        assert world.types() == ["yaml_missing"]

    @pytest.mark.parametrize("text", [YAML.format(name=NAME) + "# another\n", "x" * 300_000])
    def test_the_yaml_is_another(self, world: World, text: str) -> None:
        """Somebody wrote into the store, something that is no YAML of ours at all maybe."""
        held = world.storage.stat(SourceType.MANUAL, NAME)
        assert held is not None
        world.storage.put(SourceType.MANUAL, NAME, text, expected=held.etag)
        world.sweep(2)
        assert world.types() == ["yaml_changed"]

    def test_a_store_that_is_away_is_no_drift(self, world: World) -> None:
        """Nothing is known, so nothing is said."""
        world.storage.go_down()
        world.sweep(2)
        assert world.types() == []

    def test_not_served_yet(self, world: World) -> None:
        """Since it was registered."""
        real = world.airflow.request_parse
        world.airflow.request_parse = _nothing  # type: ignore[method-assign, assignment]
        world.register("a.b")
        [condition] = world.service.workflow("a.b").conditions
        assert (condition.type, condition.severity) == (ConditionType.NOT_SERVED_YET, Severity.WARNING)
        world.airflow.request_parse = real  # type: ignore[method-assign]

    def test_airflow_is_away(self, world: World) -> None:
        """Since the first pass that failed; it is said with everything that is read, and nothing else is lost."""
        world.airflow.set_paused(DAG, paused=True)
        world.sweep()
        reached = world.clock.now()
        world.airflow.go_down()
        world.sweep()
        since = world.clock.now()
        world.sweep(2)
        view = world.service.workflow(NAME)
        assert [(one.type.value, one.since) for one in view.conditions] == [
            ("paused_in_airflow", reached),
            ("airflow_unreachable", since),
        ]
        assert (view.stale, view.observed_at) == (True, reached)
        world.airflow.come_back()
        world.sweep()
        assert not world.service.workflow(NAME).stale


class TestRequests:
    def test_a_pass_asks_airflow_a_few_times_at_most(self, world: World) -> None:
        """Whatever there is to follow: 150 workflows, and runs of them."""
        world.register(*(f"a.b{number:03d}" for number in range(150)))
        for number in range(150):
            world.airflow.add_dag(FakeDag(dag_id=f"others_{number}"))
        for number in range(20):
            world.service.run(f"a.b{number:03d}")
        for _ in range(6):
            world.clock.sleep(2)
            before = world.airflow.asked
            world.service.sweep()
            assert world.airflow.asked - before <= 4  # in five requests: for changes of runs there are two

    def test_every_pause_is_seen_within_a_cycle_of_pages(self, world: World) -> None:
        """However many DAGs there are, each page comes in its turn."""
        world.register(*(f"a.b{number:03d}" for number in range(150)))
        world.airflow.set_paused("a_b149", paused=True)
        world.airflow.set_paused("a_b000", paused=True)
        world.sweep(2)
        assert (world.types("a.b000"), world.types("a.b149")) == (["paused_in_airflow"], ["paused_in_airflow"])

    def test_everything_is_looked_at_in_turn(self, world: World) -> None:
        """One a pass."""
        names = [f"a.b{number}" for number in range(9)]
        world.register(*names)
        for name in names:
            world.storage.delete(SourceType.MANUAL, name)
        world.sweep(10)
        assert {name: world.types(name) for name in names} == {name: ["yaml_missing"] for name in names}

    def test_what_is_missing_from_the_list_is_looked_at_first(self, world: World) -> None:
        """After one complete cycle, not after everything else."""
        names = [f"a.b{number:02d}" for number in range(40)]
        world.register(*names)
        world.sweep(45)
        world.airflow.withdraw("a_b39")
        world.sweep(3)
        assert world.types("a.b39") == ["dag_missing"]


class TestTasks:
    def test_a_task_that_ended_is_counted_in_the_next_pass(self, world: World) -> None:
        """Whichever of many active runs it is of: that their tasks change, Airflow does not tell as changes of runs."""
        world.register("a.steps")
        tasks = "  - {task_id: last, operator: bash, bash_command: 'true', dependencies: [only]}\n"
        world.service.register("a.steps", YAML.format(name="a.steps") + tasks, caller=ME, force=True)
        world.sweep()
        world.airflow.set_paused(DAG, paused=True)
        for _ in range(150):
            world.service.run(NAME)
        steps = world.service.run("a.steps").run_id
        world.sweep(2)
        assert world.service.status(steps).run.progress.completed_tasks == 0  # type: ignore[union-attr]
        world.sweep()
        assert world.service.status(steps).run.progress.completed_tasks == 1  # type: ignore[union-attr]

    def test_tasks_of_active_runs_are_counted_in_turn(self, world: World) -> None:
        """A task that somebody set back has not ended; no more than a page of tasks is read for that in one pass."""
        world.airflow.set_paused(DAG, paused=True)
        for _ in range(150):
            world.service.run(NAME)
        world.sweep(2)
        read: list[int] = []
        real = world.airflow.tasks

        def tasks(runs: Any) -> Any:
            read.append(len(runs))
            return real(runs)

        world.airflow.tasks = tasks  # type: ignore[method-assign]
        world.sweep(4)
        assert max(read) <= 100
        assert sum(read) >= 150


class TestDeleted:
    def test_a_run_that_somebody_deleted_is_noticed(self, world: World) -> None:
        """Airflow tells no such change; each active run is looked at in its turn."""
        world.airflow.set_paused(DAG, paused=True)
        kept = [world.service.run(NAME).run_id for _ in range(3)]
        gone = world.service.run(NAME).run_id
        world.sweep()
        world.airflow.remove_run(DAG, gone)
        world.sweep(4)
        assert world.service.status(gone).run.status is RunStatus.FAILED
        assert {world.service.status(run_id).run.status for run_id in kept} == {RunStatus.PENDING}


class TestFreshness:
    def test_a_run_that_is_followed_is_told_from_what_the_worker_saw(self, world: World) -> None:
        """Airflow is not asked in the request."""
        run_id = world.service.run(NAME).run_id
        world.sweep()
        before = world.airflow.asked
        view = world.service.status(run_id)
        assert (view.run.status, view.stale, world.airflow.asked) == (RunStatus.RUNNING, False, before)

    def test_without_a_worker_reads_look_themselves(self, world: World) -> None:
        """When the last pass is too long ago."""
        run_id = world.service.run(NAME).run_id
        world.sweep()
        world.clock.sleep(5)
        assert world.service.status(run_id).run.status is RunStatus.SUCCESS

    def test_a_run_that_nobody_saw_with_its_tasks_yet_is_looked_at(self, world: World) -> None:
        """Right after it was sent."""
        run_id = world.service.run(NAME).run_id
        progress = world.service.status(run_id).run.progress
        assert progress is not None
        assert progress.total_tasks == 1

    def test_an_airflow_that_is_away_is_not_asked_by_everybody(self, world: World) -> None:
        """The worker knows; the answer says that it is old, and how old."""
        run_id = world.service.run(NAME).run_id
        world.sweep()
        began = world.clock.now()
        world.airflow.go_down()
        world.sweep()
        before = world.airflow.asked
        view = world.service.status(run_id)
        assert (view.stale, view.observed_at, world.airflow.asked) == (True, began, before)

    def test_a_workflow_is_looked_at_without_a_worker(self, world: World) -> None:
        """And found as it is; an Airflow that is away makes it stale."""
        world.clock.sleep(60)
        world.airflow.set_paused(DAG, paused=True)
        assert world.types() == ["paused_in_airflow"]
        world.airflow.go_down()
        assert (world.types(), world.service.workflow(NAME).stale) == (
            ["paused_in_airflow", "airflow_unreachable"],
            True,
        )


class TestNextRun:
    def test_airflow_s_own_counts(self, world: World) -> None:
        """Where it has told it of the schedule that is in force."""
        told = world.clock.now() + timedelta(hours=7)
        ours = world.service.workflow(NAME).next_run
        real = world.airflow._seen_dag
        world.airflow._seen_dag = lambda dag: evolve(real(dag), next_run=told)  # type: ignore[method-assign]
        assert ours != told
        world.sweep()
        assert world.service.workflow(NAME).next_run == told
        assert world.service.workflows().items[0].next_run == told

    def test_ours_where_airflow_s_is_over_or_unknown(self, world: World) -> None:
        """A moment that has passed, or of another spec, or none."""
        ours = world.service.workflow(NAME).next_run
        real = world.airflow._seen_dag
        for odd in ({"next_run": world.clock.now()}, {"next_run": None}, {"spec_hash": "0000000000000000"}):
            world.airflow._seen_dag = lambda dag, odd=odd: evolve(real(dag), **odd)  # type: ignore[method-assign, misc]
            world.sweep()
            assert world.service.workflow(NAME).next_run == ours

    def test_none_while_paused(self, world: World) -> None:
        """Whatever Airflow says."""
        world.service.pause(NAME)
        world.sweep()
        assert world.service.workflow(NAME).next_run is None


def test_the_database_is_no_airflow(world: World) -> None:
    """A store that fails does not make Airflow unreachable."""
    world.database.fail("observed_until")
    world.service.sweep()
    assert not world.database.observations.airflow_state().is_stale


def _away(*_: object, **__: object) -> None:
    msg = "away"
    raise AirflowUnavailable(msg)


def _nothing(*_: object) -> None:
    """In the place of a parse."""
