"""One id and one log line for every request, whatever becomes of it."""

from __future__ import annotations

import logging
import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote
from uuid import uuid4

from attrs import define, field
from litestar import Litestar
from litestar.enums import ScopeType

from entrypoints.logs import FIELDS, bound
from workflow_core.domain.names import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

    from entrypoints.http.waiting import Waiting
    from entrypoints.metrics import Metrics
    from entrypoints.traces import Traces

_log = logging.getLogger("entrypoints.http.access")

_HEADER: Final = b"x-request-id"
_SANE: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")
_ID: Final = "request_id"
_QUIET: Final = frozenset({"/healthz", "/readyz", "/dependencies", "/metrics"})
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

_HARDENING: Final = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
}
"""What keeps a browser from making anything of an answer but what it is."""

NO_ROUTE: Final = "none"
"""The route of a request that fits none: never its path, of which there are endlessly many."""


def request_id(scope: Scope) -> str:
    """The caller's ``X-Request-ID`` if it is a short plain word, else one of ours; the same for the whole request."""
    state: MutableMapping[str, Any] = scope.setdefault("state", {})
    if _ID not in state:
        given = next((value for name, value in scope["headers"] if name == _HEADER), b"")
        state[_ID] = given.decode() if _SANE.match(given) else uuid4().hex
    return str(state[_ID])


def raw_path(scope: Scope) -> str:
    """The path as it was sent, percent-encoded: Litestar puts a decoded and tidied one into ``scope["path"]``."""
    sent = (scope.get("raw_path") or b"").partition(b"?")[0].decode("ascii", errors="replace")
    return sent or quote(scope["path"])


def is_ambiguous(scope: Scope) -> bool:
    """Whether the end of the request is told in two ways, of which a proxy in front may have believed the other one.

    Then what follows on the connection may be what somebody wanted to be taken for a request: it is closed (RFC 9112, section 6.1).
    """
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}


@define
class Exchange:
    """A request and what became of it. Ended when the last byte of the answer has been sent, or nothing more will come."""

    scope: HTTPScope
    began: float = field(factory=time.perf_counter)
    status: int | None = None
    seconds: float | None = None
    metrics: Metrics | None = None

    @property
    def method(self) -> str:
        """The method; ``_OTHER`` for what no standard knows."""
        return self.scope["method"] if self.scope["method"] in _METHODS else "_OTHER"

    @property
    def route(self) -> str:
        """The template of the route, such as ``/api/v1/workflows/{dataset_name}``; :data:`NO_ROUTE` if there is none."""
        return self.scope.get("path_template") or NO_ROUTE

    def end(self) -> None:
        """Take the time, and write the line; only once."""
        if self.seconds is not None:
            return
        self.seconds = time.perf_counter() - self.began
        if self.metrics is not None:
            self.metrics.request_ended(self.method, self.route, self.status, self.seconds)
        level = logging.DEBUG if self.scope["path"] in _QUIET else logging.INFO
        if not _log.isEnabledFor(level):
            return
        path = shown(self.scope["path"], limit=250).strip("'\"")
        taken = round(self.seconds * 1000, 1)
        fields = {
            "method": self.method, "route": self.route, "path": path, "status": self.status, "duration_ms": taken
        }  # fmt: skip
        status = "unanswered" if self.status is None else self.status
        _log.log(level, "%s %s %s %s ms", self.method, path, status, taken, extra={FIELDS: fields})


class Traced(Litestar):
    """An application that gives each request its id and its line in the log, and measures it."""

    metrics: Metrics | None = None
    traces: Traces | None = None
    waiting: Waiting
    """Those who wait for a change."""

    is_guarded = False
    """Tells the details of its state only to those whom it knows."""

    is_draining = False
    """Told to stop: not ready any more, and every answer asks the client to open its next connection elsewhere."""

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """Serve one request, or start and stop."""
        if scope["type"] != ScopeType.HTTP:
            await super().__call__(scope, receive, send)
            return
        exchange = Exchange(cast("HTTPScope", scope), metrics=self.metrics)
        number = request_id(exchange.scope)

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                given = [(name.lower(), value) for name, value in message["headers"]]
                has_tag = any(name == b"etag" for name, _ in given)
                rate: Mapping[str, str] = exchange.scope["state"].get("rate", {})
                ours = {
                    _HEADER: number.encode(),
                    **_HARDENING,
                    b"cache-control": b"private, no-cache" if has_tag else b"no-store",
                    **{name.lower().encode(): value.encode() for name, value in rate.items()},
                }
                if self.is_draining or is_ambiguous(exchange.scope):
                    ours[b"connection"] = b"close"
                message["headers"] = [*(pair for pair in given if pair[0] not in ours), *ours.items()]
            await send(message)  # type: ignore[arg-type]

        if self.metrics is not None:
            self.metrics.request_began()
        with ExitStack() as around:
            around.enter_context(bound(request_id=number))
            if self.traces is not None and exchange.scope["path"] not in _QUIET:
                around.enter_context(self.traces.request(exchange))
            around.callback(exchange.end)
            await super().__call__(scope, receive, stamped)
