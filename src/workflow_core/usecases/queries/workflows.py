"""Read what is recorded: one workflow, the list of workflows, the history of runs."""

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
    """A workflow and what goes with it in answers. ``observed_at`` is when Airflow was last seen to have it, ``stale`` that it does not
    answer now; ``conditions`` are what is not as it is wanted, known of a single workflow only.
    """

    workflow: Workflow
    last_run: Run | None
    next_run: datetime | None
    now: datetime
    conditions: tuple[Condition, ...] = ()
    observed_at: datetime | None = None
    stale: bool = False


def show_workflow(dataset_name: str, context: Context) -> WorkflowView:
    """One workflow, with what is not as it is wanted. Airflow is asked only where no worker follows it.

    Raises:
        InvalidRequest, WorkflowNotFound: the name.
    """
    workflow = context.require(dataset_name)
    workflow, seen, state = seen_now(workflow, context)
    last_run = context.db.workflows.last_runs([dataset_name]).get(dataset_name)
    return evolve(
        _view(workflow, last_run, seen, context.clock.now()),
        conditions=conditions(workflow, seen, state, under_way=runs_under_way(workflow, context)),
        observed_at=seen.observed_at if seen else None,
        stale=state.is_stale,
    )


def seen_now(workflow: Workflow, context: Context) -> tuple[Workflow, Observation | None, AirflowState]:
    """The workflow and what is seen of it: by the worker, if one follows Airflow, by ourselves otherwise."""
    now = context.clock.now()
    state = context.db.observations.airflow_state()
    if workflow.phase in {Phase.SERVED, Phase.FAILED} and not state.is_followed(now, context.policy.fresh_for):
        try:
            workflow, seen = poll_workflow(workflow, context)
        except AirflowUnavailable as error:
            state = state.failed(error.message, now)
        else:
            return workflow, seen, state.reached(now, now)
    return workflow, context.db.observations.observations([workflow.id]).get(workflow.id), state


def list_workflows(where: WorkflowFilter, page: PageRequest, context: Context) -> Page[WorkflowView]:
    """Workflows by name, each with its last and next run. Raises :class:`InvalidRequest` for an owner that nobody can be."""
    if where.owner is not None and (wrong := unstorable(where.owner)):
        raise InvalidRequest(wrong, field="owner")
    found = context.db.workflows.list_workflows(where, page)
    last = context.db.workflows.last_runs([workflow.dataset_name for workflow in found.items])
    seen = context.db.observations.observations(workflow.id for workflow in found.items)
    now = context.clock.now()
    stale = is_stale(context)
    views = tuple(
        evolve(_view(one, last.get(one.dataset_name), seen.get(one.id), now), stale=stale) for one in found.items
    )
    return Page(items=views, total=found.total, next_after=found.next_after)


def history(where: HistoryFilter, page: PageRequest, context: Context) -> Page[Run]:
    """Runs, latest first.

    Raises:
        InvalidRequest: the name is not legal, or the dates are the wrong way round.
    """
    if where.dataset_name is not None:
        check_dataset_name(where.dataset_name)
    if where.start_date and where.end_date and where.end_date < where.start_date:
        msg = f"{where.end_date} lies before the start_date {where.start_date}"
        raise InvalidRequest(msg, field="end_date")
    return context.db.workflows.history(where, page)


def is_stale(context: Context) -> bool:
    """Whether Airflow does not answer whoever follows it."""
    return context.db.observations.airflow_state().is_stale


def _view(workflow: Workflow, last_run: Run | None, seen: Observation | None, now: datetime) -> WorkflowView:
    """Airflow's own next run counts, where it has told one of the schedule that is in force."""
    next_run = workflow.next_run(now)
    if next_run is not None and seen is not None:
        next_run = seen.next_run_of(workflow, now) or next_run
    return WorkflowView(workflow=workflow, last_run=last_run, next_run=next_run, now=now)
