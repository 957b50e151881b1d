"""The API in this process without a worker: it sweeps around the calls whose answers depend on a worker."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from workflow_adapters.delegation import delegating
from workflow_core.api import WorkflowApi
from workflow_core.domain.run import RunStatus
from workflow_core.service import WorkflowService
from workflow_core.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.api import BackfillStatusAnswer, RunStatusAnswer
    from workflow_core.usecases.context import Context

MOMENT: Final = 0.5
"""Seconds that a call waits for a change of a run: without a worker, only the next sweep can make one."""


def self_sweeping(service: WorkflowService) -> WorkflowApi:
    """Return the API of a service that sweeps around the calls of :data:`AROUND`."""
    policy = evolve(service.context.policy, longest_wait=MOMENT)
    context = evolve(service.context, policy=policy)
    sweeping = _SelfSweeping(WorkflowService.over(context, service.caller), Sweeper(context))
    return delegating(WorkflowApi, sweeping.call)


@frozen
class _SelfSweeping:
    service: WorkflowService
    sweeper: Sweeper

    def call(self, name: str, *given: Any, **named: Any) -> Any:
        call = partial(getattr(self.service, name), *given, **named)
        around = AROUND.get(name)
        return call() if around is None else around(self, call)

    def sweep(self) -> None:
        self.sweeper.sweep(is_periodic=False)


def _before(api: _SelfSweeping, call: Callable[[], Any]) -> Any:
    api.sweep()
    return call()


def _repeat_if(is_pending: Callable[[Any, Context], bool]) -> Callable[[_SelfSweeping, Callable[[], Any]], Any]:
    """Return a wrapper that sweeps and calls again if the first answer is pending."""

    def around(api: _SelfSweeping, call: Callable[[], Any]) -> Any:
        answer = call()
        if not is_pending(answer, api.service.context):
            return answer
        api.sweep()
        return call()

    return around


def _after_sync(api: _SelfSweeping, call: Callable[[], Any]) -> Any:
    answer = call()
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


AROUND: Final[Mapping[str, Callable[[_SelfSweeping, Callable[[], Any]], Any]]] = {
    "workflows": _before,
    "history": _before,
    "backfills": _before,
    "status": _repeat_if(_is_pending_run),
    "backfill_status": _repeat_if(_is_pending_backfill),
    "sync": _after_sync,
}
"""The wrapper of each call, by the name of its method."""
