"""Backfills over the fakes: every date once, in order, within its limits; whoever dies, nothing is sent twice and nothing is lost."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve, frozen

from tests.support.databases import each_port
from workflow_core.domain.backfill import BackfillStatus, OnFailure, Reprocess, SkippedDate, skip_warning
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, RunType, Submission
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import (
    AirflowUnavailable,
    BackfillNotActive,
    BackfillNotFound,
    ConcurrentUpdate,
    DagNotFound,
    DatabaseUnavailable,
    InvalidRequest,
    WorkflowHasActiveRuns,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
    WorkflowPermissionDenied,
)
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.fakes.airflow import Effect
from workflow_core.fakes.backfills import InMemoryBackfills
from workflow_core.service import WorkflowService
from workflow_core.usecases.config import ServiceConfig
from workflow_core.usecases.reconcile.sweep import BATCH

if TYPE_CHECKING:
    from workflow_core.domain.backfill import BackfillView
    from workflow_core.domain.run import AirflowRun

NAME = "iceberg.analytics.daily_clicks"
DAG = "iceberg_analytics_daily_clicks"
ME = Caller(name="me@example.com")
NOW = datetime(2026, 1, 20, 10, tzinfo=UTC)
YAML = """\
version: v1
name: daily_clicks
owner: data@example.com
schedule: {cron: "0 6 * * *", timezone: UTC}
params: {region: EU}
tasks: [{task_id: extract, operator: bash, bash_command: echo hello}]
"""
EVER = datetime(2000, 1, 1, tzinfo=UTC)


def day(number: int) -> date:
    return date(2026, 1, number)


@frozen(kw_only=True)
class World:
    """A service and the fakes behind it."""

    service: WorkflowService
    database: InMemoryDatabase
    airflow: InMemoryAirflow
    storage: InMemoryStorage
    clock: ManualClock

    def reborn(self, **ports: Any) -> World:
        """Another process over the same three systems."""
        given: dict[str, Any] = {
            "database": self.database,
            "airflow": self.airflow,
            "storage": self.storage,
            "clock": self.clock,
        }
        return evolve(self, service=WorkflowService(**(given | ports)))

    def backfill(self, first: int = 1, last: int = 3, **fields: Any) -> BackfillView:
        fields = {"caller": ME, **fields}
        return self.service.backfill(fields.pop("name", NAME), day(first), day(last), **fields)

    def look(self, view: BackfillView) -> BackfillView:
        return self.service.backfill_status(view.backfill.backfill_id)

    def status(self, view: BackfillView) -> BackfillStatus:
        return self.look(view).summary.status

    def by_date(self, view: BackfillView) -> dict[int, str]:
        """How each date stands: day of the month to status."""
        return {run.run_date.day: run.status.value for run in self.look(view).runs}

    def pass_time(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.clock.sleep(1)
            self.service.sweep()

    def finish(self, view: BackfillView, *, within: int = 60) -> BackfillStatus:
        """Sweep until it has ended; how it ended. Its limit holds at every look."""
        for _ in range(within):
            found = self.look(view)
            mine = {run.run_id for run in found.runs}
            active = [run for run in self.in_airflow() if run.run_id in mine and not run.status.is_final]
            assert len(active) <= found.backfill.max_active
            if found.summary.status.is_final:
                return found.summary.status
            self.pass_time()
        raise AssertionError(self.by_date(view))

    def in_airflow(self) -> list[AirflowRun]:
        """Every run in Airflow, in the order of the triggers."""
        runs = self.airflow.changed_runs(EVER).runs
        return sorted(runs, key=lambda run: (run.queued_at or EVER, run.run_id))

    def sent(self) -> list[str]:
        """The dates that Airflow was given, in the order of the triggers."""
        return [run.conf["date"] for run in self.in_airflow() if "date" in run.conf]

    def nothing_happened(self) -> bool:
        """Whether nothing was recorded and nothing sent."""
        return not self.in_airflow() and self.database.workflows.history(HistoryFilter(), PageRequest()).total == 0


@pytest.fixture
def make_world():
    def make(*, cron="0 6 * * *", timezone="UTC", now=NOW, **policy) -> World:
        clock, storage, database = ManualClock(now), InMemoryStorage(), InMemoryDatabase()
        airflow = InMemoryAirflow(storage=storage, clock=clock)
        ports: dict[str, Any] = {"database": database, "airflow": airflow, "storage": storage, "clock": clock}
        service = WorkflowService(**ports, policy=ServiceConfig(**policy))
        service.register(NAME, YAML, schedule=Schedule(cron=cron, timezone=timezone), caller=ME)
        return World(service=service, **ports)

    return make


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
        found = world.service.history().items
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
            world.service.backfill(NAME, date.min, day(1))

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
        world.service.pause(NAME)
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
        for act in (world.service.pause_backfill, world.service.resume_backfill, world.service.stop_backfill):
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
        service = world.service
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
        assert world.service.backfills(NAME).total == 0
        with pytest.raises(WorkflowNotFound):
            world.service.backfills("a.b")


class TestDryRun:
    def test_it_tells_what_a_real_call_would_do(self, world):
        """The same ids, dates, logical dates and skipped dates; nothing changes anywhere."""
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


class TestDatesThatHaveRuns:
    def test_by_default_they_are_skipped(self, world):
        """Told with their run and its status; whatever kind of run it is."""
        run = world.service.run(NAME, {"date": "2026-01-02"})
        view = world.backfill(1, 3)
        assert [run.run_date.day for run in view.runs] == [1, 3]
        [skipped] = view.backfill.skipped
        assert (skipped.date, skipped.run_id, skipped.status) == (day(2), run.run_id, RunStatus.PENDING)

    def test_runs_of_another_live_backfill_count(self, world):
        """Two overlapping backfills at once: each date once."""
        first, second = world.backfill(1, 4, parallel=True), world.backfill(3, 6, parallel=True)
        assert [run.run_date.day for run in second.runs] == [5, 6]
        assert [world.finish(first), world.finish(second)] == [BackfillStatus.SUCCESS] * 2
        assert sorted(world.sent()) == [f"2026-01-0{n}" for n in range(1, 7)]

    def test_where_all_dates_have_runs_there_is_nothing_to_do(self, world):
        """It is recorded, and has succeeded."""
        world.finish(world.backfill(1, 2))
        again = world.backfill(1, 2)
        assert (list(again.runs), again.summary.status, again.summary.percent) == ([], BackfillStatus.SUCCESS, 100)
        assert len(world.look(again).backfill.skipped) == 2

    @pytest.mark.parametrize(("ends", "again"), [("failed", [1]), ("success", [])])
    def test_failed_runs_again_what_failed_last(self, world, ends, again):
        """The latest run of the date decides."""
        world.airflow.end_task(DAG, "extract", "failed")
        world.finish(world.backfill(1, 1))
        world.airflow.end_task(DAG, "extract", ends)
        world.finish(world.backfill(1, 1, reprocess=Reprocess.FAILED))
        view = world.backfill(1, 1, reprocess=Reprocess.FAILED)
        assert [run.run_date.day for run in view.runs] == again

    def test_failed_leaves_alone_what_runs(self, world):
        """A run under way has not failed."""
        world.backfill(1, 1)
        assert list(world.backfill(1, 1, reprocess=Reprocess.FAILED).runs) == []

    def test_all_runs_again_beside_the_old_ones(self, world):
        """Each is a run of its own with its own params; its logical date is the next microsecond, and nothing old is changed."""
        world.finish(world.backfill(1, 1, params={"region": "EU"}))
        [old] = world.in_airflow()
        for nth in (1, 2):
            [planned] = world.backfill(1, 1, reprocess=Reprocess.ALL, dry_run=True).runs
            assert planned.logical_date == old.logical_date + nth * timedelta(microseconds=1)
            view = world.backfill(1, 1, params={"region": "US"}, reprocess=Reprocess.ALL)
            assert world.finish(view) is BackfillStatus.SUCCESS
            new = world.in_airflow()[-1]
            assert (new.conf["region"], new.logical_date) == ("US", old.logical_date + nth * timedelta(microseconds=1))
        assert world.in_airflow()[0] == old

    def test_what_was_cancelled_before_airflow_had_it_is_no_run(self, world):
        """After a stop the rest can be filled by the same call again."""
        first = world.backfill(1, 3)
        world.service.stop_backfill(first.backfill.backfill_id)
        world.finish(first)
        again = world.backfill(1, 3)
        assert [one.date.day for one in again.backfill.skipped] == [1]
        assert [run.run_date.day for run in again.runs] == [2, 3]

    def test_two_requests_at_once_do_not_make_the_same_date_twice(self, world):
        """Whoever finds out at the last moment that the dates got runs decides anew."""
        theirs: list[BackfillView] = []

        class Overtaken(InMemoryBackfills):
            def add_backfill(self, backfill, runs, *, dated, act=None):
                if not theirs:
                    theirs.append(world.backfill(2, 3))
                return super().add_backfill(backfill, runs, dated=dated, act=act)

        database = InMemoryDatabase(world.database.store)
        database.backfills = Overtaken(world.database.store)
        view = world.reborn(database=database).backfill(1, 3)
        assert [run.run_date.day for run in view.runs] == [1]
        assert [one.date.day for one in view.backfill.skipped] == [2, 3]


class TestWhatSkippedDatesMeanForTheEnd:
    """A backfill is SUCCESS only if every date of its range has succeeded."""

    def ended(self, world, number: int, ends: str) -> str:
        """A run of this date that ended so."""
        if ends == "failed":
            world.airflow.end_task(DAG, "extract", "failed")
        run = world.service.run(NAME, {"date": day(number).isoformat()}, caller=ME)
        if ends == "stopped":
            world.service.stop(run.run_id, caller=ME)
        world.pass_time(40)
        world.airflow.end_task(DAG, "extract", "success")
        return str(run.run_id)

    @pytest.mark.parametrize(
        ("ends", "status"),
        [
            ("success", BackfillStatus.SUCCESS),
            ("failed", BackfillStatus.FAILED),
            ("stopped", BackfillStatus.FAILED),
        ],
    )
    @pytest.mark.parametrize("last", [1, 3], ids=["only skipped", "mixed"])
    def test_the_run_of_a_skipped_date_counts(self, world, ends, status, last):
        """Wherever the status is read: when it is accepted, by a look, in the list."""
        self.ended(world, 1, ends)
        view = world.backfill(1, last)
        assert world.finish(view) is status
        assert world.status(view) is status
        [listed] = world.service.backfills(NAME).items
        assert listed.status is status
        if last == 1:
            assert view.summary.status is status
            assert world.backfill(1, 1, dry_run=True).summary.status is status

    def test_a_skipped_run_that_is_under_way_is_waited_for(self, world):
        """RUNNING until it has ended, then as that ended; what is waited for is said."""
        run = world.service.run(NAME, {"date": "2026-01-01"}, caller=ME)
        view = world.backfill(1, 1)
        assert view.summary.status is BackfillStatus.RUNNING
        assert world.look(view).held == f"Waiting for run {run.run_id} of the skipped date 2026-01-01."
        assert world.finish(view) is BackfillStatus.SUCCESS
        assert world.look(view).held is None
        assert [one.status for one in world.look(view).backfill.skipped] == [RunStatus.SUCCESS]

    def test_a_skipped_run_that_fails_later_fails_the_backfill(self, world):
        """Its outcome is that of the date."""
        world.airflow.end_task(DAG, "extract", "failed")
        world.service.run(NAME, {"date": "2026-01-01"}, caller=ME)
        view = world.backfill(1, 1)
        assert world.finish(view) is BackfillStatus.FAILED

    def test_a_retry_of_the_skipped_run_mends_the_backfill(self, world):
        """As the retry of a run of its own does."""
        run_id = self.ended(world, 1, "failed")
        view = world.backfill(1, 2)
        assert world.finish(view) is BackfillStatus.FAILED
        world.service.retry(run_id, caller=ME)
        assert world.status(view) is BackfillStatus.RUNNING
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_a_manual_run_without_a_date_takes_today(self, world):
        """It is the run of today, and counts as such."""
        world.airflow.end_task(DAG, "extract", "failed")
        world.service.run(NAME, caller=ME)
        world.pass_time(40)
        assert world.status(world.backfill(NOW.day, NOW.day)) is BackfillStatus.FAILED

    def test_nothing_of_its_own_is_nothing_to_steer(self, world):
        """A backfill that only waits for the run of a skipped date has nothing to pause, resume or stop."""
        world.service.run(NAME, {"date": "2026-01-01"}, caller=ME)
        backfill_id = world.backfill(1, 1).backfill.backfill_id
        for steer in (world.service.pause_backfill, world.service.resume_backfill, world.service.stop_backfill):
            with pytest.raises(BackfillNotActive):
                steer(backfill_id, caller=ME)

    def test_its_own_failure_and_its_own_stop_win(self, world):
        """Over a skipped date that has not ended."""
        world.airflow.end_task(DAG, "extract", "failed")
        view = world.backfill(1, 1)
        assert world.finish(view) is BackfillStatus.FAILED
        world.clock.sleep(1)
        again = world.backfill(1, 2, reprocess=Reprocess.NONE)
        world.service.stop_backfill(again.backfill.backfill_id, caller=ME)
        assert world.finish(again) is BackfillStatus.STOPPED


S, F, X, R, P = RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.STOPPED, RunStatus.RUNNING, RunStatus.PENDING


@pytest.mark.parametrize(
    ("statuses", "to_run", "warning"),
    [
        ([], 4, None),
        ([S, S], 2, None),
        ([S, S], 0, "0 of 2 dates will run: 2 already succeeded; use ALL to run them again."),
        (
            [F, F, X, S],
            0,
            (
                "0 of 4 dates will run: 1 already succeeded, 3 did not succeed (2 FAILED, 1 STOPPED);"
                " use FAILED to run the unsuccessful dates again."
            ),
        ),
        (
            [X],
            3,
            "3 of 4 dates will run: 1 did not succeed (1 STOPPED); use FAILED to run the unsuccessful dates again.",
        ),
        ([R], 0, "0 of 1 dates will run: 1 already has a run under way (1 RUNNING)."),
        ([R, P], 1, "1 of 3 dates will run: 2 already have a run under way (1 PENDING, 1 RUNNING)."),
    ],
)
def test_the_warning_about_skipped_dates(statuses, to_run, warning):
    """How many dates run, why the others do not, and how to change that; silent if the others have succeeded and something runs."""
    skipped = [SkippedDate(date=day(n + 1), run_id=f"r{n}", status=status) for n, status in enumerate(statuses)]
    assert skip_warning(skipped, to_run=to_run, failed="FAILED", every="ALL") == warning


class TestLogicalDates:
    def logical(self, world: World, first: date, last: date) -> list[datetime | None]:
        view = world.service.backfill(NAME, first, last, dry_run=True)
        return [run.logical_date for run in view.runs]

    def test_it_is_the_first_fire_time_of_the_date(self, make_world):
        """In the workflow's zone, of a schedule that fires more than once a day."""
        world = make_world(cron="30 6,18 * * *", timezone="America/New_York")
        assert self.logical(world, day(2), day(2)) == [datetime(2026, 1, 2, 11, 30, tzinfo=UTC)]

    def test_midnight_belongs_to_its_date(self, make_world):
        """A schedule that fires at midnight and at noon fires at midnight first."""
        world = make_world(cron="0 0,12 * * *", timezone="Asia/Seoul")
        assert self.logical(world, day(2), day(2)) == [datetime(2026, 1, 1, 15, tzinfo=UTC)]

    def test_a_date_without_fire_time_begins_at_midnight(self, make_world):
        """Local midnight: Sundays of a schedule that fires on Mondays."""
        world = make_world(cron="0 6 * * 1", timezone="Asia/Seoul")
        assert self.logical(world, day(4), day(5)) == [
            datetime(2026, 1, 3, 15, tzinfo=UTC), datetime(2026, 1, 4, 21, tzinfo=UTC)
        ]  # fmt: skip

    def test_a_fire_time_that_has_not_passed_does_not_count(self, make_world):
        """Today before the schedule fires: its scheduled run is still to come, with that logical date."""
        world = make_world(cron="0 12 * * *")
        assert self.logical(world, day(19), day(20)) == [
            datetime(2026, 1, 19, 12, tzinfo=UTC), datetime(2026, 1, 20, tzinfo=UTC)
        ]  # fmt: skip

    def test_the_day_that_has_no_such_hour(self, make_world):
        """02:30 is skipped on 8 March in New York: the fire time moves to 03:30, the day before and after it does not."""
        world = make_world(cron="30 2 * * *", timezone="America/New_York", now=datetime(2026, 12, 1, tzinfo=UTC))
        assert self.logical(world, date(2026, 3, 7), date(2026, 3, 9)) == [
            datetime(2026, 3, 7, 7, 30, tzinfo=UTC),
            datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
            datetime(2026, 3, 9, 6, 30, tzinfo=UTC),
        ]

    def test_the_day_that_has_the_hour_twice(self, make_world):
        """01:30 comes twice on 1 November in New York; there is one run, at the second one, as Airflow has it."""
        world = make_world(cron="30 1 * * *", timezone="America/New_York", now=datetime(2026, 12, 1, tzinfo=UTC))
        assert self.logical(world, date(2026, 11, 1), date(2026, 11, 2)) == [
            datetime(2026, 11, 1, 6, 30, tzinfo=UTC),
            datetime(2026, 11, 2, 6, 30, tzinfo=UTC),
        ]

    def test_a_day_without_midnight(self, make_world):
        """6 September 2026 begins at 01:00 in Santiago."""
        world = make_world(cron="0 6 * * 1", timezone="America/Santiago", now=datetime(2026, 12, 1, tzinfo=UTC))
        assert self.logical(world, date(2026, 9, 6), date(2026, 9, 6)) == [datetime(2026, 9, 6, 4, tzinfo=UTC)]

    def test_over_the_year_and_the_leap_day(self, make_world):
        """No date is left out or doubled."""
        world = make_world()
        for first, last, number in (("2025-12-30", "2026-01-02", 4), ("2024-02-27", "2024-03-01", 4)):
            found = self.logical(world, date.fromisoformat(first), date.fromisoformat(last))
            assert len({moment.date() for moment in found if moment}) == number

    def test_a_taken_logical_date_moves_by_a_microsecond(self, world):
        """A scheduled run that nobody here has seen has it; the slot is a run of its own under its own id."""
        fired = datetime(2026, 1, 2, 6, tzinfo=UTC)
        world.airflow.add_run(DAG, "scheduled__x", run_type=RunType.SCHEDULED, triggered_by="s", logical_date=fired)
        view = world.backfill(1, 3, parallel=True)
        assert world.look(view).runs[1].logical_date == fired + timedelta(microseconds=1)
        assert world.finish(view) is BackfillStatus.SUCCESS
        assert world.airflow.run(DAG, "scheduled__x").logical_date == fired

    def test_many_taken_logical_dates(self, world):
        """More than are tried at one go: the next pass goes on."""
        fired = datetime(2026, 1, 1, 6, tzinfo=UTC)
        for number in range(30):
            moment = fired + number * timedelta(microseconds=1)
            world.airflow.add_run(DAG, f"x{number}", run_type=RunType.MANUAL, triggered_by="eve", logical_date=moment)
        view = world.backfill(1, 1)
        assert world.in_airflow()[-1].run_id != view.runs[0].run_id
        world.service.sweep()
        assert world.look(view).runs[0].logical_date == fired + 30 * timedelta(microseconds=1)


