from __future__ import annotations

import subprocess

import httpx
import pytest

from tests.e2e.system import DLI, ROOT, System, serve, settings_for


@pytest.fixture(scope="session", params=["airflow", "airflow_2"], ids=["3.3.2", "2.11.2"])
def system(request, s3, postgres, tmp_path_factory):
    """The service on PostgreSQL and S3 with a real Airflow, one after the other of both versions."""
    airflow = request.getfixturevalue(request.param)
    environment = settings_for(airflow, s3, postgres.create_database(f"workflows_e2e_{request.param}"))
    subprocess.run([*DLI, "db", "upgrade"], env=environment, cwd=ROOT, check=True, capture_output=True)
    process, base_url = serve(environment, tmp_path_factory.mktemp("service") / "service.log")
    with (
        process,
        httpx.Client(base_url=base_url, timeout=60, trust_env=False) as api,
        httpx.Client(
            base_url=airflow.server.api_url, headers=airflow.server.headers(), timeout=60, trust_env=False
        ) as theirs,
    ):
        yield System(
            environment=environment,
            api=api,
            airflow=theirs,
            storage_url=airflow.storage_url,
            clicks=airflow.clicks,
            dags_folder=airflow.server.dags_folder,
        )
