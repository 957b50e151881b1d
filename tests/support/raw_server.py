"""A server below HTTP, for behaviour that no HTTP server has."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that calls ``talk`` for each connection until that raises."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    connection.recv(65536)
                    talk(connection)
                except OSError:
                    continue

    thread = Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def listen_only(connection: socket.socket) -> None:
    """Send nothing."""
    while connection.recv(65536):
        pass


def drip(head: bytes) -> Callable[[socket.socket], None]:
    """Send ``head``, then single bytes with pauses."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return talk


def endless(sent: list[int]) -> Callable[[socket.socket], None]:
    """Send a body of 100 MB, and count the accepted bytes in ``sent[0]``."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" " * 2**20)
            sent[0] += 2**20

    return talk
