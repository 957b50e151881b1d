"""One run of a workflow: what was accepted, and what Airflow says of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID


class RunStatus(StrEnum):
    """The states of section 4.2 of the specification."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self in {RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.STOPPED}


class RunType(StrEnum):
    """What made the run."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    BACKFILL = "backfill"


class Submission(StrEnum):
    """How far a run has come on its way to Airflow."""

    WAITING = "waiting"
    """Accepted here, not known to be in Airflow: sending it (again) under its own id is safe."""
    SUBMITTED = "submitted"
    """Airflow has it."""
    REFUSED = "refused"
    """Airflow will never take it; the run ended FAILED without having started."""


RUN_STATES: dict[str, RunStatus] = {
    "queued": RunStatus.PENDING,
    "running": RunStatus.RUNNING,
    "success": RunStatus.SUCCESS,
    "failed": RunStatus.FAILED,
    "restarting": RunStatus.RUNNING,
    "up_for_retry": RunStatus.RUNNING,
    "up_for_reschedule": RunStatus.RUNNING,
    "deferred": RunStatus.RUNNING,
    "upstream_failed": RunStatus.FAILED,
}
"""Airflow's word for a state and ours (specification, section 6.2, and the states that it leaves out)."""

COMPLETED_TASKS = frozenset({"success", "skipped"})
FAILED_TASKS = frozenset({"failed", "upstream_failed"})
RUNNING_TASKS = ("running", "restarting", "deferred", "up_for_reschedule", "up_for_retry", "queued", "scheduled")


@frozen(kw_only=True)
class TaskState:
    """One task instance of a run in Airflow. ``state`` is Airflow's word; None before the scheduler touched it."""

    task_id: str
    state: str | None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    try_number: int = 0


@frozen(kw_only=True)
class Progress:
    """Real task instances counted. ``current_task`` is the one that runs, or the first on its way to run."""

    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    current_task: str | None

    @classmethod
    def of(cls, tasks: Sequence[TaskState]) -> Progress:
        """Count task instances; skipped tasks are completed, upstream-failed ones failed."""
        ranked = sorted(
            (RUNNING_TASKS.index(task.state), task.started_at is None, task.task_id)
            for task in tasks
            if task.state in RUNNING_TASKS
        )
        return cls(
            total_tasks=len(tasks),
            completed_tasks=sum(task.state in COMPLETED_TASKS for task in tasks),
            failed_tasks=sum(task.state in FAILED_TASKS for task in tasks),
            current_task=ranked[0][2] if ranked else None,
        )


@frozen(kw_only=True)
class AirflowRun:
    """What Airflow says of a DAG run. ``run_type`` and ``triggered_by`` are in our words, ``state`` in Airflow's."""

    dag_id: str
    run_id: str
    state: str
    run_type: RunType
    triggered_by: str | None
    conf: Mapping[str, Any]
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    logical_date: datetime | None = None
    run_after: datetime | None = None

    @property
    def status(self) -> RunStatus:
        """Our word for the state; an unknown word of a future Airflow counts as running, never as ended."""
        return RUN_STATES.get(self.state, RunStatus.RUNNING)


@frozen(kw_only=True)
class Run:
    """One run. ``airflow_run_id`` equals ``run_id``, except for runs that Airflow made itself.

    ``started_at`` is the time of acceptance until Airflow reports a start. ``observed_at`` is when Airflow last told us of the
    run (None: never). ``version`` rises with every saved change (optimistic locking).
    """

    run_id: str
    airflow_run_id: str
    workflow_id: UUID
    dataset_name: str
    dag_id: str
    run_type: RunType
    status: RunStatus
    submission: Submission
    triggered_by: str
    params: Mapping[str, Any]
    accepted_at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    logical_date: datetime | None = None
    progress: Progress | None = None
    observed_at: datetime | None = None
    reason: str | None = None
    version: int = 1

    def duration_seconds(self, now: datetime) -> int:
        """Whole seconds from the start to the end, or until ``now`` while it has not ended."""
        return max(0, int(((self.ended_at or now) - self.started_at).total_seconds()))

    @property
    def settled(self) -> bool:
        """Whether nothing more is expected to change by itself."""
        return self.status.is_final

    def observed(self, seen: AirflowRun, tasks: Sequence[TaskState] | None, at: datetime) -> Run:
        """What Airflow said at ``at``. A look that is older than the last one changes nothing.

        A run that had ended may be running again: somebody cleared it in Airflow. ``tasks`` None leaves the progress as it was.
        """
        if self.observed_at is not None and at < self.observed_at:
            return self
        return evolve(
            self,
            submission=Submission.SUBMITTED,
            status=seen.status,
            started_at=seen.started_at or self.accepted_at,
            ended_at=seen.ended_at if seen.status.is_final else None,
            logical_date=seen.logical_date,
            progress=self.progress if tasks is None else Progress.of(tasks),
            observed_at=at,
        )

    def refused(self, reason: str, at: datetime) -> Run:
        """Airflow will never take this run."""
        return evolve(
            self,
            submission=Submission.REFUSED,
            status=RunStatus.FAILED,
            ended_at=at,
            reason=reason,
        )

    def gone(self, at: datetime) -> Run:
        """Airflow had this run and has it no more: somebody deleted it there before its end was seen."""
        return evolve(
            self, status=RunStatus.FAILED, ended_at=at, observed_at=at, reason="The run was deleted in Airflow."
        )


@frozen(kw_only=True)
class HistoryFilter:
    """Which runs to list; None means any. Dates are inclusive calendar days in UTC, of ``started_at``."""

    dataset_name: str | None = None
    start_date: date | None = None
    end_date: date | None = None

    @property
    def window(self) -> tuple[datetime | None, datetime | None]:
        """The same as moments: from (inclusive) and until (exclusive)."""
        start = datetime.combine(self.start_date, time(), UTC) if self.start_date else None
        bounded = self.end_date is not None and self.end_date < date.max  # no day follows the last one
        end = datetime.combine(self.end_date + timedelta(days=1), time(), UTC) if self.end_date and bounded else None
        return start, end
