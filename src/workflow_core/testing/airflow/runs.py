"""Watching runs: one, their tasks, and everything that changed."""

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
NOT_AT_ALL: Final = timedelta()
A_MOMENT: Final = timedelta(microseconds=1)
LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)


def ended(port: AirflowPort, world: World, dag_id: str, run_id: str) -> AirflowRun:
    """The run, once it has ended."""
    found = world.eventually(lambda: port.run(dag_id, run_id), lambda run: run is not None and run.status.is_final)
    assert found is not None
    return found


def now_of(port: AirflowPort) -> datetime:
    """The moment to follow changes from."""
    return port.changed_runs(LONG_AGO).until


def followed(
    port: AirflowPort, world: World, since: datetime, keys: set[Key], *, limit: int = 1000
) -> Mapping[Key, AirflowRun]:
    """What the port tells from ``since`` on, asked as a worker asks, until it has told of all ``keys``."""
    told: dict[Key, AirflowRun] = {}
    moment = [since]

    def look() -> set[Key]:
        changed = port.changed_runs(moment[0], limit=limit)
        assert len(changed.runs) <= limit
        assert changed.until >= moment[0]
        told.update({(run.dag_id, run.run_id): run for run in changed.runs})
        moment[0] = changed.until
        return keys - set(told)

    world.eventually(look, lambda missing: not missing)
    return told


