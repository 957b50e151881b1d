"""Several workers on one database share the work, and a late write of a former lease holder changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.support.world import DAG, NAME, World
from workflow_core.domain.lease import MIRROR, run_lease_key, workflow_lease_key
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import Phase
from workflow_core.fakes.airflow import Effect
from workflow_core.usecases.reconcile.leases import CHUNK
from workflow_core.usecases.reconcile.sweep import LEASE_RETENTION, TIDY_EVERY

if TYPE_CHECKING:
    import pytest

LEASE = timedelta(seconds=30)


def calls_of(monkeypatch: pytest.MonkeyPatch, port: Any, method: str) -> list[Any]:
    """The arguments of each call of a method from now on."""
    calls: list[Any] = []
    real = getattr(port, method)

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        return real(*arguments, **named)

    monkeypatch.setattr(port, method, counted)
    return calls


def waiting(world: World, count: int = 1) -> list[str]:
    """Record this number of runs that wait for submission."""
    world.register()
    found = []
    for _ in range(count):
        world.airflow.lose_answers(Effect.NOT_DONE)
        found.append(world.usecases.run(NAME).run_id)
    world.clock.sleep(21)
    return found


class TestSharing:
    def test_what_another_worker_is_at_is_left_to_it(self, world):
        """A run is neither submitted nor reconciled twice; after its lease expired, the next worker continues."""
        (run_id,) = waiting(world)
        now = world.clock.now()
        world.database.leases.acquire([run_lease_key(run_id)], owner="another", at=now, until=now + LEASE)
        assert world.sweeper.sweep().runs_submitted == 0
        world.clock.sleep(LEASE.total_seconds())
        assert world.sweeper.sweep().runs_submitted == 1

    def test_a_worker_claims_a_few_at_a_time(self, world, monkeypatch):
        """So that others find something to do beside it."""
        waiting(world, CHUNK + 1)
        claims = calls_of(monkeypatch, world.database.leases, "acquire")
        assert world.sweeper.sweep().runs_submitted == CHUNK + 1
        sizes = [len(subjects) for (subjects,) in claims if subjects[0].startswith("run:")]
        assert sizes == [CHUNK, 1]

    def test_nothing_is_claimed_where_there_is_nothing_to_do(self, world, monkeypatch):
        """A pass over settled things asks for no lease but the one of following Airflow."""
        world.register()
        world.sweeper.sweep()
        claims = calls_of(monkeypatch, world.database.leases, "acquire")
        world.sweeper.sweep()
        assert [subjects for (subjects,) in claims if subjects[0].partition(":")[1]] == []

    def test_leases_are_released_whatever_happens(self, world):
        """During an outage of Airflow the leases are released, so that any worker can continue at once."""
        run_ids = waiting(world, 3)
        world.airflow.go_down()
        world.sweeper.sweep()
        world.airflow.come_back()
        now = world.clock.now()
        subjects = [run_lease_key(run_id) for run_id in run_ids]
        assert set(world.database.leases.acquire(subjects, owner="another", at=now, until=now)) == set(subjects)

    def test_a_request_leaves_to_a_worker_what_it_is_at(self, world, monkeypatch):
        """A request waits up to its limit and returns the recorded state."""
        monkeypatch.setattr(world.airflow, "request_parse", lambda _: None)
        workflow = world.register()
        assert workflow.phase is Phase.REGISTERING
        now = world.clock.now()
        world.database.leases.acquire([workflow_lease_key(workflow.id)], owner="another", at=now, until=now + LEASE)
        parses = calls_of(monkeypatch, world.airflow, "set_paused")
        assert world.usecases.pause(NAME).pause is not None
        assert parses == []

    def test_a_stop_is_recorded_though_somebody_is_at_the_run(self, world):
        """They, or the next pass, see to it."""
        world.register()
        run = world.usecases.run(NAME)
        now = world.clock.now()
        lease = world.database.leases.acquire([run_lease_key(run.run_id)], owner="another", at=now, until=now + LEASE)
        assert world.usecases.stop(run.run_id).status is RunStatus.STOPPING
        world.database.leases.release(lease.values())
        for _ in range(3):
            world.sweeper.sweep()
            world.clock.sleep(60)
        assert world.database.workflows.run(run.run_id).status is RunStatus.STOPPED


class TestTooLate:
    def test_a_worker_that_stood_still_changes_nothing(self, world, monkeypatch):
        """The lease expired during the request, and another worker acquired it."""
        (run_id,) = waiting(world)
        trigger = world.airflow.trigger

        def slowly(*arguments, **named):
            seen = trigger(*arguments, **named)
            world.clock.sleep(LEASE.total_seconds())
            now = world.clock.now()
            world.database.leases.acquire([run_lease_key(run_id), MIRROR], owner="another", at=now, until=now + LEASE)
            return seen

        monkeypatch.setattr(world.airflow, "trigger", slowly)
        assert world.sweeper.sweep().runs_submitted == 0
        assert world.database.workflows.run(run_id).submission is Submission.SENDING

    def test_what_comes_after_the_end_of_its_lease_is_left(self, world, monkeypatch):
        """A slow Airflow does not keep a worker at what others may have taken over."""
        run_ids = waiting(world, 3)
        trigger = world.airflow.trigger

        def slowly(*arguments, **named):
            world.clock.sleep(LEASE.total_seconds())
            return trigger(*arguments, **named)

        monkeypatch.setattr(world.airflow, "trigger", slowly)
        assert world.sweeper.sweep().runs_submitted == 1
        assert [world.airflow.run(DAG, run_id) is not None for run_id in run_ids] == [True, False, False]


class TestLeading:
    def test_one_of_the_workers_follows_airflow(self, world, monkeypatch):
        """The others do not ask it at all."""
        world.register()
        world.sweeper.sweep()
        asked = calls_of(monkeypatch, world.airflow, "changed_runs")
        for _ in range(5):
            world.another().sweeper.sweep()
        assert asked == []
        world.sweeper.sweep()
        assert len(asked) == 1

    def test_another_takes_over_from_one_that_is_not_heard_of(self, world, monkeypatch):
        """After the lease of the first one has ended; and that one then leaves it to the new one."""
        world.sweeper.sweep()
        world.clock.sleep(LEASE.total_seconds())
        second = world.another()
        second.sweeper.sweep()
        asked = calls_of(monkeypatch, world.airflow, "changed_runs")
        world.sweeper.sweep()
        assert asked == []
        second.sweeper.sweep()
        assert len(asked) == 1

    def test_one_that_stood_still_while_it_followed_changes_nothing(self, world, monkeypatch):
        """What it had read is older than what the new one has recorded."""
        world.register()
        changed_runs = world.airflow.changed_runs

        def slowly(since):
            seen = changed_runs(since)
            monkeypatch.undo()
            world.clock.sleep(LEASE.total_seconds())
            world.airflow.trigger(DAG, "from_the_ui", conf={})
            world.another().sweeper.sweep()
            return seen

        world.sweeper.sweep()
        monkeypatch.setattr(world.airflow, "changed_runs", slowly)
        world.sweeper.sweep()
        (run,) = world.usecases.history().items
        assert run.airflow_run_id == "from_the_ui"
        state = world.database.observations.airflow_state()
        assert state.tried_at == world.clock.now()

    def test_one_that_ends_leaves_it_to_the_others(self, world, monkeypatch):
        """Another worker acquires the leadership of a stopped worker at once."""
        world.sweeper.sweep()
        world.sweeper.release_leadership()
        asked = calls_of(monkeypatch, world.airflow, "changed_runs")
        world.another().sweeper.sweep()
        assert len(asked) == 1

    def test_one_of_the_workers_syncs(self, world):
        """One worker syncs on its timer; a requested sync always runs."""
        assert world.usecases.sync_in_turn() is not None
        second = world.another()
        assert second.usecases.sync_in_turn() is None
        assert second.usecases.sync().unchanged == 0
        assert world.usecases.sync_in_turn() is not None

    def test_a_command_without_a_server_does_not_lead(self, world):
        """It is gone in a moment, and others would wait for it."""
        world.another().sweeper.sweep(is_periodic=False)
        now = world.clock.now()
        assert set(world.database.leases.acquire([MIRROR], owner="x", at=now, until=now)) == {MIRROR}


def test_old_leases_are_removed(world, monkeypatch):
    """Now and then, by the worker that follows Airflow."""
    forgotten = calls_of(monkeypatch, world.database.leases, "purge_leases")
    for _ in range(3):
        world.sweeper.sweep()
    assert forgotten == [(world.clock.now() - LEASE_RETENTION,)]
    world.clock.sleep(TIDY_EVERY.total_seconds())
    world.sweeper.sweep()
    assert len(forgotten) == 2
