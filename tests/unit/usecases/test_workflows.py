"""Read the list of workflows and the history of runs."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.support.world import DAG, NAME
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.run import RunStatus, RunType
from workflow_core.errors import (
    InvalidRequest,
)


class TestLists:
    def test_a_run_that_airflow_made_appears_in_the_history(self, world):
        """Scheduled runs are mirrored under a run id of the service, with their type and trigger."""
        world.register()
        world.airflow.add_run(
            DAG, "scheduled__2026-01-01T06:00:00+00:00", run_type=RunType.SCHEDULED, triggered_by="scheduler",
            conf={"note": "a\0b\ud800"},
        )  # fmt: skip
        assert world.sweeper.sweep().runs_observed == 1
        (run,) = world.usecases.history().items
        assert (run.run_type, run.triggered_by) == (RunType.SCHEDULED, "scheduler")
        assert run.run_id.startswith(f"{NAME}_")
        assert run.params == {"note": "a\ufffdb?"}
        world.clock.sleep(60)
        world.sweeper.sweep()
        assert world.usecases.workflow(NAME).last_run.status is RunStatus.SUCCESS
        assert world.usecases.history().total == 1

    def test_runs_of_other_dags_are_passed_over(self, world):
        """Airflow may contain other DAGs."""
        from workflow_core.fakes.airflow_dags import FakeDag

        world.airflow.add_dag(FakeDag(dag_id="not_ours"))
        world.airflow.add_run("not_ours", "r1", run_type=RunType.MANUAL, triggered_by="admin")
        assert world.sweeper.sweep().runs_observed == 0
        assert world.usecases.history().total == 0

    def test_the_list_has_last_and_next_run(self, world):
        """A paused workflow has no next run."""
        world.register()
        run = world.usecases.run(NAME)
        (view,) = world.usecases.workflows().items
        assert view.last_run.run_id == run.run_id
        assert view.next_run == datetime(2026, 1, 2, 6, tzinfo=UTC)
        world.usecases.pause(NAME)
        assert world.usecases.workflow(NAME).next_run is None

    def test_dates_the_wrong_way_round_are_refused(self, world):
        """The end of the history's window must not lie before its start."""
        with pytest.raises(InvalidRequest, match="end_date"):
            world.usecases.history(HistoryFilter(start_date=date(2026, 1, 2), end_date=date(2026, 1, 1)))
