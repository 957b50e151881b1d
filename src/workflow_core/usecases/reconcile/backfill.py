"""Go on with a backfill: send what is its turn, hold the failure policy, end what is to end. Repeatable, and safe for several at once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workflow_core.domain.act import Action, on_backfill
from workflow_core.domain.backfill import SYSTEM, Wanted, being_sent, waiting_of
from workflow_core.domain.caller import Caller, Via
from workflow_core.domain.lease import backfill_subject
from workflow_core.domain.run import RunStatus, Submission
from workflow_core.domain.workflow import WorkflowStatus
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, Unavailable
from workflow_core.usecases.reconcile.leases import hold_lease
from workflow_core.usecases.reconcile.stop import try_to_end
from workflow_core.usecases.reconcile.submit import record_run, send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

_SYSTEM: Final = Caller(name=SYSTEM, via=Via.WORKER)


def advance_backfill(backfill: Backfill, context: Context) -> None:
    """Take a backfill, as it was just read, as far as it goes now.

    Raises:
        ConcurrentUpdate: somebody else goes on with it.
        AirflowUnavailable, AirflowOutcomeUnknown: Airflow cannot be asked now; what is recorded stays good.
    """
    runs = context.db.backfills.backfill_runs(backfill.backfill_id)
    if backfill.wanted is Wanted.RUN:
        _send(backfill, runs, context)
    if backfill.wanted is Wanted.STOP:
        _end(backfill, runs, context)


def try_to_advance(backfill: Backfill, context: Context) -> None:
    """As :func:`drive`; where it cannot go on now, the worker does."""
    try:
        with hold_lease(backfill_subject(backfill.backfill_id), context) as mine:
            if mine:
                advance_backfill(backfill, context)
    except (Unavailable, AirflowRefused, ConcurrentUpdate) as error:
        _log.warning("%s goes on later: %s", backfill.backfill_id, error.message)


def _send(backfill: Backfill, runs: Sequence[Run], context: Context) -> None:
    """Send as many as may be under way, and again those of which nobody knows whether they arrived.

    Which ones is recorded together with the backfill before any of them is sent. Whoever pauses, stops or drives it at the same
    time saves the backfill too, so that one of both sees the other: never are more sent than ``max_active``, and none after a pause.
    """
    owner = context.db.workflows.workflow_by_id(backfill.workflow_id)
    if owner is None or owner.status is not WorkflowStatus.ACTIVE:
        return
    failure = backfill.failure(runs)
    now = context.clock.now()
    if failure is not None and waiting_of(runs):
        reason = f"Run {failure.run_id} ended {failure.status}; resume goes on with the next date."
        paused = backfill.paused(SYSTEM, reason, now)
        act = on_backfill(_SYSTEM, Action.PAUSE_BACKFILL, now, paused, before=backfill)
        context.db.backfills.save_backfill(paused, act=act)
        return
    turn = [*being_sent(runs), *backfill.to_send(runs)]
    if not turn:
        return
    context.airflow.ping()
    _, sending = context.db.backfills.save_backfill(backfill.touched(now), [run.sending(now) for run in turn])
    for place, run in enumerate(sending):
        if send(run, context).submission is Submission.WAITING:  # no Airflow, or no DAG yet: not for the others either
            for other in sending[place + 1 :]:
                record_run(other.put_back(), context)
            return


def _end(backfill: Backfill, runs: Sequence[Run], context: Context) -> None:
    """Have every run of it end that has not."""
    for run in runs:
        if run.settled or run.stop is not None:
            continue
        wish = backfill.wish
        try:
            stopping = context.db.workflows.save_run(run.stopping(wish.by, wish.reason, context.clock.now()))
            if stopping.status is RunStatus.STOPPING:
                try_to_end(stopping, context)
        except ConcurrentUpdate:  # it has just changed: the next pass sees how
            continue
