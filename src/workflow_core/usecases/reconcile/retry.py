"""Carry out a requested retry in Airflow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from workflow_core.domain.lease import run_subject
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


def try_to_apply(run: Run, context: Context) -> Run:
    """As :func:`carry_out`; where Airflow cannot be asked now, or somebody else goes on with it, the worker does the rest."""
    try:
        with hold_lease(run_subject(run.run_id), context) as mine:
            return apply_retry(run, context) if mine else run
    except (Unavailable, AirflowRefused, ConcurrentUpdate) as error:
        _log.warning("%s does not run again yet: %s", run.run_id, error.message)
        return context.recorded_run(run)


def apply_retry(run: Run, context: Context) -> Run:
    """Take a run that is RETRYING as far as it goes now. Safe to repeat, and by several at once: that Airflow is about to be told is
    recorded before, and it is told again only when a request that was sent can no longer arrive.
    """
    if run.retry is None:
        raise AssertionError(run.run_id)
    key = (run.dag_id, run.airflow_run_id)
    now = context.clock.now()
    seen = context.airflow.run(*key)
    if seen is None:
        return record_run(run.gone(now), context)
    if run.retry.is_done(seen):
        return record_poll(run, run.observed(seen, context.airflow.tasks([key]).get(key, ()), now), context)
    if run.sent_at is not None and now - run.sent_at < context.policy.may_arrive:
        return run
    run = context.db.workflows.save_run(run.retry_asked(now))
    try:
        context.airflow.clear_run(*key, run.retry.tasks if run.retry else ())
    except AirflowOutcomeUnknown:
        raise  # it may have been done: the next look tells
    except (DagNotFound, Unavailable) as error:
        _log.info("%s waits to run again: %s", run.run_id, error.message)
        return record_run(run.retry_put_back(), context)
    except AirflowRefused as error:
        return record_run(run.retry_given_up(seen, error.message), context)
    return poll(run, context)
