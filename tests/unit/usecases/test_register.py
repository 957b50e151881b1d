"""Register a workflow: what is refused changes nothing, what is accepted is completed by the worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.world import DAG, NAME, YAML
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
    WorkflowNotRunnable,
    WorkflowPermissionDenied,
)


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
        """The first run is the first fire time at or after the start date, as in Airflow."""
        world.register(yaml=YAML + f"start_date: {start}\n")
        assert world.usecases.workflow(NAME).next_run == first
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
        world.sweeper.sweep()
        assert world.database.workflows.workflow(NAME).phase is Phase.REGISTERING
        world.airflow.come_back()
        assert world.sweeper.sweep().workflows_settled == 1
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
            world.usecases.run(NAME)
        monkeypatch.undo()
        second = world.register(yaml=YAML.replace("hello", "mended"))
        assert (second.status, second.id) == (WorkflowStatus.ACTIVE, first.id)

    def test_a_worker_at_the_same_registration(self, world, monkeypatch):
        """Whoever is faster at each step, the answer is that of a registration that is finished."""
        dag = world.airflow.dag

        def sweep_first(dag_id):
            seen = dag(dag_id)
            if seen is not None and dag_id == DAG:
                monkeypatch.undo()
                world.sweeper.sweep()
            return seen

        monkeypatch.setattr(world.airflow, "dag", sweep_first)
        workflow = world.register()
        assert (workflow.phase, workflow.is_settled, workflow.warnings) == (Phase.SERVED, True, ())
