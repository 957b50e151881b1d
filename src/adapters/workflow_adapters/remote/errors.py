"""Translates responses of the service, and failures to respond, to errors of the core.

A problem document (RFC 9457) becomes the error that the service raised: the class of its code, its message, its
problems. Any other response does not come from the service, and messages repeat nothing of it. As for Airflow, a change
is "unavailable" only where it was certainly not carried out; otherwise its outcome is unknown.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from attrs import frozen
from pydantic import ValidationError

from workflow_adapters.causes import cause_of
from workflow_adapters.http.exchange import NEVER_SENT
from workflow_core import errors
from workflow_core.api import ProblemAnswer
from workflow_core.domain.names import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

PROBLEM_JSON: Final = "application/problem+json"

_BY_STATUS: Final[Mapping[int, type[errors.WorkflowError]]] = {
    HTTPStatus.UNAUTHORIZED: errors.Unauthenticated,
    HTTPStatus.FORBIDDEN: errors.PermissionDenied,
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.CONFLICT: errors.Conflict,
    HTTPStatus.TOO_MANY_REQUESTS: errors.TooManyRequests,
}
"""The class of an unknown code, by its status; every other 4xx is an invalid request."""

_NO_SUCH_ROUTE: Final = frozenset({"NOT_FOUND", "METHOD_NOT_ALLOWED"})
"""Codes that concern the address, never a workflow or a run."""

# Statuses that come before any work is begun; a gateway's 408 and 5xx can come after it.
_NOT_DONE: Final = frozenset(range(300, 500)) - {HTTPStatus.SEE_OTHER, HTTPStatus.REQUEST_TIMEOUT}


@frozen(kw_only=True)
class ServerAddress:
    """The address of the server, and the setting that contains it."""

    place: str
    setting: str

    @property
    def check(self) -> str:
        """The remedy for a wrong address."""
        return f"Check the address ({self.setting})."


def no_answer(
    error: httpx.HTTPError | httpx.InvalidURL, server: ServerAddress, *, changes: bool, is_unknown: bool, seconds: float
) -> errors.Unavailable:
    """Return the error for a request without a response; ``is_unknown``: an earlier attempt may have arrived."""
    cause = cause_of(error, seconds=seconds)
    if isinstance(error, NEVER_SENT) and not is_unknown:
        return errors.ServerUnavailable(f"The server at {server.place} cannot be reached: {cause}. {server.check}")
    return _failed(f"no response came: {cause}", changes=changes, at=server)


def out_of_time(server: ServerAddress, *, is_unknown: bool = False) -> errors.Unavailable:
    """Return the error for a call that ran out of time before it was sent, or (``is_unknown``) sent again."""
    if is_unknown:
        return _failed("no response came in time", changes=True, at=server)
    return errors.ServerUnavailable(f"The server at {server.place} took too long to answer.")


def bad_body(*, changes: bool) -> errors.Unavailable:
    """Return the error for a successful response that does not match its model."""
    return _failed(
        "the response does not come from a workflow service, or from one of another version (DLI_SERVER_URL)",
        changes=changes,
    )


def problem(response: httpx.Response, body: bytes, *, changes: bool, is_unknown: bool = False) -> errors.WorkflowError:
    """Return the error for a response with an error status; ``is_unknown`` as above.

    A refusal stays a refusal: if an earlier attempt had been accepted, the service would have returned the response to
    that.
    """
    error = _problem(response, body, changes=changes)
    if changes and isinstance(error, errors.KeyInUse):
        return _failed("it is still in progress", changes=True)
    if is_unknown and isinstance(error, errors.Unavailable) and not isinstance(error, errors.DatabaseOutcomeUnknown):
        return _failed(f"its outcome was not reported ({error.message})", changes=True)
    return error


def _problem(response: httpx.Response, body: bytes, *, changes: bool) -> errors.WorkflowError:
    status = response.status_code
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == PROBLEM_JSON:
        try:
            document = ProblemAnswer.model_validate_json(body, strict=True)
        except ValidationError:
            return bad_body(changes=changes)
        return _reported(document, response)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return errors.ServerUnavailable(
            f"The gateway in front of the server rejects the request (HTTP {status}). Check DLI_TOKEN."
        )
    if status in _NOT_DONE:
        return errors.ServerUnavailable(
            f"There is no workflow service at this address (HTTP {status}). Check DLI_SERVER_URL."
        )
    return _failed(f"the response does not come from a workflow service (HTTP {status})", changes=changes)


def _reported(document: ProblemAnswer, response: httpx.Response) -> errors.WorkflowError:
    if document.code in _NO_SUCH_ROUTE:
        return errors.ServerUnavailable(
            "The server does not have this function: it may be of an older version, or DLI_SERVER_URL leads elsewhere."
        )
    kind_of_code = errors.error_of(document.code)
    kind = kind_of_code or _by_status(response.status_code)
    request_id = response.headers.get("X-Request-ID", "")
    named = f" (X-Request-ID: {quoted(request_id)})" if kind is errors.WorkflowError and request_id else ""
    problems = [
        errors.Problem(message=item.message, field=item.field, line=item.line, column=item.column)
        for item in document.errors
    ]
    return kind.with_message(document.detail + named, code=None if kind_of_code else document.code, problems=problems)


def _by_status(status: int) -> type[errors.WorkflowError]:
    """The class of a code that this version does not know."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.Unavailable
    return _BY_STATUS.get(status, errors.InvalidRequest)


def _failed(how: str, *, changes: bool, at: ServerAddress | None = None) -> errors.Unavailable:
    place = f" at {at.place}" if at else ""
    if changes:
        return errors.ServerOutcomeUnknown(
            f"The request was sent to the server{place}, but {how}. It may have been carried out."
        )
    return errors.ServerUnavailable(f"The request was sent to the server{place}, but {how}.")
