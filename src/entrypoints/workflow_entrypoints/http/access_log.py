"""The application: it gives each request an id and a log line, even if the request fails."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from litestar import Litestar
from litestar.enums import ScopeType

from workflow_entrypoints.http.request_id import _HEADER, request_id
from workflow_entrypoints.observability.exchange import _QUIET, Exchange
from workflow_entrypoints.observability.logs import bound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

    from workflow_entrypoints.http.long_poll import Waiting
    from workflow_entrypoints.observability.metrics import Metrics
    from workflow_entrypoints.observability.traces import Traces


_HARDENING: Final = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
}
"""Headers that keep a browser from interpreting an answer as anything but data."""


def raw_path(scope: Scope) -> str:
    """The path in its original, percent-encoded form; ``scope["path"]`` holds a decoded and normalized one."""
    sent = (scope.get("raw_path") or b"").partition(b"?")[0].decode("ascii", errors="replace")
    return sent or quote(scope["path"])


def is_ambiguous(scope: Scope) -> bool:
    """Whether the request declares its length in two ways, so that a proxy in front may have used the other one.

    The bytes that follow may then be a smuggled request, so the connection is closed (RFC 9112, section 6.1).
    """
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}


class WorkflowApp(Litestar):
    """A Litestar application that gives each request its id and its log line, and measures it."""

    metrics: Metrics | None = None
    traces: Traces | None = None
    waiting: Waiting
    """The requests that wait for a change."""

    is_guarded = False
    """Whether callers are authenticated: probes then hide the details of unavailable systems."""

    is_draining = False
    """Draining: readiness fails, and responses carry ``Connection: close``."""

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
