"""What is measured, under which names, and how many series it can be."""

from __future__ import annotations

import random
import re
import string
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from attrs import evolve
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from devstack.docs import DOCS
from tests.support.http_stack import NAME, ROOT, TEN, http_stack
from workflow_adapters.sql import SqlDatabase, make_engine, upgrade
from workflow_core.domain.conditions import AirflowState
from workflow_core.domain.workflow import Phase, SourceType
from workflow_core.errors import DatabaseUnavailable, StorageUnavailable
from workflow_core.fakes.clock import ManualClock
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.ports.database import PORTS, Database
from workflow_core.ports.storage import StoragePort
from workflow_core.service import WorkflowService
from workflow_core.testing.entities import a_run, a_workflow
from workflow_entrypoints.http import create_app, openapi_document
from workflow_entrypoints.observability.instrumentation import System, instrumented, instrumented_database
from workflow_entrypoints.observability.metrics import Metrics
from workflow_entrypoints.settings import Settings
from workflow_entrypoints.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workflow_core.ports.storage import StoredRef


def samples(metrics: Metrics) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Every sample by name, read back as Prometheus reads it."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def counted(metrics: Metrics, name: str) -> list[dict[str, str]]:
    """The labels under which something was measured once."""
    return [labels for labels, value in samples(metrics).get(f"{name}_count", []) if value == 1]


@contextmanager
def measured() -> Iterator[Any]:
    """A client of an application, the stack behind it, and its metrics."""
    metrics = Metrics()
    with http_stack() as stack:
        app = create_app(stack.service, Settings(user="x"), metrics=metrics)
        with TestClient(app, raise_server_exceptions=False) as client:
            yield client, stack, metrics


def test_metrics_are_told_over_http():
    """``GET /metrics`` is Prometheus' text."""
    with measured() as (client, _, _):
        answer = client.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"http_server_request_duration_seconds", "http_server_active_requests"} <= names
    assert "process_resident_memory_bytes" in names


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", f"{ROOT}/{NAME}", {"method": "GET", "route": f"{ROOT}/{{dataset_name}}", "status": "4xx"}),
        ("GET", "/healthz", {"method": "GET", "route": "/healthz", "status": "2xx"}),
        ("GET", "/nothing/here", {"method": "GET", "route": "none", "status": "4xx"}),
        ("BREW", "/healthz", {"method": "_OTHER", "route": "none", "status": "4xx"}),
    ],
)
def test_requests_are_measured_by_template_method_and_class_of_status(method, path, labels):
    """Never by their path."""
    with measured() as (client, _, metrics):
        client.request(method, path)
        assert counted(metrics, "http_server_request_duration_seconds") == [labels]


def test_requests_under_way_are_counted(monkeypatch):
    """While a handler works there is one; afterwards none."""
    seen: list[float] = []
    with measured() as (client, _, metrics):
        monkeypatch.setattr(
            WorkflowService, "workflow", lambda *_: seen.append(samples(metrics)["http_server_active_requests"][0][1])
        )
        client.get(f"{ROOT}/{NAME}")
        assert seen == [1]
        assert samples(metrics)["http_server_active_requests"][0][1] == 0


