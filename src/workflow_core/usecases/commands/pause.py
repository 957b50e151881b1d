"""Pause and unpause the schedule of a workflow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.act import Action, on_workflow
from workflow_core.domain.workflow import Phase
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, Unavailable, WorkflowNotFound
from workflow_core.usecases.commands.reason import check_reason
from workflow_core.usecases.reconcile.drain import pause_waits
from workflow_core.usecases.reconcile.workflow import reconcile_workflow, tell_pause

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context


_log = logging.getLogger(__name__)

PATIENCE: Final = 1.0
"""Seconds for a worker that is applying the very same wish."""


@frozen(kw_only=True)
class PauseWorkflow:
    """The wish to start no further runs."""

    caller: Caller
    dataset_name: str
    reason: str | None = None


@frozen(kw_only=True)
class UnpauseWorkflow:
    """The wish to run again."""

    caller: Caller
    dataset_name: str


def pause(command: PauseWorkflow, context: Context) -> Workflow:
    """Pause: new runs are refused from now on, and the schedule fires no more.

    In Airflow the DAG is paused when no run is under way, because a paused DAG starts no further task of a run. It is paused earlier where
    the schedule would fire otherwise, or where no worker could do it later; what is left of the runs then waits for the unpause
    (docs/adr/0035-pausing.md). A workflow that is paused already keeps its first reason, and takes one if it had none.

    Raises:
        InvalidRequest, WorkflowNotFound: the name, or the reason.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    return _change(
        command,
        Action.PAUSE,
        context,
        lambda found: found.paused(command.caller.name, command.reason, context.clock.now()),
    )


def unpause(command: UnpauseWorkflow, context: Context) -> Workflow:
    """Unpause: the schedule fires again, and what waits in Airflow goes on. A pause that waits for runs is cancelled. A no-op for one that
    is not paused.

    Raises:
        InvalidRequest, WorkflowNotFound: the name.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    return _change(command, Action.UNPAUSE, context, lambda found: found.unpaused(context.clock.now()))


def _change(
    command: PauseWorkflow | UnpauseWorkflow, action: Action, context: Context, step: Callable[[Workflow], Workflow]
) -> Workflow:
    """Record the step and have Airflow follow. Somebody else's save in between means: read again, decide again."""
    context.require(command.dataset_name)
    context.airflow.ping()
    while True:
        found = context.require(command.dataset_name)
        if found.removal is not None:
            raise WorkflowNotFound(command.dataset_name)
        wanted = step(found)
        act = on_workflow(command.caller, action, context.clock.now(), wanted, before=found)
        if wanted == found:
            context.db.audit.append(act)
            return _apply_again(found, context)
        try:
            saved = context.db.workflows.save_workflow(wanted, act=act)
        except ConcurrentUpdate:
            continue
        return reconcile_workflow(saved, context, within=PATIENCE)


def _apply_again(found: Workflow, context: Context) -> Workflow:
    """What is wanted is so already, here; in Airflow somebody may have changed it since."""
    if found.phase is not Phase.SERVED or not found.settled:
        return reconcile_workflow(found, context, within=PATIENCE)
    try:
        if pause_waits(found, context):  # somebody has unpaused it in Airflow, and runs are under way
            return _forgotten(found, context)
        tell_pause(found, context)
    except (Unavailable, AirflowRefused) as error:
        _log.warning("the pause state of %s is not applied again yet: %s", found.dataset_name, error.message)
        return _forgotten(found, context)
    return found


def _forgotten(found: Workflow, context: Context) -> Workflow:
    """Have the worker apply whatever is wanted of the workflow, by anybody, when it comes to it."""
    while True:
        try:
            return context.db.workflows.save_workflow(found.pause_forgotten())
        except ConcurrentUpdate:
            latest = context.db.workflows.workflow_by_id(found.id)
            if latest is None or latest.phase is not Phase.SERVED:
                return latest or found
            found = latest