class TestFailures:
    def fail_on(self, world: Any, *days: int) -> None:
        """The runs of these days fail in Airflow."""
        trigger = world.airflow.trigger

        def choosing(dag_id, run_id, *, conf, logical_date=None):
            failing = conf.get("date") in {day(number).isoformat() for number in days}
            world.airflow.end_task(dag_id, "extract", "failed" if failing else "success")
            return trigger(dag_id, run_id, conf=conf, logical_date=logical_date)

        world.airflow.trigger = choosing

    def wait_for(self, world: Any, view: BackfillView, status: BackfillStatus) -> None:
        for _ in range(30):
            if world.status(view) is status:
                return
            world.pass_time()
        raise AssertionError(world.by_date(view))

    def test_one_after_the_other_pauses_at_the_first_failure(self, world):
        """The next date is not sent; whoever resumes accepts the failure and goes on, and the whole has failed."""
        self.fail_on(world, 2)
        view = world.backfill(1, 4)
        self.wait_for(world, view, BackfillStatus.PAUSED)
        world.pass_time(5)
        assert world.by_date(view) == {1: "SUCCESS", 2: "FAILED", 3: "PENDING", 4: "PENDING"}
        wish = world.look(view).backfill.state_request
        assert (wish.by, wish.reason) == (
            "system", f"Run {view.runs[1].run_id} ended FAILED; resume continues with the next date."
        )  # fmt: skip
        world.service.resume_backfill(view.backfill.backfill_id, caller=ME)
        assert world.finish(view) is BackfillStatus.FAILED
        assert world.by_date(view) == {1: "SUCCESS", 2: "FAILED", 3: "SUCCESS", 4: "SUCCESS"}
        assert world.sent() == [f"2026-01-0{n}" for n in (1, 2, 3, 4)]

    def test_every_failure_pauses_anew(self, world):
        """Resuming accepts what has failed, not what is going to."""
        self.fail_on(world, 1, 2)
        view = world.backfill(1, 3)
        for failed in (1, 2):
            self.wait_for(world, view, BackfillStatus.PAUSED)
            assert len(world.sent()) == failed
            world.service.resume_backfill(view.backfill.backfill_id)
        assert world.finish(view) is BackfillStatus.FAILED

    def test_it_goes_on_if_told_to(self, world):
        """Nobody needs to resume."""
        self.fail_on(world, 2)
        view = world.backfill(1, 3, on_failure=OnFailure.CONTINUE)
        assert world.finish(view) is BackfillStatus.FAILED
        assert world.by_date(view) == {1: "SUCCESS", 2: "FAILED", 3: "SUCCESS"}

    @pytest.mark.parametrize(
        ("on_failure", "ended"), [(None, BackfillStatus.FAILED), (OnFailure.STOP, BackfillStatus.PAUSED)]
    )
    def test_parallel_goes_on_unless_told_to_stop(self, world, on_failure, ended):
        """What is under way beside the failure ends as it does."""
        self.fail_on(world, 1)
        view = world.backfill(1, 4, parallel=True, max_active=2, on_failure=on_failure)
        self.wait_for(world, view, ended)
        rest = "SUCCESS" if on_failure is None else "PENDING"
        assert world.by_date(view) == {1: "FAILED", 2: "SUCCESS", 3: rest, 4: rest}

    def test_a_failure_of_the_last_date_pauses_nothing(self, world):
        """There is nothing left to hold."""
        self.fail_on(world, 2)
        view = world.backfill(1, 2)
        assert world.finish(view) is BackfillStatus.FAILED

    def test_a_run_that_airflow_refuses_is_a_failed_slot(self, world):
        """For good: the backfill pauses there, with the reason at the run."""
        sound = world.airflow._refuse_bad_conf

        def picky(dag, conf):
            sound(dag, {**conf, "region": 5} if conf["date"] == "2026-01-01" else conf)

        world.airflow._refuse_bad_conf = picky
        view = world.backfill(1, 2)
        world.pass_time()
        run = world.look(view).runs[0]
        assert (run.status, run.submission, "region" in run.reason) == (RunStatus.FAILED, Submission.REFUSED, True)
        assert world.status(view) is BackfillStatus.PAUSED

    def test_a_run_that_somebody_stops_holds_the_others(self, world):
        """Whoever stops one of them decides about the rest, too."""
        view = world.backfill(1, 3)
        world.service.stop(view.runs[1].run_id)
        self.wait_for(world, view, BackfillStatus.PAUSED)
        assert world.by_date(view) == {1: "SUCCESS", 2: "STOPPED", 3: "PENDING"}
        world.service.resume_backfill(view.backfill.backfill_id)
        assert world.finish(view) is BackfillStatus.STOPPED
        assert world.sent() == ["2026-01-01", "2026-01-03"]


