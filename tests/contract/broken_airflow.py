"""The Airflow in memory, each time with one rule of the port broken; ``test_suites.py`` runs the suite against each."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tests.contract.airflow_behind import BehindFake
from tests.contract.broken_ports import (
    airflow_dags,
    airflow_pauses,
    airflow_retries,
    airflow_runs,
    airflow_stops,
    airflow_triggers,
)
from tests.contract.broken_ports.airflow_dags import LOADERS
from workflow_core.fakes.airflow import Effect, InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.testing.airflow import AirflowContract

MODULES = (airflow_dags, airflow_pauses, airflow_triggers, airflow_stops, airflow_retries, airflow_runs)
BROKEN: list[type[InMemoryAirflow]] = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, InMemoryAirflow) and kind is not InMemoryAirflow
]


class TestBroken(AirflowContract):
    """The suite; ``until_red.py`` runs it against each of ``kinds`` in turn."""

    kinds: ClassVar[list[type[InMemoryAirflow]]] = [InMemoryAirflow, *BROKEN]
    kind: type[InMemoryAirflow]

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def port(self, storage: InMemoryStorage, clock: ManualClock) -> InMemoryAirflow:
        return self.kind(storage=storage, clock=clock, loaders=LOADERS)

    @pytest.fixture
    def behind(self, port: InMemoryAirflow, storage: InMemoryStorage, clock: ManualClock) -> BehindFake:
        return BehindFake(port, storage, clock, loaders=LOADERS)

    @pytest.fixture
    def unreachable(self, port: InMemoryAirflow) -> InMemoryAirflow:
        port.go_down()
        return port

    @pytest.fixture
    def locked_out(self, port: InMemoryAirflow) -> InMemoryAirflow:
        port.go_down()
        return port

    @pytest.fixture
    def deaf(self, port: InMemoryAirflow) -> InMemoryAirflow:
        port.lose_answers(Effect.DONE)
        return port
