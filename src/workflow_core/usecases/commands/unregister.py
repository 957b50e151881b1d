"""Unregister a workflow: it goes, its name is free, its history stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.act import Action, on_workflow
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
    """The wish to have a workflow no more; ``force`` also while it has runs that have not ended: those are stopped."""

    caller: Caller
    dataset_name: str
    force: bool = False


def unregister(command: UnregisterWorkflow, context: Context) -> Workflow:
    """Unregister a MANUAL workflow. What the request does not finish, the worker does.

    From :attr:`Phase.LEAVING <workflow_core.domain.workflow.Phase.LEAVING>` on the name may be registered again.

    Raises:
        InvalidRequest, WorkflowNotFound: the name.
        WorkflowPermissionDenied: a CODE workflow: it goes when its file goes.
        WorkflowHasActiveRuns: it has runs that have not ended, and ``force`` is not given.
        AirflowUnavailable, StorageUnavailable, DatabaseUnavailable: nothing was recorded.
    """
    found = context.require(command.dataset_name)
    if found.source_type is SourceType.CODE:
        msg = f"Workflow {found.dataset_name!r} is CODE: it is unregistered when its file leaves the object store."
        raise WorkflowPermissionDenied(msg)
    follow_changes(context)  # runs that Airflow made just now are in the way, too
    context.storage.stat(found.source_type, found.dataset_name)
    recorded = False
    while found.removal is None:
        wanted = found.unregistering(command.caller.name, context.clock.now())
        try:
            act = on_workflow(command.caller, Action.UNREGISTER, context.clock.now(), wanted, before=found)
            found, recorded = context.db.workflows.retire_workflow(wanted, force=command.force, act=act), True
        except ConcurrentUpdate:
            found = context.require(command.dataset_name)
    if not recorded:
        now = context.clock.now()
        context.db.audit.append(on_workflow(command.caller, Action.UNREGISTER, now, found, before=found))
    return reconcile_workflow(found, context, within=context.policy.register_wait)
