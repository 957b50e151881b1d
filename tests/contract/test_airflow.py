"""The contract of ``AirflowPort``, verified for the fake and for real Airflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstack.ports import free_ports
from tests.contract.airflow_behind import BehindFake, BehindServer, in_front_of
from workflow_adapters.airflow import AirflowV1, AirflowV2, open_airflow
from workflow_adapters.airflow.breaker import CircuitBreaker
from workflow_adapters.airflow.bulkhead import Bulkhead
from workflow_adapters.airflow.guarded import CallBudget, GuardedAirflow, guard_airflow
from workflow_core.fakes.airflow import Effect, InMemoryAirflow
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.testing.airflow import AirflowContract

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import AirflowForTests
    from workflow_adapters.airflow.rest import AirflowRest
    from workflow_core.ports.airflow import AirflowPort

LOADERS = 4


class TestInMemoryAirflow(AirflowContract):
    """The fake, new for each test."""

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


def guarded(airflow: AirflowPort) -> GuardedAirflow:
    """An Airflow behind a breaker, a bulkhead and retries."""
    return guard_airflow(
        airflow, CircuitBreaker(), CallBudget(bulkhead=Bulkhead(8, waiting=8, patience=2.0), seconds=15.0)
    )


class TestGuardedFake(TestInMemoryAirflow):
    """The fake behind the guard, which must preserve every rule of the port."""

    @pytest.fixture
    def fake(self, storage: InMemoryStorage, clock: ManualClock) -> InMemoryAirflow:
        return InMemoryAirflow(storage=storage, clock=clock, loaders=LOADERS)

    @pytest.fixture
    def port(self, fake: InMemoryAirflow) -> GuardedAirflow:
        return guarded(fake)

    @pytest.fixture
    def behind(self, fake: InMemoryAirflow, storage: InMemoryStorage, clock: ManualClock) -> BehindFake:
        return BehindFake(fake, storage, clock, loaders=LOADERS)

    @pytest.fixture
    def unreachable(self, fake: InMemoryAirflow) -> GuardedAirflow:
        fake.go_down()
        return guarded(fake)

    @pytest.fixture
    def locked_out(self, fake: InMemoryAirflow) -> GuardedAirflow:
        fake.go_down()
        return guarded(fake)

    @pytest.fixture
    def deaf(self, fake: InMemoryAirflow) -> GuardedAirflow:
        fake.lose_answers(Effect.DONE)
        return guarded(fake)


@pytest.fixture(scope="session")
def shared() -> Iterator[Callable[..., Any]]:
    """Creates an object once for all tests, as a service shares one client, and closes it at the end."""
    objects: dict[Any, Any] = {}

    def make(kind: Callable[..., Any], *settings: Any) -> Any:
        key = (kind, *map(str, settings))
        if key not in objects:
            objects[key] = kind(*settings)
        return objects[key]

    yield make
    for item in objects.values():
        item.close()


class _OnServer(AirflowContract):
    """An adapter on a real Airflow, which all tests share. A subclass overrides ``running``."""

    adapter: type[AirflowRest]

    @classmethod
    def connect(cls, base_url: str, password: str) -> GuardedAirflow:
        """The adapter behind its guard, as in a service, with a shorter overlap of changes, so that tests wait less."""
        return guarded(cls.adapter(base_url, username="admin", password=password, overlap=1.0))

    @pytest.fixture
    def running(self) -> AirflowForTests:
        """The running Airflow."""
        raise NotImplementedError

    @pytest.fixture
    def behind(self, running: AirflowForTests, shared: Callable[..., Any]) -> BehindServer:
        behind: BehindServer = shared(BehindServer, running.server, running.contract)
        return behind

    @pytest.fixture
    def port(self, running: AirflowForTests, shared: Callable[..., Any]) -> GuardedAirflow:
        port: GuardedAirflow = shared(self.connect, running.server.base_url, running.server.password)
        return port

    @pytest.fixture
    def unreachable(self) -> Iterator[GuardedAirflow]:
        [port] = free_ports(1)
        away = self.connect(f"http://127.0.0.1:{port}", "any")
        yield away
        away.close()

    @pytest.fixture
    def locked_out(self, running: AirflowForTests) -> Iterator[GuardedAirflow]:
        stranger = self.connect(running.server.base_url, "wrong")
        yield stranger
        stranger.close()

    @pytest.fixture
    def deaf(self, running: AirflowForTests) -> Iterator[GuardedAirflow]:
        with in_front_of(lambda: running.server.base_url, lose_answers=True) as address:
            deaf = self.connect(address, running.server.password)
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
    users_are_reported = False

    @pytest.fixture
    def running(self, airflow_2: AirflowForTests) -> AirflowForTests:
        return airflow_2


def test_the_version_is_detected(airflow: AirflowForTests, airflow_2: AirflowForTests) -> None:
    """An address and a password are sufficient for either version of Airflow."""
    for running, page in ((airflow, "/runs/run"), (airflow_2, "/grid?dag_run_id=run")):
        port = open_airflow(running.server.base_url, username="admin", password=running.server.password)
        port.ping()
        assert port.dag("contract_never_written") is None
        assert port.logs_url("a_b", "run").endswith(page)
        port.close()


@pytest.mark.parametrize("upwards", [True, False], ids=["upgraded", "downgraded"])
def test_a_change_of_version_is_detected(
    airflow: AirflowForTests, airflow_2: AirflowForTests, *, upwards: bool
) -> None:
    """After an upgrade or downgrade of Airflow at the same address, the next call detects the new version."""
    older, newer = airflow_2.server, airflow.server
    servers = [older, newer] if upwards else [newer, older]
    # An upgrade keeps its users; these two servers have different passwords.
    headers = {server.base_url: dict(server.headers()) for server in servers}
    with in_front_of(lambda: servers[0].base_url, headers=lambda: headers[servers[0].base_url]) as address:
        port = open_airflow(address, username="admin", password="any", token="any")
        first = port.health()
        assert port.dag("contract_never_written") is None
        del servers[0]
        assert port.dag("contract_never_written") is None
        assert port.health() == first
        assert ("/grid" in port.logs_url("a_b", "run")) is not upwards
        port.close()
