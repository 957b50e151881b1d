"""The contract of ``AirflowPort``, held against the fake and against a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adapters.airflow import AirflowV2
from devstack.ports import free_ports
from tests.contract.airflow_behind import BehindFake, BehindServer, losing_answers
from workflow_core.fakes.airflow import Effect, InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.testing.airflow import AirflowContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import AirflowForTests

LOADERS = 4


class TestInMemoryAirflow(AirflowContract):
    """The fake, a fresh one for each test."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def port(self, storage: InMemoryStorage, clock: ManualClock) -> InMemoryAirflow:
        return InMemoryAirflow(storage=storage, clock=clock, loaders=LOADERS)

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


@pytest.fixture(scope="session")
def behind_airflow(airflow: AirflowForTests) -> Iterator[BehindServer]:
    """The contract's DAGs are served once for all tests."""
    behind = BehindServer(airflow.server, airflow.contract)
    yield behind
    behind.close()


@pytest.fixture(scope="session")
def airflow_v2(airflow: AirflowForTests) -> Iterator[AirflowV2]:
    """One client with its connections for all tests, as a service has it."""
    port = made(airflow.server.base_url, airflow.server.password)
    yield port
    port.close()


def made(base_url: str, password: str) -> AirflowV2:
    """The adapter, following changes more closely than by default, so that tests wait less."""
    return AirflowV2(base_url, username="admin", password=password, overlap=1.0)


class TestAirflowV2(AirflowContract):
    """A real Airflow 3, one for all tests."""

    @pytest.fixture
    def port(self, airflow_v2: AirflowV2) -> AirflowV2:
        return airflow_v2

    @pytest.fixture
    def behind(self, behind_airflow: BehindServer) -> BehindServer:
        return behind_airflow

    @pytest.fixture
    def unreachable(self) -> Iterator[AirflowV2]:
        [port] = free_ports(1)
        away = made(f"http://127.0.0.1:{port}", "any")
        yield away
        away.close()

    @pytest.fixture
    def locked_out(self, airflow: AirflowForTests) -> Iterator[AirflowV2]:
        stranger = made(airflow.server.base_url, "wrong")
        yield stranger
        stranger.close()

    @pytest.fixture
    def deaf(self, airflow: AirflowForTests, behind: BehindServer) -> Iterator[AirflowV2]:
        with losing_answers(airflow.server.base_url) as address:
            deaf = made(address, airflow.server.password)
            yield deaf
            deaf.close()
