"""List the next fire times of a workflow, computed from its schedule without Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow_core.domain.forecast import Forecast

if TYPE_CHECKING:
    from workflow_core.usecases.context import Context


def next_runs(dataset_name: str, count: int, context: Context) -> Forecast:
    """Return the next fire times of a workflow, by its cron expression in its time zone.

    Raises:
        InvalidRequest, WorkflowNotFound: the name is invalid, or no workflow has it.
    """
    workflow = context.require(dataset_name)
    return Forecast(workflow=workflow, fires=workflow.fires(context.clock.now(), count))
