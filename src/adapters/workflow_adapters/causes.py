"""Why another system could not be asked, in words: never the name of a class, and nothing that the other side said."""

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
    "RemoteProtocolError": "what came is not HTTP, or ended too early: is that an https address?",
    "LocalProtocolError": "the request cannot be sent as it is: see the headers and the token",
    "UnsupportedProtocol": "it is not an http or https address",
    "InvalidURL": "it is not an http or https address",
}


def cause_of(error: BaseException, *, seconds: float | None = None) -> str:
    """The cause of an error of httpx, urllib3 or a socket; ``seconds`` is how long it took."""
    chain = list(_chain(error))
    for one in chain:
        if type(one).__name__ in _WORDS:
            return _WORDS[type(one).__name__]
    for one in chain:
        if words := _of_socket(one):
            return words
    if any("Timeout" in kind.__name__ for one in chain for kind in type(one).__mro__):
        return "it timed out" + (f" after {seconds:.3g} s" if seconds is not None else "")
    return next((words for one in chain if (words := _of_system(one))), BROKEN)


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
    """The error and what it was raised from; botocore and urllib3 keep that in attributes."""
    left: list[object] = [error]
    known: set[int] = set()
    while left:
        one = left.pop(0)
        if not isinstance(one, BaseException) or id(one) in known:
            continue
        known.add(id(one))
        yield one
        kept = getattr(one, "kwargs", None)
        left += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        left += kept.values() if isinstance(kept, dict) else []


def place_of(url: str) -> str:
    """Where a URL leads: scheme, host and port, without user, password, path and query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
