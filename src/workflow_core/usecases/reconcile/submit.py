"""Send accepted runs to Airflow, and record what became of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from workflow_core.errors import (
    AirflowOutcomeUnknown,
    AirflowRefused,
    ConcurrentUpdate,
    DagNotFound,
    LogicalDateTaken,
    Unavailable,
)

if TYPE_CHECKING:
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

MOVES: Final = 20
"""How many logical dates are tried at one go for a run whose own is taken; the next pass goes on."""


def submit(run: Run, context: Context) -> Run:
    """Record that an accepted run is being sent, and send it; by several at once, one of them does."""
    try:
        run = context.db.workflows.save_run(run.sending(context.clock.now()))
    except ConcurrentUpdate:  # somebody else sends it, or it is to be stopped
        return context.db.workflows.run(run.run_id) or run
    return send(run, context)


def send(run: Run, context: Context) -> Run:
    """Send a run that is recorded as being sent to Airflow, under its own id: safe to repeat.

    A DAG that is not served yet and an answer that never came leave the run for the worker, which sends it again. A run whose logical
    date another one has gets the next one, recorded before it is sent with that.
    """
    for _ in range(MOVES):
        try:
            return _send_once(run, context)
        except LogicalDateTaken as error:
            if run.logical_date is None:
                return record_run(run.refused(error.message, context.clock.now()), context)
            _log.info("%s moves its logical date: %s", run.run_id, error.message)
            try:
                run = context.db.workflows.save_run(run.moved())
            except ConcurrentUpdate:  # somebody else sends it, or it is to be stopped
                return context.db.workflows.run(run.run_id) or run
    return run


def _send_once(run: Run, context: Context) -> Run:
    try:
        seen = context.airflow.trigger(run.dag_id, run.airflow_run_id, conf=run.params, logical_date=run.logical_date)
    except AirflowOutcomeUnknown as error:
        _log.warning("%s: %s", run.run_id, error.message)
        return run
    except (DagNotFound, Unavailable) as error:
        _log.info("%s waits: %s", run.run_id, error.message)
        changed = run.put_back()
    except LogicalDateTaken:
        raise
    except AirflowRefused as error:
        changed = run.refused(error.message, context.clock.now())
    else:
        changed = run.observed(seen, None, context.clock.now())
    return record_run(changed, context)


def record_run(changed: Run, context: Context) -> Run:
    """Save what became of a run; whoever was faster saw the same run of Airflow, and what they saved is the answer."""
    try:
        return context.db.workflows.save_run(changed)
    except ConcurrentUpdate:
        return context.db.workflows.run(changed.run_id) or changed
