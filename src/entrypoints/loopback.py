"""The only address that a process of ours listens on while there is no authentication."""

from __future__ import annotations

import ipaddress

from workflow_core.domain.names import shown
from workflow_core.errors import ConfigurationError


def loopback_address(host: str) -> str:
    """The address of a loopback host.

    Raises:
        ConfigurationError: it is another one: without authentication, who can reach the port may do everything.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        msg = (
            f"WORKFLOWS_HOST {shown(host)} is not a loopback address (127.0.0.0/8, ::1, localhost). There is no"
            " authentication yet: whoever can reach the port may do everything, so that it is not opened to others."
        )
        raise ConfigurationError(msg)
    return str(address)
