"""A real HTTP server that sends arbitrary bytes as responses."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CANARY = "HOSTILE"
"""Stands in every text that such a server says: none of it may be repeated."""


@frozen(kw_only=True)
class ReceivedRequest:
    """A request that the server has received."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@frozen(kw_only=True)
class HostileServer:
    """The server's URL and the requests it has received."""

    url: str
    asked: list[ReceivedRequest] = field(factory=list)


def answer(body: bytes | str, status: str = "200 OK", **headers: str) -> bytes:
    """A complete response."""
    data = body.encode() if isinstance(body, str) else body
    lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    return b"\r\n".join([f"HTTP/1.1 {status}".encode(), *(f"{n}: {v}".encode() for n, v in lines.items()), b"", data])


@contextmanager
def hostile(talk: Callable[[ReceivedRequest], Iterable[bytes] | bytes]) -> Iterator[HostileServer]:
    """Run a server that sends the result of ``talk`` for each request and then closes the connection."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = ReceivedRequest(method=self.command, path=self.path, headers=dict(self.headers), body=body)
            made.asked.append(asked)
            said = talk(asked)
            with suppress(OSError):  # clients may disconnect early
                for part in [said] if isinstance(said, bytes) else said:
                    self.wfile.write(part)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = HostileServer(url=f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
