"""Read what is recorded: one workflow, the list of workflows, the history of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.names import check_dataset_name, unstorable
from workflow_core.domain.paging import Page, PageRequest
from workflow_core.errors import InvalidRequest

if TYPE_CHECKING:
    from datetime import datetime

    from workflow_core.domain.run import HistoryFilter, Run
    from workflow_core.domain.workflow import Workflow, WorkflowFilter
    from workflow_core.usecases.context import Context


@frozen(kw_only=True)
class WorkflowView:
    """A workflow and what goes with it in answers."""

    workflow: Workflow
    last_run: Run | None
    next_run: datetime | None
    now: datetime


def show_workflow(dataset_name: str, context: Context) -> WorkflowView:
    """One workflow.

    Raises:
        InvalidRequest, WorkflowNotFound: the name.
    """
    workflow = context.require(dataset_name)
    return _view(workflow, context.workflows.last_runs([dataset_name]).get(dataset_name), context.clock.now())


def list_workflows(where: WorkflowFilter, page: PageRequest, context: Context) -> Page[WorkflowView]:
    """Workflows by name, each with its last and next run. Raises :class:`InvalidRequest` for an owner that nobody can be."""
    if where.owner is not None and (wrong := unstorable(where.owner)):
        raise InvalidRequest(wrong, field="owner")
    found = context.workflows.workflows(where, page)
    last = context.workflows.last_runs([workflow.dataset_name for workflow in found.items])
    now = context.clock.now()
    views = tuple(_view(workflow, last.get(workflow.dataset_name), now) for workflow in found.items)
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
    return context.workflows.history(where, page)


def _view(workflow: Workflow, last_run: Run | None, now: datetime) -> WorkflowView:
    return WorkflowView(workflow=workflow, last_run=last_run, next_run=workflow.next_run(now), now=now)
