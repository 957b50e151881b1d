"""The whole system for the end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
from attrs import frozen

from devstack.ports import LOOPBACK, free_ports
from devstack.process import ManagedProcess

ROOT = Path(__file__).resolve().parent.parent.parent
DLI = [sys.executable, "-m", "workflow_entrypoints.cli.main"]


@frozen(kw_only=True)
class System:
    """The whole system: the service in a separate process, and clients of the service, of Airflow and of the store."""

    environment: dict[str, str]
    api: httpx.Client
    airflow: httpx.Client
    storage_url: str
    clicks: Path
    dags_folder: Path

    def serves(self, dag_id: str) -> bool:
        """Whether the DAG is active in Airflow: both versions list only active DAGs by default."""
        listed = self.airflow.get("/dags", params={"dag_id_pattern": dag_id}).json()["dags"]
        return dag_id in [dag["dag_id"] for dag in listed]

    def dli(self, *arguments: str, expect: int = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one ``dli`` command in a separate process."""
        done = subprocess.run(
            [*DLI, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=120,
            check=False,
        )
        assert done.returncode == expect, f"{arguments} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def dli_json(self, *arguments: str, expect: int = 0):
        """Run ``dli`` with ``--output json`` and parse the output."""
        return json.loads(self.dli(*arguments, "--output", "json", expect=expect).stdout)

    def register(self, name: str, yaml: str, **fields):
        """Send a registration and return the response of any status."""
        body = {"dataset_name": name, "yaml_content": yaml, "owner": "data@example.com", **fields}
        return self.api.post("/api/v1/workflows/register", json=body)

    def finished(self, run_id: str, *, within: float = 90.0):
        """The run's status once it has ended."""
        return eventually(
            lambda: self.api.get(f"/api/v1/workflows/runs/{run_id}").json(),
            lambda run: run["status"] in {"SUCCESS", "FAILED", "STOPPED"},
            within=within,
        )


def eventually(look, holds, *, within: float):
    """Poll ``look`` until its result ``holds``, and return the result; fails with the last result after ``within``
    seconds.
    """
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if holds(seen):
            return seen
        assert time.monotonic() < deadline, f"not within {within:g} s; last seen: {seen}"
        time.sleep(0.2)


def settings_for(airflow, s3, database_url: str, **more: str) -> dict[str, str]:
    """The environment of a service over these servers."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("WORKFLOWS_", "AIRFLOW_", "AWS_"))
    }
    return {
        **kept,
        **s3.environment,
        "AIRFLOW_BASE_URL": airflow.server.base_url,
        "AIRFLOW_USERNAME": airflow.server.username,
        "AIRFLOW_PASSWORD": airflow.server.password,
        "WORKFLOWS_DATABASE_URL": database_url,
        "WORKFLOWS_STORAGE_URL": airflow.storage_url,
        "WORKFLOWS_LOADERS": str(airflow.loaders),
        "WORKFLOWS_USER": "user@example.com",
        "WORKFLOWS_DRAIN": "0",
        "WORKFLOWS_SWEEP_INTERVAL": "0.5",  # the service observes Airflow in the next sweep: 2 s by default
        **more,
    }


def serve(environment: dict[str, str], log_path: Path) -> tuple[ManagedProcess, str]:
    """Start the service on a free port and wait until it responds."""
    (port,) = free_ports(1)
    process = ManagedProcess(
        [*DLI, "serve", "--port", str(port)], name="the service", log_path=log_path, env=environment, cwd=ROOT
    )
    process.start()
    base_url = f"http://{LOOPBACK}:{port}"

    def missing() -> str | None:
        if not process.is_running:
            raise process.error("ended during its start")
        try:
            return None if httpx.get(f"{base_url}/healthz", timeout=5, trust_env=False).is_success else "an answer"
        except httpx.HTTPError:
            return "a connection"

    try:
        process.wait_until(missing, timeout=60)
    except BaseException:
        process.stop()
        raise
    return process, base_url
