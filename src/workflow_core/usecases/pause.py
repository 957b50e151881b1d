"""Pause and unpause the schedule of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.errors import ConcurrentUpdate, WorkflowNotFound
from workflow_core.usecases.reason import check_reason
from workflow_core.usecases.settle import settle_workflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context


PATIENCE: Final = 1.0
"""Seconds for a worker that is applying the very same wish."""


@frozen(kw_only=True)
class PauseWorkflow:
    """The wish to start no more runs."""

    caller: Caller
    dataset_name: str
    reason: str | None = None


@frozen(kw_only=True)
class UnpauseWorkflow:
    """The wish to run again."""

    caller: Caller
    dataset_name: str


def pause(command: PauseWorkflow, context: Context) -> Workflow:
    """Pause; one that is paused already stays as it was, with its first reason. Runs under way go on.

    Raises:
        InvalidRequest, WorkflowNotFound: the name, or the reason.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    return _change(
        command.dataset_name,
        context,
        lambda found: found.paused(command.caller.name, command.reason, context.clock.now()),
    )


def unpause(command: UnpauseWorkflow, context: Context) -> Workflow:
    """Unpause; a no-op for one that is not paused.

    Raises:
        InvalidRequest, WorkflowNotFound: the name.
        AirflowUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    return _change(command.dataset_name, context, lambda found: found.unpaused(context.clock.now()))


def _change(dataset_name: str, context: Context, step: Callable[[Workflow], Workflow]) -> Workflow:
    """Record the step and have Airflow follow. Somebody else's save in between means: read again, decide again."""
    context.require(dataset_name)
    context.airflow.ping()
    while True:
        found = context.require(dataset_name)
        if found.removal is not None:
            raise WorkflowNotFound(dataset_name)
        wanted = step(found)
        if wanted == found:
            return settle_workflow(found, context, within=PATIENCE)
        try:
            return settle_workflow(context.workflows.save_workflow(wanted), context, within=PATIENCE)
        except ConcurrentUpdate:
            continue
