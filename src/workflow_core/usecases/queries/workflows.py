"""Read one workflow, the list of workflows, or the history of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from workflow_core.domain.conditions import conditions
from workflow_core.domain.names import check_dataset_name, unstorable
from workflow_core.domain.paging import Page, PageRequest
from workflow_core.domain.workflow import Phase
from workflow_core.errors import AirflowUnavailable, InvalidRequest
from workflow_core.usecases.reconcile.drain import runs_under_way
from workflow_core.usecases.reconcile.mirror import poll_workflow

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.conditions import AirflowState, Condition, Observation
    from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context


@frozen(kw_only=True)
class WorkflowView:
    """A workflow with the additional facts of an answer.

    Attributes:
        observed_at: when the workflow was last observed in Airflow.
        stale: whether Airflow does not respond now.
        conditions: the differences between desired and observed state; only determined for a single workflow.
    """

    workflow: Workflow
    last_run: Run | None
    next_run: datetime | None
    now: datetime
    conditions: tuple[Condition, ...] = ()
    observed_at: datetime | None = None
    stale: bool = False


def show_workflow(dataset_name: str, context: Context) -> WorkflowView:
    """Return one workflow with its conditions. Airflow is polled only when no worker mirrors it.

    Raises:
        InvalidRequest, WorkflowNotFound: the name is invalid, or no workflow has it.
    """
    workflow = context.require(dataset_name)
    workflow, observation, state = observe_workflow(workflow, context)
    last_run = context.db.workflows.last_runs([dataset_name]).get(dataset_name)
    return evolve(
        _view(workflow, last_run, observation, context.clock.now()),
        conditions=conditions(workflow, observation, state, under_way=runs_under_way(workflow, context)),
        observed_at=observation.observed_at if observation else None,
        stale=state.is_stale,
    )


def observe_workflow(workflow: Workflow, context: Context) -> tuple[Workflow, Observation | None, AirflowState]:
    """Return the workflow, its observation and the state of Airflow, mirrored by the worker or polled now."""
    now = context.clock.now()
    state = context.db.observations.airflow_state()
    if workflow.phase in {Phase.SERVED, Phase.FAILED} and not state.is_followed(now, context.policy.fresh_for):
        try:
            workflow, observation = poll_workflow(workflow, context)
        except AirflowUnavailable as error:
            state = state.failed(error.message, now)
        else:
            return workflow, observation, state.reached(now, now)
    return workflow, context.db.observations.observations([workflow.id]).get(workflow.id), state


def list_workflows(where: WorkflowFilter, page: PageRequest, context: Context) -> Page[WorkflowView]:
    """Return workflows by name, each with its last and next run.

    Raises:
        InvalidRequest: the owner in the filter is invalid.
    """
    if where.owner is not None and (problem := unstorable(where.owner)):
        raise InvalidRequest(problem, field="owner")
    workflows = context.db.workflows.list_workflows(where, page)
    last_runs = context.db.workflows.last_runs([workflow.dataset_name for workflow in workflows.items])
    observations = context.db.observations.observations(workflow.id for workflow in workflows.items)
    now = context.clock.now()
    stale = is_stale(context)
    views = tuple(
        evolve(_view(workflow, last_runs.get(workflow.dataset_name), observations.get(workflow.id), now), stale=stale)
        for workflow in workflows.items
    )
    return Page(items=views, total=workflows.total, next_after=workflows.next_after)


def history(where: HistoryFilter, page: PageRequest, context: Context) -> Page[Run]:
    """Return runs, latest first.

    Raises:
        InvalidRequest: the name is invalid, or ``end_date`` is before ``start_date``.
    """
    if where.dataset_name is not None:
        check_dataset_name(where.dataset_name)
    if where.start_date and where.end_date and where.end_date < where.start_date:
        msg = f"{where.end_date} lies before the start_date {where.start_date}"
        raise InvalidRequest(msg, field="end_date")
    return context.db.workflows.history(where, page)


def is_stale(context: Context) -> bool:
    """Return whether the mirror is stale, i.e. Airflow does not respond to the worker."""
    return context.db.observations.airflow_state().is_stale


def _view(workflow: Workflow, last_run: Run | None, observation: Observation | None, now: datetime) -> WorkflowView:
    """Return the view; the next run is Airflow's, if Airflow has reported one for the current schedule."""
    next_run = workflow.next_run(now)
    if next_run is not None and observation is not None:
        next_run = observation.next_run_of(workflow, now) or next_run
    return WorkflowView(workflow=workflow, last_run=last_run, next_run=next_run, now=now)
