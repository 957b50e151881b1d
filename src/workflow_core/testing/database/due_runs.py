"""The rules for the runs with work that is due: to send, to stop, to retry, to poll."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from workflow_core.domain.run import RunStatus, Stop, Submission
from workflow_core.domain.workflow import Pause, Phase
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_run, a_workflow

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database

MICROSECOND = timedelta(microseconds=1)
PAUSE = Pause(by="paula", at=AT)


class DueRunRules(DatabaseSubject):
    """The rules for the lists that a sweep starts from."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """The workflow that the runs belong to, stored in ``database``."""
        workflow = a_workflow(phase=Phase.SERVED)
        database.workflows.add_workflow(workflow)
        return workflow

    @pytest.mark.parametrize("submission", Submission)
    def test_runs_on_their_way_are_to_send(self, database: Database, owner: Workflow, submission: Submission) -> None:
        """Waiting runs, and sent runs with an unknown outcome, are to be sent."""
        run = a_run(owner, submission=submission)
        database.workflows.add_run(run)
        to_send = submission in {Submission.WAITING, Submission.SENDING}
        assert list(database.workflows.runs_to_send(10, sent_before=AT)) == ([run] if to_send else [])

    @pytest.mark.parametrize(
        "changes",
        [
            {"backfill_id": "b"},
            {"stop": Stop(by="sam", at=AT), "status": RunStatus.STOPPING},
            {"status": RunStatus.STOPPED},
            {"status": RunStatus.FAILED},
        ],
        ids=["of a backfill", "stopping", "stopped", "ended"],
    )
    def test_runs_that_others_care_for_are_not_to_send(
        self, database: Database, owner: Workflow, changes: dict[str, Any]
    ) -> None:
        """Runs of a backfill, runs with a requested stop and ended runs are not to be sent."""
        database.workflows.add_run(a_run(owner, submission=Submission.SENDING, **changes))
        assert list(database.workflows.runs_to_send(10, sent_before=AT)) == []

    @pytest.mark.parametrize("phase", Phase)
    @pytest.mark.parametrize("pause", [None, PAUSE])
    def test_only_runs_of_what_may_run_are_to_send(
        self, database: Database, owner: Workflow, phase: Phase, pause: Pause | None
    ) -> None:
        """Only runs of served, unpaused workflows are to be sent: Airflow would queue a run of a paused DAG, refuse
        one of an unknown DAG, and run an older spec of a revised one.
        """
        run = a_run(owner)
        database.workflows.add_run(run)
        database.workflows.save_workflow(evolve(owner, phase=phase, pause=pause))
        may_run = phase is Phase.SERVED and pause is None
        assert list(database.workflows.runs_to_send(10, sent_before=AT)) == ([run] if may_run else [])

    def test_those_never_sent_come_first(self, database: Database, owner: Workflow) -> None:
        """Runs never sent come first, then those sent longest ago, then by id; the limit cuts off the last ones."""
        sent = {"r1": 2, "r2": None, "r3": 1, "r0": 1, "r4": None, "r5": 3, "r10": None}
        for run_id, moment in sent.items():
            database.workflows.add_run(
                a_run(owner, run_id=run_id, sent_at=None if moment is None else AT + moment * MICROSECOND)
            )
        found = [run.run_id for run in database.workflows.runs_to_send(6, sent_before=AT)]
        assert found == ["r10", "r2", "r4", "r0", "r3", "r1"]

    def test_a_run_that_was_sent_lately_is_not_to_send(self, database: Database, owner: Workflow) -> None:
        """A run sent recently is not to be sent, because its sender may still wait for the answer; a waiting run is,
        because Airflow did not accept it.
        """
        for run_id, submission, moment in [
            ("before", Submission.SENDING, AT - MICROSECOND),
            ("then", Submission.SENDING, AT),
            ("after", Submission.SENDING, AT + MICROSECOND),
            ("back", Submission.WAITING, AT + MICROSECOND),
        ]:
            database.workflows.add_run(a_run(owner, run_id=run_id, submission=submission, sent_at=moment))
        assert [run.run_id for run in database.workflows.runs_to_send(9, sent_before=AT)] == ["before", "back"]

    @pytest.mark.parametrize("status", RunStatus)
    def test_stopping_runs(self, database: Database, owner: Workflow, status: RunStatus) -> None:
        """Stopping runs are listed independent of the state of their workflow."""
        run = a_run(owner, status=status, stop=Stop(by="sam", at=AT))
        database.workflows.add_run(run)
        database.workflows.save_workflow(evolve(owner, phase=Phase.LEAVING))
        assert list(database.workflows.stopping_runs(10)) == ([run] if status is RunStatus.STOPPING else [])

    def test_those_never_asked_come_first(self, database: Database, owner: Workflow) -> None:
        """Stops never sent to Airflow come first, then those sent longest ago, then by id; the limit cuts off the last ones."""
        asked = {"r1": 2, "r2": None, "r3": 1, "r0": 1, "r4": None, "r5": 3}
        for run_id, moment in asked.items():
            stop = Stop(by="sam", at=AT, asked_at=None if moment is None else AT + moment * MICROSECOND)
            database.workflows.add_run(a_run(owner, run_id=run_id, status=RunStatus.STOPPING, stop=stop))
        assert [run.run_id for run in database.workflows.stopping_runs(5)] == ["r2", "r4", "r0", "r3", "r1"]

    @pytest.mark.parametrize("submission", Submission)
    @pytest.mark.parametrize("status", RunStatus)
    def test_retrying_runs(
        self, database: Database, owner: Workflow, submission: Submission, status: RunStatus
    ) -> None:
        """Runs with a pending retry that have not ended are listed independent of the state of their workflow."""
        run = a_run(owner, submission=submission, status=status)
        database.workflows.add_run(run)
        database.workflows.save_workflow(evolve(owner, pause=PAUSE))
        retrying = submission is Submission.RETRYING and not status.is_final
        assert list(database.workflows.retrying_runs(10)) == ([run] if retrying else [])

    def test_retries_that_are_stopped_are_not_listed(self, database: Database, owner: Workflow) -> None:
        """A retry with a requested stop is not listed."""
        stop = Stop(by="sam", at=AT)
        database.workflows.add_run(a_run(owner, submission=Submission.RETRYING, status=RunStatus.STOPPING, stop=stop))
        assert list(database.workflows.retrying_runs(10)) == []

    def test_retries_never_asked_for_come_first(self, database: Database, owner: Workflow) -> None:
        """Retries never sent to Airflow come first, then those sent longest ago, then by id; the limit cuts off the last ones."""
        sent = {"r1": 2, "r2": None, "r3": 1, "r0": 1, "r4": None, "r5": 3}
        for run_id, moment in sent.items():
            at = None if moment is None else AT + moment * MICROSECOND
            database.workflows.add_run(a_run(owner, run_id=run_id, submission=Submission.RETRYING, sent_at=at))
        assert [run.run_id for run in database.workflows.retrying_runs(5)] == ["r2", "r4", "r0", "r3", "r1"]

    @pytest.mark.parametrize("submission", Submission)
    @pytest.mark.parametrize("status", RunStatus)
    def test_runs_to_poll(self, database: Database, owner: Workflow, submission: Submission, status: RunStatus) -> None:
        """Runs that are in Airflow and have not ended are listed."""
        run = a_run(owner, submission=submission, status=status)
        database.workflows.add_run(run)
        is_there = submission is Submission.SUBMITTED and not status.is_final
        assert list(database.workflows.runs_to_poll(10)) == ([run] if is_there else [])

    def test_runs_never_observed_come_first(self, database: Database, owner: Workflow) -> None:
        """Runs never observed come first, then those observed longest ago, then by id; the limit cuts off the last ones."""
        seen = {"r1": 2, "r2": None, "r3": 1, "r0": 1, "r4": None, "r5": 3}
        for run_id, moment in seen.items():
            at = None if moment is None else AT + moment * MICROSECOND
            database.workflows.add_run(a_run(owner, run_id=run_id, submission=Submission.SUBMITTED, observed_at=at))
        assert [run.run_id for run in database.workflows.runs_to_poll(5)] == ["r2", "r4", "r0", "r3", "r1"]

    def test_active_runs_are_those_that_have_not_ended(self, database: Database, owner: Workflow) -> None:
        """Runs of this workflow with a status that is not final are listed by id."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        database.workflows.add_run(a_run(other))
        for status in reversed(RunStatus):
            database.workflows.add_run(a_run(owner, run_id=f"r_{status}", status=status))
        active = [run.run_id for run in database.workflows.active_runs(owner)]
        assert active == ["r_PENDING", "r_RUNNING", "r_STOPPING"]

    def test_active_runs_are_of_the_very_workflow(self, database: Database, owner: Workflow) -> None:
        """Active runs of a predecessor with the same name are left out."""
        database.workflows.add_run(a_run(owner))
        left = database.workflows.save_workflow(evolve(owner, phase=Phase.LEAVING))
        successor = a_workflow()
        database.workflows.add_workflow(successor)
        assert (len(database.workflows.active_runs(left)), len(database.workflows.active_runs(successor))) == (1, 0)
