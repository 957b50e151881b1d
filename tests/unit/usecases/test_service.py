"""The use cases over the fakes: what is refused changes nothing, what is accepted is finished by somebody."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from attrs import frozen

from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, RunType, Submission
from workflow_core.domain.schedule import Schedule
from workflow_core.domain.spec import SpecRules
from workflow_core.domain.workflow import Phase, SourceType, WorkflowStatus
from workflow_core.errors import (
    AirflowUnavailable,
    DatabaseUnavailable,
    InvalidRequest,
    InvalidWorkflowSpec,
    LoaderNotInstalled,
    StorageUnavailable,
    WorkflowAlreadyExists,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
    WorkflowPermissionDenied,
    WorkflowRunNotFound,
)
from workflow_core.fakes import InMemoryAirflow, InMemoryDatabase, InMemoryStorage, ManualClock
from workflow_core.fakes.airflow import Effect
from workflow_core.service import WorkflowService
from workflow_core.usecases.config import CodeExecution, ServiceConfig

NAME = "iceberg.analytics.daily_clicks"
DAG = "iceberg_analytics_daily_clicks"
ME = Caller(name="me@example.com")
YAML = """\
version: v1
name: daily_clicks
owner: data@example.com
schedule: {cron: "0 6 * * *"}
params: {region: US, limit: {default: 10, type: integer, enum: [10, 20]}}
tasks: [{task_id: extract, operator: bash, bash_command: echo hello}]  # one
"""


@frozen(kw_only=True)
class World:
    """A service and the fakes behind it."""

    service: WorkflowService
    database: InMemoryDatabase
    airflow: InMemoryAirflow
    storage: InMemoryStorage
    clock: ManualClock

    def register(self, name: str = NAME, yaml: str = YAML, **fields):
        return self.service.register(name, yaml.replace("daily_clicks", name.rpartition(".")[2]), caller=ME, **fields)

    def is_empty(self) -> bool:
        """Whether nothing at all was recorded or stored."""
        everything = PageRequest(limit=500)
        return (
            self.database.workflows.list_workflows(WorkflowFilter(), everything).total == 0
            and self.database.workflows.history(HistoryFilter(), everything).total == 0
            and not [*self.storage.list(SourceType.MANUAL)]
        )


@pytest.fixture
def make_world():
    def make(**policy) -> World:
        clock, storage, database = ManualClock(), InMemoryStorage(), InMemoryDatabase()
        airflow = InMemoryAirflow(storage=storage, clock=clock)
        service = WorkflowService(
            database=database, airflow=airflow, storage=storage, clock=clock, policy=ServiceConfig(**policy)
        )
        return World(service=service, database=database, airflow=airflow, storage=storage, clock=clock)

    return make


@pytest.fixture
def world(make_world):
    return make_world()


class TestRegister:
    def test_it_is_recorded_stored_and_served(self, world):
        """After a registration the database, the store and Airflow say the same."""
        workflow = world.register()
        assert (workflow.status, workflow.phase, workflow.warnings) == (WorkflowStatus.ACTIVE, Phase.SERVED, ())
        assert world.database.workflows.workflow(NAME) == workflow
        assert world.storage.raw(SourceType.MANUAL, NAME).decode() == workflow.yaml
        assert world.airflow.dag(DAG).spec_hash == workflow.spec_hash
        assert world.airflow.dag(DAG).is_paused is False
        assert workflow.registered_by == "me@example.com"

    def test_what_is_stored_is_complete_and_keeps_comments(self, world):
        """The fields of the request win over the YAML's, defaults are written out, and comments survive."""
        workflow = world.register(
            owner="other@example.com", team="@x", schedule=Schedule(cron="0 8 * * *", timezone="America/New_York")
        )
        assert "# one" in workflow.yaml
        assert (workflow.spec.name, workflow.spec.owner, workflow.spec.team) == (NAME, "other@example.com", "@x")
        assert workflow.spec.schedule.timezone == "America/New_York"

    @pytest.mark.parametrize("given", [None, datetime(2025, 5, 5, tzinfo=UTC)])
    def test_the_start_date_is_the_users_own(self, world, given):
        """Registration neither adds nor changes it."""
        workflow = world.register(yaml=YAML + (f"start_date: {given.isoformat()}\n" if given else ""))
        assert workflow.spec.start_date == given

    @pytest.mark.parametrize(
        ("start", "first"),
        [
            ("2026-02-01T06:00:00Z", datetime(2026, 2, 1, 6, tzinfo=UTC)),
            ("2026-02-01T06:00:01Z", datetime(2026, 2, 2, 6, tzinfo=UTC)),
            ("2020-02-01T06:00:00Z", datetime(2026, 1, 2, 6, tzinfo=UTC)),
        ],
        ids=["at", "after", "long ago"],
    )
    def test_the_next_run_is_not_before_the_start_date(self, world, start, first):
        """The first fire time at or after it, as Airflow has it, too."""
        world.register(yaml=YAML + f"start_date: {start}\n")
        assert world.service.workflow(NAME).next_run == first
        assert world.airflow.dag(DAG).next_run == first

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": "one"}, "dataset_name"),
            ({"name": "workflow_core_loader_00_of.08"}, "dataset_name"),
            ({"yaml": YAML.replace("owner: data@example.com\n", "")}, "owner"),
            ({"yaml": YAML.replace('schedule: {cron: "0 6 * * *"}\n', "")}, "schedule"),
            ({"yaml": YAML.replace("operator: bash", "operator: os.system")}, "tasks[0].operator"),
            ({"owner": "a\0b"}, "owner"),
            ({"team": "\ud800"}, "team"),
            ({"yaml": YAML.replace("echo hello", '"echo \\0"')}, "tasks[0].bash_command"),
        ],
    )
    def test_wrong_input_names_its_field_and_changes_nothing(self, world, changes, field):
        """What is wrong with the request is said, and nothing is recorded anywhere."""
        with pytest.raises(InvalidRequest) as caught:
            world.register(**changes)
        assert field in [problem.field for problem in caught.value.problems]
        assert world.is_empty()

    def test_the_size_limit_is_the_policys(self, make_world):
        """A YAML over the installation's limit is refused."""
        world = make_world(rules=SpecRules(max_bytes=50))
        with pytest.raises(InvalidWorkflowSpec, match="at most 50"):
            world.register()

    def test_code_is_not_registered_here(self, world):
        """Registering as CODE, or where CODE exists, is denied."""
        with pytest.raises(WorkflowPermissionDenied):
            world.register(source_type=SourceType.CODE)
        world.storage.put_raw(SourceType.CODE, NAME, b"version: v1\n")
        with pytest.raises(WorkflowPermissionDenied):
            world.register()
        assert world.is_empty()

    def test_a_taken_name_and_a_taken_dag_id_are_refused(self, world):
        """The second of two names with one DAG id is refused, naming the holder."""
        world.register()
        with pytest.raises(WorkflowAlreadyExists):
            world.register()
        with pytest.raises(WorkflowAlreadyExists, match=NAME):
            world.register("iceberg.analytics.daily-clicks")
        assert world.storage.raw(SourceType.MANUAL, "iceberg.analytics.daily-clicks") is None

    @pytest.mark.parametrize(
        ("break_it", "error"),
        [
            (lambda world: world.airflow.go_down(), AirflowUnavailable),
            (lambda world: world.airflow.uninstall(), LoaderNotInstalled),
            (lambda world: world.database.go_down(), DatabaseUnavailable),
        ],
    )
    def test_a_system_that_is_down_refuses_it_and_nothing_is_kept(self, world, break_it, error):
        """Refused before anything is recorded."""
        break_it(world)
        with pytest.raises(error):
            world.register()
        world.database.come_back()
        assert world.is_empty()

    def test_storage_that_is_down_refuses_it(self, world):
        """Nothing is recorded when the store does not answer."""
        world.storage.go_down()
        with pytest.raises(StorageUnavailable):
            world.register()
        world.storage.come_back()
        assert world.is_empty()

    def test_airflow_that_goes_down_after_the_commit_leaves_it_accepted(self, world, monkeypatch):
        """Once recorded it is never refused: the answer warns, and the next sweep after the fault finishes it."""
        parse = world.airflow.request_parse
        monkeypatch.setattr(world.airflow, "request_parse", lambda _: (world.airflow.go_down(), parse(_)))
        workflow = world.register()
        assert workflow.phase is Phase.REGISTERING
        assert any("does not serve the DAG yet" in warning for warning in workflow.warnings)
        monkeypatch.undo()
        world.service.sweep()
        assert world.database.workflows.workflow(NAME).phase is Phase.REGISTERING
        world.airflow.come_back()
        assert world.service.sweep().workflows_settled == 1
        assert world.database.workflows.workflow(NAME).phase is Phase.SERVED

    def test_what_an_earlier_holder_of_the_name_left_in_the_store_is_replaced(self, world):
        """The database decides whose name it is."""
        world.storage.put_raw(SourceType.MANUAL, NAME, b"left behind")
        workflow = world.register()
        assert world.storage.raw(SourceType.MANUAL, NAME).decode() == workflow.yaml

    def test_waiting_for_airflow_is_bounded(self, make_world, monkeypatch):
        """A DAG that never comes ends the request after the policy's wait, having asked again on the way."""
        world = make_world(register_wait=5.0)
        asked: list[str] = []
        monkeypatch.setattr(world.airflow, "request_parse", asked.append)
        began = world.clock.now()
        assert world.register().phase is Phase.REGISTERING
        assert world.clock.now() - began == pytest.approx(timedelta(seconds=5), abs=timedelta(seconds=0.2))
        assert len(asked) == 3

    def test_a_spec_that_airflow_cannot_build_is_disabled_and_may_be_registered_again(self, world, monkeypatch):
        """The reason is kept, runs are refused with it, and a mended spec takes its place."""
        from workflow_core.ports.airflow import ServedDag

        seen = world.airflow.dag

        def broken(dag_id):
            dag = seen(dag_id)
            return (
                ServedDag(dag_id=dag_id, is_paused=False, spec_hash=dag.spec_hash, error="no such operator")
                if (dag and dag.spec_hash)
                else dag
            )

        monkeypatch.setattr(world.airflow, "dag", broken)
        first = world.register()
        assert (first.status, first.phase_reason) == (WorkflowStatus.DISABLED, "no such operator")
        with pytest.raises(WorkflowNotRunnable, match="no such operator"):
            world.service.run(NAME)
        monkeypatch.undo()
        second = world.register(yaml=YAML.replace("hello", "mended"))
        assert (second.status, second.id) == (WorkflowStatus.ACTIVE, first.id)


