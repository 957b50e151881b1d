"""Causes of failed requests, in words: never the name of a class, and nothing of the other side's response."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED: Final = "the connection was refused"
NO_NAME: Final = "its name does not resolve"
BROKEN: Final = "the connection broke"

_WORDS: Final = {
    "PoolTimeout": "no connection was free in time",
    "RemoteProtocolError": "the response is not HTTP, or ended too early: is that an https address?",
    "LocalProtocolError": "the request cannot be sent: check the headers and the token",
    "UnsupportedProtocol": "it is not an http or https address",
    "InvalidURL": "it is not an http or https address",
}


def cause_of(error: BaseException, *, seconds: float | None = None) -> str:
    """Return the cause of an error of httpx, urllib3 or a socket; ``seconds`` is the duration of the request."""
    chain = list(_chain(error))
    for link in chain:
        if type(link).__name__ in _WORDS:
            return _WORDS[type(link).__name__]
    for link in chain:
        if words := _of_socket(link):
            return words
    if any("Timeout" in kind.__name__ for link in chain for kind in type(link).__mro__):
        return "it timed out" + (f" after {seconds:.3g} s" if seconds is not None else "")
    return next((words for link in chain if (words := _of_system(link))), BROKEN)


def _of_socket(error: BaseException) -> str | None:
    if isinstance(error, socket.gaierror):
        return NO_NAME
    if isinstance(error, ssl.SSLCertVerificationError):
        return "TLS failed: its certificate is not trusted (SSL_CERT_FILE)"
    if isinstance(error, ssl.SSLError):
        return "TLS failed: is that an https address?"
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    if isinstance(error, ConnectionError):
        return BROKEN
    return None


def _of_system(error: BaseException) -> str | None:
    return os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and those that it was raised from; botocore and urllib3 keep them in attributes."""
    pending: list[object] = [error]
    visited: set[int] = set()
    while pending:
        link = pending.pop(0)
        if not isinstance(link, BaseException) or id(link) in visited:
            continue
        visited.add(id(link))
        yield link
        arguments = getattr(link, "kwargs", None)
        pending += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
        pending += arguments.values() if isinstance(arguments, dict) else []


def place_of(url: str) -> str:
    """Return scheme, host and port of a URL, without user, password, path and query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
