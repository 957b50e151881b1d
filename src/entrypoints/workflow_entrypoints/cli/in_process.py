"""The API in this process without a worker: it sweeps around the calls whose answers depend on a worker."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import evolve, frozen

from workflow_core.domain.run import RunStatus
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.api import BackfillStatusAnswer, RunStatusAnswer, SyncAnswer, WorkflowApi
    from workflow_core.usecases.context import Context

MOMENT: Final = 0.5
"""Seconds that a call waits for a change of a run: without a worker, only the next sweep can make one."""


def self_sweeping(service: WorkflowService) -> WorkflowApi:
    """Return the API of a service that sweeps around the calls of :data:`AROUND`."""
    policy = evolve(service.context.policy, longest_wait=MOMENT)
    context = evolve(service.context, policy=policy)
    return cast("WorkflowApi", _SelfSweepingApi(WorkflowService.over(context, service.caller), Sweeper(context)))


@frozen
class _SelfSweepingApi:
    service: WorkflowService
    sweeper: Sweeper

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.service, name)
        around = AROUND.get(name)
        return call if around is None else partial(around, self, call)

    def sweep(self) -> None:
        self.sweeper.sweep(is_periodic=False)


def _before(api: _SelfSweepingApi, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    api.sweep()
    return call(*given, **named)


def _repeat_if(is_pending: Callable[[Any, Context], bool]) -> Callable[..., Any]:
    """Return a wrapper that sweeps and calls again if the first answer is pending."""

    def around(api: _SelfSweepingApi, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        answer = call(*given, **named)
        if not is_pending(answer, api.service.context):
            return answer
        api.sweep()
        return call(*given, **named)

    return around


def _after_sync(api: _SelfSweepingApi, call: Callable[..., SyncAnswer], *given: Any, **named: Any) -> SyncAnswer:
    answer = call(*given, **named)
    if not answer.dry_run:
        api.sweep()
    return answer


def _is_pending_run(answer: RunStatusAnswer, context: Context) -> bool:
    """Whether the run is not yet in Airflow, or is stopping."""
    if answer.status is not RunStatus.PENDING:
        return answer.status is RunStatus.STOPPING
    run = context.db.workflows.run(answer.run_id)
    return run is not None and run.observed_at is None


def _is_pending_backfill(answer: BackfillStatusAnswer, _: Context) -> bool:
    return not answer.status.is_final


AROUND: Final[Mapping[str, Callable[..., Any]]] = {
    "workflows": _before,
    "history": _before,
    "backfills": _before,
    "status": _repeat_if(_is_pending_run),
    "backfill_status": _repeat_if(_is_pending_backfill),
    "sync": _after_sync,
}
"""The wrapper of each call, by the name of its method."""
