"""The addresses that the service may listen on."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from workflow_core.domain.names import quoted
from workflow_core.errors import ConfigurationError


def listen_address(host: str, *, authenticated: bool) -> str:
    """Return the address of a host; any address if callers are ``authenticated``, otherwise a loopback address.

    Raises:
        ConfigurationError: it is not an address, or other hosts can reach it and callers are not authenticated.
    """
    if not authenticated:
        return loopback_address(host)
    address = _address(host)
    if address is None:
        msg = f"WORKFLOWS_HOST {quoted(host)} is neither an IP address (such as 0.0.0.0 or ::) nor localhost."
        raise ConfigurationError(msg)
    return str(address)


def loopback_address(host: str) -> str:
    """Return the address of a loopback host.

    Raises:
        ConfigurationError: it is another host: without authentication, any client that reaches the port may do
            everything.
    """
    address = _address(host)
    if address is None or not address.is_loopback:
        msg = (
            f"WORKFLOWS_HOST {quoted(host)} is not a loopback address (127.0.0.0/8, ::1, localhost). This port has no"
            " authentication: any client that reaches it may do everything, so it is not opened to other hosts (WORKFLOWS_AUTH)."
        )
        raise ConfigurationError(msg)
    return str(address)


@lru_cache(maxsize=64)
def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
