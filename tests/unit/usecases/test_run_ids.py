"""The runs of one second are numbered 1 to n, also after refused, lost or repeated requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.world import World, a_spec
from workflow_adapters.sql import SqlDatabase, make_engine, upgrade
from workflow_core.domain.caller import Caller, IdempotencyKey
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.errors import (
    AirflowUnavailable,
    ConcurrentUpdate,
    DatabaseOutcomeUnknown,
    DatabaseUnavailable,
    InvalidRequest,
    RunAlreadyExists,
    WorkflowError,
    WorkflowNotFound,
    WorkflowPaused,
)
from workflow_core.fakes import InMemoryDatabase
from workflow_core.fakes.store import Store
from workflow_core.fakes.workflows import InMemoryWorkflows
from workflow_core.usecases.run_ids import CACHED_SECONDS, RunIds

if TYPE_CHECKING:
    from tests.support.use_cases import UseCases
    from workflow_core.domain.run import Run
    from workflow_core.fakes.store import Store

AT = datetime(2026, 1, 1, 10, tzinfo=UTC)
NAME = "a.b"
FIRST = f"{NAME}_20260101_100000"
YAML = a_spec(NAME, params="{region: EU}")


def record(ids: RunIds, name: str, at: datetime) -> str:
    """Take the next id of a second."""
    with ids.reserve(name, at) as turn:
        run_id = turn.run_id
        turn.mark_taken()
        return run_id


def test_each_run_of_a_second_gets_an_id_of_its_own():
    """The first without a number, and every workflow and every second for itself."""
    ids = RunIds()
    recorded = [record(ids, "a.b", AT), record(ids, "a.b", AT), record(ids, "a.c", AT)]
    assert recorded == [FIRST, f"{FIRST}_2", "a.c_20260101_100000"]
    assert record(ids, "a.b", AT + timedelta(seconds=1)) == "a.b_20260101_100001"
    assert record(ids, "a.b", AT) == f"{FIRST}_3"


def test_a_turn_that_records_nothing_uses_up_nothing():
    """Neither one that ends without a run, nor one that ends in an error."""
    ids = RunIds()
    with ids.reserve(NAME, AT) as turn:
        assert turn.run_id == FIRST
    with pytest.raises(WorkflowPaused), ids.reserve(NAME, AT):
        raise WorkflowPaused(NAME)
    assert record(ids, NAME, AT) == FIRST


def test_runs_under_way_at_the_same_time_wait_for_no_other():
    """Concurrent runs get different numbers at once; a returned number goes to the next run of the second."""
    ids = RunIds()
    with ids.reserve(NAME, AT) as slow, ids.reserve(NAME, AT) as other:
        assert (slow.run_id, other.run_id) == (FIRST, f"{FIRST}_2")
        other.mark_taken()
    assert [record(ids, NAME, AT) for _ in range(2)] == [FIRST, f"{FIRST}_3"]


def test_the_lowest_returned_number_comes_first():
    """Whatever the order in which runs were refused."""
    ids = RunIds()
    with ids.reserve(NAME, AT) as first, ids.reserve(NAME, AT) as second, ids.reserve(NAME, AT) as third:
        for turn in (first, second, third):
            assert turn.run_id
        second.mark_taken()
    assert [record(ids, NAME, AT) for _ in range(3)] == [FIRST, f"{FIRST}_3", f"{FIRST}_4"]


def test_an_id_that_another_process_has_is_passed_over():
    """The database says so, and the next number is tried."""
    ids = RunIds()
    with ids.reserve(NAME, AT) as turn:
        assert [turn.run_id, turn.run_id] == [FIRST, FIRST]
        turn.mark_taken()
        assert turn.run_id == f"{FIRST}_2"
    assert record(ids, NAME, AT) == f"{FIRST}_2"


def test_only_the_latest_seconds_are_remembered():
    """The numbers of earlier seconds are forgotten, so that memory does not grow; the database says what is free."""
    ids = RunIds()
    record(ids, NAME, AT)
    for second in range(CACHED_SECONDS):
        record(ids, "a.c", AT + timedelta(seconds=second))
    assert record(ids, NAME, AT) == FIRST


class Refusing(InMemoryWorkflows):
    """The port in memory, which refuses the next runs: before it records them, or (an outcome that is unknown) after it did."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.refusals: list[WorkflowError] = []
        self.tried: list[str] = []

    def add_run(self, run: Run, **how: Any) -> None:
        self.tried.append(run.run_id)
        if self.refusals:
            raise self.refusals.pop(0)
        super().add_run(run, **how)


