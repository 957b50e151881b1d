"""One run of a workflow: the accepted request, and the state that Airflow reports for it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo
    from uuid import UUID


class RunStatus(StrEnum):
    """The status of a run (specification, section 4.2)."""

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
    """The progress of a run's submission to Airflow."""

    WAITING = "waiting"
    """Accepted and certainly not in Airflow: its backfill has not reached it, or its DAG is not served yet."""
    SENDING = "sending"
    """Sent at least once, or about to be sent, and not known to be in Airflow. Sending it again under its run id is safe."""
    SUBMITTED = "submitted"
    """Airflow has it."""
    RETRYING = "retrying"
    """It ended in Airflow and is to run again; Airflow has not confirmed that it cleared the run."""
    REFUSED = "refused"
    """Airflow rejected it for good; the run ended FAILED without having started."""
    CANCELLED = "cancelled"
    """Stopped before it was in Airflow; the run ended STOPPED without having started."""


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
"""Airflow's states and the statuses they map to (specification, section 6.2, and the states that it leaves out)."""

COMPLETED_TASKS = frozenset({"success", "skipped"})
FAILED_TASKS = frozenset({"failed", "upstream_failed"})
RUNNING_TASKS = ("running", "restarting", "deferred", "up_for_reschedule", "up_for_retry", "queued", "scheduled")


ENDED_FIRST: Final = "It had ended before the stop reached it."
NOT_RETRIED: Final = "It was stopped before its retry began."
DELETED: Final = "The run was deleted in Airflow."
DATE_STEP: Final = timedelta(microseconds=1)
"""The distance between the logical dates of runs of the same moment: the smallest that every Airflow database stores."""


@frozen(kw_only=True)
class TaskState:
    """One task instance of a run in Airflow. ``state`` is Airflow's state; None until the scheduler sets one."""

    task_id: str
    state: str | None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    try_number: int = 0

    @property
    def is_under_way(self) -> bool:
        """Whether it runs or may still run."""
        return self.state in RUNNING_TASKS


@frozen(kw_only=True)
class Progress:
    """Counts of task instances. ``current_task`` is the running task, or else the next one to run."""

    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    current_task: str | None

    @classmethod
    def of(cls, tasks: Sequence[TaskState]) -> Progress:
        """Count task instances. Skipped tasks count as completed, upstream-failed tasks as failed."""
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
    """The state of a DAG run in Airflow. ``run_type`` and ``triggered_by`` use this project's values, ``state`` Airflow's.

    ``triggered_by`` None: not reported, as for manual runs of Airflow 2.11, which does not report ``queued_at`` either.
    """

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
        """The status that the state maps to. An unknown state of a future Airflow counts as running, never as ended."""
        return RUN_STATES.get(self.state, RunStatus.RUNNING)


@frozen(kw_only=True)
class Stop:
    """The request to stop a run: caller, time and reason. ``asked_at`` is when Airflow last received it (None: not yet)."""

    by: str
    at: datetime
    reason: str | None = None
    asked_at: datetime | None = None


@frozen(kw_only=True)
class Retry:
    """The request to run an ended run again: caller, time and tasks.

    ``ended_before`` is the end that Airflow reported before the retry. A run that has not ended, or that ended at another moment, has
    been cleared since. This is the only proof, and it is reliable: nothing else changes the end of a run. ``number`` counts the
    retries of a run from 1.
    """

    by: str
    at: datetime
    only_failed: bool
    tasks: tuple[str, ...]
    ended_before: datetime | None
    number: int = 1

    def is_done(self, airflow_run: AirflowRun) -> bool:
        """Whether the run in Airflow has been cleared since."""
        return not airflow_run.status.is_final or airflow_run.ended_at != self.ended_before


