"""Rules for DAGs: the list of served DAGs, requests for a parse, pauses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from workflow_core.domain.served import ServedMark
from workflow_core.errors import DagNotFound, LoaderNotInstalled
from workflow_core.ports.airflow import ComponentState
from workflow_core.testing.airflow.subject import BROKEN, BUILT, COMMON, HELD, AirflowSubject, DagSeed, World, new_id
from workflow_core.testing.together import together

if TYPE_CHECKING:
    from workflow_core.ports.airflow import AirflowPort, ListedDag, ServedDag


def _served(port: AirflowPort, dag_id: str) -> ServedDag:
    dag = port.dag(dag_id)
    assert dag is not None
    return dag


def _listed(port: AirflowPort) -> dict[str, ListedDag]:
    """All listed DAGs by id."""
    dags: dict[str, ListedDag] = {}
    while (page := port.list_dags(len(dags))).dags:
        dags |= {dag.dag_id: dag for dag in page.dags}
    return dags


class DagRules(AirflowSubject):
    """The state of DAGs and of Airflow as a whole."""

    def test_ping_returns(self, port: AirflowPort) -> None:
        """A ping succeeds, also repeatedly, if Airflow responds and accepts the credentials."""
        for _ in range(3):
            port.ping()

    def test_health_reports_the_installed_components(self, port: AirflowPort, world: World) -> None:
        """Each running component is reported as healthy."""
        expected = dict.fromkeys(("metadatabase", "scheduler", "dag_processor", "triggerer"), ComponentState.HEALTHY)
        world.eventually(port.health, lambda health: health == expected)

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "no such dag", "a/b", "..", "", "\0", "a%2Fb?c#d"])
    def test_an_unknown_dag_is_none(self, port: AirflowPort, dag_id: str) -> None:
        """The result for a DAG that Airflow does not serve is None, even if the id is malformed."""
        assert port.dag(dag_id) is None

    @pytest.mark.usefixtures("world")
    def test_the_mark_of_a_dag_is_read(self, port: AirflowPort) -> None:
        """A DAG with a mark has the hash of the spec from which it was built."""
        dag = _served(port, BUILT.dag_id)
        assert BUILT.mark is not None
        assert (dag.dag_id, dag.spec_hash, dag.error) == (BUILT.dag_id, BUILT.mark.spec_hash, None)

    @pytest.mark.usefixtures("world")
    def test_the_error_in_a_mark_is_read(self, port: AirflowPort) -> None:
        """A DAG whose spec could not be built has the reason."""
        dag = _served(port, BROKEN.dag_id)
        assert BROKEN.mark is not None
        assert (dag.spec_hash, dag.error) == (BROKEN.mark.spec_hash, BROKEN.mark.error)

    @pytest.mark.usefixtures("world")
    def test_a_dag_without_a_mark_has_no_hash(self, port: AirflowPort) -> None:
        """A DAG without the service's mark has neither a hash nor an error."""
        dag = _served(port, HELD.dag_id)
        assert (dag.spec_hash, dag.error) == (None, None)

    @pytest.mark.usefixtures("world")
    def test_the_next_run_of_a_schedule_is_read(self, port: AirflowPort) -> None:
        """A DAG with a schedule has its next fire time in UTC; a DAG without one has none."""
        next_run = _served(port, BUILT.dag_id).next_run
        assert next_run is not None
        assert (next_run.tzinfo, next_run.hour, next_run.minute) == (UTC, 6, 0)
        assert _served(port, HELD.dag_id).next_run is None

    @pytest.mark.parametrize("limit", [3, 100])
    @pytest.mark.usefixtures("world")
    def test_dags_are_listed_page_by_page(self, port: AirflowPort, limit: int) -> None:
        """Each DAG is listed once, by id, with its pause state and next run; no page exceeds the limit."""
        listed: list[ListedDag] = []
        while True:
            page = port.list_dags(len(listed), limit=limit)
            assert len(page.dags) <= limit
            listed += page.dags
            if len(listed) >= page.total:
                break
        dags = {dag.dag_id: dag for dag in listed}
        assert len(dags) == len(listed)
        assert {seed.dag_id: dags[seed.dag_id].is_paused for seed in COMMON} == {
            seed.dag_id: seed.paused for seed in COMMON
        }
        assert [dag.has_import_errors for dag in listed] == [False] * len(listed)
        assert dags[BUILT.dag_id].next_run == _served(port, BUILT.dag_id).next_run

    @pytest.mark.usefixtures("world")
    def test_a_page_after_the_last_dag_is_empty(self, port: AirflowPort) -> None:
        """The empty page still contains the total."""
        page = port.list_dags(10_000)
        assert (list(page.dags), page.total >= len(COMMON)) == ([], True)

    def test_a_withdrawn_dag_is_not_listed(self, port: AirflowPort, world: World) -> None:
        """The list omits a DAG that is no longer served, and shows a pause at once."""
        kept, withdrawn = DagSeed(dag_id=new_id("contract")), DagSeed(dag_id=new_id("contract"))
        world.behind.serve(kept, withdrawn)
        assert {kept.dag_id, withdrawn.dag_id} <= set(_listed(port))
        world.behind.withdraw(withdrawn.dag_id)
        world.eventually(lambda: withdrawn.dag_id in _listed(port), lambda listed: not listed)
        for paused in (False, True):
            port.set_paused(kept.dag_id, paused=paused)
            assert _listed(port)[kept.dag_id].is_paused is paused

    def test_a_new_spec_is_served_after_a_parse(self, port: AirflowPort, world: World) -> None:
        """A spec that was added to a file is served soon after a request to parse the file."""
        seed = DagSeed(dag_id=new_id("contract"), mark=ServedMark(spec_hash="00000000000000aa"), paused=False)
        spec_hash = world.behind.write(seed)
        port.request_parse(world.behind.sentinel)
        dag = world.eventually(lambda: port.dag(seed.dag_id), lambda dag: dag is not None)
        assert dag is not None
        assert (dag.spec_hash, dag.error, dag.is_paused) == (spec_hash, None, False)

    def test_a_repeated_request_for_a_parse_is_harmless(self, port: AirflowPort, world: World) -> None:
        """A parse of the same file may be requested several times, also concurrently."""
        calls = [lambda: port.request_parse(world.behind.sentinel)] * 5
        assert together(calls) == [None] * 5

    def test_a_missing_loader_is_named_in_the_error(self, port: AirflowPort) -> None:
        """A request for a sentinel that Airflow does not have raises a specific error."""
        with pytest.raises(LoaderNotInstalled, match="contract_no_sentinel"):
            port.request_parse("contract_no_sentinel")

    def test_a_dag_is_paused_and_unpaused(self, port: AirflowPort, world: World) -> None:
        """The pause state is the last requested state, and a repeated request changes nothing."""
        seed = evolve(HELD, dag_id="contract_pausing")
        world.behind.serve(seed)
        for paused in (False, False, True, True):
            port.set_paused(seed.dag_id, paused=paused)
            assert world.behind.is_paused(seed.dag_id) is paused
            assert _served(port, seed.dag_id).is_paused is paused

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "a/b"])
    def test_an_unknown_dag_cannot_be_paused(self, port: AirflowPort, dag_id: str) -> None:
        """Pausing a DAG that Airflow does not serve raises an error."""
        with pytest.raises(DagNotFound):
            port.set_paused(dag_id, paused=True)

    def test_a_withdrawn_dag_keeps_its_runs(self, port: AirflowPort, world: World) -> None:
        """A DAG that was removed from its file is not served and accepts no run and no pause; its runs stay readable."""
        seed, run_id = DagSeed(dag_id=new_id("contract")), new_id()
        world.behind.serve(seed)
        port.trigger(seed.dag_id, run_id, conf={})
        world.behind.withdraw(seed.dag_id)
        world.eventually(lambda: port.dag(seed.dag_id), lambda dag: dag is None)
        with pytest.raises(DagNotFound):
            port.set_paused(seed.dag_id, paused=False)
        with pytest.raises(DagNotFound):
            port.trigger(seed.dag_id, new_id(), conf={}, logical_date=datetime(2025, 1, 1, tzinfo=UTC))
        assert port.run(seed.dag_id, run_id) is not None
