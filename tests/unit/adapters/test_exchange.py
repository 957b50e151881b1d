"""Tests of the HTTP client that all adapters share: the headers it sends, and the responses it accepts."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpcore
import pytest

from tests.support.raw_server import raw_server
from workflow_adapters.http.exchange import Connections, exchange

if TYPE_CHECKING:
    import socket


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
OK = HEAD + b"\r\n{}"


def connections(url: str, **headers: str) -> closing[Connections]:
    """Connections with the settings of the adapters."""
    return closing(Connections(url, headers=headers, connect_timeout=2, read_timeout=5, connections=2))


class Scripted(httpcore.NetworkStream):
    """A connection that records what is written, and returns the same response to each request."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.sent = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.answer

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.sent += buffer

    def close(self) -> None:
        """Do nothing."""

    def get_extra_info(self, info: str) -> Any:
        return None


@pytest.fixture
def stream(monkeypatch) -> Scripted:
    """Each new connection is this one."""
    scripted = Scripted(OK)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", lambda *_args, **_named: scripted)
    return scripted


def test_a_later_header_replaces_an_earlier_one_in_any_spelling(stream):
    """This applies to the headers of the operator, those of the call, and those that are always sent."""
    with connections("http://a.test", Accept="text/plain", **{"X-Team": "a"}) as to:
        headers = {"X-TEAM": "b", "Content-Type": "application/json"}
        exchange(to, to.request("POST", "http://a.test/x", headers=headers, content=b"{}"), changes=True)
    head, _, _ = stream.sent.lower().partition(b"\r\n\r\n")
    sent = [line.split(b": ") for line in head.split(b"\r\n")[1:]]
    assert dict(sent) == {
        b"host": b"a.test",
        b"user-agent": b"workflow-core",
        b"accept": b"text/plain",
        b"accept-encoding": b"identity",
        b"x-team": b"b",
        b"content-type": b"application/json",
        b"content-length": b"2",
    }
    assert len(sent) == 7


def test_no_cookie_is_stored_and_no_redirect_followed(stream):
    """A cookie from one response is not sent with the next request."""
    stream.answer = (HEAD + b"Set-Cookie: a=b\r\nLocation: http://b.test/\r\n\r\n{}").replace(b"200 OK", b"302 Found")
    with connections("http://a.test") as to:
        for _ in range(2):
            assert exchange(to, to.request("GET", "http://a.test/x"), changes=False)[0].status_code == 302
    assert stream.sent.count(b"GET /x") == 2
    assert b"cookie" not in stream.sent.lower()


def test_connections_reopen_after_close():
    """A service that was closed can be used again."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(OK)

    with raw_server(talk) as url, connections(url) as to:
        for _ in range(2):
            assert exchange(to, to.request("GET", url), changes=False)[1] == b"{}"
            to.close()
