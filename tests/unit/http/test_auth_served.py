"""Tests of authentication in a real ``dli serve`` process, on a database to which ``dli token`` writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.paths import PYTHONPATH
from workflow_entrypoints.http.auth.bearer import REMEMBERED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DLI = [sys.executable, "-m", "workflow_entrypoints.cli.main"]
CANARY = "hunter2hunter2hunter2"
LIST = "/api/v1/workflows"


@pytest.fixture
def environment(tmp_path):
    """The environment of all commands of a test."""
    made = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PYTHONPATH,
        "WORKFLOWS_AUTH": "token,proxy",
        "WORKFLOWS_PROXY_PEERS": "10.0.0.0/8",
        "WORKFLOWS_DATABASE_URL": f"sqlite:///{tmp_path}/workflows.db",
        "WORKFLOWS_STORAGE_URL": f"file://{tmp_path}/store",
        "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_PORT": "0",
        "WORKFLOWS_WORKER": "false",
        "WORKFLOWS_DRAIN": "0",
        "WORKFLOWS_LOG_LEVEL": "DEBUG",
        "AIRFLOW_PASSWORD": CANARY,
        "AIRFLOW_TOKEN": CANARY,
        "DLI_TOKEN": CANARY,
        "FORWARDED_ALLOW_IPS": "*",  # uvicorn reads it
    }
    run(made, "db", "upgrade")
    return made


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([*DLI, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr if arguments[0] == "config" else done.stdout


@contextmanager
def served(environment: dict[str, str], log: Path) -> Iterator[httpx.Client]:
    """A client of a service in a separate process, whose log goes to ``log``."""
    with log.open("w") as file:
        process = subprocess.Popen([*DLI, "serve"], env=environment, stderr=file, stdout=file)
    try:
        deadline = time.monotonic() + 60
        while "Serving at " not in (text := log.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        url = text.partition("Serving at ")[2].split()[0]
        with httpx.Client(base_url=url, trust_env=False) as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_token_is_valid_from_creation_to_revocation(environment, tmp_path):
    """A token that is created beside the running service is valid at once, and for at most five seconds after its
    revocation. No secret is in the log, or in the output of the service and of ``dli config show``.
    """
    log = tmp_path / "log"
    with served(environment, log) as client:
        assert client.get(LIST).status_code == 401
        token = run(environment, "token", "create", "--name", "ci", "--role", "admin").strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert client.get(LIST, headers=headers).status_code == 200
        answers = [
            client.get(LIST, headers={**headers, "X-Canary": CANARY, "Cookie": CANARY}),
            client.get(LIST, headers={"Authorization": f"Bearer {CANARY}"}),
            client.get(LIST, headers={"Authorization": f"Basic {CANARY}"}),
            client.get(LIST, headers={"Proxy-Authorization": f"Bearer {CANARY}"}),
            client.get("/schema/openapi.json", headers=headers),
            client.get("/metrics", headers=headers),
            client.get("/readyz", headers=headers),
            client.get("/dependencies", headers=headers),
        ]
        run(environment, "token", "revoke", token.split("_")[1])
        since = time.monotonic()
        while client.get(LIST, headers=headers).status_code == 200:
            assert time.monotonic() - since < REMEMBERED + 1
            time.sleep(0.1)
        assert client.get(LIST, headers=headers).status_code == 401
    output = log.read_text() + run(environment, "config", "show") + "".join(answer.text for answer in answers)
    assert "401" in log.read_text()
    assert [word for word in (CANARY, token, token[-64:], token[-64:-40]) if word in output] == []


def test_no_header_changes_the_source_address(environment, tmp_path):
    """The source address is that of the connection, although uvicorn could read it from a header, so that the forged
    user is ignored.
    """
    forged = {"X-Forwarded-User": "alice", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"}
    with served(environment, tmp_path / "log") as client:
        assert client.get(LIST, headers=forged).status_code == 401
        assert client.get(LIST, headers={**forged, "X-Forwarded-For": "10.0.0.1, 10.0.0.2"}).status_code == 401


def test_a_large_body_does_not_hide_the_401(environment, tmp_path):
    """A client that sends a megabyte without a credential can read the 401 and send another request."""
    with served(environment, tmp_path / "log") as client:
        for _ in range(5):
            answer = client.post(f"{LIST}/register", content=b" " * 1_000_000)
            assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


def test_non_loopback_addresses_require_authentication(environment, tmp_path):
    """With authentication the service starts and logs a warning about encryption; without authentication it refuses to
    start.
    """
    log = tmp_path / "log"
    with served({**environment, "WORKFLOWS_HOST": "0.0.0.0"}, log) as client:
        port = client.base_url.port
        assert httpx.get(f"http://127.0.0.1:{port}{LIST}", trust_env=False).status_code == 401
    assert "put TLS in front" in log.read_text()
    nobody = {**environment, "WORKFLOWS_AUTH": "none", "WORKFLOWS_HOST": "0.0.0.0"}
    done = subprocess.run([*DLI, "serve"], env=nobody, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "WORKFLOWS_AUTH" in done.stderr) == (2, True)
