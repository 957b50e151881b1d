"""``AirflowPort`` over HTTP, as far as Airflow 2.11 (``/api/v1``) and 3.x (``/api/v2``) are asked alike.

Facts that it relies on, each checked against a running 3.3.2 and 2.11.2: ``docs/adr/0008-talking-to-airflow.md`` and
``docs/adr/0011-two-dialects-of-airflow.md``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, Unpack

from workflow_adapters.airflow import answers, errors
from workflow_adapters.airflow.client import AirflowClient
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
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from workflow_adapters.airflow.client import Answer, Api, ClientSettings
    from workflow_core.domain.run import AirflowRun, TaskState
    from workflow_core.ports.airflow import ComponentState, EndState, ServedDag

T = TypeVar("T")
Key = tuple[str, str]
Change = tuple[str, tuple[str, ...]]

JUST_NOW: Final = 1.0
"""Seconds for which an answer proves that Airflow can be reached: under load, nobody asks before every run."""

LET_IN: Final = 30.0
"""Seconds for which an answer to a request with our credentials proves that Airflow lets us in."""

RUNS_AT_ONCE: Final = 100
"""Runs whose tasks are asked for in one request. The request names DAGs and run ids, not pairs of them: more would match far too much."""

RUNS_ASKED_OF: Final = 1000
"""Runs that one request names when it asks for some of their tasks only."""

_CHANGES: Final = (("updated_at", ("queued", "success", "failed")), ("start_date", ("running",)))
"""When a run of these states changed. ``updated_at`` of a running one says nothing: the scheduler sets it whenever it examines the run."""

ATTEMPTS: Final = 3
"""How often a run is sent that is in conflict with nothing that can be found."""

_MICROSECOND: Final = timedelta(microseconds=1)
# Airflow's own rule for DAG ids; anything else would be another path, or an error 500.
_DAG_ID: Final = re.compile(r"[\w.-]+\Z")


class AirflowRest(ABC):
    """:class:`~workflow_core.ports.airflow.AirflowPort` over HTTP; threads may share it. A subclass speaks one version's dialect.

    Args:
        base_url: where Airflow answers, without ``/api/v1`` or ``/api/v2``.
        overlap: seconds that :meth:`changed_runs` looks back behind Airflow's clock, for transactions that were begun before a
            look and committed after it, and for clocks of Airflow's hosts that differ.
        settings: of the :class:`~workflow_adapters.airflow.client.AirflowClient`: credentials, timeouts, connections.
    """

    api: ClassVar[Api]
    """The dialect of the client."""
    health_path: ClassVar[tuple[str, ...]]
    """Where the health of Airflow's parts is told."""

    def __init__(self, base_url: str, *, overlap: float = 10.0, **settings: Unpack[ClientSettings]) -> None:
        self._client = AirflowClient(base_url, api=self.api, **settings)
        self._overlap = timedelta(seconds=overlap)
        self._file_tokens: dict[str, str] = {}

    @abstractmethod
    def run_body(self, run_id: str, conf: Mapping[str, Any], logical_date: str | None) -> dict[str, Any]:
        """What a POST of a run says."""

    def get_details(self, dag_id: str) -> Answer:
        """Ask for a DAG with its details."""
        return self._client.get("dags", dag_id, "details")

    def post_run(self, dag_id: str, body: Mapping[str, Any]) -> Answer:
        """Send a new run."""
        return self._client.change("POST", "dags", dag_id, "dagRuns", body=body)

    @abstractmethod
    def tasks_of(self, keys: Sequence[Key], ended_since: datetime | None = None) -> Iterable[answers.Json]:
        """The task instances of these runs, each once, and maybe some of other runs; those that ended since then, if that is given."""

    @abstractmethod
    def logs_url(self, dag_id: str, run_id: str) -> str:
        """As the port says."""

    def close(self) -> None:
        """Close the connections to Airflow."""
        self._client.close()

    def one_call(self) -> AbstractContextManager[None]:
        """All calls in the block together take no longer than one may."""
        return self._client.one_call()

    def version(self) -> str:
        """Airflow's version, which it tells to anybody.

        Raises:
            NoSuchApi: whoever answers does not speak this dialect.
        """
        return read(self._client.get("version", open_to_all=True), answers.version_from)

    def ping(self) -> None:
        """As the port says. One request; the cheapest there is while a proof of our credentials is at most 30 s old, and none right
        after another answer.
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
        """As the port says. The details come from the served definition, so the mark in them proves what is served."""
        if not _DAG_ID.match(dag_id):
            return None
        return read_or_none(self.get_details(dag_id), answers.dag_from)

    def list_dags(self, offset: int = 0, *, limit: int = PAGE) -> DagPage:
        """As the port says. Neither version lists what is no longer served, unless asked to."""
        params: dict[str, str | int] = {"order_by": "dag_id", "limit": min(limit, PAGE), "offset": offset}
        rows, total = read(self._client.get("dags", params=params), lambda json: answers.rows_from(json, "dags"))
        with errors.nonsense(changes=False):
            return DagPage(dags=[answers.listed_from(row) for row in rows], total=total)

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
        found = read_or_none(self._client.get("dags", sentinel_dag_id), answers.file_token_from)
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
        if not _DAG_ID.match(dag_id):
            raise DagNotFound(dag_id)
        answer = self._client.change("PATCH", "dags", dag_id, body={"is_paused": paused})
        if answer.status == HTTPStatus.NOT_FOUND or read(answer, answers.is_stale):  # Airflow pauses stale DAGs, too
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
            # Left to itself, each version of Airflow infers another interval from a logical date.
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
                # The run id or the logical date is taken, and Airflow 3 does not tell which: look.
                if (found := self.run(dag_id, run_id)) is not None:
                    return found
                if logical_date is not None:
                    msg = f"Another run of {dag_id!r} has the logical date {logical_date.isoformat()}."
                    raise LogicalDateTaken(msg)
                # Airflow 2.11 has chosen a date, now, that another run got at the same moment; it will not choose it again.
        msg = f"Airflow says that there is a run {run_id!r} of {dag_id!r}, and that there is none."
        raise AirflowUnavailable(msg)

    def end_run(self, dag_id: str, run_id: str, state: EndState) -> AirflowRun | None:
        if not _DAG_ID.match(dag_id) or not _may_be_run_id(run_id):
            return None
        answer = self._client.change("PATCH", "dags", dag_id, "dagRuns", run_id, body={"state": state.value})
        return read_or_none(answer, answers.run_from)

    def clear_run(self, dag_id: str, run_id: str, task_ids: Sequence[str] | None = None) -> bool:
        """As the port says. Every switch is set: what Airflow takes for granted differs between its versions."""
        if not _DAG_ID.match(dag_id) or not _may_be_run_id(run_id):
            return False
        if task_ids is not None and not task_ids:
            msg = f"No task of the run {run_id!r} of {dag_id!r} is to run again."
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
        found: dict[Key, list[TaskState]] = {}
        wanted = sorted(
            set(runs), key=lambda key: (key[1], key[0])
        )  # runs of one id together: scheduled ones share theirs
        with self._client.one_call():
            for start in range(0, len(wanted), RUNS_AT_ONCE):
                keys = wanted[start : start + RUNS_AT_ONCE]
                with errors.nonsense(changes=False):
                    told = [(answers.run_key(row), answers.task_from(row)) for row in self.tasks_of(keys)]
                for key, task in told:
                    if key in keys:
                        found.setdefault(key, []).append(task)
        return {key: sorted(states, key=_start) for key, states in found.items()}

    def runs_with_ended_tasks(self, runs: Sequence[Key], since: datetime) -> Collection[Key]:
        wanted = sorted(set(runs))
        found: set[Key] = set()
        with self._client.one_call(), errors.nonsense(changes=False):
            for start in range(0, len(wanted), RUNS_ASKED_OF):
                rows = self.tasks_of(wanted[start : start + RUNS_ASKED_OF], since.astimezone(UTC))
                found.update(map(answers.run_key, rows))
        return found & set(wanted)

    def runs_under_way(self, dag_id: str) -> int:
        if not _DAG_ID.match(dag_id):
            return 0
        params: dict[str, str | int | Sequence[str]] = {"state": ("queued", "running"), "limit": 1}
        answer = self._client.get("dags", dag_id, "dagRuns", params=params)
        return read_or_none(answer, lambda json: answers.rows_from(json, "dag_runs")[1]) or 0

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
        found: dict[Key, answers.Json] = {}  # one that changes meanwhile can be in both lists: the later answer counts
        with errors.nonsense(changes=False):
            for change in _CHANGES:

                def page(offset: int, change: Change = change) -> tuple[list[answers.Json], int]:
                    rows, total, now = self._window(change, since, before, offset)
                    clock.append(now)
                    return rows, total

                rows = read_all(page, answers.run_key, limit=limit)
                if rows is None:
                    return None
                found |= rows
            if limit is not None and len(found) > limit:
                return None
            return [answers.run_from(row) for row in found.values()]

    def _smaller_window(self, since: datetime, before: datetime, limit: int) -> datetime:
        """The end of a window, earlier than ``before``, with some changes but at most ``limit``.

        If more than that happened at one single moment, it ends there: they cannot be told apart, and come together.
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
        """One page of the runs that changed so in the window, how many they are, and Airflow's clock."""
        moment, states = change
        params: dict[str, str | int | Sequence[str]] = {"order_by": "id", "limit": rows, "offset": offset}
        params |= {"state": states, f"{moment}_gte": since.isoformat()}
        if before is not None:
            params[f"{moment}_lte"] = before.isoformat()
        answer = self._client.get("dags", "~", "dagRuns", params=params)
        found, total = read(answer, lambda json: answers.rows_from(json, "dag_runs"))
        return found, total, answer.date


def read(answer: Answer, convert: Callable[[answers.Json], T]) -> T:
    """The entity in an answer of success."""
    if not answer.ok:
        raise errors.bad_status(answer.status, changes=answer.changes)
    with errors.nonsense(changes=answer.changes):
        return convert(answer.json())


def read_or_none(answer: Answer, convert: Callable[[answers.Json], T | None]) -> T | None:
    """The same, or None where Airflow says that there is no such thing."""
    return None if answer.status == HTTPStatus.NOT_FOUND else read(answer, convert)


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