class TestSteering:
    def test_pause_sends_no_more_and_lets_run_what_runs(self, world):
        """After the answer; who, when and why are kept; a second pause changes nothing."""
        view = world.backfill(1, 4, parallel=True, max_active=2)
        paused = world.service.pause_backfill(view.backfill.backfill_id, "tea", caller=ME)
        again = world.service.pause_backfill(view.backfill.backfill_id, "coffee")
        assert paused == again
        assert (paused.status, paused.backfill.state_request.by, paused.backfill.state_request.reason) == (
            BackfillStatus.PAUSED, "me@example.com", "tea",
        )  # fmt: skip
        world.pass_time(10)
        assert world.by_date(view) == {1: "SUCCESS", 2: "SUCCESS", 3: "PENDING", 4: "PENDING"}
        assert world.status(view) is BackfillStatus.PAUSED

    def test_pause_needs_no_airflow(self, world):
        """It is about what we send."""
        view = world.backfill()
        world.airflow.go_down()
        assert world.service.pause_backfill(view.backfill.backfill_id).status is BackfillStatus.PAUSED

    def test_resume_goes_on_at_once(self, world):
        """With the next dates, in the request itself; one that is not paused stays as it is."""
        view = world.backfill(1, 2, parallel=True, max_active=1)
        world.service.pause_backfill(view.backfill.backfill_id)
        world.pass_time(5)
        assert world.service.resume_backfill(view.backfill.backfill_id).status is BackfillStatus.RUNNING
        assert len(world.sent()) == 2
        assert world.service.resume_backfill(view.backfill.backfill_id).status is BackfillStatus.RUNNING
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_stop_cancels_what_waits_and_ends_what_runs(self, world):
        """What waits never reaches Airflow; STOPPED is said only when the running ones are dead."""
        view = world.backfill(1, 4, parallel=True, max_active=2)
        world.clock.sleep(1.5)
        stopped = world.service.stop_backfill(view.backfill.backfill_id, "wrong region", caller=ME)
        assert stopped.status is BackfillStatus.STOPPING
        assert world.by_date(view) == {1: "STOPPING", 2: "STOPPING", 3: "STOPPED", 4: "STOPPED"}
        assert world.finish(view) is BackfillStatus.STOPPED
        assert len(world.in_airflow()) == 2
        stops = {(run.stop.by, run.stop.reason) for run in world.look(view).runs}
        assert stops == {("me@example.com", "wrong region")}

    def test_a_stop_is_finished_by_the_worker(self, world):
        """Accepted while Airflow is away; what runs is ended when it is back."""
        view = world.backfill(1, 3, parallel=True, max_active=2)
        world.airflow.go_down()
        assert world.service.stop_backfill(view.backfill.backfill_id).status is BackfillStatus.STOPPING
        world.airflow.come_back()
        assert world.finish(view) is BackfillStatus.STOPPED

    def test_a_second_stop_changes_nothing(self, world):
        """Neither while it is stopping nor afterwards; the first reason stays."""
        view = world.backfill()
        for reason in ("first", "second"):
            found = world.service.stop_backfill(view.backfill.backfill_id, reason)
            assert found.backfill.state_request.reason == "first"
        world.finish(view)
        assert world.service.stop_backfill(view.backfill.backfill_id).status is BackfillStatus.STOPPED

    def test_what_has_ended_cannot_be_changed(self, world):
        """Nor what is being stopped, but for a second stop."""
        view = world.backfill(1, 1)
        world.finish(view)
        service, key = world.service, view.backfill.backfill_id
        for act in (service.pause_backfill, service.resume_backfill, service.stop_backfill):
            with pytest.raises(BackfillNotActive, match="SUCCESS"):
                act(key)
        other = world.backfill(2, 3).backfill.backfill_id
        service.stop_backfill(other)
        for act in (service.pause_backfill, service.resume_backfill):
            with pytest.raises(BackfillNotActive, match="STOPPING"):
                act(other)

    def test_a_paused_backfill_can_be_stopped(self, world):
        """Nothing of it was under way: it has ended by that."""
        view = world.backfill(1, 2, parallel=True, max_active=1)
        world.service.pause_backfill(view.backfill.backfill_id)
        world.pass_time(5)
        assert world.service.stop_backfill(view.backfill.backfill_id).status is BackfillStatus.STOPPED

    def test_a_stop_that_came_too_late_does_not_count(self, world):
        """Runs that had ended keep their results, and so does the whole."""
        view = world.backfill(1, 1)
        world.clock.sleep(10)
        world.service.stop_backfill(view.backfill.backfill_id)
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_resume_is_refused_while_nothing_could_run(self, world):
        """The workflow is paused."""
        view = world.backfill()
        world.service.pause_backfill(view.backfill.backfill_id)
        world.service.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.service.resume_backfill(view.backfill.backfill_id)

    @pytest.mark.parametrize("reason", ["x" * 1001, "a\0b"])
    def test_an_odd_reason_is_refused(self, world, reason):
        """As everywhere."""
        view = world.backfill()
        for act in (world.service.pause_backfill, world.service.stop_backfill):
            with pytest.raises(InvalidRequest, match="reason"):
                act(view.backfill.backfill_id, reason)

    @pytest.mark.parametrize("act", ["pause_backfill", "resume_backfill", "stop_backfill"])
    def test_somebody_elses_save_in_between_means_decide_again(self, world, act):
        """The worker was faster; the wish is carried out all the same."""
        view = world.backfill(1, 3)
        if act == "resume_backfill":
            world.service.pause_backfill(view.backfill.backfill_id)
        save, faults = world.database.backfills.save_backfill, [ConcurrentUpdate("x"), ConcurrentUpdate("y")]

        def overtaken(*given, **named):
            if faults:
                raise faults.pop()
            return save(*given, **named)

        world.database.backfills.save_backfill = overtaken
        getattr(world.service, act)(view.backfill.backfill_id)
        wanted = world.look(view).backfill.desired_state
        assert (faults, wanted) == ([], act.removesuffix("_backfill").replace("resume", "run"))

    def test_a_pause_and_the_worker_at_the_same_time(self, world):
        """The worker has decided to send when the pause is saved: it sends nothing."""
        view = world.backfill(1, 3, parallel=True, max_active=2)
        world.pass_time(1)
        ping = world.airflow.ping

        def paused_meanwhile():
            world.airflow.ping = ping
            world.service.pause_backfill(view.backfill.backfill_id)

        world.clock.sleep(5)
        world.airflow.ping = paused_meanwhile
        world.service.sweep()
        assert world.status(view) is BackfillStatus.PAUSED
        assert world.sent() == ["2026-01-01", "2026-01-02"]


