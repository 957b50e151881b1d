"""The rules for one backfill and for lists of backfills."""

from __future__ import annotations

from datetime import date, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from workflow_core.domain.backfill import Backfill, DesiredState, OnFailure, Reprocess, SkippedDate, StateRequest
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import (
    BackfillAlreadyExists,
    ConcurrentUpdate,
    InvalidRequest,
    RunAlreadyExists,
    WorkflowHasActiveRuns,
    WorkflowNotFound,
)
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, NAME, a_backfill, a_run, a_workflow, slots_of
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database
    from workflow_core.testing.database.subject import DatabaseFacts

JAN_1, JAN_3 = date(2026, 1, 1), date(2026, 1, 3)
SECOND = timedelta(seconds=1)


class BackfillRules(DatabaseSubject):
    """The rules for stored backfills."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """The workflow that the backfills belong to, stored in ``database``."""
        workflow = a_workflow(phase=Phase.SERVED)
        database.workflows.add_workflow(workflow)
        return workflow

    # Runs by their dates.

    def test_dated_runs(self, database: Database, owner: Workflow) -> None:
        """Runs of every type from the first to the last date, both included, are listed by date, then by start, then by id."""
        days = {"r0": 31, "r2": 1, "r10": 1, "r1": 3, "r3": 2, "r4": 4}
        for run_id, day in days.items():
            run_date = date(2025, 12, 31) if day == 31 else date(2026, 1, day)
            started = AT - SECOND if run_id == "r2" else AT
            database.workflows.add_run(a_run(owner, run_id=run_id, run_date=run_date, started_at=started))
        assert [run.run_id for run in database.workflows.dated_runs(owner, JAN_1, JAN_3)] == ["r2", "r10", "r3", "r1"]

    def test_dated_runs_are_of_the_very_workflow(self, database: Database, owner: Workflow) -> None:
        """Runs of another workflow, or of a predecessor with the same name, are left out."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        for one in (owner, other):
            database.workflows.add_run(a_run(one))
        left = database.workflows.save_workflow(evolve(owner, phase=Phase.LEAVING))
        successor = a_workflow()
        database.workflows.add_workflow(successor)
        assert [run.workflow_id for run in database.workflows.dated_runs(left, JAN_1, JAN_1)] == [owner.id]
        assert list(database.workflows.dated_runs(successor, JAN_1, JAN_1)) == []

    # One backfill.

    def test_an_added_backfill_is_read_by_id(self, database: Database, owner: Workflow) -> None:
        """A stored backfill is returned with every field unchanged."""
        backfill = a_backfill(
            owner,
            params={"nested": {"n": 1, "x": 1.0, "list": [None, True, "\u6570"]}},
            parallel=False,
            max_active=1,
            reprocess=Reprocess.FAILED,
            run_backwards=True,
            on_failure=OnFailure.STOP,
            state_request=StateRequest(
                desired_state=DesiredState.PAUSE, by="paula", at=AT + SECOND, reason="no\nmore: \u6570"
            ),
            updated_at=AT + 2 * SECOND,
            accepted=("r1", "r2"),
            skipped=(SkippedDate(date=JAN_1, run_id="r0", status=RunStatus.FAILED),),
            version=7,
        )
        database.backfills.add_backfill(backfill, [], dated=0)
        assert database.backfills.backfill(backfill.backfill_id) == backfill

    def test_an_unknown_backfill_is_none(self, database: Database) -> None:
        """An unknown backfill has no runs and no counts."""
        assert database.backfills.backfill("b") is None
        assert list(database.backfills.backfill_runs("b")) == []
        assert database.backfills.backfill_counts(["b"]) == {}

    def test_times_of_a_backfill_come_back_in_utc(self, database: Database, owner: Workflow) -> None:
        """A time in another zone is returned as the same moment in UTC."""
        there = AT.astimezone(timezone(timedelta(hours=9)))
        wish = StateRequest(desired_state=DesiredState.RUN, by="x", at=there)
        database.backfills.add_backfill(
            a_backfill(owner, created_at=there, updated_at=there, state_request=wish), [], dated=0
        )
        found = _read(database, owner)
        moments = [found.created_at, found.updated_at, found.state_request.at]
        assert [moment.isoformat() for moment in moments] == ["2026-01-01T10:00:00.123456+00:00"] * 3

    def test_its_runs_are_runs(self, database: Database, owner: Workflow, behind: DatabaseFacts) -> None:
        """Runs of a backfill are found like other runs, and are listed by date."""
        backfill, slots = _added(database, owner)
        assert list(database.backfills.backfill_runs(backfill.backfill_id)) == slots
        assert [database.workflows.run(run.run_id) for run in slots] == slots
        assert set(behind.run_facts()) == {run.run_id for run in slots}
        assert list(database.workflows.active_runs(owner)) == slots

    def test_runs_come_by_date_not_by_id(self, database: Database, owner: Workflow) -> None:
        """Runs are listed by date, not by id, and only those of the backfill."""
        backfill = a_backfill(owner)
        slots = [evolve(run, run_id=f"r{9 - n}") for n, run in enumerate(slots_of(owner, backfill))]
        database.backfills.add_backfill(backfill, list(reversed(slots)), dated=0)
        database.workflows.add_run(a_run(owner, backfill_id="another"))
        assert list(database.backfills.backfill_runs(backfill.backfill_id)) == slots

    def test_very_many_runs_are_kept_at_once(self, database: Database, owner: Workflow) -> None:
        """A backfill of a thousand dates is stored in one transaction."""
        backfill = a_backfill(owner, days=1000)
        slots = slots_of(owner, backfill)
        database.backfills.add_backfill(backfill, slots, dated=0)
        assert list(database.backfills.backfill_runs(backfill.backfill_id)) == slots

    # Refused as a whole.

    def test_a_taken_backfill_id_is_refused(self, database: Database, owner: Workflow, behind: DatabaseFacts) -> None:
        """The first backfill is unchanged, and the runs of the second are not stored."""
        backfill, slots = _added(database, owner)
        second = slots_of(owner, a_backfill(owner, nth=2))
        with pytest.raises(BackfillAlreadyExists, match=backfill.backfill_id):
            database.backfills.add_backfill(evolve(backfill, created_by="other"), second, dated=3)
        assert _read(database, owner) == backfill
        assert set(behind.run_facts()) == {run.run_id for run in slots}

    @pytest.mark.parametrize("ids", [("taken", "free"), ("free", "taken")], ids=["run id", "Airflow's id"])
    def test_a_taken_run_is_refused(
        self, database: Database, owner: Workflow, behind: DatabaseFacts, ids: tuple[str, str]
    ) -> None:
        """One taken run id refuses the backfill and all its runs; the error names the stored run."""
        database.workflows.add_run(a_run(owner, run_id="taken", run_date=date(2025, 1, 1)))
        backfill = a_backfill(owner)
        *slots, last = slots_of(owner, backfill)
        run_id, airflow_run_id = ids
        with pytest.raises(RunAlreadyExists, match="'taken'"):
            database.backfills.add_backfill(
                backfill, [*slots, evolve(last, run_id=run_id, airflow_run_id=airflow_run_id)], dated=0
            )
        assert database.backfills.backfill(backfill.backfill_id) is None
        assert set(behind.run_facts()) == {"taken"}

    def test_dates_that_got_more_runs_are_refused(self, database: Database, owner: Workflow) -> None:
        """A new run of one of the dates refuses the backfill; runs of other dates do not."""
        backfill = a_backfill(owner)
        database.workflows.add_run(a_run(owner, run_id="before", run_date=date(2025, 12, 31)))
        database.workflows.add_run(a_run(owner, run_id="in it", run_date=JAN_3))
        for dated in (0, 2):
            with pytest.raises(ConcurrentUpdate, match=backfill.backfill_id):
                database.backfills.add_backfill(backfill, slots_of(owner, backfill), dated=dated)
        assert database.backfills.backfill(backfill.backfill_id) is None
        database.backfills.add_backfill(backfill, slots_of(owner, backfill), dated=1)

    @pytest.mark.parametrize("phase", [Phase.UNREGISTERING, Phase.LEAVING, Phase.GONE])
    def test_no_backfill_of_what_leaves(self, database: Database, owner: Workflow, phase: Phase) -> None:
        """A workflow that has left, or never existed, accepts no backfill; nothing is stored."""
        database.workflows.save_workflow(evolve(owner, phase=phase))
        for workflow in (owner, a_workflow("a.other")):
            backfill = a_backfill(workflow)
            with pytest.raises(WorkflowNotFound, match=workflow.dataset_name):
                database.backfills.add_backfill(backfill, slots_of(workflow, backfill), dated=0)
            assert database.backfills.backfill(backfill.backfill_id) is None

    def test_one_of_many_backfills_of_the_same_dates_is_kept(self, database: Database, owner: Workflow) -> None:
        """Of several concurrent backfills that read the same runs, exactly one is stored, with exactly its runs."""
        adders: list[Callable[[], object]] = []
        for nth in range(1, 5):
            backfill = a_backfill(owner, nth=nth)
            adders.append(partial(database.backfills.add_backfill, backfill, slots_of(owner, backfill), dated=0))
        answers = together(adders)
        assert sorted(type(answer).__name__ for answer in answers) == ["ConcurrentUpdate"] * 3 + ["NoneType"]
        assert len(database.workflows.dated_runs(owner, JAN_1, JAN_3)) == 3

    def test_a_backfill_and_the_end_of_its_workflow_see_each_other(self, database: Database) -> None:
        """Of a backfill and a retirement at the same time, one is refused."""
        for attempt in range(5):
            workflow = a_workflow(f"a.b{attempt}")
            database.workflows.add_workflow(workflow)
            backfill = a_backfill(workflow)
            wanted = evolve(workflow, phase=Phase.UNREGISTERING)
            add: Callable[[], object] = partial(
                database.backfills.add_backfill, backfill, slots_of(workflow, backfill), dated=0
            )
            retire: Callable[[], object] = partial(database.workflows.retire_workflow, wanted, force=False)
            added, retired = together([add, retire])
            assert isinstance(added, WorkflowNotFound) != isinstance(retired, WorkflowHasActiveRuns)

    # Saved.

    def test_a_save_replaces_what_was_there(self, database: Database, owner: Workflow) -> None:
        """The backfill and the given runs are replaced; other runs are unchanged."""
        backfill, slots = _added(database, owner)
        wanted = evolve(backfill.paused("paula", "why", AT + SECOND), accepted=("r",))
        sent = [run.sending(AT + SECOND) for run in slots[:2]]
        saved, runs = database.backfills.save_backfill(wanted, sent)
        assert saved == evolve(wanted, version=2)
        assert list(runs) == [evolve(run, version=2) for run in sent]
        assert _read(database, owner) == saved
        assert list(database.backfills.backfill_runs(backfill.backfill_id)) == [*runs, slots[2]]

    def test_a_saved_backfill_can_be_saved_again(self, database: Database, owner: Workflow) -> None:
        """The returned backfill can be saved again."""
        backfill, slots = _added(database, owner)
        saved, runs = database.backfills.save_backfill(*database.backfills.save_backfill(backfill, slots))
        assert (saved.version, [run.version for run in runs]) == (3, [3, 3, 3])

    def test_a_save_of_an_old_backfill_is_refused(self, database: Database, owner: Workflow) -> None:
        """A save based on an old version is refused together with its runs."""
        backfill, slots = _added(database, owner)
        saved, _ = database.backfills.save_backfill(backfill.paused("paula", None, AT))
        for old in (backfill, evolve(saved, version=3)):
            with pytest.raises(ConcurrentUpdate, match=backfill.backfill_id):
                database.backfills.save_backfill(old.touched(AT + SECOND), [slots[0].sending(AT)])
        assert _read(database, owner) == saved
        assert list(database.backfills.backfill_runs(backfill.backfill_id)) == slots

    def test_a_save_with_an_old_run_is_refused(self, database: Database, owner: Workflow) -> None:
        """One run with an old version refuses the whole save."""
        backfill, slots = _added(database, owner)
        stopped = database.workflows.save_run(slots[2].stopping("sam", None, AT))
        with pytest.raises(ConcurrentUpdate, match=slots[2].run_id):
            database.backfills.save_backfill(backfill.touched(AT + SECOND), [run.sending(AT) for run in slots])
        assert _read(database, owner) == backfill
        assert list(database.backfills.backfill_runs(backfill.backfill_id)) == [*slots[:2], stopped]

    def test_a_backfill_keeps_its_place(self, database: Database, owner: Workflow) -> None:
        """A backfill that was never added cannot be saved, and a stored one keeps its workflow."""
        with pytest.raises(ConcurrentUpdate):
            database.backfills.save_backfill(a_backfill(owner))
        backfill, _ = _added(database, owner)
        with pytest.raises(ConcurrentUpdate):
            database.backfills.save_backfill(evolve(backfill, workflow_id=a_workflow().id))

    def test_one_of_many_savers_of_a_backfill_succeeds(self, database: Database, owner: Workflow) -> None:
        """Of several callers that read one version and send different runs, exactly one succeeds, so the limit of active runs holds."""
        backfill, slots = _added(database, owner)
        savers = [partial(database.backfills.save_backfill, backfill.touched(AT), [run.sending(AT)]) for run in slots]
        answers = together(savers)
        assert [type(answer) for answer in answers].count(ConcurrentUpdate) == 2
        sent = [
            run
            for run in database.backfills.backfill_runs(backfill.backfill_id)
            if run.submission is Submission.SENDING
        ]
        assert len(sent) == 1

    def test_a_backfill_read_twice_is_not_shared(self, database: Database, owner: Workflow) -> None:
        """A change of one reader's copy is not visible to another reader."""
        _added(database, owner)
        params: Any = _read(database, owner).params
        params.clear()
        assert _read(database, owner).params == {"region": "US"}

    # Listed.

    def test_backfills_are_listed_latest_first(self, database: Database, owner: Workflow) -> None:
        """Backfills are listed by creation, then by id, both descending; pages lose none."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        database.backfills.add_backfill(a_backfill(other), [], dated=0)
        for nth, seconds in ((1, 1), (2, 0), (10, 1), (3, 2)):
            created = AT + seconds * timedelta(microseconds=1)
            database.backfills.add_backfill(a_backfill(owner, nth=nth, created_at=created), [], dated=0)
        first = database.backfills.list_backfills(NAME, PageRequest(limit=3))
        rest = database.backfills.list_backfills(NAME, PageRequest(limit=3, after=first.next_after))
        found = [one.backfill_id.rpartition("20260103")[2] for one in (*first.items, *rest.items)]
        assert found == ["_3", "_10", "", "_2"]
        assert (first.total, rest.total, rest.next_after) == (4, 4, None)
        assert [one.backfill_id for one in database.backfills.list_backfills(NAME, PageRequest(offset=3)).items] == [
            a_backfill(owner, nth=2).backfill_id
        ]

    def test_backfills_of_what_has_left_are_listed(self, database: Database, owner: Workflow) -> None:
        """Backfills of a workflow that has left are listed together with those of its successor."""
        _added(database, owner)
        database.workflows.save_workflow(evolve(owner, phase=Phase.GONE))
        successor = a_workflow()
        database.workflows.add_workflow(successor)
        database.backfills.add_backfill(a_backfill(successor, nth=2), [], dated=0)
        assert {one.workflow_id for one in database.backfills.list_backfills(NAME, PageRequest()).items} == {
            owner.id,
            successor.id,
        }

    def test_an_odd_key_of_backfills_is_refused(self, database: Database) -> None:
        """A page key that the list did not return is an invalid request."""
        with pytest.raises(InvalidRequest):
            database.backfills.list_backfills(NAME, PageRequest(after=("yesterday", "b")))

    def test_runs_are_counted_by_status(self, database: Database, owner: Workflow) -> None:
        """Counts cover each backfill that has runs, and each status that occurs."""
        backfill, slots = _added(database, owner)
        database.workflows.save_run(evolve(slots[0], status=RunStatus.SUCCESS))
        empty = a_backfill(owner, nth=2)
        database.backfills.add_backfill(empty, [], dated=3)
        ids = [backfill.backfill_id, empty.backfill_id, "unknown"]
        assert database.backfills.backfill_counts(ids) == {
            backfill.backfill_id: {RunStatus.PENDING: 2, RunStatus.SUCCESS: 1}
        }
        assert database.backfills.backfill_counts([]) == {}


def _added(database: Database, owner: Workflow) -> tuple[Backfill, list[Run]]:
    backfill = a_backfill(owner)
    slots = slots_of(owner, backfill)
    database.backfills.add_backfill(backfill, slots, dated=0)
    return backfill, slots


def _read(database: Database, owner: Workflow) -> Backfill:
    found = database.backfills.backfill(a_backfill(owner).backfill_id)
    assert found is not None
    return found
