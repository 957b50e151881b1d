"""Pause, resume and stop a backfill as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.act import Action, on_backfill
from workflow_core.domain.backfill import BackfillSummary, Wanted, counts_of, waiting_of
from workflow_core.errors import BackfillNotActive, ConcurrentUpdate, DatabaseUnavailable
from workflow_core.usecases.commands.reason import check_reason
from workflow_core.usecases.commands.trigger import check_runnable
from workflow_core.usecases.context import require_backfill, summarize
from workflow_core.usecases.reconcile.backfill import try_to_advance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

    Step = Callable[[Backfill, Sequence[Run]], tuple[Backfill, Sequence[Run]]]
    """What a wish makes of a backfill, and of which of its runs."""


@frozen(kw_only=True)
class ControlBackfill:
    """The wish to pause, resume or stop a backfill; only a pause and a stop have a reason."""

    caller: Caller
    backfill_id: str
    reason: str | None = None


def pause_backfill(command: ControlBackfill, context: Context) -> BackfillSummary:
    """Send no more of its runs; those under way go on. One that is paused already stays as it was, with its first reason.

    Needs no Airflow: after the answer nothing more is sent.

    Raises:
        InvalidRequest, BackfillNotFound: the id, or the reason.
        BackfillNotActive: it has ended, or is being stopped.
        WorkflowPermissionDenied: of a CODE workflow, unless the policy allows it.
        DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    _check_permitted(command, context)

    def step(backfill: Backfill, runs: Sequence[Run]) -> tuple[Backfill, Sequence[Run]]:
        _refuse_ended(backfill, runs)
        return backfill.paused(command.caller.name, command.reason, context.clock.now()), ()

    return _told(*_change(command, Action.PAUSE_BACKFILL, context, step), context)


def resume_backfill(command: ControlBackfill, context: Context) -> BackfillSummary:
    """Go on, over whatever failed until now; a no-op for one that is not paused.

    Raises:
        InvalidRequest, BackfillNotFound: the id.
        BackfillNotActive: it has ended, or is being stopped.
        WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: nothing of its workflow could run.
        WorkflowPermissionDenied: of a CODE workflow, unless the policy allows it.
        DatabaseUnavailable: nothing was recorded.
    """
    _check_permitted(command, context)

    def step(backfill: Backfill, runs: Sequence[Run]) -> tuple[Backfill, Sequence[Run]]:
        _refuse_ended(backfill, runs)
        owner = context.db.workflows.workflow_by_id(backfill.workflow_id)
        if owner is not None:
            check_runnable(owner, context)
        return backfill.resumed(command.caller.name, runs, context.clock.now()), ()

    changed, runs = _change(command, Action.RESUME_BACKFILL, context, step)
    try_to_advance(changed, context)
    return _told(changed, runs, context)


def stop_backfill(command: ControlBackfill, context: Context) -> BackfillSummary:
    """Have it end: what was not sent is cancelled at once and never reaches Airflow, what is under way is stopped as any other run.
    One that is stopping, or was stopped, already stays as it is, with its first reason.

    Raises:
        InvalidRequest, BackfillNotFound: the id, or the reason.
        BackfillNotActive: it has ended.
        WorkflowPermissionDenied: of a CODE workflow, unless the policy allows it.
        DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    _check_permitted(command, context)

    def step(backfill: Backfill, runs: Sequence[Run]) -> tuple[Backfill, Sequence[Run]]:
        if backfill.wanted is Wanted.STOP:
            return backfill, ()
        _refuse_ended(backfill, runs)
        by, at = command.caller.name, context.clock.now()
        cancelled = [run.stopping(by, command.reason, at) for run in waiting_of(runs)]
        return backfill.stopping(by, command.reason, at), cancelled

    changed, runs = _change(command, Action.STOP_BACKFILL, context, step)
    try_to_advance(changed, context)
    return _told(changed, runs, context)


def _told(changed: Backfill, runs: Sequence[Run], context: Context) -> BackfillSummary:
    """The backfill as it is recorded now; as it was changed, if the database does not answer any more: the wish is accepted."""
    try:
        return summarize(require_backfill(changed.backfill_id, context), context)
    except DatabaseUnavailable:
        return BackfillSummary(backfill=changed, counts=counts_of(runs))


def _change(command: ControlBackfill, action: Action, context: Context, step: Step) -> tuple[Backfill, Sequence[Run]]:
    """Record what the step makes of it, and of its runs. Somebody else's save in between means: read again, decide again."""
    while True:
        backfill = require_backfill(command.backfill_id, context)
        runs = context.db.backfills.backfill_runs(command.backfill_id)
        wanted, changed = step(backfill, runs)
        act = on_backfill(command.caller, action, context.clock.now(), wanted, before=backfill)
        if wanted is backfill:
            context.db.audit.append(act)
            return backfill, runs
        try:
            saved, changed = context.db.backfills.save_backfill(wanted, changed, act=act)
            return saved, list(({run.run_id: run for run in runs} | {run.run_id: run for run in changed}).values())
        except ConcurrentUpdate:
            continue


def _check_permitted(command: ControlBackfill, context: Context) -> None:
    owner = context.db.workflows.workflow_by_id(require_backfill(command.backfill_id, context).workflow_id)
    if owner is not None and not owner.phase.has_left:
        context.check_execution(owner)


def _refuse_ended(backfill: Backfill, runs: Sequence[Run]) -> None:
    """A backfill that only waits for the runs of its skipped dates has nothing of its own to pause, resume or stop."""
    if all(run.status.is_final for run in runs) or backfill.wanted is Wanted.STOP:
        raise BackfillNotActive(backfill.backfill_id, backfill.status(counts_of(runs)))