class TestTogether:
    def test_a_worker_at_the_same_registration(self, world, monkeypatch):
        """Whoever is faster at each step, the answer is that of a registration that is finished."""
        dag = world.airflow.dag

        def sweep_first(dag_id):
            seen = dag(dag_id)
            if seen is not None and dag_id == DAG:
                monkeypatch.undo()
                world.service.sweep()
            return seen

        monkeypatch.setattr(world.airflow, "dag", sweep_first)
        workflow = world.register()
        assert (workflow.phase, workflow.is_settled, workflow.warnings) == (Phase.SERVED, True, ())

    def test_a_worker_at_the_same_pause(self, world, monkeypatch):
        """The pause is Airflow's when it is answered."""
        world.register()
        set_paused = world.airflow.set_paused

        def sweep_first(*arguments, **named):
            monkeypatch.undo()
            world.service.sweep()
            set_paused(*arguments, **named)

        monkeypatch.setattr(world.airflow, "set_paused", sweep_first)
        assert world.service.pause(NAME).warnings == ()


class TestRun:
    def test_it_runs_under_an_id_that_is_known_before_airflow(self, world):
        """The run id is the name and the second of acceptance, in Airflow, too."""
        world.register()
        run = world.service.run(NAME, {"date": "2026-01-02", "region": "EU"}, caller=ME)
        assert run.run_id == f"{NAME}_{world.clock.now():%Y%m%d_%H%M%S}"
        assert (run.status, run.submission, run.triggered_by) == (RunStatus.PENDING, Submission.SUBMITTED, ME.name)
        assert world.airflow.run(DAG, run.run_id).conf == {"date": "2026-01-02", "region": "EU"}

    def test_several_in_one_second_are_numbered(self, world):
        """The second and third run of a second get _2 and _3."""
        world.register()
        ids = [world.service.run(NAME).run_id for _ in range(3)]
        assert ids == [ids[0], f"{ids[0]}_2", f"{ids[0]}_3"]

    def test_what_another_process_changed_counts(self, world):
        """A workflow that this process has started runs of is read again when somebody else has changed it."""
        world.register()
        world.service.run(NAME, {"region": "EU"})
        other = WorkflowService(
            database=world.database, airflow=world.airflow, storage=world.storage, clock=world.clock
        )
        other.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.service.run(NAME)
        other.unpause(NAME)
        other.register(NAME, YAML.replace("region: US", "land: US"), caller=ME, force=True)
        assert world.service.run(NAME, {"land": "FR"}).params == {"land": "FR"}
        with pytest.raises(InvalidRequest):
            world.service.run(NAME, {"region": "EU"})

    def test_further_runs_need_no_read(self, world, monkeypatch):
        """That the workflow is the one that was read for the first run is part of recording the second."""
        world.register()
        world.service.run(NAME)
        monkeypatch.setattr(world.database.workflows, "workflow", None)
        assert world.service.run(NAME).submission is Submission.SUBMITTED

    def test_it_is_followed_to_its_end(self, world):
        """Status shows real progress and the times that Airflow reports."""
        world.register()
        run = world.service.run(NAME)
        world.clock.sleep(1.5)
        running = world.service.status(run.run_id).run
        assert (running.status, running.progress.current_task) == (RunStatus.RUNNING, "extract")
        world.clock.sleep(60)
        done = world.service.status(run.run_id).run
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
            world.service.run(NAME, params)
        assert field in [problem.field for problem in caught.value.problems]
        assert world.service.history().total == 0

    def test_too_large_params_are_refused(self, make_world):
        """The limit is on their size as JSON."""
        world = make_world(max_params_bytes=1024)
        world.register()
        with pytest.raises(InvalidRequest, match=r"^params: are 1\d\d\d bytes"):
            world.service.run(NAME, {"region": "x" * 1100})

    def test_unknown_paused_and_code_workflows_are_refused(self, world):
        """Each with its own error, before Airflow is asked."""
        with pytest.raises(WorkflowNotFound):
            world.service.run(NAME)
        world.register()
        world.service.pause(NAME)
        with pytest.raises(WorkflowPaused):
            world.service.run(NAME)

    @pytest.mark.parametrize("allowed", [CodeExecution.DENY, CodeExecution.ALLOW])
    def test_code_runs_only_if_the_policy_says_so(self, make_world, allowed):
        """Runs of CODE workflows are denied unless WORKFLOWS_CODE_EXECUTION=allow."""
        from attrs import evolve

        world = make_world(code_execution=allowed)
        workflow = world.register()
        world.database.workflows.save_workflow(evolve(workflow, source_type=SourceType.CODE))
        if allowed is CodeExecution.ALLOW:
            assert world.service.run(NAME).status is RunStatus.PENDING
        else:
            with pytest.raises(WorkflowPermissionDenied):
                world.service.run(NAME)

    def test_a_dry_run_changes_nothing(self, world):
        """It checks what a run would, and neither we nor Airflow have it afterwards."""
        world.register()
        run = world.service.run(NAME, {"region": "EU"}, dry_run=True)
        assert world.airflow.run(DAG, run.run_id) is None
        with pytest.raises(WorkflowRunNotFound):
            world.service.status(run.run_id)
        with pytest.raises(InvalidRequest):
            world.service.run(NAME, {"regoin": "EU"}, dry_run=True)

    def test_a_dry_run_sees_what_somebody_did_in_airflow(self, world):
        """A DAG paused by hand would let a run hang: the dry run says so."""
        world.register()
        world.airflow.set_paused(DAG, paused=True)
        with pytest.raises(WorkflowPaused):
            world.service.run(NAME, dry_run=True)

    def test_without_airflow_it_is_refused_and_nothing_recorded(self, world):
        """503 before the commit."""
        world.register()
        world.airflow.go_down()
        with pytest.raises(AirflowUnavailable):
            world.service.run(NAME)
        assert world.service.history().total == 0

    @pytest.mark.parametrize("effect", list(Effect))
    def test_an_answer_that_never_came_is_settled_by_asking_again(self, world, effect):
        """Whether or not Airflow had done it, the run is accepted and exists exactly once in the end."""
        world.register()
        world.airflow.lose_answers(effect)
        run = world.service.run(NAME)
        assert (run.status, run.submission) == (RunStatus.PENDING, Submission.SENDING)
        world.clock.sleep(21)  # until then the request may still be under way
        assert world.service.sweep().runs_submitted == 1
        assert world.database.workflows.run(run.run_id).submission is Submission.SUBMITTED
        assert len(world.airflow.changed_runs(world.clock.now() - timedelta(days=1)).runs) == 1

    def test_a_run_whose_dag_is_not_served_yet_waits_for_it(self, world, monkeypatch):
        """Accepted at once, sent by the first sweep that finds the DAG."""
        monkeypatch.setattr(world.airflow, "request_parse", lambda _: None)
        world.register()
        run = world.service.run(NAME)
        assert run.submission is Submission.WAITING
        monkeypatch.undo()
        report = world.service.sweep()
        assert (report.workflows_settled, report.runs_submitted) == (1, 1)
        assert world.service.status(run.run_id).run.submission is Submission.SUBMITTED

    def test_a_waiting_run_of_a_workflow_paused_since_keeps_waiting(self, world):
        """Sent into a paused DAG it would only hang there."""
        world.register()
        world.airflow.lose_answers(Effect.NOT_DONE)
        run = world.service.run(NAME)
        world.service.pause(NAME)
        world.clock.sleep(21)
        assert world.service.sweep().runs_submitted == 0
        world.service.unpause(NAME)
        assert world.service.sweep().runs_submitted == 1
        assert world.airflow.run(DAG, run.run_id) is not None


