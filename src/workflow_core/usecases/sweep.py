"""One pass of the worker: everything that is not settled, taken as far as it goes now (level-triggered)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import frozen

from workflow_core.domain.run import Submission
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, Unavailable
from workflow_core.usecases.drive import drive
from workflow_core.usecases.observe import follow_changes
from workflow_core.usecases.settle import settle_workflow
from workflow_core.usecases.stop import end
from workflow_core.usecases.submit import submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

BATCH: Final = 100


@frozen(kw_only=True)
class SweepReport:
    """What one pass did, counted."""

    workflows_settled: int = 0
    runs_submitted: int = 0
    runs_stopped: int = 0
    runs_observed: int = 0
    backfills_driven: int = 0


def sweep(context: Context) -> SweepReport:
    """Settle workflows, send waiting runs, follow Airflow's changes, drive backfills, settle stops. Where a system is down, a step ends
    early, not with an error; the next pass tries again.
    """
    return SweepReport(
        workflows_settled=_step(_settle_workflows, context),
        runs_submitted=_step(_send_runs, context),
        runs_observed=_step(follow_changes, context),
        backfills_driven=_step(_drive_backfills, context),
        runs_stopped=_step(_settle_stops, context),
    )


def _step(step: Callable[[Context], int], context: Context) -> int:
    try:
        return step(context)
    except (Unavailable, AirflowRefused) as error:
        _log.warning("the sweep ended early: %s", error.message)
        return 0


def _settle_workflows(context: Context) -> int:
    return sum(settle_workflow(found, context).settled for found in context.workflows.unsettled_workflows(BATCH))


def _send_runs(context: Context) -> int:
    sent = [submit(run, context) for run in context.workflows.runs_to_send(BATCH)]
    return sum(run.submission is Submission.SUBMITTED for run in sent)


def _drive_backfills(context: Context) -> int:
    driven = 0
    for backfill in context.workflows.active_backfills(BATCH):
        try:
            drive(backfill, context)
        except ConcurrentUpdate:  # somebody else goes on with it
            continue
        driven += 1
    return driven


def _settle_stops(context: Context) -> int:
    ended = 0
    for run in context.workflows.stopping_runs(BATCH):
        try:
            ended += end(run, context).settled
        except ConcurrentUpdate:  # somebody else goes on with it
            continue
    return ended
