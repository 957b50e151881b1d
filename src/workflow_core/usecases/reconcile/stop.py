"""Carry out a requested stop: a run is STOPPED only when none of its tasks runs any longer."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workflow_core.domain.lease import run_subject
from workflow_core.domain.run import COMPLETED_TASKS, FAILED_TASKS, NOT_RETRIED, RunStatus, Submission
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, Unavailable
from workflow_core.ports.airflow import EndState
from workflow_core.usecases.reconcile.leases import hold_lease
from workflow_core.usecases.reconcile.runs import poll, record_poll
from workflow_core.usecases.reconcile.submit import record_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from workflow_core.domain.run import AirflowRun, Run, TaskState
    from workflow_core.usecases.context import Context


_log = logging.getLogger(__name__)


SEES_WITHIN: Final = timedelta(seconds=30)
"""So long after its last task has ended, Airflow's scheduler may not have seen yet that a run is over."""


TELL_AGAIN: Final = timedelta(seconds=10)
"""So long after Airflow was told to end a run its tasks have time to end; then it is told again."""


def try_to_end(run: Run, context: Context) -> Run:
    """As :func:`end`; where Airflow cannot be asked now, or somebody else goes on with it, the worker does the rest."""
    try:
        with hold_lease(run_subject(run.run_id), context) as mine:
            return end(run, context) if mine else run
    except (Unavailable, AirflowRefused, ConcurrentUpdate) as error:
        _log.warning("%s is not stopped yet: %s", run.run_id, error.message)
        return context.recorded_run(run)


def end(run: Run, context: Context, *, leaves: bool = False) -> Run:
    """Take a run that is STOPPING as far as it goes now. Safe to repeat, and by several at once.

    Airflow is told only while the run is active there: told of a run that has ended, it would turn a success into a failure.
    That we are about to tell it is recorded before, so that after a death in between nobody takes our failure for the run's own.
    ``leaves``: its DAG is about to go; this is the last time that Airflow 2.11 can be told.
    """
    now = context.clock.now()
    key = (run.dag_id, run.airflow_run_id)
    seen = context.airflow.run(*key)
    if seen is None:
        return _not_there(run, context)
    tasks = context.airflow.tasks([key]).get(key, ())
    run = record_poll(run, run.observed(seen, tasks, now), context)
    if run.status is not RunStatus.STOPPING or run.stop is None:
        return run
    if run.submission is Submission.RETRYING:
        return _not_cleared(run, seen, context)
    if seen.status.is_final:
        return _ended(run, seen, tasks, context)
    if leaves and have_ended(tasks):
        return tell_how_it_ended(run, tasks, context)
    if not _about_to_end(tasks, now):  # otherwise Airflow says how it ended
        run = context.db.workflows.save_run(run.stop_asked(now))
        context.airflow.end_run(*key, EndState.FAILED)
    return run


def _not_there(run: Run, context: Context) -> Run:
    now = context.clock.now()
    if run.submission in {Submission.SUBMITTED, Submission.RETRYING}:
        return record_run(run.gone(now), context)
    if run.sent_at is not None and now - run.sent_at < context.policy.may_arrive:
        return run
    return record_run(run.cancelled(now), context)


def _not_cleared(run: Run, seen: AirflowRun, context: Context) -> Run:
    """It was to run again, and Airflow was not told, or has not done it: then it will not, once no request of ours is under way."""
    if run.sent_at is not None and context.clock.now() - run.sent_at < context.policy.may_arrive:
        return run
    return record_run(run.retry_given_up(seen, NOT_RETRIED), context)


def _ended(run: Run, seen: AirflowRun, tasks: Sequence[TaskState], context: Context) -> Run:
    """Airflow has ended the run because we told it to: wait for the tasks, and for their processes.

    A scheduler that had the run in hand when we told Airflow may have scheduled a task of it afterwards, which nobody queues any more: the
    run has ended. Telling it again ends the task, too.
    """
    asked_at, now = run.stop.asked_at if run.stop else None, context.clock.now()
    if asked_at is None:
        return run
    if any(task.is_under_way for task in tasks):
        if now - asked_at >= TELL_AGAIN:
            run = context.db.workflows.save_run(run.stop_asked(now))
            context.airflow.end_run(run.dag_id, run.airflow_run_id, EndState.FAILED)
        return run
    if tasks and all(task.state == "success" for task in tasks):
        put_back = context.airflow.end_run(run.dag_id, run.airflow_run_id, EndState.SUCCESS)
        return record_run(run.outlived_stop(put_back or seen), context)
    # What was queued at our mark is "skipped", and its process may have been starting; a try counts from the moment it is queued.
    may_have_processes = any(task.try_number > 0 and task.state != "success" for task in tasks)
    if may_have_processes and now - asked_at < timedelta(seconds=context.policy.stop_grace):
        return run
    return record_run(run.stopped(seen.ended_at or now), context)


def tell_how_it_ended(run: Run, tasks: Sequence[TaskState], context: Context) -> Run:
    """A run all tasks of which have ended, in a DAG that is about to go: Airflow would never see that the run is over. It is told as it
    would have counted.
    """
    well = all(task.state in COMPLETED_TASKS for task in tasks)
    context.airflow.end_run(run.dag_id, run.airflow_run_id, EndState.SUCCESS if well else EndState.FAILED)
    return poll(run, context)


def have_ended(tasks: Sequence[TaskState]) -> bool:
    """Whether there are tasks, and each has ended."""
    return bool(tasks) and all(task.state in COMPLETED_TASKS | FAILED_TASKS for task in tasks)


def _about_to_end(tasks: Sequence[TaskState], now: datetime) -> bool:
    """Whether every task has ended just now, which Airflow is about to see. In a paused DAG it may take a minute."""
    ended = bool(tasks) and all(task.state is not None and not task.is_under_way for task in tasks)
    return ended and any(task.ended_at is not None and now - task.ended_at < SEES_WITHIN for task in tasks)
