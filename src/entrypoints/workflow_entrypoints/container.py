"""The composition root: the one place that chooses and connects adapters, and the only one that imports
dependency_injector.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

from dependency_injector import containers, providers

from workflow_adapters.airflow import open_airflow
from workflow_adapters.airflow.breaker import BreakerRules, CircuitBreaker
from workflow_adapters.airflow.bulkhead import Bulkhead
from workflow_adapters.airflow.guarded import CallBudget, GuardedAirflow, guard_airflow
from workflow_adapters.clock import SystemClock
from workflow_adapters.sql import SqlDatabase, SqlTokens, make_engine
from workflow_adapters.storage import open_storage
from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.ports.airflow import AirflowPort
from workflow_core.ports.storage import StoragePort
from workflow_core.ports.tokens import TokenPort
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper
from workflow_core.usecases.context import Context
from workflow_entrypoints.observability.instrumentation import System, instrumented, instrumented_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Engine

    from workflow_core.ports.airflow import BreakerState
    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.database import Database
    from workflow_entrypoints.observability.instrumentation import Instrument
    from workflow_entrypoints.settings import Settings
    from workflow_entrypoints.settings.airflow import BreakerSettings
    from workflow_entrypoints.settings.database import DatabaseSettings
    from workflow_entrypoints.settings.storage import StorageSettings

    TraceHeaders = Callable[[], Mapping[str, str]]

_log = logging.getLogger(__name__)

T = TypeVar("T")


def _engine(settings: DatabaseSettings) -> Engine | None:
    if settings.database_url.startswith("memory:"):
        return None
    return make_engine(
        settings.database_url,
        pool_size=settings.database_connections,
        pool_timeout=settings.database_pool_timeout,
        connect_timeout=settings.database_connect_timeout,
        statement_timeout=settings.database_statement_timeout,
        lock_timeout=settings.database_lock_timeout,
    )


def _database(engine: Engine | None, instruments: Sequence[Instrument], closing: ExitStack) -> Database:
    database = _closed_later(InMemoryDatabase() if engine is None else SqlDatabase(engine), closing)
    return instrumented_database(database, instruments)


def _tokens(engine: Engine | None, instruments: Sequence[Instrument]) -> TokenPort:
    port = InMemoryTokens() if engine is None else SqlTokens(engine)
    return instrumented(port, TokenPort, System.DATABASE, instruments)


def _storage(settings: StorageSettings, instruments: Sequence[Instrument], closing: ExitStack) -> StoragePort:
    storage = open_storage(
        settings.storage,
        connect_timeout=settings.storage_connect_timeout,
        read_timeout=settings.storage_read_timeout,
        attempts=settings.storage_attempts,
    )
    return instrumented(_closed_later(storage, closing), StoragePort, System.STORAGE, instruments)


def _breaker(settings: BreakerSettings) -> CircuitBreaker:
    rules = BreakerRules(
        window=settings.breaker_window,
        minimum=settings.breaker_minimum,
        failure_rate=settings.breaker_failure_rate,
        slow_seconds=settings.breaker_slow_seconds,
        slow_rate=settings.breaker_slow_rate,
        open_seconds=settings.breaker_open_seconds,
        probes=settings.breaker_probes,
    )
    return CircuitBreaker(rules, on_change=_log_change)


def _log_change(before: BreakerState, after: BreakerState) -> None:
    _log.warning("the circuit breaker of Airflow was %s and is %s", before, after)


def _service(context: Callable[..., Context], airflow: AirflowPort) -> WorkflowService:
    return WorkflowService.over(context(airflow=airflow))


def _sweeper(context: Callable[..., Context], airflow: AirflowPort) -> Sweeper:
    return Sweeper(context(airflow=airflow))


class AirflowCaller(StrEnum):
    """A kind of caller of Airflow. Each has its own budget, so that none can take what the others need."""

    CHANGES = "changes"
    """Requests that change something, and programs that use the library."""
    READS = "reads"
    """Requests that only read, where no worker mirrors Airflow."""
    WORKER = "worker"


RESERVED: Final = 2
"""Concurrent requests to Airflow of the reads, and of the worker, which has two threads."""


def _budget(settings: Settings, caller: AirflowCaller) -> CallBudget:
    if caller is AirflowCaller.READS:  # where they cannot ask, they soon return the last known state
        patience = settings.airflow_look_timeout
        bulkhead = Bulkhead(RESERVED, waiting=4 * RESERVED, patience=patience / 2)
        return CallBudget(bulkhead=bulkhead, seconds=patience, attempts=1, judges=False)
    at_once, waiting = RESERVED, RESERVED
    if caller is AirflowCaller.CHANGES:
        at_once = min(settings.airflow_connections, settings.changes_at_once)
        waiting = settings.changes_at_once - at_once
    bulkhead = Bulkhead(at_once, waiting=waiting, patience=settings.airflow_connect_timeout)
    return CallBudget(bulkhead=bulkhead, seconds=settings.airflow_total_timeout, attempts=settings.airflow_attempts)


def _guarded(
    airflow: AirflowPort, breaker: CircuitBreaker, settings: Settings, caller: AirflowCaller
) -> GuardedAirflow:
    return guard_airflow(airflow, breaker, _budget(settings, caller))


def _airflow(  # noqa: PLR0913, PLR0917 - its parts; the container passes them in this order
    settings: Settings,
    storage: StoragePort,
    clock: ClockPort,
    instruments: Sequence[Instrument],
    trace_headers: TraceHeaders,
    closing: ExitStack,
) -> AirflowPort:
    """Return the Airflow behind the guards. It is instrumented there: each attempt is a call, and a refusal by the
    breaker is not.
    """
    airflow = _closed_later(_open_airflow(settings, storage, clock, trace_headers), closing)
    return instrumented(airflow, AirflowPort, System.AIRFLOW, instruments)


def _closed_later(port: T, closing: ExitStack) -> T:
    if isinstance(port, Closable):
        closing.callback(port.close)
    return port


def _open_airflow(
    settings: Settings, storage: StoragePort, clock: ClockPort, trace_headers: TraceHeaders
) -> AirflowPort:
    if settings.airflow_api == "memory":
        return InMemoryAirflow(storage=storage, clock=clock, loaders=settings.loaders, rules=settings.rules)
    return open_airflow(
        settings.airflow_base_url,
        api=settings.airflow_api,
        username=settings.airflow_username,
        password=settings.airflow_password.get_secret_value(),
        token=settings.airflow_token.get_secret_value() if settings.airflow_token else None,
        headers=settings.headers,
        connect_timeout=settings.airflow_connect_timeout,
        read_timeout=settings.airflow_read_timeout,
        total_timeout=settings.airflow_total_timeout,
        connections=settings.airflow_connections + 2 * RESERVED,
        trace_headers=trace_headers,
    )


class Container(containers.DeclarativeContainer):
    """The object graph of one process: each object is created once, when it is first requested.

    Each provider receives the settings and takes one group of them, or more where it needs them.
    """

    settings: providers.Dependency[Settings] = providers.Dependency()
    instruments: providers.Dependency[Sequence[Instrument]] = providers.Dependency()
    trace_headers: providers.Dependency[TraceHeaders] = providers.Dependency()
    closing: providers.Provider[ExitStack] = providers.Singleton(ExitStack)
    clock: providers.Provider[ClockPort] = providers.Singleton(SystemClock)
    engine: providers.Provider[Engine | None] = providers.Singleton(_engine, settings)
    database: providers.Provider[Database] = providers.Singleton(_database, engine, instruments, closing)
    tokens: providers.Provider[TokenPort] = providers.Singleton(_tokens, engine, instruments)
    storage: providers.Provider[StoragePort] = providers.Singleton(_storage, settings, instruments, closing)
    breaker: providers.Provider[CircuitBreaker] = providers.Singleton(_breaker, settings)
    unguarded: providers.Provider[AirflowPort] = providers.Singleton(
        _airflow, settings, storage, clock, instruments, trace_headers, closing
    )
    airflow: providers.Provider[GuardedAirflow] = providers.Singleton(
        _guarded, unguarded, breaker, settings, AirflowCaller.CHANGES
    )
    airflow_for_reads: providers.Provider[GuardedAirflow] = providers.Singleton(
        _guarded, unguarded, breaker, settings, AirflowCaller.READS
    )
    airflow_for_worker: providers.Provider[GuardedAirflow] = providers.Singleton(
        _guarded, unguarded, breaker, settings, AirflowCaller.WORKER
    )
    context: providers.Factory[Context] = providers.Factory(
        Context, db=database, storage=storage, clock=clock, policy=settings.provided.policy
    )
    service: providers.Provider[WorkflowService] = providers.Singleton(_service, context.provider, airflow)
    reads: providers.Provider[WorkflowService] = providers.Singleton(_service, context.provider, airflow_for_reads)
    sweeper: providers.Provider[Sweeper] = providers.Singleton(_sweeper, context.provider, airflow_for_worker)


def build(settings: Settings, instruments: Sequence[Instrument] = (), trace_headers: TraceHeaders = dict) -> Container:
    """Return the container for these settings. Nothing is opened yet.

    Args:
        settings: which adapters to use, and how.
        instruments: observe every call of a port.
        trace_headers: returns headers for a request to Airflow, called for each.
    """
    return Container(settings=settings, instruments=tuple(instruments), trace_headers=providers.Object(trace_headers))


def close(container: Container) -> None:
    """Close the connections of the adapters that this container has created. It creates none for that."""
    container.closing().close()


@contextmanager
def open_service(settings: Settings) -> Iterator[WorkflowService]:
    """Open the service over the adapters that the settings name, for embedding programs; its connections are closed at
    the end.
    """
    container = build(settings)
    try:
        yield container.service()
    finally:
        close(container)


@runtime_checkable
class Closable(Protocol):
    """An adapter that holds connections."""

    def close(self) -> None:
        """Close them."""