class TestLooking:
    def test_status_without_airflow_is_stale_and_says_since_when(self, world):
        """What Airflow last said is told, marked as such."""
        world.register()
        run = world.service.run(NAME)
        seen_at = world.clock.now()
        world.clock.sleep(1.5)
        world.airflow.go_down()
        view = world.service.status(run.run_id)
        assert (view.stale, view.run.status, view.run.observed_at) == (True, RunStatus.PENDING, seen_at)

    def test_an_unknown_run_and_a_run_id_that_nobody_has(self, world):
        """Unknown is not found; impossible is invalid."""
        with pytest.raises(WorkflowRunNotFound):
            world.service.status(f"{NAME}_20260101_000000")
        with pytest.raises(InvalidRequest):
            world.service.status("a/b")

    def test_a_run_deleted_in_airflow_is_told_as_ended(self, world):
        """It will never succeed, and the reason is said."""
        world.register()
        run = world.service.run(NAME)
        world.airflow.remove_run(DAG, run.run_id)
        gone = world.service.status(run.run_id).run
        assert (gone.status, "deleted" in gone.reason) == (RunStatus.FAILED, True)

    def test_a_run_that_airflow_made_appears_in_the_history(self, world):
        """Scheduled runs are followed, under an id of ours, with their type and trigger."""
        world.register()
        world.airflow.add_run(
            DAG, "scheduled__2026-01-01T06:00:00+00:00", run_type=RunType.SCHEDULED, triggered_by="scheduler",
            conf={"note": "a\0b\ud800"},
        )  # fmt: skip
        assert world.service.sweep().runs_observed == 1
        (run,) = world.service.history().items
        assert (run.run_type, run.triggered_by) == (RunType.SCHEDULED, "scheduler")
        assert run.run_id.startswith(f"{NAME}_")
        assert run.params == {"note": "a\ufffdb?"}
        world.clock.sleep(60)
        world.service.sweep()
        assert world.service.workflow(NAME).last_run.status is RunStatus.SUCCESS
        assert world.service.history().total == 1

    def test_runs_of_other_dags_are_passed_over(self, world):
        """Airflow may have DAGs of its own."""
        from workflow_core.fakes.airflow_dags import FakeDag

        world.airflow.add_dag(FakeDag(dag_id="not_ours"))
        world.airflow.add_run("not_ours", "r1", run_type=RunType.MANUAL, triggered_by="admin")
        assert world.service.sweep().runs_observed == 0
        assert world.service.history().total == 0

    def test_the_list_has_last_and_next_run(self, world):
        """A paused workflow has no next run."""
        world.register()
        run = world.service.run(NAME)
        (view,) = world.service.workflows().items
        assert view.last_run.run_id == run.run_id
        assert view.next_run == datetime(2026, 1, 2, 6, tzinfo=UTC)
        world.service.pause(NAME)
        assert world.service.workflow(NAME).next_run is None

    def test_dates_the_wrong_way_round_are_refused(self, world):
        """The end of the history's window must not lie before its start."""
        with pytest.raises(InvalidRequest, match="end_date"):
            world.service.history(HistoryFilter(start_date=date(2026, 1, 2), end_date=date(2026, 1, 1)))


