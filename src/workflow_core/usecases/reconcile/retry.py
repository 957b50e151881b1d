"""Carry out a requested retry in Airflow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from workflow_core.domain.lease import run_lease_key
from workflow_core.errors import (
    AirflowOutcomeUnknown,
    AirflowRefused,
    ConcurrentUpdate,
    DagNotFound,
    Unavailable,
)
from workflow_core.usecases.reconcile.leases import hold_lease
from workflow_core.usecases.reconcile.runs import poll, record_poll
from workflow_core.usecases.reconcile.submit import record_run

if TYPE_CHECKING:
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context


_log = logging.getLogger(__name__)


def try_to_apply_retry(run: Run, context: Context) -> Run:
    """Apply a retry under the run's lease; if that is not possible now, leave it to the worker."""
    try:
        with hold_lease(run_lease_key(run.run_id), context) as acquired:
            return apply_retry(run, context) if acquired else run
    except (Unavailable, AirflowRefused, ConcurrentUpdate) as error:
        _log.warning("The worker will retry %s: %s", run.run_id, error.message)
        return context.recorded_run(run)


def apply_retry(run: Run, context: Context) -> Run:
    """Advance a run that is RETRYING as far as it can go now. Safe to repeat and to call concurrently.

    The request to Airflow is recorded before it is sent. It is sent again only when an earlier one can no longer
    arrive.
    """
    if run.retry is None:
        raise AssertionError(run.run_id)
    key = (run.dag_id, run.airflow_run_id)
    now = context.clock.now()
    airflow_run = context.airflow.run(*key)
    if airflow_run is None:
        return record_run(run.deleted_in_airflow(now), context)
    if run.retry.is_done(airflow_run):
        return record_poll(run, run.observed(airflow_run, context.airflow.tasks([key]).get(key, ()), now), context)
    if run.sent_at is not None and now - run.sent_at < context.policy.in_flight_limit:
        return run
    run = context.db.workflows.save_run(run.retry_asked(now))
    try:
        context.airflow.clear_run(*key, run.retry.tasks if run.retry else ())
    except AirflowOutcomeUnknown:
        raise  # it may have taken effect: the next poll shows whether it did
    except (DagNotFound, Unavailable) as error:
        _log.info("%s waits to be retried: %s", run.run_id, error.message)
        return record_run(run.retry_put_back(), context)
    except AirflowRefused as error:
        return record_run(run.retry_given_up(airflow_run, error.message), context)
    return poll(run, context)
