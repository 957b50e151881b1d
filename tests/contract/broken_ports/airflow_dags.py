"""The DAGs that Airflow serves, each time with one rule broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from workflow_core.errors import AirflowRefused, AirflowUnavailable
from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.ports.airflow import ComponentState, DagPage, ListedDag, ServedDag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workflow_core.fakes.airflow_dags import FakeDag


LOADERS = 4
"""How many loader files the Airflow in memory has in this suite."""


class PingForbidden(InMemoryAirflow):
    def ping(self) -> None:
        msg = "no"
        raise AirflowUnavailable(msg)


class PingNeverFails(InMemoryAirflow):
    def ping(self) -> None:
        """Report success even while Airflow is away."""


class HealthLeavesAPartOut(InMemoryAirflow):
    def health(self) -> Mapping[str, ComponentState]:
        return {name: state for name, state in super().health().items() if name != "dag_processor"}


class HealthNeverFails(InMemoryAirflow):
    def health(self) -> Mapping[str, ComponentState]:
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return dict.fromkeys(parts, ComponentState.HEALTHY)


class UnknownDagRaises(InMemoryAirflow):
    def dag(self, dag_id: str) -> ServedDag | None:
        with self._reached():
            return self._seen_dag(self._require_dag(dag_id))


class HashIsForgotten(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), spec_hash=None)


class ErrorIsForgotten(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), error=None)


class EveryDagIsOurs(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        served = super()._seen_dag(dag)
        return evolve(served, spec_hash=served.spec_hash or "0000000000000000")


class NextRunIsForgotten(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), next_run=None)


class PauseStateIsInverted(InMemoryAirflow):
    def _seen_dag(self, dag: FakeDag) -> ServedDag:
        return evolve(super()._seen_dag(dag), is_paused=not dag.is_paused)


class OnePageOfDags(InMemoryAirflow):
    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        page = super().list_dags(0, limit=limit)
        return page if offset == 0 else evolve(page, dags=[], total=len(page.dags))


class PagesAreLargerThanAskedFor(InMemoryAirflow):
    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        return super().list_dags(offset)


class TotalIsThatOfThePage(InMemoryAirflow):
    def list_dags(self, offset: int = 0, *, limit: int = 100) -> DagPage:
        page = super().list_dags(offset, limit=limit)
        return evolve(page, total=len(page.dags))


class ListedPauseIsInverted(InMemoryAirflow):
    def _listed_dag(self, dag: ServedDag) -> ListedDag:
        return evolve(super()._listed_dag(dag), is_paused=not dag.is_paused)


class ListedNextRunIsForgotten(InMemoryAirflow):
    def _listed_dag(self, dag: ServedDag) -> ListedDag:
        return evolve(super()._listed_dag(dag), next_run=None)


class EveryImportIsBroken(InMemoryAirflow):
    def _listed_dag(self, dag: ServedDag) -> ListedDag:
        return evolve(super()._listed_dag(dag), has_import_errors=True)


class WithdrawnDagsAreListed(InMemoryAirflow):
    _ever: tuple[ListedDag, ...] = ()

    def _listed(self) -> list[ListedDag]:
        now = super()._listed()
        served = {dag.dag_id for dag in now}
        self._ever = (*now, *(dag for dag in self._ever if dag.dag_id not in served))
        return list(self._ever)


class NothingIsParsed(InMemoryAirflow):
    def _read_specs(self, index: int) -> dict[str, FakeDag]:
        return {}


class AnotherFileIsParsed(InMemoryAirflow):
    def _loader_of(self, sentinel: str) -> int:
        return (super()._loader_of(sentinel) + 1) % LOADERS


class UnknownSentinelIsParsed(InMemoryAirflow):
    def _loader_of(self, sentinel: str) -> int:
        return self._sentinels.get(sentinel, 0)


class SecondParseIsRefused(InMemoryAirflow):
    _asked = False

    def request_parse(self, sentinel_dag_id: str) -> None:
        super().request_parse(sentinel_dag_id)
        if self._asked:
            msg = "already requested"
            raise AirflowRefused(msg)
        self._asked = True
