"""The fault proxy: loopback addresses that stand for Airflow, S3 and PostgreSQL, and apply the scheduled fault to each
exchange.

One thread with an event loop serves all connections. HTTP is parsed into requests and responses, so that the proxy can
deliver a request and drop its response; PostgreSQL is a byte stream, in which a message of the client and the reply to
it are one exchange.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, Final, Self

from devstack.ports import LOOPBACK
from tests.chaos.faults import Fault, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any

    from tests.chaos.faults import Weather

    Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_HEAD: Final = 256 * 1024
_CHUNK: Final = 64 * 1024
_GARBAGE: Final = b"\x00\xff{]not a word of any protocol\r\n\r\n\x17\x03"
_ERRORS: Final = (b"500 Internal Server Error", b"502 Bad Gateway", b"503 Service Unavailable", b"504 Gateway Timeout")
_BODYLESS: Final = (b"204", b"304")


class Proxies:
    """The proxies, running from entering the ``with`` block to leaving it.

    Args:
        weather: what befalls the exchanges.
        targets: for each link the port on loopback that is behind it, asked for again at each connection.

    Attributes:
        ports: for each link the port that stands for it.
    """

    def __init__(self, weather: Weather, targets: Mapping[Link, Callable[[], int]]) -> None:
        self._weather = weather
        self._targets = targets
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies")
        self._servers: list[asyncio.Server] = []
        self._under_way: set[asyncio.Task[Any]] = set()
        self.ports: dict[Link, int] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> None:
        for link in self._targets:
            serve = self._database if link is Link.DATABASE else self._http
            server = await asyncio.start_server(self._tracked(link, serve), LOOPBACK, 0, limit=_HEAD)
            self._servers.append(server)
            self.ports[link] = server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _tracked(
        self, link: Link, serve: Callable[[Link, Streams], Coroutine[Any, Any, None]]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._under_way.add(task)
            try:
                # An error ends the connection, as in any other proxy.
                with contextlib.suppress(OSError, EOFError, asyncio.CancelledError, asyncio.LimitOverrunError):
                    await serve(link, (reader, writer))
            finally:
                self._under_way.discard(task)
                writer.close()

        return accepted

    # HTTP

    async def _http(self, link: Link, client: Streams) -> None:
        reader, writer = client
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"expect: 100-continue" in head.lower():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await _body(reader, head)
            fault, seconds = self._weather.draw(link)
            if fault is Fault.RESET:
                return _reset(writer)
            if fault is Fault.ERROR:
                writer.write(_error(seconds))
                continue
            if fault is Fault.LATE:
                await asyncio.sleep(seconds)
            answer = await _asked(self._targets[link](), head, body)
            if fault is Fault.SLOW:
                await asyncio.sleep(seconds)
            if fault is Fault.LOST:
                return _reset(writer)
            if fault is Fault.HALF:
                writer.write(answer[: max(1, len(answer) * 2 // 3)])
                await writer.drain()
                return _reset(writer)
            writer.write(
                _GARBAGE if fault is Fault.GARBAGE else _error(seconds) if fault is Fault.ERROR_AFTER else answer
            )
            await writer.drain()
            if fault is Fault.GARBAGE:
                return None

    # PostgreSQL

    async def _database(self, link: Link, client: Streams) -> None:
        behind = await asyncio.open_connection(LOOPBACK, self._targets[link]())
        exchange = _Exchange()
        there = asyncio.create_task(self._there(link, client, behind, exchange))
        back = asyncio.create_task(self._back(client, behind, exchange))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
            back.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            if exchange.fault is not None:
                _reset(client[1])
            behind[1].close()

    async def _there(self, link: Link, client: Streams, behind: Streams, exchange: _Exchange) -> None:
        while data := await client[0].read(_CHUNK):
            exchange.fault, exchange.seconds = self._weather.draw(link)
            if exchange.fault is Fault.RESET:
                return
            if exchange.fault is Fault.LATE:
                await asyncio.sleep(exchange.seconds)
                exchange.fault = None
            behind[1].write(data)
            await behind[1].drain()

    async def _back(self, client: Streams, behind: Streams, exchange: _Exchange) -> None:
        while data := await behind[0].read(_CHUNK):
            fault = exchange.fault
            if fault is Fault.LOST:
                return
            if fault is Fault.SLOW:
                await asyncio.sleep(exchange.seconds)
                exchange.fault = fault = None
            if fault is Fault.HALF:
                data = data[: len(data) // 2]
            client[1].write(_GARBAGE if fault is Fault.GARBAGE else data)
            await client[1].drain()
            if fault is not None:
                return


class _Exchange:
    """The fault for the last message of a database client."""

    fault: Fault | None = None
    seconds = 0.0


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    headers = _headers(head)
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        body = b""
        while size := int((line := await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += line + await reader.readexactly(size + 2)
        return body + line + await reader.readuntil(b"\r\n")
    return await reader.readexactly(int(headers.get(b"content-length", b"0")))


async def _asked(port: int, head: bytes, body: bytes) -> bytes:
    """The complete response to a request, changed so that the client's connection stays open."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port, limit=_HEAD)
    try:
        first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        kept = [line for line in lines if line.partition(b":")[0].lower() not in {b"connection", b"expect"}]
        writer.write(b"\r\n".join([first, *kept, b"Connection: close", b"", b""]) + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        headers = _headers(answer)
        status, *lines = answer.rstrip(b"\r\n").split(b"\r\n")
        if first.startswith(b"HEAD ") or status.split()[1] in _BODYLESS:
            content, length = b"", headers.get(b"content-length")
        else:
            content = await _content(reader, headers)
            length = str(len(content)).encode()
        dropped = {b"connection", b"content-length", b"transfer-encoding"}
        kept = [line for line in lines if line.partition(b":")[0].lower() not in dropped]
        if length is not None:
            kept.append(b"Content-Length: " + length)
        return b"\r\n".join([status, *kept, b"", b""]) + content
    finally:
        writer.close()


async def _content(reader: asyncio.StreamReader, headers: Mapping[bytes, bytes]) -> bytes:
    if b"chunked" not in headers.get(b"transfer-encoding", b""):
        length = headers.get(b"content-length")
        return await (reader.read() if length is None else reader.readexactly(int(length)))
    content = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        content += (await reader.readexactly(size + 2))[:-2]
    return content


def _headers(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines if name}


def _error(seconds: float) -> bytes:
    """An error response of a failing server or gateway."""
    status = _ERRORS[int(seconds * 1000) % len(_ERRORS)]
    body = b"<html>upstream trouble</html>"
    return b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST, like a peer that crashed, and not with FIN."""
    found: socket.socket | None = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