class TestTheWorkflowAround:
    def test_a_paused_workflow_holds_its_backfill(self, world):
        """Nothing more is sent, the answer says why, and it goes on by itself afterwards."""
        view = world.backfill(1, 2)
        world.service.pause(NAME)
        world.pass_time(5)
        found = world.look(view)
        assert (len(world.sent()), "paused" in found.held, found.eta) == (1, True, None)
        world.service.unpause(NAME)
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_a_workflow_that_is_paused_at_the_last_moment_holds_its_backfill(self, world):
        """After the worker has listed what is to be driven: Airflow would only queue the runs."""
        view = world.backfill(1, 2)
        world.pass_time(1)
        active = world.database.backfills.active_backfills

        def paused_meanwhile(limit):
            found = active(limit)
            world.service.pause(NAME)
            return found

        world.clock.sleep(5)
        world.database.backfills.active_backfills = paused_meanwhile
        world.service.sweep()
        assert world.by_date(view) == {1: "SUCCESS", 2: "PENDING"}
        assert len(world.in_airflow()) == 1

    def test_a_backfill_is_in_the_way_of_unregistering(self, world):
        """With force what waits is cancelled and what runs is stopped; the backfill stays readable under its old name."""
        view = world.backfill(1, 3)
        with pytest.raises(WorkflowHasActiveRuns):
            world.service.unregister(NAME)
        world.service.unregister(NAME, force=True)
        assert world.finish(view) is BackfillStatus.STOPPED
        assert len(world.in_airflow()) == 1
        assert world.service.backfills(NAME).total == 1

    def test_two_backfills_of_one_workflow_at_once(self, world):
        """Each within its own limit; all dates of both run once."""
        first = world.backfill(1, 5, parallel=True, max_active=2)
        second = world.backfill(6, 9)
        for _ in range(40):
            for view, most in ((first, 2), (second, 1)):
                under_way = [run for run in world.look(view).runs if run.sent_at and not run.is_settled]
                assert len(under_way) <= most
            world.pass_time()
        assert {world.status(first), world.status(second)} == {BackfillStatus.SUCCESS}
        assert Counter(world.sent()) == Counter(f"2026-01-0{n}" for n in range(1, 10))

    def test_no_backfill_starves(self, world):
        """More backfills than one pass drives wait in vain; the one behind them has its turn all the same."""
        trigger, stuck = world.airflow.trigger, set[str]()

        def choosing(dag_id, run_id, **given):
            if run_id in stuck or not stuck:
                raise DagNotFound(dag_id)
            return trigger(dag_id, run_id, **given)

        world.airflow.trigger = choosing
        first = [world.backfill(1, 1, reprocess=Reprocess.ALL) for _ in range(BATCH + 20)]
        last = world.backfill(19, 19)
        stuck |= {view.runs[0].run_id for view in first}
        assert world.finish(last) is BackfillStatus.SUCCESS


