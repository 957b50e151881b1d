"""The id of a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from litestar.types import Scope


_HEADER: Final = b"x-request-id"


_SANE: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")


_ID: Final = "request_id"


def request_id(scope: Scope) -> str:
    """The caller's ``X-Request-ID`` if it is a short plain word, else a generated one.

    Constant for the whole request.
    """
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    if _ID not in state:
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        state[_ID] = given.decode() if _SANE.match(given) else uuid4().hex
    return str(state[_ID])
