"""The Litestar application over a service: handlers, reading of requests, errors, and the OpenAPI document."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Final, cast

from litestar import Request, Response, Router, get
from litestar.concurrency import sync_to_thread
from litestar.di import Provide
from litestar.exceptions import NotFoundException, PermissionDeniedException

from workflow_core.domain.access import EVERYTHING, Access
from workflow_core.domain.caller import Caller, Via
from workflow_core.domain.identity import Identity
from workflow_core.errors import InvalidRequest, TooManyRequests, Unauthenticated
from workflow_core.service import WorkflowService  # noqa: TC001 - Litestar resolves the annotations at run time
from workflow_entrypoints.http.access_log import WorkflowApp, raw_path
from workflow_entrypoints.http.admission import SAFE, Gate
from workflow_entrypoints.http.auth import Authentication, AuthRequest
from workflow_entrypoints.http.body import read_body, read_payload
from workflow_entrypoints.http.conditional import not_modified
from workflow_entrypoints.http.endpoint import contract_of
from workflow_entrypoints.http.errors import exception_handlers
from workflow_entrypoints.http.host_check import is_rebound
from workflow_entrypoints.http.idempotency import read_key
from workflow_entrypoints.http.long_poll import Waiting
from workflow_entrypoints.http.openapi import openapi_json
from workflow_entrypoints.http.query import read_filters, read_if_match
from workflow_entrypoints.http.rate_limit import Rate
from workflow_entrypoints.http.request_id import request_id
from workflow_entrypoints.http.routes import READY_PATH, ROUTES, stopping
from workflow_entrypoints.http.shared import Api  # noqa: TC001 - Litestar resolves the annotations at run time
from workflow_entrypoints.observability.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from litestar import Litestar
    from litestar.types import ASGIApp, LifespanHook, Receive, Scope, Send

    from workflow_core.ports.tokens import TokenPort
    from workflow_entrypoints.http.endpoint import Contract
    from workflow_entrypoints.observability.traces import Traces
    from workflow_entrypoints.settings import Settings

OPENAPI_PATH: Final = "/schema/openapi.json"
METRICS_PATH: Final = "/metrics"

_NOBODY: Final = Identity(name="anonymous", access=Access(owns=False))
"""Who asks the routes that answer everybody, where others are asked who they are."""


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
    """The HTTP API over ``service``; ``tokens`` are what API tokens are looked up in.

    ``reads`` answers requests that change nothing, if that is to be another one.
    ``metrics`` takes its measurements and is told at ``/metrics``, ``traces`` gets a span of each request.
    ``on_startup`` and ``on_shutdown`` run around the serving, such as those of a worker. Under WORKFLOWS_AUTH ``none``
    every request is recorded as made by ``settings.user``, who may do everything.

    Raises:
        ConfigurationError: something is missing that WORKFLOWS_AUTH needs.
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

    def api_of(request: Request[Any, Any, Any]) -> WorkflowService:
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
        # In a router: one by one, the first of two handlers of a path would be given a thread twice when the second one comes.
        [Router("/", route_handlers=[*map(copy, ROUTES), _document_route(), metrics_route(metrics)])],
        dependencies={
            "api": Provide(api_of, sync_to_thread=False),
            "payload": Provide(_payload, sync_to_thread=False),
            "filters": Provide(_filters, sync_to_thread=False),
            "if_match": Provide(_if_match, sync_to_thread=False),
            "waiting": Provide(lambda: waiting, sync_to_thread=False),
        },
        before_request=admission(settings),
        # who asks is found out first: nobody whom we do not know stands in the line of those whom we do
        middleware=[
            *([identification(authentication, rate_of(settings))] if authentication else []),
            _reading(settings),  # nor does anybody whose body is still on its way
            gate.middleware,
            not_modified,
        ],
        exception_handlers=exception_handlers(),
        lifespan=[threads(settings.threads)],
        on_startup=on_startup,
        on_shutdown=[*on_shutdown, *([authentication.close] if authentication else [])],
        openapi_config=None,  # ours is made from the contracts
        logging_config=None,  # the process configures logging, not its parts
        request_max_body_size=None,  # `read_payload` bounds it
    )
    app.metrics, app.traces, app.waiting = metrics, traces, waiting
    app.is_guarded = authentication is not None
    return app


def rate_of(settings: Settings) -> Rate | None:
    """The limit of requests of each caller; None for none."""
    return Rate(per_second=settings.rate, burst=settings.rate_burst) if settings.rate else None


