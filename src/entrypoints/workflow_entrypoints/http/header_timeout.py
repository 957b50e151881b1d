"""A timeout for request heads: without it, uvicorn waits for ever for a head whose bytes trickle in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio


def heads_within(seconds: float) -> type[H11Protocol]:
    """Return uvicorn's HTTP/1.1 protocol with a limit of ``seconds`` for each request head.

    The time runs from the opening of the connection, and from the first byte of each further request. The connection is
    then closed without an answer, because such a client does not read one. The idle time between two requests is
    uvicorn's (``timeout_keep_alive``).
    """

    class BoundedHeads(H11Protocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
            super().connection_made(transport)
            self._head = self.loop.call_later(seconds, transport.close)

        def data_received(self, data: bytes) -> None:
            if self._head is None and self.cycle.response_complete:
                self._head = self.loop.call_later(seconds, self.transport.close)
            before = self.cycle
            super().data_received(data)
            if self.cycle is not before:
                self._is_whole()

        def connection_lost(self, exc: Exception | None) -> None:
            self._is_whole()
            super().connection_lost(exc)

        def _is_whole(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return BoundedHeads
