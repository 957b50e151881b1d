"""Refuse requests to loopback under a foreign host name (DNS rebinding)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workflow_entrypoints.bind_address import _address

if TYPE_CHECKING:
    from litestar.types import Scope


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