class Processes:
    """Several processes over one database, one Airflow and one clock."""

    def __init__(self, database: Any = None) -> None:
        memory = InMemoryDatabase()
        self.refusing = memory.workflows = Refusing(memory.store)
        first = self._first = World.of(at=AT, database=database or memory)
        self.clock, self.database, self.airflow = first.clock, first.database, first.airflow
        self.processes = [first.usecases, self.process()]
        self.processes[0].register(NAME, YAML)
        self.clock.sleep((AT - self.clock.now()).total_seconds() + 60)
        self.first = f"{NAME}_{self.clock.now():%Y%m%d_%H%M%S}"

    def process(self) -> UseCases:
        return self._first.another().usecases

    def ids(self) -> list[str]:
        return [run.run_id for run in self.database.workflows.history(HistoryFilter(), PageRequest(limit=500)).items]

    def numbers(self) -> list[int]:
        """The numbers of the runs that there are, in order."""
        return sorted(int(run_id.removeprefix(self.first).removeprefix("_") or 1) for run_id in self.ids())


@pytest.fixture
def world() -> Processes:
    return Processes()


def pause_and_unpause(world: Processes, service: UseCases) -> None:
    service.pause(NAME)
    service.unpause(NAME)


def register_again(world: Processes, service: UseCases) -> None:
    service.register(NAME, YAML.replace("EU", "US"), force=True)


def unregister_and_register(world: Processes, service: UseCases) -> None:
    service.unregister(NAME)
    service.register(NAME, YAML)


@pytest.mark.parametrize("change", [pause_and_unpause, register_again, unregister_and_register])
@pytest.mark.parametrize("process", [0, 1])
def test_a_run_after_any_change_of_the_workflow_has_the_first_number(world, change, process):
    """A decision on an outdated workflow uses no number, regardless of the process that changed it."""
    world.processes[0].run(NAME)
    world.clock.sleep(60)
    change(world, world.processes[process])
    world.clock.sleep(60)
    assert world.processes[0].run(NAME).run_id == f"{NAME}_{world.clock.now():%Y%m%d_%H%M%S}"


