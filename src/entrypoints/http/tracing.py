"""One id and one log line for every request, whatever becomes of it."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

from litestar.datastructures import MutableScopeHeaders

from workflow_core.domain.names import shown

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from litestar.types import Message, Scope

_log = logging.getLogger("entrypoints.http.access")

_HEADER: Final = b"x-request-id"
_SANE: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")
_ID: Final = "request_id"
_STARTED: Final = "started"
_QUIET: Final = frozenset({"/healthz", "/readyz"})


def request_id(scope: Scope) -> str:
    """The caller's ``X-Request-ID`` if it is a short plain word, else one of ours; the same for the whole request."""
    state = _state(scope)
    if _ID not in state:
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        state[_ID] = given.decode() if _SANE.match(given) else uuid4().hex
    return str(state[_ID])


def raw_path(scope: Scope) -> str:
    """The path as it was sent, percent-encoded: Litestar puts a decoded and tidied one into ``scope["path"]``."""
    sent = (scope.get("raw_path") or b"").partition(b"?")[0].decode("ascii", errors="replace")
    return sent or quote(scope["path"])


def mark_start(scope: Scope) -> None:
    """Remember when the handling of the request began."""
    _state(scope)[_STARTED] = time.perf_counter()


async def stamp_answer(message: Message, scope: Scope) -> None:
    """Give the answer its id and write the log line (Litestar's ``before_send``)."""
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)["X-Request-ID"] = request_id(scope)
        _write_line(scope, message["status"])


def _write_line(scope: Scope, status: int) -> None:
    level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
    if not _log.isEnabledFor(level):
        return
    started = _state(scope).get(_STARTED)
    taken = "-" if started is None else f"{(time.perf_counter() - started) * 1000:.1f}"
    path = shown(scope["path"], limit=250).strip("'\"")
    _log.log(level, "%s %s %d %s ms %s", scope.get("method"), path, status, taken, request_id(scope))


def _state(scope: Scope) -> MutableMapping[str, Any]:
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    return state
