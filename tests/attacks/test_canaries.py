"""Tests that no secret leaks: each place for a secret contains a marked one, everything fails, and all output is
searched for the marks.
"""

from __future__ import annotations

import base64
import json
import os
import re
from itertools import cycle
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.attacks.hostile import ReceivedRequest, answer, hostile
from tests.attacks.process import dli, serving
from tests.support.paths import PYTHONPATH
from workflow_adapters.sql import SqlDatabase, make_engine, upgrade
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.testing.entities import NAME, a_run, a_workflow
from workflow_entrypoints.http import openapi_document
from workflow_entrypoints.http.openapi import openapi_json

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {
    "AIRFLOW_PASSWORD": "CANARY-airflow-password-5e5e",
    "AIRFLOW_TOKEN": "CANARY-airflow-token-5e5e",
    "AIRFLOW_HEADERS": '{"X-Gateway": "CANARY-airflow-header-5e5e"}',
    "DLI_TOKEN": "CANARY-dli-token-5e5e",
    "AWS_SECRET_ACCESS_KEY": "CANARY-aws-secret-5e5e",
    "AWS_SESSION_TOKEN": "CANARY-aws-session-5e5e",
    "OTEL_EXPORTER_OTLP_HEADERS": "x-key=CANARY-otlp-5e5e",
}
HEADERS = {
    "Authorization": "Bearer CANARY-sent-bearer-5e5e",
    "Proxy-Authorization": "Basic CANARY-sent-proxy-5e5e",
    "Cookie": "session=CANARY-sent-cookie-5e5e",
    "X-Api-Key": "CANARY-sent-key-5e5e",
    "X-Request-ID": "CANARY sent id 5e5e",
    "X-Amz-Security-Token": "CANARY-sent-amz-5e5e",
    "X-Forwarded-User": "CANARY-sent-user-5e5e",
    "X-Forwarded-Access-Token": "CANARY-sent-access-5e5e",
    "Referer": "https://x/?token=CANARY-sent-referer-5e5e",
}
TRACES = [b"CANARY", base64.b64encode(b"admin:CANARY-airflow-password-5e5e")[:24]]
"""What may be nowhere; the user and the password of basic authentication are one word."""


def echo() -> Any:
    """A server that echoes the request, including secrets, in each part of its responses, and varies the form."""
    ways = cycle(range(6))

    def talk(asked: ReceivedRequest) -> bytes:
        said = json.dumps(
            {"headers": dict(asked.headers), "body": asked.body.decode(errors="replace"), "path": asked.path}
        )
        line = " ".join(asked.headers.values())
        return [
            answer(said, f"500 {line}", X_Echo=line),
            answer(said, "401 Unauthorized", WWW_Authenticate=line),
            answer(said, X_Echo=line),
            answer(said, "302 Found", Location=f"http://127.0.0.1:1/{line}"),
            answer(
                f"<Error><Code>{line}</Code><Message>{line}</Message></Error>",
                f"403 {line}",
                Content_Type="application/xml",
            ),
            f"{line}\r\n".encode(),
        ][next(ways)]

    return talk


def kept(tmp_path: Path) -> tuple[str, str]:
    """A database with a workflow and a run that Airflow should have; and the run's id."""
    url = f"sqlite:///{tmp_path / 'workflows.db'}"
    engine = make_engine(url)
    upgrade(engine)
    database, workflow = SqlDatabase(engine), a_workflow(NAME)
    database.workflows.add_workflow(workflow)
    run = a_run(workflow, status=RunStatus.RUNNING, submission=Submission.SUBMITTED)
    database.workflows.add_run(run)
    engine.dispose()
    return url, run.run_id


def responses_to_everything(client: httpx.Client, run_id: str) -> list[httpx.Response]:
    """The responses to each operation of the document and to unknown paths, with and without authentication."""
    names = {
        "{dataset_name}": NAME,
        "{run_id}": run_id,
        "{number}": "1",
        "{backfill_id}": "a.b_backfill_20260101_20260102",
    }
    answers = []
    for path, operations in openapi_document()["paths"].items():
        url = path
        for name, value in names.items():
            url = url.replace(name, value)
        for method in operations:
            if url.endswith("/events"):
                continue  # its response does not end
            for headers in ({}, HEADERS):
                given: dict[str, Any] = {"headers": headers} if headers else {}
                answers += [
                    client.request(method, url, **given),
                    client.request(method, url, params={"token": "CANARY-sent-query-5e5e"}, **given),
                    client.request(method, url, json={"password": "CANARY-sent-field-5e5e"}, **given),
                ]
    return [
        *answers,
        *(client.get(path) for path in ("/metrics", "/readyz", "/dependencies", "/schema/openapi.json", "/nothing")),
    ]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("way", ["password", "token"])
