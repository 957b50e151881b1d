"""The Litestar application over a service: handlers, reading of requests, errors, and the OpenAPI document."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar, Request, Response, Router, get
from litestar.di import Provide
from litestar.exceptions import NotFoundException, PermissionDeniedException

from entrypoints.http.contract import contract_of
from entrypoints.http.errors import exception_handlers
from entrypoints.http.filters import read_filters, read_if_match
from entrypoints.http.keys import read_key
from entrypoints.http.openapi import openapi_json
from entrypoints.http.payload import read_payload
from entrypoints.http.routes import ROUTES
from entrypoints.http.tracing import mark_start, raw_path, request_id, stamp_answer
from workflow_core.domain.caller import Caller, Via
from workflow_core.errors import InvalidRequest
from workflow_core.local import LocalWorkflowApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from litestar.types import LifespanHook

    from entrypoints.settings import Settings
    from workflow_core.service import WorkflowService

OPENAPI_PATH: Final = "/schema/openapi.json"

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def create_app(
    service: WorkflowService,
    settings: Settings,
    *,
    on_startup: Sequence[LifespanHook] = (),
    on_shutdown: Sequence[LifespanHook] = (),
) -> Litestar:
    """The HTTP API over ``service``.

    ``on_startup`` and ``on_shutdown`` run around the serving, such as those of a worker. While there is no
    authentication every request is recorded as made by ``settings.user``.
    """

    def api_of(request: Request[Any, Any, Any]) -> LocalWorkflowApi:
        caller = Caller(
            name=settings.user,
            via=Via.HTTP,
            address=request.client.host if request.client else None,
            request_id=request_id(request.scope),
            key=request.state.get("key"),
        )
        return LocalWorkflowApi(service, caller)

    return Litestar(
        # In a router: one by one, the first of two handlers of a path would be given a thread twice when the second one comes.
        [Router("/", route_handlers=[*map(copy, ROUTES), _document_route()])],
        dependencies={
            "api": Provide(api_of, sync_to_thread=False),
            "payload": Provide(_payload, sync_to_thread=False),
            "filters": Provide(_filters, sync_to_thread=False),
            "if_match": Provide(_if_match, sync_to_thread=False),
        },
        before_request=_admission(settings),
        before_send=[stamp_answer],
        exception_handlers=exception_handlers(),
        lifespan=[_threads(settings.threads)],
        on_startup=on_startup,
        on_shutdown=on_shutdown,
        openapi_config=None,  # ours is made from the contracts
        logging_config=None,  # the process configures logging, not its parts
        request_max_body_size=None,  # `read_payload` bounds it
    )


def _admission(settings: Settings) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """What every request passes before its handler: path, origin, query and body are read and checked here."""

    async def admit(request: Request[Any, Any, Any]) -> None:
        mark_start(request.scope)
        path = raw_path(request.scope)
        if "//" in path or path.endswith("/"):  # Litestar would take an empty name for none
            raise NotFoundException
        contract = contract_of(request.route_handler)
        if contract is None:
            return
        if "%2f" in path.lower():  # Litestar would take a name with '/' for two segments, and so for another route
            msg = "The path holds an encoded '/' (%2F), which no name may hold."
            raise InvalidRequest(msg)
        if request.method not in _SAFE and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            # without authentication any page in a browser on this host could start runs; browsers send this header
            raise PermissionDeniedException(detail="Requests from the pages of other sites are refused.")
        if contract.filters is not None:
            request.state.filters = read_filters(request.scope, contract.filters)
        if contract.conditional:
            request.state.if_match = read_if_match(request.headers.get("if-match"))
        if contract.payload is not None:
            request.state.payload = await read_payload(
                request, contract.payload, limit=settings.max_body_bytes, optional=contract.payload_optional
            )
        if contract.changes:
            request.state.key = read_key(request)

    return admit


def _payload(request: Request[Any, Any, Any]) -> Any:
    return request.state.payload


def _filters(request: Request[Any, Any, Any]) -> Any:
    return request.state.filters


def _if_match(request: Request[Any, Any, Any]) -> Any:
    return request.state.if_match


def _document_route() -> Any:
    document = openapi_json()

    @get(OPENAPI_PATH, media_type="application/vnd.oai.openapi+json", sync_to_thread=False)
    def openapi() -> Response[bytes]:
        return Response(document)

    return openapi


def _threads(count: int) -> Callable[[Litestar], Any]:
    """Give the event loop so many threads for the sync handlers, whatever server runs it."""

    @asynccontextmanager
    async def sized(_: Litestar) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count, thread_name_prefix="http"))
        yield

    return sized