class TestLook:
    def test_counts_and_percent(self, world):
        """By status, of all; 100 only when all have ended."""
        view = world.backfill(1, 3)
        world.pass_time(2)
        found = world.look(view).summary
        assert found.counts == {RunStatus.SUCCESS: 1, RunStatus.PENDING: 2}
        assert (found.total, found.percent) == (3, 33)

    def test_eta_needs_to_have_seen_a_run(self, world):
        """Unknown at first, then from the backfill's own runs, gone at the end."""
        view = world.backfill(1, 5)
        assert world.look(view).eta is None
        world.pass_time(3)
        eta = world.look(view).eta
        assert NOW + timedelta(seconds=5) < eta < NOW + timedelta(seconds=15)
        world.finish(view)
        assert world.look(view).eta is None

    def test_eta_from_history(self, world):
        """Before a run of its own has ended, from earlier runs of the workflow; over as many lanes as there are."""
        for number in (1, 2):
            world.service.run(NAME, {"date": f"2026-01-0{number}"})
        world.pass_time(4)
        now = world.clock.now()
        assert world.look(world.backfill(3, 10, parallel=True, max_active=4)).eta == now + timedelta(seconds=2)
        assert world.look(world.backfill(11, 14)).eta == now + timedelta(seconds=4)

    def test_a_list_has_the_latest_first(self, world):
        """With status and counts of each."""
        world.finish(world.backfill(1, 1))
        second = world.backfill(2, 4)
        listed = world.service.backfills(NAME)
        assert [one.backfill.start_date.day for one in listed.items] == [2, 1]
        assert [one.status for one in listed.items] == [BackfillStatus.PENDING, BackfillStatus.SUCCESS]
        assert listed.items[0] == world.look(second).summary


