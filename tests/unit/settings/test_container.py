"""What the settings say is what the adapters are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from workflow_adapters.airflow.breaker import BreakerRules
from workflow_adapters.sql.engine import make_engine as real_make_engine
from workflow_core.errors import ConfigurationError
from workflow_core.ports.airflow import BreakerState
from workflow_entrypoints import container as composition
from workflow_entrypoints.container import Container, build, close
from workflow_entrypoints.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from workflow_adapters.airflow.guarded import Guard


def built(**environment: str) -> Container:
    return build(
        load_settings({"WORKFLOWS_DATABASE_URL": "memory://", "WORKFLOWS_STORAGE_URL": "memory://", **environment})
    )


def guard_of(port: Any) -> Guard:
    """The guard behind a port."""
    guard: Guard = port.breaker_state.__self__
    return guard


def test_every_wait_for_the_database_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The waits are for a free connection, a new one, a statement, and the transaction of another session."""
    given: dict[str, Any] = {}

    def make_engine(url: str, **options: Any) -> Any:
        given.update(options)
        return real_make_engine(url, **options)

    monkeypatch.setattr(composition, "make_engine", make_engine)
    built(
        WORKFLOWS_DATABASE_URL=f"sqlite:///{tmp_path / 'db'}",
        WORKFLOWS_DATABASE_CONNECTIONS="3",
        WORKFLOWS_DATABASE_POOL_TIMEOUT="1.5",
        WORKFLOWS_DATABASE_CONNECT_TIMEOUT="2",
        WORKFLOWS_DATABASE_STATEMENT_TIMEOUT="4.5",
        WORKFLOWS_DATABASE_LOCK_TIMEOUT="5.5",
    ).database()
    assert given == {
        "pool_size": 3,
        "pool_timeout": 1.5,
        "connect_timeout": 2.0,
        "statement_timeout": 4.5,
        "lock_timeout": 5.5,
    }


def test_every_wait_for_s3_is_a_setting() -> None:
    """For a connection, and for bytes; and how often a request is made."""
    storage: Any = built(
        WORKFLOWS_STORAGE_URL="s3://bucket",
        WORKFLOWS_STORAGE_CONNECT_TIMEOUT="1.5",
        WORKFLOWS_STORAGE_READ_TIMEOUT="2.5",
        WORKFLOWS_STORAGE_ATTEMPTS="4",
    ).storage()
    config = storage._client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1.5, 2.5)
    assert config.retries["total_max_attempts"] == 4


def test_the_breaker_has_the_rules_of_the_settings() -> None:
    """Each of its rules is one."""
    breaker = built(
        AIRFLOW_BREAKER_WINDOW="7",
        AIRFLOW_BREAKER_MINIMUM="3",
        AIRFLOW_BREAKER_FAILURE_RATE="0.25",
        AIRFLOW_BREAKER_SLOW_SECONDS="1.5",
        AIRFLOW_BREAKER_SLOW_RATE="0.75",
        AIRFLOW_BREAKER_OPEN_SECONDS="2.5",
        AIRFLOW_BREAKER_PROBES="2",
    ).breaker()
    assert breaker._rules == BreakerRules(
        window=7, minimum=3, failure_rate=0.25, slow_seconds=1.5, slow_rate=0.75, open_seconds=2.5, probes=2
    )


def test_the_defaults_are_those_of_the_rules() -> None:
    """A program that constructs a breaker gets the rules of the service."""
    assert built().breaker()._rules == BreakerRules()


@pytest.mark.parametrize(
    ("threads", "connections", "at_once", "waiting"), [(40, 8, 8, 12), (10, 8, 5, 0), (2, 8, 1, 0), (40, 20, 20, 0)]
)
def test_changes_never_have_more_than_half_of_the_threads(
    threads: int, connections: int, at_once: int, waiting: int
) -> None:
    """Those that ask Airflow and those that wait to ask it together."""
    container = built(WORKFLOWS_THREADS=str(threads), AIRFLOW_CONNECTIONS=str(connections))
    bulkhead = guard_of(container.airflow()).budget.bulkhead
    assert (bulkhead._places._value, bulkhead._line._value) == (at_once, waiting)
    assert container.settings().changes_at_once == threads // 2


def test_each_kind_of_caller_has_a_share_of_its_own_and_all_have_one_breaker() -> None:
    """A connection for every place there is, so that none waits for one; and what one of them finds out, all know."""
    container = built(AIRFLOW_BASE_URL="http://127.0.0.1:1", WORKFLOWS_AIRFLOW_API="v2", AIRFLOW_LOOK_TIMEOUT="0.25")
    ports = [container.airflow(), container.airflow_for_reads(), container.airflow_for_worker()]
    guards = [guard_of(port) for port in ports]
    places = [guard.budget.bulkhead._places._value for guard in guards]
    adapter: Any = guards[0].airflow
    pool = adapter._client._http._transport._pool
    assert places == [8, 2, 2]
    assert pool._max_connections == sum(places)
    assert {guard.budget.seconds for guard in guards} == {15.0, 0.25}
    assert {id(guard.breaker) for guard in guards} == {id(container.breaker())}
    assert {id(guard.airflow) for guard in guards} == {id(container.unguarded())}
    assert container.service().breaker_state() is BreakerState.CLOSED
    close(container)


def test_closing_opens_nothing():
    """An adapter that was never made, or could not be, is not made in order to be closed."""
    container = build(Settings(storage_url="gs://x", database_url="memory://", airflow_api="memory"))
    with pytest.raises(ConfigurationError):
        container.storage()
    close(container)


def test_each_resource_is_closed_once():
    """This does not depend on the order of creation."""
    container = build(Settings(storage_url="memory://", database_url="sqlite://", airflow_api="v2"))
    closed: list[str] = []
    container.unguarded()
    container.closing().callback(closed.append, "x")
    close(container)
    close(container)
    assert closed == ["x"]
