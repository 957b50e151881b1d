"""Pause and unpause the schedule of a workflow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.audit import Action, on_workflow
from workflow_core.domain.workflow import Phase
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, Unavailable, WorkflowNotFound
from workflow_core.usecases.commands.reason import check_reason
from workflow_core.usecases.reconcile.drain import is_draining
from workflow_core.usecases.reconcile.workflow import apply_pause_in_airflow, reconcile_workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context


_log = logging.getLogger(__name__)

WAIT_FOR_WORKER: Final = 1.0
"""How long a request waits for a worker that is applying the same change, in seconds."""


@frozen(kw_only=True)
class PauseWorkflow:
    """Command: start no further runs of a workflow."""

    caller: Caller
    dataset_name: str
    reason: str | None = None


@frozen(kw_only=True)
class UnpauseWorkflow:
    """Command: start runs of a paused workflow again."""

    caller: Caller
    dataset_name: str


def pause(command: PauseWorkflow, context: Context) -> Workflow:
    """Pause a workflow: new runs are refused from now on, and the schedule no longer fires.

    The DAG is paused in Airflow when no run is active, because a paused DAG starts no further tasks. It is paused
    earlier if the schedule would fire otherwise, or if no worker could pause it later; the rest of the runs then waits
    for the unpause (docs/adr/0035-pausing.md). A workflow that is already paused keeps its first reason, or gets one if
    it had none.

    Raises:
        InvalidRequest, WorkflowNotFound: the name or the reason is invalid, or no workflow has the name.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    return _change(
        command,
        Action.PAUSE,
        context,
        lambda workflow: workflow.paused(command.caller.name, command.reason, context.clock.now()),
    )


def unpause(command: UnpauseWorkflow, context: Context) -> Workflow:
    """Unpause a workflow: the schedule fires again, and runs that wait in Airflow continue.

    A draining pause is cancelled. A no-op for a workflow that is not paused.

    Raises:
        InvalidRequest, WorkflowNotFound: the name is invalid, or no workflow has it.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    return _change(command, Action.UNPAUSE, context, lambda workflow: workflow.unpaused(context.clock.now()))


def _change(
    command: PauseWorkflow | UnpauseWorkflow, action: Action, context: Context, step: Callable[[Workflow], Workflow]
) -> Workflow:
    """Record the change and apply it in Airflow; if another process saves first, read and decide again."""
    context.require(command.dataset_name)
    context.airflow.ping()
    while True:
        workflow = context.require(command.dataset_name)
        if workflow.removal is not None:
            raise WorkflowNotFound(command.dataset_name)
        desired = step(workflow)
        act = on_workflow(command.caller, action, context.clock.now(), desired, before=workflow)
        if desired == workflow:
            context.db.audit.append(act)
            return _apply_again(workflow, context)
        try:
            saved = context.db.workflows.save_workflow(desired, act=act)
        except ConcurrentUpdate:
            continue
        return reconcile_workflow(saved, context, within=WAIT_FOR_WORKER)


def _apply_again(workflow: Workflow, context: Context) -> Workflow:
    """Apply a pause state that is already recorded, because it may have been changed in Airflow since."""
    if workflow.phase is not Phase.SERVED or not workflow.is_settled:
        return reconcile_workflow(workflow, context, within=WAIT_FOR_WORKER)
    try:
        if is_draining(workflow, context):  # it was unpaused in Airflow, and runs are active
            return _leave_to_worker(workflow, context)
        apply_pause_in_airflow(workflow, context)
    except (Unavailable, AirflowRefused) as error:
        _log.warning("The worker will apply the pause state of %s: %s", workflow.dataset_name, error.message)
        return _leave_to_worker(workflow, context)
    return workflow


def _leave_to_worker(workflow: Workflow, context: Context) -> Workflow:
    """Mark the pause state as not applied, so that the worker applies the one that is desired then."""
    while True:
        try:
            return context.db.workflows.save_workflow(workflow.pause_forgotten())
        except ConcurrentUpdate:
            latest = context.db.workflows.workflow_by_id(workflow.id)
            if latest is None or latest.phase is not Phase.SERVED:
                return latest or workflow
            workflow = latest
