"""A real HTTP server that answers whatever it likes, byte for byte."""

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
class Asked:
    """A request that has come in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@frozen(kw_only=True)
class Hostile:
    """Where it is, and what it was asked for."""

    url: str
    asked: list[Asked] = field(factory=list)


def answer(body: bytes | str, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer."""
    data = body.encode() if isinstance(body, str) else body
    lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    return b"\r\n".join([f"HTTP/1.1 {status}".encode(), *(f"{n}: {v}".encode() for n, v in lines.items()), b"", data])


@contextmanager
def hostile(talk: Callable[[Asked], Iterable[bytes] | bytes]) -> Iterator[Hostile]:
    """A server that says to each request what ``talk`` says, and then hangs up."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.close_connection = True
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(method=self.command, path=self.path, headers=dict(self.headers), body=body)
            made.asked.append(asked)
            said = talk(asked)
            with suppress(OSError):  # who had enough hangs up
                for part in [said] if isinstance(said, bytes) else said:
                    self.wfile.write(part)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Hostile(url=f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
