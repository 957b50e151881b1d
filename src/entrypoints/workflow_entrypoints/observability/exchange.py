"""One request and its response, as the access log, the metrics and the traces record it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from attrs import define, field

from workflow_core.domain.names import quoted
from workflow_entrypoints.observability.logs import FIELDS

if TYPE_CHECKING:
    from litestar.types import HTTPScope

    from workflow_entrypoints.observability.metrics import Metrics


_log = logging.getLogger("workflow_entrypoints.http.access")


_QUIET: Final = frozenset({"/healthz", "/readyz", "/dependencies", "/metrics"})


_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


NO_ROUTE: Final = "none"
"""The route of a request that matches none: never its path, as the number of paths is unbounded."""


@define
class Exchange:
    """A request and its response. It ends when the last byte of the response has been sent, or when none follows."""

    scope: HTTPScope
    began: float = field(factory=time.perf_counter)
    status: int | None = None
    seconds: float | None = None
    metrics: Metrics | None = None

    @property
    def method(self) -> str:
        """The method; ``_OTHER`` for one that is not standard."""
        return self.scope["method"] if self.scope["method"] in _METHODS else "_OTHER"

    @property
    def route(self) -> str:
        """The template of the route, such as ``/api/v1/workflows/{dataset_name}``; :data:`NO_ROUTE` if there is none."""
        return self.scope.get("path_template") or NO_ROUTE

    def end(self) -> None:
        """Record the duration, and write the log line; only once."""
        if self.seconds is not None:
            return
        self.seconds = time.perf_counter() - self.began
        if self.metrics is not None:
            self.metrics.request_ended(self.method, self.route, self.status, self.seconds)
        level = logging.DEBUG if self.scope["path"] in _QUIET else logging.INFO
        if not _log.isEnabledFor(level):
            return
        path = quoted(self.scope["path"], limit=250).strip("'\"")
        taken = round(self.seconds * 1000, 1)
        fields = {
            "method": self.method, "route": self.route, "path": path, "status": self.status, "duration_ms": taken
        }  # fmt: skip
        status = "unanswered" if self.status is None else self.status
        _log.log(level, "%s %s %s %s ms", self.method, path, status, taken, extra={FIELDS: fields})
