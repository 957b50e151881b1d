"""Pause and unpause a workflow: recorded here, applied in Airflow."""

from __future__ import annotations

import pytest

from tests.support.world import DAG, ME, NAME
from workflow_core.domain.workflow import WorkflowStatus
from workflow_core.errors import (
    AirflowUnavailable,
    InvalidRequest,
)
from workflow_core.fakes.airflow import Effect


class TestPause:
    def test_pausing_is_recorded_and_done_in_airflow(self, world):
        """Who, when and why are kept, and the DAG is paused."""
        world.register()
        paused = world.usecases.pause(NAME, "tea", caller=ME)
        assert (paused.status, paused.pause.by, paused.pause.reason) == (WorkflowStatus.PAUSED, ME.name, "tea")
        assert world.airflow.dag(DAG).is_paused is True
        assert world.usecases.unpause(NAME).status is WorkflowStatus.ACTIVE
        assert world.airflow.dag(DAG).is_paused is False

    def test_a_second_pause_changes_nothing(self, world):
        """The first reason stays."""
        world.register()
        first = world.usecases.pause(NAME, "tea")
        assert world.usecases.pause(NAME, "coffee", caller=ME) == first

    @pytest.mark.parametrize("reason", ["a\0b", "\ud800", "x" * 1001])
    def test_a_reason_that_cannot_be_kept_is_refused(self, world, reason):
        """Nothing is recorded."""
        world.register()
        with pytest.raises(InvalidRequest, match=r"^reason: "):
            world.usecases.pause(NAME, reason)
        assert world.database.workflows.workflow(NAME).pause is None

    def test_without_airflow_it_is_refused(self, world):
        """Nothing is recorded."""
        world.register()
        world.airflow.go_down()
        with pytest.raises(AirflowUnavailable):
            world.usecases.pause(NAME)
        assert world.database.workflows.workflow(NAME).pause is None

    @pytest.mark.parametrize("effect", list(Effect))
    def test_an_answer_that_never_came_is_told_and_settled(self, world, effect):
        """The answer warns that Airflow has not confirmed; the next sweep sees to it."""
        world.register()
        world.airflow.lose_answers(effect)
        paused = world.usecases.pause(NAME)
        assert any("not confirmed" in warning for warning in paused.warnings)
        world.sweeper.sweep()
        assert world.database.workflows.workflow(NAME).settled
        assert world.airflow.dag(DAG).is_paused is True

    def test_somebody_elses_save_in_between_is_not_lost(self, world, monkeypatch):
        """A pause that meets another change reads again and keeps both."""
        world.register()
        save = world.database.workflows.save_workflow

        def interfere(workflow, **named):
            monkeypatch.undo()
            current = world.database.workflows.workflow(NAME)
            save(current.pause_confirmed(paused=True))
            return save(workflow, **named)

        monkeypatch.setattr(world.database.workflows, "save_workflow", interfere)
        assert world.usecases.pause(NAME, "tea").pause.reason == "tea"
        assert world.database.workflows.workflow(NAME).settled

    def test_a_worker_at_the_same_pause(self, world, monkeypatch):
        """The pause is Airflow's when it is answered."""
        world.register()
        set_paused = world.airflow.set_paused

        def sweep_first(*arguments, **named):
            monkeypatch.undo()
            world.sweeper.sweep()
            set_paused(*arguments, **named)

        monkeypatch.setattr(world.airflow, "set_paused", sweep_first)
        assert world.usecases.pause(NAME).warnings == ()
