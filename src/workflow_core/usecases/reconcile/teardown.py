"""Tear down an unregistered workflow in the object store and Airflow, in idempotent steps."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import DagNotFound
from workflow_core.usecases.reconcile.runs import follow_changes, poll
from workflow_core.usecases.reconcile.stop import all_tasks_ended, apply_stop, report_final_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

REASON: Final = "The workflow was unregistered."

_RUNNING_STATES: Final = frozenset({"running", "restarting"})
"""States of a task that has a process."""


def teardown(workflow: Workflow, context: Context) -> Workflow:
    """Pause the DAG, stop its runs and remove the YAML; then the name is free. Safe to repeat.

    The running tasks of a CODE workflow may finish first, over as many passes as they need.
    """
    with suppress(DagNotFound):  # without a DAG no run can start
        context.airflow.set_paused(workflow.dag_id, paused=True)
    workflow = context.db.workflows.save_workflow(workflow.pause_confirmed(paused=True))
    follow_changes(context)  # the schedule creates no further runs now; record those that it has created
    runs = list(context.db.workflows.active_runs(workflow))
    if workflow.source_type is SourceType.CODE:
        runs, has_running_tasks = _finish_runs(runs, context)
        if has_running_tasks:
            return workflow
    for run in runs:
        by = workflow.removal.by if workflow.removal else "anonymous"
        stopping = run.stopping(by, REASON, context.clock.now())
        if stopping is not run:
            run = context.db.workflows.save_run(stopping)  # noqa: PLW2901 - the same run in its new state
        if run.status is RunStatus.STOPPING:
            apply_stop(run, context, dag_is_leaving=True)
    workflow = context.db.workflows.save_workflow(workflow)  # fails if another process has changed the workflow
    if workflow.source_type is SourceType.MANUAL:
        context.storage.delete(workflow.source_type, workflow.dataset_name)
    context.request_parse(workflow)
    return context.db.workflows.save_workflow(workflow.left(context.clock.now()))


def _finish_runs(runs: Sequence[Run], context: Context) -> tuple[list[Run], bool]:
    """Finish the runs of a CODE workflow whose file was removed.

    No caller has requested the stop of these runs, so running tasks may finish. Without the file no further task can
    start, and Airflow does not notice that all tasks of a run have ended, so the final state is set there.

    Returns:
        The runs that are left to stop, and whether a task of one of them is still running.
    """
    remaining: list[Run] = []
    has_running_tasks = False
    for recorded in runs:
        key = (recorded.dag_id, recorded.airflow_run_id)
        run = poll(recorded, context) if recorded.stop is None else recorded
        if run.is_settled:
            continue
        remaining.append(run)
        states = () if run.stop else context.airflow.tasks([key]).get(key, ())
        has_running_tasks |= any(task.state in _RUNNING_STATES for task in states)
        if all_tasks_ended(states):
            remaining[-1:] = [] if report_final_state(run, states, context).is_settled else [run]
    return remaining, has_running_tasks


def await_dag_removal(workflow: Workflow, context: Context) -> Workflow:
    """Complete the teardown once Airflow has dropped the DAG, or a successor with the same DAG id has taken it over.

    A write of the YAML that timed out may have taken effect after the YAML was removed; then the YAML is removed again.
    """
    if context.db.workflows.workflow_by_dag(workflow.dag_id) is None:
        location = (workflow.source_type, workflow.dataset_name)
        if workflow.source_type is SourceType.MANUAL and context.storage.stat(*location) is not None:
            context.storage.delete(*location)
        context.request_parse(workflow)
        if context.airflow.dag(workflow.dag_id) is not None:
            return workflow
    return context.db.workflows.save_workflow(workflow.gone(context.clock.now()))
