"""The parts that ``dli serve`` and ``dli worker`` share: the service, its worker, and their instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import frozen

from workflow_core.errors import ConfigurationError
from workflow_entrypoints.container import build, close
from workflow_entrypoints.observability.metrics import Metrics
from workflow_entrypoints.worker import Worker

if TYPE_CHECKING:
    from workflow_core.service import WorkflowService
    from workflow_entrypoints.container import Container
    from workflow_entrypoints.observability.instrumentation import Instrument
    from workflow_entrypoints.observability.traces import Traces
    from workflow_entrypoints.settings import Settings


@frozen(kw_only=True)
class ServiceProcess:
    """The parts of one long-running process."""

    container: Container
    service: WorkflowService
    reads: WorkflowService
    """The service for requests that only read."""
    worker: Worker
    metrics: Metrics
    traces: Traces | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Create them; nothing runs yet.

        Raises:
            DatabaseUnavailable: the database cannot be used, or its schema is out of date.
            ConfigurationError: a setting needs a package that is not installed.
        """
        metrics, traces = Metrics(), _traces(settings)
        instruments: list[Instrument] = [metrics, *([traces] if traces else [])]
        container = build(settings, instruments, traces.headers if traces else dict)
        container.database().check()
        metrics.follow(container.database(), container.clock())
        metrics.breaker("airflow", lambda: container.breaker().state.value)
        worker = Worker.of(container.sweeper(), settings, instruments)
        return cls(
            container=container,
            service=container.service(),
            reads=container.reads(),
            worker=worker,
            metrics=metrics,
            traces=traces,
        )

    def close(self) -> None:
        """Close the connections, and send the remaining traces."""
        close(self.container)
        if self.traces:
            self.traces.close()


def _traces(settings: Settings) -> Traces | None:
    if not settings.traces:
        return None
    try:
        from workflow_entrypoints.observability.traces import open_traces  # noqa: PLC0415 - its packages are an extra
    except ModuleNotFoundError as error:
        msg = (
            f"WORKFLOWS_TRACES needs {error.name}, which the extra 'otel' installs: pip install '.[otel]' in a checkout"
        )
        raise ConfigurationError(msg) from None
    return open_traces()
