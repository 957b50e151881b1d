"""One run of a workflow: what was accepted, and what Airflow says of it."""

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
    """Accepted here and certainly not in Airflow: it is not its turn yet, or its DAG is not served yet."""
    SENDING = "sending"
    """Sent at least once, or about to be, and not known to be in Airflow: sending it again under its own id is safe."""
    SUBMITTED = "submitted"
    """Airflow has it."""
    RETRYING = "retrying"
    """Airflow has it, it ended there, and it is to run again: that Airflow was told so is not known yet."""
    REFUSED = "refused"
    """Airflow will never take it; the run ended FAILED without having started."""
    CANCELLED = "cancelled"
    """Stopped before Airflow had it; the run ended STOPPED without having started."""


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


ENDED_FIRST: Final = "It had ended before the stop reached it."
NOT_RETRIED: Final = "It was to run again, and was stopped before it did."
DELETED: Final = "The run was deleted in Airflow."
DATE_STEP: Final = timedelta(microseconds=1)
"""Between the logical dates of runs that are for the same moment; the smallest that every database of Airflow keeps."""


@frozen(kw_only=True)
class TaskState:
    """One task instance of a run in Airflow. ``state`` is Airflow's word; None before the scheduler touched it."""

    task_id: str
    state: str | None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    try_number: int = 0

    @property
    def is_under_way(self) -> bool:
        """Whether it runs, or may yet."""
        return self.state in RUNNING_TASKS


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
    """What Airflow says of a DAG run. ``run_type`` and ``triggered_by`` are in our words, ``state`` in Airflow's.

    ``triggered_by`` None: not told, as for manual runs of Airflow 2.11, which does not tell ``queued_at`` either.
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
        """Our word for the state; an unknown word of a future Airflow counts as running, never as ended."""
        return RUN_STATES.get(self.state, RunStatus.RUNNING)


@frozen(kw_only=True)
class Stop:
    """Who wants a run to end, since when, and why. ``asked_at`` is when we last told Airflow so (None: not yet)."""

    by: str
    at: datetime
    reason: str | None = None
    asked_at: datetime | None = None


@frozen(kw_only=True)
class Retry:
    """Who had a run that had ended run again, since when, and which tasks of it.

    ``ended_before`` is when Airflow says that it ended before: a run that has not ended, or at another moment, has been cleared since.
    That is the only proof there is, and it is a good one: nothing else moves the end of a run. ``number`` counts a run's retries from 1.
    """

    by: str
    at: datetime
    only_failed: bool
    tasks: tuple[str, ...]
    ended_before: datetime | None
    number: int = 1

    def is_done(self, seen: AirflowRun) -> bool:
        """Whether the run that Airflow shows has been cleared since."""
        return not seen.status.is_final or seen.ended_at != self.ended_before


def run_date_of(params: Mapping[str, Any], moment: datetime, zone: tzinfo) -> date:
    """The date that a run is for: the caller's ``params.date``, else the day of ``moment`` (the logical date, or where there is
    none the moment of acceptance) in the workflow's zone. The same rule as ``{{ run_date() }}`` in the DAG.
    """
    given = params.get("date")
    try:
        return date.fromisoformat(given) if isinstance(given, str) else moment.astimezone(zone).date()
    except ValueError:  # a run that was started in Airflow, whose params nobody has checked
        return moment.astimezone(zone).date()


@frozen(kw_only=True)
class Run:
    """One run. ``airflow_run_id`` equals ``run_id``, except for runs that Airflow made itself.

    ``run_date`` is the date that it is for (:func:`run_date_of`). ``started_at`` is the time of acceptance until Airflow reports a
    start. ``sent_at`` is when it was last sent to Airflow by us, ``observed_at`` when Airflow last told us of it (None: never).
    ``stop`` is set from the moment somebody wants it to end, ``retry`` from the moment somebody wanted it to run again: until Airflow
    is known to have done that the run is ``RETRYING``, and ``sent_at`` is when Airflow was last told to. ``version`` rises with every
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
    def settled(self) -> bool:
        """Whether nothing more is expected to change by itself."""
        return self.status.is_final

    def sending(self, at: datetime) -> Run:
        """About to be sent: recorded before the request, so that a run that never was sent is known to be such."""
        return evolve(self, submission=Submission.SENDING, sent_at=at)

    def put_back(self) -> Run:
        """Airflow certainly did not take it this time; it is sent again later."""
        return evolve(self, submission=Submission.WAITING)

    def moved(self) -> Run:
        """Another run of its DAG has its logical date: it takes the next one, a microsecond later."""
        return self if self.logical_date is None else evolve(self, logical_date=self.logical_date + DATE_STEP)

    def observed(self, seen: AirflowRun, tasks: Sequence[TaskState] | None, at: datetime) -> Run:
        """What Airflow said at ``at``. A look that is older than the last one changes nothing.

        A run that had ended may be running again: somebody cleared it in Airflow. ``tasks`` None leaves the progress as it was.
        One that is to run again is PENDING until it is seen to do so. While somebody wants it to end, the run is STOPPING whatever
        Airflow says, until :meth:`stopped`; unless it had ended before Airflow was told: then its true result counts.
        """
        if self.observed_at is not None and at < self.observed_at:
            return self
        if self.submission is Submission.RETRYING and self.retry is not None and not self.retry.is_done(seen):
            return evolve(self, observed_at=at)
        run = evolve(
            self,
            submission=Submission.SUBMITTED,
            status=seen.status,
            started_at=seen.started_at or self.accepted_at,
            ended_at=seen.ended_at if seen.status.is_final else None,
            logical_date=seen.logical_date,
            progress=self.progress if tasks is None else Progress.of(tasks),
            observed_at=at,
        )
        return run if self.stop is None else self._observed_stopping(run, self.stop)

    def counted(self, tasks: Sequence[TaskState], at: datetime) -> Run:
        """Its tasks as Airflow had them at ``at``. A look that is older than the last one changes nothing."""
        if self.observed_at is not None and at < self.observed_at:
            return self
        return evolve(self, progress=Progress.of(tasks), observed_at=at)

    def _observed_stopping(self, run: Run, stop: Stop) -> Run:
        ended = run.status.is_final
        if stop.asked_at is None:
            return evolve(run, stop=None, reason=ENDED_FIRST) if ended else evolve(run, status=RunStatus.STOPPING)
        if self.status is RunStatus.STOPPING:
            return evolve(run, status=RunStatus.STOPPING, ended_at=None)
        # it was over: if it is no more, somebody has cleared it since
        return evolve(run, status=RunStatus.STOPPED) if ended else evolve(run, stop=None)

    def stopping(self, by: str, reason: str | None, at: datetime) -> Run:
        """Somebody wants it to end. One that was never sent has ended by that; one that is stopping already stays as it is."""
        if self.stop is not None or self.status.is_final:
            return self
        run = evolve(self, stop=Stop(by=by, at=at, reason=reason), status=RunStatus.STOPPING)
        return run.cancelled(at) if self.submission is Submission.WAITING else run

    def stop_asked(self, at: datetime) -> Run:
        """Airflow is about to be told to end it."""
        return self if self.stop is None else evolve(self, stop=evolve(self.stop, asked_at=at))

    def stopped(self, at: datetime) -> Run:
        """Every task of it has ended, and it was our doing. ``at`` is when it ended as Airflow has it, as of any other run: the next look
        at it would say that again.
        """
        return evolve(self, status=RunStatus.STOPPED, ended_at=at)

    def cancelled(self, at: datetime) -> Run:
        """Stopped before Airflow had it."""
        return evolve(self, submission=Submission.CANCELLED, status=RunStatus.STOPPED, ended_at=at)

    def outlived_stop(self, seen: AirflowRun) -> Run:
        """The stop came too late: every task had succeeded before it."""
        return evolve(self, stop=None, status=seen.status, ended_at=seen.ended_at, reason=ENDED_FIRST)

    def retrying(self, retry: Retry, tasks: Sequence[TaskState]) -> Run:
        """Somebody wants it to run again: it has not ended any more, and what was said of its end is forgotten. ``tasks`` are those of
        the run as it ended.
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
        """Airflow is about to be told to run it again."""
        return evolve(self, sent_at=at)

    def retry_put_back(self) -> Run:
        """Airflow certainly did not do it this time; it is told again later."""
        return evolve(self, sent_at=None)

    def retry_given_up(self, seen: AirflowRun, reason: str | None) -> Run:
        """It will not run again: it has the result that Airflow has for it."""
        return evolve(
            self,
            submission=Submission.SUBMITTED,
            status=seen.status,
            ended_at=seen.ended_at,
            stop=None,
            reason=reason,
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
        status = RunStatus.FAILED if self.stop is None else RunStatus.STOPPED
        return evolve(self, status=status, ended_at=at, observed_at=at, reason=DELETED)