class DiedError(BaseException):
    """The process is gone."""


class Mortal:
    """A port whose process dies at one of its calls: just before it, or just after."""

    def __init__(self, port: Any, countdown: list[int], *, after: bool) -> None:
        self._port, self._countdown, self._after = port, countdown, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*given, **named):
            self._countdown[0] -= 1
            last = self._countdown[0] == 0
            if last and not self._after:
                raise DiedError
            try:
                return method(*given, **named)
            finally:
                if last:  # an answer that is an error reaches a dead process as little as any other
                    raise DiedError

        return call


class TestDeath:
    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        ("fields", "passes"), [({}, 7), ({"parallel": True, "max_active": 2}, 5)], ids=["serial", "parallel"]
    )
    def test_whoever_dies_wherever_another_goes_on(self, make_world, fields, passes, after):
        """For each call of a port in a backfill's life: a death there, and a new process finishes it; each date ran exactly once.

        ``passes`` of the worker take an undisturbed backfill to its end, and one pass further.
        """
        survived = False
        calls = 0
        while not survived:
            calls += 1
            world = make_world()
            countdown = [calls]
            mortal = world.reborn(
                database=each_port(world.database, partial(Mortal, countdown=countdown, after=after)),
                airflow=Mortal(world.airflow, countdown, after=after),
            )
            try:
                alone = mortal.backfill(1, 3, **fields)
                mortal.pass_time(passes)
                survived = True
                assert world.status(alone) is BackfillStatus.SUCCESS
            except DiedError:
                pass
            world = world.reborn()
            recorded = world.service.backfills(NAME).items
            view = world.look(recorded[0]) if recorded else world.backfill(1, 3, **fields)
            assert world.finish(view) is BackfillStatus.SUCCESS, calls
            assert world.sent() == ["2026-01-01", "2026-01-02", "2026-01-03"], calls
        assert calls > 50

    @pytest.mark.parametrize("effect", Effect)
    def test_answers_that_never_come(self, world, effect):
        """Carried out or not: the same id is sent again, and each date runs once."""
        world.airflow.lose_answers(effect, times=2)
        view = world.backfill(1, 3, parallel=True, max_active=2)
        assert world.finish(view) is BackfillStatus.SUCCESS
        assert sorted(world.sent()) == ["2026-01-01", "2026-01-02", "2026-01-03"]

    def test_airflow_away_for_a_while(self, world):
        """What was not sent is sent later; what was sent is seen later."""
        view = world.backfill(1, 3)
        world.airflow.go_down()
        world.pass_time(10)
        assert world.status(view) is BackfillStatus.PENDING
        world.airflow.come_back()
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_airflow_away_right_after_the_acceptance(self, world):
        """Accepted all the same; nothing is tried again and again within one pass."""
        ping, asked = world.airflow.ping, []

        def last_words():
            ping()
            asked.append(1)
            if len(asked) == 2:  # the ping before the runs are sent
                world.airflow.go_down()

        world.airflow.ping = last_words
        view = world.backfill(1, 4, parallel=True)
        assert {run.submission for run in view.runs} == {Submission.WAITING}
        world.airflow.come_back()
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_a_stop_whose_process_died(self, world):
        """Recorded, but nothing was ended yet: the worker does that."""
        view = world.backfill(1, 3, parallel=True, max_active=2)
        world.clock.sleep(1.5)

        class Dying(Mortal):
            def __getattr__(self, name: str) -> Any:
                if name == "save_run":
                    raise DiedError
                return super().__getattr__(name)

        with pytest.raises(DiedError):
            world.reborn(
                database=each_port(world.database, lambda port: Dying(port, [0], after=False))
            ).service.stop_backfill(view.backfill.backfill_id)
        assert world.by_date(view)[3] == "STOPPED"
        assert world.finish(view) is BackfillStatus.STOPPED
