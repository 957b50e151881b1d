"""Litestar handlers made from rows of the table of calls. Litestar resolves the annotations at run time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from workflow_core.api.call import Call
from workflow_core.domain.names import quoted
from workflow_core.errors import InvalidRequest
from workflow_entrypoints.http.api import AnyRequest, Api  # noqa: TC001 - Litestar resolves the annotations
from workflow_entrypoints.http.conditional import tagged
from workflow_entrypoints.http.idempotency import answer_once
from workflow_entrypoints.http.query import page_headers

if TYPE_CHECKING:
    from workflow_entrypoints.http.api import ServedApi

CALL: Final = "call"
"""Where a Litestar handler keeps its row (``handler.opt``)."""

JSON: Final = "application/json"

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}\Z")


def endpoint(call: Call[Any, Any], *, threaded: bool = True) -> HTTPRouteHandler:
    """A decorator: the Litestar handler of a row. Handlers are sync and run in threads unless ``threaded`` is false."""
    return HTTPRouteHandler(
        re.sub(r"\{(\w+)\}", r"{\1:str}", call.path),
        http_method=["GET", "HEAD"] if call.method == "GET" else [call.method],
        status_code=call.status,
        sync_to_thread=True if threaded else None,
        name=call.operation_id,
        opt={CALL: call},
    )


def regular(call: Call[Any, Any]) -> HTTPRouteHandler:
    """The handler of a row for which HTTP does nothing special: call the method, and write its answer."""

    def handler(request: AnyRequest, api: Api) -> Response[bytes]:
        def ask(served: ServedApi) -> Any:
            return invoked(call, request, served)

        if call.changes:
            return answer_once(api, ask)
        return written(call, request, ask(api))

    return endpoint(call)(handler)


def invoked(call: Call[Any, Any], request: AnyRequest, api: ServedApi) -> Any:
    """Call the method of a row with the request as admission has read it."""
    state, values = request.state, request.path_params
    names = [_number(values[name]) if name == "number" else values[name] for name in call.names]
    named = {"if_match": state.if_match} if call.conditional else {}
    return getattr(api, call.name)(*names, *call.request(state.get("payload"), state.get("filters")), **named)


def written(call: Call[Any, Any], request: AnyRequest, answer: Any) -> Response[bytes]:
    """The answer as JSON, with its ETag, and with the headers of a page if it is one."""
    if not call.is_tagged:
        return Response(answer.model_dump_json().encode(), media_type=JSON)
    if call.many:
        return tagged(
            list(answer.items), headers=page_headers(answer, filters=request.state.filters, scope=request.scope)
        )
    return tagged(answer, lead=f"{answer.revision}-" if call.revisioned else "")


def call_of(handler: Any) -> Call[Any, Any] | None:
    """The row of a Litestar handler; None for handlers that are not part of the API."""
    call = handler.opt.get(CALL)
    return call if isinstance(call, Call) else None


def _number(text: str) -> int:
    if not _NUMBER.match(text):
        msg = f"{quoted(text)} is not the number of a revision; they count from 1"
        raise InvalidRequest(msg, field="number")
    return int(text)