class TestPause:
    def test_pausing_is_recorded_and_done_in_airflow(self, world):
        """Who, when and why are kept, and the DAG is paused."""
        world.register()
        paused = world.service.pause(NAME, "tea", caller=ME)
        assert (paused.status, paused.pause.by, paused.pause.reason) == (WorkflowStatus.PAUSED, ME.name, "tea")
        assert world.airflow.dag(DAG).is_paused is True
        assert world.service.unpause(NAME).status is WorkflowStatus.ACTIVE
        assert world.airflow.dag(DAG).is_paused is False

    def test_a_second_pause_changes_nothing(self, world):
        """The first reason stays."""
        world.register()
        first = world.service.pause(NAME, "tea")
        assert world.service.pause(NAME, "coffee", caller=ME) == first

    @pytest.mark.parametrize("reason", ["a\0b", "\ud800", "x" * 1001])
    def test_a_reason_that_cannot_be_kept_is_refused(self, world, reason):
        """Nothing is recorded."""
        world.register()
        with pytest.raises(InvalidRequest, match=r"^reason: "):
            world.service.pause(NAME, reason)
        assert world.database.workflows.workflow(NAME).pause is None

    def test_without_airflow_it_is_refused(self, world):
        """Nothing is recorded."""
        world.register()
        world.airflow.go_down()
        with pytest.raises(AirflowUnavailable):
            world.service.pause(NAME)
        assert world.database.workflows.workflow(NAME).pause is None

    @pytest.mark.parametrize("effect", list(Effect))
    def test_an_answer_that_never_came_is_told_and_settled(self, world, effect):
        """The answer warns that Airflow has not confirmed; the next sweep sees to it."""
        world.register()
        world.airflow.lose_answers(effect)
        paused = world.service.pause(NAME)
        assert any("not confirmed" in warning for warning in paused.warnings)
        world.service.sweep()
        assert world.database.workflows.workflow(NAME).is_settled
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
        assert world.service.pause(NAME, "tea").pause.reason == "tea"
        assert world.database.workflows.workflow(NAME).is_settled


