"""Read backfills: one with its dates, or the list of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow_core.domain.backfill import BackfillSummary, BackfillView, DesiredState, waiting_of
from workflow_core.domain.filters import HistoryFilter
from workflow_core.domain.names import check_dataset_name
from workflow_core.domain.paging import Page, PageRequest, moment_key
from workflow_core.domain.run import RunStatus
from workflow_core.domain.workflow import WorkflowStatus
from workflow_core.errors import WorkflowNotFound
from workflow_core.usecases.context import require_backfill, with_skipped_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.backfill import Backfill
    from workflow_core.domain.run import Run
    from workflow_core.usecases.context import Context

RECENT: Final = 20
"""Number of recent runs from which the expected duration is computed."""


def show_backfill(backfill_id: str, context: Context) -> BackfillView:
    """Return one backfill with each of its dates, as last mirrored.

    Raises:
        InvalidRequest, BackfillNotFound: the id is invalid, or no backfill has it.
    """
    backfill = require_backfill(backfill_id, context)
    runs = context.db.backfills.backfill_runs(backfill_id)
    (current,) = with_skipped_runs([backfill], context)
    active = any(not run.is_settled for run in runs)
    return BackfillView(
        backfill=current,
        runs=runs,
        now=context.clock.now(),
        mean_seconds=_mean_seconds(backfill, runs, context) if active else None,
        held=_held(current, runs, context),
        observed_at=context.db.observations.observed_until() if active else None,
    )


def list_backfills(
    dataset_name: str, page: PageRequest, context: Context, visible: Visibility | None = None
) -> Page[BackfillSummary]:
    """Return the backfills of the workflow of this name and of its predecessors, latest first.

    Args:
        dataset_name: the name of the workflow.
        page: the page to return.
        context: the ports and the configuration.
        visible: restricts the list to the workflows that the caller may view.

    Raises:
        InvalidRequest: the name or the page cursor is invalid.
        WorkflowNotFound: no workflow of this name exists, or the caller may not view it.
    """
    backfills = context.db.backfills.list_backfills(check_dataset_name(dataset_name), page, visible=visible)
    if not backfills.total:
        workflow = context.require(dataset_name)
        if visible is not None and not visible.sees(workflow):
            raise WorkflowNotFound(dataset_name)
    counts = context.db.backfills.backfill_counts(backfill.backfill_id for backfill in backfills.items)
    current = with_skipped_runs(backfills.items, context)
    items = tuple(
        BackfillSummary(backfill=backfill, counts=counts.get(backfill.backfill_id, {})) for backfill in current
    )
    return Page(items=items, total=backfills.total, next_after=backfills.next_after)


def _mean_seconds(backfill: Backfill, runs: Sequence[Run], context: Context) -> float | None:
    """Return the mean duration of the backfill's latest successes; without any, of earlier runs of the workflow."""
    seconds = _successes(runs)
    if not seconds:
        earlier = PageRequest(limit=RECENT, after=(moment_key(backfill.created_at), ""))
        seconds = _successes(
            context.db.workflows.history(HistoryFilter(dataset_name=backfill.dataset_name), earlier).items
        )
    latest = seconds[-RECENT:]
    return sum(latest) / len(latest) if latest else None


def _successes(runs: Sequence[Run]) -> list[float]:
    ended = [(run.ended_at, run.started_at) for run in runs if run.status is RunStatus.SUCCESS and run.ended_at]
    return [(end - start).total_seconds() for end, start in sorted(ended)]


def _held(backfill: Backfill, runs: Sequence[Run], context: Context) -> str | None:
    if not waiting_of(runs):
        return _awaited(backfill, runs)
    if backfill.desired_state is not DesiredState.RUN:
        return None
    owner = context.db.workflows.workflow_by_id(backfill.workflow_id)
    if owner is None or owner.status is WorkflowStatus.ACTIVE:
        return None
    return f"The workflow is {owner.status}: the backfill continues when the workflow can run again."


def _awaited(backfill: Backfill, runs: Sequence[Run]) -> str | None:
    """Return a message if only runs of skipped dates have not ended."""
    active = [skipped for skipped in backfill.skipped if not skipped.status.is_final]
    if any(not run.is_settled for run in runs) or not active:
        return None
    more = f" and {len(active) - 1} more" if len(active) > 1 else ""
    return f"Waiting for run {active[0].run_id} of the skipped date {active[0].date}{more}."
