"""Refuse requests to loopback under a foreign host name (DNS rebinding)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workflow_entrypoints.bind_address import _address

if TYPE_CHECKING:
    from litestar.types import Scope


def is_rebound(scope: Scope) -> bool:
    """Whether a request to loopback carries a foreign host name.

    A web page in a browser on this host can send one, if the owner of its domain lets the domain resolve to 127.0.0.1:
    to the browser, that is a request to the same site. An IP address or ``localhost`` cannot be such a domain.
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
