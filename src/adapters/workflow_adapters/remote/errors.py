"""The one place where what the service answers, or fails to answer, becomes an error of ours.

A problem document (RFC 9457) is the error that the service raised: the class of its code, its message, its findings. Whatever else
comes is not from the service, and nothing of it is repeated. As for Airflow, a change is "unavailable" only where it was certainly
not carried out; otherwise its outcome is unknown.
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
"""What an unknown code of this status is; every other 4xx is a wrong request."""

_NO_SUCH_ROUTE: Final = frozenset({"NOT_FOUND", "METHOD_NOT_ALLOWED"})
"""Of the address, never of a workflow or a run."""

# Answers that come before any work is begun; a gateway's 408 and 5xx can come after it.
_NOT_DONE: Final = frozenset(range(300, 500)) - {HTTPStatus.SEE_OTHER, HTTPStatus.REQUEST_TIMEOUT}


@frozen(kw_only=True)
class Asked:
    """The server that is asked: its address, and the setting that names it."""

    place: str
    setting: str

    @property
    def check(self) -> str:
        """What to do about a wrong address."""
        return f"Check the address ({self.setting})."


def no_answer(
    error: httpx.HTTPError | httpx.InvalidURL, asked: Asked, *, changes: bool, is_unknown: bool, seconds: float
) -> errors.Unavailable:
    """The error for a request that ended without an answer; ``is_unknown``: it was sent more than once, and may have arrived before."""
    cause = cause_of(error, seconds=seconds)
    if isinstance(error, NEVER_SENT) and not is_unknown:
        return errors.ServerUnavailable(f"The server at {asked.place} cannot be reached: {cause}. {asked.check}")
    return _failed(f"its answer never came: {cause}", changes=changes, at=asked)


def out_of_time(asked: Asked, *, is_unknown: bool = False) -> errors.Unavailable:
    """The error for a call whose time was over before anything was sent, or (``is_unknown``) before it was sent once more."""
    if is_unknown:
        return _failed("its answer never came in time", changes=True, at=asked)
    return errors.ServerUnavailable(f"The server at {asked.place} took too long to answer.")


def bad_body(*, changes: bool) -> errors.Unavailable:
    """The error for an answer that came with a good status, but is not the one that was asked for."""
    return _failed(
        "its answer is not that of a workflow service, or of another version (DLI_SERVER_URL)", changes=changes
    )


def problem(response: httpx.Response, body: bytes, *, changes: bool, is_unknown: bool = False) -> errors.WorkflowError:
    """The error for an answer whose status is none of those that say "done"; ``is_unknown`` as above. A refusal stays one: had the same
    request been accepted before, the answer to that would have come.
    """
    error = _problem(response, body, changes=changes)
    if changes and isinstance(error, errors.KeyInUse):
        return _failed("it is still at it", changes=True)
    if is_unknown and isinstance(error, errors.Unavailable) and not isinstance(error, errors.DatabaseOutcomeUnknown):
        return _failed(f"it did not say what became of it ({error.message})", changes=True)
    return error


def _problem(response: httpx.Response, body: bytes, *, changes: bool) -> errors.WorkflowError:
    status = response.status_code
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == PROBLEM_JSON:
        try:
            told = ProblemAnswer.model_validate_json(body, strict=True)
        except ValidationError:
            return bad_body(changes=changes)
        return _told(told, response)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return errors.ServerUnavailable(
            f"What stands in front of the server does not let us in (HTTP {status}). Check DLI_TOKEN."
        )
    if status in _NOT_DONE:
        return errors.ServerUnavailable(
            f"There is no workflow service at this address (HTTP {status}). Check DLI_SERVER_URL."
        )
    return _failed(f"its answer is no answer of a workflow service (HTTP {status})", changes=changes)


def _told(told: ProblemAnswer, response: httpx.Response) -> errors.WorkflowError:
    if told.code in _NO_SUCH_ROUTE:
        return errors.ServerUnavailable(
            "The server does not have this function: it may be of an older version, or DLI_SERVER_URL leads elsewhere."
        )
    known = errors.error_of(told.code)
    kind = known or _by_status(response.status_code)
    request_id = response.headers.get("X-Request-ID", "")
    named = f" (X-Request-ID: {quoted(request_id)})" if kind is errors.WorkflowError and request_id else ""
    found = [
        errors.Problem(message=item.message, field=item.field, line=item.line, column=item.column)
        for item in told.errors
    ]
    return kind.with_message(told.detail + named, code=None if known else told.code, problems=found)


def _by_status(status: int) -> type[errors.WorkflowError]:
    """The class of a code that this version does not know."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.Unavailable
    return _BY_STATUS.get(status, errors.InvalidRequest)


def _failed(how: str, *, changes: bool, at: Asked | None = None) -> errors.Unavailable:
    place = f" at {at.place}" if at else ""
    if changes:
        return errors.ServerOutcomeUnknown(
            f"The request was sent to the server{place}, but {how}. It may have been carried out."
        )
    return errors.ServerUnavailable(f"The server{place} was asked, but {how}.")