@pytest.mark.parametrize(
    "refusal",
    [
        DatabaseUnavailable("away"),
        DatabaseOutcomeUnknown("lost"),
        ConcurrentUpdate("Workflow 'a.b'"),
        WorkflowNotFound(NAME),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_run_that_was_not_recorded_leaves_its_number(world, refusal):
    """A lost transaction, a workflow that changed or went away: the next run of the second is the first."""
    world.refusing.refusals = [refusal]
    try:
        world.processes[0].run(NAME)
    except WorkflowError:
        world.processes[0].run(NAME)
    assert world.ids() == [world.first]


def test_a_refused_run_leaves_its_number(world):
    """Wrong params, a paused workflow, an Airflow that is away."""
    service = world.processes[0]
    service.run(NAME)
    world.clock.sleep(60)
    with pytest.raises(InvalidRequest):
        service.run(NAME, {"date": "never"})
    service.pause(NAME)
    with pytest.raises(WorkflowPaused):
        service.run(NAME)
    service.unpause(NAME)
    world.airflow.go_down()
    with pytest.raises(AirflowUnavailable):
        service.run(NAME)
    world.airflow.come_back()
    assert service.run(NAME).run_id == f"{NAME}_{world.clock.now():%Y%m%d_%H%M%S}"


def test_a_rehearsal_takes_no_number_and_gives_no_id_of_another_run(world):
    """Its id is the one that a real call would get."""
    service = world.processes[0]
    assert service.run(NAME, dry_run=True).run_id == world.first
    assert service.run(NAME).run_id == world.first
    assert service.run(NAME, dry_run=True).run_id == f"{world.first}_2"
    assert service.run(NAME).run_id == f"{world.first}_2"


def test_a_restarted_process_goes_on_where_the_last_one_was(world):
    """The database knows the numbers, and a new process asks it."""
    world.processes[0].run(NAME)
    world.processes[0].run(NAME)
    assert world.process().run(NAME).run_id == f"{world.first}_3"


def test_the_second_backfill_of_dates_is_numbered_only_if_the_first_was_recorded(world):
    """A backfill whose transaction was lost has left its id."""
    days = (date(2025, 12, 1), date(2025, 12, 2))
    add, lost = world.database.backfills.add_backfill, [DatabaseUnavailable("away"), ConcurrentUpdate("Backfill")]

    def losing(*arguments: Any, **how: Any) -> None:
        if lost:
            raise lost.pop(0)
        add(*arguments, **how)

    world.database.backfills.add_backfill = losing
    with pytest.raises(DatabaseUnavailable):
        world.processes[0].backfill(NAME, *days)
    backfilled = world.processes[0].backfill(NAME, *days)
    assert backfilled.backfill.backfill_id == f"{NAME}_backfill_20251201_20251202"


STEPS = st.sampled_from(["run", "run", "refused", "lost", "changed", "paused", "restarted", "again"])


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 1), STEPS), max_size=25))
def test_the_ids_of_a_second_have_no_holes(steps):
    """Over any interleaving of runs, refusals, lost transactions, changes, replays and restarts in two processes: 1 to n."""
    world = Processes()
    for number, (process, step) in enumerate(steps):
        service = world.processes[process]
        if step == "run":
            service.run(NAME)
        elif step == "refused":
            with pytest.raises(InvalidRequest):
                service.run(NAME, {"date": "never"})
        elif step == "lost":
            world.refusing.refusals = [DatabaseOutcomeUnknown("lost")]
            with pytest.raises(DatabaseOutcomeUnknown):
                service.run(NAME)
        elif step == "changed":
            pause_and_unpause(world, service)
        elif step == "paused":
            service.pause(NAME)
            with pytest.raises(WorkflowPaused):
                service.run(NAME)
            world.processes[1 - process].unpause(NAME)
        elif step == "restarted":
            world.processes[process] = world.process()
        else:
            caller = Caller(name="me", key=IdempotencyKey(text=f"k{number}", fingerprint="f"))
            service.run(NAME, caller=caller)
            with pytest.raises(WorkflowError):
                service.run(NAME, caller=caller)
    assert world.numbers() == list(range(1, len(world.ids()) + 1))


@pytest.mark.parametrize("database", ["fake", "sqlite"])
def test_many_threads_of_two_processes_leave_no_hole(database, tmp_path):
    """200 runs at the same time, every fifth refused: 1 to 160, and hardly one of them tried the number of another in its process."""
    engine = None
    if database == "sqlite":
        engine = make_engine(f"sqlite:///{tmp_path}/runs.db")
        upgrade(engine)
    world = Processes(SqlDatabase(engine) if engine is not None else None)

    def run(number: int) -> None:
        params = {"date": "never"} if number % 5 == 0 else {}
        service = world.processes[number % 2]
        if params:
            with pytest.raises(InvalidRequest):
                service.run(NAME, params)
        else:
            service.run(NAME)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(run, range(200)))
    assert world.numbers() == list(range(1, 161))
    if database == "fake":
        assert len(world.refusing.tried) <= 2 * 160  # each process tries each number once
    if engine is not None:
        engine.dispose()


def test_a_taken_id_is_found_once_and_not_tried_again(world):
    """What the database said about the ids of another process is remembered."""
    for _ in range(5):
        world.processes[1].run(NAME)
    world.refusing.tried.clear()
    world.processes[0].run(NAME)
    world.processes[0].run(NAME)
    assert [run_id.removeprefix(world.first) for run_id in world.refusing.tried] == [
        "",
        *(f"_{n}" for n in range(2, 8)),
    ]
    with pytest.raises(RunAlreadyExists):
        world.database.workflows.add_run(world.database.workflows.run(world.first))
