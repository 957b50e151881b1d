"""One pass of the worker: everything that is not settled, taken as far as it goes now (level-triggered)."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from workflow_core.domain.lease import COMPARE, MIRROR, TIDY, backfill_subject, run_subject, workflow_subject
from workflow_core.domain.run import Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, LeaseLost, StorageConflict, Unavailable
from workflow_core.usecases.reconcile.backfill import advance_backfill
from workflow_core.usecases.reconcile.compare import compare
from workflow_core.usecases.reconcile.housekeeping import forget_keys
from workflow_core.usecases.reconcile.leases import acquire_leadership, hold_lease, is_due, process_leased
from workflow_core.usecases.reconcile.mirror import watch
from workflow_core.usecases.reconcile.retry import apply_retry
from workflow_core.usecases.reconcile.stop import end
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

WORKFLOWS: Final = 500
"""Workflows that one pass takes up at most: many come at once where a CI pipeline publishes."""

TIDY_EVERY: Final = timedelta(minutes=10)
LEASES_KEPT: Final = timedelta(hours=1)
"""So long after its end nobody works under a lease any more: each call to another system is over within minutes."""

SETTLE_FOR: Final = timedelta(seconds=5)
"""So long one pass settles workflows before it goes on to the runs."""

MISSES: Final = 3
"""So many workflows of one loader file that Airflow does not serve yet, or has not dropped yet, one after the other, mean that it has not
parsed the file yet."""

_WAITING: Final = frozenset({Phase.REGISTERING, Phase.LEAVING})


@frozen(kw_only=True)
class SweepReport:
    """What one pass did, counted."""

    workflows_settled: int = 0
    runs_submitted: int = 0
    runs_stopped: int = 0
    runs_retried: int = 0
    runs_observed: int = 0
    backfills_driven: int = 0
    keys_forgotten: int = 0
    drifts_mended: int = 0


def sweep(context: Context, *, comes_back: bool = True) -> SweepReport:
    """Settle workflows, send waiting runs, follow Airflow's changes, drive backfills, settle retries and stops, forget old keys. Where a
    system is down, a step ends early, not with an error; the next pass tries again. ``comes_back``: every few seconds, so that reads
    need not ask Airflow.
    """
    return SweepReport(
        workflows_settled=_step(partial(_settle_workflows, comes_back=comes_back), context),
        runs_submitted=_step(_send_runs, context),
        runs_observed=_step(partial(_watch, comes_back=comes_back), context),
        backfills_driven=_step(_drive_backfills, context),
        runs_retried=_step(_settle_retries, context),
        runs_stopped=_step(_settle_stops, context),
        keys_forgotten=_step(forget_keys, context),
        drifts_mended=_step(_compare, context),
    )


def _tidy(context: Context) -> None:
    """Remove what is needed no more, if nobody has for a while."""
    if is_due(TIDY, TIDY_EVERY, context):
        context.db.leases.purge_leases(context.clock.now() - LEASES_KEPT)


def _compare(context: Context) -> int:
    """If nobody has for a while; only workers that come back."""
    every = timedelta(seconds=context.policy.compare_every)
    return compare(context) if every and MIRROR in context.led and is_due(COMPARE, every, context) else 0


def _step(step: Callable[[Context], int], context: Context) -> int:
    try:
        return step(context)
    except (Unavailable, AirflowRefused, LeaseLost) as error:
        _log.warning("some work was not done, and will be tried again: %s", error.message)
        return 0


def _watch(context: Context, *, comes_back: bool) -> int:
    """Of several workers that come back one follows Airflow; when it is not heard of for a while, another one does."""
    if not comes_back:
        with hold_lease(MIRROR, context) as mine:
            return watch(context, comes_back=False) if mine else 0
    lease = acquire_leadership(MIRROR, context)
    if lease is None:
        return 0
    _tidy(context)
    with context.db.leases.under(lease):
        return watch(context)


def _settle_workflows(context: Context, *, comes_back: bool) -> int:
    """Each loader file is asked for once, and not every workflow of a file that is not parsed yet is looked for.

    Those that were tried come last in the next pass, so that none that can never be settled keeps others waiting.
    """
    context = evolve(context, parsed=set(), comes_back=comes_back)
    clock = context.clock
    until = clock.now() + SETTLE_FOR
    tried: list[Workflow] = []
    misses: Counter[tuple[str, Phase]] = Counter()

    def settle(workflow: Workflow) -> bool:
        kind = context.sentinel_of(workflow), workflow.phase
        if clock.now() >= until or (workflow.phase in _WAITING and misses[kind] >= MISSES):
            return False
        tried.append(workflow)
        after = _advanced(workflow, context)
        misses[kind] = misses[kind] + 1 if after.phase is workflow.phase else 0
        return after.settled

    open_ones = context.db.workflows.unsettled_workflows(WORKFLOWS)
    try:
        return process_leased(
            takewhile(lambda _: clock.now() < until, open_ones),
            lambda workflow: workflow_subject(workflow.id),
            settle,
            context,
        )
    finally:
        context.db.workflows.record_attempt(tried, clock.now())


def _advanced(workflow: Workflow, context: Context) -> Workflow:
    try:
        return step_workflow(workflow, context, context.clock.now())
    except ConcurrentUpdate:  # somebody else goes on with it
        return workflow
    except (AirflowRefused, StorageConflict) as error:
        _log.warning("%s is not settled yet: %s", workflow.dataset_name, error.message)
        return workflow


def _send_runs(context: Context) -> int:
    sent_before = context.clock.now() - timedelta(seconds=context.policy.resend_after)
    return _over_runs(
        context.db.workflows.runs_to_send(BATCH, sent_before=sent_before),
        lambda run: submit(run, context).submission is Submission.SUBMITTED,
        context,
    )


def _settle_retries(context: Context) -> int:
    return _over_runs(
        context.db.workflows.retrying_runs(BATCH),
        lambda run: apply_retry(run, context).submission is not Submission.RETRYING,
        context,
    )


def _settle_stops(context: Context) -> int:
    return _over_runs(context.db.workflows.stopping_runs(BATCH), lambda run: end(run, context).settled, context)


def _over_runs(runs: Sequence[Run], step: Callable[[Run], bool], context: Context) -> int:
    """Take a step with each of the runs; returns of how many it is told to be the last one."""
    return process_leased(runs, lambda run: run_subject(run.run_id), step, context)


def _drive_backfills(context: Context) -> int:
    def one(backfill: Backfill) -> bool:
        advance_backfill(backfill, context)
        return True

    found = context.db.backfills.active_backfills(BATCH)
    return process_leased(found, lambda backfill: backfill_subject(backfill.backfill_id), one, context)
