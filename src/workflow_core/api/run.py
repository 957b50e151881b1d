"""Requests and answers of runs (specification, sections 3.1, 3.3, 3.4 and 3.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, Field, JsonValue

from workflow_core.api.base import Answer, Request, UtcTime, extra
from workflow_core.api.listing import Filters, WholeNumber
from workflow_core.domain.run import RunStatus, RunType

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.run import Progress, Retry, Run, Stop

RUN_ID = "iceberg.analytics.daily_clicks_20260101_100000"
DATASET = "iceberg.analytics.daily_clicks"
USER = "user@example.com"


def example(body: dict[str, Any]) -> ConfigDict:
    """Put one of the specification's examples into the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class RunRequest(Request):
    """A run to start (specification, section 3.1). The body may be left out."""

    model_config = example({"params": {"date": "2026-01-01"}, "dry_run": False})

    params: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Values for parameters that the workflow's YAML declares; `date` (YYYY-MM-DD) is always allowed.",
    )
    dry_run: bool = Field(default=False, description="Check everything that a real call checks, and change nothing.")


class RunAcceptedAnswer(Answer):
    """The accepted run (specification, section 3.1)."""

    model_config = example(
        {
            "run_id": RUN_ID,
            "dataset_name": DATASET,
            "status": "PENDING",
            "triggered_by": USER,
            "params": {"date": "2026-01-01"},
            "started_at": "2026-01-01T10:00:00Z",
        }
    )
    run_id: str
    dataset_name: str
    status: RunStatus
    triggered_by: str
    params: dict[str, JsonValue]
    started_at: UtcTime = Field(description="The time of acceptance until Airflow reports a start.")
    dry_run: bool = extra(default=False, description="True: nothing was started.")
    reason: str | None = extra(description="Why Airflow refused the run, if it did.")

    @classmethod
    def of(cls, run: Run, *, dry_run: bool = False) -> RunAcceptedAnswer:
        """Make the answer from a run."""
        return cls(
            run_id=run.run_id,
            dataset_name=run.dataset_name,
            status=run.status,
            triggered_by=run.triggered_by,
            params=dict(run.params),
            started_at=run.started_at,
            dry_run=dry_run,
            reason=run.reason,
        )


class ProgressAnswer(Answer):
    """The counts of the task instances of the run in Airflow."""

    total_tasks: int
    completed_tasks: int = Field(description="Succeeded or skipped.")
    failed_tasks: int = Field(description="Failed, or never started because an upstream task failed.")
    current_task: str | None = Field(description="The running task, or the next one; null without one.")

    @classmethod
    def of(cls, progress: Progress | None) -> ProgressAnswer:
        """Make the answer from a progress; zeros before Airflow has created any task instance."""
        if progress is None:
            return cls(total_tasks=0, completed_tasks=0, failed_tasks=0, current_task=None)
        return cls(
            total_tasks=progress.total_tasks,
            completed_tasks=progress.completed_tasks,
            failed_tasks=progress.failed_tasks,
            current_task=progress.current_task,
        )


LONGEST_WAIT: Final = 60
"""Maximum seconds that one request may wait for a change."""


class RunFilters(Filters):
    """The query parameters of the state of a run."""

    wait: WholeNumber = Field(
        default=0,
        ge=0,
        le=LONGEST_WAIT,
        description="Maximum seconds to wait for a change of the run; `Prefer: wait=30` is equivalent.",
    )


class RunStatusAnswer(Answer):
    """The current state of a run (specification, section 3.4)."""

    model_config = example(
        {
            "run_id": RUN_ID,
            "dataset_name": DATASET,
            "status": "RUNNING",
            "started_at": "2026-01-01T10:00:00Z",
            "duration_seconds": 180,
            "triggered_by": USER,
            "params": {"date": "2026-01-01"},
            "logs_url": "https://airflow.example.com/dags/iceberg_analytics_daily_clicks/runs/" + RUN_ID,
            "progress": {
                "total_tasks": 5,
                "completed_tasks": 3,
                "failed_tasks": 0,
                "current_task": "aggregate_clicks",
            },
        }
    )
    run_id: str
    dataset_name: str
    status: RunStatus
    started_at: UtcTime
    duration_seconds: int = Field(description="From start to end, or until now if it has not ended.")
    triggered_by: str
    params: dict[str, JsonValue]
    logs_url: str = Field(description="The run in Airflow's UI.")
    progress: ProgressAnswer
    ended_at: UtcTime | None = extra()
    reason: str | None = extra(description="Why it ended in this status, where Airflow's state does not show it.")
    stopped_by: str | None = extra(description="The caller who stopped it.")
    stopped_at: UtcTime | None = extra(description="When that request was accepted.")
    retried_by: str | None = extra(description="The caller who retried it last.")
    retried_at: UtcTime | None = extra(description="When that request was accepted.")
    retries: int | None = extra(description="Number of retries.")
    stale: bool = extra(
        default=False, description="Airflow does not answer: this is the state observed at `observed_at`."
    )
    observed_at: UtcTime | None = extra(description="When the run was last observed in Airflow; with `stale`.")

    held: str | None = extra(description="Why it makes no progress, if its DAG is paused in Airflow.")

    @classmethod
    def of(  # noqa: PLR0913 - the facts of one answer, all by name
        cls,
        run: Run,
        *,
        now: datetime,
        logs_url: str,
        stale: bool = False,
        observed_at: datetime | None = None,
        held: str | None = None,
    ) -> RunStatusAnswer:
        """Make the answer from a run."""
        return cls(
            run_id=run.run_id,
            dataset_name=run.dataset_name,
            status=run.status,
            started_at=run.started_at,
            duration_seconds=run.duration_seconds(now),
            triggered_by=run.triggered_by,
            params=dict(run.params),
            logs_url=logs_url,
            progress=ProgressAnswer.of(run.progress),
            ended_at=run.ended_at,
            reason=run.reason or (run.stop.reason if run.stop else None),
            stopped_by=run.stop.by if run.stop else None,
            stopped_at=run.stop.at if run.stop else None,
            retried_by=run.retry.by if run.retry else None,
            retried_at=run.retry.at if run.retry else None,
            retries=run.retry.number if run.retry else None,
            stale=stale,
            observed_at=observed_at if stale else None,
            held=held,
        )


