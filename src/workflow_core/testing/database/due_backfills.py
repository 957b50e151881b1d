"""What the worker asks for: backfills for which something is to be done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from workflow_core.domain.backfill import Wanted
from workflow_core.domain.run import RunStatus, Stop, Submission
from workflow_core.domain.workflow import Pause, Phase
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_backfill, a_workflow, slots_of

if TYPE_CHECKING:
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database

WAITING: Final[dict[str, Any]] = {}
SENDING: Final[dict[str, Any]] = {"submission": Submission.SENDING}
RUNNING: Final[dict[str, Any]] = {"submission": Submission.SUBMITTED, "status": RunStatus.RUNNING}
STOPPING: Final[dict[str, Any]] = {
    "submission": Submission.SENDING,
    "status": RunStatus.STOPPING,
    "stop": Stop(by="sam", at=AT),
}
SUCCESS: Final[dict[str, Any]] = {"submission": Submission.SUBMITTED, "status": RunStatus.SUCCESS}
REFUSED: Final[dict[str, Any]] = {"submission": Submission.REFUSED, "status": RunStatus.FAILED}
CANCELLED: Final[dict[str, Any]] = {
    "submission": Submission.CANCELLED,
    "status": RunStatus.STOPPED,
    "stop": Stop(by="sam", at=AT),
}


class DueBackfillRules(DatabaseSubject):
    """Which backfills the worker is told of; each of them has at most two runs under way."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """The workflow that the backfills belong to, kept in ``database``."""
        workflow = a_workflow(phase=Phase.SERVED)
        database.workflows.add_workflow(workflow)
        return workflow

    @pytest.mark.parametrize(
        ("slots", "active"),
        [
            ([WAITING, WAITING, WAITING], True),
            ([RUNNING, WAITING, WAITING], True),
            ([RUNNING, RUNNING, WAITING], False),
            ([RUNNING, STOPPING, WAITING], False),
            ([SUCCESS, RUNNING, WAITING], True),
            ([RUNNING, SENDING, WAITING], True),
            ([SUCCESS, SUCCESS, SENDING], True),
            ([RUNNING, RUNNING, SUCCESS], False),
            ([STOPPING, SUCCESS, SUCCESS], False),
            ([SUCCESS, REFUSED, CANCELLED], False),
        ],
    )
    def test_wanted_to_run(
        self, database: Database, owner: Workflow, slots: list[dict[str, Any]], *, active: bool
    ) -> None:
        """Listed while it may send another run, or does not know whether one arrived."""
        backfill = _kept(database, owner, slots)
        assert list(database.backfills.active_backfills(10)) == ([backfill] if active else [])

    @pytest.mark.parametrize(
        ("slots", "active"),
        [
            ([WAITING, SUCCESS, SUCCESS], True),
            ([RUNNING, RUNNING, RUNNING], True),
            ([STOPPING, SENDING, CANCELLED], True),
            ([STOPPING, STOPPING, CANCELLED], False),
            ([SUCCESS, REFUSED, CANCELLED], False),
        ],
    )
    def test_wanted_to_stop(
        self, database: Database, owner: Workflow, slots: list[dict[str, Any]], *, active: bool
    ) -> None:
        """Listed until each of its runs has ended or knows that it is to end, whatever its workflow does."""
        backfill = _kept(database, owner, slots, wanted=Wanted.STOP)
        database.workflows.save_workflow(evolve(owner, phase=Phase.LEAVING))
        assert list(database.backfills.active_backfills(10)) == ([backfill] if active else [])

    @pytest.mark.parametrize("slots", [[WAITING, WAITING, WAITING], [SENDING, RUNNING, WAITING]])
    def test_wanted_to_pause(self, database: Database, owner: Workflow, slots: list[dict[str, Any]]) -> None:
        """There is nothing to do for it."""
        _kept(database, owner, slots, wanted=Wanted.PAUSE)
        assert list(database.backfills.active_backfills(10)) == []

    @pytest.mark.parametrize("phase", Phase)
    @pytest.mark.parametrize("pause", [None, Pause(by="paula", at=AT)])
    def test_only_what_may_run_is_driven(
        self, database: Database, owner: Workflow, phase: Phase, pause: Pause | None
    ) -> None:
        """Airflow would only queue the run of a paused DAG, and refuse one of a DAG that it does not have."""
        _kept(database, owner, [WAITING, SENDING, RUNNING])
        database.workflows.save_workflow(evolve(owner, phase=phase, pause=pause))
        may_run = phase is Phase.SERVED and pause is None
        assert len(database.backfills.active_backfills(10)) == may_run

    def test_those_left_alone_for_longest_come_first(self, database: Database, owner: Workflow) -> None:
        """Then by id; the limit cuts off those that were served last, so that each has its turn."""
        for nth, seconds in ((1, 2), (2, 0), (10, 1), (3, 1)):
            _kept(database, owner, [WAITING], nth=nth, updated_at=AT + timedelta(seconds=seconds))
        found = [one.backfill_id.rpartition("20260101")[2] for one in database.backfills.active_backfills(3)]
        assert found == ["_2", "_10", "_3"]

    def test_backfills_do_not_count_each_others_runs(self, database: Database, owner: Workflow) -> None:
        """Two of one workflow at the same time: one that is full, one that is not."""
        _kept(database, owner, [RUNNING, RUNNING, WAITING])
        free = _kept(database, owner, [RUNNING, WAITING, WAITING], nth=2)
        assert list(database.backfills.active_backfills(10)) == [free]


def _kept(database: Database, owner: Workflow, slots: list[dict[str, Any]], **changes: Any) -> Backfill:
    backfill = a_backfill(owner, days=len(slots), **changes)
    runs = [evolve(run, **facts) for run, facts in zip(slots_of(owner, backfill), slots, strict=True)]
    there = len(database.workflows.dated_runs(owner, backfill.start_date, backfill.end_date))
    database.backfills.add_backfill(backfill, runs, dated=there)
    return backfill
