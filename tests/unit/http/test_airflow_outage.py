"""Tests of ``dli serve`` with a slow or unavailable Airflow: responses that need no Airflow are unaffected."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from attrs import define, field, frozen

from workflow_adapters.sql import SqlDatabase, make_engine, upgrade
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.testing.entities import a_run, a_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

NAME = "iceberg.analytics.daily_clicks"
ROOT = "/api/v1/workflows"
SLOW = 10.0
"""Seconds that a slow Airflow takes to answer."""


class StandIn(ThreadingHTTPServer):
    """The part of Airflow 3's API that the service needs; ``seconds`` is the delay of each response."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seconds = 0.0
        self.closing = Event()

    def handle_error(self, *_: object) -> None:
        """Ignore clients that disconnected."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.seconds:
            self.server.closing.wait(self.server.seconds)
        status, body = self._body(json.loads(sent) if sent else {})
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        parts = self.path.partition("?")[0].split("/")
        known: dict[str, dict[str, Any]] = {
            "version": {"version": "3.3.2"},
            "list": {"task_instances": [], "total_entries": 0},
            "dags": {"dags": [], "total_entries": 0},
            "dagRuns": _run(parts[-2], sent["dag_run_id"])
            if "dag_run_id" in sent
            else {"dag_runs": [], "total_entries": 0},
        }
        if parts[-2] == "dagRuns":
            return 200, _run(parts[-3], parts[-1])
        return (200, known[parts[-1]]) if parts[-1] in known else (404, {"detail": "The Dag was not found"})

    def log_message(self, *_: object) -> None:
        """Write no log."""

    do_GET = do_POST = do_PATCH = do_PUT = _answer  # noqa: N815 - the names that http.server looks for


def _run(dag_id: str, run_id: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "dag_id": dag_id,
        "dag_run_id": run_id,
        "run_type": "manual",
        "state": "running",
        "conf": {},
        "queued_at": now,
        "start_date": now,
        "end_date": None,
        "logical_date": None,
        "run_after": now,
        "triggering_user_name": "admin",
    }


@define
class Service:
    """A running ``dli serve`` with one workflow and one run, both of which exist in Airflow."""

    url: str
    airflow: StandIn
    database: SqlDatabase
    run_id: str
    _client: httpx.Client = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._client = httpx.Client(base_url=self.url, timeout=30, limits=httpx.Limits(max_connections=200))

    def call(self, method: str, path: str, **given: Any) -> Timed:
        began = time.perf_counter()
        answer = self._client.request(method, path, **given)
        return Timed(path=path, answer=answer, seconds=time.perf_counter() - began)

    def runs(self) -> int:
        return self.database.workflows.history(HistoryFilter(), PageRequest(limit=500)).total

    def breaker(self) -> str:
        return str(self.call("GET", "/dependencies").answer.json()["airflow"]["breaker"])

    def close(self) -> None:
        self._client.close()


@frozen(kw_only=True)
class Timed:
    """A response and its duration."""

    path: str
    answer: httpx.Response
    seconds: float


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service whose Airflow responds at once, until a test changes that."""
    database_url = f"sqlite:///{tmp_path / 'db.sqlite'}"
    engine = make_engine(database_url)
    upgrade(engine)
    database = SqlDatabase(engine)
    workflow = a_workflow(NAME)
    database.workflows.add_workflow(workflow)
    run = a_run(workflow, status=RunStatus.RUNNING, submission=Submission.SUBMITTED)
    database.workflows.add_run(run)
    airflow = StandIn()
    thread = Thread(target=airflow.serve_forever)
    thread.start()
    settings = {
        "AIRFLOW_BASE_URL": airflow.url,
        "AIRFLOW_TOKEN": "any",
        "WORKFLOWS_AIRFLOW_API": "v2",
        "WORKFLOWS_DATABASE_URL": database_url,
        "WORKFLOWS_STORAGE_URL": f"file://{tmp_path / 'store'}",
        "WORKFLOWS_ALLOWED_OPERATORS": "*",
        "WORKFLOWS_DRAIN": "0",
        "WORKFLOWS_SHUTDOWN_GRACE": "0",
        "WORKFLOWS_LOG_LEVEL": "ERROR",
    }
    with _serving(settings) as url:
        found = Service(url=url, airflow=airflow, database=database, run_id=run.run_id)
        yield found
        airflow.closing.set()
        found.close()
    airflow.shutdown()
    airflow.server_close()
    thread.join()
    engine.dispose()


