"""Malformed and ambiguous HTTP: the server and a proxy in front of it must agree on where a request ends."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit

import pytest

from tests.support.http_stack import NAME, ROOT

HOST = b"Host: 127.0.0.1\r\n"
PAUSE = f"POST {ROOT}/{NAME}/pause HTTP/1.1\r\n".encode() + HOST + b"Content-Length: 0\r\n\r\n"
"""The request that an attacker hides behind another one."""

ALIVE = b"GET /healthz HTTP/1.1\r\n" + HOST
RUN = f"POST {ROOT}/{NAME}/run HTTP/1.1\r\n".encode() + HOST + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"\r\n0\r\n\r\n"


def sent(url: str, data: bytes) -> tuple[list[int], bool]:
    """The statuses of the responses to these bytes, and whether the server then closed the connection."""
    parts = urlsplit(url)
    answer = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=10.0) as connection:
        try:
            connection.sendall(data)
            while received := connection.recv(65_536):
                answer += received
            closed = True
        except TimeoutError:
            closed = False
        except ConnectionError:
            closed = True
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)], closed


MALFORMED = {
    "two lengths": ALIVE + b"Content-Length: 0\r\nContent-Length: 99\r\n\r\n",
    "a list of lengths": ALIVE + b"Content-Length: 0, 99\r\n\r\n",
    "a length with a sign": ALIVE + b"Content-Length: +0\r\n\r\n",
    "a negative length": ALIVE + b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": ALIVE + b"Content-Length: 0x0\r\n\r\n",
    "an empty length": ALIVE + b"Content-Length: \r\n\r\n",
    "a length of 30 digits": ALIVE + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    "another coding": ALIVE + b"Transfer-Encoding: gzip, chunked\r\n" + END,
    "an unknown coding": ALIVE + b"Transfer-Encoding: xchunked\r\n" + END,
    "chunked twice": ALIVE + CHUNKED + CHUNKED + END,
    "identity, then chunked": ALIVE + b"Transfer-Encoding: identity\r\n" + CHUNKED + END,
    "a space before the colon": ALIVE + b"Transfer-Encoding : chunked\r\n" + END,
    "a vertical tab in the value": ALIVE + b"Transfer-Encoding: \x0bchunked\r\n" + END,
    "a CR in a value": ALIVE + b"X: y\rContent-Length: 99\r\n\r\n",
    "a NUL in a value": ALIVE + b"X: y\0z\r\n\r\n",
    "two hosts": ALIVE + b"Host: other\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "a space in the path": b"GET /api/v1/ workflows HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in the path": b"GET /api/v1/workflows/\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "a chunk of size 0x2": RUN + CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk of size +2": RUN + CHUNKED + b"\r\n+2\r\n{}\r\n0\r\n\r\n",
    "a chunk of size -2": RUN + CHUNKED + b"\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk of size 2^80": RUN + CHUNKED + b"\r\nffffffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it says": RUN + CHUNKED + b"\r\n2\r\n{}XX0\r\n\r\n",
    "chunks ended by LF": RUN + CHUNKED + b"\r\n2\n{}\n0\n\n",
    "a header of a megabyte": ALIVE + b"X: " + b"a" * 2**20 + b"\r\n\r\n",
}


@pytest.mark.parametrize("head", MALFORMED.values(), ids=MALFORMED)
def test_a_request_with_an_ambiguous_end_closes_the_connection(board, stack, head):
    """There is at most one response, 400, and later bytes on the connection are not parsed as a request."""
    before = stack.stored()
    statuses, closed = sent(board.url, head + PAUSE)
    assert (statuses or [400], closed) == ([400], True)
    assert stack.stored() == before


@pytest.mark.parametrize("first", ["Content-Length", "Transfer-Encoding"])
@pytest.mark.parametrize("path", ["/healthz", f"{ROOT}/{NAME}", "/nothing"])
def test_a_request_with_length_and_chunks_closes_the_connection(board, stack, first, path):
    """Bytes that one interpretation reads as a body are not executed as the next request (RFC 9112, section 6.1)."""
    before = stack.stored()
    lines = [f"Content-Length: {len(PAUSE) + 5}", "Transfer-Encoding: chunked"]
    lines = lines if first == "Content-Length" else lines[::-1]
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "".join(f"{line}\r\n" for line in lines) + "\r\n"
    statuses, closed = sent(board.url, head.encode() + b"0\r\n\r\n" + PAUSE)
    assert (len(statuses), closed) == (1, True)
    assert stack.stored() == before


def test_the_smuggled_request_is_effective_when_sent_properly(board, stack):
    """Sent regularly, the smuggled request has the attacker's effect, so that these tests can fail."""
    last = PAUSE.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    assert sent(board.url, ALIVE + b"\r\n" + last) == ([200, 200], True)
    assert stack.get(NAME).json()["status"] == "paused"


ODD = {
    "another method": (f"PAUSE {ROOT}/{NAME}/pause HTTP/1.1", 405),
    "a method in small letters": (f"post {ROOT}/{NAME}/pause HTTP/1.1", 405),
    "TRACE": (f"TRACE {ROOT}/{NAME} HTTP/1.1", 405),
    "CONNECT": ("CONNECT evil.example:443 HTTP/1.1", 404),
    "a star": ("OPTIONS * HTTP/1.1", 404),
    "a whole URL": (f"POST http://evil.example{ROOT}/{NAME}/pause HTTP/1.1", 404),
    "a file": (f"POST file://{ROOT}/{NAME}/pause HTTP/1.1", 404),
    "a fragment": (f"POST {ROOT}/{NAME}/pause#/healthz HTTP/1.1", 404),
    "dots": (f"POST /healthz/..{ROOT}/{NAME}/pause HTTP/1.1", 404),
    "encoded dots": (f"POST /healthz/%2e%2e{ROOT}/{NAME}/pause HTTP/1.1", 404),
    "a backslash": (f"POST {ROOT}\\{NAME}\\pause HTTP/1.1", 404),
    "a doubled slash": (f"POST /{ROOT}/{NAME}/pause HTTP/1.1", 404),
    "an encoded slash": (f"POST {ROOT}/{NAME}%2Fpause HTTP/1.1", 400),
    "an encoded slash before the name": (f"POST {ROOT}%2F{NAME}/pause HTTP/1.1", 400),
    "a slash encoded twice": (f"POST {ROOT}/{NAME}%252Fpause HTTP/1.1", 405),
    "a parameter of the path": (f"POST {ROOT}/{NAME};v=1/pause HTTP/1.1", 400),
    "a NUL at the end": (f"POST {ROOT}/{NAME}/pause%00 HTTP/1.1", 404),
    "capitals": (f"POST {ROOT.upper()}/{NAME}/pause HTTP/1.1", 404),
}


@pytest.mark.parametrize(("line", "status"), ODD.values(), ids=ODD)
def test_each_resource_has_one_spelling(board, stack, line, status):
    """No other spelling of a method or a path reaches the same handler."""
    before = stack.stored()
    statuses, _ = sent(
        board.url, f"{line}\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    )
    assert statuses == [status]
    assert stack.stored() == before


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0"])
def test_protocol_upgrades_are_ignored(board, stack, upgrade):
    """An upgrade is not answered with 101, and the response is HTTP."""
    more = f"Upgrade: {upgrade}\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    assert sent(board.url, ALIVE + more + ALIVE + b"Connection: close\r\n\r\n") == ([200, 200], True)
