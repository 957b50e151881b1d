"""Every request and answer as the specification spells them: pydantic models, made from entities by ``of``."""

from workflow_core.api.audit import AuditFilters, AuditItem
from workflow_core.api.backfill import (
    BackfillAnswer,
    BackfillFilters,
    BackfillItem,
    BackfillReasonRequest,
    BackfillRequest,
    BackfillRunAnswer,
    BackfillStatusAnswer,
    PlannedRunAnswer,
    SkippedDateAnswer,
)
from workflow_core.api.explain import ExplainAnswer, ReasonAnswer
from workflow_core.api.health import HealthAnswer, SystemAnswer
from workflow_core.api.listing import HistoryFilters, Listing, WorkflowFilters
from workflow_core.api.problem import ProblemAnswer, ProblemItem
from workflow_core.api.protocol import WorkflowApi
from workflow_core.api.revision import DiffAnswer, DiffFilters, RevisionFilters, RevisionItem
from workflow_core.api.run import (
    HistoryItem,
    ProgressAnswer,
    RetryAnswer,
    RetryRequest,
    RunAcceptedAnswer,
    RunRequest,
    RunStatusAnswer,
    StopAnswer,
    StopRequest,
)
from workflow_core.api.sync import FailedObjectAnswer, HeldBackAnswer, SyncAnswer, SyncRequest
from workflow_core.api.workflow import (
    ConditionAnswer,
    LastRunAnswer,
    PauseAnswer,
    PauseRequest,
    RegisterAnswer,
    RegisterRequest,
    ScheduleAnswer,
    ScheduleModel,
    UnregisterAnswer,
    UnregisterFilters,
    WorkflowDetailAnswer,
    WorkflowItem,
)

__all__ = [
    "AuditFilters",
    "AuditItem",
    "BackfillAnswer",
    "BackfillFilters",
    "BackfillItem",
    "BackfillReasonRequest",
    "BackfillRequest",
    "BackfillRunAnswer",
    "BackfillStatusAnswer",
    "ConditionAnswer",
    "DiffAnswer",
    "DiffFilters",
    "ExplainAnswer",
    "FailedObjectAnswer",
    "HealthAnswer",
    "HeldBackAnswer",
    "HistoryFilters",
    "HistoryItem",
    "LastRunAnswer",
    "Listing",
    "PauseAnswer",
    "PauseRequest",
    "PlannedRunAnswer",
    "ProblemAnswer",
    "ProblemItem",
    "ProgressAnswer",
    "ReasonAnswer",
    "RegisterAnswer",
    "RegisterRequest",
    "RetryAnswer",
    "RetryRequest",
    "RevisionFilters",
    "RevisionItem",
    "RunAcceptedAnswer",
    "RunRequest",
    "RunStatusAnswer",
    "ScheduleAnswer",
    "ScheduleModel",
    "SkippedDateAnswer",
    "StopAnswer",
    "StopRequest",
    "SyncAnswer",
    "SyncRequest",
    "SystemAnswer",
    "UnregisterAnswer",
    "UnregisterFilters",
    "WorkflowApi",
    "WorkflowDetailAnswer",
    "WorkflowFilters",
    "WorkflowItem",
]
