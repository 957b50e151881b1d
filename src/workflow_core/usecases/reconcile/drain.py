"""Decide whether a pause must wait in Airflow until active runs have ended.

A paused DAG starts no further tasks, so the runs would stand still (docs/adr/0035-pausing.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow_core.domain.run import Submission

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_IN_AIRFLOW: Final = frozenset({Submission.SUBMITTED, Submission.RETRYING})


def is_draining(workflow: Workflow, context: Context) -> bool:
    """Return whether the DAG stays unpaused in Airflow for now, so that its active runs can end.

    The pause does not wait if no worker could apply it later, if the schedule is about to fire or a fire time is
    overdue, or if the DAG is already paused in Airflow. Each pass of the worker decides again.

    Raises:
        AirflowUnavailable: Airflow does not respond.
    """
    if workflow.pause is None or not _is_followed(context):
        return False
    now = context.clock.now()
    fires = workflow.fires(now, 1)
    latest = now + context.policy.pause_margin
    if fires and fires[0].at <= latest:
        return False
    dag = context.airflow.dag(workflow.dag_id)
    if dag is None or dag.is_paused:
        return False
    # Airflow's next run is in the past if a fire time is overdue, and missing while max_active_runs holds it back
    if fires and (dag.next_run is None or dag.next_run <= latest):
        return False
    if any(_is_under_way(run, now, context) for run in context.db.workflows.active_runs(workflow)):
        return True
    # the mirror may not have recorded the latest scheduled runs yet
    return context.airflow.runs_under_way(workflow.dag_id) > 0


def runs_under_way(workflow: Workflow, context: Context) -> int:
    """Count the runs of the workflow that were sent to Airflow and have not ended, according to the database."""
    now = context.clock.now()
    return sum(_is_under_way(run, now, context) for run in context.db.workflows.active_runs(workflow))


def _is_under_way(run: Run, now: datetime, context: Context) -> bool:
    """Return whether a run is, or may be, in Airflow.

    A run that is being sent counts while its request may still arrive. After that it waits for the unpause, like runs
    that were never sent.
    """
    if run.submission is Submission.SENDING:
        return run.sent_at is not None and now - run.sent_at < context.policy.in_flight_limit
    return run.submission in _IN_AIRFLOW


def _is_followed(context: Context) -> bool:
    """Return whether a worker will apply the pause later: this process, or one seen within ``lease`` seconds."""
    state = context.db.observations.airflow_state()
    return context.is_periodic or state.is_followed(context.clock.now(), context.policy.lease)
