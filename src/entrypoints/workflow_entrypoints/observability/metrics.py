"""Metrics for Prometheus: standard names, base units, and label values of low cardinality.

Names of workflows, run ids and paths are never labels: their number is unbounded, and each would be a separate series.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from workflow_core.errors import WorkflowError
from workflow_entrypoints.observability.instrumentation import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from workflow_core.ports.clock import ClockPort
    from workflow_core.ports.database import Database

_log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "text/plain; version=0.0.4"
"""Litestar adds the charset."""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The buckets of every duration."""

_CALLS: Final[Mapping[System, tuple[str, str]]] = {
    System.AIRFLOW: (
        "airflow_client_request_duration_seconds",
        "Calls of Airflow; one call may be several HTTP requests.",
    ),
    System.DATABASE: (
        "database_client_operation_duration_seconds",
        "Operations on the database, each one transaction.",
    ),
    System.STORAGE: ("storage_client_operation_duration_seconds", "Operations on the object store."),
    System.WORKER: ("worker_pass_duration_seconds", "Passes of the worker: `sweep`, `sync`."),
}

BREAKER_STATES: Final = ("closed", "open", "half_open")


@runtime_checkable
class Pooled(Protocol):
    """An adapter with a bounded number of connections."""

    def connections(self) -> tuple[int, int]:
        """Return the number of connections in use, and their maximum."""
        ...


class Metrics(Collector):
    """The measurements of one process. Its :meth:`call` is a
    :class:`~workflow_entrypoints.observability.instrumentation.Instrument`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for kind in (ProcessCollector, PlatformCollector, GCCollector):
            kind(registry=self.registry)
        self._requests = Histogram(
            "http_server_request_duration_seconds",
            "Requests answered, by template of the route and class of the status (`4xx`; `none`: the client was gone).",
            ("method", "route", "status"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._active = 0
        self._calls = {
            system: Histogram(
                name,
                f"{what} `outcome` is `ok` or the code of the error.",
                ("operation", "outcome"),
                buckets=SECONDS,
                registry=self.registry,
            )
            for system, (name, what) in _CALLS.items()
        }
        self._breakers: dict[str, Callable[[], str]] = {}
        self._state: tuple[Database, ClockPort] | None = None
        self.registry.register(self)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus. Reads those of the database from the one given to
        :meth:`follow`.
        """
        return generate_latest(self.registry)

    def follow(self, database: Database, clock: ClockPort) -> None:
        """Report the counts of this database at each scrape."""
        self._state = database, clock

    def breaker(self, dependency: str, state: Callable[[], str]) -> None:
        """Report at each scrape which of :data:`BREAKER_STATES` the circuit breaker of a dependency is in."""
        self._breakers[dependency] = state

    def request_began(self) -> None:
        """Count a request that has arrived."""
        self._active += 1  # only the event loop calls this

    def request_ended(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """Record that it was answered (``status`` None: the client had disconnected)."""
        self._active -= 1
        of_class = "none" if status is None else f"{status // 100}xx"
        self._requests.labels(method, route, of_class).observe(seconds)

    @contextmanager
    def call(self, system: System, operation: str) -> Iterator[None]:
        """Measure one call."""
        began = time.perf_counter()
        outcome = "ok"
        try:
            yield
        except WorkflowError as error:
            outcome = error.code
            raise
        except BaseException:
            outcome = "INTERNAL_ERROR"
            raise
        finally:
            self._calls[system].labels(operation, outcome).observe(time.perf_counter() - began)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: no system is called while metrics are registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics that are read at each scrape."""
        yield _gauge("http_server_active_requests", "Requests that are being handled.", {(): self._active})
        if self._breakers:
            states: dict[tuple[str, ...], float] = {
                (dependency, state): int(current == state)
                for dependency, read in self._breakers.items()
                for current in (read(),)
                for state in BREAKER_STATES
            }
            what = f"1 for the state that the circuit breaker is in: {', '.join(BREAKER_STATES)}."
            yield _gauge("circuit_breaker_state", what, states, ("dependency", "state"))
        if self._state is not None:
            yield from self._held(*self._state)

    def _held(self, database: Database, clock: ClockPort) -> Iterable[Metric]:
        if isinstance(database, Pooled):
            used, most = database.connections()
            yield _gauge("database_connections_in_use", "Connections in use in this process.", {(): used})
            yield _gauge("database_connections_max", "Maximum number of connections.", {(): most})
        try:
            counts, mirror = database.counts(), database.observations.airflow_state()
        except WorkflowError as error:
            _log.warning("cannot read metrics from the database: %s", error.message)
            yield _gauge("database_up", "Whether the database answered this scrape.", {(): 0})
            return
        yield _gauge("database_up", "Whether the database answered this scrape.", {(): 1})
        phases: dict[tuple[str, ...], float] = {(phase.value,): number for phase, number in counts.workflows.items()}
        yield _gauge(
            "workflow_core_workflows", "Workflows by phase; all but `served` need attention.", phases, ("phase",)
        )
        statuses: dict[tuple[str, ...], float] = {(status.value,): number for status, number in counts.runs.items()}
        yield _gauge("workflow_core_active_runs", "Runs that have not ended, by status.", statuses, ("status",))
        if mirror.reached_at is not None:
            age = (clock.now() - mirror.reached_at).total_seconds()
            yield _gauge("workflow_core_mirror_age_seconds", "Seconds since the last mirror pass.", {(): max(0.0, age)})


def _gauge(
    name: str, what: str, values: Mapping[tuple[str, ...], float], labels: tuple[str, ...] = ()
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family
