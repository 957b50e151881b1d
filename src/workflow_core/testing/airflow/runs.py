"""Rules for reading runs, their tasks and the list of changed runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Final

import pytest

from workflow_core.domain.run import AirflowRun, RunStatus, RunType
from workflow_core.ports.airflow import EndState
from workflow_core.testing.airflow.subject import (
    HELD,
    LASTING,
    MIXED,
    QUICK,
    WIDE,
    AirflowSubject,
    DagSeed,
    World,
    new_id,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.ports.airflow import AirflowPort

Key = tuple[str, str]
NO_DELAY: Final = timedelta()
ONE_MICROSECOND: Final = timedelta(microseconds=1)
LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


def await_end(port: AirflowPort, world: World, dag_id: str, run_id: str) -> AirflowRun:
    """Wait until the run has ended, and return it."""
    run = world.eventually(lambda: port.run(dag_id, run_id), lambda run: run is not None and run.status.is_final)
    assert run is not None
    return run


def airflow_time(port: AirflowPort) -> datetime:
    """The current time by Airflow's clock, from which a test follows changes."""
    return port.changed_runs(LONG_AGO).until


def follow_changes(
    port: AirflowPort, world: World, since: datetime, keys: set[Key], *, limit: int = 1000
) -> Mapping[Key, AirflowRun]:
    """Follow the changes from ``since`` on as a worker does, until all ``keys`` are reported, and return the reported runs."""
    reported: dict[Key, AirflowRun] = {}
    moment = [since]

    def poll() -> set[Key]:
        changed = port.changed_runs(moment[0], limit=limit)
        assert len(changed.runs) <= limit
        assert changed.until >= moment[0]
        reported.update({(run.dag_id, run.run_id): run for run in changed.runs})
        moment[0] = changed.until
        return keys - set(reported)

    world.eventually(poll, lambda missing: not missing)
    return reported