class TestSweep:
    def test_a_system_that_is_down_ends_the_pass_without_an_error(self, world):
        """The worker lives on; the next pass does the work."""
        world.register()
        world.airflow.go_down()
        assert world.service.sweep().runs_observed == 0
        world.database.go_down()
        world.service.sweep()

    def test_one_that_cannot_be_settled_does_not_keep_others_waiting(self, world, monkeypatch):
        """A loader that is gone for one workflow does not stop the next."""
        monkeypatch.setattr(world.airflow, "request_parse", lambda _: None)
        world.register("a.one")
        world.register("a.two")
        monkeypatch.undo()
        parse = world.airflow.request_parse
        first = world.service._context.sentinel_of(world.database.workflows.workflow("a.one"))

        def fails_for_one(sentinel):
            if sentinel == first:
                raise LoaderNotInstalled(sentinel)
            parse(sentinel)

        monkeypatch.setattr(world.airflow, "request_parse", fails_for_one)
        world.service.sweep()
        assert world.database.workflows.workflow("a.one").phase is Phase.REGISTERING
        assert world.database.workflows.workflow("a.two").phase is Phase.SERVED


class TestHealth:
    def test_each_system_is_told(self, world):
        """All well, and each of the three down on its own."""
        assert world.service.health().ok
        world.airflow.go_down()
        world.storage.go_down()
        health = world.service.health()
        assert (health.ok, health.database.ok, health.storage.ok, health.airflow.ok) == (False, True, False, False)