def test_a_thousand_paths_and_names_make_no_series():
    """Whatever is asked for, and however: the number of series is that of templates, methods and classes of status."""
    chance = random.Random(7)
    letters = string.ascii_letters + string.digits + "-_.~/%é\n "
    shapes = ["/{}", f"{ROOT}/{{}}", f"{ROOT}/{{}}/run", f"{ROOT}/run/{{}}/status", f"{ROOT}?owner={{}}", "/metrics/{}"]
    methods = ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "BREW"]
    with measured() as (client, _, metrics):
        words = {"".join(chance.choices(letters, k=chance.randint(1, 40))) for _ in range(1000)}
        for number, word in enumerate(words):
            client.request(methods[number % 7], shapes[number % 6].format(quote(word, safe="/")))
        found = samples(metrics)["http_server_request_duration_seconds_count"]
        text = metrics.text().decode()
    assert sum(value for _, value in found) == len(words) > 990
    templates = {*openapi_document()["paths"], "/metrics", "/schema/openapi.json", "none"}
    assert {labels["route"] for labels, _ in found} <= templates
    assert {labels["method"] for labels, _ in found} == {"GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "_OTHER"}
    assert len(found) < 40
    assert [word for word in words if len(word) > 8 and word in text] == []


def test_calls_of_a_port_are_measured_by_operation_and_outcome():
    """The outcome is ok, or the code of the error, which goes through."""
    metrics, fake = Metrics(), InMemoryDatabase()
    port = instrumented_database(fake, [metrics])
    port.workflows.workflow("a.b")
    fake.go_down()
    with pytest.raises(DatabaseUnavailable):
        port.workflows.workflow("a.b")
    assert counted(metrics, "database_client_operation_duration_seconds") == [
        {"operation": "workflow", "outcome": "ok"},
        {"operation": "workflow", "outcome": "DATABASE_UNAVAILABLE"},
    ]


def test_a_listing_is_measured_to_its_end():
    """An answer that comes bit by bit is one operation, also if it breaks off; an address is none."""

    class BreaksOff(InMemoryStorage):
        def list(self, source: SourceType) -> Iterator[StoredRef]:
            yield from super().list(source)
            raise StorageUnavailable("away")

    metrics, fake = Metrics(), BreaksOff()
    fake.put(SourceType.CODE, "a.b", "x", expected=None)
    port = instrumented(fake, StoragePort, System.STORAGE, [metrics])
    port.url(SourceType.CODE, "a.b")
    with pytest.raises(StorageUnavailable):
        list(port.list(SourceType.CODE))
    found = counted(metrics, "storage_client_operation_duration_seconds")
    assert found == [{"operation": "list", "outcome": "STORAGE_UNAVAILABLE"}]


def test_a_port_that_nobody_watches_is_itself():
    """The commands that need no metrics pay nothing for them."""
    fake = InMemoryStorage()
    assert instrumented(fake, StoragePort, System.STORAGE, []) is fake


def test_an_instrumented_port_has_the_methods_of_the_port():
    """Code that distinguishes ports by their methods finds them."""
    watched = instrumented_database(InMemoryDatabase(), [Metrics()])
    assert isinstance(watched, Database)
    assert all(isinstance(getattr(watched, name), port) for name, port in PORTS.items())


@pytest.mark.parametrize(("error", "outcome"), [(None, "ok"), (DatabaseUnavailable("away"), "DATABASE_UNAVAILABLE")])
def test_passes_of_the_worker_are_measured(error, outcome):
    """By what they are, and with their outcome."""

    class Once:
        """A service that is stopped during its first sweep."""

        def sweep(self) -> None:
            worker.stop()
            if error:
                raise error

        def sync_in_turn(self, *, caller: Any) -> None: ...

        def release_leadership(self) -> None: ...

    service: Any = Once()
    metrics = Metrics()
    worker = Worker.of(service, Settings(sync_interval=0), [metrics])
    worker.run()
    passes = counted(metrics, "worker_pass_duration_seconds")
    assert {"operation": "sweep", "outcome": outcome} in passes
    assert {one["operation"] for one in passes} == {"sweep", "release_leadership"}


def test_the_state_of_the_database_is_told_at_each_scrape():
    """Workflows by phase, runs that have not ended by status, and how old the picture of Airflow is."""
    metrics, fake, clock = Metrics(), InMemoryDatabase(), ManualClock(TEN)
    metrics.follow(fake, clock)
    assert "workflow_core_mirror_age_seconds" not in samples(metrics)
    workflow = a_workflow()
    fake.workflows.add_workflow(workflow)
    fake.workflows.add_workflow(a_workflow("a.b", phase=Phase.REGISTERING))
    fake.workflows.add_run(a_run(workflow))
    fake.observations.save_airflow_state(evolve(AirflowState(), reached_at=TEN - timedelta(seconds=90)))
    found = samples(metrics)
    assert found["database_up"] == [({}, 1)]
    assert sorted(found["workflow_core_workflows"], key=str) == [
        ({"phase": "registering"}, 1),
        ({"phase": "served"}, 1),
    ]
    assert found["workflow_core_active_runs"] == [({"status": "PENDING"}, 1)]
    assert found["workflow_core_mirror_age_seconds"] == [({}, 90)]


def test_a_database_that_is_away_takes_no_other_metric_with_it():
    """The scrape succeeds and says so."""
    metrics, fake = Metrics(), InMemoryDatabase()
    metrics.follow(fake, ManualClock(TEN))
    fake.go_down()
    found = samples(metrics)
    assert found["database_up"] == [({}, 0)]
    assert "workflow_core_workflows" not in found
    assert "http_server_active_requests" in found


def test_the_use_of_the_connections_is_told(tmp_path):
    """Those in use, and the most there may be, also of a port that is watched."""
    engine = make_engine(f"sqlite:///{tmp_path / 'x.db'}", pool_size=3)
    upgrade(engine)
    metrics = Metrics()
    metrics.follow(instrumented_database(SqlDatabase(engine), [metrics]), ManualClock(TEN))
    with engine.connect():
        found = samples(metrics)
    engine.dispose()
    assert (found["database_connections_in_use"], found["database_connections_max"]) == ([({}, 1)], [({}, 3)])


def test_a_circuit_breaker_shows_its_state():
    """The metric is 1 for the state at the time of the request."""
    metrics, state = Metrics(), ["closed"]
    metrics.breaker("airflow", lambda: state[0])
    for state[0] in ("closed", "open", "half_open"):
        found = {labels["state"]: value for labels, value in samples(metrics)["circuit_breaker_state"]}
        assert found == {**dict.fromkeys(("closed", "open", "half_open"), 0), state[0]: 1}


def test_the_documentation_lists_every_metric_with_its_labels(tmp_path):
    """And none that there is not."""
    engine = make_engine(f"sqlite:///{tmp_path / 'x.db'}")
    upgrade(engine)
    metrics, port = Metrics(), SqlDatabase(engine)
    metrics.follow(port, ManualClock(TEN))
    metrics.breaker("airflow", lambda: "closed")
    workflow = a_workflow()
    port.workflows.add_workflow(workflow)
    port.workflows.add_run(a_run(workflow))
    port.observations.save_airflow_state(evolve(AirflowState(), reached_at=TEN))
    metrics.request_ended("GET", "/x", 200, 1.0)
    for system in System:
        with metrics.call(system, "x"):
            pass
    exist = {
        family.name: {name for sample in family.samples for name in sample.labels} - {"le"}
        for family in metrics.registry.collect()
        if not family.name.startswith(("process_", "python_"))
    }
    engine.dispose()
    table = re.findall(r"^\| `(\w+)` \|(.*?)\| .+ \|$", (DOCS / "operations.md").read_text(), re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in table} == exist