@contextmanager
def _serving(settings: dict[str, str]) -> Iterator[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "WORKFLOWS"))}
    command = [sys.executable, "-m", "workflow_entrypoints.cli.main", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment | settings, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        url = re.search(r"http://\S+", line)
        assert url, line + process.stderr.read()
        reading = Thread(target=process.stderr.read)  # keeps the pipe from filling up
        reading.start()
        yield url[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        reading.join()
        process.stderr.close()


def test_a_slow_airflow_does_not_delay_reads(service: Service) -> None:
    """While Airflow takes ten seconds for each response and a hundred runs are triggered at once, each read is answered
    in well under a second, and each of the hundred is either recorded, or rejected and not recorded.
    """
    before = service.runs()
    reads = [ROOT, f"{ROOT}/history", f"{ROOT}/{NAME}", f"{ROOT}/runs/{service.run_id}", f"{ROOT}/{NAME}/explain"]
    assert [one.answer.status_code for one in (service.call("GET", path) for path in reads)] == [200] * len(reads)
    service.airflow.seconds = SLOW
    with ThreadPoolExecutor(104) as pool:
        asked = [pool.submit(service.call, "POST", f"{ROOT}/{NAME}/run") for _ in range(100)]
        until = time.monotonic() + SLOW
        read: list[Timed] = []
        while time.monotonic() < until:
            read += pool.map(lambda path: service.call("GET", path), reads[:4])
            read.append(service.call("GET", reads[4]))
        changes = [one.result() for one in asked]
    assert {one.answer.status_code for one in read} == {200}
    slowest = max(read, key=lambda one: one.seconds)
    statuses = [one.answer.status_code for one in changes]
    reads_took = f"{len(read)} reads: median {median(one.seconds for one in read) * 1000:.0f} ms, slowest {slowest.seconds * 1000:.0f} ms"
    outcome = f"{statuses.count(202)} accepted, {statuses.count(503)} rejected, the last after {max(one.seconds for one in changes):.1f} s"
    _log.info("%s (%s); %s", reads_took, slowest.path, outcome)
    assert slowest.seconds < 0.9, slowest.path
    assert set(statuses) == {202, 503}
    assert all(one.answer.headers["Retry-After"] for one in changes if one.answer.status_code == 503)
    assert service.runs() == before + statuses.count(202)


def test_a_burst_of_triggers_is_accepted_while_airflow_is_healthy(service: Service) -> None:
    """A hundred concurrent triggers exceed the number of threads: they queue without holding a thread, and all are
    accepted.
    """
    before = service.runs()
    service.airflow.seconds = 0.02
    with ThreadPoolExecutor(100) as pool:
        responses = list(pool.map(lambda _: service.call("POST", f"{ROOT}/{NAME}/run"), range(100)))
    assert {one.answer.status_code for one in responses} == {202}
    assert service.runs() == before + 100


def test_changes_are_rejected_at_once_while_airflow_is_unavailable(service: Service) -> None:
    """Once the breaker is open, requests are rejected without waiting and with Retry-After, and nothing is recorded.
    ADR 20 has the measured times; on any machine they are far below the timeouts for Airflow.
    """
    service.airflow.shutdown()
    service.airflow.server_close()
    while service.breaker() != "open":
        service.call("POST", f"{ROOT}/{NAME}/run")
    assert 'circuit_breaker_state{dependency="airflow",state="open"} 1.0' in service.call("GET", "/metrics").answer.text
    before = service.runs()
    changes: list[tuple[str, str, Any]] = [
        ("POST", f"{ROOT}/{NAME}/run", None),
        ("POST", f"{ROOT}/{NAME}/backfill", {"start_date": "2026-01-01", "end_date": "2026-01-07"}),
        ("POST", f"{ROOT}/{NAME}/pause", {"reason": "x"}),
        ("POST", f"{ROOT}/{NAME}/unpause", None),
        ("POST", f"{ROOT}/runs/{service.run_id}/stop", {}),
        ("DELETE", f"{ROOT}/{NAME}", None),
        ("POST", f"{ROOT}/register", {"dataset_name": "a.b", "source_type": "MANUAL", "yaml_content": "version: v1\n"}),
    ]
    times: dict[str, list[float]] = {}
    for _ in range(20):
        for method, path, body in changes:
            timed = service.call(method, path, json=body)
            if timed.answer.headers.get("Retry-After") == "1":
                continue  # the breaker was half-open
            assert (timed.answer.status_code, timed.answer.json()["code"]) == (503, "AIRFLOW_CONNECTION_FAILED"), path
            assert 1 <= int(timed.answer.headers["Retry-After"]) <= 10
            times.setdefault(path, []).append(timed.seconds * 1000)
    for path, each in times.items():
        _log.info("%s: median %.1f ms, at most %.1f ms", path, median(each), max(each))
    assert {path: median(each) for path, each in times.items() if median(each) >= 100} == {}
    assert service.runs() == before
    found = service.database.workflows.workflow(NAME)
    assert found is not None
    assert (found.pause, found.removal) == (None, None)
    run = service.database.workflows.run(service.run_id)
    assert run is not None
    assert run.stop is None
