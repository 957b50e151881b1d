"""Have a run that has ended run again, under its own id, exactly once.

What is wanted is recorded before Airflow is told, with the end that the run had until then: as long as Airflow shows that end, it has
not done it. Nothing that may still arrive there is repeated.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.act import Action, on_run
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
from workflow_core.usecases.reconcile.retry import try_to_apply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.run import AirflowRun, Run, TaskState
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class RetryRun:
    """The wish to have a run run again: what failed of it (after a stop: whatever has not succeeded), or all of it."""

    caller: Caller
    run_id: str
    only_failed: bool = True


def retry(command: RetryRun, context: Context) -> Run:
    """Have a run that has ended run again. It is PENDING from then on, without an end, and nothing is said of an earlier stop.

    Raises:
        InvalidRequest: the id.
        WorkflowRunNotFound, WorkflowNotFound: there is no such run, or its workflow is registered no more.
        RunNotRetryable: it has not ended, Airflow does not have it, or there is nothing of it to run again.
        WorkflowPaused, WorkflowNotRunnable: it could not run.
        WorkflowPermissionDenied: a run of a CODE workflow, unless the policy allows it.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    while True:
        run = require_run(command.run_id, context)
        _check_owner(_owner(run, context), context)
        seen, tasks = _ended_in_airflow(run, context)
        names = _to_repeat(run, tasks, only_failed=command.only_failed)
        wish = Retry(
            by=command.caller.name,
            at=context.clock.now(),
            only_failed=command.only_failed,
            tasks=names,
            ended_before=seen.ended_at,
        )
        try:
            wanted = run.retrying(wish, tasks)
            act = on_run(command.caller, Action.RETRY, wish.at, wanted, before=run)
            run = context.db.workflows.save_run(wanted, act=act)
        except ConcurrentUpdate:  # somebody else looked at it, or has it run again
            continue
        return try_to_apply(run, context)


def _owner(run: Run, context: Context) -> Workflow:
    """The workflow of the run; one of the same name that came later would run something else."""
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
    """The run as Airflow has it now, and its tasks. What we know of its end may be old: it is looked at."""
    if not run.settled:
        raise RunNotRetryable(run.run_id, f"it has not ended ({run.status})")
    key = (run.dag_id, run.airflow_run_id)
    seen = context.airflow.run(*key)
    if seen is None:
        raise RunNotRetryable(run.run_id, "Airflow does not have it; start a new one")
    if not seen.status.is_final:
        raise RunNotRetryable(run.run_id, f"it runs again already (in Airflow it is {seen.state})")
    return seen, context.airflow.tasks([key]).get(key, ())


def _to_repeat(run: Run, tasks: Sequence[TaskState], *, only_failed: bool) -> tuple[str, ...]:
    """The tasks to run again. Those that a stop kept from running are skipped in Airflow, and would stay so."""
    if not only_failed:
        names = [task.task_id for task in tasks]
    elif run.status is RunStatus.STOPPED:
        names = [task.task_id for task in tasks if task.state != "success"]
    else:
        names = [task.task_id for task in tasks if task.state in FAILED_TASKS]
    if not names:
        what = "none of its tasks has failed; ask for all of them" if only_failed and tasks else "it has no tasks"
        raise RunNotRetryable(run.run_id, what)
    return tuple(sorted(set(names)))
