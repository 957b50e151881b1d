"""One real HTTP server on loopback for several applications in turn."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from workflow_entrypoints.http.header_timeout import heads_within
from workflow_entrypoints.http.server import listen
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Switchboard:
    """An ASGI application that delegates to the current ``app``; ``url`` is its address."""

    url: str
    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@contextmanager
def serving(**options: Any) -> Iterator[Switchboard]:
    """A server in a thread, as ``dli serve`` has it but for the signals and the start and end of the application.

    ``options`` are further ones of uvicorn.
    """
    board = Switchboard()
    with listen(Settings(port=0)) as listener:
        board.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fixed: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "server_header": False}
        fixed["proxy_headers"] = False  # the peer is that of the connection, not that of a header
        fixed["http"] = heads_within(Settings().head_timeout)
        config = uvicorn.Config(board, **{**fixed, **options})
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        try:
            yield board
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
