"""The controls of ``InMemoryAirflow`` and ``ManualClock`` beyond their ports' contracts, for tests and embedding programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workflow_adapters.clock import SystemClock
from workflow_core.domain.names import dag_id_for, loader_for, sentinel_dag_id
from workflow_core.domain.run import RunType
from workflow_core.domain.spec import SpecRules, spec_hash
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import AirflowOutcomeUnknown, AirflowUnavailable, DagNotFound, LoaderNotInstalled
from workflow_core.fakes.airflow import Effect, InMemoryAirflow
from workflow_core.fakes.airflow_dags import FakeDag, FakeTask
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.ports.clock import ClockPort

NAME = "iceberg.daily_clicks"
DAG = dag_id_for(NAME)
SENTINEL = sentinel_dag_id(loader_for(DAG, 8), 8)
TEXT = f"""\
version: v1
name: {NAME}
owner: data@example.com
schedule: {{cron: "0 6 * * *"}}
params: {{region: EU}}
tasks:
  - {{task_id: extract, operator: empty}}
  - {{task_id: load, operator: empty, dependencies: [extract]}}
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def storage() -> InMemoryStorage:
    return InMemoryStorage()


@pytest.fixture
def airflow(storage: InMemoryStorage, clock: ManualClock) -> InMemoryAirflow:
    return InMemoryAirflow(storage=storage, clock=clock)


def _states(airflow: InMemoryAirflow) -> dict[str, str | None]:
    return {task.task_id: task.state for task in airflow.tasks([(DAG, "run")])[DAG, "run"]}


def test_a_stored_spec_becomes_a_dag_that_runs(
    airflow: InMemoryAirflow, storage: InMemoryStorage, clock: ManualClock
) -> None:
    """From the store to success, second by second: queued for one, then each task for one."""
    storage.put(SourceType.MANUAL, NAME, TEXT, expected=None)
    airflow.request_parse(SENTINEL)
    dag = airflow.dag(DAG)
    assert dag is not None
    assert (dag.spec_hash, dag.error, dag.is_paused) == (spec_hash(TEXT), None, False)
    airflow.trigger(DAG, "run", conf={"region": "US"})
    seen = []
    for _ in range(4):
        run = airflow.run(DAG, "run")
        assert run is not None
        seen.append((run.state, _states(airflow)))
        clock.sleep(1)
    assert seen == [
        ("queued", {"extract": None, "load": None}),
        ("running", {"extract": "running", "load": None}),
        ("running", {"extract": "success", "load": "running"}),
        ("success", {"extract": "success", "load": "success"}),
    ]


def test_code_wins_over_manual(airflow: InMemoryAirflow, storage: InMemoryStorage) -> None:
    """Of two specs of one name the CODE one is served, and the MANUAL one again when it is gone."""
    code = TEXT + "description: from CI\n"
    storage.put(SourceType.MANUAL, NAME, TEXT, expected=None)
    storage.put(SourceType.CODE, NAME, code, expected=None)
    found = []
    for _ in range(2):
        airflow.request_parse(SENTINEL)
        dag = airflow.dag(DAG)
        assert dag is not None
        found.append(dag.spec_hash)
        storage.delete(SourceType.CODE, NAME)
    assert found == [spec_hash(code), spec_hash(TEXT)]


def test_a_spec_that_cannot_be_built_is_served_with_its_error(storage: InMemoryStorage, clock: ManualClock) -> None:
    """Its DAG carries the hash and the reason, and its runs fail."""
    airflow = InMemoryAirflow(storage=storage, clock=clock, rules=SpecRules(operators=("none",)))
    storage.put(SourceType.MANUAL, NAME, TEXT, expected=None)
    airflow.request_parse(SENTINEL)
    dag = airflow.dag(DAG)
    assert dag is not None
    assert dag.spec_hash == spec_hash(TEXT)
    assert dag.error is not None
    assert "not allowed here" in dag.error
    airflow.set_paused(DAG, paused=False)
    airflow.trigger(DAG, "run", conf={})
    clock.sleep(10)
    run = airflow.run(DAG, "run")
    assert run is not None
    assert run.state == "failed"


def test_a_removed_spec_is_no_longer_served(airflow: InMemoryAirflow, storage: InMemoryStorage) -> None:
    """The parse after its removal takes the DAG away, and no other."""
    storage.put(SourceType.MANUAL, NAME, TEXT, expected=None)
    airflow.add_dag(FakeDag(dag_id="other"))
    airflow.request_parse(SENTINEL)
    storage.delete(SourceType.MANUAL, NAME)
    airflow.request_parse(SENTINEL)
    assert airflow.dag(DAG) is None
    assert airflow.dag("other") is not None


