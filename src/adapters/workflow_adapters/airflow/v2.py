"""``AirflowPort`` on ``/api/v2`` of Airflow 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workflow_adapters.airflow import answers
from workflow_adapters.airflow.client import Api, read
from workflow_adapters.airflow.paging import PAGE, read_all
from workflow_adapters.airflow.rest import AirflowRest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from workflow_adapters.airflow.rest import Key


class AirflowV2(AirflowRest):
    """:class:`~workflow_core.ports.airflow.AirflowPort` on Airflow 3."""

    api = Api.V2
    health_path = ("monitor", "health")

    def run_body(self, run_id: str, conf: Mapping[str, Any], logical_date: str | None) -> dict[str, Any]:
        """See the base class. A logical date has to be present, and may be null."""
        return {"dag_run_id": run_id, "conf": dict(conf), "logical_date": logical_date}

    def tasks_of(self, keys: Sequence[Key], ended_since: datetime | None = None) -> Iterable[answers.Json]:
        """See the base class. Page by page: Airflow returns at most ``[api] maximum_page_limit`` at once."""
        body: dict[str, Any] = {
            "dag_ids": sorted({dag_id for dag_id, _ in keys}),
            "dag_run_ids": sorted({run_id for _, run_id in keys}),
            "order_by": "id",
            "page_limit": PAGE,
        }
        if ended_since is not None:
            body["end_date_gte"] = ended_since.isoformat()

        def page(offset: int) -> tuple[list[answers.Json], int]:
            answer = self._client.search(
                "dags", "~", "dagRuns", "~", "taskInstances", "list", body={**body, "page_offset": offset}
            )
            return read(answer, lambda json: answers.rows_from(json, "task_instances"))

        return (read_all(page, answers.task_key) or {}).values()

    def logs_url(self, dag_id: str, run_id: str) -> str:
        return f"{self._client.base_url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
