"""Rules for starting runs: one run for each id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import pytest

from workflow_core.domain.run import AirflowRun, RunType
from workflow_core.errors import AirflowOutcomeUnknown, AirflowRefused, DagNotFound, LogicalDateTaken
from workflow_core.testing.airflow.subject import BUILT, HELD, AirflowSubject, DagSeed, World, new_id
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.ports.airflow import AirflowPort

CONF: Final[dict[str, Any]] = {
    "date": "2026-01-01",
    "n": 3,
    "ünïcode": '数据 \u2028 \\ "quoted" <!-- -->',
    "nested": {"list": [1, 2.5, None, True, {"deep": []}], "empty": {}},
    "large": 2**53,
}


def new_date() -> datetime:
    """An unused logical date."""
    return datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=int(new_id("")[1:9], 16) % 10**8)


class TriggerRules(AirflowSubject):
    """The run id makes a trigger idempotent."""

    def test_a_trigger_starts_a_run(self, port: AirflowPort, world: World) -> None:
        """A trigger returns the new run."""
        run_id = new_id()
        run = port.trigger(HELD.dag_id, run_id, conf={"date": "2026-01-01"})
        assert (run.dag_id, run.run_id, run.state, run.run_type) == (HELD.dag_id, run_id, "queued", RunType.MANUAL)
        assert (run.conf, run.started_at, run.ended_at) == ({"date": "2026-01-01"}, None, None)
        assert run_id in world.behind.runs(HELD.dag_id)

    def test_the_conf_is_passed_unchanged(self, port: AirflowPort, world: World) -> None:
        """Airflow receives the exact conf and returns it."""
        run_id = new_id()
        assert port.trigger(HELD.dag_id, run_id, conf=CONF).conf == CONF
        assert world.behind.runs(HELD.dag_id)[run_id]["conf"] == CONF
        run = port.run(HELD.dag_id, run_id)
        assert run is not None
        assert run.conf == CONF

    def test_a_repeated_trigger_returns_the_first_run(self, port: AirflowPort, world: World) -> None:
        """A repeat with the same id returns the unchanged first run and starts no second one."""
        run_id = new_id()
        first = port.trigger(HELD.dag_id, run_id, conf={"date": "2026-01-01"})
        before = set(world.behind.runs(HELD.dag_id))
        repeated = port.trigger(HELD.dag_id, run_id, conf={"date": "2026-12-31"})
        assert (repeated.run_id, repeated.conf, repeated.queued_at) == (run_id, first.conf, first.queued_at)
        assert set(world.behind.runs(HELD.dag_id)) == before

    def test_concurrent_triggers_with_one_id_start_one_run(self, port: AirflowPort, world: World) -> None:
        """Ten concurrent triggers with the same id all return the same run."""
        run_id = new_id()
        results = together([lambda: port.trigger(HELD.dag_id, run_id, conf={})] * 10)
        assert {run.run_id if isinstance(run, AirflowRun) else run for run in results} == {run_id}
        assert len({run.queued_at for run in results if isinstance(run, AirflowRun)}) == 1
        assert [stored for stored in world.behind.runs(HELD.dag_id) if stored.startswith(run_id)] == [run_id]

    def test_two_dags_may_have_runs_with_the_same_id(self, port: AirflowPort, world: World) -> None:
        """A run id is unique only within its DAG."""
        other, run_id = DagSeed(dag_id="contract_other"), new_id()
        world.behind.serve(other)
        assert {port.trigger(dag, run_id, conf={}).dag_id for dag in (HELD.dag_id, other.dag_id)} == {
            HELD.dag_id,
            other.dag_id,
        }
        assert run_id in world.behind.runs(HELD.dag_id)
        assert run_id in world.behind.runs(other.dag_id)

    def test_runs_without_a_logical_date_do_not_conflict(self, port: AirflowPort, world: World) -> None:
        """Any number of runs may be started without a logical date, also at the same time."""
        ids = [new_id() for _ in range(6)]
        calls = [lambda run_id=run_id: port.trigger(HELD.dag_id, run_id, conf={}) for run_id in ids]
        results = together(calls)
        assert [run.run_id if isinstance(run, AirflowRun) else run for run in results] == ids
        assert set(ids) <= set(world.behind.runs(HELD.dag_id))

    def test_a_run_without_a_logical_date_has_no_data_interval(self, port: AirflowPort, world: World) -> None:
        """The run has neither; in an Airflow that requires both, they are at the time of the trigger."""
        run_id = new_id()
        logical_date = port.trigger(HELD.dag_id, run_id, conf={}).logical_date
        run = world.behind.runs(HELD.dag_id)[run_id]
        assert logical_date == run["logical_date"]
        if self.dates_are_optional:
            assert logical_date is None
            assert run["data_interval"] is None
        else:
            assert logical_date is not None
            assert abs(datetime.now(UTC) - logical_date) < timedelta(minutes=1)
            assert run["data_interval"] == (logical_date, logical_date)

    def test_a_run_has_the_given_logical_date(self, port: AirflowPort, world: World) -> None:
        """The logical date is the given moment in any UTC offset, and is returned in UTC."""
        run_id, moment = new_id(), new_date()
        given = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
        logical_date = port.trigger(HELD.dag_id, run_id, conf={}, logical_date=given).logical_date
        assert logical_date == moment
        assert logical_date.tzinfo is UTC
        assert world.behind.runs(HELD.dag_id)[run_id]["logical_date"] == moment

    @pytest.mark.parametrize("seed", [HELD, BUILT], ids=["without a schedule", "with a schedule"])
    def test_the_data_interval_is_empty_at_the_logical_date(
        self, port: AirflowPort, world: World, seed: DagSeed
    ) -> None:
        """The data interval starts and ends at the logical date, with any schedule of the DAG."""
        run_id, moment = new_id(), new_date()
        port.trigger(seed.dag_id, run_id, conf={}, logical_date=moment)
        assert world.behind.runs(seed.dag_id)[run_id]["data_interval"] == (moment, moment)

    def test_a_taken_logical_date_is_refused(self, port: AirflowPort, world: World) -> None:
        """A trigger with the logical date of another run raises a specific error and starts no run."""
        moment, second = new_date(), new_id()
        port.trigger(HELD.dag_id, new_id(), conf={}, logical_date=moment)
        with pytest.raises(LogicalDateTaken):
            port.trigger(HELD.dag_id, second, conf={}, logical_date=moment)
        assert second not in world.behind.runs(HELD.dag_id)

    @pytest.mark.usefixtures("world")
    def test_a_repeat_with_the_same_logical_date_does_not_conflict(self, port: AirflowPort) -> None:
        """A repeat with the same id and logical date returns the same run."""
        run_id, moment = new_id(), new_date()
        for _ in range(2):
            run = port.trigger(HELD.dag_id, run_id, conf={}, logical_date=moment)
            assert (run.run_id, run.logical_date) == (run_id, moment)

    def test_one_of_many_concurrent_runs_gets_the_logical_date(self, port: AirflowPort, world: World) -> None:
        """Of five concurrent triggers with one logical date, one starts a run and four raise the error for a taken date."""
        moment, ids = new_date(), [new_id() for _ in range(5)]
        calls = [
            lambda run_id=run_id: port.trigger(HELD.dag_id, run_id, conf={}, logical_date=moment) for run_id in ids
        ]
        results = together(calls)
        started = [run.run_id for run in results if isinstance(run, AirflowRun)]
        assert len(started) == 1
        assert sum(isinstance(result, LogicalDateTaken) for result in results) == 4
        assert set(ids) & set(world.behind.runs(HELD.dag_id)) == set(started)

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "a/b"])
    def test_an_unknown_dag_accepts_no_run(self, port: AirflowPort, dag_id: str) -> None:
        """A trigger of a DAG that is not (yet) served raises a specific error."""
        with pytest.raises(DagNotFound):
            port.trigger(dag_id, new_id(), conf={})

    @pytest.mark.parametrize(
        "run_id", ["", "a b", "a/b", "ü", "a..b", "x" * 251, "a\0b", "a\n", "scheduled__2026-01-01", "backfill__x"]
    )
    def test_an_invalid_run_id_is_refused(self, port: AirflowPort, world: World, run_id: str) -> None:
        """A run id that Airflow does not accept is refused permanently, not reported as a temporary failure."""
        before = set(world.behind.runs(HELD.dag_id))
        with pytest.raises(AirflowRefused):
            port.trigger(HELD.dag_id, run_id, conf={})
        assert set(world.behind.runs(HELD.dag_id)) == before

    @pytest.mark.parametrize("prefix", ["a.b_20260101_", "~:+-."])
    def test_every_valid_run_id_is_accepted(self, port: AirflowPort, world: World, prefix: str) -> None:
        """A run id of up to 250 characters, each of which Airflow allows, is passed unchanged."""
        run_id = (prefix + new_id() + "_") + "x" * 250
        run_id = run_id[:250]
        port.trigger(HELD.dag_id, run_id, conf={})
        assert run_id in world.behind.runs(HELD.dag_id)
        run = port.run(HELD.dag_id, run_id)
        assert run is not None
        assert run.run_id == run_id

    def test_an_invalid_param_is_refused(self, port: AirflowPort, world: World) -> None:
        """A param that violates the DAG's declaration is refused and starts no run."""
        run_id = new_id()
        with pytest.raises(AirflowRefused):
            port.trigger(HELD.dag_id, run_id, conf={"n": "three"})
        assert run_id not in world.behind.runs(HELD.dag_id)

    def test_a_trigger_without_a_response_can_be_repeated(
        self, port: AirflowPort, deaf: AirflowPort, world: World
    ) -> None:
        """If the response is lost, the port reports an unknown outcome, the run exists, and a repeat returns it."""
        run_id = new_id()
        with pytest.raises(AirflowOutcomeUnknown):
            deaf.trigger(HELD.dag_id, run_id, conf={"date": "2026-01-01"})
        world.eventually(lambda: world.behind.runs(HELD.dag_id), lambda runs: run_id in runs)
        assert port.trigger(HELD.dag_id, run_id, conf={}).conf == {"date": "2026-01-01"}

    def test_the_outcome_of_a_pause_without_a_response_is_unknown(
        self, port: AirflowPort, deaf: AirflowPort, world: World
    ) -> None:
        """If the response to a pause is lost, the port reports an unknown outcome, and a repeat is harmless."""
        seed = DagSeed(dag_id="contract_pausing_unheard")
        world.behind.serve(seed)
        with pytest.raises(AirflowOutcomeUnknown):
            deaf.set_paused(seed.dag_id, paused=False)
        port.set_paused(seed.dag_id, paused=False)
        assert not world.behind.is_paused(seed.dag_id)
