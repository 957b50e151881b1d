"""What ``dli serve`` and ``dli worker`` have in common: the service, its worker, and what watches both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import frozen

from entrypoints.container import build, close
from entrypoints.metrics import Metrics
from entrypoints.worker import Worker
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from entrypoints.container import Container
    from entrypoints.settings import Settings
    from entrypoints.traces import Traces
    from entrypoints.watching import Watch
    from workflow_core.service import WorkflowService


@frozen(kw_only=True)
class Running:
    """The parts of one process that runs for long."""

    container: Container
    service: WorkflowService
    reads: WorkflowService
    """The same, for requests that only read."""
    worker: Worker
    metrics: Metrics
    traces: Traces | None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Put them together; nothing runs yet.

        Raises:
            DatabaseUnavailable: the database cannot be used, or its schema is an earlier one.
            ConfigurationError: a setting asks for what is not installed.
        """
        metrics, traces = Metrics(), _traces(settings)
        watches: list[Watch] = [metrics, *([traces] if traces else [])]
        container = build(settings, watches, traces.headers if traces else dict)
        container.workflows().check()
        metrics.follow(container.workflows(), container.clock())
        metrics.breaker("airflow", lambda: container.breaker().state.value)
        worker = Worker.of(container.work(), settings, watches)
        return cls(
            container=container,
            service=container.service(),
            reads=container.reads(),
            worker=worker,
            metrics=metrics,
            traces=traces,
        )

    def close(self) -> None:
        """Close the connections, and send the traces that are left."""
        close(self.container)
        if self.traces:
            self.traces.close()


def _traces(settings: Settings) -> Traces | None:
    if not settings.traces:
        return None
    try:
        from entrypoints.traces import open_traces  # noqa: PLC0415 - its packages are an extra
    except ModuleNotFoundError as error:
        msg = (
            f"WORKFLOWS_TRACES needs {error.name}, which the extra 'otel' installs: pip install '.[otel]' in a checkout"
        )
        raise ConfigurationError(msg) from None
    return open_traces()
