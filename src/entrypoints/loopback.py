"""The addresses that a process of ours may listen on."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workflow_core.domain.names import shown
from workflow_core.errors import ConfigurationError

if TYPE_CHECKING:
    from litestar.types import Scope


def listen_address(host: str, *, authenticated: bool) -> str:
    """The address of this host; any, if who asks is ``authenticated``.

    Raises:
        ConfigurationError: it is no address, or one that others than this host reach where nobody is authenticated.
    """
    if not authenticated:
        return loopback_address(host)
    found = _address(host)
    if found is None:
        msg = f"WORKFLOWS_HOST {shown(host)} is no IP address (such as 0.0.0.0 or ::) and not localhost."
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
            f"WORKFLOWS_HOST {shown(host)} is not a loopback address (127.0.0.0/8, ::1, localhost). There is no authentication at"
            " this port: whoever can reach it may do everything, so that it is not opened to others (WORKFLOWS_AUTH)."
        )
        raise ConfigurationError(msg)
    return str(address)


def is_rebound(scope: Scope) -> bool:
    """Whether loopback was asked under a name that is not its own.

    So does a page in a browser on this host whose owner lets the page's own name lead to 127.0.0.1 (DNS rebinding): to the browser,
    that is no request to another site. An address, or ``localhost``, is nobody's name.
    """
    ours = _address((scope.get("server") or ("", 0))[0])
    if ours is None or not ours.is_loopback:
        return False
    asked = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    try:
        host = (urlsplit(f"//{asked}").hostname or "").rstrip(".")
    except ValueError:
        return True
    return host != "" and not host.endswith(".localhost") and _address(host) is None


@lru_cache(maxsize=64)
def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
