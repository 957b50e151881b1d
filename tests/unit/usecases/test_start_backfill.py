"""Start a backfill: every date has its run from the start, or nothing is recorded."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from attrs import evolve

from tests.support.backfills import NOW, a_backfilled_world, day
from tests.support.world import DAG, NAME
from workflow_core.domain.backfill import BackfillStatus, Reprocess
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, RunType, Submission
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import (
    AirflowUnavailable,
    BackfillNotFound,
    DatabaseUnavailable,
    InvalidRequest,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
    WorkflowPermissionDenied,
)


@pytest.fixture
def make_world():
    return a_backfilled_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestAccepted:
    def test_every_date_has_a_run_from_the_start(self, world):
        """All runs are recorded under ids that say their dates, with the given params and their own date."""
        view = world.backfill(1, 3, params={"region": "US"}, parallel=True)
        backfill = view.backfill
        assert backfill.backfill_id == f"{NAME}_backfill_20260101_20260103"
        assert [run.run_id for run in view.runs] == [f"{backfill.backfill_id}_2026010{n}" for n in (1, 2, 3)]
        assert [run.params for run in view.runs] == [{"region": "US", "date": f"2026-01-0{n}"} for n in (1, 2, 3)]
        assert [run.run_date for run in view.runs] == [day(1), day(2), day(3)]
        assert {run.run_type for run in view.runs} == {RunType.BACKFILL}
        assert (view.summary.status, backfill.created_by) == (BackfillStatus.PENDING, "me@example.com")

    def test_airflow_gets_the_date_and_the_logical_date(self, world):
        """Both are the slot's, and the run id is the one that was recorded."""
        view = world.backfill(1, 2, parallel=True)
        assert [(run.run_id, run.conf["date"], run.logical_date) for run in world.in_airflow()] == [
            (run.run_id, run.run_date.isoformat(), datetime(2026, 1, run.run_date.day, 6, tzinfo=UTC))
            for run in view.runs
        ]

    def test_a_second_backfill_of_the_same_dates_has_an_id_of_its_own(self, world):
        """The second ends in _2, the third in _3."""
        ids = [world.backfill(reprocess=Reprocess.ALL).backfill.backfill_id for _ in range(3)]
        assert [one.removeprefix(ids[0]) for one in ids] == ["", "_2", "_3"]

    def test_a_run_id_that_is_taken_is_passed_over(self, world):
        """Somebody has named a run in Airflow just so."""
        taken = f"{NAME}_backfill_20260101_20260103_20260102"
        world.airflow.add_run(DAG, taken, run_type=RunType.MANUAL, triggered_by="eve")
        world.pass_time()
        assert world.backfill().backfill.backfill_id.endswith("_20260103_2")

    def test_parallel_sends_as_many_as_may_be_under_way(self, make_world):
        """The policy's number, unless the request has its own."""
        world = make_world(backfill_max_active=2)
        world.backfill(1, 5, parallel=True)
        assert len(world.in_airflow()) == 2
        world.backfill(6, 9, parallel=True, max_active=3)
        assert len(world.in_airflow()) == 5

    @pytest.mark.parametrize("fields", [{}, {"parallel": True, "max_active": 2}, {"parallel": True}])
    def test_all_dates_run_once_oldest_first(self, world, fields):
        """However many at a time; never more than that."""
        view = world.backfill(1, 7, **fields)
        assert world.finish(view) is BackfillStatus.SUCCESS
        assert world.sent() == [f"2026-01-0{n}" for n in range(1, 8)]

    def test_the_next_one_waits_for_the_end_of_the_last(self, world):
        """One after the other: while one is under way, the others are not in Airflow."""
        view = world.backfill(1, 3)
        assert world.by_date(view) == {1: "PENDING", 2: "PENDING", 3: "PENDING"}
        world.pass_time(1)
        assert (world.by_date(view)[1], len(world.sent())) == ("RUNNING", 1)
        world.pass_time(1)
        assert (world.by_date(view)[1], len(world.sent())) == ("SUCCESS", 2)

    def test_backwards_is_newest_first(self, world):
        """The order of sending; the list stays by date."""
        view = world.backfill(1, 4, run_backwards=True)
        assert world.finish(view) is BackfillStatus.SUCCESS
        assert world.sent() == [f"2026-01-0{n}" for n in (4, 3, 2, 1)]
        assert list(world.by_date(view)) == [1, 2, 3, 4]

    def test_a_dag_that_is_not_served_yet_is_waited_for(self, make_world):
        """Accepted with a registration that is not finished, and sent when it is."""
        world = make_world(register_wait=0)
        world.airflow.uninstall()
        view = world.backfill(parallel=True)
        assert {run.submission for run in view.runs} == {Submission.WAITING}
        world.pass_time(3)
        assert world.in_airflow() == []

    def test_runs_of_a_backfill_stand_in_the_history(self, world):
        """Each as a run of its type."""
        world.finish(world.backfill(1, 2))
        found = world.usecases.history().items
        assert [(run.run_type, run.status) for run in found] == [(RunType.BACKFILL, RunStatus.SUCCESS)] * 2


