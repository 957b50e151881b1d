"""Serve the application with uvicorn: on loopback only, and not before the port is ours."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import uvicorn

from entrypoints.loopback import loopback_address
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from litestar import Litestar

    from entrypoints.settings import Settings

_log = logging.getLogger(__name__)

GRACE: Final = 30
"""Seconds that requests under way have to end after the service was told to stop; longer than a registration waits."""


def serve(app: Litestar, settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then let the requests under way end, stop the application, and return.

    ``on_ready`` is called with the base URL as soon as requests are answered.

    Raises:
        ConfigurationError: the host is not loopback, the port is taken (nothing was started then), or the application
            did not start.
    """
    with listen(settings) as listener:
        url = _url(listener)
        config = uvicorn.Config(
            app,
            log_config=None,  # the process configures logging
            access_log=False,  # `tracing` writes one line for each request
            log_level=settings.log_level.lower(),
            server_header=False,
            proxy_headers=False,  # nothing in a request says who asks
            timeout_graceful_shutdown=GRACE,
        )
        server = _Server(config, lambda: on_ready(url) if on_ready else _log.info("serving at %s", url))
        with _interrupts(), suppress(SystemExit):  # uvicorn exits if the application does not start
            server.run(sockets=[listener])
        if not server.started:
            msg = "The service did not start; the log says why."
            raise ConfigurationError(msg)


def listen(settings: Settings) -> socket.socket:
    """A socket that is bound to the configured address.

    Raises:
        ConfigurationError: the host is not loopback, or the address cannot be had.
    """
    address = loopback_address(settings.host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # The protocol spelled out: asyncio sets TCP_NODELAY on no other, and each answer on a kept connection would take 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, settings.port))
        listener.listen(2048)  # so that a second process is refused here, not when the first one accepts
    except OSError as error:
        listener.close()
        msg = (
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}). Stop what listens there, or"
            " choose another port (WORKFLOWS_PORT)."
        )
        raise ConfigurationError(msg) from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn's, telling when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


@contextmanager
def _interrupts() -> Iterator[None]:
    """Return to the caller, who may have to clean up; uvicorn raises the signal that stopped it again at its end."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _log.info("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)
