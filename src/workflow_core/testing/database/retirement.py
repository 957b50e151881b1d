"""The rules for workflows that leave: their names are free, their history stays, and they accept no run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.names import uuid7
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase, Removal, Workflow
from workflow_core.errors import ConcurrentUpdate, WorkflowAlreadyExists, WorkflowHasActiveRuns, WorkflowNotFound
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, NAME, a_run, a_workflow
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.ports.database import Database
    from workflow_core.testing.database.subject import DatabaseFacts

HAS_LEFT = pytest.mark.parametrize("phase", [Phase.LEAVING, Phase.GONE])


class RetirementRules(DatabaseSubject):
    """The rules for workflows that are being unregistered or have left."""

    def test_a_workflow_that_is_being_unregistered_is_there(self, database: Database) -> None:
        """A workflow that is being unregistered holds its name, and names the requesting caller."""
        workflow = _kept(database, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        assert database.workflows.workflow(NAME) == workflow
        with pytest.raises(WorkflowAlreadyExists, match=NAME):
            database.workflows.add_workflow(a_workflow())

    @HAS_LEFT
    def test_what_has_left_is_not_there(self, database: Database, phase: Phase) -> None:
        """A workflow that has left is found neither by name nor by DAG id, and is in no list."""
        workflow = _kept(database)
        database.workflows.save_workflow(evolve(workflow, phase=phase))
        assert (database.workflows.workflow(NAME), database.workflows.workflow_by_dag(workflow.dag_id)) == (None, None)
        page = database.workflows.list_workflows(WorkflowFilter(), PageRequest())
        assert (page.items, page.total) == ((), 0)

    @HAS_LEFT
    def test_what_has_left_is_known_by_its_id(self, database: Database, phase: Phase) -> None:
        """A workflow that has left is found by id, also beside a successor with the same name; an unknown id returns None."""
        left = database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        successor = _kept(database)
        assert (database.workflows.workflow_by_id(left.id), database.workflows.workflow_by_id(successor.id)) == (
            left,
            successor,
        )
        assert database.workflows.workflow_by_id(uuid7(AT)) is None

    @HAS_LEFT
    def test_its_name_is_free(self, database: Database, phase: Phase) -> None:
        """A successor with the same name and DAG id is accepted, and is found by both."""
        database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        successor = a_workflow(owner="next@example.com")
        database.workflows.add_workflow(successor)
        assert (database.workflows.workflow(NAME), database.workflows.workflow_by_dag(successor.dag_id)) == (
            successor,
            successor,
        )

    def test_any_number_may_have_left_one_name(self, database: Database) -> None:
        """Any number of workflows with one name may have left."""
        for phase in (Phase.LEAVING, Phase.GONE, Phase.LEAVING, Phase.GONE):
            database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        assert len(database.workflows.unsettled_workflows(10)) == 2

    @HAS_LEFT
    def test_the_names_that_were_left_are_known(self, database: Database, phase: Phase) -> None:
        """Requested names of workflows that have left are returned; names of live workflows and unknown names are not."""
        database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        names = [NAME, "a.other", "a.never"]
        assert set(database.workflows.retired_names(names)) == {NAME}
        assert set(database.workflows.retired_names(["a.other"])) == set()
        assert set(database.workflows.retired_names([])) == set()
        database.workflows.save_workflow(evolve(other, phase=phase))
        assert set(database.workflows.retired_names(names)) == {NAME, "a.other"}

    @HAS_LEFT
    def test_a_name_that_is_taken_again_is_not_left(self, database: Database, phase: Phase) -> None:
        """A name in use by a successor is not retired until the successor has left."""
        database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        successor = _kept(database, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        assert set(database.workflows.retired_names([NAME])) == set()
        database.workflows.save_workflow(evolve(successor, phase=phase))
        assert set(database.workflows.retired_names([NAME])) == {NAME}

    def test_its_runs_stay(self, database: Database, behind: DatabaseFacts) -> None:
        """The history of a name contains the runs of a workflow that has left and of its successor; each run can be read and saved."""
        workflow = _kept(database)
        run = a_run(workflow)
        database.workflows.add_run(run)
        database.workflows.save_workflow(evolve(workflow, phase=Phase.LEAVING))
        successor = _kept(database)
        database.workflows.add_run(a_run(successor, nth=2))
        saved = database.workflows.save_run(evolve(run, status=RunStatus.SUCCESS))
        assert database.workflows.run(run.run_id) == saved
        listed = database.workflows.history(HistoryFilter(dataset_name=NAME), PageRequest()).items
        assert {one.workflow_id for one in listed} == {workflow.id, successor.id}
        assert len(behind.run_facts()) == 2

    def test_a_save_does_not_reach_a_successor_of_the_same_name(self, database: Database) -> None:
        """A save of a workflow that has left does not change its successor, which has the same name and version."""
        old = _kept(database)
        database.workflows.save_workflow(evolve(old, phase=Phase.GONE))
        successor = _kept(database)
        for act in (database.workflows.save_workflow, partial(database.workflows.retire_workflow, force=True)):
            with pytest.raises(ConcurrentUpdate):
                act(old)
        assert database.workflows.workflow(NAME) == successor

    def test_what_has_left_goes_on_leaving(self, database: Database) -> None:
        """A leaving workflow can become gone beside a successor."""
        leaving = database.workflows.save_workflow(evolve(_kept(database), phase=Phase.LEAVING))
        _kept(database)
        database.workflows.save_workflow(evolve(leaving, phase=Phase.GONE))
        assert [one.phase for one in database.workflows.unsettled_workflows(10)] == [Phase.SERVED]

    @pytest.mark.parametrize("phase", [Phase.REGISTERING, Phase.SERVED, Phase.FAILED, Phase.UNREGISTERING])
    def test_what_has_left_does_not_come_back(self, database: Database, phase: Phase) -> None:
        """Saving a workflow that has left as live is refused, with and without a successor."""
        leaving = database.workflows.save_workflow(evolve(_kept(database), phase=Phase.LEAVING))
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(evolve(leaving, phase=phase))
        _kept(database)
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(evolve(leaving, phase=phase))

    def test_retiring_is_a_save(self, database: Database) -> None:
        """Retiring saves the given workflow and returns its next version."""
        workflow = _kept(database)
        wanted = evolve(workflow, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        saved = database.workflows.retire_workflow(wanted, force=False)
        assert saved == evolve(wanted, version=workflow.version + 1)
        assert database.workflows.workflow(NAME) == saved
        with pytest.raises(ConcurrentUpdate):
            database.workflows.retire_workflow(wanted, force=False)

    @pytest.mark.parametrize("status", RunStatus)
    def test_what_has_active_runs_is_retired_by_force_only(self, database: Database, status: RunStatus) -> None:
        """An active run refuses the retirement unless it is forced; the error names the run, and nothing is written."""
        workflow = _kept(database)
        database.workflows.add_run(a_run(workflow, run_id="r1", status=status))
        wanted = evolve(workflow, phase=Phase.UNREGISTERING)
        if not status.is_final:
            with pytest.raises(WorkflowHasActiveRuns, match="'r1'"):
                database.workflows.retire_workflow(wanted, force=False)
            assert database.workflows.workflow(NAME) == workflow
        assert database.workflows.retire_workflow(wanted, force=not status.is_final).phase is Phase.UNREGISTERING

    def test_runs_of_others_are_not_in_the_way(self, database: Database) -> None:
        """Active runs of other workflows, or of a predecessor with the same name, do not refuse the retirement."""
        old, other = _kept(database), a_workflow("a.other")
        database.workflows.add_workflow(other)
        for one in (old, other):
            database.workflows.add_run(a_run(one))
        database.workflows.save_workflow(evolve(old, phase=Phase.LEAVING))
        successor = _kept(database)
        assert (
            database.workflows.retire_workflow(evolve(successor, phase=Phase.UNREGISTERING), force=False).version == 2
        )

    @pytest.mark.parametrize("submission", Submission)
    def test_no_new_run_once_it_is_being_unregistered(self, database: Database, submission: Submission) -> None:
        """A run that is not in Airflow is refused; one that is in Airflow is added to the history."""
        workflow = _kept(database, phase=Phase.UNREGISTERING)
        run = a_run(workflow, submission=submission)
        if submission is Submission.SUBMITTED:
            database.workflows.add_run(run)
            assert database.workflows.run(run.run_id) == run
        else:
            with pytest.raises(WorkflowNotFound, match=NAME):
                database.workflows.add_run(run)
            assert database.workflows.run(run.run_id) is None

    @HAS_LEFT
    def test_no_run_once_it_has_left(self, database: Database, phase: Phase) -> None:
        """A workflow that has left accepts no run, not even one that is in Airflow, with and without a successor."""
        workflow = database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        for submission in (Submission.WAITING, Submission.SUBMITTED):
            with pytest.raises(WorkflowNotFound):
                database.workflows.add_run(a_run(workflow, submission=submission))
        _kept(database)
        with pytest.raises(WorkflowNotFound):
            database.workflows.add_run(a_run(workflow, submission=Submission.SUBMITTED))

    def test_a_run_and_the_end_of_its_workflow_see_each_other(self, database: Database) -> None:
        """Of a new run and the retirement of its workflow at the same time, one is refused."""
        for attempt in range(10):
            workflow = a_workflow(f"a.b{attempt}")
            database.workflows.add_workflow(workflow)
            wanted = evolve(workflow, phase=Phase.UNREGISTERING)
            adders: list[Callable[[], object]] = [
                partial(database.workflows.add_run, a_run(workflow, nth=n)) for n in range(1, 4)
            ]
            retire: Callable[[], object] = partial(database.workflows.retire_workflow, wanted, force=False)
            *added, retired = together([*adders, retire])
            accepted = [answer for answer in added if answer is None]
            assert all(answer is None or isinstance(answer, WorkflowNotFound) for answer in added)
            assert isinstance(retired, WorkflowHasActiveRuns if accepted else Workflow)


def _kept(database: Database, **changes: Any) -> Workflow:
    workflow = a_workflow(**changes)
    database.workflows.add_workflow(workflow)
    return workflow
