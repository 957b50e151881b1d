"""Carry out a requested stop: a run becomes STOPPED only when none of its tasks is running."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workflow_core.domain.lease import run_lease_key
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


SCHEDULER_LAG: Final = timedelta(seconds=30)
"""How long Airflow's scheduler may take to notice that a run is over, after its last task has ended."""


STOP_REPEAT_INTERVAL: Final = timedelta(seconds=10)
"""How long tasks may take to end after a request to end their run; then the request is repeated."""


def try_to_apply_stop(run: Run, context: Context) -> Run:
    """Apply a stop under the run's lease; if that is not possible now, leave it to the worker."""
    try:
        with hold_lease(run_lease_key(run.run_id), context) as acquired:
            return apply_stop(run, context) if acquired else run
    except (Unavailable, AirflowRefused, ConcurrentUpdate) as error:
        _log.warning("The worker will stop %s: %s", run.run_id, error.message)
        return context.recorded_run(run)


def apply_stop(run: Run, context: Context, *, dag_is_leaving: bool = False) -> Run:
    """Advance a run that is STOPPING as far as it can go now. Safe to repeat and to call concurrently.

    Airflow is asked to end the run only while the run is active there: the request would turn an ended run's success
    into a failure. The request is recorded before it is sent, so that after a crash in between a failure caused by the
    stop is not taken for the run's own.

    Args:
        run: the run as recorded.
        context: the ports and the configuration.
        dag_is_leaving: whether the DAG is about to be removed; Airflow 2.11 accepts no request for the run after that.

    Returns:
        The run as currently recorded.
    """
    now = context.clock.now()
    key = (run.dag_id, run.airflow_run_id)
    airflow_run = context.airflow.run(*key)
    if airflow_run is None:
        return _handle_absent(run, context)
    tasks = context.airflow.tasks([key]).get(key, ())
    run = record_poll(run, run.observed(airflow_run, tasks, now), context)
    if run.status is not RunStatus.STOPPING or run.stop is None:
        return run
    if run.submission is Submission.RETRYING:
        return _give_up_retry(run, airflow_run, context)
    if airflow_run.status.is_final:
        return _finish_stop(run, airflow_run, tasks, context)
    if dag_is_leaving and all_tasks_ended(tasks):
        return report_final_state(run, tasks, context)
    if not _is_about_to_end(tasks, now):  # Airflow is about to determine the final state
        run = context.db.workflows.save_run(run.stop_asked(now))
        context.airflow.end_run(*key, EndState.FAILED)
    return run


def _handle_absent(run: Run, context: Context) -> Run:
    now = context.clock.now()
    if run.submission in {Submission.SUBMITTED, Submission.RETRYING}:
        return record_run(run.deleted_in_airflow(now), context)
    if run.sent_at is not None and now - run.sent_at < context.policy.in_flight_limit:
        return run
    return record_run(run.cancelled(now), context)


def _give_up_retry(run: Run, airflow_run: AirflowRun, context: Context) -> Run:
    """Give up a retry that Airflow has not carried out.

    Its request may never have been sent. Once no request can still arrive, the retry will not happen.
    """
    if run.sent_at is not None and context.clock.now() - run.sent_at < context.policy.in_flight_limit:
        return run
    return record_run(run.retry_given_up(airflow_run, NOT_RETRIED), context)


def _finish_stop(run: Run, airflow_run: AirflowRun, tasks: Sequence[TaskState], context: Context) -> Run:
    """Handle a run that Airflow ended because of the stop: wait for its tasks and their processes.

    A scheduler that was working on the run when Airflow ended it may have scheduled one more task. Airflow never queues
    that task, because the run has ended; a repeated request ends it.
    """
    requested_at, now = run.stop.asked_at if run.stop else None, context.clock.now()
    if requested_at is None:
        return run
    if any(task.is_under_way for task in tasks):
        if now - requested_at >= STOP_REPEAT_INTERVAL:
            run = context.db.workflows.save_run(run.stop_asked(now))
            context.airflow.end_run(run.dag_id, run.airflow_run_id, EndState.FAILED)
        return run
    if tasks and all(task.state == "success" for task in tasks):
        put_back = context.airflow.end_run(run.dag_id, run.airflow_run_id, EndState.SUCCESS)
        return record_run(run.stop_superseded(put_back or airflow_run), context)
    # A task that was queued when the run was ended is "skipped", and its process may have been starting. Airflow counts
    # a try from the moment it is queued.
    may_have_processes = any(task.try_number > 0 and task.state != "success" for task in tasks)
    if may_have_processes and now - requested_at < timedelta(seconds=context.policy.stop_grace):
        return run
    return record_run(run.stopped(airflow_run.ended_at or now), context)


def report_final_state(run: Run, tasks: Sequence[TaskState], context: Context) -> Run:
    """Set the final state of a run in Airflow whose tasks have all ended and whose DAG is about to be removed.

    Airflow would no longer notice the end. The state is the one that Airflow would have derived from the tasks.
    """
    succeeded = all(task.state in COMPLETED_TASKS for task in tasks)
    context.airflow.end_run(run.dag_id, run.airflow_run_id, EndState.SUCCESS if succeeded else EndState.FAILED)
    return poll(run, context)


def all_tasks_ended(tasks: Sequence[TaskState]) -> bool:
    """Return whether there are tasks and all of them have ended."""
    return bool(tasks) and all(task.state in COMPLETED_TASKS | FAILED_TASKS for task in tasks)


def _is_about_to_end(tasks: Sequence[TaskState], now: datetime) -> bool:
    """Return whether all tasks have just ended, so that Airflow is about to end the run.

    In a paused DAG this may take a minute.
    """
    ended = bool(tasks) and all(task.state is not None and not task.is_under_way for task in tasks)
    return ended and any(task.ended_at is not None and now - task.ended_at < SCHEDULER_LAG for task in tasks)