class RetryRequest(Request):
    """A retry of a run that has ended. The body may be left out."""

    model_config = example({"only_failed": True})

    only_failed: bool = Field(
        default=True,
        description="Run only failed tasks and those that a stop prevented; false: run all tasks, including successful"
        " ones.",
    )


class RetryAnswer(Answer):
    """The accepted retry: the run is `PENDING` under its id until Airflow starts it."""

    model_config = example(
        {
            "run_id": RUN_ID,
            "dataset_name": DATASET,
            "status": "PENDING",
            "retried_by": USER,
            "retried_at": "2026-01-01T11:00:00Z",
            "only_failed": True,
            "retries": 1,
        }
    )
    run_id: str
    dataset_name: str
    status: RunStatus
    retried_by: str
    retried_at: UtcTime = Field(description="When the retry was accepted.")
    only_failed: bool
    retries: int = Field(description="Number of retries, including this one.")
    reason: str | None = extra(description="Why Airflow refused it, if it did: the run then keeps its old result.")

    @classmethod
    def of(cls, run: Run, retry: Retry) -> RetryAnswer:
        """Make the answer from a run and its latest retry."""
        return cls(
            run_id=run.run_id,
            dataset_name=run.dataset_name,
            status=run.status,
            retried_by=retry.by,
            retried_at=retry.at,
            only_failed=retry.only_failed,
            retries=retry.number,
            reason=run.reason,
        )


class StopRequest(Request):
    """The reason for a stop (specification, section 3.3). The body may be left out."""

    model_config = example({"reason": "Manual stop requested by user"})

    reason: str | None = Field(default=None, max_length=1000)


class StopAnswer(Answer):
    """The accepted stop (specification, section 3.3): `STOPPING` until every task has ended, then `STOPPED`."""

    model_config = example(
        {
            "run_id": RUN_ID,
            "status": "STOPPING",
            "stopped_by": USER,
            "stopped_at": "2026-01-01T10:05:00Z",
            "reason": "Manual stop requested by user",
        }
    )
    run_id: str
    status: RunStatus
    stopped_by: str
    stopped_at: UtcTime = Field(description="When the stop was accepted.")
    reason: str | None

    @classmethod
    def of(cls, run: Run, stop: Stop) -> StopAnswer:
        """Make the answer from a run and its stop."""
        return cls(run_id=run.run_id, status=run.status, stopped_by=stop.by, stopped_at=stop.at, reason=stop.reason)


class HistoryItem(Answer):
    """One run in the history (specification, section 3.6)."""

    model_config = example(
        {
            "run_id": "iceberg.analytics.daily_clicks_20260101_060000",
            "dataset_name": DATASET,
            "status": "SUCCESS",
            "started_at": "2026-01-01T06:00:00Z",
            "ended_at": "2026-01-01T06:00:45Z",
            "duration_seconds": 45,
            "triggered_by": "scheduler",
            "run_type": "scheduled",
        }
    )

    run_id: str
    dataset_name: str
    status: RunStatus
    started_at: UtcTime
    ended_at: UtcTime | None
    duration_seconds: int
    triggered_by: str
    run_type: RunType
    stale: bool = extra(
        default=False, description="The run had not ended when Airflow last answered, and Airflow does not answer now."
    )

    @classmethod
    def of(cls, run: Run, *, now: datetime, stale: bool = False) -> HistoryItem:
        """Make the answer from a run."""
        return cls(
            run_id=run.run_id,
            dataset_name=run.dataset_name,
            status=run.status,
            started_at=run.started_at,
            ended_at=run.ended_at,
            duration_seconds=run.duration_seconds(now),
            triggered_by=run.triggered_by,
            run_type=run.run_type,
            stale=stale,
        )
