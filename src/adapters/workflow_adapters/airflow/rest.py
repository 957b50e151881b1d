"""``AirflowPort`` over HTTP: the common part of Airflow 2.11 (``/api/v1``) and 3.x (``/api/v2``).

It relies on facts that were verified against a running 3.3.2 and 2.11.2: ``docs/adr/0008-airflow-client.md`` and
``docs/adr/0011-airflow-api-versions.md``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack

from workflow_adapters.airflow import answers, errors
from workflow_adapters.airflow.client import AirflowClient, read, read_or_none
from workflow_adapters.airflow.paging import PAGE, read_all
from workflow_core.domain.names import check_run_id
from workflow_core.errors import (
    AirflowRefused,
    AirflowUnavailable,
    DagNotFound,
    InvalidRequest,
    LoaderNotInstalled,
    LogicalDateTaken,
)
from workflow_core.ports.airflow import ChangedRuns, DagPage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from workflow_adapters.airflow.client import Answer, Api, ClientSettings
    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import ComponentState, EndState, ServedDag

Key = tuple[str, str]
Change = tuple[str, tuple[str, ...]]

JUST_NOW: Final = 1.0
"""Seconds for which a response proves that Airflow can be reached: under load, not every run is preceded by a ping."""

LET_IN: Final = 30.0
"""Seconds for which a response to an authenticated request proves that Airflow accepts our credentials."""

RUNS_AT_ONCE: Final = 100
"""Runs per request for all their tasks. The request names DAGs and run ids, not pairs of them: more would match far too
much.
"""

RUNS_ASKED_OF: Final = 1000
"""Runs per request for some of their tasks only."""

_CHANGES: Final = (("updated_at", ("queued", "success", "failed")), ("start_date", ("running",)))
"""When a run of these states changed. For a running one ``updated_at`` is of no use: the scheduler sets it whenever it
examines the run.
"""

ATTEMPTS: Final = 3
"""Attempts to submit a run that Airflow reports as a conflict, although neither its id nor its date is taken."""

_MICROSECOND: Final = timedelta(microseconds=1)
# Airflow's own rule for DAG ids; anything else would be another path, or an error 500.
_DAG_ID: Final = re.compile(r"[\w.-]+\Z")


class AirflowRest(ABC):
    """:class:`~workflow_core.ports.airflow.AirflowPort` over HTTP; threads may share it. A subclass implements one
    version of the API.

    Args:
        base_url: the address of Airflow, without ``/api/v1`` or ``/api/v2``.
        overlap: seconds by which :meth:`changed_runs` goes back behind Airflow's clock, for transactions that were
            begun before a request and committed after it, and for differing clocks of Airflow's hosts.
        settings: see :class:`~workflow_adapters.airflow.client.AirflowClient`: credentials, timeouts, connections.
    """

    api: ClassVar[Api]
    """The version of the API."""
    health_path: ClassVar[tuple[str, ...]]
    """The path of the health of Airflow's components."""

    def __init__(self, base_url: str, *, overlap: float = 10.0, **settings: Unpack[ClientSettings]) -> None:
        self._client = AirflowClient(base_url, api=self.api, **settings)
        self._overlap = timedelta(seconds=overlap)
        self._file_tokens: dict[str, str] = {}

    @abstractmethod
    def run_body(self, run_id: str, conf: Mapping[str, Any], logical_date: str | None) -> dict[str, Any]:
        """Return the body of a POST of a run."""

    def get_details(self, dag_id: str) -> Answer:
        """Request a DAG with its details."""
        return self._client.get("dags", dag_id, "details")

    def post_run(self, dag_id: str, body: Mapping[str, Any]) -> Answer:
        """Send a new run."""
        return self._client.change("POST", "dags", dag_id, "dagRuns", body=body)

    @abstractmethod
    def tasks_of(self, keys: Sequence[Key], ended_since: datetime | None = None) -> Iterable[answers.Json]:
        """Return the task instances of these runs, each once, and possibly some of other runs.

        With ``ended_since``, return only those that ended at or after it.
        """

    @abstractmethod
    def logs_url(self, dag_id: str, run_id: str) -> str:
        """Return the address of the run in Airflow's UI."""

    def close(self) -> None:
        """Close the connections to Airflow."""
        self._client.close()

    def one_call(self) -> AbstractContextManager[None]:
        """Limit the time of all calls in the block together to that of one."""
        return self._client.one_call()

    def version(self) -> str:
        """Return Airflow's version, which needs no credentials.

        Raises:
            NoSuchApi: the server does not have this version of the API.
        """
        return read(self._client.get("version", open_to_all=True), answers.version_from)

    def ping(self) -> None:
        """Make one request: the cheapest one while a proof of our credentials is at most 30 s old, and none right
        after another response.
        """
        if self._client.let_in_within(JUST_NOW):
            return
        if self._client.let_in_within(LET_IN):
            self.version()
        else:
            read(self._client.get("dags", params={"limit": 1}), lambda json: answers.rows_from(json, "dags"))

    def health(self) -> Mapping[str, ComponentState]:
        return read(self._client.get(*self.health_path, open_to_all=True), answers.components_from)

    def dag(self, dag_id: str) -> ServedDag | None:
        """Request the details: they come from the served definition, so the mark in them proves which spec is served."""
        if not _DAG_ID.match(dag_id):
            return None
        return read_or_none(self.get_details(dag_id), answers.dag_from)

    def list_dags(self, offset: int = 0, *, limit: int = PAGE) -> DagPage:
        """List the DAGs; by default neither version includes DAGs that are no longer served."""
        params: dict[str, str | int] = {"order_by": "dag_id", "limit": min(limit, PAGE), "offset": offset}
        rows, total = read(self._client.get("dags", params=params), lambda json: answers.rows_from(json, "dags"))
        with errors.nonsense(changes=False):
            return DagPage(dags=[answers.listed_from(row) for row in rows], total=total)

    def request_parse(self, sentinel_dag_id: str) -> None:
        """Request a parse by the token of the file, which stays valid until Airflow's secret or its DAG bundles change."""
        with self._client.one_call():
            token = self._file_tokens.get(sentinel_dag_id)
            if token is None or not self._ask_to_parse(token):
                self._file_tokens.pop(sentinel_dag_id, None)
                token = self._file_token(sentinel_dag_id)
                if not self._ask_to_parse(token):
                    raise LoaderNotInstalled(sentinel_dag_id)
                self._file_tokens[sentinel_dag_id] = token

    def _file_token(self, sentinel_dag_id: str) -> str:
        token = read_or_none(self._client.get("dags", sentinel_dag_id), answers.file_token_from)
        if token is None:
            raise LoaderNotInstalled(sentinel_dag_id)
        return token

    def _ask_to_parse(self, token: str) -> bool:
        """Return whether Airflow knows the file of this token. 409: a parse is already requested, and has not begun."""
        answer = self._client.change("PUT", "parseDagFile", token)
        if answer.ok or answer.status == HTTPStatus.CONFLICT:
            return True
        if answer.status == HTTPStatus.NOT_FOUND:
            return False
        raise errors.bad_status(answer.status, changes=True)

    def set_paused(self, dag_id: str, *, paused: bool) -> None:
        if not _DAG_ID.match(dag_id):
            raise DagNotFound(dag_id)
        answer = self._client.change("PATCH", "dags", dag_id, body={"is_paused": paused})
        if answer.status == HTTPStatus.NOT_FOUND or read(answer, answers.is_stale):  # Airflow also pauses stale DAGs
            raise DagNotFound(dag_id)

    def trigger(
        self,
        dag_id: str,
        run_id: str,
        *,
        conf: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> AirflowRun:
        if not _DAG_ID.match(dag_id):
            raise DagNotFound(dag_id)
        _refuse_bad_run_id(run_id)
        body = self.run_body(run_id, conf, None)
        if logical_date is not None:
            body = self.run_body(run_id, conf, logical_date.astimezone(UTC).isoformat())
            # Without this, each version of Airflow infers a different interval from a logical date.
            body |= dict.fromkeys(("data_interval_start", "data_interval_end"), body["logical_date"])
        with self._client.one_call():
            for _ in range(ATTEMPTS):
                answer = self.post_run(dag_id, body)
                if answer.ok:
                    return read(answer, answers.run_from)
                if answer.status == HTTPStatus.NOT_FOUND:
                    raise DagNotFound(dag_id)
                if answer.status != HTTPStatus.CONFLICT:
                    msg = (
                        f"Airflow refused the run {run_id!r} of {dag_id!r} (HTTP {answer.status}): its id, a param, or the DAG's"
                        " file is wrong."
                    )
                    raise AirflowRefused(msg)
                # The run id or the logical date is taken; Airflow 3 does not report which.
                if (run := self.run(dag_id, run_id)) is not None:
                    return run
                if logical_date is not None:
                    msg = f"Another run of {dag_id!r} has the logical date {logical_date.isoformat()}."
                    raise LogicalDateTaken(msg)
                # Airflow 2.11 has chosen the current time as the date, which another run got at the same moment; the
                # next choice differs.
        msg = f"Airflow reports a conflict for the run {run_id!r} of {dag_id!r}, but has no such run."
        raise AirflowUnavailable(msg)

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        if not _DAG_ID.match(dag_id) or not _may_be_run_id(run_id):
            return None
        answer = self._client.change("PATCH", "dags", dag_id, "dagRuns", run_id, body={"state": state.value})
        return read_or_none(answer, answers.run_from)

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        """Clear the run with every option set: the defaults differ between versions of Airflow."""
        if not _DAG_ID.match(dag_id) or not _may_be_run_id(run_id):
            return False
        if task_ids is not None and not task_ids:
            msg = f"No task of the run {run_id!r} of {dag_id!r} was selected to run again."
            raise AirflowRefused(msg)
        body: dict[str, Any] = {
            "dry_run": False,
            "reset_dag_runs": True,
            "only_failed": False,
            "only_running": False,
            "dag_run_id": run_id,
        }
        if task_ids is not None:
            body["task_ids"] = sorted(task_ids)
        with self._client.one_call():
            answer = self._client.change("POST", "dags", dag_id, "clearTaskInstances", body=body)
            if answer.status == HTTPStatus.NOT_FOUND:
                if self.run(dag_id, run_id) is None:
                    return False
                raise DagNotFound(dag_id)
            if answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}:
                msg = f"Airflow refused to clear the run {run_id!r} of {dag_id!r} (HTTP {answer.status})."
                raise AirflowRefused(msg)
            if read(answer, answers.cleared_from) == 0:
                msg = f"Airflow found no task of the run {run_id!r} of {dag_id!r} that could run again."
                raise AirflowRefused(msg)
        return True

    def run(self, dag_id: str, run_id: str) -> AirflowRun | None:
        if not _DAG_ID.match(dag_id) or not _may_be_run_id(run_id):
            return None
        return read_or_none(self._client.get("dags", dag_id, "dagRuns", run_id), answers.run_from)

    def tasks(self, runs: Sequence[Key]) -> Mapping[Key, Sequence[TaskState]]:
        by_run: dict[Key, list[TaskState]] = {}
        requested = sorted(
            set(runs), key=lambda key: (key[1], key[0])
        )  # runs with the same id together: scheduled runs share theirs
        with self._client.one_call():
            for start in range(0, len(requested), RUNS_AT_ONCE):
                keys = requested[start : start + RUNS_AT_ONCE]
                with errors.nonsense(changes=False):
                    rows = [(answers.run_key(row), answers.task_from(row)) for row in self.tasks_of(keys)]
                for key, task in rows:
                    if key in keys:
                        by_run.setdefault(key, []).append(task)
        return {key: sorted(states, key=_start) for key, states in by_run.items()}

    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        requested = sorted(set(runs))
        ended: set[Key] = set()
        with self._client.one_call(), errors.nonsense(changes=False):
            for start in range(0, len(requested), RUNS_ASKED_OF):
                rows = self.tasks_of(requested[start : start + RUNS_ASKED_OF], since.astimezone(UTC))
                ended.update(map(answers.run_key, rows))
        return ended & set(requested)

    def runs_under_way(self, dag_id: str) -> int:
        if not _DAG_ID.match(dag_id):
            return 0
        params: dict[str, str | int | Sequence[str]] = {"state": ("queued", "running"), "limit": 1}
        answer = self._client.get("dags", dag_id, "dagRuns", params=params)
        return read_or_none(answer, lambda json: answers.rows_from(json, "dag_runs")[1]) or 0

    def changed_runs(self, since: datetime, *, limit: int = 1000) -> ChangedRuns:
        """Airflow does not report when a run changed, only which runs changed in a window. So where too many did, the
        window is halved until it contains at most ``limit``; and ``until`` stays behind Airflow's clock by ``overlap``.
        """
        since = since.astimezone(UTC)
        clock: list[datetime | None] = []
        before = None
        with self._client.one_call():
            runs = self._runs_changed(since, None, clock, limit=limit)
            now = clock[0] or since  # without the time of Airflow, the next request begins at the same moment
            if runs is None:
                before = self._smaller_window(since, max(since, now) + self._overlap, limit)
                runs = self._runs_changed(since, before, clock) or []
        until = max(since, now - self._overlap)
        return ChangedRuns(runs=runs, until=until if before is None else min(until, before))

    def _runs_changed(
        self, since: datetime, before: datetime | None, clock: list[datetime | None], *, limit: int | None = None
    ) -> list[AirflowRun] | None:
        """Return the runs that changed from ``since`` to ``before``; None if there are more than ``limit``."""
        changed: dict[
            Key, answers.Json
        ] = {}  # a run that changes in between can be in both lists: the later one counts
        with errors.nonsense(changes=False):
            for change in _CHANGES:

                def page(offset: int, change: Change = change) -> tuple[list[answers.Json], int]:
                    rows, total, now = self._window(change, since, before, offset)
                    clock.append(now)
                    return rows, total

                rows = read_all(page, answers.run_key, limit=limit)
                if rows is None:
                    return None
                changed |= rows
            if limit is not None and len(changed) > limit:
                return None
            return [answers.run_from(row) for row in changed.values()]

    def _smaller_window(self, since: datetime, before: datetime, limit: int) -> datetime:
        """Return the end of a window, earlier than ``before``, with at least one change and at most ``limit``.

        If one single moment has more changes than that, the window ends there: they cannot be separated, and are
        returned together.
        """
        empty, full = since, before
        while full - empty > _MICROSECOND:
            middle = empty + (full - empty) / 2
            count = sum(self._window(change, since, middle, 0, rows=1)[1] for change in _CHANGES)
            if 0 < count <= limit:
                return middle
            empty, full = (middle, full) if count == 0 else (empty, middle)
        return full

    def _window(
        self, change: Change, since: datetime, before: datetime | None, offset: int, *, rows: int = PAGE
    ) -> tuple[list[answers.Json], int, datetime | None]:
        """Return one page of the runs with this change in the window, their total number, and the time of Airflow's
        clock.
        """
        moment, states = change
        params: dict[str, str | int | Sequence[str]] = {"order_by": "id", "limit": rows, "offset": offset}
        params |= {"state": states, f"{moment}_gte": since.isoformat()}
        if before is not None:
            params[f"{moment}_lte"] = before.isoformat()
        answer = self._client.get("dags", "~", "dagRuns", params=params)
        page, total = read(answer, lambda json: answers.rows_from(json, "dag_runs"))
        return page, total, answer.date


def _refuse_bad_run_id(run_id: str) -> None:
    """Refuse a run id as Airflow would; for some of these it answers 500, which would be retried again and again."""
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
    """Sort tasks by their start; those that have not started come last."""
    return task.started_at is None, task.started_at or datetime.min.replace(tzinfo=UTC), task.task_id
