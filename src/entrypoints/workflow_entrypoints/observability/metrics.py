"""What is measured, for Prometheus: standard names, base units, and label values of which there are few.

No workflow's name, no run id and no path is ever a label: their number has no bound, and each would be a series of its own.
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
    System.AIRFLOW: ("airflow_client_request_duration_seconds", "Calls of Airflow; one may be several HTTP requests."),
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
    """What keeps a bounded number of connections."""

    def connections(self) -> tuple[int, int]:
        """How many are in use, and how many there may be."""
        ...


class Metrics(Collector):
    """The measurements of one process. Its :meth:`call` is a :class:`~workflow_entrypoints.observability.instrumentation.Instrument`."""

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
        """Everything, as Prometheus reads it. Asks the database what there is to do, if :meth:`follow` was told which."""
        return generate_latest(self.registry)

    def follow(self, database: Database, clock: ClockPort) -> None:
        """Tell at each scrape what this database holds."""
        self._state = database, clock

    def breaker(self, dependency: str, state: Callable[[], str]) -> None:
        """Tell at each scrape which of :data:`BREAKER_STATES` the circuit breaker of a dependency is in."""
        self._breakers[dependency] = state

    def request_began(self) -> None:
        """A request came in."""
        self._active += 1  # by the event loop alone

    def request_ended(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """It was answered (``status`` None: nobody was there to take the answer)."""
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
        """Nothing is asked while metrics are being registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """What is looked up when somebody asks."""
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
            yield _gauge("database_connections_max", "Connections that there may be.", {(): most})
        try:
            counts, mirror = database.counts(), database.observations.airflow_state()
        except WorkflowError as error:
            _log.warning("the database cannot be asked for metrics: %s", error.message)
            yield _gauge("database_up", "Whether the database answered this scrape.", {(): 0})
            return
        yield _gauge("database_up", "Whether the database answered this scrape.", {(): 1})
        phases: dict[tuple[str, ...], float] = {(phase.value,): number for phase, number in counts.workflows.items()}
        yield _gauge(
            "workflow_core_workflows", "Workflows by phase; all but `served` want attention.", phases, ("phase",)
        )
        statuses: dict[tuple[str, ...], float] = {(status.value,): number for status, number in counts.runs.items()}
        yield _gauge("workflow_core_active_runs", "Runs that have not ended, by status.", statuses, ("status",))
        if mirror.reached_at is not None:
            age = (clock.now() - mirror.reached_at).total_seconds()
            yield _gauge("workflow_core_mirror_age_seconds", "Since Airflow was last followed.", {(): max(0.0, age)})


def _gauge(
    name: str, what: str, values: Mapping[tuple[str, ...], float], labels: tuple[str, ...] = ()
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family
