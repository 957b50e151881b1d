"""``AirflowPort`` on ``/api/v2`` of Airflow 3.

Facts about 3.3.2 that it relies on, each checked against a running one: ``docs/adr/0008-talking-to-airflow.md``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack
from urllib.parse import quote

from adapters.airflow import answers, errors
from adapters.airflow.client import AirflowClient
from adapters.airflow.paging import PAGE, read_all
from workflow_core.domain.names import check_run_id
from workflow_core.errors import (
    AirflowRefused,
    AirflowUnavailable,
    DagNotFound,
    InvalidRequest,
    LoaderNotInstalled,
    LogicalDateTaken,
)
from workflow_core.ports.airflow import ChangedRuns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from adapters.airflow.client import Answer, ClientSettings
    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import ComponentState, EndState, ServedDag

T = TypeVar("T")
Key = tuple[str, str]

JUST_NOW: Final = 1.0
"""Seconds for which an answer proves that Airflow can be reached: under load, nobody asks before every run."""

LET_IN: Final = 30.0
"""Seconds for which an answer to a request with our credentials proves that Airflow lets us in."""

RUNS_AT_ONCE: Final = 100
"""Runs whose tasks are asked for in one request. The request names DAGs and run ids, not pairs of them: more would match far too much."""

_MICROSECOND: Final = timedelta(microseconds=1)
# Airflow's own rule for DAG ids; anything else would be another path, or an error 500.
_DAG_ID: Final = re.compile(r"[\w.-]+\Z")


class AirflowV2:
    """:class:`~workflow_core.ports.airflow.AirflowPort` over HTTP; threads may share it.

    Args:
        base_url: where Airflow answers, without ``/api/v2``.
        overlap: seconds that :meth:`changed_runs` looks back behind Airflow's clock, for transactions that were begun before a
            look and committed after it, and for clocks of Airflow's hosts that differ.
        settings: of the :class:`~adapters.airflow.client.AirflowClient`: credentials, timeouts, connections.
    """

    def __init__(self, base_url: str, *, overlap: float = 10.0, **settings: Unpack[ClientSettings]) -> None:
        self._client = AirflowClient(base_url, **settings)
        self._overlap = timedelta(seconds=overlap)
        self._file_tokens: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections to Airflow."""
        self._client.close()

    def ping(self) -> None:
        """As the port says. One request; the cheapest there is while a proof of our credentials is at most 30 s old, and none right
        after another answer.
        """
        if self._client.let_in_within(JUST_NOW):
            return
        if self._client.let_in_within(LET_IN):
            _read(self._client.get("version", open_to_all=True), lambda json: json["version"])
        else:
            _read(self._client.get("dags", params={"limit": 1}), lambda json: answers.rows_from(json, "dags"))

    def health(self) -> Mapping[str, ComponentState]:
        """As the port says."""
        return _read(self._client.get("monitor", "health", open_to_all=True), answers.components_from)

    def dag(self, dag_id: str) -> ServedDag | None:
        """As the port says. The details come from the served definition, so the mark in them proves what is served."""
        if not _DAG_ID.match(dag_id):
            return None
        return _read_or_none(self._client.get("dags", dag_id, "details"), answers.dag_from)

    def request_parse(self, sentinel_dag_id: str) -> None:
        """As the port says. A file's token stays good until Airflow's secret or its DAG bundles change."""
        with self._client.one_call():
            token = self._file_tokens.get(sentinel_dag_id)
            if token is None or not self._ask_to_parse(token):
                self._file_tokens.pop(sentinel_dag_id, None)
                token = self._file_token(sentinel_dag_id)
                if not self._ask_to_parse(token):
                    raise LoaderNotInstalled(sentinel_dag_id)
                self._file_tokens[sentinel_dag_id] = token

    def _file_token(self, sentinel_dag_id: str) -> str:
        found = _read_or_none(self._client.get("dags", sentinel_dag_id), answers.file_token_from)
        if found is None:
            raise LoaderNotInstalled(sentinel_dag_id)
        return found

    def _ask_to_parse(self, token: str) -> bool:
        """Whether Airflow knows this token's file. 409: it has been asked already, and not yet parsed."""
        answer = self._client.change("PUT", "parseDagFile", token)
        if answer.ok or answer.status == HTTPStatus.CONFLICT:
            return True
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        raise errors.bad_status(answer.status, changes=True)

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        """As the port says."""
        if not _DAG_ID.match(dag_id):
            raise DagNotFound(dag_id)
        answer = self._client.change("PATCH", "dags", dag_id, body={"is_paused": paused})
        if answer.status == HTTPStatus.NOT_FOUND or _read(answer, answers.is_stale):  # Airflow pauses stale DAGs, too
            raise DagNotFound(dag_id)

    def trigger(
        self,
        dag_id: str,
        run_id: str,
        *,
        conf: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> AirflowRun:
        """As the port says."""
        if not _DAG_ID.match(dag_id):
            raise DagNotFound(dag_id)
        _refuse_bad_run_id(run_id)
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": dict(conf), "logical_date": None}
        if logical_date is not None:
            # Left to itself, each version of Airflow infers another interval from a logical date.
            names = ("logical_date", "data_interval_start", "data_interval_end")
            body |= dict.fromkeys(names, logical_date.astimezone(UTC).isoformat())
        with self._client.one_call():
            answer = self._client.change("POST", "dags", dag_id, "dagRuns", body=body)
            if answer.ok:
                return _read(answer, answers.run_from)
            if answer.status == HTTPStatus.NOT_FOUND:
                raise DagNotFound(dag_id)
            if answer.status == HTTPStatus.CONFLICT:
                return self._run_in_the_way(dag_id, run_id, logical_date)
        msg = f"Airflow refused the run {run_id!r} of {dag_id!r} (HTTP {answer.status}): its id, a param, or the DAG's file is wrong."
        raise AirflowRefused(msg)

    def _run_in_the_way(self, dag_id: str, run_id: str, logical_date: datetime | None) -> AirflowRun:
        """Airflow says that "a unique constraint" is violated, but not which: look."""
        found = self.run(dag_id, run_id)
        if found is not None:
            return found
        if logical_date is None:
            msg = f"Airflow had a run {run_id!r} a moment ago, and now it has not."
            raise AirflowUnavailable(msg)
        msg = f"Another run of {dag_id!r} has the logical date {logical_date.isoformat()}."
        raise LogicalDateTaken(msg)

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        """As the port says."""
        if not _DAG_ID.match(dag_id) or not _may_be_run_id(run_id):
            return None
        answer = self._client.change("PATCH", "dags", dag_id, "dagRuns", run_id, body={"state": state.value})
        return _read_or_none(answer, answers.run_from)

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        """As the port says."""
        if not _DAG_ID.match(dag_id) or not _may_be_run_id(run_id):
            return None
        return _read_or_none(self._client.get("dags", dag_id, "dagRuns", run_id), answers.run_from)

    def tasks(self, runs: Sequence[Key]) -> Mapping[Key, Sequence[TaskState]]:
        """As the port says."""
        found: dict[Key, list[TaskState]] = {}
        wanted = sorted(
            set(runs), key=lambda key: (key[1], key[0])
        )  # runs of one id together: scheduled ones share theirs
        with self._client.one_call():
            for start in range(0, len(wanted), RUNS_AT_ONCE):
                keys = wanted[start : start + RUNS_AT_ONCE]
                for key, task in self._tasks_of(keys):
                    if key in keys:
                        found.setdefault(key, []).append(task)
        return {key: sorted(states, key=_start) for key, states in found.items()}

    def _tasks_of(self, keys: Sequence[Key]) -> Sequence[tuple[Key, TaskState]]:
        body = {
            "dag_ids": sorted({dag_id for dag_id, _ in keys}),
            "dag_run_ids": sorted({run_id for _, run_id in keys}),
            "order_by": "id",
            "page_limit": PAGE,
        }

        def page(offset: int) -> tuple[list[answers.Json], int]:
            answer = self._client.search(
                "dags", "~", "dagRuns", "~", "taskInstances", "list", body={**body, "page_offset": offset}
            )
            return _read(answer, lambda json: answers.rows_from(json, "task_instances"))

        with errors.nonsense(changes=False):
            rows = read_all(page, answers.task_key) or {}
            return [(answers.run_key(row), answers.task_from(row)) for row in rows.values()]

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        """As the port says.

        Airflow does not tell when a run changed, only which runs did so in a window. So where too many did, the window is halved
        until it holds no more than ``limit``; and ``until`` stays behind Airflow's clock by ``overlap``.
        """
        since = since.astimezone(UTC)
        clock: list[datetime | None] = []
        before = None
        with self._client.one_call():
            runs = self._runs_changed(since, None, clock, limit=limit)
            now = clock[0] or since  # an Airflow that hides its clock is asked from the same moment again
            if runs is None:
                before = self._smaller_window(since, max(since, now) + self._overlap, limit)
                runs = self._runs_changed(since, before, clock) or []
        until = max(since, now - self._overlap)
        return ChangedRuns(runs=runs, until=until if before is None else min(until, before))

    def _runs_changed(
        self, since: datetime, before: datetime | None, clock: list[datetime | None], *, limit: int | None = None
    ) -> list[AirflowRun] | None:
        """The runs that changed from ``since`` to ``before``; None if they are more than ``limit``."""

        def page(offset: int) -> tuple[list[answers.Json], int]:
            rows, total, now = self._window(since, before, offset)
            clock.append(now)
            return rows, total

        with errors.nonsense(changes=False):
            rows = read_all(page, answers.run_key, limit=limit)
            return None if rows is None else [answers.run_from(row) for row in rows.values()]

    def _smaller_window(self, since: datetime, before: datetime, limit: int) -> datetime:
        """The end of a window, earlier than ``before``, with some changes but at most ``limit``.

        If more than that happened at one single moment, it ends there: they cannot be told apart, and come together.
        """
        empty, full = since, before
        while full - empty > _MICROSECOND:
            middle = empty + (full - empty) / 2
            _, count, _ = self._window(since, middle, 0, rows=1)
            if 0 < count <= limit:
                return middle
            empty, full = (middle, full) if count == 0 else (empty, middle)
        return full

    def _window(
        self, since: datetime, before: datetime | None, offset: int, *, rows: int = PAGE
    ) -> tuple[list[answers.Json], int, datetime | None]:
        """One page of the runs that changed in the window, how many they are, and Airflow's clock."""
        params: dict[str, str | int] = {"order_by": "id", "limit": rows, "offset": offset}
        params["updated_at_gte"] = since.isoformat()
        if before is not None:
            params["updated_at_lte"] = before.isoformat()
        answer = self._client.get("dags", "~", "dagRuns", params=params)
        found, total = _read(answer, lambda json: answers.rows_from(json, "dag_runs"))
        return found, total, answer.date

    def logs_url(self, dag_id: str, run_id: str) -> str:
        """As the port says."""
        return f"{self._client.base_url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def _read(answer: Answer, convert: Callable[[answers.Json], T]) -> T:
    """The entity in an answer of success."""
    if not answer.ok:
        raise errors.bad_status(answer.status, changes=answer.changes)
    with errors.nonsense(changes=answer.changes):
        return convert(answer.json())


def _read_or_none(answer: Answer, convert: Callable[[answers.Json], T | None]) -> T | None:
    return None if answer.status == HTTPStatus.NOT_FOUND else _read(answer, convert)


def _refuse_bad_run_id(run_id: str) -> None:
    """What Airflow would answer, except that it answers 500 to some of these and would be asked again and again."""
    try:
        check_run_id(run_id)
    except InvalidRequest as error:
        raise AirflowRefused(error.message) from None


def _may_be_run_id(run_id: str) -> bool:
    try:
        check_run_id(run_id)
    except InvalidRequest:
        return False
    return True


def _start(task: TaskState) -> tuple[bool, datetime, str]:
    """Tasks in the order of their start, those that have not started last."""
    return task.started_at is None, task.started_at or datetime.min.replace(tzinfo=UTC), task.task_id
