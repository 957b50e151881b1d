"""Runs looked up by many keys: versions, statuses, ids in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workflow_core.domain.run import RunStatus
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_run, a_workflow

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database


class RunLookupRules(DatabaseSubject):
    """The rules for lookups of many runs."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """The workflow that the runs belong to, stored in ``database``."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        return workflow

    def test_versions_of_runs_are_read(self, database: Database, owner: Workflow) -> None:
        """The versions of requested, existing runs are returned; a save changes the version of its run."""
        first, second = a_run(owner, nth=1), a_run(owner, nth=2)
        database.workflows.add_run(first)
        database.workflows.add_run(second)
        names = [first.run_id, second.run_id, "no such run"]
        assert database.workflows.run_versions(names) == {first.run_id: first.version, second.run_id: second.version}
        saved = database.workflows.save_run(first)
        assert database.workflows.run_versions(names) == {first.run_id: saved.version, second.run_id: second.version}
        assert database.workflows.run_versions([second.run_id]) == {second.run_id: second.version}
        assert database.workflows.run_versions([]) == {}

    def test_versions_of_very_many_are_read(self, database: Database, owner: Workflow) -> None:
        """The versions of more runs than one statement can hold are returned."""
        run = a_run(owner)
        database.workflows.add_run(run)
        assert database.workflows.run_versions([run.run_id, *map(str, range(1200))]) == {run.run_id: run.version}

    def test_statuses_of_runs_are_read(self, database: Database, owner: Workflow) -> None:
        """The recorded statuses of requested, existing runs are returned, also of more runs than one statement can hold."""
        first, second, other = (a_run(owner, nth=nth) for nth in (1, 2, 3))
        for run in (first, second, other):
            database.workflows.add_run(run)
        assert database.workflows.save_run(second.refused("no", AT)).status is RunStatus.FAILED
        names = [first.run_id, second.run_id, *map(str, range(1200))]
        assert database.workflows.run_statuses(names) == {first.run_id: first.status, second.run_id: RunStatus.FAILED}
        assert database.workflows.run_statuses([]) == {}

    def test_runs_are_found_by_airflow_id(self, database: Database, owner: Workflow) -> None:
        """Known pairs of DAG id and Airflow's run id are returned; unknown pairs are left out."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        first, second = a_run(owner, airflow_run_id="s1"), a_run(owner, nth=2, airflow_run_id="s2")
        third = a_run(other, airflow_run_id="s3")
        for run in (first, second, third):
            database.workflows.add_run(run)
        wanted = [(owner.dag_id, "s1"), (other.dag_id, "s3"), (other.dag_id, "s2"), (owner.dag_id, "no")]
        found = database.workflows.runs_by_airflow_id(iter(wanted * 2))
        assert found == {(owner.dag_id, "s1"): first, (other.dag_id, "s3"): third}

    def test_no_airflow_ids_no_runs(self, database: Database, owner: Workflow) -> None:
        """No pairs return no runs."""
        database.workflows.add_run(a_run(owner))
        assert database.workflows.runs_by_airflow_id([]) == {}

    def test_very_many_airflow_ids(self, database: Database, owner: Workflow) -> None:
        """The number of pairs is not limited."""
        run = a_run(owner)
        database.workflows.add_run(run)
        wanted = [(owner.dag_id, f"s{n}") for n in range(40_000)] + [(owner.dag_id, run.run_id)]
        assert database.workflows.runs_by_airflow_id(wanted) == {(owner.dag_id, run.run_id): run}
