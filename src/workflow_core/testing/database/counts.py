"""The rules for the counts of workflows and runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.counts import Counts
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import a_run, a_workflow

if TYPE_CHECKING:
    from workflow_core.ports.database import Database


class CountRules(DatabaseSubject):
    """The rules for the counts that monitoring reads."""

    def test_nothing_is_counted_where_there_is_nothing(self, database: Database) -> None:
        """Phases and statuses without members are left out."""
        assert database.counts() == Counts()

    def test_workflows_are_counted_by_phase(self, database: Database) -> None:
        """Leaving workflows are counted, because their teardown is not finished; gone ones are not."""
        for number, phase in enumerate([*Phase, Phase.SERVED]):
            database.workflows.add_workflow(a_workflow(f"a.{number}", phase=phase))
        expected = {**dict.fromkeys(set(Phase) - {Phase.GONE}, 1), Phase.SERVED: 2}
        assert database.counts().workflows == expected

    def test_runs_that_have_not_ended_are_counted_by_status(self, database: Database) -> None:
        """Only active runs are counted, by status."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        for number, status in enumerate([*RunStatus, RunStatus.RUNNING]):
            database.workflows.add_run(a_run(workflow, run_id=f"r{number}", status=status))
        assert database.counts().runs == {RunStatus.PENDING: 1, RunStatus.RUNNING: 2, RunStatus.STOPPING: 1}
