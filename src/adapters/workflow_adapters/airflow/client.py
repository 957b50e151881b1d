"""Requests to Airflow's REST API: authenticated, bounded in time and size, with every failure translated to an error of
the core.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict, TypeVar

import httpx
from attrs import frozen

from workflow_adapters.airflow import errors
from workflow_adapters.airflow.headers import basic, bearer, checked_headers
from workflow_adapters.causes import place_of
from workflow_adapters.http.deadline import left, time_limit
from workflow_adapters.http.exchange import (
    Connections,
    OutOfTimeError,
    UnreadableError,
    checked_url,
    encoded,
    exchange,
    segment,
    without_secrets,
)
from workflow_core.errors import ConfigurationError, Unavailable, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")

# Statuses that a call may handle; every other one is an error.
_MEANINGFUL: Final = frozenset(
    {
        HTTPStatus.OK,
        HTTPStatus.CREATED,
        HTTPStatus.NO_CONTENT,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
# A token that has expired is 401; one that was signed with an earlier secret of Airflow is 403 (3.3.2).
_LOCKED_OUT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Api(StrEnum):
    """The versions of Airflow's REST API, by their paths."""

    V1 = "api/v1"
    """Airflow 2; every request carries the password."""
    V2 = "api/v2"
    """Airflow 3; the password is exchanged for a token, which every request carries."""


@frozen(kw_only=True)
class _Request:
    method: str
    path: tuple[str, ...]
    params: Mapping[str, str | int | Sequence[str]] | None = None
    body: Mapping[str, Any] | None = None
    changes: bool = False
    also: HTTPStatus | None = None


@frozen(kw_only=True)
class Answer:
    """A response of Airflow.

    ``sent`` is its ``Date`` header; ``retry_after`` is the number of seconds of its ``Retry-After`` header, or None.
    """

    status: int
    api: Api
    body: bytes
    sent: str | None
    changes: bool
    retry_after: float | None = None

    @property
    def date(self) -> datetime | None:
        """The time of Airflow's clock, to the second; None if the response has none."""
        return _date(self.sent)

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> dict[str, Any]:
        """The body, a JSON object.

        Raises:
            AirflowUnavailable, AirflowOutcomeUnknown: it is not one.
        """
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise errors.bad_body(changes=self.changes) from None
        return value

    def speaks_of_a_route(self) -> bool:
        """Whether a 404 is about the address, not about the requested resource."""
        try:
            body = self.json()
        except Unavailable:
            return True
        if self.api is Api.V1:
            return not str(body.get("type", "")).endswith("/NotFound")  # the address of the page about this error
        return body.get("detail") in {None, "", "Not Found"}


class ClientSettings(TypedDict):
    """The settings of :class:`AirflowClient`, for code that passes them on."""

    username: str
    password: str
    token: NotRequired[str | None]
    headers: NotRequired[Mapping[str, str]]
    login_path: NotRequired[str]
    connect_timeout: NotRequired[float]
    read_timeout: NotRequired[float]
    total_timeout: NotRequired[float]
    connections: NotRequired[int]
    trace_headers: NotRequired[Callable[[], Mapping[str, str]] | None]


def read(answer: Answer, convert: Callable[[dict[str, Any]], T]) -> T:
    """Return the entity in a successful response."""
    if not answer.ok:
        raise errors.bad_status(answer.status, changes=answer.changes)
    try:
        return convert(answer.json())
    except errors.NONSENSE:
        raise errors.bad_body(changes=answer.changes) from None


def read_or_none(answer: Answer, convert: Callable[[dict[str, Any]], T | None]) -> T | None:
    """Return the entity in a successful response; None if the resource does not exist."""
    return None if answer.status == HTTPStatus.NOT_FOUND else read(answer, convert)


