"""One pass of the worker: take every unsettled item as far as it can go now (level-triggered)."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from workflow_core.domain.lease import COMPARE, MIRROR, TIDY, backfill_lease_key, run_lease_key, workflow_lease_key
from workflow_core.domain.run import Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, LeaseLost, StorageConflict, Unavailable
from workflow_core.usecases.reconcile.backfill import advance_backfill
from workflow_core.usecases.reconcile.compare import compare
from workflow_core.usecases.reconcile.housekeeping import purge_keys
from workflow_core.usecases.reconcile.leases import acquire_leadership, hold_lease, is_due, process_leased
from workflow_core.usecases.reconcile.mirror import mirror_changes
from workflow_core.usecases.reconcile.retry import apply_retry
from workflow_core.usecases.reconcile.stop import apply_stop
from workflow_core.usecases.reconcile.submit import submit
from workflow_core.usecases.reconcile.workflow import step_workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

BATCH: Final = 100
"""Maximum number of runs or backfills per step of a pass."""

WORKFLOW_LIMIT: Final = 500
"""Maximum number of workflows per pass; a CI pipeline may publish many at once."""

TIDY_EVERY: Final = timedelta(minutes=10)
"""Interval between two deletions of old leases."""
LEASE_RETENTION: Final = timedelta(hours=1)
"""Expired leases are deleted after this time. No holder can still be running: every call ends within minutes."""

RECONCILE_BUDGET: Final = timedelta(seconds=5)
"""How long one pass reconciles workflows before it continues with the runs."""

MISS_LIMIT: Final = 3
"""How many consecutive unsettled workflows of one loader file show that Airflow has not parsed the file yet.

The rest of the file's workflows is then skipped in this pass.
"""

_AWAITING_AIRFLOW: Final = frozenset({Phase.REGISTERING, Phase.LEAVING})


@frozen(kw_only=True)
class SweepReport:
    """The result of one pass, as counts."""

    workflows_settled: int = 0
    runs_submitted: int = 0
    runs_stopped: int = 0
    runs_retried: int = 0
    runs_observed: int = 0
    backfills_advanced: int = 0
    keys_purged: int = 0
    drifts_repaired: int = 0


def sweep(context: Context, *, is_periodic: bool = True) -> SweepReport:
    """Run one pass over everything that is due.

    The steps: reconcile workflows, submit runs, mirror Airflow, advance backfills, apply retries and stops, purge keys,
    compare. A step ends early if a system is unavailable, without an error; the next pass tries again.

    Args:
        context: the ports and the configuration.
        is_periodic: whether this process sweeps every few seconds, so that reads can be answered from the mirror
            without polling Airflow.
    """
    return SweepReport(
        workflows_settled=_run_step(partial(_reconcile_workflows, is_periodic=is_periodic), context),
        runs_submitted=_run_step(_submit_runs, context),
        runs_observed=_run_step(partial(_mirror, is_periodic=is_periodic), context),
        backfills_advanced=_run_step(_advance_backfills, context),
        runs_retried=_run_step(_apply_retries, context),
        runs_stopped=_run_step(_apply_stops, context),
        keys_purged=_run_step(purge_keys, context),
        drifts_repaired=_run_step(_compare, context),
    )


def _purge_leases(context: Context) -> None:
    """Delete old leases, if no worker has done so recently."""
    if is_due(TIDY, TIDY_EVERY, context):
        context.db.leases.purge_leases(context.clock.now() - LEASE_RETENTION)


def _compare(context: Context) -> int:
    """Compare the three systems, if no worker has done so recently; only the leader of the mirror does."""
    interval = timedelta(seconds=context.policy.compare_every)
    return compare(context) if interval and MIRROR in context.leaderships and is_due(COMPARE, interval, context) else 0


def _run_step(step: Callable[[Context], int], context: Context) -> int:
    try:
        return step(context)
    except (Unavailable, AirflowRefused, LeaseLost) as error:
        _log.warning("A step of the sweep ended early and will be tried again: %s", error.message)
        return 0


def _mirror(context: Context, *, is_periodic: bool) -> int:
    """Mirror Airflow, if this process is the leader or becomes it.

    Of several periodic workers one is the leader; if it fails to renew its lease, another takes over. A single pass
    takes the lease only for the duration of the pass.
    """
    if not is_periodic:
        with hold_lease(MIRROR, context) as acquired:
            return mirror_changes(context, is_periodic=False) if acquired else 0
    lease = acquire_leadership(MIRROR, context)
    if lease is None:
        return 0
    _purge_leases(context)
    with context.db.leases.under(lease):
        return mirror_changes(context)


def _reconcile_workflows(context: Context, *, is_periodic: bool) -> int:
    """Reconcile unsettled workflows.

    Each loader file is parsed on request at most once, and the workflows of a file that Airflow has not parsed yet are
    skipped.

    The workflows that were tried come last in the next pass, so that one that can never be settled does not delay the
    others.
    """
    context = evolve(context, requested_parses=set(), is_periodic=is_periodic)
    clock = context.clock
    deadline = clock.now() + RECONCILE_BUDGET
    tried: list[Workflow] = []
    misses: Counter[tuple[str, Phase]] = Counter()

    def settle(workflow: Workflow) -> bool:
        group = context.sentinel_of(workflow), workflow.phase
        if clock.now() >= deadline or (workflow.phase in _AWAITING_AIRFLOW and misses[group] >= MISS_LIMIT):
            return False
        tried.append(workflow)
        after = _step_workflow(workflow, context)
        misses[group] = misses[group] + 1 if after.phase is workflow.phase else 0
        return after.is_settled

    unsettled = context.db.workflows.unsettled_workflows(WORKFLOW_LIMIT)
    try:
        return process_leased(
            takewhile(lambda _: clock.now() < deadline, unsettled),
            lambda workflow: workflow_lease_key(workflow.id),
            settle,
            context,
        )
    finally:
        context.db.workflows.record_attempt(tried, clock.now())


def _step_workflow(workflow: Workflow, context: Context) -> Workflow:
    try:
        return step_workflow(workflow, context, context.clock.now())
    except ConcurrentUpdate:  # another process works on it
        return workflow
    except (AirflowRefused, StorageConflict) as error:
        _log.warning("%s is not settled yet: %s", workflow.dataset_name, error.message)
        return workflow


def _submit_runs(context: Context) -> int:
    sent_before = context.clock.now() - timedelta(seconds=context.policy.resend_after)
    return _process_runs(
        context.db.workflows.runs_to_send(BATCH, sent_before=sent_before),
        lambda run: submit(run, context).submission is Submission.SUBMITTED,
        context,
    )


def _apply_retries(context: Context) -> int:
    return _process_runs(
        context.db.workflows.retrying_runs(BATCH),
        lambda run: apply_retry(run, context).submission is not Submission.RETRYING,
        context,
    )


def _apply_stops(context: Context) -> int:
    return _process_runs(
        context.db.workflows.stopping_runs(BATCH), lambda run: apply_stop(run, context).is_settled, context
    )


def _process_runs(runs: Sequence[Run], step: Callable[[Run], bool], context: Context) -> int:
    """Take one step with each of the runs; return for how many of them the step was the last one."""
    return process_leased(runs, lambda run: run_lease_key(run.run_id), step, context)


def _advance_backfills(context: Context) -> int:
    def advance(backfill: Backfill) -> bool:
        advance_backfill(backfill, context)
        return True

    backfills = context.db.backfills.active_backfills(BATCH)
    return process_leased(backfills, lambda backfill: backfill_lease_key(backfill.backfill_id), advance, context)
