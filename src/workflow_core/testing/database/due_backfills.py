"""The rules for the backfills with work that is due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import evolve

from workflow_core.domain.backfill import DesiredState
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
    """The rules for due backfills; each of them allows two active runs."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """The workflow that the backfills belong to, stored in ``database``."""
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
        """A running backfill is due while it may send another run, or the outcome of a sent run is unknown."""
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
        """A stopping backfill is due until every run has ended or has a requested stop, independent of its workflow."""
        backfill = _kept(database, owner, slots, wanted=DesiredState.STOP)
        database.workflows.save_workflow(evolve(owner, phase=Phase.LEAVING))
        assert list(database.backfills.active_backfills(10)) == ([backfill] if active else [])

    @pytest.mark.parametrize("slots", [[WAITING, WAITING, WAITING], [SENDING, RUNNING, WAITING]])
    def test_wanted_to_pause(self, database: Database, owner: Workflow, slots: list[dict[str, Any]]) -> None:
        """A paused backfill is never due."""
        _kept(database, owner, slots, wanted=DesiredState.PAUSE)
        assert list(database.backfills.active_backfills(10)) == []

    @pytest.mark.parametrize("phase", Phase)
    @pytest.mark.parametrize("pause", [None, Pause(by="paula", at=AT)])
    def test_only_what_may_run_is_driven(
        self, database: Database, owner: Workflow, phase: Phase, pause: Pause | None
    ) -> None:
        """A backfill of a paused workflow, or of one that Airflow does not serve, is not due."""
        _kept(database, owner, [WAITING, SENDING, RUNNING])
        database.workflows.save_workflow(evolve(owner, phase=phase, pause=pause))
        may_run = phase is Phase.SERVED and pause is None
        assert len(database.backfills.active_backfills(10)) == may_run

    def test_those_left_alone_for_longest_come_first(self, database: Database, owner: Workflow) -> None:
        """Backfills unchanged for the longest time come first, then by id; the limit cuts off the most recently changed."""
        for nth, seconds in ((1, 2), (2, 0), (10, 1), (3, 1)):
            _kept(database, owner, [WAITING], nth=nth, updated_at=AT + timedelta(seconds=seconds))
        found = [one.backfill_id.rpartition("20260101")[2] for one in database.backfills.active_backfills(3)]
        assert found == ["_2", "_10", "_3"]

    def test_backfills_do_not_count_each_others_runs(self, database: Database, owner: Workflow) -> None:
        """Of two backfills of one workflow, only the runs of each count against its limit."""
        _kept(database, owner, [RUNNING, RUNNING, WAITING])
        free = _kept(database, owner, [RUNNING, WAITING, WAITING], nth=2)
        assert list(database.backfills.active_backfills(10)) == [free]


def _kept(database: Database, owner: Workflow, slots: list[dict[str, Any]], **changes: Any) -> Backfill:
    backfill = a_backfill(owner, days=len(slots), **changes)
    runs = [evolve(run, **facts) for run, facts in zip(slots_of(owner, backfill), slots, strict=True)]
    there = len(database.workflows.dated_runs(owner, backfill.start_date, backfill.end_date))
    database.backfills.add_backfill(backfill, runs, dated=there)
    return backfill
