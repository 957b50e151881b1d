"""Translates errors of httpx and responses of Airflow to errors of the core, for the whole adapter.

The distinction is whether the request may have changed something. A read that fails is "unavailable". A change that
fails is "unavailable" only where it was certainly not carried out: no connection was made, or the response is a
refusal. Everything else is "outcome unknown". Messages contain the address, the HTTP status and the cause in words,
never a part of the response, of the request or of the credentials.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx

from workflow_adapters.causes import cause_of
from workflow_adapters.http.exchange import NEVER_SENT
from workflow_core.errors import AirflowOutcomeUnknown, AirflowUnavailable, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

# 303 is missing on purpose: it means that the request was carried out.
_REDIRECTS: Final = frozenset({301, 302, 307, 308})
_LOCKED_OUT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# A repeat may well succeed: too many requests, a server that is being restarted, a database that was locked.
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
# 4xx responses that can come after the work was begun.
_MAYBE_DONE: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT})

# Failures that ended at once. A timeout is not among them: a repeat does not help a slow server.
_PASSING_FAULTS: Final = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class NoSuchApi(AirflowUnavailable):
    """The server does not have this version of Airflow's API: certainly nothing was done."""


def no_answer(
    error: httpx.HTTPError | httpx.InvalidURL, *, changes: bool, place: str, seconds: float | None = None
) -> Unavailable:
    """Return the error for a request to ``place`` that ended without a response after ``seconds``."""
    cause = cause_of(error, seconds=seconds)
    passing = isinstance(error, _PASSING_FAULTS)
    if isinstance(error, NEVER_SENT):
        msg = f"Airflow at {place} cannot be reached: {cause}. Check AIRFLOW_BASE_URL."
        return AirflowUnavailable(msg, passing=passing, place=place)
    if changes:
        msg = f"The request was sent to Airflow at {place}, but no response came: {cause}."
        return AirflowOutcomeUnknown(msg, passing=passing, place=place)
    return AirflowUnavailable(f"Airflow at {place} did not answer: {cause}.", passing=passing, place=place)


def bad_status(status: int, *, changes: bool, retry_after: float | None = None) -> Unavailable:
    """Return the error for a status that the call does not handle; ``retry_after`` is that of the response (seconds)."""
    if status in _LOCKED_OUT:
        return AirflowUnavailable(
            f"Airflow rejects our credentials (HTTP {status}). Check the user's credentials and role."
        )
    if status in _REDIRECTS:
        return AirflowUnavailable(f"Airflow's address answers with a redirect (HTTP {status}). Check AIRFLOW_BASE_URL.")
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _MAYBE_DONE
    passing = status in _PASSING
    if changes and not refused:
        msg = f"Airflow failed while it handled the request (HTTP {status})."
        return AirflowOutcomeUnknown(msg, passing=passing, retry_after=retry_after)
    return AirflowUnavailable(f"Airflow cannot answer (HTTP {status}).", passing=passing, retry_after=retry_after)


def bad_body(*, changes: bool) -> Unavailable:
    """Return the error for a response that does not match Airflow's API: not JSON, over the size limit, or with other fields or types."""
    if changes:
        return AirflowOutcomeUnknown("The request was sent to Airflow, but its response is not readable.")
    return AirflowUnavailable("The response does not come from Airflow's API. Check AIRFLOW_BASE_URL.")


def no_route() -> NoSuchApi:
    """Return the error for a 404 about the route, not about the requested resource: nothing was done."""
    return NoSuchApi("Airflow's API is not at this address. Check AIRFLOW_BASE_URL and WORKFLOWS_AIRFLOW_API.")


def too_much(what: str, count: int) -> AirflowUnavailable:
    """Return the error for a result that is larger than the adapter reads."""
    return AirflowUnavailable(f"Airflow has more {what} than can be read ({count}).")


def out_of_time(*, changes: bool) -> Unavailable:
    """Return the error for a call that ran out of time, between two requests or within a response."""
    if changes:
        return AirflowOutcomeUnknown("The request was sent to Airflow, but the response took too long.")
    return AirflowUnavailable("Airflow took too long to answer.")


def login_refused(status: int) -> AirflowUnavailable:
    """Return the error for a login that was answered without a token."""
    kind = NoSuchApi if status == HTTPStatus.NOT_FOUND else AirflowUnavailable
    return kind(f"Airflow refused to log us in (HTTP {status}). Check AIRFLOW_USERNAME and AIRFLOW_PASSWORD.")


NONSENSE: Final = (ValueError, KeyError, TypeError, OverflowError)
"""Errors of the conversion of a response whose fields are missing or of the wrong type."""


@contextmanager
def nonsense(*, changes: bool) -> Iterator[None]:
    """Turn a missing field, or one of the wrong type, into :func:`bad_body`."""
    try:
        yield
    except NONSENSE:
        raise bad_body(changes=changes) from None
