"""The addresses that a process of ours may listen on."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from workflow_core.domain.names import quoted
from workflow_core.errors import ConfigurationError


def listen_address(host: str, *, authenticated: bool) -> str:
    """The address of this host; any, if who asks is ``authenticated``.

    Raises:
        ConfigurationError: it is no address, or one that others than this host reach where nobody is authenticated.
    """
    if not authenticated:
        return loopback_address(host)
    found = _address(host)
    if found is None:
        msg = f"WORKFLOWS_HOST {quoted(host)} is no IP address (such as 0.0.0.0 or ::) and not localhost."
        raise ConfigurationError(msg)
    return str(found)


def loopback_address(host: str) -> str:
    """The address of a loopback host.

    Raises:
        ConfigurationError: it is another one: without authentication, who can reach the port may do everything.
    """
    address = _address(host)
    if address is None or not address.is_loopback:
        msg = (
            f"WORKFLOWS_HOST {quoted(host)} is not a loopback address (127.0.0.0/8, ::1, localhost). There is no authentication at"
            " this port: whoever can reach it may do everything, so that it is not opened to others (WORKFLOWS_AUTH)."
        )
        raise ConfigurationError(msg)
    return str(address)


@lru_cache(maxsize=64)
def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
