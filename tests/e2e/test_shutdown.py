"""SIGTERM under load: what was accepted is answered, and what was answered is kept. ``make chaos-shutdown`` does it a hundred times."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
from attrs import Factory, define

from devstack.ports import LOOPBACK
from tests.e2e.system import DLI, ROOT
from workflow_adapters.sql import make_engine

if TYPE_CHECKING:
    from pathlib import Path


ROUNDS = int(os.environ.get("SHUTDOWNS", "5"))
"""The number of processes that are stopped under load."""

ENOUGH = 10
"""Accepted runs that make a process busy, however fast the machine is."""

PATH = "/api/v1/workflows"
NAME = "a.load"
YAML = "version: v1\nname: load\nowner: x@example.com\nschedule: {cron: 0 6 * * *, timezone: UTC}\n"


@define
class Load:
    """Clients that send one request after the other until the port is closed, and their results."""

    port: int
    accepted: list[str] = Factory(list)
    ready: list[int] = Factory(list)
    answered: int = 0
    failed: list[str] = Factory(list)
    busy: Event = Factory(Event)

    def run(self, *, keeps_connection: bool) -> None:
        """Start runs and read them, on one connection or on a new one for each request."""
        connection = self._connection()
        while True:
            answer = self._ask(connection, "POST", f"{PATH}/{NAME}/run", {})
            if answer is None:
                return
            self.accepted.append(answer["run_id"])
            if len(self.accepted) > ENOUGH:
                self.busy.set()
            if not keeps_connection:
                connection.close()
            if self._ask(connection, "GET", f"{PATH}/runs/{answer['run_id']}") is None:
                return
            if not keeps_connection:
                connection.close()

    def watch_readiness(self) -> None:
        """Note what ``/readyz`` answers."""
        connection = self._connection()
        while self._ask(connection, "GET", "/readyz") is not None:
            time.sleep(0.01)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> Any:
        """The answer; None if the port is closed. Whatever else goes wrong is a request that failed."""
        try:
            if connection.sock is None:
                connection.connect()
        except ConnectionRefusedError:
            return None
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.failed.append(f"{method} {path}: {error!r}")
            return None
        self.answered += 1
        if path == "/readyz":
            self.ready.append(response.status)
        elif response.status not in {200, 202}:
            self.failed.append(f"{method} {path}: {response.status} {answer}")
            return None
        return answer


@pytest.fixture
def environment(sqlite_template: Path, tmp_path: Path) -> dict[str, str]:
    """A service on SQLite and files, Airflow in its memory."""
    shutil.copy(sqlite_template, tmp_path / "workflows.db")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKFLOWS_", "AIRFLOW_"))}
    return {
        **kept,
        "WORKFLOWS_DATABASE_URL": f"sqlite:///{tmp_path / 'workflows.db'}",
        "WORKFLOWS_STORAGE_URL": f"file://{tmp_path / 'store'}",
        "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_SWEEP_INTERVAL": "0.1",
        "WORKFLOWS_DRAIN": "0.3",
    }


@pytest.mark.parametrize("number", range(ROUNDS))
def test_no_accepted_request_fails(number: int, environment: dict[str, str], tmp_path: Path) -> None:
    """Clients with kept and with new connections are answered until the port is closed; first the service is no longer ready."""
    (tmp_path / "store").mkdir()
    process, port = started(environment, tmp_path / "log")
    try:
        register(port)
        load = Load(port)
        threads = [Thread(target=load.run, kwargs={"keeps_connection": one % 2 == 0}) for one in range(6)]
        threads.append(Thread(target=load.watch_readiness))
        for thread in threads:
            thread.start()
        assert load.busy.wait(30), load.failed
        time.sleep(0.1 + number % 10 / 50)  # not always at the same point of a sweep
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
    log = (tmp_path / "log").read_text()
    assert load.failed == [], log
    assert (code, "Traceback" in log, " ERROR " in log) == (0, False, False), log
    assert load.ready.index(503) > 0
    assert set(load.ready[load.ready.index(503) :]) == {503}
    assert kept(environment) >= set(load.accepted)
    assert len(load.accepted) > ENOUGH


def register(port: int) -> None:
    """The workflow that is run."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    body = {"dataset_name": NAME, "yaml_content": YAML, "owner": "x@example.com"}
    connection.request("POST", f"{PATH}/register", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 201, response.read()
    connection.close()


def kept(environment: dict[str, str]) -> set[str]:
    """The ids of the runs in the database."""
    engine = make_engine(environment["WORKFLOWS_DATABASE_URL"])
    with engine.connect() as connection:
        found = {row[0] for row in connection.exec_driver_sql("SELECT run_id FROM workflow_runs")}
    engine.dispose()
    return found


def started(environment: dict[str, str], log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A separate service, once it responds, and its port."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*DLI, "serve", "--port", "0"], env=environment, cwd=ROOT, stdout=output, stderr=output
        )
    deadline = time.monotonic() + 60
    while "Serving at " not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process, int(log.read_text().partition("Serving at ")[2].split()[0].rpartition(":")[2])
