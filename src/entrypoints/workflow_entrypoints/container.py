"""The one place where adapters are chosen and put together, and the only one that imports dependency_injector."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, runtime_checkable

from dependency_injector import containers, providers

from workflow_adapters.airflow import open_airflow
from workflow_adapters.airflow.breaker import BreakerRules, CircuitBreaker
from workflow_adapters.airflow.bulkhead import Bulkhead
from workflow_adapters.airflow.guarded import CallBudget, GuardedAirflow
from workflow_adapters.clock import SystemClock
from workflow_adapters.sql import SqlTokens, SqlWorkflows, make_engine
from workflow_adapters.storage import open_storage
from workflow_core.fakes.airflow import InMemoryAirflow
from workflow_core.fakes.tokens import InMemoryTokens
from workflow_core.fakes.workflow import InMemoryWorkflows
from workflow_core.ports.airflow import AirflowPort
from workflow_core.ports.storage import StoragePort
from workflow_core.ports.tokens import TokenPort
from workflow_core.ports.workflow import WorkflowPort
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper
from workflow_core.usecases.context import Context
from workflow_entrypoints.observability.instrumentation import System, instrumented

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Engine

    from workflow_core.ports.airflow import BreakerState
    from workflow_core.ports.clock import ClockPort
    from workflow_entrypoints.observability.instrumentation import Instrument
    from workflow_entrypoints.settings import Settings

    TraceHeaders = Callable[[], Mapping[str, str]]

_log = logging.getLogger(__name__)

T = TypeVar("T")


def _engine(settings: Settings) -> Engine | None:
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


def _workflows(engine: Engine | None, watches: Sequence[Instrument], closing: ExitStack) -> WorkflowPort:
    port = _closed_later(InMemoryWorkflows() if engine is None else SqlWorkflows(engine), closing)
    return instrumented(port, WorkflowPort, System.DATABASE, watches)


def _tokens(engine: Engine | None, watches: Sequence[Instrument]) -> TokenPort:
    port = InMemoryTokens() if engine is None else SqlTokens(engine)
    return instrumented(port, TokenPort, System.DATABASE, watches)


def _storage(settings: Settings, watches: Sequence[Instrument], closing: ExitStack) -> StoragePort:
    storage = open_storage(
        settings.storage,
        connect_timeout=settings.storage_connect_timeout,
        read_timeout=settings.storage_read_timeout,
        attempts=settings.storage_attempts,
    )
    return instrumented(_closed_later(storage, closing), StoragePort, System.STORAGE, watches)


def _breaker(settings: Settings) -> CircuitBreaker:
    rules = BreakerRules(
        window=settings.breaker_window,
        minimum=settings.breaker_minimum,
        failure_rate=settings.breaker_failure_rate,
        slow_seconds=settings.breaker_slow_seconds,
        slow_rate=settings.breaker_slow_rate,
        open_seconds=settings.breaker_open_seconds,
        probes=settings.breaker_probes,
    )
    return CircuitBreaker(rules, on_change=_tell_change)


def _tell_change(before: BreakerState, after: BreakerState) -> None:
    _log.warning("the circuit breaker of Airflow was %s and is %s", before, after)


def _share(settings: Settings, caller: Asking) -> CallBudget:
    if caller is Asking.READS:  # soon answered as last seen where they cannot ask
        patience = settings.airflow_look_timeout
        bulkhead = Bulkhead(BESIDE, waiting=4 * BESIDE, patience=patience / 2)
        return CallBudget(bulkhead=bulkhead, seconds=patience, attempts=1, judges=False)
    at_once, waiting = BESIDE, BESIDE
    if caller is Asking.CHANGES:
        at_once = min(settings.airflow_connections, settings.changes_at_once)
        waiting = settings.changes_at_once - at_once
    bulkhead = Bulkhead(at_once, waiting=waiting, patience=settings.airflow_connect_timeout)
    return CallBudget(bulkhead=bulkhead, seconds=settings.airflow_total_timeout, attempts=settings.airflow_attempts)


def _guarded(asked: AirflowPort, breaker: CircuitBreaker, settings: Settings, caller: Asking) -> AirflowPort:
    return GuardedAirflow(asked, breaker, _share(settings, caller))


def _airflow(  # noqa: PLR0913, PLR0917 - what it is put together from; the container gives them in this order
    settings: Settings,
    storage: StoragePort,
    clock: ClockPort,
    watches: Sequence[Instrument],
    trace_headers: TraceHeaders,
    closing: ExitStack,
) -> AirflowPort:
    """Watched within the guard: each attempt is a call, and a refusal by the breaker is none."""
    airflow = _closed_later(_open_airflow(settings, storage, clock, trace_headers), closing)
    return instrumented(airflow, AirflowPort, System.AIRFLOW, watches)


def _closed_later(port: T, closing: ExitStack) -> T:
    if isinstance(port, Closable):
        closing.callback(port.close)
    return port


def _open_airflow(
    settings: Settings, storage: StoragePort, clock: ClockPort, trace_headers: TraceHeaders
) -> AirflowPort:
    if settings.airflow_api == "memory":
        return InMemoryAirflow(storage=storage, clock=clock, loaders=settings.loaders, rules=settings.policy.rules)
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
        connections=settings.airflow_connections + 2 * BESIDE,
        trace_headers=trace_headers,
    )


def _service(context: Callable[..., Context], airflow: AirflowPort) -> WorkflowService:
    return WorkflowService.over(context(airflow=airflow))


def _sweeper(context: Callable[..., Context], airflow: AirflowPort) -> Sweeper:
    return Sweeper(context(airflow=airflow))


class Asking(StrEnum):
    """Who asks Airflow. Each has a share of its own, so that none can take what the others need."""

    CHANGES = "changes"
    """Requests that change something, and programs that use the library."""
    READS = "reads"
    """Requests that only read, where no worker follows Airflow."""
    WORKER = "worker"


BESIDE: Final = 2
"""Requests to Airflow that reads, and the worker, may have under way: the worker has two threads."""


class Container(containers.DeclarativeContainer):
    """The object graph of one process: everything is made once, when it is first asked for."""

    settings: providers.Dependency[Settings] = providers.Dependency()
    watches: providers.Dependency[Sequence[Instrument]] = providers.Dependency()
    trace_headers: providers.Dependency[TraceHeaders] = providers.Dependency()
    closing: providers.Provider[ExitStack] = providers.Singleton(ExitStack)
    clock: providers.Provider[ClockPort] = providers.Singleton(SystemClock)
    engine: providers.Provider[Engine | None] = providers.Singleton(_engine, settings)
    workflows: providers.Provider[WorkflowPort] = providers.Singleton(_workflows, engine, watches, closing)
    tokens: providers.Provider[TokenPort] = providers.Singleton(_tokens, engine, watches)
    storage: providers.Provider[StoragePort] = providers.Singleton(_storage, settings, watches, closing)
    breaker: providers.Provider[CircuitBreaker] = providers.Singleton(_breaker, settings)
    asked: providers.Provider[AirflowPort] = providers.Singleton(
        _airflow, settings, storage, clock, watches, trace_headers, closing
    )
    airflow: providers.Provider[AirflowPort] = providers.Singleton(_guarded, asked, breaker, settings, Asking.CHANGES)
    airflow_for_reads: providers.Provider[AirflowPort] = providers.Singleton(
        _guarded, asked, breaker, settings, Asking.READS
    )
    airflow_for_worker: providers.Provider[AirflowPort] = providers.Singleton(
        _guarded, asked, breaker, settings, Asking.WORKER
    )
    context: providers.Factory[Context] = providers.Factory(
        Context, workflows=workflows, storage=storage, clock=clock, policy=settings.provided.policy
    )
    service: providers.Provider[WorkflowService] = providers.Singleton(_service, context.provider, airflow)
    reads: providers.Provider[WorkflowService] = providers.Singleton(_service, context.provider, airflow_for_reads)
    sweeper: providers.Provider[Sweeper] = providers.Singleton(_sweeper, context.provider, airflow_for_worker)


def build(settings: Settings, watches: Sequence[Instrument] = (), trace_headers: TraceHeaders = dict) -> Container:
    """The container for these settings. Nothing is opened yet.

    ``watches`` are told of every call of a port; ``trace_headers`` are asked for at every request to Airflow.
    """
    return Container(settings=settings, watches=tuple(watches), trace_headers=providers.Object(trace_headers))


def close(container: Container) -> None:
    """Close the connections of what this container has made; what it has not made, or could not make, is not opened for that."""
    container.closing().close()


@contextmanager
def open_service(settings: Settings) -> Iterator[WorkflowService]:
    """The service over the adapters that the settings name: what embedding programs use. Its connections are closed at the end."""
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