def run_date_of(params: Mapping[str, Any], moment: datetime, zone: tzinfo) -> date:
    """Return the date that a run processes: the caller's ``params.date``, else the day of ``moment`` in the workflow's time zone.

    ``moment`` is the logical date, or the time of acceptance for a run without one. ``{{ run_date() }}`` in the DAG follows the
    same rule.
    """
    given = params.get("date")
    try:
        return date.fromisoformat(given) if isinstance(given, str) else moment.astimezone(zone).date()
    except ValueError:  # a run that was started in Airflow: its params were not checked
        return moment.astimezone(zone).date()


@frozen(kw_only=True)
class Run:
    """One run. ``airflow_run_id`` equals ``run_id``, except for runs that Airflow created.

    ``run_date`` is the date that it processes (:func:`run_date_of`). ``started_at`` is the time of acceptance until Airflow reports
    a start. ``sent_at`` is when the service last sent it to Airflow, ``observed_at`` when Airflow last reported it (None: never).
    ``stop`` is set when a caller requests a stop, ``retry`` when a caller requests a retry. Until Airflow is known to have cleared
    the run, a retried run is ``RETRYING`` and ``sent_at`` is when the request was last sent to Airflow. ``version`` rises with every
    saved change (optimistic locking).
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
    run_date: date
    accepted_at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    logical_date: datetime | None = None
    backfill_id: str | None = None
    progress: Progress | None = None
    sent_at: datetime | None = None
    observed_at: datetime | None = None
    stop: Stop | None = None
    retry: Retry | None = None
    reason: str | None = None
    version: int = 1

    def duration_seconds(self, now: datetime) -> int:
        """Whole seconds from the start to the end, or until ``now`` while it has not ended."""
        return max(0, int(((self.ended_at or now) - self.started_at).total_seconds()))

    @property
    def is_settled(self) -> bool:
        """Whether the run has ended, so that no step of the worker is due."""
        return self.status.is_final

    def sending(self, at: datetime) -> Run:
        """Mark the run as about to be sent. This is saved before the request, so that a WAITING run was certainly never sent."""
        return evolve(self, submission=Submission.SENDING, sent_at=at)

    def put_back(self) -> Run:
        """Mark the run as not sent: Airflow certainly did not accept it this time. It is sent again later."""
        return evolve(self, submission=Submission.WAITING)

    def with_next_logical_date(self) -> Run:
        """Take the next logical date, a microsecond later, because another run of the DAG has this one."""
        return self if self.logical_date is None else evolve(self, logical_date=self.logical_date + DATE_STEP)

    def observed(self, airflow_run: AirflowRun, tasks: Sequence[TaskState] | None, at: datetime) -> Run:
        """Apply the state that Airflow reported at ``at``. An observation older than the last one changes nothing.

        A run that had ended may be running again, if a user cleared it in Airflow. ``tasks`` None keeps the progress. A run that is
        to be retried is PENDING until Airflow has cleared it. A run that is to be stopped is STOPPING in every state that Airflow
        reports, until :meth:`stopped`, unless it ended before Airflow received the stop: then its actual result counts.
        """
        if self.observed_at is not None and at < self.observed_at:
            return self
        if self.submission is Submission.RETRYING and self.retry is not None and not self.retry.is_done(airflow_run):
            return evolve(self, observed_at=at)
        run = evolve(
            self,
            submission=Submission.SUBMITTED,
            status=airflow_run.status,
            started_at=airflow_run.started_at or self.accepted_at,
            ended_at=airflow_run.ended_at if airflow_run.status.is_final else None,
            logical_date=airflow_run.logical_date,
            progress=self.progress if tasks is None else Progress.of(tasks),
            observed_at=at,
        )
        return run if self.stop is None else self._observed_stopping(run, self.stop)

    def counted(self, tasks: Sequence[TaskState], at: datetime) -> Run:
        """Apply the task states that Airflow reported at ``at``. An observation older than the last one changes nothing."""
        if self.observed_at is not None and at < self.observed_at:
            return self
        return evolve(self, progress=Progress.of(tasks), observed_at=at)

    def _observed_stopping(self, run: Run, stop: Stop) -> Run:
        ended = run.status.is_final
        if stop.asked_at is None:
            return evolve(run, stop=None, reason=ENDED_FIRST) if ended else evolve(run, status=RunStatus.STOPPING)
        if self.status is RunStatus.STOPPING:
            return evolve(run, status=RunStatus.STOPPING, ended_at=None)
        # the stop was complete; if the run has not ended now, a user has cleared it since
        return evolve(run, status=RunStatus.STOPPED) if ended else evolve(run, stop=None)

    def stopping(self, by: str, reason: str | None, at: datetime) -> Run:
        """Request a stop. A run that was never sent ends with it; a run that is stopping already is unchanged."""
        if self.stop is not None or self.status.is_final:
            return self
        run = evolve(self, stop=Stop(by=by, at=at, reason=reason), status=RunStatus.STOPPING)
        return run.cancelled(at) if self.submission is Submission.WAITING else run

    def stop_asked(self, at: datetime) -> Run:
        """Record that the stop is about to be sent to Airflow."""
        return self if self.stop is None else evolve(self, stop=evolve(self.stop, asked_at=at))

    def stopped(self, at: datetime) -> Run:
        """End the run as STOPPED: all its tasks have ended because of the stop.

        ``at`` is the end in Airflow, as for every other run, because the next poll reports that end again.
        """
        return evolve(self, status=RunStatus.STOPPED, ended_at=at)

    def cancelled(self, at: datetime) -> Run:
        """End the run as STOPPED before it was in Airflow."""
        return evolve(self, submission=Submission.CANCELLED, status=RunStatus.STOPPED, ended_at=at)

    def stop_superseded(self, airflow_run: AirflowRun) -> Run:
        """Drop the stop, which came too late: every task had succeeded before it."""
        return evolve(self, stop=None, status=airflow_run.status, ended_at=airflow_run.ended_at, reason=ENDED_FIRST)

    def retrying(self, retry: Retry, tasks: Sequence[TaskState]) -> Run:
        """Request a retry: the run has no longer ended, and its end and reason are cleared.

        ``tasks`` are the task instances of the ended run.
        """
        again = [evolve(task, state=None) if task.task_id in retry.tasks else task for task in tasks]
        return evolve(
            self,
            submission=Submission.RETRYING,
            status=RunStatus.PENDING,
            ended_at=None,
            progress=Progress.of(again),
            sent_at=None,
            stop=None,
            retry=evolve(retry, number=1 if self.retry is None else self.retry.number + 1),
            reason=None,
        )

    def retry_asked(self, at: datetime) -> Run:
        """Record that the retry is about to be sent to Airflow."""
        return evolve(self, sent_at=at)

    def retry_put_back(self) -> Run:
        """Mark the retry as not sent: Airflow certainly did not apply it this time. It is sent again later."""
        return evolve(self, sent_at=None)

    def retry_given_up(self, airflow_run: AirflowRun, reason: str | None) -> Run:
        """Give up the retry: the run keeps the result that Airflow reports."""
        return evolve(
            self,
            submission=Submission.SUBMITTED,
            status=airflow_run.status,
            ended_at=airflow_run.ended_at,
            stop=None,
            reason=reason,
        )

    def refused(self, reason: str, at: datetime) -> Run:
        """End the run as FAILED: Airflow will never accept it."""
        return evolve(
            self,
            submission=Submission.REFUSED,
            status=RunStatus.FAILED,
            ended_at=at,
            reason=reason,
        )

    def deleted_in_airflow(self, at: datetime) -> Run:
        """End the run: it was deleted in Airflow before its end was observed."""
        status = RunStatus.FAILED if self.stop is None else RunStatus.STOPPED
        return evolve(self, status=status, ended_at=at, observed_at=at, reason=DELETED)
