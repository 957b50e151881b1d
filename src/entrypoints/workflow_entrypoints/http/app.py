"""The Litestar application over a service: handlers, reading of requests, errors, and the OpenAPI document."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Final, cast

from litestar import Response, Router, get
from litestar.concurrency import sync_to_thread
from litestar.di import Provide
from litestar.exceptions import NotFoundException, PermissionDeniedException

from workflow_core.domain.access import EVERYTHING, Access
from workflow_core.domain.caller import Caller, Via
from workflow_core.domain.identity import Identity
from workflow_core.errors import InvalidRequest, TooManyRequests, Unauthenticated
from workflow_entrypoints.http.access_log import WorkflowApp, raw_path
from workflow_entrypoints.http.admission import SAFE, Gate
from workflow_entrypoints.http.api import AnyRequest, ServedApi  # noqa: TC001 - Litestar resolves the annotations
from workflow_entrypoints.http.auth import Authentication, AuthRequest
from workflow_entrypoints.http.body import read_body, read_payload
from workflow_entrypoints.http.conditional import not_modified
from workflow_entrypoints.http.endpoint import call_of
from workflow_entrypoints.http.errors import exception_handlers
from workflow_entrypoints.http.health import READY_PATH, stopping
from workflow_entrypoints.http.host_check import is_rebound
from workflow_entrypoints.http.idempotency import read_key
from workflow_entrypoints.http.long_poll import Waiting
from workflow_entrypoints.http.openapi import openapi_json
from workflow_entrypoints.http.query import read_filters, read_if_match
from workflow_entrypoints.http.rate_limit import Rate
from workflow_entrypoints.http.request_id import request_id
from workflow_entrypoints.http.routes import ROUTES
from workflow_entrypoints.observability.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from litestar import Litestar
    from litestar.types import ASGIApp, LifespanHook, Receive, Scope, Send

    from workflow_core.api.call import Call
    from workflow_core.ports.tokens import TokenPort
    from workflow_core.service import WorkflowService
    from workflow_entrypoints.observability.traces import Traces
    from workflow_entrypoints.settings import Settings

OPENAPI_PATH: Final = "/schema/openapi.json"
METRICS_PATH: Final = "/metrics"

_NOBODY: Final = Identity(name="anonymous", access=Access(owns=False))
"""The caller of public routes, where other routes authenticate their callers."""


def create_app(  # noqa: PLR0913 - the parts of one thing, by name
    service: WorkflowService,
    settings: Settings,
    *,
    reads: WorkflowService | None = None,
    tokens: TokenPort | None = None,
    metrics: Metrics | None = None,
    traces: Traces | None = None,
    on_startup: Sequence[LifespanHook] = (),
    on_shutdown: Sequence[LifespanHook] = (),
) -> WorkflowApp:
    """Make the HTTP API over ``service``.

    With WORKFLOWS_AUTH ``none`` every request is recorded as made by ``settings.user``, who may do everything.

    Args:
        service: Answers the requests.
        settings: The settings of the process.
        reads: Answers requests that change nothing, if that is another service.
        tokens: The store of API tokens.
        metrics: Collects measurements, and is served at ``/metrics``.
        traces: Gets a span for each request.
        on_startup: Hooks that run before serving, such as those of a worker.
        on_shutdown: Hooks that run after serving.

    Raises:
        ConfigurationError: A part is missing that WORKFLOWS_AUTH needs.
    """
    authentication = Authentication.of(settings, tokens, service.now)
    by_default = _NOBODY if authentication else Identity(name=settings.user, access=EVERYTHING)
    metrics = metrics or Metrics()
    waiting = Waiting(service.run_versions, limit=settings.max_waiting, is_over=lambda: app.is_draining)
    gate = Gate(
        at_once=settings.changes_at_once,
        waiting=settings.changes_waiting,
        patience=settings.changes_patience,
        breaker=service.breaker_state,
    )

    def api_of(request: AnyRequest) -> ServedApi:
        identity: Identity = request.state.get("identity", by_default)
        caller = Caller(
            name=identity.name,
            access=identity.access,
            via=Via.HTTP,
            address=request.client.host if request.client else None,
            request_id=request_id(request.scope),
            key=request.state.get("key"),
        )
        return ((reads or service) if request.method in SAFE else service).as_(caller)

    app = WorkflowApp(
        # In a router: registered one by one, the first of two handlers of a path would be wrapped in a thread twice.
        [Router("/", route_handlers=[*map(copy, ROUTES), _document_route(), metrics_route(metrics)])],
        dependencies={
            "api": Provide(api_of, sync_to_thread=False),
            "waiting": Provide(lambda: waiting, sync_to_thread=False),
        },
        before_request=admission(settings),
        # authentication comes first: unauthenticated requests never wait in the queue of authenticated ones
        middleware=[
            *([identification(authentication, rate_of(settings))] if authentication else []),
            _reading(settings),  # a request whose body is still arriving does not wait there either
            gate.middleware,
            not_modified,
        ],
        exception_handlers=exception_handlers(),
        lifespan=[threads(settings.threads)],
        on_startup=on_startup,
        on_shutdown=[*on_shutdown, *([authentication.close] if authentication else [])],
        openapi_config=None,  # the document is made from the table of calls
        logging_config=None,  # the process configures logging, not its parts
        request_max_body_size=None,  # `read_payload` bounds it
    )
    app.metrics, app.traces, app.waiting = metrics, traces, waiting
    app.is_guarded = authentication is not None
    return app


def rate_of(settings: Settings) -> Rate | None:
    """The rate limit of each caller; None without one."""
    return Rate(per_second=settings.rate, burst=settings.rate_burst) if settings.rate else None


def identification(authentication: Authentication, rate: Rate | None) -> Callable[[ASGIApp], ASGIApp]:
    """The first middleware: authenticate the caller and apply its rate limit, except on public routes."""

    def count(scope: Scope, caller: str) -> None:
        if rate is not None:
            counted = rate.count(caller)
            scope["state"]["rate"] = rate.headers(counted)
            if counted.wait:
                raise TooManyRequests(
                    "Rate limit exceeded (WORKFLOWS_RATE). Retry after the time given in Retry-After."
                )

    def middleware(app: ASGIApp) -> ASGIApp:
        async def identified(scope: Scope, receive: Receive, send: Send) -> None:
            call = call_of(scope["route_handler"])
            if call is None or not call.public:
                asked = AuthRequest.of(scope)
                try:
                    identity = await sync_to_thread(authentication.identify, asked)
                except Unauthenticated:
                    count(scope, f"\0{asked.peer}")  # never equal to a name: no name begins with NUL
                    raise
                count(scope, identity.name)
                scope["state"]["identity"] = identity
            await app(scope, receive, send)

        return identified

    return middleware


def _reading(settings: Settings) -> Callable[[ASGIApp], ASGIApp]:
    """Read the body of a request, if its route takes one, before the request gets a place at the gate."""

    def middleware(app: ASGIApp) -> ASGIApp:
        async def read_first(scope: Scope, receive: Receive, send: Send) -> None:
            call = call_of(scope["route_handler"])
            if call is not None and call.takes_body:
                scope["state"]["body"] = await read_body(
                    receive, scope["headers"], limit=settings.max_body_bytes, seconds=settings.body_timeout
                )
            await app(scope, receive, send)

        return read_first

    return middleware


def _methods() -> dict[str, list[str]]:
    """The methods of each path, for OPTIONS: Litestar itself answers with those of the first handler of a path only."""
    found: dict[str, set[str]] = {}
    for handler in ROUTES:
        for path in handler.paths:
            found.setdefault(path.replace(":str}", "}"), {"OPTIONS"}).update(handler.http_methods)
    return {path: sorted(methods) for path, methods in found.items()}


def admission(settings: Settings) -> Callable[[AnyRequest], Awaitable[Any]]:
    """The hook before each handler: check path and origin, and read query, headers and body."""
    methods = _methods()

    async def admit(request: AnyRequest) -> Any:
        call = call_of(request.route_handler)
        public = call is not None and call.public
        if not public and not settings.authenticates and is_rebound(request.scope):
            raise PermissionDeniedException(
                detail="This port serves only its own host. Use localhost or the IP address in the URL."
            )
        path = raw_path(request.scope)
        if "//" in path or path.endswith("/"):  # Litestar would ignore an empty name
            raise NotFoundException
        if call is None:
            allowed = methods.get(request.scope["path_template"])
            return allowed and Response(None, status_code=204, headers={"Allow": ", ".join(allowed)})
        if path == READY_PATH and cast("WorkflowApp", request.app).is_draining:
            return stopping()
        if "%2f" in path.lower():  # Litestar would split a name with '/' into two segments, and so match another route
            msg = "The path contains an encoded '/' (%2F), which no name may contain."
            raise InvalidRequest(msg)
        if request.method not in SAFE and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            # without authentication any page in a browser on this host could start runs; browsers send this header
            raise PermissionDeniedException(detail="Requests from the pages of other sites are refused.")
        await _read(request, call)
        return None

    return admit


async def _read(request: AnyRequest, call: Call[Any, Any]) -> None:
    """Read query, headers and body; the idempotency key last, because its fingerprint covers all of them."""
    if call.filters is not None:
        request.state.filters = read_filters(request.scope, call.filters)
    if call.conditional:
        request.state.if_match = read_if_match(request.headers.get("if-match"))
    if call.takes_body:
        request.state.payload = await read_payload(request, call.body, optional=call.body_optional)
    if call.changes:
        request.state.key = read_key(request)


def _document_route() -> Any:
    document = openapi_json()

    @get(OPENAPI_PATH, media_type="application/vnd.oai.openapi+json", sync_to_thread=False)
    def openapi() -> Response[bytes]:
        return Response(document)

    return openapi


def metrics_route(metrics: Metrics) -> Any:
    """The route ``/metrics``."""

    @get(METRICS_PATH, media_type=CONTENT_TYPE, sync_to_thread=True)
    def measured() -> Response[bytes]:
        return Response(metrics.text())

    return measured


def threads(count: int) -> Callable[[Litestar], Any]:
    """A lifespan that gives the event loop ``count`` threads for the sync handlers, under any server."""

    @asynccontextmanager
    async def sized(_: Litestar) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count, thread_name_prefix="http"))
        yield

    return sized
