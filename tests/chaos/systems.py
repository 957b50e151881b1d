"""The state of the three systems, read directly: rows by SQL, objects by S3, DAGs and runs by Airflow's REST API."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import httpx
import sqlalchemy as sa
from attrs import frozen

from workflow_adapters.sql import tables
from workflow_adapters.sql.engine import make_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from devstack.airflow import LocalAirflow
    from devstack.s3 import LocalS3

Row = dict[str, Any]

ENDED: Final = frozenset({"success", "failed"})


@frozen(kw_only=True)
class Snapshot:
    """The state of all systems at one time, for one run of the harness.

    ``dags`` are the active ones in Airflow, with ``spec`` the hash in the served definition; ``their_runs`` are ordered
    by creation, with ``clear_number``, the number of times a run was cleared. ``observations`` are the service's last
    observations of each workflow.
    """

    workflows: Sequence[Row]
    revisions: Sequence[Row]
    runs: Sequence[Row]
    backfills: Sequence[Row]
    observations: Mapping[Any, Row]
    objects: Mapping[str, str]
    dags: Mapping[str, Row]
    their_runs: Sequence[Row]
    their_tasks: Mapping[tuple[str, str], Sequence[Row]]


class Systems:
    """The three systems, accessed without faults.

    Args:
        database_url: of the service's database.
        airflow: the server, with its own database.
        s3, bucket: where the objects are.
        prefix: of the dataset names that this run of the harness makes.
    """

    def __init__(
        self, *, database_url: Callable[[], str], airflow: LocalAirflow, s3: LocalS3, bucket: str, prefix: str
    ) -> None:
        self._database_url = database_url
        self._airflow = airflow
        self._s3 = s3.client()
        self._bucket = bucket
        self._prefix = prefix
        self._dag_prefix = prefix.replace(".", "_")
        self.http = httpx.Client(base_url=airflow.api_url, headers=airflow.headers(), timeout=60, trust_env=False)

    def close(self) -> None:
        """Remove all objects that a sync of another test would import."""
        for key in self._objects():
            self._s3.delete_object(Bucket=self._bucket, Key=f"workflows/{key}")
        self.http.close()

    def put(self, name: str, text: str) -> None:
        """Publish a CODE workflow, as a CI pipeline does."""
        self._s3.put_object(Bucket=self._bucket, Key=f"workflows/code/{name}.yaml", Body=text.encode())

    def delete(self, name: str) -> None:
        self._s3.delete_object(Bucket=self._bucket, Key=f"workflows/code/{name}.yaml")

    def unsettled(self) -> list[str]:
        """A description of each item that is not settled."""
        engine = make_engine(self._database_url())
        mine = "substr(dataset_name, 1, :length) = :prefix"
        queries = {
            f"SELECT 'workflow ' || dataset_name || ' is ' || phase FROM workflows WHERE ({tables.UNSETTLED_WORKFLOW})",
            f"SELECT 'run ' || run_id || ' is ' || status || ' (' || submission || ')' FROM workflow_runs WHERE {tables.ACTIVE_RUN}",
        }
        given = {"length": len(self._prefix), "prefix": self._prefix}
        try:
            with engine.connect() as connection:
                found = [connection.scalars(sa.text(f"{query} AND {mine}"), given).all() for query in queries]
        finally:
            engine.dispose()
        ours = [str(line) for lines in found for line in lines]
        theirs = [run for run in self._their_runs() if run["state"] not in ENDED]
        return [*ours, *(f"run {run['dag_run_id']} is {run['state']} in Airflow" for run in theirs)]

    def snapshot(self) -> Snapshot:
        """Read the state of all systems."""
        engine = make_engine(self._database_url())
        try:
            with engine.connect() as connection:
                rows = {
                    table.name: [
                        dict(row)
                        for row in connection.execute(sa.select(table)).mappings()
                        if row.get("dataset_name", self._prefix).startswith(self._prefix)
                    ]
                    for table in (
                        tables.workflows,
                        tables.revisions,
                        tables.runs,
                        tables.backfills,
                        tables.observations,
                    )
                }
        finally:
            engine.dispose()
        runs = self._their_runs()
        return Snapshot(
            workflows=rows["workflows"],
            revisions=rows["workflow_revisions"],
            runs=rows["workflow_runs"],
            backfills=rows["backfills"],
            observations={row["workflow_id"]: row["facts"] for row in rows["workflow_observations"]},
            objects=self._objects(),
            dags=self._dags(),
            their_runs=runs,
            their_tasks=self._tasks(runs),
        )

    def _objects(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix="workflows/"):
            for listed in page.get("Contents", ()):
                if self._prefix in listed["Key"]:
                    body = self._s3.get_object(Bucket=self._bucket, Key=listed["Key"])["Body"]
                    found[listed["Key"].removeprefix("workflows/")] = body.read().decode()
        return found

    def _dags(self) -> dict[str, Row]:
        from workflow_core.domain.served import read_mark

        found: dict[str, Row] = {}
        for dag in self._pages("/dags", "dags", {"dag_id_pattern": self._dag_prefix}):
            details = self.http.get(f"/dags/{dag['dag_id']}/details")
            mark = read_mark(details.json().get("doc_md")) if details.is_success else None
            found[dag["dag_id"]] = {**dag, "spec": mark and mark.spec_hash}
        return found

    def _their_runs(self) -> list[Row]:
        runs = self._pages("/dags/~/dagRuns", "dag_runs", {"order_by": "id"})
        ours = [run for run in runs if run["dag_id"].startswith(self._dag_prefix)]
        url = self._airflow.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "+psycopg")
        engine = sa.create_engine(url)
        try:
            with engine.connect() as connection:
                query = sa.text("SELECT dag_id, run_id, clear_number FROM dag_run")
                cleared = {(dag_id, run_id): number for dag_id, run_id, number in connection.execute(query)}
        finally:
            engine.dispose()
        return [{**run, "clear_number": cleared.get((run["dag_id"], run["dag_run_id"]), 0)} for run in ours]

    def _tasks(self, runs: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
        found: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for first in range(0, len(runs), 50):
            body = {"dag_run_ids": [run["dag_run_id"] for run in runs[first : first + 50]], "page_limit": 1000}
            answer = self.http.post("/dags/~/dagRuns/~/taskInstances/list", json=body).raise_for_status()
            for task in answer.json()["task_instances"]:
                found[task["dag_id"], task["dag_run_id"]].append(task)
        return found

    def _pages(self, path: str, key: str, query: Mapping[str, Any]) -> list[Row]:
        found: list[Row] = []
        while True:
            page = self._get(path, {**query, "limit": 100, "offset": len(found)})
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def _get(self, path: str, query: Mapping[str, Any]) -> Row:
        """Airflow's response; a busy Airflow is asked again."""
        for _ in range(5):
            answer = self.http.get(path, params=query)
            if answer.is_success:
                break
            time.sleep(1)
        return dict(answer.raise_for_status().json())
