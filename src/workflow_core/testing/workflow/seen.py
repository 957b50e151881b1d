"""What was seen of workflows, and of Airflow as a whole."""

from __future__ import annotations

from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.domain.conditions import AirflowState, Observation
from workflow_core.domain.workflow import Phase
from workflow_core.testing.entities import AT, a_workflow
from workflow_core.testing.together import together
from workflow_core.testing.workflow.subject import WorkflowSubject

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.workflow import Workflow
    from workflow_core.ports.workflow import WorkflowPort

SECOND: Final = timedelta(seconds=1)
THERE: Final = AT.astimezone(timezone(timedelta(hours=9)))


def _seen(workflow: Workflow, at: datetime | None = AT) -> Observation:
    """All that can be seen."""
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


class SeenRules(WorkflowSubject):
    """What holds for what was seen."""

    @pytest.fixture
    def owner(self, port: WorkflowPort) -> Workflow:
        """A workflow, kept in ``port``."""
        workflow = a_workflow()
        port.add_workflow(workflow)
        return workflow

    def test_nothing_was_observed_of_any_at_first(self, port: WorkflowPort, owner: Workflow) -> None:
        """Neither of the workflow nor of Airflow."""
        assert port.observations([owner.id]) == {}
        assert port.airflow_state() == AirflowState()

    def test_what_was_seen_is_kept(self, port: WorkflowPort, owner: Workflow) -> None:
        """All of it, of those that were asked for."""
        other = a_workflow("a.other")
        port.add_workflow(other)
        port.save_observations([_seen(owner), Observation(workflow_id=other.id)])
        assert port.observations([owner.id]) == {owner.id: _seen(owner)}
        assert port.observations([other.id]) == {other.id: Observation(workflow_id=other.id)}
        assert port.observations([]) == {}

    def test_what_is_seen_later_counts(self, port: WorkflowPort, owner: Workflow) -> None:
        """It takes the place of what was seen before, and can take away."""
        port.save_observations([_seen(owner)])
        later = Observation(workflow_id=owner.id, listed_at=AT + SECOND, looked_at=AT + SECOND)
        port.save_observations([later])
        assert port.observations([owner.id])[owner.id] == later

    @pytest.mark.parametrize("listed_at", [None, AT - SECOND, AT, AT + SECOND])
    @pytest.mark.parametrize("looked_at", [None, AT - SECOND, AT, AT + SECOND])
    @pytest.mark.parametrize("of_two", [True, False])
    def test_what_was_seen_before_counts_no_more(
        self,
        port: WorkflowPort,
        owner: Workflow,
        *,
        listed_at: datetime | None,
        looked_at: datetime | None,
        of_two: bool,
    ) -> None:
        """Neither moment goes back; of what is equally new the last counts, and of several that are saved each is judged by itself."""
        other = a_workflow("a.other")
        port.add_workflow(other)
        port.save_observations([Observation(workflow_id=owner.id, listed_at=AT, looked_at=AT, is_paused=False)])
        seen = Observation(workflow_id=owner.id, listed_at=listed_at, looked_at=looked_at, is_paused=True)
        port.save_observations([seen, Observation(workflow_id=other.id)] if of_two else [seen])
        counts = all(moment is not None and moment >= AT for moment in (listed_at, looked_at))
        assert port.observations([owner.id])[owner.id].is_paused is counts
        assert (other.id in port.observations([other.id])) is of_two

    def test_a_moment_that_is_not_known_is_older_than_any(self, port: WorkflowPort, owner: Workflow) -> None:
        """Of what was never looked at anything is news."""
        port.save_observations([Observation(workflow_id=owner.id, listed_at=AT)])
        port.save_observations([Observation(workflow_id=owner.id, listed_at=AT, looked_at=AT - SECOND)])
        assert port.observations([owner.id])[owner.id].looked_at == AT - SECOND

    def test_nothing_seen_changes_nothing(self, port: WorkflowPort, owner: Workflow) -> None:
        """An empty list is not an error."""
        port.save_observations([_seen(owner)])
        port.save_observations([])
        assert port.observations([owner.id]) == {owner.id: _seen(owner)}

    def test_many_may_save_at_once(self, port: WorkflowPort, owner: Workflow) -> None:
        """One of them counts; none is refused."""
        seen = [Observation(workflow_id=owner.id, spec_hash=str(number)) for number in range(8)]
        assert together([partial(port.save_observations, [one]) for one in seen]) == [None] * 8
        assert port.observations([owner.id])[owner.id] in seen

    def test_times_of_what_was_seen_come_back_in_utc(self, port: WorkflowPort, owner: Workflow) -> None:
        """Of what was seen, and of Airflow."""
        port.save_observations([Observation(workflow_id=owner.id, listed_at=THERE, looked_at=THERE)])
        port.save_airflow_state(AirflowState(reached_at=THERE))
        seen, state = port.observations([owner.id])[owner.id], port.airflow_state()
        moments = [moment.isoformat() for moment in (seen.listed_at, seen.looked_at, state.reached_at) if moment]
        assert moments == ["2026-01-01T10:00:00.123456+00:00"] * 3

    def test_the_state_of_the_mirror_is_kept(self, port: WorkflowPort) -> None:
        """The last one to save counts."""
        first = AirflowState(
            tried_at=AT, reached_at=AT, unreachable_since=AT, detail="away", offset=7, cycle_at=AT, last_cycle_at=AT
        )
        for state in (first, AirflowState(offset=8)):
            port.save_airflow_state(state)
            assert port.airflow_state() == state

    def test_workflows_of_dags(self, port: WorkflowPort, owner: Workflow) -> None:
        """By DAG id; what nobody holds, or has left, is left out."""
        port.add_workflow(a_workflow("a.other"))
        gone = a_workflow("a.gone")
        port.add_workflow(gone)
        port.save_workflow(gone.left(AT))
        found = port.workflows_of_dags([owner.dag_id, "a_gone", "nobody_s", owner.dag_id])
        assert found == {owner.dag_id: owner}

    @pytest.mark.parametrize("phase", Phase)
    def test_looked_at_is_what_airflow_has_or_could_not_build(self, port: WorkflowPort, phase: Phase) -> None:
        """The others are on their way; the worker is at them."""
        workflow = a_workflow(phase=Phase.REGISTERING)
        port.add_workflow(workflow)
        saved = port.save_workflow(a_workflow(id=workflow.id, phase=phase))
        found = list(port.workflows_to_look_at(5, listed_before=AT))
        assert found == ([saved] if phase in {Phase.SERVED, Phase.FAILED} else [])

    def test_what_was_not_listed_comes_first(self, port: WorkflowPort) -> None:
        """Then the others; of each those looked at longest ago, then by name; the limit cuts off the latest."""
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
            port.add_workflow(workflow)
            if listed_at is not None:
                port.save_observations([Observation(workflow_id=workflow.id, listed_at=listed_at, looked_at=looked_at)])
        found = [workflow.dataset_name for workflow in port.workflows_to_look_at(7, listed_before=AT)]
        assert found == ["a.also_never", "a.never", "a.lost_before", "a.lost", "a.never_looked", "a.listed", "a.looked"]
