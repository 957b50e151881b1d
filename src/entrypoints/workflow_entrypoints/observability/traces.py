"""OpenTelemetry traces: a span for each request and each pass of the worker, and below it one for every call of a port.

``WORKFLOWS_TRACES`` switches them on; they need the extra ``[otel]``. OpenTelemetry's own variables set their
destination and sampling (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_SAMPLER``, ``OTEL_SERVICE_NAME`` …). Spans
carry the codes of errors only: a message may contain data that must not reach another system.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from workflow_core.errors import WorkflowError
from workflow_entrypoints.observability.instrumentation import System
from workflow_entrypoints.observability.logs import bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.trace import Span

    from workflow_entrypoints.observability.exchange import Exchange

SERVICE: Final = "workflow-core"
_W3C: Final = TraceContextTextMapPropagator()
_SERVER_FAULT: Final = 500


def open_traces() -> Traces:
    """Return traces that are sent by OTLP over HTTP, in batches."""
    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


class Traces:
    """The spans of one process. Its :meth:`call` is a
    :class:`~workflow_entrypoints.observability.instrumentation.Instrument`.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)

    def close(self) -> None:
        """Send the remaining spans, and stop."""
        self._provider.shutdown()

    def headers(self) -> Mapping[str, str]:
        """Return the headers that pass the current span on to the called system (W3C Trace Context); empty outside of
        any span.
        """
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier

    @contextmanager
    def request(self, exchange: Exchange) -> Iterator[None]:
        """Open a span around the handling of a request, within the trace of its sender if the headers name one."""
        sent = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.scope["headers"]}
        with self._tracer.start_as_current_span(
            exchange.method,
            context=_W3C.extract(sent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": exchange.method, "url.path": exchange.scope["path"]},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                with bound(trace_id=_id_of(span)):
                    yield
            finally:
                span.update_name(f"{exchange.method} {exchange.route}")
                span.set_attribute("http.route", exchange.route)
                if exchange.status is not None:
                    span.set_attribute("http.response.status_code", exchange.status)
                if exchange.status is None or exchange.status >= _SERVER_FAULT:
                    span.set_attribute("error.type", str(exchange.status or "unanswered"))
                    span.set_status(StatusCode.ERROR)

    @contextmanager
    def call(self, system: System, operation: str) -> Iterator[None]:
        """Open a span around one call, or around a pass of the worker."""
        kind = SpanKind.INTERNAL if system is System.WORKER else SpanKind.CLIENT
        with self._tracer.start_as_current_span(
            f"{system} {operation}",
            kind=kind,
            attributes={"peer.service": system.value, "workflow_core.operation": operation},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                with bound(trace_id=_id_of(span)):
                    yield
            except BaseException as error:
                code = error.code if isinstance(error, WorkflowError) else type(error).__name__
                span.set_attribute("error.type", code)
                span.set_status(StatusCode.ERROR)
                raise


def _id_of(span: Span) -> str:
    return format_trace_id(span.get_span_context().trace_id)
