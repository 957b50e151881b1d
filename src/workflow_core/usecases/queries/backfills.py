"""Read backfills: one with its dates, and those of a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workflow_core.domain.backfill import BackfillSummary, BackfillView, Wanted, waiting_of
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
"""How many runs the expected duration is taken from."""


def show_backfill(backfill_id: str, context: Context) -> BackfillView:
    """One backfill with each of its dates, as Airflow's changes were last followed.

    Raises:
        InvalidRequest, BackfillNotFound: the id.
    """
    backfill = require_backfill(backfill_id, context)
    runs = context.db.backfills.backfill_runs(backfill_id)
    (seen,) = with_skipped_runs([backfill], context)
    active = any(not run.settled for run in runs)
    return BackfillView(
        backfill=seen,
        runs=runs,
        now=context.clock.now(),
        mean_seconds=_mean_seconds(backfill, runs, context) if active else None,
        held=_held(seen, runs, context),
        observed_at=context.db.observations.observed_until() if active else None,
    )


def list_backfills(
    dataset_name: str, page: PageRequest, context: Context, visible: Visibility | None = None
) -> Page[BackfillSummary]:
    """Backfills of the workflow of this name, and of its predecessors, latest first; of those that are ``visible``.

    Raises:
        InvalidRequest: the name or the cursor.
        WorkflowNotFound: nothing is known, or may be seen, under this name.
    """
    found = context.db.backfills.list_backfills(check_dataset_name(dataset_name), page, visible=visible)
    if not found.total:
        workflow = context.require(dataset_name)
        if visible is not None and not visible.sees(workflow):
            raise WorkflowNotFound(dataset_name)
    counts = context.db.backfills.backfill_counts(one.backfill_id for one in found.items)
    seen = with_skipped_runs(found.items, context)
    items = tuple(BackfillSummary(backfill=one, counts=counts.get(one.backfill_id, {})) for one in seen)
    return Page(items=items, total=found.total, next_after=found.next_after)


def _mean_seconds(backfill: Backfill, runs: Sequence[Run], context: Context) -> float | None:
    """From its own latest successes; before there is one, from the latest runs of the workflow before it."""
    seconds = _successes(runs)
    if not seconds:
        before = PageRequest(limit=RECENT, after=(moment_key(backfill.created_at), ""))
        seconds = _successes(
            context.db.workflows.history(HistoryFilter(dataset_name=backfill.dataset_name), before).items
        )
    latest = seconds[-RECENT:]
    return sum(latest) / len(latest) if latest else None


def _successes(runs: Sequence[Run]) -> list[float]:
    ended = [(run.ended_at, run.started_at) for run in runs if run.status is RunStatus.SUCCESS and run.ended_at]
    return [(end - start).total_seconds() for end, start in sorted(ended)]


def _held(backfill: Backfill, runs: Sequence[Run], context: Context) -> str | None:
    if not waiting_of(runs):
        return _awaited(backfill, runs)
    if backfill.wanted is not Wanted.RUN:
        return None
    owner = context.db.workflows.workflow_by_id(backfill.workflow_id)
    if owner is None or owner.status is WorkflowStatus.ACTIVE:
        return None
    return f"The workflow is {owner.status}: it goes on when the workflow may run again."


def _awaited(backfill: Backfill, runs: Sequence[Run]) -> str | None:
    """That everything of its own has ended, and a run of a skipped date has not."""
    going = [one for one in backfill.skipped if not one.status.is_final]
    if any(not run.settled for run in runs) or not going:
        return None
    more = f" and {len(going) - 1} more" if len(going) > 1 else ""
    return f"Waits for run {going[0].run_id} of the skipped date {going[0].date}{more}."
