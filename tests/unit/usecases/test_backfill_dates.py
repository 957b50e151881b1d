"""The dates of a backfill: which are skipped, what that means for its end, and when each of the others fires."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.backfills import NOW, a_backfilled_world, day
from tests.support.world import DAG, ME, NAME, World
from workflow_core.domain.backfill import BackfillStatus, Reprocess, SkippedDate, skip_warning
from workflow_core.domain.run import RunStatus, RunType
from workflow_core.errors import (
    BackfillNotActive,
)
from workflow_core.fakes import InMemoryDatabase
from workflow_core.fakes.backfills import InMemoryBackfills

if TYPE_CHECKING:
    from workflow_core.domain.backfill import BackfillView


@pytest.fixture
def make_world():
    return a_backfilled_world


@pytest.fixture
def world(make_world):
    return make_world()


class TestDatesThatHaveRuns:
    def test_by_default_they_are_skipped(self, world):
        """Skipped dates are reported with their run and its status, for every type of run."""
        run = world.usecases.run(NAME, {"date": "2026-01-02"})
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
        """Each date becomes a separate run with its own params; its logical date is the next microsecond, and no earlier run changes."""
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
        world.usecases.stop_backfill(first.backfill.backfill_id)
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
        view = world.another(database=database).backfill(1, 3)
        assert [run.run_date.day for run in view.runs] == [1]
        assert [one.date.day for one in view.backfill.skipped] == [2, 3]


class TestWhatSkippedDatesMeanForTheEnd:
    """A backfill is SUCCESS only if every date of its range has succeeded."""

    def ended(self, world, number: int, ends: str) -> str:
        """A run of this date that ended so."""
        if ends == "failed":
            world.airflow.end_task(DAG, "extract", "failed")
        run = world.usecases.run(NAME, {"date": day(number).isoformat()}, caller=ME)
        if ends == "stopped":
            world.usecases.stop(run.run_id, caller=ME)
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
        [listed] = world.usecases.backfills(NAME).items
        assert listed.status is status
        if last == 1:
            assert view.summary.status is status
            assert world.backfill(1, 1, dry_run=True).summary.status is status

    def test_a_skipped_run_that_is_under_way_is_waited_for(self, world):
        """RUNNING until it has ended, then as that ended; what is waited for is said."""
        run = world.usecases.run(NAME, {"date": "2026-01-01"}, caller=ME)
        view = world.backfill(1, 1)
        assert view.summary.status is BackfillStatus.RUNNING
        assert world.look(view).held == f"Waiting for run {run.run_id} of the skipped date 2026-01-01."
        assert world.finish(view) is BackfillStatus.SUCCESS
        assert world.look(view).held is None
        assert [one.status for one in world.look(view).backfill.skipped] == [RunStatus.SUCCESS]

    def test_a_skipped_run_that_fails_later_fails_the_backfill(self, world):
        """Its outcome is that of the date."""
        world.airflow.end_task(DAG, "extract", "failed")
        world.usecases.run(NAME, {"date": "2026-01-01"}, caller=ME)
        view = world.backfill(1, 1)
        assert world.finish(view) is BackfillStatus.FAILED

    def test_a_retry_of_the_skipped_run_mends_the_backfill(self, world):
        """The backfill follows the retry as it does for one of its runs."""
        run_id = self.ended(world, 1, "failed")
        view = world.backfill(1, 2)
        assert world.finish(view) is BackfillStatus.FAILED
        world.usecases.retry(run_id, caller=ME)
        assert world.status(view) is BackfillStatus.RUNNING
        assert world.finish(view) is BackfillStatus.SUCCESS

    def test_a_manual_run_without_a_date_takes_today(self, world):
        """It is the run of today, and counts as such."""
        world.airflow.end_task(DAG, "extract", "failed")
        world.usecases.run(NAME, caller=ME)
        world.pass_time(40)
        assert world.status(world.backfill(NOW.day, NOW.day)) is BackfillStatus.FAILED

    def test_nothing_of_its_own_is_nothing_to_steer(self, world):
        """A backfill that only waits for the run of a skipped date has nothing to pause, resume or stop."""
        world.usecases.run(NAME, {"date": "2026-01-01"}, caller=ME)
        backfill_id = world.backfill(1, 1).backfill.backfill_id
        for steer in (world.usecases.pause_backfill, world.usecases.resume_backfill, world.usecases.stop_backfill):
            with pytest.raises(BackfillNotActive):
                steer(backfill_id, caller=ME)

    def test_its_own_failure_and_its_own_stop_win(self, world):
        """Over a skipped date that has not ended."""
        world.airflow.end_task(DAG, "extract", "failed")
        view = world.backfill(1, 1)
        assert world.finish(view) is BackfillStatus.FAILED
        world.clock.sleep(1)
        again = world.backfill(1, 2, reprocess=Reprocess.NONE)
        world.usecases.stop_backfill(again.backfill.backfill_id, caller=ME)
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
        view = world.usecases.backfill(NAME, first, last, dry_run=True)
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
        """A scheduled run that was never observed has the logical date; the slot becomes a separate run under its own id."""
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
        world.sweeper.sweep()
        assert world.look(view).runs[0].logical_date == fired + 30 * timedelta(microseconds=1)
