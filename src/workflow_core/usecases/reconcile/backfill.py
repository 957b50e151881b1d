"""Advance a backfill: submit due runs, apply the failure policy, carry out a stop.

Idempotent and safe to call concurrently.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workflow_core.domain.audit import Action, on_backfill
from workflow_core.domain.backfill import SYSTEM, DesiredState, being_sent, waiting_of
from workflow_core.domain.caller import Caller, Via
from workflow_core.domain.lease import backfill_lease_key
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import WorkflowStatus
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, Unavailable
from workflow_core.usecases.reconcile.leases import hold_lease
from workflow_core.usecases.reconcile.stop import try_to_apply_stop
from workflow_core.usecases.reconcile.submit import record_run, send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

_SYSTEM: Final = Caller(name=SYSTEM, via=Via.WORKER)


def advance_backfill(backfill: Backfill, context: Context) -> None:
    """Advance a backfill as far as it can go now.

    Args:
        backfill: the backfill as just read from the database.
        context: the ports and the configuration.

    Raises:
        ConcurrentUpdate: another process changed the backfill.
        AirflowUnavailable, AirflowOutcomeUnknown: Airflow does not respond; what was recorded so far remains valid.
    """
    runs = context.db.backfills.backfill_runs(backfill.backfill_id)
    if backfill.desired_state is DesiredState.RUN:
        _submit_due(backfill, runs, context)
    if backfill.desired_state is DesiredState.STOP:
        _stop_runs(backfill, runs, context)


def try_to_advance_backfill(backfill: Backfill, context: Context) -> None:
    """Advance a backfill under its lease; if that is not possible now, leave it to the worker."""
    try:
        with hold_lease(backfill_lease_key(backfill.backfill_id), context) as acquired:
            if acquired:
                advance_backfill(backfill, context)
    except (Unavailable, AirflowRefused, ConcurrentUpdate) as error:
        _log.warning("The worker will advance %s: %s", backfill.backfill_id, error.message)


def _submit_due(backfill: Backfill, runs: Sequence[Run], context: Context) -> None:
    """Submit as many runs as ``max_active`` allows, and resubmit those that may not have reached Airflow.

    The chosen runs are recorded together with the backfill before any of them is submitted. A concurrent pause, stop or
    advance also saves the backfill, so one of the two detects the other: never more than ``max_active`` runs are
    submitted, and none after a pause.
    """
    owner = context.db.workflows.workflow_by_id(backfill.workflow_id)
    if owner is None or owner.status is not WorkflowStatus.ACTIVE:
        return
    failure = backfill.failure(runs)
    now = context.clock.now()
    if failure is not None and waiting_of(runs):
        reason = f"Run {failure.run_id} ended {failure.status}; resume continues with the next date."
        paused = backfill.paused(SYSTEM, reason, now)
        act = on_backfill(_SYSTEM, Action.PAUSE_BACKFILL, now, paused, before=backfill)
        context.db.backfills.save_backfill(paused, act=act)
        return
    due = [*being_sent(runs), *backfill.to_send(runs)]
    if not due:
        return
    context.airflow.ping()
    _, sending = context.db.backfills.save_backfill(backfill.touched(now), [run.sending(now) for run in due])
    for position, run in enumerate(sending):
        if send(run, context).submission is Submission.WAITING:
            # Airflow or the DAG is not available: the other runs would fail as well
            for unsent in sending[position + 1 :]:
                record_run(unsent.put_back(), context)
            return


def _stop_runs(backfill: Backfill, runs: Sequence[Run], context: Context) -> None:
    """Request and carry out the stop of every run that has not ended."""
    for run in runs:
        if run.is_settled or run.stop is not None:
            continue
        desired = backfill.state_request
        try:
            stopping = context.db.workflows.save_run(run.stopping(desired.by, desired.reason, context.clock.now()))
            if stopping.status is RunStatus.STOPPING:
                try_to_apply_stop(stopping, context)
        except ConcurrentUpdate:  # it has just changed: the next pass reads it again
            continue
