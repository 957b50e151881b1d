"""Read one run, as the worker mirrored it or as Airflow reports it now."""

from __future__ import annotations

import pytest

from tests.support.world import DAG, NAME
from workflow_core.domain.run import RunStatus
from workflow_core.errors import (
    InvalidRequest,
    WorkflowRunNotFound,
)


class TestStatus:
    def test_status_without_airflow_is_stale_and_says_since_when(self, world):
        """The last observed state is returned and marked as stale."""
        world.register()
        run = world.usecases.run(NAME)
        seen_at = world.clock.now()
        world.clock.sleep(1.5)
        world.airflow.go_down()
        view = world.usecases.status(run.run_id)
        assert (view.stale, view.run.status, view.run.observed_at) == (True, RunStatus.PENDING, seen_at)

    def test_an_unknown_run_and_a_run_id_that_nobody_has(self, world):
        """Unknown is not found; impossible is invalid."""
        with pytest.raises(WorkflowRunNotFound):
            world.usecases.status(f"{NAME}_20260101_000000")
        with pytest.raises(InvalidRequest):
            world.usecases.status("a/b")

    def test_a_run_deleted_in_airflow_is_told_as_ended(self, world):
        """It will never succeed, and the reason is said."""
        world.register()
        run = world.usecases.run(NAME)
        world.airflow.remove_run(DAG, run.run_id)
        gone = world.usecases.status(run.run_id).run
        assert (gone.status, "deleted" in gone.reason) == (RunStatus.FAILED, True)
