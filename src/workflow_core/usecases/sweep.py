"""One pass of the worker: everything that is not settled, taken as far as it goes now (level-triggered)."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from workflow_core.domain.run import Submission
from workflow_core.domain.workflow import Phase
from workflow_core.errors import AirflowRefused, ConcurrentUpdate, StorageConflict, Unavailable
from workflow_core.usecases.drive import drive
from workflow_core.usecases.mirror import watch
from workflow_core.usecases.once import forget_keys
from workflow_core.usecases.retry import carry_out
from workflow_core.usecases.settle import advance
from workflow_core.usecases.stop import end
from workflow_core.usecases.submit import submit

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context

_log = logging.getLogger(__name__)

BATCH: Final = 100

WORKFLOWS: Final = 500
"""Workflows that one pass takes up at most: many come at once where a CI pipeline publishes."""

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


def sweep(context: Context, *, comes_back: bool = True) -> SweepReport:
    """Settle workflows, send waiting runs, follow Airflow's changes, drive backfills, settle retries and stops, forget old keys. Where a
    system is down, a step ends early, not with an error; the next pass tries again. ``comes_back``: every few seconds, so that reads
    need not ask Airflow.
    """
    return SweepReport(
        workflows_settled=_step(_settle_workflows, context),
        runs_submitted=_step(_send_runs, context),
        runs_observed=_step(partial(watch, comes_back=comes_back), context),
        backfills_driven=_step(_drive_backfills, context),
        runs_retried=_step(_settle_retries, context),
        runs_stopped=_step(_settle_stops, context),
        keys_forgotten=_step(forget_keys, context),
    )


def _step(step: Callable[[Context], int], context: Context) -> int:
    try:
        return step(context)
    except (Unavailable, AirflowRefused) as error:
        _log.warning("the sweep ended early: %s", error.message)
        return 0


def _settle_workflows(context: Context) -> int:
    """Each loader file is asked for once, and not every workflow of a file that is not parsed yet is looked for.

    Those that were tried come last in the next pass, so that none that can never be settled keeps others waiting.
    """
    context = evolve(context, parsed=set())
    clock = context.clock
    until = clock.now() + SETTLE_FOR
    tried: list[Workflow] = []
    settled = 0
    misses: Counter[tuple[str, Phase]] = Counter()
    try:
        for workflow in context.workflows.unsettled_workflows(WORKFLOWS):
            kind = context.sentinel_of(workflow), workflow.phase
            if clock.now() >= until:
                break
            if workflow.phase in _WAITING and misses[kind] >= MISSES:
                continue
            tried.append(workflow)
            after = _advanced(workflow, context)
            settled += after.settled
            misses[kind] = misses[kind] + 1 if after.phase is workflow.phase else 0
    finally:
        context.workflows.mark_tried(tried, clock.now())
    return settled


def _advanced(workflow: Workflow, context: Context) -> Workflow:
    try:
        return advance(workflow, context, context.clock.now())
    except ConcurrentUpdate:  # somebody else goes on with it
        return workflow
    except (AirflowRefused, StorageConflict) as error:
        _log.warning("%s is not settled yet: %s", workflow.dataset_name, error.message)
        return workflow


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


def _settle_retries(context: Context) -> int:
    done = 0
    for run in context.workflows.retrying_runs(BATCH):
        try:
            done += carry_out(run, context).submission is not Submission.RETRYING
        except ConcurrentUpdate:  # somebody else goes on with it
            continue
    return done


def _settle_stops(context: Context) -> int:
    ended = 0
    for run in context.workflows.stopping_runs(BATCH):
        try:
            ended += end(run, context).settled
        except ConcurrentUpdate:  # somebody else goes on with it
            continue
    return ended
