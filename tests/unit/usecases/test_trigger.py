"""Start a run: under an id that is known before Airflow is called, and exactly once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.world import DAG, ME, NAME, YAML
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import (
    AirflowUnavailable,
    InvalidRequest,
    WorkflowNotFound,
    WorkflowPaused,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)
from workflow_core.fakes.airflow import Effect
from workflow_core.usecases.config import CodeExecution


class TestRun:
    def test_it_runs_under_an_id_that_is_known_before_airflow(self, world):
        """The run id, also in Airflow, is the name and the second of acceptance."""
        world.register()
        run = world.usecases.run(NAME, {"date": "2026-01-02", "region": "EU"}, caller=ME)
        assert run.run_id == f"{NAME}_{world.clock.now():%Y%m%d_%H%M%S}"
        assert (run.status, run.submission, run.triggered_by) == (RunStatus.PENDING, Submission.SUBMITTED, ME.name)
        assert world.airflow.run(DAG, run.run_id).conf == {"date": "2026-01-02", "region": "EU"}

    def test_several_in_one_second_are_numbered(self, world):
        """The second and third run of a second get _2 and _3."""
        world.register()
        ids = [world.usecases.run(NAME).run_id for _ in range(3)]
        assert ids == [ids[0], f"{ids[0]}_2", f"{ids[0]}_3"]

    def test_what_another_process_changed_counts(self, world):
        """A cached workflow is read again after another process changed it."""
        world.register()
        world.usecases.run(NAME, {"region": "EU"})
        other = world.another().usecases
        other.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.usecases.run(NAME)
        other.unpause(NAME)
        other.register(NAME, YAML.replace("region: US", "land: US"), caller=ME, force=True)
        assert world.usecases.run(NAME, {"land": "FR"}).params == {"land": "FR"}
        with pytest.raises(InvalidRequest):
            world.usecases.run(NAME, {"region": "EU"})

    def test_further_runs_need_no_read(self, world, monkeypatch):
        """That the workflow is the one that was read for the first run is part of recording the second."""
        world.register()
        world.usecases.run(NAME)
        monkeypatch.setattr(world.database.workflows, "workflow", None)
        assert world.usecases.run(NAME).submission is Submission.SUBMITTED

    def test_it_is_followed_to_its_end(self, world):
        """Status shows real progress and the times that Airflow reports."""
        world.register()
        run = world.usecases.run(NAME)
        world.clock.sleep(1.5)
        running = world.usecases.status(run.run_id).run
        assert (running.status, running.progress.current_task) == (RunStatus.RUNNING, "extract")
        world.clock.sleep(60)
        done = world.usecases.status(run.run_id).run
        assert (done.status, done.progress.completed_tasks, done.progress.total_tasks) == (RunStatus.SUCCESS, 1, 1)
        assert done.ended_at - done.started_at == timedelta(seconds=1)
        assert done.duration_seconds(world.clock.now()) == 1

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"regoin": "US"}, "params.regoin"),
            ({"region": 5}, "params.region"),
            ({"limit": 15}, "params.limit"),
            ({"limit": True}, "params.limit"),
            ({"date": "2026-02-30"}, "params.date"),
            ({"date": 20260101}, "params.date"),
            ({"date": "2026-1-1"}, "params.date"),
            ({"region": "a\0b"}, "params.region"),
            ({"region": "\ud800"}, "params.region"),
            ({"limit": 2**70}, "params.limit"),
        ],
    )
    def test_wrong_params_are_refused_and_nothing_recorded(self, world, params, field):
        """Only declared params of their declared types are accepted."""
        world.register()
        with pytest.raises(InvalidRequest) as caught:
            world.usecases.run(NAME, params)
        assert field in [problem.field for problem in caught.value.problems]
        assert world.usecases.history().total == 0

    def test_too_large_params_are_refused(self, make_world):
        """The limit is on their size as JSON."""
        world = make_world(max_params_bytes=1024)
        world.register()
        with pytest.raises(InvalidRequest, match=r"^params: are 1\d\d\d bytes"):
            world.usecases.run(NAME, {"region": "x" * 1100})

    def test_unknown_paused_and_code_workflows_are_refused(self, world):
        """Each with its own error, before Airflow is asked."""
        with pytest.raises(WorkflowNotFound):
            world.usecases.run(NAME)
        world.register()
        world.usecases.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.usecases.run(NAME)

    @pytest.mark.parametrize("allowed", [CodeExecution.DENY, CodeExecution.ALLOW])
    def test_code_runs_only_if_the_policy_says_so(self, make_world, allowed):
        """Runs of CODE workflows are denied unless WORKFLOWS_CODE_EXECUTION=allow."""
        from attrs import evolve

        world = make_world(code_execution=allowed)
        workflow = world.register()
        world.database.workflows.save_workflow(evolve(workflow, source_type=SourceType.CODE))
        if allowed is CodeExecution.ALLOW:
            assert world.usecases.run(NAME).status is RunStatus.PENDING
        else:
            with pytest.raises(WorkflowPermissionDenied):
                world.usecases.run(NAME)

    def test_a_dry_run_changes_nothing(self, world):
        """A dry run makes the checks of a run; neither the database nor Airflow contains a run afterwards."""
        world.register()
        run = world.usecases.run(NAME, {"region": "EU"}, dry_run=True)
        assert world.airflow.run(DAG, run.run_id) is None
        with pytest.raises(WorkflowRunNotFound):
            world.usecases.status(run.run_id)
        with pytest.raises(InvalidRequest):
            world.usecases.run(NAME, {"regoin": "EU"}, dry_run=True)

    def test_a_dry_run_sees_what_somebody_did_in_airflow(self, world):
        """A DAG paused by hand would let a run hang: the dry run says so."""
        world.register()
        world.airflow.set_paused(DAG, paused=True)
        with pytest.raises(WorkflowPaused):
            world.usecases.run(NAME, dry_run=True)

    def test_without_airflow_it_is_refused_and_nothing_recorded(self, world):
        """503 before the commit."""
        world.register()
        world.airflow.go_down()
        with pytest.raises(AirflowUnavailable):
            world.usecases.run(NAME)
        assert world.usecases.history().total == 0

    @pytest.mark.parametrize("effect", list(Effect))
    def test_an_answer_that_never_came_is_settled_by_asking_again(self, world, effect):
        """Whether or not Airflow had done it, the run is accepted and exists exactly once in the end."""
        world.register()
        world.airflow.lose_answers(effect)
        run = world.usecases.run(NAME)
        assert (run.status, run.submission) == (RunStatus.PENDING, Submission.SENDING)
        world.clock.sleep(21)  # until then the request may still be under way
        assert world.sweeper.sweep().runs_submitted == 1
        assert world.database.workflows.run(run.run_id).submission is Submission.SUBMITTED
        assert len(world.airflow.changed_runs(world.clock.now() - timedelta(days=1)).runs) == 1

    def test_a_run_whose_dag_is_not_served_yet_waits_for_it(self, world, monkeypatch):
        """Accepted at once, sent by the first sweep that finds the DAG."""
        monkeypatch.setattr(world.airflow, "request_parse", lambda _: None)
        world.register()
        run = world.usecases.run(NAME)
        assert run.submission is Submission.WAITING
        monkeypatch.undo()
        report = world.sweeper.sweep()
        assert (report.workflows_settled, report.runs_submitted) == (1, 1)
        assert world.usecases.status(run.run_id).run.submission is Submission.SUBMITTED

    def test_a_waiting_run_of_a_workflow_paused_since_keeps_waiting(self, world):
        """Sent into a paused DAG it would only hang there."""
        world.register()
        world.airflow.lose_answers(Effect.NOT_DONE)
        run = world.usecases.run(NAME)
        world.usecases.pause(NAME)
        world.clock.sleep(21)
        assert world.sweeper.sweep().runs_submitted == 0
        world.usecases.unpause(NAME)
        assert world.sweeper.sweep().runs_submitted == 1
        assert world.airflow.run(DAG, run.run_id) is not None
