"""The one place where what httpx and Airflow answer becomes an error of ours.

What decides is whether the request may have changed something. A read that fails is "unavailable". A change that fails is
"unavailable" only where it was certainly not carried out: no connection was made, or the answer itself says no. Everything else is
"outcome unknown". Messages carry the address, the HTTP status and the cause in words, never a part of the answer, of the request or of the
credentials.
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

# 303 is missing on purpose: it says that the request was carried out.
_REDIRECTS: Final = frozenset({301, 302, 307, 308})
_LOCKED_OUT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# What the same request may well not meet again: too many requests, a server that is being restarted, a database that was locked.
_PASSING: Final = frozenset({429, 500, 502, 503, 504})
# Answers of the class "your request is wrong" that can come after the work was begun.
_MAYBE_DONE: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT})

# What ended at once. A timeout is none of these: whoever is slow is not helped by being asked again.
_PASSING_FAULTS: Final = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class NoSuchApi(AirflowUnavailable):
    """Whoever answers there does not speak this dialect of Airflow's API: certainly nothing was done."""


def no_answer(
    error: httpx.HTTPError | httpx.InvalidURL, *, changes: bool, place: str, seconds: float | None = None
) -> Unavailable:
    """The error for a request to ``place`` that ended without an answer after so many seconds."""
    cause = cause_of(error, seconds=seconds)
    passing = isinstance(error, _PASSING_FAULTS)
    if isinstance(error, NEVER_SENT):
        msg = f"Airflow at {place} cannot be reached: {cause}. Check AIRFLOW_BASE_URL."
        return AirflowUnavailable(msg, passing=passing, place=place)
    if changes:
        msg = f"The request was sent to Airflow at {place}, but its answer never came: {cause}."
        return AirflowOutcomeUnknown(msg, passing=passing, place=place)
    return AirflowUnavailable(f"Airflow at {place} did not answer: {cause}.", passing=passing, place=place)


def bad_status(status: int, *, changes: bool, retry_after: float | None = None) -> Unavailable:
    """The error for a status that means nothing to the call at hand; ``retry_after`` is what the answer asks for (seconds)."""
    if status in _LOCKED_OUT:
        return AirflowUnavailable(f"Airflow does not let us in (HTTP {status}). Check the user's credentials and role.")
    if status in _REDIRECTS:
        return AirflowUnavailable(f"Airflow's address answers with a redirect (HTTP {status}). Check AIRFLOW_BASE_URL.")
    refused = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _MAYBE_DONE
    passing = status in _PASSING
    if changes and not refused:
        msg = f"Airflow failed while it handled the request (HTTP {status})."
        return AirflowOutcomeUnknown(msg, passing=passing, retry_after=retry_after)
    return AirflowUnavailable(f"Airflow cannot answer (HTTP {status}).", passing=passing, retry_after=retry_after)


def bad_body(*, changes: bool) -> Unavailable:
    """The error for an answer that is not what Airflow's API says: not JSON, too large, other fields or types."""
    if changes:
        return AirflowOutcomeUnknown("The request was sent to Airflow, but its answer makes no sense.")
    return AirflowUnavailable("The answer does not come from Airflow's API. Check AIRFLOW_BASE_URL.")


def no_route() -> NoSuchApi:
    """The error for a 404 that speaks of the route, not of the thing asked for: nothing was done, by whoever answered."""
    return NoSuchApi("Airflow's API is not at this address. Check AIRFLOW_BASE_URL and WORKFLOWS_AIRFLOW_API.")


def too_much(what: str, count: int) -> AirflowUnavailable:
    """The error for an answer that would be larger than what we take."""
    return AirflowUnavailable(f"Airflow has more {what} than can be read ({count}).")


def out_of_time(*, changes: bool) -> Unavailable:
    """The error for a call that may take no longer, between two requests or in the middle of an answer."""
    if changes:
        return AirflowOutcomeUnknown("The request was sent to Airflow, but its answer took too long.")
    return AirflowUnavailable("Airflow took too long to answer.")


def login_refused(status: int) -> AirflowUnavailable:
    """The error for a login that was answered, but not with a token."""
    kind = NoSuchApi if status == HTTPStatus.NOT_FOUND else AirflowUnavailable
    return kind(f"Airflow refused to log us in (HTTP {status}). Check AIRFLOW_USERNAME and AIRFLOW_PASSWORD.")


@contextmanager
def nonsense(*, changes: bool) -> Iterator[None]:
    """A field of an answer that is missing or of the wrong type becomes :func:`bad_body`."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError):
        raise bad_body(changes=changes) from None
