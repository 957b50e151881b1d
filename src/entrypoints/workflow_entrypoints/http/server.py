"""Serve the application with uvicorn: beyond loopback only with authentication, and only after the port is bound."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import signal
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from workflow_core.errors import ConfigurationError
from workflow_entrypoints.bind_address import listen_address
from workflow_entrypoints.http.header_timeout import heads_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from workflow_entrypoints.http.access_log import WorkflowApp
    from workflow_entrypoints.settings import Settings

_log = logging.getLogger(__name__)

LINGER: Final = 1.0
"""Seconds that idle connections are kept after the port is closed, for requests that are already on the network."""

_ATTACH_FILTER: Final = 26  # SO_ATTACH_FILTER, which Python has no name for


def serve(
    app: WorkflowApp,
    settings: Settings,
    *,
    on_ready: Callable[[str], None] | None = None,
    on_stop: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let active requests end, stop the application, and return.

    After SIGTERM readiness fails, but the service answers for ``WORKFLOWS_DRAIN`` seconds before it closes its port.
    SIGINT, or a second SIGTERM, closes the port at once.

    Args:
        app: The application.
        settings: The settings of the process.
        on_ready: Called with the base URL as soon as requests are answered.
        on_stop: Called at the signal, in its handler, so it must not wait.

    Raises:
        ConfigurationError: The host is not loopback and callers are not authenticated, the port is taken (nothing was
            started then), or the application did not start.
    """
    with listen(settings) as listener:
        url = _url(listener)
        config = config_of(app, settings)

        def stopping() -> None:
            app.is_draining = True
            if on_stop:
                on_stop()

        ready = partial(on_ready, url) if on_ready else partial(_log.info, "serving at %s", url)
        server = _Server(config, ready=ready, stopping=stopping, drain=settings.drain)
        with _interrupts(), suppress(SystemExit):  # uvicorn exits if the application does not start
            server.run(sockets=[listener])
        if not server.started:
            msg = "The service did not start; the log says why."
            raise ConfigurationError(msg)


def config_of(app: WorkflowApp, settings: Settings) -> uvicorn.Config:
    """The configuration with which uvicorn serves an application."""
    return uvicorn.Config(
        app,
        http=heads_within(settings.head_timeout),
        log_config=None,  # the process configures logging
        access_log=False,  # `access_log` writes one line for each request
        log_level=settings.log_level.lower(),
        server_header=False,
        proxy_headers=False,  # the address is that of the connection; `auth` decides which proxies are trusted
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace)),
    )


def listen(settings: Settings, *, port: int | None = None, variable: str = "WORKFLOWS_PORT") -> socket.socket:
    """Return a socket that is bound to the configured address.

    Args:
        settings: The settings of the process.
        port: The port, if it is not that of the service.
        variable: The setting of the port, for messages.

    Raises:
        ConfigurationError: The host is not loopback and callers are not authenticated, or the address is not available.
    """
    address = listen_address(settings.host, authenticated=settings.authenticates)
    port = settings.port if port is None else port
    if not ip_address(address).is_loopback:
        _log.warning("%s is served without encryption beyond this host: put TLS in front of it", address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # IPPROTO_TCP is explicit, because asyncio sets TCP_NODELAY only then:
    # without it each answer on a kept connection takes 40 ms longer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(2048)  # so that a second process is refused here, not when the first one accepts
    except OSError as error:
        listener.close()
        msg = (
            f"Port {port} of {settings.host} cannot be used ({error.strerror}). Stop the process that listens there,"
            f" or choose another port ({variable})."
        )
        raise ConfigurationError(msg) from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server, which reports when it is ready, and closes its port without resetting connections."""

    def __init__(
        self, config: uvicorn.Config, *, ready: Callable[[], None], stopping: Callable[[], None], drain: float
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping
        self._drain = drain
        self._drained_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called at a signal: begin to drain, or end the drain."""
        first = self._drained_at is None and not self.should_exit
        if first and sig == signal.SIGTERM and self.started:
            self._captured_signals.append(sig)
            self._drained_at = time.monotonic() + self._drain
        else:
            super().handle_exit(sig, frame)
        if first:
            self._stopping()  # last, because the next signal may interrupt it

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; returns whether to shut down."""
        drained = self._drained_at is not None and time.monotonic() >= self._drained_at
        return await super().on_tick(counter) or drained

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port, answer the requests that have arrived, stop the application."""
        await self._close_port(sockets or [])
        if self._drained_at is not None:
            until = time.monotonic() + LINGER
            while self.server_state.connections and time.monotonic() < until:  # noqa: ASYNC110 - uvicorn has no event for their end
                await asyncio.sleep(0.02)
        await super().shutdown(sockets)

    async def _close_port(self, listeners: list[socket.socket]) -> None:
        """Accept the connections that only the system has established: closing the port would reset them.

        Another one could be established between the last accept and the close (seen in 4 of 46 shutdowns under load).
        So the system first stops establishing connections: a client that connects in this time retries a second later,
        and is refused then.
        """
        waiting: list[socket.socket] = []
        for listener in listeners:
            _drop_new_connections(listener)
            with suppress(BlockingIOError):
                while True:
                    waiting.append(listener.accept()[0])
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            connection.settimeout(0)
            await loop.connect_accepted_socket(partial(self._protocol, loop), connection)

    def _protocol(self, loop: asyncio.AbstractEventLoop) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class  # as uvicorn's own startup makes it
        protocol: asyncio.Protocol = make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
        )
        return protocol


def _drop_new_connections(listener: socket.socket) -> None:
    """Drop every packet for the listener itself (a Linux socket filter); established connections are not affected."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one instruction of BPF: return 0
    with suppress(OSError):  # not Linux: the gap stays
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(drop_all)))


def _url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


@contextmanager
def _interrupts() -> Iterator[None]:
    """Return to the caller, which may have to clean up: uvicorn raises the signal that stopped it again at its end."""
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