def identification(authentication: Authentication, rate: Rate | None) -> Callable[[ASGIApp], ASGIApp]:
    """What every request of every route passes first: who asks is found out here, and how often, but for routes that are public."""

    def count(scope: Scope, caller: str) -> None:
        if rate is not None:
            counted = rate.count(caller)
            scope["state"]["rate"] = rate.headers(counted)
            if counted.wait:
                raise TooManyRequests(
                    "You ask more often than you may (WORKFLOWS_RATE); Retry-After says when to come back."
                )

    def middleware(app: ASGIApp) -> ASGIApp:
        async def identified(scope: Scope, receive: Receive, send: Send) -> None:
            contract = contract_of(scope["route_handler"])
            if contract is None or not contract.public:
                asked = AuthRequest.of(scope)
                try:
                    identity = await sync_to_thread(authentication.identify, asked)
                except Unauthenticated:
                    count(scope, f"\0{asked.peer}")  # no name: none begins so
                    raise
                count(scope, identity.name)
                scope["state"]["identity"] = identity
            await app(scope, receive, send)

        return identified

    return middleware


def _reading(settings: Settings) -> Callable[[ASGIApp], ASGIApp]:
    """Have the body of a request read, if its route takes one, before it gets a place among those that change something."""

    def middleware(app: ASGIApp) -> ASGIApp:
        async def read_first(scope: Scope, receive: Receive, send: Send) -> None:
            contract = contract_of(scope["route_handler"])
            if contract is not None and contract.payload is not None:
                scope["state"]["body"] = await read_body(
                    receive, scope["headers"], limit=settings.max_body_bytes, seconds=settings.body_timeout
                )
            await app(scope, receive, send)

        return read_first

    return middleware


def _methods() -> dict[str, list[str]]:
    """The methods of each path, for OPTIONS: Litestar's own answer knows those of the first handler of a path only."""
    found: dict[str, set[str]] = {}
    for handler in ROUTES:
        for path in handler.paths:
            found.setdefault(path.replace(":str}", "}"), {"OPTIONS"}).update(handler.http_methods)
    return {path: sorted(methods) for path, methods in found.items()}


def admission(settings: Settings) -> Callable[[Request[Any, Any, Any]], Awaitable[Any]]:
    """What every request then passes before its handler: path, origin, query and body are read and checked here."""
    methods = _methods()

    async def admit(request: Request[Any, Any, Any]) -> Any:
        contract = contract_of(request.route_handler)
        public = contract is not None and contract.public
        if not public and not settings.authenticates and is_rebound(request.scope):
            raise PermissionDeniedException(
                detail="This port is for its own host: ask it as localhost, or by its address."
            )
        path = raw_path(request.scope)
        if "//" in path or path.endswith("/"):  # Litestar would take an empty name for none
            raise NotFoundException
        if contract is None:
            allowed = methods.get(request.scope["path_template"])
            return allowed and Response(None, status_code=204, headers={"Allow": ", ".join(allowed)})
        if path == READY_PATH and cast("WorkflowApp", request.app).is_draining:
            return stopping()
        if "%2f" in path.lower():  # Litestar would take a name with '/' for two segments, and so for another route
            msg = "The path holds an encoded '/' (%2F), which no name may hold."
            raise InvalidRequest(msg)
        if request.method not in SAFE and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            # without authentication any page in a browser on this host could start runs; browsers send this header
            raise PermissionDeniedException(detail="Requests from the pages of other sites are refused.")
        await _read(request, contract)
        return None

    return admit


async def _read(request: Request[Any, Any, Any], contract: Contract) -> None:
    """Query, headers and body; the key last, because it is of all of them."""
    if contract.filters is not None:
        request.state.filters = read_filters(request.scope, contract.filters)
    if contract.conditional:
        request.state.if_match = read_if_match(request.headers.get("if-match"))
    if contract.payload is not None:
        request.state.payload = await read_payload(request, contract.payload, optional=contract.payload_optional)
    if contract.changes:
        request.state.key = read_key(request)


# These come after the API although they do not need it: what does not wait for one another, Litestar looks up in tasks of their own,
# which takes longer than all the rest of its part in a request.


def _payload(request: Request[Any, Any, Any], api: Api) -> Any:  # noqa: ARG001 - see above
    return request.state.payload


def _filters(request: Request[Any, Any, Any], api: Api) -> Any:  # noqa: ARG001 - see above
    return request.state.filters


def _if_match(request: Request[Any, Any, Any], api: Api) -> Any:  # noqa: ARG001 - see above
    return request.state.if_match


def _document_route() -> Any:
    document = openapi_json()

    @get(OPENAPI_PATH, media_type="application/vnd.oai.openapi+json", sync_to_thread=False)
    def openapi() -> Response[bytes]:
        return Response(document)

    return openapi


def metrics_route(metrics: Metrics) -> Any:
    """``/metrics``."""

    @get(METRICS_PATH, media_type=CONTENT_TYPE, sync_to_thread=True)
    def measured() -> Response[bytes]:
        return Response(metrics.text())

    return measured


def threads(count: int) -> Callable[[Litestar], Any]:
    """Give the event loop so many threads for the sync handlers, whatever server runs it."""

    @asynccontextmanager
    async def sized(_: Litestar) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count, thread_name_prefix="http"))
        yield

    return sized
