"""A pause waits in Airflow for the runs under way: in a paused DAG nothing of them would go on (docs/adr/0035-pausing.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow_core.domain.run import Submission

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_IN_AIRFLOW: Final = frozenset({Submission.SUBMITTED, Submission.RETRYING})


def pause_waits(workflow: Workflow, context: Context) -> bool:
    """Whether the DAG stays unpaused in Airflow for now, so that the runs under way can end.

    It does not where nothing could pause it later, where the schedule is about to fire or may owe a run, or where Airflow has it paused
    already. Decided anew in each pass of the worker.

    Raises:
        AirflowUnavailable: Airflow does not tell.
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
    # Airflow knows of a fire time that is overdue; it names none at all while max_active_runs keeps the next run back
    if fires and (dag.next_run is None or dag.next_run <= latest):
        return False
    if any(_is_under_way(run, now, context) for run in context.db.workflows.active_runs(workflow)):
        return True
    # the mirror may not know yet what the schedule has started
    return context.airflow.runs_under_way(workflow.dag_id) > 0


def runs_under_way(workflow: Workflow, context: Context) -> int:
    """How many runs of the workflow have been sent to Airflow and have not ended, as far as that is recorded."""
    now = context.clock.now()
    return sum(_is_under_way(run, now, context) for run in context.db.workflows.active_runs(workflow))


def _is_under_way(run: Run, now: datetime, context: Context) -> bool:
    """A run that is on its way counts while its request may still arrive; after that it waits for the unpause, as runs never sent do."""
    if run.submission is Submission.SENDING:
        return run.sent_at is not None and now - run.sent_at < context.policy.may_arrive
    return run.submission in _IN_AIRFLOW


def _is_followed(context: Context) -> bool:
    """Whether a worker comes back to a workflow whose pause waits: this process, or one that was heard of within a lease."""
    state = context.db.observations.airflow_state()
    return context.comes_back or state.is_followed(context.clock.now(), context.policy.lease)
