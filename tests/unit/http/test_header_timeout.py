"""Tests of the time limit for the head of a request, over real sockets and with a small application."""

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
    """Read the body, delay the response if the request asks for it, and respond."""
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


def read_until(connection: socket.socket, until: bytes | None = None) -> bytes:
    """Read until the given bytes have arrived or the connection ends."""
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
    """Send the data byte by byte with pauses; return whether the server accepted all of it."""
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
        except ConnectionError:
            return False
        time.sleep(WITHIN / 5)
    return True


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["nothing", "half of it"])
def test_an_incomplete_head_ends_the_connection(connection, first):
    """The server closes the connection without a response."""
    connection.sendall(first)
    assert read_until(connection) == b""


def test_a_head_that_arrives_slowly_ends_the_connection(connection):
    """The limit applies to the whole head, not to each byte."""
    assert not trickle(connection, REQUEST)


def test_an_incomplete_second_head_ends_the_connection(connection):
    """The limit also applies to later requests on a connection."""
    connection.sendall(REQUEST)
    assert read_until(connection, b"ok").startswith(b"HTTP/1.1 200 ")
    assert not trickle(connection, REQUEST)


def test_a_response_may_take_longer(connection):
    """The limit applies only to the head, and the connection can be used again after the response."""
    for _ in range(2):
        connection.sendall(SLOW)
        assert read_until(connection, b"ok").startswith(b"HTTP/1.1 200 ")


def test_a_body_may_take_longer(connection):
    """The body has a separate time limit."""
    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n")
    assert trickle(connection, b"0123456789ab")
    assert read_until(connection, b"ok").startswith(b"HTTP/1.1 200 ")


def test_a_pipelined_request_may_wait_for_the_first(connection):
    """Both heads arrived in time; the server reads the second one later."""
    connection.sendall(SLOW + REQUEST)
    assert read_until(connection, b"okHTTP/1.1 200 ").count(b"HTTP/1.1 200 ") == 2
