"""Retry a run that has ended, under the same run id, exactly once.

The retry is recorded before the request to Airflow, together with the previous end time of the run. While Airflow
reports that end time, it has not carried out the retry. A request that may still arrive is not repeated.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.audit import Action, on_run
from workflow_core.domain.run import FAILED_TASKS, Retry, RunStatus
from workflow_core.domain.workflow import Phase
from workflow_core.errors import (
    ConcurrentUpdate,
    RunNotRetryable,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
)
from workflow_core.usecases.context import require_run
from workflow_core.usecases.reconcile.retry import try_to_apply_retry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.run import AirflowRun, Run, TaskState
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class RetryRun:
    """Command: retry a run: its failed tasks (after a stop, every task that did not succeed), or all of them."""

    caller: Caller
    run_id: str
    only_failed: bool = True


def retry(command: RetryRun, context: Context) -> Run:
    """Retry a run that has ended. It becomes PENDING, without an end time and without an earlier stop.

    Raises:
        InvalidRequest: the id is invalid.
        WorkflowRunNotFound, WorkflowNotFound: no run has this id, or its workflow is no longer registered.
        RunNotRetryable: the run has not ended, is not in Airflow, or has no task to retry.
        WorkflowPaused, WorkflowNotRunnable: runs of its workflow cannot be started now.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    while True:
        run = require_run(command.run_id, context)
        _check_owner(_owner_of(run, context), context)
        airflow_run, tasks = _ended_in_airflow(run, context)
        task_ids = _tasks_to_retry(run, tasks, only_failed=command.only_failed)
        request = Retry(
            by=command.caller.name,
            at=context.clock.now(),
            only_failed=command.only_failed,
            tasks=task_ids,
            ended_before=airflow_run.ended_at,
        )
        try:
            retrying = run.retrying(request, tasks)
            act = on_run(command.caller, Action.RETRY, request.at, retrying, before=run)
            run = context.db.workflows.save_run(retrying, act=act)
        except ConcurrentUpdate:  # another process recorded a new state, or a retry
            continue
        return try_to_apply_retry(run, context)


def _owner_of(run: Run, context: Context) -> Workflow:
    """Return the workflow of the run; a later workflow of the same name would run other tasks."""
    owner = context.db.workflows.workflow(run.dataset_name)
    if owner is None or owner.id != run.workflow_id or owner.removal is not None:
        raise WorkflowNotFound(run.dataset_name)
    return owner


def _check_owner(owner: Workflow, context: Context) -> None:
    context.check_execution(owner)
    if owner.phase is Phase.FAILED:
        raise WorkflowNotRunnable(owner.dataset_name, owner.phase_reason or "unknown reason")
    if owner.pause is not None:
        raise WorkflowPaused(owner.dataset_name)


def _ended_in_airflow(run: Run, context: Context) -> tuple[AirflowRun, Sequence[TaskState]]:
    """Poll the run and its tasks in Airflow, because the recorded state may be out of date."""
    if not run.is_settled:
        raise RunNotRetryable(run.run_id, f"it has not ended ({run.status})")
    key = (run.dag_id, run.airflow_run_id)
    airflow_run = context.airflow.run(*key)
    if airflow_run is None:
        raise RunNotRetryable(run.run_id, "Airflow does not have it; start a new one")
    if not airflow_run.status.is_final:
        raise RunNotRetryable(run.run_id, f"it is already running again (its state in Airflow is {airflow_run.state})")
    return airflow_run, context.airflow.tasks([key]).get(key, ())


def _tasks_to_retry(run: Run, tasks: Sequence[TaskState], *, only_failed: bool) -> tuple[str, ...]:
    """Return the tasks to retry. Tasks that a stop prevented are skipped in Airflow and would stay so."""
    if not only_failed:
        task_ids = [task.task_id for task in tasks]
    elif run.status is RunStatus.STOPPED:
        task_ids = [task.task_id for task in tasks if task.state != "success"]
    else:
        task_ids = [task.task_id for task in tasks if task.state in FAILED_TASKS]
    if not task_ids:
        reason = "none of its tasks has failed; ask for all of them" if only_failed and tasks else "it has no tasks"
        raise RunNotRetryable(run.run_id, reason)
    return tuple(sorted(set(task_ids)))
