"""An upper limit on the time of a whole call, down to the single read from the socket.

httpx limits each connect, read and write, but not their sum: a server that sends one byte every nine seconds never hits
a read timeout of ten. Here every operation on a socket is limited to the remaining time of its call.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import local
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

_call = local()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit all exchanges of this thread in the block to ``seconds`` in total; a block inside another has no effect."""
    if left() is not None:
        yield
        return
    _call.ends_at = time.monotonic() + seconds
    try:
        yield
    finally:
        _call.ends_at = None


def left() -> float | None:
    """Return the remaining seconds of the current call, never below zero; None outside of any call."""
    ends_at: float | None = getattr(_call, "ends_at", None)
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())


def _cut(timeout: float | None, expired: type[Exception]) -> float | None:
    remaining = left()
    if remaining is None:
        return timeout
    if remaining <= 0:
        raise expired
    return remaining if timeout is None else min(timeout, remaining)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _cut(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _cut(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _cut(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        limit = _cut(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, limit, local_address, socket_options))


class LimitedTransport(httpx.HTTPTransport):
    """httpx's transport whose every socket operation ends with the call's :func:`time_limit`.

    Proxies of the environment are not used; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are.
    """

    def __init__(self, *, connections: int, encrypted: bool) -> None:
        # The other methods of HTTPTransport use nothing but this pool; httpx has no option for the pool's backend.
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context() if encrypted else None,  # reading the certificates takes 25 ms
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=30.0,
            network_backend=_Backend(),
        )
