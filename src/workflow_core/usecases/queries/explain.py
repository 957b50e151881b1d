"""Explain why a workflow or run does not run: collect the current facts, and derive the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.conditions import conditions
from workflow_core.domain.explain import Reason, RunFacts, WorkflowFacts, explain_run, explain_workflow
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import Phase
from workflow_core.errors import AirflowUnavailable
from workflow_core.ports.airflow import ComponentState
from workflow_core.usecases.queries.runs import show_run
from workflow_core.usecases.reconcile.drain import runs_under_way
from workflow_core.usecases.reconcile.mirror import poll_workflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.run import Run, TaskState
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context


@frozen(kw_only=True)
class Explanation:
    """The reasons why ``subject``, a dataset name or a run id, does not run, together with its status."""

    subject: str
    status: str
    reasons: tuple[Reason, ...]


def why_workflow(dataset_name: str, context: Context) -> Explanation:
    """Explain why a workflow does not run.

    Airflow is polled even if a worker mirrors it, so that the answer is current.

    Raises:
        InvalidRequest, WorkflowNotFound: the name is invalid, or no workflow has it.
    """
    facts = _facts(context.require(dataset_name), context)
    return Explanation(subject=dataset_name, status=facts.workflow.status, reasons=explain_workflow(facts))


def why_run(run_id: str, context: Context) -> Explanation:
    """Explain why a run does not progress.

    Raises:
        InvalidRequest, WorkflowRunNotFound: the id is invalid, or no run has it.
    """
    run = show_run(run_id, context).run
    owner = context.db.workflows.workflow(run.dataset_name)
    workflow = owner if owner is not None and owner.id == run.workflow_id else None
    others = (
        []
        if workflow is None
        else [other for other in context.db.workflows.active_runs(workflow) if other.run_id != run_id]
    )
    facts = RunFacts(
        run=run,
        owner=None if workflow is None else _facts(workflow, context),
        tasks=_tasks(run, context),
        running=sum(other.status is RunStatus.RUNNING for other in others),
        now=context.clock.now(),
    )
    return Explanation(subject=run_id, status=run.status, reasons=explain_run(facts))


def _tasks(run: Run, context: Context) -> Sequence[TaskState]:
    key = (run.dag_id, run.airflow_run_id)
    try:
        return () if run.is_settled else context.airflow.tasks([key]).get(key, ())
    except AirflowUnavailable:
        return ()


def _facts(workflow: Workflow, context: Context) -> WorkflowFacts:
    state, now = context.db.observations.airflow_state(), context.clock.now()
    unhealthy: list[str] = []
    try:
        if workflow.phase in {Phase.SERVED, Phase.FAILED}:
            workflow, _ = poll_workflow(workflow, context)
        parts = context.airflow.health()
        unhealthy = sorted(name for name, part in parts.items() if part is not ComponentState.HEALTHY)
        state = state.reached(now, now)
    except AirflowUnavailable as error:
        state = state.failed(error.message, now)
    observation = context.db.observations.observations([workflow.id]).get(workflow.id)
    next_run = workflow.next_run(now)
    if next_run is not None and observation is not None:
        next_run = observation.next_run_of(workflow, now) or next_run
    return WorkflowFacts(
        workflow=workflow,
        conditions=conditions(workflow, observation, state, under_way=runs_under_way(workflow, context)),
        unhealthy=unhealthy,
        next_run=next_run,
        is_paused=observation is not None and observation.is_paused is True,
    )
