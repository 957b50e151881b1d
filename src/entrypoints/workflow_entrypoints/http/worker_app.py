"""The metrics and probes that ``dli worker`` serves at a separate port, with the authentication of the service."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn
from attrs import evolve
from litestar import Response, Router
from pydantic import Field

from workflow_core.api import HealthStatus, ReadyAnswer
from workflow_core.api.base import Answer
from workflow_core.api.call import Call, NoFields
from workflow_core.api.calls import HEALTH_TAG
from workflow_core.errors import ConfigurationError
from workflow_entrypoints.http.access_log import WorkflowApp
from workflow_entrypoints.http.api import AnyRequest  # noqa: TC001 - Litestar resolves the annotations at run time
from workflow_entrypoints.http.app import admission, identification, metrics_route, rate_of, threads
from workflow_entrypoints.http.auth import Authentication
from workflow_entrypoints.http.endpoint import endpoint
from workflow_entrypoints.http.errors import exception_handlers
from workflow_entrypoints.http.health import READY, readiness
from workflow_entrypoints.http.server import config_of, listen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from litestar.handlers import HTTPRouteHandler

    from workflow_core.ports.tokens import TokenPort
    from workflow_core.service import WorkflowService
    from workflow_entrypoints.observability.metrics import Metrics
    from workflow_entrypoints.settings import Settings
    from workflow_entrypoints.worker import Worker

_THREADS: Final = 4
_STARTED_WITHIN: Final = 30.0
VARIABLE: Final = "WORKFLOWS_WORKER_METRICS_PORT"


class PulseAnswer(Answer):
    """Whether the loops of the worker make progress."""

    status: HealthStatus = Field(description="`unavailable`: a loop hangs; restart the process.")
    silent_seconds: float = Field(description="Time since the slowest loop began or ended a pass.")


WORKER_ALIVE: Final = Call(
    name="alive",
    operation_id="getWorkerAlive",
    tag=HEALTH_TAG,
    method="GET",
    path="/healthz",
    body=NoFields,
    filters=None,
    answer=PulseAnswer,
    other_answers={503: PulseAnswer},
    public=True,
    summary="Check that the loops of the worker make progress",
    description="503 if one of them hangs: restart the process.",
)
WORKER_READY: Final = evolve(
    READY,
    operation_id="getWorkerReady",
    summary="Check that the worker can work",
    description="503 if the database is unavailable, or the process is stopping.",
)


def create_worker_app(
    worker: Worker, service: WorkflowService, settings: Settings, *, tokens: TokenPort | None, metrics: Metrics
) -> WorkflowApp:
    """Make the application with ``/metrics``, ``/healthz`` and ``/readyz`` of a worker.

    Raises:
        ConfigurationError: A part is missing that WORKFLOWS_AUTH needs.
    """
    authentication = Authentication.of(settings, tokens, service.now)
    app = WorkflowApp(
        [Router("/", route_handlers=[*_probes(worker, service), metrics_route(metrics)])],
        before_request=admission(settings),
        middleware=[identification(authentication, rate_of(settings))] if authentication else [],
        exception_handlers=exception_handlers(),
        lifespan=[threads(_THREADS)],
        on_shutdown=[authentication.close] if authentication else [],
        openapi_config=None,
        logging_config=None,
    )
    app.is_guarded = authentication is not None
    return app


def _probes(worker: Worker, service: WorkflowService) -> list[HTTPRouteHandler]:
    @endpoint(WORKER_ALIVE, threaded=False)
    async def healthz() -> Response[PulseAnswer]:
        pulse = worker.pulse()
        status = HealthStatus.OK if pulse.is_alive else HealthStatus.UNAVAILABLE
        answer = PulseAnswer(status=status, silent_seconds=round(pulse.silent, 1))
        return Response(answer, status_code=200 if pulse.is_alive else 503)

    @endpoint(WORKER_READY)
    def readyz(request: AnyRequest) -> Response[ReadyAnswer]:
        return readiness(service.ready(), request)

    return [healthz, readyz]


@contextmanager
def serving_beside(app: WorkflowApp, settings: Settings) -> Iterator[int | None]:
    """Serve the application in a thread until the block ends. Yields the port, or None if no port is configured.

    Raises:
        ConfigurationError: The port is taken, or the host is not loopback and callers are not authenticated.
    """
    if not settings.worker_metrics_port:
        yield None
        return
    with listen(settings, port=settings.worker_metrics_port, variable=VARIABLE) as listener:
        server = uvicorn.Server(config_of(app, settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True)
        thread.start()
        until = time.monotonic() + _STARTED_WITHIN
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        if not server.started:
            msg = f"The metrics of the worker are not served ({VARIABLE}); see the log."
            raise ConfigurationError(msg)
        try:
            yield int(listener.getsockname()[1])
        finally:
            app.is_draining = True
            server.should_exit = True
            thread.join()
