from __future__ import annotations

import subprocess

import httpx
import pytest

from tests.e2e.system import DLI, ROOT, System, serve, settings_for


@pytest.fixture(scope="session")
def system(airflow, s3, postgres, tmp_path_factory):
    """Our service on PostgreSQL and S3, beside a real Airflow."""
    environment = settings_for(airflow, s3, postgres.create_database("workflows_e2e"))
    subprocess.run([*DLI, "db", "upgrade"], env=environment, cwd=ROOT, check=True, capture_output=True)
    process, base_url = serve(environment, tmp_path_factory.mktemp("service") / "service.log")
    with (
        process,
        httpx.Client(base_url=base_url, timeout=60, trust_env=False) as api,
        httpx.Client(
            base_url=airflow.server.api_url, headers=airflow.server.headers(), timeout=60, trust_env=False
        ) as theirs,
    ):
        yield System(environment=environment, api=api, airflow=theirs, clicks=airflow.clicks)
