"""Pause, resume or stop a backfill as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from workflow_core.domain.audit import Action, on_backfill
from workflow_core.domain.backfill import BackfillSummary, DesiredState, counts_of, waiting_of
from workflow_core.errors import BackfillNotActive, ConcurrentUpdate, DatabaseUnavailable
from workflow_core.usecases.commands.reason import check_reason
from workflow_core.usecases.commands.trigger import check_runnable
from workflow_core.usecases.context import require_backfill, summarize
from workflow_core.usecases.reconcile.backfill import try_to_advance_backfill

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.caller import Caller
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

    Step = Callable[[Backfill, Sequence[Run]], tuple[Backfill, Sequence[Run]]]
    """Returns the changed backfill and those of its runs that change with it."""


@frozen(kw_only=True)
class ControlBackfill:
    """Command: pause, resume or stop a backfill. Only a pause and a stop have a reason."""

    caller: Caller
    backfill_id: str
    reason: str | None = None


def pause_backfill(command: ControlBackfill, context: Context) -> BackfillSummary:
    """Pause a backfill: submit no further runs; active runs continue.

    A backfill that is already paused keeps its first reason. Airflow is not needed.

    Raises:
        InvalidRequest, BackfillNotFound: the id or the reason is invalid, or no backfill has the id.
        BackfillNotActive: the backfill has ended or is being stopped.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
        DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    _check_permitted(command, context)

    def step(backfill: Backfill, runs: Sequence[Run]) -> tuple[Backfill, Sequence[Run]]:
        _refuse_ended(backfill, runs)
        return backfill.paused(command.caller.name, command.reason, context.clock.now()), ()

    return _current_summary(*_change(command, Action.PAUSE_BACKFILL, context, step), context)


def resume_backfill(command: ControlBackfill, context: Context) -> BackfillSummary:
    """Resume a paused backfill, accepting the failures so far; a no-op for a backfill that is not paused.

    Raises:
        InvalidRequest, BackfillNotFound: the id is invalid, or no backfill has it.
        BackfillNotActive: the backfill has ended or is being stopped.
        WorkflowNotFound, WorkflowPaused, WorkflowNotRunnable: runs of its workflow cannot be started now.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
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
    try_to_advance_backfill(changed, context)
    return _current_summary(changed, runs, context)


def stop_backfill(command: ControlBackfill, context: Context) -> BackfillSummary:
    """Stop a backfill.

    Runs that were not submitted are cancelled at once, and active runs are stopped like any other run. A backfill that
    is stopping or stopped keeps its first reason.

    Raises:
        InvalidRequest, BackfillNotFound: the id or the reason is invalid, or no backfill has the id.
        BackfillNotActive: the backfill has ended.
        WorkflowPermissionDenied: the workflow is CODE and the configuration denies it.
        DatabaseUnavailable: nothing was recorded.
    """
    check_reason(command.reason)
    _check_permitted(command, context)

    def step(backfill: Backfill, runs: Sequence[Run]) -> tuple[Backfill, Sequence[Run]]:
        if backfill.desired_state is DesiredState.STOP:
            return backfill, ()
        _refuse_ended(backfill, runs)
        by, at = command.caller.name, context.clock.now()
        cancelled = [run.stopping(by, command.reason, at) for run in waiting_of(runs)]
        return backfill.stopping(by, command.reason, at), cancelled

    changed, runs = _change(command, Action.STOP_BACKFILL, context, step)
    try_to_advance_backfill(changed, context)
    return _current_summary(changed, runs, context)


def _current_summary(changed: Backfill, runs: Sequence[Run], context: Context) -> BackfillSummary:
    """Return the backfill as currently recorded.

    If the database no longer responds, return it with the change, which is already accepted.
    """
    try:
        return summarize(require_backfill(changed.backfill_id, context), context)
    except DatabaseUnavailable:
        return BackfillSummary(backfill=changed, counts=counts_of(runs))


def _change(command: ControlBackfill, action: Action, context: Context, step: Step) -> tuple[Backfill, Sequence[Run]]:
    """Record the change that ``step`` makes to the backfill and its runs.

    If another process saves the backfill first, read and decide again.
    """
    while True:
        backfill = require_backfill(command.backfill_id, context)
        runs = context.db.backfills.backfill_runs(command.backfill_id)
        desired, changed = step(backfill, runs)
        act = on_backfill(command.caller, action, context.clock.now(), desired, before=backfill)
        if desired is backfill:
            context.db.audit.append(act)
            return backfill, runs
        try:
            saved, changed = context.db.backfills.save_backfill(desired, changed, act=act)
            return saved, list(({run.run_id: run for run in runs} | {run.run_id: run for run in changed}).values())
        except ConcurrentUpdate:
            continue


def _check_permitted(command: ControlBackfill, context: Context) -> None:
    owner = context.db.workflows.workflow_by_id(require_backfill(command.backfill_id, context).workflow_id)
    if owner is not None and not owner.phase.has_left:
        context.check_execution(owner)


def _refuse_ended(backfill: Backfill, runs: Sequence[Run]) -> None:
    """Raise :class:`BackfillNotActive` if the backfill has ended or is being stopped.

    A backfill that only waits for the runs of its skipped dates has no runs left to pause, resume or stop.
    """
    if all(run.status.is_final for run in runs) or backfill.desired_state is DesiredState.STOP:
        raise BackfillNotActive(backfill.backfill_id, backfill.status(counts_of(runs)))
