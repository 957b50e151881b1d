"""The use cases over one context, for tests that check entities rather than answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import fields, frozen

from workflow_core.domain.act import AuditFilter
from workflow_core.domain.caller import Caller
from workflow_core.domain.filters import HistoryFilter, WorkflowFilter
from workflow_core.domain.paging import PageRequest
from workflow_core.usecases.commands import (
    control_backfill,
    pause,
    register,
    restore,
    retry,
    start_backfill,
    stop,
    sync,
    trigger,
    unregister,
)
from workflow_core.usecases.commands.preview import preview
from workflow_core.usecases.queries import audit, backfills, explain, health, next_runs, revisions, runs, workflows
from workflow_core.usecases.reconcile.code_sync import SyncCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workflow_core.usecases.context import Context

CALLER: Final = Caller(name="anonymous")

COMMANDS: Final[Mapping[str, tuple[type, Callable[..., Any]]]] = {
    "register": (register.RegisterWorkflow, register.register),
    "preview": (register.RegisterWorkflow, preview),
    "restore": (restore.RestoreRevision, restore.restore),
    "run": (trigger.TriggerRun, trigger.trigger),
    "stop": (stop.StopRun, stop.stop),
    "retry": (retry.RetryRun, retry.retry),
    "pause": (pause.PauseWorkflow, pause.pause),
    "unpause": (pause.UnpauseWorkflow, pause.unpause),
    "unregister": (unregister.UnregisterWorkflow, unregister.unregister),
    "sync": (SyncCode, sync.sync),
    "sync_in_turn": (SyncCode, sync.sync_in_turn),
    "backfill": (start_backfill.StartBackfill, start_backfill.start_backfill),
    "pause_backfill": (control_backfill.ControlBackfill, control_backfill.pause_backfill),
    "resume_backfill": (control_backfill.ControlBackfill, control_backfill.resume_backfill),
    "stop_backfill": (control_backfill.ControlBackfill, control_backfill.stop_backfill),
}
QUERIES: Final[Mapping[str, tuple[Callable[..., Any], tuple[Any, ...]]]] = {
    "status": (runs.show_run, ()),
    "workflow": (workflows.show_workflow, ()),
    "workflows": (workflows.list_workflows, (WorkflowFilter(), PageRequest())),
    "history": (workflows.history, (HistoryFilter(), PageRequest(limit=20))),
    "revisions": (revisions.list_revisions, (None, PageRequest())),
    "diff": (revisions.diff, (None, None, None)),
    "backfill_status": (backfills.show_backfill, ()),
    "backfills": (backfills.list_backfills, (None, PageRequest(limit=20))),
    "next_runs": (next_runs.next_runs, (None, 20)),
    "explain_workflow": (explain.why_workflow, ()),
    "explain_run": (explain.why_run, ()),
    "audit": (audit.audit, (AuditFilter(), PageRequest())),
    "health": (health.check_health, ()),
}
"""Each query with its arguments before the context; the ones that a test leaves out are filled in from the right."""


@frozen
class UseCases:
    """Call a use case by its name: ``usecases.run(name, {"date": "2026-01-02"}, caller=…)`` returns the entity.

    Positional arguments are the fields of the command in their order, or the arguments of the query.
    """

    context: Context

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in COMMANDS:
            return partial(self._command, *COMMANDS[name])
        if name in QUERIES:
            return partial(self._query, *QUERIES[name])
        raise AttributeError(name)

    def _command(
        self, kind: type, use_case: Callable[..., Any], *given: Any, caller: Caller = CALLER, **named: Any
    ) -> Any:
        names = [field.name for field in fields(kind) if field.name != "caller"]
        return use_case(kind(caller=caller, **dict(zip(names, given, strict=False)), **named), self.context)

    def _query(self, use_case: Callable[..., Any], defaults: tuple[Any, ...], *given: Any) -> Any:
        return use_case(*given, *defaults[len(given) :], self.context)