class AirflowClient:
    """A client of one Airflow; threads may share it.

    Args:
        base_url: the address of Airflow, without ``/api/v2``; a path in front is kept.
        api: the version of its API.
        username: of the user to log in as, unless ``token`` is given.
        password: that user's password.
        token: a bearer token to send instead of logging in.
        headers: sent with every request, for a gateway in front of Airflow. An ``Authorization`` among them replaces
            token, username and password.
        login_path: where the auth manager issues tokens.
        connect_timeout: seconds for a connection, and for a free place among ``connections``.
        read_timeout: seconds without any byte of the answer.
        total_timeout: seconds for a whole call, login included.
        connections: their maximum number; further calls wait for a free one.
        trace_headers: returns the headers of the current trace (``traceparent``), called for each request.

    Raises:
        ConfigurationError: ``base_url`` is not an http(s) URL or carries credentials, or the token or a header cannot
            be sent.
    """

    def __init__(  # noqa: PLR0913 - settings of one thing, all by name
        self,
        base_url: str,
        *,
        api: Api,
        username: str,
        password: str,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        login_path: str = "/auth/token",
        connect_timeout: float = 2.0,
        read_timeout: float = 10.0,
        total_timeout: float = 15.0,
        connections: int = 16,
        trace_headers: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self.base_url = checked_url(base_url, "AIRFLOW_BASE_URL")
        self.api = api
        headers = checked_headers(headers or {})
        self._login_url = self.base_url + login_path
        self._username = username
        self._password = password
        self._static = headers.pop("authorization", None)
        if token is not None:
            self._static = bearer(token)
        elif self._static is None and api is Api.V1:
            self._static = basic(username, password)
        self._authorization = self._static
        self._let_in_at: float | None = None
        self._login_lock = Lock()
        self._total_timeout = total_timeout
        self._trace_headers = trace_headers
        self._http = Connections(
            self.base_url,
            headers=headers,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            connections=connections,
        )

    def close(self) -> None:
        """Close the connections. A later call opens them anew."""
        self._http.close()

    @contextmanager
    def one_call(self) -> Iterator[None]:
        """All requests in the block together take no longer than ``total_timeout``."""
        with time_limit(self._total_timeout):
            yield

    def let_in_within(self, seconds: float) -> bool:
        """Whether Airflow has accepted our credentials within the last ``seconds``, and no call has failed since."""
        return self._let_in_at is not None and time.monotonic() - self._let_in_at <= seconds

    def get(
        self,
        *path: str,
        params: Mapping[str, str | int | Sequence[str]] | None = None,
        open_to_all: bool = False,
        also: HTTPStatus | None = None,
    ) -> Answer:
        """Read a resource.

        Args:
            path: the segments after the path of the API.
            params: the query.
            open_to_all: whether Airflow answers without credentials.
            also: a status that this call handles in addition to those that every call does.
        """
        return self._call(_Request(method="GET", path=path, params=params, also=also), open_to_all=open_to_all)

    def search(self, *path: str, body: Mapping[str, Any]) -> Answer:
        """Read through a POST that changes nothing."""
        return self._call(_Request(method="POST", path=path, body=body))

    def change(
        self, method: str, *path: str, body: Mapping[str, Any] | None = None, also: HTTPStatus | None = None
    ) -> Answer:
        """Change something. ``also`` as in :meth:`get`."""
        return self._call(_Request(method=method, path=path, body=body, changes=True, also=also))

    def _call(self, request: _Request, *, open_to_all: bool = False) -> Answer:
        try:
            answer = self._exchange(request, log_in=not open_to_all)
        except WorkflowError:
            self._let_in_at = None
            raise
        if not open_to_all:
            self._let_in_at = time.monotonic()
        return answer

    def _exchange(self, request: _Request, *, log_in: bool) -> Answer:
        url = "/".join((self.base_url, self.api.value, *map(segment, request.path)))
        with self.one_call():
            authorization = self._authorization or (self._log_in(None) if log_in else None)
            answer = self._send(request, url, authorization)
            if answer.status in _LOCKED_OUT and self._static is None:
                answer = self._send(request, url, self._log_in(authorization))
        if answer.status not in _MEANINGFUL and answer.status != request.also:
            raise errors.bad_status(answer.status, changes=request.changes, retry_after=answer.retry_after)
        if answer.status == HTTPStatus.NOT_FOUND and answer.speaks_of_a_route():
            raise errors.no_route()
        return answer

    def _send(self, request: _Request, url: str, authorization: str | None) -> Answer:
        headers = dict(self._trace_headers()) if self._trace_headers else {}
        if authorization is not None:
            headers["Authorization"] = authorization
        content = None
        began = time.monotonic()
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            content = encoded(request.body)
        try:
            prepared = self._http.request(request.method, url, params=request.params, headers=headers, content=content)
            response, body = exchange(self._http, prepared, changes=request.changes)
        except OutOfTimeError:
            raise errors.out_of_time(changes=False) from None  # not sent
        except UnreadableError:
            raise errors.bad_body(changes=request.changes) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            seconds = time.monotonic() - began
            raise errors.no_answer(
                error, changes=request.changes, place=place_of(self.base_url), seconds=seconds
            ) from without_secrets(error)
        return Answer(
            status=response.status_code,
            api=self.api,
            body=body,
            sent=response.headers.get("Date"),
            changes=request.changes,
            retry_after=_retry_after(response),
        )

    def _log_in(self, refused: str | None) -> str:
        """Return an authorization other than ``refused``. One thread logs in, the others wait for its token."""
        if not self._login_lock.acquire(timeout=left() or 0.0):
            raise errors.out_of_time(changes=False)
        try:
            if self._authorization is None or self._authorization == refused:
                self._authorization = None
                self._authorization = self._new_authorization()
            return self._authorization
        finally:
            self._login_lock.release()

    def _new_authorization(self) -> str:
        # A login changes nothing that matters: for the call that needs it, "certainly not done" is the truth.
        credentials = {"username": self._username, "password": self._password}
        answer = self._send(_Request(method="POST", path=(), body=credentials), self._login_url, None)
        token = answer.json().get("access_token") if answer.ok else None
        try:
            return bearer(token)
        except ConfigurationError:
            raise errors.login_refused(answer.status) from None


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds until the time of ``Retry-After``, which contains seconds or a date (RFC 9110, section
    10.2.3).
    """
    text = response.headers.get("Retry-After")
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = _date(text)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())
