"""The service for the exploration: a separate ``dli serve`` process on PostgreSQL, which requires API tokens."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import requests
import sqlalchemy as sa
from attrs import frozen

from tests.e2e.system import DLI, ROOT, serve
from tests.schema.known_names import CODE, YAML
from workflow_adapters.sql import make_engine
from workflow_adapters.sql.tables import audit_events, backfills, idempotency_keys, revisions, runs, workflows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstack.postgres import LocalPostgres

KEPT: Final = (workflows, revisions, runs, backfills, idempotency_keys, audit_events)
"""The tables that requests change."""


@frozen(kw_only=True)
class Served:
    """The running service; ``headers`` contain a token with all rights."""

    url: str
    headers: dict[str, str]
    engine: sa.Engine
    storage: Path
    log_path: Path

    def facts(self) -> dict[str, list[str]]:
        """The current state that requests can change: rows and files."""
        with self.engine.connect() as connection:
            rows = {table.name: sorted(map(repr, connection.execute(sa.select(table)))) for table in KEPT}
        return {**rows, "files": sorted(f"{path} {path.read_text()}" for path in self.storage.rglob("*.yaml"))}

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """Close all connections of PostgreSQL to its database, and accept no others, until the block ends."""
        name = self.engine.url.database
        allow = f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS'
        end = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        elsewhere = make_engine(self.engine.url.set(database="postgres").render_as_string(hide_password=False))
        with elsewhere.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f"{allow} false"))
            connection.execute(end, {"name": name})
            try:
                yield
            finally:
                connection.execute(sa.text(f"{allow} true"))
        elsewhere.dispose()

    @contextmanager
    def without_storage(self) -> Iterator[None]:
        """Replace the folder of the YAML files with a file until the block ends."""
        away = self.storage.rename(self.storage.with_name("away"))
        self.storage.touch()
        try:
            yield
        finally:
            self.storage.unlink()
            away.rename(self.storage)

    def document(self) -> dict[str, Any]:
        """The live OpenAPI document."""
        answer = requests.get(self.url + "/schema/openapi.json", headers=self.headers, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


@contextmanager
def served(postgres: LocalPostgres, folder: Path, *, worker: bool = True) -> Iterator[Served]:
    """A service on a separate database, with files in ``folder`` and Airflow in memory; without ``worker`` it works
    only on request. Backfills have at most 20 dates, so that random requests do not create thousands of runs.
    """
    database_url = postgres.create_database("explored" if worker else "unasked")
    storage = folder / ("store" if worker else "unasked")
    published = storage / "workflows" / "code" / f"{CODE}.yaml"
    published.parent.mkdir(parents=True)
    published.write_text(YAML.format(name=CODE, cron="0 6 1 1 *"))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("WORKFLOWS_", "AIRFLOW_", "AWS_"))
    }
    environment = {
        **kept,
        "WORKFLOWS_DATABASE_URL": database_url,
        "WORKFLOWS_STORAGE_URL": f"file://{storage}",
        "WORKFLOWS_AIRFLOW_API": "memory",
        "WORKFLOWS_AUTH": "token",
        "WORKFLOWS_RATE": "0",  # the exploration sends requests without a pause
        "WORKFLOWS_BACKFILL_MAX_DATES": "20",
        "WORKFLOWS_SWEEP_INTERVAL": "0.5",
        "WORKFLOWS_WORKER": "true" if worker else "false",
        "WORKFLOWS_DRAIN": "0",
    }
    _dli(environment, "db", "upgrade")
    told = _dli(environment, "token", "create", "--name", "explorer", "--role", "admin")
    token = next(word for word in told.split() if word.startswith("dli_"))
    engine = make_engine(database_url)
    log_path = storage.with_suffix(".log")
    process, url = serve(environment, log_path)
    try:
        with process:
            headers = {"Authorization": f"Bearer {token}"}
            root = f"{url}/api/v1/workflows"
            requests.post(f"{root}/sync", headers=headers, timeout=30).raise_for_status()
            requests.get(f"{root}/{CODE}", headers=headers, timeout=30).raise_for_status()
            yield Served(url=url, headers=headers, engine=engine, storage=storage, log_path=log_path)
    finally:
        engine.dispose()


def _dli(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([*DLI, *arguments], env=environment, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout
