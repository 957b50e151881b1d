"""TCP ports on loopback."""

from __future__ import annotations

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range that Linux hands to outgoing connections (32768 up), so that no client socket of another program takes
# a port between our looking and the server's binding; above the ports that well-known services use.
_FIRST, _LAST = 20_000, 32_000
_random = random.SystemRandom()


class PortInUseError(RuntimeError):
    """A port that a server needs is held by something else."""

    def __init__(self, port: int, purpose: str) -> None:
        self.port = port
        self.purpose = purpose
        super().__init__(
            f"port {port}, wanted for {purpose}, is in use on this machine; stop what listens there or choose another"
        )


def free_ports(n: int) -> list[int]:
    """Return ``n`` distinct ports on which nothing listens, on any address of this machine.

    All are held at the same time before any is released. Another program can still take one before the caller does:
    start the server soon, and check with :func:`require_free`.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(n * 200):
            if len(ports) == n:
                return ports
            port = _random.randint(_FIRST, _LAST)
            candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                candidate.bind(("", port))
            except OSError:
                candidate.close()
                continue
            held.enter_context(contextlib.closing(candidate))
            ports.append(port)
    if len(ports) == n:
        return ports
    msg = f"found {len(ports)} of {n} free ports between {_FIRST} and {_LAST}"
    raise RuntimeError(msg)


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Say whether something accepts connections on ``host:port``."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Say whether a server could listen on ``port`` now, on every address of this machine."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        # As servers do: connections that linger in TIME_WAIT do not count, listeners do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def require_free(port: int, purpose: str) -> None:
    """Do nothing if ``port`` is free; otherwise raise :class:`PortInUseError`, which names the port and its purpose."""
    if not is_free(port):
        raise PortInUseError(port, purpose)
