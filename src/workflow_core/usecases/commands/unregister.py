"""Unregister a workflow: its name becomes free, and the history of its runs is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.audit import Action, on_workflow
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import ConcurrentUpdate, WorkflowPermissionDenied
from workflow_core.usecases.reconcile.runs import follow_changes
from workflow_core.usecases.reconcile.workflow import reconcile_workflow

if TYPE_CHECKING:
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context


@frozen(kw_only=True)
class UnregisterWorkflow:
    """Command: unregister a workflow. With ``force``, active runs are stopped first."""

    caller: Caller
    dataset_name: str
    force: bool = False


def unregister(command: UnregisterWorkflow, context: Context) -> Workflow:
    """Unregister a MANUAL workflow. The worker finishes what the request does not.

    The name can be registered again from :attr:`Phase.LEAVING <workflow_core.domain.workflow.Phase.LEAVING>` on.

    Raises:
        InvalidRequest, WorkflowNotFound: the name is invalid, or no workflow has it.
        WorkflowPermissionDenied: the workflow is CODE; it is unregistered when its file is deleted.
        WorkflowHasActiveRuns: the workflow has active runs, and ``force`` is not set.
        AirflowUnavailable, StorageUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    workflow = context.require(command.dataset_name)
    if workflow.source_type is SourceType.CODE:
        msg = (
            f"Workflow {workflow.dataset_name!r} is CODE:"
            " it is unregistered when its file is removed from the object store."
        )
        raise WorkflowPermissionDenied(msg)
    follow_changes(context)  # Airflow's newest runs count as active
    context.storage.stat(workflow.source_type, workflow.dataset_name)
    recorded = False
    while workflow.removal is None:
        unregistering = workflow.unregistering(command.caller.name, context.clock.now())
        try:
            act = on_workflow(command.caller, Action.UNREGISTER, context.clock.now(), unregistering, before=workflow)
            workflow, recorded = context.db.workflows.retire_workflow(unregistering, force=command.force, act=act), True
        except ConcurrentUpdate:
            workflow = context.require(command.dataset_name)
    if not recorded:
        now = context.clock.now()
        context.db.audit.append(on_workflow(command.caller, Action.UNREGISTER, now, workflow, before=workflow))
    return reconcile_workflow(workflow, context, within=context.policy.register_wait)
