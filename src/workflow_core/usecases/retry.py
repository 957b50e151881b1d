"""Have a run that has ended run again, under its own id, exactly once.

What is wanted is recorded before Airflow is told, with the end that the run had until then: as long as Airflow shows that end, it has
not done it. Nothing that may still arrive there is repeated.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.act import Action, on_run
from workflow_core.domain.lease import run_subject
from workflow_core.domain.names import check_run_id
from workflow_core.domain.run import FAILED_TASKS, Retry, RunStatus
from workflow_core.domain.workflow import Phase
from workflow_core.errors import (
    AirflowOutcomeUnknown,
    AirflowRefused,
    ConcurrentUpdate,
    DagNotFound,
    RunNotRetryable,
    Unavailable,
    WorkflowNotFound,
    WorkflowNotRunnable,
    WorkflowPaused,
    WorkflowRunNotFound,
)
from workflow_core.usecases.claims import holding
from workflow_core.usecases.observe import look_at, record_look
from workflow_core.usecases.submit import record_run

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
        run = _required(command.run_id, context)
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
            run = context.workflows.save_run(wanted, act=act)
        except ConcurrentUpdate:  # somebody else looked at it, or has it run again
            continue
        return _carried_out(run, context)


def _required(run_id: str, context: Context) -> Run:
    run = context.workflows.run(check_run_id(run_id))
    if run is None:
        raise WorkflowRunNotFound(run_id)
    return run


def _owner(run: Run, context: Context) -> Workflow:
    """The workflow of the run; one of the same name that came later would run something else."""
    owner = context.workflows.workflow(run.dataset_name)
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


def _carried_out(run: Run, context: Context) -> Run:
    """As :func:`carry_out`; where Airflow cannot be asked now, or somebody else goes on with it, the worker does the rest."""
    try:
        with holding(run_subject(run.run_id), context) as mine:
            return carry_out(run, context) if mine else run
    except (Unavailable, AirflowRefused, ConcurrentUpdate) as error:
        _log.warning("%s does not run again yet: %s", run.run_id, error.message)
        return context.recorded_run(run)


def carry_out(run: Run, context: Context) -> Run:
    """Take a run that is RETRYING as far as it goes now. Safe to repeat, and by several at once: that Airflow is about to be told is
    recorded before, and it is told again only when a request that was sent can no longer arrive.
    """
    if run.retry is None:
        raise AssertionError(run.run_id)
    key = (run.dag_id, run.airflow_run_id)
    now = context.clock.now()
    seen = context.airflow.run(*key)
    if seen is None:
        return record_run(run.gone(now), context)
    if run.retry.is_done(seen):
        return record_look(run, run.observed(seen, context.airflow.tasks([key]).get(key, ()), now), context)
    if run.sent_at is not None and now - run.sent_at < context.policy.may_arrive:
        return run
    run = context.workflows.save_run(run.retry_asked(now))
    try:
        context.airflow.clear_run(*key, run.retry.tasks if run.retry else ())
    except AirflowOutcomeUnknown:
        raise  # it may have been done: the next look tells
    except (DagNotFound, Unavailable) as error:
        _log.info("%s waits to run again: %s", run.run_id, error.message)
        return record_run(run.retry_put_back(), context)
    except AirflowRefused as error:
        return record_run(run.retry_given_up(seen, error.message), context)
    return look_at(run, context)
