"""The rules for observations of workflows, and for the state of the mirror."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.domain.conditions import AirflowState, Observation
from workflow_core.domain.workflow import Phase
from workflow_core.testing.database.subject import DatabaseSubject
from workflow_core.testing.entities import AT, a_workflow
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.database import Database

MICROSECOND: Final = timedelta(microseconds=1)
SECOND: Final = timedelta(seconds=1)
THERE: Final = AT.astimezone(timezone(timedelta(hours=9)))


def _seen(workflow: Workflow, at: datetime | None = AT) -> Observation:
    """An observation with every field."""
    return Observation(
        workflow_id=workflow.id,
        listed_at=at,
        looked_at=at and at + timedelta(microseconds=1),
        is_served=True,
        is_paused=False,
        has_import_errors=True,
        spec_hash="0123456789abcdef",
        error="no\nsuch: 数据",
        next_run=AT + timedelta(days=1),
        is_stored=True,
        stored_hash="fedcba9876543210",
        since={"paused_in_airflow": AT},
    )


class ObservationRules(DatabaseSubject):
    """The rules for observations."""

    @pytest.fixture
    def owner(self, database: Database) -> Workflow:
        """A workflow, stored in ``database``."""
        workflow = a_workflow()
        database.workflows.add_workflow(workflow)
        return workflow

    def test_nothing_was_observed_of_any_at_first(self, database: Database, owner: Workflow) -> None:
        """Initially there is no observation of the workflow, and the mirror has its initial state."""
        assert database.observations.observations([owner.id]) == {}
        assert database.observations.airflow_state() == AirflowState()

    def test_what_was_seen_is_kept(self, database: Database, owner: Workflow) -> None:
        """Every field is stored; only requested workflows are returned."""
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        database.observations.save_observations([_seen(owner), Observation(workflow_id=other.id)])
        assert database.observations.observations([owner.id]) == {owner.id: _seen(owner)}
        assert database.observations.observations([other.id]) == {other.id: Observation(workflow_id=other.id)}
        assert database.observations.observations([]) == {}

    def test_later_observations_replace_earlier_ones(self, database: Database, owner: Workflow) -> None:
        """A later observation replaces the earlier one, and can clear fields."""
        database.observations.save_observations([_seen(owner)])
        later = Observation(workflow_id=owner.id, listed_at=AT + SECOND, looked_at=AT + SECOND)
        database.observations.save_observations([later])
        assert database.observations.observations([owner.id])[owner.id] == later

    @pytest.mark.parametrize("listed_at", [None, AT - SECOND, AT, AT + SECOND])
    @pytest.mark.parametrize("looked_at", [None, AT - SECOND, AT, AT + SECOND])
    @pytest.mark.parametrize("of_two", [True, False])
    def test_older_observations_are_ignored(
        self,
        database: Database,
        owner: Workflow,
        *,
        listed_at: datetime | None,
        looked_at: datetime | None,
        of_two: bool,
    ) -> None:
        """An observation that moves a moment back is ignored; of equal moments the last one counts; each observation
        of a call is judged separately.
        """
        other = a_workflow("a.other")
        database.workflows.add_workflow(other)
        database.observations.save_observations(
            [Observation(workflow_id=owner.id, listed_at=AT, looked_at=AT, is_paused=False)]
        )
        seen = Observation(workflow_id=owner.id, listed_at=listed_at, looked_at=looked_at, is_paused=True)
        database.observations.save_observations([seen, Observation(workflow_id=other.id)] if of_two else [seen])
        counts = all(moment is not None and moment >= AT for moment in (listed_at, looked_at))
        assert database.observations.observations([owner.id])[owner.id].is_paused is counts
        assert (other.id in database.observations.observations([other.id])) is of_two

    def test_a_moment_that_is_not_known_is_older_than_any(self, database: Database, owner: Workflow) -> None:
        """An unknown moment is older than every known one."""
        database.observations.save_observations([Observation(workflow_id=owner.id, listed_at=AT)])
        database.observations.save_observations(
            [Observation(workflow_id=owner.id, listed_at=AT, looked_at=AT - SECOND)]
        )
        assert database.observations.observations([owner.id])[owner.id].looked_at == AT - SECOND

    def test_an_empty_save_changes_nothing(self, database: Database, owner: Workflow) -> None:
        """An empty save changes nothing."""
        database.observations.save_observations([_seen(owner)])
        database.observations.save_observations([])
        assert database.observations.observations([owner.id]) == {owner.id: _seen(owner)}

    def test_many_may_save_at_once(self, database: Database, owner: Workflow) -> None:
        """Concurrent saves all succeed, and one of them counts."""
        seen = [Observation(workflow_id=owner.id, spec_hash=str(number)) for number in range(8)]
        assert together([partial(database.observations.save_observations, [one]) for one in seen]) == [None] * 8
        assert database.observations.observations([owner.id])[owner.id] in seen

    def test_times_of_what_was_seen_come_back_in_utc(self, database: Database, owner: Workflow) -> None:
        """Times of observations and of the mirror are returned in UTC."""
        database.observations.save_observations([Observation(workflow_id=owner.id, listed_at=THERE, looked_at=THERE)])
        database.observations.save_airflow_state(AirflowState(reached_at=THERE))
        seen, state = database.observations.observations([owner.id])[owner.id], database.observations.airflow_state()
        moments = [moment.isoformat() for moment in (seen.listed_at, seen.looked_at, state.reached_at) if moment]
        assert moments == ["2026-01-01T10:00:00.123456+00:00"] * 3

    def test_the_state_of_the_mirror_is_kept(self, database: Database) -> None:
        """The last saved state of the mirror counts."""
        first = AirflowState(
            tried_at=AT, reached_at=AT, unreachable_since=AT, detail="away", offset=7, cycle_at=AT, last_cycle_at=AT
        )
        for state in (first, AirflowState(offset=8)):
            database.observations.save_airflow_state(state)
            assert database.observations.airflow_state() == state

    def test_workflows_of_dags(self, database: Database, owner: Workflow) -> None:
        """Workflows are returned by DAG id; unknown ids, and ids of workflows that have left, are left out."""
        database.workflows.add_workflow(a_workflow("a.other"))
        gone = a_workflow("a.gone")
        database.workflows.add_workflow(gone)
        database.workflows.save_workflow(gone.left(AT))
        found = database.workflows.workflows_of_dags([owner.dag_id, "a_gone", "nobody_s", owner.dag_id])
        assert found == {owner.dag_id: owner}

    @pytest.mark.parametrize("phase", Phase)
    def test_polled_is_what_airflow_serves_or_could_not_build(self, database: Database, phase: Phase) -> None:
        """Workflows that Airflow serves or could not build are polled; the others are being reconciled."""
        workflow = a_workflow(phase=Phase.REGISTERING)
        database.workflows.add_workflow(workflow)
        saved = database.workflows.save_workflow(a_workflow(id=workflow.id, phase=phase))
        found = list(database.workflows.workflows_to_poll(5, listed_before=AT))
        assert found == ([saved] if phase in {Phase.SERVED, Phase.FAILED} else [])

    def test_what_was_not_listed_comes_first(self, database: Database) -> None:
        """Unlisted workflows come first; within each group those polled longest ago, then by name; the limit cuts off the last ones."""
        second = timedelta(seconds=1)
        seen = {
            "a.listed": (AT, AT - 3 * second),
            "a.looked": (AT - 2 * second, AT),
            "a.lost": (AT - second, AT - second),
            "a.lost_before": (AT - second, AT - 2 * second),
            "a.never_looked": (AT, None),
            "a.never": (None, None),
            "a.also_never": (None, None),
            "a.latest": (AT, AT + second),
        }
        for name, (listed_at, looked_at) in seen.items():
            workflow = a_workflow(name)
            database.workflows.add_workflow(workflow)
            if listed_at is not None:
                database.observations.save_observations(
                    [Observation(workflow_id=workflow.id, listed_at=listed_at, looked_at=looked_at)]
                )
        found = [workflow.dataset_name for workflow in database.workflows.workflows_to_poll(7, listed_before=AT)]
        assert found == ["a.also_never", "a.never", "a.lost_before", "a.lost", "a.never_looked", "a.listed", "a.looked"]

    def test_nothing_is_observed_at_first(self, database: Database) -> None:
        """Initially there is no moment."""
        assert database.observations.observed_until() is None

    def test_observed_until_is_stored(self, database: Database) -> None:
        """The moment is returned in UTC with its microseconds."""
        database.observations.save_observed_until(datetime.fromisoformat("2026-01-01T19:00:00.000001+09:00"))
        until = database.observations.observed_until()
        assert until is not None
        assert until.isoformat() == "2026-01-01T10:00:00.000001+00:00"

    def test_a_later_observed_until_replaces(self, database: Database) -> None:
        """A later moment replaces the stored one, even by one microsecond."""
        database.observations.save_observed_until(AT)
        database.observations.save_observed_until(AT + MICROSECOND)
        assert database.observations.observed_until() == AT + MICROSECOND

    def test_an_earlier_observed_until_is_ignored(self, database: Database) -> None:
        """An earlier moment is ignored."""
        database.observations.save_observed_until(AT)
        database.observations.save_observed_until(AT - MICROSECOND)
        assert database.observations.observed_until() == AT

    def test_of_many_observed_untils_the_latest_stays(self, database: Database) -> None:
        """Of concurrent saves the latest moment is stored."""
        moments = [AT + n * MICROSECOND for n in (3, 1, 7, 0, 6, 2, 5, 4)]
        assert together([partial(database.observations.save_observed_until, one) for one in moments]) == [None] * 8
        assert database.observations.observed_until() == AT + 7 * MICROSECOND
