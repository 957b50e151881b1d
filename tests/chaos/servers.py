"""A real Airflow, its PostgreSQL and an S3 endpoint, for a standalone run of the harness."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from devstack.airflow import LocalAirflow
from devstack.postgres import LocalPostgres
from devstack.s3 import LocalS3
from tests.chaos.fleet import ROOT
from tests.chaos.harness import Surroundings
from tests.conftest import LOADERS, SOON
from workflow_entrypoints.airflow.install import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUCKET = "chaos"


@contextmanager
def servers(folder: Path, *, airflow_2: bool, say: Callable[[str], None]) -> Iterator[Surroundings]:
    """Airflow 3.3.2 or 2.11.2 with the project's loader files."""
    variable, default = ("AIRFLOW_2_VENV", ".venv-airflow-2") if airflow_2 else ("AIRFLOW_VENV", ".venv-airflow")
    dags = folder / "dags"
    dags.mkdir(parents=True)
    with LocalPostgres(on_progress=say) as postgres, LocalS3(on_progress=say) as s3:
        s3.create_bucket(BUCKET)
        install(dags, loaders=LOADERS, storage_url=f"s3://{BUCKET}/workflows")
        server = LocalAirflow(
            environment=ROOT / os.environ.get(variable, default),
            home=folder / "airflow",
            dags_folder=dags,
            database_url=postgres.create_airflow_database(),
            extra_env={**s3.environment, **SOON},
            on_progress=say,
        )
        with server:
            yield Surroundings(airflow=server, s3=s3, bucket=BUCKET, loaders=LOADERS)