class TestRefused:
    @pytest.mark.parametrize(
        ("first", "last", "fields", "field"),
        [
            (3, 2, {}, "end_date"),
            (20, 21, {}, "end_date"),
            (1, 6, {}, "end_date"),
            (1, 2, {"max_active": 2}, "max_active"),
            (1, 2, {"parallel": True, "max_active": 0}, "max_active"),
            (1, 2, {"parallel": True, "max_active": 101}, "max_active"),
            (1, 2, {"params": {"date": "2026-01-01"}}, "params.date"),
            (1, 2, {"params": {"unknown": 1}}, "params.unknown"),
            (1, 2, {"name": "one"}, "dataset_name"),
        ],
    )
    def test_wrong_input_names_its_field(self, make_world, first, last, fields, field):
        """Nothing is recorded, and a dry run says the same."""
        world = make_world(backfill_max_dates=5)
        for dry_run in (False, True):
            with pytest.raises(InvalidRequest) as caught:
                world.backfill(first, last, dry_run=dry_run, **fields)
            assert [problem.field for problem in caught.value.problems] == [field]
        assert world.nothing_happened()

    def test_dates_before_all_runs_are_refused(self, world):
        """No year that would not be four digits, no moment before the epoch in any zone."""
        with pytest.raises(InvalidRequest, match="start_date: 0001-01-01 is not after 1970-01-01"):
            world.usecases.backfill(NAME, date.min, day(1))

    @pytest.mark.parametrize(("zone", "last"), [("Pacific/Kiritimati", 21), ("UTC", 20), ("Pacific/Pago_Pago", 19)])
    def test_today_is_that_of_the_workflows_zone(self, make_world, zone, last):
        """Today may be run for; tomorrow may not."""
        now = datetime(2026, 1, 20, 10, 30, tzinfo=UTC)
        world = make_world(timezone=zone, now=now)
        with pytest.raises(InvalidRequest, match=f"after today, 2026-01-{last} in {zone}"):
            world.backfill(last, last + 1)
        assert len(world.backfill(last, last).runs) == 1

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_what_cannot_run_is_refused(self, make_world, dry_run):
        """A workflow that is not there, paused, or that Airflow cannot build."""
        world = make_world()
        with pytest.raises(WorkflowNotFound):
            world.backfill(name="a.b", dry_run=dry_run)
        world.usecases.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.backfill(dry_run=dry_run)
        workflow = world.database.workflows.workflow(NAME)
        world.database.workflows.save_workflow(evolve(workflow, pause=None).failed("why", NOW))
        with pytest.raises(WorkflowNotRunnable):
            world.backfill(dry_run=dry_run)
        assert world.nothing_happened()

    def test_code_is_refused(self, world):
        """Neither started nor steered, unless the policy says otherwise."""
        view = world.backfill()
        world.database.workflows.save_workflow(
            evolve(world.database.workflows.workflow(NAME), source_type=SourceType.CODE)
        )
        for act in (world.usecases.pause_backfill, world.usecases.resume_backfill, world.usecases.stop_backfill):
            with pytest.raises(WorkflowPermissionDenied):
                act(view.backfill.backfill_id)
        with pytest.raises(WorkflowPermissionDenied):
            world.backfill(4, 5)

    def test_without_airflow_nothing_is_recorded(self, world):
        """Unavailable, also for a dry run."""
        world.airflow.go_down()
        for dry_run in (False, True):
            with pytest.raises(AirflowUnavailable):
                world.backfill(dry_run=dry_run)
        world.airflow.come_back()
        assert world.nothing_happened()

    def test_without_database_nothing_is_sent(self, world):
        """Refused before Airflow hears of it."""
        world.database.fail("add_backfill")
        with pytest.raises(DatabaseUnavailable):
            world.backfill()
        assert world.nothing_happened()

    def test_an_unknown_backfill(self, world):
        """Whatever is asked of it; what could be no id is the caller's mistake."""
        service = world.usecases
        for act in (
            service.backfill_status,
            service.pause_backfill,
            service.resume_backfill,
            service.stop_backfill,
        ):
            with pytest.raises(BackfillNotFound):
                act("a.b_backfill_20260101_20260102")
            with pytest.raises(InvalidRequest, match="backfill_id"):
                act("no id")

    def test_backfills_of_a_name_that_nobody_knows(self, world):
        """A name without workflow and history is not found; one with is an empty list."""
        assert world.usecases.backfills(NAME).total == 0
        with pytest.raises(WorkflowNotFound):
            world.usecases.backfills("a.b")


class TestDryRun:
    def test_it_tells_what_a_real_call_would_do(self, world):
        """A dry run returns the ids, dates, logical dates and skipped dates of the real request, and changes nothing."""
        world.finish(world.backfill(2, 2))
        before = world.database.workflows.history(HistoryFilter(), PageRequest()).items
        planned = world.backfill(1, 3, dry_run=True)
        assert world.database.workflows.history(HistoryFilter(), PageRequest()).items == before
        assert len(world.in_airflow()) == 1
        real = world.backfill(1, 3)
        assert planned.backfill.backfill_id == real.backfill.backfill_id
        assert planned.backfill.skipped == real.backfill.skipped
        assert [(run.run_id, run.logical_date) for run in planned.runs] == [
            (run.run_id, run.logical_date) for run in real.runs
        ]

    def test_airflow_is_asked_too(self, world):
        """A DAG that is paused in Airflow would only queue the runs."""
        world.airflow.set_paused(DAG, paused=True)
        with pytest.raises(WorkflowPaused):
            world.backfill(dry_run=True)
