"""The HTTP status of each error, and the body of every error: a problem (RFC 9457, ``application/problem+json``)."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.exceptions import HTTPException

from workflow_core.api import ProblemAnswer
from workflow_core.errors import KeyInUse, Unavailable, WorkflowError
from workflow_entrypoints.http.access_log import raw_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar import Request
    from litestar.types import ExceptionHandlersMap

_log = logging.getLogger(__name__)

PROBLEM_JSON: Final = "application/problem+json"
RETRY_AFTER: Final = 5
"""``Retry-After`` in seconds when another system is unavailable, unless the error carries a time."""
ASK_AGAIN: Final = 1
"""``Retry-After`` in seconds for a request whose idempotency key is in use."""
MAX_FINDINGS: Final = 50
"""Maximum number of findings in one answer; its ``detail`` contains their total."""

STATUS: Final[Mapping[str, int]] = {
    "INVALID_REQUEST": 400,
    "INVALID_CRON_EXPRESSION": 400,
    "INVALID_WORKFLOW_SPEC": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "WORKFLOW_PERMISSION_DENIED": 403,
    "WORKFLOW_NOT_FOUND": 404,
    "WORKFLOW_RUN_NOT_FOUND": 404,
    "WORKFLOW_REVISION_NOT_FOUND": 404,
    "BACKFILL_NOT_FOUND": 404,
    "BACKFILL_NOT_ACTIVE": 409,
    "BACKFILL_ALREADY_EXISTS": 409,
    "WORKFLOW_ALREADY_EXISTS": 409,
    "WORKFLOW_PAUSED": 409,
    "WORKFLOW_NOT_RUNNABLE": 409,
    "WORKFLOW_HAS_ACTIVE_RUNS": 409,
    "WORKFLOW_RUN_NOT_ACTIVE": 409,
    "WORKFLOW_RUN_NOT_RETRYABLE": 409,
    "WORKFLOW_RUN_ALREADY_EXISTS": 409,
    "CONCURRENT_UPDATE": 409,
    "IDEMPOTENCY_KEY_IN_USE": 409,
    "STORAGE_CONFLICT": 409,
    "WORKFLOW_REVISION_MISMATCH": 412,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "TOO_MANY_REQUESTS": 429,
    "INTERNAL_ERROR": 500,
    "INVALID_CONFIGURATION": 500,
    "AIRFLOW_REQUEST_REFUSED": 502,
    "AIRFLOW_DAG_NOT_FOUND": 502,
    "AIRFLOW_LOGICAL_DATE_TAKEN": 502,
    "AIRFLOW_LOADER_NOT_INSTALLED": 503,
    "TOO_MANY_WAITING": 503,
    "AIRFLOW_CONNECTION_FAILED": 503,
    "AIRFLOW_OUTCOME_UNKNOWN": 503,
    "STORAGE_REFUSED": 502,
    "STORAGE_UNAVAILABLE": 503,
    "DATABASE_UNAVAILABLE": 503,
    "DATABASE_OUTCOME_UNKNOWN": 503,
    "IDENTITY_PROVIDER_UNAVAILABLE": 503,
    "SERVER_UNAVAILABLE": 503,
    "SERVER_OUTCOME_UNKNOWN": 503,
}
"""The status of every code of :mod:`workflow_core.errors`.

Where the specification has the code (section 8), its status.
"""

HTTP_CODES: Final[Mapping[int, str]] = {
    400: "INVALID_REQUEST",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
}
"""The codes of failures before a use case is reached."""

_INTERNAL: Final = "Internal error. The service log has the details under the X-Request-ID of this answer."


_NAMED_ANEW: Final[Mapping[int, str]] = {413: "Content Too Large", 422: "Unprocessable Content"}


def title(status: int) -> str:
    """The name of a status in RFC 9110; Python versions differ in those that RFC 9110 has renamed."""
    return _NAMED_ANEW.get(status) or HTTPStatus(status).phrase


def exception_handlers() -> ExceptionHandlersMap:
    """The handlers with which Litestar answers every exception as a problem."""
    return {WorkflowError: _on_workflow_error, HTTPException: _on_http_exception, Exception: _on_exception}


def status_of(error: WorkflowError) -> int:
    """The HTTP status of an error of the library."""
    return STATUS[error.code]


def _on_workflow_error(request: Request[Any, Any, Any], error: WorkflowError) -> Response[ProblemAnswer]:
    status = status_of(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _on_exception(request, error)
    if status > HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.warning("%s: %s", error.code, error.message)
    answer = ProblemAnswer.of(error, status=status, title=title(status), instance=raw_path(request.scope))
    answer = answer.model_copy(update={"errors": answer.errors[:MAX_FINDINGS], "detail": _detail(request, error)})
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(_retry_after(error))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, KeyInUse):
        headers["Retry-After"] = str(ASK_AGAIN)
    return _response(answer, headers)


def _detail(request: Request[Any, Any, Any], error: WorkflowError) -> str:
    """The message; where callers are authenticated, without the address of the other system, which only the log has."""
    is_guarded = getattr(request.app, "is_guarded", True)
    return error.discreet if isinstance(error, Unavailable) and is_guarded else error.message


def _retry_after(error: WorkflowError) -> int:
    """Whole seconds: the time that the error carries, or the default."""
    known = error.retry_after if isinstance(error, Unavailable) else None
    return RETRY_AFTER if known is None else max(1, math.ceil(known))


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemAnswer]:
    """Requests that Litestar or the reading of the request refused."""
    status = error.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _on_exception(request, error)
    detail = error.detail
    if status == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this path."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible here; see the Allow header."
    answer = ProblemAnswer(
        title=title(status),
        status=status,
        code=HTTP_CODES.get(status, "INVALID_REQUEST"),
        detail=detail,
        instance=raw_path(request.scope),
    )
    return _response(answer, {name.title(): value for name, value in (error.headers or {}).items()})


def _on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemAnswer]:
    """Unhandled exceptions: log the traceback, and return an opaque 500."""
    _log.error("unexpected %s", type(error).__name__, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    answer = ProblemAnswer(
        title=title(status),
        status=status,
        code=HTTP_CODES[status],
        detail=_INTERNAL,
        instance=raw_path(request.scope),
    )
    return _response(answer, {})


def _response(answer: ProblemAnswer, headers: Mapping[str, str]) -> Response[ProblemAnswer]:
    return Response(answer, status_code=answer.status, media_type=PROBLEM_JSON, headers=headers)
