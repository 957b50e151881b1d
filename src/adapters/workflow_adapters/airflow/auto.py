"""An Airflow whose version nobody has told us."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack

from workflow_adapters.airflow import errors
from workflow_adapters.airflow.paging import PAGE
from workflow_adapters.airflow.v1 import AirflowV1
from workflow_adapters.airflow.v2 import AirflowV2

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from workflow_adapters.airflow.client import ClientSettings
    from workflow_adapters.airflow.rest import AirflowRest
    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import ChangedRuns, ComponentState, DagPage, EndState, ServedDag

T = TypeVar("T")

_MAJOR: Final = re.compile(r"([0-9]+)\.[0-9]")


class AirflowAuto:
    """:class:`~workflow_core.ports.airflow.AirflowPort` on whichever Airflow answers; threads may share it.

    It asks for the version at the first call, and again when Airflow says that it has no such API any more: after an upgrade. Only
    an answer with a version counts. Nothing is remembered of an Airflow that cannot be reached, or of a gateway's page.

    Args:
        base_url: where Airflow answers, without ``/api/v1`` or ``/api/v2``.
        overlap: as of the adapters.
        settings: likewise.
    """

    def __init__(self, base_url: str, *, overlap: float = 10.0, **settings: Unpack[ClientSettings]) -> None:
        self._v1 = AirflowV1(base_url, overlap=overlap, **settings)
        self._v2 = AirflowV2(base_url, overlap=overlap, **settings)
        self._found: AirflowRest | None = None

    def close(self) -> None:
        """Close the connections to Airflow."""
        self._v1.close()
        self._v2.close()

    def _ask(self, call: Callable[[AirflowRest], T]) -> T:
        with self._v2.one_call():
            port = self._found or self._look()
            try:
                return call(port)
            except errors.NoSuchApi:  # nothing was done
                now = self._look()
                if now is port:
                    raise
                return call(now)

    def _look(self) -> AirflowRest:
        """Find out which Airflow is there. Threads may do so at the same time: they find the same."""
        self._found = self._v2 if _is_spoken(self._v2, at_least=3) else self._older()
        return self._found

    def _older(self) -> AirflowRest:
        if not _is_spoken(self._v1, at_least=2):
            raise errors.no_route()
        return self._v1

    def ping(self) -> None:
        self._ask(lambda port: port.ping())

    def health(self) -> Mapping[str, ComponentState]:
        return self._ask(lambda port: port.health())

    def dag(self, dag_id: str) -> ServedDag | None:
        return self._ask(lambda port: port.dag(dag_id))

    def list_dags(self, offset: int = 0, *, limit: int = PAGE) -> DagPage:
        return self._ask(lambda port: port.list_dags(offset, limit=limit))

    def request_parse(self, sentinel_dag_id: str) -> None:
        self._ask(lambda port: port.request_parse(sentinel_dag_id))

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        self._ask(lambda port: port.set_paused(dag_id, paused=paused))

    def trigger(
        self,
        dag_id: str,
        run_id: str,
        *,
        conf: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> AirflowRun:
        return self._ask(lambda port: port.trigger(dag_id, run_id, conf=conf, logical_date=logical_date))

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        return self._ask(lambda port: port.end_run(dag_id, run_id, state))

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        return self._ask(lambda port: port.clear_run(dag_id, run_id, task_ids))

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        return self._ask(lambda port: port.run(dag_id, run_id))

    def tasks(self, runs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[TaskState]]:
        return self._ask(lambda port: port.tasks(runs))

    def runs_with_ended_tasks(self, runs: Sequence[tuple[str, str]], since: datetime) -> Collection[tuple[str, str]]:
        return self._ask(lambda port: port.runs_with_ended_tasks(runs, since))

    def runs_under_way(self, dag_id: str) -> int:
        return self._ask(lambda port: port.runs_under_way(dag_id))

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        return self._ask(lambda port: port.changed_runs(since, limit=limit))

    def logs_url(self, dag_id: str, run_id: str) -> str:
        """As the port says; as long as no Airflow has answered, the page of Airflow 3."""
        return (self._found or self._v2).logs_url(dag_id, run_id)


def _is_spoken(port: AirflowRest, *, at_least: int) -> bool:
    """Whether an Airflow of this major version, or a later one, answers in this dialect."""
    try:
        major = _MAJOR.match(port.version())
    except errors.NoSuchApi:
        return False
    if major is None:
        raise errors.bad_body(changes=False)
    return int(major[1]) >= at_least
