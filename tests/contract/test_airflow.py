"""The contract of ``AirflowPort``, held against the fake and against real Airflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from adapters.airflow import AirflowV1, AirflowV2
from devstack.ports import free_ports
from tests.contract.airflow_behind import BehindFake, BehindServer, losing_answers
from workflow_core.fakes.airflow import Effect, InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.testing.airflow import AirflowContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from adapters.airflow.rest import AirflowRest
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
def once() -> Iterator[Callable[..., Any]]:
    """Makes a thing once for all tests, as a service has one client with its connections, and closes it at the end."""
    made: dict[Any, Any] = {}

    def make(kind: Callable[..., Any], *settings: Any) -> Any:
        key = (kind, *map(str, settings))
        if key not in made:
            made[key] = kind(*settings)
        return made[key]

    yield make
    for one in made.values():
        one.close()


class _OnServer(AirflowContract):
    """An adapter on a real Airflow, one for all tests. ``airflow`` is to be given."""

    adapter: type[AirflowRest]

    @classmethod
    def made(cls, base_url: str, password: str) -> AirflowRest:
        """The adapter, following changes more closely than by default, so that tests wait less."""
        return cls.adapter(base_url, username="admin", password=password, overlap=1.0)

    @pytest.fixture
    def running(self) -> AirflowForTests:
        """The Airflow."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self, running: AirflowForTests, once: Callable[..., Any]) -> BehindServer:
        behind: BehindServer = once(BehindServer, running.server, running.contract)
        return behind

    @pytest.fixture
    def port(self, running: AirflowForTests, once: Callable[..., Any]) -> AirflowRest:
        port: AirflowRest = once(self.made, running.server.base_url, running.server.password)
        return port

    @pytest.fixture
    def unreachable(self) -> Iterator[AirflowRest]:
        [port] = free_ports(1)
        away = self.made(f"http://127.0.0.1:{port}", "any")
        yield away
        away.close()

    @pytest.fixture
    def locked_out(self, running: AirflowForTests) -> Iterator[AirflowRest]:
        stranger = self.made(running.server.base_url, "wrong")
        yield stranger
        stranger.close()

    @pytest.fixture
    def deaf(self, running: AirflowForTests) -> Iterator[AirflowRest]:
        with losing_answers(running.server.base_url) as address:
            deaf = self.made(address, running.server.password)
            yield deaf
            deaf.close()


class TestAirflowV2(_OnServer):
    """Airflow 3.3.2."""

    adapter = AirflowV2

    @pytest.fixture
    def running(self, airflow: AirflowForTests) -> AirflowForTests:
        return airflow


class TestAirflowV1(_OnServer):
    """Airflow 2.11.2."""

    adapter = AirflowV1
    dates_are_optional = False
    people_are_told = False

    @pytest.fixture
    def running(self, airflow_2: AirflowForTests) -> AirflowForTests:
        return airflow_2
