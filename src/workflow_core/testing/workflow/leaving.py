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
from workflow_core.testing.entities import AT, NAME, a_run, a_workflow
from workflow_core.testing.together import together
from workflow_core.testing.workflow.subject import WorkflowSubject

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.ports.workflow import WorkflowPort
    from workflow_core.testing.workflow.subject import BehindWorkflows

HAS_LEFT = pytest.mark.parametrize("phase", [Phase.LEAVING, Phase.GONE])


class LeavingRules(WorkflowSubject):
    """What holds for a workflow that is being unregistered, or was."""

    def test_a_workflow_that_is_being_unregistered_is_there(self, port: WorkflowPort) -> None:
        """It holds its name, and says who wants it gone."""
        workflow = _kept(port, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        assert port.workflow(NAME) == workflow
        with pytest.raises(WorkflowAlreadyExists, match=NAME):
            port.add_workflow(a_workflow())

    @HAS_LEFT
    def test_what_has_left_is_not_there(self, port: WorkflowPort, phase: Phase) -> None:
        """Neither its name nor its DAG id finds it, and no list has it."""
        workflow = _kept(port)
        port.save_workflow(evolve(workflow, phase=phase))
        assert (port.workflow(NAME), port.workflow_by_dag(workflow.dag_id)) == (None, None)
        page = port.workflows(WorkflowFilter(), PageRequest())
        assert (page.items, page.total) == ((), 0)

    @HAS_LEFT
    def test_what_has_left_is_known_by_its_id(self, port: WorkflowPort, phase: Phase) -> None:
        """As it was saved, also beside a successor of the same name; an unknown id is None."""
        left = port.save_workflow(evolve(_kept(port), phase=phase))
        successor = _kept(port)
        assert (port.workflow_by_id(left.id), port.workflow_by_id(successor.id)) == (left, successor)
        assert port.workflow_by_id(uuid7(AT)) is None

    @HAS_LEFT
    def test_its_name_is_free(self, port: WorkflowPort, phase: Phase) -> None:
        """A successor of the same name and DAG id is kept, and is what is found."""
        port.save_workflow(evolve(_kept(port), phase=phase))
        successor = a_workflow(owner="next@example.com")
        port.add_workflow(successor)
        assert (port.workflow(NAME), port.workflow_by_dag(successor.dag_id)) == (successor, successor)

    def test_any_number_may_have_left_one_name(self, port: WorkflowPort) -> None:
        """A name may be used again and again."""
        for phase in (Phase.LEAVING, Phase.GONE, Phase.LEAVING, Phase.GONE):
            port.save_workflow(evolve(_kept(port), phase=phase))
        assert len(port.unsettled_workflows(10)) == 2

    @HAS_LEFT
    def test_the_names_that_were_left_are_known(self, port: WorkflowPort, phase: Phase) -> None:
        """Of those that were asked for; not that of a live one, nor one that nobody ever had."""
        port.save_workflow(evolve(_kept(port), phase=phase))
        other = a_workflow("a.other")
        port.add_workflow(other)
        names = [NAME, "a.other", "a.never"]
        assert set(port.names_that_left(names)) == {NAME}
        assert set(port.names_that_left(["a.other"])) == set()
        assert set(port.names_that_left([])) == set()
        port.save_workflow(evolve(other, phase=phase))
        assert set(port.names_that_left(names)) == {NAME, "a.other"}

    @HAS_LEFT
    def test_a_name_that_is_taken_again_is_not_left(self, port: WorkflowPort, phase: Phase) -> None:
        """Whatever the successor does, until it has left, too."""
        port.save_workflow(evolve(_kept(port), phase=phase))
        successor = _kept(port, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        assert set(port.names_that_left([NAME])) == set()
        port.save_workflow(evolve(successor, phase=phase))
        assert set(port.names_that_left([NAME])) == {NAME}

    def test_its_runs_stay(self, port: WorkflowPort, behind: BehindWorkflows) -> None:
        """History by name has the runs of what has left and of its successor; each can be read and saved."""
        workflow = _kept(port)
        run = a_run(workflow)
        port.add_run(run)
        port.save_workflow(evolve(workflow, phase=Phase.LEAVING))
        successor = _kept(port)
        port.add_run(a_run(successor, nth=2))
        saved = port.save_run(evolve(run, status=RunStatus.SUCCESS))
        assert port.run(run.run_id) == saved
        listed = port.history(HistoryFilter(dataset_name=NAME), PageRequest()).items
        assert {one.workflow_id for one in listed} == {workflow.id, successor.id}
        assert len(behind.run_facts()) == 2

    def test_a_save_does_not_reach_a_successor_of_the_same_name(self, port: WorkflowPort) -> None:
        """A successor has the same name and version, but is another workflow."""
        old = _kept(port)
        port.save_workflow(evolve(old, phase=Phase.GONE))
        successor = _kept(port)
        for act in (port.save_workflow, partial(port.retire_workflow, force=True)):
            with pytest.raises(ConcurrentUpdate):
                act(old)
        assert port.workflow(NAME) == successor

    def test_what_has_left_goes_on_leaving(self, port: WorkflowPort) -> None:
        """From leaving to gone, with a successor beside it."""
        leaving = port.save_workflow(evolve(_kept(port), phase=Phase.LEAVING))
        _kept(port)
        port.save_workflow(evolve(leaving, phase=Phase.GONE))
        assert [one.phase for one in port.unsettled_workflows(10)] == [Phase.SERVED]

    @pytest.mark.parametrize("phase", [Phase.REGISTERING, Phase.SERVED, Phase.FAILED, Phase.UNREGISTERING])
    def test_what_has_left_does_not_come_back(self, port: WorkflowPort, phase: Phase) -> None:
        """Saving it as live is refused, with a successor and without."""
        leaving = port.save_workflow(evolve(_kept(port), phase=Phase.LEAVING))
        with pytest.raises(ConcurrentUpdate):
            port.save_workflow(evolve(leaving, phase=phase))
        _kept(port)
        with pytest.raises(ConcurrentUpdate):
            port.save_workflow(evolve(leaving, phase=phase))

    def test_retiring_is_a_save(self, port: WorkflowPort) -> None:
        """It writes what it is given, and answers the next version."""
        workflow = _kept(port)
        wanted = evolve(workflow, phase=Phase.UNREGISTERING, removal=Removal(by="rita", at=AT))
        saved = port.retire_workflow(wanted, force=False)
        assert saved == evolve(wanted, version=workflow.version + 1)
        assert port.workflow(NAME) == saved
        with pytest.raises(ConcurrentUpdate):
            port.retire_workflow(wanted, force=False)

    @pytest.mark.parametrize("status", RunStatus)
    def test_what_has_active_runs_is_retired_by_force_only(self, port: WorkflowPort, status: RunStatus) -> None:
        """Any run that has not ended is in the way; the error names one, and nothing is written."""
        workflow = _kept(port)
        port.add_run(a_run(workflow, run_id="r1", status=status))
        wanted = evolve(workflow, phase=Phase.UNREGISTERING)
        if not status.is_final:
            with pytest.raises(WorkflowHasActiveRuns, match="'r1'"):
                port.retire_workflow(wanted, force=False)
            assert port.workflow(NAME) == workflow
        assert port.retire_workflow(wanted, force=not status.is_final).phase is Phase.UNREGISTERING

    def test_runs_of_others_are_not_in_the_way(self, port: WorkflowPort) -> None:
        """Neither another's active run nor one of a predecessor of the same name."""
        old, other = _kept(port), a_workflow("a.other")
        port.add_workflow(other)
        for one in (old, other):
            port.add_run(a_run(one))
        port.save_workflow(evolve(old, phase=Phase.LEAVING))
        successor = _kept(port)
        assert port.retire_workflow(evolve(successor, phase=Phase.UNREGISTERING), force=False).version == 2

    @pytest.mark.parametrize("submission", Submission)
    def test_no_new_run_once_it_is_being_unregistered(self, port: WorkflowPort, submission: Submission) -> None:
        """A run that Airflow does not have yet is refused; one that it has belongs into the history."""
        workflow = _kept(port, phase=Phase.UNREGISTERING)
        run = a_run(workflow, submission=submission)
        if submission is Submission.SUBMITTED:
            port.add_run(run)
            assert port.run(run.run_id) == run
        else:
            with pytest.raises(WorkflowNotFound, match=NAME):
                port.add_run(run)
            assert port.run(run.run_id) is None

    @HAS_LEFT
    def test_no_run_once_it_has_left(self, port: WorkflowPort, phase: Phase) -> None:
        """Whatever Airflow says, also with a successor of the same name."""
        workflow = port.save_workflow(evolve(_kept(port), phase=phase))
        for submission in (Submission.WAITING, Submission.SUBMITTED):
            with pytest.raises(WorkflowNotFound):
                port.add_run(a_run(workflow, submission=submission))
        _kept(port)
        with pytest.raises(WorkflowNotFound):
            port.add_run(a_run(workflow, submission=Submission.SUBMITTED))

    def test_a_run_and_the_end_of_its_workflow_see_each_other(self, port: WorkflowPort) -> None:
        """Of a run added while its workflow is retired, one of both is refused; never are both accepted."""
        for attempt in range(10):
            workflow = a_workflow(f"a.b{attempt}")
            port.add_workflow(workflow)
            wanted = evolve(workflow, phase=Phase.UNREGISTERING)
            adders: list[Callable[[], object]] = [partial(port.add_run, a_run(workflow, nth=n)) for n in range(1, 4)]
            retire: Callable[[], object] = partial(port.retire_workflow, wanted, force=False)
            *added, retired = together([*adders, retire])
            accepted = [answer for answer in added if answer is None]
            assert all(answer is None or isinstance(answer, WorkflowNotFound) for answer in added)
            assert isinstance(retired, WorkflowHasActiveRuns if accepted else Workflow)


def _kept(port: WorkflowPort, **changes: Any) -> Workflow:
    workflow = a_workflow(**changes)
    port.add_workflow(workflow)
    return workflow