class RunRules(AirflowSubject):
    """The state of runs and their tasks, and the changes."""

    @pytest.mark.parametrize("run_id", ["never_started", "a b", "a/b", "..", "", "x" * 300, "\0"])
    @pytest.mark.usefixtures("world")
    def test_an_unknown_run_is_none(self, port: AirflowPort, run_id: str) -> None:
        """The result for a run that Airflow does not have is None, even if its id is malformed or its DAG does not exist."""
        assert port.run(HELD.dag_id, run_id) is None
        assert port.run("contract_never_written", run_id) is None

    def test_a_run_reaches_success(self, port: AirflowPort, world: World) -> None:
        """A run whose tasks succeed ends as success, with ordered times in UTC."""
        run_id = new_id()
        port.trigger(QUICK.dag_id, run_id, conf={})
        run = await_end(port, world, QUICK.dag_id, run_id)
        assert (run.state, run.status) == ("success", RunStatus.SUCCESS)
        times = [time for time in (run.queued_at, run.started_at, run.ended_at) if time is not None]
        assert times[-2:] == [run.started_at, run.ended_at]
        assert times == sorted(times)
        assert {time.tzinfo for time in times} == {UTC}

    def test_a_run_with_a_failed_task_fails(self, port: AirflowPort, world: World) -> None:
        """A task below a failed task ends as upstream_failed, and one below a skipped task as skipped."""
        run_id = new_id()
        port.trigger(MIXED.dag_id, run_id, conf={})
        assert await_end(port, world, MIXED.dag_id, run_id).state == "failed"
        tasks = port.tasks([(MIXED.dag_id, run_id)])[MIXED.dag_id, run_id]
        assert {task.task_id: task.state for task in tasks} == {
            "good": "success",
            "bad": "failed",
            "below_bad": "upstream_failed",
            "skipping": "skipped",
            "below_skipping": "skipped",
        }
        by_id = {task.task_id: task for task in tasks}
        good, bad = by_id["good"], by_id["bad"]
        assert good.started_at is not None
        assert good.ended_at is not None
        assert bad.started_at is not None
        assert good.started_at <= good.ended_at <= bad.started_at
        assert (good.try_number, bad.try_number) == (1, 1)
        starts = [(task.started_at or datetime.max.replace(tzinfo=UTC), task.task_id) for task in tasks]
        assert starts == sorted(starts)

    @pytest.mark.usefixtures("world")
    def test_tasks_of_several_runs_are_read_at_once(self, port: AirflowPort) -> None:
        """The result contains the tasks of exactly the requested runs; unknown runs are left out."""
        requested, other = new_id(), new_id()
        for dag_id, run_id in [(HELD.dag_id, requested), (WIDE.dag_id, requested), (WIDE.dag_id, other)]:
            port.trigger(dag_id, run_id, conf={})
        port.trigger(HELD.dag_id, other, conf={})
        keys = [(HELD.dag_id, requested), (WIDE.dag_id, other), (WIDE.dag_id, "never_started"), ("never", requested)]
        tasks = port.tasks(keys)
        assert set(tasks) == {(HELD.dag_id, requested), (WIDE.dag_id, other)}
        assert [task.task_id for task in tasks[HELD.dag_id, requested]] == ["only"]

    @pytest.mark.usefixtures("world")
    def test_tasks_on_several_pages_are_complete(self, port: AirflowPort) -> None:
        """All tasks are returned in order, also if they fill several of Airflow's pages."""
        keys = [(WIDE.dag_id, new_id()) for _ in range(4)]
        for key in keys:
            port.trigger(*key, conf={})
        expected = [task.task_id for task in WIDE.tasks]
        assert {key: [task.task_id for task in tasks] for key, tasks in port.tasks(keys).items()} == dict.fromkeys(
            keys, expected
        )

    def test_without_runs_there_are_no_tasks(self, port: AirflowPort) -> None:
        """Without runs the result is empty."""
        assert dict(port.tasks([])) == {}

    def test_runs_with_ended_tasks_are_found(self, port: AirflowPort, world: World) -> None:
        """The result contains each requested run with a task that ended at or after the given moment, and no other run."""
        since, run_id = airflow_time(port), new_id()
        moved, held = (LASTING.dag_id, run_id), (HELD.dag_id, run_id)
        for key in (moved, held):
            port.trigger(*key, conf={})
        keys = [moved, held, (WIDE.dag_id, run_id), (LASTING.dag_id, "never_started"), ("never", run_id)]
        active = world.eventually(lambda: set(port.runs_with_ended_tasks(keys, since)), bool)
        [ended_at] = [task.ended_at for task in port.tasks([moved])[moved] if task.ended_at]
        at, later = (set(port.runs_with_ended_tasks(keys, ended_at + delay)) for delay in (NO_DELAY, ONE_MICROSECOND))
        others = set(port.runs_with_ended_tasks([held, (WIDE.dag_id, run_id)], since))
        port.end_run(*moved, EndState.FAILED)
        assert (active, at, later, others) == ({moved}, {moved}, set(), set())

    @pytest.mark.usefixtures("world")
    def test_runs_with_ended_tasks_on_several_pages_are_complete(self, port: AirflowPort) -> None:
        """Every run with an ended task is returned, also if the tasks fill several of Airflow's pages."""
        since = airflow_time(port)
        keys = {(WIDE.dag_id, new_id()) for _ in range(4)}
        for key in keys:
            port.trigger(*key, conf={})
            port.end_run(*key, EndState.FAILED)
        assert set(port.runs_with_ended_tasks(list(keys), since)) == keys

    def test_without_runs_there_are_no_runs_with_ended_tasks(self, port: AirflowPort) -> None:
        """Without runs the result is empty."""
        assert not port.runs_with_ended_tasks([], LONG_AGO)

    def test_a_run_of_a_paused_dag_stays_queued(self, port: AirflowPort, world: World) -> None:
        """The run stays queued, and its tasks have no state, until the DAG is unpaused."""
        seed, run_id = DagSeed(dag_id=new_id("contract")), new_id()
        key = (seed.dag_id, run_id)
        world.behind.serve(seed)
        port.trigger(*key, conf={})
        for _ in range(5):
            world.behind.pass_time()
            run = port.run(*key)
            assert run is not None
            assert run.state == "queued"
        assert [task.state for task in port.tasks([key])[key]] == [None]
        port.set_paused(seed.dag_id, paused=False)
        assert await_end(port, world, *key).state == "success"

    def test_a_new_and_an_ended_run_are_changes(self, port: AirflowPort, world: World) -> None:
        """A run is reported after it was created, and again after it has ended."""
        since, run_id = airflow_time(port), new_id()
        key = (QUICK.dag_id, run_id)
        run = port.trigger(*key, conf={"date": "2026-01-01"})
        reported = follow_changes(port, world, since, {key})[key]
        assert (reported.conf, reported.queued_at) == (run.conf, run.queued_at)
        await_end(port, world, *key)
        assert follow_changes(port, world, since, {key})[key].state == "success"

    def test_runs_of_other_clients_are_changes(self, port: AirflowPort, world: World) -> None:
        """A run started in Airflow's UI is reported, with the user's name if Airflow reports it."""
        since, run_id = airflow_time(port), new_id()
        user = world.behind.start_elsewhere(HELD.dag_id, run_id)
        reported = follow_changes(port, world, since, {(HELD.dag_id, run_id)})[HELD.dag_id, run_id]
        assert (reported.run_type, reported.triggered_by) == (RunType.MANUAL, user if self.users_are_reported else None)

    def test_scheduled_runs_are_changes(self, port: AirflowPort, world: World) -> None:
        """A run that the scheduler started is reported as a scheduled run."""
        since, seed = airflow_time(port), DagSeed(dag_id=new_id("contract"), schedule="@once", paused=False)
        world.behind.serve(seed)
        world.behind.fire_schedule(seed.dag_id)
        [run_id] = world.eventually(lambda: list(world.behind.runs(seed.dag_id)), lambda runs: runs)
        reported = follow_changes(port, world, since, {(seed.dag_id, run_id)})[seed.dag_id, run_id]
        assert (reported.run_type, reported.triggered_by) == (RunType.SCHEDULED, "scheduler")

    def test_changes_beyond_the_limit_are_on_the_next_pages(self, port: AirflowPort, world: World) -> None:
        """With a limit, several calls together report every change."""
        since = airflow_time(port)
        keys = {(HELD.dag_id, new_id()) for _ in range(8)}
        for key in keys:
            port.trigger(*key, conf={})
            world.behind.pass_time()
        assert keys <= set(follow_changes(port, world, since, keys, limit=3))

    @pytest.mark.usefixtures("world")
    def test_changes_within_the_limit_are_on_one_page(self, port: AirflowPort) -> None:
        """One call reports all changed runs if the limit allows it."""
        since = airflow_time(port)
        keys = {(HELD.dag_id, new_id()) for _ in range(120)}
        for key in keys:
            port.trigger(*key, conf={})
        assert keys <= {(run.dag_id, run.run_id) for run in port.changed_runs(since).runs}

    def test_changes_during_the_calls_are_not_missed(self, port: AirflowPort, world: World) -> None:
        """Runs that start while a client follows the changes with a small limit are all reported."""
        since = airflow_time(port)
        keys = {(HELD.dag_id, new_id()) for _ in range(12)}

        def start_all() -> None:
            for key in keys:
                port.trigger(*key, conf={})
                world.behind.pass_time()

        starter = Thread(target=start_all)
        starter.start()
        reported = follow_changes(port, world, since, keys, limit=8)
        starter.join()
        assert keys <= set(reported)

    def test_the_url_of_the_logs_is_quoted(self, port: AirflowPort) -> None:
        """The URL of a run's page is an HTTP URL in which every id is percent-encoded."""
        url = port.logs_url("a_b", "a.b_1+x:y/../z?q#f")
        assert url.startswith(("http://", "https://"))
        assert "/dags/a_b/" in url
        assert url.endswith("a.b_1%2Bx%3Ay%2F..%2Fz%3Fq%23f")
