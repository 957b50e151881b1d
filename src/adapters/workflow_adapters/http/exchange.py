"""One exchange with an HTTP server: bounded in time and size, and a read repeated once if its connection was dropped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx

from workflow_adapters.http.deadline import LimitedTransport, left
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY: Final = 16 * 2**20
"""Bytes of the largest answer that is read."""

NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
"""What httpx raises before anything of a request was sent."""

# A pooled connection that the server closed just now shows itself only when it is used.
_DROPPED: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class OutOfTimeError(Exception):
    """The time of the call was over before the request was sent."""


class UnreadableError(Exception):
    """The answer is larger than :data:`MAX_BODY`, or encoded."""


class Connections:
    """Connections to one server, for many threads. No redirect is followed, no cookie kept, and nothing but certificates is taken from
    the environment: what a client of httpx does beyond its transport is not wanted, and takes as long as the sending.

    ``read_timeout`` and ``connect_timeout`` are seconds, for a single read and for a connection or a free place among ``connections``.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        connect_timeout: float,
        read_timeout: float,
        connections: int,
    ) -> None:
        self._transport = LimitedTransport(connections=connections, encrypted=base_url.startswith("https:"))
        self._headers = {"user-agent": "workflow-core", "accept": "application/json", **_lowered(headers)}
        # Compressed answers would cost more than they save, and could be far larger than what is counted.
        self._headers["accept-encoding"] = "identity"
        self._timeout = httpx.Timeout(read_timeout, connect=connect_timeout, pool=connect_timeout).as_dict()

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Request:
        """A request, with the headers of all requests. Raises :class:`httpx.InvalidURL`."""
        every = {**self._headers, **_lowered(headers or {})}
        extensions = {"timeout": self._timeout}
        return httpx.Request(method, url, params=params, headers=every, content=content, extensions=extensions)

    def send(self, request: httpx.Request) -> httpx.Response:
        """The answer, its body unread: it has to be closed. Raises :class:`httpx.HTTPError`."""
        return self._transport.handle_request(request)

    def close(self) -> None:
        """Close the connections. A later request opens them anew."""
        self._transport.close()


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """In the one spelling of their names by which they replace each other."""
    return {name.lower(): value for name, value in headers.items()}


def exchange(connections: Connections, request: httpx.Request, *, changes: bool) -> tuple[httpx.Response, bytes]:
    """Send the request within the current :func:`~workflow_adapters.http.deadline.time_limit`; the answer and its body.

    A read (not ``changes``) is sent again, once, if its connection was dropped (RFC 9110, section 9.2.2).

    Raises:
        OutOfTimeError: before anything was sent.
        UnreadableError: the answer came, but not in a form that is read.
        httpx.HTTPError: there was none.
    """
    try:
        return _once(connections, request)
    except _DROPPED:
        if changes:
            raise
        return _once(connections, request)


def _once(connections: Connections, request: httpx.Request) -> tuple[httpx.Response, bytes]:
    remaining = left()
    if remaining is not None:
        if remaining <= 0:
            raise OutOfTimeError
        limits = request.extensions["timeout"]
        request.extensions["timeout"] = {**limits, "pool": min(limits["pool"], remaining)}
    response = connections.send(request)
    try:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise UnreadableError
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > MAX_BODY:
                raise UnreadableError
    finally:
        response.close()
    return response, bytes(body)


def checked_url(url: str, name: str) -> str:
    """The URL without a slash at its end; raises :class:`ConfigurationError`, which calls it ``name``, if it is not http(s) or
    carries credentials.
    """
    try:
        read = httpx.URL(url)
    except httpx.InvalidURL:
        read = httpx.URL("")
    if read.scheme not in {"http", "https"} or not read.host or read.userinfo or read.query or read.fragment:
        msg = f"{name} is not an address like https://host.example.com (without user, password or query)"
        raise ConfigurationError(msg)
    return str(read).rstrip("/")


def segment(part: str) -> str:
    """One part of a path; dots alone would be taken for a way up."""
    return part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="~")


def is_header(text: str) -> bool:
    """Whether this can be the value of a header."""
    return text.isascii() and text.isprintable() and text.strip() == text != ""


def encoded(body: Mapping[str, Any]) -> bytes:
    """The body as JSON. Raises :class:`ValueError` for a number that JSON does not have."""
    return json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def without_secrets(error: httpx.HTTPError | httpx.InvalidURL) -> Exception | None:
    """The error as a cause that a traceback may show: those about our own request can quote its headers."""
    return None if isinstance(error, httpx.LocalProtocolError) else error
