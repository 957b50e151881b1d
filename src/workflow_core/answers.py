"""Shape the results of use cases as answers of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from workflow_core import api
from workflow_core.domain.act import Action
from workflow_core.domain.paging import encode_cursor
from workflow_core.errors import DatabaseUnavailable, RunNotActive
from workflow_core.usecases.context import require_backfill, summarize
from workflow_core.usecases.queries.backfills import show_backfill
from workflow_core.usecases.reconcile.drain import runs_under_way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from workflow_core.api.base import Answer
    from workflow_core.domain.act import KeyRecord
    from workflow_core.domain.authorization import Visibility
    from workflow_core.domain.paging import Page
    from workflow_core.domain.run import Run
    from workflow_core.domain.workflow import Workflow
    from workflow_core.usecases.context import Context
    from workflow_core.usecases.queries.explain import Explanation
    from workflow_core.usecases.queries.health import Health, SystemHealth
    from workflow_core.usecases.queries.runs import RunView
    from workflow_core.usecases.queries.workflows import WorkflowView

E = TypeVar("E")
A = TypeVar("A")


def listing(page: Page[E], of: Callable[[E], A]) -> api.Listing[A]:
    """A page of a list, each of its items as an answer."""
    cursor = None if page.next_after is None else encode_cursor(page.next_after)
    return api.Listing(items=tuple(map(of, page.items)), total=page.total, next_cursor=cursor)


def run_status(view: RunView, now: datetime) -> api.RunStatusAnswer:
    """One run; durations are counted until ``now``."""
    return api.RunStatusAnswer.of(
        view.run,
        now=now,
        logs_url=view.logs_url,
        stale=view.stale,
        observed_at=view.observed_at,
        held=view.held,
    )


def workflow_detail(view: WorkflowView, visible: Visibility | None) -> api.WorkflowDetailAnswer:
    """One workflow, for a caller who may see what is ``visible``."""
    return api.WorkflowDetailAnswer.of(
        view.workflow,
        last_run=_last_run(view, visible),
        next_run=view.next_run,
        now=view.now,
        conditions=view.conditions,
        stale=view.stale,
        observed_at=view.observed_at,
    )


def workflow_item(view: WorkflowView, visible: Visibility | None) -> api.WorkflowItem:
    """One workflow of a list, for a caller who may see what is ``visible``."""
    return api.WorkflowItem.of(
        view.workflow, last_run=_last_run(view, visible), next_run=view.next_run, now=view.now, stale=view.stale
    )


def _last_run(view: WorkflowView, visible: Visibility | None) -> Run | None:
    """The last run, unless it belongs to an earlier workflow of the same name, which the caller may not be allowed to see."""
    run = view.last_run
    hidden = run is not None and run.workflow_id != view.workflow.id and visible is not None
    return None if hidden else run


def paused(workflow: Workflow, reason: str | None, context: Context) -> api.PauseAnswer:
    """A workflow that was paused for a ``reason``, with the number of its active runs.

    The pause is accepted, so the answer leaves that number out when the database cannot be reached.
    """
    try:
        under_way = runs_under_way(workflow, context)
    except DatabaseUnavailable:
        under_way = 0
    return api.PauseAnswer.of(workflow, reason=reason, under_way=under_way)


def stopped(run: Run) -> api.StopAnswer:
    """A run whose stop was accepted."""
    if run.stop is None:  # the run ended before the stop was recorded
        raise RunNotActive(run.run_id, run.status)
    return api.StopAnswer.of(run, run.stop)


def retried(run: Run) -> api.RetryAnswer:
    """A run whose retry was accepted."""
    if run.retry is None:  # the use case has set it
        raise AssertionError(run.run_id)
    return api.RetryAnswer.of(run, run.retry)


def unregistered(workflow: Workflow) -> api.UnregisterAnswer:
    """A workflow whose removal was accepted."""
    if workflow.removal is None:  # the use case has set it
        raise AssertionError(workflow.dataset_name)
    return api.UnregisterAnswer.of(workflow, workflow.removal)


def explained(explanation: Explanation) -> api.ExplainAnswer:
    """Why a workflow or a run does not run."""
    reasons = tuple(map(api.ReasonAnswer.of, explanation.reasons))
    return api.ExplainAnswer(subject=explanation.subject, status=explanation.status, reasons=reasons)


def health(checked: Health) -> api.HealthAnswer:
    """The state of every system that the service depends on."""
    return api.HealthAnswer(
        status=_status(ok=checked.ok),
        database=_system(checked.database),
        storage=_system(checked.storage),
        airflow=_system(checked.airflow),
        worker=_system(checked.worker),
    )


def ready(database: SystemHealth) -> api.ReadyAnswer:
    """Whether this process can answer requests."""
    return api.ReadyAnswer(status=_status(ok=database.ok), database=_system(database))


def _system(checked: SystemHealth) -> api.SystemAnswer:
    parts = {name: str(state) for name, state in checked.parts.items()}
    return api.SystemAnswer(
        status=_status(ok=checked.ok), detail=checked.detail, parts=parts or None, breaker=checked.breaker
    )


def _status(*, ok: bool) -> api.HealthStatus:
    return api.HealthStatus.OK if ok else api.HealthStatus.UNAVAILABLE


def recorded(record: KeyRecord, context: Context) -> Answer:
    """The answer to an earlier request whose process ended before it answered: the current state of what the request recorded."""
    if record.action is Action.BACKFILL:
        return api.BackfillAnswer.of(show_backfill(record.subject, context), dry_run=False)
    if record.action in {Action.PAUSE_BACKFILL, Action.RESUME_BACKFILL, Action.STOP_BACKFILL}:
        return api.BackfillItem.of(summarize(require_backfill(record.subject, context), context))
    if record.action in _OF_RUNS:
        run = context.db.workflows.run(record.subject)
        if run is None:  # runs are never deleted
            raise AssertionError(record)
        return _OF_RUNS[record.action](run)
    workflow = context.db.workflows.workflow_by_id(UUID(record.subject))
    if workflow is None:  # workflows are never deleted
        raise AssertionError(record)
    return _OF_WORKFLOWS[record.action](workflow)


_OF_RUNS: Final[Mapping[Action, Callable[[Run], Answer]]] = {
    Action.RUN: api.RunAcceptedAnswer.of,
    Action.STOP: stopped,
    Action.RETRY: retried,
}
_OF_WORKFLOWS: Final[Mapping[Action, Callable[[Workflow], Answer]]] = {
    Action.REGISTER: api.RegisterAnswer.of,
    Action.RESTORE: api.RegisterAnswer.of,
    Action.PAUSE: api.PauseAnswer.of,
    Action.UNPAUSE: api.PauseAnswer.of,
    Action.UNREGISTER: unregistered,
}
