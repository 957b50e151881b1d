"""The API in this process, each time with one rule of the protocol broken; ``test_suites.py`` runs the suite against each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import evolve

from workflow_core import errors
from workflow_core.api import (
    AuditFilters,
    BackfillFilters,
    BackfillReasonRequest,
    BackfillRequest,
    DiffFilters,
    HistoryFilters,
    NextRunsFilters,
    PauseRequest,
    RegisterRequest,
    RetryRequest,
    RunRequest,
    StopRequest,
    SyncRequest,
    UnregisterFilters,
    WorkflowFilters,
)
from workflow_core.service import WorkflowService
from workflow_core.testing.api import ApiContract
from workflow_core.testing.api.subject import CALLER

if TYPE_CHECKING:
    from collections.abc import Callable

    from workflow_core.api.base import Given
    from workflow_core.testing.api import ApiWorld

WHERE: dict[str, type[Given]] = {
    "register": RegisterRequest,
    "run": RunRequest,
    "pause": PauseRequest,
    "stop": StopRequest,
    "retry": RetryRequest,
    "unregister": UnregisterFilters,
    "workflows": WorkflowFilters,
    "history": HistoryFilters,
    "diff": DiffFilters,
    "sync": SyncRequest,
    "next_runs": NextRunsFilters,
    "validate": RegisterRequest,
    "backfill": BackfillRequest,
    "backfills": BackfillFilters,
    "audit": AuditFilters,
    "pause_backfill": BackfillReasonRequest,
    "stop_backfill": BackfillReasonRequest,
}
"""The class of each method's request."""


def losing(method: str, field: str) -> type[WorkflowService]:
    """An API whose ``method`` does not pass on this field of its request."""

    def without(self: Any, *given: Any, **named: Any) -> Any:
        *names, request = (
            given if given and not isinstance(given[-1], str | int) else (*given, WHERE[method].model_construct())
        )
        default = WHERE[method].model_fields[field].get_default(call_default_factory=True)
        return getattr(WorkflowService, method)(self, *names, request.model_copy(update={field: default}), **named)

    return type(f"{method.title()}Loses{field.title().replace('_', '')}", (WorkflowService,), {method: without})


def changing(name: str, method: str, how: Callable[[Any], Any]) -> type[WorkflowService]:
    """An API that changes the answer of ``method``."""

    def changed(self: Any, *given: Any, **named: Any) -> Any:
        return how(getattr(WorkflowService, method)(self, *given, **named))

    return type(name, (WorkflowService,), {method: changed})


def failing(name: str, how: Callable[[errors.WorkflowError], Exception]) -> type[WorkflowService]:
    """An API whose methods raise a changed error."""

    def wrapped(method: str) -> Callable[..., Any]:
        def call(self: Any, *given: Any, **named: Any) -> Any:
            try:
                return getattr(WorkflowService, method)(self, *given, **named)
            except errors.WorkflowError as error:
                raise how(error) from None

        return call

    methods = (
        "register",
        "run",
        "status",
        "workflow",
        "workflows",
        "history",
        "pause",
        "unpause",
        "stop",
        "retry",
        "explain_workflow",
        "explain_run",
        "next_runs",
        "validate",
        "unregister",
        "sync",
        "revisions",
        "diff",
        "restore",
        "backfill",
        "backfill_status",
        "backfills",
        "pause_backfill",
        "resume_backfill",
        "stop_backfill",
        "audit",
    )
    return type(name, (WorkflowService,), {method: wrapped(method) for method in methods})


def without(*fields: str) -> Callable[[Any], Any]:
    """Set these fields of an answer to None."""
    return lambda answer: answer.model_copy(update=dict.fromkeys(fields))


def altered(error: errors.WorkflowError, **changes: Any) -> errors.WorkflowError:
    """The error with changed attributes."""
    facts: dict[str, Any] = {"message": error.message, "code": error.code, "problems": error.problems, **changes}
    return type(error).with_message(facts.pop("message"), **facts)


def without_places(error: errors.WorkflowError) -> errors.WorkflowError:
    """The error whose findings have no line and column."""
    return altered(error, problems=[evolve(problem, line=None, column=None) for problem in error.problems])


def _without_clocks(answer: Any) -> Any:
    fires = tuple(fire.model_copy(update={"daylight_saving": None}) for fire in answer.next_runs)
    return answer.model_copy(update={"next_runs": fires})