class RunRules(AirflowSubject):
    """What the port says of runs."""

    @pytest.mark.parametrize("run_id", ["never_started", "a b", "a/b", "..", "", "x" * 300, "\0"])
    @pytest.mark.usefixtures("world")
    def test_an_unknown_run_is_none(self, port: AirflowPort, run_id: str) -> None:
        """A run that Airflow does not have is None, even under an id that no run can have, or of a DAG that there is not."""
        assert port.run(HELD.dag_id, run_id) is None
        assert port.run("contract_never_written", run_id) is None

    def test_a_run_reaches_success(self, port: AirflowPort, world: World) -> None:
        """A run whose tasks succeed ends as success, with its times in order and in UTC."""
        run_id = new_id()
        port.trigger(QUICK.dag_id, run_id, conf={})
        run = ended(port, world, QUICK.dag_id, run_id)
        assert (run.state, run.status) == ("success", RunStatus.SUCCESS)
        times = [time for time in (run.queued_at, run.started_at, run.ended_at) if time is not None]
        assert times[-2:] == [run.started_at, run.ended_at]
        assert times == sorted(times)
        assert {time.tzinfo for time in times} == {UTC}

    def test_a_run_with_a_failed_task_fails(self, port: AirflowPort, world: World) -> None:
        """Each task says how it ended: below a failed one upstream_failed, below a skipped one skipped."""
        run_id = new_id()
        port.trigger(MIXED.dag_id, run_id, conf={})
        assert ended(port, world, MIXED.dag_id, run_id).state == "failed"
        tasks = port.tasks([(MIXED.dag_id, run_id)])[MIXED.dag_id, run_id]
        assert {task.task_id: task.state for task in tasks} == {
            "good": "success",
            "bad": "failed",
            "below_bad": "upstream_failed",
            "skipping": "skipped",
            "below_skipping": "skipped",
        }
        ran = {task.task_id: task for task in tasks}
        good, bad = ran["good"], ran["bad"]
        assert good.started_at is not None
        assert good.ended_at is not None
        assert bad.started_at is not None
        assert good.started_at <= good.ended_at <= bad.started_at
        assert (good.try_number, bad.try_number) == (1, 1)
        starts = [(task.started_at or datetime.max.replace(tzinfo=UTC), task.task_id) for task in tasks]
        assert starts == sorted(starts)

    @pytest.mark.usefixtures("world")
    def test_tasks_of_many_runs(self, port: AirflowPort) -> None:
        """Tasks are told for each run that was asked for and for no other; unknown runs are left out."""
        asked, not_asked = new_id(), new_id()
        for dag_id, run_id in [(HELD.dag_id, asked), (WIDE.dag_id, asked), (WIDE.dag_id, not_asked)]:
            port.trigger(dag_id, run_id, conf={})
        port.trigger(HELD.dag_id, not_asked, conf={})
        keys = [(HELD.dag_id, asked), (WIDE.dag_id, not_asked), (WIDE.dag_id, "never_started"), ("never", asked)]
        found = port.tasks(keys)
        assert set(found) == {(HELD.dag_id, asked), (WIDE.dag_id, not_asked)}
        assert [task.task_id for task in found[HELD.dag_id, asked]] == ["only"]

    @pytest.mark.usefixtures("world")
    def test_more_tasks_than_fit_into_one_page(self, port: AirflowPort) -> None:
        """However many tasks there are, all are told, in order."""
        keys = [(WIDE.dag_id, new_id()) for _ in range(4)]
        for key in keys:
            port.trigger(*key, conf={})
        expected = [task.task_id for task in WIDE.tasks]
        assert {key: [task.task_id for task in tasks] for key, tasks in port.tasks(keys).items()} == dict.fromkeys(
            keys, expected
        )

    def test_tasks_of_no_runs(self, port: AirflowPort) -> None:
        """Nothing asked, nothing told."""
        assert dict(port.tasks([])) == {}

    def test_runs_of_which_a_task_ended(self, port: AirflowPort, world: World) -> None:
        """A run is told if one of its tasks ended at or after the moment that is asked from; no run is told that was not asked about."""
        since, run_id = now_of(port), new_id()
        moved, held = (LASTING.dag_id, run_id), (HELD.dag_id, run_id)
        for key in (moved, held):
            port.trigger(*key, conf={})
        keys = [moved, held, (WIDE.dag_id, run_id), (LASTING.dag_id, "never_started"), ("never", run_id)]
        told = world.eventually(lambda: set(port.runs_with_ended_tasks(keys, since)), lambda found: found)
        [ended_at] = [task.ended_at for task in port.tasks([moved])[moved] if task.ended_at]
        at, later = (set(port.runs_with_ended_tasks(keys, ended_at + wait)) for wait in (NOT_AT_ALL, A_MOMENT))
        others = set(port.runs_with_ended_tasks([held, (WIDE.dag_id, run_id)], since))
        port.end_run(*moved, EndState.FAILED)
        assert (told, at, later, others) == ({moved}, {moved}, set(), set())

    @pytest.mark.usefixtures("world")
    def test_more_ended_tasks_than_a_page(self, port: AirflowPort) -> None:
        """However many tasks ended, every run of them is told."""
        since = now_of(port)
        keys = {(WIDE.dag_id, new_id()) for _ in range(4)}
        for key in keys:
            port.trigger(*key, conf={})
            port.end_run(*key, EndState.FAILED)
        assert set(port.runs_with_ended_tasks(list(keys), since)) == keys

    def test_ended_tasks_of_no_runs(self, port: AirflowPort) -> None:
        """Nothing asked, nothing told."""
        assert not port.runs_with_ended_tasks([], LONG_AGO)

    def test_a_paused_dag_keeps_its_runs_waiting(self, port: AirflowPort, world: World) -> None:
        """A run of a paused DAG stays queued, its tasks untouched, until the DAG is unpaused."""
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
        assert ended(port, world, *key).state == "success"

    def test_a_change_is_told(self, port: AirflowPort, world: World) -> None:
        """A new run is told, and told again when it has ended."""
        since, run_id = now_of(port), new_id()
        key = (QUICK.dag_id, run_id)
        run = port.trigger(*key, conf={"date": "2026-01-01"})
        told = followed(port, world, since, {key})[key]
        assert (told.conf, told.queued_at) == (run.conf, run.queued_at)
        ended(port, world, *key)
        assert followed(port, world, since, {key})[key].state == "success"

    def test_runs_of_others_are_told(self, port: AirflowPort, world: World) -> None:
        """A run that a person started in Airflow's own pages is told, with that person's name if Airflow tells it."""
        since, run_id = now_of(port), new_id()
        person = world.behind.start_elsewhere(HELD.dag_id, run_id)
        told = followed(port, world, since, {(HELD.dag_id, run_id)})[HELD.dag_id, run_id]
        assert (told.run_type, told.triggered_by) == (RunType.MANUAL, person if self.people_are_told else None)

    def test_scheduled_runs_are_told(self, port: AirflowPort, world: World) -> None:
        """A run that the scheduler started is told as such."""
        since, seed = now_of(port), DagSeed(dag_id=new_id("contract"), schedule="@once", paused=False)
        world.behind.serve(seed)
        world.behind.fire_schedule(seed.dag_id)
        [run_id] = world.eventually(lambda: list(world.behind.runs(seed.dag_id)), lambda runs: runs)
        told = followed(port, world, since, {(seed.dag_id, run_id)})[seed.dag_id, run_id]
        assert (told.run_type, told.triggered_by) == (RunType.SCHEDULED, "scheduler")

    def test_more_changes_than_the_limit(self, port: AirflowPort, world: World) -> None:
        """With a limit, the changes come in several answers, and none is left out."""
        since = now_of(port)
        keys = {(HELD.dag_id, new_id()) for _ in range(8)}
        for key in keys:
            port.trigger(*key, conf={})
            world.behind.pass_time()
        assert keys <= set(followed(port, world, since, keys, limit=3))

    @pytest.mark.usefixtures("world")
    def test_more_changes_than_a_page(self, port: AirflowPort) -> None:
        """However many runs changed, all of them are told in one answer if the limit allows it."""
        since = now_of(port)
        keys = {(HELD.dag_id, new_id()) for _ in range(120)}
        for key in keys:
            port.trigger(*key, conf={})
        assert keys <= {(run.dag_id, run.run_id) for run in port.changed_runs(since).runs}

    def test_changes_while_looking_are_not_left_out(self, port: AirflowPort, world: World) -> None:
        """Runs that are started while somebody follows with a small limit are all told."""
        since = now_of(port)
        keys = {(HELD.dag_id, new_id()) for _ in range(12)}

        def start_all() -> None:
            for key in keys:
                port.trigger(*key, conf={})
                world.behind.pass_time()

        starter = Thread(target=start_all)
        starter.start()
        told = followed(port, world, since, keys, limit=8)
        starter.join()
        assert keys <= set(told)

    def test_a_page_of_airflow_s(self, port: AirflowPort) -> None:
        """The address of a run's page is a web address in which no id can break out of its place."""
        url = port.logs_url("a_b", "a.b_1+x:y/../z?q#f")
        assert url.startswith(("http://", "https://"))
        assert "/dags/a_b/" in url
        assert url.endswith("a.b_1%2Bx%3Ay%2F..%2Fz%3Fq%23f")
