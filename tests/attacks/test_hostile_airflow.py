"""Tests of the whole service with a hostile Airflow, over real sockets."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from litestar.testing import TestClient

from tests.attacks.hostile import CANARY, ReceivedRequest, answer, hostile
from tests.support.http_served import serving
from tests.support.http_stack import NAME, ROOT, YAML, check_answer
from tests.support.log_lines import logged
from tests.unit.adapters.test_remote_api import certified
from workflow_adapters.airflow import open_airflow
from workflow_adapters.clock import SystemClock
from workflow_core.api import HistoryFilters
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.errors import WorkflowError
from workflow_core.fakes.database import InMemoryDatabase
from workflow_core.fakes.storage import InMemoryStorage
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper
from workflow_core.testing.entities import a_run, a_workflow
from workflow_core.usecases.config import ServiceConfig
from workflow_entrypoints.http import create_app
from workflow_entrypoints.observability.logs import _CHATTY
from workflow_entrypoints.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 0.5
"""Seconds that one call to Airflow may take here."""

DAG = "iceberg_analytics_daily_clicks"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n"
NUMBERS = count()


def pages(asked: ReceivedRequest) -> bytes:
    """An endless list: each row is new, and each page announces another one."""
    row: dict[str, Any] = {
        "dag_id": DAG,
        "state": "success",
        "start_date": None,
        "end_date": None,
        "run_type": "manual",
    }
    rows = [row | {"dag_run_id": f"{CANARY}{next(NUMBERS)}", "task_id": f"t{next(NUMBERS)}"} for _ in range(100)]
    names = ("dags", "dag_runs", "task_instances", "import_errors")
    return answer(json.dumps(dict.fromkeys(names, rows) | {"total_entries": 10**12}))


def texts(asked: ReceivedRequest) -> bytes:
    """Each field of Airflow contains a text that would forge a log line or a web page."""
    text = f"{CANARY}\r\n2026-01-01 CRITICAL root: forged\x1b[2J\u2028<script>{{{{ 7*7 }}}}"
    names = ["dag_id", "dag_run_id", "state", "run_type", "note", "access_token", "version", "file_token", "task_id"]
    return answer(json.dumps(dict.fromkeys([*names, "start_date", "end_date", "conf", "total_entries"], text)))


def spaces(asked: ReceivedRequest) -> Iterator[bytes]:
    yield ENDLESS
    for _ in range(100):
        yield b" " * 2**20


def hints(asked: ReceivedRequest) -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
        time.sleep(0.001)


SAID: dict[str, Callable[[ReceivedRequest], Any]] = {
    "HTML": lambda _: answer(f"<html>{CANARY}</html>", Content_Type="text/html"),
    "HTML and 502": lambda _: answer(f"<html>{CANARY}</html>", "502 Bad Gateway", Content_Type="text/html"),
    "HTML that is called JSON": lambda _: answer(f"<html>{CANARY}</html>"),
    "100 MB": spaces,
    "100,000 brackets": lambda _: answer("[" * 100_000),
    "a list": lambda _: answer(json.dumps([CANARY])),
    "null": lambda _: answer("null"),
    "a number": lambda _: answer("1e999"),
    "NaN": lambda _: answer('{"total_entries": NaN, "dags": NaN}'),
    "texts everywhere": texts,
    "numbers everywhere": lambda _: answer(
        json.dumps({"dag_id": 5, "state": 5, "dag_run_id": 5, "dags": 5, "total_entries": -1})
    ),
    "not UTF-8": lambda _: answer(b'{"dag_id": "\xff\xfe"}'),
    "half of it": lambda _: answer('{"dag_id": "', Content_Length="9999"),
    "a gzip bomb": lambda _: answer(b"\x1f\x8b\x08" + b"\0" * 1000, Content_Encoding="gzip"),
    "pages without end": pages,
    "hints without end": hints,
    "a header of a megabyte": lambda _: answer("{}", X_Long=CANARY * 150_000),
    "a line break in the reason": lambda _: answer("{}", f"500 {CANARY}\r\nX-Forged: yes"),
    "no HTTP": lambda _: f"220 {CANARY}\r\n".encode(),
    "nothing": lambda _: b"",
    "unauthorized for ever": lambda _: answer(json.dumps({"detail": CANARY}), "401 Unauthorized"),
    "429": lambda _: answer("{}", "429 Too Many Requests", Retry_After="99999999999"),
    "an unknown status": lambda _: answer("{}", f"799 {CANARY}"),
}
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", ROOT, None),
    ("GET", f"{ROOT}/{NAME}", None),
    ("GET", f"{ROOT}/{NAME}/explain", None),
    ("POST", f"{ROOT}/{NAME}/run", {}),
    ("POST", f"{ROOT}/{NAME}/pause", {}),
    ("GET", "/dependencies", None),
]


@contextmanager
def in_front_of(url: str, api: Any) -> Iterator[tuple[TestClient[Any], WorkflowService, str]]:
    """The service in front of this Airflow, with one workflow and one run that Airflow should have."""
    database, storage = InMemoryDatabase(), InMemoryStorage()
    workflow = a_workflow(NAME, yaml=YAML)
    database.workflows.add_workflow(workflow)
    run = a_run(workflow, status=RunStatus.RUNNING, submission=Submission.SUBMITTED)
    database.workflows.add_run(run)
    airflow = open_airflow(
        url, api=api, username="admin", password="admin", read_timeout=PATIENCE, total_timeout=PATIENCE
    )
    service = WorkflowService(
        database=database, airflow=airflow, storage=storage, clock=SystemClock(), policy=ServiceConfig(fresh_for=0.0)
    )
    with TestClient(create_app(service, Settings(user="x")), raise_server_exceptions=False) as client:
        yield client, service, run.run_id
    airflow.close()


@pytest.mark.parametrize("api", ["v1", "v2"])
@pytest.mark.parametrize("talk", SAID.values(), ids=SAID)
def test_every_airflow_response_leads_to_a_declared_response(talk, api):
    """The service responds in bounded time and never with 500; no text of Airflow is in a response or the log, and no
    run results from it.
    """
    with hostile(talk) as airflow, in_front_of(airflow.url, api) as (client, service, run_id), logged("") as lines:
        for method, path, body in [
            *REQUESTS,
            ("GET", f"{ROOT}/runs/{run_id}", None),
            ("POST", f"{ROOT}/runs/{run_id}/stop", {}),
        ]:
            began = time.monotonic()
            found = client.request(method, path, json=body)
            assert time.monotonic() - began < 20 * PATIENCE, path
            check_answer(found)
            assert found.status_code != 500, (path, found.text)
            assert CANARY not in found.text + str(found.headers), path
        with suppress(WorkflowError):
            Sweeper(service.context).sweep()
        runs = service.history(HistoryFilters(limit=500))
    assert runs.total <= 2
    written = [line for line in lines if line["level"] != "INFO" or not line["logger"].startswith(_CHATTY)]
    assert [line for line in written if CANARY in json.dumps(line) or line["level"] == "ERROR"] == []
    assert airflow.asked


def test_an_airflow_with_an_untrusted_certificate_gets_no_credentials(tmp_path, monkeypatch):
    """With a self-signed certificate the error is AIRFLOW_CONNECTION_FAILED, and nothing was sent."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    certificate, key = certified(tmp_path)
    asked: list[Any] = []

    async def airflow(scope: Any, _receive: Any, _send: Any) -> None:
        asked.append(scope)

    with serving(ssl_certfile=str(certificate), ssl_keyfile=str(key)) as board:
        board.app = airflow
        with in_front_of(board.url.replace("http:", "https:"), "v2") as (client, _, _):
            found = client.post(f"{ROOT}/{NAME}/run")
    assert (found.status_code, found.json()["code"]) == (503, "AIRFLOW_CONNECTION_FAILED")
    assert asked == []


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
)
@pytest.mark.parametrize("api", ["v1", "v2", "auto"])
def test_no_redirect_of_airflow_is_followed(api, status):
    """The target, such as a cloud's metadata service, is never called, so that it gets no credentials."""
    with hostile(lambda _: answer("{}")) as inside:
        away = f"{inside.url}/latest/meta-data/"
        with (
            hostile(lambda _: answer("{}", status, Location=away, Refresh=f"0; url={away}")) as airflow,
            in_front_of(airflow.url, api) as (client, _, run_id),
        ):
            for method, path, body in [*REQUESTS, ("GET", f"{ROOT}/runs/{run_id}", None)]:
                assert client.request(method, path, json=body).status_code != 500
        assert airflow.asked
    assert inside.asked == []
