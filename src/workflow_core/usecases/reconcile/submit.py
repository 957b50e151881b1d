"""Submit accepted runs to Airflow, and record the result."""

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

MAX_DATE_SHIFTS: Final = 20
"""Maximum number of logical dates to try in one call for a run whose date is taken; the next pass continues."""


def submit(run: Run, context: Context) -> Run:
    """Record that an accepted run is being sent, and send it. Of several concurrent calls, one sends it."""
    try:
        run = context.db.workflows.save_run(run.sending(context.clock.now()))
    except ConcurrentUpdate:  # another process sends it, or its stop was requested
        return context.db.workflows.run(run.run_id) or run
    return send(run, context)


def send(run: Run, context: Context) -> Run:
    """Send a run that is recorded as being sent to Airflow.

    Safe to repeat, because the run id is Airflow's ``dag_run_id``.

    If the DAG is not served yet, or the response is lost, the worker sends the run again. If another run has its
    logical date, the run gets the next date, which is recorded before the run is sent again.
    """
    for _ in range(MAX_DATE_SHIFTS):
        try:
            return _send_once(run, context)
        except LogicalDateTaken as error:
            if run.logical_date is None:
                return record_run(run.refused(error.message, context.clock.now()), context)
            _log.info("Moving the logical date of %s: %s", run.run_id, error.message)
            try:
                run = context.db.workflows.save_run(run.with_next_logical_date())
            except ConcurrentUpdate:  # another process sends it, or its stop was requested
                return context.db.workflows.run(run.run_id) or run
    return run


def _send_once(run: Run, context: Context) -> Run:
    try:
        airflow_run = context.airflow.trigger(
            run.dag_id, run.airflow_run_id, conf=run.params, logical_date=run.logical_date
        )
    except AirflowOutcomeUnknown as error:
        _log.warning("The worker will send %s again: %s", run.run_id, error.message)
        return run
    except (DagNotFound, Unavailable) as error:
        _log.info("%s waits to be sent: %s", run.run_id, error.message)
        changed = run.put_back()
    except LogicalDateTaken:
        raise
    except AirflowRefused as error:
        changed = run.refused(error.message, context.clock.now())
    else:
        changed = run.observed(airflow_run, None, context.clock.now())
    return record_run(changed, context)


def record_run(changed: Run, context: Context) -> Run:
    """Save the new state of a run.

    If another process saved the run first, its version is returned: both observed the same run in Airflow.
    """
    try:
        return context.db.workflows.save_run(changed)
    except ConcurrentUpdate:
        return context.db.workflows.run(changed.run_id) or changed
