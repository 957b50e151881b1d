"""Conditions: each difference between the desired and the observed state, as the worker sees it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from tests.support.mirrored import LATE, LATER, ZONED, Mirrored, a_mirrored_world, away, nothing
from tests.support.world import DAG, ME, NAME, a_spec
from workflow_core.domain.conditions import ConditionType, Severity
from workflow_core.domain.workflow import Phase, SourceType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workflow_core.domain.workflow import Workflow


@pytest.fixture
def world() -> Mirrored:
    return a_mirrored_world()


class TestConditions:
    def test_what_is_as_it_is_wanted_has_none(self, world: Mirrored) -> None:
        """Neither right after the registration nor later."""
        assert world.types() == []
        world.sweep(3)
        assert world.types() == []

    def test_paused_in_airflow(self, world: Mirrored) -> None:
        """A change in Airflow is reported with the time of its first observation, and is not reverted."""
        world.airflow.set_paused(DAG, paused=True)
        world.sweep()
        first = world.clock.now()
        world.sweep(3)
        [condition] = world.usecases.workflow(NAME).conditions
        assert (condition.type, condition.severity) == (ConditionType.PAUSED_IN_AIRFLOW, Severity.ERROR)
        assert (condition.since, "dli workflow unpause" in condition.message) == (first, True)
        assert world.airflow.dag(DAG).is_paused

    @pytest.mark.parametrize("paused", [True, False])
    def test_a_late_request_of_ours(self, world: Mirrored, *, paused: bool) -> None:
        """A pause that was sent before an unpause and arrives after it is no drift: the desired state is sent again."""
        for wish in (world.usecases.pause, world.usecases.unpause)[:: -1 if paused else 1]:
            wish(NAME, caller=ME)
        world.sweep()
        world.airflow.set_paused(DAG, paused=not paused)
        world.sweep()
        world.sweep()
        dag = world.airflow.dag(DAG)
        assert dag is not None
        assert dag.is_paused is paused
        assert world.types() == []

    def test_nothing_of_ours_is_that_late(self, world: Mirrored) -> None:
        """Once no request of the service can still arrive, a change after the observed desired state is drift."""
        world.usecases.pause(NAME, caller=ME)
        world.usecases.unpause(NAME, caller=ME)
        world.clock.sleep(LATE)
        world.sweep()
        world.airflow.set_paused(DAG, paused=True)
        world.sweep(2)
        assert world.types() == ["paused_in_airflow"]

    def test_somebody_pauses_at_once_what_was_registered(self, world: Mirrored) -> None:
        """Without an earlier desired state, no request of the service can have caused the change."""
        world.register_all("a.new")
        world.airflow.set_paused("a_new", paused=True)
        world.sweep(2)
        assert world.types("a.new") == ["paused_in_airflow"]

    @pytest.mark.parametrize("paused", [True, False])
    def test_the_pause_of_an_earlier_workflow(self, world: Mirrored, *, paused: bool) -> None:
        """The former workflow of the name paused its DAG as it left; that request may arrive after the new registration."""
        registered = evolve(world.usecases.workflow(NAME).workflow, phase=Phase.REGISTERING)
        found = registered.found_served(LATER, paused=paused)
        assert found.pause_changed_at == (LATER if paused else None)

    def test_unpaused_in_airflow(self, world: Mirrored) -> None:
        """The other way round."""
        world.usecases.pause(NAME)
        world.clock.sleep(LATE)
        world.sweep()
        world.airflow.set_paused(DAG, paused=False)
        world.sweep()
        assert world.types() == ["unpaused_in_airflow"]
        assert not world.airflow.dag(DAG).is_paused

    @pytest.mark.parametrize("paused", [True, False])
    def test_what_is_wanted_is_applied_again_when_somebody_says_so(self, world: Mirrored, *, paused: bool) -> None:
        """Asking for the state that it has here is enough; the condition is gone at once."""
        ask = world.usecases.pause if paused else world.usecases.unpause
        ask(NAME)
        world.clock.sleep(LATE)
        world.sweep()
        world.airflow.set_paused(DAG, paused=not paused)
        world.sweep()
        assert len(world.types()) == 1
        ask(NAME)
        assert world.types() == []
        dag = world.airflow.dag(DAG)
        assert dag is not None
        assert dag.is_paused is paused

    @pytest.mark.parametrize("paused", [True, False])
    def test_what_a_pass_saw_before_counts_no_more(self, world: Mirrored, *, paused: bool) -> None:
        """No drift is reported after Airflow confirmed another state to a request during the pass."""
        ask = world.drifted(paused=paused)
        world.register_all("a.first", "a.second")
        world.airflow.meanwhile = [partial(world.clock.sleep, 1), partial(ask, NAME)]
        world.sweep()
        assert world.airflow.meanwhile == []
        assert world.types() == []

    @pytest.mark.parametrize("paused", [True, False])
    def test_what_a_reader_saw_before_counts_no_more(self, world: Mirrored, *, paused: bool) -> None:
        """Neither in the answer nor later."""
        ask = world.drifted(paused=paused)
        world.clock.sleep(10)
        world.airflow.meanwhile = [partial(world.clock.sleep, 1), partial(ask, NAME)]
        shown = world.usecases.workflow(NAME)
        assert world.airflow.meanwhile == []
        assert shown.conditions == ()
        [seen] = world.database.observations.observations([shown.workflow.id]).values()
        assert seen.is_paused is not paused

    def test_a_pass_that_began_before_airflow_confirmed_a_pause(self, world: Mirrored) -> None:
        """A list of DAGs that was read between a request and its call to Airflow is no drift, even if recorded later."""
        world.register_all("a.first", "a.second")
        real, read = world.airflow.set_paused, world.database.workflows.workflows_of_dags
        world.airflow.set_paused = away
        assert not world.usecases.pause(NAME).is_settled

        def confirmed_after(dag_ids: Iterable[str]) -> Mapping[str, Workflow]:
            found: Mapping[str, Workflow] = read(dag_ids)
            world.airflow.set_paused = real
            world.clock.sleep(1)
            assert world.usecases.pause(NAME).is_settled
            return found

        world.database.workflows.workflows_of_dags = confirmed_after
        world.sweep()
        assert world.types() == []

    def test_a_pause_that_cannot_be_applied_again_now(self, world: Mirrored) -> None:
        """The worker goes on with it."""
        world.airflow.set_paused(DAG, paused=True)
        real = world.airflow.set_paused
        world.airflow.set_paused = away
        assert not world.usecases.unpause(NAME).is_settled
        world.airflow.set_paused = real
        world.sweep()
        assert not world.airflow.dag(DAG).is_paused

    def test_a_pause_of_ours_is_no_drift(self, world: Mirrored) -> None:
        """What was seen before it says nothing of it."""
        world.usecases.pause(NAME)
        assert world.types() == []
        world.sweep()
        assert world.types() == []

    def test_a_dag_that_is_missing(self, world: Mirrored) -> None:
        """Two passes later, and it is gone when the DAG is back."""
        dag = world.airflow._dags[DAG]
        world.airflow.withdraw(DAG)
        world.sweep(2)
        assert world.types() == ["dag_missing"]
        world.airflow.add_dag(dag)
        world.sweep()
        assert world.types() == []

    def test_an_import_error(self, world: Mirrored) -> None:
        """Of the file that the DAG comes from."""
        world.airflow.break_imports(DAG)
        world.sweep()
        assert world.types() == ["import_error"]

    def test_a_dag_that_can_no_longer_be_built(self, world: Mirrored) -> None:
        """The workflow is disabled, with Airflow's reason; when it can be built again, it is as before."""
        dag = world.airflow._dags[DAG]
        world.airflow.add_dag(evolve(dag, error="no such operator"))
        world.sweep(2)
        assert world.types() == ["not_buildable"]
        found = world.database.workflows.workflow(NAME)
        assert found is not None
        assert (found.phase, found.phase_reason) == (Phase.FAILED, "no such operator")
        world.airflow.add_dag(dag)
        world.sweep(2)
        assert world.types() == []

    def test_another_spec_is_served(self, world: Mirrored) -> None:
        """Airflow runs something else than what was registered."""
        world.airflow.add_dag(evolve(world.airflow._dags[DAG], spec_hash="0000000000000000"))
        world.sweep(2)
        assert world.types() == ["other_spec_served"]

    def test_the_yaml_is_gone(self, world: Mirrored) -> None:
        """Behind our back."""
        world.storage.delete(SourceType.MANUAL, NAME)
        world.sweep(2)
        assert world.types() == ["yaml_missing"]

    @pytest.mark.parametrize("text", [a_spec(schedule=ZONED) + "# another\n", "x" * 300_000])
    def test_the_yaml_is_another(self, world: Mirrored, text: str) -> None:
        """A foreign object in the store is reported, including one that is not a spec."""
        held = world.storage.stat(SourceType.MANUAL, NAME)
        assert held is not None
        world.storage.put(SourceType.MANUAL, NAME, text, expected=held.etag)
        world.sweep(2)
        assert world.types() == ["yaml_changed"]

    def test_a_store_that_is_away_is_no_drift(self, world: Mirrored) -> None:
        """Nothing is known, so nothing is said."""
        world.storage.go_down()
        world.sweep(2)
        assert world.types() == []

    def test_not_served_yet(self, world: Mirrored) -> None:
        """Since it was registered."""
        real = world.airflow.request_parse
        world.airflow.request_parse = nothing
        world.register_all("a.b")
        [condition] = world.usecases.workflow("a.b").conditions
        assert (condition.type, condition.severity) == (ConditionType.NOT_SERVED_YET, Severity.WARNING)
        world.airflow.request_parse = real

    def test_airflow_is_away(self, world: Mirrored) -> None:
        """Since the first pass that failed; it is said with everything that is read, and nothing else is lost."""
        world.airflow.set_paused(DAG, paused=True)
        world.sweep()
        reached = world.clock.now()
        world.airflow.go_down()
        world.sweep()
        since = world.clock.now()
        world.sweep(2)
        view = world.usecases.workflow(NAME)
        assert [(one.type.value, one.since) for one in view.conditions] == [
            ("paused_in_airflow", reached),
            ("airflow_unreachable", since),
        ]
        assert (view.stale, view.observed_at) == (True, reached)
        world.airflow.come_back()
        world.sweep()
        assert not world.usecases.workflow(NAME).stale
