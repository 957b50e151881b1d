"""Starting runs: once per id, whatever happens."""

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
    """A logical date that no run has yet."""
    return datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=int(new_id("")[1:9], 16) % 10**8)


class TriggerRules(AirflowSubject):
    """The run id is the key: what was asked twice happens once."""

    def test_a_run_is_started(self, port: AirflowPort, world: World) -> None:
        """A trigger answers the run that it made."""
        run_id = new_id()
        run = port.trigger(HELD.dag_id, run_id, conf={"date": "2026-01-01"})
        assert (run.dag_id, run.run_id, run.state, run.run_type) == (HELD.dag_id, run_id, "queued", RunType.MANUAL)
        assert (run.conf, run.started_at, run.ended_at) == ({"date": "2026-01-01"}, None, None)
        assert run_id in world.behind.runs(HELD.dag_id)

    def test_the_conf_arrives(self, port: AirflowPort, world: World) -> None:
        """Airflow gets the conf exactly, and tells it back exactly."""
        run_id = new_id()
        assert port.trigger(HELD.dag_id, run_id, conf=CONF).conf == CONF
        assert world.behind.runs(HELD.dag_id)[run_id]["conf"] == CONF
        found = port.run(HELD.dag_id, run_id)
        assert found is not None
        assert found.conf == CONF

    def test_the_same_id_again_is_the_same_run(self, port: AirflowPort, world: World) -> None:
        """A repeat answers the first run, unchanged, and makes none."""
        run_id = new_id()
        first = port.trigger(HELD.dag_id, run_id, conf={"date": "2026-01-01"})
        before = set(world.behind.runs(HELD.dag_id))
        again = port.trigger(HELD.dag_id, run_id, conf={"date": "2026-12-31"})
        assert (again.run_id, again.conf, again.queued_at) == (run_id, first.conf, first.queued_at)
        assert set(world.behind.runs(HELD.dag_id)) == before

    def test_the_same_id_many_times_at_once_is_one_run(self, port: AirflowPort, world: World) -> None:
        """Ten triggers of one id at the same time all answer the same run."""
        run_id = new_id()
        found = together([lambda: port.trigger(HELD.dag_id, run_id, conf={})] * 10)
        assert {run.run_id if isinstance(run, AirflowRun) else run for run in found} == {run_id}
        assert len({run.queued_at for run in found if isinstance(run, AirflowRun)}) == 1
        assert [one for one in world.behind.runs(HELD.dag_id) if one.startswith(run_id)] == [run_id]

    def test_one_id_in_two_dags_is_two_runs(self, port: AirflowPort, world: World) -> None:
        """A run id belongs to its DAG."""
        other, run_id = DagSeed(dag_id="contract_other"), new_id()
        world.behind.serve(other)
        assert {port.trigger(dag, run_id, conf={}).dag_id for dag in (HELD.dag_id, other.dag_id)} == {
            HELD.dag_id,
            other.dag_id,
        }
        assert run_id in world.behind.runs(HELD.dag_id)
        assert run_id in world.behind.runs(other.dag_id)

    def test_without_a_logical_date_no_run_is_in_another_s_way(self, port: AirflowPort, world: World) -> None:
        """Any number of runs may be started without a logical date, at the same moment, too."""
        ids = [new_id() for _ in range(6)]
        calls = [lambda run_id=run_id: port.trigger(HELD.dag_id, run_id, conf={}) for run_id in ids]
        made = together(calls)
        assert [run.run_id if isinstance(run, AirflowRun) else run for run in made] == ids
        assert set(ids) <= set(world.behind.runs(HELD.dag_id))

    def test_a_run_without_a_logical_date(self, port: AirflowPort, world: World) -> None:
        """It has none, and no data interval; where every run must have them, they are of the moment of the trigger."""
        run_id = new_id()
        told = port.trigger(HELD.dag_id, run_id, conf={}).logical_date
        run = world.behind.runs(HELD.dag_id)[run_id]
        assert told == run["logical_date"]
        if self.dates_are_optional:
            assert told is None
            assert run["data_interval"] is None
        else:
            assert told is not None
            assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)
            assert run["data_interval"] == (told, told)

    def test_a_logical_date_is_the_run_s(self, port: AirflowPort, world: World) -> None:
        """The logical date is the moment that was given, whatever its offset; it is told in UTC."""
        run_id, moment = new_id(), new_date()
        given = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
        found = port.trigger(HELD.dag_id, run_id, conf={}, logical_date=given).logical_date
        assert found == moment
        assert found.tzinfo is UTC
        assert world.behind.runs(HELD.dag_id)[run_id]["logical_date"] == moment

    @pytest.mark.parametrize("seed", [HELD, BUILT], ids=["without a schedule", "with one"])
    def test_the_data_interval_is_empty_at_the_logical_date(
        self, port: AirflowPort, world: World, seed: DagSeed
    ) -> None:
        """Whatever a DAG's schedule would make of a logical date, the data interval begins and ends at it."""
        run_id, moment = new_id(), new_date()
        port.trigger(seed.dag_id, run_id, conf={}, logical_date=moment)
        assert world.behind.runs(seed.dag_id)[run_id]["data_interval"] == (moment, moment)

    def test_a_taken_logical_date_is_refused(self, port: AirflowPort, world: World) -> None:
        """Another run of the same date is an error of its own, and makes no run."""
        moment, second = new_date(), new_id()
        port.trigger(HELD.dag_id, new_id(), conf={}, logical_date=moment)
        with pytest.raises(LogicalDateTaken):
            port.trigger(HELD.dag_id, second, conf={}, logical_date=moment)
        assert second not in world.behind.runs(HELD.dag_id)

    @pytest.mark.usefixtures("world")
    def test_a_repeat_with_its_own_date_is_no_conflict(self, port: AirflowPort) -> None:
        """The same id with the same date again is the same run."""
        run_id, moment = new_id(), new_date()
        for _ in range(2):
            run = port.trigger(HELD.dag_id, run_id, conf={}, logical_date=moment)
            assert (run.run_id, run.logical_date) == (run_id, moment)

    def test_of_many_runs_of_one_date_at_once_one_is_made(self, port: AirflowPort, world: World) -> None:
        """Five ids that ask for one date at the same time: one gets it, the others learn that it is taken."""
        moment, ids = new_date(), [new_id() for _ in range(5)]
        calls = [
            lambda run_id=run_id: port.trigger(HELD.dag_id, run_id, conf={}, logical_date=moment) for run_id in ids
        ]
        found = together(calls)
        made = [run.run_id for run in found if isinstance(run, AirflowRun)]
        assert len(made) == 1
        assert sum(isinstance(one, LogicalDateTaken) for one in found) == 4
        assert set(ids) & set(world.behind.runs(HELD.dag_id)) == set(made)

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "a/b"])
    def test_an_unknown_dag_takes_no_run(self, port: AirflowPort, dag_id: str) -> None:
        """A DAG that is not served (yet) is an error that says just this."""
        with pytest.raises(DagNotFound):
            port.trigger(dag_id, new_id(), conf={})

    @pytest.mark.parametrize(
        "run_id", ["", "a b", "a/b", "ü", "a..b", "x" * 251, "a\0b", "a\n", "scheduled__2026-01-01", "backfill__x"]
    )
    def test_a_bad_run_id_is_refused(self, port: AirflowPort, world: World, run_id: str) -> None:
        """An id that Airflow does not take is refused for good, not called a failure that may pass."""
        before = set(world.behind.runs(HELD.dag_id))
        with pytest.raises(AirflowRefused):
            port.trigger(HELD.dag_id, run_id, conf={})
        assert set(world.behind.runs(HELD.dag_id)) == before

    @pytest.mark.parametrize("prefix", ["a.b_20260101_", "~:+-."])
    def test_a_legal_run_id_of_any_kind_is_taken(self, port: AirflowPort, world: World, prefix: str) -> None:
        """Every character that Airflow allows arrives as it is, up to 250 of them."""
        run_id = (prefix + new_id() + "_") + "x" * 250
        run_id = run_id[:250]
        port.trigger(HELD.dag_id, run_id, conf={})
        assert run_id in world.behind.runs(HELD.dag_id)
        found = port.run(HELD.dag_id, run_id)
        assert found is not None
        assert found.run_id == run_id

    def test_a_bad_param_is_refused(self, port: AirflowPort, world: World) -> None:
        """A param that does not fit what the DAG declares is refused, and makes no run."""
        run_id = new_id()
        with pytest.raises(AirflowRefused):
            port.trigger(HELD.dag_id, run_id, conf={"n": "three"})
        assert run_id not in world.behind.runs(HELD.dag_id)

    def test_a_run_whose_answer_was_lost_is_made_once(self, port: AirflowPort, deaf: AirflowPort, world: World) -> None:
        """A lost answer is "unknown", the run is there, and a repeat finds it."""
        run_id = new_id()
        with pytest.raises(AirflowOutcomeUnknown):
            deaf.trigger(HELD.dag_id, run_id, conf={"date": "2026-01-01"})
        world.eventually(lambda: world.behind.runs(HELD.dag_id), lambda runs: run_id in runs)
        assert port.trigger(HELD.dag_id, run_id, conf={}).conf == {"date": "2026-01-01"}

    def test_a_pause_whose_answer_was_lost_is_unknown(self, port: AirflowPort, deaf: AirflowPort, world: World) -> None:
        """A lost answer to a pause is "unknown", and asking again is harmless."""
        seed = DagSeed(dag_id="contract_pausing_unheard")
        world.behind.serve(seed)
        with pytest.raises(AirflowOutcomeUnknown):
            deaf.set_paused(seed.dag_id, paused=False)
        port.set_paused(seed.dag_id, paused=False)
        assert not world.behind.is_paused(seed.dag_id)
