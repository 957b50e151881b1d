"""Traces: what belongs to one request is one trace, down to what Airflow is asked."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from httpx import Response
from litestar.testing import TestClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.support.http_stack import NAME, ROOT, YAML
from tests.support.log_lines import logged
from workflow_adapters.airflow import open_airflow
from workflow_core.errors import ConfigurationError
from workflow_core.fakes.database import InMemoryDatabase
from workflow_entrypoints.container import build, close
from workflow_entrypoints.http import create_app
from workflow_entrypoints.observability.instrumentation import System, instrumented_database
from workflow_entrypoints.observability.traces import Traces
from workflow_entrypoints.process import ServiceProcess
from workflow_entrypoints.settings import Settings
from workflow_entrypoints.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
MEMORY: Any = {"database_url": "memory://", "storage_url": "memory://", "airflow_api": "memory"}


@pytest.fixture
def spans():
    """The spans that were ended."""
    return InMemorySpanExporter()


@pytest.fixture
def traces(spans):
    """Traces that are kept here."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Traces(provider)


@contextmanager
def served(traces: Traces) -> Iterator[tuple[TestClient[Any], Any]]:
    """A client of a service over fakes, all of it traced, and its container."""
    settings = Settings(user="x", **MEMORY)
    container = build(settings, [traces], traces.headers)
    app = create_app(container.service(), settings, traces=traces)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, container
    close(container)


def by_name(spans: InMemorySpanExporter) -> dict[str, Any]:
    """The spans, by name."""
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_request_is_one_trace_across_database_store_and_airflow(traces, spans):
    """The span of the request continues the caller's trace; each call of a port is a step of it, also from the handler's thread."""
    with served(traces) as (client, _):
        body = {"dataset_name": NAME, "yaml_content": YAML, "owner": "data@example.com"}
        answer = client.post(f"{ROOT}/register", json=body, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert answer.status_code == 201
    found = by_name(spans)
    root = found[f"POST {ROOT}/register"]
    assert (f"{root.context.trace_id:032x}", f"{root.parent.span_id:016x}") == (TRACE, PARENT)
    assert root.kind is SpanKind.SERVER
    assert dict(root.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "http.route": f"{ROOT}/register",
        "url.path": f"{ROOT}/register",
    }
    steps = [found[name] for name in ("database add_workflow", "storage put", "airflow request_parse", "airflow dag")]
    assert {step.parent.span_id for step in steps} == {root.context.span_id}
    assert {step.kind for step in steps} == {SpanKind.CLIENT}
    assert {step.context.trace_id for step in steps} == {root.context.trace_id}


def test_a_request_without_a_trace_begins_one(traces, spans):
    """So does one whose ``traceparent`` is none."""
    with served(traces) as (client, _):
        client.get(ROOT)
        client.get(ROOT, headers={"traceparent": "nonsense"})
    roots = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert [span.parent for span in roots] == [None, None]
    assert len({span.context.trace_id for span in roots}) == 2


def test_a_path_without_a_route_names_no_span(traces, spans):
    """The name of a span is one of few; the path is an attribute."""
    with served(traces) as (client, _):
        client.get("/no/such/thing")
    (span,) = spans.get_finished_spans()
    assert (span.name, span.attributes["url.path"]) == ("GET none", "/no/such/thing")
    assert span.status.status_code is StatusCode.UNSET  # the caller's mistake, not ours


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/dependencies", "/metrics"])
def test_what_is_asked_every_few_seconds_is_no_request_to_trace(traces, spans, path):
    """Health checks and scrapes."""
    with served(traces) as (client, _):
        client.get(path)
    assert [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER] == []


def test_an_error_is_told_by_its_code(traces, spans):
    """Of the call and of the request; the message stays here."""
    with served(traces) as (client, container):
        container.database().go_down()
        assert client.get(f"{ROOT}/{NAME}").status_code == 503
    found = by_name(spans)
    step, root = found["database workflow"], found[f"GET {ROOT}/{{dataset_name}}"]
    assert step.attributes["error.type"] == "DATABASE_UNAVAILABLE"
    assert root.attributes["error.type"] == "503"
    assert {step.status.status_code, root.status.status_code} == {StatusCode.ERROR}
    assert [event for span in spans.get_finished_spans() for event in span.events] == []


def test_lines_of_the_log_have_the_id_of_their_trace(traces):
    """So that one leads to the other."""
    with served(traces) as (client, _), logged("workflow_entrypoints.http.access", logging.INFO) as lines:
        client.get(ROOT, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert [line["trace_id"] for line in lines] == [TRACE]


def test_a_pass_of_the_worker_is_a_trace_of_its_own(traces, spans):
    """With what it asks below it."""
    port = instrumented_database(InMemoryDatabase(), [traces])

    class Once:
        """A service that is stopped during its first sweep."""

        def sweep(self) -> None:
            worker.stop()
            port.counts()

        def sync_in_turn(self, *, caller: Any) -> None: ...

        def release_leadership(self) -> None: ...

    service: Any = Once()
    worker = Worker.of(service, Settings(sync_interval=0), [traces])
    worker.run()
    found = by_name(spans)
    root = found["worker sweep"]
    assert (root.parent, root.kind) == (None, SpanKind.INTERNAL)
    assert found["database counts"].parent.span_id == root.context.span_id


def test_airflow_is_told_which_span_asks(traces, spans, respx_mock):
    """Every request of a call carries ``traceparent``, the login included; outside of any span there is none."""
    base = "http://airflow.test"
    login = respx_mock.post(f"{base}/auth/token").mock(return_value=Response(201, json={"access_token": "t"}))
    asked = respx_mock.get(f"{base}/api/v2/dags/d/details").mock(return_value=Response(404, json={"detail": "no such"}))
    airflow = open_airflow(base, api="v2", username="u", password="p", trace_headers=traces.headers)
    with traces.call(System.AIRFLOW, "dag"):
        airflow.dag("d")
    airflow.dag("d")
    airflow.close()
    (span,) = spans.get_finished_spans()
    expected = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert login.calls[0].request.headers["traceparent"].rpartition("-")[0] == expected
    assert asked.calls[0].request.headers["traceparent"].rpartition("-")[0] == expected
    assert "traceparent" not in asked.calls[1].request.headers


def test_traces_are_off_unless_they_are_asked_for(monkeypatch):
    """Without the setting nothing of OpenTelemetry is needed; with it, what is missing is named."""
    monkeypatch.setitem(sys.modules, "workflow_entrypoints.observability.traces", None)
    running = ServiceProcess.of(Settings(**MEMORY))
    assert running.traces is None
    running.close()
    with pytest.raises(ConfigurationError, match=r"\[otel\]"):
        ServiceProcess.of(Settings(traces=True, **MEMORY))


def test_an_error_that_nobody_expects_goes_through(traces, spans):
    """Told by its type."""
    with pytest.raises(ZeroDivisionError), traces.call(System.STORAGE, "get"):
        raise ZeroDivisionError("secret")
    (span,) = spans.get_finished_spans()
    assert dict(span.attributes)["error.type"] == "ZeroDivisionError"
    assert "secret" not in span.to_json()
