"""How long a connection may take for the head of a request; over real sockets, with a small application behind."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from tests.support.http_served import serving
from workflow_entrypoints.http.header_timeout import heads_within

WITHIN = 0.6
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the body, takes its time where it is asked for that, and answers."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(2 * WITHIN)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture(scope="module")
def board():
    with serving(http=heads_within(WITHIN)) as running:
        running.app = application
        yield running


@pytest.fixture
def connection(board):
    with socket.create_connection(("127.0.0.1", int(board.url.rsplit(":", 1)[1])), timeout=10) as opened:
        yield opened


def told(connection: socket.socket, until: bytes | None = None) -> bytes:
    """What comes, until that has come, or the connection ends."""
    received = b""
    while until is None or until not in received:
        try:
            chunk = connection.recv(65536)
        except ConnectionError:
            break
        if not chunk:
            break
        received += chunk
    return received


def trickle(connection: socket.socket, data: bytes) -> bool:
    """Send a byte now and then; whether the other side took all of it."""
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
        except ConnectionError:
            return False
        time.sleep(WITHIN / 5)
    return True


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["nothing", "half of it"])
def test_a_head_that_does_not_come_ends_the_connection(connection, first):
    """Without an answer."""
    connection.sendall(first)
    assert told(connection) == b""


def test_a_head_that_trickles_in_ends_the_connection(connection):
    """Each byte in time does not make the whole so."""
    assert not trickle(connection, REQUEST)


def test_so_does_that_of_a_second_request(connection):
    """On a connection that has been good so far."""
    connection.sendall(REQUEST)
    assert told(connection, b"ok").startswith(b"HTTP/1.1 200 ")
    assert not trickle(connection, REQUEST)


def test_an_answer_may_take_longer(connection):
    """Only the head is bounded by this, and whoever sends a whole one may send another when it is answered."""
    for _ in range(2):
        connection.sendall(SLOW)
        assert told(connection, b"ok").startswith(b"HTTP/1.1 200 ")


def test_a_body_may_take_longer(connection):
    """It has a time of its own."""
    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n")
    assert trickle(connection, b"0123456789ab")
    assert told(connection, b"ok").startswith(b"HTTP/1.1 200 ")


def test_a_second_request_may_wait_for_the_first(connection):
    """Both heads came in time; that the second one is read later is no fault of its sender."""
    connection.sendall(SLOW + REQUEST)
    assert told(connection, b"okHTTP/1.1 200 ").count(b"HTTP/1.1 200 ") == 2
