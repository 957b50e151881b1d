"""DAGs: what is served, having a file parsed, pausing."""

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
    found = port.dag(dag_id)
    assert found is not None
    return found


def _listed(port: AirflowPort) -> dict[str, ListedDag]:
    """All of them."""
    found: dict[str, ListedDag] = {}
    while (page := port.list_dags(len(found))).dags:
        found |= {dag.dag_id: dag for dag in page.dags}
    return found


class DagRules(AirflowSubject):
    """What the port says of DAGs and of Airflow as a whole."""

    def test_ping_returns(self, port: AirflowPort) -> None:
        """An Airflow that answers and lets us in passes, the first time and ever after."""
        for _ in range(3):
            port.ping()

    def test_health_names_the_installed_parts(self, port: AirflowPort, world: World) -> None:
        """Each part that runs is there, and healthy."""
        expected = dict.fromkeys(("metadatabase", "scheduler", "dag_processor", "triggerer"), ComponentState.HEALTHY)
        world.eventually(port.health, lambda health: health == expected)

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "no such dag", "a/b", "..", "", "\0", "a%2Fb?c#d"])
    def test_an_unknown_dag_is_none(self, port: AirflowPort, dag_id: str) -> None:
        """What Airflow does not serve is None, even under an id that no DAG can have."""
        assert port.dag(dag_id) is None

    @pytest.mark.usefixtures("world")
    def test_a_mark_is_read_back(self, port: AirflowPort) -> None:
        """A DAG of ours says which spec it was built from."""
        found = _served(port, BUILT.dag_id)
        assert BUILT.mark is not None
        assert (found.dag_id, found.spec_hash, found.error) == (BUILT.dag_id, BUILT.mark.spec_hash, None)

    @pytest.mark.usefixtures("world")
    def test_an_error_is_read_back(self, port: AirflowPort) -> None:
        """A DAG of ours whose spec could not be built says why."""
        found = _served(port, BROKEN.dag_id)
        assert BROKEN.mark is not None
        assert (found.spec_hash, found.error) == (BROKEN.mark.spec_hash, BROKEN.mark.error)

    @pytest.mark.usefixtures("world")
    def test_a_dag_of_others_has_no_mark(self, port: AirflowPort) -> None:
        """A DAG without our mark has neither hash nor error."""
        found = _served(port, HELD.dag_id)
        assert (found.spec_hash, found.error) == (None, None)

    @pytest.mark.usefixtures("world")
    def test_the_next_run_is_told(self, port: AirflowPort) -> None:
        """A DAG with a schedule says when it fires next, in UTC; one without says nothing."""
        next_run = _served(port, BUILT.dag_id).next_run
        assert next_run is not None
        assert (next_run.tzinfo, next_run.hour, next_run.minute) == (UTC, 6, 0)
        assert _served(port, HELD.dag_id).next_run is None

    @pytest.mark.parametrize("limit", [3, 100])
    @pytest.mark.usefixtures("world")
    def test_dags_are_listed_page_by_page(self, port: AirflowPort, limit: int) -> None:
        """Each once, by id, with what is known of it without asking for its details; no page has more than was asked for."""
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
    def test_no_dag_is_listed_after_the_last(self, port: AirflowPort) -> None:
        """An empty page, which still tells how many there are."""
        page = port.list_dags(10_000)
        assert (list(page.dags), page.total >= len(COMMON)) == ([], True)

    def test_a_withdrawn_dag_is_not_listed(self, port: AirflowPort, world: World) -> None:
        """What is no longer served is not among them; a pause is told at once."""
        kept, gone = DagSeed(dag_id=new_id("contract")), DagSeed(dag_id=new_id("contract"))
        world.behind.serve(kept, gone)
        assert {kept.dag_id, gone.dag_id} <= set(_listed(port))
        world.behind.withdraw(gone.dag_id)
        world.eventually(lambda: gone.dag_id in _listed(port), lambda listed: not listed)
        for paused in (False, True):
            port.set_paused(kept.dag_id, paused=paused)
            assert _listed(port)[kept.dag_id].is_paused is paused

    def test_a_new_spec_is_served_after_a_parse(self, port: AirflowPort, world: World) -> None:
        """A spec that was added to a known file is served soon after the file's parse was asked for."""
        seed = DagSeed(dag_id=new_id("contract"), mark=ServedMark(spec_hash="00000000000000aa"), paused=False)
        spec_hash = world.behind.write(seed)
        port.request_parse(world.behind.sentinel)
        found = world.eventually(lambda: port.dag(seed.dag_id), lambda dag: dag is not None)
        assert found is not None
        assert (found.spec_hash, found.error, found.is_paused) == (spec_hash, None, False)

    def test_asking_for_a_parse_again_is_harmless(self, port: AirflowPort, world: World) -> None:
        """A file whose parse was asked for already may be asked for again, by several at once, too."""
        calls = [lambda: port.request_parse(world.behind.sentinel)] * 5
        assert together(calls) == [None] * 5

    def test_a_loader_that_is_not_installed_is_named(self, port: AirflowPort) -> None:
        """A sentinel that Airflow does not know is an error of its own."""
        with pytest.raises(LoaderNotInstalled, match="contract_no_sentinel"):
            port.request_parse("contract_no_sentinel")

    def test_pausing_and_unpausing(self, port: AirflowPort, world: World) -> None:
        """The pause state is what was asked for last, and asking for it again changes nothing."""
        seed = evolve(HELD, dag_id="contract_pausing")
        world.behind.serve(seed)
        for paused in (False, False, True, True):
            port.set_paused(seed.dag_id, paused=paused)
            assert world.behind.is_paused(seed.dag_id) is paused
            assert _served(port, seed.dag_id).is_paused is paused

    @pytest.mark.parametrize("dag_id", ["contract_never_written", "a/b"])
    def test_an_unknown_dag_cannot_be_paused(self, port: AirflowPort, dag_id: str) -> None:
        """Pausing what Airflow does not serve is an error."""
        with pytest.raises(DagNotFound):
            port.set_paused(dag_id, paused=True)

    def test_a_withdrawn_dag_is_gone_but_its_runs_are_not(self, port: AirflowPort, world: World) -> None:
        """A DAG that left its file is None, takes no run and no pause; its runs stay readable."""
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
