"""Workflows that leave: their names are free, their history stays, and no run slips in."""

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
    """What holds for a workflow that is being unregistered, or was."""

    def test_a_workflow_that_is_being_unregistered_is_there(self, database: Database) -> None:
        """It holds its name, and says who wants it gone."""
        workflow = _kept(database, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        assert database.workflows.workflow(NAME) == workflow
        with pytest.raises(WorkflowAlreadyExists, match=NAME):
            database.workflows.add_workflow(a_workflow())

    @HAS_LEFT
    def test_what_has_left_is_not_there(self, database: Database, phase: Phase) -> None:
        """Neither its name nor its DAG id finds it, and no list has it."""
        workflow = _kept(database)
        database.workflows.save_workflow(evolve(workflow, phase=phase))
        assert (database.workflows.workflow(NAME), database.workflows.workflow_by_dag(workflow.dag_id)) == (None, None)
        page = database.workflows.list_workflows(WorkflowFilter(), PageRequest())
        assert (page.items, page.total) == ((), 0)

    @HAS_LEFT
    def test_what_has_left_is_known_by_its_id(self, database: Database, phase: Phase) -> None:
        """As it was saved, also beside a successor of the same name; an unknown id is None."""
        left = database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        successor = _kept(database)
        assert (database.workflows.workflow_by_id(left.id), database.workflows.workflow_by_id(successor.id)) == (
            left,
            successor,
        )
        assert database.workflows.workflow_by_id(uuid7(AT)) is None

    @HAS_LEFT
    def test_its_name_is_free(self, database: Database, phase: Phase) -> None:
        """A successor of the same name and DAG id is kept, and is what is found."""
        database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        successor = a_workflow(owner="next@example.com")
        database.workflows.add_workflow(successor)
        assert (database.workflows.workflow(NAME), database.workflows.workflow_by_dag(successor.dag_id)) == (
            successor,
            successor,
        )

    def test_any_number_may_have_left_one_name(self, database: Database) -> None:
        """A name may be used again and again."""
        for phase in (Phase.LEAVING, Phase.GONE, Phase.LEAVING, Phase.GONE):
            database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        assert len(database.workflows.unsettled_workflows(10)) == 2

    @HAS_LEFT
    def test_the_names_that_were_left_are_known(self, database: Database, phase: Phase) -> None:
        """Of those that were asked for; not that of a live one, nor one that nobody ever had."""
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
        """Whatever the successor does, until it has left, too."""
        database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        successor = _kept(database, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        assert set(database.workflows.retired_names([NAME])) == set()
        database.workflows.save_workflow(evolve(successor, phase=phase))
        assert set(database.workflows.retired_names([NAME])) == {NAME}

    def test_its_runs_stay(self, database: Database, behind: DatabaseFacts) -> None:
        """History by name has the runs of what has left and of its successor; each can be read and saved."""
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
        """A successor has the same name and version, but is another workflow."""
        old = _kept(database)
        database.workflows.save_workflow(evolve(old, phase=Phase.GONE))
        successor = _kept(database)
        for act in (database.workflows.save_workflow, partial(database.workflows.retire_workflow, force=True)):
            with pytest.raises(ConcurrentUpdate):
                act(old)
        assert database.workflows.workflow(NAME) == successor

    def test_what_has_left_goes_on_leaving(self, database: Database) -> None:
        """From leaving to gone, with a successor beside it."""
        leaving = database.workflows.save_workflow(evolve(_kept(database), phase=Phase.LEAVING))
        _kept(database)
        database.workflows.save_workflow(evolve(leaving, phase=Phase.GONE))
        assert [one.phase for one in database.workflows.unsettled_workflows(10)] == [Phase.SERVED]

    @pytest.mark.parametrize("phase", [Phase.REGISTERING, Phase.SERVED, Phase.FAILED, Phase.UNREGISTERING])
    def test_what_has_left_does_not_come_back(self, database: Database, phase: Phase) -> None:
        """Saving it as live is refused, with a successor and without."""
        leaving = database.workflows.save_workflow(evolve(_kept(database), phase=Phase.LEAVING))
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(evolve(leaving, phase=phase))
        _kept(database)
        with pytest.raises(ConcurrentUpdate):
            database.workflows.save_workflow(evolve(leaving, phase=phase))

    def test_retiring_is_a_save(self, database: Database) -> None:
        """It writes what it is given, and answers the next version."""
        workflow = _kept(database)
        wanted = evolve(workflow, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        saved = database.workflows.retire_workflow(wanted, force=False)
        assert saved == evolve(wanted, version=workflow.version + 1)
        assert database.workflows.workflow(NAME) == saved
        with pytest.raises(ConcurrentUpdate):
            database.workflows.retire_workflow(wanted, force=False)

    @pytest.mark.parametrize("status", RunStatus)
    def test_what_has_active_runs_is_retired_by_force_only(self, database: Database, status: RunStatus) -> None:
        """Any run that has not ended is in the way; the error names one, and nothing is written."""
        workflow = _kept(database)
        database.workflows.add_run(a_run(workflow, run_id="r1", status=status))
        wanted = evolve(workflow, phase=Phase.UNREGISTERING)
        if not status.is_final:
            with pytest.raises(WorkflowHasActiveRuns, match="'r1'"):
                database.workflows.retire_workflow(wanted, force=False)
            assert database.workflows.workflow(NAME) == workflow
        assert database.workflows.retire_workflow(wanted, force=not status.is_final).phase is Phase.UNREGISTERING

    def test_runs_of_others_are_not_in_the_way(self, database: Database) -> None:
        """Neither another's active run nor one of a predecessor of the same name."""
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
        """A run that Airflow does not have yet is refused; one that it has belongs into the history."""
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
        """Whatever Airflow says, also with a successor of the same name."""
        workflow = database.workflows.save_workflow(evolve(_kept(database), phase=phase))
        for submission in (Submission.WAITING, Submission.SUBMITTED):
            with pytest.raises(WorkflowNotFound):
                database.workflows.add_run(a_run(workflow, submission=submission))
        _kept(database)
        with pytest.raises(WorkflowNotFound):
            database.workflows.add_run(a_run(workflow, submission=Submission.SUBMITTED))

    def test_a_run_and_the_end_of_its_workflow_see_each_other(self, database: Database) -> None:
        """Of a run added while its workflow is retired, one of both is refused; never are both accepted."""
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
