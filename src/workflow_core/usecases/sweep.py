"""One pass of the worker: everything that is not settled, taken as far as it goes now (level-triggered)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.run import Submission
from workflow_core.errors import AirflowRefused, Unavailable
from workflow_core.usecases.observe import follow_changes
from workflow_core.usecases.settle import settle_workflow, submit

if TYPE_CHECKING:
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

BATCH: Final = 100


@frozen(kw_only=True)
class SweepReport:
    """What one pass did."""

    workflows_settled: int = 0
    runs_submitted: int = 0
    runs_observed: int = 0


def sweep(context: Context) -> SweepReport:
    """Settle workflows, send waiting runs, follow Airflow's changes. A system that is down ends the pass early, not with an error."""
    settled = submitted = observed = 0
    try:
        for workflow in context.workflows.unsettled_workflows(BATCH):
            settled += settle_workflow(workflow, context).settled
        for run in context.workflows.unsettled_runs(BATCH):
            if run.submission is Submission.WAITING and _may_run(run.dataset_name, context):
                submitted += submit(run, context).submission is not Submission.WAITING
        observed = follow_changes(context)
    except (Unavailable, AirflowRefused) as error:
        _log.warning("the sweep ended early: %s", error.message)
    return SweepReport(workflows_settled=settled, runs_submitted=submitted, runs_observed=observed)


def _may_run(dataset_name: str, context: Context) -> bool:
    """A workflow that was paused after the run was accepted keeps it waiting: Airflow would only queue it."""
    workflow = context.workflows.workflow(dataset_name)
    return workflow is not None and workflow.pause is None