BROKEN: list[type[WorkflowService]] = [
    *(losing("register", field) for field in ("source_type", "schedule", "owner", "team", "description")),
    *(losing("run", field) for field in ("params", "dry_run")),
    losing("pause", "reason"),
    *(
        losing("backfill", field)
        for field in ("params", "dry_run", "parallel", "max_active", "reprocess", "run_backwards", "on_failure")
    ),
    *(losing("backfills", field) for field in ("limit", "offset", "cursor")),
    *(
        losing("audit", field)
        for field in ("dataset_name", "action", "who", "since", "until", "limit", "offset", "cursor")
    ),
    changing(
        "NobodyDidIt", "audit", lambda page: evolve(page, items=tuple(without("who")(item) for item in page.items))
    ),
    changing(
        "NothingBefore",
        "audit",
        lambda page: evolve(page, items=tuple(without("before")(item) for item in page.items)),
    ),
    losing("pause_backfill", "reason"),
    losing("stop_backfill", "reason"),
    losing("stop", "reason"),
    losing("retry", "only_failed"),
    losing("unregister", "force"),
    losing("register", "force"),
    losing("diff", "against"),
    losing("next_runs", "count"),
    *(losing("validate", field) for field in ("schedule", "owner", "team", "description")),
    changing("NothingIsMoved", "next_runs", _without_clocks),
    changing("AlwaysActive", "next_runs", lambda answer: answer.model_copy(update={"status": "active"})),
    changing("NothingWouldChange", "validate", lambda answer: answer.model_copy(update={"changes": ()})),
    changing("NoFindingsOfAValidation", "validate", lambda answer: answer.model_copy(update={"problems": ()})),
    changing("NoFireTimesNow", "validate", lambda answer: answer.model_copy(update={"next_runs_now": ()})),
    changing("NeverRegistered", "validate", lambda answer: answer.model_copy(update={"registered": False})),
    *(losing("sync", field) for field in ("dry_run", "allow_removals")),
    changing("NothingIsRefused", "sync", lambda answer: answer.model_copy(update={"failed": ()})),
    changing("NothingIsHeldBack", "sync", lambda answer: answer.model_copy(update={"guarded": ()})),
    changing("NothingIsOverridden", "workflow", lambda answer: answer.model_copy(update={"overridden": False})),
    changing("NothingIsCurrent", "workflow", lambda answer: answer.model_copy(update={"revision": 0})),
    changing("NoConditions", "workflow", lambda answer: answer.model_copy(update={"conditions": ()})),
    changing("NeverAStaleWorkflow", "workflow", lambda answer: answer.model_copy(update={"stale": False})),
    changing(
        "NeverStaleRuns",
        "history",
        lambda page: evolve(page, items=tuple(item.model_copy(update={"stale": False}) for item in page.items)),
    ),
    changing("NoReasons", "explain_workflow", lambda answer: answer.model_copy(update={"reasons": ()})),
    changing("NoReasonsOfARun", "explain_run", lambda answer: answer.model_copy(update={"reasons": ()})),
    changing("NobodyRetried", "status", without("retried_by")),
    changing("NobodyStopped", "status", without("stopped_by")),
    *(losing("workflows", field) for field in ("status", "source_type", "owner", "limit", "offset", "cursor")),
    *(losing("history", field) for field in ("dataset_name", "start_date", "end_date", "limit", "cursor")),
    changing("NoTotal", "workflows", lambda page: evolve(page, total=len(page.items))),
    changing("NoTotalOfRuns", "history", lambda page: evolve(page, total=len(page.items))),
    changing("NoNextPage", "workflows", lambda page: evolve(page, next_cursor=None)),
    changing("NoNextPageOfRuns", "history", lambda page: evolve(page, next_cursor=None)),
    changing("AlwaysANextPage", "workflows", lambda page: evolve(page, next_cursor=page.next_cursor or "x")),
    changing("AListOfItems", "workflows", lambda page: evolve(page, items=list(page.items))),
    changing("NoWarnings", "register", lambda answer: answer.model_copy(update={"warnings": ()})),
    changing("NoLastingWarnings", "workflow", lambda answer: answer.model_copy(update={"warnings": ()})),
    changing("NoPauseReason", "workflow", without("pause_reason")),
    changing("AcceptedAsNothing", "run", without("dry_run")),
    changing("NeverStale", "status", lambda answer: answer.model_copy(update={"stale": False})),
    changing("NoObservation", "status", without("observed_at")),
    changing("NoEnd", "status", without("ended_at")),
    changing("AnotherCaller", "whoami", lambda answer: answer.model_copy(update={"name": "x"})),
    changing("NoGrants", "whoami", lambda answer: answer.model_copy(update={"grants": ()})),
    changing("OwnsNothing", "whoami", lambda answer: answer.model_copy(update={"operates_own": False})),
    changing("AlwaysHealthy", "health", lambda answer: answer.model_copy(update={"status": "ok"})),
    changing(
        "NoParts", "health", lambda answer: answer.model_copy(update={"airflow": without("parts")(answer.airflow)})
    ),
    failing(
        "AnotherClass",
        lambda error: errors.WorkflowError.with_message(error.message, code=error.code, problems=error.problems),
    ),
    failing("AnotherCode", lambda error: altered(error, code="X")),
    failing("AnotherMessage", lambda error: altered(error, message=f"{error.message} ")),
    failing("NoFindings", lambda error: altered(error, problems=())),
    failing("FewerFindings", lambda error: altered(error, problems=error.problems[:1])),
    failing("NoPlaces", without_places),
    failing("NoErrorOfOurs", lambda error: ValueError(error.message)),
]


class TestBroken(ApiContract):
    """The suite; ``until_red.py`` runs it against each of ``kinds`` in turn."""

    kinds: ClassVar[list[type[WorkflowService]]] = [WorkflowService, *BROKEN]
    kind: type[WorkflowService]

    @pytest.fixture
    def api(self, world: ApiWorld) -> WorkflowService:
        return self.kind.over(world.service.context, CALLER)