def test_the_pause_state_outlives_a_parse(airflow: InMemoryAirflow, storage: InMemoryStorage) -> None:
    """A new text changes what is served, not whether it is paused."""
    etag = storage.put(SourceType.MANUAL, NAME, TEXT, expected=None)
    airflow.request_parse(SENTINEL)
    airflow.set_paused(DAG, paused=False)
    storage.put(SourceType.MANUAL, NAME, TEXT + "team: x\n", expected=etag)
    airflow.request_parse(SENTINEL)
    dag = airflow.dag(DAG)
    assert dag is not None
    assert (dag.is_paused, dag.spec_hash) == (False, spec_hash(TEXT + "team: x\n"))


def test_tasks_end_in_the_state_that_the_test_sets(airflow: InMemoryAirflow, clock: ManualClock) -> None:
    """A task that is set to fail also fails the tasks that depend on it."""
    tasks = (FakeTask(task_id="a"), FakeTask(task_id="b", after=("a",)), FakeTask(task_id="c"))
    airflow.add_dag(FakeDag(dag_id=DAG, tasks=tasks, is_paused=False))
    airflow.end_task(DAG, "a", "failed")
    airflow.end_task(DAG, "c", "skipped")
    airflow.trigger(DAG, "run", conf={})
    clock.sleep(10)
    assert _states(airflow) == {"a": "failed", "b": "upstream_failed", "c": "skipped"}


@pytest.mark.parametrize("effect", Effect)
def test_an_answer_is_lost_after_or_before_the_effect(airflow: InMemoryAirflow, effect: Effect) -> None:
    """The caller sees the same error in both cases; only the run shows the difference."""
    airflow.add_dag(FakeDag(dag_id=DAG))
    airflow.lose_answers(effect)
    with pytest.raises(AirflowOutcomeUnknown):
        airflow.trigger(DAG, "run", conf={})
    assert (airflow.run(DAG, "run") is not None) is (effect is Effect.DONE)
    assert airflow.trigger(DAG, "run", conf={}).run_id == "run"


def test_a_refusal_can_be_lost_too(airflow: InMemoryAirflow) -> None:
    """A lost answer is unknown even where it would have been an error; the next one is heard."""
    airflow.lose_answers(Effect.DONE)
    with pytest.raises(AirflowOutcomeUnknown):
        airflow.trigger(DAG, "run", conf={})
    with pytest.raises(DagNotFound):
        airflow.trigger(DAG, "run", conf={})


def test_it_goes_down_and_comes_back(airflow: InMemoryAirflow) -> None:
    """The end of an outage also ends every other requested fault."""
    airflow.add_dag(FakeDag(dag_id=DAG))
    airflow.go_down()
    airflow.lose_answers(Effect.DONE)
    with pytest.raises(AirflowUnavailable):
        airflow.ping()
    airflow.come_back()
    airflow.ping()
    airflow.set_paused(DAG, paused=False)


def test_loaders_can_be_uninstalled(airflow: InMemoryAirflow, storage: InMemoryStorage) -> None:
    """Without loader files there is no sentinel, and none of their DAGs."""
    storage.put(SourceType.MANUAL, NAME, TEXT, expected=None)
    airflow.request_parse(SENTINEL)
    airflow.uninstall()
    assert airflow.dag(SENTINEL) is None
    assert airflow.dag(DAG) is None
    with pytest.raises(LoaderNotInstalled):
        airflow.request_parse(SENTINEL)


def test_runs_of_others_come_and_go(airflow: InMemoryAirflow) -> None:
    """A run that the scheduler created exists until a user deletes it."""
    airflow.add_dag(FakeDag(dag_id=DAG))
    airflow.add_run(DAG, "scheduled__1", run_type=RunType.SCHEDULED, triggered_by="scheduler")
    run = airflow.run(DAG, "scheduled__1")
    assert run is not None
    assert (run.run_type, run.triggered_by) == (RunType.SCHEDULED, "scheduler")
    airflow.remove_run(DAG, "scheduled__1")
    assert airflow.run(DAG, "scheduled__1") is None


def test_a_manual_clock_moves_only_when_told() -> None:
    """It stands still, jumps over a sleep, never goes back in one, and can be set."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    clock = ManualClock(start)
    assert isinstance(clock, ClockPort)
    assert (clock.now(), clock.now()) == (start, start)
    clock.sleep(1.5)
    clock.sleep(-5)
    assert clock.now() == start + timedelta(seconds=1.5)
    clock.set(start)
    assert clock.now() == start


def test_the_system_s_clock_tells_utc_and_waits() -> None:
    """Its time is aware, and a sleep takes as long as it says; none for zero or less."""
    clock = SystemClock()
    assert isinstance(clock, ClockPort)
    before = clock.now()
    clock.sleep(0.02)
    clock.sleep(-1)
    assert clock.now() - before >= timedelta(seconds=0.019)
    assert before.tzinfo is UTC
