"""One exchange with an HTTP server: bounded in time and size; a read is repeated once if its connection was dropped."""

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
"""Bytes of the largest response that is read."""

NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
"""Errors of httpx that come before any part of a request was sent."""

# That the server has closed a pooled connection is noticed only when it is used.
_DROPPED: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


class OutOfTimeError(Exception):
    """The call ran out of time before the request was sent."""


class UnreadableError(Exception):
    """The response is larger than :data:`MAX_BODY`, or compressed."""


class Connections:
    """Connections to one server; threads may share them.

    No redirect is followed, no cookie is kept, and only certificates are taken from the environment: the other features
    of an httpx client are not needed, and take as long as the sending.

    Args:
        base_url: the address of the server.
        headers: sent with every request.
        connect_timeout: seconds for a connection, and for a free place among ``connections``.
        read_timeout: seconds for a single read.
        connections: their maximum number.
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
        # Compression would cost more than it saves, and the body could be far larger than the bytes that are counted.
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
        """Return a request, with the headers of all requests. Raises :class:`httpx.InvalidURL`."""
        every = {**self._headers, **_lowered(headers or {})}
        extensions = {"timeout": self._timeout}
        return httpx.Request(method, url, params=params, headers=every, content=content, extensions=extensions)

    def send(self, request: httpx.Request) -> httpx.Response:
        """Return the response, its body unread: it has to be closed. Raises :class:`httpx.HTTPError`."""
        return self._transport.handle_request(request)

    def close(self) -> None:
        """Close the connections. A later request opens them anew."""
        self._transport.close()


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by their names in lower case, so that later ones replace earlier ones."""
    return {name.lower(): value for name, value in headers.items()}


def exchange(connections: Connections, request: httpx.Request, *, changes: bool) -> tuple[httpx.Response, bytes]:
    """Send a request within the current :func:`~workflow_adapters.http.deadline.time_limit`; return the response and
    its body.

    A read (not ``changes``) is sent again, once, if its connection was dropped (RFC 9110, section 9.2.2).

    Raises:
        OutOfTimeError: before anything was sent.
        UnreadableError: the response is too large, or compressed.
        httpx.HTTPError: there was no response.
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
    """Return the URL without a slash at its end.

    Raises:
        ConfigurationError: it is not http(s), or contains credentials; the message calls it ``name``.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo or parsed.query or parsed.fragment:
        msg = f"{name} is not an address like https://host.example.com (without user, password or query)"
        raise ConfigurationError(msg)
    return str(parsed).rstrip("/")


def segment(part: str) -> str:
    """Escape one segment of a path; dots alone would lead to a parent."""
    return part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="~")


def is_header(text: str) -> bool:
    """Whether a text can be the value of a header."""
    return text.isascii() and text.isprintable() and text.strip() == text != ""


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return the body as JSON. Raises :class:`ValueError` for a number that JSON cannot represent."""
    return json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def without_secrets(error: httpx.HTTPError | httpx.InvalidURL) -> Exception | None:
    """Return the error as a cause that is safe in a traceback: errors about the request itself can quote its headers."""
    return None if isinstance(error, httpx.LocalProtocolError) else error
