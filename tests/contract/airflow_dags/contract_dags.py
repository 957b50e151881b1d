"""The DAGs of the contract suite, in a real Airflow: one for each JSON file in the folder ``CONTRACT_DAGS``, and a sentinel."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.standard.operators.python import PythonOperator

try:
    from airflow.sdk import DAG, Param, get_parsing_context
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowFailException, AirflowSkipException
    from airflow.models import DAG
    from airflow.models.param import Param
    from airflow.utils.dag_parsing_context import get_parsing_context

START = datetime(2024, 1, 1, tzinfo=UTC)


def act(ends: str, seconds: float, ti: object) -> None:
    """The work of a task. A task with a duration first writes a file as proof that it has begun."""
    if seconds:
        Path(os.environ["CONTRACT_DAGS"], f"{ti.dag_id}.{ti.run_id}.{ti.task_id}.begun").touch()
        time.sleep(seconds)
    if ends == "failed":
        msg = "fails as configured"
        raise AirflowFailException(msg)
    if ends == "skipped":
        msg = "skipped as configured"
        raise AirflowSkipException(msg)


def build(seed: dict) -> DAG:
    """The DAG of one JSON file."""
    dag = DAG(
        dag_id=seed["dag_id"],
        schedule=seed["schedule"],
        start_date=START,
        catchup=False,
        doc_md=seed["doc_md"],
        is_paused_upon_creation=seed["paused"],
        params={seed["integer_param"]: Param(1, type="integer")} if seed["integer_param"] else {},
    )
    tasks = {
        task["task_id"]: PythonOperator(
            dag=dag, task_id=task["task_id"], python_callable=act, op_args=[task["ends"], task["seconds"]], retries=0
        )
        for task in seed["tasks"]
    }
    for task in seed["tasks"]:
        for name in task["after"]:
            tasks[name] >> tasks[task["task_id"]]
    return dag


requested = get_parsing_context().dag_id
for path in sorted(Path(os.environ["CONTRACT_DAGS"]).glob("*.json")):
    if requested in {None, path.stem}:
        globals()[path.stem] = build(json.loads(path.read_text()))

with DAG("contract_sentinel", schedule=None, start_date=START, is_paused_upon_creation=True):
    pass
