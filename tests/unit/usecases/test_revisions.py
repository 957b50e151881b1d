"""Revisions over the fakes: every accepted spec is kept, and none is overwritten by a caller who has not seen it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.world import DAG, ME, NAME, World, a_spec
from workflow_core.domain.caller import Caller
from workflow_core.domain.run import Submission
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import (
    AirflowUnavailable,
    InvalidWorkflowSpec,
    RevisionMismatch,
    RevisionNotFound,
    StorageUnavailable,
    WorkflowAlreadyExists,
    WorkflowNotFound,
    WorkflowPermissionDenied,
)

OTHER = Caller(name="other@example.com")
YAML = a_spec(NAME, "extract", command="echo ONE", start_date="2026-01-01T00:00:00Z")
TWO, THREE = YAML.replace("ONE", "TWO"), YAML.replace("ONE", "THREE").replace("0 6", "0 7")


class Revised(World):
    """One workflow is registered."""

    def revise(self, yaml: str = YAML, **fields: Any):
        return self.register(yaml=yaml, **fields)

    def numbers(self):
        return [one.number for one in self.usecases.revisions(NAME)[1].items]

    def stored(self):
        return (self.storage.raw(SourceType.MANUAL, NAME) or b"").decode()


@pytest.fixture
def world():
    world = Revised.of()
    world.revise()
    return world


class TestRegisterAgain:
    def test_without_force_it_is_refused(self, world):
        """409, and nothing has changed."""
        before = world.stored()
        with pytest.raises(WorkflowAlreadyExists):
            world.revise(TWO)
        assert (world.numbers(), world.stored()) == ([1], before)

    @pytest.mark.parametrize(
        "how", [{"force": True}, {"expected_revision": 1}, {"force": True, "expected_revision": 1}]
    )
    def test_it_becomes_the_next_revision(self, world, how):
        """Database, store and Airflow have the new spec; the first registration keeps its caller and time."""
        first = world.usecases.workflow(NAME).workflow
        world.clock.sleep(60)
        second = world.revise(TWO, caller=OTHER, **how)
        assert (second.revision, second.served_revision, second.phase) == (2, 2, Phase.SERVED)
        assert (second.id, second.registered_by, second.registered_at) == (first.id, ME.name, first.registered_at)
        assert "echo TWO" in world.stored()
        assert world.airflow.dag(DAG).spec_hash == second.spec_hash
        _, page = world.usecases.revisions(NAME)
        assert [(one.number, one.by, one.at) for one in page.items] == [
            (2, OTHER.name, world.clock.now()),
            (1, ME.name, first.registered_at),
        ]

    def test_the_row_follows_the_spec(self, world):
        """Schedule and owner are those of the new revision."""
        third = world.revise(THREE, owner="x@example.com", force=True)
        assert (third.schedule.cron, third.owner, third.spec.tasks[0].arguments["bash_command"]) == (
            "0 7 * * *", "x@example.com", "echo THREE",
        )  # fmt: skip

    def test_a_pause_stays(self, world):
        """It is of the run time, not of the spec."""
        world.usecases.pause(NAME, "tea")
        second = world.revise(TWO, force=True)
        assert (second.pause.reason, second.is_settled, world.airflow.dag(DAG).is_paused) == ("tea", True, True)

    def test_the_same_text_is_no_new_revision(self, world):
        """A pipeline may register at every commit."""
        again = world.revise(force=True)
        assert (again.revision, world.numbers()) == (1, [1])

    def test_somebody_elses_change_is_not_overwritten(self, world):
        """412: the caller has not seen revision 2."""
        world.revise(TWO, force=True, caller=OTHER)
        for force in (False, True):
            with pytest.raises(RevisionMismatch, match="at revision 2, not 1"):
                world.revise(THREE, expected_revision=1, force=force)
        assert world.numbers() == [2, 1]
        assert "echo TWO" in world.stored()

    def test_what_does_not_exist_is_not_at_any_revision(self, world):
        """Whoever expects a revision expects a workflow."""
        world.usecases.unregister(NAME)
        with pytest.raises(WorkflowNotFound):
            world.revise(TWO, expected_revision=1)

    def test_force_does_not_take_another_workflows_dag(self, world):
        """Only the own name is revised."""
        with pytest.raises(WorkflowAlreadyExists, match="daily_clicks"):
            world.usecases.register("iceberg.analytics.daily-clicks", YAML.replace("daily_", "daily-"), force=True)

    @pytest.mark.parametrize(("down", "error"), [("airflow", AirflowUnavailable), ("storage", StorageUnavailable)])
    def test_without_a_system_nothing_is_recorded(self, world, down, error):
        """503 before the commit."""
        getattr(world, down).go_down()
        with pytest.raises(error):
            world.revise(TWO, force=True)
        getattr(world, down).come_back()
        assert (world.numbers(), world.usecases.workflow(NAME).workflow.phase) == ([1], Phase.SERVED)

    def test_a_wrong_spec_changes_nothing(self, world):
        """The old one goes on."""
        with pytest.raises(InvalidWorkflowSpec):
            world.revise(TWO.replace("tasks", "tusks"), force=True)
        assert world.numbers() == [1]

    def test_a_run_accepted_meanwhile_waits_for_the_new_revision(self, world, monkeypatch):
        """While Airflow still serves the old spec, an accepted run waits for the new one."""
        monkeypatch.setattr(world.airflow, "request_parse", lambda _: None)
        second = world.revise(TWO, force=True)
        assert (second.phase, second.served_revision) == (Phase.REGISTERING, 1)
        assert any("still serves revision 1" in warning for warning in second.warnings)
        run = world.usecases.run(NAME)
        assert run.submission is Submission.WAITING
        world.sweeper.sweep()
        assert world.airflow.run(DAG, run.run_id) is None
        monkeypatch.undo()
        world.sweeper.sweep()
        assert world.airflow.run(DAG, run.run_id) is not None


class TestLookingBack:
    def test_a_diff_against_the_one_before(self, world):
        """Unified, as people read it."""
        world.revise(TWO, force=True)
        found = world.usecases.diff(NAME, 2)
        assert (found.before, found.after) == (1, 2)
        changed = [line for line in found.text.splitlines() if line[:1] in "+-" and line[:3] not in {"---", "+++"}]
        assert [line[0] for line in changed] == ["-", "+"]
        assert ("ONE" in changed[0], "TWO" in changed[1]) == (True, True)

    def test_a_diff_of_the_first_is_all_of_it(self, world):
        """Before it there was nothing."""
        found = world.usecases.diff(NAME, 1)
        assert found.before == 0
        assert "+version: v1" in found.text.splitlines()

    def test_a_diff_against_any_other(self, world):
        """In either direction; against itself it is empty."""
        for yaml in (TWO, THREE):
            world.revise(yaml, force=True)
        assert "THREE" in world.usecases.diff(NAME, 3, 1).text
        assert world.usecases.diff(NAME, 1, 3).text != world.usecases.diff(NAME, 3, 1).text
        assert world.usecases.diff(NAME, 2, 2).text == ""

    @pytest.mark.parametrize(("number", "against"), [(2, None), (1, 5), (0, None), (5, 1)])
    def test_unknown_numbers(self, world, number, against):
        """404, saying which."""
        with pytest.raises(RevisionNotFound, match="no revision"):
            world.usecases.diff(NAME, number, against)

    def test_unknown_workflows(self, world):
        """404."""
        for ask in (world.usecases.revisions, lambda name: world.usecases.diff(name, 1)):
            with pytest.raises(WorkflowNotFound):
                ask("a.b")


class TestRestore:
    def test_it_becomes_the_next_revision(self, world):
        """Nothing of the history is lost, and it says where it comes from."""
        first = world.usecases.workflow(NAME).workflow
        world.revise(THREE, force=True)
        third = world.usecases.restore(NAME, 1, caller=OTHER)
        assert (third.revision, third.yaml, third.schedule.cron, third.phase) == (
            3, first.yaml, "0 6 * * *", Phase.SERVED,
        )  # fmt: skip
        latest = world.usecases.revisions(NAME)[1].items[0]
        assert (latest.number, latest.restored_from, latest.by) == (3, 1, OTHER.name)
        assert world.stored() == first.yaml

    def test_the_current_one_is_there_already(self, world):
        """Nothing changes."""
        assert world.usecases.restore(NAME, 1).revision == 1
        assert world.numbers() == [1]

    def test_somebody_elses_change_is_not_overwritten(self, world):
        """412."""
        world.revise(TWO, force=True)
        with pytest.raises(RevisionMismatch):
            world.usecases.restore(NAME, 1, expected_revision=1)
        assert world.usecases.restore(NAME, 1, expected_revision=2).revision == 3

    def test_what_is_not_there(self, world):
        """404."""
        with pytest.raises(RevisionNotFound):
            world.usecases.restore(NAME, 2)
        with pytest.raises(WorkflowNotFound):
            world.usecases.restore("a.b", 1)

    def test_code_is_restored_by_its_pipeline(self, world):
        """The file in the object store is its spec."""
        from attrs import evolve

        world.database.workflows.save_workflow(
            evolve(world.database.workflows.workflow(NAME), source_type=SourceType.CODE)
        )
        with pytest.raises(WorkflowPermissionDenied):
            world.usecases.restore(NAME, 1)

    def test_a_registration_that_airflow_cannot_build_can_be_taken_back(self, world):
        """The way out after a bad revision."""
        found = world.revise(TWO, force=True)
        world.database.workflows.save_workflow(found.failed("no such module", world.clock.now()))
        assert world.usecases.restore(NAME, 1).phase is Phase.SERVED
