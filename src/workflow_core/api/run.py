"""Runs: sections 3.1, 3.4 and 3.6 of the specification."""

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
    """What to run with (3.1). The body may be left out."""

    model_config = example({"params": {"date": "2026-01-01"}, "dry_run": False})

    params: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="Values for parameters that the workflow's YAML declares; `date` (YYYY-MM-DD) is always allowed.",
    )
    dry_run: bool = Field(default=False, description="Check everything a real call would, and change nothing.")


class RunAcceptedAnswer(Answer):
    """The run is accepted (3.1)."""

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
        """The answer for a run."""
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
    """Task instances of the run in Airflow, counted."""

    total_tasks: int
    completed_tasks: int = Field(description="Succeeded or skipped.")
    failed_tasks: int = Field(description="Failed, or never started because one before failed.")
    current_task: str | None = Field(description="The task that runs, or is next to run; null if none is.")

    @classmethod
    def of(cls, progress: Progress | None) -> ProgressAnswer:
        """The answer for a progress; zeros before Airflow has made any task instance."""
        if progress is None:
            return cls(total_tasks=0, completed_tasks=0, failed_tasks=0, current_task=None)
        return cls(
            total_tasks=progress.total_tasks,
            completed_tasks=progress.completed_tasks,
            failed_tasks=progress.failed_tasks,
            current_task=progress.current_task,
        )


LONGEST_WAIT: Final = 60
"""Seconds that one request may wait for a change."""


class RunFilters(Filters):
    """How long to wait."""

    wait: WholeNumber = Field(
        default=0,
        ge=0,
        le=LONGEST_WAIT,
        description="Seconds to wait for a change of the run, at most; `Prefer: wait=30` asks for the same.",
    )


class RunStatusAnswer(Answer):
    """One run as it is now (3.4)."""

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
    duration_seconds: int = Field(description="From start to end, or until now while it has not ended.")
    triggered_by: str
    params: dict[str, JsonValue]
    logs_url: str = Field(description="The run in Airflow's own UI.")
    progress: ProgressAnswer
    ended_at: UtcTime | None = extra()
    reason: str | None = extra(description="Why it ended as it did, where Airflow's state does not tell.")
    stopped_by: str | None = extra(description="Who wanted it to end before its time.")
    stopped_at: UtcTime | None = extra(description="When that was accepted.")
    retried_by: str | None = extra(description="Who last had it run again after it had ended.")
    retried_at: UtcTime | None = extra(description="When that was accepted.")
    retries: int | None = extra(description="How often it has been retried.")
    stale: bool = extra(default=False, description="Airflow does not answer: this is what it said at `observed_at`.")
    observed_at: UtcTime | None = extra(description="When Airflow last told us of the run; with `stale`.")

    held: str | None = extra(description="Why it does not go on, where its DAG is paused in Airflow.")

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
        """The answer for a run."""
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
    """What of a run is to run again. The body may be left out."""

    model_config = example({"only_failed": True})

    only_failed: bool = Field(
        default=True,
        description="What failed of it, and what a stop kept from running; false: all of it, a success, too.",
    )


class RetryAnswer(Answer):
    """The run runs again under its id: `PENDING` until Airflow has begun it."""

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
    retries: int = Field(description="How often it has been retried, this one included.")
    reason: str | None = extra(description="Why Airflow refused it, if it did: the run has its old result then.")

    @classmethod
    def of(cls, run: Run, retry: Retry) -> RetryAnswer:
        """The answer for a run and its latest retry."""
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
    """Why a run is to end (3.3). The body may be left out."""

    model_config = example({"reason": "Manual stop requested by user"})

    reason: str | None = Field(default=None, max_length=1000)


class StopAnswer(Answer):
    """Who wants the run to end (3.3). `STOPPING` until every task of it has ended, then `STOPPED`."""

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
        """The answer for a run and the stop of it."""
        return cls(run_id=run.run_id, status=run.status, stopped_by=stop.by, stopped_at=stop.at, reason=stop.reason)


class HistoryItem(Answer):
    """One run in the history (3.6)."""

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
    stale: bool = extra(default=False, description="It had not ended when Airflow last answered; now it does not.")

    @classmethod
    def of(cls, run: Run, *, now: datetime, stale: bool = False) -> HistoryItem:
        """The answer for a run."""
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
