"""Have a workflow that is being unregistered leave the object store and Airflow: repeatable steps, one pass after the other."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import SourceType
from workflow_core.errors import DagNotFound
from workflow_core.usecases.observe import follow_changes
from workflow_core.usecases.stop import end

if TYPE_CHECKING:
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

REASON: Final = "The workflow was unregistered."


def retire(workflow: Workflow, context: Context) -> Workflow:
    """Pause the DAG, tell its runs to stop, remove the YAML: then the name is free. Safe to repeat."""
    with suppress(DagNotFound):  # then nothing of it can start either
        context.airflow.set_paused(workflow.dag_id, paused=True)
    workflow = context.workflows.save_workflow(workflow.pause_confirmed(paused=True))
    follow_changes(context)  # from now on the schedule makes no more runs; those that it has made are known now
    for run in context.workflows.active_runs(workflow):
        by = workflow.removal.by if workflow.removal else "anonymous"
        stopping = run.stopping(by, REASON, context.clock.now())
        if stopping is not run:
            run = context.workflows.save_run(stopping)  # noqa: PLW2901 - the same run, as it is now
        if run.status is RunStatus.STOPPING:
            end(run, context)
    workflow = context.workflows.save_workflow(workflow)  # nobody else goes on with it, and its name is still its own
    if workflow.source_type is SourceType.MANUAL:
        context.storage.delete(workflow.source_type, workflow.dataset_name)
    context.airflow.request_parse(context.sentinel_of(workflow))
    return context.workflows.save_workflow(workflow.left(context.clock.now()))


def see_off(workflow: Workflow, context: Context) -> Workflow:
    """Wait, over many passes, until Airflow has dropped the DAG; a successor of the same DAG id takes it over."""
    if context.workflows.workflow_by_dag(workflow.dag_id) is None:
        context.airflow.request_parse(context.sentinel_of(workflow))
        if context.airflow.dag(workflow.dag_id) is not None:
            return workflow
    return context.workflows.save_workflow(workflow.gone(context.clock.now()))
