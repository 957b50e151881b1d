"""Converts Airflow's JSON (``/api/v1`` and ``/api/v2``) to entities. A missing field, or one of another type, is a
:class:`ValueError`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workflow_core.domain.run import AirflowRun, RunType, TaskState
from workflow_core.domain.served import read_mark
from workflow_core.ports.airflow import ComponentState, ListedDag, ServedDag

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
Json = dict[str, Any]

# Airflow's run types and ours. A run started by an asset's update or by the scheduler counts as scheduled: no user
# requested it.
_RUN_TYPES: Final = {
    "manual": RunType.MANUAL,
    "operator_triggered": RunType.MANUAL,
    "asset_materialization": RunType.MANUAL,
    "backfill": RunType.BACKFILL,
    "scheduled": RunType.SCHEDULED,
    "asset_triggered": RunType.SCHEDULED,
    "dataset_triggered": RunType.SCHEDULED,  # the name in 2.11
}


def run_from(json: Json) -> AirflowRun:
    """Return a DAG run. A type that this version does not know counts as manual.

    Airflow 2.11 does not report when it was queued, who started it, and when it was due: a scheduled run is due at the
    end of its interval.
    """
    run_type = _RUN_TYPES.get(_get(json, "run_type", str), RunType.MANUAL)
    scheduled = run_type is RunType.SCHEDULED
    user = _maybe(json, "triggering_user_name", str)
    return AirflowRun(
        dag_id=_get(json, "dag_id", str),
        run_id=_get(json, "dag_run_id", str),
        state=_get(json, "state", str),
        run_type=run_type,
        triggered_by=user or ("scheduler" if scheduled else None),
        conf=_maybe(json, "conf", dict) or {},
        queued_at=_moment(json, "queued_at"),
        started_at=_moment(json, "start_date"),
        ended_at=_moment(json, "end_date"),
        logical_date=_moment(json, "logical_date"),
        run_after=_moment(json, "run_after" if "run_after" in json or not scheduled else "data_interval_end"),
    )


def task_from(json: Json) -> TaskState:
    """Return a task instance."""
    return TaskState(
        task_id=_get(json, "task_id", str),
        state=_maybe(json, "state", str),
        started_at=_moment(json, "start_date"),
        ended_at=_moment(json, "end_date"),
        try_number=_maybe(json, "try_number", int) or 0,
    )


def run_key(json: Json) -> tuple[str, str]:
    """Return the key of a run, or of the run that a task instance belongs to: DAG id and run id."""
    return _get(json, "dag_id", str), _get(json, "dag_run_id", str)


def task_key(json: Json) -> str:
    """Return the id of a task instance of Airflow 3; each try has its own."""
    return _get(json, "id", str)


def dag_from(json: Json) -> ServedDag | None:
    """Return a DAG with the facts of its mark (:mod:`workflow_core.domain.served`); None if it is no longer served."""
    if is_stale(json):
        return None
    mark = read_mark(_maybe(json, "doc_md", str))
    return ServedDag(
        dag_id=_get(json, "dag_id", str),
        is_paused=_get(json, "is_paused", bool),
        spec_hash=mark.spec_hash if mark else None,
        error=mark.error if mark else None,
        next_run=_next_run(json),
    )


def listed_from(json: Json) -> ListedDag:
    """Return a DAG of the list. Until Airflow has first checked for import errors, the field is missing."""
    return ListedDag(
        dag_id=_get(json, "dag_id", str),
        is_paused=_get(json, "is_paused", bool),
        has_import_errors=_maybe(json, "has_import_errors", bool) or False,
        next_run=_next_run(json),
    )


def _next_run(json: Json) -> datetime | None:
    return _moment(json, "next_dagrun_run_after") or _moment(json, "next_dagrun_create_after")


def cleared_from(json: Json) -> int:
    """Return the number of cleared task instances."""
    return len(_get(json, "task_instances", list))


def is_stale(json: Json) -> bool:
    """Whether Airflow has a record of the DAG, but no longer serves it; Airflow 2.11 reports the opposite flag."""
    return _get(json, "is_stale", bool) if "is_stale" in json else not _get(json, "is_active", bool)


def file_token_from(json: Json) -> str | None:
    """Return the token to request a parse of the DAG's file; None for a DAG that is no longer served."""
    return None if is_stale(json) else _get(json, "file_token", str)


def version_from(json: Json) -> str:
    """Return Airflow's version."""
    return _get(json, "version", str)


def components_from(json: Json) -> Mapping[str, ComponentState]:
    """Return the state of each component. One that is not installed has none; an unknown state counts as unhealthy."""
    states = {name: _maybe(part, "status", str) for name, part in json.items() if isinstance(part, dict)}
    if "metadatabase" not in states:
        msg = "no metadatabase"
        raise ValueError(msg)
    healthy = ComponentState.HEALTHY
    return {
        name: healthy if state == healthy.value else ComponentState.UNHEALTHY
        for name, state in states.items()
        if state is not None
    }


def rows_from(json: Json, name: str) -> tuple[list[Json], int]:
    """Return one page of a list, and the total number of rows."""
    rows = _get(json, name, list)
    if not all(isinstance(row, dict) for row in rows):
        msg = f"{name} are not objects"
        raise ValueError(msg)
    return rows, _get(json, "total_entries", int)


def _get(json: Json, name: str, kind: type[T]) -> T:
    value = _maybe(json, name, kind)
    if value is None:
        msg = f"{name} is missing"
        raise ValueError(msg)
    return value


def _maybe(json: Json, name: str, kind: type[T]) -> T | None:
    value = json.get(name)
    if value is None or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool)):
        return value
    msg = f"{name} is not of type {kind.__name__}"
    raise ValueError(msg)


def _moment(json: Json, name: str) -> datetime | None:
    text = _maybe(json, name, str)
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = f"{name} has no time zone"
        raise ValueError(msg)
    return moment.astimezone(UTC)
