"""Real servers, each started once per test session and only if a test asks for it."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from devstack.airflow import LocalAirflow
from devstack.postgres import LocalPostgres
from devstack.s3 import LocalS3
from workflow_adapters.sql import make_engine, upgrade
from workflow_entrypoints.settings import NAMES

for _name in [name for name in os.environ if name.startswith(("WORKFLOWS_", "DLI_")) or name in NAMES]:
    del os.environ[_name]  # no test depends on the settings of the shell that starts it

ROOT = Path(__file__).resolve().parent.parent
LOADERS = 4
BUCKET = "workflows-tests"

# What tests wait for comes sooner than by default; the sections are those of 3.x and of 2.11.
SOON = {
    # A run is started, and its next task queued, in the next pass of the scheduler: 1 s by default.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    # A file is parsed again, without a request, after 30 s by default.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "15",
    # A DAG that left its file is dropped after 10 to 15 s instead of one to two minutes.
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__STALE_DAG_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
}

LANES = ("local", "airflow", "airflow_2")
"""What a test session needs: no Airflow, Airflow 3.3.2, or Airflow 2.11.2 (for a few tests both)."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lane``: ``make test`` runs the lanes side by side."""
    parser.addoption("--lane", choices=LANES, help="run only the tests that need no Airflow, or this one")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests of other lanes; each test belongs to one."""
    lane = config.getoption("--lane")
    if lane is None:
        return
    others = [item for item in items if _lane_of(item) != lane]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if _lane_of(item) == lane]


def _lane_of(item: pytest.Item) -> str:
    """The lane of a test, by the fixtures that it uses."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    servers = {parameters.get("system"), *getattr(item, "fixturenames", ())}
    return next((lane for lane in reversed(LANES) if lane in servers), "local")


@pytest.fixture(scope="session")
def postgres():
    """A private PostgreSQL."""
    with LocalPostgres() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """A migrated, empty SQLite file to copy: a copy takes 1 ms, the migrations 60 ms."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def s3():
    """An S3 service over HTTP."""
    with LocalS3() as server:
        yield server


@frozen(kw_only=True)
class AirflowForTests:
    """A real Airflow with our loader files, and what the tests need to look behind it.

    ``contract`` is the folder from which the contract suite's own DAG file makes DAGs; ``clicks`` is where the example writes.
    """

    server: LocalAirflow
    storage_url: str
    loaders: int
    contract: Path
    clicks: Path


@pytest.fixture(scope="session")
def airflow(postgres, s3, tmp_path_factory):
    """Airflow 3.3.2."""
    environment = ROOT / os.environ.get("AIRFLOW_VENV", ".venv-airflow")
    with _running(
        environment, postgres.create_airflow_database(), s3, BUCKET, tmp_path_factory.mktemp("airflow")
    ) as running:
        yield running


@pytest.fixture(scope="session")
def airflow_2(postgres, s3, tmp_path_factory):
    """Airflow 2.11.2."""
    environment = ROOT / os.environ.get("AIRFLOW_2_VENV", ".venv-airflow-2")
    database = postgres.create_airflow_database("airflow_2")
    with _running(environment, database, s3, f"{BUCKET}-2", tmp_path_factory.mktemp("airflow_2")) as running:
        yield running


@contextmanager
def _running(environment, database_url, s3, bucket, home):
    """An Airflow on PostgreSQL, reading workflows from S3; the intervals are those of SOON.

    The files in its DAGs folder exist before it starts, as in a real installation: Airflow would notice a new file only after five
    minutes.
    """
    from workflow_entrypoints.airflow.install import install

    dags, contract, clicks = home / "dags", home / "contract", home / "clicks"
    for folder in (dags, contract, clicks):
        folder.mkdir()
    storage_url = f"s3://{bucket}/workflows"
    s3.create_bucket(bucket)
    install(dags, loaders=LOADERS, storage_url=storage_url)
    for file in (ROOT / "tests" / "contract" / "airflow_dags").glob("*.py"):
        shutil.copy(file, dags)
    server = LocalAirflow(
        environment=environment,
        home=home / "home",
        dags_folder=dags,
        database_url=database_url,
        extra_env={
            **s3.environment,
            **SOON,
            "CONTRACT_DAGS": str(contract),
            "DAILY_CLICKS_HOME": str(ROOT / "examples" / "daily_clicks"),
            "DAILY_CLICKS_OUT": str(clicks),
        },
    )
    with server:
        yield AirflowForTests(server=server, storage_url=storage_url, loaders=LOADERS, contract=contract, clicks=clicks)