def test_no_secret_is_disclosed(tmp_path, form, way):
    """With DEBUG logs, traces, a worker, and an Airflow, a store and a collector that echo all requests, no secret is
    in a log, response, span, metric, document, database or the output of ``dli``.
    """
    database, run_id = kept(tmp_path)
    log = tmp_path / "log"
    with hostile(echo()) as airflow, hostile(echo()) as store, hostile(echo()) as collector:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": PYTHONPATH,
            "HOME": str(tmp_path),
            **SETTINGS,
            "AIRFLOW_BASE_URL": airflow.url,
            "AWS_ACCESS_KEY_ID": "AKIA0000000000000000",
            "AWS_ENDPOINT_URL": store.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "WORKFLOWS_AIRFLOW_API": "v2",
            "WORKFLOWS_DATABASE_URL": database,
            "WORKFLOWS_STORAGE_URL": "s3://bucket/workflows",
            "WORKFLOWS_STORAGE_ATTEMPTS": "1",
            "WORKFLOWS_AUTH": "token",
            "WORKFLOWS_TRACES": "true",
            "WORKFLOWS_LOG_LEVEL": "DEBUG",
            "WORKFLOWS_LOG_FORMAT": form,
            "WORKFLOWS_SWEEP_INTERVAL": "0.2",
            "WORKFLOWS_PORT": "0",
            "WORKFLOWS_DRAIN": "0",
        }
        if way == "password":
            del environment["AIRFLOW_TOKEN"]
        [token] = re.findall(
            r"dli_\w+", dli(environment, "token", "create", "--name", "ci", "--role", "admin").decode()
        )
        with serving(environment, log) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            answers = responses_to_everything(client, run_id)
        shown = dli(environment, "config", "show") + dli(environment, "config", "show", "-o", "json")
        for wrong in ("workflow list", f"workflow run {NAME}"):
            shown += dli(environment | {"DLI_SERVER_URL": airflow.url, "DLI_PATIENCE": "0"}, *wrong.split())
        spans = b"".join(asked.body for asked in collector.asked)
    told = {
        "log": log.read_bytes(),
        "answers": "".join(f"{found.headers}{found.text}" for found in answers).encode(),
        "document": openapi_json(),
        "shown": shown,
        "spans": spans,
        "database": b"".join(path.read_bytes() for path in tmp_path.glob("workflows.db*")),
    }
    assert {found.status_code for found in answers} >= {200, 400, 401, 404, 503}
    secrets_sent = " ".join(
        str(asked.headers) + str(asked.body) for asked in [*airflow.asked, *store.asked, *collector.asked]
    )
    assert [name for name in ("airflow", "gateway", "aws-session", "otlp") if name not in secrets_sent.lower()] == []
    assert b"workflow" in spans
    found = {
        where: text[at - 80 : at + 60]
        for where, text in told.items()
        for word in TRACES
        if (at := text.find(word)) >= 0
    }
    assert found == {}
    own = token.rpartition("_")[2]
    assert [where for where, text in told.items() if own.encode() in text] == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:CANARY-5e5e@127.0.0.1:1/x",
        "postgresql://me:CANARY-5e5e%40@127.0.0.1:1/x",
        "postgresql://127.0.0.1:1/x?user=me&password=CANARY-5e5e",
        "postgresql://me:CANARY-5e5e@[::1/x",
        "postgresql://me:CANARY-5e5e@127.0.0.1:port/x",
        "postgres://me:CANARY-5e5e@127.0.0.1:1/x",
        "oracle://me:CANARY-5e5e@127.0.0.1:1/x",
    ],
)
@pytest.mark.parametrize("command", ["db check", "serve", "config show", "workflow list"])
def test_no_password_of_a_failing_database_is_disclosed(tmp_path, url, command):
    """Neither the message nor the DEBUG log contains the password for any kind of failure."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PYTHONPATH,
        "HOME": str(tmp_path),
        "WORKFLOWS_DATABASE_URL": url,
        "WORKFLOWS_STORAGE_URL": f"file://{tmp_path}",
        "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_LOG_LEVEL": "DEBUG",
        "WORKFLOWS_PORT": "0",
    }
    said = dli(environment, *command.split())
    assert said
    assert b"CANARY" not in said, said
