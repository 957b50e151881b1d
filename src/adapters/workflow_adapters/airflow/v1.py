"""``AirflowPort`` on ``/api/v1`` of Airflow 2.11."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from workflow_adapters.airflow import answers, errors
from workflow_adapters.airflow.client import Api, read
from workflow_adapters.airflow.rest import AirflowRest
from workflow_core.errors import AirflowUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from workflow_adapters.airflow.client import Answer
    from workflow_adapters.airflow.rest import Key

TASKS_AT_ONCE: Final = 5000
"""Task instances in one response. Airflow 2.11 has no limit here; 5,000 take 4 to 5 MB."""


class AirflowV1(AirflowRest):
    """:class:`~workflow_core.ports.airflow.AirflowPort` on Airflow 2.11.

    Every run has a logical date there: the moment of the trigger, by Airflow's clock, if none is given. Airflow does
    not report when a run was queued and who started it.
    """

    api = Api.V1
    health_path = ("health",)

    def run_body(self, run_id: str, conf: Mapping[str, Any], logical_date: str | None) -> dict[str, Any]:
        """See the base class. A logical date is present or absent, never null."""
        dated = {} if logical_date is None else {"logical_date": logical_date}
        return {"dag_run_id": run_id, "conf": dict(conf), **dated}

    def get_details(self, dag_id: str) -> Answer:
        """See the base class. While a DAG is first parsed, Airflow has the definition a moment before the DAG, and
        answers 500.
        """
        with self._client.one_call():
            answer = self._client.get("dags", dag_id, "details", also=HTTPStatus.INTERNAL_SERVER_ERROR)
            if answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                return answer
            row = self._client.get("dags", dag_id)
            return row if row.status == HTTPStatus.NOT_FOUND else super().get_details(dag_id)

    def post_run(self, dag_id: str, body: Mapping[str, Any]) -> Answer:
        """See the base class. Of two concurrent requests for the same id or date, one gets 500; a repeat of it gets
        409.
        """
        answer = self._client.change(
            "POST", "dags", dag_id, "dagRuns", body=body, also=HTTPStatus.INTERNAL_SERVER_ERROR
        )
        if answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return answer
        try:
            return super().post_run(dag_id, body)  # safe to repeat: the id is the same
        except AirflowUnavailable:  # that nothing was done is certain of the second request only
            raise errors.bad_status(answer.status, changes=True) from None

    def tasks_of(self, keys: Sequence[Key], ended_since: datetime | None = None) -> Iterable[answers.Json]:
        """See the base class. All in one response, as pages cannot be combined: Airflow 2.11 cannot order them."""
        body: dict[str, Any] = {
            "dag_ids": sorted({dag_id for dag_id, _ in keys}),
            "dag_run_ids": sorted({run_id for _, run_id in keys}),
            "page_limit": TASKS_AT_ONCE,
        }
        if ended_since is not None:
            body["end_date_gte"] = ended_since.isoformat()
        answer = self._client.search("dags", "~", "dagRuns", "~", "taskInstances", "list", body=body)
        rows, total = read(answer, lambda json: answers.rows_from(json, "task_instances"))
        if total <= len(rows):
            return rows
        if len(keys) == 1:
            raise errors.too_much("task instances of one run", total)
        middle = len(keys) // 2
        return [*self.tasks_of(keys[:middle], ended_since), *self.tasks_of(keys[middle:], ended_since)]

    def logs_url(self, dag_id: str, run_id: str) -> str:
        return f"{self._client.base_url}/dags/{quote(dag_id, safe='')}/grid?dag_run_id={quote(run_id, safe='')}"
